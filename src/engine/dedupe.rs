//! Remembers record ids, so that a record that comes twice counts once.
//!
//! In: (key space, routing key, source system, record id, revision) with event time. Out: new, duplicate or unknown
//! (older than the horizon). Promise: within the horizon no duplicate is used and no new record is refused
//! (128-bit hashes). Cost: 16 bytes and one probe per remembered row.

use crate::record::Millis;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    New,
    Duplicate,
    /// Too old to tell; used.
    Unknown,
}

/// The hash is its own hash.
#[derive(Clone, Copy, Default)]
pub(crate) struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 ^= u64::from_le_bytes(word);
        }
    }

    fn write_u128(&mut self, n: u128) {
        self.0 = (n >> 64) as u64;
    }
}

type Ids = HashSet<u128, BuildHasherDefault<Identity>>;

/// Ids by horizon and slice of event time: a slice is dropped as one when it is too old.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dedupe {
    slices: BTreeMap<(Millis, i64), Ids>,
}

/// A horizon is kept in this many slices.
const SLICES: Millis = 8;

impl Dedupe {
    /// Looks a record up and remembers it.
    pub(crate) fn see(&mut self, id: u128, at: Millis, horizon: Millis, log_time: Millis) -> Seen {
        if at < log_time.saturating_sub(horizon) {
            return Seen::Unknown;
        }
        let slice = at.div_euclid((horizon / SLICES).max(1));
        if self.slices.entry((horizon, slice)).or_default().insert(id) { Seen::New } else { Seen::Duplicate }
    }

    /// Drops what is older than every horizon.
    pub(crate) fn forget(&mut self, log_time: Millis) {
        self.slices.retain(|(horizon, slice), _| {
            let width = (horizon / SLICES).max(1);
            (slice + 1) * width >= log_time.saturating_sub(*horizon)
        });
    }

    /// Ids remembered.
    pub(crate) fn len(&self) -> usize {
        self.slices.values().map(HashSet::len).sum()
    }
}

#[derive(Serialize, Deserialize)]
struct Saved(Vec<(Millis, i64, Vec<u128>)>);

impl Serialize for Dedupe {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let all = self.slices.iter().map(|((horizon, slice), ids)| {
            let mut ids: Vec<u128> = ids.iter().copied().collect();
            ids.sort_unstable();
            (*horizon, *slice, ids)
        });
        Saved(all.collect()).serialize(s)
    }
}

impl<'de> Deserialize<'de> for Dedupe {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Dedupe, D::Error> {
        let Saved(all) = Saved::deserialize(d)?;
        Ok(Dedupe { slices: all.into_iter().map(|(h, s, ids)| ((h, s), ids.into_iter().collect())).collect() })
    }
}
