//! Intake's decoding against a parser alone: records of our own envelope, about 300 bytes each, one a message.
//!
//! `intake` decodes, validates and masks into Arrow rows; `sonic-rs` only parses the same bytes into typed fields, which
//! is the floor that a general JSON library sets on the same machine in the same run.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use forewarn::intake::{Mapper, Message, Options};
use forewarn::log::Clock;
use forewarn::pack::{Body, Department, Pack, Regions};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;

const RECORDS: usize = 10_000;

fn messages() -> Vec<String> {
    (0..RECORDS)
        .map(|i| {
            format!(
                "{{\"record_id\":\"g-{i:08}\",\"kind\":\"iot\",\"source_system\":\"gas_scada\",\
                 \"source_dept\":\"urban_management\",\"object_id\":\"equip:371102-{:04}\",\"industry\":\"gas\",\
                 \"region\":\"371102\",\"occurred_at\":\"2026-05-08T09:{:02}:{:02}+08:00\",\"sensor_id\":\"s-{}\",\
                 \"sensor_type\":\"gas_lel\",\"value\":{}.{},\"unit\":\"%LEL\",\"status\":\"good\",\"seq\":{i}}}",
                i % 1000,
                i / 60 % 60,
                i % 60,
                i % 3000,
                i % 90,
                i % 10
            )
        })
        .collect()
}

fn pack() -> Pack {
    let source = serde_json::json!({ "name": "iot", "kind": "iot", "envelope": true });
    let source = serde_json::from_value(source).expect("a source file");
    let department =
        Department { id: "urban_management".into(), name: String::new(), name_en: String::new(), listed: true };
    Pack {
        hash: String::new(),
        body: Body::default(),
        industries: BTreeMap::new(),
        indicators: BTreeMap::new(),
        sources: [("iot".to_owned(), source)].into(),
        plans: BTreeMap::new(),
        departments: [("urban_management".to_owned(), department)].into(),
        regions: Regions { city: String::new(), regions: Vec::new() },
        calendar: Default::default(),
        deadlines: forewarn::pack::shared::Deadlines { levels: BTreeMap::new() },
        matters: BTreeMap::new(),
        models: BTreeMap::new(),
    }
}

/// What a program would parse the same records into.
#[derive(serde::Deserialize)]
#[expect(dead_code, reason = "parsed, not read")]
struct Parsed<'a> {
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
    let messages = messages();
    let bytes: usize = messages.iter().map(String::len).sum();
    let mut group = c.benchmark_group(format!("decode {} B records", bytes / RECORDS));
    group.throughput(Throughput::Elements(RECORDS as u64));
    let options = Options { partitions: 4, clock: Clock::Records, secret: b"bench".to_vec() };
    let mut mapper = Mapper::new(&pack(), "iot", &options).expect("a source of the pack");
    let raw: Arc<str> = "iot/0".into();
    group.bench_function("intake: decode, validate, mask, Arrow", |b| {
        b.iter(|| {
            for (i, payload) in messages.iter().enumerate() {
                let message =
                    Message { raw: &raw, origin: "raw.iot", offset: i as i64, payload: Some(payload.as_bytes()) };
                mapper.push(&message, 0);
            }
            let mapped = mapper.take();
            assert_eq!(mapped.rows.num_rows(), RECORDS);
            mapped
        });
    });
    group.bench_function("sonic-rs: parse only", |b| {
        b.iter(|| {
            for payload in &messages {
                let parsed: Parsed<'_> = sonic_rs::from_slice(payload.as_bytes()).expect("JSON");
                black_box(parsed);
            }
        });
    });
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
