//! Decided texts by their direction: for each scope the newest, in all so many.

use super::entry::Entry;
use super::key::Scope;
use super::scan::{self, BLOCK_ROWS, Block};
use super::steps::Steps;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Texts of one scope: what is compared in some ten microseconds.
pub const SCOPE_MAX: usize = 4_096;
/// Texts of all scopes together; each some 200 bytes beside the decision.
pub const ALL_MAX: usize = 65_536;
/// Nearest texts that are looked at when their decisions do not hold any more.
const TRIES: usize = 4;

/// The index.
#[derive(Default)]
pub(super) struct Similar {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    scopes: HashMap<Scope, Arc<Mutex<Texts>>>,
    /// Every text in the order of arrival: its scope and its number there. Those that
    /// are gone stay until they are the oldest.
    arrivals: VecDeque<(Scope, u64)>,
    count: usize,
}

/// The texts of one scope, in a ring: number `n` lies in row `n` modulo its size.
#[derive(Default)]
struct Texts {
    blocks: Vec<Block>,
    rows: Vec<Option<Arc<Entry>>>,
    /// The next number.
    next: u64,
    count: usize,
}

impl Similar {
    /// Puts a decided text in; the oldest go when there are too many.
    pub(super) fn insert(&self, scope: Scope, vector: &Steps, entry: Arc<Entry>) {
        let mut inner = self.inner.lock();
        let texts = Arc::clone(inner.scopes.entry(scope).or_default());
        let mut texts = texts.lock();
        let before = texts.count;
        let number = texts.insert(vector, entry);
        inner.count = (inner.count + texts.count).saturating_sub(before);
        drop(texts);
        inner.arrivals.push_back((scope, number));
        while inner.count > ALL_MAX || inner.arrivals.len() > 2 * ALL_MAX {
            let Some((scope, number)) = inner.arrivals.pop_front() else {
                return;
            };
            inner.remove(&scope, number);
        }
    }

    /// The nearest text whose decision holds, and its cosine. Those that do not hold
    /// are taken out.
    pub(super) fn nearest(
        &self,
        scope: &Scope,
        to: &Steps,
        holds: impl Fn(&Entry) -> bool,
    ) -> Option<(f32, Arc<Entry>)> {
        let texts = Arc::clone(self.inner.lock().scopes.get(scope)?);
        let mut gone = 0;
        let mut found = None;
        {
            let mut texts = texts.lock();
            for _ in 0..TRIES {
                let Some((row, cosine)) = scan::nearest(&texts.blocks, to) else {
                    break;
                };
                match texts.rows.get(row).and_then(Option::as_ref) {
                    Some(entry) if holds(entry) => {
                        found = Some((cosine, Arc::clone(entry)));
                        break;
                    }
                    _ => gone += usize::from(texts.empty(row)),
                }
            }
        }
        if gone > 0 {
            self.gone(scope, gone);
        }
        found
    }

    /// Number of texts.
    pub(super) fn len(&self) -> usize {
        self.inner.lock().count
    }

    fn gone(&self, scope: &Scope, count: usize) {
        let mut inner = self.inner.lock();
        inner.count = inner.count.saturating_sub(count);
        inner.forget_empty(scope);
    }
}

impl Inner {
    fn remove(&mut self, scope: &Scope, number: u64) {
        let Some(texts) = self.scopes.get(scope) else {
            return;
        };
        if texts.lock().remove(number) {
            self.count = self.count.saturating_sub(1);
            self.forget_empty(scope);
        }
    }

    fn forget_empty(&mut self, scope: &Scope) {
        let is_empty = |texts: &Arc<Mutex<Texts>>| texts.lock().count == 0;
        if self.scopes.get(scope).is_some_and(is_empty) {
            self.scopes.remove(scope);
        }
    }
}

impl Texts {
    fn insert(&mut self, vector: &Steps, entry: Arc<Entry>) -> u64 {
        let number = self.next;
        self.next += 1;
        let row = row(number);
        while self.rows.len() <= row {
            self.rows.push(None);
        }
        while self.blocks.len() * BLOCK_ROWS <= row {
            self.blocks.push(Block::new());
        }
        if let Some(block) = self.blocks.get_mut(row / BLOCK_ROWS) {
            block.set(row % BLOCK_ROWS, Some(vector));
        }
        if let Some(place) = self.rows.get_mut(row)
            && place.replace(entry).is_none()
        {
            self.count += 1;
        }
        number
    }

    /// Takes a text out; false when it is gone.
    fn remove(&mut self, number: u64) -> bool {
        let is_there = number + SCOPE_MAX as u64 >= self.next;
        is_there && self.empty(row(number))
    }

    fn empty(&mut self, row: usize) -> bool {
        if let Some(block) = self.blocks.get_mut(row / BLOCK_ROWS) {
            block.set(row % BLOCK_ROWS, None);
        }
        let was_there = self.rows.get_mut(row).and_then(Option::take).is_some();
        if was_there {
            self.count = self.count.saturating_sub(1);
        }
        was_there
    }
}

/// Where the text of a number lies in its scope.
fn row(number: u64) -> usize {
    usize::try_from(number % SCOPE_MAX as u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::changes::Size;
    use super::super::entry::{Basis, Decided};
    use super::super::key::Key;
    use super::super::key::tests::scope;
    use super::super::steps::DIMENSIONS;
    use super::*;

    fn entry(scope: Scope, text: &str) -> Arc<Entry> {
        let decided = Decided {
            agent: "a".to_owned(),
            cluster: "local".to_owned(),
            confidence: 0.9,
            basis: Basis::Search,
            alternatives: Vec::new(),
            in_scope: 0.9,
            by_words_alone: false,
        };
        let key = Key::new(scope, text).unwrap();
        Arc::new(Entry::new(decided, &key, None, (0, Size::default())))
    }

    /// A direction that differs for each number below 64 × 126.
    fn direction(number: usize) -> Steps {
        let mut vector = [0.0; DIMENSIONS];
        vector[number % DIMENSIONS] = 127.0;
        vector[(number + 1) % DIMENSIONS] = (number / DIMENSIONS) as f32;
        Steps::of(&vector).unwrap()
    }

    fn found(similar: &Similar, scope: &Scope, number: usize) -> Option<String> {
        let (_, entry) = similar.nearest(scope, &direction(number), |_| true)?;
        Some(entry.text.to_string())
    }

    #[test]
    fn the_oldest_of_a_scope_goes_when_it_is_full() {
        let similar = Similar::default();
        let scope = scope("ada");
        for number in 0..=SCOPE_MAX {
            let entry = entry(scope, &format!("t{number}"));
            similar.insert(scope, &direction(number), entry);
        }
        assert_eq!(similar.len(), SCOPE_MAX);
        assert_eq!(found(&similar, &scope, 1).as_deref(), Some("t1"));
        assert_ne!(found(&similar, &scope, 0).as_deref(), Some("t0"));
    }

    #[test]
    fn the_oldest_of_all_go_and_an_empty_scope_is_forgotten() {
        let similar = Similar::default();
        let (first, shared) = (scope("first"), entry(scope("x"), "t"));
        similar.insert(first, &direction(0), Arc::clone(&shared));
        let scopes = ALL_MAX / SCOPE_MAX;
        for number in 0..ALL_MAX {
            let scope = scope(&format!("s{}", number % scopes));
            similar.insert(scope, &direction(number / scopes), Arc::clone(&shared));
        }
        assert_eq!(similar.len(), ALL_MAX);
        assert_eq!(found(&similar, &first, 0), None);
        assert_eq!(similar.inner.lock().scopes.len(), scopes);
    }

    #[test]
    fn a_text_whose_decision_does_not_hold_makes_place_for_the_next() {
        let similar = Similar::default();
        let scope = scope("ada");
        for number in 0..3 {
            similar.insert(
                scope,
                &direction(64 * number),
                entry(scope, &format!("t{number}")),
            );
        }
        let holds = |entry: &Entry| &*entry.text != "t0";
        let (_, entry) = similar.nearest(&scope, &direction(0), holds).unwrap();
        assert_eq!((&*entry.text, similar.len()), ("t1", 2));
        assert!(similar.nearest(&scope, &direction(0), |_| false).is_none());
        assert_eq!(similar.len(), 0);
        assert!(similar.inner.lock().scopes.is_empty());
    }

    #[test]
    fn scopes_do_not_see_each_other() {
        let similar = Similar::default();
        let (ada, bob) = (scope("ada"), scope("bob"));
        similar.insert(ada, &direction(1), entry(ada, "hers"));
        assert_eq!(found(&similar, &bob, 1), None);
        assert_eq!(found(&similar, &ada, 1).as_deref(), Some("hers"));
    }
}
