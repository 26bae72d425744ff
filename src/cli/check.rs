//! `forewarn check`: every finding of a pack at once.
//!
//! In: pack folders, industry folders or files. Out: findings as text with the place marked, or one JSON object a line;
//! with `--fix` the files mended, and what was changed. Exit code 1 when an error is left.

use super::CliError;
use crate::pack::read::fix;
use crate::pack::{Finding, LoadError, Loaded, Pack, Severity};
use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use clap::{Args, ValueEnum};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Pack folders (rules, an example), industry folders or single files; findings are limited to what is named
    #[arg(value_name = "PATH", default_value = "rules")]
    pub(crate) paths: Vec<PathBuf>,
    /// Text with the place marked, or one JSON object a line
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
    /// Mend what has one obvious remedy: punctuation, indentation, missing quotes, near-miss field names
    #[arg(long)]
    pub(crate) fix: bool,
}

/// How findings are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Human,
    /// For tools
    Json,
}

pub(crate) fn run(args: &CheckArgs) -> Result<u8, CliError> {
    // Several paths of one pack are checked once.
    let mut packs: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    for path in &args.paths {
        if !path.exists() {
            return Err(CliError::Usage(format!("{} does not exist", path.display())));
        }
        packs.entry(pack_of(path)).or_default().push(path.clone());
    }
    let mut out = Printer { format: args.format, errors: 0, warnings: 0, files: 0 };
    for (root, paths) in packs {
        let mut loaded = load(&root)?;
        if args.fix {
            mend(&loaded, &paths, args.format)?;
            loaded = load(&root)?;
        }
        let mut findings = loaded.findings.clone();
        findings.extend(match Pack::read_with_warnings(loaded.body.clone()) {
            Ok((_, warnings)) => warnings,
            Err(findings) => findings,
        });
        findings.sort_by(|a, b| (&a.place, a.code).cmp(&(&b.place, b.code)));
        out.files += loaded.disk.values().filter(|d| named(d, &paths)).count();
        for finding in findings {
            let disk = loaded.disk.get(&finding.place.file);
            // A finding about a file that is not there concerns the pack as a whole.
            if disk.is_some_and(|d| !named(d, &paths)) {
                continue;
            }
            let path = disk.map_or_else(|| finding.place.file.clone(), |d| d.display().to_string());
            let text = loaded.body.files.get(&finding.place.file).map_or("", String::as_str);
            out.print(&finding, &path, text)?;
        }
    }
    out.end()?;
    Ok(u8::from(out.errors > 0))
}

fn load(root: &Path) -> Result<Loaded, CliError> {
    Loaded::read(root, &models_of(root)).map_err(|error| match error {
        LoadError::Read { path, source } => CliError::File { action: "read", path, source },
        other => CliError::stage(other),
    })
}

/// The pack folder that a path belongs to.
pub(crate) fn pack_of(path: &Path) -> PathBuf {
    let start = if path.is_dir() { path.to_owned() } else { parent(path) };
    if start.file_name().is_some_and(|n| n == "models") && parent(&start).join("rules").is_dir() {
        return parent(&start).join("rules");
    }
    let mut at = start.clone();
    // An industry folder or a file in sources/ is one or two folders below its pack.
    for _ in 0..3 {
        if is_pack(&at) {
            return at;
        }
        at = parent(&at);
    }
    start
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(up) if !up.as_os_str().is_empty() => up.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn is_pack(path: &Path) -> bool {
    path.join("sources").is_dir()
        || path.join("shared").is_dir()
        || path.canonicalize().is_ok_and(|p| p.parent().and_then(Path::file_name).is_some_and(|n| n == "examples"))
}

/// The models that go with a pack: beside it, else none (those built in are then used).
pub(crate) fn models_of(root: &Path) -> PathBuf {
    let inside = root.join("models");
    if inside.is_dir() { inside } else { parent(root).join("models") }
}

/// True when a file is, or lies in, one of the paths asked for. A pack folder names its models too.
fn named(disk: &Path, paths: &[PathBuf]) -> bool {
    let whole = |p: &Path| std::fs::canonicalize(p).unwrap_or_else(|_| p.to_owned());
    let disk = whole(disk);
    paths.iter().any(|p| {
        let models = p.is_dir() && is_pack(p) && disk.starts_with(whole(&models_of(p)));
        disk.starts_with(whole(p)) || models
    })
}

fn mend(loaded: &Loaded, paths: &[PathBuf], format: Format) -> Result<(), CliError> {
    for (inner, disk) in loaded.disk.iter().filter(|(_, d)| named(d, paths)) {
        let Some(text) = loaded.body.files.get(inner) else { continue };
        let (mended, mends) = fix(inner, text);
        if mended == *text {
            continue;
        }
        std::fs::write(disk, mended).map_err(|source| CliError::File {
            action: "write",
            path: disk.clone(),
            source,
        })?;
        for mend in mends {
            let (was, now) = (mend.was.escape_debug(), mend.now.escape_debug());
            match format {
                Format::Human => say(&format!("{}:{} fixed {}: {was} → {now}", disk.display(), mend.line, mend.code))?,
                Format::Json => {
                    let line = serde_json::json!({
                        "fixed": mend.code, "file": disk.display().to_string(), "line": mend.line,
                        "was": mend.was, "now": mend.now,
                    });
                    say(&line.to_string())?;
                }
            }
        }
    }
    Ok(())
}

/// Prints a line; a reader that has gone away (`| head`) is no failure of the check.
fn say(line: &str) -> Result<(), CliError> {
    match writeln!(std::io::stdout().lock(), "{line}") {
        Err(source) if source.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(CliError::File { action: "write", path: PathBuf::from("standard output"), source })
        }
        _ => Ok(()),
    }
}

struct Printer {
    format: Format,
    errors: usize,
    warnings: usize,
    files: usize,
}

impl Printer {
    fn print(&mut self, finding: &Finding, path: &str, text: &str) -> Result<(), CliError> {
        match finding.severity {
            Severity::Error => self.errors += 1,
            Severity::Warning => self.warnings += 1,
        }
        match self.format {
            Format::Human => say(&human(finding, path, text, std::io::stdout().is_terminal())),
            Format::Json => {
                let mut line = serde_json::json!(finding);
                line["file"] = path.into();
                say(&line.to_string())
            }
        }
    }

    fn end(&self) -> Result<(), CliError> {
        let (errors, warnings, files) = (self.errors, self.warnings, self.files);
        match self.format {
            Format::Human => say(&format!(
                "{files} files checked: {errors} errors, {warnings} warnings / 检查 {files} 个文件: {errors} 个错误, {warnings} 个警告"
            )),
            Format::Json => Ok(()),
        }
    }
}

/// A finding as text: place, code and English, Chinese, the line with a mark under it, the hint.
fn human(finding: &Finding, path: &str, text: &str, coloured: bool) -> String {
    let place = &finding.place;
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let head = if place.line == 0 {
        format!("{path} {}", finding.message)
    } else {
        format!("{path}:{}:{} {}", place.line, place.column, finding.message)
    };
    let mut group = level.clone().primary_title(head.as_str()).id(finding.code);
    let bytes = span(text, place.line, place.column, place.length);
    let label = finding.message_zh.as_str();
    let group = match &bytes {
        Some(bytes) => group.element(
            Snippet::source(text).path(path).annotation(AnnotationKind::Primary.span(bytes.clone()).label(label)),
        ),
        None => {
            group = group.id(finding.code);
            group.element(Level::NOTE.message(label))
        }
    };
    let hint = finding.hint.as_deref().map(|h| format!("hint: {h}"));
    let group = match &hint {
        Some(hint) => group.element(Level::HELP.no_name().message(hint.as_str())),
        None => group,
    };
    let renderer = if coloured { Renderer::styled() } else { Renderer::plain() };
    format!("{}\n", renderer.decor_style(DecorStyle::Ascii).render(&[group]))
}

/// Line, column and length in characters as bytes of the text.
fn span(text: &str, line: usize, column: usize, length: usize) -> Option<std::ops::Range<usize>> {
    let mut start = 0;
    let mut rest = text.split('\n');
    for _ in 1..line {
        start += rest.next()?.len() + 1;
    }
    let line = (line > 0).then(|| rest.next())??;
    let at = |n: usize| line.char_indices().nth(n).map_or(line.len(), |(i, _)| i);
    let (from, to) = (at(column - 1), at(column - 1 + length));
    Some(start + from..start + to)
}
