//! Working time: which hours count, and when a deadline falls.
//!
//! In: the table `rules/shared/calendar.yaml`, an instant and a time allowed. Out: the instant at which it is used up.
//! A working day is Monday to Friday unless it is a holiday, or a day named as a make-up workday (调休上班); its hours
//! are the same every day, at +08:00.
//! Promised: total. A calendar without working time is refused, so every search for the next opening ends; instants
//! beyond `record::time`'s plausible years are answered by running past the table's holidays.
//! Cost: a due time is found by days, a few nanoseconds each.
//! Not here: which clock a level runs on (`deadlines.yaml`), reminders and escalation (`response`).

use super::shared::{Allowed, CalendarFile, Clock};
use crate::record::Millis;
use crate::record::time::{self, DAY, day_start, local_day};
use std::collections::BTreeSet;

const HOUR: Millis = 3_600_000;
/// No deadline lies further ahead; what asks for more gets this day, so that no sum overflows and no search runs long.
const DAYS_MAX: i64 = 100 * 366;

/// The working-time calendar of a pack.
#[derive(Clone, Debug)]
pub struct Calendar {
    /// From and to, in milliseconds of the local day, in order, without overlap.
    hours: Vec<(Millis, Millis)>,
    /// Day numbers since 1970-01-01.
    holidays: BTreeSet<i64>,
    workdays: BTreeSet<i64>,
}

impl Default for Calendar {
    /// Monday to Friday, 08:30 to 12:00 and 13:30 to 17:30, no holidays.
    fn default() -> Calendar {
        Calendar {
            hours: vec![(8 * HOUR + HOUR / 2, 12 * HOUR), (13 * HOUR + HOUR / 2, 17 * HOUR + HOUR / 2)],
            holidays: BTreeSet::new(),
            workdays: BTreeSet::new(),
        }
    }
}

impl Calendar {
    /// Reads the table.
    ///
    /// # Errors
    /// The field at fault and plain words: hours that are no `HH:MM-HH:MM`, are empty, overlap or are out of order; a
    /// day that is no `YYYY-MM-DD`; a day that is both holiday and make-up workday.
    pub fn new(file: &CalendarFile) -> Result<Calendar, (String, String)> {
        let mut hours: Vec<(Millis, Millis)> = Vec::new();
        for text in &file.hours {
            let wrong = |why: &str| ("hours".to_owned(), format!("\"{text}\" {why}"));
            let (from, to) = read_hours(text).ok_or_else(|| wrong("is not HH:MM-HH:MM / 应写作 08:30-12:00"))?;
            if from >= to {
                return Err(wrong("ends before it begins / 结束早于开始"));
            }
            if hours.last().is_some_and(|(_, end)| from < *end) {
                return Err(wrong("overlaps the hours before it or is out of order / 时段重叠或次序颠倒"));
            }
            hours.push((from, to));
        }
        if hours.is_empty() {
            return Err(("hours".to_owned(), "there are no working hours / 没有工作时段".to_owned()));
        }
        let holidays = read_days("holidays", &file.holidays)?;
        let workdays = read_days("workdays", &file.workdays)?;
        if let Some(both) = holidays.intersection(&workdays).next() {
            let (y, m, d) = time::civil(*both);
            let why = format!("{y:04}-{m:02}-{d:02} is a holiday as well / 同时列为节假日");
            return Err(("workdays".to_owned(), why));
        }
        Ok(Calendar { hours, holidays, workdays })
    }

    /// True on a local day with working hours.
    #[must_use]
    pub fn is_working_day(&self, day: i64) -> bool {
        // 1970-01-01 was a Thursday: day 0 is weekday 3 counted from Monday.
        let weekend = (day + 3).rem_euclid(7) >= 5;
        self.workdays.contains(&day) || (!weekend && !self.holidays.contains(&day))
    }

    /// True in working hours; the instant of opening counts, that of closing does not.
    #[must_use]
    pub fn is_working(&self, at: Millis) -> bool {
        let at = bounded(at);
        let day = local_day(at);
        let clock = at - day_start(day);
        self.is_working_day(day) && self.hours.iter().any(|(from, to)| (*from..*to).contains(&clock))
    }

    /// The instant at which the time allowed is used up. A start outside working hours counts from the next opening.
    ///
    /// - A span on the calendar clock is simply added, a negative one too.
    /// - A span on the working clock uses up working hours only; one that ends with a working session ends at its
    ///   close, not at the next opening. A span of nothing is due at the start, or at the next opening.
    /// - `working_days: n`, on either clock, ends with the last working hour of the nth working day after the local day
    ///   of the start; 0 ends with the day of the start itself, or the next working day.
    #[must_use]
    pub fn due(&self, from: Millis, allowed: Allowed, clock: Clock) -> Millis {
        self.share(from, allowed, clock, 1.0)
    }

    /// The instant at which a share of the time allowed is used up (0.5 and 0.8 for reminders, 1 for the deadline
    /// itself), on the same clock; a deadline in working days is shared by working hours.
    ///
    /// A share below 0 or not a number counts as 0. Never later than the deadline for a share of at most 1.
    #[must_use]
    pub fn share(&self, from: Millis, allowed: Allowed, clock: Clock, fraction: f64) -> Millis {
        let from = bounded(from);
        let fraction = if fraction > 0.0 { fraction.min(1000.0) } else { 0.0 };
        match (allowed, clock) {
            (Allowed::Span(span), Clock::Calendar) => bounded(from.saturating_add(part(span.millis(), fraction))),
            (Allowed::Span(span), Clock::Working) => self.after_working(from, part(span.millis(), fraction)),
            (Allowed::Days { working_days }, _) => {
                let due = self.close_of_day(from, working_days);
                if fraction == 1.0 {
                    return due;
                }
                self.after_working(from, part(self.working_between(from, due), fraction))
            }
        }
    }

    /// Working time from one instant to another, in milliseconds; 0 when the second is not later.
    #[must_use]
    pub fn working_between(&self, from: Millis, to: Millis) -> Millis {
        let (from, to) = (bounded(from), bounded(to));
        if to <= from {
            return 0;
        }
        let (first, last) = (local_day(from), local_day(to));
        let mut total: Millis = 0;
        for day in first..=last.min(first + DAYS_MAX) {
            if self.is_working_day(day) {
                let start = day_start(day);
                let held = |(open, close): &(Millis, Millis)| (to.min(start + close) - from.max(start + open)).max(0);
                total += self.hours.iter().map(held).sum::<Millis>();
            }
        }
        total
    }

    /// The instant at which so many milliseconds of working time have passed.
    fn after_working(&self, from: Millis, span: Millis) -> Millis {
        let mut left = span.max(0);
        let first = local_day(from);
        let day_length: Millis = self.hours.iter().map(|(open, close)| close - open).sum();
        for day in first..first + DAYS_MAX {
            if !self.is_working_day(day) {
                continue;
            }
            // Whole days inside are taken at once.
            if day > first && left > day_length {
                left -= day_length;
                continue;
            }
            let start = day_start(day);
            for (open, close) in &self.hours {
                let begin = from.max(start + open);
                let rest = start + close - begin;
                if rest > 0 && left <= rest {
                    return begin + left;
                }
                left -= rest.max(0);
            }
        }
        day_start(first + DAYS_MAX)
    }

    /// The close of the nth working day after the local day of the start.
    fn close_of_day(&self, from: Millis, working_days: u32) -> Millis {
        let first = local_day(from);
        let close = self.hours.last().map_or(DAY, |(_, close)| *close);
        let mut left = i64::from(working_days);
        for day in first..first + DAYS_MAX {
            let counts =
                if working_days == 0 { self.is_working_day(day) } else { day > first && self.is_working_day(day) };
            if counts {
                left -= 1;
                // With no days allowed a start after the close is due at the close of the next working day.
                if left <= 0 && day_start(day) + close >= from {
                    return day_start(day) + close;
                }
            }
        }
        day_start(first + DAYS_MAX)
    }
}

/// Within some ten thousand years of 1970, where no sum below overflows.
fn bounded(at: Millis) -> Millis {
    const FAR: Millis = 10_000 * 366 * DAY;
    at.clamp(-FAR, FAR)
}

/// A share of a span, whole milliseconds.
fn part(span: Millis, fraction: f64) -> Millis {
    if fraction == 1.0 {
        return span;
    }
    (span as f64 * fraction).floor() as Millis
}

fn read_hours(text: &str) -> Option<(Millis, Millis)> {
    let (from, to) = text.split_once('-')?;
    Some((read_clock(from)?, read_clock(to)?))
}

/// `HH:MM`, to 24:00.
fn read_clock(text: &str) -> Option<Millis> {
    let (hour, minute) = text.trim().split_once(':')?;
    let two =
        |t: &str| (t.len() == 2 && t.bytes().all(|b| b.is_ascii_digit())).then(|| t.parse::<Millis>().ok()).flatten();
    let (hour, minute) = (two(hour)?, two(minute)?);
    let at = hour * HOUR + minute * 60_000;
    (minute < 60 && at <= DAY).then_some(at)
}

fn read_days(field: &str, texts: &[String]) -> Result<BTreeSet<i64>, (String, String)> {
    texts
        .iter()
        .map(|text| {
            read_day(text).ok_or_else(|| (field.to_owned(), format!("\"{text}\" is no day YYYY-MM-DD / 不是日期")))
        })
        .collect()
}

fn read_day(text: &str) -> Option<i64> {
    let mut parts = text.split('-');
    let mut next = |len: usize| -> Option<i64> {
        let part = parts.next()?;
        (part.len() == len && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse().ok()).flatten()
    };
    let (year, month, day) = (next(4)?, next(2)?, next(2)?);
    let (month, day) = (u32::try_from(month).ok()?, u32::try_from(day).ok()?);
    if parts.next().is_some() || !(1..=12).contains(&month) {
        return None;
    }
    let number = time::day_of(year, month, day);
    (time::civil(number) == (year, month, day)).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The Spring Festival of 2026: 15 to 23 February off, 14 and 28 February (Saturdays) worked.
    fn file() -> CalendarFile {
        let texts = |list: &[&str]| list.iter().map(|t| (*t).to_owned()).collect();
        CalendarFile {
            hours: texts(&["08:30-12:00", "13:30-17:30"]),
            holidays: (15..=23).map(|d| format!("2026-02-{d}")).collect(),
            workdays: texts(&["2026-02-14", "2026-02-28"]),
        }
    }

    fn calendar() -> Calendar {
        Calendar::new(&file()).unwrap()
    }

    fn at(text: &str) -> Millis {
        let (day, clock) = text.split_once(' ').unwrap();
        let (h, m) = clock.split_once(':').unwrap();
        day_start(read_day(day).unwrap()) + h.parse::<Millis>().unwrap() * HOUR + m.parse::<Millis>().unwrap() * 60_000
    }

    fn show(at: Millis) -> String {
        time::rfc3339(at).replace('T', " ").replace(":00+08:00", "")
    }

    fn allowed(text: &str) -> Allowed {
        match text.strip_suffix("wd") {
            Some(n) => Allowed::Days { working_days: n.parse().unwrap() },
            None => Allowed::Span(text.parse().unwrap()),
        }
    }

    #[test]
    fn working_hours_leave_out_lunch_weekends_and_holidays() {
        for (text, working) in [
            ("2026-02-12 08:29", false), // Thursday
            ("2026-02-12 08:30", true),
            ("2026-02-12 11:59", true),
            ("2026-02-12 12:00", false),
            ("2026-02-12 13:30", true),
            ("2026-02-12 17:30", false),
            ("2026-02-07 10:00", false), // Saturday
            ("2026-02-14 10:00", true),  // make-up Saturday
            ("2026-02-17 10:00", false), // holiday on a Tuesday
            ("2026-02-24 10:00", true),
        ] {
            assert_eq!(calendar().is_working(at(text)), working, "{text}");
        }
    }

    #[test]
    fn due_times() {
        use Clock::{Calendar as Plain, Working};
        for (from, allow, clock, due) in [
            ("2026-02-12 17:00", "2h", Plain, "2026-02-12 19:00"),
            ("2026-02-14 17:00", "48h", Plain, "2026-02-16 17:00"),
            // On the working clock.
            ("2026-02-12 09:00", "2h", Working, "2026-02-12 11:00"),
            ("2026-02-12 11:00", "2h", Working, "2026-02-12 14:30"),
            ("2026-02-12 11:00", "1h", Working, "2026-02-12 12:00"),
            ("2026-02-12 12:30", "1h", Working, "2026-02-12 14:30"),
            ("2026-02-12 16:30", "2h", Working, "2026-02-13 09:30"),
            ("2026-02-12 06:00", "1h", Working, "2026-02-12 09:30"),
            ("2026-02-12 22:00", "1h", Working, "2026-02-13 09:30"),
            // Friday evening runs on through the make-up Saturday, then over nine days of holiday.
            ("2026-02-13 17:00", "1h", Working, "2026-02-14 09:00"),
            ("2026-02-14 17:00", "1h", Working, "2026-02-24 09:00"),
            ("2026-02-18 10:00", "30m", Working, "2026-02-24 09:00"),
            ("2026-02-12 08:30", "15h", Working, "2026-02-13 17:30"),
            ("2026-02-12 08:30", "22h30m", Working, "2026-02-14 17:30"),
            ("2026-02-12 08:30", "24h", Working, "2026-02-24 10:00"),
            ("2026-02-12 12:30", "0s", Working, "2026-02-12 13:30"),
            ("2026-02-12 10:00", "0s", Working, "2026-02-12 10:00"),
            ("2026-02-12 10:00", "-2h", Working, "2026-02-12 10:00"),
            ("2026-02-12 10:00", "-2h", Plain, "2026-02-12 08:00"),
            // In working days: the close of the nth working day after the day of the start.
            ("2026-02-12 09:00", "1wd", Plain, "2026-02-13 17:30"),
            ("2026-02-12 23:00", "1wd", Working, "2026-02-13 17:30"),
            ("2026-02-13 09:00", "1wd", Working, "2026-02-14 17:30"),
            ("2026-02-13 09:00", "3wd", Working, "2026-02-25 17:30"),
            ("2026-02-18 10:00", "1wd", Working, "2026-02-24 17:30"),
            ("2026-02-27 10:00", "1wd", Working, "2026-02-28 17:30"),
            ("2026-02-12 09:00", "0wd", Working, "2026-02-12 17:30"),
            ("2026-02-12 18:00", "0wd", Working, "2026-02-13 17:30"),
            ("2026-02-18 18:00", "0wd", Working, "2026-02-24 17:30"),
        ] {
            assert_eq!(show(calendar().due(at(from), allowed(allow), clock)), due, "{from} + {allow} {clock:?}");
        }
    }

    #[test]
    fn shares_of_the_time_allowed() {
        use Clock::{Calendar as Plain, Working};
        for (from, allow, clock, share, due) in [
            ("2026-02-12 09:00", "2h", Plain, 0.5, "2026-02-12 10:00"),
            ("2026-02-12 09:00", "10h", Plain, 0.8, "2026-02-12 17:00"),
            ("2026-02-12 11:00", "4h", Working, 0.5, "2026-02-12 14:30"),
            ("2026-02-12 22:00", "10h", Working, 0.8, "2026-02-14 09:00"),
            // Left of the day of the start counts too: 7.5 h + 7.5 h, the half is at the first close.
            ("2026-02-12 08:30", "1wd", Working, 0.5, "2026-02-12 17:30"),
            ("2026-02-12 18:00", "2wd", Working, 0.5, "2026-02-13 17:30"),
            ("2026-02-12 09:00", "2h", Plain, 0.0, "2026-02-12 09:00"),
            ("2026-02-12 09:00", "2h", Plain, -3.0, "2026-02-12 09:00"),
            ("2026-02-12 09:00", "2h", Plain, f64::NAN, "2026-02-12 09:00"),
            ("2026-02-12 09:00", "1wd", Plain, 1.0, "2026-02-13 17:30"),
        ] {
            let got = calendar().share(at(from), allowed(allow), clock, share);
            assert_eq!(show(got), due, "{from} + {share} of {allow} {clock:?}");
        }
    }

    #[test]
    fn tables_that_make_no_calendar_are_refused_by_field() {
        let change = |change: fn(&mut CalendarFile)| {
            let mut file = file();
            change(&mut file);
            Calendar::new(&file).map(|_| ()).map_err(|(field, why)| format!("{field}: {why}"))
        };
        assert_eq!(change(|_| ()), Ok(()));
        type Break = fn(&mut CalendarFile);
        let table: [(Break, &str); 11] = [
            (|f| f.hours.clear(), "hours: there are no"),
            (|f| f.hours = vec!["8:30-12:00".into()], "hours: \"8:30"),
            (|f| f.hours = vec!["08:30".into()], "hours: \"08:30\" is not"),
            (|f| f.hours = vec!["08:30-25:00".into()], "hours: \"08:30-25"),
            (|f| f.hours = vec!["08:61-12:00".into()], "hours: \"08:61"),
            (|f| f.hours = vec!["12:00-12:00".into()], "hours: \"12:00-12:00\" ends"),
            (|f| f.hours.reverse(), "hours: \"08:30-12:00\" overlaps"),
            (|f| f.hours.push("17:00-18:00".into()), "hours: \"17:00-18:00\" overlaps"),
            (|f| f.holidays.push("2026-02-30".into()), "holidays: \"2026-02-30\""),
            (|f| f.workdays.push("2026-2-3".into()), "workdays: \"2026-2-3\""),
            (|f| f.workdays.push("2026-02-16".into()), "workdays: 2026-02-16 is a holiday"),
        ];
        for (broken, expected) in table {
            let error = change(broken).unwrap_err();
            assert!(error.starts_with(expected), "{error} / {expected}");
        }
    }

    #[test]
    fn the_day_may_be_worked_round_the_clock() {
        let file = CalendarFile { hours: vec!["00:00-24:00".into()], holidays: vec![], workdays: vec![] };
        let calendar = Calendar::new(&file).unwrap();
        let due = calendar.due(at("2026-02-13 12:00"), allowed("24h"), Clock::Working);
        assert_eq!(show(due), "2026-02-16 12:00");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        /// The answer lies in working time, and exactly the time allowed lies between.
        #[test]
        fn a_due_time_uses_up_exactly_the_time_allowed(from in 1_700_000_000_000..1_900_000_000_000_i64, minutes in 1..30_000_i64) {
            let calendar = calendar();
            let span = minutes * 60_000;
            let due = calendar.due(from, Allowed::Span(super::super::Span(span)), Clock::Working);
            prop_assert_eq!(calendar.working_between(from, due), span);
            prop_assert!(calendar.is_working(due - 1));
        }

        #[test]
        fn a_larger_share_is_never_earlier(from in 1_700_000_000_000..1_900_000_000_000_i64, days in 0..60_u32, a in 0.0..1.0_f64, b in 0.0..1.0_f64) {
            let calendar = calendar();
            let allowed = Allowed::Days { working_days: days };
            let (low, high) = (a.min(b), a.max(b));
            let at = |share| calendar.share(from, allowed, Clock::Working, share);
            prop_assert!(from <= at(low) && at(low) <= at(high) && at(high) <= at(1.0));
        }

        #[test]
        fn any_instant_and_span_has_an_answer(from in any::<i64>(), span in any::<i64>(), days in any::<u32>(), share in any::<f64>()) {
            let calendar = calendar();
            for clock in [Clock::Calendar, Clock::Working] {
                for allowed in [Allowed::Span(super::super::Span(span)), Allowed::Days { working_days: days }] {
                    let due = calendar.share(from, allowed, clock, share);
                    prop_assert!(due >= bounded(from) || (clock == Clock::Calendar && span < 0));
                }
            }
        }
    }
}
