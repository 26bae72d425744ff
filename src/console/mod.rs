//! The page, its API and health.
