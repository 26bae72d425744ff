//! The benchmark of `inspection_risk`: nine windows of two months, each fitted on everything before it.
//!
//! In: a folder with the city's files and `reference_scores_dev.csv.gz`. Out: a table of days earlier and AUC, ours and
//! the reference models', the paired comparison over all windows, and the calibration.
//! Days earlier: the window's inspections are sorted by score and its days dealt out in that order; the mean over bad
//! outcomes of the real day less the dealt one (Chicago's published measure).

use super::{Asked, as_of, cases, columns, day, facts, scorecard};
use crate::cli::{CliError, replay};
use crate::model::{Risk, RiskFeatures};
use crate::record::time::date;
use std::collections::BTreeMap;
use std::path::Path;

/// The pack that maps the files.
const RULES: &str = "rules/examples/chicago-food";
const REFERENCES: &str = "reference_scores_dev.csv.gz";
/// Columns of the reference scores, and how the table calls them.
const MODELS: [(&str, &str); 3] =
    [("score_history_only_LR", "history LR"), ("score_entity_LR", "entity LR"), ("score_entity_GBDT", "entity GBDT")];

/// One inspection of a window.
#[derive(Clone, Copy, Debug)]
struct Ranked {
    id: u64,
    day: i32,
    bad: bool,
    score: f64,
}

/// The dealt day of each bad outcome, in the order given.
fn dealt(items: &[Ranked]) -> Vec<i32> {
    let mut days: Vec<i32> = items.iter().map(|i| i.day).collect();
    days.sort_unstable();
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by(|a, b| {
        let (a, b) = (&items[*a], &items[*b]);
        b.score.total_cmp(&a.score).then(a.id.cmp(&b.id))
    });
    let mut slot = vec![0; items.len()];
    for (place, i) in order.into_iter().enumerate() {
        slot[i] = days[place];
    }
    items.iter().zip(slot).filter(|(i, _)| i.bad).map(|(_, s)| s).collect()
}

/// Mean over bad outcomes of the real day less the dealt one.
fn days_earlier(items: &[Ranked]) -> f64 {
    let real = items.iter().filter(|i| i.bad).map(|i| i.day);
    let earlier: Vec<f64> = real.zip(dealt(items)).map(|(r, d)| f64::from(r - d)).collect();
    mean(&earlier)
}

fn mean(all: &[f64]) -> f64 {
    all.iter().sum::<f64>() / all.len().max(1) as f64
}

/// Mean and mean over its standard error.
fn paired(all: &[f64]) -> (f64, f64) {
    let (n, m) = (all.len() as f64, mean(all));
    let squares: f64 = all.iter().map(|x| (x - m) * (x - m)).sum();
    (m, m / (squares / (n - 1.0) / n).sqrt())
}

/// Share of pairs (bad, good) in which the bad one has the higher score; ties count half.
fn auc(items: &[Ranked]) -> f64 {
    let mut sorted: Vec<&Ranked> = items.iter().collect();
    sorted.sort_by(|a, b| a.score.total_cmp(&b.score));
    let (mut ranks, mut from) = (0.0, 0);
    while from < sorted.len() {
        let mut to = from + 1;
        while to < sorted.len() && sorted[to].score == sorted[from].score {
            to += 1;
        }
        let bad = sorted[from..to].iter().filter(|i| i.bad).count() as f64;
        ranks += bad * (from + 1 + to) as f64 / 2.0;
        from = to;
    }
    let p = items.iter().filter(|i| i.bad).count() as f64;
    (ranks - p * (p + 1.0) / 2.0) / (p * (items.len() as f64 - p))
}

/// Runs the benchmark over the files of a folder and prints its tables.
pub(crate) fn evaluate(data: &Path) -> Result<u8, CliError> {
    let pack = replay::load(Path::new(RULES), Path::new("models"))?;
    let risk = scorecard(&pack, "inspection_risk")?;
    let file = |source: &String| data.join(format!("{source}.csv.gz"));
    let records: Vec<String> =
        risk.sources().iter().filter(|s| file(s).exists()).map(|s| format!("{s}={}", file(s).display())).collect();
    let facts = facts::read(&pack, &risk, &records)?;
    let (cases, asked) = cases(&risk, &facts);
    let features = as_of(&risk, &facts, &asked);
    let mut windows: BTreeMap<String, BTreeMap<String, [f64; 3]>> = BTreeMap::new();
    let names = MODELS.map(|m| m.0);
    for [id, window, a, b, c] in
        columns(&data.join(REFERENCES), ["inspection_id", "window", names[0], names[1], names[2]])?
    {
        let number = |t: &str| t.parse().map_err(|_| CliError::Usage(format!("{REFERENCES}: \"{t}\" is no score")));
        windows.entry(window).or_default().insert(id, [number(&a)?, number(&b)?, number(&c)?]);
    }
    println!("days earlier / AUC; fitted on all earlier inspections, features as of the evening before");
    println!(
        "{:<9}{:>6}{:>5} {:>14} {:>14} {:>14} {:>14} {:>14}",
        "window", "n", "bad", "forewarn", "frozen", MODELS[0].1, MODELS[1].1, MODELS[2].1
    );
    let mut gains: [Vec<f64>; 3] = Default::default();
    let mut wins = [0; 3];
    let mut scored: Vec<(f64, bool)> = Vec::new();
    let mut means = [0.0; 5];
    for (label, reference) in &windows {
        let start = day(&format!("{label}-01"))?;
        let earlier: Vec<usize> = (0..cases.len()).filter(|i| cases[*i].day < start).collect();
        let known: Vec<RiskFeatures> = earlier.iter().map(|i| features[*i].clone()).collect();
        let bad: Vec<bool> = earlier.iter().map(|i| cases[*i].bad).collect();
        let fitted = Risk::new(&risk.fit(&known, &bad).map_err(CliError::stage)?).map_err(CliError::stage)?;
        let rows: Vec<usize> = (0..cases.len()).filter(|i| reference.contains_key(&cases[*i].id)).collect();
        let at_start: Vec<Asked> = rows.iter().map(|i| Asked { key: asked[*i].key.clone(), day: start }).collect();
        let frozen = as_of(&fitted, &facts, &at_start);
        let ranked = |score: &dyn Fn(usize) -> f64| -> Vec<Ranked> {
            let one = |(place, i): (usize, &usize)| {
                let case = &cases[*i];
                Ranked { id: case.id.parse().unwrap_or(0), day: case.day, bad: case.bad, score: score(place) }
            };
            rows.iter().enumerate().map(one).collect()
        };
        let ours = ranked(&|place| fitted.probability(&features[rows[place]]));
        let at_once = ranked(&|place| fitted.probability(&frozen[place]));
        scored.extend(ours.iter().map(|r| (r.score, r.bad)));
        let others: Vec<Vec<Ranked>> = (0..3).map(|m| ranked(&|place| reference[&cases[rows[place]].id][m])).collect();
        let mut line = format!("{label:<9}{:>6}{:>5}", ours.len(), ours.iter().filter(|r| r.bad).count());
        for (column, items) in [&ours, &at_once].into_iter().chain(&others).enumerate() {
            line += &format!(" {:>6.2} / {:.3}", days_earlier(items), auc(items));
            means[column] += days_earlier(items) / windows.len() as f64;
        }
        println!("{line}");
        for (m, other) in others.iter().enumerate() {
            let gain: Vec<f64> =
                dealt(other).into_iter().zip(dealt(&ours)).map(|(theirs, ours)| f64::from(theirs - ours)).collect();
            wins[m] += usize::from(mean(&gain) > 0.0);
            gains[m].extend(gain);
        }
    }
    println!(
        "{:<20} {:>6.2} {:>14.2} {:>14.2} {:>14.2} {:>14.2}",
        "mean of windows", means[0], means[1], means[2], means[3], means[4]
    );
    for (m, gain) in gains.iter().enumerate() {
        let (days, z) = paired(gain);
        println!(
            "against {:<12}{days:>+6.2} days, z {z:.2}, better in {} of {} windows",
            MODELS[m].1,
            wins[m],
            windows.len()
        );
    }
    calibration(&mut scored);
    if let (Some(first), Some(last)) = (cases.first(), cases.last()) {
        println!("{} cases {} to {}", cases.len(), date(i64::from(first.day)), date(i64::from(last.day)));
    }
    Ok(0)
}

/// Tenths by score: what was said and what came.
fn calibration(scored: &mut [(f64, bool)]) {
    scored.sort_by(|a, b| a.0.total_cmp(&b.0));
    println!("\ncalibration over all windows, tenths by score: said %, came %");
    let (mut said, mut came) = (String::new(), String::new());
    for tenth in 0..10 {
        let part = &scored[scored.len() * tenth / 10..scored.len() * (tenth + 1) / 10];
        let n = part.len().max(1) as f64;
        said += &format!("{:>7.1}", 100.0 * part.iter().map(|s| s.0).sum::<f64>() / n);
        came += &format!("{:>7.1}", 100.0 * part.iter().filter(|s| s.1).count() as f64 / n);
    }
    println!("said {said}\ncame {came}");
    let n = scored.len() as f64;
    let bad = scored.iter().filter(|s| s.1).count() as f64;
    let brier: f64 = scored.iter().map(|(p, y)| (p - f64::from(u8::from(*y))).powi(2)).sum::<f64>() / n;
    let constant = bad / n * (1.0 - bad / n);
    let expected: f64 = scored.iter().map(|s| s.0).sum();
    println!("expected {expected:.0}, came {bad:.0}; Brier {brier:.4}, of the mean rate alone {constant:.4}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(rows: &[(u64, i32, bool, f64)]) -> Vec<Ranked> {
        rows.iter().map(|&(id, day, bad, score)| Ranked { id, day, bad, score }).collect()
    }

    #[test]
    fn days_are_dealt_by_score_and_ties_by_id() {
        let window = items(&[(1, 10, false, 0.2), (2, 11, true, 0.9), (3, 12, true, 0.2), (4, 13, false, 0.1)]);
        // Order: 2, then 1 and 3 by id, then 4: the bad ones get days 10 and 12.
        assert_eq!(dealt(&window), [10, 12]);
        assert!((days_earlier(&window) - 0.5).abs() < 1e-12);
        assert!((auc(&window) - (2.0 + 1.5) / 4.0).abs() < 1e-12);
    }
}
