//! Where does it go? Gathers the evidence that the router asks for, rung by
//! rung, with every candidate left out that the caller may not see, be routed
//! to and call.

use crate::ports::{self, Action, Ask, Inquiry, Judgement, Policy, Resource};
use crate::principal::Principal;
use crate::registry::{Agent, Directory, Status, Via};
use kgents_engine::Router;
use kgents_engine::deciders::router::{
    Alternative, Candidate, Decision, Evidence, Found, Method, Named, Question, Remembered, Rung,
    Step,
};
use kgents_gateway::call::{Failure, FailureKind};
use kgents_search::words::{clip, normalise};
use std::sync::Arc;

/// Candidates that are searched at first; more when the caller may use none.
pub const CANDIDATES: usize = 32;
/// Steps a decision may take: one for each rung and the last word.
const STEPS_MAX: usize = 5;
/// Questions above this many bytes are decided anew each time: people repeat
/// short ones, and long ones would fill the memory.
const REMEMBERED_BYTES_MAX: usize = 512;

/// Names whose decision is kept; each some two hundred bytes.
const NAMED: usize = 4_096;

/// A question, with the view of the mesh in which it is decided.
pub struct Asked {
    who: Principal,
    text: String,
    directory: Arc<Directory>,
    inquiry: Inquiry,
}

/// A decision with everything that led to it.
#[derive(Clone, Debug)]
pub struct Routed {
    /// The router's decision.
    pub decision: Decision,
    /// The chosen agent.
    pub agent: Option<Arc<Agent>>,
    /// The policies' answer for the chosen agent.
    pub judgement: Judgement,
    /// Revision of the registry that was searched.
    pub revision: u64,
    /// Encoder behind the search; `None` where words alone, or a name, decided.
    pub encoder: Option<&'static str>,
}

/// Routes questions.
pub struct Routing {
    router: Router,
    evidence: Arc<dyn ports::Evidence>,
    policy: Arc<dyn Policy>,
    accept: f32,
    /// What the router said of a name, at a revision of the registry: the same
    /// inputs give the same decision, and most calls name their agent.
    named: quick_cache::sync::Cache<(u64, String), Decision>,
}

impl Routing {
    /// `accept` is the smallest probability at which a searched agent is
    /// accepted.
    pub fn new(
        router: Router,
        evidence: Arc<dyn ports::Evidence>,
        policy: Arc<dyn Policy>,
        accept: f32,
    ) -> Self {
        Self {
            router,
            evidence,
            policy,
            accept,
            named: quick_cache::sync::Cache::new(NAMED),
        }
    }

    /// Takes a question up.
    pub fn ask(&self, who: &Principal, text: &str) -> Asked {
        let directory = self.evidence.directory();
        let inquiry = Inquiry {
            who: who.svid().to_owned(),
            text: normalise(text),
            revision: directory.revision,
            policies: self.policy.generation(),
            health: self.evidence.health(),
        };
        Asked {
            who: who.clone(),
            text: clip(text.trim()).to_owned(),
            directory,
            inquiry,
        }
    }

    /// Whether deciding takes microseconds: by words, by name or from memory.
    pub fn is_quick(&self, asked: &Asked) -> bool {
        self.evidence.encoder().is_none()
            || self.evidence.remembered(&asked.inquiry).is_some()
            || asked.directory.exact(&asked.text).next().is_some()
    }

    /// Decides a question. Takes milliseconds when it has to be searched with
    /// an encoder: call it where that may block.
    ///
    /// # Errors
    /// `Unavailable` when a decider fails.
    pub fn decide(&self, asked: Asked) -> Result<Routed, Failure> {
        let question = Question {
            text: asked.text.clone(),
            target: None,
            accept: self.accept,
        };
        let decision = self.climb(&question, &asked)?;
        self.routed(decision, asked)
    }

    /// Decides for an agent that was named; whether the caller may see or call
    /// it is not asked here.
    ///
    /// # Errors
    /// `UnknownAgent`; `Unavailable` when the decider fails.
    pub fn named(&self, name: &str) -> Result<(Arc<Agent>, Decision), Failure> {
        let directory = self.evidence.directory();
        let Some(agent) = directory.agent(name) else {
            return Err(crate::registry::unknown(name));
        };
        let key = (directory.revision, name.to_owned());
        if let Some(decision) = self.named.get(&key) {
            return Ok((Arc::clone(agent), decision));
        }
        let question = Question {
            text: String::new(),
            target: Some(name.to_owned()),
            accept: self.accept,
        };
        let evidence = Evidence {
            exact: Some(vec![named(agent, Via::Name)]),
            ..nothing()
        };
        match self.step(&question, &evidence)? {
            Step::Decided(decision) if decision.agent.as_deref() == Some(name) => {
                self.named.insert(key, decision.clone());
                Ok((Arc::clone(agent), decision))
            }
            Step::Decided(_) | Step::Need(_) => Err(crate::registry::unknown(name)),
        }
    }

    fn climb(&self, question: &Question, asked: &Asked) -> Result<Decision, Failure> {
        let mut evidence = nothing();
        for _ in 0..STEPS_MAX {
            match self.step(question, &evidence)? {
                Step::Decided(decision) => return Ok(decision),
                Step::Need(Rung::Exact) => evidence.exact = Some(self.exact(asked)?),
                Step::Need(Rung::Cache) => {
                    evidence.cache = Some(self.evidence.remembered(&asked.inquiry));
                }
                Step::Need(Rung::Search) => evidence.search = Some(self.search(asked)?),
                Step::Need(Rung::Fallback) => evidence.fallback = Some(self.fallback(asked)?),
            }
        }
        tracing::error!("the router asked for the same evidence twice");
        Err(Failure::new(
            FailureKind::Internal,
            "the router did not come to a decision",
        ))
    }

    fn step(&self, question: &Question, evidence: &Evidence) -> Result<Step, Failure> {
        self.router.decide(question, evidence).map_err(|error| {
            tracing::error!(code = error.code(), %error, "the router decider failed");
            Failure::new(FailureKind::Unavailable, "the router cannot decide now").hint("try again")
        })
    }

    fn exact(&self, asked: &Asked) -> Result<Vec<Named>, Failure> {
        let found: Vec<_> = asked.directory.exact(&asked.text).collect();
        let agents: Vec<&Arc<Agent>> = found.iter().map(|(agent, _)| *agent).collect();
        let usable = self.usable(&asked.who, &agents)?;
        let kept = found.iter().zip(usable).filter(|(_, usable)| *usable);
        Ok(kept.map(|((agent, via), _)| named(agent, *via)).collect())
    }

    fn search(&self, asked: &Asked) -> Result<Found, Failure> {
        let query = self.evidence.vector(&asked.text);
        let encoder = query.as_ref().and(self.evidence.encoder());
        let mut limit = CANDIDATES;
        loop {
            let hits = asked.directory.search(&asked.text, query.as_ref(), limit);
            let agents: Vec<&Arc<Agent>> = hits.iter().map(|(agent, _)| *agent).collect();
            let usable = self.usable(&asked.who, &agents)?;
            let all = hits.len() >= asked.directory.len() || hits.len() < limit;
            let candidates: Vec<Candidate> = hits
                .into_iter()
                .zip(usable)
                .filter(|(_, usable)| *usable)
                .map(|((agent, hit), _)| Candidate {
                    agent: agent.name.clone(),
                    cluster: agent.cluster.to_string(),
                    skill: hit.skill,
                    lexical: hit.lexical,
                    coverage: hit.coverage,
                    vector: hit.vector,
                })
                .collect();
            if !candidates.is_empty() || all {
                return Ok(Found {
                    candidates,
                    encoder: encoder.map(str::to_owned),
                });
            }
            limit = limit.saturating_mul(8);
        }
    }

    fn fallback(&self, asked: &Asked) -> Result<Option<String>, Failure> {
        let name = self.evidence.fallback();
        let Some(agent) = name.and_then(|name| asked.directory.agent(name)) else {
            return Ok(None);
        };
        let usable = self.usable(&asked.who, &[agent])?;
        Ok(usable.contains(&true).then(|| agent.name.clone()))
    }

    /// Which of these the caller may see, be routed to and call, and that do
    /// not fail their probes.
    fn usable(&self, who: &Principal, agents: &[&Arc<Agent>]) -> Result<Vec<bool>, Failure> {
        let asks: Vec<Ask<'_>> = agents
            .iter()
            .flat_map(|agent| NEEDED.map(|action| Ask::new(action, Resource::Agent(agent))))
            .collect();
        let judged = self.policy.judge(who, &asks)?;
        Ok(agents
            .iter()
            .zip(judged.chunks(NEEDED.len()))
            .map(|(agent, answers)| {
                answers.iter().all(|answer| answer.allowed) && agent.status() != Status::Failed
            })
            .collect())
    }

    fn routed(&self, mut decision: Decision, asked: Asked) -> Result<Routed, Failure> {
        let chosen = decision.agent.as_deref();
        let agent = chosen.and_then(|name| asked.directory.agent(name)).cloned();
        let judgement = match &agent {
            Some(agent) => {
                let ask = Ask::new(Action::Route, Resource::Agent(agent));
                let mut judged = self.policy.judge(&asked.who, &[ask])?;
                judged.pop().unwrap_or_else(Judgement::none)
            }
            None => Judgement::none(),
        };
        if let Some(agent) = &agent {
            // The policies changed since the candidates were judged.
            if !judgement.allowed {
                return Err(
                    Failure::new(FailureKind::Unavailable, "the policies are changing")
                        .hint("try again"),
                );
            }
            // The fallback may be no candidate of the search.
            let cluster = || agent.cluster.to_string();
            decision.cluster.get_or_insert_with(cluster);
        }
        let revision = asked.directory.revision;
        if let (Some(name), Method::Search) = (&decision.agent, decision.method)
            && asked.inquiry.text.len() <= REMEMBERED_BYTES_MAX
        {
            let remembered = Remembered {
                agent: name.clone(),
                cluster: decision.cluster.clone().unwrap_or_default(),
                confidence: decision.confidence,
                alternatives: decision.alternatives.clone(),
            };
            self.evidence.remember(asked.inquiry, remembered);
        }
        let searched = !matches!(decision.method, Method::Exact);
        Ok(Routed {
            decision,
            agent,
            judgement,
            revision,
            encoder: self.evidence.encoder().filter(|_| searched),
        })
    }
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
        serde_json::json!({
            "id": id,
            "agent": self.decision.agent,
            "cluster": self.decision.cluster,
            "method": method_name(&self.decision),
            "confidence": rounded(self.decision.confidence),
            "fallback": self.decision.fallback,
            "reason": self.decision.reason,
            "revision": self.revision,
            "encoder": self.encoder,
            "alternatives":
                self.decision.alternatives.iter().map(alternative).collect::<Vec<_>>(),
            "policy": {
                "allowed": self.judgement.allowed,
                "policy": &*self.judgement.policy,
                "policies_checked": checked,
            },
        })
    }
}

/// What a caller must be allowed of an agent that it is led to.
const NEEDED: [Action; 3] = [Action::List, Action::Route, Action::Invoke];

/// A confidence to four digits: what is beyond means nothing, and a number of
/// 32 bits written with 64 shows digits that nobody computed.
pub(crate) fn rounded(confidence: f32) -> f64 {
    (f64::from(confidence) * 10_000.0).round() / 10_000.0
}

/// The closed name of how a decision came about.
pub fn method_name(decision: &Decision) -> &'static str {
    match decision.method {
        Method::Exact => "exact",
        Method::Cache => "cache",
        Method::Search => "search",
        Method::Fallback => "fallback",
    }
}

const fn nothing() -> Evidence {
    Evidence {
        exact: None,
        cache: None,
        search: None,
        fallback: None,
    }
}

fn named(agent: &Agent, via: Via) -> Named {
    Named {
        agent: agent.name.clone(),
        cluster: agent.cluster.to_string(),
        via: via.name().to_owned(),
    }
}
