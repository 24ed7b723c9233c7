//! Spin applications: the gateway component on our engine, fresh and reused, in
//! Spin itself where there is one, beside the native listener and a component
//! that always says the same; how long an application takes to start; and what
//! one more costs in memory.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use kgents_tests::{App, Runtime};

use crate::agent::{self, Agent};
use crate::load::{Load, Round, Target, Until};
use crate::mesh::{Mesh, Place};
use crate::table::{Cell, Table};
use crate::timing::{Times, microseconds, milliseconds, nanoseconds};
use crate::{Settings, process};

/// Path of the static component, and what it says.
const HELLO: (&str, &str) = ("/", "hello");
/// Requests that one instance serves where it is reused.
const REUSE: u32 = 1000;
/// Copies of the static component in one application, for its memory.
const COPIES: usize = 50;

/// A component in an application of its own.
#[derive(Clone, Copy)]
struct Variant {
    name: &'static str,
    guest: Guest,
    reuse: Option<u32>,
    under_spin: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Guest {
    Hello,
    Gateway,
}

/// What is in every application's surroundings.
struct Surroundings {
    work: PathBuf,
    agent: Agent,
    mesh: Mesh,
    token: String,
    gateway_token: String,
}

/// Measures everything.
///
/// # Errors
/// When something does not start, or answers wrongly.
pub fn run(settings: &Settings) -> Result<Vec<Table>> {
    let (round, rounds) = if settings.quick {
        (Duration::from_millis(500), 2)
    } else {
        (Duration::from_secs(2), 5)
    };
    let agent = Agent::start()?;
    let mesh = Place::new(&settings.work)?.up()?;
    mesh.add(
        agent::NAME,
        &agent::card_of(agent::NAME, &agent.authority, agent::MESSAGES),
    )?;
    let here = Surroundings {
        work: settings.work.clone(),
        token: mesh.token()?,
        gateway_token: mesh.gateway_token()?,
        agent,
        mesh,
    };
    let tables = vec![
        requests(&here, round, rounds)?,
        starts(&here, settings)?,
        memory(&here)?,
    ];
    here.mesh.stop()?;
    Ok(tables)
}

fn variants() -> Vec<Variant> {
    let spin = Runtime::spin().is_some();
    let all = [
        ("hello, fresh", Guest::Hello, None, false),
        ("hello, reused", Guest::Hello, Some(REUSE), false),
        ("hello, Spin", Guest::Hello, None, true),
        ("gateway, fresh", Guest::Gateway, None, false),
        ("gateway, reused", Guest::Gateway, Some(REUSE), false),
        ("gateway, Spin", Guest::Gateway, None, true),
    ];
    all.into_iter()
        .filter(|variant| spin || !variant.3)
        .map(|(name, guest, reuse, under_spin)| Variant {
            name,
            guest,
            reuse,
            under_spin,
        })
        .collect()
}

/// Requests a second, and what each costs, at every number of connections.
fn requests(here: &Surroundings, round: Duration, rounds: u32) -> Result<Table> {
    let mut table = Table::new(
        "Spin components beside the native listener",
        &[
            "",
            "connections",
            "req/s",
            "p50 µs",
            "p99 µs",
            "CPU µs/req",
            "and of the mesh behind it",
        ],
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let native = Target::message(
        &here.mesh.authority,
        &format!("/agents/{}", agent::NAME),
        Some(&here.token),
    );
    let apps = variants()
        .into_iter()
        .map(|variant| Ok((variant, here.start(&variant)?)))
        .collect::<Result<Vec<(Variant, App)>>>()?;
    for connections in [1, 32, 256] {
        let spent = runtime.block_on(spend(
            &native,
            connections,
            round,
            rounds,
            here.mesh.pid(),
            None,
        ))?;
        table.row(spent.cells("native listener", connections));
        for (variant, app) in &apps {
            let behind = (variant.guest == Guest::Gateway).then(|| here.mesh.pid());
            let target = here.target(variant, app)?;
            let spent = runtime.block_on(spend(
                &target,
                connections,
                round,
                rounds,
                app.pid(),
                behind,
            ))?;
            table.row(spent.cells(variant.name, connections));
        }
    }
    table.note(format!(
        "Fresh: an instance a request, which is Spin's rule. Reused: `reuse = {REUSE}` in the manifest. \
         The agent behind the mesh, its audit records, and the generator share the machine ({} is the agent's process).",
        here.agent.pid()
    ));
    if Runtime::spin().is_none() {
        table.note(
            "Spin itself: not on this machine (KGENTS_SPIN=PATH names its binary).".to_owned(),
        );
    }
    Ok(table)
}

/// What one side spent.
struct Spent {
    took: Duration,
    nanoseconds: Vec<u32>,
    own: Option<Duration>,
    behind: Option<Duration>,
}

async fn spend(
    target: &Target,
    connections: usize,
    round: Duration,
    rounds: u32,
    pid: u32,
    behind: Option<u32>,
) -> Result<Spent> {
    let mut load = Load::open(target, connections).await?;
    load.run(Until::Time(round / 4)).await?;
    let cpu = |pid: Option<u32>| pid.and_then(process::cpu);
    let before = (cpu(Some(pid)), cpu(behind));
    let mut spent = Spent {
        took: Duration::ZERO,
        nanoseconds: Vec::new(),
        own: None,
        behind: None,
    };
    for _ in 0..rounds {
        let Round { took, nanoseconds } = load.run(Until::Time(round)).await?;
        spent.took += took;
        spent.nanoseconds.extend(nanoseconds);
    }
    let since = |before: Option<Duration>, pid| cpu(pid)?.checked_sub(before?);
    spent.own = since(before.0, Some(pid));
    spent.behind = since(before.1, behind);
    Ok(spent)
}

impl Spent {
    fn cells(self, name: &str, connections: usize) -> Vec<Cell> {
        let count = self.nanoseconds.len() as f64;
        let each = |cpu: Option<Duration>| {
            cpu.map_or(Cell::Missing, |cpu| {
                Cell::Number(cpu.as_secs_f64() * 1e6 / count, 1)
            })
        };
        let (own, behind) = (each(self.own), each(self.behind));
        let rate = count / self.took.as_secs_f64();
        let times = Times::of(self.nanoseconds);
        vec![
            Cell::text(name),
            Cell::text(connections.to_string().as_str()),
            Cell::Number(rate, 0),
            microseconds(times.median(), 0),
            microseconds(times.quantile(0.99), 0),
            own,
            behind,
        ]
    }
}

/// From starting the process to the first answer.
fn starts(here: &Surroundings, settings: &Settings) -> Result<Table> {
    let times = if settings.quick { 2 } else { 10 };
    let mut table = Table::new(
        "An application's start, from exec to the first answer",
        &["", "nothing compiled ms", "compiled before ms"],
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    for variant in variants().iter().filter(|variant| variant.reuse.is_none()) {
        let (mut cold, mut warm) = (Vec::new(), Vec::new());
        for _ in 0..times {
            let state = tempfile::tempdir_in(&here.work)?;
            for found in [&mut cold, &mut warm] {
                let began = Instant::now();
                let app = here.start_in(variant, Some(state.path()))?;
                let target = here.target(variant, &app)?;
                runtime.block_on(async {
                    Load::open(&target, 1).await?.run(Until::Requests(1)).await
                })?;
                found.push(nanoseconds(began.elapsed()));
                app.stop();
            }
        }
        let [cold, warm] = [cold, warm].map(|found| milliseconds(Times::of(found).median(), 0));
        table.row([Cell::text(variant.name), cold, warm]);
    }
    table.note(format!("Medians of {times}."));
    Ok(table)
}

/// What one more component costs in RAM: loaded, and after it has answered.
fn memory(here: &Surroundings) -> Result<Table> {
    let mut table = Table::new(
        "Memory of one more application's component",
        &["", "KiB each"],
    );
    let resident = |app: &App| process::memory(app.pid()).map_or(0, |memory| memory.resident);
    let one = App::start(&Runtime::Ours, &here.copies(1)?, &[]);
    let many = App::start(&Runtime::Ours, &here.copies(COPIES)?, &[]);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let each = |one: u64, many: u64| {
        let more = many.saturating_sub(one) as f64;
        Cell::Number(more / 1024.0 / (COPIES - 1) as f64, 0)
    };
    table.row([Cell::text("loaded"), each(resident(&one), resident(&many))]);
    for (app, copies) in [(&one, 1), (&many, COPIES)] {
        for copy in 0..copies {
            let path = format!("/{copy}");
            let target = Target::get(authority(app)?, &path, HELLO.1);
            runtime
                .block_on(async { Load::open(&target, 1).await?.run(Until::Requests(1)).await })?;
        }
    }
    table.row([
        Cell::text("after it has answered"),
        each(resident(&one), resident(&many)),
    ]);
    table.note(format!(
        "Of {COPIES} components with different code in one process, each on a route of its own."
    ));
    Ok(table)
}

impl Surroundings {
    fn start(&self, variant: &Variant) -> Result<App> {
        self.start_in(variant, None)
    }

    fn start_in(&self, variant: &Variant, state: Option<&Path>) -> Result<App> {
        let manifest = self.manifest(variant)?;
        let runtime = match variant.under_spin {
            true => Runtime::spin().context("there is no Spin")?,
            false => Runtime::Ours,
        };
        let nucleus = format!("http://{}", self.mesh.authority);
        let variables = match variant.guest {
            Guest::Hello => Vec::new(),
            Guest::Gateway => vec![
                ("nucleus_url", nucleus.as_str()),
                ("gateway_token", self.gateway_token.as_str()),
            ],
        };
        Ok(App::in_folder(&runtime, &manifest, &variables, &[], state))
    }

    fn target(&self, variant: &Variant, app: &App) -> Result<Target> {
        let authority = authority(app)?;
        Ok(match variant.guest {
            Guest::Hello => Target::get(authority, HELLO.0, HELLO.1),
            Guest::Gateway => Target::message(
                authority,
                &format!("/agents/{}", agent::NAME),
                Some(&self.token),
            ),
        })
    }

    /// The manifest of one component alone.
    fn manifest(&self, variant: &Variant) -> Result<PathBuf> {
        let (file, settings) = match variant.guest {
            Guest::Hello => ("guests/hello.wasm", ""),
            Guest::Gateway => (
                "gateway.wasm",
                "allowed_outbound_hosts = [\"{{ nucleus_url }}\"]\n\
                 [component.guest.variables]\n\
                 nucleus_url = \"{{ nucleus_url }}\"\n\
                 gateway_token = \"{{ gateway_token }}\"\n\
                 body_max = \"4194304\"\n\
                 [variables]\n\
                 nucleus_url = { required = true }\n\
                 gateway_token = { required = true, secret = true }\n",
            ),
        };
        let source = kgents_tests::components().join(file);
        let reuse = variant.reuse.map_or_else(String::new, |reuse| {
            format!("[component.guest.tool.kgents]\nreuse = {reuse}\n")
        });
        let text = format!(
            "spin_manifest_version = 2\n[application]\nname = \"measured\"\n\
             [[trigger.http]]\nroute = \"/...\"\ncomponent = \"guest\"\n\
             [component.guest]\nsource = {:?}\n{settings}{reuse}",
            source.display().to_string()
        );
        let folder = self.work.join(variant.name.replace([',', ' '], "-"));
        write(&folder, &text)
    }

    /// An application of so many components with different code: each has a custom
    /// section of its own at its end.
    fn copies(&self, count: usize) -> Result<PathBuf> {
        let hello = std::fs::read(kgents_tests::components().join("guests/hello.wasm"))?;
        let folder = self.work.join(format!("copies-{count}"));
        std::fs::create_dir_all(&folder)?;
        let mut text = "spin_manifest_version = 2\n[application]\nname = \"copies\"\n".to_owned();
        for copy in 0..count {
            let mut bytes = hello.clone();
            // Custom section: id 0, size, length of its name, its name.
            let name = format!("copy{copy:04}");
            let length = u8::try_from(name.len())?;
            bytes.extend([0, length + 1, length]);
            bytes.extend(name.as_bytes());
            std::fs::write(folder.join(format!("{copy}.wasm")), bytes)?;
            text.push_str(&format!(
                "[[trigger.http]]\nroute = \"/{copy}\"\ncomponent = \"c{copy}\"\n\
                 [component.c{copy}]\nsource = \"{copy}.wasm\"\n"
            ));
        }
        write(&folder, &text)
    }
}

fn write(folder: &Path, manifest: &str) -> Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    let path = folder.join("spin.toml");
    std::fs::write(&path, manifest)?;
    Ok(path)
}

fn authority(app: &App) -> Result<&str> {
    app.url()
        .strip_prefix("http://")
        .context("a URL without http://")
}
