//! Scores CSV series by a model of readings.

use super::{CliError, not_onto, text, write};
use crate::model::{Group, GroupState, ReadingModel, ReadingState};
use crate::pack::ModelFile;
use crate::record::time::{ZONE, parse_rfc3339};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Columns that say what should be found; reading them would be cheating.
const LABELS: &[&str] = &["anomaly", "changepoint", "label", "is_anomaly"];

/// Scores every file, prints how many rows and alarms each has.
pub(super) fn score(model: &ModelFile, paths: &[PathBuf], calibrate: Option<u32>, out: &Path) -> Result<u8, CliError> {
    let scorer = Scorer::of(model, calibrate)?;
    let mut files = Vec::new();
    for path in paths {
        let name = path.file_name().map(PathBuf::from).unwrap_or_default();
        if path.is_dir() {
            gather(path, Path::new(""), &mut files)?;
        } else {
            files.push((path.clone(), name));
        }
    }
    for (path, name) in &files {
        not_onto(path, &out.join(name))?;
    }
    let (mut rows, mut judged, mut alarms, mut refused) = (0, 0, 0, 0);
    for (path, name) in &files {
        let text = text(path)?;
        let scored = match scorer.file(path, &text) {
            Err(error) if files.len() > 1 => {
                // The others have their scores all the same.
                eprintln!("{error}");
                refused += 1;
                continue;
            }
            scored => scored?,
        };
        let mut table = format!("{},anomaly_score,alarm\n", scored.time);
        for row in &scored.rows {
            writeln!(table, "{},{:.9},{}", row.time, row.score, u8::from(row.alarm())).expect("writing to a string");
        }
        write(&out.join(name), &table)?;
        let raised = scored.rows.iter().filter(|r| r.alarm()).count();
        let (of, known) = (scored.rows.len(), scored.rows.iter().filter(|r| r.judged).count());
        println!("{:<60} {of:>8} rows {known:>8} judged {raised:>6} alarms", name.display());
        rows += of;
        judged += known;
        alarms += raised;
    }
    println!("{} files, {rows} rows, {judged} judged, {alarms} alarms (anomaly_score >= 0.5)", files.len() - refused);
    if judged < rows {
        println!(
            "not judged: while the model learns or is calibrated, without a reading, or older than the row before"
        );
    }
    Ok(u8::from(refused > 0))
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
pub(super) struct Scorer {
    method: Method,
    threshold: f64,
    /// Rows that score 0.
    calibrate: usize,
}

enum Method {
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

/// A series with its scores.
pub(super) struct Scored<'a> {
    /// Name of the time column.
    time: &'a str,
    pub(super) rows: Vec<Row<'a>>,
}

pub(super) struct Row<'a> {
    /// As it stands in the input.
    time: &'a str,
    pub(super) at: i64,
    /// 0 to 1
    pub(super) score: f64,
    /// The model had something to say.
    judged: bool,
}

impl Row<'_> {
    pub(super) fn alarm(&self) -> bool {
        self.score >= 0.5
    }
}

impl Scorer {
    /// The scorer of a model file, at the file's threshold.
    pub(super) fn of(model: &ModelFile, calibrate: Option<u32>) -> Result<Scorer, CliError> {
        let parameter = |name: &str, default: f64| match (name, calibrate) {
            // A calibration period takes the place of the warm-up.
            ("warm_up_days", Some(_)) => 0.0,
            ("warm_up", Some(rows)) if model.method != "holt_winters" => f64::from(rows),
            ("calibrate", Some(rows)) => f64::from(rows),
            _ => model.parameters.get(name).copied().unwrap_or(default),
        };
        let method =
            if model.method == "sensor_group" {
                Method::Group(Group::of(&parameter))
            } else {
                Method::Readings(ReadingModel::of(&model.method, &parameter).ok_or_else(|| {
                    CliError::Usage(format!("{} is no model of readings; it scores no series", model.id))
                })?)
            };
        Ok(Scorer { method, threshold: model.threshold.unwrap_or(1.0), calibrate: calibrate.unwrap_or(0) as usize })
    }

    /// Scores one file.
    pub(super) fn file<'a>(&self, path: &Path, text: &'a str) -> Result<Scored<'a>, CliError> {
        self.series(text).map_err(|(line, what)| CliError::Usage(format!("{}:{line}: {what}", path.display())))
    }

    fn state(&self, columns: usize) -> State {
        match &self.method {
            Method::Readings(model) => State::Readings((0..columns).map(|_| model.state()).collect()),
            Method::Group(_) => State::Group(Box::new(GroupState::new(columns))),
        }
    }

    /// 0 to 1, 0.5 at the threshold; `None` while calibrating and for rows without a reading.
    fn score(&self, state: &mut State, at: i64, values: &[f64]) -> Option<f64> {
        match (&self.method, state) {
            (Method::Readings(model), State::Readings(states)) => {
                let each = states.iter_mut().zip(values).filter(|(_, v)| v.is_finite());
                let scores = each.filter_map(|(state, v)| state.apply(model, at, *v)).map(|s| s.score);
                let highest = scores.reduce(f64::max)?.max(0.0);
                Some(highest / (highest + self.threshold))
            }
            (Method::Group(group), State::Group(state)) => state.update(group, values).map(|reading| reading.score()),
            _ => None,
        }
    }

    /// One series; an error has the line that it stands in.
    fn series<'a>(&self, text: &'a str) -> Result<Scored<'a>, (usize, String)> {
        let mut lines = text.trim_start_matches('\u{feff}').lines().enumerate();
        let (_, head) = lines.clone().next().ok_or((1, "empty".to_owned()))?;
        let delimiter = if head.contains(';') { ';' } else { ',' };
        let cells_of = |line: &'a str| line.split(delimiter).map(|c| c.trim().trim_matches('"')).collect::<Vec<&str>>();
        let mut names = cells_of(head);
        if parse_rfc3339(names[0], Some(ZONE)).is_ok() {
            // No header: the first row is one like the others.
            names.fill("timestamp");
        } else {
            lines.next();
        }
        let columns: Vec<usize> = (1..names.len()).filter(|i| !LABELS.contains(&names[*i])).collect();
        if columns.is_empty() {
            return Err((1, "no value column behind the time".to_owned()));
        }
        let mut state = self.state(columns.len());
        let mut out = Scored { time: names[0], rows: Vec::new() };
        for (number, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
            let cells = cells_of(line);
            let time = cells.first().copied().unwrap_or("");
            let at =
                parse_rfc3339(time, Some(ZONE)).map_err(|e| (number + 1, format!("\"{time}\" is no time: {e}")))?;
            let value = |c: &usize| cells.get(*c).and_then(|c| c.parse::<f64>().ok()).filter(|v| v.is_finite());
            let values: Vec<f64> = columns.iter().map(|c| value(c).unwrap_or(f64::NAN)).collect();
            let scored = self.score(&mut state, at, &values);
            let scored = scored.filter(|_| out.rows.len() >= self.calibrate);
            out.rows.push(Row { time, at, score: scored.unwrap_or(0.0), judged: scored.is_some() });
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Chart, Method as Charted};

    #[test]
    fn each_row_gets_a_score_and_labels_are_not_read() {
        let chart = Chart { method: Charted::Shewhart, warm_up: 3, warm_up_span: 0, sigma_floor: 0.0 };
        let mut model = Scorer { method: Method::Readings(ReadingModel::Chart(chart)), threshold: 3.0, calibrate: 0 };
        let text = "datetime;a;b;anomaly\n2020-02-08 13:30:47;9;1;0\n2020-02-08 13:30:48;10;x;0\n\
                    2020-02-08 13:30:49;11;;0\n2020-02-08 13:30:50;16;1;1\n2020-02-08 13:30:51;nan;1;1\n";
        let scored = model.series(text).unwrap();
        let scores: Vec<f64> = scored.rows.iter().map(|r| r.score).collect();
        assert_eq!(scores, [0.0, 0.0, 0.0, 2.0 / 3.0, 0.0]);
        assert_eq!(
            (scored.time, scored.rows[3].time, scored.rows[3].alarm()),
            ("datetime", "2020-02-08 13:30:50", true)
        );
        assert_eq!(model.series("timestamp,value\nnever,1\n").err().map(|e| e.0), Some(2));
        model.calibrate = 4;
        assert!(model.series(text).unwrap().rows.iter().all(|r| !r.alarm()));
    }
}
