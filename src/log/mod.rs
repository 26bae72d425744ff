//! The ordered log: what enters it, where it is kept, and the loop that reads it, drives the engine and commits.
//!
//! In: intake's commits. Out: entries in order per partition, and the engine's commits.
//! Promise: an intake commit (entries, dead letters, source positions) and an engine commit (messages, loop records,
//! next position) are each seen whole or not at all; nothing is reordered inside a partition.
//! Not here: what entries mean (`engine`), how outcomes read (`deliver`).

mod commit;
mod embedded;
mod encode;
mod entry;
mod follow;
mod input;
mod judges;
pub mod kafka;
mod local;
mod merge;
mod order;
mod outcome_files;
mod recover;
mod resume;
mod retell;
mod rule_test;
mod store;
mod tally;

pub use commit::{DeadLetter, EngineCommit, IntakeCommit, LogError, Message, RawPosition, RegistryRow, Seen};
use embedded::sort_loops;
pub use embedded::{Embedded, EmbeddedError, Step};
pub use encode::{decode, encode};
pub use entry::{Activate, Block, Clock, Entry, Frame, Stamp};
pub use input::{FileInput, InputError, Part};
pub use judges::{JudgeError, write_body};
pub use local::{
    Feed, HistoryFile, Inputs, LocalError, Watch, history_files, inbox, judge_history, marks, run_records, run_wall,
    send_again,
};
pub use merge::{Merge, MergeInput, MergedFrame, Piece, PieceRow};
pub use outcome_files::OutcomeFiles;
pub(crate) use recover::header;
pub use recover::{Lost, Recovered, Unrecoverable, fetch};
pub use resume::{Folders, ResumeError, Resumed, resume};
pub use retell::{RetellError, Retold, differences, retell};
pub use rule_test::{Delivery, RuleTestError, RuleTests, Verdict};
pub use store::{Commit, CommitReader, Committed, Durable, FilePlace, Store, read_log};
pub use tally::Tally;
