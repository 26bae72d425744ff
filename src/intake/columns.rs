//! One value of a row, and the Arrow columns that rows are written into and read from.
//!
//! In: cells, a whole row at a time. Out: arrays of the record types. Promise: a row is appended whole or not at all,
//! because its cells are complete before the first is appended. Columns that no row fills cost nothing per row.

use crate::record::{Millis, Type};
use arrow::array::{
    Array, ArrayRef, BooleanArray, BooleanBuilder, Date32Array, Date32Builder, Decimal128Array, Decimal128Builder,
    Float64Array, Float64Builder, Int64Array, Int64Builder, ListArray, ListBuilder, StringArray, StringBuilder,
    TimestampMillisecondArray, TimestampMillisecondBuilder, new_null_array,
};
use std::borrow::Cow;
use std::sync::Arc;

/// One value of one row.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Cell<'a> {
    /// The record does not name the column.
    #[default]
    Missing,
    /// The record says null.
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// Hundredths.
    Decimal(i128),
    Time(Millis),
    /// Days since 1970-01-01.
    Date(i32),
    /// Text, or compact JSON.
    Text(Cow<'a, str>),
    List(Vec<Cow<'a, str>>),
}

impl Cell<'_> {
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Cell::Missing | Cell::Null)
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Cell::Text(t) => Some(t),
            _ => None,
        }
    }

    pub(super) fn time(&self) -> Option<Millis> {
        match self {
            Cell::Time(t) => Some(*t),
            _ => None,
        }
    }
}

#[derive(Debug)]
enum Values {
    Text(StringBuilder),
    Int(Int64Builder),
    Float(Float64Builder),
    Decimal(Decimal128Builder),
    Bool(BooleanBuilder),
    Time(TimestampMillisecondBuilder),
    Date(Date32Builder),
    List(ListBuilder<StringBuilder>),
}

#[derive(Debug)]
struct Column {
    ty: Type,
    /// Rows written; what is missing up to the number of rows is null and written when a value follows.
    written: usize,
    values: Values,
}

fn values(ty: Type) -> Values {
    match ty {
        Type::Text | Type::Json => Values::Text(StringBuilder::new()),
        Type::Int => Values::Int(Int64Builder::new()),
        Type::Float => Values::Float(Float64Builder::new()),
        Type::Decimal => Values::Decimal(Decimal128Builder::new().with_data_type(Type::Decimal.arrow())),
        Type::Bool => Values::Bool(BooleanBuilder::new()),
        Type::Time => Values::Time(TimestampMillisecondBuilder::new().with_timezone("+08:00")),
        Type::Date => Values::Date(Date32Builder::new()),
        Type::TextList => Values::List(ListBuilder::new(StringBuilder::new())),
    }
}

impl Column {
    fn fill(&mut self, rows: usize) {
        let n = rows - self.written;
        if n == 0 {
            return;
        }
        match &mut self.values {
            Values::Text(b) => b.append_nulls(n),
            Values::Int(b) => b.append_nulls(n),
            Values::Float(b) => b.append_nulls(n),
            Values::Decimal(b) => b.append_nulls(n),
            Values::Bool(b) => b.append_nulls(n),
            Values::Time(b) => b.append_nulls(n),
            Values::Date(b) => b.append_nulls(n),
            Values::List(b) => (0..n).for_each(|_| b.append(false)),
        }
        self.written = rows;
    }

    fn append(&mut self, row: usize, cell: &Cell<'_>) {
        if cell.is_empty() {
            return;
        }
        self.fill(row);
        self.written = row + 1;
        match (&mut self.values, cell) {
            (Values::Text(b), Cell::Text(t)) => b.append_value(t),
            (Values::Int(b), Cell::Int(i)) => b.append_value(*i),
            (Values::Float(b), Cell::Float(f)) => b.append_value(*f),
            (Values::Decimal(b), Cell::Decimal(d)) => b.append_value(*d),
            (Values::Bool(b), Cell::Bool(v)) => b.append_value(*v),
            (Values::Time(b), Cell::Time(t)) => b.append_value(*t),
            (Values::Date(b), Cell::Date(d)) => b.append_value(*d),
            (Values::List(b), Cell::List(items)) => {
                for item in items {
                    b.values().append_value(item);
                }
                b.append(true);
            }
            (values, cell) => panic!("a cell of the column's type was checked for: {values:?} {cell:?}"),
        }
    }

    fn finish(&mut self, rows: usize) -> ArrayRef {
        if self.written == 0 {
            return new_null_array(&self.ty.arrow(), rows);
        }
        self.fill(rows);
        self.written = 0;
        match &mut self.values {
            Values::Text(b) => {
                let array = b.finish();
                // The next batch is likely to be as large: it is written without moving what was written before.
                *b = StringBuilder::with_capacity(rows, array.value_data().len());
                Arc::new(array)
            }
            Values::Int(b) => Arc::new(b.finish()),
            Values::Float(b) => Arc::new(b.finish()),
            Values::Decimal(b) => Arc::new(b.finish()),
            Values::Bool(b) => Arc::new(b.finish()),
            Values::Time(b) => Arc::new(b.finish()),
            Values::Date(b) => Arc::new(b.finish()),
            Values::List(b) => Arc::new(b.finish()),
        }
    }
}

/// Rows being written.
#[derive(Debug)]
pub(super) struct Columns {
    columns: Vec<Column>,
    rows: usize,
}

impl Columns {
    pub(super) fn new(types: impl IntoIterator<Item = Type>) -> Columns {
        let columns = types.into_iter().map(|ty| Column { ty, written: 0, values: values(ty) }).collect();
        Columns { columns, rows: 0 }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Appends one row: a cell for each column, of its type or empty.
    pub(super) fn append(&mut self, cells: &[Cell<'_>]) {
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            column.append(self.rows, cell);
        }
        self.rows += 1;
    }

    /// The arrays since the last call.
    pub(super) fn finish(&mut self) -> Vec<ArrayRef> {
        let rows = std::mem::take(&mut self.rows);
        self.columns.iter_mut().map(|c| c.finish(rows)).collect()
    }
}

/// Reads the cells of one column again.
#[derive(Debug)]
pub(super) enum Reader<'a> {
    Text(&'a StringArray),
    Int(&'a Int64Array),
    Float(&'a Float64Array),
    Decimal(&'a Decimal128Array),
    Bool(&'a BooleanArray),
    Time(&'a TimestampMillisecondArray),
    Date(&'a Date32Array),
    List(&'a ListArray),
}

impl<'a> Reader<'a> {
    /// `None` when the array has another type.
    pub(super) fn new(ty: Type, array: &'a dyn Array) -> Option<Reader<'a>> {
        if *array.data_type() != ty.arrow() {
            return None;
        }
        let any = array.as_any();
        Some(match ty {
            Type::Text | Type::Json => Reader::Text(any.downcast_ref()?),
            Type::Int => Reader::Int(any.downcast_ref()?),
            Type::Float => Reader::Float(any.downcast_ref()?),
            Type::Decimal => Reader::Decimal(any.downcast_ref()?),
            Type::Bool => Reader::Bool(any.downcast_ref()?),
            Type::Time => Reader::Time(any.downcast_ref()?),
            Type::Date => Reader::Date(any.downcast_ref()?),
            Type::TextList => Reader::List(any.downcast_ref()?),
        })
    }

    pub(super) fn is_null(&self, row: usize) -> bool {
        match self {
            Reader::Text(a) => a.is_null(row),
            Reader::Int(a) => a.is_null(row),
            Reader::Float(a) => a.is_null(row),
            Reader::Decimal(a) => a.is_null(row),
            Reader::Bool(a) => a.is_null(row),
            Reader::Time(a) => a.is_null(row),
            Reader::Date(a) => a.is_null(row),
            Reader::List(a) => a.is_null(row),
        }
    }

    pub(super) fn cell(&self, row: usize) -> Cell<'a> {
        if self.is_null(row) {
            return Cell::Null;
        }
        match self {
            Reader::Text(a) => Cell::Text(Cow::Borrowed(a.value(row))),
            Reader::Int(a) => Cell::Int(a.value(row)),
            Reader::Float(a) => Cell::Float(a.value(row)),
            Reader::Decimal(a) => Cell::Decimal(a.value(row)),
            Reader::Bool(a) => Cell::Bool(a.value(row)),
            Reader::Time(a) => Cell::Time(a.value(row)),
            Reader::Date(a) => Cell::Date(a.value(row)),
            Reader::List(a) => {
                let items = a.value(row);
                let texts = items.as_any().downcast_ref::<StringArray>();
                Cell::List(texts.into_iter().flatten().flatten().map(|t| Cow::Owned(t.to_owned())).collect())
            }
        }
    }
}
