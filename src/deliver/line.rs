//! Outcomes as lines of JSON, for files. Each ends without a newline; [`super::files::Outputs`] adds it.

use super::audience::for_centre;
use super::message::json;
use crate::engine::{Signal, Subject, Value};
use crate::log::DeadLetter;
use crate::record::Level;
use crate::response::{Time, Warning};
use serde::{Deserialize, Serialize};

/// A change as the monitoring centre sees it.
#[must_use]
pub fn warning_line(warning: &Warning) -> String {
    json(&for_centre(warning))
}

/// A signal: a bound crossed or left.
#[must_use]
pub fn signal_line(signal: &Signal) -> String {
    #[derive(Serialize)]
    struct Line<'a> {
        record_id: &'a str,
        indicator: &'a str,
        space: &'a str,
        key: &'a str,
        /// Absent when left.
        #[serde(skip_serializing_if = "Option::is_none")]
        level: Option<Level>,
        level_no: u8,
        #[serde(skip_serializing_if = "Option::is_none")]
        value: Option<f64>,
        occurred: Time,
        subject: &'a Subject,
    }
    json(&Line {
        record_id: &signal.record_id,
        indicator: &signal.indicator,
        space: &signal.space,
        key: &signal.key,
        level: Level::from_number(signal.level_no),
        level_no: signal.level_no,
        value: signal.value.filter(|v| v.is_finite()),
        occurred: Time::new(signal.at),
        subject: &signal.subject,
    })
}

/// An indicator's value at a close.
#[must_use]
pub fn value_line(value: &Value) -> String {
    #[derive(Serialize)]
    struct Line<'a> {
        record_id: &'a str,
        revision: i64,
        indicator: &'a str,
        space: &'a str,
        key: &'a str,
        value: Option<f64>,
        window_end: Time,
        subject: &'a Subject,
    }
    json(&Line {
        record_id: &value.record_id,
        revision: value.revision,
        indicator: &value.indicator,
        space: &value.space,
        key: &value.key,
        value: value.value.filter(|v| v.is_finite()),
        window_end: Time::new(value.window_end),
        subject: &value.subject,
    })
}

/// A pointer to what would not become a record; never its payload.
#[must_use]
pub fn dead_letter_line(letter: &DeadLetter) -> String {
    #[derive(Serialize)]
    struct Line<'a> {
        reason: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        field: Option<&'a str>,
        detail: &'a str,
        kind: &'a str,
        source: &'a str,
        raw: &'a str,
        origin: &'a str,
        offset: i64,
        row: u32,
        length: u64,
        sha256: &'a str,
        at: Time,
    }
    json(&Line {
        reason: &letter.reason,
        field: letter.field.as_deref(),
        detail: &letter.detail,
        kind: &letter.kind,
        source: &letter.source,
        raw: &letter.raw,
        origin: &letter.origin,
        offset: letter.offset,
        row: letter.row,
        length: letter.length,
        sha256: &letter.sha256,
        at: Time::new(letter.at),
    })
}

/// A line of `dead-letters.jsonl` read again.
///
/// # Errors
/// When it is no such line.
pub fn read_dead_letter(line: &str) -> Result<DeadLetter, serde_json::Error> {
    #[derive(Deserialize)]
    struct Line {
        reason: String,
        field: Option<String>,
        detail: String,
        kind: String,
        source: String,
        raw: String,
        origin: String,
        offset: i64,
        row: u32,
        length: u64,
        sha256: String,
        at: Time,
    }
    let l: Line = serde_json::from_str(line)?;
    Ok(DeadLetter {
        reason: l.reason,
        field: l.field,
        detail: l.detail,
        kind: l.kind,
        source: l.source,
        raw: l.raw,
        origin: l.origin,
        offset: l.offset,
        row: l.row,
        length: l.length,
        sha256: l.sha256,
        at: l.at.millis(),
    })
}
