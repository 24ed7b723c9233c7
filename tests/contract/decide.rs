//! Four deciders, three ways: warm as the nucleus has them, through the deployed
//! `decide` component, and natively (which `components/decide` tests against the
//! same table). The answers are the same.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop where it stands"
)]

use std::fs;
use std::sync::{Arc, LazyLock};

use kgents_decide_wire::{from_json, to_json};
use kgents_engine::deciders::{health, pheromone, policy, router};
use kgents_engine::{AllFiles, Deciders, Engine, EngineConfig, LoadError, Remote};
use kgents_tests::{App, Client, Runtime, components, root};
use serde::{Deserialize, Serialize};
use serde_json::Value;

const NAMES: [&str; 4] = ["router", "policy", "pheromone", "health"];

static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new(EngineConfig::default()).unwrap());

static FILES: LazyLock<AllFiles> = LazyLock::new(|| {
    AllFiles::read(&components()).unwrap_or_else(|error| panic!("{error}; run `cargo xtask build`"))
});

static WARM: LazyLock<Deciders> =
    LazyLock::new(|| Deciders::load(&ENGINE, &FILES.artifacts()).unwrap());

/// The table of requests: a decider's, or the `bad` ones.
fn table(name: &str) -> Vec<Value> {
    let folder = root().join("components/decide/tests/requests");
    let text = fs::read(folder.join(name).with_extension("json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// Body and expected answer of a decider's good requests, with their names.
fn good(decider: &str) -> impl Iterator<Item = (String, Vec<u8>, Value)> {
    table(decider).into_iter().map(|case| {
        let body = serde_json::to_vec(&case["request"]).unwrap();
        (case["name"].to_string(), body, case["answer"].clone())
    })
}

/// The deciders, deployed: under our engine and, where there is one, under Spin.
fn deployed() -> Vec<(&'static str, App)> {
    let mut runtimes = vec![Runtime::Ours];
    match Runtime::spin() {
        Some(spin) => runtimes.push(spin),
        None => println!("skipped: spin: no `spin` on the path (cargo xtask test --spin PATH)"),
    }
    // The gateway's, which is not started.
    let variables = [
        ("nucleus_url", "http://127.0.0.1:9"),
        ("gateway_token", "none"),
    ];
    let start = |runtime: &Runtime| {
        let manifest = root().join("spin.toml");
        let args = ["--component-id", "decide"];
        App::with(runtime, &manifest, &variables, &args)
    };
    runtimes
        .iter()
        .map(|runtime| (runtime.name(), start(runtime)))
        .collect()
}

#[derive(Deserialize)]
enum RouterAsk {
    Decide {
        question: router::Question,
        evidence: router::Evidence,
    },
}

#[derive(Serialize)]
enum RouterSaid {
    Decide(router::Step),
}

#[derive(Deserialize)]
enum HealthAsk {
    Judge {
        probes: Vec<health::Probe>,
        limits: health::Limits,
        now_ms: u64,
    },
}

#[derive(Serialize)]
enum HealthSaid {
    Judge(health::Verdict),
}

#[derive(Deserialize)]
enum PheromoneAsk {
    Accept {
        draft: pheromone::Draft,
        own_kinds: Vec<String>,
        now_ms: u64,
    },
    Intensity {
        pheromone: pheromone::Pheromone,
        now_ms: u64,
    },
    Sense {
        pheromones: Vec<pheromone::Pheromone>,
        filter: pheromone::Filter,
        now_ms: u64,
    },
}

#[derive(Serialize)]
enum PheromoneSaid {
    Accept(Result<pheromone::Pheromone, Vec<pheromone::Problem>>),
    Intensity(f64),
    Sense(Vec<pheromone::Sensed>),
}

#[derive(Deserialize)]
enum PolicyAsk {
    Evaluate {
        sources: Vec<policy::Source>,
        subject: policy::Subject,
        queries: Vec<policy::Query>,
    },
    Load {
        sources: Vec<policy::Source>,
    },
    Schema {},
}

#[derive(Serialize)]
enum PolicySaid {
    Evaluate(Result<Judged, Vec<policy::Problem>>),
    Load(Result<Loaded, Vec<policy::Problem>>),
    Schema(String),
}

#[derive(Serialize)]
struct Judged {
    ids: Vec<String>,
    verdicts: Vec<policy::Verdict>,
}

#[derive(Serialize)]
struct Loaded {
    ids: Vec<String>,
}

/// Asks by the doors of the nucleus.
fn ask(deciders: &Deciders, decider: &str, body: &[u8]) -> Vec<u8> {
    let said = match decider {
        "router" => {
            let RouterAsk::Decide { question, evidence } = from_json(body).unwrap();
            let step = deciders.router.decide(&question, &evidence).unwrap();
            to_json(&RouterSaid::Decide(step))
        }
        "health" => {
            let HealthAsk::Judge {
                probes,
                limits,
                now_ms,
            } = from_json(body).unwrap();
            let verdict = deciders.health.judge(&probes, limits, now_ms).unwrap();
            to_json(&HealthSaid::Judge(verdict))
        }
        "pheromone" => to_json(&ask_pheromone(deciders, from_json(body).unwrap())),
        _ => to_json(&ask_policy(deciders, from_json(body).unwrap())),
    };
    said.unwrap()
}

fn ask_pheromone(deciders: &Deciders, ask: PheromoneAsk) -> PheromoneSaid {
    let door = &deciders.pheromone;
    match ask {
        PheromoneAsk::Accept {
            draft,
            own_kinds,
            now_ms,
        } => PheromoneSaid::Accept(door.accept(&draft, &own_kinds, now_ms).unwrap()),
        PheromoneAsk::Intensity { pheromone, now_ms } => {
            PheromoneSaid::Intensity(door.intensity(&pheromone, now_ms).unwrap())
        }
        PheromoneAsk::Sense {
            pheromones,
            filter,
            now_ms,
        } => PheromoneSaid::Sense(door.sense(&pheromones, &filter, now_ms).unwrap()),
    }
}

fn ask_policy(deciders: &Deciders, ask: PolicyAsk) -> PolicySaid {
    let load = |sources: &[policy::Source]| match deciders.policy.load(sources) {
        Ok(set) => Ok(set),
        Err(LoadError::Problems(problems)) => Err(problems),
        Err(error) => panic!("{error}"),
    };
    match ask {
        PolicyAsk::Evaluate {
            sources,
            subject,
            queries,
        } => PolicySaid::Evaluate(load(&sources).map(|set| Judged {
            ids: set.ids().to_vec(),
            verdicts: set.evaluate(&subject, &queries).unwrap(),
        })),
        PolicyAsk::Load { sources } => PolicySaid::Load(load(&sources).map(|set| Loaded {
            ids: set.ids().to_vec(),
        })),
        PolicyAsk::Schema {} => PolicySaid::Schema(deciders.policy.schema().unwrap()),
    }
}

#[test]
fn the_warm_deciders_answer_as_the_table_says() {
    for decider in NAMES {
        for (name, body, answer) in good(decider) {
            let said: Value = serde_json::from_slice(&ask(&WARM, decider, &body)).unwrap();
            assert_eq!(said, answer, "{decider}: {name}");
        }
    }
}

/// One test, since starting an application means compiling its components.
#[test]
fn the_deployed_deciders_answer_as_the_warm_ones_wherever_they_run() {
    for (runtime, app) in deployed() {
        good_requests_get_the_very_bytes_of_the_warm_deciders(runtime, &app);
        bad_requests_get_the_errors_of_the_table(runtime, &app);
        the_list_and_the_schemas_are_served(&app);
        a_nucleus_that_asks_there_gets_the_answers_of_its_own(runtime, &app);
        app.stop();
    }
}

fn good_requests_get_the_very_bytes_of_the_warm_deciders(runtime: &str, app: &App) {
    let client = app.client(None);
    for decider in NAMES {
        for (name, body, answer) in good(decider) {
            let what = format!("{runtime}: {decider}: {name}");
            let path = kgents_decide_wire::path(decider);
            let request = client.request("POST", &path).body(body.clone());
            let said = request.send();
            assert_eq!(said.status, 200, "{what}: {}", said.text());
            assert_eq!(said.json(), answer, "{what}");
            assert_eq!(said.body, ask(&WARM, decider, &body), "{what}");
            assert_eq!(said.header("content-type"), Some("application/json"));
        }
    }
}

fn bad_requests_get_the_errors_of_the_table(runtime: &str, app: &App) {
    let client = app.client(None);
    for case in table("bad") {
        let (method, target) = (case["method"].as_str(), case["path"].as_str());
        let (method, target) = (method.unwrap(), target.unwrap());
        let below = target.strip_prefix(kgents_decide_wire::PATH).unwrap();
        // Other paths are not routed to the component.
        if !below.is_empty() && !below.starts_with('/') {
            continue;
        }
        let body = match (&case["request"], &case["raw"]) {
            (Value::Null, Value::String(raw)) => {
                let times = case["times"].as_u64().unwrap_or(1) as usize;
                raw.repeat(times).into_bytes()
            }
            (Value::Null, _) => Vec::new(),
            (request, _) => serde_json::to_vec(request).unwrap(),
        };
        let said = client.request(method, target).body(body).send();
        let told = said.json();
        let what = format!("{runtime}: {}: {told}", case["name"]);
        let error = &told["error"];
        assert_eq!(Value::from(said.status), case["status"], "{what}");
        assert_eq!(error["details"][0]["reason"], case["reason"], "{what}");
        assert_eq!(error["message"], case["message"], "{what}");
        let allow = said.header("allow").is_some();
        assert_eq!(allow, said.status == 405, "{what}");
    }
}

fn the_list_and_the_schemas_are_served(app: &App) {
    let client = app.client(None);
    let list = client.get("/v1/decide").json();
    let listed = list["deciders"].as_array().unwrap();
    assert_eq!(listed.len(), NAMES.len());
    for decider in listed {
        let schema = client.get(decider["schema"].as_str().unwrap());
        assert_eq!(schema.status, 200);
        assert!(!schema.json()["examples"].as_array().unwrap().is_empty());
    }
}

/// The way of the nucleus to the deployed deciders, over this crate's client.
struct Over(Client, String);

impl Remote for Over {
    fn url(&self) -> &str {
        &self.1
    }

    fn ask(&self, decider: &str, body: Vec<u8>) -> Result<Vec<u8>, String> {
        let path = kgents_decide_wire::path(decider);
        let answer = self.0.request("POST", &path).body(body).send();
        match answer.status {
            200 => Ok(answer.body),
            status => Err(format!("{status}: {}", answer.text())),
        }
    }
}

fn a_nucleus_that_asks_there_gets_the_answers_of_its_own(runtime: &str, app: &App) {
    let over = Over(app.client(None), app.url().to_owned());
    let here = FILES.artifacts();
    let remote = Deciders::remote(&ENGINE, &here.router, &here.agents, Arc::new(over)).unwrap();
    for decider in NAMES {
        for (name, body, _) in good(decider) {
            let (here, there) = (ask(&WARM, decider, &body), ask(&remote, decider, &body));
            assert_eq!(here, there, "{runtime}: {decider}: {name}");
        }
    }
}
