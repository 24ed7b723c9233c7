//! The log's two secrets: the seed that signs heads, and the key that hashes
//! inputs. Files of the operator's, readable by nobody else.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::Error;
use crate::merkle::to_hex;

/// File of the seed that signs heads, in the key folder.
pub const SIGNER_FILE: &str = "audit-signer.key";
/// File of the key that hashes inputs, in the key folder.
pub const INPUT_FILE: &str = "audit-input.key";

/// The log's secrets. Keep them outside the log's folder: whoever holds the
/// signing seed can rewrite history. Its `Debug` shows nothing.
pub struct Keys {
    signer: [u8; 32],
    input: hmac::Key,
}

impl Keys {
    /// Keys from two secrets of 32 bytes, wherever they are kept.
    #[must_use]
    pub fn from_secrets(signer: [u8; 32], input: &[u8; 32]) -> Self {
        Self {
            signer,
            input: hmac::Key::new(hmac::HMAC_SHA256, input),
        }
    }

    /// Reads the keys in `dir`, and makes those that are missing, durably and
    /// with mode 0600. Two processes that start at once end with the same keys.
    ///
    /// # Errors
    /// [`Error::Key`] if a file cannot be read or made, does not hold a key,
    /// or is open to others than its owner.
    pub fn load_or_create(dir: &Path) -> Result<Self, Error> {
        Ok(Self::from_secrets(
            secret(dir, SIGNER_FILE)?,
            &secret(dir, INPUT_FILE)?,
        ))
    }

    /// `hmac-sha256:` and the keyed hash of `bytes` in hex. Keyed, because a
    /// plain hash of a short text is found by guessing.
    #[must_use]
    pub fn input_hash(&self, bytes: &[u8]) -> String {
        let tag = hmac::sign(&self.input, bytes);
        format!("hmac-sha256:{}", to_hex(tag.as_ref()))
    }

    pub(crate) fn signer(&self) -> &[u8; 32] {
        &self.signer
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(..)")
    }
}

fn secret(dir: &Path, name: &str) -> Result<[u8; 32], Error> {
    let path = dir.join(name);
    let fail = |why: String| Error::Key {
        file: path.display().to_string(),
        why,
    };
    let loaded = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create(dir, name).map_err(|error| fail(format!("cannot be made: {error}")))?;
            fs::read(&path)
        }
        read => read,
    };
    let text = loaded.map_err(|error| fail(format!("cannot be read: {error}")))?;
    let mode = fs::metadata(&path).map(|meta| meta.permissions().mode());
    let mode = mode.map_err(|error| fail(format!("cannot be read: {error}")))?;
    if mode & 0o077 != 0 {
        return Err(fail(format!(
            "is open to others (mode {:o}); run `chmod 600 {}`",
            mode & 0o777,
            path.display()
        )));
    }
    let bytes = BASE64.decode(text.trim_ascii()).ok();
    bytes
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| fail("must hold 32 bytes in base64".to_owned()))
}

/// Writes a fresh secret beside its place, then links it there: the link fails
/// if another process was first, and then its key is the one.
fn create(dir: &Path, name: &str) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let mut random = [0; 40];
    SystemRandom::new()
        .fill(&mut random)
        .map_err(|_| io::Error::other("the system has no random bytes"))?;
    let (key, rest) = random.split_at(32);
    let temporary = dir.join(format!("{name}.{}", to_hex(rest)));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(&temporary)?;
    let written = file
        .write_all(format!("{}\n", BASE64.encode(key)).as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| match fs::hard_link(&temporary, dir.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        });
    fs::remove_file(&temporary)?;
    written?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_made_once_and_only_their_owner_reads_them() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("keys");
        let first = Keys::load_or_create(&folder).unwrap();
        let again = Keys::load_or_create(&folder).unwrap();
        assert_eq!(first.signer(), again.signer());
        assert_eq!(first.input_hash(b"x"), again.input_hash(b"x"));
        let mut names: Vec<_> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| {
                (
                    entry.file_name(),
                    entry.metadata().unwrap().permissions().mode() & 0o777,
                )
            })
            .collect();
        names.sort();
        assert_eq!(
            names,
            [(INPUT_FILE.into(), 0o600), (SIGNER_FILE.into(), 0o600)]
        );
    }

    #[test]
    fn a_key_file_that_cannot_be_trusted_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        Keys::load_or_create(dir.path()).unwrap();
        let path = dir.path().join(SIGNER_FILE);
        let check = |expected: &str| {
            let error = Keys::load_or_create(dir.path()).unwrap_err();
            assert_eq!(error.code(), "audit-key");
            assert!(error.to_string().contains(SIGNER_FILE), "{error}");
            assert!(error.to_string().contains(expected), "{error}");
        };
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        check("chmod 600");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "short").unwrap();
        check("32 bytes");
    }

    #[test]
    fn the_input_hash_is_the_published_one() {
        // Source: RFC 4231, test case 2 has a key of 4 bytes; HMAC pads keys
        // with zeros, so it is the same key in 32 bytes.
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        assert_eq!(
            Keys::from_secrets([0; 32], &key).input_hash(b"what do ya want for nothing?"),
            "hmac-sha256:5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
