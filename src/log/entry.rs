//! What stands in the log.

use crate::record::{Kind, Millis};
use arrow::record_batch::RecordBatch;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How log time moves; fixed with the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// By probes of the raw partitions' ends at wall time.
    #[default]
    Wall,
    /// By the records themselves: history, `replay`, tests.
    Records,
}

/// What moves log time: the marks of the raw partitions that one intake owns.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Stamp {
    /// Wall time at the stamp (with `clock: records` the merge time).
    pub wall: Millis,
    /// Raw partition (`<source>/<number>`) to mark: everything up to that time has been read.
    pub marks: BTreeMap<String, Millis>,
    /// Raw partitions that cannot be read now: out of the minimum until they are marked again.
    pub blind: Vec<String>,
}

/// One entry of one partition of the log.
#[derive(Clone, Debug)]
pub enum Entry {
    /// Rows from outside. The stamp is applied before the rows.
    Rows(Frame),
    /// Rows the engine made (signals, values). No stamp: they do not move time.
    Loop(Frame),
    /// Time passes.
    Tick(Stamp),
    /// From here on the pack counts.
    Pack(Activate),
}

/// Blocks of rows, in log order.
#[derive(Clone, Debug)]
pub struct Frame {
    /// What moves log time; `None` in loop frames.
    pub stamp: Option<Stamp>,
    /// Hash of the pack that mapped and routed the rows.
    pub pack: Arc<str>,
    /// The rows.
    pub blocks: Vec<Block>,
}

/// Rows of one source in one key space. Beside the source's columns each batch has the columns of [`Block::KEY`],
/// [`Block::RAW`] and [`Block::OFFSET`].
#[derive(Clone, Debug)]
pub struct Block {
    /// Name of the source.
    pub source: Arc<str>,
    /// Kind of the records.
    pub kind: Kind,
    /// Key space.
    pub space: Arc<str>,
    /// True for the home copy, which is the one counted.
    pub home: bool,
    /// The rows, in log order.
    pub rows: RecordBatch,
}

impl Block {
    /// Utf8: the routing key.
    pub const KEY: &'static str = "_key";
    /// Utf8 (nullable): raw partition `<source>/<number>` that the row came from.
    pub const RAW: &'static str = "_raw";
    /// Int64: offset (Kafka) or byte position (file) in it.
    pub const OFFSET: &'static str = "_offset";
}

/// A pack takes effect.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Activate {
    /// Running number of the publish.
    pub version: u64,
    /// Pack hash; the body stands in the pack store.
    pub hash: String,
    /// How time moves in this log.
    pub clock: Clock,
    /// Raw partitions whose marks count from here on; a new one begins at log time.
    pub raw: Vec<String>,
}
