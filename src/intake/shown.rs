//! A raw record as an operator may see it.
//!
//! In: bytes of one message or row, and the source they are of. Out: its listed, non-personal fields; personal columns
//! and fields that the source does not list are left out by name, and free text is masked.
//! Promise: what cannot be taken apart is shown only when its source has no personal column at all.
//! Not here: fetching the bytes (`log`).

use super::csv::fields;
use super::mapper::decode_text;
use super::mask::mask_text;
use crate::pack::{Charset, Format, Source};
use crate::record::{Check, ENVELOPE, Personal};
use serde_json::Value;
use std::collections::BTreeMap;

/// What may be seen.
#[derive(Clone, Debug, PartialEq)]
pub enum Shown {
    /// Fields by path, and names of those left out with the reason.
    Fields(Vec<(String, String)>),
    /// The text, personal data replaced.
    Text(String),
    /// Nothing: it cannot be taken apart and may hold personal data.
    Hidden,
}

const PERSONAL: &str = "(个人信息 personal)";
const UNLISTED: &str = "(来源文件未列 not listed)";

/// What may be seen of a message or row.
///
/// - `header`: first line of the file of a CSV source
#[must_use]
pub fn shown(bytes: &[u8], source: Option<&Source>, header: Option<&[u8]>) -> Shown {
    let listed: Option<BTreeMap<String, Personal>> = source.map(|s| {
        if s.envelope {
            let columns = ENVELOPE.iter().chain(s.kind.own_columns());
            let personal = |check: &Check| match check {
                Check::FreeText(_) => Personal::Text,
                Check::Hash => Personal::Id,
                _ => Personal::None,
            };
            let kind = [("kind".to_owned(), Personal::None)];
            columns.map(|c| (c.path.to_owned(), personal(&c.check))).chain(kind).collect()
        } else {
            s.columns.iter().map(|c| (c.path.as_ref().unwrap_or(&c.name).clone(), c.personal)).collect()
        }
    });
    let charset = source.map_or(Charset::Utf8, |s| s.charset);
    let text = decode_text(bytes, charset);
    let split = text.as_deref().and_then(|text| match (source.map(|s| s.format), header) {
        (Some(Format::Csv), Some(header)) => {
            let delimiter = source.and_then(|s| s.delimiter).unwrap_or(',');
            let header = decode_text(header, charset)?;
            let names = fields(header.trim_end_matches(['\r', '\n']).trim_start_matches('\u{feff}'), delimiter).ok()?;
            let values = fields(text, delimiter).ok()?;
            let pairs = names.iter().zip(&values).map(|(n, v)| (n.to_string(), v.to_string()));
            (names.len() == values.len()).then(|| pairs.collect::<Vec<_>>())
        }
        _ => {
            let value: Value = serde_json::from_str(text.trim_start_matches('\u{feff}')).ok()?;
            let mut pairs = Vec::new();
            flatten("", &value, &mut pairs);
            Some(pairs)
        }
    });
    match (split, listed) {
        (Some(pairs), Some(listed)) => {
            Shown::Fields(pairs.into_iter().map(|(path, value)| field(path, &value, &listed)).collect())
        }
        (_, listed) => {
            let harmless = listed.is_some_and(|l| l.values().all(|p| *p == Personal::None));
            if harmless { Shown::Text(masked(&String::from_utf8_lossy(bytes))) } else { Shown::Hidden }
        }
    }
}

fn field(path: String, value: &str, listed: &BTreeMap<String, Personal>) -> (String, String) {
    // Elements of an array message stand under their number; lists stand under the column itself.
    let name = path.trim_start_matches(|c: char| c == '[' || c == ']' || c.is_ascii_digit()).trim_start_matches('.');
    let name = name.split('[').next().unwrap_or(name);
    let shown = match listed.get(name) {
        None => UNLISTED.to_owned(),
        Some(Personal::Id | Personal::Phone | Personal::Name) => PERSONAL.to_owned(),
        Some(Personal::None | Personal::Text) => masked(value),
    };
    (masked(&path), shown)
}

fn masked(text: &str) -> String {
    mask_text(text).unwrap_or_else(|| text.to_owned())
}

fn flatten(path: &str, value: &Value, into: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&path, value, into);
            }
        }
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                flatten(&format!("{path}[{i}]"), item, into);
            }
        }
        Value::String(text) => into.push((path.to_owned(), text.clone())),
        other => into.push((path.to_owned(), other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::{Body, Pack};

    #[test]
    fn personal_and_unlisted_fields_are_never_shown_and_broken_text_only_where_nobody_is_in_it() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let pack = Pack::read(Body::load(&root.join("rules"), &root.join("models")).unwrap()).unwrap();
        let iot = pack.sources.values().find(|s| s.envelope && s.kind == crate::record::Kind::Iot);
        let good = r#"{"kind":"iot","object_id":"equip:1","value":"x","caller":"张三","note":"13812341234"}"#;
        let Shown::Fields(fields) = shown(good.as_bytes(), iot, None) else { panic!("it can be taken apart") };
        let told: BTreeMap<_, _> = fields.into_iter().collect();
        assert_eq!(told["object_id"], "equip:1");
        assert_eq!(told["value"], "x");
        assert_eq!((told["caller"].as_str(), told["note"].as_str()), (UNLISTED, UNLISTED));
        let supervision = pack.sources.values().find(|s| s.envelope && s.kind == crate::record::Kind::Supervision);
        assert_eq!(shown("{\"complainant\":\"张三\"".as_bytes(), supervision, None), Shown::Hidden);
        assert_eq!(shown(b"{}", None, None), Shown::Hidden);
    }
}
