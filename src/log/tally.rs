//! Counts of an engine that only grow, as steps for the metrics.
//!
//! In: what an engine has counted so far, again and again. Out: what came since the last time.
//! Not here: the counts themselves (`engine`), their names (`metrics`).

use crate::engine::{Engine, Fates};
use crate::metrics::{Fate, Mark, Metrics};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What of an engine's counts the metrics have already.
#[derive(Debug, Default)]
pub struct Tally {
    fates: BTreeMap<String, Fates>,
    /// Matches and nulls by rule.
    usage: BTreeMap<Arc<str>, (u64, u64)>,
}

impl Tally {
    /// What the engine has counted so far was told by somebody else.
    pub fn skip(&mut self, engine: &Engine) {
        self.fates = engine.fates().clone();
        self.usage = totals([engine]).into_iter().map(|(rule, (matches, nulls, _))| (rule, (matches, nulls))).collect();
    }

    /// Tells what became of records since the last time.
    pub fn fates(&mut self, all: &BTreeMap<String, Fates>, metrics: &Metrics) {
        for (kind, now) in all {
            let was = self.fates.entry(kind.clone()).or_default();
            for (fate, n) in [
                (Fate::Used, now.used - was.used),
                (Fate::Duplicate, now.duplicate - was.duplicate),
                (Fate::StaleRevision, now.stale_revision - was.stale_revision),
            ] {
                if n > 0 {
                    metrics.records(kind, fate, n);
                }
            }
            for (mark, n) in [
                (Mark::Late, now.late - was.late),
                (Mark::BeyondWindows, now.beyond_windows - was.beyond_windows),
                (Mark::DedupeUnknown, now.dedupe_unknown - was.dedupe_unknown),
                (Mark::Uncorrectable, now.uncorrectable - was.uncorrectable),
            ] {
                if n > 0 {
                    metrics.marked(kind, mark, n);
                }
            }
            *was = *now;
        }
    }

    /// Tells matches and nulls of each rule since the last time. Gives the bytes of each now. Costs a walk over all
    /// rules: once a second is enough.
    pub fn usage<'a>(
        &mut self,
        engines: impl IntoIterator<Item = &'a Engine>,
        metrics: &Metrics,
    ) -> BTreeMap<Arc<str>, usize> {
        let mut held = BTreeMap::new();
        for (rule, (matches, nulls, bytes)) in totals(engines) {
            let was = self.usage.entry(rule.clone()).or_default();
            // Another pack may have begun the rule anew.
            metrics.rule_matches(&rule, matches.saturating_sub(was.0));
            metrics.rule_nulls(&rule, nulls.saturating_sub(was.1));
            *was = (matches, nulls);
            held.insert(rule, bytes);
        }
        held
    }
}

/// Matches, nulls and bytes by rule over some engines.
fn totals<'a>(engines: impl IntoIterator<Item = &'a Engine>) -> BTreeMap<Arc<str>, (u64, u64, usize)> {
    let mut all: BTreeMap<Arc<str>, (u64, u64, usize)> = BTreeMap::new();
    for (rule, matches, nulls, bytes) in engines.into_iter().flat_map(Engine::usage) {
        let total = all.entry(rule).or_default();
        total.0 += matches;
        total.1 += nulls;
        total.2 += bytes;
    }
    all
}
