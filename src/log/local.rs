//! An embedded run: files in, a log in files, outcomes in files, in one process without a broker.
//!
//! In: followed files and folders (`clock: wall`) or a history of files (`clock: records`), and dead letters that are
//! sent in again through a folder, the inbox. Out: the log, outcome files, snapshots, and each step to a [`Watch`].
//! Promise: rows, places in the inputs and dead letters of a look are one commit; a mark never precedes its rows;
//! killed at any moment, the next start goes on as if nothing had happened.
//! Not here: the page (`console`), what a message means (`intake`).

use super::embedded::{EmbeddedError, Step};
use super::follow::{Follow, Look};
use super::input::InputError;
use super::merge::{Merge, MergeInput, MergedFrame};
use super::order::ordered;
use super::outcome_files::OutcomeFiles;
use super::recover::Recovered;
use super::resume::{Folders, ResumeError, Resumed};
use super::{Committed, DeadLetter, Embedded, FilePlace, Part, Stamp};
use crate::clock::{Stopwatch, now_ms};
use crate::deliver::files::OutputError;
use crate::deliver::{Summary, SummaryError, read_dead_letter};
use crate::intake::Options;
use crate::pack::Pack;
use crate::record::{Kind, Millis};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A run that could not go on.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// The engines or their log.
    #[error(transparent)]
    Run(#[from] EmbeddedError),
    /// Log, snapshots or outcomes could not be taken up or saved.
    #[error(transparent)]
    Resume(#[from] ResumeError),
    /// An input.
    #[error(transparent)]
    Input(#[from] InputError),
    /// An outcome file.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// Records were lost or counted twice.
    #[error(transparent)]
    Summary(#[from] SummaryError),
}

/// Looks on as the run goes: pages, metrics, progress.
pub trait Watch {
    /// Bytes of an input were read.
    fn read(&mut self, source: &str, bytes: u64);

    /// A commit was made, `seconds` after its records were read.
    fn committed(&mut self, run: &Embedded, record: &Committed, step: &Step, seconds: f64);

    /// A few times a second.
    fn standing(&mut self, run: &Embedded, summary: &Summary);

    /// Sources that have not been read to their end yet, so that log time cannot begin.
    fn unread(&mut self, sources: Vec<String>);

    /// An input cannot be read for so long that log time goes on without it, or can be read again.
    fn blind(&mut self, source: &str, blind: bool);

    /// A snapshot was written.
    fn saved(&mut self, bytes: u64);
}

/// Time between two looks at inputs that gave nothing.
const LOOK: Duration = Duration::from_millis(50);
/// In silence time passes in steps of this.
const TICK: Duration = Duration::from_secs(1);
/// Figures are brought up to date this often.
const REFRESH: Duration = Duration::from_millis(250);
/// An input that cannot be read for so long is blind, ms. As over Kafka.
const BLIND: Millis = 30_000;
/// Bytes of rows that a history is sorted in; more goes to temporary files.
const HELD: usize = 512 << 20;
/// Dead letters that are sent in again with one commit.
const AGAIN: usize = 500;

/// An input as the settings and the pack name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feed {
    /// Name of the source.
    pub source: String,
    /// File or folder.
    pub path: PathBuf,
}

/// The raw partitions whose marks move log time.
#[must_use]
pub fn marks(feeds: &[Feed]) -> Vec<String> {
    feeds.iter().map(|feed| format!("{}/0", feed.source)).collect()
}

/// A file of a history: source, path, and where it ends: its length now, and the wall time now as `modified`.
pub type HistoryFile = (String, PathBuf, FilePlace);

/// The files that the feeds are now, by raw partition: what a history reads.
///
/// # Errors
/// When a file or folder is not there.
pub fn history_files(feeds: &[Feed]) -> Result<BTreeMap<String, HistoryFile>, InputError> {
    let mut all = BTreeMap::new();
    let modified = now_ms();
    for feed in feeds {
        let failed = |source| InputError::Read { path: feed.path.clone(), source };
        let mut files = Vec::new();
        if feed.path.is_dir() {
            for entry in std::fs::read_dir(&feed.path).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                let name = entry.file_name().to_string_lossy().into_owned();
                if entry.path().is_file() && !name.starts_with('.') {
                    files.push((format!("{}/{name}", feed.source), entry.path()));
                }
            }
        } else {
            files.push((format!("{}/0", feed.source), feed.path.clone()));
        }
        for (raw, path) in files {
            let length = std::fs::metadata(&path).map_err(failed)?.len();
            let place = FilePlace { at: length, length, modified, ..FilePlace::default() };
            all.insert(raw, (feed.source.clone(), path, place));
        }
    }
    Ok(all)
}

struct Input {
    follow: Follow,
    /// Everything up to then is read and committed.
    mark: Option<Millis>,
    failing: Option<Millis>,
    blind: bool,
    /// Read to its end at least once.
    whole: bool,
}

/// Follows the feeds until `stop` is set, then writes summary and snapshot.
///
/// # Errors
/// When log or outcome files cannot be written. An input that cannot be read stops nothing.
pub fn run_wall(
    resumed: &mut Resumed,
    feeds: &[Feed],
    options: &Options,
    folders: &Folders,
    every: Duration,
    stop: &AtomicBool,
    watch: &mut dyn Watch,
) -> Result<Summary, LocalError> {
    let clock = Stopwatch::start();
    let (run, files) = (&mut resumed.run, &mut resumed.files);
    let pack = run.pack().clone();
    let places = run.store().committed().files.clone();
    let mut inputs = Vec::new();
    for feed in feeds {
        let follow = Follow::new(&pack, &feed.source, &feed.path, &places, options)?;
        inputs.push(Input { follow, mark: None, failing: None, blind: false, whole: false });
    }
    let mut inbox = Inbox::new(&folders.out, &places);
    let (mut ticked, mut refreshed, mut saved) = (Stopwatch::start(), Stopwatch::start(), Stopwatch::start());
    let mut stamped: BTreeMap<String, Millis> = BTreeMap::new();
    let mut commits = run.store().end().0;
    while !stop.load(Ordering::Relaxed) {
        let since = Stopwatch::start();
        let wall = now_ms();
        let mut look = Look::default();
        let mut ends: Vec<(usize, bool)> = Vec::new();
        // The registry is whole before the first row that it says something about.
        let registry = inputs.iter().any(|i| i.follow.kind == Kind::Registry && !i.whole && !i.blind);
        for (number, input) in inputs.iter_mut().enumerate() {
            if registry && input.follow.kind != Kind::Registry {
                continue;
            }
            match input.follow.look(wall) {
                Ok(found) => {
                    if input.failing.take().is_some() {
                        tracing::info!(source = input.follow.source, "an input can be read again");
                    }
                    if std::mem::take(&mut input.blind) {
                        watch.blind(&input.follow.source, false);
                    }
                    if found.at_end {
                        ends.push((number, found.settling));
                    }
                    if found.bytes > 0 {
                        watch.read(&input.follow.source, found.bytes);
                    }
                    look.extend(found);
                }
                Err(error) => {
                    if input.failing.is_none() {
                        tracing::warn!(source = input.follow.source, error = %chain(&error), "an input cannot be read");
                    }
                    let failing = *input.failing.get_or_insert(wall);
                    if wall - failing > BLIND && !input.blind {
                        input.blind = true;
                        tracing::error!(source = input.follow.source, "log time goes on without this input");
                        watch.blind(&input.follow.source, true);
                    }
                }
            }
        }
        if !registry {
            look.extend(inbox.look(&pack, options, wall)?);
        }
        let stamp = stamp(&inputs, wall);
        let quiet = look.is_empty();
        let time = stamp.marks != stamped || !stamp.blind.is_empty();
        if !quiet || (time && ticked.elapsed() >= TICK) {
            ticked.lap();
            stamped.clone_from(&stamp.marks);
            let step = run.commit_record(&stamp, &look.rows, look.record.clone())?;
            outcomes(files, &look.record, &step)?;
            inbox.committed();
            watch.committed(run, &look.record, &step, since.seconds());
        }
        // They hold for the rows of this look, so they may stand in the next stamp, not in this one.
        for (number, settling) in ends {
            if let Some(input) = inputs.get_mut(number) {
                input.mark = Some(wall);
                // A registry that was dropped just before the start is waited for, one that is written without end is not.
                input.whole |= !settling || clock.elapsed() >= Duration::from_millis(BLIND.unsigned_abs());
            }
        }
        if refreshed.elapsed() >= REFRESH {
            refreshed.lap();
            let unread = inputs.iter().filter(|i| i.mark.is_none() && !i.blind);
            watch.unread(unread.map(|i| i.follow.source.clone()).collect());
            watch.standing(run, &files.summary);
        }
        if saved.elapsed() >= every && run.store().end().0 > commits {
            save(run, files, folders, watch);
            commits = run.store().end().0;
            saved.lap();
        }
        if quiet {
            std::thread::sleep(LOOK);
        }
    }
    finish(run, files, folders, watch, clock)
}

fn stamp(inputs: &[Input], wall: Millis) -> Stamp {
    let sees = |i: &&Input| !i.blind;
    Stamp {
        wall,
        marks: inputs.iter().filter(sees).filter_map(|i| Some((i.follow.mark.clone(), i.mark?))).collect(),
        blind: inputs.iter().filter(|i| i.blind).map(|i| i.follow.mark.clone()).collect(),
    }
}

fn chain(error: &InputError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}

fn outcomes(files: &mut OutcomeFiles, record: &Committed, step: &Step) -> Result<(), OutputError> {
    files.intake(&record.seen, &record.dead_letters)?;
    files.outcomes(step)?;
    files.flush()
}

/// A snapshot that cannot be written costs time at the next start, nothing else.
fn save(run: &mut Embedded, files: &mut OutcomeFiles, folders: &Folders, watch: &mut dyn Watch) {
    match run.save(files, folders) {
        Ok(bytes) => watch.saved(bytes),
        Err(error) => tracing::error!(%error, "no snapshot was written"),
    }
}

fn finish(
    run: &mut Embedded,
    files: &mut OutcomeFiles,
    folders: &Folders,
    watch: &mut dyn Watch,
    clock: Stopwatch,
) -> Result<Summary, LocalError> {
    save(run, files, folders, watch);
    watch.standing(run, &files.summary);
    let summary = files.finish(run, clock.seconds())?;
    summary.check()?;
    Ok(summary)
}

/// Inputs of a merge.
pub type Inputs = Vec<Box<dyn MergeInput>>;

/// Judges a history from the frame behind the committed ones on: registry first, then the rest. True when it was read to
/// its end, false when `stop` was set before.
///
/// - `mark`: the raw partition that log time follows
/// - `after`: told of each commit
///
/// # Errors
/// When an input cannot be read, or log or outcome files cannot be written.
pub fn judge_history(
    run: &mut Embedded,
    files: &mut OutcomeFiles,
    mark: &str,
    inputs: (Inputs, Inputs),
    stop: &AtomicBool,
    mut after: impl FnMut(&mut Embedded, &mut OutcomeFiles, &MergedFrame, &Committed, &Step),
) -> Result<bool, LocalError> {
    let stamp = |at: Millis, timed: bool| {
        let marks = if timed { [(mark.to_owned(), at)].into() } else { BTreeMap::new() };
        Stamp { wall: at, marks, blind: Vec::new() }
    };
    let known = run.store().committed().frames.unwrap_or(0);
    let mut frames = 0;
    for (inputs, timed) in [(inputs.0, false), (inputs.1, true)] {
        let budget = HELD / inputs.len().max(1);
        let mut parts = Vec::new();
        for input in inputs {
            parts.extend(ordered(input, budget)?);
        }
        let mut merge = Merge::new(parts);
        loop {
            let frame = match merge.next_frame()? {
                Some(frame) => frame,
                // Log time reaches the last row.
                None if timed && merge.newest() != Millis::MIN => {
                    MergedFrame { stamp: merge.newest(), ..MergedFrame::default() }
                }
                None => break,
            };
            let last = frame.rows.is_empty() && frame.seen.is_empty() && frame.dead_letters.is_empty();
            frames += 1;
            if frames > known {
                if stop.load(Ordering::Relaxed) {
                    return Ok(false);
                }
                let record = Committed {
                    positions: frame.positions.clone(),
                    seen: frame.seen.clone(),
                    dead_letters: frame.dead_letters.clone(),
                    frames: Some(frames),
                    ..Committed::default()
                };
                let step = run.commit_record(&stamp(frame.stamp, timed), &frame.rows, record.clone())?;
                outcomes(files, &record, &step)?;
                after(run, files, &frame, &record, &step);
            }
            if last {
                break;
            }
        }
    }
    let step = run.finish()?;
    outcomes(files, &Committed::default(), &step)?;
    after(run, files, &MergedFrame::default(), &Committed::default(), &step);
    Ok(true)
}

/// Judges a history with snapshots on the way, until it is over or `stop` is set; then writes summary and snapshot.
/// True when it is over.
///
/// # Errors
/// As [`judge_history`].
pub fn run_records(
    resumed: &mut Resumed,
    mark: &str,
    inputs: (Inputs, Inputs),
    folders: &Folders,
    every: Duration,
    stop: &AtomicBool,
    watch: &mut dyn Watch,
) -> Result<(Summary, bool), LocalError> {
    let clock = Stopwatch::start();
    let (mut refreshed, mut saved, mut since) = (Stopwatch::start(), Stopwatch::start(), Stopwatch::start());
    let (run, files) = (&mut resumed.run, &mut resumed.files);
    let over = judge_history(run, files, mark, inputs, stop, |run, files, _, record, step| {
        watch.committed(run, record, step, since.lap().as_secs_f64());
        if refreshed.elapsed() >= REFRESH {
            refreshed.lap();
            watch.standing(run, &files.summary);
        }
        if saved.elapsed() >= every {
            save(run, files, folders, watch);
            saved.lap();
        }
    })?;
    Ok((finish(run, files, folders, watch, clock)?, over))
}

/// Where dead letters wait to be sent in again.
#[must_use]
pub fn inbox(out: &Path) -> PathBuf {
    out.join("inbox")
}

/// Hands dead letters to the run that writes `out`, now or when it starts: pointers, not what they point to.
///
/// # Errors
/// When the disk fails.
pub fn send_again(out: &Path, letters: &[DeadLetter]) -> Result<(), OutputError> {
    let dir = inbox(out);
    let failed = |action, path: &Path| {
        let path = path.to_owned();
        move |source| OutputError::File { action, path, source }
    };
    std::fs::create_dir_all(&dir).map_err(failed("create", &dir))?;
    for (number, letters) in letters.chunks(AGAIN).enumerate() {
        let name = format!("{:016x}-{}-{number:06}", now_ms(), std::process::id());
        let (part, whole) = (dir.join(format!("{name}.part")), dir.join(format!("{name}.jsonl")));
        let lines: String = letters.iter().map(|l| crate::deliver::dead_letter_line(l) + "\n").collect();
        std::fs::write(&part, lines).map_err(failed("write", &part))?;
        std::fs::rename(&part, &whole).map_err(failed("rename", &part))?;
    }
    Ok(())
}

/// The inbox as an input. Its files are ours: they are removed once their commit is made.
struct Inbox {
    dir: PathBuf,
    /// Committed, but perhaps still there.
    done: Vec<PathBuf>,
    looked: Option<Stopwatch>,
}

impl Inbox {
    /// No source has such a name.
    const RAW: &'static str = ":inbox/";

    fn new(out: &Path, places: &BTreeMap<String, Option<FilePlace>>) -> Inbox {
        let dir = inbox(out);
        let done = places.keys().filter_map(|raw| Some(dir.join(raw.strip_prefix(Inbox::RAW)?))).collect();
        let mut inbox = Inbox { dir, done, looked: None };
        inbox.committed();
        inbox
    }

    fn committed(&mut self) {
        for path in std::mem::take(&mut self.done) {
            if let Err(error) = std::fs::remove_file(&path)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                tracing::warn!(file = %path.display(), %error, "cannot be removed; it is not read again");
            }
        }
    }

    fn look(&mut self, pack: &Arc<Pack>, options: &Options, wall: Millis) -> Result<Look, LocalError> {
        let mut look = Look::default();
        if self.looked.is_some_and(|l| l.elapsed() < TICK) {
            return Ok(look);
        }
        self.looked = Some(Stopwatch::start());
        let Ok(entries) = std::fs::read_dir(&self.dir) else { return Ok(look) };
        let mut found: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
        found.retain(|path| path.extension().is_some_and(|e| e == "jsonl"));
        let Some(path) = found.into_iter().min() else { return Ok(look) };
        let read = std::fs::read_to_string(&path);
        let letters = read.map(|text| text.lines().filter_map(|l| read_dead_letter(l).ok()).collect::<Vec<_>>());
        match letters {
            Ok(letters) => again(pack, &letters, options, wall, &mut look)?,
            Err(error) => tracing::error!(file = %path.display(), %error, "dead letters cannot be read"),
        }
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let place = FilePlace { done: true, ..FilePlace::default() };
        look.record.files.insert(format!("{}{name}", Inbox::RAW), Some(place));
        self.done.push(path);
        Ok(look)
    }
}

/// Dead letters become new records, or dead letters again.
fn again(
    pack: &Arc<Pack>,
    letters: &[DeadLetter],
    options: &Options,
    wall: Millis,
    look: &mut Look,
) -> Result<(), LocalError> {
    for part in [Part::Registry, Part::Rest] {
        let (inputs, lost) = match Recovered::inputs(pack, letters, part, options) {
            Ok(found) => found,
            Err(error) => {
                tracing::error!(error = %chain(&error), "dead letters cannot be sent in again; they stay what they are");
                continue;
            }
        };
        for (letter, error) in lost {
            tracing::warn!(origin = letter.origin, offset = letter.offset, %error, "a dead letter is unrecoverable");
        }
        for mut input in inputs {
            input.set_wall(wall);
            while let Some(piece) = input.next()? {
                look.take(piece);
            }
        }
    }
    Ok(())
}
