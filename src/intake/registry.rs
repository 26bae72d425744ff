//! Holds the valid-time versions of every supervised object.
//!
//! In: validated rows of registry feeds, or versions from the compacted registry topic. Out: the version of an object
//! that was valid at a time, as known now. Promise: versions may come in any order; of two for the same day the higher
//! revision counts, then the later one; a void row withdraws its version.
//! Not here: which columns of a row are filled from it (`route`).

use crate::log::RegistryRow;
use crate::record::Millis;
use crate::record::time::{self, local_day};
use arrow::array::{Array, AsArray, Date32Array, StringArray};
use arrow::datatypes::{Date32Type, Int64Type, TimestampMillisecondType};
use arrow::record_batch::RecordBatch;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One version of an object: what enrichment reads.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Version {
    /// First day, days since 1970-01-01.
    pub(super) valid_from: i32,
    #[serde(default)]
    pub(super) revision: i64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) void: bool,
    pub(super) name: Option<String>,
    pub(super) object_type: Option<String>,
    pub(super) status: Option<String>,
    pub(super) entity_id: Option<String>,
    pub(super) region: Option<String>,
    pub(super) street: Option<String>,
    /// `None` is not the same as no tags.
    pub(super) tags: Option<Vec<String>>,
    pub(super) risk_class: Option<String>,
    pub(super) whitelist_on: Option<bool>,
    /// Last day on the whitelist.
    pub(super) whitelist_until: Option<i32>,
    pub(super) group_id: Option<String>,
    pub(super) maintained_by: Option<String>,
}

impl Version {
    /// On the whitelist at that time.
    pub(super) fn whitelisted(&self, at: Millis) -> Option<bool> {
        let until = self.whitelist_until.is_none_or(|until| local_day(at) <= i64::from(until));
        self.whitelist_on.map(|on| on && until)
    }
}

/// All objects of the registry.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    /// Versions by object, each list ordered by `valid_from`. Looked up only, never walked.
    objects: HashMap<String, Vec<Version>>,
}

fn text(rows: &RecordBatch, name: &str, row: usize) -> Option<String> {
    let column: &StringArray = rows.column_by_name(name)?.as_string_opt()?;
    column.is_valid(row).then(|| column.value(row).to_owned())
}

fn day(rows: &RecordBatch, name: &str, row: usize) -> Option<i32> {
    let column: &Date32Array = rows.column_by_name(name)?.as_primitive_opt::<Date32Type>()?;
    column.is_valid(row).then(|| column.value(row))
}

fn truth(rows: &RecordBatch, name: &str, row: usize) -> Option<bool> {
    let column = rows.column_by_name(name)?.as_boolean_opt()?;
    column.is_valid(row).then(|| column.value(row))
}

fn tags(rows: &RecordBatch, row: usize) -> Option<Vec<String>> {
    let column = rows.column_by_name("tags")?.as_list_opt::<i32>()?;
    if column.is_null(row) {
        return None;
    }
    let items = column.value(row);
    let items: &StringArray = items.as_string_opt()?;
    Some(items.iter().flatten().map(str::to_owned).collect())
}

/// The other end of the first link of type `maintains`.
fn maintained_by(links: Option<&str>) -> Option<String> {
    #[derive(Deserialize)]
    struct Link {
        #[serde(rename = "type")]
        ty: String,
        other_id: String,
    }
    let links: Vec<Link> = serde_json::from_str(links?).ok()?;
    links.into_iter().find(|l| l.ty == "maintains").map(|l| l.other_id)
}

impl Registry {
    /// Takes validated registry rows, in order.
    pub fn apply(&mut self, rows: &RecordBatch) {
        for (key, version) in versions(rows) {
            self.insert(key, version);
        }
    }

    /// Takes a version from the compacted registry topic; false when it is not one of ours.
    pub fn load(&mut self, row: &RegistryRow) -> bool {
        let object = row.key.rsplit_once('|').map(|(object, _)| object.to_owned());
        match (object, serde_json::from_str::<Version>(&row.value)) {
            (Some(object), Ok(version)) => {
                self.insert(object, version);
                true
            }
            _ => false,
        }
    }

    /// Everything as JSON, for a snapshot; ordered by object.
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        let sorted: BTreeMap<&String, &Vec<Version>> = self.objects.iter().collect();
        serde_json::to_vec(&sorted).expect("a version holds only texts, numbers and lists")
    }

    /// What [`Registry::save`] gave; `None` when it does not read.
    #[must_use]
    pub fn restore(bytes: &[u8]) -> Option<Registry> {
        let objects: BTreeMap<String, Vec<Version>> = serde_json::from_slice(bytes).ok()?;
        Some(Registry { objects: objects.into_iter().collect() })
    }

    /// Number of objects.
    #[must_use]
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// True when no object is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    fn insert(&mut self, key: String, version: Version) {
        let versions = self.objects.entry(key).or_default();
        match versions.binary_search_by_key(&version.valid_from, |v| v.valid_from) {
            Ok(at) if version.revision >= versions[at].revision => versions[at] = version,
            Ok(_) => {}
            Err(at) => versions.insert(at, version),
        }
    }

    /// The version of an object that was valid at a time.
    pub(super) fn at(&self, object: &str, at: Millis) -> Option<&Version> {
        self.on(object, local_day(at))
    }

    /// The version of an object that is valid on a day.
    pub(super) fn on(&self, object: &str, day: i64) -> Option<&Version> {
        let versions = self.objects.get(object)?;
        let upto = versions.partition_point(|v| i64::from(v.valid_from) <= day);
        versions[..upto].iter().rev().find(|v| !v.void)
    }
}

/// Key and version of each row.
fn versions(rows: &RecordBatch) -> impl Iterator<Item = (String, Version)> + '_ {
    (0..rows.num_rows()).filter_map(|row| {
        let key = text(rows, "object_id", row).or_else(|| text(rows, "entity_id", row))?;
        let occurred = rows.column_by_name("occurred_at")?.as_primitive_opt::<TimestampMillisecondType>()?;
        let day_of_record = i32::try_from(local_day(occurred.value(row))).ok();
        let revision = rows
            .column_by_name("revision")
            .and_then(|c| c.as_primitive_opt::<Int64Type>())
            .filter(|c| c.is_valid(row))
            .map_or(1, |c| c.value(row));
        let version = Version {
            valid_from: day(rows, "valid_from", row).or(day_of_record)?,
            revision,
            void: truth(rows, "void", row).unwrap_or(false),
            name: text(rows, "name", row),
            object_type: text(rows, "object_type", row),
            status: text(rows, "status", row),
            entity_id: text(rows, "entity_id", row),
            region: text(rows, "region", row),
            street: text(rows, "street", row),
            tags: tags(rows, row),
            risk_class: text(rows, "risk_class", row),
            whitelist_on: truth(rows, "whitelist_on", row),
            whitelist_until: day(rows, "whitelist_until", row),
            group_id: text(rows, "group_id", row),
            maintained_by: maintained_by(text(rows, "links", row).as_deref()),
        };
        Some((key, version))
    })
}

/// The rows as they go to the compacted registry topic.
pub(super) fn topic_rows(rows: &RecordBatch) -> Vec<RegistryRow> {
    versions(rows)
        .map(|(key, version)| RegistryRow {
            key: format!("{key}|{}", time::date(i64::from(version.valid_from))),
            value: serde_json::to_string(&version).expect("a version holds only texts, numbers and lists"),
        })
        .collect()
}
