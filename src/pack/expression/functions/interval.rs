//! Literal intervals, and adding them to times and days.
//!
//! Months and years are counted on the local calendar: 31 January and a month is the last of February. A day is 24
//! hours, since +08:00 has no summer time.

use crate::pack::expression::call::{Inputs, Prepared, failed};
use crate::record::{Millis, time};
use arrow::array::ArrayRef;
use arrow::datatypes::{Date32Type, TimestampMillisecondType};

/// Years that an interval may span; more is a slip of the pen.
const MONTHS_MAX: i64 = 12 * 1000;
const MS_MAX: i64 = 366_000 * time::DAY;

/// Reads `15 days`, `1 year 6 months`, `-3 hours`: whole numbers with units. Gives months and milliseconds.
pub(in super::super) fn parse(text: &str) -> Option<(i32, i64)> {
    let (mut months, mut ms) = (0_i64, 0_i64);
    let mut words = text.split_whitespace();
    let mut any = false;
    while let Some(number) = words.next() {
        let n: i64 = number.parse().ok()?;
        let unit = words.next()?.to_lowercase();
        let (to_months, to_ms) = match unit.strip_suffix('s').unwrap_or(&unit) {
            "year" => (12, 0),
            "month" | "mon" => (1, 0),
            "week" => (0, 7 * time::DAY),
            "day" => (0, time::DAY),
            "hour" => (0, 3_600_000),
            "minute" | "min" => (0, 60_000),
            "second" | "sec" => (0, 1_000),
            _ => return None,
        };
        months = months.checked_add(n.checked_mul(to_months)?)?;
        ms = ms.checked_add(n.checked_mul(to_ms)?)?;
        any = true;
    }
    if !any || months.abs() > MONTHS_MAX || ms.abs() > MS_MAX {
        return None;
    }
    Some((i32::try_from(months).ok()?, ms))
}

fn parts(inputs: &Inputs<'_>) -> (i32, i64) {
    match inputs.prepared {
        Prepared::Interval(months, ms) => (*months, *ms),
        _ => unreachable!("an addition of an interval is compiled with it"),
    }
}

/// The day so many months later, the last of the month where the month is shorter.
fn add_months(day: i64, months: i32) -> i64 {
    if months == 0 {
        return day;
    }
    let (year, month, of_month) = time::civil(day);
    let at = year * 12 + i64::from(month) - 1 + i64::from(months);
    let (year, month) = (at.div_euclid(12), at.rem_euclid(12) + 1);
    let first = time::day_of(year, month as u32, 1);
    let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    let length = time::day_of(next_year, next_month as u32, 1) - first;
    first + i64::from(of_month).min(length) - 1
}

/// A time and the interval of the call.
pub(in super::super) fn add_to_time(inputs: &Inputs<'_>) -> ArrayRef {
    let (months, ms) = parts(inputs);
    let times = inputs.time(0);
    inputs.make::<TimestampMillisecondType>(|row| add(times.get(row)?, months, ms).or_else(failed))
}

fn add(at: Millis, months: i32, ms: i64) -> Option<Millis> {
    // Far outside any calendar the day arithmetic itself would overflow.
    if at.unsigned_abs() > 400_000 * 366 * time::DAY.unsigned_abs() {
        return None;
    }
    let day = time::local_day(at);
    let clock = at - time::day_start(day);
    (time::day_start(add_months(day, months)) + clock).checked_add(ms)
}

/// A day and the interval of the call, which is whole days and months.
pub(in super::super) fn add_to_day(inputs: &Inputs<'_>) -> ArrayRef {
    let (months, ms) = parts(inputs);
    let days = inputs.lane::<arrow::array::Date32Array>(0);
    inputs.make::<Date32Type>(|row| {
        let day = add_months(i64::from(days.get(row)?), months) + ms / time::DAY;
        i32::try_from(day).ok().or_else(failed)
    })
}
