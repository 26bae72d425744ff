//! `measure`: shared windows are updated row by row; then each indicator judges its value after each row.

use super::super::batch::Batch;
use super::super::closes::Counted;
use super::super::core::{Engine, NODE};
use super::super::evidence::Evidence;
use super::super::level::Test;
use super::super::program::{Kinded, Node};
use super::super::window::{Function, Kept, PaneFinder, Window};
use super::Known;
use crate::pack::OnNull;
use crate::pack::expression::Expression;
use crate::record::Millis;
use arrow::array::{Array, ArrayRef, Float64Array};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// What a measure was after each row that it reads.
struct After {
    /// The key's aggregate after the row (NaN: none), a value for each selected row.
    values: Vec<f64>,
    range: Range,
    /// Rows with a key after which there was no aggregate.
    nulls: u64,
}

/// The least and greatest of some numbers; the wrong way round when there are none.
#[derive(Clone, Copy, Debug)]
struct Range {
    low: f64,
    high: f64,
}

impl Range {
    const NONE: Range = Range { low: f64::INFINITY, high: f64::NEG_INFINITY };

    #[inline]
    fn take(&mut self, value: f64) {
        self.low = self.low.min(value);
        self.high = self.high.max(value);
    }

    /// False when the test holds for none of the numbers.
    fn may_hold(self, test: Test) -> bool {
        self.low <= self.high && (test.holds(self.low) || test.holds(self.high))
    }
}

impl Engine {
    /// Updates every measure that reads this batch, then judges every indicator over them.
    /// Returns per row: how many windows were offered it, how many counted it.
    pub(in super::super) fn measures(&mut self, batch: &mut Batch<'_>, space: usize) -> Vec<(u32, u32)> {
        let program = self.program.clone();
        let mut touched = vec![(0, 0); batch.len()];
        let mut after: Vec<Option<After>> = Vec::new();
        for (m, spec) in program.measures.iter().enumerate() {
            let reads = program.sets[spec.set].space == space && batch.is_of(&program.views[spec.view].source);
            after.push(reads.then(|| self.update(batch, m, &mut touched)));
        }
        for (i, node) in program.nodes.iter().enumerate() {
            if let Kinded::Measure { measures, .. } = &node.kind
                && measures.first().is_some_and(|m| after[*m].is_some())
            {
                self.judge_measure(batch, i, &after);
            }
        }
        for (window, _) in self.state.windows.iter_mut().zip(&after).filter(|(_, after)| after.is_some()) {
            window.end();
        }
        touched
    }

    /// Updates one window row by row.
    fn update(&mut self, batch: &mut Batch<'_>, m: usize, touched: &mut [(u32, u32)]) -> After {
        let program = self.program.clone();
        let spec = &program.measures[m];
        let keys = self.keys_of(batch, spec.set, None);
        let selected = batch.selected(spec.filter);
        let mut out = After { values: Vec::new(), range: Range::NONE, nulls: 0 };
        if selected.is_empty() {
            return out;
        }
        let only = spec.only.map(|e| batch.mask(Some(e)));
        let text = spec.function == Function::Distinct;
        let numbers = if text { None } else { spec.input.and_then(|e| batch.numbers(e)) };
        let texts = if text { spec.input.and_then(|e| batch.texts(e)) } else { None };
        let log_time = self.state.log_time;
        let reads: Vec<String> = if spec.keep_rows { reads_of(&program.nodes, m) } else { Vec::new() };
        let len = self.set_len(spec.set);
        let window = &mut self.state.windows[m];
        window.reserve(len);
        window.begin(&selected);
        let mut panes = PaneFinder::new(spec.shape.panes);
        let now = if log_time == Millis::MIN { i64::MIN } else { spec.shape.panes.of(log_time) };
        out.values.reserve(selected.len());
        let mut closes = Vec::new();
        for row in selected.iter() {
            let row = *row as usize;
            let key = keys[row];
            if key == NODE {
                window.after_row(key);
                out.values.push(f64::NAN);
                continue;
            }
            let counts = only.as_ref().is_none_or(|o| o[row]);
            let value = match (&numbers, &texts) {
                _ if !counts => None,
                (Some(n), _) if n.is_valid(row) && n.value(row).is_finite() => Some(n.value(row)),
                (Some(_), _) => spec.null_is_zero.then_some(0.0),
                (_, Some(t)) => t.is_valid(row).then_some(0.0),
                (None, None) => Some(0.0),
            };
            let at = batch.time(row);
            if let (Some(value), Some(_)) = (value, spec.closes) {
                let text = texts.as_ref().map_or(0, |t| xxh3_64(t.value(row).as_bytes()));
                closes.push((key, Counted { at, value, text }));
            }
            let counted = match window {
                Window::Panes(w) => {
                    w.move_to(key, now);
                    value.map(|value| w.add(key, at, panes.of(at), now, value))
                }
                Window::Rows(w) => {
                    w.at_row(key, row, log_time);
                    value.map(|value| {
                        let distinct = texts.as_ref().map_or(0, |t| xxh3_64(t.value(row).as_bytes()));
                        let reference = Evidence(Arc::new(batch.reference(row, &reads)));
                        w.add(key, log_time, Kept { at, value, distinct, reference })
                    })
                }
            };
            if let Some(counted) = counted {
                touched[row].0 += 1;
                touched[row].1 += u32::from(counted);
            }
            window.after_row(key);
            let value = window.value(key).unwrap_or(f64::NAN);
            if value.is_nan() {
                out.nulls += 1;
            } else {
                out.range.take(value);
            }
            out.values.push(value);
        }
        for (key, row) in closes {
            self.close_add(m, key, row);
        }
        out
    }

    fn judge_measure(&mut self, batch: &mut Batch<'_>, node: usize, after: &[Option<After>]) {
        let program = self.program.clone();
        let n = &program.nodes[node];
        let Kinded::Measure { measures, value, value_measure, schema } = &n.kind else { return };
        let selected = batch.selected(n.inputs[0].filter);
        if selected.is_empty() {
            return;
        }
        let quick = if n.segments.is_empty() && n.rows.is_empty() { n.ladders[0].quick } else { None };
        let zero = n.rule.on_null == OnNull::Zero;
        let each: Vec<&After> = measures.iter().filter_map(|m| after[*m].as_ref()).collect();
        if let (Some(test), Some(m)) = (quick, value_measure) {
            // Most indicators over most batches: no key stands at a level, and no value reaches the lowest bound.
            let nulls = each[*m].nulls;
            let reached = each[*m].range.may_hold(test) || (zero && nulls > 0 && test.holds(0.0));
            if !reached && self.state.nodes[node].busy.is_empty() {
                self.state.nodes[node].nulls += nulls;
                return;
            }
        }
        let keys = self.keys_of(batch, n.set, None);
        let len = self.set_len(n.set);
        self.state.nodes[node].reserve(n, len);
        let columns: Vec<&[f64]> = each.iter().map(|a| a.values.as_slice()).collect();
        let computed: Option<Vec<f64>> =
            value.as_ref().map(|expression| over_measures(expression, schema, &columns, selected.len()));
        let values: &[f64] = match (&computed, value_measure) {
            (Some(c), _) => c,
            (None, Some(m)) => &each[*m].values,
            (None, None) => return,
        };
        let noted = self.note_row(batch, node);
        let mut quantities = vec![None; measures.len() + 1];
        let mut nulls = 0;
        for (i, row) in selected.iter().enumerate() {
            let row = *row as usize;
            let key = keys[row];
            if key == NODE {
                continue;
            }
            let mut v = values[i];
            if v.is_nan() {
                nulls += 1;
                if !zero {
                    continue;
                }
                v = 0.0;
            }
            if let Some(test) = quick
                && !test.holds(v)
                && self.state.nodes[node].standing.idle(key)
            {
                continue;
            }
            self.remember(node, key, &noted, row);
            quantities[0] = Some(v);
            for (q, a) in quantities.iter_mut().skip(1).zip(&each) {
                *q = (!a.values[i].is_nan()).then_some(a.values[i]);
            }
            let known = Known { quantities: &quantities, ..Known::default() };
            self.judge(node, key, batch.time(row), &known, Some((batch, row)));
        }
        self.state.nodes[node].nulls += nulls;
    }

    /// The value and measures of a key as they stand.
    pub(in super::super) fn measure_quantities(&self, node: usize, key: u32) -> Vec<Option<f64>> {
        let n = &self.program.nodes[node];
        let Kinded::Measure { measures, value, value_measure, schema } = &n.kind else { return Vec::new() };
        let each: Vec<Option<f64>> = measures.iter().map(|m| self.state.windows[*m].value(key)).collect();
        let first = value_of(value.as_ref(), *value_measure, schema, &each);
        let first = first.or((n.rule.on_null == OnNull::Zero).then_some(0.0));
        std::iter::once(first).chain(each).collect()
    }

    /// Windows whose borders count: those that hold rows, and those of indicators with a key at a level, which must be
    /// judged on even when every window is empty.
    pub(in super::super) fn moving(&self) -> Vec<bool> {
        let mut moving: Vec<bool> = self.state.windows.iter().map(Window::any_live).collect();
        for (node, state) in self.program.nodes.iter().zip(&self.state.nodes) {
            if let (Kinded::Measure { measures, .. }, false) = (&node.kind, state.busy.is_empty()) {
                measures.iter().for_each(|m| moving[*m] = true);
            }
        }
        for (m, moving) in moving.iter_mut().enumerate() {
            *moving |= self.closes_wait(m);
        }
        moving
    }

    /// Every pane border that is due now: windows move on, and what changed or stands at a level is judged.
    pub(in super::super) fn borders(&mut self, now: Millis) {
        let program = self.program.clone();
        let at_border: Vec<bool> = self
            .state
            .windows
            .iter()
            .zip(self.moving())
            .map(|(w, moving)| {
                let panes = w.shape().panes;
                moving && panes.start(panes.of(now)) == now
            })
            .collect();
        if at_border.iter().any(|b| *b) {
            self.tell_closes(now);
            let mut changed: Vec<Vec<u32>> = vec![Vec::new(); at_border.len()];
            for (m, window) in self.state.windows.iter_mut().enumerate() {
                if at_border[m] {
                    changed[m] = window.live_keys();
                    changed[m].retain(|key| window.roll(*key, now));
                }
            }
            let mut ranges = BTreeMap::new();
            for (i, node) in program.nodes.iter().enumerate() {
                let Kinded::Measure { measures, .. } = &node.kind else { continue };
                if !measures.iter().any(|m| at_border[*m]) {
                    continue;
                }
                let mut keys: BTreeSet<u32> = self.state.nodes[i].busy.clone();
                let moved = measures.iter().flat_map(|m| changed[*m].iter().copied());
                match self.plain(i) {
                    None => keys.extend(moved),
                    // Only a key that stands at a level or reaches the lowest bound is worth a look. Whether any does
                    // is asked once for all indicators over the same measures.
                    Some((m, zero, test)) => {
                        let window = &self.state.windows[m];
                        let value = |key: u32| window.value(key).or(zero.then_some(0.0));
                        let range = ranges.entry((measures.clone(), m, zero)).or_insert_with(|| {
                            let mut range = Range::NONE;
                            moved.clone().filter_map(value).for_each(|v| range.take(v));
                            range
                        });
                        if range.may_hold(test) {
                            keys.extend(moved.filter(|key| value(*key).is_some_and(|v| test.holds(v))));
                        }
                    }
                }
                let keys = self.in_text_order(node.set, keys);
                self.judge_border(i, &keys, now);
            }
        }
        self.surges_at(now);
    }

    /// Judges keys at a pane border: their values are computed together, then each is judged.
    fn judge_border(&mut self, node: usize, keys: &[u32], now: Millis) {
        let program = self.program.clone();
        let n = &program.nodes[node];
        let Kinded::Measure { measures, value, value_measure, schema } = &n.kind else { return };
        let held = self.state.nodes[node].standing.level.len();
        let keys: Vec<u32> = keys.iter().copied().filter(|key| (*key as usize) < held).collect();
        let columns: Vec<Vec<f64>> = measures
            .iter()
            .map(|m| keys.iter().map(|key| self.state.windows[*m].value(*key).unwrap_or(f64::NAN)).collect())
            .collect();
        let values = match (value, value_measure) {
            (Some(expression), _) => over_measures(expression, schema, &columns, keys.len()),
            (None, Some(m)) => columns[*m].clone(),
            (None, None) => return,
        };
        let zero = n.rule.on_null == OnNull::Zero;
        let timer = Some(format!("due {} {now}", n.kind.word()));
        let mut quantities = vec![None; measures.len() + 1];
        for (i, key) in keys.iter().enumerate() {
            quantities[0] = Some(values[i]).filter(|v| !v.is_nan()).or(zero.then_some(0.0));
            if quantities[0].is_none() {
                // Missing data never clears.
                continue;
            }
            for (q, column) in quantities.iter_mut().skip(1).zip(&columns) {
                *q = Some(column[i]).filter(|v| !v.is_nan());
            }
            let known =
                Known { quantities: &quantities, sample: now, border: true, timer: timer.clone(), ..Known::default() };
            self.judge(node, *key, now, &known, None);
        }
    }

    /// For an indicator whose value is one measure and whose levels all need a comparison of it: the measure, whether
    /// none counts as zero, and the comparison of the lowest level.
    fn plain(&self, node: usize) -> Option<(usize, bool, Test)> {
        let n = &self.program.nodes[node];
        let Kinded::Measure { measures, value_measure: Some(m), .. } = &n.kind else { return None };
        let quick = if n.segments.is_empty() && n.rows.is_empty() { n.ladders[0].quick } else { None };
        Some((measures[*m], n.rule.on_null == OnNull::Zero, quick?))
    }

    /// Keys in the order of their texts, which is the same wherever they got their numbers.
    pub(super) fn in_text_order(&self, set: usize, keys: BTreeSet<u32>) -> Vec<u32> {
        let mut keys: Vec<u32> = keys.into_iter().collect();
        if keys.len() > 1 {
            keys.sort_by(|a, b| self.key_text(set, *a).cmp(self.key_text(set, *b)));
        }
        keys
    }
}

/// Values of an indicator over columns of its measures, one row each; NaN stands for none.
pub(super) fn over_measures<C: AsRef<[f64]>>(
    expression: &Expression,
    schema: &SchemaRef,
    columns: &[C],
    len: usize,
) -> Vec<f64> {
    let arrays = columns.iter().map(|c| {
        let each = c.as_ref().iter().map(|v| (!v.is_nan()).then_some(*v));
        let array: ArrayRef = Arc::new(Float64Array::from_iter(each));
        array
    });
    numbers_of(expression, schema, arrays.collect(), len)
}

/// The value of an indicator over its measures.
fn value_of(
    value: Option<&Expression>,
    value_measure: Option<usize>,
    schema: &SchemaRef,
    each: &[Option<f64>],
) -> Option<f64> {
    let Some(expression) = value else { return value_measure.and_then(|m| each[m]) };
    let arrays = each.iter().map(|v| {
        let array: ArrayRef = Arc::new(Float64Array::from(vec![*v]));
        array
    });
    let v = numbers_of(expression, schema, arrays.collect(), 1);
    v.first().copied().filter(|v| !v.is_nan())
}

/// Columns shown as evidence by the indicators that share a measure.
fn reads_of(nodes: &[Node], measure: usize) -> Vec<String> {
    let sharing =
        nodes.iter().filter(|n| matches!(&n.kind, Kinded::Measure { measures, .. } if measures.contains(&measure)));
    let mut all: Vec<String> = sharing.flat_map(|n| n.reads.iter().cloned()).collect();
    all.sort();
    all.dedup();
    all
}

fn numbers_of(expression: &Expression, schema: &SchemaRef, arrays: Vec<ArrayRef>, len: usize) -> Vec<f64> {
    let Ok(batch) = RecordBatch::try_new(schema.clone(), arrays) else { return vec![f64::NAN; len] };
    let evaluated = expression.evaluate(&batch);
    match evaluated.array.as_any().downcast_ref::<Float64Array>() {
        Some(a) => a.iter().map(|v| v.filter(|v| v.is_finite()).unwrap_or(f64::NAN)).collect(),
        None => vec![f64::NAN; len],
    }
}
