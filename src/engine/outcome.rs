//! What the engine says: changes of warnings, signals and values.

use crate::record::{Kind, Level, Millis};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What happened to a warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// A new warning.
    Raised,
    /// A higher level.
    Upgraded,
    /// All triggers are clear; the warning stays open until it is lifted by people (blue: until it expires).
    Cleared,
    /// Triggers are back after a clear, at the level the warning has.
    Returned,
    /// A blue warning ended by itself.
    Expired,
}

/// A record that was evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Reference {
    /// Kind of the record.
    pub kind: Kind,
    /// System of origin.
    pub source_system: String,
    /// Department of origin: it sees the values, others see id and one line.
    pub source_dept: String,
    /// Record id.
    pub record_id: String,
    /// Revision.
    pub revision: i64,
    /// Event time.
    pub occurred_at: Millis,
    /// The columns that the indicator read, as JSON.
    pub values: BTreeMap<String, serde_json::Value>,
}

/// One judged quantity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Reading {
    /// Measure, `value`, or a term of the model.
    pub name: String,
    /// What it was; null when there was none.
    pub value: Option<f64>,
    /// The bound of the level reached, if this quantity has one.
    pub bound: Option<f64>,
}

/// Who or what a warning is about, as the newest row of its key said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Subject {
    /// Object id.
    pub object_id: Option<String>,
    /// Enterprise.
    pub entity_id: Option<String>,
    /// Name.
    pub name: Option<String>,
    /// Type.
    pub object_type: Option<String>,
    /// Region code.
    pub region: Option<String>,
    /// Street code.
    pub street: Option<String>,
    /// Place inside the object.
    pub location_id: Option<String>,
    /// Point.
    pub sensor_id: Option<String>,
    /// Labels.
    pub tags: Vec<String>,
    /// Credit class.
    pub risk_class: Option<String>,
}

impl Subject {
    /// This, and what it leaves open from another.
    #[must_use]
    pub fn or(self, other: Subject) -> Subject {
        Subject {
            object_id: self.object_id.or(other.object_id),
            entity_id: self.entity_id.or(other.entity_id),
            name: self.name.or(other.name),
            object_type: self.object_type.or(other.object_type),
            region: self.region.or(other.region),
            street: self.street.or(other.street),
            location_id: self.location_id.or(other.location_id),
            sensor_id: self.sensor_id.or(other.sensor_id),
            tags: if self.tags.is_empty() { other.tags } else { self.tags },
            risk_class: self.risk_class.or(other.risk_class),
        }
    }
}

/// One change of one warning: facts only. `response` adds departments, plan and deadlines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Warning id: `w` + base32 of the key hash + `-` + base32 of hash(indicator, incident key, cause).
    pub warning_id: String,
    /// 1, 2, 3 ... within the warning.
    pub number: u32,
    /// What happened.
    pub kind: ChangeKind,
    /// The level from now on.
    pub level: Level,
    /// The level before; `None` when raised.
    pub was: Option<Level>,
    /// True for an indicator in trial: counted, never sent.
    pub shadow: bool,
    /// Indicator id.
    pub indicator: Arc<str>,
    /// When: event time of the row, or due time of the timer or pane border.
    pub at: Millis,
    /// Log time at which it was found.
    pub log_time: Millis,
    /// Log time at which the warning got the level that it has: its deadlines run from here.
    pub level_since: Millis,
    /// Key space.
    pub space: Arc<str>,
    /// Routing key.
    pub key: String,
    /// State key values by column, in the order of the rule.
    pub state: Vec<(String, String)>,
    /// Who or what.
    pub subject: Subject,
    /// The value that was judged.
    pub value: Option<f64>,
    /// The bound of the level, if it is one number.
    pub bound: Option<f64>,
    /// Every quantity judged.
    pub readings: Vec<Reading>,
    /// Window judged, (from, to].
    pub window: Option<(Millis, Millis)>,
    /// Segment used.
    pub segment: Option<String>,
    /// True when it was raised because data is absent.
    pub absent: bool,
    /// True while the model is warming up or the window was cut.
    pub partial: bool,
    /// True while the model alarms so often that its scores are not used: only plain conditions were judged.
    pub model_failing: bool,
    /// Records: all up to 50 where rows are kept, else the opener and the last 5.
    pub evidence: Vec<Reference>,
    /// How many records were in the window.
    pub evidence_total: u64,
    /// Log positions (first, last) of the partition that the evidence lies in.
    pub log_range: (u64, u64),
    /// Log partition.
    pub partition: u32,
    /// What raised it: `record <source_system> <record_id> <revision>`, `due <kind> <time>`, `roster <valid_from>`.
    pub cause: String,
    /// Pack version and hash.
    pub pack_version: u64,
    /// Pack hash.
    pub pack_hash: Arc<str>,
}

/// A bound crossed or left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// Deterministic record id.
    pub record_id: String,
    /// Indicator.
    pub indicator: Arc<str>,
    /// Key space of the sender.
    pub space: Arc<str>,
    /// Key text of the sender: routing key, then state key values, joined by `/`.
    pub key: String,
    /// 0 when left, else the level reached.
    pub level_no: u8,
    /// Value judged.
    pub value: Option<f64>,
    /// When.
    pub at: Millis,
    /// Who or what.
    pub subject: Subject,
}

/// An indicator's value for one key at a pane or calendar close.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Value {
    /// Deterministic record id.
    pub record_id: String,
    /// 1 at the close, then one more per border at which late rows changed it.
    pub revision: i64,
    /// Indicator.
    pub indicator: Arc<str>,
    /// Key space of the sender.
    pub space: Arc<str>,
    /// Key text of the sender.
    pub key: String,
    /// The value.
    pub value: Option<f64>,
    /// Close.
    pub window_end: Millis,
    /// Who or what.
    pub subject: Subject,
}
