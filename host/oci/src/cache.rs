//! Blobs that were pulled before, by digest, in a folder. What is read is proven
//! again: the folder may have been written by anybody, or by a dying disk.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use kgents_app::Digest;

use crate::OciError;

/// A folder of blobs: `sha256/<64 hexadecimal digits>`.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// The cache in `folder`, which is made if it is not there, for this user alone.
    pub(crate) fn open(folder: &Path) -> Result<Self, OciError> {
        let folder = folder.join("sha256");
        let made = private().create(&folder);
        made.map_err(|source| OciError::Cache {
            path: folder.clone(),
            source,
        })?;
        Ok(Self { folder })
    }

    /// The blob with `digest`, which has `size` bytes; `None` if it is not there,
    /// or damaged, in which case it is removed.
    pub(crate) fn get(&self, digest: Digest, size: u64) -> Option<Bytes> {
        let path = self.folder.join(digest.hex());
        let mut bytes = Vec::new();
        let read = File::open(&path).and_then(|file| {
            // No more than it should be: a file that has grown is not read whole.
            file.take(size.saturating_add(1)).read_to_end(&mut bytes)
        });
        match read {
            Ok(_) if bytes.len() as u64 == size && Digest::of(&bytes) == digest => {
                Some(Bytes::from(bytes))
            }
            Ok(_) => {
                tracing::warn!(path = %path.display(), "a cached blob is damaged; it is fetched again");
                if let Err(error) = fs::remove_file(&path) {
                    tracing::warn!(path = %path.display(), %error, "it cannot be removed");
                }
                None
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a cached blob cannot be read");
                None
            }
        }
    }

    /// Keep `bytes`, which have been proven to have `digest`. A failure costs the
    /// next pull some time, so it is only logged.
    pub(crate) fn put(&self, digest: Digest, bytes: &[u8]) {
        let path = self.folder.join(digest.hex());
        if let Err(error) = self.write(&path, bytes) {
            tracing::warn!(path = %path.display(), %error, "a blob is not kept in the cache");
        }
    }

    /// Whole or not at all, also when two processes pull the same.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = tempfile::Builder::new()
            .prefix(".blob-")
            .tempfile_in(&self.folder)?;
        file.write_all(bytes)?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    }
}

fn private() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_is_there_and_what_was_not_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(&folder.path().join("blobs")).unwrap();
        let digest = Digest::of(b"abc");
        assert_eq!(cache.get(digest, 3), None);
        cache.put(digest, b"abc");
        cache.put(digest, b"abc");
        assert_eq!(cache.get(digest, 3).as_deref(), Some(&b"abc"[..]));
        // Nothing but the blob is left behind.
        let left = fs::read_dir(folder.path().join("blobs/sha256")).unwrap();
        assert_eq!(left.count(), 1);
    }

    #[test]
    fn a_damaged_blob_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        let digest = Digest::of(b"abc");
        let path = folder.path().join("sha256").join(digest.hex());
        for damaged in [&b"abd"[..], b"ab", b"abcd", b""] {
            fs::write(&path, damaged).unwrap();
            assert_eq!(cache.get(digest, 3), None);
            assert!(!path.exists());
        }
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Cache::open(file.path()).unwrap_err();
        assert_eq!(error.code(), "cache");
    }

    #[test]
    #[cfg(unix)]
    fn the_folder_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        Cache::open(&folder.path().join("blobs")).unwrap();
        let mode = fs::metadata(folder.path().join("blobs/sha256")).unwrap();
        assert_eq!(mode.permissions().mode() & 0o777, 0o700);
    }
}
