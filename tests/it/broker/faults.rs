//! What must be resolved, and what must stop an instance: a lost answer, bytes that are no entry, a panic, a slot in use.

use super::proxy::{END_TXN, Fault};
use super::shared;
use super::system::{Feed, Instance, System, Watcher};
use forewarn::log::kafka::{CommitRecord, EngineOptions, LOG, Step, run_engine};
use forewarn::log::{EngineCommit, LogError};
use forewarn::metrics::Metrics;
use rdkafka::producer::{BaseRecord, Producer};
use std::sync::atomic::AtomicBool;
use std::thread::sleep;
use std::time::{Duration, Instant};

#[test]
fn a_commit_whose_answer_is_lost_is_resolved_by_the_commit_record() {
    let broker = shared();
    let system = System::new(broker, "lost-answer");
    let watcher = Watcher::start(&system);
    let mut intake = system.start_with("intake", &["--role", "intake"]);
    // An instance has read its settings once it has a page.
    intake.get("/healthz");
    // Only the engine's connections pass the proxy.
    system.settings("wall", &broker.proxied());
    let mut engine = system.start_with("engine", &["--role", "engine"]);
    engine.get("/healthz");
    system.settings("wall", &broker.bootstrap());
    system.publish(1);
    let feed = Feed::start(&system, 10);
    watcher.wait(10, Duration::from_secs(60));
    for fault in [Fault::LoseAnswer, Fault::LoseRequest] {
        let before = broker.proxy().done();
        broker.proxy().arm(END_TXN, fault);
        // librdkafka tries again by itself; those requests never arrive, until it gives up and we resolve the doubt.
        for _ in 0..200 {
            broker.proxy().arm(END_TXN, Fault::LoseRequest);
        }
        sleep(Duration::from_secs(7));
        assert!(broker.proxy().done() > before, "no commit met the fault");
        broker.proxy().disarm();
        watcher.wait(feed.firms(), Duration::from_secs(60));
    }
    let sent = feed.stop();
    watcher.wait(sent.firms, Duration::from_secs(60));
    intake.assert_alive();
    engine.assert_alive();
    let said = engine.said();
    assert!(said.contains("doubtful commit resolved"), "{said}");
    intake.stop();
    engine.stop();
    watcher.check(&system, sent);
}

/// Trips over the first entry.
struct Trips;

impl Step for Trips {
    fn restore(&mut self, _record: Option<&CommitRecord>) -> Result<u64, LogError> {
        Ok(0)
    }

    fn begin_at(&mut self, _low: u64, _record: Option<&CommitRecord>) -> Result<(), LogError> {
        Ok(())
    }

    fn live(&mut self, _record: Option<&CommitRecord>) {}

    fn apply(&mut self, _entry: &[u8], position: u64) -> Result<(), LogError> {
        panic!("no such row at {position}");
    }

    fn take(&mut self, _next: u64) -> EngineCommit {
        EngineCommit::default()
    }
}

#[test]
fn an_instance_that_cannot_go_on_ends_with_an_error() {
    let system = System::new(shared(), "fatal");
    let mut first = system.start("a");
    system.publish(1);
    let mut second = system.start("a");
    assert_eq!(second.ended(Duration::from_secs(30)), Some(1), "a slot in use is refused");
    assert!(first.said().contains("slot a is in use"), "{}", first.said());
    first.assert_alive();

    let producer = system.producer();
    let log = system.topic(LOG);
    let record: BaseRecord<'_, (), str> = BaseRecord::to(&log).partition(1).payload("no entry of ours");
    producer.send(record).map_err(|(e, _)| e).expect("queued");
    producer.flush(Duration::from_secs(10)).expect("sent");
    assert_eq!(first.ended(Duration::from_secs(30)), Some(1), "one engine cannot read its log: all of it ends");
    let said = first.said();
    assert!(said.contains("part=\"engine\"") && said.contains("error: "), "{said}");

    // A panic is no silent end of one thread either.
    let stop = AtomicBool::new(false);
    let ended = run_engine(&system.client("b"), EngineOptions::default(), &Metrics::new(), &stop, |_| Trips);
    let error = ended.expect_err("the engine panicked").to_string();
    assert!(
        error.contains("our own bug") && error.contains("no such row") && error.contains("forewarn.log/"),
        "{error}"
    );
}

#[test]
fn of_two_instances_that_start_under_one_slot_at_once_exactly_one_goes_on() {
    let system = System::new(shared(), "twins");
    let mut twins = [system.start("a"), system.start("a")];
    let begun = Instant::now();
    while twins.iter_mut().all(Instance::alive) {
        assert!(begun.elapsed() < Duration::from_secs(60), "both go on:\n{}", twins[0].said());
        sleep(Duration::from_millis(100));
    }
    assert!(twins[0].said().contains("slot a is in use"), "{}", twins[0].said());
    // Longer than a session: whoever is left has both groups for good.
    sleep(Duration::from_secs(8));
    assert_eq!(twins.iter_mut().filter_map(|twin| twin.alive().then_some(())).count(), 1, "{}", twins[0].said());
    system.publish(1);
}
