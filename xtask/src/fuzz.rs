//! `fuzz`: the property tests with many more cases. A failure prints its input,
//! shrunk, and is kept in the crate's `proptest-regressions/`.

use std::process::ExitCode;

use anyhow::Result;

use crate::build;
use crate::workspace::{Workspace, step};

/// Cases per property, unless told otherwise: some minutes in all.
pub const CASES: u32 = 20_000;

/// Run the property tests of one crate, or of all.
///
/// # Errors
/// A property that does not hold, with the command that repeats it.
pub fn run(workspace: &Workspace, package: Option<&str>, cases: u32) -> Result<ExitCode> {
    build::components(workspace)?;
    let mut command = workspace.cargo("test");
    command.env("PROPTEST_CASES", cases.to_string());
    command.args(["--release", "--lib", "--tests"]);
    match package {
        Some(package) => command.args(["-p", package]),
        None => command.arg("--workspace"),
    };
    step(&format!("{cases} cases per property"), &mut command)?;
    Ok(ExitCode::SUCCESS)
}
