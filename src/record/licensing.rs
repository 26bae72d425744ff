//! 许可 licensing: an event in the life of a licence.

use super::{Check, Column, Type};

pub(crate) const ACTIONS: &[&str] =
    &["grant", "change", "renew", "suspend", "resume", "revoke", "withdraw", "cancel", "expire"];

pub(crate) const COLUMNS: &[Column] = &[
    Column::new("license_type", Type::Text, Check::Id(64), "许可类型 / food_operation ...").required(),
    Column::new("license_no", Type::Text, Check::Id(64), "许可证号 / number").required(),
    Column::new("action", Type::Text, Check::OneOf(ACTIONS), "许可事件 / grant, renew, revoke ...").required(),
    Column::new("valid_from", Type::Date, Check::Plausible, "有效期起 / first day, inclusive"),
    Column::new("valid_to", Type::Date, Check::Plausible, "有效期止 / last day, inclusive"),
    Column::new("scope", Type::TextList, Check::Any, "许可范围 / scope"),
    Column::new("issuer_dept", Type::Text, Check::Department, "发证部门 / issuer"),
    Column::new("site", Type::Text, Check::Id(200), "地址 / place"),
    Column::new(
        "staff",
        Type::Json,
        Check::Any,
        "人员资格 / [{person_hash, qual_type, cert_valid_to, post}], read with json_*",
    ),
];
