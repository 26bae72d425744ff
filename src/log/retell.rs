//! Reads a log again and finds the changes of one warning: the numbers of `explain`.
//!
//! In: the folder of an embedded run's log. Out: the changes as they are reached now, from the entries and the packs beside
//! them alone. Promise: nothing is written; loop records are those of the log, not made again; what the run wrote to its
//! outcome files is not read here, so those may be gone.
//! Not here: how it is told to people (`cli`).
//! Cost: the whole log is read and judged once.

use super::judges::{JudgeError, Judges};
use super::store::read_log;
use super::{Entry, LogError, decode};
use crate::engine::Engine;
use crate::pack::Pack;
use crate::response::Warning;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a log could not be told again.
#[derive(Debug, thiserror::Error)]
pub enum RetellError {
    /// It cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// There is no log.
    #[error("{dir} holds no log; give the folder that `replay`, `demo --out` or an embedded `run` wrote")]
    NoLog {
        /// The folder.
        dir: PathBuf,
    },
    /// A pack of the log cannot be used.
    #[error(transparent)]
    Judge(#[from] JudgeError),
}

/// What the log tells about a warning.
#[derive(Debug, Default)]
pub struct Retold {
    /// Its changes with the pack that judged each, in order.
    pub changes: Vec<(Warning, Arc<Pack>)>,
    /// Ids of all warnings of the log.
    pub ids: BTreeSet<String>,
    /// Partitions of the log.
    pub partitions: u32,
    /// Entries read.
    pub entries: u64,
}

struct Telling<'a> {
    id: &'a str,
    judges: Judges,
    engines: Vec<Engine>,
    ends: Vec<u64>,
    told: Retold,
}

/// Tells the log of a folder again.
///
/// # Errors
/// When there is no log, or it or a pack of it cannot be read.
pub fn retell(dir: &Path, id: &str) -> Result<Retold, RetellError> {
    if !dir.is_dir() {
        return Err(RetellError::NoLog { dir: dir.to_owned() });
    }
    // Every partition begins with the same pack entry; how many there are must be known before the first row.
    let mut first: BTreeSet<u32> = BTreeSet::new();
    let mut beginning = true;
    let mut failed = None;
    read_log(dir, |partition, bytes| {
        if beginning {
            match decode(bytes) {
                Ok(Entry::Pack(_)) => beginning = first.insert(partition),
                Ok(_) => beginning = false,
                Err(e) => failed = failed.take().or(Some(e)),
            }
        }
    })?;
    if let Some(failed) = failed {
        return Err(failed.into());
    }
    let partitions = u32::try_from(first.len()).unwrap_or(u32::MAX);
    if partitions == 0 {
        return Err(RetellError::NoLog { dir: dir.to_owned() });
    }
    let mut telling = Telling {
        id,
        judges: Judges::new(dir),
        engines: Vec::new(),
        ends: vec![0; partitions as usize],
        told: Retold { changes: Vec::new(), ids: BTreeSet::new(), partitions, entries: 0 },
    };
    let mut stopped = None;
    read_log(dir, |partition, bytes| {
        if stopped.is_none()
            && let Err(e) = telling.entry(partition, bytes)
        {
            stopped = Some(e);
        }
    })?;
    match stopped {
        Some(e) => Err(e),
        None => Ok(telling.told),
    }
}

impl Telling<'_> {
    fn entry(&mut self, partition: u32, bytes: &[u8]) -> Result<(), RetellError> {
        let entry = decode(bytes)?;
        let number = partition as usize;
        if let Entry::Pack(activate) = &entry {
            let program = self.judges.of(&activate.hash)?.program.clone();
            if self.engines.is_empty() {
                let partitions = self.told.partitions;
                self.engines = (0..partitions).map(|p| Engine::new(program.clone(), p, partitions)).collect();
            }
            if let Some(engine) = self.engines.get_mut(number).filter(|e| e.pack() != activate.hash) {
                engine.change_pack(program);
            }
        }
        let (Some(engine), Some(end)) = (self.engines.get_mut(number), self.ends.get_mut(number)) else {
            return Ok(());
        };
        let outcomes = engine.apply(&entry, *end);
        *end += 1;
        self.told.entries += 1;
        for change in outcomes.changes {
            if change.warning_id == self.id {
                let judge = self.judges.of(engine.pack())?;
                self.told.changes.push((judge.responder.respond(&change), judge.pack.clone()));
            }
            self.told.ids.insert(change.warning_id);
        }
        Ok(())
    }
}

/// Where two documents differ: path, the first's value, the second's.
#[must_use]
pub fn differences(a: &Value, b: &Value) -> Vec<(String, Value, Value)> {
    let mut all = Vec::new();
    compare("", a, b, &mut all);
    all
}

fn compare(path: &str, a: &Value, b: &Value, all: &mut Vec<(String, Value, Value)>) {
    match (a, b) {
        (Value::Object(x), Value::Object(y)) => {
            let names: BTreeSet<&String> = x.keys().chain(y.keys()).collect();
            for name in names {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                compare(&path, x.get(name).unwrap_or(&Value::Null), y.get(name).unwrap_or(&Value::Null), all);
            }
        }
        (Value::Array(x), Value::Array(y)) => {
            for i in 0..x.len().max(y.len()) {
                let path = format!("{path}[{i}]");
                compare(&path, x.get(i).unwrap_or(&Value::Null), y.get(i).unwrap_or(&Value::Null), all);
            }
        }
        _ if a == b => {}
        _ => all.push((path.to_owned(), a.clone(), b.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn differences_name_the_place_and_both_values() {
        let a = json!({ "value": 3.0, "readings": [{ "name": "n", "value": 3.0 }], "level": "blue" });
        let b = json!({ "value": 4.0, "readings": [{ "name": "n", "value": 3.0 }, { "name": "m" }], "level": "blue" });
        let found = differences(&a, &b);
        assert_eq!(
            found,
            [
                ("readings[1]".to_owned(), Value::Null, json!({ "name": "m" })),
                ("value".to_owned(), json!(3.0), json!(4.0)),
            ]
        );
        assert!(differences(&a, &a).is_empty());
    }
}
