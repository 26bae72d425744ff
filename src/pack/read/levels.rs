//! Levels: of the form that the method asks for, rising from blue to red, over quantities that exist.

use super::meaning::Meaning;
use super::rules::{Rule, conditions};
use super::schema::near;
use crate::pack::{Aggregate, Bound, Direction, Indicator, LevelRule, Levels, Method, Sql};
use crate::record::{Check, Kind, Level};
use std::collections::BTreeSet;

/// What a level of the method is, beside a condition.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wants {
    Bound,
    After,
    /// A time left: the higher the level, the shorter.
    Left,
    Nothing,
}

fn wants(indicator: &Indicator) -> Wants {
    match &indicator.kind {
        Method::Measure(_) | Method::Model(_) | Method::Scorecard(_) | Method::Fusion(_) => Wants::Bound,
        Method::Sustained(m) if m.bound.is_some() => Wants::After,
        Method::Sequence(m) if m.absent => Wants::After,
        Method::Sustained(_) | Method::Sequence(_) => Wants::Bound,
        Method::Deadline(_) | Method::Gap(_) => Wants::After,
        Method::Peer(_) => Wants::Bound,
        Method::Trend(_) => Wants::Left,
        Method::Lookup(_) => Wants::Nothing,
    }
}

/// The levels that an indicator can reach by itself, lowest first.
pub(super) fn used(indicator: &Indicator) -> BTreeSet<Level> {
    let mut out: BTreeSet<Level> = BTreeSet::new();
    let all = std::iter::once(&indicator.levels).chain(indicator.segments.iter().map(|s| &s.levels));
    for levels in all {
        out.extend(Level::ALL.into_iter().filter(|l| levels.get(*l).is_some()));
    }
    out.extend(indicator.absence.as_ref().map(|a| a.level));
    if let Method::Deadline(method) = &indicator.kind {
        out.extend(method.at_once.as_ref().map(|a| a.level));
    }
    out
}

pub(super) fn check(meaning: &mut Meaning<'_>, rule: &Rule<'_>) {
    let (path, indicator) = (rule.path, rule.indicator);
    let direction = indicator.levels.direction.unwrap_or_default();
    set(meaning, rule, "/levels", &indicator.levels, direction);
    for (i, segment) in indicator.segments.iter().enumerate() {
        let base = format!("/segments/{i}/levels");
        let own = segment.levels.direction.unwrap_or(direction);
        set(meaning, rule, &base, &segment.levels, own);
        let same = Level::ALL.iter().all(|l| segment.levels.get(*l) == indicator.levels.get(*l));
        if same && own == direction && segment.bound.is_none() {
            let (en, zh) = ("this segment changes nothing", "此分组与总体相同,没有作用");
            meaning.warning((path, &format!("/segments/{i}")), "no-effect", en, zh, None);
        }
        if let Some(bound) = &segment.bound {
            form(meaning, path, &format!("/segments/{i}/bound"), bound, own);
        }
        if indicator.segments.iter().take(i).any(|s| s.id == segment.id) {
            let (en, zh) =
                (format!("segment \"{}\" stands here twice", segment.id), format!("分组“{}”重复", segment.id));
            meaning.error((path, &format!("/segments/{i}/id")), "duplicate-id", &en, &zh, None);
        }
    }
    if let Method::Sustained(method) = &indicator.kind
        && let Some(bound) = &method.bound
    {
        form(meaning, path, "/bound", bound, direction);
        if method.duration.is_some() {
            let (en, zh) = ("with one bound the levels are the durations", "各级共用限值时,等级本身就是时间");
            meaning.error((path, "/duration"), "level-form", en, zh, Some("remove duration / 删去 duration".into()));
        }
    }
    let helper = indicator.id.contains("__");
    let lookup = matches!(indicator.kind, Method::Lookup(_));
    if used(indicator).is_empty() && !helper && !lookup {
        let hint = Some(match &indicator.kind {
            Method::Scorecard(_) => "levels: { blue: 40, yellow: 55, orange: 70, red: 85 }".to_owned(),
            Method::Trend(_) => "levels: { blue: 24h, yellow: 12h, orange: 6h, red: 2h }".to_owned(),
            Method::Peer(_) => "levels: { blue: 3.5, yellow: 5, orange: 7 }".to_owned(),
            _ => "levels: { blue: 10, yellow: 25 }".to_owned(),
        });
        meaning.error((path, "/id"), "no-levels", "the indicator has no level", "指标没有等级", hint);
    }
    for (i, raise) in indicator.raise.iter().enumerate() {
        if !(1..=3).contains(&raise.by) {
            let (en, zh) = ("a level rises by 1, 2 or 3", "每次只能升 1 至 3 级");
            meaning.error((path, &format!("/raise/{i}/by")), "raise", en, zh, None);
        }
    }
    counts(meaning, rule, direction);
    clear(meaning, path, indicator, direction);
    for (level, span) in &indicator.cool_down {
        if span.millis() < 0 {
            let at = format!("/cool_down/{}", level.word());
            meaning.error((path, &at), "duration", "must not be negative", "不能为负", None);
        }
    }
    for (at, span) in [("/dwell", indicator.dwell), ("/absence/after", indicator.absence.as_ref().map(|a| a.after))] {
        if span.is_some_and(|s| s.millis() < 0) {
            meaning.error((path, at), "duration", "must not be negative", "不能为负", None);
        }
    }
    conditions_fit(meaning, rule);
}

fn clear(meaning: &mut Meaning<'_>, path: &str, indicator: &Indicator, direction: Direction) {
    // The levels of a trend are times left, on whichever side its limit is.
    let left = matches!(indicator.kind, Method::Trend(_));
    let rising = !left && matches!(direction, Direction::Above | Direction::Over);
    let falling = left || matches!(direction, Direction::Below | Direction::Under);
    let (below, above) = (indicator.clear.below, indicator.clear.above);
    if below.is_some_and(|p| !rising || p.0 > 1.0) {
        let (en, zh) =
            ("clear.below is a share up to 100% for direction above and over", "clear.below 用于向上越限,不超过 100%");
        meaning.error((path, "/clear/below"), "clear", en, zh, Some("for below and under write above".to_owned()));
    }
    if above.is_some_and(|p| !falling || p.0 < 1.0) {
        let (en, zh) =
            ("clear.above is a share from 100% for direction below and under", "clear.above 用于向下越限,不低于 100%");
        meaning.error((path, "/clear/above"), "clear", en, zh, Some("for above and over write below".to_owned()));
    }
    if indicator.clear.evaluations == Some(0) {
        meaning.error((path, "/clear/evaluations"), "clear", "at least 1", "至少 1 次", None);
    }
}

/// A bound of the direction's form.
fn form(meaning: &mut Meaning<'_>, path: &str, at: &str, bound: &Bound, direction: Direction) -> bool {
    let outside = direction == Direction::Outside;
    match bound {
        Bound::One(_) if outside => {
            let (en, zh) = ("direction outside has two bounds", "方向 outside 应有上下两个限值");
            meaning.error((path, at), "level-form", en, zh, Some("write [lo, hi]".to_owned()));
            false
        }
        Bound::Two(_) if !outside => {
            let (en, zh) = ("two bounds need direction outside", "两个限值应配合方向 outside");
            meaning.error((path, at), "level-form", en, zh, Some("direction: outside".to_owned()));
            false
        }
        Bound::Two([lo, hi]) if lo >= hi => {
            let (en, zh) = (format!("{lo} is not below {hi}"), format!("{lo} 应小于 {hi}"));
            meaning.error((path, at), "level-order", &en, &zh, None);
            false
        }
        _ => true,
    }
}

/// One set of levels.
fn set(meaning: &mut Meaning<'_>, rule: &Rule<'_>, base: &str, levels: &Levels, direction: Direction) {
    let (path, indicator) = (rule.path, rule.indicator);
    let wants = wants(indicator);
    let mut bound: Option<(Level, Bound)> = None;
    let mut after: Option<(Level, crate::pack::Span)> = None;
    for level in Level::ALL {
        let Some(rule) = levels.get(level) else { continue };
        let at = format!("{base}/{}", level.word());
        match (rule, wants) {
            (_, Wants::Nothing) => {
                let (en, zh) = ("a lookup has no levels", "状态查询没有等级");
                meaning.error((path, &at), "level-form", en, zh, None);
            }
            (LevelRule::When(_), _) => {}
            (LevelRule::Bound(_), Wants::After | Wants::Left) => {
                let (en, zh) = ("this level is a time", "此处等级应为时间");
                meaning.error((path, &at), "level-form", en, zh, Some("digits and a unit: 30m, 15d".to_owned()));
            }
            (LevelRule::After(_), Wants::Bound) => {
                let (en, zh) = ("this level is a number", "此处等级应为数字");
                meaning.error((path, &at), "level-form", en, zh, None);
            }
            (LevelRule::Bound(now), Wants::Bound) => {
                if !form(meaning, path, &at, now, direction) {
                    continue;
                }
                if let Some((lower, before)) = bound
                    && !worse(&before, now, direction)
                {
                    order(meaning, path, &at, (lower, show(&before)), (level, show(now)), direction);
                }
                bound = Some((level, *now));
            }
            (LevelRule::After(now), Wants::Left) => {
                if now.millis() <= 0 {
                    meaning.error((path, &at), "duration", "must be above zero", "应大于零", None);
                }
                if let Some((lower, before)) = after
                    && before <= *now
                {
                    order(meaning, path, &at, (lower, before.to_string()), (level, now.to_string()), Direction::Below);
                }
                after = Some((level, *now));
            }
            (LevelRule::After(now), Wants::After) => {
                if now.millis() < 0 && !matches!(indicator.kind, Method::Deadline(_)) {
                    let (en, zh) = ("only a deadline warns before its time", "只有期限类指标可以提前");
                    meaning.error((path, &at), "duration", en, zh, None);
                }
                if now.millis() <= 0 && matches!(indicator.kind, Method::Gap(_)) {
                    let (en, zh) = ("there is always a gap of this length", "此间隔总是成立,每个键都会一直预警");
                    meaning.error((path, &at), "always", en, zh, Some("above zero: 15d / 应大于零: 15d".to_owned()));
                }
                if let Some((lower, before)) = after
                    && before >= *now
                {
                    order(meaning, path, &at, (lower, before.to_string()), (level, now.to_string()), Direction::Above);
                }
                after = Some((level, *now));
            }
        }
    }
}

/// Quantities that are never below zero: a bound there is reached by every key, or by none.
fn counts(meaning: &mut Meaning<'_>, rule: &Rule<'_>, direction: Direction) {
    let (path, indicator) = (rule.path, rule.indicator);
    let mut never_below: BTreeSet<&str> = BTreeSet::new();
    match &indicator.kind {
        Method::Measure(m) => {
            never_below.extend(m.measures.iter().filter(|(_, a)| is_count(a, rule)).map(|(name, _)| name.as_str()));
            let judged = match &m.value {
                Some(value) => value.0.trim(),
                None => m.measures.keys().next().map_or("", String::as_str),
            };
            if never_below.contains(judged) {
                never_below.insert("value");
            }
        }
        Method::Sequence(m) if !m.absent => never_below.extend(["value", "count"]),
        Method::Model(_) => never_below.extend(["count"]),
        Method::Peer(_) => never_below.extend(["value", "score"]),
        Method::Scorecard(m) => {
            never_below.insert("value");
            never_below.extend(m.items.keys().map(String::as_str));
        }
        _ => {}
    }
    let mut told = Vec::new();
    let mut judge = |at: String, name: &str, direction: Direction, bound: f64| {
        if !never_below.contains(name) {
            return;
        }
        match direction {
            Direction::Above if bound <= 0.0 => told.push((at, "always", format!("≥ {bound}"))),
            Direction::Over if bound < 0.0 => told.push((at, "always", format!("> {bound}"))),
            Direction::Below if bound < 0.0 => told.push((at, "never", format!("≤ {bound}"))),
            Direction::Under if bound <= 0.0 => told.push((at, "never", format!("< {bound}"))),
            _ => {}
        }
    };
    let all = std::iter::once(("/levels".to_owned(), &indicator.levels));
    let segments = indicator.segments.iter().enumerate().map(|(i, s)| (format!("/segments/{i}/levels"), &s.levels));
    for (base, levels) in all.chain(segments) {
        for level in Level::ALL {
            if let Some(LevelRule::Bound(Bound::One(bound))) = levels.get(level) {
                judge(format!("{base}/{}", level.word()), "value", levels.direction.unwrap_or(direction), *bound);
            }
        }
    }
    conditions(indicator, &mut |pointer, c| {
        let name = c.measure.as_deref().unwrap_or("value");
        for (field, direction, bound) in [
            ("above", Direction::Above, c.above),
            ("over", Direction::Over, c.over),
            ("below", Direction::Below, c.below),
            ("under", Direction::Under, c.under),
        ] {
            if let Some(bound) = bound {
                judge(format!("{pointer}/{field}"), name, direction, bound);
            }
        }
    });
    for (at, code, shown) in told {
        let (en, zh) = match code {
            "always" => (
                format!("{shown} always holds: this value is never below zero"),
                format!("{shown} 总是成立: 此值不会小于零,每个键都会一直预警"),
            ),
            _ => (
                format!("{shown} is never reached: this value is never below zero"),
                format!("{shown} 永远达不到: 此值不会小于零"),
            ),
        };
        let hint = Some("at least 1 for a count / 计数至少写 1".to_owned()).filter(|_| code == "always");
        meaning.error((path, &at), code, &en, &zh, hint);
    }
}

/// Rows, distinct values, or a sum of a column that is never negative.
fn is_count(aggregate: &Aggregate, rule: &Rule<'_>) -> bool {
    let positive = |sql: &Sql| {
        let own = Kind::OUTSIDE.into_iter().flat_map(|kind| kind.own_columns());
        let mut named = own.filter(|c| c.name == sql.0.trim() && rule.view.field_with_name(c.name).is_ok());
        let mut any = false;
        named.all(|c| {
            any = true;
            matches!(c.check, Check::Range(low, _) if low >= 0.0)
        }) && any
    };
    aggregate.count.is_some() || aggregate.distinct.is_some() || aggregate.sum.as_ref().is_some_and(positive)
}

fn order(
    meaning: &mut Meaning<'_>,
    path: &str,
    at: &str,
    (lower, before): (Level, String),
    (level, now): (Level, String),
    direction: Direction,
) {
    let words = match direction {
        Direction::Above | Direction::Over => ("above", "大于"),
        Direction::Below | Direction::Under => ("below", "小于"),
        Direction::Outside => ("outside", "宽于"),
    };
    let en = format!("{} at {now} is not {} {} at {before}", level.word(), words.0, lower.word());
    let zh = format!("{}的 {now} 应{}{}的 {before}", level.name_zh(), words.1, lower.name_zh());
    meaning.error((path, at), "level-order", &en, &zh, None);
}

fn show(bound: &Bound) -> String {
    match bound {
        Bound::One(n) => n.to_string(),
        Bound::Two([lo, hi]) => format!("[{lo}, {hi}]"),
    }
}

/// True when the second bound is harder to reach than the first.
fn worse(first: &Bound, second: &Bound, direction: Direction) -> bool {
    match (first, second) {
        (Bound::One(a), Bound::One(b)) => match direction {
            Direction::Above | Direction::Over => b > a,
            Direction::Below | Direction::Under => b < a,
            Direction::Outside => true,
        },
        (Bound::Two([lo, hi]), Bound::Two([lower, higher])) => {
            lower <= lo && higher >= hi && (lower, higher) != (lo, hi)
        }
        _ => true,
    }
}

/// Conditions have one form each, over quantities that the method offers.
fn conditions_fit(meaning: &mut Meaning<'_>, rule: &Rule<'_>) {
    let (path, indicator) = (rule.path, rule.indicator);
    let mut offered: Vec<String> = vec!["value".to_owned()];
    match &indicator.kind {
        Method::Measure(m) => offered.extend(m.measures.keys().cloned()),
        Method::Model(m) if !m.members.is_empty() => offered = m.group_quantities(),
        Method::Model(_) => offered.extend(["score", "count", "mean", "expected"].map(str::to_owned)),
        Method::Trend(_) => offered.extend(["hours", "limit", "slope", "r2", "points"].map(str::to_owned)),
        Method::Peer(_) => offered.extend(["score", "z", "median", "mad", "peers", "city"].map(str::to_owned)),
        Method::Sequence(_) => offered.push("count".to_owned()),
        Method::Scorecard(m) => offered.extend(m.items.keys().cloned()),
        Method::Fusion(m) => offered.extend(std::iter::once("prior".to_owned()).chain(m.items.keys().cloned())),
        Method::Sustained(_) | Method::Deadline(_) | Method::Gap(_) | Method::Lookup(_) => {}
    }
    let timed = matches!(indicator.kind, Method::Deadline(_) | Method::Gap(_))
        || matches!(&indicator.kind, Method::Sequence(m) if m.absent);
    let sustained = matches!(indicator.kind, Method::Sustained(_));
    let mut told: Vec<(String, &'static str, String, String, Option<String>)> = Vec::new();
    conditions(indicator, &mut |pointer, c| {
        let mut tell = |at: String, code, en: &str, zh: &str, hint: Option<String>| {
            told.push((at, code, en.to_owned(), zh.to_owned(), hint));
        };
        let compares = [c.above, c.over, c.below, c.under].iter().any(Option::is_some);
        let forms =
            [compares, c.after.is_some(), c.signal.is_some(), c.row.is_some(), !c.any.is_empty(), !c.all.is_empty()];
        let count = forms.iter().filter(|f| **f).count();
        if count != 1 {
            let hint = Some("one of above/over/below/under, after, signal, row, any, all".to_owned());
            let (en, zh) = (
                format!("a condition has one form; here are {count}"),
                format!("条件应只有一种形式,此处有 {count} 种"),
            );
            tell(pointer.to_owned(), "condition", &en, &zh, hint);
        }
        if let Some(measure) = c.measure.as_ref() {
            if !offered.contains(measure) {
                let hint = near(measure, offered.iter().map(String::as_str))
                    .or_else(|| Some(format!("there are {}", offered.join(", "))));
                let (en, zh) = (format!("no measure \"{measure}\""), format!("没有统计量“{measure}”"));
                tell(format!("{pointer}/measure"), "unknown-measure", &en, &zh, hint);
            }
            if !compares {
                let (en, zh) = ("a measure is compared with above, over, below or under", "统计量应与界限比较");
                tell(pointer.to_owned(), "condition", en, zh, None);
            }
        }
        if c.sustained.is_some() && !(sustained && compares) {
            let (en, zh) =
                ("`sustained` belongs to a comparison of kind sustained", "sustained 只用于 kind: sustained 的比较");
            tell(format!("{pointer}/sustained"), "condition", en, zh, None);
        }
        if c.after.is_some() && !timed {
            let (en, zh) =
                ("`after` belongs to deadlines, gaps and absent sequences", "after 只用于期限、间隔和无后续");
            tell(format!("{pointer}/after"), "condition", en, zh, None);
        }
        if c.level.is_some() && c.signal.is_none() {
            let (en, zh) = ("`level` belongs to a signal", "level 只用于信号");
            tell(format!("{pointer}/level"), "condition", en, zh, None);
        }
    });
    for (at, code, en, zh, hint) in told {
        meaning.error((path, &at), code, &en, &zh, hint);
    }
}
