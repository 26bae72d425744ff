//! `deadline`: something is due; levels are offsets from the due time; a matching record ends it.

use super::super::batch::Batch;
use super::super::core::{Engine, NODE};
use super::super::evidence::Evidence;
use super::super::program::{Kinded, Role};
use super::super::state::{MethodState, forgotten};
use super::{Known, counted, days};
use crate::record::Millis;
use arrow::array::Array;
use std::sync::Arc;

impl Engine {
    pub(super) fn deadline_rows(&mut self, batch: &mut Batch<'_>, node: usize, inputs: &[usize]) {
        let program = self.program.clone();
        let n = &program.nodes[node];
        let Kinded::Deadline { due, at_once, replace, item, .. } = &n.kind else { return };
        let mut read = Vec::new();
        for input in inputs {
            let mask = batch.mask(n.inputs[*input].filter);
            if mask.iter().any(|m| *m) {
                let main = self.role(node, *input) == Role::Main;
                let item = if main { *item } else { n.inputs[*input].item };
                let items = counted(item.and_then(|e| batch.texts(e)), &mask);
                read.push((main, mask, self.keys_for(batch, node, items.as_ref())));
            }
        }
        if read.is_empty() {
            return;
        }
        let len = self.set_len(n.set);
        self.state.nodes[node].reserve(n, len);
        let any_main = read.iter().any(|(main, ..)| *main);
        let noted = if any_main { self.note_row(batch, node) } else { Vec::new() };
        let dues = if any_main { batch.times(*due) } else { None };
        let at_once = if any_main { at_once.map(|(e, level)| (batch.mask(Some(e)), level)) } else { None };
        // Row by row over all inputs: what opens and what ends an item may stand in one frame.
        for (row, (main, mask, keys)) in (0..batch.len()).flat_map(|row| read.iter().map(move |r| (row, r))) {
            let (main, key) = (*main, keys[row]);
            if !mask[row] || key == NODE {
                continue;
            }
            let (k, at) = (key as usize, batch.time(row));
            if main {
                let Some(dues) = &dues else { continue };
                let due = dues.is_valid(row).then(|| dues.value(row));
                self.remember(node, key, &noted, row);
                let level = at_once.as_ref().filter(|(mask, _)| mask[row]).map(|(_, level)| *level);
                let evidence = Evidence(Arc::new(batch.reference(row, &n.reads)));
                let MethodState::Deadline { due: all, opener } = &mut self.state.nodes[node].method else { continue };
                let mut held = all[k];
                if !held.open && forgotten(held.newest, self.state.log_time) {
                    held.newest = Millis::MIN;
                }
                if held.newest > at || (held.open && !replace && due.is_some()) {
                    // An older row, or one that may not replace the item, changes nothing.
                    continue;
                }
                all[k].newest = at;
                match due {
                    None => all[k].open = false,
                    Some(due) => {
                        all[k].open = true;
                        all[k].at = due;
                        opener.insert(key, evidence);
                    }
                }
                if due.is_none() {
                    opener.remove(&key);
                    self.done(node, key, at, batch, row);
                    continue;
                }
                self.schedule_deadline(node, key);
                let now = self.state.log_time.max(at);
                let elapsed = due.map(|d| now - d);
                let quantities = [elapsed.map(days)];
                let moved = held.open && held.at != all_at(self, node, k);
                let known =
                    Known { quantities: &quantities, elapsed, at_once: level, border: moved, ..Known::default() };
                self.judge(node, key, at, &known, Some((batch, row)));
            } else {
                let MethodState::Deadline { due: all, opener } = &mut self.state.nodes[node].method else { continue };
                if at < all[k].newest && (all[k].open || !forgotten(all[k].newest, self.state.log_time)) {
                    continue;
                }
                all[k].newest = at;
                if !all[k].open {
                    continue;
                }
                all[k].open = false;
                opener.remove(&key);
                self.done(node, key, at, batch, row);
            }
        }
    }

    /// The item is no longer due.
    fn done(&mut self, node: usize, key: u32, at: Millis, batch: &Batch<'_>, row: usize) {
        let known = Known { quantities: &[None], done: true, border: true, ..Known::default() };
        self.judge(node, key, at, &known, Some((batch, row)));
    }

    fn schedule_deadline(&mut self, node: usize, key: u32) {
        let program = self.program.clone();
        let Kinded::Deadline { offsets, .. } = &program.nodes[node].kind else { return };
        let MethodState::Deadline { due, .. } = &self.state.nodes[node].method else { return };
        let due = due[key as usize];
        let now = self.state.log_time;
        if let Some(next) = offsets.iter().map(|o| due.at + o).find(|t| *t > now).filter(|_| due.open) {
            self.state.timers.insert((next, node as u32, key));
        }
    }

    pub(super) fn deadline_timer(&mut self, node: usize, key: u32, due: Millis) {
        if let Some(elapsed) = self.deadline_elapsed(node, key as usize, due) {
            let quantities = [Some(days(elapsed))];
            let known = Known {
                quantities: &quantities,
                elapsed: Some(elapsed),
                timer: Some(format!("due deadline {due}")),
                ..Known::default()
            };
            self.judge(node, key, due, &known, None);
            self.schedule_deadline(node, key);
        }
    }

    pub(super) fn deadline_elapsed(&self, node: usize, k: usize, at: Millis) -> Option<Millis> {
        let MethodState::Deadline { due, .. } = &self.state.nodes[node].method else { return None };
        due.get(k).filter(|d| d.open).map(|d| at - d.at)
    }
}

fn all_at(engine: &Engine, node: usize, k: usize) -> Millis {
    match &engine.state.nodes[node].method {
        MethodState::Deadline { due, .. } => due[k].at,
        _ => 0,
    }
}
