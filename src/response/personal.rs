//! Columns that no warning carries, whoever reads it.
//!
//! Evidence holds the columns that an indicator read. Reporters, handlers, staff and free text are read to count or to
//! filter, never to be shown; nor are columns that a source declares personal.

use crate::pack::{Pack, Source, Sql};
use crate::record::Personal;
use std::collections::BTreeSet;

/// Free text, persons and lists of persons of all kinds of record.
const NEVER: [&str; 9] =
    ["content", "note", "staff", "reporter", "address", "site", "legal_rep", "handler", "geometry"];

/// The columns that stay out of documents.
#[derive(Clone, Debug, Default)]
pub(super) struct Withheld {
    attrs: BTreeSet<String>,
}

impl Withheld {
    /// The columns of a pack's sources whose values come from personal data.
    pub(super) fn of(pack: &Pack) -> Withheld {
        let mut attrs = BTreeSet::new();
        for source in pack.sources.values() {
            let personal = personal_columns(source);
            let reads = |sql: &Sql| words(&sql.0).any(|w| personal.contains(w));
            for (name, attr) in &source.attrs {
                if attr.value.as_ref().map_or(personal.contains(name.as_str()), reads) {
                    attrs.insert(name.clone());
                }
            }
            for (field, sql) in &source.record {
                if reads(sql) {
                    attrs.insert(field.clone());
                }
            }
        }
        Withheld { attrs }
    }

    /// True when values of the column must not be shown.
    pub(super) fn holds(&self, column: &str) -> bool {
        column.ends_with("_hash") || NEVER.contains(&column) || self.attrs.contains(column)
    }
}

fn personal_columns(source: &Source) -> BTreeSet<&str> {
    source.columns.iter().filter(|c| c.personal != Personal::None).map(|c| c.name.as_str()).collect()
}

/// The identifiers in a text of SQL, string literals included: one word too many withholds a column, which is safe.
fn words(sql: &str) -> impl Iterator<Item = &str> {
    sql.split(|c: char| !(c.is_alphanumeric() || c == '_'))
}
