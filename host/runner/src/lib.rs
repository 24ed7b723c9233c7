//! Runs a Spin application ([`kgents_app::App`]): its components answer HTTP
//! requests in an engine of their own, with what their manifest allows and
//! nothing else.
//!
//! In reading order:
//! - [`settings`], [`error`]: what an operator decides, what can be wrong;
//! - [`engine`], `cache`: wasmtime, pooled; compiled code kept between starts;
//! - `check`, `link`: what components may import and must export, and what they
//!   get for it;
//! - `load`: from an application to a [`Runner`];
//! - [`runner`]: from a request to the component that is for it; `headers`;
//! - `component`, `resting`, `lane`: an instance for each request, or for several,
//!   and where it computes;
//! - `state`, `bound`, `files`, `speech`, `store`, `variables`, `outbound`: what
//!   one guest has and is held to;
//! - [`body`]: answers, whole or still coming.
//!
//! What a guest cannot do, whatever it does:
//! - reach a host that is not in its `allowed_outbound_hosts`, or any socket (raw
//!   TCP, UDP and name look-ups are refused, whatever that list says; real Spin
//!   allows some);
//! - see files, variables, stores or the environment of anybody else;
//! - hold more memory than its limit, or 2,000 of the host's resources, or 64 KiB
//!   of headers in one place; the host's memory that it holds by them stays below
//!   some 200 MB at the very worst;
//! - keep others from running: who computes for long goes on in threads of low
//!   priority, and its request ends at its time limit;
//! - fill the log: 64 KiB a request and stream, 256 KiB a second and component.
//!
//! Answers, where a component gives none: 500 (it trapped, gave up, or ran out of
//! memory; no body, as in Spin), 504 (its time limit), 503 (no room, or closing).
//!
//! Differences from real Spin, each on purpose: time limits and `reuse`; an
//! answer that breaks off is seen to break off, not ended as if it were whole;
//! `spin-*` headers cannot be sent by clients; the host in `spin-full-url` is
//! right under HTTP/2; `http://self` is answered in-process, from `0.0.0.0:0`;
//! keys on Redis have a prefix of the application and the label.

mod body;
mod bound;
mod cache;
mod check;
mod component;
pub mod engine;
pub mod error;
mod files;
mod headers;
mod lane;
mod link;
mod load;
mod outbound;
mod resting;
pub mod runner;
pub mod settings;
mod speech;
mod state;
mod store;
mod variables;

pub use body::{BodyError, RunnerBody};
pub use engine::{Engine, EngineSettings};
pub use error::RunError;
pub use runner::Runner;
pub use settings::{Environment, RunnerSettings};
