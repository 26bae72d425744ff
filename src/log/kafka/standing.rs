//! Where the engines of a process stand, and whether that is good enough.
//!
//! In: what each partition's engine says of itself. Out: gauges that add up over instances, and the reasons of
//! `/readyz`.

use super::super::Clock;
use crate::engine::RuleUse;
use crate::metrics::Metrics;
use crate::record::Millis;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One log partition that this process works on.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing {
    pub(super) log_time: Option<Millis>,
    /// Next position that is not committed yet.
    pub(super) next: u64,
    /// Wall time of the takeover.
    pub(super) since: Millis,
    /// Wall time at which the newest usable snapshot was written.
    pub(super) snapshot: Option<Millis>,
    pub(super) snapshot_bytes: u64,
    /// The last attempt failed.
    pub(super) snapshot_failed: bool,
    /// What each rule has used.
    pub(super) rules: BTreeMap<Arc<str>, RuleUse>,
}

impl Standing {
    /// Since when there is no newer snapshot than this.
    fn saved(&self) -> Millis {
        self.snapshot.unwrap_or(self.since)
    }
}

/// Log time further back than this would tell absences late.
const BEHIND: Millis = 30_000;

/// Why this process is not ready, in plain words; nothing when it is.
///
/// - `retention`: of the log
pub(super) fn unready(all: &BTreeMap<u32, Standing>, clock: Clock, now: Millis, retention: Millis) -> Vec<String> {
    let mut reasons = Vec::new();
    // A partition that was just taken over has no log time before its replay is done.
    let log_time = all.values().map(|s| s.log_time).min().flatten();
    match log_time {
        None => reasons.push("no log partition here has reached a time yet".to_owned()),
        Some(at) if clock == Clock::Wall && now - at > BEHIND => {
            reasons.push(format!("log time is {} s behind", (now - at) / 1_000));
        }
        Some(_) => {}
    }
    for (partition, standing) in all {
        let age = now - standing.saved();
        if age > retention / 3 {
            reasons.push(format!(
                "the newest snapshot of partition {partition} is {} minutes old, the log holds {}",
                age / 60_000,
                retention / 60_000
            ));
        }
        if standing.snapshot_failed {
            reasons.push(format!("the last snapshot of partition {partition} could not be written"));
        }
    }
    reasons
}

/// Sets the gauges that hold for the process as a whole.
pub(super) fn show(all: &BTreeMap<u32, Standing>, metrics: &Metrics, now: Millis) {
    let mut rules: BTreeMap<&str, RuleUse> = BTreeMap::new();
    for (partition, standing) in all {
        if let Some(at) = standing.log_time {
            metrics.log_time(*partition, at);
        }
        metrics.state_bytes(*partition, standing.rules.values().map(|used| used.bytes).sum::<usize>() as u64);
        #[expect(clippy::cast_precision_loss, reason = "an age in seconds needs no more than 52 bits")]
        metrics.snapshot(*partition, (now - standing.saved()).max(0) as f64 / 1_000.0, standing.snapshot_bytes);
        for (rule, used) in &standing.rules {
            let all = rules.entry(rule).or_default();
            all.bytes += used.bytes;
            all.scores += used.scores;
            all.failing += used.failing;
        }
    }
    for (rule, used) in rules {
        metrics.rule_state_bytes(rule, used.bytes as u64);
        if used.scores > 0 {
            metrics.model_failing(rule, used.failing);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_is_ready_while_time_passes_and_its_snapshots_are_young() {
        let (now, hour) = (1_800_000_000_000, 3_600_000);
        let fresh = Standing { log_time: Some(now - 400), since: now - 60_000, ..Standing::default() };
        let is = |standing: Standing| unready(&BTreeMap::from([(3, standing)]), Clock::Wall, now, 3 * hour);
        let cases: [(&str, Standing, &[&str]); 6] = [
            ("just begun", fresh.clone(), &[]),
            ("before the first stamp", Standing { log_time: None, ..fresh.clone() }, &["no log partition here"]),
            ("behind", Standing { log_time: Some(now - 31_000), ..fresh.clone() }, &["log time is 31 s behind"]),
            (
                "a snapshot of a third of the retention",
                Standing { snapshot: Some(now - hour), since: now - 9 * hour, ..fresh.clone() },
                &[],
            ),
            (
                "an older one",
                Standing { snapshot: Some(now - hour - 1), ..fresh.clone() },
                &["the newest snapshot of partition 3 is 60 minutes old, the log holds 180"],
            ),
            (
                "none, and none can be written",
                Standing { since: now - 2 * hour, snapshot_failed: true, ..fresh.clone() },
                &["the newest snapshot of partition 3 is 120 minutes old", "could not be written"],
            ),
        ];
        for (what, standing, expected) in cases {
            let reasons = is(standing);
            assert_eq!(reasons.len(), expected.len(), "{what}: {reasons:?}");
            assert!(reasons.iter().zip(expected).all(|(is, says)| is.contains(says)), "{what}: {reasons:?}");
        }
        assert!(!unready(&BTreeMap::new(), Clock::Wall, now, hour).is_empty(), "an instance without partitions");
        let old = Standing { log_time: Some(0), ..fresh };
        assert_eq!(unready(&BTreeMap::from([(0, old)]), Clock::Records, now, 3 * hour), Vec::<String>::new());
    }
}
