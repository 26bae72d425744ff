//! Ids that are the same wherever and however often they are made.

use xxhash_rust::xxh3::xxh3_64;

/// 64-bit hash of a routing key in its key space: chooses the partition and begins every warning id.
#[must_use]
pub fn key_hash(space: &str, key: &str) -> u64 {
    let mut text = String::with_capacity(space.len() + key.len() + 1);
    text.push_str(space);
    text.push(super::keys::JOINT);
    text.push_str(key);
    xxh3_64(text.as_bytes())
}

/// The log partition of a routing key.
#[must_use]
pub fn partition(space: &str, key: &str, partitions: u32) -> u32 {
    u32::try_from(key_hash(space, key) % u64::from(partitions.max(1))).unwrap_or(0)
}

/// 13 characters of RFC 4648 base32 without padding, lower case.
fn base32(mut n: u64) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut out = [0_u8; 13];
    for place in out.iter_mut().rev() {
        *place = ALPHABET[(n & 31) as usize];
        n >>= 5;
    }
    out.iter().map(|b| char::from(*b)).collect()
}

/// `w` + base32 of the key hash + `-` + base32 of hash(indicator, incident key, cause).
pub(crate) fn warning_id(space: &str, key: &str, indicator: &str, incident: &str, cause: &str) -> String {
    let what = xxh3_64([indicator, incident, cause].join("\u{1e}").as_bytes());
    format!("w{}-{}", base32(key_hash(space, key)), base32(what))
}

/// A record id for something the engine makes: the same parts, the same id.
pub(crate) fn record_id(parts: &[&str]) -> String {
    base32(xxh3_64(parts.join("\u{1e}").as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_depend_on_their_parts_alone() {
        let a = warning_id("object", "equip:1", "gas_leak_lel", "equip:1", "record s r 1");
        assert_eq!(a, warning_id("object", "equip:1", "gas_leak_lel", "equip:1", "record s r 1"));
        assert_ne!(a, warning_id("object", "equip:1", "gas_leak_lel", "equip:1", "record s r 2"));
        assert_eq!(a.len(), 28);
        assert_eq!(base32(0), "aaaaaaaaaaaaa");
    }
}
