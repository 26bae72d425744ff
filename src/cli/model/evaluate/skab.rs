//! The scores of the Skoltech Anomaly Benchmark.
//!
//! In: runs with a label in each row; the first 400 rows are for calibration and are not scored. Out: F1, share of false and of
//! missed rows, over all rows of all runs.
//! Not here: its score of change points, which an alarm every 30 rows wins.
//!
//! # Source
//! Katser and Kozitsin (2020), Skoltech Anomaly Benchmark, doi:10.34740/KAGGLE/DSV/1693952.

use super::super::series::Scorer;
use super::{CliError, columns, files, shown, text};
use crate::pack::ModelFile;
use std::fmt::Write;
use std::path::Path;

const CALIBRATE: u32 = 400;

/// F1, false alarms %, missed %: the predictions that the benchmark ships, on the development half (17 runs).
const ANCHORS: [(&str, [f64; 3]); 5] = [
    ("MSET (looks 29 rows ahead)", [0.760, 41.2, 16.3]),
    ("T2+Q", [0.739, 27.2, 27.2]),
    ("Conv-AE (looks 58 rows ahead)", [0.737, 14.9, 33.9]),
    ("LSTM-AE (looks 8 rows ahead)", [0.682, 25.1, 36.6]),
    ("T2", [0.638, 14.4, 47.1]),
];

/// Rows by what they are and what was said.
#[derive(Clone, Copy, Debug, Default)]
struct Rows {
    hit: f64,
    missed: f64,
    false_alarm: f64,
    quiet: f64,
}

impl Rows {
    fn add(&mut self, fault: bool, alarm: bool) {
        *match (fault, alarm) {
            (true, true) => &mut self.hit,
            (true, false) => &mut self.missed,
            (false, true) => &mut self.false_alarm,
            (false, false) => &mut self.quiet,
        } += 1.0;
    }

    /// F1, false alarms in % of quiet rows, missed in % of rows with a fault.
    fn scores(&self) -> [f64; 3] {
        let wrong = self.missed + self.false_alarm;
        [
            if self.hit + wrong > 0.0 { self.hit / (self.hit + wrong / 2.0) } else { 0.0 },
            100.0 * self.false_alarm / (self.false_alarm + self.quiet).max(1.0),
            100.0 * self.missed / (self.missed + self.hit).max(1.0),
        ]
    }
}

pub(super) fn table(model: &ModelFile, folder: &Path) -> Result<String, CliError> {
    let scorer = Scorer::of(model, Some(CALIBRATE))?;
    let (mut ours, mut always) = (Rows::default(), Rows::default());
    let (mut runs, mut caught, mut delays, mut at_rest) = (0, 0, Vec::new(), Vec::new());
    for path in files(folder)?.iter().filter(|p| p.extension().is_some_and(|e| e == "csv")) {
        let text = text(path)?;
        let head = text.lines().next().unwrap_or("");
        if !head.split(';').any(|name| name.trim() == "anomaly") {
            for calibrate in [400, 1_000, 2_000] {
                let rows = Scorer::of(model, Some(calibrate))?.file(path, &text)?.rows;
                let after = rows.iter().skip(calibrate as usize);
                let share = after.clone().filter(|r| r.alarm()).count() as f64 / after.count().max(1) as f64;
                at_rest.push(format!("{:.1} % with {calibrate}", 100.0 * share));
            }
            continue;
        }
        let labels = columns(path, &text, ';', ["anomaly"])?;
        let rows = scorer.file(path, &text)?.rows;
        let (mut start, mut first) = (None, None);
        for (row, [fault]) in rows.iter().zip(&labels).skip(CALIBRATE as usize) {
            let fault = fault.parse::<f64>().is_ok_and(|f| f > 0.0);
            ours.add(fault, row.alarm());
            always.add(fault, true);
            if fault {
                start.get_or_insert(row.at);
                if row.alarm() {
                    first.get_or_insert(row.at);
                }
            }
        }
        runs += 1;
        if let Some((start, first)) = start.zip(first) {
            caught += 1;
            delays.push((first - start) as f64 / 1_000.0);
        }
    }
    if runs == 0 {
        return Err(CliError::Usage(format!("{}: no file with a column anomaly", folder.display())));
    }
    let mut out = String::new();
    let line = |out: &mut String, name: &str, [f1, far, mar]: [f64; 3]| {
        writeln!(out, "{name:<50}{}{}{}", shown(f1, 10, 4), shown(far, 10, 2), shown(mar, 10, 2))
            .expect("writing to a string");
    };
    writeln!(
        out,
        "{:<50}{:>10}{:>10}{:>10}",
        format!("SKAB, {runs} runs, {CALIBRATE} rows of calibration"),
        "F1",
        "FAR %",
        "MAR %"
    )
    .expect("writing to a string");
    line(&mut out, &format!("{} at its threshold {}", model.id, model.threshold.unwrap_or(1.0)), ours.scores());
    for (name, values) in ANCHORS {
        line(&mut out, name, values);
    }
    line(&mut out, "blind: always alarming", always.scores());
    delays.sort_by(f64::total_cmp);
    let median =
        if delays.is_empty() { f64::NAN } else { (delays[(delays.len() - 1) / 2] + delays[delays.len() / 2]) / 2.0 };
    writeln!(out, "faults caught {caught}/{runs}, {median} s after their start (median)").expect("writing to a string");
    if !at_rest.is_empty() {
        writeln!(out, "alarms on the run without faults: {} rows of calibration", at_rest.join(", "))
            .expect("writing to a string");
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_counted_as_the_benchmark_counts_them() {
        let mut rows = Rows::default();
        for (fault, alarm) in [(true, true), (true, true), (true, false), (false, true), (false, false), (false, false)]
        {
            rows.add(fault, alarm);
        }
        // tp 2, fn 1, fp 1, tn 2
        let [f1, far, mar] = rows.scores();
        assert!(
            (f1 - 2.0 / 3.0).abs() < 1e-12 && (far - 100.0 / 3.0).abs() < 1e-12 && (mar - 100.0 / 3.0).abs() < 1e-12
        );
        assert_eq!(Rows::default().scores(), [0.0; 3]);
    }
}
