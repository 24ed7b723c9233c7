//! The ladder: exact, conversation, cache, similar, classifier, search, fallback.
//! Each rung decides, or hands on to the next, which is asked for when it is
//! missing. A conversation decides last: whoever has it keeps it, unless the rungs
//! after it are sure that the question is another's.

use crate::conversation;
use crate::exact::{self, Exact, agents};
use crate::question::{Alternative, Decision, Evidence, Method, Question, Rung, Step};
use crate::reason;
use crate::rungs::{Climbed, Near, Rungs};

/// Decide, or say what is missing. Never fails; nonsense ends in a visible
/// fallback. A target that no agent bears is nobody's: who names an agent is
/// never sent to another one.
#[must_use]
pub fn decide(question: &Question, evidence: &Evidence) -> Step {
    let question = &Question {
        accept: threshold(question.accept),
        ..question.clone()
    };
    // Without words or a name there is nothing to look for: only who has the
    // conversation, or the fallback, can take it.
    let is_empty = question.text.trim().is_empty() && question.target.is_none();
    let mut meant = Vec::new();
    if !is_empty {
        let Some(matches) = &evidence.exact else {
            return Step::Need(Rung::Exact);
        };
        match (exact::resolve(matches), &question.target) {
            (Exact::One(decision), _) => return Step::Decided(decision),
            (Exact::Several(several), _) => meant = several,
            (Exact::Nobody, Some(target)) => {
                let reason = reason::unknown_target(target);
                return Step::Decided(nobody(reason, Near::default()));
            }
            (Exact::Nobody, None) => {}
        }
    }
    let Some(holder) = &evidence.conversation else {
        return Step::Need(Rung::Conversation);
    };
    let rungs = Rungs {
        question,
        evidence,
        meant,
    };
    let climbed = if is_empty {
        Climbed::Missed(Near::default())
    } else {
        rungs.climb()
    };
    // Who names an agent leaves the conversation of any other.
    let holder = holder.as_ref();
    let holder = holder.filter(|holder| rungs.is_meant(&holder.agent, &holder.cluster));
    match (climbed, holder) {
        (Climbed::Need(rung), _) => Step::Need(rung),
        (Climbed::Chose(decision), None) => Step::Decided(decision),
        (Climbed::Missed(near), None) => fall_back(&rungs, near),
        (Climbed::Chose(decision), Some(holder)) => {
            Step::Decided(conversation::chosen(holder, question, decision))
        }
        (Climbed::Missed(near), Some(holder)) => Step::Decided(conversation::kept(holder, near)),
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

/// The last rung.
fn fall_back(rungs: &Rungs<'_>, near: Near) -> Step {
    let question = rungs.question;
    let nearest = near.misses.first();
    let shared_by = agents(&rungs.meant);
    let unclear = (shared_by > 0).then(|| reason::ambiguous(question, shared_by, nearest));
    if let (Some(reason), Some(_)) = (&unclear, &question.target) {
        return Step::Decided(nobody(reason.clone(), near));
    }
    let Some(fallback) = &rungs.evidence.fallback else {
        return Step::Need(Rung::Fallback);
    };
    let Some(agent) = fallback.as_ref().filter(|agent| !agent.is_empty()) else {
        let reason = unclear.unwrap_or_else(|| reason::nobody(question, nearest));
        return Step::Decided(nobody(reason, near));
    };
    let reason = reason::taken(agent, question, nearest);
    let is_another = |miss: &Alternative| &miss.agent != agent;
    Step::Decided(Decision {
        agent: Some(agent.clone()),
        cluster: cluster_of(agent, rungs.evidence),
        method: Method::Fallback,
        confidence: 0.0,
        in_scope: near.in_scope,
        fallback: true,
        reason,
        alternatives: near.misses.into_iter().filter(is_another).collect(),
    })
}

/// The fallback agent's cluster, if the search or the classifier happened to tell it.
fn cluster_of(agent: &str, evidence: &Evidence) -> Option<String> {
    let searched = evidence.search.iter().flat_map(|found| &found.candidates);
    let searched = searched.filter(|c| c.agent == agent).map(|c| &c.cluster);
    let classified = evidence.classifier.iter().flatten();
    let classed = classified.flat_map(|all| &all.agents);
    let classed = classed.filter(|c| c.agent == agent).map(|c| &c.cluster);
    searched.min().or(classed.min()).cloned()
}

fn nobody(reason: String, near: Near) -> Decision {
    Decision {
        agent: None,
        cluster: None,
        method: Method::Fallback,
        confidence: 0.0,
        in_scope: near.in_scope,
        fallback: true,
        reason,
        alternatives: near.misses,
    }
}
