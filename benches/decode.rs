//! Intake against a parser alone: records of our own envelope, one a message.
//!
//! `intake` decodes, validates and masks into Arrow rows; `sonic-rs` only parses the same bytes into typed fields, which
//! is the floor that a general JSON library sets on the same machine in the same run.

mod feed;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use forewarn::intake::{Mapper, Message, Options};
use forewarn::log::Clock;
use forewarn::record::Kind;
use std::hint::black_box;
use std::sync::Arc;

const RECORDS: u64 = 10_000;

/// What a program would parse a reading into.
#[derive(serde::Deserialize)]
#[expect(dead_code, reason = "parsed, not read")]
struct Reading<'a> {
    record_id: &'a str,
    kind: &'a str,
    source_system: &'a str,
    source_dept: &'a str,
    object_id: &'a str,
    industry: &'a str,
    region: &'a str,
    occurred_at: &'a str,
    sensor_id: &'a str,
    sensor_type: &'a str,
    value: f64,
    unit: &'a str,
    status: &'a str,
    seq: i64,
}

fn decode(c: &mut Criterion) {
    let pack = feed::pack(&[]);
    let options = Options { partitions: 4, clock: Clock::Records, secret: b"bench".to_vec() };
    for kind in Kind::OUTSIDE {
        let messages: Vec<String> = (0..RECORDS)
            .map(|i| feed::record(kind, i, 5_000, feed::START + i64::try_from(i).expect("small") * 10))
            .collect();
        let bytes: usize = messages.iter().map(String::len).sum();
        let mut group = c.benchmark_group(format!("decode {} of {} B", kind.word(), bytes as u64 / RECORDS));
        group.throughput(Throughput::Elements(RECORDS));
        let mut mapper = Mapper::new(&pack, kind.word(), &options).expect("a source of the pack");
        let raw: Arc<str> = "bench/0".into();
        group.bench_function("intake: decode, validate, mask, Arrow", |b| {
            b.iter(|| {
                for (i, payload) in messages.iter().enumerate() {
                    let message =
                        Message { raw: &raw, origin: "raw", offset: i as i64, payload: Some(payload.as_bytes()) };
                    mapper.push(&message, 0);
                }
                let mapped = mapper.take();
                assert_eq!(mapped.rows.num_rows() as u64, RECORDS, "{:?}", mapped.dead_letters.first());
                mapped
            });
        });
        if kind == Kind::Iot {
            group.bench_function("sonic-rs: parse only", |b| {
                b.iter(|| {
                    for payload in &messages {
                        let parsed: Reading<'_> = sonic_rs::from_slice(payload.as_bytes()).expect("JSON");
                        black_box(parsed);
                    }
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, decode);
criterion_main!(benches);
