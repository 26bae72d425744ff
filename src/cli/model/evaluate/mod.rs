//! `forewarn model evaluate`: a model on its benchmark, beside what others published on the same data.
//!
//! In: a folder of benchmarks with labels. Out: a table: ours first, then the published anchors, then what a blind alarm gets.
//! Promise: ours are the scores of `model score` at the model's own threshold; labels are read after scoring. Anchors are those of
//! the development parts that models/README.md names: on other parts of a benchmark they are a guide only.
//! Not here: the choice of settings and thresholds.

mod counts;
mod nab;
mod skab;

use super::{CliError, text};
use crate::pack::ModelFile;
use std::path::{Path, PathBuf};

/// The table of a model.
pub(super) fn run(model: &ModelFile, data: &Path) -> Result<String, CliError> {
    match model.method.as_str() {
        "sensor_novelty" => nab::table(model, &data.join("nab")),
        "sensor_group" => skab::table(model, &data.join("skab")),
        "count_surge" | "farrington" | "ears" => counts::table(model, &data.join("counts")),
        _ => {
            Err(CliError::Usage(format!("{} has no benchmark here; its worked examples are among the tests", model.id)))
        }
    }
}

/// Every file below a folder, by name.
fn files(folder: &Path) -> Result<Vec<PathBuf>, CliError> {
    let mut all = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let wrong = |source| CliError::File { action: "read", path: folder.clone(), source };
        for entry in std::fs::read_dir(&folder).map_err(wrong)? {
            let path = entry.map_err(wrong)?.path();
            if path.is_dir() { folders.push(path) } else { all.push(path) }
        }
    }
    all.sort();
    Ok(all)
}

/// Columns of a CSV file by name, as texts; `delimiter` is `,` or `;`.
fn columns<const N: usize>(
    path: &Path,
    text: &str,
    delimiter: char,
    names: [&str; N],
) -> Result<Vec<[String; N]>, CliError> {
    let wrong = |line: usize, what: String| CliError::Usage(format!("{}:{line}: {what}", path.display()));
    let mut lines = text.trim_start_matches('\u{feff}').lines();
    let head: Vec<&str> = lines.next().unwrap_or("").split(delimiter).map(str::trim).collect();
    let mut at = [0; N];
    for (at, name) in at.iter_mut().zip(names) {
        *at = head.iter().position(|h| *h == name).ok_or_else(|| wrong(1, format!("no column {name}")))?;
    }
    let mut rows = Vec::new();
    for (number, line) in lines.enumerate().filter(|(_, l)| !l.trim().is_empty()) {
        let cells: Vec<&str> = line.split(delimiter).map(str::trim).collect();
        if at.iter().any(|at| *at >= cells.len()) {
            return Err(wrong(number + 2, "too few cells".to_owned()));
        }
        rows.push(at.map(|at| cells[at].to_owned()));
    }
    Ok(rows)
}

/// A number of a table; NaN is a dash.
fn shown(value: f64, width: usize, digits: usize) -> String {
    if value.is_finite() { format!("{value:>width$.digits$}") } else { format!("{:>width$}", "-") }
}
