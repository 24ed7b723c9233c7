//! What can keep questions from being measured.

use crate::lines::FileError;

/// Questions cannot be measured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file is not as it must be.
    #[error(transparent)]
    File(#[from] FileError),
    /// There is nobody to choose.
    #[error("there are no agents to route to")]
    NoAgents,
    /// A card that stands for a line.
    #[error("no card can be made of `{name}`: {problem}")]
    Card {
        /// Name of the agent.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// The folder for what is only needed meanwhile.
    #[error("there is no room for what is computed meanwhile: {0}")]
    Folder(#[source] std::io::Error),
    /// The registry's store.
    #[error("the agents cannot be made into a registry")]
    Registry(#[from] kgents_mesh::store::Error),
    /// The model.
    #[error("nothing can be learnt: {0}")]
    Learn(#[from] kgents_learn::Error),
    /// The decider does not take the model.
    #[error("the router does not take what was learnt: {0}")]
    Model(#[from] kgents_engine::LoadModelError),
    /// The decider.
    #[error("the router cannot be loaded: {0}")]
    Decider(#[from] kgents_engine::Error),
    /// The mesh's routing.
    #[error("a question is not decided: {0}")]
    Routing(#[from] kgents_gateway::call::Failure),
}

impl Error {
    /// Stable name.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::File(_) => "FILE",
            Self::NoAgents => "NO_AGENTS",
            Self::Card { .. } => "CARD",
            Self::Folder(_) => "FOLDER",
            Self::Registry(_) => "REGISTRY",
            Self::Learn(_) => "LEARN",
            Self::Model(_) => "MODEL",
            Self::Decider(_) | Self::Routing(_) => "ROUTER",
        }
    }

    /// What to do about it, where we know.
    pub fn fix(&self) -> Option<&str> {
        match self {
            Self::File(error) => Some(&error.fix),
            Self::NoAgents => {
                Some("register one (kgents agents add URL), or give --train or --cards")
            }
            Self::Folder(_) | Self::Registry(_) => Some("set TMPDIR to a folder with room"),
            Self::Learn(kgents_learn::Error::Calibration { .. }) => {
                Some("--calibrate needs lines with a route and lines with null")
            }
            _ => None,
        }
    }
}
