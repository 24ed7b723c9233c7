//! A mesh whose callers, policies and agents do what a test says.

pub use super::fakes::{Act, Event};
use super::fakes::{Counter, FakeAgent, FakeIdentity, FakePolicy, Still};
use bytes::Bytes;
use kgents_audit::simulation::SimDisk;
use kgents_audit::{AgentAuditEvent, DecisionOutcome, Keys, Log, Position, Record};
use kgents_engine::{Agents, ArtifactFiles, Engine, EngineConfig, Pheromones as Decider, Router};
use kgents_gateway::Card;
use kgents_gateway::call::{
    Call, Failure, Message, Operation, Payload, RouteCall, Target, TaskCall,
};
use kgents_mesh::clock::Clock;
use kgents_mesh::decisions::Decisions;
use kgents_mesh::evidence::LocalEvidence;
use kgents_mesh::exchange::{Arrival, Exchange, Limits, Parts, Reply, ReplyBody};
use kgents_mesh::health::Health;
use kgents_mesh::journal::Journal;
use kgents_mesh::learning::{Feedback, Teacher};
use kgents_mesh::ledger::{Account, Budget, MESH_ACCOUNT, Window};
use kgents_mesh::own::{self, Own};
use kgents_mesh::pheromones::Pheromones;
use kgents_mesh::ports::Evidence;
use kgents_mesh::registry::{Embedder, Entry, Registry};
use kgents_mesh::routing::{self, Routing};
use kgents_mesh::store::Store;
use kgents_mesh::tasks::{TaskStore, Tasks};
use kgents_mesh::telemetry::Metrics;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// 2026-11-24, in milliseconds.
pub const NOW_MS: u64 = 1_795_500_000_000;
/// Tokens the mesh has a day.
pub const BUDGET: u64 = 1_000;
/// Long enough for whatever does not hang.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Short enough to wait for what does.
pub const HASTE: Duration = Duration::from_millis(30);

struct Doors {
    router: Router,
    agents: Agents,
    pheromone: Decider,
    health: kgents_engine::Health,
}

static DOORS: LazyLock<Doors> = LazyLock::new(|| {
    let engine = Engine::new(EngineConfig::default()).unwrap();
    let read = |name: &str| {
        ArtifactFiles::read(&components(), name)
            .unwrap_or_else(|error| panic!("{error}; run `cargo xtask build`"))
    };
    Doors {
        router: Router::load(&engine, &read("router").artifact()).unwrap(),
        agents: Agents::load(&engine, &read("agents").artifact()).unwrap(),
        pheromone: Decider::load(&engine, &read("pheromone").artifact()).unwrap(),
        health: kgents_engine::Health::load(&engine, &read("health").artifact()).unwrap(),
    }
});

fn components() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = std::env::var_os("CARGO_TARGET_DIR");
    target
        .map_or_else(|| workspace.join("target"), PathBuf::from)
        .join("components")
}

/// How a mesh differs from the usual one.
pub struct Setup {
    pub strict: bool,
    pub limits: Limits,
    pub disk: SimDisk,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            strict: false,
            limits: Limits {
                answer: PATIENCE,
                idle: PATIENCE,
            },
            disk: SimDisk::new(1),
        }
    }
}

/// The mesh.
pub struct World {
    pub exchange: Exchange,
    pub agent: Arc<FakeAgent>,
    pub policy: Arc<FakePolicy>,
    pub disk: SimDisk,
    pub journal: Arc<Journal>,
    pub registry: Arc<Registry>,
    pub log: Log,
    pub metrics: Metrics,
    _dir: tempfile::TempDir,
}

impl World {
    pub fn new() -> Self {
        Self::with(Setup::default())
    }

    /// With a limit that is soon over.
    pub fn hasty() -> Self {
        let limits = Limits {
            answer: HASTE,
            idle: HASTE,
        };
        Self::with(Setup {
            limits,
            ..Setup::default()
        })
    }

    pub fn with(setup: Setup) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(&dir.path().join("state.redb")).unwrap());
        let clock: Arc<dyn Clock> = Arc::new(Still);
        let registry = Registry::open(
            Arc::clone(&store),
            Embedder::new(None, Arc::clone(&store)),
            "local",
            own::cards().unwrap(),
        );
        let registry = Arc::new(registry.unwrap());
        registry.put(vec![entry("helper"), entry("other")]).unwrap();
        let tasks = Arc::new(Tasks::new(Arc::clone(&store) as Arc<dyn TaskStore>));
        let log = open_log(&setup.disk);
        let journal = Journal::open(
            log.clone(),
            Arc::clone(&store),
            Arc::clone(&tasks),
            &budgets(),
            Arc::clone(&clock),
        );
        let journal = Arc::new(journal.unwrap());
        let policy = Arc::new(FakePolicy::default());
        let evidence = Arc::new(LocalEvidence::new(Arc::clone(&registry), tasks, None));
        let agent = Arc::new(FakeAgent::default());
        let metrics = Metrics::new(&mut prometheus_client::registry::Registry::default());
        let feedback = Feedback::open(Arc::clone(&store)).unwrap();
        let teacher = Arc::new(Teacher::idle(
            Arc::clone(&registry),
            feedback,
            DOORS.router.clone(),
        ));
        let parts = Parts {
            identity: Arc::new(FakeIdentity),
            evidence: evidence.clone(),
            policy: policy.clone(),
            budget: journal.clone(),
            audit: journal.clone(),
            dial: agent.clone(),
            clock: clock.clone(),
            random: Arc::new(Counter::default()),
            routing: routing(&evidence, &policy, &teacher),
            registry: registry.clone(),
            teacher,
            own: Own {
                agents: DOORS.agents.clone(),
                journal: journal.clone(),
                evidence,
                policy: policy.clone(),
            },
            pheromones: Arc::new(Pheromones::open(DOORS.pheromone.clone(), store).unwrap()),
            health: health(&agent, &registry, clock),
            metrics: metrics.clone(),
            limits: setup.limits,
            cluster: "local".into(),
            strict: setup.strict,
        };
        Self {
            exchange: Exchange::new(parts),
            agent,
            policy,
            disk: setup.disk,
            journal,
            registry,
            log,
            metrics,
            _dir: dir,
        }
    }

    /// `ada` asks for this.
    pub async fn ask(&self, target: &str, operation: Operation) -> Reply {
        self.ask_as("ada", target, operation).await
    }

    pub async fn ask_as(&self, who: &str, target: &str, operation: Operation) -> Reply {
        self.exchange.run(arrival(who, target, operation)).await
    }

    /// Everything in the trail that is durable.
    pub fn records(&self) -> Vec<Record> {
        let replay = self.log.replay(Position::START);
        replay.map(|record| record.unwrap().1).collect()
    }

    /// The outcomes in the trail.
    pub fn outcomes(&self) -> Vec<AgentAuditEvent> {
        let outcome = |record| match record {
            Record::Outcome(outcome) => Some(outcome.event),
            Record::Intent(_) => None,
        };
        self.records().into_iter().filter_map(outcome).collect()
    }

    /// The one outcome there is, after waiting for it.
    pub async fn outcome(&self) -> AgentAuditEvent {
        until(|| !self.outcomes().is_empty()).await;
        let mut outcomes = self.outcomes();
        assert_eq!(outcomes.len(), 1, "{outcomes:?}");
        outcomes.remove(0)
    }

    /// The one outcome is this, for this reason; nothing is under way and
    /// nothing is set aside any more.
    pub async fn ended(&self, outcome: DecisionOutcome, reason: Option<&str>) -> AgentAuditEvent {
        let event = self.outcome().await;
        assert_eq!(event.spec.decision.outcome, outcome, "{event:?}");
        assert_eq!(event.spec.decision.reason.as_deref(), reason, "{event:?}");
        self.is_quiet();
        event
    }

    pub fn is_quiet(&self) {
        assert_eq!(self.metrics.active.get(), 0, "nothing is under way");
        assert_eq!(self.mesh().reserved, 0, "nothing is set aside");
    }

    /// The mesh's account.
    pub fn mesh(&self) -> Account {
        self.journal
            .ledger(|ledger| ledger.account(MESH_ACCOUNT, NOW_MS))
            .unwrap()
    }
}

fn budgets() -> [Budget; 1] {
    [Budget {
        account: MESH_ACCOUNT.into(),
        tokens: BUDGET,
        window: Window::Day,
    }]
}

fn routing(
    evidence: &Arc<LocalEvidence>,
    policy: &Arc<FakePolicy>,
    teacher: &Arc<Teacher>,
) -> Arc<Routing> {
    let directory = evidence.directory();
    Arc::new(Routing::new(routing::Parts {
        router: DOORS.router.clone(),
        evidence: evidence.clone(),
        policy: policy.clone(),
        teacher: teacher.clone(),
        decisions: Arc::new(Decisions::new(1_000, &directory, None, None)),
        trust_domain: "mesh.local".into(),
        cluster: "local".into(),
        accept: 0.8,
    }))
}

fn health(agent: &Arc<FakeAgent>, registry: &Arc<Registry>, clock: Arc<dyn Clock>) -> Arc<Health> {
    let (decider, probe) = (DOORS.health.clone(), agent.clone());
    Arc::new(Health::new(
        decider,
        probe,
        registry.clone(),
        clock,
        PATIENCE,
    ))
}

/// Polls until it is so.
pub async fn until(mut so: impl FnMut() -> bool) {
    let polling = async {
        while !so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, polling)
        .await
        .expect("it did not come about");
}

pub fn arrival(who: &str, target: &str, operation: Operation) -> Arrival {
    let target = match target {
        "" => Target::Mesh,
        name => Target::Agent(name.into()),
    };
    Arrival {
        call: Ok(Call {
            target,
            operation,
            traceparent: None,
            extensions: None,
        }),
        token: Some(who.to_owned()).filter(|who| !who.is_empty()),
        base_url: "http://mesh.example".into(),
    }
}

pub fn json(value: serde_json::Value) -> Payload {
    Payload::of(&value)
}

pub fn message(text: &str) -> Message {
    Message {
        params: json(serde_json::json!({ "message": { "parts": [{ "text": text }] } })),
        text: text.into(),
        data: None,
        task_id: None,
        context_id: None,
        message_id: "m1".into(),
        reference_task_ids: Vec::new(),
    }
}

pub fn route(text: &str) -> Operation {
    Operation::Route(RouteCall {
        text: text.to_owned(),
        ..RouteCall::default()
    })
}

pub fn send(text: &str) -> Operation {
    Operation::SendMessage(message(text))
}

pub fn stream(text: &str) -> Operation {
    Operation::StreamMessage(message(text))
}

pub fn task_call(task: &str) -> TaskCall {
    TaskCall {
        task_id: task.into(),
        params: json(serde_json::json!({ "id": task })),
    }
}

/// A task in a state, as an answer and as an event.
pub fn task(id: &str, state: &str) -> Payload {
    json(serde_json::json!({ "task": { "id": id, "status": { "state": state } } }))
}

/// A message that cost so many tokens.
pub fn costly(tokens: u64) -> Payload {
    json(serde_json::json!({ "message": {
        "messageId": "a1", "role": "ROLE_AGENT", "parts": [],
        "metadata": { "usage": { "totalTokens": tokens } },
    } }))
}

/// What was answered at once.
pub fn once(reply: Reply) -> Result<Payload, Failure> {
    match reply.body {
        ReplyBody::Once(result) => result,
        ReplyBody::Events(_) => panic!("an answer at once is expected"),
    }
}

/// What failed.
pub fn failure(reply: Reply) -> Failure {
    once(reply).expect_err("a failure is expected")
}

pub fn value(payload: &Payload) -> serde_json::Value {
    serde_json::from_slice(payload.as_bytes()).unwrap()
}

pub fn entry(name: &str) -> Entry {
    let card = card(name);
    Entry {
        name: name.into(),
        card,
        source: "api".into(),
    }
}

pub fn card(name: &str) -> Card {
    let raw = json(serde_json::json!({
        "name": name, "description": "Helps with paper boats", "version": "1",
        "capabilities": { "streaming": true },
        "defaultInputModes": ["text/plain"], "defaultOutputModes": ["text/plain"],
        "supportedInterfaces": [
            { "url": "http://127.0.0.1:9/", "protocolBinding": "JSONRPC", "protocolVersion": "1.0" }
        ],
        "skills": [{
            "id": format!("fold-{name}"), "name": "Fold paper boats",
            "description": "Folds boats out of paper", "tags": ["paper", "boats"],
        }],
    }));
    Card::parse(raw).unwrap()
}

pub fn open_log(disk: &SimDisk) -> Log {
    let config = kgents_audit::Config::new("local", Arc::new(|| NOW_MS));
    let keys = Keys::from_secrets([7; 32], &[9; 32]);
    Log::open(Arc::new(disk.clone()), config, keys).unwrap().0
}

/// Bytes that are JSON.
pub fn raw(text: &'static str) -> Payload {
    Payload::parse(Bytes::from_static(text.as_bytes())).unwrap()
}
