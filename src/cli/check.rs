//! `forewarn check`: every finding of a pack at once.
//!
//! In: pack folders, industry folders or files. Out: findings as text with the place marked, or one JSON object a line;
//! with `--fix` the files mended, and what was changed. Exit code 1 when an error is left.

use super::CliError;
use super::test::collect;
use crate::pack::load::not_utf8;
use crate::pack::read::fix;
use crate::pack::{Finding, LOCK_FILE, LoadError, Loaded, Lock, Pack, Severity, TestFile};
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
    /// Mend what has one obvious remedy: punctuation, indentation, missing quotes, near-miss field names; accept changed
    /// meanings into lock.json as new versions
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
            Ok((pack, mut warnings)) => {
                warnings.extend(locked(&root, &loaded, &pack, args, &paths)?);
                warnings
            }
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
        tests(&loaded, &paths, &mut out)?;
    }
    out.end()?;
    Ok(u8::from(out.errors > 0))
}

/// The test files of some paths; a single rule stands for its tests too, which need not be there.
fn test_files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, CliError> {
    let mut files = Vec::new();
    for path in paths {
        collect(path, &mut files)?;
    }
    files.sort();
    files.dedup();
    files.retain(|f| f.is_file());
    Ok(files)
}

/// The test files beside the rules: their form, and whether their indicators are there.
fn tests(loaded: &Loaded, paths: &[PathBuf], out: &mut Printer) -> Result<(), CliError> {
    let id = |inner: &String| {
        let (folder, name) = inner.strip_prefix("rules/")?.split_once('/')?;
        (!matches!(folder, "sources" | "shared")).then(|| name.strip_suffix(".yaml").map(str::to_owned))?
    };
    let indicators = loaded.body.files.keys().filter_map(id).collect();
    for file in &test_files(paths)? {
        let shown = file.display().to_string();
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::InvalidData => {
                out.print(&not_utf8(&shown), &shown, "")?;
                continue;
            }
            Err(source) => return Err(CliError::File { action: "read", path: file.clone(), source }),
        };
        out.files += 1;
        for finding in TestFile::check(&shown, &text, &indicators) {
            out.print(&finding, &shown, &text)?;
        }
    }
    Ok(())
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

/// What differs from the lock beside the rules; with `--fix` it is accepted first. No lock, no findings.
fn locked(
    root: &Path,
    loaded: &Loaded,
    pack: &Pack,
    args: &CheckArgs,
    paths: &[PathBuf],
) -> Result<Vec<Finding>, CliError> {
    let path = root.join(LOCK_FILE);
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(&path).map_err(|source| CliError::File {
        action: "read",
        path: path.clone(),
        source,
    })?;
    let mut lock: Lock = serde_json::from_str(&text)
        .map_err(|error| CliError::Usage(format!("{} is no lock: {error}", path.display())))?;
    let stem = |inner: &str| inner.rsplit('/').next().and_then(|n| n.strip_suffix(".yaml")).map(str::to_owned);
    let files: BTreeMap<String, String> =
        loaded.body.files.keys().filter_map(|inner| Some((stem(inner)?, inner.clone()))).collect();
    if args.fix {
        let asked = |id: &str| files.get(id).and_then(|inner| loaded.disk.get(inner)).is_some_and(|d| named(d, paths));
        let today = crate::record::time::date(crate::record::time::local_day(crate::clock::now_ms()));
        let (next, notes) = lock.accept(pack, asked, &today);
        if next != lock {
            let text = serde_json::to_string_pretty(&next).map_err(CliError::stage)?;
            std::fs::write(&path, text + "\n").map_err(|source| CliError::File {
                action: "write",
                path: path.clone(),
                source,
            })?;
            lock = next;
        }
        for note in notes {
            match args.format {
                Format::Human => say(&format!("{}: {note}", path.display()))?,
                Format::Json => {
                    say(&serde_json::json!({ "locked": note, "file": path.display().to_string() }).to_string())?;
                }
            }
        }
    }
    Ok(lock.compare(pack, &files))
}

fn mend(loaded: &Loaded, paths: &[PathBuf], format: Format) -> Result<(), CliError> {
    let mut files: Vec<(String, PathBuf, String)> = Vec::new();
    for (inner, disk) in loaded.disk.iter().filter(|(_, d)| named(d, paths)) {
        files.extend(loaded.body.files.get(inner).map(|text| (inner.clone(), disk.clone(), text.clone())));
    }
    for file in test_files(paths)? {
        // Without a folder it is no form of a pack: only what an editor lets slip is mended.
        let name = file.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        files.extend(std::fs::read_to_string(&file).ok().map(|text| (name, file, text)));
    }
    for (inner, disk, text) in &files {
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

/// A finding as text: place, code and Chinese, the line with a mark under it and English, the hint.
pub(crate) fn human(finding: &Finding, path: &str, text: &str, coloured: bool) -> String {
    let place = &finding.place;
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let head = if place.line == 0 {
        format!("{path} {}", finding.message_zh)
    } else {
        format!("{path}:{}:{} {}", place.line, place.column, finding.message_zh)
    };
    let mut group = level.clone().primary_title(head.as_str()).id(finding.code);
    let bytes = span(text, place.line, place.column, place.length);
    let label = finding.message.as_str();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::Place;

    fn finding(line: usize, column: usize, length: usize) -> Finding {
        Finding {
            code: "level-order",
            severity: Severity::Error,
            place: Place { file: "rules/gas/a.yaml".into(), line, column, length },
            message: "yellow at 9 is not above blue at 10".into(),
            message_zh: "黄色(三级)的 9 应大于蓝色(四级)的 10".into(),
            hint: Some("raise it".into()),
        }
    }

    #[test]
    fn the_mark_stands_under_the_fault_behind_chinese() {
        let text = "id: a\nname: \"泄漏\" # 说明\n";
        let shown = human(&finding(2, 7, 4), "rules/gas/a.yaml", text, false);
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines[0].contains("rules/gas/a.yaml:2:7 黄色(三级)的 9"), "{shown}");
        let source = lines.iter().position(|l| l.contains("泄漏")).unwrap();
        // Two of the characters before the end of the mark are two columns wide.
        assert!(lines[source + 1].contains("      ^^^^^^ yellow"), "{shown}");
        assert!(shown.contains("hint: raise it"), "{shown}");
    }

    #[test]
    fn a_file_as_a_whole_and_a_place_behind_its_end_are_shown_too() {
        for at in [finding(0, 0, 0), finding(1, 99, 3), finding(9, 1, 1)] {
            assert!(human(&at, "rules/gas/a.yaml", "id: a\n", false).contains("黄色"));
        }
        assert!(human(&finding(1, 1, 1), "rules/gas/a.yaml", "", false).contains("黄色"));
    }

    #[test]
    fn a_path_inside_a_pack_leads_to_the_pack() {
        let dir = tempfile::tempdir().unwrap();
        let rules = dir.path().join("rules");
        for folder in ["rules/gas", "rules/sources", "rules/examples/nab", "models"] {
            std::fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        std::fs::write(rules.join("gas/a.yaml"), "").unwrap();
        for (path, pack) in [
            (rules.clone(), rules.clone()),
            (rules.join("gas"), rules.clone()),
            (rules.join("gas/a.yaml"), rules.clone()),
            (rules.join("sources"), rules.clone()),
            (rules.join("examples/nab"), rules.join("examples/nab")),
            (dir.path().join("models"), rules.clone()),
        ] {
            assert_eq!(pack_of(&path), pack, "{}", path.display());
        }
    }

    #[test]
    fn check_limits_findings_to_the_path_and_fix_mends_it() {
        let dir = tempfile::tempdir().unwrap();
        let gas = dir.path().join("rules/gas");
        std::fs::create_dir_all(&gas).unwrap();
        std::fs::create_dir_all(dir.path().join("rules/sources")).unwrap();
        let head = "id: gas\nname: \"燃气\"\nname_en: \"Gas\"\nlead: urban_management\nassist: []\n";
        std::fs::write(gas.join("industry.yaml"), head.replace("\"燃气\"", "燃气")).unwrap();
        std::fs::write(gas.join("plan.yaml"), "id: plan_gas\nname: \"x\"\nlevels: {}\nextra: 1\n").unwrap();
        let args = |path: &str, fix| CheckArgs { paths: vec![gas.join(path)], format: Format::Json, fix };
        assert_eq!(run(&args("industry.yaml", false)).unwrap(), 1);
        assert_eq!(run(&args("industry.yaml", true)).unwrap(), 0);
        assert_eq!(std::fs::read_to_string(gas.join("industry.yaml")).unwrap(), head);
        assert_eq!(run(&args("plan.yaml", true)).unwrap(), 1, "an unknown field has no obvious remedy");
        assert_eq!(run(&args("nosuch.yaml", false)).unwrap_err().exit_code(), 2);
    }
}
