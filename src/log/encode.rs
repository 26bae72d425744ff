//! Entries as bytes and back.
//!
//! Form: `FWE2`, xxh3 of the rest (u64), then a postcard head, then one Arrow IPC stream per kind of block: the rows of
//! all blocks of one source and key space stand in one stream, its schema once inside, and the head says how long the
//! runs are and in which order. So an entry can be read without anything else, and many small blocks cost little.

use super::{Activate, Block, Entry, Frame, LogError, Stamp};
use crate::record::Kind;
use arrow::array::Array;
use arrow::compute::concat_batches;
use arrow::ipc::MetadataVersion;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow::record_batch::RecordBatch;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

const MAGIC: &[u8; 4] = b"FWE2";

#[derive(Serialize, Deserialize)]
enum Head {
    Rows { stamp: Stamp, pack: String, blocks: Blocks },
    Loop { pack: String, blocks: Blocks },
    Tick(Stamp),
    Pack(Activate),
}

#[derive(Serialize, Deserialize)]
struct Blocks {
    streams: Vec<Stream>,
    /// In log order: number of the stream, and how many of its next rows a block has.
    runs: Vec<(u32, u32)>,
}

/// Blocks that differ in nothing but their rows.
#[derive(Serialize, Deserialize)]
struct Stream {
    source: String,
    kind: Kind,
    space: String,
    home: bool,
    bytes: u64,
}

/// Entry to bytes.
///
/// # Panics
/// Never for batches that Arrow made: writing into memory cannot fail.
#[must_use]
pub fn encode(entry: &Entry) -> Vec<u8> {
    let mut bodies = Vec::new();
    let head = match entry {
        Entry::Tick(stamp) => Head::Tick(stamp.clone()),
        Entry::Pack(activate) => Head::Pack(activate.clone()),
        Entry::Rows(frame) => {
            let blocks = write_blocks(&frame.blocks, &mut bodies);
            Head::Rows { stamp: frame.stamp.clone().unwrap_or_default(), pack: frame.pack.to_string(), blocks }
        }
        Entry::Loop(frame) => {
            Head::Loop { pack: frame.pack.to_string(), blocks: write_blocks(&frame.blocks, &mut bodies) }
        }
    };
    let head = postcard::to_allocvec(&head).expect("a head holds nothing that cannot be written");
    let mut bytes = Vec::with_capacity(16 + head.len() + bodies.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&[0; 8]);
    bytes.extend_from_slice(&u32::try_from(head.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend_from_slice(&head);
    bytes.extend_from_slice(&bodies);
    let sum = xxh3_64(&bytes[12..]).to_le_bytes();
    bytes[4..12].copy_from_slice(&sum);
    bytes
}

fn write_blocks(blocks: &[Block], into: &mut Vec<u8>) -> Blocks {
    let mut streams: Vec<(&Block, Vec<&RecordBatch>)> = Vec::new();
    let mut runs = Vec::with_capacity(blocks.len());
    for block in blocks {
        let alike = |first: &Block| {
            first.source == block.source
                && first.space == block.space
                && first.kind == block.kind
                && first.home == block.home
                && first.rows.schema_ref() == block.rows.schema_ref()
        };
        let stream = match streams.iter().position(|(first, _)| alike(first)) {
            Some(known) => known,
            None => {
                streams.push((block, Vec::new()));
                streams.len() - 1
            }
        };
        streams[stream].1.push(&block.rows);
        let rows = u32::try_from(block.rows.num_rows()).expect("a block holds fewer than 2^32 rows");
        runs.push((u32::try_from(stream).expect("fewer streams than blocks"), rows));
    }
    let streams = streams.into_iter().map(|(block, batches)| {
        let from = into.len();
        let rows = match batches.as_slice() {
            [one] => told(one),
            many => told(&concat_batches(block.rows.schema_ref(), many.iter().copied()).expect("they have one schema")),
        };
        // Buffers are aligned to 8 bytes: with the default of 64 padding outweighs the values of small frames.
        let options = IpcWriteOptions::try_new(8, false, MetadataVersion::V5).expect("8 is a valid alignment");
        let mut writer = StreamWriter::try_new_with_options(&mut *into, rows.schema_ref(), options)
            .expect("memory takes every byte");
        writer.write(&rows).expect("memory takes every byte");
        writer.finish().expect("memory takes every byte");
        drop(writer);
        Stream {
            source: block.source.to_string(),
            kind: block.kind,
            space: block.space.to_string(),
            home: block.home,
            bytes: (into.len() - from) as u64,
        }
    });
    Blocks { streams: streams.collect(), runs }
}

/// The columns that say anything: to the engine a column that is not there is one of nulls.
fn told(rows: &RecordBatch) -> RecordBatch {
    let told: Vec<usize> = (0..rows.num_columns())
        .filter(|i| rows.column(*i).null_count() < rows.num_rows() || rows.schema_ref().field(*i).name() == Block::KEY)
        .collect();
    rows.project(&told).expect("the columns are the batch's own")
}

/// Bytes to entry.
///
/// # Errors
/// [`LogError::Damaged`] when the bytes are no whole entry.
pub fn decode(bytes: &[u8]) -> Result<Entry, LogError> {
    let damaged = |what: &str| LogError::Damaged { place: "entry".to_owned(), what: what.to_owned() };
    let sum = bytes.get(4..12).and_then(|b| b.try_into().ok()).ok_or_else(|| damaged("too short"))?;
    if bytes.get(..4) != Some(MAGIC) {
        return Err(damaged("not an entry"));
    }
    let rest = bytes.get(12..).ok_or_else(|| damaged("too short"))?;
    if xxh3_64(rest) != u64::from_le_bytes(sum) {
        return Err(damaged("checksum differs"));
    }
    let length = rest.get(..4).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes).ok_or_else(|| damaged("cut"))?;
    let (head, mut bodies) =
        rest.get(4..).and_then(|r| r.split_at_checked(length as usize)).ok_or_else(|| damaged("cut"))?;
    let head: Head = postcard::from_bytes(head).map_err(|_| damaged("the head does not read"))?;
    let mut read = |blocks: Blocks| {
        let mut streams = Vec::with_capacity(blocks.streams.len());
        for stream in blocks.streams {
            let (body, rest) = usize::try_from(stream.bytes)
                .ok()
                .and_then(|n| bodies.split_at_checked(n))
                .ok_or_else(|| damaged("a block is cut"))?;
            bodies = rest;
            let mut reader = StreamReader::try_new(body, None).map_err(|_| damaged("a block does not read"))?;
            let rows = reader.next().and_then(Result::ok).ok_or_else(|| damaged("a block does not read"))?;
            let (source, space): (Arc<str>, Arc<str>) = (stream.source.as_str().into(), stream.space.as_str().into());
            streams.push((Block { source, kind: stream.kind, space, home: stream.home, rows }, 0));
        }
        let runs = blocks.runs.into_iter().map(|(stream, n)| {
            let (block, from) = streams.get_mut(stream as usize).ok_or_else(|| damaged("a run of no stream"))?;
            let n = n as usize;
            if block.rows.num_rows() - *from < n {
                return Err(damaged("a run is longer than its stream"));
            }
            let rows = block.rows.slice(*from, n);
            *from += n;
            Ok(Block { rows, ..block.clone() })
        });
        runs.collect::<Result<Vec<Block>, LogError>>()
    };
    Ok(match head {
        Head::Tick(stamp) => Entry::Tick(stamp),
        Head::Pack(activate) => Entry::Pack(activate),
        Head::Rows { stamp, pack, blocks } => {
            let pack: Arc<str> = pack.as_str().into();
            Entry::Rows(Frame { stamp: Some(stamp), pack, blocks: read(blocks)? })
        }
        Head::Loop { pack, blocks } => {
            Entry::Loop(Frame { stamp: None, pack: pack.as_str().into(), blocks: read(blocks)? })
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::StringArray;
    use arrow::datatypes::{DataType, Field, Schema};
    use proptest::prelude::*;

    fn entry(keys: Vec<Option<String>>) -> Entry {
        let schema = Arc::new(Schema::new(vec![Field::new(Block::KEY, DataType::Utf8, true)]));
        let rows = RecordBatch::try_new(schema, vec![Arc::new(StringArray::from(keys))]).unwrap();
        let block = Block { source: "iot".into(), kind: Kind::Iot, space: "object".into(), home: true, rows };
        let stamp = Stamp { wall: 7, marks: [("iot/0".to_owned(), 5)].into(), blind: vec![] };
        Entry::Rows(Frame { stamp: Some(stamp), pack: "p".into(), blocks: vec![block.clone(), block] })
    }

    /// Three streams in mixed order.
    fn mixed(runs: &[(usize, usize)]) -> Entry {
        let schema = Arc::new(Schema::new(vec![Field::new(Block::KEY, DataType::Utf8, true)]));
        let blocks = runs.iter().enumerate().map(|(i, (stream, rows))| {
            let keys: Vec<String> = (0..*rows).map(|row| format!("{i}/{row}")).collect();
            let rows = RecordBatch::try_new(schema.clone(), vec![Arc::new(StringArray::from(keys))]).unwrap();
            let source = ["iot", "gas", "iot"][*stream].into();
            Block { source, kind: Kind::Iot, space: "object".into(), home: *stream != 2, rows }
        });
        Entry::Loop(Frame { stamp: None, pack: "p".into(), blocks: blocks.collect() })
    }

    proptest! {
        #[test]
        fn blocks_keep_their_order_and_their_rows(
            runs in proptest::collection::vec((0_usize..3, 0_usize..4), 0..20)
        ) {
            let entry = mixed(&runs);
            let again = decode(&encode(&entry)).unwrap();
            let told = |entry: &Entry| match entry {
                Entry::Loop(frame) => frame.blocks.iter().map(|b| format!("{b:?}")).collect::<Vec<_>>(),
                _ => Vec::new(),
            };
            prop_assert_eq!(told(&entry), told(&again));
        }

        #[test]
        fn an_entry_reads_as_it_was_written(keys in proptest::collection::vec(proptest::option::of(".{0,8}"), 0..20)) {
            let entry = entry(keys);
            let again = decode(&encode(&entry)).unwrap();
            prop_assert_eq!(format!("{entry:?}"), format!("{again:?}"));
        }

        #[test]
        fn damage_is_noticed(at in 0_usize..400, bit in 0_u8..8) {
            let mut bytes = encode(&entry(vec![Some("a".to_owned())]));
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            prop_assert!(decode(&bytes).is_err());
        }
    }
}
