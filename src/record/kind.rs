//! The six kinds of record that come from outside, and the two the engine makes for itself.

use super::{
    Check, Column, ENRICHMENT, ENVELOPE, SENSOR_TYPES, SIGNAL, VALUE, feedback, inspection, iot, licensing, registry,
    supervision,
};
use std::collections::BTreeSet;

/// The kind of a record.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// 监管: penalties, clues, complaints, samples, filings, work tickets, transactions ...
    Supervision,
    /// 检查: an inspection and its conclusion.
    Inspection,
    /// 许可: a licence event.
    Licensing,
    /// 物联: a sensor reading.
    Iot,
    /// 名录: a version of a supervised object.
    Registry,
    /// 反馈: what a department did about a warning.
    Feedback,
    /// 风险信号: a bound crossed or left; made by the engine.
    Signal,
    /// 指标值: an indicator's value at a pane or calendar close; made by the engine.
    Value,
}

impl Kind {
    /// The kinds that come from outside, in the order of the handbook.
    pub const OUTSIDE: [Kind; 6] =
        [Kind::Supervision, Kind::Inspection, Kind::Licensing, Kind::Iot, Kind::Registry, Kind::Feedback];

    /// The word used in records, files and metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Kind::Supervision => "supervision",
            Kind::Inspection => "inspection",
            Kind::Licensing => "licensing",
            Kind::Iot => "iot",
            Kind::Registry => "registry",
            Kind::Feedback => "feedback",
            Kind::Signal => "signal",
            Kind::Value => "value",
        }
    }

    /// The kind of a word, if it is one that comes from outside.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Kind> {
        Kind::OUTSIDE.into_iter().find(|k| k.word() == word)
    }

    /// The columns of this kind alone, without envelope and enrichment.
    #[must_use]
    pub const fn own_columns(self) -> &'static [Column] {
        match self {
            Kind::Supervision => supervision::COLUMNS,
            Kind::Inspection => inspection::COLUMNS,
            Kind::Licensing => licensing::COLUMNS,
            Kind::Iot => iot::COLUMNS,
            Kind::Registry => registry::COLUMNS,
            Kind::Feedback => feedback::COLUMNS,
            Kind::Signal => SIGNAL,
            Kind::Value => VALUE,
        }
    }
}

/// Every column an expression over this kind can read, in the order they stand in a frame: envelope, own, enrichment.
/// A registry record is not enriched by itself.
#[must_use]
pub fn columns(kind: Kind) -> Vec<Column> {
    let mut all: Vec<Column> = ENVELOPE.to_vec();
    all.extend_from_slice(kind.own_columns());
    if kind != Kind::Registry {
        all.extend_from_slice(ENRICHMENT);
    }
    all
}

/// The words that a column of a kind may hold, if its words are fixed. What a row takes over from the registry holds the
/// registry's words.
#[must_use]
pub fn words(kind: Kind, column: &str) -> Option<Vec<&'static str>> {
    match (kind, column) {
        (Kind::Iot, "sensor_type") => return Some(SENSOR_TYPES.iter().map(|s| s.word).collect()),
        // Readings stand in the normal unit of their type, whatever was sent.
        (Kind::Iot, "unit") => {
            let units: BTreeSet<&str> = SENSOR_TYPES.iter().map(|s| s.unit).filter(|u| !u.is_empty()).collect();
            return Some(units.into_iter().collect());
        }
        _ => {}
    }
    let own = ENVELOPE.iter().chain(kind.own_columns());
    let taken = registry::COLUMNS.iter().filter(|c| match c.name {
        "status" => column == "object_status",
        "risk_class" => column == "risk_class",
        _ => false,
    });
    own.filter(|c| c.name == column).chain(taken).find_map(|c| match c.check {
        Check::OneOf(words) => Some(words.to_vec()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_fixed_words_know_their_words() {
        for (kind, column, word) in [
            (Kind::Iot, "sensor_type", "gas_lel"),
            (Kind::Iot, "status", "good"),
            (Kind::Iot, "unit", "MPa"),
            (Kind::Iot, "object_status", "suspended"),
            (Kind::Supervision, "action", "penalty"),
            (Kind::Licensing, "action", "revoke"),
            (Kind::Supervision, "industry", "gas"),
            (Kind::Signal, "risk_class", "D"),
        ] {
            assert!(words(kind, column).is_some_and(|all| all.contains(&word)), "{column}");
        }
        assert_eq!(words(Kind::Supervision, "category"), None);
        assert_eq!(words(Kind::Registry, "object_status"), words(Kind::Registry, "status"));
    }
}
