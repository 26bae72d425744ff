//! Scores CSV series by a model of readings.

use super::super::CliError;
use crate::model::{ReadingModel, ReadingState};
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
    let reading = ReadingModel::of(&model.method, &parameter)
        .ok_or_else(|| CliError::Usage(format!("{} is no model of readings; it scores no series", model.id)))?;
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
        let scored = one(&reading, threshold, calibrate.unwrap_or(0) as usize, &text)
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

struct Scored {
    text: String,
    rows: usize,
    alarms: usize,
}

/// One series; an error has the line that it stands in.
fn one(model: &ReadingModel, threshold: f64, calibrate: usize, text: &str) -> Result<Scored, (usize, String)> {
    let mut lines = text.trim_start_matches('\u{feff}').lines().enumerate();
    let (_, head) = lines.next().ok_or((1, "empty".to_owned()))?;
    let delimiter = if head.contains(';') { ';' } else { ',' };
    let names: Vec<&str> = head.split(delimiter).map(str::trim).collect();
    let columns: Vec<usize> = (1..names.len()).filter(|i| !LABELS.contains(&names[*i])).collect();
    if columns.is_empty() {
        return Err((1, "no value column behind the time".to_owned()));
    }
    let mut states: Vec<ReadingState> = columns.iter().map(|_| model.state()).collect();
    let mut out = Scored { text: format!("{},anomaly_score,alarm\n", names[0]), rows: 0, alarms: 0 };
    for (number, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        let cells: Vec<&str> = line.split(delimiter).map(str::trim).collect();
        let time = cells.first().copied().unwrap_or("");
        let at = parse_rfc3339(time, Some(ZONE)).map_err(|e| (number + 1, format!("\"{time}\" is no time: {e}")))?;
        let mut highest = 0.0_f64;
        for (state, column) in states.iter_mut().zip(&columns) {
            let value = cells.get(*column).and_then(|c| c.parse::<f64>().ok()).filter(|v| v.is_finite());
            if let Some(scored) = value.and_then(|v| state.apply(model, at, v)) {
                highest = highest.max(scored.score);
            }
        }
        if out.rows < calibrate {
            highest = 0.0;
        }
        let score = highest / (highest + threshold);
        let alarm = score >= 0.5;
        writeln!(out.text, "{time},{score:.6},{}", u8::from(alarm)).expect("writing to a string");
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
        let model = ReadingModel::Chart(chart);
        let text = "datetime;a;b;anomaly\n2020-02-08 13:30:47;9;1;0\n2020-02-08 13:30:48;10;x;0\n\
                    2020-02-08 13:30:49;11;;0\n2020-02-08 13:30:50;16;1;1\n2020-02-08 13:30:51;nan;1;1\n";
        let scored = one(&model, 3.0, 0, text).unwrap();
        assert_eq!(
            scored.text,
            "datetime,anomaly_score,alarm\n2020-02-08 13:30:47,0.000000,0\n2020-02-08 13:30:48,0.000000,0\n\
             2020-02-08 13:30:49,0.000000,0\n2020-02-08 13:30:50,0.666667,1\n2020-02-08 13:30:51,0.000000,0\n"
        );
        assert_eq!((scored.rows, scored.alarms), (5, 1));
        assert_eq!(one(&model, 3.0, 0, "timestamp,value\nnever,1\n").err().map(|e| e.0), Some(2));
        assert_eq!(one(&model, 3.0, 4, text).unwrap().alarms, 0);
    }
}
