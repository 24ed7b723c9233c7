//! Health: is this agent healthy? Probe results in, a status with its reason
//! out.
//!
//! Pure and import-free: the time is an argument. Invariants: slowness never
//! fails an agent, only silence it can be blamed for does; what is too old to
//! say anything is `Unknown`, never healthy; the reason carries the numbers
//! that decided.
//!
//! Read in this order: [`probe`] (the nouns), [`judge`] (the decision).

pub mod judge;
pub mod probe;

#[cfg(target_family = "wasm")]
mod component;

pub use judge::judge;
pub use probe::{Limits, Outcome, Probe, Status, Verdict};
