//! `demo`: build, then become `kgents demo`.

use std::process::ExitCode;

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{build, prerequisites, up};

/// Build and show the mesh at work.
///
/// # Errors
/// When it does not build or start.
pub fn run(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode> {
    build::run(workspace)?;
    prerequisites::model();
    up::hand_over(workspace, "demo", arguments)
}
