//! The deciders that are built into this binary, or those deployed elsewhere that
//! are asked instead (`over_http`).

mod over_http;

pub use over_http::OverHttp;

use crate::config::PolicyFile;
use anyhow::Context as _;
use kgents_engine::deciders::policy::Source;
use kgents_engine::{
    Artifact, Artifacts, Deciders, Engine, EngineConfig, Error, LoadError, Policy, Precompiled,
    Router,
};
use std::num::NonZeroUsize;
use std::sync::Arc;

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

/// Loads all five; with the URL of others, only the one behind the mesh's own
/// agents, and the router for the models that are judged here, and asks those for
/// the rest.
///
/// # Errors
/// When one cannot be loaded, by name, or the URL cannot be used. Nothing is asked
/// yet.
pub fn load(elsewhere: Option<&str>) -> anyhow::Result<Deciders> {
    let Some(url) = elsewhere else {
        return Ok(built_in()?);
    };
    let remote = OverHttp::new(url)
        .map_err(anyhow::Error::msg)
        .with_context(|| format!("`deciders`: `{url}` cannot be used"))?;
    tracing::info!(url, "the deciders are asked elsewhere");
    let engine = Engine::new(EngineConfig::default())?;
    Ok(Deciders::remote(
        &engine,
        &embedded!("router"),
        &embedded!("agents"),
        Arc::new(remote),
    )?)
}

/// The router alone, in one instance, for measuring how it decides.
///
/// # Errors
/// When it cannot be loaded.
pub fn router() -> Result<Router, Error> {
    let alone = EngineConfig {
        instances: NonZeroUsize::MIN,
        ..EngineConfig::default()
    };
    Router::load(&Engine::new(alone)?, &embedded!("router"))
}

fn built_in() -> Result<Deciders, Error> {
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
