//! What takes the whole log to test: crashes, failing disks, tampering, many
//! callers at once.

mod callers;
mod crash;
mod faults;
mod kill;
mod tamper;

use std::sync::Arc;

use crate::chain;
use crate::event::Spec;
use crate::frame;
use crate::record::Glance;
use crate::recovery::recover;
use crate::replay::replay;
use crate::simulation::SimDisk;
use crate::store::{Group, Store};
use crate::{
    Action, Agent, AgentAuditEvent, Config, Decision, DecisionOutcome, Disk, Error, Intent, Keys,
    Log, Outcome, Position, Record, Recovery, Report, Routing, Trace, verify_disk,
};

fn keys() -> Keys {
    Keys::from_secrets([1; 32], &[2; 32])
}

/// Small segments, so that there are several; a head after each group.
fn config() -> Config {
    Config {
        segment_bytes: 4_000,
        head_ms: 0,
        ..Config::new("eu-1", Arc::new(|| 1_765_463_452_123))
    }
}

fn name(number: usize) -> String {
    format!("evt-2025-12-11-143052-{number:010x}")
}

fn intent(number: usize) -> Record {
    Record::Intent(Intent {
        event: name(number),
        timestamp_ms: 1_765_463_452_123,
        svid: "spiffe://kgents.io/agents/b-gent".into(),
        action: "INVOKE".into(),
        target: "l-gent".into(),
        carried: None,
    })
}

fn outcome(number: usize) -> Record {
    let spec = Spec {
        timestamp: "2025-12-11T14:30:52.123Z".into(),
        agent: Agent {
            name: "b-gent".into(),
            svid: "spiffe://kgents.io/agents/b-gent".into(),
            cluster: "eu-1".into(),
        },
        action: Action {
            kind: "INVOKE".into(),
            target: "l-gent".into(),
            method: "SendMessage".into(),
            operation: None,
            input_hash: keys().input_hash(&number.to_le_bytes()),
        },
        decision: Decision {
            outcome: DecisionOutcome::Allowed,
            policy: "default-allow".into(),
            policies_checked: vec!["default-allow".into()],
            latency_ms: 47,
            reason: None,
        },
        routing: Some(Routing {
            method: "exact".into(),
            confidence: 1.0,
            fallback: false,
        }),
        trace: Trace {
            trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".into(),
            span_id: "00f067aa0ba902b7".into(),
        },
    };
    Record::Outcome(Outcome {
        event: AgentAuditEvent::new(name(number), spec),
        carried: None,
    })
}

/// The record number `index` of every test's log: intents at even places, each
/// with its outcome behind it.
fn record(index: usize) -> Record {
    match index % 2 {
        0 => intent(index / 2),
        _ => outcome(index / 2),
    }
}

fn json(record: &Record) -> String {
    serde_json::to_string(record).unwrap()
}

/// A group of the records `from..to`.
fn group(from: usize, to: usize) -> Group {
    let mut group = Group::default();
    for index in from..to {
        let record = record(index);
        let mut framed = Vec::new();
        frame::encode_record(json(&record).as_bytes(), &mut framed);
        group.push(&framed, Glance::of(&record));
    }
    group
}

fn arc(disk: &SimDisk) -> Arc<dyn Disk> {
    Arc::new(disk.clone())
}

fn open_store(disk: &SimDisk) -> Result<(Store, Recovery), Error> {
    recover(&arc(disk), config(), &keys())
}

fn open_log(disk: &SimDisk) -> (Log, Recovery) {
    Log::open(arc(disk), config(), keys()).unwrap()
}

/// All records of the log, as JSON.
fn all(disk: &SimDisk) -> Vec<String> {
    let records = replay(arc(disk), Position::START).unwrap();
    let mut expected = 0;
    let check = |found: Result<(Position, Record), Error>| {
        let (position, record) = found.unwrap();
        assert_eq!(position.index(), expected);
        expected += 1;
        json(&record)
    };
    records.map(check).collect()
}

fn verified(disk: &SimDisk) -> Report {
    let report = verify_disk(disk, None).unwrap();
    assert!(report.ok, "{report:?}");
    report
}

/// A log of `records` records in groups of three, closed, in several segments.
fn written(records: usize) -> SimDisk {
    let disk = SimDisk::new(0);
    let (mut store, _) = open_store(&disk).unwrap();
    for from in (0..records).step_by(3) {
        let mut group = group(from, records.min(from + 3));
        store.commit(&mut group).unwrap();
        store.absorb(&mut group);
        store.sign_if_due().unwrap();
    }
    store.sign().unwrap();
    disk
}

fn segments(disk: &SimDisk) -> usize {
    chain::load(disk).unwrap().links.len()
}
