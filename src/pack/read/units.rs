//! Units that fit the sensor types: of an indicator that judges readings, and of a feed that sends them.
//!
//! Readings stand in the normal unit of their type (`record::SENSOR_TYPES`), so an indicator over them has that unit too.
//! Where an expression makes another quantity of them (a sum, a count, a product), its unit is the author's own.

use super::meaning::Meaning;
use super::rules::Rule;
use crate::pack::expression::{pinned, results};
use crate::pack::view::kind_of;
use crate::pack::{Aggregate, MeasureMethod, Method, Source, Sql};
use crate::record::{Kind, SENSOR_TYPES, SensorType, convert, is_normal};

fn sensor(word: &str) -> Option<&'static SensorType> {
    SENSOR_TYPES.iter().find(|s| s.word == word)
}

/// The unit of an indicator whose value is a reading.
pub(super) fn check(meaning: &mut Meaning<'_>, rule: &Rule<'_>) {
    let (path, indicator) = (rule.path, rule.indicator);
    let is_reading = |sql: &Sql| sql.0.trim() == "value";
    let reads = match &indicator.kind {
        Method::Sustained(method) => is_reading(&method.value),
        Method::Measure(method) => judged(method).is_some_and(|a| {
            let of = [&a.avg, &a.min, &a.max, &a.last].into_iter().flatten().next();
            of.is_some_and(is_reading)
        }),
        _ => false,
    };
    // With a bound of its own the levels of a reading are times, and still it is the reading that is shown.
    if indicator.unit.is_empty() || !reads || kind_of(&meaning.sources, &indicator.source) != Some(Kind::Iot) {
        return;
    }
    let types = indicator.filter.iter().flat_map(|filter| pinned(&filter.0, "sensor_type"));
    let types: Vec<&SensorType> = types.filter_map(|word| sensor(&word)).collect();
    if let Some(other) = types.iter().find(|s| !is_normal(&indicator.unit, s)) {
        let unit = shown(other.unit);
        let en = format!("readings of {} are in {unit}, not {}", other.word, indicator.unit);
        let zh = format!("{} 的读数单位是 {unit},不是 {}", other.word, indicator.unit);
        let hint = match other.unit {
            "" => "remove unit / 删去 unit".to_owned(),
            unit => format!("unit: \"{unit}\"; other units are converted when they come in / 其他单位在接收时换算"),
        };
        meaning.error((path, "/unit"), "unit", &en, &zh, Some(hint));
    }
}

/// The measure that is judged, when it is one as it stands.
fn judged(method: &MeasureMethod) -> Option<&Aggregate> {
    match &method.value {
        Some(value) => method.measures.get(value.0.trim()),
        None if method.measures.len() == 1 => method.measures.values().next(),
        None => None,
    }
}

/// The units of a feed, where it says what it measures.
pub(super) fn sent(meaning: &mut Meaning<'_>, path: &str, source: &Source) {
    if source.kind != Kind::Iot {
        return;
    }
    let Some(types) = source.record.get("sensor_type").map(|sql| results(&sql.0)) else { return };
    let types: Vec<&SensorType> = types.iter().filter_map(|(word, _)| sensor(word)).collect();
    if types.is_empty() {
        return;
    }
    let mapped = source.record.get("unit").map(|sql| ("/record/unit".to_owned(), results(&sql.0)));
    let mapped = mapped.into_iter().flat_map(|(at, all)| all.into_iter().map(move |(unit, _)| (at.clone(), unit)));
    let columns = source.columns.iter().enumerate();
    let columns = columns.filter_map(|(i, c)| Some((format!("/columns/{i}/unit"), c.unit.clone()?)));
    for (at, unit) in mapped.chain(columns) {
        if types.iter().all(|s| convert(1.0, &unit, s.unit).is_none()) {
            let named: Vec<String> = types.iter().map(|s| format!("{} ({})", s.word, shown(s.unit))).collect();
            let en = format!("{unit} does not measure what {} measures", named.join(", "));
            let zh = format!("单位 {unit} 与 {} 不符", named.join("、"));
            meaning.error((path, &at), "unit", &en, &zh, None);
        }
    }
}

fn shown(unit: &str) -> &str {
    if unit.is_empty() { "no unit (无单位)" } else { unit }
}
