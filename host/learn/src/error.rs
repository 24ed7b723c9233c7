//! What can go wrong: a damaged table, a lesson nothing can be learnt from, a judge
//! that does not answer.

/// A model cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A part of the static encoder is not what this build reads. The shipped parts are
    /// compiled in, so a shipped one never is.
    #[error("the static encoder's {part} {problem}; make it again with table/make.py")]
    Table {
        /// Name of the file: `static64.bin`, `vocab.txt` or `background.txt`.
        part: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// More than is learnt from in the time that a change of cards may take. The search
    /// rung serves such a mesh without a model.
    #[error(
        "{found} {what} are more than the {max} that a model is trained for; search routes without a model"
    )]
    TooLarge {
        /// `routes` or `lines`.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there may be.
        max: usize,
    },
    /// A line belongs to no route of its lesson.
    #[error("line {line} belongs to route {route}, the lesson has {routes} routes")]
    UnknownRoute {
        /// Place of the line, from 0.
        line: usize,
        /// The route it names.
        route: u32,
        /// How many routes there are.
        routes: usize,
    },
    /// A weight is not above 0.0 and at most 1.0.
    #[error("line {line} has weight {weight}, it has to be above 0 and at most 1")]
    Weight {
        /// Place of the line, from 0.
        line: usize,
        /// The weight as text.
        weight: String,
    },
    /// The sentence encoder's vectors cannot be learnt from.
    #[error("the sentence encoder `{encoder}` {problem}")]
    Sentences {
        /// The encoder's name.
        encoder: String,
        /// What is wrong with its vectors.
        problem: String,
    },
    /// There is nothing to calibrate on.
    #[error("of the {lines} lines to calibrate on none {missing}; add some that do")]
    Calibration {
        /// How many lines were given.
        lines: usize,
        /// What no line has.
        missing: &'static str,
    },
    /// The decider did not judge.
    #[error("the router did not judge the model's own examples: {problem}")]
    Judge {
        /// What it said, or what is wrong with its answer.
        problem: String,
    },
}

impl Error {
    /// Stable name for logs and metrics.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Error::Table { .. } => "learn-table",
            Error::TooLarge { .. } => "learn-too-large",
            Error::UnknownRoute { .. } => "learn-unknown-route",
            Error::Weight { .. } => "learn-weight",
            Error::Sentences { .. } => "learn-sentences",
            Error::Calibration { .. } => "learn-calibration",
            Error::Judge { .. } => "learn-judge",
        }
    }
}
