//! The router: where does this request go?
//!
//! Evidence in; a decision out, or the rung of evidence still needed. Pure and
//! import-free: no clock, no network, no randomness, so the same arguments give
//! the same answer on every machine. It never fails: nonsense ends in a visible
//! fallback.
//!
//! In reading order: [`question`] (the values that go in and come out),
//! [`decide`] (the ladder), [`exact`] (names), [`search`] (scores become one
//! ranked list of probabilities), [`features`] (what the probability is made
//! of), [`order`] (short lists), [`calibration`] (the weights, which are data), [`reason`] (the sentence
//! for a person).

pub mod calibration;
pub mod decide;
pub mod exact;
pub mod features;
pub mod order;
pub mod question;
pub mod reason;
pub mod search;

#[cfg(target_family = "wasm")]
mod component;

pub use decide::decide;
