//! Reads the texts of a pack in three steps so that all findings of all files come at once.
//!
//! 1. text → tree with places (`scan`, `tree`): a strict subset of YAML;
//! 2. tree → JSON Schema (`schema`): fields, types, words;
//! 3. typed values → what they say together (`meaning`, `sources`, `rules`, `levels`, `texts`): SQL, bounds, names.
//!
//! In: a [`Body`]. Out: a [`Pack`] and its warnings, or every finding, sorted by place.
//! A file that fails a step is left out of the later ones, and what it would have defined is not reported missing.
//! Not here: folders (`load`), mending (`fix`).

mod cases;
mod document;
mod fix;
mod items;
mod levels;
mod meaning;
mod rules;
mod scan;
mod schema;
mod sources;
mod spans;
#[cfg(test)]
mod tests;
mod texts;
mod tree;
mod units;

pub use cases::{Expected, Fields, Series, TestCase, TestFile, TestRow};
pub(crate) use fix::fix;

use super::{Body, Finding, Pack, Place, Severity};
use document::{Document, Form};
use meaning::Typed;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// Files without which no pack stands.
const NEEDED: [&str; 4] = ["departments", "regions", "calendar", "deadlines"];

/// Errors of what compiles and can only be a slip: rules that say so were accepted before these checks were there.
const SLIPS: [&str; 8] =
    ["sql-null", "sql-word", "sql-sign", "sql-constant", "always", "never", "unit", "long-duration"];

pub(super) fn read(body: Body) -> Result<(Pack, Vec<Finding>), Vec<Finding>> {
    let (typed, findings) = judge(&body);
    if findings.iter().any(|f| f.severity == Severity::Error) {
        return Err(findings);
    }
    Ok((whole(body, typed), findings))
}

pub(super) fn read_logged(body: Body) -> Result<Pack, Vec<Finding>> {
    let (typed, findings) = judge(&body);
    if findings.iter().any(|f| f.severity == Severity::Error && !SLIPS.contains(&f.code)) {
        return Err(findings);
    }
    Ok(whole(body, typed))
}

fn whole(body: Body, typed: Typed) -> Pack {
    let hash = body.hash();
    let missing = "without an error every needed file was read";
    Pack {
        hash,
        body,
        industries: typed.industries.into_values().map(|i| (i.id.clone(), i)).collect(),
        indicators: typed
            .rules
            .into_iter()
            .map(|(path, mut rule)| {
                // The industry of the folder counts where the rule names none.
                rule.industry.get_or_insert_with(|| meaning::folder(&path).to_owned());
                (rule.id.clone(), rule)
            })
            .collect(),
        sources: typed.sources.into_values().map(|s| (s.name.clone(), s)).collect(),
        plans: typed.plans.into_values().map(|p| (p.id.clone(), p)).collect(),
        departments: typed.departments.expect(missing).into_iter().map(|d| (d.id.clone(), d)).collect(),
        regions: typed.regions.expect(missing),
        calendar: typed.working.expect(missing),
        deadlines: typed.deadlines.expect(missing),
        matters: typed.matters.unwrap_or_default().into_iter().map(|m| (m.code.clone(), m)).collect(),
        models: typed.models.into_values().map(|m| (m.id.clone(), m)).collect(),
    }
}

/// The schema (draft-07) of a file form: `source`, `rule`, `plan`, `model`, and the shared tables by file name.
///
/// # Panics
/// For another name: the names stand in the program, not in files.
#[must_use]
pub(crate) fn form_schema(name: &str) -> serde_json::Value {
    let form = match name {
        "rule" => Form::Rule,
        "source" => Form::Source,
        "plan" => Form::Plan,
        "model" => Form::Model,
        "industry" => Form::Industry,
        "departments" => Form::Departments,
        "regions" => Form::Regions,
        "calendar" => Form::Calendar,
        "deadlines" => Form::Deadlines,
        "matters" => Form::Matters,
        _ => panic!("no file form is called {name}"),
    };
    schema::schema(form)
}

/// All three steps.
fn judge(body: &Body) -> (Typed, Vec<Finding>) {
    let mut loose: Vec<Finding> = Vec::new();
    let mut documents: BTreeMap<String, Document> = BTreeMap::new();
    let mut typed = Typed::default();
    let mut broken: Vec<String> = Vec::new();
    for (path, text) in &body.files {
        let Some(form) = Form::of(path) else {
            loose.push(Finding {
                code: "unknown-file",
                severity: Severity::Error,
                place: Place { file: path.clone(), ..Place::default() },
                message: "a pack has no such file".to_owned(),
                message_zh: "规则包中不应有此文件".to_owned(),
                hint: Some(
                    "rules/<industry>/<indicator>.yaml, rules/sources/<name>.yaml, models/<name>.yaml".to_owned(),
                ),
            });
            continue;
        };
        let mut document = Document::new(path, form, text);
        if !(schema::judge(&mut document) && spans::fit(&mut document) && take(&mut document, &mut typed)) {
            broken.push(path.clone());
        }
        documents.insert(path.clone(), document);
    }
    for name in NEEDED {
        let path = format!("rules/shared/{name}.yaml");
        if !documents.contains_key(&path) {
            loose.push(Finding {
                code: "missing-file",
                severity: Severity::Error,
                place: Place { file: path, ..Place::default() },
                message: "a pack needs this file".to_owned(),
                message_zh: "规则包缺少此文件".to_owned(),
                hint: None,
            });
        }
    }
    meaning::check(&mut typed, &mut documents, &broken);
    let mut findings = loose;
    findings.extend(documents.into_values().flat_map(|d| d.findings));
    findings.sort_by(|a, b| (&a.place, a.code, &a.message).cmp(&(&b.place, b.code, &b.message)));
    (typed, findings)
}

/// Makes the typed value of a document; false when it does not come about.
fn take(document: &mut Document, typed: &mut Typed) -> bool {
    let path = document.path.clone();
    match document.form {
        Form::Industry => typed_value(document).map(|v| typed.industries.insert(path, v)).is_some(),
        Form::Plan => typed_value(document).map(|v| typed.plans.insert(path, v)).is_some(),
        Form::Rule => typed_value(document).map(|v| typed.rules.insert(path, v)).is_some(),
        Form::Source => typed_value(document).map(|v| typed.sources.insert(path, v)).is_some(),
        Form::Model => typed_value(document).map(|v| typed.models.insert(path, v)).is_some(),
        // Tests are read beside the pack: see `cases`.
        Form::Test => false,
        Form::Departments => typed_value(document).map(|v| typed.departments = Some(v)).is_some(),
        Form::Regions => typed_value(document).map(|v| typed.regions = Some(v)).is_some(),
        Form::Calendar => typed_value(document).map(|v| typed.calendar = Some(v)).is_some(),
        Form::Deadlines => typed_value(document).map(|v| typed.deadlines = Some(v)).is_some(),
        Form::Matters => typed_value(document).map(|v| typed.matters = Some(v)).is_some(),
    }
}

/// Everything that is known was caught before; what is left is told for the file.
fn typed_value<T: DeserializeOwned>(document: &mut Document) -> Option<T> {
    let value = document.root.as_ref()?.json();
    match serde_json::from_value(value) {
        Ok(value) => Some(value),
        Err(error) => {
            let words = (error.to_string(), format!("内容不成立: {error}"));
            document.find("wrong-form", Severity::Error, document.whole(), words, None);
            None
        }
    }
}
