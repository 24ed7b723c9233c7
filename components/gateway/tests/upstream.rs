//! Towards agents: requests as the official server takes them, and every kind
//! of answer.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use bytes::Bytes;
use http::StatusCode;
use kgents_gateway::Binding;
use kgents_gateway::call::{Failure, FailureKind, Message, Operation, Payload, TaskCall};
use kgents_gateway::upstream::{EVENT_BYTES_MAX, Events, UpstreamRequest, answer, request};
use proptest::prelude::*;
use serde_json::{Value, json};

const URL: &str = "http://agent:9/a2a/";
const TASK: &str = r#"{"id":"t","status":{"state":"TASK_STATE_WORKING"}, "n":1.0}"#;

fn payload(text: &str) -> Payload {
    Payload::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap()
}

fn message() -> Message {
    Message {
        params: payload(r#"{"message":{"messageId":"m"}, "x":1.0}"#),
        text: "hi".into(),
        data: None,
        task_id: None,
        context_id: None,
        message_id: "m".into(),
        reference_task_ids: Vec::new(),
    }
}

fn task(id: &str, params: &str) -> TaskCall {
    TaskCall {
        task_id: id.into(),
        params: payload(params),
    }
}

fn ask(binding: Binding, operation: &Operation) -> UpstreamRequest {
    request(binding, URL, operation, 42).unwrap()
}

#[test]
fn an_operation_becomes_the_request_of_its_binding() {
    let send = Operation::SendMessage(message());
    let stream = Operation::StreamMessage(message());
    let get = Operation::GetTask(task(
        "t",
        r#"{"id":"t","historyLength":5,"tenant":"","s":"a&b","b":true,"z":null,"o":{},"l":[]}"#,
    ));
    let cancel = Operation::CancelTask(task("t é:cancel", r#"{"id":"t é:cancel","metadata":{}}"#));
    for (operation, method, params) in [
        (
            &send,
            "SendMessage",
            r#"{"message":{"messageId":"m"}, "x":1.0}"#,
        ),
        (
            &stream,
            "SendStreamingMessage",
            r#"{"message":{"messageId":"m"}, "x":1.0}"#,
        ),
        (
            &cancel,
            "CancelTask",
            r#"{"id":"t é:cancel","metadata":{}}"#,
        ),
    ] {
        let request = ask(Binding::JsonRpc, operation);
        assert_eq!(
            (request.method.as_str(), request.url.as_str()),
            ("POST", URL)
        );
        assert_eq!(request.content_type, Some("application/json"));
        let expected =
            format!(r#"{{"jsonrpc":"2.0","id":42,"method":"{method}","params":{params}}}"#);
        assert_eq!(request.body.as_ref(), expected.as_bytes());
    }
    for (operation, method, path, body) in [
        (
            &send,
            "POST",
            "/message:send",
            r#"{"message":{"messageId":"m"}, "x":1.0}"#,
        ),
        (
            &stream,
            "POST",
            "/message:stream",
            r#"{"message":{"messageId":"m"}, "x":1.0}"#,
        ),
        (&get, "GET", "/tasks/t?historyLength=5&s=a%26b&b=true", ""),
        (
            &cancel,
            "POST",
            "/tasks/t%20%C3%A9%3Acancel:cancel",
            r#"{"id":"t é:cancel","metadata":{}}"#,
        ),
    ] {
        let request = ask(Binding::HttpJson, operation);
        let found = request.url.strip_prefix("http://agent:9/a2a").unwrap();
        assert_eq!((request.method.as_str(), found), (method, path));
        assert_eq!(request.body.as_ref(), body.as_bytes());
        assert_eq!(request.content_type.is_some(), method == "POST");
    }
    assert!(
        ask(Binding::HttpJson, &stream)
            .accept
            .starts_with("text/event-stream")
    );
    for id in ["a/b", "..", "a\\b", ""] {
        let get = Operation::GetTask(task(id, "{}"));
        let failure = request(Binding::HttpJson, URL, &get, 1).unwrap_err();
        assert_eq!(failure.kind, FailureKind::InvalidParams);
        assert!(request(Binding::JsonRpc, URL, &get, 1).is_ok());
    }
    let failure = request(Binding::JsonRpc, URL, &Operation::ListAgents, 1).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Internal);
}

fn answered(
    operation: &Operation,
    binding: Binding,
    status: u16,
    kind: &str,
    body: &str,
) -> Result<String, Failure> {
    let expect = ask(binding, operation).expect;
    let body = Bytes::copy_from_slice(body.as_bytes());
    answer(
        expect,
        StatusCode::from_u16(status).unwrap(),
        Some(kind),
        body,
    )
    .map(|payload| String::from_utf8(payload.as_bytes().to_vec()).unwrap())
}

#[test]
fn a_json_rpc_answer_is_checked_before_it_is_believed() {
    let send = Operation::SendMessage(message());
    let get = Operation::GetTask(task("t", r#"{"id":"t"}"#));
    let rpc = |operation: &Operation, status: u16, body: &str| {
        answered(
            operation,
            Binding::JsonRpc,
            status,
            "application/json",
            body,
        )
    };
    let one = format!(r#"{{"task": {TASK}}}"#);
    let ok = |id: &str, result: &str| format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#);
    assert_eq!(rpc(&send, 200, &ok("42", &one)).unwrap(), one);
    assert_eq!(rpc(&send, 200, &ok("42.0", &one)).unwrap(), one);
    assert_eq!(
        rpc(&send, 200, &format!(" {}\n", ok("42", &one))).unwrap(),
        one
    );
    assert_eq!(rpc(&get, 200, &ok("42", TASK)).unwrap(), TASK);
    let with_null = format!(r#"{{"jsonrpc":"2.0","id":42,"error":null,"result":{one}}}"#);
    assert_eq!(rpc(&send, 200, &with_null).unwrap(), one);
    let deep = ok("42", &format!("{}1{}", "[".repeat(200), "]".repeat(200)));
    for (body, word) in [
        (ok("41", &one), "another request"),
        (ok("\"42\"", &one), "another request"),
        (ok("null", &one), "another request"),
        (
            format!(r#"{{"jsonrpc":"2.0","result":{one}}}"#),
            "another request",
        ),
        (format!(r#"{{"id":42,"result":{one}}}"#), "JSON-RPC 2.0"),
        (r#"{"jsonrpc":"2.0","id":42}"#.to_owned(), "neither"),
        (
            format!(
                r#"{{"jsonrpc":"2.0","id":42,"result":{one},"error":{{"code":1,"message":"x"}}}}"#
            ),
            "both",
        ),
        (
            format!(r#"{{"jsonrpc":"2.0","id":42,"result":{one},"result":{one}}}"#),
            "`result` is given twice",
        ),
        (ok("42", TASK), "exactly one"),
        (ok("42", "null"), "must be an object"),
        (ok("42", "[]"), "must be an object"),
        (
            r#"{"jsonrpc":"2.0","id":42,"error":7}"#.to_owned(),
            "`error` is no",
        ),
        (
            r#"{"jsonrpc":"2.0","id":42,"error":{"code":"x"}}"#.to_owned(),
            "`error` is no",
        ),
        ("[]".to_owned(), "not JSON"),
        (String::new(), "not JSON"),
        ("<html>".to_owned(), "not JSON"),
        (r#"{"detail":"Not Found"}"#.to_owned(), "JSON-RPC 2.0"),
        (deep, "not JSON"),
    ] {
        let failure = rpc(&send, 200, &body).unwrap_err();
        assert_eq!(failure.kind, FailureKind::InvalidAgentResponse, "{body}");
        assert!(
            failure.message.contains(word),
            "{body:.100}: {}",
            failure.message
        );
    }
    let html = answered(&send, Binding::JsonRpc, 200, "text/html", "<html>").unwrap_err();
    assert_eq!(
        html.message,
        "the agent's answer (text/html) is not JSON: it is no object"
    );
}

#[test]
fn an_agents_error_is_its_own_in_both_bindings() {
    let send = Operation::SendMessage(message());
    let info = r#"{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"TASK_NOT_FOUND","domain":"a2a-protocol.org"}"#;
    let foreign = info.replace("a2a-protocol.org", "other.example");
    let rpc = |error: &str| format!(r#"{{"jsonrpc":"2.0","id":42,"error":{error}}}"#);
    let status = |name: &str, details: &str| {
        format!(
            r#"{{"error":{{"code":400,"status":"{name}","message":"no","details":{details}}}}}"#
        )
    };
    let cases = [
        (Binding::JsonRpc, 200, rpc(&format!(r#"{{"code":-32001,"message":"no","data":[{info}]}}"#)), -32001, Some(format!("[{info}]"))),
        (Binding::JsonRpc, 500, rpc(r#"{"code":-32603,"message":"no"}"#), -32603, None),
        (Binding::JsonRpc, 200, rpc(r#"{"code":7,"message":"no","data":{"a":1.0}}"#), 7,
         Some(r#"[{"@type":"type.googleapis.com/google.protobuf.Value","value":{"a":1.0}}]"#.to_owned())),
        (Binding::JsonRpc, 200, r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"no"}}"#.to_owned(), -32700, None),
        (Binding::JsonRpc, 200, r#"{"jsonrpc":"2.0","id":42,"result":null,"error":{"code":1,"message":"no"}}"#.to_owned(), 1, None),
        (Binding::HttpJson, 404, status("NOT_FOUND", &format!("[{info}]")), -32001, Some(format!("[{info}]"))),
        (Binding::HttpJson, 400, status("INVALID_ARGUMENT", "[]"), -32602, Some("[]".to_owned())),
        (Binding::HttpJson, 404, status("NOT_FOUND", &format!("[{foreign}]")), -32601, Some(format!("[{foreign}]"))),
        (Binding::HttpJson, 500, status("INTERNAL", "null"), -32603, None),
        (Binding::HttpJson, 404, r#"{"type":"https://a2a-protocol.org/errors/task-not-found","title":"no","status":404}"#.to_owned(), -32001, None),
    ];
    for (binding, code, body, expected, data) in cases {
        let failure = answered(&send, binding, code, "application/json", &body).unwrap_err();
        assert_eq!(
            (failure.kind, failure.message.as_str()),
            (FailureKind::Agent, "no"),
            "{body}"
        );
        let error = failure.agent_error.unwrap();
        let found = error
            .data
            .map(|data| String::from_utf8(data.as_bytes().to_vec()).unwrap());
        assert_eq!((error.code, found), (expected, data), "{body}");
    }
    let silent = answered(
        &send,
        Binding::JsonRpc,
        200,
        "application/json",
        &rpc(r#"{"code":5}"#),
    )
    .unwrap_err();
    assert_eq!(silent.message, "the agent answered error 5 and no message");
}

#[test]
fn a_bare_http_status_tells_what_is_wrong_on_the_way() {
    use FailureKind::*;
    let send = Operation::SendMessage(message());
    for (status, kind) in [
        (401, Unreachable),
        (403, Unreachable),
        (404, Unreachable),
        (405, Unreachable),
        (408, TimedOut),
        (413, TooLarge),
        (429, Unreachable),
        (302, Unreachable),
        (500, InvalidAgentResponse),
        (502, Unreachable),
        (503, Unreachable),
        (504, TimedOut),
    ] {
        for binding in [Binding::JsonRpc, Binding::HttpJson] {
            for body in ["", "<html>", r#"{"detail":"no"}"#, "\u{0}"] {
                let failure = answered(&send, binding, status, "text/html", body).unwrap_err();
                assert_eq!(failure.kind, kind, "{status} {body}");
                assert!(
                    failure
                        .metadata
                        .contains(&("agentStatus".into(), status.to_string()))
                );
            }
        }
    }
    // A refusal of the mesh's credentials never looks like one of the caller's.
    let error = r#"{"jsonrpc":"2.0","id":42,"error":{"code":-32050,"message":"who?"}}"#;
    assert_eq!(
        answered(&send, Binding::JsonRpc, 401, "application/json", error)
            .unwrap_err()
            .kind,
        Unreachable
    );
    assert_eq!(
        answered(&send, Binding::HttpJson, 200, "text/html", "<html>")
            .unwrap_err()
            .kind,
        InvalidAgentResponse
    );
    assert_eq!(
        answered(&send, Binding::HttpJson, 200, "application/json", TASK)
            .unwrap_err()
            .kind,
        InvalidAgentResponse
    );
    let one = format!(r#"{{"task":{TASK}}}"#);
    assert_eq!(
        answered(&send, Binding::HttpJson, 201, "application/json", &one).unwrap(),
        one
    );
}

fn stream(binding: Binding) -> Events {
    Events::new(ask(binding, &Operation::StreamMessage(message())).expect)
}

fn texts(events: Events) -> Vec<Result<String, FailureKind>> {
    events
        .map(|event| match event {
            Ok(payload) => Ok(String::from_utf8(payload.as_bytes().to_vec()).unwrap()),
            Err(failure) => Err(failure.kind),
        })
        .collect()
}

#[test]
fn a_stream_is_passed_event_by_event_until_its_first_failure() {
    let task = format!(r#"{{"task":{TASK}}}"#);
    let update = r#"{"statusUpdate":{"taskId":"t","status":{"state":"TASK_STATE_COMPLETED"}}}"#;
    let rpc =
        |result: &str| format!("data: {{\"jsonrpc\":\"2.0\",\"id\":42,\"result\":{result}}}\n\n");
    let mut events = stream(Binding::JsonRpc);
    events.feed(format!(": ping\n\nid: 1\n{}{}", rpc(&task), rpc(update)).as_bytes());
    events.finish();
    assert_eq!(texts(events), [Ok(task.clone()), Ok(update.to_owned())]);

    let mut events = stream(Binding::HttpJson);
    events.feed(format!("data: {task}\r\n\r\ndata: {update}\r\n\r").as_bytes());
    events.finish();
    assert_eq!(texts(events), [Ok(task.clone()), Ok(update.to_owned())]);

    let error = r#"{"error":{"code":500,"status":"INTERNAL","message":"no"}}"#;
    for (binding, last, kind) in [
        (
            Binding::HttpJson,
            format!("event: error\ndata: {error}\n\n"),
            FailureKind::Agent,
        ),
        (
            Binding::HttpJson,
            format!("data: {error}\n\n"),
            FailureKind::Agent,
        ),
        (
            Binding::HttpJson,
            "data: {}\n\n".to_owned(),
            FailureKind::InvalidAgentResponse,
        ),
        (
            Binding::HttpJson,
            "data: hello\n\n".to_owned(),
            FailureKind::InvalidAgentResponse,
        ),
        (
            Binding::HttpJson,
            "data: {\"ta".to_owned(),
            FailureKind::InvalidAgentResponse,
        ),
        (
            Binding::JsonRpc,
            "data: {\"jsonrpc\":\"2.0\",\"id\":42,\"error\":{\"code\":1,\"message\":\"\"}}\n\n"
                .to_owned(),
            FailureKind::Agent,
        ),
        (
            Binding::JsonRpc,
            rpc("{}"),
            FailureKind::InvalidAgentResponse,
        ),
        (
            Binding::JsonRpc,
            rpc(&task).replace("42", "43"),
            FailureKind::InvalidAgentResponse,
        ),
        (
            Binding::JsonRpc,
            format!("data: {task}\n\n"),
            FailureKind::InvalidAgentResponse,
        ),
    ] {
        let mut events = stream(binding);
        let first = if binding == Binding::JsonRpc {
            rpc(&task)
        } else {
            format!("data: {task}\n\n")
        };
        events.feed(format!("{first}{last}").as_bytes());
        events.finish();
        events.feed(first.as_bytes());
        events.finish();
        assert_eq!(texts(events), [Ok(task.clone()), Err(kind)], "{last}");
    }
}

#[test]
fn an_event_above_the_bound_ends_the_stream() {
    let mut events = stream(Binding::HttpJson);
    events.feed(b"data: ");
    let chunk = vec![b'x'; 1024 * 1024];
    for _ in 0..=EVENT_BYTES_MAX / chunk.len() {
        events.feed(&chunk);
    }
    assert_eq!(texts(events), [Err(FailureKind::InvalidAgentResponse)]);
}

proptest! {
    #[test]
    fn a_stream_reads_the_same_however_it_is_cut(
        notes in prop::collection::vec(".{0,20}", 0..8),
        pretty in any::<bool>(),
        cuts in prop::collection::vec(0_usize..4000, 0..12),
    ) {
        let mut bytes = Vec::new();
        for (index, note) in notes.iter().enumerate() {
            let update = json!({"artifactUpdate": {"taskId": "t", "contextId": "c", "n": index, "note": note}});
            let text = if pretty { serde_json::to_string_pretty(&update) } else { serde_json::to_string(&update) }.unwrap();
            for line in text.lines() {
                bytes.extend_from_slice(format!("data: {line}\r\n").as_bytes());
            }
            bytes.extend_from_slice(b"\r\n");
        }
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        cuts.sort_unstable();
        cuts.push(bytes.len());
        let mut events = stream(Binding::HttpJson);
        let mut from = 0;
        for cut in cuts {
            events.feed(bytes.get(from..cut).unwrap());
            from = cut;
        }
        events.finish();
        let found: Vec<Value> = events.map(|event| serde_json::from_slice(event.unwrap().as_bytes()).unwrap()).collect();
        prop_assert_eq!(found.len(), notes.len());
        for (value, note) in found.iter().zip(&notes) {
            prop_assert_eq!(value.pointer("/artifactUpdate/note").and_then(Value::as_str), Some(note.as_str()));
        }
    }

    #[test]
    fn no_answer_makes_the_codec_panic(
        body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            prop::collection::vec(prop::sample::select(vec![
                "{", "}", "[", "]", ":", ",", "\"jsonrpc\":\"2.0\",", "\"id\":42,", "\"result\":", "\"error\":",
                "{\"code\":1,\"message\":\"x\",\"data\":", "\"task\":", "\"status\":", "1", "null", "\"a\"", "data: ",
                "\n", "\r", "event: error", "\"details\":[", "\"@type\":",
            ]), 0..30).prop_map(|pieces| pieces.concat().into_bytes()),
        ],
        status in 100_u16..600,
        binding in prop::sample::select(vec![Binding::JsonRpc, Binding::HttpJson]),
    ) {
        for operation in [Operation::SendMessage(message()), Operation::GetTask(task("t", "{}"))] {
            let expect = ask(binding, &operation).expect;
            let status = StatusCode::from_u16(status).unwrap();
            if let Ok(payload) = answer(expect, status, None, Bytes::from(body.clone())) {
                serde_json::from_slice::<Value>(payload.as_bytes()).unwrap();
            }
            let mut events = Events::new(expect);
            events.feed(&body);
            events.finish();
            prop_assert!(events.filter(|event| event.is_err()).count() <= 1);
        }
    }
}

#[test]
fn what_comes_in_by_one_binding_goes_out_by_the_other() {
    let headers = [("content-type", "application/json"), ("a2a-version", "1.0")];
    let headers: http::HeaderMap = headers
        .into_iter()
        .map(|(name, value)| {
            (
                http::HeaderName::from_static(name),
                http::HeaderValue::from_static(value),
            )
        })
        .collect();
    let method = http::Method::GET;
    let head = kgents_gateway::RequestHead {
        method: &method,
        path: "/tasks/a%3Ab",
        query: Some("historyLength=5"),
        headers: &headers,
    };
    let Ok(arrived) = kgents_gateway::decode(&head, Bytes::new()) else {
        panic!()
    };
    let rpc = ask(Binding::JsonRpc, &arrived.call.operation);
    let value: Value = serde_json::from_slice(&rpc.body).unwrap();
    assert_eq!(
        value,
        json!({"jsonrpc": "2.0", "id": 42, "method": "GetTask", "params": {"id": "a:b", "historyLength": 5}})
    );
    let http = ask(Binding::HttpJson, &arrived.call.operation);
    assert_eq!(http.url, "http://agent:9/a2a/tasks/a%3Ab?historyLength=5");
}
