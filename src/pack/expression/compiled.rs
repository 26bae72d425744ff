//! A compiled expression, as the rest of the program holds it.

use super::call::{self, Counted, take_failed};
use super::class::{Class, Want, cast_array};
use super::error::ExpressionError;
use super::lower::lower;
use super::parse::parse;
use arrow::array::{Array, ArrayRef, new_null_array};
use arrow::compute::concat;
use arrow::datatypes::{DataType, Schema};
use arrow::record_batch::RecordBatch;
use datafusion_common::ScalarValue;
use datafusion_physical_expr::PhysicalExpr;
use std::sync::Arc;

/// A compiled expression. Cheap to clone; evaluation never fails a batch.
#[derive(Clone, Debug)]
pub struct Expression {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    text: String,
    reads: Vec<String>,
    /// Position and type of each column it reads.
    columns: Vec<(usize, DataType)>,
    tree: Arc<dyn PhysicalExpr>,
    class: Class,
    returns: DataType,
    never_true: bool,
}

/// The result over a batch.
#[derive(Clone, Debug)]
pub struct Evaluated {
    /// One value a row.
    pub array: ArrayRef,
    /// Operations that could not be done (division by zero, overflow, bad cast) and gave null: mostly one a row, more
    /// if several parts of a row's expression failed, none for a part that was not needed. For metrics.
    pub failed: usize,
}

impl Expression {
    /// Compiles a text against the columns it may read.
    ///
    /// # Errors
    /// The first thing wrong, with its place.
    pub fn compile(text: &str, columns: &Schema, want: Want) -> Result<Expression, ExpressionError> {
        let (tree, source) = parse(text)?;
        let lowered = lower(&tree, &source, columns, want).map_err(|e| source.or_meant(e, want))?;
        let reads: Vec<String> = lowered.columns.iter().map(|i| columns.field(*i).name().clone()).collect();
        let positions = lowered.columns.iter().map(|i| (*i, columns.field(*i).data_type().clone())).collect();
        let mut reads = reads;
        reads.sort();
        let returns = match want {
            Want::Column(ty) => ty.arrow(),
            _ => lowered.value.class.arrow(),
        };
        let constant = lowered.value.literal.as_ref();
        let never_true = constant.is_some_and(|v| v.is_null() || *v == ScalarValue::Boolean(Some(false)));
        Ok(Expression {
            inner: Arc::new(Inner {
                text: text.to_owned(),
                reads,
                columns: positions,
                tree: lowered.value.expr,
                class: lowered.value.class,
                returns,
                never_true,
            }),
        })
    }

    /// The names of the columns it reads, sorted.
    #[must_use]
    pub fn reads(&self) -> &[String] {
        &self.inner.reads
    }

    /// True of a condition that depends on no row and does not hold.
    #[must_use]
    pub fn is_never_true(&self) -> bool {
        self.inner.never_true
    }

    /// The text it was compiled from.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.inner.text
    }

    /// The Arrow type of its values.
    #[must_use]
    pub fn data_type(&self) -> &DataType {
        &self.inner.returns
    }

    /// Evaluates over a batch whose columns are those of the schema it was compiled against, by position.
    ///
    /// A batch that does not have those columns gives nulls, all counted as failed.
    #[must_use]
    pub fn evaluate(&self, batch: &RecordBatch) -> Evaluated {
        let rows = batch.num_rows();
        let fits =
            |(i, ty): &(usize, DataType)| batch.columns().get(*i).is_some_and(|c| c.data_type().equals_datatype(ty));
        if !self.inner.columns.iter().all(fits) {
            return Evaluated { array: new_null_array(&self.inner.returns, rows), failed: rows };
        }
        take_failed();
        let array = self.rows(batch);
        Evaluated { array, failed: take_failed() }
    }

    /// Our own operations do not fail. Should one of Arrow's refuse a batch, the batch is halved until only the rows
    /// at fault are null.
    fn rows(&self, batch: &RecordBatch) -> ArrayRef {
        let rows = batch.num_rows();
        if let Some(array) = self.whole(batch) {
            return array;
        }
        if rows <= 1 {
            call::add_failed(rows);
            return new_null_array(&self.inner.returns, rows);
        }
        let half = rows / 2;
        let first = self.rows(&batch.slice(0, half));
        let second = self.rows(&batch.slice(half, rows - half));
        concat(&[first.as_ref(), second.as_ref()]).expect("both halves have the type of the expression")
    }

    fn whole(&self, batch: &RecordBatch) -> Option<ArrayRef> {
        let array = self.inner.tree.evaluate(batch).ok()?.into_array(batch.num_rows()).ok()?;
        if *array.data_type() == self.inner.returns {
            return Some(array);
        }
        Some(cast_array(&array, self.inner.class, &self.inner.returns, Counted::Yes))
    }
}
