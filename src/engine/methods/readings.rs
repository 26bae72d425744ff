//! Models of a reading: control charts, seasons, novelty.
//!
//! Readings are applied in event-time order, `reorder` behind log time; one that comes later still is not applied.

use super::super::batch::Batch;
use super::super::core::{Engine, NODE};
use super::super::held::HeldRow;
use super::super::program::Kinded;
use super::super::state::{MethodState, forgotten};
use super::Known;
use crate::log::Block;
use crate::record::Millis;
use std::collections::{BTreeMap, BTreeSet};

/// A reading as a model applies it.
struct Read {
    key: u32,
    value: Option<f64>,
    relearn: bool,
    noted: Option<(u8, u32)>,
}

impl Engine {
    pub(super) fn reading_rows(&mut self, batch: &mut Batch<'_>, node: usize) {
        let program = self.program.clone();
        let n = &program.nodes[node];
        let Kinded::Reading { value, relearn, hold, .. } = &n.kind else { return };
        let mask = batch.mask(n.inputs[0].filter);
        let relearn = relearn.map(|e| batch.mask(Some(e)));
        if !mask.iter().any(|m| *m) && relearn.is_none() {
            return;
        }
        let values = self.reading(batch, node, *value, &mask);
        let keys = self.keyed(batch, node);
        let noted = self.note_row(batch, node);
        let mut block = None;
        for row in 0..batch.len() {
            let read = Read {
                key: keys[row],
                value: values[row].filter(|_| mask[row]),
                relearn: relearn.as_ref().is_some_and(|r| r[row]),
                noted: noted.get(row).copied(),
            };
            if read.key == NODE || (read.value.is_none() && !read.relearn) {
                continue;
            }
            let due = batch.time(row).saturating_add(*hold);
            if *hold > 0 && due > self.state.log_time {
                let number = *block.get_or_insert_with(|| self.state.held.open());
                let from = (number, batch.block);
                let Read { key, value, relearn, noted } = read;
                let held = HeldRow { value, relearn, noted, ..HeldRow::of(key, row) };
                self.state.held.hold(due, node as u32, from, held);
            } else {
                self.reading_row(batch, row, node, &read);
            }
        }
    }

    /// Applies the held readings whose time has come.
    pub(in super::super) fn apply_held(&mut self, now: Millis) {
        let mut due = self.state.held.due(now);
        if due.is_empty() {
            return;
        }
        let program = self.program.clone();
        // By due time and indicator as they stand; readings of one instant by key, as everywhere.
        due.sort_by_cached_key(|(at, node, held, _)| {
            (*at, *node, self.key_text(program.nodes[*node as usize].set, held.key).to_owned())
        });
        let numbers: BTreeSet<u64> = due.iter().map(|d| d.3).collect();
        let blocks: BTreeMap<u64, Block> =
            numbers.iter().filter_map(|n| Some((*n, self.state.held.block(*n)?))).collect();
        let batches: BTreeMap<u64, Batch<'_>> =
            blocks.iter().filter_map(|(n, block)| Some((*n, Batch::new(&program, block)?))).collect();
        let mut at = 0;
        while let Some((time, node, held, number)) = due.get(at) {
            let n = *node as usize;
            let group = matches!(program.nodes[n].kind, Kinded::Group { .. });
            let same = |d: &&(Millis, u32, HeldRow, u64)| (d.0, d.1, d.2.key) == (*time, *node, held.key);
            let run = if group { due[at..].iter().take_while(same).count() } else { 1 };
            if group {
                let rows =
                    due[at..at + run].iter().filter_map(|(_, _, held, number)| Some((batches.get(number)?, held)));
                self.group_due(n, held.key, rows.collect());
            } else if let Some(batch) = batches.get(number) {
                let row = held.row as usize;
                if matches!(program.nodes[n].kind, Kinded::Peer { .. }) {
                    self.peer_row(batch, row, n, held.key);
                } else {
                    let read = Read { key: held.key, value: held.value, relearn: held.relearn, noted: held.noted };
                    self.reading_row(batch, row, n, &read);
                }
            }
            at += run;
        }
        for (_, _, _, number) in &due {
            self.state.held.release(*number);
        }
    }

    fn reading_row(&mut self, batch: &Batch<'_>, row: usize, node: usize, read: &Read) {
        let program = self.program.clone();
        let n = &program.nodes[node];
        let Kinded::Reading { model, .. } = &n.kind else { return };
        let (k, at): (usize, Millis) = (read.key as usize, batch.time(row));
        let log_time = self.state.log_time;
        let MethodState::Reading { states, scores } = &mut self.state.nodes[node].method else { return };
        let state = states[k].get_or_insert_with(|| model.state());
        if state.newest().is_some_and(|newest| forgotten(newest, log_time)) {
            *state = model.state();
            scores[k].fill(f64::NAN);
        }
        if read.relearn {
            *state = model.state();
            return;
        }
        let Some(v) = read.value else { return };
        let late = state.is_older(at);
        let (mut partial, mut unscored) = (false, false);
        let mut score = None;
        match state.apply(model, at, v) {
            Some(scored) if !scored.score.is_finite() => {
                scores[k].fill(f64::NAN);
                scores[k][1] = v;
                score = Some(scored.score);
                unscored = true;
            }
            Some(scored) => {
                score = Some(scored.score);
                (scores[k][0], scores[k][1]) = (scored.score, v);
                scores[k][2..].copy_from_slice(&scored.terms);
            }
            // An older reading is not applied. While the baseline is learnt there is no score, but a bound on the
            // reading or on the row itself, or a signal, holds all the same.
            None if late || !n.plain => return,
            None => {
                scores[k].fill(f64::NAN);
                scores[k][1] = v;
                (partial, unscored) = (true, true);
            }
        }
        let quantities = scores[k].map(|q| (!q.is_nan()).then_some(q));
        if let Some(score) = score {
            self.watch(node, read.key, at, None, score);
        }
        if let Some(noted) = read.noted {
            self.remember(node, read.key, &[noted], 0);
        }
        let quantities = &quantities[..n.quantities.len()];
        let known = Known { quantities, border: true, partial, unscored, ..Known::default() };
        self.judge(node, read.key, at, &known, Some((batch, row)));
    }
}
