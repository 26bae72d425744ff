//! The canonical document of one change of one warning, and its JSON Schema.
//!
//! `deliver` renders it for each audience by taking away; nothing is added after `respond`.

use super::time::Time;
use crate::engine::{ChangeKind, Reading};
use crate::pack::shared::Clock;
use crate::pack::{BasisStatus, Span};
use crate::record::{Kind, Level};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The name of the schema, also in the header `ce_dataschema`. It changes only when a reader would have to.
pub const DATA_SCHEMA: &str = "urn:forewarn:schema:warning:1";

/// 内部风险预警的一次变化。A change is never edited: a new one refers to those before it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Warning {
    /// 预警编号 / warning id, the same for all its changes
    pub id: String,
    /// 变化序号，从1起 / number of the change within the warning
    pub change: u32,
    /// 消息编号：预警编号.序号 / the CloudEvents id
    pub ce_id: String,
    /// 消息类型：首次、更新、取消 / alert, update, cancel
    pub msg_type: MsgType,
    /// 此前各次变化的消息编号 / ids of the earlier changes, oldest first
    pub references: Vec<String>,
    /// 状态：实际、演练、测试 / actual, exercise, test
    pub status: Mode,
    /// 范围：限内部 / restricted: never for the public
    pub scope: Scope,
    /// 性质：内部提示，不是政府发布的突发事件预警 / an internal notice, not a public warning
    pub note: String,
    /// 变化：发布、升级、触发消除、再次触发、到期 / what happened
    pub kind: ChangeKind,
    /// 试运行指标：只计数，不发送 / trial indicator: counted, never sent
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shadow: bool,
    /// 等级：blue 蓝、yellow 黄、orange 橙、red 红 / level from now on
    pub level: Level,
    /// 等级序号：1 蓝 … 4 红 / 1 blue to 4 red
    #[schemars(range(min = 1, max = 4))]
    pub level_no: u8,
    /// 等级名称 / name of the level
    pub level_name: String,
    /// 等级英文名称 / English name of the level
    pub level_name_en: String,
    /// 变化前等级 / level before
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<Level>,
    /// 标题 / headline in Chinese
    pub headline: String,
    /// 英文标题 / headline in English
    pub headline_en: String,
    /// 正文 / text in Chinese
    pub text: String,
    /// 英文正文 / text in English
    pub text_en: String,
    /// 模板错误：正文为自动生成 / why a template could not be rendered; the text was then generated
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_error: Option<String>,
    /// 行业 / industry
    pub industry: IndustryRef,
    /// 指标 / indicator
    pub indicator: IndicatorRef,
    /// 规则包版本 / the pack that judged
    pub pack: PackRef,
    /// 监管对象 / who or what it is about
    pub subject: SubjectRef,
    /// 键空间 / key space of the indicator
    pub space: String,
    /// 键 / routing key
    pub key: String,
    /// 细分键 / state key, in the order of the rule
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub state: Vec<StatePart>,
    /// 判定值，指标单位 / the value judged, in the indicator's unit
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// 限值，指标单位 / the bound of the level, in the indicator's unit
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound: Option<f64>,
    /// 统计量与限值 / every quantity judged, with its bound
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub readings: Vec<Reading>,
    /// 窗口 (起, 止] / window judged
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowSpan>,
    /// 所用分组 / segment of the rule that was used
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<String>,
    /// 因数据缺失而发出 / raised because data is absent
    pub absent: bool,
    /// 模型学习期或窗口不完整 / the model was warming up or the window was cut
    pub partial: bool,
    /// 模型自检未通过，评分暂不采用 / the model alarms far more often than it declares: its scores are not used
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub model_failing: bool,
    /// 证据 / references to the records that made it fire
    pub evidence: Vec<Evidence>,
    /// 窗口内记录总数 / records in the window
    pub evidence_total: u64,
    /// 因消息大小未列出的证据数 / references left out for the size of the message
    #[serde(default, skip_serializing_if = "is_zero")]
    pub evidence_left_out: u64,
    /// 因消息大小略去证据数值 / values left out for the size of the message
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub values_left_out: bool,
    /// 日志位置 / where in the log the evidence lies
    pub log: LogRange,
    /// 触发原因 / what raised it: `record <system> <id> <revision>`, `due <kind> <time>` or `roster <valid_from>`
    pub cause: String,
    /// 发生时间 / event time of the change
    pub occurred: Time,
    /// 发现时间（日志时间） / log time at which it was found
    pub found: Time,
    /// 部门 / lead and assisting departments
    pub departments: Departments,
    /// 发送对象 / every audience; the monitoring centre always reads along
    pub told: Vec<Audience>,
    /// 本份的接收对象 / whom this copy is for; absent in the monitoring centre's
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<Audience>,
    /// 综合研判 / joint assessment
    pub joint_assessment: JointAssessment,
    /// 响应预案 / response plan of the level
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanInForce>,
    /// 时限；自发布或升级时起算，触发消除后继续计时 / deadlines, from the raise or upgrade on; a clear does not stop them
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadlines: Option<Deadlines>,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// 消息类型 / kind of message
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MsgType {
    /// 首次 / the first message of a warning
    Alert,
    /// 更新 / says what changed and why
    Update,
    /// 取消 / withdraws: sent in error
    Cancel,
}

/// 状态 / what the message is for
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// 实际 / real
    #[default]
    Actual,
    /// 演练 / a drill
    Exercise,
    /// 测试 / a test of the system
    Test,
}

/// 范围 / who may see it
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// 限内部 / only those it is addressed to
    Restricted,
}

/// 行业 / industry
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IndustryRef {
    /// 编号 / id
    pub id: String,
    /// 名称 / name
    pub name: String,
    /// 英文名称 / English name
    pub name_en: String,
}

/// 指标 / indicator
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IndicatorRef {
    /// 编号 / id
    pub id: String,
    /// 名称 / name
    pub name: String,
    /// 英文名称 / English name
    pub name_en: String,
    /// 单位 / unit of value and bound
    pub unit: String,
    /// 依据（发生时有效） / what it rests on, in force when it occurred
    pub basis: Vec<BasisInForce>,
}

/// 依据 / law, standard or default
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BasisInForce {
    /// 名称 / name
    pub name: String,
    /// 编号 / number
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// S 法定，P 惯例，D 默认 / S set by law or standard, P practice, D default
    pub status: BasisStatus,
}

/// 规则包 / pack
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PackRef {
    /// 版本 / version
    pub version: u64,
    /// 哈希 / hash
    pub hash: String,
}

/// 监管对象 / supervised object
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SubjectRef {
    /// 对象编号 / object id
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_id: Option<String>,
    /// 统一社会信用代码 / enterprise
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity_id: Option<String>,
    /// 名称 / name
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// 类型 / type
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub object_type: Option<String>,
    /// 区划 / region
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<RegionRef>,
    /// 街道乡镇 / street or town
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub street: Option<String>,
    /// 位置 / place inside the object
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// 测点 / point
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sensor: Option<String>,
    /// 标签 / labels
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// 信用风险分类 / credit risk class A to D
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk_class: Option<String>,
}

/// 区划 / region
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RegionRef {
    /// 代码 / code
    pub code: String,
    /// 名称 / name
    pub name: String,
    /// 英文名称 / English name
    pub name_en: String,
}

/// 细分键的一列 / one column of the state key
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatePart {
    /// 列 / column
    pub column: String,
    /// 值 / value
    pub value: String,
}

/// 窗口 / window
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WindowSpan {
    /// 起（不含） / from, exclusive
    pub from: Time,
    /// 止（含） / to, inclusive
    pub to: Time,
}

/// 一条证据 / one record of the evidence
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// 记录类型 / kind of the record
    pub kind: Kind,
    /// 来源系统 / system of origin
    pub source_system: String,
    /// 来源部门 / department of origin
    pub source_dept: String,
    /// 记录编号 / record id
    pub record_id: String,
    /// 修订号 / revision
    pub revision: i64,
    /// 发生时间 / event time
    pub occurred_at: Time,
    /// 一句话说明 / one line in Chinese
    pub summary: String,
    /// 英文说明 / one line in English
    pub summary_en: String,
    /// 指标读取的数值；其他部门的记录没有 / the columns that the indicator read; absent for another department's record
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<BTreeMap<String, serde_json::Value>>,
}

/// 日志位置 / a range of one partition of the log
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogRange {
    /// 分区 / partition
    pub partition: u32,
    /// 首位置 / first position
    pub first: u64,
    /// 末位置 / last position
    pub last: u64,
}

/// 部门 / departments
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Departments {
    /// 牵头 / lead
    pub lead: LeadDepartment,
    /// 协同 / assisting
    pub assist: Vec<Assist>,
    /// 属地（橙色起） / district government, from orange on
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub territory: Option<Territory>,
}

/// 牵头部门 / lead department
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeadDepartment {
    /// 部门编号 / department
    pub id: String,
    /// 区县分支：部门@区划 / its branch in the district, `dept@region`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// 名称 / name
    pub name: String,
    /// 英文名称 / English name
    pub name_en: String,
    /// 认定步骤 1–5 / step of the assignment that chose it
    #[schemars(range(min = 1, max = 5))]
    pub step: u8,
    /// 认定理由 / why
    pub why: String,
    /// 英文理由 / why, in English
    pub why_en: String,
}

/// 协同部门 / assisting department
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Assist {
    /// 部门编号 / department, or `dept@region`
    pub id: String,
    /// 名称 / name
    pub name: String,
    /// 英文名称 / English name
    pub name_en: String,
    /// 理由 / why
    pub why: String,
    /// 英文理由 / why, in English
    pub why_en: String,
}

/// 属地责任 / territorial duty: the district begins the first response
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Territory {
    /// 区划代码 / region
    pub region: String,
    /// 名称 / name
    pub name: String,
    /// 英文名称 / English name
    pub name_en: String,
    /// 责任 / duty
    pub duty: String,
    /// 英文 / duty, in English
    pub duty_en: String,
}

/// 接收对象 / who a copy is for
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Audience {
    /// 部门 / department
    pub dept: String,
    /// 区划代码 / region: a district, or the city
    pub region: String,
    /// 角色 / role
    pub role: AudienceRole,
}

/// 角色 / why somebody is told
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AudienceRole {
    /// 牵头 / leads
    Lead,
    /// 协同 / assists
    Assist,
    /// 联席会议办公室、政府值班室 / joint office, duty office
    Office,
}

/// 综合研判 / several departments judge together
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JointAssessment {
    /// 必须 / mandatory
    pub required: bool,
    /// 可申请 / may be asked for
    pub on_request: bool,
    /// 时限 / within
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Span>,
    /// 最迟 / by when
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Time>,
    /// 理由 / why
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// 英文理由 / why, in English
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why_en: String,
}

/// 预案 / response plan of one level
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanInForce {
    /// 预案编号 / plan
    pub id: String,
    /// 名称 / name
    pub name: String,
    /// 英文名称 / English name
    pub name_en: String,
    /// 等级 / level
    pub level: Level,
    /// 非现场优先：蓝黄级、信用A类、非生命安全行业，先数据视频自查，不主动上门 / off-site first: data, video, self-report
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub off_site_first: bool,
    /// 步骤 / steps, in order
    pub steps: Vec<DueStep>,
}

/// 预案步骤 / one step: who does what by when
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DueStep {
    /// 编号 / id
    pub id: String,
    /// 措施 / what
    #[serde(rename = "do")]
    pub action: String,
    /// 英文措施 / what, in English
    #[serde(default)]
    pub do_en: String,
    /// 责任部门 / who
    pub by: String,
    /// 配合部门 / with whom
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub with: Vec<String>,
    /// 时限（按等级时钟） / time allowed, on the clock of the level
    pub within: Span,
    /// 最迟，自发布或升级时起算 / by when, on the clock of the level
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Time>,
}

/// 时限 / deadlines of the level
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deadlines {
    /// 时钟：自然时间或工作时间 / which hours count
    pub clock: Clock,
    /// 起算 / start
    pub from: Time,
    /// 签收最迟 / receipt
    pub sign_by: Time,
    /// 首报最迟 / first report
    pub first_report_by: Time,
    /// 处置最迟 / disposal
    pub disposal_by: Time,
    /// 提醒 / reminders, earliest first
    pub reminders: Vec<Reminder>,
}

/// 提醒 / one reminder
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reminder {
    /// 哪一时限 / which deadline
    pub of: ReminderOf,
    /// 已用百分比 / share of the time used, percent
    pub percent: u8,
    /// 时间 / when
    pub at: Time,
}

/// 时限种类 / which deadline
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReminderOf {
    /// 签收 / receipt
    Sign,
    /// 首报 / first report
    FirstReport,
    /// 处置 / disposal
    Disposal,
}

/// The JSON Schema (draft-07) of [`Warning`]: what every message about a warning fits.
#[must_use]
pub fn warning_schema() -> serde_json::Value {
    let generator = schemars::generate::SchemaSettings::draft07().for_serialize().into_generator();
    let mut schema = generator.into_root_schema_for::<Warning>();
    schema.insert("$id".to_owned(), DATA_SCHEMA.into());
    schema.insert("title".to_owned(), "内部风险预警 / internal risk warning".into());
    schema.to_value()
}
