//! One operation over columns: its arguments are evaluated, then a kernel makes one value a row.
//!
//! In: a batch. Out: an array of the type fixed at compile time. What cannot be done for a row is null and counted.
//! Not here: which operations there are (`functions`, `lower`).

use super::class::Class;
use arrow::array::{Array, ArrayRef, BooleanArray, ListArray, PrimitiveArray, StringArray, StringBuilder};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Float64Type, Schema, TimestampMillisecondType};
use arrow::record_batch::RecordBatch;
use datafusion_common::Result;
use datafusion_expr::ColumnarValue;
use datafusion_physical_expr::PhysicalExpr;
use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A kernel: the arguments of all rows in, one value a row out.
pub(super) type Run = fn(&Inputs<'_>) -> ArrayRef;

/// A text that a function makes may have this many bytes; `replace` and `concat` could otherwise multiply a column
/// of free text beyond all memory.
const TEXT_MAX: usize = 64 * 1024;

thread_local! {
    // Kernels run inside DataFusion's `evaluate`, which has no room for a count; an evaluation never leaves its thread.
    static FAILED: Cell<usize> = const { Cell::new(0) };
}

/// Counts one operation that could not be done, and is the null that it gives.
pub(super) fn failed<T>() -> Option<T> {
    FAILED.set(FAILED.get() + 1);
    None
}

/// Counts several.
pub(super) fn add_failed(n: usize) {
    FAILED.set(FAILED.get() + n);
}

/// The count since the last call, which begins anew.
pub(super) fn take_failed() -> usize {
    FAILED.replace(0)
}

/// What is worked out from literal arguments once, when the expression is compiled.
#[derive(Clone, Debug, Default)]
pub(super) enum Prepared {
    /// Nothing.
    #[default]
    Nothing,
    /// A regular expression.
    Regex(Box<regex::Regex>),
    /// A calendar interval: months, and milliseconds.
    Interval(i32, i64),
    /// The class of the argument and whether a cast that fails is counted.
    Cast(Class, Counted),
}

/// Whether a failure counts: a plain cast does, TRY_CAST asked for null.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Counted {
    Yes,
    No,
}

impl Prepared {
    fn text(&self) -> Cow<'_, str> {
        match self {
            Prepared::Nothing => Cow::Borrowed(""),
            Prepared::Regex(r) => Cow::Borrowed(r.as_str()),
            Prepared::Interval(months, ms) => Cow::Owned(format!("{months} months {ms} ms")),
            Prepared::Cast(class, counted) => Cow::Owned(format!("{class:?} {counted:?}")),
        }
    }
}

/// An operation of ours as a DataFusion physical expression.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) name: &'static str,
    pub(super) run: Run,
    pub(super) args: Vec<Arc<dyn PhysicalExpr>>,
    pub(super) returns: DataType,
    pub(super) prepared: Prepared,
}

impl PartialEq for Call {
    fn eq(&self, other: &Call) -> bool {
        self.name == other.name
            && self.args == other.args
            && self.returns == other.returns
            && self.prepared.text() == other.prepared.text()
    }
}

impl Eq for Call {}

impl Hash for Call {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        self.args.hash(state);
        self.returns.hash(state);
        self.prepared.text().hash(state);
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.name)?;
        for (i, arg) in self.args.iter().enumerate() {
            write!(f, "{}{arg}", if i == 0 { "" } else { ", " })?;
        }
        f.write_str(")")
    }
}

impl PhysicalExpr for Call {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(self.returns.clone())
    }

    fn nullable(&self, _: &Schema) -> Result<bool> {
        Ok(true)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let args = self.args.iter().map(|a| a.evaluate(batch)).collect::<Result<Vec<_>>>()?;
        let inputs = Inputs { args, rows: batch.num_rows(), prepared: &self.prepared, returns: &self.returns };
        Ok(ColumnarValue::Array((self.run)(&inputs)))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        self.args.iter().collect()
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(Arc::new(Call {
            name: self.name,
            run: self.run,
            args: children,
            returns: self.returns.clone(),
            prepared: self.prepared.clone(),
        }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The arguments of a call over a batch.
pub(super) struct Inputs<'a> {
    pub(super) args: Vec<ColumnarValue>,
    pub(super) rows: usize,
    pub(super) prepared: &'a Prepared,
    pub(super) returns: &'a DataType,
}

/// One argument: a column, or one value that stands for all rows.
pub(super) struct Lane<A> {
    pub(super) array: A,
    pub(super) one: bool,
}

impl<A: Array> Lane<A> {
    /// The place of the row's value, if it has one.
    fn at(&self, row: usize) -> Option<usize> {
        let at = if self.one { 0 } else { row };
        self.array.is_valid(at).then_some(at)
    }
}

impl<T: ArrowPrimitiveType> Lane<PrimitiveArray<T>> {
    pub(super) fn get(&self, row: usize) -> Option<T::Native> {
        self.at(row).map(|at| self.array.value(at))
    }
}

impl Lane<StringArray> {
    pub(super) fn get(&self, row: usize) -> Option<&str> {
        self.at(row).map(|at| self.array.value(at))
    }
}

impl Lane<ListArray> {
    /// Where the row's items stand in the array of all items.
    pub(super) fn range(&self, row: usize) -> Option<std::ops::Range<usize>> {
        let at = self.at(row)?;
        let offsets = self.array.value_offsets();
        let place = |i: usize| usize::try_from(offsets[i]).expect("offsets of a list are not negative");
        Some(place(at)..place(at + 1))
    }
}

impl Inputs<'_> {
    /// How many arguments there are.
    pub(super) fn count(&self) -> usize {
        self.args.len()
    }

    /// The argument as an array, one row long if it is one value for all rows.
    pub(super) fn array(&self, i: usize) -> (ArrayRef, bool) {
        match &self.args[i] {
            ColumnarValue::Array(a) => (Arc::clone(a), false),
            ColumnarValue::Scalar(s) => (s.to_array().expect("a literal has a plain type"), true),
        }
    }

    /// The argument with one value for every row.
    pub(super) fn full(&self, i: usize) -> ArrayRef {
        self.args[i].clone().into_array(self.rows).expect("a literal has a plain type")
    }

    /// The argument as a column of the type that it was compiled to.
    pub(super) fn lane<A: From<arrow::array::ArrayData>>(&self, i: usize) -> Lane<A> {
        let (array, one) = self.array(i);
        Lane { array: A::from(array.to_data()), one }
    }

    pub(super) fn text(&self, i: usize) -> Lane<StringArray> {
        self.lane(i)
    }

    pub(super) fn float(&self, i: usize) -> Lane<PrimitiveArray<Float64Type>> {
        self.lane(i)
    }

    pub(super) fn time(&self, i: usize) -> Lane<PrimitiveArray<TimestampMillisecondType>> {
        self.lane(i)
    }

    /// One value a row.
    pub(super) fn make<T: ArrowPrimitiveType>(&self, value: impl FnMut(usize) -> Option<T::Native>) -> ArrayRef {
        let array: PrimitiveArray<T> = (0..self.rows).map(value).collect();
        Arc::new(array.with_data_type(self.returns.clone()))
    }

    /// One number a row; what is not finite is a failure.
    pub(super) fn make_float(&self, mut value: impl FnMut(usize) -> Option<f64>) -> ArrayRef {
        self.make::<Float64Type>(|row| match value(row) {
            // Adding zero turns -0.0 into 0.0, which Arrow would order below it.
            Some(x) if x.is_finite() => Some(x + 0.0),
            Some(_) => failed(),
            None => None,
        })
    }

    pub(super) fn make_bool(&self, value: impl FnMut(usize) -> Option<bool>) -> ArrayRef {
        Arc::new((0..self.rows).map(value).collect::<BooleanArray>())
    }

    /// One text a row; a text that is too long is a failure.
    pub(super) fn make_text<S: AsRef<str>>(&self, mut value: impl FnMut(usize) -> Option<S>) -> ArrayRef {
        let mut out = StringBuilder::with_capacity(self.rows, self.rows * 16);
        for row in 0..self.rows {
            match value(row) {
                Some(text) if text.as_ref().len() <= TEXT_MAX => out.append_value(text),
                Some(_) => out.append_option(failed::<&str>()),
                None => out.append_null(),
            }
        }
        Arc::new(out.finish())
    }

    /// The regular expression of the call.
    pub(super) fn regex(&self) -> &regex::Regex {
        match self.prepared {
            Prepared::Regex(regex) => regex,
            _ => unreachable!("a function with a pattern parameter is compiled with its pattern"),
        }
    }
}

/// The longest text that a function gives, in bytes: builders of texts stop before they make more.
pub(super) const fn text_max() -> usize {
    TEXT_MAX
}
