//! Intake's rows through the log into the engines and out again, in one process without a broker.
//!
//! In: stamps and mapped rows, in merge order. Out: warnings, signals and values, in an order that does not depend on
//! the number of partitions. Promise: every row is in the log before the engine sees it.
//! Not here: reading messages (`input`), files of outcomes (`outcome_files`), taking up a log again (`resume`).

use super::judges::Judge;
use super::merge::ROUND;
use super::{Activate, Block, Clock, Committed, Entry, Frame, LogError, Stamp, Store, encode};
use crate::clock::Stopwatch;
use crate::engine::{Change, Engine, Fates, Outcomes, Program, ProgramError, Signal, Value};
use crate::intake::{MapError, Options, Router};
use crate::pack::Pack;
use crate::record::Millis;
use crate::response::Warning;
use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Why an embedded run could not go on.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// The pack does not compile.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// A source cannot be used.
    #[error(transparent)]
    Map(#[from] MapError),
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// What a commit brought about, sorted by (time, indicator, key).
#[derive(Debug, Default)]
pub struct Step {
    /// Changes of warnings with departments, plan and deadlines.
    pub warnings: Vec<Warning>,
    /// Bounds crossed or left.
    pub signals: Vec<Signal>,
    /// Indicator values.
    pub values: Vec<Value>,
    /// Log time behind the step's first entries.
    pub log_time: Option<Millis>,
}

impl Step {
    /// Adds what came later.
    pub fn extend(&mut self, later: Step) {
        self.warnings.extend(later.warnings);
        self.signals.extend(later.signals);
        self.values.extend(later.values);
        self.log_time = self.log_time.or(later.log_time);
    }
}

/// An embedded run.
pub struct Embedded {
    /// The pack in force, compiled.
    pub(super) judge: Judge,
    pub(super) clock: Clock,
    pub(super) router: Router,
    pub(super) engines: Vec<Engine>,
    pub(super) store: Store,
    /// Next position of each partition.
    pub(super) ends: Vec<u64>,
    /// Loop rows that wait for the end of their round (`clock: records`).
    pub(super) waiting: Vec<(u32, Block)>,
    /// The hour of log time that the round covers.
    pub(super) round: i64,
    /// The newest activation.
    pub(super) active: Activate,
    /// Rows whose object the registry does not know.
    pub unknown_objects: u64,
    /// Wall time spent in the engines so far, for metrics.
    pub engine_seconds: f64,
}

/// Loop blocks (of one row each) of a round in the order in which they enter: time, indicator, key.
pub(super) fn sort_loops(waiting: &mut [(u32, Block)]) {
    waiting.sort_by_cached_key(|(partition, block)| {
        let at = block.rows.column_by_name("occurred_at");
        let at = at.and_then(|c| arrow::compute::cast(c, &arrow::datatypes::DataType::Int64).ok());
        let at = at.and_then(|c| c.as_primitive_opt::<Int64Type>().map(|c| c.value(0)));
        let text = |name: &str| {
            let column = block.rows.column_by_name(name).and_then(|c| c.as_string_opt::<i32>());
            column.map_or_else(String::new, |c| c.value(0).to_owned())
        };
        (at, text("indicator"), text("signal_key"), text(Block::KEY), *partition)
    });
}

impl Embedded {
    /// A run at the beginning of an empty log.
    ///
    /// # Errors
    /// When the pack does not compile or the log cannot be written.
    pub fn new(pack: Arc<Pack>, options: &Options, raw: Vec<String>, store: Store) -> Result<Embedded, EmbeddedError> {
        let program = Arc::new(Program::new(&pack)?);
        Embedded::with_program(pack, program, options, raw, store)
    }

    /// The same with the pack compiled already: many runs may share one program.
    ///
    /// # Errors
    /// When a source cannot be used or the log cannot be written.
    pub fn with_program(
        pack: Arc<Pack>,
        program: Arc<Program>,
        options: &Options,
        raw: Vec<String>,
        store: Store,
    ) -> Result<Embedded, EmbeddedError> {
        let mut run = Embedded::over(Judge::new(pack, program), options, store)?;
        run.activate(raw, Committed::default())?;
        Ok(run)
    }

    /// A run whose log has no pack entry yet, or that has to be applied.
    pub(super) fn over(judge: Judge, options: &Options, store: Store) -> Result<Embedded, EmbeddedError> {
        let partitions = options.partitions.max(1);
        let engines = (0..partitions).map(|p| Engine::new(judge.program.clone(), p, partitions)).collect();
        Ok(Embedded {
            clock: options.clock,
            router: Router::new(judge.pack.clone(), options)?,
            engines,
            store,
            ends: vec![0; partitions as usize],
            waiting: Vec::new(),
            round: i64::MIN,
            active: Activate { version: 0, hash: String::new(), clock: options.clock, raw: Vec::new() },
            unknown_objects: 0,
            engine_seconds: 0.0,
            judge,
        })
    }

    /// The pack and the raw partitions count from here on.
    pub(super) fn activate(&mut self, raw: Vec<String>, record: Committed) -> Result<Step, EmbeddedError> {
        let hash = self.judge.pack.hash.clone();
        self.active = Activate { version: self.active.version + 1, hash, clock: self.clock, raw };
        for engine in self.engines.iter_mut().filter(|e| *e.pack() != *self.judge.program.hash) {
            engine.change_pack(self.judge.program.clone());
        }
        let entries = (0..self.engines.len()).map(|p| (p as u32, Entry::Pack(self.active.clone()))).collect();
        self.append(entries, record)
    }

    /// Appends rows behind a stamp, judges them, and gives what came about.
    ///
    /// - `rows`: source and rows, in log order
    /// - `positions`: next offset per raw partition, kept with the commit
    ///
    /// # Errors
    /// When the log cannot be written.
    pub fn commit(
        &mut self,
        stamp: &Stamp,
        rows: &[(Arc<str>, RecordBatch)],
        positions: &BTreeMap<String, i64>,
    ) -> Result<Step, EmbeddedError> {
        self.commit_record(stamp, rows, Committed { positions: positions.clone(), ..Committed::default() })
    }

    /// The same with all that the commit says beside its rows.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub fn commit_record(
        &mut self,
        stamp: &Stamp,
        rows: &[(Arc<str>, RecordBatch)],
        mut record: Committed,
    ) -> Result<Step, EmbeddedError> {
        let mut step = Step::default();
        let hour = stamp.marks.values().min().map(|m| m.div_euclid(ROUND));
        if let Some(hour) = hour.filter(|h| self.clock == Clock::Records && *h > self.round) {
            if !self.waiting.is_empty() {
                step.extend(self.enter_loops(Some(hour))?);
            }
            self.round = hour;
            record.round = Some(hour);
        }
        let mut blocks: Vec<Vec<Block>> = vec![Vec::new(); self.engines.len()];
        let routed = self.router.route_runs(rows);
        self.unknown_objects += routed.unknown_objects.values().sum::<u64>();
        for (partition, block) in routed.blocks {
            if let Some(blocks) = blocks.get_mut(partition as usize) {
                blocks.push(block);
            }
        }
        let pack: Arc<str> = self.judge.pack.hash.as_str().into();
        let entries = blocks.into_iter().enumerate().map(|(p, blocks)| {
            let entry = if blocks.is_empty() {
                Entry::Tick(stamp.clone())
            } else {
                Entry::Rows(Frame { stamp: Some(stamp.clone()), pack: pack.clone(), blocks })
            };
            (p as u32, entry)
        });
        step.extend(self.append(entries.collect(), record)?);
        if self.clock == Clock::Wall {
            step.extend(self.drain()?);
        }
        Ok(step)
    }

    /// The input has ended: loop records that still wait enter, until none is left.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub fn finish(&mut self) -> Result<Step, EmbeddedError> {
        let step = self.drain()?;
        self.store.sync()?;
        Ok(step)
    }

    /// Loop records enter until none waits.
    pub(super) fn drain(&mut self) -> Result<Step, EmbeddedError> {
        let mut step = Step::default();
        while !self.waiting.is_empty() {
            step.extend(self.enter_loops(None)?);
        }
        Ok(step)
    }

    /// Loop records enter the log. `round`: the round that begins with them, so that a restart knows that they did.
    fn enter_loops(&mut self, round: Option<i64>) -> Result<Step, EmbeddedError> {
        let entries = self.loops();
        self.append(entries, Committed { round, ..Committed::default() })
    }

    /// The loop records that wait, as entries, sorted by (time, indicator, key).
    pub(super) fn loops(&mut self) -> Vec<(u32, Entry)> {
        let mut waiting = std::mem::take(&mut self.waiting);
        sort_loops(&mut waiting);
        let pack: Arc<str> = self.judge.pack.hash.as_str().into();
        let mut by_partition: BTreeMap<u32, Vec<Block>> = BTreeMap::new();
        for (partition, block) in waiting {
            by_partition.entry(partition).or_default().push(block);
        }
        let entries = by_partition
            .into_iter()
            .map(|(partition, blocks)| (partition, Entry::Loop(Frame { stamp: None, pack: pack.clone(), blocks })));
        entries.collect()
    }

    /// Entries enter the log as one commit, then the engines.
    fn append(&mut self, entries: Vec<(u32, Entry)>, record: Committed) -> Result<Step, EmbeddedError> {
        let encoded: Vec<(u32, Vec<u8>)> = entries.iter().map(|(p, e)| (*p, encode(e))).collect();
        self.store.commit(&encoded, record)?;
        let outcomes = entries.iter().map(|(p, e)| self.apply(*p, e)).collect();
        Ok(self.step(outcomes))
    }

    pub(super) fn apply(&mut self, partition: u32, entry: &Entry) -> Outcomes {
        let Some(engine) = self.engines.get_mut(partition as usize) else { return Outcomes::default() };
        let end = &mut self.ends[partition as usize];
        let watch = Stopwatch::start();
        let outcomes = engine.apply(entry, *end);
        self.engine_seconds += watch.seconds();
        *end += 1;
        outcomes
    }

    pub(super) fn step(&mut self, outcomes: Vec<Outcomes>) -> Step {
        let mut changes: Vec<Change> = Vec::new();
        let mut step = Step { log_time: self.log_time(), ..Step::default() };
        for mut o in outcomes {
            changes.append(&mut o.changes);
            step.signals.append(&mut o.signals);
            step.values.append(&mut o.values);
            for (partition, blocks) in o.loops {
                self.waiting.extend(blocks.into_iter().map(|b| (partition, b)));
            }
        }
        changes.sort_by(|a, b| {
            (a.at, &a.indicator, &a.key, &a.warning_id, a.number).cmp(&(
                b.at,
                &b.indicator,
                &b.key,
                &b.warning_id,
                b.number,
            ))
        });
        step.signals.sort_by(|a, b| (a.at, &a.indicator, &a.key).cmp(&(b.at, &b.indicator, &b.key)));
        step.values.sort_by(|a, b| (a.window_end, &a.indicator, &a.key).cmp(&(b.window_end, &b.indicator, &b.key)));
        step.warnings = changes.iter().map(|c| self.judge.responder.respond(c)).collect();
        step
    }

    /// What became of the records, by kind, over all partitions.
    #[must_use]
    pub fn fates(&self) -> BTreeMap<String, Fates> {
        let mut all: BTreeMap<String, Fates> = BTreeMap::new();
        for (kind, fates) in self.engines.iter().flat_map(Engine::fates) {
            all.entry(kind.clone()).or_default().add(fates);
        }
        all
    }

    /// Sets how many bytes the state of each partition may take; see [`Engine::set_budget`].
    pub fn set_budget(&mut self, bytes: usize) {
        self.engines.iter_mut().for_each(|engine| engine.set_budget(bytes));
    }

    /// The engines, for metrics.
    #[must_use]
    pub fn engines(&self) -> &[Engine] {
        &self.engines
    }

    /// The least log time over the partitions.
    #[must_use]
    pub fn log_time(&self) -> Option<Millis> {
        self.engines.iter().map(Engine::log_time).min().flatten()
    }

    /// The log.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The pack in force.
    #[must_use]
    pub fn pack(&self) -> &Arc<Pack> {
        &self.judge.pack
    }
}
