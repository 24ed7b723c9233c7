//! The audit log: durable records a second beside a bare append-and-sync loop
//! on the same disk, what an append costs, and how fast a trail is verified.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use kgents_audit::event::Spec;
use kgents_audit::{
    Action, Agent, AgentAuditEvent, Config, Decision, DecisionOutcome, Error, FsDisk, Keys, Log,
    Outcome, Position, Record, Recovery, Routing, Trace, event_name, timestamp, verify,
};
use rustix::time::{ClockId, clock_gettime};

use crate::Settings;
use crate::table::{Cell, Table};
use crate::timing::{Times, nanoseconds};

/// Measures 1, 64 and 256 writers, each waiting for its own record.
///
/// # Errors
/// What the disk says.
pub fn run(settings: &Settings) -> Result<Vec<Table>> {
    let time = Duration::from_millis(if settings.quick { 400 } else { 4_000 });
    let bare_folder = settings.work.join("bare");
    let bare = bare_sync(&bare_folder, time)?;
    // The mean, as for the writers: some syncs take many times the usual.
    let bare_rate = 1.0 / bare.mean().as_secs_f64();
    let mut durable = Table::new(
        "Audit: durable records, each writer waiting for its own",
        &["", "records/s", "times bare", "CPU µs/record"],
    );
    durable.row([
        Cell::text("peer: bare append and sync, one after another"),
        Cell::Number(bare_rate, 0),
        Cell::Number(1.0, 1),
        Cell::Missing,
    ]);
    let mut trail = Table::new(
        "Audit: a trail read back",
        &["", "records", "ms", "records/s"],
    );
    for writers in [1_usize, 64, 256] {
        let folder = settings.work.join(format!("log-{writers}"));
        let (rate, cpu) = durable_records(&folder, writers, time)?;
        durable.row([
            Cell::text(format!("{writers} writers")),
            Cell::Number(rate, 0),
            Cell::Number(rate / bare_rate, 1),
            Cell::Number(cpu, 1),
        ]);
        read_back(&mut trail, &folder)?;
    }
    durable.note(format!(
        "A record is {} bytes. Appending one takes {:.2} µs of CPU on the thread that calls; \
         the rest is waking, hashing, writing and signing. A bare loop has one record a sync.",
        outcome(0).0,
        append_cost(
            &settings.work.join("append"),
            if settings.quick { 4 } else { 40 }
        )?
    ));
    Ok(vec![durable, trail])
}

/// One record a sync, one after another: how long each takes on the disk of
/// `folder`, without a log.
///
/// # Errors
/// What the disk says.
pub fn bare_sync(folder: &Path, time: Duration) -> Result<Times> {
    std::fs::create_dir_all(folder)?;
    let mut file = OpenOptions::new()
        .create_new(true)
        .append(true)
        .open(folder.join("bare"))?;
    let record = vec![b'x'; outcome(0).0];
    let mut spent = Vec::new();
    let began = Instant::now();
    while began.elapsed() < time {
        let one = Instant::now();
        file.write_all(&record)?;
        file.sync_data()?;
        spent.push(nanoseconds(one.elapsed()));
    }
    Ok(Times::of(spent))
}

/// Microseconds of CPU that `append` takes on the thread that calls it.
fn append_cost(folder: &Path, rounds: u32) -> Result<f64> {
    let (log, _) = open(folder)?;
    let records: Vec<Record> = (0..2_000).map(|number| outcome(number).1).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let mut spent = Duration::ZERO;
    for _ in 0..rounds {
        let before = cpu(ClockId::ThreadCPUTime);
        let mut last = Position::START;
        for record in &records {
            last = log.append(record)?;
        }
        spent += cpu(ClockId::ThreadCPUTime).saturating_sub(before);
        runtime.block_on(log.durable(last))?;
    }
    Ok(spent.as_secs_f64() * 1e6 / f64::from(rounds) / records.len() as f64)
}

/// Durable records a second, and the process's CPU microseconds for one.
fn durable_records(folder: &Path, writers: usize, time: Duration) -> Result<(f64, f64)> {
    let (log, _) = open(folder)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()?;
    let before = cpu(ClockId::ProcessCPUTime);
    let began = Instant::now();
    let tasks: Vec<_> = (0..writers)
        .map(|writer| {
            let log = log.clone();
            runtime.spawn(async move {
                let (_, record) = outcome(writer);
                while began.elapsed() < time {
                    log.durable(log.append(&record)?).await?;
                }
                Ok::<_, Error>(())
            })
        })
        .collect();
    for task in tasks {
        runtime.block_on(task)??;
    }
    let took = began.elapsed().as_secs_f64();
    let spent = cpu(ClockId::ProcessCPUTime).saturating_sub(before);
    let records = log.records() as f64;
    runtime.block_on(log.close())?;
    Ok((records / took, spent.as_secs_f64() * 1e6 / records))
}

fn read_back(table: &mut Table, folder: &Path) -> Result<()> {
    let mut row = |name: &str, records: u64, took: Duration| {
        table.row([
            Cell::text(name),
            Cell::Number(records as f64, 0),
            Cell::Number(took.as_secs_f64() * 1e3, 1),
            Cell::Number(records as f64 / took.as_secs_f64(), 0),
        ]);
    };
    let began = Instant::now();
    let report = verify(folder)?;
    let took = began.elapsed();
    ensure!(
        report.ok,
        "the trail does not verify: {:?}",
        report.first_bad
    );
    row("verify", report.events, took);
    let began = Instant::now();
    let (log, recovery) = open(folder)?;
    row("open at start", recovery.records, began.elapsed());
    drop(log);
    Ok(())
}

fn open(folder: &Path) -> Result<(Log, Recovery), Error> {
    let now_ms = || {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    };
    let config = Config::new("measure", Arc::new(now_ms));
    let keys = Keys::from_secrets([1; 32], &[2; 32]);
    Log::open(Arc::new(FsDisk::open(folder)?), config, keys)
}

/// CPU time. The kernel's files will not do here: they lag by up to a tick,
/// which is longer than what is measured.
fn cpu(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(seconds, nanoseconds)
}

/// A record as a call leaves it, and how many bytes of JSON it is.
fn outcome(number: usize) -> (usize, Record) {
    let at = 1_765_463_452_123;
    let spec = Spec {
        timestamp: timestamp(at),
        agent: Agent {
            name: "b-gent".into(),
            svid: "spiffe://kgents.io/agents/b-gent".into(),
            cluster: "measure".into(),
        },
        action: Action {
            kind: "INVOKE".into(),
            target: "l-gent".into(),
            method: "SendMessage".into(),
            operation: None,
            input_hash: format!("hmac-sha256:{number:064x}"),
        },
        decision: Decision {
            outcome: DecisionOutcome::Allowed,
            policy: "allow-l-gent".into(),
            policies_checked: vec!["operator".into(), "allow-l-gent".into()],
            latency_ms: 47,
            reason: None,
        },
        routing: Some(Routing {
            method: "exact".into(),
            confidence: 0.93,
            fallback: false,
        }),
        trace: Trace {
            trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".into(),
            span_id: "00f067aa0ba902b7".into(),
        },
    };
    let [_, _, _, a, b, c, d, e] = (number as u64).to_be_bytes();
    let event = AgentAuditEvent::new(event_name(at, [a, b, c, d, e]), spec);
    let record = Record::Outcome(Outcome {
        event,
        carried: None,
    });
    let bytes = serde_json::to_vec(&record).map_or(0, |json| json.len());
    (bytes, record)
}
