//! 检查 inspection: a check of an object and its conclusion.

use super::{Check, Column, Type};

pub(crate) const MODES: &[&str] =
    &["random_single", "random_joint", "special", "joint_visit", "routine", "off_site", "clue_check"];
pub(crate) const CONCLUSIONS: &[&str] = &[
    "no_issue",
    "not_published",
    "false_published",
    "unreachable",
    "ordered_rectify",
    "refused_serious",
    "no_such_activity",
    "follow_up",
];

pub(crate) const COLUMNS: &[Column] = &[
    Column::new("task_id", Type::Text, Check::Id(64), "任务编号 / task").required(),
    Column::new("mode", Type::Text, Check::OneOf(MODES), "检查方式 / way").required(),
    Column::new("matter_codes", Type::TextList, Check::Any, "检查事项 / matters").required(),
    Column::new("participants", Type::TextList, Check::Any, "参与部门 / departments present").required(),
    Column::new("conclusion", Type::Text, Check::OneOf(CONCLUSIONS), "检查结论 / public result type").required(),
    Column::new("problems", Type::Json, Check::Any, "问题 / [{code, grade, due_at, rectified_at}], read with json_*"),
    Column::new("plan_at", Type::Time, Check::Plausible, "计划时间 / plan for merging"),
    Column::new("published_at", Type::Time, Check::Plausible, "公示时间 / publication"),
    Column::new("ref_id", Type::Text, Check::Id(64), "关联记录 / sample or clue that was checked"),
];
