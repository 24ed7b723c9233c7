//! The audit log: what happened in the mesh, kept so that nobody can change
//! it unseen, and so that a crash loses nothing that was acknowledged.
//!
//! Records go into append-only **segments**, which are the truth. Everything
//! else is derived from them and can be rebuilt: a leaf hash for each record,
//! and a history of **heads**, each an Ed25519-signed RFC 6962 Merkle root in
//! the C2SP checkpoint format. One writer thread commits whatever has
//! gathered with one write and one `fdatasync` (a **group**).
//!
//! Reading order: [`event`] and [`record`] (what is kept) · [`frame`] and
//! [`segment`] (how it lies in files) · [`merkle`], [`note`] and [`keys`] (how
//! it is sealed) · [`disk`] (what it stands on) · `store`, `queue` and [`log`] (how it
//! is written) · `recovery`, [`replay`](mod@replay) and [`verify`](mod@verify) (how it is
//! read) · `unsigned` (what no head covers yet) · [`simulation`] (how all this is tested).
//!
//! INVARIANT: a position handed to [`Log::durable`] that resolved `Ok` is
//! there after any crash, in its place, and every head covers durable records
//! only.

mod chain;
pub mod config;
pub mod disk;
mod error;
pub mod event;
mod examine;
pub mod frame;
mod heads;
pub mod keys;
pub mod log;
pub mod merkle;
pub mod note;
mod open_intents;
mod queue;
pub mod record;
mod recovery;
pub mod replay;
mod scan;
pub mod segment;
mod sidecar;
pub mod simulation;
mod store;
mod tail;
#[cfg(test)]
mod tests;
mod unsigned;
pub mod verify;
mod writer;

pub use config::{Clock, Config};
pub use disk::{Disk, DiskFile, FsDisk};
pub use error::{Damage, Error, Failure};
pub use event::{
    Action, Agent, AgentAuditEvent, Decision, DecisionOutcome, Routing, Trace, event_name,
    timestamp,
};
pub use keys::Keys;
pub use log::{Log, Position};
pub use merkle::to_hex;
pub use note::{Head, VerifierKey};
pub use record::{Intent, Outcome, Record};
pub use recovery::Recovery;
pub use replay::{Replay, replay};
pub use verify::{FirstBad, Report, verify, verify_disk};
