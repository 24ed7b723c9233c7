//! The cache as its callers see it, over a real registry.

mod anew;

use super::*;
use crate::registry::{Embedder, Entry as CardEntry, Registry};
use crate::store::Store;
use kgents_engine::deciders::router::Alternative;
use kgents_gateway::call::Payload;
use kgents_gateway::card::Card;
use parking_lot::Mutex;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::sync::Barrier;

/// Longer than any test; who waits for it has failed.
const LONG: Option<Duration> = Some(Duration::from_secs(60));

/// A registry in a folder of its own.
pub(super) struct World {
    registry: Registry,
    _folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(&folder.path().join("state.redb")).unwrap());
        let embedder = Embedder::new(None, Arc::clone(&store));
        let registry = Registry::open(store, embedder, "local", Vec::new()).unwrap();
        Self {
            registry,
            _folder: folder,
        }
    }

    /// With agents of these names, each with these words.
    pub(super) fn with(agents: &[(&str, &str)]) -> Self {
        let world = Self::new();
        let cards = agents.iter().map(|(name, text)| entry(name, text));
        world.registry.put(cards.collect()).unwrap();
        world
    }

    fn put(&self, name: &str, text: &str) {
        self.registry.put(vec![entry(name, text)]).unwrap();
    }

    fn take_out(&self, name: &str) {
        self.registry.remove(name).unwrap();
    }

    pub(super) fn directory(&self) -> Arc<Directory> {
        self.registry.directory()
    }

    fn fails(&self, name: &str, status: Status) {
        let directory = self.directory();
        directory.agent(name).unwrap().set_status(status);
    }

    fn decisions(&self) -> Decisions {
        Decisions::new(64, &self.directory(), Some(Arc::new(encode)), None)
    }
}

fn card(name: &str, text: &str) -> Value {
    json!({
        "name": name, "description": "", "version": "1",
        "supportedInterfaces": [
            { "url": "http://127.0.0.1:9/", "protocolBinding": "JSONRPC", "protocolVersion": "1.0" }
        ],
        "skills": [{ "id": "skill", "name": "skill", "description": text, "tags": [] }],
    })
}

fn entry_of(name: &str, card: &Value) -> CardEntry {
    CardEntry {
        name: name.into(),
        card: Card::parse(Payload::of(card)).unwrap(),
        source: "api".into(),
    }
}

fn entry(name: &str, text: &str) -> CardEntry {
    entry_of(name, &card(name, text))
}

fn deprecated(name: &str, text: &str, successor: &str) -> CardEntry {
    let mut card = card(name, text);
    card["capabilities"] = json!({ "extensions": [
        { "uri": "https://kgents.dev/ext/deprecated/v1", "params": { "successor": successor } }
    ]});
    entry_of(name, &card)
}

/// An encoder that knows three themes, and nothing else.
pub(super) fn encode(text: &str) -> Option<Steps> {
    let themes = [
        ["translate", "french", "language"],
        ["pay", "invoice", "bill"],
        ["won", "football", "goal"],
    ];
    let mut vector = [0.0; DIMENSIONS];
    for (number, theme) in vector.iter_mut().zip(themes) {
        let known = text.split(' ').filter(|word| theme.contains(word));
        *number = known.count() as f32;
    }
    Steps::of(&vector)
}

fn scope() -> Scope {
    super::key::tests::scope("ada")
}

pub(super) fn key(text: &str) -> Key {
    Key::new(scope(), text).unwrap()
}

pub(super) fn decided(agent: &str, next: &[&str]) -> Decided {
    let alternative = |agent: &&str| Alternative {
        agent: (*agent).to_owned(),
        cluster: "local".to_owned(),
        confidence: 0.05,
    };
    Decided {
        agent: agent.to_owned(),
        cluster: "local".to_owned(),
        confidence: 0.95,
        basis: Basis::Classifier,
        alternatives: next.iter().map(alternative).collect(),
        in_scope: 0.95,
        by_words_alone: false,
    }
}

fn keep(decisions: &Decisions, world: &World, text: &str, decided: Decided) {
    match decisions.lookup(&key(text), &world.directory(), None) {
        Lookup::Lead(lead) => lead.keep(decided, encode(text).as_ref()),
        Lookup::Hit(served) => panic!("`{text}` is known: {served:?}"),
        Lookup::Pass => panic!("`{text}` is being decided"),
    }
}

/// Whom a question is led to from memory.
fn known(decisions: &Decisions, world: &World, text: &str) -> Option<String> {
    match decisions.lookup(&key(text), &world.directory(), None) {
        Lookup::Hit(served) => Some(served.agent),
        Lookup::Lead(_) | Lookup::Pass => None,
    }
}

pub(super) const FLEET: [(&str, &str); 6] = [
    ("translator", "translate language texts"),
    ("interpreter", "translate what speakers say"),
    ("payer", "pay bills"),
    ("weather", "rain sun"),
    ("music", "songs"),
    ("sports", "football results"),
];

pub(super) const QUESTION: &str = "put this into french";

fn settled() -> (World, Decisions) {
    let world = World::with(&FLEET);
    let decisions = world.decisions();
    keep(
        &decisions,
        &world,
        QUESTION,
        decided("translator", &["interpreter"]),
    );
    (world, decisions)
}

/// What becomes of the settled decision after a change.
fn stays(change: impl FnOnce(&World)) -> bool {
    let (world, decisions) = settled();
    change(&world);
    decisions.fleet_changed(&world.directory());
    let after = known(&decisions, &world, QUESTION);
    assert!(after.as_deref().is_none_or(|agent| agent == "translator"));
    assert_eq!(decisions.counts().invalidated, u64::from(after.is_none()));
    after.is_some()
}

#[test]
fn what_was_decided_is_served_in_any_dress_to_the_same_scope_alone() {
    let (world, decisions) = settled();
    let served = known(&decisions, &world, "  Put THIS into French! ");
    assert_eq!(served.as_deref(), Some("translator"));
    let other = Key::new(super::key::tests::scope("bob"), QUESTION).unwrap();
    let found = decisions.lookup(&other, &world.directory(), None);
    assert!(matches!(found, Lookup::Lead(_)));
}

#[test]
fn a_change_that_cannot_matter_leaves_a_decision() {
    assert!(stays(|_| {}));
    assert!(stays(|world| world.put("chess", "the openings of chess")));
    assert!(stays(|world| world.put("payer", "pay every invoice")));
    assert!(stays(|world| world.take_out("sports")));
    assert!(stays(|world| world.fails("weather", Status::Failed)));
    assert!(stays(|world| {
        // Another address of the agent itself.
        let mut card = card("translator", FLEET[0].1);
        card["supportedInterfaces"][0]["url"] = json!("http://127.0.0.1:10/");
        let card = entry_of("translator", &card);
        world.registry.put(vec![card]).unwrap();
    }));
    // Words that tell nothing are shared by all.
    assert!(stays(|world| world.put("chess", "this is into the")));
}

#[test]
fn a_change_that_could_matter_drops_a_decision() {
    // The agent, or an alternative, is another one or gone.
    assert!(!stays(|world| world.put("translator", "translate poems")));
    assert!(!stays(|world| world.put("interpreter", "songs")));
    assert!(!stays(|world| world.take_out("translator")));
    assert!(!stays(|world| world.take_out("interpreter")));
    // Somebody shares a word, or means the same without one.
    assert!(!stays(|world| world.put("other", "french cuisine")));
    assert!(!stays(|world| world.put("other", "language courses")));
    // Somebody who could take it fails, or recovers.
    assert!(!stays(|world| world.fails("interpreter", Status::Failed)));
    assert!(!stays(|world| world.fails("translator", Status::Failed)));
    // So many came that counts over all texts are others.
    assert!(!stays(|world| {
        let many = (0..9).map(|n| entry(&format!("n{n}"), "chess openings"));
        world.registry.put(many.collect()).unwrap();
    }));
}

#[test]
fn a_change_of_the_agent_or_of_an_alternative_matters_whatever_their_cards_say() {
    for changed in ["weather", "music"] {
        let world = World::with(&FLEET);
        let decisions = world.decisions();
        keep(&decisions, &world, QUESTION, decided("weather", &["music"]));
        world.put("guest", "chess openings");
        assert!(known(&decisions, &world, QUESTION).is_some());
        world.put(changed, "chess openings");
        assert!(known(&decisions, &world, QUESTION).is_none());
    }
}

#[test]
fn an_agent_that_does_not_say_so_any_more_could_have_mattered() {
    let world = World::with(&FLEET);
    world.put("cook", "french cuisine");
    let decisions = world.decisions();
    keep(&decisions, &world, QUESTION, decided("translator", &[]));
    world.put("cook", "tasty cuisine");
    assert!(known(&decisions, &world, QUESTION).is_none());
}

#[test]
fn a_decision_that_rests_on_words_alone_does_not_care_for_directions() {
    let world = World::with(&FLEET);
    let decisions = world.decisions();
    let by_words = Decided {
        by_words_alone: true,
        ..decided("translator", &[])
    };
    keep(&decisions, &world, QUESTION, by_words);
    world.put("other", "language courses");
    assert!(known(&decisions, &world, QUESTION).is_some());
    world.put("other", "french cuisine");
    assert!(known(&decisions, &world, QUESTION).is_none());
}

#[test]
fn without_an_encoder_every_change_drops_what_rests_on_more_than_words() {
    let world = World::with(&FLEET);
    let decisions = Decisions::new(64, &world.directory(), None, None);
    keep(&decisions, &world, QUESTION, decided("translator", &[]));
    world.put("chess", "openings");
    assert!(known(&decisions, &world, QUESTION).is_none());
}

#[test]
fn a_failed_agent_is_not_served_even_before_anybody_told() {
    let (world, decisions) = settled();
    world.fails("translator", Status::Failed);
    assert!(known(&decisions, &world, QUESTION).is_none());
}

#[test]
fn an_agent_that_recovers_may_take_what_was_decided_without_it() {
    let world = World::with(&FLEET);
    world.fails("interpreter", Status::Failed);
    let decisions = world.decisions();
    keep(
        &decisions,
        &world,
        "translate it",
        decided("translator", &[]),
    );
    keep(&decisions, &world, "who won", decided("sports", &[]));
    world.fails("interpreter", Status::Healthy);
    decisions.fleet_changed(&world.directory());
    assert!(known(&decisions, &world, "translate it").is_none());
    assert!(known(&decisions, &world, "who won").is_some());
}

#[test]
fn what_happened_too_long_ago_is_made_anew() {
    let (world, decisions) = settled();
    for _ in 0..=changes::STEPS_MAX {
        for status in [Status::Failed, Status::Healthy] {
            world.fails("weather", status);
            decisions.fleet_changed(&world.directory());
        }
    }
    assert!(known(&decisions, &world, QUESTION).is_none());
}

#[test]
fn a_revision_that_changed_no_agent_forgets_everything() {
    let (world, decisions) = settled();
    // Between two looks an agent came and went: what it did cannot be told.
    world.put("guest", "chess");
    world.registry.remove("guest").unwrap();
    assert!(known(&decisions, &world, QUESTION).is_none());
}

#[test]
fn where_nothing_is_to_be_kept_nothing_is() {
    let world = World::with(&FLEET);
    let decisions = Decisions::new(0, &world.directory(), Some(Arc::new(encode)), None);
    for _ in 0..3 {
        let looked = decisions.lookup(&key(QUESTION), &world.directory(), None);
        assert!(matches!(looked, Lookup::Pass));
    }
    let counts = decisions.counts();
    assert_eq!((counts.entries, counts.misses), (0, 3));
}

#[test]
fn no_more_decisions_are_kept_than_may_be() {
    let world = World::with(&FLEET);
    let decisions = Decisions::new(16, &world.directory(), Some(Arc::new(encode)), None);
    for number in 0..1_000 {
        let question = format!("{QUESTION} {number}");
        keep(&decisions, &world, &question, decided("translator", &[]));
    }
    // The cache is in parts, each of which may have one more.
    assert!((1..=64).contains(&decisions.counts().entries));
}

#[test]
fn an_old_view_of_the_fleet_is_neither_served_nor_kept() {
    let (world, decisions) = settled();
    let old = world.directory();
    world.put("chess", "openings");
    assert!(known(&decisions, &world, QUESTION).is_some());
    let found = decisions.lookup(&key(QUESTION), &old, LONG);
    assert!(matches!(found, Lookup::Pass));
    assert!(
        decisions
            .nearest(&scope(), &encode("french").unwrap(), &old)
            .is_none()
    );
}

#[test]
fn what_is_no_probability_is_not_kept() {
    let world = World::with(&FLEET);
    let decisions = world.decisions();
    for confidence in [f32::NAN, -0.1, 1.1] {
        let odd = Decided {
            confidence,
            ..decided("translator", &[])
        };
        keep(&decisions, &world, QUESTION, odd);
        assert!(known(&decisions, &world, QUESTION).is_none());
    }
    keep(&decisions, &world, QUESTION, decided("", &[]));
    assert!(known(&decisions, &world, QUESTION).is_none());
}

// Deprecation.

#[test]
fn a_deprecated_agent_s_questions_go_to_its_successor_and_say_so() {
    let (world, decisions) = settled();
    let old = || deprecated("translator", FLEET[0].1, "weather");
    world.registry.put(vec![old()]).unwrap();
    let Lookup::Hit(served) = decisions.lookup(&key(QUESTION), &world.directory(), None) else {
        panic!("the decision is gone");
    };
    assert_eq!(served.agent, "weather");
    assert_eq!(served.instead_of.as_deref(), Some("translator"));
    assert_eq!(served.decided.agent, "translator");
    // The successor fails: nobody takes it from memory.
    world.fails("weather", Status::Failed);
    assert!(known(&decisions, &world, QUESTION).is_none());
}

#[test]
fn an_agent_that_is_not_deprecated_any_more_is_decided_for_anew() {
    let world = World::with(&FLEET);
    let old = deprecated("translator", FLEET[0].1, "weather");
    world.registry.put(vec![old]).unwrap();
    let decisions = world.decisions();
    keep(&decisions, &world, QUESTION, decided("translator", &[]));
    assert_eq!(
        known(&decisions, &world, QUESTION).as_deref(),
        Some("weather")
    );
    world.put("translator", FLEET[0].1);
    assert!(known(&decisions, &world, QUESTION).is_none());
}

#[test]
fn a_chain_of_successors_is_followed_to_its_end_and_no_circle_is() {
    let world = World::with(&[("end", "x")]);
    let chain = |names: &[&str]| {
        let cards = names
            .windows(2)
            .map(|pair| deprecated(pair[0], "x", pair[1]));
        world.registry.put(cards.collect()).unwrap();
        let directory = world.directory();
        let first = directory.agent(names[0]).unwrap();
        successor(&directory, first).map(|agent| agent.name.clone())
    };
    let end = Some("end".to_owned());
    assert_eq!(chain(&["a", "end"]), end);
    assert_eq!(chain(&["a", "b", "c", "d", "end"]), end);
    assert_eq!(chain(&["a", "b", "c", "d", "e", "end"]), None);
    assert_eq!(chain(&["a", "b", "a"]), None);
    assert_eq!(chain(&["a", "a"]), None);
    assert_eq!(chain(&["a", "nobody"]), None);
    let directory = world.directory();
    assert!(successor(&directory, directory.agent("end").unwrap()).is_none());
}

// Those who ask the same at once.

#[test]
fn a_stampede_is_one_computation() {
    let world = World::with(&FLEET);
    let decisions = world.decisions();
    let (computed, barrier) = (Mutex::new(0), Barrier::new(8));
    std::thread::scope(|threads| {
        for _ in 0..8 {
            threads.spawn(|| {
                barrier.wait();
                match decisions.lookup(&key(QUESTION), &world.directory(), LONG) {
                    Lookup::Hit(served) => assert_eq!(served.agent, "translator"),
                    Lookup::Lead(lead) => {
                        *computed.lock() += 1;
                        lead.keep(decided("translator", &[]), None);
                    }
                    Lookup::Pass => panic!("nobody has to go on alone"),
                }
            });
        }
    });
    assert_eq!(*computed.lock(), 1);
    let counts = decisions.counts();
    assert_eq!((counts.hits, counts.misses, counts.entries), (7, 1, 1));
}

#[test]
fn when_who_decides_fails_the_next_one_decides() {
    let world = World::with(&FLEET);
    let decisions = world.decisions();
    let (leads, barrier) = (Mutex::new(0), Barrier::new(4));
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                barrier.wait();
                match decisions.lookup(&key(QUESTION), &world.directory(), LONG) {
                    Lookup::Lead(lead) => {
                        *leads.lock() += 1;
                        drop(lead);
                    }
                    Lookup::Hit(_) | Lookup::Pass => panic!("nothing was decided"),
                }
            });
        }
    });
    assert_eq!(*leads.lock(), 4);
}

#[test]
fn what_is_not_to_be_remembered_sets_all_who_wait_free() {
    let world = World::with(&FLEET);
    let decisions = world.decisions();
    let directory = world.directory();
    let Lookup::Lead(lead) = decisions.lookup(&key(QUESTION), &directory, LONG) else {
        panic!("nobody decided it");
    };
    std::thread::scope(|threads| {
        for _ in 0..3 {
            threads.spawn(|| {
                match decisions.lookup(&key(QUESTION), &directory, LONG) {
                    Lookup::Pass => {}
                    // It came when all was over.
                    Lookup::Lead(lead) => lead.nothing(),
                    Lookup::Hit(served) => panic!("nothing was decided: {served:?}"),
                }
            });
        }
        lead.nothing();
    });
    let again = decisions.lookup(&key(QUESTION), &directory, None);
    assert!(matches!(again, Lookup::Lead(_)));
}

#[test]
fn who_has_no_patience_goes_on_at_once() {
    let world = World::with(&FLEET);
    let decisions = world.decisions();
    let directory = world.directory();
    let lead = decisions.lookup(&key(QUESTION), &directory, None);
    assert!(matches!(lead, Lookup::Lead(_)));
    for patience in [None, Some(Duration::from_millis(1))] {
        let other = decisions.lookup(&key(QUESTION), &directory, patience);
        assert!(matches!(other, Lookup::Pass));
    }
}

// Texts much like decided ones.

#[test]
fn the_nearest_decided_text_is_found_while_its_decision_holds() {
    let (world, decisions) = settled();
    let to = encode("pay the french bill in french").unwrap();
    let near = |decisions: &Decisions| decisions.nearest(&scope(), &to, &world.directory());
    let (cosine, served) = near(&decisions).unwrap();
    assert_eq!((&*served.text, &*served.agent), (QUESTION, "translator"));
    assert!((to.cosine(&encode(QUESTION).unwrap()) - cosine).abs() < 1e-5);
    assert!(near(&Decisions::new(64, &world.directory(), None, None)).is_none());
    world.put("translator", "poems");
    assert!(near(&decisions).is_none());
    assert_eq!(
        (decisions.counts().texts, decisions.counts().similar),
        (0, 1)
    );
}

#[test]
fn likeness_of_likeness_is_never_compared_with() {
    let world = World::with(&FLEET);
    let decisions = world.decisions();
    let by_likeness = Decided {
        basis: Basis::Similar,
        ..decided("translator", &[])
    };
    keep(&decisions, &world, QUESTION, by_likeness);
    assert!(known(&decisions, &world, QUESTION).is_some());
    let to = encode(QUESTION).unwrap();
    assert!(
        decisions
            .nearest(&scope(), &to, &world.directory())
            .is_none()
    );
}

// Beyond this process.

/// A store in memory.
#[derive(Default)]
struct Fake(Mutex<HashMap<String, Vec<u8>>>);

impl Shared for Fake {
    fn get(&self, name: &str) -> Option<Vec<u8>> {
        self.0.lock().get(name).cloned()
    }

    fn put(&self, name: String, value: Vec<u8>) {
        self.0.lock().insert(name, value);
    }

    fn counts(&self) -> SharedCounts {
        SharedCounts::default()
    }
}

fn sharing(world: &World, shared: &Arc<Fake>) -> Decisions {
    let shared = Arc::clone(shared) as Arc<dyn Shared>;
    Decisions::new(64, &world.directory(), Some(Arc::new(encode)), Some(shared))
}

fn from_shared(decisions: &Decisions, world: &World) -> Option<String> {
    match decisions.lookup(&key(QUESTION), &world.directory(), LONG) {
        Lookup::Hit(served) => Some(served.agent),
        Lookup::Lead(_) | Lookup::Pass => None,
    }
}

#[test]
fn a_decision_is_taken_over_by_who_knows_the_same_fleet() {
    let (shared, world) = (Arc::new(Fake::default()), World::with(&FLEET));
    let decisions = sharing(&world, &shared);
    keep(
        &decisions,
        &world,
        QUESTION,
        decided("translator", &["music"]),
    );
    // The same agents, come in another order and another way.
    let mut other = FLEET;
    other.reverse();
    let other = World::with(&other);
    other.put("guest", "chess");
    let later = sharing(&other, &shared);
    assert_eq!(from_shared(&later, &other), None);
    other.registry.remove("guest").unwrap();
    assert_eq!(from_shared(&later, &other).as_deref(), Some("translator"));
    assert_eq!(
        known(&later, &other, QUESTION).as_deref(),
        Some("translator")
    );
    assert_eq!((later.counts().shared_hits, later.counts().hits), (1, 1));
    // Where another agent fails, another decision may be right.
    let third = World::with(&FLEET);
    third.fails("music", Status::Failed);
    assert_eq!(from_shared(&sharing(&third, &shared), &third), None);
}

#[test]
fn without_patience_the_shared_store_is_not_asked() {
    let (shared, world) = (Arc::new(Fake::default()), World::with(&FLEET));
    let first = sharing(&world, &shared);
    keep(&first, &world, QUESTION, decided("translator", &[]));
    let second = sharing(&world, &shared);
    assert_eq!(known(&second, &world, QUESTION), None);
    assert!(from_shared(&second, &world).is_some());
}

#[test]
fn a_damaged_value_is_none() {
    let (shared, world) = (Arc::new(Fake::default()), World::with(&FLEET));
    let first = sharing(&world, &shared);
    keep(&first, &world, QUESTION, decided("translator", &[]));
    let names: HashSet<String> = shared.0.lock().keys().cloned().collect();
    assert_eq!(names.len(), 1);
    for name in names {
        assert!(name.starts_with("kgents:decisions:v1:") && !name.contains("french"));
        shared.put(name, b"{\"agent\":".to_vec());
    }
    assert_eq!(from_shared(&sharing(&world, &shared), &world), None);
}
