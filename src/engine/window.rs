//! Keeps the windows of measures: one partial aggregate a pane, or every row.
//!
//! In: values with key and event time, in log order; the log time. Out: each key's aggregate as of now.
//! A key's window ends at e = max(log time, its newest row) and holds (e - size, e]; a row counts whenever it arrives.
//! Promise: the aggregate after a row depends on the rows and log times before it alone, not on batches.
//! Not here: what the values mean (`level`), which rows count (`program`).
//! Cost: panes: 8 to 16 bytes per key and pane; rows: 24 bytes and a shared reference per row.

use super::evidence::Evidence;
use super::pane::Panes;
use crate::record::Millis;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What is kept of the rows in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Function {
    Count,
    Sum,
    Avg,
    Min,
    Max,
    Last,
    Distinct,
}

/// The shape of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Shape {
    /// How time is cut; aggregates are judged anew at each border.
    pub(crate) panes: Panes,
    /// Number of panes in the window.
    pub(crate) count: u32,
    /// Exact length, for kept rows; `None` for calendar windows.
    pub(crate) size: Option<Millis>,
}

impl Shape {
    /// The window (from, to] whose newest instant is `end`.
    pub(crate) fn bounds(&self, end: Millis) -> (Millis, Millis) {
        match self.size {
            Some(size) => (end.saturating_sub(size), end),
            None => (self.panes.start(self.panes.of(end) - i64::from(self.count) + 1) - 1, end),
        }
    }
}

/// One aggregate per key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Window {
    Panes(PaneWindow),
    Rows(RowWindow),
}

impl Window {
    pub(crate) fn new(shape: Shape, function: Function, rows: bool) -> Window {
        if rows || function == Function::Distinct {
            Window::Rows(RowWindow {
                shape,
                function,
                keys: Vec::new(),
                live: 0,
                newest: Vec::new(),
                journal: Journal::default(),
            })
        } else {
            Window::Panes(PaneWindow::new(shape, function))
        }
    }

    pub(crate) fn shape(&self) -> &Shape {
        match self {
            Window::Panes(w) => &w.shape,
            Window::Rows(w) => &w.shape,
        }
    }

    /// Makes room for keys below `len`.
    pub(crate) fn reserve(&mut self, len: usize) {
        match self {
            Window::Panes(w) => w.reserve(len),
            Window::Rows(w) => {
                w.keys.resize_with(len.max(w.keys.len()), Vec::new);
                w.newest.resize(len.max(w.newest.len()), Millis::MIN);
            }
        }
    }

    /// True when any key holds anything.
    pub(crate) fn any_live(&self) -> bool {
        match self {
            Window::Panes(w) => w.live > 0,
            Window::Rows(w) => w.live > 0,
        }
    }

    /// True when the key holds anything.
    pub(crate) fn live(&self, key: u32) -> bool {
        match self {
            Window::Panes(w) => w.rows.get(key as usize).is_some_and(|n| *n > 0),
            Window::Rows(w) => w.keys.get(key as usize).is_some_and(|rows| !rows.is_empty()),
        }
    }

    /// The aggregate of a key as it stands.
    pub(crate) fn value(&self, key: u32) -> Option<f64> {
        match self {
            Window::Panes(w) => w.value(key as usize),
            Window::Rows(w) => w.value(key as usize),
        }
    }

    /// How many rows the key's window holds; `row`: held when that row of the batch at work had been counted.
    pub(crate) fn rows(&self, key: u32, row: Option<usize>) -> u64 {
        match self {
            Window::Panes(w) => {
                let then = row.and_then(|row| w.after.get(row));
                then.or_else(|| w.rows.get(key as usize)).map_or(0, |n| u64::from(*n))
            }
            Window::Rows(_) => self.evidence(key, row).len() as u64,
        }
    }

    /// The kept references of a key's window, oldest first, as of a row like `rows`; none where panes are kept.
    pub(crate) fn evidence(&self, key: u32, row: Option<usize>) -> Vec<&Kept> {
        match self {
            Window::Panes(_) => Vec::new(),
            Window::Rows(w) => w.as_of(key, row),
        }
    }

    /// A batch of rows begins: until it ends, the window can tell what it held after each of them.
    pub(crate) fn begin(&mut self, len: usize) {
        match self {
            Window::Panes(w) => {
                w.after.clear();
                w.after.resize(len, 0);
            }
            Window::Rows(w) => w.journal = Journal { on: true, ..Journal::default() },
        }
    }

    /// What follows is due to this row of the batch.
    pub(crate) fn at_row(&mut self, row: usize) {
        if let Window::Rows(w) = self {
            w.journal.row = row;
        }
    }

    /// The row of the batch has been counted, or not.
    pub(crate) fn after_row(&mut self, row: usize, key: u32) {
        if let Window::Panes(w) = self {
            w.after[row] = w.rows[key as usize];
        }
    }

    /// The batch is over.
    pub(crate) fn end(&mut self) {
        match self {
            Window::Panes(w) => w.after.clear(),
            Window::Rows(w) => w.journal = Journal::default(),
        }
    }

    /// Moves a key's window forward to end at the pane of `to`, if it is behind. True when something left it.
    pub(crate) fn roll(&mut self, key: u32, to: Millis) -> bool {
        if to == Millis::MIN {
            // Time has not begun: nothing can be behind.
            return false;
        }
        match self {
            Window::Panes(w) => w.roll(key as usize, w.shape.panes.of(to)),
            Window::Rows(w) => w.expire(key as usize, to),
        }
    }

    /// Forgets a key.
    pub(crate) fn forget(&mut self, key: u32) {
        match self {
            Window::Panes(w) => w.reset(key as usize),
            Window::Rows(w) => {
                if let Some(rows) = w.keys.get_mut(key as usize) {
                    w.live -= usize::from(!rows.is_empty());
                    *rows = Vec::new();
                    w.newest[key as usize] = Millis::MIN;
                }
            }
        }
    }

    /// Bytes held, counted by our own fixed sizes.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Window::Panes(w) => w.amount.len() * 8 + w.count.len() * 4 + w.head.len() * 32,
            Window::Rows(w) => w.keys.len() * 32 + w.keys.iter().map(|rows| rows.len() * 40).sum::<usize>(),
        }
    }
}

/// Partial aggregates per key and pane, key by key, with the running aggregate of the whole window beside them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PaneWindow {
    pub(crate) shape: Shape,
    function: Function,
    /// Newest pane of each key.
    head: Vec<i64>,
    /// Rows in each key's window.
    rows: Vec<u32>,
    /// Aggregate of each key's whole window (sum, min or max; the newest value for last).
    total: Vec<f64>,
    /// Event time of the newest value, for last.
    newest: Vec<Millis>,
    /// [key * panes + pane mod panes]: rows in the pane.
    count: Vec<u32>,
    /// The same for sum, min, max or last; empty for count.
    amount: Vec<f64>,
    /// Keys with at least one row.
    live: usize,
    /// By row of the batch at work: rows in its key's window after it.
    #[serde(skip)]
    after: Vec<u32>,
}

impl PaneWindow {
    fn new(shape: Shape, function: Function) -> PaneWindow {
        PaneWindow {
            shape,
            function,
            head: Vec::new(),
            rows: Vec::new(),
            total: Vec::new(),
            newest: Vec::new(),
            count: Vec::new(),
            amount: Vec::new(),
            live: 0,
            after: Vec::new(),
        }
    }

    /// One more than the largest key number seen.
    pub(crate) fn keys(&self) -> u32 {
        self.head.len() as u32
    }

    fn panes(&self) -> usize {
        self.shape.count as usize
    }

    fn neutral(&self) -> f64 {
        match self.function {
            Function::Min => f64::INFINITY,
            Function::Max => f64::NEG_INFINITY,
            _ => 0.0,
        }
    }

    fn reserve(&mut self, len: usize) {
        if self.head.len() >= len {
            return;
        }
        let neutral = self.neutral();
        self.head.resize(len, i64::MIN);
        self.rows.resize(len, 0);
        self.total.resize(len, neutral);
        if self.function == Function::Last {
            self.newest.resize(len, Millis::MIN);
        }
        self.count.resize(len * self.panes(), 0);
        if self.function != Function::Count {
            self.amount.resize(len * self.panes(), neutral);
        }
    }

    fn reset(&mut self, key: usize) {
        if key >= self.head.len() {
            return;
        }
        let (n, neutral) = (self.panes(), self.neutral());
        self.live -= usize::from(self.rows[key] > 0);
        self.head[key] = i64::MIN;
        self.rows[key] = 0;
        self.total[key] = neutral;
        if let Some(newest) = self.newest.get_mut(key) {
            *newest = Millis::MIN;
        }
        self.count[key * n..(key + 1) * n].fill(0);
        if !self.amount.is_empty() {
            self.amount[key * n..(key + 1) * n].fill(neutral);
        }
    }

    fn roll(&mut self, key: usize, to: i64) -> bool {
        let head = self.head[key];
        if head >= to {
            return false;
        }
        self.head[key] = to;
        if self.rows[key] == 0 {
            return false;
        }
        let n = self.panes();
        let neutral = self.neutral();
        let steps = to.saturating_sub(head).min(n as i64);
        let mut left = 0;
        for step in 0..steps {
            let slot = key * n + (head + 1 + step).rem_euclid(n as i64) as usize;
            left += self.count[slot];
            self.count[slot] = 0;
            if let Some(amount) = self.amount.get_mut(slot) {
                *amount = neutral;
            }
        }
        if left == 0 {
            return false;
        }
        self.rows[key] -= left;
        if self.rows[key] == 0 {
            self.live -= 1;
            self.total[key] = neutral;
            if let Some(newest) = self.newest.get_mut(key) {
                *newest = Millis::MIN;
            }
        } else {
            self.recompute(key);
        }
        true
    }

    /// Sums the panes again, oldest first, so that no rounding of rows that left stays behind.
    fn recompute(&mut self, key: usize) {
        if matches!(self.function, Function::Count | Function::Last) {
            return;
        }
        let n = self.panes();
        let mut total = self.neutral();
        let oldest = self.head[key] + 1;
        for step in 0..n as i64 {
            let slot = key * n + (oldest + step).rem_euclid(n as i64) as usize;
            if self.count[slot] > 0 {
                total = self.merge(total, self.amount[slot]);
            }
        }
        self.total[key] = total;
    }

    fn merge(&self, a: f64, b: f64) -> f64 {
        match self.function {
            Function::Min => a.min(b),
            Function::Max => a.max(b),
            _ => a + b,
        }
    }

    /// Counts a value. False when it is too old for the window.
    #[inline]
    pub(crate) fn add(&mut self, key: u32, at: Millis, log_time: Millis, value: f64) -> bool {
        let key = key as usize;
        let pane = self.shape.panes.of(at);
        let end = self.head[key].max(self.shape.panes.of(log_time.max(at)));
        if end > self.head[key] {
            self.roll(key, end);
        }
        let n = self.panes();
        if pane <= end - n as i64 {
            return false;
        }
        let slot = key * n + pane.rem_euclid(n as i64) as usize;
        self.count[slot] += 1;
        self.live += usize::from(self.rows[key] == 0);
        self.rows[key] += 1;
        match self.function {
            Function::Count | Function::Distinct => {}
            Function::Last => {
                if at >= self.newest[key] {
                    self.newest[key] = at;
                    self.total[key] = value;
                }
            }
            _ => {
                self.amount[slot] = self.merge(self.amount[slot], value);
                self.total[key] = self.merge(self.total[key], value);
            }
        }
        true
    }

    fn value(&self, key: usize) -> Option<f64> {
        // A key that was never seen and one that holds nothing are the same: key numbers must not show.
        let rows = self.rows.get(key).copied().unwrap_or(0);
        match self.function {
            Function::Count => Some(f64::from(rows)),
            _ if rows == 0 => None,
            Function::Avg => Some(self.total[key] / f64::from(rows)),
            _ => Some(self.total[key]),
        }
    }
}

/// A row that is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) at: Millis,
    pub(crate) value: f64,
    /// Hash of the text whose distinct values are counted.
    pub(crate) distinct: u64,
    pub(crate) reference: Evidence,
}

/// What a batch of rows did to a window, so that it can be told what stood there after each row.
#[derive(Clone, Debug, Default)]
struct Journal {
    on: bool,
    row: usize,
    /// Row of the batch, key, what happened.
    moves: Vec<(usize, u32, Move)>,
}

#[derive(Clone, Debug)]
enum Move {
    Came(Evidence),
    Left(Kept),
}

/// Every row of each key's window, by event time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RowWindow {
    pub(crate) shape: Shape,
    function: Function,
    keys: Vec<Vec<Kept>>,
    /// Event time of the newest row of each key.
    newest: Vec<Millis>,
    live: usize,
    #[serde(skip)]
    journal: Journal,
}

impl RowWindow {
    /// One more than the largest key number seen.
    pub(crate) fn keys(&self) -> u32 {
        self.keys.len() as u32
    }

    fn expire(&mut self, key: usize, to: Millis) -> bool {
        let end = to.max(self.newest[key]);
        let (from, _) = self.shape.bounds(end);
        let rows = &mut self.keys[key];
        let gone = rows.partition_point(|row| row.at <= from);
        if gone == 0 {
            return false;
        }
        let gone = rows.drain(..gone);
        if self.journal.on {
            let row = self.journal.row;
            self.journal.moves.extend(gone.map(|kept| (row, key as u32, Move::Left(kept))));
        } else {
            drop(gone);
        }
        if rows.is_empty() {
            self.live -= 1;
            *rows = Vec::new();
        }
        true
    }

    /// Counts a row. False when it is too old for the window.
    pub(crate) fn add(&mut self, key: u32, log_time: Millis, row: Kept) -> bool {
        let key = key as usize;
        let end = self.newest[key].max(log_time).max(row.at);
        self.newest[key] = self.newest[key].max(row.at);
        self.expire(key, end);
        let (from, _) = self.shape.bounds(end);
        if row.at <= from {
            return false;
        }
        let rows = &mut self.keys[key];
        self.live += usize::from(rows.is_empty());
        let place = rows.partition_point(|other| other.at <= row.at);
        if self.journal.on {
            self.journal.moves.push((self.journal.row, key as u32, Move::Came(row.reference.clone())));
        }
        rows.insert(place, row);
        true
    }

    /// The rows of a key; with a row of the batch at work: as they were after it.
    fn as_of(&self, key: u32, row: Option<usize>) -> Vec<&Kept> {
        let mut held: Vec<&Kept> = self.keys.get(key as usize).into_iter().flatten().collect();
        let Some(row) = row else { return held };
        for (_, _, what) in self.journal.moves.iter().rev().filter(|(r, k, _)| *r > row && *k == key) {
            match what {
                Move::Came(reference) => held.retain(|kept| !Arc::ptr_eq(&kept.reference.0, &reference.0)),
                Move::Left(kept) => held.push(kept),
            }
        }
        held
    }

    fn value(&self, key: usize) -> Option<f64> {
        let rows = self.keys.get(key).map_or(&[][..], Vec::as_slice);
        match self.function {
            Function::Count => Some(rows.len() as f64),
            Function::Distinct => {
                let mut seen: Vec<u64> = rows.iter().map(|row| row.distinct).collect();
                seen.sort_unstable();
                seen.dedup();
                Some(seen.len() as f64)
            }
            _ if rows.is_empty() => None,
            Function::Sum => Some(rows.iter().map(|row| row.value).sum()),
            Function::Avg => Some(rows.iter().map(|row| row.value).sum::<f64>() / rows.len() as f64),
            Function::Min => rows.iter().map(|row| row.value).reduce(f64::min),
            Function::Max => rows.iter().map(|row| row.value).reduce(f64::max),
            Function::Last => rows.last().map(|row| row.value),
        }
    }
}
