//! M6, trend to a limit: the least-squares line through a window and when it will cross a limit.

use serde::{Deserialize, Serialize};

/// Moments of points (time, value), from which the line follows. Two of them merge into one, so panes can hold them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Line {
    n: f64,
    t: f64,
    x: f64,
    tt: f64,
    tx: f64,
    xx: f64,
}

/// A line through the points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trend {
    /// Value per unit of time.
    pub slope: f64,
    /// Value at time 0.
    pub intercept: f64,
    /// Share of the variance that the line explains, 0 to 1.
    pub r2: f64,
    /// Points.
    pub points: f64,
}

impl Line {
    /// Takes in a point.
    pub fn add(&mut self, t: f64, x: f64) {
        *self = self.merge(&Line { n: 1.0, t, x, ..Line::default() });
    }

    /// Both sets of points together.
    ///
    /// # Source
    /// Chan, Golub and LeVeque (1983), The American Statistician 37(3).
    #[must_use]
    pub fn merge(&self, other: &Line) -> Line {
        let n = self.n + other.n;
        if self.n == 0.0 || other.n == 0.0 {
            return if self.n == 0.0 { *other } else { *self };
        }
        let (dt, dx) = (other.t - self.t, other.x - self.x);
        let share = self.n * other.n / n;
        Line {
            n,
            t: self.t + dt * other.n / n,
            x: self.x + dx * other.n / n,
            tt: self.tt + other.tt + dt * dt * share,
            tx: self.tx + other.tx + dt * dx * share,
            xx: self.xx + other.xx + dx * dx * share,
        }
    }

    /// The least-squares line; `None` with fewer than two times.
    #[must_use]
    pub fn trend(&self) -> Option<Trend> {
        if self.tt <= 0.0 {
            return None;
        }
        let slope = self.tx / self.tt;
        let r2 = if self.xx > 0.0 { self.tx * self.tx / (self.tt * self.xx) } else { 0.0 };
        Some(Trend { slope, intercept: self.x - slope * self.t, r2, points: self.n })
    }
}

impl Trend {
    /// How long after `now` the line crosses a limit, in units of time; 0 when it is beyond already, `None` when it
    /// leads away. `above`: being above the limit is bad.
    #[must_use]
    pub fn time_to(&self, limit: f64, now: f64, above: bool) -> Option<f64> {
        let left = limit - (self.intercept + self.slope * now);
        let (left, slope) = if above { (left, self.slope) } else { (-left, -self.slope) };
        if left <= 0.0 {
            return Some(0.0);
        }
        (slope > 0.0).then(|| left / slope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// NIST Statistical Reference Datasets, Norris: (x, y) and certified values.
    const NORRIS: [(f64, f64); 36] = [
        (0.2, 0.1),
        (337.4, 338.8),
        (118.2, 118.1),
        (884.6, 888.0),
        (10.1, 9.2),
        (226.5, 228.1),
        (666.3, 668.5),
        (996.3, 998.5),
        (448.6, 449.1),
        (777.0, 778.9),
        (558.2, 559.2),
        (0.4, 0.3),
        (0.6, 0.1),
        (775.5, 778.1),
        (666.9, 668.8),
        (338.0, 339.3),
        (447.5, 448.9),
        (11.6, 10.8),
        (556.0, 557.7),
        (228.1, 228.3),
        (995.8, 998.0),
        (887.6, 888.8),
        (120.2, 119.6),
        (0.3, 0.3),
        (0.3, 0.6),
        (556.8, 557.6),
        (339.1, 339.3),
        (887.2, 888.0),
        (999.0, 998.5),
        (779.0, 778.9),
        (11.1, 10.2),
        (118.3, 117.6),
        (229.2, 228.9),
        (669.1, 668.4),
        (448.9, 449.2),
        (0.5, 0.2),
    ];

    #[test]
    fn the_line_has_the_certified_coefficients_of_norris() {
        for cut in [0, 1, 17, 36] {
            let mut parts = [Line::default(); 2];
            for (i, (x, y)) in NORRIS.into_iter().enumerate() {
                parts[usize::from(i >= cut)].add(x, y);
            }
            let line = parts[0].merge(&parts[1]).trend().unwrap();
            assert!((line.slope - 1.002_116_818_020_45).abs() < 1e-12, "{}", line.slope);
            assert!((line.intercept + 0.262_323_073_774_029).abs() < 1e-10, "{}", line.intercept);
            assert!((line.r2 - 0.999_993_745_883_712).abs() < 1e-12, "{}", line.r2);
        }
    }

    #[test]
    fn a_limit_is_reached_when_the_line_crosses_it() {
        let mut line = Line::default();
        (0..10).for_each(|t| line.add(f64::from(t), 2.0 * f64::from(t)));
        let trend = line.trend().unwrap();
        assert_eq!(trend.time_to(30.0, 9.0, true).map(f64::round), Some(6.0));
        assert_eq!(trend.time_to(10.0, 9.0, true), Some(0.0));
        assert_eq!(trend.time_to(10.0, 9.0, false), None);
        assert_eq!(Line::default().trend(), None);
    }
}
