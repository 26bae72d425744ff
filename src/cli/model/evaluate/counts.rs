//! How well a model of counts finds outbreaks.
//!
//! In: series of counts, and for each judged step the outbreak that it belongs to. Out: at the model's threshold and at fixed rates of
//! false alarms: share of quiet steps with an alarm (FPR), of outbreaks found (POD), found in their first step, of outbreak steps
//! with an alarm (sens), of alarms that are right (PPV), F1 of the steps, delay in steps.
//! Three sets, each read when its files are there: `sim_*` (simulated weeks), `survstat14_*` (real outbreaks), `chicago311_*` (surges
//! added to real complaints; weeks and, for models that can, days).
//!
//! # Source
//! Measures of Noufaily et al. (2013), Statistics in Medicine 32(7), and Bedubourg and Le Strat (2017), PLoS ONE 12(7).

use super::super::counts::{Method, Scores, Series, read, scored};
use super::{CliError, columns, files, shown, text};
use crate::pack::ModelFile;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Rates of false alarms at which the threshold is set by the labels.
const RATES: [f64; 3] = [0.01, 0.02, 0.05];
/// Real outbreaks are judged from this week on: before it the methods compared have no baseline.
const SURVSTAT_FROM: i64 = 20;
/// 311: the Monday that week 0 starts with, in days.
const MONDAY: i64 = 2;

/// A judged step.
struct Label {
    series: String,
    t: i64,
    /// Empty outside outbreaks.
    outbreak: String,
}

/// FPR, POD, POD in the first step, sens, PPV, F1, delay; NaN where unknown.
type Measures = [f64; 7];
const COLUMNS: [&str; 7] = ["FPR", "POD", "first", "sens", "PPV", "F1", "delay"];
const NO: f64 = f64::NAN;

/// On the development parts, computed with the R package surveillance 1.20.3 with the same measures.
const SIMULATED: &[(&str, Measures)] = &[
    ("farringtonFlexible, alpha .01", [0.0094, 0.520, 0.410, 0.244, 0.635, NO, NO]),
    ("farringtonFlexible, alpha .05", [0.0398, 0.725, 0.598, 0.390, 0.397, NO, NO]),
    ("farringtonFlexible at FPR .01", [0.01, 0.523, NO, 0.248, 0.625, NO, NO]),
    ("farringtonFlexible at FPR .02", [0.02, 0.618, NO, 0.319, 0.517, NO, NO]),
    ("farringtonFlexible at FPR .05", [0.05, 0.756, NO, 0.415, 0.358, NO, NO]),
    ("Farrington 1996, alpha .01", [0.0224, 0.591, 0.483, 0.294, 0.468, NO, NO]),
    ("EARS C1, alpha .01", [0.062, 0.661, 0.571, 0.250, 0.214, NO, NO]),
    ("EARS C2, alpha .01", [0.076, 0.644, 0.539, 0.363, 0.242, NO, NO]),
    ("EARS C3 of the package, alpha .01", [0.074, 0.526, 0.076, 0.343, 0.238, NO, NO]),
    ("Bayes 1, alpha .05", [0.094, 0.757, 0.638, 0.381, 0.214, NO, NO]),
    ("RKI 2", [0.051, 0.685, 0.585, 0.339, 0.308, NO, NO]),
    ("ceiling: true mean known, one week", [0.01, 0.557, 0.451, 0.269, 0.644, NO, NO]),
    ("ceiling: true mean known, two weeks", [0.01, 0.591, 0.287, 0.363, 0.709, NO, NO]),
];
const SURVSTAT: &[(&str, Measures)] = &[
    ("EARS C1, alpha .01", [0.045, 0.83, NO, 0.239, 0.233, 0.236, NO]),
    ("EARS C2, alpha .01", [0.058, 0.83, NO, 0.310, 0.232, 0.265, NO]),
    ("EARS C3 of the package, alpha .01", [0.036, 0.83, NO, 0.310, 0.328, 0.319, NO]),
    ("RKI 1", [0.013, 0.83, NO, 0.225, 0.500, 0.311, NO]),
    ("Bayes 1", [0.026, 0.83, NO, 0.282, 0.377, 0.323, NO]),
];
const WEEKLY: &[(&str, Measures)] = &[
    ("EARS C1, alpha .01", [0.051, 0.652, NO, 0.412, 0.448, NO, NO]),
    ("EARS C2, alpha .01", [0.058, 0.643, NO, 0.481, 0.455, NO, NO]),
    ("farringtonFlexible b=2, alpha .01", [0.028, 0.486, NO, 0.324, 0.536, NO, NO]),
    ("farringtonFlexible b=2, alpha .05", [0.059, 0.667, NO, 0.492, 0.456, NO, NO]),
    ("farringtonFlexible b=2 at FPR .01", [0.01, 0.291, NO, 0.187, 0.654, NO, NO]),
    ("farringtonFlexible b=2 at FPR .05", [0.05, 0.619, NO, 0.437, 0.466, NO, NO]),
];
const DAILY: &[(&str, Measures)] =
    &[("EARS C2, alpha .001, 28-day baseline", [0.018, 0.700, NO, 0.135, 0.376, NO, 2.5])];

/// - `alarms`: one per label
fn measure(labels: &[Label], alarms: &[bool]) -> Measures {
    let (mut hit, mut missed, mut wrong, mut quiet) = (0.0, 0.0, 0.0, 0.0);
    let mut outbreaks: BTreeMap<(&str, &str), Vec<(i64, bool)>> = BTreeMap::new();
    for (label, &alarm) in labels.iter().zip(alarms) {
        let counter = match (label.outbreak.is_empty(), alarm) {
            (true, true) => &mut wrong,
            (true, false) => &mut quiet,
            (false, true) => &mut hit,
            (false, false) => &mut missed,
        };
        *counter += 1.0;
        if !label.outbreak.is_empty() {
            outbreaks.entry((&label.series, &label.outbreak)).or_default().push((label.t, alarm));
        }
    }
    let (mut found, mut first, mut delay) = (0.0, 0.0, 0.0);
    for steps in outbreaks.values_mut() {
        steps.sort_unstable();
        if let Some(i) = steps.iter().position(|s| s.1) {
            found += 1.0;
            first += if i == 0 { 1.0 } else { 0.0 };
            delay += (steps[i].0 - steps[0].0) as f64;
        }
    }
    let n = outbreaks.len() as f64;
    let f1 = 2.0 * hit / (2.0 * hit + wrong + missed);
    [wrong / (wrong + quiet), found / n, first / n, hit / (hit + missed), hit / (hit + wrong), f1, delay / found]
}

/// What alarms drawn at random with probability `rate` get, in expectation; POD is over the length of each outbreak.
fn blind(labels: &[Label], rate: f64) -> Measures {
    let mut outbreaks: BTreeMap<(&str, &str), i32> = BTreeMap::new();
    for label in labels.iter().filter(|l| !l.outbreak.is_empty()) {
        *outbreaks.entry((&label.series, &label.outbreak)).or_default() += 1;
    }
    let found: f64 = outbreaks.values().map(|n| 1.0 - (1.0 - rate).powi(*n)).sum();
    let share = outbreaks.values().map(|n| f64::from(*n)).sum::<f64>() / labels.len() as f64;
    [rate, found / outbreaks.len() as f64, rate, rate, share, NO, NO]
}

/// The threshold above which `rate` of the quiet steps lie.
fn threshold(labels: &[Label], scores: &[f64], rate: f64) -> f64 {
    let quiet = labels.iter().zip(scores).filter(|(l, _)| l.outbreak.is_empty());
    let mut quiet: Vec<f64> = quiet.map(|(_, s)| *s).collect();
    quiet.sort_by(|a, b| b.total_cmp(a));
    quiet[((rate * quiet.len() as f64) as usize).min(quiet.len() - 1)]
}

/// The file of a set whose name, without `.gz`, has this beginning, this part and this end, and no `without`.
fn find(all: &[PathBuf], start: &str, part: &str, end: &str, without: &str) -> Option<PathBuf> {
    let fits = |path: &&PathBuf| {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let name = name.trim_end_matches(".gz");
        name.starts_with(start)
            && name.contains(part)
            && name.ends_with(end)
            && (without.is_empty() || !name.contains(without))
    };
    all.iter().find(fits).cloned()
}

fn number<T: std::str::FromStr>(path: &Path, cell: &str) -> Result<T, CliError> {
    cell.parse().map_err(|_| CliError::Usage(format!("{}: \"{cell}\" is no number", path.display())))
}

fn labels(path: &Path, from: i64) -> Result<Vec<Label>, CliError> {
    let mut out = Vec::new();
    for [series, t, outbreak] in columns(path, &text(path)?, ',', ["series", "t", "outbreak_id"])? {
        let t = number(path, &t)?;
        if t >= from {
            out.push(Label { series, t, outbreak });
        }
    }
    if out.iter().all(|l| l.outbreak.is_empty()) || out.iter().all(|l| !l.outbreak.is_empty()) {
        return Err(CliError::Usage(format!("{}: needs steps in outbreaks and outside", path.display())));
    }
    Ok(out)
}

fn series(path: &Path) -> Result<Series, CliError> {
    read(&text(path)?).map_err(|(line, what)| CliError::Usage(format!("{}:{line}: {what}", path.display())))
}

/// Complaints a day and area with the surges added; `days` of 7 makes weeks of them.
fn complaints(real: &Path, surges: &Path, days: i64) -> Result<Series, CliError> {
    let mut out = Series::new();
    for (path, count) in [(real, "count"), (surges, "extra")] {
        for [area, t, count] in columns(path, &text(path)?, ',', ["community_area", "t", count])? {
            let (area, t): (u32, i64) = (number(path, &area)?, number(path, &t)?);
            let t = if days == 1 { t } else { (t - MONDAY).div_euclid(days) };
            // The days before the first Monday are no week.
            if t >= 0 {
                *out.entry(format!("ca{area:02}")).or_default().entry(t).or_default() += number::<f64>(path, &count)?;
            }
        }
    }
    Ok(out)
}

/// One set's part of the table.
fn part(
    model: &ModelFile,
    daily: bool,
    name: &str,
    all: &Series,
    labels: &[Label],
    anchors: &[(&str, Measures)],
) -> Result<String, CliError> {
    let method = Method::of(model, daily)?;
    let from = labels.iter().map(|l| l.t).min().unwrap_or(i64::MIN);
    let scores: Scores = scored(&method, all, from);
    let scores: Vec<f64> =
        labels.iter().map(|l| scores.get(&(l.series.clone(), l.t)).copied().unwrap_or(f64::NEG_INFINITY)).collect();
    let mut out = String::new();
    let line = |out: &mut String, name: &str, values: Measures| {
        let cells: String = values.iter().zip(0..).map(|(v, i)| shown(*v, 8, if i == 0 { 4 } else { 3 })).collect();
        writeln!(out, "{name:<46}{cells}").expect("writing to a string");
    };
    let outbreaks: std::collections::BTreeSet<_> =
        labels.iter().filter(|l| !l.outbreak.is_empty()).map(|l| (&l.series, &l.outbreak)).collect();
    let heads: String = COLUMNS.iter().map(|c| format!("{c:>8}")).collect();
    writeln!(out, "{:<46}{heads}", format!("{name}, {} series, {} outbreaks", all.len(), outbreaks.len()))
        .expect("writing to a string");
    let own = model.threshold.unwrap_or(2.0);
    let at_own: Vec<bool> = scores.iter().map(|s| *s >= own).collect();
    line(&mut out, &format!("{} at its threshold {own}", model.id), measure(labels, &at_own));
    for rate in RATES {
        let bound = threshold(labels, &scores, rate);
        let alarms: Vec<bool> = scores.iter().map(|s| *s > bound).collect();
        line(&mut out, &format!("{} at FPR {rate} (score > {bound:.2})", model.id), measure(labels, &alarms));
    }
    for (name, values) in anchors {
        line(&mut out, name, *values);
    }
    for rate in RATES {
        line(&mut out, &format!("blind: random alarms at FPR {rate}"), blind(labels, rate));
    }
    Ok(out)
}

pub(super) fn table(model: &ModelFile, folder: &Path) -> Result<String, CliError> {
    let all = files(folder)?;
    let mut parts = Vec::new();
    if let Some((counts, marks)) = find(&all, "sim_", "", ".ndjson", "").zip(find(&all, "sim_", "_labels", ".csv", ""))
    {
        let marks = labels(&marks, i64::MIN)?;
        parts.push(part(model, false, "simulated weeks", &series(&counts)?, &marks, SIMULATED)?);
    }
    if let Some((counts, marks)) =
        find(&all, "survstat14", "", ".csv", "_labels").zip(find(&all, "survstat14", "_labels", ".csv", ""))
    {
        let marks = labels(&marks, SURVSTAT_FROM)?;
        parts.push(part(model, false, "real outbreaks, weeks", &series(&counts)?, &marks, SURVSTAT)?);
    }
    if let Some((real, surges)) =
        find(&all, "chicago311", "_real", ".csv", "").zip(find(&all, "chicago311", "_surges", ".csv", ""))
    {
        if let Some(marks) = find(&all, "chicago311", "_labels_weekly", ".csv", "") {
            let counts = complaints(&real, &surges, 7)?;
            parts.push(part(model, false, "311 surges, weeks", &counts, &labels(&marks, i64::MIN)?, WEEKLY)?);
        }
        let marks = find(&all, "chicago311", "_labels_daily", ".csv", "");
        if let Some(marks) = marks.filter(|_| Method::of(model, true).is_ok()) {
            let counts = complaints(&real, &surges, 1)?;
            parts.push(part(model, true, "311 surges, days", &counts, &labels(&marks, i64::MIN)?, DAILY)?);
        }
    }
    if parts.is_empty() {
        return Err(CliError::Usage(format!(
            "{}: no sim_*, survstat14_* or chicago311_* with labels",
            folder.display()
        )));
    }
    Ok(parts.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten weeks: an outbreak in weeks 3 to 5 and one in week 8.
    fn weeks() -> Vec<Label> {
        let outbreak = |t| match t {
            3..=5 => "a",
            8 => "b",
            _ => "",
        };
        (1..=10).map(|t| Label { series: "s".to_owned(), t, outbreak: outbreak(t).to_owned() }).collect()
    }

    #[test]
    fn measures_are_those_of_a_small_example() {
        let alarms = |at: &[i64]| (1..=10).map(|t| at.contains(&t)).collect::<Vec<bool>>();
        // Outbreak a is found in its second week, b is missed, week 10 is a false alarm.
        let [fpr, pod, first, sens, ppv, f1, delay] = measure(&weeks(), &alarms(&[4, 5, 10]));
        assert_eq!((fpr, pod, first, sens, delay), (1.0 / 6.0, 0.5, 0.0, 0.5, 1.0));
        assert_eq!((ppv, f1), (2.0 / 3.0, 4.0 / 7.0));
        assert_eq!(measure(&weeks(), &alarms(&[3, 4, 5, 8]))[..6], [0.0, 1.0, 1.0, 1.0, 1.0, 1.0]);
        let blind = blind(&weeks(), 0.5);
        assert_eq!((blind[1], blind[4]), ((0.875 + 0.5) / 2.0, 0.4));
    }

    #[test]
    fn a_threshold_leaves_its_share_of_quiet_steps_above() {
        let scores: Vec<f64> = (1..=10).map(f64::from).collect();
        // quiet: 1 2 6 7 9 10
        assert_eq!(threshold(&weeks(), &scores, 0.34), 7.0);
        assert_eq!(threshold(&weeks(), &scores, 0.0), 10.0);
    }
}
