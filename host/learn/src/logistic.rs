//! Logistic regression with weights on its lines, drawn towards what is known beforehand.

use crate::tables::Logistic;

/// Features, and the intercept behind them.
const TERMS_MAX: usize = 6;

/// Newton steps; far fewer are needed.
const STEPS_MAX: usize = 50;

/// One line to fit to.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// As many as the prior has weights, all finite.
    pub(crate) features: Vec<f64>,
    /// Whether it is one of those whose probability is wanted.
    pub(crate) is_one: bool,
    /// How much it counts, 0.0 or more.
    pub(crate) weight: f64,
}

/// How strongly the fit is drawn to the prior.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pull {
    /// Towards the prior's weights, in units of one standard deviation of each feature,
    /// against a mean loss.
    pub(crate) weights: f64,
    /// The same for the intercept; may be 0.0 where there are cases of both kinds.
    pub(crate) intercept: f64,
}

/// The logistic model that fits the cases best. The prior when there are none.
pub(crate) fn fit(cases: &[Case], prior: &Logistic, pull: Pull) -> Logistic {
    let total: f64 = cases.iter().map(|case| case.weight).sum();
    let features = prior.weights.len();
    if total <= 0.0 || features + 1 > TERMS_MAX {
        return prior.clone();
    }
    let (means, deviations) = spread(cases, features, total);
    let scaled = |case: &Case| {
        let mut row = [0.0; TERMS_MAX];
        let known = case.features.iter().zip(means.iter().zip(&deviations));
        for (to, (x, (mean, deviation))) in row.iter_mut().zip(known) {
            *to = (x - mean) / deviation;
        }
        if let Some(one) = row.get_mut(features) {
            *one = 1.0;
        }
        row
    };
    let rows: Vec<[f64; TERMS_MAX]> = cases.iter().map(scaled).collect();
    let towards = into_scaled(prior, &means, &deviations);
    let mut found = towards;
    for _ in 0..STEPS_MAX {
        let (mut slope, mut bend) = ([0.0; TERMS_MAX], [[0.0; TERMS_MAX]; TERMS_MAX]);
        for (row, case) in rows.iter().zip(cases) {
            let p = sigmoid(row.iter().zip(&found).map(|(x, w)| x * w).sum());
            let weight = case.weight / total;
            let off = weight * (p - if case.is_one { 1.0 } else { 0.0 });
            let curve = weight * p * (1.0 - p);
            for ((slope, bend), x) in slope.iter_mut().zip(&mut bend).zip(row) {
                *slope += off * x;
                let products = bend.iter_mut().zip(row);
                products.for_each(|(bend, y)| *bend += curve * x * y);
            }
        }
        let terms = slope.iter_mut().zip(bend.iter_mut().enumerate());
        for ((slope, (at, bend)), (found, towards)) in terms.zip(found.iter().zip(&towards)) {
            let pull = if at == features {
                pull.intercept
            } else {
                pull.weights
            };
            *slope += pull * (found - towards);
            if let Some(diagonal) = bend.get_mut(at) {
                // Unused terms have no slope; this keeps them where they are.
                *diagonal += pull.max(1e-9);
            }
        }
        let step = solved(bend, slope);
        // Newton leaps over the optimum where the curve is flat; no term needs to move further.
        let longest = step.iter().fold(0.0f64, |most, x| most.max(x.abs()));
        let shorten = if longest > 2.0 { 2.0 / longest } else { 1.0 };
        let moved = found.iter_mut().zip(&step);
        moved.for_each(|(found, step)| *found -= shorten * step);
        if longest < 1e-9 {
            break;
        }
    }
    from_scaled(&found, &means, &deviations)
}

/// The probability for log-odds.
pub(crate) fn sigmoid(log_odds: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-log_odds))
}

/// The log-odds of a probability, which is taken to lie at least 1e-6 from 0 and 1.
pub(crate) fn log_odds(probability: f64) -> f64 {
    let p = probability.clamp(1e-6, 1.0 - 1e-6);
    libm::log(p / (1.0 - p))
}

impl Logistic {
    /// The probability for these features.
    pub(crate) fn probability(&self, features: &[f64]) -> f64 {
        let sum = self.weights.iter().zip(features);
        let sum = sum.fold(f64::from(self.intercept), |sum, (w, x)| {
            sum + f64::from(*w) * x
        });
        sigmoid(sum)
    }
}

/// Mean and standard deviation of each feature.
fn spread(cases: &[Case], features: usize, total: f64) -> (Vec<f64>, Vec<f64>) {
    let mut means = vec![0.0; features];
    for case in cases {
        let sums = means.iter_mut().zip(&case.features);
        sums.for_each(|(mean, x)| *mean += case.weight / total * x);
    }
    let mut deviations = vec![0.0; features];
    for case in cases {
        let sums = deviations.iter_mut().zip(case.features.iter().zip(&means));
        sums.for_each(|(sum, (x, mean))| *sum += case.weight / total * (x - mean) * (x - mean));
    }
    deviations
        .iter_mut()
        .for_each(|square| *square = square.sqrt() + 1e-6);
    (means, deviations)
}

fn into_scaled(model: &Logistic, means: &[f64], deviations: &[f64]) -> [f64; TERMS_MAX] {
    let mut scaled = [0.0; TERMS_MAX];
    let mut intercept = f64::from(model.intercept);
    let known = model.weights.iter().zip(means.iter().zip(deviations));
    for (to, (weight, (mean, deviation))) in scaled.iter_mut().zip(known) {
        *to = f64::from(*weight) * deviation;
        intercept += f64::from(*weight) * mean;
    }
    if let Some(last) = scaled.get_mut(model.weights.len()) {
        *last = intercept;
    }
    scaled
}

fn from_scaled(scaled: &[f64; TERMS_MAX], means: &[f64], deviations: &[f64]) -> Logistic {
    let mut intercept = scaled.get(means.len()).copied().unwrap_or(0.0);
    let mut weights = Vec::new();
    for (weight, (mean, deviation)) in scaled.iter().zip(means.iter().zip(deviations)) {
        let weight = weight / deviation;
        intercept -= weight * mean;
        weights.push(weight as f32);
    }
    let intercept = intercept as f32;
    Logistic { intercept, weights }
}

/// x of `matrix` · x = `right`, by elimination. The matrix is positive definite, so its
/// pivots are above zero in any order.
fn solved(
    mut matrix: [[f64; TERMS_MAX]; TERMS_MAX],
    mut right: [f64; TERMS_MAX],
) -> [f64; TERMS_MAX] {
    for at in 0..TERMS_MAX {
        let (Some(row), Some(value)) = (matrix.get(at).copied(), right.get(at).copied()) else {
            break;
        };
        let pivot = row.get(at).copied().unwrap_or(1.0);
        for (other, (below, right)) in matrix.iter_mut().zip(&mut right).enumerate() {
            if other == at {
                continue;
            }
            let factor = below.get(at).copied().unwrap_or(0.0) / pivot;
            let terms = below.iter_mut().zip(&row);
            terms.for_each(|(below, row)| *below -= factor * row);
            *right -= factor * value;
        }
    }
    for (at, (x, row)) in right.iter_mut().zip(&matrix).enumerate() {
        *x /= row.get(at).copied().unwrap_or(1.0);
    }
    right
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FREE: Pull = Pull {
        weights: 1e-9,
        intercept: 0.0,
    };

    fn prior(weights: &[f32]) -> Logistic {
        Logistic {
            intercept: 0.5,
            weights: weights.to_vec(),
        }
    }

    #[test]
    fn a_fit_finds_the_shares_that_it_was_given() {
        let case = |x: f64, is_one, weight| Case {
            features: vec![x],
            is_one,
            weight,
        };
        let cases = [
            case(0.0, true, 1.0),
            case(0.0, false, 3.0),
            case(1.0, true, 9.0),
            case(1.0, false, 1.0),
        ];
        let found = fit(&cases, &prior(&[0.0]), FREE);
        assert!((found.probability(&[0.0]) - 0.25).abs() < 1e-4);
        assert!((found.probability(&[1.0]) - 0.9).abs() < 1e-4);
    }

    #[test]
    fn without_cases_or_under_a_strong_pull_the_prior_stays() {
        let prior = prior(&[2.0, -1.0]);
        assert_eq!(fit(&[], &prior, FREE), prior);
        let cases = [Case {
            features: vec![3.0, 5.0],
            is_one: false,
            weight: 1.0,
        }];
        let pull = Pull {
            weights: 1e6,
            intercept: 1e6,
        };
        let found = fit(&cases, &prior, pull);
        let features = [3.0, 5.0];
        let off = found.probability(&features) - prior.probability(&features);
        assert!(off.abs() < 1e-4, "{found:?}");
    }

    proptest! {
        #[test]
        fn any_cases_give_finite_numbers(
            cases in prop::collection::vec((-30f64..30.0, -1f64..1.0, any::<bool>()), 0..30),
        ) {
            let cases: Vec<Case> = cases
                .into_iter()
                .map(|(a, b, is_one)| Case { features: vec![a, b], is_one, weight: 1.0 })
                .collect();
            let pull = Pull { weights: 1e-3, intercept: 1e-3 };
            let found = fit(&cases, &prior(&[1.0, 1.0]), pull);
            prop_assert!(found.intercept.is_finite());
            prop_assert!(found.weights.iter().all(|weight| weight.is_finite()));
        }
    }
}
