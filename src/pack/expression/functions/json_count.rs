//! Counting and searching an array of objects in a JSON column: problems of an inspection, links of an object.

use super::{Form, Function, FunctionDoc, Param};
use crate::pack::expression::call::{Inputs, Lane, failed};
use crate::pack::expression::class::{Class, parse_day};
use crate::pack::expression::error::ExpressionError;
use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::{Date32Type, Int64Type};
use serde_json::Value;

/// The elements of the row's array; null for a null, a failure for anything that is no array.
fn elements(text: Option<&str>) -> Option<Vec<Value>> {
    match serde_json::from_str(text?) {
        Ok(Value::Array(items)) => Some(items),
        Ok(Value::Null) => None,
        _ => failed(),
    }
}

/// Key and value that an element must have.
struct Filter {
    key: Lane<StringArray>,
    value: Lane<StringArray>,
}

impl Filter {
    fn of(inputs: &Inputs<'_>, first: usize) -> Option<Filter> {
        (inputs.count() > first + 1).then(|| Filter { key: inputs.text(first), value: inputs.text(first + 1) })
    }

    fn passes(&self, element: &Value, row: usize) -> bool {
        let (Some(key), Some(value)) = (self.key.get(row), self.value.get(row)) else { return false };
        element.get(key).is_some_and(|found| plain(found) == value)
    }
}

fn passes(filter: Option<&Filter>, element: &Value, row: usize) -> bool {
    filter.is_none_or(|f| f.passes(element, row))
}

/// A filter is a pair: a key without its value is a slip.
fn paired(
    found: usize,
    alone: usize,
    doc: &FunctionDoc,
    place: crate::pack::expression::error::Place,
) -> Result<(), ExpressionError> {
    if found == alone {
        let (en, zh) = ("the key has no value beside it", "缺少与键相配的值");
        return Err(ExpressionError::ty(en, zh, place).hint(doc.signature));
    }
    Ok(())
}

/// A JSON value as text, without quotes around a text.
fn plain(value: &Value) -> String {
    match value {
        Value::String(s) => s.clone(),
        other => other.to_string(),
    }
}

const COUNT_PARAMS: &[Param] = &[Param::Text, Param::Literal, Param::Literal];

pub(super) const COUNT: Function = Function {
    doc: FunctionDoc {
        name: "json_count",
        signature: "json_count(column [, 'key', 'value']) -> int",
        meaning_zh: "JSON 数组的元素个数;给出键和值时只数该键等于该值的元素",
        meaning_en: "the number of elements of a JSON array; with key and value, of those whose key has the value",
        example: "json_count(problems, 'grade', 'serious') = 1",
    },
    form: Form::Own(|lowering, args, doc, place| {
        paired(args.len(), 2, doc, place)?;
        let form = Form::Fixed { params: COUNT_PARAMS, optional: 2, returns: Class::Int, run: count };
        Function { doc: *doc, form }.bind(lowering, args, place)
    }),
};

fn count(inputs: &Inputs<'_>) -> ArrayRef {
    let text = inputs.text(0);
    let filter = Filter::of(inputs, 1);
    inputs.make::<Int64Type>(|row| {
        let n = elements(text.get(row))?.iter().filter(|e| passes(filter.as_ref(), e, row)).count();
        i64::try_from(n).ok()
    })
}

const MIN_DATE_PARAMS: &[Param] = &[Param::Text, Param::Literal, Param::Literal, Param::Literal];

/// Elements without the key, or with null there, do not count; one whose text is no day is a failure of that element.
pub(super) const MIN_DATE: Function = Function {
    doc: FunctionDoc {
        name: "json_min_date",
        signature: "json_min_date(column, 'key' [, 'filter_key', 'filter_value']) -> date",
        meaning_zh: "JSON 数组各元素某键的最早日期;可只看另一键等于某值的元素",
        meaning_en: "the earliest day under a key of a JSON array's elements, of all or of those with the value",
        example: "json_min_date(problems, 'due_at', 'grade', 'serious') = '2026-04-01'",
    },
    form: Form::Own(|lowering, args, doc, place| {
        paired(args.len(), 3, doc, place)?;
        let form = Form::Fixed { params: MIN_DATE_PARAMS, optional: 2, returns: Class::Date, run: min_date };
        Function { doc: *doc, form }.bind(lowering, args, place)
    }),
};

fn min_date(inputs: &Inputs<'_>) -> ArrayRef {
    let (text, key) = (inputs.text(0), inputs.text(1));
    let filter = Filter::of(inputs, 2);
    inputs.make::<Date32Type>(|row| {
        let elements = elements(text.get(row))?;
        let key = key.get(row)?;
        let wanted = elements.iter().filter(|e| passes(filter.as_ref(), e, row));
        let values = wanted.filter_map(|e| e.get(key)).filter(|v| !v.is_null());
        values.filter_map(|v| v.as_str().and_then(parse_day).or_else(failed)).min()
    })
}
