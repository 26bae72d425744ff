//! The behaviour of the whole.

mod broker;
mod cli;
mod console;
mod demo;
mod examples;
mod rules;
