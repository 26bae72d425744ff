//! One block of rows as the engine's methods see it: views, expressions evaluated once, keys, references.
//!
//! In: a block of the log. Out: arrays and keys, each computed at most once however many indicators ask.

use super::outcome::{Reference, Subject};
use super::program::{Program, ViewSpec};
use crate::log::Block;
use crate::record::{Kind, Millis};
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, ListArray, StringArray,
    TimestampMillisecondArray, new_null_array,
};
use arrow::datatypes::{DataType, TimestampMillisecondType};
use arrow::record_batch::RecordBatch;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rows of one block, with everything computed over them.
pub(crate) struct Batch<'a> {
    pub(crate) program: &'a Program,
    pub(crate) block: &'a Block,
    /// Event time per row.
    pub(crate) at: TimestampMillisecondArray,
    /// Routing key per row.
    pub(crate) key: StringArray,
    /// Rows that count (not duplicates).
    pub(crate) keep: Vec<bool>,
    /// Routing key numbers; `u32::MAX` for rows that do not count.
    pub(crate) routing: Vec<u32>,
    views: Vec<Option<RecordBatch>>,
    arrays: Vec<Option<ArrayRef>>,
    /// By condition, the last for none: the rows for which it is true, as a flag a row and as row numbers.
    masks: Vec<Option<Arc<Vec<bool>>>>,
    selections: Vec<Option<Arc<Vec<u32>>>>,
    /// By key set: key numbers of the rows.
    keys: Vec<Option<Arc<Vec<u32>>>>,
    /// Rows whose expressions failed and became null.
    pub(crate) failed: u64,
}

impl<'a> Batch<'a> {
    /// `None` when the block lacks the columns that every block has: it was not made by our intake.
    pub(crate) fn new(program: &'a Program, block: &'a Block) -> Option<Batch<'a>> {
        let at = block.rows.column_by_name("occurred_at")?.as_primitive_opt::<TimestampMillisecondType>()?.clone();
        let key = block.rows.column_by_name(Block::KEY)?.as_string_opt::<i32>()?.clone();
        Some(Batch {
            program,
            block,
            keep: vec![true; block.rows.num_rows()],
            routing: vec![u32::MAX; block.rows.num_rows()],
            at,
            key,
            views: vec![None; program.views.len()],
            arrays: vec![None; program.expressions.len()],
            masks: vec![None; program.expressions.len() + 1],
            selections: vec![None; program.expressions.len() + 1],
            keys: vec![None; program.sets.len()],
            failed: 0,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.keep.len()
    }

    /// True when rows of this block are rows of the source that a rule names.
    pub(crate) fn is_of(&self, source: &str) -> bool {
        *self.block.source == *source || self.block.kind.word() == source
    }

    pub(crate) fn text(&self, name: &str, row: usize) -> Option<&str> {
        let column = self.block.rows.column_by_name(name)?.as_string_opt::<i32>()?;
        column.is_valid(row).then(|| column.value(row))
    }

    pub(crate) fn int(&self, name: &str, row: usize) -> Option<i64> {
        let column = self.block.rows.column_by_name(name)?;
        let column = column.as_any().downcast_ref::<Int64Array>()?;
        column.is_valid(row).then(|| column.value(row))
    }

    /// True when the view has lookup columns that were not given yet.
    pub(crate) fn wants_lookups(&self, view: usize) -> bool {
        self.views[view].is_none() && !self.program.views[view].lookups.is_empty()
    }

    /// Builds a view: the block's columns where it has them with the right type, nulls elsewhere, then lookups.
    pub(crate) fn give_lookups(&mut self, view: usize, lookups: Vec<ArrayRef>) {
        let spec = &self.program.views[view];
        let mut columns = self.own_columns(spec);
        columns.extend(lookups);
        self.views[view] = RecordBatch::try_new(spec.schema.clone(), columns).ok();
    }

    fn own_columns(&self, spec: &ViewSpec) -> Vec<ArrayRef> {
        let rows = &self.block.rows;
        let fields = spec.schema.fields().iter().take(spec.own);
        fields
            .map(|field| match rows.column_by_name(field.name()) {
                Some(column) if column.data_type() == field.data_type() => column.clone(),
                _ => new_null_array(field.data_type(), rows.num_rows()),
            })
            .collect()
    }

    /// The array of an expression over this block.
    pub(crate) fn array(&mut self, expression: usize) -> ArrayRef {
        if let Some(array) = &self.arrays[expression] {
            return array.clone();
        }
        let (view, compiled) = &self.program.expressions[expression];
        if self.views[*view].is_none() {
            let spec = &self.program.views[*view];
            let mut columns = self.own_columns(spec);
            let missing = spec.schema.fields().iter().skip(spec.own);
            columns.extend(missing.map(|f| new_null_array(f.data_type(), self.len())));
            self.views[*view] = RecordBatch::try_new(spec.schema.clone(), columns).ok();
        }
        let array = match &self.views[*view] {
            Some(batch) => {
                let evaluated = compiled.evaluate(batch);
                self.failed += evaluated.failed as u64;
                evaluated.array
            }
            None => new_null_array(&DataType::Null, self.len()),
        };
        self.arrays[expression] = Some(array.clone());
        array
    }

    /// Rows for which a condition is true; every row when there is none. Duplicates are none of them.
    pub(crate) fn mask(&mut self, condition: Option<usize>) -> Arc<Vec<bool>> {
        let place = condition.unwrap_or(self.arrays.len());
        if let Some(known) = &self.masks[place] {
            return known.clone();
        }
        let mask = Arc::new(match condition {
            None => self.keep.clone(),
            Some(expression) => {
                let array = self.array(expression);
                match array.as_any().downcast_ref::<BooleanArray>() {
                    Some(b) => {
                        self.keep.iter().enumerate().map(|(i, keep)| *keep && b.is_valid(i) && b.value(i)).collect()
                    }
                    None => vec![false; self.len()],
                }
            }
        });
        self.masks[place] = Some(mask.clone());
        mask
    }

    /// The numbers of the rows for which a condition is true.
    pub(crate) fn selected(&mut self, condition: Option<usize>) -> Arc<Vec<u32>> {
        let place = condition.unwrap_or(self.arrays.len());
        if let Some(known) = &self.selections[place] {
            return known.clone();
        }
        let mask = self.mask(condition);
        let rows = mask.iter().enumerate().filter(|(_, holds)| **holds).map(|(row, _)| row as u32);
        let selected = Arc::new(rows.collect());
        self.selections[place] = Some(Arc::clone(&selected));
        selected
    }

    /// The key numbers of the rows in a set, once they are known.
    pub(crate) fn keys(&self, set: usize) -> Option<Arc<Vec<u32>>> {
        self.keys[set].clone()
    }

    /// Remembers the key numbers of the rows in a set.
    pub(crate) fn give_keys(&mut self, set: usize, keys: Arc<Vec<u32>>) {
        self.keys[set] = Some(keys);
    }

    pub(crate) fn numbers(&mut self, expression: usize) -> Option<Float64Array> {
        self.array(expression).as_any().downcast_ref::<Float64Array>().cloned()
    }

    pub(crate) fn texts(&mut self, expression: usize) -> Option<StringArray> {
        self.array(expression).as_any().downcast_ref::<StringArray>().cloned()
    }

    pub(crate) fn times(&mut self, expression: usize) -> Option<TimestampMillisecondArray> {
        self.array(expression).as_any().downcast_ref::<TimestampMillisecondArray>().cloned()
    }

    /// A column as text, for state keys.
    pub(crate) fn column_text(&self, name: &str) -> Option<StringArray> {
        let column = self.block.rows.column_by_name(name)?;
        if let Some(text) = column.as_string_opt::<i32>() {
            return Some(text.clone());
        }
        let cast = arrow::compute::cast(column, &DataType::Utf8).ok()?;
        cast.as_string_opt::<i32>().cloned()
    }

    /// What the row says about whom it concerns.
    pub(crate) fn subject(&self, row: usize) -> Subject {
        let own = |name: &str| self.text(name, row).map(str::to_owned);
        let registry = self.block.kind == Kind::Registry;
        Subject {
            object_id: own("object_id"),
            entity_id: own("entity_id").or_else(|| own("object_entity")),
            name: own(if registry { "name" } else { "object_name" }),
            object_type: own("object_type"),
            region: own("region"),
            street: own("street"),
            location_id: own("location_id"),
            sensor_id: own("sensor_id"),
            tags: self.list("tags", row),
            risk_class: own("risk_class"),
        }
    }

    fn list(&self, name: &str, row: usize) -> Vec<String> {
        let Some(lists) = self.block.rows.column_by_name(name).and_then(|c| c.as_any().downcast_ref::<ListArray>())
        else {
            return Vec::new();
        };
        if lists.is_null(row) {
            return Vec::new();
        }
        let values = lists.value(row);
        values.as_string_opt::<i32>().map_or_else(Vec::new, |v| v.iter().flatten().map(str::to_owned).collect())
    }

    /// The row as evidence, with the columns that a rule reads.
    pub(crate) fn reference(&self, row: usize, reads: &[String]) -> Reference {
        let own = |name: &str| self.text(name, row).unwrap_or("").to_owned();
        let mut values = BTreeMap::new();
        for name in reads {
            if let Some(column) = self.block.rows.column_by_name(name)
                && let Some(value) = cell(column, row)
            {
                values.insert(name.clone(), value);
            }
        }
        Reference {
            kind: self.block.kind,
            source_system: own("source_system"),
            source_dept: own("source_dept"),
            record_id: own("record_id"),
            revision: self.int("revision", row).unwrap_or(1),
            occurred_at: self.at.value(row),
            values,
        }
    }

    pub(crate) fn cause(&self, row: usize) -> String {
        format!(
            "record {} {} {}",
            self.text("source_system", row).unwrap_or("-"),
            self.text("record_id", row).unwrap_or("-"),
            self.int("revision", row).unwrap_or(1)
        )
    }

    pub(crate) fn time(&self, row: usize) -> Millis {
        self.at.value(row)
    }
}

/// A cell as JSON; null cells give nothing.
pub(crate) fn cell(column: &ArrayRef, row: usize) -> Option<serde_json::Value> {
    if column.is_null(row) {
        return None;
    }
    Some(match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(row).into(),
        DataType::Boolean => column.as_boolean().value(row).into(),
        DataType::Int64 => column.as_any().downcast_ref::<Int64Array>()?.value(row).into(),
        DataType::Float64 => column.as_any().downcast_ref::<Float64Array>()?.value(row).into(),
        DataType::Timestamp(..) => {
            crate::record::time::rfc3339(column.as_primitive_opt::<TimestampMillisecondType>()?.value(row)).into()
        }
        _ => {
            let one = arrow::compute::cast(&column.slice(row, 1), &DataType::Utf8).ok()?;
            one.as_string_opt::<i32>()?.value(0).into()
        }
    })
}

/// A value kept by a lookup.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Scalar {
    Null,
    Text(Arc<str>),
    Number(f64),
    Int(i64),
    Bool(bool),
    Time(Millis),
    Date(i32),
}

impl Scalar {
    pub(crate) fn of(array: &ArrayRef, row: usize) -> Scalar {
        if array.is_null(row) {
            return Scalar::Null;
        }
        match array.data_type() {
            DataType::Utf8 => Scalar::Text(array.as_string::<i32>().value(row).into()),
            DataType::Float64 => Scalar::Number(array.as_primitive::<arrow::datatypes::Float64Type>().value(row)),
            DataType::Int64 => Scalar::Int(array.as_primitive::<arrow::datatypes::Int64Type>().value(row)),
            DataType::Boolean => Scalar::Bool(array.as_boolean().value(row)),
            DataType::Date32 => Scalar::Date(array.as_primitive::<arrow::datatypes::Date32Type>().value(row)),
            DataType::Timestamp(arrow::datatypes::TimeUnit::Millisecond, _) => {
                Scalar::Time(array.as_primitive::<TimestampMillisecondType>().value(row))
            }
            _ => Scalar::Null,
        }
    }

    /// An array of a type from scalars of it; others are null.
    pub(crate) fn array(values: &[Scalar], ty: &DataType) -> ArrayRef {
        use arrow::array::{Date32Array, PrimitiveArray};
        match ty {
            DataType::Utf8 => Arc::new(StringArray::from_iter(values.iter().map(|v| match v {
                Scalar::Text(t) => Some(&**t),
                _ => None,
            }))),
            DataType::Float64 => Arc::new(Float64Array::from_iter(values.iter().map(|v| match v {
                Scalar::Number(n) => Some(*n),
                _ => None,
            }))),
            DataType::Int64 => Arc::new(Int64Array::from_iter(values.iter().map(|v| match v {
                Scalar::Int(n) => Some(*n),
                _ => None,
            }))),
            DataType::Boolean => Arc::new(BooleanArray::from_iter(values.iter().map(|v| match v {
                Scalar::Bool(b) => Some(*b),
                _ => None,
            }))),
            DataType::Date32 => Arc::new(Date32Array::from_iter(values.iter().map(|v| match v {
                Scalar::Date(d) => Some(*d),
                _ => None,
            }))),
            DataType::Timestamp(arrow::datatypes::TimeUnit::Millisecond, zone) => {
                let array: PrimitiveArray<TimestampMillisecondType> = values
                    .iter()
                    .map(|v| match v {
                        Scalar::Time(t) => Some(*t),
                        _ => None,
                    })
                    .collect();
                Arc::new(array.with_timezone_opt(zone.clone()))
            }
            other => new_null_array(other, values.len()),
        }
    }
}
