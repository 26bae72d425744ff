//! Keeps, for measures whose values are sent as records, what each pane held, so that a close can be told exactly and
//! told again when late rows change it.
//!
//! In: the rows that a measure counts, by event time. Out: the aggregate of the window that ended at a close.
//! Promise: the value of a close depends on the rows of its window alone, also when a key's newest row is ahead of log
//! time; a close is final once it is older than the source's lateness.
//! Not here: the window as of now (`window`), sending (`methods/close`).

use super::window::{Function, Shape};
use crate::record::Millis;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What one key had in one pane.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Part {
    rows: u32,
    /// Sum, least, greatest or newest value.
    amount: f64,
    /// Event time of the newest value.
    newest: Millis,
    /// Hashes of the texts seen, ascending; for distinct.
    texts: Vec<u64>,
}

impl Part {
    fn merge(&mut self, function: Function, other: &Part) {
        if self.rows == 0 {
            *self = other.clone();
            return;
        }
        match function {
            Function::Count => {}
            Function::Sum | Function::Avg => self.amount += other.amount,
            Function::Min => self.amount = self.amount.min(other.amount),
            Function::Max => self.amount = self.amount.max(other.amount),
            Function::Last if other.newest >= self.newest => self.amount = other.amount,
            Function::Last => {}
            Function::Distinct => {
                self.texts.extend_from_slice(&other.texts);
                self.texts.sort_unstable();
                self.texts.dedup();
            }
        }
        self.rows += other.rows;
        self.newest = self.newest.max(other.newest);
    }
}

/// The panes of one measure that can still be told or told again.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Closes {
    panes: BTreeMap<i64, BTreeMap<u32, Part>>,
    /// Panes that rows entered after they had closed, since the last border.
    late: BTreeSet<(i64, u32)>,
}

/// One row as a measure counts it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted {
    pub(crate) at: Millis,
    pub(crate) value: f64,
    /// Hash of the text, for distinct.
    pub(crate) text: u64,
}

impl Closes {
    /// Takes a row in, unless every close that it belongs to is final.
    pub(crate) fn add(
        &mut self,
        (shape, function): (Shape, Function),
        lateness: Millis,
        key: u32,
        row: Counted,
        log_time: Millis,
    ) {
        let pane = shape.panes.of(row.at);
        if is_final(shape, lateness, pane + i64::from(shape.count) - 1, log_time) {
            return;
        }
        let texts = if function == Function::Distinct { vec![row.text] } else { Vec::new() };
        let part = Part { rows: 1, amount: row.value, newest: row.at, texts };
        self.panes.entry(pane).or_default().entry(key).or_default().merge(function, &part);
        if log_time != Millis::MIN && shape.panes.start(pane + 1) <= log_time {
            self.late.insert((pane, key));
        }
    }

    /// The aggregate of the window whose newest pane is `close`.
    pub(crate) fn value(&self, (shape, function): (Shape, Function), close: i64, key: u32) -> Option<f64> {
        let mut whole = Part::default();
        for parts in self.panes.range(close - i64::from(shape.count) + 1..=close).map(|(_, parts)| parts) {
            if let Some(part) = parts.get(&key) {
                whole.merge(function, part);
            }
        }
        match function {
            Function::Count => Some(f64::from(whole.rows)),
            Function::Distinct => Some(whole.texts.len() as f64),
            _ if whole.rows == 0 => None,
            Function::Avg => Some(whole.amount / f64::from(whole.rows)),
            _ => Some(whole.amount),
        }
    }

    /// Keys with rows in the window whose newest pane is `close`.
    pub(crate) fn keys(&self, shape: Shape, close: i64) -> impl Iterator<Item = u32> {
        let window = self.panes.range(close - i64::from(shape.count) + 1..=close);
        window.flat_map(|(_, parts)| parts.keys().copied())
    }

    /// Closes up to `close` that late rows changed, with their keys.
    pub(crate) fn changed(&self, shape: Shape, close: i64) -> impl Iterator<Item = (i64, u32)> {
        let span = i64::from(shape.count);
        self.late.iter().flat_map(move |(pane, key)| (*pane..(pane + span).min(close + 1)).map(|c| (c, *key)))
    }

    /// A border has been told: nothing is late any more, and what is final is let go.
    pub(crate) fn told(&mut self, shape: Shape, lateness: Millis, now: Millis) {
        self.late.clear();
        let span = i64::from(shape.count);
        while let Some(first) = self.panes.first_entry()
            && is_final(shape, lateness, first.key() + span - 1, now)
        {
            first.remove();
        }
    }

    /// True when the next border has something to tell.
    pub(crate) fn waits(&self, shape: Shape, now: Millis) -> bool {
        let pane = shape.panes.of(now);
        !self.late.is_empty() || self.panes.last_key_value().is_some_and(|(p, _)| p + i64::from(shape.count) > pane)
    }

    /// True when a key is held.
    pub(crate) fn holds(&self, key: u32) -> bool {
        self.panes.values().any(|parts| parts.contains_key(&key))
    }

    /// Bytes held, counted by our own fixed sizes.
    pub(crate) fn bytes(&self) -> usize {
        self.panes.values().map(|parts| parts.values().map(|p| 48 + p.texts.len() * 8).sum::<usize>()).sum()
    }
}

/// True when a close is so old that nothing changes it any more.
pub(crate) fn is_final(shape: Shape, lateness: Millis, close: i64, now: Millis) -> bool {
    now != Millis::MIN && shape.panes.start(close + 1).saturating_add(lateness) <= now
}
