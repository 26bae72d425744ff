//! forewarn: streaming risk early warning for cross-department supervision.
//!
//! The way of a record, top to bottom: what a record is; how it comes in; the ordered log; the packs of rules; the
//! engine that is a pure function of its log; the models; the response; what goes out; the page.

pub mod record;

pub mod intake;

pub mod log;

pub mod pack;

pub mod engine;

pub mod model;

pub mod response;

pub mod deliver;

pub mod console;

pub mod clock;
pub mod config;
pub mod metrics;

pub mod cli;
