//! The encoder's model: fetched once, into the user's cache folder, by the
//! binary itself.

use std::process::{Command, Stdio};

use crate::prerequisites;
use crate::workspace::{Workspace, headline, shown};

/// Whether the model is installed and intact.
pub fn is_there(workspace: &Workspace) -> bool {
    Command::new(workspace.binary("kgents"))
        .args(["model", "status"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Fetch the model if it is not there. What is missing for that, or goes wrong,
/// is said and no failure: without the model words alone decide.
pub fn fetch(workspace: &Workspace) {
    if is_there(workspace) || !prerequisites::model() {
        return;
    }
    headline("language model (once, into your cache folder)");
    let mut install = Command::new(workspace.binary("kgents"));
    install.args(["model", "install"]);
    if !install.status().is_ok_and(|status| status.success()) {
        eprintln!(
            "note: it goes on without the model, so requests are routed by words alone; fetch it \
             later with\n  {}",
            shown(&install)
        );
    }
}
