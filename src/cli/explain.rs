//! `forewarn explain`: why a warning was raised, told to people.
//!
//! In: the changes that the log gives now (`log::retell`) and the lines that the run wrote. Out: text, and whether both
//! have the same numbers.

use super::topics::System;
use super::{CliError, Found, Where};
use crate::deliver::{EVERYONE, messages, warning_line};
use crate::log::kafka::{LOG, retell_warning, sent_warning};
use crate::log::{Retold, differences, retell};
use crate::pack::{Bound, Direction, Indicator, LevelRule, Levels, Pack};
use crate::record::{Level, warning_hash};
use crate::response::{Warning, plain};
use clap::Args;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// 解释 Says why a warning was raised, and reaches its numbers again from the log
///
/// Reads the log of a run and the pack beside it, judges every entry again, and prints the warning's rule, each of its
/// changes with value against bound, window, evidence, departments and plan, and what would have kept it quiet. Then
/// compares with `warnings.jsonl` of the run, if that is there, or over Kafka with what was sent. Exit code 1 when the
/// numbers differ, or when the log knows no such warning. Nothing is written.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The warning's id, `w...`: field `id` of warnings.jsonl
    #[arg(value_name = "WARNING_ID")]
    pub(crate) warning_id: String,
    /// Where its log is
    #[command(flatten)]
    pub(crate) at: Where,
}

pub(crate) fn run(args: &ExplainArgs) -> Result<u8, CliError> {
    let (log, out) = match args.at.found()? {
        Found::Files { log, out, .. } => (log, out),
        Found::Kafka(system) => return over_kafka(&system, &args.warning_id),
    };
    let told = retell(&log, &args.warning_id).map_err(CliError::stage)?;
    if !tell(&told, &args.warning_id, &log.display().to_string()) {
        return Ok(1);
    }
    let path = out.join("warnings.jsonl");
    let written = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            println!("\n已由日志重新得出 reached from the log alone; there is no warnings.jsonl to compare with");
            return Ok(0);
        }
        Err(source) => return Err(CliError::File { action: "read", path, source }),
    };
    let mut was: BTreeMap<u64, Value> = BTreeMap::new();
    for line in written.lines().filter(|l| l.contains(&args.warning_id)) {
        let line: Value = serde_json::from_str(line).map_err(CliError::stage)?;
        if line.get("id").and_then(Value::as_str) == Some(&args.warning_id) {
            was.insert(line.get("change").and_then(Value::as_u64).unwrap_or(0), line);
        }
    }
    let mut is: BTreeMap<u64, Value> = BTreeMap::new();
    for (warning, _) in &told.changes {
        is.insert(warning.change.into(), serde_json::from_str(&warning_line(warning)).map_err(CliError::stage)?);
    }
    Ok(verdict("warnings.jsonl", &was, &is))
}

/// The same from `forewarn.log` and what was sent to everyone.
fn over_kafka(system: &System, id: &str) -> Result<u8, CliError> {
    let System { settings, client, form } = system;
    let retold = |hash| retell_warning(client, *form, &settings.snapshots, id, hash).map_err(CliError::stage);
    let place = client.name(LOG);
    let partitions = u64::from(form.partitions);
    // A warning's id names its partition; what is no id might be near one of any.
    let own = warning_hash(id).map(|hash| hash % partitions);
    let (mut told, mut from) = match own {
        Some(partition) => retold(partition)?,
        None => (Retold { partitions: form.partitions, ..Retold::default() }, 0),
    };
    if told.changes.is_empty() {
        for other in (0..partitions).filter(|partition| Some(*partition) != own) {
            match retold(other) {
                Ok((more, begins)) => {
                    told.ids.extend(more.ids);
                    told.entries += more.entries;
                    from = from.max(begins);
                }
                // That it has no such warning is known all the same.
                Err(error) if own.is_some() => {
                    tracing::warn!(partition = other, %error, "its warnings are not among the nearest");
                }
                Err(error) => return Err(error),
            }
        }
        tell(&told, id, &place);
        if from > 0 {
            println!("hint: the log no longer reaches back before {from}; older warnings cannot be told again");
        }
        return Ok(1);
    }
    tell(&told, id, &place);
    let was = sent_warning(client, id).map_err(CliError::stage)?;
    let mut is: BTreeMap<u64, Value> = BTreeMap::new();
    for (warning, _) in &told.changes {
        let everyone = messages(warning, client.deployment()).into_iter().find(|m| m.topic == EVERYONE);
        if let Some(document) = everyone.and_then(|message| message.value) {
            is.insert(warning.change.into(), serde_json::from_str(&document).map_err(CliError::stage)?);
        }
    }
    Ok(verdict(EVERYONE, &was, &is))
}

/// Tells what the log gives; false when it knows no such warning.
fn tell(told: &Retold, id: &str, place: &str) -> bool {
    let Some((first, pack)) = told.changes.first() else {
        println!("日志中没有此预警 no warning {id} in the log of {place}");
        let nearest = nearest(id, &told.ids);
        if nearest.is_empty() {
            println!("hint: the log of {} entries raised no warning at all", told.entries);
        } else {
            println!("hint: the nearest of {}: {}", told.ids.len(), nearest.join(", "));
        }
        return false;
    };
    head(first, told.partitions);
    if let Some(indicator) = pack.indicators.get(&first.indicator.id) {
        rule(indicator, pack, first.segment.as_deref());
    }
    for (warning, pack) in &told.changes {
        change(warning, pack.indicators.get(&warning.indicator.id));
    }
    true
}

/// The ids most like one: by edit distance, three at the most.
fn nearest(id: &str, ids: &BTreeSet<String>) -> Vec<String> {
    let mut all: Vec<(usize, &String)> = ids.iter().map(|known| (strsim::levenshtein(id, known), known)).collect();
    all.sort();
    all.into_iter().take(3).map(|(_, known)| known.clone()).collect()
}

fn head(w: &Warning, partitions: u32) {
    println!("预警 warning    {}", w.id);
    println!("指标 indicator  {} {} / {}", w.indicator.id, w.indicator.name, w.indicator.name_en);
    println!("行业 industry   {} / {}", w.industry.name, w.industry.name_en);
    let s = &w.subject;
    let parts = [&s.name, &s.object_id, &s.entity_id, &s.street, &s.location, &s.sensor];
    let who: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
    println!("对象 subject    {}", who.join(" · "));
    let state: Vec<String> = w.state.iter().map(|p| format!("{}={}", p.column, p.value)).collect();
    println!("键 key          {} {} {}", w.space, w.key, state.join(" "));
    println!("规则包 pack     version {}, {}", w.pack.version, w.pack.hash);
    println!("日志 log        partition {} of {partitions}", w.log.partition);
}

/// The rule as its file says: filter, expressions, bounds, the segment that counted.
fn rule(indicator: &Indicator, pack: &Pack, segment: Option<&str>) {
    println!("\n规则 rule");
    let file = format!("/{}.yaml", indicator.id);
    if let Some(path) = pack.body.files.keys().find(|p| p.ends_with(&file)) {
        println!("  文件 file     {path}");
    }
    println!("  来源 source   {}", indicator.source);
    if let Some(filter) = &indicator.filter {
        println!("  筛选 filter   {}", filter.0);
    }
    if let Ok(Value::Object(fields)) = serde_json::to_value(&indicator.kind) {
        for (name, value) in fields.into_iter().filter(|(_, v)| !is_empty(v)) {
            println!("  {name:<13} {}", short(&value));
        }
    }
    let used = segment.and_then(|id| indicator.segments.iter().find(|s| s.id == id));
    if let Some(segment) = used {
        println!("  分组 segment  {} {} when {}", segment.id, segment.name, segment.when.0);
    }
    let levels = used.map_or(&indicator.levels, |s| &s.levels);
    for level in Level::ALL {
        if let Some(rule) = levels.get(level) {
            println!(
                "  {:<13} {}",
                level.word(),
                condition(rule, levels.direction.unwrap_or_default(), &indicator.unit)
            );
        }
    }
    for raise in &indicator.raise {
        println!("  raise         by {} when {}", raise.by, text(&raise.when));
    }
    if let Some(absence) = &indicator.absence {
        println!("  absence       no data for {} raises {}", absence.after, absence.level.word());
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// A value without its empty parts: texts plain, everything else as JSON.
fn short(value: &Value) -> String {
    fn prune(value: &Value) -> Value {
        match value {
            Value::Object(fields) => {
                fields.iter().filter(|(_, v)| !is_empty(v)).map(|(k, v)| (k.clone(), prune(v))).collect()
            }
            Value::Array(items) => items.iter().map(prune).collect(),
            other => other.clone(),
        }
    }
    match value {
        Value::String(text) => text.clone(),
        other => prune(other).to_string(),
    }
}

fn text<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_value(value).map_or_else(|e| e.to_string(), |v| short(&v))
}

fn bound_text(bound: Bound) -> String {
    match bound {
        Bound::One(n) => plain(n),
        Bound::Two([lo, hi]) => format!("[{}, {}]", plain(lo), plain(hi)),
    }
}

fn condition(rule: &LevelRule, direction: Direction, unit: &str) -> String {
    match rule {
        LevelRule::Bound(bound) => {
            let sign = match direction {
                Direction::Above => "≥",
                Direction::Over => ">",
                Direction::Below => "≤",
                Direction::Under => "<",
                Direction::Outside => "outside",
            };
            format!("{sign} {} {unit}", bound_text(*bound))
        }
        LevelRule::After(span) => format!("after {span}"),
        LevelRule::When(when) => text(when),
    }
}

/// What would have kept the indicator below its least level.
fn quiet(levels: &Levels, unit: &str) -> Option<String> {
    let level = Level::ALL.into_iter().find(|l| levels.get(*l).is_some())?;
    let name = level.word();
    Some(match levels.get(level)? {
        LevelRule::Bound(bound) => {
            let side = match levels.direction.unwrap_or_default() {
                Direction::Above => "低于 below",
                Direction::Over => "不超过 at most",
                Direction::Below => "高于 above",
                Direction::Under => "不低于 at least",
                Direction::Outside => "处于 within",
            };
            format!("值{side} {} {unit} ({name})", bound_text(*bound))
        }
        LevelRule::After(span) => format!("在 {span} 前消除或办结 ended or answered before {span} ({name})"),
        LevelRule::When(when) => format!("以下条件不成立 this not holding: {} ({name})", text(when)),
    })
}

fn change(w: &Warning, indicator: Option<&Indicator>) {
    println!("\n变化 change {}  {} {}  {} / {}", w.change, text(&w.kind), w.occurred, w.level_name, w.level_name_en);
    println!("  {}\n  {}", w.headline, w.headline_en);
    let number = |n: Option<f64>| n.map_or_else(|| "—".to_owned(), plain);
    let unit = &w.indicator.unit;
    println!("  值 value      {} {unit}, 限值 bound {} {unit}", number(w.value), number(w.bound));
    for r in &w.readings {
        println!("    {:<24} {:>14}  bound {}", r.name, number(r.value), number(r.bound));
    }
    if let Some(window) = w.window {
        println!("  窗口 window   ({}, {}]", window.from, window.to);
    }
    if w.absent {
        println!("  因数据缺失而发出 raised because data is absent");
    }
    if w.partial {
        println!("  学习期或窗口不完整 the model was warming up or the window was cut");
    }
    if w.model_failing {
        println!("  模型误报过多,评分暂不采用 the model alarms too often: its scores are not used");
    }
    println!("  原因 cause    {}", w.cause);
    println!("  发现 found    {} (log time); log positions {}..{}", w.found, w.log.first, w.log.last);
    println!("  证据 evidence {} of {} records", w.evidence.len(), w.evidence_total);
    for e in &w.evidence {
        println!("    {} {} {} {} r{}", e.occurred_at, e.kind.word(), e.source_system, e.record_id, e.revision);
        let values: BTreeMap<&String, String> =
            e.values.iter().flatten().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k, short(v))).collect();
        if !values.is_empty() {
            let values: Vec<String> = values.into_iter().map(|(k, v)| format!("{k}={v}")).collect();
            println!("      {}", values.join(" "));
        }
    }
    if let Some(indicator) = indicator {
        let used = w.segment.as_ref().and_then(|id| indicator.segments.iter().find(|s| s.id == *id));
        let absence = indicator.absence.as_ref().filter(|_| w.absent);
        let quiet = match absence {
            Some(absence) => Some(format!("{} 内有数据 data within {}", absence.after, absence.after)),
            None => quiet(used.map_or(&indicator.levels, |s| &s.levels), unit),
        };
        if let Some(quiet) = quiet {
            println!("  不会预警 quiet if  {quiet}");
        }
    }
    let lead = &w.departments.lead;
    println!("  牵头 lead     {} / {}: {}", lead.name, lead.name_en, lead.why);
    for a in &w.departments.assist {
        println!("  协同 assist   {} / {}: {}", a.name, a.name_en, a.why);
    }
    if let Some(plan) = &w.plan {
        println!("  预案 plan     {} {} ({})", plan.id, plan.name, plan.level.word());
        for step in &plan.steps {
            let due = step.due.map_or_else(String::new, |d| format!(", 最迟 by {d}"));
            println!("    {:<20} {} — {}{due}", step.by, step.action, step.within);
        }
    }
    if let Some(d) = &w.deadlines {
        println!(
            "  时限 due      签收 sign {}, 首报 report {}, 处置 dispose {}",
            d.sign_by, d.first_report_by, d.disposal_by
        );
    }
}

/// Compares what was written or sent with what is reached now. 0 when the numbers are the same.
fn verdict(place: &str, was: &BTreeMap<u64, Value>, is: &BTreeMap<u64, Value>) -> u8 {
    let numbers: BTreeSet<u64> = was.keys().chain(is.keys()).copied().collect();
    let mut found = Vec::new();
    for n in numbers {
        match (was.get(&n), is.get(&n)) {
            (Some(was), Some(is)) => {
                // Drill or real is a setting of the run, not reached from the log.
                let differ = differences(was, is).into_iter().filter(|(path, _, _)| path != "status");
                found.extend(differ.map(|(path, a, b)| format!("change {n}: {path} was {a}, is {b}")));
            }
            (None, _) => found.push(format!("change {n} is not in {place}")),
            (_, None) => found.push(format!("change {n} of {place} is not reached again")),
        }
    }
    if found.is_empty() {
        println!("\n数值一致 same numbers: {} changes in {place} and from the log", was.len());
        return 0;
    }
    println!("\n数值不一致 {} differences between {place} and the log:", found.len());
    for line in &found {
        println!("  {line}");
    }
    1
}
