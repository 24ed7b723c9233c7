//! `bench`: build, then run the measurements (`tests/bench`).

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::build;
use crate::prerequisites;
use crate::workspace::{Workspace, step};

/// The measuring program; examples have one name in the whole workspace.
const EXAMPLE: &str = "bench";

/// What is measured and how it is told.
#[derive(clap::Args)]
pub struct Arguments {
    /// Measure only this; without it, everything.
    #[arg(value_parser = ["hop", "start", "memory", "deciders", "codecs", "encoder", "search", "routing", "audit", "spin"])]
    subject: Option<String>,
    /// Rough figures, all together in about a minute.
    #[arg(long)]
    quick: bool,
    /// Folder with the lines of CLINC150 (train.jsonl, validation.jsonl, test.jsonl),
    /// for `routing`.
    #[arg(long, value_name = "DIR")]
    clinc150: Option<PathBuf>,
    /// Tables, or one JSON document on stdout.
    #[arg(long, value_parser = ["text", "json"], default_value = "text")]
    output: String,
}

/// Build and measure one subject, or all.
///
/// # Errors
/// When it does not build, or a measurement failed.
pub fn run(workspace: &Workspace, arguments: &Arguments) -> Result<ExitCode> {
    prerequisites::model();
    build::components(workspace)?;
    build::guests(workspace)?;
    let mut programs = workspace.cargo("build");
    // Named like the other steps, so that dependencies are compiled once.
    programs.args(["--release", "--workspace", "--bin", "kgents"]);
    programs.args(["--example", EXAMPLE]);
    step("binary and measurements", &mut programs)?;
    let mut measurement = Command::new(workspace.example(EXAMPLE));
    measurement
        .args(&arguments.subject)
        .args(arguments.quick.then_some("--quick"))
        .args(["--output", &arguments.output])
        .args(
            arguments
                .clinc150
                .iter()
                .flat_map(|folder| ["--clinc150".as_ref(), folder.as_os_str()]),
        )
        .env("KGENTS_COMPONENTS", &workspace.components);
    step("bench", &mut measurement)?;
    Ok(ExitCode::SUCCESS)
}
