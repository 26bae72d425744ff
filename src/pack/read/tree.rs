//! Text to a tree with places.
//!
//! In: a text that `scan` has looked through. Out: values with the line and column of each key and value.
//! Unquoted words keep the type that JSON gives them: `12`, `-0.5`, `1e3` are numbers, `true` and `false` are that, and
//! everything else is text (`no`, `001`, `0x10`, `.5`, `~`): nothing is guessed. An empty value is refused.
//! Refused too: duplicate keys, anchors, aliases, tags, more than one document, keys that are no text.

use super::scan::Slip;
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span};
use serde_json::{Map, Number, Value};
use std::ops::Range;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    /// Characters of the text; for lists and maps the first character only is sure.
    pub(super) at: Range<usize>,
    /// The value.
    pub(super) data: Data,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Data {
    /// true, false
    Bool(bool),
    /// A number
    Number(Number),
    /// Text
    Text(String),
    /// A list
    List(Vec<Node>),
    /// A map, in the order of the file
    Map(Vec<Entry>),
}

/// One entry of a map.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    /// The key.
    pub(super) key: String,
    /// Characters of the key.
    pub(super) key_at: Range<usize>,
    /// The value.
    pub(super) node: Node,
}

impl Node {
    /// As JSON.
    pub(super) fn json(&self) -> Value {
        match &self.data {
            Data::Bool(b) => Value::Bool(*b),
            Data::Number(n) => Value::Number(n.clone()),
            Data::Text(t) => Value::String(t.clone()),
            Data::List(items) => Value::Array(items.iter().map(Node::json).collect()),
            Data::Map(entries) => {
                Value::Object(entries.iter().map(|e| (e.key.clone(), e.node.json())).collect::<Map<_, _>>())
            }
        }
    }

    /// The entry of a map.
    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.data {
            Data::Map(entries) => entries.iter().find(|e| e.key == key),
            _ => None,
        }
    }

    fn item(&self, number: &str) -> Option<&Node> {
        match &self.data {
            Data::List(items) => items.get(number.parse::<usize>().ok()?),
            _ => None,
        }
    }

    /// The value at a JSON pointer, or the nearest one above it that exists, with the key that leads to it.
    pub(super) fn find(&self, pointer: &str) -> (&Node, Option<&Range<usize>>) {
        let mut node = self;
        let mut key = None;
        for part in pointer.split('/').skip(1) {
            let part = part.replace("~1", "/").replace("~0", "~");
            if let Some(entry) = node.entry(&part) {
                key = Some(&entry.key_at);
                node = &entry.node;
            } else if let Some(item) = node.item(&part) {
                key = None;
                node = item;
            } else {
                break;
            }
        }
        (node, key)
    }
}

/// A list or map that is not closed yet.
struct Open {
    node: Node,
    /// In a map: the key whose value comes next.
    key: Option<(String, Range<usize>)>,
}

/// Depth of lists and maps; rules need 8.
const DEEPEST: usize = 64;

/// Reads a text.
///
/// # Errors
/// What the parser or the subset refuses. An empty file gives no tree and no slip.
pub(super) fn read(text: &str) -> Result<Option<Node>, Vec<Slip>> {
    let mut slips = Vec::new();
    let mut stack: Vec<Open> = Vec::new();
    let mut root: Option<Node> = None;
    let mut documents = 0;
    for event in Parser::new_from_str(text) {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) => {
                let at = error.marker().index();
                slips.push(slip(
                    "yaml-syntax",
                    at..at + 1,
                    &format!("this is no YAML: {}", error.info()),
                    "不是有效的 YAML",
                    None,
                ));
                return Err(slips);
            }
        };
        let at = range(&span);
        match event {
            Event::DocumentStart(_) => {
                documents += 1;
                if documents == 2 {
                    slips.push(slip("documents", at, "one document in a file", "一个文件只能有一个文档", None));
                }
            }
            Event::Alias(_) => {
                slips.push(slip("alias", at.clone(), "aliases (*) are not used here", "不使用别名(*)", None));
                put(&mut stack, &mut root, Node { at, data: Data::Text(String::new()) }, &mut slips);
            }
            Event::Scalar(value, style, anchor, tag) => {
                refuse(&mut slips, &at, anchor, tag.is_some());
                let waits = stack.last().is_none_or(|o| o.key.is_some() || matches!(o.node.data, Data::List(_)));
                let data = if waits { scalar(&value, style, &at, &mut slips) } else { Data::Text(value.into_owned()) };
                put(&mut stack, &mut root, Node { at, data }, &mut slips);
            }
            Event::SequenceStart(anchor, tag) => {
                refuse(&mut slips, &at, anchor, tag.is_some());
                stack.push(Open { node: Node { at, data: Data::List(Vec::new()) }, key: None });
            }
            Event::MappingStart(anchor, tag) => {
                refuse(&mut slips, &at, anchor, tag.is_some());
                stack.push(Open { node: Node { at, data: Data::Map(Vec::new()) }, key: None });
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = stack.pop() {
                    put(&mut stack, &mut root, open.node, &mut slips);
                }
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        if stack.len() > DEEPEST {
            slips.push(slip("too-deep", range(&span), "nested too deeply", "嵌套过深", None));
            return Err(slips);
        }
    }
    if slips.is_empty() { Ok(root) } else { Err(slips) }
}

fn slip(code: &'static str, at: Range<usize>, message: &str, message_zh: &str, hint: Option<&str>) -> Slip {
    Slip { code, at, message: message.into(), message_zh: message_zh.into(), hint: hint.map(Into::into), edit: None }
}

fn range(span: &Span) -> Range<usize> {
    let at = |m: &Marker| m.index();
    at(&span.start)..at(&span.end).max(at(&span.start))
}

fn refuse(slips: &mut Vec<Slip>, at: &Range<usize>, anchor: usize, tagged: bool) {
    if anchor != 0 {
        slips.push(slip("anchor", at.clone(), "anchors (&) are not used here", "不使用锚点(&)", None));
    }
    if tagged {
        slips.push(slip("tag", at.clone(), "tags (!) are not used here", "不使用标签(!)", None));
    }
}

/// Gives a value to the list or map that waits for it.
fn put(stack: &mut [Open], root: &mut Option<Node>, node: Node, slips: &mut Vec<Slip>) {
    let Some(open) = stack.last_mut() else {
        root.get_or_insert(node);
        return;
    };
    match (&mut open.node.data, open.key.take()) {
        (Data::List(items), _) => items.push(node),
        (Data::Map(entries), Some((key, key_at))) => {
            if entries.iter().any(|e| e.key == key) {
                slips.push(slip(
                    "duplicate-key",
                    key_at,
                    &format!("\"{key}\" stands here twice"),
                    &format!("“{key}”重复"),
                    Some("keep one of them / 只保留一个"),
                ));
            } else {
                entries.push(Entry { key, key_at, node });
            }
        }
        (Data::Map(_), None) => match node.data {
            Data::Text(key) => open.key = Some((key, node.at)),
            _ => {
                slips.push(slip("yaml-key", node.at.clone(), "a key must be plain text", "键必须是文字", None));
                open.key = Some((String::new(), node.at));
            }
        },
        (Data::Bool(_) | Data::Number(_) | Data::Text(_), _) => {}
    }
}

fn scalar(value: &str, style: ScalarStyle, at: &Range<usize>, slips: &mut Vec<Slip>) -> Data {
    if style != ScalarStyle::Plain {
        return Data::Text(value.to_owned());
    }
    // The parser gives `~` with an empty span for a value that is not there.
    if value == "null" && !at.is_empty() {
        let hint = "leave the field out, or give a value / 删去该字段,或填写内容";
        slips.push(slip("empty", at.clone(), "null is no value here", "不能写 null", Some(hint)));
        return Data::Text(String::new());
    }
    if at.is_empty() || value.is_empty() {
        slips.push(slip(
            "empty",
            at.start..at.start + 1,
            "there is no value here",
            "此处没有值",
            Some("give a value, or leave the field out / 填写内容,或删去该字段"),
        ));
        return Data::Text(String::new());
    }
    match value {
        "true" => Data::Bool(true),
        "false" => Data::Bool(false),
        _ => match serde_json::from_str::<Number>(value) {
            Ok(number) if !value.starts_with(char::is_whitespace) => Data::Number(number),
            _ => Data::Text(value.to_owned()),
        },
    }
}

/// For each character of a scalar's value, the character of the text it came from. One more entry than characters.
pub(super) fn origins(text: &[char], at: &Range<usize>, value: &str) -> Vec<usize> {
    let wanted: Vec<char> = value.chars().collect();
    let stop = at.end.min(text.len());
    let mut i = at.start.min(stop);
    let style = text.get(i).copied().unwrap_or(' ');
    if style == '"' || style == '\'' {
        i += 1;
    } else if style == '|' || style == '>' {
        while i < stop && text[i] != '\n' {
            i += 1;
        }
        i += 1;
    }
    // Walk both at once: what is folded or escaped in the text stands for one character of the value.
    let mut out = Vec::with_capacity(wanted.len() + 1);
    for c in &wanted {
        if style == '"' && text.get(i) == Some(&'\\') {
            out.push(i);
            let skip = match text.get(i + 1) {
                Some('x') => 4,
                Some('u') => 6,
                Some('U') => 10,
                _ => 2,
            };
            i += skip;
            continue;
        }
        if matches!(c, ' ' | '\n') && text.get(i) == Some(&'\n') {
            out.push(i);
            while i < stop && matches!(text[i], '\n' | ' ' | '\r') {
                i += 1;
            }
            continue;
        }
        while i < stop && text[i] != *c && matches!(text[i], ' ' | '\n' | '\r') {
            i += 1;
        }
        out.push(i.min(stop));
        i += if style == '\'' && *c == '\'' { 2 } else { 1 };
    }
    out.push(i.min(stop));
    out
}

/// Turns character numbers into lines and columns.
#[derive(Clone, Debug)]
pub(super) struct Lines {
    starts: Vec<usize>,
    length: usize,
}

impl Lines {
    /// Of a text.
    pub(super) fn new(text: &str) -> Lines {
        let mut starts = vec![0];
        let mut length = 0;
        for (i, c) in text.chars().enumerate() {
            if c == '\n' {
                starts.push(i + 1);
            }
            length = i + 1;
        }
        Lines { starts, length }
    }

    /// Line, column (both from 1) and length, cut at the end of the line.
    pub(super) fn place(&self, at: &Range<usize>) -> (usize, usize, usize) {
        let start = at.start.min(self.length);
        let line = self.starts.partition_point(|s| *s <= start);
        let line_start = self.starts[line - 1];
        let line_end = self.starts.get(line).map_or(self.length, |next| next - 1);
        let end = at.end.clamp(start, line_end.max(start));
        (line, start - line_start + 1, (end - start).max(1))
    }
}
