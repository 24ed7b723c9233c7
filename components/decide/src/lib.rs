//! The deciders over HTTP: `/v1/decide/{router,policy,pheromone,health}`. A Spin
//! component that has the deciders as its dependencies and adds nothing to what
//! they say: JSON in, their records in and out, JSON out.
//!
//! It keeps nothing, reaches nothing and asks for no identity: a body carries all
//! that a decision needs, whoever may connect may ask. Keep it inside the cluster.
//!
//! A body is an object of one member: the function's name, with its arguments.
//! The answer is an object of that same member, with what the function returned.
//!
//! Reading order: [`records`] (from `wit/`), [`ask`] (what may be asked, and the
//! answers), [`deciders`] (the four behind a trait), [`handle`] (paths and bodies),
//! [`answer`] (statuses and errors), [`schemas`], `component` (the door of Spin).

pub mod answer;
pub mod ask;
mod bindings;
pub mod deciders;
pub mod handle;
pub mod records;
pub mod schemas;

#[cfg(target_family = "wasm")]
mod component;

pub use answer::Answer;
pub use deciders::Deciders;
pub use handle::{Body, handle, has_body};
