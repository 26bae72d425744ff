//! Takes up the log of an embedded run where it stands, and saves the state so that this is quick.
//!
//! In: the folders of log, snapshots and outcomes. Out: a run that goes on behind the last commit, and its outcome files
//! as the log leads to them. Promise: state and outcomes are functions of the log. The newest usable snapshot only
//! saves time: damaged, of another log, of another build or of lost files, an older one is taken, then the whole log.
//! Loop records are those of the log; those that the engines make again are compared with them.
//! Not here: what comes in (`local`).

use super::embedded::{Embedded, EmbeddedError, Step};
use super::judges::{Judge, JudgeError, Judges, write_body};
use super::kafka::snapshots::{Head, Snapshots};
use super::store::{Commit, CommitReader, chains};
use super::{Activate, Clock, Committed, Durable, Entry, LogError, OutcomeFiles, Store, decode, encode};
use crate::deliver::Summary;
use crate::deliver::files::{Lengths, OutputError, Outputs};
use crate::engine::{Engine, Program};
use crate::intake::{Fingerprint, Options, Registry};
use crate::pack::Pack;
use crate::record::Kind;
use crate::response::PackRef;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The folders of an embedded run.
#[derive(Clone, Debug)]
pub struct Folders {
    /// Segments of the log, and the packs that judged it.
    pub log: PathBuf,
    /// Snapshots of the state.
    pub snapshots: PathBuf,
    /// Files of outcomes.
    pub out: PathBuf,
}

/// Why the log could not be taken up.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// The run.
    #[error(transparent)]
    Run(#[from] EmbeddedError),
    /// The outcome files.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// A pack of the log.
    #[error(transparent)]
    Judge(#[from] JudgeError),
    /// Number of partitions or clock.
    #[error("the log in {dir} was made with {made}, the settings say {asked}; both are fixed with the log")]
    Form {
        /// The folder.
        dir: PathBuf,
        /// As the log begins.
        made: String,
        /// As asked for.
        asked: String,
    },
    /// The secret that replaces person ids.
    #[error(
        "日志 {dir} 是用另一个密钥建立的:人员假名会变,以前和以后的记录对不上;请恢复原来的密钥,或者另建日志 the log was made with \
         another secret: persons would get other pseudonyms and their records would not meet; give the old one back, or \
         begin a new log"
    )]
    Secret {
        /// The folder.
        dir: PathBuf,
    },
    /// Another process writes it.
    #[error("another forewarn is running on the log in {dir}")]
    InUse {
        /// The folder.
        dir: PathBuf,
    },
    /// A new log, beside outcomes of another one.
    #[error("the log in {log} is empty, but {out} holds outcomes; move them away, or name another folder")]
    Stray {
        /// The folder of the log.
        log: PathBuf,
        /// That of the outcomes.
        out: PathBuf,
    },
}

impl From<LogError> for ResumeError {
    fn from(error: LogError) -> ResumeError {
        ResumeError::Run(error.into())
    }
}

/// A run that goes on.
pub struct Resumed {
    /// The engines with their log.
    pub run: Embedded,
    /// The outcome files.
    pub files: OutcomeFiles,
    /// Commit of the snapshot that was taken up.
    pub restored: Option<u64>,
    /// Commits that were applied again.
    pub replayed: u64,
    /// Loop records of the log that these engines would have made otherwise (another build).
    pub differing: u64,
    /// Outcome files whose bytes were not those that the log leads to, and are now.
    pub mended: Vec<PathBuf>,
    /// Keeps others away from the log.
    _lock: std::fs::File,
}

/// What a snapshot holds beside its head.
#[derive(Serialize, Deserialize)]
struct Saved {
    engines: Vec<Vec<u8>>,
    ends: Vec<u64>,
    round: i64,
    waiting: Vec<(u32, Vec<u8>)>,
    active: Activate,
    registry: Vec<u8>,
    /// Lengths and summary of the outcome files, as JSON.
    lengths: Vec<u8>,
    summary: Vec<u8>,
}

fn snapshots(folders: &Folders) -> Snapshots {
    // One log of all partitions: its state is one file.
    Snapshots::new(&folders.snapshots, 0, "embedded")
}

/// Opens the log of a folder: begins it, or takes it up.
///
/// - `raw`: the raw partitions whose marks move log time from here on
/// - `begin`: what the first commit of a new log says
///
/// # Errors
/// When a folder cannot be used, or the log has another form than `options`.
pub fn resume(
    pack: &Arc<Pack>,
    options: &Options,
    raw: Vec<String>,
    begin: Committed,
    folders: &Folders,
) -> Result<Resumed, ResumeError> {
    let lock = lock(&folders.log)?;
    let program = Arc::new(Program::new(pack).map_err(EmbeddedError::from)?);
    let judge = Judge::new(pack.clone(), program);
    let beside = |source| LogError::File { action: "write", path: folders.log.clone(), source };
    write_body(&folders.log, pack).map_err(beside)?;
    let store = Store::open(&folders.log, Durable::Yes)?;
    let commits = store.end().0;
    let mut run = Embedded::over(judge.clone(), options, store)?;
    let head = |run: &Embedded| PackRef { version: run.active.version, hash: run.active.hash.clone() };
    if commits == 0 {
        if Outputs::found(&folders.out) != Lengths::default() {
            return Err(ResumeError::Stray { log: folders.log.clone(), out: folders.out.clone() });
        }
        keep_secret(&folders.log, options)?;
        run.activate(raw, begin)?;
        let files = OutcomeFiles::open(&folders.out, Lengths::default(), head(&run))?;
        let mended = Vec::new();
        return Ok(Resumed { run, files, restored: None, replayed: 0, differing: 0, mended, _lock: lock });
    }
    let mut judges = Judges::new(&folders.log);
    judges.add(judge.clone());
    let first = first_commit(&folders.log)?;
    check_form(&first, options, &folders.log)?;
    check_secret(&folders.log, options)?;
    let saved = newest(&mut run, &mut judges, folders, commits)?;
    let (restored, lengths, summary) = match saved {
        Some((number, lengths, summary)) => (Some(number), lengths, summary),
        None => (None, Lengths::default(), Summary::new(head(&run))),
    };
    let mut files = OutcomeFiles::derive(&folders.out, lengths, summary)?;
    let (mut replayed, mut differing) = (0, 0);
    let mut reader = CommitReader::new(&folders.log)?;
    while let Some(commit) = reader.next_commit()? {
        if restored.is_some_and(|number| commit.number <= number) {
            continue;
        }
        let step = run.again(&commit, &mut judges, &mut differing)?;
        files.intake(&commit.record.seen, &commit.record.dead_letters)?;
        files.outcomes(&step)?;
        replayed += 1;
    }
    let mended = files.settle()?;
    // A crash between a commit and that of its loop records left them waiting.
    if options.clock == Clock::Wall {
        let step = run.drain()?;
        files.outcomes(&step)?;
    }
    if run.active.hash != pack.hash || run.active.raw != raw {
        run.judge = judge;
        let step = run.activate(raw, Committed::default())?;
        files.outcomes(&step)?;
    }
    files.summary.pack = head(&run);
    files.flush()?;
    Ok(Resumed { run, files, restored, replayed, differing, mended, _lock: lock })
}

fn lock(dir: &Path) -> Result<std::fs::File, ResumeError> {
    let path = dir.join("lock");
    let failed = |source| LogError::File { action: "create", path: path.clone(), source };
    std::fs::create_dir_all(dir).map_err(failed)?;
    let file = std::fs::File::create(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(ResumeError::InUse { dir: dir.to_owned() }),
        Err(std::fs::TryLockError::Error(source)) => Err(failed(source).into()),
    }
}

fn first_commit(dir: &Path) -> Result<Commit, ResumeError> {
    let damaged = LogError::Damaged { place: dir.display().to_string(), what: "no first commit".to_owned() };
    CommitReader::new(dir)?.next_commit()?.ok_or_else(|| damaged.into())
}

/// The first commit is one pack entry per partition.
fn check_form(first: &Commit, options: &Options, dir: &Path) -> Result<(), ResumeError> {
    let said = |partitions: usize, clock: Clock| {
        let clock = if clock == Clock::Wall { "wall" } else { "records" };
        format!("{partitions} partitions and clock {clock}")
    };
    let clock = match first.entries.first().map(|(_, bytes)| decode(bytes)).transpose()? {
        Some(Entry::Pack(activate)) => activate.clock,
        _ => {
            let place = dir.display().to_string();
            return Err(LogError::Damaged { place, what: "it does not begin with a pack".to_owned() }.into());
        }
    };
    let (made, asked) = (said(first.entries.len(), clock), said(options.partitions.max(1) as usize, options.clock));
    if made == asked { Ok(()) } else { Err(ResumeError::Form { dir: dir.to_owned(), made, asked }) }
}

/// The file that tells which secret a log was made with, in its folder.
const SECRET: &str = "secret.fingerprint";

fn keep_secret(dir: &Path, options: &Options) -> Result<(), ResumeError> {
    let path = dir.join(SECRET);
    let part = dir.join(format!("{SECRET}.part"));
    let written = std::fs::write(&part, format!("{}\n", Fingerprint::of(&options.secret)))
        .and_then(|()| std::fs::File::open(&part)?.sync_all())
        .and_then(|()| std::fs::rename(&part, &path));
    written.map_err(|source| LogError::File { action: "write", path, source }.into())
}

/// Another secret than the log's is refused. A log of an earlier build has no fingerprint: it gets that of this start.
fn check_secret(dir: &Path, options: &Options) -> Result<(), ResumeError> {
    let path = dir.join(SECRET);
    match std::fs::read_to_string(&path) {
        Ok(text) => match text.parse::<Fingerprint>() {
            Ok(made) if made == Fingerprint::of(&options.secret) => Ok(()),
            Ok(_) => Err(ResumeError::Secret { dir: dir.to_owned() }),
            Err(error) => Err(LogError::Damaged { place: path.display().to_string(), what: error.to_string() }.into()),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => keep_secret(dir, options),
        Err(source) => Err(LogError::File { action: "read", path, source }.into()),
    }
}

/// Takes up the newest snapshot that belongs to this log; gives its commit, and lengths and summary of the outcomes then.
fn newest(
    run: &mut Embedded,
    judges: &mut Judges,
    folders: &Folders,
    commits: u64,
) -> Result<Option<(u64, Lengths, Summary)>, ResumeError> {
    let found = snapshots(folders).below(commits)?;
    let numbers: BTreeSet<u64> = found.iter().map(|(head, _)| head.next).collect();
    let chains = chains(&folders.log, &numbers)?;
    let outcomes = Outputs::found(&folders.out);
    for (head, bytes) in found {
        let number = head.next;
        let passed = |why: &str| tracing::warn!(commit = number, why, "a snapshot is passed over");
        if chains.get(&number) != Some(&head.hash) {
            passed("it is of another log");
            continue;
        }
        let judge = match judges.of(&head.pack) {
            Ok(judge) => judge,
            Err(error) => {
                passed(&error.to_string());
                continue;
            }
        };
        let Some((saved, lengths, summary)) = read(&bytes) else {
            passed("it does not read");
            continue;
        };
        let short = lengths.warnings > outcomes.warnings
            || lengths.signals > outcomes.signals
            || lengths.dead_letters > outcomes.dead_letters;
        if short {
            passed("outcome files are shorter than they were then");
            continue;
        }
        match run.take_up(saved, judge) {
            Ok(()) => return Ok(Some((number, lengths, summary))),
            Err(why) => passed(&why),
        }
    }
    Ok(None)
}

fn read(bytes: &[u8]) -> Option<(Saved, Lengths, Summary)> {
    let saved: Saved = postcard::from_bytes(bytes).ok()?;
    let lengths = serde_json::from_slice(&saved.lengths).ok()?;
    let summary = serde_json::from_slice(&saved.summary).ok()?;
    Some((saved, lengths, summary))
}

impl Embedded {
    /// Applies a commit of the log again.
    fn again(&mut self, commit: &Commit, judges: &mut Judges, differing: &mut u64) -> Result<Step, ResumeError> {
        let mut outcomes = Vec::with_capacity(commit.entries.len());
        let mut loops = false;
        for (partition, bytes) in &commit.entries {
            let entry = decode(bytes)?;
            match &entry {
                Entry::Loop(_) if !loops => {
                    loops = true;
                    // What waits now is what this commit brought into the log.
                    let made: Vec<(u32, Vec<u8>)> = self.loops().iter().map(|(p, e)| (*p, encode(e))).collect();
                    if made != commit.entries {
                        *differing += 1;
                    }
                }
                Entry::Loop(_) | Entry::Tick(_) => {}
                Entry::Rows(frame) => {
                    for block in frame.blocks.iter().filter(|b| b.home && b.kind == Kind::Registry) {
                        self.router.registry().apply(&block.rows);
                    }
                }
                Entry::Pack(activate) => {
                    self.active = activate.clone();
                    self.judge = judges.of(&activate.hash)?;
                    let program = self.judge.program.clone();
                    if let Some(engine) =
                        self.engines.get_mut(*partition as usize).filter(|e| e.pack() != activate.hash)
                    {
                        engine.change_pack(program);
                    }
                }
            }
            outcomes.push(self.apply(*partition, &entry));
        }
        self.round = commit.record.round.unwrap_or(self.round);
        Ok(self.step(outcomes))
    }

    /// The state becomes that of a snapshot; nothing is changed when it cannot be used.
    fn take_up(&mut self, saved: Saved, judge: Judge) -> Result<(), String> {
        let partitions = u32::try_from(self.engines.len()).map_err(|e| e.to_string())?;
        if saved.engines.len() != self.engines.len() || saved.ends.len() != self.engines.len() {
            return Err("it has another number of partitions".to_owned());
        }
        let registry = Registry::restore(&saved.registry).ok_or("its registry does not read")?;
        let mut engines = Vec::with_capacity(saved.engines.len());
        for (partition, bytes) in (0..).zip(&saved.engines) {
            let engine = Engine::restore(judge.program.clone(), bytes, partition, partitions);
            engines.push(engine.map_err(|e| e.to_string())?);
        }
        let mut waiting = Vec::new();
        for (partition, bytes) in &saved.waiting {
            if let Entry::Loop(frame) = decode(bytes).map_err(|e| e.to_string())? {
                waiting.extend(frame.blocks.into_iter().map(|block| (*partition, block)));
            }
        }
        (self.engines, self.ends, self.waiting, self.round) = (engines, saved.ends, waiting, saved.round);
        (self.active, self.judge) = (saved.active, judge);
        *self.router.registry() = registry;
        Ok(())
    }

    /// Saves the state behind the last commit. Gives the bytes of the snapshot.
    ///
    /// # Errors
    /// When the disk fails; the run can go on, as a snapshot only saves time.
    pub fn save(&mut self, files: &mut OutcomeFiles, folders: &Folders) -> Result<u64, ResumeError> {
        let (commits, chain) = self.store.end();
        let lengths = files.sync()?;
        let waiting = self.waiting.clone();
        let encoded = self.loops().iter().map(|(p, e)| (*p, encode(e))).collect();
        self.waiting = waiting;
        let told = |value: serde_json::Result<Vec<u8>>| value.expect("numbers and texts");
        let saved = Saved {
            engines: self.engines.iter().map(Engine::save).collect(),
            ends: self.ends.clone(),
            round: self.round,
            waiting: encoded,
            active: self.active.clone(),
            registry: self.router.save_registry(),
            lengths: told(serde_json::to_vec(&lengths)),
            summary: told(serde_json::to_vec(&files.summary)),
        };
        let state = postcard::to_allocvec(&saved).expect("a snapshot holds nothing that cannot be written");
        let head = Head {
            next: commits,
            outcomes: 0,
            hash: chain,
            version: self.active.version,
            pack: self.active.hash.clone(),
            clock: self.clock,
            at: crate::clock::now_ms(),
            sum: 0,
        };
        snapshots(folders).write(&head, &state)?;
        Ok(state.len() as u64)
    }
}
