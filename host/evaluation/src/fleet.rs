//! The agents among whom is chosen: cards, or what stands for them, made into a
//! directory by the mesh's own registry.

use std::collections::BTreeMap;
use std::sync::Arc;

use kgents_gateway::{Card, OwnAgent, Skill, own_card};
use kgents_mesh::registry::{Directory, Embedder, Encode, Registry};
use kgents_mesh::store::Store;

use crate::lines::{Described, Labelled};
use crate::{Error, Step, Told};

/// Where agents would be that only stand in a file.
const NOWHERE: &str = "http://mesh.invalid/";
/// The cluster of all agents.
pub const CLUSTER: &str = "local";
/// Texts that are encoded between two tellings of how far it is.
const TEXTS: usize = 64;

/// Agents, as a registry has them.
pub struct Fleet {
    store: Arc<Store>,
    registry: Arc<Registry>,
    directory: Arc<Directory>,
}

impl Fleet {
    /// A registry of these agents, by name; of two with one name the last counts.
    /// Encodes all their texts.
    ///
    /// # Errors
    /// [`Error::NoAgents`], [`Error::Folder`] and [`Error::Registry`].
    pub fn open(
        agents: Vec<(String, Card)>,
        encoder: Option<Arc<dyn Encode>>,
        told: &dyn Told,
    ) -> Result<Self, Error> {
        if agents.is_empty() {
            return Err(Error::NoAgents);
        }
        let folder = tempfile::tempdir().map_err(Error::Folder)?;
        let store = Arc::new(Store::open(&folder.path().join("state.redb"))?);
        // Open files stay though their folder goes, so that nothing is left behind
        // by whoever is told to stop in the middle.
        drop(folder);
        let embedder = Embedder::new(encoder, Arc::clone(&store));
        if embedder.is_there() {
            encode(&agents, &embedder, told);
        }
        let registry = Registry::open(Arc::clone(&store), embedder, CLUSTER, agents)?;
        Ok(Self {
            store,
            directory: registry.directory(),
            registry: Arc::new(registry),
        })
    }

    /// All agents.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// What has them.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Where what is known of them is kept meanwhile.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// What turns texts into vectors.
    pub fn embedder(&self) -> &Embedder {
        self.registry.embedder()
    }
}

/// Makes the vectors of all examples known, so that the registry, which tells
/// nobody how far it is, does not have to wait for them.
fn encode(agents: &[(String, Card)], embedder: &Embedder, told: &dyn Told) {
    let skills = agents.iter().flat_map(|(_, card)| &card.skills);
    let texts: Vec<String> = skills.flat_map(|skill| skill.examples.clone()).collect();
    for (done, some) in texts.chunks(TEXTS).enumerate() {
        told.at(Step::Encoding, done * TEXTS, texts.len());
        embedder.embed(some);
    }
}

/// An agent for each label, with the questions as its skill's examples.
///
/// # Errors
/// [`Error::Card`].
pub fn of_examples(lines: &[Labelled]) -> Result<Vec<(String, Card)>, Error> {
    let mut routes: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for line in lines {
        if let Some(route) = &line.route {
            routes.entry(route).or_default().push(line.query.clone());
        }
    }
    let agent = |(name, examples): (&str, Vec<String>)| {
        let skill = Skill {
            id: name.to_owned(),
            name: spaced(name),
            examples,
            ..Skill::default()
        };
        card(name, String::new(), vec![skill])
    };
    routes.into_iter().map(agent).collect()
}

/// The described agents. One of whom nothing but a description is known has that as
/// its one skill.
///
/// # Errors
/// [`Error::Card`].
pub fn of_descriptions(agents: &[Described]) -> Result<Vec<(String, Card)>, Error> {
    let agent = |agent: &Described| {
        let mut skills = agent.skills.clone();
        if skills.is_empty() {
            skills.push(Skill {
                id: agent.name.clone(),
                name: spaced(&agent.name),
                ..Skill::default()
            });
        }
        card(&agent.name, agent.description.clone(), skills)
    };
    agents.iter().map(agent).collect()
}

/// A card as it is in the mesh, whatever letters its name has.
fn card(name: &str, description: String, skills: Vec<Skill>) -> Result<(String, Card), Error> {
    let payload = own_card(
        NOWHERE,
        &OwnAgent {
            name: "agent",
            description: "",
            version: "",
            skills: &[],
        },
    );
    let mut card = Card::parse(payload).map_err(|failure| Error::Card {
        name: name.to_owned(),
        problem: failure.message,
    })?;
    name.clone_into(&mut card.name);
    card.description = description;
    card.skills = skills;
    Ok((name.to_owned(), card))
}

/// A name's words: `book_flight` says the same as `book flight`.
fn spaced(name: &str) -> String {
    name.replace(['_', '-', '.', '/'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labelled(query: &str, route: Option<&str>) -> Labelled {
        Labelled {
            query: query.to_owned(),
            route: route.map(str::to_owned),
            line: 1,
        }
    }

    #[test]
    fn labels_of_any_letters_become_agents_with_their_questions() {
        let lines = [
            labelled("take me to rome", Some("book_flight")),
            labelled("how is it", None),
            labelled("a room, please", Some("a room / bed")),
            labelled("fly me", Some("book_flight")),
        ];
        let fleet = Fleet::open(of_examples(&lines).unwrap(), None, &()).unwrap();
        let told: Vec<_> = fleet
            .directory()
            .agents()
            .map(|agent| (agent.name.as_str(), agent.card.skills[0].examples.len()))
            .collect();
        assert_eq!(told, [("a room / bed", 1), ("book_flight", 2)]);
        let found = fleet.directory().search("flight", None, 3);
        assert_eq!(found[0].0.name, "book_flight");
    }

    #[test]
    fn an_agent_is_found_by_its_description_alone() {
        let described = |name: &str, description: &str| Described {
            name: name.to_owned(),
            description: description.to_owned(),
            skills: Vec::new(),
            line: 1,
        };
        let agents = [
            described("atlas", "Translates contracts"),
            described("b", "Plans trips"),
        ];
        let fleet = Fleet::open(of_descriptions(&agents).unwrap(), None, &()).unwrap();
        let found = fleet.directory().search("translate this contract", None, 3);
        assert_eq!(found[0].0.name, "atlas");
    }

    #[test]
    fn without_agents_there_is_nothing_to_measure() {
        let error = Fleet::open(Vec::new(), None, &()).err().unwrap();
        assert_eq!(error.code(), "NO_AGENTS");
    }
}
