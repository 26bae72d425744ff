//! Cuts time into panes: equal spans, or calendar periods at +08:00.

use crate::pack::Period;
use crate::record::Millis;
use crate::record::time::{DAY, ZONE, civil, day_of, day_start, local_day};
use serde::{Deserialize, Serialize};

/// How a window's time is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Panes {
    /// Spans of this many milliseconds, aligned to local midnight from one day up, else to the epoch.
    Span(Millis),
    /// Calendar periods.
    Calendar(Cut),
}

/// [`Period`] in a form that snapshots and hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Cut {
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

impl From<Period> for Cut {
    fn from(period: Period) -> Cut {
        match period {
            Period::Day => Cut::Day,
            Period::Week => Cut::Week,
            Period::Month => Cut::Month,
            Period::Quarter => Cut::Quarter,
            Period::Year => Cut::Year,
        }
    }
}

impl Panes {
    /// The number of the pane that holds an instant.
    pub(crate) fn of(self, at: Millis) -> i64 {
        match self {
            Panes::Span(span) if span >= DAY => (at + ZONE).div_euclid(span),
            Panes::Span(span) => at.div_euclid(span),
            Panes::Calendar(cut) => {
                let day = local_day(at);
                let (year, month, _) = civil(day);
                match cut {
                    Cut::Day => day,
                    // 1970-01-01 was a Thursday: day -3 was a Monday.
                    Cut::Week => (day + 3).div_euclid(7),
                    Cut::Month => year * 12 + i64::from(month) - 1,
                    Cut::Quarter => year * 4 + (i64::from(month) - 1) / 3,
                    Cut::Year => year,
                }
            }
        }
    }

    /// The instant at which a pane begins.
    pub(crate) fn start(self, pane: i64) -> Millis {
        match self {
            Panes::Span(span) if span >= DAY => pane * span - ZONE,
            Panes::Span(span) => pane * span,
            Panes::Calendar(cut) => day_start(match cut {
                Cut::Day => pane,
                Cut::Week => pane * 7 - 3,
                Cut::Month => day_of(pane.div_euclid(12), pane.rem_euclid(12) as u32 + 1, 1),
                Cut::Quarter => day_of(pane.div_euclid(4), pane.rem_euclid(4) as u32 * 3 + 1, 1),
                Cut::Year => day_of(pane, 1, 1),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instant_lies_in_the_pane_it_is_given() {
        let all = [
            Panes::Span(60_000),
            Panes::Span(DAY),
            Panes::Span(2 * DAY),
            Panes::Calendar(Cut::Day),
            Panes::Calendar(Cut::Week),
            Panes::Calendar(Cut::Month),
            Panes::Calendar(Cut::Quarter),
            Panes::Calendar(Cut::Year),
        ];
        for panes in all {
            for at in (0..400).map(|i| 1_700_000_000_000 + i * 40_000_000 + i * i) {
                let pane = panes.of(at);
                assert!(panes.start(pane) <= at && at < panes.start(pane + 1), "{panes:?} {at}");
            }
        }
    }

    #[test]
    fn calendar_periods_begin_at_local_midnight() {
        let at = day_start(day_of(2026, 5, 8)) + 1;
        assert_eq!(Panes::Calendar(Cut::Week).start(Panes::Calendar(Cut::Week).of(at)), day_start(day_of(2026, 5, 4)));
        assert_eq!(
            Panes::Calendar(Cut::Quarter).start(Panes::Calendar(Cut::Quarter).of(at)),
            day_start(day_of(2026, 4, 1))
        );
    }
}
