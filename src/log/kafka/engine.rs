//! The engine side: one worker a log partition, from restore to commit.
//!
//! A worker reads with a reader of its own and commits with a transactional id of its partition, so that its commits
//! never depend on who else works here. The group only says which partitions are ours.

use super::super::{EngineCommit, LogError, Message};
use super::client::Client;
use super::ending::told;
use super::member::{Change, Member};
use super::progress::{CommitRecord, read_progress};
use super::reader::{Place, RawMessage, Reader, index, offsets, retriable};
use super::transaction::{Outgoing, Transactional};
use super::{LOG, PROGRESS};
use crate::clock::Stopwatch;
use crate::metrics::{CommitEnd, Metrics};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

/// What is made of one log partition. Lives on the thread of its worker.
pub trait Step {
    /// Loads the newest state that stands at or before the record (all of nothing without one) and says where to read
    /// on. What lies between there and the record is applied again and its outcomes are thrown away.
    ///
    /// # Errors
    /// What cannot be read; the worker stops the program.
    fn restore(&mut self, record: Option<&CommitRecord>) -> Result<u64, LogError>;

    /// The log begins at `low`, and no state reaches back to it: begins there without any, under the record's pack.
    /// Only when the operator accepts it.
    ///
    /// # Errors
    /// When the pack cannot be had.
    fn begin_at(&mut self, low: u64, record: Option<&CommitRecord>) -> Result<(), LogError>;

    /// What lies before the record has been applied again: from here on outcomes are new.
    fn live(&mut self, record: Option<&CommitRecord>);

    /// Applies one entry.
    ///
    /// # Errors
    /// Bytes that are no entry; the worker stops the program.
    fn apply(&mut self, entry: &[u8], position: u64) -> Result<(), LogError>;

    /// Everything since the last call, up to `next`.
    fn take(&mut self, next: u64) -> EngineCommit;

    /// What was taken up to `next` is committed: a snapshot of this moment is safe.
    ///
    /// # Errors
    /// What stops the program; a snapshot that could not be written is none.
    fn confirmed(&mut self, next: u64) -> Result<(), LogError> {
        let _ = next;
        Ok(())
    }
}

/// How a run over Kafka reads and commits.
#[derive(Clone, Copy, Debug)]
pub struct EngineOptions {
    /// Shortest time between two commits of a partition.
    pub commit_interval: Duration,
    /// Entries applied before a commit at most.
    pub entries_max: usize,
    /// Bytes applied before a commit at most.
    pub bytes_max: usize,
    /// Start although the log no longer reaches back to the state.
    pub accept_lost_state: bool,
}

impl Default for EngineOptions {
    fn default() -> EngineOptions {
        EngineOptions {
            commit_interval: Duration::from_millis(50),
            entries_max: 2_000,
            bytes_max: 8 * 1024 * 1024,
            accept_lost_state: false,
        }
    }
}

/// A worker as others see it.
#[derive(Default)]
struct Worker {
    stop: AtomicBool,
    done: AtomicBool,
}

type Workers = Arc<Mutex<BTreeMap<i32, Arc<Worker>>>>;

/// Works on the log partitions that the group gives this instance until `stop` is set. `make` is called on the
/// worker's thread, once each time a partition comes.
///
/// # Errors
/// [`LogError::Fenced`] when another instance has taken the slot, what a step could not read, and
/// [`LogError::Bug`] when one panicked.
pub fn run_engine<S: Step>(
    client: &Client,
    options: EngineOptions,
    metrics: &Metrics,
    stop: &AtomicBool,
    make: impl Fn(u32) -> S + Sync,
) -> Result<(), LogError> {
    let mut begun = false;
    while !stop.load(Ordering::Relaxed) {
        let workers = Workers::default();
        let releasing = Arc::clone(&workers);
        let release = move |places: &[Place]| release(&releasing, places.iter().map(|(_, partition)| *partition));
        let member = match Member::join(client, "forewarn-engine", &[client.name(LOG)], Box::new(release)) {
            Ok(member) => member,
            // A broker that answered before comes back; one that never did is told at once.
            Err(error @ LogError::Retriable { .. }) if begun => {
                tracing::warn!(%error, "joining again");
                std::thread::sleep(Duration::from_millis(300));
                continue;
            }
            Err(error) => return Err(error),
        };
        begun = true;
        let run = Run { client, member, options, metrics };
        match serve(&run, &workers, stop, &make) {
            // Our own place in the group, when a broker died between our request and its answer. If it is another
            // instance, joining again is refused.
            Err(LogError::Fenced { what }) => tracing::warn!(what, "joining again"),
            ended => return ended,
        }
    }
    Ok(())
}

/// One membership from its beginning to its end.
fn serve<S: Step>(
    run: &Run<'_>,
    workers: &Workers,
    stop: &AtomicBool,
    make: &(impl Fn(u32) -> S + Sync),
) -> Result<(), LogError> {
    let (ended, ends) = mpsc::channel::<(i32, Result<(), LogError>)>();
    std::thread::scope(|scope| {
        let start = |partition: i32| {
            let worker = Arc::new(Worker::default());
            workers.lock().expect("no panic under this lock").insert(partition, Arc::clone(&worker));
            let ended = ended.clone();
            scope.spawn(move || {
                let number = u32::try_from(partition).expect("partitions are not negative");
                let at = AtomicI64::new(0);
                let place = || format!("{LOG}/{partition}@{}", at.load(Ordering::Relaxed));
                let result = told(place, || run.work(number, &at, &worker.stop, &mut make(number)));
                worker.done.store(true, Ordering::Release);
                if let Err(gone) = ended.send((partition, result)) {
                    tracing::debug!(partition = gone.0.0, "ended after the run");
                }
            });
        };
        let result = loop {
            if stop.load(Ordering::Relaxed) {
                break Ok(());
            }
            match run.member.poll(Duration::from_millis(50)) {
                Ok(changes) => {
                    for change in changes {
                        match change {
                            Change::Assigned(places) => places.iter().for_each(|(_, partition)| start(*partition)),
                            Change::Revoked(places) => {
                                let mut workers = workers.lock().expect("no panic under this lock");
                                workers.retain(|partition, _| !places.iter().any(|(_, gone)| gone == partition));
                            }
                        }
                    }
                }
                Err(error) => break Err(error),
            }
            if let Ok((partition, result)) = ends.try_recv() {
                let running = workers.lock().expect("no panic under this lock").get(&partition).cloned();
                let ours = running.is_some_and(|w| w.done.load(Ordering::Acquire) && !w.stop.load(Ordering::Relaxed));
                match result {
                    // Fenced while the partition is ours: a zombie was here, or our own pause was too long.
                    Err(LogError::Fenced { what } | LogError::Retriable { what } | LogError::Indefinite { what })
                        if ours =>
                    {
                        tracing::warn!(partition, what, "starting the partition again");
                        start(partition);
                    }
                    Err(error) if ours => break Err(error),
                    Err(error) => tracing::warn!(partition, %error, "ended while the partition went"),
                    Ok(()) => {}
                }
            }
        };
        let all: Vec<i32> = workers.lock().expect("no panic under this lock").keys().copied().collect();
        release(workers, all.into_iter());
        result
    })
}

/// Tells workers to stop and waits for them a little: a commit under way may end. Longer is not needed, the next owner
/// fences what is left.
fn release(workers: &Workers, partitions: impl Iterator<Item = i32>) {
    let leaving: Vec<Arc<Worker>> = {
        let workers = workers.lock().expect("no panic under this lock");
        partitions.filter_map(|partition| workers.get(&partition).cloned()).collect()
    };
    for worker in &leaving {
        worker.stop.store(true, Ordering::Relaxed);
    }
    let watch = Stopwatch::start();
    while watch.elapsed() < Duration::from_secs(2) && !leaving.iter().all(|w| w.done.load(Ordering::Acquire)) {
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// What the workers of a run share.
struct Run<'a> {
    client: &'a Client,
    member: Member,
    options: EngineOptions,
    metrics: &'a Metrics,
}

impl Run<'_> {
    /// One partition from its takeover to its end. `at` follows the entry that is being applied.
    fn work(&self, partition: u32, at: &AtomicI64, stop: &AtomicBool, step: &mut impl Step) -> Result<(), LogError> {
        let (client, options) = (self.client, self.options);
        let watch = Stopwatch::start();
        let place: Place = (client.name(LOG), index(partition));
        let mut out = Transactional::new(client, format!("forewarn-engine-{partition}"));
        if !out.fence_until(stop) {
            return Ok(());
        }
        let record = read_progress(client, partition)?;
        compare_group(&self.member, &place, record.as_ref());
        let mut start = step.restore(record.as_ref())?;
        let bounds = Reader::bounds(client, std::slice::from_ref(&place), Duration::from_secs(15))?;
        let (low, end) = bounds.first().map_or((0, 0), |(low, end)| (unsigned(*low), unsigned(*end)));
        let cut = start < low;
        if cut {
            if !options.accept_lost_state {
                return Err(LogError::Damaged {
                    place: format!("{}/{partition}", place.0),
                    what: format!(
                        "the log begins at {low}, the newest usable snapshot ends at {start}: what lies between is \
                         lost; --accept-lost-state starts all the same"
                    ),
                });
            }
            tracing::error!(
                partition,
                low,
                state = start,
                "starting without the state of what the log no longer holds"
            );
            start = low;
            step.begin_at(low, record.as_ref())?;
        }
        let mut committed = record.as_ref().map_or(0, |r| r.next).max(start);
        if committed > end {
            let what = format!("the commit record says {committed}, the log ends at {end}: it was made anew");
            return Err(LogError::Damaged { place: format!("{}/{partition}", place.0), what });
        }
        let mut reader = Reader::new(client)?;
        reader.assign(BTreeMap::from([(place.clone(), signed(start))]))?;
        let mut ahead = VecDeque::new();
        if let Some(record) = &record
            && !self.replay(&mut reader, &place, record, !cut, at, stop, step, &mut ahead)?
        {
            return Ok(());
        }
        step.live(record.as_ref());
        let ms = watch.elapsed().as_millis();
        tracing::info!(partition, from = start, to = committed, ms, "partition taken over");

        let mut since = Stopwatch::start();
        loop {
            let (mut entries, mut bytes) = (0, 0);
            loop {
                if stop.load(Ordering::Relaxed) {
                    return Ok(());
                }
                let batch = match ahead.is_empty() {
                    true => reader.batch(options.entries_max, options.bytes_max, Duration::from_millis(20))?,
                    false => ahead.drain(..).collect(),
                };
                for message in &batch {
                    entries += 1;
                    bytes += message.payload.as_ref().map_or(0, Vec::len);
                    apply(step, message, at)?;
                }
                if entries >= options.entries_max
                    || bytes >= options.bytes_max
                    || since.elapsed() >= options.commit_interval
                {
                    break;
                }
            }
            let next = unsigned(reader.positions()?[&place]);
            if next <= committed {
                continue;
            }
            let commit = step.take(next);
            if !self.confirm(&mut out, &place, &commit, committed, stop)? {
                return Ok(());
            }
            committed = next;
            since.lap();
            step.confirmed(next)?;
        }
    }

    /// Applies what is committed already, with its outcomes thrown away; of a `whole` log they are compared with the
    /// record's. What was read beyond goes to `ahead`.
    #[expect(clippy::too_many_arguments, reason = "the parts of a takeover, each used once")]
    fn replay(
        &self,
        reader: &mut Reader,
        place: &Place,
        record: &CommitRecord,
        whole: bool,
        at: &AtomicI64,
        stop: &AtomicBool,
        step: &mut impl Step,
        ahead: &mut VecDeque<RawMessage>,
    ) -> Result<bool, LogError> {
        let (entries, bytes) = (self.options.entries_max, self.options.bytes_max);
        let mut reached = None;
        while ahead.is_empty() && unsigned(reader.positions()?[place]) < record.next {
            if stop.load(Ordering::Relaxed) {
                return Ok(false);
            }
            for message in reader.batch(entries, bytes, Duration::from_millis(20))? {
                if unsigned(message.offset) < record.next {
                    apply(step, &message, at)?;
                } else {
                    ahead.push_back(message);
                }
            }
            reached = Some(step.take(record.next));
        }
        if let Some(commit) = reached.filter(|_| whole)
            && (commit.outcomes, &commit.outcomes_hash) != (record.outcomes, &record.outcomes_hash)
        {
            // Another program or machine made other outcomes of the same log: somebody must know, the warnings sent
            // stand.
            tracing::error!(
                partition = record.partition,
                expected = record.outcomes_hash,
                found = commit.outcomes_hash,
                by = record.engine,
                "the replayed outcomes differ from the committed ones"
            );
        }
        Ok(true)
    }

    /// Sends the outputs until they are known to be committed, exactly once; false when `stop` came first.
    fn confirm(
        &self,
        out: &mut Transactional,
        place: &Place,
        commit: &EngineCommit,
        committed: u64,
        stop: &AtomicBool,
    ) -> Result<bool, LogError> {
        let client = self.client;
        let messages = all(client, commit)?;
        let position = offsets(&BTreeMap::from([(place.clone(), signed(commit.next))]))?;
        loop {
            let watch = Stopwatch::start();
            let generation = self.member.generation()?;
            let error = match out.commit(&messages, Some((&position, &generation))) {
                Ok(()) => {
                    self.committed(commit, watch.seconds());
                    return Ok(true);
                }
                Err(error @ LogError::Damaged { .. }) => return Err(error),
                Err(error) => error,
            };
            let aborted = matches!(error, LogError::Retriable { .. });
            let end = if aborted { CommitEnd::Aborted } else { CommitEnd::Indefinite };
            self.metrics.commit("engine", end, watch.seconds());
            if stop.load(Ordering::Relaxed) {
                return Ok(false);
            }
            tracing::warn!(partition = commit.partition, %error, "commit");
            // Time for the group to say that the partition has gone, before we fence its new owner.
            std::thread::sleep(Duration::from_millis(100));
            if aborted {
                continue;
            }
            let record = loop {
                if !out.fence_until(stop) {
                    return Ok(false);
                }
                match read_progress(client, commit.partition) {
                    Ok(record) => break record,
                    Err(error @ LogError::Damaged { .. }) => return Err(error),
                    Err(error) => tracing::warn!(partition = commit.partition, %error, "commit record"),
                }
            };
            let stands = record.as_ref().map_or(0, |record| record.next);
            tracing::info!(partition = commit.partition, stands, wanted = commit.next, "doubtful commit resolved");
            if record.as_ref() == Some(&CommitRecord::of(commit)) {
                self.committed(commit, watch.seconds());
                return Ok(true);
            }
            if record.is_some() && stands != committed {
                return Err(LogError::Fenced {
                    what: format!("partition {} stands at {stands}, committed by another", commit.partition),
                });
            }
        }
    }

    fn committed(&self, commit: &EngineCommit, seconds: f64) {
        self.metrics.commit("engine", CommitEnd::Confirmed, seconds);
        let mut topics: BTreeMap<&str, u64> = BTreeMap::new();
        for message in &commit.messages {
            *topics.entry(&message.topic).or_default() += 1;
        }
        for (topic, messages) in topics {
            self.metrics.messages(topic, messages);
        }
    }
}

fn apply(step: &mut impl Step, message: &RawMessage, at: &AtomicI64) -> Result<(), LogError> {
    at.store(message.offset, Ordering::Relaxed);
    match &message.payload {
        Some(entry) => step.apply(entry, unsigned(message.offset)),
        None => Err(LogError::Damaged {
            place: format!("{}@{}", message.raw, message.offset),
            what: "an entry without bytes".to_owned(),
        }),
    }
}

fn all(client: &Client, commit: &EngineCommit) -> Result<Vec<Outgoing>, LogError> {
    let mut messages = Vec::with_capacity(commit.messages.len() + commit.loops.len() + 1);
    messages.extend(commit.messages.iter().map(|message| outgoing(client, message)));
    for (partition, entry) in &commit.loops {
        messages.push(entry_to(client, *partition, entry.clone()));
    }
    let record = serde_json::to_vec(&CommitRecord::of(commit)).map_err(|e| retriable("commit record", e))?;
    let mut record = Outgoing::keyed(client.name(PROGRESS), &commit.partition.to_string(), record);
    record.partition = Some(index(commit.partition));
    messages.push(record);
    Ok(messages)
}

/// A rendered message for the cluster.
pub(super) fn outgoing(client: &Client, message: &Message) -> Outgoing {
    Outgoing {
        topic: client.name(&message.topic),
        partition: None,
        key: message.key.clone().map(String::into_bytes),
        headers: message.headers.clone(),
        payload: message.value.clone().map(String::into_bytes),
    }
}

/// An entry for a partition of the log.
pub(super) fn entry_to(client: &Client, partition: u32, entry: Vec<u8>) -> Outgoing {
    Outgoing {
        topic: client.name(LOG),
        partition: Some(index(partition)),
        key: None,
        headers: Vec::new(),
        payload: Some(entry),
    }
}

/// The group's offset and the record are written together; a difference means that somebody else wrote one of them.
fn compare_group(member: &Member, place: &Place, record: Option<&CommitRecord>) {
    let stands = record.map_or(0, |r| r.next);
    match member.committed(std::slice::from_ref(place), Duration::from_secs(5)) {
        Ok(offsets) => match offsets.get(place) {
            Some(offset) if unsigned(*offset) != stands => {
                tracing::error!(topic = place.0, partition = place.1, offset, stands, "group offset and commit record");
            }
            _ => {}
        },
        Err(error) => tracing::warn!(%error, "the group offset could not be compared"),
    }
}

fn unsigned(offset: i64) -> u64 {
    u64::try_from(offset).unwrap_or(0)
}

fn signed(position: u64) -> i64 {
    i64::try_from(position).expect("offsets are far below 2^63")
}
