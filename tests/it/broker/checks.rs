//! Topics, slots and marks on a real broker.

use super::exactly_once::{PARTITIONS, System};
use super::instance::{OUT, Process, TOPIC, ToyEngine, ToyIntake};
use super::shared;
use forewarn::log::kafka::{
    EngineOptions, IntakeOptions, IntakeStep, LogForm, PACKS, RawMessage, check_topics, create_topics, read_packs,
    read_progress, run_engine, run_intake,
};
use forewarn::log::{Clock, IntakeCommit, LogError, RegistryRow, Stamp};
use forewarn::pack::Body;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

fn create(system: &System, form: LogForm) -> Result<Vec<String>, LogError> {
    let tasks = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (raw, out) = ([TOPIC.to_owned()], [OUT.to_owned()]);
    tasks.block_on(create_topics(&system.place.client(), form, 86_400_000, &raw, &out))
}

#[test]
fn the_form_of_a_log_is_fixed_when_its_topics_are_made() {
    let system = System::new(shared().bootstrap(), "form");
    let form = LogForm { partitions: PARTITIONS, clock: Clock::Wall };
    assert_eq!(create(&system, form).expect("made before"), Vec::<String>::new(), "nothing is made twice");
    for (other, says) in [
        (LogForm { partitions: 8, ..form }, "made with 4 partitions"),
        (LogForm { clock: Clock::Records, ..form }, "clock Wall"),
    ] {
        let error = create(&system, other).expect_err("another form").to_string();
        assert!(error.contains(says), "{error}");
    }
    let check = |form, audience: &str| {
        let findings = check_topics(&system.place.client(), form, 1, &[TOPIC.to_owned()], &[audience.to_owned()]);
        findings.expect("the broker answers").into_iter().map(|f| format!("{}: {}", f.topic, f.what)).collect()
    };
    let none: Vec<String> = check(form, OUT);
    assert_eq!(none, Vec::<String>::new());
    let missing: Vec<String> = check(form, "warn.nobody");
    assert_eq!(missing, ["form.warn.nobody: missing; `forewarn topics create` makes it"]);
    let other: Vec<String> = check(LogForm { partitions: 8, ..form }, OUT);
    assert!(other.iter().any(|f| f.starts_with("form.forewarn.log: 4 partitions instead of 8")), "{other:?}");
}

#[test]
fn a_pack_larger_than_a_message_comes_back_whole() {
    let system = System::new(shared().bootstrap(), "large");
    // 3 MB with Chinese text, so that a cut by bytes would show.
    let body = Body { files: BTreeMap::from([("rules/大.yaml".to_owned(), "预警\"\n".repeat(350_000))]) };
    let client = system.place.client();
    let hash = forewarn::log::kafka::prepare(&client, &body).expect("prepared");
    let packs = read_packs(&client).expect("read");
    assert_eq!(packs.prepared.as_deref(), Some(hash.as_str()));
    assert_eq!(packs.body(&hash).expect("whole"), body);
    let error = packs.body("0000").expect_err("never prepared").to_string();
    assert!(error.contains(PACKS), "{error}");
}

#[test]
fn a_slot_in_use_is_refused() {
    let system = System::new(shared().bootstrap(), "slot");
    let mut first = Process::start(&system.place);
    let client = system.place.client();
    let stop = AtomicBool::new(false);
    let begun = Instant::now();
    let refused = loop {
        // Until the first one has joined, the second would be the first.
        std::thread::sleep(Duration::from_secs(3));
        let stopping = AtomicBool::new(false);
        let result = std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(1_500));
                stopping.store(true, Ordering::Relaxed);
            });
            run_intake(&client, IntakeOptions::default(), &stopping, &mut ToyIntake::new(PARTITIONS))
        });
        match result {
            Err(error) => break error.to_string(),
            Ok(()) => assert!(begun.elapsed() < Duration::from_secs(30), "the second instance was let in"),
        }
    };
    assert!(refused.contains("slot a is in use"), "{refused}");
    first.assert_alive();
    stop.store(true, Ordering::Relaxed);
}

/// Keeps the stamps and the messages in the order in which they came.
struct Recorder {
    inner: ToyIntake,
    heard: Vec<(Stamp, Vec<(String, i64)>)>,
}

impl IntakeStep for Recorder {
    fn pack(&mut self, hash: &str, body: &Body) -> Result<(), LogError> {
        self.inner.pack(hash, body)
    }

    fn topics(&self) -> BTreeMap<String, String> {
        self.inner.topics()
    }

    fn registry(&mut self, row: &RegistryRow) {
        self.inner.registry(row);
    }

    fn step(&mut self, messages: &[RawMessage], stamp: &Stamp) -> IntakeCommit {
        let read = messages.iter().map(|m| (m.raw.to_string(), m.offset)).collect();
        self.heard.push((stamp.clone(), read));
        self.inner.step(messages, stamp)
    }

    fn rewind(&mut self, positions: &BTreeMap<String, i64>) {
        self.inner.rewind(positions);
    }
}

#[test]
fn marks_pass_aborted_transactions_and_never_precede_their_rows() {
    let broker = shared();
    let system = System::new(broker.bootstrap(), "marks");
    let topic = system.topic(TOPIC);
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", broker.bootstrap())
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
    let now = || {
        let since = std::time::UNIX_EPOCH.elapsed().expect("after 1970");
        i64::try_from(since.as_millis()).expect("soon")
    };
    send(0..5, true);
    let mut recorder = Recorder { inner: ToyIntake::new(PARTITIONS), heard: Vec::new() };
    let stop = AtomicBool::new(false);
    let client = system.place.client();
    let written = std::thread::scope(|scope| {
        let running = scope.spawn(|| run_intake(&client, IntakeOptions::default(), &stop, &mut recorder));
        std::thread::sleep(Duration::from_secs(6));
        send(5..8, true);
        // The end of the partition is now an abort: no message will ever stand at it.
        send(100..103, false);
        let written = now();
        std::thread::sleep(Duration::from_secs(3));
        stop.store(true, Ordering::Relaxed);
        running.join().expect("no panic").expect("intake runs");
        written
    });
    let read: Vec<i64> = recorder.heard.iter().flat_map(|(_, read)| read.iter().map(|(_, offset)| *offset)).collect();
    // 5 records, a marker, 3 records, a marker; 3 aborted records and their marker are not seen.
    assert_eq!(read, [0, 1, 2, 3, 4, 6, 7, 8]);
    let last = &recorder.heard.last().expect("ticks came").0;
    assert!(last.marks["toy/0"] > written, "the mark stands before the aborted transaction: {last:?}, {written}");
    assert_eq!(last.marks.len(), 4, "a silent raw partition has a mark too: {last:?}");
    // The stamp of a batch says nothing about the batch itself: until it is committed the mark stays behind it.
    let with_six = recorder.heard.iter().position(|(_, read)| read.iter().any(|(_, o)| *o == 8)).expect("read");
    assert!(recorder.heard[with_six].0.marks["toy/0"] < written);
}

/// Sends what it read one message a step, and waits for the engines after each: a round of the records clock.
struct Rounds {
    inner: ToyIntake,
    held: std::collections::VecDeque<RawMessage>,
    positions: BTreeMap<String, i64>,
    rounds: u32,
}

impl IntakeStep for Rounds {
    fn pack(&mut self, hash: &str, body: &Body) -> Result<(), LogError> {
        self.inner.pack(hash, body)
    }

    fn topics(&self) -> BTreeMap<String, String> {
        self.inner.topics()
    }

    fn registry(&mut self, _row: &RegistryRow) {}

    fn step(&mut self, messages: &[RawMessage], stamp: &Stamp) -> IntakeCommit {
        self.held.extend(messages.iter().cloned());
        let next = self.held.pop_front();
        let mut commit = self.inner.step(next.as_slice(), stamp);
        if let Some(message) = &next {
            self.positions.insert(message.raw.to_string(), message.offset + 1);
            self.rounds += 1;
        }
        commit.positions = self.positions.clone();
        commit
    }

    fn rewind(&mut self, positions: &BTreeMap<String, i64>) {
        self.held.clear();
        self.positions = positions.clone();
        self.inner.rewind(positions);
    }

    fn waits(&self) -> bool {
        true
    }

    fn finished(&mut self) -> bool {
        self.held.is_empty()
    }
}

#[test]
fn history_is_read_to_its_ends_in_rounds_that_wait_for_the_engines() {
    let broker = shared();
    let system = System::new(broker.bootstrap(), "rounds");
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", broker.bootstrap()).create().expect("a producer");
    let topic = system.topic(TOPIC);
    for number in 0..20_u64 {
        let text = number.to_string();
        let partition = i32::try_from(number % 4).expect("small");
        let record: BaseRecord<'_, (), str> = BaseRecord::to(&topic).partition(partition).payload(&text);
        producer.send(record).map_err(|(e, _)| e).expect("queued");
    }
    producer.flush(Duration::from_secs(10)).expect("sent");
    let (client, stop) = (system.place.client(), AtomicBool::new(false));
    let mut rounds = Rounds {
        inner: ToyIntake::new(PARTITIONS),
        held: std::collections::VecDeque::new(),
        positions: BTreeMap::new(),
        rounds: 0,
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let options = EngineOptions { commit_interval: Duration::ZERO, ..EngineOptions::default() };
            run_engine(&client, options, &stop, |partition| ToyEngine::new(&system.place, partition))
                .expect("engine runs");
        });
        let options = IntakeOptions {
            to_ends: true,
            tick: Duration::from_millis(5),
            partitions: PARTITIONS,
            ..IntakeOptions::default()
        };
        let begun = Instant::now();
        run_intake(&client, options, &stop, &mut rounds).expect("intake runs to the ends");
        println!("20 rounds with a wait each: {:.2} s", begun.elapsed().as_secs_f64());
        // Nothing is left to wait for: the last round has been waited for as well.
        let done: u64 = (0..PARTITIONS)
            .filter_map(|partition| read_progress(&client, partition).expect("the broker answers"))
            .map(|record| record.outcomes)
            .sum();
        assert_eq!(done, 20);
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(rounds.rounds, 20);
}
