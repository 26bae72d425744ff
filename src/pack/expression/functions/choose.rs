//! Choosing among values of one class: BETWEEN, coalesce, nullif, greatest, least.
//!
//! Each argument is evaluated once, so that nesting them does not double the work at every level.

use super::{Form, Function, FunctionDoc, arity};
use crate::pack::expression::call::{Inputs, Prepared};
use crate::pack::expression::class::Class;
use crate::pack::expression::error::{ExpressionError, Place};
use crate::pack::expression::lower::{Lowering, Typed};
use arrow::array::{Array, ArrayRef, BooleanArray, Scalar, new_null_array};
use arrow::compute::kernels::cmp;
use arrow::compute::kernels::zip::zip;
use arrow::compute::{and_kleene, is_not_null, is_null, or_kleene};
use std::sync::Arc;

/// True from the second to the third, both included; null as `>= AND <=` would be.
pub(in super::super) fn between(inputs: &Inputs<'_>) -> ArrayRef {
    let (x, low, high) = (inputs.full(0), inputs.full(1), inputs.full(2));
    if *x.data_type() == arrow::datatypes::DataType::Null {
        return new_null_array(inputs.returns, inputs.rows);
    }
    let above = cmp::gt_eq(&x, &low);
    let below = cmp::lt_eq(&x, &high);
    match (above, below) {
        (Ok(above), Ok(below)) => Arc::new(and_kleene(&above, &below).expect("both have the rows of the batch")),
        _ => unreachable!("the three have one type that has an order"),
    }
}

/// Items that IN compares one after the other; for more a hash table is quicker.
pub(in super::super) const FEW: usize = 12;

/// True if the first equals one of the others; null as a chain of `= OR =` would be.
pub(in super::super) fn one_of(inputs: &Inputs<'_>) -> ArrayRef {
    let x = inputs.full(0);
    let mut out: Option<BooleanArray> = None;
    for i in 1..inputs.count() {
        let (item, one) = inputs.array(i);
        let equal = if one { cmp::eq(&x, &Scalar::new(&item)) } else { cmp::eq(&x, &item) };
        let equal = equal.expect("all have one type");
        out = Some(match out {
            Some(before) => or_kleene(&before, &equal).expect("both have the rows of the batch"),
            None => equal,
        });
    }
    out.map_or_else(|| new_null_array(inputs.returns, inputs.rows), |out| Arc::new(out))
}

pub(super) const COALESCE: Function = Function {
    doc: FunctionDoc {
        name: "coalesce",
        signature: "coalesce(value, value ..) -> value",
        meaning_zh: "第一个非空的值",
        meaning_en: "the first value that is not null",
        example: "coalesce(NULL, 3) = 3",
    },
    form: Form::Own(|lowering, args, doc, place| same(lowering, args, doc, place, coalesce)),
};

pub(super) const NULLIF: Function = Function {
    doc: FunctionDoc {
        name: "nullif",
        signature: "nullif(value, other) -> value",
        meaning_zh: "两值相等时为空,否则为第一个值",
        meaning_en: "null when both are equal, else the first",
        example: "nullif(value, 12.5) IS NULL",
    },
    form: Form::Own(|lowering, args, doc, place| {
        arity(doc, args.len(), 2, 2, place)?;
        same(lowering, args, doc, place, nullif)
    }),
};

pub(super) const GREATEST: Function = Function {
    doc: FunctionDoc {
        name: "greatest",
        signature: "greatest(value, value ..) -> value",
        meaning_zh: "最大的非空值",
        meaning_en: "the largest of the values that are not null",
        example: "greatest(1, NULL, 3) = 3",
    },
    form: Form::Own(|lowering, args, doc, place| ranked(lowering, args, doc, place, greatest)),
};

pub(super) const LEAST: Function = Function {
    doc: FunctionDoc {
        name: "least",
        signature: "least(value, value ..) -> value",
        meaning_zh: "最小的非空值",
        meaning_en: "the smallest of the values that are not null",
        example: "least(2, NULL, 3) = 2",
    },
    form: Form::Own(|lowering, args, doc, place| ranked(lowering, args, doc, place, least)),
};

fn ranked(
    lowering: &mut Lowering<'_>,
    args: Vec<Typed>,
    doc: &FunctionDoc,
    place: Place,
    run: fn(&Inputs<'_>) -> ArrayRef,
) -> Result<Typed, ExpressionError> {
    match args.iter().find(|a| matches!(a.class, Class::Bool | Class::List)) {
        Some(a) => {
            let (en, zh) = a.class.words();
            Err(ExpressionError::ty(format!("{en} has no order"), format!("{zh}不能比较大小"), a.place))
        }
        None => same(lowering, args, doc, place, run),
    }
}

fn same(
    lowering: &mut Lowering<'_>,
    args: Vec<Typed>,
    doc: &FunctionDoc,
    place: Place,
    run: fn(&Inputs<'_>) -> ArrayRef,
) -> Result<Typed, ExpressionError> {
    arity(doc, args.len(), 1, usize::MAX, place)?;
    let args = lowering.alike(args)?;
    let class = args.first().map_or(Class::Null, |a| a.class);
    if matches!(class, Class::Interval | Class::List) {
        let (en, zh) = class.words();
        let (en, zh) = (format!("{en} cannot be used in {}", doc.name), format!("{zh}不能用于 {}", doc.name));
        return Err(ExpressionError::ty(en, zh, place));
    }
    if class == Class::Null {
        return Ok(lowering.literal(datafusion_common::ScalarValue::Null, Class::Null, place));
    }
    Ok(lowering.call(doc.name, run, args, class, Prepared::Nothing))
}

fn pick(mask: &BooleanArray, yes: &ArrayRef, no: &ArrayRef) -> ArrayRef {
    zip(mask, yes, no).expect("both have one type and the rows of the mask")
}

fn coalesce(inputs: &Inputs<'_>) -> ArrayRef {
    let mut out = inputs.full(0);
    for i in 1..inputs.count() {
        if out.null_count() == 0 {
            break;
        }
        let there = is_not_null(&out).expect("a plain array");
        out = pick(&there, &out, &inputs.full(i));
    }
    out
}

fn nullif(inputs: &Inputs<'_>) -> ArrayRef {
    let (a, b) = (inputs.full(0), inputs.full(1));
    let equal = cmp::eq(&a, &b).expect("both have one type");
    arrow::compute::nullif(&a, &equal).expect("the mask has the rows of the batch")
}

fn greatest(inputs: &Inputs<'_>) -> ArrayRef {
    rank(inputs, |a, b| cmp::gt_eq(a, b).expect("both have one type that has an order"))
}

fn least(inputs: &Inputs<'_>) -> ArrayRef {
    rank(inputs, |a, b| cmp::lt_eq(a, b).expect("both have one type that has an order"))
}

fn rank(inputs: &Inputs<'_>, better: fn(&ArrayRef, &ArrayRef) -> BooleanArray) -> ArrayRef {
    let mut out = inputs.full(0);
    for i in 1..inputs.count() {
        let next = inputs.full(i);
        // Keep what we have where it is better or the other is null; a null of ours compares to null and loses.
        let keep = or_kleene(&better(&out, &next), &is_null(&next).expect("a plain array"));
        let keep = keep.expect("both have the rows of the batch");
        let sure: BooleanArray = keep.iter().map(|k| Some(k == Some(true))).collect();
        out = pick(&sure, &out, &next);
    }
    out
}
