//! 名录 registry: one valid-time version of a supervised object.

use super::{Check, Column, Type};

pub(crate) const STATUS: &[&str] = &["active", "suspended", "closed", "abnormal", "lost"];

pub(crate) const COLUMNS: &[Column] = &[
    Column::new("name", Type::Text, Check::Id(200), "名称 / name").required(),
    Column::new("object_type", Type::Text, Check::Id(64), "对象类型 / restaurant, lift ...").required(),
    Column::new("industry_code", Type::Text, Check::Id(8), "行业代码 / GB/T 4754"),
    Column::new("status", Type::Text, Check::OneOf(STATUS), "状态 / active, suspended, closed, abnormal, lost")
        .required(),
    Column::new("tags", Type::TextList, Check::Any, "标签 / labels"),
    Column::new("risk_class", Type::Text, Check::OneOf(&["A", "B", "C", "D", "none"]), "信用风险分类"),
    Column::new("public_credit", Type::Text, Check::Id(16), "公共信用评价 / grade as issued"),
    Column::new("whitelist_on", Type::Bool, Check::Any, "白名单").at("whitelist.on"),
    Column::new("whitelist_until", Type::Date, Check::Plausible, "白名单期限").at("whitelist.until"),
    Column::new("address", Type::Text, Check::FreeText(300), "地址 / address"),
    Column::new("lon", Type::Float, Check::Range(-180.0, 180.0), "经度 / longitude, CGCS2000 degrees"),
    Column::new("lat", Type::Float, Check::Range(-90.0, 90.0), "纬度 / latitude, CGCS2000 degrees"),
    Column::new("geometry", Type::Text, Check::FreeText(20_000), "几何 / WKT point, line or polygon"),
    Column::new("established_at", Type::Date, Check::Any, "成立日期 / day of founding"),
    Column::new("reg_capital", Type::Decimal, Check::Range(0.0, 1e15), "注册资本(元)"),
    Column::new("staff_count", Type::Int, Check::Range(0.0, 1e7), "从业人数"),
    Column::new(
        "valid_from",
        Type::Date,
        Check::Plausible,
        "版本生效日 / first day of this version; the day of occurred_at when absent",
    ),
    Column::new(
        "next_due_at",
        Type::Json,
        Check::Any,
        "到期事项 / what to date, read with json_date(next_due_at, 'x')",
    ),
    Column::new("limits", Type::Json, Check::Any, "限值 / quantity to {lo, hi, hihi}"),
    Column::new("legal_rep_hash", Type::Text, Check::Hash, "法定代表人假名"),
    Column::new("group_id", Type::Text, Check::Id(64), "集团 / group"),
    Column::new(
        "links",
        Type::Json,
        Check::Any,
        "关联 / [{type, other_id}]: branch, same_rep, same_addr, maintains, supplies, sensor",
    ),
];
