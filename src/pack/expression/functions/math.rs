//! Rounding, powers and logarithms.
//!
//! The transcendental ones come from `libm`, in Rust: the C library's differ in the last digit from one processor to
//! the next, and the same log must give the same warnings.

use super::{Form, Function, FunctionDoc, Param, arity};
use crate::pack::expression::call::{Inputs, Prepared, failed};
use crate::pack::expression::class::Class;
use arrow::array::ArrayRef;
use arrow::datatypes::{Decimal128Type, Int64Type};

const ONE: &[Param] = &[Param::Number];
const TWO: &[Param] = &[Param::Number, Param::Number];

const fn of_one(doc: FunctionDoc, run: fn(&Inputs<'_>) -> ArrayRef) -> Function {
    Function { doc, form: Form::Fixed { params: ONE, optional: 0, returns: Class::Float, run } }
}

fn each(inputs: &Inputs<'_>, op: fn(f64) -> f64) -> ArrayRef {
    let x = inputs.float(0);
    inputs.make_float(|row| x.get(row).map(op))
}

pub(super) const ABS: Function = Function {
    doc: FunctionDoc {
        name: "abs",
        signature: "abs(number) -> number",
        meaning_zh: "绝对值",
        meaning_en: "the number without its sign",
        example: "abs(-3) = 3",
    },
    form: Form::Own(|lowering, mut args, doc, place| {
        arity(doc, args.len(), 1, 1, place)?;
        let arg = args.remove(0);
        let (class, run): (Class, fn(&Inputs<'_>) -> ArrayRef) = match arg.class {
            Class::Int => (Class::Int, |i| {
                let x = i.lane::<arrow::array::Int64Array>(0);
                i.make::<Int64Type>(|row| x.get(row)?.checked_abs().or_else(failed))
            }),
            Class::Decimal => (Class::Decimal, |i| {
                let x = i.lane::<arrow::array::Decimal128Array>(0);
                i.make::<Decimal128Type>(|row| x.get(row)?.checked_abs().or_else(failed))
            }),
            _ => (Class::Float, |i| each(i, f64::abs)),
        };
        let arg = lowering.to(arg, class)?;
        Ok(lowering.call("abs", run, vec![arg], class, Prepared::Nothing))
    }),
};

pub(super) const CEIL: Function = of_one(
    FunctionDoc {
        name: "ceil",
        signature: "ceil(number) -> number",
        meaning_zh: "向上取整",
        meaning_en: "the next whole number up",
        example: "ceil(2.1) = 3",
    },
    |i| each(i, f64::ceil),
);

pub(super) const FLOOR: Function = of_one(
    FunctionDoc {
        name: "floor",
        signature: "floor(number) -> number",
        meaning_zh: "向下取整",
        meaning_en: "the next whole number down",
        example: "floor(-2.1) = -3",
    },
    |i| each(i, f64::floor),
);

pub(super) const ROUND: Function = Function {
    doc: FunctionDoc {
        name: "round",
        signature: "round(number [, digits]) -> number",
        meaning_zh: "四舍五入到若干位小数(-9 至 9)",
        meaning_en: "rounded half away from zero, to -9 to 9 digits behind the point",
        example: "round(2.345, 1) = 2.3",
    },
    form: Form::Fixed {
        params: &[Param::Number, Param::Int],
        optional: 1,
        returns: Class::Float,
        run: |i| scaled(i, f64::round),
    },
};

pub(super) const TRUNC: Function = Function {
    doc: FunctionDoc {
        name: "trunc",
        signature: "trunc(number [, digits]) -> number",
        meaning_zh: "截断到若干位小数(-9 至 9)",
        meaning_en: "cut towards zero, to -9 to 9 digits behind the point",
        example: "trunc(-2.9) = -2",
    },
    form: Form::Fixed {
        params: &[Param::Number, Param::Int],
        optional: 1,
        returns: Class::Float,
        run: |i| scaled(i, f64::trunc),
    },
};

fn scaled(inputs: &Inputs<'_>, op: fn(f64) -> f64) -> ArrayRef {
    let x = inputs.float(0);
    if inputs.count() == 1 {
        return inputs.make_float(|row| x.get(row).map(op));
    }
    let digits = inputs.lane::<arrow::array::Int64Array>(1);
    inputs.make_float(|row| {
        let (x, digits) = (x.get(row)?, digits.get(row)?);
        let Ok(n) = i32::try_from(digits) else { return failed() };
        if !(-9..=9).contains(&n) {
            return failed();
        }
        // Powers of ten up to nine are exact, so dividing by them rounds once.
        let scale = 10_f64.powi(n.abs());
        Some(if n >= 0 { op(x * scale) / scale } else { op(x / scale) * scale })
    })
}

pub(super) const POWER: Function = Function {
    doc: FunctionDoc {
        name: "power",
        signature: "power(base, exponent) -> number",
        meaning_zh: "乘方",
        meaning_en: "base raised to exponent",
        example: "power(2, 10) = 1024",
    },
    form: Form::Fixed {
        params: TWO,
        optional: 0,
        returns: Class::Float,
        run: |i| {
            let (x, y) = (i.float(0), i.float(1));
            i.make_float(|row| Some(libm::pow(x.get(row)?, y.get(row)?)))
        },
    },
};

pub(super) const SQRT: Function = of_one(
    FunctionDoc {
        name: "sqrt",
        signature: "sqrt(number) -> number",
        meaning_zh: "平方根;负数为空",
        meaning_en: "the square root; null below zero",
        example: "sqrt(9) = 3",
    },
    |i| each(i, f64::sqrt),
);

pub(super) const LN: Function = of_one(
    FunctionDoc {
        name: "ln",
        signature: "ln(number) -> number",
        meaning_zh: "自然对数;零和负数为空",
        meaning_en: "the natural logarithm; null at and below zero",
        example: "ln(1) = 0",
    },
    |i| each(i, libm::log),
);

pub(super) const LOG: Function = Function {
    doc: FunctionDoc {
        name: "log",
        signature: "log([base,] number) -> number",
        meaning_zh: "对数,默认以 10 为底;零和负数为空",
        meaning_en: "the logarithm, to base 10 unless a base is given; null at and below zero",
        example: "log(1000) = 3",
    },
    form: Form::Fixed {
        params: TWO,
        optional: 1,
        returns: Class::Float,
        run: |i| {
            let x = i.float(0);
            if i.count() == 1 {
                return i.make_float(|row| x.get(row).map(libm::log10));
            }
            let y = i.float(1);
            i.make_float(|row| Some(libm::log(y.get(row)?) / libm::log(x.get(row)?)))
        },
    },
};

pub(super) const EXP: Function = of_one(
    FunctionDoc {
        name: "exp",
        signature: "exp(number) -> number",
        meaning_zh: "e 的乘方",
        meaning_en: "e raised to the number",
        example: "exp(0) = 1",
    },
    |i| each(i, libm::exp),
);
