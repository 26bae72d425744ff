//! `model: surge`: the count of the newest window against those before it.

use super::super::batch::Batch;
use super::super::core::{Engine, NODE};
use super::super::evidence::Evidence;
use super::super::pane::Panes;
use super::super::program::Kinded;
use super::super::state::MethodState;
use super::super::window::Kept;
use super::Known;
use crate::model::surge;
use crate::record::Millis;
use arrow::array::Array;
use std::collections::BTreeSet;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// A surge is judged on rows, and at this many borders a window for clearing.
const BORDERS: Millis = 24;

impl Engine {
    pub(super) fn surge_rows(&mut self, batch: &mut Batch<'_>, node: usize) {
        let program = self.program.clone();
        let n = &program.nodes[node];
        let Kinded::Surge { window, windows, distinct, .. } = &n.kind else { return };
        let mask = batch.mask(n.inputs[0].filter);
        if !mask.iter().any(|m| *m) {
            return;
        }
        let texts = distinct.and_then(|e| batch.texts(e));
        let keys = self.keys_of(batch, n.set, None);
        let len = self.set_len(n.set);
        self.state.nodes[node].reserve(n, len);
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
            let MethodState::Surge { rows, begun, newest, live } = &mut self.state.nodes[node].method else { return };
            begun[k] = begun[k].min(at);
            newest[k] = newest[k].max(at);
            *live += usize::from(rows[k].is_empty());
            let place = rows[k].partition_point(|other| other.at <= at);
            rows[k].insert(place, Kept { at, value: 0.0, distinct, reference });
            let oldest = newest[k].max(log_time) - window * (*windows as Millis + 1);
            let gone = rows[k].partition_point(|r| r.at <= oldest);
            rows[k].drain(..gone);
            *live -= usize::from(rows[k].is_empty());
            self.remember(node, key, &noted, row);
            if let Some(quantities) = self.surge_now(node, k, at) {
                let known = Known { quantities: &quantities, ..Known::default() };
                self.judge(node, key, at, &known, Some((batch, row)));
            }
        }
    }

    /// Score, count, mean and tail of a key as of now; `None` with too short a history.
    pub(super) fn surge_now(&self, node: usize, k: usize, at: Millis) -> Option<[Option<f64>; 4]> {
        let Kinded::Surge { window, windows, least, distinct } = &self.program.nodes[node].kind else { return None };
        let MethodState::Surge { rows, begun, newest, .. } = &self.state.nodes[node].method else { return None };
        let end = self.state.log_time.max(newest[k]).max(at);
        let known = usize::try_from((end - window - begun[k]).div_euclid(*window)).ok()?.min(*windows);
        if known < *least {
            return None;
        }
        let count = |to: Millis| {
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
        };
        let before: Vec<f64> = (1..=known as Millis).map(|i| count(end - i * window)).collect();
        let s = surge(count(end), &before)?;
        Some([Some(s.score), Some(s.count), Some(s.mean), Some(s.tail)])
    }

    /// The next borders of surges that hold anything.
    pub(in super::super) fn surge_borders(&self, now: Millis) -> impl Iterator<Item = Millis> {
        let nodes = self.program.nodes.iter().zip(&self.state.nodes);
        nodes.filter_map(move |(n, s)| match (&n.kind, &s.method) {
            (Kinded::Surge { window, .. }, MethodState::Surge { .. }) if !s.busy.is_empty() => {
                let panes = Panes::Span((window / BORDERS).max(1));
                Some(panes.start(panes.of(now) + 1))
            }
            _ => None,
        })
    }

    /// Judges surges at their border: counts fall as time passes.
    pub(super) fn surges_at(&mut self, now: Millis) {
        let program = self.program.clone();
        for (i, node) in program.nodes.iter().enumerate() {
            let Kinded::Surge { window, .. } = &node.kind else { continue };
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
