//! The behaviour of the whole.

mod console;
mod rules;
