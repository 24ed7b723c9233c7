//! Routing: how well questions find their agent, and what that costs, measured with
//! the functions behind `kgents router eval`, which are the mesh's own routing.
//!
//! The labelled questions of CLINC150 are not in the repository: `--clinc150 DIR`
//! names a folder with `train.jsonl`, `validation.jsonl` and `test.jsonl`, a line
//! being `{"query", "route"}`, with null for what is out of scope. Source: Larson et
//! al. 2019, "An Evaluation Dataset for Intent Classification and Out-of-Scope
//! Prediction", <https://github.com/clinc/oos-eval>, CC BY 3.0.
//!
//! Reading order: this file (what is measured with), `clinc` (how well), `trace` (how
//! much is answered from memory), `cost` (what a decision takes), `zero` (agents
//! without examples), `peer` (beside somebody else's).

mod clinc;
mod cost;
mod peer;
mod trace;
mod zero;

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use kgents_engine::deciders::policy::Source;
use kgents_engine::{ArtifactFiles, Engine, EngineConfig, Policy, Router};
use kgents_evaluation::lines::Labelled;
use kgents_evaluation::{Plan, Tier, Trial, fleet};
use kgents_gateway::Card;
use kgents_mesh::policy::PolicyStore;
use kgents_mesh::registry::Encode;

use crate::Settings;
use crate::encoder;
use crate::table::Table;
use clinc::Clinc;

/// Of so many questions one is asked where a rough figure will do.
const ONE_IN: usize = 10;
/// The policies of a mesh that says nothing of them.
const OPEN: &str = "@id(\"open\") permit (principal, action, resource);";

/// What trials are made of.
struct Mesh {
    router: Router,
    policy: Arc<PolicyStore>,
    encoder: Option<Arc<dyn Encode>>,
}

/// Measures what there is data for.
///
/// # Errors
/// When a decider is not built, or a file is not as it must be.
pub fn run(settings: &Settings) -> Result<Vec<Table>> {
    let mesh = Mesh::open()?;
    let mut tables = vec![zero::run(settings, &mesh)?];
    let Some(folder) = &settings.clinc150 else {
        let mut table = Table::new("CLINC150", &[""]);
        table.note("skipped: name its folder with --clinc150 DIR; see tests/bench/routing.rs");
        tables.push(table);
        return Ok(tables);
    };
    let clinc = Clinc::read(folder, settings.quick)?;
    let mut quality = clinc::table(settings.quick);
    let (mut repeats, mut costs) = (trace::table(), cost::table());
    for tier in [Tier::Full, Tier::Static] {
        if tier == Tier::Full && mesh.encoder.is_none() {
            quality.note("full: skipped, as no language model is installed.");
            continue;
        }
        let began = Instant::now();
        let trial = mesh.trial(fleet::of_examples(&clinc.train)?, tier, &[])?;
        clinc.alone(&trial, began.elapsed(), &mut quality)?;
        trace::run(&clinc, &trial, &mut repeats)?;
        cost::run(settings, &clinc, &trial, &mut costs)?;
        drop(trial);
        if !settings.quick {
            clinc.calibrated(&mesh, tier, &mut quality)?;
        }
    }
    tables.extend([quality, repeats, costs]);
    tables.push(peer::run(settings, &clinc, &mesh)?);
    Ok(tables)
}

impl Mesh {
    /// Deciders in one instance each, and the language model if it is installed.
    fn open() -> Result<Self> {
        let config = EngineConfig {
            instances: std::num::NonZeroUsize::MIN,
            ..EngineConfig::default()
        };
        let engine = Engine::new(config)?;
        let read = |name| ArtifactFiles::read(&crate::deciders::components(), name);
        let decider = Policy::load_decider(&engine, &read("policy")?.artifact())?;
        let open = Source {
            name: "open.cedar".to_owned(),
            text: OPEN.to_owned(),
        };
        let policy = PolicyStore::open(decider, &[open], fleet::CLUSTER, "mesh.local")?;
        let encoder = encoder::open().ok();
        Ok(Self {
            router: Router::load(&engine, &read("router")?.artifact())?,
            policy: Arc::new(policy),
            encoder: encoder.map(|encoder| Arc::new(encoder) as Arc<dyn Encode>),
        })
    }

    fn trial(
        &self,
        agents: Vec<(String, Card)>,
        tier: Tier,
        calibrate: &[Labelled],
    ) -> Result<Trial> {
        let plan = Plan {
            agents,
            tier,
            encoder: self.encoder.clone(),
            router: self.router.clone(),
            policy: Arc::clone(&self.policy) as _,
            calibrate,
        };
        Ok(Trial::open(plan, &())?)
    }
}

/// Whether the right agent comes first, be it chosen or not.
fn is_right(decision: &kgents_engine::deciders::router::Decision, line: &Labelled) -> bool {
    let next = decision.alternatives.first().map(|next| &next.agent);
    decision.agent.as_ref().or(next) == line.route.as_ref()
}
