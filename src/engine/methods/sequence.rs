//! `sequence`: how many b follow an a within a time. Rows count by event time, whenever they arrive.

use super::super::batch::Batch;
use super::super::core::{Engine, NODE};
use super::super::evidence::Evidence;
use super::super::program::{Kinded, Role};
use super::super::state::MethodState;
use super::super::window::Kept;
use super::{Known, counted};
use crate::record::Millis;
use arrow::array::Array;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

impl Engine {
    pub(super) fn sequence_rows(&mut self, batch: &mut Batch<'_>, node: usize, inputs: &[usize]) {
        let program = self.program.clone();
        let n = &program.nodes[node];
        let Kinded::Sequence { within, distinct, item, .. } = &n.kind else { return };
        let mut read = Vec::new();
        for input in inputs {
            let mask = batch.mask(n.inputs[*input].filter);
            if mask.iter().any(|m| *m) {
                let main = self.role(node, *input) == Role::Main;
                let item = if main { *item } else { n.inputs[*input].item };
                let items = counted(item.and_then(|e| batch.texts(e)), &mask);
                let texts = if main { None } else { distinct.and_then(|e| batch.texts(e)) };
                read.push((main, mask, self.keys_for(batch, node, items.as_ref()), texts));
            }
        }
        if read.is_empty() {
            return;
        }
        let len = self.set_len(n.set);
        self.state.nodes[node].reserve(n, len);
        let noted = if read.iter().any(|r| r.0) { self.note_row(batch, node) } else { Vec::new() };
        // Row by row over all inputs: an a and its b may stand in one frame.
        for (row, (main, mask, keys, texts)) in (0..batch.len()).flat_map(|row| read.iter().map(move |r| (row, r))) {
            let (main, key) = (*main, keys[row]);
            if !mask[row] || key == NODE {
                continue;
            }
            let (k, at) = (key as usize, batch.time(row));
            if main {
                self.remember(node, key, &noted, row);
            }
            let distinct = match texts {
                Some(t) if t.is_valid(row) => xxh3_64(t.value(row).as_bytes()),
                Some(_) => continue,
                None => 0,
            };
            let reference = Evidence(Arc::new(batch.reference(row, &n.reads)));
            let kept = Kept { at, value: 0.0, distinct, reference };
            let log_time = self.state.log_time;
            let MethodState::Sequence { first, then, newest } = &mut self.state.nodes[node].method else { return };
            newest[k] = newest[k].max(at);
            let oldest = newest[k].max(log_time) - within;
            let side = if main { &mut first[k] } else { &mut then[k] };
            let place = side.partition_point(|other| other.at <= at);
            side.insert(place, kept);
            for side in [&mut first[k], &mut then[k]] {
                let gone = side.partition_point(|r| r.at < oldest);
                side.drain(..gone);
            }
            if main {
                // One after the end: a b at the very end still counts.
                self.state.timers.insert((at + within + 1, node as u32, key));
            }
            let quantities = [Some(self.sequence_count(node, k))];
            let known = Known { quantities: &quantities, ..Known::default() };
            self.judge(node, key, at, &known, Some((batch, row)));
        }
    }

    /// The most b that follow any one a.
    pub(super) fn sequence_count(&self, node: usize, k: usize) -> f64 {
        let Kinded::Sequence { within, wait, distinct, .. } = &self.program.nodes[node].kind else { return 0.0 };
        let MethodState::Sequence { first, then, .. } = &self.state.nodes[node].method else { return 0.0 };
        let mut most = 0;
        for a in &first[k] {
            let from = then[k].partition_point(|b| b.at < a.at + wait);
            let to = then[k].partition_point(|b| b.at <= a.at + within);
            let following = then[k].get(from..to).unwrap_or(&[]);
            let count = if distinct.is_some() {
                let mut seen: Vec<u64> = following.iter().map(|b| b.distinct).collect();
                seen.sort_unstable();
                seen.dedup();
                seen.len()
            } else {
                following.len()
            };
            most = most.max(count);
        }
        most as f64
    }

    /// An a is over.
    pub(super) fn sequence_timer(&mut self, node: usize, key: u32, due: Millis) {
        let program = self.program.clone();
        let Kinded::Sequence { within, .. } = &program.nodes[node].kind else { return };
        let k = key as usize;
        let MethodState::Sequence { first, then, newest } = &mut self.state.nodes[node].method else { return };
        if k >= first.len() {
            return;
        }
        let oldest = newest[k].max(due) - within;
        for side in [&mut first[k], &mut then[k]] {
            let gone = side.partition_point(|r| r.at < oldest);
            side.drain(..gone);
        }
        if first[k].is_empty() {
            then[k] = Vec::new();
        }
        self.judge_again(node, key, due, true);
        // A level that is kept up by the clear rule's count is looked at again.
        if self.state.nodes[node].standing.level[k] > 0 {
            let first_end = match &self.state.nodes[node].method {
                MethodState::Sequence { first, .. } => first[k].first().map(|a| a.at + within + 1),
                _ => None,
            };
            let again = first_end.unwrap_or(due + (within / 60).max(1)).max(due + 1);
            self.state.timers.insert((again, node as u32, key));
        }
    }
}
