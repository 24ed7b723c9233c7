//! The router commands: over files, and against a mesh that answers as it is told.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where something is not as it should be"
)]

#[allow(dead_code, reason = "other tests need more of it")]
mod fake;

use std::path::{Path, PathBuf};
use std::process::Output;

use fake::{FakeMesh, Reply, kgents};
use serde_json::{Value, json};

/// Routes with four questions each, and what nobody there does.
const TAUGHT: [(&str, [&str; 4]); 3] = [
    (
        "book flight",
        [
            "book me a flight to rome",
            "i need a plane ticket to oslo",
            "find flights to lisbon for monday",
            "reserve a seat on the flight to berlin",
        ],
    ),
    (
        "bank_balance",
        [
            "how much money is in my account",
            "what is my bank balance",
            "show me the balance of my savings",
            "tell me how much i have in checking",
        ],
    ),
    (
        "weather",
        [
            "will it rain tomorrow",
            "what is the weather in paris",
            "how warm is it outside",
            "is it going to snow this weekend",
        ],
    ),
];

fn line(query: &str, route: Option<&str>) -> String {
    format!("{}\n", json!({ "query": query, "route": route }))
}

/// A folder with files for training and asking.
fn files() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let (train, data) = (
        dir.path().join("train.jsonl"),
        dir.path().join("data.jsonl"),
    );
    let lines = TAUGHT.iter().flat_map(|(route, queries)| {
        let line = |query: &&str| line(query, Some(route));
        queries.iter().map(line).collect::<Vec<_>>()
    });
    std::fs::write(&train, lines.collect::<String>()).unwrap();
    let asked = [
        line("please book a flight to madrid", Some("book flight")),
        line("is there rain in rome tomorrow", Some("weather")),
        line("my bank account balance please", Some("bank_balance")),
        line("who painted the night watch", None),
    ];
    std::fs::write(&data, asked.concat()).unwrap();
    (dir, train, data)
}

/// Runs without a language model, wherever the tests run.
fn run(dir: &Path, arguments: &[&str]) -> Output {
    kgents(dir, arguments)
}

fn parsed(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn questions_are_measured_without_a_mesh() {
    let (dir, train, data) = files();
    for tier in ["static", "search"] {
        let output = run(
            dir.path(),
            &[
                "router",
                "eval",
                "--train",
                path(&train),
                "--data",
                path(&data),
                "--tier",
                tier,
                "--output",
                "json",
            ],
        );
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let told = parsed(&output);
        for figure in [
            "accuracy",
            "macro_f1",
            "oos_auroc",
            "oos_f1",
            "fpr95",
            "ece",
            "us_per_query",
        ] {
            assert!(told[figure].is_number(), "{tier}: {figure} in {told}");
        }
        assert_eq!(told["tier"], tier);
        assert_eq!(told["encoder"], json!(null));
        assert_eq!(told["counts"]["routes"], 3);
        assert_eq!(told["counts"]["out_of_scope"], 1);
        assert_eq!(told["accuracy"], 1.0, "{tier}: {told}");
        assert_eq!(told["model"].is_object(), tier == "static");
    }
}

#[test]
fn the_same_questions_give_the_same_figures() {
    let (dir, train, data) = files();
    let arguments = [
        "router",
        "eval",
        "--train",
        path(&train),
        "--data",
        path(&data),
        "--tier",
        "static",
        "-o",
        "json",
    ];
    let told = || {
        let mut told = parsed(&run(dir.path(), &arguments));
        let members = told.as_object_mut().unwrap();
        // What is a time differs.
        members.retain(|name, _| !name.starts_with("us"));
        told
    };
    assert_eq!(told(), told());
}

#[test]
fn agents_of_a_file_are_chosen_by_what_they_say_of_themselves() {
    let (dir, _, data) = files();
    let cards = dir.path().join("cards.jsonl");
    let card = |name: &str, description: &str| {
        format!("{}\n", json!({ "name": name, "description": description }))
    };
    let agents = [
        card("book flight", "Books flights and plane tickets"),
        card("bank_balance", "Tells the balance of a bank account"),
        card("weather", "Tells the weather: rain, snow and sun"),
    ];
    std::fs::write(&cards, agents.concat()).unwrap();
    let output = run(
        dir.path(),
        &[
            "router",
            "eval",
            "--cards",
            path(&cards),
            "--data",
            path(&data),
            "-o",
            "json",
        ],
    );
    let told = parsed(&output);
    assert_eq!(told["accuracy"], 1.0, "{told}");
    let output = run(
        dir.path(),
        &["router", "lint", "--cards", path(&cards), "--strict"],
    );
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("few examples  weather"), "{text}");
    let output = run(dir.path(), &["router", "lint", "--cards", path(&cards)]);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_threshold_is_fitted_and_doubted_where_there_are_few_lines() {
    let (dir, train, data) = files();
    let output = run(
        dir.path(),
        &[
            "router",
            "fit",
            "--train",
            path(&train),
            "--data",
            path(&data),
            "--tier",
            "static",
            "--target-precision",
            "0.9",
            "-o",
            "json",
        ],
    );
    let told = parsed(&output);
    let reached = told["accept"].is_number();
    assert_eq!(output.status.code(), Some(i32::from(!reached)), "{told}");
    assert!(told["warnings"].as_array().unwrap().len() >= 2, "{told}");
    assert_eq!(told["mesh_yaml"].is_string(), reached);
}

#[test]
fn what_is_wrong_with_a_file_is_told_with_file_line_and_field() {
    let (dir, train, data) = files();
    let bad = dir.path().join("bad.jsonl");
    let check = |content: &[u8], words: &[&str]| {
        std::fs::write(&bad, content).unwrap();
        for (train, data) in [(&bad, &data), (&train, &bad)] {
            let output = run(
                dir.path(),
                &[
                    "router",
                    "eval",
                    "--train",
                    path(train),
                    "--data",
                    path(data),
                    "--tier",
                    "static",
                ],
            );
            let told = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{told}");
            for word in words.iter().chain(&["bad.jsonl", "hint:"]) {
                assert!(told.contains(word), "no {word} in {told}");
            }
        }
    };
    check(b"", &["no lines"]);
    check(b"{\"query\": \"a\"\n", &["line 1", "not JSON"]);
    check(b"{\"route\": \"a\"}\n", &["line 1", "`query` is missing"]);
    check(
        b"\n{\"query\": \"a\", \"route\": 1}\n",
        &["line 2", "`route` is a number"],
    );
    check(
        b"{\"query\": \"a\", \"route\": null, \"x\": 1}",
        &["line 1", "`x`"],
    );
    check(
        b"{\"query\": \"\xff\", \"route\": null}",
        &["line 1", "UTF-8"],
    );
}

#[test]
fn a_route_that_nobody_has_is_told_before_anything_is_learnt() {
    let (dir, train, _) = files();
    let data = dir.path().join("other.jsonl");
    std::fs::write(&data, line("fly", Some("fly away"))).unwrap();
    let output = run(
        dir.path(),
        &[
            "router",
            "eval",
            "--train",
            path(&train),
            "--data",
            path(&data),
            "-o",
            "json",
        ],
    );
    let error = &parsed(&output)["error"];
    assert_eq!(error["code"], "FILE");
    assert!(
        error["message"].as_str().unwrap().contains("`fly away`"),
        "{error}"
    );
    assert!(
        error["hint"].as_str().unwrap().contains("bank_balance"),
        "{error}"
    );
}

#[test]
fn without_a_mesh_it_is_told_what_needs_none() {
    let (dir, _, data) = files();
    let output = run(dir.path(), &["router", "eval", "--data", path(&data)]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(5), "{told}");
    assert!(told.contains("--train"), "{told}");
}

#[test]
fn the_agents_of_a_running_mesh_are_asked_for_their_cards() {
    let mesh = FakeMesh::start(|seen| match seen.line.as_str() {
        "GET /v1/agents" => Reply::json(json!({"revision": 1, "agents": [
            {"name": "trips", "description": ""}, {"name": "sums", "description": ""}]})),
        line => {
            let name = line.split('/').nth(2).unwrap_or_default().to_owned();
            let examples = match name.as_str() {
                "trips" => ["plan a trip to rome", "find me a train to oslo"],
                _ => ["what is seven times eight", "add two and three"],
            };
            Reply::json(json!({
                "name": name, "description": "d", "version": "1",
                "supportedInterfaces": [{"url": "http://127.0.0.1:9/", "protocolBinding": "JSONRPC",
                                         "protocolVersion": "1.0"}],
                "skills": [{"id": "s", "name": "s", "description": "s", "tags": [], "examples": examples}],
            }))
        }
    });
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data.jsonl");
    let asked = [
        line("plan a trip to oslo", Some("trips")),
        line("add seven and two", Some("sums")),
    ];
    std::fs::write(&data, asked.concat()).unwrap();
    let output = mesh.run(&[
        "router",
        "eval",
        "--data",
        path(&data),
        "--tier",
        "static",
        "-o",
        "json",
    ]);
    let told = parsed(&output);
    assert_eq!(told["counts"]["examples"], 4, "{told}");
    assert_eq!(told["accuracy"], 1.0, "{told}");
    let lines: Vec<String> = mesh.seen().into_iter().map(|seen| seen.line).collect();
    assert_eq!(
        lines,
        [
            "GET /v1/agents",
            "GET /agents/trips/.well-known/agent-card.json",
            "GET /agents/sums/.well-known/agent-card.json"
        ]
    );
}
