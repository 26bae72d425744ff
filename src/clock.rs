//! The only reader of the machine's clocks.
//!
//! In: nothing. Out: the wall time, and how long something took.
//! Promise: whatever does not call this module can be replayed. Not here: log time, which the log itself brings.

use crate::record::Millis;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The wall time, milliseconds since 1970-01-01T00:00Z; 0 on a machine whose clock stands before that.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one place where the wall clock is read")]
pub fn now_ms() -> Millis {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| Millis::try_from(d.as_millis()).unwrap_or(Millis::MAX))
}

/// Measures a span on the monotonic clock: setting the wall clock does not change it.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    #[must_use]
    pub fn start() -> Stopwatch {
        Stopwatch(Instant::now())
    }

    /// Time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    /// Seconds since the start.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }

    /// Time since the start or the last lap; begins the next lap.
    pub fn lap(&mut self) -> Duration {
        let now = Instant::now();
        let span = now.duration_since(self.0);
        self.0 = now;
        span
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wall_clock_stands_after_this_was_written() {
        assert!(now_ms() > 1_767_225_600_000, "the machine's clock is before 2026");
    }

    #[test]
    fn a_lap_begins_where_the_last_one_ended() {
        let mut watch = Stopwatch::start();
        std::thread::sleep(Duration::from_millis(3));
        assert!(watch.lap() >= Duration::from_millis(3));
        assert!(watch.elapsed() < Duration::from_secs(60));
        assert!(watch.seconds() < 60.0);
    }
}
