//! Rows that wait for earlier ones: models apply readings in event-time order, a hold behind log time.
//!
//! In: readings with the row they came in. Out: the same, each at (event time + hold), by event time, then log order.
//! Promise: what is held is saved with the state; a block is kept as long as one of its rows is held.

use crate::log::Block;
use crate::record::{Kind, Millis};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A reading that waits.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct HeldRow {
    pub(crate) key: u32,
    pub(crate) value: Option<f64>,
    pub(crate) relearn: bool,
    /// Segment and row conditions, as judged when the row came.
    pub(crate) noted: Option<(u8, u32)>,
    /// Which member of a group it is a reading of.
    pub(crate) member: u8,
    /// Row of the block.
    pub(crate) row: u32,
    /// Number of the block, known once the row is held.
    pub(crate) block: u64,
}

impl HeldRow {
    /// A row of a block without anything else known of it.
    pub(crate) fn of(key: u32, row: usize) -> HeldRow {
        HeldRow { key, value: None, relearn: false, noted: None, member: 0, row: row as u32, block: 0 }
    }
}

/// Everything that waits.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Held {
    /// (due, node, running number)
    rows: BTreeMap<(Millis, u32, u64), HeldRow>,
    /// How many rows of each block wait.
    blocks: BTreeMap<u64, (u32, SavedBlock)>,
    /// Running number of rows and blocks.
    next: u64,
}

impl Held {
    /// When the first row is due.
    pub(crate) fn first(&self) -> Option<Millis> {
        self.rows.first_key_value().map(|((due, _, _), _)| *due)
    }

    /// A block whose rows are about to be held.
    pub(crate) fn open(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Holds a row until `due`.
    pub(crate) fn hold(&mut self, due: Millis, node: u32, (number, block): (u64, &Block), row: HeldRow) {
        self.next += 1;
        self.rows.insert((due, node, self.next), HeldRow { block: number, ..row });
        self.blocks.entry(number).or_insert_with(|| (0, SavedBlock(block.clone()))).0 += 1;
    }

    /// The rows that are due, in order, with their blocks.
    pub(crate) fn due(&mut self, now: Millis) -> Vec<(Millis, u32, HeldRow, u64)> {
        let mut out = Vec::new();
        while let Some(first) = self.rows.first_entry()
            && first.key().0 <= now
        {
            let ((due, node, _), held) = first.remove_entry();
            let block = held.block;
            out.push((due, node, held, block));
        }
        out
    }

    /// A block by its number.
    pub(crate) fn block(&self, number: u64) -> Option<Block> {
        self.blocks.get(&number).map(|(_, block)| block.0.clone())
    }

    /// A row of a block is no longer held.
    pub(crate) fn release(&mut self, number: u64) {
        if let Some((rows, _)) = self.blocks.get_mut(&number) {
            *rows -= 1;
            if *rows == 0 {
                self.blocks.remove(&number);
            }
        }
    }

    /// (node, key) of every row that waits.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (u32, u32)> {
        self.rows.iter().map(|((_, node, _), row)| (*node, row.key))
    }

    /// The same under other node numbers; rows of indicators that are gone are let go.
    pub(crate) fn renumbered(self, moved: &BTreeMap<u32, u32>) -> Held {
        let mut out = Held { blocks: self.blocks, next: self.next, rows: BTreeMap::new() };
        for ((due, node, number), row) in self.rows {
            match moved.get(&node) {
                Some(to) => {
                    out.rows.insert((due, *to, number), row);
                }
                None => out.release(row.block),
            }
        }
        out
    }
}

/// A block, saved as one Arrow stream.
#[derive(Clone, Debug)]
struct SavedBlock(Block);

#[derive(Serialize, Deserialize)]
struct BlockBytes {
    source: Arc<str>,
    kind: Kind,
    space: Arc<str>,
    home: bool,
    rows: Vec<u8>,
}

impl Serialize for SavedBlock {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        use serde::ser::Error;
        let Block { source, kind, space, home, rows } = &self.0;
        let mut bytes = Vec::new();
        let mut writer = StreamWriter::try_new(&mut bytes, &rows.schema()).map_err(S::Error::custom)?;
        writer.write(rows).and_then(|()| writer.finish()).map_err(S::Error::custom)?;
        drop(writer);
        BlockBytes { source: source.clone(), kind: *kind, space: space.clone(), home: *home, rows: bytes }.serialize(s)
    }
}

impl<'de> Deserialize<'de> for SavedBlock {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<SavedBlock, D::Error> {
        use serde::de::Error;
        let BlockBytes { source, kind, space, home, rows } = BlockBytes::deserialize(d)?;
        let mut reader = StreamReader::try_new(rows.as_slice(), None).map_err(D::Error::custom)?;
        let rows = reader.next().ok_or_else(|| D::Error::custom("no rows"))?.map_err(D::Error::custom)?;
        Ok(SavedBlock(Block { source, kind, space, home, rows }))
    }
}
