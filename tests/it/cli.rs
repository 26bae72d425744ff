//! The commands as people run them: the real binary, real files, exit codes.
//!
//! 0 is fine, 1 findings or failures, 2 wrong use. Kafka's commands are tested with the broker.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const PACK: &str = "rules/examples/nab";
/// A row that the pack cannot read: its day is written with slashes.
const BAD_ROW: &str = "2014/04/15 00:00:00,42.5";

struct Done {
    code: Option<i32>,
    out: String,
    err: String,
}

/// Runs the binary in the project's folder.
fn forewarn(args: &[&str]) -> Done {
    let done = Command::new(env!("CARGO_BIN_EXE_forewarn"))
        .args(args)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("the binary was built with this test");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is UTF-8");
    Done { code: done.status.code(), out: text(done.stdout), err: text(done.stderr) }
}

#[track_caller]
fn check(args: &[&str], code: i32, says: &[&str]) -> Done {
    let done = forewarn(args);
    assert_eq!(done.code, Some(code), "{args:?}\n{}\n{}", done.out, done.err);
    for words in says {
        assert!(done.out.contains(words) || done.err.contains(words), "no {words:?}\n{}\n{}", done.out, done.err);
    }
    done
}

/// A public series with one row that cannot be read, replayed.
struct Run {
    dir: tempfile::TempDir,
}

impl Run {
    fn new() -> Run {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let series = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/nab/speed_t4013.csv");
        let series = std::fs::read_to_string(series).expect("the test's files can be read and written");
        std::fs::write(dir.path().join("series.csv"), format!("{}\n{BAD_ROW}\n", series.trim_end()))
            .expect("the test's files can be read and written");
        let run = Run { dir };
        run.replay("series.csv");
        run
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    fn out(&self) -> String {
        self.path("out")
    }

    fn replay(&self, file: &str) {
        let records = format!("readings={}", self.path(file));
        check(&["replay", "--rules", PACK, "--out", &self.out(), "--records", &records], 0, &["warnings"]);
    }

    /// The id of the first warning.
    fn id(&self) -> String {
        let lines =
            std::fs::read_to_string(self.path("out/warnings.jsonl")).expect("the test's files can be read and written");
        let first = lines.lines().next().expect("the series jumps, so there is a warning");
        let first: serde_json::Value = serde_json::from_str(first).expect("lines of warnings are JSON");
        first["id"].as_str().expect("an id is a text").to_owned()
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("the test's files can be read and written");
    for entry in std::fs::read_dir(from).expect("the folder is there") {
        let entry = entry.expect("the folder can be read").path();
        let target = to.join(entry.file_name().expect("entries have names"));
        if entry.is_dir() {
            copy(&entry, &target);
        } else {
            std::fs::copy(&entry, &target).expect("the test's files can be read and written");
        }
    }
}

#[test]
fn exit_codes_tell_findings_from_wrong_use() {
    let dir = tempfile::tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join(PACK), dir.path());
    let source = dir.path().join("sources/readings.yaml");
    let text = std::fs::read_to_string(&source).unwrap();
    std::fs::write(&source, text.replace("object_id:", "objekt_id:")).unwrap();
    let broken = dir.path().display().to_string();
    let out = dir.path().join("out").display().to_string();
    let settings = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join(PACK).display().to_string();
    let typo = settings("typo.yaml", "inptus: {}");
    let nothing = settings("nothing.yaml", &format!("rules: {rules}\nsecret: env:PATH"));
    let unknown = settings("unknown.yaml", &format!("rules: {rules}\nsecret: env:PATH\ninputs: {{ reading: a.csv }}"));
    let no_folder =
        settings("folder.yaml", &format!("rules: {rules}\nsecret: env:PATH\ninputs: {{ readings: no/a.csv }}"));
    let no_secret = settings("secret.yaml", &format!("rules: {rules}\ninputs: {{ readings: a.csv }}"));
    let no_models = settings("models.yaml", &format!("rules: {rules}\nmodels: no-such\nsecret: env:PATH"));
    let no_rules = settings("rules.yaml", "rules: no-such\nsecret: env:PATH");
    let series = "readings=tests/data/nab/speed_t4013.csv";
    for (args, code, says) in [
        (vec!["check", PACK], 0, ""),
        (vec!["check", &broken], 1, "objekt_id"),
        (vec!["schema", "everything"], 2, "everything"),
        (vec!["replay", "--rules", PACK, "--out", &out, "--records", "nothing=README.md"], 2, "no source \"nothing\""),
        (vec!["replay", "--rules", PACK, "--out", &out, "--records", "readings=no-such-file.csv"], 1, "no-such-file"),
        (vec!["replay", "--rules", &broken, "--out", &out, "--records", "readings=README.md"], 2, "forewarn check"),
        (
            vec!["replay", "--rules", PACK, "--models", "no-such", "--out", &out, "--records", series],
            2,
            "--models no-such: 没有此文件夹",
        ),
        (vec!["replay", "--rules", "no-such", "--out", &out, "--records", series], 2, "no-such: 没有此文件夹"),
        (vec!["model", "list", "--models", "README.md"], 2, "--models README.md: 不是文件夹"),
        (vec!["run", "--config", &no_models], 2, "no-such: 没有此文件夹"),
        (vec!["run", "--config", &no_rules], 2, "no-such: 没有此文件夹"),
        (vec!["explain", "w1-2", "--out", &out], 1, "holds no log"),
        (vec!["explain", "w1-2", "--config", "no-such.yaml"], 1, "no-such.yaml"),
        (vec!["explain", "w1-2"], 2, "--out"),
        (vec!["dead-letters", "list", "--out", &out], 1, "dead-letters.jsonl"),
        (vec!["model", "score", "nothing", "--series", "a.csv", "--out", &out], 2, "no model \"nothing\""),
        (vec!["model", "score", "surge", "--series", "a.csv", "--out", &out], 2, "scores no series"),
        (vec!["run"], 2, "--config"),
        (vec!["run", "--config", "no-such.yaml"], 1, "no-such.yaml"),
        (vec!["run", "--config", &typo], 1, "did you mean \"inputs\"?"),
        (vec!["run", "--config", &nothing], 2, "names nothing to read"),
        (vec!["run", "--config", &unknown], 2, "inputs.reading: no source of that name"),
        (vec!["run", "--config", &no_folder], 1, "neither it nor its folder"),
        (vec!["run", "--config", &no_secret], 2, "no `secret:`"),
        (vec!["run", "--config", &nothing, "--role", "engine"], 2, "leave out --role"),
        (vec!["topics", "check", "--config", &nothing], 2, "kafka"),
        (vec!["demo", "--speed", "0"], 2, "--speed"),
        (vec!["test", "no-such-folder"], 2, "no-such-folder"),
        (vec!["no-such-command"], 2, "no-such-command"),
        (vec!["--help"], 0, "Exit codes"),
        (vec!["--version"], 0, "forewarn"),
    ] {
        check(&args, code, &[says]);
    }
}

#[test]
fn every_command_shows_an_example_in_its_help() {
    for command in ["demo", "run", "replay", "check", "test", "publish", "explain", "topics", "dead-letters", "schema"]
    {
        check(&[command, "--help"], 0, &["Example: forewarn", command]);
    }
}

#[test]
fn a_reader_who_stops_reading_ends_the_command_quietly() {
    let run = Run::new();
    let out = run.out();
    for args in [
        vec!["schema", "rule"],
        vec!["check", PACK],
        vec!["test", PACK],
        vec!["dead-letters", "list", "--out", &out],
        vec!["explain", &run.id(), "--out", &out],
        vec!["--help"],
    ] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_forewarn"))
            .args(&args)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let done = child.wait_with_output().unwrap();
        let said = String::from_utf8(done.stderr).unwrap();
        assert!(!said.contains("panicked") && done.status.code().is_some(), "{args:?}: {said}");
    }
}

#[test]
fn every_form_has_a_schema_that_is_json() {
    for form in ["record", "source", "rule", "plan", "model", "warning"] {
        let done = check(&["schema", form], 0, &[]);
        let schema: serde_json::Value = serde_json::from_str(&done.out).unwrap();
        assert!(schema.is_object(), "{form}");
    }
}

#[test]
fn a_warning_is_explained_from_its_log_with_or_without_the_file_of_warnings() {
    let run = Run::new();
    let (id, out) = (run.id(), run.out());
    check(&["explain", &id, "--out", &out], 0, &["same numbers", &id, "series:series", "牵头 lead", "quiet if"]);

    // One character of the id wrong: the right one is the hint.
    let (head, _) = id.split_at(id.len() - 1);
    check(&["explain", &format!("{head}0"), "--out", &out], 1, &["no warning", &id]);

    let warnings = PathBuf::from(run.path("out/warnings.jsonl"));
    let lines = std::fs::read_to_string(&warnings).unwrap();
    let edited = lines.replacen("\"evidence_total\":", "\"evidence_total\":9", 1);
    assert_ne!(edited, lines);
    std::fs::write(&warnings, edited).unwrap();
    check(&["explain", &id, "--out", &out], 1, &["1 differences", "evidence_total was 9"]);

    std::fs::remove_file(&warnings).unwrap();
    check(&["explain", &id, "--out", &out], 0, &["reached from the log alone"]);
}

#[test]
fn a_dead_letter_is_listed_shown_and_becomes_a_record_once_its_cause_is_mended() {
    let run = Run::new();
    let out = run.out();
    check(&["dead-letters", "list", "--out", &out], 0, &["1 of 1", "readings", "series.csv"]);
    check(&["dead-letters", "list", "--out", &out, "--reason", "uscc"], 0, &["0 of 1"]);
    check(&["dead-letters", "show", "1", "--out", &out], 0, &["2014/04/15 00:00:00", "42.5"]);
    check(&["dead-letters", "show", "2", "--out", &out], 2, &["no dead letter 2"]);

    // The same pack refuses it again, at the place where it stands in the file.
    let (same, mended) = (run.path("same"), run.path("mended"));
    check(&["dead-letters", "replay", "--out", &out, "--to", &same, "--rules", PACK], 0, &["1 messages"]);
    let letter = |folder: &str| {
        let line = std::fs::read_to_string(run.path(&format!("{folder}/dead-letters.jsonl"))).unwrap();
        let line: serde_json::Value = serde_json::from_str(line.trim()).unwrap();
        ["reason", "origin", "offset", "length", "sha256"].map(|name| line[name].clone())
    };
    assert_eq!(letter("same"), letter("out"));
    check(&["dead-letters", "list", "--out", &out], 0, &["1 of 1"]);

    let pack = run.dir.path().join("pack");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join(PACK), &pack);
    let source = pack.join("sources/readings.yaml");
    let text = std::fs::read_to_string(&source).unwrap();
    let both = text.replace("\"%Y-%m-%d %H:%M:%S\"", "\"%Y-%m-%d %H:%M:%S\", \"%Y/%m/%d %H:%M:%S\"");
    assert_ne!(both, text);
    std::fs::write(&source, both).unwrap();
    let rules = pack.display().to_string();
    check(&["dead-letters", "replay", "--out", &out, "--to", &mended, "--rules", &rules], 0, &["1 messages"]);
    assert_eq!(std::fs::read_to_string(run.path("mended/dead-letters.jsonl")).unwrap(), "");
    let summary = std::fs::read_to_string(run.path("mended/summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    assert_eq!(summary["records"]["used"], 1, "{summary}");

    check(&["dead-letters", "replay", "--out", &out, "--to", &out, "--rules", PACK], 2, &["another folder"]);
    let no_models = ["dead-letters", "replay", "--out", &out, "--to", &mended, "--rules", PACK, "--models", "no-such"];
    check(&no_models, 2, &["--models no-such"]);

    // It became a record, so that it is listed and sent in again only when asked for.
    check(&["dead-letters", "list", "--out", &out], 0, &["0 of 1", "sent in again: 1"]);
    check(&["dead-letters", "list", "--out", &out, "--all"], 0, &["1 of 1", "series.csv", "已重放"]);
    check(&["dead-letters", "replay", "--out", &out, "--to", &mended, "--rules", &rules], 0, &["0 messages"]);
    run.replay("series.csv");
    check(&["dead-letters", "list", "--out", &out], 0, &["1 of 1"]);
}

#[test]
fn a_dead_letter_is_shown_from_another_folder_than_that_of_its_replay() {
    let run = Run::new();
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join(PACK);
    let done = Command::new(env!("CARGO_BIN_EXE_forewarn"))
        .args(["replay", "--out", "here", "--records", "readings=series.csv", "--rules"])
        .arg(rules)
        .current_dir(run.dir.path())
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    check(&["dead-letters", "show", "1", "--out", &run.path("here")], 0, &["2014/04/15 00:00:00"]);
}

#[test]
fn test_files_are_checked_with_the_rules_and_say_where_they_are_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let rules = dir.path().join("rules");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("rules"), &rules);
    let root = rules.display().to_string();
    check(&["check", &root], 0, &["0 errors"]);
    let tests = rules.join("gas/gas_leak_lel.test.yaml");
    let text = std::fs::read_to_string(&tests).unwrap();
    let bad =
        text.replace("indicator: gas_leak_lel", "indicator: gas_leak_lell").replacen("    expect:", "    expekt:", 1);
    assert_ne!(bad, text);
    std::fs::write(&tests, &bad).unwrap();
    let line = bad.lines().position(|l| l.starts_with("    expekt:")).unwrap() + 1;
    let place = format!("gas_leak_lel.test.yaml:{line}:5 此处没有字段“expekt”");
    let id = "gas_leak_lel.test.yaml:1:12 没有指标“gas_leak_lell”";
    check(&["check", &root], 1, &[&place, id, "did you mean \"gas_leak_lel\"?"]);
    check(&["check", &tests.display().to_string()], 1, &[&place, id]);
    check(&["test", &tests.display().to_string()], 1, &[&place]);
    check(&["check", &rules.join("food").display().to_string()], 0, &["0 errors"]);
}

#[test]
fn a_dead_letter_whose_file_was_changed_or_is_gone_is_unrecoverable() {
    let run = Run::new();
    let (out, to) = (run.out(), run.path("to"));
    let series = run.path("series.csv");
    let text = std::fs::read_to_string(&series).unwrap();
    std::fs::write(&series, text.replace("42.5", "42.6")).unwrap();
    check(&["dead-letters", "show", "1", "--out", &out], 1, &["unrecoverable", "other bytes"]);
    check(&["dead-letters", "replay", "--out", &out, "--to", &to, "--rules", PACK], 1, &["unrecoverable: 1"]);
    std::fs::remove_file(&series).unwrap();
    check(&["dead-letters", "show", "1", "--out", &out], 1, &["unrecoverable", "cannot be read"]);
    check(&["dead-letters", "replay", "--out", &out, "--to", &to, "--rules", PACK], 1, &["unrecoverable: 1"]);
}

#[test]
fn a_dead_letter_of_a_packed_file_is_fetched_from_inside_it() {
    let run = Run::new();
    let text = std::fs::read(run.path("series.csv")).unwrap();
    let file = std::fs::File::create(run.path("series.csv.gz")).unwrap();
    let mut packed = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    packed.write_all(&text).unwrap();
    packed.finish().unwrap();
    run.replay("series.csv.gz");
    check(&["dead-letters", "show", "1", "--out", &run.out()], 0, &["series.csv.gz", "2014/04/15 00:00:00"]);
}
