//! What intake adds to a row from the registry version that was valid when the record occurred.

use super::{Check, Column, Type};

/// Columns of the supervised object, null (and `object_known` false) when the registry does not know it.
pub const ENRICHMENT: &[Column] = &[
    Column::new("object_known", Type::Bool, Check::Any, "名录中有此对象 / the registry knows the object"),
    Column::new("object_name", Type::Text, Check::Any, "对象名称 / name"),
    Column::new("object_type", Type::Text, Check::Any, "对象类型 / restaurant, lift, gas_station ..."),
    Column::new("object_status", Type::Text, Check::Any, "对象状态 / active, suspended, closed, abnormal, lost"),
    Column::new("object_entity", Type::Text, Check::Any, "所属主体 / USCC of the enterprise that owns the object"),
    Column::new("tags", Type::TextList, Check::Any, "标签 / read with has_tag('x')"),
    Column::new("risk_class", Type::Text, Check::Any, "信用风险分类 / A B C D"),
    Column::new("whitelisted", Type::Bool, Check::Any, "白名单 / on the whitelist at that time"),
    Column::new("group_id", Type::Text, Check::Any, "集团 / group of the enterprise"),
    Column::new("maintained_by", Type::Text, Check::Any, "维保单位 / the first link of type maintains"),
];
