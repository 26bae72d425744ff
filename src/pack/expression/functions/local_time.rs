//! Day, hour and weekday of an instant at +08:00.

use super::{Form, Function, FunctionDoc, Param};
use crate::pack::expression::call::failed;
use crate::pack::expression::class::{Class, day_of_time};
use crate::record::time;
use arrow::array::Date32Array;
use arrow::datatypes::{Date32Type, Int64Type, TimestampMillisecondType};

const MOMENT: &[Param] = &[Param::Moment];

pub(super) const DATE: Function = Function {
    doc: FunctionDoc {
        name: "local_date",
        signature: "local_date(time) -> date",
        meaning_zh: "当地(+08:00)日期",
        meaning_en: "the day at +08:00",
        example: "local_date('2026-03-01T16:30:00Z') = '2026-03-02'",
    },
    form: Form::Fixed {
        params: MOMENT,
        optional: 0,
        returns: Class::Date,
        run: |i| {
            let at = i.time(0);
            i.make::<Date32Type>(|row| day_of_time(at.get(row)?).or_else(failed))
        },
    },
};

pub(super) const HOUR: Function = Function {
    doc: FunctionDoc {
        name: "local_hour",
        signature: "local_hour(time) -> int",
        meaning_zh: "当地(+08:00)小时, 0 至 23",
        meaning_en: "the hour at +08:00, 0 to 23",
        example: "local_hour('2026-03-01T16:30:00Z') = 0",
    },
    form: Form::Fixed {
        params: MOMENT,
        optional: 0,
        returns: Class::Int,
        run: |i| {
            let at = i.time(0);
            i.make::<Int64Type>(|row| Some(at.get(row)?.wrapping_add(time::ZONE).rem_euclid(time::DAY) / 3_600_000))
        },
    },
};

pub(super) const WEEKDAY: Function = Function {
    doc: FunctionDoc {
        name: "local_weekday",
        signature: "local_weekday(time) -> int",
        meaning_zh: "星期几, 1 为周一, 7 为周日",
        meaning_en: "the day of the week at +08:00, 1 Monday to 7 Sunday",
        example: "local_weekday('2026-03-01') = 7",
    },
    form: Form::Fixed {
        params: MOMENT,
        optional: 0,
        returns: Class::Int,
        run: |i| {
            let at = i.time(0);
            i.make::<Int64Type>(|row| Some(weekday(i64::from(day_of_time(at.get(row)?).or_else(failed)?))))
        },
    },
};

/// 1 Monday to 7 Sunday; 1970-01-01 was a Thursday.
pub(super) fn weekday(day: i64) -> i64 {
    (day + 3).rem_euclid(7) + 1
}

pub(super) const MAKE_TIME: Function = Function {
    doc: FunctionDoc {
        name: "make_time",
        signature: "make_time(date [, hour, minute]) -> time",
        meaning_zh: "某日当地(+08:00)零点或所给时刻",
        meaning_en: "the instant of a day's midnight at +08:00, or of the clock time given",
        example: "make_time('2026-03-01', 8, 30) = '2026-03-01T08:30:00+08:00'",
    },
    form: Form::Fixed {
        params: &[Param::Day, Param::Int, Param::Int],
        optional: 2,
        returns: Class::Time,
        run: |i| {
            let day = i.lane::<Date32Array>(0);
            let part = |n: usize| (i.count() > n).then(|| i.lane::<arrow::array::Int64Array>(n));
            let (hour, minute) = (part(1), part(2));
            i.make::<TimestampMillisecondType>(|row| {
                let hour = hour.as_ref().map_or(Some(0), |h| h.get(row))?;
                let minute = minute.as_ref().map_or(Some(0), |m| m.get(row))?;
                if !(0..24).contains(&hour) || !(0..60).contains(&minute) {
                    return failed();
                }
                Some(time::day_start(i64::from(day.get(row)?)) + (hour * 60 + minute) * 60_000)
            })
        },
    },
};
