//! `+ - * / %` on numbers, and the difference of days.
//!
//! Division by zero, overflow and results that are not finite are null and counted.

use crate::pack::expression::call::{Inputs, Run, failed};
use crate::pack::expression::class::Class;
use arrow::array::{ArrayRef, Float64Array};
use arrow::datatypes::{Date32Type, Decimal128Type, Int64Type};
use sqlparser::ast::BinaryOperator;
use std::sync::Arc;

/// The kernel of an operator on two values of a class.
pub(in super::super) fn run(op: &BinaryOperator, class: Class) -> Run {
    match (op, class) {
        (BinaryOperator::Plus, Class::Int) => |i| ints(i, i64::checked_add),
        (BinaryOperator::Minus, Class::Int) => |i| ints(i, i64::checked_sub),
        (BinaryOperator::Multiply, Class::Int) => |i| ints(i, i64::checked_mul),
        (BinaryOperator::Modulo, Class::Int) => |i| ints(i, i64::checked_rem),
        (BinaryOperator::Plus, Class::Decimal) => |i| decimals(i, i128::checked_add),
        (BinaryOperator::Minus, Class::Decimal) => |i| decimals(i, i128::checked_sub),
        (BinaryOperator::Plus, _) => |i| floats(i, |a, b| a + b),
        (BinaryOperator::Minus, _) => |i| floats(i, |a, b| a - b),
        (BinaryOperator::Multiply, _) => |i| floats(i, |a, b| a * b),
        (BinaryOperator::Divide, _) => |i| floats(i, |a, b| a / b),
        _ => |i| floats(i, |a, b| a % b),
    }
}

fn ints(inputs: &Inputs<'_>, op: fn(i64, i64) -> Option<i64>) -> ArrayRef {
    let (a, b) = (inputs.lane::<arrow::array::Int64Array>(0), inputs.lane::<arrow::array::Int64Array>(1));
    inputs.make::<Int64Type>(|row| op(a.get(row)?, b.get(row)?).or_else(failed))
}

/// 18 digits, 2 of them behind the point: what an amount column holds.
const AMOUNT_MAX: i128 = 10_i128.pow(18) - 1;

fn decimals(inputs: &Inputs<'_>, op: fn(i128, i128) -> Option<i128>) -> ArrayRef {
    let (a, b) = (inputs.lane::<arrow::array::Decimal128Array>(0), inputs.lane::<arrow::array::Decimal128Array>(1));
    inputs.make::<Decimal128Type>(|row| op(a.get(row)?, b.get(row)?).filter(|x| x.abs() <= AMOUNT_MAX).or_else(failed))
}

fn floats(inputs: &Inputs<'_>, op: impl Fn(f64, f64) -> f64 + Copy) -> ArrayRef {
    let (a, b) = (inputs.float(0), inputs.float(1));
    // Whole columns at once, where the processor takes several rows a step; only a column with something wrong in it
    // is gone through row by row.
    let fast = match (a.one, b.one) {
        (false, false) => arrow::compute::binary(&a.array, &b.array, op).ok(),
        (false, true) => b.get(0).map(|b| a.array.unary(|a| op(a, b))),
        (true, false) => a.get(0).map(|a| b.array.unary(|b| op(a, b))),
        (true, true) => None,
    };
    if let Some(fast) = fast.filter(|fast: &Float64Array| {
        fast.len() == inputs.rows && fast.values().iter().all(|x| x.is_finite() && x.to_bits() != (-0.0_f64).to_bits())
    }) {
        return Arc::new(fast);
    }
    inputs.make_float(|row| Some(op(a.get(row)?, b.get(row)?)))
}

/// Days from the second day to the first.
pub(in super::super) fn days(inputs: &Inputs<'_>) -> ArrayRef {
    let (a, b) = (inputs.lane::<arrow::array::Date32Array>(0), inputs.lane::<arrow::array::Date32Array>(1));
    inputs.make::<Int64Type>(|row| Some(i64::from(a.get(row)?) - i64::from(b.get(row)?)))
}

/// A day and so many days.
pub(in super::super) fn day_plus(inputs: &Inputs<'_>) -> ArrayRef {
    shifted(inputs, i64::checked_add)
}

/// A day less so many days.
pub(in super::super) fn day_minus(inputs: &Inputs<'_>) -> ArrayRef {
    shifted(inputs, i64::checked_sub)
}

fn shifted(inputs: &Inputs<'_>, op: fn(i64, i64) -> Option<i64>) -> ArrayRef {
    let (day, n) = (inputs.lane::<arrow::array::Date32Array>(0), inputs.lane::<arrow::array::Int64Array>(1));
    inputs.make::<Date32Type>(|row| {
        let shifted = op(i64::from(day.get(row)?), n.get(row)?);
        shifted.and_then(|day| i32::try_from(day).ok()).or_else(failed)
    })
}
