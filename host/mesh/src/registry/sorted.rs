//! A sorted map that never changes. A change makes another, which shares all but the
//! pieces it falls into, so that it costs as much with many entries as with few.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Most entries of a piece. Measured with 100,000 entries: with more of them in a piece
/// copying it costs more, with fewer copying the list of pieces does.
#[cfg(not(test))]
const PIECE_MAX: usize = 256;
/// Small in tests, so that pieces are cut and joined all the time.
#[cfg(test)]
const PIECE_MAX: usize = 8;

/// Below this a changed piece is joined with the next one.
const PIECE_MIN: usize = PIECE_MAX / 4;

/// Never empty, in the order of the keys.
type Piece<K, V> = Arc<[(K, V)]>;

/// Entries in the order of their keys, each key once.
pub struct Sorted<K, V> {
    pieces: Vec<Piece<K, V>>,
    len: usize,
}

impl<K, V> Default for Sorted<K, V> {
    fn default() -> Self {
        Self {
            pieces: Vec::new(),
            len: 0,
        }
    }
}

impl<K: Ord + Clone, V: Clone> Sorted<K, V> {
    /// Number of entries.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The entries from the first on that is not before; `is_before` has to hold for
    /// the first so many keys and for no later one.
    pub fn from<'a>(
        &'a self,
        is_before: &dyn Fn(&K) -> bool,
    ) -> impl Iterator<Item = &'a (K, V)> + use<'a, K, V> {
        let begins_before =
            |piece: &Piece<K, V>| piece.first().is_some_and(|(key, _)| is_before(key));
        let after = self.pieces.partition_point(begins_before);
        let pieces = self.pieces.get(after.saturating_sub(1)..);
        let entries = pieces.unwrap_or_default().iter().flat_map(|p| p.iter());
        let within = self.pieces.get(after.wrapping_sub(1));
        let skip = within.map_or(0, |piece| piece.partition_point(|(key, _)| is_before(key)));
        entries.skip(skip)
    }

    /// All entries.
    pub fn iter(&self) -> impl Iterator<Item = &(K, V)> {
        self.pieces.iter().flat_map(|piece| piece.iter())
    }

    /// The map after the changes: each key gets its value, or goes where there is none.
    pub fn changed(&self, changes: BTreeMap<K, Option<V>>) -> Self {
        let mut changes = changes.into_iter().peekable();
        let mut pieces = Vec::with_capacity(self.pieces.len());
        // Entries of changed pieces that are not in a new piece yet.
        let mut open: Vec<(K, V)> = Vec::new();
        let ends = self.pieces.iter().skip(1).map(|piece| piece.first());
        for (piece, end) in self.pieces.iter().zip(ends.chain([None])) {
            let is_here = |(key, _): &(K, _)| end.is_none_or(|(end, _)| key < end);
            if open.is_empty() && !changes.peek().is_some_and(is_here) {
                pieces.push(Arc::clone(piece));
                continue;
            }
            let mut kept = piece.iter().peekable();
            while let Some((key, value)) = changes.next_if(is_here) {
                while let Some(entry) = kept.next_if(|(known, _)| *known < key) {
                    open.push(entry.clone());
                }
                kept.next_if(|(known, _)| *known == key);
                open.extend(value.map(|value| (key, value)));
            }
            open.extend(kept.cloned());
            if open.len() >= PIECE_MIN {
                cut(&mut open, &mut pieces);
            }
        }
        // All that is left when there was no piece.
        open.extend(changes.filter_map(|(key, value)| Some((key, value?))));
        cut(&mut open, &mut pieces);
        let len = pieces.iter().map(|piece| piece.len()).sum();
        Self { pieces, len }
    }
}

/// Makes pieces of about the same size of the entries, none of none.
fn cut<K, V>(entries: &mut Vec<(K, V)>, pieces: &mut Vec<Piece<K, V>>) {
    let count = entries.len().div_ceil(PIECE_MAX);
    let mut entries = std::mem::take(entries).into_iter();
    for left in (1..=count).rev() {
        let size = entries.len().div_ceil(left);
        pieces.push(entries.by_ref().take(size).collect());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Changes = BTreeMap<u8, Option<u16>>;

    fn all(map: &Sorted<u8, u16>) -> Vec<(u8, u16)> {
        map.iter().copied().collect()
    }

    proptest! {
        #[test]
        fn it_holds_what_a_map_would_after_any_changes(
            steps in prop::collection::vec(any::<Changes>(), 0..12),
            from in any::<u8>(),
        ) {
            let (mut sorted, mut map) = (Sorted::default(), BTreeMap::new());
            for changes in steps {
                let before = all(&sorted);
                let next = sorted.changed(changes.clone());
                prop_assert_eq!(all(&sorted), before);
                sorted = next;
                for (key, value) in changes {
                    match value {
                        Some(value) => map.insert(key, value),
                        None => map.remove(&key),
                    };
                }
                let wanted: Vec<(u8, u16)> = map.iter().map(|(key, value)| (*key, *value)).collect();
                prop_assert_eq!(all(&sorted), wanted);
                prop_assert_eq!(sorted.len(), map.len());
                let found: Vec<u8> = sorted.from(&|key| *key < from).map(|(key, _)| *key).collect();
                let wanted: Vec<u8> = map.range(from..).map(|(key, _)| *key).collect();
                prop_assert_eq!(found, wanted);
                for piece in &sorted.pieces {
                    prop_assert!((1..=PIECE_MAX).contains(&piece.len()));
                }
            }
        }
    }

    #[test]
    fn a_change_shares_what_it_does_not_touch_and_leaves_no_crumbs() {
        let all = (0..200).map(|key| (key, Some(0)));
        let mut map: Sorted<u16, u8> = Sorted::default().changed(all.collect());
        for key in (0..200).map(|n| n * 7 % 200).chain(0..200) {
            let is_in = map.from(&|known| *known < key).next().map(|e| e.0) == Some(key);
            let next = map.changed(BTreeMap::from([(key, (!is_in).then_some(1))]));
            let shared =
                |piece: &&Piece<u16, u8>| map.pieces.iter().any(|old| Arc::ptr_eq(old, piece));
            let shared = next.pieces.iter().filter(shared).count();
            assert!(next.pieces.len() - shared <= 3);
            assert!(next.pieces.len() <= 2 + next.len() / (PIECE_MIN / 2));
            map = next;
        }
        assert_eq!(map.len(), 200);
    }
}
