//! Scores series of counts by `count_surge`.

use super::super::CliError;
use crate::model::{CountGroup, CountSetting, CountState};
use crate::pack::ModelFile;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// Series by name: count by number of the step.
type Series = BTreeMap<String, BTreeMap<i64, f64>>;

/// Scores every series and writes `series,t,score,alarm`; score is -log10 p.
pub(super) fn score(model: &ModelFile, path: &Path, daily: bool, city: bool, out: &Path) -> Result<u8, CliError> {
    if model.method != "count_surge" {
        return Err(CliError::Usage(format!("{} is no model of series of counts", model.id)));
    }
    let text = std::fs::read_to_string(path).map_err(|source| CliError::File {
        action: "read",
        path: path.to_owned(),
        source,
    })?;
    let series = read(&text).map_err(|(line, what)| CliError::Usage(format!("{}:{line}: {what}", path.display())))?;
    let threshold = model.threshold.unwrap_or(2.0);
    let setting = if daily { CountSetting::DAILY } else { CountSetting::WEEKLY };
    let (mut text, mut rows, mut alarms) = ("series,t,score,alarm\n".to_owned(), 0, 0);
    for (name, t, score) in scored(&setting, &series, city) {
        let alarm = score >= threshold;
        writeln!(text, "{name},{t},{score:.6},{}", u8::from(alarm)).expect("writing to a string");
        rows += 1;
        alarms += usize::from(alarm);
    }
    if let Some(folder) = out.parent().filter(|p| !p.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|source| CliError::File {
            action: "create",
            path: folder.to_owned(),
            source,
        })?;
    }
    std::fs::write(out, text).map_err(|source| CliError::File { action: "write", path: out.to_owned(), source })?;
    println!("{} series, {rows} counts, {alarms} alarms (score >= {threshold})", series.len());
    Ok(0)
}

/// Scores in order of series and step. A step without a row between a series' first and the newest of all is a zero.
fn scored(setting: &CountSetting, series: &Series, city: bool) -> Vec<(String, i64, f64)> {
    let newest = series.values().filter_map(|s| s.last_key_value()).map(|(t, _)| *t).max().unwrap_or(0);
    let oldest = |s: &BTreeMap<i64, f64>| s.first_key_value().map_or(i64::MAX, |(t, _)| *t);
    let count = |s: &BTreeMap<i64, f64>, t: i64| s.get(&t).copied().unwrap_or(0.0);
    let mut out = Vec::new();
    if city {
        let mut group = CountGroup::new(series.len());
        let first = series.values().map(oldest).min().unwrap_or(0);
        for t in first..=newest {
            let counts: Vec<f64> =
                series.values().map(|s| if t < oldest(s) { f64::NAN } else { count(s, t) }).collect();
            for (name, reading) in series.keys().zip(group.update(setting, t, &counts)) {
                out.extend(reading.map(|r| (name.clone(), t, r.score)));
            }
        }
        out.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    } else {
        for (name, s) in series {
            let mut state = CountState::default();
            out.extend((oldest(s)..=newest).map(|t| (name.clone(), t, state.update(setting, t, count(s, t)).score)));
        }
    }
    out
}

/// NDJSON `{series, counts}` (the first count is step 1) or CSV `series,t,count`; an error has its line.
fn read(text: &str) -> Result<Series, (usize, String)> {
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
        if json {
            let line: Line = serde_json::from_str(line).map_err(|e| wrong(e.to_string()))?;
            series.insert(line.series, (1..).zip(line.counts).collect());
        } else if number > 0 {
            let cells: Vec<&str> = line.split(',').map(str::trim).collect();
            let [name, t, count, ..] = cells.as_slice() else {
                return Err(wrong("not series,t,count".to_owned()));
            };
            let t: i64 = t.parse().map_err(|_| wrong(format!("\"{t}\" is no number of a step")))?;
            let count: f64 = count.parse().map_err(|_| wrong(format!("\"{count}\" is no count")))?;
            if !count.is_finite() || count < 0.0 {
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
        let lone = |s: &Series| scored(&CountSetting::WEEKLY, s, false);
        assert_eq!(lone(&json), lone(&csv));
        assert_eq!(lone(&csv).len(), 5);
        assert!(lone(&csv)[4].2 > 2.0, "{:?}", lone(&csv));
        assert_eq!(read("series,t,count\na,x,4\n").err().map(|e| e.0), Some(2));
        assert!(read("series,t,count\na,1,4\na,99999999,4\n").is_err());
    }
}
