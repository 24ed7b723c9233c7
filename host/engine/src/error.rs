//! What can go wrong between the host and a decider.

/// A decider cannot be loaded, or did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The engine itself cannot be set up on this machine.
    #[error("the WebAssembly engine cannot start: {detail}")]
    Setup {
        /// What the engine or the operating system said.
        detail: String,
    },
    /// The bytes are not a component, or cannot be compiled.
    #[error("decider `{decider}` cannot be loaded: {detail}")]
    Artifact {
        /// Name of the decider.
        decider: String,
        /// What is wrong with the bytes.
        detail: String,
    },
    /// The component asks for something from outside; a decider may not.
    #[error("decider `{decider}` imports `{import}`; a decider imports nothing")]
    Imports {
        /// Name of the decider.
        decider: String,
        /// The first import, as the component names it.
        import: String,
    },
    /// The component's exports are not those of its WIT world.
    #[error("decider `{decider}` does not fit its world: {detail}")]
    World {
        /// Name of the decider.
        decider: String,
        /// Which export is missing or differs.
        detail: String,
    },
    /// A fresh instance cannot be made, for lack of memory or address space.
    #[error("decider `{decider}` has no instance: {detail}")]
    Instance {
        /// Name of the decider.
        decider: String,
        /// What the engine said.
        detail: String,
    },
    /// The decider stopped on a failed assertion or an invalid operation. The
    /// instance is gone; the same question will likely fail again.
    #[error("decider `{decider}` trapped: {detail}")]
    Trapped {
        /// Name of the decider.
        decider: String,
        /// The trap, for the log.
        detail: String,
    },
    /// The call was not done within its deadline.
    #[error("decider `{decider}` did not answer within {deadline_ms} ms")]
    Deadline {
        /// Name of the decider.
        decider: String,
        /// The deadline, in milliseconds.
        deadline_ms: u64,
    },
    /// The call asked for more memory than an instance may hold.
    #[error("decider `{decider}` asked for more than {memory_bytes_max} bytes of memory")]
    Memory {
        /// Name of the decider.
        decider: String,
        /// The bound, in bytes.
        memory_bytes_max: usize,
    },
    /// The decider is asked elsewhere, and gave no answer that can be used. Asking
    /// again later may succeed.
    #[error("decider `{decider}` at {url} gave no answer: {detail}")]
    Remote {
        /// Name of the decider.
        decider: String,
        /// Where it was asked.
        url: String,
        /// What went wrong.
        detail: String,
    },
    /// Every instance stayed in use for a whole deadline. Asking again later
    /// may succeed.
    #[error("decider `{decider}` had no free instance within {deadline_ms} ms")]
    Busy {
        /// Name of the decider.
        decider: String,
        /// How long the call waited, in milliseconds.
        deadline_ms: u64,
    },
}

impl Error {
    /// Stable name for the wire, metrics and audit.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Setup { .. } => "engine-setup",
            Self::Artifact { .. } => "decider-artifact",
            Self::Imports { .. } => "decider-imports",
            Self::World { .. } => "decider-world",
            Self::Instance { .. } => "decider-instance",
            Self::Trapped { .. } => "decider-trapped",
            Self::Deadline { .. } => "decider-deadline",
            Self::Memory { .. } => "decider-memory",
            Self::Remote { .. } => "decider-remote",
            Self::Busy { .. } => "decider-busy",
        }
    }

    /// Name of the decider concerned; `None` when it is the engine itself.
    pub fn decider(&self) -> Option<&str> {
        match self {
            Self::Setup { .. } => None,
            Self::Artifact { decider, .. }
            | Self::Imports { decider, .. }
            | Self::World { decider, .. }
            | Self::Instance { decider, .. }
            | Self::Trapped { decider, .. }
            | Self::Deadline { decider, .. }
            | Self::Memory { decider, .. }
            | Self::Remote { decider, .. }
            | Self::Busy { decider, .. } => Some(decider),
        }
    }
}
