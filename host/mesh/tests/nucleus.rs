//! The nucleus as a whole, with the true deciders: started, used, killed and
//! started again.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop where it stands"
)]

use kgents_engine::deciders::policy::Source;
use kgents_engine::{AllFiles, Deciders, Engine, EngineConfig};
use kgents_gateway::Card;
use kgents_gateway::call::{Call, Failure, FailureKind, Message, Operation, Payload, Target};
use kgents_mesh::clock::{Clock, SystemClock};
use kgents_mesh::dial::{Allow, Rule, Timeouts};
use kgents_mesh::exchange::{Arrival, ReplyBody};
use kgents_mesh::identity::Grant;
use kgents_mesh::ledger::{Budget, MESH_ACCOUNT, Window};
use kgents_mesh::nucleus::{Nucleus, Settings};
use kgents_mesh::registry::{Entry, Status};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

const OPERATOR: &str = r#"@id("operator") permit (principal == User::"ada", action, resource);"#;

static DECIDERS: LazyLock<Deciders> = LazyLock::new(|| {
    let files = AllFiles::read(&components())
        .unwrap_or_else(|error| panic!("{error}; run `cargo xtask build`"));
    let engine = Engine::new(EngineConfig::default()).unwrap();
    Deciders::load(&engine, &files.artifacts()).unwrap()
});

fn components() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = std::env::var_os("CARGO_TARGET_DIR");
    target
        .map_or_else(|| workspace.join("target"), PathBuf::from)
        .join("components")
}

fn start(dir: &Path) -> Nucleus {
    let settings = Settings {
        data_dir: dir.to_owned(),
        trust_domain: "mesh.local".into(),
        cluster: "local".into(),
        anonymous: false,
        allow: Allow::new(vec![Rule::Loopback]),
        timeouts: Timeouts {
            connect: Duration::from_secs(5),
            answer: Duration::from_secs(60),
            probe: Duration::from_secs(5),
        },
        accept: 0.8,
        fallback: None,
        strict: false,
        probe_every: Duration::from_millis(100),
        policies: vec![Source {
            name: "operator.cedar".into(),
            text: OPERATOR.into(),
        }],
        budgets: vec![Budget {
            account: MESH_ACCOUNT.into(),
            tokens: 1_000,
            window: Window::Total,
        }],
        decisions: kgents_mesh::decisions::Settings::default(),
        encoder: None,
    };
    let mut metrics = prometheus_client::registry::Registry::default();
    Nucleus::open(settings, &DECIDERS, &mut metrics).unwrap()
}

async fn say(nucleus: &Nucleus, who: &str, agent: &str, text: &str) -> Result<Payload, Failure> {
    let grant = Grant {
        path: format!("/users/{who}"),
        audience: "mesh.local".into(),
        ttl: Duration::from_secs(60),
    };
    let token = nucleus.authority.issue(&grant, SystemClock.now_ms());
    let message = Message {
        params: Payload::of(&serde_json::json!({ "message": {} })),
        text: text.into(),
        data: None,
        task_id: None,
        context_id: None,
        message_id: "m".into(),
        reference_task_ids: Vec::new(),
    };
    let call = Call {
        target: Target::Agent(agent.into()),
        operation: Operation::SendMessage(message),
        traceparent: None,
        extensions: None,
    };
    let arrival = Arrival {
        call: Ok(call),
        token: Some(token.unwrap()),
        base_url: "http://mesh.example".into(),
    };
    match nucleus.exchange.run(arrival).await.body {
        ReplyBody::Once(result) => result,
        ReplyBody::Events(_) => panic!("an answer at once is expected"),
    }
}

fn entry(url: &str) -> Entry {
    let resource = serde_json::json!({
        "apiVersion": "a2a.kgents.io/v1", "kind": "AgentCard",
        "metadata": { "name": "helper" },
        "spec": { "description": "Helps", "interfaces": [{ "url": url }],
                  "skills": [{ "id": "help" }] },
    });
    Entry {
        name: "helper".into(),
        card: Card::parse(Payload::of(&resource)).unwrap(),
        source: "file:helper.yaml".into(),
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_it_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    for round in 1..=3u64 {
        let nucleus = start(dir.path());
        let moved = say(&nucleus, "ada", "b-gent", "allocate 100 tokens to research").await;
        moved.unwrap();
        nucleus
            .register(vec![entry("http://127.0.0.1:9/")])
            .unwrap();
        let research = nucleus
            .journal
            .ledger(|l| l.account("research", 0).unwrap());
        assert_eq!(research.allocated(), round * 100);
        // Dropped as it stands: nothing is brought home.
        drop(nucleus);
    }
    let nucleus = start(dir.path());
    assert!(nucleus.registry.directory().agent("helper").is_some());
    nucleus.close().await;
    drop(nucleus);
    let nucleus = start(dir.path());
    let free = nucleus
        .journal
        .ledger(|l| l.account(MESH_ACCOUNT, 0).unwrap().free());
    assert_eq!(free, 700);
}

#[tokio::test]
async fn who_is_permitted_nothing_sees_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let nucleus = start(dir.path());
    let denied = say(&nucleus, "eve", "b-gent", "what is left?").await;
    assert_eq!(denied.unwrap_err().kind, FailureKind::UnknownAgent);
    say(&nucleus, "ada", "echo", "echo hello").await.unwrap();
}

#[tokio::test]
async fn an_agent_that_is_gone_is_found_out_and_a_new_card_starts_anew() {
    let dir = tempfile::tempdir().unwrap();
    let nucleus = start(dir.path());
    // Free, since it was ours and is not any more.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr();
    nucleus
        .register(vec![entry(&format!("http://{}/", port.unwrap()))])
        .unwrap();
    let status = || {
        nucleus
            .registry
            .directory()
            .agent("helper")
            .unwrap()
            .status()
    };
    assert_eq!(status(), Status::Unknown);
    let failed = async {
        while status() != Status::Failed {
            nucleus.health.round().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), failed)
        .await
        .unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    nucleus.register(vec![entry(&url)]).unwrap();
    assert_eq!(status(), Status::Unknown, "it may be routed to at once");
    drop(listener);
    nucleus.health.round().await;
    assert_ne!(status(), Status::Failed, "old failures are another card's");
}
