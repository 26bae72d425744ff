//! When receipt, first report and disposal are due, and when to remind.

use super::time::Time;
use super::warning::{Deadlines, Reminder, ReminderOf};
use crate::pack::calendar::Calendar;
use crate::pack::shared::{Clock, LevelDeadlines};
use crate::record::{Level, Millis};

/// Reminders at these shares of each deadline, in percent.
const SHARES: [u8; 3] = [50, 80, 100];

/// The clock of a level: the table's, else calendar hours from orange on.
pub(super) fn clock(table: Option<&LevelDeadlines>, level: Level) -> Clock {
    match table {
        Some(t) => t.clock,
        None if level >= Level::Orange => Clock::Calendar,
        None => Clock::Working,
    }
}

/// All deadlines of a level that began at `from`.
pub(super) fn deadlines(calendar: &Calendar, table: &LevelDeadlines, from: Millis) -> Deadlines {
    let due = |allowed| Time::new(calendar.due(from, allowed, table.clock));
    let mut reminders = Vec::new();
    for (of, allowed) in [
        (ReminderOf::Sign, table.sign),
        (ReminderOf::FirstReport, table.first_report),
        (ReminderOf::Disposal, table.disposal),
    ] {
        for percent in SHARES {
            let fraction = f64::from(percent) / 100.0;
            let at = Time::new(calendar.share(from, allowed, table.clock, fraction));
            reminders.push(Reminder { of, percent, at });
        }
    }
    reminders.sort_by_key(|r| (r.at, r.of, r.percent));
    Deadlines {
        clock: table.clock,
        from: Time::new(from),
        sign_by: due(table.sign),
        first_report_by: due(table.first_report),
        disposal_by: due(table.disposal),
        reminders,
    }
}
