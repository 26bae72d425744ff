//! Keeps the metrics in step with the run.
//!
//! In: what came in, what each commit brought, the engines' own counts. Out: counters that add up on every scrape:
//! `forewarn_records_in_total` is at least the sum of `forewarn_records_total`, and equal to it between steps.

use crate::engine::ChangeKind;
use crate::log::{DeadLetter, Embedded, Step, Tally};
use crate::metrics::{Fate, Metrics};
use crate::record::{Kind, Level};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) struct Gauges {
    metrics: Arc<Metrics>,
    tally: Tally,
    /// Lead department and level of each open warning.
    open: BTreeMap<String, (String, Level)>,
}

impl Gauges {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Gauges {
        Gauges { metrics, tally: Tally::default(), open: BTreeMap::new() }
    }

    /// Records came in.
    pub(crate) fn taken(&self, seen: &BTreeMap<String, u64>, dead_letters: &[DeadLetter]) {
        for (kind, n) in seen {
            self.metrics.records_in(kind, *n);
        }
        for letter in dead_letters {
            let fate = if letter.reason == "future" { Fate::Quarantined } else { Fate::DeadLettered };
            self.metrics.records(&letter.kind, fate, 1);
            self.metrics.dead_letters(&letter.source, &letter.reason, 1);
        }
    }

    /// A commit was made.
    pub(crate) fn committed(&mut self, run: &Embedded, step: &Step) {
        self.tally.fates(&run.fates(), &self.metrics);
        for (kind, n) in [(Kind::Signal, step.signals.len()), (Kind::Value, step.values.len())] {
            if n > 0 {
                self.metrics.loop_records(kind, n as u64);
            }
        }
        let mut moved = false;
        for warning in step.warnings.iter().filter(|w| !w.shadow) {
            let kind = word(warning.kind);
            self.metrics.warning_change(&warning.industry.id, warning.level, kind);
            if warning.kind == ChangeKind::Expired {
                self.open.remove(&warning.id);
            } else {
                self.open.insert(warning.id.clone(), (warning.departments.lead.id.clone(), warning.level));
            }
            moved = true;
        }
        if moved {
            self.count_open();
        }
    }

    /// A change that an earlier run of the process wrote; [`Gauges::count_open`] when there are no more.
    pub(crate) fn known(&mut self, document: &serde_json::Value) {
        let text = |pointer: &str| document.pointer(pointer).and_then(serde_json::Value::as_str);
        let (Some(id), Some(kind)) = (text("/id"), text("/kind")) else { return };
        let level = document.get("level").and_then(|l| serde_json::from_value::<Level>(l.clone()).ok());
        match (text("/departments/lead/id"), level) {
            (Some(lead), Some(level)) if kind != word(ChangeKind::Expired) => {
                self.open.insert(id.to_owned(), (lead.to_owned(), level));
            }
            _ => drop(self.open.remove(id)),
        }
    }

    pub(crate) fn count_open(&self) {
        let mut counts: BTreeMap<(String, Level), u64> = BTreeMap::new();
        for key in self.open.values() {
            *counts.entry(key.clone()).or_default() += 1;
        }
        self.metrics.warnings_open(&counts);
    }

    /// Log time, lag and the use of each rule; a few times a second is enough.
    pub(crate) fn standing(&mut self, run: &Embedded, lag_seconds: f64) {
        self.metrics.log_time_lag(lag_seconds);
        for (partition, engine) in run.engines().iter().enumerate() {
            if let Some(at) = engine.log_time() {
                self.metrics.log_time(u32::try_from(partition).unwrap_or(u32::MAX), at);
            }
        }
        for (rule, used) in self.tally.usage(run.engines(), &self.metrics) {
            self.metrics.rule_state_bytes(&rule, used.bytes as u64);
            if used.scores > 0 {
                self.metrics.model_failing(&rule, used.failing);
            }
        }
    }

    /// Warnings open now.
    pub(crate) fn open(&self) -> usize {
        self.open.len()
    }
}

/// The word of a change, as the documents have it.
const fn word(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Raised => "raised",
        ChangeKind::Upgraded => "upgraded",
        ChangeKind::Cleared => "cleared",
        ChangeKind::Returned => "returned",
        ChangeKind::Expired => "expired",
    }
}
