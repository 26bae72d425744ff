//! Ten expressions as rules write them, each over a batch of 4,096 rows.
//!
//! `cargo bench --bench expression`; the figure of a line is the time for one batch.

use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int64Array, ListBuilder, RecordBatch, StringArray,
    StringBuilder, TimestampMillisecondArray,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use forewarn::pack::expression::{Expression, Want};
use forewarn::record::Type;
use std::hint::black_box;
use std::sync::Arc;

const ROWS: usize = 4_096;

const EXPRESSIONS: &[(&str, Want)] = &[
    ("sensor_type = 'gas_lel' AND status = 'good'", Want::Bool),
    ("value", Want::Number),
    ("value > 10 AND value <= 25.5", Want::Bool),
    ("value / n * 100", Want::Number),
    ("sensor_type IN ('gas_lel', 'smoke', 'temperature') AND ok", Want::Bool),
    ("CASE WHEN value > 50 THEN 'high' WHEN value > 25 THEN 'middle' ELSE 'low' END", Want::Text),
    ("has_tag('restaurant')", Want::Bool),
    ("occurred_at + INTERVAL '15 days' > '2026-03-01' AND local_hour(occurred_at) BETWEEN 8 AND 17", Want::Bool),
    ("amount_cny >= 50000 OR name LIKE '%饭店'", Want::Bool),
    ("json_number(metrics, 'cod.max') > 50", Want::Bool),
];

fn batch() -> RecordBatch {
    let word = |i: usize| ["gas_lel", "smoke", "temperature", "level"][i % 4];
    let mut tags = ListBuilder::new(StringBuilder::new());
    for i in 0..ROWS {
        tags.append_value([Some("chain"), Some(if i % 3 == 0 { "restaurant" } else { "shop" })]);
    }
    let amounts: Decimal128Array = (0..ROWS).map(|i| Some(i as i128 * 2_500)).collect();
    let times: TimestampMillisecondArray = (0..ROWS).map(|i| Some(1_772_325_000_000 + i as i64 * 60_000)).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("sensor_type", Arc::new((0..ROWS).map(|i| Some(word(i))).collect::<StringArray>())),
        ("status", Arc::new((0..ROWS).map(|i| (i % 17 != 0).then_some("good")).collect::<StringArray>())),
        ("value", Arc::new((0..ROWS).map(|i| (i % 11 != 0).then_some(i as f64 % 73.0)).collect::<Float64Array>())),
        ("n", Arc::new((0..ROWS).map(|i| Some(i as i64 % 100 + 1)).collect::<Int64Array>())),
        ("ok", Arc::new((0..ROWS).map(|i| Some(i % 2 == 0)).collect::<BooleanArray>())),
        ("tags", Arc::new(tags.finish())),
        ("occurred_at", Arc::new(times.with_data_type(Type::Time.arrow()))),
        ("amount_cny", Arc::new(amounts.with_data_type(Type::Decimal.arrow()))),
        ("name", Arc::new((0..ROWS).map(|i| Some(format!("海曲路 {i} 号饭店"))).collect::<StringArray>())),
        (
            "metrics",
            Arc::new((0..ROWS).map(|i| Some(format!(r#"{{"cod":{{"max":{i}}},"ph":7.1}}"#))).collect::<StringArray>()),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))
        .expect("all columns have the same rows")
}

fn expressions(c: &mut Criterion) {
    let batch = batch();
    let mut group = c.benchmark_group("expression");
    group.throughput(Throughput::Elements(ROWS as u64));
    for (text, want) in EXPRESSIONS {
        let expression = Expression::compile(text, &batch.schema(), *want).expect("the expression is right");
        assert_eq!(expression.evaluate(&batch).failed, 0, "{text}");
        group.bench_function(*text, |b| b.iter(|| black_box(expression.evaluate(black_box(&batch)))));
    }
    group.finish();
    c.bench_function("expression compile", |b| {
        b.iter(|| Expression::compile(black_box(EXPRESSIONS[7].0), &batch.schema(), Want::Bool));
    });
}

criterion_group!(benches, expressions);
criterion_main!(benches);
