//! `up`: build, fetch the model, then become `kgents up`.

use std::ffi::OsStr;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::workspace::{Workspace, shown};
use crate::{build, model};

/// Build and start the mesh.
///
/// # Errors
/// When it does not build or start.
pub fn run(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode> {
    build::run(workspace)?;
    model::fetch(workspace);
    hand_over(workspace, "up", arguments)
}

/// Replace this process by `kgents SUBCOMMAND`, so that signals and the exit
/// code are its own.
///
/// # Errors
/// When it cannot be started.
pub fn hand_over<S: AsRef<OsStr>>(
    workspace: &Workspace,
    subcommand: &str,
    arguments: &[S],
) -> Result<ExitCode> {
    let mut command = Command::new(workspace.binary("kgents"));
    command.arg(subcommand).args(arguments);
    become_it(command)
}

#[cfg(unix)]
fn become_it(mut command: Command) -> Result<ExitCode> {
    use std::os::unix::process::CommandExt;
    let error = command.exec();
    Err(error).with_context(|| format!("cannot start `{}`", shown(&command)))
}

#[cfg(not(unix))]
fn become_it(mut command: Command) -> Result<ExitCode> {
    let status = command
        .status()
        .with_context(|| format!("cannot start `{}`", shown(&command)))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
