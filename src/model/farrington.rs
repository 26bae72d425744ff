//! The flexible Farrington method: is this week's count above what the same weeks of the years before let expect?
//!
//! In: a series of counts from its first step on. Out: for one step a [`FarringtonReading`]: expected count, dispersion,
//! whether a trend was kept, upper bound, and `score` = -log10 P(this count or more).
//! Promise: only counts before the judged step are used; the same counts give the same bits.
//! Not here: counts of a day; when a surge has ended.
//! Cost: 0.3 ms a count with five years of weeks; the whole baseline is fitted again at each step, so a key must keep its counts.
//!
//! How: quasi-Poisson regression of the counts on a trend and on a factor of the season (`periods` parts of the year,
//! the last one is the weeks around the judged one). Counts far above the first fit are weighted down and it is fitted again.
//! The newest weeks are left out, or a surge that has just begun would be learnt. The design is one line of slopes within groups, so each
//! step of the fit is in closed form.
//!
//! # Source
//! Farrington et al. (1996), J. R. Stat. Soc. A 159(3); Noufaily et al. (2013), An improved algorithm for outbreak detection in multiple
//! surveillance systems, Statistics in Medicine 32(7). Details as in the R package surveillance, `farringtonFlexible` with
//! `thresholdMethod = "nbPlugin"`, matched to 1e-4.

use super::tail::{upper, upper_bound};

/// Settings of the method, for steps of a week.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Farrington {
    /// Steps in a year.
    pub year: usize,
    /// Years that are looked back; fewer while the series is shorter.
    pub years: usize,
    /// Steps on both sides of the same step in earlier years that make the season's last part.
    pub window: usize,
    /// Parts of the year; 1 uses the windows alone.
    pub periods: usize,
    /// Newest steps that are left out.
    pub skip: usize,
    /// Anscombe residual above which a count is weighted down.
    pub reweight_above: f64,
    /// Probability above the upper bound.
    pub alpha: f64,
}

impl Default for Farrington {
    fn default() -> Self {
        Farrington { year: 52, years: 5, window: 3, periods: 10, skip: 26, reweight_above: 2.58, alpha: 0.01 }
    }
}

/// A judged count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FarringtonReading {
    /// What was expected.
    pub expected: f64,
    /// Variance / mean, at least 1.
    pub dispersion: f64,
    /// Whether the trend was kept.
    pub trend: bool,
    /// The largest count that is no alarm.
    pub upper: f64,
    /// -log10 P(this count or more)
    pub score: f64,
}

/// One count of the baseline.
struct Row {
    group: usize,
    t: f64,
    y: f64,
}

struct Fit {
    mean: Vec<f64>,
    /// share of its own fitted value
    leverage: Vec<f64>,
    dispersion: f64,
    expected: f64,
}

impl Farrington {
    /// Judges the last of `counts`; `None` while there is less than one year of baseline.
    ///
    /// - `counts`: one per step, oldest first, no gaps; the last is judged
    #[must_use]
    pub fn judge(&self, counts: &[f64]) -> Option<FarringtonReading> {
        let now = counts.len().checked_sub(1)?;
        let years = self.years.min(now.checked_sub(self.window)? / self.year);
        let rows = self.rows(counts, now, years);
        if years == 0 || rows.len() < self.periods + 2 {
            return None;
        }
        let most = rows.iter().map(|r| r.y).fold(0.0, f64::max);
        let mut trend = years >= 3;
        let mut fit = self.fit(&rows, now as f64, trend)?;
        // A trend may not foretell more than was ever seen.
        if trend && fit.expected > most {
            trend = false;
            fit = self.fit(&rows, now as f64, false)?;
        }
        let (expected, dispersion) = (fit.expected, fit.dispersion);
        let p = upper(counts[now], expected, dispersion).max(1e-300);
        Some(FarringtonReading {
            expected,
            dispersion,
            trend,
            upper: upper_bound(self.alpha, expected, dispersion),
            score: (-libm::log10(p)).max(0.0),
        })
    }

    /// The baseline: which part of its year each step lies in.
    fn rows(&self, counts: &[f64], now: usize, years: usize) -> Vec<Row> {
        let last = now.saturating_sub(self.skip.max(self.window));
        let mut rows = Vec::with_capacity(years * self.year);
        let mut add = |t: usize, group: usize| {
            if t < last {
                rows.push(Row { group, t: t as f64, y: counts[t] });
            }
        };
        for back in (1..=years).rev() {
            let at = now - back * self.year;
            for t in at - self.window..=at + self.window {
                add(t, self.periods - 1);
            }
            if self.periods > 1 {
                // The steps between two windows; the first parts are one longer where they do not divide.
                let between = self.year - 2 * self.window - 1;
                let (long, rest) = (between / (self.periods - 1), between % (self.periods - 1));
                let mut t = at + self.window + 1;
                for part in 0..self.periods - 1 {
                    for _ in 0..long + usize::from(part < rest) {
                        add(t, part);
                        t += 1;
                    }
                }
            }
        }
        rows
    }

    /// Fits, weights the surges of the past down, fits again, forecasts step `now`.
    fn fit(&self, rows: &[Row], now: f64, trend: bool) -> Option<Fit> {
        let even = vec![1.0; rows.len()];
        let first = self.regress(rows, &even, now, trend)?;
        let mut weights: Vec<f64> = rows
            .iter()
            .zip(&first.mean)
            .zip(&first.leverage)
            .map(|((r, mu), h)| {
                let raw = 1.5 * (libm::pow(r.y, 2.0 / 3.0) * libm::pow(*mu, -1.0 / 6.0) - mu.sqrt());
                let residual = raw / (first.dispersion * (1.0 - h)).sqrt();
                if residual > self.reweight_above { 1.0 / (residual * residual) } else { 1.0 }
            })
            .collect();
        let mean = weights.iter().sum::<f64>() / weights.len() as f64;
        weights.iter_mut().for_each(|w| *w /= mean);
        self.regress(rows, &weights, now, trend)
    }

    /// Quasi-Poisson regression with log link by iterated least squares, started and stopped as R's `glm` does.
    fn regress(&self, rows: &[Row], prior: &[f64], now: f64, trend: bool) -> Option<Fit> {
        let mut mean: Vec<f64> = rows.iter().map(|r| r.y + 0.1).collect();
        let (mut eta, mut leverage) = (mean.iter().map(|m| libm::log(*m)).collect::<Vec<f64>>(), vec![0.0; rows.len()]);
        let deviance = |mean: &[f64]| -> f64 {
            let each = rows.iter().zip(mean).zip(prior).map(|((r, m), w)| {
                let log = if r.y > 0.0 { r.y * libm::log(r.y / m) } else { 0.0 };
                2.0 * w * (log - (r.y - m))
            });
            each.sum()
        };
        let mut before = deviance(&mean);
        let (mut slope, mut groups) = (0.0, vec![(0.0, 0.0, 0.0); self.periods]);
        let mut weights = vec![0.0; rows.len()];
        for _ in 0..25 {
            weights.iter_mut().zip(&mean).zip(prior).for_each(|((w, m), p)| *w = p * m);
            groups.iter_mut().for_each(|g| *g = (0.0, 0.0, 0.0));
            let working = |i: usize| eta[i] + (rows[i].y - mean[i]) / mean[i];
            for (i, r) in rows.iter().enumerate() {
                let (w, g) = (weights[i], &mut groups[r.group]);
                *g = (g.0 + w, g.1 + w * r.t, g.2 + w * working(i));
            }
            groups.iter_mut().for_each(|g| *g = (g.0, g.1 / g.0, g.2 / g.0));
            let (mut xx, mut xz) = (0.0, 0.0);
            for (i, r) in rows.iter().enumerate() {
                let (w, g) = (weights[i], groups[r.group]);
                xx += w * (r.t - g.1) * (r.t - g.1);
                xz += w * (r.t - g.1) * (working(i) - g.2);
            }
            slope = if trend && xx > 0.0 { xz / xx } else { 0.0 };
            for (i, r) in rows.iter().enumerate() {
                let (w, g) = (weights[i], groups[r.group]);
                let along = if trend && xx > 0.0 { (r.t - g.1) * (r.t - g.1) / xx } else { 0.0 };
                leverage[i] = (w * (1.0 / g.0 + along)).min(1.0 - 1e-9);
            }
            for (i, r) in rows.iter().enumerate() {
                eta[i] = groups[r.group].2 + slope * (r.t - groups[r.group].1);
                mean[i] = libm::exp(eta[i].clamp(-50.0, 50.0));
            }
            let now = deviance(&mean);
            if (now - before).abs() / (now.abs() + 0.1) < 1e-8 {
                break;
            }
            before = now;
        }
        let window = groups[self.periods - 1];
        let expected = libm::exp(window.2 + slope * (now - window.1));
        let used = groups.iter().filter(|g| g.0 > 0.0).count() + usize::from(trend);
        // The weights that the last step was made with, as `summary.glm` does: it tells by 1e-3 where counts are few.
        let pearson: f64 =
            rows.iter().zip(&mean).zip(&weights).map(|((r, m), w)| w * ((r.y - m) / m) * ((r.y - m) / m)).sum();
        let dispersion = (pearson / (rows.len() - used) as f64).max(1.0);
        expected.is_finite().then_some(Fit { mean, leverage, dispersion, expected })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// The series of the golden rows, simulated by ourselves.
    pub(in super::super) fn series() -> BTreeMap<String, Vec<f64>> {
        let lines = include_str!("../../tests/data/counts/series.csv").lines().skip(1);
        lines
            .map(|line| {
                let (name, counts) = line.split_once(',').unwrap();
                (name.to_owned(), counts.split(' ').map(|x| x.parse().unwrap()).collect())
            })
            .collect()
    }

    #[test]
    fn numbers_are_those_of_the_reference() {
        let golden = include_str!("../../tests/data/counts/golden.csv");
        let series = series();
        let (mut without, mut rows) = (0, 0);
        for line in golden.lines().skip(1) {
            let cells: Vec<&str> = line.split(',').collect();
            let number = |i: usize| cells[i].parse::<f64>().unwrap();
            let r = Farrington::default().judge(&series[cells[0]][..number(1) as usize]).unwrap();
            let near = |a: f64, b: f64| (a - b).abs() < 1e-4 * b.abs().max(1.0);
            assert!(near(r.expected, number(3)) && near(r.dispersion, number(4)), "{line}: {r:?}");
            assert!(near(libm::pow(10.0, -r.score), number(7)), "{line}: {r:?}");
            assert_eq!((f64::from(u8::from(r.trend)), r.upper), (number(5), number(6)), "{line}: {r:?}");
            without += u32::from(!r.trend);
            rows += 1;
        }
        assert_eq!((rows, without), (98, 4));
    }

    #[test]
    fn a_year_of_history_is_needed_and_a_surge_of_the_past_is_weighted_down() {
        let f = Farrington::default();
        let mut counts: Vec<f64> = (0..300).map(|t| [3.0, 5.0, 4.0, 2.0, 6.0][t % 5]).collect();
        assert_eq!(f.judge(&counts[..55]), None);
        assert!(f.judge(&counts[..200]).is_some());
        let before = f.judge(&counts).unwrap();
        counts[299 - 52] = 60.0;
        let after = f.judge(&counts).unwrap();
        assert!((before.expected - 4.0).abs() < 0.6 && after.expected < before.expected + 1.0, "{before:?} {after:?}");
        counts.push(15.0);
        assert!(f.judge(&counts).unwrap().score > 2.0);
    }
}
