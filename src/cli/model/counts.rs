//! Scores series of counts: `count_surge`, `farrington`, `ears`.
//!
//! In: NDJSON `{series, counts}` or CSV `series,t,count`. Out: `series,t,score,alarm`; score is -log10 p.
//! Promise: a score uses counts up to its own step only. `count_surge` takes the file's series as one group: what they all
//! do in a step excuses none of them by more than such moves have been seen before.

use super::{CliError, not_onto, text, write};
use crate::model::{CountGroup, CountSetting, Ears, Farrington};
use crate::pack::ModelFile;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// Series by name: count by number of the step.
pub(super) type Series = BTreeMap<String, BTreeMap<i64, f64>>;
/// Scores by series and step.
pub(super) type Scores = BTreeMap<(String, i64), f64>;

/// How counts are scored.
#[derive(Clone, Copy, Debug)]
pub(super) enum Method {
    Surge(CountSetting),
    Farrington(Farrington),
    Ears(Ears),
}

/// Probability above the bounds that `farrington` and `ears` state; scores do not depend on it.
const ALPHA: f64 = 0.01;

impl Method {
    /// The method of a model file.
    pub(super) fn of(model: &ModelFile, daily: bool) -> Result<Method, CliError> {
        let parameter = |name: &str, default: usize| model.parameters.get(name).map_or(default, |v| *v as usize);
        let wrong = |what: &str| Err(CliError::Usage(format!("{} {what}", model.id)));
        match model.method.as_str() {
            "count_surge" => Ok(Method::Surge(if daily { CountSetting::DAILY } else { CountSetting::WEEKLY })),
            "farrington" if daily => wrong("judges counts a week, not a day"),
            "farrington" => {
                let usual = Farrington::default();
                let method = Farrington {
                    years: parameter("years", usual.years),
                    window: parameter("window", usual.window),
                    periods: parameter("periods", usual.periods),
                    skip: parameter("skip", usual.skip),
                    reweight_above: model.parameters.get("reweight_above").copied().unwrap_or(usual.reweight_above),
                    alpha: ALPHA,
                    ..usual
                };
                if method.periods == 0 || 2 * method.window + method.periods > method.year {
                    return wrong("divides the year into too many periods");
                }
                Ok(Method::Farrington(method))
            }
            "ears" => match Ears::of(parameter("number", 1) as u32) {
                Some(ears) => Ok(Method::Ears(ears)),
                None => wrong("has a number other than 1, 2 or 3"),
            },
            _ => wrong("is no model of series of counts"),
        }
    }
}

/// Scores every series of a file and writes `series,t,score,alarm`.
pub(super) fn score(model: &ModelFile, path: &Path, daily: bool, out: &Path) -> Result<u8, CliError> {
    let method = Method::of(model, daily)?;
    not_onto(path, out)?;
    let series =
        read(&text(path)?).map_err(|(line, what)| CliError::Usage(format!("{}:{line}: {what}", path.display())))?;
    let threshold = model.threshold.unwrap_or(2.0);
    let (mut rows, mut alarms) = ("series,t,score,alarm\n".to_owned(), 0);
    let scores = scored(&method, &series, i64::MIN);
    for ((name, t), score) in &scores {
        let alarm = *score >= threshold;
        let name =
            if name.contains([',', '"', '\n']) { format!("\"{}\"", name.replace('"', "\"\"")) } else { name.clone() };
        writeln!(rows, "{name},{t},{score:.6},{}", u8::from(alarm)).expect("writing to a string");
        alarms += usize::from(alarm);
    }
    write(out, &rows)?;
    println!("{} series, {} counts, {alarms} alarms (score >= {threshold})", series.len(), scores.len());
    Ok(0)
}

/// The scores of the steps from `from` on. A step without a row between a series' first and the newest of all is a zero;
/// a step that the model cannot judge yet scores 0.
pub(super) fn scored(method: &Method, series: &Series, from: i64) -> Scores {
    let newest = series.values().filter_map(|s| s.last_key_value()).map(|(t, _)| *t).max().unwrap_or(0);
    let oldest = |s: &BTreeMap<i64, f64>| s.first_key_value().map_or(i64::MAX, |(t, _)| *t);
    let count = |s: &BTreeMap<i64, f64>, t: i64| s.get(&t).copied().unwrap_or(0.0);
    let mut out = Scores::new();
    if let Method::Surge(setting) = method {
        let mut group = CountGroup::new(series.len());
        let first = series.values().map(oldest).min().unwrap_or(0);
        for t in first..=newest {
            let counts: Vec<f64> =
                series.values().map(|s| if t < oldest(s) { f64::NAN } else { count(s, t) }).collect();
            for (name, reading) in series.keys().zip(group.update(setting, t, &counts)) {
                out.extend(reading.filter(|_| t >= from).map(|r| ((name.clone(), t), r.score)));
            }
        }
        return out;
    }
    for (name, s) in series {
        let counts: Vec<f64> = (oldest(s)..=newest).map(|t| count(s, t)).collect();
        for (t, n) in (oldest(s)..=newest).zip(1..).filter(|(t, _)| *t >= from) {
            let score = match method {
                Method::Farrington(method) => method.judge(&counts[..n]).map(|r| r.score),
                Method::Ears(method) => method.judge(&counts[..n], ALPHA).map(|r| r.score),
                Method::Surge(_) => None,
            };
            out.insert((name.clone(), t), score.unwrap_or(0.0));
        }
    }
    out
}

/// NDJSON `{series, counts}` (the first count is step 1) or CSV `series,t,count`; an error has its line.
pub(super) fn read(text: &str) -> Result<Series, (usize, String)> {
    #[derive(Deserialize)]
    struct Line {
        series: String,
        counts: Vec<f64>,
    }
    let text = text.trim_start_matches('\u{feff}');
    let json = text.trim_start().starts_with('{');
    let mut series = Series::new();
    for (number, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
        let wrong = |what: String| (number + 1, what);
        let known = |count: &f64| count.is_finite() && *count >= 0.0;
        if json {
            let line: Line = serde_json::from_str(line).map_err(|e| wrong(e.to_string()))?;
            if let Some(count) = line.counts.iter().find(|c| !known(c)) {
                return Err(wrong(format!("{count} is no count")));
            }
            let counts = (1..).zip(line.counts).collect();
            if series.insert(line.series.clone(), counts).is_some() {
                return Err(wrong(format!("the series \"{}\" stands here twice", line.series)));
            }
        } else if number > 0 {
            let cells: Vec<&str> = line.split(',').map(str::trim).collect();
            let [name, t, count, ..] = cells.as_slice() else {
                return Err(wrong("not series,t,count".to_owned()));
            };
            let t: i64 = t.parse().map_err(|_| wrong(format!("\"{t}\" is no number of a step")))?;
            let count: f64 = count.parse().map_err(|_| wrong(format!("\"{count}\" is no count")))?;
            if !known(&count) {
                return Err(wrong(format!("{count} is no count")));
            }
            *series.entry((*name).to_owned()).or_default().entry(t).or_default() += count;
        }
    }
    // A file without a step in common would make a loop over all time.
    let steps = |s: &BTreeMap<i64, f64>| Some((*s.first_key_value()?.0, *s.last_key_value()?.0));
    let ends: Vec<(i64, i64)> = series.values().filter_map(steps).collect();
    let first = ends.iter().map(|e| e.0).min().unwrap_or(0);
    if ends.iter().any(|e| e.1.saturating_sub(first) > 1_000_000) {
        return Err((1, "more than a million steps; t is the number of a week or day".to_owned()));
    }
    Ok(series)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_give_the_same_scores_and_a_missing_step_is_a_zero() {
        let json = read("{\"series\":\"a\",\"counts\":[4,5,0,4,30]}\n").unwrap();
        let csv = read("series,t,count\na,1,4\na,2,5\na,4,4\na,5,30\n").unwrap();
        for method in [Method::Surge(CountSetting::WEEKLY), Method::Ears(Ears::C1)] {
            let all = |s: &Series| scored(&method, s, i64::MIN);
            assert_eq!(all(&json), all(&csv));
            assert_eq!(all(&csv).len(), 5);
            assert_eq!(scored(&method, &csv, 4).len(), 2);
        }
        let last = scored(&Method::Surge(CountSetting::WEEKLY), &csv, 5);
        assert!(last[&("a".to_owned(), 5)] > 2.0, "{last:?}");
        assert_eq!(read("series,t,count\na,x,4\n").err().map(|e| e.0), Some(2));
        assert!(read("series,t,count\na,1,4\na,99999999,4\n").is_err());
        assert!(read("{\"series\":\"a\",\"counts\":[4,-1]}\n").is_err());
    }
}
