//! One transactional producer on the thread of its owner, and what its errors mean.

use super::super::LogError;
use super::client::{Client, said};
use super::reader::retriable;
use super::{LOG_MESSAGE_BYTES_MAX, MESSAGE_BYTES_MAX};
use crate::clock::Stopwatch;
use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A commit that takes longer has an outcome that cannot be known from here. Half of the transaction's own timeout.
const COMMIT: Duration = Duration::from_secs(5);

/// A message to send.
pub(super) struct Outgoing {
    pub(super) topic: String,
    pub(super) partition: Option<i32>,
    pub(super) key: Option<Vec<u8>>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) payload: Option<Vec<u8>>,
}

impl Outgoing {
    pub(super) fn keyed(topic: String, key: &str, payload: Vec<u8>) -> Outgoing {
        Outgoing { topic, partition: None, key: Some(key.into()), headers: Vec::new(), payload: Some(payload) }
    }

    fn bytes(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len() + 10).sum();
        self.key.as_ref().map_or(0, Vec::len) + self.payload.as_ref().map_or(0, Vec::len) + headers + 64
    }
}

/// Keeps the first message that was not delivered.
#[derive(Default)]
struct Deliveries(Mutex<Option<String>>);

impl ClientContext for Deliveries {
    fn error(&self, error: KafkaError, reason: &str) {
        said(&error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, message)) = result {
            let topic = rdkafka::Message::topic(message);
            let mut first = self.0.lock().expect("no panic under this lock");
            first.get_or_insert_with(|| format!("{topic}: {error}"));
        }
    }
}

/// A transactional id and its present producer.
pub(super) struct Transactional {
    client: Client,
    id: String,
    log: String,
    producer: Option<BaseProducer<Deliveries>>,
    topics: BTreeSet<String>,
}

impl Transactional {
    /// Nothing is sent before [`Transactional::fence`].
    pub(super) fn new(client: &Client, id: String) -> Transactional {
        let log = client.name(super::LOG);
        Transactional { client: client.clone(), id, log, producer: None, topics: BTreeSet::new() }
    }

    /// A new producer under the id: whoever had it before can commit no more, and its open transaction is aborted.
    ///
    /// # Errors
    /// [`LogError::Retriable`] when the broker does not answer.
    pub(super) fn fence(&mut self) -> Result<(), LogError> {
        self.producer = None;
        let producer: BaseProducer<Deliveries> = self
            .client
            .producer(&self.id)
            .create_with_context(Deliveries::default())
            .map_err(|e| retriable(&self.id, e))?;
        producer.init_transactions(Duration::from_secs(15)).map_err(|e| retriable(&self.id, e))?;
        self.producer = Some(producer);
        Ok(())
    }

    /// As [`Transactional::fence`], again and again until it works; false when `stop` came first.
    pub(super) fn fence_until(&mut self, stop: &AtomicBool) -> bool {
        while !stop.load(Ordering::Relaxed) {
            match self.fence() {
                Ok(()) => return true,
                Err(error) => tracing::warn!(id = self.id, %error, "no answer from the broker yet"),
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        false
    }

    /// Checks size and topic of every message. Before the transaction, so that none dies half way.
    fn check(&mut self, messages: &[Outgoing]) -> Result<(), LogError> {
        for message in messages {
            let most = if message.topic == self.log { LOG_MESSAGE_BYTES_MAX } else { MESSAGE_BYTES_MAX };
            if message.bytes() > most {
                let what = format!("a message of {} bytes, at most {most} fit", message.bytes());
                return Err(LogError::Damaged { place: message.topic.clone(), what });
            }
            if !self.topics.contains(&message.topic) {
                let producer = self.producer.as_ref().ok_or_else(|| retriable(&self.id, "no producer"))?;
                let metadata = producer
                    .client()
                    .fetch_metadata(Some(&message.topic), COMMIT)
                    .map_err(|e| retriable(&message.topic, e))?;
                if !metadata.topics().iter().any(|t| t.name() == message.topic && t.error().is_none()) {
                    return Err(retriable(&message.topic, "there is no such topic; `forewarn topics create` makes it"));
                }
                self.topics.insert(message.topic.clone());
            }
        }
        Ok(())
    }

    /// Sends all messages and the offsets as one whole.
    ///
    /// # Errors
    /// [`LogError::Retriable`]: nothing was committed. [`LogError::Indefinite`]: it may be; the producer is dropped.
    /// [`LogError::Fenced`]: the group or the id has another owner. [`LogError::Damaged`]: a message cannot be sent.
    pub(super) fn commit(
        &mut self,
        messages: &[Outgoing],
        offsets: Option<(&TopicPartitionList, &ConsumerGroupMetadata)>,
    ) -> Result<(), LogError> {
        self.check(messages)?;
        let Some(producer) = self.producer.take() else {
            return Err(LogError::Indefinite { what: format!("{}: no producer", self.id) });
        };
        // Kept only when what happened is certain.
        let result = self.attempt(&producer, messages, offsets);
        if matches!(result, Ok(()) | Err(LogError::Retriable { .. })) {
            self.producer = Some(producer);
        }
        result
    }

    fn attempt(
        &self,
        producer: &BaseProducer<Deliveries>,
        messages: &[Outgoing],
        offsets: Option<(&TopicPartitionList, &ConsumerGroupMetadata)>,
    ) -> Result<(), LogError> {
        let unknown = |what: &str| LogError::Indefinite { what: format!("{}: {what}", self.id) };
        producer.begin_transaction().map_err(|e| unknown(&format!("begin: {e}")))?;
        let watch = Stopwatch::start();
        for message in messages {
            let mut headers = OwnedHeaders::new_with_capacity(message.headers.len());
            for (key, value) in &message.headers {
                headers = headers.insert(Header { key, value: Some(value) });
            }
            let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&message.topic).headers(headers);
            record.partition = message.partition;
            record.key = message.key.as_deref();
            record.payload = message.payload.as_deref();
            while let Err((error, back)) = producer.send(record) {
                if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) || watch.elapsed() > COMMIT {
                    return Err(self.abort(producer, &format!("{}: {error}", message.topic)));
                }
                record = back;
                serve(producer);
            }
        }
        // Drained here in short steps: commit_transaction would wait in slices of 100 ms.
        while producer.in_flight_count() > 0 {
            if watch.elapsed() > COMMIT {
                return Err(unknown("messages were not taken in time"));
            }
            serve(producer);
        }
        let failed = producer.context().0.lock().expect("no panic under this lock").take();
        if let Some(what) = failed {
            return Err(self.abort(producer, &what));
        }
        if let Some((offsets, group)) = offsets {
            while let Err(error) = producer.send_offsets_to_transaction(offsets, group, COMMIT) {
                match class(&error) {
                    Class::Again if watch.elapsed() < COMMIT => std::thread::sleep(Duration::from_millis(5)),
                    Class::Again => return Err(unknown(&format!("offsets: {error}"))),
                    Class::Abort => return Err(self.abort(producer, &format!("offsets: {error}"))),
                    Class::Lost => return Err(self.lost("offsets", &error)),
                }
            }
        }
        match producer.commit_transaction(COMMIT) {
            Ok(()) => Ok(()),
            Err(error) => Err(match class(&error) {
                Class::Abort => self.abort(producer, &format!("commit: {error}")),
                // A late answer to this request could end the *next* transaction of this producer: never used again.
                Class::Again => unknown(&format!("commit: {error}")),
                Class::Lost => self.lost("commit", &error),
            }),
        }
    }

    fn abort(&self, producer: &BaseProducer<Deliveries>, what: &str) -> LogError {
        let what = format!("{}: {what}", self.id);
        match producer.abort_transaction(COMMIT) {
            Ok(()) => LogError::Retriable { what },
            Err(error) => LogError::Indefinite { what: format!("{what}; abort: {error}") },
        }
    }

    fn lost(&self, step: &str, error: &KafkaError) -> LogError {
        let what = format!("{}: {step}: {error}", self.id);
        match error.rdkafka_error_code() {
            Some(
                RDKafkaErrorCode::Fenced
                | RDKafkaErrorCode::ProducerFenced
                | RDKafkaErrorCode::InvalidProducerEpoch
                | RDKafkaErrorCode::FencedInstanceId,
            ) => LogError::Fenced { what },
            _ => LogError::Indefinite { what },
        }
    }
}

enum Class {
    Again,
    Abort,
    Lost,
}

fn class(error: &KafkaError) -> Class {
    match error {
        KafkaError::Transaction(e) if e.is_fatal() => Class::Lost,
        KafkaError::Transaction(e) if e.txn_requires_abort() => Class::Abort,
        KafkaError::Transaction(e) if e.is_retriable() => Class::Again,
        _ => Class::Lost,
    }
}

/// Takes in what the broker has answered. Not by a poll that waits: the client spins through a wait of less than 1 ms, and
/// five threads that wait for their commits so took more than a core from the broker that they wait for.
fn serve(producer: &BaseProducer<Deliveries>) {
    producer.poll(Duration::ZERO);
    if producer.in_flight_count() > 0 {
        std::thread::sleep(Duration::from_micros(300));
    }
}
