//! The log's settings, checked once.

use std::sync::Arc;

use crate::Error;

/// Milliseconds since the Unix epoch. The log never asks the time itself.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// A segment is closed once it has this many bytes: small enough to scan in a
/// quarter of a second at start, large enough that few files gather.
const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;

/// Bytes that may wait for the disk: about 20,000 records, half a second of
/// full load, after which callers should be told rather than kept.
const BUFFER_BYTES: usize = 16 * 1024 * 1024;

/// Records between two heads under load. A head costs two syncs and a
/// signature, so this keeps it below a twentieth of the writer's time.
const HEAD_RECORDS: u64 = 8_192;

/// The longest a durable record waits for a head, in milliseconds.
const HEAD_MS: u64 = 1_000;

/// How the log is kept.
#[derive(Clone)]
pub struct Config {
    /// The cluster's name; the log's origin is `kgents/<cluster>/audit`.
    /// Letters, digits, `-`, `_` and `.`, 1 to 63 of them.
    pub cluster: String,
    /// Bytes after which a new segment is begun. At least 1.
    pub segment_bytes: u64,
    /// Bytes that may wait for the disk before `append` answers
    /// [`Error::Full`]. At least 1.
    pub buffer_bytes: usize,
    /// Sign a head after this many records. At least 1.
    pub head_records: u64,
    /// Sign a head when this many milliseconds have passed since the last and
    /// there is something new. 0: after each group.
    pub head_ms: u64,
    /// The time, for heads only; records carry their own.
    pub now_ms: Clock,
}

impl Config {
    /// The defaults for a cluster's log.
    #[must_use]
    pub fn new(cluster: &str, now_ms: Clock) -> Self {
        Self {
            cluster: cluster.to_owned(),
            segment_bytes: SEGMENT_BYTES,
            buffer_bytes: BUFFER_BYTES,
            head_records: HEAD_RECORDS,
            head_ms: HEAD_MS,
            now_ms,
        }
    }

    /// The origin line of this log's heads, and the name of its key.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("kgents/{}/audit", self.cluster)
    }

    /// Fails with [`Error::Config`] naming the first setting that cannot be.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let fail = |field, why: &str| {
            Err(Error::Config {
                field,
                why: why.to_owned(),
            })
        };
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        if self.cluster.is_empty() || self.cluster.len() > 63 || !self.cluster.chars().all(plain) {
            return fail(
                "cluster",
                "must be 1 to 63 letters, digits, `-`, `_` or `.`",
            );
        }
        if self.segment_bytes == 0 {
            return fail("segment_bytes", "must be at least 1");
        }
        if self.buffer_bytes == 0 {
            return fail("buffer_bytes", "must be at least 1");
        }
        if self.head_records == 0 {
            return fail("head_records", "must be at least 1");
        }
        Ok(())
    }
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("cluster", &self.cluster)
            .field("segment_bytes", &self.segment_bytes)
            .field("buffer_bytes", &self.buffer_bytes)
            .field("head_records", &self.head_records)
            .field("head_ms", &self.head_ms)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_be_are_named() {
        let good = || Config::new("eu-1", Arc::new(|| 0));
        assert!(good().check().is_ok());
        let check = |config: Config, expected: &str| {
            let error = config.check().unwrap_err();
            assert_eq!(error.code(), "audit-config");
            assert!(error.to_string().contains(expected), "{error}");
        };
        for cluster in ["", "a b", "a+b", "a\nb", "é"] {
            check(
                Config {
                    cluster: cluster.into(),
                    ..good()
                },
                "`cluster`",
            );
        }
        check(
            Config {
                segment_bytes: 0,
                ..good()
            },
            "`segment_bytes`",
        );
        check(
            Config {
                buffer_bytes: 0,
                ..good()
            },
            "`buffer_bytes`",
        );
        check(
            Config {
                head_records: 0,
                ..good()
            },
            "`head_records`",
        );
    }
}
