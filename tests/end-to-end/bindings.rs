//! The contract on every binding: cards, messages, streams, tasks, and what
//! travels with them.

use kgents_tests::http::message;
use kgents_tests::{Agent, AgentOptions, Answer, Client, Mesh};
use serde_json::{Value, json};

const JSONRPC_ONLY: &[&str] = &["JSONRPC"];
const HTTP_JSON_ONLY: &[&str] = &["HTTP+JSON"];

/// A mesh with one agent that speaks `bindings`.
fn mesh_with(bindings: &'static [&'static str]) -> (Mesh, Agent) {
    let agent = Agent::with(AgentOptions {
        bindings,
        ..AgentOptions::default()
    });
    let mesh = Mesh::start();
    mesh.add(&agent);
    (mesh, agent)
}

/// Sends the same message in every way a caller can.
fn every_way(client: &Client, base: &str, params: &Value) -> Vec<Answer> {
    let root = if base.is_empty() { "/" } else { base };
    let mut answers = vec![client.rpc(root, "SendMessage", params)];
    if !base.is_empty() {
        answers.push(client.rpc(&format!("{base}/"), "SendMessage", params));
    }
    answers.push(client.rest("POST", &format!("{base}/message:send"), Some(params)));
    answers
}

#[test]
fn cards_are_rewritten_to_the_mesh_and_advertise_what_the_agent_speaks() {
    for bindings in [JSONRPC_ONLY, HTTP_JSON_ONLY, &["HTTP+JSON", "JSONRPC"]] {
        let (mesh, agent) = mesh_with(bindings);
        let client = mesh.client_of("ada");
        let answer = client.get("/agents/parrot/.well-known/agent-card.json");
        let card = answer.json();
        let url = format!("{}/agents/parrot", mesh.url());
        let expected: Vec<Value> = bindings
            .iter()
            .map(
                |binding| json!({"url": url, "protocolBinding": binding, "protocolVersion": "1.0"}),
            )
            .collect();
        assert_eq!(card["supportedInterfaces"], json!(expected), "{card}");
        let original = agent.card();
        for kept in ["name", "description", "version", "skills", "x-vendor"] {
            assert_eq!(card[kept], original[kept], "{kept}");
        }
        assert!(card["securityRequirements"].is_array(), "{card}");
        let text = answer.text();
        assert!(
            !text.contains(&agent.address()),
            "the agent's own address is in {text}"
        );
    }
    let mesh = Mesh::start();
    let own = mesh.page("/.well-known/agent-card.json").json();
    assert_eq!(
        own["supportedInterfaces"][0]["protocolBinding"], "JSONRPC",
        "{own}"
    );
    let url = own["supportedInterfaces"][0]["url"].as_str().unwrap();
    assert_eq!(url.trim_end_matches('/'), mesh.url(), "{own}");
}

#[test]
fn a_message_is_answered_on_every_binding_whatever_the_agent_speaks() {
    for bindings in [JSONRPC_ONLY, HTTP_JSON_ONLY] {
        let (mesh, agent) = mesh_with(bindings);
        let client = mesh.client_of("ada");
        let answers = every_way(&client, "/agents/parrot", &message("hello"));
        assert_eq!(answers.len(), 3);
        for answer in answers {
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(answer.words(), "hello");
            assert_eq!(answer.header("kgents-agent"), Some("parrot"));
            assert_eq!(answer.header("kgents-method"), Some("exact"));
            let event = mesh.event(answer.header("kgents-event").unwrap());
            assert_eq!(event["spec"]["agent"]["name"], "ada", "{event}");
        }
        assert_eq!(agent.seen().len(), 3);
        let routed = every_way(&mesh.client(), "", &message("repeat after me: parrot"));
        for answer in routed {
            assert_eq!(
                answer.header("kgents-agent"),
                Some("parrot"),
                "{}",
                answer.text()
            );
        }
    }
}

#[test]
fn events_pass_one_by_one_as_they_come() {
    for bindings in [JSONRPC_ONLY, HTTP_JSON_ONLY] {
        let (mesh, agent) = mesh_with(bindings);
        let client = mesh.client_of("ada");
        let params = message("stream");
        let rpc = client.rpc_request("/agents/parrot", "SendStreamingMessage", &params);
        let rest = client
            .request("POST", "/agents/parrot/message:stream")
            .header("a2a-version", "1.0")
            .a2a_json(&params);
        for request in [rpc, rest] {
            let mut stream = request.open();
            assert_eq!(stream.status, 200);
            assert_eq!(stream.header("content-type"), Some("text/event-stream"));
            let mut kinds = vec![kind_of(&stream.event().unwrap())];
            // The agent sends nothing more until we have seen what it sent.
            for _ in 0..3 {
                agent.release();
                kinds.push(kind_of(&stream.event().unwrap()));
            }
            assert_eq!(stream.event(), None);
            let expected = [
                "TASK_STATE_WORKING",
                "TASK_STATE_WORKING",
                "artifactUpdate",
                "TASK_STATE_COMPLETED",
            ];
            assert_eq!(kinds, expected);
            let event = mesh.event(stream.header("kgents-event").unwrap());
            assert_eq!(event["spec"]["decision"]["outcome"], "ALLOWED", "{event}");
        }
    }
}

/// An event's state, or else its kind, in either binding.
fn kind_of(event: &Value) -> String {
    let event = event.get("result").unwrap_or(event);
    let (kind, inner) = event.as_object().unwrap().iter().next().unwrap();
    let state = inner.pointer("/status/state").and_then(Value::as_str);
    state.unwrap_or(kind).to_owned()
}

#[test]
fn a_task_belongs_to_the_caller_that_began_it() {
    for bindings in [JSONRPC_ONLY, HTTP_JSON_ONLY] {
        let (mesh, agent) = mesh_with(bindings);
        let (ada, eve) = (mesh.client_of("ada"), mesh.client_of("eve"));
        let begun = ada.say("/agents/parrot", "begin").json();
        let id = begun["result"]["task"]["id"].as_str().unwrap().to_owned();
        let params = json!({ "id": id });
        let get = |client: &Client| {
            [
                client.rpc("/agents/parrot", "GetTask", &params),
                client.rpc("/", "GetTask", &params),
                client.rest("GET", &format!("/agents/parrot/tasks/{id}"), None),
                client.rest("GET", &format!("/tasks/{id}"), None),
            ]
        };
        for answer in get(&ada) {
            let body = answer.json();
            let task = body.get("result").unwrap_or(&body);
            assert_eq!(task["status"]["state"], "TASK_STATE_WORKING", "{body}");
            assert_eq!(task["kept"]["by"], "agent", "{body}");
        }
        let before = agent.seen().len();
        for (answer, code) in get(&eve).iter().zip([-32001, -32001, 404, 404]) {
            let refusal = answer.refusal();
            assert_eq!(
                (refusal.code, refusal.reason.as_str()),
                (code, "TASK_NOT_FOUND")
            );
            assert!(!refusal.hint.is_empty(), "{refusal:?}");
        }
        let cancel = |client: &Client| client.rpc("/agents/parrot", "CancelTask", &params);
        assert_eq!(cancel(&eve).refusal().reason, "TASK_NOT_FOUND");
        let follow_up = json!({"message": {"messageId": "m", "role": "ROLE_USER", "taskId": id, "parts": [{"text": "more"}]}});
        let answer = eve.rpc("/agents/parrot", "SendMessage", &follow_up);
        assert_eq!(answer.refusal().reason, "TASK_NOT_FOUND");
        assert_eq!(
            agent.seen().len(),
            before,
            "nothing of eve's reached the agent"
        );
        // Whoever it belongs to is not known by name alone.
        let agent_ada = Client::new(mesh.url(), Some(&mesh.token(&["--agent", "ada"])));
        assert_eq!(cancel(&agent_ada).refusal().reason, "TASK_NOT_FOUND");
        let path = format!("/agents/parrot/tasks/{id}:cancel");
        let canceled = ada.rest("POST", &path, Some(&json!({}))).json();
        assert_eq!(
            canceled["status"]["state"], "TASK_STATE_CANCELED",
            "{canceled}"
        );
        let canceled = cancel(&ada).json();
        assert_eq!(canceled["result"]["status"]["state"], "TASK_STATE_CANCELED");
    }
}

#[test]
fn unknown_fields_survive_both_ways_byte_for_byte() {
    let odd = r#"{"message":{"messageId":"m-1","role":"ROLE_USER","parts":[{"text":"raw","x-part":1.0}],"x-new":{"b":1e2,"a":[0.10,"\u00fc"],"":null}},"x-top":12345678901234567890}"#;
    let answer = r#"{"message":{"x-first":[1.50,2],"messageId":"a","role":"ROLE_AGENT","parts":[{"text":"so \u0041","x":{}}],"z":1e-7},"x-beside":{"k":9007199254740993}}"#;
    for bindings in [JSONRPC_ONLY, HTTP_JSON_ONLY] {
        let (mesh, agent) = mesh_with(bindings);
        let client = mesh.client_of("ada");
        agent.answer_raw(answer);
        let rpc = format!(r#"{{"jsonrpc":"2.0","id":"7","method":"SendMessage","params":{odd}}}"#);
        let requests = [
            client
                .request("POST", "/agents/parrot")
                .header("content-type", "application/json")
                .body(rpc),
            client
                .request("POST", "/agents/parrot/message:send")
                .header("content-type", "application/a2a+json")
                .body(odd),
        ];
        for request in requests {
            let got = request.header("a2a-version", "1.0").send();
            assert_eq!(got.status, 200, "{}", got.text());
            assert!(got.text().contains(answer), "{}", got.text());
            assert!(
                agent.last_seen().text().contains(odd),
                "{}",
                agent.last_seen().text()
            );
        }
    }
}

#[test]
fn what_is_the_callers_own_stays_behind_and_what_is_the_meshs_cannot_be_forged() {
    let (mesh, agent) = mesh_with(JSONRPC_ONLY);
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let answer = mesh
        .client_of("ada")
        .rpc_request("/agents/parrot", "SendMessage", &message("hello"))
        .header("kgents-agent", "forged")
        .header("kgents-event", "evt-forged-by-caller")
        .header("kgents-made-up", "forged")
        .header("cookie", "callers=secret")
        .header("traceparent", &format!("00-{trace}-00f067aa0ba902b7-01"))
        .header("a2a-extensions", "https://ext.example/one")
        .send();
    let seen = agent.last_seen();
    for name in [
        "authorization",
        "cookie",
        "kgents-agent",
        "kgents-event",
        "kgents-made-up",
    ] {
        assert_eq!(seen.header(name), "", "`{name}` reached the agent");
    }
    assert_eq!(seen.header("a2a-version"), "1.0");
    assert_eq!(seen.header("a2a-extensions"), "https://ext.example/one");
    let parts: Vec<&str> = seen.header("traceparent").split('-').collect();
    assert_eq!(parts[..2], ["00", trace]);
    assert_ne!(parts[2], "00f067aa0ba902b7", "the mesh's span is a new one");
    // The agent answers forged headers of the mesh, and a cookie.
    let all = |name: &str| -> Vec<&str> {
        let headers = answer.headers.iter().filter(|(other, _)| other == name);
        headers.map(|(_, value)| value.as_str()).collect()
    };
    assert_eq!(all("kgents-agent"), ["parrot"]);
    assert_eq!(all("set-cookie"), [""; 0]);
    let event = all("kgents-event");
    assert_eq!(event.len(), 1);
    assert!(!event[0].contains("forged"));
    let event = mesh.event(event[0]);
    assert_eq!(event["spec"]["trace"]["trace_id"], trace);
    assert_eq!(event["spec"]["trace"]["span_id"], parts[2]);
}

#[test]
fn usage_that_an_agent_reports_is_charged() {
    let (mesh, _agent) = mesh_with(JSONRPC_ONLY);
    let spent = || {
        let answer = mesh.json(&["call", "b-gent", "balance of mesh"]);
        answer
            .pointer("/result/message/parts/1/data/spent")
            .unwrap()
            .as_u64()
            .unwrap()
    };
    let before = spent();
    mesh.cli(&["call", "parrot", "use 1234"]).ended(0);
    assert_eq!(spent() - before, 1234);
    mesh.cli(&["call", "parrot", "hello"]).ended(0);
    assert_eq!(spent() - before, 1234);
}

#[test]
fn http_2_without_tls_is_spoken_too() {
    use http_body_util::{BodyExt as _, Full};
    use hyper_util::rt::TokioExecutor;
    let (mesh, _agent) = mesh_with(JSONRPC_ONLY);
    let body =
        json!({"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": message("hello")});
    let request = hyper::Request::post(format!("{}/agents/parrot", mesh.url()))
        .header("authorization", format!("Bearer {}", mesh.token(&[])))
        .header("content-type", "application/json")
        .header("a2a-version", "1.0")
        .body(Full::new(bytes::Bytes::from(body.to_string())))
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let text = runtime.block_on(async {
        let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .http2_only(true)
            .build_http();
        let response = client.request(request).await.unwrap();
        assert_eq!(response.version(), hyper::Version::HTTP_2);
        response.into_body().collect().await.unwrap().to_bytes()
    });
    let answer: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(answer["result"]["message"]["parts"][0]["text"], "hello");
}
