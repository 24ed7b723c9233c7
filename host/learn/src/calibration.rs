//! From what a model makes of lines that it did not learn from to probabilities that hold.
//!
//! Two logistic models a tier: is anybody here for this, and given that, is it the first?
//! Kept apart, because a route that was held out is near others and looks certain. A fifth
//! of the requests is taken to be for nobody here, nine tenths of those far from anything.

use crate::folds::{Kind, Seen};
use crate::learner::Calibrations;
use crate::logistic::{Case, Pull, fit, log_odds};
use crate::tables::{Calibration, Features, Logistic};

/// Share of requests that are taken to be for nobody here.
const OUT_OF_SCOPE: f64 = 0.2;

/// Share of these that resemble what is here, as routes held out do.
const NEAR: f64 = 0.1;

/// Towards the prior, however many lines there are.
const PULL: f64 = 1e-3;

/// So many lines held out weigh against the prior as one to one, for a feature that tells
/// well. More outweigh it by the square: a small lesson is not only a small sample, its
/// folds also learn from much less than the whole does, and both pass as it grows.
const PRIOR_LINES: f64 = 15.0;

/// Which encoders judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tier {
    Words,
    Sentences,
}

impl Tier {
    /// The features of being in scope, in the order of the contract with the router.
    pub(crate) fn in_scope_features(self, features: &Features) -> Vec<f64> {
        let of_words = [
            features.words_mean,
            features.words_best,
            features.plain_mean,
            features.plain_best,
        ];
        let of_sentences = [features.energy, features.sentence_mean, features.words_mean];
        match self {
            Tier::Words => of_words.map(f64::from).to_vec(),
            Tier::Sentences => of_sentences.map(f64::from).to_vec(),
        }
    }

    /// The calibration where there is too little to fit one, and what fits are drawn to.
    pub(crate) fn shipped(self) -> Calibration {
        let shipped = shipped();
        match self {
            Tier::Words => shipped.words,
            Tier::Sentences => shipped.sentences,
        }
    }
}

/// Constants for a lesson of few lines: where none can be held out they stand, else fits
/// are drawn to them (see [`PRIOR_LINES`]). They know no agents that are alike in all they
/// say: that one of those is no surer than its share is learnt from some dozen lines on. Maximum likelihood (`table/few.py`) on what small
/// models (3 to 50 routes with 3 to 20 lines each of CLINC150's training lines, drawn by
/// `examples/clinc --few`) made of its validation lines.
pub(crate) fn shipped() -> Calibrations {
    let calibration = |in_scope: (f32, &[f32]), right: (f32, &[f32])| {
        let logistic = |(intercept, weights): (f32, &[f32])| Logistic {
            intercept,
            weights: weights.to_vec(),
        };
        Calibration {
            in_scope: logistic(in_scope),
            right: logistic(right),
        }
    };
    Calibrations {
        words: calibration((-6.246, &[6.067, 0.0, 8.611, 0.0]), (0.22, &[0.604, 1.197])),
        sentences: calibration((-6.912, &[0.0, 16.924, 4.15]), (-0.826, &[0.366, 1.039])),
    }
}

/// A calibration with the threshold that goes with it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fitted {
    pub(crate) calibration: Calibration,
    /// The probability of being in scope from which on a question is best taken for one.
    pub(crate) in_scope_min: f32,
}

impl Fitted {
    /// Where nothing could be fitted.
    pub(crate) fn shipped(tier: Tier) -> Fitted {
        Fitted {
            calibration: tier.shipped(),
            in_scope_min: 0.5,
        }
    }
}

/// Fits a tier's calibration to what was seen; `is_right` tells whether the first agent
/// is the right one.
pub(crate) fn fitted(tier: Tier, seen: &[Seen], is_right: impl Fn(&Seen) -> bool) -> Fitted {
    let weights = weights(seen);
    let own = seen.iter().filter(|seen| seen.kind == Kind::Own).count();
    let prior = tier.shipped();
    if own == 0 {
        return Fitted::shipped(tier);
    }
    let few = (PRIOR_LINES / own as f64).powi(2);
    let pull = Pull {
        weights: PULL + few,
        intercept: few,
    };
    let case = |(seen, weight): (&Seen, &f64)| Case {
        features: tier.in_scope_features(&seen.features),
        is_one: seen.kind == Kind::Own,
        weight: *weight,
    };
    let cases: Vec<Case> = seen.iter().zip(&weights).map(case).collect();
    let in_scope = rising(cases, &prior.in_scope, pull);
    let probability = |seen: &Seen| in_scope.probability(&tier.in_scope_features(&seen.features));
    let case = |(seen, weight): (&Seen, &f64)| Case {
        features: vec![log_odds(probability(seen)), seen.share],
        is_one: is_right(seen),
        weight: *weight,
    };
    let right = rising(
        seen.iter().zip(&weights).map(case).collect(),
        &prior.right,
        pull,
    );
    let scores = seen.iter().map(probability).zip(seen).zip(&weights);
    let scores = scores.map(|((score, seen), weight)| (score, seen.kind == Kind::Own, *weight));
    let in_scope_min = best_threshold(scores.collect()).unwrap_or(0.5) as f32;
    Fitted {
        calibration: Calibration { in_scope, right },
        in_scope_min,
    }
}

impl Calibration {
    /// The probabilities of being in scope, and of the first agent's being right.
    pub(crate) fn probabilities(&self, tier: Tier, seen: &Seen) -> (f64, f64) {
        let in_scope = self
            .in_scope
            .probability(&tier.in_scope_features(&seen.features));
        let right = self.right.probability(&[log_odds(in_scope), seen.share]);
        (in_scope, right)
    }
}

/// Each kind's lines share what the kind counts, in proportion to their own weights.
fn weights(seen: &[Seen]) -> Vec<f64> {
    let sum = |kind| {
        let of_kind = seen.iter().filter(|seen| seen.kind == kind);
        of_kind.map(|seen| f64::from(seen.weight)).sum::<f64>()
    };
    let (own, strangers, background) = (sum(Kind::Own), sum(Kind::Stranger), sum(Kind::Background));
    let near = match (strangers > 0.0, background > 0.0) {
        (true, true) => NEAR,
        (true, false) => 1.0,
        _ => 0.0,
    };
    let weight = |seen: &Seen| {
        let (share, of) = match seen.kind {
            Kind::Own => (1.0 - OUT_OF_SCOPE, own),
            Kind::Stranger => (OUT_OF_SCOPE * near, strangers),
            Kind::Background => (OUT_OF_SCOPE * (1.0 - near), background),
        };
        share * f64::from(seen.weight) / of
    };
    seen.iter().map(weight).collect()
}

/// The best fit in which no feature lowers the probability: being more alike never makes
/// it less likely. A feature that would is left out.
fn rising(mut cases: Vec<Case>, prior: &Logistic, pull: Pull) -> Logistic {
    let mut prior = prior.clone();
    loop {
        let found = fit(&cases, &prior, pull);
        let falling = found.weights.iter().position(|weight| *weight < 0.0);
        let Some(falling) = falling else {
            return found;
        };
        if let Some(weight) = prior.weights.get_mut(falling) {
            *weight = 0.0;
        }
        for case in &mut cases {
            if let Some(feature) = case.features.get_mut(falling) {
                *feature = 0.0;
            }
        }
        if found.weights.iter().all(|weight| *weight <= 0.0) {
            // Nothing tells them apart: the share of those that are.
            let zeros = vec![0.0; prior.weights.len()];
            cases
                .iter_mut()
                .for_each(|case| case.features.clone_from(&zeros));
            prior.weights = vec![0.0; prior.weights.len()];
            return fit(&cases, &prior, pull);
        }
    }
}

/// The score with the best F1 of what is out of scope, which is what lies below it: half
/// way to the next score. `scores`: score, whether in scope, weight.
fn best_threshold(mut scores: Vec<(f64, bool, f64)>) -> Option<f64> {
    scores.sort_by(|one, other| one.0.total_cmp(&other.0));
    let outside: f64 = scores
        .iter()
        .filter(|(_, own, _)| !own)
        .map(|(.., weight)| weight)
        .sum();
    if outside <= 0.0 {
        return None;
    }
    let (mut found, mut below) = (0.0, 0.0);
    let (mut best, mut threshold) = (-1.0, None);
    for (at, (score, is_own, weight)) in scores.iter().enumerate() {
        below += weight;
        found += if *is_own { 0.0 } else { *weight };
        let f1 = 2.0 * found / (below + outside);
        let next = scores.get(at + 1).map_or(*score, |next| next.0);
        if f1 > best && next > *score {
            (best, threshold) = (f1, Some((score + next) / 2.0));
        }
    }
    threshold
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(kind: Kind, alike: f32, share: f64, is_right: bool) -> Seen {
        Seen {
            kind,
            right: (kind == Kind::Own).then_some(0),
            best: usize::from(!is_right),
            features: Features {
                energy: 10.0 * alike,
                words_mean: alike,
                words_best: alike,
                plain_mean: alike,
                plain_best: alike,
                sentence_mean: alike,
                share: share as f32,
            },
            share,
            weight: 1.0,
        }
    }

    fn all() -> Vec<Seen> {
        let mut all = Vec::new();
        for at in 0..400 {
            let part = at as f32 / 400.0;
            let own = seen(
                Kind::Own,
                0.6 + 0.4 * part,
                f64::from(6.0 * part - 1.0),
                at % 10 != 0,
            );
            all.push(own);
            all.push(seen(Kind::Background, 0.3 + 0.4 * part, -1.0, false));
            all.push(seen(Kind::Stranger, 0.4 + 0.4 * part, 1.0, false));
        }
        all
    }

    #[test]
    fn more_alike_and_a_larger_share_never_lower_a_probability() {
        for tier in [Tier::Words, Tier::Sentences] {
            let fitted = fitted(tier, &all(), |seen| seen.right == Some(seen.best));
            for calibration in [fitted.calibration, tier.shipped()] {
                let at = |alike: f32, share: f64| {
                    calibration.probabilities(tier, &seen(Kind::Own, alike, share, true))
                };
                for step in 0..20 {
                    let alike = step as f32 / 20.0;
                    let (low, high) = (at(alike, 1.0), at(alike + 0.05, 1.0));
                    assert!(low.0 <= high.0 && low.1 <= high.1, "{calibration:?}");
                    assert!(at(alike, 0.0).1 <= at(alike, 1.0).1, "{calibration:?}");
                }
            }
        }
    }

    #[test]
    fn probabilities_hold_on_what_they_were_fitted_to() {
        let all = all();
        let fitted = fitted(Tier::Words, &all, |seen| seen.right == Some(seen.best));
        let (mut said, mut is) = (0.0, 0.0);
        for (seen, weight) in all.iter().zip(weights(&all)) {
            said += weight * fitted.calibration.probabilities(Tier::Words, seen).1;
            is += weight * f64::from(u8::from(seen.right == Some(seen.best)));
        }
        assert!((said - is).abs() < 0.02, "{said} for {is}");
        assert!((0.05..0.95).contains(&fitted.in_scope_min));
    }

    #[test]
    fn without_own_lines_the_shipped_constants_hold() {
        let background = [seen(Kind::Background, 0.4, 0.0, false)];
        let fitted = fitted(Tier::Words, &background, |_| false);
        assert_eq!(fitted, Fitted::shipped(Tier::Words));
    }

    #[test]
    fn the_threshold_parts_what_can_be_parted() {
        let scores = vec![
            (0.1, false, 1.0),
            (0.2, false, 1.0),
            (0.6, true, 1.0),
            (0.9, true, 1.0),
        ];
        assert_eq!(best_threshold(scores), Some(0.4));
        assert_eq!(best_threshold(vec![(0.5, true, 1.0)]), None);
        assert_eq!(best_threshold(Vec::new()), None);
    }
}
