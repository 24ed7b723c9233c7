//! What agents get wrong: unreachable, silent, broken off, talking nonsense.

use kgents_tests::http::message;
use kgents_tests::{Agent, AgentOptions, Client, Mesh, Setup};
use serde_json::{Value, json};

/// How an agent fails, and what its caller is told: the reason, its JSON-RPC
/// code, its HTTP status, and how the trail calls it.
struct Case {
    word: &'static str,
    code: i64,
    status: u16,
    reason: &'static str,
    audited: &'static str,
}

const CASES: [Case; 5] = [
    Case {
        word: "hang",
        code: -32056,
        status: 504,
        reason: "TIMED_OUT",
        audited: "TIMED_OUT",
    },
    Case {
        word: "break",
        code: -32006,
        status: 500,
        reason: "INVALID_AGENT_RESPONSE",
        audited: "INVALID_AGENT_RESPONSE",
    },
    Case {
        word: "garbage",
        code: -32006,
        status: 500,
        reason: "INVALID_AGENT_RESPONSE",
        audited: "INVALID_AGENT_RESPONSE",
    },
    Case {
        word: "raw",
        code: -32006,
        status: 500,
        reason: "INVALID_AGENT_RESPONSE",
        audited: "INVALID_AGENT_RESPONSE",
    },
    Case {
        word: "fail",
        code: -32042,
        status: 500,
        reason: "OUT_OF_PAPER",
        audited: "AGENT_ERROR",
    },
];

fn impatient() -> Setup {
    Setup {
        yaml: "upstreams: {allow: [loopback], timeout: 300ms}\n".into(),
        ..Setup::default()
    }
}

/// The decision of the trail about an answer.
fn decision(mesh: &Mesh, event: Option<&str>) -> Value {
    mesh.event(event.unwrap())["spec"]["decision"].clone()
}

#[test]
fn what_an_agent_gets_wrong_is_told_in_the_callers_protocol_and_audited() {
    let agent = Agent::with(AgentOptions {
        bindings: &["JSONRPC"],
        ..AgentOptions::default()
    });
    agent.answer_raw(r#"{"neither":"task nor message"}"#);
    let mesh = Mesh::with(impatient());
    mesh.add(&agent);
    let client = mesh.client_of("ada");
    for case in CASES {
        let params = message(case.word);
        let rpc = client.rpc("/agents/parrot", "SendMessage", &params);
        let refusal = rpc.refusal();
        let got = (refusal.status, refusal.code, refusal.reason.as_str());
        assert_eq!(
            got,
            (200, case.code, case.reason),
            "{}: {}",
            case.word,
            rpc.text()
        );
        let decided = decision(&mesh, rpc.header("kgents-event"));
        assert_eq!(decided["outcome"], "FAILED", "{}: {decided}", case.word);
        assert_eq!(decided["reason"], case.audited, "{}: {decided}", case.word);
        let rest = client.rest("POST", "/agents/parrot/message:send", Some(&params));
        let refusal = rest.refusal();
        let got = (refusal.status, refusal.reason.as_str());
        assert_eq!(
            got,
            (case.status, case.reason),
            "{}: {}",
            case.word,
            rest.text()
        );
        let streamed = client.rpc("/agents/parrot", "SendStreamingMessage", &params);
        assert!(
            streamed.text().contains(case.reason),
            "{}: {}",
            case.word,
            streamed.text()
        );
        assert_eq!(client.say("/agents/parrot", "hello").words(), "hello");
    }
    let fail = client.say("/agents/parrot", "fail").json();
    let info = &fail["error"]["data"][0];
    assert_eq!(
        fail["error"]["message"], "the printer is out of paper",
        "{fail}"
    );
    assert_eq!(
        info["domain"], "agents.example",
        "the agent's own words: {fail}"
    );
    let report = mesh.verified();
    assert_eq!(report["unknown"], 0, "{report}");
}

#[test]
fn a_stream_that_stops_half_way_ends_in_an_error_event() {
    for bindings in [&["JSONRPC"][..], &["HTTP+JSON"]] {
        let agent = Agent::with(AgentOptions {
            bindings,
            ..AgentOptions::default()
        });
        let mesh = Mesh::with(impatient());
        mesh.add(&agent);
        let client = mesh.client_of("ada");
        let rpc = client.rpc_request("/agents/parrot", "SendStreamingMessage", &message("linger"));
        let mut stream = rpc.open();
        let first = stream.event().unwrap();
        assert!(first["result"]["task"].is_object(), "{first}");
        let last = stream.event().unwrap();
        assert_eq!(last["error"]["code"], -32056, "{last}");
        assert_eq!(stream.event(), None);
        let decided = decision(&mesh, stream.header("kgents-event"));
        assert_eq!(
            json!([decided["outcome"], decided["reason"]]),
            json!(["FAILED", "TIMED_OUT"])
        );
        let rest = client
            .request("POST", "/agents/parrot/message:stream")
            .header("a2a-version", "1.0")
            .a2a_json(&message("linger"));
        let mut stream = rest.open();
        assert!(stream.event().unwrap()["task"].is_object());
        let last = stream.event().unwrap();
        assert_eq!(last["error"]["code"], 504, "{last}");
    }
}

#[test]
fn an_agent_that_is_not_there_is_unreachable_on_every_binding() {
    let agent = Agent::start();
    let mesh = Mesh::start();
    mesh.add(&agent);
    drop(agent);
    let client = mesh.client_of("ada");
    let rpc = client.say("/agents/parrot", "hello");
    let rest = client.rest(
        "POST",
        "/agents/parrot/message:send",
        Some(&message("hello")),
    );
    for (answer, status, code) in [(rpc, 200, -32055), (rest, 502, 502)] {
        let refusal = answer.refusal();
        assert_eq!(
            (refusal.status, refusal.code),
            (status, code),
            "{refusal:?}"
        );
        assert_eq!(refusal.reason, "UNREACHABLE");
        assert!(!refusal.hint.is_empty(), "{refusal:?}");
        let decided = decision(&mesh, answer.header("kgents-event"));
        assert_eq!(
            json!([decided["outcome"], decided["reason"]]),
            json!(["FAILED", "UNREACHABLE"])
        );
    }
    assert_eq!(client_echo(&mesh), 200);
}

fn client_echo(mesh: &Mesh) -> u16 {
    let client: Client = mesh.client();
    client.say("/agents/echo", "hello").status
}

#[test]
fn an_agent_that_refuses_the_mesh_does_not_make_its_caller_a_stranger() {
    // An agent behind a login: the mesh is told 401, which is not the caller's.
    let inner = Mesh::start();
    let mesh = Mesh::start();
    let card = json!({
        "name": "locked", "description": "Behind a login.", "version": "1",
        "supportedInterfaces": [{"url": format!("{}/", inner.url()), "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}],
        "capabilities": {}, "defaultInputModes": [], "defaultOutputModes": [],
        "skills": [{"id": "s", "name": "s", "description": "s", "tags": ["s"]}],
    });
    let added = mesh.client().post("/v1/agents", &json!({ "card": card }));
    assert_eq!(added.status, 200, "{}", added.text());
    let answer = mesh.client().say("/agents/locked", "hello");
    assert_ne!(answer.status, 401, "{}", answer.text());
    assert!(!answer.refusal().message.is_empty());
    let decided = decision(&mesh, answer.header("kgents-event"));
    assert_eq!(decided["outcome"], "FAILED", "{decided}");
}
