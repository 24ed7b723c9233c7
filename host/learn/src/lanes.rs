//! Sums of products, in one order on every processor.
//!
//! The only file with `unsafe`. A sum runs in eight lanes that are added up in a fixed
//! order, and Rust neither fuses nor reorders floating point: so the code compiled for
//! AVX2 gives the bits that the code compiled for any processor gives, only sooner.

/// Numbers that are summed side by side.
const LANES: usize = 8;

/// Code that is compiled once for each set of instructions. A trait rather than a
/// closure, because only a named function can be told to always become part of its
/// caller; its own callees have to be `#[inline(always)]` as well.
pub(crate) trait Work {
    /// What the work is for.
    type Output;
    /// Does it. To be declared `#[inline(always)]`.
    fn done(self) -> Self::Output;
}

/// Does the work with the widest instructions of this processor.
pub(crate) fn run<W: Work>(work: W) -> W::Output {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2, as was just asked.
        return unsafe { with_avx2(work) };
    }
    work.done()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn with_avx2<W: Work>(work: W) -> W::Output {
    work.done()
}

/// Σ a·b over the shorter of both.
#[inline(always)]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    let mut lanes = [0.0f32; LANES];
    for (a, b) in a.iter().zip(b) {
        for (lane, (x, y)) in lanes.iter_mut().zip(a.iter().zip(b)) {
            *lane += x * y;
        }
    }
    let rest = a_rest.iter().zip(b_rest);
    rest.fold(folded(lanes), |sum, (x, y)| sum + x * y)
}

#[inline(always)]
fn folded([a, b, c, d, e, f, g, h]: [f32; LANES]) -> f32 {
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

/// to += factor · from
#[inline(always)]
pub(crate) fn add(to: &mut [f32], factor: f32, from: &[f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += factor * from;
    }
}

/// to = keep · to + factor · from
#[inline(always)]
pub(crate) fn fade(to: &mut [f32], keep: f32, factor: f32, from: &[f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *to * keep + factor * from;
    }
}

/// to += factor · steps
#[inline(always)]
pub(crate) fn add_steps(to: &mut [f32], factor: f32, steps: &[i8]) {
    for (to, step) in to.iter_mut().zip(steps) {
        *to += factor * f32::from(*step);
    }
}

#[inline(always)]
pub(crate) fn scale(to: &mut [f32], factor: f32) {
    to.iter_mut().for_each(|to| *to *= factor);
}

/// Makes a vector one of length 1, and one of no or no finite length all zeros.
pub(crate) fn unit(vector: &mut [f32]) {
    let length = dot(vector, vector).sqrt();
    if length > 1e-12 && length.is_finite() {
        scale(vector, 1.0 / length);
    } else {
        vector.fill(0.0);
    }
}

/// Logits further below the best than this have shares below 1e-7: they move nothing.
const NEGLIGIBLE: f32 = -17.0;

/// Turns logits into shares that sum to 1.
#[inline(always)]
pub(crate) fn softmax(logits: &mut [f32]) {
    let best = logits.iter().copied().fold(f32::MIN, f32::max);
    let mut sum = 0.0f32;
    for logit in logits.iter_mut() {
        let below = *logit - best;
        *logit = if below < NEGLIGIBLE {
            0.0
        } else {
            libm::expf(below)
        };
        sum += *logit;
    }
    scale(logits, 1.0 / sum);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Dots<'a>(&'a [f32], &'a [f32]);
    impl Work for Dots<'_> {
        type Output = f32;
        #[inline(always)]
        fn done(self) -> f32 {
            dot(self.0, self.1)
        }
    }

    proptest! {
        #[test]
        fn a_sum_has_the_same_bits_with_any_instructions(
            pairs in prop::collection::vec((-1e3f32..1e3, -1e3f32..1e3), 0..100),
        ) {
            let (a, b): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
            prop_assert_eq!(run(Dots(&a, &b)).to_bits(), dot(&a, &b).to_bits());
            let exact: f64 = a.iter().zip(&b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            prop_assert!((f64::from(dot(&a, &b)) - exact).abs() < 1e2);
        }

        #[test]
        fn shares_sum_to_one(mut logits in prop::collection::vec(-50f32..50.0, 1..40)) {
            softmax(&mut logits);
            prop_assert!((logits.iter().sum::<f32>() - 1.0).abs() < 1e-4);
        }
    }

    #[test]
    fn a_vector_without_a_direction_becomes_zeros() {
        for mut vector in [vec![0.0; 3], vec![f32::NAN, 1.0], vec![f32::MAX; 4], vec![]] {
            unit(&mut vector);
            assert!(vector.iter().all(|x| *x == 0.0));
        }
        let mut vector = vec![3.0, 4.0];
        unit(&mut vector);
        assert_eq!(vector, [0.6, 0.8]);
    }
}
