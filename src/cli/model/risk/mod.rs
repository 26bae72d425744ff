//! Scores objects by a scorecard, fits it, and runs its benchmark.
//!
//! In: files of records, mapped by the sources of a pack as everywhere; a CSV of what is to be scored. Out: `id,score`,
//! the probability of a bad outcome; a model file; tables.
//! Promise: a row is scored from records of earlier days only, and of the row nothing but its object and its day is read.

mod benchmark;
mod facts;

pub(super) use benchmark::evaluate;

use super::super::{CliError, replay};
use super::{Fit, Score, text, write};
use crate::model::{Risk, RiskFact, RiskFeatures, RiskState};
use crate::pack::Pack;
use crate::record::time::{date, parse_date};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

/// The scorecard of a model, made ready.
fn scorecard(pack: &Pack, name: &str) -> Result<Risk, CliError> {
    let model = pack.models.get(name);
    let model = model.ok_or_else(|| {
        let names: Vec<&str> = pack.models.keys().map(String::as_str).collect();
        CliError::Usage(format!("no model \"{name}\"; there are {}", names.join(", ")))
    })?;
    let card = model.scorecard.as_ref();
    Risk::new(card.ok_or_else(|| CliError::Usage(format!("{name} has no scorecard; it scores no records")))?)
        .map_err(CliError::stage)
}

fn day(text: &str) -> Result<i32, CliError> {
    let wrong = || CliError::Usage(format!("\"{text}\" is no day (YYYY-MM-DD)"));
    i32::try_from(parse_date(text).map_err(|_| wrong())?).map_err(|_| wrong())
}

/// Some columns of a CSV file with a header, in the order asked for.
fn columns<const N: usize>(path: &Path, names: [&str; N]) -> Result<Vec<[String; N]>, CliError> {
    let text = text(path)?;
    let table = crate::intake::table(text.trim_start_matches('\u{feff}'))
        .map_err(|line| CliError::Usage(format!("{}:{line}: no CSV", path.display())))?;
    let mut rows = table.into_iter();
    let header = rows.next().unwrap_or_default();
    let mut places = [0; N];
    for (place, name) in places.iter_mut().zip(names) {
        let found = header.iter().position(|h| h.trim() == name);
        *place = found.ok_or_else(|| {
            CliError::Usage(format!("{} has no column {name}, but {}", path.display(), header.join(", ")))
        })?;
    }
    Ok(rows
        .map(|mut row| places.map(|p| row.get_mut(p).map(std::mem::take).unwrap_or_default().trim().to_owned()))
        .collect())
}

/// What is asked about one object.
struct Asked {
    key: String,
    day: i32,
}

/// The features of each object as of the evening before its day, in the order asked.
fn as_of(risk: &Risk, facts: &[RiskFact], asked: &[Asked]) -> Vec<RiskFeatures> {
    let mut order: Vec<usize> = (0..asked.len()).collect();
    order.sort_by_key(|i| asked[*i].day);
    let mut state = RiskState::new(risk);
    let mut facts = facts.iter().peekable();
    let mut found: Vec<(usize, RiskFeatures)> = Vec::with_capacity(asked.len());
    for i in order {
        let Asked { key, day } = &asked[i];
        while let Some(fact) = facts.next_if(|f| f.day < *day) {
            state.learn(risk, fact);
        }
        found.push((i, state.features(risk, key, *day).expect("facts of that day are not learnt yet")));
    }
    found.sort_by_key(|(i, _)| *i);
    found.into_iter().map(|(_, features)| features).collect()
}

/// `forewarn model score NAME --records ...`
pub(super) fn score(args: &Score) -> Result<u8, CliError> {
    let pack = replay::load(&args.rules, &args.models.folder()?)?;
    let risk = scorecard(&pack, &args.name)?;
    let facts = facts::read(&pack, &risk, &args.records)?;
    let column = |name: &Option<String>| name.clone().unwrap_or_default();
    let path = args.targets.clone().unwrap_or_default();
    let (id, key, at) = (column(&args.id), column(&args.key), column(&args.date));
    let rows = columns(&path, [&id, &key, &at])?;
    let frozen = args.frozen.as_deref().map(day).transpose()?;
    let mut asked = Vec::with_capacity(rows.len());
    for [_, key, at] in &rows {
        let own = || day(at.get(..10).unwrap_or(at));
        asked.push(Asked { key: key.clone(), day: frozen.map_or_else(own, Ok)? });
    }
    let features = as_of(&risk, &facts, &asked);
    let mut text = format!("{id},score\n");
    for ([id, ..], features) in rows.iter().zip(&features) {
        writeln!(text, "{id},{:.9}", risk.probability(features)).expect("writing to a string");
    }
    write(&args.out, &text)?;
    let known: BTreeSet<&String> = facts.iter().filter_map(|f| f.key.as_ref()).collect();
    let never = asked.iter().filter(|a| !known.contains(&a.key)).count();
    println!("{} records, {} rows scored", facts.len(), rows.len());
    if never > 0 {
        println!("{never} rows are about objects that no record names");
    }
    if let Some(wanted) = &args.explain {
        let row = rows.iter().position(|r| r[0] == *wanted);
        let row = row.ok_or_else(|| CliError::Usage(format!("no row with {id} {wanted}")))?;
        explain(&risk, &asked[row], &features[row]);
    }
    Ok(0)
}

/// The points behind a score, the largest first.
fn explain(risk: &Risk, asked: &Asked, features: &RiskFeatures) {
    let percent = 100.0 * risk.probability(features);
    let city = 100.0 / (1.0 + libm::exp(-features.baseline));
    println!(
        "\n{} 截至 {} 之前 / before {}: {percent:.1} % (全市近期 / city recently {city:.1} %)",
        asked.key,
        date(i64::from(asked.day)),
        date(i64::from(asked.day))
    );
    println!("分值每 20 分风险几率加倍 / every 20 points double the odds");
    let mut terms: Vec<_> = risk.terms(features).collect();
    terms.sort_by(|a, b| b.points.abs().total_cmp(&a.points.abs()));
    for term in terms.iter().filter(|t| t.points.abs() >= 0.05) {
        println!("{:>+7.1}  {} = {:.2}", term.points, term.feature.name, term.value);
    }
    let sum: f64 = terms.iter().map(|t| t.points).sum();
    println!("{sum:>+7.1}  合计 / in all");
}

/// A record whose outcome is known.
struct Case {
    id: String,
    day: i32,
    bad: bool,
}

/// The records with an outcome, and what is asked about them.
fn cases(risk: &Risk, facts: &[RiskFact]) -> (Vec<Case>, Vec<Asked>) {
    let known = facts.iter().filter_map(|fact| {
        let (bad, key) = (risk.outcome(fact)?, fact.key.clone()?);
        let id = fact.id.clone().unwrap_or_default();
        Some((Case { id, day: fact.day, bad }, Asked { key, day: fact.day }))
    });
    known.unzip()
}

/// `forewarn model fit NAME --records ... --until DATE --out FILE`
pub(super) fn fit(args: &Fit) -> Result<u8, CliError> {
    let pack = replay::load(&args.rules, &args.models.folder()?)?;
    let risk = scorecard(&pack, &args.name)?;
    let until = day(&args.until)?;
    let mut facts = facts::read(&pack, &risk, &args.records)?;
    facts.retain(|f| f.day < until);
    let (cases, asked) = cases(&risk, &facts);
    let features = as_of(&risk, &facts, &asked);
    let bad: Vec<bool> = cases.iter().map(|c| c.bad).collect();
    let card = risk.fit(&features, &bad).map_err(CliError::stage)?;
    let days = |f: fn(i32, i32) -> i32| cases.iter().map(|c| c.day).reduce(f).map_or(0, i64::from);
    let positive = bad.iter().filter(|b| **b).count();
    let fitted_on = format!(
        "{} 条 {} 至 {} 的 {}(其中 {positive} 条有问题),{} 之前的记录 / {} records of {} to {}, {positive} with the outcome; all records before {}",
        cases.len(),
        date(days(i32::min)),
        date(days(i32::max)),
        card.outcome.source,
        args.until,
        cases.len(),
        date(days(i32::min)),
        date(days(i32::max)),
        args.until,
    );
    let path = format!("models/{}.yaml", args.name);
    let text = pack.body.files.get(&path).map(String::as_str).unwrap_or_default();
    let points: Vec<(&str, f64, f64)> = card.features.iter().map(|f| (f.id.as_str(), f.points, f.center)).collect();
    let text = rewritten(text, card.intercept, &fitted_on, &points)
        .ok_or_else(|| CliError::Usage(format!("{path}: each feature needs `points:` and `center:` on own lines")))?;
    write(&args.out, &text)?;
    println!("{} cases, {positive} with the outcome; intercept {}", cases.len(), card.intercept);
    for feature in &card.features {
        println!("{:>9.2} {:<22} {}", feature.points, feature.id, feature.name);
    }
    Ok(0)
}

/// The model file with new numbers; its notes and order stay. `None` when a number has no line of its own.
fn rewritten(text: &str, intercept: f64, fitted_on: &str, points: &[(&str, f64, f64)]) -> Option<String> {
    let mut out = String::new();
    let (mut at, mut done) = (None, 0);
    for line in text.lines() {
        let plain = line.trim_start();
        let indent = line.get(..line.len() - plain.len()).unwrap_or_default();
        if let Some(id) = plain.strip_prefix("- id: ") {
            at = points.iter().find(|p| p.0 == id.trim());
        }
        let new = match (plain.split_once(':').map(|p| p.0), at) {
            (Some("intercept"), _) => Some(format!("intercept: {intercept}")),
            (Some("fitted_on"), _) if indent.is_empty() => Some(format!("fitted_on: \"{fitted_on}\"")),
            (Some("points"), Some(p)) => Some(format!("points: {}", p.1)),
            (Some("center"), Some(p)) => Some(format!("center: {}", p.2)),
            _ => None,
        };
        done += usize::from(new.is_some());
        match new {
            Some(new) => writeln!(out, "{indent}{new}"),
            None => writeln!(out, "{line}"),
        }
        .expect("writing to a string");
    }
    (done == 2 + 2 * points.len()).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_numbers_stand_where_the_old_ones_stood() {
        let text = "# note\nfitted_on: \"old\"\nscorecard:\n  intercept: 0\n  features:\n    - id: a\n      points: 0\n      center: 0\n";
        let expected = "# note\nfitted_on: \"new\"\nscorecard:\n  intercept: -1.5\n  features:\n    - id: a\n      points: 2.25\n      center: 0.1\n";
        assert_eq!(rewritten(text, -1.5, "new", &[("a", 2.25, 0.1)]).as_deref(), Some(expected));
        assert_eq!(rewritten(text, -1.5, "new", &[("a", 1.0, 0.0), ("b", 1.0, 0.0)]), None);
    }
}
