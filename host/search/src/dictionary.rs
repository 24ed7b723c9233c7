//! The words of one block, numbered in the order they came.

use std::hash::BuildHasher;
use std::hash::RandomState;
use std::sync::LazyLock;

/// One seed for all blocks of a process, so that a question's words are hashed
/// once. Random, so that no card can be written to make look-ups slow. No result
/// depends on it: numbers come from the order of arrival.
static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// A slot that is free.
const FREE: u32 = u32::MAX;

/// A word's hash, as all dictionaries of this process use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hash(u32);

impl Hash {
    pub(crate) fn of(word: &str) -> Self {
        Self(SEED.hash_one(word) as u32)
    }
}

/// Words and their numbers, from 0.
#[derive(Debug, Default)]
pub(crate) struct Dictionary {
    /// Open addressing with linear probing; a power of two, at most half full.
    slots: Vec<Slot>,
    /// All words, one after the other.
    text: String,
    /// Where each word ends in `text`.
    ends: Vec<u32>,
    hashes: Vec<Hash>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    hash: Hash,
    number: u32,
}

impl Dictionary {
    /// How many words there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// A word's number.
    pub(crate) fn find(&self, word: &str, hash: Hash) -> Option<u32> {
        let slot = self.slots.get(self.slot(word, hash)?)?;
        (slot.number != FREE).then_some(slot.number)
    }

    /// A word's number; a new one if it was not known.
    pub(crate) fn intern(&mut self, word: &str, hash: Hash) -> u32 {
        if (self.len() + 1) * 2 > self.slots.len() {
            self.grow();
        }
        // INVARIANT: both fit. A block has at most SKILLS_MAX texts of 16 KiB.
        let number = self.ends.len() as u32;
        let slot = self.slot(word, hash).and_then(|at| self.slots.get_mut(at));
        let Some(slot) = slot else {
            return number;
        };
        if slot.number != FREE {
            return slot.number;
        }
        *slot = Slot { hash, number };
        self.text.push_str(word);
        self.ends.push(self.text.len() as u32);
        self.hashes.push(hash);
        number
    }

    /// A word and its hash by its number; nothing for a number not given out.
    pub(crate) fn word(&self, number: u32) -> Option<(&str, Hash)> {
        Some((self.text(number)?, *self.hashes.get(number as usize)?))
    }

    fn text(&self, number: u32) -> Option<&str> {
        let at = number as usize;
        let start = match at.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        let end = *self.ends.get(at)?;
        self.text.get(start as usize..end as usize)
    }

    /// Gives back what was reserved for further words.
    pub(crate) fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
        self.hashes.shrink_to_fit();
    }

    /// Bytes on the heap.
    pub(crate) fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>()
            + self.text.capacity()
            + self.ends.capacity() * size_of::<u32>()
            + self.hashes.capacity() * size_of::<Hash>()
    }

    /// The slot of the word, or the free one where it would be; none in a
    /// dictionary without slots.
    fn slot(&self, word: &str, hash: Hash) -> Option<usize> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = hash.0 as usize & mask;
        loop {
            let slot = self.slots.get(at)?;
            let same = || self.text(slot.number) == Some(word);
            if slot.number == FREE || (slot.hash == hash && same()) {
                return Some(at);
            }
            at = (at + 1) & mask;
        }
    }

    fn grow(&mut self) {
        let size = (self.slots.len() * 2).max(16);
        let free = Slot {
            hash: Hash(0),
            number: FREE,
        };
        let mut slots = vec![free; size];
        for old in self.slots.iter().filter(|slot| slot.number != FREE) {
            let mut at = old.hash.0 as usize & (size - 1);
            while let Some(slot) = slots.get_mut(at) {
                if slot.number == FREE {
                    *slot = *old;
                    break;
                }
                at = (at + 1) & (size - 1);
            }
        }
        self.slots = slots;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        #[test]
        fn it_numbers_words_like_a_map_does(words in prop::collection::vec("[a-cé]{0,3}", 0..200)) {
            let mut dictionary = Dictionary::default();
            let mut map: HashMap<String, u32> = HashMap::new();
            for word in &words {
                let next = map.len() as u32;
                let wanted = *map.entry(word.clone()).or_insert(next);
                prop_assert_eq!(dictionary.intern(word, Hash::of(word)), wanted);
            }
            prop_assert_eq!(dictionary.len(), map.len());
            for (word, number) in map {
                prop_assert_eq!(dictionary.find(&word, Hash::of(&word)), Some(number));
                prop_assert_eq!(dictionary.word(number), Some((word.as_str(), Hash::of(&word))));
            }
            prop_assert_eq!(dictionary.find("zebra", Hash::of("zebra")), None);
        }
    }

    #[test]
    fn words_of_one_hash_are_told_apart() {
        let mut dictionary = Dictionary::default();
        let same = Hash(7);
        assert_eq!(dictionary.intern("one", same), 0);
        assert_eq!(dictionary.intern("two", same), 1);
        assert_eq!(dictionary.find("two", same), Some(1));
        assert_eq!(dictionary.find("three", same), None);
    }

    #[test]
    fn an_empty_one_knows_no_word() {
        let dictionary = Dictionary::default();
        assert_eq!(dictionary.find("a", Hash::of("a")), None);
        assert_eq!(dictionary.word(0), None);
    }
}
