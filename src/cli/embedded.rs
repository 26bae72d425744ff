//! `forewarn run` without Kafka: the settings become feeds and folders; the page and the metrics look on.
//!
//! In: checked settings. Out: what `log::run_wall` or `log::run_records` does, a page, and a summary at the end.

use super::CliError;
use super::gauges::Gauges;
use super::replay::{MARK, load, print_summary, progress};
use super::run::{Role, RunArgs, wait_for_signal};
use crate::clock::{Stopwatch, now_ms};
use crate::config::Settings;
use crate::console::{Console, Limits, Readiness, Ready, Standing, start};
use crate::deliver::{Summary, for_centre};
use crate::intake::Options;
use crate::log::{
    Clock, Committed, Embedded, Feed, FileInput, Folders, HistoryFile, Inputs, Step, Watch, history_files, marks,
    resume, run_records, run_wall,
};
use crate::metrics::{CommitEnd, Metrics};
use crate::pack::Pack;
use crate::record::{Kind, Millis};
use indicatif::ProgressBar;
use std::collections::BTreeMap;
use std::io::BufRead as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub(super) fn run(args: &RunArgs, settings: &Settings) -> Result<u8, CliError> {
    if args.role != Role::All {
        return Err(CliError::Usage("without `kafka:` one process does everything; leave out --role".to_owned()));
    }
    if args.accept_lost_state {
        return Err(CliError::Usage(
            "without `kafka:` no state can be lost while the log is there; leave out --accept-lost-state".to_owned(),
        ));
    }
    let file = args.config.display();
    if settings.secret.is_empty() {
        return Err(CliError::Usage(format!(
            "{file} has no `secret:`; write `secret: file:<path>` or `env:<VARIABLE>`: it replaces person ids, and must \
             stay the same"
        )));
    }
    let models = models_of(settings)?;
    let pack = Arc::new(load(super::replay::folder("rules:", &settings.rules)?, &models)?);
    let feeds = feeds(&pack, settings, &file.to_string())?;
    let folders = folders(settings);
    let options =
        Options { partitions: settings.log.partitions, clock: settings.log.clock, secret: settings.secret.clone() };

    let metrics = Arc::new(Metrics::new());
    let console = Console::new(Limits::default(), &format!("{:x}", now_ms()));
    let state = Arc::new(State::default());
    let asked = Arc::clone(&state);
    let clock = settings.log.clock;
    let readiness = Readiness::new(move || asked.ready(clock));
    let page = start(settings.listen, console.clone(), metrics.clone(), readiness).map_err(CliError::stage)?;
    println!("监测中心页面 page: http://{0}/    metrics: http://{0}/metrics", page.address());

    let stop = Arc::new(AtomicBool::new(false));
    let heard = Arc::clone(&stop);
    std::thread::spawn(move || {
        if let Err(error) = wait_for_signal(&heard) {
            tracing::error!(%error, "signals cannot be heard; a kill is safe at any time");
        }
    });

    let known = match clock {
        Clock::Wall => BTreeMap::new(),
        Clock::Records => history_files(&feeds).map_err(CliError::stage)?,
    };
    let raw = if clock == Clock::Wall { marks(&feeds) } else { vec![MARK.to_owned()] };
    // Where a history ends is fixed when it begins.
    let files = known.iter().map(|(raw, file)| (raw.clone(), Some(file.2.clone()))).collect();
    let begin = Committed { files, ..Committed::default() };
    let mut resumed = resume(&pack, &options, raw, begin, &folders).map_err(CliError::stage)?;
    for path in &resumed.mended {
        println!("已由日志重写结尾 the end was written again from the log: {}", path.display());
    }
    if resumed.replayed > 0 || resumed.restored.is_some() {
        let from =
            resumed.restored.map_or_else(|| "日志开头 the beginning".to_owned(), |n| format!("快照 snapshot {n}"));
        println!("续接日志 the log is taken up from {from}; {} commits applied again", resumed.replayed);
    }
    resumed.run.set_budget(settings.partition_memory);
    if resumed.differing > 0 {
        println!(
            "{} 处与当前程序不同 commits hold loop records that this build makes otherwise; those of the log count",
            resumed.differing
        );
    }
    let active = resumed.files.summary.pack.clone();
    metrics.pack(active.version, &active.hash);
    let mut gauges = Gauges::new(metrics.clone());
    tell_known(&folders.out, &console, &mut gauges)?;
    let mut look = Page { gauges, metrics, console, state: Arc::clone(&state), bar: None, saved: None };
    let every = Duration::from_millis(u64::try_from(settings.snapshot_every.millis()).unwrap_or(u64::MAX));
    let (summary, over) = match clock {
        Clock::Wall => {
            for feed in &feeds {
                println!("来源 input {} {}", feed.source, feed.path.display());
            }
            state.begun.store(true, Ordering::Relaxed);
            let summary = run_wall(&mut resumed, &feeds, &options, &folders, every, &stop, &mut look);
            (summary.map_err(CliError::stage)?, true)
        }
        Clock::Records => {
            let (inputs, grown) = history(&pack, &known, &resumed.run, &options)?;
            for path in &grown {
                println!(
                    "开始后有新增,不再读取 grew after the history began; what was added is not read: {}",
                    path.display()
                );
            }
            state.begun.store(true, Ordering::Relaxed);
            look.bar = Some(progress());
            run_records(&mut resumed, MARK, inputs, &folders, every, &stop, &mut look).map_err(CliError::stage)?
        }
    };
    if let Some(bar) = look.bar.take() {
        bar.finish_and_clear();
    }
    stop.store(true, Ordering::Relaxed);
    page.stop();
    print_summary(&summary, &folders.out);
    if !over {
        println!("历史未读完,再次运行将继续 the history is not read to its end; the next start goes on");
    }
    println!("已停止 stopped");
    Ok(0)
}

/// The folder of the models that the settings name, or the one beside them.
pub(super) fn models_of(settings: &Settings) -> Result<PathBuf, CliError> {
    match &settings.models {
        Some(named) => super::replay::folder("models:", named).map(Path::to_owned),
        None => Ok(settings.folder.join("models")),
    }
}

/// The folders of an embedded run.
pub(super) fn folders(settings: &Settings) -> Folders {
    Folders {
        log: settings.log.dir.clone(),
        snapshots: settings.snapshots.clone(),
        out: settings.out.clone().unwrap_or_else(|| settings.folder.join("data")),
    }
}

/// What is read: the settings' `inputs:`, else the source's own `file:`.
fn feeds(pack: &Pack, settings: &Settings, file: &str) -> Result<Vec<Feed>, CliError> {
    if let Some(unknown) = settings.inputs.keys().find(|name| !pack.sources.contains_key(*name)) {
        let known: Vec<&str> = pack.sources.keys().map(String::as_str).collect();
        return Err(CliError::Usage(format!(
            "{file}: inputs.{unknown}: no source of that name in {}; there are {}",
            settings.rules.display(),
            known.join(", ")
        )));
    }
    let feeds: Vec<Feed> = pack
        .sources
        .iter()
        .filter_map(|(name, source)| {
            let own = source.file.as_ref().map(|file| settings.folder.join(file));
            let path = settings.inputs.get(name).cloned().or(own)?;
            // Dead letters name it, and are looked up from other folders.
            let slash = path.as_os_str().to_string_lossy().ends_with('/');
            let path = std::path::absolute(&path).unwrap_or(path);
            Some(Feed { source: name.clone(), path: if slash { path.join("") } else { path } })
        })
        .collect();
    if feeds.is_empty() {
        return Err(CliError::Usage(format!(
            "{file} names nothing to read: write `inputs: {{ SOURCE: PATH }}` with a file or folder for each source of {}, \
             or `file:` into the source files; or `kafka:` to read topics",
            settings.rules.display()
        )));
    }
    for feed in &feeds {
        let parent = feed.path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !feed.path.exists() && !parent.is_dir() {
            return Err(CliError::File {
                action: "read",
                path: feed.path.clone(),
                source: std::io::Error::new(std::io::ErrorKind::NotFound, "neither it nor its folder is there"),
            });
        }
    }
    Ok(feeds)
}

/// The files of a history as they stood when it began, and those that have grown since.
fn history(
    pack: &Pack,
    known: &BTreeMap<String, HistoryFile>,
    run: &Embedded,
    options: &Options,
) -> Result<((Inputs, Inputs), Vec<PathBuf>), CliError> {
    let (mut registry, mut rest): (Inputs, Inputs) = (Vec::new(), Vec::new());
    let mut grown = Vec::new();
    let began = &run.store().committed().files;
    for (raw, place) in began {
        let Some(place) = place else { continue };
        let Some((source, path, now)) = known.get(raw) else {
            return Err(CliError::Usage(format!(
                "the history in this log began with {raw}, which the settings no longer name; name it again, or begin a \
                 new log"
            )));
        };
        if now.at < place.at {
            return Err(CliError::Usage(format!(
                "{} was {} bytes long when the history began and is {} now; put it back, or begin a new log",
                path.display(),
                place.at,
                now.at
            )));
        }
        if now.at > place.at {
            grown.push(path.clone());
        }
        let input = FileInput::of_history(pack, source, raw, path, place, options).map_err(CliError::stage)?;
        let into = pack.sources.get(source).is_some_and(|s| s.kind == Kind::Registry);
        if into { registry.push(Box::new(input)) } else { rest.push(Box::new(input)) }
    }
    grown.extend(known.iter().filter(|(raw, _)| !began.contains_key(*raw)).map(|(_, f)| f.1.clone()));
    Ok(((registry, rest), grown))
}

/// Warnings that earlier runs wrote, for page and gauges.
fn tell_known(out: &Path, console: &Console, gauges: &mut Gauges) -> Result<(), CliError> {
    let path = out.join("warnings.jsonl");
    let failed = |source| CliError::File { action: "read", path: path.clone(), source };
    let lines = std::io::BufReader::new(std::fs::File::open(&path).map_err(failed)?).lines();
    for line in lines {
        let document: serde_json::Value = serde_json::from_str(&line.map_err(failed)?).map_err(CliError::stage)?;
        if document.get("shadow") != Some(&serde_json::Value::Bool(true)) {
            gauges.known(&document);
            console.publish(&document);
        }
    }
    gauges.count_open();
    Ok(())
}

/// What `/readyz` asks about.
#[derive(Default)]
struct State {
    begun: AtomicBool,
    log_time: AtomicI64,
    blind: Mutex<Vec<String>>,
    unread: Mutex<Vec<String>>,
}

impl State {
    /// Not ready while log time stands more than half a minute back: absences would be told late.
    fn ready(&self, clock: Clock) -> Ready {
        const BEHIND: Millis = 30_000;
        let log_time = self.log_time.load(Ordering::Relaxed);
        let mut reasons = Vec::new();
        if !self.begun.load(Ordering::Relaxed) {
            reasons.push("the log is being taken up".to_owned());
        } else if clock == Clock::Wall && log_time == 0 {
            let unread = self.unread.lock().unwrap_or_else(PoisonError::into_inner).join(", ");
            reasons.push(format!("log time has not begun: not read to the end yet: {unread}"));
        } else if clock == Clock::Wall && now_ms() - log_time > BEHIND {
            reasons.push(format!("log time is {} s behind", (now_ms() - log_time) / 1_000));
        }
        let blind = self.blind.lock().unwrap_or_else(PoisonError::into_inner);
        reasons.extend(blind.iter().map(|source| format!("the input of {source} cannot be read")));
        Ready { ready: reasons.is_empty(), reasons }
    }
}

/// Page and metrics.
struct Page {
    gauges: Gauges,
    metrics: Arc<Metrics>,
    console: Console,
    state: Arc<State>,
    bar: Option<ProgressBar>,
    /// Since the newest snapshot, and its bytes.
    saved: Option<(Stopwatch, u64)>,
}

impl Watch for Page {
    fn read(&mut self, source: &str, bytes: u64) {
        self.metrics.intake_bytes(source, bytes);
    }

    fn committed(&mut self, run: &Embedded, record: &Committed, step: &Step, seconds: f64) {
        self.gauges.taken(&record.seen, &record.dead_letters);
        self.gauges.committed(run, step);
        self.metrics.commit("engine", CommitEnd::Confirmed, seconds);
        for warning in step.warnings.iter().filter(|w| !w.shadow) {
            match serde_json::to_value(for_centre(warning)) {
                Ok(document) => self.console.publish(&document),
                Err(error) => tracing::error!(%error, id = warning.id, "a warning is not on the page"),
            }
            self.metrics.warning_delay(seconds);
        }
        if let Some(bar) = &self.bar {
            bar.inc(record.seen.values().sum());
        }
    }

    fn unread(&mut self, sources: Vec<String>) {
        *self.state.unread.lock().unwrap_or_else(PoisonError::into_inner) = sources;
    }

    fn standing(&mut self, run: &Embedded, summary: &Summary) {
        let log_time = run.log_time();
        self.state.log_time.store(log_time.unwrap_or(0), Ordering::Relaxed);
        #[expect(clippy::cast_precision_loss, reason = "a lag in seconds needs no more than 52 bits")]
        let lag_seconds = log_time.map_or(0.0, |at| (now_ms() - at).max(0) as f64 / 1_000.0);
        self.gauges.standing(run, lag_seconds);
        self.console.standing(Standing { log_time, lag_seconds, records: summary.records.total.incoming });
        if let Some((since, bytes)) = &self.saved {
            self.metrics.snapshot(0, since.seconds(), *bytes);
        }
        if let (Some(bar), Some(at)) = (&self.bar, log_time) {
            bar.set_message(crate::record::time::rfc3339(at));
        }
    }

    fn blind(&mut self, source: &str, blind: bool) {
        self.metrics.source_blind(source, u32::from(blind));
        let mut all = self.state.blind.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|known| known != source);
        if blind {
            all.push(source.to_owned());
        }
    }

    fn saved(&mut self, bytes: u64) {
        self.saved = Some((Stopwatch::start(), bytes));
    }
}
