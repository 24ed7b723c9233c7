//! How well are questions routed? Labelled questions take the way that the mesh's
//! own take (names, what was learnt, search, the router's decision), among agents
//! that need not exist, and what became of them is told in figures.
//!
//! In reading order: [`lines`] (files of questions and agents), [`fleet`] (agents
//! made into a directory by the mesh's registry), [`trial`] (the mesh's routing over
//! them, [`clock`] and [`everybody`] around it), then what is told of many questions:
//! [`figures`], [`fit`], [`lint`] over `likeness`.
//!
//! Invariant: nothing here decides or gathers evidence. A figure is of the routing,
//! the registry and the model of the mesh, or it is not worth knowing.

pub mod clock;
pub mod error;
pub mod everybody;
pub mod figures;
pub mod fit;
pub mod fleet;
mod likeness;
pub mod lines;
pub mod lint;
pub mod trial;

pub use error::Error;
pub use everybody::Everybody;
pub use figures::{Evaluation, evaluate};
pub use fit::{Fit, fit};
pub use fleet::Fleet;
pub use lint::{Finding, Lint, lint};
pub use trial::{Plan, Tier, Trial};

/// Hears how far something is that takes more than a moment.
pub trait Told: Sync {
    /// `done` of `of` parts of a step are done.
    fn at(&self, step: Step, done: usize, of: usize);
}

/// Nobody listens.
impl Told for () {
    fn at(&self, _step: Step, _done: usize, _of: usize) {}
}

/// What takes more than a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Texts of agents become vectors.
    Encoding,
    /// A model is trained.
    Training,
    /// Thresholds are fitted on labelled questions.
    Calibrating,
    /// Questions are routed.
    Routing,
    /// Thresholds are tried.
    Fitting,
    /// What agents say is compared.
    Comparing,
}

impl Step {
    /// What is going on, for people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Encoding => "encoding what the agents say",
            Self::Training => "learning from the examples",
            Self::Calibrating => "calibrating",
            Self::Routing => "routing the questions",
            Self::Fitting => "trying thresholds",
            Self::Comparing => "comparing the agents",
        }
    }
}
