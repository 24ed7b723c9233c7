//! Logistic regression with weights of zero or more: accelerated projected gradient descent on
//! standardised features (Beck and Teboulle, "A fast iterative
//! shrinkage-thresholding algorithm", 2009). Deterministic.

use kgents_router::features::COUNT;

/// One observation.
pub struct Row {
    /// The features.
    pub values: [f32; COUNT],
    /// Whether the candidate is the right agent.
    pub is_right: bool,
    /// How much the observation counts.
    pub weight: f64,
}

/// A fitted model.
pub struct Model {
    /// Log-odds without evidence.
    pub intercept: f64,
    /// Per unit of each feature.
    pub weights: [f64; COUNT],
}

const STEPS: usize = 4_000;
/// Pull of each standardised weight towards zero, per observation.
const RIDGE: f64 = 1e-3;

/// Fits the rows; no weight but the intercept falls below zero.
pub fn fit(rows: &[Row]) -> Model {
    let total: f64 = rows
        .iter()
        .map(|row| row.weight)
        .sum::<f64>()
        .max(f64::MIN_POSITIVE);
    let mean = average(rows, total, |x, _| x, &[0.0; COUNT]);
    let variance = average(rows, total, |x, mean| (x - mean) * (x - mean), &mean);
    // A feature that never moves says nothing; its weight stays zero.
    let scale = variance.map(|v| if v > 1e-9 { 1.0 / v.sqrt() } else { 0.0 });
    let standard: Vec<Standard> = rows
        .iter()
        .map(|row| {
            let mut values = [0.0; COUNT];
            for (((x, raw), mean), scale) in values.iter_mut().zip(row.values).zip(mean).zip(scale)
            {
                *x = (f64::from(raw) - mean) * scale;
            }
            Standard {
                values,
                truth: if row.is_right { 1.0 } else { 0.0 },
                weight: row.weight / total,
            }
        })
        .collect();
    let found = descend(&standard);
    let mut weights = [0.0; COUNT];
    let mut intercept = found.intercept;
    for (((raw, w), scale), mean) in weights.iter_mut().zip(found.weights).zip(scale).zip(mean) {
        *raw = w * scale;
        intercept -= *raw * mean;
    }
    Model { intercept, weights }
}

/// A row with features of mean zero and variance one, and a share as its weight.
struct Standard {
    values: [f64; COUNT],
    truth: f64,
    weight: f64,
}

fn descend(rows: &[Standard]) -> Model {
    // The curvature is at most a quarter of the mean square length of a row.
    let step = 1.0 / (0.25 * (1.0 + COUNT as f64) + RIDGE);
    let start = || Model {
        intercept: 0.0,
        weights: [0.0; COUNT],
    };
    let (mut now, mut look, mut momentum) = (start(), start(), 1.0_f64);
    for _ in 0..STEPS {
        let slope = gradient(rows, &look);
        let mut next = start();
        next.intercept = look.intercept - step * slope.intercept;
        for ((w, at), slope) in next.weights.iter_mut().zip(look.weights).zip(slope.weights) {
            *w = (at - step * slope).max(0.0);
        }
        let grown = f64::midpoint(1.0, (1.0 + 4.0 * momentum * momentum).sqrt());
        let push = (momentum - 1.0) / grown;
        look.intercept = next.intercept + push * (next.intercept - now.intercept);
        for ((at, w), old) in look.weights.iter_mut().zip(next.weights).zip(now.weights) {
            *at = w + push * (w - old);
        }
        (now, momentum) = (next, grown);
    }
    now
}

fn average(
    rows: &[Row],
    total: f64,
    term: impl Fn(f64, f64) -> f64,
    centre: &[f64; COUNT],
) -> [f64; COUNT] {
    let mut sum = [0.0; COUNT];
    for row in rows {
        for ((sum, value), centre) in sum.iter_mut().zip(row.values).zip(centre) {
            *sum += term(f64::from(value), *centre) * row.weight / total;
        }
    }
    sum
}

fn gradient(rows: &[Standard], at: &Model) -> Model {
    let mut slope = Model {
        intercept: 0.0,
        weights: at.weights.map(|w| w * RIDGE),
    };
    for row in rows {
        let terms = row.values.iter().zip(at.weights);
        let log_odds = terms.fold(at.intercept, |sum, (x, w)| sum + x * w);
        let off = row.weight * (1.0 / (1.0 + (-log_odds).exp()) - row.truth);
        slope.intercept += off;
        for (slope, x) in slope.weights.iter_mut().zip(row.values) {
            *slope += off * x;
        }
    }
    slope
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A grid of cosines and coverages, each right with its true probability.
    fn grid(truth: impl Fn(f32, f32) -> f64) -> Vec<Row> {
        let steps = || (0..21_u8).map(|step| f32::from(step) / 20.0);
        let points = steps().flat_map(|a| steps().map(move |b| (a, b)));
        let rows = points.flat_map(|(cosine, coverage)| {
            let p = 1.0 / (1.0 + (-truth(cosine, coverage)).exp());
            let mut values = [0.0; COUNT];
            values[0] = cosine;
            values[2] = coverage;
            [(true, p), (false, 1.0 - p)].map(|(is_right, weight)| Row {
                values,
                is_right,
                weight,
            })
        });
        rows.collect()
    }

    #[test]
    fn a_known_model_is_found_again() {
        let rows =
            grid(|cosine, coverage| -3.0 + 5.0 * f64::from(cosine) + 2.0 * f64::from(coverage));
        let model = fit(&rows);
        let [cosine, _, coverage, ..] = model.weights;
        assert!(
            (cosine - 5.0).abs() < 0.15 && (coverage - 2.0).abs() < 0.15,
            "{:?}",
            model.weights
        );
        assert!((model.intercept + 3.0).abs() < 0.15, "{}", model.intercept);
    }

    #[test]
    fn a_feature_that_speaks_against_or_never_moves_has_no_weight() {
        let model = fit(&grid(|cosine, coverage| {
            4.0 * f64::from(cosine) - 4.0 * f64::from(coverage)
        }));
        assert_eq!((model.weights[1], model.weights[2]), (0.0, 0.0));
        assert!(model.weights[0] > 1.0);
    }
}
