//! The codecs: bytes of a protocol to a `Call`, payloads back to bytes. Pure:
//! no I/O, no clock, no randomness; the host links it as a library. Compiled to
//! WebAssembly it is the gateway, a Spin HTTP component, as well: the same code
//! in a sandbox, with `component` around it.
//!
//! Reading order: `call` (the types, with `feedback`), `table` (what failures are called),
//! `path`, `decode` and the bindings `jsonrpc` and `rest`, `message` with `params`
//! (what is read of A2A's requests) over `json` and `members` (how), `reply`
//! (answers), `upstream` with `sse`, `answer`, `facts` and `agent_error` (towards
//! agents), `card` with `fields`, `deprecation`, `resource` and `own` (agent cards); then `door`
//! (what every front door does alike), `carry` and `reading` (how a gateway and
//! its nucleus speak), `setup` (a gateway's variables) and `component`.
//!
//! Invariants: nothing here panics on any input; a field that the mesh judges
//! by has exactly one meaning in the bytes that it sends on; those bytes are
//! the ones that came.

mod agent_error;
mod answer;
pub mod call;
pub mod card;
pub mod carry;
#[cfg(target_family = "wasm")]
mod component;
pub mod decode;
pub mod deprecation;
pub mod door;
pub mod facts;
mod feedback;
mod fields;
pub mod head;
pub mod headers;
pub mod interface;
mod json;
pub mod jsonrpc;
mod members;
pub mod message;
pub mod own;
mod params;
pub mod path;
mod query;
pub mod reading;
pub mod reply;
pub mod resource;
pub mod rest;
pub mod setup;
pub mod slug;
mod sse;
pub mod table;
pub mod upstream;

pub use card::{Card, Skill};
pub use decode::{Arrived, decode};
pub use deprecation::Deprecation;
pub use facts::{ResultFacts, TaskState};
pub use head::RequestHead;
pub use interface::{Binding, Interface};
pub use own::{OwnAgent, mesh_card, own_card};
pub use path::{Refusal, accepts, needs_body};
pub use reply::{Encoded, ReplyBinding, ReplyShape};
pub use resource::Credentials;
pub use slug::{is_label, slug};
