//! Logistic regression with a ridge penalty, by iteratively reweighted least squares.
//!
//! In: rows of numbers, an offset and an outcome each. Out: intercept and weights. Promise: the same rows in the same
//! order give the same bits. Not here: standardising, which rows count. Cost: rows × columns² / 2 a step, about 7 steps.

/// A fitted regression.
#[derive(Clone, Debug, PartialEq)]
pub struct Logistic {
    /// Log odds of a row of zeros with offset 0.
    pub intercept: f64,
    /// Log odds a unit, one a column.
    pub weights: Vec<f64>,
}

/// Why there is no fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogisticError {
    /// Without both outcomes there is nothing to tell apart.
    #[error("{rows} rows, {positive} of them positive: a fit needs both outcomes")]
    OneOutcome {
        /// Rows.
        rows: usize,
        /// Positive ones.
        positive: usize,
    },
    /// The rows differ in length, or a number is not finite.
    #[error("row {0} has another length, or a number that is not finite")]
    Row(usize),
    /// Columns repeat each other, or an outcome is wholly given by one, and the penalty is zero.
    #[error("the columns do not determine the weights; raise the penalty")]
    Singular,
}

/// Steps at the most; seven are usual.
const STEPS: usize = 60;
/// A step no larger than this in every weight ends the search.
const CLOSE: f64 = 1e-10;

/// The share that log odds stand for.
#[must_use]
pub(super) fn share(log_odds: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-log_odds))
}

/// Fits outcome ~ offset + intercept + row · weights; the penalty `penalty`/2 × Σ weights² leaves the intercept free.
///
/// - `rows`: n rows of k finite numbers each
/// - `offset`: n log odds that are given
/// - `outcome`: n
///
/// # Errors
/// [`LogisticError`].
///
/// # Source
/// le Cessie and van Houwelingen (1992), Ridge Estimators in Logistic Regression, Applied Statistics 41(1).
pub fn logistic(rows: &[Vec<f64>], offset: &[f64], outcome: &[bool], penalty: f64) -> Result<Logistic, LogisticError> {
    let positive = outcome.iter().filter(|y| **y).count();
    if positive == 0 || positive == rows.len() {
        return Err(LogisticError::OneOutcome { rows: rows.len(), positive });
    }
    let k = rows.first().map_or(0, Vec::len) + 1;
    let bad = |(row, offset): (&Vec<f64>, &f64)| {
        row.len() + 1 != k || !offset.is_finite() || row.iter().any(|x| !x.is_finite())
    };
    if let Some(row) = rows.iter().zip(offset).position(bad) {
        return Err(LogisticError::Row(row));
    }
    let mut beta = vec![0.0; k];
    let mut loss = f64::INFINITY;
    let mut step = vec![0.0; k];
    for _ in 0..STEPS {
        // A step that makes it worse is halved: data that are nearly separable overshoot.
        let mut now = objective(rows, offset, outcome, penalty, &beta);
        for _ in 0..30 {
            if now <= loss + 1e-12 * loss.abs() || loss.is_infinite() {
                break;
            }
            for (b, s) in beta.iter_mut().zip(&mut step) {
                *s /= 2.0;
                *b -= *s;
            }
            now = objective(rows, offset, outcome, penalty, &beta);
        }
        loss = now;
        let (mut hessian, mut gradient) = (vec![0.0; k * k], vec![0.0; k]);
        let mut wide = vec![1.0; k];
        for ((row, offset), y) in rows.iter().zip(offset).zip(outcome) {
            wide[1..].copy_from_slice(row);
            let p = share(offset + dot(&beta, &wide));
            let (weight, rest) = (p * (1.0 - p), f64::from(u8::from(*y)) - p);
            for (j, x) in wide.iter().enumerate() {
                gradient[j] += rest * x;
                let scaled = weight * x;
                if scaled != 0.0 {
                    for (h, other) in hessian[j * k..=j * k + j].iter_mut().zip(&wide) {
                        *h += scaled * other;
                    }
                }
            }
        }
        for j in 1..k {
            gradient[j] -= penalty * beta[j];
            hessian[j * k + j] += penalty;
        }
        step = solve(hessian, gradient, k).ok_or(LogisticError::Singular)?;
        for (b, s) in beta.iter_mut().zip(&step) {
            *b += s;
        }
        if step.iter().all(|s| s.abs() <= CLOSE) {
            return Ok(Logistic { intercept: beta[0], weights: beta.split_off(1) });
        }
    }
    Err(LogisticError::Singular)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Minus log likelihood with the penalty.
fn objective(rows: &[Vec<f64>], offset: &[f64], outcome: &[bool], penalty: f64, beta: &[f64]) -> f64 {
    let mut sum = penalty / 2.0 * dot(&beta[1..], &beta[1..]);
    for ((row, offset), y) in rows.iter().zip(offset).zip(outcome) {
        let z = offset + beta[0] + dot(&beta[1..], row);
        let against = if *y { -z } else { z };
        sum += if against > 0.0 { against + libm::log1p(libm::exp(-against)) } else { libm::log1p(libm::exp(against)) };
    }
    sum
}

/// Solves a symmetric system of which the lower half is given, by Cholesky; `None` when it is not positive.
fn solve(mut a: Vec<f64>, mut b: Vec<f64>, k: usize) -> Option<Vec<f64>> {
    for j in 0..k {
        for i in 0..=j {
            let rest = a[j * k + i] - dot(&a[j * k..j * k + i], &a[i * k..i * k + i]);
            if i < j {
                a[j * k + i] = rest / a[i * k + i];
            } else if rest > 1e-12 {
                a[j * k + j] = rest.sqrt();
            } else {
                return None;
            }
        }
    }
    for j in 0..k {
        b[j] = (b[j] - dot(&a[j * k..j * k + j], &b[..j])) / a[j * k + j];
    }
    for j in (0..k).rev() {
        let known: f64 = (j + 1..k).map(|m| a[m * k + j] * b[m]).sum();
        b[j] = (b[j] - known) / a[j * k + j];
    }
    Some(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hours of study and whether the exam was passed, a much-printed example (20 students).
    const HOURS: [(f64, bool); 20] = [
        (0.50, false),
        (0.75, false),
        (1.00, false),
        (1.25, false),
        (1.50, false),
        (1.75, false),
        (1.75, true),
        (2.00, false),
        (2.25, true),
        (2.50, false),
        (2.75, true),
        (3.00, false),
        (3.25, true),
        (3.50, false),
        (4.00, true),
        (4.25, true),
        (4.50, true),
        (4.75, true),
        (5.00, true),
        (5.50, true),
    ];

    fn study(penalty: f64, shift: f64) -> Logistic {
        let rows: Vec<Vec<f64>> = HOURS.iter().map(|h| vec![h.0]).collect();
        let outcome: Vec<bool> = HOURS.iter().map(|h| h.1).collect();
        logistic(&rows, &[shift; 20], &outcome, penalty).unwrap()
    }

    #[test]
    fn the_published_example_comes_out() {
        // Printed with five digits: -4.07771, 1.50465.
        let fit = study(0.0, 0.0);
        assert!((fit.intercept + 4.07771).abs() < 5e-6 && (fit.weights[0] - 1.50465).abs() < 5e-6, "{fit:?}");
    }

    #[test]
    fn a_fit_on_two_groups_is_their_log_odds() {
        // 3 of 10 and 8 of 10: the exact solution is ln(3/7) and ln(8/2) - ln(3/7).
        let rows: Vec<Vec<f64>> = (0..20).map(|i| vec![f64::from(u8::from(i >= 10))]).collect();
        let outcome: Vec<bool> = (0..20).map(|i| i < 3 || (10..18).contains(&i)).collect();
        let fit = logistic(&rows, &[0.0; 20], &outcome, 0.0).unwrap();
        let (low, high) = (libm::log(3.0 / 7.0), libm::log(4.0));
        assert!((fit.intercept - low).abs() < 1e-9 && (fit.weights[0] - (high - low)).abs() < 1e-9, "{fit:?}");
        assert_eq!(fit, logistic(&rows, &[0.0; 20], &outcome, 0.0).unwrap());
    }

    #[test]
    fn a_ridge_fit_satisfies_its_equations_and_an_offset_moves_the_intercept() {
        let fit = study(2.0, 0.0);
        let mut sums = [0.0, -2.0 * fit.weights[0]];
        for (x, y) in HOURS {
            let rest = f64::from(u8::from(y)) - share(fit.intercept + fit.weights[0] * x);
            sums[0] += rest;
            sums[1] += rest * x;
        }
        assert!(sums.iter().all(|s| s.abs() < 1e-9), "{sums:?}");
        let moved = study(2.0, 1.5);
        assert!((moved.intercept + 1.5 - fit.intercept).abs() < 1e-9);
        assert!((moved.weights[0] - fit.weights[0]).abs() < 1e-9);
    }

    #[test]
    fn what_cannot_be_fitted_says_why() {
        let row = |x: f64| vec![x, x];
        assert_eq!(
            logistic(&[row(1.0), row(2.0)], &[0.0; 2], &[true, true], 1.0),
            Err(LogisticError::OneOutcome { rows: 2, positive: 2 })
        );
        assert_eq!(logistic(&[row(1.0), row(f64::NAN)], &[0.0; 2], &[true, false], 1.0), Err(LogisticError::Row(1)));
        let rows: Vec<Vec<f64>> = HOURS.iter().map(|h| row(h.0)).collect();
        let outcome: Vec<bool> = HOURS.iter().map(|h| h.1).collect();
        assert_eq!(logistic(&rows, &[0.0; 20], &outcome, 0.0), Err(LogisticError::Singular));
    }
}
