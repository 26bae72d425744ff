//! Turns key texts into dense numbers, so that state is columns indexed by them.
//!
//! In: key texts. Out: a `u32` per text, the smallest free one. Promise: a number means one text until it is freed;
//! numbers never reach outcomes, so their order does not matter.
//! Cost: one hash and one probe a row, no allocation for a known key.

use hashbrown::HashTable;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// Parts of a key are joined by this character; it cannot stand in an identifier.
pub(crate) const JOINT: char = '\u{1f}';

/// Texts of one key set with their numbers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct KeyTable {
    texts: Vec<Option<Box<str>>>,
    free: Vec<u32>,
    #[serde(skip)]
    index: HashTable<u32>,
}

impl KeyTable {
    /// The number of a text, given one when it has none.
    pub(crate) fn intern(&mut self, text: &str) -> u32 {
        let hash = xxh3_64(text.as_bytes());
        let texts = &self.texts;
        if let Some(id) = self.index.find(hash, |id| texts[*id as usize].as_deref() == Some(text)) {
            return *id;
        }
        let id = match self.free.pop() {
            Some(id) => {
                self.texts[id as usize] = Some(text.into());
                id
            }
            None => {
                let id = u32::try_from(self.texts.len()).expect("fewer than 2^32 keys fit into memory");
                self.texts.push(Some(text.into()));
                id
            }
        };
        let texts = &self.texts;
        self.index.insert_unique(hash, id, |id| rehash(texts, *id));
        id
    }

    /// The text of a number in use.
    pub(crate) fn text(&self, id: u32) -> &str {
        self.texts.get(id as usize).and_then(|t| t.as_deref()).unwrap_or("")
    }

    /// One more than the largest number ever given.
    pub(crate) fn len(&self) -> usize {
        self.texts.len()
    }

    /// How many numbers are in use.
    pub(crate) fn used(&self) -> usize {
        self.texts.len() - self.free.len()
    }

    /// True when the number is in use.
    pub(crate) fn holds(&self, id: u32) -> bool {
        self.texts.get(id as usize).is_some_and(Option::is_some)
    }

    /// Frees a number; it may be given to another text.
    pub(crate) fn free(&mut self, id: u32) {
        let Some(text) = self.texts.get_mut(id as usize).and_then(Option::take) else { return };
        if let Ok(entry) = self.index.find_entry(xxh3_64(text.as_bytes()), |other| *other == id) {
            entry.remove();
        }
        self.free.push(id);
    }

    /// Builds the index again after a restore.
    pub(crate) fn rebuild(&mut self) {
        self.index = HashTable::with_capacity(self.texts.len());
        for (id, text) in self.texts.iter().enumerate() {
            if let Some(text) = text {
                let texts = &self.texts;
                self.index.insert_unique(xxh3_64(text.as_bytes()), id as u32, |id| rehash(texts, *id));
            }
        }
    }
}

fn rehash(texts: &[Option<Box<str>>], id: u32) -> u64 {
    texts[id as usize].as_deref().map_or(0, |t| xxh3_64(t.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freed_number_is_given_again_and_the_old_text_is_unknown() {
        let mut keys = KeyTable::default();
        let a = keys.intern("a");
        let b = keys.intern("b");
        assert_eq!(keys.intern("a"), a);
        keys.free(a);
        assert_eq!(keys.intern("c"), a);
        assert_eq!(keys.text(b), "b");
        assert_eq!(keys.used(), 2);
        keys.rebuild();
        assert_eq!(keys.intern("c"), a);
    }
}
