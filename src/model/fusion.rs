//! Several weak signals of one object as one risk: odds before any signal, times how much likelier each signal is with the
//! risk than without it.
//!
//! In: the share of objects that have the risk, and for each signal its likelihood ratio and whose knowledge it is.
//! Out: the probability of the risk with the factor that each signal has put in. Signals of one department often tell of
//! the same thing twice: the strongest counts whole, each further one of the same direction a share of the one before.
//! Not here: which signals are open, how they fade (`engine/methods/items`), levels.
//!
//! # Source
//! Good (1985), Weight of evidence: a brief survey, Bayesian Statistics 2, for odds and weights; the discount is our own
//! default.

/// One signal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Strand {
    /// Natural logarithm of P(signal | risk) / P(signal | no risk); 0 says nothing.
    pub weight: f64,
    /// Whose knowledge it is, as a hash.
    pub department: u64,
}

/// A risk with its factors.
#[derive(Clone, Debug, PartialEq)]
pub struct Fused {
    /// Probability of the risk, 0 to 1.
    pub risk: f64,
    /// What each signal multiplies the odds by, in the order given: odds of the prior x factors = odds of the risk.
    pub factors: Vec<f64>,
}

/// Joins signals.
///
/// - `prior`: share of objects that have the risk when nothing is known, above 0 and below 1
/// - `same`: share of its weight that a further signal of one department keeps, 0 to 1
#[must_use]
pub fn fuse(prior: f64, same: f64, strands: &[Strand]) -> Fused {
    let mut order: Vec<usize> = (0..strands.len()).collect();
    // The strongest first; among equals the one given first.
    order.sort_by(|a, b| strands[*b].weight.abs().total_cmp(&strands[*a].weight.abs()).then(a.cmp(b)));
    let mut weights = vec![0.0; strands.len()];
    for (rank, i) in order.iter().enumerate() {
        let strand = strands[*i];
        let alike = |j: &&usize| {
            let other = strands[**j];
            other.department == strand.department && (other.weight > 0.0) == (strand.weight > 0.0)
        };
        let before = order[..rank].iter().filter(alike).count();
        weights[*i] = strand.weight * libm::pow(same, before as f64);
    }
    let log_odds = libm::log(prior / (1.0 - prior)) + weights.iter().sum::<f64>();
    Fused { risk: 1.0 / (1.0 + libm::exp(-log_odds)), factors: weights.into_iter().map(libm::exp).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strand(ratio: f64, department: u64) -> Strand {
        Strand { weight: libm::log(ratio), department }
    }

    #[test]
    fn one_test_gives_the_published_probability() {
        // Eddy (1982), Probabilistic reasoning in clinical medicine: 1 % ill, 79.2 % of them and 9.6 % of the others
        // test positive; a positive test means 7.7 %.
        let fused = fuse(0.01, 0.5, &[strand(0.792 / 0.096, 1)]);
        assert!((fused.risk - 0.077).abs() < 5e-4, "{}", fused.risk);
        let exact = 0.01 * 0.792 / (0.01 * 0.792 + 0.99 * 0.096);
        assert!((fused.risk - exact).abs() < 1e-12);
    }

    #[test]
    fn signals_of_different_departments_multiply_and_those_of_one_are_discounted() {
        let (a, b) = (strand(4.0, 1), strand(9.0, 2));
        let apart = fuse(0.02, 0.5, &[a, b]);
        let odds = apart.risk / (1.0 - apart.risk);
        assert!((odds - 0.02 / 0.98 * 36.0).abs() < 1e-12, "{odds}");
        // The stronger counts whole, the weaker by its root; the order given does not matter.
        let together = fuse(0.02, 0.5, &[a, Strand { department: 1, ..b }]);
        assert!((together.factors[0] - 2.0).abs() < 1e-12 && (together.factors[1] - 9.0).abs() < 1e-12);
        assert_eq!(together.risk, fuse(0.02, 0.5, &[Strand { department: 1, ..b }, a]).risk);
        assert!((fuse(0.02, 0.0, &[a, a]).risk - fuse(0.02, 0.0, &[a]).risk).abs() < 1e-15);
        assert!((fuse(0.02, 0.5, &[]).risk - 0.02).abs() < 1e-15);
        // What speaks against the risk is no repetition of what speaks for it.
        let against = fuse(0.02, 0.5, &[a, strand(0.25, 1)]);
        assert!((against.risk - 0.02).abs() < 1e-12);
    }

    #[test]
    fn a_world_of_independent_signals_is_judged_by_its_own_shares() {
        // Counted out exactly: 5 % of objects have the risk; each signal is seen with or without it at its own rate.
        let (prior, seen) = (0.05, [(0.6, 0.1), (0.3, 0.06), (0.8, 0.4)]);
        for mask in 0..8_u32 {
            let mut with = prior;
            let mut without = 1.0 - prior;
            let mut strands = Vec::new();
            for (i, (hit, fault)) in seen.into_iter().enumerate() {
                let (h, f): (f64, f64) = if mask & (1 << i) != 0 { (hit, fault) } else { (1.0 - hit, 1.0 - fault) };
                with *= h;
                without *= f;
                strands.push(strand(h / f, i as u64));
            }
            assert!((fuse(prior, 0.5, &strands).risk - with / (with + without)).abs() < 1e-12);
        }
    }
}
