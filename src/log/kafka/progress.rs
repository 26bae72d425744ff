//! Commit records: where each engine stands, written in the same transaction as its outputs.
//!
//! Partition `n` of `forewarn.progress` belongs to partition `n` of the log, so that the open transaction of another
//! engine never hides a record.

use super::super::{EngineCommit, LogError};
use super::PROGRESS;
use super::client::{Client, Quiet};
use super::reader::{Place, RawMessage, Reader, asker, bounds_by, index, retriable};
use crate::clock::Stopwatch;
use crate::record::Millis;
use rdkafka::consumer::BaseConsumer;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What an engine has done with its partition, as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitRecord {
    /// Log partition.
    pub partition: u32,
    /// The next position to read.
    pub next: u64,
    /// Log time reached.
    pub log_time: Millis,
    /// Publish version of the active pack; 0 before there is one.
    pub version: u64,
    /// Hash of the active pack.
    pub pack: String,
    /// Version of the program that wrote it.
    pub engine: String,
    /// Number of outcomes since the log's start.
    pub outcomes: u64,
    /// Running hash over them.
    pub outcomes_hash: String,
}

impl CommitRecord {
    pub(super) fn of(commit: &EngineCommit) -> CommitRecord {
        CommitRecord {
            partition: commit.partition,
            next: commit.next,
            log_time: commit.log_time,
            version: commit.version,
            pack: commit.pack.clone(),
            engine: env!("CARGO_PKG_VERSION").to_owned(),
            outcomes: commit.outcomes,
            outcomes_hash: commit.outcomes_hash.clone(),
        }
    }
}

/// The newest committed record of a log partition; `None` when there is none yet.
///
/// # Errors
/// [`LogError::Retriable`] when the broker does not answer in time, [`LogError::Damaged`] when the record is none.
pub fn read_progress(client: &Client, partition: u32) -> Result<Option<CommitRecord>, LogError> {
    let within = Duration::from_secs(15);
    let topic = client.name(PROGRESS);
    let place: Place = (topic.clone(), index(partition));
    let bounds = Reader::bounds(client, std::slice::from_ref(&place), within)?;
    let (low, end) = *bounds.first().ok_or_else(|| retriable(&topic, "no bounds"))?;
    let mut reader = Reader::new(client)?;
    // Compaction leaves tens of thousands of old records; the newest is almost always among the last few.
    for start in [end.saturating_sub(64).max(low), low] {
        reader.assign(BTreeMap::from([(place.clone(), start)]))?;
        let watch = Stopwatch::start();
        let mut newest = None;
        while reader.positions()?[&place] < end {
            if watch.elapsed() > within {
                return Err(retriable(&topic, "its end was not reached in time"));
            }
            let batch = reader.batch(10_000, usize::MAX, Duration::from_millis(10))?;
            newest = batch.into_iter().next_back().and_then(|m| m.payload).or(newest);
        }
        if let Some(payload) = newest {
            return serde_json::from_slice(&payload)
                .map(Some)
                .map_err(|e| LogError::Damaged { place: format!("{topic}/{partition}"), what: e.to_string() });
        }
        if start == low {
            break;
        }
    }
    Ok(None)
}

/// Follows the commit records of all partitions.
pub struct Progress {
    asker: BaseConsumer<Quiet>,
    records: Reader,
    log: Vec<Place>,
    next: BTreeMap<i32, u64>,
}

impl Progress {
    /// Reads the records that there are.
    ///
    /// # Errors
    /// [`LogError::Retriable`] when the broker does not answer in time.
    pub fn open(client: &Client, partitions: u32) -> Result<Progress, LogError> {
        let (records, messages) = Reader::whole(client, &client.name(PROGRESS), Duration::from_secs(60))?;
        let log = (0..partitions).map(|p| (client.name(super::LOG), index(p))).collect();
        let mut engines = Progress { asker: asker(client)?, records, log, next: BTreeMap::new() };
        engines.take(&messages)?;
        Ok(engines)
    }

    fn take(&mut self, messages: &[RawMessage]) -> Result<(), LogError> {
        for message in messages {
            let Some(payload) = &message.payload else { continue };
            let record: CommitRecord = serde_json::from_slice(payload).map_err(|e| LogError::Damaged {
                place: format!("{}@{}", message.raw, message.offset),
                what: e.to_string(),
            })?;
            self.next.insert(message.partition, record.next);
        }
        Ok(())
    }

    fn behind(&self, ends: &[(i64, i64)]) -> bool {
        self.log.iter().zip(ends).any(|((_, partition), (_, end))| {
            self.next.get(partition).copied().unwrap_or(0) < u64::try_from(*end).unwrap_or(0)
        })
    }

    /// Waits until the engines have read everything that stands in the log, and everything that they added to it
    /// meanwhile. False when `stop` came first.
    ///
    /// # Errors
    /// [`LogError::Retriable`] when the broker does not answer in time.
    pub fn wait(&mut self, stop: &AtomicBool) -> Result<bool, LogError> {
        loop {
            let ends = bounds_by(&self.asker, &self.log, Duration::from_secs(15))?;
            let mut waited = false;
            while self.behind(&ends) {
                if stop.load(Ordering::Relaxed) {
                    return Ok(false);
                }
                waited = true;
                let messages = self.records.batch(10_000, usize::MAX, Duration::from_millis(10))?;
                self.take(&messages)?;
            }
            if !waited {
                return Ok(true);
            }
        }
    }
}
