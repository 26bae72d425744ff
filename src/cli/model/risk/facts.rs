//! Reads files of records as facts of a scorecard.
//!
//! In: `SOURCE=PATH`. Out: facts in the order of their days; records told twice count once. A source that the
//! scorecard does not read is named on standard error and left.

use super::super::super::{CliError, replay};
use crate::intake::Options;
use crate::log::{Clock, FileInput, MergeInput};
use crate::model::{Risk, RiskFact};
use crate::pack::expression::{Expression, Want};
use crate::pack::{Pack, Sql};
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{Float64Type, Schema, TimestampMillisecondType};
use arrow::record_batch::RecordBatch;
use std::collections::BTreeSet;
use std::path::Path;

/// Records are days at +08:00.
const ZONE_MS: i64 = 8 * 3_600_000;
const DAY_MS: i64 = 86_400_000;

/// The facts of all files.
pub(super) fn read(pack: &Pack, risk: &Risk, records: &[String]) -> Result<Vec<RiskFact>, CliError> {
    let options = Options { partitions: 1, clock: Clock::Records, secret: replay::SECRET.to_vec() };
    let mut facts = Vec::new();
    for (number, argument) in records.iter().enumerate() {
        let (source, path) = argument
            .split_once('=')
            .ok_or_else(|| CliError::Usage(format!("\"{argument}\": a scorecard needs SOURCE=PATH")))?;
        let Some(place) = risk.sources().iter().position(|s| s == source) else {
            eprintln!("{source}: the model reads no records of it / 模型不使用该来源");
            continue;
        };
        if !pack.sources.contains_key(source) {
            return Err(CliError::Usage(format!("no source \"{source}\" in the pack, which the model reads")));
        }
        let (mut seen, mut dead) = (BTreeSet::new(), 0);
        let mut reader: Option<Reader> = None;
        for path in replay::files_of(Path::new(path))? {
            let mut input = FileInput::of_source(pack, source, number, &path, &options).map_err(CliError::stage)?;
            while let Some(piece) = input.next().map_err(CliError::stage)? {
                dead += piece.dead_letters.len();
                for (_, batch) in &piece.batches {
                    let reader = match &mut reader {
                        Some(reader) => reader,
                        none => none.insert(Reader::new(risk, place, &batch.schema())?),
                    };
                    reader.rows(risk, batch, &mut seen, &mut facts);
                }
            }
        }
        if dead > 0 {
            eprintln!("{source}: {dead} rows are no records and were not read / 行未成为记录");
        }
    }
    // By day, then source, then place in the file: the order of the arguments plays no part.
    facts.sort_by_key(|f: &RiskFact| (f.day, f.source));
    Ok(facts)
}

/// The compiled expressions of one source.
struct Reader {
    source: usize,
    key: Option<Expression>,
    id: Option<Expression>,
    groups: Vec<Option<Expression>>,
    place: Option<(Expression, Expression)>,
    events: Vec<(usize, Expression)>,
}

impl Reader {
    fn new(risk: &Risk, source: usize, schema: &Schema) -> Result<Reader, CliError> {
        let name = &risk.sources()[source];
        let record = &risk.card().records[name];
        let compile = |sql: &Sql, want: Want| {
            Expression::compile(&sql.0, schema, want)
                .map_err(|e| CliError::Usage(format!("{name}: {}: {}", sql.0, e.message)))
        };
        let text = |sql: &Option<Sql>| sql.as_ref().map(|s| compile(s, Want::Text)).transpose();
        let mut events = Vec::new();
        for (number, (event, of)) in risk.events().iter().enumerate() {
            if let Some(sql) = record.events.get(event).filter(|_| *of == source) {
                let truth = compile(sql, Want::Bool);
                events.push((number, truth.or_else(|_| compile(sql, Want::Number))?));
            }
        }
        let group = |g: &String| record.groups.get(g).map(|s| compile(s, Want::Text)).transpose();
        Ok(Reader {
            source,
            key: text(&record.key)?,
            id: text(&record.id)?,
            groups: risk.groups().iter().map(group).collect::<Result<_, _>>()?,
            place: match (&record.lat, &record.lon) {
                (Some(lat), Some(lon)) => Some((compile(lat, Want::Number)?, compile(lon, Want::Number)?)),
                _ => None,
            },
            events,
        })
    }

    fn rows(&self, risk: &Risk, batch: &RecordBatch, seen: &mut BTreeSet<String>, facts: &mut Vec<RiskFact>) {
        let times = batch.column_by_name("occurred_at").and_then(|c| c.as_primitive_opt::<TimestampMillisecondType>());
        let ids = batch.column_by_name("record_id").and_then(|c| c.as_string_opt::<i32>());
        let (Some(times), Some(ids)) = (times, ids) else { return };
        let value = |e: &Expression| e.evaluate(batch).array;
        let (key, id) = (self.key.as_ref().map(value), self.id.as_ref().map(value));
        let groups: Vec<Option<ArrayRef>> = self.groups.iter().map(|g| g.as_ref().map(value)).collect();
        let place = self.place.as_ref().map(|(lat, lon)| (value(lat), value(lon)));
        let events: Vec<(usize, ArrayRef)> = self.events.iter().map(|(n, e)| (*n, value(e))).collect();
        for row in 0..batch.num_rows() {
            if times.is_null(row) || !seen.insert(ids.value(row).to_owned()) {
                continue;
            }
            let Ok(day) = i32::try_from((times.value(row) + ZONE_MS).div_euclid(DAY_MS)) else { continue };
            facts.push(RiskFact {
                day,
                source: self.source,
                key: key.as_ref().and_then(|a| text(a, row)),
                id: id.as_ref().and_then(|a| text(a, row)),
                groups: groups.iter().map(|g| g.as_ref().and_then(|a| text(a, row))).collect(),
                at: place.as_ref().and_then(|(lat, lon)| Some((number(lat, row)?, number(lon, row)?))),
                events: events.iter().filter_map(|(n, a)| Some((*n, number(a, row)?))).collect(),
            });
        }
        debug_assert_eq!(groups.len(), risk.groups().len());
    }
}

fn text(array: &ArrayRef, row: usize) -> Option<String> {
    let array = array.as_string_opt::<i32>()?;
    (!array.is_null(row)).then(|| array.value(row).to_owned()).filter(|t| !t.is_empty())
}

fn number(array: &ArrayRef, row: usize) -> Option<f64> {
    if array.is_null(row) {
        return None;
    }
    match array.as_boolean_opt() {
        Some(truth) => Some(f64::from(u8::from(truth.value(row)))),
        None => array.as_primitive_opt::<Float64Type>().map(|a| a.value(row)),
    }
}
