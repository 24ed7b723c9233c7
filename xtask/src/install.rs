//! `install`: build, then copy the binary to where cargo installs binaries.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::workspace::Workspace;
use crate::{build, model};

/// Build and install.
///
/// # Errors
/// When it does not build or the folder cannot be written.
pub fn run(workspace: &Workspace, root: Option<&Path>) -> Result<()> {
    build::run(workspace)?;
    let folder = match root {
        Some(root) => root.to_owned(),
        None => cargo_home().context("neither CARGO_HOME nor HOME is set; give --root DIR")?,
    }
    .join("bin");
    let installed = copy(&workspace.binary("kgents"), &folder)?;
    println!("installed {}", installed.display());
    if !on_path(&folder, env::var_os("PATH").as_deref()) {
        println!(
            "it is not on your PATH yet:\n  export PATH=\"{}:$PATH\"",
            folder.display()
        );
    }
    if !model::is_there(workspace) {
        println!(
            "the language model is not there yet; with it questions find their agent by meaning:\n  \
             kgents model install"
        );
    }
    println!(
        "completions for your shell (bash, zsh, fish, elvish, powershell):\n  \
         source <(kgents completions bash)"
    );
    Ok(())
}

/// Copy beside the old one and rename over it: a running binary cannot be
/// written to, and nobody ever sees half of one.
fn copy(binary: &Path, folder: &Path) -> Result<PathBuf> {
    let name = binary.file_name().unwrap_or(OsStr::new("kgents"));
    let installed = folder.join(name);
    let beside = folder.join(format!(".{}.new", name.display()));
    fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    fs::copy(binary, &beside)
        .and_then(|_| fs::rename(&beside, &installed))
        .with_context(|| format!("cannot write `{}`", installed.display()))?;
    Ok(installed)
}

fn cargo_home() -> Option<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty());
    match set("CARGO_HOME") {
        Some(home) => Some(home.into()),
        None => set("HOME").map(|home| Path::new(&home).join(".cargo")),
    }
}

fn on_path(folder: &Path, path: Option<&OsStr>) -> bool {
    path.is_some_and(|path| env::split_paths(path).any(|entry| entry == folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_binary_is_replaced_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let (binary, bin) = (folder.path().join("kgents"), folder.path().join("bin"));
        for content in ["old", "new"] {
            fs::write(&binary, content).unwrap();
            let installed = copy(&binary, &bin).unwrap();
            assert_eq!(fs::read_to_string(installed).unwrap(), content);
        }
        assert_eq!(fs::read_dir(&bin).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_is_found_on_the_path() {
        let path = Some(OsStr::new("/usr/bin:/home/a/.cargo/bin"));
        assert!(on_path(Path::new("/home/a/.cargo/bin"), path));
        assert!(!on_path(Path::new("/home/b/.cargo/bin"), path));
        assert!(!on_path(Path::new("/usr/bin"), None));
    }
}
