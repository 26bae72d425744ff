//! Fetches the bytes of dead letters again from where they came, and sends them in once more.
//!
//! In: pointers (file, position, length, hash). Out: the same bytes, or why they cannot be had; rows, when they are
//! mapped again. Promise: bytes that do not have the pointer's SHA-256 are never used; they are kept in memory only.
//! Not here: showing them (`intake::shown`), bytes that came over Kafka.

use super::input::{InputError, gather};
use super::merge::{MergeInput, Piece};
use super::{DeadLetter, Part};
use crate::intake::{Mapper, Message, Options, kind_of};
use crate::pack::{Format, Pack};
use crate::record::{Kind, Millis};
use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

/// Why the bytes of a dead letter cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Unrecoverable {
    /// Gone, aged out, or never a file.
    #[error("{origin} cannot be read")]
    Gone {
        /// File or topic.
        origin: String,
        /// Why.
        source: io::Error,
    },
    /// The file was changed or replaced.
    #[error("{origin} has other bytes at {offset} now")]
    Changed {
        /// The file.
        origin: String,
        /// Position.
        offset: i64,
    },
}

fn open(origin: &str) -> io::Result<Box<dyn BufRead>> {
    let file = BufReader::new(File::open(origin)?);
    let gz = Path::new(origin).extension().is_some_and(|e| e == "gz");
    Ok(if gz { Box::new(BufReader::new(MultiGzDecoder::new(file))) } else { Box::new(file) })
}

/// The bytes of a dead letter, from its file, packed with gzip or not.
///
/// # Errors
/// [`Unrecoverable`] when the file is gone or holds other bytes there.
pub fn fetch(letter: &DeadLetter) -> Result<Vec<u8>, Unrecoverable> {
    let gone = |source| Unrecoverable::Gone { origin: letter.origin.clone(), source };
    let changed = || Unrecoverable::Changed { origin: letter.origin.clone(), offset: letter.offset };
    let offset = u64::try_from(letter.offset).map_err(|_| changed())?;
    let mut from: Box<dyn Read> = if Path::new(&letter.origin).extension().is_some_and(|e| e == "gz") {
        let mut read = open(&letter.origin).map_err(gone)?;
        // A packed file has no places to jump to.
        io::copy(&mut (&mut read).take(offset), &mut io::sink()).map_err(gone)?;
        Box::new(read)
    } else {
        let mut file = File::open(&letter.origin).map_err(gone)?;
        file.seek(SeekFrom::Start(offset)).map_err(gone)?;
        Box::new(file)
    };
    let mut bytes = Vec::new();
    (&mut from).take(letter.length).read_to_end(&mut bytes).map_err(gone)?;
    let hash: String = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
    if hash == letter.sha256 { Ok(bytes) } else { Err(changed()) }
}

/// The first line of a file: the header of a CSV feed.
pub(crate) fn header(origin: &str) -> Result<Vec<u8>, Unrecoverable> {
    let gone = |source| Unrecoverable::Gone { origin: origin.to_owned(), source };
    let mut line = Vec::new();
    open(origin).map_err(gone)?.read_until(b'\n', &mut line).map_err(gone)?;
    Ok(line)
}

/// Dead letters of one source and file, as an input of a merge: mapped and judged like new records, with the places
/// where they stand in the file.
pub struct Recovered {
    origin: String,
    raw: Arc<str>,
    form: Format,
    mappers: BTreeMap<Kind, Mapper>,
    /// Position and bytes, in file order; a message of several records once.
    bytes: Vec<(i64, Vec<u8>)>,
    mixed: bool,
    /// Wall time that rows are judged against; 0 with `clock: records`.
    wall: Millis,
}

/// Dead letters whose bytes cannot be had again, and why.
pub type Lost<'a> = Vec<(&'a DeadLetter, Unrecoverable)>;

impl Recovered {
    /// Fetches what can be had. Returns the inputs of one part (registry records are loaded before the others), and
    /// the letters that cannot be had with the reason.
    ///
    /// # Errors
    /// When a source of the pack cannot be used, or a CSV file has another header than the source asks for.
    pub fn inputs<'a>(
        pack: &Pack,
        letters: &'a [DeadLetter],
        part: Part,
        options: &Options,
    ) -> Result<(Vec<Recovered>, Lost<'a>), InputError> {
        let mut groups: BTreeMap<(String, String), Vec<&DeadLetter>> = BTreeMap::new();
        for letter in letters {
            // Without a source of that name the record's own `kind` decides, as for a mixed file.
            let source = if pack.sources.contains_key(&letter.source) { letter.source.clone() } else { String::new() };
            groups.entry((letter.origin.clone(), source)).or_default().push(letter);
        }
        let (mut inputs, mut lost) = (Vec::new(), Vec::new());
        for (number, ((origin, source), letters)) in groups.into_iter().enumerate() {
            let spec = pack.sources.get(&source);
            let registry = spec.is_some_and(|s| s.kind == Kind::Registry);
            if registry != (part == Part::Registry) {
                continue;
            }
            let map = |source| InputError::Map { path: origin.clone().into(), source };
            let mut mappers = BTreeMap::new();
            let envelope = pack.sources.values().filter(|s| s.envelope && spec.is_none());
            for s in spec.into_iter().chain(envelope) {
                mappers.insert(s.kind, Mapper::new(pack, &s.name, options).map_err(map)?);
            }
            let form = match spec.map_or(Format::Json, |s| s.format) {
                Format::Csv => Format::Csv,
                _ if origin.trim_end_matches(".gz").ends_with(".json") => Format::Json,
                _ => Format::Ndjson,
            };
            if form == Format::Csv {
                match header(&origin) {
                    Ok(line) => {
                        for mapper in mappers.values_mut() {
                            mapper.push_csv_header(&origin, &line).map_err(map)?;
                        }
                    }
                    Err(_) => {
                        lost.extend(letters.iter().filter_map(|l| fetch(l).err().map(|e| (*l, e))));
                        continue;
                    }
                }
            }
            let mut bytes = Vec::new();
            let mut places = BTreeSet::new();
            for letter in letters {
                match fetch(letter) {
                    Ok(found) if places.insert(letter.offset) => bytes.push((letter.offset, found)),
                    Ok(_) => {}
                    Err(e) => lost.push((letter, e)),
                }
            }
            bytes.sort();
            let name = if source.is_empty() { "envelope" } else { source.as_str() };
            let raw = format!("{name}/{number}").into();
            inputs.push(Recovered { origin, raw, form, mappers, bytes, mixed: spec.is_none(), wall: 0 });
        }
        Ok((inputs, lost))
    }

    /// Judges the rows against a wall time.
    pub fn set_wall(&mut self, wall: Millis) {
        self.wall = wall;
    }

    /// Messages that could be fetched.
    #[must_use]
    pub fn messages(&self) -> usize {
        self.bytes.len()
    }
}

impl MergeInput for Recovered {
    fn next(&mut self) -> Result<Option<Piece>, InputError> {
        if self.bytes.is_empty() {
            return Ok(None);
        }
        let mut piece = Piece::default();
        for (offset, bytes) in std::mem::take(&mut self.bytes) {
            let message = Message { raw: &self.raw, origin: &self.origin, offset, payload: Some(&bytes) };
            // What still says no kind is judged by the first mapper, which gives the reason.
            let kind = kind_of(&bytes).filter(|k| self.mixed && self.mappers.contains_key(k));
            let mapper = match kind {
                Some(kind) => self.mappers.get_mut(&kind),
                None => self.mappers.values_mut().next(),
            };
            let Some(mapper) = mapper else { continue };
            match self.form {
                Format::Csv => {
                    mapper.push_csv_rows(&message, true, self.wall);
                }
                Format::Ndjson => {
                    mapper.push_lines(&message, true, self.wall);
                }
                Format::Json => mapper.push(&message, self.wall),
            }
            piece.position = (self.raw.to_string(), offset);
        }
        gather(&mut self.mappers, &mut piece);
        Ok(Some(piece))
    }
}
