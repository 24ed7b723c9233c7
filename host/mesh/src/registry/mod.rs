//! The registry: which agents there are. Cards are kept raw and revisioned;
//! what is derived from them (names, index) is one immutable directory per
//! revision, so that readers never wait; two of them share what did not change.
//!
//! Reading order: `directory` over `sorted`; `encode` and `endpoint` (encoders),
//! `embed`; this file, and `catch_up` for what an encoder did not do at once.

mod catch_up;
mod directory;
mod embed;
mod encode;
mod endpoint;
mod sorted;

pub use catch_up::Step;
pub use directory::{Agent, Directory, Origin, Status, Via};
pub use embed::{Asked, Embedder};
pub use encode::{Encode, EncodeError, Remote};
pub use endpoint::{Endpoint, EndpointError, EndpointSettings};

use crate::store::{self, Store};
use arc_swap::ArcSwap;
use kgents_gateway::call::{Failure, FailureKind, Payload};
use kgents_gateway::card::Card;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Names of the mesh's own agents, which no card may take.
pub const OWN_AGENTS: [&str; 3] = ["b-gent", "l-gent", "echo"];

/// A card as it is stored.
#[derive(Serialize, Deserialize)]
struct Stored {
    card: Payload,
    source: String,
    revision: u64,
}

/// A card to be registered under a name.
#[derive(Clone, Debug)]
pub struct Entry {
    /// RFC 1123 label.
    pub name: String,
    /// The parsed card.
    pub card: Card,
    /// Where it came from: a URL, `api`, or a file.
    pub source: String,
}

/// The registry.
pub struct Registry {
    store: Arc<Store>,
    directory: ArcSwap<Directory>,
    embedder: Embedder,
    cluster: Arc<str>,
    own: Vec<Arc<Agent>>,
    changing: Mutex<()>,
    waiting: catch_up::Waiting,
    /// Told after each change.
    listeners: Mutex<Vec<Listener>>,
}

/// Hears that the directory has changed; may not block, nor change the registry.
pub type Listener = Box<dyn Fn() + Send + Sync>;

impl Registry {
    /// Opens the registry on its store. `own` are the mesh's own agents.
    /// A stored card that no longer parses is left out with a warning, and
    /// stays stored.
    ///
    /// # Errors
    /// When the store fails.
    pub fn open(
        store: Arc<Store>,
        embedder: Embedder,
        cluster: &str,
        own: Vec<(String, Card)>,
    ) -> Result<Self, store::Error> {
        let cluster: Arc<str> = cluster.into();
        let own = own
            .into_iter()
            .map(|(name, card)| Arc::new(Agent::new(name, card, Origin::Own, 0, &cluster)))
            .collect::<Vec<_>>();
        let (revision, rows) = store.cards()?;
        let mut agents: Vec<Arc<Agent>> = own.clone();
        for (name, bytes) in rows {
            match read(&bytes) {
                Ok((card, source, at)) => {
                    let origin = Origin::Registered { source };
                    agents.push(Arc::new(Agent::new(name, card, origin, at, &cluster)));
                }
                Err(problem) => tracing::warn!(agent = name, problem, "a stored card is left out"),
            }
        }
        // What an endpoint has made before is found by its name. Without an answer, and
        // for what it has not made yet, nobody waits: see `catch_up`.
        if let Some(remote) = embedder.remote() {
            let _ = embedder.has_name(remote.timeout);
        }
        let built = Directory::build(revision, agents, &embedder).map_err(unreadable)?;
        let waiting = catch_up::Waiting::default();
        embedder.metrics().count_waiting(built.waiting.len());
        waiting.changed(std::iter::empty(), built.waiting);
        Ok(Self {
            store,
            directory: ArcSwap::from_pointee(built.directory),
            embedder,
            cluster,
            own,
            changing: Mutex::new(()),
            waiting,
            listeners: Mutex::default(),
        })
    }

    /// Has `listener` called after each change of the directory, on the thread
    /// that made it.
    pub fn on_change(&self, listener: Listener) {
        self.listeners.lock().push(listener);
    }

    fn replace(&self, directory: Directory) {
        self.directory.store(Arc::new(directory));
        for listener in self.listeners.lock().iter() {
            listener();
        }
    }

    /// The directory as it is now.
    pub fn directory(&self) -> Arc<Directory> {
        self.directory.load_full()
    }

    /// What turns questions into vectors.
    pub fn embedder(&self) -> &Embedder {
        &self.embedder
    }

    /// Adds or replaces agents; durable when it returns. Blocks while texts
    /// are embedded, so call it off the async threads; for a remote encoder as long
    /// as its timeout, and what is missing then comes later. Returns the revision
    /// and, per entry, whether it is new.
    ///
    /// # Errors
    /// `Refused` for a name that is the mesh's own and for a card that is too
    /// large for the index, `Unavailable` when the store fails; nothing is
    /// changed then.
    pub fn put(&self, entries: Vec<Entry>) -> Result<(u64, Vec<bool>), Failure> {
        for entry in &entries {
            if OWN_AGENTS.contains(&entry.name.as_str()) {
                return Err(Failure::new(
                    FailureKind::Refused,
                    format!("`name`: `{}` is one of the mesh's own agents", entry.name),
                )
                .hint("register it under another name: --name NAME"));
            }
        }
        // Before the lock, as a card may have texts for many seconds: nobody
        // else who registers waits for them. Whoever is done last has the name.
        prepare(entries.iter().map(|entry| &entry.card), &self.embedder);
        let _one_at_a_time = self.changing.lock();
        let old = self.directory();
        let revision = old.revision + 1;
        let mut rows = Vec::new();
        let mut created = Vec::new();
        let mut agents: Vec<Arc<Agent>> = Vec::new();
        for entry in entries {
            created.push(old.agent(&entry.name).is_none());
            let stored = Stored {
                card: entry.card.raw().clone(),
                source: entry.source.clone(),
                revision,
            };
            rows.push((
                entry.name.clone(),
                serde_json::to_vec(&stored).unwrap_or_default(),
            ));
            let origin = Origin::Registered {
                source: entry.source,
            };
            let agent = Agent::new(entry.name, entry.card, origin, revision, &self.cluster);
            agents.push(Arc::new(agent));
        }
        let changed = old
            .changed(revision, &[], agents, &self.embedder)
            .map_err(too_large)?;
        let changes: Vec<_> = rows
            .iter()
            .map(|(name, row)| (name.as_str(), Some(row.as_slice())))
            .collect();
        self.store
            .change_cards(revision, &changes)
            .map_err(unavailable)?;
        let names = rows.iter().map(|(name, _)| name.as_str());
        self.waiting.changed(names, changed.waiting);
        self.embedder.metrics().count_waiting(self.waiting());
        self.replace(changed.directory);
        Ok((revision, created))
    }

    /// Takes an agent out; durable when it returns. Returns the revision.
    ///
    /// # Errors
    /// `UnknownAgent`, `Refused` for the mesh's own, `Unavailable` when the
    /// store fails.
    pub fn remove(&self, name: &str) -> Result<u64, Failure> {
        if self.own.iter().any(|agent| agent.name == name) {
            let message = format!("`{name}` is one of the mesh's own agents and stays");
            return Err(Failure::new(FailureKind::Refused, message));
        }
        let _one_at_a_time = self.changing.lock();
        let old = self.directory();
        if old.agent(name).is_none() {
            return Err(unknown(name));
        }
        let revision = old.revision + 1;
        let changed = old
            .changed(revision, &[name], Vec::new(), &self.embedder)
            .map_err(too_large)?;
        self.store
            .change_cards(revision, &[(name, None)])
            .map_err(unavailable)?;
        self.waiting.changed(std::iter::once(name), changed.waiting);
        self.embedder.metrics().count_waiting(self.waiting());
        self.replace(changed.directory);
        Ok(revision)
    }
}

/// Embeds all texts of these cards, so that building a directory finds them known.
/// Takes milliseconds of a core for each, or as long as a remote encoder may take.
fn prepare<'a>(cards: impl Iterator<Item = &'a Card>, embedder: &Embedder) {
    let texts: Vec<String> = cards.flat_map(directory::all_texts).collect();
    let limit = embedder.remote().map(|remote| remote.timeout);
    embedder.prepare(&texts, limit.unwrap_or(Duration::MAX));
}

/// The answer for an agent that does not exist, or that the caller may not see:
/// they cannot be told apart.
pub fn unknown(name: &str) -> Failure {
    Failure::new(
        FailureKind::UnknownAgent,
        format!("there is no agent `{name}` for you here"),
    )
    .hint("list the agents you may see: kgents agents list")
}

fn unavailable(error: store::Error) -> Failure {
    tracing::error!(
        code = error.code(),
        error = &error as &dyn std::error::Error,
        "store"
    );
    Failure::new(
        FailureKind::Unavailable,
        "the registry cannot be written now",
    )
    .hint("check the disk of the data folder: kgents check")
}

/// The answer for a card that is too large for the index.
fn too_large(error: kgents_search::Error) -> Failure {
    use kgents_search::Error;
    let field = match &error {
        Error::Skills { .. } => "skills",
        Error::Vectors { .. } => "skills[].examples",
    };
    Failure::new(FailureKind::Refused, format!("`{field}`: {error}"))
}

/// A stored card is too large for the index. It was not when it was stored.
fn unreadable(error: kgents_search::Error) -> store::Error {
    store::Error::Unreadable {
        key: "cards/1".to_owned(),
        source: serde::de::Error::custom(error),
    }
}

fn read(bytes: &[u8]) -> Result<(Card, String, u64), String> {
    let stored: Stored = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    let card = Card::parse(stored.card).map_err(|failure| failure.message)?;
    Ok((card, stored.source, stored.revision))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kgents_encoder::Embedding;
    use std::sync::mpsc;

    /// An encoder of this process that does as it is told.
    struct ByHand<F>(F);

    impl<F: Fn(&str) -> Embedding + Send + Sync> Encode for ByHand<F> {
        fn name(&self) -> Option<&str> {
            Some("by-hand")
        }

        fn encode(&self, texts: &[&str]) -> Result<Vec<Embedding>, EncodeError> {
            Ok(texts.iter().map(|text| (self.0)(text)).collect())
        }
    }

    fn entry(name: &str, description: &str) -> Entry {
        let card = serde_json::json!({
            "name": name, "description": description, "version": "1",
            "supportedInterfaces": [
                { "url": "http://127.0.0.1:9/", "protocolBinding": "JSONRPC", "protocolVersion": "1.0" }
            ],
            "skills": [{ "id": "s", "name": "s", "description": "s", "tags": [], "examples": ["an example"] }],
        });
        Entry {
            name: name.into(),
            card: Card::parse(Payload::of(&card)).unwrap(),
            source: "api".into(),
        }
    }

    /// A registry whose encoder says when it is at a text that begins with
    /// `slow`, and goes on when it is told to.
    fn registry(dir: &tempfile::TempDir) -> (Arc<Registry>, mpsc::Receiver<()>, mpsc::Sender<()>) {
        let store = Arc::new(Store::open(&dir.path().join("state.redb")).unwrap());
        let (at_it, begun) = mpsc::channel();
        let (go_on, told) = mpsc::channel();
        let told = Mutex::new(told);
        let encode = move |text: &str| {
            if text.starts_with("slow") {
                at_it.send(()).unwrap();
                told.lock().recv().unwrap();
            }
            Embedding::normalised(&[1.0; kgents_encoder::DIMENSIONS]).unwrap()
        };
        let embedder = Embedder::new(Some(Arc::new(ByHand(encode))), Arc::clone(&store));
        let registry = Registry::open(store, embedder, "local", Vec::new()).unwrap();
        (Arc::new(registry), begun, go_on)
    }

    #[test]
    fn a_card_that_takes_long_to_embed_holds_no_other_change_up() {
        let dir = tempfile::tempdir().unwrap();
        let (registry, begun, go_on) = registry(&dir);
        registry.put(vec![entry("quick", "quick")]).unwrap();
        let busy = Arc::clone(&registry);
        let slow = std::thread::spawn(move || busy.put(vec![entry("slow", "slow")]));
        begun.recv().unwrap();
        assert_eq!(
            registry.put(vec![entry("quick", "quick")]).unwrap(),
            (2, vec![false])
        );
        assert_eq!(registry.remove("quick").unwrap(), 3);
        go_on.send(()).unwrap();
        assert_eq!(slow.join().unwrap().unwrap(), (4, vec![true]));
        let directory = registry.directory();
        assert!(directory.agent("quick").is_none() && directory.agent("slow").is_some());
    }

    #[test]
    fn of_two_cards_under_one_name_the_last_to_be_done_stays_and_is_stored() {
        let dir = tempfile::tempdir().unwrap();
        let (registry, begun, go_on) = registry(&dir);
        registry.put(vec![entry("a", "first")]).unwrap();
        let busy = Arc::clone(&registry);
        let slow = std::thread::spawn(move || busy.put(vec![entry("a", "slow")]));
        begun.recv().unwrap();
        registry.put(vec![entry("a", "first")]).unwrap();
        go_on.send(()).unwrap();
        assert_eq!(slow.join().unwrap().unwrap(), (3, vec![false]));
        let directory = registry.directory();
        let agent = directory.agent("a").unwrap();
        assert_eq!(
            (agent.card.description.as_str(), agent.revision),
            ("slow", 3)
        );
        let (revision, rows) = registry.store.cards().unwrap();
        assert_eq!((revision, rows.len()), (3, 1));
        assert_eq!(read(&rows[0].1).unwrap().2, 3);
    }

    /// Whom the directory names and finds for some texts.
    fn answers(directory: &Directory) -> Vec<Vec<(String, Option<Via>)>> {
        let name = |agent: &Arc<Agent>| agent.name.clone();
        let exact = |text| {
            let exact = directory.exact(text);
            exact.map(|(agent, via)| (name(agent), Some(via))).collect()
        };
        let found = directory.search("book a flight", None, 3);
        let found = found.iter().map(|(agent, _)| (name(agent), None));
        let all = directory.agents().map(|agent| (name(agent), None));
        let texts = ["s", "a1", "A1", "flights", "an example"];
        let lists = texts.map(exact).into_iter();
        lists.chain([found.collect(), all.collect()]).collect()
    }

    #[test]
    fn a_directory_that_was_changed_answers_like_one_that_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(&dir.path().join("state.redb")).unwrap());
        let embedder = Embedder::new(None, Arc::clone(&store));
        let open = || Registry::open(Arc::clone(&store), embedder.clone(), "local", Vec::new());
        let registry = open().unwrap();
        let flights = |name: &str| {
            let mut entry = entry("flights", "books flights");
            name.clone_into(&mut entry.name);
            entry
        };
        let many = (0..40).map(|n| entry(&format!("a{n}"), "says hello"));
        registry.put(many.collect()).unwrap();
        registry.put(vec![flights("a1"), flights("b")]).unwrap();
        registry.remove("a7").unwrap();
        registry.put(vec![flights("a9")]).unwrap();
        registry.put(vec![entry("a9", "says hello")]).unwrap();
        let changed = registry.directory();
        assert_eq!((changed.len(), changed.revision), (40, 5));
        assert_eq!(changed.exact("s").count(), 40);
        assert_eq!(changed.exact("flights").count(), 2);
        assert_eq!(changed.exact("a7").count(), 0);
        assert_eq!(answers(&changed), answers(&open().unwrap().directory()));
    }

    #[test]
    fn an_agent_that_fails_takes_nobodys_place_among_the_candidates() {
        let dir = tempfile::tempdir().unwrap();
        let (registry, ..) = registry(&dir);
        let alike = ["a", "b", "c"].map(|name| entry(name, "books flights"));
        registry.put(alike.to_vec()).unwrap();
        let directory = registry.directory();
        directory.agent("a").unwrap().set_status(Status::Failed);
        let found = directory.search("flights", None, 1);
        let found: Vec<&str> = found.iter().map(|(agent, _)| &*agent.name).collect();
        assert_eq!(found, ["b"]);
    }

    #[test]
    fn a_card_too_large_for_the_index_is_refused_by_its_field() {
        let (agent, skills, vectors) = ("a".to_owned(), 1 << 20, 1 << 20);
        let of_skills = kgents_search::Error::Skills {
            agent: agent.clone(),
            skills,
        };
        let of_vectors = kgents_search::Error::Vectors { agent, vectors };
        for (error, field) in [(of_skills, "`skills`"), (of_vectors, "`skills[].examples`")] {
            let failure = too_large(error);
            assert_eq!(failure.kind, FailureKind::Refused);
            assert!(failure.message.starts_with(field), "{}", failure.message);
        }
    }
}
