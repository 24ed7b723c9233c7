//! The folder that a demo lives in: the user's own alone, gone when the demo is.

use std::path::{Path, PathBuf};

use crate::clock;

/// A new folder below the system's folder for temporary files; removed when
/// dropped, unless it is kept.
pub struct Folder {
    path: PathBuf,
    keep: bool,
}

impl Folder {
    /// Makes one.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn make(keep: bool) -> std::io::Result<Self> {
        let name = format!("kgents-demo-{:x}-{:x}", std::process::id(), clock::now_ms());
        let path = std::env::temp_dir().join(name);
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&path)?;
        Ok(Self { path, keep })
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it stays.
    pub const fn is_kept(&self) -> bool {
        self.keep
    }

    /// The mesh folder in it.
    pub fn mesh(&self) -> PathBuf {
        self.path.join("mesh")
    }

    /// The mesh's data folder in it.
    pub fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    /// What the mesh logs.
    pub fn log(&self) -> PathBuf {
        self.path.join("mesh.log")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.keep {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_goes_with_its_owner_unless_it_is_kept() {
        let folder = Folder::make(false).unwrap();
        let path = folder.path().to_owned();
        assert!(path.is_dir());
        drop(folder);
        assert!(!path.exists());
        let kept = Folder {
            path: tempfile::tempdir().unwrap().keep(),
            keep: true,
        };
        let path = kept.path().to_owned();
        drop(kept);
        assert!(path.is_dir());
        std::fs::remove_dir(path).unwrap();
    }
}
