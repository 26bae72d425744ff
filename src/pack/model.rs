//! A model's head file, `models/<name>.yaml`.

use super::Scorecard;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One model file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    /// 模型编号: the name that indicators use
    pub id: String,
    /// 名称
    pub name: String,
    /// 方法: surge, count_surge, ewma, cusum, shewhart, page_hinkley, holt_winters,
    /// sensor_novelty, sensor_group; farrington, ears and scorecard in `model score` only
    pub method: String,
    /// 版本
    pub version: u32,
    /// 负责人 (department or office)
    pub owner: String,
    /// 参数
    pub parameters: BTreeMap<String, f64>,
    /// 阈值: the score from which `model score` marks an alarm; indicators have levels of their own
    #[serde(default)]
    pub threshold: Option<f64>,
    /// 误报率: what the threshold stands for
    #[serde(default)]
    pub false_alarms: Option<String>,
    /// 误报率, 0 至 1: the share of scores of undisturbed data at the threshold or above. An indicator whose scores are
    /// there far more often, on most of its keys and for days, does without them; not checked when absent
    #[serde(default)]
    pub false_alarm_rate: Option<f64>,
    /// 数据: what it was fitted or set on, with dates
    pub fitted_on: String,
    /// 出处: paper or standard
    pub source: String,
    /// 评分卡 of method scorecard
    #[serde(default)]
    pub scorecard: Option<Scorecard>,
}
