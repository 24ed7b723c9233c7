//! Float arithmetic of the forward pass, in one fixed order.
//!
//! Vectors must not depend on the processor, so nothing here calls the platform's mathematics,
//! fuses a multiplication with an addition, or leaves the order of a sum to the compiler: sums run
//! in [`LANES`] lanes that are then added pairwise. Only the basic operations and the square root
//! are used, which IEEE 754 defines to the bit.

use crate::DIMENSIONS;
use crate::model::Norm;

/// Partial sums of a long sum; wide enough for two AVX2 registers to overlap.
const LANES: usize = 16;

/// Added and taken away again, rounds a float below 2²² to the nearest integer, ties to even,
/// and leaves that integer in the low bits of the sum.
const ROUND: f32 = 12_582_912.0;

/// Largest magnitude of a quantised activation: 13 bits beside the sign.
const ACTIVATION_MAX: f32 = 8191.0;

/// Keeps a constant row's normalisation finite. Source: the model's `layer_norm_eps`.
const NORM_EPSILON: f32 = 1e-12;

/// Sum of `term` over `values`.
#[inline(always)]
fn sum(values: &[f32], term: impl Fn(f32) -> f32) -> f32 {
    let (blocks, rest) = values.as_chunks::<LANES>();
    let mut lanes = [0.0f32; LANES];
    for block in blocks {
        for (lane, value) in lanes.iter_mut().zip(block) {
            *lane += term(*value);
        }
    }
    for (lane, value) in lanes.iter_mut().zip(rest) {
        *lane += term(*value);
    }
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = lanes;
    (((a + i) + (e + m)) + ((c + k) + (g + o))) + (((b + j) + (f + n)) + ((d + l) + (h + p)))
}

/// The largest of `values`; the least float of none.
#[inline(always)]
fn max(values: &[f32]) -> f32 {
    let (blocks, rest) = values.as_chunks::<LANES>();
    let mut lanes = [f32::MIN; LANES];
    for block in blocks {
        for (lane, value) in lanes.iter_mut().zip(block) {
            *lane = larger(*lane, *value);
        }
    }
    lanes.iter().chain(rest).copied().fold(f32::MIN, larger)
}

/// eˣ to 2 units in the last place, for x up to 88; anything below -87 counts as -87.
/// Source: the degree-6 polynomial of Cephes' `expf`.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    let x = if x > -87.0 { x } else { -87.0 };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    let r = (x - whole * 0.693_359_4) - whole * -2.121_944_4e-4;
    let mut p = 1.987_569_1e-4;
    p = p * r + 1.398_199_9e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 0.5;
    let fraction = p * (r * r) + r + 1.0;
    fraction * f32::from_bits(shifted.to_bits().wrapping_add(127) << 23)
}

/// The activation x·Φ(x), with the error function to 2·10⁻⁷.
/// Source: Abramowitz and Stegun, 7.1.26.
#[inline(always)]
pub(crate) fn gelu(x: f32) -> f32 {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let mut p = 1.061_405_4;
    p = p * t - 1.453_152_1;
    p = p * t + 1.421_413_8;
    p = p * t - 0.284_496_74;
    p = p * t + 0.254_829_6;
    let erf = 1.0 - p * t * exp(-(z * z));
    0.5 * x * (1.0 + erf.copysign(x))
}

/// Quantises a row, each value times its factor, to 13 bits and a sign; each two are packed in one
/// `i32`, the first in the low half. Returns the size of one step. Lengths are multiples of 16.
#[inline(always)]
pub(crate) fn quantise(row: &[f32], factors: &[f32], pairs: &mut [i32]) -> f32 {
    let (blocks, _) = row.as_chunks::<LANES>();
    let (factors, _) = factors.as_chunks::<LANES>();
    let mut lanes = [0.0f32; LANES];
    for (block, factors) in blocks.iter().zip(factors) {
        for (lane, (value, factor)) in lanes.iter_mut().zip(block.iter().zip(factors)) {
            *lane = larger(*lane, (value * factor).abs());
        }
    }
    let largest = lanes.into_iter().fold(0.0, larger);
    let inverse = if largest > 0.0 {
        ACTIVATION_MAX / largest
    } else {
        0.0
    };
    let steps = |value: f32, factor: f32| (value * factor * inverse + ROUND).to_bits();
    let (pairs, _) = pairs.as_chunks_mut::<{ LANES / 2 }>();
    for (pairs, (block, factors)) in pairs.iter_mut().zip(blocks.iter().zip(factors)) {
        let (values, _) = block.as_chunks::<2>();
        let (factors, _) = factors.as_chunks::<2>();
        for (pair, ([a, b], [of_a, of_b])) in pairs.iter_mut().zip(values.iter().zip(factors)) {
            *pair = ((steps(*a, *of_a) & 0xffff) | (steps(*b, *of_b) << 16)).cast_signed();
        }
    }
    largest / ACTIVATION_MAX
}

#[inline(always)]
fn larger(left: f32, right: f32) -> f32 {
    if right > left { right } else { left }
}

/// Adds `other` to `row` and normalises the sum to the learnt mean and spread.
#[inline(always)]
pub(crate) fn add_and_normalise(
    row: &mut [f32; DIMENSIONS],
    other: &[f32; DIMENSIONS],
    norm: &Norm,
) {
    for (value, other) in row.iter_mut().zip(other) {
        *value += other;
    }
    normalise(row, norm);
}

/// Normalises a row to the learnt mean and spread.
#[inline(always)]
pub(crate) fn normalise(row: &mut [f32; DIMENSIONS], norm: &Norm) {
    let mean = sum(row, |value| value) / DIMENSIONS as f32;
    let spread = sum(row, |value| (value - mean) * (value - mean)) / DIMENSIONS as f32;
    let inverse = 1.0 / (spread + NORM_EPSILON).sqrt();
    let learnt = norm.weights.iter().zip(norm.biases.iter());
    for (value, (weight, bias)) in row.iter_mut().zip(learnt) {
        *value = (*value - mean) * inverse * weight + bias;
    }
}

/// Turns scores into shares: positive, and 1 together.
#[inline(always)]
pub(crate) fn softmax(scores: &mut [f32]) {
    let largest = max(scores);
    for score in scores.iter_mut() {
        *score = exp(*score - largest);
    }
    let inverse = 1.0 / sum(scores, |score| score);
    for score in scores.iter_mut() {
        *score *= inverse;
    }
}

/// Makes a vector of length 1 of `row`. A row of zeros stays one.
#[inline(always)]
pub(crate) fn to_unit(row: &mut [f32; DIMENSIONS]) {
    let squares = sum(row, |value| value * value);
    let inverse = if squares > 0.0 {
        1.0 / squares.sqrt()
    } else {
        0.0
    };
    for value in row.iter_mut() {
        *value *= inverse;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check_close(found: f32, wanted: f64, allowed: f64) {
        let error = (f64::from(found) - wanted).abs();
        assert!(error <= allowed, "{found} is {error} from {wanted}");
    }

    proptest! {
        #[test]
        fn the_exponential_is_within_two_units_of_the_true_one(x in -87.0f32..88.0) {
            let wanted = f64::from(x).exp();
            check_close(exp(x), wanted, wanted * 2.0 * f64::from(f32::EPSILON));
        }

        #[test]
        fn quantising_is_within_half_a_step(
            row in prop::collection::vec(-1e3f32..1e3, 64),
            factors in prop::collection::vec(0.01f32..10.0, 64),
        ) {
            let mut pairs = [0; 32];
            let step = quantise(&row, &factors, &mut pairs);
            let steps = pairs.iter().flat_map(|pair| [*pair as i16, (*pair >> 16) as i16]);
            for ((value, factor), steps) in row.iter().zip(&factors).zip(steps) {
                prop_assert!(steps.abs() <= 8191);
                let wanted = f64::from(value * factor);
                check_close(f32::from(steps) * step, wanted, f64::from(step) * 0.501);
            }
        }

        #[test]
        fn shares_are_positive_and_one_together(
            mut scores in prop::collection::vec(-50.0f32..50.0, 1..70),
        ) {
            softmax(&mut scores);
            prop_assert!(scores.iter().all(|share| *share > 0.0));
            check_close(scores.iter().sum(), 1.0, 1e-5);
        }

        #[test]
        fn a_normalised_row_has_the_learnt_mean_and_spread(
            values in prop::collection::vec(-9.0f32..9.0, DIMENSIONS),
        ) {
            let mut row: [f32; DIMENSIONS] = values.try_into().unwrap();
            let norm = Norm {
                weights: Box::new([3.0; DIMENSIONS]),
                biases: Box::new([0.5; DIMENSIONS]),
            };
            normalise(&mut row, &norm);
            let mean = row.iter().sum::<f32>() / DIMENSIONS as f32;
            let spread = row.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / DIMENSIONS as f32;
            check_close(mean, 0.5, 1e-4);
            check_close(spread, 9.0, 1e-2);
        }
    }

    #[test]
    fn the_activation_meets_its_published_values() {
        // x·Φ(x) by a 50-digit evaluation.
        let cases = [
            (0.0, 0.0),
            (1.0, 0.841_344_746_068_542_9),
            (-1.0, -0.158_655_253_931_457_05),
            (3.0, 2.995_950_305_905_109_4),
            (-3.0, -0.004_049_694_094_890_6),
            (0.1, 0.053_982_783_727_702_9),
        ];
        for (x, wanted) in cases {
            check_close(gelu(x), wanted, 1e-6);
        }
    }

    #[test]
    fn rows_of_zeros_stay_finite() {
        let mut pairs = [7; DIMENSIONS / 2];
        assert_eq!(
            quantise(&[0.0; DIMENSIONS], &[1.0; DIMENSIONS], &mut pairs),
            0.0
        );
        assert_eq!(pairs, [0; DIMENSIONS / 2]);
        let mut row = [0.0; DIMENSIONS];
        to_unit(&mut row);
        assert_eq!(row, [0.0; DIMENSIONS]);
    }
}
