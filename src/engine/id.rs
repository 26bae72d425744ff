//! Ids that are the same wherever and however often they are made.

use crate::record::{hash_text, key_hash};
use xxhash_rust::xxh3::xxh3_64;

/// `w` + base32 of the key hash + `-` + base32 of hash(indicator, incident key, cause).
pub(crate) fn warning_id(space: &str, key: &str, indicator: &str, incident: &str, cause: &str) -> String {
    let what = xxh3_64([indicator, incident, cause].join("\u{1e}").as_bytes());
    format!("w{}-{}", hash_text(key_hash(space, key)), hash_text(what))
}

/// A record id for something the engine makes: the same parts, the same id.
pub(crate) fn record_id(parts: &[&str]) -> String {
    hash_text(xxh3_64(parts.join("\u{1e}").as_bytes()))
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
    }
}
