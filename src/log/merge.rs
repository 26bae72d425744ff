//! Merges inputs by the records' own time: `clock: records`.
//!
//! In: pieces of inputs, each in its own order. Out: frames of rows with one stamp.
//! The next row is the one with the least merge time (`received_at`, else `occurred_at`) among the heads of the inputs,
//! ties by input. Its stamp is the least merge time among it and the next 999 rows, cut to the minute, and never goes
//! back. Promise: the same inputs give the same frames.
//! Not here: reading and mapping (`input`).

use super::DeadLetter;
use super::input::InputError;
use crate::record::Millis;
use arrow::record_batch::RecordBatch;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// One row of a piece: merge time, place in the piece's batches.
#[derive(Clone, Copy, Debug)]
pub struct PieceRow {
    /// `received_at`, else `occurred_at`.
    pub at: Millis,
    /// Number of the batch in the piece.
    pub batch: usize,
    /// Row in the batch.
    pub row: usize,
}

/// A part of an input, mapped.
#[derive(Clone, Debug, Default)]
pub struct Piece {
    /// Source and rows.
    pub batches: Vec<(Arc<str>, RecordBatch)>,
    /// The rows in the input's order.
    pub rows: Vec<PieceRow>,
    /// What did not become a row.
    pub dead_letters: Vec<DeadLetter>,
    /// Records in, by kind.
    pub seen: BTreeMap<String, u64>,
    /// Next offset of the raw partition.
    pub position: (String, i64),
}

/// An input of a merge.
pub trait MergeInput {
    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// When it cannot be read.
    fn next(&mut self) -> Result<Option<Piece>, InputError>;
}

/// Rows that share a stamp.
#[derive(Clone, Debug, Default)]
pub struct MergedFrame {
    /// Log time before the rows.
    pub stamp: Millis,
    /// Source and rows, in log order.
    pub rows: Vec<(Arc<str>, RecordBatch)>,
    /// What did not become a row.
    pub dead_letters: Vec<DeadLetter>,
    /// Records in, by kind.
    pub seen: BTreeMap<String, u64>,
    /// Next offset per raw partition.
    pub positions: BTreeMap<String, i64>,
}

/// `clock: records` runs in rounds of one hour of log time.
pub(super) const ROUND: Millis = 3_600_000;
/// A row looks this far ahead for an earlier one.
const AHEAD: usize = 1_000;
/// Rows of one frame at the most.
const FRAME: usize = 8_192;
/// Stamps are cut to it, so that frames hold many rows.
const GRAIN: Millis = 60_000;

struct Head {
    batches: Arc<Vec<(Arc<str>, RecordBatch)>>,
    rows: VecDeque<PieceRow>,
}

#[derive(Clone)]
struct Waiting {
    at: Millis,
    batches: Arc<Vec<(Arc<str>, RecordBatch)>>,
    batch: usize,
    row: usize,
}

/// The merge.
pub struct Merge {
    inputs: Vec<Box<dyn MergeInput>>,
    heads: Vec<Option<Head>>,
    started: bool,
    waiting: VecDeque<Waiting>,
    /// Number of the first waiting row.
    first: u64,
    /// (row number, merge time), rising: the minimum of what lies ahead is in front.
    least: VecDeque<(u64, Millis)>,
    stamp: Millis,
    newest: Millis,
    side: MergedFrame,
}

impl Merge {
    /// A merge of inputs; the order is the one ties are broken by.
    #[must_use]
    pub fn new(inputs: Vec<Box<dyn MergeInput>>) -> Merge {
        Merge {
            heads: inputs.iter().map(|_| None).collect(),
            inputs,
            started: false,
            waiting: VecDeque::new(),
            first: 0,
            least: VecDeque::new(),
            stamp: Millis::MIN,
            newest: Millis::MIN,
            side: MergedFrame::default(),
        }
    }

    /// The newest merge time given out.
    #[must_use]
    pub fn newest(&self) -> Millis {
        self.newest
    }

    /// The next frame; `None` at the end.
    ///
    /// # Errors
    /// When an input cannot be read.
    pub fn next_frame(&mut self) -> Result<Option<MergedFrame>, InputError> {
        let mut taken: Vec<Waiting> = Vec::new();
        while taken.len() < FRAME {
            while self.waiting.len() < AHEAD && self.pull()? {}
            let Some(row) = self.waiting.front() else { break };
            let ahead = self.least.front().map_or(row.at, |l| l.1);
            let stamp = self.stamp.max(ahead.div_euclid(GRAIN) * GRAIN);
            if !taken.is_empty() && stamp > self.stamp {
                break;
            }
            self.stamp = stamp;
            self.newest = self.newest.max(row.at);
            taken.extend(self.waiting.pop_front());
            if self.least.front().is_some_and(|l| l.0 == self.first) {
                self.least.pop_front();
            }
            self.first += 1;
        }
        let side = std::mem::take(&mut self.side);
        if taken.is_empty() && side.dead_letters.is_empty() && side.seen.is_empty() {
            return Ok(None);
        }
        Ok(Some(MergedFrame { stamp: self.stamp, rows: runs(&taken), ..side }))
    }

    /// Moves one row from the heads to the waiting rows. False at the end.
    fn pull(&mut self) -> Result<bool, InputError> {
        if !self.started {
            self.started = true;
            for i in 0..self.inputs.len() {
                self.refill(i)?;
            }
        }
        let least = self
            .heads
            .iter()
            .enumerate()
            .filter_map(|(i, head)| head.as_ref().and_then(|h| h.rows.front()).map(|row| (row.at, i)))
            .min();
        let Some((_, i)) = least else { return Ok(false) };
        if let Some(head) = &mut self.heads[i]
            && let Some(row) = head.rows.pop_front()
        {
            let number = self.first + self.waiting.len() as u64;
            while self.least.back().is_some_and(|l| l.1 >= row.at) {
                self.least.pop_back();
            }
            self.least.push_back((number, row.at));
            self.waiting.push_back(Waiting {
                at: row.at,
                batches: head.batches.clone(),
                batch: row.batch,
                row: row.row,
            });
            if head.rows.is_empty() {
                self.refill(i)?;
            }
        }
        Ok(true)
    }

    fn refill(&mut self, i: usize) -> Result<(), InputError> {
        self.heads[i] = None;
        while let Some(piece) = self.inputs[i].next()? {
            self.side.dead_letters.extend(piece.dead_letters);
            for (kind, n) in piece.seen {
                *self.side.seen.entry(kind).or_default() += n;
            }
            self.side.positions.insert(piece.position.0, piece.position.1);
            if !piece.rows.is_empty() {
                self.heads[i] = Some(Head { batches: Arc::new(piece.batches), rows: piece.rows.into() });
                break;
            }
        }
        Ok(())
    }
}

/// Neighbouring rows of one batch as one slice.
fn runs(rows: &[Waiting]) -> Vec<(Arc<str>, RecordBatch)> {
    let mut out = Vec::new();
    let mut from = 0;
    while let Some(first) = rows.get(from) {
        let mut to = from + 1;
        while rows.get(to).is_some_and(|next| {
            Arc::ptr_eq(&next.batches, &first.batches)
                && next.batch == first.batch
                && next.row == first.row + (to - from)
        }) {
            to += 1;
        }
        let (source, batch) = &first.batches[first.batch];
        out.push((source.clone(), batch.slice(first.row, to - from)));
        from = to;
    }
    out
}
