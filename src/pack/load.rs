//! Reads the folder of a pack.
//!
//! In: a folder with `sources/`, `shared/` and industry folders (or, for an example, one industry's files at its top),
//! and a folder of models. Out: a [`Body`], and where each of its texts stands on disk.
//! What a folder leaves out comes from the main pack, which is built in: shared tables, models, and for kinds of record
//! without any source the source of our own form. Test files (`*.test.yaml`), notes and `examples/` are no part.

use super::{Body, Finding, Place, Severity};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

/// The parts of the main pack that others may leave out.
const BUILT_IN: &[(&str, &str)] = &[
    ("models/count_surge.yaml", include_str!("../../models/count_surge.yaml")),
    ("models/cusum.yaml", include_str!("../../models/cusum.yaml")),
    ("models/ears_c1.yaml", include_str!("../../models/ears_c1.yaml")),
    ("models/ears_c2.yaml", include_str!("../../models/ears_c2.yaml")),
    ("models/ears_c3.yaml", include_str!("../../models/ears_c3.yaml")),
    ("models/ewma.yaml", include_str!("../../models/ewma.yaml")),
    ("models/farrington.yaml", include_str!("../../models/farrington.yaml")),
    ("models/holt_winters.yaml", include_str!("../../models/holt_winters.yaml")),
    ("models/inspection_risk.yaml", include_str!("../../models/inspection_risk.yaml")),
    ("models/page_hinkley.yaml", include_str!("../../models/page_hinkley.yaml")),
    ("models/sensor_group.yaml", include_str!("../../models/sensor_group.yaml")),
    ("models/sensor_novelty.yaml", include_str!("../../models/sensor_novelty.yaml")),
    ("models/shewhart.yaml", include_str!("../../models/shewhart.yaml")),
    ("models/surge.yaml", include_str!("../../models/surge.yaml")),
    ("rules/shared/calendar.yaml", include_str!("../../rules/shared/calendar.yaml")),
    ("rules/shared/deadlines.yaml", include_str!("../../rules/shared/deadlines.yaml")),
    ("rules/shared/departments.yaml", include_str!("../../rules/shared/departments.yaml")),
    ("rules/shared/matters.yaml", include_str!("../../rules/shared/matters.yaml")),
    ("rules/shared/regions.yaml", include_str!("../../rules/shared/regions.yaml")),
    ("rules/sources/feedback.yaml", include_str!("../../rules/sources/feedback.yaml")),
    ("rules/sources/inspection.yaml", include_str!("../../rules/sources/inspection.yaml")),
    ("rules/sources/iot.yaml", include_str!("../../rules/sources/iot.yaml")),
    ("rules/sources/licensing.yaml", include_str!("../../rules/sources/licensing.yaml")),
    ("rules/sources/registry.yaml", include_str!("../../rules/sources/registry.yaml")),
    ("rules/sources/supervision.yaml", include_str!("../../rules/sources/supervision.yaml")),
];

/// Why a folder could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file or folder could not be read.
    #[error("could not read {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not UTF-8.
    #[error("{path} is not UTF-8")]
    NotText {
        /// Which.
        path: PathBuf,
    },
}

/// A pack from a folder.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The texts.
    pub body: Body,
    /// Where each text stands on disk; what is built in does not.
    pub disk: BTreeMap<String, PathBuf>,
    /// Files that are no text.
    pub findings: Vec<Finding>,
}

impl Body {
    /// Reads the pack of a folder.
    ///
    /// # Errors
    /// When a file or folder cannot be read, or is not UTF-8.
    pub fn load(rules: &Path, models: &Path) -> Result<Body, LoadError> {
        let loaded = Loaded::read(rules, models)?;
        match loaded.findings.first() {
            Some(finding) => Err(LoadError::NotText { path: PathBuf::from(&finding.place.file) }),
            None => Ok(loaded.body),
        }
    }
}

impl Body {
    /// A pack of texts that stand in memory, by their paths inside it; what they leave out is built in.
    #[must_use]
    pub fn with_defaults(files: BTreeMap<String, String>) -> Body {
        let mut loaded = Loaded { body: Body { files }, ..Loaded::default() };
        loaded.fill();
        loaded.body
    }
}

impl Loaded {
    /// Reads the pack of a folder; a models folder that is not there is left out.
    ///
    /// # Errors
    /// When a file or folder cannot be read.
    pub fn read(rules: &Path, models: &Path) -> Result<Loaded, LoadError> {
        let mut loaded = Loaded::default();
        let head = rules.join("industry.yaml");
        let own = if head.is_file() { Some(industry_of(&head)?) } else { None };
        for (name, path) in entries(rules)? {
            if path.is_dir() {
                if name != "examples" {
                    loaded.folder(&path, &format!("rules/{name}"))?;
                }
            } else if let Some(industry) = &own {
                loaded.file(&path, &format!("rules/{industry}/{name}"))?;
            } else {
                loaded.file(&path, &format!("rules/{name}"))?;
            }
        }
        if models.is_dir() {
            loaded.folder(models, "models")?;
        }
        loaded.fill();
        Ok(loaded)
    }

    fn folder(&mut self, folder: &Path, prefix: &str) -> Result<(), LoadError> {
        for (name, path) in entries(folder)? {
            let inner = format!("{prefix}/{name}");
            if path.is_dir() { self.folder(&path, &inner)? } else { self.file(&path, &inner)? }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, inner: &str) -> Result<(), LoadError> {
        let yaml = inner.ends_with(".yaml") || inner.ends_with(".yml");
        if !yaml || inner.ends_with(".test.yaml") || inner.ends_with(".test.yml") {
            return Ok(());
        }
        match std::fs::read_to_string(path) {
            Ok(text) => {
                self.body.files.insert(inner.to_owned(), text);
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => self.findings.push(not_utf8(inner)),
            Err(source) => return Err(LoadError::Read { path: path.to_owned(), source }),
        }
        self.disk.insert(inner.to_owned(), path.to_owned());
        Ok(())
    }

    /// Adds what the folder leaves out.
    fn fill(&mut self) {
        let kinds: BTreeSet<String> = self
            .body
            .files
            .iter()
            .filter(|(path, _)| path.starts_with("rules/sources/"))
            .filter_map(|(_, text)| line_value(text, "kind"))
            .collect();
        for (path, text) in BUILT_IN {
            let known = match path.strip_prefix("rules/sources/").and_then(|n| n.strip_suffix(".yaml")) {
                Some(kind) => kinds.contains(kind) || self.body.files.contains_key(*path),
                None => self.body.files.contains_key(*path),
            };
            if !known {
                self.body.files.insert((*path).to_owned(), (*text).to_owned());
            }
        }
    }
}

/// What is said of a file that is no text.
pub(crate) fn not_utf8(file: &str) -> Finding {
    Finding {
        code: "not-utf8",
        severity: Severity::Error,
        place: Place { file: file.to_owned(), ..Place::default() },
        message: "the file is not UTF-8".to_owned(),
        message_zh: "文件不是 UTF-8 编码".to_owned(),
        hint: Some("save it as UTF-8 / 请另存为 UTF-8".to_owned()),
    }
}

/// The parts that are built in, alone.
#[cfg(test)]
pub(crate) fn built_in() -> Body {
    let mut loaded = Loaded::default();
    loaded.fill();
    loaded.body
}

/// The industry that a head file names; the folder's files then stand in its place.
fn industry_of(head: &Path) -> Result<String, LoadError> {
    let text = std::fs::read_to_string(head).map_err(|source| LoadError::Read { path: head.to_owned(), source })?;
    Ok(line_value(&text, "id").unwrap_or_else(|| "industry".to_owned()))
}

/// The value of a top-level field, read without the whole tree: enough to lay out the files, which are checked later.
fn line_value(text: &str, field: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let value = line.strip_prefix(field)?.strip_prefix(':')?;
        let value = value.split('#').next().unwrap_or_default().trim().trim_matches(['"', '\'']);
        (!value.is_empty()).then(|| value.to_owned())
    })
}

/// The entries of a folder by name, hidden ones left out.
fn entries(folder: &Path) -> Result<BTreeMap<String, PathBuf>, LoadError> {
    let wrong = |source| LoadError::Read { path: folder.to_owned(), source };
    let mut out = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(wrong)? {
        let entry = entry.map_err(wrong)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            out.insert(name, entry.path());
        }
    }
    Ok(out)
}
