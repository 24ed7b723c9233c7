//! The hot cache: what was decided before, for the same caller, under the same
//! rules, by the same model. It decides nothing; the router weighs what it finds.
//!
//! A decision is kept with the state of the fleet at which it is known to hold. When
//! it is asked for again after agents changed, each change is looked at: one that
//! could alter the decision drops it, and no other does. See `changes`.
//!
//! How it is asked: [`Decisions::lookup`] gives a decision, or a [`Lead`] to the one
//! caller that is to decide and [`Lead::keep`] the outcome; others that ask the same
//! meanwhile wait for that. Waiting blocks, and so may the shared store: on an
//! asynchronous thread ask without patience, or from the blocking pool.
//! [`Decisions::nearest`] gives the nearest text that was decided. Tell
//! [`Decisions::fleet_changed`] from the background after cards or health changed,
//! so that questions need not wait for the new cards to be read.
//!
//! Reading order: `key` (what decides beside the fleet), `entry` (a decision),
//! `changes` over `texts`, `steps` and `fleet` (what may have altered it), this file;
//! `similar` over `scan`; `successor`; `shared` and `redis` (beyond this process).

mod changes;
mod counts;
mod entry;
mod fleet;
mod key;
mod lead;
mod redis;
mod scan;
mod shared;
mod similar;
mod steps;
mod successor;
#[cfg(test)]
mod tests;
mod texts;

pub use counts::Counts;
pub use entry::{Basis, Decided, Served};
pub use key::{Circumstances, Key, Scope, TEXT_BYTES_MAX};
pub use lead::Lead;
pub use redis::{Error, Redis, RedisUrl};
pub use shared::{Shared, SharedCounts};
pub use similar::{ALL_MAX, SCOPE_MAX};
pub use steps::{DIMENSIONS, Encode, Steps};
pub use successor::successor;

use crate::registry::{Directory, Status};
use changes::{Changes, Found};
use counts::Counters;
use entry::Entry;
use lead::{Slot, Slots};
use parking_lot::RwLock;
use quick_cache::sync::GuardResult;
use similar::Similar;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Decisions in memory unless somebody says otherwise; each some two kilobytes at
/// most.
pub const ENTRIES: usize = 16_384;
/// Directories that may come between looking and taking in, before a question goes
/// on without the cache.
const TRIES: usize = 4;

/// How it is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Decisions in memory, at most; 0 remembers none.
    pub entries: usize,
    /// Where decisions are shared with other processes, if they are.
    pub shared: Option<RedisUrl>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            entries: ENTRIES,
            shared: None,
        }
    }
}

/// What a lookup gives.
pub enum Lookup<'a> {
    /// What was decided.
    Hit(Served),
    /// Nobody knows: decide, and keep the outcome by this.
    Lead(Lead<'a>),
    /// Decide, and keep nothing: somebody else is at it and patience has run out, or
    /// found nothing to be kept; or the directory is not the newest any more.
    Pass,
}

/// The decisions.
pub struct Decisions {
    slots: Slots,
    changes: RwLock<Changes>,
    similar: Similar,
    encode: Option<Arc<Encode>>,
    shared: Option<Arc<dyn Shared>>,
    /// Whether anything is to be remembered.
    remembers: bool,
    /// Whether a value of the shared store was refused.
    foreign: AtomicBool,
    counters: Counters,
}

impl Decisions {
    /// Begins with this fleet and no decision: at most `entries` of them are kept.
    /// `encode` is the static encoder as it is shipped; without it a decision that
    /// rests on more than words is made anew after every change.
    pub fn new(
        entries: usize,
        directory: &Arc<Directory>,
        encode: Option<Arc<Encode>>,
        shared: Option<Arc<dyn Shared>>,
    ) -> Self {
        Self {
            slots: Slots::new(entries),
            changes: RwLock::new(Changes::new(directory, shared.is_some())),
            similar: Similar::default(),
            encode,
            shared,
            remembers: entries > 0,
            foreign: AtomicBool::new(false),
            counters: Counters::default(),
        }
    }

    /// What was decided for this question, seen from this directory. Without
    /// `patience` it takes microseconds and looks into this process's memory alone;
    /// with it, it waits so long for who is deciding the same, and some milliseconds
    /// for the shared store.
    pub fn lookup(
        &self,
        key: &Key,
        directory: &Arc<Directory>,
        patience: Option<Duration>,
    ) -> Lookup<'_> {
        if !self.remembers || !self.is_newest(directory) {
            self.counters.misses.add();
            return Lookup::Pass;
        }
        let begun = Instant::now();
        for _ in 0..TRIES {
            let (found, waited) = match self.slots.get(key) {
                Some(slot) => (GuardResult::Value(slot), false),
                None => {
                    let left = patience.unwrap_or_default().saturating_sub(begun.elapsed());
                    (self.slots.get_value_or_guard(key, Some(left)), true)
                }
            };
            match found {
                GuardResult::Value(Slot::Decided(entry)) => {
                    if let Some(served) = self.serve(&entry, directory) {
                        self.counters.hits.add();
                        if waited {
                            self.counters.waited.add();
                        }
                        return Lookup::Hit(served);
                    }
                    self.drop_entry(key, &entry);
                }
                GuardResult::Value(Slot::Nothing) | GuardResult::Timeout => break,
                GuardResult::Guard(guard) => {
                    let Some(state) = self.state(directory) else {
                        break;
                    };
                    let lead = Lead::new(self, key.clone(), guard, state);
                    return self.led(lead, directory, patience.is_some());
                }
            }
        }
        self.counters.misses.add();
        Lookup::Pass
    }

    /// The nearest decided text of a scope, with its cosine: above 0.0, at most 1.0.
    /// The direction has to be of the encoder that [`Lead::keep`] was given.
    pub fn nearest(
        &self,
        scope: &Scope,
        to: &Steps,
        directory: &Arc<Directory>,
    ) -> Option<(f32, Served)> {
        if !self.is_newest(directory) {
            return None;
        }
        let holds = |entry: &Entry| self.serve(entry, directory).is_some();
        let (cosine, entry) = self.similar.nearest(scope, to, holds)?;
        let served = self.serve(&entry, directory)?;
        self.counters.similar.add();
        Some((cosine, served))
    }

    /// Takes in what changed since it was last told: cards, and which agents fail
    /// their probes. Takes microseconds for each text of a changed card, and a
    /// nanosecond or two for each agent.
    pub fn fleet_changed(&self, directory: &Arc<Directory>) {
        if self.is_newest(directory) {
            self.changes.write().take_health(self.encode.as_deref());
        }
    }

    /// How it does.
    pub fn counts(&self) -> Counts {
        let shared = self.shared.as_ref();
        Counts {
            entries: self.slots.len(),
            texts: self.similar.len(),
            hits: self.counters.hits.get(),
            waited: self.counters.waited.get(),
            shared_hits: self.counters.shared_hits.get(),
            misses: self.counters.misses.get(),
            similar: self.counters.similar.get(),
            invalidated: self.counters.invalidated.get(),
            shared: shared.map_or_else(SharedCounts::default, |shared| shared.counts()),
        }
    }

    /// Brings the changes up to this directory; false when they are beyond it.
    fn is_newest(&self, directory: &Arc<Directory>) -> bool {
        for _ in 0..TRIES {
            let known = Arc::clone(self.changes.read().directory());
            if Arc::ptr_eq(&known, directory) {
                return true;
            }
            if directory.revision <= known.revision {
                return directory.revision == known.revision;
            }
            // Without a lock: texts may have to be encoded.
            let found = Found::between(&known, directory, self.encode.as_deref());
            if self.changes.write().take(found) {
                return true;
            }
        }
        false
    }

    /// What an entry leads to now; `None` when it may not hold any more, and when its
    /// agent cannot be taken.
    fn serve(&self, entry: &Entry, directory: &Arc<Directory>) -> Option<Served> {
        let holds = {
            let changes = self.changes.read();
            changes.directory().revision == directory.revision
                && changes.hold(entry, self.encode.as_deref())
        };
        let decided = &entry.decided;
        let agent = directory.agent(&decided.agent).filter(|_| holds)?;
        let (taken, instead_of) = match agent.card.deprecated() {
            None => (agent, None),
            Some(_) => (successor(directory, agent)?, Some(agent.name.clone())),
        };
        (taken.status() != Status::Failed).then(|| Served {
            agent: taken.name.clone(),
            cluster: taken.cluster.to_string(),
            instead_of,
            decided: Arc::clone(decided),
            text: Arc::clone(&entry.text),
        })
    }

    fn drop_entry(&self, key: &Key, entry: &Arc<Entry>) {
        let is_it = |slot: &Slot| matches!(slot, Slot::Decided(known) if Arc::ptr_eq(known, entry));
        if self.slots.remove_if(key, is_it).is_some() {
            self.counters.invalidated.add();
        }
    }

    /// The state that a decision made from this directory belongs to.
    fn state(&self, directory: &Arc<Directory>) -> Option<lead::State> {
        let changes = self.changes.read();
        let is_same = changes.directory().revision == directory.revision;
        is_same.then(|| lead::State {
            now: changes.now(),
            fleet: changes.fleet(),
        })
    }

    /// Before it is decided anew: the shared store.
    fn led<'a>(&'a self, lead: Lead<'a>, directory: &Arc<Directory>, may_wait: bool) -> Lookup<'a> {
        if may_wait && let Some(decided) = self.shared_decision(&lead) {
            let entry = lead.take_over(decided);
            if let Some(served) = self.serve(&entry, directory) {
                self.counters.shared_hits.add();
                return Lookup::Hit(served);
            }
            // Its agent fails here, which the other process has not seen yet.
            self.counters.misses.add();
            return Lookup::Pass;
        }
        self.counters.misses.add();
        Lookup::Lead(lead)
    }

    fn shared_decision(&self, lead: &Lead<'_>) -> Option<Decided> {
        let (shared, fleet) = (self.shared.as_ref()?, lead.fleet()?);
        let bytes = shared.get(&shared::name(lead.key()))?;
        shared::read(&bytes, fleet).unwrap_or_else(|foreign| {
            if !self.foreign.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    %foreign,
                    "the shared store holds a value that is not taken; others are not told of"
                );
            }
            None
        })
    }
}
