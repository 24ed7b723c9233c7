//! The directory: all agents at one revision, immutable, with what is derived
//! from their cards.

use super::embed::Embedder;
use super::sorted::Sorted;
use kgents_gateway::card::{Card, Skill};
use kgents_search::words::normalise;
use kgents_search::{AgentDoc, AgentKey, Hit, Index, SkillDoc};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// Where an agent comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// One of the mesh's own.
    Own,
    /// A registered card.
    Registered {
        /// A URL, `api`, or a file.
        source: String,
    },
}

/// Whether an agent answers its probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Not probed yet, or not for long.
    Unknown,
    /// It answers.
    Healthy,
    /// It answers, but slowly.
    Degraded,
    /// It does not answer; it is not routed to.
    Failed,
}

impl Status {
    /// Its name in answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Failed => "failed",
        }
    }
}

/// One agent.
#[derive(Debug)]
pub struct Agent {
    /// Its name in this mesh: an RFC 1123 label.
    pub name: String,
    /// Its card.
    pub card: Card,
    /// Where it comes from.
    pub origin: Origin,
    /// The registry's revision when its card last changed.
    pub revision: u64,
    /// The cluster it runs in.
    pub cluster: Arc<str>,
    status: AtomicU8,
}

impl Agent {
    pub(super) fn new(
        name: String,
        card: Card,
        origin: Origin,
        revision: u64,
        cluster: &Arc<str>,
    ) -> Self {
        let status = if origin == Origin::Own {
            Status::Healthy
        } else {
            Status::Unknown
        };
        Self {
            name,
            card,
            origin,
            revision,
            cluster: Arc::clone(cluster),
            status: AtomicU8::new(status as u8),
        }
    }

    /// Whether it is one of the mesh's own.
    pub fn is_own(&self) -> bool {
        self.origin == Origin::Own
    }

    /// What the last probes said.
    pub fn status(&self) -> Status {
        match self.status.load(Ordering::Relaxed) {
            1 => Status::Healthy,
            2 => Status::Degraded,
            3 => Status::Failed,
            _ => Status::Unknown,
        }
    }

    /// Notes what the probes say. True when that is news.
    pub fn set_status(&self, status: Status) -> bool {
        self.status.swap(status as u8, Ordering::Relaxed) != status as u8
    }
}

/// How a text names an agent exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// By its name in the mesh.
    Name,
    /// By the display name on its card.
    Alias,
    /// By the id of a skill.
    Skill,
}

impl Via {
    /// Its name in evidence.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Alias => "alias",
            Self::Skill => "skill",
        }
    }
}

/// All texts of a card that are embedded.
pub(super) fn all_texts(card: &Card) -> impl Iterator<Item = String> {
    card.skills.iter().flat_map(|skill| texts(card, skill))
}

/// What a skill is found by: everything that is said of it, then each example.
fn texts(card: &Card, skill: &Skill) -> Vec<String> {
    let all = format!(
        "{}. {}. {}. {}. {}",
        card.description,
        skill.name,
        skill.description,
        skill.tags.join(" "),
        skill.examples.join(". ")
    );
    std::iter::once(all)
        .chain(skill.examples.iter().cloned())
        .collect()
}

/// A text that names an agent, as [`normalise`] has it, and that agent.
type Naming = (Arc<str>, AgentKey);

/// How an agent is named by a text.
type Named = (Arc<Agent>, Via);

/// A directory after a change.
pub(super) struct Changed {
    /// The directory.
    pub directory: Directory,
    /// Agents of the change whose vectors the encoder did not give.
    pub waiting: Vec<AgentKey>,
}

/// All agents at one revision.
#[derive(Default)]
pub struct Directory {
    /// Grows with every change of a card.
    pub revision: u64,
    agents: Sorted<AgentKey, Arc<Agent>>,
    exact: Sorted<Naming, Named>,
    index: Index,
}

impl Directory {
    /// Derives everything from the agents; of two with one name the last counts.
    ///
    /// # Errors
    /// When an agent has more skills or examples than the index takes.
    pub(super) fn build(
        revision: u64,
        agents: Vec<Arc<Agent>>,
        embedder: &Embedder,
    ) -> Result<Changed, kgents_search::Error> {
        Self::default().changed(revision, &[], agents, embedder)
    }

    /// The directory after a change: first agents are taken out by name, then others
    /// are put in, each in place of one of the same name. Takes time in proportion to
    /// the change.
    ///
    /// # Errors
    /// When an agent has more skills or examples than the index takes.
    pub(super) fn changed(
        &self,
        revision: u64,
        remove: &[&str],
        add: Vec<Arc<Agent>>,
        embedder: &Embedder,
    ) -> Result<Changed, kgents_search::Error> {
        let remove: Vec<AgentKey> = remove.iter().map(|name| AgentKey::from(*name)).collect();
        let mut agents: BTreeMap<AgentKey, Option<Arc<Agent>>> =
            remove.iter().map(|key| (Arc::clone(key), None)).collect();
        for agent in add {
            agents.insert(agent.name.as_str().into(), Some(agent));
        }
        let mut exact: BTreeMap<Naming, Option<Named>> = BTreeMap::new();
        let (mut documents, mut waiting) = (Vec::new(), Vec::new());
        for (key, agent) in &agents {
            if let Some(old) = self.agent(key) {
                exact.extend(namings(key, old).map(|(naming, _)| (naming, None)));
            }
            let Some(agent) = agent else { continue };
            // The first way in which a text names the agent stays.
            let mut ways: Vec<_> = namings(key, agent).collect();
            ways.reverse();
            let named = |(naming, via)| (naming, Some((Arc::clone(agent), via)));
            exact.extend(ways.into_iter().map(named));
            let (document, is_waiting) = document(key, agent, embedder);
            documents.push(document);
            waiting.extend(is_waiting.then(|| Arc::clone(key)));
        }
        let directory = Self {
            revision,
            index: self.index.change(&remove, documents)?,
            exact: self.exact.changed(exact),
            agents: self.agents.changed(agents),
        };
        Ok(Changed { directory, waiting })
    }

    /// One agent by name.
    pub fn agent(&self, name: &str) -> Option<&Arc<Agent>> {
        let (known, agent) = self.agents.from(&|known| **known < *name).next()?;
        (**known == *name).then_some(agent)
    }

    /// All agents by name.
    pub fn agents(&self) -> impl Iterator<Item = &Arc<Agent>> {
        self.agents.iter().map(|(_, agent)| agent)
    }

    /// Number of agents.
    pub fn len(&self) -> usize {
        self.agents.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.agents.len() == 0
    }

    /// Agents that the text names exactly, by name.
    pub fn exact(&self, text: &str) -> impl Iterator<Item = (&Arc<Agent>, Via)> {
        let text = normalise(text);
        let from = self.exact.from(&|(known, _)| **known < *text);
        from.take_while(move |((known, _), _)| **known == *text)
            .map(|(_, (agent, via))| (agent, *via))
    }

    /// Agents whose skills resemble the text, without those that fail their probes;
    /// see [`Index::search`].
    pub fn search(
        &self,
        text: &str,
        query: Option<&kgents_encoder::Embedding>,
        limit: usize,
    ) -> Vec<(&Arc<Agent>, Hit)> {
        let answers = |name: &str| {
            let agent = self.agent(name);
            agent.is_some_and(|agent| agent.status() != Status::Failed)
        };
        self.index
            .search(text, query, limit, Some(&answers))
            .into_iter()
            .filter_map(|hit| Some((self.agent(&hit.agent)?, hit)))
            .collect()
    }
}

/// The texts that name an agent, and how: the strongest way first.
fn namings(key: &AgentKey, agent: &Agent) -> impl Iterator<Item = (Naming, Via)> {
    let card = &agent.card;
    let first = [(&agent.name, Via::Name), (&card.name, Via::Alias)];
    let skills = card.skills.iter().map(|skill| (&skill.id, Via::Skill));
    let naming = |(text, via): (&String, Via)| {
        let text: Arc<str> = normalise(text).into();
        ((text, Arc::clone(key)), via)
    };
    first.into_iter().chain(skills).map(naming)
}

/// The agent as the index takes it in, and whether it waits for vectors: it has all
/// of them or none, since an agent with some would be compared unfairly.
fn document(key: &AgentKey, agent: &Agent, embedder: &Embedder) -> (AgentDoc, bool) {
    let mut is_waiting = false;
    let mut skill = |skill: &Skill| {
        let texts = texts(&agent.card, skill);
        let vectors = embedder.at_hand(&texts);
        is_waiting |= vectors.is_none();
        SkillDoc {
            name: skill.name.clone(),
            vectors: vectors.unwrap_or_default(),
            text: texts.into_iter().next().unwrap_or_default(),
        }
    };
    let mut skills: Vec<SkillDoc> = agent.card.skills.iter().map(&mut skill).collect();
    if is_waiting {
        skills.iter_mut().for_each(|skill| skill.vectors.clear());
    }
    let agent = Arc::clone(key);
    (AgentDoc { agent, skills }, is_waiting)
}
