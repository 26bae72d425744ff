//! Control charts of a reading over a baseline learnt from the first samples: EWMA (M2), two-sided CUSUM (M3),
//! Shewhart with run rules, Page–Hinkley.

use super::reading::{Scored, TERMS};
use serde::{Deserialize, Serialize};

/// The statistic of a chart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Method {
    /// |E - mean| / (sigma sqrt(weight / (2 - weight))), E the exponentially weighted mean.
    Ewma {
        /// Share of the newest reading, above 0, at most 1.
        weight: f64,
    },
    /// max of the two sums S = max(0, S + (±(x - mean)/sigma) - slack).
    Cusum {
        /// Slack in standard deviations.
        slack: f64,
    },
    /// |x - mean| / sigma, and as a further term `run` the strongest pattern of the newest readings on one side of the
    /// mean: 4 one beyond three sigma, 3 two of three beyond two, 2 four of five beyond one, 1 eight in a row, 0 none.
    Shewhart,
    /// The larger of the two sums of (x - running mean) / sigma, less the slack, above their least and below their
    /// greatest value. Unlike CUSUM it follows a slowly moving mean.
    PageHinkley {
        /// Slack in standard deviations.
        slack: f64,
    },
}

/// A chart's settings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chart {
    /// The statistic.
    pub method: Method,
    /// Samples that the baseline is learnt from.
    pub warm_up: u32,
    /// Least time that they must span, milliseconds.
    pub warm_up_span: i64,
    /// Least standard deviation (the sensor's resolution), in the reading's unit.
    pub sigma_floor: f64,
}

/// One key's state: 96 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ChartState {
    samples: u32,
    first: i64,
    last: i64,
    mean: f64,
    /// Sum of squared distances from the mean while learning; then the standard deviation.
    spread: f64,
    learnt: bool,
    high: f64,
    low: f64,
    /// Page–Hinkley: least of the rising and greatest of the falling sum.
    floor: f64,
    ceiling: f64,
    /// Zones of the newest eight readings, four bits each, the newest lowest: side (8: below) and full sigmas, at most 3.
    zones: u32,
}

impl Chart {
    /// Names of the terms of a score.
    #[must_use]
    pub(super) fn terms(&self) -> &'static [&'static str] {
        match self.method {
            Method::Shewhart => &["mean", "sigma", "run"],
            _ => &["mean", "sigma"],
        }
    }
}

impl ChartState {
    /// Applies a reading. `None` while the baseline is learnt, or when the reading is older than the newest applied
    /// (a recursive chart cannot go back).
    ///
    /// - `at`: event time, milliseconds; `reading`: finite
    ///
    /// # Source
    /// Roberts (1959), Technometrics 1(3), for EWMA; Page (1954), Biometrika 41, for CUSUM; Western Electric,
    /// Statistical Quality Control Handbook (1956), for the run rules; Hinkley (1971), Biometrika 58, for the sums around
    /// a running mean; Welford (1962) for the running variance.
    pub fn apply(&mut self, chart: &Chart, at: i64, reading: f64) -> Option<Scored> {
        if self.samples > 0 && at < self.last {
            return None;
        }
        if self.samples == 0 {
            self.first = at;
        }
        self.last = at;
        self.samples = self.samples.saturating_add(1);
        if !self.learnt {
            let distance = reading - self.mean;
            self.mean += distance / f64::from(self.samples);
            self.spread += distance * (reading - self.mean);
            if self.samples >= chart.warm_up.max(2) && at - self.first >= chart.warm_up_span {
                let sigma = (self.spread / f64::from(self.samples - 1)).sqrt();
                self.spread = sigma.max(chart.sigma_floor);
                self.learnt = true;
                if let Method::Ewma { .. } = chart.method {
                    self.high = self.mean;
                }
            }
            return None;
        }
        let sigma = self.spread;
        if sigma <= 0.0 {
            // A baseline without any spread and no stated resolution: no distance can be given in deviations.
            return None;
        }
        let score = match chart.method {
            Method::Ewma { weight } => {
                self.high += weight * (reading - self.high);
                (self.high - self.mean).abs() / (sigma * (weight / (2.0 - weight)).sqrt())
            }
            Method::Cusum { slack } => {
                let z = (reading - self.mean) / sigma;
                self.high = (self.high + z - slack).max(0.0);
                self.low = (self.low - z - slack).max(0.0);
                self.high.max(self.low)
            }
            Method::Shewhart => {
                let z = (reading - self.mean) / sigma;
                let side = if z < 0.0 { 8 } else { 0 };
                // Eight readings fill the zones; before that the empty ones lie on no side.
                self.zones = self.zones << 4 | side | (z.abs().floor().min(3.0) as u32) << 1 & 6 | 1;
                z.abs()
            }
            Method::PageHinkley { slack } => {
                self.mean += (reading - self.mean) / f64::from(self.samples);
                let z = (reading - self.mean) / sigma;
                self.high += z - slack;
                self.low += z + slack;
                self.floor = self.floor.min(self.high);
                self.ceiling = self.ceiling.max(self.low);
                (self.high - self.floor).max(self.ceiling - self.low)
            }
        };
        let mut terms = [f64::NAN; TERMS];
        (terms[0], terms[1]) = (self.mean, sigma);
        if let Method::Shewhart = chart.method {
            terms[2] = self.run();
        }
        Some(Scored { score, terms })
    }

    /// The strongest pattern of the newest readings.
    fn run(&self) -> f64 {
        // Readings among the newest `of` on a side at or beyond so many sigmas.
        let beyond = |of: u32, side: u32, sigmas: u32| {
            (0..of)
                .map(|i| self.zones >> (4 * i) & 15)
                .filter(|zone| zone & 1 == 1 && zone & 8 == side && (zone >> 1 & 3) >= sigmas)
                .count()
        };
        let any = |of, sigmas, needed| [0, 8].into_iter().any(|side| beyond(of, side, sigmas) >= needed);
        if any(1, 3, 1) {
            4.0
        } else if any(3, 2, 2) {
            3.0
        } else if any(5, 1, 4) {
            2.0
        } else if any(8, 0, 8) {
            1.0
        } else {
            0.0
        }
    }

    /// Event time of the newest reading applied, milliseconds; `None` before the first.
    #[must_use]
    pub fn newest(&self) -> Option<i64> {
        (self.samples > 0).then_some(self.last)
    }

    /// True while the baseline is being learnt.
    #[must_use]
    pub fn is_warming_up(&self) -> bool {
        !self.learnt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Baseline of mean 10 and standard deviation 1, then readings of a worked example.
    fn learnt(method: Method) -> (Chart, ChartState) {
        let chart = Chart { method, warm_up: 3, warm_up_span: 0, sigma_floor: 0.0 };
        let mut state = ChartState::default();
        for (at, x) in [(0, 9.0), (1, 10.0), (2, 11.0)] {
            assert_eq!(state.apply(&chart, at, x), None);
        }
        (chart, state)
    }

    /// Montgomery, Introduction to Statistical Quality Control, table 9.1 (readings) and 9.10 (EWMA, weight 0.1).
    #[test]
    fn ewma_follows_the_published_example() {
        let (chart, mut state) = learnt(Method::Ewma { weight: 0.1 });
        let readings = [9.45, 7.99, 9.29, 11.66, 12.16];
        let expected = [9.945, 9.7495, 9.70355, 9.8992, 10.1253];
        for (i, (x, e)) in readings.into_iter().zip(expected).enumerate() {
            let scored = state.apply(&chart, 3 + i as i64, x).unwrap();
            let distance = scored.score * (0.1f64 / 1.9).sqrt();
            assert!((distance - (e - 10.0f64).abs()).abs() < 1e-4, "{i}: {distance} against {e}");
        }
    }

    /// The same readings, table 9.2: two-sided CUSUM with K = 0.5 around 10.
    #[test]
    fn cusum_follows_the_published_example() {
        let (chart, mut state) = learnt(Method::Cusum { slack: 0.5 });
        let readings = [9.45, 7.99, 9.29, 11.66, 12.16];
        let expected = [0.05, 1.56, 1.77, 1.16, 2.82];
        for (i, (x, e)) in readings.into_iter().zip(expected).enumerate() {
            let scored = state.apply(&chart, 3 + i as i64, x).unwrap();
            assert!((scored.score - e).abs() < 1e-9, "{i}: {} against {e}", scored.score);
        }
    }

    /// A series without a pattern, the same on every machine.
    fn series(n: u64) -> Vec<f64> {
        (0..n).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f64 / f64::from(1 << 22) + 8.0).collect()
    }

    /// Scores of a series after the baseline of mean 10 and standard deviation 1.
    fn scores(method: Method, series: &[f64]) -> Vec<f64> {
        let (chart, mut state) = learnt(method);
        let each = series.iter().enumerate();
        each.map(|(i, x)| state.apply(&chart, 3 + i as i64, *x).unwrap().score).collect()
    }

    #[test]
    fn charts_equal_their_definitions_written_out() {
        let x = series(200);
        let z: Vec<f64> = x.iter().map(|x| x - 10.0).collect();
        let near = |got: f64, want: f64, what: &str, i: usize| {
            assert!((got - want).abs() <= 1e-9 * want.abs().max(1.0), "{what} {i}: {got} against {want}");
        };
        for (i, got) in scores(Method::Ewma { weight: 0.2 }, &x).into_iter().enumerate() {
            // E = weight Σ (1 - weight)^k x, from the newest back, and what is left of the mean.
            let e: f64 = (0..=i).map(|k| 0.2 * 0.8f64.powi(k as i32) * z[i - k]).sum();
            near(got, e.abs() / (0.2f64 / 1.8).sqrt(), "ewma", i);
        }
        for (i, got) in scores(Method::Cusum { slack: 0.5 }, &x).into_iter().enumerate() {
            // The largest sum of the newest readings, of any length, none of them included.
            let largest = |sign: f64| {
                (0..=i).map(|from| z[from..=i].iter().map(|z| sign * z - 0.5).sum::<f64>()).fold(0.0, f64::max)
            };
            near(got, largest(1.0).max(largest(-1.0)), "cusum", i);
        }
        for (i, got) in scores(Method::PageHinkley { slack: 0.1 }, &x).into_iter().enumerate() {
            // The mean runs over the baseline's three readings too.
            let mean = |to: usize| (30.0 + x[..=to].iter().sum::<f64>()) / (to as f64 + 4.0);
            let sums =
                |slack: f64| -> Vec<f64> { (0..=i).map(|to| (0..=to).map(|j| x[j] - mean(j) + slack).sum()).collect() };
            let (rising, falling) = (sums(-0.1), sums(0.1));
            let least = rising.iter().copied().fold(0.0, f64::min);
            let greatest = falling.iter().copied().fold(0.0, f64::max);
            near(got, (rising[i] - least).max(greatest - falling[i]), "page-hinkley", i);
        }
    }

    #[test]
    fn run_rules_name_the_strongest_pattern() {
        for (readings, run) in [
            (&[10.0, 9.9, 10.1][..], 0.0),
            (&[13.1], 4.0),
            (&[6.9], 4.0),
            (&[12.1, 10.0, 12.2], 3.0),
            (&[12.1, 10.0, 7.8], 0.0),
            (&[11.1, 11.2, 10.0, 11.3, 11.4], 2.0),
            (&[11.1, 11.2, 10.0, 11.3], 0.0),
            (&[10.1; 8], 1.0),
            (&[9.9; 8], 1.0),
            (&[10.1; 7], 0.0),
            (&[10.1, 10.1, 10.1, 10.1, 9.9, 10.1, 10.1, 10.1], 0.0),
        ] {
            let (chart, mut state) = learnt(Method::Shewhart);
            let mut last = 0.0;
            for (i, x) in readings.iter().enumerate() {
                last = state.apply(&chart, 3 + i as i64, *x).unwrap().terms[2];
            }
            assert_eq!(last, run, "{readings:?}");
        }
    }

    #[test]
    fn a_reading_older_than_the_newest_is_not_applied() {
        let (chart, mut state) = learnt(Method::Cusum { slack: 0.5 });
        let before = state;
        assert_eq!(state.apply(&chart, 1, 99.0), None);
        assert_eq!(state, before);
    }
}
