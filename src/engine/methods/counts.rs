//! `model: count_surge`: the count of each closed week or day against what its level and its season let expect.
//!
//! Weeks begin on Monday, days at local midnight. At a close every key that has ever had a row is judged, those without a row
//! in it with a count of zero. A row of a step that has been judged comes too late and is not counted; `reorder` makes
//! closes wait. A key that has been silent for two years begins anew.

use super::super::batch::Batch;
use super::super::core::{Engine, NODE};
use super::super::evidence::Evidence;
use super::super::program::{COUNT_TERMS, Kinded};
use super::super::state::MethodState;
use super::super::window::Kept;
use super::Known;
use crate::record::Millis;
use crate::record::time::DAY;
use std::collections::BTreeSet;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// As long as a gap that the model itself no longer bridges.
const SILENCE: Millis = 730 * DAY;
/// History before the first close that is caught up with: older rows are not counted.
const REACH: Millis = 10 * 366 * DAY;

impl Engine {
    pub(super) fn count_rows(&mut self, batch: &mut Batch<'_>, node: usize) {
        use arrow::array::Array;
        let program = self.program.clone();
        let n = &program.nodes[node];
        let Kinded::Counts { panes, distinct, wait, .. } = &n.kind else { return };
        let mask = batch.mask(n.inputs[0].filter);
        if !mask.iter().any(|m| *m) {
            return;
        }
        let texts = distinct.and_then(|e| batch.texts(e));
        let keys = self.keyed(batch, node);
        let noted = self.note_row(batch, node);
        for row in 0..batch.len() {
            let key = keys[row];
            if !mask[row] || key == NODE {
                continue;
            }
            let at = batch.time(row);
            let step = panes.of(at);
            let distinct = match &texts {
                Some(t) if t.is_valid(row) => xxh3_64(t.value(row).as_bytes()),
                // Nobody is named: the record itself is told apart.
                _ => xxh3_64(batch.cause(row).as_bytes()),
            };
            let MethodState::Counts { open, newest, closed, .. } = &mut self.state.nodes[node].method else { return };
            if closed.is_some_and(|closed| step <= closed) {
                continue;
            }
            let k = key as usize;
            newest[k] = newest[k].max(at);
            let rows = open.entry(step).or_default().entry(key).or_default();
            let reference = Evidence(Arc::new(batch.reference(row, &n.reads)));
            let place = rows.partition_point(|other| other.at <= at);
            rows.insert(place, Kept { at, value: 0.0, distinct, reference });
            self.remember(node, key, &noted, row);
            if closed_none(&self.state.nodes[node].method) {
                // Later closes follow each other.
                self.state.timers.insert((panes.start(step + 1) + wait, node as u32, NODE));
            }
        }
    }

    /// Judges every step that has closed by now, for every key that has had a row.
    pub(super) fn count_closes(&mut self, node: usize, now: Millis) {
        let program = self.program.clone();
        let n = &program.nodes[node];
        let Kinded::Counts { panes, wait, .. } = &n.kind else { return };
        let MethodState::Counts { open, closed, .. } = &self.state.nodes[node].method else { return };
        let last = panes.of(now - wait) - 1;
        let reach = panes.of(now.saturating_sub(REACH));
        let first = closed.map(|c| c + 1).or(open.first_key_value().map(|(step, _)| *step));
        let Some(first) = first.map(|first| first.max(reach)) else { return };
        for step in first..=last {
            self.count_close(node, step, panes.start(step + 1));
        }
        let next = panes.start(last.max(first - 1) + 2) + wait;
        let MethodState::Counts { open, states, .. } = &self.state.nodes[node].method else { return };
        if states.iter().any(Option::is_some) || !open.is_empty() {
            self.state.timers.insert((next.max(now + 1), node as u32, NODE));
        } else if let MethodState::Counts { closed, .. } = &mut self.state.nodes[node].method {
            // Nobody is counted: the next row begins anew.
            *closed = None;
        }
    }

    fn count_close(&mut self, node: usize, step: i64, close: Millis) {
        let program = self.program.clone();
        let n = &program.nodes[node];
        let Kinded::Counts { setting, distinct, warm_up, .. } = &n.kind else { return };
        let MethodState::Counts { open, states, closed, .. } = &mut self.state.nodes[node].method else { return };
        *closed = Some(step);
        let mut came = open.remove(&step).unwrap_or_default();
        open.retain(|other, _| *other > step);
        let mut keys: BTreeSet<u32> = came.keys().copied().collect();
        keys.extend((0..states.len() as u32).filter(|k| states[*k as usize].is_some()));
        for key in self.in_text_order(n.set, keys) {
            let k = key as usize;
            let MethodState::Counts { states, shown, scores, newest, .. } = &mut self.state.nodes[node].method else {
                return;
            };
            if newest[k] < close.saturating_sub(SILENCE) {
                states[k] = None;
                scores[k] = [f64::NAN; COUNT_TERMS.len() + 1];
                shown[k] = Vec::new();
                continue;
            }
            shown[k] = came.remove(&key).unwrap_or_default();
            let count = if distinct.is_some() {
                shown[k].iter().map(|row| row.distinct).collect::<BTreeSet<u64>>().len()
            } else {
                shown[k].len()
            };
            let r = states[k].get_or_insert_default().update(setting, step, count as f64);
            let seen = f64::from(r.seen);
            scores[k] = [r.score, r.count, r.expected, r.level, r.season, r.weekday, r.common, r.tail, seen];
            let score = r.score;
            let terms = self.counts_now(node, k);
            let Some((quantities, seen)) = terms else { continue };
            if seen >= *warm_up {
                self.watch(node, key, close, Some(step), score);
            }
            let timer = Some(format!("due model {close}"));
            let known = Known {
                quantities: &quantities,
                border: true,
                partial: seen < *warm_up,
                unscored: quantities[0].is_none(),
                timer,
                ..Known::default()
            };
            self.judge(node, key, close, &known, None);
        }
    }

    /// Terms of the newest close and how many steps had been learnt from before it.
    pub(super) fn counts_now(&self, node: usize, k: usize) -> Option<(Vec<Option<f64>>, u32)> {
        let MethodState::Counts { scores, .. } = &self.state.nodes[node].method else { return None };
        let (seen, terms) = scores.get(k)?.split_last()?;
        seen.is_finite().then(|| (terms.iter().map(|t| t.is_finite().then_some(*t)).collect(), *seen as u32))
    }
}

fn closed_none(method: &MethodState) -> bool {
    matches!(method, MethodState::Counts { closed: None, .. })
}
