//! What the probability is made of. One implementation, used by the decision and
//! by the fit of the calibration.

use crate::calibration::{Ranking, Weights};
use crate::order::ordered;
use crate::question::{Candidate, Found};
use std::cmp::Ordering;

/// Cosine margins beyond this tell nothing more: with few agents in the mesh the
/// runner-up may be arbitrarily far, which is no merit of the first.
const COSINE_MARGIN_MAX: f32 = 0.3;

/// Coverage margins beyond this tell nothing more, for the same reason.
const COVERAGE_MARGIN_MAX: f32 = 0.5;

/// One candidate with its scores made safe (finite, in range; what is not a
/// number is no evidence) and its rank.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored<'a> {
    /// The candidate as it came.
    pub candidate: &'a Candidate,
    /// Cosine, 0.0 to 1.0; 0.0 without an encoder.
    pub cosine: f32,
    /// Coverage, 0.0 to 1.0.
    pub coverage: f32,
    /// BM25, 0.0 or more, finite.
    pub lexical: f32,
    /// The fused score to rank by, 0.0 or more.
    pub score: f32,
}

/// Evidence for one candidate against all others. Margins are signed: negative
/// for a candidate that another agent beats.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Features {
    /// Cosine of query and skill, 0.0 to 1.0.
    pub cosine: f32,
    /// Cosine ahead of the best other agent, -0.3 to 0.3.
    pub cosine_margin: f32,
    /// Share of the query's terms found, by rarity, 0.0 to 1.0.
    pub coverage: f32,
    /// Coverage ahead of the best other agent, -0.5 to 0.5.
    pub coverage_margin: f32,
    /// BM25 ahead of the best other agent, as a share of the larger of both,
    /// -1.0 to 1.0; 0.0 when neither has any.
    pub lexical_margin: f32,
}

/// Number of features.
pub const COUNT: usize = 5;

/// Names of the features, in the order of [`Features::values`] and
/// [`Weights::values`]; the keys of `calibration.json`.
pub const NAMES: [&str; COUNT] = [
    "cosine",
    "cosine_margin",
    "coverage",
    "coverage_margin",
    "lexical_margin",
];

impl Features {
    /// The features in the order of [`NAMES`].
    #[must_use]
    pub fn values(&self) -> [f32; COUNT] {
        [
            self.cosine,
            self.cosine_margin,
            self.coverage,
            self.coverage_margin,
            self.lexical_margin,
        ]
    }
}

impl Weights {
    /// The weights in the order of [`NAMES`], without the intercept.
    #[must_use]
    pub fn values(&self) -> [f32; COUNT] {
        [
            self.cosine,
            self.cosine_margin,
            self.coverage,
            self.coverage_margin,
            self.lexical_margin,
        ]
    }

    /// Log-odds that the candidate with these features is the right one.
    #[must_use]
    pub fn log_odds(&self, features: &Features) -> f32 {
        let terms = self.values().into_iter().zip(features.values());
        terms.fold(self.intercept, |sum, (weight, value)| sum + weight * value)
    }
}

/// True when the found candidates carry vectors to judge by.
#[must_use]
pub fn has_vectors(found: &Found) -> bool {
    found.encoder.is_some() && found.candidates.iter().any(|c| c.vector.is_some())
}

/// The candidates with any evidence, best fused score first, ties by agent name,
/// then cluster; one entry per agent and cluster, its best.
#[must_use]
pub fn rank<'a>(found: &'a Found, ranking: &Ranking) -> Vec<Scored<'a>> {
    let vectors = has_vectors(found);
    let all = || found.candidates.iter().filter(|c| !c.agent.is_empty());
    let lexical_best = all()
        .map(|c| bounded(c.lexical, f32::MAX))
        .fold(0.0, f32::max);
    let scored = all().map(|c| score(c, vectors, lexical_best, ranking));
    let with_evidence = scored.filter(|s| s.cosine > 0.0 || s.coverage > 0.0 || s.lexical > 0.0);
    let by_score = |a: &Scored<'_>, b: &Scored<'_>| b.score.total_cmp(&a.score);
    let mut named = ordered(with_evidence, |a, b| {
        by_name(a, b).then_with(|| by_score(a, b))
    });
    named.dedup_by(|later, first| by_name(later, first) == Ordering::Equal);
    ordered(named.into_iter(), |a, b| {
        by_score(a, b).then_with(|| by_name(a, b))
    })
}

fn score<'a>(
    candidate: &'a Candidate,
    vectors: bool,
    lexical_best: f32,
    ranking: &Ranking,
) -> Scored<'a> {
    let cosine = candidate
        .vector
        .filter(|_| vectors)
        .map_or(0.0, |cosine| bounded(cosine, 1.0));
    let coverage = bounded(candidate.coverage, 1.0);
    let lexical = bounded(candidate.lexical, f32::MAX);
    let share = if lexical_best > 0.0 {
        lexical / lexical_best
    } else {
        0.0
    };
    let score = ranking.cosine * cosine + ranking.coverage * coverage + ranking.lexical * share;
    Scored {
        candidate,
        cosine,
        coverage,
        lexical,
        score,
    }
}

fn by_name(a: &Scored<'_>, b: &Scored<'_>) -> Ordering {
    let (a, b) = (a.candidate, b.candidate);
    (&a.agent, &a.cluster).cmp(&(&b.agent, &b.cluster))
}

/// The evidence for `one` against the other agents of `ranked`. The same agent in
/// another cluster is not a rival.
#[must_use]
pub fn features(one: &Scored<'_>, ranked: &[Scored<'_>]) -> Features {
    let rivals = || {
        ranked
            .iter()
            .filter(|r| r.candidate.agent != one.candidate.agent)
    };
    let cosine_rival = rivals().map(|r| r.cosine).fold(0.0, f32::max);
    let coverage_rival = rivals().map(|r| r.coverage).fold(0.0, f32::max);
    let lexical_rival = rivals().map(|r| r.lexical).fold(0.0, f32::max);
    let lexical_larger = one.lexical.max(lexical_rival);
    Features {
        cosine: one.cosine,
        cosine_margin: (one.cosine - cosine_rival).clamp(-COSINE_MARGIN_MAX, COSINE_MARGIN_MAX),
        coverage: one.coverage,
        coverage_margin: (one.coverage - coverage_rival)
            .clamp(-COVERAGE_MARGIN_MAX, COVERAGE_MARGIN_MAX),
        lexical_margin: if lexical_larger > 0.0 {
            one.lexical / lexical_larger - lexical_rival / lexical_larger
        } else {
            0.0
        },
    }
}

/// A score made safe: what is not finite, or negative, is no evidence.
fn bounded(value: f32, max: f32) -> f32 {
    if value.is_finite() {
        value.clamp(0.0, max)
    } else {
        0.0
    }
}
