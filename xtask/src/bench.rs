//! `bench`: build, then run the measurements, each an example of the crate it
//! measures.

use std::process::{Command, ExitCode};

use anyhow::{Result, bail};

use crate::build;
use crate::workspace::{Workspace, step};

/// One measurement: its name here, and the example that takes it; examples have
/// one name in the whole workspace.
struct Subject {
    name: &'static str,
    example: &'static str,
}

/// In the order they run.
const SUBJECTS: [Subject; 1] = [Subject {
    name: "deciders",
    example: "measure-deciders",
}];

/// Build and measure one subject, or all.
///
/// # Errors
/// An unknown subject, or a measurement that failed.
pub fn run(workspace: &Workspace, only: Option<&str>, arguments: &[String]) -> Result<ExitCode> {
    let chosen: Vec<_> = SUBJECTS
        .iter()
        .filter(|subject| only.is_none_or(|name| name == subject.name))
        .collect();
    if chosen.is_empty() {
        let names: Vec<_> = SUBJECTS.iter().map(|subject| subject.name).collect();
        bail!(
            "nothing is called `{}` here; measured are: {}",
            only.unwrap_or_default(),
            names.join(", ")
        );
    }
    build::run(workspace)?;
    for subject in chosen {
        let mut example = workspace.cargo("build");
        example.args(["--release", "--workspace", "--example", subject.example]);
        step(subject.example, &mut example)?;
        let mut measurement = Command::new(workspace.example(subject.example));
        measurement.env("KGENTS_COMPONENTS", &workspace.components);
        step(subject.name, measurement.args(arguments))?;
    }
    Ok(ExitCode::SUCCESS)
}
