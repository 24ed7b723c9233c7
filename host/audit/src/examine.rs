//! Holding records against their leaf hashes and the signed heads, so that the
//! first one that was changed is named. `verify` walks the whole log with it,
//! opening a log the last segment.

use std::collections::VecDeque;

use crate::Damage;
use crate::heads::Signed;
use crate::merkle::{Hash, Tree, leaf};
use crate::record::name_in;
use crate::segment::{Part, file_name};
use crate::unsigned::Unsigned;

const HASH_BYTES: usize = 32;

/// The leaf hashes of one segment as its file has them.
pub(crate) struct Leaves {
    segment: u64,
    first: u64,
    bytes: Vec<u8>,
}

impl Leaves {
    pub(crate) fn new(segment: u64, first: u64, bytes: Vec<u8>) -> Self {
        Self {
            segment,
            first,
            bytes,
        }
    }

    /// Whole leaf hashes in the file.
    pub(crate) fn count(&self) -> u64 {
        self.hashes().len() as u64
    }

    fn get(&self, index: u64) -> Option<&Hash> {
        let at = usize::try_from(index.checked_sub(self.first)?).ok()?;
        self.hashes().get(at)
    }

    fn hashes(&self) -> &[Hash] {
        self.bytes.as_chunks::<HASH_BYTES>().0
    }

    /// How many records after `index` a leaf stands, up to the segment's end.
    fn distance(&self, index: u64, hash: &Hash) -> Option<usize> {
        let at = usize::try_from(index.checked_sub(self.first)?).ok()?;
        let after = self.hashes().get(at.checked_add(1)?..)?;
        after
            .iter()
            .position(|other| other == hash)
            .map(|found| found.saturating_add(1))
    }
}

/// A record that is not the one whose leaf hash is kept.
struct Suspect {
    at: Place,
    /// How many records further on its leaf hash stands, if it does.
    distance: Option<usize>,
    /// Whether the record after it has the leaf hash kept for this one.
    next_belongs_here: bool,
    leaves: u64,
    leaf_offset: u64,
}

/// Where a record stands.
#[derive(Clone, Debug)]
struct Place {
    index: u64,
    event: Option<String>,
    segment: u64,
    offset: u64,
}

/// One record, as the examination takes it.
pub(crate) struct Exhibit<'a> {
    pub(crate) index: u64,
    pub(crate) segment: u64,
    pub(crate) offset: u64,
    pub(crate) payload: &'a [u8],
}

impl Exhibit<'_> {
    /// That something is wrong with it.
    pub(crate) fn damage(&self, why: String) -> Damage {
        Damage {
            index: self.index,
            event: name_in(self.payload),
            file: file_name(self.segment, Part::Log),
            offset: self.offset,
            why,
        }
    }
}

/// The examination so far.
pub(crate) struct Examination {
    tree: Tree,
    last_leaf: Hash,
    /// Heads that are still to come, smallest first.
    heads: VecDeque<Signed>,
    /// Records that all heads together cover.
    signed: u64,
    /// Records covered by the last head that held.
    good: u64,
    /// The first record after those.
    first_unproved: Option<Place>,
    /// The first record that no head covers, and how long such records waited.
    first_unsigned: Option<Place>,
    unsigned: Unsigned,
    suspect: Option<Suspect>,
}

impl Examination {
    /// Goes on from `tree`.
    pub(crate) fn new(tree: Tree) -> Self {
        Self {
            signed: 0,
            good: tree.size(),
            heads: VecDeque::new(),
            tree,
            last_leaf: Hash::default(),
            first_unproved: None,
            first_unsigned: None,
            unsigned: Unsigned::default(),
            suspect: None,
        }
    }

    /// Takes heads, smallest first, to be held against the records they cover.
    pub(crate) fn expect(&mut self, heads: Vec<Signed>) -> Result<(), Damage> {
        for signed in heads {
            if signed.head.size < self.tree.size().max(self.signed) {
                return Err(self.earliest(Damage {
                    index: signed.head.size,
                    event: None,
                    why: "the head there covers fewer records than one signed before it".to_owned(),
                    file: signed.file,
                    offset: signed.offset,
                }));
            }
            self.signed = signed.head.size;
            self.heads.push_back(signed);
        }
        self.compare_heads()
    }

    /// Records that the heads so far cover.
    pub(crate) fn signed(&self) -> u64 {
        self.signed
    }

    /// The tree over what was examined.
    pub(crate) fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Leaf hash of the last record taken.
    pub(crate) fn last_leaf(&self) -> Hash {
        self.last_leaf
    }

    /// Takes the next record.
    pub(crate) fn take(&mut self, exhibit: &Exhibit<'_>, leaves: &Leaves) -> Result<(), Damage> {
        let hash = leaf(exhibit.payload);
        if let Some(suspect) = &mut self.suspect
            && suspect.at.index.saturating_add(1) == exhibit.index
        {
            suspect.next_belongs_here = leaves.get(suspect.at.index) == Some(&hash);
        }
        let wrong = leaves.get(exhibit.index).is_some_and(|kept| *kept != hash);
        // Beyond the heads the leaf file may be torn, and proves nothing.
        if wrong && exhibit.index < self.signed && self.suspect.is_none() {
            self.suspect = Some(Suspect {
                at: place(exhibit),
                distance: leaves.distance(exhibit.index, &hash),
                next_belongs_here: false,
                leaves: leaves.segment,
                leaf_offset: exhibit
                    .index
                    .saturating_sub(leaves.first)
                    .saturating_mul(HASH_BYTES as u64),
            });
        }
        if exhibit.index == self.good && exhibit.index < self.signed {
            self.first_unproved = Some(place(exhibit));
        }
        if exhibit.index >= self.signed {
            if self.first_unsigned.is_none() {
                self.first_unsigned = Some(place(exhibit));
            }
            self.unsigned.note(exhibit.payload);
        }
        self.last_leaf = hash;
        self.tree.push(hash);
        self.compare_heads()
    }

    /// What is wrong, given that something is at `damage`: if a record before
    /// it already was not what it should be, that one.
    pub(crate) fn earliest(&self, damage: Damage) -> Damage {
        match &self.suspect {
            Some(suspect) => suspect.damage(),
            None => damage,
        }
    }

    /// Called when there are no more records.
    pub(crate) fn end(&self, file: &str, offset: u64) -> Result<(), Damage> {
        let Some(missing) = self.heads.front() else {
            return match self.unsigned.is_overdue() {
                true => Err(self.uncovered(
                    "no signed head covers it, though there was more than time for one: heads \
                     were removed, or it was put there",
                )),
                false => Ok(()),
            };
        };
        let size = self.tree.size();
        Err(self.earliest(Damage {
            index: size,
            event: None,
            file: file.to_owned(),
            offset,
            why: format!(
                "the log ends after {size} records, but a signed head covers {} (`{}`, byte {}); \
                 records were removed from its end",
                missing.head.size, missing.file, missing.offset
            ),
        }))
    }

    /// Called at the end of a segment that has no file for heads.
    pub(crate) fn end_without_heads(&self, segment: u64) -> Result<(), Damage> {
        if self.first_unsigned.is_none() {
            return Ok(());
        }
        let heads = file_name(segment, Part::Heads);
        Err(self.uncovered(&format!(
            "no signed head covers it: `{heads}`, which was there before any record, is missing"
        )))
    }

    /// That no head covers the first record which none does.
    fn uncovered(&self, why: &str) -> Damage {
        let first = self.first_unsigned.clone();
        let first = first.unwrap_or(Place {
            index: self.signed,
            event: None,
            segment: 0,
            offset: 0,
        });
        self.earliest(Damage {
            index: first.index,
            event: first.event,
            file: file_name(first.segment, Part::Log),
            offset: first.offset,
            why: why.to_owned(),
        })
    }

    /// Called at the end of a segment that has a successor: a head was signed
    /// there before the successor was begun.
    pub(crate) fn end_sealed(&self, segment: u64) -> Result<(), Damage> {
        let size = self.tree.size();
        if size == 0 || (self.good == size && self.signed == size) {
            return Ok(());
        }
        Err(self.earliest(Damage {
            index: size,
            event: None,
            file: file_name(segment, Part::Heads),
            offset: 0,
            why: format!("the head over {size} records, which closed this segment, is missing"),
        }))
    }

    fn compare_heads(&mut self) -> Result<(), Damage> {
        let size = self.tree.size();
        while let Some(next) = self.heads.pop_front_if(|next| next.head.size <= size) {
            if next.head.size == size && next.head.root == self.tree.root() {
                self.good = size;
                match &self.suspect {
                    // The root proves the record, so its leaf hash is wrong.
                    Some(suspect) => return Err(suspect.leaf_damage()),
                    None => continue,
                }
            }
            return Err(self.range_damage(&next));
        }
        Ok(())
    }

    /// A head does not hold and no leaf hash says which record is to blame:
    /// both were rewritten. It is one of those since the last head that holds.
    fn range_damage(&self, head: &Signed) -> Damage {
        let first = self.first_unproved.clone().unwrap_or(Place {
            index: self.good,
            event: None,
            segment: 0,
            offset: 0,
        });
        let damage = Damage {
            index: first.index,
            event: first.event,
            file: match self.first_unproved {
                Some(_) => file_name(first.segment, Part::Log),
                None => head.file.clone(),
            },
            offset: first.offset,
            why: format!(
                "the signed head over {} records (`{}`, byte {}) does not match: a record from {} \
                 to {} was rewritten together with its leaf hash",
                head.head.size,
                head.file,
                head.offset,
                first.index,
                head.head.size.saturating_sub(1)
            ),
        };
        self.earliest(damage)
    }
}

impl Suspect {
    fn damage(&self) -> Damage {
        let why = match (self.distance, self.next_belongs_here) {
            (Some(1), true) => "it was swapped with the record after it".to_owned(),
            (Some(1), false) => {
                "the record before it was removed or swapped with it: it belongs 1 place further on"
                    .to_owned()
            }
            (Some(many), true) => {
                format!("it was moved here: it belongs {many} places further on")
            }
            (Some(many), false) => {
                format!("{many} records before it were removed or moved")
            }
            (None, true) => "it was inserted: the record after it belongs here".to_owned(),
            (None, false) => "it was rewritten: it does not match its leaf hash".to_owned(),
        };
        Damage {
            index: self.at.index,
            event: self.at.event.clone(),
            file: file_name(self.at.segment, Part::Log),
            offset: self.at.offset,
            why,
        }
    }

    fn leaf_damage(&self) -> Damage {
        Damage {
            file: file_name(self.leaves, Part::Leaves),
            offset: self.leaf_offset,
            why: "the leaf hash was changed; the record itself is proved by a signed head"
                .to_owned(),
            ..self.damage()
        }
    }
}

fn place(exhibit: &Exhibit<'_>) -> Place {
    Place {
        index: exhibit.index,
        event: name_in(exhibit.payload),
        segment: exhibit.segment,
        offset: exhibit.offset,
    }
}
