//! Scores one entity's group of sensors against a calibration period: is their joint state one that was seen there?
//!
//! In: one row of `d` readings at a time, the first `calibrate` rows taken as normal. Out: a `GroupReading` per row after that:
//! the statistic, the bar, the alarm, and each sensor's contribution (they add up to the statistic).
//! Promise: causal, deterministic, bounded (about 3 d² numbers), nothing knows a row's number after the calibration.
//! Not here: which rows are good, levels, one sensor's own novelty (`sensor_novelty`).
//! Cost: 2 d² multiplications a row.
//!
//! # Method
//! Multivariate EWMA chart (Lowry, Woodall, Champ, Rigdon 1992, Technometrics 34(1)) at two speeds: T² = e' S⁻¹ e with e
//! the exponentially weighted mean of the row's distance from the calibration mean, half-life 14 rows (small shifts) and
//! 4 rows (sudden ones); the larger counts. S is measured on the calibration rows' own EWMA, so autocorrelation is in it,
//! and each sensor's variance is widened by 30 times the variance of its block means (the calibration in 8 blocks): a
//! sensor that wandered while all was well must wander further to count. Correlations are kept.
//! Each sensor's mean follows at the pace that it showed: the share of its calibration variance that was between blocks,
//! times a half-life of 100 rows, three tenths of that in an alarm. A temperature drifts on unpunished, a flow does not.
//! Recovery: below 6 % of the episode's peak (which fades, half-life 900 rows) a row is on its way back, not a fault.

use serde::{Deserialize, Serialize};

/// Settings; one for all groups. Fitted and cross-validated on SKAB's development half; all flat optima.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Alarm when the statistic reaches this.
    pub threshold: f64,
    /// Half-lives of the two means, rows.
    pub slow_half: f64,
    /// See `slow_half`.
    pub fast_half: f64,
    /// How many times the variance of a sensor's block means is added to its variance.
    pub wander: f64,
    /// Share of the fading peak below which a row is recovering, and the peak's half-life, rows.
    pub recovered: f64,
    /// See `recovered`.
    pub peak_half: f64,
    /// Half-life, rows, with which the mean of a sensor that did nothing but wander follows it; others follow in
    /// proportion to the share of their variance that was wandering. In an alarm only `alarm_pace` of that.
    pub follow_half: f64,
    /// See `follow_half`.
    pub alarm_pace: f64,
    /// Calibration rows.
    pub calibrate: u32,
}

impl Group {
    /// The settings with the parameters of a model file; `parameter` gives the value of a name, or the default that it
    /// is called with.
    #[must_use]
    pub fn of(parameter: &dyn Fn(&str, f64) -> f64) -> Group {
        let set = Group::default();
        Group {
            threshold: parameter("threshold", set.threshold),
            calibrate: parameter("calibrate", 1_000.0) as u32,
            ..set
        }
    }
}

impl Default for Group {
    fn default() -> Self {
        Group {
            threshold: 7.0,
            slow_half: 14.0,
            fast_half: 4.0,
            wander: 30.0,
            recovered: 0.06,
            peak_half: 900.0,
            follow_half: 100.0,
            alarm_pace: 0.3,
            calibrate: 400,
        }
    }
}

/// A scored row.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupReading {
    /// The larger of the two T².
    pub statistic: f64,
    /// What it must reach now: the threshold, or more while a larger excursion fades.
    pub bar: f64,
    /// The bar is reached.
    pub alarm: bool,
    /// Each sensor's part of the statistic, in the row's order; a part can be below 0 where sensors vouch for each other.
    pub contributions: Vec<f64>,
}

impl GroupReading {
    /// The score at the bar.
    pub const ALARM: f64 = 0.5;

    /// 0..1; 0.5 is exactly at the bar.
    #[must_use]
    pub fn score(&self) -> f64 {
        1.0 - libm::exp2(-self.statistic / self.bar)
    }
}

const BLOCKS: u32 = 8;
/// Rows after which an EWMA's start no longer shows in its covariance.
const SETTLE: u32 = 20;

/// One group's state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupState {
    seen: u32,
    sensors: usize,
    mean: Vec<f64>,
    square: Vec<f64>,
    block: Vec<f64>,
    block_mean: Vec<f64>,
    block_square: Vec<f64>,
    chart: [Chart; 2],
    /// How much of each sensor's calibration variance was wandering, 0..1; known after the calibration.
    pace: Vec<f64>,
    peak: f64,
}

/// One speed: the running mean, and the covariance of it while calibrating, its inverse after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Chart {
    ewma: Vec<f64>,
    mean: Vec<f64>,
    matrix: Vec<f64>,
}

impl GroupState {
    #[must_use]
    pub fn new(sensors: usize) -> Self {
        let zero = vec![0.0; sensors];
        let chart = Chart { ewma: zero.clone(), mean: zero.clone(), matrix: vec![0.0; sensors * sensors] };
        GroupState {
            seen: 0,
            sensors,
            mean: zero.clone(),
            square: zero.clone(),
            block: zero.clone(),
            block_mean: zero.clone(),
            block_square: zero.clone(),
            pace: zero,
            chart: [chart.clone(), chart],
            peak: 0.0,
        }
    }

    /// True until the calibration period is complete.
    #[must_use]
    pub fn is_calibrating(&self, settings: &Group) -> bool {
        self.seen < settings.calibrate
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let d = self.sensors;
        std::mem::size_of::<GroupState>() + (6 * d + 2 * (2 * d + d * d)) * std::mem::size_of::<f64>()
    }

    /// Applies one row. `None` while calibrating, and for a row with fewer than half of its readings.
    ///
    /// A reading that is not finite is missing: its sensor's means stay as they are. The calibration learns from complete
    /// rows only, as what varies together is not known of others; a row with fewer than half of its readings changes
    /// nothing, as it does not tell the group's state.
    ///
    /// # Panics
    /// When the row's length is not the number of sensors: the caller mixed two groups.
    pub fn update(&mut self, settings: &Group, row: &[f64]) -> Option<GroupReading> {
        assert_eq!(row.len(), self.sensors, "a group's rows have one length");
        let d = self.sensors;
        let known = row.iter().filter(|x| x.is_finite()).count();
        if 2 * known < d || (known < d && self.is_calibrating(settings)) {
            return None;
        }
        for (chart, half) in self.chart.iter_mut().zip([settings.slow_half, settings.fast_half]) {
            let share = (1.0 - libm::exp2(-1.0 / half)).max(1.0 / f64::from(self.seen + 1));
            for (e, &x) in chart.ewma.iter_mut().zip(row) {
                if x.is_finite() {
                    *e += share * (x - *e);
                }
            }
        }
        self.seen = self.seen.saturating_add(1);
        if self.seen <= settings.calibrate {
            self.learn(settings, row);
            return None;
        }

        let mut best = (f64::NAN, vec![0.0; d]);
        for chart in &self.chart {
            let e: Vec<f64> = (0..d).map(|i| chart.ewma[i] - self.mean[i]).collect();
            let parts: Vec<f64> =
                (0..d).map(|i| e[i] * (0..d).map(|j| chart.matrix[i * d + j] * e[j]).sum::<f64>()).collect();
            let t2 = parts.iter().sum::<f64>();
            if best.0.is_nan() || t2 > best.0 {
                best = (t2, parts);
            }
        }
        let (statistic, contributions) = best;
        self.peak = (self.peak * libm::exp2(-1.0 / settings.peak_half)).max(statistic);
        let bar = settings.threshold.max(settings.recovered * self.peak);
        let alarm = statistic >= bar;
        let share = (1.0 - libm::exp2(-1.0 / settings.follow_half)) * if alarm { settings.alarm_pace } else { 1.0 };
        for i in 0..d {
            self.mean[i] += share * self.pace[i] * (self.chart[0].ewma[i] - self.mean[i]);
        }
        Some(GroupReading { statistic, bar, alarm, contributions })
    }

    #[expect(clippy::needless_range_loop, reason = "several columns are walked at one index")]
    fn learn(&mut self, settings: &Group, row: &[f64]) {
        let d = self.sensors;
        let n = f64::from(self.seen);
        for i in 0..d {
            let x = row[i];
            let before = x - self.mean[i];
            self.mean[i] += before / n;
            self.square[i] += before * (x - self.mean[i]);
            self.block[i] += x;
        }
        let length = (settings.calibrate / BLOCKS).max(1);
        if self.seen.is_multiple_of(length) && self.seen / length <= BLOCKS {
            let k = f64::from(self.seen / length);
            for i in 0..d {
                let m = self.block[i] / f64::from(length);
                let before = m - self.block_mean[i];
                self.block_mean[i] += before / k;
                self.block_square[i] += before * (m - self.block_mean[i]);
                self.block[i] = 0.0;
            }
        }
        if self.seen > SETTLE {
            let n = f64::from(self.seen - SETTLE);
            for chart in &mut self.chart {
                let before: Vec<f64> = (0..d).map(|i| chart.ewma[i] - chart.mean[i]).collect();
                for i in 0..d {
                    chart.mean[i] += before[i] / n;
                }
                for i in 0..d {
                    for j in 0..d {
                        chart.matrix[i * d + j] += before[i] * (chart.ewma[j] - chart.mean[j]);
                    }
                }
            }
        }
        if self.seen == settings.calibrate {
            self.settle(settings);
        }
    }

    /// Turns the sums into the two inverse matrices.
    #[expect(clippy::needless_range_loop, reason = "several columns are walked at one index")]
    fn settle(&mut self, settings: &Group) {
        let d = self.sensors;
        let n = f64::from(self.seen);
        let sigma: Vec<f64> = (0..d)
            // A sensor that stood still gets a thousandth of its value as spread, not none.
            .map(|i| (self.square[i] / n).sqrt().max(1e-3 * self.mean[i].abs() + 1e-9))
            .collect();
        for i in 0..d {
            let variance = (self.square[i] / n).max(1e-9 * sigma[i] * sigma[i]);
            self.pace[i] = (self.block_square[i] / f64::from(BLOCKS) / variance).clamp(0.0, 1.0);
        }
        for chart in &mut self.chart {
            let count = f64::from(self.seen.saturating_sub(SETTLE + 1).max(1));
            let mut c: Vec<f64> = (0..d * d).map(|k| chart.matrix[k] / count / (sigma[k / d] * sigma[k % d])).collect();
            for i in 0..d {
                c[i * d + i] += 1e-9;
            }
            let widen: Vec<f64> = (0..d)
                .map(|i| {
                    let wander = self.block_square[i] / f64::from(BLOCKS - 1) / (sigma[i] * sigma[i]);
                    (1.0 + settings.wander * wander / c[i * d + i]).sqrt()
                })
                .collect();
            for k in 0..d * d {
                c[k] *= widen[k / d] * widen[k % d];
            }
            for i in 0..d {
                c[i * d + i] += 1e-6;
            }
            let inverse = inverse(&c, d);
            for k in 0..d * d {
                chart.matrix[k] = inverse[k] / (sigma[k / d] * sigma[k % d]);
            }
        }
    }
}

/// Inverse of a symmetric positive definite matrix by Gauss–Jordan without pivoting (the ridge keeps pivots above 0).
fn inverse(c: &[f64], d: usize) -> Vec<f64> {
    let mut a = c.to_vec();
    let mut b = vec![0.0; d * d];
    for i in 0..d {
        b[i * d + i] = 1.0;
    }
    for p in 0..d {
        let pivot = a[p * d + p];
        for j in 0..d {
            a[p * d + j] /= pivot;
            b[p * d + j] /= pivot;
        }
        for i in 0..d {
            let f = a[i * d + p];
            if i != p && f != 0.0 {
                for j in 0..d {
                    a[i * d + j] -= f * a[p * d + j];
                    b[i * d + j] -= f * b[p * d + j];
                }
            }
        }
    }
    b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contributions_add_up_and_name_the_sensor() {
        let mut state = GroupState::new(3);
        let mut r = 7u64;
        let mut noise = move || {
            r ^= r << 13;
            r ^= r >> 7;
            r ^= r << 17;
            (r >> 40) as f64 / 16_777_216.0
        };
        for _ in 0..500 {
            let (a, b) = (noise(), noise());
            state.update(&Group::default(), &[a, b, a + b + 0.1 * noise()]);
        }
        let mut last = None;
        for _ in 0..60 {
            let (a, b) = (noise(), noise());
            last = state.update(&Group::default(), &[a, b + 3.0, a + b]);
        }
        let v = last.unwrap();
        assert!(v.alarm, "{v:?}");
        assert!((v.contributions.iter().sum::<f64>() - v.statistic).abs() < 1e-9 * v.statistic);
        assert!(v.contributions[1] > v.contributions[0], "{v:?}");
    }

    #[test]
    fn missing_readings_are_not_learnt_from_and_half_of_them_are_needed() {
        let settings = Group { calibrate: 40, ..Group::default() };
        let row = |i: u32| [f64::from(i % 7), f64::from(i % 5), f64::from(i % 3)];
        let (mut whole, mut gaps) = (GroupState::new(3), GroupState::new(3));
        for i in 0..40 {
            assert!(whole.update(&settings, &row(i)).is_none());
            assert!(gaps.update(&settings, &[row(i)[0], f64::NAN, row(i)[2]]).is_none());
            assert!(gaps.is_calibrating(&settings));
            assert!(gaps.update(&settings, &row(i)).is_none());
        }
        assert_eq!(whole, gaps);
        assert!(!gaps.is_calibrating(&settings));
        assert!(gaps.update(&settings, &[9.0, f64::NAN, f64::NAN]).is_none());
        assert_eq!(whole, gaps);
        assert!(gaps.update(&settings, &[1.0, f64::NAN, 1.0]).is_some_and(|r| r.statistic.is_finite()));
    }

    #[test]
    fn the_inverse_is_one() {
        let c = [4.0, 1.0, 0.5, 1.0, 3.0, 0.2, 0.5, 0.2, 2.0];
        let b = inverse(&c, 3);
        for i in 0..3 {
            for j in 0..3 {
                let x: f64 = (0..3).map(|k| c[i * 3 + k] * b[k * 3 + j]).sum();
                assert!((x - f64::from(u8::from(i == j))).abs() < 1e-12);
            }
        }
    }
}
