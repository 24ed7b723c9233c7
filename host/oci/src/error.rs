//! Why an application could not be pushed or pulled, in words for whoever asked
//! for it.

use std::path::PathBuf;

use kgents_app::{AppError, Digest};

/// A push or pull that failed. What is quoted of a registry's answer is cut short.
#[derive(Debug, thiserror::Error)]
pub enum OciError {
    /// The text names nothing in a registry.
    #[error(
        "`{text}` is no reference: {problem}; write REGISTRY/NAME:TAG, for example `ghcr.io/acme/shop:1.2`"
    )]
    Reference {
        /// What was given.
        text: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Docker's configuration, or a credential helper named there, failed.
    #[error("no credentials for `{registry}`: {problem}")]
    Credentials {
        /// Host and port of the registry.
        registry: String,
        /// What went wrong; never a secret.
        problem: String,
    },
    /// No connection, or a broken one.
    #[error("`{registry}` cannot be reached for {what}")]
    Unreachable {
        /// Host and port of who was called.
        registry: String,
        /// What was asked for.
        what: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Not one byte for too long.
    #[error("`{registry}` was silent for {seconds} s over {what}; it hangs, or the network does")]
    Silent {
        /// Host and port of who was called.
        registry: String,
        /// What was asked for.
        what: String,
        /// How long was waited, seconds.
        seconds: u64,
    },
    /// The whole took too long.
    #[error(
        "`{reference}` took longer than {seconds} s; the network or the registry is too slow for it"
    )]
    Late {
        /// What was pushed or pulled.
        reference: String,
        /// How long was waited, seconds.
        seconds: u64,
    },
    /// The registry wants other credentials.
    #[error(
        "`{registry}` does not allow {what} {who}{message}; log in with `docker login {registry}`, and see that the account may use the repository"
    )]
    Denied {
        /// Host and port of the registry.
        registry: String,
        /// What was asked for.
        what: String,
        /// As whom: `without credentials` or `with the credentials of Docker's configuration`.
        who: &'static str,
        /// What it said, after `: `; empty if nothing that can be read.
        message: String,
    },
    /// The registry has no such thing.
    #[error("`{registry}` does not have {what}")]
    Absent {
        /// Host and port of the registry.
        registry: String,
        /// What was asked for.
        what: String,
    },
    /// The registry said no.
    #[error("`{registry}` answered {status} to {what}{message}")]
    Refused {
        /// Host and port of the registry.
        registry: String,
        /// What was asked for.
        what: String,
        /// The HTTP status.
        status: u16,
        /// What it said, after `: `; empty if nothing that can be read.
        message: String,
    },
    /// The answer is not what the registry protocol says.
    #[error("`{registry}` does not answer as a registry does to {what}: {problem}")]
    Protocol {
        /// Host and port of the registry.
        registry: String,
        /// What was asked for.
        what: String,
        /// What is wrong with the answer.
        problem: String,
    },
    /// The artefact, or a part of it, is not a Spin application.
    #[error("{what}: {problem}")]
    Artefact {
        /// The part, such as `layer 2 (application/x, sha256:…)`.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A part is over its bound.
    #[error("{what}: more than {bytes_max} bytes, which is the most that is taken")]
    TooLarge {
        /// The part.
        what: String,
        /// The bound, bytes.
        bytes_max: u64,
    },
    /// A part is not what its digest says.
    #[error(
        "{what}: the bytes that came have digest {found}, {expected} was expected; they were changed or damaged on the way"
    )]
    Digest {
        /// The part.
        what: String,
        /// The digest it is known by.
        expected: Digest,
        /// The digest of what came.
        found: Digest,
    },
    /// The artefact is sound, the application in it is not.
    #[error("the application in `{reference}` cannot be used")]
    App {
        /// What was pulled, or was to be pushed.
        reference: String,
        /// Why.
        #[source]
        source: AppError,
    },
    /// The cache folder cannot be used.
    #[error("cannot use the cache folder `{}`", path.display())]
    Cache {
        /// The folder, or a file in it.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// This machine cannot call out.
    #[error("the system's certificate roots cannot be read")]
    Roots(#[source] std::io::Error),
}

impl OciError {
    /// A stable word for metrics and tests, one a variant.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Reference { .. } => "invalid-reference",
            Self::Credentials { .. } => "credentials",
            Self::Unreachable { .. } => "unreachable",
            Self::Silent { .. } => "silent",
            Self::Late { .. } => "late",
            Self::Denied { .. } => "denied",
            Self::Absent { .. } => "absent",
            Self::Refused { .. } => "refused",
            Self::Protocol { .. } => "protocol",
            Self::Artefact { .. } => "invalid-artefact",
            Self::TooLarge { .. } => "too-large",
            Self::Digest { .. } => "digest-mismatch",
            Self::App { .. } => "invalid-application",
            Self::Cache { .. } => "cache",
            Self::Roots(_) => "no-roots",
        }
    }

    pub(crate) fn artefact(what: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Artefact {
            what: what.into(),
            problem: problem.into(),
        }
    }
}

/// At most `chars` characters of `text`, on one line, with nothing in it that
/// moves a terminal's cursor.
pub(crate) fn quoted(text: &str, chars: usize) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let mut short: String = text.trim().chars().take(chars).map(clean).collect();
    if text.trim().chars().nth(chars).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_is_short_and_on_one_line() {
        assert_eq!(quoted("  a\nb\u{1b}[2J ", 10), "a b [2J");
        assert_eq!(quoted("abcdef", 3), "abc…");
    }
}
