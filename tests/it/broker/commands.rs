//! What operators ask a running system: metrics, readiness, why a warning was raised, what would not become a record.

use super::shared;
use super::system::{Feed, Instance, System, Watcher};
use rdkafka::producer::{BaseRecord, Producer};
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Sum of a family's series whose line contains all of `parts`.
fn sum(text: &str, family: &str, parts: &[&str]) -> f64 {
    text.lines()
        .filter(|line| {
            let name = line.split(['{', ' ']).next();
            name == Some(family) && parts.iter().all(|part| line.contains(part))
        })
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

/// The metrics once they say that so many records came in and each has its fate.
fn settled(instance: &Instance, records: f64) -> String {
    let begun = Instant::now();
    loop {
        let (_, text) = instance.get("/metrics");
        let came = sum(&text, "forewarn_records_in_total", &[]);
        if came == records && sum(&text, "forewarn_records_total", &[]) == came {
            // Gauges follow once a second.
            sleep(Duration::from_secs(3));
            return instance.get("/metrics").1;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{came} of {records} records:\n{text}");
        sleep(Duration::from_millis(200));
    }
}

fn promtool(exposition: &str) {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is missing: apt-get install prometheus");
    promtool.stdin.take().expect("piped").write_all(exposition.as_bytes()).expect("promtool reads");
    let out = promtool.wait_with_output().expect("promtool ends");
    let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success() && said.trim().is_empty(), "promtool: {said}");
}

#[test]
fn a_running_system_answers_its_operators() {
    let system = System::new(shared(), "operators");
    let watcher = Watcher::start(&system);
    let instance = system.start("a");
    system.publish(1);
    let feed = Feed::start(&system, 40);
    sleep(Duration::from_secs(5));
    let sent = feed.stop();
    watcher.wait(sent.firms, Duration::from_secs(60));

    let (firms, records) = (sent.firms as f64, sent.firms as f64 * 4.0);
    let text = settled(&instance, records + sent.poison as f64);
    promtool(&text);
    let is = |family: &str, parts: &[&str]| sum(&text, family, parts);
    assert_eq!(is("forewarn_records_total", &["inspection", "fate=\"used\""]), records);
    assert_eq!(is("forewarn_records_total", &["fate=\"dead_lettered\""]), sent.poison as f64);
    assert_eq!(is("forewarn_warnings_open", &["public_health"]), firms);
    assert_eq!(is("forewarn_warnings_open", &["level=\"orange\""]), firms);
    assert_eq!(is("forewarn_warnings_changes_total", &["kind=\"raised\""]), firms);
    assert_eq!(is("forewarn_deliver_messages_total", &["topic=\"warn.all\""]), firms * 3.0);
    assert_eq!(is("forewarn_deliver_warning_delay_seconds_count", &[]), firms * 3.0);
    assert_eq!(is("forewarn_engine_rule_matches_total", &["rule=\"chicago_repeat_critical\""]), firms * 3.0);
    assert!(is("forewarn_engine_rule_bytes", &["rule=\"chicago_repeat_critical\""]) > 0.0);
    assert!(is("forewarn_intake_bytes_total", &["inspections"]) > records * 100.0);
    assert!(is("forewarn_engine_loop_records_total", &["kind=\"signal\""]) >= firms);
    assert!(is("forewarn_log_commits_total", &["stage=\"intake\"", "end=\"confirmed\""]) > 0.0);
    assert!(is("forewarn_log_commits_total", &["stage=\"engine\"", "end=\"confirmed\""]) > 0.0);
    assert!(is("forewarn_intake_batch_seconds_count", &[]) > 0.0);
    assert!(is("forewarn_log_time_lag_seconds", &[]) < 10.0, "{text}");
    assert!(text.contains("forewarn_consumer_lag_records{partition=\"0\",topic=\"raw.inspections\"} 0"), "{text}");
    assert!(text.contains("forewarn_consumer_lag_records{partition=\"3\",topic=\"forewarn.log\"}"), "{text}");
    for partition in 0..4 {
        let partition = format!("partition=\"{partition}\"");
        assert!(is("forewarn_log_time_seconds", &[&partition]) > 1.7e9);
        assert!(is("forewarn_snapshot_age_seconds", &[&partition]) < 20.0);
        assert!(is("forewarn_snapshot_size_bytes", &[&partition]) > 0.0);
    }
    let (status, ready) = instance.get("/readyz");
    assert_eq!(status, 200, "{ready}");

    // Why: the numbers are reached again from the log alone, and are those that were sent.
    let documents = system.documents();
    let id = documents[0]["id"].as_str().expect("an id");
    let told = system.done(&["explain", id]);
    assert!(told.contains("数值一致 same numbers: 3 changes"), "{told}");
    assert!(told.contains("chicago_repeat_critical") && told.contains("i-"), "{told}");
    let mut other = id.to_owned();
    other.pop();
    other.push(if id.ends_with('a') { 'b' } else { 'a' });
    let unknown = system.command(&["explain", &other]);
    let said = String::from_utf8_lossy(&unknown.stdout).into_owned();
    assert_eq!(unknown.status.code(), Some(1));
    assert!(said.contains(id), "the nearest id is offered: {said}");
    let unknown = system.command(&["explain", "fire"]);
    let said = String::from_utf8_lossy(&unknown.stdout).into_owned();
    assert_eq!(unknown.status.code(), Some(1), "no id at all");
    assert!(said.contains("no warning fire") && said.contains("the nearest of"), "{said}");

    // What would not become a record: told, shown, and sent in again once the source file takes it.
    let producer = system.producer();
    let topic = system.topic("raw.inspections");
    let slashes = "{\"Inspection_ID\":\"late\",\"License\":\"firm-of-slashes\",\"Inspection_Date\":\"2026/11/24\",\
                   \"Results\":\"Fail\",\"criticalCount\":\"1\",\"Zip\":\"60622\"}";
    let record: BaseRecord<'_, (), str> = BaseRecord::to(&topic).partition(2).payload(slashes);
    producer.send(record).map_err(|(e, _)| e).expect("queued");
    producer.flush(Duration::from_secs(10)).expect("sent");
    settled(&instance, records + sent.poison as f64 + 1.0);
    let list = system.done(&["dead-letters", "list"]);
    assert!(list.contains(&format!("dead letters: {0} of {0}", sent.poison + 1)), "{list}");
    let newest = (sent.poison + 1).to_string();
    let shown = system.done(&["dead-letters", "show", &newest]);
    assert!(shown.contains("2026/11/24") && shown.contains("the bytes have this SHA-256"), "{shown}");
    assert_eq!(system.command(&["dead-letters", "show", "9999"]).status.code(), Some(2));
    let source = system.rules().join("sources/inspections.yaml");
    let text = fs::read_to_string(&source).expect("a source");
    fs::write(&source, text.replace("\"%Y-%m-%d\"", "\"%Y-%m-%d\", \"%Y/%m/%d\"")).expect("written");
    system.publish(2);
    let again = system.done(&["dead-letters", "replay", "--reason", "time"]);
    assert!(again.contains("sent in again: 1"), "{again}\n{list}");
    let text = settled(&instance, records + sent.poison as f64 + 2.0);
    assert_eq!(sum(&text, "forewarn_records_total", &["inspection", "fate=\"used\""]), records + 1.0);
    instance.stop();
}
