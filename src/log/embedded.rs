//! Intake's rows through the log into the engines and out again, in one process without a broker.
//!
//! In: stamps and mapped rows, in merge order. Out: warnings, signals and values, in an order that does not depend on
//! the number of partitions. Promise: every row is in the log before the engine sees it.
//! Not here: reading messages (`input`), files of outcomes (`outcome_files`).

use super::merge::ROUND;
use super::{Activate, Block, Clock, Committed, Entry, Frame, LogError, Stamp, Store, decode, encode};
use crate::clock::Stopwatch;
use crate::engine::{Change, Engine, Fates, Outcomes, Program, ProgramError, Signal, Value};
use crate::intake::{MapError, Options, Router};
use crate::pack::Pack;
use crate::record::Millis;
use crate::response::{Responder, Warning};
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
}

impl Step {
    /// Adds what came later.
    pub fn extend(&mut self, later: Step) {
        self.warnings.extend(later.warnings);
        self.signals.extend(later.signals);
        self.values.extend(later.values);
    }
}

/// An embedded run.
pub struct Embedded {
    pack: Arc<Pack>,
    clock: Clock,
    router: Router,
    engines: Vec<Engine>,
    responder: Responder,
    store: Store,
    /// Next position of each partition.
    ends: Vec<u64>,
    positions: BTreeMap<String, i64>,
    /// Loop rows that wait for the end of their round (`clock: records`).
    waiting: Vec<(u32, Block)>,
    /// The hour of log time that the round covers.
    round: i64,
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
        let partitions = options.partitions.max(1);
        let engines = (0..partitions).map(|p| Engine::new(program.clone(), p, partitions)).collect();
        let mut run = Embedded {
            clock: options.clock,
            router: Router::new(pack.clone(), options)?,
            engines,
            responder: Responder::new(&pack),
            store,
            ends: vec![0; partitions as usize],
            positions: BTreeMap::new(),
            waiting: Vec::new(),
            round: i64::MIN,
            unknown_objects: 0,
            engine_seconds: 0.0,
            pack,
        };
        let activate = Activate { version: 1, hash: run.pack.hash.clone(), clock: options.clock, raw };
        let entries = (0..partitions).map(|p| (p, Entry::Pack(activate.clone()))).collect();
        run.append(entries)?;
        Ok(run)
    }

    /// Takes up the log that a store holds already: every entry is applied again. `muted` outcomes were committed
    /// before; what the rest brings about is returned.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn resume(&mut self, mut each: impl FnMut(u64, Step)) -> Result<(), EmbeddedError> {
        let mut entries = Vec::new();
        self.store.read(|partition, bytes| entries.push((partition, bytes.to_vec())))?;
        for (number, (partition, bytes)) in entries.into_iter().enumerate().skip(self.engines.len()) {
            let entry = decode(&bytes)?;
            let outcomes = self.apply(partition, &entry);
            let step = self.step(vec![outcomes]);
            each(number as u64, step);
        }
        Ok(())
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
        let mut step = Step::default();
        let hour = stamp.marks.values().min().map(|m| m.div_euclid(ROUND));
        if let Some(hour) = hour.filter(|h| *h > self.round) {
            step.extend(self.end_round()?);
            self.round = hour;
        }
        let mut blocks: Vec<Vec<Block>> = vec![Vec::new(); self.engines.len()];
        let routed = self.router.route_runs(rows);
        self.unknown_objects += routed.unknown_objects;
        for (partition, block) in routed.blocks {
            if let Some(blocks) = blocks.get_mut(partition as usize) {
                blocks.push(block);
            }
        }
        self.positions.extend(positions.iter().map(|(raw, at)| (raw.clone(), *at)));
        let pack: Arc<str> = self.pack.hash.as_str().into();
        let entries = blocks.into_iter().enumerate().map(|(p, blocks)| {
            let entry = if blocks.is_empty() {
                Entry::Tick(stamp.clone())
            } else {
                Entry::Rows(Frame { stamp: Some(stamp.clone()), pack: pack.clone(), blocks })
            };
            (p as u32, entry)
        });
        step.extend(self.append(entries.collect())?);
        if self.clock == Clock::Wall {
            while !self.waiting.is_empty() {
                step.extend(self.enter_loops()?);
            }
        }
        Ok(step)
    }

    /// The input has ended: loop records that still wait enter, until none is left.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub fn finish(&mut self) -> Result<Step, EmbeddedError> {
        let mut step = Step::default();
        while !self.waiting.is_empty() {
            step.extend(self.enter_loops()?);
        }
        self.store.sync()?;
        Ok(step)
    }

    fn end_round(&mut self) -> Result<Step, EmbeddedError> {
        if self.waiting.is_empty() { Ok(Step::default()) } else { self.enter_loops() }
    }

    /// Loop records enter the log, sorted by (time, indicator, key).
    fn enter_loops(&mut self) -> Result<Step, EmbeddedError> {
        let mut waiting = std::mem::take(&mut self.waiting);
        sort_loops(&mut waiting);
        let pack: Arc<str> = self.pack.hash.as_str().into();
        let mut by_partition: BTreeMap<u32, Vec<Block>> = BTreeMap::new();
        for (partition, block) in waiting {
            by_partition.entry(partition).or_default().push(block);
        }
        let entries = by_partition
            .into_iter()
            .map(|(partition, blocks)| (partition, Entry::Loop(Frame { stamp: None, pack: pack.clone(), blocks })));
        self.append(entries.collect())
    }

    /// Entries enter the log as one commit, then the engines.
    fn append(&mut self, entries: Vec<(u32, Entry)>) -> Result<Step, EmbeddedError> {
        let encoded: Vec<(u32, Vec<u8>)> = entries.iter().map(|(p, e)| (*p, encode(e))).collect();
        self.store.commit(&encoded, Committed { positions: self.positions.clone() })?;
        let outcomes = entries.iter().map(|(p, e)| self.apply(*p, e)).collect();
        Ok(self.step(outcomes))
    }

    fn apply(&mut self, partition: u32, entry: &Entry) -> Outcomes {
        let Some(engine) = self.engines.get_mut(partition as usize) else { return Outcomes::default() };
        let end = &mut self.ends[partition as usize];
        let watch = Stopwatch::start();
        let outcomes = engine.apply(entry, *end);
        self.engine_seconds += watch.seconds();
        *end += 1;
        outcomes
    }

    fn step(&mut self, outcomes: Vec<Outcomes>) -> Step {
        let mut changes: Vec<Change> = Vec::new();
        let mut step = Step::default();
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
        step.warnings = changes.iter().map(|c| self.responder.respond(c)).collect();
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
        &self.pack
    }
}
