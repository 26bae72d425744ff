//! A department's feed as it stands in `rules/sources/<name>.yaml`: what comes, and how it becomes our record.

use super::{Span, Sql};
use crate::record::{Kind, Personal, Type};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One source file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// 来源名称: unique; also `SOURCE=` of `replay --records`.
    pub name: String,
    /// 记录类型
    pub kind: Kind,
    /// 主题: Kafka topic the feed arrives in; `raw.<name>` when absent.
    #[serde(default)]
    pub topic: Option<String>,
    /// 文件: file that grows, or folder that files are dropped into, of a `run` without Kafka; relative to the folder of
    /// the settings file, whose `inputs:` come first.
    #[serde(default)]
    pub file: Option<String>,
    /// 格式
    #[serde(default)]
    pub format: Format,
    /// 本系统格式: messages carry our own field names; `columns` and `record` are then not given.
    #[serde(default)]
    pub envelope: bool,
    /// 字符集: utf-8 or gbk
    #[serde(default)]
    pub charset: Charset,
    /// 分隔符 of CSV; comma when absent
    #[serde(default)]
    pub delimiter: Option<char>,
    /// 列: what is read from a message. Paths not listed are skipped, dropped and counted by name.
    #[serde(default)]
    pub columns: Vec<SourceColumn>,
    /// 映射: record field to SQL over the columns.
    #[serde(default)]
    pub record: BTreeMap<String, Sql>,
    /// 扩展字段: further typed columns that rules may read, as SQL over the columns.
    #[serde(default)]
    pub attrs: BTreeMap<String, Attr>,
    /// 筛选: rows that are no record of ours (SQL, true or false); counted `filtered`... they are used by nobody.
    #[serde(default)]
    pub only: Option<Sql>,
    /// 主体编号方案: `uscc`, or another scheme whose ids are not checked as USCC.
    #[serde(default)]
    pub ids: Ids,
    /// 路由: further copies of each row.
    #[serde(default)]
    pub routes: Vec<Route>,
    /// 更正
    #[serde(default)]
    pub corrections: Corrections,
    /// 晚到: rows older than log time by more are marked late. 10 min iot, 1 h feedback, 3 d others when absent.
    #[serde(default)]
    pub lateness: Option<Span>,
    /// 超前: rows further ahead of the wall clock are quarantined. 2 min iot, 10 min others when absent.
    #[serde(default)]
    pub skew: Option<Span>,
    /// 去重期: how long record ids are remembered. 1 h iot, 35 d others when absent.
    #[serde(default)]
    pub dedupe: Option<Span>,
    /// 消息上限 in bytes; 1 MiB when absent.
    #[serde(default)]
    pub message_bytes_max: Option<usize>,
}

/// The form of a message or file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// One JSON object, or an array of objects.
    #[default]
    Json,
    /// One JSON object a line.
    Ndjson,
    /// CSV with a header; files only.
    Csv,
}

/// The encoding of a feed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Charset {
    /// UTF-8, a byte order mark is skipped.
    #[default]
    #[serde(rename = "utf-8")]
    Utf8,
    /// GBK, decoded strictly.
    #[serde(rename = "gbk")]
    Gbk,
}

/// How entity ids are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ids {
    /// GB 32100-2015, check character verified.
    #[default]
    Uscc,
    /// Another scheme: taken as text of at most 64 characters.
    Other,
}

/// Whether a source corrects its records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Corrections {
    /// A revision counts as new and `uncorrectable`.
    #[default]
    None,
    /// Reserved: windows are recomputed.
    Window,
}

/// One column of a feed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceColumn {
    /// The name in the mapping's SQL.
    pub name: String,
    /// 路径: `a.b` of nested JSON, the header of a CSV column; the name when absent.
    #[serde(default)]
    pub path: Option<String>,
    /// 类型
    #[serde(rename = "type", default = "text")]
    pub ty: Type,
    /// 时间格式, tried in order: `rfc3339`, `epoch_seconds`, `epoch_millis`, or strftime (`%Y-%m-%d %H:%M:%S`).
    #[serde(default)]
    pub format: Vec<String>,
    /// 时区 of times without one: `+08:00` when absent
    #[serde(default)]
    pub zone: Option<String>,
    /// 单位 of a number, converted to the normal unit where the record column has one
    #[serde(default)]
    pub unit: Option<String>,
    /// 个人信息
    #[serde(default)]
    pub personal: Personal,
    /// 无效值: sentinels read as null (9999, -999)
    #[serde(default)]
    pub sentinels: Vec<f64>,
    /// 数字以文本传送: a number inside quotes is accepted
    #[serde(default)]
    pub quoted: bool,
    /// 必填: null makes the row a dead letter
    #[serde(default)]
    pub required: bool,
}

fn text() -> Type {
    Type::Text
}

/// A further column for rules.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attr {
    /// 类型
    #[serde(rename = "type")]
    pub ty: Type,
    /// SQL over the columns; the column of the same name when absent
    #[serde(default)]
    pub value: Option<Sql>,
}

/// One further copy of each row, in another key space.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// 键空间: entity, street, firm, batch, group, record ...
    pub space: String,
    /// 键 (SQL text over the record's columns, enrichment included); rows with a null key are not copied.
    pub key: Sql,
    /// 携带的列; all when absent.
    #[serde(default)]
    pub columns: Vec<String>,
}
