//! The static encoder being tuned to the routes, together with the head over it.
//!
//! Per line: leave out a fifth of its rows, sum the rest, take the direction, judge it
//! with the head, and move head and rows against the error.

use crate::bag::{Bag, PAIR_ROWS};
use crate::head::{Head, Step};
use crate::lanes::{self, Work, dot};
use crate::random::Random;
use crate::table::Table;
use crate::tables::{LOGIT_SCALE, WORDS_DIMENSIONS};

/// The learning rate of rows and head, at the beginning; it falls to zero evenly.
pub(crate) const RATE: f32 = 0.01;

/// Of 65,536: how often a row is left out. A fifth.
const LEFT_OUT: u32 = 13_107;

/// Errors below this are not learnt from.
const SKIP: f32 = 1e-5;

/// Keeps the first rates finite.
const FIRST: f32 = 1e-8;

/// A line as it is learnt.
#[derive(Clone, Copy)]
pub(crate) struct Taught<'a> {
    pub(crate) bag: &'a Bag,
    /// Place of its route in the head.
    pub(crate) route: usize,
    pub(crate) weight: f32,
}

/// How often and how fast lines are gone through.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) epochs: usize,
    /// The rate of the rows.
    pub(crate) rows: f32,
    /// The rate of the head.
    pub(crate) head: f32,
    pub(crate) seed: u64,
}

/// The encoder and its head in training.
#[derive(Debug, Clone)]
pub(crate) struct Tuning {
    /// Those of the table, then those of pairs.
    rows: Vec<[f32; WORDS_DIMENSIONS]>,
    /// Squared gradients of each row.
    sums: Vec<f32>,
    pub(crate) head: Head,
}

impl Tuning {
    /// As shipped, with a head that knows nothing of so many routes.
    pub(crate) fn new(table: &Table, routes: usize) -> Tuning {
        let mut rows = vec![[0.0; WORDS_DIMENSIONS]; table.len() + PAIR_ROWS];
        for (row, token) in rows.iter_mut().zip(0u32..) {
            if let Some((steps, scale)) = table.row(token) {
                lanes::add_steps(row, scale, steps);
            }
        }
        Tuning {
            sums: vec![0.0; rows.len()],
            rows,
            head: Head::new(routes, WORDS_DIMENSIONS),
        }
    }

    /// Goes through the lines at this pace, each epoch in another order.
    pub(crate) fn learn(&mut self, lines: &[Taught<'_>], pace: Pace) {
        lanes::run(Lessons {
            tuning: self,
            lines,
            pace,
        });
    }

    /// The encoder as it judges: in steps.
    pub(crate) fn tuned(&self) -> Tuned {
        let mut tuned = Tuned::default();
        for row in &self.rows {
            let scale = crate::steps::in_steps(row, &mut tuned.steps);
            tuned.scales.push(scale);
        }
        tuned
    }
}

/// A run through the lines.
struct Lessons<'a> {
    tuning: &'a mut Tuning,
    lines: &'a [Taught<'a>],
    pace: Pace,
}

/// What is written over for every line.
#[derive(Default)]
struct Scratch {
    /// The rows that were not left out, with their weights.
    kept: Vec<(usize, f32)>,
    shares: Vec<f32>,
}

impl Work for Lessons<'_> {
    type Output = ();

    #[inline(always)]
    fn done(self) {
        let mut order: Vec<usize> = (0..self.lines.len()).collect();
        let mut random = Random::seeded(self.pace.seed);
        let mut scratch = Scratch::default();
        let steps = (self.pace.epochs * order.len()).max(1) as f32;
        let mut taken = 0.0f32;
        for _ in 0..self.pace.epochs {
            random.shuffle(&mut order);
            for line in order.iter().filter_map(|at| self.lines.get(*at)) {
                let left = 1.0 - taken / steps;
                taken += 1.0;
                scratch.kept.clear();
                for (row, weight) in line.bag.rows() {
                    if random.next() % 65_536 >= LEFT_OUT {
                        scratch.kept.push((row as usize, weight));
                    }
                }
                if !scratch.kept.is_empty() {
                    self.tuning.step(line, self.pace, left, &mut scratch);
                }
            }
        }
    }
}

impl Tuning {
    #[inline(always)]
    fn step(&mut self, line: &Taught<'_>, pace: Pace, left: f32, scratch: &mut Scratch) {
        let mut vector = [0.0f32; WORDS_DIMENSIONS];
        for (row, weight) in &scratch.kept {
            if let Some(row) = self.rows.get(*row) {
                lanes::add(&mut vector, *weight, row);
            }
        }
        let shorten = 1.0 / (dot(&vector, &vector) + 1e-12).sqrt();
        lanes::scale(&mut vector, shorten);
        self.head.shares(&vector, &mut scratch.shares);
        let mut back = [0.0f32; WORDS_DIMENSIONS];
        let step = Step {
            rate: pace.head * left,
            skip: SKIP,
            decay: 0.0,
            weight: line.weight,
        };
        let shares = &scratch.shares;
        self.head
            .learn(&vector, shares, line.route, step, Some(&mut back));
        if pace.rows > 0.0 {
            lanes::scale(&mut back, LOGIT_SCALE);
            // What would only change the length changes nothing.
            let along = dot(&back, &vector);
            lanes::add(&mut back, -along, &vector);
            lanes::scale(&mut back, shorten);
            self.move_rows(&back, pace.rows * left, &scratch.kept);
        }
    }

    #[inline(always)]
    fn move_rows(&mut self, back: &[f32; WORDS_DIMENSIONS], rate: f32, kept: &[(usize, f32)]) {
        let square = dot(back, back) / WORDS_DIMENSIONS as f32;
        for (at, weight) in kept {
            let (Some(row), Some(sum)) = (self.rows.get_mut(*at), self.sums.get_mut(*at)) else {
                continue;
            };
            *sum += weight * weight * square;
            lanes::add(row, -(rate / (*sum + FIRST).sqrt()) * weight, back);
        }
    }
}

/// The static encoder, tuned, in steps.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Tuned {
    steps: Vec<i8>,
    scales: Vec<f32>,
}

impl Tuned {
    /// The direction of a text; zeros for one without a known row.
    pub(crate) fn vector(&self, bag: &Bag) -> Vec<f32> {
        let mut vector = vec![0.0f32; WORDS_DIMENSIONS];
        for (row, weight) in bag.rows() {
            let from = row as usize * WORDS_DIMENSIONS;
            let steps = self.steps.get(from..from + WORDS_DIMENSIONS);
            if let (Some(steps), Some(scale)) = (steps, self.scales.get(row as usize)) {
                lanes::add_steps(&mut vector, weight * scale, steps);
            }
        }
        lanes::unit(&mut vector);
        vector
    }
}

impl Table {
    /// The direction of a text in the encoder as shipped, which knows no pairs.
    pub(crate) fn vector(&self, bag: &Bag) -> Vec<f32> {
        let mut vector = vec![0.0f32; WORDS_DIMENSIONS];
        for (steps, scale) in bag.words().iter().filter_map(|token| self.row(*token)) {
            lanes::add_steps(&mut vector, scale, steps);
        }
        lanes::unit(&mut vector);
        vector
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bags() -> Vec<(Bag, usize)> {
        let table = Table::shipped().unwrap();
        [
            ("book me a flight to paris", 0),
            ("what is my account balance", 1),
            ("i need a plane ticket", 0),
            ("how much money do i have in the bank", 1),
        ]
        .map(|(text, route)| (Bag::of(text, table.pieces()), route))
        .to_vec()
    }

    fn learnt(lines: &[(Bag, usize)], seed: u64) -> Tuning {
        let mut tuning = Tuning::new(&Table::shipped().unwrap(), 2);
        let lines: Vec<Taught<'_>> = lines
            .iter()
            .map(|(bag, route)| Taught {
                bag,
                route: *route,
                weight: 1.0,
            })
            .collect();
        let pace = Pace {
            epochs: 8,
            rows: RATE,
            head: RATE,
            seed,
        };
        tuning.learn(&lines, pace);
        tuning
    }

    #[test]
    fn tuning_draws_the_lines_of_a_route_together() {
        let lines = bags();
        let table = Table::shipped().unwrap();
        let tuned = learnt(&lines, 1).tuned();
        let cosine = |encode: &dyn Fn(&Bag) -> Vec<f32>| {
            lanes::dot(&encode(&lines[0].0), &encode(&lines[2].0))
        };
        assert!(cosine(&|bag| tuned.vector(bag)) > cosine(&|bag| table.vector(bag)));
        let mut shares = Vec::new();
        let head = learnt(&lines, 1).head;
        for (bag, route) in &lines {
            head.shares(&tuned.vector(bag), &mut shares);
            assert!(shares[*route] > 0.5, "{shares:?}");
        }
    }

    #[test]
    fn the_same_lines_tune_to_the_same_bits() {
        let lines = bags();
        let (one, other) = (learnt(&lines, 1), learnt(&lines, 1));
        assert_eq!(one.tuned(), other.tuned());
        assert_eq!(one.head, other.head);
        assert_ne!(one.tuned(), learnt(&lines, 2).tuned());
    }

    #[test]
    fn a_text_without_words_has_the_vector_of_zeros() {
        let table = Table::shipped().unwrap();
        let empty = Bag::of("", table.pieces());
        assert_eq!(table.vector(&empty), [0.0; WORDS_DIMENSIONS]);
        let tuned = Tuning::new(&table, 1).tuned();
        assert_eq!(tuned.vector(&empty), [0.0; WORDS_DIMENSIONS]);
    }
}
