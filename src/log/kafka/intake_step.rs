//! Intake as a step of the run over Kafka: raw messages to entries of the log, by the pack prepared last.
//!
//! In: messages of the pack's sources, registry versions. Out: frames and ticks per partition, dead letters, registry
//! rows. With `clock: wall` each batch becomes one frame a partition. With `clock: records` the raw partitions are read
//! side by side up to the ends that they had, merged by the records' own time, in rounds of one hour of log time where
//! indicators read loop records; in memory is what the client reads ahead of each.

use super::super::merge::ROUND;
use super::super::{
    Block, Clock, Entry, Frame, IntakeCommit, LogError, Merge, MergedFrame, RegistryRow, Stamp, encode,
};
use super::client::Client;
use super::engine_step::fitting;
use super::history::{MessagesInput, seen};
use super::intake::{IntakeStep, RawRange};
use super::reader::{RawMessage, retriable};
use super::topics::raw_topics;
use crate::deliver;
use crate::intake::{MapError, Mapper, Message, Options, Registry, Router};
use crate::log::MergeInput;
use crate::pack::{Body, Pack};
use crate::record::{Kind, Millis};
use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Loop records that loop records bring about enter one generation a round. Longer chains of indicators than this are
/// not in any pack; what would be left at the end of a history enters with the next stamp.
const GENERATIONS: usize = 16;

/// Entries and bytes of one commit of a history at the most.
const ENTRIES: usize = 512;
const BYTES: usize = 2 * 1024 * 1024;

struct Made {
    pack: Arc<Pack>,
    mappers: BTreeMap<String, Mapper>,
    router: Router,
    /// Whether any indicator reads signals or values.
    loops: bool,
}

/// Maps, enriches and routes what the raw topics bring.
pub struct Mapping {
    client: Client,
    options: Options,
    /// Versions that come before the first pack.
    registry: Registry,
    made: Option<Made>,
    /// Marks that stand in the log already.
    ticked: BTreeMap<String, Millis>,
    history: History,
}

/// Where a history stands (`clock: records`).
#[derive(Default)]
struct History {
    /// Committed positions of the owned raw partitions.
    first: BTreeMap<String, i64>,
    /// What there is to read.
    ranges: Vec<RawRange>,
    merging: Option<Merging>,
    round: Option<i64>,
}

struct Merging {
    registry: Merge,
    rest: Merge,
    next: Option<(MergedFrame, bool)>,
    positions: BTreeMap<String, i64>,
    ends: BTreeMap<String, i64>,
    /// What follows the last frame; `None` while there are frames.
    last: Option<VecDeque<Last>>,
    waits: bool,
}

enum Last {
    Tick(Millis),
    Flush,
}

impl Mapping {
    /// - `options.partitions`: of the log
    #[must_use]
    pub fn new(client: &Client, options: Options) -> Mapping {
        Mapping {
            client: client.clone(),
            options,
            registry: Registry::default(),
            made: None,
            ticked: BTreeMap::new(),
            history: History::default(),
        }
    }

    /// Rows behind a stamp, as entries.
    fn entries(&mut self, rows: &[(Arc<str>, RecordBatch)], stamp: &Stamp, ticks: bool, commit: &mut IntakeCommit) {
        let Some(made) = &mut self.made else { return };
        let mut blocks: BTreeMap<u32, Vec<Block>> = BTreeMap::new();
        let routed = made.router.route_runs(rows);
        commit.registry.extend(routed.registry);
        for (kind, rows) in routed.unknown_objects {
            *commit.seen.unknown_objects.entry(kind.word().to_owned()).or_default() += rows;
        }
        for (partition, block) in routed.blocks {
            blocks.entry(partition).or_default().push(block);
        }
        let pack: Arc<str> = made.pack.hash.as_str().into();
        for partition in 0..self.options.partitions {
            match blocks.remove(&partition) {
                Some(blocks) => {
                    let frame = Frame { stamp: Some(stamp.clone()), pack: pack.clone(), blocks };
                    let entries = fitting(frame, Entry::Rows);
                    commit.entries.extend(entries.into_iter().map(|bytes| (partition, bytes)));
                }
                None if ticks => commit.entries.push((partition, encode(&Entry::Tick(stamp.clone())))),
                None => {}
            }
        }
    }

    fn wall(&mut self, messages: &[RawMessage], stamp: &Stamp) -> IntakeCommit {
        let mut commit = IntakeCommit::default();
        let Some(made) = &mut self.made else { return commit };
        let mut touched = BTreeSet::new();
        for message in messages {
            let source = source_of(&message.raw);
            // A topic that the newest pack no longer has: its subscription ends with the next poll.
            let Some(mapper) = made.mappers.get_mut(source) else { continue };
            let payload = message.payload.as_deref();
            *commit.seen.bytes.entry(source.to_owned()).or_default() += payload.map_or(0, <[u8]>::len) as u64;
            let raw = Message { raw: &message.raw, origin: &message.topic, offset: message.offset, payload };
            mapper.push(&raw, stamp.wall);
            touched.insert(source);
        }
        let mut rows = Vec::new();
        for source in touched {
            let Some(mapper) = made.mappers.get_mut(source) else { continue };
            let mapped = mapper.take();
            for (kind, n) in seen(&mapped) {
                *commit.seen.records.entry(kind).or_default() += n;
            }
            *commit.seen.unlisted.entry(source.to_owned()).or_default() += mapped.unlisted.values().sum::<u64>();
            commit.dead_letters.extend(mapped.dead_letters);
            rows.push((mapped.source, mapped.rows));
        }
        let ticks = self.ticked != stamp.marks || !stamp.blind.is_empty();
        self.entries(&rows, stamp, ticks, &mut commit);
        self.ticked.clone_from(&stamp.marks);
        commit
    }

    fn stamp(&self, at: Millis, timed: bool) -> Stamp {
        let marks = if timed { self.history.first.keys().map(|raw| (raw.clone(), at)).collect() } else { [].into() };
        Stamp { wall: at, marks, blind: Vec::new() }
    }

    /// The loop records of the round enter: a tick without marks.
    fn flush(&self, commit: &mut IntakeCommit) {
        let tick = encode(&Entry::Tick(Stamp::default()));
        commit.entries.extend((0..self.options.partitions).map(|partition| (partition, tick.clone())));
    }

    /// Ends the round when `at` lies in a later one.
    fn round(&mut self, at: Millis, commit: &mut IntakeCommit) {
        let hour = at.div_euclid(ROUND);
        if self.history.round.is_none_or(|round| hour > round) {
            if self.history.round.is_some() && self.made.as_ref().is_some_and(|m| m.loops) {
                self.flush(commit);
            }
            self.history.round = Some(hour);
        }
    }

    fn records(&mut self) -> Result<IntakeCommit, super::super::InputError> {
        let mut commit = IntakeCommit::default();
        let Some(mut merging) = self.history.merging.take() else {
            commit.positions = self.history.first.clone();
            return Ok(commit);
        };
        if merging.next.is_some() {
            self.frames(&mut merging, &mut commit)?;
        } else {
            self.ending(&mut merging, &mut commit);
        }
        commit.positions = self.history.first.clone();
        commit.positions.extend(merging.positions.clone());
        self.history.merging = Some(merging);
        Ok(commit)
    }

    /// Frames up to the end of a round or a full commit: a history of years has one frame a day, and a commit each would
    /// take most of the time.
    fn frames(&mut self, merging: &mut Merging, commit: &mut IntakeCommit) -> Result<(), super::super::InputError> {
        let loops = self.made.as_ref().is_some_and(|m| m.loops);
        merging.waits = false;
        while let Some((frame, timed)) = merging.next.take() {
            if timed {
                self.round(frame.stamp, commit);
            }
            merging.positions.extend(positions(&frame));
            for (kind, n) in &frame.seen {
                *commit.seen.records.entry(kind.clone()).or_default() += n;
            }
            let stamp = self.stamp(frame.stamp, timed);
            self.entries(&frame.rows, &stamp, timed, commit);
            commit.dead_letters.extend(frame.dead_letters);
            merging.pull()?;
            let round = self.history.round;
            let ends = merging
                .next
                .as_ref()
                .is_none_or(|(next, timed)| *timed && round.is_some_and(|round| next.stamp.div_euclid(ROUND) > round));
            merging.waits = ends && loops;
            let bytes: usize = commit.entries.iter().map(|(_, entry)| entry.len()).sum();
            if merging.waits || commit.entries.len() >= ENTRIES || bytes >= BYTES {
                break;
            }
        }
        Ok(())
    }

    /// What follows the last frame, one a commit.
    fn ending(&mut self, merging: &mut Merging, commit: &mut IntakeCommit) {
        let loops = self.made.as_ref().is_some_and(|m| m.loops);
        let newest = merging.rest.newest();
        let last = merging.last.get_or_insert_with(|| {
            let flushes = if loops { GENERATIONS } else { 0 };
            let tick = (newest != Millis::MIN).then_some(Last::Tick(newest));
            tick.into_iter().chain((0..flushes).map(|_| Last::Flush)).collect()
        });
        match last.pop_front() {
            Some(Last::Tick(at)) => {
                self.round(at, commit);
                let stamp = self.stamp(at, true);
                self.entries(&[], &stamp, true, commit);
            }
            Some(Last::Flush) => self.flush(commit),
            None => {}
        }
        merging.positions.clone_from(&merging.ends);
        merging.waits = true;
    }

    /// All that there is to read is known: the merge begins.
    fn merge(&mut self) -> Result<Merging, LogError> {
        let made = self.made.as_ref().expect("messages come after the pack");
        let ranges = std::mem::take(&mut self.history.ranges);
        let mut ends = self.history.first.clone();
        let mut registry: Vec<Box<dyn MergeInput>> = Vec::new();
        let mut rest: Vec<Box<dyn MergeInput>> = Vec::new();
        for range in ranges.into_iter().filter(|range| range.first < range.end) {
            ends.insert(range.raw.clone(), range.end);
            let source = source_of(&range.raw);
            let input = MessagesInput::of_partition(&self.client, &made.pack, source, &range, &self.options)?;
            let kind = made.pack.sources.get(source).map(|s| s.kind);
            if kind == Some(Kind::Registry) { registry.push(Box::new(input)) } else { rest.push(Box::new(input)) }
        }
        let mut merging = Merging {
            registry: Merge::new(registry),
            rest: Merge::new(rest),
            next: None,
            positions: BTreeMap::new(),
            ends,
            last: None,
            waits: false,
        };
        merging.pull().map_err(|e| retriable("history", e))?;
        Ok(merging)
    }
}

impl Merging {
    fn pull(&mut self) -> Result<(), super::super::InputError> {
        self.next = match self.registry.next_frame()? {
            Some(frame) => Some((frame, false)),
            None => self.rest.next_frame()?.map(|frame| (frame, true)),
        };
        Ok(())
    }
}

/// Where reading would have to begin again behind a frame: at its last message, whose further rows may wait. They are
/// known by their record ids when they come again.
fn positions(frame: &MergedFrame) -> BTreeMap<String, i64> {
    let mut at = BTreeMap::new();
    for (_, rows) in &frame.rows {
        let raws = rows.column_by_name(Block::RAW).and_then(|c| c.as_string_opt::<i32>());
        let offsets = rows.column_by_name(Block::OFFSET).and_then(|c| c.as_primitive_opt::<Int64Type>());
        let (Some(raws), Some(offsets)) = (raws, offsets) else { continue };
        for row in 0..rows.num_rows() {
            at.insert(raws.value(row).to_owned(), offsets.value(row));
        }
    }
    at
}

/// `<source>/<number>`, or `<source>:<whose>/<number>` where a source has several topics.
fn source_of(raw: &str) -> &str {
    raw.split(['/', ':']).next().unwrap_or(raw)
}

fn made(pack: Pack, options: &Options, registry: Registry) -> Result<Made, MapError> {
    let pack = Arc::new(pack);
    let mappers = pack.sources.keys().map(|name| Ok((name.clone(), Mapper::new(&pack, name, options)?)));
    let mappers = mappers.collect::<Result<_, MapError>>()?;
    let mut router = Router::new(pack.clone(), options)?;
    *router.registry() = registry;
    let loops = pack.indicators.values().any(|i| i.source == Kind::Signal.word() || i.source == Kind::Value.word());
    Ok(Made { pack, mappers, router, loops })
}

impl IntakeStep for Mapping {
    fn pack(&mut self, hash: &str, body: &Body) -> Result<(), LogError> {
        let damaged = |what: String| LogError::Damaged { place: format!("pack {hash}"), what };
        let pack =
            Pack::read_logged(body.clone()).map_err(|findings| damaged(format!("{} findings", findings.len())))?;
        let registry = match &mut self.made {
            Some(made) => std::mem::take(made.router.registry()),
            None => std::mem::take(&mut self.registry),
        };
        self.made = Some(made(pack, &self.options, registry).map_err(|e| damaged(e.to_string()))?);
        Ok(())
    }

    fn topics(&self) -> BTreeMap<String, String> {
        self.made.as_ref().map(|made| raw_topics(&made.pack, &deliver::topics(&made.pack))).unwrap_or_default()
    }

    fn registry(&mut self, row: &RegistryRow) {
        let registry = match &mut self.made {
            Some(made) => made.router.registry(),
            None => &mut self.registry,
        };
        if !registry.load(row) {
            tracing::warn!(key = row.key, "a registry row that this build cannot read");
        }
    }

    fn step(&mut self, messages: &[RawMessage], stamp: &Stamp) -> Result<IntakeCommit, LogError> {
        match self.options.clock {
            Clock::Wall => Ok(self.wall(messages, stamp)),
            Clock::Records => self.records().map_err(|e| retriable("history", e)),
        }
    }

    fn rewind(&mut self, positions: &BTreeMap<String, i64>) {
        self.ticked.clear();
        // What was mapped and not taken comes again.
        for mapper in self.made.iter_mut().flat_map(|made| made.mappers.values_mut()) {
            drop(mapper.take());
        }
        self.history.ranges.clear();
        self.history.merging = None;
        self.history.first.clone_from(positions);
    }

    fn reads(&self) -> bool {
        self.options.clock == Clock::Wall
    }

    fn ranges(&mut self, ranges: Vec<RawRange>) {
        self.history.ranges = ranges;
    }

    fn waits(&self) -> bool {
        self.history.merging.as_ref().is_some_and(|m| m.waits)
    }

    fn finished(&mut self) -> Result<bool, LogError> {
        if self.options.clock == Clock::Wall {
            return Ok(true);
        }
        match &self.history.merging {
            Some(merging) => Ok(merging.last.as_ref().is_some_and(VecDeque::is_empty)),
            None => {
                self.history.merging = Some(self.merge()?);
                Ok(false)
            }
        }
    }
}
