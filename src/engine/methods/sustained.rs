//! `sustained`: how long a reading has stayed beyond each bound, sample by sample in event time.

use super::super::batch::Batch;
use super::super::core::{Engine, NODE};
use super::super::level::NONE;
use super::super::program::Kinded;
use super::super::state::{MethodState, forgotten};
use super::Known;
use crate::pack::OnNull;
use crate::record::Millis;
use arrow::array::Array;

/// Runs of a key, and its newest sample's time.
type Held = Vec<Option<(Millis, u32)>>;

impl Engine {
    pub(super) fn sustained_rows(&mut self, batch: &mut Batch<'_>, node: usize) {
        let program = self.program.clone();
        let n = &program.nodes[node];
        let Kinded::Sustained { value, gap } = &n.kind else { return };
        let selected = batch.selected(n.inputs[0].filter);
        if selected.is_empty() {
            return;
        }
        let numbers = batch.numbers(*value);
        let zero = n.rule.on_null == OnNull::Zero;
        let keys = self.keyed(batch, node);
        let noted = self.note_row(batch, node);
        let mut runs = Vec::new();
        for row in selected.iter() {
            let row = *row as usize;
            let key = keys[row];
            let v = match numbers.as_ref().filter(|n| n.is_valid(row) && n.value(row).is_finite()) {
                Some(n) => n.value(row),
                None => {
                    self.state.nodes[node].nulls += u64::from(numbers.is_some());
                    if !zero || numbers.is_none() {
                        continue;
                    }
                    0.0
                }
            };
            if key == NODE {
                continue;
            }
            let k = key as usize;
            let at = batch.time(row);
            let any = self.sample(node, k, at, v, *gap, &mut runs);
            self.remember(node, key, &noted, row);
            let standing = &self.state.nodes[node].standing;
            if !any && standing.level[k] == 0 && standing.incident[k] == NONE && !n.listens {
                continue;
            }
            let newest = match &self.state.nodes[node].method {
                MethodState::Sustained { newest, .. } => newest[k],
                _ => at,
            };
            let quantities = [Some(v)];
            // A late sample may raise; only the newest one counts for clearing.
            let known = Known {
                quantities: &quantities,
                runs: &runs,
                sample: newest,
                border: at == newest,
                ..Known::default()
            };
            self.judge(node, key, at, &known, Some((batch, row)));
        }
    }

    /// Applies a sample to the runs of a key. True when any run holds.
    fn sample(&mut self, node: usize, k: usize, at: Millis, v: f64, gap: Option<Millis>, out: &mut Held) -> bool {
        let program = self.program.clone();
        let n = &program.nodes[node];
        let count = n.runs.len();
        out.clear();
        let log_time = self.state.log_time;
        let MethodState::Sustained { since, samples, newest, value } = &mut self.state.nodes[node].method else {
            return false;
        };
        if forgotten(newest[k], log_time) {
            samples[k * count..(k + 1) * count].fill(0);
            newest[k] = Millis::MIN;
        }
        let late = at < newest[k];
        let broken = !late && newest[k] != Millis::MIN && gap.is_some_and(|gap| at - newest[k] > gap);
        let mut any = false;
        for (r, spec) in n.runs.iter().enumerate() {
            let i = k * count + r;
            if broken {
                samples[i] = 0;
            }
            let holds = spec.test.holds(v);
            if late {
                if samples[i] > 0 && holds {
                    samples[i] += 1;
                    since[i] = since[i].min(at);
                } else if samples[i] > 0 && at > since[i] {
                    // The run was broken in between: it is sure only from the newest sample on.
                    since[i] = newest[k];
                    samples[i] = 1;
                }
            } else if holds {
                if samples[i] == 0 {
                    since[i] = at;
                }
                samples[i] = samples[i].saturating_add(1);
            } else {
                samples[i] = 0;
            }
            any |= samples[i] > 0;
            out.push((samples[i] > 0).then_some((since[i], samples[i])));
        }
        if !late {
            newest[k] = at;
            value[k] = v;
        }
        any
    }

    pub(super) fn sustained_now(&self, node: usize, k: usize) -> Option<(Option<f64>, Held, Millis)> {
        let count = self.program.nodes[node].runs.len();
        let MethodState::Sustained { since, samples, newest, value } = &self.state.nodes[node].method else {
            return None;
        };
        if forgotten(newest[k], self.state.log_time) {
            return Some((None, vec![None; count], Millis::MIN));
        }
        let held =
            (0..count).map(|r| k * count + r).map(|i| (samples[i] > 0).then_some((since[i], samples[i]))).collect();
        Some(((!value[k].is_nan()).then_some(value[k]), held, newest[k]))
    }
}
