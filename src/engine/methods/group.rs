//! `model: sensor_group`: the readings of several sensors of one key at one time, as one state.
//!
//! A row is a reading of one member. The rows of a key with one event time are judged together, `reorder` behind log time;
//! a row that comes later still is not applied. A member without a reading keeps its mean; a time at which fewer than
//! half of the members have one is not scored. The reading shown is the one of the member with the largest part.

use super::super::batch::Batch;
use super::super::core::{Engine, NODE};
use super::super::held::HeldRow;
use super::super::program::Kinded;
use super::super::state::{MethodState, forgotten};
use super::Known;
use crate::model::GroupState;
use crate::pack::GROUP_TERMS;
use crate::record::Millis;
use arrow::array::Array;

/// A held row with the batch that it is a row of.
type Due<'a, 'b> = (&'a Batch<'b>, &'a HeldRow);

impl Engine {
    pub(super) fn group_rows(&mut self, batch: &mut Batch<'_>, node: usize) {
        let program = self.program.clone();
        let n = &program.nodes[node];
        let Kinded::Group { value, member, members, relearn, hold, .. } = &n.kind else { return };
        let mut mask = (*batch.mask(n.inputs[0].filter)).clone();
        let relearn = relearn.map(|e| batch.mask(Some(e)));
        let Some(names) = batch.texts(*member) else { return };
        let numbers: Vec<Option<usize>> = (0..batch.len())
            .map(|row| names.is_valid(row).then(|| members.iter().position(|m| m == names.value(row)))?)
            .collect();
        mask.iter_mut().zip(&numbers).for_each(|(mask, number)| *mask &= number.is_some());
        if !mask.iter().any(|m| *m) && relearn.is_none() {
            return;
        }
        let values = self.reading(batch, node, *value, &mask);
        let keys = self.keyed(batch, node);
        let noted = self.note_row(batch, node);
        let mut block = None;
        for row in 0..batch.len() {
            let value = values[row].filter(|_| mask[row]);
            let relearn = relearn.as_ref().is_some_and(|r| r[row]);
            if keys[row] == NODE || (value.is_none() && !relearn) {
                continue;
            }
            // One that is late is judged with those of its time that come before time moves on.
            let due = batch.time(row).saturating_add(*hold).max(self.state.log_time);
            let number = *block.get_or_insert_with(|| self.state.held.open());
            let member = numbers[row].unwrap_or_default() as u8;
            let noted = noted.get(row).copied();
            let held = HeldRow { value, relearn, noted, member, ..HeldRow::of(keys[row], row) };
            self.state.held.hold(due, node as u32, (number, batch.block), held);
        }
    }

    /// Judges the rows of a key that are due, time by time.
    pub(super) fn group_due(&mut self, node: usize, key: u32, mut rows: Vec<Due<'_, '_>>) {
        let at = |row: &Due<'_, '_>| row.0.time(row.1.row as usize);
        rows.sort_by_key(at);
        for rows in rows.chunk_by(|a, b| at(a) == at(b)) {
            self.group_time(node, key, at(&rows[0]), rows);
        }
    }

    fn group_time(&mut self, node: usize, key: u32, at: Millis, rows: &[Due<'_, '_>]) {
        let program = self.program.clone();
        let n = &program.nodes[node];
        let Kinded::Group { members, settings, .. } = &n.kind else { return };
        let k = key as usize;
        let log_time = self.state.log_time;
        let MethodState::Group { states, newest, scores } = &mut self.state.nodes[node].method else { return };
        if rows.iter().any(|(_, held)| held.relearn) || forgotten(newest[k], log_time) {
            states[k] = None;
            scores[k] = Vec::new();
        }
        if at <= newest[k] {
            return;
        }
        let mut readings = vec![f64::NAN; members.len()];
        // Of two readings of one member the later counts.
        for (_, held) in rows.iter().filter(|(_, held)| !held.relearn) {
            readings[usize::from(held.member)] = held.value.unwrap_or(f64::NAN);
        }
        if readings.iter().all(|r| r.is_nan()) {
            return;
        }
        newest[k] = at;
        let state = states[k].get_or_insert_with(|| Box::new(GroupState::new(members.len())));
        let partial = state.is_calibrating(settings);
        let scored = state.update(settings, &readings);
        let judged = scored.is_some();
        let scored = scored.filter(|r| r.statistic.is_finite());
        let mut terms = vec![f64::NAN; GROUP_TERMS.len()];
        let mut parts = vec![f64::NAN; members.len()];
        if let Some(reading) = &scored {
            terms = vec![reading.score(), reading.statistic, reading.bar];
            parts.copy_from_slice(&reading.contributions);
        }
        terms.extend(readings.iter().zip(&parts).flat_map(|(reading, part)| [*reading, *part]));
        let score = terms[0];
        scores[k] = terms;
        if judged {
            self.watch(node, key, at, None, score);
        }
        if scored.is_none() && !n.plain {
            return;
        }
        // Shown is the reading of the member with the largest part, else of the first that has one.
        let fresh = |held: &HeldRow| !held.relearn && held.value.is_some();
        let part = |held: &HeldRow| (parts[usize::from(held.member)], std::cmp::Reverse(held.member));
        let shown = rows.iter().filter(|(_, held)| fresh(held)).max_by(|a, b| {
            let ((a, first), (b, second)) = (part(a.1), part(b.1));
            a.total_cmp(&b).then(first.cmp(&second))
        });
        let Some((batch, shown)) = shown else { return };
        if let Some((segment, _)) = shown.noted {
            // A condition on the row holds when it holds for one of the rows.
            let bits = rows.iter().filter_map(|(_, held)| held.noted).fold(0, |bits, (_, own)| bits | own);
            self.remember(node, key, &[(segment, bits)], 0);
        }
        let Some((quantities, _)) = self.group_now(node, k) else { return };
        let unscored = scored.is_none();
        let known = Known { quantities: &quantities, border: true, partial, unscored, ..Known::default() };
        self.judge(node, key, at, &known, Some((batch, shown.row as usize)));
    }

    /// Quantities of the newest time judged, and whether the calibration goes on still.
    pub(super) fn group_now(&self, node: usize, k: usize) -> Option<(Vec<Option<f64>>, bool)> {
        let Kinded::Group { settings, .. } = &self.program.nodes[node].kind else { return None };
        let MethodState::Group { states, newest, scores } = &self.state.nodes[node].method else { return None };
        let gone = forgotten(*newest.get(k)?, self.state.log_time);
        let known = |v: &f64| (!gone && !v.is_nan()).then_some(*v);
        let mut terms: Vec<Option<f64>> = scores[k].iter().map(known).collect();
        terms.resize(self.program.nodes[node].quantities.len(), None);
        let calibrating = states[k].as_ref().is_none_or(|state| state.is_calibrating(settings));
        Some((terms, calibrating))
    }
}
