//! The policy store: the set in force, its answers, and those it gave before.
//!
//! The last good set stays in force when a new one fails; the problems are
//! kept for whoever asks. Answers are pure functions of their inputs, so they
//! are remembered until the set or the agent changes.

use crate::ports::{Ask, Judgement, Resource};
use crate::principal::{Principal, PrincipalKind};
use arc_swap::ArcSwap;
use kgents_engine::deciders::policy::{Attribute, Kind, Query, Source, Subject, Value, Verdict};
use kgents_engine::{LoadError, PolicySet};
use kgents_gateway::call::{Failure, FailureKind};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many answers are remembered; each some two hundred bytes.
const ANSWERS: usize = 65_536;
/// The group of every identified principal.
const EVERYONE: &str = "everyone";

/// Where the policies stand.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PolicyStatus {
    /// How many policies are in force.
    pub in_force: usize,
    /// Why the newest files are not in force, one line each; empty when they are.
    pub problems: Vec<String>,
}

/// The policies in force.
pub struct PolicyStore {
    decider: kgents_engine::Policy,
    current: ArcSwap<Generation>,
    next: AtomicU64,
    cluster: String,
    trust_domain: String,
    answers: quick_cache::sync::Cache<AnswerKey, Judgement>,
    problems: Mutex<Vec<String>>,
    loading: Mutex<()>,
}

struct Generation {
    number: u64,
    /// Of the files in force, whatever order they were read in.
    digest: [u8; 32],
    set: PolicySet,
    ids: Vec<Arc<str>>,
}

/// What an answer depends on. Looked up with borrowed names, so that a call
/// whose answers are remembered copies none.
#[derive(Clone, PartialEq, Eq, Hash)]
struct AnswerKey<Name = Box<str>> {
    generation: u64,
    /// The SPIFFE id: what policies know a caller by would not tell the
    /// anonymous one from a user of that name.
    who: Name,
    action: crate::ports::Action,
    agent: Name,
    agent_revision: u64,
}

impl AnswerKey<&str> {
    fn owned(&self) -> AnswerKey {
        AnswerKey {
            generation: self.generation,
            who: self.who.into(),
            action: self.action,
            agent: self.agent.into(),
            agent_revision: self.agent_revision,
        }
    }
}

impl quick_cache::Equivalent<AnswerKey> for AnswerKey<&str> {
    fn equivalent(&self, key: &AnswerKey) -> bool {
        self.generation == key.generation
            && self.who == &*key.who
            && self.action == key.action
            && self.agent == &*key.agent
            && self.agent_revision == key.agent_revision
    }
}

impl PolicyStore {
    /// Starts with the given files.
    ///
    /// # Errors
    /// When the decider itself fails. Files with problems leave an empty set in
    /// force, which denies everything, and the problems in [`Self::status`].
    pub fn open(
        decider: kgents_engine::Policy,
        sources: &[Source],
        cluster: &str,
        trust_domain: &str,
    ) -> Result<Self, LoadError> {
        let (generation, problems) = match decider.load(sources) {
            Ok(set) => (Generation::new(1, set, sources), Vec::new()),
            Err(LoadError::Problems(problems)) => {
                let nothing = Generation::new(1, decider.load(&[])?, &[]);
                (nothing, problems.iter().map(describe).collect())
            }
            Err(error) => return Err(error),
        };
        Ok(Self {
            decider,
            current: ArcSwap::from_pointee(generation),
            next: AtomicU64::new(2),
            cluster: cluster.to_owned(),
            trust_domain: trust_domain.to_owned(),
            answers: quick_cache::sync::Cache::new(ANSWERS),
            problems: Mutex::new(problems),
            loading: Mutex::new(()),
        })
    }

    /// Brings new files into force, or keeps the set that is, with the
    /// problems shown.
    ///
    /// # Errors
    /// The problems, or the decider's failure; the old set stays.
    pub fn reload(&self, sources: &[Source]) -> Result<(), LoadError> {
        let _one_at_a_time = self.loading.lock();
        match self.decider.load(sources) {
            Ok(set) => {
                let number = self.next.fetch_add(1, Ordering::Relaxed);
                let generation = Generation::new(number, set, sources);
                self.current.store(Arc::new(generation));
                self.problems.lock().clear();
                Ok(())
            }
            Err(error) => {
                *self.problems.lock() = match &error {
                    LoadError::Problems(problems) => problems.iter().map(describe).collect(),
                    LoadError::Engine(error) => vec![error.to_string()],
                };
                Err(error)
            }
        }
    }

    /// Says that the files could not even be read; the old set stays.
    pub fn unreadable(&self, problem: String) {
        *self.problems.lock() = vec![problem];
    }

    /// Ids of the policies in force, sorted.
    pub fn ids(&self) -> Vec<Arc<str>> {
        self.current.load().ids.clone()
    }

    /// What is in force and what is not.
    pub fn status(&self) -> PolicyStatus {
        PolicyStatus {
            in_force: self.current.load().ids.len(),
            problems: self.problems.lock().clone(),
        }
    }

    fn query(&self, ask: &Ask<'_>) -> Query {
        let (resource_kind, resource_id, resource_attributes) = match &ask.resource {
            Resource::Agent(agent) => (Kind::Agent, agent.name.clone(), agent_attributes(agent)),
            Resource::AgentName(name) => (Kind::Agent, (*name).to_owned(), Vec::new()),
            Resource::Account(name) => (Kind::Account, (*name).to_owned(), Vec::new()),
            Resource::Pheromone(kind) => (Kind::Pheromone, (*kind).to_owned(), Vec::new()),
            Resource::Mesh => (Kind::Mesh, self.trust_domain.clone(), Vec::new()),
        };
        let mut context = Vec::new();
        if let Some(tokens) = ask.tokens {
            let number = i64::try_from(tokens).unwrap_or(i64::MAX);
            context.push(attribute("tokens", Value::Number(number)));
        }
        if let Some(target) = ask.target {
            context.push(attribute("target", Value::Text(target.to_owned())));
        }
        if let Some(percent) = ask.intensity_percent {
            let number = Value::Number(i64::from(percent));
            context.push(attribute("intensity_percent", number));
        }
        let action = ask.action.name().to_owned();
        Query {
            action,
            resource_kind,
            resource_id,
            // Agents are in no groups yet; policies name them by labels.
            resource_groups: Vec::new(),
            resource_attributes,
            context,
        }
    }

    fn subject(&self, who: &Principal) -> Subject {
        let kind = match who.kind() {
            PrincipalKind::User => Kind::User,
            PrincipalKind::Agent => Kind::Agent,
            PrincipalKind::Gateway => Kind::Gateway,
        };
        let groups = if who.is_identified() {
            vec![EVERYONE.to_owned()]
        } else {
            Vec::new()
        };
        let attributes = vec![
            attribute("spiffe_id", Value::Text(who.svid().to_owned())),
            attribute("trust_domain", Value::Text(who.trust_domain().to_owned())),
            attribute("cluster", Value::Text(self.cluster.clone())),
        ];
        Subject {
            kind,
            id: who.entity().to_owned(),
            groups,
            attributes,
        }
    }

    fn evaluate(
        &self,
        current: &Generation,
        who: &Principal,
        queries: &[Query],
    ) -> Result<Vec<Judgement>, Failure> {
        let verdicts = current
            .set
            .evaluate(&self.subject(who), queries)
            .map_err(|error| {
                tracing::error!(code = error.code(), %error, "the policy decider failed");
                Failure::new(
                    FailureKind::Unavailable,
                    "the policies cannot be evaluated now",
                )
                .hint("try again; the mesh denies what it cannot judge")
            })?;
        Ok(verdicts
            .into_iter()
            .map(|verdict| current.judgement(verdict))
            .collect())
    }
}

impl crate::ports::Policy for PolicyStore {
    fn judge(&self, who: &Principal, asks: &[Ask<'_>]) -> Result<Vec<Judgement>, Failure> {
        let current = self.current.load();
        let mut answers: Vec<Option<Judgement>> = Vec::with_capacity(asks.len());
        let mut open: Vec<(usize, Option<AnswerKey<&str>>)> = Vec::new();
        for (number, ask) in asks.iter().enumerate() {
            let key = key(current.number, who, ask);
            let known = key.as_ref().and_then(|key| self.answers.get(key));
            if known.is_none() {
                open.push((number, key));
            }
            answers.push(known);
        }
        if !open.is_empty() {
            let queries: Vec<Query> = open
                .iter()
                .filter_map(|(number, _)| asks.get(*number))
                .map(|ask| self.query(ask))
                .collect();
            let judged = self.evaluate(&current, who, &queries)?;
            for ((number, key), judgement) in open.into_iter().zip(judged) {
                if let Some(key) = key {
                    self.answers.insert(key.owned(), judgement.clone());
                }
                if let Some(slot) = answers.get_mut(number) {
                    *slot = Some(judgement);
                }
            }
        }
        // A verdict the decider left out allows nothing.
        Ok(answers
            .into_iter()
            .map(|answer| answer.unwrap_or_else(Judgement::none))
            .collect())
    }

    fn generation(&self) -> u64 {
        self.current.load().number
    }

    fn digest(&self) -> [u8; 32] {
        self.current.load().digest
    }
}

fn key<'a>(generation: u64, who: &'a Principal, ask: &Ask<'a>) -> Option<AnswerKey<&'a str>> {
    match ask {
        Ask {
            action,
            resource: Resource::Agent(agent),
            tokens: None,
            target: None,
            intensity_percent: None,
        } => Some(AnswerKey {
            generation,
            who: who.svid(),
            action: *action,
            agent: &agent.name,
            agent_revision: agent.revision,
        }),
        _ => None,
    }
}

impl Generation {
    fn new(number: u64, set: PolicySet, sources: &[Source]) -> Self {
        let ids = set.ids().iter().map(|id| Arc::from(id.as_str())).collect();
        let digest = digest(sources);
        Self {
            number,
            digest,
            set,
            ids,
        }
    }

    fn judgement(&self, verdict: Verdict) -> Judgement {
        for error in &verdict.errors {
            tracing::warn!(
                policy = verdict.policy,
                error,
                "a policy erred, which denies"
            );
        }
        let known = self.ids.iter().find(|id| ***id == *verdict.policy);
        Judgement {
            allowed: verdict.allowed,
            policy: known.cloned().unwrap_or_else(|| verdict.policy.into()),
            checked: verdict
                .checked
                .iter()
                .filter_map(|index| self.ids.get(*index as usize).cloned())
                .collect(),
        }
    }
}

/// What the files say, each with its name: answers name policies by it.
fn digest(sources: &[Source]) -> [u8; 32] {
    let mut files: Vec<(&str, &str)> = sources
        .iter()
        .map(|source| (source.name.as_str(), source.text.as_str()))
        .collect();
    files.sort_unstable();
    let mut digest = Sha256::new();
    for text in files.into_iter().flat_map(|(name, text)| [name, text]) {
        digest.update((text.len() as u64).to_le_bytes());
        digest.update(text);
    }
    digest.finalize().into()
}

fn attribute(name: &str, value: Value) -> Attribute {
    Attribute {
        name: name.to_owned(),
        value,
    }
}

fn agent_attributes(agent: &crate::registry::Agent) -> Vec<Attribute> {
    let labels = agent
        .card
        .labels
        .iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    let skills = agent
        .card
        .skills
        .iter()
        .map(|skill| skill.id.clone())
        .collect();
    vec![
        attribute("name", Value::Text(agent.card.name.clone())),
        attribute("cluster", Value::Text(agent.cluster.to_string())),
        attribute("skills", Value::Texts(skills)),
        attribute("labels", Value::Texts(labels)),
    ]
}

/// A problem of a policy file in one line: where, what, and what to do.
pub fn describe(problem: &kgents_engine::deciders::policy::Problem) -> String {
    let mut text = problem.source.clone();
    if let Some(line) = problem.line {
        text.push_str(&format!(":{line}"));
    }
    if let Some(policy) = &problem.policy {
        text.push_str(&format!(" ({policy})"));
    }
    text.push_str(": ");
    text.push_str(&problem.message);
    if let Some(hint) = &problem.hint {
        text.push_str(&format!(" (hint: {hint})"));
    }
    text
}
