//! Committed warnings for readers inside: first the open ones, then every change as it comes.

use super::super::LogError;
use super::WARNINGS;
use super::client::Client;
use super::reader::Reader;
use crate::deliver::EVERYONE;
use crate::record::Level;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Hands the documents of the open warnings, then those of all changes until `stop`: committed ones only, each at
/// least once.
///
/// # Errors
/// When the topics are missing or the broker does not answer in time.
pub fn follow_warnings(client: &Client, stop: &AtomicBool, mut each: impl FnMut(&Value)) -> Result<(), LogError> {
    let within = Duration::from_secs(60);
    // The end of the changes is taken before the open warnings are read: nothing falls between.
    let mut changes = Reader::tail(client, &client.name(EVERYONE), within)?;
    let (_, open) = Reader::whole(client, &client.name(WARNINGS), within)?;
    let mut newest: BTreeMap<Option<Vec<u8>>, Option<Vec<u8>>> = BTreeMap::new();
    newest.extend(open.into_iter().map(|message| (message.key, message.payload)));
    newest.into_values().flatten().for_each(|document| show(&document, &mut each));
    while !stop.load(Ordering::Relaxed) {
        for message in changes.batch(1_000, usize::MAX, Duration::from_millis(100))? {
            if let Some(document) = &message.payload {
                show(document, &mut each);
            }
        }
    }
    Ok(())
}

fn show(document: &[u8], each: &mut impl FnMut(&Value)) {
    match serde_json::from_slice(document) {
        Ok(document) => each(&document),
        Err(error) => tracing::error!(%error, "a warning document is no JSON"),
    }
}

/// The open warnings of the whole system, as told by the documents of their changes.
#[derive(Debug, Default)]
pub struct OpenWarnings(BTreeMap<String, Open>);

#[derive(Debug)]
struct Open {
    change: u64,
    partition: u32,
    lead: String,
    level: Level,
}

impl OpenWarnings {
    /// Takes a change; one that is older than what is known changes nothing.
    pub fn take(&mut self, document: &Value) {
        let text = |path: &str| document.pointer(path).and_then(Value::as_str);
        let number = |path: &str| document.pointer(path).and_then(Value::as_u64).unwrap_or(0);
        let level = text("/level").and_then(|word| Level::ALL.into_iter().find(|level| level.word() == word));
        let (Some(id), Some(level)) = (text("/id"), level) else { return };
        let change = number("/change");
        if self.0.get(id).is_some_and(|known| known.change > change) {
            return;
        }
        if text("/kind") == Some("expired") {
            self.0.remove(id);
            return;
        }
        let partition = u32::try_from(number("/log/partition")).unwrap_or(u32::MAX);
        let lead = text("/departments/lead/id").unwrap_or_default().to_owned();
        self.0.insert(id.to_owned(), Open { change, partition, lead, level });
    }

    /// How many are open by lead department and level, of these log partitions only: over all instances the counts
    /// add up.
    #[must_use]
    pub fn counts(&self, partitions: &[u32]) -> BTreeMap<(String, Level), u64> {
        let mut counts = BTreeMap::new();
        for open in self.0.values().filter(|open| partitions.contains(&open.partition)) {
            *counts.entry((open.lead.clone(), open.level)).or_default() += 1;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn open_warnings_are_counted_at_their_newest_level_where_their_partition_is_judged() {
        let mut open = OpenWarnings::default();
        let change = |id: &str, change: u64, kind: &str, level: &str, partition: u32| {
            json!({
                "id": id, "change": change, "kind": kind, "level": level, "log": { "partition": partition },
                "departments": { "lead": { "id": "health" } },
            })
        };
        for document in [
            change("a", 1, "raised", "blue", 0),
            change("a", 2, "upgraded", "red", 0),
            change("a", 1, "raised", "blue", 0),
            change("b", 1, "raised", "blue", 1),
            change("c", 1, "raised", "blue", 0),
            change("c", 2, "expired", "blue", 0),
            json!({ "no": "warning" }),
        ] {
            open.take(&document);
        }
        let counts = |partitions: &[u32]| open.counts(partitions).into_iter().map(|((_, l), n)| (l, n)).collect();
        assert_eq!(counts(&[0]), [(Level::Red, 1)].to_vec());
        let both: Vec<_> = counts(&[0, 1]);
        assert_eq!(both, [(Level::Blue, 1), (Level::Red, 1)]);
    }
}
