//! Parts of a time and cutting a time off, at +08:00.

use super::local_time::weekday;
use super::{Form, Function, FunctionDoc, Param};
use crate::pack::expression::call::{Inputs, failed};
use crate::pack::expression::class::{Class, day_of_time};
use crate::record::{Millis, time};
use arrow::array::ArrayRef;
use arrow::datatypes::{Int64Type, TimestampMillisecondType};

const PARTS: &[&str] = &["year", "quarter", "month", "day", "hour", "minute", "second", "isodow", "doy", "epoch"];

/// EXTRACT(part FROM time) is the same.
pub(super) const DATE_PART: Function = Function {
    doc: FunctionDoc {
        name: "date_part",
        signature: "date_part('part', time) -> int",
        meaning_zh: "时间的一部分: year quarter month day hour minute second isodow doy epoch",
        meaning_en: "a part of a time at +08:00: year, quarter, month, day, hour, minute, second, isodow, doy, epoch",
        example: "date_part('month', '2026-03-01') = 3",
    },
    form: Form::Fixed {
        params: &[Param::Word(PARTS), Param::Moment],
        optional: 0,
        returns: Class::Int,
        run: |i| {
            let (part, at) = (i.text(0), i.time(1));
            i.make::<Int64Type>(|row| {
                let at = at.get(row)?;
                let day = i64::from(day_of_time(at).or_else(failed)?);
                let clock = at - time::day_start(day);
                let (year, month, of_month) = time::civil(day);
                Some(match part.get(row)? {
                    "year" => year,
                    "quarter" => i64::from((month - 1) / 3 + 1),
                    "month" => i64::from(month),
                    "day" => i64::from(of_month),
                    "hour" => clock / 3_600_000,
                    "minute" => clock / 60_000 % 60,
                    "second" => clock / 1000 % 60,
                    "isodow" => weekday(day),
                    "doy" => day - time::day_of(year, 1, 1) + 1,
                    _ => at.div_euclid(1000),
                })
            })
        },
    },
};

const UNITS: &[&str] = &["year", "quarter", "month", "week", "day", "hour", "minute"];

pub(super) const DATE_TRUNC: Function = Function {
    doc: FunctionDoc {
        name: "date_trunc",
        signature: "date_trunc('unit', time) -> time",
        meaning_zh: "所在年、季、月、周、日、时、分的开始",
        meaning_en: "the start of the year, quarter, month, week (Monday), day, hour or minute at +08:00",
        example: "date_trunc('month', '2026-03-15T10:00') = '2026-03-01'",
    },
    form: Form::Fixed { params: &[Param::Word(UNITS), Param::Moment], optional: 0, returns: Class::Time, run: trunc },
};

fn trunc(inputs: &Inputs<'_>) -> ArrayRef {
    let (unit, at) = (inputs.text(0), inputs.time(1));
    inputs.make::<TimestampMillisecondType>(|row| start(unit.get(row)?, at.get(row)?).or_else(failed))
}

fn start(unit: &str, at: Millis) -> Option<Millis> {
    let day = i64::from(day_of_time(at)?);
    let (year, month, _) = time::civil(day);
    Some(match unit {
        "year" => time::day_start(time::day_of(year, 1, 1)),
        "quarter" => time::day_start(time::day_of(year, (month - 1) / 3 * 3 + 1, 1)),
        "month" => time::day_start(time::day_of(year, month, 1)),
        "week" => time::day_start(day - weekday(day) + 1),
        "day" => time::day_start(day),
        // +08:00 is whole hours from UTC, so hours and minutes are cut alike in both.
        "hour" => at - at.rem_euclid(3_600_000),
        _ => at - at.rem_euclid(60_000),
    })
}
