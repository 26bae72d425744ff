//! The tables of `rules/shared/` and the head file of an industry.

use super::Span;
use crate::record::Level;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `rules/<industry>/industry.yaml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IndustryFile {
    /// 行业编号: one of the sixteen
    pub id: String,
    /// 名称
    pub name: String,
    /// English name
    pub name_en: String,
    /// 牵头部门
    pub lead: String,
    /// 协同部门
    pub assist: Vec<String>,
    /// 生命安全: whitelists never suppress or lower its indicators
    #[serde(default)]
    pub life_safety: bool,
    /// 行业代码前缀 (GB/T 4754), for new trades
    #[serde(default)]
    pub industry_codes: Vec<String>,
    /// 依据
    #[serde(default)]
    pub basis: Vec<super::Basis>,
}

/// One line of `rules/shared/departments.yaml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Department {
    /// 编号
    pub id: String,
    /// 名称
    pub name: String,
    /// English name
    pub name_en: String,
    /// One of the 32 of the city notice; others are sources or receivers.
    #[serde(default)]
    pub listed: bool,
}

/// One line of `rules/shared/regions.yaml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// 代码
    pub code: String,
    /// 名称
    pub name: String,
    /// English name
    pub name_en: String,
    /// 上级
    #[serde(default)]
    pub parent: Option<String>,
    /// S or D as in the handbook
    pub status: super::BasisStatus,
}

/// A street or town of `rules/shared/regions.yaml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Street {
    /// 代码: nine digits, the first six a region
    pub code: String,
    /// 名称
    pub name: String,
}

/// `rules/shared/regions.yaml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Regions {
    /// 市: region code of city-level topics
    pub city: String,
    /// 区划
    pub regions: Vec<Region>,
    /// 街道乡镇: names of streets; one that is not listed is told by its code
    #[serde(default)]
    pub streets: Vec<Street>,
}

/// `rules/shared/calendar.yaml`: working time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CalendarFile {
    /// 工作时段 of a working day, `["08:30-12:00", "13:30-17:30"]`
    pub hours: Vec<String>,
    /// 节假日, `YYYY-MM-DD`
    pub holidays: Vec<String>,
    /// 调休上班日, `YYYY-MM-DD`
    pub workdays: Vec<String>,
}

/// `rules/shared/deadlines.yaml`: the clock of each level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deadlines {
    /// 各级时限
    pub levels: BTreeMap<Level, LevelDeadlines>,
}

/// The deadlines of a level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LevelDeadlines {
    /// 时钟
    pub clock: Clock,
    /// 签收
    pub sign: Allowed,
    /// 首报
    pub first_report: Allowed,
    /// 处置
    pub disposal: Allowed,
}

/// Which hours count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// 自然时间
    Calendar,
    /// 工作时间
    Working,
}

/// A time allowed: working days, or a span on the level's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Allowed {
    /// `{ working_days: 3 }`
    Days {
        /// Working days
        working_days: u32,
    },
    /// `2h`
    Span(Span),
}

/// One line of `rules/shared/matters.yaml`: a matter that statute or list gives to exactly one department.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Matter {
    /// 事项编码
    pub code: String,
    /// 名称
    pub name: String,
    /// 牵头部门
    pub lead: String,
    /// 依据
    #[serde(default)]
    pub basis: String,
}
