//! Headline and text in Chinese and English.
//!
//! In: a warning without texts, and its rule. Out: the texts. Templates are compiled once a pack and see names, numbers
//! and times, never a row. A template that fails costs nothing but its own text: a generated one stands in for it and
//! `text_error` says why.

use super::number::plain;
use super::warning::{Mode, Warning};
use crate::engine::ChangeKind;
use crate::pack::{Bound, Indicator, LevelRule, Method, Pack, Span};
use crate::record::{Level, time};
use minijinja::value::Object;
use minijinja::{Environment, UndefinedBehavior, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Longer texts are cut: nobody reads them, and a message has a size limit.
const TEXT_MAX: usize = 4_000;

/// The language of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Language {
    Chinese,
    English,
}

use Language::{Chinese, English};

impl Language {
    fn pick<'a>(self, zh: &'a str, en: &'a str) -> &'a str {
        match self {
            Chinese => zh,
            English => en,
        }
    }
}

/// The compiled templates of a pack.
pub(super) struct Texts {
    environment: Environment<'static>,
    /// Templates that would not compile, with the reason.
    broken: BTreeMap<String, String>,
}

impl Texts {
    pub(super) fn of(pack: &Pack) -> Texts {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_formatter(|out, state, value| match number(value) {
            Some(n) => Ok(out.write_str(&plain(n))?),
            None if value.is_none() => Ok(out.write_str("—")?),
            None => minijinja::escape_formatter(out, state, value),
        });
        // Nothing in a text needs to count by itself; without it no template can run long.
        environment.remove_global("range");
        environment.remove_global("debug");
        let mut broken = BTreeMap::new();
        for indicator in pack.indicators.values() {
            for (language, source) in [(Chinese, &indicator.message), (English, &indicator.message_en)] {
                let name = template_name(&indicator.id, language);
                if let Err(error) = environment.add_template_owned(name.clone(), source.clone()) {
                    broken.insert(name, error.to_string());
                }
            }
        }
        Texts { environment, broken }
    }

    /// Fills in headline and text of both languages.
    pub(super) fn write(&self, warning: &mut Warning, indicator: Option<&Indicator>) {
        warning.headline = headline(warning, Chinese);
        warning.headline_en = headline(warning, English);
        let mut errors = Vec::new();
        let mut text = |language| {
            let templated = indicator.filter(|i| speaks(warning, i)).and_then(|i| self.render(warning, i, language));
            match templated {
                Some(Ok(text)) => text,
                Some(Err(error)) => {
                    errors.push(error);
                    generated(warning, indicator, language)
                }
                None => generated(warning, indicator, language),
            }
        };
        let (mut zh, mut en) = (text(Chinese), text(English));
        if warning.model_failing {
            zh.push_str("（模型误报过多，评分暂不采用，只按限值和信号判断。）");
            en.push_str(" (The model alarms too often: its scores are not used, only bounds and signals.)");
        }
        warning.text = cut(&zh, TEXT_MAX);
        warning.text_en = cut(&en, TEXT_MAX);
        warning.text_error = (!errors.is_empty()).then(|| cut(&errors.join("; "), TEXT_MAX));
    }

    /// The rule's own text; `None` when the rule gives none in this language.
    fn render(&self, warning: &Warning, indicator: &Indicator, language: Language) -> Option<Result<String, String>> {
        let source = language.pick(&indicator.message, &indicator.message_en);
        if source.trim().is_empty() {
            return None;
        }
        let name = template_name(&indicator.id, language);
        if let Some(error) = self.broken.get(&name) {
            return Some(Err(error.clone()));
        }
        let rendered = self
            .environment
            .get_template(&name)
            .and_then(|t| t.render(context(warning, Some(indicator), language)))
            .map_err(|e| e.to_string());
        Some(rendered)
    }
}

fn template_name(indicator: &str, language: Language) -> String {
    format!("{indicator}.{}", language.pick("message", "message_en"))
}

/// True when the rule's template describes this change: it speaks of a value that reached a level, not of an end, nor
/// of data that did not come (unless that is what the rule measures).
fn speaks(warning: &Warning, indicator: &Indicator) -> bool {
    let ended = matches!(warning.kind, ChangeKind::Cleared | ChangeKind::Expired);
    let unmeasured = warning.absent && indicator.absence.is_some() && !matches!(indicator.kind, Method::Gap(_));
    !ended && !unmeasured
}

fn number(value: &Value) -> Option<f64> {
    if value.is_number() && !value.is_integer() { f64::try_from(value.clone()).ok() } else { None }
}

/// The first `chars` characters, with a mark when there were more.
pub(super) fn cut(text: &str, chars: usize) -> String {
    if text.chars().nth(chars).is_none() {
        return text.to_owned();
    }
    text.chars().take(chars.saturating_sub(1)).chain(['…']).collect()
}

/// A value with a name of its own and fields: `{{ level }}` and `{{ level.number }}` both read well.
#[derive(Debug)]
struct Named {
    shown: String,
    fields: BTreeMap<&'static str, Value>,
}

impl Object for Named {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.fields.get(key.as_str()?).cloned()
    }

    fn render(self: &Arc<Self>, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown)
    }
}

fn named<const N: usize>(shown: &str, fields: [(&'static str, Value); N]) -> Value {
    Value::from_object(Named { shown: shown.to_owned(), fields: fields.into_iter().collect() })
}

fn optional(text: Option<&str>) -> Value {
    text.map_or(Value::from(()), Value::from)
}

/// What a template sees.
fn context(w: &Warning, indicator: Option<&Indicator>, language: Language) -> Value {
    let level = |l: Level| {
        named(
            level_name(l, language),
            [
                ("name", level_name(l, language).into()),
                ("word", l.word().into()),
                ("number", u64::from(l.number()).into()),
            ],
        )
    };
    let industry = language.pick(&w.industry.name, &w.industry.name_en);
    let subject = subject(w);
    let region = w.subject.region.as_ref();
    let region_name = region.map_or("—", |r| language.pick(&r.name, &r.name_en));
    let window = w.window.map_or(Value::from(()), |window| {
        let size = span(Span(window.to.millis() - window.from.millis()), language);
        let fields =
            [("from", window.from.minute().into()), ("to", window.to.minute().into()), ("size", size.clone().into())];
        named(&size, fields)
    });
    let segment = w.segment.as_deref().map_or(Value::from(()), |id| {
        let name = indicator.and_then(|i| i.segments.iter().find(|s| s.id == id)).map_or("", |s| s.name.as_str());
        let shown = if name.is_empty() { id } else { name };
        named(shown, [("id", id.into()), ("name", shown.into())])
    });
    let readings: BTreeMap<&str, Value> =
        w.readings.iter().map(|r| (r.name.as_str(), r.value.map_or(Value::from(()), Value::from))).collect();
    let object_id = w.subject.object_id.as_deref();
    minijinja::context! {
        object => named(subject, [
            ("id", optional(object_id.or(w.subject.entity_id.as_deref()).or(Some(&w.key)))),
            ("name", subject.into()),
            ("type", optional(w.subject.object_type.as_deref())),
        ]),
        entity => w.subject.entity_id.as_deref().map_or(Value::from(()), |id| {
            named(id, [("id", id.into()), ("name", subject.into())])
        }),
        key => w.key.as_str(),
        region => named(region_name, [
            ("code", optional(region.map(|r| r.code.as_str()))),
            ("name", region_name.into()),
            ("name_en", region.map_or("—", |r| r.name_en.as_str()).into()),
        ]),
        street => optional(w.subject.street.as_deref()),
        location => optional(w.subject.location.as_deref()),
        sensor => optional(w.subject.sensor.as_deref()),
        value => w.value.map_or(Value::from(()), Value::from),
        unit => w.indicator.unit.as_str(),
        bound => bound(w, indicator, language).map_or(Value::from(()), |b| match b {
            BoundShown::Number(n) => n.into(),
            BoundShown::Text(t) => t.into(),
        }),
        level => level(w.level),
        was => w.was.map_or(Value::from(()), level),
        indicator => named(indicator_name(w, language), [
            ("id", w.indicator.id.as_str().into()),
            ("name", indicator_name(w, language).into()),
            ("name_en", indicator_name(w, English).into()),
        ]),
        industry => named(industry, [("id", w.industry.id.as_str().into()), ("name", industry.into())]),
        segment => segment,
        window => window,
        evidence_total => w.evidence_total,
        readings => readings,
        absent => w.absent,
        at => w.occurred.minute(),
    }
}

enum BoundShown {
    Number(f64),
    Text(String),
}

/// The bound of the level as it stands in the rule: a duration in words, a range, or the number that was judged.
fn bound(w: &Warning, indicator: Option<&Indicator>, language: Language) -> Option<BoundShown> {
    let segment = |i: &Indicator| {
        let id = w.segment.as_deref()?;
        i.segments.iter().find(|s| s.id == id).and_then(|s| s.levels.get(w.level).cloned())
    };
    let rule = indicator.and_then(|i| segment(i).or_else(|| i.levels.get(w.level).cloned()));
    match rule {
        Some(LevelRule::After(after)) => Some(BoundShown::Text(span(after, language))),
        Some(LevelRule::Bound(Bound::Two([lo, hi]))) if w.bound.is_none() => {
            Some(BoundShown::Text(format!("{}–{}", plain(lo), plain(hi))))
        }
        Some(LevelRule::Bound(Bound::One(n))) => Some(BoundShown::Number(w.bound.unwrap_or(n))),
        _ => w.bound.map(BoundShown::Number),
    }
}

/// The name of a level with its grade in law.
pub(super) fn level_name(level: Level, language: Language) -> &'static str {
    match (language, level) {
        (Chinese, level) => level.name_zh(),
        (English, Level::Blue) => "blue (IV)",
        (English, Level::Yellow) => "yellow (III)",
        (English, Level::Orange) => "orange (II)",
        (English, Level::Red) => "red (I)",
    }
}

fn subject(w: &Warning) -> &str {
    let s = &w.subject;
    [s.name.as_deref(), s.object_id.as_deref(), s.entity_id.as_deref()]
        .into_iter()
        .flatten()
        .find(|t| !t.trim().is_empty())
        .unwrap_or(&w.key)
}

fn indicator_name(w: &Warning, language: Language) -> &str {
    let name = language.pick(&w.indicator.name, &w.indicator.name_en);
    if name.is_empty() { &w.indicator.id } else { name }
}

/// A span in words: `1天2小时`, `1 d 2 h`; before a due time `提前30天`, `30 d before`.
fn span(span: Span, language: Language) -> String {
    const PARTS: [(i64, &str, &str); 4] =
        [(time::DAY, "天", " d"), (3_600_000, "小时", " h"), (60_000, "分钟", " min"), (1_000, "秒", " s")];
    let mut rest = span.millis().saturating_abs();
    let mut words = Vec::new();
    for (size, zh, en) in PARTS {
        if rest >= size {
            words.push(format!("{}{}", rest / size, language.pick(zh, en)));
            rest %= size;
        }
    }
    if words.is_empty() {
        words.push(format!("0{}", language.pick("秒", " s")));
    }
    match (language, span.millis() < 0) {
        (Chinese, false) => words.concat(),
        (Chinese, true) => format!("提前{}", words.concat()),
        (English, false) => words.join(" "),
        (English, true) => format!("{} before", words.join(" ")),
    }
}

fn headline(w: &Warning, language: Language) -> String {
    let subject = cut(subject(w), 200);
    let indicator = cut(indicator_name(w, language), 200);
    let level = level_name(w.level, language);
    let what = match (language, w.kind) {
        (Chinese, ChangeKind::Raised) => format!("{level}预警"),
        (Chinese, ChangeKind::Upgraded) => format!("预警升为{level}"),
        (Chinese, ChangeKind::Cleared) => format!("{level}预警触发条件已消除"),
        (Chinese, ChangeKind::Returned) => format!("{level}预警再次触发"),
        (Chinese, ChangeKind::Expired) => format!("{level}预警到期结束"),
        (English, ChangeKind::Raised) => format!("Warning {level}"),
        (English, ChangeKind::Upgraded) => format!("Warning upgraded to {level}"),
        (English, ChangeKind::Cleared) => format!("Triggers of {level} warning are clear"),
        (English, ChangeKind::Returned) => format!("Triggers of {level} warning are back"),
        (English, ChangeKind::Expired) => format!("Warning {level} expired"),
    };
    let mode = match w.status {
        Mode::Actual => "",
        Mode::Exercise => language.pick("【演练】", "[EXERCISE] "),
        Mode::Test => language.pick("【测试】", "[TEST] "),
    };
    match language {
        Chinese => format!("{mode}{what}：{subject}，{indicator}"),
        English => format!("{mode}{what}: {subject}, {indicator}"),
    }
}

/// The text when the rule's template gives none for this change.
fn generated(w: &Warning, indicator: Option<&Indicator>, language: Language) -> String {
    let region = w.subject.region.as_ref();
    let region = region.map(|r| language.pick(&r.name, &r.name_en)).filter(|n| !n.is_empty());
    let place = match (language, region) {
        (Chinese, Some(r)) => format!("{}（{r}）", subject(w)),
        (English, Some(r)) => format!("{} ({r})", subject(w)),
        (_, None) => subject(w).to_owned(),
    };
    let name = indicator_name(w, language);
    let level = level_name(w.level, language);
    match (language, w.kind) {
        (Chinese, ChangeKind::Cleared) => {
            return format!("{place}{name}的触发条件已全部消除，{level}预警待解除。");
        }
        (English, ChangeKind::Cleared) => {
            return format!("{place}: all triggers of {name} are clear; the {level} warning is still to be lifted.");
        }
        (Chinese, ChangeKind::Expired) => return format!("{place}{name}未再发生，{level}预警自行结束。"),
        (English, ChangeKind::Expired) => {
            return format!("{place}: {name} did not recur; the {level} warning has ended.");
        }
        _ => {}
    }
    if w.absent {
        return match language {
            Chinese => format!("{place}应有的数据没有收到（{name}），达{level}。"),
            English => format!("{place}: data that is due has not arrived ({name}), {level}."),
        };
    }
    let unit = &w.indicator.unit;
    let spaced = if unit.is_empty() { String::new() } else { format!(" {unit}") };
    let value = w.value.map(plain);
    let bound = bound(w, indicator, language).map(|b| match (b, language) {
        (BoundShown::Number(n), Chinese) => format!("{}{unit}", plain(n)),
        (BoundShown::Number(n), English) => format!("{}{spaced}", plain(n)),
        (BoundShown::Text(t), _) => t,
    });
    match language {
        Chinese => {
            let value = value.map(|v| format!("{v}{unit}，")).unwrap_or_default();
            let bound = bound.map(|b| format!("（限值{b}）")).unwrap_or_default();
            let again = if w.kind == ChangeKind::Returned { "再次" } else { "" };
            format!("{place}{name}{value}{again}达{level}{bound}。")
        }
        English => {
            let value = value.map(|v| format!(" {v}{spaced}")).unwrap_or_default();
            let bound = bound.map(|b| format!(" (bound {b})")).unwrap_or_default();
            let again = if w.kind == ChangeKind::Returned { " again" } else { "" };
            format!("{place}: {name}{value},{again} {level}{bound}.")
        }
    }
}
