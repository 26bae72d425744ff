//! Routing keys: their hash, the partition it chooses, and its text in a warning id.

use xxhash_rust::xxh3::xxh3_64;

/// The 64-bit hash of a key in its key space.
#[must_use]
pub fn key_hash(space: &str, key: &str) -> u64 {
    let mut bytes = Vec::with_capacity(space.len() + 1 + key.len());
    bytes.extend_from_slice(space.as_bytes());
    bytes.push(0x1f);
    bytes.extend_from_slice(key.as_bytes());
    xxh3_64(&bytes)
}

/// The log partition of a key.
#[must_use]
pub fn partition(space: &str, key: &str, partitions: u32) -> u32 {
    u32::try_from(key_hash(space, key) % u64::from(partitions.max(1))).unwrap_or(0)
}

/// Digits of a key hash in a warning id, RFC 4648 in lower case: no capitals, so that an id survives mail and speech.
const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// A key hash as the 13 characters in front of a warning id's hyphen (behind its `w`), highest bits first.
#[must_use]
pub fn hash_text(hash: u64) -> String {
    (0..13).map(|i| char::from(DIGITS[(hash >> (60 - 5 * i) & 31) as usize])).collect()
}

/// The key hash in a warning id (`w<13 characters>-...`); `None` when the text is no warning id.
#[must_use]
pub fn warning_hash(warning_id: &str) -> Option<u64> {
    let (hash, _) = warning_id.strip_prefix('w')?.split_once('-')?;
    // 13 digits hold 65 bits; the first one holds the four highest of 64.
    if hash.len() != 13 || hash.as_bytes()[0] > b'p' {
        return None;
    }
    hash.bytes().try_fold(0u64, |n, b| {
        let digit = DIGITS.iter().position(|d| *d == b)?;
        Some(n << 5 | digit as u64)
    })
}
