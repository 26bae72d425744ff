//! Every metric, by name: the only place that names the metrics crate.
//!
//! In: counts and times from the stages, through one typed method each. Out: one exposition in Prometheus' text form.
//! Promise: names are `forewarn_<stage>_<what>_<unit>` in base units; no family has more than [`SERIES_MAX`] series
//! (what comes later is counted under `other`); labels carry ids and reason codes, never a value of a record.
//! Conservation can be checked from a scrape: `forewarn_records_in_total{kind}` equals the sum over `fate` of
//! `forewarn_records_total{kind,fate}` plus what stands in the log and is not yet applied.
//! Not here: what the figures mean (`dashboards/`), the wall clock (`clock`).

use crate::record::{Kind, Level, Millis};
use prometheus::core::{Atomic, GenericCounterVec, GenericGaugeVec};
use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry,
    TextEncoder,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Series of one family; later label values are counted under `other`. 2,000: the rules, departments × regions and
/// partitions of a city stay below it, and a Prometheus of any size carries it.
pub const SERIES_MAX: usize = 2_000;

/// Classic histogram bounds in seconds: from a quick frame to a commit that hangs.
const SECONDS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];

/// What became of a record that came in: exactly one of these, once, at its home copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// Applied.
    Used,
    /// Seen before with the same revision.
    Duplicate,
    /// A higher revision was there already.
    StaleRevision,
    /// Refused; a dead letter.
    DeadLettered,
    /// Too far ahead of the wall clock; a dead letter with reason `future`.
    Quarantined,
}

impl Fate {
    /// All fates.
    pub const ALL: [Fate; 5] =
        [Fate::Used, Fate::Duplicate, Fate::StaleRevision, Fate::DeadLettered, Fate::Quarantined];

    /// The label value.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Fate::Used => "used",
            Fate::Duplicate => "duplicate",
            Fate::StaleRevision => "stale_revision",
            Fate::DeadLettered => "dead_lettered",
            Fate::Quarantined => "quarantined",
        }
    }
}

/// A mark on a used record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Older than its source's lateness.
    Late,
    /// No window could count it.
    BeyondWindows,
    /// Older than any dedupe horizon.
    DedupeUnknown,
    /// The registry does not know its object.
    ObjectUnknown,
    /// A correction of a source that is not corrected: counted as new.
    Uncorrectable,
}

impl Mark {
    const fn word(self) -> &'static str {
        match self {
            Mark::Late => "late",
            Mark::BeyondWindows => "beyond_windows",
            Mark::DedupeUnknown => "dedupe_unknown",
            Mark::ObjectUnknown => "object_unknown",
            Mark::Uncorrectable => "uncorrectable",
        }
    }
}

/// How a commit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitEnd {
    /// Confirmed.
    Confirmed,
    /// Aborted; will be made again.
    Aborted,
    /// Unknown: the commit record must be read.
    Indefinite,
}

impl CommitEnd {
    const fn word(self) -> &'static str {
        match self {
            CommitEnd::Confirmed => "confirmed",
            CommitEnd::Aborted => "aborted",
            CommitEnd::Indefinite => "indefinite",
        }
    }
}

/// A vector of series that stops growing at [`SERIES_MAX`].
struct Family<V> {
    vec: V,
    seen: Mutex<BTreeSet<Vec<String>>>,
}

impl<V> Family<V> {
    fn new(vec: V) -> Family<V> {
        Family { vec, seen: Mutex::new(BTreeSet::new()) }
    }

    /// Calls `with` with these labels, or with `other` in all of them once the family is full.
    fn at(&self, labels: &[&str], with: impl FnOnce(&V, &[&str])) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let own: Vec<String> = labels.iter().map(|l| (*l).to_owned()).collect();
        let known = seen.contains(&own);
        // One place is kept for `other` itself.
        if !known && seen.len() >= SERIES_MAX - 1 {
            drop(seen);
            with(&self.vec, &vec!["other"; labels.len()]);
            return;
        }
        if !known {
            seen.insert(own);
        }
        drop(seen);
        with(&self.vec, labels);
    }
}

impl<P: Atomic<T = u64>> Family<GenericCounterVec<P>> {
    fn add(&self, labels: &[&str], n: u64) {
        self.at(labels, |vec, labels| vec.with_label_values(labels).inc_by(n));
    }
}

impl<P: Atomic> Family<GenericGaugeVec<P>> {
    fn set(&self, labels: &[&str], value: P::T) {
        self.at(labels, |vec, labels| vec.with_label_values(labels).set(value));
    }

    /// These labels are no longer shown.
    fn end(&self, labels: &[&str]) {
        let own: Vec<String> = labels.iter().map(|l| (*l).to_owned()).collect();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.remove(&own) {
            // It was shown: a series that is not there cannot be.
            self.vec.remove_label_values(labels).unwrap_or_default();
        }
    }

    fn clear(&self) {
        self.vec.reset();
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// All metrics of one process. Made once, shared by reference; there is no global.
pub struct Metrics {
    registry: Registry,
    records_in: Family<IntCounterVec>,
    records: Family<IntCounterVec>,
    marks: Family<IntCounterVec>,
    dead_letters: Family<IntCounterVec>,
    unlisted: Family<IntCounterVec>,
    intake_bytes: Family<IntCounterVec>,
    log_time: Family<GaugeVec>,
    log_time_lag: Gauge,
    consumer_lag: Family<IntGaugeVec>,
    blind: Family<IntGaugeVec>,
    matches: Family<IntCounterVec>,
    nulls: Family<IntCounterVec>,
    rule_bytes: Family<IntGaugeVec>,
    rule_keys: Family<IntGaugeVec>,
    refused_keys: Family<IntCounterVec>,
    model_scores: Family<IntCounterVec>,
    model_alarms: Family<IntCounterVec>,
    model_not_finite: Family<IntCounterVec>,
    model_failing: Family<IntGaugeVec>,
    state_bytes: Family<IntGaugeVec>,
    changes: Family<IntCounterVec>,
    open: Family<IntGaugeVec>,
    loops: Family<IntCounterVec>,
    messages: Family<IntCounterVec>,
    commits: Family<IntCounterVec>,
    intake_batch: Histogram,
    engine_frame: Histogram,
    commit: HistogramVec,
    warning_delay: Histogram,
    snapshot_age: Family<GaugeVec>,
    snapshot_bytes: Family<IntGaugeVec>,
    pack: Family<IntGaugeVec>,
    console_streams: Gauge,
    came_in: AtomicU64,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics::new()
    }
}

impl Metrics {
    /// Registers every family, and the process's own figures (Linux).
    ///
    /// # Panics
    /// Never on a list of names that the tests pass: a name used twice is our own bug.
    #[must_use]
    pub fn new() -> Metrics {
        let registry = Registry::new();
        let r = &registry;
        let build = int_gauge(r, "forewarn_build_info", "Version of this build; always 1.", &["version"]);
        build.set(&[env!("CARGO_PKG_VERSION")], 1);
        #[cfg(target_os = "linux")]
        registry
            .register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))
            .expect("the process collector is registered once");
        Metrics {
            records_in: counter(r, "forewarn_records_in_total", "Records that came in, once each.", &["kind"]),
            records: counter(
                r,
                "forewarn_records_total",
                "Records whose fate is known: used, duplicate, stale_revision, dead_lettered or quarantined.",
                &["kind", "fate"],
            ),
            marks: counter(
                r,
                "forewarn_records_marked_total",
                "Used records that carry a mark: late, beyond_windows, dedupe_unknown, object_unknown, uncorrectable.",
                &["kind", "mark"],
            ),
            dead_letters: counter(
                r,
                "forewarn_intake_dead_letters_total",
                "Dead letters by reason code.",
                &["source", "reason"],
            ),
            unlisted: counter(
                r,
                "forewarn_intake_unlisted_fields_total",
                "Fields that no source file lists, dropped.",
                &["source"],
            ),
            intake_bytes: counter(r, "forewarn_intake_bytes_total", "Bytes of raw messages read.", &["source"]),
            log_time: gauge(
                r,
                "forewarn_log_time_seconds",
                "Log time of a partition, seconds since 1970.",
                &["partition"],
            ),
            log_time_lag: single(
                r,
                "forewarn_log_time_lag_seconds",
                "Wall time minus the least log time of the partitions.",
            ),
            consumer_lag: int_gauge(
                r,
                "forewarn_consumer_lag_records",
                "Messages between the committed position and the end of a partition.",
                &["topic", "partition"],
            ),
            blind: int_gauge(
                r,
                "forewarn_intake_source_blind",
                "1 while a raw partition cannot be read and does not hold log time.",
                &["source"],
            ),
            matches: counter(
                r,
                "forewarn_engine_rule_matches_total",
                "Times that a key reached or rose to a level of a rule.",
                &["rule"],
            ),
            nulls: counter(
                r,
                "forewarn_engine_rule_nulls_total",
                "Rows for which a rule's expression gave null.",
                &["rule"],
            ),
            rule_bytes: int_gauge(
                r,
                "forewarn_engine_rule_bytes",
                "State kept for a rule, counted by fixed bytes per key.",
                &["rule"],
            ),
            rule_keys: int_gauge(r, "forewarn_engine_rule_keys", "Keys with state of a rule.", &["rule"]),
            refused_keys: counter(
                r,
                "forewarn_engine_refused_keys_total",
                "New keys of draft and shadow rules refused because the memory budget is spent.",
                &["rule"],
            ),
            model_scores: counter(
                r,
                "forewarn_engine_model_scores_total",
                "Scores of a rule's model, where its file declares how often they are false alarms.",
                &["rule"],
            ),
            model_alarms: counter(
                r,
                "forewarn_engine_model_alarms_total",
                "Scores of a rule's model at its threshold or above, or not finite.",
                &["rule"],
            ),
            model_not_finite: counter(
                r,
                "forewarn_engine_model_not_finite_total",
                "Scores of a rule's model that are no numbers.",
                &["rule"],
            ),
            model_failing: int_gauge(
                r,
                "forewarn_engine_model_failing",
                "Partitions in which a rule's model alarms so often that its scores are not used.",
                &["rule"],
            ),
            state_bytes: int_gauge(r, "forewarn_engine_state_bytes", "State of a partition.", &["partition"]),
            changes: counter(
                r,
                "forewarn_warnings_changes_total",
                "Changes of warnings by kind and the level from then on.",
                &["industry", "level", "kind"],
            ),
            open: int_gauge(
                r,
                "forewarn_warnings_open",
                "Open warnings by lead department and level.",
                &["department", "level"],
            ),
            loops: counter(r, "forewarn_engine_loop_records_total", "Records that the engine made.", &["kind"]),
            messages: counter(r, "forewarn_deliver_messages_total", "Messages committed to a topic.", &["topic"]),
            commits: counter(r, "forewarn_log_commits_total", "Commits by how they ended.", &["stage", "end"]),
            intake_batch: histogram(r, "forewarn_intake_batch_seconds", "Bytes to frames of one intake batch."),
            engine_frame: histogram(r, "forewarn_engine_frame_seconds", "One frame, tick or pack entry in the engine."),
            commit: {
                let opts = HistogramOpts::new("forewarn_log_commit_seconds", "One commit, until it is confirmed.");
                let vec = HistogramVec::new(opts.buckets(SECONDS.to_vec()), &["stage"]).expect("a valid name");
                r.register(Box::new(vec.clone())).expect("a name used once");
                vec
            },
            warning_delay: histogram(
                r,
                "forewarn_deliver_warning_delay_seconds",
                "From the arrival of the record that raised a warning to the commit of the warning.",
            ),
            snapshot_age: gauge(
                r,
                "forewarn_snapshot_age_seconds",
                "Age of the newest usable snapshot of a partition.",
                &["partition"],
            ),
            snapshot_bytes: int_gauge(
                r,
                "forewarn_snapshot_size_bytes",
                "Size of the newest snapshot of a partition.",
                &["partition"],
            ),
            pack: int_gauge(r, "forewarn_pack_info", "The active pack; always 1.", &["version", "hash"]),
            console_streams: single(r, "forewarn_console_streams", "Pages that follow the console's events."),
            came_in: AtomicU64::new(0),
            registry,
        }
    }

    /// Records that came in, of all kinds.
    #[must_use]
    pub fn came_in(&self) -> u64 {
        self.came_in.load(Ordering::Relaxed)
    }

    /// Records of a kind (`unknown` for messages that could not be split) came in.
    pub fn records_in(&self, kind: &str, n: u64) {
        self.records_in.add(&[kind], n);
        self.came_in.fetch_add(n, Ordering::Relaxed);
    }

    /// The fate of records became known.
    pub fn records(&self, kind: &str, fate: Fate, n: u64) {
        self.records.add(&[kind, fate.word()], n);
    }

    /// Used records got a mark.
    pub fn marked(&self, kind: &str, mark: Mark, n: u64) {
        self.marks.add(&[kind, mark.word()], n);
    }

    /// Dead letters of a source, by reason code.
    pub fn dead_letters(&self, source: &str, reason: &str, n: u64) {
        self.dead_letters.add(&[source, reason], n);
    }

    /// Fields of a source's messages that its file does not list. Their names are not labels: they are not bounded.
    pub fn unlisted_fields(&self, source: &str, n: u64) {
        self.unlisted.add(&[source], n);
    }

    /// Bytes of raw messages read.
    pub fn intake_bytes(&self, source: &str, n: u64) {
        self.intake_bytes.add(&[source], n);
    }

    /// Log time of a partition.
    pub fn log_time(&self, partition: u32, at: Millis) {
        self.log_time.set(&[&partition.to_string()], at as f64 / 1000.0);
    }

    /// Wall time minus the least log time.
    pub fn log_time_lag(&self, seconds: f64) {
        self.log_time_lag.set(seconds);
    }

    /// Messages not yet read and committed.
    pub fn consumer_lag(&self, topic: &str, partition: i32, records: i64) {
        self.consumer_lag.set(&[topic, &partition.to_string()], records);
    }

    /// A partition that this process no longer reads.
    pub fn consumer_lag_ended(&self, topic: &str, partition: i32) {
        self.consumer_lag.end(&[topic, &partition.to_string()]);
    }

    /// A raw partition that this process no longer reads.
    pub fn source_blind_ended(&self, source: &str) {
        self.blind.end(&[source]);
    }

    /// A log partition that this process no longer works on.
    pub fn partition_ended(&self, partition: u32) {
        let partition = partition.to_string();
        for family in [&self.log_time, &self.snapshot_age] {
            family.end(&[&partition]);
        }
        for family in [&self.state_bytes, &self.snapshot_bytes] {
            family.end(&[&partition]);
        }
    }

    /// A raw partition can, or cannot, be read.
    pub fn source_blind(&self, source: &str, blind: u32) {
        self.blind.set(&[source], i64::from(blind.min(1)));
    }

    /// Keys reached or rose to a level of a rule.
    pub fn rule_matches(&self, rule: &str, n: u64) {
        self.matches.add(&[rule], n);
    }

    /// A rule's expression gave null.
    pub fn rule_nulls(&self, rule: &str, n: u64) {
        self.nulls.add(&[rule], n);
    }

    /// Scores of a rule's model, alarms among them, and those that are no numbers.
    pub fn model_scores(&self, rule: &str, scores: u64, alarms: u64, not_finite: u64) {
        self.model_scores.add(&[rule], scores);
        self.model_alarms.add(&[rule], alarms);
        self.model_not_finite.add(&[rule], not_finite);
    }

    /// Partitions in which the scores of a rule's model are not used.
    pub fn model_failing(&self, rule: &str, partitions: u32) {
        self.model_failing.set(&[rule], i64::from(partitions));
    }

    /// State of a rule: bytes and keys.
    pub fn rule_state(&self, rule: &str, bytes: u64, keys: u64) {
        self.rule_bytes.set(&[rule], i64::try_from(bytes).unwrap_or(i64::MAX));
        self.rule_keys.set(&[rule], i64::try_from(keys).unwrap_or(i64::MAX));
    }

    /// State of a rule, bytes, where its keys are not counted apart.
    pub fn rule_state_bytes(&self, rule: &str, bytes: u64) {
        self.rule_bytes.set(&[rule], i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// New keys were refused for want of memory.
    pub fn refused_keys(&self, rule: &str, n: u64) {
        self.refused_keys.add(&[rule], n);
    }

    /// State of a partition, bytes.
    pub fn state_bytes(&self, partition: u32, bytes: u64) {
        self.state_bytes.set(&[&partition.to_string()], i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// A warning changed. `kind` is raised, upgraded, cleared, returned or expired.
    pub fn warning_change(&self, industry: &str, level: Level, kind: &str) {
        self.changes.add(&[industry, level.word(), kind], 1);
    }

    /// Replaces the counts of open warnings, by (lead department, level).
    pub fn warnings_open(&self, counts: &BTreeMap<(String, Level), u64>) {
        self.open.clear();
        for ((department, level), n) in counts {
            self.open.set(&[department, level.word()], i64::try_from(*n).unwrap_or(i64::MAX));
        }
    }

    /// The engine made signals or values.
    pub fn loop_records(&self, kind: Kind, n: u64) {
        self.loops.add(&[kind.word()], n);
    }

    /// Messages were committed to a topic.
    pub fn messages(&self, topic: &str, n: u64) {
        self.messages.add(&[topic], n);
    }

    /// A commit of `intake` or `engine` ended after so many seconds.
    pub fn commit(&self, stage: &str, end: CommitEnd, seconds: f64) {
        self.commits.add(&[stage, end.word()], 1);
        let stage = if stage == "intake" { "intake" } else { "engine" };
        self.commit.with_label_values(&[stage]).observe(seconds);
    }

    /// One intake batch, from bytes to frames.
    pub fn intake_batch(&self, seconds: f64) {
        self.intake_batch.observe(seconds);
    }

    /// One entry of the log in the engine.
    pub fn engine_frame(&self, seconds: f64) {
        self.engine_frame.observe(seconds);
    }

    /// From a record's arrival to the commit of the warning it raised.
    pub fn warning_delay(&self, seconds: f64) {
        self.warning_delay.observe(seconds);
    }

    /// The newest usable snapshot of a partition.
    pub fn snapshot(&self, partition: u32, age_seconds: f64, bytes: u64) {
        let partition = partition.to_string();
        self.snapshot_age.set(&[&partition], age_seconds);
        self.snapshot_bytes.set(&[&partition], i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// The pack that became active; the one before is no longer shown.
    pub fn pack(&self, version: u64, hash: &str) {
        self.pack.clear();
        self.pack.set(&[&version.to_string(), hash], 1);
    }

    /// A page began (+1) or ended (-1) following the events.
    pub fn console_streams(&self, change: f64) {
        self.console_streams.add(change);
    }

    /// The exposition, Prometheus text format 0.0.4.
    #[must_use]
    pub fn render(&self) -> String {
        let mut bytes = Vec::new();
        match TextEncoder::new().encode(&self.registry.gather(), &mut bytes) {
            Ok(()) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) => {
                tracing::error!(%error, "metrics could not be rendered");
                String::new()
            }
        }
    }
}

fn counter(r: &Registry, name: &str, help: &str, labels: &[&str]) -> Family<IntCounterVec> {
    let vec = IntCounterVec::new(Opts::new(name, help), labels).expect("a valid name");
    r.register(Box::new(vec.clone())).expect("a name used once");
    Family::new(vec)
}

fn gauge(r: &Registry, name: &str, help: &str, labels: &[&str]) -> Family<GaugeVec> {
    let vec = GaugeVec::new(Opts::new(name, help), labels).expect("a valid name");
    r.register(Box::new(vec.clone())).expect("a name used once");
    Family::new(vec)
}

fn int_gauge(r: &Registry, name: &str, help: &str, labels: &[&str]) -> Family<IntGaugeVec> {
    let vec = IntGaugeVec::new(Opts::new(name, help), labels).expect("a valid name");
    r.register(Box::new(vec.clone())).expect("a name used once");
    Family::new(vec)
}

fn single(r: &Registry, name: &str, help: &str) -> Gauge {
    let gauge = Gauge::new(name, help).expect("a valid name");
    r.register(Box::new(gauge.clone())).expect("a name used once");
    gauge
}

fn histogram(r: &Registry, name: &str, help: &str) -> Histogram {
    let histogram =
        Histogram::with_opts(HistogramOpts::new(name, help).buckets(SECONDS.to_vec())).expect("a valid name");
    r.register(Box::new(histogram.clone())).expect("a name used once");
    histogram
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    /// Every family with at least one series.
    fn filled() -> Metrics {
        let m = Metrics::new();
        for kind in Kind::OUTSIDE {
            m.records_in(kind.word(), 10);
            for fate in Fate::ALL {
                m.records(kind.word(), fate, 2);
            }
            for mark in [Mark::Late, Mark::BeyondWindows, Mark::DedupeUnknown, Mark::ObjectUnknown, Mark::Uncorrectable]
            {
                m.marked(kind.word(), mark, 1);
            }
        }
        m.dead_letters("iot", "uscc", 1);
        m.unlisted_fields("iot", 3);
        m.intake_bytes("iot", 4096);
        m.log_time(0, 1_772_409_600_000);
        m.log_time_lag(0.5);
        m.consumer_lag("raw.iot", 0, 12);
        m.source_blind("iot/0", 0);
        m.rule_matches("gas_leak_lel", 5);
        m.rule_nulls("gas_leak_lel", 1);
        m.rule_state("gas_leak_lel", 2048, 7);
        m.refused_keys("gas_leak_lel", 1);
        m.model_scores("gas_leak_lel", 100, 2, 1);
        m.model_failing("gas_leak_lel", 0);
        m.state_bytes(0, 1 << 20);
        m.warning_change("gas", Level::Red, "upgraded");
        m.warnings_open(&BTreeMap::from([(("urban_management".to_owned(), Level::Red), 1)]));
        m.loop_records(Kind::Signal, 1);
        m.messages("warn.all", 1);
        m.commit("engine", CommitEnd::Confirmed, 0.02);
        m.commit("intake", CommitEnd::Aborted, 0.02);
        m.commit("intake", CommitEnd::Indefinite, 10.0);
        m.intake_batch(0.004);
        m.engine_frame(0.003);
        m.warning_delay(0.3);
        m.snapshot(0, 12.0, 1 << 16);
        m.pack(3, "abcd");
        m.console_streams(1.0);
        m
    }

    /// Sum of a family's series whose line contains all of `parts`.
    fn sum(text: &str, family: &str, parts: &[&str]) -> f64 {
        text.lines()
            .filter(|l| l.starts_with(&format!("{family}{{")) && parts.iter().all(|p| l.contains(p)))
            .filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    #[test]
    fn the_exposition_passes_promtool() {
        let mut promtool = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("promtool is missing: apt-get install prometheus");
        promtool.stdin.take().expect("piped").write_all(filled().render().as_bytes()).expect("promtool reads");
        let out = promtool.wait_with_output().expect("promtool ends");
        let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        assert!(out.status.success() && said.trim().is_empty(), "promtool: {said}");
    }

    #[test]
    fn every_family_is_shown_once_it_has_a_series() {
        let text = filled().render();
        let shown: BTreeSet<&str> =
            text.lines().filter_map(|l| l.strip_prefix("# TYPE forewarn_")?.split(' ').next()).collect();
        // A family added above without a line in `filled` shows here.
        assert_eq!(shown.len(), 34, "{shown:?}");
        assert!(text.contains("process_resident_memory_bytes"));
    }

    #[test]
    fn a_scrape_shows_that_no_record_was_lost() {
        let text = filled().render();
        for kind in Kind::OUTSIDE {
            let kind = format!("kind=\"{}\"", kind.word());
            let came = sum(&text, "forewarn_records_in_total", &[&kind]);
            assert_eq!(came, 10.0);
            assert_eq!(sum(&text, "forewarn_records_total", &[&kind]), came, "{kind}");
        }
    }

    #[test]
    fn a_family_stops_growing_and_counts_the_rest_under_other() {
        let m = Metrics::new();
        for rule in 0..SERIES_MAX + 500 {
            m.rule_matches(&format!("rule_{rule}"), 1);
            m.rule_state(&format!("rule_{rule}"), 1, 1);
        }
        let text = m.render();
        for family in ["forewarn_engine_rule_matches_total", "forewarn_engine_rule_bytes"] {
            let series = text.lines().filter(|l| l.starts_with(&format!("{family}{{"))).count();
            assert_eq!(series, SERIES_MAX, "{family}");
        }
        assert_eq!(sum(&text, "forewarn_engine_rule_matches_total", &["\"other\""]), 501.0);
        assert_eq!(sum(&text, "forewarn_engine_rule_matches_total", &[]), (SERIES_MAX + 500) as f64);
    }

    #[test]
    fn open_warnings_that_ended_leave_the_scrape() {
        let m = filled();
        m.warnings_open(&BTreeMap::from([(("health".to_owned(), Level::Blue), 2)]));
        let text = m.render();
        assert_eq!(sum(&text, "forewarn_warnings_open", &["health", "blue"]), 2.0);
        assert!(!text.contains("department=\"urban_management\""));
    }
}
