//! How one talks to registries.

use std::path::PathBuf;
use std::time::Duration;

use crate::{Credentials, Reference};

/// How one talks to registries. The default asks for nothing but what everybody
/// may have, over TLS, and keeps nothing.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// As whom.
    pub credentials: Credentials,
    /// Plain HTTP, so that everybody on the way can read and change what passes.
    /// Registries on this machine are called so in any case.
    pub insecure: bool,
    /// Folder in which blobs are kept, by digest, so that they are pulled once;
    /// `None` keeps nothing. It only grows: whoever owns it clears it.
    pub cache: Option<PathBuf>,
    /// How long is waited.
    pub times: Times,
}

impl Settings {
    /// Whether the registry of `reference` is called without TLS.
    pub(crate) fn plain(&self, reference: &Reference) -> bool {
        self.insecure || reference.is_loopback()
    }
}

/// How long is waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// For a connection.
    pub connect: Duration,
    /// For the next byte in either direction.
    pub idle: Duration,
    /// For a whole push or pull.
    pub whole: Duration,
}

impl Default for Times {
    /// A registry in another part of the world answers within a second; the rest is
    /// for bad networks. A quarter of an hour moves 256 MiB at 300 kB/s.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            whole: Duration::from_secs(15 * 60),
        }
    }
}
