//! The checks of a source file: what it maps must exist, and what our record needs must be mapped.

use super::meaning::Meaning;
use super::schema::near;
use super::units;
use crate::pack::expression::{Expression, Want, no_word, results};
use crate::pack::{Corrections, Format, Source, Sql};
use crate::record::{Kind, Required, Type, columns, words};
use arrow::datatypes::{DataType, Field, Schema};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn check(meaning: &mut Meaning<'_>) {
    let typed = meaning.typed;
    let mut topics: BTreeMap<String, &str> = BTreeMap::new();
    for (path, source) in &typed.sources {
        let topic = source.topic.clone().unwrap_or_else(|| format!("raw.{}", source.name));
        if let Some(first) = topics.insert(topic.clone(), path) {
            let (en, zh) =
                (format!("the topic {topic} is already read by {first}"), format!("主题 {topic} 已由 {first} 读取"));
            meaning.error((path, "/topic"), "duplicate-topic", &en, &zh, None);
        }
        one(meaning, path, source);
    }
}

fn one(meaning: &mut Meaning<'_>, path: &str, source: &Source) {
    if matches!(source.kind, Kind::Signal | Kind::Value) {
        let (en, zh) = ("the engine makes these records itself", "这类记录由引擎自己产生");
        meaning.error((path, "/kind"), "kind-inside", en, zh, None);
        return;
    }
    if let Some(kind) = Kind::from_word(&source.name).filter(|k| *k != source.kind) {
        let en =
            format!("\"{}\" is the name of a record kind, but the feed is of kind {}", source.name, source.kind.word());
        let zh = format!("“{}”是记录类型 {} 的名称,不能用于其他类型的来源", source.name, kind.word());
        meaning.error((path, "/name"), "name-taken", &en, &zh, None);
    }
    if source.corrections == Corrections::Window {
        let hint = Some("leave it out: a revision then counts as new and is counted / 删去即可".to_owned());
        let (en, zh) = ("`corrections: window` is reserved for a later build", "`corrections: window` 预留,尚未提供");
        meaning.error((path, "/corrections"), "reserved", en, zh, hint);
    }
    if source.delimiter.is_some() && source.format != Format::Csv {
        let (en, zh) = ("only CSV has a delimiter", "只有 CSV 才有分隔符");
        meaning.error((path, "/delimiter"), "no-effect", en, zh, None);
    }
    for (field, span) in [("lateness", source.lateness), ("skew", source.skew), ("dedupe", source.dedupe)] {
        if span.is_some_and(|s| s.millis() < 0) {
            meaning.error((path, &format!("/{field}")), "duration", "must not be negative", "不能为负", None);
        }
    }
    let record = columns(source.kind);
    let names: BTreeSet<&str> = record.iter().map(|c| c.name).collect();
    if source.envelope {
        for (field, given) in [("columns", !source.columns.is_empty()), ("record", !source.record.is_empty())] {
            if given {
                let en = format!("a source in our own form has no \"{field}\"");
                let zh = format!("本系统格式的来源不写“{field}”");
                meaning.error((path, &format!("/{field}")), "envelope", &en, &zh, None);
            }
        }
    } else {
        mapped(meaning, path, source, &names);
    }
    for attr in source.attrs.keys().filter(|a| names.contains(a.as_str())) {
        let en = format!("\"{attr}\" is already a column of {}", source.kind.word());
        let zh = format!("“{attr}”已是 {} 的列", source.kind.word());
        let hint = Some("map it under record, or choose another name / 写入 record 或改名".to_owned());
        meaning.error((path, &format!("/attrs/{attr}")), "duplicate-id", &en, &zh, hint);
    }
    routes(meaning, path, source);
}

/// The columns, the mapping and the further columns of a feed in a form of its own.
fn mapped(meaning: &mut Meaning<'_>, path: &str, source: &Source, names: &BTreeSet<&str>) {
    let mut fields: Vec<Field> = Vec::new();
    for (i, column) in source.columns.iter().enumerate() {
        let at = |field: &str| format!("/columns/{i}/{field}");
        if fields.iter().any(|f| *f.name() == column.name) {
            let (en, zh) =
                (format!("the column \"{}\" stands here twice", column.name), format!("列“{}”重复", column.name));
            meaning.error((path, &at("name")), "duplicate-id", &en, &zh, None);
            continue;
        }
        fields.push(Field::new(&column.name, column.ty.arrow(), true));
        let timed = matches!(column.ty, Type::Time | Type::Date);
        if !timed && !column.format.is_empty() {
            let (en, zh) = ("only a time or date has formats", "只有时间和日期才有格式");
            meaning.error((path, &at("format")), "no-effect", en, zh, None);
        }
        for (n, format) in column.format.iter().enumerate() {
            let known = ["rfc3339", "epoch_seconds", "epoch_millis"];
            if !known.contains(&format.as_str()) && !format.contains('%') {
                let (en, zh) = (format!("\"{format}\" is no time format"), format!("“{format}”不是时间格式"));
                let hint =
                    near(format, known).or_else(|| Some("rfc3339, epoch_seconds, epoch_millis, or %Y-%m-%d".into()));
                meaning.error((path, &format!("/columns/{i}/format/{n}")), "time-format", &en, &zh, hint);
            }
        }
        if let Some(zone) = column.zone.as_deref().filter(|z| !is_zone(z)) {
            let (en, zh) = (format!("\"{zone}\" is no zone"), format!("“{zone}”不是时区"));
            meaning.error((path, &at("zone")), "time-format", &en, &zh, Some("write \"+08:00\"".to_owned()));
        }
    }
    if source.columns.is_empty() {
        let (en, zh) = ("a feed in a form of its own lists its columns", "非本系统格式的来源应列出各列");
        meaning.error((path, ""), "missing-field", en, zh, Some("add columns, or envelope: true".to_owned()));
    }
    // The CSV reader gives the file's name, for feeds that write one file a point.
    if fields.iter().all(|f| f.name() != "_file") {
        fields.push(Field::new("_file", DataType::Utf8, true));
    }
    let view = Schema::new(fields);
    let own: Vec<_> = columns(source.kind);
    for (field, sql) in &source.record {
        let at = format!("/record/{field}");
        match own.iter().find(|c| c.name == field) {
            Some(column) => {
                // Intake also takes a list written as one text: 'food;fire'.
                let one = column.ty == Type::TextList && Expression::compile(&sql.0, &view, Want::Text).is_ok();
                if !one {
                    meaning.sql((path, &at), sql, &view, Want::Column(column.ty));
                }
                // A unit is as sent, and converted later.
                let words = words(source.kind, column.name).filter(|_| column.name != "unit").unwrap_or_default();
                for (word, place) in results(&sql.0).into_iter().filter(|(w, _)| !words.contains(&w.as_str())) {
                    if !words.is_empty() {
                        meaning.wrong_sql((path, &at), no_word(&word, column.name, &words, place));
                    }
                }
            }
            None => {
                let en = format!("{} has no field \"{field}\"", source.kind.word());
                let zh = format!("{} 没有字段“{field}”", source.kind.word());
                let hint = near(field, names.iter().copied())
                    .or_else(|| Some("put it under attrs to let rules read it / 可写入 attrs".to_owned()));
                meaning.error((path, &at), "unknown-field", &en, &zh, hint);
            }
        }
    }
    for column in own.iter().filter(|c| c.required == Required::Yes && !source.record.contains_key(c.name)) {
        let en = format!("the record needs \"{}\" ({})", column.name, column.meaning);
        let zh = format!("记录缺少必填字段“{}”({})", column.name, column.meaning);
        let at = if source.record.is_empty() { "" } else { "/record" };
        meaning.error((path, at), "unmapped", &en, &zh, Some(format!("add {}: \"...\" under record", column.name)));
    }
    for (name, attr) in &source.attrs {
        match &attr.value {
            Some(sql) => {
                meaning.sql((path, &format!("/attrs/{name}/value")), sql, &view, Want::Column(attr.ty));
            }
            None => {
                let sql = Sql(name.clone());
                if view.field_with_name(name).is_err() {
                    let en = format!("no column \"{name}\" to take the value from");
                    let zh = format!("没有列“{name}”可取值");
                    let hint = near(name, view.fields().iter().map(|f| f.name().as_str()));
                    meaning.error((path, &format!("/attrs/{name}")), "sql-column", &en, &zh, hint);
                } else {
                    meaning.sql((path, &format!("/attrs/{name}")), &sql, &view, Want::Column(attr.ty));
                }
            }
        }
    }
    units::sent(meaning, path, source);
    if let Some(only) = &source.only {
        meaning.sql((path, "/only"), only, &view, Want::Bool);
    }
}

fn routes(meaning: &mut Meaning<'_>, path: &str, source: &Source) {
    let mut fields: Vec<Field> = columns(source.kind).iter().map(|c| meaning.worded(source.kind, c.field())).collect();
    for (name, attr) in &source.attrs {
        if fields.iter().all(|f| f.name() != name) {
            fields.push(Field::new(name, attr.ty.arrow(), true));
        }
    }
    let view = Schema::new(fields);
    let mut seen = BTreeSet::new();
    for (i, route) in source.routes.iter().enumerate() {
        let at = format!("/routes/{i}/space");
        if route.space == "object" {
            let (en, zh) = ("every row is in key space object already", "每行已在键空间 object 中");
            meaning.error((path, &at), "route", en, zh, Some("remove the route / 删去此路由".to_owned()));
        } else if !seen.insert(route.space.as_str()) {
            let en = format!("there is a route to \"{}\" already", route.space);
            let zh = format!("到“{}”的路由重复", route.space);
            meaning.error((path, &at), "duplicate-id", &en, &zh, None);
        }
        meaning.sql((path, &format!("/routes/{i}/key")), &route.key, &view, Want::Text);
        for (n, column) in route.columns.iter().enumerate().filter(|(_, c)| view.field_with_name(c).is_err()) {
            let (en, zh) = (format!("no column \"{column}\""), format!("没有列“{column}”"));
            let hint = near(column, view.fields().iter().map(|f| f.name().as_str()));
            meaning.error((path, &format!("/routes/{i}/columns/{n}")), "sql-column", &en, &zh, hint);
        }
    }
}

/// `+08:00`
fn is_zone(text: &str) -> bool {
    let chars: Vec<char> = text.chars().collect();
    chars.len() == 6
        && matches!(chars[0], '+' | '-')
        && chars[3] == ':'
        && [1, 2, 4, 5].iter().all(|i| chars[*i].is_ascii_digit())
}
