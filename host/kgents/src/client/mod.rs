//! The client of the running mesh: finds it by the data folder, shows it a
//! short-lived token of the local operator, speaks its REST and A2A.
//!
//! Reading order: `mesh` (find and speak) · `message` (what is sent) · `head`
//! (what answers carry) · `events` (streams) · `error` (what went wrong).

mod error;
mod events;
mod head;
mod mesh;
mod message;

pub use error::{Error, chain};
pub use head::Head;
pub use mesh::{Answer, Mesh, Stream, authority};
pub use message::{Message, MessageId};
