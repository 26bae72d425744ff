//! A whole system as its operators run it: topics and packs by the commands, instances of the program as processes, a
//! department that sends records, and a reader of committed warnings.
//!
//! What must come out of the records is known beforehand: each firm of the feed is inspected four times and each
//! inspection finds one severe violation, so its warning is raised at the second and upgraded at the third and fourth.

use super::Broker;
use forewarn::config::Kafka;
use forewarn::log::kafka::{Client, Engines, LOG, read_progress};
use forewarn::log::{Entry, decode};
use forewarn::metrics::Metrics;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

pub(super) const PARTITIONS: u32 = 4;
pub(super) const SECRET: &[u8] = b"a secret of the tests";
/// Changes of the one warning that each firm of the feed brings about.
pub(super) const CHANGES: usize = 3;
/// Messages of the feed that are no records.
const POISON: [&[u8]; 4] = [b"\xff\xfe{", b"", b"[[[[", b"<html>502 Bad Gateway</html>"];

pub(super) fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_forewarn"))
}

/// Settings, pack and state of one system in a folder of its own, under a prefix of its own.
pub(super) struct System {
    pub(super) bootstrap: String,
    pub(super) prefix: String,
    pub(super) dir: tempfile::TempDir,
}

/// What the instances said, when a test fails: the folder goes with the test.
impl Drop for System {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for slot in ["a", "b"] {
            let said = fs::read_to_string(self.dir.path().join(format!("{slot}.log"))).unwrap_or_default();
            println!("instance {slot} said:");
            said.lines().for_each(|line| println!("  {line}"));
        }
    }
}

impl System {
    /// Writes settings and pack and creates the topics.
    pub(super) fn new(broker: &Broker, name: &str) -> System {
        System::with_clock(broker, name, "wall")
    }

    /// As [`System::new`], with the clock of the log.
    pub(super) fn with_clock(broker: &Broker, name: &str, clock: &str) -> System {
        let system = System {
            bootstrap: broker.bootstrap(),
            prefix: format!("{name}."),
            dir: tempfile::tempdir().expect("a folder"),
        };
        system.settings(clock, &system.bootstrap);
        fs::write(system.dir.path().join("secret"), SECRET).expect("written");
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        copy(&root.join("rules/examples/chicago-food"), &system.rules());
        copy(&root.join("models"), &system.dir.path().join("models"));
        system.done(&["topics", "create"]);
        system
    }

    pub(super) fn settings(&self, clock: &str, bootstrap: &str) {
        let text = format!(
            "kafka:\n  bootstrap: \"{bootstrap}\"\n  prefix: \"{}\"\n  session_timeout: 6s\nlog:\n  partitions: \
             {PARTITIONS}\n  clock: {clock}\nsecret: \"file:secret\"\nsnapshot_every: 2s\nconsole:\n  listen: \
             \"127.0.0.1:0\"\n",
            self.prefix
        );
        fs::write(self.config(), text).expect("written");
    }

    pub(super) fn config(&self) -> PathBuf {
        self.dir.path().join("forewarn.yaml")
    }

    pub(super) fn rules(&self) -> PathBuf {
        self.dir.path().join("rules")
    }

    pub(super) fn snapshots(&self) -> PathBuf {
        self.dir.path().join("data/snapshots")
    }

    pub(super) fn topic(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    pub(super) fn client(&self, slot: &str) -> Client {
        let kafka = Kafka {
            bootstrap: self.bootstrap.clone(),
            properties: BTreeMap::new(),
            prefix: self.prefix.clone(),
            session_timeout_ms: 6_000,
        };
        Client::new(&kafka, slot).expect("the client library is new enough")
    }

    /// A command with `--config`.
    pub(super) fn command(&self, args: &[&str]) -> Output {
        program().args(args).arg("--config").arg(self.config()).output().expect("the program runs")
    }

    /// The output of a command that works.
    pub(super) fn done(&self, args: &[&str]) -> String {
        let output = self.command(args);
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(output.status.success(), "{args:?}: {text}\n{}", String::from_utf8_lossy(&output.stderr));
        text
    }

    /// Publishes the pack of the folder; it is active as this version.
    pub(super) fn publish(&self, version: u64) {
        let said = self.done(&["publish", &self.rules().to_string_lossy()]);
        assert!(said.contains(&format!("version {version}")), "{said}");
    }

    /// An instance; its messages go to `<slot>.log`.
    pub(super) fn start(&self, slot: &str) -> Instance {
        self.start_with(slot, &[])
    }

    pub(super) fn start_with(&self, slot: &str, args: &[&str]) -> Instance {
        let log = self.dir.path().join(format!("{slot}.log"));
        let out = self.dir.path().join(format!("{slot}.out"));
        let err = File::options().create(true).append(true).open(&log).expect("a file");
        let child = program()
            .args(["run", "--slot", slot, "--config"])
            .arg(self.config())
            .args(args)
            .stdout(File::create(&out).expect("a file"))
            .stderr(err)
            .spawn()
            .expect("the program starts");
        Instance { child, log, out }
    }

    pub(super) fn producer(&self) -> BaseProducer {
        ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap)
            .set("enable.idempotence", "true")
            .set("reconnect.backoff.max.ms", "500")
            .create()
            .expect("a producer")
    }

    /// Every committed message of a topic, partition by partition.
    pub(super) fn each(&self, topic: &str, mut take: impl FnMut(&BorrowedMessage<'_>)) {
        let topic = self.topic(topic);
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap)
            .set("group.id", "dump")
            .set("isolation.level", "read_committed")
            .set("enable.partition.eof", "true")
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .create()
            .expect("a consumer");
        let metadata = consumer.fetch_metadata(Some(&topic), Duration::from_secs(10)).expect("metadata");
        for partition in 0..metadata.topics()[0].partitions().len() {
            let mut list = TopicPartitionList::new();
            let partition = i32::try_from(partition).expect("few");
            list.add_partition_offset(&topic, partition, Offset::Beginning).expect("offset");
            consumer.assign(&list).expect("assigned");
            loop {
                match consumer.poll(Duration::from_secs(30)) {
                    Some(Ok(message)) => take(&message),
                    Some(Err(KafkaError::PartitionEOF(_))) => break,
                    Some(Err(error)) => panic!("{topic}: {error}"),
                    None => panic!("{topic}/{partition} does not end"),
                }
            }
        }
    }

    /// The documents of all committed changes.
    pub(super) fn documents(&self) -> Vec<Value> {
        let mut all = Vec::new();
        self.each("warn.all", |message| {
            all.push(serde_json::from_slice(message.payload().expect("a document")).expect("JSON"));
        });
        all
    }

    /// What the log itself says: its committed entries through fresh engines. Their outcomes must have the hash that
    /// the instances wrote down.
    pub(super) fn replay(&self) -> Replayed {
        let client = self.client("replay");
        let fresh = tempfile::tempdir().expect("a folder");
        let engines = Engines::new(&client, PARTITIONS, fresh.path(), Arc::new(Metrics::new()));
        let mut steps: Vec<_> = (0..PARTITIONS).map(|p| engines.step(p)).collect();
        let records: Vec<_> =
            (0..PARTITIONS).map(|p| read_progress(&client, p).expect("an answer").expect("a record")).collect();
        let mut replayed = Replayed::default();
        self.each(LOG, |message| {
            let partition = usize::try_from(message.partition()).expect("small");
            let position = u64::try_from(message.offset()).expect("positive");
            if position < records[partition].next {
                let entry = decode(message.payload().expect("an entry")).expect("decodes");
                if let Entry::Pack(activate) = &entry {
                    replayed.packs.entry(activate.version).or_default().push((message.partition(), position));
                }
                steps[partition].enter(entry, position).expect("applies");
            }
        });
        for (step, record) in steps.iter_mut().zip(&records) {
            use forewarn::log::kafka::Step as _;
            assert_eq!(step.said(), (record.outcomes, record.outcomes_hash.clone()), "partition {}", record.partition);
            for message in step.take(record.next).messages {
                if message.topic == "warn.all" {
                    let id = message.headers.iter().find(|h| h.0 == "ce_id").expect("an id").1.clone();
                    assert!(replayed.changes.insert(id, message.value.expect("a document")).is_none(), "an id twice");
                }
            }
            for fates in step.fates().values() {
                replayed.used += fates.used;
                replayed.duplicate += fates.duplicate;
            }
        }
        replayed
    }
}

/// What fresh engines make of the log.
#[derive(Default)]
pub(super) struct Replayed {
    /// Id of a change to its document for everyone.
    pub(super) changes: BTreeMap<String, String>,
    pub(super) used: u64,
    pub(super) duplicate: u64,
    /// Where each version takes effect: partition and position.
    pub(super) packs: BTreeMap<u64, Vec<(i32, u64)>>,
}

pub(super) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("the pack") {
        let path = entry.expect("the pack").path();
        let into = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &into);
        } else {
            // The department sends JSON messages of the same columns.
            let text = fs::read_to_string(&path).expect("a text").replace("format: csv", "format: json");
            fs::write(into, text).expect("written");
        }
    }
}

/// A `forewarn run`. Dropping it kills it.
pub(super) struct Instance {
    child: Child,
    log: PathBuf,
    out: PathBuf,
}

impl Instance {
    /// SIGKILL.
    pub(super) fn kill(&mut self) {
        self.child.kill().expect("a process of ours");
        self.child.wait().expect("a process of ours");
    }

    /// SIGTERM; it must end by itself.
    pub(super) fn stop(mut self) {
        let sent = Command::new("kill").arg(self.child.id().to_string()).status().expect("kill is there");
        assert!(sent.success());
        assert_eq!(self.ended(Duration::from_secs(20)), Some(0), "{}", self.said());
    }

    /// Waits for its end; the exit code.
    pub(super) fn ended(&mut self, within: Duration) -> Option<i32> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a process of ours") {
                return status.code();
            }
            assert!(begun.elapsed() < within, "it has not ended by itself in {within:?}:\n{}", self.said());
            sleep(Duration::from_millis(20));
        }
    }

    pub(super) fn alive(&mut self) -> bool {
        self.child.try_wait().expect("a process of ours").is_none()
    }

    pub(super) fn assert_alive(&mut self) {
        let ended = self.child.try_wait().expect("a process of ours");
        assert!(ended.is_none(), "it ended by itself, {ended:?}:\n{}", self.said());
    }

    /// What it said on standard error, of all starts of the slot.
    pub(super) fn said(&self) -> String {
        fs::read_to_string(&self.log).expect("its log")
    }

    /// The body that its page gives for a path, and the status.
    pub(super) fn get(&self, path: &str) -> (u16, String) {
        let begun = Instant::now();
        let address = loop {
            let said = fs::read_to_string(&self.out).expect("its output");
            if let Some(rest) = said.split("http://").nth(1) {
                break rest.split(' ').next().expect("an address").to_owned();
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "no page:\n{}", self.said());
            sleep(Duration::from_millis(20));
        };
        let mut stream = TcpStream::connect(&address).expect("the page answers");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("it reads");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("it answers and closes");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        (status, body.to_owned())
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The inspections of firms at a steady rate, until told to stop; every 97th message is none.
pub(super) struct Feed {
    firms: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Sent>>,
}

/// What a feed has sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) firms: u64,
    pub(super) poison: u64,
}

impl Feed {
    pub(super) fn start(system: &System, firms_a_second: u64) -> Feed {
        Feed::from(system, 0, firms_a_second)
    }

    /// Firms from this number on.
    pub(super) fn from(system: &System, first: u64, firms_a_second: u64) -> Feed {
        let (firms, stop) = (Arc::new(AtomicU64::new(first)), Arc::new(AtomicBool::new(false)));
        let (counter, over, topic) = (Arc::clone(&firms), Arc::clone(&stop), system.topic("raw.inspections"));
        let producer = system.producer();
        let today = forewarn::record::time::rfc3339(forewarn::clock::now_ms());
        let today: String = today.chars().take(10).collect();
        let thread = std::thread::spawn(move || {
            let send = |partition: usize, payload: &[u8]| {
                let partition = i32::try_from(partition % 4).expect("small");
                let record: BaseRecord<'_, (), [u8]> = BaseRecord::to(&topic).partition(partition).payload(payload);
                producer.send(record).map_err(|(e, _)| e).expect("the queue holds a test");
            };
            let begun = Instant::now();
            let mut sent = Sent { firms: first, poison: 0 };
            while !over.load(Ordering::Relaxed) {
                while sent.firms - first < begun.elapsed().as_millis() as u64 * firms_a_second / 1000 {
                    for visit in 0..4_usize {
                        let number = sent.firms as usize * 4 + visit;
                        // The visits of a firm come over different raw partitions.
                        send(number / 3 + visit, inspection(sent.firms, number, &today).as_bytes());
                        if number % 97 == 96 {
                            send(number, POISON[sent.poison as usize % POISON.len()]);
                            sent.poison += 1;
                        }
                    }
                    sent.firms += 1;
                }
                producer.poll(Duration::from_millis(2));
                counter.store(sent.firms, Ordering::Relaxed);
            }
            producer.flush(Duration::from_secs(60)).expect("everything is sent");
            sent
        });
        Feed { firms, stop, thread: Some(thread) }
    }

    /// Firms sent so far.
    pub(super) fn firms(&self) -> u64 {
        self.firms.load(Ordering::Relaxed)
    }

    pub(super) fn stop(mut self) -> Sent {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().expect("stopped once").join().expect("the feed ends")
    }
}

fn inspection(firm: u64, number: usize, day: &str) -> String {
    format!(
        "{{\"Inspection_ID\":\"{number}\",\"License\":\"{firm}\",\"Inspection_Date\":\"{day}\",\"Results\":\"Fail\",\
         \"criticalCount\":\"1\",\"seriousCount\":\"0\",\"Zip\":\"60622\"}}"
    )
}

/// Reads the committed changes as they come: id of the change to how often it was seen.
pub(super) struct Watcher {
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Seen {
    /// Id of a change to how often it came.
    changes: BTreeMap<String, u32>,
    /// Changes by firm.
    firms: BTreeMap<u64, usize>,
}

impl Watcher {
    pub(super) fn start(system: &System) -> Watcher {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &system.bootstrap)
            .set("group.id", "watcher")
            .set("isolation.level", "read_committed")
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .set("fetch.wait.max.ms", "20")
            .set("reconnect.backoff.max.ms", "500")
            .create()
            .expect("a consumer");
        let mut list = TopicPartitionList::new();
        for partition in 0..4 {
            list.add_partition_offset(&system.topic("warn.all"), partition, Offset::Beginning).expect("an offset");
        }
        consumer.assign(&list).expect("assigned");
        let (seen, stop) = (Arc::new(Mutex::new(Seen::default())), Arc::new(AtomicBool::new(false)));
        let (into, over) = (Arc::clone(&seen), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                if let Some(Ok(message)) = consumer.poll(Duration::from_millis(20)) {
                    let header = message.headers().and_then(|all| all.iter().find(|h| h.key == "ce_id"));
                    let id = header.and_then(|h| h.value).map(|id| String::from_utf8_lossy(id).into_owned());
                    let firm = message.key().and_then(|key| std::str::from_utf8(key).ok()?.parse().ok());
                    let mut seen = into.lock().expect("not poisoned");
                    let times = seen.changes.entry(id.expect("CloudEvents")).or_insert(0);
                    *times += 1;
                    if let (1, Some(firm)) = (*times, firm) {
                        *seen.firms.entry(firm).or_insert(0) += 1;
                    }
                }
            }
        });
        Watcher { seen, stop, thread: Some(thread) }
    }

    /// Firms below `firms` that lack a change.
    fn open(&self, firms: u64) -> Vec<u64> {
        let seen = self.seen.lock().expect("not poisoned");
        (0..firms).filter(|firm| seen.firms.get(firm).is_none_or(|n| *n < CHANGES)).collect()
    }

    /// Waits until every firm below `firms` has all of its changes; how long that took.
    pub(super) fn wait(&self, firms: u64, within: Duration) -> Duration {
        let begun = Instant::now();
        loop {
            let open = self.open(firms);
            if open.is_empty() {
                return begun.elapsed();
            }
            assert!(
                begun.elapsed() < within,
                "{} of {firms} firms lack changes after {within:?}: {open:.9?}",
                open.len()
            );
            sleep(Duration::from_millis(20));
        }
    }

    /// Nothing was lost, doubled or made up: every firm has the changes that were known beforehand, and the log says
    /// exactly the same. The instances must have stopped.
    pub(super) fn check(mut self, system: &System, sent: Sent) -> Replayed {
        // Longer than a commit takes: a second sending of the same would have come by then.
        sleep(Duration::from_secs(2));
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().expect("checked once").join().expect("the watcher ends");
        let seen = self.seen.lock().expect("not poisoned");
        let doubled: Vec<_> = seen.changes.iter().filter(|(_, times)| **times > 1).collect();
        let wrong: Vec<_> = (0..sent.firms).filter(|firm| seen.firms.get(firm) != Some(&CHANGES)).collect();
        let others: Vec<_> = seen.firms.keys().filter(|firm| **firm >= sent.firms).collect();
        let mut numbers: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
        for id in seen.changes.keys() {
            let (warning, number) = id.rsplit_once('.').expect("<warning>.<number>");
            numbers.entry(warning).or_default().insert(number.parse().expect("a number"));
        }
        let gaps: Vec<_> = numbers.iter().filter(|(_, n)| !n.iter().copied().eq(1..=n.len() as u32)).collect();
        let replayed = system.replay();
        let lost: Vec<_> = replayed.changes.keys().filter(|id| !seen.changes.contains_key(*id)).collect();
        let phantom: Vec<_> = seen.changes.keys().filter(|id| !replayed.changes.contains_key(*id)).collect();
        println!(
            "{}{} changes of {} firms: {} lost, {} doubled, {} phantom, {} with gaps",
            system.prefix,
            seen.changes.len(),
            sent.firms,
            lost.len() + wrong.len(),
            doubled.len(),
            phantom.len() + others.len(),
            gaps.len()
        );
        let nothing = lost.is_empty() && wrong.is_empty() && doubled.is_empty() && phantom.is_empty();
        assert!(
            nothing && others.is_empty() && gaps.is_empty(),
            "lost {lost:.5?} {wrong:.5?} doubled {doubled:.5?} phantom {phantom:.5?} {others:.5?} gaps {gaps:.5?}"
        );
        drop(seen);
        self.letters(system, sent);
        assert_eq!((replayed.used, replayed.duplicate), (sent.firms * 4, 0), "records used and doubled");
        replayed
    }

    /// Every poison message is one dead letter, once, as its schema says.
    fn letters(&self, system: &System, sent: Sent) {
        let mut places: BTreeMap<(String, i64), u32> = BTreeMap::new();
        system.each("forewarn.dead-letters", |message| {
            let text = std::str::from_utf8(message.payload().expect("a document")).expect("UTF-8");
            let letter = forewarn::deliver::read_dead_letter(text).expect("the document of a dead letter");
            *places.entry((letter.raw, letter.offset)).or_insert(0) += 1;
        });
        let doubled = places.values().filter(|n| **n > 1).count();
        assert_eq!((places.len() as u64, doubled), (sent.poison, 0), "dead letters, and doubled ones");
    }
}

/// Numbers of a seeded sequence, so that a failure can be repeated.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(test: &str) -> Dice {
        let seed = std::env::var("FOREWARN_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| {
            // Randomly seeded at each start of a process.
            std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), test)
        });
        println!("{test}: FOREWARN_SEED={seed}");
        Dice(seed | 1)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        // xorshift64
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}
