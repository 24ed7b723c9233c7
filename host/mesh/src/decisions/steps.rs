//! A unit vector of the static encoder in whole steps of eight bits.

/// Numbers in a vector of the static encoder.
pub const DIMENSIONS: usize = 64;
/// The largest step, either way.
const STEP_MAX: f32 = 127.0;

/// A direction: what is compared are angles, so its length is not kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Steps {
    pub(super) steps: [i8; DIMENSIONS],
    /// What the steps times this have the length 1.0.
    pub(super) scale: f32,
}

/// What turns a text into its direction; `None` for a text without a known word.
/// Has to be an encoder that stays the same while the mesh runs: the static one
/// as it is shipped.
pub type Encode = dyn Fn(&str) -> Option<Steps> + Send + Sync;

impl Steps {
    /// The direction of a vector; `None` when it has another number of dimensions,
    /// is no number somewhere, or is zero.
    pub fn of(vector: &[f32]) -> Option<Self> {
        let vector: &[f32; DIMENSIONS] = vector.try_into().ok()?;
        let largest = vector.iter().fold(0.0_f32, |max, x| max.max(x.abs()));
        let is_finite = vector.iter().all(|x| x.is_finite());
        // Below this the quotient is no number any more.
        if !is_finite || largest < f32::MIN_POSITIVE {
            return None;
        }
        let steps = vector.map(|x| (x / largest * STEP_MAX).round() as i8);
        let square: i32 = steps.iter().map(|step| i32::from(*step).pow(2)).sum();
        Some(Self {
            steps,
            scale: 1.0 / (square as f32).sqrt(),
        })
    }

    /// Cosine of both, -1.0 to 1.0, within .01 of the cosine of the vectors.
    pub fn cosine(&self, other: &Self) -> f32 {
        let products = self.steps.iter().zip(&other.steps);
        let sum: i32 = products.map(|(a, b)| i32::from(*a) * i32::from(*b)).sum();
        (sum as f32 * self.scale * other.scale).clamp(-1.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cosine(a: &[f32], b: &[f32]) -> f32 {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
    }

    proptest! {
        #[test]
        fn a_cosine_is_nearly_that_of_the_vectors(
            a in prop::collection::vec(-1.0_f32..1.0, DIMENSIONS),
            b in prop::collection::vec(-1.0_f32..1.0, DIMENSIONS),
        ) {
            let (x, y) = (Steps::of(&a).unwrap(), Steps::of(&b).unwrap());
            prop_assert!((x.cosine(&y) - cosine(&a, &b)).abs() < 0.01);
            prop_assert!((x.cosine(&x) - 1.0).abs() < 1e-5);
        }
    }

    #[test]
    fn what_has_no_direction_is_none() {
        let mut odd = [0.5; DIMENSIONS];
        odd[3] = f32::NAN;
        for vector in [&[0.0; DIMENSIONS][..], &[1.0; 3], &[], &odd] {
            assert_eq!(Steps::of(vector), None);
        }
        assert!(Steps::of(&[1e-30; DIMENSIONS]).is_some());
        assert!(Steps::of(&[f32::MAX; DIMENSIONS]).is_some());
    }
}
