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
mod router;
mod wrapped;

use std::num::NonZeroUsize;
use std::time::Duration;

use kgents_engine::config::CallLimits;
use kgents_engine::{Engine, EngineConfig};
use wrapped::{artifact, component};

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
        router_model_instances: NonZeroUsize::MIN,
        router_model: bounded(CallLimits::ROUTER_MODEL),
        router_model_load: bounded(CallLimits::ROUTER_MODEL_LOAD),
    })
    .unwrap()
}
