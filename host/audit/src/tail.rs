//! What of the last segment is a write that a crash cut short, and what is
//! damage.
//!
//! The rule. Where no valid frame stands, the rest of the segment is cut
//! exactly if all of this holds:
//! 1. It is the last segment. A segment that has a successor counts up to the
//!    length its successor's header names, and was durable up to there.
//! 2. No signed head covers the record. Heads cover durable records only.
//! 3. No valid marker stands behind it. A group is written only after the one
//!    before is durable, so a marker proves that what lies before it is no
//!    torn write.
//! 4. The frame is cut off or its checksum is wrong. A marker that is whole but
//!    names another place, or a record that is whole but cannot be read, was
//!    never written like that by a crash.
//!
//! So only the group that was being written can be cut, in whole or from its
//! first incomplete record on. That group was not acknowledged: its `sync` had
//! not returned. (Frames behind the first bad one may be whole, as a disk
//! writes sectors in any order; they go too, or the order would have a hole.)
//!
//! What the rule cannot tell from a torn write: damage to the very last group
//! before a head covers it. Heads follow within `Config::head_ms`.

use std::io;

use crate::scan::{Bad, Scan, later_marker};

/// Whether what stands at `bad` in the last segment is a torn write. `signed`
/// is the number of records that heads cover.
pub(crate) fn is_torn(scan: &Scan, segment: u64, bad: &Bad, signed: u64) -> io::Result<bool> {
    if !bad.may_be_torn || bad.index < signed {
        return Ok(false);
    }
    let behind = bad.offset.saturating_add(1);
    Ok(later_marker(scan.file(), segment, behind)?.is_none())
}
