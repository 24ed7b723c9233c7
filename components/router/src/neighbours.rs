//! The examples nearest to a question.

use crate::model::Examples;
use crate::steps::{self, Steps};
use std::ops::Range;

/// The best of the cosines that were offered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Nearest {
    /// Best first.
    cosines: Vec<f32>,
    /// The same before the question's scale.
    unscaled: Vec<f32>,
    count: usize,
    /// What is below this is none of the best.
    worst: f32,
}

impl Nearest {
    /// For the best `count` (at least one) among these ranges of the examples.
    pub(crate) fn among(
        examples: &Examples,
        ranges: &[Range<usize>],
        question: &Steps,
        count: usize,
    ) -> Self {
        let mut nearest = Self {
            cosines: Vec::with_capacity(count + 1),
            unscaled: Vec::with_capacity(count + 1),
            count,
            worst: f32::NEG_INFINITY,
        };
        for range in ranges {
            nearest.scan(examples, range, question);
        }
        nearest
    }

    #[cfg_attr(target_family = "wasm", target_feature(enable = "simd128"))]
    fn scan(&mut self, examples: &Examples, range: &Range<usize>, question: &Steps) {
        let dimensions = question.steps().len().max(1);
        let steps = range.start.saturating_mul(dimensions)..range.end.saturating_mul(dimensions);
        let steps = examples.steps.get(steps).unwrap_or_default();
        let scales = examples.scales.get(range.clone()).unwrap_or_default();
        for (example, scale) in steps.chunks_exact(dimensions).zip(scales) {
            let cosine = steps::dot_bytes(example, question.steps()) as f32 * scale;
            // The question's scale is the same for all, so it can wait.
            if cosine >= self.worst {
                self.keep(cosine, question.scale());
            }
        }
    }

    fn keep(&mut self, cosine: f32, scale: f32) {
        let place = self.unscaled.partition_point(|kept| *kept >= cosine);
        self.unscaled.insert(place, cosine);
        self.unscaled.truncate(self.count);
        self.cosines
            .insert(place, (cosine * scale).clamp(-1.0, 1.0));
        self.cosines.truncate(self.count);
        if self.unscaled.len() == self.count {
            self.worst = self.unscaled.last().copied().unwrap_or(self.worst);
        }
    }

    /// The best cosine; 0.0 when there was no example: nothing resembles it.
    pub(crate) fn best(&self) -> f32 {
        self.cosines.first().copied().unwrap_or(0.0)
    }

    /// Mean of the best, of fewer where there are fewer; 0.0 of none.
    pub(crate) fn mean(&self) -> f32 {
        match self.cosines.len() {
            0 => 0.0,
            count => self.cosines.iter().sum::<f32>() / count as f32,
        }
    }
}

#[cfg(test)]
#[allow(
    clippy::single_range_in_vec_init,
    clippy::reversed_empty_ranges,
    reason = "ranges of examples, also those that are none"
)]
mod tests {
    use super::*;

    fn examples(vectors: &[[i8; 3]]) -> Examples {
        Examples {
            steps: vectors.iter().flatten().copied().collect(),
            scales: vec![1.0 / 127.0; vectors.len()],
        }
    }

    #[test]
    fn the_cosines_are_those_of_the_vectors() {
        let table = examples(&[[127, 0, 0], [0, 127, 0], [-127, 0, 0], [76, 101, 0]]);
        let question = Steps::of(&[0.6, 0.8, 0.0]);
        let nearest = Nearest::among(&table, &[0..4], &question, 4);
        for (found, expected) in nearest.cosines.iter().zip([1.0_f32, 0.8, 0.6, -0.6]) {
            assert!((found - expected).abs() < 0.01, "{nearest:?}");
        }
        assert_eq!(nearest.best(), nearest.cosines[0]);
    }

    #[test]
    fn only_the_given_ranges_are_looked_at() {
        let table = examples(&[[127, 0, 0], [0, 127, 0], [0, 0, 127]]);
        let question = Steps::of(&[1.0, 0.0, 0.0]);
        assert_eq!(Nearest::among(&table, &[1..3], &question, 2).best(), 0.0);
        let none = Nearest::among(&table, &[], &question, 2);
        assert_eq!((none.best(), none.mean()), (0.0, 0.0));
        let beyond = Nearest::among(&table, &[2..9, 5..1], &question, 2);
        assert!(beyond.cosines.is_empty(), "a range that is none is empty");
    }

    #[test]
    fn the_mean_is_of_the_best_alone() {
        let table = examples(&[[0, 0, 127], [127, 0, 0], [0, 127, 0], [127, 0, 0]]);
        let question = Steps::of(&[1.0, 0.0, 0.0]);
        let mean = |count| Nearest::among(&table, &[0..4], &question, count).mean();
        assert!((mean(2) - 1.0).abs() < 1e-3 && (mean(4) - 0.5).abs() < 1e-3);
        assert!(
            (mean(9) - 0.5).abs() < 1e-3,
            "of fewer where there are fewer"
        );
    }

    #[test]
    fn the_largest_vectors_do_not_overflow() {
        let dimensions = crate::model::DIMENSIONS_MAX as usize;
        let table = Examples {
            steps: vec![-127; dimensions],
            scales: vec![f32::MAX],
        };
        let question = Steps::of(&vec![f32::MAX; dimensions]);
        let nearest = Nearest::among(&table, &[0..1], &question, 1);
        assert_eq!(nearest.best(), -1.0);
    }

    #[test]
    fn a_question_of_zeros_resembles_nothing() {
        let question = Steps::of(&[0.0, -0.0, 0.0]);
        let nearest = Nearest::among(&examples(&[[127, 0, 0]]), &[0..1], &question, 1);
        assert_eq!(nearest.best(), 0.0);
    }
}
