//! M5, deviation from peers: how far a value lies from those of the same trade and district.

/// The centre and spread of a group of peers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peers {
    /// Median.
    pub median: f64,
    /// Median of the distances from the median.
    pub mad: f64,
    /// How many.
    pub count: usize,
}

/// Turns the median absolute deviation of a normal distribution into its standard deviation.
const NORMAL: f64 = 0.6745;

impl Peers {
    /// Centre and spread of values, which are reordered; `None` when there are none.
    #[must_use]
    pub fn of(values: &mut [f64]) -> Option<Peers> {
        let median = median(values)?;
        let mut distances: Vec<f64> = values.iter().map(|x| (x - median).abs()).collect();
        Some(Peers { median, mad: self::median(&mut distances)?, count: values.len() })
    }

    /// The modified z score of a value; `None` when half of the peers or more are equal.
    ///
    /// # Source
    /// Iglewicz and Hoaglin (1993), How to Detect and Handle Outliers.
    #[must_use]
    pub fn score(&self, value: f64) -> Option<f64> {
        (self.mad > 0.0).then(|| NORMAL * (value - self.median) / self.mad)
    }
}

fn median(values: &mut [f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let (half, odd) = (values.len() / 2, values.len() % 2 == 1);
    let (below, upper, _) = values.select_nth_unstable_by(half, f64::total_cmp);
    let upper = *upper;
    if odd {
        return Some(upper);
    }
    let lower = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    Some((lower + upper) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_and_the_score_are_those_of_sorted_values() {
        for n in 1..40_usize {
            let mut values: Vec<f64> = (0..n).map(|i| ((i * 7919) % 101) as f64 / 3.0).collect();
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            let middle = |all: &[f64]| (all[(all.len() - 1) / 2] + all[all.len() / 2]) / 2.0;
            let median = middle(&sorted);
            let mut distances: Vec<f64> = sorted.iter().map(|x| (x - median).abs()).collect();
            distances.sort_by(f64::total_cmp);
            let peers = Peers::of(&mut values).unwrap();
            assert_eq!((peers.median, peers.mad, peers.count), (median, middle(&distances), n));
            let expected = (peers.mad > 0.0).then(|| 0.6745 * (50.0 - median) / peers.mad);
            assert_eq!(peers.score(50.0), expected);
        }
        assert_eq!(Peers::of(&mut []), None);
        assert_eq!(Peers::of(&mut [4.0, 4.0, 4.0, 9.0]).unwrap().score(9.0), None);
    }
}
