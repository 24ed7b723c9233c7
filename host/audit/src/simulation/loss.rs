//! What becomes of files and names at a crash.

use std::collections::BTreeMap;

/// What a disk writes in one piece, in bytes.
const SECTOR_BYTES: usize = 512;

#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    /// As the process sees it.
    pub(super) now: Vec<u8>,
    /// As it is after a crash.
    pub(super) durable: Vec<u8>,
    pub(super) pending: Vec<Change>,
}

#[derive(Clone, Debug)]
pub(super) enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Length(usize),
}

#[derive(Clone, Debug)]
pub(super) enum NameChange {
    Set(String, usize),
    Remove(String),
    Rename(String, String),
}

/// A sequence of numbers from a seed. Source: splitmix64, Steele et al. 2014.
#[derive(Clone, Debug)]
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % (limit.max(1) as u64)).unwrap_or(0)
    }

    /// True `quarters` times in four.
    pub(super) fn chance(&mut self, quarters: u64) -> bool {
        self.next() % 4 < quarters
    }
}

impl NameChange {
    pub(super) fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Set(name, id) => {
                names.insert(name.clone(), *id);
            }
            Self::Remove(name) => {
                names.remove(name);
            }
            Self::Rename(from, to) => {
                if let Some(id) = names.remove(from) {
                    names.insert(to.clone(), id);
                }
            }
        }
    }
}

impl Content {
    /// Brings part of what is pending to the disk, and forgets the rest.
    pub(super) fn lose(&mut self, random: &mut Random, quarters: u64) {
        for change in std::mem::take(&mut self.pending) {
            match change {
                Change::Length(length) => {
                    if random.chance(quarters) {
                        self.durable.resize(length, 0);
                    }
                }
                Change::Write { offset, bytes } => {
                    let mut at = offset;
                    while let Some(rest) = bytes
                        .get(at.saturating_sub(offset)..)
                        .filter(|rest| !rest.is_empty())
                    {
                        let room = SECTOR_BYTES.saturating_sub(at % SECTOR_BYTES);
                        let sector = rest.get(..room.min(rest.len())).unwrap_or_default();
                        if random.chance(quarters) {
                            // One in four is torn.
                            let torn = random.chance(1);
                            let length = if torn {
                                random.below(sector.len())
                            } else {
                                sector.len()
                            };
                            write_at(
                                &mut self.durable,
                                at,
                                sector.get(..length).unwrap_or_default(),
                            );
                        }
                        at = at.saturating_add(sector.len());
                    }
                    // The length can reach the disk before the content.
                    let end = offset.saturating_add(bytes.len());
                    if random.chance(quarters) && self.durable.len() < end {
                        self.durable.resize(end, 0);
                    }
                }
            }
        }
    }
}

/// Writes `bytes` at `offset`, with zeros in between if need be.
pub(super) fn write_at(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset.saturating_add(bytes.len());
    if content.len() < end {
        content.resize(end, 0);
    }
    if let Some(place) = content.get_mut(offset..end) {
        place.copy_from_slice(bytes);
    }
}
