//! Decodes one record at a time into cells, driven by a list of columns.
//!
//! In: JSON text or the fields of a CSV row. Out: one cell a column, in the columns' types, or the first fault of the
//! record. Promise: a fault in a value never hides the end of its record, so the next record is read; names that no
//! column lists are stepped over without building anything, and counted; a name twice in one object is refused.
//! Not here: what the values must satisfy (`validate`), Arrow (`columns`).

use super::columns::Cell;
use super::json::{Compact, DEPTH, JsonError, Scanner, Value};
use super::mask::{Mask, mask_text};
use super::{MapError, text};
use crate::pack::SourceColumn;
use crate::record::time::{self, TimeError};
use crate::record::{Millis, Personal, Type};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is wrong with a record: a reason code, the column, and words that hold no value of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fault {
    pub(super) reason: &'static str,
    pub(super) field: Option<Arc<str>>,
    pub(super) detail: &'static str,
}

impl Fault {
    pub(super) fn new(reason: &'static str, detail: &'static str) -> Fault {
        Fault { reason, field: None, detail }
    }

    pub(super) fn at(self, field: &Arc<str>) -> Fault {
        Fault { field: Some(field.clone()), ..self }
    }

    pub(super) fn json(error: JsonError) -> Fault {
        match error {
            JsonError::Syntax(detail) => Fault::new("json", detail),
            JsonError::Depth => Fault::new("depth", "nested deeper than 32 levels"),
            JsonError::Duplicate => Fault::new("duplicate_key", "a name stands twice in one object"),
        }
    }
}

/// How the text of a time is read.
#[derive(Clone, Debug, PartialEq)]
enum Form {
    Rfc3339,
    EpochSeconds,
    EpochMillis,
    Strftime(String),
}

/// One column to read.
#[derive(Clone, Debug)]
pub(super) struct Input {
    pub(super) name: Arc<str>,
    pub(super) path: String,
    pub(super) ty: Type,
    forms: Vec<Form>,
    zone: Option<Millis>,
    personal: Personal,
    sentinels: Vec<f64>,
    quoted: bool,
    pub(super) required: bool,
    /// Texts are trimmed here, and an empty one is null; columns of our own envelope are cleaned by their check.
    clean: bool,
    /// Members that a nested object may have; empty for all.
    members: &'static [&'static str],
}

/// What may stand in the nested lists of our own envelope (handbook, section 4). A list of staff is where names and
/// telephone numbers would slip through.
fn members(name: &str) -> &'static [&'static str] {
    match name {
        "staff" => &["person_hash", "qual_type", "cert_valid_to", "post"],
        "problems" => &["code", "grade", "due_at", "rectified_at"],
        "links" => &["type", "other_id"],
        _ => &[],
    }
}

impl Input {
    /// A column of our own envelope.
    pub(super) fn own(name: &str, path: &str, ty: Type) -> Input {
        Input {
            name: name.into(),
            path: path.to_owned(),
            ty,
            forms: vec![Form::Rfc3339],
            zone: None,
            personal: Personal::None,
            sentinels: Vec::new(),
            quoted: false,
            required: false,
            clean: false,
            members: if path.starts_with("attrs.") { &[] } else { members(name) },
        }
    }

    /// A column of a feed.
    pub(super) fn of(column: &SourceColumn) -> Result<Input, MapError> {
        let zone = match &column.zone {
            Some(zone) => Some(
                time::parse_zone(zone)
                    .ok_or_else(|| MapError::Zone { column: column.name.clone(), zone: zone.clone() })?,
            ),
            None => None,
        };
        let mut forms: Vec<Form> = column
            .format
            .iter()
            .map(|f| match f.as_str() {
                "rfc3339" => Form::Rfc3339,
                "epoch_seconds" => Form::EpochSeconds,
                "epoch_millis" => Form::EpochMillis,
                other => Form::Strftime(other.to_owned()),
            })
            .collect();
        if forms.is_empty() {
            forms.push(Form::Rfc3339);
        }
        Ok(Input {
            name: column.name.as_str().into(),
            path: column.path.clone().unwrap_or_else(|| column.name.clone()),
            ty: column.ty,
            forms,
            zone,
            personal: column.personal,
            sentinels: column.sentinels.clone(),
            quoted: column.quoted,
            required: column.required,
            clean: true,
            members: &[],
        })
    }
}

/// A record as cells.
#[derive(Debug)]
pub(super) struct Row<'a> {
    pub(super) cells: Vec<Cell<'a>>,
    /// The first fault in the order of the message.
    pub(super) fault: Option<Fault>,
    /// Column whose value was a sentinel.
    pub(super) sentinels: Vec<usize>,
    /// The `kind` member was there and said the right word.
    pub(super) kind: bool,
}

impl Row<'_> {
    fn blame(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Target {
    Column(usize),
    Node(usize),
    Unlisted(usize),
    Kind,
}

/// One object level of the paths.
#[derive(Debug, Default)]
struct Node {
    /// `limits.` for the members of `limits`; empty at the top.
    prefix: String,
    fields: BTreeMap<String, Target>,
    /// What stood at each place of the last object, in quotes: feeds keep the order of their members, so the next one
    /// hits here.
    memo: Vec<(Box<str>, Target)>,
    /// The record in which it was last seen.
    seen: u64,
}

/// Distinct unlisted names that are kept; a feed that makes up names must not eat the memory.
const NAMES_MAX: usize = 1_000;
/// Longest order of members that is remembered.
const MEMO_MAX: usize = 256;

#[derive(Debug)]
struct Unlisted {
    name: String,
    count: u64,
    seen: u64,
}

/// Reads records of one source.
#[derive(Debug)]
pub(super) struct Decoder {
    inputs: Vec<Input>,
    /// The next column with the same path.
    twin: Vec<Option<usize>>,
    nodes: Vec<Node>,
    unlisted: Vec<Unlisted>,
    unlisted_at: BTreeMap<String, usize>,
    unlisted_more: u64,
    record: u64,
    kind: Option<&'static str>,
    mask: Mask,
    /// Texts whose width or invisible characters were put right.
    pub(super) cleaned: u64,
    csv: Vec<Target>,
    /// Whether any column must be there.
    requires: bool,
    /// The cells of the last row, empty: the next row is written into the same memory.
    spare: Vec<Cell<'static>>,
}

type Wrong = (&'static str, &'static str);

impl Decoder {
    /// `kind`: the word that the member `kind` must say, for our own envelope.
    pub(super) fn new(inputs: Vec<Input>, kind: Option<&'static str>, mask: Mask) -> Result<Decoder, MapError> {
        let mut nodes = vec![Node::default()];
        let mut twin = vec![None; inputs.len()];
        if kind.is_some() {
            nodes[0].fields.insert("kind".to_owned(), Target::Kind);
        }
        for (i, input) in inputs.iter().enumerate() {
            let clash = || MapError::Path { column: input.name.to_string(), path: input.path.clone() };
            let mut node = 0;
            let mut rest = input.path.as_str();
            while let Some((head, tail)) = rest.split_once('.') {
                node = match nodes[node].fields.get(head) {
                    Some(Target::Node(inner)) => *inner,
                    Some(_) => return Err(clash()),
                    None => {
                        let prefix = format!("{}{head}.", nodes[node].prefix);
                        let inner = nodes.len();
                        nodes.push(Node { prefix, ..Node::default() });
                        nodes[node].fields.insert(head.to_owned(), Target::Node(inner));
                        inner
                    }
                };
                rest = tail;
            }
            match nodes[node].fields.get(rest) {
                None => {
                    nodes[node].fields.insert(rest.to_owned(), Target::Column(i));
                }
                Some(Target::Column(first)) => {
                    let mut last = *first;
                    while let Some(next) = twin[last] {
                        last = next;
                    }
                    twin[last] = Some(i);
                }
                Some(_) => return Err(clash()),
            }
        }
        Ok(Decoder {
            requires: inputs.iter().any(|i| i.required),
            spare: Vec::new(),
            inputs,
            twin,
            nodes,
            unlisted: Vec::new(),
            unlisted_at: BTreeMap::new(),
            unlisted_more: 0,
            record: 0,
            kind,
            mask,
            cleaned: 0,
            csv: Vec::new(),
        })
    }

    /// Names that no column lists, with their number since the last call.
    pub(super) fn take_unlisted(&mut self) -> BTreeMap<String, u64> {
        let mut all = BTreeMap::new();
        for name in &mut self.unlisted {
            if name.count > 0 {
                *all.entry(name.name.clone()).or_default() += std::mem::take(&mut name.count);
            }
        }
        if self.unlisted_more > 0 {
            *all.entry("…".to_owned()).or_default() += std::mem::take(&mut self.unlisted_more);
        }
        all
    }

    /// Reads the next name of an object; `None` at its closing brace.
    fn target(
        &mut self,
        scanner: &mut Scanner<'_>,
        first: &mut bool,
        node: usize,
        ordinal: usize,
    ) -> Result<Option<Target>, JsonError> {
        if let Some((known, target)) = self.nodes[node].memo.get(ordinal)
            && scanner.named(first, known.as_bytes())
        {
            return Ok(Some(*target));
        }
        let Some(name) = scanner.name(first)? else { return Ok(None) };
        let target = match self.nodes[node].fields.get(&*name) {
            Some(target) => *target,
            None => self.unlisted_target(node, &name),
        };
        let memo = &mut self.nodes[node].memo;
        // A name with escapes is written in many ways.
        if let Cow::Borrowed(name) = name
            && name.len() <= 64
        {
            match ordinal {
                _ if ordinal < memo.len() => memo[ordinal] = (format!("\"{name}\"").into(), target),
                _ if ordinal == memo.len() && ordinal < MEMO_MAX => {
                    memo.push((format!("\"{name}\"").into(), target));
                }
                _ => {}
            }
        }
        Ok(Some(target))
    }

    fn unlisted_target(&mut self, node: usize, name: &str) -> Target {
        self.unlisted_name(self.nodes[node].prefix.clone(), name)
    }

    fn unlisted_name(&mut self, prefix: String, name: &str) -> Target {
        let short: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
        let full = format!("{prefix}{}", mask_text(&short).unwrap_or(short));
        if let Some(at) = self.unlisted_at.get(&full) {
            return Target::Unlisted(*at);
        }
        if self.unlisted.len() >= NAMES_MAX {
            return Target::Unlisted(usize::MAX);
        }
        self.unlisted_at.insert(full.clone(), self.unlisted.len());
        self.unlisted.push(Unlisted { name: full, count: 0, seen: 0 });
        Target::Unlisted(self.unlisted.len() - 1)
    }

    /// Counts an unlisted name; false when this record had it before.
    fn count_unlisted(&mut self, at: usize) -> bool {
        match self.unlisted.get_mut(at) {
            Some(name) => {
                let again = name.seen == self.record;
                name.seen = self.record;
                name.count += u64::from(!again);
                !again
            }
            None => {
                self.unlisted_more += 1;
                true
            }
        }
    }

    /// Reads a record whose opening brace has been read.
    ///
    /// # Errors
    /// Only when the end of the record cannot be found; every other fault stands in the row.
    pub(super) fn record<'a>(&mut self, scanner: &mut Scanner<'a>, depth: usize) -> Result<Row<'a>, JsonError> {
        self.record += 1;
        let mut row = self.empty();
        self.object(scanner, 0, depth, &mut row)?;
        self.required(&mut row);
        Ok(row)
    }

    fn empty<'a>(&mut self) -> Row<'a> {
        let mut cells = rest_of(std::mem::take(&mut self.spare));
        cells.resize_with(self.inputs.len(), Cell::default);
        Row { cells, fault: None, sentinels: Vec::new(), kind: false }
    }

    /// Takes back the cells of a row that has been written.
    pub(super) fn recycle(&mut self, cells: Vec<Cell<'_>>) {
        self.spare = rest_of(cells);
    }

    fn required(&self, row: &mut Row<'_>) {
        if !self.requires {
            return;
        }
        let missing = self.inputs.iter().zip(&row.cells).enumerate();
        let missing =
            missing.filter(|(i, (input, cell))| input.required && cell.is_empty() && !row.sentinels.contains(i));
        if let Some((_, (input, _))) = missing.into_iter().next()
            && row.fault.is_none()
        {
            row.fault = Some(Fault::new("missing", "a required column is missing or null").at(&input.name));
        }
    }

    fn object<'a>(
        &mut self,
        scanner: &mut Scanner<'a>,
        node: usize,
        depth: usize,
        row: &mut Row<'a>,
    ) -> Result<(), JsonError> {
        let duplicate = || Fault::json(JsonError::Duplicate);
        let mut first = true;
        let mut ordinal = 0;
        while let Some(target) = self.target(scanner, &mut first, node, ordinal)? {
            ordinal += 1;
            match target {
                Target::Column(column) => {
                    if row.cells[column] != Cell::Missing {
                        row.blame(duplicate().at(&self.inputs[column].name));
                    }
                    let start = scanner.at();
                    self.member(scanner, column, depth, row)?;
                    let mut next = self.twin[column];
                    while let Some(column) = next {
                        scanner.go_to(start);
                        self.member(scanner, column, depth, row)?;
                        next = self.twin[column];
                    }
                }
                Target::Node(inner) => {
                    if std::mem::replace(&mut self.nodes[inner].seen, self.record) == self.record {
                        row.blame(duplicate());
                    }
                    match scanner.value()? {
                        Value::Object if depth + 1 >= DEPTH => return Err(JsonError::Depth),
                        Value::Object => self.object(scanner, inner, depth + 1, row)?,
                        Value::Null => {}
                        other => {
                            let field: Arc<str> = self.nodes[inner].prefix.trim_end_matches('.').into();
                            row.blame(Fault::new("type", "an object is expected").at(&field));
                            scanner.skip_rest(&other, depth + 1)?;
                        }
                    }
                }
                Target::Unlisted(at) => {
                    if !self.count_unlisted(at) {
                        row.blame(duplicate());
                    }
                    let value = scanner.value()?;
                    scanner.skip_rest(&value, depth + 1)?;
                }
                Target::Kind => {
                    if row.kind {
                        row.blame(duplicate());
                    }
                    let value = scanner.value()?;
                    match &value {
                        Value::Text(word) if Some(word.as_ref()) == self.kind => row.kind = true,
                        _ => {
                            let field: Arc<str> = "kind".into();
                            row.blame(Fault::new("kind", "the kind is not the one of this source").at(&field));
                        }
                    }
                    scanner.skip_rest(&value, depth + 1)?;
                }
            }
        }
        Ok(())
    }

    fn member<'a>(
        &mut self,
        scanner: &mut Scanner<'a>,
        column: usize,
        depth: usize,
        row: &mut Row<'a>,
    ) -> Result<(), JsonError> {
        let value = scanner.value()?;
        let input = &self.inputs[column];
        let ty = input.ty;
        let found = match value {
            Value::Null => Ok(Cell::Null),
            Value::Object | Value::Array => match (ty, &value) {
                (Type::Json, _) => {
                    let members = input.members;
                    let name = input.name.clone();
                    let mut how = Compact { text: mask_text, members, out: String::new(), dropped: Vec::new() };
                    scanner.compact(&value, depth + 1, &mut how)?;
                    for member in how.dropped {
                        let target = self.unlisted_name(format!("{name}."), &member);
                        if let Target::Unlisted(at) = target {
                            self.count_unlisted(at);
                        }
                    }
                    Ok(Cell::Text(Cow::Owned(how.out)))
                }
                (Type::TextList, Value::Array) => {
                    let mut items: Vec<Cow<'a, str>> = Vec::new();
                    let mut wrong = None;
                    let mut first = true;
                    while scanner.element(&mut first)? {
                        match scanner.value()? {
                            Value::Text(item) => match text::prose(item) {
                                Some((item, changed)) => {
                                    self.cleaned += u64::from(changed);
                                    items.push(mask_text(&item).map_or(item, Cow::Owned));
                                }
                                None => wrong = Some(("text", "a control character inside a text")),
                            },
                            other => {
                                wrong = Some(("type", "a list of texts is expected"));
                                scanner.skip_rest(&other, depth + 2)?;
                            }
                        }
                    }
                    wrong.map_or(Ok(Cell::List(items)), Err)
                }
                // What is not expected here is stepped over, so that the record's end is found.
                _ => {
                    scanner.skip_rest(&value, depth + 1)?;
                    Err(match ty {
                        Type::TextList => ("type", "a list of texts is expected"),
                        _ => ("type", "a single value is expected"),
                    })
                }
            },
            _ => match ty {
                Type::Json => Err(("type", "an object or array is expected")),
                Type::TextList => Err(("type", "a list of texts is expected")),
                _ => scalar(input, value, input.quoted, &self.mask, &mut self.cleaned),
            },
        };
        self.put(column, found, row);
        Ok(())
    }

    fn put<'a>(&self, column: usize, found: Result<Cell<'a>, Wrong>, row: &mut Row<'a>) {
        let input = &self.inputs[column];
        match found {
            Ok(cell) => {
                let number = match cell {
                    Cell::Float(f) => Some(f),
                    Cell::Int(i) => Some(i as f64),
                    _ => None,
                };
                if number.is_some_and(|n| input.sentinels.contains(&n)) {
                    row.sentinels.push(column);
                    row.cells[column] = Cell::Null;
                } else {
                    row.cells[column] = cell;
                }
            }
            Err((reason, detail)) => {
                row.cells[column] = Cell::Null;
                row.blame(Fault::new(reason, detail).at(&input.name));
            }
        }
    }

    /// Learns the header of a CSV file.
    ///
    /// # Errors
    /// A name twice, or a required column that is not there.
    pub(super) fn csv_header(&mut self, names: &[Cow<'_, str>]) -> Result<(), Fault> {
        let mut targets = Vec::with_capacity(names.len());
        for name in names {
            let name = text::code(Cow::Borrowed(name)).map_or_else(String::new, |(n, _)| n.into_owned());
            let column = self
                .inputs
                .iter()
                .position(|i| i.path == name)
                .or_else(|| self.inputs.iter().position(|i| *i.name == *name && self.kind.is_some()));
            let target = match column {
                Some(column) => Target::Column(column),
                None if self.kind.is_some() && name == "kind" => Target::Kind,
                None => self.unlisted_target(0, &name),
            };
            if matches!(target, Target::Column(_) | Target::Kind) && targets.contains(&target) {
                return Err(Fault::new("csv", "a column stands twice in the header"));
            }
            targets.push(target);
        }
        self.csv = targets;
        Ok(())
    }

    /// Reads the fields of a CSV row.
    ///
    /// # Errors
    /// Another number of fields than the header has.
    pub(super) fn csv_row<'a>(&mut self, fields: Vec<Cow<'a, str>>) -> Result<Row<'a>, Fault> {
        self.record += 1;
        if fields.len() != self.csv.len() {
            return Err(Fault::new("csv", "another number of fields than the header has"));
        }
        let mut row = self.empty();
        // A file of one source needs no kind column.
        row.kind = !self.csv.contains(&Target::Kind);
        for (i, field) in fields.into_iter().enumerate() {
            match self.csv[i] {
                Target::Column(column) => {
                    let mut next = self.twin[column];
                    while let Some(twin) = next {
                        let found = csv_field(&self.inputs[twin], field.clone(), &self.mask, &mut self.cleaned);
                        self.put(twin, found, &mut row);
                        next = self.twin[twin];
                    }
                    let found = csv_field(&self.inputs[column], field, &self.mask, &mut self.cleaned);
                    self.put(column, found, &mut row);
                }
                Target::Kind if Some(field.trim()) == self.kind => row.kind = true,
                Target::Kind => {
                    let name: Arc<str> = "kind".into();
                    row.blame(Fault::new("kind", "the kind is not the one of this source").at(&name));
                }
                Target::Unlisted(at) if !field.is_empty() => {
                    self.count_unlisted(at);
                }
                Target::Unlisted(_) | Target::Node(_) => {}
            }
        }
        self.required(&mut row);
        Ok(row)
    }
}

/// The memory of cells for cells of another text. Collecting in place keeps it.
fn rest_of<'b>(mut cells: Vec<Cell<'_>>) -> Vec<Cell<'b>> {
    cells.clear();
    cells.into_iter().map(|_| Cell::Missing).collect()
}

fn csv_field<'a>(input: &Input, field: Cow<'a, str>, mask: &Mask, cleaned: &mut u64) -> Result<Cell<'a>, Wrong> {
    let trimmed = field.trim();
    if trimmed.is_empty() {
        return Ok(Cell::Null);
    }
    match input.ty {
        Type::TextList => {
            // Semicolons, because a comma is the usual delimiter of the file itself.
            let items = trimmed.split([';', '\u{ff1b}']).map(str::trim).filter(|item| !item.is_empty());
            Ok(Cell::List(items.map(|item| Cow::Owned(mask_text(item).unwrap_or_else(|| item.to_owned()))).collect()))
        }
        Type::Json => {
            let mut scanner = Scanner::new(trimmed);
            let mut how = Compact { text: mask_text, members: input.members, out: String::new(), dropped: Vec::new() };
            let wrong = |_| ("json", "the field holds no JSON");
            let value = scanner.value().map_err(wrong)?;
            scanner.compact(&value, 1, &mut how).map_err(wrong)?;
            if !scanner.finished() || !how.out.starts_with(['{', '[']) {
                return Err(("type", "an object or array is expected"));
            }
            Ok(Cell::Text(Cow::Owned(how.out)))
        }
        Type::Bool => match trimmed {
            "true" | "TRUE" | "1" | "是" | "Y" => Ok(Cell::Bool(true)),
            "false" | "FALSE" | "0" | "否" | "N" => Ok(Cell::Bool(false)),
            _ => Err(("type", "true or false is expected")),
        },
        Type::Text if input.personal == Personal::None && scientific(trimmed) => {
            Err(("id", "a spreadsheet has turned the digits of a code into a power of ten"))
        }
        _ => scalar(input, Value::Text(field), true, mask, cleaned),
    }
}

/// `1.23E+17`: what a spreadsheet makes of a long code.
fn scientific(text: &str) -> bool {
    let Some((digits, power)) = text.split_once("E+") else { return false };
    digits.contains('.')
        && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        && !power.is_empty()
        && power.bytes().all(|b| b.is_ascii_digit())
}

/// A text, number or boolean as a cell of the column's type.
fn scalar<'a>(
    input: &Input,
    value: Value<'a>,
    quoted: bool,
    mask: &Mask,
    cleaned: &mut u64,
) -> Result<Cell<'a>, Wrong> {
    if input.personal != Personal::None {
        return personal(input, value, mask);
    }
    match (input.ty, value) {
        (Type::Text, Value::Text(found)) if input.clean => {
            let (found, changed) = text::prose(found).ok_or(("text", "a control character inside a text"))?;
            *cleaned += u64::from(changed);
            Ok(if found.is_empty() { Cell::Null } else { Cell::Text(found) })
        }
        (Type::Text, Value::Text(found)) => Ok(Cell::Text(found)),
        (Type::Text, _) => Err(("type", "a text is expected; a number would have lost its leading zeros")),
        (Type::Bool, Value::Bool(b)) => Ok(Cell::Bool(b)),
        (Type::Bool, _) => Err(("type", "true or false is expected")),
        (Type::Int, Value::Number(n)) => int(n),
        (Type::Float, Value::Number(n)) => float(n),
        (Type::Decimal, Value::Number(n)) => decimal(n),
        (Type::Int | Type::Float | Type::Decimal, Value::Text(found)) if quoted || input.ty == Type::Decimal => {
            let (found, changed) = text::code(found).ok_or(("type", "a number is expected"))?;
            *cleaned += u64::from(changed);
            if found.is_empty() {
                return Ok(Cell::Null);
            }
            let mut scanner = Scanner::new(&found);
            match scanner.value() {
                Ok(Value::Number(n)) if scanner.finished() => match input.ty {
                    Type::Int => int(n),
                    Type::Float => float(n),
                    _ => decimal(n),
                },
                _ => Err(("type", "a number is expected")),
            }
        }
        (Type::Int | Type::Float | Type::Decimal, Value::Text(_)) => {
            Err(("type", "a number in quotes, and the source does not declare it"))
        }
        (Type::Int | Type::Float | Type::Decimal, _) => Err(("type", "a number is expected")),
        (Type::Time, Value::Text(found)) => instant(input, &found, false).map(Cell::Time),
        (Type::Time, Value::Number(n)) => instant(input, n, true).map(Cell::Time),
        (Type::Date, Value::Text(found)) => day(input, &found, false),
        (Type::Date, Value::Number(n)) => day(input, n, true),
        (Type::Time | Type::Date, _) => Err(("time", "a time is expected")),
        (Type::TextList | Type::Json, _) => Err(("type", "a list or object is expected")),
    }
}

fn personal<'a>(input: &Input, value: Value<'a>, mask: &Mask) -> Result<Cell<'a>, Wrong> {
    let found = match value {
        Value::Text(found) => found,
        // A number is hashed like its digits: nothing is lost, because nobody reads it again.
        Value::Number(n) => Cow::Borrowed(n),
        _ => return Err(("type", "a text is expected")),
    };
    if found.trim().is_empty() {
        return Ok(Cell::Null);
    }
    if input.personal == Personal::Text {
        let (found, _) = text::prose(found).ok_or(("text", "a control character inside a text"))?;
        return Ok(Cell::Text(mask_text(&found).map_or(found, Cow::Owned)));
    }
    Ok(Cell::Text(Cow::Owned(mask.hash(&found, input.personal))))
}

fn int<'a>(text: &str) -> Result<Cell<'a>, Wrong> {
    if let Ok(i) = text.parse::<i64>() {
        return Ok(Cell::Int(i));
    }
    if !text.contains(['.', 'e', 'E']) {
        return Err(("range", "beyond 64 bits"));
    }
    let f: f64 = text.parse().map_err(|_| ("type", "a whole number is expected"))?;
    // 2^53: above it a float no longer tells neighbours apart.
    if f.fract() != 0.0 {
        Err(("type", "a whole number is expected"))
    } else if f.abs() <= 9_007_199_254_740_992.0 {
        Ok(Cell::Int(f as i64))
    } else {
        Err(("range", "beyond 64 bits"))
    }
}

/// Powers of ten that a 64-bit float holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// Reads a JSON number. Up to 15 digits without an exponent are exact in one division (Clinger 1990); the rest goes the
/// long way.
fn float<'a>(text: &str) -> Result<Cell<'a>, Wrong> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut mantissa = 0u64;
    let mut n = 0usize;
    let mut behind = None;
    let mut plain = digits.len() <= 16;
    for b in digits.bytes() {
        match b {
            b'0'..=b'9' => {
                mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(b - b'0'));
                n += 1;
            }
            b'.' => behind = Some(n),
            _ => plain = false,
        }
    }
    let value = if plain && n <= 15 {
        let scale = n - behind.unwrap_or(n);
        let value = mantissa as f64 / POWERS[scale];
        if negative { -value } else { value }
    } else {
        text.parse().map_err(|_| ("type", "a number is expected"))?
    };
    if !value.is_finite() {
        return Err(("number", "too large for a 64-bit float"));
    }
    // Adding zero turns -0.0 into 0.0: the two print and group differently but mean the same.
    Ok(Cell::Float(value + 0.0))
}

/// Money: exact, at most 18 digits of which 2 are behind the point.
fn decimal<'a>(text: &str) -> Result<Cell<'a>, Wrong> {
    let (body, exponent) = match text.split_once(['e', 'E']) {
        Some((body, exponent)) => (body, exponent.parse::<i32>().map_err(|_| ("range", "beyond 18 digits"))?),
        None => (text, 0),
    };
    let (negative, body) = match body.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, body),
    };
    let (whole, fraction) = body.split_once('.').unwrap_or((body, ""));
    let fraction = fraction.trim_end_matches('0');
    let mut value = 0i128;
    for b in whole.bytes().chain(fraction.bytes()) {
        if !b.is_ascii_digit() {
            return Err(("type", "a number is expected"));
        }
        value = value * 10 + i128::from(b - b'0');
        if value >= 10i128.pow(30) {
            return Err(("range", "beyond 18 digits"));
        }
    }
    let mut places = i32::try_from(fraction.len()).unwrap_or(i32::MAX).saturating_sub(exponent);
    while places < 2 && value != 0 {
        value = value.checked_mul(10).filter(|v| *v < 10i128.pow(30)).ok_or(("range", "beyond 18 digits"))?;
        places += 1;
    }
    while places > 2 && value != 0 {
        if value % 10 != 0 {
            return Err(("decimal", "more than 2 digits behind the point"));
        }
        value /= 10;
        places -= 1;
    }
    if value >= 10i128.pow(18) {
        return Err(("range", "beyond 18 digits"));
    }
    Ok(Cell::Decimal(if negative { -value } else { value }))
}

/// An instant by the column's forms; `number` when it stood without quotes.
fn instant(input: &Input, text: &str, number: bool) -> Result<Millis, Wrong> {
    let text = text.trim();
    let mut worst = ("time", "a form that the source does not declare");
    for form in &input.forms {
        let found = match form {
            Form::EpochSeconds => epoch(text, 1_000),
            Form::EpochMillis => epoch(text, 1),
            _ if number => continue,
            Form::Rfc3339 => time::parse_rfc3339(text, input.zone),
            Form::Strftime(format) => strftime(format, text, input.zone.unwrap_or(time::ZONE)),
        };
        match found {
            Ok(at) => return Ok(at),
            Err(TimeError::Form) => {}
            Err(TimeError::Calendar) => worst = ("time", "no such day or time of day"),
            Err(TimeError::Zone) => worst = ("time", "no offset, and the source declares no zone"),
        }
    }
    Err(worst)
}

fn day<'a>(input: &Input, text: &str, number: bool) -> Result<Cell<'a>, Wrong> {
    let text = text.trim();
    if !number && input.forms.contains(&Form::Rfc3339) {
        match time::parse_date(text) {
            Ok(day) => return i32::try_from(day).map(Cell::Date).map_err(|_| ("time", "no such day")),
            Err(TimeError::Calendar) => return Err(("time", "no such day or time of day")),
            Err(_) => {}
        }
    }
    let at = instant(input, text, number)?;
    i32::try_from(time::local_day(at)).map(Cell::Date).map_err(|_| ("time", "no such day"))
}

fn epoch(text: &str, unit: Millis) -> Result<Millis, TimeError> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole: Millis = whole.parse().map_err(|_| TimeError::Form)?;
    let mut ms = 0;
    if unit == 1_000 {
        for i in 0..3 {
            let b = fraction.as_bytes().get(i).copied().unwrap_or(b'0');
            ms = ms * 10 + i64::from(b.checked_sub(b'0').filter(|d| *d < 10).ok_or(TimeError::Form)?);
        }
    } else if fraction.bytes().any(|b| b != b'0') {
        return Err(TimeError::Form);
    }
    whole.checked_mul(unit).and_then(|w| w.checked_add(ms)).ok_or(TimeError::Calendar)
}

fn strftime(format: &str, text: &str, zone: Millis) -> Result<Millis, TimeError> {
    let seconds = format.ends_with("%S") || format.contains("%T");
    // 60 would be clamped to 59 by the library.
    if seconds && text.ends_with("60") {
        return Err(TimeError::Calendar);
    }
    let midnight = ["24:00:00", "240000"].iter().find_map(|m| text.strip_suffix(m)).filter(|_| seconds);
    let next_day = midnight.map(|head| {
        let zeros = if text.ends_with("24:00:00") { "00:00:00" } else { "000000" };
        format!("{head}{zeros}")
    });
    let parsed = jiff::fmt::strtime::parse(format, next_day.as_deref().unwrap_or(text)).map_err(|error| {
        // The library tells apart what does not match from what does not exist only in words; digits that match the
        // form's length are taken as the latter.
        if error.to_string().contains("range") { TimeError::Calendar } else { TimeError::Form }
    })?;
    let date = parsed.to_date().map_err(|_| TimeError::Calendar)?;
    let clock = parsed.to_time().map_err(|_| TimeError::Calendar)?;
    let offset = parsed.offset().map_or(zone, |o| i64::from(o.seconds()) * 1000);
    let day = time::day_of(
        i64::from(date.year()),
        u32::from(date.month().unsigned_abs()),
        u32::from(date.day().unsigned_abs()),
    );
    let ms = (i64::from(clock.hour()) * 3600 + i64::from(clock.minute()) * 60 + i64::from(clock.second())) * 1000
        + i64::from(clock.millisecond());
    Ok(day * time::DAY + ms - offset + if next_day.is_some() { time::DAY } else { 0 })
}
