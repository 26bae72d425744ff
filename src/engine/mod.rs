//! The pure core: a function of the log.
//!
//! In: entries of one log partition, in order. Out: changes of warnings, signals, values, loop records.
//! Promise: the same log gives the same outcomes with the same ids, whatever the batches and after any restart; rows
//! are judged one by one in log order; every timer and pane border fires at its own due time.
//! Not here: the wall clock, files, threads (the stamps in the log bring the time); departments and plans (`response`).
//! Cost: grows with the keys touched, not with rules times keys.

mod batch;
mod closes;
mod core;
mod dedupe;
mod evidence;
mod held;
mod id;
mod incident;
mod keys;
mod level;
mod loops;
mod methods;
mod outcome;
mod pane;
mod program;
mod snapshot;
mod state;
mod window;

#[cfg(test)]
mod tests;

pub use core::{Engine, Outcomes, RuleUse};
pub use outcome::{Change, ChangeKind, Reading, Reference, Signal, Subject, Value};
pub use program::{Program, ProgramError};
pub use snapshot::{SnapshotError, pack_of};
pub use state::Fates;
