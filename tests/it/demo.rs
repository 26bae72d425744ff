//! `forewarn demo` as somebody who has just cloned the repository sees it: the real binary, over its page.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A demo takes a whole core: two at once would only wait for each other.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

struct Demo {
    child: Child,
    out: tempfile::TempDir,
    address: String,
    lines: BufReader<std::process::ChildStdout>,
}

fn demo(args: &[&str]) -> Demo {
    let out = tempfile::tempdir().expect("a temporary folder");
    let mut child = Command::new(env!("CARGO_BIN_EXE_forewarn"))
        .args(["demo", "--seed", "7", "--listen", "127.0.0.1:0"])
        .args(args)
        .arg("--out")
        .arg(out.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let mut lines = BufReader::new(child.stdout.take().expect("its output"));
    let mut first = String::new();
    lines.read_line(&mut first).expect("it says where the page is");
    let address = first.split("http://").nth(1).and_then(|rest| rest.split('/').next()).expect("an address").to_owned();
    Demo { child, out, address, lines }
}

impl Demo {
    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("the page answers");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("it reads");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("it answers and closes");
        text.split_once("\r\n\r\n").expect("a head").1.to_owned()
    }

    /// Waits until the page has seen so many changes of warnings.
    fn wait_for_changes(&self, changes: u64) {
        let limit = Instant::now() + Duration::from_secs(120);
        loop {
            let page: Value = serde_json::from_str(&self.get("/api/warnings?limit=100")).expect("JSON");
            if page["seq"].as_u64().is_some_and(|seq| seq >= changes) {
                return;
            }
            assert!(Instant::now() < limit, "the page shows {page} after two minutes");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until the page has warnings of so many indicators: how long that takes is up to the machine.
    fn wait_for_indicators(&self, most: usize) {
        let limit = Instant::now() + Duration::from_secs(180);
        loop {
            let page: Value = serde_json::from_str(&self.get("/api/warnings?limit=100")).expect("JSON");
            let rows = page["warnings"].as_array().into_iter().flatten();
            let seen: BTreeSet<&str> = rows.filter_map(|w| w["indicator"]["id"].as_str()).collect();
            if seen.len() >= most {
                return;
            }
            assert!(Instant::now() < limit, "after three minutes only {seen:?}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// What Ctrl-C sends.
    fn interrupt(&self) {
        let sent = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().expect("kill is there");
        assert!(sent.success());
    }

    /// Waits for its end; the rest of what it printed.
    fn end(mut self) -> (bool, String, tempfile::TempDir) {
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).expect("text");
        let status = self.child.wait().expect("it ends");
        (status.success(), rest, self.out)
    }
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("the file is there");
    text.lines().map(|l| serde_json::from_str(l).expect("a document a line")).collect()
}

/// Log time at the end, and the changes up to it by id: time, level and kind.
fn outcome(out: &Path) -> (String, BTreeMap<String, (String, String)>) {
    let text = std::fs::read_to_string(out.join("summary.json")).expect("a summary");
    let summary: Value = serde_json::from_str(&text).expect("JSON");
    let last = summary["log_time"]["last"].as_str().expect("log time moved").to_owned();
    let word = |w: &Value, field: &str| w[field].as_str().unwrap_or_default().to_owned();
    let changes = lines(&out.join("warnings.jsonl")).into_iter();
    let changes = changes
        .map(|w| (format!("{}.{}", word(&w, "id"), w["change"]), (word(&w, "found"), word(&w, "level"))))
        .collect();
    (last, changes)
}

#[test]
fn it_shows_warnings_of_many_indicators_and_accounts_for_every_record() {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let demo = demo(&[]);
    demo.wait_for_indicators(5);
    let scrape = demo.get("/metrics");
    demo.interrupt();
    let (fine, text, out) = demo.end();
    assert!(fine, "Ctrl-C is a good end: {text}");

    let summary = std::fs::read_to_string(out.path().join("summary.json")).expect("a summary");
    let summary: Value = serde_json::from_str(&summary).expect("JSON");
    let records = &summary["records"];
    let n = |field: &str| records[field].as_u64().unwrap_or_else(|| panic!("{field} is counted"));
    assert_eq!(
        n("in"),
        n("used") + n("duplicate") + n("stale_revision") + n("dead_lettered") + n("quarantined"),
        "{records}"
    );
    assert!(n("in") > 25_000, "registry, history and live records: {records}");
    assert_eq!(n("quarantined"), 0, "city time is never the future: {records}");
    let indicators: BTreeSet<String> = lines(&out.path().join("warnings.jsonl"))
        .iter()
        .filter_map(|w| w["indicator"]["id"].as_str().map(str::to_owned))
        .collect();
    assert!(indicators.len() >= 5, "{indicators:?}\n{text}");
    assert!(indicators.contains("gas_leak_lel"), "{indicators:?}");
    assert!(text.contains("warnings:") && text.contains("planted incidents"), "the summary is printed: {text}");

    for letter in lines(&out.path().join("dead-letters.jsonl")) {
        let origin = letter["origin"].as_str().expect("a file");
        let from = usize::try_from(letter["offset"].as_u64().expect("a place")).expect("it fits");
        let length = usize::try_from(letter["length"].as_u64().expect("a length")).expect("it fits");
        let bytes = std::fs::read(origin).expect("the raw messages are kept");
        let payload = bytes.get(from..from + length).expect("it points into the file");
        assert_eq!(bytes.get(from + length), Some(&b'\n'), "one whole message: {}", String::from_utf8_lossy(payload));
    }

    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is installed (apt-get install prometheus)");
    promtool.stdin.take().expect("its input").write_all(scrape.as_bytes()).expect("it reads");
    let said = promtool.wait_with_output().expect("it ends");
    assert!(
        said.status.success(),
        "{}{}",
        String::from_utf8_lossy(&said.stdout),
        String::from_utf8_lossy(&said.stderr)
    );
    for family in [
        "forewarn_records_in_total{",
        "forewarn_records_total{",
        "forewarn_engine_rule_matches_total{",
        "forewarn_warnings_open{",
    ] {
        assert!(scrape.contains(family), "{family}");
    }
}

#[test]
fn the_same_seed_gives_the_same_warnings_for_the_city_time_that_both_runs_reached() {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let runs = [10, 14].map(|changes| (demo(&[]), changes));
    let [(a_end, a), (b_end, b)] = runs.map(|(demo, changes)| {
        demo.wait_for_changes(changes);
        demo.interrupt();
        let (fine, text, out) = demo.end();
        assert!(fine, "Ctrl-C is a good end: {text}");
        outcome(out.path())
    });
    // A warning that is due at the very end may or may not have come: compare what is before it.
    let both = a_end.min(b_end);
    let until = |changes: BTreeMap<String, (String, String)>| -> BTreeMap<_, _> {
        changes.into_iter().filter(|(_, (found, _))| *found < both).collect()
    };
    let (a, b) = (until(a), until(b));
    assert!(!a.is_empty(), "both runs got somewhere: {both}");
    assert_eq!(a, b);
}

#[test]
fn it_ends_by_itself_with_a_summary_whatever_it_was_doing() {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let (fine, text, out) = demo(&["--for", "2s"]).end();
    assert!(fine, "{text}");
    assert!(text.contains("warnings:"), "{text}");
    assert!(out.path().join("summary.json").is_file());
}
