//! One column of a record: its name, type, whether it must be there, and the check its values must pass.

use arrow::datatypes::{DataType, Field, TimeUnit};
use std::sync::Arc;

/// The type of a column, as a rule author names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Type {
    /// UTF-8 text.
    Text,
    /// A whole number, 64 bits.
    Int,
    /// A finite number, 64-bit float.
    Float,
    /// Money in CNY: 18 digits, 2 of them behind the point.
    Decimal,
    /// True or false.
    Bool,
    /// An instant, milliseconds, shown at +08:00.
    Time,
    /// A day without a clock time.
    Date,
    /// A list of texts.
    TextList,
    /// A nested object or list, kept as compact JSON text and read with `json_*` functions.
    Json,
}

impl Type {
    /// The Arrow type of the column.
    #[must_use]
    pub fn arrow(self) -> DataType {
        match self {
            Type::Text | Type::Json => DataType::Utf8,
            Type::Int => DataType::Int64,
            Type::Float => DataType::Float64,
            Type::Decimal => DataType::Decimal128(18, 2),
            Type::Bool => DataType::Boolean,
            Type::Time => DataType::Timestamp(TimeUnit::Millisecond, Some("+08:00".into())),
            Type::Date => DataType::Date32,
            Type::TextList => DataType::List(Arc::new(Field::new("item", DataType::Utf8, true))),
        }
    }
}

/// Whether a record without the column is still a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Required {
    /// A record without it is a dead letter (`missing`).
    Yes,
    /// May be absent.
    No,
}

/// What the values of a column must satisfy after decoding; a value that does not makes the record a dead letter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Check {
    /// Anything of the type.
    Any,
    /// One of these words (`enum`).
    OneOf(&'static [&'static str]),
    /// An identifier: 1 to this many characters, no control or zero-width characters inside (`id`).
    Id(usize),
    /// A unified social credit code with a right check character; lower case and full width are normalised (`uscc`).
    Uscc,
    /// `type:code` (`id`).
    ObjectId,
    /// A department id of `rules/shared/departments.yaml`, with or without `@region` (`department`).
    Department,
    /// Six digits (`region`).
    Region,
    /// Nine digits, the first six a region (`street`).
    Street,
    /// A number in this closed range (`range`).
    Range(f64, f64),
    /// Free text of at most this many characters, scanned for personal data.
    FreeText(usize),
    /// 64 hexadecimal digits (`hash`).
    Hash,
    /// An instant or day from 1990-01-01 to 2100-12-31 (`time_range`).
    Plausible,
}

/// Personal data in a column, as a source file declares it; masked before anything is logged or stored.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Personal {
    /// No personal data.
    #[default]
    None,
    /// An identity number or another person id: replaced by a keyed hash.
    Id,
    /// A telephone number: replaced by a keyed hash.
    Phone,
    /// A person's name: replaced by a keyed hash.
    Name,
    /// Free text: scanned, personal data inside replaced by its display form.
    Text,
}

/// One column of a kind of record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Column {
    /// The name in our own envelope, in SQL and in evidence. A dot in `path` means a field of a nested object.
    pub name: &'static str,
    /// Where the value stands in our own envelope (`limits.hi`); the same as `name` for most.
    pub path: &'static str,
    /// The type.
    pub ty: Type,
    /// Whether it must be there.
    pub required: Required,
    /// The check.
    pub check: Check,
    /// What it means, Chinese first: shown by `schema record` and as hover help.
    pub meaning: &'static str,
}

impl Column {
    /// A column that may be absent.
    #[must_use]
    pub const fn new(name: &'static str, ty: Type, check: Check, meaning: &'static str) -> Column {
        Column { name, path: name, ty, required: Required::No, check, meaning }
    }

    /// The same column, but a record without it is a dead letter.
    #[must_use]
    pub const fn required(self) -> Column {
        Column { required: Required::Yes, ..self }
    }

    /// The same column, read from another place of our own envelope.
    #[must_use]
    pub const fn at(self, path: &'static str) -> Column {
        Column { path, ..self }
    }

    /// The Arrow field; every column is nullable because another feed of the kind may not have it.
    #[must_use]
    pub fn field(&self) -> Field {
        Field::new(self.name, self.ty.arrow(), true)
    }
}
