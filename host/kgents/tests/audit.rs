//! The audit commands against a trail that the audit crate wrote.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where something is not as it should be"
)]

#[allow(dead_code, reason = "the fake mesh itself is used by other tests")]
mod fake;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fake::kgents;
use kgents_audit::{Config, FsDisk, Keys, Log, Record};
use serde_json::{Value, json};

fn record(name: &str, outcome: Option<&str>) -> Record {
    let record = match outcome {
        None => json!({"intent": {"event": name, "timestamp_ms": 60_000,
            "svid": "spiffe://m/users/ada", "action": "INVOKE", "target": "b-gent"}}),
        Some(outcome) => json!({"outcome": {"event": {
            "apiVersion": "audit.kgents.io/v1", "kind": "AgentAuditEvent", "metadata": {"name": name},
            "spec": {"timestamp": "1970-01-01T00:01:00.000Z",
                "agent": {"name": "ada", "svid": "spiffe://m/users/ada", "cluster": "local"},
                "action": {"type": "INVOKE", "target": "b-gent", "method": "SendMessage", "input_hash": "h"},
                "decision": {"outcome": outcome, "policy": "operator", "policies_checked": [], "latency_ms": 12},
                "trace": {"trace_id": "0", "span_id": "1"}}}}}),
    };
    Record::decode(record.to_string().as_bytes()).unwrap()
}

/// A data folder with three events and an intent that was cut off.
fn trail() -> tempfile::TempDir {
    let data = tempfile::tempdir().unwrap();
    let disk = Arc::new(FsDisk::open(&data.path().join("audit")).unwrap());
    let keys = Keys::from_secrets([7; 32], &[8; 32]);
    let (log, _) = Log::open(disk, Config::new("local", Arc::new(|| 60_000)), keys).unwrap();
    for (name, outcome) in [
        ("evt-1", Some("ALLOWED")),
        ("evt-2", Some("DENIED")),
        ("evt-lost", None),
        ("evt-3", Some("FAILED")),
    ] {
        log.append(&record(name, None)).unwrap();
        if outcome.is_some() {
            log.append(&record(name, outcome)).unwrap();
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(log.close()).unwrap();
    data
}

fn run(data: &Path, arguments: &[&str]) -> (i32, String) {
    let output = kgents(data, arguments);
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
    )
}

/// The file of the trail that holds `needle`, and where.
fn find(dir: &Path, needle: &[u8]) -> (PathBuf, Vec<u8>, usize) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        if let Some(at) = bytes
            .windows(needle.len())
            .position(|window| window == needle)
        {
            return (path, bytes, at);
        }
    }
    panic!("not in the trail");
}

#[test]
fn a_trail_that_holds_is_counted_and_shown() {
    let data = trail();
    let (code, text) = run(data.path(), &["audit", "verify", "--output", "json"]);
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(code, 0);
    assert_eq!(
        (&report["ok"], &report["events"], &report["unknown"]),
        (&json!(true), &json!(3), &json!(1))
    );
    assert!(report["head"].is_object());
    let (_, text) = run(data.path(), &["audit", "tail", "-n", "2"]);
    let words: Vec<bool> = text
        .lines()
        .zip([
            "unknown  INVOKE ada → b-gent",
            "failed   INVOKE ada → b-gent  by operator · 12 ms · evt-3",
        ])
        .map(|(line, expected)| line.ends_with(expected))
        .collect();
    assert_eq!(words, [true, true], "{text}");
    let (_, text) = run(data.path(), &["audit", "tail", "--output", "json"]);
    let tail: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(tail["events"].as_array().unwrap().len(), 4);
    assert_eq!(tail["events"][1]["spec"]["decision"]["outcome"], "DENIED");
    assert_eq!(tail["events"][2]["outcome"], "unknown");
}

#[test]
fn a_trail_that_was_changed_is_1_and_names_the_first_bad_event() {
    let data = trail();
    let (path, mut bytes, at) = find(&data.path().join("audit"), b"DENIED");
    bytes[at..at + 6].copy_from_slice(b"FAILED");
    std::fs::write(path, bytes).unwrap();
    let (code, text) = run(data.path(), &["audit", "verify", "--output", "json"]);
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &report["ok"]), (1, &json!(false)));
    assert_eq!(report["first_bad"]["event"], "evt-2");
    let (code, text) = run(data.path(), &["audit", "verify"]);
    assert_eq!(code, 1);
    assert!(text.starts_with("changed or damaged at evt-2\n"), "{text}");
    assert_eq!(run(data.path(), &["check"]).0, 1);
}

#[test]
fn another_key_than_the_trusted_one_is_found() {
    let data = trail();
    let stored = std::fs::read_dir(data.path().join("audit"))
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap_or_default())
        .find(|text| text.starts_with("kgents/local/audit+"))
        .unwrap();
    let key = data.path().join("trusted");
    let verify = |text: &str| {
        std::fs::write(&key, text).unwrap();
        run(data.path(), &["audit", "verify", "--key", "trusted"]).0
    };
    assert_eq!(verify(&stored), 0);
    assert_eq!(verify("no key"), 2);
    let other = Keys::from_secrets([9; 32], &[8; 32]);
    let elsewhere = tempfile::tempdir().unwrap();
    let disk = Arc::new(FsDisk::open(elsewhere.path()).unwrap());
    drop(Log::open(disk, Config::new("local", Arc::new(|| 0)), other).unwrap());
    let (_, bytes, _) = find(elsewhere.path(), b"kgents/local/audit+");
    assert_eq!(verify(&String::from_utf8(bytes).unwrap()), 1);
}

#[test]
fn a_folder_without_a_trail_is_said_to_have_none() {
    let data = tempfile::tempdir().unwrap();
    let output = kgents(data.path(), &["audit", "verify"]);
    assert_eq!(output.status.code(), Some(1));
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(
        words.contains("holds no audit log") && words.contains("hint:"),
        "{words}"
    );
}
