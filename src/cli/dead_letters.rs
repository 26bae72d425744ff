//! `forewarn dead-letters`: what would not become a record.
//!
//! In: the pointers that a run wrote, and the files or topics they point into. Out: counts, one of them as it may be
//! seen, or what they become: a new folder under the present pack, or over Kafka new messages in their raw topics.
//! Those of a folder that were sent in again stand in a file beside them, so that they are listed and sent only once.

use super::replay::{judge, load, print_summary};
use super::topics::System;
use super::{CliError, Found, Where};
use crate::deliver::read_dead_letter;
use crate::intake::{Options, Shown, shown};
use crate::log::kafka::{fetch_message, read_dead_letters, read_packs, resend};
use crate::log::{Clock, DeadLetter, Inputs, Lost, Part, Recovered, Unrecoverable, fetch, header, send_again};
use crate::pack::{Body, Format, Pack};
use crate::record::Kind;
use clap::{Args, Subcommand};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(crate) enum DeadLettersCommand {
    /// 清单 Counts by source, reason and field, then each of them with its number
    List {
        /// Which
        #[command(flatten)]
        which: Which,
        /// Show at most so many, the newest
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: usize,
        /// Where they are
        #[command(flatten)]
        at: Where,
    },
    /// 查看 One of them: reason, field, and its bytes fetched again from where they came
    ///
    /// The bytes are checked against their SHA-256. Only fields that the source file lists are shown; personal columns are
    /// left out and free text is masked. Exit code 1 when the file is gone or was changed.
    Show {
        /// Its number in `list`
        #[arg(value_name = "NUMBER")]
        number: usize,
        /// Where they are
        #[command(flatten)]
        at: Where,
    },
    /// 重放 Sends their bytes in again as new records, after the cause was mended
    ///
    /// With --config: hands them to the run with these settings, which fetches the bytes, maps them by its pack and judges
    /// them together with all else, as new records, with its next commit; when it does not run, at its next start.
    ///
    /// With --to: maps and judges them alone by the pack of --rules, and writes what comes of it to that folder:
    /// dead-letters.jsonl, warnings.jsonl, summary.json and a log. In the folder --out it is only noted which of them became
    /// records. To judge the records together with the rest of their history, run `forewarn replay` over the whole history
    /// again.
    ///
    /// Those that were sent in again are listed and sent once more with --all only. One that is refused again is a new
    /// dead letter with a number of its own.
    ///
    /// Over Kafka (--config): the messages go into their raw topics again, and the running system judges them.
    ///
    /// A message that held several records is sent in whole, once; its good records are then duplicates. What cannot be
    /// fetched (aged out, changed) is counted as unrecoverable. Exit code 1 when nothing could be recovered.
    Replay {
        /// Which
        #[command(flatten)]
        which: Which,
        /// Folder of the pack
        #[arg(long, value_name = "DIR", default_value = "rules")]
        rules: PathBuf,
        /// Folder of the models; `models` when there is one, and what it lacks is built in
        #[arg(long, value_name = "DIR")]
        models: Option<PathBuf>,
        /// Folder for what comes of them; a new one, or one that an earlier replay wrote
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
        /// Where they are
        #[command(flatten)]
        at: Where,
    },
}

/// A choice among dead letters.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Only this source
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Only this reason
    #[arg(long, value_name = "CODE")]
    reason: Option<String>,
    /// Those too that were sent in again (of a folder; over Kafka all are listed until they age out)
    #[arg(long)]
    all: bool,
}

impl Which {
    fn takes(&self, letter: &DeadLetter) -> bool {
        self.source.as_ref().is_none_or(|s| *s == letter.source)
            && self.reason.as_ref().is_none_or(|r| *r == letter.reason)
    }
}

pub(crate) fn run(command: &DeadLettersCommand) -> Result<u8, CliError> {
    let (DeadLettersCommand::List { at, .. }
    | DeadLettersCommand::Show { at, .. }
    | DeadLettersCommand::Replay { at, .. }) = command;
    let (log, out, settings) = match at.found()? {
        Found::Files { log, out, settings } => (log, out, settings),
        Found::Kafka(system) => return over_kafka(&system, command),
    };
    let letters = read(&out)?;
    match command {
        DeadLettersCommand::List { which, limit, .. } => {
            list(&letters, &replayed(&out, &letters)?, which, *limit);
            Ok(0)
        }
        DeadLettersCommand::Show { number, .. } => {
            let letter = numbered(&letters, *number)?;
            let header = || header(&letter.origin).ok();
            Ok(show(*number, letter, fetch(letter), pack_beside(&log).as_ref(), header))
        }
        DeadLettersCommand::Replay { which, rules, models, to, .. } => {
            let gone = replayed(&out, &letters)?;
            let taken =
                |(number, letter): &(usize, &DeadLetter)| which.takes(letter) && (which.all || !gone.contains(number));
            let chosen: Vec<(usize, DeadLetter)> =
                numbers(&letters).filter(taken).map(|(number, letter)| (number, letter.clone())).collect();
            match (to, settings) {
                (Some(to), _) if same(&out, to) => {
                    Err(CliError::Usage("--to must be another folder than --out, which is kept".to_owned()))
                }
                (Some(to), _) => {
                    let models = super::replay::models(models.as_deref(), Path::new("models"))?;
                    again(&chosen, &load(rules, &models)?, &out, to)
                }
                (None, Some(settings)) if settings.log.clock == Clock::Wall => hand_over(&chosen, &out),
                (None, Some(_)) => Err(CliError::Usage(
                    "with `clock: records` nothing enters behind the history; judge them alone with --to DIR"
                        .to_owned(),
                )),
                (None, None) => Err(CliError::Usage(
                    "dead-letters replay --out DIR needs --to DIR, the folder for what comes of them".to_owned(),
                )),
            }
        }
    }
}

/// The same with the pointers of `forewarn.dead-letters` and the bytes of the raw topics.
fn over_kafka(system: &System, command: &DeadLettersCommand) -> Result<u8, CliError> {
    let client = &system.client;
    let mut letters = read_dead_letters(client).map_err(CliError::stage)?;
    match command {
        DeadLettersCommand::List { which, limit, .. } => {
            list(&letters, &BTreeSet::new(), which, *limit);
            Ok(0)
        }
        DeadLettersCommand::Show { number, .. } => {
            let letter = numbered(&letters, *number)?;
            let packs = read_packs(client).map_err(CliError::stage)?;
            let body = packs.active.as_ref().and_then(|(_, hash)| packs.body(hash).ok());
            let pack = body.and_then(|body| Pack::read_logged(body).ok());
            let bytes = fetch_message(client, letter).map(|message| message.payload.unwrap_or_default());
            Ok(show(*number, letter, bytes, pack.as_ref(), || None))
        }
        DeadLettersCommand::Replay { which, to, .. } => {
            if to.is_some() {
                return Err(CliError::Usage(
                    "over Kafka the messages go into their raw topics again; --to is for folders".to_owned(),
                ));
            }
            letters.retain(|letter| which.takes(letter));
            let (sent, lost) = resend(client, &letters).map_err(CliError::stage)?;
            Ok(sent_again(&letters, sent, &lost))
        }
    }
}

fn numbered(letters: &[DeadLetter], number: usize) -> Result<&DeadLetter, CliError> {
    number.checked_sub(1).and_then(|n| letters.get(n)).ok_or_else(|| {
        CliError::Usage(format!("no dead letter {number}; `list` has the numbers 1 to {}", letters.len()))
    })
}

/// Says what was sent in again and what could not be had.
fn sent_again(letters: &[DeadLetter], messages: usize, lost: &Lost<'_>) -> u8 {
    for (letter, error) in lost {
        eprintln!("不可恢复 unrecoverable {} at {}: {error}", letter.origin, letter.offset);
    }
    println!(
        "死信 dead letters: {}; 重放 sent in again: {messages} messages; 不可恢复 unrecoverable: {}",
        letters.len(),
        lost.len()
    );
    u8::from(messages == 0 && !letters.is_empty())
}

/// To the run that writes the folder: those that can still be fetched.
fn hand_over(letters: &[(usize, DeadLetter)], out: &Path) -> Result<u8, CliError> {
    let (mut whole, mut numbers, mut lost) = (Vec::new(), BTreeSet::new(), 0);
    for (number, letter) in letters {
        match fetch(letter) {
            Ok(_) => {
                whole.push(letter.clone());
                numbers.insert(*number);
            }
            Err(e) => {
                eprintln!("不可恢复 unrecoverable {} at {}: {e}", letter.origin, letter.offset);
                lost += 1;
            }
        }
    }
    send_again(out, &whole).map_err(CliError::stage)?;
    // What is refused once more is a new dead letter with a number of its own.
    mark(out, letters, &numbers)?;
    println!(
        "死信 dead letters: {}; 已交给系统,随下一次提交成为新记录 handed over, new records with the next commit: {}; \
         不可恢复 unrecoverable: {lost}",
        letters.len(),
        whole.len()
    );
    Ok(u8::from(whole.is_empty() && !letters.is_empty()))
}

fn same(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    }
}

fn read(out: &Path) -> Result<Vec<DeadLetter>, CliError> {
    let path = out.join("dead-letters.jsonl");
    let text = std::fs::read_to_string(&path).map_err(|source| CliError::File { action: "read", path, source })?;
    text.lines().map(|line| read_dead_letter(line).map_err(CliError::stage)).collect()
}

/// The file that says which of a folder's dead letters were sent in again: one a line, as they stand, with `number`.
pub(crate) const REPLAYED: &str = "dead-letters-replayed.jsonl";

#[derive(serde::Serialize, serde::Deserialize)]
struct Mark {
    number: usize,
    origin: String,
    offset: i64,
    row: u32,
    sha256: String,
}

impl Mark {
    fn of(number: usize, letter: &DeadLetter) -> Mark {
        let DeadLetter { origin, offset, row, sha256, .. } = letter.clone();
        Mark { number, origin, offset, row, sha256 }
    }

    fn is(&self, letter: &DeadLetter) -> bool {
        let same = (self.offset, self.row) == (letter.offset, letter.row);
        same && self.origin == letter.origin && self.sha256 == letter.sha256
    }
}

fn numbers(letters: &[DeadLetter]) -> impl Iterator<Item = (usize, &DeadLetter)> {
    letters.iter().enumerate().map(|(i, letter)| (i + 1, letter))
}

/// Numbers of the letters that were sent in again. A mark for another letter, of an earlier run in the folder, says
/// nothing; nor does a line that a crash cut.
fn replayed(out: &Path, letters: &[DeadLetter]) -> Result<BTreeSet<usize>, CliError> {
    let path = out.join(REPLAYED);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(source) => return Err(CliError::File { action: "read", path, source }),
    };
    let marks = text.lines().filter_map(|line| serde_json::from_str::<Mark>(line).ok());
    let letter = |mark: &Mark| letters.get(mark.number.checked_sub(1)?);
    Ok(marks.filter(|mark| letter(mark).is_some_and(|l| mark.is(l))).map(|mark| mark.number).collect())
}

/// Notes which of the chosen letters were sent in again.
fn mark(out: &Path, chosen: &[(usize, DeadLetter)], sent: &BTreeSet<usize>) -> Result<(), CliError> {
    let path = out.join(REPLAYED);
    let mut lines = String::new();
    for (number, letter) in chosen.iter().filter(|(number, _)| sent.contains(number)) {
        lines += &serde_json::to_string(&Mark::of(*number, letter)).map_err(CliError::stage)?;
        lines.push('\n');
    }
    let write = || std::fs::OpenOptions::new().create(true).append(true).open(&path)?.write_all(lines.as_bytes());
    write().map_err(|source| CliError::File { action: "write", path: path.clone(), source })
}

fn list(letters: &[DeadLetter], replayed: &BTreeSet<usize>, which: &Which, limit: usize) {
    let open = |number: &usize| which.all || !replayed.contains(number);
    let chosen: Vec<(usize, &DeadLetter)> =
        numbers(letters).filter(|(number, letter)| which.takes(letter) && open(number)).collect();
    let mut counts: BTreeMap<(&str, &str, &str), u64> = BTreeMap::new();
    for (_, l) in &chosen {
        *counts.entry((&l.source, &l.reason, l.field.as_deref().unwrap_or("-"))).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    println!("死信 dead letters: {} of {}", chosen.len(), letters.len());
    if !replayed.is_empty() && !which.all {
        println!("已重放 sent in again: {}; 用 --all 列出 --all shows them too", replayed.len());
    }
    if !counts.is_empty() {
        println!("\n{:>8}  {:<24}{:<14}field", "count", "source", "reason");
    }
    for ((source, reason, field), n) in counts {
        println!("{n:>8}  {source:<24}{reason:<14}{field}");
    }
    let newest = chosen.len().saturating_sub(limit);
    if chosen.len() > newest {
        println!("\n{:>8}  {:<24}{:<14}{:<20}where", "number", "source", "reason", "field");
    }
    for (number, l) in chosen.iter().skip(newest) {
        let field = l.field.as_deref().unwrap_or("-");
        let sent = if replayed.contains(number) { "  已重放 sent in again" } else { "" };
        println!("{number:>8}  {:<24}{:<14}{field:<20}{} at {}{sent}", l.source, l.reason, l.origin, l.offset);
    }
}

fn show(
    number: usize,
    letter: &DeadLetter,
    bytes: Result<Vec<u8>, Unrecoverable>,
    pack: Option<&Pack>,
    header: impl FnOnce() -> Option<Vec<u8>>,
) -> u8 {
    println!("死信 dead letter {number}");
    println!("  原因 reason   {} {}", letter.reason, letter.field.as_deref().unwrap_or_default());
    println!("  说明 detail   {}", letter.detail);
    println!("  来源 source   {} ({}), raw {}", letter.source, letter.kind, letter.raw);
    println!("  位置 where    {} at {}, row {}, {} bytes", letter.origin, letter.offset, letter.row, letter.length);
    println!("  sha256        {}", letter.sha256);
    let bytes = match bytes {
        Ok(bytes) => bytes,
        Err(e) => {
            println!("  不可恢复 unrecoverable: {e}{}", cause(&e));
            return 1;
        }
    };
    println!("  内容 content  the bytes have this SHA-256");
    let kind = crate::intake::kind_of(&bytes).or_else(|| Kind::from_word(&letter.kind));
    let source = pack.and_then(|p| {
        p.sources.get(&letter.source).or_else(|| p.sources.values().find(|s| s.envelope && Some(s.kind) == kind))
    });
    let header = source.filter(|s| s.format == Format::Csv).and_then(|_| header());
    match shown(&bytes, source, header.as_deref()) {
        Shown::Fields(fields) => fields.iter().for_each(|(name, value)| println!("    {name:<28} {value}")),
        Shown::Text(text) => println!("    {text}"),
        Shown::Hidden => {
            println!("    (无法拆分且可能含个人信息 cannot be taken apart and may hold personal data; not shown)")
        }
    }
    0
}

fn cause(e: &Unrecoverable) -> String {
    std::error::Error::source(e).map_or_else(String::new, |s| format!(": {s}"))
}

/// The pack that lies beside the log, if there is one that this build accepts.
fn pack_beside(log: &Path) -> Option<Pack> {
    let mut bodies: Vec<PathBuf> = std::fs::read_dir(log).ok()?.filter_map(Result::ok).map(|e| e.path()).collect();
    bodies.retain(|p| p.extension().is_some_and(|e| e == "json"));
    bodies.sort();
    let body: Body = serde_json::from_str(&std::fs::read_to_string(bodies.last()?).ok()?).ok()?;
    Pack::read_logged(body).ok()
}

fn again(chosen: &[(usize, DeadLetter)], pack: &Pack, out: &Path, to: &Path) -> Result<u8, CliError> {
    let letters: Vec<DeadLetter> = chosen.iter().map(|(_, letter)| letter.clone()).collect();
    let letters = letters.as_slice();
    let options = Options { partitions: 1, clock: Clock::Records, secret: super::replay::SECRET.to_vec() };
    let mut lost = Lost::new();
    let mut messages = 0;
    let mut parts: Vec<Inputs> = Vec::new();
    for part in [Part::Registry, Part::Rest] {
        let (inputs, gone) = Recovered::inputs(pack, letters, part, &options).map_err(CliError::stage)?;
        lost.extend(gone);
        messages += inputs.iter().map(Recovered::messages).sum::<usize>();
        parts.push(inputs.into_iter().map(|i| Box::new(i) as _).collect());
    }
    let code = sent_again(letters, messages, &lost);
    let lost: Vec<DeadLetter> = lost.into_iter().map(|(letter, _)| letter.clone()).collect();
    if messages == 0 {
        return Ok(code);
    }
    let rest = parts.pop().unwrap_or_default();
    let registry = parts.pop().unwrap_or_default();
    let summary = judge(std::sync::Arc::new(pack.clone()), registry, rest, &options, to)?;
    // What the present pack refuses too stays open.
    let refused = read(to)?;
    let still = |letter: &DeadLetter| lost.iter().chain(&refused).any(|other| Mark::of(0, other).is(letter));
    let sent = chosen.iter().filter(|(_, letter)| !still(letter)).map(|(number, _)| *number).collect();
    mark(out, chosen, &sent)?;
    print_summary(&summary, to);
    Ok(0)
}
