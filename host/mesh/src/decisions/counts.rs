//! How the cache does, for metrics.

use super::shared::SharedCounts;
use std::sync::atomic::{AtomicU64, Ordering};

/// How the cache does. All but the sizes grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Decisions in memory.
    pub entries: usize,
    /// Texts that others are compared with.
    pub texts: usize,
    /// Questions answered from this process's memory.
    pub hits: u64,
    /// Of those, answered by what another caller of the same scope was just deciding.
    pub waited: u64,
    /// Questions answered from the shared store.
    pub shared_hits: u64,
    /// Questions that had to be decided.
    pub misses: u64,
    /// Questions for which a text was near by that had been decided.
    pub similar: u64,
    /// Decisions dropped because they might have changed.
    pub invalidated: u64,
    /// The shared store's own.
    pub shared: SharedCounts,
}

/// One number that grows.
#[derive(Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What is counted while it happens.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) hits: Counter,
    pub(super) waited: Counter,
    pub(super) shared_hits: Counter,
    pub(super) misses: Counter,
    pub(super) similar: Counter,
    pub(super) invalidated: Counter,
}
