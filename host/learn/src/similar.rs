//! When may a paraphrase go where its like went? Where the head itself says that it goes
//! there, and both texts are near: by far the best of the criteria measured.

use crate::lanes::{self, Work, dot};
use crate::tables::{Head, LOGIT_SCALE, WORDS_DIMENSIONS};

/// Share of what is answered that may be wrong on the model's own held-out lines. Others
/// are harder: on lines of a later file it was three times as many.
const WRONG_MAX: f64 = 0.0025;

/// Smallest cosine. Below, texts share hardly more than their frame. Measured: with it no
/// request out of scope was taken for a paraphrase.
const COSINE_MIN: f32 = 0.7;

/// The probability that is asked for where too little was seen to ask for less.
const PROBABILITY_USUAL: f32 = 0.8;

/// Answers seen that it takes to ask for less than usual.
const ANSWERS_MIN: usize = 400;

/// Probabilities that are tried, in hundredths.
const TRIED: std::ops::RangeInclusive<u8> = 50..=95;

/// Above every probability: never.
pub(crate) const NEVER: f32 = 2.0;

/// A held-out line and the nearest other one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pair {
    pub(crate) cosine: f32,
    /// The head's probability that the line goes where the other one belongs.
    pub(crate) probability: f32,
    /// Whether it does.
    pub(crate) is_right: bool,
}

/// Smallest probability and cosine at which a paraphrase is safe.
pub(crate) fn bounds(pairs: &[Pair]) -> (f32, f32) {
    let near: Vec<&Pair> = pairs
        .iter()
        .filter(|pair| pair.cosine >= COSINE_MIN)
        .collect();
    let is_safe = |least: f32| {
        let answered = near.iter().filter(|pair| pair.probability >= least);
        let (all, wrong) = answered.fold((0usize, 0usize), |(all, wrong), pair| {
            (all + 1, wrong + usize::from(!pair.is_right))
        });
        let is_known = all >= ANSWERS_MIN || least >= PROBABILITY_USUAL;
        is_known && wrong as f64 <= WRONG_MAX * (all.max(ANSWERS_MIN) as f64)
    };
    let mut tried = TRIED
        .step_by(5)
        .map(|hundredths| f32::from(hundredths) / 100.0);
    let least = tried.find(|least| is_safe(*least));
    (least.unwrap_or(NEVER), COSINE_MIN)
}

/// Every line with the nearest other one. Lines are vectors and their routes in the head.
pub(crate) fn pairs(head: &Head, lines: &[(Vec<f32>, usize)]) -> Vec<Pair> {
    lanes::run(Pairs { head, lines })
}

struct Pairs<'a> {
    head: &'a Head,
    lines: &'a [(Vec<f32>, usize)],
}

impl Work for Pairs<'_> {
    type Output = Vec<Pair>;

    #[inline(always)]
    fn done(self) -> Vec<Pair> {
        let mut pairs = Vec::with_capacity(self.lines.len());
        let mut shares = Vec::new();
        for (at, (line, right)) in self.lines.iter().enumerate() {
            let mut best: Option<(f32, usize)> = None;
            for (other, (vector, route)) in self.lines.iter().enumerate() {
                let cosine = dot(line, vector);
                if other != at && best.is_none_or(|(most, _)| cosine > most) {
                    best = Some((cosine, *route));
                }
            }
            let Some((cosine, route)) = best else {
                continue;
            };
            shares.clear();
            let rows = self.head.weights.chunks_exact(WORDS_DIMENSIONS);
            let rows = rows.zip(&self.head.biases);
            shares.resize(self.head.biases.len(), 0.0);
            for (share, (row, bias)) in shares.iter_mut().zip(rows) {
                *share = LOGIT_SCALE * dot(row, line) + bias;
            }
            lanes::softmax(&mut shares);
            pairs.push(Pair {
                cosine,
                probability: shares.get(route).copied().unwrap_or(0.0),
                is_right: route == *right,
            });
        }
        pairs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(count: usize, probability: f32, is_right: bool) -> Vec<Pair> {
        let cosine = 0.9;
        vec![
            Pair {
                cosine,
                probability,
                is_right
            };
            count
        ]
    }

    #[test]
    fn the_smallest_safe_probability_is_taken() {
        let all = [pairs(2000, 0.7, true), pairs(20, 0.6, false)].concat();
        assert_eq!(bounds(&all), (0.65, COSINE_MIN));
    }

    #[test]
    fn little_evidence_asks_for_the_usual_probability() {
        assert_eq!(bounds(&[]), (PROBABILITY_USUAL, COSINE_MIN));
        assert_eq!(bounds(&pairs(100, 0.6, true)).0, PROBABILITY_USUAL);
    }

    #[test]
    fn what_is_wrong_at_every_probability_is_never_answered() {
        assert_eq!(bounds(&pairs(500, 0.99, false)).0, NEVER);
    }

    #[test]
    fn far_pairs_count_for_nothing() {
        let mut far = pairs(500, 0.99, false);
        far.iter_mut().for_each(|pair| pair.cosine = 0.5);
        assert_eq!(bounds(&far).0, PROBABILITY_USUAL);
    }
}
