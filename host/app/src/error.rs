//! What can be wrong with an application, told so that its author can mend it.

use std::path::{Path, PathBuf};

use crate::Digest;

/// What is wrong with one value, without its place: parsers of single values return it, and
/// whoever knows the place makes an [`AppError`] of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Problem(String);

impl Problem {
    /// A problem in words, with the fix where there is one; starts small, ends without a stop.
    pub fn new(words: impl Into<String>) -> Problem {
        Problem(words.into())
    }

    /// The same problem at its place, such as `component.web.variables.token`.
    pub fn at(self, place: impl AsRef<str>) -> AppError {
        AppError::invalid(place, self.0)
    }
}

/// An application, or a configuration for it, that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// A file or folder could not be read.
    #[error("{at}: cannot read `{path}`")]
    Read {
        /// What names the file: a field, or the argument.
        at: String,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A document is not TOML or JSON, or does not have the form of its kind.
    #[error("{document}: {problem}")]
    Document {
        /// Which document: its file as it was named, else its kind: `locked application`.
        document: String,
        /// Where and what, with the offending key.
        problem: String,
    },
    /// A value has the right type and makes no sense.
    #[error("{at}: {problem}")]
    Invalid {
        /// The field, as a path from the document's root.
        at: String,
        /// What is wrong, and the fix.
        problem: String,
    },
    /// Spin knows it and this runner does not.
    #[error("{at}: {what} is not supported; {hint}")]
    Unsupported {
        /// The field, as a path from the document's root.
        at: String,
        /// What it is.
        what: String,
        /// What to do instead.
        hint: String,
    },
    /// Content, or a sum of contents, is over its bound.
    #[error("{at}: {bytes} bytes, {bytes_max} are allowed")]
    TooLarge {
        /// The field, as a path from the document's root.
        at: String,
        /// Its size, bytes.
        bytes: u64,
        /// The bound, bytes.
        bytes_max: u64,
    },
    /// Content is not what its digest says.
    #[error(
        "{at}: the content has digest {found}, {expected} was expected; it was changed or damaged on the way: get it again"
    )]
    Digest {
        /// The field, as a path from the document's root.
        at: String,
        /// The digest that was written down.
        expected: Digest,
        /// The digest of the bytes that are there.
        found: Digest,
    },
    /// Content that is referred to is not there.
    #[error("{at}: no content with digest {digest} comes with the application")]
    Missing {
        /// The field, as a path from the document's root.
        at: String,
        /// The digest referred to.
        digest: Digest,
    },
}

impl AppError {
    /// A stable word for metrics and tests, one a variant.
    pub fn code(&self) -> &'static str {
        match self {
            AppError::Read { .. } => "unreadable",
            AppError::Document { .. } => "malformed",
            AppError::Invalid { .. } => "invalid",
            AppError::Unsupported { .. } => "unsupported",
            AppError::TooLarge { .. } => "too-large",
            AppError::Digest { .. } => "digest-mismatch",
            AppError::Missing { .. } => "content-missing",
        }
    }

    pub(crate) fn unsupported(
        at: impl AsRef<str>,
        what: impl AsRef<str>,
        hint: impl Into<String>,
    ) -> AppError {
        AppError::Unsupported {
            at: printable(at.as_ref()),
            what: printable(what.as_ref()),
            hint: hint.into(),
        }
    }

    pub(crate) fn invalid(at: impl AsRef<str>, problem: impl AsRef<str>) -> AppError {
        AppError::Invalid {
            at: printable(at.as_ref()),
            problem: printable(problem.as_ref()),
        }
    }

    pub(crate) fn document(document: &str, problem: &str) -> AppError {
        AppError::Document {
            document: document.to_owned(),
            problem: printable(problem),
        }
    }

    /// The same of the document in `file`, which is a `kind`: it is named as its reader knows it.
    pub(crate) fn in_file(mut self, file: &Path, kind: &str) -> AppError {
        let name = printable(&file.display().to_string());
        match &mut self {
            AppError::Document { document, .. } => *document = name,
            AppError::Invalid { at, .. }
            | AppError::Unsupported { at, .. }
            | AppError::TooLarge { at, .. } => {
                *at = if at.as_str() == kind {
                    name
                } else {
                    format!("{name}: {at}")
                };
            }
            // The one tells its file already, the others are of contents.
            AppError::Read { .. } | AppError::Digest { .. } | AppError::Missing { .. } => {}
        }
        self
    }
}

/// Errors quote keys of strangers, and what a parser said of them. Neither may begin a line of
/// its own in a log, or fill it.
fn printable(words: &str) -> String {
    const CHARS_MAX: usize = 2000;
    let mut line = String::with_capacity(words.len().min(CHARS_MAX));
    for (count, c) in words.chars().enumerate() {
        if count == CHARS_MAX {
            line.push('…');
            break;
        }
        if c.is_control() {
            line.extend(c.escape_debug());
        } else {
            line.push(c);
        }
    }
    line
}
