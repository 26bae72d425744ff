//! Reads one partition of the log again and finds the changes of one warning: the numbers of `explain`.
//!
//! In: the id of a warning, whose first half names the partition. Out: its changes as they are reached now, and as they
//! were sent. Promise: nothing is written; loop records are those of the log, not made again.
//! A log that no longer begins at 0 is told from the oldest snapshot that it still reaches; what is older is not there.
//! Cost: the partition is read and judged once, as far as its engine has committed it.

use super::super::{LogError, RetellError, Retold, decode};
use super::client::Client;
use super::judge::{Judge, Ready};
use super::progress::read_progress;
use super::reader::{Place, Reader, index};
use super::snapshots::Snapshots;
use super::topics::LogForm;
use crate::deliver::EVERYONE;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

/// Longest silence of the broker on the way to an end.
const WITHIN: Duration = Duration::from_secs(30);

/// Tells the log of a warning again. Gives also the first position that was judged: 0, or where a snapshot stands.
///
/// - `hash`: the key hash in the warning's id
/// - `store`: folder of the snapshots
///
/// # Errors
/// When the log cannot be read, no longer reaches back to any state, or a pack of it cannot be had.
pub fn retell_warning(
    client: &Client,
    form: LogForm,
    store: &Path,
    id: &str,
    hash: u64,
) -> Result<(Retold, u64), RetellError> {
    let partition = u32::try_from(hash % u64::from(form.partitions)).expect("below the number of partitions");
    let mut told = Retold { changes: Vec::new(), ids: BTreeSet::new(), partitions: form.partitions, entries: 0 };
    let Some(record) = read_progress(client, partition)? else { return Ok((told, 0)) };
    let place: Place = (client.name(super::LOG), index(partition));
    let bounds = Reader::bounds(client, std::slice::from_ref(&place), WITHIN)?;
    let low = bounds.first().map_or(0, |(low, _)| u64::try_from(*low).unwrap_or(0));
    let mut ready: BTreeMap<String, Ready> = BTreeMap::new();
    let mut judge = Judge::new(partition, form.partitions, usize::MAX);
    let mut from = 0;
    if low > 0 {
        let mut found = Snapshots::new(store, partition, client.slot()).below(record.next)?;
        found.retain(|(head, _)| head.next >= low);
        let Some((head, state)) = found.pop() else {
            return Err(LogError::Damaged {
                place: format!("{}/{partition}", place.0),
                what: format!("it begins at {low} and no snapshot here reaches it: what is older is beyond retention"),
            }
            .into());
        };
        let pack = Ready::fetch(client, &head.pack)?;
        ready.insert(head.pack.clone(), pack.clone());
        judge.restore(pack, &state, head.version, head.clock).map_err(|e| LogError::Damaged {
            place: format!("snapshot {} of partition {partition}", head.next),
            what: e.to_string(),
        })?;
        from = head.next;
    }
    let mut failed: Option<LogError> = None;
    Reader::each(client, BTreeMap::from([(place, (from, record.next))]), WITHIN, |message| {
        let position = u64::try_from(message.offset).unwrap_or(0);
        if failed.is_some() || position >= record.next {
            return;
        }
        let entered = decode(message.payload.as_deref().unwrap_or_default()).and_then(|entry| {
            judge.enter(entry, position, |hash| {
                if !ready.contains_key(hash) {
                    ready.insert(hash.to_owned(), Ready::fetch(client, hash)?);
                }
                Ok(ready[hash].clone())
            })
        });
        told.entries += 1;
        match entered {
            Err(error) => failed = Some(error),
            Ok(outcomes) => {
                for change in outcomes.into_iter().flat_map(|outcomes| outcomes.changes) {
                    if change.warning_id == id
                        && let Some(now) = &judge.now
                    {
                        told.changes.push((now.responder.respond(&change), now.pack.clone()));
                    }
                    told.ids.insert(change.warning_id);
                }
            }
        }
    })?;
    match failed {
        Some(error) => Err(error.into()),
        None => Ok((told, from)),
    }
}

/// The documents of a warning as everyone was sent them, by number of the change.
///
/// # Errors
/// When the topic cannot be read to its end.
pub fn sent_warning(client: &Client, id: &str) -> Result<BTreeMap<u64, Value>, LogError> {
    let mut sent = BTreeMap::new();
    Reader::scan(client, &client.name(EVERYONE), WITHIN, |message| {
        let payload = message.payload.as_deref().unwrap_or_default();
        // Most documents are of other warnings: the id is looked for before anything is parsed.
        if !std::str::from_utf8(payload).is_ok_and(|text| text.contains(id)) {
            return;
        }
        if let Ok(document) = serde_json::from_slice::<Value>(payload)
            && document.get("id").and_then(Value::as_str) == Some(id)
        {
            sent.insert(document.get("change").and_then(Value::as_u64).unwrap_or(0), document);
        }
    })?;
    Ok(sent)
}
