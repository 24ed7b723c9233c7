//! What came of a question: the decision, who answers by it, and its words in JSON.

use super::{Climb, Explanation, Routing};
use crate::decisions::{Basis, Decided, Lead, successor};
use crate::ports::{Action, Ask, Judgement, Resource};
use crate::registry::Agent;
use kgents_engine::deciders::router::{Alternative, Decision, Method, Tier};
use kgents_gateway::call::{Failure, FailureKind};
use std::sync::Arc;

/// A decision with everything that led to it.
#[derive(Clone, Debug)]
pub struct Routed {
    /// The router's decision.
    pub decision: Decision,
    /// The chosen agent.
    pub agent: Option<Arc<Agent>>,
    /// The policies' answer for the chosen agent.
    pub judgement: Judgement,
    /// Revision of the registry in which it was decided.
    pub revision: u64,
    /// Encoder whose vectors it rests on; `None` where words alone, or a name, decided.
    pub encoder: Option<Arc<str>>,
    /// Why it rests on less than it should, in a sentence.
    pub degraded: Option<&'static str>,
    /// What every rung said, where that was asked for.
    pub explanation: Option<Explanation>,
}

impl Routing {
    /// What follows from a decision: whose it is now, whether policy lets the caller
    /// be led there, and what is remembered.
    pub(super) fn routed(
        &self,
        decision: Decision,
        climb: &mut Climb,
        lead: Option<Lead<'_>>,
    ) -> Result<Routed, Failure> {
        let explanation = match climb.asked.explain {
            true => Some(self.explain(climb, &decision)?),
            false => None,
        };
        if let Some(lead) = lead {
            keep(lead, &decision, climb);
        }
        let encoder = self.encoder_of(&decision, climb);
        let (decision, agent) = heir(decision, climb);
        let judgement = match &agent {
            Some(agent) => {
                let ask = Ask::new(Action::Route, Resource::Agent(agent));
                let mut judged = self.parts.policy.judge(&climb.asked.who, &[ask])?;
                judged.pop().unwrap_or_else(Judgement::none)
            }
            None => Judgement::none(),
        };
        // The policies changed since the candidates were judged.
        if agent.is_some() && !judgement.allowed {
            let failure = Failure::new(FailureKind::Unavailable, "the policies are changing");
            return Err(failure.hint("try again"));
        }
        Ok(Routed {
            decision,
            agent,
            judgement,
            revision: climb.asked.directory.revision,
            encoder,
            degraded: climb.degraded,
            explanation,
        })
    }

    /// The encoder that a decision rests on.
    fn encoder_of(&self, decision: &Decision, climb: &Climb) -> Option<Arc<str>> {
        let sentences = || self.parts.evidence.encoder().map(Arc::from);
        let is_words = || {
            let classified = climb.evidence.classifier.as_ref()?.as_ref()?;
            Some(classified.tier == Tier::Words)
        };
        match decision.method {
            Method::Exact | Method::Conversation => None,
            Method::Similar => Some(STATIC_ENCODER.into()),
            Method::Classifier if is_words() == Some(true) => Some(STATIC_ENCODER.into()),
            Method::Cache => sentences().or_else(|| {
                let learnt = climb.learnt.as_ref();
                learnt.map(|_| STATIC_ENCODER.into())
            }),
            Method::Classifier => sentences(),
            Method::Search | Method::Fallback if climb.has_sentence() => sentences(),
            Method::Search | Method::Fallback => None,
        }
    }
}

/// Name of the encoder that is built in; see `kgents_learn::Table`.
const STATIC_ENCODER: &str = "kgents-static-64/int8";

/// Remembers what may be remembered: what was weighed, with all that it should have
/// been weighed by. A conversation is not the words' own.
fn keep(lead: Lead<'_>, decision: &Decision, climb: &Climb) {
    let basis = match decision.method {
        Method::Similar => Basis::Similar,
        Method::Classifier => Basis::Classifier,
        Method::Search => Basis::Search,
        Method::Exact | Method::Conversation | Method::Cache | Method::Fallback => {
            return lead.nothing();
        }
    };
    let Some(agent) = decision.agent.clone().filter(|_| climb.degraded.is_none()) else {
        return lead.nothing();
    };
    let decided = Decided {
        agent,
        cluster: decision.cluster.clone().unwrap_or_default(),
        confidence: decision.confidence,
        basis,
        alternatives: decision.alternatives.clone(),
        in_scope: decision.in_scope,
        by_words_alone: climb.is_by_words_alone(),
    };
    lead.keep(decided, climb.direction().as_ref());
}

/// The agent that a decision leads to: the chosen one, or the successor of one that
/// is deprecated, which is said. Who names an agent gets that one.
fn heir(mut decision: Decision, climb: &Climb) -> (Decision, Option<Arc<Agent>>) {
    let directory = &climb.asked.directory;
    let chosen = decision.agent.as_deref();
    let Some(agent) = chosen.and_then(|name| directory.agent(name)) else {
        return (decision, None);
    };
    let mut agent = Arc::clone(agent);
    if decision.method != Method::Exact
        && let Some(heir) = successor(directory, &agent)
    {
        decision.reason = format!(
            "{}; `{}` is deprecated, and `{}` takes over",
            decision.reason, agent.name, heir.name
        );
        decision.agent = Some(heir.name.clone());
        decision.cluster = Some(heir.cluster.to_string());
        decision
            .alternatives
            .retain(|other| other.agent != heir.name);
        agent = Arc::clone(heir);
    }
    // The fallback may be no candidate of the search.
    let cluster = || agent.cluster.to_string();
    decision.cluster.get_or_insert_with(cluster);
    (decision, Some(agent))
}

impl Routed {
    /// The contract's JSON for `route`; `id` is the audit event.
    pub fn to_json(&self, id: &str) -> serde_json::Value {
        let alternative = |a: &Alternative| {
            serde_json::json!({
                "agent": a.agent, "cluster": a.cluster, "confidence": rounded(a.confidence),
            })
        };
        let checked: Vec<&str> = self.judgement.checked.iter().map(|id| &**id).collect();
        let mut json = serde_json::json!({
            "id": id,
            "agent": self.decision.agent,
            "cluster": self.decision.cluster,
            "method": method_name(&self.decision),
            "confidence": rounded(self.decision.confidence),
            "in_scope": rounded(self.decision.in_scope),
            "fallback": self.decision.fallback,
            "reason": self.decision.reason,
            "revision": self.revision,
            "encoder": self.encoder.as_deref(),
            "alternatives":
                self.decision.alternatives.iter().map(alternative).collect::<Vec<_>>(),
            "policy": {
                "allowed": self.judgement.allowed,
                "policy": &*self.judgement.policy,
                "policies_checked": checked,
            },
        });
        if let Some(members) = json.as_object_mut() {
            if let Some(degraded) = self.degraded {
                members.insert("degraded".into(), degraded.into());
            }
            if let Some(explanation) = &self.explanation {
                members.insert("explanation".into(), explanation.to_json());
            }
        }
        json
    }
}

/// A confidence to four digits: what is beyond means nothing, and a number of
/// 32 bits written with 64 shows digits that nobody computed.
pub(crate) fn rounded(confidence: f32) -> f64 {
    (f64::from(confidence) * 10_000.0).round() / 10_000.0
}

/// The closed name of how a decision came about.
pub fn method_name(decision: &Decision) -> &'static str {
    match decision.method {
        Method::Exact => "exact",
        Method::Conversation => "conversation",
        Method::Cache => "cache",
        Method::Similar => "similar",
        Method::Classifier => "classifier",
        Method::Search => "search",
        Method::Fallback => "fallback",
    }
}
