//! What validating and masking cost beside decoding: the same complaint with a text that holds no digits, digits that
//! are nobody's, and personal data; and readings whose unit must be converted.

mod feed;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use forewarn::intake::{Mapper, Message, Options};
use forewarn::log::Clock;
use std::sync::Arc;

const RECORDS: u64 = 10_000;

fn complaint(i: u64, text: &str) -> String {
    format!(
        "{{\"record_id\":\"s-{i:010}\",\"kind\":\"supervision\",\"source_system\":\"hotline\",\"source_dept\":\
         \"market_regulation\",\"object_id\":\"{}\",\"industry\":\"gas\",\"occurred_at\":\"2026-05-08T09:00:00+08:00\",\
         \"action\":\"complaint\",\"content\":\"{text}\"}}",
        feed::object(i % 5_000)
    )
}

fn reading(i: u64, unit: &str) -> String {
    format!(
        "{{\"record_id\":\"g-{i:010}\",\"kind\":\"iot\",\"source_system\":\"scada\",\"source_dept\":\
         \"urban_management\",\"object_id\":\"{}\",\"industry\":\"gas\",\"occurred_at\":\"2026-05-08T09:00:00+08:00\",\
         \"sensor_id\":\"s-1\",\"sensor_type\":\"pressure_mpa\",\"value\":0.2,\"unit\":\"{unit}\",\"status\":\"good\"}}",
        feed::object(i % 5_000)
    )
}

fn validate(c: &mut Criterion) {
    let pack = feed::pack(&[]);
    let options = Options { partitions: 4, clock: Clock::Records, secret: b"bench".to_vec() };
    let mut group = c.benchmark_group("validate and mask");
    group.throughput(Throughput::Elements(RECORDS));
    let cases: [(&str, &str, Vec<String>); 5] = [
        ("a text without digits", "supervision", all(|i| complaint(i, "三楼住户反映厨房有异味,请派人查看"))),
        ("a text with digits", "supervision", all(|i| complaint(i, "3号楼2单元反映异味,5月8日9点,请派人查看"))),
        ("a text with a telephone number", "supervision", all(|i| complaint(i, "反映厨房有异味,请回电13812341234"))),
        ("a reading in the normal unit", "iot", all(|i| reading(i, "MPa"))),
        ("a reading in another unit", "iot", all(|i| reading(i, "kPa"))),
    ];
    for (name, source, messages) in cases {
        let mut mapper = Mapper::new(&pack, source, &options).expect("a source of the pack");
        let raw: Arc<str> = "bench/0".into();
        group.bench_function(name, |b| {
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
    }
    group.finish();
}

fn all(make: impl Fn(u64) -> String) -> Vec<String> {
    (0..RECORDS).map(make).collect()
}

criterion_group!(benches, validate);
criterion_main!(benches);
