//! Brings vectors of any length to the one length of this mesh. Pure.
//!
//! Shorter ones are filled up with zeros, which changes no cosine. Longer ones are
//! projected: the signs of the numbers are flipped by lot, a Hadamard transform
//! spreads every number over all places, and 384 places drawn by lot are kept, the
//! same ones every time. That is a projection on 384 directions at right angles to
//! each other, each a vector of signs. With n the next power of two above the
//! vector's length and c a cosine, what becomes of c is off by a standard deviation
//! of (1 − c²) · √((1 − 384/n) / 384): at most .026 from 512 numbers, .040 from
//! 1,024, .046 from 2,048, .049 from 4,096, and nothing between vectors that are
//! alike. Source: Johnson and Lindenstrauss, 1984; Ailon and Chazelle, The fast
//! Johnson–Lindenstrauss transform, 2009; Tropp, Improved analysis of the subsampled
//! randomized Hadamard transform, 2011. A model that can make shorter vectors itself
//! does it better: `dimensions: 384`.

use kgents_encoder::{DIMENSIONS, Embedding};

/// Most numbers that a vector may have: four times what any published model has.
pub(super) const NUMBERS_MAX: usize = 16_384;

/// Where the lots begin. Another number would make other vectors of the same name,
/// which must not be compared: whoever changes it has to change the name.
const SEED: u64 = 0x6b67_656e_7473_0384;

/// The vector in this mesh's length. `None` when it has no direction: without
/// numbers, all zero, or one not finite; and above [`NUMBERS_MAX`] numbers.
pub(super) fn fit(values: &[f32]) -> Option<Embedding> {
    if values.len() > NUMBERS_MAX {
        return None;
    }
    let mut fitted = [0.0; DIMENSIONS];
    if values.len() <= DIMENSIONS {
        let places = fitted.iter_mut().zip(values);
        places.for_each(|(place, value)| *place = *value);
    } else {
        fitted = projected(values)?;
    }
    Embedding::normalised(&fitted).ok()
}

fn projected(values: &[f32]) -> Option<[f32; DIMENSIONS]> {
    let largest = values
        .iter()
        .fold(0.0f32, |max, value| max.max(value.abs()));
    // `max` passes over what is no number.
    if largest == 0.0 || values.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let mut lots = Lots(SEED);
    // Divided by the largest, so that no sum overflows.
    let mut spread: Vec<f32> = values
        .iter()
        .map(|value| value / largest * lots.sign())
        .collect();
    spread.resize(values.len().next_power_of_two(), 0.0);
    hadamard(&mut spread);
    // A lot for the places of its own, so that it depends on their number alone.
    keep(&mut spread, &mut Lots(!SEED));
    spread.first_chunk().copied()
}

/// The Hadamard transform without its scale, in place. The length is a power of two.
fn hadamard(values: &mut [f32]) {
    let mut half = 1;
    while half < values.len() {
        for block in values.chunks_exact_mut(half * 2) {
            let (left, right) = block.split_at_mut(half);
            for (left, right) in left.iter_mut().zip(right) {
                (*left, *right) = (*left + *right, *left - *right);
            }
        }
        half *= 2;
    }
}

/// Brings as many places to the front as are kept: a shuffle of Fisher and Yates
/// that ends early.
fn keep(values: &mut [f32], lots: &mut Lots) {
    for place in 0..DIMENSIONS.min(values.len()) {
        let rest = values.len() - place;
        values.swap(place, place + lots.below(rest));
    }
}

/// A fixed row of random numbers. Source: Steele, Lea and Flood, SplitMix64, 2014.
struct Lots(u64);

impl Lots {
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn sign(&mut self) -> f32 {
        if self.draw() & 1 == 0 { 1.0 } else { -1.0 }
    }

    /// A number below `end`, which is above 0. Uneven by less than one in 2^49.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.draw() % end as u64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cosine(left: &[f32], right: &[f32]) -> f64 {
        let dot = |a: &[f32], b: &[f32]| -> f64 {
            let products = a.iter().zip(b);
            products.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        dot(left, right) / (dot(left, left) * dot(right, right)).sqrt()
    }

    /// Numbers around 0, near enough to normal.
    fn noise(lots: &mut Lots, length: usize) -> Vec<f32> {
        let mut one = || (lots.draw() >> 40) as f32 / (1 << 24) as f32 - 0.5;
        (0..length).map(|_| one() + one() + one() + one()).collect()
    }

    #[test]
    fn shorter_vectors_keep_their_cosines() {
        let mut lots = Lots(1);
        for length in [1, 2, 100, 383, 384] {
            let (a, b) = (noise(&mut lots, length), noise(&mut lots, length));
            let found = fit(&a).unwrap().cosine(&fit(&b).unwrap());
            assert!((f64::from(found) - cosine(&a, &b)).abs() < 1e-5, "{length}");
        }
    }

    #[test]
    fn longer_vectors_keep_their_cosines_within_the_stated_error() {
        let mut lots = Lots(2);
        for length in [385, 512, 768, 1_024, 1_536, 3_072, 4_096] {
            for share in [0.0f32, 0.5, 0.9, 1.0] {
                let (mut squares, pairs) = (0.0, 200);
                let mut stated = 0.0;
                for _ in 0..pairs {
                    let a = noise(&mut lots, length);
                    let other = noise(&mut lots, length);
                    let mix = |(a, b): (&f32, &f32)| a * share + b * (1.0 - share);
                    let b: Vec<f32> = a.iter().zip(&other).map(mix).collect();
                    let exact = cosine(&a, &b);
                    let found = f64::from(fit(&a).unwrap().cosine(&fit(&b).unwrap()));
                    let kept = 1.0 - 384.0 / length.next_power_of_two() as f64;
                    let deviation = (1.0 - exact * exact) * (kept / 384.0).sqrt();
                    let off = (found - exact).abs();
                    assert!(off <= 5.0 * deviation + 1e-4, "{length} {share} {off}");
                    squares += off * off;
                    stated += deviation * deviation;
                }
                let ratio = ((squares + 1e-6) / (stated + 1e-6)).sqrt();
                assert!(ratio < 1.25, "{length} {share}: {ratio} of what is stated");
            }
        }
    }

    #[test]
    fn vectors_of_one_number_each_stay_apart() {
        let one = |at: usize| {
            let mut values = vec![0.0; 1_536];
            values[at] = 3.0;
            fit(&values).unwrap()
        };
        for (left, right) in [(0, 1), (5, 1_500), (700, 701)] {
            assert!(one(left).cosine(&one(right)).abs() < 0.25);
        }
    }

    #[test]
    fn a_vector_is_fitted_to_the_same_numbers_forever() {
        let values: Vec<f32> = (0..768).map(|n| (n as f32 * 0.37).sin()).collect();
        let fitted = fit(&values).unwrap();
        let told: Vec<i32> = fitted.values()[..6]
            .iter()
            .map(|value| (value * 10_000.0).round() as i32)
            .collect();
        assert_eq!(told, PINNED);
    }

    /// Vectors that are kept on disk are compared with new ones.
    const PINNED: [i32; 6] = [-642, 353, -464, -224, 720, 179];

    #[test]
    fn what_has_no_direction_is_none() {
        for length in [0, 3, 384, 385, 1_536] {
            assert_eq!(fit(&vec![0.0; length]), None, "{length}");
        }
        for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for length in [3, 384, 385, 1_536] {
                let mut values = vec![1.0; length];
                values[length - 1] = wrong;
                assert_eq!(fit(&values), None, "{length}");
            }
        }
        assert_eq!(fit(&vec![1.0; NUMBERS_MAX + 1]), None);
        assert!(fit(&vec![f32::MAX; NUMBERS_MAX]).is_some());
        assert!(fit(&vec![f32::MIN_POSITIVE; 1_536]).is_some());
    }

    proptest! {
        #[test]
        fn any_finite_vector_has_a_fit_or_no_direction(
            values in prop::collection::vec(-1e30f32..1e30, 0..1_200),
        ) {
            let is_zero = values.iter().all(|value| *value == 0.0);
            prop_assert_eq!(fit(&values).is_none(), is_zero);
        }
    }
}
