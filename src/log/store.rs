//! The embedded log: one sequence of entries for all partitions, in memory or in files.
//!
//! Files: `<dir>/00000001.seg` and on, each at most 64 MiB, records of {length u32, partition u32, xxh3 u64, bytes}.
//! A commit is its entries followed by one commit record (partition [`COMMIT`]) that holds the source positions.
//! Promise: after a crash the log holds whole commits only; what stands behind the last commit record is cut off.
//! Not here: what entries mean, outputs.

use super::LogError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_64;

/// The partition number of commit records.
const COMMIT: u32 = u32::MAX;
/// A new segment begins above this.
const SEGMENT_BYTES: u64 = 64 << 20;
const HEAD: usize = 16;

/// What a commit record says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Committed {
    /// Next offset to read, per raw partition.
    pub positions: BTreeMap<String, i64>,
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
    /// When a file cannot be read or written.
    pub fn open(dir: &Path, durable: Durable) -> Result<Store, LogError> {
        std::fs::create_dir_all(dir).map_err(failed("create", dir))?;
        let mut end = (1, 0);
        let mut committed = Committed::default();
        let all = segments(dir)?;
        scan(dir, &all, |partition, bytes, place| {
            if partition == COMMIT {
                committed = serde_json::from_slice(bytes).unwrap_or_default();
                end = place;
            }
        })?;
        for later in all.iter().filter(|s| **s > end.0) {
            let path = segment_path(dir, *later);
            std::fs::remove_file(&path).map_err(failed("remove", &path))?;
        }
        let path = segment_path(dir, end.0);
        let mut file =
            OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(failed("open", &path))?;
        file.set_len(end.1).map_err(failed("cut", &path))?;
        file.seek(SeekFrom::End(0)).map_err(failed("open", &path))?;
        let out = BufWriter::with_capacity(1 << 20, file);
        Ok(Store::Files(Files { dir: dir.to_owned(), segment: end.0, out, bytes: end.1, durable, committed }))
    }

    /// Appends a commit.
    ///
    /// # Errors
    /// When a file cannot be written; then nothing of it counts.
    pub fn commit(&mut self, entries: &[(u32, Vec<u8>)], committed: Committed) -> Result<(), LogError> {
        match self {
            Store::Memory { entries: all, committed: last } => {
                all.extend_from_slice(entries);
                *last = committed;
                Ok(())
            }
            Store::Files(files) => files.commit(entries, committed),
        }
    }

    /// What the last commit said.
    #[must_use]
    pub fn committed(&self) -> &Committed {
        match self {
            Store::Memory { committed, .. } => committed,
            Store::Files(files) => &files.committed,
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
            Store::Files(files) => {
                let all = segments(&files.dir)?;
                scan(&files.dir, &all, |partition, bytes, _| {
                    if partition != COMMIT {
                        each(partition, bytes);
                    }
                })
            }
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
    fn commit(&mut self, entries: &[(u32, Vec<u8>)], committed: Committed) -> Result<(), LogError> {
        let path = segment_path(&self.dir, self.segment);
        for (partition, bytes) in entries {
            self.write(*partition, bytes).map_err(failed("write", &path))?;
        }
        let record = serde_json::to_vec(&committed).unwrap_or_default();
        self.write(COMMIT, &record).map_err(failed("write", &path))?;
        self.out.flush().map_err(failed("write", &path))?;
        if self.durable == Durable::Yes {
            self.out.get_ref().sync_data().map_err(failed("sync", &path))?;
        }
        self.committed = committed;
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
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(&partition.to_le_bytes())?;
        self.out.write_all(&xxh3_64(bytes).to_le_bytes())?;
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

/// Gives every committed entry of a folder with its partition, in order, and changes nothing: a run may still write it.
///
/// # Errors
/// When a file cannot be read.
pub fn read_log(dir: &Path, mut each: impl FnMut(u32, &[u8])) -> Result<(), LogError> {
    let all = segments(dir)?;
    let mut end = (0, 0);
    scan(dir, &all, |partition, _, place| {
        if partition == COMMIT {
            end = place;
        }
    })?;
    scan(dir, &all, |partition, bytes, place| {
        if partition != COMMIT && place <= end {
            each(partition, bytes);
        }
    })
}

/// Gives every whole record with the place behind it; stops at the first that is cut or damaged.
fn scan(dir: &Path, all: &[u32], mut each: impl FnMut(u32, &[u8], (u32, u64))) -> Result<(), LogError> {
    for segment in all {
        let path = segment_path(dir, *segment);
        let file = File::open(&path).map_err(failed("open", &path))?;
        let length = file.metadata().map_err(failed("read", &path))?.len();
        let mut input = BufReader::with_capacity(1 << 20, file);
        let mut at = 0_u64;
        let mut bytes = Vec::new();
        while at < length {
            let mut head = [0; HEAD];
            if input.read_exact(&mut head).is_err() {
                return Ok(());
            }
            let field = |from: usize| u32::from_le_bytes([head[from], head[from + 1], head[from + 2], head[from + 3]]);
            let (size, partition) = (u64::from(field(0)), field(4));
            let sum = u64::from(field(8)) | u64::from(field(12)) << 32;
            if at + HEAD as u64 + size > length {
                return Ok(());
            }
            bytes.resize(usize::try_from(size).unwrap_or(0), 0);
            if input.read_exact(&mut bytes).is_err() || xxh3_64(&bytes) != sum {
                return Ok(());
            }
            at += HEAD as u64 + size;
            each(partition, &bytes, (*segment, at));
        }
    }
    Ok(())
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
        Committed { positions: [("iot/0".to_owned(), n)].into() }
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
}
