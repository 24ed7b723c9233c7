//! A disk in memory that loses, at a crash, whatever was not synced: any of
//! the writes, in any order, torn in the middle, and names of files too. It
//! runs out of space and fails when told to. Everything follows from a seed.
//!
//! For tests, of this room and of those that build on it.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

mod loss;

use loss::{Change, Content, NameChange, Random, write_at};

use crate::disk::{FileId, Standing};
use crate::{Disk, DiskFile};

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct SimDisk {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    world: Mutex<World>,
    /// Wakes operations that are held, and those who wait for one to be.
    gate: Condvar,
}

#[derive(Debug)]
struct World {
    files: Vec<Content>,
    /// Names as the process sees them.
    names: BTreeMap<String, usize>,
    /// Names as they are after a crash.
    durable_names: BTreeMap<String, usize>,
    pending_names: Vec<NameChange>,
    operations: u64,
    crash_at: Option<u64>,
    crashed: bool,
    space: Option<u64>,
    failing_syncs: u32,
    failing_cuts: u32,
    held: bool,
    waiting: u32,
    random: Random,
}

impl SimDisk {
    /// An empty disk whose accidents follow from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with(World {
            files: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            pending_names: Vec::new(),
            operations: 0,
            crash_at: None,
            crashed: false,
            space: None,
            failing_syncs: 0,
            failing_cuts: 0,
            held: false,
            waiting: 0,
            random: Random(seed),
        })
    }

    fn with(world: World) -> Self {
        Self {
            shared: Arc::new(Shared {
                world: Mutex::new(world),
                gate: Condvar::new(),
            }),
        }
    }

    /// Lets the machine crash in the middle of the operation that changes
    /// something after `operations` more: it and all after it fail.
    pub fn crash_after(&self, operations: u64) {
        let mut world = self.shared.lock();
        world.crash_at = Some(world.operations.saturating_add(operations));
    }

    /// Whether the machine has crashed.
    #[must_use]
    pub fn has_crashed(&self) -> bool {
        self.shared.lock().crashed
    }

    /// Operations so far that changed something.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.shared.lock().operations
    }

    /// Bytes that may still be written; `None`: as many as you like.
    pub fn set_space(&self, bytes: Option<u64>) {
        self.shared.lock().space = bytes;
    }

    /// Lets the next `count` syncs fail, and lose some of what they should
    /// have brought to the disk although it can still be read.
    pub fn fail_syncs(&self, count: u32) {
        self.shared.lock().failing_syncs = count;
    }

    /// Lets the next `count` truncations fail.
    pub fn fail_cuts(&self, count: u32) {
        self.shared.lock().failing_cuts = count;
    }

    /// Makes operations that change something wait.
    pub fn hold(&self) {
        self.shared.lock().held = true;
    }

    /// Returns when an operation waits.
    pub fn wait_held(&self) {
        let mut world = self.shared.lock();
        while world.waiting == 0 {
            world = self.shared.wait(world);
        }
    }

    /// Lets those that wait go on.
    pub fn release(&self) {
        self.shared.lock().held = false;
        self.shared.gate.notify_all();
    }

    /// The disk as it is found after a crash now: of everything that was not
    /// synced, whatever part `seed` says.
    #[must_use]
    pub fn after_crash(&self, seed: u64) -> Self {
        let world = self.shared.lock();
        let mut random = Random(seed);
        // Sometimes nothing gets through, sometimes all, mostly some.
        let quarters = random.next() % 5;
        let mut names = world.durable_names.clone();
        for change in &world.pending_names {
            if random.chance(quarters) {
                change.apply(&mut names);
            }
        }
        let survive = |content: &Content| {
            let mut content = content.clone();
            content.lose(&mut random, quarters);
            content.now.clone_from(&content.durable);
            content
        };
        Self::with(World {
            files: world.files.iter().map(survive).collect(),
            durable_names: names.clone(),
            names,
            pending_names: Vec::new(),
            operations: 0,
            crash_at: None,
            crashed: false,
            space: None,
            failing_syncs: 0,
            failing_cuts: 0,
            held: false,
            waiting: 0,
            random: Random(seed),
        })
    }

    /// Changes a file behind everybody's back, durably. False: no such file.
    pub fn tamper(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> bool {
        let mut world = self.shared.lock();
        let Some(content) = world.content_of(name) else {
            return false;
        };
        change(&mut content.now);
        content.durable.clone_from(&content.now);
        content.pending.clear();
        true
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, world: MutexGuard<'a, World>) -> MutexGuard<'a, World> {
        self.gate
            .wait(world)
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an operation that changes something. If the machine crashes in
    /// it, it happens in part, which nobody learns: `change` runs, and fails.
    fn operate<T>(&self, change: impl FnOnce(&mut World) -> io::Result<T>) -> io::Result<T> {
        let mut world = self.lock();
        while world.held && !world.crashed {
            world.waiting = world.waiting.saturating_add(1);
            self.gate.notify_all();
            world = self.wait(world);
            world.waiting = world.waiting.saturating_sub(1);
        }
        let crash = || Err(io::Error::other("the machine has crashed"));
        if world.crashed {
            return crash();
        }
        let now = world.operations;
        world.operations = now.saturating_add(1);
        if world.crash_at == Some(now) {
            world.crashed = true;
            let _ = change(&mut world);
            return crash();
        }
        change(&mut world)
    }
}

impl World {
    fn content_of(&mut self, name: &str) -> Option<&mut Content> {
        let id = *self.names.get(name)?;
        self.files.get_mut(id)
    }

    fn content(&mut self, id: usize) -> io::Result<&mut Content> {
        let content = self.files.get_mut(id);
        content.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn change_names(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.pending_names.push(change);
    }
}

/// An open file of a [`SimDisk`].
struct SimFile {
    shared: Arc<Shared>,
    id: usize,
}

impl Disk for SimDisk {
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let id = self.shared.operate(|world| {
            if world.names.contains_key(name) {
                return Err(io::Error::from(io::ErrorKind::AlreadyExists));
            }
            let id = world.files.len();
            world.files.push(Content::default());
            world.change_names(NameChange::Set(name.to_owned(), id));
            Ok(id)
        })?;
        let shared = Arc::clone(&self.shared);
        Ok(Box::new(SimFile { shared, id }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let id = self.shared.lock().names.get(name).copied();
        let id = id.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        let shared = Arc::clone(&self.shared);
        Ok(Box::new(SimFile { shared, id }))
    }

    fn find(&self, name: &str) -> io::Result<Standing> {
        let file = self.open(name)?;
        Ok(Standing {
            file: file.id()?,
            length: file.length()?,
        })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let change = NameChange::Rename(from.to_owned(), to.to_owned());
        self.shared.operate(|world| {
            world.change_names(change);
            Ok(())
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let change = NameChange::Remove(name.to_owned());
        self.shared.operate(|world| {
            world.change_names(change);
            Ok(())
        })
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.shared.lock().names.keys().cloned().collect())
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.shared.operate(|world| {
            if !world.crashed {
                world.durable_names.clone_from(&world.names);
                world.pending_names.clear();
            }
            Ok(())
        })
    }

    fn place(&self) -> String {
        "a simulated disk".to_owned()
    }
}

impl DiskFile for SimFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.shared.operate(|world| {
            let space = world.space.unwrap_or(u64::MAX);
            let fits = usize::try_from(space)
                .unwrap_or(usize::MAX)
                .min(bytes.len());
            world.space = world.space.map(|space| space.saturating_sub(fits as u64));
            let content = world.content(self.id)?;
            let written = bytes.get(..fits).unwrap_or_default();
            content.pending.push(Change::Write {
                offset: content.now.len(),
                bytes: written.to_vec(),
            });
            content.now.extend_from_slice(written);
            match fits == bytes.len() {
                true => Ok(()),
                false => Err(io::Error::from(io::ErrorKind::StorageFull)),
            }
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        self.shared.operate(|world| {
            if world.crashed {
                return Ok(());
            }
            if world.failing_syncs > 0 {
                world.failing_syncs = world.failing_syncs.saturating_sub(1);
                let mut random = world.random.clone();
                let quarters = random.next() % 4;
                world.content(self.id)?.lose(&mut random, quarters);
                world.random = random;
                return Err(io::Error::other("the disk did not take it"));
            }
            let content = world.content(self.id)?;
            for change in std::mem::take(&mut content.pending) {
                match change {
                    Change::Write { offset, bytes } => {
                        write_at(&mut content.durable, offset, &bytes);
                    }
                    Change::Length(length) => content.durable.resize(length, 0),
                }
            }
            Ok(())
        })
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        self.shared.operate(|world| {
            if world.failing_cuts > 0 {
                world.failing_cuts = world.failing_cuts.saturating_sub(1);
                return Err(io::Error::other("the disk did not cut it"));
            }
            let content = world.content(self.id)?;
            let freed = content.now.len().saturating_sub(length);
            content.now.resize(length, 0);
            content.pending.push(Change::Length(length));
            world.space = world.space.map(|space| space.saturating_add(freed as u64));
            Ok(())
        })
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut world = self.shared.lock();
        let content = world.content(self.id)?;
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let there = content.now.get(offset..).unwrap_or_default();
        let length = there.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..length), there.get(..length)) {
            to.copy_from_slice(from);
        }
        Ok(length)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.shared.lock().content(self.id)?.now.len() as u64)
    }

    fn id(&self) -> io::Result<FileId> {
        Ok(FileId {
            device: 0,
            inode: self.id as u64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::read_all;

    fn content(disk: &SimDisk, name: &str) -> Option<Vec<u8>> {
        let file = disk.open(name).ok()?;
        Some(read_all(&*file, 0).unwrap())
    }

    #[test]
    fn what_was_synced_is_there_after_every_crash_and_the_rest_need_not_be() {
        let (mut lost, mut kept, mut torn, mut nameless) = (0, 0, 0, 0);
        for seed in 0..400 {
            let disk = SimDisk::new(seed);
            let mut file = disk.create("a").unwrap();
            file.append(b"safe").unwrap();
            file.sync().unwrap();
            disk.sync_dir().unwrap();
            disk.create("b").unwrap();
            file.append(&[b'x'; 2000]).unwrap();
            let after = disk.after_crash(seed);
            let found = content(&after, "a").unwrap();
            assert_eq!(&found[..4], b"safe");
            match found.iter().filter(|byte| **byte == b'x').count() {
                0 => lost += 1,
                2000 => kept += 1,
                _ => torn += 1,
            }
            nameless += u32::from(content(&after, "b").is_none());
        }
        assert!(lost > 40 && kept > 10 && torn > 100 && nameless > 100);
    }

    #[test]
    fn a_failed_sync_shows_what_a_crash_then_takes() {
        let taken = (0..50).filter(|seed| {
            let disk = SimDisk::new(*seed);
            let mut file = disk.create("a").unwrap();
            disk.sync_dir().unwrap();
            disk.fail_syncs(1);
            file.append(b"gone").unwrap();
            assert!(file.sync().is_err());
            file.sync().unwrap();
            assert_eq!(content(&disk, "a").unwrap(), b"gone");
            content(&disk.after_crash(*seed), "a").unwrap() != b"gone"
        });
        assert!(taken.count() > 10);
    }

    #[test]
    fn a_full_disk_takes_what_fits_and_cutting_makes_room() {
        let disk = SimDisk::new(1);
        let mut file = disk.create("a").unwrap();
        disk.set_space(Some(3));
        let error = file.append(b"hello").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(content(&disk, "a").unwrap(), b"hel");
        file.truncate(1).unwrap();
        file.append(b"oh").unwrap();
        assert_eq!(content(&disk, "a").unwrap(), b"hoh");
    }
}
