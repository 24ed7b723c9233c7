//! The key that an endpoint wants to see. It lies in a file of its owner's alone,
//! is read for each request, since keys are renewed in place, and is never told.

use crate::registry::encode::EncodeError;
use http::HeaderValue;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Largest file that is read: more than any key has.
const FILE_BYTES_MAX: u64 = 16 * 1024;

/// The `Authorization` header with the key in this file.
///
/// # Errors
/// [`EncodeError::Key`] with what to do about it: the file is missing, no regular
/// file, open to others, too large, empty or no text for a header.
pub(super) fn bearer(path: &Path) -> Result<HeaderValue, EncodeError> {
    let shown = path.display();
    let wrong = |what: String| EncodeError::Key(format!("`{shown}` {what}"));
    let unreadable = |error: std::io::Error| wrong(format!("cannot be read: {error}"));
    // Asked first: a pipe would be waited for without end.
    if !path.metadata().map_err(unreadable)?.is_file() {
        return Err(wrong("is not a regular file".to_owned()));
    }
    let file = File::open(path).map_err(unreadable)?;
    let mode = mode(&file.metadata().map_err(unreadable)?);
    if mode & 0o077 != 0 {
        let what = format!("is open to others (mode {mode:03o}); run `chmod 600 {shown}`");
        return Err(wrong(what));
    }
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(wrong(format!("is above {FILE_BYTES_MAX} bytes")));
    }
    let key = text.trim();
    if key.is_empty() {
        return Err(wrong("is empty".to_owned()));
    }
    let mut header = HeaderValue::try_from(format!("Bearer {key}"))
        .map_err(|_| wrong("holds characters that no header may".to_owned()))?;
    header.set_sensitive(true);
    Ok(header)
}

#[cfg(unix)]
fn mode(facts: &std::fs::Metadata) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&facts.permissions()) & 0o777
}

/// Where modes do not exist, access lists are the administrator's business.
#[cfg(not(unix))]
fn mode(_facts: &std::fs::Metadata) -> u32 {
    0o600
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const SECRET: &str = "sk-do-not-tell";

    /// What is told of a key file with this text and mode.
    fn told(text: &[u8], mode: u32) -> Result<HeaderValue, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        bearer(&path).map_err(|error| error.to_string())
    }

    #[test]
    fn a_key_is_a_sensitive_header() {
        let header = told(format!(" {SECRET}\n").as_bytes(), 0o600).unwrap();
        assert_eq!(header, format!("Bearer {SECRET}"));
        assert!(header.is_sensitive() && !format!("{header:?}").contains(SECRET));
    }

    #[test]
    fn a_key_that_cannot_be_used_is_told_of_without_telling_it() {
        let cases: [(&[u8], u32, &str); 6] = [
            (b"sk-do-not-tell", 0o640, "chmod 600"),
            (b"sk-do-not-tell", 0o604, "chmod 600"),
            (b" \n", 0o600, "is empty"),
            (b"sk-do-not-tell\nmore", 0o600, "characters"),
            (b"sk-do-not-tell\xff", 0o600, "cannot be read"),
            (&[b'k'; 16 * 1024 + 1], 0o600, "above"),
        ];
        for (text, mode, word) in cases {
            let told = told(text, mode).unwrap_err();
            assert!(told.contains(word) && !told.contains(SECRET), "{told}");
        }
    }

    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        assert!(bearer(&dir.path().join("gone")).is_err());
        let told = bearer(dir.path()).unwrap_err().to_string();
        assert!(told.contains("regular file"), "{told}");
        let pipe = dir.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        assert!(
            bearer(&pipe)
                .unwrap_err()
                .to_string()
                .contains("regular file")
        );
    }
}
