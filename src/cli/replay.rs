//! `forewarn replay`: history at full speed; log time comes from the records.

use super::CliError;
use crate::clock::Stopwatch;
use crate::deliver::Summary;
use crate::deliver::files::Lengths;
use crate::intake::Options;
use crate::log::{Clock, Durable, Embedded, FileInput, Inputs, OutcomeFiles, Part, Store, judge_history};
use crate::pack::{Body, Finding, Pack};
use crate::record::Kind;
use crate::response::PackRef;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// Files or folders of records, `.gz` accepted; SOURCE is a name of rules/sources, our own envelope without it
    #[arg(long, value_name = "[SOURCE=]PATH", num_args = 1.., required = true)]
    pub(crate) records: Vec<String>,
    /// Folder of the pack
    #[arg(long, value_name = "DIR", default_value = "rules")]
    pub(crate) rules: PathBuf,
    /// Folder of the models; `models` when there is one, and what it lacks is built in
    #[arg(long, value_name = "DIR")]
    pub(crate) models: Option<PathBuf>,
    /// Folder for the outcomes
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}

/// The secret of a replay: outcomes stay in one folder, so that hashes need only be the same from run to run.
pub(crate) const SECRET: &[u8] = b"replay";

pub(crate) fn run(args: &ReplayArgs) -> Result<u8, CliError> {
    let pack = Arc::new(load(&args.rules, &models(args.models.as_deref(), Path::new("models"))?)?);
    let options = Options { partitions: 1, clock: Clock::Records, secret: SECRET.to_vec() };
    spare_inputs(&args.records, &args.out)?;
    let (registry, rest) = inputs(&pack, &args.records, &options)?;
    let summary = judge(pack, registry, rest, &options, &args.out)?;
    print_summary(&summary, &args.out);
    Ok(0)
}

/// Judges inputs from an empty log on, and writes log and outcomes to a folder; those of an earlier run are replaced.
pub(crate) fn judge(
    pack: Arc<Pack>,
    registry: Inputs,
    rest: Inputs,
    options: &Options,
    out: &Path,
) -> Result<Summary, CliError> {
    let watch = Stopwatch::start();
    may_replace(out)?;
    let log = out.join("log");
    for old in [&log, &out.join("summary.json"), &out.join(super::dead_letters::REPLAYED)] {
        remove(old)?;
    }
    let store = Store::open(&log, Durable::AtEnd).map_err(CliError::stage)?;
    write_body(out, &pack)?;
    let mut run = Embedded::new(pack.clone(), options, vec![MARK.to_owned()], store).map_err(CliError::stage)?;
    let head = PackRef { version: 1, hash: pack.hash.clone() };
    let mut files = OutcomeFiles::open(out, Lengths::default(), head).map_err(CliError::stage)?;
    let bar = progress();
    let never = AtomicBool::new(false);
    judge_history(&mut run, &mut files, MARK, (registry, rest), &never, |_, _, frame, _, _| {
        bar.inc(frame.rows.iter().map(|(_, rows)| rows.num_rows() as u64).sum());
        bar.set_message(crate::record::time::rfc3339(frame.stamp));
    })
    .map_err(CliError::stage)?;
    bar.finish_and_clear();
    let summary = files.finish(&run, watch.seconds()).map_err(CliError::stage)?;
    summary.check().map_err(CliError::stage)?;
    Ok(summary)
}

/// A line that says how far a history is.
pub(crate) fn progress() -> ProgressBar {
    ProgressBar::new_spinner().with_style(
        ProgressStyle::with_template("{spinner} {pos} records {per_sec} log time {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner()),
    )
}

/// The raw partition whose mark moves log time in a history.
pub(crate) const MARK: &str = "replay/0";

/// Outcomes must not take the place of the records that they come from.
fn spare_inputs(records: &[String], out: &Path) -> Result<(), CliError> {
    let Ok(out) = out.canonicalize() else { return Ok(()) };
    for argument in records {
        let path = Path::new(argument.split_once('=').map_or(argument.as_str(), |(_, path)| path));
        for file in files_of(path)? {
            let inside = file.canonicalize().ok().and_then(|f| Some(f.strip_prefix(&out).ok()?.to_owned()));
            let replaced = |f: &Path| f.starts_with("log") || OUTCOMES.iter().any(|name| f == Path::new(name));
            if inside.is_some_and(|f| replaced(&f)) {
                return Err(CliError::Usage(format!(
                    "the outcomes would overwrite {}; give another --out",
                    file.display()
                )));
            }
        }
    }
    Ok(())
}

/// Files of outcomes that a replay begins anew.
const OUTCOMES: [&str; 4] = ["warnings.jsonl", "signals.jsonl", "dead-letters.jsonl", "summary.json"];

/// The inputs: those of registry records, which are loaded whole first, and the others.
fn inputs(pack: &Pack, records: &[String], options: &Options) -> Result<(Inputs, Inputs), CliError> {
    let (mut registry, mut rest): (Inputs, Inputs) = (Vec::new(), Vec::new());
    let mut number = 0;
    for argument in records {
        let (source, path) = match argument.split_once('=') {
            Some((source, path)) => (Some(source), path),
            None => (None, argument.as_str()),
        };
        if let Some(source) = source.filter(|s| !pack.sources.contains_key(*s)) {
            let known: Vec<&str> = pack.sources.keys().map(String::as_str).collect();
            return Err(CliError::Usage(format!("no source \"{source}\" in the pack; there are {}", known.join(", "))));
        }
        // Dead letters name the file, and are looked up from other folders.
        let path = std::path::absolute(path).unwrap_or_else(|_| PathBuf::from(path));
        for path in files_of(&path)? {
            match source {
                Some(source) => {
                    let input = FileInput::of_source(pack, source, number, &path, options).map_err(CliError::stage)?;
                    let into = pack.sources.get(source).is_some_and(|s| s.kind == Kind::Registry);
                    if into { registry.push(Box::new(input)) } else { rest.push(Box::new(input)) }
                }
                None => {
                    for (part, into) in [(Part::Registry, &mut registry), (Part::Rest, &mut rest)] {
                        let input =
                            FileInput::of_envelope(pack, number, &path, part, options).map_err(CliError::stage)?;
                        into.push(Box::new(input));
                    }
                }
            }
            number += 1;
        }
    }
    Ok((registry, rest))
}

/// A file, or the files of a folder in the order of their names.
pub(crate) fn files_of(path: &Path) -> Result<Vec<PathBuf>, CliError> {
    let failed = |source| CliError::File { action: "read", path: path.to_owned(), source };
    if !path.is_dir() {
        std::fs::metadata(path).map_err(failed)?;
        return Ok(vec![path.to_owned()]);
    }
    let mut all = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?.path();
        if entry.is_file() {
            all.push(entry);
        }
    }
    all.sort();
    Ok(all)
}

/// `replay` and `demo` begin with an empty log. That of `run`, which holds its `lock`, is not theirs to take away.
pub(crate) fn may_replace(out: &Path) -> Result<(), CliError> {
    if out.join("log").join("lock").exists() {
        return Err(CliError::Usage(format!(
            "{} holds the log of a `forewarn run`; give another --out, or remove the folder yourself",
            out.display()
        )));
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), CliError> {
    let done = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    match done {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(CliError::File { action: "remove", path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// The pack's texts lie beside the log, so that it can be read again without the rules folder.
pub(crate) fn write_body(out: &Path, pack: &Pack) -> Result<(), CliError> {
    let dir = out.join("log");
    crate::log::write_body(&dir, pack).map_err(|source| CliError::File { action: "write", path: dir, source })
}

/// The folder of the models: one that was named must be there, the usual one may be missing.
pub(crate) fn models(named: Option<&Path>, usual: &Path) -> Result<PathBuf, CliError> {
    match named {
        Some(named) => folder("--models", named).map(Path::to_owned),
        None => Ok(usual.to_owned()),
    }
}

/// A folder of the pack that an argument or a setting names.
pub(crate) fn folder<'p>(what: &str, path: &'p Path) -> Result<&'p Path, CliError> {
    if path.is_dir() {
        return Ok(path);
    }
    let found =
        if path.exists() { "不是文件夹 it is no folder" } else { "没有此文件夹 there is no such folder" };
    Err(CliError::Usage(format!("{what} {}: {found}", path.display())))
}

/// Reads and checks a pack.
pub(crate) fn load(rules: &Path, models: &Path) -> Result<Pack, CliError> {
    folder("--rules", rules)?;
    let body = Body::load(rules, models).map_err(CliError::stage)?;
    Pack::read(body).map_err(|findings| refused(rules, &findings))
}

fn refused(rules: &Path, findings: &[Finding]) -> CliError {
    let first = findings.first().map_or_else(String::new, |f| {
        format!("{}:{}:{} {} {}", f.place.file, f.place.line, f.place.column, f.message_zh, f.message)
    });
    CliError::Usage(format!(
        "the pack of {} has {} findings, the first: {first}; see them all with `forewarn check {}`",
        rules.display(),
        findings.len(),
        rules.display()
    ))
}

pub(crate) fn print_summary(summary: &Summary, out: &Path) {
    let r = &summary.records;
    println!(
        "{:<14}{:>12}{:>12}{:>10}{:>10}{:>12}{:>12}",
        "记录 records", "in", "used", "late", "dup", "dead letter", "quarantine"
    );
    for (kind, c) in r.by_kind.iter().map(|(k, c)| (k.as_str(), c)).chain([("all", &r.total)]) {
        println!(
            "{:<14}{:>12}{:>12}{:>10}{:>10}{:>12}{:>12}",
            kind, c.incoming, c.used, c.late, c.duplicate, c.dead_lettered, c.quarantined
        );
    }
    println!("\n预警 warnings: {}", summary.warnings.total);
    for (level, n) in summary.warnings.by_level.iter().rev() {
        println!("  {:<12}{n:>8}", level.word());
    }
    for (indicator, n) in &summary.warnings.by_indicator {
        println!("  {indicator:<32}{n:>8}");
    }
    println!("\n{:.1} s; outcomes in {}", summary.seconds, out.display());
}
