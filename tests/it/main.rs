//! The behaviour of the whole.

mod broker;
mod console;
mod examples;
mod rules;
