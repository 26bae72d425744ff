//! Counts of an engine that only grow, as steps for the metrics.
//!
//! In: what an engine has counted so far, again and again. Out: what came since the last time.
//! Not here: the counts themselves (`engine`), their names (`metrics`).

use crate::engine::{Engine, Fates, RuleUse};
use crate::metrics::{Fate, Mark, Metrics};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What of an engine's counts the metrics have already.
#[derive(Debug, Default)]
pub struct Tally {
    fates: BTreeMap<String, Fates>,
    /// Matches and nulls by rule.
    usage: BTreeMap<Arc<str>, RuleUse>,
}

impl Tally {
    /// What the engine has counted so far was told by somebody else.
    pub fn skip(&mut self, engine: &Engine) {
        self.fates = engine.fates().clone();
        self.usage = totals([engine]);
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

    /// Tells matches, nulls and scores of each rule since the last time, and once that a model fails or is well again.
    /// Gives the use of each now. Costs a walk over all rules: once a second is enough.
    pub fn usage<'a>(
        &mut self,
        engines: impl IntoIterator<Item = &'a Engine>,
        metrics: &Metrics,
    ) -> BTreeMap<Arc<str>, RuleUse> {
        let all = totals(engines);
        for (rule, used) in &all {
            let rule = &**rule;
            let was = self.usage.get(rule).copied().unwrap_or_default();
            // Another pack may have begun the rule anew.
            metrics.rule_matches(rule, used.matches.saturating_sub(was.matches));
            metrics.rule_nulls(rule, used.nulls.saturating_sub(was.nulls));
            metrics.refused_keys(rule, used.refused.saturating_sub(was.refused));
            if used.scores > 0 {
                let since = |now: u64, was: u64| now.saturating_sub(was);
                let alarms = since(used.alarms, was.alarms);
                metrics.model_scores(
                    rule,
                    since(used.scores, was.scores),
                    alarms,
                    since(used.not_finite, was.not_finite),
                );
            }
            if used.failing > was.failing {
                tracing::error!(
                    rule,
                    "the model alarms far more often than its file declares: its scores are not used until that is over"
                );
            } else if used.failing < was.failing {
                tracing::info!(rule, "the model alarms no more often than it should: its scores are used again");
            }
        }
        self.usage.extend(all.clone());
        all
    }
}

/// What each rule has used over some engines.
fn totals<'a>(engines: impl IntoIterator<Item = &'a Engine>) -> BTreeMap<Arc<str>, RuleUse> {
    let mut all: BTreeMap<Arc<str>, RuleUse> = BTreeMap::new();
    for (rule, used) in engines.into_iter().flat_map(Engine::usage) {
        let total = all.entry(rule).or_default();
        total.matches += used.matches;
        total.nulls += used.nulls;
        total.refused += used.refused;
        total.scores += used.scores;
        total.alarms += used.alarms;
        total.not_finite += used.not_finite;
        total.failing += used.failing;
        total.bytes += used.bytes;
    }
    all
}
