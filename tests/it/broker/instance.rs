//! A whole instance with toy steps: each raw number becomes one row, each row one message with a number in sequence.
//!
//! Small enough that what must come out is known beforehand: `expected` of the checks writes it down without any of
//! this code. Runs in a thread, or as a process of its own that tests can kill.

use forewarn::config::Kafka;
use forewarn::log::kafka::{
    Client, CommitRecord, EngineOptions, IntakeOptions, IntakeStep, RawMessage, Step, run_engine, run_intake,
};
use forewarn::log::{DeadLetter, EngineCommit, IntakeCommit, LogError, Message, RegistryRow, Stamp};
use forewarn::pack::Body;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub(crate) const TOPIC: &str = "raw.toy";
pub(crate) const OUT: &str = "warn.all";

/// An entry of the toy log.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub(crate) enum Entry {
    Row { number: u64, pack: String },
    Loop { id: String },
    Tick { stamp: Stamp },
    Pack { version: u64, hash: String },
}

impl Entry {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("plain data")
    }
}

/// Where and as whom an instance runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) bootstrap: String,
    pub(crate) prefix: String,
    pub(crate) slot: String,
    pub(crate) partitions: u32,
    pub(crate) dir: PathBuf,
}

impl Place {
    pub(crate) fn client(&self) -> Client {
        let kafka = Kafka {
            bootstrap: self.bootstrap.clone(),
            properties: BTreeMap::new(),
            prefix: self.prefix.clone(),
            session_timeout_ms: 6_000,
        };
        Client::new(&kafka, &self.slot).expect("the client library is new enough")
    }

    pub(crate) fn as_slot(&self, slot: &str) -> Place {
        Place { slot: slot.to_owned(), ..self.clone() }
    }
}

/// Numbers to rows; anything else to a dead letter.
pub(crate) struct ToyIntake {
    pub(crate) partitions: u32,
    pack: String,
    ticked: Option<Stamp>,
}

impl ToyIntake {
    pub(crate) fn new(partitions: u32) -> ToyIntake {
        ToyIntake { partitions, pack: String::new(), ticked: None }
    }
}

impl IntakeStep for ToyIntake {
    fn pack(&mut self, hash: &str, body: &Body) -> Result<(), LogError> {
        assert_eq!(hash, body.hash());
        self.pack = hash.to_owned();
        Ok(())
    }

    fn topics(&self) -> BTreeMap<String, String> {
        BTreeMap::from([(TOPIC.to_owned(), "toy".to_owned())])
    }

    fn registry(&mut self, _row: &RegistryRow) {}

    fn step(&mut self, messages: &[RawMessage], stamp: &Stamp) -> IntakeCommit {
        let mut commit = IntakeCommit::default();
        if self.ticked.as_ref().is_none_or(|ticked| ticked.marks != stamp.marks) {
            let tick = Entry::Tick { stamp: stamp.clone() }.bytes();
            commit.entries.extend((0..self.partitions).map(|partition| (partition, tick.clone())));
            self.ticked = Some(stamp.clone());
        }
        for message in messages {
            let payload = message.payload.clone().unwrap_or_default();
            match String::from_utf8(payload.clone()).ok().and_then(|text| text.parse::<u64>().ok()) {
                Some(number) => {
                    let partition = u32::try_from(number % u64::from(self.partitions)).expect("small");
                    commit.entries.push((partition, Entry::Row { number, pack: self.pack.clone() }.bytes()));
                }
                None => commit.dead_letters.push(DeadLetter {
                    reason: "json".to_owned(),
                    field: None,
                    detail: "no number".to_owned(),
                    kind: "unknown".to_owned(),
                    source: "toy".to_owned(),
                    raw: message.raw.to_string(),
                    origin: message.topic.to_string(),
                    offset: message.offset,
                    row: 0,
                    length: payload.len() as u64,
                    sha256: String::new(),
                    at: message.at,
                }),
            }
        }
        commit
    }

    fn rewind(&mut self, _positions: &BTreeMap<String, i64>) {
        self.ticked = None;
    }
}

/// Counts rows; a message a row, a loop record every tenth row, a message a loop record and a pack.
#[derive(Clone, Default, Serialize, Deserialize)]
struct State {
    next: u64,
    rows: u64,
    outcomes: u64,
    hash: u64,
}

pub(crate) struct ToyEngine {
    partition: u32,
    partitions: u32,
    slot: String,
    file: PathBuf,
    state: State,
    messages: Vec<Message>,
    loops: Vec<(u32, Vec<u8>)>,
    commits: u64,
}

impl ToyEngine {
    pub(crate) fn new(place: &Place, partition: u32) -> ToyEngine {
        ToyEngine {
            partition,
            partitions: place.partitions,
            slot: place.slot.clone(),
            file: place.dir.join(format!("{partition}.json")),
            state: State::default(),
            messages: Vec::new(),
            loops: Vec::new(),
            commits: 0,
        }
    }

    fn say(&mut self, id: String) {
        self.state.outcomes += 1;
        self.state.hash = self.state.hash.wrapping_mul(0x0100_0000_01b3) ^ id.bytes().map(u64::from).sum::<u64>();
        self.messages.push(Message {
            topic: OUT.to_owned(),
            key: Some(id.clone()),
            headers: vec![("slot".to_owned(), self.slot.clone())],
            value: Some(format!("{id}@{}:{}", self.partition, self.state.outcomes)),
        });
    }
}

impl Step for ToyEngine {
    fn restore(&mut self, record: Option<&CommitRecord>) -> Result<u64, LogError> {
        let saved = fs::read(&self.file).ok().and_then(|bytes| serde_json::from_slice::<State>(&bytes).ok());
        // What another start of this test left is beyond the record.
        self.state = saved.filter(|state| record.is_some_and(|r| state.next <= r.next)).unwrap_or_default();
        Ok(self.state.next)
    }

    fn apply(&mut self, entry: &[u8], position: u64) -> Result<(), LogError> {
        let entry = serde_json::from_slice(entry)
            .map_err(|e| LogError::Damaged { place: format!("@{position}"), what: e.to_string() })?;
        match entry {
            Entry::Row { number, .. } => {
                self.state.rows += 1;
                self.say(number.to_string());
                if self.state.rows.is_multiple_of(10) {
                    let id = format!("loop-{}-{}", self.partition, self.state.rows);
                    self.loops.push(((self.partition + 1) % self.partitions, Entry::Loop { id }.bytes()));
                }
            }
            Entry::Loop { id } => self.say(id),
            Entry::Pack { version, .. } => self.say(format!("pack-{version}-{}", self.partition)),
            Entry::Tick { .. } => {}
        }
        Ok(())
    }

    fn take(&mut self, next: u64) -> EngineCommit {
        self.state.next = next;
        EngineCommit {
            partition: self.partition,
            next,
            log_time: 0,
            pack: "toy".to_owned(),
            messages: std::mem::take(&mut self.messages),
            loops: std::mem::take(&mut self.loops),
            outcomes: self.state.outcomes,
            outcomes_hash: format!("{:x}", self.state.hash),
        }
    }

    fn confirmed(&mut self, _next: u64) -> Result<(), LogError> {
        self.commits += 1;
        if self.commits.is_multiple_of(20) {
            let part = self.file.with_extension(format!("part-{}", self.slot));
            fs::write(&part, serde_json::to_vec(&self.state).expect("plain data")).expect("a snapshot is written");
            fs::rename(&part, &self.file).expect("a snapshot is moved");
        }
        Ok(())
    }
}

/// Intake and engine until `stop`.
pub(crate) fn serve(place: &Place, stop: &AtomicBool) {
    let client = place.client();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let options = IntakeOptions { partitions: place.partitions, ..IntakeOptions::default() };
            run_intake(&client, options, stop, &mut ToyIntake::new(place.partitions)).expect("intake runs");
        });
        run_engine(&client, EngineOptions::default(), stop, |partition| ToyEngine::new(place, partition))
            .expect("engine runs");
    });
}

const VARIABLE: &str = "FOREWARN_TEST_INSTANCE";

/// An instance as a process of its own. Dropping it kills it.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn start(place: &Place) -> Process {
        let child = Command::new(std::env::current_exe().expect("this test binary"))
            .args(["--exact", "broker::instance::process", "--ignored", "--nocapture"])
            .env(VARIABLE, serde_json::to_string(place).expect("plain data"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("the instance starts");
        Process(child)
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.0.kill().expect("a process of ours");
        self.0.wait().expect("a process of ours");
    }

    pub(crate) fn assert_alive(&mut self) {
        assert!(self.0.try_wait().expect("a process of ours").is_none(), "the instance ended by itself");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

#[test]
#[ignore = "the body of an instance process; tests start it with its place in the environment"]
fn process() {
    let place = std::env::var(VARIABLE).expect("started by a test");
    let place: Place = serde_json::from_str(&place).expect("written by a test");
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::WARN).init();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Whoever started this is gone when its end of the pipe closes.
            std::io::stdin().read_to_end(&mut Vec::new()).expect("a pipe");
            stop.store(true, Ordering::Relaxed);
            std::thread::sleep(Duration::from_secs(5));
            std::process::exit(1);
        });
        serve(&place, &stop);
    });
}

pub(crate) fn folder(dir: &Path) -> PathBuf {
    let snapshots = dir.join("snapshots");
    fs::create_dir_all(&snapshots).expect("a folder");
    snapshots
}
