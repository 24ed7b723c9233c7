//! What the log costs: durable events a second beside a bare write-and-sync
//! loop, the CPU time of an append, and events verified a second.
//!
//! `cargo run --release -p kgents-audit --example measure [FOLDER]`

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kgents_audit::event::Spec;
use kgents_audit::{
    Action, Agent, AgentAuditEvent, Config, Decision, DecisionOutcome, Error, FsDisk, Keys, Log,
    Outcome, Position, Record, Routing, Trace, event_name, timestamp, verify,
};

use rustix::time::{ClockId, clock_gettime};

/// How long each figure is taken.
const FOR: Duration = Duration::from_secs(4);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let work = Path::new(&folder).join(format!("audit-measure-{}", std::process::id()));
    std::fs::create_dir_all(&work)?;
    let sample = serde_json::to_vec(&outcome(0))?.len();
    println!(
        "a record is {sample} bytes; each figure takes {} s",
        FOR.as_secs()
    );
    let measured = measure(&work, sample);
    std::fs::remove_dir_all(&work)?;
    measured
}

fn measure(work: &Path, sample: usize) -> Result<(), Box<dyn std::error::Error>> {
    let bare = bare_loop(&work.join("bare"), sample)?;
    println!("bare append + fdatasync   {bare:>9.0} /s");
    append_cost(work)?;
    for writers in [1_usize, 64, 256] {
        let dir = work.join(format!("log-{writers}"));
        let (durable, cpu) = durable_events(&dir, writers)?;
        println!(
            "durable, {writers:>3} writers      {durable:>9.0} /s   {:>6.1} x bare   {cpu:.1} CPU µs a record, all threads",
            durable / bare
        );
        let started = Instant::now();
        let report = verify(&dir)?;
        let took = started.elapsed().as_secs_f64();
        let rate = report.events as f64 / took;
        println!(
            "verify {:>8} events    {rate:>9.0} /s   ok: {}, first bad: {:?}",
            report.events, report.ok, report.first_bad
        );
        let started = Instant::now();
        let (log, recovery) = open(&dir)?;
        println!(
            "open {:>8} records      {:>9.1} ms",
            recovery.records,
            started.elapsed().as_secs_f64() * 1e3
        );
        drop(log);
    }
    Ok(())
}

/// One writer, one record a sync: what the disk gives without a log.
fn bare_loop(path: &Path, bytes: usize) -> std::io::Result<f64> {
    let mut file = OpenOptions::new()
        .create_new(true)
        .append(true)
        .open(path)?;
    let record = vec![b'x'; bytes];
    let started = Instant::now();
    let mut count = 0.0;
    while started.elapsed() < FOR {
        file.write_all(&record)?;
        file.sync_data()?;
        count += 1.0;
    }
    Ok(count / started.elapsed().as_secs_f64())
}

/// CPU time of `append` alone, on the thread that calls it.
fn append_cost(work: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let (log, _) = open(&work.join("append"))?;
    let records: Vec<Record> = (0..2_000).map(outcome).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let mut spent = 0;
    let mut count = 0;
    for _ in 0..40 {
        let before = cpu_ns(ClockId::ThreadCPUTime);
        let mut last = Position::START;
        for record in &records {
            last = log.append(record)?;
        }
        spent += cpu_ns(ClockId::ThreadCPUTime).saturating_sub(before);
        count += records.len();
        runtime.block_on(log.durable(last))?;
    }
    println!(
        "append                    {:>9.2} CPU µs",
        spent as f64 / count as f64 / 1e3
    );
    Ok(())
}

/// Durable records a second, each writer waiting for its own before the next,
/// and the process's CPU time for one.
fn durable_events(dir: &Path, writers: usize) -> Result<(f64, f64), Box<dyn std::error::Error>> {
    let (log, _) = open(dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()?;
    let cpu = cpu_ns(ClockId::ProcessCPUTime);
    let started = Instant::now();
    let tasks: Vec<_> = (0..writers)
        .map(|writer| {
            let log = log.clone();
            runtime.spawn(async move {
                let record = outcome(writer);
                while started.elapsed() < FOR {
                    log.durable(log.append(&record)?).await?;
                }
                Ok::<_, Error>(())
            })
        })
        .collect();
    for task in tasks {
        runtime.block_on(task)??;
    }
    let took = started.elapsed().as_secs_f64();
    let cpu = cpu_ns(ClockId::ProcessCPUTime).saturating_sub(cpu);
    let records = log.records() as f64;
    runtime.block_on(log.close())?;
    Ok((records / took, cpu as f64 / records / 1e3))
}

fn open(dir: &Path) -> Result<(Log, kgents_audit::Recovery), Error> {
    let now_ms = || {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    };
    let config = Config::new("measure", Arc::new(now_ms));
    let keys = Keys::from_secrets([1; 32], &[2; 32]);
    Log::open(Arc::new(FsDisk::open(dir)?), config, keys)
}

/// Nanoseconds of CPU time. The kernel's per-thread files will not do: they lag
/// by up to a tick, which is longer than what is measured.
fn cpu_ns(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    let nanoseconds = time
        .tv_sec
        .saturating_mul(1_000_000_000)
        .saturating_add(time.tv_nsec);
    u64::try_from(nanoseconds).unwrap_or(0)
}

fn outcome(number: usize) -> Record {
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
    Record::Outcome(Outcome {
        event,
        carried: None,
    })
}
