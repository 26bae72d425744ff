//! The topics: made once with the right settings, and checked at each start.

use super::super::{Clock, LogError};
use super::client::Client;
use super::packs::{read_packs, record};
use super::reader::{asker, partitions_by, retriable};
use super::transaction::Transactional;
use super::{DEAD_LETTERS, LOG, LOG_MESSAGE_BYTES_MAX, PACKS, PROGRESS, REGISTRY, WARNINGS};
use crate::intake::Fingerprint;
use crate::pack::Pack;
use crate::record::{Kind, Millis};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::types::RDKafkaErrorCode;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What is fixed with the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogForm {
    /// Number of partitions.
    pub partitions: u32,
    /// How log time moves.
    pub clock: Clock,
    /// Which secret replaces person ids; logs of earlier builds do not say, and settings may have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Fingerprint>,
}

impl LogForm {
    /// True when a log of this form goes on under settings of the other.
    #[must_use]
    pub fn fits(self, asked: LogForm) -> bool {
        self.differs(asked).is_none()
    }

    /// What keeps a log of this form from going on under settings of the other, in plain words.
    #[must_use]
    pub fn differs(self, asked: LogForm) -> Option<String> {
        if (self.partitions, self.clock) != (asked.partitions, asked.clock) {
            return Some(format!(
                "made with {} partitions and clock {:?}, the settings say {} and {:?}: both are fixed with the log",
                self.partitions, self.clock, asked.partitions, asked.clock
            ));
        }
        let other = self.secret.zip(asked.secret).is_some_and(|(made, asked)| made != asked);
        other.then(|| {
            "日志是用另一个密钥建立的:人员假名会变,以前和以后的记录对不上;请恢复原来的密钥 made with another secret: persons \
             would get other pseudonyms and their records would not meet; give the old one back"
                .to_owned()
        })
    }
}

/// A topic that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TopicFinding {
    /// The topic, with its prefix.
    pub topic: String,
    /// What is wrong, in plain words.
    pub what: String,
}

const WITHIN: Duration = Duration::from_secs(15);

/// Raw topics of a pack, without the prefix, each with what its raw partitions are called before the number. Feedback
/// comes in the audiences' own topics (`feedback.<dept>.<region>`), since its department is that of its topic.
#[must_use]
pub fn raw_topics(pack: &Pack, audiences: &[String]) -> BTreeMap<String, String> {
    let mut topics = BTreeMap::new();
    for (name, source) in &pack.sources {
        match &source.topic {
            Some(topic) => {
                topics.insert(topic.clone(), name.clone());
            }
            None if source.kind == Kind::Feedback => {
                let answers = audiences.iter().filter_map(|topic| Some((topic, topic.strip_prefix("feedback.")?)));
                topics.extend(answers.map(|(topic, whose)| (topic.clone(), format!("{name}:{whose}"))));
            }
            None => {
                topics.insert(format!("raw.{name}"), name.clone());
            }
        }
    }
    topics
}

struct Wanted {
    topic: String,
    partitions: Option<u32>,
    settings: Vec<(&'static str, String)>,
}

fn wanted(client: &Client, form: LogForm, retention: Millis, raw: &[String], audiences: &[String]) -> Vec<Wanted> {
    let compacted = || {
        vec![
            ("cleanup.policy", "compact".to_owned()),
            ("segment.bytes", "16777216".to_owned()),
            ("min.cleanable.dirty.ratio", "0.1".to_owned()),
        ]
    };
    let ours = |topic: &str, partitions: u32, settings| Wanted {
        topic: client.name(topic),
        partitions: Some(partitions),
        settings,
    };
    let log = vec![
        ("retention.ms", retention.to_string()),
        ("max.message.bytes", (LOG_MESSAGE_BYTES_MAX + 64 * 1024).to_string()),
    ];
    let mut all = vec![
        ours(LOG, form.partitions, log),
        ours(PROGRESS, form.partitions, compacted()),
        ours(PACKS, 1, compacted()),
        ours(REGISTRY, form.partitions, compacted()),
        ours(WARNINGS, form.partitions, compacted()),
        ours(DEAD_LETTERS, form.partitions, vec![("retention.ms", retention.to_string())]),
    ];
    // A feedback topic is raw and an audience's; a list of audiences may name our own topics.
    let mut known: BTreeSet<String> = all.iter().map(|w| w.topic.clone()).collect();
    for topic in raw.iter().chain(audiences).map(|topic| client.name(topic)) {
        if known.insert(topic.clone()) {
            all.push(Wanted { topic, partitions: None, settings: Vec::new() });
        }
    }
    all
}

/// Makes every topic that is missing, raw topics and audiences' topics too, and writes down the form of the log.
/// Gives the topics made.
///
/// # Errors
/// [`LogError::Damaged`] when the log exists in another form; [`LogError::Retriable`] when the broker refuses.
pub async fn create_topics(
    client: &Client,
    form: LogForm,
    retention: Millis,
    raw: &[String],
    audiences: &[String],
) -> Result<Vec<String>, LogError> {
    let admin: AdminClient<DefaultClientContext> = client.base().create().map_err(|e| retriable("admin", e))?;
    let wanted = wanted(client, form, retention, raw, audiences);
    let new: Vec<NewTopic<'_>> = wanted
        .iter()
        .map(|w| {
            let partitions = w.partitions.map_or(-1, |p| i32::try_from(p).expect("partitions are at most 1024"));
            // -1: the broker's own replication and, for topics that are not ours, its own number of partitions.
            let new = NewTopic::new(&w.topic, partitions, TopicReplication::Fixed(-1));
            w.settings.iter().fold(new, |new, (name, value)| new.set(name, value))
        })
        .collect();
    let options = AdminOptions::new().operation_timeout(Some(WITHIN)).request_timeout(Some(WITHIN));
    let results = admin.create_topics(&new, &options).await.map_err(|e| retriable("create topics", e))?;
    let mut made = Vec::new();
    for result in results {
        match result {
            Ok(topic) => made.push(topic),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => return Err(retriable(&topic, code)),
        }
    }
    // Seconds on a busy broker: a topic is made before all its leaders are known.
    let asker = asker(client)?;
    for w in &wanted {
        let mut found = partitions_by(&asker, &w.topic, WITHIN)?;
        for _ in 0..100 {
            if found.is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
            found = partitions_by(&asker, &w.topic, WITHIN)?;
        }
    }
    match read_packs(client)?.log {
        Some(found) if !found.fits(form) => Err(other_form(found, form)),
        Some(found) if found.secret.is_some() || form.secret.is_none() => Ok(made),
        // A new log, or one of an earlier build, which did not say its secret.
        _ => {
            let mut out = Transactional::new(client, "forewarn-publish".to_owned());
            out.fence()?;
            out.commit(&[record(client, "log", &form)?], None)?;
            Ok(made)
        }
    }
}

fn other_form(found: LogForm, form: LogForm) -> LogError {
    LogError::Damaged { place: LOG.to_owned(), what: found.differs(form).unwrap_or_default() }
}

/// Compares the topics with what the settings and the pack need; changes nothing.
///
/// # Errors
/// [`LogError::Retriable`] when the broker does not answer.
pub fn check_topics(
    client: &Client,
    form: LogForm,
    retention: Millis,
    raw: &[String],
    audiences: &[String],
) -> Result<Vec<TopicFinding>, LogError> {
    let mut findings = Vec::new();
    let asker = asker(client)?;
    for w in wanted(client, form, retention, raw, audiences) {
        let found = partitions_by(&asker, &w.topic, WITHIN)?;
        let what = match (found, w.partitions) {
            (None, _) => "missing; `forewarn topics create` makes it".to_owned(),
            (Some(found), Some(wanted)) if found != wanted => format!("{found} partitions instead of {wanted}"),
            _ => continue,
        };
        findings.push(TopicFinding { topic: w.topic, what });
    }
    if findings.iter().any(|finding| finding.topic == client.name(PACKS)) {
        return Ok(findings);
    }
    match read_packs(client)?.log {
        Some(found) if found.fits(form) => {}
        Some(found) => {
            findings.push(TopicFinding { topic: client.name(LOG), what: other_form(found, form).to_string() });
        }
        None => {
            let what = "its form is not written down; `forewarn topics create` does".to_owned();
            findings.push(TopicFinding { topic: client.name(LOG), what });
        }
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_goes_on_under_its_own_secret_and_one_that_does_not_say_under_any() {
        let form =
            |secret: Option<&[u8]>| LogForm { partitions: 4, clock: Clock::Wall, secret: secret.map(Fingerprint::of) };
        let (one, other, none) = (form(Some(b"one")), form(Some(b"other")), form(None));
        assert!(one.fits(one) && none.fits(one) && one.fits(none));
        assert!(one.differs(other).is_some_and(|what| what.contains("another secret")));
        let eight = LogForm { partitions: 8, ..one };
        assert!(one.differs(eight).is_some_and(|what| what.contains("made with 4 partitions")));
        let old: LogForm = serde_json::from_str(r#"{"partitions":4,"clock":"wall"}"#).unwrap();
        assert_eq!(old, none);
        assert_eq!(serde_json::to_string(&none).unwrap(), r#"{"partitions":4,"clock":"wall"}"#);
    }
}
