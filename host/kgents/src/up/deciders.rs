//! The deciders that are built into this binary.

use crate::config::PolicyFile;
use kgents_engine::deciders::policy::Source;
use kgents_engine::{
    Artifact, Artifacts, Deciders, Engine, EngineConfig, Error, LoadError, Policy, Precompiled,
};
use std::num::NonZeroUsize;

macro_rules! embedded {
    ($name:literal) => {
        Artifact {
            name: $name,
            wasm: include_bytes!(concat!(env!("KGENTS_COMPONENTS"), "/", $name, ".wasm")),
            precompiled: Some(Precompiled {
                cwasm: include_bytes!(concat!(env!("KGENTS_COMPONENTS"), "/", $name, ".cwasm")),
                stamp: include_str!(concat!(
                    env!("KGENTS_COMPONENTS"),
                    "/",
                    $name,
                    ".cwasm.sha256"
                )),
            }),
        }
    };
}

/// Loads all five.
///
/// # Errors
/// When one cannot be loaded, by name.
pub fn load() -> Result<Deciders, Error> {
    let artifacts = Artifacts {
        router: embedded!("router"),
        policy: embedded!("policy"),
        pheromone: embedded!("pheromone"),
        health: embedded!("health"),
        agents: embedded!("agents"),
    };
    Deciders::load(&Engine::new(EngineConfig::default())?, &artifacts)
}

/// Policy files as the decider takes them.
pub fn sources(files: &[PolicyFile]) -> Vec<Source> {
    let source = |file: &PolicyFile| Source {
        name: file.name.clone(),
        text: file.text.clone(),
    };
    files.iter().map(source).collect()
}

/// Loads policies in a decider of its own, for checking them.
///
/// # Errors
/// What is wrong with them, one line each.
pub fn validate_policies(files: &[PolicyFile]) -> Result<Vec<String>, Vec<String>> {
    let alone = EngineConfig {
        instances: NonZeroUsize::MIN,
        ..EngineConfig::default()
    };
    let line = |error: &dyn std::fmt::Display| vec![error.to_string()];
    let engine = Engine::new(alone).map_err(|e| line(&e))?;
    let decider = Policy::load_decider(&engine, &embedded!("policy")).map_err(|e| line(&e))?;
    match decider.load(&sources(files)) {
        Ok(set) => Ok(set.ids().to_vec()),
        Err(LoadError::Problems(problems)) => {
            Err(problems.iter().map(kgents_mesh::policy::describe).collect())
        }
        Err(LoadError::Engine(error)) => Err(line(&error)),
    }
}
