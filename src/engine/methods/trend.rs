//! `trend`: the line through the means of a window's panes, and how long until it reaches a limit.
//!
//! Readings count by event time, whenever they arrive. A pane is one point, so that many readings of one minute do not
//! pass for many points. Judged after each reading; too few points judge nothing, a line that explains too little or leads
//! away from the limit forecasts nothing.

use super::super::batch::Batch;
use super::super::core::{Engine, NODE};
use super::super::program::{HOUR, Kinded};
use super::super::state::{MethodState, PaneMean};
use super::Known;
use crate::model::Line;
use crate::record::Millis;
use arrow::array::Array;

impl Engine {
    pub(super) fn trend_rows(&mut self, batch: &mut Batch<'_>, node: usize) {
        let program = self.program.clone();
        let n = &program.nodes[node];
        let Kinded::Trend { value, limit, shape, .. } = &n.kind else { return };
        let mask = batch.mask(n.inputs[0].filter);
        if !mask.iter().any(|m| *m) {
            return;
        }
        let values = self.reading(batch, node, *value, &mask);
        let limits = batch.numbers(*limit);
        let keys = self.keyed(batch, node);
        let noted = self.note_row(batch, node);
        for row in 0..batch.len() {
            let (key, Some(value)) = (keys[row], values[row].filter(|_| mask[row])) else { continue };
            if key == NODE {
                continue;
            }
            let (k, at) = (key as usize, batch.time(row));
            let log_time = self.state.log_time;
            let MethodState::Trend { panes, newest, value: last, limit: bound } = &mut self.state.nodes[node].method
            else {
                return;
            };
            if at >= newest[k] {
                (newest[k], last[k]) = (at, value);
                if let Some(limits) = limits.as_ref().filter(|l| l.is_valid(row) && l.value(row).is_finite()) {
                    bound[k] = limits.value(row);
                }
            }
            let oldest = shape.panes.of(newest[k].max(log_time)) - i64::from(shape.count);
            panes[k].retain(|p| p.pane > oldest);
            let pane = shape.panes.of(at);
            if pane <= oldest {
                continue;
            }
            let place = panes[k].partition_point(|p| p.pane < pane);
            if panes[k].get(place).is_none_or(|p| p.pane != pane) {
                panes[k].insert(place, PaneMean { pane, readings: 0, at: 0.0, value: 0.0 });
            }
            let mean = &mut panes[k][place];
            mean.readings += 1;
            mean.at += ((at - shape.panes.start(pane)) as f64 - mean.at) / f64::from(mean.readings);
            mean.value += (value - mean.value) / f64::from(mean.readings);
            self.remember(node, key, &noted, row);
            let known = match self.trend_now(node, k) {
                Some(terms) => terms,
                // A bound on the row itself, or a signal, holds all the same; nothing clears without a line.
                None if n.rows.is_empty() && !n.listens => continue,
                None => Vec::new(),
            };
            let lacking = known.is_empty();
            let known = Known { quantities: &known, border: !lacking, partial: lacking, ..Known::default() };
            self.judge(node, key, at, &known, Some((batch, row)));
        }
    }

    /// Hours left, newest reading, limit, slope an hour, R2 and points; `None` with too few points or no limit.
    pub(super) fn trend_now(&self, node: usize, k: usize) -> Option<Vec<Option<f64>>> {
        let Kinded::Trend { shape, above, points, r2, .. } = &self.program.nodes[node].kind else { return None };
        let MethodState::Trend { panes, newest, value, limit } = &self.state.nodes[node].method else { return None };
        let end: Millis = newest[k].max(self.state.log_time);
        let oldest = shape.panes.of(end) - i64::from(shape.count);
        let mut line = Line::default();
        let mut count = 0;
        for mean in panes[k].iter().filter(|p| p.pane > oldest) {
            // Hours before the end of the window: small numbers keep the sums exact.
            line.add(((shape.panes.start(mean.pane) - end) as f64 + mean.at) / HOUR, mean.value);
            count += 1;
        }
        if count < *points || !limit[k].is_finite() {
            return None;
        }
        let trend = line.trend()?;
        let hours = trend.time_to(limit[k], 0.0, *above).filter(|_| trend.r2 >= *r2);
        let terms = [value[k], limit[k], trend.slope, trend.r2, trend.points];
        Some(std::iter::once(hours).chain(terms.map(Some)).collect())
    }
}
