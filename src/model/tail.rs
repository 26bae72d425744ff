//! Upper tails of Poisson and negative binomial counts, in the parametrisation (mean, dispersion = variance / mean).

use statrs::function::beta::beta_reg;
use statrs::function::erf::erfc_inv;
use statrs::function::gamma::gamma_lr;

/// Dispersions below this are taken as Poisson.
const POISSON_BELOW: f64 = 1.0 + 1e-6;

/// ln P(X = x).
pub(super) fn ln_pmf(x: f64, mean: f64, phi: f64) -> f64 {
    if mean <= 0.0 {
        return if x < 0.5 { 0.0 } else { f64::NEG_INFINITY };
    }
    if phi < POISSON_BELOW {
        return x * libm::log(mean) - mean - libm::lgamma(x + 1.0);
    }
    let r = mean / (phi - 1.0);
    libm::lgamma(x + r) - libm::lgamma(r) - libm::lgamma(x + 1.0) - r * libm::log(phi)
        + x * libm::log((phi - 1.0) / phi)
}

/// P(X >= x) for a whole number x.
pub(super) fn upper(x: f64, mean: f64, phi: f64) -> f64 {
    if x < 0.5 {
        return 1.0;
    }
    if mean <= 0.0 {
        return 0.0;
    }
    if phi < POISSON_BELOW {
        return gamma_lr(x, mean);
    }
    let r = mean / (phi - 1.0);
    beta_reg(x, r, (phi - 1.0) / phi)
}

/// The smallest whole number u with P(X > u) <= alpha.
pub(super) fn upper_bound(alpha: f64, mean: f64, phi: f64) -> f64 {
    let (mut low, mut high) = (-1.0, (mean * phi).max(1.0).ceil());
    while upper(high + 1.0, mean, phi) > alpha {
        (low, high) = (high, high * 2.0);
    }
    while high - low > 1.0 {
        let middle = ((low + high) / 2.0_f64).floor();
        if upper(middle + 1.0, mean, phi) > alpha {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// The value that a standard normal variable exceeds with probability `alpha`.
pub(super) fn normal_quantile(alpha: f64) -> f64 {
    std::f64::consts::SQRT_2 * erfc_inv(2.0 * alpha)
}

/// -log10 P(a standard normal variable is above z).
pub(super) fn normal_score(z: f64) -> f64 {
    (-libm::log10((0.5 * libm::erfc(z / std::f64::consts::SQRT_2)).max(1e-300))).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_are_sums_of_probabilities() {
        for (mean, phi) in [(0.13, 1.0), (0.13, 2.0), (4.2, 1.0), (4.2, 1.7), (150.0, 1.2)] {
            let all: f64 = (0..2000).map(|x| ln_pmf(f64::from(x), mean, phi).exp()).sum();
            assert!((all - 1.0).abs() < 1e-9, "{mean} {phi} {all}");
            let x = (mean + 2.0_f64).round();
            let tail: f64 = (x as i32..2000).map(|x| ln_pmf(f64::from(x), mean, phi).exp()).sum();
            assert!((upper(x, mean, phi) / tail - 1.0).abs() < 1e-8, "{mean} {phi}");
        }
        // P(X >= 12 | 4) = 0.000915 (Poisson tables)
        assert!((upper(12.0, 4.0, 1.0) - 0.000_915).abs() < 1e-6);
    }
}
