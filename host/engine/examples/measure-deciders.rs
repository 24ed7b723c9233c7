//! Measures each decider: loading, compiling, instantiating, calling.
//!
//! ```text
//! cargo xtask bench deciders
//! cargo xtask bench deciders policy
//! ```
//!
//! Times are medians of many, in microseconds unless said otherwise; `p99` is
//! wall time and therefore also shows what else the machine does.

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use kgents_engine::deciders::{agents, health, pheromone, policy, router};
use kgents_engine::{
    Agents, Artifact, ArtifactFiles, Engine, EngineConfig, Health, Pheromones, Policy, Router,
};

/// 2026-11-24, in milliseconds.
const NOW_MS: u64 = 1_795_500_000_000;

/// Policies of the measured set; most are another group's.
const POLICIES: usize = 100;

/// All deciders, in the order they are measured.
const NAMES: [&str; 5] = ["router", "pheromone", "health", "agents", "policy"];

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let chosen: Vec<String> = env::args().skip(1).collect();
    let directory = env::var_os("KGENTS_COMPONENTS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/components"),
        PathBuf::from,
    );
    let engine = Engine::new(EngineConfig::default())?;
    println!("instances: {} and a spare", engine.config().instances);
    for name in NAMES {
        if chosen.is_empty() || chosen.iter().any(|chosen| chosen == name) {
            let files = ArtifactFiles::read(&directory, name)?;
            measure(&engine, &files.artifact())?;
        }
    }
    Ok(())
}

fn measure(engine: &Engine, artifact: &Artifact<'_>) -> Result<()> {
    match artifact.name {
        "router" => router(&loaded(artifact, |it| Router::load(engine, it))?),
        "pheromone" => pheromone(&loaded(artifact, |it| Pheromones::load(engine, it))?),
        "health" => health(&loaded(artifact, |it| Health::load(engine, it))?),
        "agents" => agents(&loaded(artifact, |it| Agents::load(engine, it))?),
        _ => policy(&loaded(artifact, |it| Policy::load_decider(engine, it))?),
    }
}

/// From bytes to warm, without precompiled code and with it.
fn loaded<T>(
    artifact: &Artifact<'_>,
    load: impl Fn(&Artifact<'_>) -> std::result::Result<T, kgents_engine::Error>,
) -> Result<T> {
    let began = Instant::now();
    load(&Artifact {
        precompiled: None,
        ..*artifact
    })?;
    let compiled = began.elapsed();
    let began = Instant::now();
    let door = load(artifact)?;
    println!(
        "\n{}: {} B wasm, {} B machine code; load {:.2} ms, compile and load {:.0} ms",
        artifact.name,
        artifact.wasm.len(),
        artifact.precompiled.map_or(0, |code| code.cwasm.len()),
        milliseconds(began.elapsed()),
        milliseconds(compiled),
    );
    println!("{:<34} {:>10} {:>10}", "", "median us", "p99 us");
    Ok(door)
}

fn router(router: &Router) -> Result<()> {
    let question = router::Question {
        text: "translate this contract into German".into(),
        target: None,
        accept: 0.8,
    };
    let candidate = |number: u16| router::Candidate {
        agent: format!("agent-{number}"),
        cluster: "local".into(),
        skill: "translation of legal texts".into(),
        lexical: f32::from(number) / 3.0,
        coverage: 0.5,
        vector: Some(f32::from(number) / 40.0),
    };
    let empty = router::Evidence {
        exact: None,
        cache: None,
        search: None,
        fallback: None,
    };
    let full = router::Evidence {
        exact: Some(Vec::new()),
        cache: Some(None),
        search: Some(router::Found {
            candidates: (0..32).map(candidate).collect(),
            encoder: Some("minilm".into()),
        }),
        fallback: Some(None),
    };
    time("router: instantiate", 1_000, || router.instantiate())?;
    time("router: no evidence yet", 20_000, || {
        router.decide(&question, &empty)
    })?;
    time("router: 32 candidates", 20_000, || {
        router.decide(&question, &full)
    })
}

fn pheromone(pheromones: &Pheromones) -> Result<()> {
    let draft = pheromone::Draft {
        kind: "WARNING".into(),
        source: "b-gent".into(),
        initial_intensity: None,
        half_life_minutes: None,
        target: None,
        ttl_seconds: None,
    };
    let one = pheromones
        .accept(&draft, &[], NOW_MS)?
        .map_err(|problems| format!("{problems:?}"))?;
    let many = vec![one.clone(); 100];
    let filter = pheromone::Filter {
        kind: Some("WARNING".into()),
        target: None,
        min_intensity: 0.1,
        limit: 10,
    };
    let later = NOW_MS + 60_000;
    time("pheromone: instantiate", 1_000, || pheromones.instantiate())?;
    time("pheromone: accept", 20_000, || {
        pheromones.accept(&draft, &[], NOW_MS)
    })?;
    time("pheromone: intensity", 20_000, || {
        pheromones.intensity(&one, later)
    })?;
    time("pheromone: sense among 100", 10_000, || {
        pheromones.sense(&many, &filter, later)
    })
}

fn health(health: &Health) -> Result<()> {
    let probe = |number: u64| health::Probe {
        at_ms: NOW_MS + number,
        outcome: health::Outcome::Answered(12),
    };
    let probes: Vec<_> = (0..10).map(probe).collect();
    let limits = health::Limits {
        slow_ms: 5_000,
        failures: 3,
        stale_ms: 60_000,
    };
    time("health: instantiate", 1_000, || health.instantiate())?;
    time("health: 10 probes", 20_000, || {
        health.judge(&probes, limits, NOW_MS + 10)
    })
}

fn agents(agents: &Agents) -> Result<()> {
    let message = agents::Message {
        agent: "b-gent".into(),
        text: "How many tokens does translation have left?".into(),
        data: None,
    };
    let outcome = agents::Outcome::Balance(agents::Account {
        name: "translation".into(),
        allocated: 1_000,
        spent: 400,
        reserved: 100,
        free: 500,
        window: "day".into(),
    });
    time("agents: instantiate", 1_000, || agents.instantiate())?;
    time("agents: plan", 20_000, || agents.plan(&message))?;
    time("agents: phrase", 20_000, || agents.phrase(&outcome))
}

fn policy(policy: &Policy) -> Result<()> {
    let source = policy::Source {
        name: "measured.cedar".into(),
        text: (0..POLICIES).map(permit).collect(),
    };
    let sources = [source];
    let subject = policy::Subject {
        kind: policy::Kind::User,
        id: "ada".into(),
        groups: vec!["everyone".into(), "group-7".into()],
        attributes: Vec::new(),
    };
    let query = policy::Query {
        action: "invoke".into(),
        resource_kind: policy::Kind::Agent,
        resource_id: "agent-7".into(),
        resource_groups: Vec::new(),
        resource_attributes: Vec::new(),
        context: Vec::new(),
    };
    let batch = vec![query.clone(); 100];
    let one = [query];
    let set = policy.load(&sources)?;
    let verdicts = set.evaluate(&subject, &one)?;
    if !verdicts.first().is_some_and(|verdict| verdict.allowed) {
        return Err(format!("the measured query should be allowed: {verdicts:?}").into());
    }
    time("policy: instantiate (schema)", 200, || policy.schema())?;
    time("policy: load 100 policies, one", 20, || set.instantiate())?;
    time("policy: load 100 policies, all", 20, || {
        policy.load(&sources)
    })?;
    time("policy: 1 query", 20_000, || set.evaluate(&subject, &one))?;
    time("policy: 100 queries", 500, || {
        set.evaluate(&subject, &batch)
    })
}

fn permit(number: usize) -> String {
    format!(
        "@id(\"p{number}\") permit(principal in Group::\"group-{number}\", \
         action == Action::\"invoke\", resource == Agent::\"agent-{number}\");\n"
    )
}

/// Run `work` so many times and print the median and the 99th percentile.
fn time<T, E: Error + 'static>(
    name: &str,
    times: usize,
    mut work: impl FnMut() -> std::result::Result<T, E>,
) -> Result<()> {
    let mut spent = Vec::with_capacity(times);
    for _ in 0..times {
        let began = Instant::now();
        let answer = work()?;
        spent.push(began.elapsed());
        drop(answer);
    }
    spent.sort_unstable();
    let at = |share: usize| spent.get(times * share / 100).copied().unwrap_or_default();
    println!(
        "{name:<34} {:>10.2} {:>10.2}",
        microseconds(at(50)),
        microseconds(at(99))
    );
    Ok(())
}

fn microseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
