//! Models score the same in the engine and by `model score`.
//!
//! Levels are set low, so that many changes of warnings show their score; each is compared with the score that the command
//! gives the same reading or count.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

fn forewarn(args: &[&str]) {
    let done = Command::new(env!("CARGO_BIN_EXE_forewarn"))
        .args(args)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(done.status.success(), "{args:?}\n{}", String::from_utf8_lossy(&done.stderr));
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// A pack of one indicator, with the sources of its kind.
fn pack(rules: &Path, id: &str, industry: &str, body: &str) {
    let lead = "market_regulation";
    write(
        &rules.join(industry).join("industry.yaml"),
        &format!("id: {industry}\nname: \"x\"\nname_en: \"x\"\nlead: {lead}\nassist: []\n"),
    );
    let level = "{ steps: [{ id: \"1\", by: lead, do: \"x\", within: 2h }] }";
    write(
        &rules.join(industry).join("plan.yaml"),
        &format!(
            "id: plan_{industry}\nname: \"x\"\nlevels:\n  blue: {level}\n  yellow: {level}\n  orange: {level}\n  red: {level}\n"
        ),
    );
    write(
        &rules.join(industry).join(format!("{id}.yaml")),
        &format!("id: {id}\nname: \"x\"\nstatus: stable\n{body}on_null: skip\nbasis: [{{ name: \"x\", status: D }}]\n"),
    );
}

/// Score by time of a file that the command wrote.
fn scores_of(file: &Path) -> BTreeMap<String, f64> {
    let text = std::fs::read_to_string(file).unwrap();
    let score = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        (cells[0].to_owned(), cells[1].parse().unwrap())
    };
    text.lines().skip(1).map(score).collect()
}

/// (local time, score) of every change of a replay, and whether the model was still learning.
fn replayed(dir: &Path, records: &str) -> Vec<(String, f64, bool)> {
    let text = |path: &Path| path.display().to_string();
    let (rules, out) = (text(&dir.join("rules")), text(&dir.join("out")));
    forewarn(&["replay", "--rules", &rules, "--out", &out, "--records", records]);
    let warnings = std::fs::read_to_string(dir.join("out/warnings.jsonl")).unwrap();
    let change = |line: &str| {
        let w: serde_json::Value = serde_json::from_str(line).unwrap();
        let at = w["occurred"].as_str().unwrap().replace('T', " ").chars().take(19).collect();
        let readings = w["readings"].as_array().unwrap();
        let score = readings.iter().find(|r| r["name"] == "score")?["value"].as_f64()?;
        Some((at, score, w["partial"].as_bool().unwrap_or(false)))
    };
    warnings.lines().filter_map(change).collect()
}

#[test]
fn a_series_scores_the_same_in_replay_and_by_the_command() {
    let series = "tests/data/nab/ec2_cpu_utilization_53ea38.csv";
    for (model, threshold, levels) in [
        ("ewma", 3.0, "{ blue: 0.5, yellow: 1, orange: 2, red: 3 }"),
        ("sensor_novelty", 5.9, "{ blue: 0.5, yellow: 1, orange: 2, red: 3 }"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let source = std::fs::read_to_string("rules/examples/nab/sources/readings.yaml").unwrap();
        write(&dir.path().join("rules/sources/readings.yaml"), &source);
        let body = format!(
            "source: readings\nkey: {{ space: object, state: [sensor_id] }}\nkind: model\nmodel: {model}\n\
             value: \"value\"\nlevels: {levels}\n"
        );
        pack(&dir.path().join("rules"), "nab_score", "special_equipment", &body);
        let changes = replayed(dir.path(), &format!("readings={series}"));
        let scores = dir.path().join("scores");
        forewarn(&["model", "score", model, "--series", series, "--out", &scores.display().to_string()]);
        let by_time = scores_of(&scores.join("ec2_cpu_utilization_53ea38.csv"));
        assert!(changes.len() >= 10, "{model}: only {} changes", changes.len());
        for (at, score, _) in &changes {
            // The command shows score / (score + threshold), to nine digits.
            let shown = score / (score + threshold);
            assert!((shown - by_time[at]).abs() < 1e-9, "{model} {at}: {shown} and {}", by_time[at]);
        }
    }
}

#[test]
fn counts_score_the_same_in_replay_and_by_the_command() {
    // Mondays since 1969-12-29: that of 2024-01-01 is 2818.
    let counts = [3, 5, 4, 2, 6, 4, 3, 4, 5, 4, 3, 0, 9, 4, 5, 3, 14, 12, 4, 2, 0, 0, 5, 4, 30, 3, 4, 6, 5, 4];
    let dir = tempfile::tempdir().unwrap();
    let mut records = String::new();
    let mut series = "series,t,count\n".to_owned();
    let mut id = 0;
    for (week, count) in counts.iter().enumerate() {
        for n in 0..*count {
            id += 1;
            let day = 19_723 + week as i64 * 7 + n % 7;
            let (year, month, date) = civil(day);
            writeln!(
                records,
                "{{\"record_id\":\"r{id}\",\"kind\":\"supervision\",\"source_system\":\"s\",\"source_dept\":\"hotline_12345\",\
                 \"industry\":\"food\",\"region\":\"371102\",\"entity_id\":\"91371102MA0000015N\",\"action\":\"complaint\",\
                 \"channel\":\"hotline_12345\",\"revision\":1,\
                 \"occurred_at\":\"{year:04}-{month:02}-{date:02}T{:02}:{:02}:00+08:00\"}}",
                8 + n / 7,
                n
            )
            .unwrap();
        }
        writeln!(series, "a,{},{count}", 2_818 + week).unwrap();
    }
    let record_file = dir.path().join("records.ndjson");
    write(&record_file, &records);
    write(&dir.path().join("counts.csv"), &series);
    let body = "source: supervision\nkey: { space: entity }\nincident: []\nkind: model\nmodel: count_surge\nwindow: 7d\n\
                levels: { blue: 0.3, yellow: 0.6, orange: 1, red: 2 }\n";
    pack(&dir.path().join("rules"), "food_count", "food", body);
    let changes = replayed(dir.path(), &format!("supervision={}", record_file.display()));
    let out = dir.path().join("scores.csv");
    let counts_file = dir.path().join("counts.csv").display().to_string();
    forewarn(&["model", "score", "count_surge", "--counts", &counts_file, "--out", &out.display().to_string()]);
    let text = std::fs::read_to_string(&out).unwrap();
    let by_week: BTreeMap<i64, f64> = text
        .lines()
        .skip(1)
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            (cells[1].parse().unwrap(), cells[2].parse().unwrap())
        })
        .collect();
    assert!(changes.len() >= 6, "{changes:?}");
    for (at, score, partial) in &changes {
        // Told at the Monday on which the week closed.
        let day: Vec<i64> = at.split([' ', '-']).take(3).map(|n| n.parse().unwrap()).collect();
        let closed = (0..counts.len() as i64).find(|week| civil(19_723 + (week + 1) * 7) == (day[0], day[1], day[2]));
        let week = closed.unwrap_or_else(|| panic!("{at} is no Monday of the series"));
        let scored = by_week[&(2_818 + week)];
        assert!((score - scored).abs() < 1e-6, "week {week}: {score} and {scored}");
        assert_eq!(*partial, week < 8, "week {week}");
    }
}

#[test]
fn a_group_scores_the_same_in_replay_and_by_the_command() {
    let dir = tempfile::tempdir().unwrap();
    let members = ["temp_c", "pressure_mpa", "power_kw"];
    let mut records = String::new();
    let mut series = format!("at,{}\n", members.join(","));
    let mut random = 11_u64;
    let mut noise = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random >> 40) as f64 / 16_777_216.0
    };
    for minute in 0..700 {
        let (load, heat) = (noise(), noise());
        let drift = if minute > 600 { 0.02 * f64::from(minute - 600) } else { 0.0 };
        let row = [40.0 + 5.0 * load + heat, 2.0 + load + drift, 10.0 + 3.0 * load + 0.2 * noise()];
        let at = format!("2026-03-02 {:02}:{:02}:00", minute / 60, minute % 60);
        write!(series, "{at}").unwrap();
        for (number, (member, value)) in members.iter().zip(row).enumerate() {
            // Now and then one is missing, once two: that row is not scored.
            let missing = (minute % 13 == 5 && number == 1) || (minute == 640 && number > 0);
            if missing {
                series.push(',');
                continue;
            }
            write!(series, ",{value}").unwrap();
            writeln!(
                records,
                "{{\"record_id\":\"r{minute}-{number}\",\"kind\":\"iot\",\"source_system\":\"s\",\"source_dept\":\"market_regulation\",\
                 \"industry\":\"special_equipment\",\"region\":\"371102\",\"object_id\":\"equip:371102-0001\",\"revision\":1,\
                 \"sensor_id\":\"s{number}\",\"sensor_type\":\"{member}\",\"status\":\"good\",\"value\":{value},\
                 \"occurred_at\":\"{}+08:00\"}}",
                at.replace(' ', "T")
            )
            .unwrap();
        }
        series.push('\n');
    }
    let record_file = dir.path().join("records.ndjson");
    write(&record_file, &records);
    write(&dir.path().join("series/group.csv"), &series);
    let body = "source: iot\nkey: { space: object }\nkind: model\nmodel: sensor_group\nvalue: \"value\"\n\
                members: [temp_c, pressure_mpa, power_kw]\nparameters: { calibrate: 300 }\n\
                levels: { blue: 0.05, yellow: 0.1, orange: 0.3, red: 0.7 }\n";
    pack(&dir.path().join("rules"), "group_score", "special_equipment", body);
    let changes = replayed(dir.path(), &format!("iot={}", record_file.display()));
    let (input, out) = (dir.path().join("series").display().to_string(), dir.path().join("scores"));
    let scores = out.display().to_string();
    forewarn(&["model", "score", "sensor_group", "--series", &input, "--calibrate", "300", "--out", &scores]);
    let by_time = scores_of(&out.join("group.csv"));
    assert!(changes.len() >= 10, "only {} changes", changes.len());
    for (at, score, partial) in &changes {
        assert!((score - by_time[at]).abs() < 1e-9, "{at}: {score} and {}", by_time[at]);
        assert!(!partial);
    }
}

/// Year, month and day of a day since 1970-01-01.
fn civil(day: i64) -> (i64, i64, i64) {
    let z = day + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}
