//! The items of scorecards and fusions: what they count, what they weigh, and whether the levels can be reached.

use super::rules::{Rule, Rules};
use crate::pack::expression::Want;
use crate::pack::{Bound, FusionMethod, LevelRule, Method, ScorecardMethod, Sql, Weight};
use crate::record::Level;
use arrow::datatypes::Schema;

/// Names that the value and its terms have already.
const TAKEN: [&str; 3] = ["value", "score", "prior"];

pub(super) fn check(rules: &mut Rules<'_, '_>, rule: &Rule<'_>) {
    let path = rule.path;
    match &rule.indicator.kind {
        Method::Scorecard(card) => points(rules, rule, card),
        Method::Fusion(fusion) => odds(rules, rule, fusion),
        _ => return,
    }
    if !rule.indicator.key.state.is_empty() {
        let (en, zh) = ("items are counted for a whole key, not for parts of it", "计分按整个键统计,不能再细分");
        rules.error((path, "/key/state"), "item", en, zh, Some("remove state / 删去 state".to_owned()));
    }
    let items = rule.indicator.kind.items();
    if items.is_empty() {
        rules.error((path, "/items"), "item", "there is no item", "没有计分项", None);
    }
    for (name, item) in items {
        let at = format!("/items/{name}");
        let place = |field: &str| format!("{at}/{field}");
        if TAKEN.contains(&name) {
            let (en, zh) = (format!("an item cannot be named \"{name}\""), format!("计分项不能叫“{name}”"));
            rules.error((path, &at), "item", &en, &zh, Some("choose another name / 请换名称".to_owned()));
        }
        rules.positive((path, &place("for")), item.keep);
        if let Some(halves) = item.halves {
            rules.positive((path, &place("halves")), halves);
        }
        let source = item.source.unwrap_or(&rule.indicator.source);
        let signals = item.signal.is_some() || source == "signal";
        match (item.signal, item.source, item.when) {
            (Some(_), None, None) => {}
            (Some(_), _, _) => {
                let (en, zh) = ("a signal is named, so there are no rows to choose", "已写 signal,不再选择记录");
                let hint = Some("remove source and when / 删去 source 和 when".to_owned());
                rules.error((path, &place("signal")), "item", en, zh, hint);
            }
            (None, _, None) => {
                let (en, zh) = (format!("\"{name}\" does not say what counts"), format!("“{name}”没有写明什么算数"));
                let hint = Some("signal: <indicator>, or source: and when: / 写 signal,或者 source 和 when".to_owned());
                rules.error((path, &at), "item", &en, &zh, hint);
            }
            (None, _, Some(when)) => rows(rules, rule, &at, source, when),
        }
        if !signals && item.level.is_some() {
            let (en, zh) = ("only a signal has a level", "只有信号有等级");
            rules.error((path, &place("level")), "item", en, zh, Some("remove level / 删去 level".to_owned()));
        }
        let weight = if matches!(rule.indicator.kind, Method::Scorecard(_)) { "points" } else { "ratio" };
        if !signals && matches!(item.weight, Weight::Levels(_)) {
            let (en, zh) = ("only a signal has levels; a record has one number", "只有信号分等级,记录只写一个数");
            rules.error((path, &place(weight)), "item", en, zh, None);
        }
        if item.weight.numbers().is_empty() {
            let (en, zh) = ("no level has a number", "没有一个等级写了数");
            rules.error((path, &place(weight)), "item", en, zh, Some("{ blue: 5, yellow: 15 }".to_owned()));
        }
        if let Some(id) = item.department {
            rules.meaning.department((path, &place("department")), id);
        }
    }
}

/// Rows of an item: its condition and the indicator's filter over its source, and a route to the key.
fn rows(rules: &mut Rules<'_, '_>, rule: &Rule<'_>, at: &str, source: &str, when: &Sql) {
    let path = rule.path;
    let place = format!("{at}/source");
    let Some(fields) = rules.source((path, &place), source) else { return };
    let view = Schema::new(fields);
    let space = &rule.indicator.key.space;
    let when_at = format!("{at}/when");
    let read = rules.meaning.sql((path, &when_at), when, &view, Want::Bool);
    if source == "signal" && read.is_some_and(|e| e.reads().iter().any(|c| c == "level_no")) {
        let (en, zh) =
            ("a condition on level_no would not see the end of a signal", "条件里写 level_no,就看不到信号的结束");
        let hint = Some("write level: yellow beside it / 请改写 level: yellow".to_owned());
        rules.error((path, &when_at), "item", en, zh, hint);
    }
    if let Some(filter) = &rule.indicator.filter
        && source != rule.indicator.source
    {
        rules.meaning.sql((path, "/filter"), filter, &view, Want::Bool);
    }
    match source {
        "signal" | "value" => rules.sent_to(space, (path, &place), source),
        _ => rules.routed(rule, (path, &place), source),
    }
}

fn points(rules: &mut Rules<'_, '_>, rule: &Rule<'_>, card: &ScorecardMethod) {
    let path = rule.path;
    for (name, item) in &card.items {
        for (below, points) in item.points.numbers() {
            if !(points > 0.0 && points <= 100.0) {
                let (en, zh) = (
                    format!("{points} points are not above 0 and up to 100"),
                    format!("{points} 分应大于 0,不超过 100"),
                );
                rules.error((path, &format!("/items/{name}/points{below}")), "item", &en, &zh, None);
            }
        }
        if let Some(most) = item.most {
            let at = format!("/items/{name}/most");
            if !item.each {
                let (en, zh) = ("`most` belongs to an item that counts each", "most 只用于逐条计分的项");
                rules.error((path, &at), "item", en, zh, Some("each: true".to_owned()));
            } else if most.is_nan() || most <= 0.0 {
                rules.error((path, &at), "item", "must be above zero", "应大于零", None);
            }
        }
    }
    let highest: f64 = card.items.values().map(crate::pack::ScoreItem::highest).sum();
    for level in Level::ALL {
        if let Some(LevelRule::Bound(Bound::One(bound))) = rule.indicator.levels.get(level)
            && *bound > highest.min(100.0)
        {
            let en = format!("{} at {bound} is never reached: all items give {highest} points", level.word());
            let zh = format!("各项合计只有 {highest} 分,达不到{}的 {bound}", level.name_zh());
            let hint = Some("raise the points or lower the bound / 提高分值或者降低限值".to_owned());
            rules.error((path, &format!("/levels/{}", level.word())), "unreachable", &en, &zh, hint);
        }
    }
}

fn odds(rules: &mut Rules<'_, '_>, rule: &Rule<'_>, fusion: &FusionMethod) {
    let path = rule.path;
    if !(fusion.prior > 0.0 && fusion.prior < 100.0) {
        let (en, zh) = (
            format!("a prior of {} % is not between 0 and 100", fusion.prior),
            format!("先验 {}% 应在 0 与 100 之间", fusion.prior),
        );
        rules.error((path, "/prior"), "item", &en, &zh, Some("prior: 2".to_owned()));
    }
    if fusion.same_department.is_some_and(|s| !(0.0..=1.0).contains(&s)) {
        rules.error((path, "/same_department"), "item", "a share is from 0 to 1", "应在 0 至 1 之间", None);
    }
    for (name, item) in &fusion.items {
        for (below, ratio) in item.ratio.numbers() {
            if !(ratio > 0.0 && ratio.is_finite()) || ratio == 1.0 {
                let (en, zh) = (format!("a ratio of {ratio} says nothing"), format!("似然比 {ratio} 没有意义"));
                let hint =
                    Some("above 1 for the risk, between 0 and 1 against it / 大于 1 支持,0 至 1 反对".to_owned());
                rules.error((path, &format!("/items/{name}/ratio{below}")), "item", &en, &zh, hint);
            }
        }
    }
    for level in Level::ALL {
        if let Some(LevelRule::Bound(Bound::One(bound))) = rule.indicator.levels.get(level)
            && !(*bound > 0.0 && *bound < 100.0)
        {
            let (en, zh) = (format!("a risk of {bound} % is never reached"), format!("风险 {bound}% 达不到"));
            let hint = Some("a percentage between 0 and 100 / 百分数".to_owned());
            rules.error((path, &format!("/levels/{}", level.word())), "unreachable", &en, &zh, hint);
        }
    }
}
