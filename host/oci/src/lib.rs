//! Spin applications in registries: `push` and `pull`, in the layout of `spin
//! registry push`, so that `spin up -f`, the containerd shim and this program load
//! what any of them has pushed.
//!
//! What comes from a registry is judged as what comes from a stranger: manifest,
//! configuration and every blob are proven by their digests, sizes are bounded
//! before and while they are read, and a registry that hangs ends in an error.
//!
//! Reading order: `reference` (what an artefact is called), `layout` (what it looks
//! like), `assemble` and `restore` (an application as an artefact and back, pure)
//! with `archive`; `transfer` (push and pull), then what it stands on: `registry`
//! (HTTP), `credentials`, `cache`; `settings`, `error`.

mod archive;
mod assemble;
mod cache;
mod credentials;
mod error;
mod layout;
mod reference;
mod registry;
mod restore;
mod settings;
mod transfer;

pub use credentials::Credentials;
pub use error::OciError;
pub use reference::Reference;
pub use settings::{Settings, Times};
pub use transfer::{Pulled, pull, push};
