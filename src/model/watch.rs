//! Watches whether a model alarms far more often than its file says that it does.
//!
//! In: every score that was judged, by key, with the pane that it falls in and whether it is an alarm. Out: whether the
//! model is failing. Promise: deterministic and bounded, seven panes and a few numbers a key; a burst of alarms, however
//! large, or one broken sensor is no failing model.
//! Not here: what a failing model means (`engine`), who is told (`log`).
//!
//! # Method
//! A model fails when all of this holds over the last seven panes (days; weeks for weekly counts):
//! - at least 1,000 scores were judged;
//! - the share of alarms is above ten times the declared rate (`bar`), and so many alarms have a probability below 1e-6
//!   at the declared rate (Poisson tail);
//! - on at least five of the panes that are over half of the keys or more were beyond the bar by themselves. A true event
//!   raises its warnings in its first hours, stands on some of the keys or ends within days: one shorter than three
//!   whole days cannot touch five panes. What stands on most keys for longer the model cannot tell from the usual.
//!
//! It recovers when the share falls below half of the bar, or when the file declares something else.

use super::tail;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Panes looked back on, the running one among them.
const PANES: i64 = 7;
/// Scores judged below which nothing is said.
const LEAST: u64 = 1_000;
/// How many times the declared rate is too often: rates hold for independent normal readings, real ones alarm a few
/// times as often without being useless.
const TIMES: f64 = 10.0;
/// Probability of so many alarms below which they are no chance.
const CHANCE: f64 = 1e-6;
/// Closed panes on which most keys must have been beyond the bar.
const BAD_PANES: usize = 5;

/// What a model file declares.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Declared {
    /// A score from here on is an alarm.
    pub threshold: f64,
    /// Share of the scores of undisturbed data that are alarms, 0 to 1.
    pub rate: f64,
}

impl Declared {
    /// The share of alarms that is too much.
    #[must_use]
    pub fn bar(&self) -> f64 {
        TIMES * self.rate
    }

    /// True when so many alarms are more often than declared by far.
    fn is_beyond(&self, alarms: u64, judged: u64) -> bool {
        alarms as f64 > self.bar() * judged as f64
    }
}

/// What a pane has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Pane {
    judged: u64,
    alarms: u64,
    /// Keys with a score, and those of them whose alarms alone were beyond the bar.
    keys: u64,
    beyond: u64,
}

/// What a key has had in its newest pane.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Own {
    pane: i64,
    judged: u32,
    alarms: u32,
}

impl Own {
    const NONE: Own = Own { pane: i64::MIN, judged: 0, alarms: 0 };
}

/// The watch over one model of one indicator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Watch {
    declared: Declared,
    panes: BTreeMap<i64, Pane>,
    /// By key number.
    keys: Vec<Own>,
    failing: bool,
    /// Scores and alarms so far, for metrics.
    judged: u64,
    alarms: u64,
    not_finite: u64,
}

impl Watch {
    /// A watch that has seen nothing.
    #[must_use]
    pub fn new(declared: Declared) -> Watch {
        Watch {
            declared,
            panes: BTreeMap::new(),
            keys: Vec::new(),
            failing: false,
            judged: 0,
            alarms: 0,
            not_finite: 0,
        }
    }

    /// Takes in a score. One that is not finite is a fault of the model and counts as an alarm.
    ///
    /// - `pane`: number of the day (or week) that log time stands in
    pub fn take(&mut self, declared: Declared, key: u32, pane: i64, score: f64) {
        if self.declared != declared {
            *self =
                Watch { judged: self.judged, alarms: self.alarms, not_finite: self.not_finite, ..Watch::new(declared) };
        }
        let alarm = !score.is_finite() || score >= declared.threshold;
        self.judged += 1;
        self.alarms += u64::from(alarm);
        self.not_finite += u64::from(!score.is_finite());
        if !self.panes.contains_key(&pane) {
            self.panes.retain(|old, _| *old > pane - PANES);
        }
        let today = self.panes.entry(pane).or_default();
        let key = key as usize;
        if self.keys.len() <= key {
            self.keys.resize(key + 1, Own::NONE);
        }
        let own = &mut self.keys[key];
        if own.pane != pane {
            *own = Own { pane, judged: 0, alarms: 0 };
            today.keys += 1;
        }
        let was = declared.is_beyond(own.alarms.into(), own.judged.into());
        own.judged = own.judged.saturating_add(1);
        own.alarms = own.alarms.saturating_add(u32::from(alarm));
        let is = declared.is_beyond(own.alarms.into(), own.judged.into());
        today.judged += 1;
        today.alarms += u64::from(alarm);
        today.beyond = today.beyond + u64::from(is) - u64::from(was);
        // Only an alarm can make it fail, and only what is none, or a pane that is gone, can let it recover.
        if self.failing {
            let (judged, alarms) = self.seen();
            self.failing = alarms as f64 >= 0.5 * declared.bar() * judged as f64;
        } else if alarm {
            self.failing = self.fails(pane);
        }
    }

    /// Scores judged and alarms among them, over the panes looked back on.
    #[must_use]
    pub fn seen(&self) -> (u64, u64) {
        self.panes.values().fold((0, 0), |(judged, alarms), p| (judged + p.judged, alarms + p.alarms))
    }

    fn fails(&self, now: i64) -> bool {
        let (judged, alarms) = self.seen();
        let bad = self.panes.range(..now).filter(|(_, p)| 2 * p.beyond >= p.keys).count();
        judged >= LEAST
            && bad >= BAD_PANES
            && self.declared.is_beyond(alarms, judged)
            && tail::upper(alarms as f64, self.declared.rate * judged as f64, 1.0) < CHANCE
    }

    /// True while its scores are not to be used.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.failing
    }

    /// Scores judged so far, alarms among them, and those that were not finite.
    #[must_use]
    pub fn totals(&self) -> (u64, u64, u64) {
        (self.judged, self.alarms, self.not_finite)
    }

    /// A key is gone; its number may soon mean another.
    pub fn forget(&mut self, key: u32) {
        if let Some(own) = self.keys.get_mut(key as usize) {
            *own = Own::NONE;
        }
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        std::mem::size_of::<Watch>() + self.keys.len() * 16 + self.panes.len() * 40
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHART: Declared = Declared { threshold: 3.0, rate: 0.002 };

    /// Days of 200 scores a key; `alarm` says which of them are alarms. The days on which the model was failing at the end.
    fn failing(keys: u32, days: i64, alarm: impl Fn(i64, u32, u32) -> bool) -> Vec<i64> {
        let mut watch = Watch::new(CHART);
        let mut all = Vec::new();
        for day in 0..days {
            for n in 0..200 {
                for key in 0..keys {
                    watch.take(CHART, key, day, if alarm(day, key, n) { 5.0 } else { 1.0 });
                }
            }
            all.extend(watch.is_failing().then_some(day));
        }
        all
    }

    #[test]
    fn what_alarms_on_most_keys_day_after_day_fails_and_recovers() {
        assert_eq!(failing(10, 7, |_, _, n| n % 3 == 0), [5, 6], "once five days are over");
        assert_eq!(failing(1, 8, |_, _, _| true), [5, 6, 7], "and a thousand scores were judged");
        let bad_days = failing(10, 14, |day, _, n| day < 6 && n % 3 == 0);
        assert_eq!(bad_days, [5, 6, 7, 8, 9, 10, 11], "until the bad days are out of the window");
    }

    #[test]
    fn the_declared_rate_a_burst_or_a_few_broken_keys_do_not_fail() {
        assert_eq!(failing(10, 14, |_, _, n| n == 7), Vec::<i64>::new(), "two and a half times the declared rate");
        assert_eq!(
            failing(10, 14, |day, _, _| day == 5 || day == 6),
            Vec::<i64>::new(),
            "two days of alarms everywhere"
        );
        assert_eq!(failing(10, 14, |_, key, _| key < 4), Vec::<i64>::new(), "four of ten keys alarm all the time");
        assert_eq!(failing(10, 14, |day, _, n| day > 2 && n == 0 && day % 3 == 0), Vec::<i64>::new());
    }

    #[test]
    fn another_threshold_or_rate_begins_anew_and_scores_that_are_no_numbers_count_as_alarms() {
        let mut watch = Watch::new(CHART);
        for n in 0..2_000 {
            watch.take(CHART, n % 4, i64::from(n / 300), f64::NAN);
        }
        assert!(watch.is_failing());
        assert_eq!(watch.totals(), (2_000, 2_000, 2_000));
        let other = Declared { rate: 0.2, ..CHART };
        watch.take(other, 0, 7, f64::INFINITY);
        assert!(!watch.is_failing());
        assert_eq!((watch.seen(), watch.totals()), ((1, 1), (2_001, 2_001, 2_001)));
    }
}
