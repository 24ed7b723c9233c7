//! What can go wrong in the log, and what each means for the caller.

use std::io;
use std::sync::Arc;

/// A disk operation that did not succeed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot {operation} `{file}`")]
pub struct Failure {
    /// What was tried: `write`, `sync`, `create`, `read`…
    pub operation: &'static str,
    /// The file it was tried on, relative to the log's folder.
    pub file: String,
    /// What the operating system said; shared, as a whole group fails at once.
    #[source]
    pub source: Arc<io::Error>,
}

/// What is tried on a segment that is no longer where it was.
const FIND: &str = "find";

impl Failure {
    /// `file` is no longer what is written to.
    pub(crate) fn displaced(file: &str, why: io::Error) -> Self {
        Self::new(FIND, file, why)
    }

    /// Whether the file was taken away under the log, or replaced.
    #[must_use]
    pub fn is_displaced(&self) -> bool {
        self.operation == FIND
    }

    pub(crate) fn new(operation: &'static str, file: &str, source: io::Error) -> Self {
        Self {
            operation,
            file: file.to_owned(),
            source: Arc::new(source),
        }
    }

    /// Whether the cause is missing space or an exhausted quota.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(
            self.source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        )
    }
}

/// Where the log does not hold what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Index of the first record concerned, counted from 0 over the whole log.
    pub index: u64,
    /// Name of the event there, if it can still be read.
    pub event: Option<String>,
    /// The file, relative to the log's folder.
    pub file: String,
    /// Bytes from the start of the file.
    pub offset: u64,
    /// What was found, in words.
    pub why: String,
}

/// The log cannot do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// A setting cannot be used.
    #[error("audit setting `{field}` {why}")]
    Config {
        /// The setting's name.
        field: &'static str,
        /// What is wrong, and what would be right.
        why: String,
    },
    /// Another process has this log open for writing.
    #[error("the audit log in `{dir}` is open in another process; stop it first")]
    Locked {
        /// The log's folder.
        dir: String,
    },
    /// The folder holds no log.
    #[error("`{dir}` holds no audit log: its `{file}` is missing")]
    Absent {
        /// The log's folder.
        dir: String,
        /// The file that every log has.
        file: &'static str,
    },
    /// A key file cannot be read, created or trusted.
    #[error("audit key `{file}` {why}")]
    Key {
        /// The key's file.
        file: String,
        /// What is wrong, and how to mend it.
        why: String,
    },
    /// The log was signed by another key than the one at hand.
    #[error(
        "the log was signed by `{found}`, this key is `{expected}`; \
         restore the key, or start a new audit folder"
    )]
    KeyChanged {
        /// The verifier key stored with the log.
        found: String,
        /// The verifier key of the signer at hand.
        expected: String,
    },
    /// A record cannot be kept as it is.
    #[error("audit record field `{field}` {why}")]
    Record {
        /// The field's path.
        field: &'static str,
        /// What is wrong, and what would be right.
        why: String,
    },
    /// More is waiting for the disk than the buffer may hold; try again later.
    #[error("{buffered_bytes} bytes wait for the disk, no more than {limit_bytes} may")]
    Full {
        /// Bytes that wait.
        buffered_bytes: usize,
        /// Bytes that may wait (`Config::buffer_bytes`).
        limit_bytes: usize,
    },
    /// No space: the record is not kept; later ones are once there is space.
    #[error("the disk of the audit log is full; free some space")]
    DiskFull(#[source] Failure),
    /// The disk failed: the record is not kept. What had been durable before
    /// stays; the log goes on in a new segment as soon as the disk allows.
    #[error("the disk of the audit log failed")]
    DiskFailed(#[source] Failure),
    /// The file that is written to is no longer under its name, so what is
    /// written would be gone with it: the record is not kept. Later ones are
    /// once the file is back.
    #[error(
        "the audit log was taken away or replaced while it was written; \
         put its folder back, or stop the mesh and start it again"
    )]
    Displaced(#[source] Failure),
    /// The log was changed or damaged. It is never cut or mended unasked.
    #[error("`{}` is damaged at byte {} (record {}): {}", .0.file, .0.offset, .0.index, .0.why)]
    Corrupt(Box<Damage>),
    /// The log was closed.
    #[error("the audit log is closed")]
    Closed,
}

impl Error {
    /// The stable name of this failure, for wire, metrics and logs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Config { .. } => "audit-config",
            Self::Locked { .. } => "audit-locked",
            Self::Absent { .. } => "audit-absent",
            Self::Key { .. } => "audit-key",
            Self::KeyChanged { .. } => "audit-key-changed",
            Self::Record { .. } => "audit-record",
            Self::Full { .. } => "audit-buffer-full",
            Self::DiskFull(_) => "audit-disk-full",
            Self::DiskFailed(_) => "audit-disk-failed",
            Self::Displaced(_) => "audit-displaced",
            Self::Corrupt(_) => "audit-corrupt",
            Self::Closed => "audit-closed",
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        if failure.is_full() {
            Self::DiskFull(failure)
        } else if failure.is_displaced() {
            Self::Displaced(failure)
        } else {
            Self::DiskFailed(failure)
        }
    }
}

impl From<Damage> for Error {
    fn from(damage: Damage) -> Self {
        Self::Corrupt(Box::new(damage))
    }
}
