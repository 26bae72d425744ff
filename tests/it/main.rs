//! The behaviour of the whole.

mod broker;
mod console;
mod demo;
