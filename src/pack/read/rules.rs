//! The checks of an indicator: sources and keys, SQL, bounds that rise, conditions, signals without cycles, texts.

use super::document::Form;
use super::items;
use super::levels;
use super::meaning::{Meaning, folder};
use super::schema::near;
use super::texts;
use super::units;
use crate::pack::expression::{Expression, Want};
use crate::pack::view::{feeds, kind_of, view};
use crate::pack::{
    Aggregate, Condition, Direction, Emit, GROUP_TERMS, Indicator, Keep, LevelRule, Levels, Limit, Method, ModelFile,
    ModelMethod, PeerMethod, RowMatch, Span, Sql, Status, TrendMethod, Window,
};
use crate::record::{ENVELOPE, Kind, Level};
use arrow::datatypes::{DataType, Field, Schema};
use std::collections::{BTreeMap, BTreeSet};

/// What is known about the indicator that is being checked.
pub(super) struct Rule<'a> {
    pub(super) path: &'a str,
    pub(super) indicator: &'a Indicator,
    /// The columns its SQL may read.
    pub(super) view: Schema,
}

pub(super) struct Rules<'a, 'm> {
    pub(super) meaning: &'m mut Meaning<'a>,
}

impl<'a, 'm> Rules<'a, 'm> {
    pub(super) fn new(meaning: &'m mut Meaning<'a>) -> Rules<'a, 'm> {
        Rules { meaning }
    }

    pub(super) fn check(mut self) {
        let typed = self.meaning.typed;
        for (path, indicator) in &typed.rules {
            self.industry(path, indicator);
            if let Some(rule) = self.reads(path, indicator) {
                self.expressions(&rule);
                self.route(&rule);
                levels::check(self.meaning, &rule);
                units::check(self.meaning, &rule);
                self.windows(&rule);
                self.signals(&rule);
            }
            self.people(path, indicator);
            texts::check(self.meaning, path, indicator);
        }
        self.cycles();
    }

    pub(super) fn error(&mut self, at: (&str, &str), code: &'static str, en: &str, zh: &str, hint: Option<String>) {
        self.meaning.error(at, code, en, zh, hint);
    }

    fn industry(&mut self, path: &str, indicator: &Indicator) {
        let name = folder(path);
        let typed = self.meaning.typed;
        let head = format!("rules/{name}/industry.yaml");
        if !typed.industries.contains_key(&head) && !self.meaning.is_broken(Form::Industry, "industry") {
            let en = format!("the folder {name} has no industry.yaml");
            let zh = format!("文件夹 {name} 中没有 industry.yaml");
            self.error((path, "/id"), "missing-file", &en, &zh, None);
        }
        if let Some(industry) = &indicator.industry
            && typed.industries.values().all(|i| i.id != *industry)
        {
            let en = format!("no industry \"{industry}\" in this pack");
            let zh = format!("本规则包中没有行业“{industry}”");
            let hint = near(industry, typed.industries.values().map(|i| i.id.as_str()));
            self.error((path, "/industry"), "unknown-industry", &en, &zh, hint);
        }
    }

    /// The source and the lookups; `None` when the columns cannot be known.
    fn reads<'r>(&mut self, path: &'r str, indicator: &'r Indicator) -> Option<Rule<'r>> {
        let mut fields = self.source((path, "/source"), &indicator.source)?;
        let mut whole = true;
        for (alias, name) in &indicator.lookups {
            let at = format!("/lookups/{alias}");
            let Some(other) = self.named((path, &at), name) else {
                whole = false;
                continue;
            };
            let Method::Lookup(lookup) = &other.kind else {
                let en = format!("\"{name}\" is no lookup");
                let zh = format!("“{name}”不是状态查询(kind: lookup)");
                self.error((path, &at), "lookup", &en, &zh, None);
                whole = false;
                continue;
            };
            if other.key.space != indicator.key.space {
                let en = format!("\"{name}\" is kept in key space {}, not {}", other.key.space, indicator.key.space);
                let zh = format!("“{name}”的键空间是 {},不是 {}", other.key.space, indicator.key.space);
                let hint = Some("both must be in one key space / 两者的键空间应相同".to_owned());
                self.error((path, &at), "lookup", &en, &zh, hint);
            }
            for missing in other.key.state.iter().filter(|s| fields.iter().all(|f| f.name() != *s)) {
                let en = format!("\"{name}\" is kept by {missing}, which {} does not have", indicator.source);
                let zh = format!("“{name}”按 {missing} 细分,而 {} 没有此列", indicator.source);
                self.error((path, &at), "lookup", &en, &zh, None);
            }
            let theirs = self.columns(&other.source).map(Schema::new);
            for (value, sql) in &lookup.values {
                let ty = theirs.as_ref().and_then(|v| lookup_type(sql, v)).unwrap_or(DataType::Utf8);
                // A value that is a column as it stands has the words of the column.
                let words = theirs.as_ref().and_then(|v| v.field_with_name(sql.0.trim()).ok()).map(Field::metadata);
                let words = words.cloned().unwrap_or_default();
                let column = format!("{alias}_{value}");
                if fields.iter().any(|f| *f.name() == column) {
                    let en = format!("the lookup column \"{column}\" has the name of a column of {}", indicator.source);
                    let zh = format!("查询列“{column}”与 {} 的列重名", indicator.source);
                    self.error(
                        (path, &at),
                        "duplicate-id",
                        &en,
                        &zh,
                        Some("choose another alias / 请换别名".to_owned()),
                    );
                } else {
                    fields.push(Field::new(column, ty, true).with_metadata(words));
                }
            }
        }
        whole.then(|| Rule { path, indicator, view: Schema::new(fields) })
    }

    /// The columns of a source, those of fixed words with their words.
    fn columns(&self, name: &str) -> Option<Vec<Field>> {
        let kind = kind_of(&self.meaning.sources, name)?;
        let fields = view(&self.meaning.sources, name)?;
        Some(fields.into_iter().map(|field| self.meaning.worded(kind, field)).collect())
    }

    /// The columns of a source, or a finding.
    pub(super) fn source(&mut self, at: (&str, &str), name: &str) -> Option<Vec<Field>> {
        if let Some(fields) = self.columns(name) {
            if Kind::from_word(name).is_some() && feeds(&self.meaning.sources, name).is_empty() {
                let broken = self.meaning.broken.iter().any(|(form, _)| *form == Form::Source);
                if !broken {
                    let (en, zh) = (format!("no source of kind {name}"), format!("没有类型为 {name} 的来源"));
                    let hint = Some("add one under rules/sources / 在 rules/sources 中添加".to_owned());
                    self.error(at, "unknown-source", &en, &zh, hint);
                }
            }
            return Some(fields);
        }
        if !self.meaning.is_broken(Form::Source, name) {
            let mut names: BTreeSet<String> = self.meaning.sources.keys().cloned().collect();
            names.extend(Kind::OUTSIDE.map(|k| k.word().to_owned()));
            names.extend(["signal".to_owned(), "value".to_owned()]);
            let (en, zh) = (format!("no source \"{name}\""), format!("没有来源“{name}”"));
            let hint = near(name, names.iter().map(String::as_str))
                .or_else(|| Some("a record kind, a name of rules/sources, signal or value".to_owned()));
            self.error(at, "unknown-source", &en, &zh, hint);
        }
        None
    }

    /// Another indicator by id, or a finding.
    fn named(&mut self, at: (&str, &str), id: &str) -> Option<&'a Indicator> {
        let typed = self.meaning.typed;
        if let Some(path) = self.meaning.paths.get(id) {
            return typed.rules.get(path);
        }
        if !self.meaning.is_broken(Form::Rule, id) {
            let (en, zh) = (format!("no indicator \"{id}\""), format!("没有指标“{id}”"));
            let hint = near(id, self.meaning.paths.keys().map(String::as_str));
            self.error(at, "unknown-indicator", &en, &zh, hint);
        }
        None
    }

    /// Every SQL of the indicator.
    fn expressions(&mut self, rule: &Rule<'_>) {
        let (path, indicator, view) = (rule.path, rule.indicator, &rule.view);
        let mut read: BTreeSet<String> = BTreeSet::new();
        let mut sql = |meaning: &mut Meaning<'_>, at: &str, sql: &Sql, want: Want| {
            if let Some(expression) = meaning.sql((path, at), sql, view, want) {
                read.extend(expression.reads().iter().cloned());
            }
        };
        if let Some(filter) = &indicator.filter {
            sql(self.meaning, "/filter", filter, Want::Bool);
        }
        for (i, segment) in indicator.segments.iter().enumerate() {
            sql(self.meaning, &format!("/segments/{i}/when"), &segment.when, Want::Bool);
        }
        let mut rows = Vec::new();
        conditions(indicator, &mut |pointer, condition| {
            if let Some(row) = &condition.row {
                rows.push((format!("{pointer}/row"), row));
            }
        });
        for (at, row) in rows {
            sql(self.meaning, &at, row, Want::Bool);
        }
        let mut values = None;
        let mut matches: Vec<(String, &RowMatch)> = Vec::new();
        match &indicator.kind {
            Method::Measure(method) => {
                for (name, aggregate) in &method.measures {
                    for (function, text, want) in functions(aggregate) {
                        sql(self.meaning, &format!("/measures/{name}/{function}"), text, want);
                    }
                    if let Some(filter) = &aggregate.filter {
                        sql(self.meaning, &format!("/measures/{name}/where"), filter, Want::Bool);
                    }
                }
                values = Some(method);
            }
            Method::Sustained(method) => sql(self.meaning, "/value", &method.value, Want::Number),
            Method::Deadline(method) => {
                sql(self.meaning, "/due", &method.due, Want::Time);
                if let Some(item) = &method.item {
                    sql(self.meaning, "/item", item, Want::Text);
                }
                if let Some(at_once) = &method.at_once {
                    sql(self.meaning, "/at_once/when", &at_once.when, Want::Bool);
                }
                matches.extend(method.done.iter().enumerate().map(|(i, m)| (format!("/done/{i}"), m)));
            }
            Method::Gap(method) => {
                matches.extend(method.also.iter().enumerate().map(|(i, m)| (format!("/also/{i}"), m)));
                matches.extend(method.stop.iter().enumerate().map(|(i, m)| (format!("/stop/{i}"), m)));
            }
            Method::Sequence(method) => {
                if let Some(item) = &method.item {
                    sql(self.meaning, "/item", item, Want::Text);
                }
                matches.push(("/then".to_owned(), &method.then));
            }
            Method::Lookup(method) => {
                if let Some(effective) = &method.effective {
                    sql(self.meaning, "/effective", effective, Want::Time);
                }
                for (name, value) in &method.values {
                    sql(self.meaning, &format!("/values/{name}"), value, Want::Any);
                }
            }
            Method::Model(method) => {
                for (field, text, want) in [
                    ("value", &method.value, Want::Number),
                    ("distinct", &method.distinct, Want::Text),
                    ("group", &method.group, Want::Text),
                    ("relearn", &method.relearn, Want::Bool),
                    ("member", &method.member, Want::Text),
                ] {
                    if let Some(text) = text {
                        sql(self.meaning, &format!("/{field}"), text, want);
                    }
                }
            }
            Method::Trend(method) => {
                sql(self.meaning, "/value", &method.value, Want::Number);
                if let Limit::Row(limit) = &method.limit {
                    sql(self.meaning, "/limit", limit, Want::Number);
                }
            }
            Method::Peer(method) => {
                sql(self.meaning, "/value", &method.value, Want::Number);
                if let Some(group) = &method.group {
                    sql(self.meaning, "/group", group, Want::Text);
                }
            }
            // Their items have sources of their own: see `items`.
            Method::Scorecard(_) | Method::Fusion(_) => {}
        }
        if let Some(method) = values {
            self.measures(rule, method);
        }
        items::check(self, rule);
        self.rosters(rule);
        for (at, one) in matches {
            self.row_match(rule, &at, one);
        }
        let columns = indicator.key.state.iter().enumerate().map(|(i, c)| (format!("/key/state/{i}"), c));
        let sent = indicator.signal_to.iter().enumerate().map(|(i, r)| (format!("/signal_to/{i}/key"), &r.key));
        for (at, column) in columns.chain(sent) {
            if view.field_with_name(column).is_err() {
                let en = format!("no column \"{column}\" in {}", indicator.source);
                let zh = format!("{} 没有列“{column}”", indicator.source);
                let hint = near(column, view.fields().iter().map(|f| f.name().as_str()));
                self.error((path, &at), "sql-column", &en, &zh, hint);
            } else {
                read.insert(column.clone());
            }
        }
        for (i, column) in indicator.incident.iter().flatten().enumerate() {
            let known = ["object_id", "location_id"];
            if !indicator.key.state.contains(column) && !known.contains(&column.as_str()) {
                let en = format!("\"{column}\" does not divide the state");
                let zh = format!("“{column}”不在细分列中");
                let hint = Some("list it under key.state / 写入 key.state".to_owned());
                self.error((path, &format!("/incident/{i}")), "incident", &en, &zh, hint);
            }
        }
        self.carried(rule, &read);
    }

    /// The value over the measures.
    fn measures(&mut self, rule: &Rule<'_>, method: &crate::pack::MeasureMethod) {
        let path = rule.path;
        if method.measures.is_empty() {
            self.error((path, "/measures"), "measure", "there is no measure", "没有统计量", None);
        }
        for (name, aggregate) in &method.measures {
            let at = format!("/measures/{name}");
            let given = functions(aggregate).len() + usize::from(aggregate.count.is_some());
            if given != 1 {
                let en = format!("\"{name}\" has {given} functions; one is needed");
                let zh = format!("“{name}”有 {given} 个函数,应为 1 个");
                let hint = Some("count, sum, avg, min, max, last or distinct".to_owned());
                self.error((path, &at), "measure", &en, &zh, hint);
            }
            if aggregate.count == Some(false) {
                let (en, zh) = ("`count: false` counts nothing", "`count: false` 没有意义");
                self.error((path, &format!("{at}/count")), "measure", en, zh, Some("write count: true".to_owned()));
            }
            if aggregate.last.is_none() && aggregate.window.is_none() && method.window.is_none() {
                let (en, zh) = (format!("\"{name}\" has no window"), format!("“{name}”没有窗口"));
                let hint = Some("add window: 7d to it or to the indicator / 加上 window".to_owned());
                self.error((path, &at), "no-window", &en, &zh, hint);
            }
        }
        let numbers = method.measures.keys().map(|n| Field::new(n, DataType::Float64, true));
        let numbers = Schema::new(numbers.collect::<Vec<_>>());
        match &method.value {
            Some(value) => {
                self.meaning.sql((path, "/value"), value, &numbers, Want::Number);
            }
            None if method.measures.len() > 1 => {
                let (en, zh) = ("with several measures a value is needed", "有多个统计量时应写明 value");
                let hint = Some("value: SQL over the measures / 用统计量写出 value".to_owned());
                self.error((path, "/measures"), "measure", en, zh, hint);
            }
            None => {}
        }
    }

    fn rosters(&mut self, rule: &Rule<'_>) {
        let registry = self.columns("registry").map(Schema::new);
        let gap = match &rule.indicator.kind {
            Method::Gap(method) => method.roster.as_ref().map(|r| ("/roster", r)),
            Method::Scorecard(method) => method.roster.as_ref().map(|r| ("/roster", r)),
            Method::Fusion(method) => method.roster.as_ref().map(|r| ("/roster", r)),
            _ => None,
        };
        let absence = rule.indicator.absence.as_ref().map(|a| ("/absence/roster", &a.roster));
        for (at, roster) in gap.into_iter().chain(absence) {
            if let Some(registry) = &registry {
                self.meaning.sql((rule.path, at), roster, registry, Want::Bool);
            }
        }
    }

    fn row_match(&mut self, rule: &Rule<'_>, at: &str, one: &RowMatch) {
        let Some(fields) = self.source((rule.path, &format!("{at}/source")), &one.source) else { return };
        let view = Schema::new(fields);
        self.meaning.sql((rule.path, &format!("{at}/when")), &one.when, &view, Want::Bool);
        if let Some(item) = &one.item {
            self.meaning.sql((rule.path, &format!("{at}/item")), item, &view, Want::Text);
        }
        if let Method::Sequence(method) = &rule.indicator.kind {
            if let Some(distinct) = &method.distinct {
                self.meaning.sql((rule.path, "/distinct"), distinct, &view, Want::Text);
            }
            if method.item.is_some() != method.then.item.is_some() {
                let (en, zh) = ("item and then.item are given together or not at all", "item 与 then.item 应同时给出");
                self.error((rule.path, "/then"), "item", en, zh, None);
            }
        }
        self.routed(rule, (rule.path, &format!("{at}/source")), &one.source);
    }

    /// The key space is the home copy, or a route of every feed.
    fn route(&mut self, rule: &Rule<'_>) {
        let at = (rule.path, "/key/space");
        let space = &rule.indicator.key.space;
        if matches!(rule.indicator.source.as_str(), "signal" | "value") {
            self.sent_to(space, at, &rule.indicator.source);
            return;
        }
        self.routed(rule, at, &rule.indicator.source);
    }

    /// Some indicator sends its signals, or its values, to a key space.
    pub(super) fn sent_to(&mut self, space: &str, at: (&str, &str), source: &str) {
        let value = source == "value";
        let sent = self
            .meaning
            .typed
            .rules
            .values()
            .any(|r| r.signal_to.iter().any(|s| s.space == *space) && (!value || r.emit == Some(Emit::Value)));
        if !sent {
            let en = format!("no indicator sends its {source}s to key space \"{space}\"");
            let zh = format!("没有指标把信号或值送往键空间“{space}”");
            let hint = Some("add signal_to to the indicator that should / 在发出方加 signal_to".to_owned());
            self.error(at, "route", &en, &zh, hint);
        }
    }

    pub(super) fn routed(&mut self, rule: &Rule<'_>, at: (&str, &str), source: &str) {
        let space = &rule.indicator.key.space;
        if space == "object" || kind_of(&self.meaning.sources, source).is_none() {
            return;
        }
        let feeds = feeds(&self.meaning.sources, source);
        let missing: Vec<String> = feeds
            .iter()
            .filter(|f| f.routes.iter().all(|r| r.space != *space))
            .map(|f| format!("rules/sources/{}.yaml", f.name))
            .collect();
        if !missing.is_empty() {
            let spaces: BTreeSet<&str> = feeds.iter().flat_map(|f| &f.routes).map(|r| r.space.as_str()).collect();
            let files = missing.join(", ");
            let en = format!("{source} is not routed to key space \"{space}\" in {files}");
            let zh = format!("{files} 没有把 {source} 送往键空间“{space}”的路由");
            let hint = near(space, spaces.iter().copied().chain(["object"]))
                .or_else(|| Some(format!("add a route to {space} there / 在其中加 routes")));
            self.error(at, "route", &en, &zh, hint);
        }
    }

    /// A route that names its columns must carry what is read.
    fn carried(&mut self, rule: &Rule<'_>, read: &BTreeSet<String>) {
        let space = &rule.indicator.key.space;
        let mut told = Vec::new();
        for feed in feeds(&self.meaning.sources, &rule.indicator.source) {
            for route in feed.routes.iter().filter(|r| r.space == *space && !r.columns.is_empty()) {
                for column in read {
                    let envelope = ENVELOPE.iter().any(|c| c.name == column);
                    let looked_up = rule.indicator.lookups.keys().any(|a| column.starts_with(&format!("{a}_")));
                    if !envelope && !looked_up && !route.columns.contains(column) {
                        told.push((feed.name.clone(), column.clone()));
                    }
                }
            }
        }
        for (feed, column) in told {
            let en = format!("the route of {feed} to \"{space}\" does not carry \"{column}\"");
            let zh = format!("{feed} 到“{space}”的路由没有携带列“{column}”");
            let hint = Some(format!("add it to its columns in rules/sources/{feed}.yaml / 在该来源的路由中加上"));
            self.error((rule.path, "/key/space"), "route", &en, &zh, hint);
        }
    }

    fn windows(&mut self, rule: &Rule<'_>) {
        let iot = kind_of(&self.meaning.sources, &rule.indicator.source) == Some(Kind::Iot);
        match &rule.indicator.kind {
            Method::Measure(method) => {
                if let Some(window) = &method.window {
                    self.window(rule.path, "/window", window);
                }
                for (name, aggregate) in &method.measures {
                    let at = format!("/measures/{name}");
                    if let Some(window) = &aggregate.window {
                        self.window(rule.path, &format!("{at}/window"), window);
                    }
                    let window = aggregate.window.as_ref().or(method.window.as_ref());
                    let keep = match window {
                        Some(Window::Full(full)) => full.keep,
                        _ => None,
                    };
                    let panes = keep.map_or(iot, |k| k == Keep::Panes);
                    if aggregate.distinct.is_some() && panes {
                        let (en, zh) = ("distinct needs every row", "distinct 需要保留每一行");
                        let hint = Some("window: { size: 7d, keep: rows }".to_owned());
                        self.error((rule.path, &format!("{at}/distinct")), "distinct-rows", en, zh, hint);
                    }
                }
            }
            Method::Model(method) => self.model(rule, method),
            Method::Sequence(method) => {
                self.positive((rule.path, "/within"), method.within);
                if method.wait.is_some_and(|w| w.millis() < 0 || w >= method.within) {
                    let (en, zh) = ("the wait must be shorter than `within`", "等待时间应短于 within");
                    self.error((rule.path, "/wait"), "duration", en, zh, None);
                }
            }
            Method::Sustained(method) => {
                for (at, span) in [("/duration", method.duration), ("/break", method.gap)] {
                    if span.is_some_and(|s| s.millis() < 0) {
                        self.error((rule.path, at), "duration", "must not be negative", "不能为负", None);
                    }
                }
                if method.samples == Some(0) {
                    self.error((rule.path, "/samples"), "measure", "at least one sample", "至少 1 个样本", None);
                }
            }
            Method::Deadline(_) | Method::Gap(_) | Method::Lookup(_) => {}
            Method::Scorecard(_) | Method::Fusion(_) => {}
            Method::Trend(method) => self.trend(rule, method),
            Method::Peer(method) => self.peer(rule, method),
        }
    }

    fn trend(&mut self, rule: &Rule<'_>, method: &TrendMethod) {
        let path = rule.path;
        self.window(path, "/window", &method.window);
        let rows = matches!(&method.window, Window::Full(full) if full.keep == Some(Keep::Rows));
        if rows || matches!(method.window, Window::Calendar(_)) {
            let (en, zh) = ("a trend has a window of panes", "趋势的窗口应按格统计");
            self.error((path, "/window"), "pane", en, zh, Some("window: { size: 24h, pane: 30m }".to_owned()));
        }
        let points = method.points.unwrap_or(10);
        if points < 3 {
            let (en, zh) = ("through two points every line is exact; at least 3", "至少 3 点");
            self.error((path, "/points"), "measure", en, zh, None);
        }
        let panes = match &method.window {
            Window::Full(full) => full.pane.filter(|p| p.millis() > 0).map(|p| full.size.millis() / p.millis()),
            _ => None,
        };
        if panes.is_some_and(|panes| panes < i64::from(points)) {
            let en = format!("the window has fewer panes than the {points} points that are needed");
            let zh = format!("窗口的格数少于所需的 {points} 点");
            let hint = Some("smaller panes, or fewer points / 缩小格宽,或者减少点数".to_owned());
            self.error((path, "/window"), "pane", &en, &zh, hint);
        }
        if method.r2.is_some_and(|r2| !(0.0..1.0).contains(&r2)) {
            self.error((path, "/r2"), "measure", "a share from 0 to below 1", "应在 0 与 1 之间", None);
        }
        if rule.indicator.levels.direction == Some(Direction::Outside) {
            let (en, zh) = ("a trend has one limit; write two indicators", "趋势只有一个限值,请写成两个指标");
            self.error((path, "/levels/direction"), "level-form", en, zh, Some("above or below".to_owned()));
        }
    }

    fn peer(&mut self, rule: &Rule<'_>, method: &PeerMethod) {
        let path = rule.path;
        if rule.indicator.source != "value" {
            let (en, zh) = ("peers are compared by the values of an indicator", "同类比较读取另一指标的数值");
            let hint =
                Some("source: value, and in the other indicator emit: value / 另一指标写 emit: value".to_owned());
            self.error((path, "/source"), "peer", en, zh, hint);
        } else if rule.indicator.filter.is_none() {
            let (en, zh) = ("it must say whose values are compared", "应写明比较哪个指标的数值");
            self.error((path, "/source"), "peer", en, zh, Some("filter: \"indicator = '...'\"".to_owned()));
        }
        if rule.indicator.key.state.is_empty() {
            let (en, zh) = ("the key is the trade; its state says which object", "键是行业,细分列应指明对象");
            self.error((path, "/key"), "peer", en, zh, Some("key: { space: trade, state: [entity_id] }".to_owned()));
        }
        if method.peers.is_some_and(|peers| peers < 3) {
            self.error((path, "/peers"), "peer", "at least 3 objects", "至少 3 个对象", None);
        }
        if method.wait.is_some_and(|wait| wait.millis() < 0) {
            self.error((path, "/wait"), "duration", "must not be negative", "不能为负", None);
        }
    }

    pub(super) fn positive(&mut self, at: (&str, &str), span: Span) {
        if span.millis() <= 0 {
            self.error(at, "duration", "must be above zero", "应大于零", None);
        }
    }

    fn window(&mut self, path: &str, at: &str, window: &Window) {
        match window {
            Window::Sliding(size) => self.positive((path, at), *size),
            Window::Calendar(_) => {}
            Window::Full(full) => {
                self.positive((path, &format!("{at}/size")), full.size);
                if let Some(pane) = full.pane
                    && (pane.millis() <= 0 || full.size.millis() % pane.millis() != 0)
                {
                    let en = format!("a pane of {pane} does not divide a window of {}", full.size);
                    let zh = format!("格宽 {pane} 不能整除窗口 {}", full.size);
                    self.error((path, &format!("{at}/pane")), "pane", &en, &zh, None);
                }
            }
        }
    }

    fn model(&mut self, rule: &Rule<'_>, method: &ModelMethod) {
        let typed = self.meaning.typed;
        let Some(file) = typed.models.values().find(|m| m.id == method.model) else {
            if !self.meaning.is_broken(Form::Model, &method.model) {
                let (en, zh) = (format!("no model \"{}\"", method.model), format!("没有模型“{}”", method.model));
                let hint = near(&method.model, typed.models.values().map(|m| m.id.as_str()));
                self.error((rule.path, "/model"), "unknown-model", &en, &zh, hint);
            }
            return;
        };
        for name in method.parameters.keys().filter(|p| !file.parameters.contains_key(*p)) {
            let en = format!("the model {} has no parameter \"{name}\"", file.id);
            let zh = format!("模型 {} 没有参数“{name}”", file.id);
            let hint = near(name, file.parameters.keys().map(String::as_str));
            self.error((rule.path, &format!("/parameters/{name}")), "unknown-parameter", &en, &zh, hint);
        }
        let counts = matches!(file.method.as_str(), "surge" | "count_surge");
        let group = file.method == "sensor_group";
        if group {
            self.group(rule, method, file);
        } else if method.member.is_some() || !method.members.is_empty() {
            let at = if method.members.is_empty() { "/member" } else { "/members" };
            let en = format!("the model {} reads one sensor at a time; it has no members", file.id);
            let zh = format!("模型 {} 逐个测点评分,没有成员", file.id);
            self.error((rule.path, at), "members", &en, &zh, Some("model: sensor_group".to_owned()));
        }
        if !counts && !group && crate::model::ReadingModel::of(&file.method, &|_, default| default).is_none() {
            let en = format!("indicators cannot use the method \"{}\" of {} yet", file.method, file.id);
            let zh = format!("指标尚不能使用模型 {} 的方法“{}”", file.id, file.method);
            self.error((rule.path, "/model"), "unknown-method", &en, &zh, None);
        }
        if counts {
            match method.window {
                Some(window) if file.method == "count_surge" => {
                    if !matches!(window.millis(), DAY_MS | WEEK_MS) {
                        let (en, zh) = ("this model counts weeks (7d) or days (1d)", "此模型按周(7d)或者按日(1d)计数");
                        self.error((rule.path, "/window"), "window", en, zh, Some("window: 7d".to_owned()));
                    }
                }
                Some(window) => self.positive((rule.path, "/window"), window),
                None => {
                    let (en, zh) = ("a model of counts needs a window", "计数模型应有窗口");
                    self.error((rule.path, "/model"), "no-window", en, zh, Some("window: 7d".to_owned()));
                }
            }
        } else if method.value.is_none() {
            let (en, zh) = ("a model of readings needs a value", "读数模型应有 value");
            self.error((rule.path, "/model"), "missing-field", en, zh, Some("value: \"value\"".to_owned()));
        }
    }

    /// The members of a group have names of their own, and its calibration is long enough to learn from.
    fn group(&mut self, rule: &Rule<'_>, method: &ModelMethod, file: &ModelFile) {
        let path = rule.path;
        let count = method.members.len();
        if !(2..=GROUP_MOST).contains(&count) {
            let en = format!("a group has 2 to {GROUP_MOST} members; here are {count}");
            let zh = format!("成员应为 2 至 {GROUP_MOST} 个,此处有 {count} 个");
            let at = if count == 0 { "/model" } else { "/members" };
            self.error((path, at), "members", &en, &zh, Some("members: [temperature, pressure]".to_owned()));
        }
        for (i, member) in method.members.iter().enumerate() {
            let at = format!("/members/{i}");
            if method.members.iter().take(i).any(|other| other == member) {
                let (en, zh) = (format!("\"{member}\" stands here twice"), format!("成员“{member}”重复"));
                self.error((path, &at), "duplicate-id", &en, &zh, None);
            } else if member.trim().is_empty()
                || GROUP_TERMS.contains(&member.as_str())
                || method.members.iter().any(|other| *member == format!("{other}_part"))
            {
                let en = format!("\"{member}\" cannot be told from another quantity of the group");
                let zh = format!("成员名“{member}”与其他统计量重名");
                let hint = Some(format!("not {}, nor another member's name with _part", GROUP_TERMS.join(", ")));
                self.error((path, &at), "members", &en, &zh, hint);
            }
        }
        if method.member.is_none() && rule.view.field_with_name("sensor_type").is_err() {
            let en = format!("{} has no sensor_type: say which member a row is", rule.indicator.source);
            let zh = format!("{} 没有 sensor_type,应写明 member", rule.indicator.source);
            self.error((path, "/members"), "missing-field", &en, &zh, Some("member: \"sensor_id\"".to_owned()));
        }
        let set = |name: &str| method.parameters.get(name).or_else(|| file.parameters.get(name)).copied();
        let at = |name: &str| match method.parameters.contains_key(name) {
            true => format!("/parameters/{name}"),
            false => "/model".to_owned(),
        };
        if set("threshold").is_some_and(|threshold| threshold <= 0.0) {
            self.error((path, &at("threshold")), "parameter", "must be above zero", "应大于零", None);
        }
        if let Some(rows) = set("calibrate").filter(|rows| *rows < CALIBRATE_SHORT) {
            let at = at("calibrate");
            if rows < 2.0 {
                self.error((path, &at), "parameter", "at least 2 rows", "至少 2 行", None);
            } else {
                let en = format!("{rows} rows of calibration are too few: much that is normal will alarm");
                let zh = format!("标定 {rows} 行太少,正常状态也会报警");
                let hint = Some("1000 rows or more, see models/README.md / 宜为 1000 行以上".to_owned());
                self.meaning.warning((path, &at), "parameter", &en, &zh, hint);
            }
        }
    }

    /// Conditions over signals name indicators that send them here.
    fn signals(&mut self, rule: &Rule<'_>) {
        let space = &rule.indicator.key.space;
        let mut named = Vec::new();
        conditions(rule.indicator, &mut |pointer, condition| {
            if let Some(id) = &condition.signal {
                named.push((format!("{pointer}/signal"), id.clone()));
            }
        });
        let items = rule.indicator.kind.items().into_iter();
        named.extend(items.filter_map(|(name, i)| Some((format!("/items/{name}/signal"), i.signal?.to_owned()))));
        for (at, id) in named {
            let Some(other) = self.named((rule.path, &at), &id) else { continue };
            if other.signal_to.iter().all(|s| s.space != *space) {
                let en = format!("\"{id}\" sends no signals to key space \"{space}\"");
                let zh = format!("“{id}”没有把信号送往键空间“{space}”");
                let hint = Some(format!("add to it: signal_to: [{{ space: {space}, key: ... }}]"));
                self.error((rule.path, &at), "signal-route", &en, &zh, hint);
            }
        }
    }

    /// Who leads, who helps, which plan, which basis.
    fn people(&mut self, path: &str, indicator: &Indicator) {
        let typed = self.meaning.typed;
        let to = &indicator.to;
        if let Some(lead) = &to.lead {
            self.meaning.department((path, "/to/lead"), lead);
        }
        for (field, list) in [
            ("assist", &to.assist),
            ("blue", &to.blue),
            ("yellow", &to.yellow),
            ("orange", &to.orange),
            ("red", &to.red),
        ] {
            for (i, id) in list.iter().enumerate() {
                self.meaning.department((path, &format!("/to/{field}/{i}")), id);
            }
        }
        for (tag, id) in &to.by_tag {
            self.meaning.department((path, &format!("/to/by_tag/{tag}")), id);
        }
        if let Some(code) = &indicator.matter_code
            && typed.matters.as_ref().is_some_and(|m| m.iter().all(|m| m.code != *code))
        {
            let (en, zh) = (format!("no matter \"{code}\""), format!("没有事项“{code}”"));
            let hint = near(code, typed.matters.iter().flatten().map(|m| m.code.as_str()))
                .or_else(|| Some("see rules/shared/matters.yaml".to_owned()));
            self.error((path, "/matter_code"), "unknown-matter", &en, &zh, hint);
        }
        let helper = indicator.id.contains("__");
        if helper && *to != crate::pack::To::default() {
            let (en, zh) = ("a helper is never a warning and tells nobody", "辅助指标不发预警,不写 to");
            self.error((path, "/to"), "helper", en, zh, Some("remove `to` / 删去 to".to_owned()));
        }
        if helper {
            let parent = indicator.id.split("__").next().unwrap_or_default();
            if !self.meaning.paths.contains_key(parent) && !self.meaning.is_broken(Form::Rule, parent) {
                let (en, zh) =
                    (format!("there is no indicator \"{parent}\" to help"), format!("没有被辅助的指标“{parent}”"));
                self.meaning.warning((path, "/id"), "helper", &en, &zh, None);
            }
        }
        let warns = !helper && !matches!(indicator.kind, Method::Lookup(_));
        if warns {
            self.plan(path, indicator);
            if indicator.status == Status::Stable && indicator.basis.is_empty() {
                let (en, zh) = ("a stable indicator states its basis", "正式指标应写明依据");
                let hint = Some("basis: [{ name: \"...\", status: S }]".to_owned());
                self.error((path, "/id"), "no-basis", en, zh, hint);
            }
        }
    }

    fn plan(&mut self, path: &str, indicator: &Indicator) {
        let typed = self.meaning.typed;
        let name = folder(path);
        let wanted = indicator.plan.clone().unwrap_or_else(|| format!("plan_{name}"));
        let at = if indicator.plan.is_some() { "/plan" } else { "/id" };
        let Some((_, plan)) = typed.plans.iter().find(|(_, p)| p.id == wanted) else {
            if !self.meaning.is_broken(Form::Plan, "plan") {
                let (en, zh) = (format!("no plan \"{wanted}\""), format!("没有预案“{wanted}”"));
                let hint = near(&wanted, typed.plans.values().map(|p| p.id.as_str()))
                    .or_else(|| Some(format!("rules/{name}/plan.yaml with id: {wanted}")));
                self.error((path, at), "unknown-plan", &en, &zh, hint);
            }
            return;
        };
        for level in levels::used(indicator) {
            if plan.levels.get(&level).is_none_or(|l| l.steps.is_empty()) {
                let (word, zh) = (level.word(), level.name_zh());
                let en = format!("the plan {wanted} has no steps for {word}");
                let zh = format!("预案 {wanted} 没有{zh}的步骤");
                self.error((path, at), "plan-level", &en, &zh, None);
            }
        }
    }

    /// Signals and values must not feed back into themselves.
    fn cycles(&mut self) {
        let typed = self.meaning.typed;
        let mut edges: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for indicator in typed.rules.values() {
            let to = edges.entry(&indicator.id).or_default();
            conditions(indicator, &mut |_, condition| {
                if let Some((id, _)) = condition.signal.as_deref().and_then(|s| self.meaning.paths.get_key_value(s)) {
                    // The id as the map of paths holds it lives as long as the pack's files.
                    to.extend(typed.rules.values().map(|r| r.id.as_str()).filter(|r| *r == id));
                }
            });
            let items = indicator.kind.items();
            to.extend(items.iter().filter_map(|(_, item)| item.signal));
            let filter = indicator.filter.as_ref().map(|f| f.0.as_str());
            let mut reads: Vec<(&str, String)> = Vec::new();
            if items.is_empty() {
                reads.push((indicator.source.as_str(), filter.unwrap_or_default().to_owned()));
            }
            for (_, item) in items.iter().filter(|(_, item)| item.signal.is_none()) {
                let when = item.when.map(|w| w.0.as_str());
                let both: Vec<&str> = filter.into_iter().chain(when).collect();
                reads.push((item.source.unwrap_or(&indicator.source), both.join(" AND ")));
            }
            for (_, filter) in reads.iter().filter(|(source, _)| matches!(*source, "signal" | "value")) {
                let senders =
                    typed.rules.values().filter(|r| r.signal_to.iter().any(|s| s.space == indicator.key.space));
                let all: Vec<&str> = senders.map(|r| r.id.as_str()).collect();
                let named: Vec<&str> = all.iter().copied().filter(|id| filter.contains(&format!("'{id}'"))).collect();
                to.extend(if named.is_empty() { all } else { named });
            }
        }
        let mut done: BTreeSet<&str> = BTreeSet::new();
        let starts: Vec<&str> = edges.keys().copied().collect();
        let mut found: Vec<Vec<&str>> = Vec::new();
        for start in starts {
            let mut trail: Vec<(&str, Vec<&str>)> = vec![(start, Vec::new())];
            if !done.insert(start) {
                continue;
            }
            trail[0].1 = edges.get(start).into_iter().flatten().copied().collect();
            while let Some((_, rest)) = trail.last_mut() {
                let Some(next) = rest.pop() else {
                    trail.pop();
                    continue;
                };
                if let Some(from) = trail.iter().position(|(id, _)| *id == next) {
                    found.push(trail[from..].iter().map(|(id, _)| *id).collect());
                } else if done.insert(next) {
                    trail.push((next, edges.get(next).into_iter().flatten().copied().collect()));
                }
            }
        }
        for cycle in found {
            let path = self.meaning.paths[cycle[0]].clone();
            let way = cycle.iter().chain([&cycle[0]]).copied().collect::<Vec<_>>().join(" → ");
            let (en, zh) = (format!("signals go in a circle: {way}"), format!("信号成环: {way}"));
            self.error((&path, "/id"), "cycle", &en, &zh, None);
        }
    }
}

/// Most members of a group: its state grows with their square.
const GROUP_MOST: usize = 64;
/// Rows of calibration below which a group's covariance is a guess.
const CALIBRATE_SHORT: f64 = 100.0;
/// A day and a week, milliseconds.
const DAY_MS: i64 = crate::record::time::DAY;
const WEEK_MS: i64 = 7 * DAY_MS;

/// The type of a lookup's value, if its SQL compiles.
fn lookup_type(sql: &Sql, view: &Schema) -> Option<DataType> {
    Expression::compile(&sql.0, view, Want::Any).ok().map(|e| e.data_type().clone())
}

/// The functions that an aggregate names, `count` aside.
fn functions(aggregate: &Aggregate) -> Vec<(&'static str, &Sql, Want)> {
    let all = [
        ("sum", &aggregate.sum, Want::Number),
        ("avg", &aggregate.avg, Want::Number),
        ("min", &aggregate.min, Want::Number),
        ("max", &aggregate.max, Want::Number),
        ("last", &aggregate.last, Want::Number),
        ("distinct", &aggregate.distinct, Want::Text),
    ];
    all.into_iter().filter_map(|(name, sql, want)| sql.as_ref().map(|s| (name, s, want))).collect()
}

/// Calls for every condition of an indicator, with its JSON pointer.
pub(super) fn conditions<'i>(indicator: &'i Indicator, each: &mut dyn FnMut(&str, &'i Condition)) {
    fn walk<'i>(pointer: &str, condition: &'i Condition, each: &mut dyn FnMut(&str, &'i Condition)) {
        each(pointer, condition);
        for (field, list) in [("any", &condition.any), ("all", &condition.all)] {
            for (i, inner) in list.iter().enumerate() {
                walk(&format!("{pointer}/{field}/{i}"), inner, each);
            }
        }
    }
    let mut levels = |base: &str, levels: &'i Levels| {
        for level in Level::ALL {
            if let Some(LevelRule::When(condition)) = levels.get(level) {
                walk(&format!("{base}/{}", level.word()), condition, each);
            }
        }
    };
    levels("/levels", &indicator.levels);
    for (i, segment) in indicator.segments.iter().enumerate() {
        levels(&format!("/segments/{i}/levels"), &segment.levels);
    }
    for (i, raise) in indicator.raise.iter().enumerate() {
        walk(&format!("/raise/{i}/when"), &raise.when, each);
    }
}
