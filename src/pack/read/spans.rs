//! Spans of time that nobody means: longer than ten years, mostly a zero or a unit too many.

use super::document::Document;
use super::tree::{Data, Node};
use crate::pack::{Severity, Span};

/// Ten years. The longest of the handbook are three.
const LONGEST: Span = Span(3_653 * 86_400_000);

/// Fields of free text, where a number and a letter are no span.
const TEXTS: [&str; 9] = ["id", "name", "name_en", "do", "do_en", "message", "message_en", "note", "number"];

/// Tells every span that is too long; false when one is beyond all numbers.
pub(super) fn fit(document: &mut Document) -> bool {
    let Some(root) = &document.root else { return false };
    let mut long = Vec::new();
    let mut open: Vec<(&str, &Node)> = vec![("", root)];
    while let Some((field, node)) = open.pop() {
        match &node.data {
            Data::Map(entries) => open.extend(entries.iter().map(|e| (e.key.as_str(), &e.node))),
            Data::List(items) => open.extend(items.iter().map(|item| (field, item))),
            Data::Text(text) if !TEXTS.contains(&field) && too_long(text) => long.push((node.at.clone(), text.clone())),
            Data::Text(_) | Data::Bool(_) | Data::Number(_) => {}
        }
    }
    for (at, text) in &long {
        let words = (format!("{text} is more than ten years"), format!("{text} 超过十年"));
        let hint = Some("10m are minutes, 7d days; a year is 365d / m 是分钟,d 是天,一年写 365d".to_owned());
        document.find("long-duration", Severity::Error, document.place(at), words, hint);
    }
    long.iter().all(|(_, text)| text.parse::<Span>().is_ok())
}

fn too_long(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    match text.parse::<Span>() {
        Ok(span) => span.millis().abs() > LONGEST.millis(),
        // Of the form of a span, but beyond 64 bits.
        Err(_) => {
            let units = digits.trim_start_matches(|c: char| c.is_ascii_digit());
            digits.len() > units.len() + 12 && matches!(units, "d" | "h" | "m" | "s")
        }
    }
}
