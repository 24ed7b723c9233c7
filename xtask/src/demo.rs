//! `demo`: build, fetch the model, then become `kgents demo`.

use std::process::ExitCode;

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{build, model, up};

/// Build and show the mesh at work.
///
/// # Errors
/// When it does not build or start.
pub fn run(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode> {
    build::run(workspace)?;
    model::fetch(workspace);
    up::hand_over(workspace, "demo", arguments)
}
