//! `fuzz`: a parser under libFuzzer, or the property tests with many more cases.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Result, bail};

use crate::build;
use crate::workspace::{Workspace, step};

/// Cases per property, unless told otherwise: some minutes in all.
pub const CASES: u32 = 20_000;
/// Inputs that libFuzzer makes up for a parser, unless told otherwise.
pub const INPUTS: u64 = 10_000_000;
/// Longest input, in bytes: longer than any seed.
const INPUT_BYTES_MAX: usize = 8192;

/// What is fuzzed, and how much.
#[derive(clap::Args)]
pub struct Arguments {
    /// A parser, by the name of its folder in fuzz/seeds: libFuzzer makes up
    /// inputs for it. Needs a nightly toolchain and `cargo install cargo-fuzz`.
    #[arg(conflicts_with_all = ["package", "cases"])]
    parser: Option<String>,
    /// Inputs for the parser.
    #[arg(long, default_value_t = INPUTS)]
    inputs: u64,
    /// Without a parser: the property tests of this crate, of all without it.
    #[arg(long)]
    package: Option<String>,
    /// Cases per property; `test` runs 256.
    #[arg(long, default_value_t = CASES)]
    cases: u32,
}

/// Fuzz a parser, or run the property tests.
///
/// # Errors
/// An input that makes the parser panic, or a property that does not hold: each
/// with the command that repeats it.
pub fn run(workspace: &Workspace, arguments: &Arguments) -> Result<ExitCode> {
    match &arguments.parser {
        Some(parser) => libfuzzer(workspace, parser, arguments.inputs)?,
        None => properties(workspace, arguments.package.as_deref(), arguments.cases)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A failure leaves its input in `fuzz/libfuzzer/artifacts`; the one that is
/// mended goes to the seeds.
fn libfuzzer(workspace: &Workspace, parser: &str, inputs: u64) -> Result<()> {
    let fuzz = workspace.root.join("fuzz");
    let seeds = fuzz.join("seeds").join(parser);
    if !seeds.is_dir() {
        bail!("`{parser}` is no parser; there are: {}", parsers(&fuzz));
    }
    let there = Command::new("cargo")
        .args(["fuzz", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !there.is_ok_and(|status| status.success()) {
        bail!("cargo-fuzz is missing; mend it with\n  cargo install --locked cargo-fuzz");
    }
    let corpus = fuzz.join("libfuzzer").join("corpus").join(parser);
    std::fs::create_dir_all(&corpus)?;
    let mut command = Command::new("cargo");
    command
        .current_dir(&workspace.root)
        // This program runs under the toolchain of the project.
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("CARGO")
        .env("KGENTS_FUZZ", parser)
        // What is looked for is a panic: none of ours is unsafe code.
        .args(["+nightly", "fuzz", "run", "--fuzz-dir", "fuzz/libfuzzer"])
        .args(["--sanitizer", "none", "any"])
        .args([&corpus, &seeds])
        .arg("--")
        .arg(format!("-runs={inputs}"))
        .arg(format!("-max_len={INPUT_BYTES_MAX}"));
    step(&format!("{inputs} inputs for {parser}"), &mut command)
}

fn parsers(fuzz: &Path) -> String {
    let mut names: Vec<String> = std::fs::read_dir(fuzz.join("seeds"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names.join(", ")
}

fn properties(workspace: &Workspace, package: Option<&str>, cases: u32) -> Result<()> {
    build::components(workspace)?;
    let mut command = workspace.cargo("test");
    command.env("PROPTEST_CASES", cases.to_string());
    command.args(["--release", "--lib", "--tests"]);
    match package {
        Some(package) => command.args(["-p", package]),
        None => command.arg("--workspace"),
    };
    step(&format!("{cases} cases per property"), &mut command)
}
