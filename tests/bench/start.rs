//! `kgents up` until it listens and until it has answered a caller: on empty
//! folders, again, and after it was killed with records in its trail.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::load::{Load, Target, Until};
use crate::mesh::{Mesh, Place, binary};
use crate::table::{Cell, Table};
use crate::timing::{Times, milliseconds, nanoseconds};
use crate::{Settings, process};

/// An agent of the mesh's own: it needs nobody else to answer.
const OWN_AGENT: &str = "/agents/echo";

/// How often it was started in one way.
#[derive(Default)]
struct Starts {
    listening: Vec<u32>,
    answered: Vec<u32>,
    cpu: Vec<u32>,
}

/// Measures the three ways.
///
/// # Errors
/// When the mesh does not start or does not answer.
pub fn run(settings: &Settings) -> Result<Vec<Table>> {
    let (times, requests) = if settings.quick {
        (2, 2_000)
    } else {
        (10, 50_000)
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (mut first, mut again, mut killed) =
        (Starts::default(), Starts::default(), Starts::default());
    for number in 0..times {
        let place = Place::new(&settings.work.join(format!("first-{number}")))?;
        let mesh = runtime.block_on(first.start(place))?;
        let mesh = runtime.block_on(again.start(mesh.stop()?))?;
        mesh.stop()?;
    }
    let mut place = Place::new(&settings.work.join("killed"))?;
    for _ in 0..times {
        let mesh = place.up()?;
        let target = Target::message(&mesh.authority, OWN_AGENT, Some(&mesh.token()?));
        let sent = async {
            let mut load = Load::open(&target, 32).await?;
            load.run(Until::Requests(requests / times)).await
        };
        runtime.block_on(sent)?;
        let mesh = runtime.block_on(killed.start(mesh.kill()?))?;
        place = mesh.stop()?;
    }
    let mut table = Table::new(
        "`kgents up` to the first answer",
        &["", "listens ms", "answered ms", "worst ms", "CPU ms"],
    );
    let process = Times::try_measure(10, || {
        let output = std::process::Command::new(binary()?)
            .arg("--version")
            .output()?;
        ensure!(output.status.success(), "`kgents --version` fails");
        Ok(())
    })?;
    table.row([
        Cell::text("the process alone (`kgents --version`)"),
        Cell::Missing,
        milliseconds(process.median(), 1),
        milliseconds(process.quantile(1.0), 1),
        Cell::Missing,
    ]);
    table.row(first.cells("first start, empty folders"));
    table.row(again.cells("again"));
    table.row(killed.cells("after kill -9"));
    table.note(format!(
        "Medians of {times}. Answered: an authenticated SendMessage to the mesh's own echo agent, its audit record on the disk. \
         The trail of the last row grows to {requests} interactions."
    ));
    Ok(vec![table])
}

impl Starts {
    /// Starts the mesh and asks it one thing.
    async fn start(&mut self, place: Place) -> Result<Mesh> {
        // Made before, since a caller has its token before it calls.
        let token = place.token()?;
        let began = Instant::now();
        let mesh = place.up()?;
        let target = Target::message(&mesh.authority, OWN_AGENT, Some(&token));
        let mut load = Load::open(&target, 1).await?;
        load.run(Until::Requests(1)).await?;
        self.answered.push(nanoseconds(began.elapsed()));
        self.listening.push(nanoseconds(mesh.listening_after));
        let cpu = process::cpu(mesh.pid()).unwrap_or(Duration::ZERO);
        self.cpu.push(nanoseconds(cpu));
        Ok(mesh)
    }

    fn cells(self, name: &str) -> [Cell; 5] {
        let [listening, answered, cpu] = [self.listening, self.answered, self.cpu].map(Times::of);
        let cpu = match cpu.median() {
            Duration::ZERO => Cell::Missing,
            cpu => milliseconds(cpu, 0),
        };
        [
            Cell::text(name),
            milliseconds(listening.median(), 1),
            milliseconds(answered.median(), 1),
            milliseconds(answered.quantile(1.0), 1),
            cpu,
        ]
    }
}
