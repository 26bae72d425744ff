//! Scores CSV series by a model of readings.

use super::super::CliError;
use crate::model::{Group, GroupState, ReadingModel, ReadingState};
use crate::pack::ModelFile;
use crate::record::time::{ZONE, parse_rfc3339};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Columns that say what should be found; reading them would be cheating.
const LABELS: &[&str] = &["anomaly", "changepoint", "label", "is_anomaly"];

/// Scores every file, prints how many rows and alarms each has.
pub(super) fn score(model: &ModelFile, paths: &[PathBuf], calibrate: Option<u32>, out: &Path) -> Result<u8, CliError> {
    let parameter = |name: &str, default: f64| match (name, calibrate) {
        // A calibration period takes the place of the warm-up.
        ("warm_up_days", Some(_)) => 0.0,
        ("warm_up", Some(rows)) if model.method != "holt_winters" => f64::from(rows),
        _ => model.parameters.get(name).copied().unwrap_or(default),
    };
    let scorer = if model.method == "sensor_group" {
        Scorer::Group(Group {
            threshold: parameter("threshold", Group::default().threshold),
            calibrate: calibrate.unwrap_or(parameter("calibrate", 1_000.0) as u32),
            ..Group::default()
        })
    } else {
        Scorer::Readings(
            ReadingModel::of(&model.method, &parameter)
                .ok_or_else(|| CliError::Usage(format!("{} is no model of readings; it scores no series", model.id)))?,
        )
    };
    let threshold = model.threshold.unwrap_or(1.0);
    let mut files = Vec::new();
    for path in paths {
        let name = path.file_name().map(PathBuf::from).unwrap_or_default();
        if path.is_dir() {
            gather(path, Path::new(""), &mut files)?;
        } else {
            files.push((path.clone(), name));
        }
    }
    let (mut rows, mut alarms) = (0, 0);
    for (path, name) in &files {
        let text = std::fs::read_to_string(path).map_err(|source| file("read", path, source))?;
        let scored = one(&scorer, threshold, calibrate.unwrap_or(0) as usize, &text)
            .map_err(|(line, what)| CliError::Usage(format!("{}:{line}: {what}", path.display())))?;
        let to = out.join(name);
        if let Some(folder) = to.parent() {
            std::fs::create_dir_all(folder).map_err(|source| file("create", folder, source))?;
        }
        std::fs::write(&to, &scored.text).map_err(|source| file("write", &to, source))?;
        println!("{:<60} {:>8} rows {:>6} alarms", name.display(), scored.rows, scored.alarms);
        rows += scored.rows;
        alarms += scored.alarms;
    }
    println!("{} files, {rows} rows, {alarms} alarms (anomaly_score >= 0.5)", files.len());
    Ok(0)
}

fn file(action: &'static str, path: &Path, source: std::io::Error) -> CliError {
    CliError::File { action, path: path.to_owned(), source }
}

/// Every CSV below a folder with its relative name, by name.
fn gather(folder: &Path, inner: &Path, files: &mut Vec<(PathBuf, PathBuf)>) -> Result<(), CliError> {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)
        .and_then(|all| all.map(|e| e.map(|e| e.path())).collect())
        .map_err(|source| file("read", folder, source))?;
    entries.sort();
    for path in entries {
        let name = inner.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            gather(&path, &name, files)?;
        } else if path.extension().is_some_and(|e| e == "csv") {
            files.push((path, name));
        }
    }
    Ok(())
}

/// How rows are scored.
enum Scorer {
    /// Each column by itself; the row has the highest score.
    Readings(ReadingModel),
    /// All columns together.
    Group(Group),
}

/// What it knows of a series.
enum State {
    Readings(Vec<ReadingState>),
    Group(Box<GroupState>),
}

impl Scorer {
    fn state(&self, columns: usize) -> State {
        match self {
            Scorer::Readings(model) => State::Readings((0..columns).map(|_| model.state()).collect()),
            Scorer::Group(_) => State::Group(Box::new(GroupState::new(columns))),
        }
    }

    /// 0 to 1, 0.5 at the threshold; 0 while calibrating and for rows without a reading.
    fn score(&self, state: &mut State, at: i64, values: &[f64], threshold: f64) -> f64 {
        match (self, state) {
            (Scorer::Readings(model), State::Readings(states)) => {
                let each = states.iter_mut().zip(values).filter(|(_, v)| v.is_finite());
                let scores = each.filter_map(|(state, v)| state.apply(model, at, *v)).map(|s| s.score);
                let highest = scores.fold(0.0_f64, f64::max);
                highest / (highest + threshold)
            }
            (Scorer::Group(group), State::Group(state)) => {
                state.update(group, values).map_or(0.0, |reading| reading.score())
            }
            _ => 0.0,
        }
    }
}

struct Scored {
    text: String,
    rows: usize,
    alarms: usize,
}

/// One series; an error has the line that it stands in.
fn one(scorer: &Scorer, threshold: f64, calibrate: usize, text: &str) -> Result<Scored, (usize, String)> {
    let mut lines = text.trim_start_matches('\u{feff}').lines().enumerate();
    let (_, head) = lines.next().ok_or((1, "empty".to_owned()))?;
    let delimiter = if head.contains(';') { ';' } else { ',' };
    let names: Vec<&str> = head.split(delimiter).map(str::trim).collect();
    let columns: Vec<usize> = (1..names.len()).filter(|i| !LABELS.contains(&names[*i])).collect();
    if columns.is_empty() {
        return Err((1, "no value column behind the time".to_owned()));
    }
    let mut state = scorer.state(columns.len());
    let mut out = Scored { text: format!("{},anomaly_score,alarm\n", names[0]), rows: 0, alarms: 0 };
    for (number, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        let cells: Vec<&str> = line.split(delimiter).map(str::trim).collect();
        let time = cells.first().copied().unwrap_or("");
        let at = parse_rfc3339(time, Some(ZONE)).map_err(|e| (number + 1, format!("\"{time}\" is no time: {e}")))?;
        let values: Vec<f64> = columns
            .iter()
            .map(|c| cells.get(*c).and_then(|c| c.parse::<f64>().ok()).filter(|v| v.is_finite()).unwrap_or(f64::NAN))
            .collect();
        let scored = scorer.score(&mut state, at, &values, threshold);
        let score = if out.rows < calibrate { 0.0 } else { scored };
        let alarm = score >= 0.5;
        writeln!(out.text, "{time},{score:.9},{}", u8::from(alarm)).expect("writing to a string");
        out.rows += 1;
        out.alarms += usize::from(alarm);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Chart, Method};

    #[test]
    fn each_row_gets_a_score_and_labels_are_not_read() {
        let chart = Chart { method: Method::Shewhart, warm_up: 3, warm_up_span: 0, sigma_floor: 0.0 };
        let model = Scorer::Readings(ReadingModel::Chart(chart));
        let text = "datetime;a;b;anomaly\n2020-02-08 13:30:47;9;1;0\n2020-02-08 13:30:48;10;x;0\n\
                    2020-02-08 13:30:49;11;;0\n2020-02-08 13:30:50;16;1;1\n2020-02-08 13:30:51;nan;1;1\n";
        let scored = one(&model, 3.0, 0, text).unwrap();
        assert_eq!(
            scored.text,
            "datetime,anomaly_score,alarm\n2020-02-08 13:30:47,0.000000000,0\n2020-02-08 13:30:48,0.000000000,0\n\
             2020-02-08 13:30:49,0.000000000,0\n2020-02-08 13:30:50,0.666666667,1\n2020-02-08 13:30:51,0.000000000,0\n"
        );
        assert_eq!((scored.rows, scored.alarms), (5, 1));
        assert_eq!(one(&model, 3.0, 0, "timestamp,value\nnever,1\n").err().map(|e| e.0), Some(2));
        assert_eq!(one(&model, 3.0, 4, text).unwrap().alarms, 0);
    }
}
