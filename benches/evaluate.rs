//! One frame of 8,192 readings through the engine, with 1 to 1,000 indicators, over 10,000 and 1,000,000 keys.
//!
//! `shared`: the indicators differ in their bounds and share four measures (count, sum, avg, max of an hour in minute
//! panes). `own`: each indicator has the four for itself, in a window of its own; a line's elements are then measure
//! updates (rows × measures). Making the next frame is not timed. Every frame has new ids and later times, so nothing is
//! a duplicate and panes roll. Behind each line of state: bytes a key.

mod feed;

use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray, TimestampMillisecondArray, new_null_array};
use arrow::record_batch::RecordBatch;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use forewarn::engine::{Engine, Program};
use forewarn::intake::block_schema;
use forewarn::log::{Activate, Block, Clock, Entry, Frame, Stamp};
use forewarn::pack::Pack;
use forewarn::record::Kind;
use std::sync::Arc;
use std::time::{Duration, Instant};

const ROWS: usize = 8_192;
/// Time between two frames: an object reports once a minute or less, whatever the number of objects.
const STEP: i64 = 10_000;

/// An engine at the beginning of its log, and what makes its frames.
struct Run {
    pack: Pack,
    engine: Engine,
    objects: Vec<Arc<str>>,
    frames: u64,
}

impl Run {
    fn new(indicators: &[(String, String)], objects: u64) -> Run {
        let pack = feed::pack(indicators);
        let program = Arc::new(Program::new(&pack).expect("the indicators compile"));
        let mut engine = Engine::new(program, 0, 1);
        let activate =
            Activate { version: 1, hash: pack.hash.clone(), clock: Clock::Wall, raw: vec!["iot/0".to_owned()] };
        engine.apply(&Entry::Pack(activate), 0);
        Run { pack, engine, objects: (0..objects).map(|i| feed::object(i).into()).collect(), frames: 0 }
    }

    /// The next frame: objects in mixed order, each as often as any other.
    fn frame(&mut self) -> Entry {
        let first = self.frames * ROWS as u64;
        self.frames += 1;
        let at = feed::START + i64::try_from(self.frames).expect("few frames") * STEP;
        let objects = self.objects.len() as u64;
        let ids: Vec<&str> = (first..first + ROWS as u64)
            .map(|i| &*self.objects[((i % objects).wrapping_mul(7_368_787) % objects) as usize])
            .collect();
        let keys: ArrayRef = Arc::new(StringArray::from_iter_values(&ids));
        let same =
            |text: &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, ROWS))) };
        let source = self.pack.sources.get("iot").expect("a source of the pack");
        let schema = block_schema(&self.pack, source, "object");
        let columns = schema.fields().iter().map(|field| -> ArrayRef {
            match field.name().as_str() {
                "record_id" => {
                    Arc::new(StringArray::from_iter_values((0..ROWS as u64).map(|i| format!("g-{:010}", first + i))))
                }
                "object_id" | Block::KEY => keys.clone(),
                "source_system" => same("scada"),
                "source_dept" => same("urban_management"),
                "industry" => same("gas"),
                "sensor_type" => same("gas_lel"),
                "status" => same("good"),
                "occurred_at" => {
                    let times = (0..ROWS as i64).map(|i| at + i * STEP / ROWS as i64 - STEP);
                    Arc::new(TimestampMillisecondArray::from_iter_values(times).with_timezone("+08:00"))
                }
                "revision" => Arc::new(Int64Array::from_iter_values(std::iter::repeat_n(1, ROWS))),
                "value" => Arc::new(Float64Array::from_iter_values(
                    (0..ROWS as u64).map(|i| (feed::mix(first + i) % 200) as f64 / 10.0),
                )),
                _ => new_null_array(field.data_type(), ROWS),
            }
        });
        let rows = RecordBatch::try_new(schema.clone(), columns.collect()).expect("one array a field");
        let block = Block { source: "iot".into(), kind: Kind::Iot, space: "object".into(), home: true, rows };
        let stamp = Stamp { wall: at, marks: [("iot/0".to_owned(), at - STEP)].into(), blind: Vec::new() };
        Entry::Rows(Frame { stamp: Some(stamp), pack: self.pack.hash.as_str().into(), blocks: vec![block] })
    }

    /// Applies frames; only the applying is timed.
    fn apply(&mut self, frames: u64) -> Duration {
        let mut spent = Duration::ZERO;
        for _ in 0..frames {
            let entry = self.frame();
            let begun = Instant::now();
            let outcomes = self.engine.apply(&entry, self.frames);
            spent += begun.elapsed();
            assert!(outcomes.is_empty(), "no bound is reached");
        }
        spent
    }
}

/// Each with its own window, so that nothing is shared.
fn own(indicators: usize) -> Vec<(String, String)> {
    make(indicators, |i| (format!("{}m", 60 + i), "60s"))
}

/// All over the same four measures.
fn shared(indicators: usize) -> Vec<(String, String)> {
    make(indicators, |_| ("1h".to_owned(), "60s"))
}

fn make(indicators: usize, window: impl Fn(usize) -> (String, &'static str)) -> Vec<(String, String)> {
    (0..indicators)
        .map(|i| {
            let (size, pane) = window(i);
            let value = ["n", "total", "mean", "high"][i % 4];
            let rule = format!(
                "source: iot\nkey: {{ space: object }}\nfilter: \"sensor_type = 'gas_lel' AND status = 'good'\"\n\
                 kind: measure\nwindow: {{ size: {size}, pane: {pane} }}\nmeasures:\n  n: {{ count: true }}\n  \
                 total: {{ sum: \"value\" }}\n  mean: {{ avg: \"value\" }}\n  high: {{ max: \"value\" }}\n\
                 value: \"{value}\"\nlevels: {{ blue: {}, red: {} }}\non_null: skip",
                1_000_000 + i,
                2_000_000 + i
            );
            (format!("i{i}"), rule)
        })
        .collect()
}

/// Bytes held by this process now.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap_or("0");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1024
}

fn evaluate(c: &mut Criterion) {
    let mut group = c.benchmark_group("evaluate");
    group.sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    for keys in [10_000, 1_000_000] {
        // 1,000 indicators of their own over a million keys would be 3 TB of state.
        for (name, indicators) in [
            (format!("1 indicator shared, {keys} keys"), shared(1)),
            (format!("10 indicators shared, {keys} keys"), shared(10)),
            (format!("100 indicators shared, {keys} keys"), shared(100)),
            (format!("1000 indicators shared, {keys} keys"), shared(1_000)),
        ] {
            group.throughput(Throughput::Elements(ROWS as u64));
            let before = resident();
            let mut run = Run::new(&indicators, keys);
            // Every key is known and most panes have been touched before anything is timed.
            run.apply((keys / ROWS as u64 + 1) * 2);
            let grown = resident().saturating_sub(before);
            println!("{name}: {} bytes a key", grown / keys);
            group.bench_function(&name, |b| b.iter_custom(|n| run.apply(n)));
        }
    }
    for indicators in [1, 10, 25] {
        let mut run = Run::new(&own(indicators), 10_000);
        run.apply(20);
        group.throughput(Throughput::Elements((ROWS * indicators * 4) as u64));
        group.bench_function(format!("updates of {} own measures, 10000 keys", indicators * 4), |b| {
            b.iter_custom(|n| run.apply(n));
        });
    }
    group.finish();
}

criterion_group!(benches, evaluate);
criterion_main!(benches);
