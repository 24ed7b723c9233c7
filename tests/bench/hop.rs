//! The hop: an agent called through the mesh beside the same agent called
//! directly, in turns, so that both see the same machine.

use std::time::Duration;

use anyhow::Result;

use crate::agent::{self, Agent};
use crate::audit::bare_sync;
use crate::load::{Load, Round, Target, Until};
use crate::mesh::{Mesh, Place};
use crate::table::{Cell, Table};
use crate::timing::{Times, microseconds};
use crate::{Settings, process};

/// Name of the agent whose answers are tasks, of which the mesh remembers the
/// owner.
const TASKS: &str = "tasks";

/// What is called in one row of the table.
struct Case {
    name: String,
    connections: usize,
    agent: &'static str,
    path: &'static str,
}

/// How long is measured.
struct Plan {
    warm_up: Duration,
    round: Duration,
    rounds: u32,
}

/// One side of a comparison, over all its rounds.
#[derive(Default)]
struct Side {
    took: Duration,
    nanoseconds: Vec<u32>,
    mesh: Option<Duration>,
    agent: Option<Duration>,
}

/// Measures at 1, 32 and 256 connections.
///
/// # Errors
/// When mesh or agent do not start, or answer wrongly.
pub fn run(settings: &Settings) -> Result<Vec<Table>> {
    let plan = if settings.quick {
        Plan {
            warm_up: Duration::from_millis(200),
            round: Duration::from_millis(500),
            rounds: 2,
        }
    } else {
        Plan {
            warm_up: Duration::from_secs(1),
            round: Duration::from_secs(2),
            rounds: 5,
        }
    };
    let sync = bare_sync(&settings.work.join("bare"), plan.round)?;
    let agent = Agent::start()?;
    let mesh = Place::new(&settings.work)?.up()?;
    for (name, path) in [(agent::NAME, agent::MESSAGES), (TASKS, agent::TASKS)] {
        mesh.add(name, &agent::card_of(name, &agent.authority, path))?;
    }
    let mut table = Table::new(
        "One hop beside a direct call to the same agent",
        &[
            "connections",
            "direct req/s",
            "direct p50 µs",
            "direct p99 µs",
            "hop req/s",
            "hop p50 µs",
            "hop p99 µs",
            "hop / direct req/s",
            "mesh CPU µs/req",
            "agent CPU µs/req",
        ],
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let token = mesh.token()?;
    for case in cases() {
        let (direct, hop) = runtime.block_on(compare(&case, &plan, &agent, &mesh, &token))?;
        table.row(cells(&case, direct, hop));
    }
    mesh.stop()?;
    table.note(format!(
        "Every hop waits until its audit record is on the disk: one bare append and sync takes {:.0} µs here (p50). \
         Generator, agent and mesh share the machine.",
        sync.median().as_secs_f64() * 1e6
    ));
    table.note(
        "Limit: one plaintext agentgateway hop, which records nothing, costs 54 to 68 µs of CPU at 32 connections on 2 cores.",
    );
    Ok(vec![table])
}

fn cases() -> Vec<Case> {
    let messages = [1, 32, 256].map(|connections| Case {
        name: connections.to_string(),
        connections,
        agent: agent::NAME,
        path: agent::MESSAGES,
    });
    let tasks = Case {
        name: "32, each a new task".to_owned(),
        connections: 32,
        agent: TASKS,
        path: agent::TASKS,
    };
    messages.into_iter().chain([tasks]).collect()
}

async fn compare(
    case: &Case,
    plan: &Plan,
    agent: &Agent,
    mesh: &Mesh,
    token: &str,
) -> Result<(Side, Side)> {
    let path = format!("/agents/{}", case.agent);
    let targets = [
        Target::message(&agent.authority, case.path, None),
        Target::message(&mesh.authority, &path, Some(token)),
    ];
    let [direct, hop] = &targets;
    let mut direct = Load::open(direct, case.connections).await?;
    let mut hop = Load::open(hop, case.connections).await?;
    let mut sides = (Side::default(), Side::default());
    for load in [&mut direct, &mut hop] {
        load.run(Until::Time(plan.warm_up)).await?;
    }
    for _ in 0..plan.rounds {
        let pids = (mesh.pid(), agent.pid());
        sides.0.take(&mut direct, plan.round, pids).await?;
        sides.1.take(&mut hop, plan.round, pids).await?;
    }
    Ok(sides)
}

impl Side {
    /// One round, with the processor time of mesh and agent during it.
    async fn take(
        &mut self,
        load: &mut Load,
        time: Duration,
        (mesh, agent): (u32, u32),
    ) -> Result<()> {
        let before = (process::cpu(mesh), process::cpu(agent));
        let Round { took, nanoseconds } = load.run(Until::Time(time)).await?;
        let spent = |before: Option<Duration>, pid| {
            before.and_then(|before| process::cpu(pid)?.checked_sub(before))
        };
        let add = |sum: &mut Option<Duration>, more: Option<Duration>| {
            *sum = more.map(|more| sum.unwrap_or_default() + more);
        };
        add(&mut self.mesh, spent(before.0, mesh));
        add(&mut self.agent, spent(before.1, agent));
        self.took += took;
        self.nanoseconds.extend(nanoseconds);
        Ok(())
    }

    fn requests(&self) -> f64 {
        self.nanoseconds.len() as f64
    }

    fn rate(&self) -> f64 {
        self.requests() / self.took.as_secs_f64()
    }

    fn a_request(&self, cpu: Option<Duration>) -> Cell {
        cpu.map_or(Cell::Missing, |cpu| {
            Cell::Number(cpu.as_secs_f64() * 1e6 / self.requests(), 1)
        })
    }
}

fn cells(case: &Case, direct: Side, hop: Side) -> Vec<Cell> {
    let ratio = hop.rate() / direct.rate();
    let rates = (direct.rate(), hop.rate());
    let mesh = hop.a_request(hop.mesh);
    let agent = direct.a_request(direct.agent);
    let (direct, hop) = (Times::of(direct.nanoseconds), Times::of(hop.nanoseconds));
    vec![
        Cell::text(case.name.as_str()),
        Cell::Number(rates.0, 0),
        microseconds(direct.median(), 0),
        microseconds(direct.quantile(0.99), 0),
        Cell::Number(rates.1, 0),
        microseconds(hop.median(), 0),
        microseconds(hop.quantile(0.99), 0),
        Cell::Number(ratio, 2),
        mesh,
        agent,
    ]
}
