//! `forewarn run` without Kafka: the real binary over real files, killed where it hurts.
//!
//! The log is the truth: whatever happens, the outcome files are those that a fresh look at the log leads to, and every
//! line of every input is in the log once.

use forewarn::deliver::Summary;
use forewarn::intake::Options;
use forewarn::log::{Clock, Committed, Folders, resume};
use forewarn::pack::{Body, Pack};
use forewarn::record::time;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const SECRET: &str = "a secret of the test";
const OUTCOMES: [&str; 3] = ["warnings.jsonl", "signals.jsonl", "dead-letters.jsonl"];

/// A folder with settings, inputs and outcomes.
struct Place {
    dir: tempfile::TempDir,
    rules: PathBuf,
}

impl Place {
    fn new(rules: &str, settings: &str) -> Place {
        let dir = tempfile::tempdir().unwrap();
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join(rules);
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
        let text = format!(
            "rules: {}\nmodels: {}\nout: out\nsecret: file:secret\nconsole: {{ listen: \"127.0.0.1:0\" }}\n{settings}\n",
            rules.display(),
            models.display()
        );
        std::fs::write(dir.path().join("forewarn.yaml"), text).unwrap();
        std::fs::write(dir.path().join("secret"), SECRET).unwrap();
        Place { dir, rules }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn outcomes(&self) -> BTreeMap<&'static str, String> {
        OUTCOMES.iter().map(|name| (*name, self.read(&format!("out/{name}")))).collect()
    }

    /// Lines of an outcome file so far.
    fn lines(&self, name: &str) -> u64 {
        self.read(&format!("out/{name}")).lines().count() as u64
    }

    fn summary(&self) -> Summary {
        serde_json::from_str(&self.read("out/summary.json")).unwrap()
    }

    fn append(&self, name: &str, bytes: &[u8]) {
        let file = OpenOptions::new().create(true).append(true).open(self.path(name));
        file.and_then(|mut f| f.write_all(bytes)).unwrap();
    }

    /// Starts a run and waits until its page answers.
    fn start(&self) -> Running {
        let mut child = Command::new(env!("CARGO_BIN_EXE_forewarn"))
            .args(["run", "--config"])
            .arg(self.path("forewarn.yaml"))
            .stdout(Stdio::piped())
            .stderr(OpenOptions::new().create(true).append(true).open(self.path("stderr")).unwrap())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        lines.read_line(&mut first).unwrap();
        let address = first.split("http://").nth(1).and_then(|rest| rest.split('/').next()).map(str::to_owned);
        match address {
            Some(address) => Running { child, lines, address },
            None => panic!("no page: {first}{}", self.read("stderr")),
        }
    }

    /// A run to its own end.
    fn run(&self) -> String {
        let (fine, said) = self.start().end();
        assert!(fine, "{said}{}", self.read("stderr"));
        said
    }

    /// What a fresh look at a copy of the log leads to, without snapshots.
    fn derived(&self, clock: Clock, raw: &[&str]) -> BTreeMap<&'static str, String> {
        let fresh = tempfile::tempdir().unwrap();
        let at = |name: &str| fresh.path().join(name);
        std::fs::create_dir(at("log")).unwrap();
        for entry in std::fs::read_dir(self.path("out/log")).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), at("log").join(entry.file_name())).unwrap();
        }
        let body = Body::load(&self.rules, &Path::new(env!("CARGO_MANIFEST_DIR")).join("models")).unwrap();
        let pack = Arc::new(Pack::read(body).unwrap());
        let options = Options { partitions: 1, clock, secret: SECRET.as_bytes().to_vec() };
        let folders = Folders { log: at("log"), snapshots: at("snapshots"), out: at("out") };
        let raw = raw.iter().map(|r| (*r).to_owned()).collect();
        let mut resumed = resume(&pack, &options, raw, Committed::default(), &folders).unwrap();
        assert_eq!((resumed.restored, resumed.differing), (None, 0));
        resumed.files.sync().unwrap();
        OUTCOMES.iter().map(|n| (*n, std::fs::read_to_string(at("out").join(n)).unwrap())).collect()
    }
}

struct Running {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
    address: String,
}

impl Drop for Running {
    /// A test that fails leaves nobody behind.
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            drop(self.child.kill().and_then(|()| self.child.wait()));
        }
    }
}

impl Running {
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn interrupt(self) -> (bool, String) {
        let done = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        assert!(done.success());
        self.end()
    }

    fn end(mut self) -> (bool, String) {
        let mut said = String::new();
        self.lines.read_to_string(&mut said).unwrap();
        let status = self.child.wait().unwrap();
        (status.success(), said)
    }

    fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n", self.address).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        Some(text)
    }

    /// Log time says that everything written before a time has been read.
    fn wait_for_log_time(&self, at: i64) {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(60) {
            let metrics = self.get("/metrics").expect("the run has ended");
            let reached = metrics.lines().find_map(|l| l.strip_prefix("forewarn_log_time_seconds{partition=\"0\"} "));
            if reached.is_some_and(|text| text.parse::<f64>().unwrap() * 1000.0 >= at as f64) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("log time did not reach the time at which the last line was written");
    }
}

fn now() -> i64 {
    forewarn::clock::now_ms()
}

/// A small generator of chance: a failure is repeated with its seed.
struct Chance(u64);

impl Chance {
    fn new() -> Chance {
        let seed = std::env::var("FOREWARN_SEED").ok().and_then(|s| s.parse().ok());
        let seed = seed.unwrap_or_else(|| now().unsigned_abs());
        println!("FOREWARN_SEED={seed}");
        Chance(seed)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// A reading of one of thirty detectors. Values go up and down, so that warnings are raised, upgraded and cleared.
fn reading(number: u64, at: i64) -> String {
    let value = (number / 30 * 7) % 60;
    format!(
        "{{\"kind\":\"iot\",\"record_id\":\"r{number}\",\"source_system\":\"t\",\"source_dept\":\"urban_management\",\
         \"industry\":\"gas\",\"region\":\"371102\",\"object_id\":\"equip:371102-{:04}\",\"occurred_at\":\"{}\",\
         \"sensor_id\":\"s1\",\"sensor_type\":\"gas_lel\",\"value\":{value},\"unit\":\"%LEL\",\"status\":\"good\"}}\n",
        number % 30,
        time::rfc3339(at)
    )
}

/// Ids with the numbers of their changes, which must be 1, 2, 3 and so on, each once.
fn assert_changes_follow(warnings: &str) {
    let mut changes: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for line in warnings.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let id = line["id"].as_str().unwrap().to_owned();
        changes.entry(id).or_default().push(line["change"].as_u64().unwrap());
    }
    assert!(!changes.is_empty(), "no warning at all");
    for (id, numbers) in changes {
        let expected: Vec<u64> = (1..=numbers.len() as u64).collect();
        assert_eq!(numbers, expected, "{id}");
    }
}

#[test]
fn killed_at_random_moments_it_loses_no_line_and_doubles_none() {
    let place = Place::new("rules", "inputs: { iot: iot.jsonl, feedback: dropped/ }\nsnapshot_every: 1s");
    std::fs::create_dir(place.path("dropped")).unwrap();
    place.append("iot.jsonl", b"");
    let mut chance = Chance::new();
    let (mut good, mut bad, mut kills) = (0, 0, 0);
    let mut running = Some(place.start());
    let mut next_kill = Instant::now() + Duration::from_millis(1_000 + chance.below(2_000));
    let mut half: Vec<u8> = Vec::new();
    while kills < 4 {
        let mut lines = String::new();
        for _ in 0..chance.below(60) {
            if chance.below(50) == 0 {
                lines.push_str("{\"kind\":\"iot\", broken\n");
                bad += 1;
            } else {
                lines.push_str(&reading(good, now()));
                good += 1;
            }
        }
        // Writers stop in the middle of lines.
        let bytes = [std::mem::take(&mut half), lines.into_bytes()].concat();
        let cut = usize::try_from(chance.below(bytes.len() as u64 + 1)).unwrap();
        let (first, rest) = bytes.split_at(cut);
        place.append("iot.jsonl", first);
        half = rest.to_vec();
        if chance.below(20) == 0 {
            std::fs::write(place.path(&format!("dropped/{bad}.jsonl")), "no feedback\n").unwrap();
            bad += 1;
        }
        std::thread::sleep(Duration::from_millis(10 + chance.below(30)));
        if Instant::now() > next_kill {
            running.take().unwrap().kill();
            kills += 1;
            running = Some(place.start());
            next_kill = Instant::now() + Duration::from_millis(500 + chance.below(3_000));
        }
    }
    place.append("iot.jsonl", &half);
    // A dropped file is taken as whole after two quiet seconds; a busy machine comes to it later.
    let running = running.unwrap();
    let began = Instant::now();
    while place.lines("dead-letters.jsonl") < bad && began.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(200));
    }
    running.wait_for_log_time(now());
    let (fine, said) = running.interrupt();
    assert!(fine, "{said}{}", place.read("stderr"));

    let total = place.summary().records.total;
    assert_eq!((total.incoming, total.used, total.dead_lettered), (good + bad, good, bad), "{said}");
    assert_eq!((total.duplicate, total.quarantined), (0, 0));
    let outcomes = place.outcomes();
    assert_changes_follow(&outcomes["warnings.jsonl"]);
    assert_eq!(outcomes["dead-letters.jsonl"].lines().count() as u64, bad);
    let derived = place.derived(Clock::Wall, &["feedback/0", "iot/0"]);
    for name in OUTCOMES {
        assert!(outcomes[name] == derived[name], "{name} is not what the log leads to");
    }
    println!("{good} readings, {bad} bad lines, {kills} kills");
}

#[test]
fn torn_files_and_spoilt_snapshots_change_nothing() {
    let place = Place::new("rules", "inputs: { iot: iot.jsonl }\nsnapshot_every: 1s");
    place.append("iot.jsonl", b"");
    let running = place.start();
    for number in 0..2_000 {
        place.append("iot.jsonl", reading(number, now()).as_bytes());
        if number % 100 == 0 {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    running.wait_for_log_time(now());
    let three = || std::fs::read_dir(place.path("out/snapshots/0")).is_ok_and(|found| found.count() >= 3);
    let began = Instant::now();
    while !three() && began.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(100));
    }
    running.kill();
    let raw = ["iot/0"];
    let truth = place.derived(Clock::Wall, &raw);
    assert_changes_follow(&truth["warnings.jsonl"]);
    let snapshots = |place: &Place| {
        let mut all: Vec<PathBuf> =
            std::fs::read_dir(place.path("out/snapshots/0")).unwrap().map(|e| e.unwrap().path()).collect();
        all.sort();
        all
    };
    assert_eq!(snapshots(&place).len(), 3, "three are kept");

    type Spoil<'a> = (&'a str, Box<dyn Fn() + 'a>);
    let spoils: Vec<Spoil<'_>> = vec![
        ("the log ends in a torn entry", Box::new(|| place.append("out/log/00000001.seg", b"\x40\0\0\0\0\0\0\0torn"))),
        (
            "a line of warnings is half written",
            Box::new(|| {
                let text = place.read("out/warnings.jsonl");
                let cut: String = text.chars().take(text.chars().count() - 40).collect();
                std::fs::write(place.path("out/warnings.jsonl"), cut).unwrap();
            }),
        ),
        ("warnings end in what is no line of ours", Box::new(|| place.append("out/warnings.jsonl", b"{\"id\":\"w"))),
        (
            "the newest snapshot is damaged",
            Box::new(|| {
                let newest = snapshots(&place).pop().unwrap();
                let mut bytes = std::fs::read(&newest).unwrap();
                *bytes.last_mut().unwrap() ^= 1;
                std::fs::write(newest, bytes).unwrap();
            }),
        ),
        ("signals are gone", Box::new(|| std::fs::remove_file(place.path("out/signals.jsonl")).unwrap())),
        ("all snapshots are gone", Box::new(|| std::fs::remove_dir_all(place.path("out/snapshots")).unwrap())),
    ];
    for (what, spoil) in spoils {
        spoil();
        let running = place.start();
        running.wait_for_log_time(now());
        running.kill();
        let outcomes = place.outcomes();
        for name in OUTCOMES {
            // Time has gone on since: lines may have been added, none may have changed.
            assert!(outcomes[name].starts_with(&truth[name]), "{what}: {name} differs");
        }
    }
    let outcomes = place.outcomes();
    let derived = place.derived(Clock::Wall, &raw);
    for name in OUTCOMES {
        assert!(outcomes[name] == derived[name], "{name} is not what the log leads to");
    }
}

#[test]
fn a_history_killed_on_the_way_ends_like_a_replay_of_it() {
    let names = ["complaint_closures", "complaints", "inspections", "licences", "visits"];
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/chicago");
    let mut inputs = String::new();
    for name in names {
        writeln!(inputs, "  {name}: {}", data.join(format!("{name}.csv.gz")).display()).unwrap();
    }
    let rules = "rules/examples/chicago-food";
    let settings = format!("snapshot_every: 1s\nlog: {{ clock: records }}\ninputs:\n{inputs}");
    let place = Place::new(rules, &settings);
    let mut chance = Chance::new();
    for _ in 0..3 {
        let running = place.start();
        std::thread::sleep(Duration::from_millis(300 + chance.below(1_500)));
        running.kill();
    }
    place.run();
    // The same secret as a replay has plays no part here: these records name no person.
    let replayed = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_forewarn"));
    command.args(["replay", "--rules"]).arg(&place.rules).arg("--out").arg(replayed.path()).arg("--records");
    for name in names {
        command.arg(format!("{name}={}", data.join(format!("{name}.csv.gz")).display()));
    }
    assert!(command.stdout(Stdio::null()).status().unwrap().success());
    let outcomes = place.outcomes();
    for name in OUTCOMES {
        let expected = std::fs::read_to_string(replayed.path().join(name)).unwrap();
        assert!(outcomes[name] == expected, "{name} differs from the replay's");
    }
    let expected: Summary =
        serde_json::from_str(&std::fs::read_to_string(replayed.path().join("summary.json")).unwrap()).unwrap();
    let seconds = place.summary().seconds;
    assert_eq!(place.summary(), Summary { seconds, ..expected });

    // It is over: another start changes nothing.
    place.run();
    assert_eq!(place.outcomes(), outcomes);
}

/// A command of the binary with the settings of a place; gives its exit code and all that it said.
fn ask(place: &Place, args: &[&str]) -> (Option<i32>, String) {
    let done = Command::new(env!("CARGO_BIN_EXE_forewarn"))
        .args(args)
        .arg("--config")
        .arg(place.path("forewarn.yaml"))
        .output()
        .unwrap();
    let said = [done.stdout, done.stderr].concat();
    (done.status.code(), String::from_utf8(said).unwrap())
}

#[test]
fn a_dead_letter_sent_in_again_becomes_a_record_of_the_running_system() {
    let place = Place::new("rules", "inputs: { iot: iot.jsonl, registry: registry/ }");
    std::fs::create_dir(place.path("registry")).unwrap();
    // Sent in by a gateway whose clock was an hour ahead: quarantined now, good in an hour.
    let ahead = reading(1, now() + 125_000);
    place.append("iot.jsonl", [reading(0, now()), ahead, "{}\n".to_owned()].concat().as_bytes());
    let running = place.start();
    running.wait_for_log_time(now());
    let (code, said) = ask(&place, &["dead-letters", "list"]);
    assert_eq!(code, Some(0));
    assert!(said.contains("2 of 2") && said.contains("future"), "{said}");
    // Six seconds later it is no longer ahead of its two minutes.
    std::thread::sleep(Duration::from_millis(6_000));
    let (code, said) = ask(&place, &["dead-letters", "replay", "--reason", "future"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("handed over") && said.contains("commit: 1"), "{said}");
    let began = Instant::now();
    while place.path("out/inbox").read_dir().unwrap().count() > 0 && began.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let (fine, said) = running.interrupt();
    assert!(fine, "{said}{}", place.read("stderr"));
    let total = place.summary().records.total;
    assert_eq!((total.incoming, total.used, total.dead_lettered, total.quarantined), (4, 2, 1, 1), "{said}");

    // It is listed and sent again only when asked for.
    let (_, said) = ask(&place, &["dead-letters", "list"]);
    assert!(said.contains("1 of 2") && said.contains("已重放 sent in again: 1") && !said.contains("future"), "{said}");
    let (_, said) = ask(&place, &["dead-letters", "list", "--all"]);
    assert!(said.contains("2 of 2") && said.contains("future"), "{said}");
    let (code, said) = ask(&place, &["dead-letters", "replay", "--reason", "future"]);
    assert!(code == Some(0) && said.contains("commit: 0"), "{said}");

    // Handed over while nobody runs: taken at the next start, once.
    let (code, _) = ask(&place, &["dead-letters", "replay", "--reason", "future", "--all"]);
    assert_eq!(code, Some(0));
    let running = place.start();
    while place.path("out/inbox").read_dir().unwrap().count() > 0 && began.elapsed() < Duration::from_secs(40) {
        std::thread::sleep(Duration::from_millis(50));
    }
    running.kill();
    let (fine, said) = {
        let again = place.start();
        again.wait_for_log_time(now());
        again.interrupt()
    };
    assert!(fine, "{said}");
    let total = place.summary().records.total;
    assert_eq!((total.incoming, total.used, total.duplicate), (5, 2, 1), "{said}");
}

#[test]
fn a_warning_is_explained_while_the_system_runs_and_only_one_may_run() {
    let place = Place::new("rules", "inputs: { iot: iot.jsonl }");
    let readings: String = (0..900).map(|number| reading(number, now())).collect();
    place.append("iot.jsonl", readings.as_bytes());
    let running = place.start();
    running.wait_for_log_time(now());
    let first: Value = serde_json::from_str(place.read("out/warnings.jsonl").lines().next().unwrap()).unwrap();
    let (code, said) = ask(&place, &["explain", first["id"].as_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("same numbers"), "{said}");
    let (code, said) = ask(&place, &["run"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("another forewarn is running"), "{said}");
    let (fine, said) = running.interrupt();
    assert!(fine, "{said}");
}

#[test]
fn a_log_goes_on_under_the_secret_it_was_made_with_only() {
    let place = Place::new("rules", "inputs: { iot: iot.jsonl }");
    place.append("iot.jsonl", reading(0, now()).as_bytes());
    let running = place.start();
    running.wait_for_log_time(now());
    running.kill();
    let fingerprint = place.read("out/log/secret.fingerprint");
    assert!(!fingerprint.contains(SECRET) && fingerprint.trim().len() == 16, "{fingerprint}");

    std::fs::write(place.path("secret"), "another secret of the test").unwrap();
    let (code, said) = ask(&place, &["run"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("另一个密钥") && said.contains("another secret"), "{said}");
    std::fs::write(place.path("secret"), SECRET).unwrap();
    let running = place.start();
    running.wait_for_log_time(now());
    let (fine, said) = running.interrupt();
    assert!(fine, "{said}{}", place.read("stderr"));

    // A log of an earlier build does not say its secret: the next start writes it down.
    std::fs::remove_file(place.path("out/log/secret.fingerprint")).unwrap();
    let running = place.start();
    running.wait_for_log_time(now());
    let (fine, said) = running.interrupt();
    assert!(fine, "{said}{}", place.read("stderr"));
    assert_eq!(place.read("out/log/secret.fingerprint"), fingerprint);
}

#[test]
fn a_file_that_is_rotated_or_written_anew_is_read_to_its_end_and_from_its_beginning() {
    let place = Place::new("rules", "inputs: { iot: iot.jsonl }");
    let some = |from: u64, to: u64| (from..to).map(|number| reading(number, now())).collect::<String>();
    place.append("iot.jsonl", some(0, 100).as_bytes());
    let running = place.start();
    running.wait_for_log_time(now());
    // Renamed away, a last line without its line break in it, and begun anew.
    place.append("iot.jsonl", some(100, 110).trim_end().as_bytes());
    std::fs::rename(place.path("iot.jsonl"), place.path("iot.jsonl.1")).unwrap();
    place.append("iot.jsonl", some(110, 130).as_bytes());
    running.wait_for_log_time(now());
    running.kill();
    // Rotated while nobody runs.
    place.append("iot.jsonl", some(130, 140).as_bytes());
    std::fs::rename(place.path("iot.jsonl"), place.path("iot.jsonl.2")).unwrap();
    place.append("iot.jsonl", some(140, 150).as_bytes());
    let running = place.start();
    running.wait_for_log_time(now());
    // Cut and written again under the same name.
    std::fs::write(place.path("iot.jsonl"), some(150, 300)).unwrap();
    running.wait_for_log_time(now() + 1);
    let (fine, said) = running.interrupt();
    assert!(fine, "{said}{}", place.read("stderr"));
    let total = place.summary().records.total;
    assert_eq!((total.incoming, total.used, total.duplicate), (300, 300, 0), "{said}");
}

#[test]
fn a_registry_dropped_just_before_the_first_start_is_known_to_the_first_warning() {
    let place = Place::new("rules", "inputs: { registry: objects, iot: iot.jsonl }");
    let readings: String = (0..900).map(|number| reading(number, now())).collect();
    place.append("iot.jsonl", readings.as_bytes());
    std::fs::create_dir(place.path("objects")).unwrap();
    for number in 0..30 {
        let object = format!(
            "{{\"kind\":\"registry\",\"record_id\":\"o{number}\",\"source_system\":\"t\",\"source_dept\":\
             \"urban_management\",\"industry\":\"gas\",\"region\":\"371102\",\"object_id\":\"equip:371102-{number:04}\",\
             \"occurred_at\":\"{}\",\"name\":\"{number} 号供气站\",\"object_type\":\"station\",\"status\":\"active\",\
             \"valid_from\":\"2026-01-01\"}}\n",
            time::rfc3339(now())
        );
        place.append("objects/objects.jsonl", object.as_bytes());
    }
    let running = place.start();
    running.wait_for_log_time(now());
    let (fine, said) = running.interrupt();
    assert!(fine, "{said}");
    let first: Value = serde_json::from_str(place.read("out/warnings.jsonl").lines().next().unwrap()).unwrap();
    assert!(first["subject"]["name"].as_str().is_some_and(|name| name.contains("号供气站")), "{first}");
}
