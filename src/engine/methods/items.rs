//! `scorecard` and `fusion`: items that hold now, each a record or an open signal, join into one value.
//!
//! A record counts from its event time for as long as its item says; a signal while its sender stands at the level, and as
//! long after its end. Rows count by event time, whenever they arrive; what ends or halves is judged when it is due and at
//! local midnight. A card with a roster is kept for every key, and judged for those that the roster names.

use super::super::batch::Batch;
use super::super::core::{Engine, NODE};
use super::super::evidence::Evidence;
use super::super::program::{ItemSpec, Joined, Kinded, Role};
use super::super::state::{ItemRow, MethodState};
use super::super::window::Kept;
use super::Known;
use crate::model::{Strand, fuse};
use crate::record::Millis;
use crate::record::time::{day_start, local_day};
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// An item that counts once keeps so many of its newest rows: one is enough for its points, the others are evidence.
const ROWS_OF_ONE: usize = 50;

impl ItemSpec {
    /// What a row weighs at an instant; `None` when it has had its time.
    fn weight(&self, row: &ItemRow, now: Millis) -> Option<f64> {
        let age = if row.open { 0 } else { now - row.kept.at };
        if age >= self.keep {
            return None;
        }
        let faded = self.halves.map_or(1.0, |halves| libm::exp2(-(age.max(0) as f64) / halves as f64));
        Some(self.weights.get(usize::from(row.level)).copied().unwrap_or(0.0) * faded)
    }
}

impl Engine {
    pub(super) fn item_rows(&mut self, batch: &mut Batch<'_>, node: usize, inputs: &[usize]) {
        let program = self.program.clone();
        let n = &program.nodes[node];
        let Kinded::Items { items, roster: by_roster, .. } = &n.kind else { return };
        let mut read = Vec::new();
        for input in inputs {
            let mask = batch.mask(n.inputs[*input].filter);
            match self.role(node, *input) {
                Role::Item(item) => {
                    let all = batch.mask(items[item].filter);
                    if mask.iter().zip(all.iter()).any(|(a, b)| *a && *b) {
                        read.push((Role::Item(item), mask, all));
                    }
                }
                Role::Roster => read.push((Role::Roster, mask.clone(), mask)),
                _ => {}
            }
        }
        if read.is_empty() {
            return;
        }
        let keys = self.keyed(batch, node);
        let main = batch.is_of(&n.inputs[0].source);
        let noted = if main { self.note_row(batch, node) } else { Vec::new() };
        for row in 0..batch.len() {
            let key = keys[row];
            if key == NODE {
                continue;
            }
            let (k, at) = (key as usize, batch.time(row));
            let mut touched = false;
            for (role, mask, all) in &read {
                touched |= match role {
                    Role::Item(item) => mask[row] && all[row] && self.item_row(batch, row, node, k, *item),
                    _ => batch.keep[row] && self.item_roster(batch, row, node, k, mask[row]),
                };
            }
            if !touched {
                continue;
            }
            self.remember(node, key, &noted, row);
            let now = self.state.log_time.max(at);
            self.item_forget(node, k, now);
            if !by_roster || self.listed(node, k) {
                let quantities = self.item_quantities(node, k, at);
                let known = Known { quantities: &quantities, ..Known::default() };
                self.judge(node, key, at, &known, Some((batch, row)));
            } else if self.state.nodes[node].standing.level[k] > 0 {
                let known = Known { done: true, ..Known::default() };
                self.judge(node, key, at, &known, Some((batch, row)));
            }
            self.schedule_items(node, key);
        }
    }

    /// A row counts for an item; false when it changes nothing.
    fn item_row(&mut self, batch: &Batch<'_>, row: usize, node: usize, k: usize, item: usize) -> bool {
        let program = self.program.clone();
        let n = &program.nodes[node];
        let Kinded::Items { items, .. } = &n.kind else { return false };
        let spec = &items[item];
        let at = batch.time(row);
        let level = u8::try_from(batch.int("level_no", row).unwrap_or(0)).unwrap_or(0);
        let MethodState::Items { rows, newest, .. } = &mut self.state.nodes[node].method else { return false };
        let rows = &mut rows[k];
        let sender = || {
            let part = |name: &str| batch.text(name, row).unwrap_or("");
            xxh3_64(format!("{}\u{1f}{}", part("indicator"), part("signal_key")).as_bytes())
        };
        if spec.signal {
            let sender = sender();
            let open = rows.iter().position(|r| r.item == item as u16 && r.open && r.kept.distinct == sender);
            match (open, level >= spec.least) {
                (Some(open), true) => {
                    rows[open].level = rows[open].level.max(level);
                    newest[k] = newest[k].max(at);
                    return true;
                }
                (Some(open), false) => {
                    let mut ended = rows.remove(open);
                    ended.open = false;
                    ended.kept.at = ended.kept.at.max(at);
                    newest[k] = newest[k].max(at);
                    let place = rows.partition_point(|other| other.kept.at <= ended.kept.at);
                    rows.insert(place, ended);
                    return true;
                }
                (None, false) => return false,
                (None, true) => {}
            }
        }
        newest[k] = newest[k].max(at);
        let own = batch.text("source_dept", row).unwrap_or("");
        let own = own.split_once('@').map_or(own, |(department, _)| department);
        let reference = Evidence(Arc::new(batch.reference(row, &n.reads)));
        let distinct = if spec.signal { sender() } else { 0 };
        let kept = ItemRow {
            item: item as u16,
            level: if spec.signal { level } else { 0 },
            open: spec.signal,
            department: xxh3_64(spec.department.as_deref().unwrap_or(own).as_bytes()),
            kept: Kept { at, value: 0.0, distinct, reference },
        };
        let place = rows.partition_point(|other| other.kept.at <= at);
        rows.insert(place, kept);
        if !spec.signal && !spec.each && rows.iter().filter(|r| r.item == item as u16).count() > ROWS_OF_ONE {
            let oldest = rows.iter().position(|r| r.item == item as u16);
            oldest.map(|oldest| rows.remove(oldest));
        }
        true
    }

    /// What the registry says of an object of the key; true when that changes whether the key is judged.
    fn item_roster(&mut self, batch: &Batch<'_>, row: usize, node: usize, k: usize, named: bool) -> bool {
        let object = batch.text("object_id", row).or_else(|| batch.text("entity_id", row)).unwrap_or("");
        let active = batch.text("status", row) == Some("active");
        let MethodState::Items { roster, .. } = &mut self.state.nodes[node].method else { return false };
        let before = roster[k].is_empty();
        if named && active {
            roster[k].insert(xxh3_64(object.as_bytes()));
        } else {
            roster[k].remove(&xxh3_64(object.as_bytes()));
        }
        before != roster[k].is_empty()
    }

    fn listed(&self, node: usize, k: usize) -> bool {
        match &self.state.nodes[node].method {
            MethodState::Items { roster, .. } => roster.get(k).is_some_and(|named| !named.is_empty()),
            _ => false,
        }
    }

    /// Drops what has had its time.
    fn item_forget(&mut self, node: usize, k: usize, now: Millis) {
        let program = self.program.clone();
        let Kinded::Items { items, .. } = &program.nodes[node].kind else { return };
        let MethodState::Items { rows, newest, .. } = &mut self.state.nodes[node].method else { return };
        let now = newest[k].max(now);
        rows[k].retain(|row| items[usize::from(row.item)].weight(row, now).is_some());
    }

    /// The value and what each item puts in, as of now.
    pub(super) fn item_quantities(&self, node: usize, k: usize, at: Millis) -> Vec<Option<f64>> {
        let Kinded::Items { items, joined, .. } = &self.program.nodes[node].kind else { return Vec::new() };
        let MethodState::Items { rows, newest, .. } = &self.state.nodes[node].method else { return Vec::new() };
        let now = self.state.log_time.max(at).max(newest[k]);
        let mut sums = vec![0.0; items.len()];
        let mut departments = vec![0; items.len()];
        for row in &rows[k] {
            let i = usize::from(row.item);
            let Some(weight) = items[i].weight(row, now) else { continue };
            if items[i].each {
                sums[i] = f64::min(sums[i] + weight, items[i].most);
            } else if weight.abs() > f64::abs(sums[i]) {
                (sums[i], departments[i]) = (weight, row.department);
            }
        }
        match joined {
            Joined::Points => {
                let all = sums.iter().sum::<f64>().min(100.0);
                std::iter::once(all).chain(sums).map(Some).collect()
            }
            Joined::Odds { prior, same } => {
                let held: Vec<usize> = (0..items.len()).filter(|i| sums[*i] != 0.0).collect();
                let strands = held.iter().map(|i| Strand { weight: sums[*i], department: departments[*i] });
                let fused = fuse(*prior, *same, &strands.collect::<Vec<_>>());
                let mut factors = vec![1.0; items.len()];
                held.iter().zip(fused.factors).for_each(|(i, factor)| factors[*i] = factor);
                [fused.risk * 100.0, prior * 100.0].into_iter().chain(factors).map(Some).collect()
            }
        }
    }

    /// Something has had its time, or it is midnight.
    pub(super) fn item_timer(&mut self, node: usize, key: u32, due: Millis) {
        let k = key as usize;
        let held = matches!(&self.state.nodes[node].method, MethodState::Items { newest, .. } if k < newest.len());
        if !held {
            return;
        }
        self.item_forget(node, k, due);
        let program = self.program.clone();
        let Kinded::Items { roster, .. } = &program.nodes[node].kind else { return };
        if !roster || self.listed(node, k) {
            self.judge_again(node, key, due, true);
        }
        self.schedule_items(node, key);
    }

    /// The next instant at which the key's value may fall by itself.
    fn schedule_items(&mut self, node: usize, key: u32) {
        let program = self.program.clone();
        let Kinded::Items { items, .. } = &program.nodes[node].kind else { return };
        let MethodState::Items { rows, newest, .. } = &self.state.nodes[node].method else { return };
        let k = key as usize;
        let now = self.state.log_time.max(newest[k]);
        let held = rows[k].iter().filter(|row| !row.open).map(|row| (row, &items[usize::from(row.item)]));
        let ends = held.clone().map(|(row, spec)| row.kept.at + spec.keep).filter(|end| *end > now).min();
        let fades = held.clone().any(|(_, spec)| spec.halves.is_some());
        let midnight = day_start(local_day(now) + 1);
        let daily = (fades || self.state.nodes[node].standing.level[k] > 0).then_some(midnight);
        if let Some(next) = ends.into_iter().chain(daily).min() {
            self.state.timers.insert((next, node as u32, key));
        }
    }
}
