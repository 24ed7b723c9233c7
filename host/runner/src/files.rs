//! A component's static files, laid out in a private folder that it may read.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use kgents_app::GuestFile;
use tempfile::TempDir;

/// Write the files below a new folder, which goes when the value does.
///
/// # Errors
/// What the system says; a path that leads out of the folder.
pub(crate) fn lay_out(files: &[GuestFile]) -> io::Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("kgents-files-").tempdir()?;
    for file in files {
        let path = folder.path().join(inside(&file.path)?);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        // The application was checked for two files of one path; here a second
        // one would mean that something is wrong.
        let mut created = fs::File::create_new(&path)?;
        io::Write::write_all(&mut created, &file.bytes)?;
    }
    Ok(folder)
}

/// A guest's path as one below the folder.
fn inside(guest: &str) -> io::Result<PathBuf> {
    let mut path = PathBuf::new();
    for part in Path::new(guest).components() {
        match part {
            Component::RootDir | Component::CurDir => {}
            Component::Normal(part) => path.push(part),
            Component::ParentDir | Component::Prefix(_) => {
                let text = format!("`{guest}` leads out of the folder of static files");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
            }
        }
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn file(path: &str, bytes: &'static str) -> GuestFile {
        GuestFile {
            path: path.to_owned(),
            bytes: Bytes::from_static(bytes.as_bytes()),
        }
    }

    #[test]
    fn files_are_where_the_guest_looks_for_them_and_go_with_the_runner() {
        let folder = lay_out(&[file("/a.txt", "a"), file("/d/e/b.txt", "b")]).unwrap();
        let read = |path: &str| fs::read_to_string(folder.path().join(path)).unwrap();
        assert_eq!((read("a.txt"), read("d/e/b.txt")), ("a".into(), "b".into()));
        let path = folder.path().to_owned();
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn a_path_that_leads_out_is_refused() {
        for path in ["/../a", "..", "/a/../../b"] {
            assert!(lay_out(&[file(path, "a")]).is_err(), "{path}");
        }
    }
}
