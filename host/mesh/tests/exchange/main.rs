//! The exchange over fake ports (who calls, what policies say, what agents
//! answer) and over the true trail on a simulated disk: whatever happens to an
//! interaction, the trail tells of it once, and what was set aside is settled.
//!
//! Reading order: `fakes`, `world` (a mesh over them), `calls`, `cancelled`, `streams`, `disk`,
//! `tasks`, `hidden`, `own`, `changes`, `feedback`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop where it stands"
)]

mod calls;
mod cancelled;
mod changes;
mod disk;
mod fakes;
mod feedback;
mod hidden;
mod own;
mod streams;
mod tasks;
mod world;
