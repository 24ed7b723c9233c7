//! Where things are, and how commands are run and shown.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

/// The checkout.
pub struct Workspace {
    /// Folder of the root `Cargo.toml`.
    pub root: PathBuf,
    /// Where cargo builds, absolute: `CARGO_TARGET_DIR`, else `target`.
    pub target: PathBuf,
    /// Where the deciders are put, absolute.
    pub components: PathBuf,
}

/// A command that failed, and how to repeat it.
#[derive(Debug)]
pub struct Failed {
    /// The command as one would type it.
    pub repeat: String,
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "this command failed; repeat it with\n  {}", self.repeat)
    }
}

impl std::error::Error for Failed {}

impl Workspace {
    /// The workspace this program was built from.
    ///
    /// # Errors
    /// When the working directory cannot be read.
    pub fn find() -> Result<Self> {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = package.parent().unwrap_or(package).to_owned();
        // A relative CARGO_TARGET_DIR is relative to where cargo was called.
        let target = match env::var_os("CARGO_TARGET_DIR") {
            Some(directory) => std::path::absolute(directory).context("no working directory")?,
            None => root.join("target"),
        };
        let components = target.join("components");
        Ok(Self {
            root,
            target,
            components,
        })
    }

    /// `cargo SUBCOMMAND`, in the root, with what the build scripts need.
    pub fn cargo(&self, subcommand: &str) -> Command {
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command
            .current_dir(&self.root)
            .arg(subcommand)
            .env("KGENTS_COMPONENTS", &self.components);
        if self.target != self.root.join("target") {
            command.env("CARGO_TARGET_DIR", &self.target);
        }
        if subcommand != "fmt" && self.root.join("Cargo.lock").exists() {
            command.arg("--locked");
        }
        command
    }

    /// A binary of the release build.
    pub fn binary(&self, name: &str) -> PathBuf {
        let file = format!("{name}{}", env::consts::EXE_SUFFIX);
        self.target.join("release").join(file)
    }

    /// An example of the release build.
    pub fn example(&self, name: &str) -> PathBuf {
        let file = format!("{name}{}", env::consts::EXE_SUFFIX);
        self.target.join("release").join("examples").join(file)
    }
}

/// Say what comes, run it, and fail with the command that repeats it.
///
/// # Errors
/// [`Failed`], or when the program cannot be started.
pub fn step(title: &str, command: &mut Command) -> Result<()> {
    headline(title);
    let status = command
        .status()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    if status.success() {
        return Ok(());
    }
    Err(Failed {
        repeat: shown(command),
    }
    .into())
}

/// Say what comes.
pub fn headline(title: &str) {
    eprintln!("== {title}");
}

/// The command as one would type it, with the environment it was given.
pub fn shown(command: &Command) -> String {
    let mut words = Vec::new();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            words.push(format!("{}={}", name.display(), quoted(value)));
        }
    }
    let program = Path::new(command.get_program());
    words.push(match program.file_stem() {
        // The full path of a toolchain's cargo says nothing to a person.
        Some(stem) if stem == "cargo" => "cargo".to_owned(),
        _ => quoted(program.as_os_str()),
    });
    words.extend(command.get_args().map(quoted));
    words.join(" ")
}

fn quoted(word: &OsStr) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    let word = OsString::from(word).to_string_lossy().into_owned();
    if !word.is_empty() && word.chars().all(plain) {
        word
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_command_can_be_pasted_into_a_shell() {
        let mut command = Command::new("/toolchains/1.95/bin/cargo");
        command.args(["test", "-p", "a", "it's here", ""]);
        command.env("COMPONENTS", "/a b");
        assert_eq!(
            shown(&command),
            r"COMPONENTS='/a b' cargo test -p a 'it'\''s here' ''"
        );
    }
}
