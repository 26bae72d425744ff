//! The behaviour of the whole.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod broker;
mod cli;
mod console;
mod demo;
mod embedded;
mod examples;
mod kinds;
mod rules;
