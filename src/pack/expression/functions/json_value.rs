//! One value out of a column of JSON text, by a path: `a.b`, and `a.0.b` inside an array.

use super::{Form, Function, FunctionDoc, Param};
use crate::pack::expression::call::{Inputs, failed};
use crate::pack::expression::class::{Class, parse_day, parse_number};
use arrow::array::ArrayRef;
use arrow::datatypes::Date32Type;
use serde_json::Value;

const PARAMS: &[Param] = &[Param::Text, Param::Literal];

/// The value of a column's row at the path; null when it is absent or JSON's null, a failure when the text is no JSON.
fn at(text: Option<&str>, path: Option<&str>) -> Option<Value> {
    let (text, path) = (text?, path?);
    let whole: Value = match serde_json::from_str(text) {
        Ok(whole) => whole,
        Err(_) => return failed(),
    };
    let mut value = whole;
    for step in path.split('.') {
        value = match value {
            Value::Object(mut members) => members.remove(step)?,
            Value::Array(mut items) => {
                let i: usize = step.parse().ok()?;
                if i >= items.len() {
                    return None;
                }
                items.swap_remove(i)
            }
            _ => return None,
        };
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
            i.make_float(|row| match at(text.get(row), path.get(row))? {
                Value::Number(n) => n.as_f64(),
                Value::String(s) => parse_number(&s).or_else(failed),
                _ => failed(),
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
            i.make_text(|row| at(text.get(row), path.get(row)).map(|v| plain(&v)))
        },
    },
};

/// A JSON value as text, without quotes around a text.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(s) => s.clone(),
        other => other.to_string(),
    }
}

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
    inputs.make::<Date32Type>(|row| match at(text.get(row), path.get(row))? {
        Value::String(s) => parse_day(&s).or_else(failed),
        _ => failed(),
    })
}
