//! Files of records as inputs: CSV, NDJSON or JSON, packed with gzip or not.
//!
//! In: a file and the source it is of; without a source, our own envelope with all kinds mixed. Out: mapped pieces, in
//! file order. Promise: every record of the file is a row or a dead letter with its byte position.

use super::merge::{MergeInput, Piece, PieceRow};
use super::store::FilePlace;
use crate::clock::now_ms;
use crate::intake::{MapError, Mapper, Message, Options, kind_of};
use crate::log::{Block, DeadLetter};
use crate::pack::{Format, Pack};
use crate::record::{Kind, Millis};
use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// It cannot be read.
    #[error("could not read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The source cannot be used for it.
    #[error("{path}")]
    Map {
        /// The file.
        path: PathBuf,
        /// Why.
        source: MapError,
    },
    /// A file that is followed cannot be packed.
    #[error("{path} is packed and cannot grow; name the folder it is dropped into, or read it with `forewarn replay`")]
    Packed {
        /// The file.
        path: PathBuf,
    },
    /// Rows could not be put in order.
    #[error("could not use a file in the folder for temporary files (TMPDIR)")]
    Sort {
        /// Why.
        source: std::io::Error,
    },
    /// The pack has no source for a kind.
    #[error("the pack has no envelope source of kind {kind}, which {path} needs")]
    NoSource {
        /// The kind.
        kind: &'static str,
        /// The file.
        path: PathBuf,
    },
}

/// Which records of a file are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Registry records: they are loaded before the first row.
    Registry,
    /// All others.
    Rest,
}

/// A record of a history that lies so far ahead of the wall clock is no history but an error of writing, ms: a year, as
/// machines that judge history may have a wrong clock, and one such row moves log time to its end.
const AHEAD: Millis = 366 * 86_400_000;
/// Bytes read at once.
const PIECE: usize = 1 << 20;

enum Form {
    Csv { header: bool },
    Lines,
    Whole,
}

/// One file.
pub struct FileInput {
    path: PathBuf,
    raw: Arc<str>,
    origin: String,
    read: Box<dyn Read>,
    form: Form,
    /// One per source; for mixed files by kind.
    mappers: BTreeMap<Kind, Mapper>,
    mixed: Option<Part>,
    buffer: Vec<u8>,
    /// Position of the buffer's first byte.
    at: i64,
    ended: bool,
    /// Wall time that rows are judged against; 0 with `clock: records`.
    wall: Millis,
}

impl FileInput {
    /// Opens a file of a source.
    ///
    /// # Errors
    /// When it cannot be opened, or the source cannot be used.
    pub fn of_source(
        pack: &Pack,
        source: &str,
        number: usize,
        path: &Path,
        options: &Options,
    ) -> Result<FileInput, InputError> {
        let map = |source| InputError::Map { path: path.to_owned(), source };
        let mapper = Mapper::new(pack, source, options).map_err(map)?;
        let spec = pack.sources.get(source);
        let form = match spec.map(|s| s.format) {
            Some(Format::Csv) => Form::Csv { header: false },
            Some(Format::Ndjson) => Form::Lines,
            _ => form_of(path),
        };
        let kind = spec.map_or(Kind::Iot, |s| s.kind);
        FileInput::open(path, format!("{source}/{number}"), form, [(kind, mapper)].into(), None)
    }

    /// The same as a part of a history that may be read again: named by its own raw partition, read up to the byte at
    /// which it ended when the history began at `place.modified`.
    ///
    /// # Errors
    /// As [`FileInput::of_source`].
    pub fn of_history(
        pack: &Pack,
        source: &str,
        raw: &str,
        path: &Path,
        place: &FilePlace,
        options: &Options,
    ) -> Result<FileInput, InputError> {
        let mut input = FileInput::of_source(pack, source, 0, path, options)?;
        (input.raw, input.read) = (raw.into(), read_to(path, place.at)?);
        input.set_begun(place.modified);
        Ok(input)
    }

    /// The wall time at which the reading of a history began.
    fn set_begun(&mut self, begun: Millis) {
        for mapper in self.mappers.values_mut() {
            mapper.set_latest(begun.saturating_add(AHEAD));
        }
    }

    /// The same, named by its own raw partition and read on from a byte.
    ///
    /// - `at`: a byte that an earlier reading gave as its position
    ///
    /// # Errors
    /// When it cannot be read, or the source cannot be used.
    pub fn resume(
        pack: &Pack,
        source: &str,
        raw: String,
        path: &Path,
        at: u64,
        options: &Options,
    ) -> Result<FileInput, InputError> {
        let mut input = FileInput::of_source(pack, source, 0, path, options)?;
        input.raw = raw.into();
        if at == 0 {
            return Ok(input);
        }
        // The header of a CSV file stands in front of every place in it.
        while matches!(input.form, Form::Csv { header: false }) && !input.ended {
            input.fill()?;
            let used = input.header()?;
            input.buffer.drain(..used);
            input.at += i64::try_from(used).unwrap_or(0);
        }
        let at = i64::try_from(at).unwrap_or(i64::MAX);
        while input.at < at && !(input.ended && input.buffer.is_empty()) {
            if input.buffer.is_empty() {
                input.fill()?;
            }
            let step = usize::try_from(at - input.at).unwrap_or(usize::MAX).min(input.buffer.len());
            input.buffer.drain(..step);
            input.at += i64::try_from(step).unwrap_or(0);
        }
        Ok(input)
    }

    /// Judges the next rows against a wall time.
    pub fn set_wall(&mut self, wall: Millis) {
        self.wall = wall;
    }

    /// Learns the header of a CSV file; gives the bytes used, 0 while it is not whole.
    fn header(&mut self) -> Result<usize, InputError> {
        let end = match self.buffer.iter().position(|b| *b == b'\n') {
            Some(n) => n + 1,
            None if self.ended => self.buffer.len(),
            None => return Ok(0),
        };
        let first = self.buffer.get(..end).unwrap_or_default();
        if let Some(mapper) = self.mappers.values_mut().next() {
            mapper
                .push_csv_header(&self.origin, first)
                .map_err(|source| InputError::Map { path: self.path.clone(), source })?;
        }
        self.form = Form::Csv { header: true };
        Ok(end)
    }

    /// Opens a file of our own envelope with all kinds mixed, for the registry records or for the others.
    ///
    /// # Errors
    /// When it cannot be opened, or the pack lacks an envelope source.
    pub fn of_envelope(
        pack: &Pack,
        number: usize,
        path: &Path,
        part: Part,
        options: &Options,
    ) -> Result<FileInput, InputError> {
        let mut mappers = BTreeMap::new();
        for kind in Kind::OUTSIDE {
            if (kind == Kind::Registry) != (part == Part::Registry) {
                continue;
            }
            let source = pack
                .sources
                .values()
                .find(|s| s.envelope && s.kind == kind)
                .ok_or_else(|| InputError::NoSource { kind: kind.word(), path: path.to_owned() })?;
            let map = |source| InputError::Map { path: path.to_owned(), source };
            mappers.insert(kind, Mapper::new(pack, &source.name, options).map_err(map)?);
        }
        FileInput::open(path, format!("envelope/{number}"), form_of(path), mappers, Some(part))
    }

    fn open(
        path: &Path,
        raw: String,
        form: Form,
        mappers: BTreeMap<Kind, Mapper>,
        mixed: Option<Part>,
    ) -> Result<FileInput, InputError> {
        let read = read_to(path, u64::MAX)?;
        let mut input = FileInput {
            origin: path.display().to_string(),
            path: path.to_owned(),
            raw: raw.into(),
            read,
            form,
            mappers,
            mixed,
            buffer: Vec::new(),
            at: 0,
            ended: false,
            wall: 0,
        };
        input.set_begun(now_ms());
        Ok(input)
    }

    /// The raw partition that the file stands for.
    #[must_use]
    pub fn raw(&self) -> &Arc<str> {
        &self.raw
    }

    fn fill(&mut self) -> Result<(), InputError> {
        let from = self.buffer.len();
        let want = if matches!(self.form, Form::Whole) { usize::MAX } else { PIECE };
        let mut limited = (&mut self.read).take(want as u64);
        let read = limited
            .read_to_end(&mut self.buffer)
            .map_err(|source| InputError::Read { path: self.path.clone(), source })?;
        self.ended = read < want || self.buffer.len() == from;
        Ok(())
    }

    /// Splits a mixed file's lines by their kind.
    fn mixed_lines(&mut self, part: Part, dead: &mut Vec<DeadLetter>) -> usize {
        let mut from = 0;
        while let Some(rest) = self.buffer.get(from..).filter(|r| !r.is_empty()) {
            let (length, next) = match rest.iter().position(|b| *b == b'\n') {
                Some(n) => (n, from + n + 1),
                None if self.ended => (rest.len(), self.buffer.len()),
                None => break,
            };
            let line = rest.get(..length).unwrap_or_default();
            let offset = self.at + i64::try_from(from).unwrap_or(0);
            from = next;
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let message = Message { raw: &self.raw, origin: &self.origin, offset, payload: Some(line) };
            match kind_of(line) {
                Some(kind) => {
                    if let Some(mapper) = self.mappers.get_mut(&kind) {
                        mapper.push(&message, self.wall);
                    }
                }
                None if part == Part::Rest => dead.push(DeadLetter {
                    reason: "kind".to_owned(),
                    field: Some("kind".to_owned()),
                    detail: "no kind of record can be read from the line".to_owned(),
                    kind: "unknown".to_owned(),
                    source: "envelope".to_owned(),
                    raw: self.raw.to_string(),
                    origin: self.origin.clone(),
                    offset,
                    row: 0,
                    length: line.len() as u64,
                    sha256: Sha256::digest(line).iter().map(|b| format!("{b:02x}")).collect(),
                    at: 0,
                }),
                None => {}
            }
        }
        from
    }

    fn push(&mut self, dead: &mut Vec<DeadLetter>) -> Result<usize, InputError> {
        if let Some(part) = self.mixed {
            return Ok(self.mixed_lines(part, dead));
        }
        let mut used = 0;
        if matches!(self.form, Form::Csv { header: false }) {
            used = self.header()?;
            if used == 0 && !self.ended {
                return Ok(0);
            }
        }
        let Some(mapper) = self.mappers.values_mut().next() else { return Ok(self.buffer.len()) };
        let rest = self.buffer.get(used..).unwrap_or_default();
        let offset = self.at + i64::try_from(used).unwrap_or(0);
        let message = Message { raw: &self.raw, origin: &self.origin, offset, payload: Some(rest) };
        Ok(used
            + match self.form {
                Form::Csv { .. } => mapper.push_csv_rows(&message, self.ended, self.wall),
                Form::Lines => mapper.push_lines(&message, self.ended, self.wall),
                Form::Whole => {
                    mapper.push(&message, self.wall);
                    rest.len()
                }
            })
    }
}

fn read_to(path: &Path, end: u64) -> Result<Box<dyn Read>, InputError> {
    let file = File::open(path).map_err(|source| InputError::Read { path: path.to_owned(), source })?;
    let file = BufReader::with_capacity(PIECE, file.take(end));
    Ok(if path.extension().is_some_and(|e| e == "gz") { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) })
}

fn form_of(path: &Path) -> Form {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let name = name.strip_suffix(".gz").unwrap_or(&name).to_owned();
    if name.ends_with(".json") { Form::Whole } else { Form::Lines }
}

/// Takes what the mappers made into a piece: rows in the order of their offsets, dead letters, counts.
pub(super) fn gather(mappers: &mut BTreeMap<Kind, Mapper>, piece: &mut Piece) {
    let mut order = Vec::new();
    for (kind, mapper) in mappers {
        let mapped = mapper.take();
        // What could not be split counts as of kind unknown, as its dead letter says.
        let split = mapped.dead_letters.iter().filter(|d| d.kind != kind.word()).count() as u64;
        *piece.seen.entry(kind.word().to_owned()).or_default() += mapped.seen - split;
        if split > 0 {
            *piece.seen.entry("unknown".to_owned()).or_default() += split;
        }
        piece.dead_letters.extend(mapped.dead_letters);
        let offsets = mapped.rows.column_by_name(Block::OFFSET).and_then(|c| c.as_primitive_opt::<Int64Type>());
        let batch = piece.batches.len();
        for (row, at) in mapped.merge_time.iter().enumerate() {
            let offset = offsets.map_or(0, |o| o.value(row));
            order.push((offset, PieceRow { at: *at, batch, row }));
        }
        piece.batches.push((mapped.source.clone(), mapped.rows));
    }
    piece.seen.retain(|_, n| *n > 0);
    order.sort_by_key(|(offset, row)| (*offset, row.batch, row.row));
    piece.rows = order.into_iter().map(|(_, row)| row).collect();
}

impl MergeInput for FileInput {
    fn next(&mut self) -> Result<Option<Piece>, InputError> {
        if self.ended && self.buffer.is_empty() {
            return Ok(None);
        }
        if !self.ended {
            self.fill()?;
        }
        let mut piece = Piece::default();
        let used = self.push(&mut piece.dead_letters)?;
        self.buffer.drain(..used);
        self.at += i64::try_from(used).unwrap_or(0);
        if self.ended {
            self.buffer.clear();
        }
        if !piece.dead_letters.is_empty() {
            piece.seen.insert("unknown".to_owned(), piece.dead_letters.len() as u64);
        }
        gather(&mut self.mappers, &mut piece);
        piece.position = (self.raw.to_string(), self.at);
        Ok(Some(piece))
    }
}
