//! The engine of one log partition as a step of the run over Kafka.
//!
//! In: entries as bytes. Out: messages for the audiences, loop entries, the running hash; snapshots in a folder.
//! Promise: what is said depends on the entries alone, so that a restored engine repeats the commit record's hash.
//! Packs come from `forewarn.packs` when the log says that they count; nothing else is read.
//! With `clock: records` loop entries wait until a tick without marks says that the round is over: then they are
//! applied as one, sorted by (time, indicator, key), as in an embedded run.

use super::super::{Block, Clock, EngineCommit, Entry, Frame, LogError, Message, decode, encode, sort_loops};
use super::LOG_MESSAGE_BYTES_MAX;
use super::client::Client;
use super::engine::Step;
use super::packs::read_packs;
use super::progress::CommitRecord;
use super::snapshots::{Head, Snapshots};
use crate::clock::Stopwatch;
use crate::deliver::{messages, signal_line, value_line, warning_line};
use crate::engine::{Engine, Outcomes, Program};
use crate::metrics::Metrics;
use crate::pack::Pack;
use crate::response::Responder;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A pack ready for use.
#[derive(Clone)]
struct Ready {
    pack: Arc<Pack>,
    program: Arc<Program>,
}

/// What the engines of a process share: the compiled packs, where snapshots go, and who we are.
pub struct Engines {
    client: Client,
    partitions: u32,
    store: PathBuf,
    deployment: String,
    metrics: Arc<Metrics>,
    ready: Mutex<BTreeMap<String, Ready>>,
    least: Mutex<BTreeMap<u32, i64>>,
}

impl Engines {
    /// - `store`: folder of the snapshots
    /// - `deployment`: name of this installation in the messages
    #[must_use]
    pub fn new(client: &Client, partitions: u32, store: &Path, deployment: &str, metrics: Arc<Metrics>) -> Engines {
        Engines {
            client: client.clone(),
            partitions,
            store: store.to_owned(),
            deployment: deployment.to_owned(),
            metrics,
            ready: Mutex::default(),
            least: Mutex::default(),
        }
    }

    /// The step of a log partition.
    #[must_use]
    pub fn step(&self, partition: u32) -> EngineStep<'_> {
        EngineStep {
            shared: self,
            partition,
            snapshots: Snapshots::new(&self.store, partition, self.client.slot()),
            judge: None,
            said: Said::default(),
            messages: Vec::new(),
            loops: BTreeMap::new(),
            held: Vec::new(),
            saved: Stopwatch::start(),
            pause: SNAPSHOT_EVERY,
        }
    }

    /// The least log time over the partitions that this process works on; `None` before the first stamp.
    #[must_use]
    pub fn log_time(&self) -> Option<i64> {
        self.least.lock().expect("no panic under this lock").values().copied().min()
    }

    fn pack(&self, hash: &str) -> Result<Ready, LogError> {
        let mut ready = self.ready.lock().expect("no panic under this lock");
        if let Some(known) = ready.get(hash) {
            return Ok(known.clone());
        }
        let damaged = |what: String| LogError::Damaged { place: format!("pack {hash}"), what };
        let body = read_packs(&self.client)?.body(hash)?;
        let pack = Pack::read(body).map_err(|findings| damaged(format!("{} findings", findings.len())))?;
        let program = Program::new(&pack).map_err(|e| damaged(e.to_string()))?;
        let made = Ready { pack: Arc::new(pack), program: Arc::new(program) };
        ready.insert(hash.to_owned(), made.clone());
        Ok(made)
    }
}

/// How often a partition's state is saved at most; longer where saving takes long.
const SNAPSHOT_EVERY: Duration = Duration::from_secs(10);

struct Judge {
    engine: Engine,
    responder: Responder,
    version: u64,
    clock: Clock,
}

#[derive(Clone, Copy, Default)]
struct Said {
    outcomes: u64,
    hash: u64,
}

impl Said {
    fn add(&mut self, line: &str) {
        self.outcomes += 1;
        self.hash = xxh3_64_with_seed(line.as_bytes(), self.hash);
    }
}

/// The engine of one log partition with what it has said since the last commit.
pub struct EngineStep<'a> {
    shared: &'a Engines,
    partition: u32,
    snapshots: Snapshots,
    /// `None` before the first pack counts.
    judge: Option<Judge>,
    said: Said,
    messages: Vec<Message>,
    loops: BTreeMap<u32, Vec<Block>>,
    /// Loop blocks that wait for the end of their round (`clock: records`).
    held: Vec<(u32, Block)>,
    saved: Stopwatch,
    pause: Duration,
}

impl EngineStep<'_> {
    /// Applies an entry that was read already.
    ///
    /// # Errors
    /// When a pack that begins to count cannot be had.
    pub fn enter(&mut self, entry: Entry, position: u64) -> Result<(), LogError> {
        if let Entry::Pack(activate) = &entry {
            let ready = self.shared.pack(&activate.hash)?;
            let engine = match self.judge.take() {
                None => Engine::new(ready.program, self.partition, self.shared.partitions),
                Some(mut judge) => {
                    judge.engine.change_pack(ready.program);
                    judge.engine
                }
            };
            let responder = Responder::new(&ready.pack);
            self.judge = Some(Judge { engine, responder, version: activate.version, clock: activate.clock });
            self.shared.metrics.pack(activate.version, &activate.hash);
        }
        // Ticks before the first pack: no mark counts yet, and intakes send no rows before it.
        let Some(judge) = &mut self.judge else { return Ok(()) };
        match entry {
            Entry::Loop(frame) if judge.clock == Clock::Records => {
                self.held.extend(frame.blocks.into_iter().map(|block| (self.partition, block)));
                Ok(())
            }
            Entry::Tick(stamp) if judge.clock == Clock::Records && stamp.marks.is_empty() => {
                let mut held = std::mem::take(&mut self.held);
                if held.is_empty() {
                    return Ok(());
                }
                sort_loops(&mut held);
                let blocks = held.into_iter().map(|(_, block)| block).collect();
                let pack = judge.engine.pack().into();
                let outcomes = judge.engine.apply(&Entry::Loop(Frame { stamp: None, pack, blocks }), position);
                self.say(outcomes);
                Ok(())
            }
            entry => {
                let outcomes = judge.engine.apply(&entry, position);
                self.say(outcomes);
                Ok(())
            }
        }
    }

    fn say(&mut self, outcomes: Outcomes) {
        let Some(judge) = &self.judge else { return };
        for change in &outcomes.changes {
            let warning = judge.responder.respond(change);
            self.said.add(&warning_line(&warning));
            let industry = judge.responder.industry_of(&change.indicator).unwrap_or("none");
            self.shared.metrics.warning_change(industry, change.level, kind(&warning));
            self.messages.extend(messages(&warning, &self.shared.deployment));
        }
        outcomes.signals.iter().for_each(|signal| self.said.add(&signal_line(signal)));
        outcomes.values.iter().for_each(|value| self.said.add(&value_line(value)));
        for (partition, blocks) in outcomes.loops {
            self.loops.entry(partition).or_default().extend(blocks);
        }
    }

    /// What has been said since the log's start: number of outcomes, and the running hash over them.
    #[must_use]
    pub fn said(&self) -> (u64, String) {
        (self.said.outcomes, format!("{:016x}", self.said.hash))
    }
}

fn kind(warning: &crate::response::Warning) -> &'static str {
    use crate::engine::ChangeKind as K;
    match warning.kind {
        K::Raised => "raised",
        K::Upgraded => "upgraded",
        K::Cleared => "cleared",
        K::Returned => "returned",
        K::Expired => "expired",
    }
}

impl Step for EngineStep<'_> {
    fn restore(&mut self, record: Option<&CommitRecord>) -> Result<u64, LogError> {
        (self.judge, self.said) = (None, Said::default());
        self.messages.clear();
        self.loops.clear();
        self.held.clear();
        let Some(record) = record else { return Ok(0) };
        for (head, state) in self.snapshots.below(record.next)? {
            let ready = self.shared.pack(&head.pack)?;
            match Engine::restore(ready.program, &state, self.partition, self.shared.partitions) {
                Ok(engine) => {
                    let responder = Responder::new(&ready.pack);
                    self.judge = Some(Judge { engine, responder, version: head.version, clock: head.clock });
                    self.said = Said { outcomes: head.outcomes, hash: head.hash };
                    return Ok(head.next);
                }
                Err(error) => tracing::error!(partition = self.partition, %error, "a snapshot cannot be used"),
            }
        }
        Ok(0)
    }

    fn apply(&mut self, entry: &[u8], position: u64) -> Result<(), LogError> {
        let watch = Stopwatch::start();
        let entered = self.enter(decode(entry)?, position);
        self.shared.metrics.engine_frame(watch.seconds());
        entered
    }

    fn take(&mut self, next: u64) -> EngineCommit {
        let pack = self.judge.as_ref().map_or_else(String::new, |j| j.engine.pack().to_owned());
        let log_time = self.judge.as_ref().and_then(|j| j.engine.log_time());
        let mut loops = Vec::new();
        for (partition, blocks) in std::mem::take(&mut self.loops) {
            let frame = Frame { stamp: None, pack: pack.as_str().into(), blocks };
            loops.extend(fitting(frame, Entry::Loop).into_iter().map(|bytes| (partition, bytes)));
        }
        let (outcomes, outcomes_hash) = self.said();
        if let Some(at) = log_time {
            self.shared.least.lock().expect("no panic under this lock").insert(self.partition, at);
            self.shared.metrics.log_time(self.partition, at);
        }
        EngineCommit {
            partition: self.partition,
            next,
            log_time: log_time.unwrap_or(0),
            pack,
            messages: std::mem::take(&mut self.messages),
            loops,
            outcomes,
            outcomes_hash,
        }
    }

    fn confirmed(&mut self, next: u64) -> Result<(), LogError> {
        // Blocks that wait for their round stand in the log behind this position's state: no snapshot between.
        let Some(judge) = self.judge.as_ref().filter(|_| self.held.is_empty() && self.saved.elapsed() >= self.pause)
        else {
            return Ok(());
        };
        self.saved.lap();
        let state = judge.engine.save();
        let head = Head {
            next,
            outcomes: self.said.outcomes,
            hash: self.said.hash,
            version: judge.version,
            pack: judge.engine.pack().to_owned(),
            clock: judge.clock,
            sum: 0,
        };
        match self.snapshots.write(&head, &state) {
            Ok(()) => self.shared.metrics.snapshot(self.partition, 0.0, state.len() as u64),
            // Losing snapshots loses time at the next start, nothing else.
            Err(error) => tracing::error!(partition = self.partition, %error, "no snapshot was written"),
        }
        // A twentieth of the time at most goes into snapshots.
        self.pause = SNAPSHOT_EVERY.max(self.saved.lap() * 20);
        Ok(())
    }
}

impl Drop for EngineStep<'_> {
    fn drop(&mut self) {
        self.shared.least.lock().expect("no panic under this lock").remove(&self.partition);
    }
}

/// A frame as entries that fit into messages of the log: halved by blocks, then by rows.
pub(super) fn fitting(frame: Frame, entry: fn(Frame) -> Entry) -> Vec<Vec<u8>> {
    let whole = entry(frame);
    let bytes = encode(&whole);
    let (Entry::Rows(mut frame) | Entry::Loop(mut frame)) = whole else { return vec![bytes] };
    let rows = frame.blocks.first().map_or(0, |b| b.rows.num_rows());
    if bytes.len() < LOG_MESSAGE_BYTES_MAX || (frame.blocks.len() < 2 && rows < 2) {
        return vec![bytes];
    }
    let rest = if frame.blocks.len() > 1 {
        frame.blocks.split_off(frame.blocks.len() / 2)
    } else {
        frame
            .blocks
            .iter_mut()
            .map(|block| {
                let behind = Block { rows: block.rows.slice(rows / 2, rows - rows / 2), ..block.clone() };
                block.rows = block.rows.slice(0, rows / 2);
                behind
            })
            .collect()
    };
    let behind = Frame { blocks: rest, ..frame.clone() };
    let mut all = fitting(frame, entry);
    all.extend(fitting(behind, entry));
    all
}
