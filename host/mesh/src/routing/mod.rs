//! Where does it go? Gathers the evidence that the router asks for, rung by rung,
//! with every candidate left out that the caller may not see, be routed to and call.
//!
//! In reading order: this file, [`climb`] (one question and its evidence), `usable`
//! (whom a caller may be led to), `before` (what was decided before), [`routed`] (what
//! came of it), `explain` (how).

mod before;
mod climb;
mod explain;
mod routed;
mod usable;

pub use climb::{CANDIDATES, Climb};
pub use explain::Explanation;
pub(crate) use routed::rounded;
pub use routed::{Routed, method_name};

use crate::decisions::{Circumstances, Decisions, Key, Lead, Scope};
use crate::learning::Teacher;
use crate::ports::{self, Policy};
use crate::principal::Principal;
use crate::registry::{Agent, Directory, Via};
use climb::Gathered;
use kgents_engine::Router;
use kgents_engine::deciders::router::{Decision, Evidence, Named, Question, Rung, Step};
use kgents_gateway::call::{Failure, FailureKind};
use kgents_search::words::{clip, normalise};
use std::sync::Arc;

/// Steps a decision may take: one for each rung and the last word.
const STEPS_MAX: usize = 8;

/// Names whose decision is kept; each some two hundred bytes.
const NAMED: usize = 4_096;

/// What somebody wants to know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asking<'a> {
    /// Their words.
    pub text: &'a str,
    /// The conversation that the words belong to, if any.
    pub context: Option<&'a str>,
    /// Whether to tell what every rung says, and not the first that decides alone.
    pub explain: bool,
}

/// A question, with the view of the mesh in which it is decided.
pub struct Asked {
    who: Principal,
    /// As they came, without spaces around them, cut at the search's limit.
    text: String,
    /// As [`normalise`] has them.
    normal: String,
    context: Option<String>,
    explain: bool,
    directory: Arc<Directory>,
    scope: Scope,
    /// None for words that are not remembered.
    key: Option<Key>,
    /// The threshold; the mesh's own, unless another is tried.
    accept: f32,
}

/// What routing is made of.
pub struct Parts {
    /// Decides.
    pub router: Router,
    /// Which agents there are, and who has which conversation.
    pub evidence: Arc<dyn ports::Evidence>,
    /// May they?
    pub policy: Arc<dyn Policy>,
    /// What cards and people taught.
    pub teacher: Arc<Teacher>,
    /// What was decided before.
    pub decisions: Arc<Decisions>,
    /// Root of all identities here.
    pub trust_domain: String,
    /// This cluster's name.
    pub cluster: String,
    /// Smallest probability, 0.0 to 1.0, at which an agent is accepted.
    pub accept: f32,
}

/// Routes questions.
pub struct Routing {
    parts: Parts,
    /// What the router said of a name, at a revision of the registry: the same
    /// inputs give the same decision, and most calls name their agent.
    named: quick_cache::sync::Cache<(u64, String), Decision>,
}

impl Routing {
    /// Puts it together.
    pub fn new(parts: Parts) -> Self {
        Self {
            parts,
            named: quick_cache::sync::Cache::new(NAMED),
        }
    }

    /// Takes a question up.
    pub fn ask(&self, who: &Principal, asking: &Asking<'_>) -> Climb {
        let parts = &self.parts;
        let directory = parts.evidence.directory();
        let learnt = parts.teacher.learnt();
        let says = parts.teacher.says();
        let scope = Scope::of(&Circumstances {
            trust_domain: &parts.trust_domain,
            cluster: &parts.cluster,
            who: who.svid(),
            policies: parts.policy.digest(),
            thresholds: &[parts.accept],
            encoder: parts.evidence.encoder(),
            says: &says,
            model: learnt.as_ref().map(|learnt| &*learnt.base),
        });
        let text = clip(asking.text.trim());
        let key = Key::new(scope, text);
        let known = key.as_ref().map(|key| key.text().to_owned());
        let asked = Asked {
            who: who.clone(),
            text: text.to_owned(),
            normal: known.unwrap_or_else(|| normalise(text)),
            context: asking.context.map(str::to_owned),
            explain: asking.explain,
            key,
            directory,
            scope,
            accept: parts.accept,
        };
        Climb::new(asked, learnt, parts.teacher.rejections())
    }

    /// Decides a question if that takes microseconds: by name, from memory, by what
    /// was learnt of words alone, or by words.
    ///
    /// # Errors
    /// `Unavailable` when a decider fails.
    pub fn at_once(&self, climb: &mut Climb) -> Result<Option<Routed>, Failure> {
        if climb.asked.explain {
            return Ok(None);
        }
        climb.may_block = false;
        self.run(climb)
    }

    /// Decides a question. Takes milliseconds when an encoder has to be asked: call
    /// it where that may block.
    ///
    /// # Errors
    /// `Unavailable` when a decider fails.
    pub fn decide(&self, mut climb: Climb) -> Result<Routed, Failure> {
        climb.may_block = true;
        // Now there is time to wait for who decides the same, and for a shared store.
        climb.evidence.cache = None;
        if climb.asked.explain {
            self.gather_all(&mut climb)?;
        }
        let routed = self.run(&mut climb)?;
        routed.ok_or_else(undecided)
    }

    /// Decides a question at another threshold than the mesh's, as if nobody had asked
    /// it before, and remembers nothing. What was gathered stays with the question, so
    /// that the next threshold costs little. Takes milliseconds like
    /// [`Routing::decide`].
    ///
    /// # Errors
    /// `Unavailable` when a decider fails.
    pub fn decide_at(&self, climb: &mut Climb, accept: f32) -> Result<Routed, Failure> {
        climb.may_block = true;
        climb.asked.accept = accept;
        climb.asked.key = None;
        climb.evidence.cache = None;
        climb.evidence.similar = None;
        let routed = self.run(climb)?;
        routed.ok_or_else(undecided)
    }

    /// Decides for an agent that was named; whether the caller may see or call
    /// it is not asked here.
    ///
    /// # Errors
    /// `UnknownAgent`; `Unavailable` when the decider fails.
    pub fn named(&self, name: &str) -> Result<(Arc<Agent>, Decision), Failure> {
        let directory = self.parts.evidence.directory();
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
            accept: self.parts.accept,
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

    /// Climbs until it is decided, or until evidence is needed that may not be
    /// gathered now.
    fn run(&self, climb: &mut Climb) -> Result<Option<Routed>, Failure> {
        let question = self.question(climb);
        let mut lead: Option<Lead<'_>> = None;
        self.gather_quick(climb, &mut lead)?;
        for _ in 0..STEPS_MAX {
            let rung = match self.step(&question, &climb.evidence)? {
                Step::Decided(decision) => return self.routed(decision, climb, lead).map(Some),
                Step::Need(rung) => rung,
            };
            if self.gather(rung, climb, &mut lead)? == Gathered::Later {
                return Ok(None);
            }
        }
        Err(undecided())
    }

    fn question(&self, climb: &Climb) -> Question {
        Question {
            text: climb.asked.text.clone(),
            target: None,
            accept: climb.asked.accept,
        }
    }

    fn step(&self, question: &Question, evidence: &Evidence) -> Result<Step, Failure> {
        self.parts
            .router
            .decide(question, evidence)
            .map_err(|error| {
                tracing::error!(code = error.code(), %error, "the router decider failed");
                Failure::new(FailureKind::Unavailable, "the router cannot decide now")
                    .hint("try again")
            })
    }
}

/// Every rung, in the order in which the router asks.
const RUNGS: [Rung; 7] = [
    Rung::Exact,
    Rung::Conversation,
    Rung::Cache,
    Rung::Similar,
    Rung::Classifier,
    Rung::Search,
    Rung::Fallback,
];

fn undecided() -> Failure {
    tracing::error!("the router asked for the same evidence twice");
    Failure::new(
        FailureKind::Internal,
        "the router did not come to a decision",
    )
}

const fn nothing() -> Evidence {
    Evidence {
        exact: None,
        conversation: None,
        cache: None,
        similar: None,
        classifier: None,
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
