//! The behaviour of the whole.

mod broker;
