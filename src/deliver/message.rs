//! Messages: CloudEvents in binary mode, one per audience, one for the monitoring centre, one for the open state.

use super::audience::{for_audience, for_centre};
use super::topics::{DEAD_LETTERS, EVERYONE, WARNINGS, warning_topic};
use crate::engine::ChangeKind;
use crate::log::{DeadLetter, Message};
use crate::response::{DATA_SCHEMA, Time, Warning};
use serde::Serialize;

/// The most bytes of key, headers and value together. Brokers take 1,048,588 by default, record overhead included.
pub const MESSAGE_BYTES_MAX: usize = 1_000_000;

/// Evidence kept with values when a message is too large: the opener and the last five.
const KEPT_WHEN_LARGE: usize = 6;

/// The messages of one change: one for each audience, the monitoring centre's, and the warning's state in the compacted
/// topic (a tombstone when it has ended). A trial change has none.
///
/// - `deployment`: name of this installation; with `ce_id` it tells a change from all others
#[must_use]
pub fn messages(warning: &Warning, deployment: &str) -> Vec<Message> {
    if warning.shadow {
        return Vec::new();
    }
    let mut all = Vec::with_capacity(warning.told.len() + 2);
    for audience in &warning.told {
        all.push(message(
            &warning_topic(&audience.dept, &audience.region),
            key(warning),
            deployment,
            &audience.dept,
            for_audience(warning, audience),
        ));
    }
    let lead = &warning.departments.lead.id;
    let whole = message(EVERYONE, key(warning), deployment, lead, for_centre(warning));
    let state = Message {
        topic: WARNINGS.to_owned(),
        key: Some(warning.id.clone()),
        headers: whole.headers.clone(),
        value: if warning.kind == ChangeKind::Expired { None } else { whole.value.clone() },
    };
    all.push(whole);
    all.push(state);
    all
}

/// Key of a message: the object, else the enterprise, else the routing key, so that one thing's changes stay in order.
fn key(warning: &Warning) -> &str {
    let s = &warning.subject;
    s.object_id.as_deref().or(s.entity_id.as_deref()).unwrap_or(&warning.key)
}

fn message(topic: &str, key: &str, deployment: &str, department: &str, mut copy: Warning) -> Message {
    let headers = headers(&copy, key, deployment, department);
    let envelope = key.len() + headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
    let value = fit(&mut copy, MESSAGE_BYTES_MAX.saturating_sub(envelope));
    Message { topic: topic.to_owned(), key: Some(key.to_owned()), headers, value: Some(value) }
}

fn headers(warning: &Warning, key: &str, deployment: &str, department: &str) -> Vec<(String, String)> {
    [
        ("content-type", "application/json".to_owned()),
        ("ce_specversion", "1.0".to_owned()),
        ("ce_id", warning.ce_id.clone()),
        ("ce_source", format!("forewarn/{deployment}")),
        ("ce_type", format!("forewarn.warning.{}.v1", word(warning.kind))),
        ("ce_time", warning.occurred.to_string()),
        ("ce_subject", key.to_owned()),
        ("ce_dataschema", DATA_SCHEMA.to_owned()),
        ("fw_level", warning.level.word().to_owned()),
        ("fw_department", department.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// The word of a kind of change, as in the document.
pub(super) const fn word(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Raised => "raised",
        ChangeKind::Upgraded => "upgraded",
        ChangeKind::Cleared => "cleared",
        ChangeKind::Returned => "returned",
        ChangeKind::Expired => "expired",
    }
}

/// JSON of at most `bytes`. Takes away in this order, each with its mark: values of the records between the opener and
/// the last five, all values, references from the middle. What remains is bounded by the lengths that `response` keeps.
fn fit(copy: &mut Warning, bytes: usize) -> String {
    let mut text = json(copy);
    if text.len() <= bytes {
        return text;
    }
    copy.values_left_out = true;
    let last_five = copy.evidence.len().saturating_sub(KEPT_WHEN_LARGE - 1);
    for evidence in copy.evidence.iter_mut().take(last_five).skip(1) {
        evidence.values = None;
    }
    text = json(copy);
    if text.len() <= bytes {
        return text;
    }
    for evidence in &mut copy.evidence {
        evidence.values = None;
    }
    text = json(copy);
    while text.len() > bytes && !copy.evidence.is_empty() {
        // The opener and the newest go last.
        let half = copy.evidence.len().div_ceil(2);
        let first = usize::from(copy.evidence.len() > 1);
        copy.evidence.drain(first..first + half.min(copy.evidence.len() - first));
        copy.evidence_left_out += half as u64;
        text = json(copy);
    }
    text
}

/// A pointer to what would not become a record, for its topic. Key: the source.
#[must_use]
pub fn dead_letter_message(letter: &DeadLetter, deployment: &str) -> Message {
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("ce_specversion", "1.0".to_owned()),
        ("ce_id", format!("{}/{}/{}", letter.raw, letter.offset, letter.row)),
        ("ce_source", format!("forewarn/{deployment}")),
        ("ce_type", "forewarn.dead-letter.v1".to_owned()),
        ("ce_time", Time::new(letter.at).to_string()),
        ("fw_reason", letter.reason.clone()),
    ];
    Message {
        topic: DEAD_LETTERS.to_owned(),
        key: Some(letter.source.clone()),
        headers: headers.map(|(name, value)| (name.to_owned(), value)).into(),
        value: Some(super::line::dead_letter_line(letter)),
    }
}

pub(super) fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("documents have text keys and no fallible serializers")
}
