//! Reads partitions by explicit position.

use super::super::LogError;
use super::client::{Client, Quiet};
use crate::clock::Stopwatch;
use crate::record::Millis;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Message as _, Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A message as it was read.
#[derive(Clone, Debug)]
pub struct RawMessage {
    /// Raw partition `<source>/<number>`; `<topic>/<number>` for our own topics.
    pub raw: Arc<str>,
    /// Topic, with the prefix.
    pub topic: Arc<str>,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// When the broker or producer says it was written, ms; 0 when unknown.
    pub at: Millis,
    /// Key.
    pub key: Option<Vec<u8>>,
    /// Value; `None` is a tombstone.
    pub payload: Option<Vec<u8>>,
}

/// Topic and partition.
pub(super) type Place = (String, i32);

/// A consumer with positions of its own.
pub(super) struct Reader {
    consumer: BaseConsumer<Quiet>,
    at: BTreeMap<Place, i64>,
    names: BTreeMap<i32, BTreeMap<String, Names>>,
}

#[derive(Clone)]
struct Names {
    raw: Arc<str>,
    topic: Arc<str>,
}

pub(super) fn retriable(what: &str, error: impl std::fmt::Display) -> LogError {
    LogError::Retriable { what: format!("{what}: {error}") }
}

impl Reader {
    pub(super) fn new(client: &Client) -> Result<Reader, LogError> {
        Reader::with(&client.reader("read_committed"))
    }

    /// For hundreds of partitions: the broker looks at all of them for every answer, and with an answer for each message it
    /// does little else. So it gathers for a while.
    pub(super) fn of_many(client: &Client) -> Result<Reader, LogError> {
        let mut config = client.reader("read_committed");
        Reader::with(config.set("fetch.min.bytes", "65536").set("fetch.wait.max.ms", "25"))
    }

    fn with(config: &ClientConfig) -> Result<Reader, LogError> {
        let consumer = config.create_with_context(Quiet).map_err(|e| retriable("reader", e))?;
        Ok(Reader { consumer, at: BTreeMap::new(), names: BTreeMap::new() })
    }

    /// Reads exactly these partitions from these offsets on.
    pub(super) fn assign(&mut self, places: BTreeMap<Place, i64>) -> Result<(), LogError> {
        let list = offsets(&places)?;
        self.consumer.assign(&list).map_err(|e| retriable("assign", e))?;
        self.at = places;
        Ok(())
    }

    /// Messages of this partition carry this raw name from now on.
    pub(super) fn name(&mut self, place: &Place, raw: &str) {
        call(&mut self.names, &place.0, place.1, raw);
    }

    /// The next position of each partition. It passes control records and aborted messages, which no message shows.
    pub(super) fn positions(&mut self) -> Result<&BTreeMap<Place, i64>, LogError> {
        let list = self.consumer.position().map_err(|e| retriable("position", e))?;
        for element in list.elements() {
            if let Offset::Offset(offset) = element.offset()
                && let Some(at) = self.at.get_mut(&(element.topic().to_owned(), element.partition()))
            {
                *at = (*at).max(offset);
            }
        }
        Ok(&self.at)
    }

    /// Up to `most` messages or `bytes` of payload; waits up to `wait` for the first.
    ///
    /// # Errors
    /// [`LogError::Damaged`] when a position is no longer (or not yet) in its partition.
    pub(super) fn batch(&mut self, most: usize, bytes: usize, wait: Duration) -> Result<Vec<RawMessage>, LogError> {
        let mut messages = Vec::new();
        let mut held = 0;
        let watch = Stopwatch::start();
        while messages.len() < most && held < bytes {
            let left = if messages.is_empty() { wait.saturating_sub(watch.elapsed()) } else { Duration::ZERO };
            let polled = self.consumer.poll(left);
            match polled {
                Some(Ok(message)) => {
                    held += message.payload_len();
                    let (topic, partition) = (message.topic(), message.partition());
                    let names = match self.names.get(&partition).and_then(|topics| topics.get(topic)) {
                        Some(names) => names.clone(),
                        None => call(&mut self.names, topic, partition, &format!("{topic}/{partition}")),
                    };
                    messages.push(RawMessage {
                        raw: names.raw,
                        topic: names.topic,
                        partition: message.partition(),
                        offset: message.offset(),
                        at: message.timestamp().to_millis().unwrap_or(0),
                        key: message.key().map(<[u8]>::to_vec),
                        payload: message.payload().map(<[u8]>::to_vec),
                    });
                }
                Some(Err(
                    KafkaError::MessageConsumption(
                        code @ (RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange),
                    )
                    | KafkaError::MessageConsumptionFatal(code),
                )) => {
                    return Err(LogError::Damaged {
                        place: self.at.keys().map(|(t, p)| format!("{t}/{p}")).collect::<Vec<_>>().join(", "),
                        what: format!("a position to read from is not there: {code}"),
                    });
                }
                // The client reconnects by itself; until then there is just nothing to read.
                Some(Err(error)) => tracing::debug!(%error, "read"),
                None if messages.is_empty() && watch.elapsed() < wait => {}
                None => break,
            }
        }
        Ok(messages)
    }

    /// First and next offset of partitions, transactions still open included.
    pub(super) fn bounds(client: &Client, places: &[Place], within: Duration) -> Result<Vec<(i64, i64)>, LogError> {
        bounds_by(&asker(client)?, places, within)
    }

    /// The number of partitions of a topic; `None` when there is no such topic.
    pub(super) fn partitions(client: &Client, topic: &str, within: Duration) -> Result<Option<u32>, LogError> {
        partitions_by(&asker(client)?, topic, within)
    }

    /// Reads a whole topic from its beginning to the ends it has now, into memory.
    ///
    /// # Errors
    /// As [`Reader::scan`].
    pub(super) fn whole(client: &Client, topic: &str, within: Duration) -> Result<(Reader, Vec<RawMessage>), LogError> {
        let mut messages = Vec::new();
        let reader = Reader::scan(client, topic, within, |message| messages.push(message.clone()))?;
        Ok((reader, messages))
    }

    /// Hands on every message of a topic from its beginning to the ends it has now.
    ///
    /// # Errors
    /// [`LogError::Retriable`] when nothing comes for so long as `within`; an open transaction of a dead writer holds
    /// the ends back for at most 20 s. [`LogError::Damaged`] when there is no such topic.
    pub(super) fn scan(
        client: &Client,
        topic: &str,
        within: Duration,
        each: impl FnMut(&RawMessage),
    ) -> Result<Reader, LogError> {
        let places = Reader::places(client, topic, within)?;
        let bounds = Reader::bounds(client, &places, within)?;
        let positive = |offset: i64| u64::try_from(offset).unwrap_or(0);
        let ranges = places.into_iter().zip(bounds.into_iter().map(|(low, end)| (positive(low), positive(end))));
        Reader::each(client, ranges.collect(), within, each)
    }

    /// Hands on every message of some ranges of positions, and perhaps some that stand behind them.
    ///
    /// # Errors
    /// [`LogError::Retriable`] when nothing comes for so long as `within`.
    pub(super) fn each(
        client: &Client,
        ranges: BTreeMap<Place, (u64, u64)>,
        within: Duration,
        mut each: impl FnMut(&RawMessage),
    ) -> Result<Reader, LogError> {
        let offset = |position: u64| i64::try_from(position).unwrap_or(i64::MAX);
        let mut reader = Reader::new(client)?;
        reader.assign(ranges.iter().map(|(place, (from, _))| (place.clone(), offset(*from))).collect())?;
        let mut watch = Stopwatch::start();
        while reader.positions()?.iter().any(|(place, at)| *at < offset(ranges[place].1)) {
            if watch.elapsed() > within {
                let names: Vec<String> = ranges.keys().map(|(topic, p)| format!("{topic}/{p}")).collect();
                return Err(retriable(&names.join(", "), "the end was not reached in time"));
            }
            for message in reader.batch(10_000, 16 * 1024 * 1024, Duration::from_millis(20))? {
                watch.lap();
                each(&message);
            }
        }
        Ok(reader)
    }

    fn places(client: &Client, topic: &str, within: Duration) -> Result<Vec<Place>, LogError> {
        match Reader::partitions(client, topic, within)? {
            Some(count) => Ok((0..count).map(|p| (topic.to_owned(), index(p))).collect()),
            None => Err(LogError::Damaged {
                place: topic.to_owned(),
                what: "there is no such topic; `forewarn topics create` makes it".to_owned(),
            }),
        }
    }
}

impl Reader {
    /// A reader of a topic from the end it has now.
    ///
    /// # Errors
    /// As [`Reader::whole`].
    pub(super) fn tail(client: &Client, topic: &str, within: Duration) -> Result<Reader, LogError> {
        let places = Reader::places(client, topic, within)?;
        let bounds = Reader::bounds(client, &places, within)?;
        let mut reader = Reader::new(client)?;
        reader.assign(places.into_iter().zip(bounds.iter().map(|b| b.1)).collect())?;
        Ok(reader)
    }
}

fn call(known: &mut BTreeMap<i32, BTreeMap<String, Names>>, topic: &str, partition: i32, raw: &str) -> Names {
    let names = Names { raw: raw.into(), topic: topic.into() };
    known.entry(partition).or_default().insert(topic.to_owned(), names.clone());
    names
}

/// A client that only asks where partitions begin and end.
pub(super) fn asker(client: &Client) -> Result<BaseConsumer<Quiet>, LogError> {
    client.reader("read_uncommitted").create_with_context(Quiet).map_err(|e| retriable("reader", e))
}

/// As [`Reader::partitions`], by a client that is there already.
pub(super) fn partitions_by(
    asker: &BaseConsumer<Quiet>,
    topic: &str,
    within: Duration,
) -> Result<Option<u32>, LogError> {
    let metadata = asker.fetch_metadata(Some(topic), within).map_err(|e| retriable("metadata", e))?;
    let count = metadata.topics().iter().find(|t| t.name() == topic && t.error().is_none());
    Ok(count.map(|t| u32::try_from(t.partitions().len()).expect("a topic has few partitions")).filter(|n| *n > 0))
}

/// As [`Reader::bounds`], by a client that is there already.
pub(super) fn bounds_by(
    asker: &BaseConsumer<Quiet>,
    places: &[Place],
    within: Duration,
) -> Result<Vec<(i64, i64)>, LogError> {
    let watch = Stopwatch::start();
    let ask = |(topic, partition): &Place| loop {
        match asker.fetch_watermarks(topic, *partition, within) {
            // A partition whose leader is being chosen: just made, or its broker just came back.
            Err(error) if leaderless(&error) && watch.elapsed() < within => {
                std::thread::sleep(Duration::from_millis(50));
            }
            asked => break asked.map_err(|e| retriable(&format!("bounds of {topic}/{partition}"), e)),
        }
    };
    places.iter().map(ask).collect()
}

fn leaderless(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(Code::NotLeaderForPartition | Code::LeaderNotAvailable | Code::UnknownTopicOrPartition)
    )
}

/// A partition number as Kafka writes it.
pub(super) fn index(partition: u32) -> i32 {
    i32::try_from(partition).expect("partitions are at most 1024")
}

pub(super) fn offsets(places: &BTreeMap<Place, i64>) -> Result<TopicPartitionList, LogError> {
    let mut list = TopicPartitionList::with_capacity(places.len());
    for ((topic, partition), offset) in places {
        list.add_partition_offset(topic, *partition, Offset::Offset(*offset)).map_err(|e| retriable("offsets", e))?;
    }
    Ok(list)
}
