//! How good a calibration is.

use std::fmt;

/// What was predicted for one query, and what is true.
#[derive(Clone, Copy)]
pub struct Outcome {
    /// Probability given to the first agent; 0.0 when nobody was found.
    pub confidence: f64,
    /// Whether the first agent is the right one.
    pub is_right: bool,
    /// Whether any agent is.
    pub in_scope: bool,
    /// How much it counts, 0.0 or more.
    pub weight: f64,
}

/// Figures over all outcomes.
pub struct Metrics {
    /// Number of outcomes.
    pub lines: usize,
    /// Of the queries with a right agent, the share where it came first.
    pub top1: f64,
    /// Chance that a right first agent has a higher probability than a wrong one.
    pub auroc: f64,
    /// Expected calibration error over 15 bins of equal width.
    pub ece: f64,
    /// The same for the agents that came after the first.
    pub ece_alternatives: f64,
    /// Mean squared error of the probability.
    pub brier: f64,
    /// Of those accepted at 0.8, the share that is right.
    pub precision: f64,
    /// Of the queries with a right agent, the share accepted at 0.8 and right.
    pub recall: f64,
}

/// The default threshold, at which precision and recall are told.
const ACCEPT: f64 = 0.8;
const BINS: usize = 15;

/// Computes the figures of the agents that came first, with the `others` beside
/// them; a share of nothing is 0.0.
pub fn measure(outcomes: &[Outcome], others: &[Outcome]) -> Metrics {
    let total = |test: &dyn Fn(&Outcome) -> bool| {
        let counted = outcomes.iter().filter(|o| test(o));
        counted.map(|o| o.weight).sum::<f64>()
    };
    let all = total(&|_| true);
    let in_scope = total(&|o| o.in_scope);
    let accepted = total(&|o| o.confidence >= ACCEPT);
    let accepted_right = total(&|o| o.confidence >= ACCEPT && o.is_right);
    let squares = outcomes
        .iter()
        .map(|o| o.weight * (o.confidence - truth(o)).powi(2))
        .sum::<f64>();
    Metrics {
        lines: outcomes.len(),
        top1: share(total(&|o| o.in_scope && o.is_right), in_scope),
        auroc: auroc(outcomes),
        ece: ece(outcomes),
        ece_alternatives: ece(others),
        brier: share(squares, all),
        precision: share(accepted_right, accepted),
        recall: share(accepted_right, in_scope),
    }
}

fn truth(outcome: &Outcome) -> f64 {
    if outcome.is_right { 1.0 } else { 0.0 }
}

fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

fn auroc(outcomes: &[Outcome]) -> f64 {
    let (right, wrong): (Vec<&Outcome>, Vec<&Outcome>) = outcomes.iter().partition(|o| o.is_right);
    let (mut won, mut fought) = (0.0, 0.0);
    for (r, w) in right.iter().flat_map(|r| wrong.iter().map(move |w| (r, w))) {
        won += r.weight * w.weight * duel(r.confidence, w.confidence);
        fought += r.weight * w.weight;
    }
    share(won, fought)
}

fn duel(right: f64, wrong: f64) -> f64 {
    match right.total_cmp(&wrong) {
        std::cmp::Ordering::Greater => 1.0,
        std::cmp::Ordering::Equal => 0.5,
        std::cmp::Ordering::Less => 0.0,
    }
}

fn ece(outcomes: &[Outcome]) -> f64 {
    let bin_of = |o: &Outcome| ((o.confidence * BINS as f64) as usize).min(BINS - 1);
    let error = (0..BINS).map(|bin| {
        let here = outcomes.iter().filter(|o| bin_of(o) == bin);
        here.map(|o| o.weight * (o.confidence - truth(o)))
            .sum::<f64>()
            .abs()
    });
    share(error.sum(), outcomes.iter().map(|o| o.weight).sum())
}

impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} lines, top-1 {:.3}, AUROC {:.3}",
            self.lines, self.top1, self.auroc
        )?;
        write!(
            f,
            ", ECE {:.3} (alternatives {:.3})",
            self.ece, self.ece_alternatives
        )?;
        write!(
            f,
            ", Brier {:.3}, at {ACCEPT}: precision {:.3}",
            self.brier, self.precision
        )?;
        write!(f, ", recall {:.3}", self.recall)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome((confidence, is_right, in_scope): (f64, bool, bool)) -> Outcome {
        Outcome {
            confidence,
            is_right,
            in_scope,
            weight: 1.0,
        }
    }

    #[test]
    fn figures_are_those_computed_by_hand() {
        let outcomes = [
            (0.9, true, true),
            (0.9, false, true),
            (0.5, true, true),
            (0.1, false, false),
        ];
        let metrics = measure(&outcomes.map(outcome), &[]);
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(near(metrics.top1, 2.0 / 3.0));
        // Of the four pairs two are won, one is lost and one is a tie.
        assert!(near(metrics.auroc, 2.5 / 4.0), "{}", metrics.auroc);
        // The bin of 0.9 is off by 0.8 in sum, that of 0.5 by 0.5, that of 0.1 by 0.1.
        assert!(near(metrics.ece, 1.4 / 4.0), "{}", metrics.ece);
        assert!(near(metrics.brier, (0.01 + 0.81 + 0.25 + 0.01) / 4.0));
        assert!(near(metrics.precision, 0.5) && near(metrics.recall, 1.0 / 3.0));
    }

    #[test]
    fn what_weighs_twice_counts_as_two() {
        let once = [
            (0.9, true, true),
            (0.9, false, true),
            (0.85, true, true),
            (0.4, false, false),
        ]
        .map(outcome);
        let mut heavy = once;
        heavy[1].weight = 2.0;
        let (one, two) = (
            measure(&[once[0], once[1], once[1], once[2], once[3]], &[]),
            measure(&heavy, &[]),
        );
        let figures = |m: &Metrics| {
            let Metrics {
                top1,
                auroc,
                ece,
                brier,
                precision,
                recall,
                ..
            } = *m;
            [top1, auroc, ece, brier, precision, recall].map(|f| (f * 1e9).round())
        };
        assert_eq!(figures(&one), figures(&two));
    }

    #[test]
    fn nothing_measures_as_nothing() {
        let metrics = measure(&[], &[]);
        assert_eq!((metrics.top1, metrics.auroc, metrics.ece), (0.0, 0.0, 0.0));
    }
}
