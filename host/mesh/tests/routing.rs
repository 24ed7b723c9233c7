//! Routing with the true deciders: what the router is told, what the policies
//! let through, and what the caller learns of it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop where it stands"
)]

use kgents_engine::deciders::policy::Source;
use kgents_engine::{ArtifactFiles, Engine, EngineConfig, Router};
use kgents_gateway::Card;
use kgents_gateway::call::{FailureKind, Payload};
use kgents_learn::Table;
use kgents_mesh::decisions::{Decisions, Encode, Steps};
use kgents_mesh::evidence::LocalEvidence;
use kgents_mesh::learning::{Feedback, Teacher};
use kgents_mesh::policy::PolicyStore;
use kgents_mesh::ports::{Action, Ask, Policy, Resource};
use kgents_mesh::principal::Principal;
use kgents_mesh::registry::{Embedder, Entry, Registry, Status};
use kgents_mesh::routing::{Asking, Parts, Routed, Routing, method_name};
use kgents_mesh::store::Store;
use kgents_mesh::tasks::{TaskStore, Tasks};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

/// Everyone may use everything but `secret`.
const OPEN: &str = r#"
@id("open") permit (principal in Group::"everyone", action in [Action::"use"], resource);
@id("not-secret") forbid (principal, action in [Action::"use"], resource == Agent::"secret");
"#;

struct Doors {
    router: Router,
    policy: kgents_engine::Policy,
}

static DOORS: LazyLock<Doors> = LazyLock::new(|| {
    let engine = Engine::new(EngineConfig::default()).unwrap();
    let read = |name: &str| {
        ArtifactFiles::read(&components(), name)
            .unwrap_or_else(|error| panic!("{error}; run `cargo xtask build`"))
    };
    Doors {
        router: Router::load(&engine, &read("router").artifact()).unwrap(),
        policy: kgents_engine::Policy::load_decider(&engine, &read("policy").artifact()).unwrap(),
    }
});

fn components() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = std::env::var_os("CARGO_TARGET_DIR");
    target
        .map_or_else(|| workspace.join("target"), PathBuf::from)
        .join("components")
}

struct World {
    routing: Routing,
    teacher: Arc<Teacher>,
    decisions: Arc<Decisions>,
    policies: Arc<PolicyStore>,
    registry: Arc<Registry>,
    _dir: tempfile::TempDir,
}

fn world(fallback: Option<&str>) -> World {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(&dir.path().join("state.redb")).unwrap());
    let embedder = Embedder::new(None, Arc::clone(&store));
    let registry = Registry::open(Arc::clone(&store), embedder, "local", Vec::new());
    let registry = Arc::new(registry.unwrap());
    let entries = [
        ("boats", "Fold paper boats", "Folds boats out of paper"),
        ("secret", "Fold paper boats", "Folds boats out of paper too"),
        ("tax", "File tax returns", "Prepares tax declarations"),
    ];
    let entries = entries.map(|(name, skill, says)| entry(name, skill, says));
    registry.put(entries.into()).unwrap();
    let tasks = Arc::new(Tasks::new(Arc::clone(&store) as Arc<dyn TaskStore>));
    let policies = PolicyStore::open(DOORS.policy.clone(), &sources(OPEN), "local", "mesh.local");
    let policies = Arc::new(policies.unwrap());
    let fallback = fallback.map(str::to_owned);
    let evidence = Arc::new(LocalEvidence::new(Arc::clone(&registry), tasks, fallback));
    let feedback = Feedback::open(store).unwrap();
    let teacher = Teacher::start(Arc::clone(&registry), feedback, DOORS.router.clone());
    let teacher = Arc::new(teacher.unwrap());
    teacher.begin();
    let table = Table::shipped().unwrap();
    let encode: Arc<Encode> = Arc::new(move |text: &str| Steps::of(&table.encode(text)));
    let directory = registry.directory();
    let decisions = Arc::new(Decisions::new(1_000, &directory, Some(encode), None));
    let routing = Routing::new(Parts {
        router: DOORS.router.clone(),
        evidence: evidence.clone(),
        policy: policies.clone(),
        teacher: Arc::clone(&teacher),
        decisions: Arc::clone(&decisions),
        trust_domain: "mesh.local".into(),
        cluster: "local".into(),
        accept: 0.5,
    });
    World {
        routing,
        teacher,
        decisions,
        policies,
        registry,
        _dir: dir,
    }
}

impl World {
    fn decide(&self, text: &str) -> Routed {
        self.decide_as("ada", text)
    }

    /// Once everything that has changed is learnt.
    fn decide_as(&self, who: &str, text: &str) -> Routed {
        self.settle();
        let asking = Asking {
            text,
            ..Asking::default()
        };
        let climb = self.routing.ask(&user(who), &asking);
        self.routing.decide(climb).unwrap()
    }

    /// Waits until everything that has changed is learnt.
    fn settle(&self) {
        let begun = Instant::now();
        while !self.teacher.is_settled() {
            assert!(begun.elapsed() < Duration::from_secs(60), "it never learns");
            std::thread::yield_now();
        }
    }
}

fn entry(name: &str, skill: &str, description: &str) -> Entry {
    let raw = Payload::of(&serde_json::json!({
        "name": name, "description": description, "version": "1",
        "capabilities": {}, "defaultInputModes": ["text/plain"],
        "defaultOutputModes": ["text/plain"],
        "supportedInterfaces": [
            { "url": "http://127.0.0.1:9/", "protocolBinding": "JSONRPC", "protocolVersion": "1.0" }
        ],
        "skills": [{ "id": format!("skill-of-{name}"), "name": skill, "description": description, "tags": [] }],
    }));
    Entry {
        name: name.into(),
        card: Card::parse(raw).unwrap(),
        source: "api".into(),
    }
}

fn sources(text: &str) -> Vec<Source> {
    vec![Source {
        name: "test.cedar".into(),
        text: text.into(),
    }]
}

fn user(name: &str) -> Principal {
    Principal::parse(&format!("spiffe://mesh.local/users/{name}"), "mesh.local").unwrap()
}

#[test]
fn a_name_decides_with_certainty() {
    let world = world(None);
    let routed = world.decide("Boats");
    assert_eq!(routed.decision.agent.as_deref(), Some("boats"));
    assert_eq!(
        (method_name(&routed.decision), routed.decision.confidence),
        ("exact", 1.0)
    );
    let (agent, decision) = world.routing.named("tax").unwrap();
    assert_eq!((agent.name.as_str(), decision.confidence), ("tax", 1.0));
    let failed = world.routing.named("nobody").unwrap_err();
    assert_eq!(failed.kind, FailureKind::UnknownAgent);
}

#[test]
fn the_answer_has_the_members_of_the_contract() {
    let world = world(None);
    let json = world.decide("fold paper boats").to_json("evt-1");
    let mut members: Vec<_> = json.as_object().unwrap().keys().cloned().collect();
    members.sort_unstable();
    let contract = [
        "agent",
        "alternatives",
        "cluster",
        "confidence",
        "encoder",
        "fallback",
        "id",
        "in_scope",
        "method",
        "policy",
        "reason",
        "revision",
    ];
    assert_eq!(members, contract);
    assert_eq!(
        (&json["id"], &json["agent"]),
        (&"evt-1".into(), &"boats".into())
    );
    assert_eq!(
        (&json["cluster"], &json["method"]),
        (&"local".into(), &"search".into())
    );
    assert_eq!(json["policy"]["allowed"], true);
    assert_eq!(json["policy"]["policy"], "open");
    let checked = json["policy"]["policies_checked"].as_array().unwrap();
    assert!(checked.contains(&"open".into()), "{json}");
}

#[test]
fn nobody_found_is_null_and_a_fallback() {
    let json = world(None).decide("zzz qqq").to_json("evt-1");
    assert_eq!(json["agent"], serde_json::Value::Null);
    assert_eq!(json["method"], "fallback");
    assert_eq!(
        (&json["fallback"], &json["confidence"]),
        (&true.into(), &0.0.into())
    );
    assert_eq!(json["policy"]["allowed"], false);
}

#[test]
fn the_configured_fallback_takes_what_nobody_takes_if_the_caller_may_use_it() {
    let routed = world(Some("tax")).decide("zzz qqq");
    assert_eq!(routed.decision.agent.as_deref(), Some("tax"));
    assert_eq!(routed.decision.cluster.as_deref(), Some("local"));
    assert!(routed.decision.fallback && routed.judgement.allowed);
    let routed = world(Some("secret")).decide("zzz qqq");
    assert_eq!(routed.decision.agent, None);
}

#[test]
fn what_a_caller_may_not_use_is_no_candidate_by_any_rung() {
    let world = world(Some("secret"));
    for text in ["secret", "skill-of-secret", "fold paper boats", "zzz"] {
        for _ in 0..2 {
            let json = world.decide(text).to_json("evt-1");
            assert_ne!(json["agent"], "secret", "{text}");
            let alternatives = json["alternatives"].to_string();
            assert!(!alternatives.contains("secret"), "{text}: {alternatives}");
        }
    }
}

#[test]
fn a_decision_is_remembered_until_anything_it_depends_on_changes() {
    let world = world(None);
    let method = |text| method_name(&world.decide(text).decision);
    let again = |why: &str| {
        assert_eq!(method("fold paper boats"), "search", "{why}");
        assert_eq!(method("Fold  paper boats!"), "cache", "{why}");
    };
    again("at first");
    world
        .registry
        .put(vec![entry("new", "Sing", "Sings")])
        .unwrap();
    assert_eq!(
        method("fold paper boats"),
        "cache",
        "a card without its words"
    );
    world
        .registry
        .put(vec![entry("craft", "Paper", "Makes boats")])
        .unwrap();
    again("a card that might do it too");
    world.policies.reload(&sources(OPEN)).unwrap();
    assert_eq!(method("fold paper boats"), "cache", "the same policies");
    let more = r#"@id("more") permit (principal in Group::"everyone", action, resource);"#;
    world
        .policies
        .reload(&sources(&format!("{OPEN}{more}")))
        .unwrap();
    again("other policies");
    let routed = world.decide_as("eve", "fold paper boats");
    assert_eq!(method_name(&routed.decision), "search", "another caller");
}

#[test]
fn an_agent_that_fails_is_not_routed_to_and_one_never_probed_is() {
    let world = world(None);
    let agent = Arc::clone(world.registry.directory().agent("boats").unwrap());
    assert_eq!(agent.status(), Status::Unknown);
    assert_eq!(
        world.decide("boats").decision.agent.as_deref(),
        Some("boats")
    );
    agent.set_status(Status::Failed);
    world.decisions.fleet_changed(&world.registry.directory());
    assert_ne!(
        world.decide("boats").decision.agent.as_deref(),
        Some("boats")
    );
}

#[test]
fn the_last_good_policies_stay_when_new_ones_fail() {
    let world = world(None);
    let directory = world.registry.directory();
    let boats = directory.agent("boats").unwrap();
    let may = |action| {
        let ask = Ask::new(action, Resource::Agent(boats));
        world.policies.judge(&user("ada"), &[ask]).unwrap()[0].allowed
    };
    let before = world.policies.generation();
    assert!(may(Action::Invoke) && !may(Action::Register));
    assert!(world.policies.reload(&sources("permit (nonsense")).is_err());
    assert!(may(Action::Invoke));
    let status = world.policies.status();
    assert_eq!((status.in_force, world.policies.generation()), (2, before));
    assert!(status.problems[0].contains("test.cedar"), "{status:?}");
    world.policies.reload(&[]).unwrap();
    assert!(
        !may(Action::Invoke),
        "a remembered answer is not used any more"
    );
    assert!(world.policies.status().problems.is_empty());
}

#[test]
fn whoever_shows_no_identity_gets_no_answer_meant_for_others() {
    let world = world(None);
    let directory = world.registry.directory();
    let ask = || {
        Ask::new(
            Action::Invoke,
            Resource::Agent(directory.agent("boats").unwrap()),
        )
    };
    let anonymous = Principal::anonymous("mesh.local");
    for (who, allowed) in [(user("ada"), true), (anonymous, false), (user("ada"), true)] {
        assert_eq!(
            world.policies.judge(&who, &[ask()]).unwrap()[0].allowed,
            allowed
        );
    }
}
