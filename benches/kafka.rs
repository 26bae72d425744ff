//! Through Apache Kafka on loopback: `cargo bench --bench kafka` (Java 17 and Maven, as for the tests).
//!
//! A broker of its own, one `forewarn run` as a process, 100 indicators of which at most five concern a record, a city of
//! 10,000 objects, five kinds of records. First a backlog as fast as it goes: rate, processor time of the instance (not
//! of the broker, which shares the machine) and its memory. Then a steady load at shares of that rate, with 50 marked
//! records a second that each raise a warning: latency runs from the moment at which such a record is due to be sent
//! to the moment at which a reader of committed messages has its warning.
//!
//! `RECORDS` (default 1,000,000) in the backlog, `SECONDS_EACH` (default 10) for each load.

mod feed;

use forewarn::clock::now_ms;
use forewarn::record::time::rfc3339;
use forewarn::record::{Kind, Millis};
use hdrhistogram::Histogram;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const OBJECTS: u64 = 10_000;
const PARTITIONS: i32 = 4;
/// Marked records have objects of their own, numbered from here on.
const MARKED: u64 = 1_000_000;
const MARKED_A_SECOND: f64 = 50.0;
const PREFIX: &str = "bench.";

/// A broker in a folder of its own; it ends with this process.
struct Broker {
    port: u16,
    child: Child,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("bound").port()
}

impl Broker {
    fn start(dir: &Path) -> Broker {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let (script, library) = (root.join("tests/kafka/broker.sh"), root.join("target/kafka/lib"));
        let fetched = Command::new(&script).arg("fetch").arg(&library).status().expect("sh runs");
        assert!(fetched.success(), "the jars of Kafka could not be fetched");
        let (port, controller) = (free_port(), free_port());
        fs::create_dir_all(dir).expect("a folder");
        let properties = format!(
            "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.bootstrap.servers=127.0.0.1:{controller}\n\
             listeners=PLAIN://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
             listener.security.protocol.map=PLAIN:PLAINTEXT,CONTROLLER:PLAINTEXT\ninter.broker.listener.name=PLAIN\n\
             controller.listener.names=CONTROLLER\nlog.dirs={}\nauto.create.topics.enable=false\nnum.partitions={PARTITIONS}\n\
             offsets.topic.num.partitions=4\noffsets.topic.replication.factor=1\n\
             transaction.state.log.num.partitions=4\ntransaction.state.log.replication.factor=1\n\
             transaction.state.log.min.isr=1\nshare.coordinator.state.topic.replication.factor=1\n\
             share.coordinator.state.topic.min.isr=1\ngroup.initial.rebalance.delay.ms=0\n",
            dir.join("data").display()
        );
        fs::write(dir.join("server.properties"), properties).expect("written");
        fs::write(dir.join("cluster"), "Zm9yZXdhcm4tYmVuY2gtMQ").expect("written");
        let child = Command::new(script).arg("run").arg(library).arg(dir).stdin(Stdio::piped()).spawn();
        let broker = Broker { port, child: child.expect("the script starts") };
        let asker: BaseConsumer = broker.client().create().expect("a client");
        let begun = Instant::now();
        while asker.fetch_metadata(None, Duration::from_secs(1)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(120), "the broker does not answer");
        }
        broker
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", format!("127.0.0.1:{}", self.port));
        config
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().ok();
    }
}

/// One `forewarn run`.
struct Instance {
    child: Child,
    out: PathBuf,
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Instance {
    fn get(&self, path: &str) -> Option<String> {
        let said = fs::read_to_string(&self.out).ok()?;
        let address = said.split("http://").nth(1)?.split([' ', '/', '\n']).next()?.to_owned();
        let mut stream = TcpStream::connect(address).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        Some(text.split_once("\r\n\r\n")?.1.to_owned())
    }

    /// Records that engines have used and committed.
    fn used(&self) -> f64 {
        let text = self.get("/metrics").unwrap_or_default();
        let lines = text.lines().filter(|l| l.starts_with("forewarn_records_total{") && l.contains("\"used\""));
        lines.filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    fn processor(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("it runs");
        let fields: Vec<f64> =
            stat.rsplit(')').next().unwrap_or("").split_whitespace().filter_map(|f| f.parse().ok()).collect();
        // After the name and the state, which is no number: utime and stime are the 11th and 12th, in 1/100 s.
        (fields[10] + fields[11]) / 100.0
    }

    fn memory(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or("0 kB");
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or(0.0) / 1024.0
    }
}

fn command(config: &Path, args: &[&str]) {
    let status = Command::new(env!("CARGO_BIN_EXE_forewarn"))
        .args(args)
        .arg("--config")
        .arg(config)
        .stdout(Stdio::null())
        .status()
        .expect("the program runs");
    assert!(status.success(), "{args:?}");
}

/// Five kinds: what departments feed back has topics of its own, which this pack does not address.
fn kind_of(i: u64) -> Kind {
    match feed::kind_of(i) {
        Kind::Feedback => Kind::Inspection,
        kind => kind,
    }
}

fn send(producer: &BaseProducer, kind: Kind, i: u64, payload: &str) {
    let topic = format!("{PREFIX}raw.{}", kind.word());
    // Runs of records to one partition, as the clients' own partitioners do it: a request for every record would keep
    // the broker busy with nothing but requests.
    let mut record: BaseRecord<'_, (), str> =
        BaseRecord::to(&topic).partition((i / 128 % PARTITIONS as u64) as i32).payload(payload);
    loop {
        match producer.send(record) {
            Ok(()) => return,
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                record = back;
                producer.poll(Duration::from_millis(5));
            }
            Err((error, _)) => panic!("{error}"),
        }
    }
}

/// A reading far above the bound of its sensor type, of an object that nobody has heard of.
fn marked(number: u64, at: Millis) -> String {
    format!(
        "{{\"record_id\":\"m-{number}\",\"kind\":\"iot\",\"source_system\":\"scada\",\"source_dept\":\
         \"urban_management\",\"object_id\":\"{}\",\"industry\":\"gas\",\"region\":\"371102\",\"occurred_at\":\"{}\",\
         \"sensor_id\":\"s-{number}\",\"sensor_type\":\"temp_c\",\"value\":95.5,\"unit\":\"Cel\",\"status\":\"good\",\
         \"seq\":1}}",
        feed::object(MARKED + number),
        rfc3339(at)
    )
}

fn main() {
    let setting = |name: &str, default: u64| std::env::var(name).ok().and_then(|s| s.parse().ok()).unwrap_or(default);
    let (records, seconds) = (setting("RECORDS", 1_000_000), setting("SECONDS_EACH", 10));
    let dir = tempfile::tempdir().expect("a folder");
    let broker = Broker::start(&dir.path().join("broker"));
    let config = dir.path().join("forewarn.yaml");
    fs::write(dir.path().join("secret"), "a secret of the bench").expect("written");
    let settings = format!(
        "kafka: {{ bootstrap: \"127.0.0.1:{}\", prefix: \"{PREFIX}\" }}\nlog: {{ partitions: {PARTITIONS} }}\nsecret: \
         \"file:secret\"\nconsole: {{ listen: \"127.0.0.1:0\" }}\n",
        broker.port
    );
    fs::write(&config, settings).expect("written");
    for (name, text) in feed::files(&feed::hundred()) {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("written");
    }
    command(&config, &["topics", "create"]);

    let producer: BaseProducer = broker
        .client()
        .set("linger.ms", "20")
        .set("queue.buffering.max.messages", "400000")
        .create()
        .expect("a producer");
    let mut next = 0;
    for i in 0..OBJECTS {
        // The id chooses the object by chance; here each must come once.
        let record = feed::record(Kind::Registry, i, OBJECTS, now_ms() - 60_000);
        let record = record.replace(&feed::object(feed::mix(i) % OBJECTS), &feed::object(i));
        send(&producer, Kind::Registry, i, &record.replace("\"r-", "\"first-"));
    }
    let mut bytes = 0;
    for i in next..next + records {
        let (kind, at) = (kind_of(i), now_ms() - 1_000);
        let record = feed::record(kind, i, OBJECTS, at);
        bytes += record.len();
        send(&producer, kind, i, &record);
    }
    next += records;
    producer.flush(Duration::from_secs(60)).expect("sent");
    println!("{records} records of {} B on the mean wait in {PARTITIONS} partitions a topic", bytes as u64 / records);

    let out = dir.path().join("out");
    let child = Command::new(env!("CARGO_BIN_EXE_forewarn"))
        .args(["run", "--slot", "bench", "--config"])
        .arg(&config)
        .stdout(fs::File::create(&out).expect("a file"))
        .stderr(fs::File::create(dir.path().join("err")).expect("a file"))
        .spawn()
        .expect("the program starts");
    let instance = Instance { child, out };
    while instance.get("/healthz").is_none() {
        sleep(Duration::from_millis(20));
    }
    let (begun, used) = (Instant::now(), instance.processor());
    command(&config, &["publish", &dir.path().join("rules").to_string_lossy()]);
    let total = (records + OBJECTS) as f64;
    let mut first = None;
    while instance.used() < total * 0.999 {
        if first.is_none() && instance.used() > 0.0 {
            first = Some(begun.elapsed());
        }
        if begun.elapsed() > Duration::from_secs(600) {
            let said = fs::read_to_string(dir.path().join("err")).unwrap_or_default();
            panic!("only {} of {total} records after ten minutes:\n{said}", instance.used());
        }
        sleep(Duration::from_millis(50));
    }
    let (wall, cpu) = (begun.elapsed() - first.unwrap_or_default(), instance.processor() - used);
    let rate = total / wall.as_secs_f64();
    println!(
        "backlog: {rate:.0} records/s by the wall beside the broker, {:.0} records/s of processor time; {:.2} s of \
         processor time a million records; {:.0} MB at most",
        total / cpu,
        cpu / total * 1e6,
        instance.memory()
    );

    let reader: BaseConsumer = broker
        .client()
        .set("group.id", "bench")
        .set("isolation.level", "read_committed")
        .set("fetch.wait.max.ms", "20")
        .create()
        .expect("a consumer");
    let topic = format!("{PREFIX}warn.all");
    let metadata = reader.fetch_metadata(Some(&topic), Duration::from_secs(10)).expect("metadata");
    let mut list = TopicPartitionList::new();
    for partition in 0..metadata.topics()[0].partitions().len() {
        list.add_partition_offset(&topic, partition as i32, Offset::End).expect("an offset");
    }
    reader.assign(&list).expect("assigned");
    let mut numbered = 0;
    for share in [0.1, 0.3, 0.6] {
        let rate = rate * share;
        let mut histogram: Histogram<u64> = Histogram::new(3).expect("3 digits are allowed");
        let mut due: Vec<Duration> = Vec::new();
        let (first_number, first_record) = (numbered, next);
        let begun = Instant::now();
        let over = Duration::from_secs(seconds);
        let used = instance.processor();
        let mut busy = None;
        let mut seen = std::collections::BTreeSet::new();
        while seen.len() < due.len() || begun.elapsed() < over {
            let now = begun.elapsed();
            if now < over {
                while ((next - first_record) as f64) < now.as_secs_f64() * rate {
                    let kind = kind_of(next);
                    send(&producer, kind, next, &feed::record(kind, next, OBJECTS, now_ms()));
                    next += 1;
                }
                while (due.len() as f64) < now.as_secs_f64() * MARKED_A_SECOND {
                    due.push(Duration::from_secs_f64(due.len() as f64 / MARKED_A_SECOND));
                    send(&producer, Kind::Iot, numbered, &marked(numbered, now_ms()));
                    numbered += 1;
                }
            } else if busy.is_none() {
                busy = Some((instance.processor() - used) / over.as_secs_f64());
            }
            // Polls that wait spin in the client; this process must leave the cores to the others.
            producer.poll(Duration::ZERO);
            sleep(Duration::from_micros(500));
            while let Some(message) = reader.poll(Duration::ZERO) {
                let message = message.expect("a message");
                let text = String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned();
                let number = text.split("equip:371102-").nth(1).and_then(|t| t.get(..7)?.parse::<u64>().ok());
                let Some(number) = number.and_then(|n| n.checked_sub(MARKED)?.checked_sub(first_number)) else {
                    continue;
                };
                if seen.insert(number) {
                    let latency = begun.elapsed().saturating_sub(due[number as usize]).as_micros();
                    histogram.record(u64::try_from(latency).unwrap_or(u64::MAX)).expect("it grows by itself");
                }
            }
            assert!(begun.elapsed() < over + Duration::from_secs(60), "{} of {} warnings came", seen.len(), due.len());
        }
        let at = |q: f64| histogram.value_at_quantile(q) as f64 / 1e3;
        println!(
            "at {rate:.0} records/s: latency of {} warnings, due to read: p50 {:.0} ms, p99 {:.0} ms, p99.9 {:.0} ms, at \
             most {:.0} ms; {:.2} cores",
            seen.len(),
            at(0.5),
            at(0.99),
            at(0.999),
            histogram.max() as f64 / 1e3,
            busy.unwrap_or_default()
        );
    }
}
