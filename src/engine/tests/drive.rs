//! Logs out of data, and engines run over them.
//!
//! A log is a list of steps: time reached, rows, and what the engine fed back to itself. `entries` lays the steps out as
//! frames, cut wherever a test wants; `run` applies entries and keeps what came about.

use crate::engine::{Change, Engine, Outcomes, Program, Signal, Value};
use crate::log::{Block, Entry, Frame, Stamp};
use crate::record::{Kind, Millis, columns};
use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, TimestampMillisecondArray, new_null_array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) const SECOND: Millis = 1_000;
pub(super) const MINUTE: Millis = 60 * SECOND;
pub(super) const HOUR: Millis = 60 * MINUTE;
pub(super) const DAY: Millis = 24 * HOUR;
/// 2026-03-02 22:00 at +08:00: two hours before a calendar day ends.
pub(super) const START: Millis = 1_772_460_000_000;

/// One record, as little of it as the rules read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) kind: Kind,
    pub(super) at: Millis,
    pub(super) id: u32,
    pub(super) revision: i64,
    pub(super) object: u32,
    pub(super) sensor: u32,
    pub(super) value: Option<f64>,
    /// Chooses the word of the record: status, action, conclusion.
    pub(super) word: usize,
}

impl Row {
    /// A reading of an object's first sensor.
    pub(super) fn reading(at: Millis, id: u32, object: u32, value: f64) -> Row {
        Row { kind: Kind::Iot, at, id, revision: 1, object, sensor: 0, value: Some(value), word: 0 }
    }

    /// A registry record: the object is active.
    pub(super) fn registered(at: Millis, id: u32, object: u32) -> Row {
        Row { kind: Kind::Registry, at, id, revision: 1, object, sensor: 0, value: None, word: 0 }
    }

    fn pick(&self, words: &[&'static str]) -> Option<String> {
        Some(words[self.word % words.len()].to_owned())
    }

    fn text(&self, column: &str) -> Option<String> {
        let entity = format!("E{}", self.object / 2);
        match (column, self.kind) {
            ("record_id", _) => Some(format!("r{}", self.id)),
            ("source_system", _) => Some("feed".into()),
            ("source_dept", _) => Some(["market_regulation", "urban_management"][self.sensor as usize % 2].into()),
            ("industry", _) => Some("gas".into()),
            ("object_id", _) => Some(object(self.object)),
            ("entity_id", _) => Some(entity),
            ("region", _) => Some("371102".into()),
            ("street", _) => Some("371102001".into()),
            ("sensor_id", Kind::Iot) => Some(format!("s{}", self.sensor)),
            ("sensor_type", Kind::Iot) => Some("gas_lel".into()),
            ("location_id", Kind::Iot) => Some(format!("p{}", self.sensor / 2)),
            ("status", Kind::Iot) => self.pick(&["good", "good", "good", "good", "good", "suspect", "maintenance"]),
            ("status", Kind::Registry) => self.pick(&["active", "active", "active", "closed"]),
            ("name", Kind::Registry) | ("object_type", _) => Some("station".into()),
            ("action", Kind::Supervision) => self.pick(&["complaint", "penalty", "order", "report_filing"]),
            ("violation_code", Kind::Supervision) => Some(format!("v{}", self.sensor)),
            ("conclusion", Kind::Inspection) => self.pick(&["ordered_rectify", "no_issue", "follow_up"]),
            ("action", Kind::Licensing) => self.pick(&["revoke", "grant", "revoke"]),
            _ => None,
        }
    }

    fn number(&self, column: &str) -> Option<f64> {
        match column {
            "value" | "amount_cny" => self.value,
            "limits_hi" => Some(45.0),
            _ => None,
        }
    }

    /// Key spaces that the row goes to with its keys, the home copy first.
    fn keys(&self) -> Vec<(&'static str, String)> {
        let entity = format!("E{}", self.object / 2);
        let mut all = vec![("object", object(self.object))];
        if self.kind != Kind::Iot {
            all.push(("entity", entity));
        }
        if self.kind == Kind::Supervision {
            all.push(("street", "371102001".into()));
        }
        all
    }
}

pub(super) fn object(number: u32) -> String {
    format!("station:{number}")
}

/// Something that stands in the log.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Log time is this from here on.
    Time(Millis),
    /// A record.
    Row(Row),
    /// What the engine said to itself.
    Loop(Vec<Block>),
}

/// Blocks of rows that stand one behind the other: one a key space for each run of one kind.
fn blocks(rows: &[&Row]) -> Vec<Block> {
    let mut all = Vec::new();
    for run in rows.chunk_by(|a, b| a.kind == b.kind) {
        let kind = run[0].kind;
        for (number, (space, _)) in run[0].keys().iter().enumerate() {
            let keys = run.iter().map(|row| row.keys()[number].1.clone()).collect();
            all.push(Block {
                source: kind.word().into(),
                kind,
                space: (*space).into(),
                home: number == 0,
                rows: batch(kind, run, keys),
            });
        }
    }
    all
}

fn batch(kind: Kind, rows: &[&Row], keys: Vec<String>) -> RecordBatch {
    let mut fields = Vec::new();
    let mut arrays: Vec<ArrayRef> = Vec::new();
    for column in columns(kind) {
        let ty = column.ty.arrow();
        let array: ArrayRef = match (column.name, &ty) {
            ("occurred_at", _) => {
                let at = TimestampMillisecondArray::from_iter_values(rows.iter().map(|r| r.at));
                Arc::new(at.with_timezone("+08:00"))
            }
            ("revision", _) => Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.revision))),
            ("object_known", _) => Arc::new(BooleanArray::from(vec![true; rows.len()])),
            (name, DataType::Utf8) => Arc::new(StringArray::from_iter(rows.iter().map(|r| r.text(name)))),
            (name, DataType::Float64 | DataType::Decimal128(..)) => {
                let numbers: ArrayRef = Arc::new(Float64Array::from_iter(rows.iter().map(|r| r.number(name))));
                cast(&numbers, &ty).expect("small numbers fit into every number type")
            }
            _ => continue,
        };
        fields.push(column.field());
        arrays.push(array);
    }
    fields.push(Field::new(Block::KEY, DataType::Utf8, true));
    arrays.push(Arc::new(StringArray::from(keys)));
    fields.push(Field::new(Block::RAW, DataType::Utf8, true));
    arrays.push(new_null_array(&DataType::Utf8, rows.len()));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).expect("every array has one cell a row")
}

/// A stamp of two raw partitions that have been read through up to a time.
pub(super) fn stamp(at: Millis) -> Stamp {
    Stamp {
        wall: at,
        marks: [("iot/0", at), ("supervision/0", at)].map(|(r, t)| (r.to_owned(), t)).into(),
        blind: vec![],
    }
}

/// The steps as entries. `cut` says before which rows a new frame begins; time and what was fed back begin one anyway.
pub(super) fn entries(steps: &[Step], mut cut: impl FnMut(usize) -> bool) -> Vec<Entry> {
    let mut out = Vec::new();
    let mut now: Option<Stamp> = None;
    let mut waits = false;
    let mut rows: Vec<&Row> = Vec::new();
    fn flush(out: &mut Vec<Entry>, now: Option<&Stamp>, rows: &mut Vec<&Row>) -> bool {
        if rows.is_empty() {
            return false;
        }
        out.push(Entry::Rows(Frame { stamp: now.cloned(), pack: "test".into(), blocks: blocks(rows) }));
        rows.clear();
        true
    }
    for (number, step) in steps.iter().enumerate() {
        match step {
            Step::Row(row) => {
                if cut(number) && flush(&mut out, now.as_ref(), &mut rows) {
                    waits = false;
                }
                rows.push(row);
                continue;
            }
            Step::Time(_) | Step::Loop(_) => {
                if flush(&mut out, now.as_ref(), &mut rows) {
                    waits = false;
                }
                if waits {
                    out.extend(now.clone().map(Entry::Tick));
                    waits = false;
                }
            }
        }
        match step {
            Step::Time(at) => {
                now = Some(stamp(*at));
                waits = true;
            }
            Step::Loop(blocks) => {
                out.push(Entry::Loop(Frame { stamp: None, pack: "test".into(), blocks: blocks.clone() }));
            }
            Step::Row(_) => {}
        }
    }
    if !flush(&mut out, now.as_ref(), &mut rows) && waits {
        out.extend(now.map(Entry::Tick));
    }
    out
}

/// What a run brought about, in the order it did.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) changes: Vec<Change>,
    pub(super) signals: Vec<Signal>,
    pub(super) values: Vec<Value>,
    pub(super) loops: usize,
}

impl Seen {
    fn take(&mut self, mut out: Outcomes) {
        self.changes.append(&mut out.changes);
        self.signals.append(&mut out.signals);
        self.values.append(&mut out.values);
        self.loops += out.loops.values().map(Vec::len).sum::<usize>();
    }

    /// Everything, byte for byte, provenance too.
    pub(super) fn bytes(&self) -> String {
        let mut out = String::new();
        for line in
            self.changes.iter().map(json).chain(self.signals.iter().map(json)).chain(self.values.iter().map(json))
        {
            out.push_str(&line);
            out.push('\n');
        }
        out
    }

    /// Sorted by time, indicator and key, without provenance: what "the same warnings" means.
    pub(super) fn same(&self) -> Vec<String> {
        let mut changes = self.changes.clone();
        changes.sort_by(|a, b| {
            (a.at, &a.indicator, a.absent, &a.key, &a.warning_id, a.number).cmp(&(
                b.at,
                &b.indicator,
                b.absent,
                &b.key,
                &b.warning_id,
                b.number,
            ))
        });
        for change in &mut changes {
            change.log_range = (0, 0);
        }
        let mut signals = self.signals.clone();
        signals.sort_by(|a, b| (a.at, &a.indicator, &a.key, a.level_no).cmp(&(b.at, &b.indicator, &b.key, b.level_no)));
        let mut values = self.values.clone();
        values.sort_by(|a, b| (a.window_end, &a.indicator, &a.key).cmp(&(b.window_end, &b.indicator, &b.key)));
        changes.iter().map(json).chain(signals.iter().map(json)).chain(values.iter().map(json)).collect()
    }

    /// `time indicator kind level` of every change of one indicator, time in minutes since the start.
    pub(super) fn story(&self, indicator: &str) -> Vec<String> {
        let own = self.changes.iter().filter(|c| *c.indicator == *indicator);
        own.map(|c| {
            let what = serde_json::to_value(c.kind).expect("a kind is a word");
            let absent = if c.absent { " absent" } else { "" };
            let minute = (c.at - START).div_euclid(MINUTE);
            format!("{minute}m {} {}{absent} {}", c.key, what.as_str().unwrap_or_default(), c.level.word())
        })
        .collect()
    }
}

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("outcomes are plain data")
}

/// Applies entries; positions go on where the engine stands.
pub(super) fn apply(engine: &mut Engine, entries: &[Entry]) -> Seen {
    let mut seen = Seen::default();
    for entry in entries {
        let position = engine.position();
        seen.take(engine.apply(entry, position));
    }
    seen
}

/// A fresh engine of one partition run over entries.
pub(super) fn run(program: &Arc<Program>, entries: &[Entry]) -> (Engine, Seen) {
    let mut engine = Engine::new(program.clone(), 0, 1);
    let seen = apply(&mut engine, entries);
    (engine, seen)
}

/// Runs rows and times, and writes what the engine says to itself into the log before time goes on, as a commit does.
pub(super) fn looped(program: &Arc<Program>, steps: &[Step]) -> Vec<Step> {
    let mut engine = Engine::new(program.clone(), 0, 1);
    let mut log: Vec<Step> = Vec::new();
    let mut waiting: Vec<Block> = Vec::new();
    let mut at: Option<Millis> = None;
    let mut feed = |step: &Step, at: Option<Millis>, waiting: &mut Vec<Block>| {
        let mut lone = Vec::new();
        if matches!(step, Step::Row(_)) {
            lone.extend(at.map(Step::Time));
        }
        lone.push(step.clone());
        for entry in entries(&lone, |_| false) {
            let position = engine.position();
            let out: BTreeMap<u32, Vec<Block>> = engine.apply(&entry, position).loops;
            waiting.extend(out.into_values().flatten());
        }
    };
    for step in steps {
        if let Step::Time(time) = step {
            while !waiting.is_empty() {
                let told = Step::Loop(std::mem::take(&mut waiting));
                feed(&told, at, &mut waiting);
                log.push(told);
            }
            at = Some(*time);
        }
        feed(step, at, &mut waiting);
        log.push(step.clone());
    }
    log
}
