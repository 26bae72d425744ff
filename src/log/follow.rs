//! Follows files as they grow, and folders into which files are dropped: the inputs of an embedded run.
//!
//! In: a source and a path. Out: rows of whole lines with their places, dead letters, and whether everything that was
//! there has been read. Promise: every line is read once, in order, across restarts, when the file only grows or is
//! rotated (renamed away and begun anew) under the same folder; of a folder each file is read once it is whole. A file
//! is known again by its first bytes, not by its name alone. A line without its line break waits for it.
//! Not here: what moves log time (`local`), files that are read as history (`input`).

use super::input::{FileInput, InputError, gather};
use super::merge::{MergeInput, Piece};
use super::store::FilePlace;
use super::{Committed, DeadLetter};
use crate::intake::{Mapper, Message, Options};
use crate::pack::{Format, Pack};
use crate::record::{Kind, Millis};
use arrow::record_batch::RecordBatch;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// Bytes read at once.
const PIECE: u64 = 1 << 20;
/// A line above this is a fault of the file: reading goes on behind it at its line break, so it must end somewhere.
const LINE_MAX: u64 = 1 << 26;
/// A file is known again by so many first bytes.
const KNOWN: u64 = 1_024;
/// A dropped file is whole when it has not changed for this long, ms: a copy writes more often.
const SETTLED: Millis = 2_000;
/// A folder is listed this often, ms.
const LISTED: Millis = 500;

/// What one look at an input gave.
#[derive(Debug, Default)]
pub(super) struct Look {
    pub(super) rows: Vec<(Arc<str>, RecordBatch)>,
    pub(super) record: Committed,
    pub(super) bytes: u64,
    /// Everything that was there when the look began is read, this look's rows included.
    pub(super) at_end: bool,
    /// Files of a folder are there that somebody may still be writing; `at_end` does not count them.
    pub(super) settling: bool,
}

impl Look {
    pub(super) fn take(&mut self, piece: Piece) {
        self.rows.extend(piece.batches.into_iter().filter(|(_, rows)| rows.num_rows() > 0));
        self.record.dead_letters.extend(piece.dead_letters);
        for (kind, n) in piece.seen {
            *self.record.seen.entry(kind).or_default() += n;
        }
    }

    /// Puts what another look gave behind this one.
    pub(super) fn extend(&mut self, later: Look) {
        self.rows.extend(later.rows);
        self.record.files.extend(later.record.files);
        self.record.dead_letters.extend(later.record.dead_letters);
        for (kind, n) in later.record.seen {
            *self.record.seen.entry(kind).or_default() += n;
        }
    }

    /// Nothing has to be committed.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
            && self.record.files.is_empty()
            && self.record.seen.is_empty()
            && self.record.dead_letters.is_empty()
    }
}

/// An input of an embedded run.
pub(super) struct Follow {
    /// Name of the source.
    pub(super) source: String,
    pub(super) kind: Kind,
    /// The raw partition whose mark this input moves.
    pub(super) mark: String,
    what: What,
}

enum What {
    File(Box<Growing>),
    Folder(Box<Folder>),
}

impl Follow {
    /// - `path`: a folder when it is one, or its name ends with a slash; else a file, which may come later
    /// - `places`: where the log says that files stand
    ///
    /// # Errors
    /// When the source cannot be used, or not with such a file.
    pub(super) fn new(
        pack: &Arc<Pack>,
        source: &str,
        path: &Path,
        places: &BTreeMap<String, Option<FilePlace>>,
        options: &Options,
    ) -> Result<Follow, InputError> {
        let map = |source| InputError::Map { path: path.to_owned(), source };
        let mapper = Mapper::new(pack, source, options).map_err(map)?;
        let (kind, format) = pack.sources.get(source).map_or((Kind::Iot, Format::Json), |s| (s.kind, s.format));
        let mark = format!("{source}/0");
        let folder = path.is_dir() || path.as_os_str().to_string_lossy().ends_with('/');
        let what = if folder {
            let own = format!("{source}/");
            let known = places.iter().filter_map(|(raw, place)| {
                let name = raw.strip_prefix(&own)?;
                Some((name.to_owned(), place.clone()?))
            });
            What::Folder(Box::new(Folder {
                pack: pack.clone(),
                source: source.to_owned(),
                options: options.clone(),
                path: path.to_owned(),
                places: known.collect(),
                looked: BTreeMap::new(),
                open: None,
                listed: None,
            }))
        } else {
            if path.extension().is_some_and(|e| e == "gz") {
                return Err(InputError::Packed { path: path.to_owned() });
            }
            let known = places.get(&mark).cloned().flatten();
            What::File(Box::new(Growing {
                raw: mark.as_str().into(),
                origin: path.display().to_string(),
                path: path.to_owned(),
                csv: format == Format::Csv,
                mappers: [(kind, mapper)].into(),
                file: None,
                header: false,
                piece: PIECE,
                searched: 0,
                place: known.unwrap_or_default(),
            }))
        };
        Ok(Follow { source: source.to_owned(), kind, mark, what })
    }

    /// Reads what is there, a piece at the most.
    ///
    /// - `wall`: the wall time; what was written before it is in the file
    ///
    /// # Errors
    /// When it cannot be read now; a later look may succeed.
    pub(super) fn look(&mut self, wall: Millis) -> Result<Look, InputError> {
        match &mut self.what {
            What::File(file) => file.look(wall),
            What::Folder(folder) => folder.look(wall),
        }
    }
}

/// A file that grows.
struct Growing {
    path: PathBuf,
    raw: Arc<str>,
    origin: String,
    csv: bool,
    mappers: BTreeMap<Kind, Mapper>,
    file: Option<File>,
    /// The CSV header of the open file is known.
    header: bool,
    /// Bytes to read at once: more while a line is longer.
    piece: u64,
    /// A line longer than any message may be has no line break before this.
    searched: u64,
    place: FilePlace,
}

impl Growing {
    fn look(&mut self, wall: Millis) -> Result<Look, InputError> {
        let path = self.path.clone();
        let failed = |source| InputError::Read { path: path.clone(), source };
        let before = self.place.clone();
        let mut look = Look::default();
        if self.file.is_none() {
            self.open().map_err(failed)?;
        }
        let Some(file) = self.file.take() else { return Ok(look) };
        // Asked before the length: a file that was renamed away gets no more lines than it then has.
        let moved = self.moved(&file).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        if length < self.place.at || (length != self.place.length && !self.is_known(&file).map_err(failed)?) {
            tracing::warn!(file = self.origin, "the file was written anew; it is read from its beginning");
            self.begin();
        }
        self.place.length = length;
        if self.csv && !self.header && !self.learn(&file, length, moved)? {
            look.at_end = !moved;
            return self.seen_off(file, moved && length == 0, before, look);
        }
        let want = (length - self.place.at.min(length)).min(self.piece);
        if want == 0 && !moved && !self.path.exists() {
            // Read to its end and gone: a rotation puts a new one here at once, else nobody writes any more.
            self.file = Some(file);
            return Err(failed(io::ErrorKind::NotFound.into()));
        }
        let bytes = read_at(&file, self.place.at, want).map_err(failed)?;
        let all = self.place.at + want == length;
        let offset = i64::try_from(self.place.at).unwrap_or(i64::MAX);
        let raw = self.raw.clone();
        let origin = self.origin.clone();
        let message = Message { raw: &raw, origin: &origin, offset, payload: Some(&bytes) };
        let last = moved && all;
        let mut used = 0;
        for mapper in self.mappers.values_mut() {
            used = if self.csv {
                mapper.push_csv_rows(&message, last, wall)
            } else {
                mapper.push_lines(&message, last, wall)
            };
        }
        if used == 0 && want == LINE_MAX && !all {
            // Longer than any message may be: one dead letter for what was read, and on behind its line break.
            let Some(end) = self.line_break(&file, length).map_err(failed)? else {
                look.at_end = !moved;
                return self.seen_off(file, moved, before, look);
            };
            for mapper in self.mappers.values_mut() {
                mapper.push_lines(&message, true, wall);
            }
            used = usize::try_from(end - self.place.at).unwrap_or(usize::MAX);
        }
        self.searched = 0;
        self.piece = if used == 0 && !all { (self.piece * 2).min(LINE_MAX) } else { PIECE };
        self.place.at += used as u64;
        look.bytes = used as u64;
        look.at_end = all && !moved;
        let mut piece = Piece::default();
        gather(&mut self.mappers, &mut piece);
        look.take(piece);
        self.know(&file).map_err(failed)?;
        self.seen_off(file, last, before, look)
    }

    /// Where the line ends that begins at the place, as far as the file goes; what was searched is not searched again.
    fn line_break(&mut self, file: &File, length: u64) -> io::Result<Option<u64>> {
        let mut at = self.searched.max(self.place.at + LINE_MAX);
        while at < length {
            let bytes = read_at(file, at, (length - at).min(PIECE))?;
            if let Some(n) = bytes.iter().position(|b| *b == b'\n') {
                return Ok(Some(at + n as u64 + 1));
            }
            at += bytes.len() as u64;
            if bytes.is_empty() {
                break;
            }
        }
        self.searched = at;
        Ok(None)
    }

    /// Ends a look: the file stays open, or a file that was renamed away is left at its end.
    fn seen_off(&mut self, file: File, over: bool, before: FilePlace, mut look: Look) -> Result<Look, InputError> {
        if over {
            self.begin();
        } else {
            self.file = Some(file);
        }
        if self.place.at != before.at || self.place.sum != before.sum {
            look.record.files.insert(self.raw.to_string(), Some(self.place.clone()));
        }
        Ok(look)
    }

    /// A new file, from its beginning.
    fn begin(&mut self) {
        self.place = FilePlace::default();
        self.header = false;
        self.piece = PIECE;
        self.searched = 0;
    }

    /// Opens the file; the one that was read before when it was renamed away meanwhile.
    fn open(&mut self) -> io::Result<()> {
        let file = File::open(&self.path)?;
        self.header = false;
        if self.place.at == 0 || (file.metadata()?.len() >= self.place.at && self.is_known(&file)?) {
            self.file = Some(file);
            return Ok(());
        }
        let folder = self.path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut others: Vec<PathBuf> = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_file() && entry.path() != self.path {
                others.push(entry.path());
            }
        }
        others.sort();
        for other in others {
            // A neighbour that cannot be opened is not ours to complain about.
            let Ok(old) = File::open(&other) else { continue };
            if old.metadata()?.len() >= self.place.at && self.is_known(&old)? {
                tracing::info!(file = self.origin, rest = %other.display(), "read on in the file that was renamed");
                self.file = Some(old);
                return Ok(());
            }
        }
        tracing::warn!(file = self.origin, "another file stands here now; it is read from its beginning");
        self.begin();
        self.file = Some(file);
        Ok(())
    }

    /// Another file stands under the name now.
    fn moved(&self, file: &File) -> io::Result<bool> {
        match std::fs::metadata(&self.path) {
            Ok(now) => {
                let was = file.metadata()?;
                Ok((now.dev(), now.ino()) != (was.dev(), was.ino()))
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }

    fn is_known(&self, file: &File) -> io::Result<bool> {
        Ok(self.place.head == 0 || xxh3_64(&read_at(file, 0, self.place.head)?) == self.place.sum)
    }

    /// Learns the first bytes of the file as far as they were read.
    fn know(&mut self, file: &File) -> io::Result<()> {
        let head = self.place.at.min(KNOWN);
        if head > self.place.head {
            self.place.sum = xxh3_64(&read_at(file, 0, head)?);
            self.place.head = head;
        }
        Ok(())
    }

    /// Learns the header of a CSV file; false while its line is not whole.
    fn learn(&mut self, file: &File, length: u64, last: bool) -> Result<bool, InputError> {
        let first = read_at(file, 0, length.min(PIECE));
        let first = first.map_err(|source| InputError::Read { path: self.path.clone(), source })?;
        let end = match first.iter().position(|b| *b == b'\n') {
            Some(n) => n + 1,
            None if last && !first.is_empty() => first.len(),
            None => return Ok(false),
        };
        for mapper in self.mappers.values_mut() {
            mapper
                .push_csv_header(&self.origin, first.get(..end).unwrap_or_default())
                .map_err(|source| InputError::Map { path: self.path.clone(), source })?;
        }
        self.header = true;
        self.place.at = self.place.at.max(end as u64);
        Ok(true)
    }
}

/// Bytes of a file from a place on; fewer where it ends.
fn read_at(file: &File, at: u64, want: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(want).map_err(io::Error::other)?];
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(bytes.get_mut(filled..).unwrap_or_default(), at + filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// A folder into which files are dropped.
struct Folder {
    pack: Arc<Pack>,
    source: String,
    options: Options,
    path: PathBuf,
    /// By name.
    places: BTreeMap<String, FilePlace>,
    /// Length and time of change, and since when they are so.
    looked: BTreeMap<String, (u64, Millis, Millis)>,
    open: Option<(String, FileInput)>,
    listed: Option<Millis>,
}

impl Folder {
    fn raw(&self, name: &str) -> String {
        format!("{}/{name}", self.source)
    }

    fn look(&mut self, wall: Millis) -> Result<Look, InputError> {
        let mut look = Look::default();
        if self.open.is_none() {
            if self.listed.is_some_and(|listed| wall - listed < LISTED) {
                return Ok(look);
            }
            match self.list(wall, &mut look)? {
                Some(name) => self.begin(name, wall, &mut look),
                None => {
                    self.listed = Some(wall);
                    look.at_end = true;
                }
            }
        }
        let Some((name, mut input)) = self.open.take() else { return Ok(look) };
        input.set_wall(wall);
        let was = self.places.get(&name).map_or(0, |p| p.at);
        let place = self.places.entry(name.clone()).or_default();
        match input.next() {
            Ok(Some(mut piece)) => {
                place.at = u64::try_from(piece.position.1).unwrap_or(0);
                look.bytes = place.at.saturating_sub(was);
                piece.seen.retain(|_, n| *n > 0);
                look.take(piece);
                look.record.files.insert(format!("{}/{name}", self.source), Some(place.clone()));
                self.open = Some((name, input));
            }
            Ok(None) => {
                place.done = true;
                look.record.files.insert(format!("{}/{name}", self.source), Some(place.clone()));
            }
            Err(error) => self.refuse(&name, &error, wall, &mut look),
        }
        Ok(look)
    }

    /// The first file that is whole and not read; files that are gone are forgotten.
    fn list(&mut self, wall: Millis, look: &mut Look) -> Result<Option<String>, InputError> {
        let failed = |source| InputError::Read { path: self.path.clone(), source };
        let mut found: BTreeMap<String, (u64, Millis)> = BTreeMap::new();
        for entry in std::fs::read_dir(&self.path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let unfinished = name.starts_with('.') || name.ends_with(".tmp") || name.ends_with(".part");
            // Gone since it was listed: the next look knows.
            let Ok(about) = std::fs::metadata(entry.path()) else { continue };
            if about.is_file() && !unfinished {
                let modified = about.mtime() * 1_000 + about.mtime_nsec() / 1_000_000;
                found.insert(name, (about.len(), modified));
            }
        }
        let gone: Vec<String> = self.places.keys().filter(|name| !found.contains_key(*name)).cloned().collect();
        for name in gone {
            look.record.files.insert(self.raw(&name), None);
            self.places.remove(&name);
        }
        self.looked.retain(|name, _| found.contains_key(name));
        let mut next = None;
        for (name, (length, modified)) in found {
            let known = self.places.get(&name);
            if known.is_some_and(|p| p.done && (p.length, p.modified) == (length, modified)) {
                continue;
            }
            let since = match self.looked.get(&name) {
                Some((l, m, since)) if (*l, *m) == (length, modified) => *since,
                _ => wall,
            };
            self.looked.insert(name.clone(), (length, modified, since));
            let whole = modified <= wall - SETTLED || since <= wall - SETTLED;
            look.settling |= !whole;
            if whole && next.is_none() {
                next = Some((name, length, modified));
            }
        }
        Ok(next.map(|(name, length, modified)| {
            let place = self.places.entry(name.clone()).or_default();
            // Another file under a name that was read: from its beginning.
            if place.done || (place.at > 0 && (place.length, place.modified) != (length, modified)) {
                *place = FilePlace::default();
            }
            (place.length, place.modified) = (length, modified);
            name
        }))
    }

    fn begin(&mut self, name: String, wall: Millis, look: &mut Look) {
        let at = self.places.get(&name).map_or(0, |p| p.at);
        let path = self.path.join(&name);
        match FileInput::resume(&self.pack, &self.source, self.raw(&name), &path, at, &self.options) {
            Ok(input) => self.open = Some((name, input)),
            Err(error) => self.refuse(&name, &error, wall, look),
        }
    }

    /// A file that cannot be read to its end is one dead letter; it stops nothing.
    fn refuse(&mut self, name: &str, error: &InputError, wall: Millis, look: &mut Look) {
        let path = self.path.join(name);
        tracing::error!(file = %path.display(), %error, "a dropped file cannot be read; it is a dead letter");
        let place = self.places.entry(name.to_owned()).or_default();
        place.done = true;
        look.record.files.insert(format!("{}/{name}", self.source), Some(place.clone()));
        *look.record.seen.entry("unknown".to_owned()).or_default() += 1;
        look.record.dead_letters.push(DeadLetter {
            reason: "file".to_owned(),
            field: None,
            detail: "the file cannot be read to its end".to_owned(),
            kind: "unknown".to_owned(),
            source: self.source.clone(),
            raw: format!("{}/{name}", self.source),
            origin: path.display().to_string(),
            offset: i64::try_from(place.at).unwrap_or(0),
            row: 0,
            length: 0,
            sha256: String::new(),
            at: wall,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Clock;
    use crate::pack::Body;
    use std::io::Write;

    struct Place {
        dir: tempfile::TempDir,
        pack: Arc<Pack>,
        places: BTreeMap<String, Option<FilePlace>>,
    }

    const NOW: Millis = 1_800_000_000_000;

    impl Place {
        /// The pack on public series: its only source reads CSV.
        fn new() -> Place {
            let root = Path::new(env!("CARGO_MANIFEST_DIR"));
            let body = Body::load(&root.join("rules/examples/nab"), &root.join("models")).unwrap();
            Place {
                dir: tempfile::tempdir().unwrap(),
                pack: Arc::new(Pack::read(body).unwrap()),
                places: BTreeMap::new(),
            }
        }

        fn follow(&self, name: &str) -> Follow {
            let options = Options { partitions: 1, clock: Clock::Wall, secret: b"s".to_vec() };
            Follow::new(&self.pack, "readings", &self.dir.path().join(name), &self.places, &options).unwrap()
        }

        fn append(&self, name: &str, text: &str) {
            let path = self.dir.path().join(name);
            let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }

        /// Looks until nothing is left; gives the values read, and dead letters.
        fn values(&mut self, follow: &mut Follow, wall: Millis) -> (Vec<f64>, usize) {
            let (mut values, mut dead) = (Vec::new(), 0);
            for look in 0..20 {
                let found = follow.look(wall + look * LISTED).unwrap();
                for (_, rows) in &found.rows {
                    let column = rows.column_by_name("value").unwrap();
                    values
                        .extend(arrow::array::AsArray::as_primitive::<arrow::datatypes::Float64Type>(column).values());
                }
                dead += found.record.dead_letters.len();
                for (raw, place) in found.record.files {
                    match place {
                        Some(_) => drop(self.places.insert(raw, place)),
                        None => drop(self.places.remove(&raw)),
                    }
                }
                if found.at_end {
                    return (values, dead);
                }
            }
            panic!("it never comes to its end");
        }
    }

    fn row(minute: u32, value: f64) -> String {
        format!("2014-04-01 00:{minute:02}:00,{value}\n")
    }

    #[test]
    fn a_csv_file_is_followed_from_a_half_written_header_on_and_across_restarts() {
        let mut place = Place::new();
        place.append("a.csv", "timest");
        let mut follow = place.follow("a.csv");
        assert_eq!(place.values(&mut follow, NOW), (vec![], 0));
        place.append("a.csv", "amp,value\n2014-04-01 00:0");
        assert_eq!(place.values(&mut follow, NOW), (vec![], 0));
        place.append("a.csv", &format!("0:00,1.5\n{}2014", row(1, 2.5)));
        assert_eq!(place.values(&mut follow, NOW), (vec![1.5, 2.5], 0));
        // The process begins anew in the middle of a line.
        let mut follow = place.follow("a.csv");
        place.append("a.csv", "-04-01 00:02:00,3.5\nno reading\n");
        assert_eq!(place.values(&mut follow, NOW), (vec![3.5], 1));
        let mut follow = place.follow("a.csv");
        assert_eq!(place.values(&mut follow, NOW), (vec![], 0));
    }

    #[test]
    fn a_file_that_is_not_there_is_an_error_until_it_comes() {
        let mut place = Place::new();
        let mut follow = place.follow("a.csv");
        assert!(follow.look(NOW).is_err());
        place.append("a.csv", &format!("timestamp,value\n{}", row(0, 1.0)));
        assert_eq!(place.values(&mut follow, NOW), (vec![1.0], 0));
    }

    #[test]
    fn a_dropped_file_is_read_once_when_it_is_whole_and_again_when_it_changes() {
        let mut place = Place::new();
        std::fs::create_dir(place.dir.path().join("in")).unwrap();
        place.append("in/b.csv", &format!("timestamp,value\n{}", row(0, 1.0)));
        place.append("in/a.csv", &format!("timestamp,value\n{}2014-04-01 00:02:00,3.0", row(1, 2.0)));
        place.append("in/.hidden.csv", "x");
        place.append("in/c.csv.part", "x");
        let mut follow = place.follow("in");
        let now = crate::clock::now_ms();
        // Too fresh: somebody may still be writing.
        let fresh = follow.look(now).unwrap();
        assert!(fresh.rows.is_empty() && fresh.settling);
        assert_eq!(place.values(&mut follow, now + SETTLED), (vec![2.0, 3.0, 1.0], 0), "by name, the last line too");
        assert!(!follow.look(now + 2 * SETTLED).unwrap().settling);
        let mut follow = place.follow("in");
        assert_eq!(place.values(&mut follow, now + 2 * SETTLED), (vec![], 0));
        place.append("in/a.csv", "\n2014-04-01 00:03:00,4.0\n");
        std::fs::remove_file(place.dir.path().join("in/b.csv")).unwrap();
        let later = crate::clock::now_ms() + 3 * SETTLED;
        assert_eq!(place.values(&mut follow, later), (vec![2.0, 3.0, 4.0], 0));
        assert_eq!(place.places.keys().collect::<Vec<_>>(), ["readings/a.csv"]);
    }

    #[test]
    fn a_dropped_file_that_cannot_be_read_is_a_dead_letter_and_stops_nothing() {
        let mut place = Place::new();
        std::fs::create_dir(place.dir.path().join("in")).unwrap();
        place.append("in/a.csv.gz", "this is not packed");
        place.append("in/b.csv", &format!("timestamp,value\n{}", row(0, 1.0)));
        let mut follow = place.follow("in");
        let later = crate::clock::now_ms() + 2 * SETTLED;
        let refused = follow.look(later).unwrap();
        assert_eq!(refused.record.dead_letters.iter().map(|l| l.at).collect::<Vec<_>>(), [later]);
        assert_eq!(place.values(&mut follow, later), (vec![1.0], 0));
    }
}
