//! Starting, stopping, and callers that go away.

use kgents_tests::http::message;
use kgents_tests::{Agent, Mesh, until};
use serde_json::json;

#[test]
fn a_second_mesh_on_the_same_data_folder_is_refused_with_a_hint() {
    let mesh = Mesh::start();
    let told = mesh.refuses_to_start().ended(1).json();
    assert_eq!(told["error"]["code"], "ALREADY_RUNNING", "{told}");
    assert!(
        told["error"]["hint"].as_str().unwrap().contains("--data"),
        "{told}"
    );
    mesh.cli(&["agents", "list"]).ended(0);
}

#[test]
fn a_mesh_that_is_told_to_stop_finishes_the_answers_under_way() {
    let agent = Agent::start();
    let mut mesh = Mesh::start();
    mesh.add(&agent);
    let client = mesh.client_of("ada");
    let request = client.rpc_request("/agents/parrot", "SendMessage", &message("hold on"));
    let answering = std::thread::spawn(move || request.send());
    let mut stream = client
        .rpc_request("/agents/parrot", "SendStreamingMessage", &message("stream"))
        .open();
    assert!(stream.event().is_some());
    until("both calls to reach the agent", || {
        (agent.seen().len() == 2).then_some(())
    });
    mesh.terminate();
    until("the listener to close", || {
        mesh.stranger().request("GET", "/healthz").try_send().err()
    });
    for _ in 0..4 {
        agent.release();
    }
    let answer = answering.join().unwrap();
    assert_eq!(answer.words(), "hold on");
    let mut events = 1;
    while stream.event().is_some() {
        events += 1;
    }
    assert_eq!(events, 4);
    assert!(mesh.ended().success(), "{}", mesh.log());
    assert!(!mesh.data().join("run.json").exists(), "it says it is gone");
    let report = mesh.verified();
    assert_eq!(report["unknown"], 0, "{report}");
    for event in [answer.header("kgents-event"), stream.header("kgents-event")] {
        let event = mesh.event(event.unwrap());
        assert_eq!(event["spec"]["decision"]["outcome"], "ALLOWED", "{event}");
    }
}

#[test]
fn a_caller_that_hangs_up_leaves_an_outcome_and_frees_the_agent() {
    let agent = Agent::start();
    let mesh = Mesh::start();
    mesh.add(&agent);
    let client = mesh.client_of("ada");
    for (count, method, word) in [
        (1, "SendMessage", "hang"),
        (2, "SendStreamingMessage", "linger"),
    ] {
        let request = client.rpc_request("/agents/parrot", method, &message(word));
        let connection = request.start().unwrap();
        until("the call to reach the agent", || {
            (agent.seen().len() == count).then_some(())
        });
        drop(connection);
        until("the agent to be freed", || {
            (agent.abandoned() == count).then_some(())
        });
        let decided = until("an outcome in the trail", || {
            let trail = mesh.trail();
            let mut found = trail.iter().filter(|event| {
                event["spec"]["action"]["target"] == "parrot"
                    && event["spec"]["action"]["method"] == method
            });
            found.next().map(|event| event["spec"]["decision"].clone())
        });
        assert_eq!(
            json!([decided["outcome"], decided["reason"]]),
            json!(["FAILED", "CANCELLED"]),
            "{method}"
        );
    }
    let report = mesh.verified();
    assert_eq!(report["unknown"], 0, "{report}");
    let balance = mesh.json(&["call", "b-gent", "balance of mesh"]);
    let data = balance.pointer("/result/message/parts/1/data").unwrap();
    assert_eq!(
        data["reserved"], 0,
        "what was set aside is free again: {data}"
    );
    let active = metric(&mesh, "active");
    assert_eq!(active, Some(0.0), "nothing is under way");
}

/// The value of the one metric whose name holds `part`.
fn metric(mesh: &Mesh, part: &str) -> Option<f64> {
    let metrics = mesh.metrics();
    let mut lines = metrics.lines().filter(|line| !line.starts_with('#'));
    let line = lines.find(|line| {
        line.split([' ', '{'])
            .next()
            .is_some_and(|name| name.contains(part))
    })?;
    line.rsplit(' ').next()?.parse().ok()
}

#[test]
fn what_the_mesh_knows_outlives_a_restart() {
    let agent = Agent::start();
    let mut mesh = Mesh::start();
    mesh.add(&agent);
    let begun = mesh.client_of("ada").say("/agents/parrot", "begin").json();
    let task = begun["result"]["task"]["id"].clone();
    mesh.cli(&["call", "b-gent", "allocate 2000 tokens to translation"])
        .ended(0);
    let before = mesh.verified();
    mesh.restart();
    let ada = mesh.client_of("ada");
    assert_eq!(ada.say("/agents/parrot", "hello").words(), "hello");
    let got = ada
        .rpc("/agents/parrot", "GetTask", &json!({ "id": task }))
        .json();
    assert_eq!(got["result"]["id"], task, "{got}");
    let answer = mesh.json(&["call", "b-gent", "balance of translation"]);
    let data = answer.pointer("/result/message/parts/1/data").unwrap();
    assert_eq!(data["free"], 2000, "{data}");
    let after = mesh.verified();
    assert!(
        after["events"].as_u64() > before["events"].as_u64(),
        "{after}"
    );
}

#[test]
fn a_trail_that_was_changed_is_found_out_and_the_event_is_named() {
    let agent = Agent::start();
    let mut mesh = Mesh::start();
    mesh.add(&agent);
    let client = mesh.client_of("ada");
    let events: Vec<String> = (0..5)
        .map(|_| {
            client
                .say("/agents/parrot", "hello")
                .header("kgents-event")
                .unwrap()
                .to_owned()
        })
        .collect();
    mesh.terminate();
    mesh.ended();
    mesh.verified();
    let changed = change_one_byte(&mesh, &events[2]);
    let report = mesh.cli(&["audit", "verify", "-o", "json"]).ended(1).json();
    assert_eq!(report["ok"], false, "{report}");
    assert_eq!(
        report["first_bad"]["event"],
        json!(events[2]),
        "{changed}: {report}"
    );
    let told = mesh.cli(&["audit", "verify"]).ended(1);
    assert!(told.stdout.contains(&events[2]), "{told:?}");
    mesh.cli(&["check"]).ended(1);
}

/// Makes an ALLOWED of that event's outcome a DENIED.
fn change_one_byte(mesh: &Mesh, event: &str) -> String {
    for entry in std::fs::read_dir(mesh.data().join("audit")).unwrap() {
        let path = entry.unwrap().path();
        let Ok(mut bytes) = std::fs::read(&path) else {
            continue;
        };
        let found = bytes
            .windows(event.len())
            .rposition(|part| part == event.as_bytes());
        let Some(at) = found else { continue };
        let outcome = bytes[at..].windows(7).position(|part| part == b"ALLOWED");
        bytes[at + outcome.unwrap()] = b'a';
        std::fs::write(&path, bytes).unwrap();
        return path.display().to_string();
    }
    panic!("{event} is in no file of the trail");
}
