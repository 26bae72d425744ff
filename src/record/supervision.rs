//! 监管 supervision: what happened to, or was said about, an object.

use super::{Check, Column, Type};

pub(crate) const ACTIONS: &[&str] = &[
    "behavior",
    "penalty",
    "order",
    "clue",
    "complaint",
    "sample_result",
    "credit_eval",
    "dishonesty",
    "work_ticket",
    "report_filing",
    "transaction",
    "case_report",
    "weather",
    "monitoring",
    "attendance",
];
pub(crate) const SEVERITY: &[&str] = &["minor", "general", "serious"];
pub(crate) const CHANNELS: &[&str] =
    &["hotline_12345", "platform_12315", "online_monitor", "association", "media", "inspection", "transfer"];

pub(crate) const COLUMNS: &[Column] = &[
    Column::new("action", Type::Text, Check::OneOf(ACTIONS), "事项类别 / what happened").required(),
    Column::new("matter_code", Type::Text, Check::Id(64), "监管事项编码 / matter of the list"),
    Column::new("doc_no", Type::Text, Check::Id(64), "文书号 / document number"),
    Column::new("violation_code", Type::Text, Check::Id(64), "违法行为代码 / for repeat and campaign rules"),
    Column::new("penalty_types", Type::TextList, Check::Any, "处罚种类 / kinds of the penalty law"),
    Column::new("amount_cny", Type::Decimal, Check::Range(0.0, 1e15), "金额(元) / fine, sum involved, balance"),
    Column::new("severity", Type::Text, Check::OneOf(SEVERITY), "失信程度 / minor, general, serious"),
    Column::new("channel", Type::Text, Check::OneOf(CHANNELS), "线索渠道 / channel of a clue or complaint"),
    Column::new("category", Type::Text, Check::Id(64), "类别 / gas_leak, waybill, heartbeat ..."),
    Column::new("reporter_hash", Type::Text, Check::Hash, "举报人假名 / to count distinct reporters, never the person"),
    Column::new("ill", Type::Int, Check::Range(0.0, 1e7), "患病人数 / people ill").at("casualties.ill"),
    Column::new("injured", Type::Int, Check::Range(0.0, 1e7), "受伤人数 / people injured").at("casualties.injured"),
    Column::new("dead", Type::Int, Check::Range(0.0, 1e7), "死亡人数 / people dead").at("casualties.dead"),
    Column::new("product_code", Type::Text, Check::Id(64), "产品编码 / UDI-DI or GTIN"),
    Column::new("batch_no", Type::Text, Check::Id(64), "批号 / lot"),
    Column::new("metrics", Type::Json, Check::Any, "上报数值 / name to number, read with json_number(metrics, 'x')"),
    Column::new("credit_grade", Type::Text, Check::Id(16), "公共信用等级 / as issued"),
    Column::new("credit_score", Type::Float, Check::Any, "公共信用得分 / as issued"),
    Column::new("location_id", Type::Text, Check::Id(64), "位置 / place"),
    Column::new("ref_id", Type::Text, Check::Id(64), "关联记录 / sample, ticket or recall this record belongs to"),
    Column::new("result", Type::Text, Check::Id(32), "结果 / pass, fail, filed ..."),
    Column::new("content", Type::Text, Check::FreeText(2000), "内容 / free text, masked"),
    Column::new("lon", Type::Float, Check::Range(-180.0, 180.0), "经度 / longitude, CGCS2000 degrees"),
    Column::new("lat", Type::Float, Check::Range(-90.0, 90.0), "纬度 / latitude, CGCS2000 degrees"),
];
