//! What the demo says in the terminal: progress, a line for each change of a warning, and what became of the plan.

use super::city::{Incident, SPEED};
use crate::engine::ChangeKind;
use crate::record::{Level, Millis, time};
use crate::response::Warning;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::io::IsTerminal as _;

pub(super) struct Terminal {
    bar: ProgressBar,
    colour: bool,
    /// Highest level per (indicator, any name of what it is about).
    seen: BTreeMap<(String, String), Level>,
    /// Changes printed and changes left out.
    printed: u64,
    left_out: u64,
}

/// Lines before the terminal says no more than levels above yellow: a flood of lines tells nothing.
const LINES_MAX: u64 = 400;

impl Terminal {
    pub(super) fn new() -> Terminal {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let style =
            ProgressStyle::with_template("{spinner} {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
        Terminal {
            bar: ProgressBar::new_spinner().with_style(style),
            colour,
            seen: BTreeMap::new(),
            printed: 0,
            left_out: 0,
        }
    }

    /// One line, above the progress.
    pub(super) fn say(&self, line: &str) {
        self.bar.suspend(|| println!("{line}"));
    }

    pub(super) fn loading(&self, what: &str, done: usize, all: usize) {
        self.bar.set_message(format!("{what} {} / {}", HumanCount(done as u64), HumanCount(all as u64)));
        self.bar.tick();
    }

    pub(super) fn live(&self, at: Millis, per_second: f64, open: usize) {
        self.bar.set_message(format!(
            "城市时间 city time {}  {} 条记录/秒 records/s  {open} 条未结 open",
            minute(at),
            HumanCount(per_second.max(0.0) as u64)
        ));
        self.bar.tick();
    }

    /// Notes a change and prints its line.
    pub(super) fn change(&mut self, warning: &Warning) {
        let subject = &warning.subject;
        let names =
            [Some(&warning.key), subject.object_id.as_ref(), subject.entity_id.as_ref(), subject.street.as_ref()];
        for name in names.into_iter().flatten() {
            let level = self.seen.entry((warning.indicator.id.clone(), name.clone())).or_insert(warning.level);
            *level = (*level).max(warning.level);
        }
        let grave = warning.level >= Level::Orange;
        if self.printed >= LINES_MAX && !grave {
            self.left_out += 1;
            return;
        }
        self.printed += 1;
        let (word, paint) = match warning.kind {
            ChangeKind::Raised => ("发布 raised  ", true),
            ChangeKind::Upgraded => ("升级 upgraded", true),
            ChangeKind::Returned => ("复现 returned", true),
            ChangeKind::Cleared => ("消除 cleared ", false),
            ChangeKind::Expired => ("到期 expired ", false),
        };
        let level = format!("{} {:<6}", warning.level_name, warning.level.word());
        let level = if self.colour && paint { format!("\x1b[{}m{level}\x1b[0m", code(warning.level)) } else { level };
        let line = format!("{}  {level} {word} {}", minute(warning.found.millis()), warning.headline);
        self.say(&line);
    }

    /// Which planted incidents were found.
    ///
    /// - `until`: city time reached
    pub(super) fn plan(&self, incidents: &[Incident], until: Millis) {
        let due: Vec<&Incident> = incidents.iter().filter(|i| i.raised_by <= until).collect();
        let mut found = 0;
        println!("\n计划中的事件 planted incidents");
        for incident in &due {
            let level = self.seen.get(&(incident.indicator.to_owned(), incident.key.clone()));
            let wanted = incident.level_by > until || level.is_some_and(|l| *l >= incident.level);
            let word = match level {
                Some(level) if wanted => {
                    found += 1;
                    format!("ok  {}", level.word())
                }
                Some(level) => format!("LOW {} (planned {})", level.word(), incident.level.word()),
                None => "NOT FOUND".to_owned(),
            };
            println!("  {}  {:<24}{:<28} {}", minute(incident.raised_by), incident.indicator, word, incident.name);
        }
        let later = incidents.len() - due.len();
        println!("  {found} / {} 已发现 found; {later} 未到时间 later in the day", due.len());
        if self.left_out > 0 {
            println!("  {} 条变更未逐行显示 changes not shown line by line", self.left_out);
        }
    }

    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

const fn code(level: Level) -> &'static str {
    match level {
        Level::Blue => "34",
        Level::Yellow => "33",
        Level::Orange => "38;5;208",
        Level::Red => "1;31",
    }
}

fn minute(at: Millis) -> String {
    time::rfc3339(at).chars().take(16).map(|c| if c == 'T' { ' ' } else { c }).collect()
}

/// The default of `--speed`.
pub(super) fn speed() -> f64 {
    f64::from(SPEED)
}
