//! Settings as written, then as checked.
//!
//! In: one YAML file. Out: [`Settings`], with secrets fetched, folders made relative to the file, and a slot name.
//! Promise: an unknown or misspelt key, a secret written into the file and a number out of range stop the start and
//! name the key; nothing is silently taken as its default.
//! Not here: what the settings do (`log`, `console`).

use crate::log::Clock;
use crate::pack::Span;
use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The settings could not be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("could not read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no YAML, or more than one document.
    #[error("{path}: {what}")]
    Yaml {
        /// The file.
        path: PathBuf,
        /// What the reader says, with line and column.
        what: String,
    },
    /// A key is unknown, missing or of another form.
    #[error("{path}: {what}{}", hint.as_ref().map(|h| format!("\n  hint: {h}")).unwrap_or_default())]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
        /// What to do.
        hint: Option<String>,
    },
    /// A value is not usable.
    #[error("{key}: {what}")]
    Value {
        /// The key, with dots.
        key: String,
        /// What is wrong with it.
        what: String,
    },
    /// A secret could not be fetched.
    #[error("{key}: could not read the secret {reference}")]
    Secret {
        /// The key, with dots.
        key: String,
        /// The reference, never the secret.
        reference: String,
        /// Why.
        source: std::io::Error,
    },
}

/// Settings ready for use.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Name of this instance in the intake's transactional id and in the groups.
    pub slot: String,
    /// The cluster; `None` runs embedded.
    pub kafka: Option<Kafka>,
    /// The ordered log.
    pub log: Log,
    /// Folder of the snapshots.
    pub snapshots: PathBuf,
    /// A partition's state is saved so often at most.
    pub snapshot_every: Span,
    /// Bytes of a log partition's state beyond which indicators in trial take no new keys.
    pub partition_memory: usize,
    /// Folder of the pack (`rules/`, `models/` beside it): read at the start when embedded, by `publish` with Kafka.
    pub rules: PathBuf,
    /// Folder of the models, if one is named; else `models` beside the settings file.
    pub models: Option<PathBuf>,
    /// Folder that files of outcomes go to; none are written when absent. Always given without Kafka.
    pub out: Option<PathBuf>,
    /// Files and folders to read by source, without Kafka; what is not here is as the source's own `file:` says.
    pub inputs: BTreeMap<String, PathBuf>,
    /// The folder of the settings file, which paths are relative to.
    pub folder: PathBuf,
    /// Address of the page and API; loopback unless said otherwise.
    pub listen: SocketAddr,
    /// Key of the HMAC that replaces person ids; the same on every instance. Empty when none is given.
    pub secret: Vec<u8>,
}

/// A Kafka cluster.
#[derive(Clone)]
pub struct Kafka {
    /// `host:port,host:port`
    pub bootstrap: String,
    /// Further client properties (TLS, SASL), secrets fetched.
    pub properties: BTreeMap<String, String>,
    /// Put before every topic, group and transactional id; empty for none.
    pub prefix: String,
    /// A silent instance is taken for dead after this, ms.
    pub session_timeout_ms: u32,
}

impl fmt::Debug for Kafka {
    /// Names of properties only: values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kafka")
            .field("bootstrap", &self.bootstrap)
            .field("properties", &self.properties.keys().collect::<Vec<_>>())
            .field("prefix", &self.prefix)
            .field("session_timeout_ms", &self.session_timeout_ms)
            .finish()
    }
}

/// The ordered log.
#[derive(Clone, Debug)]
pub struct Log {
    /// Folder of the embedded log.
    pub dir: PathBuf,
    /// How log time moves.
    pub clock: Clock,
    /// Number of partitions; fixed when the log is made.
    pub partitions: u32,
    /// How long entries are kept; over Kafka only, the embedded log keeps all.
    pub retention: Span,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    slot: Option<String>,
    kafka: Option<WrittenKafka>,
    #[serde(default)]
    log: WrittenLog,
    snapshots: Option<PathBuf>,
    snapshot_every: Option<Span>,
    partition_memory_mib: Option<usize>,
    rules: Option<PathBuf>,
    models: Option<PathBuf>,
    out: Option<PathBuf>,
    #[serde(default)]
    inputs: BTreeMap<String, PathBuf>,
    secret: Option<String>,
    #[serde(default)]
    console: WrittenConsole,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenKafka {
    bootstrap: String,
    #[serde(default)]
    properties: BTreeMap<String, String>,
    #[serde(default)]
    prefix: String,
    session_timeout: Option<Span>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenLog {
    dir: Option<PathBuf>,
    #[serde(default)]
    clock: Clock,
    partitions: Option<u32>,
    retention: Option<Span>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenConsole {
    listen: Option<String>,
}

/// Keys of the file, for "did you mean".
const KEYS: &[&str] = &[
    "slot",
    "kafka",
    "bootstrap",
    "properties",
    "prefix",
    "session_timeout",
    "log",
    "dir",
    "clock",
    "partitions",
    "retention",
    "snapshots",
    "snapshot_every",
    "partition_memory_mib",
    "rules",
    "models",
    "out",
    "inputs",
    "secret",
    "console",
    "listen",
];

/// Client properties that decide whether anything is lost or doubled: ours, not the settings'.
const OURS: &[&str] = &[
    "acks",
    "auto.offset.reset",
    "bootstrap.servers",
    "client.id",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.idempotence",
    "group.id",
    "group.instance.id",
    "group.protocol",
    "isolation.level",
    "max.in.flight.requests.per.connection",
    "message.timeout.ms",
    "partition.assignment.strategy",
    "partitioner",
    "session.timeout.ms",
    "transaction.timeout.ms",
    "transactional.id",
];

/// Client properties whose value is a secret: only `file:` or `env:` may stand there.
const SECRETS: &[&str] = &["sasl.password", "ssl.key.password", "ssl.keystore.password", "ssl.key.pem"];

impl Settings {
    /// Reads and checks a settings file. `slot` (of the command line) wins over the file's; the host name is the
    /// last resort.
    ///
    /// # Errors
    /// The first thing that cannot be used, with its key.
    pub fn read(path: &Path, slot: Option<&str>) -> Result<Settings, ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Settings::parse(&text, path, slot)
    }

    /// As [`Settings::read`], of a text; folders are relative to the folder of `path`.
    ///
    /// # Errors
    /// As [`Settings::read`].
    pub fn parse(text: &str, path: &Path, slot: Option<&str>) -> Result<Settings, ConfigError> {
        let yaml = |what: String| ConfigError::Yaml { path: path.to_owned(), what };
        let documents = Yaml::load_from_str(text).map_err(|e| yaml(e.to_string()))?;
        let [document] = documents.as_slice() else {
            return Err(yaml(format!("{} documents instead of one", documents.len())));
        };
        let value = json(document).map_err(yaml)?;
        let written: Written = serde_json::from_value(value).map_err(|e| {
            let what = e.to_string();
            let hint = what
                .strip_prefix("unknown field `")
                .and_then(|rest| rest.split('`').next())
                .and_then(|unknown| nearest(unknown).map(|known| format!("did you mean \"{known}\"?")));
            ConfigError::Form { path: path.to_owned(), what, hint }
        })?;
        check(written, path.parent().unwrap_or(Path::new(".")), slot)
    }
}

fn check(written: Written, folder: &Path, slot: Option<&str>) -> Result<Settings, ConfigError> {
    let wrong = |key: &str, what: String| ConfigError::Value { key: key.to_owned(), what };
    let slot = match slot.map(str::to_owned).or(written.slot).or_else(host_name) {
        Some(slot) => slot,
        None => return Err(wrong("slot", "this machine has no host name; give one".to_owned())),
    };
    // It stands in transactional ids and client ids, which other tools print and match.
    if slot.is_empty() || slot.len() > 64 || !slot.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)) {
        return Err(wrong("slot", format!("\"{slot}\" is not 1 to 64 of A-Z a-z 0-9 . _ -")));
    }
    // One process has no use for more than one partition, unless the log is to be moved.
    let partitions = written.log.partitions.unwrap_or(if written.kafka.is_some() { 4 } else { 1 });
    if !(1..=1024).contains(&partitions) {
        return Err(wrong("log.partitions", format!("{partitions} is not between 1 and 1024")));
    }
    let retention = match written.log.retention {
        Some(span) => span,
        None => "30d".parse().expect("a literal span"),
    };
    if retention.millis() < 3_600_000 {
        return Err(wrong("log.retention", "shorter than 1h".to_owned()));
    }
    let snapshot_every = match written.snapshot_every {
        Some(span) => span,
        None => "10s".parse().expect("a literal span"),
    };
    let memory = written.partition_memory_mib.unwrap_or(2_048);
    if !(16..=1_048_576).contains(&memory) {
        return Err(wrong("partition_memory_mib", format!("{memory} is not between 16 and 1048576")));
    }
    if !(1_000..=3_600_000).contains(&snapshot_every.millis()) {
        return Err(wrong("snapshot_every", format!("{snapshot_every} is not between 1s and 1h")));
    }
    if written.kafka.is_some() && !written.inputs.is_empty() {
        let what = "files are read by a run without `kafka:`; over Kafka a source has a topic".to_owned();
        return Err(wrong("inputs", what));
    }
    if written.kafka.is_none() && written.log.retention.is_some() {
        return Err(wrong("log.retention", "without `kafka:` the log keeps everything; leave it out".to_owned()));
    }
    let listen = written.console.listen.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let listen = listen
        .parse()
        .map_err(|_| wrong("console.listen", format!("\"{listen}\" is no address with port (127.0.0.1:8080)")))?;
    let secret = match &written.secret {
        None => Vec::new(),
        Some(reference) => secret("secret", reference, folder)?
            .ok_or_else(|| {
                wrong("secret", "it has no place in this file; write file:<path> or env:<VARIABLE>".to_owned())
            })?
            .into_bytes(),
    };
    // A short one is found by trying; then so are the persons behind the hashes.
    if written.secret.is_some() && secret.len() < SECRET_MIN {
        let what = format!(
            "{} bytes are too few, at least {SECRET_MIN}; `head -c 32 /dev/urandom | base64` makes one",
            secret.len()
        );
        return Err(wrong("secret", what));
    }
    let kafka = written.kafka.map(|kafka| check_kafka(kafka, folder)).transpose()?;
    let place = |given: Option<PathBuf>, default: &str| folder.join(given.unwrap_or_else(|| PathBuf::from(default)));
    // Embedded, log and snapshots lie beside the outcomes, as `demo` and `replay` have them.
    let out = written.out.or_else(|| kafka.is_none().then(|| PathBuf::from("data"))).map(|out| folder.join(out));
    let beside = |given: Option<PathBuf>, name: &str| match (&given, &out) {
        (None, Some(out)) if kafka.is_none() => out.join(name),
        _ => place(given, &format!("data/{name}")),
    };
    Ok(Settings {
        slot,
        log: Log { dir: beside(written.log.dir, "log"), clock: written.log.clock, partitions, retention },
        snapshots: beside(written.snapshots, "snapshots"),
        snapshot_every,
        partition_memory: memory << 20,
        kafka,
        rules: place(written.rules, "rules"),
        models: written.models.map(|models| folder.join(models)),
        out,
        inputs: written.inputs.into_iter().map(|(source, path)| (source, folder.join(path))).collect(),
        folder: folder.to_owned(),
        listen,
        secret,
    })
}

fn check_kafka(written: WrittenKafka, folder: &Path) -> Result<Kafka, ConfigError> {
    let wrong = |key: String, what: &str| ConfigError::Value { key, what: what.to_owned() };
    if written.bootstrap.trim().is_empty() {
        return Err(wrong("kafka.bootstrap".to_owned(), "empty; give host:port"));
    }
    if !written.prefix.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)) {
        return Err(wrong("kafka.prefix".to_owned(), "only A-Z a-z 0-9 . _ - may stand in a topic"));
    }
    let session = written.session_timeout.map_or(10_000, |span| span.millis());
    let session_timeout_ms =
        u32::try_from(session).ok().filter(|ms| (6_000..=300_000).contains(ms)).ok_or_else(|| {
            wrong("kafka.session_timeout".to_owned(), "brokers take 6s to 300s; longer means a later takeover")
        })?;
    let mut properties = BTreeMap::new();
    for (name, value) in written.properties {
        let key = format!("kafka.properties.{name}");
        if OURS.contains(&name.as_str()) {
            return Err(wrong(key, "set by the program: another value could lose or double warnings"));
        }
        let value = match secret(&key, &value, folder)? {
            Some(fetched) => fetched,
            None if SECRETS.contains(&name.as_str()) => {
                return Err(wrong(key, "a secret has no place in this file; write file:<path> or env:<VARIABLE>"));
            }
            None => value,
        };
        properties.insert(name, value);
    }
    Ok(Kafka { bootstrap: written.bootstrap, properties, prefix: written.prefix, session_timeout_ms })
}

/// Fewest bytes of the secret that replaces person ids.
const SECRET_MIN: usize = 16;

/// What `file:<path>` or `env:<VARIABLE>` stands for; `None` for any other text.
fn secret(key: &str, value: &str, folder: &Path) -> Result<Option<String>, ConfigError> {
    let failed = |source| ConfigError::Secret { key: key.to_owned(), reference: value.to_owned(), source };
    match value.split_once(':') {
        Some(("file", path)) => std::fs::read_to_string(folder.join(path))
            .map(|secret| Some(secret.trim_end_matches(['\r', '\n']).to_owned()))
            .map_err(failed),
        Some(("env", variable)) => {
            std::env::var(variable).map(Some).map_err(|e| failed(std::io::Error::new(std::io::ErrorKind::NotFound, e)))
        }
        _ => Ok(None),
    }
}

fn host_name() -> Option<String> {
    let name = std::fs::read_to_string("/etc/hostname").ok().or_else(|| std::env::var("HOSTNAME").ok())?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

fn nearest(unknown: &str) -> Option<&'static str> {
    let scored = KEYS.iter().map(|known| (strsim::damerau_levenshtein(unknown, known), *known));
    // 2: one swapped pair or two typing errors; further away the hint would mislead.
    scored.min().filter(|(distance, _)| *distance <= 2).map(|(_, known)| known)
}

/// A document as JSON. Tags, aliases and keys that are no text are refused: they make a file say what it does not show.
fn json(yaml: &Yaml<'_>) -> Result<serde_json::Value, String> {
    use serde_json::Value as Json;
    Ok(match yaml {
        Yaml::Value(Scalar::Null) => Json::Null,
        Yaml::Value(Scalar::Boolean(b)) => Json::Bool(*b),
        Yaml::Value(Scalar::Integer(i)) => Json::from(*i),
        Yaml::Value(Scalar::FloatingPoint(f)) => Json::from(f.into_inner()),
        Yaml::Value(Scalar::String(s)) => Json::from(s.as_ref()),
        Yaml::Sequence(items) => Json::Array(items.iter().map(json).collect::<Result<_, _>>()?),
        Yaml::Mapping(pairs) => {
            let mut map = serde_json::Map::new();
            for (key, value) in pairs {
                let key = key.as_str().ok_or("a key that is no text")?;
                map.insert(key.to_owned(), json(value)?);
            }
            Json::Object(map)
        }
        _ => return Err("tags and aliases are not read here".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Settings, ConfigError> {
        Settings::parse(text, Path::new("conf/forewarn.yaml"), Some("a"))
    }

    #[test]
    fn a_good_file_is_taken_as_written() {
        let settings = parse(
            "kafka:
  bootstrap: \"k1:9093,k2:9093\"
  prefix: \"city.\"
  session_timeout: 8s
  properties:
    security.protocol: \"SASL_SSL\"
    sasl.password: \"env:PATH\"
log:
  clock: records
  partitions: 8
console:
  listen: \"127.0.0.1:9000\"
",
        )
        .unwrap();
        let kafka = settings.kafka.unwrap();
        assert_eq!(
            (kafka.bootstrap.as_str(), kafka.prefix.as_str(), kafka.session_timeout_ms),
            ("k1:9093,k2:9093", "city.", 8000)
        );
        assert_eq!(kafka.properties["sasl.password"], std::env::var("PATH").unwrap());
        assert!(!format!("{kafka:?}").contains(&std::env::var("PATH").unwrap()), "debug output shows a secret");
        assert_eq!((settings.log.partitions, settings.log.clock), (8, Clock::Records));
        assert_eq!(settings.rules, Path::new("conf/rules"));
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        for (text, says) in [
            ("kafak: {}", "did you mean \"kafka\"?"),
            ("log: { partition: 3 }", "did you mean \"partitions\"?"),
            ("kafka: {}", "missing field `bootstrap`"),
            ("log: { partitions: 0 }", "log.partitions: 0 is not between"),
            ("log: { retention: 5m }", "log.retention: shorter than 1h"),
            ("log: { retention: 7d }", "without `kafka:` the log keeps everything"),
            ("partition_memory_mib: 1", "partition_memory_mib: 1 is not between 16"),
            ("snapshot_every: 2h", "snapshot_every: 2h is not between 1s and 1h"),
            ("inputs: [a]", "invalid type: sequence, expected a map"),
            ("kafka: { bootstrap: \"k:1\" }\ninputs: { iot: a.jsonl }", "inputs: files are read by a run without"),
            ("console: { listen: \"nowhere\" }", "console.listen: \"nowhere\" is no address"),
            ("kafka: { bootstrap: \"\" }", "kafka.bootstrap: empty"),
            ("kafka: { bootstrap: \"k:1\", session_timeout: 1s }", "brokers take 6s"),
            ("kafka: { bootstrap: \"k:1\", properties: { isolation.level: \"x\" } }", "set by the program"),
            ("kafka: { bootstrap: \"k:1\", properties: { sasl.password: \"x\" } }", "a secret has no place"),
            ("kafka: { bootstrap: \"k:1\", properties: { ssl.ca.pem: \"file:none\" } }", "could not read the secret"),
            ("slot: [", "conf/forewarn.yaml"),
        ] {
            let error = parse(text).expect_err(text).to_string();
            assert!(error.contains(says), "{text}\n  said {error}\n  not  {says}");
        }
    }

    #[test]
    fn without_kafka_everything_lies_beside_the_outcomes() {
        let settings = parse("{}").unwrap();
        assert_eq!(settings.log.dir, Path::new("conf/data/log"));
        assert_eq!(settings.log.partitions, 1);
        let settings = parse("out: o\ninputs: { iot: feeds/iot.jsonl, registry: /srv/registry/ }").unwrap();
        assert_eq!((settings.log.dir, settings.snapshots), ("conf/o/log".into(), "conf/o/snapshots".into()));
        assert_eq!(settings.out, Some("conf/o".into()));
        assert_eq!(settings.inputs["iot"], Path::new("conf/feeds/iot.jsonl"));
        assert_eq!(settings.inputs["registry"], Path::new("/srv/registry/"));
    }

    #[test]
    fn a_slot_that_cannot_stand_in_an_id_is_refused() {
        for slot in ["", "a b", "预警", "a/b"] {
            assert!(Settings::parse("{}", Path::new("f.yaml"), Some(slot)).is_err(), "{slot}");
        }
    }
}
