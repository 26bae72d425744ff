//! `model: surge`: the count of the newest window against those before it.
//!
//! A key with too short a history is judged against the mean of its group (district and trade) over the whole city:
//! at each close of a window every partition tells all partitions what its keys had, as loop records.

use super::super::batch::Batch;
use super::super::core::{Engine, NODE};
use super::super::evidence::Evidence;
use super::super::loops::GROUP_KEYS;
use super::super::pane::Panes;
use super::super::program::Kinded;
use super::super::state::{Group, MethodState};
use super::super::window::Kept;
use super::Known;
use crate::model::surge;
use crate::record::Millis;
use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float64Type, TimestampMillisecondType};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// A surge is judged on rows, and at this many borders a window for clearing.
const BORDERS: Millis = 24;

impl Engine {
    pub(super) fn surge_rows(&mut self, batch: &mut Batch<'_>, node: usize) {
        let program = self.program.clone();
        let n = &program.nodes[node];
        let Kinded::Surge { window, windows, distinct, group, .. } = &n.kind else { return };
        let mask = batch.mask(n.inputs[0].filter);
        if !mask.iter().any(|m| *m) {
            return;
        }
        let texts = distinct.and_then(|e| batch.texts(e));
        let groups = group.and_then(|e| batch.texts(e));
        let keys = self.keyed(batch, node);
        let noted = self.note_row(batch, node);
        for row in 0..batch.len() {
            let key = keys[row];
            if !mask[row] || key == NODE {
                continue;
            }
            let (k, at) = (key as usize, batch.time(row));
            let distinct = match &texts {
                Some(t) if t.is_valid(row) => xxh3_64(t.value(row).as_bytes()),
                // Nobody is named: the record itself is told apart.
                _ => xxh3_64(batch.cause(row).as_bytes()),
            };
            let reference = Evidence(Arc::new(batch.reference(row, &n.reads)));
            let log_time = self.state.log_time;
            let MethodState::Surge { rows, begun, newest, group, latest, .. } = &mut self.state.nodes[node].method
            else {
                return;
            };
            *latest = at.max(*latest);
            if let Some(named) = groups.as_ref().filter(|g| g.is_valid(row)).map(|g| g.value(row))
                && group[k].as_deref() != Some(named)
            {
                group[k] = Some(named.into());
            }
            begun[k] = begun[k].min(at);
            newest[k] = newest[k].max(at);
            let place = rows[k].partition_point(|other| other.at <= at);
            rows[k].insert(place, Kept { at, value: 0.0, distinct, reference });
            let oldest = newest[k].max(log_time) - window * (*windows as Millis + 1);
            let gone = rows[k].partition_point(|r| r.at <= oldest);
            rows[k].drain(..gone);
            self.remember(node, key, &noted, row);
            if let Some(quantities) = self.surge_now(node, k, at) {
                let known = Known { quantities: &quantities, ..Known::default() };
                self.judge(node, key, at, &known, Some((batch, row)));
            }
        }
    }

    /// Score, count, mean and tail of a key as of now; `None` with too short a history and no group to stand in.
    pub(super) fn surge_now(&self, node: usize, k: usize, at: Millis) -> Option<[Option<f64>; 4]> {
        let Kinded::Surge { window, windows, least, .. } = &self.program.nodes[node].kind else { return None };
        let MethodState::Surge { begun, newest, group, groups, .. } = &self.state.nodes[node].method else {
            return None;
        };
        let end = self.state.log_time.max(newest[k]).max(at);
        let known = usize::try_from((end - window - begun[k]).div_euclid(*window)).unwrap_or(0).min(*windows);
        let before: Vec<f64> = if known >= *least {
            (1..=known as Millis).map(|i| self.surge_count(node, k, end - i * window)).collect()
        } else {
            let whole = groups.get(group[k].as_deref()?)?;
            let keys: f64 = whole.keys.values().sum();
            let closes = ((end - whole.first).div_euclid(*window) + 1).clamp(1, *windows as Millis);
            let rows: f64 = whole.rows.range(end - window * closes + 1..).map(|(_, rows)| rows).sum();
            if keys < 1.0 {
                return None;
            }
            vec![rows / (keys * closes as f64)]
        };
        let s = surge(self.surge_count(node, k, end), &before)?;
        Some([Some(s.score), Some(s.count), Some(s.mean), Some(s.tail)])
    }

    /// Rows, or distinct texts, in the window that ends at an instant.
    fn surge_count(&self, node: usize, k: usize, to: Millis) -> f64 {
        let Kinded::Surge { window, distinct, .. } = &self.program.nodes[node].kind else { return 0.0 };
        let MethodState::Surge { rows, .. } = &self.state.nodes[node].method else { return 0.0 };
        let from = rows[k].partition_point(|r| r.at <= to - window);
        let to = rows[k].partition_point(|r| r.at <= to);
        let inside = rows[k].get(from..to).unwrap_or(&[]);
        if distinct.is_none() {
            return inside.len() as f64;
        }
        let mut seen: Vec<u64> = inside.iter().map(|r| r.distinct).collect();
        seen.sort_unstable();
        seen.dedup();
        seen.len() as f64
    }

    /// At the close of a window: what the keys of each group had, to every partition.
    fn tell_groups(&mut self, node: usize, now: Millis) {
        let program = self.program.clone();
        let Kinded::Surge { window, .. } = &program.nodes[node].kind else { return };
        let MethodState::Surge { begun, group, told, .. } = &self.state.nodes[node].method else { return };
        let mut sums: BTreeMap<Arc<str>, (f64, f64)> = BTreeMap::new();
        for (k, named) in group.iter().enumerate() {
            // A key that began inside the window has had only a part of it.
            if let Some(named) = named.as_ref().filter(|_| begun[k] <= now - window) {
                let (rows, keys) = sums.entry(named.clone()).or_default();
                *rows += self.surge_count(node, k, now);
                *keys += 1.0;
            }
        }
        // A group that all its keys have left is told once more, as empty.
        for named in told.keys() {
            sums.entry(named.clone()).or_default();
        }
        // Nothing is said of a window without rows, unless the keys are others.
        sums.retain(|named, (rows, keys)| *rows > 0.0 || told.get(named) != Some(keys));
        for (named, (rows, keys)) in sums {
            self.send_group(node, &named, now, rows, keys);
            if let MethodState::Surge { told, .. } = &mut self.state.nodes[node].method {
                told.insert(named, keys);
            }
        }
    }

    /// What another partition, or this one, said of a group.
    pub(in super::super) fn hear_groups(&mut self, batch: &Batch<'_>) {
        let program = self.program.clone();
        let close = batch.block.rows.column_by_name("window_end");
        let Some(close) = close.and_then(|c| c.as_primitive_opt::<TimestampMillisecondType>()) else { return };
        let value = batch.block.rows.column_by_name("value").and_then(|c| c.as_primitive_opt::<Float64Type>());
        for row in (0..batch.len()).filter(|row| batch.keep[*row]) {
            let (Some(indicator), Some(what), Some(value)) =
                (batch.text("indicator", row), batch.text("signal_key", row), value)
            else {
                continue;
            };
            let Some(node) = program.nodes.iter().position(|n| *n.id == *indicator && !n.absent) else { continue };
            let Kinded::Surge { window, windows, .. } = &program.nodes[node].kind else { continue };
            let MethodState::Surge { groups, .. } = &mut self.state.nodes[node].method else { continue };
            let (close, value) = (close.value(row), value.value(row));
            let whole =
                groups.entry(batch.key.value(row).into()).or_insert_with(|| Group { first: close, ..Group::default() });
            whole.first = whole.first.min(close);
            match what.strip_prefix(GROUP_KEYS) {
                Some(partition) => {
                    whole.keys.insert(partition.to_owned(), value);
                }
                None => *whole.rows.entry(close).or_default() += value,
            }
            whole.rows.retain(|at, _| *at > close - window * (*windows as Millis + 1));
        }
    }

    /// The next borders of surges that hold anything.
    pub(in super::super) fn surge_borders(&self, now: Millis) -> impl Iterator<Item = Millis> {
        let nodes = self.program.nodes.iter().zip(&self.state.nodes);
        nodes.filter_map(move |(n, s)| match (&n.kind, &s.method) {
            (Kinded::Surge { window, .. }, _) if !s.busy.is_empty() => {
                let panes = Panes::Span((window / BORDERS).max(1));
                Some(panes.start(panes.of(now) + 1))
            }
            // The keys of a row count from the first whole window after it.
            (Kinded::Surge { window, group: Some(_), .. }, MethodState::Surge { latest, .. })
                if latest.saturating_add(2 * window) > now =>
            {
                let panes = Panes::Span(*window);
                Some(panes.start(panes.of(now) + 1))
            }
            _ => None,
        })
    }

    /// Judges surges at their border: counts fall as time passes.
    pub(super) fn surges_at(&mut self, now: Millis) {
        let program = self.program.clone();
        for (i, node) in program.nodes.iter().enumerate() {
            let Kinded::Surge { window, group, .. } = &node.kind else { continue };
            let whole = Panes::Span(*window);
            if group.is_some() && whole.start(whole.of(now)) == now {
                self.tell_groups(i, now);
            }
            let panes = Panes::Span((window / BORDERS).max(1));
            if panes.start(panes.of(now)) != now || self.state.nodes[i].busy.is_empty() {
                continue;
            }
            let keys: BTreeSet<u32> = self.state.nodes[i].busy.clone();
            for key in self.in_text_order(node.set, keys) {
                self.judge_again(i, key, now, true);
            }
        }
    }
}
