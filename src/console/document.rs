//! Reads the few fields of a warning document that the list, the filters and the counts need.
//!
//! The document is read field by field and a missing one is empty: a page that shows less is better than none.

use serde_json::{Map, Value, json};

/// What stands in a row of the list.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Head {
    pub(super) id: String,
    pub(super) change: u64,
    pub(super) kind: String,
    pub(super) level: String,
    pub(super) level_no: u64,
    pub(super) industry: String,
    pub(super) region: String,
    /// Lead and assisting departments, without `@region`.
    pub(super) departments: Vec<String>,
    pub(super) state: State,
    /// Lower-case text that `q` looks in.
    pub(super) text: String,
    /// The row as the page gets it.
    pub(super) row: Value,
}

/// Where a warning stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    /// Its triggers are on.
    Active,
    /// Its triggers are clear; people have not lifted it yet.
    Cleared,
    /// Expired or lifted.
    Closed,
}

impl State {
    pub(super) const fn word(self) -> &'static str {
        match self {
            State::Active => "active",
            State::Cleared => "cleared",
            State::Closed => "closed",
        }
    }

    fn of(kind: &str) -> State {
        match kind {
            "cleared" => State::Cleared,
            "expired" | "lifted" | "withdrawn" => State::Closed,
            _ => State::Active,
        }
    }
}

/// The text at `a.b.c`, empty when there is none.
pub(super) fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    let mut at = value;
    for part in path.split('.') {
        match at.get(part) {
            Some(next) => at = next,
            None => return "",
        }
    }
    at.as_str().unwrap_or("")
}

/// The id of something that stands as a bare word or as `{id, name, ..}` (`{code, name}` for a region).
fn id_of(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(word)) => word.clone(),
        Some(Value::Object(map)) => {
            map.get("id").or_else(|| map.get("code")).and_then(Value::as_str).unwrap_or("").to_owned()
        }
        _ => String::new(),
    }
}

fn bare(department: &str) -> String {
    department.split('@').next().unwrap_or(department).to_owned()
}

/// `None` when the document has no id: such a one cannot be shown, updated or linked.
pub(super) fn head(document: &Value) -> Option<Head> {
    let id = text(document, "id").to_owned();
    if id.is_empty() {
        return None;
    }
    let change = document.get("change").and_then(Value::as_u64).unwrap_or(1);
    let kind = text(document, "kind").to_owned();
    let level = match document.get("level") {
        Some(Value::Object(map)) => map.get("word").or_else(|| map.get("id")).and_then(Value::as_str).unwrap_or(""),
        Some(Value::String(word)) => word,
        _ => "",
    }
    .to_owned();
    let level_no = document.get("level_no").and_then(Value::as_u64).unwrap_or(match level.as_str() {
        "blue" => 1,
        "yellow" => 2,
        "orange" => 3,
        "red" => 4,
        _ => 0,
    });
    let subject = document.get("subject");
    let region = id_of(subject.and_then(|s| s.get("region")));
    let named = document.get("departments");
    let mut departments = vec![bare(&id_of(named.and_then(|d| d.get("lead"))))];
    for assist in named.and_then(|d| d.get("assist")).and_then(Value::as_array).into_iter().flatten() {
        departments.push(bare(&id_of(Some(assist))));
    }
    departments.retain(|d| !d.is_empty());
    let industry = id_of(document.get("industry"));
    let searched = [
        text(document, "headline"),
        text(document, "headline_en"),
        text(document, "indicator.id"),
        text(document, "indicator.name"),
        text(document, "subject.name"),
        text(document, "subject.object_id"),
        text(document, "subject.entity_id"),
        text(document, "key"),
        &id,
    ]
    .join("\n")
    .to_lowercase();
    let state = State::of(&kind);
    let mut row = Map::new();
    for field in [
        "id",
        "change",
        "kind",
        "level",
        "was",
        "indicator",
        "industry",
        "subject",
        "value",
        "bound",
        "absent",
        "occurred",
        "found",
        "headline",
        "headline_en",
        "deadlines",
        "status",
    ] {
        if let Some(value) = document.get(field) {
            row.insert(field.to_owned(), value.clone());
        }
    }
    row.insert("level_no".into(), json!(level_no));
    row.insert("state".into(), json!(state.word()));
    row.insert("lead".into(), named.and_then(|d| d.get("lead")).cloned().unwrap_or(Value::Null));
    row.insert("departments".into(), json!(departments));
    Some(Head {
        id,
        change,
        kind,
        level,
        level_no,
        industry,
        region,
        departments,
        state,
        text: searched,
        row: Value::Object(row),
    })
}

/// One line of a warning's history: what changed, not the whole document again.
pub(super) fn history_line(document: &Value) -> Value {
    let mut line = Map::new();
    for field in [
        "change",
        "kind",
        "level",
        "was",
        "value",
        "bound",
        "occurred",
        "found",
        "headline",
        "headline_en",
        "deadlines",
    ] {
        if let Some(value) = document.get(field) {
            line.insert(field.to_owned(), value.clone());
        }
    }
    Value::Object(line)
}
