//! Writes what the host's own search finds for labelled questions, for the fit of
//! the router's calibration.
//!
//! ```text
//! cargo run --release --example features -- CARDS QUERIES OUT
//! ```
//!
//! `CARDS` and `QUERIES` are the labelled set (`components/router/calibration/`).
//! Each question is asked with the encoder and by words alone, in the mesh of all
//! agents and in smaller ones: `{"query", "route": name or null, "encoder": name or
//! null, "one_in", "candidates": [{"agent", "lexical", "coverage", "vector"}]}` a line.
//!
//! Smaller meshes are built and searched like any other, and not made by leaving
//! hits out: how rare a word is depends on all cards of the mesh.
//!
//! Nothing is random: the same cards and questions give the same lines.

use kgents_encoder::{Embedding, Encoder};
use kgents_gateway::card::{Card, Skill};
use kgents_gateway::{OwnAgent, own_card};
use kgents_mesh::registry::{Directory, Embedder, Registry};
use kgents_mesh::routing::CANDIDATES;
use kgents_mesh::store::Store;
use kgents_search::words::clip;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// In a mesh of "one in `n`", each agent but the right one exists with a chance of
/// one in `n`: from a company's catalogue down to a handful.
const ONE_IN: [u64; 5] = [2, 4, 8, 16, 32];

/// In a smaller mesh the right agent is missing for one question in this many, so
/// that the near miss is learnt while most questions still have an answer.
const GONE: u64 = 8;

const USAGE: &str = "usage: features CARDS QUERIES OUT";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Described {
    name: String,
    description: String,
    skills: Vec<Skill>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Labelled {
    query: String,
    /// The agent that is right; `None` when nobody is.
    route: Option<String>,
}

/// One question in one mesh.
#[derive(Serialize)]
struct Line<'a> {
    query: &'a str,
    route: Option<&'a str>,
    encoder: Option<&'a str>,
    one_in: u64,
    candidates: Vec<Candidate>,
}

#[derive(Serialize)]
struct Candidate {
    agent: String,
    lexical: f32,
    coverage: f32,
    vector: Option<f32>,
}

/// All agents, and what the host needs to make a mesh of some.
struct Catalogue {
    cards: Vec<(String, Card)>,
    store: Arc<Store>,
    embedder: Embedder,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [cards, queries, out] = arguments.as_slice() else {
        return Err(USAGE.into());
    };
    // Only the vectors of the cards are kept there, until the program ends.
    let folder = tempfile::tempdir()?;
    let store = Arc::new(Store::open(&folder.path().join("state.redb"))?);
    let catalogue = Catalogue {
        cards: read(cards)?
            .into_iter()
            .map(card)
            .collect::<Result<_, _>>()?,
        embedder: Embedder::new(Some(Arc::new(encoder()?)), Arc::clone(&store)),
        store,
    };
    let questions: Vec<Labelled> = read(queries)?;
    let mut lines = BufWriter::new(File::create(out)?);
    let whole = catalogue.mesh(|_| true)?;
    for question in &questions {
        let vector = catalogue.embedder.question(asked(question)).vector;
        catalogue.write(&mut lines, question, 1, &whole, vector.as_ref())?;
        for one_in in ONE_IN {
            let smaller = catalogue.mesh(|agent| exists(agent, question, one_in))?;
            catalogue.write(&mut lines, question, one_in, &smaller, vector.as_ref())?;
        }
    }
    lines.flush()?;
    let (agents, questions) = (catalogue.cards.len(), questions.len());
    println!(
        "{questions} questions to {agents} agents: wrote {}",
        out.display()
    );
    Ok(())
}

impl Catalogue {
    /// The mesh of the agents that exist, as the host makes it from their cards.
    fn mesh(&self, exists: impl Fn(&str) -> bool) -> Result<Arc<Directory>, Box<dyn Error>> {
        let cards = self.cards.iter().filter(|(name, _)| exists(name)).cloned();
        let (store, embedder) = (Arc::clone(&self.store), self.embedder.clone());
        Ok(Registry::open(store, embedder, "local", cards.collect())?.directory())
    }

    /// Writes what is found for the question, with the encoder and without.
    fn write(
        &self,
        lines: &mut impl Write,
        question: &Labelled,
        one_in: u64,
        mesh: &Directory,
        vector: Option<&Embedding>,
    ) -> Result<(), Box<dyn Error>> {
        let route = question.route.as_deref();
        for vector in [vector, None] {
            let line = Line {
                query: &question.query,
                route: route.filter(|right| mesh.agent(right).is_some()),
                encoder: vector.and(self.embedder.name()),
                one_in,
                candidates: candidates(mesh, asked(question), vector),
            };
            serde_json::to_writer(&mut *lines, &line)?;
            lines.write_all(b"\n")?;
        }
        Ok(())
    }
}

/// The words as the exchange searches for them.
fn asked(question: &Labelled) -> &str {
    clip(question.query.trim())
}

/// What the router would be given.
fn candidates(mesh: &Directory, text: &str, vector: Option<&Embedding>) -> Vec<Candidate> {
    let hits = mesh.search(text, vector, CANDIDATES).into_iter();
    hits.map(|(agent, hit)| Candidate {
        agent: agent.name.clone(),
        lexical: hit.lexical,
        coverage: hit.coverage,
        vector: hit.vector,
    })
    .collect()
}

/// Whether the agent exists in the question's mesh of one in `one_in`.
fn exists(agent: &str, question: &Labelled, one_in: u64) -> bool {
    let size = one_in.to_string();
    if question.route.as_deref() == Some(agent) {
        !draw(&["gone", &size, &question.query]).is_multiple_of(GONE)
    } else {
        draw(&["exists", &size, &question.query, agent]).is_multiple_of(one_in)
    }
}

/// A number that these texts always draw, as good as a random one.
fn draw(texts: &[&str]) -> u64 {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update(text.as_bytes());
        hash.update([0]);
    }
    hash.finalize()
        .iter()
        .take(8)
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn encoder() -> Result<Encoder, Box<dyn Error>> {
    let (cache, home) = (std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME"));
    let path = kgents_encoder::default_path(cache.as_deref(), home.as_deref())
        .ok_or("neither XDG_CACHE_HOME nor HOME is set")?;
    Encoder::open(&path).map_err(|error| {
        let path = path.display();
        format!("{path}: {error}; install the model: kgents model install").into()
    })
}

/// The described agent as a card, read as any registered one is.
fn card(described: Described) -> Result<(String, Card), Box<dyn Error>> {
    let Described {
        name,
        description,
        skills,
    } = described;
    let payload = own_card(
        &format!("http://mesh.invalid/agents/{name}"),
        &OwnAgent {
            name: &name,
            description: &description,
            version: "",
            skills: &skills,
        },
    );
    let card = Card::parse(payload).map_err(|failure| format!("{name}: {}", failure.message))?;
    Ok((name, card))
}

/// Reads a file, one line of JSON each.
fn read<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, String> {
    let name = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    let lines = (1..)
        .zip(text.lines())
        .filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            serde_json::from_str(line).map_err(|error| format!("{name}:{number}: {error}"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(number: u32) -> Labelled {
        Labelled {
            query: format!("question {number}"),
            route: Some("right".to_owned()),
        }
    }

    #[test]
    fn a_mesh_of_one_in_four_has_a_quarter_of_the_others() {
        let others = (0..4_000).filter(|n| exists(&format!("agent-{n}"), &question(1), 4));
        let count = others.count();
        assert!((850..1_150).contains(&count), "{count}");
    }

    #[test]
    fn the_right_agent_is_missing_for_one_question_in_eight() {
        let gone = (0..4_000).filter(|n| !exists("right", &question(*n), 32));
        let count = gone.count();
        assert!((400..600).contains(&count), "{count}");
    }
}
