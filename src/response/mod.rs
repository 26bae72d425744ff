//! What a warning asks of whom: departments, plan, deadlines. Pure.
