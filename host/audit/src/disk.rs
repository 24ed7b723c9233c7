//! What the log stands on: a folder of files that grow at their end.
//!
//! The log promises durability only by what this trait promises, so that the
//! same code is tested on a disk that loses whatever was not synced.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::Error;

/// Held by the process that writes the log.
const LOCK: &str = "lock";

/// Which file it is, whatever its name: no two have the same at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    /// What holds it.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
}

/// What a name stands for at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The file that has the name.
    pub file: FileId,
    /// Bytes in it.
    pub length: u64,
}

/// A folder of files with plain names.
///
/// What is created, renamed or removed is sure to be so after a crash only
/// when [`Disk::sync_dir`] has returned since.
pub trait Disk: Send + Sync + 'static {
    /// Makes a new, empty file.
    ///
    /// # Errors
    /// `AlreadyExists`, or what the system says.
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;
    /// Opens a file that is there.
    ///
    /// # Errors
    /// `NotFound`, or what the system says.
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;
    /// Says what a name stands for. Asks for the name anew each time: a file
    /// may be taken away under whoever has it open.
    ///
    /// # Errors
    /// `NotFound`, or what the system says.
    fn find(&self, name: &str) -> io::Result<Standing>;
    /// Gives a file another name, replacing what had it, in one step.
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Takes a file away.
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// The names of all files, in no order.
    ///
    /// # Errors
    /// What the system says.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Returns once the names are on the disk.
    ///
    /// # Errors
    /// What the system says.
    fn sync_dir(&self) -> io::Result<()>;
    /// Where this is, for messages.
    fn place(&self) -> String;
}

/// One open file. Its content is sure to survive a crash only up to the last
/// [`DiskFile::sync`] that returned.
pub trait DiskFile: Send {
    /// Writes at the end: all, or part of it and an error.
    ///
    /// # Errors
    /// What the system says, `StorageFull` among it.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Returns once content and length are on the disk (`fdatasync`).
    ///
    /// # Errors
    /// What the system says. After an error nothing is known of what was
    /// written since the last success.
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts or extends to `length` bytes.
    ///
    /// # Errors
    /// What the system says.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
    /// Reads at `offset` into `buffer`; how many bytes there were, 0 at the end.
    ///
    /// # Errors
    /// What the system says.
    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
    /// Bytes in the file.
    ///
    /// # Errors
    /// What the system says.
    fn length(&self) -> io::Result<u64>;
    /// Which file it is.
    ///
    /// # Errors
    /// What the system says.
    fn id(&self) -> io::Result<FileId>;
}

/// A folder of the operating system's.
#[derive(Debug)]
pub struct FsDisk {
    dir: PathBuf,
    /// `None` if it may only be read. The system lets go of the lock when the
    /// process ends, however it ends.
    lock: Option<File>,
}

impl FsDisk {
    /// The folder `dir`, made if need be (mode 0700), for this process alone
    /// to write.
    ///
    /// # Errors
    /// [`Error::Locked`] if another has it, else [`Error::DiskFailed`].
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let fail = |operation| {
            move |source| {
                Error::from(crate::Failure::new(
                    operation,
                    &dir.display().to_string(),
                    source,
                ))
            }
        };
        let fresh = !dir.exists();
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(fail("create"))?;
        if let (true, Some(parent)) = (fresh, dir.canonicalize().map_err(fail("open"))?.parent()) {
            // A new folder's own name must outlive a crash too.
            File::open(parent)
                .and_then(|parent| parent.sync_all())
                .map_err(fail("sync"))?;
        }
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let lock = options.open(dir.join(LOCK)).map_err(fail("open"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                dir: dir.to_owned(),
                lock: Some(lock),
            }),
            Err(fs::TryLockError::WouldBlock) => Err(Error::Locked {
                dir: dir.display().to_string(),
            }),
            Err(fs::TryLockError::Error(source)) => Err(fail("lock")(source)),
        }
    }

    /// The folder `dir`, to be read while another process may write it.
    #[must_use]
    pub fn read_only(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            lock: None,
        }
    }

    fn writable(&self) -> io::Result<()> {
        match self.lock {
            Some(_) => Ok(()),
            None => Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "this log was opened for reading",
            )),
        }
    }
}

impl Disk for FsDisk {
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.writable()?;
        let mut options = OpenOptions::new();
        options.read(true).append(true).create_new(true).mode(0o600);
        Ok(Box::new(options.open(self.dir.join(name))?))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).append(self.lock.is_some());
        Ok(Box::new(options.open(self.dir.join(name))?))
    }

    fn find(&self, name: &str) -> io::Result<Standing> {
        let found = fs::metadata(self.dir.join(name))?;
        Ok(Standing {
            file: id_of(&found),
            length: found.len(),
        })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.writable()?;
        fs::rename(self.dir.join(from), self.dir.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.writable()?;
        fs::remove_file(self.dir.join(name))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            // A name that is not UTF-8 is none of ours.
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn sync_dir(&self) -> io::Result<()> {
        File::open(&self.dir)?.sync_all()
    }

    fn place(&self) -> String {
        self.dir.display().to_string()
    }
}

impl DiskFile for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.read_at(buffer, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn id(&self) -> io::Result<FileId> {
        Ok(id_of(&self.metadata()?))
    }
}

fn id_of(metadata: &fs::Metadata) -> FileId {
    FileId {
        device: metadata.dev(),
        inode: metadata.ino(),
    }
}

/// All bytes of a file from `offset` on.
pub(crate) fn read_all(file: &dyn DiskFile, mut offset: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let read = file.read(offset, &mut chunk)?;
        if read == 0 {
            return Ok(bytes);
        }
        bytes.extend_from_slice(chunk.get(..read).unwrap_or_default());
        offset = offset.saturating_add(read as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_writer_is_refused_and_readers_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let first = FsDisk::open(dir.path()).unwrap();
        assert_eq!(FsDisk::open(dir.path()).unwrap_err().code(), "audit-locked");
        let reader = FsDisk::read_only(dir.path());
        assert_eq!(reader.list().unwrap(), [LOCK]);
        let refused = reader.create("x").map(|_| ()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        drop(first);
        FsDisk::open(dir.path()).unwrap();
    }

    #[test]
    fn what_was_appended_after_a_cut_stands_at_the_cut() {
        let dir = tempfile::tempdir().unwrap();
        let disk = FsDisk::open(dir.path()).unwrap();
        let mut file = disk.create("a").unwrap();
        file.append(b"hello").unwrap();
        file.truncate(2).unwrap();
        file.append(b"y").unwrap();
        file.sync().unwrap();
        disk.rename("a", "b").unwrap();
        disk.sync_dir().unwrap();
        let file = disk.open("b").unwrap();
        assert_eq!(
            (file.length().unwrap(), read_all(&*file, 1).unwrap()),
            (3, b"ey".to_vec())
        );
        disk.remove("b").unwrap();
        assert!(disk.open("b").is_err());
    }

    #[test]
    fn a_name_tells_whether_it_is_still_the_file_that_is_open() {
        let dir = tempfile::tempdir().unwrap();
        let disk = FsDisk::open(dir.path()).unwrap();
        let mut file = disk.create("a").unwrap();
        file.append(b"hello").unwrap();
        let standing = disk.find("a").unwrap();
        assert_eq!((standing.file, standing.length), (file.id().unwrap(), 5));
        disk.rename("a", "b").unwrap();
        assert_eq!(disk.find("a").unwrap_err().kind(), io::ErrorKind::NotFound);
        disk.create("a").unwrap();
        assert_ne!(disk.find("a").unwrap().file, file.id().unwrap());
        assert_eq!(disk.find("b").unwrap().file, file.id().unwrap());
    }
}
