//! `emit: value`: an indicator's value for each key at the close of each pane or calendar period, as a record.
//!
//! Promise: revision 1 at the close; then at most one revision a border, and only when late rows changed the value.

use super::super::closes::{Counted, is_final};
use super::super::core::Engine;
use super::super::id::record_id;
use super::super::keys::JOINT;
use super::super::outcome::Value;
use super::super::program::Kinded;
use super::super::window::Shape;
use super::measure::over_measures;
use crate::pack::{Emit, OnNull};
use crate::record::Millis;
use std::collections::{BTreeMap, BTreeSet};

impl Engine {
    /// A measure counts a row: its closes take it in, when an indicator sends them.
    pub(super) fn close_add(&mut self, measure: usize, key: u32, row: Counted) {
        let spec = &self.program.measures[measure];
        if let Some(lateness) = spec.closes {
            let what = (spec.shape, spec.function);
            self.state.closes[measure].add(what, lateness, key, row, self.state.log_time);
        }
    }

    /// Measures whose closes have something to tell at their next border.
    pub(super) fn closes_wait(&self, measure: usize) -> bool {
        let spec = &self.program.measures[measure];
        spec.closes.is_some() && self.state.closes[measure].waits(spec.shape, self.state.log_time)
    }

    /// Tells every close that is due at a border, and those before it that late rows have changed.
    pub(super) fn tell_closes(&mut self, now: Millis) {
        let program = self.program.clone();
        for (i, node) in program.nodes.iter().enumerate() {
            let Kinded::Measure { measures, .. } = &node.kind else { continue };
            let Some(first) = measures.first().map(|m| program.measures[*m].shape) else { continue };
            if node.rule.emit != Some(Emit::Value) || first.panes.start(first.panes.of(now)) != now {
                continue;
            }
            let lateness = measures.iter().filter_map(|m| program.measures[*m].closes).max().unwrap_or(0);
            let close = first.panes.of(now) - 1;
            let mut due: BTreeSet<(i64, u32)> = BTreeSet::new();
            for m in measures {
                let shape = program.measures[*m].shape;
                let at = self.aligned(first, shape, close);
                due.extend(self.state.closes[*m].keys(shape, at).map(|key| (close, key)));
                // The closes of another cut lie within those of the first.
                let changed = self.state.closes[*m].changed(shape, at);
                due.extend(changed.map(|(c, key)| (first.panes.of(shape.panes.start(c + 1) - 1).min(close), key)));
            }
            // What was final at the border before may have lost panes since.
            let before = first.panes.start(close);
            due.retain(|(c, _)| *c == close || !is_final(first, lateness, *c, before));
            let mut by_close: BTreeMap<i64, BTreeSet<u32>> = BTreeMap::new();
            for (c, key) in due {
                by_close.entry(c).or_default().insert(key);
            }
            for (c, keys) in by_close {
                let keys = self.in_text_order(node.set, keys);
                self.tell_close(i, c, &keys);
            }
            let said = &mut self.state.nodes[i].said;
            while let Some(oldest) = said.first_entry()
                && is_final(first, lateness, oldest.key().0, now)
            {
                oldest.remove();
            }
        }
        for (spec, closes) in program.measures.iter().zip(&mut self.state.closes) {
            if let Some(lateness) = spec.closes
                && spec.shape.panes.start(spec.shape.panes.of(now)) == now
            {
                closes.told(spec.shape, lateness, now);
            }
        }
    }

    /// The pane of another shape that ends where a pane of the first does.
    fn aligned(&self, first: Shape, other: Shape, close: i64) -> i64 {
        other.panes.of(first.panes.start(close + 1) - 1)
    }

    /// Values of one close for keys in order: evaluated together, sent one by one.
    fn tell_close(&mut self, node: usize, close: i64, keys: &[u32]) {
        let program = self.program.clone();
        let n = &program.nodes[node];
        let Kinded::Measure { measures, value, value_measure, schema } = &n.kind else { return };
        let Some(first) = measures.first().map(|m| program.measures[*m].shape) else { return };
        let columns: Vec<Vec<f64>> = measures
            .iter()
            .map(|m| {
                let spec = &program.measures[*m];
                let at = self.aligned(first, spec.shape, close);
                let closes = &self.state.closes[*m];
                let value = |key: &u32| closes.value((spec.shape, spec.function), at, *key).unwrap_or(f64::NAN);
                keys.iter().map(value).collect()
            })
            .collect();
        let values = match (value, value_measure) {
            (Some(expression), _) => over_measures(expression, schema, &columns, keys.len()),
            (None, Some(m)) => columns[*m].clone(),
            (None, None) => return,
        };
        let window_end = first.panes.start(close + 1);
        let space = program.spaces[n.space].clone();
        for (key, value) in keys.iter().zip(values) {
            let now = Some(value).filter(|v| !v.is_nan()).or((n.rule.on_null == OnNull::Zero).then_some(0.0));
            let said = self.state.nodes[node].said.get(&(close, *key)).copied();
            let revision = match said {
                Some((_, before)) if before.map(f64::to_bits) == now.map(f64::to_bits) => continue,
                Some((revision, _)) => revision + 1,
                None => 1,
            };
            self.state.nodes[node].said.insert((close, *key), (revision, now));
            let text = self.key_text(n.set, *key).replace(JOINT, "/");
            let value = Value {
                record_id: record_id(&["value", &n.id, &space, &text, &window_end.to_string()]),
                revision,
                indicator: n.id.clone(),
                space: space.clone(),
                key: text,
                value: now,
                window_end,
                subject: crate::engine::Subject::default(),
            };
            self.send_value(node, *key, value);
        }
    }
}
