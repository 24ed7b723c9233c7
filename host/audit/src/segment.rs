//! A segment: the file that holds a run of records, and the two derived files
//! beside it. Its header says what came before, so that the log can be opened
//! by reading the last segment alone.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::disk::DiskFile;
use crate::frame::{self, Decoded};
use crate::merkle::{Tree, from_hex, to_hex};

/// What a file of a segment holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The records: the truth.
    Log,
    /// The leaf hash of each record, 32 bytes each.
    Leaves,
    /// The heads signed while the segment was the last, one after another.
    Heads,
}

impl Part {
    const ALL: [Self; 3] = [Self::Log, Self::Leaves, Self::Heads];

    fn suffix(self) -> &'static str {
        match self {
            Self::Log => ".log",
            Self::Leaves => ".leaves",
            Self::Heads => ".heads",
        }
    }
}

/// The name of a segment's file. Numbers grow, and none is used twice.
#[must_use]
pub fn file_name(number: u64, part: Part) -> String {
    format!("{number:020}{}", part.suffix())
}

/// The number and part of a file's name, `None` if it is no segment's.
#[must_use]
pub fn parse_name(name: &str) -> Option<(u64, Part)> {
    Part::ALL.into_iter().find_map(|part| {
        let digits = name.strip_suffix(part.suffix())?;
        let plain = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
        Some((plain.then(|| digits.parse().ok())??, part))
    })
}

/// What stands at the beginning of a segment. Not a record: it can be derived
/// from the records before it, and `verify` does.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The segment's number, as in its name.
    pub segment: u64,
    /// Index of its first record: the number of records before it.
    pub first: u64,
    /// The segment before, and how much of it counts. `None` in the first.
    ///
    /// INVARIANT: once a segment has a successor nothing is written to it, and
    /// what lies beyond `bytes` was never acknowledged.
    pub follows: Option<Follows>,
    /// The Merkle tree over the records before it: its full subtrees' roots in
    /// hex, largest first.
    pub peaks: Vec<String>,
    /// Intents before it that had no outcome yet, by index.
    pub open: Vec<OpenIntent>,
}

/// The segment before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Follows {
    /// Its number.
    pub segment: u64,
    /// How many of its bytes were durable when it was left.
    pub bytes: u64,
}

/// An intent without outcome.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenIntent {
    /// Its index.
    pub index: u64,
    /// The record as it was written.
    pub record: Box<RawValue>,
}

/// Why a header cannot be read.
#[derive(Debug)]
pub enum HeaderFault {
    /// The disk does not say.
    Disk(std::io::Error),
    /// What is there is no header.
    Bad(String),
}

impl Header {
    /// The tree over the records before the segment.
    #[must_use]
    pub fn tree(&self) -> Option<Tree> {
        let peaks = self.peaks.iter().map(|hex| from_hex(hex));
        Tree::from_peaks(self.first, peaks.collect::<Option<_>>()?)
    }

    /// The peaks of `tree` as a header has them.
    #[must_use]
    pub fn peaks_of(tree: &Tree) -> Vec<String> {
        tree.peaks().iter().map(|peak| to_hex(peak)).collect()
    }

    /// The header's frame.
    ///
    /// # Errors
    /// If it is longer than a frame may be, or cannot be written as JSON.
    pub fn encode(&self) -> std::io::Result<Vec<u8>> {
        let json = serde_json::to_vec(self)?;
        if json.len() > frame::HEADER_BYTES_MAX {
            return Err(std::io::Error::other("too many intents have no outcome"));
        }
        let mut bytes = Vec::with_capacity(json.len().saturating_add(frame::PREFIX_BYTES));
        frame::encode_header(&json, &mut bytes);
        Ok(bytes)
    }

    /// The header of segment `number`, and how many bytes it takes.
    ///
    /// # Errors
    /// [`HeaderFault`].
    pub fn read(file: &dyn DiskFile, number: u64) -> Result<(Self, u64), HeaderFault> {
        let bad = |why: &str| Err(HeaderFault::Bad(why.to_owned()));
        let mut bytes = read_up_to(file, 4096)?;
        if let Decoded::Incomplete(needed) = frame::decode(&bytes) {
            bytes = read_up_to(file, needed)?;
        }
        let json = match frame::decode(&bytes) {
            Decoded::Header(json) => json,
            Decoded::Bad(why) => return bad(&format!("its header cannot be read: {why}")),
            Decoded::Incomplete(_) => return bad("its header is cut off"),
            Decoded::Record(_) | Decoded::Marker(_) => return bad("it has no header"),
        };
        let header: Self = serde_json::from_slice(json)
            .map_err(|error| HeaderFault::Bad(format!("its header cannot be read: {error}")))?;
        if header.segment != number {
            return bad("its header is that of another segment");
        }
        if header.tree().is_none() {
            return bad("its header has a tree that cannot be");
        }
        let start = json.len().saturating_add(frame::PREFIX_BYTES);
        Ok((header, start as u64))
    }
}

fn read_up_to(file: &dyn DiskFile, limit: usize) -> Result<Vec<u8>, HeaderFault> {
    let available = file.length().map_err(HeaderFault::Disk)?;
    let limit = usize::try_from(available).unwrap_or(usize::MAX).min(limit);
    let mut bytes = vec![0; limit];
    let mut have = 0;
    while let Some(rest) = bytes.get_mut(have..).filter(|rest| !rest.is_empty()) {
        match file.read(have as u64, rest).map_err(HeaderFault::Disk)? {
            0 => break,
            read => have = have.saturating_add(read),
        }
    }
    bytes.truncate(have);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_come_back_and_others_are_not_ours() {
        for part in Part::ALL {
            assert_eq!(parse_name(&file_name(12, part)), Some((12, part)));
        }
        for name in [
            "lock",
            "vkey",
            "12.log",
            "+0000000000000000012.log",
            "00000000000000000012.txt",
        ] {
            assert_eq!(parse_name(name), None);
        }
    }

    proptest! {
        #[test]
        fn no_name_makes_the_parser_panic(name in "\\PC{0,30}", digits in "[0-9]{20}") {
            let _ = parse_name(&name);
            let _ = parse_name(&format!("{digits}.log"));
        }

        #[test]
        fn no_header_makes_the_reader_panic(json in "\\PC{1,80}", bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            use crate::{Disk, simulation::SimDisk};
            let disk = SimDisk::new(1);
            let mut framed = Vec::new();
            frame::encode_header(json.as_bytes(), &mut framed);
            for (name, content) in [("a", &framed), ("b", &bytes)] {
                let mut file = disk.create(name).unwrap();
                file.append(content).unwrap();
                prop_assert!(matches!(Header::read(&*file, 0), Err(HeaderFault::Bad(_))));
            }
        }
    }
}
