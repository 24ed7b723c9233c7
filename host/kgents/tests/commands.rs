//! The binary against a mesh that answers as it is told: what is sent, what is
//! printed, how it ends.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where something is not as it should be"
)]

mod fake;

use std::process::Output;
use std::sync::atomic::{AtomicUsize, Ordering};

use fake::{FakeMesh, Reply, claim, kgents};
use serde_json::{Value, json};

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn parsed(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| panic!("{output:?}"))
}

const FOUND: &[(&str, &str)] = &[
    ("kgents-agent", "b-gent"),
    ("kgents-cluster", "local"),
    ("kgents-method", "search"),
    ("kgents-confidence", "0.9300"),
    ("kgents-fallback", "false"),
    ("kgents-event", "evt-1"),
];

fn message(text: &str) -> Value {
    json!({"message": {"messageId": "m", "role": "ROLE_AGENT", "parts": [{"text": text}]}})
}

#[test]
fn ask_sends_an_a2a_message_as_the_operator_and_prints_who_answered() {
    let mesh = FakeMesh::start(|_| Reply::result(message("1,000 tokens")).with(FOUND));
    let output = mesh.run(&["ask", "how many tokens are left?"]);
    assert_eq!(
        stdout(&output),
        "1,000 tokens\n— b-gent in local · search, 93 % sure · evt-1\n"
    );
    assert_eq!(code(&output), 0);
    let seen = &mesh.seen()[0];
    assert_eq!(seen.line, "POST /");
    assert_eq!(seen.subject, "spiffe://mesh.test/users/ada");
    assert_eq!(seen.a2a_version, "1.0");
    assert_eq!(seen.body["method"], "SendMessage");
    assert_eq!(
        seen.body["params"]["message"]["parts"][0]["text"],
        "how many tokens are left?"
    );
}

#[test]
fn ask_as_json_has_the_head_and_the_whole_result() {
    let mesh = FakeMesh::start(|_| Reply::result(message("x")).with(FOUND));
    let output = mesh.run(&["ask", "x", "--output", "json"]);
    assert_eq!(
        parsed(&output),
        json!({"agent": "b-gent", "cluster": "local", "method": "search", "confidence": 0.93,
               "fallback": false, "event": "evt-1", "result": message("x")})
    );
}

#[test]
fn an_answer_of_the_fallback_is_printed_and_exits_with_3() {
    let mesh = FakeMesh::start(|_| {
        Reply::result(message("?")).with(&[("kgents-agent", "echo"), ("kgents-fallback", "true")])
    });
    let output = mesh.run(&["ask", "x"]);
    assert_eq!(
        stdout(&output),
        "?\n— echo · the fallback, as nobody else fitted\n"
    );
    assert_eq!(code(&output), 3);
}

#[test]
fn call_sends_words_and_data_to_the_agent_named() {
    let mesh = FakeMesh::start(|_| Reply::result(message("done")));
    let output = mesh.run(&["call", "b-gent", "allocate", "--json", r#"{"tokens": 5.0}"#]);
    assert_eq!(code(&output), 0, "{output:?}");
    let seen = &mesh.seen()[0];
    assert_eq!(seen.line, "POST /agents/b-gent");
    assert_eq!(
        seen.body["params"]["message"]["parts"][1],
        json!({"data": {"tokens": 5.0}})
    );
}

#[test]
fn each_refusal_ends_with_its_exit_code_its_words_and_its_hint() {
    for (status, rpc_code, reason, exit) in [
        (401, -32050, "UNAUTHENTICATED", 4),
        (403, -32051, "DENIED", 4),
        (404, -32052, "UNKNOWN_AGENT", 1),
        (200, -32053, "NOBODY_FOUND", 3),
        (429, -32054, "BUDGET_EXHAUSTED", 1),
        (200, -32055, "UNREACHABLE", 5),
        (200, -32056, "TIMED_OUT", 5),
        (503, -32057, "UNAVAILABLE", 5),
    ] {
        let mesh = FakeMesh::start(move |_| Reply::rpc_error(status, rpc_code, reason, "no way"));
        let output = mesh.run(&["call", "b-gent", "x", "--output", "json"]);
        assert_eq!(code(&output), exit, "{reason}");
        assert_eq!(stderr(&output), "error: no way\nhint: mend it\n");
        assert_eq!(
            parsed(&output),
            json!({"error": {"code": reason, "message": "no way", "hint": "mend it", "exit": exit}})
        );
    }
}

#[test]
fn a_stream_is_printed_as_it_comes_however_it_is_cut() {
    let event = |result: Value| {
        format!(
            "data: {}\n\n",
            json!({"jsonrpc": "2.0", "id": 1, "result": result})
        )
    };
    let piece = |text: &str, append: bool| {
        event(
            json!({"artifactUpdate": {"taskId": "t", "contextId": "c", "append": append,
                     "artifact": {"artifactId": "a", "parts": [{"text": text}]}}}),
        )
    };
    let done = event(json!({"statusUpdate": {"taskId": "t", "contextId": "c",
                            "status": {"state": "TASK_STATE_COMPLETED"}}}));
    let text = format!(
        ": hello\n\n{}{}{done}",
        piece("Guten ", false),
        piece("Tag", true)
    );
    let (start, end) = text.split_at(text.len() / 2 + 7);
    let pieces = vec![start.to_owned(), end.to_owned()];
    let mesh = FakeMesh::start(move |_| {
        Reply {
            pieces: pieces.clone(),
            streams: true,
            ..Reply::default()
        }
        .with(FOUND)
    });
    let output = mesh.run(&["call", "b-gent", "x", "--stream"]);
    assert_eq!(
        stdout(&output),
        "Guten Tag\n— b-gent in local · search, 93 % sure · evt-1\n"
    );
    assert_eq!(code(&output), 0);
    assert_eq!(mesh.seen()[0].body["method"], "SendStreamingMessage");
    let output = mesh.run(&["call", "b-gent", "x", "--stream", "--output", "json"]);
    let lines: Vec<Value> = stdout(&output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(
        lines[2]["result"]["statusUpdate"]["status"]["state"],
        "TASK_STATE_COMPLETED"
    );
}

#[test]
fn a_stream_that_is_refused_or_answered_at_once_is_understood_too() {
    let refused = FakeMesh::start(|_| Reply::rpc_error(403, -32051, "DENIED", "no"));
    assert_eq!(code(&refused.run(&["ask", "x", "--stream"])), 4);
    let at_once = FakeMesh::start(|_| Reply::result(message("here")).with(FOUND));
    let output = at_once.run(&["ask", "x", "--stream"]);
    assert!(stdout(&output).starts_with("here\n— b-gent"), "{output:?}");
}

#[test]
fn a_task_that_failed_is_printed_and_exits_with_1() {
    let mesh = FakeMesh::start(|_| {
        Reply::result(json!({"task": {"id": "t", "contextId": "c", "status": {
            "state": "TASK_STATE_FAILED", "message": {"parts": [{"text": "disk full"}]}}}}))
    });
    let output = mesh.run(&["call", "b-gent", "x"]);
    assert_eq!(stdout(&output), "disk full\n— the mesh · failed\n");
    assert_eq!(code(&output), 1);
}

#[test]
fn route_as_json_is_the_contract_and_ends_by_what_was_found() {
    let route = json!({"id": "evt-1", "agent": null, "cluster": null, "method": "fallback",
        "confidence": 0.0, "fallback": true, "reason": "nothing fits", "revision": 3, "encoder": null,
        "alternatives": [], "policy": {"allowed": false, "policy": "default-deny", "policies_checked": []}});
    let reply = route.clone();
    let mesh = FakeMesh::start(move |_| Reply::json(reply.clone()));
    let output = mesh.run(&["route", "mow the lawn", "--output", "json"]);
    assert_eq!(parsed(&output), route);
    assert_eq!(code(&output), 3);
    assert_eq!(mesh.seen()[0].line, "POST /v1/route");
    assert_eq!(mesh.seen()[0].body, json!({"text": "mow the lawn"}));
}

#[test]
fn an_agent_is_added_with_a_policy_that_is_seen_to_be_in_force() {
    let policies = std::sync::Arc::new(std::sync::OnceLock::<std::path::PathBuf>::new());
    let watched = std::sync::Arc::clone(&policies);
    let looks = AtomicUsize::new(0);
    let mesh = FakeMesh::start(move |seen| match seen.line.as_str() {
        "POST /v1/agents" => {
            Reply::json(json!({"name": "planner", "revision": 7, "created": true}))
        }
        // As a watcher would: in force a look after the file is there.
        "GET /policies"
            if looks.fetch_add(1, Ordering::Relaxed) > 0
                && watched.get().is_some_and(|path| path.exists()) =>
        {
            Reply::json(json!({"ids": ["operator", "allow-planner"]}))
        }
        "GET /policies" => Reply::json(json!({"ids": ["operator"]})),
        _ => Reply::rpc_error(404, -32052, "UNKNOWN_AGENT", "no such agent"),
    });
    let file = mesh.mesh_dir.path().join("policies/allow-planner.cedar");
    policies.set(file.clone()).unwrap();
    let url = "http://127.0.0.1:9/.well-known/agent-card.json";
    let output = mesh.run(&[
        "agents", "add", url, "--allow", "everyone", "--output", "json",
    ]);
    assert_eq!(code(&output), 0, "{output:?}");
    assert_eq!(
        parsed(&output),
        json!({"name": "planner", "revision": 7, "created": true,
               "policy": file.to_str().unwrap(), "in_force": true})
    );
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(
        text.contains(r#"principal in Group::"everyone""#)
            && text.contains(r#"resource == Agent::"planner""#)
    );
    let seen = mesh.seen();
    assert_eq!(seen[0].body, json!({"url": url}));
    assert_eq!(seen[0].subject, "spiffe://mesh.test/users/ada");
    assert_eq!(seen.len(), 3, "{seen:?}");
    assert_eq!(seen[1].subject, "", "/policies is told to anybody");
}

#[test]
fn agents_are_listed_shown_and_removed() {
    let agent = json!({"name": "planner", "description": "Plans.", "version": "1", "cluster": "local",
        "health": "healthy", "health_reason": "fast", "skills": [], "interfaces": [], "source": "file"});
    let listing = json!({"revision": 1, "agents": [agent.clone()]});
    let mesh = FakeMesh::start(move |seen| match seen.line.as_str() {
        "GET /v1/agents" => Reply::json(listing.clone()),
        "GET /v1/agents/planner" => Reply::json(agent.clone()),
        _ => Reply {
            status: 204,
            ..Reply::default()
        },
    });
    let output = mesh.run(&["agents", "list"]);
    assert_eq!(
        stdout(&output),
        "NAME     HEALTH   SKILLS  CLUSTER  WHAT IT DOES\nplanner  healthy  0       local    Plans.\n"
    );
    assert_eq!(
        parsed(&mesh.run(&["agents", "list", "-o", "json"]))["revision"],
        1
    );
    assert!(stdout(&mesh.run(&["agents", "show", "planner"])).contains("healthy (fast)"));
    let output = mesh.run(&["agents", "remove", "planner"]);
    assert_eq!(
        (stdout(&output).as_str(), code(&output)),
        ("removed planner\n", 0)
    );
    assert_eq!(
        mesh.seen().last().unwrap().line,
        "DELETE /v1/agents/planner"
    );
}

#[test]
fn an_answer_that_is_none_is_reported_and_not_believed() {
    for (status, body, exit) in [(200, "<html>", 1), (502, "<html>", 5), (200, "{}", 1)] {
        let mesh = FakeMesh::start(move |_| Reply {
            status,
            pieces: vec![body.to_owned()],
            ..Reply::default()
        });
        let output = mesh.run(&["call", "b-gent", "x"]);
        assert_eq!(
            (code(&output), stdout(&output).as_str()),
            (exit, ""),
            "{status} {body}"
        );
        assert!(stderr(&output).starts_with("error: "));
    }
}

#[test]
fn a_mesh_that_is_not_there_is_5_with_a_hint_whatever_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let check = |message: &str| {
        let output = kgents(dir.path(), &["agents", "list"]);
        assert_eq!(code(&output), 5);
        assert!(stderr(&output).contains(message), "{output:?}");
        assert!(stderr(&output).contains("hint: "), "{output:?}");
    };
    check("no mesh is running");
    // A port that was free a moment ago and is closed again.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let lock = claim(dir.path(), port, dir.path());
    check("does not answer");
    drop(lock);
    check("is gone");
    std::fs::write(dir.path().join("run.json"), "{").unwrap();
    check("cannot be read");
}

#[test]
fn a_wrong_command_line_is_2_and_json_where_json_was_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let output = kgents(dir.path(), &["agents", "add", "--output", "json"]);
    assert_eq!(code(&output), 2);
    assert_eq!(parsed(&output)["error"]["code"], "USAGE");
    for arguments in [
        ["call", "NOT A NAME", "x"],
        ["token", "--ttl", "soon"],
        ["ask", " ", "-v"],
    ] {
        assert_eq!(code(&kgents(dir.path(), &arguments)), 2, "{arguments:?}");
    }
}

#[test]
fn a_token_is_alone_on_stdout_and_made_for_whom_it_was_asked() {
    let dir = tempfile::tempdir().unwrap();
    let output = kgents(dir.path(), &["token"]);
    let token = stdout(&output);
    assert_eq!(token.trim().split('.').count(), 3, "{output:?}");
    // A key that is made in passing is mostly a data folder that was mistaken.
    assert_eq!(stderr(&output).lines().count(), 1, "{output:?}");
    assert!(stderr(&output).contains("had no key"), "{output:?}");
    assert_eq!(stderr(&kgents(dir.path(), &["token"])), "");
    assert_eq!(token.lines().count(), 1);
    let check = |arguments: &[&str], subject: &str, audience: &str| {
        let output = kgents(
            dir.path(),
            &[&["token", "--output", "json"], arguments].concat(),
        );
        let token = parsed(&output);
        assert_eq!(
            (&token["subject"], &token["audience"]),
            (&json!(subject), &json!(audience))
        );
    };
    check(&[], "spiffe://mesh.local/users/ada", "mesh.local");
    check(
        &["--user", "eve"],
        "spiffe://mesh.local/users/eve",
        "mesh.local",
    );
    check(
        &["--agent", "x", "--audience", "y"],
        "spiffe://mesh.local/agents/x",
        "y",
    );
    assert_eq!(
        code(&kgents(
            dir.path(),
            &["token", "--user", "a", "--agent", "b"]
        )),
        2
    );
    assert_eq!(code(&kgents(dir.path(), &["token", "--user", "a/b"])), 2);
}

#[test]
fn pheromones_are_emitted_and_sensed() {
    let mesh = FakeMesh::start(|seen| match seen.line.starts_with("GET") {
        true => Reply::json(
            json!({"pheromones": [{"type": "WARNING", "intensity": 0.5, "source": "ada"}]}),
        ),
        false => Reply::json(json!({"id": "p-1"})),
    });
    let output = mesh.run(&[
        "pheromones",
        "emit",
        "WARNING",
        "--target",
        "planner",
        "--payload",
        "[1]",
    ]);
    assert_eq!(stdout(&output), "emitted WARNING\n");
    assert_eq!(
        mesh.seen()[0].body,
        json!({"type": "WARNING", "target": "planner", "payload": [1]})
    );
    assert!(stdout(&mesh.run(&["pheromones", "list"])).contains("WARNING  50 %"));
    assert_eq!(mesh.seen()[1].line, "GET /v1/pheromones?limit=100");
}

#[test]
fn check_finds_what_is_wrong_and_says_so_by_its_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("m");
    assert_eq!(code(&kgents(dir.path(), &["init", "m"])), 0);
    std::fs::write(folder.join("mesh.yaml"), "listen: here\n").unwrap();
    let output = kgents(dir.path(), &["check", "m", "--output", "json"]);
    let report = parsed(&output);
    assert_eq!((code(&output), &report["ok"]), (1, &json!(false)));
    let findings = report["findings"].as_array().unwrap();
    let wrong: Vec<&Value> = findings
        .iter()
        .filter(|one| one["level"] == "fail")
        .collect();
    assert_eq!(wrong.len(), 1, "{report}");
    assert!(
        wrong[0]["message"]
            .as_str()
            .unwrap()
            .contains("line 1: listen")
    );
}

#[test]
fn check_asks_the_running_mesh_whether_it_is_ready() {
    for (status, body, level) in [
        (200, "ready\n", "ok"),
        (
            200,
            "ready, but the newest policies are not in force\n",
            "warn",
        ),
        (503, "not yet\n", "fail"),
    ] {
        let mesh = FakeMesh::start(move |_| Reply {
            status,
            pieces: vec![body.to_owned()],
            ..Reply::default()
        });
        std::fs::write(mesh.mesh_dir.path().join("mesh.yaml"), "").unwrap();
        let report = parsed(&mesh.run(&["check", "--output", "json"]));
        let findings = report["findings"].as_array().unwrap();
        let readiness = findings
            .iter()
            .find(|one| one["subject"] == "readiness")
            .unwrap();
        assert_eq!(readiness["level"], level);
        assert_eq!(mesh.seen()[0].line, "GET /readyz");
    }
}

#[test]
fn completions_exist_for_every_shell() {
    let dir = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = kgents(dir.path(), &["completions", shell]);
        assert!(stdout(&output).contains("pheromones"), "{shell}");
    }
}
