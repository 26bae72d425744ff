//! The console as a page in a browser sees it: over a socket.

use forewarn::console::{Console, ConsoleError, Limits, Readiness, Ready, Running, Standing, start};
use forewarn::metrics::Metrics;
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Four changes of one gas leak up to red, and three other warnings, one of them cleared and one expired.
fn documents() -> Vec<Value> {
    include_str!("warnings.jsonl").lines().map(|l| serde_json::from_str(l).expect("a document a line")).collect()
}

struct Served {
    running: Running,
    console: Console,
    ready: Arc<AtomicBool>,
}

fn serve(limits: Limits) -> Served {
    let console = Console::new(limits, "run1");
    let ready = Arc::new(AtomicBool::new(true));
    let asked = Arc::clone(&ready);
    let readiness = Readiness::new(move || {
        let ready = asked.load(Ordering::SeqCst);
        Ready { ready, reasons: if ready { vec![] } else { vec!["no snapshot for 11 days".into()] } }
    });
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    let running = start(free, console.clone(), Arc::new(Metrics::new()), readiness).expect("a free port");
    Served { running, console, ready }
}

fn open(served: &Served, path: &str, headers: &str) -> TcpStream {
    let mut stream = TcpStream::connect(served.running.address()).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    write!(stream, "GET {path} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n").expect("it reads");
    stream
}

/// Status, head and body of one answer.
fn ask(served: &Served, path: &str, headers: &str) -> (u16, String, String) {
    let mut text = String::new();
    open(served, path, headers).read_to_string(&mut text).expect("it answers and closes");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
    (status, head.to_lowercase(), body.to_owned())
}

const LOCAL: &str = "Host: localhost\r\n";

fn json(served: &Served, path: &str) -> Value {
    let (status, _, body) = ask(served, path, LOCAL);
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).expect("JSON")
}

/// The next `n` events as (id, name, data).
fn events(stream: TcpStream, n: usize) -> Vec<(String, String, String)> {
    let mut all = vec![(String::new(), String::new(), String::new())];
    for line in BufReader::new(stream).lines() {
        let line = line.expect("the stream goes on");
        let last = all.last_mut().expect("never empty");
        if let Some(id) = line.strip_prefix("id: ") {
            last.0 = id.to_owned();
        } else if let Some(name) = line.strip_prefix("event: ") {
            last.1 = name.to_owned();
        } else if let Some(data) = line.strip_prefix("data: ") {
            last.2 = data.to_owned();
        } else if !last.1.is_empty() {
            if all.len() == n {
                return all;
            }
            all.push((String::new(), String::new(), String::new()));
        }
    }
    panic!("the stream ended after {all:?}");
}

fn row(event: &(String, String, String)) -> Value {
    serde_json::from_str(&event.2).expect("a row")
}

#[test]
fn lists_warnings_newest_first_and_filters_them() {
    let served = serve(Limits::default());
    for document in documents() {
        served.console.publish(&document);
    }
    let all = json(&served, "/api/warnings");
    let ids = |v: &Value| -> Vec<String> {
        v["warnings"].as_array().expect("rows").iter().map(|r| r["id"].as_str().expect("an id").to_owned()).collect()
    };
    assert_eq!(all["total"], 3, "the expired one is closed");
    assert_eq!(ids(&all).len(), 3);
    let seqs: Vec<u64> = all["warnings"].as_array().expect("rows").iter().filter_map(|r| r["seq"].as_u64()).collect();
    assert!(seqs.is_sorted_by(|a, b| a > b), "{seqs:?}");
    for (question, total) in [
        ("level=red", 1),
        ("level=red,orange", 2),
        ("industry=gas", 2),
        ("industry=gas,food", 3),
        ("department=fire_rescue", 2),
        ("region=371102&level=red", 1),
        ("region=371102&level=blue", 0),
        ("state=closed", 1),
        ("state=all", 4),
        ("state=cleared", 1),
        ("q=kitchen", 1),
        ("q=%E6%BB%A8%E6%B5%B7", 1),
        ("q=371102MA0000015", 3),
        ("q=%3Cscript%3E", 0),
    ] {
        assert_eq!(json(&served, &format!("/api/warnings?{question}"))["total"], total, "{question}");
    }
    let first = json(&served, "/api/warnings?limit=2");
    let second = json(&served, &format!("/api/warnings?limit=2&cursor={}", first["next"]));
    assert_eq!(second["next"], Value::Null);
    let both: Vec<String> = ids(&first).into_iter().chain(ids(&second)).collect();
    assert_eq!(both, ids(&all));
    for bad in ["level=purple", "state=asleep", "limit=many"] {
        assert_eq!(ask(&served, &format!("/api/warnings?{bad}"), LOCAL).0, 400, "{bad}");
    }
}

#[test]
fn shows_one_warning_with_all_its_changes() {
    let served = serve(Limits::default());
    for document in documents() {
        served.console.publish(&document);
    }
    let red = json(&served, "/api/warnings?level=red")["warnings"][0].clone();
    let whole = json(&served, &format!("/api/warnings/{}", red["id"].as_str().expect("an id")));
    let levels: Vec<&str> =
        whole["changes"].as_array().expect("a list").iter().filter_map(|c| c["level"].as_str()).collect();
    assert_eq!(levels, ["blue", "yellow", "orange", "red"]);
    assert_eq!(whole["warning"]["plan"]["steps"].as_array().map(Vec::len), Some(4));
    assert_eq!(whole["state"], "active");
    assert_eq!(ask(&served, "/api/warnings/nobody", LOCAL).0, 404);
}

#[test]
fn a_new_warning_reaches_an_open_page_within_two_seconds() {
    let served = serve(Limits::default());
    let stream = open(&served, "/api/events", LOCAL);
    // The page has joined once it is counted.
    let joined = Instant::now();
    while !ask(&served, "/metrics", LOCAL).2.contains("forewarn_console_streams 1") {
        assert!(joined.elapsed() < Duration::from_secs(5), "the page never joined");
    }
    let sent = Instant::now();
    served.console.publish(&documents()[0]);
    let got = events(stream, 2);
    assert!(sent.elapsed() < Duration::from_secs(2));
    assert_eq!(got[0].1, "hello");
    assert_eq!((got[1].0.as_str(), got[1].1.as_str()), ("run1:1", "warning"));
    assert_eq!(row(&got[1])["level"], "blue");
}

#[test]
fn a_page_that_comes_back_misses_nothing() {
    let served = serve(Limits { events: 3, ..Limits::default() });
    for document in &documents()[..5] {
        served.console.publish(document);
    }
    let with = |last: &str, n| events(open(&served, "/api/events", &format!("{LOCAL}Last-Event-ID: {last}\r\n")), n);
    let got = with("run1:3", 3);
    assert_eq!([&*got[0].1, &*got[1].0, &*got[2].0], ["hello", "run1:4", "run1:5"]);
    assert_eq!(with("run1:1", 1)[0].1, "reset", "the ring holds 3, 4 and 5");
    assert_eq!(with("run0:5", 1)[0].1, "reset", "another run's numbers mean nothing");
    let asked = events(open(&served, "/api/events?last=run1:4", LOCAL), 2);
    assert_eq!(asked[1].0, "run1:5");
}

#[test]
fn only_this_machine_is_answered_and_every_answer_is_guarded() {
    let served = serve(Limits::default());
    for path in ["/", "/assets/app.js", "/api/summary", "/metrics", "/healthz", "/nowhere"] {
        let (status, head, _) = ask(&served, path, LOCAL);
        assert_eq!(status, if path == "/nowhere" { 404 } else { 200 }, "{path}");
        let policy = head.lines().find(|l| l.starts_with("content-security-policy:")).expect("a policy");
        assert!(policy.contains("default-src 'self'") && policy.contains("frame-ancestors 'none'"), "{path}");
        assert!(!policy.contains("unsafe"), "{path}");
        for header in ["x-content-type-options: nosniff", "referrer-policy: no-referrer", "cache-control: no-"] {
            assert!(head.contains(header), "{path} has no {header}");
        }
    }
    for host in ["Host: warnings.example\r\n", "Host: 192.168.1.5:8080\r\n", "Host: localhost.evil.example\r\n"] {
        let (status, _, body) = ask(&served, "/api/warnings", host);
        assert_eq!(status, 421, "{host}");
        assert!(!body.contains("warnings\":"));
    }
    let elsewhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let refused = start(
        elsewhere,
        Console::new(Limits::default(), "x"),
        Arc::new(Metrics::new()),
        Readiness::new(Ready::default),
    );
    assert!(matches!(refused, Err(ConsoleError::NotLoopback { .. })), "0.0.0.0 is everybody");
}

#[test]
fn the_page_and_its_files_come_whole() {
    let served = serve(Limits::default());
    let (_, head, body) = ask(&served, "/", LOCAL);
    assert!(head.contains("text/html; charset=utf-8"));
    for file in body.split('"').filter(|s| s.starts_with("/assets/")) {
        let (status, head, _) = ask(&served, file, LOCAL);
        assert_eq!(status, 200, "{file}");
        let tag = head.lines().find_map(|l| l.strip_prefix("etag: ")).expect("a tag").trim().to_owned();
        assert_eq!(ask(&served, file, &format!("{LOCAL}If-None-Match: {tag}\r\n")).0, 304, "{file}");
    }
    for path in ["/assets/../Cargo.toml", "/assets/%2e%2e/mod.rs", "/assets/"] {
        assert_eq!(ask(&served, path, LOCAL).0, 404, "{path}");
    }
}

#[test]
fn readiness_and_the_light_say_what_the_caller_says() {
    let served = serve(Limits::default());
    assert_eq!(ask(&served, "/readyz", LOCAL).0, 200);
    served.ready.store(false, Ordering::SeqCst);
    let (status, _, body) = ask(&served, "/readyz", LOCAL);
    assert_eq!(status, 503);
    assert!(body.contains("no snapshot for 11 days"));
    served.console.standing(Standing { log_time: Some(1_772_409_600_000), lag_seconds: 1.5, records: 12 });
    let summary = json(&served, "/api/summary");
    assert_eq!(summary["log_time"], "2026-03-02T08:00:00+08:00");
    assert_eq!(summary["ready"], false);
    assert_eq!(summary["records"], 12);
    assert_eq!(ask(&served, "/healthz", LOCAL).0, 200);
}

#[test]
fn it_stops_while_pages_still_follow() {
    let served = serve(Limits::default());
    let _following = open(&served, "/api/events", LOCAL);
    let begun = Instant::now();
    served.running.stop();
    assert!(begun.elapsed() < Duration::from_secs(5));
}
