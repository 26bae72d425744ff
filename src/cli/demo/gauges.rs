//! Keeps the metrics in step with the run.
//!
//! In: what came in, what each commit brought, the engines' own counts. Out: counters that add up on every scrape:
//! `forewarn_records_in_total` is at least the sum of `forewarn_records_total`, and equal to it between steps.

use super::inlet::Taken;
use crate::engine::{ChangeKind, Fates};
use crate::log::{Embedded, Step};
use crate::metrics::{Fate, Mark, Metrics};
use crate::record::{Kind, Level, Millis};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) struct Gauges {
    metrics: Arc<Metrics>,
    fates: BTreeMap<String, Fates>,
    usage: BTreeMap<Arc<str>, (u64, u64)>,
    /// Lead department and level of each open warning.
    open: BTreeMap<String, (String, Level)>,
}

impl Gauges {
    pub(super) fn new(metrics: Arc<Metrics>) -> Gauges {
        Gauges { metrics, fates: BTreeMap::new(), usage: BTreeMap::new(), open: BTreeMap::new() }
    }

    /// Records came in.
    pub(super) fn taken(&self, taken: &Taken) {
        for (kind, n) in &taken.seen {
            self.metrics.records_in(kind, *n);
        }
        for letter in &taken.dead_letters {
            let fate = if letter.reason == "future" { Fate::Quarantined } else { Fate::DeadLettered };
            self.metrics.records(&letter.kind, fate, 1);
            self.metrics.dead_letters(&letter.source, &letter.reason, 1);
        }
    }

    /// A commit was made.
    pub(super) fn committed(&mut self, run: &Embedded, step: &Step) {
        for (kind, now) in run.fates() {
            let was = self.fates.entry(kind.clone()).or_default();
            let m = &self.metrics;
            for (fate, n) in [
                (Fate::Used, now.used - was.used),
                (Fate::Duplicate, now.duplicate - was.duplicate),
                (Fate::StaleRevision, now.stale_revision - was.stale_revision),
            ] {
                if n > 0 {
                    m.records(&kind, fate, n);
                }
            }
            for (mark, n) in [
                (Mark::Late, now.late - was.late),
                (Mark::BeyondWindows, now.beyond_windows - was.beyond_windows),
                (Mark::DedupeUnknown, now.dedupe_unknown - was.dedupe_unknown),
                (Mark::Uncorrectable, now.uncorrectable - was.uncorrectable),
            ] {
                if n > 0 {
                    m.marked(&kind, mark, n);
                }
            }
            *was = now;
        }
        for (kind, n) in [(Kind::Signal, step.signals.len()), (Kind::Value, step.values.len())] {
            if n > 0 {
                self.metrics.loop_records(kind, n as u64);
            }
        }
        let mut moved = false;
        for warning in step.warnings.iter().filter(|w| !w.shadow) {
            let kind = super::word(warning.kind);
            self.metrics.warning_change(&warning.industry.id, warning.level, kind);
            if warning.kind == ChangeKind::Expired {
                self.open.remove(&warning.id);
            } else {
                self.open.insert(warning.id.clone(), (warning.departments.lead.id.clone(), warning.level));
            }
            moved = true;
        }
        if moved {
            let mut counts: BTreeMap<(String, Level), u64> = BTreeMap::new();
            for key in self.open.values() {
                *counts.entry(key.clone()).or_default() += 1;
            }
            self.metrics.warnings_open(&counts);
        }
    }

    /// Log time, lag and the use of each rule; a few times a second is enough.
    pub(super) fn standing(&mut self, run: &Embedded, lag_seconds: f64) {
        self.metrics.log_time_lag(lag_seconds);
        let mut usage: BTreeMap<Arc<str>, (u64, u64, usize)> = BTreeMap::new();
        for (partition, engine) in run.engines().iter().enumerate() {
            if let Some(at) = engine.log_time() {
                let at: Millis = at;
                self.metrics.log_time(u32::try_from(partition).unwrap_or(u32::MAX), at);
            }
            for (rule, matches, nulls, bytes) in engine.usage() {
                let all = usage.entry(rule).or_default();
                all.0 += matches;
                all.1 += nulls;
                all.2 += bytes;
            }
        }
        for (rule, (matches, nulls, bytes)) in usage {
            let was = self.usage.entry(rule.clone()).or_default();
            self.metrics.rule_matches(&rule, matches.saturating_sub(was.0));
            self.metrics.rule_nulls(&rule, nulls.saturating_sub(was.1));
            self.metrics.rule_state_bytes(&rule, bytes as u64);
            *was = (matches, nulls);
        }
    }

    /// Warnings open now.
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }
}
