//! One value out of a column of JSON text, by a path: `a.b`, and `a.0.b` inside an array.

use super::{Form, Function, FunctionDoc, Param};
use crate::pack::expression::call::{Inputs, failed};
use crate::pack::expression::class::{Class, parse_day, parse_number};
use arrow::array::ArrayRef;
use arrow::datatypes::Date32Type;
use sonic_rs::{JsonValueTrait, LazyValue};
use std::borrow::Cow;

const PARAMS: &[Param] = &[Param::Text, Param::Literal];

/// The value of a column's row at the path; null when it is absent or JSON's null, a failure when the text is no JSON.
/// Nothing is built on the way: the text is checked once and the path is found by skipping.
fn at<'a>(text: Option<&'a str>, path: Option<&str>) -> Option<LazyValue<'a>> {
    let (text, path) = (text?, path?);
    let mut value: LazyValue<'a> = match sonic_rs::from_str(text) {
        Ok(whole) => whole,
        Err(_) => return failed(),
    };
    for step in path.split('.') {
        // A part of a borrowed text is borrowed too.
        let Cow::Borrowed(rest) = value.as_raw_cow() else { return None };
        let found = match step.parse::<usize>() {
            Ok(i) if value.is_array() => sonic_rs::get(rest, [i]),
            _ => sonic_rs::get(rest, [step]),
        };
        value = found.ok()?;
    }
    if value.is_null() { None } else { Some(value) }
}

/// A number, or a text that writes one: reporting systems do both.
pub(super) const NUMBER: Function = Function {
    doc: FunctionDoc {
        name: "json_number",
        signature: "json_number(column, 'a.b') -> number",
        meaning_zh: "JSON 列中某路径的数值;不是数值计为失败",
        meaning_en: "the number at a path of a JSON column (or a text that writes one); anything else is a failure",
        example: "json_number(metrics, 'cod.max') = 50",
    },
    form: Form::Fixed {
        params: PARAMS,
        optional: 0,
        returns: Class::Float,
        run: |i| {
            let (text, path) = (i.text(0), i.text(1));
            i.make_float(|row| {
                let value = at(text.get(row), path.get(row))?;
                value.as_f64().or_else(|| value.as_str().and_then(parse_number)).or_else(failed)
            })
        },
    },
};

/// A text as it is, a number or truth as JSON writes it; an object or array as compact JSON.
pub(super) const TEXT: Function = Function {
    doc: FunctionDoc {
        name: "json_text",
        signature: "json_text(column, 'a.b') -> text",
        meaning_zh: "JSON 列中某路径的文本",
        meaning_en: "the text at a path of a JSON column; other values as JSON writes them",
        example: "json_text(metrics, 'unit') = 'mg/L'",
    },
    form: Form::Fixed {
        params: PARAMS,
        optional: 0,
        returns: Class::Text,
        run: |i| {
            let (text, path) = (i.text(0), i.text(1));
            i.make_text(|row| {
                let value = at(text.get(row), path.get(row))?;
                Some(value.as_str().unwrap_or_else(|| value.as_raw_str()).to_owned())
            })
        },
    },
};

pub(super) const DATE: Function = Function {
    doc: FunctionDoc {
        name: "json_date",
        signature: "json_date(column, 'a.b') -> date",
        meaning_zh: "JSON 列中某路径的日期 (YYYY-MM-DD 或带时刻)",
        meaning_en: "the day at a path of a JSON column: YYYY-MM-DD, or the local day of an RFC 3339 time",
        example: "json_date(metrics, 'due') = '2026-03-15'",
    },
    form: Form::Fixed { params: PARAMS, optional: 0, returns: Class::Date, run: date },
};

fn date(inputs: &Inputs<'_>) -> ArrayRef {
    let (text, path) = (inputs.text(0), inputs.text(1));
    inputs.make::<Date32Type>(|row| {
        let value = at(text.get(row), path.get(row))?;
        value.as_str().and_then(parse_day).or_else(failed)
    })
}
