//! A pack as texts with one hash, and as typed values.

use super::calendar::Calendar;
use super::shared::{Deadlines, Matter};
use super::{Department, Finding, Indicator, IndustryFile, ModelFile, Plan, Regions, Source};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The texts of a pack: path inside it (`rules/gas/gas_leak_lel.yaml`, `models/ewma.yaml`) to content.
/// Test files (`*.test.yaml`) and notes are no part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Body {
    /// Path with `/` to text, ordered.
    pub files: BTreeMap<String, String>,
}

impl Body {
    /// The pack hash: 64 hexadecimal digits of SHA-256 over paths and texts, each with its length before it.
    #[must_use]
    pub fn hash(&self) -> String {
        let mut sha = Sha256::new();
        for (path, text) in &self.files {
            for part in [path, text] {
                sha.update((part.len() as u64).to_be_bytes());
                sha.update(part.as_bytes());
            }
        }
        sha.finalize().iter().map(|b| format!("{b:02x}")).collect()
    }
}

/// A whole, consistent pack. Everything a rule names exists in it.
#[derive(Clone, Debug)]
pub struct Pack {
    /// Hash of the body.
    pub hash: String,
    /// The body it was read from.
    pub body: Body,
    /// Industry packs by id.
    pub industries: BTreeMap<String, IndustryFile>,
    /// Indicators by id, retired ones too.
    pub indicators: BTreeMap<String, Indicator>,
    /// Sources by name.
    pub sources: BTreeMap<String, Source>,
    /// Plans by id.
    pub plans: BTreeMap<String, Plan>,
    /// Departments by id.
    pub departments: BTreeMap<String, Department>,
    /// Regions.
    pub regions: Regions,
    /// Working time.
    pub calendar: Calendar,
    /// Deadlines of the levels.
    pub deadlines: Deadlines,
    /// Matters by code.
    pub matters: BTreeMap<String, Matter>,
    /// Models by id.
    pub models: BTreeMap<String, ModelFile>,
}

impl Pack {
    /// Reads and checks a body.
    ///
    /// # Errors
    /// All findings of all files, when at least one is an error. Warnings alone do not fail; `check` shows them.
    pub fn read(body: Body) -> Result<Pack, Vec<Finding>> {
        super::read::read(body).map(|(pack, _)| pack)
    }

    /// Reads a body that a log was judged by. What was accepted then is accepted now: findings that came with later builds
    /// and change no meaning do not keep a log from being read.
    ///
    /// # Errors
    /// All findings, when at least one is an error to every build.
    pub fn read_logged(body: Body) -> Result<Pack, Vec<Finding>> {
        super::read::read_logged(body)
    }

    /// Reads and checks a body and gives the warnings too.
    ///
    /// # Errors
    /// All findings, when at least one is an error.
    pub fn read_with_warnings(body: Body) -> Result<(Pack, Vec<Finding>), Vec<Finding>> {
        super::read::read(body)
    }
}
