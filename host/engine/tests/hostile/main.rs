//! Deciders that never return, take all memory, trap, lie or ask for the
//! network: each costs one call, never the next.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop where it stands"
)]

mod code;
mod health;
mod policy;

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use kgents_engine::config::CallLimits;
use kgents_engine::{Artifact, Engine, EngineConfig};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

/// One instance and a spare, and a deadline that only an endless loop misses.
fn engine() -> Engine {
    bounded(Duration::from_secs(60))
}

/// The same with a deadline short enough to wait for.
fn hasty_engine() -> Engine {
    bounded(Duration::from_millis(HASTE_MS))
}

/// Deadline of [`hasty_engine`]; long enough for good behaviour on a machine
/// that does much else.
const HASTE_MS: u64 = 300;

fn bounded(deadline: Duration) -> Engine {
    let bounded = |limits: CallLimits| CallLimits { deadline, ..limits };
    Engine::new(EngineConfig {
        instances: NonZeroUsize::MIN,
        small: bounded(CallLimits::SMALL),
        policy: bounded(CallLimits::POLICY),
        policy_load: bounded(CallLimits::POLICY_LOAD),
    })
    .unwrap()
}

/// A core module in text, as a component of the decider's own world.
fn component(world: &str, text: &str) -> Vec<u8> {
    let mut module = wat::parse_str(text).unwrap();
    let wit = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../wit")
        .join(world);
    let mut resolve = wit_parser::Resolve::default();
    let (package, _) = resolve.push_dir(&wit).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).unwrap();
    ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .unwrap()
        .encode()
        .unwrap()
}

fn artifact<'a>(name: &'a str, wasm: &'a [u8]) -> Artifact<'a> {
    Artifact {
        name,
        wasm,
        precompiled: None,
    }
}
