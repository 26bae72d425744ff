//! Settings of Kafka's client, one set for everything that talks to the cluster.

use super::super::LogError;
use crate::config;
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::util::get_rdkafka_version;
use std::collections::BTreeMap;
use xxhash_rust::xxh3::xxh3_64;

/// How to reach the cluster, and under which names.
#[derive(Clone)]
pub struct Client {
    bootstrap: String,
    properties: BTreeMap<String, String>,
    prefix: String,
    slot: String,
    session_timeout_ms: u32,
}

impl Client {
    /// Keeps the settings; nothing is sent yet.
    ///
    /// # Errors
    /// [`LogError::Damaged`] when the client library is older than 2.12: older ones lost records silently.
    pub fn new(kafka: &config::Kafka, slot: &str) -> Result<Client, LogError> {
        let (number, text) = get_rdkafka_version();
        // 0xMMmmrrpp
        if number < 0x020c_0000 {
            return Err(LogError::Damaged {
                place: "librdkafka".to_owned(),
                what: format!("version {text} is older than 2.12"),
            });
        }
        Ok(Client {
            bootstrap: kafka.bootstrap.clone(),
            properties: kafka.properties.clone(),
            prefix: kafka.prefix.clone(),
            slot: slot.to_owned(),
            session_timeout_ms: kafka.session_timeout_ms,
        })
    }

    /// The name of this instance.
    #[must_use]
    pub fn slot(&self) -> &str {
        &self.slot
    }

    /// A topic, group or transactional id with the prefix of the settings.
    #[must_use]
    pub fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Name of this installation in the messages: the prefix without its last sign, `main` without one.
    #[must_use]
    pub fn deployment(&self) -> &str {
        match self.prefix.trim_end_matches(['.', '-', '_']) {
            "" => "main",
            name => name,
        }
    }

    /// Client id of this instance up to the process: who holds a slot is told apart by it.
    pub(super) fn identity(&self) -> String {
        identity(&self.slot)
    }

    pub(super) fn base(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config
            .set("bootstrap.servers", &self.bootstrap)
            .set("client.id", format!("{}{}:{}", self.identity(), machine(), std::process::id()))
            .set("allow.auto.create.topics", "false")
            .set("socket.keepalive.enable", "true")
            // Quick back after a broker restart; the default waits up to 10 s.
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000")
            // The default of 100 ms is waited once in each transaction, when the coordinator still ends the last one.
            .set("retry.backoff.ms", "5")
            .set("retry.backoff.max.ms", "250");
        config
    }

    /// Reads by explicit assignment. `read_uncommitted` only finds ends.
    pub(super) fn reader(&self, isolation: &str) -> ClientConfig {
        let mut config = self.base();
        config
            // Needed by the client library; nothing joins it or commits to it.
            .set("group.id", self.name("forewarn-reader"))
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("isolation.level", isolation)
            // Never silently to an end: what is no longer there is an error that somebody sees.
            .set("auto.offset.reset", "error")
            .set("fetch.wait.max.ms", "100")
            .set("fetch.error.backoff.ms", "50")
            .set("queued.min.messages", "10000")
            // Bound of what is read ahead, per partition.
            .set("queued.max.messages.kbytes", "16384");
        config
    }

    /// A member of a group. It places partitions and carries the generation; it fetches nothing.
    pub(super) fn member(&self, group: &str) -> ClientConfig {
        let mut config = self.reader("read_committed");
        config
            .set("group.id", self.name(group))
            // A restart of the same slot keeps its partitions without waiting for the session timeout.
            .set("group.instance.id", &self.slot)
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", self.session_timeout_ms.to_string())
            .set("heartbeat.interval.ms", (self.session_timeout_ms / 4).to_string())
            .set("max.poll.interval.ms", "300000");
        config
    }

    /// A transactional producer; an open transaction of a dead one is aborted by the broker after 10 s.
    pub(super) fn producer(&self, id: &str) -> ClientConfig {
        let mut config = self.base();
        config
            .set("transactional.id", self.name(id))
            .set("transaction.timeout.ms", "10000")
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("linger.ms", "1")
            .set("compression.type", "zstd")
            .set("message.max.bytes", (super::LOG_MESSAGE_BYTES_MAX + 64 * 1024).to_string())
            .set("partitioner", "murmur2_random");
        config
    }
}

/// What the client ids of a slot begin with.
pub(super) fn identity(slot: &str) -> String {
    format!("forewarn-{slot}@")
}

/// What a client says about itself. Lost connections come back by themselves and are told by whoever waits for them;
/// at the level of errors they would fill a log within one broker restart.
#[derive(Clone, Default)]
pub(super) struct Quiet;

impl ClientContext for Quiet {
    fn error(&self, error: KafkaError, reason: &str) {
        said(&error, reason);
    }
}

impl ConsumerContext for Quiet {}

pub(super) fn said(error: &KafkaError, reason: &str) {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed | RDKafkaErrorCode::SSL) => {
            tracing::error!(%error, reason, "the cluster does not let us in");
        }
        _ => tracing::debug!(%error, reason, "connection"),
    }
}

/// Where process ids mean this process: host, boot and process namespace. The name of the host alone is not enough: in
/// containers of one name every program is process 1, and each would take the other for itself.
pub(super) fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    let here = format!("{}{}", read("/proc/sys/kernel/random/boot_id"), namespace.display());
    let name = read("/etc/hostname");
    format!("{}-{:08x}", name.trim(), xxh3_64(here.as_bytes()) >> 32)
}
