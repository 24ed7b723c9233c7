//! The conversation rung: a follow-up stays with who answered before, unless it
//! clearly leaves what that agent does.

use crate::question::{Alternative, Decision, Holder, Method, Question, alternatives};
use crate::reason;
use crate::rungs::Near;
use crate::search::CONFIDENCE_MAX;

/// Smallest probability of another agent that ends a conversation, whatever the
/// threshold. A follow-up ("and tomorrow?") says little by itself, and taking it
/// from who knows what went before costs more than asking that agent once too
/// often.
pub const LEAVE_MIN: f32 = 0.9;

/// What becomes of a decision in a conversation.
#[must_use]
pub fn chosen(holder: &Holder, question: &Question, decision: Decision) -> Decision {
    let enough = question.accept.max(LEAVE_MIN);
    let (Some(agent), Some(cluster)) = (&decision.agent, &decision.cluster) else {
        return decision;
    };
    if *agent != holder.agent && decision.confidence >= enough {
        let reason = reason::left(&decision.reason, holder);
        return Decision { reason, ..decision };
    }
    let first = Alternative {
        agent: agent.clone(),
        cluster: cluster.clone(),
        confidence: decision.confidence,
    };
    let rival = (*agent != holder.agent).then_some(first.clone());
    let mut all = vec![first];
    all.extend(decision.alternatives);
    let in_scope = decision.in_scope;
    keep(holder, all, in_scope, |confidence| match &rival {
        Some(rival) => reason::not_left(holder, rival, enough),
        None => reason::kept(holder, confidence),
    })
}

/// Nobody was sure enough: it goes on.
#[must_use]
pub fn kept(holder: &Holder, near: Near) -> Decision {
    let rival = near.misses.iter().find(|miss| miss.agent != holder.agent);
    let reason = reason::continued(holder, rival);
    keep(holder, near.misses, near.in_scope, |_| reason)
}

/// It stays with its holder, who is as likely as the evidence says, or as nobody
/// else is.
fn keep(
    holder: &Holder,
    all: Vec<Alternative>,
    in_scope: f32,
    reason: impl FnOnce(f32) -> String,
) -> Decision {
    let best = |is_holder: bool| {
        let these = all
            .iter()
            .filter(|one| (one.agent == holder.agent) == is_holder);
        these.map(|one| one.confidence).fold(0.0, f32::max)
    };
    let confidence = best(true).max(1.0 - best(false)).min(CONFIDENCE_MAX);
    Decision {
        agent: Some(holder.agent.clone()),
        cluster: Some(holder.cluster.clone()),
        method: Method::Conversation,
        confidence,
        in_scope: in_scope.max(confidence),
        fallback: false,
        reason: reason(confidence),
        alternatives: alternatives(all, Some((&holder.agent, &holder.cluster))),
    }
}
