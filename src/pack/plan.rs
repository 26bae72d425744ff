//! A response plan as it stands in `rules/<industry>/plan.yaml`.

use super::Span;
use crate::record::Level;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One plan file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// 预案编号: `plan_<industry>`
    pub id: String,
    /// 名称
    pub name: String,
    /// English name
    #[serde(default)]
    pub name_en: String,
    /// 各级响应
    pub levels: BTreeMap<Level, PlanLevel>,
}

/// What one level asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanLevel {
    /// 步骤
    pub steps: Vec<Step>,
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// 编号
    pub id: String,
    /// 责任部门: a department id, or `lead`
    pub by: String,
    /// 配合部门
    #[serde(default)]
    pub with: Vec<String>,
    /// 措施
    #[serde(rename = "do")]
    pub action: String,
    /// English
    #[serde(default)]
    pub do_en: String,
    /// 时限, on the clock of the level (working hours for blue and yellow)
    pub within: Span,
}
