//! The embedded log: one sequence of entries for all partitions, in memory or in files.
//!
//! Files: `<dir>/00000001.seg` and on, each about 64 MiB, records of {length u32, partition u32, xxh3 u64, bytes}.
//! A commit is its entries followed by one commit record (partition [`COMMIT`]): source positions, and what intake saw
//! that did not become rows. Commits are numbered from 1; a running hash over all records tells one log from another.
//! Promise: after a crash the log holds whole commits only; what stands behind the last commit record is cut off.
//! Damage that no crash leaves (inside commits that were synced) stops the start; nothing is guessed or thrown away.
//! Not here: what entries mean, outputs.

use super::{DeadLetter, LogError};
use crate::record::Millis;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// The partition number of commit records.
const COMMIT: u32 = u32::MAX;
/// A new segment begins above this.
const SEGMENT_BYTES: u64 = 64 << 20;
const HEAD: usize = 16;

/// Where a file that is read as an input stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePlace {
    /// Next byte to read; of a history (`clock: records`) the byte at which it ends.
    pub at: u64,
    /// So many first bytes were hashed to know the file again ...
    pub head: u64,
    /// ... to this xxh3.
    pub sum: u64,
    /// All of it has been read, and it was whole.
    pub done: bool,
    /// Its length when it was last looked at.
    pub length: u64,
    /// Its time of change, likewise.
    pub modified: Millis,
}

/// What a commit record says. In a log's standing ([`Store::committed`]) positions, files, frames and round are those
/// of all commits together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Committed {
    /// Next offset to read, per raw partition; those that moved.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub positions: BTreeMap<String, i64>,
    /// Places in files by raw partition; those that moved. `None`: the file is gone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, Option<FilePlace>>,
    /// Records in, by kind.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub seen: BTreeMap<String, u64>,
    /// What did not become a row.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dead_letters: Vec<DeadLetter>,
    /// Frames of a history that are in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frames: Option<u64>,
    /// The hour of log time that a history has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<i64>,
}

impl Committed {
    /// Takes up what a later commit says about where things stand.
    fn follow(&mut self, later: &Committed) {
        self.positions.extend(later.positions.iter().map(|(raw, at)| (raw.clone(), *at)));
        for (raw, place) in &later.files {
            match place {
                Some(_) => drop(self.files.insert(raw.clone(), place.clone())),
                None => drop(self.files.remove(raw)),
            }
        }
        self.frames = later.frames.or(self.frames);
        self.round = later.round.or(self.round);
    }
}

/// A commit as it stands in the log.
#[derive(Clone, Debug)]
pub struct Commit {
    /// From 1.
    pub number: u64,
    /// Running hash over all records up to this one.
    pub chain: u64,
    /// Entries with their partition.
    pub entries: Vec<(u32, Vec<u8>)>,
    /// What its record says.
    pub record: Committed,
}

/// Whether a commit must outlive a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durable {
    /// fsync at each commit.
    Yes,
    /// Only at the end: `replay` and `demo`, which can be run again.
    AtEnd,
}

/// The log of an embedded run.
#[derive(Debug)]
pub enum Store {
    /// In memory.
    Memory {
        /// Entries with their partition.
        entries: Vec<(u32, Vec<u8>)>,
        /// The last commit.
        committed: Committed,
    },
    /// In files.
    Files(Files),
}

/// Segments of a folder.
#[derive(Debug)]
pub struct Files {
    dir: PathBuf,
    segment: u32,
    out: BufWriter<File>,
    bytes: u64,
    durable: Durable,
    committed: Committed,
    /// Commits in the log, and the running hash over its records.
    commits: u64,
    chain: u64,
}

fn failed(action: &'static str, path: &Path) -> impl Fn(std::io::Error) -> LogError {
    let path = path.to_owned();
    move |source| LogError::File { action, path: path.clone(), source }
}

fn segment_path(dir: &Path, segment: u32) -> PathBuf {
    dir.join(format!("{segment:08}.seg"))
}

fn segments(dir: &Path) -> Result<Vec<u32>, LogError> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed("read", dir))? {
        let name = entry.map_err(failed("read", dir))?.file_name();
        let name = name.to_string_lossy();
        if let Some(number) = name.strip_suffix(".seg").and_then(|n| n.parse().ok()) {
            all.push(number);
        }
    }
    all.sort_unstable();
    Ok(all)
}

impl Store {
    /// An empty log in memory.
    #[must_use]
    pub fn memory() -> Store {
        Store::Memory { entries: Vec::new(), committed: Committed::default() }
    }

    /// Opens the log of a folder, made if need be; what a crash left behind the last commit is cut off.
    ///
    /// # Errors
    /// When a file cannot be read or written; [`LogError::Damaged`] when more is damaged than a crash can leave.
    pub fn open(dir: &Path, durable: Durable) -> Result<Store, LogError> {
        std::fs::create_dir_all(dir).map_err(failed("create", dir))?;
        let mut end = (1, 0);
        let (mut committed, mut commits, mut chain) = (Committed::default(), 0, 0);
        let all = segments(dir)?;
        let mut reader = CommitReader::new(dir)?;
        while let Some(commit) = reader.next_commit()? {
            committed.follow(&commit.record);
            (commits, chain) = (commit.number, commit.chain);
            end = reader.records.place();
        }
        for later in all.iter().filter(|s| **s > end.0) {
            let path = segment_path(dir, *later);
            let length = std::fs::metadata(&path).map_err(failed("read", &path))?.len();
            // Each segment is synced before the next begins: a crash tears the last one only.
            if durable == Durable::Yes && length > 0 && *later > reader.records.place().0 {
                return Err(LogError::Damaged {
                    place: segment_path(dir, reader.records.place().0).display().to_string(),
                    what: format!(
                        "damaged behind byte {}, and whole segments follow; put the file back from a copy, or move \
                         the folder away to begin anew",
                        reader.records.place().1
                    ),
                });
            }
            std::fs::remove_file(&path).map_err(failed("remove", &path))?;
        }
        let path = segment_path(dir, end.0);
        let mut file =
            OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(failed("open", &path))?;
        file.set_len(end.1).map_err(failed("cut", &path))?;
        file.seek(SeekFrom::End(0)).map_err(failed("open", &path))?;
        let out = BufWriter::with_capacity(1 << 20, file);
        let (dir, segment) = (dir.to_owned(), end.0);
        Ok(Store::Files(Files { dir, segment, out, bytes: end.1, durable, committed, commits, chain }))
    }

    /// Appends a commit.
    ///
    /// # Errors
    /// When a file cannot be written; then nothing of it counts.
    pub fn commit(&mut self, entries: &[(u32, Vec<u8>)], committed: Committed) -> Result<(), LogError> {
        match self {
            Store::Memory { entries: all, committed: last } => {
                all.extend_from_slice(entries);
                last.follow(&committed);
                Ok(())
            }
            Store::Files(files) => files.commit(entries, &committed),
        }
    }

    /// Where the log stands after its last commit.
    #[must_use]
    pub fn committed(&self) -> &Committed {
        match self {
            Store::Memory { committed, .. } => committed,
            Store::Files(files) => &files.committed,
        }
    }

    /// Commits in the log and the running hash over them; none are counted in memory.
    #[must_use]
    pub fn end(&self) -> (u64, u64) {
        match self {
            Store::Memory { .. } => (0, 0),
            Store::Files(files) => (files.commits, files.chain),
        }
    }

    /// Gives every committed entry with its partition, in order.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn read(&self, mut each: impl FnMut(u32, &[u8])) -> Result<(), LogError> {
        match self {
            Store::Memory { entries, .. } => {
                entries.iter().for_each(|(partition, bytes)| each(*partition, bytes));
                Ok(())
            }
            Store::Files(files) => read_log(&files.dir, each),
        }
    }

    /// Brings everything to the disk.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn sync(&mut self) -> Result<(), LogError> {
        match self {
            Store::Memory { .. } => Ok(()),
            Store::Files(files) => files.sync(),
        }
    }
}

impl Files {
    fn commit(&mut self, entries: &[(u32, Vec<u8>)], record: &Committed) -> Result<(), LogError> {
        let path = segment_path(&self.dir, self.segment);
        for (partition, bytes) in entries {
            self.write(*partition, bytes).map_err(failed("write", &path))?;
        }
        let text = serde_json::to_vec(record).expect("a commit record holds texts and numbers");
        self.write(COMMIT, &text).map_err(failed("write", &path))?;
        self.out.flush().map_err(failed("write", &path))?;
        if self.durable == Durable::Yes {
            self.out.get_ref().sync_data().map_err(failed("sync", &path))?;
        }
        self.committed.follow(record);
        self.commits += 1;
        if self.bytes > SEGMENT_BYTES {
            self.sync()?;
            self.segment += 1;
            let path = segment_path(&self.dir, self.segment);
            let file = File::create(&path).map_err(failed("create", &path))?;
            self.out = BufWriter::with_capacity(1 << 20, file);
            self.bytes = 0;
        }
        Ok(())
    }

    fn write(&mut self, partition: u32, bytes: &[u8]) -> std::io::Result<()> {
        let length = u32::try_from(bytes.len())
            .map_err(|_| std::io::Error::new(std::io::ErrorKind::InvalidInput, "an entry above 4 GiB"))?;
        let sum = xxh3_64(bytes);
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(&partition.to_le_bytes())?;
        self.out.write_all(&sum.to_le_bytes())?;
        self.chain = link(self.chain, sum);
        self.out.write_all(bytes)?;
        self.bytes += (HEAD + bytes.len()) as u64;
        Ok(())
    }

    fn sync(&mut self) -> Result<(), LogError> {
        let path = segment_path(&self.dir, self.segment);
        self.out.flush().map_err(failed("write", &path))?;
        self.out.get_ref().sync_all().map_err(failed("sync", &path))?;
        File::open(&self.dir).and_then(|d| d.sync_all()).map_err(failed("sync", &self.dir))
    }
}

fn link(chain: u64, sum: u64) -> u64 {
    xxh3_64_with_seed(&sum.to_le_bytes(), chain)
}

/// Gives every committed entry of a folder with its partition, in order, and changes nothing: a run may still write it.
///
/// # Errors
/// When a file cannot be read.
pub fn read_log(dir: &Path, mut each: impl FnMut(u32, &[u8])) -> Result<(), LogError> {
    let mut reader = CommitReader::new(dir)?;
    while let Some(commit) = reader.next_commit()? {
        commit.entries.iter().for_each(|(partition, bytes)| each(*partition, bytes));
    }
    Ok(())
}

/// The running hash at some commits of a folder, those that it has: a snapshot belongs to a log whose hash it knows.
///
/// # Errors
/// When a file cannot be read.
pub(super) fn chains(dir: &Path, numbers: &BTreeSet<u64>) -> Result<BTreeMap<u64, u64>, LogError> {
    let mut found = BTreeMap::new();
    let mut reader = CommitReader::new(dir)?;
    while found.len() < numbers.len()
        && let Some(commit) = reader.next_commit()?
    {
        if numbers.contains(&commit.number) {
            found.insert(commit.number, commit.chain);
        }
    }
    Ok(found)
}

/// Reads the commits of a folder in order, to the last whole one, and changes nothing.
#[derive(Debug)]
pub struct CommitReader {
    records: Records,
    number: u64,
    chain: u64,
}

impl CommitReader {
    /// A reader at the beginning.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn new(dir: &Path) -> Result<CommitReader, LogError> {
        let mut left = segments(dir)?;
        left.reverse();
        let records = Records { dir: dir.to_owned(), left, open: None, segment: 1, at: 0, length: 0 };
        Ok(CommitReader { records, number: 0, chain: 0 })
    }

    /// The next commit; `None` behind the last whole one.
    ///
    /// # Errors
    /// When a file cannot be read, or a commit record is of a form that this build does not know.
    pub fn next_commit(&mut self) -> Result<Option<Commit>, LogError> {
        let mut entries = Vec::new();
        let mut chain = self.chain;
        while let Some((partition, sum, bytes)) = self.records.next()? {
            chain = link(chain, sum);
            if partition != COMMIT {
                entries.push((partition, bytes));
                continue;
            }
            let record = serde_json::from_slice(&bytes).map_err(|e| LogError::Damaged {
                place: segment_path(&self.records.dir, self.records.segment).display().to_string(),
                what: format!("a commit record before byte {} does not read: {e}", self.records.at),
            })?;
            self.number += 1;
            self.chain = chain;
            return Ok(Some(Commit { number: self.number, chain, entries, record }));
        }
        Ok(None)
    }
}

/// Whole records with their checksum; ends at the first that is cut or damaged.
#[derive(Debug)]
struct Records {
    dir: PathBuf,
    /// Segments still to read, the next one last.
    left: Vec<u32>,
    open: Option<BufReader<File>>,
    segment: u32,
    at: u64,
    length: u64,
}

impl Records {
    /// Segment and byte behind the last whole record.
    fn place(&self) -> (u32, u64) {
        (self.segment, self.at)
    }

    fn next(&mut self) -> Result<Option<(u32, u64, Vec<u8>)>, LogError> {
        while self.at >= self.length {
            let Some(segment) = self.left.pop() else { return Ok(None) };
            let path = segment_path(&self.dir, segment);
            let file = File::open(&path).map_err(failed("open", &path))?;
            let length = file.metadata().map_err(failed("read", &path))?.len();
            if length == 0 {
                continue;
            }
            (self.segment, self.at, self.length) = (segment, 0, length);
            self.open = Some(BufReader::with_capacity(1 << 20, file));
        }
        let Some(input) = &mut self.open else { return Ok(None) };
        let mut head = [0; HEAD];
        if input.read_exact(&mut head).is_err() {
            return Ok(self.damaged());
        }
        let field = |from: usize| u32::from_le_bytes([head[from], head[from + 1], head[from + 2], head[from + 3]]);
        let (size, partition) = (u64::from(field(0)), field(4));
        let sum = u64::from(field(8)) | u64::from(field(12)) << 32;
        if self.at + HEAD as u64 + size > self.length {
            return Ok(self.damaged());
        }
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
        if input.read_exact(&mut bytes).is_err() || xxh3_64(&bytes) != sum {
            return Ok(self.damaged());
        }
        self.at += HEAD as u64 + size;
        Ok(Some((partition, sum, bytes)))
    }

    /// Nothing behind this place is read.
    fn damaged<T>(&mut self) -> Option<T> {
        self.left.clear();
        self.open = None;
        self.length = self.at;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(store: &Store) -> Vec<(u32, Vec<u8>)> {
        let mut out = Vec::new();
        store.read(|p, b| out.push((p, b.to_vec()))).unwrap();
        out
    }

    fn at(n: i64) -> Committed {
        Committed { positions: [("iot/0".to_owned(), n)].into(), ..Committed::default() }
    }

    #[test]
    fn a_torn_tail_is_cut_back_to_the_last_commit_wherever_it_is_torn() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path(), Durable::Yes).unwrap();
        store.commit(&[(0, b"first".to_vec())], at(1)).unwrap();
        let path = segment_path(dir.path(), 1);
        let whole = std::fs::metadata(&path).unwrap().len();
        store.commit(&[(1, b"second".to_vec())], at(2)).unwrap();
        drop(store);
        let bytes = std::fs::read(&path).unwrap();
        for cut in whole..bytes.len() as u64 {
            std::fs::write(&path, &bytes[..cut as usize]).unwrap();
            let mut store = Store::open(dir.path(), Durable::Yes).unwrap();
            assert_eq!(all(&store), [(0, b"first".to_vec())], "cut at {cut}");
            assert_eq!(*store.committed(), at(1));
            store.commit(&[(2, b"third".to_vec())], at(3)).unwrap();
            drop(store);
            let store = Store::open(dir.path(), Durable::Yes).unwrap();
            assert_eq!(all(&store), [(0, b"first".to_vec()), (2, b"third".to_vec())]);
            assert_eq!(*store.committed(), at(3));
        }
    }

    #[test]
    fn a_reader_sees_whole_commits_only_and_cuts_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path(), Durable::Yes).unwrap();
        store.commit(&[(0, b"first".to_vec())], at(1)).unwrap();
        let path = segment_path(dir.path(), 1);
        let first = std::fs::metadata(&path).unwrap().len();
        store.commit(&[(1, b"second".to_vec())], at(2)).unwrap();
        drop(store);
        // The entry of the second commit is whole, its commit record is not.
        let bytes = std::fs::read(&path).unwrap();
        let length = first as usize + HEAD + b"second".len() + 3;
        std::fs::write(&path, &bytes[..length]).unwrap();
        let mut seen = Vec::new();
        read_log(dir.path(), |p, b| seen.push((p, b.to_vec()))).unwrap();
        assert_eq!(seen, [(0, b"first".to_vec())]);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), length as u64);
    }

    #[test]
    fn a_damaged_entry_ends_the_log_at_the_commit_before_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path(), Durable::AtEnd).unwrap();
        store.commit(&[(0, b"first".to_vec())], at(1)).unwrap();
        store.commit(&[(0, b"second".to_vec())], at(2)).unwrap();
        store.sync().unwrap();
        drop(store);
        let path = segment_path(dir.path(), 1);
        let mut bytes = std::fs::read(&path).unwrap();
        let place = bytes.windows(6).position(|w| w == b"second").unwrap();
        bytes[place] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let store = Store::open(dir.path(), Durable::AtEnd).unwrap();
        assert_eq!(all(&store), [(0, b"first".to_vec())]);
    }

    #[test]
    fn damage_in_front_of_whole_segments_stops_the_start_and_throws_nothing_away() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path(), Durable::Yes).unwrap();
        store.commit(&[(0, b"first".to_vec())], at(1)).unwrap();
        drop(store);
        let path = segment_path(dir.path(), 1);
        std::fs::copy(&path, segment_path(dir.path(), 2)).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[HEAD] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let said = Store::open(dir.path(), Durable::Yes).unwrap_err().to_string();
        assert!(said.contains("00000001.seg") && said.contains("whole segments follow"), "{said}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
        assert!(segment_path(dir.path(), 2).exists());
    }

    #[test]
    fn a_commit_is_known_by_its_number_and_the_hash_of_all_before_it() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for (dir, first) in [(&a, b"one"), (&b, b"two")] {
            let mut store = Store::open(dir.path(), Durable::Yes).unwrap();
            store.commit(&[(0, first.to_vec())], at(1)).unwrap();
            store.commit(&[(0, b"same".to_vec())], at(2)).unwrap();
            let (number, chain) = store.end();
            assert_eq!(number, 2);
            drop(store);
            assert_eq!(Store::open(dir.path(), Durable::Yes).unwrap().end(), (2, chain));
            assert_eq!(chains(dir.path(), &[2, 9].into()).unwrap(), [(2, chain)].into());
        }
        let of = |dir: &tempfile::TempDir| chains(dir.path(), &[1, 2].into()).unwrap();
        assert_ne!(of(&a)[&2], of(&b)[&2]);
    }
}
