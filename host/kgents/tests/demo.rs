//! The demo as people run it: the real binary, its own mesh, nothing left over.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where something is not as it should be"
)]

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// `kgents demo` with folders of its own for everything.
fn demo(home: &Path, arguments: &[&str]) -> Command {
    let scratch = home.join("tmp");
    std::fs::create_dir_all(&scratch).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_kgents"));
    command
        .arg("demo")
        .args(arguments)
        .env("USER", "ada")
        .env("TMPDIR", &scratch)
        .env("XDG_DATA_HOME", home.join("data"))
        // Nowhere is a model, so that the test is the same on every machine.
        .env("XDG_CACHE_HOME", home.join("cache"))
        .env_remove("KGENTS_DATA")
        .current_dir(home);
    command
}

fn left_over(home: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(home.join("tmp")).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn the_demo_keeps_every_promise_and_leaves_nothing() {
    let home = tempfile::tempdir().unwrap();
    let output = demo(home.path(), &["--output", "json"]).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let problems: Vec<&Value> = report["steps"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|step| step["ok"] != true)
        .collect();
    assert!(problems.is_empty(), "{problems:#?}");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(report["ok"], true);
    assert_eq!(report["encoder"], Value::Null);
    assert!(report["steps"].as_array().unwrap().len() >= 15);
    assert_eq!(left_over(home.path()), [""; 0]);
}

#[test]
fn every_step_is_told_in_words_without_a_colour_when_piped() {
    let home = tempfile::tempdir().unwrap();
    let output = demo(home.path(), &[]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    for part in [
        "$ kgents call b-gent \"allocate 2000 tokens to translation\"",
        "allowed by operator",
        "refused:",
        "changed or damaged at",
        "went as promised",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains('\u{1b}'), "{text:?}");
}

#[test]
fn a_demo_that_cannot_start_says_why_and_leaves_nothing() {
    let home = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = demo(home.path(), &["--listen", &address]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains(&address), "{error}");
    assert_eq!(left_over(home.path()), [""; 0]);
}

#[cfg(unix)]
#[test]
fn an_interrupted_demo_stops_its_mesh_and_leaves_nothing() {
    let home = tempfile::tempdir().unwrap();
    let mut child = demo(home.path(), &[])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let told = lines
        .find_map(|line| {
            let line = line.unwrap();
            line.contains(" listens on ").then_some(line)
        })
        .unwrap();
    let mesh = told.split_whitespace().nth(1).unwrap().to_owned();
    let signalled = Command::new("sh")
        .args(["-c", "kill -TERM \"$1\"", "sh", &child.id().to_string()])
        .status()
        .unwrap();
    // It may have come to its end by itself, on a machine that fast.
    if signalled.success() {
        lines.for_each(drop);
    }
    let output = child.wait_with_output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 1)));
    assert_eq!(left_over(home.path()), [""; 0]);
    let lives = Command::new("sh")
        .args(["-c", "kill -0 \"$1\" 2>/dev/null", "sh", &mesh])
        .status()
        .unwrap();
    assert!(!lives.success(), "process {mesh} lives on");
}
