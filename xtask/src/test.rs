//! `test`: format, build, lints (WebAssembly and native), all tests. Stops at the
//! first step that fails and prints the command that repeats it; the last line
//! is the tally.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::thread;

use anyhow::{Context, Result};

use crate::build::{self, DOORS, GUESTS, packages};
use crate::model;
use crate::prerequisites::{self, DECIDERS};
use crate::tally::{Tally, failed_binary};
use crate::workspace::{Failed, Workspace, headline, shown, step};

/// Beginnings of skips that CI allows: what needs rights that not every machine
/// gives, and what no package manager has.
const MAY_SKIP: [&str; 2] = ["full-disk:", "spin:"];

/// Environment variable that names Spin's binary to the tests.
const SPIN: &str = "KGENTS_SPIN";

/// Check and test everything, or only the tests whose name contains `filter`.
///
/// # Errors
/// When a program cannot be started or the machine lacks something.
pub fn run(workspace: &Workspace, filter: Option<&str>, spin: Option<&Path>) -> Result<ExitCode> {
    let mut tally = Tally::default();
    let mut repeat = match checks(workspace) {
        Ok(()) => {
            let mut command = tested(workspace, filter);
            if let Some(spin) = spin {
                command.env(SPIN, std::path::absolute(spin)?);
            }
            tests(workspace, command, &mut tally, |line| println!("{line}"))?
        }
        Err(error) => {
            let failed: Failed = error.downcast()?;
            tally.fail_otherwise();
            Some(failed.repeat)
        }
    };
    for skip in tally.skipped() {
        println!("skipped: {skip}");
    }
    let missed = unwelcome(tally.skipped());
    if std::env::var_os("CI").is_some() && repeat.is_none() && !missed.is_empty() {
        println!(
            "CI skips nothing that a package manager has: {}",
            missed.join(", ")
        );
        tally.fail_otherwise();
        repeat = Some("cargo xtask test".to_owned());
    }
    if let Some(repeat) = &repeat {
        println!("failed; repeat it with\n  {repeat}");
    }
    println!("{tally}");
    Ok(match repeat {
        None => ExitCode::SUCCESS,
        Some(_) => ExitCode::FAILURE,
    })
}

/// Skips that CI does not allow.
fn unwelcome<'a>(skipped: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    skipped
        .filter(|skip| !MAY_SKIP.iter().any(|name| skip.starts_with(name)))
        .collect()
}

/// What comes before the tests.
fn checks(workspace: &Workspace) -> Result<()> {
    step("format", workspace.cargo("fmt").args(["--all", "--check"]))?;
    build::components(workspace)?;
    build::guests(workspace)?;
    let mut deciders = workspace.cargo("clippy");
    // The guests' profile, so that what the build just compiled is used again.
    deciders.args(["--profile", "guest", "--target", DECIDERS, "--lib"]);
    deciders.args(packages());
    step("lints of the deciders", strict(&mut deciders))?;
    let mut spin = workspace.cargo("clippy");
    spin.args([
        "--profile",
        "guest",
        "--target",
        prerequisites::SPIN,
        "--lib",
    ]);
    for (prefix, names) in [("kgents", &DOORS), ("kgents-guest", &GUESTS)] {
        spin.args(
            names
                .iter()
                .flat_map(|name| ["-p".to_owned(), format!("{prefix}-{name}")]),
        );
    }
    step("lints of the Spin components", strict(&mut spin))?;
    let mut native = workspace.cargo("clippy");
    native.args(["--release", "--workspace", "--all-targets"]);
    step("lints", strict(&mut native))?;
    build::binary(workspace)?;
    model::fetch(workspace);
    Ok(())
}

fn strict(command: &mut Command) -> &mut Command {
    command.args(["--", "-D", "warnings"])
}

/// The command that runs all tests, or those whose name contains `filter`.
fn tested(workspace: &Workspace, filter: Option<&str>) -> Command {
    let mut command = workspace.cargo("test");
    // Every target that has tests; examples without any are not built for it.
    command.args(["--release", "--workspace", "--tests"]);
    command.args(["--no-fail-fast", "--"]);
    command.arg("--show-output");
    command.args(filter);
    command
}

/// Run all tests and show what a person should see; the command that repeats the
/// first failure, if there is one.
fn tests(
    workspace: &Workspace,
    mut command: Command,
    tally: &mut Tally,
    show: impl Fn(&str),
) -> Result<Option<String>> {
    headline("tests");
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{}`", shown(&command)))?;
    let narrated = child
        .stderr
        .take()
        .map(|pipe| thread::spawn(|| narrate(pipe)));
    if let Some(pipe) = child.stdout.take() {
        for line in lines(pipe) {
            if tally.read(&line) {
                show(&line);
            }
        }
    }
    let binaries = narrated
        .and_then(|thread| thread.join().ok())
        .unwrap_or_default();
    if child.wait()?.success() && !tally.has_failed() {
        return Ok(None);
    }
    let repeat = match tally.first_failure(&binaries) {
        Some((binary, test)) => again(workspace, binary, test),
        None => shown(&command),
    };
    tally.fail_otherwise();
    Ok(Some(repeat))
}

/// The command for one binary, or one test of it.
fn again(workspace: &Workspace, binary: &str, test: Option<&str>) -> String {
    let mut command = workspace.cargo("test");
    command.arg("--release").args(binary.split_whitespace());
    if let Some(test) = test {
        command.args(["--", test]);
    }
    shown(&command)
}

/// Pass on what cargo says; collect the binaries that failed.
fn narrate(pipe: impl Read) -> Vec<String> {
    let mut binaries = Vec::new();
    for line in lines(pipe) {
        binaries.extend(failed_binary(&line).map(str::to_owned));
        eprintln!("{line}");
    }
    binaries
}

/// Lines as they come; what is not UTF-8 is replaced, not an error.
fn lines(pipe: impl Read) -> impl Iterator<Item = String> {
    BufReader::new(pipe)
        .split(b'\n')
        .map_while(Result::ok)
        .map(|line| String::from_utf8_lossy(&line).trim_end().to_owned())
}

#[cfg(test)]
mod unit {
    use std::fs;

    use super::*;

    /// A project with nothing but these tests.
    fn project(tests: &str) -> (tempfile::TempDir, Workspace) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_owned();
        let manifest = "[package]\nname = \"small\"\nedition = \"2024\"\n[workspace]\n";
        fs::write(root.join("Cargo.toml"), manifest).unwrap();
        fs::create_dir(root.join("src")).unwrap();
        fs::write(root.join("src/lib.rs"), tests).unwrap();
        let workspace = Workspace {
            target: root.join("built"),
            components: root.join("components"),
            root,
        };
        (folder, workspace)
    }

    #[test]
    fn ci_allows_only_the_skips_that_it_knows() {
        let skipped = ["full-disk: no right to mount", "model: not installed"];
        assert_eq!(unwelcome(skipped.into_iter()), ["model: not installed"]);
    }

    #[test]
    fn the_first_failed_test_is_the_one_to_repeat() {
        let (_folder, workspace) = project(
            "#[test] fn fine() {}
             #[test] fn broken() { assert!(false) }
             #[test] fn absent() { println!(\"skipped: kind: not installed\") }",
        );
        let mut tally = Tally::default();
        let repeat = tests(&workspace, tested(&workspace, None), &mut tally, |_| {})
            .unwrap()
            .unwrap();
        assert!(
            repeat.ends_with("cargo test --locked --release --lib -- broken"),
            "{repeat}"
        );
        assert_eq!(tally.to_string(), "1 passed, 1 failed, 1 skipped");
        let skipped: Vec<_> = tally.skipped().collect();
        assert_eq!(skipped, ["kind: not installed"]);
    }

    #[test]
    fn a_test_binary_that_dies_is_a_failure_to_repeat() {
        let (_folder, workspace) = project("#[test] fn dies() { std::process::abort() }");
        let mut tally = Tally::default();
        let repeat = tests(&workspace, tested(&workspace, None), &mut tally, |_| {})
            .unwrap()
            .unwrap();
        assert!(repeat.ends_with("--release --lib"), "{repeat}");
        assert_eq!(tally.to_string(), "0 passed, 1 failed, 0 skipped");
    }

    #[test]
    fn tests_that_do_not_compile_are_a_failure_to_repeat() {
        let (_folder, workspace) = project("#[test] fn wrong() { missing() }");
        let mut tally = Tally::default();
        let repeat = tests(&workspace, tested(&workspace, None), &mut tally, |_| {})
            .unwrap()
            .unwrap();
        assert!(repeat.contains("cargo test"), "{repeat}");
        assert_eq!(tally.to_string(), "0 passed, 1 failed, 0 skipped");
    }

    #[test]
    fn a_filter_chooses_tests_by_name() {
        let (_folder, workspace) =
            project("#[test] fn fine() {} #[test] fn broken() { assert!(false) }");
        let mut tally = Tally::default();
        let repeat = tests(
            &workspace,
            tested(&workspace, Some("fine")),
            &mut tally,
            |_| {},
        )
        .unwrap();
        assert_eq!(repeat, None);
        assert_eq!(tally.to_string(), "1 passed, 0 failed, 0 skipped");
    }
}
