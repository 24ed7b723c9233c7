//! The best of a stream of scores.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// The best `limit` of all scores offered; among equals those that came first.
#[derive(Debug)]
pub(crate) struct Best {
    limit: usize,
    /// What a score has to be above, however few there are yet.
    floor: f32,
    /// The worst on top.
    kept: BinaryHeap<Scored>,
}

#[derive(Clone, Copy, Debug)]
struct Scored {
    score: f32,
    number: usize,
}

impl Best {
    /// Of scores above `floor` only.
    pub(crate) fn new(limit: usize, floor: f32) -> Self {
        Self {
            limit,
            floor,
            kept: BinaryHeap::new(),
        }
    }

    /// What a score has to be above to get in.
    pub(crate) fn threshold(&self) -> f32 {
        match self.kept.peek() {
            Some(worst) if self.kept.len() >= self.limit => worst.score,
            _ => self.floor,
        }
    }

    /// Takes a score in when it is above the threshold. Numbers have to rise from
    /// one offer to the next.
    pub(crate) fn offer(&mut self, score: f32, number: usize) {
        if score > self.threshold() {
            if self.kept.len() >= self.limit {
                self.kept.pop();
            }
            self.kept.push(Scored { score, number });
        }
    }

    /// The numbers that are in, in no order.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = usize> + '_ {
        self.kept.iter().map(|scored| scored.number)
    }
}

impl Ord for Scored {
    /// The worse is the greater; among equals the later is worse.
    fn cmp(&self, other: &Self) -> Ordering {
        let by_score = other.score.total_cmp(&self.score);
        by_score.then(self.number.cmp(&other.number))
    }
}

impl PartialOrd for Scored {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scored {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Scored {}

/// Values that are looked at together: two cache lines.
const STRIDE: usize = 32;

/// The first of `values` from `from` on that is above the threshold.
pub(crate) fn first_above(values: &[f32], from: usize, threshold: f32) -> Option<usize> {
    let mut at = from;
    for chunk in values.get(from..)?.chunks(STRIDE) {
        // No early end within a stride, so that it is a few wide comparisons.
        let any = chunk
            .iter()
            .fold(false, |any, value| any | (*value > threshold));
        if any {
            let within = chunk.iter().position(|value| *value > threshold)?;
            return Some(at + within);
        }
        at += chunk.len();
    }
    None
}

/// The greatest value above `floor`, and where it is first.
pub(crate) fn greatest(values: &[f32], floor: f32) -> Option<(usize, f32)> {
    let mut best = None;
    let mut most = floor;
    for (at, value) in values.iter().enumerate() {
        if *value > most {
            most = *value;
            best = Some((at, most));
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_keeps_what_sorting_would(
            scores in prop::collection::vec(-3i8..6, 0..60),
            limit in 1usize..20,
        ) {
            let scores: Vec<f32> = scores.into_iter().map(f32::from).collect();
            let mut best = Best::new(limit, 0.0);
            for (number, score) in scores.iter().enumerate() {
                best.offer(*score, number);
            }
            let mut kept: Vec<usize> = best.numbers().collect();
            kept.sort_unstable();
            let mut wanted: Vec<usize> = (0..scores.len()).filter(|n| scores[*n] > 0.0).collect();
            wanted.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
            wanted.truncate(limit);
            wanted.sort_unstable();
            prop_assert_eq!(kept, wanted);
        }

        #[test]
        fn the_first_above_is_found_wherever_it_is(
            values in prop::collection::vec(0u8..4, 0..200),
            from in 0usize..220,
        ) {
            let values: Vec<f32> = values.into_iter().map(f32::from).collect();
            let wanted = (from..values.len()).find(|at| values[*at] > 2.0);
            prop_assert_eq!(first_above(&values, from, 2.0), wanted);
        }
    }

    #[test]
    fn of_equals_the_first_is_the_greatest() {
        assert_eq!(greatest(&[1.0, 3.0, 3.0], 0.0), Some((1, 3.0)));
        assert_eq!(greatest(&[0.0, 0.0], 0.0), None);
    }
}
