//! M1, surge of a count: how far the newest window lies above the mean of those before it.

use statrs::distribution::{DiscreteCDF, Poisson};

/// A judged count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SurgeScore {
    /// z = (x - mean) / sqrt(max(mean, 1)), no unit.
    pub score: f64,
    /// Count in the newest window.
    pub count: f64,
    /// Mean count of the windows before it.
    pub mean: f64,
    /// P(X >= x) under a Poisson distribution with the mean (at least 1): how rare such a window is.
    pub tail: f64,
}

/// Judges the count of the newest window against the counts of the windows before it.
///
/// - `count`: count in the newest window
/// - `before`: counts of the preceding windows, at least one
///
/// Returns `None` when `before` is empty.
///
/// # Source
/// Formula M1 of the domain handbook: variance-stabilised distance under a Poisson mean; the tail is the exact
/// Poisson upper tail.
#[must_use]
pub fn surge(count: f64, before: &[f64]) -> Option<SurgeScore> {
    if before.is_empty() {
        return None;
    }
    let mean = before.iter().sum::<f64>() / before.len() as f64;
    let spread = mean.max(1.0);
    let tail = match Poisson::new(spread) {
        Ok(_) if count < 1.0 => 1.0,
        Ok(poisson) => poisson.sf(count as u64 - 1),
        Err(_) => f64::NAN,
    };
    Some(SurgeScore { score: (count - mean) / spread.sqrt(), count, mean, tail })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_judged_against_the_mean_before_it() {
        let s = surge(12.0, &[4.0; 8]).unwrap();
        assert!((s.score - 4.0).abs() < 1e-12);
        // P(X >= 12 | 4) = 0.000915 (Poisson tables)
        assert!((s.tail - 0.000_915).abs() < 1e-6, "{}", s.tail);
    }

    #[test]
    fn a_mean_below_one_is_taken_as_one_in_the_spread() {
        let s = surge(3.0, &[0.0; 8]).unwrap();
        assert!((s.score - 3.0).abs() < 1e-12);
        assert_eq!(surge(3.0, &[]), None);
    }
}
