//! What each indicator kind does with rows, borders and timers.
//!
//! In: rows of a batch that an indicator reads; instants that are due. Out: judgements (`incident::Judged`).

mod close;
mod counts;
mod deadline;
mod gap;
mod group;
mod items;
mod lookup;
mod measure;
mod peer;
mod readings;
mod sequence;
mod surge;
mod sustained;
mod trend;

use super::batch::Batch;
use super::core::{Engine, ITEM, NODE};
use super::incident::Judged;
use super::level::{Facts, raised};
use super::pane::{Cut, Panes};
use super::program::Kinded;
use super::state::{MethodState, forgotten};
use crate::model::{ReadingState, Watch};
use crate::record::{Level, Millis};
use arrow::array::StringArray;
use std::sync::Arc;

/// What a method knows of a key when it judges.
#[derive(Default)]
pub(super) struct Known<'a> {
    pub(super) quantities: &'a [Option<f64>],
    pub(super) runs: &'a [Option<(Millis, u32)>],
    /// Newest sample, for runs.
    pub(super) sample: Millis,
    pub(super) elapsed: Option<Millis>,
    /// A level that the row itself asks for.
    pub(super) at_once: Option<Level>,
    pub(super) border: bool,
    pub(super) done: bool,
    pub(super) timer: Option<String>,
    pub(super) partial: bool,
    /// The model has no score to judge by.
    pub(super) unscored: bool,
}

impl Engine {
    /// Rows of a batch for the inputs of a node that read it.
    pub(super) fn method_rows(&mut self, batch: &mut Batch<'_>, node: usize, inputs: &[usize]) {
        let set = self.program.nodes[node].set;
        let spec = &self.program.sets[set];
        if spec.listened && !spec.columns.iter().any(|c| c == ITEM) {
            // Which keys are known must not depend on what else stands in the frame.
            self.keys_of(batch, set, None);
        }
        match &self.program.clone().nodes[node].kind {
            Kinded::Measure { .. } | Kinded::Lookup { .. } => {}
            Kinded::Sustained { .. } => self.sustained_rows(batch, node),
            Kinded::Deadline { .. } => self.deadline_rows(batch, node, inputs),
            Kinded::Gap { .. } => self.gap_rows(batch, node, inputs),
            Kinded::Sequence { .. } => self.sequence_rows(batch, node, inputs),
            Kinded::Surge { .. } => self.surge_rows(batch, node),
            Kinded::Reading { .. } => self.reading_rows(batch, node),
            Kinded::Group { .. } => self.group_rows(batch, node),
            Kinded::Counts { .. } => self.count_rows(batch, node),
            Kinded::Trend { .. } => self.trend_rows(batch, node),
            Kinded::Peer { .. } => self.peer_rows(batch, node),
            Kinded::Items { .. } => self.item_rows(batch, node, inputs),
        }
    }

    /// A timer of a key is due.
    pub(super) fn timer(&mut self, node: usize, key: u32, due: Millis) {
        let program = self.program.clone();
        match &program.nodes[node].kind {
            Kinded::Deadline { .. } => self.deadline_timer(node, key, due),
            Kinded::Gap { .. } => self.gap_timer(node, key, due),
            Kinded::Sequence { .. } => self.sequence_timer(node, key, due),
            Kinded::Items { .. } => self.item_timer(node, key, due),
            Kinded::Counts { .. } if key == NODE => self.count_closes(node, due),
            _ => self.judge_again(node, key, due, false),
        }
    }

    /// Judges a key anew on what is known now: a signal came, a dwell or a cool-down is over.
    pub(super) fn judge_again(&mut self, node: usize, key: u32, at: Millis, border: bool) {
        if key == NODE {
            return;
        }
        let program = self.program.clone();
        let n = &program.nodes[node];
        if key as usize >= self.state.nodes[node].standing.level.len() {
            if !matches!(n.kind, Kinded::Measure { .. }) {
                return;
            }
            // The windows know the key; nothing has been judged of it that had to be remembered.
            let len = self.set_len(n.set);
            self.state.nodes[node].reserve(n, len);
        }
        let k = key as usize;
        let mut runs = Vec::new();
        let mut sample = at;
        let mut elapsed = None;
        let mut partial = false;
        let mut unscored = false;
        let quantities = match &n.kind {
            Kinded::Measure { .. } => self.measure_quantities(node, key),
            Kinded::Sustained { .. } => match self.sustained_now(node, k) {
                Some((value, held, newest)) => {
                    runs = held;
                    sample = newest;
                    vec![value]
                }
                None => return,
            },
            Kinded::Deadline { .. } => match self.deadline_elapsed(node, k, at) {
                Some(e) => {
                    elapsed = Some(e);
                    vec![Some(days(e))]
                }
                None => return,
            },
            Kinded::Gap { .. } => match self.gap_elapsed(node, k, at) {
                Some(e) => {
                    elapsed = Some(e);
                    vec![Some(days(e))]
                }
                None => return,
            },
            Kinded::Sequence { .. } => vec![Some(self.sequence_count(node, k))],
            Kinded::Surge { .. } => match self.surge_now(node, k, at) {
                Some(q) => q.to_vec(),
                None => return,
            },
            Kinded::Reading { model, .. } => match &self.state.nodes[node].method {
                MethodState::Reading { scores, states } => {
                    let state = states[k].as_ref();
                    partial = state.is_none_or(|state| state.is_warming_up(model));
                    let newest = state.and_then(ReadingState::newest);
                    let gone = newest.is_none_or(|newest| forgotten(newest, self.state.log_time));
                    let terms = scores[k].iter().take(n.quantities.len());
                    unscored = gone || scores[k][0].is_nan();
                    terms.map(|v| (!gone && !v.is_nan()).then_some(*v)).collect()
                }
                _ => return,
            },
            Kinded::Group { .. } => match self.group_now(node, k) {
                Some((terms, calibrating)) => {
                    partial = calibrating;
                    unscored = terms.first().is_none_or(Option::is_none);
                    terms
                }
                None => return,
            },
            Kinded::Counts { warm_up, .. } => match self.counts_now(node, k) {
                Some((terms, seen)) => {
                    partial = seen < *warm_up;
                    unscored = terms.first().is_none_or(Option::is_none);
                    terms
                }
                None => return,
            },
            Kinded::Trend { .. } => match self.trend_now(node, k) {
                Some(terms) => terms,
                None if n.rows.is_empty() && !n.listens => return,
                None => {
                    partial = true;
                    Vec::new()
                }
            },
            Kinded::Peer { .. } => match &self.state.nodes[node].method {
                MethodState::Peer { scores, .. } if scores[k][0].is_finite() => scores[k].map(Some).to_vec(),
                _ => return,
            },
            Kinded::Items { .. } => self.item_quantities(node, k, at),
            Kinded::Lookup { .. } => return,
        };
        let known = Known {
            quantities: &quantities,
            runs: &runs,
            sample,
            elapsed,
            border,
            partial,
            unscored,
            timer: Some(format!("due {} {at}", n.kind.word())),
            ..Known::default()
        };
        self.judge(node, key, at, &known, None);
    }

    /// Judges a key: levels, raises, clear rule; then settles it.
    pub(super) fn judge(
        &mut self,
        node: usize,
        key: u32,
        at: Millis,
        known: &Known<'_>,
        row: Option<(&Batch<'_>, usize)>,
    ) {
        let program = self.program.clone();
        let n = &program.nodes[node];
        let k = key as usize;
        let standing = &self.state.nodes[node].standing;
        let ladder = n.ladders.get(usize::from(standing.segment[k])).unwrap_or(&n.ladders[0]);
        let routing = self.routing(n.set, key);
        let heard = |id: &str| self.heard(n.space, routing, id);
        // Of a failing model no number is used; what is known without it holds.
        let failing = self.state.nodes[node].is_failing();
        let plain: Vec<Option<f64>>;
        let quantities = if failing {
            plain = known.quantities.iter().zip(&n.plain_quantities).map(|(q, plain)| q.filter(|_| *plain)).collect();
            &plain
        } else {
            known.quantities
        };
        let facts = Facts {
            quantities,
            runs: known.runs,
            at: known.sample,
            elapsed: known.elapsed,
            signal: &heard,
            rows: standing.rows[k],
        };
        let mut reached = ladder.reached(&facts, &n.runs);
        if let Some(level) = known.at_once
            && reached.is_none_or(|(l, _)| l < level)
        {
            reached = Some((level, None));
        }
        let reached = if known.done { None } else { reached.map(|(l, b)| (raised(l, &n.raise, &facts), b)) };
        let keeps = ladder.keeps(&facts);
        let timer = if row.is_some() { None } else { known.timer.clone() };
        let judged = Judged {
            key,
            at,
            reached,
            keeps,
            border: known.border,
            done: known.done,
            quantities,
            row,
            timer,
            partial: known.partial,
            unscored: known.unscored || failing,
            failing,
        };
        self.settle(node, &judged);
    }

    /// Counts a score for the watch over the model. One that is not finite is a fault of the model, never a score.
    ///
    /// - `pane`: the step of a count; otherwise the day that log time stands in
    pub(super) fn watch(&mut self, node: usize, key: u32, at: Millis, pane: Option<i64>, score: f64) {
        let Some(declared) = self.program.nodes[node].declared else { return };
        // Before time begins there is only the row's own.
        let now = if self.state.log_time == Millis::MIN { at } else { self.state.log_time };
        let pane = pane.unwrap_or_else(|| Panes::Calendar(Cut::Day).of(now));
        let watch = self.state.nodes[node].watch.get_or_insert_with(|| Box::new(Watch::new(declared)));
        watch.take(declared, key, pane, score);
    }

    /// Keys of the rows, each with room in the node's state.
    pub(super) fn keyed(&mut self, batch: &mut Batch<'_>, node: usize) -> Arc<Vec<u32>> {
        let program = self.program.clone();
        let n = &program.nodes[node];
        let keys = self.keys_for(batch, node, None);
        let len = self.set_len(n.set);
        self.state.nodes[node].reserve(n, len);
        keys
    }

    /// Segment and row conditions of the rows, remembered for their keys.
    pub(super) fn note_row(&mut self, batch: &mut Batch<'_>, node: usize) -> Vec<(u8, u32)> {
        let program = self.program.clone();
        let n = &program.nodes[node];
        if n.segments.is_empty() && n.rows.is_empty() {
            return Vec::new();
        }
        let segments: Vec<_> = n.segments.iter().map(|e| batch.mask(Some(*e))).collect();
        let rows: Vec<_> = n.rows.iter().map(|e| batch.mask(Some(*e))).collect();
        (0..batch.len())
            .map(|row| {
                let segment = segments.iter().position(|s| s[row]).map_or(0, |s| s as u8 + 1);
                let bits = rows.iter().enumerate().filter(|(_, r)| r[row]).fold(0, |bits, (i, _)| bits | 1 << i);
                (segment, bits)
            })
            .collect()
    }

    /// The same on registry rows; a condition that the registry cannot answer does not hold.
    pub(super) fn note_roster(&mut self, batch: &mut Batch<'_>, node: usize) -> Vec<(u8, u32)> {
        let program = self.program.clone();
        let n = &program.nodes[node];
        if n.roster_notes.is_empty() {
            return Vec::new();
        }
        let none = Arc::new(vec![false; batch.len()]);
        let all: Vec<Arc<Vec<bool>>> =
            n.roster_notes.iter().map(|e| e.map_or_else(|| none.clone(), |e| batch.mask(Some(e)))).collect();
        let (segments, rows) = all.split_at(n.segments.len());
        (0..batch.len())
            .map(|row| {
                let segment = segments.iter().position(|s| s[row]).map_or(0, |s| s as u8 + 1);
                let bits = rows.iter().enumerate().filter(|(_, r)| r[row]).fold(0, |bits, (i, _)| bits | 1 << i);
                (segment, bits)
            })
            .collect()
    }

    pub(super) fn remember(&mut self, node: usize, key: u32, noted: &[(u8, u32)], row: usize) {
        if let Some((segment, bits)) = noted.get(row) {
            let standing = &mut self.state.nodes[node].standing;
            standing.segment[key as usize] = *segment;
            standing.rows[key as usize] = *bits;
        }
    }

    /// Numbers of an expression over a batch, with the rule's answer to null applied.
    pub(super) fn reading(
        &mut self,
        batch: &mut Batch<'_>,
        node: usize,
        expression: usize,
        mask: &[bool],
    ) -> Vec<Option<f64>> {
        use crate::pack::OnNull;
        use arrow::array::Array;
        let zero = self.program.nodes[node].rule.on_null == OnNull::Zero;
        let Some(numbers) = batch.numbers(expression) else { return vec![None; batch.len()] };
        let mut nulls = 0;
        let out = (0..batch.len())
            .map(|row| {
                if numbers.is_valid(row) && numbers.value(row).is_finite() {
                    return Some(numbers.value(row));
                }
                nulls += u64::from(mask[row]);
                zero.then_some(0.0)
            })
            .collect();
        self.state.nodes[node].nulls += nulls;
        out
    }
}

/// Items of the rows that count; an item of another row must not become known.
pub(super) fn counted(items: Option<StringArray>, mask: &[bool]) -> Option<StringArray> {
    use arrow::array::Array;
    items.map(|t| (0..t.len()).map(|row| (mask[row] && t.is_valid(row)).then(|| t.value(row))).collect())
}

/// Milliseconds as days.
pub(super) fn days(span: Millis) -> f64 {
    span as f64 / 86_400_000.0
}
