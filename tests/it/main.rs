//! The behaviour of the whole.

mod console;
mod examples;
mod rules;
