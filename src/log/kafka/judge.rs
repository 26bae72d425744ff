//! The entries of one log partition under the packs that they put in force.
//!
//! In: entries in order, packs by their hash. Out: outcomes. Drives the engine of a run, and `explain` over the same log.
//! With `clock: records` loop entries wait until a tick without marks says that the round is over: then they are
//! applied as one, sorted by (time, indicator, key), as in an embedded run.

use super::super::{Block, Clock, Entry, Frame, LogError, sort_loops};
use super::client::Client;
use super::packs::read_packs;
use crate::engine::{Engine, Outcomes, Program};
use crate::pack::Pack;
use crate::response::Responder;
use std::sync::Arc;

/// A pack ready for use.
#[derive(Clone)]
pub(super) struct Ready {
    pub(super) pack: Arc<Pack>,
    pub(super) program: Arc<Program>,
}

impl Ready {
    /// Fetches a pack's body from the cluster and compiles it.
    ///
    /// # Errors
    /// When it was never published, or this build does not accept it.
    pub(super) fn fetch(client: &Client, hash: &str) -> Result<Ready, LogError> {
        let damaged = |what: String| LogError::Damaged { place: format!("pack {hash}"), what };
        let body = read_packs(client)?.body(hash)?;
        let pack = Pack::read_logged(body).map_err(|findings| damaged(format!("{} findings", findings.len())))?;
        let program = Program::new(&pack).map_err(|e| damaged(e.to_string()))?;
        Ok(Ready { pack: Arc::new(pack), program: Arc::new(program) })
    }
}

/// What counts from one pack entry to the next.
pub(super) struct InForce {
    pub(super) engine: Engine,
    pub(super) responder: Responder,
    pub(super) pack: Arc<Pack>,
    pub(super) version: u64,
    pub(super) clock: Clock,
}

/// One log partition being judged.
pub(super) struct Judge {
    partition: u32,
    partitions: u32,
    /// Bytes of state beyond which indicators in trial take no new keys.
    budget: usize,
    /// `None` before the first pack counts.
    pub(super) now: Option<InForce>,
    /// Loop blocks that wait for the end of their round (`clock: records`).
    held: Vec<(u32, Block)>,
}

impl Judge {
    /// At the beginning of the log.
    pub(super) fn new(partition: u32, partitions: u32, budget: usize) -> Judge {
        Judge { partition, partitions, budget, now: None, held: Vec::new() }
    }

    /// As a snapshot says.
    ///
    /// # Errors
    /// When the state is of another build or pack.
    pub(super) fn restore(
        &mut self,
        ready: Ready,
        state: &[u8],
        version: u64,
        clock: Clock,
    ) -> Result<(), crate::engine::SnapshotError> {
        let mut engine = Engine::restore(ready.program, state, self.partition, self.partitions)?;
        engine.set_budget(self.budget);
        let responder = Responder::new(&ready.pack);
        self.now = Some(InForce { engine, responder, pack: ready.pack, version, clock });
        Ok(())
    }

    /// Whether a snapshot of this moment would hold everything: nothing waits for the end of its round.
    pub(super) fn whole(&self) -> bool {
        self.held.is_empty()
    }

    /// Applies an entry. `None` while nothing counts.
    ///
    /// # Errors
    /// When a pack that begins to count cannot be had.
    pub(super) fn enter(
        &mut self,
        entry: Entry,
        position: u64,
        pack: impl FnOnce(&str) -> Result<Ready, LogError>,
    ) -> Result<Option<Outcomes>, LogError> {
        if let Entry::Pack(activate) = &entry {
            let ready = pack(&activate.hash)?;
            let engine = match self.now.take() {
                None => {
                    let mut engine = Engine::new(ready.program, self.partition, self.partitions);
                    engine.set_budget(self.budget);
                    engine
                }
                Some(mut now) => {
                    now.engine.change_pack(ready.program);
                    now.engine
                }
            };
            let responder = Responder::new(&ready.pack);
            let (version, clock) = (activate.version, activate.clock);
            self.now = Some(InForce { engine, responder, pack: ready.pack, version, clock });
        }
        // Ticks before the first pack: no mark counts yet, and intakes send no rows before it.
        let Some(now) = &mut self.now else { return Ok(None) };
        match entry {
            Entry::Loop(frame) if now.clock == Clock::Records => {
                self.held.extend(frame.blocks.into_iter().map(|block| (self.partition, block)));
                Ok(None)
            }
            Entry::Tick(stamp) if now.clock == Clock::Records && stamp.marks.is_empty() => {
                let mut held = std::mem::take(&mut self.held);
                if held.is_empty() {
                    return Ok(None);
                }
                sort_loops(&mut held);
                let blocks = held.into_iter().map(|(_, block)| block).collect();
                let pack = now.engine.pack().into();
                Ok(Some(now.engine.apply(&Entry::Loop(Frame { stamp: None, pack, blocks }), position)))
            }
            entry => Ok(Some(now.engine.apply(&entry, position))),
        }
    }
}
