//! A real broker for the tests: Apache Kafka as one KRaft process on free loopback ports.
//!
//! In: Java 17 and Maven on the machine. Out: a bootstrap address, a second one whose connections pass a fault proxy,
//! `kill -9` and restart on the same port and data.
//! Promise: no broker outlives the test process, however that ends; a machine without Java fails the test and says
//! what to install.

mod commands;
mod faults;
mod history;
mod kills;
mod marks;
mod proxy;
mod snapshots;
mod system;
mod topics;

use proxy::Proxy;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// One broker process and its data.
pub(crate) struct Broker {
    dir: tempfile::TempDir,
    port: u16,
    proxy: Proxy,
    child: Option<Child>,
}

/// The broker that tests share; topics tell them apart.
pub(crate) fn shared() -> &'static Broker {
    static SHARED: OnceLock<Broker> = OnceLock::new();
    SHARED.get_or_init(Broker::start)
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kafka/broker.sh")
}

fn library() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/kafka/lib")
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("bound").port()
}

impl Broker {
    /// Fetches the jars if they are not there, formats the storage and waits until the broker answers.
    pub(crate) fn start() -> Broker {
        let fetched = Command::new(script()).arg("fetch").arg(library()).output().expect("sh runs");
        assert!(fetched.status.success(), "{}", String::from_utf8_lossy(&fetched.stderr));
        let dir = tempfile::Builder::new().prefix("forewarn-broker-").tempdir().expect("a folder for the broker");
        let (port, controller, inside) = (free_port(), free_port(), free_port());
        let proxy = Proxy::start(inside);
        let data = dir.path().join("data");
        let properties = format!(
            "process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
listeners=PLAIN://127.0.0.1:{port},PROXIED://127.0.0.1:{inside},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAIN://127.0.0.1:{port},PROXIED://127.0.0.1:{proxied}
listener.security.protocol.map=PLAIN:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAIN
controller.listener.names=CONTROLLER
log.dirs={data}
num.partitions=4
auto.create.topics.enable=false
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
num.network.threads=2
num.io.threads=2
log.cleaner.dedupe.buffer.size=16777216
",
            data = data.display(),
            proxied = proxy.port(),
        );
        fs::write(dir.path().join("server.properties"), properties).expect("settings written");
        // Any 16 bytes in base64 do as cluster id.
        fs::write(dir.path().join("cluster"), "Zm9yZXdhcm4tdGVzdHMtMQ").expect("cluster id written");
        let mut broker = Broker { dir, port, proxy, child: None };
        broker.restart();
        broker
    }

    /// `host:port` without the proxy.
    pub(crate) fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// `host:port` of the listener whose connections pass [`Broker::proxy`].
    pub(crate) fn proxied(&self) -> String {
        format!("127.0.0.1:{}", self.proxy.port())
    }

    /// Faults by request kind.
    pub(crate) fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        if let Ok(pid) = fs::read_to_string(self.dir.path().join("pid")) {
            let killed = Command::new("kill").args(["-9", pid.trim()]).stderr(Stdio::null()).status();
            killed.expect("kill runs");
        }
        if let Some(mut child) = self.child.take() {
            // Without the word the script takes the data with it.
            if let Some(mut input) = child.stdin.take() {
                input.write_all(b"keep").expect("the script reads its input");
            }
            child.wait().expect("the script ends when its input closes");
        }
    }

    /// Starts again on the same ports and data and waits for an answer to a metadata request.
    pub(crate) fn restart(&mut self) {
        let child = Command::new(script())
            .arg("run")
            .arg(library())
            .arg(self.dir.path())
            .stdin(Stdio::piped())
            .spawn()
            .expect("the broker script starts");
        self.child = Some(child);
        let asker: BaseConsumer =
            ClientConfig::new().set("bootstrap.servers", self.bootstrap()).create().expect("a client");
        let begun = Instant::now();
        while asker.fetch_metadata(None, Duration::from_secs(1)).is_err() {
            let said = |log: &str| fs::read_to_string(self.dir.path().join(log)).unwrap_or_default();
            let ended = self.child.as_mut().and_then(|child| child.try_wait().expect("a process of ours"));
            assert!(
                begun.elapsed() < Duration::from_secs(120) && ended.is_none(),
                "the broker does not answer (the script ended: {ended:?}); its logs:\n{}{}",
                said("format.log"),
                said("broker.log")
            );
        }
        println!("broker on port {} answers after {:.1} s", self.port, begun.elapsed().as_secs_f64());
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

#[test]
fn broker_comes_back_on_the_same_port_after_kill() {
    let mut broker = Broker::start();
    let before = broker.bootstrap();
    broker.kill();
    broker.restart();
    assert_eq!(before, broker.bootstrap());
}
