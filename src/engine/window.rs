//! Keeps the windows of measures: one partial aggregate a pane, or every row.
//!
//! In: values with key and event time, in log order; the log time. Out: each key's aggregate as of now.
//! A key's window ends at e = max(log time, its newest row) and holds (e - size, e]; a row counts whenever it arrives.
//! Promise: the aggregate after a row depends on the rows and log times before it alone, not on batches.
//! Not here: what the values mean (`level`), which rows count (`program`).
//! Cost: panes: 4 to 12 bytes per pane and key that holds a row, 4 bytes for other keys; rows: 24 bytes and a shared
//! reference per row.

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
            Window::Panes(w) => w.places.len() > w.free.len(),
            Window::Rows(w) => w.live > 0,
        }
    }

    /// True when the key holds anything.
    pub(crate) fn live(&self, key: u32) -> bool {
        match self {
            Window::Panes(w) => w.place_of(key).is_some(),
            Window::Rows(w) => w.keys.get(key as usize).is_some_and(|rows| !rows.is_empty()),
        }
    }

    /// The keys that hold anything, in no order that means anything.
    pub(crate) fn live_keys(&self) -> Vec<u32> {
        match self {
            Window::Panes(w) => w.places.iter().map(|p| p.key).filter(|key| *key != NOWHERE).collect(),
            Window::Rows(w) => (0..w.keys.len() as u32).filter(|key| !w.keys[*key as usize].is_empty()).collect(),
        }
    }

    /// The aggregate of a key as it stands.
    pub(crate) fn value(&self, key: u32) -> Option<f64> {
        match self {
            Window::Panes(w) => w.value(key),
            Window::Rows(w) => w.value(key as usize),
        }
    }

    /// How many rows the key's window holds; `row`: held when that row of the batch at work had been counted.
    pub(crate) fn rows(&self, key: u32, row: Option<usize>) -> u64 {
        match self {
            Window::Panes(w) => {
                let now = || w.place_of(key).map_or(0, |place| w.places[place].rows);
                let then = row.filter(|_| !w.after.is_empty()).map(|row| {
                    let at = w.batch.binary_search(&(row as u32));
                    at.ok().and_then(|at| w.after.get(at)).copied().unwrap_or(0)
                });
                u64::from(then.unwrap_or_else(now))
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

    /// These rows of a batch begin: until it ends, the window can tell what it held after each of them.
    pub(crate) fn begin(&mut self, rows: &Arc<Vec<u32>>) {
        match self {
            Window::Panes(w) => {
                w.batch = rows.clone();
                w.after.clear();
                w.after.reserve(rows.len());
            }
            Window::Rows(w) => w.journal = Journal { on: true, ..Journal::default() },
        }
    }

    /// The next row of the batch has been counted, or not.
    pub(crate) fn after_row(&mut self, key: u32) {
        if let Window::Panes(w) = self {
            let rows = w.place_of(key).map_or(0, |place| w.places[place].rows);
            w.after.push(rows);
        }
    }

    /// The batch is over.
    pub(crate) fn end(&mut self) {
        match self {
            Window::Panes(w) => {
                w.after.clear();
                w.batch = Arc::default();
            }
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
            Window::Panes(w) => w.roll(key, w.shape.panes.of(to)),
            Window::Rows(w) => w.expire(key as usize, to),
        }
    }

    /// Forgets a key.
    pub(crate) fn forget(&mut self, key: u32) {
        match self {
            Window::Panes(w) => w.forget(key),
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
            Window::Panes(w) => w.amount.len() * 8 + w.count.len() * 4 + w.places.len() * 32 + w.place.len() * 4,
            Window::Rows(w) => w.keys.len() * 32 + w.keys.iter().map(|rows| rows.len() * 40).sum::<usize>(),
        }
    }
}

/// No place, no key.
const NOWHERE: u32 = u32::MAX;

/// Partial aggregates per key and pane, key by key, with the running aggregate of the whole window beside them. A key
/// has a place in the columns only while it holds a row: of the keys of a space most concern few indicators.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PaneWindow {
    pub(crate) shape: Shape,
    function: Function,
    /// Place of each key; [`NOWHERE`] when it holds nothing.
    place: Vec<u32>,
    places: Vec<Place>,
    /// Places without a key; their panes are empty.
    free: Vec<u32>,
    /// Event time of the newest value of each place, for last.
    newest: Vec<Millis>,
    /// [place * panes + pane mod panes]: rows in the pane.
    count: Vec<u32>,
    /// The same for sum, min, max or last; empty for count.
    amount: Vec<f64>,
    /// Rows of the batch at work, and how many rows their key's window held after each.
    #[serde(skip)]
    batch: Arc<Vec<u32>>,
    #[serde(skip)]
    after: Vec<u32>,
}

/// What is touched with every row of a key, in one piece of memory.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Place {
    /// Newest pane.
    head: i64,
    /// Aggregate of the whole window (sum, min or max; the newest value for last).
    total: f64,
    /// Rows in the window.
    rows: u32,
    key: u32,
}

/// Gives the pane of an instant; instants of one batch mostly lie in one.
#[derive(Debug)]
pub(crate) struct PaneFinder {
    panes: Panes,
    from: Millis,
    to: Millis,
    pane: i64,
}

impl PaneFinder {
    pub(crate) fn new(panes: Panes) -> PaneFinder {
        PaneFinder { panes, from: 0, to: 0, pane: 0 }
    }

    #[inline]
    pub(crate) fn of(&mut self, at: Millis) -> i64 {
        if at < self.from || at >= self.to {
            self.pane = self.panes.of(at);
            self.from = self.panes.start(self.pane);
            self.to = self.panes.start(self.pane + 1);
        }
        self.pane
    }
}

impl PaneWindow {
    fn new(shape: Shape, function: Function) -> PaneWindow {
        PaneWindow {
            shape,
            function,
            place: Vec::new(),
            places: Vec::new(),
            free: Vec::new(),
            newest: Vec::new(),
            count: Vec::new(),
            amount: Vec::new(),
            batch: Arc::default(),
            after: Vec::new(),
        }
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
        if self.place.len() < len {
            self.place.resize(len, NOWHERE);
        }
    }

    #[inline]
    fn place_of(&self, key: u32) -> Option<usize> {
        self.place.get(key as usize).filter(|place| **place != NOWHERE).map(|place| *place as usize)
    }

    /// A place for a key that has none.
    fn give_place(&mut self, key: u32, head: i64) -> usize {
        let new = Place { head, total: self.neutral(), rows: 0, key };
        let place = match self.free.pop() {
            Some(place) => place as usize,
            None => {
                let (neutral, n) = (self.neutral(), (self.places.len() + 1) * self.panes());
                self.places.push(new);
                self.count.resize(n, 0);
                if self.function != Function::Count {
                    self.amount.resize(n, neutral);
                }
                if self.function == Function::Last {
                    self.newest.push(Millis::MIN);
                }
                self.places.len() - 1
            }
        };
        self.places[place] = new;
        self.place[key as usize] = place as u32;
        place
    }

    /// Takes the place of a key whose panes are empty.
    fn free_place(&mut self, place: usize) {
        let key = std::mem::replace(&mut self.places[place].key, NOWHERE);
        self.place[key as usize] = NOWHERE;
        self.free.push(place as u32);
        if let Some(newest) = self.newest.get_mut(place) {
            *newest = Millis::MIN;
        }
    }

    fn forget(&mut self, key: u32) {
        let Some(place) = self.place_of(key) else { return };
        let (n, neutral) = (self.panes(), self.neutral());
        self.count[place * n..(place + 1) * n].fill(0);
        if !self.amount.is_empty() {
            self.amount[place * n..(place + 1) * n].fill(neutral);
        }
        self.free_place(place);
    }

    /// Moves a key's window forward to end at `now` at least.
    #[inline]
    pub(crate) fn move_to(&mut self, key: u32, now: i64) {
        if self.place_of(key).is_some_and(|place| self.places[place].head < now) {
            self.roll(key, now);
        }
    }

    fn roll(&mut self, key: u32, to: i64) -> bool {
        let Some(place) = self.place_of(key) else { return false };
        let left = self.roll_place(place, to);
        if self.places[place].rows == 0 {
            self.free_place(place);
        }
        left
    }

    /// Moves a place forward to end at a pane. True when something left it.
    fn roll_place(&mut self, place: usize, to: i64) -> bool {
        let head = self.places[place].head;
        if head >= to {
            return false;
        }
        self.places[place].head = to;
        let n = self.panes();
        let neutral = self.neutral();
        let steps = to.saturating_sub(head).min(n as i64);
        let mut slot = (head + 1).rem_euclid(n as i64) as usize;
        let mut left = 0;
        for _ in 0..steps {
            let at = place * n + slot;
            left += self.count[at];
            self.count[at] = 0;
            if let Some(amount) = self.amount.get_mut(at) {
                *amount = neutral;
            }
            slot = if slot + 1 == n { 0 } else { slot + 1 };
        }
        if left == 0 {
            return false;
        }
        self.places[place].rows -= left;
        if self.places[place].rows > 0 {
            self.recompute(place);
        } else {
            self.places[place].total = neutral;
            if let Some(newest) = self.newest.get_mut(place) {
                *newest = Millis::MIN;
            }
        }
        true
    }

    /// Sums the panes again, oldest first, so that no rounding of rows that left stays behind.
    fn recompute(&mut self, place: usize) {
        if matches!(self.function, Function::Count | Function::Last) {
            return;
        }
        let n = self.panes();
        let mut total = self.neutral();
        let oldest = (self.places[place].head + 1).rem_euclid(n as i64) as usize;
        let (counts, amounts) = (&self.count[place * n..(place + 1) * n], &self.amount[place * n..(place + 1) * n]);
        for slot in (oldest..n).chain(0..oldest) {
            if counts[slot] > 0 {
                total = self.merge(total, amounts[slot]);
            }
        }
        self.places[place].total = total;
    }

    #[inline]
    fn merge(&self, a: f64, b: f64) -> f64 {
        match self.function {
            Function::Min => a.min(b),
            Function::Max => a.max(b),
            _ => a + b,
        }
    }

    /// Counts a value that lies in `pane`. False when it is too old for the window.
    ///
    /// - `now`: the pane of the log time
    #[inline]
    pub(crate) fn add(&mut self, key: u32, at: Millis, pane: i64, now: i64, value: f64) -> bool {
        let n = self.panes();
        let place = match self.place_of(key) {
            Some(place) => {
                let end = now.max(pane);
                if end > self.places[place].head {
                    self.roll_place(place, end);
                }
                if pane <= self.places[place].head.saturating_sub(n as i64) {
                    if self.places[place].rows == 0 {
                        self.free_place(place);
                    }
                    return false;
                }
                place
            }
            None if pane <= now.saturating_sub(n as i64) => return false,
            None => self.give_place(key, now.max(pane)),
        };
        let slot = place * n + pane.rem_euclid(n as i64) as usize;
        self.count[slot] += 1;
        self.places[place].rows += 1;
        match self.function {
            Function::Count | Function::Distinct => {}
            Function::Last => {
                if at >= self.newest[place] {
                    self.newest[place] = at;
                    self.places[place].total = value;
                }
            }
            _ => {
                self.amount[slot] = self.merge(self.amount[slot], value);
                self.places[place].total = self.merge(self.places[place].total, value);
            }
        }
        true
    }

    #[inline]
    fn value(&self, key: u32) -> Option<f64> {
        // A key that was never seen and one that holds nothing are the same: key numbers must not show.
        let place = self.place_of(key).map(|place| &self.places[place]);
        match (self.function, place) {
            (Function::Count, _) => Some(place.map_or(0.0, |p| f64::from(p.rows))),
            (_, None) => None,
            (Function::Avg, Some(p)) => Some(p.total / f64::from(p.rows)),
            (_, Some(p)) => Some(p.total),
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
    /// What follows is due to this row of the batch: the key's window moves on to the log time.
    pub(crate) fn at_row(&mut self, key: u32, row: usize, log_time: Millis) {
        self.journal.row = row;
        if log_time != Millis::MIN {
            self.expire(key as usize, log_time);
        }
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
