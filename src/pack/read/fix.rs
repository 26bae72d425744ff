//! Mends what has one obvious remedy, and leaves everything else byte for byte.

use super::document::{Document, Form};
use super::scan::{Edit, scan};
use super::schema;
use super::tree::read;

/// One mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mend {
    /// Line, from 1.
    pub(crate) line: usize,
    /// The finding's code.
    pub(crate) code: &'static str,
    /// The text that went.
    pub(crate) was: String,
    /// The text that came.
    pub(crate) now: String,
}

/// One mend may bring the next to light (a colon, then the quotes of the value behind it), but never for long.
const ROUNDS: usize = 8;

/// Mends a text; what it did, in order.
pub(crate) fn fix(path: &str, text: &str) -> (String, Vec<Mend>) {
    let mut text = text.to_owned();
    let mut mends = Vec::new();
    for _ in 0..ROUNDS {
        let slips = scan(&text);
        let mut edits: Vec<(&'static str, Edit)> =
            slips.into_iter().filter_map(|s| s.edit.map(|e| (s.code, e))).collect();
        if text.contains('\r') {
            let all = text.chars().enumerate().filter(|(_, c)| *c == '\r');
            let returns = all.map(|(i, _)| ("line-end", Edit { at: i..i + 1, text: String::new() }));
            edits.retain(|(code, _)| *code != "line-end");
            edits.extend(returns.collect::<Vec<_>>());
        }
        if edits.is_empty() {
            edits = fields(path, &text);
        }
        if edits.is_empty() {
            break;
        }
        apply(&mut text, edits, &mut mends);
    }
    (text, mends)
}

/// Field names that are one letter off.
fn fields(path: &str, text: &str) -> Vec<(&'static str, Edit)> {
    let Some(form) = Form::of(path) else { return Vec::new() };
    if !matches!(read(text), Ok(Some(_))) {
        return Vec::new();
    }
    let mut document = Document::new(path, form, text);
    schema::judge(&mut document);
    let starts: Vec<usize> =
        std::iter::once(0).chain(text.chars().enumerate().filter(|(_, c)| *c == '\n').map(|(i, _)| i + 1)).collect();
    let chars: Vec<char> = text.chars().collect();
    let mut edits = Vec::new();
    for finding in document.findings.iter().filter(|f| f.code == "unknown-field") {
        let Some(name) = finding.hint.as_deref().and_then(|h| h.strip_prefix("did you mean \"")?.split('"').next())
        else {
            continue;
        };
        let start = starts[finding.place.line - 1] + finding.place.column - 1;
        let at = start..start + finding.place.length;
        let was: String = chars[at.clone()].iter().collect();
        if strsim::osa_distance(&was, name) == 1 {
            edits.push(("unknown-field", Edit { at, text: name.to_owned() }));
        }
    }
    edits
}

/// Makes edits that do not touch each other, from the front; one that does waits for the next round.
fn apply(text: &mut String, mut edits: Vec<(&'static str, Edit)>, mends: &mut Vec<Mend>) {
    edits.sort_by_key(|(_, e)| (e.at.start, e.at.end));
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for (code, edit) in edits {
        if edit.at.start < done || edit.at.end > chars.len() {
            continue;
        }
        out.extend(&chars[done..edit.at.start]);
        out.push_str(&edit.text);
        let was: String = chars[edit.at.clone()].iter().collect();
        let line = chars[..edit.at.start].iter().filter(|c| **c == '\n').count() + 1;
        mends.push(Mend { line, code, was, now: edit.text });
        done = edit.at.end;
    }
    out.extend(&chars[done..]);
    *text = out;
}
