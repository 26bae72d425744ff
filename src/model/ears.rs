//! EARS C1, C2, C3: is this step's count above the mean of a week or so before it?
//!
//! In: a series of counts. Out: upper bound and `score` = -log10 P of the judged step, on a normal scale.
//! Promise: only counts before the judged step are used, at most eleven of them; no year of history is needed.
//! Not here: season and trend (`farrington`, `count` have them): a season's rise raises alarms.
//! Cost: 0.2 us a count; a key keeps eleven counts.
//!
//! # Source
//! Hutwagner et al. (2003), The bioterrorism preparedness and response Early Aberration Reporting System (EARS), J. Urban Health 80(2);
//! details as in the R package surveillance, `earsC` with a baseline of 7 and no smallest deviation: C1 and C2 are matched to 1e-6.
//! C3 is the published sum over three steps. The package's bound for C3 has the judged count itself in it, so that only the two steps
//! before decide; `count + sd x (z - earlier)` gives that bound.

use super::tail::{normal_quantile, normal_score};

/// Steps of the baseline.
const BASELINE: usize = 7;

/// Which of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ears {
    /// The seven steps just before.
    C1,
    /// The seven steps that end two steps before: a surge's start does not raise its own bound.
    C2,
    /// C2 summed over three steps, each above one deviation.
    C3,
}

/// A judged count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EarsReading {
    /// What was expected.
    pub expected: f64,
    /// Standard deviation of the baseline.
    pub sd: f64,
    /// C3: what the two steps before add, in deviations; 0 else.
    pub earlier: f64,
    /// The largest count that is no alarm; below 0: every count is one.
    pub upper: f64,
    /// -log10 of the upper tail of a normal distribution
    pub score: f64,
}

impl Ears {
    /// The method of a number 1, 2 or 3.
    #[must_use]
    pub fn of(number: u32) -> Option<Ears> {
        [Ears::C1, Ears::C2, Ears::C3].get((number as usize).checked_sub(1)?).copied()
    }

    /// Judges the last of `counts`; `None` while the baseline is short.
    ///
    /// - `counts`: one per step, oldest first, no gaps; the last is judged
    /// - `alpha`: probability above the upper bound
    #[must_use]
    pub fn judge(self, counts: &[f64], alpha: f64) -> Option<EarsReading> {
        let now = counts.len().checked_sub(1)?;
        let z = normal_quantile(alpha);
        let lag = if self == Ears::C1 { 0 } else { 2 };
        let (mean, sd) = baseline(counts, now, lag)?;
        let mut earlier = 0.0;
        if self == Ears::C3 {
            for t in [now.checked_sub(2)?, now - 1] {
                let (mean, sd) = baseline(counts, t, lag)?;
                earlier += (distance(counts[t], mean, sd) - 1.0).max(0.0);
            }
        }
        let from = distance(counts[now], mean, sd);
        // C3 counts what is above one deviation, in this step as in the two before.
        let (statistic, bound) = match self {
            Ears::C3 if earlier > z => (earlier + (from - 1.0).max(0.0), -1.0),
            Ears::C3 => (earlier + (from - 1.0).max(0.0), mean + sd * (1.0 + z - earlier)),
            _ => (from, mean + sd * z),
        };
        Some(EarsReading { expected: mean, sd, earlier, upper: bound, score: normal_score(statistic) })
    }
}

/// Mean and standard deviation of the baseline of step `t`.
fn baseline(counts: &[f64], t: usize, lag: usize) -> Option<(f64, f64)> {
    let counts = &counts[t.checked_sub(lag + BASELINE)?..t - lag];
    let mean = counts.iter().sum::<f64>() / BASELINE as f64;
    let squares: f64 = counts.iter().map(|x| (x - mean) * (x - mean)).sum();
    Some((mean, (squares / (BASELINE - 1) as f64).sqrt()))
}

/// Distance in deviations; where all baseline counts are the same, one more is very far.
fn distance(count: f64, mean: f64, sd: f64) -> f64 {
    if sd > 0.0 {
        ((count - mean) / sd).min(30.0)
    } else if count > mean {
        30.0
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_those_of_the_reference() {
        let golden = include_str!("../../tests/data/counts/golden.csv");
        let series = super::super::farrington::tests::series();
        let mut rows = 0;
        for line in golden.lines().skip(1) {
            let cells: Vec<&str> = line.split(',').collect();
            let number = |i: usize| cells[i].parse::<f64>().unwrap();
            let counts = &series[cells[0]][..number(1) as usize];
            for (method, column) in [(Ears::C1, 8), (Ears::C2, 9)] {
                let r = method.judge(counts, 0.01).unwrap();
                assert!((r.upper - number(column)).abs() < 1e-4, "{line}: {r:?}");
            }
            let r = Ears::C3.judge(counts, 0.01).unwrap();
            let theirs = (number(2) + r.sd * (normal_quantile(0.01) - r.earlier)).max(0.0);
            assert!((theirs - number(10)).abs() < 1e-4, "{line}: {r:?}");
            rows += 1;
        }
        assert_eq!(rows, 98);
    }

    #[test]
    fn a_jump_is_far_above_a_flat_baseline_and_short_histories_have_no_score() {
        assert_eq!(Ears::C1.judge(&[1.0; 7], 0.01), None);
        assert!(Ears::C1.judge(&[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0], 0.01).unwrap().score > 16.0);
        assert_eq!(Ears::C3.judge(&[1.0; 11], 0.01), None);
        let r = Ears::C3.judge(&[2.0, 4.0, 2.0, 4.0, 2.0, 4.0, 2.0, 4.0, 2.0, 8.0, 8.0, 3.0], 0.01).unwrap();
        assert!(r.score > 2.0 && r.upper < 3.0, "{r:?}");
    }
}
