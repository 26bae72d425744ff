//! History over a real broker gives what an embedded run gives.

use super::shared;
use super::system::{PARTITIONS, SECRET, System};
use forewarn::deliver;
use forewarn::intake::Options;
use forewarn::log::kafka::{MessagesInput, RawMessage};
use forewarn::log::{Clock, Durable, Embedded, Merge, MergeInput, Stamp, Store};
use forewarn::pack::{Body, Pack};
use rdkafka::Message;
use rdkafka::message::Headers;
use rdkafka::producer::{BaseRecord, Producer};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Id of a change, kind, level and time, and how often it came.
type Changes = BTreeMap<[String; 4], u32>;

const HEADERS: [&str; 4] = ["ce_id", "ce_type", "fw_level", "ce_time"];

/// The first rows of a gzipped CSV file as JSON objects of texts; what is empty is left out.
fn rows(file: &str, most: usize) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/chicago").join(file);
    let mut text = String::new();
    let packed = std::fs::File::open(path).expect("the data");
    flate2::read::MultiGzDecoder::new(packed).read_to_string(&mut text).expect("gzip");
    let mut lines = text.lines().map(fields);
    let header = lines.next().expect("a header");
    let object = |row: Vec<String>| {
        let pairs = header.iter().cloned().zip(row).filter(|(_, value)| !value.is_empty());
        serde_json::to_string(&pairs.collect::<BTreeMap<String, String>>()).expect("texts")
    };
    lines.filter(|row| row.len() == header.len()).take(most).map(object).collect()
}

/// The fields of a CSV line without line breaks inside quotes.
fn fields(line: &str) -> Vec<String> {
    let (mut all, mut field, mut quoted) = (Vec::new(), String::new(), false);
    for character in line.chars() {
        match character {
            '"' => quoted = !quoted,
            ',' if !quoted => all.push(std::mem::take(&mut field)),
            other => field.push(other),
        }
    }
    all.push(field);
    all
}

#[test]
fn history_over_kafka_gives_what_an_embedded_run_gives() {
    let system = System::with_clock(shared(), "history", "records");
    let body = Body::load(&system.rules(), &system.dir.path().join("models")).expect("the pack");
    let pack = Arc::new(Pack::read(body).unwrap_or_else(|findings| panic!("{findings:?}")));
    let options = Options { partitions: PARTITIONS, clock: Clock::Records, secret: SECRET.to_vec() };

    let producer = system.producer();
    let mut inputs: Vec<Box<dyn MergeInput>> = Vec::new();
    for source in ["complaints", "inspections", "licences", "visits"] {
        let mut raw: Vec<Vec<RawMessage>> = vec![Vec::new(); PARTITIONS as usize];
        let topic = system.topic(&format!("raw.{source}"));
        for (number, text) in rows(&format!("{source}.csv.gz"), 1_000).into_iter().enumerate() {
            let place = number % PARTITIONS as usize;
            let partition = i32::try_from(place).expect("small");
            let record: BaseRecord<'_, (), str> = BaseRecord::to(&topic).partition(partition).payload(&text);
            producer.send(record).map_err(|(e, _)| e).expect("the queue holds a test");
            let offset = i64::try_from(raw[place].len()).expect("few");
            raw[place].push(RawMessage {
                raw: format!("{source}/{partition}").into(),
                topic: topic.as_str().into(),
                partition,
                offset,
                at: 0,
                key: None,
                payload: Some(text.into_bytes()),
            });
        }
        for messages in raw {
            inputs.push(Box::new(MessagesInput::new(&pack, source, messages, &options).expect("a source")));
        }
    }
    producer.flush(Duration::from_secs(30)).expect("sent");
    let expected = embedded(&pack, &options, inputs);

    let begun = Instant::now();
    let mut instance = system.start("a");
    system.publish(1);
    assert_eq!(instance.ended(Duration::from_secs(120)), Some(0), "it ends with the history: {}", instance.said());
    let mut found = Changes::new();
    system.each("warn.all", |message| {
        let headers = message.headers().expect("CloudEvents");
        let id = HEADERS.map(|name| {
            let found = headers.iter().find(|h| h.key == name).and_then(|h| h.value);
            String::from_utf8(found.unwrap_or_default().to_vec()).expect("text")
        });
        *found.entry(id).or_insert(0) += 1;
    });
    println!("{} changes embedded, {} over Kafka in {:.1?}", expected.len(), found.len(), begun.elapsed());
    assert!(expected.len() > 10, "the slice says too little: {expected:?}");
    let lost: Vec<_> = expected.keys().filter(|k| !found.contains_key(*k)).take(5).collect();
    let phantom: Vec<_> = found.keys().filter(|k| !expected.contains_key(*k)).take(5).collect();
    assert_eq!((lost, phantom), (vec![], vec![]), "lost and phantom");
    assert_eq!(found, expected, "each once");
}

/// What an embedded run makes of the same messages.
fn embedded(pack: &Arc<Pack>, options: &Options, inputs: Vec<Box<dyn MergeInput>>) -> Changes {
    let raw = vec!["replay/0".to_owned()];
    let dir = tempfile::tempdir().expect("a folder");
    let store = Store::open(&dir.path().join("log"), Durable::AtEnd).expect("a store");
    let mut run = Embedded::new(pack.clone(), options, raw, store).expect("runs");
    let stamp = |at| Stamp { wall: at, marks: BTreeMap::from([("replay/0".to_owned(), at)]), blind: Vec::new() };
    let mut merge = Merge::new(inputs);
    let mut made = Vec::new();
    while let Some(frame) = merge.next_frame().expect("in memory") {
        made.push(run.commit(&stamp(frame.stamp), &frame.rows, &frame.positions).expect("committed"));
    }
    made.push(run.commit(&stamp(merge.newest()), &[], &BTreeMap::new()).expect("committed"));
    made.push(run.finish().expect("finished"));
    let mut expected = Changes::new();
    for warning in made.iter().flat_map(|step| &step.warnings) {
        for message in deliver::messages(warning, "history").into_iter().filter(|m| m.topic == deliver::EVERYONE) {
            let header = |name: &str| message.headers.iter().find(|h| h.0 == name).expect("a header").1.clone();
            *expected.entry(HEADERS.map(header)).or_insert(0) += 1;
        }
    }
    expected
}
