//! Marks on a real broker: they pass aborted transactions, and never precede their rows.

use super::shared;
use super::system::System;
use forewarn::log::kafka::{IntakeOptions, IntakeStep, RawMessage, run_intake};
use forewarn::log::{IntakeCommit, LogError, RegistryRow, Stamp};
use forewarn::metrics::Metrics;
use forewarn::pack::Body;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const TOPIC: &str = "raw.visits";

/// Keeps the stamps and the messages in the order in which they came; makes nothing of them.
#[derive(Default)]
struct Recorder {
    heard: Vec<(Stamp, Vec<(String, i64)>)>,
}

impl IntakeStep for Recorder {
    fn pack(&mut self, _hash: &str, _body: &Body) -> Result<(), LogError> {
        Ok(())
    }

    fn topics(&self) -> BTreeMap<String, String> {
        BTreeMap::from([(TOPIC.to_owned(), "visits".to_owned())])
    }

    fn registry(&mut self, _row: &RegistryRow) {}

    fn step(&mut self, messages: &[RawMessage], stamp: &Stamp) -> Result<IntakeCommit, LogError> {
        let read = messages.iter().map(|m| (m.raw.to_string(), m.offset)).collect();
        self.heard.push((stamp.clone(), read));
        Ok(IntakeCommit::default())
    }

    fn rewind(&mut self, _positions: &BTreeMap<String, i64>) {}
}

#[test]
fn marks_pass_aborted_transactions_and_never_precede_their_rows() {
    let system = System::new(shared(), "marks");
    system.done(&["publish", &system.rules().to_string_lossy(), "--step", "prepare"]);
    let topic = system.topic(TOPIC);
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &system.bootstrap)
        .set("transactional.id", "marks-department")
        .create()
        .expect("a producer");
    producer.init_transactions(Duration::from_secs(10)).expect("a transactional department");
    let send = |numbers: std::ops::Range<u32>, commit: bool| {
        producer.begin_transaction().expect("begun");
        for number in numbers {
            let text = number.to_string();
            let record: BaseRecord<'_, (), str> = BaseRecord::to(&topic).partition(0).payload(&text);
            producer.send(record).map_err(|(e, _)| e).expect("queued");
        }
        match commit {
            true => producer.commit_transaction(Duration::from_secs(10)).expect("committed"),
            false => {
                producer.flush(Duration::from_secs(10)).expect("written");
                producer.abort_transaction(Duration::from_secs(10)).expect("aborted");
            }
        }
    };
    send(0..5, true);
    let mut recorder = Recorder::default();
    let stop = AtomicBool::new(false);
    let client = system.client("a");
    let written = std::thread::scope(|scope| {
        let running =
            scope.spawn(|| run_intake(&client, IntakeOptions::default(), &Metrics::new(), &stop, &mut recorder));
        std::thread::sleep(Duration::from_secs(6));
        send(5..8, true);
        // The end of the partition is now an abort: no message will ever stand at it.
        send(100..103, false);
        let written = forewarn::clock::now_ms();
        std::thread::sleep(Duration::from_secs(3));
        stop.store(true, Ordering::Relaxed);
        running.join().expect("no panic").expect("intake runs");
        written
    });
    let read: Vec<i64> = recorder.heard.iter().flat_map(|(_, read)| read.iter().map(|(_, offset)| *offset)).collect();
    // 5 records, a marker, 3 records, a marker; 3 aborted records and their marker are not seen.
    assert_eq!(read, [0, 1, 2, 3, 4, 6, 7, 8]);
    let last = &recorder.heard.last().expect("ticks came").0;
    assert!(last.marks["visits/0"] > written, "the mark stands before the aborted transaction: {last:?}, {written}");
    assert_eq!(last.marks.len(), 4, "a silent raw partition has a mark too: {last:?}");
    // The stamp of a batch says nothing about the batch itself: until it is committed the mark stays behind it.
    let with_six = recorder.heard.iter().position(|(_, read)| read.iter().any(|(_, o)| *o == 8)).expect("read");
    assert!(recorder.heard[with_six].0.marks["visits/0"] < written);
}
