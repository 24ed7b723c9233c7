//! Memory of the mesh: idle, and while it serves; it should level off.

use anyhow::{Context, Result};

use crate::agent::{self, Agent};
use crate::load::{Load, Target, Until};
use crate::mesh::{Mesh, Place, binary};
use crate::table::{Cell, Table};
use crate::{Settings, process};

/// Callers at once.
const CONNECTIONS: usize = 32;
/// After so many parts of the load memory is looked at.
const LOOKS: u64 = 10;

/// Measures idle and after each tenth of the load.
///
/// # Errors
/// When mesh or agent do not start, or answer wrongly.
pub fn run(settings: &Settings) -> Result<Vec<Table>> {
    let requests: u64 = if settings.quick { 10_000 } else { 200_000 };
    let agent = Agent::start()?;
    let mesh = Place::new(&settings.work)?.up()?;
    let mut table = Table::new(
        "Memory of the mesh",
        &["", "in RAM MiB", "of it anonymous MiB", "most ever MiB"],
    );
    look(&mut table, "idle, just started", &mesh);
    let card = agent::card_of(agent::NAME, &agent.authority, agent::TASKS);
    mesh.add(agent::NAME, &card)?;
    let path = format!("/agents/{}", agent::NAME);
    let target = Target::message(&mesh.authority, &path, Some(&mesh.token()?));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut load = runtime.block_on(Load::open(&target, CONNECTIONS))?;
    for part in 1..=LOOKS {
        runtime.block_on(load.run(Until::Requests(requests / LOOKS)))?;
        let so_far = requests / LOOKS * part;
        look(&mut table, &format!("after {so_far} requests"), &mesh);
    }
    mesh.stop()?;
    let size = std::fs::metadata(binary()?)?.len();
    table.note(format!(
        "Every request makes a new task, whose owner the mesh remembers; {CONNECTIONS} connections. \
         What is not anonymous is mostly the binary ({} MiB, the deciders in it) and the store's file. \
         Limit: the last rows should not grow.",
        size >> 20
    ));
    Ok(vec![table])
}

fn look(table: &mut Table, when: &str, mesh: &Mesh) {
    let mebibytes = |bytes: u64| Cell::Number(bytes as f64 / f64::from(1 << 20), 1);
    let row = match process::memory(mesh.pid()).context("no /proc") {
        Ok(memory) => [
            Cell::text(when),
            mebibytes(memory.resident),
            mebibytes(memory.anonymous),
            mebibytes(memory.peak),
        ],
        Err(_) => [
            Cell::text(when),
            Cell::Missing,
            Cell::Missing,
            Cell::Missing,
        ],
    };
    table.row(row);
}
