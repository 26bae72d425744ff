//! Outcomes in files: `warnings.jsonl`, `signals.jsonl`, `dead-letters.jsonl` in one folder.
//!
//! In: lines. Out: files whose lengths are known at each [`Outputs::sync`].
//! Promise: opened with the lengths of the last commit, a file holds exactly the lines of commits; what stood behind
//! them is cut off, to be derived again from the log. Opened to be derived again, bytes that are the same stay where they
//! are, so that a reader that follows the file sees no line twice; from the first that differs on the file is written anew.
//! Not here: which commit the lengths belong to (`log` keeps them).

use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Which file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Output {
    /// `warnings.jsonl`
    Warnings,
    /// `signals.jsonl`
    Signals,
    /// `dead-letters.jsonl`
    DeadLetters,
}

impl Output {
    /// All three.
    pub const ALL: [Output; 3] = [Output::Warnings, Output::Signals, Output::DeadLetters];

    /// Name of the file.
    #[must_use]
    pub const fn file_name(self) -> &'static str {
        match self {
            Output::Warnings => "warnings.jsonl",
            Output::Signals => "signals.jsonl",
            Output::DeadLetters => "dead-letters.jsonl",
        }
    }
}

/// Lengths in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lengths {
    /// Of `warnings.jsonl`.
    pub warnings: u64,
    /// Of `signals.jsonl`.
    pub signals: u64,
    /// Of `dead-letters.jsonl`.
    pub dead_letters: u64,
}

impl Lengths {
    /// Length of one file.
    #[must_use]
    pub const fn of(&self, output: Output) -> u64 {
        match output {
            Output::Warnings => self.warnings,
            Output::Signals => self.signals,
            Output::DeadLetters => self.dead_letters,
        }
    }
}

/// The outputs could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The disk said no.
    #[error("could not {action} {path}")]
    File {
        /// create, open, cut, write, sync
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file lost lines that were committed: somebody else wrote or cut it.
    #[error("{path} has {found} bytes, but {committed} were committed")]
    Short {
        /// The file.
        path: PathBuf,
        /// Its length.
        found: u64,
        /// The length at the last commit.
        committed: u64,
    },
}

/// The three files, open for appending.
#[derive(Debug)]
pub struct Outputs {
    warnings: Lines,
    signals: Lines,
    dead_letters: Lines,
}

impl Outputs {
    /// Opens the files of a folder, which is made if need be, and cuts each back to its committed length.
    ///
    /// # Errors
    /// [`OutputError::Short`] when a file is shorter than was committed, [`OutputError::File`] when the disk fails.
    pub fn open(folder: &Path, committed: Lengths) -> Result<Outputs, OutputError> {
        Outputs::open_with(folder, |path, output| Lines::open(path, committed.of(output)))
    }

    /// Opens the files of a folder to append again what stands behind these lengths already, as far as it does: see
    /// [`Outputs::settle`].
    ///
    /// # Errors
    /// As [`Outputs::open`].
    pub fn derive(folder: &Path, from: Lengths) -> Result<Outputs, OutputError> {
        Outputs::open_with(folder, |path, output| Lines::derive(path, from.of(output)))
    }

    fn open_with(
        folder: &Path,
        open: impl Fn(PathBuf, Output) -> Result<Lines, OutputError>,
    ) -> Result<Outputs, OutputError> {
        std::fs::create_dir_all(folder).map_err(|source| OutputError::File {
            action: "create",
            path: folder.to_owned(),
            source,
        })?;
        let open = |output: Output| open(folder.join(output.file_name()), output);
        let outputs = Outputs {
            warnings: open(Output::Warnings)?,
            signals: open(Output::Signals)?,
            dead_letters: open(Output::DeadLetters)?,
        };
        // A new file's name must outlive a power cut too, or its committed lines would be missed at the next start.
        File::open(folder).and_then(|f| f.sync_all()).map_err(|source| OutputError::File {
            action: "sync",
            path: folder.to_owned(),
            source,
        })?;
        Ok(outputs)
    }

    /// Lengths of the files of a folder now; 0 where there is none.
    #[must_use]
    pub fn found(folder: &Path) -> Lengths {
        let length = |output: Output| std::fs::metadata(folder.join(output.file_name())).map_or(0, |m| m.len());
        Lengths {
            warnings: length(Output::Warnings),
            signals: length(Output::Signals),
            dead_letters: length(Output::DeadLetters),
        }
    }

    /// Everything was derived again: what a file holds behind it is cut off. Gives the files whose bytes were not those
    /// that the log leads to (a torn line, lines behind the log's end).
    ///
    /// # Errors
    /// [`OutputError::File`] when the disk fails.
    pub fn settle(&mut self) -> Result<Vec<PathBuf>, OutputError> {
        let mut mended = Vec::new();
        for lines in [&mut self.warnings, &mut self.signals, &mut self.dead_letters] {
            lines.settle()?;
            if lines.mended {
                mended.push(lines.path.clone());
            }
        }
        Ok(mended)
    }

    /// Hands what was appended to the operating system, so that others can read it.
    ///
    /// # Errors
    /// [`OutputError::File`] when the disk fails.
    pub fn flush(&mut self) -> Result<(), OutputError> {
        for lines in [&mut self.warnings, &mut self.signals, &mut self.dead_letters] {
            lines.file.flush().map_err(|e| lines.failed("write", e))?;
        }
        Ok(())
    }

    /// Appends one line. It is only sure to stay after the next [`Outputs::sync`].
    ///
    /// # Errors
    /// [`OutputError::File`] when the disk fails.
    pub fn append(&mut self, output: Output, line: &str) -> Result<(), OutputError> {
        match output {
            Output::Warnings => self.warnings.append(line),
            Output::Signals => self.signals.append(line),
            Output::DeadLetters => self.dead_letters.append(line),
        }
    }

    /// Brings everything to the disk and gives the lengths to commit.
    ///
    /// # Errors
    /// [`OutputError::File`] when the disk fails.
    pub fn sync(&mut self) -> Result<Lengths, OutputError> {
        Ok(Lengths {
            warnings: self.warnings.sync()?,
            signals: self.signals.sync()?,
            dead_letters: self.dead_letters.sync()?,
        })
    }
}

#[derive(Debug)]
struct Lines {
    path: PathBuf,
    file: BufWriter<File>,
    length: u64,
    synced: u64,
    /// While what is appended is compared with what stands there.
    known: Option<BufReader<File>>,
    mended: bool,
}

impl Lines {
    fn open(path: PathBuf, committed: u64) -> Result<Lines, OutputError> {
        let mut lines = Lines::derive(path, committed)?;
        lines.settle()?;
        Ok(lines)
    }

    fn derive(path: PathBuf, from: u64) -> Result<Lines, OutputError> {
        let failed = |action: &'static str| {
            let path = path.clone();
            move |source| OutputError::File { action, path, source }
        };
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(failed("open"))?;
        let found = file.metadata().map_err(failed("open"))?.len();
        if found < from {
            return Err(OutputError::Short { path, found, committed: from });
        }
        let mut known = File::open(&path).map_err(failed("open"))?;
        known.seek(SeekFrom::Start(from)).map_err(failed("open"))?;
        let known = Some(BufReader::with_capacity(1 << 16, known));
        Ok(Lines { path, file: BufWriter::new(file), length: from, synced: from, known, mended: false })
    }

    /// From here on the file is written, behind what was found to be right.
    fn settle(&mut self) -> Result<(), OutputError> {
        if self.known.take().is_none() {
            return Ok(());
        }
        let file = self.file.get_mut();
        let cut = file.metadata().and_then(|found| {
            self.mended = found.len() > self.length;
            file.set_len(self.length)?;
            file.seek(SeekFrom::Start(self.length))
        });
        cut.map(drop).map_err(|e| self.failed("cut", e))
    }

    fn failed(&self, action: &'static str, source: io::Error) -> OutputError {
        OutputError::File { action, path: self.path.clone(), source }
    }

    fn append(&mut self, line: &str) -> Result<(), OutputError> {
        if let Some(known) = &mut self.known {
            let mut bytes = vec![0; line.len() + 1];
            if known.read_exact(&mut bytes).is_ok() && bytes.strip_suffix(b"\n") == Some(line.as_bytes()) {
                self.length += bytes.len() as u64;
                return Ok(());
            }
            self.settle()?;
        }
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.write_all(b"\n"));
        written.map_err(|e| self.failed("write", e))?;
        self.length += line.len() as u64 + 1;
        Ok(())
    }

    fn sync(&mut self) -> Result<u64, OutputError> {
        // A commit without new lines costs no fsync.
        if self.length != self.synced {
            let synced = self.file.flush().and_then(|()| self.file.get_ref().sync_data());
            synced.map_err(|e| self.failed("sync", e))?;
            self.synced = self.length;
        }
        Ok(self.length)
    }
}
