//! The log as its one writer has it: commits groups, begins segments, signs
//! heads. No threads and no clock; everything happens when it is called.

use std::io::{Error, ErrorKind};
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::Config;
use crate::disk::{Disk, DiskFile, FileId};
use crate::frame::{self, MARKER_BYTES, Marker, PREFIX_BYTES};
use crate::merkle::{Tree, leaf};
use crate::note::{Head, NoteSigner};
use crate::open_intents::OpenIntents;
use crate::record::Glance;
use crate::replay::Span;
use crate::segment::{Follows, Header, Part, file_name};
use crate::sidecar::Sidecar;
use crate::{Failure, timestamp};

/// How late a head must be to be signed before the next group is written: this
/// many times `Config::head_ms`, and at least so many milliseconds.
const LATE_HEADS: u64 = 10;
const LATE_MS: u64 = 10_000;

/// Records that are written at once.
#[derive(Default)]
pub(crate) struct Group {
    /// Room for the marker, then the frames.
    bytes: Vec<u8>,
    /// Where each frame ends in `bytes`, and whose record it is.
    entries: Vec<(usize, Glance)>,
}

impl Group {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn count(&self) -> u64 {
        self.entries.len() as u64
    }

    pub(crate) fn byte_count(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
    }

    /// Adds a record, framed already.
    pub(crate) fn push(&mut self, framed: &[u8], glance: Glance) {
        if self.bytes.is_empty() {
            self.bytes.resize(MARKER_BYTES, 0);
        }
        self.bytes.extend_from_slice(framed);
        self.entries.push((self.bytes.len(), glance));
    }

    fn mark(&mut self, marker: Marker) {
        let marker = frame::marker_bytes(marker);
        for (to, from) in self.bytes.iter_mut().zip(marker) {
            *to = from;
        }
    }

    /// The payloads, taking the glances along.
    fn drain(&mut self) -> impl Iterator<Item = (Glance, &[u8])> {
        let mut start = MARKER_BYTES;
        let bytes = &self.bytes;
        self.entries.drain(..).map(move |(end, glance)| {
            let from = start.saturating_add(PREFIX_BYTES);
            start = end;
            (glance, bytes.get(from..end).unwrap_or_default())
        })
    }
}

/// The segment that is written to.
pub(crate) struct Current {
    pub(crate) number: u64,
    pub(crate) first: u64,
    pub(crate) file: Box<dyn DiskFile>,
    /// Which file that is.
    pub(crate) id: FileId,
    /// Bytes that are on the disk for sure.
    pub(crate) durable: u64,
    /// False once a write or sync failed: what lies beyond `durable` is not
    /// known then, so nothing is ever written there again.
    pub(crate) usable: bool,
    pub(crate) leaves: Sidecar,
    pub(crate) heads: Sidecar,
}

/// What is carried from segment to segment.
#[derive(Default)]
pub(crate) struct Ledger {
    /// Over all durable records.
    pub(crate) tree: Tree,
    pub(crate) open: OpenIntents,
    /// The last that is on the disk.
    pub(crate) head: Option<Head>,
    /// Numbers are used once, as a file given up may come back after a crash.
    pub(crate) next_number: u64,
}

/// Where records lie, for those who read along.
pub(crate) type Spans = Arc<Mutex<Vec<Span>>>;

pub(crate) struct Store {
    disk: Arc<dyn Disk>,
    config: Config,
    signer: NoteSigner,
    current: Current,
    ledger: Ledger,
    spans: Spans,
    head_signed_ms: u64,
}

impl Store {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        config: Config,
        signer: NoteSigner,
        current: Current,
        ledger: Ledger,
        spans: Vec<Span>,
    ) -> Self {
        Self {
            head_signed_ms: (config.now_ms)(),
            disk,
            config,
            signer,
            current,
            ledger,
            spans: Arc::new(Mutex::new(spans)),
        }
    }

    /// Number of durable records.
    pub(crate) fn count(&self) -> u64 {
        self.ledger.tree.size()
    }

    pub(crate) fn head(&self) -> Option<&Head> {
        self.ledger.head.as_ref()
    }

    pub(crate) fn spans(&self) -> Spans {
        Arc::clone(&self.spans)
    }

    /// Brings a group to the disk with one write and one sync. On failure none
    /// of it counts, now or later: the segment is left at its last durable
    /// byte, and the next group begins another, whose header says so.
    pub(crate) fn commit(&mut self, group: &mut Group) -> Result<(), Failure> {
        // A sync says that the file has it, not that anyone will find the file.
        self.in_place()?;
        let full = self.current.durable >= self.config.segment_bytes;
        if !self.current.usable || (full && self.count() > self.current.first) {
            self.rotate()?;
        }
        let current = &mut self.current;
        group.mark(Marker {
            segment: current.number,
            offset: current.durable,
            first: self.ledger.tree.size(),
        });
        let written = current
            .file
            .append(&group.bytes)
            .map_err(|error| ("write", error));
        let synced = written.and_then(|()| current.file.sync().map_err(|error| ("sync", error)));
        if let Err((operation, error)) = synced {
            let name = file_name(current.number, Part::Log);
            self.abandon();
            return Err(Failure::new(operation, &name, error));
        }
        current.durable = current.durable.saturating_add(group.bytes.len() as u64);
        let spans = self.spans.lock();
        if let Some(last) = spans.unwrap_or_else(PoisonError::into_inner).last_mut() {
            last.end = current.durable;
        }
        Ok(())
    }

    /// Takes a committed group into the tree, and empties it. Apart from
    /// `commit`, so that nobody waits for the hashing.
    pub(crate) fn absorb(&mut self, group: &mut Group) {
        let ledger = &mut self.ledger;
        for (glance, payload) in group.drain() {
            let hash = leaf(payload);
            ledger.open.note(glance, ledger.tree.size(), payload);
            ledger.tree.push(hash);
            self.current.leaves.push(&hash);
        }
        group.clear();
    }

    /// Whether there are durable records that no head covers.
    pub(crate) fn is_unsigned(&self) -> bool {
        self.head().map(|head| head.size) != Some(self.count())
    }

    /// Signs a head if enough records or time has gone by since the last.
    pub(crate) fn sign_if_due(&mut self) -> Result<(), Failure> {
        let signed = self.head().map_or(0, |head| head.size);
        let records = self.count().saturating_sub(signed);
        // A clock that was set back tells nothing of how long it was.
        let waited = (self.config.now_ms)().checked_sub(self.head_signed_ms);
        let late = waited.is_none_or(|waited| waited >= self.config.head_ms);
        if records >= self.config.head_records || late {
            self.sign()?;
        }
        Ok(())
    }

    /// Signs a head before more is written, if records have waited for one far
    /// too long, as after the machine slept. Otherwise old and new records
    /// would for a moment lie there unsigned together, which is what a trail
    /// looks like whose heads were removed.
    pub(crate) fn sign_if_late(&mut self) -> Result<(), Failure> {
        let waited = (self.config.now_ms)().saturating_sub(self.head_signed_ms);
        if waited >= self.config.head_ms.saturating_mul(LATE_HEADS).max(LATE_MS) {
            self.sign()?;
        }
        Ok(())
    }

    /// Signs a head over all durable records, unless one is there. Fails also
    /// then if the segment is not in its place.
    ///
    /// The leaf hashes go first: below a head they are proof of which record
    /// was changed, so they must not be torn there.
    pub(crate) fn sign(&mut self) -> Result<(), Failure> {
        self.in_place()?;
        if !self.is_unsigned() {
            return Ok(());
        }
        let now_ms = (self.config.now_ms)();
        // Also when it fails, so that a failing disk is not tried all the time.
        self.head_signed_ms = now_ms;
        self.current.leaves.flush()?;
        let head = Head {
            size: self.count(),
            root: self.ledger.tree.root(),
            signed_at: Some(timestamp(now_ms)),
            origin: self.config.origin(),
        };
        // A head that failed to be written before is superseded.
        self.current.heads.forget_pending();
        self.current.heads.push(&self.signer.sign(&head.text()));
        self.current.heads.flush()?;
        self.ledger.head = Some(head);
        Ok(())
    }

    /// Fails if the segment that is written to is no longer under its name, or
    /// was cut: what was acknowledged would be lost, and nobody would know.
    fn in_place(&self) -> Result<(), Failure> {
        let current = &self.current;
        let name = file_name(current.number, Part::Log);
        let displaced = |why| Failure::displaced(&name, why);
        let standing = self.disk.find(&name).map_err(|error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => displaced(error),
            _ => Failure::new("look for", &name, error),
        })?;
        if standing.file != current.id {
            return Err(displaced(Error::other("another file has its name")));
        }
        if standing.length < current.durable {
            let (length, durable) = (standing.length, current.durable);
            let why = format!("it was cut to {length} of {durable} bytes");
            return Err(displaced(Error::other(why)));
        }
        Ok(())
    }

    /// Leaves the current segment for a new one.
    fn rotate(&mut self) -> Result<(), Failure> {
        self.sign()?;
        let follows = Follows {
            segment: self.current.number,
            bytes: self.current.durable,
        };
        let (current, span) = begin(&*self.disk, &mut self.ledger, Some(follows))?;
        self.current = current;
        let spans = self.spans.lock();
        spans.unwrap_or_else(PoisonError::into_inner).push(span);
        Ok(())
    }

    /// Gives up what lies beyond the last durable byte. Cutting it now is a
    /// courtesy (space, and less to explain should the process end before the
    /// next segment is there); what decides is that segment's header.
    fn abandon(&mut self) {
        let current = &mut self.current;
        current.usable = false;
        let cut = current.file.truncate(current.durable);
        if let Err(error) = cut.and_then(|()| current.file.sync()) {
            tracing::warn!(segment = current.number, %error, "cannot cut what failed to be written");
        }
    }
}

/// Makes a new segment. It is whole on the disk when this returns, so nothing
/// of it is torn by the time that the first group is written.
pub(crate) fn begin(
    disk: &dyn Disk,
    ledger: &mut Ledger,
    follows: Option<Follows>,
) -> Result<(Current, Span), Failure> {
    let number = ledger.next_number;
    ledger.next_number = number.saturating_add(1);
    let header = Header {
        segment: number,
        first: ledger.tree.size(),
        follows,
        peaks: Header::peaks_of(&ledger.tree),
        open: ledger.open.to_header(),
    };
    let made = make(disk, &header);
    if made.is_err() {
        for part in [Part::Log, Part::Leaves, Part::Heads] {
            // It may not be there; if it stays, it is found to be debris.
            let _ = disk.remove(&file_name(number, part));
        }
    }
    made
}

fn make(disk: &dyn Disk, header: &Header) -> Result<(Current, Span), Failure> {
    let number = header.segment;
    let name = file_name(number, Part::Log);
    let fail = |operation| {
        let name = name.clone();
        move |error| Failure::new(operation, &name, error)
    };
    let bytes = header.encode().map_err(fail("write"))?;
    let mut file = disk.create(&name).map_err(fail("create"))?;
    file.append(&bytes).map_err(fail("write"))?;
    file.sync().map_err(fail("sync"))?;
    let id = file.id().map_err(fail("read"))?;
    let leaves = Sidecar::create(disk, number, Part::Leaves)?;
    let heads = Sidecar::create(disk, number, Part::Heads)?;
    disk.sync_dir().map_err(fail("sync the folder of"))?;
    let durable = bytes.len() as u64;
    let current = Current {
        number,
        first: header.first,
        file,
        id,
        durable,
        usable: true,
        leaves,
        heads,
    };
    let span = Span {
        number,
        first: header.first,
        start: durable,
        end: durable,
    };
    Ok((current, span))
}
