//! The pure core: a function of the log.

mod outcome;

pub use outcome::{Change, ChangeKind, Reading, Reference, Signal, Subject, Value};
