//! Takes messages of one source and gives rows of its record kind.
//!
//! In: messages and pieces of CSV or NDJSON files, with their place. Out: a batch of rows per call of `take`, and a dead
//! letter for each record that did not become one. Promise: seen = rows + dead letters; what comes out does not depend
//! on how often `take` is called; the bytes of a message are forgotten with the batch.
//! Two ways, one judge: our own envelope is decoded straight into the record's columns; a mapped feed is decoded into
//! the feed's columns, its SQL is evaluated over the batch, and the results are judged by the same `validate`.

use super::columns::{Cell, Columns, Reader};
use super::csv::{self, Found};
use super::decode::{Decoder, Fault, Input, Row};
use super::json::{JsonError, Scanner, Value};
use super::mask::Mask;
use super::validate::{Declared, Validator, layout};
use crate::log::{Block, Clock, DeadLetter};
use crate::pack::expression::{Expression, Want};
use crate::pack::{Charset, Format, Pack, Source};
use crate::record::{Kind, Millis, Type};
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListBuilder, RecordBatchOptions, StringArray, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What intake needs to know beside the pack.
#[derive(Clone)]
pub struct Options {
    /// Number of log partitions.
    pub partitions: u32,
    /// How time moves in this log.
    pub clock: Clock,
    /// Key of the HMAC that replaces person ids.
    pub secret: Vec<u8>,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The secret stays out of logs.
        f.debug_struct("Options")
            .field("partitions", &self.partitions)
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}

/// One message, or one piece of a file.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Raw partition, `<source>/<number>`.
    pub raw: &'a Arc<str>,
    /// Topic or file.
    pub origin: &'a str,
    /// Offset of the message, or position of the piece's first byte in the file.
    pub offset: i64,
    /// The bytes; `None` is a tombstone.
    pub payload: Option<&'a [u8]>,
}

/// A source that cannot be used. `check` finds all of these before a pack is published.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum MapError {
    /// The pack has no such source.
    #[error("the pack has no source {source_name}")]
    Source {
        /// The name asked for.
        source_name: String,
    },
    /// A zone that is no offset.
    #[error("column {column}: {zone} is no zone; write an offset like +08:00")]
    Zone {
        /// The column.
        column: String,
        /// The zone as written.
        zone: String,
    },
    /// One column's path is the beginning of another's.
    #[error("column {column}: the path {path} is both a value and an object")]
    Path {
        /// The column.
        column: String,
        /// Its path.
        path: String,
    },
    /// A field that the record does not have.
    #[error("source {source_name}: {kind} has no column {column}", kind = kind.word())]
    Column {
        /// The source.
        source_name: String,
        /// Kind of its records.
        kind: Kind,
        /// The field.
        column: String,
    },
    /// An expression that does not compile.
    #[error("source {source_name}, {field}: {message}")]
    Expression {
        /// The source.
        source_name: String,
        /// Field it fills.
        field: String,
        /// What is wrong.
        message: String,
    },
    /// A delimiter that is no single ASCII character.
    #[error("source {source_name}: the delimiter must be one ASCII character")]
    Delimiter {
        /// The source.
        source_name: String,
    },
    /// A header that cannot be read, or names a column twice.
    #[error("{origin}: {detail}")]
    Header {
        /// The file.
        origin: String,
        /// What is wrong.
        detail: &'static str,
    },
}

/// Rows and dead letters since the last `take`.
#[derive(Clone, Debug)]
pub struct Mapped {
    /// Name of the source.
    pub source: Arc<str>,
    /// Kind of its records.
    pub kind: Kind,
    /// The rows, in the order they came; columns as [`row_schema`] says.
    pub rows: RecordBatch,
    /// One a row: `received_at`, else `occurred_at`.
    pub merge_time: Vec<Millis>,
    /// What did not become a row, in the order it came.
    pub dead_letters: Vec<DeadLetter>,
    /// Names that no column lists, with their number.
    pub unlisted: BTreeMap<String, u64>,
    /// Records in: rows and dead letters.
    pub seen: u64,
    /// Rows that `only` left out: no records of ours, in no other count.
    pub filtered: u64,
    /// Texts whose width or invisible characters were put right, and byte order marks.
    pub cleaned: u64,
}

/// The columns of the rows that a source gives: envelope, the kind's own columns that the feed can fill, `attrs`, then
/// raw partition and offset.
#[must_use]
pub fn row_schema(_pack: &Pack, source: &Source) -> SchemaRef {
    let mut fields: Vec<Field> = layout(source).iter().map(|s| Field::new(&*s.name, s.ty.arrow(), true)).collect();
    fields.push(Field::new(Block::RAW, DataType::Utf8, true));
    fields.push(Field::new(Block::OFFSET, DataType::Int64, true));
    Arc::new(Schema::new(fields))
}

/// Where a record stands.
#[derive(Clone, Copy, Debug)]
struct Place<'a> {
    raw: &'a Arc<str>,
    origin: &'a str,
    offset: i64,
    row: u32,
    /// The message, or the row of a file.
    bytes: &'a [u8],
    wall: Millis,
}

/// A decoded record of a mapped feed that waits for its batch.
#[derive(Debug)]
struct Waiting {
    raw: Arc<str>,
    origin: Arc<str>,
    offset: i64,
    row: u32,
    wall: Millis,
    sentinel: bool,
    /// Its message in the kept bytes.
    bytes: (usize, usize),
}

/// What fills one column of the rows.
#[derive(Debug)]
struct Output {
    expression: Expression,
    /// A list of texts written as one text with semicolons.
    joined: bool,
}

/// The column that gives a feed the name of its file: some write one file a point.
const FILE: &str = "_file";

/// The file's name without folders and ending.
fn file_stem(origin: &str) -> &str {
    let name = origin.rsplit(['/', '\\']).next().unwrap_or(origin);
    name.split_once('.').map_or(name, |(stem, _)| stem)
}

/// Evaluates the SQL of a mapped feed.
#[derive(Debug)]
struct Mapping {
    schema: SchemaRef,
    only: Option<Expression>,
    /// One a column of the rows.
    outputs: Vec<Option<Output>>,
    /// The feed has no column `_file` of its own, so it gets the name of the file.
    names_file: bool,
    /// Feed columns behind `value`: their sentinels mark the row.
    value_inputs: Vec<usize>,
    /// Unit declared for the column behind `value`, where the record maps no unit.
    unit: Option<String>,
    rows: Columns,
    waiting: Vec<Waiting>,
    /// Messages of the waiting rows, for the hash of a dead letter.
    kept: Vec<u8>,
}

/// Rows that wait before the SQL of a feed is evaluated: enough that its fixed cost does not matter.
const BATCH_ROWS: usize = 4_096;
/// Bytes of their messages that are kept meanwhile.
const BATCH_BYTES: usize = 8 << 20;

/// Decodes, validates and masks the messages of one source.
#[derive(Debug)]
pub struct Mapper {
    source: Arc<str>,
    kind: Kind,
    format: Format,
    charset: Charset,
    delimiter: u8,
    bytes_max: usize,
    envelope: bool,
    decoder: Decoder,
    validator: Validator,
    mapping: Option<Box<Mapping>>,
    schema: SchemaRef,
    rows: Columns,
    raws: StringBuilder,
    offsets: Vec<i64>,
    merge_time: Vec<Millis>,
    dead_letters: Vec<DeadLetter>,
    /// Hash of the message at hand by its place in memory, for its further dead letters: an array may hold thousands.
    /// Forgotten with the message.
    hashed: Option<((usize, usize), String)>,
    filtered: u64,
    cleaned: u64,
}

impl Mapper {
    /// A mapper for a source of the pack.
    ///
    /// # Errors
    /// [`MapError`] when the pack has no such source or its file cannot be used; `check` finds these before.
    pub fn new(pack: &Pack, source: &str, options: &Options) -> Result<Mapper, MapError> {
        let source = pack.sources.get(source).ok_or_else(|| MapError::Source { source_name: source.to_owned() })?;
        let specs = layout(source);
        let mask = Mask::new(&options.secret);
        let delimiter = source.delimiter.unwrap_or(',');
        let delimiter = u8::try_from(delimiter)
            .ok()
            .filter(u8::is_ascii)
            .ok_or_else(|| MapError::Delimiter { source_name: source.name.clone() })?;
        let (inputs, mapping) = if source.envelope {
            (specs.iter().map(|s| Input::own(&s.name, &s.path, s.ty)).collect(), None)
        } else {
            let inputs = source.columns.iter().map(Input::of).collect::<Result<Vec<Input>, MapError>>()?;
            let mapping = Mapping::new(source, &specs.iter().map(|s| (s.name.clone(), s.ty)).collect::<Vec<_>>())?;
            (inputs, Some(Box::new(mapping)))
        };
        let kind = source.envelope.then(|| source.kind.word());
        Ok(Mapper {
            source: source.name.as_str().into(),
            kind: source.kind,
            format: source.format,
            charset: source.charset,
            delimiter,
            bytes_max: source.message_bytes_max.unwrap_or(1 << 20),
            envelope: source.envelope,
            decoder: Decoder::new(inputs, kind, mask)?,
            schema: row_schema(pack, source),
            rows: Columns::new(specs.iter().map(|s| s.ty)),
            validator: Validator::new(pack, source, specs, options.clock),
            mapping,
            raws: StringBuilder::new(),
            offsets: Vec::new(),
            merge_time: Vec::new(),
            dead_letters: Vec::new(),
            hashed: None,
            filtered: 0,
            cleaned: 0,
        })
    }

    /// With `clock: records`: a record whose time is later than this is no history and is quarantined (`future`).
    pub fn set_latest(&mut self, latest: Millis) {
        self.validator.latest = Some(latest);
    }

    /// Takes one message: a JSON object, an array of objects, or one object a line, as the source says.
    ///
    /// - `wall`: wall time of the message, judged against `occurred_at`
    pub fn push(&mut self, message: &Message<'_>, wall: Millis) {
        self.hashed = None;
        let place =
            |bytes| Place { raw: message.raw, origin: message.origin, offset: message.offset, row: 0, bytes, wall };
        let Some(payload) = message.payload else {
            return self.unsplit(place(&[]), Fault::new("tombstone", "a message without a value"));
        };
        let place = place(payload);
        if payload.len() > self.bytes_max {
            return self.unsplit(place, Fault::new("size", "larger than this source's messages may be"));
        }
        match self.format {
            Format::Json => match decode_text(payload, self.charset) {
                Some(text) => {
                    let text = self.without_mark(&text);
                    self.json(text, place);
                }
                None => self.unsplit(place, Fault::new("charset", "not in the charset of this source")),
            },
            Format::Ndjson => {
                let mut any = false;
                for (n, line) in payload.split(|b| *b == b'\n').enumerate() {
                    let line = line.strip_suffix(b"\r").unwrap_or(line);
                    if line.iter().all(u8::is_ascii_whitespace) {
                        continue;
                    }
                    any = true;
                    self.line(line, Place { row: u32::try_from(n).unwrap_or(u32::MAX), ..place });
                }
                if !any {
                    self.unsplit(place, Fault::new("empty", "an empty message"));
                }
            }
            Format::Csv => self.unsplit(place, Fault::new("csv", "CSV comes in files, not in messages")),
        }
        self.map_if_full();
    }

    /// Takes the whole lines of a piece of an NDJSON file; each is a message of its own, at its own byte position.
    ///
    /// - `message.offset`: position of the piece's first byte in the file
    /// - `last`: no more bytes follow; what is left is a line
    ///
    /// Returns how many bytes were used; the next piece must begin behind them.
    pub fn push_lines(&mut self, message: &Message<'_>, last: bool, wall: Millis) -> usize {
        let bytes = message.payload.unwrap_or_default();
        self.hashed = None;
        let mut from = 0;
        while let Some(rest) = bytes.get(from..).filter(|r| !r.is_empty()) {
            let (length, next) = match newline(rest) {
                Some(n) => (n, from + n + 1),
                None if last => (rest.len(), bytes.len()),
                None => break,
            };
            let line = rest.get(..length).unwrap_or_default();
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let place = Place {
                raw: message.raw,
                origin: message.origin,
                offset: message.offset + i64::try_from(from).unwrap_or(0),
                row: 0,
                bytes: line,
                wall,
            };
            if line.len() > self.bytes_max {
                self.unsplit(place, Fault::new("size", "larger than this source's messages may be"));
            } else if !line.iter().all(u8::is_ascii_whitespace) {
                self.line(line, place);
            }
            from = next;
            self.hashed = None;
            self.map_if_full();
        }
        from
    }

    /// Learns the header of a CSV file: its first line.
    ///
    /// # Errors
    /// [`MapError::Header`] when it is not in the source's charset or names a column twice.
    pub fn push_csv_header(&mut self, origin: &str, header: &[u8]) -> Result<(), MapError> {
        let wrong = |detail| MapError::Header { origin: origin.to_owned(), detail };
        let text =
            decode_text(header, self.charset).ok_or_else(|| wrong("the header is not in the charset of the source"))?;
        let text = self.without_mark(&text);
        let names = csv::fields(text.trim_end_matches(['\r', '\n']), char::from(self.delimiter));
        names.and_then(|names| self.decoder.csv_header(&names)).map_err(|fault| wrong(fault.detail))
    }

    /// Takes the whole rows of a piece of a CSV file, behind its header.
    ///
    /// - `message.offset`: position of the piece's first byte in the file; each row keeps its own
    /// - `last`: no more bytes follow; what is left is a row
    ///
    /// Returns how many bytes were used; the next piece must begin behind them.
    pub fn push_csv_rows(&mut self, message: &Message<'_>, last: bool, wall: Millis) -> usize {
        let bytes = message.payload.unwrap_or_default();
        let wide = self.charset == Charset::Gbk;
        let mut from = 0;
        while from < bytes.len() {
            let (end, open) = match csv::row_end(bytes, from, self.delimiter, wide, self.bytes_max, last) {
                Found::Row(end) => (end, false),
                Found::Open(end) => (end, true),
                Found::More => break,
            };
            let row = bytes.get(from..end).unwrap_or_default();
            let row = row.strip_suffix(b"\n").unwrap_or(row);
            let row = row.strip_suffix(b"\r").unwrap_or(row);
            let place = Place {
                raw: message.raw,
                origin: message.origin,
                offset: message.offset + i64::try_from(from).unwrap_or(0),
                row: 0,
                bytes: row,
                wall,
            };
            from = end;
            self.hashed = None;
            if open {
                self.unsplit(place, Fault::new("csv", "a quote is not closed"));
                continue;
            }
            if row.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            match decode_text(row, self.charset) {
                None => self.unsplit(place, Fault::new("charset", "not in the charset of this source")),
                Some(text) => {
                    let fields = csv::fields(&text, char::from(self.delimiter));
                    match fields.and_then(|fields| self.decoder.csv_row(fields)) {
                        Ok(row) => self.accept(row, place),
                        Err(fault) => self.dead(place, fault, self.kind.word()),
                    }
                }
            }
            self.map_if_full();
        }
        from
    }

    /// Everything since the last call.
    pub fn take(&mut self) -> Mapped {
        self.map();
        let rows = self.rows.rows();
        let mut arrays = self.rows.finish();
        arrays.push(Arc::new(self.raws.finish()));
        arrays.push(Arc::new(Int64Array::from(std::mem::take(&mut self.offsets))));
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let rows = RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)
            .expect("the arrays were built by the schema's types");
        // A mapped feed finds faults of a batch after those of decoding; the order of arrival is the one that counts.
        let mut dead_letters = std::mem::take(&mut self.dead_letters);
        if self.mapping.is_some() {
            dead_letters.sort_by(|a, b| (&a.raw, a.offset, a.row).cmp(&(&b.raw, b.offset, b.row)));
        }
        Mapped {
            source: self.source.clone(),
            kind: self.kind,
            seen: rows.num_rows() as u64 + dead_letters.len() as u64,
            rows,
            merge_time: std::mem::take(&mut self.merge_time),
            dead_letters,
            unlisted: self.decoder.take_unlisted(),
            filtered: std::mem::take(&mut self.filtered),
            cleaned: std::mem::take(&mut self.cleaned)
                + std::mem::take(&mut self.decoder.cleaned)
                + std::mem::take(&mut self.validator.cleaned),
        }
    }

    fn without_mark<'t>(&mut self, text: &'t str) -> &'t str {
        match text.strip_prefix('\u{feff}') {
            Some(rest) => {
                self.cleaned += 1;
                rest
            }
            None => text,
        }
    }

    fn line(&mut self, line: &[u8], place: Place<'_>) {
        let Some(text) = decode_text(line, self.charset) else {
            return self.unsplit(place, Fault::new("charset", "not in the charset of this source"));
        };
        let text = self.without_mark(&text);
        let mut scanner = Scanner::new(text);
        match scanner.value() {
            Ok(Value::Object) => self.single(&mut scanner, place),
            Ok(_) => self.unsplit(place, Fault::new("top_level", "a line is no JSON object")),
            Err(error) => self.unsplit(place, Fault::json(error)),
        }
    }

    fn json(&mut self, text: &str, place: Place<'_>) {
        let mut scanner = Scanner::new(text);
        if scanner.finished() {
            return self.unsplit(place, Fault::new("empty", "an empty message"));
        }
        match scanner.value() {
            Ok(Value::Object) => self.single(&mut scanner, place),
            Ok(Value::Array) => self.array(&mut scanner, place),
            Ok(_) => {
                let fault = if scanner.finished() {
                    Fault::new("top_level", "neither an object nor an array of objects")
                } else {
                    Fault::new("json", "more than one document in one message")
                };
                self.unsplit(place, fault);
            }
            Err(error) => self.unsplit(place, Fault::json(error)),
        }
    }

    /// A message, or line, of one object, whose brace has been read.
    fn single(&mut self, scanner: &mut Scanner<'_>, place: Place<'_>) {
        match self.decoder.record(scanner, 0) {
            Ok(row) if scanner.finished() => self.accept(row, place),
            Ok(_) => self.unsplit(place, Fault::new("json", "more than one document in one message")),
            Err(error) => self.unsplit(place, Fault::json(error)),
        }
    }

    /// An array of objects, whose bracket has been read. A bad element costs itself; a rest that cannot be split into
    /// elements is one dead letter.
    fn array(&mut self, scanner: &mut Scanner<'_>, place: Place<'_>) {
        let mut first = true;
        let mut row = 0;
        loop {
            let place = Place { row, ..place };
            row = row.saturating_add(1);
            match scanner.element(&mut first) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => return self.unsplit(place, Fault::json(error)),
            }
            // The element begins here; white space in front was stepped over.
            let start = scanner.at();
            let read = match scanner.value() {
                Ok(Value::Object) => self.decoder.record(scanner, 1).map(Some),
                Ok(other) => scanner.skip_rest(&other, 1).map(|()| None),
                Err(error) => Err(error),
            };
            // An element ends where a comma or the array's end stands; anything else is a fault of this element.
            let ended = matches!(scanner.peek(), Some(b',' | b']'));
            let read = read.and_then(|row| match ended {
                true => Ok(row),
                false => Err(JsonError::Syntax("no comma between elements")),
            });
            match read {
                Ok(Some(row)) => self.accept(row, place),
                Ok(None) => self.dead(place, Fault::new("top_level", "an element is no object"), self.kind.word()),
                Err(error) => {
                    if scanner.recover(start) {
                        self.dead(place, Fault::json(error), self.kind.word());
                    } else {
                        return self.unsplit(place, Fault::json(error));
                    }
                }
            }
        }
        if row == 1 {
            return self.unsplit(place, Fault::new("empty", "an empty array"));
        }
        if !scanner.finished() {
            let place = Place { row: row - 1, ..place };
            self.unsplit(place, Fault::new("json", "more than one document in one message"));
        }
    }

    fn accept(&mut self, mut row: Row<'_>, place: Place<'_>) {
        if row.fault.is_none() && self.envelope && !row.kind {
            let field: Arc<str> = "kind".into();
            row.fault = Some(Fault::new("kind", "the record does not say its kind").at(&field));
        }
        if let Some(fault) = row.fault.take() {
            self.dead(place, fault, self.kind.word());
            return self.decoder.recycle(row.cells);
        }
        match &mut self.mapping {
            None => match self.validator.row(&mut row.cells, Declared::default(), place.wall) {
                Ok(merge) => {
                    self.rows.append(&row.cells);
                    self.raws.append_value(&**place.raw);
                    self.offsets.push(place.offset);
                    self.merge_time.push(merge);
                }
                Err(fault) => self.dead(place, fault, self.kind.word()),
            },
            Some(mapping) => mapping.hold(&row, place),
        }
        self.decoder.recycle(row.cells);
    }

    fn map_if_full(&mut self) {
        if let Some(mapping) = &self.mapping
            && (mapping.waiting.len() >= BATCH_ROWS || mapping.kept.len() >= BATCH_BYTES)
        {
            self.map();
        }
    }

    /// Evaluates the feed's SQL over the waiting rows and judges the results.
    fn map(&mut self) {
        let Some(mut mapping) = self.mapping.take() else { return };
        self.hashed = None;
        if !mapping.waiting.is_empty() {
            let waiting = std::mem::take(&mut mapping.waiting);
            let kept = std::mem::take(&mut mapping.kept);
            let options = RecordBatchOptions::new().with_row_count(Some(waiting.len()));
            let mut arrays = mapping.rows.finish();
            if mapping.names_file {
                arrays.push(Arc::new(StringArray::from_iter_values(waiting.iter().map(|w| file_stem(&w.origin)))));
            }
            let batch = RecordBatch::try_new_with_options(mapping.schema.clone(), arrays, &options)
                .expect("the arrays were built by the schema's types");
            let only = mapping.only.as_ref().map(|only| evaluate(only, &DataType::Boolean, &batch));
            let types: Vec<_> = self.validator.specs().iter().map(|s| s.ty).collect();
            let outputs: Vec<Option<Results>> = mapping
                .outputs
                .iter()
                .zip(&types)
                .map(|(output, ty)| {
                    let output = output.as_ref()?;
                    let mut results = match output.joined {
                        true => evaluate(&output.expression, &DataType::Utf8, &batch),
                        false => evaluate(&output.expression, &ty.arrow(), &batch),
                    };
                    if output.joined {
                        results.array = split_lists(results.array.as_string());
                    }
                    Some(results)
                })
                .collect();
            let readers: Vec<Option<Reader<'_>>> = outputs
                .iter()
                .zip(&types)
                .map(|(results, ty)| results.as_ref().and_then(|r| Reader::new(*ty, r.array.as_ref())))
                .collect();
            let mut cells = Vec::with_capacity(types.len());
            for (i, held) in waiting.iter().enumerate() {
                let place = Place {
                    raw: &held.raw,
                    origin: &held.origin,
                    offset: held.offset,
                    row: held.row,
                    bytes: kept.get(held.bytes.0..held.bytes.1).unwrap_or_default(),
                    wall: held.wall,
                };
                let mapping_fault = || Fault::new("mapping", "the mapping's expression fails for this row");
                if let Some(only) = &only {
                    if only.failed.contains(&i) {
                        self.dead(place, mapping_fault(), self.kind.word());
                        continue;
                    }
                    let kept = only.array.as_boolean_opt().is_some_and(|b| b.is_valid(i) && b.value(i));
                    if !kept {
                        self.filtered += 1;
                        continue;
                    }
                }
                let failed = outputs.iter().position(|r| r.as_ref().is_some_and(|r| r.failed.contains(&i)));
                if let Some(column) = failed {
                    let field = self.validator.specs()[column].name.clone();
                    self.dead(place, mapping_fault().at(&field), self.kind.word());
                    continue;
                }
                cells.clear();
                cells.extend(readers.iter().map(|r| r.as_ref().map_or(Cell::Missing, |r| r.cell(i))));
                let declared = Declared { unit: mapping.unit.as_deref(), sentinel: held.sentinel };
                match self.validator.row(&mut cells, declared, held.wall) {
                    Ok(merge) => {
                        self.rows.append(&cells);
                        self.raws.append_value(&*held.raw);
                        self.offsets.push(held.offset);
                        self.merge_time.push(merge);
                    }
                    Err(fault) => self.dead(place, fault, self.kind.word()),
                }
            }
        }
        self.hashed = None;
        self.mapping = Some(mapping);
    }

    /// A dead letter for bytes that could not be split into records.
    fn unsplit(&mut self, place: Place<'_>, fault: Fault) {
        self.dead(place, fault, "unknown");
    }

    fn dead(&mut self, place: Place<'_>, fault: Fault, kind: &str) {
        let range = place.bytes.as_ptr_range();
        let sha256 = match &self.hashed {
            Some((known, hash)) if *known == (range.start as usize, range.end as usize) => hash.clone(),
            _ => {
                let hash: String = Sha256::digest(place.bytes).iter().map(|b| format!("{b:02x}")).collect();
                self.hashed = Some(((range.start as usize, range.end as usize), hash.clone()));
                hash
            }
        };
        self.dead_letters.push(DeadLetter {
            reason: fault.reason.to_owned(),
            field: fault.field.map(|f| f.to_string()),
            detail: fault.detail.to_owned(),
            kind: kind.to_owned(),
            source: self.source.to_string(),
            raw: place.raw.to_string(),
            origin: place.origin.to_owned(),
            offset: place.offset,
            row: place.row,
            length: place.bytes.len() as u64,
            sha256,
            at: place.wall,
        });
    }
}

/// What an expression gave.
struct Results {
    array: ArrayRef,
    /// Rows for which it failed.
    failed: Vec<usize>,
}

fn evaluate(expression: &Expression, ty: &DataType, batch: &RecordBatch) -> Results {
    let found = expression.evaluate(batch);
    let array = if found.array.data_type() == ty {
        found.array
    } else {
        arrow::compute::cast(&found.array, ty).unwrap_or_else(|_| arrow::array::new_null_array(ty, batch.num_rows()))
    };
    let mut failed = Vec::new();
    if found.failed > 0 {
        // The batch says how many rows failed, not which; they are among the null ones and are few.
        for row in (0..batch.num_rows()).filter(|row| array.is_null(*row)) {
            if expression.evaluate(&batch.slice(row, 1)).failed > 0 {
                failed.push(row);
            }
        }
    }
    Results { array, failed }
}

impl Mapping {
    fn new(source: &Source, columns: &[(Arc<str>, Type)]) -> Result<Mapping, MapError> {
        let mut fields: Vec<Field> = source.columns.iter().map(|c| Field::new(&c.name, c.ty.arrow(), true)).collect();
        let names_file = fields.iter().all(|f| f.name() != FILE);
        if names_file {
            fields.push(Field::new(FILE, DataType::Utf8, true));
        }
        let schema = Schema::new(fields);
        let compile = |field: &str, sql: &str, want| {
            Expression::compile(sql, &schema, want).map_err(|error| MapError::Expression {
                source_name: source.name.clone(),
                field: field.to_owned(),
                message: error.message,
            })
        };
        for name in source.record.keys() {
            if columns.iter().all(|(n, _)| **n != **name) {
                let (source_name, kind) = (source.name.clone(), source.kind);
                return Err(MapError::Column { source_name, kind, column: name.clone() });
            }
        }
        let mut outputs = Vec::with_capacity(columns.len());
        let mut value_inputs = Vec::new();
        for (name, ty) in columns {
            let sql = match (source.record.get(&**name), source.attrs.get(&**name)) {
                (Some(sql), _) => Some(sql.0.clone()),
                (None, Some(attr)) => Some(attr.value.as_ref().map_or_else(|| format!("\"{name}\""), |v| v.0.clone())),
                (None, None) => None,
            };
            let output = match sql {
                None => None,
                Some(sql) => Some(match (compile(name, &sql, Want::Column(*ty)), ty) {
                    (Ok(expression), _) => Output { expression, joined: false },
                    // A list may also be written as one text: 'food;fire'.
                    (Err(error), Type::TextList) => match compile(name, &sql, Want::Text) {
                        Ok(expression) => Output { expression, joined: true },
                        Err(_) => return Err(error),
                    },
                    (Err(error), _) => return Err(error),
                }),
            };
            if source.kind == Kind::Iot && &**name == "value" {
                let reads = output.as_ref().map_or(&[][..], |o| o.expression.reads());
                value_inputs = source
                    .columns
                    .iter()
                    .enumerate()
                    .filter(|(_, c)| reads.contains(&c.name))
                    .map(|(i, _)| i)
                    .collect();
            }
            outputs.push(output);
        }
        let unit = match source.record.contains_key("unit") {
            true => None,
            false => value_inputs.iter().find_map(|i| source.columns[*i].unit.clone()),
        };
        let only = source.only.as_ref().map(|sql| compile("only", &sql.0, Want::Bool)).transpose()?;
        Ok(Mapping {
            only,
            outputs,
            names_file,
            value_inputs,
            unit,
            rows: Columns::new(source.columns.iter().map(|c| c.ty)),
            waiting: Vec::new(),
            kept: Vec::new(),
            schema: Arc::new(schema),
        })
    }

    fn hold(&mut self, row: &Row<'_>, place: Place<'_>) {
        self.rows.append(&row.cells);
        // Elements of one message share its bytes.
        let bytes = match self.waiting.last() {
            Some(last) if place.row > 0 && *last.raw == **place.raw && last.offset == place.offset => last.bytes,
            _ => {
                let from = self.kept.len();
                self.kept.extend_from_slice(place.bytes);
                (from, self.kept.len())
            }
        };
        let origin = match self.waiting.last() {
            Some(last) if *last.origin == *place.origin => last.origin.clone(),
            _ => place.origin.into(),
        };
        self.waiting.push(Waiting {
            raw: place.raw.clone(),
            origin,
            offset: place.offset,
            row: place.row,
            wall: place.wall,
            sentinel: row.sentinels.iter().any(|s| self.value_inputs.contains(s)),
            bytes,
        });
    }
}

/// Bytes as text in a charset, strictly: one wrong byte and there is no text.
pub(super) fn decode_text(bytes: &[u8], charset: Charset) -> Option<Cow<'_, str>> {
    match charset {
        Charset::Utf8 => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
        Charset::Gbk => encoding_rs::GBK.decode_without_bom_handling_and_without_replacement(bytes),
    }
}

/// Texts with semicolons as lists.
fn split_lists(texts: &StringArray) -> ArrayRef {
    let mut lists = ListBuilder::new(StringBuilder::new());
    for text in texts {
        if let Some(text) = text {
            for item in text.split([';', '\u{ff1b}']).map(str::trim).filter(|item| !item.is_empty()) {
                lists.values().append_value(item);
            }
        }
        lists.append(text.is_some());
    }
    Arc::new(lists.finish())
}

fn newline(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|b| *b == b'\n')
}

/// The kind that a message of our own envelope says it has, without reading the rest as a record. `None` when it is no
/// JSON object, has no `kind` at the top, or a kind that does not come from outside.
#[must_use]
pub fn kind_of(payload: &[u8]) -> Option<Kind> {
    let text = std::str::from_utf8(payload).ok()?;
    let mut scanner = Scanner::new(text.strip_prefix('\u{feff}').unwrap_or(text));
    if scanner.value().ok()? != Value::Object {
        return None;
    }
    let mut first = true;
    while let Some(name) = scanner.name(&mut first).ok()? {
        let value = scanner.value().ok()?;
        if name == "kind" {
            return match value {
                Value::Text(word) => Kind::from_word(&word),
                _ => None,
            };
        }
        scanner.skip_rest(&value, 1).ok()?;
    }
    None
}
