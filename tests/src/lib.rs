//! What tests of several rooms share: where the build left things, the mesh as
//! a process, an agent to call, and a client that sees every byte.
//!
//! Reading order: `mesh` (the binary under test), `app` (a Spin application),
//! `agent` (what a mesh calls), `http` (who calls it), `ran`, `poll`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop where it stands"
)]

pub mod agent;
pub mod app;
pub mod http;
pub mod mesh;
pub mod poll;
pub mod ran;

use std::env;
use std::path::{Path, PathBuf};

pub use agent::{Agent, AgentOptions, Seen};
pub use app::{App, Runtime};
pub use http::{Answer, Client, Connection};
pub use mesh::{Mesh, Setup};
pub use poll::until;
pub use ran::Ran;

/// The five deciders: names of their folders, worlds and components.
pub const DECIDERS: [&str; 5] = ["router", "policy", "pheromone", "health", "agents"];

/// Root of the checkout.
pub fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_owned()
}

/// Where cargo builds: `CARGO_TARGET_DIR`, else `target`.
pub fn target() -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR");
    target.map_or_else(|| root().join("target"), PathBuf::from)
}

/// Folder of the built components: `KGENTS_COMPONENTS`, as `cargo xtask` sets
/// it, else `target/components`.
pub fn components() -> PathBuf {
    env::var_os("KGENTS_COMPONENTS").map_or_else(|| target().join("components"), PathBuf::from)
}

/// The binary under test, as `cargo xtask build` leaves it.
pub fn binary() -> PathBuf {
    target()
        .join("release")
        .join(format!("kgents{}", env::consts::EXE_SUFFIX))
}
