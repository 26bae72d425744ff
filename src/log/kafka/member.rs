//! Membership in a consumer group: it says who works on which partitions and carries the generation that fences.
//!
//! The member fetches nothing: its partitions are paused, and the workers read with readers of their own. So no
//! rebalance can lose or double a message that a worker holds.

use super::super::LogError;
use super::client::{Client, identity, machine, said};
use super::reader::{Place, offsets, retriable};
use crate::clock::Stopwatch;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, ConsumerGroupMetadata};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a rebalance says.
pub(super) enum Change {
    Assigned(Vec<Place>),
    Revoked(Vec<Place>),
}

/// Called inside a revocation, before the partitions are let go.
type Release = Box<dyn Fn(&[Place]) + Send + Sync>;

struct Placement {
    changes: Mutex<Vec<Change>>,
    release: Release,
}

impl ClientContext for Placement {
    fn error(&self, error: KafkaError, reason: &str) {
        said(&error, reason);
    }
}

impl ConsumerContext for Placement {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, err: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let places: Vec<Place> = list.elements().iter().map(|e| (e.topic().to_owned(), e.partition())).collect();
        let (result, change) = if err == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            // The position is of no meaning, it only spares a look-up that would fail for a new group.
            let zero = places.iter().cloned().map(|place| (place, 0)).collect();
            let result = offsets(&zero).and_then(|zero| {
                consumer.incremental_assign(&zero).map_err(|e| retriable("assign", e))?;
                consumer.pause(&zero).map_err(|e| retriable("pause", e))
            });
            (result, Change::Assigned(places))
        } else {
            (self.release)(&places);
            (consumer.incremental_unassign(list).map_err(|e| retriable("unassign", e)), Change::Revoked(places))
        };
        if let Err(error) = result {
            tracing::error!(%error, "rebalance");
        }
        self.changes.lock().expect("no panic under this lock").push(change);
    }
}

/// A member of one group.
#[derive(Clone)]
pub(super) struct Member {
    consumer: Arc<BaseConsumer<Placement>>,
    group: String,
}

impl Member {
    /// Joins at the first poll.
    ///
    /// # Errors
    /// [`LogError::Fenced`] when another living instance has the slot.
    pub(super) fn join(client: &Client, group: &str, topics: &[String], release: Release) -> Result<Member, LogError> {
        let placement = Placement { changes: Mutex::default(), release };
        let consumer: BaseConsumer<Placement> =
            client.member(group).create_with_context(placement).map_err(|e| retriable(group, e))?;
        let member = Member { consumer: Arc::new(consumer), group: client.name(group) };
        member.refuse_second(client)?;
        if !topics.is_empty() {
            member.subscribe(topics)?;
        }
        Ok(member)
    }

    /// Takes part in exactly these topics.
    pub(super) fn subscribe(&self, topics: &[String]) -> Result<(), LogError> {
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        self.consumer.subscribe(&topics).map_err(|e| retriable(&self.group, e))
    }

    /// A slot in use is refused. A member of this machine whose process is gone is a crash before this start: its slot
    /// is free at once. Whether one on another machine, or in another container, lives shows only after the session
    /// timeout.
    fn refuse_second(&self, client: &Client) -> Result<(), LogError> {
        let (mine, here) = (client.identity(), machine());
        let watch = Stopwatch::start();
        loop {
            let groups = self
                .consumer
                .fetch_group_list(Some(&self.group), Duration::from_secs(15))
                .map_err(|e| retriable(&self.group, e))?;
            let holder = groups.groups().iter().flat_map(|g| g.members()).find_map(|m| {
                let holder = m.client_id().strip_prefix(&mine)?;
                let (host, process) = holder.rsplit_once(':')?;
                let gone = host == here && !std::path::Path::new("/proc").join(process).exists();
                let me = host == here && process == std::process::id().to_string();
                (!gone && !me).then(|| (host.to_owned(), process.to_owned()))
            });
            let Some((host, process)) = holder else { return Ok(()) };
            // 12 s: the default session timeout and a little; on this machine the process is known to live.
            if host == here || watch.elapsed() > Duration::from_secs(12) {
                return Err(LogError::Fenced {
                    what: format!("slot {} is in use by process {process} on {host}; give --slot", client.slot()),
                });
            }
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// Whether an instance of that slot is in the group now.
    pub(super) fn has(&self, slot: &str) -> Result<bool, LogError> {
        let groups = self
            .consumer
            .fetch_group_list(Some(&self.group), Duration::from_secs(1))
            .map_err(|e| retriable(&self.group, e))?;
        let theirs = identity(slot);
        Ok(groups.groups().iter().flat_map(|g| g.members()).any(|m| m.client_id().starts_with(&theirs)))
    }

    /// Serves the group; the changes since the last call.
    ///
    /// # Errors
    /// [`LogError::Fenced`] when another instance took the slot.
    pub(super) fn poll(&self, wait: Duration) -> Result<Vec<Change>, LogError> {
        match self.consumer.poll(wait) {
            // A message or error that slipped in before the pause: nobody reads here.
            Some(Ok(_)) | None => {}
            Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                return Err(LogError::Fenced { what: format!("group {}: {code}", self.group) });
            }
            Some(Err(error)) => tracing::debug!(%error, group = self.group, "group"),
        }
        Ok(std::mem::take(&mut *self.consumer.context().changes.lock().expect("no panic under this lock")))
    }

    /// The live generation.
    pub(super) fn generation(&self) -> Result<ConsumerGroupMetadata, LogError> {
        self.consumer.group_metadata().ok_or_else(|| retriable(&self.group, "no generation"))
    }

    /// Offsets committed in the group; waits for transactions that still decide about them. Places without one lack.
    pub(super) fn committed(&self, places: &[Place], within: Duration) -> Result<BTreeMap<Place, i64>, LogError> {
        let mut list = TopicPartitionList::with_capacity(places.len());
        for (topic, partition) in places {
            list.add_partition(topic, *partition);
        }
        let list = self.consumer.committed_offsets(list, within).map_err(|e| retriable(&self.group, e))?;
        let mut committed = BTreeMap::new();
        for element in list.elements() {
            element.error().map_err(|e| retriable(&self.group, e))?;
            if let Offset::Offset(offset) = element.offset() {
                committed.insert((element.topic().to_owned(), element.partition()), offset);
            }
        }
        Ok(committed)
    }
}
