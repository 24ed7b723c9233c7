//! WHAT a Spin application is; running one is another room's business.
//!
//! A manifest (`spin.toml`, version 2) and its files become a [`Packed`]: Spin's own locked-app
//! JSON and every piece of content by its digest, with each component already composed with its
//! dependencies. That is what is pushed to a registry and pulled from it. A [`Packed`] becomes an
//! [`App`] by [`App::open`], which checks everything and refuses by name whatever is not
//! supported, so that whoever runs an [`App`] finds nothing in it to be surprised by.
//!
//! Reads files where a function says so; no network, no environment, no clock. Nothing here
//! panics on any input: manifests, locks and artefacts come from strangers.
//!
//! What is accepted means what it means to Spin. Stricter than Spin, so that a mistake is an error
//! and not a surprise:
//!
//! - two triggers for the same paths, a route below `/.well-known/spin/`, a route that does not
//!   begin with `/` or is not ASCII (Spin logs, or takes the last);
//! - a pattern in `files` that matches nothing, links out of the application's folder or to
//!   folders (`dir/**`, on the other hand, means the files below `dir`, and not nothing);
//! - allowed hosts in letters other than ASCII, numbers that are no addresses (`127.1`), ranges
//!   without a port;
//! - core modules, which Spin adapts, and a dependency that would need Spin's adapter that takes
//!   permissions away (`compose`);
//! - WebAssembly from an address or a registry of packages: nothing is fetched here;
//! - `.env` is not read: the environment is what the runner was started with.
//!
//! Read in this order: `manifest` (spin.toml), `pack` (manifest and files to [`Packed`]) with
//! `files` and `compose`, `lock` (the JSON), `app` ([`Packed`] to [`App`]), then what a runner
//! asks for at run time: `template`, `variables`, `hosts`, `routes`, `runtime`.

mod app;
mod component;
mod compose;
mod digest;
mod error;
mod files;
mod hosts;
mod limits;
pub mod lock;
pub mod manifest;
mod names;
mod pack;
mod routes;
mod runtime;
mod template;
mod variables;

#[cfg(test)]
mod fixtures;

pub use app::{App, Component, GuestFile, HttpTrigger, Route, StaticResponse, Target, Variable};
pub use component::{Interfaces, interfaces};
pub use compose::{Dependency, compose};
pub use digest::Digest;
pub use error::{AppError, Problem};
pub use hosts::{AllowedHosts, HostPattern};
pub use limits::Limits;
pub use lock::LockedApp;
pub use names::DependencyName;
pub use pack::{PackOptions, Packed};
pub use routes::{RouteMatch, Router};
pub use runtime::{KeyValueStore, RuntimeConfig, VariablesProvider};
pub use template::Template;
pub use variables::Variables;
