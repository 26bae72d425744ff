//! Frames as bytes of the log and back: a full one, and the small ones that low latency brings.

mod feed;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use forewarn::intake::{Mapper, Message, Options, Router};
use forewarn::log::{Clock, Entry, Frame, Stamp, decode, encode};
use forewarn::record::Kind;
use std::sync::Arc;

/// A frame of readings as intake makes it.
fn frame(rows: u64) -> Entry {
    let pack = Arc::new(feed::pack(&[]));
    let options = Options { partitions: 1, clock: Clock::Records, secret: b"bench".to_vec() };
    let mut mapper = Mapper::new(&pack, Kind::Iot.word(), &options).expect("a source of the pack");
    let raw: Arc<str> = "iot/0".into();
    for i in 0..rows {
        let payload = feed::reading(i, 5_000, feed::START);
        let offset = i64::try_from(i).expect("small");
        mapper.push(&Message { raw: &raw, origin: "raw", offset, payload: Some(payload.as_bytes()) }, 0);
    }
    let mut router = Router::new(pack.clone(), &options).expect("a pack that was checked");
    let blocks = router.route("iot", &mapper.take().rows).blocks.into_iter().map(|(_, block)| block).collect();
    let stamp = Stamp { wall: feed::START, marks: [("iot/0".to_owned(), feed::START)].into(), blind: Vec::new() };
    Entry::Rows(Frame { stamp: Some(stamp), pack: pack.hash.as_str().into(), blocks })
}

fn frames(c: &mut Criterion) {
    let mut group = c.benchmark_group("frame");
    for rows in [1, 16, 256, 8_192] {
        let entry = frame(rows);
        let bytes = encode(&entry);
        println!("{rows} rows: {} bytes a row", bytes.len() as u64 / rows);
        group.throughput(Throughput::Elements(rows));
        group.bench_function(format!("encode {rows} rows"), |b| b.iter(|| encode(&entry)));
        group.bench_function(format!("decode {rows} rows"), |b| b.iter(|| decode(&bytes).expect("whole")));
    }
    group.finish();
}

criterion_group!(benches, frames);
criterion_main!(benches);
