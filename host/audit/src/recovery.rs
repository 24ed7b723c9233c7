//! Opening a log: finding its end, cutting what a crash left half-written, and
//! refusing what was damaged.

use std::sync::Arc;

use crate::chain::{self, Chain, Link};
use crate::config::Config;
use crate::disk::{Disk, read_all};
use crate::examine::{Examination, Exhibit, Leaves};
use crate::heads::{self, History, Signed};
use crate::note::{Head, NoteSigner, VerifierKey};
use crate::open_intents::OpenIntents;
use crate::record::{Glance, name_in};
use crate::replay::Span;
use crate::scan::{Found, Scan};
use crate::segment::{Part, file_name};
use crate::sidecar::Sidecar;
use crate::store::{Current, Ledger, Store, begin};
use crate::tail::is_torn;
use crate::{Damage, Error, Failure, Intent, Keys};

/// File of the key that verifies the heads, in the log's folder.
pub const VERIFIER_FILE: &str = "vkey";

/// What was found when the log was opened.
#[derive(Clone, Debug, Default)]
pub struct Recovery {
    /// Records in the log; the next gets this index.
    pub records: u64,
    /// Bytes at the end that a crash had left half-written, cut now. No
    /// acknowledged record was in them.
    pub repaired_bytes: u64,
    /// Intents without outcome, oldest first: nobody knows what became of
    /// them. They stay `unknown` unless an outcome is written.
    pub open_intents: Vec<Intent>,
    /// The last signed head.
    pub head: Option<Head>,
}

/// Opens the log on `disk`, making one if there is none.
pub(crate) fn recover(
    disk: &Arc<dyn Disk>,
    config: Config,
    keys: &Keys,
) -> Result<(Store, Recovery), Error> {
    config.check()?;
    let signer = NoteSigner::new(&config.origin(), keys.signer()).ok_or(Error::Key {
        file: crate::keys::SIGNER_FILE.to_owned(),
        why: "cannot sign; remove it to get a new one".to_owned(),
    })?;
    let mut chain = chain::load(&**disk)?;
    settle_key(&**disk, signer.verifier(), !chain.links.is_empty())?;
    let Some(last) = chain.links.pop() else {
        sweep(&**disk, &chain);
        let mut ledger = Ledger {
            next_number: chain.next_number,
            ..Ledger::default()
        };
        let (current, span) = begin(&**disk, &mut ledger, None)?;
        let store = Store::new(
            Arc::clone(disk),
            config,
            signer,
            current,
            ledger,
            vec![span],
        );
        return Ok((store, Recovery::default()));
    };
    let ended = read_end(&**disk, &last, &chain, signer.verifier())?;
    let current = mend(&**disk, &last, &ended)?;
    sweep(&**disk, &chain);
    let recovery = Recovery {
        records: ended.examination.tree().size(),
        repaired_bytes: ended.torn,
        open_intents: ended.open.intents(),
        head: ended.head.clone(),
    };
    let mut spans: Vec<Span> = chain.links.iter().map(Span::of).collect();
    spans.push(Span {
        end: ended.durable,
        ..Span::of(&last)
    });
    let ledger = Ledger {
        tree: ended.examination.tree().clone(),
        open: ended.open,
        head: ended.head,
        next_number: chain.next_number,
    };
    let store = Store::new(Arc::clone(disk), config, signer, current, ledger, spans);
    Ok((store, recovery))
}

/// Makes sure that the key kept with the log is that of the signer. A log
/// without one is new, or its making was interrupted before the first segment.
fn settle_key(disk: &dyn Disk, key: &VerifierKey, has_segments: bool) -> Result<(), Error> {
    if let Some(found) = stored_key(disk)? {
        if found.trim_end() == key.to_string() {
            return Ok(());
        }
        return Err(Error::KeyChanged {
            found: found.trim_end().to_owned(),
            expected: key.to_string(),
        });
    }
    if has_segments {
        return Err(Error::Absent {
            dir: disk.place(),
            file: VERIFIER_FILE,
        });
    }
    let temporary = format!("{VERIFIER_FILE}.new");
    let fail = |operation| move |error| Failure::new(operation, VERIFIER_FILE, error);
    if disk.open(&temporary).is_ok() {
        disk.remove(&temporary).map_err(fail("remove"))?;
    }
    let mut file = disk.create(&temporary).map_err(fail("create"))?;
    file.append(format!("{key}\n").as_bytes())
        .map_err(fail("write"))?;
    file.sync().map_err(fail("sync"))?;
    disk.rename(&temporary, VERIFIER_FILE)
        .map_err(fail("rename"))?;
    disk.sync_dir().map_err(fail("sync the folder of"))?;
    Ok(())
}

/// The text of the key kept with the log.
pub(crate) fn stored_key(disk: &dyn Disk) -> Result<Option<String>, Failure> {
    match disk.open(VERIFIER_FILE) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::new("open", VERIFIER_FILE, error)),
        Ok(file) => read_all(&*file, 0)
            .map(|bytes| Some(String::from_utf8_lossy(&bytes).into_owned()))
            .map_err(|error| Failure::new("read", VERIFIER_FILE, error)),
    }
}

/// What the last segment holds.
struct Ended {
    examination: Examination,
    open: OpenIntents,
    head: Option<Head>,
    history: History,
    /// Where its last whole record ends.
    durable: u64,
    /// Bytes beyond that.
    torn: u64,
    /// Bytes of the leaf file that are good.
    leaf_bytes: u64,
    /// Leaf hashes that come after them.
    leaves: Vec<u8>,
}

/// Reads the last segment through. Those before are left alone: their length
/// and everything they led to stand in its header.
fn read_end(
    disk: &dyn Disk,
    last: &Link,
    chain: &Chain,
    key: &VerifierKey,
) -> Result<Ended, Error> {
    let name = file_name(last.number, Part::Log);
    let fail = |error| Error::from(Failure::new("read", &name, error));
    let damaged = |why: &str| {
        Error::from(Damage {
            index: last.header.first,
            event: None,
            file: name.clone(),
            offset: 0,
            why: why.to_owned(),
        })
    };
    let tree = last.header.tree();
    let tree = tree.ok_or_else(|| damaged("its header has a tree that cannot be"))?;
    let open = OpenIntents::from_header(&last.header.open);
    let open = open.ok_or_else(|| damaged("its header names an intent that is none"))?;
    let history = heads::read(disk, last.number, key)?;
    let mut known: Vec<Signed> = last_head_before(disk, chain, key)?.into_iter().collect();
    known.extend(history.heads.iter().cloned());
    let head = known.last().map(|last| last.head.clone());
    let mut examination = Examination::new(tree);
    examination.expect(known)?;
    let signed = examination.signed();
    if let Some(before) = chain.links.last().filter(|_| signed < last.header.first) {
        examination.end_sealed(before.number)?;
    }
    let leaves = read_leaves(disk, last.number)?;
    let leaves = Leaves::new(last.number, last.header.first, leaves);
    let proved = leaves.count().min(signed.saturating_sub(last.header.first));
    let file = disk.open(&name).map_err(fail)?;
    let length = file.length().map_err(fail)?;
    let mut ended = Ended {
        examination,
        open,
        head,
        history,
        durable: last.start,
        torn: 0,
        leaf_bytes: proved.saturating_mul(32),
        leaves: Vec::new(),
    };
    let scan = Scan::new(file, last.number, last.header.first, last.start, None);
    ended.read(
        last,
        scan,
        &leaves,
        last.header.first.saturating_add(proved),
    )?;
    if ended.history.absent {
        ended.examination.end_without_heads(last.number)?;
    }
    ended.torn = length.saturating_sub(ended.durable);
    Ok(ended)
}

impl Ended {
    /// Takes the segment's records up to its last whole one. The leaf hashes of
    /// those from index `unproved` on are to be written anew.
    fn read(
        &mut self,
        last: &Link,
        mut scan: Scan,
        leaves: &Leaves,
        unproved: u64,
    ) -> Result<(), Error> {
        let segment = last.number;
        let name = file_name(segment, Part::Log);
        let fail = |error| Error::from(Failure::new("read", &name, error));
        loop {
            let bad = match scan.next().map_err(fail)? {
                Found::End => break,
                Found::Bad(bad) => bad,
                Found::Record {
                    index,
                    offset,
                    payload,
                } => {
                    let exhibit = Exhibit {
                        index,
                        segment,
                        offset,
                        payload,
                    };
                    self.take(&exhibit, leaves)?;
                    if index >= unproved {
                        self.leaves.extend_from_slice(&self.examination.last_leaf());
                    }
                    continue;
                }
            };
            if is_torn(&scan, segment, &bad, self.examination.signed()).map_err(fail)? {
                break;
            }
            let damage = Damage {
                index: bad.index,
                event: name_in(&bad.bytes),
                file: name.clone(),
                offset: bad.offset,
                why: bad.why,
            };
            return Err(self.examination.earliest(damage).into());
        }
        self.durable = scan.offset();
        self.examination.end(&name, self.durable)?;
        Ok(())
    }

    fn take(&mut self, exhibit: &Exhibit<'_>, leaves: &Leaves) -> Result<(), Damage> {
        let glance = Glance::decode(exhibit.payload).map_err(|why| {
            let damage = exhibit.damage(format!("it cannot be read: {why}"));
            self.examination.earliest(damage)
        })?;
        self.examination.take(exhibit, leaves)?;
        self.open.note(glance, exhibit.index, exhibit.payload);
        Ok(())
    }
}

/// The last head signed before the last segment was begun.
fn last_head_before(
    disk: &dyn Disk,
    chain: &Chain,
    key: &VerifierKey,
) -> Result<Option<Signed>, Error> {
    for link in chain.links.iter().rev() {
        if let Some(head) = heads::read(disk, link.number, key)?.heads.pop() {
            return Ok(Some(head));
        }
    }
    Ok(None)
}

/// The bytes of a segment's leaf file; none if there is no file.
pub(crate) fn read_leaves(disk: &dyn Disk, number: u64) -> Result<Vec<u8>, Failure> {
    let name = file_name(number, Part::Leaves);
    match disk.open(&name) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Failure::new("open", &name, error)),
        Ok(file) => read_all(&*file, 0).map_err(|error| Failure::new("read", &name, error)),
    }
}

/// Cuts what is torn, and brings to the disk what may only have been in memory
/// when the process before ended. Only then may more be written behind it: the
/// next group's marker will say that everything before it is durable.
fn mend(disk: &dyn Disk, last: &Link, ended: &Ended) -> Result<Current, Error> {
    let name = file_name(last.number, Part::Log);
    let fail = |operation| {
        let name = name.clone();
        move |error| Failure::new(operation, &name, error)
    };
    let mut file = disk.open(&name).map_err(fail("open"))?;
    if ended.torn > 0 {
        file.truncate(ended.durable).map_err(fail("truncate"))?;
    }
    file.sync().map_err(fail("sync"))?;
    let id = file.id().map_err(fail("read"))?;
    let sidecar = |part, durable| match Sidecar::open(disk, last.number, part, durable) {
        Err(failure) if failure.source.kind() == std::io::ErrorKind::NotFound => {
            Sidecar::create(disk, last.number, part)
        }
        opened => opened,
    };
    let mut leaves = sidecar(Part::Leaves, ended.leaf_bytes)?;
    leaves.push(&ended.leaves);
    let heads = sidecar(Part::Heads, ended.history.bytes)?;
    disk.sync_dir().map_err(fail("sync the folder of"))?;
    Ok(Current {
        number: last.number,
        first: last.header.first,
        file,
        id,
        durable: ended.durable,
        usable: true,
        leaves,
        heads,
    })
}

/// Takes debris away. What stays will be found to be debris again.
fn sweep(disk: &dyn Disk, chain: &Chain) {
    for name in &chain.debris {
        if let Err(error) = disk.remove(name) {
            tracing::warn!(file = %name, %error, "cannot remove what an interrupted write left");
        }
    }
}
