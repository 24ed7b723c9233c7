//! The search rung: scores become one ranked list of calibrated probabilities.

use crate::calibration::{ENCODER, LEXICAL, Tier, logistic};
use crate::exact::agents;
use crate::features::{Features, Scored, features, has_vectors, rank};
use crate::question::{ALTERNATIVES_MAX, Alternative, Candidate, Found, Named, alternatives};

/// Search never claims certainty; that is the exact rung's.
pub const CONFIDENCE_MAX: f32 = 0.999;

/// The best agent found, with what speaks for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// The agent's name.
    pub agent: String,
    /// Its cluster.
    pub cluster: String,
    /// Its skill that scored best.
    pub skill: String,
    /// Calibrated probability that it is the right agent, 0.0 to 0.999.
    pub confidence: f32,
    /// What the probability was made of; `None` when only a shared name spoke.
    pub features: Option<Features>,
    /// True when vectors were among the evidence.
    pub vectors: bool,
    /// The others, best first.
    pub alternatives: Vec<Alternative>,
}

impl Judgement {
    /// The judged agent and the others as one list: the nearest misses, when
    /// none of them is accepted.
    #[must_use]
    pub fn misses(&self) -> Vec<Alternative> {
        let nearest = Alternative {
            agent: self.agent.clone(),
            cluster: self.cluster.clone(),
            confidence: self.confidence,
        };
        alternatives(
            std::iter::once(nearest)
                .chain(self.alternatives.clone())
                .collect(),
            None,
        )
    }
}

/// Judges what was found; `None` when there is no evidence for anybody.
///
/// The first of the ranking gets the probability of the `best` model; the next
/// get that of the `rest` model, together with the first never more than 1.0
/// each, for only one agent is the right one. The same agent in another cluster
/// is as right as the first.
#[must_use]
pub fn judge(found: &Found) -> Option<Judgement> {
    let vectors = has_vectors(found);
    let tier = if vectors { &ENCODER } else { &LEXICAL };
    let ranked = rank(found, &tier.ranking);
    let (best, rest) = ranked.split_first()?;
    let evidence = features(best, &ranked);
    let confidence = best_probability(tier, best, &ranked);
    let others = rest.iter().take(ALTERNATIVES_MAX).map(|other| Alternative {
        agent: other.candidate.agent.clone(),
        cluster: other.candidate.cluster.clone(),
        confidence: if other.candidate.agent == best.candidate.agent {
            confidence
        } else {
            rest_probability(tier, other, &ranked, confidence)
        },
    });
    Some(Judgement {
        agent: best.candidate.agent.clone(),
        cluster: best.candidate.cluster.clone(),
        skill: best.candidate.skill.clone(),
        confidence,
        features: Some(evidence),
        vectors,
        alternatives: alternatives(others.collect(), None),
    })
}

/// Probability that `best`, the first of `ranked`, is the right agent, 0.0 to 0.999.
#[must_use]
pub fn best_probability(tier: &Tier, best: &Scored<'_>, ranked: &[Scored<'_>]) -> f32 {
    logistic(tier.best.log_odds(&features(best, ranked))).min(CONFIDENCE_MAX)
}

/// Probability that `other`, a later one of `ranked`, is the right agent, when the
/// first has the probability `first`; 0.0 to `1.0 - first`.
#[must_use]
pub fn rest_probability(tier: &Tier, other: &Scored<'_>, ranked: &[Scored<'_>], first: f32) -> f32 {
    logistic(tier.rest.log_odds(&features(other, ranked))).min(1.0 - first)
}

/// Judges between agents that share a name, of whom one is meant (in the order of
/// names, each cluster once): the found probabilities, as shares among these
/// agents. If search knows of none, all are equally likely.
#[must_use]
pub fn judge_among(meant: &[&Named], found: Found) -> Option<Judgement> {
    let is_meant = |c: &Candidate| {
        meant
            .iter()
            .any(|m| m.agent == c.agent && m.cluster == c.cluster)
    };
    let candidates = found.candidates.into_iter().filter(is_meant).collect();
    let judged = judge(&Found {
        candidates,
        encoder: found.encoder,
    });
    let known = judged.as_ref().map_or_else(Vec::new, Judgement::misses);
    let even = 1.0 / agents(meant).max(1) as f32;
    let mut total = 0.0;
    let mut last = None;
    for one in meant {
        // The same agent elsewhere is the same agent.
        if last != Some(&one.agent) {
            total += confidence_of(&known, &one.agent);
        }
        last = Some(&one.agent);
    }
    let share = |name: &str| match total {
        total if total > 0.0 => (confidence_of(&known, name) / total).min(CONFIDENCE_MAX),
        _ => even,
    };
    let all = meant.iter().map(|m| Alternative {
        agent: m.agent.clone(),
        cluster: m.cluster.clone(),
        confidence: share(&m.agent),
    });
    let mut all = alternatives(all.collect(), None).into_iter();
    let first = all.next()?;
    let judged = judged.filter(|j| j.agent == first.agent);
    Some(Judgement {
        features: judged.as_ref().and_then(|j| j.features),
        vectors: judged.as_ref().is_some_and(|j| j.vectors),
        skill: judged.map_or_else(String::new, |j| j.skill),
        agent: first.agent,
        cluster: first.cluster,
        confidence: first.confidence,
        alternatives: all.collect(),
    })
}

/// The probability of the agent, wherever it lives; 0.0 when it is not listed.
fn confidence_of(listed: &[Alternative], agent: &str) -> f32 {
    listed
        .iter()
        .filter(|a| a.agent == agent)
        .map(|a| a.confidence)
        .fold(0.0, f32::max)
}
