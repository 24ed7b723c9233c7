//! Pheromones: fading signals that agents leave for each other. How strong is
//! one now, which does a listener sense, and is a draft of one acceptable?
//!
//! Pure and import-free: the time is an argument, nothing here writes.
//! Invariants: an intensity is 0.0 (gone) or 0.01 to 1.0; sensing is ordered
//! strongest first, ties by index; the stored half-life of a DREAM is already
//! doubled, so reading never asks for the kind.
//!
//! Read in this order: [`signal`] (the nouns), [`accept`] (draft to
//! pheromone), [`fade`] (the formula), [`sense`] (the listener's view).

pub mod accept;
pub mod fade;
pub mod sense;
pub mod signal;

#[cfg(target_family = "wasm")]
mod component;

pub use accept::accept;
pub use fade::intensity;
pub use sense::sense;
pub use signal::{Draft, Filter, Pheromone, Problem, Sensed};
