//! Holt–Winters: level, trend and season of a reading, updated step by step; a reading far from its forecast is odd.
//!
//! Readings of one step (an hour of the day, say) are taken together as their mean; a step without any moves the level
//! on by the trend and leaves the season as it was. Steps are aligned to +08:00.

use super::reading::{Scored, TERMS};
use serde::{Deserialize, Serialize};

const ZONE: i64 = 8 * 3_600_000;

/// Settings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Season {
    /// Weight of the newest step in the level, 0 to 1.
    pub alpha: f64,
    /// Weight in the trend.
    pub beta: f64,
    /// Weight in the season.
    pub gamma: f64,
    /// Length of a step, milliseconds.
    pub step: i64,
    /// Steps in a season, at least 1.
    pub steps: u32,
    /// Seasons multiply the level instead of adding to it.
    pub multiplicative: bool,
    /// Whole seasons of errors before a score is given, after the first season has set the level.
    pub warm_up: u32,
    /// Least standard deviation (the sensor's resolution), in the reading's unit.
    pub sigma_floor: f64,
}

/// One key's state: 88 bytes and 8 a step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SeasonState {
    samples: u64,
    newest: i64,
    /// Number of the step that readings are being gathered for, and their sum and count.
    at: i64,
    sum: f64,
    count: u32,
    /// Steps closed since the start.
    closed: u64,
    level: f64,
    trend: f64,
    season: Vec<f64>,
    /// Errors of closed steps after the first season: count and running sum of squares with slow forgetting.
    errors: u64,
    square: f64,
}

/// Share of the newest error in the variance once it is learnt.
const FORGET: f64 = 0.01;

impl SeasonState {
    /// A state with known components, as a fit gives them. `season[i]` belongs to the step with number i modulo the
    /// season's length; `next` is the number of the next step.
    #[must_use]
    pub fn fitted(level: f64, trend: f64, season: Vec<f64>, next: i64) -> SeasonState {
        let steps = season.len() as u64;
        SeasonState { level, trend, season, at: next, closed: steps, ..SeasonState::default() }
    }

    /// Applies a reading. `None` during the first season, while errors are gathered, and for readings older than the
    /// newest.
    ///
    /// # Source
    /// Winters (1960), Management Science 6(3); error form of Hyndman, Koehler, Ord and Snyder (2008).
    pub fn apply(&mut self, season: &Season, at: i64, reading: f64) -> Option<Scored> {
        if self.samples > 0 && at < self.newest {
            return None;
        }
        let step = (at + ZONE).div_euclid(season.step.max(1));
        if self.samples == 0 && self.closed == 0 {
            self.at = step;
            self.season = vec![if season.multiplicative { 1.0 } else { 0.0 }; season.steps.max(1) as usize];
        }
        self.samples += 1;
        self.newest = at;
        while self.at < step {
            self.close(season);
            // A long silence would be many steps that say nothing: the trend cannot be trusted so far.
            if self.count == 0 && step - self.at > i64::from(season.steps) {
                self.at = step;
            }
        }
        self.sum += reading;
        self.count += 1;
        if self.learning_level() || self.errors < u64::from(season.warm_up.max(1)) * u64::from(season.steps.max(1)) {
            return None;
        }
        let sigma = self.square.sqrt().max(season.sigma_floor);
        if sigma <= 0.0 {
            return None;
        }
        let forecast = self.forecast(season);
        let mut terms = [f64::NAN; TERMS];
        (terms[0], terms[1], terms[2], terms[3]) = (forecast, sigma, self.level, self.trend);
        Some(Scored { score: (reading - forecast).abs() / sigma, terms })
    }

    /// The forecast of the step at hand.
    #[must_use]
    pub fn forecast(&self, season: &Season) -> f64 {
        let base = self.level + self.trend;
        let part = self.season[self.slot()];
        if season.multiplicative { base * part } else { base + part }
    }

    fn slot(&self) -> usize {
        self.at.rem_euclid(self.season.len().max(1) as i64) as usize
    }

    fn learning_level(&self) -> bool {
        self.closed < self.season.len() as u64
    }

    /// Ends the step at hand and goes on to the next.
    fn close(&mut self, season: &Season) {
        let slot = self.slot();
        let mean = (self.count > 0).then(|| self.sum / f64::from(self.count));
        if self.learning_level() {
            match mean {
                Some(mean) => {
                    // The first season: its values stand in `season` until their mean is known.
                    self.season[slot] = mean;
                    self.closed += 1;
                    if !self.learning_level() {
                        self.begin(season);
                    }
                }
                // A season with a hole says nothing of the step that is missing: begin again.
                None => self.closed = 0,
            }
        } else {
            let base = self.level + self.trend;
            match mean {
                Some(mean) => {
                    let error = mean - self.forecast(season);
                    let before = self.season[slot];
                    let free = if season.multiplicative { mean / nonzero(before) } else { mean - before };
                    let level = season.alpha * free + (1.0 - season.alpha) * base;
                    self.trend = season.beta * (level - self.level) + (1.0 - season.beta) * self.trend;
                    let own = if season.multiplicative { mean / nonzero(base) } else { mean - base };
                    self.season[slot] = season.gamma * own + (1.0 - season.gamma) * before;
                    self.level = level;
                    self.errors += 1;
                    let weight = (1.0 / self.errors as f64).max(FORGET);
                    self.square += weight * (error * error - self.square);
                }
                None => self.level = base,
            }
        }
        self.sum = 0.0;
        self.count = 0;
        self.at += 1;
    }

    /// The first season is whole: its mean is the level, the rest the season.
    fn begin(&mut self, season: &Season) {
        let mean = self.season.iter().sum::<f64>() / self.season.len() as f64;
        self.level = mean;
        self.trend = 0.0;
        for part in &mut self.season {
            *part = if season.multiplicative { *part / nonzero(mean) } else { *part - mean };
        }
    }

    /// Event time of the newest reading, milliseconds; `None` before the first.
    #[must_use]
    pub fn newest(&self) -> Option<i64> {
        (self.samples > 0).then_some(self.newest)
    }

    /// True during the first season and the gathering of errors.
    #[must_use]
    pub fn is_warming_up(&self) -> bool {
        self.learning_level() || self.errors < self.season.len() as u64
    }

    /// Bytes held beside the state itself.
    #[must_use]
    pub fn bytes(&self) -> usize {
        std::mem::size_of::<SeasonState>() + self.season.len() * 8
    }
}

fn nonzero(x: f64) -> f64 {
    if x.abs() < 1e-12 { 1e-12_f64.copysign(x) } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Visitor nights by holiday tourists to Australia, quarters from 1999 (Hyndman and Athanasopoulos, Forecasting:
    /// Principles and Practice; R package fpp), as far as the published fits below need them.
    const NIGHTS: [f64; 12] = [
        30.052513, 19.148496, 25.317692, 27.591437, 32.076456, 23.487961, 28.47594, 35.123753, 36.838485, 25.007017,
        30.72223, 28.693759,
    ];
    /// Forecast, level, trend and newest season after each, as R gives them for the fit with the weights and the start
    /// below; reference rows of ExpediaGroup/adaptive-alerting (Apache-2.0).
    const ADDITIVE: [[f64; 4]; 12] = [
        [31.11838625, 26.12335764675, 1.0517717469025, 4.5228467535],
        [20.7960908936525, 26.4485400455517, 1.02997406645948, -6.3823336897873],
        [27.2686716120112, 26.6181321031143, 1.00416260619257, -0.213744459224023],
        [29.6861972093068, 26.6985054570025, 0.976448928623438, 2.05971297958138],
        [32.197801139126, 27.6214411792714, 0.974843532432802, 4.52260406322175],
        [22.2139510219169, 29.1581231120389, 0.991698684442841, -6.37978566983114],
        [29.9360773372577, 29.5059012307511, 0.972381067470922, -0.216664733898538],
        [32.5379952778034, 31.6186014537107, 1.00659064213558, 2.06488449502578],
        [37.147796159068, 32.4887858746973, 1.00249845550111, 4.52198544090361],
        [27.1114986603673, 32.5632079179764, 0.974656163134454, -6.38399463315187],
        [33.3211993472123, 32.3917185989902, 0.940271798670835, -0.221862672592963],
        [35.3968748926869, 30.3759162889862, 0.851589575410588, 2.0514782632404],
    ];
    const MULTIPLICATIVE: [[f64; 4]; 12] = [
        [31.3073215950869, 26.12335764675, 1.0517717469025, 1.17716436615374],
        [20.3843757999362, 26.4485400455517, 1.02997406645948, 0.750020496502111],
        [27.2526340883235, 26.6181321031143, 1.00416260619257, 0.991638925346259],
        [29.8555586818333, 26.6985054570025, 0.976448928623439, 1.08068611795717],
        [32.5779701376891, 27.487072607108, 0.970812475267901, 1.17712812297656],
        [21.3439970988836, 29.7185014052655, 1.00863096495459, 0.750171172765994],
        [30.4702205225773, 29.8402392804299, 0.982024172260881, 0.991509119512213],
        [33.3091922373414, 31.5627386776757, 1.00423842901043, 1.08080386146847],
        [38.3355046326139, 32.0061327558492, 0.98741309848532, 1.17703618815388],
        [24.7508069872547, 33.1441629664318, 0.99193161184824, 0.750186703683094],
        [33.8462490788961, 32.7466041674697, 0.950246899523931, 0.991326086325934],
        [36.4196867525348, 30.5444436225582, 0.855674676190866, 1.08034530658824],
    ];

    fn season(multiplicative: bool) -> Season {
        Season {
            alpha: 0.441,
            beta: 0.030,
            gamma: 0.002,
            step: 86_400_000,
            steps: 4,
            multiplicative,
            warm_up: 1,
            sigma_floor: 0.0,
        }
    }

    #[test]
    fn levels_trends_and_seasons_are_those_of_the_published_fits() {
        // R lists the newest season first: the next one is the last.
        let additive = vec![4.5249785, -6.3790385, -0.209842500000001, 2.0639025];
        let multiplicative = vec![1.17725873605224, 0.750111453184012, 0.991779758440832, 1.08085005232291];
        for (factor, start, rows) in [(false, additive, ADDITIVE), (true, multiplicative, MULTIPLICATIVE)] {
            let season = season(factor);
            let mut state = SeasonState::fitted(25.5275345, 1.06587325, start, 0);
            for (i, (nights, [forecast, level, trend, newest])) in NIGHTS.into_iter().zip(rows).enumerate() {
                assert!((state.forecast(&season) - forecast).abs() < 1e-9, "{i}");
                state.apply(&season, i as i64 * season.step - ZONE, nights);
                state.close(&season);
                let slot = i % 4;
                for (got, want) in [(state.level, level), (state.trend, trend), (state.season[slot], newest)] {
                    assert!((got - want).abs() < 1e-9, "{factor} {i}: {got} against {want}");
                }
            }
        }
    }

    #[test]
    fn a_reading_far_from_its_hour_is_odd_and_one_far_from_the_mean_is_not() {
        let season = Season { step: 3_600_000, steps: 24, ..season(false) };
        let mut state = SeasonState::default();
        let mut scored = None;
        let value = |hour: i64| if hour.rem_euclid(24) == 3 { 50.0 } else { 10.0 } + (hour % 5) as f64 * 0.1;
        for hour in 0..24 * 10 {
            scored = state.apply(&season, hour * 3_600_000, value(hour + 8));
        }
        assert!(!state.is_warming_up());
        assert!(scored.unwrap().score < 3.0);
        // 03:00 local is 19:00 of the day before in UTC.
        let three = 24 * 10 + 19;
        for hour in 24 * 10..three {
            state.apply(&season, hour * 3_600_000, value(hour + 8));
        }
        assert!(state.clone().apply(&season, three * 3_600_000, 50.0).unwrap().score < 3.0);
        assert!(state.apply(&season, three * 3_600_000, 10.0).unwrap().score > 20.0);
    }

    #[test]
    fn a_step_without_readings_moves_the_level_on_and_a_long_silence_does_not() {
        let season = season(false);
        let mut state = SeasonState::fitted(10.0, 1.0, vec![0.0; 4], 0);
        state.apply(&season, -ZONE, 11.0);
        state.apply(&season, 2 * season.step - ZONE, 13.0);
        assert!((state.level - 12.0).abs() < 1e-9, "{}", state.level);
        state.apply(&season, 1_000 * season.step - ZONE, 13.0);
        assert!(state.level < 20.0);
    }
}
