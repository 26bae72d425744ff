//! Snapshots in a folder: the state of one log partition at one confirmed position.
//!
//! In: the state as bytes with what a restart has to know. Out: the newest one at or below a position.
//! Promise: a file is whole or not there (written beside, read back, then renamed); the newest three are kept. A
//! damaged file is passed over with a word, never guessed at.

use super::super::{Clock, LogError};
use crate::record::Millis;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_64;

/// What stands before the state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::log) struct Head {
    /// Next position to apply.
    pub(in crate::log) next: u64,
    /// Outcomes so far, and the running hash over them.
    pub(in crate::log) outcomes: u64,
    pub(in crate::log) hash: u64,
    /// Publish version and hash of the pack in force.
    pub(in crate::log) version: u64,
    pub(in crate::log) pack: String,
    pub(in crate::log) clock: Clock,
    /// Wall time at which it was written.
    pub(in crate::log) at: Millis,
    /// xxh3 of the state.
    pub(in crate::log) sum: u64,
}

/// The folder of one log partition.
#[derive(Clone, Debug)]
pub(in crate::log) struct Snapshots {
    dir: PathBuf,
    slot: String,
}

/// How many are kept: the newest may have been written by a build that this one cannot read.
const KEPT: usize = 3;

impl Snapshots {
    pub(in crate::log) fn new(store: &Path, partition: u32, slot: &str) -> Snapshots {
        Snapshots { dir: store.join(partition.to_string()), slot: slot.to_owned() }
    }

    /// Writes a snapshot, reads it back, and removes all but the newest three.
    pub(in crate::log) fn write(&self, head: &Head, state: &[u8]) -> Result<(), LogError> {
        let failed = |action, path: &Path| {
            let path = path.to_owned();
            move |source: io::Error| LogError::File { action, path, source }
        };
        fs::create_dir_all(&self.dir).map_err(failed("create", &self.dir))?;
        let head = Head { sum: xxh3_64(state), ..head.clone() };
        let mut bytes = serde_json::to_vec(&head).expect("a head holds numbers and texts");
        bytes.push(b'\n');
        bytes.extend_from_slice(state);
        let path = self.dir.join(format!("{:020}.snapshot", head.next));
        let part = self.dir.join(format!("{:020}.part-{}", head.next, self.slot));
        let file = fs::File::create(&part).map_err(failed("create", &part))?;
        io::Write::write_all(&mut &file, &bytes).map_err(failed("write", &part))?;
        file.sync_all().map_err(failed("write", &part))?;
        if fs::read(&part).map_err(failed("read", &part))? != bytes {
            return Err(LogError::Damaged {
                place: part.display().to_string(),
                what: "what was read back is not what was written".to_owned(),
            });
        }
        fs::rename(&part, &path).map_err(failed("rename", &part))?;
        let all = self.all().map_err(failed("read", &self.dir))?;
        for (_, old) in all.iter().rev().skip(KEPT) {
            fs::remove_file(old).map_err(failed("remove", old))?;
        }
        Ok(())
    }

    /// Snapshots by position, rising.
    fn all(&self) -> io::Result<Vec<(u64, PathBuf)>> {
        let entries = match fs::read_dir(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut all = Vec::new();
        for entry in entries {
            let path = entry?.path();
            let number = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_suffix(".snapshot"));
            if let Some(next) = number.and_then(|n| n.parse().ok()) {
                all.push((next, path));
            }
        }
        all.sort();
        Ok(all)
    }

    /// Snapshots at or below `next`, the newest first, those that can be read.
    pub(in crate::log) fn below(&self, next: u64) -> Result<Vec<(Head, Vec<u8>)>, LogError> {
        let all = self.all().map_err(|source| LogError::File { action: "read", path: self.dir.clone(), source })?;
        let mut found = Vec::new();
        for (_, path) in all.into_iter().rev().filter(|(at, _)| *at <= next) {
            match read(&path) {
                Ok(snapshot) => found.push(snapshot),
                Err(what) => tracing::error!(path = %path.display(), what, "a snapshot cannot be used"),
            }
        }
        Ok(found)
    }
}

fn read(path: &Path) -> Result<(Head, Vec<u8>), String> {
    let bytes = fs::read(path).map_err(|e| e.to_string())?;
    let end = bytes.iter().position(|b| *b == b'\n').ok_or("no head")?;
    let (head, state) = bytes.split_at(end);
    let head: Head = serde_json::from_slice(head).map_err(|e| e.to_string())?;
    let state = state.get(1..).unwrap_or_default().to_vec();
    if xxh3_64(&state) == head.sum { Ok((head, state)) } else { Err("checksum differs".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(next: u64) -> Head {
        Head { next, outcomes: 7, hash: 9, version: 1, pack: "p".to_owned(), clock: Clock::Wall, at: 5, sum: 0 }
    }

    #[test]
    fn the_newest_whole_snapshot_at_or_below_a_position_is_found_and_three_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::new(dir.path(), 2, "a");
        assert!(snapshots.below(100).unwrap().is_empty(), "a folder that is not there holds none");
        for next in [10, 20, 30, 40] {
            snapshots.write(&head(next), format!("state\n{next}").as_bytes()).unwrap();
        }
        let at = |next| {
            let found = snapshots.below(next).unwrap();
            found.iter().map(|(h, state)| (h.next, String::from_utf8(state.clone()).unwrap())).collect::<Vec<_>>()
        };
        assert_eq!(at(35), [(30, "state\n30".to_owned()), (20, "state\n20".to_owned())]);
        assert_eq!(at(19), [], "10 was removed when 40 came");
        let newest = dir.path().join(format!("2/{:020}.snapshot", 40));
        let mut bytes = fs::read(&newest).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&newest, bytes).unwrap();
        assert_eq!(at(99).first().unwrap().0, 30, "a damaged snapshot is passed over");
    }
}
