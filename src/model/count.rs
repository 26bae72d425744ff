//! Surge of a count: is this step (week, day) above what its series, its season and its neighbours let expect?
//!
//! In: one count per series and step, in order of steps; a group is the series of one indicator in one city.
//! Out: for each a [`CountReading`]: the expected count with its factors, and `score` = -log10 P(this count or more), raised by
//! what the steps before bear out. One scale for all series, long or short, large or small: in quiet times a score above 2 comes
//! about once in 100 steps.
//! A series starts with its first count and needs no history; its prior widens the spread until it has some.
//! Promise: only counts up to the judged step are used; the same counts give the same bits; nothing grows with time.
//! Not here: windows that make counts of records, thresholds, levels, warnings (`level`, `response`).
//! Cost: about 4 us a weekly count, 10 us a daily one; state 1.3 kB a series, no heap.
//!
//! How: three small regressions of ln(mean) on level, growth and two harmonics of the year run beside each other. They differ
//! only in how fast the level may wander; their forecasts are weighted by how well each foretold the recent counts. The spread is
//! negative binomial: dispersion learnt from the residuals, plus what the forecast itself does not know. What all series of
//! the group do in the step (weather, a holiday) is a common factor, shrunk to 1 by how much it has varied. How much the steps before
//! add is a Bayes factor: P(counts | a surge) / P(counts | none), over surges of 1, 2 and 4 standard deviations that lie in
//! this step and the one before, against the same for this step alone. Evidence already told a step ago is not told again unless it
//! grew or this step bears it out.
//!
//! # Source
//! West, Harrison, Migon (1985), Dynamic generalized linear models and Bayesian forecasting, J. Am. Stat. Assoc. 80(389), for the filter;
//! Shiryaev (1963) and Roberts (1966) for evidence averaged over the start of a change; Noufaily et al. (2013), Statistics in
//! Medicine 32(7), for limiting the pull of high counts at about three standard deviations.

use super::tail::{ln_pmf, upper};
use serde::{Deserialize, Serialize};

/// Level, growth a step, two harmonics of the year.
const TERMS: usize = 6;
/// Sd of the level's move per root of a week, one filter each: still, slow, quick.
const WANDER: [f64; 3] = [0.0, 0.03, 0.1];
/// The same for the lasting part of what all series of a group do.
const CITY_WANDER: f64 = 0.03;
/// Surge sizes that are tried, in standard deviations of the newest step.
const SIZES: [f64; 3] = [1.0, 2.0, 4.0];
/// Prior standard deviations: level, growth a year, first and second harmonic (all of ln(mean)).
const LEVEL_SD: f64 = 1.0;
const GROWTH_SD: f64 = 0.2;
const SEASON_SD: [f64; 2] = [0.5, 0.3];
/// Prior dispersion (variance / mean), worth this many weeks.
const DISPERSION: f64 = 1.3;
const DISPERSION_WEEKS: f64 = 8.0;
/// Share of the weight that a week keeps after one more week: dispersion (half-life 6.6 years), filters and the common factor (69 weeks).
const DISPERSION_KEEP: f64 = 0.998;
const FORECAST_KEEP: f64 = 0.99;
const COMMON_KEEP: f64 = 0.99;
/// Weeks of "no common factor" that a group starts with.
const COMMON_WEEKS: f64 = 8.0;
/// A count teaches the filters no more than a count so many standard deviations above the mean does.
const PULL_LIMIT: f64 = 3.0;
/// Above this ln(Bayes factor) of its own a step bears out the evidence of the step before.
const BORNE_OUT: f64 = 0.5;
/// Weight of all longer surges together against the one-step surge.
const LONGER: f64 = 0.5;
/// What the evidence of the steps before adds to the score, and the price of looking at them in every step: set on 4,200 simulated
/// series so that a score of 2 is one quiet week in a hundred.
const EARLIER: f64 = 1.3;
const PRICE: f64 = 0.06;
/// Longest surge that is looked for, in steps.
const MEMORY: usize = 7;
/// No filter is believed less than this (natural log) for one count.
const WORST_LN: f64 = -8.0;
/// A series silent for longer than this many years of steps starts with a wide level again.
const LONGEST_GAP_YEARS: i64 = 2;

/// What the counts are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CountSetting {
    /// Steps in a year: 52 for weeks, 365 for days.
    pub year: f64,
    /// Steps in a week that differ from each other: 7 for days, 1 for weeks.
    pub week: usize,
    /// Lengths of surges that are looked for beside one step, in steps, at most [`MEMORY`].
    pub longer: &'static [usize],
}

impl CountSetting {
    /// Counts a week.
    pub const WEEKLY: CountSetting = CountSetting { year: 52.0, week: 1, longer: &[2] };
    /// Counts a day.
    pub const DAILY: CountSetting = CountSetting { year: 365.0, week: 7, longer: &[3, 7] };
    fn weeks(&self) -> f64 {
        1.0 / self.week as f64
    }
}

/// A judged count; `expected` = `level` x `season` x `weekday` x `common`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CountReading {
    /// The count.
    pub count: f64,
    /// What was expected.
    pub expected: f64,
    /// Variance / mean of the forecast.
    pub dispersion: f64,
    /// Factor: the series' level.
    pub level: f64,
    /// Factor: the time of year.
    pub season: f64,
    /// Factor: the day of the week.
    pub weekday: f64,
    /// Factor: what the whole city does in the step.
    pub common: f64,
    /// log10 of the Bayes factor of this step alone, and of the best longer surge (-inf: none, or told before)
    pub one: f64,
    /// See `one`.
    pub more: f64,
    /// P(this count or more): exact for small counts
    pub tail: f64,
    /// Steps that the strongest evidence spans
    pub over: usize,
    /// -log10 of `tail`, raised by the evidence of longer surges over that of this step alone
    pub score: f64,
    /// Steps learnt from before this one
    pub seen: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Filter {
    mean: [f64; TERMS],
    cov: [[f64; TERMS]; TERMS],
    ln_score: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Told {
    count: f64,
    expected: f64,
    dispersion: f64,
    bayes: f64,
}

/// What is known of one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CountState {
    filters: [Filter; WANDER.len()],
    step: i64,
    seen: u32,
    residual: f64,
    residual_weight: f64,
    weekday: [f64; 7],
    /// newest first
    before: [Told; MEMORY - 1],
    held: usize,
}

/// A forecast of one step, before its count is known.
#[derive(Clone, Copy, Debug)]
pub struct Forecast {
    mean: f64,
    /// relative variance of the mean itself
    doubt: f64,
    dispersion: f64,
    level: f64,
    season: f64,
    weekday: f64,
    parts: [Part; WANDER.len()],
}

#[derive(Clone, Copy, Debug, Default)]
struct Part {
    mean: f64,
    variance: f64,
    gain: [f64; TERMS],
    weight: f64,
}

impl Default for CountState {
    fn default() -> Self {
        let filter = Filter { mean: [0.0; TERMS], cov: [[0.0; TERMS]; TERMS], ln_score: 0.0 };
        CountState {
            filters: [filter; WANDER.len()],
            step: 0,
            seen: 0,
            residual: DISPERSION * DISPERSION_WEEKS,
            residual_weight: DISPERSION_WEEKS,
            weekday: [1.0; 7],
            before: [Told::default(); MEMORY - 1],
            held: 0,
        }
    }
}

/// ln of the mean over [`SIZES`] of P(counts | surge) / P(counts | none); newest first: (count, mean, dispersion).
fn ln_bayes(steps: &[(f64, f64, f64)]) -> f64 {
    let sd = (steps[0].1 * steps[0].2).sqrt();
    let none: f64 = steps.iter().map(|&(x, m, d)| ln_pmf(x, m, d)).sum();
    let sum: f64 = SIZES
        .iter()
        .map(|size| {
            let more = size * sd;
            // The surge's own cases are Poisson: they add as much variance as mean.
            let surge: f64 = steps.iter().map(|&(x, m, d)| ln_pmf(x, m + more, (d * m + more) / (m + more))).sum();
            libm::exp((surge - none).min(300.0))
        })
        .sum();
    libm::log((sum / SIZES.len() as f64).max(1e-30))
}

impl Filter {
    /// Nothing known but a level.
    fn start(s: &CountSetting, level: f64) -> Filter {
        let growth = GROWTH_SD / s.year;
        let sd = [LEVEL_SD, growth, SEASON_SD[0], SEASON_SD[0], SEASON_SD[1], SEASON_SD[1]];
        let mut f = Filter { mean: [0.0; TERMS], cov: [[0.0; TERMS]; TERMS], ln_score: 0.0 };
        f.mean[0] = level;
        for (i, sd) in sd.iter().enumerate() {
            f.cov[i][i] = sd * sd;
        }
        f
    }

    fn advance(&mut self, s: &CountSetting, steps: i64, wander: f64) {
        let n = steps as f64;
        self.mean[0] += n * self.mean[1];
        let growth = self.cov[1];
        for (to, from) in self.cov[0].iter_mut().zip(growth) {
            *to += n * from;
        }
        for row in &mut self.cov {
            row[0] += n * row[1];
        }
        self.cov[0][0] += n * wander * wander * s.weeks();
        if steps > LONGEST_GAP_YEARS * s.year as i64 {
            self.cov[0][0] += LEVEL_SD * LEVEL_SD;
        }
    }

    /// Covariance of the terms with ln(mean), and its variance.
    fn gain(&self, row: &[f64; TERMS]) -> ([f64; TERMS], f64) {
        let mut gain = [0.0; TERMS];
        for (g, c) in gain.iter_mut().zip(&self.cov) {
            *g = c.iter().zip(row).map(|(c, r)| c * r).sum();
        }
        let variance = gain.iter().zip(row).map(|(g, r)| g * r).sum::<f64>().max(1e-12);
        (gain, variance)
    }
}

impl CountSetting {
    /// The terms of a step: level, growth (it is in the level), two harmonics.
    fn row(&self, step: i64) -> [f64; TERMS] {
        let angle = std::f64::consts::TAU * (step as f64 / self.year);
        [1.0, 0.0, libm::cos(angle), libm::sin(angle), libm::cos(2.0 * angle), libm::sin(2.0 * angle)]
    }
}

impl CountState {
    /// Moves on to `step` and forecasts it. `count` matters only for the first step of a series, which has nothing to be judged by.
    ///
    /// - `step`: number of the step since any fixed day, later than the last one
    pub fn forecast(&mut self, s: &CountSetting, step: i64, count: f64) -> Forecast {
        if self.seen == 0 {
            self.filters = [Filter::start(s, libm::log(count + 0.5)); WANDER.len()];
        } else {
            let gap = (step - self.step).max(1);
            self.filters.iter_mut().zip(WANDER).for_each(|(f, wander)| f.advance(s, gap, wander));
            if gap > 1 {
                self.held = 0;
            }
        }
        self.step = step;
        let dispersion = (self.residual / self.residual_weight).max(1.0);
        let row = s.row(step);
        let weekday = if s.week > 1 { self.weekday[step.rem_euclid(7) as usize] } else { 1.0 };
        let best = self.filters.iter().map(|f| f.ln_score).fold(f64::NEG_INFINITY, f64::max);
        let mut parts = [Part::default(); WANDER.len()];
        let (mut total, mut season) = (0.0, 0.0);
        for (p, f) in parts.iter_mut().zip(&self.filters) {
            (p.gain, p.variance) = f.gain(&row);
            let ln_mean: f64 = f.mean.iter().zip(row).map(|(m, r)| m * r).sum();
            p.mean = libm::exp(ln_mean + 0.5 * p.variance.min(1.0)).clamp(1e-6, 1e9) * weekday;
            p.weight = libm::exp(f.ln_score - best);
            total += p.weight;
            season += p.weight * (ln_mean - f.mean[0]);
        }
        parts.iter_mut().for_each(|p| p.weight /= total);
        let mean: f64 = parts.iter().map(|p| p.weight * p.mean).sum();
        let doubt = parts
            .iter()
            .map(|p| p.weight * (p.mean * p.mean * p.variance + (p.mean - mean) * (p.mean - mean)))
            .sum::<f64>()
            / (mean * mean);
        let season = libm::exp(season / total);
        Forecast { mean, doubt, dispersion, level: mean / season / weekday, season, weekday, parts }
    }

    /// Judges the count of the forecast step and learns from it.
    ///
    /// - `common`: factor of the whole group in this step, 1 for a lone series; `common_doubt`: its relative variance
    pub fn judge(
        &mut self,
        s: &CountSetting,
        f: &Forecast,
        count: f64,
        common: f64,
        common_doubt: f64,
    ) -> CountReading {
        let expected = f.mean * common;
        let own = f.dispersion * expected;
        let variance = own + expected * expected * (f.doubt + common_doubt);
        let dispersion = variance / expected;
        let one = ln_bayes(&[(count, expected, dispersion)]);
        // Evidence already told within the surge is told again only if it grew, or if this step bears it out.
        let (mut sum, mut best, mut over) = (libm::exp(one), f64::NEG_INFINITY, 1);
        let share = LONGER / s.longer.len() as f64;
        let mut steps = [(count, expected, dispersion); MEMORY];
        for (to, b) in steps[1..].iter_mut().zip(&self.before) {
            *to = (b.count, b.expected, b.dispersion);
        }
        for &n in s.longer.iter().filter(|&&n| n <= self.held + 1) {
            let all = ln_bayes(&steps[..n]);
            let told = self.before[..n - 1].iter().map(|b| b.bayes).fold(0.0, f64::max);
            if (libm::exp(one) + LONGER * libm::exp(all)) / (1.0 + LONGER) > told || one > BORNE_OUT {
                sum += share * libm::exp(all);
                if all > best {
                    best = all;
                }
                if all > one && all >= best {
                    over = n;
                }
            }
        }
        let bayes = sum / (1.0 + LONGER);
        self.before.rotate_right(1);
        self.before[0] = Told { count, expected, dispersion, bayes };
        self.held = (self.held + 1).min(MEMORY - 1);
        let tail = upper(count, expected, dispersion);
        let reading = CountReading {
            count,
            expected,
            dispersion,
            level: f.level,
            season: f.season,
            weekday: f.weekday,
            common,
            one: one / std::f64::consts::LN_10,
            more: best / std::f64::consts::LN_10,
            tail,
            over,
            score: (EARLIER * libm::log10(sum / libm::exp(one)) - libm::log10(tail.max(1e-300)) - PRICE).max(0.0),
            seen: self.seen,
        };
        self.learn(s, f, count.min(expected + PULL_LIMIT * variance.sqrt().max(0.5)), expected, common, variance - own);
        reading
    }

    fn learn(&mut self, s: &CountSetting, f: &Forecast, count: f64, expected: f64, common: f64, doubt: f64) {
        let keep = libm::pow(FORECAST_KEEP, s.weeks());
        for (filter, p) in self.filters.iter_mut().zip(&f.parts) {
            let mean = p.mean * common;
            let spread = f.dispersion + mean * p.variance;
            filter.ln_score = filter.ln_score * keep + ln_pmf(count.floor(), mean, spread).max(WORST_LN);
            // The rate is taken as gamma with this mean and relative variance; counts move it by conjugacy.
            let foretold = p.variance * mean / f.dispersion;
            let came = p.variance * count / f.dispersion;
            let variance = p.variance / (1.0 + came.max(0.2 * foretold));
            let shift = libm::log((1.0 + came) / (1.0 + foretold)) + 0.5 * (p.variance - variance).min(1.0);
            let shrink = (1.0 - variance / p.variance) / p.variance;
            for i in 0..TERMS {
                filter.mean[i] += p.gain[i] / p.variance * shift;
                for j in 0..TERMS {
                    filter.cov[i][j] -= p.gain[i] * p.gain[j] * shrink;
                }
            }
        }
        // The forecast's own doubt is not dispersion.
        let residual = (count - expected) * (count - expected) / expected.max(0.02) - doubt / expected;
        let keep = libm::pow(DISPERSION_KEEP, s.weeks());
        self.residual = self.residual * keep + residual.max(0.0);
        self.residual_weight = self.residual_weight * keep + 1.0;
        if s.week > 1 {
            // One Robbins-Monro step; the half-life is 14 weeks after the first ten.
            let rate = (1.0 / (f64::from(self.seen) / 7.0 + 3.0)).max(0.05);
            let day = &mut self.weekday[self.step.rem_euclid(7) as usize];
            let without = expected / f.weekday;
            *day *= 1.0 + rate * ((count + 1.0) / (without * *day + 1.0) - 1.0) * (without / (without + 1.0)).min(1.0);
            *day = day.clamp(0.05, 5.0);
            let mean = self.weekday.iter().sum::<f64>() / 7.0;
            self.weekday.iter_mut().for_each(|d| *d /= mean);
        }
        self.seen = self.seen.saturating_add(1);
    }

    /// Moves what is known of the series, by term.
    fn settle(&mut self, by: &[f64; TERMS]) {
        for filter in &mut self.filters {
            filter.mean.iter_mut().zip(by).for_each(|(mean, by)| *mean += by);
        }
    }

    /// Judges a lone series.
    pub fn update(&mut self, s: &CountSetting, step: i64, count: f64) -> CountReading {
        let f = self.forecast(s, step, count);
        self.judge(s, &f, count, 1.0, 0.0)
    }
}

/// The series of one indicator in one city: what all of them do in a step is no news about one of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CountGroup {
    states: Vec<CountState>,
    moved: f64,
    moved_weight: f64,
    /// Level, growth and season of the common factor; what is learnt of them goes into every series, so its mean stays 0.
    city: Option<(i64, Filter)>,
}

impl CountGroup {
    /// A group of so many series, none seen yet.
    #[must_use]
    pub fn new(series: usize) -> CountGroup {
        CountGroup { states: vec![CountState::default(); series], moved: 0.0, moved_weight: COMMON_WEEKS, city: None }
    }

    /// Judges one step of all series.
    ///
    /// - `counts`: one per series, NaN where the series has none (yet)
    pub fn update(&mut self, s: &CountSetting, step: i64, counts: &[f64]) -> Vec<Option<CountReading>> {
        let forecasts: Vec<Option<Forecast>> = self
            .states
            .iter_mut()
            .zip(counts)
            .map(|(state, &x)| x.is_finite().then(|| state.forecast(s, step, x)))
            .collect();
        // Each series counts by its information: mean / dispersion. One wild series must not move the city.
        let share = |f: &Forecast, x: f64| {
            let d = f.dispersion + f.mean * f.doubt;
            (x.min(f.mean + 3.0 * (d * f.mean).sqrt().max(0.5)) / d, f.mean / d)
        };
        let (mut came, mut foretold) = (0.0, 0.0);
        for (f, &x) in forecasts.iter().zip(counts) {
            if let Some(f) = f {
                let (o, e) = share(f, x);
                came += o;
                foretold += e;
            }
        }
        let moves = (self.moved / self.moved_weight).max(0.0);
        let settle = self.settle(s, step, moves, came, foretold);
        let out = forecasts
            .iter()
            .zip(counts)
            .zip(&mut self.states)
            .map(|((f, &x), state)| {
                let f = f.as_ref()?;
                let (o, e) = share(f, x);
                // Without the judged series, or its own surge would excuse it.
                let (came, foretold) = ((came - o).max(0.0), (foretold - e).max(0.0));
                let common = (1.0 + moves * came) / (1.0 + moves * foretold);
                let reading = state.judge(s, f, x, common, moves / (1.0 + moves * came));
                state.settle(&settle);
                Some(reading)
            })
            .collect();
        if foretold > 0.0 {
            let keep = libm::pow(COMMON_KEEP, s.weeks());
            let rel = (came - foretold) / foretold;
            self.moved = self.moved * keep + (rel * rel).min(0.25) - 1.0 / foretold;
            self.moved_weight = self.moved_weight * keep + 1.0;
        }
        out
    }

    /// What of the step's common move is lasting, by term. Without it a high first step would stay for ever as high levels
    /// x a low factor, for only their product is seen.
    fn settle(&mut self, s: &CountSetting, step: i64, moves: f64, came: f64, foretold: f64) -> [f64; TERMS] {
        let (last, mut city) = self.city.unwrap_or((step, Filter::start(s, 0.0)));
        city.advance(s, step - last, CITY_WANDER);
        let (gain, variance) = city.gain(&s.row(step));
        let noise = moves + 1.0 / came.max(1.0);
        let ln = libm::log((1.0 + moves * came) / (1.0 + moves * foretold));
        for i in 0..TERMS {
            for j in 0..TERMS {
                city.cov[i][j] -= gain[i] * gain[j] / (variance + noise);
            }
        }
        self.city = Some((step, city));
        gain.map(|g| g / (variance + noise) * ln)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quiet(n: i64) -> CountState {
        let mut s = CountState::default();
        for t in 0..n {
            // 3, 5, 4, 2, 6 ... around 4
            s.update(&CountSetting::WEEKLY, t, [3.0, 5.0, 4.0, 2.0, 6.0][(t % 5) as usize]);
        }
        s
    }

    #[test]
    fn a_quiet_series_expects_its_mean_and_a_surge_scores_above_two() {
        let mut s = quiet(60);
        let r = s.clone().update(&CountSetting::WEEKLY, 60, 4.0);
        assert!((r.expected - 4.0).abs() < 0.5 && r.score < 1.0, "{r:?}");
        let r = s.update(&CountSetting::WEEKLY, 60, 14.0);
        assert!(r.score > 2.0 && r.tail < 0.01 && r.over == 1, "{r:?}");
        assert!((r.level * r.season * r.weekday * r.common / r.expected - 1.0).abs() < 1e-9);
    }

    #[test]
    fn two_raised_weeks_add_up_and_their_echo_is_not_told_again() {
        let mut s = quiet(60);
        let first = s.update(&CountSetting::WEEKLY, 60, 8.0);
        let second = s.update(&CountSetting::WEEKLY, 61, 9.0);
        assert!(second.score > first.score && second.over == 2, "{first:?} {second:?}");
        let echo = s.update(&CountSetting::WEEKLY, 62, 4.0);
        assert!(echo.score < 1.0 && echo.more == f64::NEG_INFINITY, "{echo:?}");
    }

    #[test]
    fn what_the_whole_city_does_is_no_news_about_one_area() {
        let s = CountSetting::WEEKLY;
        let mut g = CountGroup::new(20);
        for t in 0..80 {
            let x = if t % 7 == 0 { 24.0 } else { 10.0 }; // city-wide swings teach the factor
            let n = [0.0, 2.0, -1.0, 1.0, -2.0][(t % 5) as usize];
            g.update(&s, t, &[x + n; 20]);
        }
        let mut lone = g.clone();
        let mut counts = [25.0; 20];
        let all = g.update(&s, 80, &counts)[3].unwrap();
        counts = [10.0; 20];
        counts[3] = 25.0;
        let one = lone.update(&s, 80, &counts)[3].unwrap();
        assert!(all.score + 1.0 < one.score && all.common > 1.5, "{all:?} {one:?}");
    }

    #[test]
    fn a_move_of_the_whole_city_that_lasts_goes_into_the_levels() {
        let s = CountSetting::WEEKLY;
        let mut g = CountGroup::new(20);
        let mut last = CountReading::default();
        for t in 0..400 {
            // a holiday every tenth week; the first week is one, and from week 100 on there is twice as much of all
            let x = if t % 10 == 0 { 24.0 } else { 10.0 } * if t < 100 { 1.0 } else { 2.0 };
            last = g.update(&s, t, &[x; 20])[7].unwrap();
        }
        assert!((last.level / 20.0 - 1.0).abs() < 0.15 && (last.common - 1.0).abs() < 0.15, "{last:?}");
        assert!((last.expected / 20.0 - 1.0).abs() < 0.1, "{last:?}");
    }

    #[test]
    fn a_gap_widens_nothing_but_time_and_zero_counts_stay_finite() {
        let mut s = quiet(30);
        let r = s.update(&CountSetting::WEEKLY, 90, 5.0);
        assert!(r.more == f64::NEG_INFINITY && r.score < 1.0 && r.expected > 2.0 && r.expected < 8.0, "{r:?}");
        let mut z = CountState::default();
        for t in 0..400 {
            let r = z.update(&CountSetting::DAILY, t, 0.0);
            assert!(r.score.is_finite() && r.expected.is_finite() && r.expected >= 0.0);
        }
        assert!(z.update(&CountSetting::DAILY, 400, 3.0).score > 2.0);
    }

    #[test]
    fn the_same_counts_give_the_same_state() {
        assert_eq!(quiet(200), quiet(200));
    }
}
