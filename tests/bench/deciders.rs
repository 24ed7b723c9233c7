//! The deciders in the engine, as the nucleus has them: loading, instantiating,
//! calling.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, ensure};
use kgents_engine::deciders::{agents, health, pheromone, policy, router};
use kgents_engine::{
    Agents, Artifact, ArtifactFiles, Engine, EngineConfig, Error, Health, Pheromones, Policy,
    Router,
};

use crate::Settings;
use crate::table::{Cell, Table};
use crate::timing::{Times, microseconds, milliseconds};

/// 2026-11-24, in milliseconds.
const NOW_MS: u64 = 1_795_500_000_000;

/// Policies of the measured set; each but one is another group's.
const POLICIES: usize = 100;

/// What the figures go into.
struct Sheet {
    loads: Table,
    calls: Table,
    /// Each call is measured so many times, or a share of it where it is long.
    times: usize,
}

/// Measures all five.
///
/// # Errors
/// When one is not built, does not load or answers wrongly.
pub fn run(settings: &Settings) -> Result<Vec<Table>> {
    let directory = components();
    let engine = Engine::new(EngineConfig::default())?;
    let mut sheet = Sheet {
        loads: Table::new(
            "Deciders: from bytes to warm",
            &[
                "decider",
                "wasm KiB",
                "machine code KiB",
                "load ms",
                "compile and load ms",
                "one more instance µs",
            ],
        ),
        calls: Table::new("Deciders: one warm call", &["call", "median µs", "p99 µs"]),
        times: if settings.quick { 2_000 } else { 20_000 },
    };
    sheet.loads.note(format!(
        "{} instances and a spare are loaded. At start machine code is loaded that the build made; \
         compiling is what it saves.",
        engine.config().instances
    ));
    let read = |name| ArtifactFiles::read(&directory, name);
    sheet.router(&engine, &read("router")?.artifact())?;
    sheet.pheromone(&engine, &read("pheromone")?.artifact())?;
    sheet.health(&engine, &read("health")?.artifact())?;
    sheet.agents(&engine, &read("agents")?.artifact())?;
    sheet.policy(&engine, &read("policy")?.artifact())?;
    sheet.calls.note(
        "Peer: the smallest call (`health: no probes`) is what crossing into WebAssembly and back costs. \
         p99 is wall time, so it also shows what else the machine does.",
    );
    Ok(vec![sheet.loads, sheet.calls])
}

/// Where the built deciders are.
pub fn components() -> PathBuf {
    let given = std::env::var_os("KGENTS_COMPONENTS").map(PathBuf::from);
    given.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/components"))
}

impl Sheet {
    /// Loads a decider without precompiled code and with it, and instantiates.
    fn load<T, I>(
        &mut self,
        artifact: &Artifact<'_>,
        load: impl Fn(&Artifact<'_>) -> std::result::Result<T, Error>,
        instantiate: impl Fn(&T) -> std::result::Result<I, Error>,
    ) -> Result<T> {
        let began = Instant::now();
        load(&Artifact {
            precompiled: None,
            ..*artifact
        })?;
        let compiled = began.elapsed();
        let loading = Times::try_measure(3, || load(artifact))?;
        let door = load(artifact)?;
        let instance = Times::try_measure(self.times.div_ceil(20), || instantiate(&door))?;
        let code = artifact.precompiled.as_ref().map(|code| code.cwasm.len());
        let kibibytes = |bytes: usize| Cell::Number(bytes as f64 / 1024.0, 0);
        self.loads.row([
            Cell::text(artifact.name),
            kibibytes(artifact.wasm.len()),
            code.map_or(Cell::Missing, kibibytes),
            milliseconds(loading.median(), 2),
            milliseconds(compiled, 0),
            microseconds(instance.median(), 1),
        ]);
        Ok(door)
    }

    /// Measures a call, `share` times fewer than the shortest ones.
    fn call<T, E: std::error::Error + Send + Sync + 'static>(
        &mut self,
        name: &str,
        share: usize,
        work: impl FnMut() -> std::result::Result<T, E>,
    ) -> Result<()> {
        let times = Times::try_measure((self.times / share).max(5), work)?;
        self.calls.row([
            Cell::text(name),
            microseconds(times.median(), 2),
            microseconds(times.quantile(0.99), 2),
        ]);
        Ok(())
    }

    fn router(&mut self, engine: &Engine, artifact: &Artifact<'_>) -> Result<()> {
        let router = self.load(artifact, |it| Router::load(engine, it), Router::instantiate)?;
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
            is_taught: false,
        };
        let empty = router::Evidence {
            exact: None,
            conversation: None,
            cache: None,
            similar: None,
            classifier: None,
            search: None,
            fallback: None,
        };
        let full = router::Evidence {
            exact: Some(Vec::new()),
            conversation: Some(None),
            cache: Some(None),
            similar: Some(None),
            classifier: Some(None),
            search: Some(router::Found {
                candidates: (0..32).map(candidate).collect(),
                encoder: Some("minilm".into()),
            }),
            fallback: Some(None),
        };
        self.call("router: no evidence yet", 1, || {
            router.decide(&question, &empty)
        })?;
        self.call("router: 32 candidates", 1, || {
            router.decide(&question, &full)
        })?;
        let model = router.model(&learnt())?;
        let vectors = router::Vectors {
            words: direction(7).collect(),
            plain: direction(7).collect(),
            sentence: None,
        };
        let ranked = model.rank(&vectors, 32)?;
        ensure!(
            ranked.first().is_some_and(|best| best.route == 7),
            "the measured question lies on route 7: {ranked:?}"
        );
        self.call("router: rank 150 routes by words", 1, || {
            model.rank(&vectors, 32)
        })?;
        self.call("router: judge 32 of them, 100 examples each", 1, || {
            model.judge(&vectors, &ranked)
        })
    }

    fn pheromone(&mut self, engine: &Engine, artifact: &Artifact<'_>) -> Result<()> {
        let load = |it: &Artifact<'_>| Pheromones::load(engine, it);
        let pheromones = self.load(artifact, load, Pheromones::instantiate)?;
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
            .map_err(|problems| anyhow::anyhow!("refused: {problems:?}"))?;
        let many = vec![one.clone(); 100];
        let filter = pheromone::Filter {
            kind: Some("WARNING".into()),
            target: None,
            min_intensity: 0.1,
            limit: 10,
        };
        let later = NOW_MS + 60_000;
        self.call("pheromone: accept", 1, || {
            pheromones.accept(&draft, &[], NOW_MS)
        })?;
        self.call("pheromone: intensity", 1, || {
            pheromones.intensity(&one, later)
        })?;
        self.call("pheromone: sense among 100", 2, || {
            pheromones.sense(&many, &filter, later)
        })
    }

    fn health(&mut self, engine: &Engine, artifact: &Artifact<'_>) -> Result<()> {
        let health = self.load(artifact, |it| Health::load(engine, it), Health::instantiate)?;
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
        self.call("health: no probes", 1, || health.judge(&[], limits, NOW_MS))?;
        self.call("health: 10 probes", 1, || {
            health.judge(&probes, limits, NOW_MS + 10)
        })
    }

    fn agents(&mut self, engine: &Engine, artifact: &Artifact<'_>) -> Result<()> {
        let agents = self.load(artifact, |it| Agents::load(engine, it), Agents::instantiate)?;
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
        self.call("agents: plan", 1, || agents.plan(&message))?;
        self.call("agents: phrase", 1, || agents.phrase(&outcome))
    }

    fn policy(&mut self, engine: &Engine, artifact: &Artifact<'_>) -> Result<()> {
        let load = |it: &Artifact<'_>| Policy::load_decider(engine, it);
        // Asking for the schema takes a fresh instance.
        let policy = self.load(artifact, load, Policy::schema)?;
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
        let allowed = verdicts.first().is_some_and(|verdict| verdict.allowed);
        ensure!(
            allowed,
            "the measured query should be allowed: {verdicts:?}"
        );
        self.call("policy: 1 query, 100 policies", 1, || {
            set.evaluate(&subject, &one)
        })?;
        self.call("policy: 100 queries, 100 policies", 40, || {
            set.evaluate(&subject, &batch)
        })?;
        self.call("policy: load 100 policies, one instance", 1_000, || {
            set.instantiate()
        })?;
        self.call("policy: load 100 policies, all instances", 1_000, || {
            policy.load(&sources)
        })
    }
}

/// Routes of the measured model.
const ROUTES: usize = 150;
/// Examples of each.
const EXAMPLES: usize = 100;
/// Numbers in one of its vectors.
const DIMENSIONS: usize = 64;

/// A unit vector of its own for each route: signs by the bits of a mixed number.
fn direction(route: usize) -> impl Iterator<Item = f32> {
    let mixed = (route as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let sign = move |bit: usize| if mixed >> bit & 1 == 0 { 0.125 } else { -0.125 };
    (0..DIMENSIONS).map(sign)
}

/// A model whose examples all lie where their routes do: how they lie makes no
/// difference to the work.
fn learnt() -> router::Tables {
    let step = |x: f32| if x > 0.0 { 127 } else { -127 };
    let routes = || (0..ROUTES).flat_map(|route| std::iter::repeat_n(route, EXAMPLES));
    let examples = router::Examples {
        steps: routes()
            .flat_map(|route| direction(route).map(step))
            .collect(),
        scales: vec![0.125 / 127.0; ROUTES * EXAMPLES],
    };
    let route = |number: usize| router::Route {
        agent: format!("agent-{number}"),
        cluster: "local".into(),
        skill: "translation of legal texts".into(),
        examples: EXAMPLES as u32,
        is_taught: true,
    };
    let logistic = |weights: &[f32]| router::Logistic {
        intercept: -4.0,
        weights: weights.to_vec(),
    };
    router::Tables {
        routes: (0..ROUTES).map(route).collect(),
        words: router::Head {
            dimensions: DIMENSIONS as u32,
            weights: (0..ROUTES).flat_map(direction).collect(),
            biases: vec![0.0; ROUTES],
        },
        words_examples: examples.clone(),
        plain_examples: examples,
        words_calibration: router::Calibration {
            in_scope: logistic(&[4.0, 2.0, 1.0, 1.0]),
            right: logistic(&[1.0, 1.0]),
        },
        sentences: None,
    }
}

fn permit(number: usize) -> String {
    format!(
        "@id(\"p{number}\") permit(principal in Group::\"group-{number}\", \
         action == Action::\"invoke\", resource == Agent::\"agent-{number}\");\n"
    )
}
