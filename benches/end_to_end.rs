//! From the bytes of messages to warnings in one process, on one core: `taskset -c 1 cargo bench --bench end_to_end`.
//!
//! A city of 10,000 objects, each heard of about once a minute, six kinds of records, 100 indicators of which at most
//! five concern a record, the log in files. First as fast as it goes, in batches of 8,192; then at 30, 60 and 90 % of
//! that rate, where each commit takes what has come meanwhile. A record's latency runs from the moment at which it is
//! due, whether or not anyone was ready to take it (so a stall counts for every record behind it), to the end of its
//! commit. Making the records is timed nowhere. In the same run, as a ceiling: sonic-rs only parses the same bytes.

mod feed;

use forewarn::intake::{Mapper, Message, Options};
use forewarn::log::{Clock, Durable, Embedded, Stamp, Store};
use forewarn::record::{Kind, Millis};
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

const OBJECTS: u64 = 10_000;
const BATCH: u64 = 8_192;
/// Event time between two records: 10,000 objects, once a minute each.
const STEP_MS: i64 = 6;

/// What a program would parse a record of any kind into.
#[derive(serde::Deserialize)]
#[expect(dead_code, reason = "parsed, not read")]
struct Parsed<'a> {
    record_id: &'a str,
    kind: &'a str,
    source_system: &'a str,
    source_dept: &'a str,
    #[serde(default)]
    entity_id: Option<&'a str>,
    object_id: &'a str,
    industry: &'a str,
    #[serde(default)]
    region: Option<&'a str>,
    occurred_at: &'a str,
    #[serde(default)]
    sensor_id: Option<&'a str>,
    #[serde(default)]
    sensor_type: Option<&'a str>,
    #[serde(default)]
    value: Option<f64>,
    #[serde(default)]
    unit: Option<&'a str>,
    #[serde(default)]
    status: Option<&'a str>,
    #[serde(default)]
    seq: Option<i64>,
}

/// Messages of a span of record numbers, in one piece of memory.
struct Messages {
    bytes: Vec<u8>,
    /// Kind and end of each message.
    ends: Vec<(Kind, usize)>,
    first: u64,
}

fn event_time(i: u64) -> Millis {
    feed::START + i64::try_from(i).expect("fewer than 2^63 records") * STEP_MS
}

impl Messages {
    fn make(first: u64, n: u64) -> Messages {
        let mut all = Messages { bytes: Vec::new(), ends: Vec::new(), first };
        for i in first..first + n {
            let kind = feed::kind_of(i);
            all.bytes.extend_from_slice(feed::record(kind, i, OBJECTS, event_time(i)).as_bytes());
            all.ends.push((kind, all.bytes.len()));
        }
        all
    }

    fn each(&self, from: usize, to: usize) -> impl Iterator<Item = (Kind, &[u8])> {
        let mut begin = if from == 0 { 0 } else { self.ends[from - 1].1 };
        self.ends[from..to]
            .iter()
            .map(move |(kind, end)| (*kind, &self.bytes[std::mem::replace(&mut begin, *end)..*end]))
    }
}

/// Intake, log and engine in one.
struct Run {
    mappers: BTreeMap<Kind, Mapper>,
    embedded: Embedded,
    raw: Arc<str>,
    warnings: usize,
    mapping: Duration,
    committing: Duration,
}

impl Run {
    fn new(dir: &std::path::Path) -> Run {
        let pack = Arc::new(feed::pack(&feed::hundred()));
        let options = Options { partitions: 1, clock: Clock::Wall, secret: b"bench".to_vec() };
        let mapper = |kind: Kind| (kind, Mapper::new(&pack, kind.word(), &options).expect("a source of the pack"));
        let store = Store::open(dir, Durable::AtEnd).expect("a folder for the log");
        Run {
            mappers: Kind::OUTSIDE.into_iter().map(mapper).collect(),
            embedded: Embedded::new(pack.clone(), &options, vec!["bench/0".to_owned()], store).expect("a good pack"),
            raw: "bench/0".into(),
            warnings: 0,
            mapping: Duration::ZERO,
            committing: Duration::ZERO,
        }
    }

    /// One batch: bytes to rows, rows through the log to warnings.
    fn take(&mut self, messages: &Messages, from: usize, to: usize) {
        let begun = Instant::now();
        let last = messages.first + to as u64;
        let wall = event_time(last);
        for (i, (kind, payload)) in messages.each(from, to).enumerate() {
            let mapper = self.mappers.get_mut(&kind).expect("a mapper a kind");
            let offset = i64::try_from(messages.first + (from + i) as u64).expect("small");
            mapper.push(&Message { raw: &self.raw, origin: "raw", offset, payload: Some(payload) }, wall);
        }
        let mut rows = Vec::new();
        for mapper in self.mappers.values_mut() {
            let mapped = mapper.take();
            assert!(mapped.dead_letters.is_empty(), "{:?}", mapped.dead_letters.first());
            if mapped.rows.num_rows() > 0 {
                rows.push((mapped.source, mapped.rows));
            }
        }
        let mapped = Instant::now();
        let stamp = Stamp { wall, marks: [("bench/0".to_owned(), wall)].into(), blind: Vec::new() };
        let positions = [("bench/0".to_owned(), i64::try_from(last).expect("small"))].into();
        let step = self.embedded.commit(&stamp, &rows, &positions).expect("the log takes it");
        self.warnings += black_box(step).warnings.len();
        self.mapping += mapped - begun;
        self.committing += mapped.elapsed();
    }

    /// Every object is known to the registry before the first record.
    fn register(&mut self) {
        let mapper = self.mappers.get_mut(&Kind::Registry).expect("a mapper a kind");
        for i in 0..OBJECTS {
            // The id chooses the object by chance; here each must come once.
            let record = feed::record(Kind::Registry, i, OBJECTS, feed::START - 86_400_000);
            let record = record.replace(&feed::object(feed::mix(i) % OBJECTS), &feed::object(i));
            let record = record.replace("\"r-", "\"first-");
            let raw = Message { raw: &self.raw, origin: "raw", offset: 0, payload: Some(record.as_bytes()) };
            mapper.push(&raw, feed::START);
        }
        let rows = mapper.take();
        let stamp = Stamp { wall: feed::START, ..Stamp::default() };
        self.embedded.commit(&stamp, &[(rows.source, rows.rows)], &BTreeMap::new()).expect("the log takes it");
    }
}

/// Processor time of this thread.
fn processor() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0))
}

/// A line of `/proc/self/status` in MB.
fn memory(name: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix(name)).unwrap_or("0");
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<f64>().unwrap_or(0.0) / 1024.0
}

fn main() {
    let seconds: u64 = std::env::var("SECONDS_EACH").ok().and_then(|s| s.parse().ok()).unwrap_or(4);
    let dir = tempfile::tempdir().expect("a folder for the log");
    let mut run = Run::new(dir.path());
    run.register();
    let mut next = 0;
    let mut batch = |n: u64| {
        let made = Messages::make(next, n);
        next += n;
        made
    };
    // An hour of log time, so that windows are full and every object is known.
    while run.mapping + run.committing < Duration::from_secs(1)
        || run.embedded.log_time().is_none_or(|t| t < feed::START + 3_600_000)
    {
        let made = batch(BATCH);
        run.take(&made, 0, made.ends.len());
    }
    (run.mapping, run.committing, run.warnings) = (Duration::ZERO, Duration::ZERO, 0);
    let engine_before = run.embedded.engine_seconds;

    let (mut wall, mut cpu, mut parsing, mut records, mut bytes) =
        (Duration::ZERO, Duration::ZERO, Duration::ZERO, 0_u64, 0);
    while wall < Duration::from_secs(seconds) {
        let made = batch(BATCH);
        let begun = Instant::now();
        let used = processor();
        run.take(&made, 0, made.ends.len());
        cpu += processor() - used;
        wall += begun.elapsed();
        let used = processor();
        for (_, payload) in made.each(0, made.ends.len()) {
            let parsed: Parsed<'_> = sonic_rs::from_slice(payload).expect("JSON");
            black_box(parsed);
        }
        parsing += processor() - used;
        records += BATCH;
        bytes += made.bytes.len();
    }
    let million = records as f64 / 1e6;
    let rate = records as f64 / wall.as_secs_f64();
    let engine = run.embedded.engine_seconds - engine_before;
    let share = |seconds: f64| format!("{:.0} ns", seconds / records as f64 * 1e9);
    println!("records of {} B on the mean, 100 indicators, {} warnings", bytes as u64 / records, run.warnings);
    println!(
        "as fast as it goes: {rate:.0} records/s by the wall, {:.0} records/s of processor time",
        million * 1e6 / cpu.as_secs_f64()
    );
    println!("processor time: {:.2} s a million records", cpu.as_secs_f64() / million);
    println!(
        "of a record's {}: decode, validate, mask {}; enrich, route, log {}; engine and response {}",
        share(wall.as_secs_f64()),
        share(run.mapping.as_secs_f64()),
        share(run.committing.as_secs_f64() - engine),
        share(engine)
    );
    println!(
        "ceiling: parsing alone {:.0} records/s; end to end is {:.0} % of it",
        million * 1e6 / parsing.as_secs_f64(),
        100.0 * parsing.as_secs_f64() / cpu.as_secs_f64()
    );
    println!("memory: {:.0} MB now, {:.0} MB at most", memory("VmRSS"), memory("VmHWM"));

    for share in [0.3, 0.6, 0.9] {
        let rate = rate * share;
        let made = batch((rate * seconds as f64) as u64);
        let total = made.ends.len();
        let due = |i: usize| Duration::from_secs_f64(i as f64 / rate);
        let mut commits: Vec<(usize, Duration)> = Vec::new();
        let begun = Instant::now();
        let mut done = 0;
        while done < total {
            let now = begun.elapsed();
            let ready = ((now.as_secs_f64() * rate) as usize).min(total).min(done + BATCH as usize);
            if ready == done {
                std::hint::spin_loop();
                continue;
            }
            run.take(&made, done, ready);
            done = ready;
            commits.push((done, begun.elapsed()));
        }
        let mut histogram: Histogram<u64> = Histogram::new(3).expect("3 digits are allowed");
        let mut from = 0;
        for (to, end) in &commits {
            for i in from..*to {
                let latency = end.saturating_sub(due(i)).as_micros();
                histogram.record(u64::try_from(latency).unwrap_or(u64::MAX)).expect("it grows by itself");
            }
            from = *to;
        }
        println!(
            "at {:.0} % ({rate:.0} records/s): {:.0} records a commit; latency p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, at most {:.2} ms",
            share * 100.0,
            total as f64 / commits.len() as f64,
            histogram.value_at_quantile(0.5) as f64 / 1e3,
            histogram.value_at_quantile(0.99) as f64 / 1e3,
            histogram.value_at_quantile(0.999) as f64 / 1e3,
            histogram.max() as f64 / 1e3
        );
    }
}
