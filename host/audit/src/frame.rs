//! How records lie in a segment: frames of a length, a checksum and a body.
//!
//! ```text
//! record   length u32 | crc32c u32 | payload (length bytes of JSON)
//! marker   0x80000018 | crc32c u32 | segment u64 | offset u64 | first u64
//! header   0x4… length | crc32c u32 | JSON
//! ```
//! All numbers are little-endian; the checksum covers the length word and the
//! body. Each group of records that was written at once begins with a marker,
//! which names its own segment and offset and the index of its first record.
//!
//! INVARIANT: a group is written only after everything before it in its
//! segment is durable. So a marker at offset `n` proves that the bytes below
//! `n` had reached the disk, and that damage there is no torn write.

use crate::record::RECORD_BYTES_MAX;

/// Bytes before the body: length and checksum.
pub const PREFIX_BYTES: usize = 8;
/// Bytes of a marker with its prefix.
pub const MARKER_BYTES: usize = PREFIX_BYTES + MARKER_BODY;
/// The longest body of a header: room for a million open intents.
pub const HEADER_BYTES_MAX: usize = 256 * 1024 * 1024;

const MARKER_BODY: usize = 24;
const MARKER_WORD: u32 = 0x8000_0018;
const HEADER_FLAG: u32 = 0x4000_0000;

/// The beginning of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marker {
    /// Number of the segment it stands in.
    pub segment: u64,
    /// Where it stands, in bytes from the segment's start.
    pub offset: u64,
    /// Index of the record after it.
    pub first: u64,
}

/// What stands at the beginning of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Decoded<'a> {
    /// A record's payload. The frame is `PREFIX_BYTES` longer.
    Record(&'a [u8]),
    /// The beginning of a group.
    Marker(Marker),
    /// A header's JSON. The frame is `PREFIX_BYTES` longer.
    Header(&'a [u8]),
    /// More bytes are needed: this many in all.
    Incomplete(usize),
    /// No frame, and why.
    Bad(&'static str),
}

/// Reads the frame at the beginning of `bytes`.
#[must_use]
pub fn decode(bytes: &[u8]) -> Decoded<'_> {
    let Some((&word_bytes, rest)) = bytes.split_first_chunk::<4>() else {
        return Decoded::Incomplete(PREFIX_BYTES);
    };
    let Some((&crc, rest)) = rest.split_first_chunk::<4>() else {
        return Decoded::Incomplete(PREFIX_BYTES);
    };
    let word = u32::from_le_bytes(word_bytes);
    let header = word != MARKER_WORD && word & HEADER_FLAG != 0;
    let length = match word {
        MARKER_WORD => MARKER_BODY,
        _ => usize::try_from(word & !HEADER_FLAG).unwrap_or(usize::MAX),
    };
    let limit = if header {
        HEADER_BYTES_MAX
    } else {
        RECORD_BYTES_MAX
    };
    if length == 0 || length > limit {
        return Decoded::Bad("its length cannot be");
    }
    let Some(body) = rest.get(..length) else {
        return Decoded::Incomplete(PREFIX_BYTES.saturating_add(length));
    };
    if checksum(word_bytes, body) != u32::from_le_bytes(crc) {
        return Decoded::Bad("its checksum does not match");
    }
    if header {
        return Decoded::Header(body);
    }
    if word != MARKER_WORD {
        return Decoded::Record(body);
    }
    let mut numbers = body
        .as_chunks::<8>()
        .0
        .iter()
        .copied()
        .map(u64::from_le_bytes);
    match (numbers.next(), numbers.next(), numbers.next()) {
        (Some(segment), Some(offset), Some(first)) => Decoded::Marker(Marker {
            segment,
            offset,
            first,
        }),
        _ => Decoded::Bad("its marker is short"),
    }
}

/// Appends a record's frame. The payload is 1 to [`RECORD_BYTES_MAX`] bytes.
pub fn encode_record(payload: &[u8], bytes: &mut Vec<u8>) {
    encode(word_of(payload), payload, bytes);
}

/// Appends a header's frame. The JSON is 1 to [`HEADER_BYTES_MAX`] bytes.
pub fn encode_header(json: &[u8], bytes: &mut Vec<u8>) {
    encode(word_of(json) | HEADER_FLAG, json, bytes);
}

/// A group's marker as bytes.
#[must_use]
pub fn marker_bytes(marker: Marker) -> Vec<u8> {
    let mut body = Vec::with_capacity(MARKER_BODY);
    body.extend_from_slice(&marker.segment.to_le_bytes());
    body.extend_from_slice(&marker.offset.to_le_bytes());
    body.extend_from_slice(&marker.first.to_le_bytes());
    let mut bytes = Vec::with_capacity(MARKER_BYTES);
    encode(MARKER_WORD, &body, &mut bytes);
    bytes
}

/// Where in `bytes` the first valid marker stands that is at the place it
/// names; `offset` is where `bytes` begins in segment `segment`.
///
/// A marker cannot be imitated by what callers write: JSON has no bytes below
/// 0x20 but white space, and a marker names its own place.
#[must_use]
pub fn find_marker(bytes: &[u8], segment: u64, offset: u64) -> Option<usize> {
    let word = MARKER_WORD.to_le_bytes();
    let mut from = 0;
    while let Some(rest) = bytes.get(from..) {
        let found = rest.windows(word.len()).position(|four| four == word)?;
        let at = from.saturating_add(found);
        if let Decoded::Marker(marker) = decode(bytes.get(at..).unwrap_or_default())
            && marker.segment == segment
            && Some(marker.offset) == offset.checked_add(at as u64)
        {
            return Some(at);
        }
        from = at.saturating_add(1);
    }
    None
}

fn word_of(body: &[u8]) -> u32 {
    // Both limits are far below 2^30, and callers keep them.
    u32::try_from(body.len()).unwrap_or(u32::MAX >> 2)
}

fn encode(word: u32, body: &[u8], bytes: &mut Vec<u8>) {
    let word = word.to_le_bytes();
    bytes.extend_from_slice(&word);
    bytes.extend_from_slice(&checksum(word, body).to_le_bytes());
    bytes.extend_from_slice(body);
}

fn checksum(word: [u8; 4], body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&word), body)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MARKER: Marker = Marker {
        segment: 3,
        offset: 7,
        first: 9,
    };

    #[test]
    fn frames_come_back_as_they_were_written() {
        let mut bytes = Vec::new();
        encode_record(b"{}", &mut bytes);
        assert_eq!(decode(&bytes), Decoded::Record(b"{}"));
        let mut bytes = Vec::new();
        encode_header(b"{\"a\":1}", &mut bytes);
        assert_eq!(decode(&bytes), Decoded::Header(b"{\"a\":1}"));
        assert_eq!(marker_bytes(MARKER).len(), MARKER_BYTES);
        assert_eq!(decode(&marker_bytes(MARKER)), Decoded::Marker(MARKER));
    }

    #[test]
    fn a_marker_counts_only_at_the_place_it_names() {
        let bytes = [b"\x18garbage\x18\x00".as_slice(), &marker_bytes(MARKER)].concat();
        assert_eq!(find_marker(&bytes, 3, 0), None);
        let there = Marker {
            offset: 110,
            ..MARKER
        };
        let bytes = [b"\x18garbage\x18\x00".as_slice(), &marker_bytes(there)].concat();
        assert_eq!(find_marker(&bytes, 3, 100), Some(10));
        assert_eq!(find_marker(&bytes, 4, 100), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            match decode(&bytes) {
                Decoded::Record(body) | Decoded::Header(body) => prop_assert!(body.len() + PREFIX_BYTES <= bytes.len()),
                Decoded::Incomplete(needed) => prop_assert!(needed > bytes.len()),
                Decoded::Marker(_) | Decoded::Bad(_) => {}
            }
            let _ = find_marker(&bytes, 0, 0);
        }

        #[test]
        fn every_flipped_bit_is_seen(payload in proptest::collection::vec(any::<u8>(), 1..64), bit in any::<prop::sample::Index>()) {
            let mut bytes = Vec::new();
            encode_record(&payload, &mut bytes);
            let bit = bit.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(matches!(decode(&bytes), Decoded::Bad(_) | Decoded::Incomplete(_)));
        }

        #[test]
        fn every_prefix_is_incomplete(payload in proptest::collection::vec(any::<u8>(), 1..64), cut in any::<prop::sample::Index>()) {
            let mut bytes = Vec::new();
            encode_record(&payload, &mut bytes);
            bytes.truncate(cut.index(bytes.len()));
            prop_assert!(matches!(decode(&bytes), Decoded::Incomplete(_)));
        }
    }
}
