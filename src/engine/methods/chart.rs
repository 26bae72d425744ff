//! `model: ewma` and `cusum`: control charts of a reading.

use super::super::batch::Batch;
use super::super::core::{Engine, NODE};
use super::super::program::Kinded;
use super::super::state::{MethodState, forgotten};
use super::Known;
use crate::record::Millis;

impl Engine {
    pub(super) fn chart_rows(&mut self, batch: &mut Batch<'_>, node: usize) {
        let program = self.program.clone();
        let n = &program.nodes[node];
        let Kinded::Chart { value, relearn, chart } = &n.kind else { return };
        let mask = batch.mask(n.inputs[0].filter);
        let relearn = relearn.map(|e| batch.mask(Some(e)));
        if !mask.iter().any(|m| *m) && relearn.is_none() {
            return;
        }
        let values = self.reading(batch, node, *value, &mask);
        let keys = self.keys_of(batch, n.set, None);
        let len = self.set_len(n.set);
        self.state.nodes[node].reserve(n, len);
        let noted = self.note_row(batch, node);
        for row in 0..batch.len() {
            let key = keys[row];
            if key == NODE {
                continue;
            }
            let (k, at): (usize, Millis) = (key as usize, batch.time(row));
            let log_time = self.state.log_time;
            let MethodState::Chart { states, scores } = &mut self.state.nodes[node].method else { return };
            if states[k].newest().is_some_and(|newest| forgotten(newest, log_time)) {
                states[k].relearn();
                scores[k] = [f64::NAN; 4];
            }
            if relearn.as_ref().is_some_and(|r| r[row]) {
                states[k].relearn();
                continue;
            }
            let Some(v) = values[row].filter(|_| mask[row]) else { continue };
            let late = states[k].is_older(at);
            let mut partial = false;
            match states[k].apply(chart, at, v) {
                Some(scored) => scores[k] = [scored.score, v, scored.mean, scored.sigma],
                // An older reading is not applied. While the baseline is learnt there is no score, but a bound on the
                // row itself, or a signal, holds all the same.
                None if late || (n.rows.is_empty() && !n.listens) => continue,
                None => {
                    scores[k] = [f64::NAN, v, f64::NAN, f64::NAN];
                    partial = true;
                }
            }
            let quantities = scores[k].map(|q| (!q.is_nan()).then_some(q));
            self.remember(node, key, &noted, row);
            let known = Known { quantities: &quantities, border: true, partial, ..Known::default() };
            self.judge(node, key, at, &known, Some((batch, row)));
        }
    }
}
