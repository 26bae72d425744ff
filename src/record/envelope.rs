//! The envelope: what every record carries, whatever its kind.

use super::{Check, Column, Type};

pub(crate) const INDUSTRIES: &[&str] = &[
    "food",
    "drugs",
    "medical_devices",
    "hazardous_chemicals",
    "gas",
    "special_equipment",
    "construction",
    "illegal_finance",
    "blasting",
    "livestock_quarantine",
    "tourism",
    "refined_oil",
    "self_built_housing",
    "prepaid_card",
    "intellectual_property",
    "non_road_machinery",
];

/// The columns of the common envelope. `kind` is not a column: it chooses the table.
pub const ENVELOPE: &[Column] = &[
    Column::new("record_id", Type::Text, Check::Id(64), "记录编号 / idempotency key, unique with source_system")
        .required(),
    Column::new("source_system", Type::Text, Check::Id(64), "来源系统 / system of origin").required(),
    Column::new("source_dept", Type::Text, Check::Department, "来源部门 / department of origin").required(),
    Column::new("entity_id", Type::Text, Check::Uscc, "统一社会信用代码 / enterprise"),
    Column::new("object_id", Type::Text, Check::ObjectId, "监管对象编号 type:code / supervised thing"),
    Column::new("industry", Type::Text, Check::OneOf(INDUSTRIES), "行业 / one of the sixteen industries").required(),
    Column::new("region", Type::Text, Check::Region, "行政区划代码 / 6 digits; taken from the registry when absent"),
    Column::new("street", Type::Text, Check::Street, "街道乡镇代码 / 9 digits"),
    Column::new("occurred_at", Type::Time, Check::Plausible, "发生时间 / event time").required(),
    Column::new("received_at", Type::Time, Check::Plausible, "接收时间 / ingest time"),
    Column::new("revision", Type::Int, Check::Range(1.0, 1e9), "修订号 / higher replaces lower; 1 when absent"),
    Column::new("supersedes", Type::Text, Check::Id(64), "被替代的记录编号 / record that this one replaces"),
    Column::new("void", Type::Bool, Check::Any, "作废 / withdraws the record"),
];
