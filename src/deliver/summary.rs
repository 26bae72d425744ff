//! What became of every record, and what was warned of: `summary.json`.

use crate::engine::ChangeKind;
use crate::record::{Level, Millis};
use crate::response::{PackRef, Time, Warning};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What became of a record. The first five shares add up to all that came in; the last two mark used records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// Applied.
    Used,
    /// The same record came before.
    Duplicate,
    /// A higher revision came before.
    StaleRevision,
    /// Would not become a record.
    DeadLettered,
    /// Too far ahead of the wall clock.
    Quarantined,
    /// Used, and older than log time by more than the lateness of its source.
    Late,
    /// Used, and too old for every window.
    BeyondWindows,
}

/// Records of one kind, or of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// All that came.
    #[serde(rename = "in")]
    pub incoming: u64,
    /// Applied.
    pub used: u64,
    /// Of the used: late.
    pub late: u64,
    /// Of the used: too old for every window.
    pub beyond_windows: u64,
    /// The same record came before.
    pub duplicate: u64,
    /// A higher revision came before.
    pub stale_revision: u64,
    /// Would not become a record.
    pub dead_lettered: u64,
    /// Too far ahead of the wall clock.
    pub quarantined: u64,
}

impl Counts {
    /// Counts records of one fate. A mark (late, beyond windows) is no fate of its own: the record counts as used too.
    pub fn add(&mut self, fate: Fate, records: u64) {
        match fate {
            Fate::Used => self.used += records,
            Fate::Duplicate => self.duplicate += records,
            Fate::StaleRevision => self.stale_revision += records,
            Fate::DeadLettered => self.dead_lettered += records,
            Fate::Quarantined => self.quarantined += records,
            Fate::Late => self.late += records,
            Fate::BeyondWindows => self.beyond_windows += records,
        }
    }

    fn accounted(&self) -> u64 {
        self.used + self.duplicate + self.stale_revision + self.dead_lettered + self.quarantined
    }

    fn plus(self, other: Counts) -> Counts {
        Counts {
            incoming: self.incoming + other.incoming,
            used: self.used + other.used,
            late: self.late + other.late,
            beyond_windows: self.beyond_windows + other.beyond_windows,
            duplicate: self.duplicate + other.duplicate,
            stale_revision: self.stale_revision + other.stale_revision,
            dead_lettered: self.dead_lettered + other.dead_lettered,
            quarantined: self.quarantined + other.quarantined,
        }
    }
}

/// Records in all and by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Records {
    /// In all.
    #[serde(flatten)]
    pub total: Counts,
    /// By kind; `unknown` for messages that could not be split.
    pub by_kind: BTreeMap<String, Counts>,
}

impl Records {
    /// Counts records that came in.
    pub fn came_in(&mut self, kind: &str, records: u64) {
        self.total.incoming += records;
        self.kind(kind).incoming += records;
    }

    /// Counts what became of records.
    pub fn became(&mut self, kind: &str, fate: Fate, records: u64) {
        self.total.add(fate, records);
        self.kind(kind).add(fate, records);
    }

    fn kind(&mut self, kind: &str) -> &mut Counts {
        if !self.by_kind.contains_key(kind) {
            self.by_kind.insert(kind.to_owned(), Counts::default());
        }
        self.by_kind.get_mut(kind).expect("it was put there if it was not")
    }
}

/// Warnings sent. A warning counts once, at the highest level it reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarningSummary {
    /// Warnings raised.
    pub total: u64,
    /// Changes by kind: raised, upgraded, cleared, returned, expired.
    pub changes: BTreeMap<String, u64>,
    /// Warnings by highest level.
    pub by_level: BTreeMap<Level, u64>,
    /// Warnings by industry.
    pub by_industry: BTreeMap<String, u64>,
    /// Warnings by indicator.
    pub by_indicator: BTreeMap<String, u64>,
}

impl WarningSummary {
    fn count(&mut self, warning: &Warning) {
        let kind = super::message::word(warning.kind);
        *self.changes.entry(kind.to_owned()).or_default() += 1;
        match (warning.kind, warning.was) {
            (ChangeKind::Raised, _) => {
                self.total += 1;
                *self.by_level.entry(warning.level).or_default() += 1;
                *self.by_industry.entry(warning.industry.id.clone()).or_default() += 1;
                *self.by_indicator.entry(warning.indicator.id.clone()).or_default() += 1;
            }
            (ChangeKind::Upgraded, Some(was)) => {
                // A run over the rest of a log may see an upgrade whose raise came before it.
                let before = self.by_level.entry(was).or_default();
                *before = before.saturating_sub(1);
                *self.by_level.entry(warning.level).or_default() += 1;
            }
            _ => {}
        }
    }
}

/// Warnings of indicators in trial: counted, never sent.
pub type ShadowSummary = WarningSummary;

/// First and last log time of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogTimes {
    /// At the start.
    pub first: Option<Time>,
    /// Reached.
    pub last: Option<Time>,
}

/// A run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// What became of every record.
    pub records: Records,
    /// Warnings sent.
    pub warnings: WarningSummary,
    /// Warnings of indicators in trial.
    pub shadow: ShadowSummary,
    /// Signals made.
    pub signals: u64,
    /// Indicator values made.
    pub values: u64,
    /// Log times.
    pub log_time: LogTimes,
    /// The pack at the end.
    pub pack: PackRef,
    /// Wall time used, seconds.
    pub seconds: f64,
}

/// Records were lost or counted twice: a bug of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SummaryError {
    /// in is not the sum of what became of the records.
    #[error(
        "{kind}: {incoming} records came in, but {accounted} are accounted for (used {used} + duplicate {duplicate} + \
         stale revision {stale_revision} + dead-lettered {dead_lettered} + quarantined {quarantined})",
        incoming = .counts.incoming, accounted = .counts.accounted(), used = .counts.used,
        duplicate = .counts.duplicate, stale_revision = .counts.stale_revision,
        dead_lettered = .counts.dead_lettered, quarantined = .counts.quarantined
    )]
    Unaccounted {
        /// Kind of record, or `all`.
        kind: String,
        /// Its counts.
        counts: Counts,
    },
    /// The kinds do not add up to the total.
    #[error("the kinds of record do not add up to the total: {sum:?} against {total:?}")]
    Kinds {
        /// Sum over the kinds.
        sum: Box<Counts>,
        /// The total.
        total: Box<Counts>,
    },
    /// More records are marked than were used.
    #[error("{kind}: {late} late and {beyond_windows} beyond windows, but only {used} used",
        late = .counts.late, beyond_windows = .counts.beyond_windows, used = .counts.used)]
    Marks {
        /// Kind of record, or `all`.
        kind: String,
        /// Its counts.
        counts: Counts,
    },
}

impl Summary {
    /// An empty summary of a run under a pack.
    #[must_use]
    pub fn new(pack: PackRef) -> Summary {
        Summary {
            records: Records::default(),
            warnings: WarningSummary::default(),
            shadow: ShadowSummary::default(),
            signals: 0,
            values: 0,
            log_time: LogTimes::default(),
            pack,
            seconds: 0.0,
        }
    }

    /// Counts a change where it belongs: sent, or in trial.
    pub fn warning(&mut self, warning: &Warning) {
        if warning.shadow { self.shadow.count(warning) } else { self.warnings.count(warning) }
    }

    /// Notes log time.
    pub fn log_time(&mut self, at: Millis) {
        let at = Time::new(at);
        self.log_time.first.get_or_insert(at);
        self.log_time.last = self.log_time.last.max(Some(at));
    }

    /// Checks that in = used + duplicate + stale revision + dead-lettered + quarantined, for every kind and in all.
    ///
    /// # Errors
    /// The first kind for which it does not hold, with its counts.
    pub fn check(&self) -> Result<(), SummaryError> {
        let all = std::iter::once(("all", &self.records.total));
        for (kind, counts) in all.chain(self.records.by_kind.iter().map(|(kind, counts)| (kind.as_str(), counts))) {
            if counts.incoming != counts.accounted() {
                return Err(SummaryError::Unaccounted { kind: kind.to_owned(), counts: *counts });
            }
            if counts.late.max(counts.beyond_windows) > counts.used {
                return Err(SummaryError::Marks { kind: kind.to_owned(), counts: *counts });
            }
        }
        let sum = self.records.by_kind.values().fold(Counts::default(), |sum, counts| sum.plus(*counts));
        if sum != self.records.total {
            return Err(SummaryError::Kinds { sum: Box::new(sum), total: Box::new(self.records.total) });
        }
        Ok(())
    }

    /// The file's text, indented.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a summary has text keys and no fallible serializers")
    }
}
