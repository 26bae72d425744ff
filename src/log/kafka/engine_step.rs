//! The engine of one log partition as a step of the run over Kafka.
//!
//! In: entries as bytes. Out: messages for the audiences, loop entries, the running hash; snapshots in a folder.
//! Promise: what is said depends on the entries alone, so that a restored engine repeats the commit record's hash.
//! Packs come from `forewarn.packs` when the log says that they count; nothing else is read.

use super::super::tally::Tally;
use super::super::{Activate, Block, Clock, EngineCommit, Entry, Frame, LogError, Message, decode, encode};
use super::LOG_MESSAGE_BYTES_MAX;
use super::client::Client;
use super::engine::Step;
use super::intake::ask;
use super::judge::{Judge, Ready};
use super::packs::{raw_partitions, read_packs};
use super::progress::CommitRecord;
use super::reader::{Place, asker, index};
use super::snapshots::{Head, Snapshots};
use super::standing::{Standing, show, unready};
use super::topics::raw_topics;
use crate::clock::{Stopwatch, now_ms};
use crate::deliver::{messages, signal_line, topics, value_line, warning_line};
use crate::engine::{ChangeKind, Fates, Outcomes};
use crate::metrics::Metrics;
use crate::record::{Kind, Level, Millis};
use crate::response::Warning;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// What the engines of a process share: the compiled packs, where snapshots go, and how far each is.
pub struct Engines {
    client: Client,
    partitions: u32,
    store: PathBuf,
    snapshot_every: Duration,
    budget: usize,
    metrics: Arc<Metrics>,
    ready: Mutex<BTreeMap<String, Ready>>,
    standing: Mutex<BTreeMap<u32, Standing>>,
}

/// How often a partition's state is saved unless the settings say otherwise.
const SNAPSHOT_EVERY: Duration = Duration::from_secs(10);

impl Engines {
    /// - `store`: folder of the snapshots
    #[must_use]
    pub fn new(client: &Client, partitions: u32, store: &Path, metrics: Arc<Metrics>) -> Engines {
        Engines {
            client: client.clone(),
            partitions,
            store: store.to_owned(),
            snapshot_every: SNAPSHOT_EVERY,
            budget: usize::MAX,
            metrics,
            ready: Mutex::default(),
            standing: Mutex::default(),
        }
    }

    /// Saves each partition's state so often at most; less often where saving takes long.
    #[must_use]
    pub fn snapshot_every(mut self, every: Duration) -> Engines {
        self.snapshot_every = every;
        self
    }

    /// Bytes of a partition's state beyond which indicators in trial take no new keys.
    #[must_use]
    pub fn budget(mut self, bytes: usize) -> Engines {
        self.budget = bytes;
        self
    }

    /// The step of a log partition.
    #[must_use]
    pub fn step(&self, partition: u32) -> EngineStep<'_> {
        let since = now_ms();
        self.standing().insert(partition, Standing { since, ..Standing::default() });
        EngineStep {
            shared: self,
            partition,
            since,
            snapshots: Snapshots::new(&self.store, partition, self.client.slot()),
            judge: Judge::new(partition, self.partitions, self.budget),
            said: Said::default(),
            messages: Vec::new(),
            loops: BTreeMap::new(),
            wall: None,
            told: Told::default(),
            tally: Tally::default(),
            tallied: Stopwatch::start(),
            saved: Stopwatch::start(),
            pause: self.snapshot_every,
            cut: false,
        }
    }

    fn standing(&self) -> MutexGuard<'_, BTreeMap<u32, Standing>> {
        self.standing.lock().expect("no panic under this lock")
    }

    /// The least log time over the partitions that this process works on; `None` before the first stamp.
    #[must_use]
    pub fn log_time(&self) -> Option<Millis> {
        self.standing().values().filter_map(|s| s.log_time).min()
    }

    /// The log partitions that this process works on.
    #[must_use]
    pub fn partitions(&self) -> Vec<u32> {
        self.standing().keys().copied().collect()
    }

    /// Why this process is not ready, in plain words; nothing when it is.
    ///
    /// - `retention`: of the log
    #[must_use]
    pub fn unready(&self, clock: Clock, retention: Millis) -> Vec<String> {
        unready(&self.standing(), clock, now_ms(), retention)
    }

    /// Keeps the gauges of the log partitions until `stop`: lag, log time, age of snapshots, state.
    pub fn watch(&self, stop: &AtomicBool) {
        let topic = self.client.name(super::LOG);
        let asker = match asker(&self.client) {
            Ok(asker) => Some(asker),
            Err(error) => {
                tracing::error!(%error, "the lag of the log is not measured");
                None
            }
        };
        let mut shown: Vec<u32> = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let all = self.standing().clone();
            for gone in shown.iter().filter(|p| !all.contains_key(p)) {
                self.metrics.partition_ended(*gone);
                self.metrics.consumer_lag_ended(super::LOG, index(*gone));
            }
            shown = all.keys().copied().collect();
            show(&all, &self.metrics, now_ms());
            let places: Vec<Place> = shown.iter().map(|p| (topic.clone(), index(*p))).collect();
            if let Some(asker) = asker.as_ref().filter(|_| !places.is_empty()) {
                for ((_, partition), end) in ask(asker, &places) {
                    let next = u32::try_from(partition).ok().and_then(|p| all.get(&p)).map(|s| s.next);
                    if let (Some(end), Some(next)) = (end, next) {
                        let next = i64::try_from(next).unwrap_or(i64::MAX);
                        self.metrics.consumer_lag(super::LOG, partition, (end - next).max(0));
                    }
                }
            }
            let watch = Stopwatch::start();
            while watch.elapsed() < Duration::from_secs(1) && !stop.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }

    fn pack(&self, hash: &str) -> Result<Ready, LogError> {
        let mut known = self.ready.lock().expect("no panic under this lock");
        if let Some(known) = known.get(hash) {
            return Ok(known.clone());
        }
        let made = Ready::fetch(&self.client, hash)?;
        known.insert(hash.to_owned(), made.clone());
        Ok(made)
    }
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

/// What the metrics will hear once it is committed.
#[derive(Default)]
struct Told {
    /// Industry, level and kind of each change.
    changes: Vec<(String, Level, &'static str)>,
    /// Wall time at which the records that brought warnings about were read.
    read: Vec<Millis>,
    signals: u64,
    values: u64,
}

/// The engine of one log partition with what it has said since the last commit.
pub struct EngineStep<'a> {
    shared: &'a Engines,
    partition: u32,
    /// Wall time of the takeover.
    since: Millis,
    snapshots: Snapshots,
    judge: Judge,
    said: Said,
    messages: Vec<Message>,
    loops: BTreeMap<u32, Vec<Block>>,
    /// Wall time of the newest stamp.
    wall: Option<Millis>,
    told: Told,
    tally: Tally,
    tallied: Stopwatch,
    saved: Stopwatch,
    pause: Duration,
    /// The log no longer reaches back to the beginning of this state.
    cut: bool,
}

impl EngineStep<'_> {
    /// Applies an entry that was read already.
    ///
    /// # Errors
    /// When a pack that begins to count cannot be had.
    pub fn enter(&mut self, entry: Entry, position: u64) -> Result<(), LogError> {
        if let Entry::Pack(activate) = &entry {
            self.shared.metrics.pack(activate.version, &activate.hash);
        }
        if let Entry::Tick(stamp) | Entry::Rows(Frame { stamp: Some(stamp), .. }) = &entry {
            self.wall = Some(stamp.wall);
        }
        let outcomes = self.judge.enter(entry, position, |hash| self.shared.pack(hash))?;
        self.say(outcomes.unwrap_or_default());
        Ok(())
    }

    fn say(&mut self, outcomes: Outcomes) {
        let Some(now) = &self.judge.now else { return };
        for change in &outcomes.changes {
            let warning = now.responder.respond(change);
            self.said.add(&warning_line(&warning));
            if !warning.shadow {
                self.told.changes.push((warning.industry.id.clone(), change.level, kind(&warning)));
                self.told.read.extend(self.wall.filter(|_| now.clock == Clock::Wall));
            }
            self.messages.extend(messages(&warning, self.shared.client.deployment()));
        }
        outcomes.signals.iter().for_each(|signal| self.said.add(&signal_line(signal)));
        outcomes.values.iter().for_each(|value| self.said.add(&value_line(value)));
        self.told.signals += outcomes.signals.len() as u64;
        self.told.values += outcomes.values.len() as u64;
        for (partition, blocks) in outcomes.loops {
            self.loops.entry(partition).or_default().extend(blocks);
        }
    }

    /// What has been said since the log's start: number of outcomes, and the running hash over them.
    #[must_use]
    pub fn said(&self) -> (u64, String) {
        (self.said.outcomes, format!("{:016x}", self.said.hash))
    }

    /// What became of the records, by kind.
    #[must_use]
    pub fn fates(&self) -> BTreeMap<String, Fates> {
        self.judge.now.as_ref().map(|now| now.engine.fates().clone()).unwrap_or_default()
    }

    fn stands(&self, change: impl FnOnce(&mut Standing)) {
        let mut all = self.shared.standing();
        if let Some(standing) = all.get_mut(&self.partition).filter(|standing| standing.since == self.since) {
            change(standing);
        }
    }

    /// Tells the metrics what is committed now.
    fn count(&mut self) {
        let metrics = &self.shared.metrics;
        let told = std::mem::take(&mut self.told);
        for (industry, level, kind) in told.changes {
            metrics.warning_change(&industry, level, kind);
        }
        let now = now_ms();
        for read in told.read {
            #[expect(clippy::cast_precision_loss, reason = "a delay in seconds needs no more than 52 bits")]
            metrics.warning_delay((now - read).max(0) as f64 / 1_000.0);
        }
        for (kind, n) in [(Kind::Signal, told.signals), (Kind::Value, told.values)] {
            if n > 0 {
                metrics.loop_records(kind, n);
            }
        }
        if let Some(now) = &self.judge.now {
            self.tally.fates(now.engine.fates(), metrics);
            if self.tallied.elapsed() >= Duration::from_secs(1) {
                self.tallied.lap();
                let rules = self.tally.usage([&now.engine], metrics);
                self.stands(|standing| standing.rules = rules);
            }
        }
    }
}

fn kind(warning: &Warning) -> &'static str {
    match warning.kind {
        ChangeKind::Raised => "raised",
        ChangeKind::Upgraded => "upgraded",
        ChangeKind::Cleared => "cleared",
        ChangeKind::Returned => "returned",
        ChangeKind::Expired => "expired",
    }
}

impl Step for EngineStep<'_> {
    fn restore(&mut self, record: Option<&CommitRecord>) -> Result<u64, LogError> {
        (self.judge, self.said) =
            (Judge::new(self.partition, self.shared.partitions, self.shared.budget), Said::default());
        self.messages.clear();
        self.loops.clear();
        let Some(record) = record else { return Ok(0) };
        for (head, state) in self.snapshots.below(record.next)? {
            match self.judge.restore(self.shared.pack(&head.pack)?, &state, head.version, head.clock) {
                Ok(()) => {
                    self.said = Said { outcomes: head.outcomes, hash: head.hash };
                    self.shared.metrics.pack(head.version, &head.pack);
                    self.stands(|standing| {
                        standing.snapshot = Some(head.at);
                        standing.snapshot_bytes = state.len() as u64;
                    });
                    return Ok(head.next);
                }
                Err(error) => tracing::error!(partition = self.partition, %error, "a snapshot cannot be used"),
            }
        }
        Ok(0)
    }

    fn begin_at(&mut self, low: u64, record: Option<&CommitRecord>) -> Result<(), LogError> {
        let packs = read_packs(&self.shared.client)?;
        let form = packs.log.map_or(Clock::Wall, |form| form.clock);
        let known = record.filter(|record| !record.pack.is_empty()).map(|r| (r.version, r.pack.clone()));
        let Some((version, hash)) = known.or(packs.active) else { return Ok(()) };
        let ready = self.shared.pack(&hash)?;
        let raw = raw_partitions(&self.shared.client, &raw_topics(&ready.pack, &topics(&ready.pack)))?;
        self.judge = Judge::new(self.partition, self.shared.partitions, self.shared.budget);
        self.enter(Entry::Pack(Activate { version, hash, clock: form, raw }), low.saturating_sub(1))?;
        if let Some(now) = &mut self.judge.now {
            now.engine.cut();
        }
        self.cut = true;
        Ok(())
    }

    fn live(&mut self, record: Option<&CommitRecord>) {
        if let Some(record) = record.filter(|_| self.cut) {
            let hash = u64::from_str_radix(&record.outcomes_hash, 16).unwrap_or(0);
            self.said = Said { outcomes: record.outcomes, hash };
        }
        self.told = Told::default();
        if let Some(now) = &self.judge.now {
            self.tally.skip(&now.engine);
        }
        self.stands(|standing| standing.next = record.map_or(0, |r| r.next));
    }

    fn apply(&mut self, entry: &[u8], position: u64) -> Result<(), LogError> {
        let watch = Stopwatch::start();
        let entered = self.enter(decode(entry)?, position);
        self.shared.metrics.engine_frame(watch.seconds());
        entered
    }

    fn take(&mut self, next: u64) -> EngineCommit {
        let now = self.judge.now.as_ref();
        let pack = now.map_or_else(String::new, |now| now.engine.pack().to_owned());
        let (log_time, version) = (now.and_then(|now| now.engine.log_time()), now.map_or(0, |now| now.version));
        let mut loops = Vec::new();
        for (partition, blocks) in std::mem::take(&mut self.loops) {
            let frame = Frame { stamp: None, pack: pack.as_str().into(), blocks };
            loops.extend(fitting(frame, Entry::Loop).into_iter().map(|bytes| (partition, bytes)));
        }
        let (outcomes, outcomes_hash) = self.said();
        self.stands(|standing| standing.log_time = log_time);
        EngineCommit {
            partition: self.partition,
            next,
            log_time: log_time.unwrap_or(0),
            version,
            pack,
            messages: std::mem::take(&mut self.messages),
            loops,
            outcomes,
            outcomes_hash,
        }
    }

    fn confirmed(&mut self, next: u64) -> Result<(), LogError> {
        self.count();
        self.stands(|standing| standing.next = next);
        // What waits for its round stands in the log behind this position's state: no snapshot between.
        let due = self.judge.whole() && self.saved.elapsed() >= self.pause;
        let Some(now) = self.judge.now.as_ref().filter(|_| due) else { return Ok(()) };
        self.saved.lap();
        let state = now.engine.save();
        let head = Head {
            next,
            outcomes: self.said.outcomes,
            hash: self.said.hash,
            version: now.version,
            pack: now.engine.pack().to_owned(),
            clock: now.clock,
            at: now_ms(),
            sum: 0,
        };
        let written = self.snapshots.write(&head, &state);
        self.stands(|standing| {
            standing.snapshot_failed = written.is_err();
            if written.is_ok() {
                standing.snapshot = Some(head.at);
                standing.snapshot_bytes = state.len() as u64;
            }
        });
        if let Err(error) = written {
            // Losing snapshots loses time at the next start, nothing else.
            tracing::error!(partition = self.partition, %error, "no snapshot was written");
        }
        // A twentieth of the time at most goes into snapshots.
        self.pause = self.shared.snapshot_every.max(self.saved.lap() * 20);
        Ok(())
    }
}

impl Drop for EngineStep<'_> {
    fn drop(&mut self) {
        let mut all = self.shared.standing();
        // A worker that hung while its partition went and came back is not the one that stands there now.
        if all.get(&self.partition).is_some_and(|standing| standing.since == self.since) {
            all.remove(&self.partition);
        }
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
