//! Runs the tests of rules through the real path: envelope, intake, log, engine.
//!
//! In: a checked pack and the tests of a file. Out: per test the changes of the indicator's warnings beside those that
//! were expected. Time: log time begins at the test's start; each row comes in at its own time, and time goes on in
//! small steps, so that signals reach their readers as soon as they would in a running system.
//! Not here: reading test files (`pack::TestFile`), printing (`cli`).

use super::{Clock, Embedded, EmbeddedError, Stamp, Step, Store};
use crate::engine::{Program, ProgramError};
use crate::intake::{MapError, Mapper, Message, Options};
use crate::pack::{Expected, Fields, Pack, Span, TestCase};
use crate::record::{Kind, Millis, columns, time};
use crate::response::Warning;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;

/// How the rows of a test come in. The answer must not depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Log partitions.
    pub partitions: u32,
    /// Each row comes so many times.
    pub times: u32,
}

impl Delivery {
    /// Once, in one partition.
    pub const PLAIN: Delivery = Delivery { partitions: 1, times: 1 };
}

/// A test that could not be run.
#[derive(Debug, thiserror::Error)]
pub enum RuleTestError {
    /// The pack has no such indicator.
    #[error("the pack has no indicator {0}")]
    Indicator(String),
    /// No source takes records of our own form of a kind.
    #[error("the pack has no envelope source of kind {0}")]
    Source(&'static str),
    /// The pack does not compile.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// A source cannot be used.
    #[error(transparent)]
    Map(#[from] MapError),
    /// The run failed.
    #[error(transparent)]
    Run(#[from] EmbeddedError),
}

/// What came of a test.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Expected and found changes side by side; the second is `None` where nothing came, the first where nothing was
    /// expected.
    pub lines: Vec<(Option<String>, Option<String>)>,
    /// Number of the first line that differs.
    pub first_difference: Option<usize>,
    /// Rows of the test that did not become records, with the reason: the test itself is at fault.
    pub refused: Vec<String>,
}

impl Verdict {
    /// True when every change was expected and every row was taken.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.first_difference.is_none() && self.refused.is_empty()
    }

    /// The timeline as text: expected, found, the first difference marked.
    #[must_use]
    pub fn timeline(&self) -> String {
        let mut out = String::new();
        for refused in &self.refused {
            writeln!(out, "      {refused}").expect("writing to a string");
        }
        let all = self.lines.iter().map(|(e, _)| e.as_deref().unwrap_or("-").chars().count());
        let width = all.max().unwrap_or(0).max(24);
        writeln!(out, "      {:<width$}  found", "expected").expect("writing to a string");
        for (i, (expected, found)) in self.lines.iter().enumerate() {
            let mark = if self.first_difference == Some(i) { "->" } else { "  " };
            let (expected, found) = (expected.as_deref().unwrap_or("-"), found.as_deref().unwrap_or("-"));
            writeln!(out, "   {mark} {expected:<width$}  {found}").expect("writing to a string");
        }
        out
    }
}

/// Runs tests of one pack.
pub struct RuleTests {
    pack: Arc<Pack>,
    program: Arc<Program>,
    /// Source of our own form by kind.
    sources: BTreeMap<Kind, String>,
}

/// One row on its way in.
struct Coming {
    at: Millis,
    kind: Kind,
    payload: Vec<u8>,
}

/// The raw partition that the test stands for.
const RAW: &str = "test/0";

impl RuleTests {
    /// Compiles a pack once for all its tests.
    ///
    /// # Errors
    /// When it does not compile.
    pub fn new(pack: Arc<Pack>) -> Result<RuleTests, RuleTestError> {
        let program = Arc::new(Program::new(&pack)?);
        let own = pack.sources.values().filter(|s| s.envelope).map(|s| (s.kind, s.name.clone()));
        Ok(RuleTests { sources: own.collect(), pack, program })
    }

    /// The pack.
    #[must_use]
    pub fn pack(&self) -> &Arc<Pack> {
        &self.pack
    }

    /// Runs one test of an indicator.
    ///
    /// # Errors
    /// When the pack cannot run it; a failing test is no error.
    pub fn run(&self, indicator: &str, test: &TestCase, delivery: Delivery) -> Result<Verdict, RuleTestError> {
        let mut refused = Vec::new();
        let changes = self.changes(indicator, test, delivery, &mut refused)?;
        Ok(compare(test, &changes, refused))
    }

    /// Every change of the indicator's warnings, in the order it is told.
    fn changes(
        &self,
        indicator: &str,
        test: &TestCase,
        delivery: Delivery,
        refused: &mut Vec<String>,
    ) -> Result<Vec<Warning>, RuleTestError> {
        let options = Options { partitions: delivery.partitions, clock: Clock::Wall, secret: b"test".to_vec() };
        let mut mappers: BTreeMap<Kind, Mapper> = BTreeMap::new();
        let mut run = Embedded::with_program(
            self.pack.clone(),
            self.program.clone(),
            &options,
            vec![RAW.to_owned()],
            Store::memory(),
        )?;
        let mut all: Vec<Warning> = Vec::new();
        let (registry, rows) = self.rows(indicator, test)?;
        let mut offset = 0;
        let mut feed = |run: &mut Embedded, row: &Coming, stamp: Stamp| -> Result<Step, RuleTestError> {
            let source = self.sources.get(&row.kind).ok_or(RuleTestError::Source(row.kind.word()))?;
            let mapper = match mappers.entry(row.kind) {
                std::collections::btree_map::Entry::Occupied(at) => at.into_mut(),
                std::collections::btree_map::Entry::Vacant(at) => at.insert(Mapper::new(&self.pack, source, &options)?),
            };
            let raw: Arc<str> = RAW.into();
            mapper.push(&Message { raw: &raw, origin: "test", offset, payload: Some(&row.payload) }, row.at);
            offset += 1;
            let mapped = mapper.take();
            for letter in &mapped.dead_letters {
                let field = letter.field.as_deref().unwrap_or("-");
                refused.push(format!(
                    "refused at {}: {} {field}: {}",
                    Span(row.at - test.start),
                    letter.reason,
                    letter.detail
                ));
            }
            let unlisted: BTreeSet<&String> = mapped.unlisted.keys().collect();
            refused.extend(unlisted.into_iter().map(|name| format!("no record of this kind has a field {name}")));
            Ok(run.commit(&stamp, &[(mapped.source, mapped.rows)], &BTreeMap::new())?)
        };
        for row in registry.iter().flat_map(|row| std::iter::repeat_n(row, delivery.times as usize)) {
            // Before the first mark time stands still: the registry is there when it begins to move.
            all.extend(feed(&mut run, row, Stamp { wall: row.at, ..Stamp::default() })?.warnings);
        }
        let mut now = test.start;
        all.extend(run.commit(&stamp(now), &[], &BTreeMap::new())?.warnings);
        for row in rows.iter().flat_map(|row| std::iter::repeat_n(row, delivery.times as usize)) {
            all.extend(pass(&mut run, now, row.at)?);
            now = row.at;
            all.extend(feed(&mut run, row, stamp(now))?.warnings);
        }
        // Models wait for readings that might still come.
        let held = self.program.longest_hold();
        let end = test.ticks.map(|end| test.start + end.millis()).or((held > 0).then_some(now + held));
        if let Some(end) = end {
            all.extend(pass(&mut run, now, end)?);
        }
        all.extend(run.finish()?.warnings);
        all.retain(|w| w.indicator.id == indicator);
        Ok(all)
    }

    /// Registry rows, and the other rows in the order in which they come in.
    fn rows(&self, indicator: &str, test: &TestCase) -> Result<(Vec<Coming>, Vec<Coming>), RuleTestError> {
        let rule = self.pack.indicators.get(indicator).ok_or_else(|| RuleTestError::Indicator(indicator.to_owned()))?;
        let industry = rule.industry.clone().unwrap_or_default();
        let lead = rule.to.lead.clone();
        let lead = lead.or_else(|| self.pack.industries.get(&industry).map(|i| i.lead.clone())).unwrap_or_default();
        let mut number = 0;
        let mut coming = |at: Millis, kind: Option<Kind>, parts: &[&Fields]| -> Coming {
            number += 1;
            let mut fields = Fields::new();
            let mut put = |name: &str, value: Value| {
                fields.insert(name.to_owned(), value);
            };
            put("record_id", json!(format!("t{number:05}")));
            put("revision", json!(1));
            put("source_system", json!("test"));
            put("source_dept", json!(lead));
            put("industry", json!(industry));
            put("region", json!("371102"));
            put("occurred_at", json!(time::rfc3339(at)));
            if let Some(kind) = kind {
                put("kind", json!(kind.word()));
            }
            let said = parts.iter().rev().find_map(|p| p.get("kind")).or(fields.get("kind")).and_then(Value::as_str);
            let kind = Kind::OUTSIDE.into_iter().find(|k| said == Some(k.word())).unwrap_or(Kind::Supervision);
            let known: BTreeSet<&str> = columns(kind).iter().filter_map(|c| c.path.split('.').next()).collect();
            for (i, part) in parts.iter().enumerate() {
                for (name, value) in *part {
                    // Defaults serve rows of several kinds; what a row itself says must be of its kind.
                    if i + 1 == parts.len() || name == "kind" || known.contains(name.as_str()) {
                        fields.insert(name.clone(), value.clone());
                    }
                }
            }
            Coming { at, kind, payload: Value::Object(fields).to_string().into_bytes() }
        };
        let day_before = test.start - time::DAY;
        let registry = test.registry.iter().map(|r| coming(day_before, Some(Kind::Registry), &[r])).collect();
        let mut rows: Vec<(Millis, Coming)> = Vec::new();
        let mut latest = Millis::MIN;
        for row in &test.rows {
            let at = test.start + row.at.millis();
            // A row below a newer one comes late.
            latest = latest.max(at);
            rows.push((latest, coming(at, None, &[&test.defaults, &row.fields])));
        }
        for series in &test.series {
            for (i, value) in series.value.iter().enumerate() {
                let Some(value) = value else { continue };
                let at = test.start + series.from.millis() + series.every.millis() * i as Millis;
                let mut own = series.with.clone();
                own.insert("value".to_owned(), json!(value));
                rows.push((at, coming(at, None, &[&test.defaults, &own])));
            }
        }
        rows.sort_by_key(|(comes, _)| *comes);
        let rows = rows.into_iter().map(|(comes, row)| Coming { at: comes, ..row }).collect();
        Ok((registry, rows))
    }
}

fn stamp(at: Millis) -> Stamp {
    Stamp { wall: at, marks: [(RAW.to_owned(), at)].into(), blind: Vec::new() }
}

/// Lets time pass from `from` up to `to`, in steps small enough for signals to arrive in between.
fn pass(run: &mut Embedded, from: Millis, to: Millis) -> Result<Vec<Warning>, EmbeddedError> {
    let step = match to - from {
        n if n <= 2 * HOUR => HOUR / 60,
        n if n <= 10 * time::DAY => HOUR,
        _ => time::DAY,
    };
    let mut all = Vec::new();
    let mut now = from;
    while now < to {
        now = (now + step).min(to);
        all.extend(run.commit(&stamp(now), &[], &BTreeMap::new())?.warnings);
    }
    Ok(all)
}

const HOUR: Millis = 3_600_000;

fn compare(test: &TestCase, found: &[Warning], refused: Vec<String>) -> Verdict {
    let mut verdict = Verdict { lines: Vec::new(), first_difference: None, refused };
    for i in 0..test.expect.len().max(found.len()) {
        let (expected, found) = (test.expect.get(i), found.get(i));
        let same = match (expected, found) {
            (Some(expected), Some(found)) => fits(test, expected, found),
            _ => false,
        };
        if !same && verdict.first_difference.is_none() {
            verdict.first_difference = Some(i);
        }
        verdict.lines.push((expected.map(wanted), found.map(|w| seen(test, w))));
    }
    verdict
}

fn fits(test: &TestCase, e: &Expected, w: &Warning) -> bool {
    let near = |a: f64, b: Option<f64>| b.is_some_and(|b| (a - b).abs() <= 1e-6 * a.abs().max(1.0));
    test.start + e.at.millis() == w.occurred.millis()
        && e.kind == w.kind
        && e.level.is_none_or(|l| l == w.level)
        && e.was.is_none_or(|l| Some(l) == w.was)
        && e.value.is_none_or(|v| near(v, w.value))
        && e.bound.is_none_or(|v| near(v, w.bound))
        && e.segment.as_ref().is_none_or(|s| Some(s) == w.segment.as_ref())
        && e.key.as_ref().is_none_or(|k| *k == w.key)
        && e.absent.is_none_or(|a| a == w.absent)
}

fn word(of: impl serde::Serialize) -> String {
    match serde_json::to_value(of) {
        Ok(Value::String(word)) => word,
        _ => String::new(),
    }
}

fn wanted(e: &Expected) -> String {
    let mut out = format!("{} {}", e.at, word(e.kind));
    let mut put = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            write!(out, " {name}{value}").expect("writing to a string");
        }
    };
    put("", e.level.map(|l| l.word().to_owned()));
    put("was ", e.was.map(|l| l.word().to_owned()));
    put("value ", e.value.map(|v| v.to_string()));
    put("bound ", e.bound.map(|v| v.to_string()));
    put("segment ", e.segment.clone());
    put("key ", e.key.clone());
    put("absent ", e.absent.map(|v| v.to_string()));
    out
}

fn seen(test: &TestCase, w: &Warning) -> String {
    let mut out = format!("{} {} {}", Span(w.occurred.millis() - test.start), word(w.kind), w.level.word());
    let mut put = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            write!(out, " {name}{value}").expect("writing to a string");
        }
    };
    put("was ", w.was.map(|l| l.word().to_owned()));
    put("value ", w.value.map(|v| format!("{}", (v * 1e6).round() / 1e6)));
    put("bound ", w.bound.map(|v| v.to_string()));
    put("segment ", w.segment.clone());
    put("key ", Some(w.key.clone()));
    put("", w.absent.then(|| "absent".to_owned()));
    out
}
