//! Softmax: logits become shares of one.

/// What each logit weighs, e to the power of what it is below `most`, which is the
/// largest of them: 1.0 for that one, 0.0 for what is 87 or more below.
///
/// By arithmetic alone, so that it goes four at a time and is the same everywhere:
/// the library's function takes as long for one as this for ten, which was more
/// than half of ranking 150 routes.
#[cfg_attr(target_family = "wasm", target_feature(enable = "simd128"))]
pub(crate) fn weights(logits: &[f32], most: f32) -> Vec<f32> {
    logits
        .iter()
        .map(|logit| exponential(logit - most))
        .collect()
}

/// e to the power of `x`, which is 0.0 or less, to within two units in the last
/// place. Source: the Cephes library's `expf`.
#[inline]
fn exponential(x: f32) -> f32 {
    /// Adding it, and taking it away, rounds to a whole number.
    const ROUNDING: f32 = 12_582_912.0;
    /// ln 2 in two parts, of which the first times a small whole number is exact.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    // Of the two comparisons this one is a single instruction.
    let bounded = if x < -87.0 { -87.0 } else { x };
    let whole = bounded * core::f32::consts::LOG2_E + ROUNDING - ROUNDING;
    let rest = bounded - whole * LN_2[0] - whole * LN_2[1];
    let series = 1.987_569_1e-4_f32;
    let series = series * rest + 1.398_2e-3;
    let series = series * rest + 8.333_452e-3;
    let series = series * rest + 4.166_579_6e-2;
    let series = series * rest + 1.666_666_6e-1;
    let series = series * rest + 0.5;
    let value = series * rest * rest + rest + 1.0;
    // -126 to 0, so the exponent is from 1 to 127: no infinity, no subnormal.
    let power = f32::from_bits(((whole as i32 + 127) as u32) << 23);
    if x < -87.0 { 0.0 } else { value * power }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_exponential_function() {
        for step in 0..87_000_u32 {
            let x = -(step as f32) / 1_000.0;
            let (found, exact) = (exponential(x), f64::from(x).exp());
            let error = (f64::from(found) - exact).abs() / exact;
            assert!(error < 2.5e-7, "{x}: {found} for {exact}");
        }
    }

    #[test]
    fn the_largest_weighs_one_and_what_is_far_below_nothing() {
        assert_eq!(weights(&[2.0, 2.0, -1e6], 2.0), [1.0, 1.0, 0.0]);
        assert_eq!(exponential(-87.5), 0.0);
        assert!(exponential(-87.0) > 0.0);
        assert!(exponential(f32::NEG_INFINITY) == 0.0);
    }

    #[test]
    fn a_larger_logit_never_weighs_less() {
        let grid: Vec<f32> = (0..200_000).map(|step| step as f32 / -2_000.0).collect();
        assert!(weights(&grid, 0.0).is_sorted_by(|a, b| a >= b));
    }
}
