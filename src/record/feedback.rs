//! 反馈 feedback: what a department did about a warning.

use super::{Check, Column, Type};

pub(crate) const ACTIONS: &[&str] = &[
    "sign",
    "progress",
    "dispose",
    "conclude",
    "transfer",
    "reject",
    "request_support",
    "false_alarm",
    "request_assessment",
    "extend",
];
pub(crate) const RESULTS: &[&str] = &["verified", "not_verified", "rectified", "case_filed", "criminal_transfer"];

pub(crate) const COLUMNS: &[Column] = &[
    Column::new("warning_id", Type::Text, Check::Id(64), "预警编号 / warning").required(),
    Column::new("dept", Type::Text, Check::Department, "反馈部门 / department that answers").required(),
    Column::new("action", Type::Text, Check::OneOf(ACTIONS), "动作 / sign, dispose, conclude ...").required(),
    Column::new("result_code", Type::Text, Check::OneOf(RESULTS), "处置结果 / result"),
    Column::new("measures", Type::TextList, Check::Any, "措施 / measures taken"),
    Column::new("transfer_to", Type::Text, Check::Department, "转派部门 / new department"),
    Column::new("due_ext", Type::Time, Check::Plausible, "延期至 / new due time"),
    Column::new("handler_hash", Type::Text, Check::Hash, "经办人假名 / operator pseudonym").required(),
    Column::new("note", Type::Text, Check::FreeText(2000), "说明 / masked text").required(),
];
