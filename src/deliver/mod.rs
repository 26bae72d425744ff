//! Outcomes rendered for each audience.
