//! The packs on public data, replayed over their slices: what comes of them stays the same unless somebody means it.
//!
//! A change is accepted with `INSTA_UPDATE=always cargo test --test it examples`, after reading the difference.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

/// Replays records into a folder and gives the changes of warnings and the summary.
fn replay(pack: &str, records: &[&str]) -> (Vec<Value>, Value) {
    let out = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_forewarn"));
    command.args(["replay", "--rules", pack, "--out"]).arg(out.path()).arg("--records").args(records);
    assert!(command.status().unwrap().success());
    let warnings = std::fs::read_to_string(out.path().join("warnings.jsonl")).unwrap();
    let summary = std::fs::read_to_string(out.path().join("summary.json")).unwrap();
    (warnings.lines().map(|l| serde_json::from_str(l).unwrap()).collect(), serde_json::from_str(&summary).unwrap())
}

/// Records by fate, and changes by indicator, kind and level.
fn digest(warnings: &[Value], summary: &Value) -> String {
    let mut out = String::new();
    for fate in ["in", "used", "late", "beyond_windows", "duplicate", "dead_lettered", "quarantined"] {
        writeln!(out, "{fate:<30} {}", summary["records"][fate].as_u64().unwrap()).unwrap();
    }
    let mut counts: BTreeMap<(String, String, String), usize> = BTreeMap::new();
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    for w in warnings {
        *counts.entry((text(&w["indicator"]["id"]), text(&w["kind"]), text(&w["level"]))).or_default() += 1;
    }
    for ((indicator, kind, level), n) in counts {
        writeln!(out, "{indicator:<30} {kind:<10} {level:<8} {n}").unwrap();
    }
    out
}

#[test]
fn chicago_food_warns_as_it_did() {
    let files = ["inspections", "visits", "licences", "complaints", "complaint_closures"];
    // Closings are the same rows on another day, which a replay sorts them by.
    let file = |source: &'static str| if source == "complaint_closures" { "complaints" } else { source };
    let records = files.iter().map(|f| format!("{f}=tests/data/chicago/{}.csv.gz", file(f)));
    let records: Vec<String> = records.collect();
    let records: Vec<&str> = records.iter().map(String::as_str).collect();
    let (warnings, summary) = replay("rules/examples/chicago-food", &records);
    let records = &summary["records"];
    assert_eq!((&records["dead_lettered"], &records["late"]), (&Value::from(0), &Value::from(0)));
    insta::assert_snapshot!("chicago-food", digest(&warnings, &summary));
}

#[test]
fn nab_warns_inside_the_labelled_windows() {
    let series = ["art_daily_jumpsdown", "ec2_cpu_utilization_53ea38", "speed_t4013"];
    let records: Vec<String> = series.iter().map(|s| format!("readings=tests/data/nab/{s}.csv")).collect();
    let records: Vec<&str> = records.iter().map(String::as_str).collect();
    let (warnings, summary) = replay("rules/examples/nab", &records);
    let windows: Value =
        serde_json::from_str(&std::fs::read_to_string(Path::new("tests/data/nab/windows.json")).unwrap()).unwrap();
    let mut text = digest(&warnings, &summary);
    for name in series {
        let labelled = windows[format!("{name}.csv")].as_array().unwrap();
        let mut found = vec![0; labelled.len()];
        let of_series = warnings.iter().filter(|w| w["key"].as_str().is_some_and(|k| k.ends_with(name)));
        for w in of_series.filter(|w| matches!(w["kind"].as_str(), Some("raised" | "returned"))) {
            // Both are local times; the label has a blank where RFC 3339 has a T.
            let at: String = w["occurred"].as_str().unwrap().replace('T', " ").chars().take(19).collect();
            let inside = labelled.iter().position(|l| {
                let (from, to) = (l[0].as_str().unwrap(), l[1].as_str().unwrap());
                from <= at.as_str() && at.as_str() <= to
            });
            let Some(window) = inside else { panic!("{name} warns at {at}, outside every labelled window") };
            found[window] += 1;
        }
        writeln!(text, "{name}: warnings per labelled window {found:?}").unwrap();
    }
    insta::assert_snapshot!("nab", text);
}

/// Scores the slice's inspections from its records; the records may be given in any order.
fn risk_scores(sources: &[&str], more: &[&str]) -> BTreeMap<String, f64> {
    let out = tempfile::tempdir().unwrap();
    let scores = out.path().join("scores.csv");
    let mut command = Command::new(env!("CARGO_BIN_EXE_forewarn"));
    command.args(["model", "score", "inspection_risk", "--rules", "rules/examples/chicago-food"]);
    for source in sources {
        command.args(["--records", &format!("{source}=tests/data/chicago/{source}.csv.gz")]);
    }
    command.args(["--targets", "tests/data/chicago/inspections.csv.gz", "--key", "License"]);
    command.args(["--id", "Inspection_ID", "--date", "Inspection_Date"]).args(more).arg("--out").arg(&scores);
    assert!(command.status().unwrap().success());
    let text = std::fs::read_to_string(scores).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("Inspection_ID,score"));
    let score = |line: &str| line.split_once(',').map(|(id, s)| (id.to_owned(), s.parse().unwrap())).unwrap();
    lines.map(score).collect()
}

#[test]
fn chicago_food_inspections_are_scored_as_they_were() {
    let scores = risk_scores(&["inspections", "visits", "licences", "complaints"], &[]);
    assert_eq!(scores, risk_scores(&["complaints", "licences", "visits", "inspections"], &[]));
    let frozen = risk_scores(&["inspections", "visits", "licences", "complaints"], &["--frozen", "2014-03-01"]);
    let mut text = String::new();
    for (name, scores) in [("daily", &scores), ("frozen 2014-03-01", &frozen)] {
        let mut sorted: Vec<f64> = scores.values().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let tenths: Vec<String> = (1..10).map(|t| format!("{:.4}", sorted[sorted.len() * t / 10])).collect();
        let mean = sorted.iter().sum::<f64>() / sorted.len() as f64;
        writeln!(text, "{name}: {} scores, mean {mean:.4}, tenths {}", sorted.len(), tenths.join(" ")).unwrap();
        for (id, score) in scores.iter().step_by(scores.len() / 5) {
            writeln!(text, "  {id} {score:.6}").unwrap();
        }
    }
    insta::assert_snapshot!("chicago-food-risk", text);
}
