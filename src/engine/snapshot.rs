//! The whole state as bytes with a checksum, and back.
//!
//! Format: magic `FWS1`, engine format (u32), pack hash (64 bytes), xxh3 of the rest (u64), then the state's columns in
//! postcard encoding. Promise: an engine restored from it gives byte for byte the outcomes of one never stopped.

use super::core::Engine;
use super::program::Program;
use super::state::State;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

const MAGIC: &[u8; 4] = b"FWS1";
/// Raised whenever the state's columns change.
const FORMAT: u32 = 5;
const HEAD: usize = 4 + 4 + 64 + 8;

/// Why bytes are no usable snapshot.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// Not a snapshot, or cut.
    #[error("not a whole snapshot ({0})")]
    Damaged(&'static str),
    /// Written by another build; guessing at its format could lose windows.
    #[error("snapshot has format {found}, this build reads {reads}")]
    Format {
        /// In the file.
        found: u32,
        /// Read by this build.
        reads: u32,
    },
    /// Of another pack than the program given.
    #[error("snapshot is of pack {0}")]
    OtherPack(String),
}

/// The pack hash that a snapshot needs.
///
/// # Errors
/// When the bytes are no snapshot.
pub fn pack_of(bytes: &[u8]) -> Result<String, SnapshotError> {
    let hash = bytes.get(8..72).ok_or(SnapshotError::Damaged("too short"))?;
    if bytes.get(..4) != Some(MAGIC) {
        return Err(SnapshotError::Damaged("wrong magic"));
    }
    String::from_utf8(hash.to_vec()).map_err(|_| SnapshotError::Damaged("no pack hash"))
}

impl Engine {
    /// The state as bytes.
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        let body = postcard::to_allocvec(&self.state).expect("the state holds nothing that cannot be written");
        let mut bytes = Vec::with_capacity(body.len() + HEAD);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&FORMAT.to_le_bytes());
        let mut hash = [b'0'; 64];
        for (to, from) in hash.iter_mut().zip(self.program.hash.bytes()) {
            *to = from;
        }
        bytes.extend_from_slice(&hash);
        bytes.extend_from_slice(&xxh3_64(&body).to_le_bytes());
        bytes.extend_from_slice(&body);
        bytes
    }

    /// An engine as it was when it was saved.
    ///
    /// # Errors
    /// When the bytes are damaged, of another format, or of another pack than `program`.
    pub fn restore(
        program: Arc<Program>,
        bytes: &[u8],
        partition: u32,
        partitions: u32,
    ) -> Result<Engine, SnapshotError> {
        let pack = pack_of(bytes)?;
        let found = u32::from_le_bytes(
            bytes.get(4..8).and_then(|b| b.try_into().ok()).ok_or(SnapshotError::Damaged("too short"))?,
        );
        if found != FORMAT {
            return Err(SnapshotError::Format { found, reads: FORMAT });
        }
        if !pack.starts_with(&*program.hash) && *pack != *program.hash {
            return Err(SnapshotError::OtherPack(pack));
        }
        let sum = bytes.get(72..80).and_then(|b| b.try_into().ok()).ok_or(SnapshotError::Damaged("too short"))?;
        let body = bytes.get(HEAD..).ok_or(SnapshotError::Damaged("too short"))?;
        if xxh3_64(body) != u64::from_le_bytes(sum) {
            return Err(SnapshotError::Damaged("checksum differs"));
        }
        let mut state: State = postcard::from_bytes(body).map_err(|_| SnapshotError::Damaged("columns do not read"))?;
        state.rebuild();
        Ok(Engine::with_state(program, state, partition, partitions))
    }
}
