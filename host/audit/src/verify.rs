//! Whether the log is what was written: every record against its checksum, its
//! leaf hash and the signed heads. Offline, with nothing but the log's folder.
//!
//! What it cannot see, because it leaves no trace in the folder: that the log
//! as a whole was put back to an earlier state together with its heads, or
//! that records which no head covers yet were rewritten together with their
//! checksums. Against the first, keep a head elsewhere; the second ends within
//! `Config::head_ms`, and records left without a head for longer than a writer
//! leaves any are damage (see `unsigned`). A key that the folder itself names proves nothing about
//! who wrote it: give the trusted one where you have it.

use std::path::Path;

use serde::Serialize;

use crate::chain::{self, Link};
use crate::disk::{Disk, FsDisk};
use crate::examine::{Examination, Exhibit, Leaves};
use crate::heads;
use crate::merkle::Tree;
use crate::note::{Head, VerifierKey};
use crate::open_intents::OpenIntents;
use crate::record::{Glance, name_in};
use crate::recovery::{VERIFIER_FILE, read_leaves, stored_key};
use crate::scan::{Bad, Found, Scan};
use crate::segment::{Header, Part, file_name};
use crate::tail::is_torn;
use crate::{Damage, Error, Failure};

/// What verifying found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether everything is as it was written.
    pub ok: bool,
    /// Interactions with an outcome, up to the first bad record.
    pub events: u64,
    /// Intents without outcome, up to the first bad record.
    pub unknown: u64,
    /// The last head whose signature holds.
    pub head: Option<Head>,
    /// Where it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_bad: Option<FirstBad>,
    /// Records beyond the last head: there, but not signed yet.
    #[serde(skip)]
    pub unsigned: u64,
    /// Bytes of a write that a crash cut short; opening the log removes them.
    #[serde(skip)]
    pub torn_bytes: u64,
}

/// The first record that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FirstBad {
    /// Its index, counted from 0 over the whole log.
    pub index: u64,
    /// The name of the event that stands there now, if it can be read.
    pub event: Option<String>,
    /// The file, relative to the log's folder.
    pub file: String,
    /// Bytes from the start of the file.
    pub offset: u64,
    /// What is wrong, in words.
    pub why: String,
}

impl From<Damage> for FirstBad {
    fn from(damage: Damage) -> Self {
        Self {
            index: damage.index,
            event: damage.event,
            file: damage.file,
            offset: damage.offset,
            why: damage.why,
        }
    }
}

/// Verifies the log in `dir` with the key that lies there.
///
/// # Errors
/// [`Error::Absent`] if there is no log, [`Error::DiskFailed`] if it cannot be
/// read. Damage is no error but the report.
pub fn verify(dir: &Path) -> Result<Report, Error> {
    verify_disk(&FsDisk::read_only(dir), None)
}

/// Verifies the log on `disk`, with `trusted` as the only key that counts if
/// it is given. The log may be written meanwhile.
///
/// # Errors
/// As [`verify`].
pub fn verify_disk(disk: &dyn Disk, trusted: Option<&VerifierKey>) -> Result<Report, Error> {
    let stored = stored_key(disk)?.ok_or_else(|| Error::Absent {
        dir: disk.place(),
        file: VERIFIER_FILE,
    })?;
    let mut walk = Walk {
        disk,
        examination: Examination::new(Tree::default()),
        open: OpenIntents::default(),
        events: 0,
        head: None,
        torn_bytes: 0,
    };
    let first_bad = match key_of(&stored, trusted).and_then(|key| walk.log(&key)) {
        Ok(()) => None,
        Err(Error::Corrupt(damage)) => Some(FirstBad::from(*damage)),
        Err(error) => return Err(error),
    };
    let size = walk.examination.tree().size();
    Ok(Report {
        ok: first_bad.is_none(),
        events: walk.events,
        unknown: walk.open.count(),
        unsigned: size.saturating_sub(walk.head.as_ref().map_or(0, |head| head.size)),
        torn_bytes: walk.torn_bytes,
        head: walk.head,
        first_bad,
    })
}

/// The key to verify with.
fn key_of(stored: &str, trusted: Option<&VerifierKey>) -> Result<VerifierKey, Error> {
    let damage = |why: String| {
        Error::from(Damage {
            index: 0,
            event: None,
            file: VERIFIER_FILE.to_owned(),
            offset: 0,
            why,
        })
    };
    let key = VerifierKey::parse(stored)
        .map_err(|why| damage(format!("it holds no verifier key: {why}")))?;
    match trusted {
        Some(trusted) if *trusted != key => Err(damage(format!(
            "the log names the key `{key}`, the trusted one is `{trusted}`"
        ))),
        _ => Ok(key),
    }
}

struct Walk<'a> {
    disk: &'a dyn Disk,
    examination: Examination,
    open: OpenIntents,
    events: u64,
    head: Option<Head>,
    torn_bytes: u64,
}

impl Walk<'_> {
    fn log(&mut self, key: &VerifierKey) -> Result<(), Error> {
        let chain = chain::load(self.disk)?;
        for link in &chain.links {
            self.header(link)?;
            // Heads before records: what a writer adds meanwhile is then beyond
            // the heads that are known, and not missing below them.
            let history = heads::read(self.disk, link.number, key)?;
            if let Some(last) = history.heads.last() {
                self.head = Some(last.head.clone());
            }
            self.examination.expect(history.heads)?;
            self.records(link)?;
            if history.absent {
                self.examination.end_without_heads(link.number)?;
            }
            if link.end.is_some() {
                self.examination.end_sealed(link.number)?;
            }
        }
        Ok(())
    }

    /// Holds a header against the records before it.
    fn header(&self, link: &Link) -> Result<(), Damage> {
        let Header {
            first, peaks, open, ..
        } = &link.header;
        let tree = self.examination.tree();
        let why = if *first != tree.size() {
            format!(
                "its header counts {first} records before it, there are {}",
                tree.size()
            )
        } else if *peaks != Header::peaks_of(tree) {
            "its header has another Merkle tree than the records before it".to_owned()
        } else if !self.open.matches(open) {
            "its header names other open intents than the records before it".to_owned()
        } else {
            return Ok(());
        };
        Err(self.examination.earliest(Damage {
            index: tree.size(),
            event: None,
            file: file_name(link.number, Part::Log),
            offset: 0,
            why,
        }))
    }

    fn records(&mut self, link: &Link) -> Result<(), Error> {
        let leaves = read_leaves(self.disk, link.number)?;
        let leaves = Leaves::new(link.number, link.header.first, leaves);
        let name = file_name(link.number, Part::Log);
        let fail = |error| Failure::new("read", &name, error);
        let file = match self.disk.open(&name) {
            Ok(file) => file,
            Err(error) => return Err(Failure::new("open", &name, error).into()),
        };
        let mut scan = Scan::new(file, link.number, link.header.first, link.start, link.end);
        loop {
            match scan.next().map_err(fail)? {
                Found::End => break,
                Found::Record {
                    index,
                    offset,
                    payload,
                } => {
                    let segment = link.number;
                    self.record(
                        &Exhibit {
                            index,
                            segment,
                            offset,
                            payload,
                        },
                        &leaves,
                    )?;
                }
                Found::Bad(bad) => {
                    self.bad(link, &scan, bad)?;
                    break;
                }
            }
        }
        self.examination.end(&name, scan.offset())?;
        match link.end {
            Some(end) if scan.offset() < end => Err(self
                .examination
                .earliest(Damage {
                    index: scan.index(),
                    event: None,
                    file: name,
                    offset: scan.offset(),
                    why: format!("the segment ends here, but {end} bytes were durable"),
                })
                .into()),
            _ => Ok(()),
        }
    }

    fn record(&mut self, exhibit: &Exhibit<'_>, leaves: &Leaves) -> Result<(), Damage> {
        let glance = Glance::decode(exhibit.payload).map_err(|why| {
            self.examination
                .earliest(exhibit.damage(format!("it cannot be read: {why}")))
        })?;
        self.examination.take(exhibit, leaves)?;
        if matches!(glance, Glance::Outcome(_)) {
            self.events = self.events.saturating_add(1);
        }
        self.open.note(glance, exhibit.index, exhibit.payload);
        Ok(())
    }

    /// Passes over a write that was cut short at the end of the log; all else
    /// is damage.
    fn bad(&mut self, link: &Link, scan: &Scan, bad: Bad) -> Result<(), Error> {
        let name = file_name(link.number, Part::Log);
        let fail = |error| Failure::new("read", &name, error);
        let signed = self.examination.signed();
        if link.end.is_none() && is_torn(scan, link.number, &bad, signed).map_err(fail)? {
            let length = scan.file().length().map_err(fail)?;
            self.torn_bytes = length.saturating_sub(bad.offset);
            return Ok(());
        }
        let damage = Damage {
            index: bad.index,
            event: name_in(&bad.bytes),
            file: name,
            offset: bad.offset,
            why: bad.why,
        };
        Err(self.examination.earliest(damage).into())
    }
}
