//! The part of a model file that says how records become a risk of an object, and with which points.

use super::{Span, Sql};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A scorecard: a sum of points over an object's features, each computed from records of earlier days.
///
/// log odds = log odds of the city's recent rate + `intercept` + Σ points × (value − center) × ln 2 / 20.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scorecard {
    /// 记录: what is read, by source of the pack
    pub records: BTreeMap<String, ScorecardRecord>,
    /// 结果: what is foretold
    pub outcome: ScorecardOutcome,
    /// 停报天数: a source without records for so many days stops its clock, so that a gap of a feed is no good conduct
    pub silent_days: u32,
    /// 截距
    pub intercept: f64,
    /// 岭惩罚: penalty on the squared weights of standardised features, for `model fit`
    pub penalty: f64,
    /// 特征
    pub features: Vec<ScorecardFeature>,
}

/// What is read of a source's records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScorecardRecord {
    /// 对象 (SQL text): the object that a record is about
    #[serde(default)]
    pub key: Option<Sql>,
    /// 编号 (SQL text) of a record whose outcome is foretold
    #[serde(default)]
    pub id: Option<Sql>,
    /// 属性 (SQL text): what an object belongs to; the newest that is not null holds
    #[serde(default)]
    pub groups: BTreeMap<String, Sql>,
    /// 纬度, degrees (SQL number)
    #[serde(default)]
    pub lat: Option<Sql>,
    /// 经度, degrees (SQL number)
    #[serde(default)]
    pub lon: Option<Sql>,
    /// 事件 (SQL number, or true or false): a value that is null is no event; true counts 1
    pub events: BTreeMap<String, Sql>,
}

/// What is foretold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScorecardOutcome {
    /// 来源
    pub source: String,
    /// 事件: above zero is the bad outcome
    pub event: String,
    /// 全市基准半衰期: half-life of the city's rate that the log odds start from
    pub half_life: Span,
    /// 初始率: the city's rate before there are records, 0 to 1; it weighs as 50 records
    pub rate: f64,
}

/// How a feature is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// 衰减次数: sum of the event's values, each halved every half-life
    Count,
    /// 相对对数几率: share of `of` in `per` with a Beta prior of weight `prior`, log odds against the whole city's
    Rate,
    /// 相对均值: mean of `of` per `per` with a prior of weight `prior`, less the whole city's
    Mean,
    /// 最近值: value of the object's newest event, 0 without one
    Last,
    /// 距今月数: months of 30 days since the object's newest event; `max` without one
    Since,
    /// 从未: 1 when the object never had the event
    Never,
    /// 年数: years since the day that the newest event gives as its value (days since 1970-01-01), 0 without one
    Age,
    /// 属于: 1 when the object's group `by` is one of `values`
    Is,
    /// 同组对象数: how many other objects have the same group `by`
    Members,
}

/// What a feature's value goes through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// As it is.
    #[default]
    Plain,
    /// ln(1 + x).
    Log,
}

/// One line of the scorecard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScorecardFeature {
    /// 编号
    pub id: String,
    /// 名称
    pub name: String,
    /// 计算
    pub measure: Measure,
    /// 事件
    #[serde(default)]
    pub of: Option<String>,
    /// 分母事件 of a rate or mean
    #[serde(default)]
    pub per: Option<String>,
    /// 范围: a group, or `near` (within about `metres`); the object itself when absent
    #[serde(default)]
    pub by: Option<String>,
    /// 取值 of `is`
    #[serde(default)]
    pub values: Vec<String>,
    /// 半衰期
    #[serde(default)]
    pub half_life: Option<Span>,
    /// 先验权重, in events
    #[serde(default)]
    pub prior: Option<f64>,
    /// 边长, metres, of the squares of `near`; a square and its eight neighbours count
    #[serde(default)]
    pub metres: Option<f64>,
    /// 上限 of the raw value
    #[serde(default)]
    pub max: Option<f64>,
    /// 形状
    #[serde(default)]
    pub shape: Shape,
    /// 分值 for each unit above the centre; 20 points double the odds
    pub points: f64,
    /// 中心: mean of the data that it was fitted on
    pub center: f64,
}
