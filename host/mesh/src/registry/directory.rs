//! The directory: all agents at one revision, immutable, with what is derived
//! from their cards.

use super::embed::Embedder;
use crate::search::words::normalise;
use crate::search::{Index, SkillText};
use kgents_gateway::card::{Card, Skill};
use std::collections::{BTreeMap, HashMap};
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

/// Embeds all texts of a card, so that building a directory finds them known.
/// Takes milliseconds of a core for each.
pub(super) fn embed(card: &Card, embedder: &Embedder) {
    let of_skill = |skill| texts(card, skill);
    let texts: Vec<String> = card.skills.iter().flat_map(of_skill).collect();
    embedder.embed(&texts);
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

/// All agents at one revision.
pub struct Directory {
    /// Grows with every change of a card.
    pub revision: u64,
    agents: BTreeMap<String, Arc<Agent>>,
    numbered: Vec<Arc<Agent>>,
    exact: HashMap<String, Vec<(u32, Via)>>,
    index: Index,
}

impl Directory {
    /// Derives everything from the agents.
    pub(super) fn build(revision: u64, agents: Vec<Arc<Agent>>, embedder: &Embedder) -> Self {
        let mut exact: HashMap<String, Vec<(u32, Via)>> = HashMap::new();
        let mut skills = Vec::new();
        for (number, agent) in (0u32..).zip(&agents) {
            let mut name = |text: &str, via| {
                let named = exact.entry(normalise(text)).or_default();
                if !named.iter().any(|(other, _)| *other == number) {
                    named.push((number, via));
                }
            };
            name(&agent.name, Via::Name);
            name(&agent.card.name, Via::Alias);
            for skill in &agent.card.skills {
                name(&skill.id, Via::Skill);
                let texts = texts(&agent.card, skill);
                skills.push(SkillText {
                    agent: number,
                    name: skill.name.clone(),
                    vectors: embedder.embed(&texts),
                    text: texts.into_iter().next().unwrap_or_default(),
                });
            }
        }
        Self {
            revision,
            agents: agents
                .iter()
                .map(|a| (a.name.clone(), Arc::clone(a)))
                .collect(),
            numbered: agents,
            exact,
            index: Index::build(skills),
        }
    }

    /// One agent by name.
    pub fn agent(&self, name: &str) -> Option<&Arc<Agent>> {
        self.agents.get(name)
    }

    /// All agents by name.
    pub fn agents(&self) -> impl Iterator<Item = &Arc<Agent>> {
        self.agents.values()
    }

    /// Number of agents.
    pub fn len(&self) -> usize {
        self.agents.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.agents.is_empty()
    }

    /// Agents that the text names exactly.
    pub fn exact(&self, text: &str) -> impl Iterator<Item = (&Arc<Agent>, Via)> {
        self.exact
            .get(&normalise(text))
            .into_iter()
            .flatten()
            .filter_map(|(number, via)| Some((self.numbered.get(*number as usize)?, *via)))
    }

    /// Agents whose skills resemble the text; see [`Index::search`].
    pub fn search(
        &self,
        text: &str,
        query: Option<&kgents_encoder::Embedding>,
        limit: usize,
    ) -> Vec<(&Arc<Agent>, crate::search::Hit)> {
        self.index
            .search(text, query, limit)
            .into_iter()
            .filter_map(|hit| Some((self.numbered.get(hit.agent as usize)?, hit)))
            .collect()
    }
}
