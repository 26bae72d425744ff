//! Packs on the cluster: bodies in chunks, which one intakes map by, which one counts.
//!
//! Keys of `forewarn.packs` (one partition, compacted): `log` (the form of the log), `chunk|<hash>|<n>`,
//! `prepare` (the newest prepared pack), `active` (the pack that counts), `ack|<raw>` (the owner of a raw partition
//! maps by that pack). A publish is two transactions of one transactional id, so two publishes cannot cross.

use super::super::LogError;
use super::PACKS;
use super::client::Client;
use super::engine::entry_to;
use super::reader::{RawMessage, Reader, asker, partitions_by, retriable};
use super::topics::LogForm;
use super::transaction::{Outgoing, Transactional};
use crate::clock::Stopwatch;
use crate::pack::Body;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Half of Kafka's usual message limit: JSON doubles quotes and line ends at worst.
const CHUNK: usize = 400 * 1024;

/// What stands in `forewarn.packs`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Packs {
    /// The form of the log, fixed when its topics were made.
    pub log: Option<LogForm>,
    /// Hash that intakes map by, or will.
    pub prepared: Option<String>,
    /// Version and hash that count.
    pub active: Option<(u64, String)>,
    /// Raw partition to the hash that its owner maps by.
    pub acks: BTreeMap<String, String>,
    /// Raw partition to the slot that owned it last.
    pub owners: BTreeMap<String, String>,
    chunks: BTreeMap<String, BTreeMap<usize, String>>,
    counts: BTreeMap<String, usize>,
}

#[derive(Serialize, Deserialize)]
struct Prepare {
    hash: String,
    chunks: usize,
}

#[derive(Serialize, Deserialize)]
struct Active {
    version: u64,
    hash: String,
}

#[derive(Serialize, Deserialize)]
struct Ack {
    hash: String,
    slot: String,
}

impl Packs {
    /// The body of a pack that was prepared at some time.
    ///
    /// # Errors
    /// [`LogError::Damaged`] when a part is missing or the hash is another.
    pub fn body(&self, hash: &str) -> Result<Body, LogError> {
        let damaged = |what: String| LogError::Damaged { place: format!("{PACKS} {hash}"), what };
        let parts = self.chunks.get(hash).ok_or_else(|| damaged("no such pack".to_owned()))?;
        if self.counts.get(hash) != Some(&parts.len()) {
            return Err(damaged(format!("{} parts of {:?}", parts.len(), self.counts.get(hash))));
        }
        let text: String = parts.values().map(String::as_str).collect();
        let body: Body = serde_json::from_str(&text).map_err(|e| damaged(e.to_string()))?;
        if body.hash() == hash { Ok(body) } else { Err(damaged("the body has another hash".to_owned())) }
    }

    /// Takes one message of the topic.
    ///
    /// # Errors
    /// [`LogError::Damaged`] when it is none of ours.
    pub(super) fn take(&mut self, message: &RawMessage) -> Result<(), LogError> {
        let place = format!("{}@{}", message.raw, message.offset);
        let damaged = |what: String| LogError::Damaged { place: place.clone(), what };
        let key = message.key.as_deref().and_then(|k| std::str::from_utf8(k).ok()).unwrap_or_default();
        let Some(payload) = &message.payload else { return Ok(()) };
        let text = std::str::from_utf8(payload).map_err(|e| damaged(e.to_string()))?;
        match key.split('|').collect::<Vec<_>>().as_slice() {
            ["log"] => self.log = Some(parse(text).map_err(damaged)?),
            ["prepare"] => {
                let prepare: Prepare = parse(text).map_err(damaged)?;
                self.counts.insert(prepare.hash.clone(), prepare.chunks);
                self.prepared = Some(prepare.hash);
            }
            ["active"] => {
                let active: Active = parse(text).map_err(damaged)?;
                self.active = Some((active.version, active.hash));
            }
            ["ack", raw] => {
                let ack: Ack = parse(text).map_err(damaged)?;
                self.acks.insert((*raw).to_owned(), ack.hash);
                self.owners.insert((*raw).to_owned(), ack.slot);
            }
            ["chunk", hash, number] => {
                let number = number.parse().map_err(|_| damaged(format!("chunk number {number}")))?;
                self.chunks.entry((*hash).to_owned()).or_default().insert(number, text.to_owned());
            }
            _ => tracing::warn!(place, key, "a message that this build does not know"),
        }
        Ok(())
    }
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|e| e.to_string())
}

pub(super) fn record(client: &Client, key: &str, value: &impl Serialize) -> Result<Outgoing, LogError> {
    let value = serde_json::to_vec(value).map_err(|e| retriable(key, e))?;
    let mut message = Outgoing::keyed(client.name(PACKS), key, value);
    message.partition = Some(0);
    Ok(message)
}

/// The owner of `raw` maps by the pack from here on. Goes into an intake transaction.
pub(super) fn ack(client: &Client, raw: &str, hash: &str) -> Result<Outgoing, LogError> {
    record(client, &format!("ack|{raw}"), &Ack { hash: hash.to_owned(), slot: client.slot().to_owned() })
}

/// Reads the topic to the end it has now.
///
/// # Errors
/// [`LogError::Retriable`] when the broker does not answer in time; [`LogError::Damaged`] when there is no such topic
/// or what stands in it cannot be read.
pub fn read_packs(client: &Client) -> Result<Packs, LogError> {
    follow(client).map(|(_, packs)| packs)
}

/// As [`read_packs`], with the reader to go on from there.
pub(super) fn follow(client: &Client) -> Result<(Reader, Packs), LogError> {
    let (reader, messages) = Reader::whole(client, &client.name(PACKS), Duration::from_secs(30))?;
    let mut packs = Packs::default();
    for message in &messages {
        packs.take(message)?;
    }
    Ok((reader, packs))
}

fn publisher(client: &Client) -> Result<Transactional, LogError> {
    let mut out = Transactional::new(client, "forewarn-publish".to_owned());
    out.fence()?;
    Ok(out)
}

/// First step of a publish: the body goes to the cluster and intakes begin to map by it.
///
/// # Errors
/// As a commit; after [`LogError::Indefinite`] it is safe to prepare again.
pub fn prepare(client: &Client, body: &Body) -> Result<String, LogError> {
    let hash = body.hash();
    let mut out = publisher(client)?;
    let text = serde_json::to_string(body).map_err(|e| retriable("pack", e))?;
    let mut messages = Vec::new();
    let mut part = String::new();
    for character in text.chars() {
        part.push(character);
        if part.len() >= CHUNK {
            messages.push(chunk(client, &hash, messages.len(), std::mem::take(&mut part)));
        }
    }
    messages.push(chunk(client, &hash, messages.len(), part));
    messages.push(record(client, "prepare", &Prepare { hash: hash.clone(), chunks: messages.len() })?);
    out.commit(&messages, None)?;
    Ok(hash)
}

fn chunk(client: &Client, hash: &str, number: usize, part: String) -> Outgoing {
    let mut message = Outgoing::keyed(client.name(PACKS), &format!("chunk|{hash}|{number}"), part.into_bytes());
    message.partition = Some(0);
    message
}

/// Names of the raw partitions of `topics` (topic without prefix, to the name before the number).
///
/// # Errors
/// [`LogError::Damaged`] when a topic is missing.
pub fn raw_partitions(client: &Client, topics: &BTreeMap<String, String>) -> Result<Vec<String>, LogError> {
    let mut raw = BTreeSet::new();
    let asker = asker(client)?;
    for (topic, source) in topics {
        let topic = client.name(topic);
        let Some(count) = partitions_by(&asker, &topic, Duration::from_secs(15))? else {
            return Err(LogError::Damaged {
                place: topic,
                what: format!("source {source} has no such topic; `forewarn topics create` makes it"),
            });
        };
        raw.extend((0..count).map(|number| format!("{source}/{number}")));
    }
    Ok(raw.into_iter().collect())
}

/// Waits until the owners of all raw partitions of `topics` map by the prepared pack. The raw partitions that do not
/// yet: empty when all do.
///
/// # Errors
/// As [`read_packs`] and [`raw_partitions`].
pub fn wait_prepared(
    client: &Client,
    hash: &str,
    topics: &BTreeMap<String, String>,
    within: Duration,
) -> Result<Vec<String>, LogError> {
    let raw = raw_partitions(client, topics)?;
    let watch = Stopwatch::start();
    let (mut reader, mut packs) = follow(client)?;
    loop {
        let open: Vec<String> =
            raw.iter().filter(|raw| packs.acks.get(*raw).map(String::as_str) != Some(hash)).cloned().collect();
        if open.is_empty() || watch.elapsed() > within {
            return Ok(open);
        }
        for message in reader.batch(1_000, usize::MAX, Duration::from_millis(100))? {
            packs.take(&message)?;
        }
    }
}

/// Second step of a publish: `entry` (version and hash inside) goes to every log partition in one transaction, so the
/// pack takes effect at one exact place in each. `entry` is made from the version, which is one above the active one.
///
/// # Errors
/// As a commit. [`LogError::Indefinite`]: [`read_packs`] tells whether it counts.
pub fn activate(
    client: &Client,
    hash: &str,
    partitions: u32,
    entry: impl FnOnce(u64) -> Result<Vec<u8>, LogError>,
) -> Result<u64, LogError> {
    // The fence comes first: no other publish can slip in between the version that is read and the one written.
    let mut out = publisher(client)?;
    let packs = read_packs(client)?;
    packs.body(hash)?;
    let version = packs.active.map_or(1, |(version, _)| version + 1);
    let entry = entry(version)?;
    let mut messages: Vec<Outgoing> = (0..partitions).map(|p| entry_to(client, p, entry.clone())).collect();
    messages.push(record(client, "active", &Active { version, hash: hash.to_owned() })?);
    out.commit(&messages, None)?;
    Ok(version)
}
