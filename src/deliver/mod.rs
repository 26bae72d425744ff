//! Outcomes rendered for those who read them: messages for topics, lines for files, the summary of a run.
//!
//! In: documents of `response`, signals, values, dead letters. Out: messages with topic, key and headers; JSON lines.
//! Promise: a department's copy shows the values of its own records only, others' as id and one line; no message is
//! above [`MESSAGE_BYTES_MAX`]; trial indicators reach nobody. The same outcome gives the same bytes.
//! Not here: what a warning says (`response`), sending and committing (`log`).

mod audience;
pub mod files;
mod line;
mod message;
mod summary;
mod topics;

#[cfg(test)]
mod tests;

pub use audience::{for_audience, for_centre};
pub use line::{dead_letter_line, read_dead_letter, signal_line, value_line, warning_line};
pub use message::{MESSAGE_BYTES_MAX, dead_letter_message, messages};
pub use summary::{Counts, Fate, LogTimes, Records, ShadowSummary, Summary, SummaryError, WarningSummary};
pub use topics::{
    DEAD_LETTERS, EVERYONE, LOG, PACKS, PROGRESS, REGISTRY, WARNINGS, feedback_topic, topics, warning_topic,
};
