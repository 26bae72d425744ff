//! The behaviour of the whole.

mod broker;
mod cli;
mod console;
