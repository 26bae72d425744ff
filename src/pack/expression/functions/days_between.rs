//! How long from one time to another.

use super::{Form, Function, FunctionDoc, Param};
use crate::pack::expression::call::Inputs;
use crate::pack::expression::class::Class;
use crate::record::time;
use arrow::array::ArrayRef;

const PARAMS: &[Param] = &[Param::Moment, Param::Moment];

fn between(inputs: &Inputs<'_>, unit: i64) -> ArrayRef {
    let (from, to) = (inputs.time(0), inputs.time(1));
    inputs.make_float(|row| {
        let (from, to) = (from.get(row)?, to.get(row)?);
        Some((to as f64 - from as f64) / unit as f64)
    })
}

/// Above zero when the second is later; a day stands for its local midnight.
pub(super) const DAYS: Function = Function {
    doc: FunctionDoc {
        name: "days_between",
        signature: "days_between(from, to) -> number",
        meaning_zh: "从前一时间到后一时间的天数,可带小数,早于为负",
        meaning_en: "days from the first time to the second, with a fraction; below zero when the second is earlier",
        example: "days_between('2026-03-01', '2026-03-02T12:00:00+08:00') = 1.5",
    },
    form: Form::Fixed { params: PARAMS, optional: 0, returns: Class::Float, run: |i| between(i, time::DAY) },
};

pub(super) const HOURS: Function = Function {
    doc: FunctionDoc {
        name: "hours_between",
        signature: "hours_between(from, to) -> number",
        meaning_zh: "从前一时间到后一时间的小时数,可带小数,早于为负",
        meaning_en: "hours from the first time to the second, with a fraction; below zero when the second is earlier",
        example: "hours_between('2026-03-01T08:00', '2026-03-01T09:30') = 1.5",
    },
    form: Form::Fixed { params: PARAMS, optional: 0, returns: Class::Float, run: |i| between(i, 3_600_000) },
};
