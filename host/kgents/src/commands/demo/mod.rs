//! `kgents demo`: a mesh of its own on this machine, real A2A requests through
//! it, every decision shown, the trail verified, and everything put away again.
//! What is shown is promised, so it is a smoke test as well.
//!
//! Reading order: this file, `script` (what is shown) with `questions`,
//! `rights` and `trail`, `stage` (how), `process` and `folder` (the mesh),
//! `agents` (two small agents).

mod agents;
mod folder;
mod process;
mod questions;
mod rights;
mod script;
mod stage;
mod trail;

use std::time::Instant;

use serde::Serialize;

use super::Context;
use crate::cli::DemoArgs;
use crate::client::chain;
use crate::config::values::Address;
use crate::exit::{Exit, Failure};
use crate::output::{Format, Style};
use crate::templates;
use crate::up::told_to_stop;
use folder::Folder;
use process::MeshProcess;
use script::Facts;
use stage::{Stage, Step, milliseconds};

/// Where the demo's mesh listens unless it is told: any free port of loopback.
const LISTEN: &str = "127.0.0.1:0";
/// What everyone may do in the demo's mesh besides what `agents add` permits.
const VISITORS: (&str, &str) = (
    "visitors.cedar",
    include_str!("../../templates/visitors.cedar"),
);

/// The whole demo for a program.
#[derive(Serialize)]
struct Report<'a> {
    ok: bool,
    #[serde(flatten)]
    facts: &'a Facts,
    steps: &'a [Step],
    took_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    folder: Option<String>,
}

/// Runs the demo.
///
/// # Errors
/// When no mesh comes up, or it was interrupted; what is not as promised is no
/// error but exit code 1.
pub async fn run(args: &DemoArgs, context: &Context) -> Result<Exit, Failure> {
    let began = Instant::now();
    let folder = Folder::make(args.keep).map_err(|error| {
        let message = format!("no folder can be made for the demo: {error}");
        Failure::new(Exit::Failed, "DEMO_FOLDER", message)
    })?;
    write_mesh(&folder, &context.environment.operator())?;
    let listen = match args.listen {
        Some(listen) => listen,
        None => LISTEN
            .parse::<Address>()
            .map_err(|error| Failure::new(Exit::Failed, "DEMO_START", error))?,
    };
    let own = Context {
        output: context.output,
        data_dir: folder.data(),
        environment: context.environment.clone(),
    };
    let mut stage = Stage::new(context.output);
    let mut facts = Facts::default();
    // Dropping it kills the mesh, so it outlives the play, however that ends.
    let mut mesh = MeshProcess::start(&folder, &listen)?;
    let played = tokio::select! {
        biased;
        () = told_to_stop() => Err(interrupted()),
        played = script::play(&mut stage, &mut facts, &mut mesh, &own, &folder) => played,
    };
    if played.is_err() {
        let _ = mesh.stop().await;
    }
    drop(mesh);
    tell_folder(&folder, context);
    played?;
    let report = Report {
        ok: stage.steps().iter().all(|step| step.ok),
        facts: &facts,
        steps: stage.steps(),
        took_ms: milliseconds(began.elapsed()),
        folder: folder
            .is_kept()
            .then(|| folder.path().display().to_string()),
    };
    context
        .output
        .show(&report, |style| summary(&report, style));
    Ok(if report.ok { Exit::Done } else { Exit::Failed })
}

/// What `init` writes, and what visitors may.
fn write_mesh(folder: &Folder, operator: &str) -> Result<(), Failure> {
    let (name, text) = VISITORS;
    templates::write(&folder.mesh(), operator, false)
        .and_then(|_| templates::put(&folder.mesh().join("policies").join(name), text))
        .map_err(|error| Failure::new(Exit::Failed, "DEMO_FOLDER", chain(&error)))
}

fn interrupted() -> Failure {
    Failure::new(
        Exit::Failed,
        "INTERRUPTED",
        "the demo was interrupted; its mesh is stopped",
    )
}

fn tell_folder(folder: &Folder, context: &Context) {
    if !folder.is_kept() || context.output.format != Format::Text {
        return;
    }
    let (mesh, data) = (folder.mesh(), folder.data());
    context.output.write(&format!(
        "\nkept in {}; look at it, or start it again:\n  kgents audit tail --data {data}\n  \
         kgents up {mesh} --data {data}",
        folder.path().display(),
        mesh = mesh.display(),
        data = data.display(),
    ));
}

fn summary(report: &Report<'_>, style: &Style) -> String {
    let bad = report.steps.iter().filter(|step| !step.ok).count();
    let verdict = match bad {
        0 => style.green(&format!(
            "all {} steps went as promised",
            report.steps.len()
        )),
        _ => style.red(&format!(
            "{bad} of {} steps did not go as promised",
            report.steps.len()
        )),
    };
    let mut facts = vec![format!("{:.1} s in all", report.took_ms / 1000.0)];
    if let Some(first_ms) = report.facts.first_answer_ms {
        facts.push(format!(
            "first answer {:.2} s after the start",
            first_ms / 1000.0
        ));
    }
    let mut text = format!(
        "\n{verdict} {}",
        style.dim(&format!("({})", facts.join(", ")))
    );
    if report.facts.encoder.is_none() {
        text.push_str(&format!(
            "\n{} questions were routed by words alone; `kgents model install` adds meaning",
            style.cyan("hint:")
        ));
    }
    text
}
