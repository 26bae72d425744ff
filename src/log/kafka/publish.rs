//! A pack to a running system: what stops it, and its two steps.
//!
//! In: a pack that loads. Out: the version under which it counts from one exact place in each log partition.
//! Promise: nothing is written when the pack is refused; between the steps the old pack counts and the new one maps,
//! so a pack may not take away a column that the old rules read.

use super::super::{Activate, Entry, LogError, encode};
use super::client::Client;
use super::packs::{activate, prepare, raw_partitions, read_packs, wait_prepared};
use super::topics::{TopicFinding, check_topics, raw_topics};
use crate::log::kafka::LogForm;
use crate::pack::{Pack, Status};
use crate::record::Millis;
use std::time::Duration;

/// Why a pack is not published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// Columns that active rules read would be gone or of another type.
    #[error("active rules read what this pack takes away: {}; publish without those rules first", .0.join("; "))]
    Drops(Vec<String>),
    /// Topics that the pack addresses are not as they should be.
    #[error("topics: {}", .0.iter().map(|f| format!("{}: {}", f.topic, f.what)).collect::<Vec<_>>().join("; "))]
    Topics(Vec<TopicFinding>),
    /// Nobody owns these raw partitions, or their owners do not answer.
    #[error("prepared, not activated: the owners of {} do not map by it yet; is an intake running?", .0.join(", "))]
    Waiting(Vec<String>),
    /// Activate was asked for a pack that was not prepared, or not last.
    #[error("pack {0} is not the one prepared last; prepare it first")]
    NotPrepared(String),
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// First step. Gives the hash.
///
/// # Errors
/// When the pack is refused, or the log does not take it.
pub fn publish_prepare(
    client: &Client,
    form: LogForm,
    retention: Millis,
    pack: &Pack,
    audiences: &[String],
) -> Result<String, PublishError> {
    let raw: Vec<String> = raw_topics(pack, audiences).into_keys().collect();
    let findings = check_topics(client, form, retention, &raw, audiences)?;
    if !findings.is_empty() {
        return Err(PublishError::Topics(findings));
    }
    let packs = read_packs(client)?;
    if let Some((_, active)) = &packs.active {
        let place = || format!("active pack {active}");
        let old = Pack::read_logged(packs.body(active)?)
            .map_err(|f| LogError::Damaged { place: place(), what: format!("{} findings", f.len()) })?;
        let drops = drops(&old, pack);
        if !drops.is_empty() {
            return Err(PublishError::Drops(drops));
        }
    }
    Ok(prepare(client, &pack.body)?)
}

/// Second step. Gives the version.
///
/// # Errors
/// When not every owner maps by the pack `within` this time, or the log does not take it.
pub fn publish_activate(
    client: &Client,
    form: LogForm,
    pack: &Pack,
    audiences: &[String],
    within: Duration,
) -> Result<u64, PublishError> {
    if read_packs(client)?.prepared.as_ref() != Some(&pack.hash) {
        return Err(PublishError::NotPrepared(pack.hash.clone()));
    }
    let topics = raw_topics(pack, audiences);
    let open = wait_prepared(client, &pack.hash, &topics, within)?;
    if !open.is_empty() {
        return Err(PublishError::Waiting(open));
    }
    let raw = raw_partitions(client, &topics)?;
    Ok(activate(client, &pack.hash, form.partitions, |version| {
        let entry = Entry::Pack(Activate { version, hash: pack.hash.clone(), clock: form.clock, raw });
        Ok(encode(&entry))
    })?)
}

/// Columns that active rules of `old` name and `new` lacks or retypes. By words of the rule files: a name in a note
/// counts too, which refuses too much and never too little.
fn drops(old: &Pack, new: &Pack) -> Vec<String> {
    let mut found = Vec::new();
    for (name, source) in &old.sources {
        let kind = source.kind.word();
        let readers: Vec<&str> = old
            .indicators
            .values()
            .filter(|i| i.status != Status::Retired && (i.source == *name || i.source == kind))
            .filter_map(|i| {
                let file = format!("/{}.yaml", i.id);
                old.body.files.iter().find(|(path, _)| path.ends_with(&file)).map(|(_, text)| text.as_str())
            })
            .collect();
        let reads = |column: &str| {
            let word = |text: &&str| text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|w| w == column);
            readers.iter().any(word)
        };
        let Some(next) = new.sources.get(name) else {
            if !readers.is_empty() {
                found.push(format!("source {name}"));
            }
            continue;
        };
        for (attr, form) in &source.attrs {
            if reads(attr) && next.attrs.get(attr).is_none_or(|other| other.ty != form.ty) {
                found.push(format!("{name}.{attr}"));
            }
        }
        for column in source.record.keys() {
            if reads(column) && !next.envelope && !next.record.contains_key(column) {
                found.push(format!("{name}.{column}"));
            }
        }
    }
    found
}
