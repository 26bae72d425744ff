//! The intake side: raw topics to entries of the log, one instance one thread.
//!
//! In: the raw partitions that the group gives this slot. Out: intake commits, each with the raw offsets inside.
//! Promise: a mark never precedes its rows: the stamp given with a batch holds what was read *and committed* before.
//! After an abort everything goes back to the group's offsets and is read, mapped and marked again.
//! Not here: what a message means (the step), log time (the engine).

use super::super::{DeadLetter, IntakeCommit, LogError, RegistryRow, Seen, Stamp};
use super::REGISTRY;
use super::client::{Client, Quiet};
use super::ending::RaiseAtEnd;
use super::engine::{entry_to, outgoing};
use super::member::{Change, Member};
use super::packs::{self, Packs};
use super::progress::Progress;
use super::reader::{Place, RawMessage, Reader, offsets};
use super::transaction::{Outgoing, Transactional};
use crate::clock::{Stopwatch, now_ms};
use crate::deliver::dead_letter_message;
use crate::metrics::{CommitEnd, Fate, Mark, Metrics};
use crate::pack::Body;
use crate::record::Millis;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What is made of raw messages.
pub trait IntakeStep {
    /// The pack to map and route by from the next batch on.
    ///
    /// # Errors
    /// A body that does not load; the run stops.
    fn pack(&mut self, hash: &str, body: &Body) -> Result<(), LogError>;

    /// Topics to read, without the prefix, each with what its raw partitions are called before the number: the source's
    /// name, and something more where one source has several topics ([`super::raw_topics`] names them).
    fn topics(&self) -> BTreeMap<String, String>;

    /// A registry version, of anyone's intake; all that exist come before the first batch.
    fn registry(&mut self, row: &RegistryRow);

    /// Maps a batch (empty: a tick). `stamp` holds for what came before these messages. Positions may stay empty: then
    /// everything that was read counts as done; a step that holds messages back says how far it got.
    ///
    /// # Errors
    /// Of a step that reads by itself: what could not be read. All is read again from what is committed.
    fn step(&mut self, messages: &[RawMessage], stamp: &Stamp) -> Result<IntakeCommit, LogError>;

    /// False when the step reads by itself: then it is told what there is, and no messages are brought to it.
    fn reads(&self) -> bool {
        true
    }

    /// What stands in the raw partitions between the group's offsets and the ends they have now.
    fn ranges(&mut self, ranges: Vec<RawRange>) {
        drop(ranges);
    }

    /// Nothing after these positions is committed: forget what was held, it comes again.
    fn rewind(&mut self, positions: &BTreeMap<String, i64>);

    /// After the commit of the last step: true waits until the engines have read all of the log (rounds of the
    /// records clock).
    fn waits(&self) -> bool {
        false
    }

    /// Whether the run is over, asked when all raw partitions were read to the ends they had at the start. Only with
    /// [`IntakeOptions::to_ends`].
    ///
    /// # Errors
    /// As [`IntakeStep::step`].
    fn finished(&mut self) -> Result<bool, LogError> {
        Ok(true)
    }
}

/// A stretch of a raw partition.
#[derive(Clone, Debug)]
pub struct RawRange {
    /// `<source>/<number>`
    pub raw: String,
    /// Topic with the prefix, and partition.
    pub(super) place: Place,
    /// The first offset.
    pub first: i64,
    /// The one behind the last.
    pub end: i64,
}

/// How raw topics are read.
#[derive(Clone, Copy, Debug)]
pub struct IntakeOptions {
    /// Time between ticks when nothing comes.
    pub tick: Duration,
    /// Time between two probes of the raw partitions' ends.
    pub probe: Duration,
    /// A raw partition that cannot be probed for so long is blind.
    pub blind_after: Duration,
    /// Messages of a batch at most.
    pub messages_max: usize,
    /// Bytes of a batch at most.
    pub bytes_max: usize,
    /// Ends at the ends that the raw partitions have at the start (records clock) instead of never.
    pub to_ends: bool,
    /// Reads nothing before a pack counts: earlier entries would be judged by none.
    pub after_activate: bool,
    /// Log partitions, for waits.
    pub partitions: u32,
}

impl Default for IntakeOptions {
    fn default() -> IntakeOptions {
        IntakeOptions {
            tick: Duration::from_millis(200),
            probe: Duration::from_millis(500),
            blind_after: Duration::from_secs(30),
            messages_max: 4_000,
            bytes_max: 1024 * 1024,
            to_ends: false,
            after_activate: false,
            partitions: 1,
        }
    }
}

/// Ends of raw partitions as seen at one moment; `None` for one that could not be asked.
struct Probe {
    /// Wall time before the question: what was written until then lies before the end.
    asked: Millis,
    ends: BTreeMap<Place, Option<i64>>,
}

/// What the prober asks about, and what it found.
#[derive(Default)]
struct Probing {
    wanted: Vec<Place>,
    found: VecDeque<Probe>,
}

/// A raw partition of ours.
struct Owned {
    raw: String,
    /// Position at which reading begins while the group has no offset.
    first: i64,
    mark: Option<Millis>,
    pending: VecDeque<(Millis, i64)>,
    failing: Option<Millis>,
    acked: Option<String>,
}

/// Reads raw topics until `stop` is set, or to their ends. What the broker does not take or answer is tried again.
///
/// # Errors
/// [`LogError::Fenced`] when another instance has the slot; [`LogError::Damaged`] when a pack or a message of ours
/// cannot be used.
pub fn run_intake<S: IntakeStep>(
    client: &Client,
    options: IntakeOptions,
    metrics: &Metrics,
    stop: &AtomicBool,
    step: &mut S,
) -> Result<(), LogError> {
    let probing = Mutex::new(Probing::default());
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _end = RaiseAtEnd(&over);
        scope.spawn(|| probe(client, options.probe, &probing, &over));
        while !stop.load(Ordering::Relaxed) {
            match Run::start(client, options, metrics, &probing, stop, step) {
                Ok(Some(mut run)) => match run.work(stop, step) {
                    // Our own place in the group, when a broker died between our request and its answer. If it is
                    // another instance, joining again is refused.
                    Err(LogError::Fenced { what }) => tracing::warn!(what, "joining again"),
                    ended => return ended,
                },
                Ok(None) => break,
                Err(error) => again(error)?,
            }
        }
        Ok(())
    })
}

/// Waits a little after what another try may mend; gives everything else back.
fn again(error: LogError) -> Result<(), LogError> {
    match error {
        LogError::Retriable { .. } | LogError::Indefinite { .. } => {
            tracing::warn!(%error, "intake tries again");
            // Longer than a broker takes to say no, shorter than anybody notices.
            std::thread::sleep(Duration::from_millis(300));
            Ok(())
        }
        error => Err(error),
    }
}

fn intake_id(slot: &str) -> String {
    format!("forewarn-intake-{slot}")
}

struct Run<'a> {
    client: &'a Client,
    options: IntakeOptions,
    metrics: &'a Metrics,
    probing: &'a Mutex<Probing>,
    member: Member,
    out: Transactional,
    reader: Reader,
    packs: Packs,
    packs_reader: Reader,
    registry_reader: Reader,
    sources: BTreeMap<String, String>,
    mapped: String,
    owned: BTreeMap<Place, Owned>,
    arriving: Vec<Place>,
    ends: Option<BTreeMap<Place, i64>>,
    engines: Option<Progress>,
    /// What was read may not be what is committed: the group's offsets are asked before anything else.
    doubtful: bool,
}

/// What a turn of the loop says about the next one.
#[derive(PartialEq)]
enum Turn {
    On,
    Over,
}

impl<'a> Run<'a> {
    fn start(
        client: &'a Client,
        options: IntakeOptions,
        metrics: &'a Metrics,
        probing: &'a Mutex<Probing>,
        stop: &AtomicBool,
        step: &mut impl IntakeStep,
    ) -> Result<Option<Run<'a>>, LogError> {
        let (mut packs_reader, mut packs) = packs::follow(client)?;
        while packs.prepared.is_none() {
            if stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            for message in packs_reader.batch(1_000, usize::MAX, Duration::from_millis(100))? {
                packs.take(&message)?;
            }
        }
        let mut out = Transactional::new(client, intake_id(client.slot()));
        let member = Member::join(client, "forewarn-intake", &[], Box::new(|_| {}))?;
        if !out.fence_until(stop) {
            return Ok(None);
        }
        let (registry_reader, rows) = Reader::whole(client, &client.name(REGISTRY), Duration::from_secs(60))?;
        let mut run = Run {
            client,
            options,
            metrics,
            probing,
            member,
            out,
            reader: Reader::of_many(client)?,
            packs,
            packs_reader,
            registry_reader,
            sources: BTreeMap::new(),
            mapped: String::new(),
            owned: BTreeMap::new(),
            arriving: Vec::new(),
            ends: None,
            engines: None,
            doubtful: false,
        };
        rows.iter().filter_map(registry_row).for_each(|row| step.registry(&row));
        run.map(step)?;
        Ok(Some(run))
    }

    /// Maps by the newest prepared pack.
    fn map(&mut self, step: &mut impl IntakeStep) -> Result<(), LogError> {
        let Some(hash) = self.packs.prepared.clone().filter(|hash| *hash != self.mapped) else { return Ok(()) };
        step.pack(&hash, &self.packs.body(&hash)?)?;
        self.mapped = hash;
        let sources: BTreeMap<String, String> =
            step.topics().into_iter().map(|(topic, source)| (self.client.name(&topic), source)).collect();
        if sources != self.sources {
            let topics: Vec<String> = sources.keys().cloned().collect();
            self.member.subscribe(&topics)?;
            self.sources = sources;
        }
        Ok(())
    }

    fn work(&mut self, stop: &AtomicBool, step: &mut impl IntakeStep) -> Result<(), LogError> {
        let mut since = Stopwatch::start();
        let mut looked = Stopwatch::start();
        while !stop.load(Ordering::Relaxed) {
            match self.turn(&mut since, &mut looked, stop, step) {
                Ok(Turn::On) => {}
                Ok(Turn::Over) => return Ok(()),
                Err(error) => {
                    again(error)?;
                    self.doubtful = true;
                }
            }
        }
        Ok(())
    }

    fn turn(
        &mut self,
        since: &mut Stopwatch,
        looked: &mut Stopwatch,
        stop: &AtomicBool,
        step: &mut impl IntakeStep,
    ) -> Result<Turn, LogError> {
        self.placed(step)?;
        if self.doubtful {
            self.resume(stop, step)?;
            self.doubtful = false;
        }
        if looked.elapsed() >= Duration::from_millis(100) {
            looked.lap();
            self.news(step)?;
        }
        if self.owned.is_empty() {
            // Half of the time between heartbeats of a busy group would do; nothing waits for this.
            std::thread::sleep(Duration::from_millis(20));
            return Ok(Turn::On);
        }
        let wait = self.options.tick.saturating_sub(since.elapsed()).min(Duration::from_millis(50));
        let idle = self.options.after_activate && self.packs.active.is_none();
        let read = if idle || !step.reads() {
            std::thread::sleep(wait);
            Ok(Vec::new())
        } else {
            self.reader.batch(self.options.messages_max, self.options.bytes_max, wait)
        };
        let messages = match read {
            Ok(messages) => messages,
            Err(error) => {
                // A position has gone by retention while we read: said loudly, then on from what there is.
                tracing::error!(%error, "raw messages were lost before they could be read");
                self.doubtful = true;
                return Ok(Turn::On);
            }
        };
        if messages.is_empty() && since.elapsed() < self.options.tick {
            return Ok(Turn::On);
        }
        since.lap();
        let stamp = self.stamp();
        let watch = Stopwatch::start();
        let commit = step.step(&messages, &stamp)?;
        self.metrics.intake_batch(watch.seconds());
        if !self.commit(commit, step)? {
            return Ok(Turn::On);
        }
        self.advance();
        if step.waits() && !self.engines()?.wait(stop)? {
            return Ok(Turn::Over);
        }
        let over = self.options.to_ends && !idle && self.at_ends(step)? && step.finished()?;
        Ok(if over { Turn::Over } else { Turn::On })
    }

    fn engines(&mut self) -> Result<&mut Progress, LogError> {
        if self.engines.is_none() {
            self.engines = Some(Progress::open(self.client, self.options.partitions)?);
        }
        Ok(self.engines.as_mut().expect("opened above"))
    }

    /// Serves the group, and begins to read what has come once its start is known.
    fn placed(&mut self, step: &mut impl IntakeStep) -> Result<(), LogError> {
        let mut gone = false;
        for change in self.member.poll(Duration::ZERO)? {
            match change {
                Change::Assigned(places) => self.arriving.extend(places),
                Change::Revoked(places) => {
                    gone = true;
                    self.arriving.retain(|place| !places.contains(place));
                    for place in &places {
                        if let Some(owned) = self.owned.remove(place) {
                            self.metrics.consumer_lag_ended(self.bare(&place.0), place.1);
                            self.metrics.source_blind_ended(&owned.raw);
                        }
                    }
                }
            }
        }
        if gone {
            self.reread(step)?;
        }
        if self.arriving.is_empty() {
            return Ok(());
        }
        self.bury();
        // The last owner's open transaction decides about its offsets first: asked again until it has.
        let committed = match self.member.committed(&self.arriving, Duration::from_secs(1)) {
            Ok(committed) => committed,
            Err(error) => {
                tracing::debug!(%error, "offsets of new raw partitions");
                return Ok(());
            }
        };
        let bounds = Reader::bounds(self.client, &self.arriving, Duration::from_secs(15))?;
        // A pack that was prepared before the last owner let go is known before the first row.
        let (reader, packs) = packs::follow(self.client)?;
        (self.packs_reader, self.packs) = (reader, packs);
        self.map(step)?;
        for (place, (low, end)) in std::mem::take(&mut self.arriving).into_iter().zip(bounds) {
            let Some(source) = self.sources.get(&place.0) else { continue };
            let raw = format!("{source}/{}", place.1);
            let first = match committed.get(&place) {
                Some(offset) if (low..=end).contains(offset) => *offset,
                Some(offset) => {
                    tracing::error!(raw, offset, low, end, "raw messages were lost before they could be read");
                    low
                }
                None => {
                    tracing::debug!(raw, low, "a raw partition is read for the first time, from its beginning");
                    low
                }
            };
            self.reader.name(&place, &raw);
            let owned = Owned { raw, first, mark: None, pending: VecDeque::new(), failing: None, acked: None };
            self.owned.insert(place, owned);
        }
        tracing::info!(partitions = self.owned.len(), "raw partitions are read");
        self.reread(step)
    }

    /// Ends the open transaction of the slot that had the new partitions before and is gone. Nobody can read past it in
    /// any log partition until it ends; by itself it would after 10 to 20 s.
    fn bury(&mut self) {
        let mut last: BTreeSet<&String> = BTreeSet::new();
        for (topic, partition) in &self.arriving {
            let raw = self.sources.get(topic).map(|source| format!("{source}/{partition}"));
            last.extend(raw.and_then(|raw| self.packs.owners.get(&raw)));
        }
        for slot in last.into_iter().filter(|slot| *slot != self.client.slot()) {
            // It only saves time: a group that does not answer must not make this instance leave and join again, for then
            // the others see it as gone, and nobody ever reads.
            match self.member.has(slot) {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(slot, %error, "whether an instance is gone is not known; its transaction ends by itself");
                    continue;
                }
            }
            match Transactional::new(self.client, intake_id(slot)).fence() {
                Ok(()) => tracing::info!(slot, "took over from an instance that is gone"),
                Err(error) => {
                    tracing::warn!(slot, %error, "the transaction of an instance that is gone ends by itself")
                }
            }
        }
    }

    /// The name of a topic without the prefix.
    fn bare<'t>(&self, topic: &'t str) -> &'t str {
        topic.strip_prefix(&self.client.name("")).unwrap_or(topic)
    }

    /// Reads on from what is committed, with exactly the owned partitions.
    fn reread(&mut self, step: &mut impl IntakeStep) -> Result<(), LogError> {
        let places: BTreeMap<Place, i64> = self.owned.iter().map(|(place, o)| (place.clone(), o.first)).collect();
        let positions = self.owned.values().map(|o| (o.raw.clone(), o.first)).collect();
        self.probing.lock().expect("no panic under this lock").wanted = places.keys().cloned().collect();
        self.ends = None;
        self.reader.assign(if step.reads() { places } else { BTreeMap::new() })?;
        step.rewind(&positions);
        Ok(())
    }

    /// After a commit that failed or may have: the group's offsets say what counts.
    fn resume(&mut self, stop: &AtomicBool, step: &mut impl IntakeStep) -> Result<(), LogError> {
        if !self.out.fence_until(stop) {
            return Ok(());
        }
        let places: Vec<Place> = self.owned.keys().cloned().collect();
        let committed = self.member.committed(&places, Duration::from_secs(5))?;
        let bounds = Reader::bounds(self.client, &places, Duration::from_secs(15))?;
        for (place, (low, _)) in places.iter().zip(bounds) {
            let owned = self.owned.get_mut(place).expect("asked for owned places");
            owned.first = committed.get(place).copied().unwrap_or(owned.first).max(low);
            owned.acked = None;
        }
        self.reread(step)
    }

    /// New packs, new registry versions, new probes.
    fn news(&mut self, step: &mut impl IntakeStep) -> Result<(), LogError> {
        for message in self.packs_reader.batch(1_000, usize::MAX, Duration::ZERO)? {
            self.packs.take(&message)?;
        }
        self.map(step)?;
        let rows = self.registry_reader.batch(10_000, usize::MAX, Duration::ZERO)?;
        rows.iter().filter_map(registry_row).for_each(|row| step.registry(&row));
        let found = std::mem::take(&mut self.probing.lock().expect("no panic under this lock").found);
        for probe in found {
            for (place, end) in probe.ends {
                let Some(owned) = self.owned.get_mut(&place) else { continue };
                match end {
                    Some(end) => {
                        owned.failing = None;
                        // Bound of the queue: behind by more than a minute, every second probe does.
                        if owned.pending.len() >= 128 {
                            let mut even = false;
                            owned.pending.retain(|_| {
                                even = !even;
                                even
                            });
                        }
                        owned.pending.push_back((probe.asked, end));
                        let topic = place.0.strip_prefix(&self.client.name("")).unwrap_or(&place.0);
                        self.metrics.consumer_lag(topic, place.1, (end - owned.first).max(0));
                    }
                    None => {
                        owned.failing.get_or_insert(probe.asked);
                    }
                }
            }
        }
        self.advance();
        let stamp = self.stamp();
        for owned in self.owned.values() {
            self.metrics.source_blind(&owned.raw, u32::from(stamp.blind.contains(&owned.raw)));
        }
        Ok(())
    }

    /// Moves the marks: every probe whose end lies at or before the *committed* position is read through.
    fn advance(&mut self) {
        for owned in self.owned.values_mut() {
            while let Some((asked, end)) = owned.pending.front()
                && *end <= owned.first
            {
                owned.mark = owned.mark.max(Some(*asked));
                owned.pending.pop_front();
            }
        }
    }

    fn stamp(&self) -> Stamp {
        let wall = now_ms();
        let limit = Millis::try_from(self.options.blind_after.as_millis()).unwrap_or(Millis::MAX);
        let blind = |owned: &&Owned| owned.failing.is_some_and(|since| wall - since > limit);
        Stamp {
            wall,
            marks: self
                .owned
                .values()
                .filter(|o| !blind(o))
                .filter_map(|o| o.mark.map(|mark| (o.raw.clone(), mark)))
                .collect(),
            blind: self.owned.values().filter(blind).map(|o| o.raw.clone()).collect(),
        }
    }

    /// Positions that the group does not know yet; one of the others when there are none, since the group checks our
    /// generation by them. A city has hundreds of raw partitions, most of them silent: all of them in each commit cost the
    /// broker more than the records.
    fn moved(&self, positions: &BTreeMap<Place, i64>) -> BTreeMap<Place, i64> {
        let known = |place: &Place| self.owned.get(place).map(|owned| owned.first);
        let mut moved = positions.clone();
        moved.retain(|place, at| known(place) != Some(*at));
        if moved.is_empty() {
            moved.extend(positions.first_key_value().map(|(place, at)| (place.clone(), *at)));
        }
        moved
    }

    /// True when everything is committed; false when it has to be read again.
    fn commit(&mut self, commit: IntakeCommit, step: &mut impl IntakeStep) -> Result<bool, LogError> {
        let mut positions = self.reader.positions()?.clone();
        if !commit.positions.is_empty() {
            for (place, owned) in &self.owned {
                let held = commit.positions.get(&owned.raw).copied().unwrap_or(owned.first);
                positions.insert(place.clone(), held);
            }
        }
        let mut messages = Vec::with_capacity(commit.entries.len());
        for (partition, entry) in commit.entries {
            messages.push(entry_to(self.client, partition, entry));
        }
        for letter in &commit.dead_letters {
            messages.push(outgoing(self.client, &dead_letter_message(letter, self.client.deployment())));
        }
        for row in commit.registry {
            messages.push(Outgoing::keyed(self.client.name(REGISTRY), &row.key, row.value.into_bytes()));
        }
        let mut acks = BTreeSet::new();
        for (place, owned) in &self.owned {
            if owned.acked.as_ref() != Some(&self.mapped) {
                messages.push(packs::ack(self.client, &owned.raw, &self.mapped)?);
                acks.insert(place.clone());
            }
        }
        let list = offsets(&self.moved(&positions))?;
        let generation = self.member.generation()?;
        let watch = Stopwatch::start();
        match self.out.commit(&messages, Some((&list, &generation))) {
            Ok(()) => {
                self.metrics.commit("intake", CommitEnd::Confirmed, watch.seconds());
                count(self.metrics, &commit.seen, &commit.dead_letters);
                for (place, position) in positions {
                    if let Some(owned) = self.owned.get_mut(&place) {
                        owned.first = position;
                        if acks.contains(&place) {
                            owned.acked = Some(self.mapped.clone());
                        }
                    }
                }
                Ok(true)
            }
            Err(error @ LogError::Damaged { .. }) => Err(error),
            Err(error) => {
                let aborted = matches!(error, LogError::Retriable { .. });
                let end = if aborted { CommitEnd::Aborted } else { CommitEnd::Indefinite };
                self.metrics.commit("intake", end, watch.seconds());
                tracing::warn!(%error, "intake commit");
                self.doubtful = true;
                // Time for the group to say that partitions have gone.
                std::thread::sleep(Duration::from_millis(100));
                self.placed(step)?;
                Ok(false)
            }
        }
    }

    /// Whether every raw partition of the sources is ours and read to the end it had when reading began, or known to a
    /// step that reads by itself.
    fn at_ends(&mut self, step: &mut impl IntakeStep) -> Result<bool, LogError> {
        if !self.sources.keys().all(|topic| self.owned.keys().any(|(t, _)| t == topic)) {
            return Ok(false);
        }
        if self.ends.is_none() {
            let places: Vec<Place> = self.owned.keys().cloned().collect();
            let bounds = Reader::bounds(self.client, &places, Duration::from_secs(15))?;
            let ends: BTreeMap<Place, i64> = places.into_iter().zip(bounds.iter().map(|b| b.1)).collect();
            let range = |(place, owned): (&Place, &Owned)| RawRange {
                raw: owned.raw.clone(),
                place: place.clone(),
                first: owned.first,
                end: ends[place],
            };
            step.ranges(self.owned.iter().map(range).collect());
            self.ends = Some(ends);
        }
        if !step.reads() {
            return Ok(true);
        }
        let positions = self.reader.positions()?;
        Ok(self.ends.iter().flatten().all(|(place, end)| positions.get(place).is_some_and(|at| at >= end)))
    }
}

/// Tells the metrics what came in, once it is committed.
fn count(metrics: &Metrics, seen: &Seen, dead_letters: &[DeadLetter]) {
    for (kind, n) in &seen.records {
        metrics.records_in(kind, *n);
    }
    for (source, n) in &seen.bytes {
        metrics.intake_bytes(source, *n);
    }
    for (source, n) in &seen.unlisted {
        metrics.unlisted_fields(source, *n);
    }
    for (kind, n) in &seen.unknown_objects {
        metrics.marked(kind, Mark::ObjectUnknown, *n);
    }
    for letter in dead_letters {
        let fate = if letter.reason == "future" { Fate::Quarantined } else { Fate::DeadLettered };
        metrics.records(&letter.kind, fate, 1);
        metrics.dead_letters(&letter.source, &letter.reason, 1);
    }
}

fn registry_row(message: &RawMessage) -> Option<RegistryRow> {
    let key = String::from_utf8(message.key.clone()?).ok()?;
    let value = String::from_utf8(message.payload.clone()?).ok()?;
    Some(RegistryRow { key, value })
}

/// Asks for the ends of the wanted partitions again and again. On a thread of its own: a slow answer holds up marks,
/// not rows.
fn probe(client: &Client, every: Duration, probing: &Mutex<Probing>, over: &AtomicBool) {
    let asker = match client.reader("read_committed").create_with_context(Quiet) {
        Ok(asker) => asker,
        Err(error) => {
            tracing::error!(%error, "no prober: log time stands still");
            return;
        }
    };
    while !over.load(Ordering::Relaxed) {
        let watch = Stopwatch::start();
        let wanted = probing.lock().expect("no panic under this lock").wanted.clone();
        if !wanted.is_empty() {
            let asked = now_ms();
            let ends = ask(&asker, &wanted);
            let mut probing = probing.lock().expect("no panic under this lock");
            // 16: the intake looks every 100 ms; more gather only while a commit hangs, and the newest say all.
            if probing.found.len() >= 16 {
                probing.found.pop_front();
            }
            probing.found.push_back(Probe { asked, ends });
        }
        while watch.elapsed() < every && !over.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The ends that a committed reader can reach now, of all partitions with one request a broker.
pub(super) fn ask(asker: &BaseConsumer<Quiet>, wanted: &[Place]) -> BTreeMap<Place, Option<i64>> {
    let mut list = TopicPartitionList::with_capacity(wanted.len());
    for (topic, partition) in wanted {
        // Asked by "time" -1, which is the end.
        if let Err(error) = list.add_partition_offset(topic, *partition, Offset::End) {
            tracing::warn!(%error, topic, partition, "probe");
        }
    }
    let mut ends: BTreeMap<Place, Option<i64>> = wanted.iter().map(|place| (place.clone(), None)).collect();
    match asker.offsets_for_times(list, Duration::from_secs(5)) {
        Ok(found) => {
            for element in found.elements() {
                if let (Ok(()), Offset::Offset(end)) = (element.error(), element.offset()) {
                    ends.insert((element.topic().to_owned(), element.partition()), Some(end));
                }
            }
        }
        Err(error) => tracing::debug!(%error, "probe"),
    }
    ends
}
