//! The two kinds of commit: what an intake and what an engine hand over as one whole.

use crate::record::Millis;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A place in a raw partition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct RawPosition {
    /// `<source>/<number>`
    pub raw: String,
    /// Kafka offset, or byte position in a file.
    pub offset: i64,
}

/// A message or row that would not become a record. A pointer, never the payload.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct DeadLetter {
    /// Reason code (`json`, `missing`, `enum`, `range`, `uscc`, `future` ...); `future` counts as quarantined.
    pub reason: String,
    /// Column at fault, if one is.
    pub field: Option<String>,
    /// Plain words, without any value of the payload.
    pub detail: String,
    /// Kind of the source, or `unknown` when the message could not be split.
    pub kind: String,
    /// Name of the source.
    pub source: String,
    /// Raw partition `<source>/<number>`.
    pub raw: String,
    /// Topic or file the bytes can be fetched from again.
    pub origin: String,
    /// Offset of the message (Kafka), or first byte of the row (file).
    pub offset: i64,
    /// Row inside the message, from 0.
    pub row: u32,
    /// Length in bytes of the message or row.
    pub length: u64,
    /// SHA-256 of the bytes, hexadecimal.
    pub sha256: String,
    /// Wall time (records clock: merge time) at which it was found.
    pub at: Millis,
}

/// One version of a registry object, for the compacted registry topic.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct RegistryRow {
    /// `object|valid_from`
    pub key: String,
    /// The version as JSON.
    pub value: String,
}

/// What intake commits as one whole.
#[derive(Clone, Debug, Default)]
pub struct IntakeCommit {
    /// Encoded entries with their partition, in order.
    pub entries: Vec<(u32, Vec<u8>)>,
    /// Dead letters found.
    pub dead_letters: Vec<DeadLetter>,
    /// Registry versions.
    pub registry: Vec<RegistryRow>,
    /// Next offset to read, per raw partition.
    pub positions: BTreeMap<String, i64>,
    /// What came in for it, counted once it is committed.
    pub seen: Seen,
}

/// What came in.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Records by kind; `unknown` for what could not be split.
    pub records: BTreeMap<String, u64>,
    /// Bytes by source.
    pub bytes: BTreeMap<String, u64>,
    /// Fields that the source file does not list, by source.
    pub unlisted: BTreeMap<String, u64>,
    /// Records by kind whose object the registry does not know.
    pub unknown_objects: BTreeMap<String, u64>,
}

/// A rendered message for a topic.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Message {
    /// Topic.
    pub topic: String,
    /// Key; `None` has no key.
    pub key: Option<String>,
    /// Headers (CloudEvents `ce_*`, `content-type`), in order.
    pub headers: Vec<(String, String)>,
    /// Value; `None` is a tombstone.
    pub value: Option<String>,
}

/// What an engine commits as one whole, for one log partition.
#[derive(Clone, Debug, Default)]
pub struct EngineCommit {
    /// The log partition.
    pub partition: u32,
    /// The next position to read in it.
    pub next: u64,
    /// Log time reached.
    pub log_time: Millis,
    /// Publish version of the active pack; 0 before there is one.
    pub version: u64,
    /// Hash of the active pack.
    pub pack: String,
    /// Rendered outcomes.
    pub messages: Vec<Message>,
    /// Encoded loop entries with their partition.
    pub loops: Vec<(u32, Vec<u8>)>,
    /// Number of outcomes since the log's start, and a running hash over them.
    pub outcomes: u64,
    /// Running xxh3-64 over all outcomes, hexadecimal.
    pub outcomes_hash: String,
}

/// The log could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Worth another try with the same commit.
    #[error("the log did not take the commit: {what}")]
    Retriable {
        /// What failed.
        what: String,
    },
    /// Nothing can be said about the commit: read the commit record, then go on or send it again.
    #[error("the outcome of the commit is unknown: {what}")]
    Indefinite {
        /// What failed.
        what: String,
    },
    /// Another owner has taken the partition or slot.
    #[error("fenced: {what}")]
    Fenced {
        /// Who or what.
        what: String,
    },
    /// A file of the log could not be read or written.
    #[error("could not {action} {path}")]
    File {
        /// read, write, create ...
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Our own mistake: the process stops, its next start goes on from the last commit.
    #[error("{place}: our own bug, please report it: {what}")]
    Bug {
        /// Where it stood.
        place: String,
        /// What the panic said.
        what: String,
    },
    /// The log holds bytes that this build cannot read.
    #[error("{place}: {what}")]
    Damaged {
        /// Where.
        place: String,
        /// What is wrong.
        what: String,
    },
}
