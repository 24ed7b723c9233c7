//! A linear head in training: softmax regression by stochastic gradient descent, one line
//! at a time, with AdaGrad's rate for each route.
//!
//! Source: Duchi et al. 2011, "Adaptive Subgradient Methods"; the sum of squares is kept
//! per row instead of per number. The sums stay with the head: with them a later change
//! moves what was learnt long ago as little as the last epoch did.

use crate::lanes::{self, dot, fade};
use crate::tables::LOGIT_SCALE;

/// Keeps the first rates finite.
const FIRST: f32 = 1e-8;

/// Weights, biases and their sums of squared gradients, one row per route.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Head {
    pub(crate) dimensions: usize,
    pub(crate) weights: Vec<f32>,
    pub(crate) biases: Vec<f32>,
    pub(crate) sums: Vec<f32>,
}

/// How a step is taken.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    /// The learning rate before AdaGrad's division.
    pub(crate) rate: f32,
    /// Errors smaller than this are not learnt from: most routes of most lines.
    pub(crate) skip: f32,
    /// Share of the weights that a full step takes away.
    pub(crate) decay: f32,
    /// How much the line counts.
    pub(crate) weight: f32,
}

impl Head {
    /// All zeros.
    pub(crate) fn new(routes: usize, dimensions: usize) -> Head {
        Head {
            dimensions,
            weights: vec![0.0; routes * dimensions],
            biases: vec![0.0; routes],
            sums: vec![0.0; routes],
        }
    }

    pub(crate) fn row(&self, route: usize) -> Option<&[f32]> {
        self.weights.chunks_exact(self.dimensions).nth(route)
    }

    /// The routes' shares for a vector.
    #[inline(always)]
    pub(crate) fn shares(&self, vector: &[f32], shares: &mut Vec<f32>) {
        shares.clear();
        shares.resize(self.biases.len(), 0.0);
        // A loop, since a closure need not become part of code for AVX2; as one of its
        // own it took four times as long.
        let rows = self.weights.chunks_exact(self.dimensions).zip(&self.biases);
        for (share, (row, bias)) in shares.iter_mut().zip(rows) {
            *share = LOGIT_SCALE * dot(row, vector) + bias;
        }
        lanes::softmax(shares);
    }

    /// One step for a vector with the route `right`. `shares` are this head's for it; with
    /// `back`, adds to it what would have to change in the vector, but for the factor
    /// [`LOGIT_SCALE`].
    #[inline(always)]
    pub(crate) fn learn(
        &mut self,
        vector: &[f32],
        shares: &[f32],
        right: usize,
        step: Step,
        mut back: Option<&mut [f32]>,
    ) {
        let square = dot(vector, vector) / self.dimensions as f32;
        let rows = self.weights.chunks_exact_mut(self.dimensions);
        let rows = rows.zip(self.biases.iter_mut().zip(&mut self.sums));
        for (at, (share, (row, (bias, sum)))) in shares.iter().zip(rows).enumerate() {
            let error = share - if at == right { 1.0 } else { 0.0 };
            let error = error * step.weight;
            if error.abs() < step.skip {
                continue;
            }
            if let Some(back) = back.as_deref_mut() {
                lanes::add(back, error, row);
            }
            let gradient = error * LOGIT_SCALE;
            *sum += gradient * gradient * square;
            let rate = step.rate / (*sum + FIRST).sqrt();
            fade(row, 1.0 - rate * step.decay, -(rate * gradient), vector);
            *bias -= rate * error;
        }
    }

    /// The head as the router takes it: the mean over the routes taken away, which changes
    /// no share and gives the energy a meaning.
    pub(crate) fn centred(&self) -> crate::tables::Head {
        let (mean, mean_bias) = self.mean();
        let mut weights = self.weights.clone();
        for row in weights.chunks_exact_mut(self.dimensions) {
            lanes::add(row, -1.0, &mean);
        }
        crate::tables::Head {
            dimensions: self.dimensions as u32,
            weights,
            biases: self.biases.iter().map(|bias| bias - mean_bias).collect(),
        }
    }

    /// The mean row and the mean bias.
    pub(crate) fn mean(&self) -> (Vec<f32>, f32) {
        let share = 1.0 / self.biases.len().max(1) as f32;
        let mut mean = vec![0.0; self.dimensions];
        for row in self.weights.chunks_exact(self.dimensions) {
            lanes::add(&mut mean, share, row);
        }
        (mean, self.biases.iter().sum::<f32>() * share)
    }

    /// The head for other routes, each given its row of before or, for a new one, the
    /// direction of its lines: the mean row, moved that way by as much as rows lie from it.
    /// Measured: already as good as training anew.
    pub(crate) fn rearranged(&self, from: &[Result<usize, Vec<f32>>]) -> Head {
        let mut to = Head::new(0, self.dimensions);
        let (mean, mean_bias) = self.mean();
        let mut sums = self.sums.clone();
        let middle = sums.len() / 2;
        let median = match sums.get_mut(middle) {
            Some(_) => *sums.select_nth_unstable_by(middle, f32::total_cmp).1,
            None => 0.0,
        };
        let far = self.mean_distance(&mean);
        for from in from {
            let known = from.as_ref().ok().and_then(|route| {
                let (bias, sum) = (self.biases.get(*route)?, self.sums.get(*route)?);
                Some((self.row(*route)?.to_vec(), *bias, *sum))
            });
            let (row, bias, sum) = known.unwrap_or_else(|| {
                let mut row = mean.clone();
                if let Err(direction) = from {
                    lanes::add(&mut row, far, direction);
                }
                (row, mean_bias, median)
            });
            to.weights.extend(row);
            to.biases.push(bias);
            to.sums.push(sum);
        }
        to
    }

    /// How far rows lie from their mean, on average; 1.0 where there are none to tell.
    fn mean_distance(&self, mean: &[f32]) -> f32 {
        let mut sum = 0.0;
        for row in self.weights.chunks_exact(self.dimensions) {
            let mut row = row.to_vec();
            lanes::add(&mut row, -1.0, mean);
            sum += dot(&row, &row).sqrt();
        }
        let mean = sum / self.biases.len().max(1) as f32;
        if mean > 0.0 { mean } else { 1.0 }
    }
}
