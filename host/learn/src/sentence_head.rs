//! The head over the sentence encoder's vectors in training.

use crate::head::{Head, Step};
use crate::lanes::{self, Work};
use crate::random::Random;
use crate::tables::Examples;

/// The learning rate at the beginning; it falls to zero evenly.
pub(crate) const RATE: f32 = 0.03;

/// Errors below this are not learnt from.
const SKIP: f32 = 1e-3;

/// Share of a route's weights that a full step takes away.
const DECAY: f32 = 3e-3;

/// A line as it is learnt.
#[derive(Clone, Copy)]
pub(crate) struct Sentence {
    /// Place of its vector.
    pub(crate) at: usize,
    /// Place of its route in the head.
    pub(crate) route: usize,
    pub(crate) weight: f32,
}

/// A run through the lines.
pub(crate) struct Lessons<'a> {
    pub(crate) head: &'a mut Head,
    pub(crate) vectors: &'a Examples,
    pub(crate) lines: &'a [Sentence],
    pub(crate) epochs: usize,
    pub(crate) rate: f32,
    pub(crate) seed: u64,
}

impl Lessons<'_> {
    /// Goes through the lines, each epoch in another order.
    pub(crate) fn learn(self) {
        lanes::run(self);
    }
}

impl Work for Lessons<'_> {
    type Output = ();

    #[inline(always)]
    fn done(self) {
        let dimensions = self.head.dimensions;
        let mut order: Vec<usize> = (0..self.lines.len()).collect();
        let mut random = Random::seeded(self.seed);
        let (mut vector, mut shares) = (vec![0.0f32; dimensions], Vec::new());
        let steps = (self.epochs * order.len()).max(1) as f32;
        let mut taken = 0.0f32;
        for _ in 0..self.epochs {
            random.shuffle(&mut order);
            for line in order.iter().filter_map(|at| self.lines.get(*at)) {
                let rate = self.rate * (1.0 - taken / steps);
                taken += 1.0;
                let from = line.at * dimensions;
                let steps = self.vectors.steps.get(from..from + dimensions);
                let (Some(steps), Some(scale)) = (steps, self.vectors.scales.get(line.at)) else {
                    continue;
                };
                // A line whose vector could not be had is learnt by words alone.
                if steps.iter().all(|step| *step == 0) {
                    continue;
                }
                vector.fill(0.0);
                lanes::add_steps(&mut vector, *scale, steps);
                self.head.shares(&vector, &mut shares);
                let step = Step {
                    rate,
                    skip: SKIP,
                    decay: DECAY,
                    weight: line.weight,
                };
                self.head.learn(&vector, &shares, line.route, step, None);
            }
        }
    }
}
