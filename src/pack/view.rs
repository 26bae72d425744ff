//! What an expression can read: the columns of a source as rules see them.
//!
//! In: the sources of a pack and what an indicator names as its source. Out: Arrow fields in the order of a frame:
//! the columns of the kind, then the further columns (`attrs`) of its feeds by name, each once.
//! Not here: the columns of lookups, which come behind these under `<alias>_<name>`.

use super::Source;
use crate::record::{Kind, columns};
use arrow::datatypes::Field;
use std::collections::BTreeMap;

/// The kind of records behind a name: a record kind, the name of a source file, `signal` or `value`.
#[must_use]
pub fn kind_of(sources: &BTreeMap<String, Source>, name: &str) -> Option<Kind> {
    match name {
        "signal" => Some(Kind::Signal),
        "value" => Some(Kind::Value),
        _ => Kind::from_word(name).or_else(|| sources.get(name).map(|s| s.kind)),
    }
}

/// The feeds behind a name, by name: all feeds of a kind, or the one source. None for `signal` and `value`.
#[must_use]
pub fn feeds<'a>(sources: &'a BTreeMap<String, Source>, name: &str) -> Vec<&'a Source> {
    match Kind::from_word(name) {
        Some(kind) => sources.values().filter(|s| s.kind == kind).collect(),
        None => sources.get(name).into_iter().collect(),
    }
}

/// The columns that rules see of a source; `None` when nothing has that name.
#[must_use]
pub fn view(sources: &BTreeMap<String, Source>, name: &str) -> Option<Vec<Field>> {
    let kind = kind_of(sources, name)?;
    let mut fields: Vec<Field> = columns(kind).iter().map(crate::record::Column::field).collect();
    let mut attrs = BTreeMap::new();
    for feed in feeds(sources, name) {
        for (attr, form) in &feed.attrs {
            attrs.entry(attr.as_str()).or_insert(form.ty);
        }
    }
    for (attr, ty) in attrs {
        if fields.iter().all(|f| f.name() != attr) {
            fields.push(Field::new(attr, ty.arrow(), true));
        }
    }
    Some(fields)
}
