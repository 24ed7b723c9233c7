//! The log as callers have it: append, wait until it is durable, read.

use std::future::Future;
use std::hash::{Hash, Hasher};
use std::pin::pin;
use std::sync::{Arc, PoisonError};

use crate::disk::Disk;
use crate::frame;
use crate::note::Head;
use crate::queue::Shared;
use crate::record::Glance;
use crate::recovery::{Recovery, recover};
use crate::replay::Replay;
use crate::store::Spans;
use crate::writer::Writer;
use crate::{Config, Error, Keys, Record};

/// A place in the log. Ordered and compared by index.
#[derive(Clone, Copy, Debug)]
pub struct Position {
    index: u64,
    /// The group it is written with; 0 for what was read, not appended.
    /// An index is given out anew when its group failed; a group never is.
    group: u64,
}

impl Position {
    /// The first record of the log.
    pub const START: Self = Self::at(0);

    /// The record of `index`, counted from 0: to replay from there.
    #[must_use]
    pub const fn at(index: u64) -> Self {
        Self { index, group: 0 }
    }

    /// The record's index, counted from 0.
    #[must_use]
    pub const fn index(self) -> u64 {
        self.index
    }

    /// The place after it: where replay goes on when this was the last applied.
    #[must_use]
    pub const fn next(self) -> Self {
        Self::at(self.index.saturating_add(1))
    }
}

impl PartialEq for Position {
    fn eq(&self, other: &Self) -> bool {
        self.index == other.index
    }
}

impl Eq for Position {}

impl Hash for Position {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.index.hash(state);
    }
}

impl PartialOrd for Position {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Position {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.index.cmp(&other.index)
    }
}

/// The log. Clones are the same log. When the last is dropped, what was
/// appended is written and signed, which [`Log::close`] does with an answer.
#[derive(Clone)]
pub struct Log {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    keys: Keys,
    disk: Arc<dyn Disk>,
    spans: Spans,
    writer: Writer,
}

impl Log {
    /// Opens the log on `disk`, or makes one. Reads the last segment through,
    /// cuts what a crash left half-written, and starts the writer's thread.
    ///
    /// # Errors
    /// [`Error::Config`], [`Error::KeyChanged`], [`Error::Corrupt`] if
    /// something was changed or damaged, or what the disk says.
    pub fn open(
        disk: Arc<dyn Disk>,
        config: Config,
        keys: Keys,
    ) -> Result<(Self, Recovery), Error> {
        let head_ms = config.head_ms;
        let buffer_bytes = config.buffer_bytes;
        let (mut store, recovery) = recover(&disk, config, &keys)?;
        // What a crash left unsigned is signed before anything is added, so
        // that records of two runs never lie there unsigned together.
        if store.count() > 0
            && let Err(failure) = store.sign()
        {
            let error = Error::from(failure);
            tracing::warn!(code = error.code(), %error, "the audit head could not be written");
        }
        let spans = store.spans();
        let shared = Arc::new(Shared::new(&store, buffer_bytes));
        let writer = Writer::start(Arc::clone(&shared), store, head_ms)?;
        let inner = Inner {
            shared,
            keys,
            disk,
            spans,
            writer,
        };
        let log = Self {
            inner: Arc::new(inner),
        };
        Ok((log, recovery))
    }

    /// Puts a record into the log's order, without waiting for the disk: it
    /// is written with the next group. Never blocks for longer than another
    /// append takes to copy its bytes.
    ///
    /// # Errors
    /// [`Error::Record`] if it cannot be kept, [`Error::Full`] if
    /// `Config::buffer_bytes` wait for the disk (an error and not a wait,
    /// since this may run on a thread that others need; the caller knows
    /// whether to shed the request or to try again), [`Error::Closed`].
    pub fn append(&self, record: &Record) -> Result<Position, Error> {
        let mut payload = Vec::with_capacity(1024);
        record.encode(&mut payload)?;
        let mut framed = Vec::with_capacity(payload.len().saturating_add(frame::PREFIX_BYTES));
        frame::encode_record(&payload, &mut framed);
        let (index, group) = self.inner.shared.append(&framed, Glance::of(record))?;
        Ok(Position { index, group })
    }

    /// Returns once the record at `position` is on the disk.
    ///
    /// # Errors
    /// [`Error::DiskFull`], [`Error::DiskFailed`] or [`Error::Displaced`] if it
    /// could not be written. It is then not in the log, nor is anything appended
    /// after it before the failure was known, so nothing overtakes it;
    /// appending again is right.
    /// (Only if the machine crashes before the disk has taken anything again
    /// may it be found, like any record under way at a crash.)
    /// [`Error::Closed`] if the writer ended before.
    pub fn durable(&self, position: Position) -> impl Future<Output = Result<(), Error>> + use<> {
        let shared = Arc::clone(&self.inner.shared);
        async move {
            shared.want(position.group);
            loop {
                if let Some(outcome) = shared.outcome(position.group) {
                    return outcome;
                }
                let mut resolved = pin!(shared.resolved(position.group));
                // Listening first, looking then: what happens between is seen.
                resolved.as_mut().enable();
                if let Some(outcome) = shared.outcome(position.group) {
                    return outcome;
                }
                resolved.await;
                if let Some(outcome) = shared.outcome(position.group) {
                    // The writer woke one; the others are woken from here, on
                    // a thread of their own runtime, which costs no system call.
                    shared.wake_the_others(position.group);
                    return outcome;
                }
            }
        }
    }

    /// The durable records from `from` on, in order, as of now.
    #[must_use]
    pub fn replay(&self, from: Position) -> Replay {
        let spans = self.inner.spans.lock();
        let spans = spans.unwrap_or_else(PoisonError::into_inner).clone();
        Replay::new(Arc::clone(&self.inner.disk), spans, from)
    }

    /// Whether what was last appended could not be written, so that what is
    /// appended next may not be either.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.inner.shared.is_failing()
    }

    /// Number of durable records.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.inner.shared.records()
    }

    /// The last head that is on the disk.
    #[must_use]
    pub fn head(&self) -> Option<Head> {
        self.inner.shared.head()
    }

    /// The keyed hash of an input, for `spec.action.input_hash`.
    #[must_use]
    pub fn input_hash(&self, bytes: &[u8]) -> String {
        self.inner.keys.input_hash(bytes)
    }

    /// Writes what was appended, signs the final head and ends. Later appends
    /// are refused. Calling it again gives the same answer.
    ///
    /// # Errors
    /// [`Error::DiskFull`], [`Error::DiskFailed`] or [`Error::Displaced`] if the
    /// final head could not be written; what was durable stays so.
    pub async fn close(&self) -> Result<(), Error> {
        let shared = &self.inner.shared;
        shared.close();
        loop {
            if let Some(ended) = shared.ended() {
                // It has nothing left to do but to return.
                self.inner.writer.join();
                return ended;
            }
            let mut done = pin!(shared.done());
            done.as_mut().enable();
            if shared.ended().is_none() {
                done.await;
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.close();
        self.writer.join();
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log")
            .field("place", &self.inner.disk.place())
            .field("records", &self.records())
            .finish_non_exhaustive()
    }
}
