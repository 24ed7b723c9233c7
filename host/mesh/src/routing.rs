//! Where does it go? Gathers the evidence that the router asks for, rung by
//! rung, with every candidate the caller may not be routed to left out.

use crate::ports::{Action, Ask, Judgement, Policy, Resource};
use crate::principal::Principal;
use crate::registry::{Agent, Directory, Registry, Status};
use crate::search::words::normalise;
use kgents_engine::Router;
use kgents_engine::deciders::router::{
    Alternative, Candidate, Decision, Evidence, Found, Method, Named, Question, Remembered, Rung,
    Step,
};
use kgents_gateway::call::{Failure, FailureKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Candidates that are searched at first; more when the caller may use none.
const CANDIDATES: usize = 32;
/// Decisions that are remembered; each a few hundred bytes.
const DECISIONS: usize = 16_384;
/// Steps a decision may take: one for each rung and the last word.
const STEPS_MAX: usize = 5;

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
    /// Encoder behind the search, if one was used.
    pub encoder: Option<&'static str>,
}

/// Routes questions.
pub struct Routing {
    router: Router,
    registry: Arc<Registry>,
    policy: Arc<dyn Policy>,
    accept: f32,
    fallback: Option<String>,
    decisions: quick_cache::sync::Cache<Key, Remembered>,
    health: AtomicU64,
}

/// Everything a remembered decision depends on.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    who: String,
    text: String,
    revision: u64,
    policies: u64,
    health: u64,
}

/// One question on its way through the rungs.
struct Search<'a> {
    who: &'a Principal,
    text: &'a str,
    directory: Arc<Directory>,
    key: Key,
    encoder: Option<&'static str>,
}

impl Routing {
    /// `accept` is the smallest probability at which a searched agent is
    /// accepted; `fallback` the agent for what nobody else takes.
    pub fn new(
        router: Router,
        registry: Arc<Registry>,
        policy: Arc<dyn Policy>,
        accept: f32,
        fallback: Option<String>,
    ) -> Self {
        Self {
            router,
            registry,
            policy,
            accept,
            fallback,
            decisions: quick_cache::sync::Cache::new(DECISIONS),
            health: AtomicU64::new(0),
        }
    }

    /// Forgets decisions made while agents were in another state of health.
    pub fn health_changed(&self) {
        self.health.fetch_add(1, Ordering::Relaxed);
    }

    /// Decides a question. Takes milliseconds when it has to be searched with
    /// an encoder: call it where that may block.
    ///
    /// # Errors
    /// `Unavailable` when a decider fails.
    pub fn question(&self, who: &Principal, text: &str) -> Result<Routed, Failure> {
        let directory = self.registry.directory();
        let key = Key {
            who: format!("{:?}/{}", who.kind(), who.entity()),
            text: normalise(text),
            revision: directory.revision,
            policies: self.policy.generation(),
            health: self.health.load(Ordering::Relaxed),
        };
        let mut search = Search {
            who,
            text,
            directory,
            key,
            encoder: None,
        };
        let question = Question {
            text: text.to_owned(),
            target: None,
            accept: self.accept,
        };
        let decision = self.climb(&question, &mut search)?;
        self.routed(decision, search)
    }

    /// Whether the decision is remembered, so that asking again is cheap.
    pub fn is_quick(&self, who: &Principal, text: &str) -> bool {
        if self.registry.embedder().name().is_none() {
            return true;
        }
        let directory = self.registry.directory();
        let key = Key {
            who: format!("{:?}/{}", who.kind(), who.entity()),
            text: normalise(text),
            revision: directory.revision,
            policies: self.policy.generation(),
            health: self.health.load(Ordering::Relaxed),
        };
        self.decisions.peek(&key).is_some() || directory.exact(text).next().is_some()
    }

    /// Decides for an agent that was named; whether the caller may see or call
    /// it is not asked here.
    ///
    /// # Errors
    /// `UnknownAgent`; `Unavailable` when the decider fails.
    pub fn named(&self, name: &str) -> Result<(Arc<Agent>, Decision), Failure> {
        let directory = self.registry.directory();
        let exact = directory
            .agent(name)
            .map(|agent| named(agent, crate::registry::Via::Name))
            .into_iter()
            .collect();
        let question = Question {
            text: String::new(),
            target: Some(name.to_owned()),
            accept: self.accept,
        };
        let evidence = Evidence {
            exact: Some(exact),
            cache: None,
            search: None,
            fallback: None,
        };
        match self.step(&question, &evidence)? {
            Step::Decided(decision) => match directory.agent(name) {
                Some(agent) if decision.agent.as_deref() == Some(name) => {
                    Ok((Arc::clone(agent), decision))
                }
                _ => Err(crate::registry::unknown(name)),
            },
            Step::Need(_) => Err(crate::registry::unknown(name)),
        }
    }

    fn climb(&self, question: &Question, search: &mut Search<'_>) -> Result<Decision, Failure> {
        let mut evidence = Evidence {
            exact: None,
            cache: None,
            search: None,
            fallback: None,
        };
        for _ in 0..STEPS_MAX {
            match self.step(question, &evidence)? {
                Step::Decided(decision) => return Ok(decision),
                Step::Need(Rung::Exact) => evidence.exact = Some(self.exact(search)?),
                Step::Need(Rung::Cache) => {
                    evidence.cache = Some(self.decisions.get(&search.key));
                }
                Step::Need(Rung::Search) => evidence.search = Some(self.search(search)?),
                Step::Need(Rung::Fallback) => evidence.fallback = Some(self.fallback(search)?),
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

    fn exact(&self, search: &Search<'_>) -> Result<Vec<Named>, Failure> {
        let found: Vec<_> = search.directory.exact(search.text).collect();
        let agents: Vec<&Arc<Agent>> = found.iter().map(|(agent, _)| *agent).collect();
        let usable = self.usable(search.who, &agents)?;
        let kept = found.iter().zip(usable).filter(|(_, usable)| *usable);
        Ok(kept.map(|((agent, via), _)| named(agent, *via)).collect())
    }

    fn search(&self, search: &mut Search<'_>) -> Result<Found, Failure> {
        let query = self.registry.embedder().question(search.text);
        search.encoder = query.as_ref().and(self.registry.embedder().name());
        let mut limit = CANDIDATES;
        loop {
            let hits = search.directory.search(search.text, query.as_ref(), limit);
            let agents: Vec<&Arc<Agent>> = hits.iter().map(|(agent, _)| *agent).collect();
            let usable = self.usable(search.who, &agents)?;
            let all = hits.len() >= search.directory.len() || hits.len() < limit;
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
                let encoder = search.encoder.map(str::to_owned);
                return Ok(Found {
                    candidates,
                    encoder,
                });
            }
            limit = limit.saturating_mul(8);
        }
    }

    fn fallback(&self, search: &Search<'_>) -> Result<Option<String>, Failure> {
        let Some(agent) = self
            .fallback
            .as_deref()
            .and_then(|name| search.directory.agent(name))
        else {
            return Ok(None);
        };
        let usable = self.usable(search.who, &[agent])?;
        Ok(usable.contains(&true).then(|| agent.name.clone()))
    }

    /// Which of these the caller may be routed to and call, and that answer
    /// their probes.
    fn usable(&self, who: &Principal, agents: &[&Arc<Agent>]) -> Result<Vec<bool>, Failure> {
        let asks: Vec<Ask<'_>> = agents.iter().flat_map(|agent| both(agent)).collect();
        let judged = self.policy.judge(who, &asks)?;
        Ok(agents
            .iter()
            .zip(judged.chunks(2))
            .map(|(agent, answers)| {
                answers.iter().all(|answer| answer.allowed) && agent.status() != Status::Failed
            })
            .collect())
    }

    fn routed(&self, decision: Decision, search: Search<'_>) -> Result<Routed, Failure> {
        let agent = decision
            .agent
            .as_deref()
            .and_then(|name| search.directory.agent(name))
            .cloned();
        let judgement = match &agent {
            Some(agent) => {
                let ask = Ask::new(Action::Route, Resource::Agent(agent));
                self.policy
                    .judge(search.who, &[ask])?
                    .pop()
                    .unwrap_or_else(Judgement::none)
            }
            None => Judgement::none(),
        };
        if let (Some(name), Method::Search) = (&decision.agent, decision.method) {
            self.decisions.insert(
                search.key,
                Remembered {
                    agent: name.clone(),
                    cluster: decision.cluster.clone().unwrap_or_default(),
                    confidence: decision.confidence,
                    alternatives: decision.alternatives.clone(),
                },
            );
        }
        let revision = search.directory.revision;
        Ok(Routed {
            decision,
            agent,
            judgement,
            revision,
            encoder: search.encoder,
        })
    }
}

impl Routed {
    /// The contract's JSON for `route`; `id` is the audit event.
    pub fn to_json(&self, id: &str) -> serde_json::Value {
        let alternative = |a: &Alternative| {
            serde_json::json!({
                "agent": a.agent, "cluster": a.cluster, "confidence": a.confidence,
            })
        };
        let checked: Vec<&str> = self.judgement.checked.iter().map(|id| &**id).collect();
        serde_json::json!({
            "id": id,
            "agent": self.decision.agent,
            "cluster": self.decision.cluster,
            "method": method_name(&self.decision),
            "confidence": self.decision.confidence,
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

/// The closed name of how a decision came about.
pub fn method_name(decision: &Decision) -> &'static str {
    match decision.method {
        Method::Exact => "exact",
        Method::Cache => "cache",
        Method::Search => "search",
        Method::Fallback => "fallback",
    }
}

fn both<'a>(agent: &'a Arc<Agent>) -> [Ask<'a>; 2] {
    [
        Ask::new(Action::Route, Resource::Agent(agent)),
        Ask::new(Action::Invoke, Resource::Agent(agent)),
    ]
}

fn named(agent: &Agent, via: crate::registry::Via) -> Named {
    Named {
        agent: agent.name.clone(),
        cluster: agent.cluster.to_string(),
        via: via.name().to_owned(),
    }
}
