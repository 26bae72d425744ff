//! M2 and M3, control charts of a reading: EWMA and two-sided CUSUM over a baseline learnt from the first samples.

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

/// One key's state: 64 bytes.
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
}

/// A scored reading.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    /// The statistic, in standard deviations.
    pub score: f64,
    /// Baseline mean.
    pub mean: f64,
    /// Baseline standard deviation.
    pub sigma: f64,
}

impl ChartState {
    /// Applies a reading. `None` while the baseline is learnt, or when the reading is older than the newest applied
    /// (a recursive chart cannot go back).
    ///
    /// - `at`: event time, milliseconds; `reading`: finite
    ///
    /// # Source
    /// Roberts (1959), Technometrics 1(3), for EWMA; Page (1954), Biometrika 41, for CUSUM; Welford (1962) for the
    /// running variance.
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
        };
        Some(Scored { score, mean: self.mean, sigma })
    }

    /// True for a time before the newest reading.
    #[must_use]
    pub fn is_older(&self, at: i64) -> bool {
        self.samples > 0 && at < self.last
    }

    /// Starts a new baseline.
    pub fn relearn(&mut self) {
        *self = ChartState::default();
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

    #[test]
    fn a_reading_older_than_the_newest_is_not_applied() {
        let (chart, mut state) = learnt(Method::Cusum { slack: 0.5 });
        let before = state;
        assert_eq!(state.apply(&chart, 1, 99.0), None);
        assert_eq!(state, before);
    }
}
