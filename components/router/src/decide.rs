//! The ladder: exact, cache, search, fallback. Each rung decides, or hands on to
//! the next, which is asked for when it is missing.

use crate::exact::{self, Exact, agents};
use crate::question::{
    Alternative, Decision, Evidence, Method, Named, Question, Remembered, Rung, Step, alternatives,
    probability,
};
use crate::reason;
use crate::search::{Judgement, judge, judge_among};

/// Decide, or say what is missing. Never fails; nonsense ends in a visible
/// fallback. A target that no agent bears is nobody's: who names an agent is
/// never sent to another one.
#[must_use]
pub fn decide(question: &Question, evidence: &Evidence) -> Step {
    let question = &Question {
        accept: threshold(question.accept),
        ..question.clone()
    };
    let is_blank = question.text.trim().is_empty();
    if is_blank && question.target.is_none() {
        // Nothing to look for: only the fallback can take it.
        return fall_back(question, evidence, None);
    }
    let Some(matches) = &evidence.exact else {
        return Step::Need(Rung::Exact);
    };
    let meant = match (exact::resolve(matches), &question.target) {
        (Exact::One(decision), _) => return Step::Decided(decision),
        (Exact::Several(meant), _) => meant,
        (Exact::Nobody, Some(target)) => {
            return Step::Decided(nobody(reason::unknown_target(target), Vec::new()));
        }
        (Exact::Nobody, None) => Vec::new(),
    };
    let Some(cache) = &evidence.cache else {
        return Step::Need(Rung::Cache);
    };
    if let Some(decision) = cache
        .as_ref()
        .and_then(|found| recall(question, &meant, found))
    {
        return Step::Decided(decision);
    }
    let Some(found) = &evidence.search else {
        return Step::Need(Rung::Search);
    };
    let shared_by = agents(&meant);
    let judged = match shared_by {
        0 => judge(found),
        _ => judge_among(&meant, found.clone()),
    };
    match judged {
        Some(judged) if judged.confidence >= question.accept => {
            Step::Decided(accept(question, shared_by, judged))
        }
        judged if shared_by > 0 && question.target.is_some() => {
            let reason = reason::ambiguous(question, shared_by, judged.as_ref());
            Step::Decided(nobody(reason, misses(judged.as_ref())))
        }
        judged => fall_back(question, evidence, judged.map(|j| (j, shared_by))),
    }
}

/// The threshold made safe: what is not a number accepts only certainty.
fn threshold(accept: f32) -> f32 {
    if accept.is_nan() {
        1.0
    } else {
        accept.clamp(0.0, 1.0)
    }
}

/// A remembered decision counts if it reaches today's threshold and does not
/// contradict the agents named by the caller.
fn recall(question: &Question, meant: &[&Named], found: &Remembered) -> Option<Decision> {
    let confidence = probability(found.confidence);
    let is_named = meant.is_empty()
        || meant
            .iter()
            .any(|m| m.agent == found.agent && m.cluster == found.cluster);
    let counts = !found.agent.is_empty() && is_named && confidence >= question.accept;
    counts.then(|| Decision {
        agent: Some(found.agent.clone()),
        cluster: Some(found.cluster.clone()),
        method: Method::Cache,
        confidence,
        fallback: false,
        reason: reason::remembered(&found.agent, confidence),
        alternatives: alternatives(
            found.alternatives.clone(),
            Some((&found.agent, &found.cluster)),
        ),
    })
}

fn accept(question: &Question, shared_by: usize, judged: Judgement) -> Decision {
    let reason = match shared_by {
        0 => reason::accepted(&judged),
        _ => reason::told_apart(question, shared_by, &judged),
    };
    let chosen = Some((judged.agent.as_str(), judged.cluster.as_str()));
    Decision {
        alternatives: alternatives(judged.alternatives, chosen),
        agent: Some(judged.agent),
        cluster: Some(judged.cluster),
        method: Method::Search,
        confidence: judged.confidence,
        fallback: false,
        reason,
    }
}

/// The last rung. `judged` is what came nearest, and how many agents shared the
/// caller's words (0 when they are no name).
fn fall_back(question: &Question, evidence: &Evidence, judged: Option<(Judgement, usize)>) -> Step {
    let Some(fallback) = &evidence.fallback else {
        return Step::Need(Rung::Fallback);
    };
    let near = judged.as_ref().map(|(judged, _)| judged);
    let Some(agent) = fallback.as_ref().filter(|agent| !agent.is_empty()) else {
        let reason = match &judged {
            Some((near, shared_by)) if *shared_by > 0 => {
                reason::ambiguous(question, *shared_by, Some(near))
            }
            _ => reason::nobody(question, near),
        };
        return Step::Decided(nobody(reason, misses(near)));
    };
    let cluster = cluster_of(agent, evidence);
    let others = misses(near)
        .into_iter()
        .filter(|miss| &miss.agent != agent)
        .collect();
    Step::Decided(Decision {
        agent: Some(agent.clone()),
        cluster,
        method: Method::Fallback,
        confidence: 0.0,
        fallback: true,
        reason: reason::taken(agent, question, near),
        alternatives: others,
    })
}

/// The fallback agent's cluster, if the search happened to tell it.
fn cluster_of(agent: &str, evidence: &Evidence) -> Option<String> {
    let candidates = &evidence.search.as_ref()?.candidates;
    candidates
        .iter()
        .filter(|c| c.agent == agent)
        .map(|c| c.cluster.clone())
        .min()
}

fn nobody(reason: String, alternatives: Vec<Alternative>) -> Decision {
    Decision {
        agent: None,
        cluster: None,
        method: Method::Fallback,
        confidence: 0.0,
        fallback: true,
        reason,
        alternatives,
    }
}

fn misses(judged: Option<&Judgement>) -> Vec<Alternative> {
    judged.map_or_else(Vec::new, Judgement::misses)
}
