//! The nucleus (the native host of the mesh): the exchange, which every
//! interaction passes, and what stands behind its ports. It decides nothing
//! that a component could decide.
//!
//! Reading order: `principal`, `ports`, `exchange` and its `routing`; then what
//! the ports are in truth: `identity`, `evidence` over `registry` and `tasks`,
//! `policy`, `journal` over `ledger` and `store` (budget and audit), `dial`; then
//! `decisions` (what was decided before), `learning` (what cards and people teach the router), `own`, `pheromones`, `health`; and `nucleus`, which puts it all together.

pub mod clock;
pub mod decisions;
pub mod dial;
pub mod evidence;
pub mod exchange;
pub mod health;
pub mod identity;
pub mod journal;
pub mod learning;
pub mod ledger;
pub mod nucleus;
pub mod own;
pub mod pheromones;
pub mod policy;
pub mod ports;
pub mod principal;
pub mod registry;
pub mod routing;
pub mod store;
pub mod tasks;
pub mod telemetry;
pub mod trace;
