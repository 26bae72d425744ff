//! The score of the Numenta Anomaly Benchmark.
//!
//! In: for each series the rows of its labelled windows and its alarms. Out: 100 for an alarm on the first row of every window and
//! none outside, 0 for no alarm at all, in three profiles.
//! Every alarm row outside costs, cheap just behind a window; of a window only the earliest alarm counts.
//!
//! # Source
//! Lavin and Ahmad (2015), Evaluating real-time anomaly detection algorithms, arXiv:1510.03336, and the benchmark's own code, v1.1.

use super::super::series::Scorer;
use super::{CliError, shown, text};
use crate::pack::ModelFile;
use crate::record::time::{ZONE, parse_rfc3339};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// Share of a series, and number of rows, that are not scored at its start.
const PROBATION: f64 = 0.15;
const PROBATION_ROWS: usize = 750;

/// What a hit earns, a miss and a false alarm cost.
struct Profile {
    name: &'static str,
    hit: f64,
    miss: f64,
    false_alarm: f64,
}

const PROFILES: [Profile; 3] = [
    Profile { name: "standard", hit: 1.0, miss: 1.0, false_alarm: 0.11 },
    Profile { name: "low FP", hit: 1.0, miss: 1.0, false_alarm: 0.22 },
    Profile { name: "low FN", hit: 1.0, miss: 2.0, false_alarm: 0.11 },
];

/// On the development half (29 series, 58 windows): the score files that the benchmark ships, each at its best threshold for
/// each profile; the blind one was computed the same way.
const ANCHORS: [(&str, [f64; 3]); 5] = [
    ("ARTime (looks at range and length of the file)", [67.3, 58.8, 73.6]),
    ("CAD OSE", [63.7, 58.4, 67.8]),
    ("Numenta HTM", [60.1, 53.7, 64.8]),
    ("windowed Gaussian", [31.9, 5.2, 42.5]),
    ("blind: an alarm every n/20 rows", [21.5, 0.0, 37.3]),
];

/// A scored series.
struct Series {
    /// First and last row of each labelled window, in order.
    windows: Vec<(usize, usize)>,
    alarms: Vec<bool>,
}

#[derive(Debug, Default, PartialEq)]
struct Tally {
    score: f64,
    windows: usize,
    hit: usize,
    false_rows: usize,
    false_runs: usize,
    /// Row of the first alarm in each window, when there is one.
    first: Vec<Option<usize>>,
}

/// Rows at the start of a series of `n` that are not scored.
fn unscored(n: usize) -> usize {
    ((PROBATION * n as f64) as usize).min(PROBATION_ROWS)
}

fn sigmoid(y: f64) -> f64 {
    if y > 3.0 { -1.0 } else { 2.0 / (1.0 + libm::exp(5.0 * y)) - 1.0 }
}

impl Series {
    fn tally(&self, profile: &Profile) -> Tally {
        let n = self.alarms.len();
        let start = unscored(n);
        let mut out = Tally::default();
        for &(a, b) in &self.windows {
            let first = (a.max(start)..=b).find(|i| self.alarms[*i]);
            out.first.push(first);
            // A window that lies in the unscored rows counts for nothing.
            if b < start {
                continue;
            }
            out.windows += 1;
            out.hit += usize::from(first.is_some());
            let width = (b - a + 1) as f64;
            out.score += match first {
                Some(i) => profile.hit * sigmoid(-((b - i + 1) as f64) / width) / sigmoid(-1.0),
                None => -profile.miss,
            };
        }
        let mut before = None;
        for i in (start..n).filter(|i| self.alarms[*i]) {
            if self.windows.iter().any(|(a, b)| (*a..=*b).contains(&i)) {
                continue;
            }
            let last = self.windows.iter().rfind(|(_, b)| *b < i);
            out.score +=
                profile.false_alarm * last.map_or(-1.0, |(a, b)| sigmoid((i - b) as f64 / (b - a).max(1) as f64));
            out.false_rows += 1;
            out.false_runs += usize::from(i == 0 || before != Some(i - 1));
            before = Some(i);
        }
        out
    }
}

/// 0 to 100 (below 0 with many false alarms).
fn normal(score: f64, windows: usize, profile: &Profile) -> f64 {
    let windows = windows as f64;
    100.0 * (score + profile.miss * windows) / ((profile.hit + profile.miss) * windows)
}

/// Times by series: pairs for windows, single ones for labels.
fn labels<T: serde::de::DeserializeOwned>(path: &Path) -> Result<BTreeMap<String, Vec<T>>, CliError> {
    serde_json::from_str(&text(path)?).map_err(|e| CliError::Usage(format!("{}: {e}", path.display())))
}

pub(super) fn table(model: &ModelFile, folder: &Path) -> Result<String, CliError> {
    let windows = folder.join("labels/combined_windows.json");
    let centres = folder.join("labels/combined_labels.json");
    let instant = |t: &str| {
        parse_rfc3339(t, Some(ZONE)).map_err(|e| CliError::Usage(format!("{}: \"{t}\": {e}", windows.display())))
    };
    let centres: BTreeMap<String, Vec<String>> = if centres.is_file() { labels(&centres)? } else { BTreeMap::new() };
    let scorer = Scorer::of(model, None)?;
    let (mut all, mut delays, mut weeks) = (Vec::new(), Vec::new(), 0.0);
    for (name, pairs) in labels::<(String, String)>(&windows)? {
        let path = folder.join(&name);
        let text = text(&path)?;
        let rows = scorer.file(&path, &text)?.rows;
        let row = |t: &str| -> Result<usize, CliError> {
            let at = instant(t)?;
            rows.iter().position(|r| r.at == at).ok_or_else(|| CliError::Usage(format!("{name} has no row {t}")))
        };
        let windows = pairs.iter().map(|(a, b)| Ok((row(a)?, row(b)?))).collect::<Result<Vec<_>, CliError>>()?;
        let series = Series { windows, alarms: rows.iter().map(super::super::series::Row::alarm).collect() };
        let ends = rows.get(unscored(rows.len())).zip(rows.last()).map_or(0, |(a, b)| b.at - a.at);
        weeks += ends as f64 / (7.0 * 86_400_000.0);
        for (first, &(a, b)) in series.tally(&PROFILES[0]).first.iter().zip(&series.windows) {
            for centre in centres.get(&name).into_iter().flatten() {
                let at = instant(centre)?;
                if let Some(first) = first.filter(|_| (rows[a].at..=rows[b].at).contains(&at)) {
                    delays.push(rows[first].at - at);
                }
            }
        }
        all.push(series);
    }
    let windows: usize = all.iter().map(|s| s.tally(&PROFILES[0]).windows).sum();
    if windows == 0 {
        return Err(CliError::Usage(format!("{}: no labelled windows", folder.display())));
    }
    let mut out = String::new();
    let line = |out: &mut String, name: &str, values: [f64; 3]| {
        let cells: String = values.iter().map(|v| shown(*v, 10, 2)).collect();
        writeln!(out, "{name:<50}{cells}").expect("writing to a string");
    };
    let heads: String = PROFILES.iter().map(|p| format!("{:>10}", p.name)).collect();
    writeln!(out, "{:<50}{heads}", format!("NAB, {} series, {windows} windows", all.len()))
        .expect("writing to a string");
    let ours = PROFILES.each_ref().map(|p| normal(all.iter().map(|s| s.tally(p).score).sum(), windows, p));
    line(&mut out, &format!("{} at its threshold {}", model.id, model.threshold.unwrap_or(1.0)), ours);
    for (name, values) in ANCHORS {
        line(&mut out, name, values);
    }
    line(&mut out, "no alarm at all", [0.0; 3]);
    let tallies: Vec<Tally> = all.iter().map(|s| s.tally(&PROFILES[0])).collect();
    let sum = |of: fn(&Tally) -> usize| tallies.iter().map(of).sum::<usize>();
    delays.sort_unstable();
    let median = if delays.is_empty() {
        f64::NAN
    } else {
        (delays[(delays.len() - 1) / 2] + delays[delays.len() / 2]) as f64 / 120_000.0
    };
    writeln!(
        out,
        "windows hit {}/{windows}; false alarms {} rows in {} runs, {:.2} runs a series-week; first alarm {median:+.0} min from the label \
         (median)",
        sum(|t| t.hit),
        sum(|t| t.false_rows),
        sum(|t| t.false_runs),
        sum(|t| t.false_runs) as f64 / weeks,
    )
    .expect("writing to a string");
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 100 rows, of which 15 are not scored; a window of 10 rows and one of 5.
    fn series(alarms: &[usize]) -> Series {
        Series { windows: vec![(40, 49), (70, 74)], alarms: (0..100).map(|i| alarms.contains(&i)).collect() }
    }

    fn scores(alarms: &[usize]) -> [f64; 3] {
        PROFILES.each_ref().map(|p| normal(series(alarms).tally(p).score, 2, p))
    }

    #[test]
    fn the_first_rows_of_all_windows_are_a_hundred_and_silence_is_nothing() {
        assert_eq!(scores(&[40, 70]), [100.0; 3]);
        assert_eq!(scores(&[3, 14]), [0.0; 3]); // in the rows that are not scored
        // One of two windows: misses cost twice as much in the last profile, and the scale is wider.
        assert_eq!(scores(&[40, 41, 45]), [50.0; 3]);
    }

    #[test]
    fn late_and_false_alarms_are_worth_what_the_definition_says() {
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} {b}");
        // Row 45: y = -(49 - 45 + 1)/10 = -0.5; sigmoid(-0.5)/sigmoid(-1) = 0.848283639957513/0.986614298151430.
        near(scores(&[45, 70])[0], 100.0 * (0.848_283_639_957_513 / 0.986_614_298_151_43 + 1.0 + 2.0) / 4.0);
        // Before any window an alarm costs all; three rows behind the first one, sigmoid(3/9) = -0.682286...
        let behind = 2.0 / (1.0 + (5.0_f64 / 3.0).exp()) - 1.0;
        near(scores(&[20, 40, 52, 70])[1], 100.0 * (2.0 - 0.22 + 0.22 * behind + 2.0) / 4.0);
        let tally = series(&[20, 21, 40, 52, 70]).tally(&PROFILES[0]);
        assert_eq!((tally.hit, tally.false_rows, tally.false_runs), (2, 3, 2));
    }
}
