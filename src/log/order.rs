//! Puts an input of a history in the order of its records' times, whatever the order of its lines.
//!
//! In: an input that can be read to its end. Out: the same rows as inputs that are each in order of merge time, ties in
//! the order of the lines; together, as neighbours in a merge, they are the input in order. Dead letters and counts come
//! along. Promise: one row with a wild time moves itself only, never the rows behind it.
//! Cost: up to `budget` bytes of rows are held in memory; what is more goes to files without a name in the folder for
//! temporary files, rows as they will stand in the log, persons masked.

use super::DeadLetter;
use super::input::InputError;
use super::local::Inputs;
use super::merge::{MergeInput, Piece, PieceRow};
use arrow::compute::interleave_record_batch;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Rows of a piece: few enough to hold one of each part, enough that their fixed cost does not matter.
const PIECE_ROWS: usize = 4_096;
/// Dead letters that come with one piece.
const LETTERS: usize = 1_000;

/// Piece and row of each row.
type Places = Vec<(usize, usize)>;

/// What comes along with the rows.
#[derive(Default)]
struct Beside {
    seen: BTreeMap<String, u64>,
    dead_letters: VecDeque<DeadLetter>,
    position: (String, i64),
}

/// Reads an input to its end and gives it in order.
///
/// - `budget`: bytes of rows held in memory
///
/// # Errors
/// When it cannot be read, or a temporary file cannot be written.
pub(super) fn ordered(mut input: Box<dyn MergeInput>, budget: usize) -> Result<Inputs, InputError> {
    let mut parts: Inputs = Vec::new();
    let mut beside = Beside::default();
    let mut held = Held::default();
    while let Some(piece) = input.next()? {
        for (kind, n) in piece.seen {
            *beside.seen.entry(kind).or_default() += n;
        }
        beside.dead_letters.extend(piece.dead_letters);
        beside.position = piece.position;
        held.take(piece.batches, &piece.rows);
        if held.bytes > budget {
            let spilt = std::mem::take(&mut held).spill().map_err(|source| InputError::Sort { source })?;
            parts.push(Box::new(spilt));
        }
    }
    held.sort();
    parts.push(Box::new(held));
    let position = beside.position.clone();
    let first = parts.remove(0);
    parts.insert(0, Box::new(First { input: first, beside: Some(beside), position }));
    Ok(parts)
}

/// The first part, with what comes along.
struct First {
    input: Box<dyn MergeInput>,
    beside: Option<Beside>,
    position: (String, i64),
}

impl MergeInput for First {
    fn next(&mut self) -> Result<Option<Piece>, InputError> {
        let found = self.input.next()?;
        let Some(beside) = &mut self.beside else { return Ok(found) };
        let over = found.is_none() && beside.dead_letters.is_empty() && beside.seen.is_empty();
        if over {
            self.beside = None;
            return Ok(None);
        }
        let mut piece = found.unwrap_or_default();
        let some = beside.dead_letters.len().min(LETTERS);
        piece.dead_letters.extend(beside.dead_letters.drain(..some));
        piece.seen = std::mem::take(&mut beside.seen);
        piece.position = self.position.clone();
        Ok(Some(piece))
    }
}

/// Rows in memory.
#[derive(Default)]
struct Held {
    batches: Vec<(Arc<str>, RecordBatch)>,
    rows: VecDeque<PieceRow>,
    bytes: usize,
}

impl Held {
    fn take(&mut self, batches: Vec<(Arc<str>, RecordBatch)>, rows: &[PieceRow]) {
        let from = self.batches.len();
        self.bytes += batches.iter().map(|(_, rows)| rows.get_array_memory_size()).sum::<usize>();
        self.bytes += size_of_val(rows);
        self.batches.extend(batches);
        self.rows.extend(rows.iter().map(|row| PieceRow { batch: from + row.batch, ..*row }));
    }

    /// By time; what is alike stays in the order of the lines.
    fn sort(&mut self) {
        self.rows.make_contiguous().sort_by_key(|row| row.at);
    }

    /// The next rows as batches of their own, one a source.
    fn piece(&mut self) -> Option<Piece> {
        let count = self.rows.len().min(PIECE_ROWS);
        if count == 0 {
            return None;
        }
        let mut piece = Piece::default();
        // Number of the source in the piece, and the places that its rows come from.
        let mut sources: Vec<(Arc<str>, Places)> = Vec::new();
        for row in self.rows.drain(..count) {
            let (name, _) = &self.batches[row.batch];
            let batch = match sources.iter().position(|(known, _)| known == name) {
                Some(known) => known,
                None => {
                    sources.push((name.clone(), Vec::new()));
                    sources.len() - 1
                }
            };
            let places = &mut sources[batch].1;
            piece.rows.push(PieceRow { at: row.at, batch, row: places.len() });
            places.push((row.batch, row.row));
        }
        for (name, mut places) in sources {
            // Only the batches in use: the kernel looks at all that it is given.
            let mut used: Vec<usize> = places.iter().map(|p| p.0).collect();
            used.sort_unstable();
            used.dedup();
            let batches: Vec<&RecordBatch> = used.iter().map(|b| &self.batches[*b].1).collect();
            for place in &mut places {
                place.0 = used.binary_search(&place.0).expect("the batches in use were taken from these places");
            }
            let rows = interleave_record_batch(&batches, &places).expect("the batches of a source have one schema");
            piece.batches.push((name, rows));
        }
        Some(piece)
    }

    /// Sorts the rows and puts them into a file.
    fn spill(mut self) -> io::Result<Spilt> {
        self.sort();
        let mut out = BufWriter::with_capacity(1 << 20, nameless()?);
        while let Some(piece) = self.piece() {
            write_piece(&mut out, &piece)?;
        }
        let mut file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.seek(SeekFrom::Start(0))?;
        Ok(Spilt { file: BufReader::with_capacity(1 << 18, file) })
    }
}

impl MergeInput for Held {
    fn next(&mut self) -> Result<Option<Piece>, InputError> {
        Ok(self.piece())
    }
}

/// A file that is gone with the process, however it ends.
fn nameless() -> io::Result<File> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("forewarn-sort-{}-{number}", std::process::id()));
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

/// Sorted rows in a file.
struct Spilt {
    file: BufReader<File>,
}

/// What stands in front of the batches of a piece: their sources and lengths, and the rows in order.
#[derive(Serialize, Deserialize)]
struct PieceHead {
    batches: Vec<(String, u64)>,
    rows: Vec<(i64, u32, u32)>,
}

fn write_piece(out: &mut impl Write, piece: &Piece) -> io::Result<()> {
    let mut bodies = Vec::new();
    let mut batches = Vec::new();
    for (source, rows) in &piece.batches {
        let from = bodies.len();
        let mut writer = StreamWriter::try_new(&mut bodies, &rows.schema()).map_err(io::Error::other)?;
        writer.write(rows).and_then(|()| writer.finish()).map_err(io::Error::other)?;
        drop(writer);
        batches.push((source.to_string(), (bodies.len() - from) as u64));
    }
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let rows = piece.rows.iter().map(|r| (r.at, number(r.batch), number(r.row))).collect();
    let head = postcard::to_allocvec(&PieceHead { batches, rows }).map_err(io::Error::other)?;
    out.write_all(&(head.len() as u64).to_le_bytes())?;
    out.write_all(&head)?;
    out.write_all(&bodies)
}

fn read_piece(from: &mut impl Read) -> io::Result<Option<Piece>> {
    let mut length = [0; 8];
    match from.read_exact(&mut length) {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let mut bytes = |length: u64| {
        let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        from.read_exact(&mut bytes).map(|()| bytes)
    };
    let head: PieceHead = postcard::from_bytes(&bytes(u64::from_le_bytes(length))?).map_err(io::Error::other)?;
    let mut piece = Piece::default();
    for (source, length) in head.batches {
        let body = bytes(length)?;
        let mut reader = StreamReader::try_new(body.as_slice(), None).map_err(io::Error::other)?;
        let rows = reader.next().ok_or_else(|| io::Error::other("a batch without rows"))?.map_err(io::Error::other)?;
        piece.batches.push((source.as_str().into(), rows));
    }
    let rows = head.rows.into_iter();
    piece.rows = rows.map(|(at, batch, row)| PieceRow { at, batch: batch as usize, row: row as usize }).collect();
    Ok(Some(piece))
}

impl MergeInput for Spilt {
    fn next(&mut self) -> Result<Option<Piece>, InputError> {
        read_piece(&mut self.file).map_err(|source| InputError::Sort { source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Merge;
    use arrow::array::{AsArray, Int64Array};
    use arrow::datatypes::{DataType, Field, Int64Type, Schema};
    use proptest::prelude::*;

    /// Pieces of times; each row's column is its number in the input.
    struct Lines(VecDeque<Vec<i64>>, i64);

    impl MergeInput for Lines {
        fn next(&mut self) -> Result<Option<Piece>, InputError> {
            let Some(times) = self.0.pop_front() else { return Ok(None) };
            let numbers: Vec<i64> = (self.1..).take(times.len()).collect();
            self.1 += times.len() as i64;
            let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
            let batch = RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from(numbers))]).unwrap();
            let rows = times.iter().enumerate().map(|(row, at)| PieceRow { at: *at, batch: 0, row }).collect();
            Ok(Some(Piece {
                batches: vec![("s".into(), batch)],
                rows,
                seen: [("iot".to_owned(), times.len() as u64)].into(),
                position: ("s/0".to_owned(), self.1),
                ..Piece::default()
            }))
        }
    }

    fn order(pieces: &[Vec<i64>], budget: usize) -> (Vec<i64>, u64) {
        let input = Box::new(Lines(pieces.to_vec().into(), 0));
        let mut merge = Merge::new(ordered(input, budget).unwrap());
        let (mut numbers, mut seen) = (Vec::new(), 0);
        while let Some(frame) = merge.next_frame().unwrap() {
            seen += frame.seen.values().sum::<u64>();
            for (_, rows) in frame.rows {
                numbers.extend(rows.column(0).as_primitive::<Int64Type>().values());
            }
        }
        (numbers, seen)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn rows_come_by_time_and_then_by_line_in_memory_or_from_files(
            pieces in proptest::collection::vec(proptest::collection::vec(0_i64..50, 0..40), 0..12),
        ) {
            let all: Vec<i64> = pieces.iter().flatten().copied().collect();
            let mut expected: Vec<i64> = (0..all.len() as i64).collect();
            expected.sort_by_key(|n| all[*n as usize]);
            for budget in [usize::MAX, 2_000, 0] {
                let (numbers, seen) = order(&pieces, budget);
                prop_assert_eq!(&numbers, &expected, "budget {}", budget);
                prop_assert_eq!(seen, all.len() as u64);
            }
        }
    }

    #[test]
    fn one_wild_time_holds_back_nothing_but_itself() {
        let (numbers, _) = order(&[vec![1, 999_999_999, 2, 3], vec![4, 5]], usize::MAX);
        assert_eq!(numbers, [0, 2, 3, 4, 5, 1]);
    }
}
