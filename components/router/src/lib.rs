//! The router: where does this request go?
//!
//! Evidence in; a decision out, or the rung of evidence still needed. Pure and
//! import-free: no clock, no network, no randomness, so the same arguments give
//! the same answer on every machine. It never fails: nonsense ends in a visible
//! fallback.
//!
//! In reading order: [`question`] (the values that go in and come out),
//! [`decide`] (the ladder), [`exact`] (names), [`rungs`] (what the question says),
//! [`conversation`] (who keeps it), [`search`] (scores become one ranked list of
//! probabilities), [`features`] (what such a probability is made of), [`model`]
//! (what was learnt from the cards, checked), [`classify`] (what it says of a
//! question), `neighbours` (the examples nearest to it), `steps` (their arithmetic), `softmax`, [`order`] (short lists),
//! [`calibration`] (the search's weights, which are data), [`reason`] (the sentence
//! for a person).

pub mod calibration;
pub mod classify;
pub mod conversation;
pub mod decide;
pub mod exact;
pub mod features;
pub mod model;
mod neighbours;
pub mod order;
pub mod question;
pub mod reason;
pub mod rungs;
pub mod search;
mod softmax;
mod steps;

#[cfg(target_family = "wasm")]
mod component;

pub use decide::decide;
