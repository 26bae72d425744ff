//! An indicator as it stands in `rules/<industry>/<indicator>.yaml`.
//!
//! The structs here are the file's form: what `schema rule` prints, what `check` reads and what the engine compiles.
//! Bounds are numbers; SQL stands only in fields of type [`Sql`].

use super::Span;
use crate::record::Level;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One SQL scalar expression over the columns of a source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Sql(pub String);

/// One rule file. Unknown fields are refused by the schema step of `read`, which knows the method's fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Indicator {
    /// 指标编号: the id of the handbook; never reused or renamed. A helper is `<indicator>__<part>`.
    pub id: String,
    /// 名称
    pub name: String,
    /// English name
    #[serde(default)]
    pub name_en: String,
    /// 状态
    pub status: Status,
    /// 行业; the industry of the folder when absent.
    #[serde(default)]
    pub industry: Option<String>,
    /// 数据来源: a record kind (all feeds of it), the name of a source file, `signal` or `value`.
    pub source: String,
    /// 键
    pub key: Key,
    /// 事件键: which state-key columns tell incidents apart; object and location_id when absent.
    #[serde(default)]
    pub incident: Option<Vec<String>>,
    /// 筛选: rows that count (SQL, true or false).
    #[serde(default)]
    pub filter: Option<Sql>,
    /// 查询的状态: lookups whose columns `<name>_<value>` the expressions may read.
    #[serde(default)]
    pub lookups: BTreeMap<String, String>,
    /// 计算方式
    #[serde(flatten)]
    pub kind: Method,
    /// 单位
    #[serde(default)]
    pub unit: String,
    /// 等级
    #[serde(default)]
    pub levels: Levels,
    /// 升级: raises the level when a condition holds.
    #[serde(default)]
    pub raise: Vec<Raise>,
    /// 分组: first match wins.
    #[serde(default)]
    pub segments: Vec<Segment>,
    /// 解除
    #[serde(default)]
    pub clear: Clear,
    /// 最短持续: a level must have held so long before the warning is raised.
    #[serde(default)]
    pub dwell: Option<Span>,
    /// 冷却: after an end, no new warning at or below the level for so long.
    #[serde(default)]
    pub cool_down: BTreeMap<Level, Span>,
    /// 缺报: absence against a roster.
    #[serde(default)]
    pub absence: Option<Absence>,
    /// 空值: what a null value means; the author chooses.
    pub on_null: OnNull,
    /// 输出值: sends the value at each pane or calendar close as a record.
    #[serde(default)]
    pub emit: Option<Emit>,
    /// 风险信号去向: key spaces that read this indicator's signals, with the key to send them to.
    #[serde(default)]
    pub signal_to: Vec<SignalRoute>,
    /// 依据
    #[serde(default)]
    pub basis: Vec<Basis>,
    /// 部门
    #[serde(default)]
    pub to: To,
    /// 事项: matter code that decides the lead department, if the list names one.
    #[serde(default)]
    pub matter_code: Option<String>,
    /// 预案; `plan.yaml` of the folder when absent.
    #[serde(default)]
    pub plan: Option<String>,
    /// 文字 (minijinja)
    #[serde(default)]
    pub message: String,
    /// English text (minijinja)
    #[serde(default)]
    pub message_en: String,
}

/// Whether an indicator counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// 草稿: checked, not evaluated.
    Draft,
    /// 试运行: evaluated, counted and compared, never sent.
    Shadow,
    /// 正式
    Stable,
    /// 停用: kept with its reason.
    Retired,
}

/// Where the state of an indicator is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// 键空间: `object` (the home copy) or a route of the source: entity, street, firm, batch, group, record ...
    pub space: String,
    /// 细分: columns that divide the state inside a routing key: sensor_id, location_id, shift ...
    #[serde(default)]
    pub state: Vec<String>,
}

/// How the value is computed. The field `kind` chooses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Method {
    /// 统计: named aggregates over windows and a SQL value over them.
    Measure(MeasureMethod),
    /// 持续: a reading stays beyond a bound for a time.
    Sustained(SustainedMethod),
    /// 期限: something due by a time, ended by a matching record.
    Deadline(DeadlineMethod),
    /// 间隔: no matching record for too long.
    Gap(GapMethod),
    /// 先后: a then b within a time, or a without b.
    Sequence(SequenceMethod),
    /// 状态查询: keeps the newest state as of event time, for other indicators to read.
    Lookup(LookupMethod),
    /// 模型: a statistical model scores the readings or counts.
    Model(ModelMethod),
    /// 趋势: the line through a window and when it will reach a limit.
    Trend(TrendMethod),
    /// 同类偏离: a value against those of objects of the same trade and district.
    Peer(PeerMethod),
    /// 计分卡: points of signals and records that hold now.
    Scorecard(ScorecardMethod),
    /// 融合: signals and records raise the odds of a risk.
    Fusion(FusionMethod),
}

/// `kind: measure`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MeasureMethod {
    /// 统计量: name to aggregate.
    pub measures: BTreeMap<String, Aggregate>,
    /// 窗口 for measures that name none.
    #[serde(default)]
    pub window: Option<Window>,
    /// 值: SQL over the measures; the only measure when absent.
    #[serde(default)]
    pub value: Option<Sql>,
}

/// One aggregate. Exactly one of the functions is given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Aggregate {
    /// 行数: `true` counts rows.
    pub count: Option<bool>,
    /// 合计
    pub sum: Option<Sql>,
    /// 平均
    pub avg: Option<Sql>,
    /// 最小
    pub min: Option<Sql>,
    /// 最大
    pub max: Option<Sql>,
    /// 最近一个 (by event time)
    pub last: Option<Sql>,
    /// 不同值的个数 (text)
    pub distinct: Option<Sql>,
    /// 仅统计 (SQL, true or false)
    #[serde(rename = "where")]
    pub filter: Option<Sql>,
    /// 窗口
    pub window: Option<Window>,
}

/// A window: a span, or a calendar period.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Window {
    /// `7d`
    Sliding(Span),
    /// `day`, `week`, `month`, `quarter`, `year`: the running calendar period at +08:00.
    Calendar(Period),
    /// `{ size: 7d, pane: 3h, keep: rows }`
    Full(WindowFull),
}

/// A sliding window with its panes stated.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WindowFull {
    /// 长度
    pub size: Span,
    /// 格宽; size / 60 when absent.
    #[serde(default)]
    pub pane: Option<Span>,
    /// 保留: `panes` (iot by default) or `rows` (everything else; needed for distinct).
    #[serde(default)]
    pub keep: Option<Keep>,
}

/// What a window keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// One partial aggregate a pane.
    Panes,
    /// Every row: exact ends, distinct values, full evidence. For rare records.
    Rows,
}

/// A calendar period at +08:00.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// From midnight.
    Day,
    /// From Monday.
    Week,
    /// From the first.
    Month,
    /// From the first of January, April, July, October.
    Quarter,
    /// From the first of January.
    Year,
}

/// `kind: sustained`. Either every level has its own bound and all share `duration`, or all share `bound` and each
/// level is a duration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SustainedMethod {
    /// 读数 (SQL number)
    pub value: Sql,
    /// 限值 shared by all levels; the levels are then durations. A number, or `[lo, hi]` for direction outside.
    #[serde(default)]
    pub bound: Option<Bound>,
    /// 持续时间 shared by all levels; 0s when absent.
    #[serde(default)]
    pub duration: Option<Span>,
    /// 至少样本数
    #[serde(default)]
    pub samples: Option<u32>,
    /// 中断: a longer silence between samples ends the run.
    #[serde(default, rename = "break")]
    pub gap: Option<Span>,
}

/// A bound: one number, or two for `outside`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Bound {
    /// A number.
    One(f64),
    /// `[lo, hi]`
    Two([f64; 2]),
}

/// `kind: deadline`. Levels are offsets from the due time (`-30d`, `0s`, `15d`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DeadlineMethod {
    /// 到期时间 (SQL time) of a matching row of `source`; null: nothing is due.
    pub due: Sql,
    /// 事项编号 (SQL text): tells several open items of one key apart; one item per key when absent.
    #[serde(default)]
    pub item: Option<Sql>,
    /// 办结
    #[serde(default)]
    pub done: Vec<RowMatch>,
    /// 提前级别: raises at once when the row itself says so (SQL, true or false), to the level given.
    #[serde(default)]
    pub at_once: Option<AtOnce>,
    /// A registry or licence row with a later due time replaces the earlier one of the item; true by default.
    #[serde(default = "yes")]
    pub replace: bool,
}

fn yes() -> bool {
    true
}

/// A level that a row reaches by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AtOnce {
    /// 条件 (SQL, true or false)
    pub when: Sql,
    /// 等级
    pub level: Level,
}

/// Rows of another (or the same) source that end or answer something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RowMatch {
    /// 数据来源
    pub source: String,
    /// 条件 (SQL, true or false)
    pub when: Sql,
    /// 事项编号 (SQL text); must equal the item's when the indicator has items.
    #[serde(default)]
    pub item: Option<Sql>,
}

/// `kind: gap`. Levels are durations since the last match (rows of `source` that pass `filter`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GapMethod {
    /// 另一来源也算: further rows that end the gap.
    #[serde(default)]
    pub also: Vec<RowMatch>,
    /// 停报: rows that stop the clock until the next match (a declared stop).
    #[serde(default)]
    pub stop: Vec<RowMatch>,
    /// 名册: who must report, as SQL over registry columns. Without it a key must have matched once.
    #[serde(default)]
    pub roster: Option<Sql>,
}

/// `kind: sequence`: after a row of `source` that passes `filter` (a), rows of `then` (b) within `within`.
/// Levels are counts of b; with `absent: true` levels are durations without b.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SequenceMethod {
    /// 其后
    pub then: RowMatch,
    /// 期限
    pub within: Span,
    /// 无后续: levels are durations after a without b.
    #[serde(default)]
    pub absent: bool,
    /// 等待: b counts only from this long after a.
    #[serde(default)]
    pub wait: Option<Span>,
    /// 不同值的个数 (SQL text over b): counts distinct values instead of rows.
    #[serde(default)]
    pub distinct: Option<Sql>,
    /// 对应 (SQL text over a): must equal `then.item` (same ZIP code, same violation).
    #[serde(default)]
    pub item: Option<Sql>,
}

/// `kind: lookup`: the newest matching row as of a time; never a warning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LookupMethod {
    /// 生效时间 (SQL time); occurred_at when absent.
    #[serde(default)]
    pub effective: Option<Sql>,
    /// 状态值: name to SQL; readers see `<alias>_<name>`.
    pub values: BTreeMap<String, Sql>,
}

/// `kind: model`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ModelMethod {
    /// 模型: the id of a file in `models/`
    pub model: String,
    /// 读数 (SQL number); models of counts need none.
    #[serde(default)]
    pub value: Option<Sql>,
    /// 不同值的个数 (SQL text): surge counts distinct values instead of rows.
    #[serde(default)]
    pub distinct: Option<Sql>,
    /// 窗口 of a count.
    #[serde(default)]
    pub window: Option<Span>,
    /// 参数 that differ from `models/<model>.yaml`.
    #[serde(default)]
    pub parameters: BTreeMap<String, f64>,
    /// 同类: SQL text over the row; short histories use the mean of this group (district and trade).
    #[serde(default)]
    pub group: Option<Sql>,
    /// 重新学习 (SQL, true or false): rows that start a new baseline (maintenance).
    #[serde(default)]
    pub relearn: Option<Sql>,
    /// 晚到等待: rows are applied in event-time order behind this hold.
    #[serde(default)]
    pub reorder: Option<Span>,
    /// 成员 (SQL text) of sensor_group: which member of the group a row is; `sensor_type` when absent.
    #[serde(default)]
    pub member: Option<Sql>,
    /// 成员名单 of sensor_group, 2 to 64: the rows of one key and time are one state of the group.
    #[serde(default)]
    pub members: Vec<String>,
}

/// Quantities of a group beside those of its members.
pub const GROUP_TERMS: [&str; 3] = ["score", "statistic", "bar"];

impl ModelMethod {
    /// What conditions and texts of a group can name: its terms, then for each member its reading and its part of the
    /// statistic, `<member>_part`.
    #[must_use]
    pub fn group_quantities(&self) -> Vec<String> {
        let members = self.members.iter().flat_map(|m| [m.clone(), format!("{m}_part")]);
        GROUP_TERMS.iter().map(|t| (*t).to_owned()).chain(members).collect()
    }
}

/// `kind: trend`: the least-squares line through the means of panes. Levels are times left until it reaches the limit;
/// `direction` says which side of the limit is risky.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TrendMethod {
    /// 读数 (SQL number)
    pub value: Sql,
    /// 窗口: `24h`, or `{ size: 24h, pane: 30m }`; a pane is size / 60 when absent.
    pub window: Window,
    /// 限值: a number, or SQL number over the row (`limits_hi`).
    pub limit: Limit,
    /// 至少点数: panes with readings; 10 when absent.
    #[serde(default)]
    pub points: Option<u32>,
    /// 拟合优度: the least share of the variance that the line explains; 0.6 when absent.
    #[serde(default)]
    pub r2: Option<f64>,
}

/// A limit: a number, or what the row says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Limit {
    /// A number.
    Number(f64),
    /// SQL number over the row.
    Row(Sql),
}

impl Limit {
    /// The limit as SQL.
    #[must_use]
    pub fn sql(&self) -> Sql {
        match self {
            Limit::Number(number) => Sql(format!("CAST({number:?} AS DOUBLE)")),
            Limit::Row(sql) => sql.clone(),
        }
    }
}

/// `kind: peer`: the modified z score of a value among the values of one close. Routing key: the trade; `key.state`: the
/// object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PeerMethod {
    /// 值 (SQL number over the value record)
    pub value: Sql,
    /// 同组 (SQL text): compared within first (the district); the whole routing key when absent or too few.
    #[serde(default)]
    pub group: Option<Sql>,
    /// 至少对象数, the object itself among them; 10 when absent.
    #[serde(default)]
    pub peers: Option<u32>,
    /// 等待: so long after a close for the values of others; 1h when absent.
    #[serde(default)]
    pub wait: Option<Span>,
}

/// `kind: scorecard`: the sum of the points of the items that hold now, 0 to 100.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScorecardMethod {
    /// 计分项: name to item; each is a quantity of its own.
    pub items: BTreeMap<String, ScoreItem>,
    /// 名册: whom the card is kept for, as SQL over registry columns; every key when absent.
    #[serde(default)]
    pub roster: Option<Sql>,
}

/// What an item is made of: the signals of an indicator, or rows of a source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScoreItem {
    /// 名称
    #[serde(default)]
    pub name: String,
    /// 分值: points while the item holds; a number, or one for each level of the signal.
    pub points: Weight,
    /// 有效期: a record counts so long; a signal while it is open, and so long after its end.
    #[serde(rename = "for")]
    pub keep: Span,
    /// 信号: an indicator whose signals go to this key space.
    #[serde(default)]
    pub signal: Option<String>,
    /// The least level of the signal; blue when absent.
    #[serde(default)]
    pub level: Option<Level>,
    /// 数据来源 of the rows; that of the indicator when absent.
    #[serde(default)]
    pub source: Option<String>,
    /// 条件 (SQL, true or false): rows that count.
    #[serde(default)]
    pub when: Option<Sql>,
    /// 逐条计分: every record, or every signal, gives the points; otherwise the item counts once.
    #[serde(default)]
    pub each: bool,
    /// 最多: the most points of an item that counts each; 100 when absent.
    #[serde(default)]
    pub most: Option<f64>,
    /// 半衰期: the points halve every so often, from the record or from the end of the signal on.
    #[serde(default)]
    pub halves: Option<Span>,
}

/// `kind: fusion`: the odds of a risk, from its odds before any signal and how much likelier each signal is with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FusionMethod {
    /// 先验(%): the share of keys that have the risk when nothing is known of them.
    pub prior: f64,
    /// 同部门折减: the weight that each further item of one department keeps; 0.5 when absent.
    #[serde(default)]
    pub same_department: Option<f64>,
    /// 依据: name to item; each is a quantity of its own, the factor by which it moves the odds.
    pub items: BTreeMap<String, FusionItem>,
    /// 名册: whom it is judged for, as SQL over registry columns; every key when absent.
    #[serde(default)]
    pub roster: Option<Sql>,
}

/// One item of a fusion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FusionItem {
    /// 名称
    #[serde(default)]
    pub name: String,
    /// 似然比: how many times likelier the signal is where the risk is than where it is not; below 1 it speaks against
    /// the risk. A number, or one for each level of the signal.
    pub ratio: Weight,
    /// 有效期: a record counts so long; a signal while it is open, and so long after its end.
    #[serde(rename = "for")]
    pub keep: Span,
    /// 信号: an indicator whose signals go to this key space.
    #[serde(default)]
    pub signal: Option<String>,
    /// The least level of the signal; blue when absent.
    #[serde(default)]
    pub level: Option<Level>,
    /// 数据来源 of the rows; that of the indicator when absent.
    #[serde(default)]
    pub source: Option<String>,
    /// 条件 (SQL, true or false): rows that count.
    #[serde(default)]
    pub when: Option<Sql>,
    /// 半衰期: the weight (logarithm of the ratio) halves every so often, from the record or the end of the signal on.
    #[serde(default)]
    pub halves: Option<Span>,
    /// 部门 whose knowledge it is; the lead of the signal's indicator, or the record's department, when absent.
    #[serde(default)]
    pub department: Option<String>,
}

/// A weight: one number, or one for each level of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Weight {
    /// Whatever the level.
    One(f64),
    /// By level; a level that is left out has that of the level below it.
    Levels(LevelWeights),
}

/// A weight for each level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LevelWeights {
    /// 蓝
    pub blue: Option<f64>,
    /// 黄
    pub yellow: Option<f64>,
    /// 橙
    pub orange: Option<f64>,
    /// 红
    pub red: Option<f64>,
}

impl Weight {
    /// The weight of a level number, 0 for a record that has no level; `none` below the first level given.
    #[must_use]
    pub fn at(&self, level: u8, none: f64) -> f64 {
        match self {
            Weight::One(weight) => *weight,
            Weight::Levels(w) => {
                let all = [w.blue, w.yellow, w.orange, w.red];
                all.iter().take(level.into()).rev().find_map(|w| *w).unwrap_or(none)
            }
        }
    }

    /// Every number given, with where it stands below the weight.
    #[must_use]
    pub fn numbers(&self) -> Vec<(String, f64)> {
        match self {
            Weight::One(weight) => vec![(String::new(), *weight)],
            Weight::Levels(w) => {
                let all = [w.blue, w.yellow, w.orange, w.red];
                let each = Level::ALL.iter().zip(all);
                each.filter_map(|(level, w)| w.map(|w| (format!("/{}", level.word()), w))).collect()
            }
        }
    }
}

/// What an item counts, of a scorecard or a fusion.
#[derive(Clone, Copy, Debug)]
pub struct ItemRows<'a> {
    /// An indicator whose signals count.
    pub signal: Option<&'a str>,
    /// The least level of a signal.
    pub level: Option<Level>,
    /// The source whose rows count.
    pub source: Option<&'a str>,
    /// Which rows.
    pub when: Option<&'a Sql>,
    /// How long.
    pub keep: Span,
    /// How soon its weight halves.
    pub halves: Option<Span>,
    /// What it weighs.
    pub weight: Weight,
    /// Whose knowledge it is.
    pub department: Option<&'a str>,
}

impl Method {
    /// The items of a scorecard or a fusion, with their names; none of other kinds.
    #[must_use]
    pub fn items(&self) -> Vec<(&str, ItemRows<'_>)> {
        match self {
            Method::Scorecard(card) => card.items.iter().map(|(name, i)| (name.as_str(), i.rows())).collect(),
            Method::Fusion(fusion) => fusion.items.iter().map(|(name, i)| (name.as_str(), i.rows())).collect(),
            _ => Vec::new(),
        }
    }
}

impl ScoreItem {
    fn rows(&self) -> ItemRows<'_> {
        ItemRows {
            signal: self.signal.as_deref(),
            level: self.level,
            source: self.source.as_deref(),
            when: self.when.as_ref(),
            keep: self.keep,
            halves: self.halves,
            weight: self.points,
            department: None,
        }
    }

    /// The most points that the item can give.
    #[must_use]
    pub fn highest(&self) -> f64 {
        let one = self.points.numbers().iter().map(|(_, n)| *n).fold(0.0, f64::max);
        if self.each { self.most.unwrap_or(100.0) } else { one }
    }
}

impl FusionItem {
    fn rows(&self) -> ItemRows<'_> {
        ItemRows {
            signal: self.signal.as_deref(),
            level: self.level,
            source: self.source.as_deref(),
            when: self.when.as_ref(),
            keep: self.keep,
            halves: self.halves,
            weight: self.ratio,
            department: self.department.as_deref(),
        }
    }
}

/// Levels: a direction and for each level a bound, a duration or a condition.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Levels {
    /// 方向; above when absent.
    pub direction: Option<Direction>,
    /// 蓝
    pub blue: Option<LevelRule>,
    /// 黄
    pub yellow: Option<LevelRule>,
    /// 橙
    pub orange: Option<LevelRule>,
    /// 红
    pub red: Option<LevelRule>,
}

impl Levels {
    /// The rule of a level.
    #[must_use]
    pub fn get(&self, level: Level) -> Option<&LevelRule> {
        match level {
            Level::Blue => self.blue.as_ref(),
            Level::Yellow => self.yellow.as_ref(),
            Level::Orange => self.orange.as_ref(),
            Level::Red => self.red.as_ref(),
        }
    }

    /// True when no level is given.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        Level::ALL.iter().all(|l| self.get(*l).is_none())
    }
}

/// Which side of a bound is risky.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// 达到或超过: value ≥ bound
    #[default]
    Above,
    /// 超过: value > bound
    Over,
    /// 降到或低于: value ≤ bound
    Below,
    /// 低于: value < bound
    Under,
    /// 超出范围: value < lo or value > hi; bounds are `[lo, hi]`
    Outside,
}

/// What a level needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum LevelRule {
    /// A bound in the indicator's direction.
    Bound(Bound),
    /// A duration (sustained at one bound, deadline, gap, absent sequence).
    After(Span),
    /// A condition.
    When(Condition),
}

/// A condition over the indicator's value, its measures and signals of other indicators. Exactly one form is used:
/// a comparison (`above` and so on, of `measure` or of the value), `signal`, `any` or `all`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Condition {
    /// 统计量: a measure, or what the method offers (score, count, mean, value).
    pub measure: Option<String>,
    /// value ≥
    pub above: Option<f64>,
    /// value >
    pub over: Option<f64>,
    /// value ≤
    pub below: Option<f64>,
    /// value <
    pub under: Option<f64>,
    /// 持续 (sustained only): the comparison has held so long.
    pub sustained: Option<Span>,
    /// 已过 (deadline, gap): so long after the due time.
    pub after: Option<Span>,
    /// 信号: another indicator has an open signal for this routing key, at least at `level`.
    pub signal: Option<String>,
    /// The least level of the signal; blue when absent.
    pub level: Option<Level>,
    /// 行条件 (SQL, true or false) on the newest row of the key.
    pub row: Option<Sql>,
    /// 任一
    pub any: Vec<Condition>,
    /// 全部
    pub all: Vec<Condition>,
}

/// Raises the level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Raise {
    /// 条件
    pub when: Condition,
    /// 升几级
    #[serde(default = "one")]
    pub by: u8,
    /// 上限
    #[serde(default)]
    pub ceiling: Option<Level>,
}

fn one() -> u8 {
    1
}

/// Other bounds for some keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Segment {
    /// 分组编号
    pub id: String,
    /// 名称
    #[serde(default)]
    pub name: String,
    /// 条件 (SQL, true or false) on the row
    pub when: Sql,
    /// 等级 for this segment
    pub levels: Levels,
    /// 限值 for this segment (sustained at one bound)
    #[serde(default)]
    pub bound: Option<Bound>,
}

/// When a level is left.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Clear {
    /// 降到限值的百分比以下 (`"95%"`), for direction above and over.
    pub below: Option<Percent>,
    /// 升到限值的百分比以上 (`"105%"`), for direction below and under.
    pub above: Option<Percent>,
    /// 连续几次 (at pane borders); 1 when absent.
    pub evaluations: Option<u32>,
}

/// A share written as text: `"95%"`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Percent(pub f64);

impl Serialize for Percent {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&format_args!("{}%", self.0 * 100.0))
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Percent, D::Error> {
        let text = String::deserialize(d)?;
        text.strip_suffix('%')
            .and_then(|n| n.trim().parse::<f64>().ok())
            .filter(|n| n.is_finite() && *n > 0.0)
            .map(|n| Percent(n / 100.0))
            .ok_or_else(|| serde::de::Error::custom(format!("\"{text}\" is no percentage; write \"95%\"")))
    }
}

impl JsonSchema for Percent {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Percent".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^\\d+(\\.\\d+)?%$", "description": "百分比: \"95%\"" })
    }
}

/// Absence against a roster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Absence {
    /// 名册: who must report, as SQL over registry columns.
    pub roster: Sql,
    /// 多久没有数据
    pub after: Span,
    /// 等级
    pub level: Level,
}

/// What a null value does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnNull {
    /// 跳过: as if the row had not come.
    Skip,
    /// 保持: the last value stays.
    Hold,
    /// 视为零
    Zero,
}

/// What an indicator sends besides warnings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Emit {
    /// A value record at each pane or calendar close.
    Value,
}

/// Where a signal or value goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignalRoute {
    /// 键空间
    pub space: String,
    /// 键: a column of the row that raised it (entity_id, street, object_id, maintained_by ...).
    pub key: String,
}

/// What a rule rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Basis {
    /// 名称
    pub name: String,
    /// 编号
    #[serde(default)]
    pub number: Option<String>,
    /// S: set by a law or standard; P: common practice; D: default to be confirmed
    pub status: BasisStatus,
    /// 施行日期
    #[serde(default)]
    pub effective_from: Option<String>,
    /// 废止日期
    #[serde(default)]
    pub effective_to: Option<String>,
}

/// How firm a basis is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BasisStatus {
    /// Set by a named law or standard.
    S,
    /// Common practice, or a figure to re-check in the text.
    P,
    /// Default chosen for this engine.
    D,
}

/// Departments told, beyond the industry's lead.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct To {
    /// 牵头; the industry's lead when absent.
    pub lead: Option<String>,
    /// 协同, at every level
    pub assist: Vec<String>,
    /// 蓝色起
    pub blue: Vec<String>,
    /// 黄色起
    pub yellow: Vec<String>,
    /// 橙色起
    pub orange: Vec<String>,
    /// 红色起
    pub red: Vec<String>,
    /// 按标签: tag to department
    pub by_tag: BTreeMap<String, String>,
}
