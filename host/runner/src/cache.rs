//! Compiled components kept between starts. Machine code is run as it is, so a
//! file is used only when its checksum ties these very bytes to this component
//! and this engine; any other file is deleted and the component compiled anew.
//!
//! The checksum finds damage and mix-ups. Against somebody who can write the
//! folder nothing in the folder could help, so the folder is private (0700).

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};
use wasmtime::component::Component;

use crate::error::RunError;

/// First bytes of each file: what it is, and the version of its form.
const MAGIC: &[u8; 16] = b"kgents cwasm v1\n";

/// Length of a SHA-256, in bytes.
const SUM_BYTES: usize = 32;

/// Files that were not used for this long are deleted when the folder is opened:
/// each new version of a component or of the engine leaves one behind.
const UNUSED_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// A folder of compiled components.
pub(crate) struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// Make the folder if need be, close it to others, and drop what is old.
    ///
    /// # Errors
    /// [`RunError::Cache`] when it cannot be made or closed.
    pub(crate) fn open(folder: &Path) -> Result<Self, RunError> {
        let cannot = |source| RunError::Cache {
            folder: folder.to_owned(),
            source,
        };
        fs::create_dir_all(folder).map_err(cannot)?;
        close(folder).map_err(cannot)?;
        let cache = Self {
            folder: folder.to_owned(),
        };
        cache.prune(SystemTime::now());
        Ok(cache)
    }

    /// The component's machine code, if it is there and intact.
    pub(crate) fn load(
        &self,
        engine: &wasmtime::Engine,
        compatibility: &str,
        wasm: &[u8],
    ) -> Option<Component> {
        let path = self.path(compatibility, wasm);
        let file = match fs::read(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a compiled component cannot be read");
                return None;
            }
        };
        let Some(code) = intact(&file, compatibility, wasm) else {
            tracing::warn!(
                path = %path.display(),
                "a compiled component is not what was written: deleted, compiling anew",
            );
            remove(&path);
            return None;
        };
        // SAFETY: `deserialize` runs the bytes as they are, so they must come from
        // `serialize` of a component of a compatible engine, unchanged. The bytes
        // in hand (not the file, which could change) were just found to carry the
        // checksum that `store` wrote over them, this component and this engine's
        // compatibility hash; the folder is writable by this user alone.
        #[expect(unsafe_code, reason = "the only way to load compiled code")]
        let component = unsafe { Component::deserialize(engine, code) };
        match component {
            Ok(component) => {
                touch(&path);
                Some(component)
            }
            Err(error) => {
                tracing::warn!(
                    path = %path.display(),
                    error = format!("{error:#}"),
                    "a compiled component was refused: deleted, compiling anew",
                );
                remove(&path);
                None
            }
        }
    }

    /// Keep the component's machine code. Failing costs the next start some time
    /// and nothing else, so it is logged only.
    pub(crate) fn store(&self, component: &Component, compatibility: &str, wasm: &[u8]) {
        let path = self.path(compatibility, wasm);
        let written = component
            .serialize()
            .map_err(io::Error::other)
            .and_then(|code| self.write(&path, compatibility, wasm, &code));
        if let Err(error) = written {
            tracing::warn!(path = %path.display(), %error, "a compiled component cannot be kept");
        }
    }

    fn write(&self, path: &Path, compatibility: &str, wasm: &[u8], code: &[u8]) -> io::Result<()> {
        // Written whole under another name, so that no other process reads half.
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(MAGIC)?;
        file.write_all(&sum(compatibility, wasm, code))?;
        file.write_all(code)?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    }

    fn path(&self, compatibility: &str, wasm: &[u8]) -> PathBuf {
        let mut hash = Sha256::new();
        hash.update(compatibility);
        hash.update(Sha256::digest(wasm));
        self.folder.join(format!("{:x}.cwasm", hash.finalize()))
    }

    fn prune(&self, now: SystemTime) {
        let Ok(entries) = fs::read_dir(&self.folder) else {
            return;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            let ours = path.extension().is_some_and(|ext| ext == "cwasm");
            let used = entry.metadata().and_then(|about| about.modified());
            let unused = used.is_ok_and(|used| {
                now.duration_since(used)
                    .is_ok_and(|unused| unused > UNUSED_MAX)
            });
            if ours && unused {
                remove(&path);
            }
        }
    }
}

/// The machine code in a file that is intact and meant for this component and
/// this engine.
fn intact<'a>(file: &'a [u8], compatibility: &str, wasm: &[u8]) -> Option<&'a [u8]> {
    let rest = file.strip_prefix(MAGIC)?;
    let (written, code) = rest.split_at_checked(SUM_BYTES)?;
    (written == sum(compatibility, wasm, code)).then_some(code)
}

fn sum(compatibility: &str, wasm: &[u8], code: &[u8]) -> [u8; SUM_BYTES] {
    let mut hash = Sha256::new();
    hash.update(MAGIC);
    // Of fixed length each, so that no two triples look alike.
    hash.update(Sha256::digest(compatibility));
    hash.update(Sha256::digest(wasm));
    hash.update(code);
    hash.finalize().into()
}

#[cfg(unix)]
fn close(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn close(_folder: &Path) -> io::Result<()> {
    Ok(())
}

/// Note that a file was used.
fn touch(path: &Path) {
    // Failing only means that it is deleted as unused one day, and made again.
    let _ = File::options()
        .append(true)
        .open(path)
        .and_then(|file| file.set_modified(SystemTime::now()));
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        tracing::warn!(path = %path.display(), %error, "a file of the cache cannot be deleted");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    fn engine() -> wasmtime::Engine {
        wasmtime::Engine::default()
    }

    fn kept(cache: &Cache) -> Vec<PathBuf> {
        let entries = fs::read_dir(&cache.folder).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    fn filled() -> (tempfile::TempDir, Cache, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(&folder.path().join("cache")).unwrap();
        let component = Component::from_binary(&engine(), EMPTY).unwrap();
        cache.store(&component, "this", EMPTY);
        let [path] = kept(&cache).try_into().unwrap();
        (folder, cache, path)
    }

    #[test]
    fn what_was_kept_is_loaded() {
        let (_folder, cache, _) = filled();
        assert!(cache.load(&engine(), "this", EMPTY).is_some());
        assert!(cache.load(&engine(), "other", EMPTY).is_none());
        assert!(cache.load(&engine(), "this", b"other").is_none());
        assert_eq!(kept(&cache).len(), 1);
    }

    #[test]
    fn a_file_with_any_bit_changed_is_deleted_and_not_run() {
        let (_folder, cache, path) = filled();
        let whole = fs::read(&path).unwrap();
        let places = [0, MAGIC.len(), MAGIC.len() + SUM_BYTES, whole.len() - 1];
        for place in places {
            let mut changed = whole.clone();
            changed[place] ^= 1;
            fs::write(&path, changed).unwrap();
            assert!(cache.load(&engine(), "this", EMPTY).is_none(), "{place}");
            assert!(!path.exists(), "{place}");
        }
        for end in [0, 1, MAGIC.len() + 3, whole.len() - 1] {
            fs::write(&path, &whole[..end]).unwrap();
            assert!(cache.load(&engine(), "this", EMPTY).is_none(), "{end}");
            assert!(!path.exists(), "{end}");
        }
    }

    #[test]
    fn what_nobody_used_for_long_is_dropped() {
        let (_folder, cache, path) = filled();
        fs::write(cache.folder.join("notes.txt"), "not ours").unwrap();
        cache.prune(SystemTime::now());
        assert!(path.exists());
        cache.prune(SystemTime::now() + UNUSED_MAX + Duration::from_secs(60));
        assert_eq!(kept(&cache), [cache.folder.join("notes.txt")]);
    }

    #[cfg(unix)]
    #[test]
    fn the_folder_is_closed_to_others() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_folder, cache, _) = filled();
        let mode = fs::metadata(&cache.folder).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}
