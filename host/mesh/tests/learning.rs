//! Learning with the true router: what cards, files and feedback teach comes into
//! force in the background, and what serves meanwhile is the last good model.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop where it stands"
)]

use kgents_engine::{ArtifactFiles, Engine, EngineConfig, Router};
use kgents_gateway::Card;
use kgents_gateway::call::{FeedbackDraft, Payload, Verdict};
use kgents_learn::RANKED_MAX;
use kgents_mesh::learning::{Feedback, Learnt, Saying, State, Taught, Teacher, judge};
use kgents_mesh::registry::{Embedder, Entry, Registry};
use kgents_mesh::store::Store;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

static ROUTER: LazyLock<Router> = LazyLock::new(|| {
    let files = ArtifactFiles::read(&components(), "router")
        .unwrap_or_else(|error| panic!("{error}; run `cargo xtask build`"));
    let engine = Engine::new(EngineConfig::default()).unwrap();
    Router::load(&engine, &files.artifact()).unwrap()
});

fn components() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = std::env::var_os("CARGO_TARGET_DIR");
    target
        .map_or_else(|| workspace.join("target"), PathBuf::from)
        .join("components")
}

/// A registry, and a teacher that learns from it.
struct School {
    registry: Arc<Registry>,
    teacher: Teacher,
}

impl School {
    fn open(dir: &tempfile::TempDir) -> Self {
        let store = Arc::new(Store::open(&dir.path().join("state.redb")).unwrap());
        let embedder = Embedder::new(None, Arc::clone(&store));
        let registry = Registry::open(Arc::clone(&store), embedder, "here", Vec::new()).unwrap();
        let registry = Arc::new(registry);
        let feedback = Feedback::open(store).unwrap();
        let teacher = Teacher::start(Arc::clone(&registry), feedback, ROUTER.clone()).unwrap();
        teacher.begin();
        Self { registry, teacher }
    }

    fn put(&self, name: &str, examples: &[&str]) {
        let card = serde_json::json!({
            "name": name, "description": "does things", "version": "1",
            "supportedInterfaces": [
                { "url": "http://127.0.0.1:9/", "protocolBinding": "JSONRPC", "protocolVersion": "1.0" }
            ],
            "skills": [{ "id": "s", "name": name, "description": name, "tags": [], "examples": examples }],
        });
        let entry = Entry {
            name: name.into(),
            card: Card::parse(Payload::of(&card)).unwrap(),
            source: "api".into(),
        };
        self.registry.put(vec![entry]).unwrap();
    }

    fn settle(&self) {
        until(|| self.teacher.is_settled());
    }

    fn settled(&self) -> Arc<Learnt> {
        self.settle();
        let standing = self.teacher.standing();
        assert_eq!(standing.state, State::Learnt, "{standing:?}");
        self.teacher.learnt().unwrap()
    }

    /// Four agents that have little in common.
    fn four(&self) {
        self.put(
            "weather",
            &[
                "will it rain tomorrow?",
                "how warm is it outside",
                "weather forecast for the weekend",
                "do I need an umbrella today",
            ],
        );
        self.put(
            "bank",
            &[
                "transfer money to my savings account",
                "what is my account balance",
                "pay the electricity bill",
                "how much money did I spend",
            ],
        );
        self.put(
            "music",
            &[
                "play some jazz",
                "turn the volume of the song up",
                "skip to the next song",
                "who sings this song",
            ],
        );
        self.put(
            "travel",
            &[
                "book a flight to Rome",
                "find me a hotel by the sea",
                "I need a train to Berlin",
                "rent a car at the airport",
            ],
        );
    }
}

fn until(so: impl Fn() -> bool) {
    let patience = Instant::now() + Duration::from_secs(120);
    while !so() {
        assert!(Instant::now() < patience, "it does not come about");
        std::thread::yield_now();
    }
}

/// The agent that a model finds best.
fn best(learnt: &Learnt, text: &str) -> String {
    let vectors = judge::vectors(&learnt.model.vectors(text, None));
    let ranked = learnt.router.rank(&vectors, RANKED_MAX as u32).unwrap();
    let judged = learnt.router.judge(&vectors, &ranked).unwrap().unwrap();
    judged.agents[0].agent.clone()
}

#[test]
fn what_cards_say_is_learnt_and_a_new_card_is_learnt_as_a_change() {
    let dir = tempfile::tempdir().unwrap();
    let school = School::open(&dir);
    school.four();
    let first = school.settled();
    assert_eq!(best(&first, "is it going to rain on Sunday"), "weather");
    assert_eq!(best(&first, "put on another song"), "music");
    school.put(
        "kitchen",
        &[
            "a recipe for tomato soup",
            "how long do I boil an egg",
            "what can I cook with rice",
            "bake a cake",
        ],
    );
    let second = school.settled();
    assert!(second.number > first.number && second.revision > first.revision);
    assert_eq!(best(&second, "cook a soup with rice"), "kitchen");
    assert_eq!(best(&second, "is it going to rain on Sunday"), "weather");
    school.registry.remove("weather").unwrap();
    let third = school.settled();
    assert!(
        third
            .model
            .tables()
            .routes
            .iter()
            .all(|route| route.agent != "weather")
    );
}

#[test]
fn what_changes_nothing_makes_no_model() {
    let dir = tempfile::tempdir().unwrap();
    let school = School::open(&dir);
    school.four();
    let first = school.settled();
    school.put(
        "music",
        &[
            "play some jazz",
            "turn the volume of the song up",
            "skip to the next song",
            "who sings this song",
        ],
    );
    assert_eq!(school.settled().number, first.number);
}

#[test]
fn an_operators_file_teaches_and_is_forgotten_with_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let school = School::open(&dir);
    school.four();
    let before = school.settled();
    let file = Taught {
        file: "routing/a.yaml".into(),
        agent: "bank".into(),
        skill: Some("s".into()),
        examples: vec![
            "zap the quux".into(),
            "quux again".into(),
            "one more quux".into(),
        ],
        counter_examples: vec!["Play some jazz!".into()],
    };
    let strange = Taught {
        file: "routing/b.yaml".into(),
        agent: "later".into(),
        ..Taught::default()
    };
    school.teacher.teach(vec![file, strange]);
    let after = school.settled();
    assert!(after.number > before.number);
    assert!(
        school
            .teacher
            .rejections()
            .rejects("play some jazz", "bank")
    );
    assert_eq!(school.teacher.standing().unknown.len(), 1);
    let lines = |learnt: &Learnt| learnt.model.report().lines;
    assert_eq!(lines(&after), lines(&before) + 3);
    school.teacher.teach(Vec::new());
    assert_eq!(lines(&school.settled()), lines(&before));
    assert!(school.teacher.rejections().is_empty());
}

#[test]
fn feedback_counts_at_once_and_no_more_once_it_is_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let school = School::open(&dir);
    school.four();
    let lines = school.settled().model.report().lines;
    let saying = Saying {
        id: "f1",
        who: "spiffe://mesh.local/users/ada",
        now_ms: 1,
    };
    let wrong = FeedbackDraft {
        decision: "d".into(),
        verdict: Verdict::Wrong,
        should_be: Some("travel".into()),
        skill: None,
        text: Some("I want to see the Alps".into()),
        agent: Some("weather".into()),
    };
    school.teacher.give(&saying, wrong).unwrap();
    assert_eq!(school.settled().model.report().lines, lines + 1);
    let is_out = || {
        let rejections = school.teacher.rejections();
        rejections.rejects("i want to see the alps", "weather")
    };
    assert!(is_out());
    school.teacher.undo("f1").unwrap();
    assert_eq!(school.settled().model.report().lines, lines);
    assert!(!is_out());
}

#[test]
fn more_routes_than_are_learnt_leave_no_model_and_fewer_bring_one_back() {
    let dir = tempfile::tempdir().unwrap();
    let school = School::open(&dir);
    school.four();
    school.settled();
    let skill = |n: usize| serde_json::json!({ "id": format!("s{n}"), "name": "s", "description": "s", "tags": [] });
    let entry = |n: usize| {
        let skills: Vec<_> = (0..256).map(skill).collect();
        let card = serde_json::json!({
            "name": format!("many{n}"), "description": "many", "version": "1",
            "supportedInterfaces": [
                { "url": "http://127.0.0.1:9/", "protocolBinding": "JSONRPC", "protocolVersion": "1.0" }
            ],
            "skills": skills,
        });
        Entry {
            name: format!("many{n}"),
            card: Card::parse(Payload::of(&card)).unwrap(),
            source: "api".into(),
        }
    };
    school.registry.put((0..16).map(entry).collect()).unwrap();
    school.settle();
    assert_eq!(school.teacher.standing().state, State::TooLarge);
    assert!(school.teacher.learnt().is_none());
    for n in 0..16 {
        school.registry.remove(&format!("many{n}")).unwrap();
    }
    school.settled();
}

#[test]
fn an_empty_mesh_and_one_agent_are_no_trouble() {
    let dir = tempfile::tempdir().unwrap();
    let school = School::open(&dir);
    school.settle();
    assert_ne!(school.teacher.standing().state, State::Failed);
    school.put("one", &["say hello", "say good morning"]);
    assert_eq!(best(&school.settled(), "hello"), "one");
}

#[test]
fn dropping_it_while_it_learns_lets_the_state_be_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let school = School::open(&dir);
    school.four();
    drop(school);
    School::open(&dir).settled();
}
