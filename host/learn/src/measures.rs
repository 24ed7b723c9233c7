//! How good are decisions? Figures over labelled questions and what became of
//! them. Pure; the order of the questions does not matter.
//!
//! Words: a question is *in scope* when its label is a route, *out of scope* when
//! it has none. The score of a question is `in_scope`, its probability of being in
//! scope; `confidence` is the probability that the best route is the right one. A
//! score that is not a number counts as 0.0.
//!
//! In reading order: [`Outcome`]; whether the right route comes first ([`accuracy`],
//! [`macro_f1`], [`confusions`]); whether it is known that nobody does this
//! ([`oos_auroc`], [`oos_f1`], [`oos_threshold`], [`fpr95`]); whether a probability
//! means what it says ([`ece`], [`acceptance`], [`wilson`]).

use std::collections::BTreeMap;

/// Bins of the calibration error. Source: Guo et al. 2017, "On Calibration of
/// Modern Neural Networks".
pub const ECE_BINS: usize = 15;
/// Share of questions in scope that are accepted where [`fpr95`] is taken.
pub const ACCEPTED_SHARE: f64 = 0.95;
/// Standard deviations of the 95 % interval that [`wilson`] gives.
const DEVIATIONS: f64 = 1.959_964;

/// A labelled question and what became of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// The right route; `None` when nobody does this.
    pub right: Option<u32>,
    /// The route that comes first, before any threshold; `None` when nothing was
    /// found.
    pub best: Option<u32>,
    /// Probability that anybody here does this, 0.0 to 1.0.
    pub in_scope: f32,
    /// Probability that `best` is right, 0.0 to 1.0.
    pub confidence: f32,
}

impl Outcome {
    /// Whether the route that comes first is the right one; never out of scope.
    pub fn is_right(&self) -> bool {
        self.right.is_some() && self.right == self.best
    }

    fn score(&self) -> f64 {
        probability(self.in_scope)
    }
}

/// One route taken for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confusion {
    /// The right route.
    pub right: u32,
    /// The one that came first instead; `None` when nothing was found.
    pub taken: Option<u32>,
    /// How many questions.
    pub count: usize,
}

/// A threshold of the score below which a question counts as out of scope.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold {
    /// 0.0 to 1.0.
    pub at: f32,
    /// F1 of the out-of-scope class there, on the questions it was chosen on.
    pub f1: f64,
}

/// What is accepted from some confidence on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Acceptance {
    /// The smallest confidence that is accepted, 0.0 to 1.0.
    pub at: f32,
    /// Questions accepted, in scope or not.
    pub accepted: usize,
    /// Those of them whose best route is right.
    pub right: usize,
}

impl Acceptance {
    /// Share of the accepted that is right; `None` when nothing is accepted.
    pub fn precision(&self) -> Option<f64> {
        share(self.right, self.accepted)
    }
}

/// Share of the questions in scope whose best route is right, 0.0 to 1.0; `None`
/// when there are none.
pub fn accuracy(outcomes: &[Outcome]) -> Option<f64> {
    let right = outcomes.iter().filter(|outcome| outcome.is_right());
    share(right.count(), in_scope(outcomes).count())
}

/// Mean of the F1 of every route that is right for some question, over the
/// questions in scope, each given its best route; `None` when there are none.
pub fn macro_f1(outcomes: &[Outcome]) -> Option<f64> {
    #[derive(Default)]
    struct Counts {
        right: usize,
        taken: usize,
        labelled: usize,
    }
    let mut routes: BTreeMap<u32, Counts> = BTreeMap::new();
    for outcome in in_scope(outcomes) {
        if let Some(right) = outcome.right {
            let counts = routes.entry(right).or_default();
            counts.labelled += 1;
            counts.right += usize::from(outcome.is_right());
        }
        if let Some(best) = outcome.best {
            routes.entry(best).or_default().taken += 1;
        }
    }
    let labelled = routes.values().filter(|counts| counts.labelled > 0);
    let f1 = labelled.map(|counts| f1(counts.right, counts.taken, counts.labelled));
    let (sum, count) = f1.fold((0.0, 0_usize), |(sum, count), f1| (sum + f1, count + 1));
    (count > 0).then(|| sum / count as f64)
}

/// The most frequent confusions of questions in scope, the most frequent first, at
/// most `limit`; ties by the places of the routes.
pub fn confusions(outcomes: &[Outcome], limit: usize) -> Vec<Confusion> {
    let mut counts: BTreeMap<(u32, Option<u32>), usize> = BTreeMap::new();
    for outcome in in_scope(outcomes).filter(|outcome| !outcome.is_right()) {
        if let Some(right) = outcome.right {
            *counts.entry((right, outcome.best)).or_default() += 1;
        }
    }
    let confusion = |((right, taken), count)| Confusion {
        right,
        taken,
        count,
    };
    let mut all: Vec<Confusion> = counts.into_iter().map(confusion).collect();
    // Stable: what is equally frequent stays in the order of the map.
    all.sort_by_key(|confusion| std::cmp::Reverse(confusion.count));
    all.truncate(limit);
    all
}

/// Probability that a question in scope has a higher score than one out of scope,
/// equal scores counting half; `None` unless there are both.
pub fn oos_auroc(outcomes: &[Outcome]) -> Option<f64> {
    let (inside, outside) = counts(outcomes)?;
    // From the lowest score on: each in scope is above what was passed, and half
    // above what is equal.
    let (mut below, mut above) = (0.0, 0.0);
    for (_, group_in, group_out) in groups(outcomes) {
        above += group_in * (below + group_out / 2.0);
        below += group_out;
    }
    Some(above / (inside * outside))
}

/// F1 of the out-of-scope class when a question counts as out of scope below `at`;
/// `None` when no question is out of scope.
pub fn oos_f1(outcomes: &[Outcome], at: f32) -> Option<f64> {
    let refused = |outcome: &&Outcome| outcome.score() < probability(at);
    let outside = outcomes.iter().filter(|outcome| outcome.right.is_none());
    let labelled = outside.clone().count();
    let hit = outside.filter(refused).count();
    let taken = outcomes.iter().filter(refused).count();
    (labelled > 0).then(|| f1(hit, taken, labelled))
}

/// The threshold of the best out-of-scope F1, the lowest of several. With `share`,
/// as if that share of the questions (above 0.0, below 1.0) were out of scope: how
/// many there are in a file says little about how many there will be. `None` unless
/// there are questions of both kinds.
pub fn oos_threshold(outcomes: &[Outcome], share: Option<f64>) -> Option<Threshold> {
    let (inside, outside) = counts(outcomes)?;
    let share = share.filter(|share| *share > 0.0 && *share < 1.0);
    let (weight_in, weight_out) = match share {
        Some(share) => ((1.0 - share) / inside, share / outside),
        None => (1.0, 1.0),
    };
    let groups = groups(outcomes);
    let (mut refused_in, mut refused_out) = (0.0, 0.0);
    let mut best = Threshold { at: 0.0, f1: 0.0 };
    for (place, (score, group_in, group_out)) in groups.iter().enumerate() {
        refused_in += group_in * weight_in;
        refused_out += group_out * weight_out;
        let f1 = 2.0 * refused_out / (refused_in + refused_out + outside * weight_out);
        // Between two scores, so that neither lies on the edge.
        let next = groups.get(place + 1).map_or(1.0, |(next, ..)| *next);
        let at = ((score + next) / 2.0) as f32;
        if f1 > best.f1 {
            best = Threshold { at, f1 };
        }
    }
    Some(best)
}

/// Share of the questions out of scope that is accepted when at least 95 % of those
/// in scope are; `None` unless there are both.
pub fn fpr95(outcomes: &[Outcome]) -> Option<f64> {
    let (inside, outside) = counts(outcomes)?;
    let wanted = inside * ACCEPTED_SHARE;
    let (mut accepted_in, mut accepted_out) = (0.0, 0.0);
    for (_, group_in, group_out) in groups(outcomes).iter().rev() {
        accepted_in += group_in;
        accepted_out += group_out;
        // A count times .95 may come out a bit above the whole number it is.
        if accepted_in >= wanted - 1e-9 {
            break;
        }
    }
    Some(accepted_out / outside)
}

/// Expected calibration error over all questions, of [`ECE_BINS`] bins of equal
/// width: how far, on average, the share that is right is from the confidence. A
/// question out of scope counts as wrong. `None` when there are no questions.
pub fn ece(outcomes: &[Outcome]) -> Option<f64> {
    #[derive(Clone, Copy, Default)]
    struct Bin {
        confidence: f64,
        right: f64,
    }
    let mut bins = [Bin::default(); ECE_BINS];
    for outcome in outcomes {
        let confidence = probability(outcome.confidence);
        let place = ((confidence * ECE_BINS as f64) as usize).min(ECE_BINS - 1);
        if let Some(bin) = bins.get_mut(place) {
            bin.confidence += confidence;
            bin.right += f64::from(u8::from(outcome.is_right()));
        }
    }
    let error = bins.iter().map(|bin| (bin.right - bin.confidence).abs());
    (!outcomes.is_empty()).then(|| error.sum::<f64>() / outcomes.len() as f64)
}

/// The smallest confidence from which on at least `precision` (0.0 to 1.0) of what
/// is accepted is right, so that the most is accepted; `None` when no confidence
/// reaches it. A question out of scope that is accepted is wrong.
pub fn acceptance(outcomes: &[Outcome], precision: f64) -> Option<Acceptance> {
    let mut sorted: Vec<(f32, bool)> = outcomes
        .iter()
        .filter(|outcome| outcome.best.is_some())
        .map(|outcome| (probability(outcome.confidence) as f32, outcome.is_right()))
        .collect();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut right, mut best) = (0, None);
    for (place, (confidence, is_right)) in sorted.iter().enumerate() {
        right += usize::from(*is_right);
        let is_last = sorted
            .get(place + 1)
            .is_none_or(|next| next.0 < *confidence);
        let here = Acceptance {
            at: *confidence,
            accepted: place + 1,
            right,
        };
        if is_last && here.precision().is_some_and(|share| share >= precision) {
            best = Some(here);
        }
    }
    best
}

/// The 95 % interval of a share that was seen as `count` of `all`, 0.0 to 1.0; all
/// of it when nothing was seen. Source: Wilson 1927, "Probable Inference, the Law of
/// Succession, and Statistical Inference".
pub fn wilson(count: usize, all: usize) -> (f64, f64) {
    let Some(seen) = share(count.min(all), all) else {
        return (0.0, 1.0);
    };
    let (all, square) = (all as f64, DEVIATIONS * DEVIATIONS);
    let middle = seen + square / (2.0 * all);
    let spread = (seen * (1.0 - seen) / all + square / (4.0 * all * all)).sqrt() * DEVIATIONS;
    let scale = 1.0 + square / all;
    let bound = |value: f64| (value / scale).clamp(0.0, 1.0);
    (bound(middle - spread), bound(middle + spread))
}

fn in_scope(outcomes: &[Outcome]) -> impl Iterator<Item = &Outcome> {
    outcomes.iter().filter(|outcome| outcome.right.is_some())
}

/// Questions in scope and out of it; `None` unless there are both.
fn counts(outcomes: &[Outcome]) -> Option<(f64, f64)> {
    let inside = in_scope(outcomes).count();
    let outside = outcomes.len() - inside;
    (inside > 0 && outside > 0).then_some((inside as f64, outside as f64))
}

/// Every score, the lowest first, with how many questions in scope and out of scope
/// have it.
fn groups(outcomes: &[Outcome]) -> Vec<(f64, f64, f64)> {
    let mut sorted: Vec<(f64, bool)> = outcomes
        .iter()
        .map(|outcome| (outcome.score(), outcome.right.is_some()))
        .collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut groups: Vec<(f64, f64, f64)> = Vec::new();
    for (score, is_in) in sorted {
        let (more_in, more_out) = if is_in { (1.0, 0.0) } else { (0.0, 1.0) };
        match groups.last_mut() {
            Some((known, inside, outside)) if *known == score => {
                *inside += more_in;
                *outside += more_out;
            }
            _ => groups.push((score, more_in, more_out)),
        }
    }
    groups
}

fn f1(hit: usize, taken: usize, labelled: usize) -> f64 {
    share(2 * hit, taken + labelled).unwrap_or(0.0)
}

fn share(part: usize, all: usize) -> Option<f64> {
    (all > 0).then(|| part as f64 / all as f64)
}

fn probability(value: f32) -> f64 {
    if value.is_nan() {
        return 0.0;
    }
    // Adding nothing makes one zero of both.
    f64::from(value.clamp(0.0, 1.0)) + 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(right: Option<u32>, best: Option<u32>, in_scope: f32, confidence: f32) -> Outcome {
        Outcome {
            right,
            best,
            in_scope,
            confidence,
        }
    }

    /// Questions by their scores alone: in scope, then out of scope.
    fn scored(inside: &[f32], outside: &[f32]) -> Vec<Outcome> {
        let inside = inside
            .iter()
            .map(|score| outcome(Some(0), Some(0), *score, *score));
        let outside = outside
            .iter()
            .map(|score| outcome(None, Some(0), *score, *score));
        inside.chain(outside).collect()
    }

    fn close(figure: Option<f64>, expected: f64) {
        let figure = figure.unwrap();
        assert!(
            (figure - expected).abs() < 1e-6,
            "{figure} is not {expected}"
        );
    }

    #[test]
    fn accuracy_is_over_questions_in_scope_alone() {
        let outcomes = [
            outcome(Some(1), Some(1), 0.1, 0.1),
            outcome(Some(1), Some(2), 0.9, 0.9),
            outcome(Some(2), None, 0.9, 0.9),
            outcome(None, Some(2), 0.9, 0.9),
            outcome(None, None, 0.0, 0.0),
        ];
        close(accuracy(&outcomes), 1.0 / 3.0);
        assert_eq!(accuracy(&[]), None);
        assert_eq!(accuracy(&scored(&[], &[0.5])), None);
    }

    #[test]
    fn macro_f1_counts_every_labelled_route_alike() {
        // Route 1: 2 of 2 found, 3 taken: 4/5. Route 2: 1 of 2 found, 1 taken: 2/3.
        // Route 3 is nobody's label: it is not in the mean.
        let outcomes = [
            outcome(Some(1), Some(1), 1.0, 1.0),
            outcome(Some(1), Some(1), 1.0, 1.0),
            outcome(Some(2), Some(1), 1.0, 1.0),
            outcome(Some(2), Some(2), 1.0, 1.0),
            outcome(None, Some(3), 1.0, 1.0),
        ];
        close(macro_f1(&outcomes), f64::midpoint(0.8, 2.0 / 3.0));
        assert_eq!(macro_f1(&[]), None);
    }

    #[test]
    fn confusions_are_told_the_most_frequent_first() {
        let mut outcomes = vec![outcome(Some(1), Some(2), 1.0, 1.0); 2];
        outcomes.extend([outcome(Some(2), Some(1), 1.0, 1.0); 3]);
        outcomes.push(outcome(Some(0), None, 1.0, 1.0));
        outcomes.push(outcome(Some(0), Some(0), 1.0, 1.0));
        outcomes.push(outcome(None, Some(0), 1.0, 1.0));
        let told = |limit| {
            let all = confusions(&outcomes, limit).into_iter();
            all.map(|c| (c.right, c.taken, c.count)).collect::<Vec<_>>()
        };
        assert_eq!(told(9), [(2, Some(1), 3), (1, Some(2), 2), (0, None, 1)]);
        assert_eq!(told(1), [(2, Some(1), 3)]);
    }

    #[test]
    fn the_area_under_the_curve_counts_pairs_and_halves_ties() {
        // Pairs of (0.9, 0.6, 0.4) and (0.6, 0.2): 2 + 1.5 + 1 of 6.
        close(oos_auroc(&scored(&[0.9, 0.6, 0.4], &[0.6, 0.2])), 4.5 / 6.0);
        close(oos_auroc(&scored(&[0.5; 4], &[0.5; 3])), 0.5);
        close(oos_auroc(&scored(&[1.0], &[0.0])), 1.0);
        close(oos_auroc(&scored(&[f32::NAN], &[0.0])), 0.5);
        assert_eq!(oos_auroc(&scored(&[1.0], &[])), None);
        assert_eq!(oos_auroc(&[]), None);
    }

    #[test]
    fn f1_of_the_questions_out_of_scope_is_taken_at_a_threshold() {
        // Below 0.5: 0.4 of those in scope, 0.3 and 0.1 of the three out of scope.
        let outcomes = scored(&[0.9, 0.8, 0.4], &[0.6, 0.3, 0.1]);
        close(oos_f1(&outcomes, 0.5), 4.0 / 6.0);
        close(oos_f1(&outcomes, 0.0), 0.0);
        close(oos_f1(&outcomes, 1.0), 6.0 / 9.0);
        assert_eq!(oos_f1(&scored(&[0.5], &[]), 0.5), None);
    }

    #[test]
    fn the_best_threshold_lies_between_two_scores() {
        let outcomes = scored(&[0.9, 0.8, 0.7], &[0.5, 0.1]);
        let best = oos_threshold(&outcomes, None).unwrap();
        assert!((best.at - 0.6).abs() < 1e-6, "{best:?}");
        close(Some(best.f1), 1.0);
        close(oos_f1(&outcomes, best.at), 1.0);
        assert_eq!(oos_threshold(&scored(&[0.5], &[]), None), None);
    }

    #[test]
    fn more_questions_out_of_scope_move_the_threshold_up() {
        // One of 11 out of scope, at 0.5, above four in scope. As it is, refusing
        // up to it gives 2/(5 + 1), so does nothing better. With half of all out of
        // scope: 2·.5/(.2 + .5 + .5).
        let inside = [0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0];
        let outcomes = scored(&inside, &[0.5]);
        let raw = oos_threshold(&outcomes, None).unwrap();
        close(Some(raw.f1), 2.0 / 6.0);
        let weighted = oos_threshold(&outcomes, Some(0.5)).unwrap();
        close(Some(weighted.f1), 1.0 / 1.2);
        let mut outcomes = scored(&[0.2; 8], &[0.1, 0.3]);
        outcomes.extend(scored(&[0.4; 2], &[]));
        // 0.15: 2·1/(1 + 2); 0.35: 2·2/(10 + 2), as it is the worse one, but
        // with nine in ten out of scope the better: 1.8/(.9 + .08 + .9).
        assert!(oos_threshold(&outcomes, None).unwrap().at < 0.2);
        let weighted = oos_threshold(&outcomes, Some(0.9)).unwrap();
        assert!(weighted.at > 0.3, "{weighted:?}");
        close(Some(weighted.f1), 1.8 / 1.88);
    }

    #[test]
    fn false_positives_are_counted_where_nineteen_of_twenty_are_accepted() {
        let inside: Vec<f32> = (1..=20).map(|n| n as f32 / 20.0).collect();
        // The nineteenth from above is 0.1: 0.1 is still accepted, 0.05 is not.
        close(fpr95(&scored(&inside, &[0.05, 0.1, 0.5, 0.02])), 0.5);
        close(fpr95(&scored(&[0.5], &[0.4])), 0.0);
        assert_eq!(fpr95(&scored(&[0.5], &[])), None);
    }

    #[test]
    fn the_calibration_error_is_the_mean_distance_of_a_bin() {
        // Bin 14: confidences 1.0 and 0.96, one right: |1 - 1.96|. Bin 0: 0.02 and
        // out of scope: |0 - 0.02|. Bin 7: 0.5, right: |1 - 0.5|. Of four.
        let outcomes = [
            outcome(Some(1), Some(1), 1.0, 1.0),
            outcome(Some(1), Some(2), 1.0, 0.96),
            outcome(None, Some(2), 1.0, 0.02),
            outcome(Some(3), Some(3), 1.0, 0.5),
        ];
        close(ece(&outcomes), (0.96 + 0.02 + 0.5) / 4.0);
        assert_eq!(ece(&[]), None);
        close(ece(&[outcome(Some(1), Some(1), 1.0, f32::INFINITY)]), 0.0);
    }

    #[test]
    fn a_precision_is_reached_with_the_most_accepted() {
        let outcomes = [
            outcome(Some(1), Some(1), 1.0, 0.9),
            outcome(Some(1), Some(2), 1.0, 0.8),
            outcome(Some(1), Some(1), 1.0, 0.7),
            outcome(Some(1), Some(1), 1.0, 0.6),
            outcome(None, Some(1), 1.0, 0.5),
            outcome(Some(1), None, 1.0, 0.0),
        ];
        let check = |precision, expected: Option<(f32, usize, usize)>| {
            let found = acceptance(&outcomes, precision);
            assert_eq!(found.map(|a| (a.at, a.accepted, a.right)), expected);
        };
        check(1.0, Some((0.9, 1, 1)));
        check(0.75, Some((0.6, 4, 3)));
        check(0.5, Some((0.5, 5, 3)));
        assert_eq!(acceptance(&outcomes[1..2], 0.5), None);
        // Equal confidences are accepted together or not at all.
        let tied = [outcomes[0], outcome(Some(1), Some(2), 1.0, 0.9)];
        assert_eq!(acceptance(&tied, 0.9), None);
    }

    #[test]
    fn an_interval_is_wide_where_little_was_seen() {
        let (low, high) = wilson(95, 100);
        assert!(
            (low - 0.888_2).abs() < 1e-3 && (high - 0.978_5).abs() < 1e-3,
            "{low} {high}"
        );
        let (low, high) = wilson(3, 3);
        assert!(low < 0.45 && high > 0.999, "{low} {high}");
        assert_eq!(wilson(0, 0), (0.0, 1.0));
        assert!(wilson(0, 10).0 < 1e-9);
    }

    #[test]
    fn the_order_of_the_questions_does_not_matter() {
        let mut outcomes = scored(&[0.9, 0.6, 0.4, 0.4], &[0.6, 0.2, 0.4]);
        let figures = |outcomes: &[Outcome]| {
            let threshold = oos_threshold(outcomes, Some(0.2)).map(|best| best.at);
            (
                oos_auroc(outcomes),
                fpr95(outcomes),
                threshold,
                acceptance(outcomes, 0.5),
            )
        };
        let before = figures(&outcomes);
        outcomes.reverse();
        outcomes.swap(0, 3);
        assert_eq!(figures(&outcomes), before);
    }
}
