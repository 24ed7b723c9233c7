//! Runs the deciders: WebAssembly components that import nothing and answer
//! one kind of question each (where to, may they, how strong, how healthy,
//! what is meant).
//!
//! In reading order:
//! - [`config`]: how many instances, how long, how much memory;
//! - [`artifact`]: a decider's bytes, and when precompiled code may be trusted;
//! - [`engine`]: one wasmtime engine, its clock tick and its loader thread;
//! - `bound`, `pool`: warm instances behind a deadline and a memory bound;
//! - [`deciders`]: the five typed doors, records generated from `wit/`; four of
//!   them may lead to deciders deployed elsewhere;
//! - [`precompile`]: machine code made ahead of time, for the build;
//! - [`files`]: deciders read from the build's folder.
//!
//! Invariants:
//! - The linker is empty, so a component with any import cannot be loaded.
//! - An instance that trapped, ran out of time or of memory is dropped and
//!   never entered again; a loaded spare answers the next call.
//! - Every call ends: in an answer, or in an [`Error`] that names the decider.

pub mod artifact;
mod bound;
pub mod config;
pub mod deciders;
pub mod engine;
pub mod error;
pub mod files;
mod pool;
pub mod precompile;

pub use artifact::{Artifact, Origin, Precompiled, Stamp};
pub use config::{CallLimits, EngineConfig};
pub use deciders::{
    Agents, Artifacts, Deciders, Health, LoadError, LoadModelError, Pheromones, Policy, PolicySet,
    Remote, Router, RouterModel,
};
pub use engine::Engine;
pub use error::Error;
pub use files::{AllFiles, ArtifactFiles};
