//! Why a change is refused.

use crate::document::{SKILLS_MAX, VECTORS_MAX};

/// A change that an index cannot take. Nothing is changed then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// An agent has more skills than one agent may have.
    #[error("agent `{agent}` has {skills} skills, and may have {SKILLS_MAX}: split its card")]
    Skills {
        /// The agent.
        agent: String,
        /// How many it has.
        skills: usize,
    },
    /// An agent has more vectors than one agent may have.
    #[error(
        "agent `{agent}` has {vectors} vectors, and may have {VECTORS_MAX}: give it fewer examples"
    )]
    Vectors {
        /// The agent.
        agent: String,
        /// How many it has, over all of its skills.
        vectors: usize,
    },
}

impl Error {
    /// Its stable name in logs and answers.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Skills { .. } => "search-skills-too-many",
            Self::Vectors { .. } => "search-vectors-too-many",
        }
    }
}
