//! A city of four districts and three zones, made from a seed: 20,000 and more supervised objects of gas, food and
//! special equipment, their sensors, filings, checks and licences, quiet most of the time, and a dozen incidents.
//!
//! In: a seed, and the simulated time to run to. Out: records as JSON lines in our own form.
//! Promise: the same seed gives the same bytes, in whatever steps time is asked for. No record can match a real
//! subject: credit codes carry body codes of a range that is not issued, names and places are invented.
//! An incident stands in the records alone; `incidents` says what should come of it, and nothing else knows it.
//! Not here: sending (`demo`), what the records mean (`rules/`).

mod code;
mod feed;
mod incident;
mod objects;
mod random;
#[cfg(test)]
mod tests;

pub(crate) use feed::Record;
pub(crate) use incident::Incident;
pub(crate) use objects::street_names;

use crate::record::{Level, Millis};
use feed::Feeds;
use objects::Objects;

/// When the demo begins: Monday 2026-03-02, 08:00 at +08:00.
pub(crate) const START: Millis = 1_772_409_600_000;

/// Simulated seconds in a second of wall time: 5 minutes. At this speed the first incident shows within a second, a
/// working day lasts under two minutes, and about 2,500 records come a second.
pub(crate) const SPEED: u32 = 300;

/// The city.
pub(crate) struct City {
    objects: Objects,
    feeds: Feeds,
}

impl City {
    /// Builds the city; a few milliseconds.
    #[must_use]
    pub(crate) fn new(seed: u64) -> City {
        let objects = Objects::new(seed);
        let feeds = Feeds::new(seed, &objects);
        City { objects, feeds }
    }

    /// The registry: one version of every object. Goes in before everything else.
    pub(crate) fn registry(&self) -> impl Iterator<Item = Record> + '_ {
        self.objects.all.iter().enumerate().map(|(n, object)| object.registry(n))
    }

    /// What happened before the start and still counts: licences, the last maintenance of each lift, ten days of one
    /// regulator, nine weeks of complaints. In order of event time; `received_at` lies in the half hour before the
    /// start, in the same order.
    #[must_use]
    pub(crate) fn history(&self) -> Vec<Record> {
        feed::history(&self.objects)
    }

    /// Everything from where it stopped last up to and with `until` (simulated time, milliseconds), in order.
    pub(crate) fn next(&mut self, until: Millis) -> Vec<Record> {
        self.feeds.next(&self.objects, until)
    }

    /// Lets the lead department answer a warning: sign, dispose, conclude, each in its time. The answers come out of
    /// [`City::next`].
    ///
    /// - `department`: with or without `@region`
    /// - `at`: simulated time at which the department got the warning
    pub(crate) fn answer(
        &mut self,
        warning_id: &str,
        department: &str,
        region: &str,
        industry: &str,
        level: Level,
        at: Millis,
    ) {
        self.feeds.answer(warning_id, department, region, industry, level, at);
    }

    /// What the planted incidents should raise, earliest first.
    #[must_use]
    pub(crate) fn incidents(&self) -> Vec<Incident> {
        incident::expected(&self.objects)
    }

    /// How many objects the registry holds.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.objects.all.len()
    }
}
