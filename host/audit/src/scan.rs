//! Reading a segment frame by frame, in chunks, checking that each frame is
//! whole and each marker where it belongs.

use std::io;

use crate::disk::DiskFile;
use crate::frame::{self, Decoded, MARKER_BYTES, PREFIX_BYTES};

/// Bytes read at once: the cost of a call is then lost beside that of hashing.
const CHUNK_BYTES: usize = 256 * 1024;

/// What stands next in a segment.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    /// A record.
    Record {
        index: u64,
        offset: u64,
        payload: &'a [u8],
    },
    /// The end of what counts.
    End,
    /// No frame that can be.
    Bad(Bad),
}

/// A place where no valid frame stands.
#[derive(Debug)]
pub(crate) struct Bad {
    /// Index that its record would have.
    pub(crate) index: u64,
    pub(crate) offset: u64,
    pub(crate) why: String,
    /// Whether a write that was cut short can look like this.
    pub(crate) may_be_torn: bool,
    /// The first bytes there, for the name of the event.
    pub(crate) bytes: Vec<u8>,
}

/// A walk through one segment.
pub(crate) struct Scan {
    file: Box<dyn DiskFile>,
    segment: u64,
    /// Index of the next record.
    index: u64,
    /// Where the walk ends; `None`: with the file.
    end: Option<u64>,
    /// What has been read and not yet passed: `buffer[at..]` stands at `offset`.
    buffer: Vec<u8>,
    at: usize,
    offset: u64,
    chunk: Vec<u8>,
}

impl Scan {
    /// From byte `start`, where the record of index `first` (or its marker)
    /// stands, to byte `end` or the end of the file.
    pub(crate) fn new(
        file: Box<dyn DiskFile>,
        segment: u64,
        first: u64,
        start: u64,
        end: Option<u64>,
    ) -> Self {
        Self {
            file,
            segment,
            index: first,
            end,
            buffer: Vec::new(),
            at: 0,
            offset: start,
            chunk: vec![0; CHUNK_BYTES],
        }
    }

    /// Index of the next record.
    pub(crate) fn index(&self) -> u64 {
        self.index
    }

    /// Where the next frame stands.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    pub(crate) fn file(&self) -> &dyn DiskFile {
        &*self.file
    }

    /// The next record, or what stands in its place.
    pub(crate) fn next(&mut self) -> io::Result<Found<'_>> {
        loop {
            let ahead = self.buffer.get(self.at..).unwrap_or_default();
            match frame::decode(ahead) {
                Decoded::Incomplete(needed) => {
                    if self.fill(needed)? {
                        continue;
                    }
                    let left = self.buffer.get(self.at..).unwrap_or_default();
                    if left.is_empty() {
                        return Ok(Found::End);
                    }
                    return Ok(self.bad("it is cut off", true));
                }
                Decoded::Marker(marker) => {
                    let here = (self.segment, self.offset, self.index);
                    let there = (marker.segment, marker.offset, marker.first);
                    if here != there {
                        let why = format!(
                            "a group stands here (segment {}, byte {}, record {}) that was written \
                             at segment {}, byte {}, record {}",
                            here.0, here.1, here.2, there.0, there.1, there.2
                        );
                        return Ok(self.bad(&why, false));
                    }
                    self.pass(MARKER_BYTES);
                }
                Decoded::Header(_) => return Ok(self.bad("a header stands among records", false)),
                Decoded::Bad(why) => return Ok(self.bad(why, true)),
                Decoded::Record(payload) => {
                    let length = payload.len();
                    let (index, offset) = (self.index, self.offset);
                    let from = self.at.saturating_add(PREFIX_BYTES);
                    self.pass(PREFIX_BYTES.saturating_add(length));
                    self.index = self.index.saturating_add(1);
                    let payload = self.buffer.get(from..self.at).unwrap_or_default();
                    return Ok(Found::Record {
                        index,
                        offset,
                        payload,
                    });
                }
            }
        }
    }

    fn pass(&mut self, bytes: usize) {
        self.at = self.at.saturating_add(bytes);
        self.offset = self.offset.saturating_add(bytes as u64);
    }

    fn bad(&self, why: &str, may_be_torn: bool) -> Found<'static> {
        let bytes = self.buffer.get(self.at..).unwrap_or_default();
        Found::Bad(Bad {
            index: self.index,
            offset: self.offset,
            why: why.to_owned(),
            may_be_torn,
            bytes: bytes.iter().take(1024).copied().collect(),
        })
    }

    /// Reads on until `needed` bytes are ahead; whether they are.
    fn fill(&mut self, needed: usize) -> io::Result<bool> {
        self.buffer.drain(..self.at.min(self.buffer.len()));
        self.at = 0;
        while self.buffer.len() < needed {
            let have = self.buffer.len();
            let from = self.offset.saturating_add(have as u64);
            let left = self.end.map_or(u64::MAX, |end| end.saturating_sub(from));
            let left = usize::try_from(left).unwrap_or(usize::MAX);
            let room = self.chunk.len().min(left);
            let room = self.chunk.get_mut(..room).unwrap_or_default();
            let read = if room.is_empty() {
                0
            } else {
                self.file.read(from, room)?
            };
            self.buffer
                .extend_from_slice(room.get(..read).unwrap_or_default());
            if read == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Where after byte `from` a valid marker of segment `segment` stands.
pub(crate) fn later_marker(
    file: &dyn DiskFile,
    segment: u64,
    from: u64,
) -> io::Result<Option<u64>> {
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut kept = 0;
    let mut base = from;
    loop {
        let space = buffer.get_mut(kept..).unwrap_or_default();
        let read = file.read(base.saturating_add(kept as u64), space)?;
        if read == 0 {
            return Ok(None);
        }
        let have = kept.saturating_add(read);
        let bytes = buffer.get(..have).unwrap_or_default();
        if let Some(at) = frame::find_marker(bytes, segment, base) {
            return Ok(Some(base.saturating_add(at as u64)));
        }
        // A marker may lie across two chunks.
        kept = have.min(MARKER_BYTES.saturating_sub(1));
        let cut = have.saturating_sub(kept);
        buffer.copy_within(cut..have, 0);
        base = base.saturating_add(cut as u64);
    }
}
