//! The six kinds of record that come from outside, and the two the engine makes for itself.

use super::{Column, ENRICHMENT, ENVELOPE, SIGNAL, VALUE, feedback, inspection, iot, licensing, registry, supervision};

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
