//! The ordered log: what enters it, where it is kept, and the loop that reads it, drives the engine and commits.
//!
//! In: intake's commits. Out: entries in order per partition, and the engine's commits.
//! Promise: an intake commit (entries, dead letters, source positions) and an engine commit (messages, loop records,
//! next position) are each seen whole or not at all; nothing is reordered inside a partition.
//! Not here: what entries mean (`engine`), how outcomes read (`deliver`).

mod commit;
mod encode;
mod entry;
pub mod kafka;

pub use commit::{DeadLetter, EngineCommit, IntakeCommit, LogError, Message, RawPosition, RegistryRow};
pub use encode::{EncodeError, Schemas, decode, encode};
pub use entry::{Activate, Block, Clock, Entry, Frame, Stamp};
