//! Files in one layer: tar in gzip. What is read stays in memory, by digest; paths
//! in an archive lead nowhere. Pure.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Component;

use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use kgents_app::Digest;
use tar::{Archive, Builder, EntryType, Header};

use crate::OciError;
use crate::error::quoted;

/// Entries of one archive that are read.
const ENTRIES_MAX: usize = 20_000;
/// Longest path that is read, bytes; what Linux allows.
const PATH_BYTES_MAX: usize = 4096;

/// An archive of `files`. The same files give the same bytes.
pub(crate) fn write(files: &BTreeMap<Digest, Bytes>) -> io::Result<Vec<u8>> {
    let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for (digest, bytes) in files {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_size(bytes.len() as u64);
        // Files are found by what is in them; their paths are in the application.
        builder.append_data(&mut header, digest.hex(), bytes.as_ref())?;
    }
    builder.into_inner()?.finish()
}

/// The files in the archive `bytes`, which is called `what`, at most `bytes_max`
/// in all once unpacked.
pub(crate) fn read(
    what: &str,
    bytes: &[u8],
    bytes_max: u64,
) -> Result<BTreeMap<Digest, Bytes>, OciError> {
    let full = Cell::new(false);
    let broken = |error: io::Error| {
        if full.get() {
            return OciError::TooLarge {
                what: format!("{what}, unpacked"),
                bytes_max,
            };
        }
        let problem = quoted(&error.to_string(), 200);
        OciError::artefact(what, format!("no archive of tar in gzip: {problem}"))
    };
    let unpacked = Bounded {
        inner: GzDecoder::new(bytes),
        left: bytes_max,
        full: &full,
    };
    let mut archive = Archive::new(unpacked);
    let mut files = BTreeMap::new();
    for (number, entry) in archive.entries().map_err(broken)?.enumerate() {
        if number >= ENTRIES_MAX {
            let problem = format!("more than {ENTRIES_MAX} entries");
            return Err(OciError::artefact(what, problem));
        }
        let mut entry = entry.map_err(broken)?;
        if !check_entry(what, &entry)? {
            continue;
        }
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(broken)?;
        if content.len() as u64 != entry.size() {
            return Err(OciError::artefact(what, "it ends within a file"));
        }
        files.insert(Digest::of(&content), Bytes::from(content));
    }
    Ok(files)
}

/// Whether the entry is a file; an error if it is one of those that can do harm
/// where archives are unpacked, so that nobody passes it on.
fn check_entry<R: Read>(what: &str, entry: &tar::Entry<'_, R>) -> Result<bool, OciError> {
    let raw = entry.path_bytes();
    let path = String::from_utf8_lossy(&raw);
    let refuse = |problem: &str| {
        let problem = format!("`{}` {problem}", quoted(&path, 200));
        Err(OciError::artefact(what, problem))
    };
    if raw.len() > PATH_BYTES_MAX {
        return refuse("is too long a path");
    }
    let Ok(inside) = entry.path() else {
        return refuse("is no path");
    };
    let steps = |step| matches!(step, Component::Normal(_) | Component::CurDir);
    if !inside.components().all(steps) {
        return refuse("leads out of the archive");
    }
    match entry.header().entry_type() {
        EntryType::Regular | EntryType::Continuous => Ok(true),
        EntryType::Directory | EntryType::XGlobalHeader => Ok(false),
        EntryType::Symlink | EntryType::Link => refuse("is a link; files are packed as files"),
        _ => refuse("is no file"),
    }
}

/// Reads no further than it may.
struct Bounded<'a, R> {
    inner: R,
    /// Bytes that may still be read.
    left: u64,
    /// Set once more was there.
    full: &'a Cell<bool>,
}

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        match self.left.checked_sub(count as u64) {
            Some(left) => self.left = left,
            None => {
                self.full.set(true);
                return Err(io::Error::other("too large"));
            }
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    fn files(contents: &[&[u8]]) -> BTreeMap<Digest, Bytes> {
        let entry = |bytes: &&[u8]| (Digest::of(bytes), Bytes::copy_from_slice(bytes));
        contents.iter().map(entry).collect()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// An archive of one entry whose header says what no builder would write.
    fn hostile(path: &[u8], kind: EntryType, content: &[u8]) -> Vec<u8> {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..path.len()].copy_from_slice(path);
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_cksum();
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(512) + 1024, 0);
        gzip(&bytes)
    }

    #[test]
    fn files_come_out_as_they_went_in_and_the_bytes_do_not_change() {
        let files = files(&[b"", b"a", &[7; 100_000]]);
        let bytes = write(&files).unwrap();
        assert_eq!(bytes, write(&files).unwrap());
        assert_eq!(read("a", &bytes, 1 << 20).unwrap(), files);
    }

    #[test]
    fn an_archive_of_a_folder_is_read_as_spin_writes_it() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("deep")).unwrap();
        let long = "x".repeat(200);
        std::fs::write(folder.path().join("deep").join(long), b"long").unwrap();
        std::fs::write(folder.path().join("a.txt"), b"short").unwrap();
        let mut builder = Builder::new(Vec::new());
        builder.append_dir_all(".", folder.path()).unwrap();
        let bytes = gzip(&builder.into_inner().unwrap());
        assert_eq!(
            read("a", &bytes, 1 << 20).unwrap(),
            files(&[b"long", b"short"])
        );
    }

    #[test]
    fn what_could_do_harm_elsewhere_is_refused() {
        for (path, kind, why) in [
            (&b"../a"[..], EntryType::Regular, "leads out of the archive"),
            (b"a/../../b", EntryType::Regular, "leads out of the archive"),
            (
                b"/etc/passwd",
                EntryType::Regular,
                "leads out of the archive",
            ),
            (b"a", EntryType::Symlink, "is a link"),
            (b"a", EntryType::Link, "is a link"),
            (b"a", EntryType::Char, "is no file"),
            (b"a", EntryType::Fifo, "is no file"),
        ] {
            let error = read("layer 3", &hostile(path, kind, b""), 1 << 20).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(why) && text.starts_with("layer 3"), "{text}");
            assert_eq!(error.code(), "invalid-artefact");
        }
    }

    #[test]
    fn an_archive_that_grows_without_end_is_cut_short() {
        let bytes = hostile(b"zeros", EntryType::Regular, &vec![0; 8 << 20]);
        assert!(bytes.len() < 64 << 10);
        let error = read("layer 3", &bytes, 1 << 20).unwrap_err();
        assert_eq!(error.code(), "too-large");
        assert!(error.to_string().contains("layer 3"), "{error}");
    }

    #[test]
    fn what_is_no_archive_is_told() {
        let sound = write(&files(&[&[1; 5000]])).unwrap();
        for bytes in [
            &b""[..],
            b"no gzip",
            &gzip(b"no tar"),
            &sound[..sound.len() / 2],
        ] {
            let error = read("layer 3", bytes, 1 << 20).unwrap_err();
            assert_eq!(error.code(), "invalid-artefact", "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_archive_does_harm(bytes in proptest::collection::vec(any::<u8>(), 0..1500)) {
            let _ = read("a", &bytes, 1 << 16);
            let _ = read("a", &gzip(&bytes), 1 << 16);
        }
    }
}
