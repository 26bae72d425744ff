//! The behaviour of the whole.

mod console;
