//! What `replay`, `demo` and an embedded `run` leave in their folder: lines of outcomes and a summary.

use super::{DeadLetter, Embedded, Step};
use crate::deliver::files::{Lengths, Output, OutputError, Outputs};
use crate::deliver::{Fate, Summary, dead_letter_line, signal_line, warning_line};
use crate::response::PackRef;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The folder.
#[derive(Debug)]
pub struct OutcomeFiles {
    dir: PathBuf,
    outputs: Outputs,
    /// What is counted so far.
    pub summary: Summary,
}

impl OutcomeFiles {
    /// Opens the folder; files are cut back to the lengths given.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn open(dir: &Path, committed: Lengths, pack: PackRef) -> Result<OutcomeFiles, OutputError> {
        Ok(OutcomeFiles { outputs: Outputs::open(dir, committed)?, dir: dir.to_owned(), summary: Summary::new(pack) })
    }

    /// Opens the folder to append again what the log leads to from these lengths on; `summary` is what was counted up to
    /// them. [`OutcomeFiles::settle`] ends it.
    ///
    /// # Errors
    /// When the disk fails, or a file is shorter.
    pub fn derive(dir: &Path, from: Lengths, summary: Summary) -> Result<OutcomeFiles, OutputError> {
        Ok(OutcomeFiles { outputs: Outputs::derive(dir, from)?, dir: dir.to_owned(), summary })
    }

    /// Everything was derived again; gives the files whose bytes were not those that the log leads to.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn settle(&mut self) -> Result<Vec<PathBuf>, OutputError> {
        self.outputs.settle()
    }

    /// Lets others read what was appended.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn flush(&mut self) -> Result<(), OutputError> {
        self.outputs.flush()
    }

    /// Appends the outcomes of a commit.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn outcomes(&mut self, step: &Step) -> Result<(), OutputError> {
        for warning in &step.warnings {
            self.summary.warning(warning);
            self.outputs.append(Output::Warnings, &warning_line(warning))?;
        }
        for signal in &step.signals {
            self.outputs.append(Output::Signals, &signal_line(signal))?;
        }
        self.summary.signals += step.signals.len() as u64;
        self.summary.values += step.values.len() as u64;
        if let Some(at) = step.log_time {
            self.summary.log_time(at);
        }
        Ok(())
    }

    /// Appends dead letters and counts what came in.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn intake(&mut self, seen: &BTreeMap<String, u64>, dead_letters: &[DeadLetter]) -> Result<(), OutputError> {
        for (kind, n) in seen {
            self.summary.records.came_in(kind, *n);
        }
        for letter in dead_letters {
            let fate = if letter.reason == "future" { Fate::Quarantined } else { Fate::DeadLettered };
            self.summary.records.became(&letter.kind, fate, 1);
            self.outputs.append(Output::DeadLetters, &dead_letter_line(letter))?;
        }
        Ok(())
    }

    /// Brings everything to the disk.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn sync(&mut self) -> Result<Lengths, OutputError> {
        self.outputs.sync()
    }

    /// The summary with the engines' counts, which is also written.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn finish(&mut self, run: &Embedded, seconds: f64) -> Result<Summary, OutputError> {
        let mut summary = self.summary.clone();
        for (kind, f) in run.fates() {
            let records = &mut summary.records;
            records.became(&kind, Fate::Used, f.used);
            records.became(&kind, Fate::Duplicate, f.duplicate);
            records.became(&kind, Fate::StaleRevision, f.stale_revision);
            records.became(&kind, Fate::Late, f.late);
            records.became(&kind, Fate::BeyondWindows, f.beyond_windows);
        }
        if let Some(at) = run.log_time() {
            summary.log_time(at);
        }
        summary.seconds = seconds;
        self.sync()?;
        let path = self.dir.join("summary.json");
        std::fs::write(&path, summary.json() + "\n").map_err(|source| OutputError::File {
            action: "write",
            path,
            source,
        })?;
        Ok(summary)
    }
}
