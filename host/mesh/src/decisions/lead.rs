//! The one caller that decides a question, while others who ask the same wait.

use super::Decisions;
use super::changes::Size;
use super::entry::{Decided, Entry};
use super::key::Key;
use super::shared;
use super::steps::Steps;
use quick_cache::sync::{Cache, DefaultLifecycle, PlaceholderGuard};
use quick_cache::{DefaultHashBuilder, UnitWeighter};
use std::sync::Arc;

/// What is known of a question.
#[derive(Clone)]
pub(super) enum Slot {
    /// What was decided.
    Decided(Arc<Entry>),
    /// For who waits: what was decided is not to be remembered. Gone at once.
    Nothing,
}

pub(super) type Slots = Cache<Key, Slot, UnitWeighter, DefaultHashBuilder>;
type Guard<'a> =
    PlaceholderGuard<'a, Key, Slot, UnitWeighter, DefaultHashBuilder, DefaultLifecycle<Key, Slot>>;

/// The fleet from which a decision is made.
pub(super) struct State {
    pub(super) now: (u64, Size),
    pub(super) fleet: Option<String>,
}

/// To decide a question that others may be waiting for. Dropped without a word, as
/// when deciding failed, it passes to one of those who wait.
pub struct Lead<'a> {
    decisions: &'a Decisions,
    key: Key,
    guard: Guard<'a>,
    state: State,
}

impl<'a> Lead<'a> {
    pub(super) fn new(decisions: &'a Decisions, key: Key, guard: Guard<'a>, state: State) -> Self {
        Self {
            decisions,
            key,
            guard,
            state,
        }
    }

    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    pub(super) fn fleet(&self) -> Option<&str> {
        self.state.fleet.as_deref()
    }

    /// Keeps what was decided, here and in the shared store. With `direction` the
    /// text becomes one that others are compared with, unless the decision itself
    /// rests on such a comparison. A decision whose probabilities are none, or that
    /// names no agent, is not kept.
    pub fn keep(self, decided: Decided, direction: Option<&Steps>) {
        let Some(decided) = decided.checked() else {
            return self.nothing();
        };
        let decisions = self.decisions;
        let scope = *self.key.scope();
        if let (Some(shared), Some(fleet)) = (&decisions.shared, self.fleet()) {
            shared.put(shared::name(&self.key), shared::write(&decided, fleet));
        }
        let entry = self.take_over(decided);
        if let Some(direction) = direction.filter(|_| entry.decided.is_firm()) {
            decisions.similar.insert(scope, direction, entry);
        }
    }

    /// Says that what was decided is not to be remembered: those who wait decide for
    /// themselves, all at once.
    pub fn nothing(self) {
        let Self {
            decisions,
            key,
            guard,
            ..
        } = self;
        // Refused when it was put out meanwhile: nobody waits then.
        let _ = guard.insert(Slot::Nothing);
        let is_nothing = |slot: &Slot| matches!(slot, Slot::Nothing);
        decisions.slots.remove_if(&key, is_nothing);
    }

    /// Remembers a decision in this process.
    pub(super) fn take_over(self, decided: Decided) -> Arc<Entry> {
        let encode = self.decisions.encode.as_ref();
        let vector = encode.and_then(|encode| encode(self.key.text()));
        let entry = Arc::new(Entry::new(decided, &self.key, vector, self.state.now));
        // Refused when it was put out meanwhile.
        let _ = self.guard.insert(Slot::Decided(Arc::clone(&entry)));
        entry
    }
}
