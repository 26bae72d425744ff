//! One file on its way from text to typed value, with the findings it has so far.

use super::scan::{Slip, scan};
use super::tree::{Data, Lines, Node, origins, read};
use crate::pack::{Finding, Place, Severity};
use std::ops::Range;

/// What a file of a pack is, by its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Form {
    /// `rules/<industry>/industry.yaml`
    Industry,
    /// `rules/<industry>/plan.yaml`
    Plan,
    /// `rules/<industry>/<indicator>.yaml`
    Rule,
    /// `rules/sources/<name>.yaml`
    Source,
    /// `rules/shared/departments.yaml`
    Departments,
    /// `rules/shared/regions.yaml`
    Regions,
    /// `rules/shared/calendar.yaml`
    Calendar,
    /// `rules/shared/deadlines.yaml`
    Deadlines,
    /// `rules/shared/matters.yaml`
    Matters,
    /// `models/<name>.yaml`
    Model,
    /// `rules/<industry>/<indicator>.test.yaml`: beside a pack, no part of it
    Test,
}

impl Form {
    /// All of them.
    pub(super) const ALL: [Form; 11] = [
        Form::Industry,
        Form::Plan,
        Form::Rule,
        Form::Source,
        Form::Departments,
        Form::Regions,
        Form::Calendar,
        Form::Deadlines,
        Form::Matters,
        Form::Model,
        Form::Test,
    ];

    /// The form of a path.
    pub(super) fn of(path: &str) -> Option<Form> {
        let parts: Vec<&str> = path.split('/').collect();
        match parts.as_slice() {
            ["models", name] if name.ends_with(".yaml") => Some(Form::Model),
            ["rules", "sources", name] if name.ends_with(".yaml") => Some(Form::Source),
            ["rules", "shared", "departments.yaml"] => Some(Form::Departments),
            ["rules", "shared", "regions.yaml"] => Some(Form::Regions),
            ["rules", "shared", "calendar.yaml"] => Some(Form::Calendar),
            ["rules", "shared", "deadlines.yaml"] => Some(Form::Deadlines),
            ["rules", "shared", "matters.yaml"] => Some(Form::Matters),
            ["rules", "shared", _] => None,
            ["rules", _, "industry.yaml"] => Some(Form::Industry),
            ["rules", _, "plan.yaml"] => Some(Form::Plan),
            ["rules", _, name] if name.ends_with(".yaml") => Some(Form::Rule),
            _ => None,
        }
    }
}

/// A file.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) path: String,
    pub(super) form: Form,
    pub(super) root: Option<Node>,
    pub(super) findings: Vec<Finding>,
    text: Vec<char>,
    lines: Lines,
}

/// A file larger than this is no rule file; the largest known is 20 KB.
const LONGEST: usize = 1 << 20;

impl Document {
    /// Looks through a text and reads its tree; without one when the text does not allow it.
    pub(super) fn new(path: &str, form: Form, text: &str) -> Document {
        let mut document = Document {
            path: path.to_owned(),
            form,
            root: None,
            findings: Vec::new(),
            text: text.chars().collect(),
            lines: Lines::new(text),
        };
        if text.len() > LONGEST {
            let words = ("the file is larger than 1 MiB".to_owned(), "文件超过 1 MiB".to_owned());
            document.find("too-long", Severity::Error, document.whole(), words, None);
            return document;
        }
        let slips = scan(text);
        let trusted = slips.iter().all(Slip::tree_stands);
        let hashes: Vec<usize> =
            slips.iter().filter(|s| s.code == "hash").map(|s| document.lines.place(&s.at).0).collect();
        document.slips(slips);
        if !trusted {
            return document;
        }
        match read(text) {
            Ok(None) => {
                // A list without entries is written as an empty file with comments.
                if matches!(form, Form::Matters) {
                    document.root = Some(Node { at: 0..0, data: Data::List(Vec::new()) });
                } else {
                    let words = ("the file is empty".to_owned(), "文件是空的".to_owned());
                    document.find("empty", Severity::Error, document.whole(), words, None);
                }
            }
            Ok(root) => document.root = root,
            Err(more) => {
                // A glued # breaks the syntax of its line: said once is enough.
                let more = more.into_iter().filter(|s| {
                    s.code != "yaml-syntax" || !hashes.iter().any(|h| document.lines.place(&s.at).0.abs_diff(*h) <= 1)
                });
                let more: Vec<Slip> = more.collect();
                document.slips(more);
            }
        }
        document
    }

    fn slips(&mut self, slips: Vec<Slip>) {
        for slip in slips {
            let place = self.place(&slip.at);
            self.find(slip.code, Severity::Error, place, (slip.message, slip.message_zh), slip.hint);
        }
    }

    /// Adds a finding, once.
    pub(super) fn find(
        &mut self,
        code: &'static str,
        severity: Severity,
        place: Place,
        (message, message_zh): (String, String),
        hint: Option<String>,
    ) {
        let finding = Finding { code, severity, place, message, message_zh, hint };
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    /// The place of some characters.
    pub(super) fn place(&self, at: &Range<usize>) -> Place {
        let (line, column, length) = self.lines.place(at);
        Place { file: self.path.clone(), line, column, length }
    }

    /// The file as a whole.
    pub(super) fn whole(&self) -> Place {
        Place { file: self.path.clone(), line: 0, column: 0, length: 0 }
    }

    /// The place of the value at a JSON pointer; of the key that leads to it when it is a list or map.
    pub(super) fn value(&self, pointer: &str) -> Place {
        let Some(root) = &self.root else { return self.whole() };
        let (node, key) = root.find(pointer);
        match (&node.data, key) {
            (Data::List(_) | Data::Map(_), Some(key)) => self.place(key),
            (Data::List(_) | Data::Map(_), None) => self.place(&(node.at.start..node.at.start + 1)),
            _ => self.place(&node.at),
        }
    }

    /// The place of the key at a JSON pointer.
    pub(super) fn key(&self, pointer: &str) -> Place {
        let Some(root) = &self.root else { return self.whole() };
        let (node, key) = root.find(pointer);
        match key {
            Some(key) => self.place(key),
            None => self.place(&(node.at.start..node.at.start + 1)),
        }
    }

    /// The place of some characters inside the text value at a JSON pointer.
    pub(super) fn inside(&self, pointer: &str, span: Option<(usize, usize)>) -> Place {
        let Some((offset, length)) = span else { return self.value(pointer) };
        let Some(root) = &self.root else { return self.whole() };
        let (node, _) = root.find(pointer);
        let Data::Text(value) = &node.data else { return self.value(pointer) };
        let origins = origins(&self.text, &node.at, value);
        let last = origins.len() - 1;
        let start = origins[offset.min(last)];
        let end = origins[(offset + length).min(last)];
        self.place(&(start..end.max(start + 1)))
    }
}
