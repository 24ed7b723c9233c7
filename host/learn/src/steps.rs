//! Vectors in whole steps: a fourth of the size, and the same to the bit everywhere.

use crate::lanes;
use crate::tables::Examples;

/// Added and taken away again, this rounds a number below 2^22 to the nearest whole one,
/// of two the even one: everywhere the same, and in any instruction set a single step.
const WHOLE: f32 = 12_582_912.0;

/// A vector's steps, −127 to 127, and its scale, above 0.0.
pub(crate) fn in_steps(vector: &[f32], steps: &mut Vec<i8>) -> f32 {
    let largest = vector.iter().fold(0.0f32, |most, x| most.max(x.abs()));
    let scale = largest / 127.0 + 1e-12;
    let whole = |x: &f32| ((x / scale).clamp(-127.0, 127.0) + WHOLE) - WHOLE;
    steps.extend(vector.iter().map(|x| whole(x) as i8));
    scale
}

impl Examples {
    pub(crate) fn push(&mut self, vector: &[f32]) {
        let scale = in_steps(vector, &mut self.steps);
        self.scales.push(scale);
    }

    /// Whether the vector at a place is there and not all zeros.
    pub(crate) fn is_any(&self, at: usize, dimensions: usize) -> bool {
        let steps = self.steps.get(at * dimensions..(at + 1) * dimensions);
        steps.is_some_and(|steps| steps.iter().any(|step| *step != 0))
    }

    /// Takes over a vector of another's.
    pub(crate) fn copy(&mut self, from: &Examples, at: usize, dimensions: usize) -> bool {
        let steps = from.steps.get(at * dimensions..(at + 1) * dimensions);
        let (Some(steps), Some(scale)) = (steps, from.scales.get(at)) else {
            return false;
        };
        self.steps.extend(steps);
        self.scales.push(*scale);
        true
    }

    /// The vector at a place, as floats.
    pub(crate) fn vector(&self, at: usize, dimensions: usize) -> Option<Vec<f32>> {
        let steps = self.steps.get(at * dimensions..(at + 1) * dimensions)?;
        let mut vector = vec![0.0; dimensions];
        lanes::add_steps(&mut vector, *self.scales.get(at)?, steps);
        Some(vector)
    }

    /// The vectors at these places.
    pub(crate) fn chosen(&self, places: &[usize], dimensions: usize) -> Examples {
        let mut to = Examples::default();
        for at in places {
            to.copy(self, *at, dimensions);
        }
        to
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_vector_survives_its_steps_to_half_a_step(
            mut vector in prop::collection::vec(-1f32..1.0, 64),
        ) {
            lanes::unit(&mut vector);
            let mut examples = Examples::default();
            examples.push(&vector);
            let back = examples.vector(0, 64).unwrap();
            let half = examples.scales[0] * 0.501;
            prop_assert!(vector.iter().zip(&back).all(|(a, b)| (a - b).abs() <= half));
            prop_assert!(lanes::dot(&vector, &back) > 0.99);
        }
    }

    #[test]
    fn a_vector_of_zeros_stays_one_and_has_a_scale_above_zero() {
        let mut examples = Examples::default();
        examples.push(&[0.0; 8]);
        assert!(examples.scales[0] > 0.0);
        assert_eq!(examples.vector(0, 8).unwrap(), [0.0; 8]);
        assert_eq!(examples.vector(1, 8), None);
    }
}
