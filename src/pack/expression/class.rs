//! The types that expressions know, and the casts between them.
//!
//! A column of any Arrow type is brought to one of eight classes first, so that every operation is written once per
//! class. Here too: reading days and instants from text, strictly.

use super::call::{Counted, Inputs, Prepared, add_failed, failed};
use crate::record::{Millis, Type, time};
use arrow::array::{Array, ArrayRef, Float64Array, Int64Array, StringArray, TimestampMillisecondArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Date32Type, TimestampMillisecondType};
use std::sync::Arc;

/// What type the place of an expression asks for; the result is cast to it (a value that does not fit is null).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Want {
    /// Boolean.
    Bool,
    /// Float64.
    Number,
    /// Utf8.
    Text,
    /// Timestamp(Millisecond, "+08:00").
    Time,
    /// Any other column type.
    Column(Type),
    /// As it comes (lookup values).
    Any,
}

/// The class of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Class {
    /// The literal NULL: fits everywhere.
    Null,
    Bool,
    Int,
    Decimal,
    Float,
    Text,
    Time,
    Date,
    List,
    /// A literal INTERVAL: only to be added to a time or day.
    Interval,
}

impl Class {
    /// The Arrow type of the class.
    pub(super) fn arrow(self) -> DataType {
        match self {
            Class::Null | Class::Interval => DataType::Null,
            Class::Bool => Type::Bool.arrow(),
            Class::Int => Type::Int.arrow(),
            Class::Decimal => Type::Decimal.arrow(),
            Class::Float => Type::Float.arrow(),
            Class::Text => Type::Text.arrow(),
            Class::Time => Type::Time.arrow(),
            Class::Date => Type::Date.arrow(),
            Class::List => Type::TextList.arrow(),
        }
    }

    /// The class to which a column of the Arrow type is brought.
    pub(super) fn of(ty: &DataType) -> Option<Class> {
        Some(match ty {
            DataType::Null => Class::Null,
            DataType::Boolean => Class::Bool,
            ty if ty.is_integer() => Class::Int,
            DataType::Decimal128(precision, scale) if *precision <= 18 && *scale == 2 => Class::Decimal,
            ty if ty.is_floating() || ty.is_decimal() => Class::Float,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Class::Text,
            DataType::Dictionary(_, value) => Class::of(value)?,
            DataType::Timestamp(_, _) => Class::Time,
            DataType::Date32 | DataType::Date64 => Class::Date,
            DataType::List(item) if *item.data_type() == DataType::Utf8 => Class::List,
            _ => return None,
        })
    }

    /// The class that a place asks for; `None` where anything fits.
    pub(super) fn wanted(want: Want) -> Option<Class> {
        Some(match want {
            Want::Bool | Want::Column(Type::Bool) => Class::Bool,
            Want::Number | Want::Column(Type::Float) => Class::Float,
            Want::Text | Want::Column(Type::Text | Type::Json) => Class::Text,
            Want::Time | Want::Column(Type::Time) => Class::Time,
            Want::Column(Type::Int) => Class::Int,
            Want::Column(Type::Decimal) => Class::Decimal,
            Want::Column(Type::Date) => Class::Date,
            Want::Column(Type::TextList) => Class::List,
            Want::Any => return None,
        })
    }

    pub(super) fn is_number(self) -> bool {
        matches!(self, Class::Int | Class::Decimal | Class::Float)
    }

    /// The name in messages: English, Chinese.
    pub(super) fn words(self) -> (&'static str, &'static str) {
        match self {
            Class::Null => ("null", "空值"),
            Class::Bool => ("true or false", "真假值"),
            Class::Int => ("a whole number", "整数"),
            Class::Decimal => ("an amount", "金额"),
            Class::Float => ("a number", "数值"),
            Class::Text => ("text", "文本"),
            Class::Time => ("a time", "时间"),
            Class::Date => ("a day", "日期"),
            Class::List => ("a list of texts", "文本列表"),
            Class::Interval => ("an interval", "时间间隔"),
        }
    }
}

/// Whether CAST (and a place that asks for another class) can bring one class to the other.
pub(super) fn castable(from: Class, to: Class) -> bool {
    use Class::{Bool, Date, Decimal, Float, Int, List, Null, Text, Time};
    match (from, to) {
        (Null, _) => true,
        (a, b) if a == b => true,
        (a, b) if a.is_number() && b.is_number() => true,
        (Bool, Int | Float | Text) | (Text, Bool | Int | Decimal | Float | Time | Date) => true,
        (Int | Decimal | Float | Time | Date, Text) | (Time, Date) | (Date, Time) => true,
        (Int, Bool) => true,
        (_, List) | (List, _) => false,
        _ => false,
    }
}

/// The cast of a call: its class and whether failures count are prepared.
pub(super) fn cast(inputs: &Inputs<'_>) -> ArrayRef {
    let &Prepared::Cast(from, counted) = inputs.prepared else { unreachable!("a cast is compiled with its class") };
    cast_array(&inputs.full(0), from, inputs.returns, counted)
}

/// Casts a whole array; what does not fit is null, and counted if asked.
pub(super) fn cast_array(array: &ArrayRef, from: Class, to: &DataType, counted: Counted) -> ArrayRef {
    let out = match (from, Class::of(to)) {
        (Class::Text, Some(Class::Time)) if array.data_type() == &DataType::Utf8 => {
            map_text(array, parse_time, |v: TimestampMillisecondArray| v.with_data_type(to.clone()))
        }
        (Class::Text, Some(Class::Float)) if array.data_type() == &DataType::Utf8 => {
            map_text(array, parse_number, |v: Float64Array| v)
        }
        (Class::Text, Some(Class::Int)) if array.data_type() == &DataType::Utf8 => {
            map_text(array, |text| text.trim().parse().ok(), |v: Int64Array| v)
        }
        (Class::Text, Some(Class::Date)) if array.data_type() == &DataType::Utf8 => {
            map_text(array, parse_day, |v: arrow::array::Date32Array| v)
        }
        (Class::Time, Some(Class::Text)) => {
            let times = TimestampMillisecondArray::from(array.to_data());
            Arc::new(times.iter().map(|t| t.map(time::rfc3339)).collect::<StringArray>())
        }
        (Class::Time, Some(Class::Date)) if is_ours(array.data_type()) => {
            let times = TimestampMillisecondArray::from(array.to_data());
            Arc::new(times.unary_opt::<_, Date32Type>(day_of_time))
        }
        (Class::Date, Some(Class::Time)) if array.data_type() == &DataType::Date32 => {
            let days = arrow::array::Date32Array::from(array.to_data());
            let times = days.unary::<_, TimestampMillisecondType>(|day| time::day_start(i64::from(day)));
            Arc::new(times.with_data_type(to.clone()))
        }
        _ => {
            let options = CastOptions { safe: true, ..CastOptions::default() };
            match cast_with_options(array, to, &options) {
                Ok(out) => out,
                // Pairs that Arrow cannot cast were refused when the expression was compiled.
                Err(_) => arrow::array::new_null_array(to, array.len()),
            }
        }
    };
    if counted == Counted::Yes {
        add_failed(out.null_count().saturating_sub(array.logical_null_count()));
    }
    out
}

fn is_ours(ty: &DataType) -> bool {
    *ty == Type::Time.arrow()
}

fn map_text<T, A: FromIterator<Option<T>> + Array + 'static>(
    array: &ArrayRef,
    read: impl Fn(&str) -> Option<T>,
    finish: impl Fn(A) -> A,
) -> ArrayRef {
    let texts = StringArray::from(array.to_data());
    Arc::new(finish(texts.iter().map(|text| text.and_then(&read)).collect()))
}

/// Brings a column of another Arrow type (32-bit numbers, dictionaries, other time units) to its class.
pub(super) fn normal(inputs: &Inputs<'_>) -> ArrayRef {
    let &Prepared::Cast(class, counted) = inputs.prepared else { unreachable!("a cast is compiled with its class") };
    let array = inputs.full(0);
    match array.data_type() {
        // A time without a zone is an instant in UTC here: a source with local times says so in its mapping.
        DataType::Timestamp(_, None) => {
            let utc =
                cast_array(&array, class, &DataType::Timestamp(arrow::datatypes::TimeUnit::Millisecond, None), counted);
            let times = TimestampMillisecondArray::from(utc.to_data());
            Arc::new(times.with_data_type(inputs.returns.clone()))
        }
        ty if ty.is_floating() || ty.is_decimal() => {
            let floats = cast_array(&array, class, inputs.returns, counted);
            finite(&floats)
        }
        _ => {
            let options = CastOptions { safe: true, ..CastOptions::default() };
            let out = cast_with_options(&array, inputs.returns, &options)
                .unwrap_or_else(|_| arrow::array::new_null_array(inputs.returns, array.len()));
            add_failed(out.null_count().saturating_sub(array.logical_null_count()));
            out
        }
    }
}

/// A column of numbers as it is read: NaN and the infinities would be larger than every bound, and -0.0 smaller than
/// zero, so they become null (counted) and zero.
pub(super) fn finite_column(inputs: &Inputs<'_>) -> ArrayRef {
    finite(&inputs.full(0))
}

fn finite(array: &ArrayRef) -> ArrayRef {
    let floats = Float64Array::from(array.to_data());
    if floats.values().iter().all(|x| x.is_finite() && x.to_bits() != (-0.0_f64).to_bits()) {
        return Arc::clone(array);
    }
    let clean = floats.iter().map(|x| match x {
        Some(x) if x.is_finite() => Some(x + 0.0),
        Some(_) => failed(),
        None => None,
    });
    Arc::new(clean.collect::<Float64Array>())
}

/// The local day of an instant; `None` beyond the days that 32 bits hold.
pub(super) fn day_of_time(at: Millis) -> Option<i32> {
    at.checked_add(time::ZONE)?;
    i32::try_from(time::local_day(at)).ok()
}

/// A finite number: an optional sign, digits with at most one point, an optional exponent; white space around it.
pub(super) fn parse_number(text: &str) -> Option<f64> {
    let text = text.trim();
    let plain = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
    text.parse::<f64>().ok().filter(|x| plain && x.is_finite()).map(|x| x + 0.0)
}

/// `YYYY-MM-DD`, also `YYYY/MM/DD` and `YYYYMMDD`, and the day of an instant as [`parse_time`] reads it.
pub(super) fn parse_day(text: &str) -> Option<i32> {
    let text = text.trim();
    match day_in(text) {
        Some(day) => i32::try_from(day).ok(),
        None => parse_time(text).and_then(day_of_time),
    }
}

fn digits(text: &str, len: usize) -> Option<i64> {
    (text.len() == len && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

fn day_in(text: &str) -> Option<i64> {
    let separator = if text.contains('/') { '/' } else { '-' };
    let mut parts = text.split(separator);
    let (year, month, day) = match (parts.next()?, parts.next(), parts.next(), parts.next()) {
        (y, Some(m), Some(d), None) => (digits(y, 4)?, digits(m, 2)?, digits(d, 2)?),
        (whole, None, None, None) => {
            let n = digits(whole, 8)?;
            (n / 10_000, n / 100 % 100, n % 100)
        }
        _ => return None,
    };
    let (m, d) = (u32::try_from(month).ok()?, u32::try_from(day).ok()?);
    let at = time::day_of(year, m.clamp(1, 12), d);
    // The 30th of February comes back as a day of March.
    (time::civil(at) == (year, m, d)).then_some(at)
}

/// An instant: RFC 3339, with a space for the `T`, without seconds, or without a zone (then +08:00); a day alone is
/// its local midnight.
pub(super) fn parse_time(text: &str) -> Option<Millis> {
    let text = text.trim();
    let Some((day, clock)) = text.split_once(['T', 't', ' ']) else {
        return day_in(text).map(time::day_start);
    };
    let day = day_in(day)?;
    let (clock, offset) = match clock.strip_suffix(['Z', 'z']) {
        Some(clock) => (clock, 0),
        None => match clock.rsplit_once(['+', '-']) {
            Some((clock_part, zone)) => {
                let (h, m) = match zone.split_once(':') {
                    Some((h, m)) => (digits(h, 2)?, digits(m, 2)?),
                    None => (digits(zone, 4)? / 100, digits(zone, 4)? % 100),
                };
                if h > 14 || m > 59 {
                    return None;
                }
                let sign = if clock.contains('+') { 1 } else { -1 };
                (clock_part, sign * (h * 60 + m) * 60_000)
            }
            None => (clock, time::ZONE),
        },
    };
    let (clock, ms) = match clock.split_once('.') {
        Some((clock, fraction)) if (1..=9).contains(&fraction.len()) => {
            // Beyond milliseconds is cut, as a column of milliseconds cuts it.
            let padded: String = fraction.chars().chain("000".chars()).take(3).collect();
            if !fraction.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            (clock, digits(&padded, 3)?)
        }
        Some(_) => return None,
        None => (clock, 0),
    };
    let mut parts = clock.split(':');
    let (h, m) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let s = parts.next().map_or(Some(0), |s| digits(s, 2))?;
    if parts.next().is_some() || h > 23 || m > 59 || s > 60 {
        return None;
    }
    Some(day * time::DAY + ((h * 60 + m) * 60 + s) * 1000 + ms - offset)
}
