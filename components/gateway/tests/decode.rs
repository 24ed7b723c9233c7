//! Requests of every binding, as bytes, to calls and refusals.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use kgents_gateway::call::{FailureKind, FeedbackDraft, Operation, RouteCall, Target, Verdict};
use kgents_gateway::{Arrived, Refusal, ReplyBinding, RequestHead, accepts, decode, needs_body};
use proptest::prelude::*;
use serde_json::{Value, json};

struct Request<'a> {
    method: &'a str,
    path: &'a str,
    headers: &'a [(&'static str, &'a str)],
    body: &'a [u8],
}

const HEADERS: &[(&str, &str)] = &[("content-type", "application/json"), ("a2a-version", "1.0")];

fn send(request: &Request<'_>) -> Result<Arrived, Refusal> {
    let method: Method = request.method.parse().unwrap();
    let (path, query) = match request.path.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (request.path, None),
    };
    let headers: HeaderMap = request
        .headers
        .iter()
        .map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            )
        })
        .collect();
    let head = RequestHead {
        method: &method,
        path,
        query,
        headers: &headers,
    };
    decode(&head, Bytes::copy_from_slice(request.body))
}

fn http(method: &str, path: &str, body: &str) -> Result<Arrived, Refusal> {
    send(&Request {
        method,
        path,
        headers: HEADERS,
        body: body.as_bytes(),
    })
}

fn rpc(body: &str) -> Result<Arrived, Refusal> {
    http("POST", "/", body)
}

fn message() -> Value {
    json!({"messageId": "m1", "role": "ROLE_USER", "parts": [{"text": "hi"}]})
}

fn call(method: &str, params: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}).to_string()
}

/// A refusal as (kind, message, JSON-RPC id or "-").
fn refused(result: Result<Arrived, Refusal>) -> (FailureKind, String, String) {
    let refusal = match result {
        Ok(arrived) => panic!("accepted: {arrived:?}"),
        Err(refusal) => refusal,
    };
    let id = match &refusal.reply.binding {
        ReplyBinding::JsonRpc { id } => String::from_utf8(id.as_bytes().to_vec()).unwrap(),
        _ => "-".to_owned(),
    };
    (refusal.failure.kind, refusal.failure.message.clone(), id)
}

#[test]
fn a_message_over_json_rpc_is_understood_and_kept_raw() {
    let params = r#"{ "message" : {"messageId":"m1","role":"ROLE_USER","contextId":"c","taskId":"t",
        "referenceTaskIds":["r1","r2"],"future":{"a":[1.50,"\u0041"]},
        "parts":[{"text":"one\n\u00e9"},{"data":{"x":1e2},"mediaType":"application/json"},{"text":"two"},{"url":"http://x/"}]},
        "configuration":{"historyLength":3,"unknown":null},"vendor":{"k":[]}}"#;
    let body =
        format!(r#"{{"id":"a\u0062c","jsonrpc":"2.0","params":{params},"method":"SendMessage"}}"#);
    let arrived = http("POST", "/agents/b-gent/", &body).unwrap();
    assert_eq!(arrived.call.target, Target::Agent("b-gent".into()));
    let ReplyBinding::JsonRpc { id } = &arrived.reply.binding else {
        panic!()
    };
    assert_eq!(id.as_bytes().as_ref(), br#""a\u0062c""#);
    assert!(!arrived.reply.stream);
    let Operation::SendMessage(message) = arrived.call.operation else {
        panic!()
    };
    assert_eq!(message.params.as_bytes().as_ref(), params.as_bytes());
    assert_eq!(message.text, "one\né\ntwo");
    assert_eq!(message.data.unwrap().as_bytes().as_ref(), br#"{"x":1e2}"#);
    assert_eq!(message.task_id.as_deref(), Some("t"));
    assert_eq!(message.context_id.as_deref(), Some("c"));
    assert_eq!(message.message_id, "m1");
    assert_eq!(message.reference_task_ids, ["r1", "r2"]);
}

#[test]
fn every_method_of_json_rpc_gets_its_own_answer() {
    let sent = json!({"message": message()});
    let task = json!({"id": "t1", "historyLength": 2});
    assert!(matches!(
        rpc(&call("SendMessage", &sent)).unwrap().call.operation,
        Operation::SendMessage(_)
    ));
    let streamed = rpc(&call("SendStreamingMessage", &sent)).unwrap();
    assert!(matches!(
        streamed.call.operation,
        Operation::StreamMessage(_)
    ));
    assert!(streamed.reply.stream);
    for method in ["GetTask", "CancelTask"] {
        let call = match rpc(&call(method, &task)).unwrap().call.operation {
            Operation::GetTask(call) if method == "GetTask" => call,
            Operation::CancelTask(call) if method == "CancelTask" => call,
            other => panic!("{other:?}"),
        };
        assert_eq!(call.task_id, "t1");
        assert_eq!(call.params.as_bytes().as_ref(), task.to_string().as_bytes());
    }
    for (method, kind) in [
        ("ListTasks", FailureKind::Unsupported),
        ("SubscribeToTask", FailureKind::Unsupported),
        ("GetExtendedAgentCard", FailureKind::Unsupported),
        (
            "CreateTaskPushNotificationConfig",
            FailureKind::PushNotSupported,
        ),
        (
            "GetTaskPushNotificationConfig",
            FailureKind::PushNotSupported,
        ),
        (
            "ListTaskPushNotificationConfigs",
            FailureKind::PushNotSupported,
        ),
        (
            "DeleteTaskPushNotificationConfig",
            FailureKind::PushNotSupported,
        ),
        ("message/send", FailureKind::UnknownMethod),
        ("sendmessage", FailureKind::UnknownMethod),
    ] {
        let (found, _, id) = refused(rpc(&call(method, &json!({}))));
        assert_eq!((found, id.as_str()), (kind, "7"), "{method}");
    }
    let old = rpc(&call("message/send", &json!({}))).unwrap_err();
    assert_eq!(
        old.failure.hint.as_deref(),
        Some("in A2A 1.0 this is `SendMessage`")
    );
}

#[test]
fn what_is_no_request_is_refused_by_the_book() {
    let good = r#""jsonrpc":"2.0","method":"GetTask","params":{"id":"t"}"#;
    let cases = [
        (String::new(), FailureKind::Malformed, "null"),
        ("{".into(), FailureKind::Malformed, "null"),
        (
            format!(r#"{{{good},"id":1}} x"#),
            FailureKind::Malformed,
            "null",
        ),
        ("[".into(), FailureKind::Malformed, "null"),
        ("[1,]".into(), FailureKind::Malformed, "null"),
        ("[]".into(), FailureKind::InvalidRequest, "null"),
        (
            format!(r#"[{{{good},"id":1}}]"#),
            FailureKind::InvalidRequest,
            "null",
        ),
        ("7".into(), FailureKind::InvalidRequest, "null"),
        ("null".into(), FailureKind::InvalidRequest, "null"),
        (format!("{{{good}}}"), FailureKind::InvalidRequest, "null"),
        (
            format!(r#"{{{good},"id":true}}"#),
            FailureKind::InvalidRequest,
            "null",
        ),
        (
            format!(r#"{{{good},"id":{{}}}}"#),
            FailureKind::InvalidRequest,
            "null",
        ),
        (
            format!(r#"{{{good},"id":[1]}}"#),
            FailureKind::InvalidRequest,
            "null",
        ),
        (
            format!(r#"{{{good},"id":1,"id":2}}"#),
            FailureKind::InvalidRequest,
            "null",
        ),
        (
            format!(r#"{{{good},"id":1,"Id":2}}"#),
            FailureKind::InvalidRequest,
            "null",
        ),
        (
            format!(r#"{{{good},"id":1,"method":"CancelTask"}}"#),
            FailureKind::InvalidRequest,
            "null",
        ),
        (
            format!(r#"{{{good},"id":1,"METHOD":"CancelTask"}}"#),
            FailureKind::InvalidRequest,
            "null",
        ),
        (
            format!(r#"{{{good},"id":1,"param\u017f":{{}}}}"#),
            FailureKind::InvalidRequest,
            "null",
        ),
        (
            format!(r#"{{{good},"id":"{}"}}"#, "x".repeat(600)),
            FailureKind::InvalidRequest,
            "null",
        ),
        (
            r#"{"jsonrpc":"1.0","id":1,"method":"GetTask"}"#.into(),
            FailureKind::InvalidRequest,
            "1",
        ),
        (
            r#"{"id":1.5,"method":"GetTask"}"#.into(),
            FailureKind::InvalidRequest,
            "1.5",
        ),
        (
            r#"{"jsonrpc":2.0,"id":1,"method":"GetTask"}"#.into(),
            FailureKind::InvalidRequest,
            "1",
        ),
        (
            r#"{"jsonrpc":"2.0","id":"a"}"#.into(),
            FailureKind::InvalidRequest,
            "\"a\"",
        ),
        (
            r#"{"jsonrpc":"2.0","id":null,"method":7}"#.into(),
            FailureKind::InvalidRequest,
            "null",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":""}"#.into(),
            FailureKind::InvalidRequest,
            "1",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"GetTask"}"#.into(),
            FailureKind::InvalidParams,
            "1",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"GetTask","params":["t"]}"#.into(),
            FailureKind::InvalidParams,
            "1",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"GetTask","params":null}"#.into(),
            FailureKind::InvalidParams,
            "1",
        ),
    ];
    for (body, kind, id) in cases {
        let (found, message, found_id) = refused(rpc(&body));
        assert_eq!((found, found_id.as_str()), (kind, id), "{body}: {message}");
    }
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"GetTask","params":{{"id":"t","x":{}{}}}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert_eq!(refused(rpc(&deep)).0, FailureKind::Malformed);
    let in_string = format!(r#"{{{good},"id":1,"x":"{}\""}}"#, "[".repeat(500));
    assert!(rpc(&in_string).is_ok());
    let bytes = send(&Request {
        method: "POST",
        path: "/",
        headers: HEADERS,
        body: b"{\"a\":\"\xff\"}",
    });
    assert_eq!(refused(bytes).0, FailureKind::Malformed);
}

/// Every way to say one thing to the mesh and another to an agent.
#[test]
fn a_field_that_matters_has_one_meaning() {
    let with = |message: &str| format!(r#"{{"message":{{{message}}}}}"#);
    let good = r#""messageId":"m","role":"ROLE_USER","parts":[{"text":"hi"}]"#;
    let cases = [
        (
            with(&format!(r#"{good},"taskId":"a","taskId":"b""#)),
            "`message.taskId` is given twice",
        ),
        (
            with(&format!(r#"{good},"taskId":"a","task_id":"b""#)),
            "`message.task_id` can be taken for",
        ),
        (
            with(&format!(r#"{good},"task_id":"b""#)),
            "`message.task_id` can be taken for `message.taskId`",
        ),
        (
            with(&format!(r#"{good},"TASKID":"b""#)),
            "`message.TASKID` can be taken",
        ),
        (
            with(&format!(r#"{good},"ta\u017f\u212aId":"b""#)),
            "can be taken for `message.taskId`",
        ),
        (
            with(&format!(r#"{good},"taskId\u0000x":"b""#)),
            "can be taken for `message.taskId`",
        ),
        (
            with(&format!(r#"{good},"task\u0049d":"a","taskId":"b""#)),
            "given twice",
        ),
        (
            with(&format!(r#"{good},"context-id":"b""#)),
            "can be taken for `message.contextId`",
        ),
        (
            with(&format!(r#"{good},"message_id":"b""#)),
            "can be taken for `message.messageId`",
        ),
        (
            with(&format!(r#"{good},"Parts":[]"#)),
            "can be taken for `message.parts`",
        ),
        (
            with(&format!(r#"{good},"parts":[{{"text":"x"}}]"#)),
            "`message.parts` is given twice",
        ),
        (
            with(&format!(r#"{good},"reference_task_ids":["x"]"#)),
            "`message.referenceTaskIds`",
        ),
        (
            with(r#""messageId":"m","role":"ROLE_USER","parts":[{"text":"a","text":"b"}]"#),
            "`message.parts[].text` is given twice",
        ),
        (
            with(r#""messageId":"m","role":"ROLE_USER","parts":[{"text":"a","Text":"b"}]"#),
            "`message.parts[].Text` can be taken",
        ),
        (
            with(
                r#""messageId":"m","role":"ROLE_USER","parts":[{"text":"a"},{"text":"a","data":1}]"#,
            ),
            "`message.parts[1]` holds more than one",
        ),
        (
            format!(r#"{{"message":{{{good}}},"message":{{{good}}}}}"#),
            "`message` is given twice",
        ),
        (
            format!(r#"{{"message":{{{good}}},"Message":{{}}}}"#),
            "`Message` can be taken for `message`",
        ),
        (
            format!(r#"{{"message":{{{good}}},"tenant":"acme"}}"#),
            "`tenant` is not offered",
        ),
        (
            format!(r#"{{"message":{{{good}}},"Tenant":"acme"}}"#),
            "`Tenant` can be taken",
        ),
        (
            format!(r#"{{"message":{{{good}}},"configuration":{{}},"configuration":{{}}}}"#),
            "`configuration` is given twice",
        ),
        (
            format!(
                r#"{{"message":{{{good}}},"configuration":{{"task_push_notification_config":{{"url":"http://x"}}}}}}"#
            ),
            "can be taken for `configuration.taskPush",
        ),
    ];
    for (params, expected) in cases {
        for body in [
            format!(r#"{{"jsonrpc":"2.0","id":7,"method":"SendMessage","params":{params}}}"#),
            format!(
                r#"{{"jsonrpc":"2.0","id":7,"method":"SendStreamingMessage","params":{params}}}"#
            ),
        ] {
            let (kind, message, id) = refused(rpc(&body));
            assert_eq!(
                (kind, id.as_str()),
                (FailureKind::InvalidParams, "7"),
                "{body}"
            );
            assert!(message.contains(expected), "{params}: {message}");
        }
        let (kind, message, _) = refused(http("POST", "/message:send", &params));
        assert_eq!(kind, FailureKind::InvalidParams, "{params}");
        assert!(message.contains(expected), "{params}: {message}");
    }
    for params in [
        r#"{"id":"a","id":"b"}"#,
        r#"{"id":"a","ID":"b"}"#,
        r#"{"id":"a","_id":"b"}"#,
        r#"{"id":"a","tenant":"x"}"#,
    ] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":7,"method":"GetTask","params":{params}}}"#);
        assert_eq!(
            refused(rpc(&body)).0,
            FailureKind::InvalidParams,
            "{params}"
        );
        assert_eq!(
            refused(http("POST", "/tasks/a:cancel", params)).0,
            FailureKind::InvalidParams,
            "{params}"
        );
    }
}

#[test]
fn what_is_no_object_is_told_by_its_name_and_with_a_hint_that_fits() {
    for (method, params) in [
        ("SendMessage", "[1]"),
        ("SendStreamingMessage", "null"),
        ("GetTask", "\"t\""),
        ("CancelTask", "7"),
    ] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":7,"method":"{method}","params":{params}}}"#);
        let failure = rpc(&body).unwrap_err().failure;
        assert_eq!(failure.kind, FailureKind::InvalidParams, "{body}");
        assert_eq!(failure.message, "`params` must be an object", "{body}");
        let hint = failure.hint.unwrap();
        assert!(hint.contains("by name"), "{hint}");
    }
    let failure = http("POST", "/message:send", "[1]").unwrap_err().failure;
    assert_eq!(failure.message, "the body must be an object");
    assert_eq!(failure.hint.as_deref(), Some("send one JSON object"));
    let twice = http("POST", "/tasks/a:cancel", r#"{"id":"a","id":"b"}"#).unwrap_err();
    let hint = twice.failure.hint.unwrap();
    assert!(hint.contains("exactly one meaning"), "{hint}");
}

#[test]
fn a_message_without_what_it_needs_is_refused_by_field() {
    let mut cases = vec![
        (json!({}), "`message`"),
        (json!({"message": null}), "`message`"),
        (json!({"message": "hi"}), "`message` must be an object"),
        (json!({"message": []}), "`message` must be an object"),
    ];
    for (field, value, expected) in [
        (
            "messageId",
            json!(""),
            "`message.messageId` is missing or empty",
        ),
        (
            "messageId",
            json!(null),
            "`message.messageId` is missing or empty",
        ),
        (
            "messageId",
            json!(7),
            "`message.messageId` must be a string",
        ),
        (
            "messageId",
            json!("a".repeat(300)),
            "`message.messageId` is longer",
        ),
        (
            "messageId",
            json!("a\nb"),
            "`message.messageId` holds a control character",
        ),
        ("taskId", json!(["t"]), "`message.taskId` must be a string"),
        (
            "contextId",
            json!({}),
            "`message.contextId` must be a string",
        ),
        ("role", json!(null), "`message.role` is missing"),
        ("role", json!(""), "`message.role` is missing"),
        ("role", json!(1), "`message.role` must be a string"),
        ("parts", json!([]), "`message.parts` is missing or empty"),
        ("parts", json!(null), "`message.parts` is missing or empty"),
        (
            "parts",
            json!({"text": "x"}),
            "`message.parts` must be an array",
        ),
        ("parts", json!("x"), "`message.parts` must be an array"),
        ("parts", json!(["x"]), "`message.parts[]` must be an object"),
        (
            "parts",
            json!([null]),
            "`message.parts[]` must be an object",
        ),
        (
            "parts",
            json!([{"text": 7}]),
            "`message.parts[].text` must be",
        ),
        (
            "referenceTaskIds",
            json!("x"),
            "`message.referenceTaskIds` must be",
        ),
        (
            "referenceTaskIds",
            json!([7]),
            "`message.referenceTaskIds` must be",
        ),
    ] {
        let mut message = message();
        message.as_object_mut().unwrap().insert(field.into(), value);
        cases.push((json!({"message": message}), expected));
    }
    for field in ["messageId", "role", "parts"] {
        let mut message = message();
        message.as_object_mut().unwrap().remove(field);
        cases.push((json!({"message": message}), "is missing"));
    }
    for (params, expected) in cases {
        let (kind, message, _) = refused(rpc(&call("SendMessage", &params)));
        assert_eq!(kind, FailureKind::InvalidParams, "{params}");
        assert!(message.contains(expected), "{params}: {message}");
        assert_eq!(
            refused(http("POST", "/message:stream", &params.to_string())).0,
            kind
        );
    }
    let push = json!({"message": message(), "configuration": {"taskPushNotificationConfig": {"url": "http://evil/"}}});
    assert_eq!(
        refused(rpc(&call("SendMessage", &push))).0,
        FailureKind::PushNotSupported
    );
    let nulls = json!({"tenant": "", "message": {"messageId": "m", "role": "ROLE_USER", "taskId": null,
        "contextId": "", "parts": [{"text": "x", "data": null, "raw": null}]},
        "configuration": {"taskPushNotificationConfig": null}});
    let Operation::SendMessage(sent) = rpc(&call("SendMessage", &nulls)).unwrap().call.operation
    else {
        panic!()
    };
    assert_eq!(
        (sent.task_id, sent.context_id, sent.data),
        (None, None, None)
    );
}

#[test]
fn the_version_is_required_of_both_bindings_and_of_nothing_else() {
    let good = call("SendMessage", &json!({"message": message()}));
    let plain = json!({"message": message()}).to_string();
    let json = ("content-type", "application/json");
    let try_with = |path: &str, headers: &[(&'static str, &str)], body: &str| {
        let method = if body.is_empty() { "GET" } else { "POST" };
        match send(&Request {
            method,
            path,
            headers,
            body: body.as_bytes(),
        }) {
            Ok(_) => None,
            Err(refusal) => Some(refusal.failure.kind),
        }
    };
    for (value, fits) in [
        ("1.0", true),
        (" 1.0 ", true),
        ("1.0.1", true),
        ("", false),
        ("0.3", false),
        ("1", false),
        ("1.1", false),
        ("1.00", false),
        ("1.0.", false),
        ("1.0.x", false),
        ("2.0", false),
    ] {
        let expected = (!fits).then_some(FailureKind::VersionNotSupported);
        let headers = [json, ("a2a-version", value)];
        assert_eq!(try_with("/", &headers, &good), expected, "{value:?}");
        assert_eq!(
            try_with("/message:send", &headers, &plain),
            expected,
            "{value:?}"
        );
        assert_eq!(try_with("/tasks/t", &headers, ""), expected, "{value:?}");
        let query = value.trim();
        assert_eq!(
            try_with(&format!("/?A2A-Version={query}"), &[json], &good),
            expected
        );
        assert_eq!(
            try_with(&format!("/tasks/t?a2a-version={query}"), &[], ""),
            expected
        );
    }
    assert_eq!(
        try_with("/", &[json], &good),
        Some(FailureKind::VersionNotSupported)
    );
    let twice = [json, ("a2a-version", "1.0"), ("a2a-version", "0.3")];
    assert_eq!(
        try_with("/", &twice, &good),
        Some(FailureKind::VersionNotSupported)
    );
    assert_eq!(try_with("/.well-known/agent-card.json", &[], ""), None);
    assert_eq!(try_with("/v1/agents", &[], ""), None);
    assert_eq!(try_with("/v1/route", &[json], r#"{"text":"x"}"#), None);
    let refusal = send(&Request {
        method: "POST",
        path: "/",
        headers: &[json],
        body: good.as_bytes(),
    })
    .unwrap_err();
    assert_eq!(
        refusal.failure.hint.as_deref(),
        Some("send the header A2A-Version: 1.0")
    );
    assert!(
        matches!(refusal.reply.binding, ReplyBinding::JsonRpc { id } if id.as_bytes().as_ref() == b"7")
    );
}

#[test]
fn a_body_must_say_that_it_is_json() {
    let good = call("SendMessage", &json!({"message": message()}));
    for (kind, fits) in [
        ("application/json", true),
        ("Application/JSON; charset=utf-8", true),
        ("application/a2a+json", true),
        ("text/plain", false),
        ("application/x-www-form-urlencoded", false),
        ("multipart/form-data", false),
        ("json", false),
        ("", false),
    ] {
        let headers = [("content-type", kind), ("a2a-version", "1.0")];
        let result = send(&Request {
            method: "POST",
            path: "/",
            headers: &headers,
            body: good.as_bytes(),
        });
        match result {
            Ok(_) => assert!(fits, "{kind}"),
            Err(refusal) => assert_eq!(
                (refusal.failure.kind, fits),
                (FailureKind::ContentType, false),
                "{kind}"
            ),
        }
    }
    let headers = [("a2a-version", "1.0")];
    let absent = Request {
        method: "POST",
        path: "/v1/route",
        headers: &headers,
        body: b"{}",
    };
    assert_eq!(refused(send(&absent)).0, FailureKind::ContentType);
}

#[test]
fn http_json_tasks_come_from_path_and_query() {
    let get = |path: &str| match http("GET", path, "") {
        Ok(Arrived { call, .. }) => match call.operation {
            Operation::GetTask(task) => Ok((
                task.task_id,
                String::from_utf8(task.params.as_bytes().to_vec()).unwrap(),
            )),
            other => panic!("{other:?}"),
        },
        Err(refusal) => Err((refusal.failure.kind, refusal.failure.message.clone())),
    };
    let found = |id: &str, params: &str| Ok((id.to_owned(), params.to_owned()));
    assert_eq!(get("/tasks/t1"), found("t1", r#"{"id":"t1"}"#));
    assert_eq!(
        get("/agents/x/tasks/urn:a%3Ab%22?historyLength=10&A2A-Version=1.0&new=a%20b&tenant="),
        found(
            "urn:a:b\"",
            r#"{"id":"urn:a:b\"","historyLength":10,"new":"a b"}"#
        )
    );
    for query in [
        "historyLength=x",
        "historyLength=1&historyLength=2",
        "history_length=1",
        "id=other",
        "ID=other",
        "tenant=a",
        "a=%zz",
        "historyLength=99999999999",
    ] {
        let kind = get(&format!("/tasks/t?{query}")).map_err(|(kind, _)| kind);
        assert_eq!(kind, Err(FailureKind::InvalidParams), "{query}");
    }
    for id in ["a%2Fb", "%2e%2e", ".", "a%00b", "%ff", "%"] {
        let kind = get(&format!("/tasks/{id}")).map_err(|(kind, _)| kind);
        assert_eq!(kind, Err(FailureKind::TaskNotFound), "{id}");
    }
    assert_eq!(
        get(&format!("/tasks/{}", "a".repeat(300))).map_err(|(kind, _)| kind),
        Err(FailureKind::InvalidParams)
    );

    let cancel = |path: &str, body: &str| match http("POST", path, body) {
        Ok(Arrived { call, .. }) => match call.operation {
            Operation::CancelTask(task) => Ok((
                task.task_id,
                String::from_utf8(task.params.as_bytes().to_vec()).unwrap(),
            )),
            other => panic!("{other:?}"),
        },
        Err(refusal) => Err((refusal.failure.kind, refusal.failure.message.clone())),
    };
    assert_eq!(cancel("/tasks/t:cancel", ""), found("t", r#"{"id":"t"}"#));
    assert_eq!(
        cancel("/tasks/t:cancel", " {} "),
        found("t", r#"{"id":"t"}"#)
    );
    assert_eq!(
        cancel("/tasks/t:cancel/", r#"{"metadata":{"a":1.0},"id":null}"#),
        found("t", r#"{"id":"t","metadata":{"a":1.0}}"#)
    );
    assert_eq!(
        cancel("/tasks/a%3Acancel:cancel", r#"{"id": "a:cancel"}"#),
        found("a:cancel", r#"{"id": "a:cancel"}"#)
    );
    for body in [
        r#"{"id":"other"}"#,
        "[]",
        "7",
        r#"{"id":7}"#,
        r#"{"tenant":"x"}"#,
    ] {
        assert_eq!(
            cancel("/tasks/t:cancel", body).map_err(|(kind, _)| kind),
            Err(FailureKind::InvalidParams),
            "{body}"
        );
    }
    assert_eq!(
        cancel("/tasks/t:cancel", "{").map_err(|(kind, _)| kind),
        Err(FailureKind::Malformed)
    );
}

#[test]
fn every_path_is_classified_before_its_body() {
    use FailureKind::*;
    let cases: &[(&str, &str, Result<bool, FailureKind>)] = &[
        ("POST", "/", Ok(true)),
        ("POST", "//", Ok(true)),
        ("POST", "/agents/a", Ok(true)),
        ("POST", "/agents/a/", Ok(true)),
        ("POST", "/agents/a//", Ok(true)),
        ("GET", "/", Err(MethodNotAllowed)),
        ("DELETE", "/agents/a/", Err(MethodNotAllowed)),
        ("GET", "/.well-known/agent-card.json", Ok(false)),
        ("GET", "/agents/a/.well-known/agent-card.json", Ok(false)),
        ("HEAD", "/.well-known/agent-card.json", Ok(false)),
        ("HEAD", "/tasks/t", Ok(false)),
        ("HEAD", "/v1/agents", Ok(false)),
        ("HEAD", "/v1/agents/a", Ok(false)),
        ("HEAD", "/", Err(MethodNotAllowed)),
        ("HEAD", "/message:send", Err(MethodNotAllowed)),
        (
            "POST",
            "/.well-known/agent-card.json",
            Err(MethodNotAllowed),
        ),
        ("POST", "/message:send", Ok(true)),
        ("POST", "/message:send/", Ok(true)),
        ("POST", "/agents/a/message:stream", Ok(true)),
        ("GET", "/message:send", Err(MethodNotAllowed)),
        ("GET", "/tasks/t", Ok(false)),
        ("POST", "/tasks/t:cancel", Ok(true)),
        ("GET", "/tasks/t:cancel", Err(MethodNotAllowed)),
        ("POST", "/tasks/t", Err(MethodNotAllowed)),
        ("GET", "/tasks/t:subscribe", Ok(false)),
        ("POST", "/tasks/t:subscribe", Ok(false)),
        ("PUT", "/tasks/t:subscribe", Err(MethodNotAllowed)),
        ("GET", "/tasks", Ok(false)),
        ("POST", "/tasks", Err(MethodNotAllowed)),
        ("POST", "/tasks/t/pushNotificationConfigs", Ok(false)),
        ("DELETE", "/tasks/t/pushNotificationConfigs/c", Ok(false)),
        (
            "PATCH",
            "/tasks/t/pushNotificationConfigs/c",
            Err(MethodNotAllowed),
        ),
        ("GET", "/tasks/t/other", Err(UnknownMethod)),
        (
            "GET",
            "/tasks/t/pushNotificationConfigs/c/d",
            Err(UnknownMethod),
        ),
        ("GET", "/extendedAgentCard", Ok(false)),
        ("POST", "/acme/message:send", Err(UnknownMethod)),
        ("GET", "/agents/a/acme/tasks/t", Err(UnknownMethod)),
        ("GET", "/agents", Err(UnknownMethod)),
        ("GET", "/nothing", Err(UnknownMethod)),
        ("GET", "/healthz", Err(UnknownMethod)),
        ("POST", "/agents/A", Err(UnknownAgent)),
        ("POST", "/agents/a_b/message:send", Err(UnknownAgent)),
        ("POST", "/agents/%2e%2e/", Err(UnknownAgent)),
        ("POST", "/agents/%61", Ok(true)),
        ("POST", "/agents//message:send", Err(UnknownAgent)),
        ("POST", "/v1/route", Ok(true)),
        ("GET", "/v1/route", Err(MethodNotAllowed)),
        ("GET", "/v1/agents/", Ok(false)),
        ("POST", "/v1/agents", Ok(true)),
        ("PUT", "/v1/agents", Err(MethodNotAllowed)),
        ("GET", "/v1/agents/a", Ok(false)),
        ("DELETE", "/v1/agents/a", Ok(false)),
        ("POST", "/v1/agents/a", Err(MethodNotAllowed)),
        ("GET", "/v1/agents/a/b", Err(UnknownMethod)),
        ("GET", "/v1/agents/A", Err(UnknownAgent)),
        ("GET", "/v1/pheromones", Ok(false)),
        ("POST", "/v1/pheromones", Ok(true)),
        ("DELETE", "/v1/pheromones", Err(MethodNotAllowed)),
        ("GET", "/v1/nothing", Err(UnknownMethod)),
        ("GET", "", Err(MethodNotAllowed)),
    ];
    for (method, path, expected) in cases {
        let method: Method = method.parse().unwrap();
        let found = accepts(&method, path).map(|route| route.needs_body());
        assert_eq!(
            found.map_err(|refusal| refusal.failure.kind),
            *expected,
            "{method} {path}"
        );
        assert_eq!(
            needs_body(&method, path),
            *expected == Ok(true),
            "{method} {path}"
        );
    }
    for path in [
        "/agents/../v1/agents",
        "/agents/a/acme/tasks/t",
        "/tasks/t/other",
        "/v1/agents/a/b",
        "/nothing/",
    ] {
        let refusal = http("GET", path, "").unwrap_err();
        assert_eq!(refusal.failure.message, format!("no such path: `{path}`"));
    }
    let tenant = http("POST", "/acme/message:send", "{}").unwrap_err();
    assert!(tenant.failure.hint.as_deref().unwrap().contains("tenant"));
    for (method, path, kind) in [
        ("GET", "/tasks", Unsupported),
        ("GET", "/tasks/t:subscribe", Unsupported),
        ("GET", "/extendedAgentCard", Unsupported),
        ("GET", "/tasks/t/pushNotificationConfigs", PushNotSupported),
    ] {
        let (found, _, binding) = refused(http(method, path, ""));
        assert_eq!((found, binding.as_str()), (kind, "-"), "{path}");
    }
}

#[test]
fn feedback_on_routing_is_given_read_and_taken_back() {
    let rest = |method: &str, path: &str, body: &str| {
        http(method, path, body).map(|arrived| arrived.call.operation)
    };
    let body =
        r#"{"decision":"d-1","verdict":"wrong","shouldBe":"b","skill":"s","text":"x","agent":"a"}"#;
    let some = |text: &str| Some(text.to_owned());
    let draft = FeedbackDraft {
        decision: "d-1".into(),
        verdict: Verdict::Wrong,
        should_be: some("b"),
        skill: some("s"),
        text: some("x"),
        agent: some("a"),
    };
    let given = rest("POST", "/v1/router/feedback", body).unwrap();
    assert_eq!(given, Operation::GiveFeedback(draft));
    let listed = rest("GET", "/v1/router/feedback", "").unwrap();
    assert_eq!(listed, Operation::ListFeedback);
    let undone = rest("DELETE", "/v1/router/feedback/e%2D1", "").unwrap();
    assert_eq!(undone, Operation::UndoFeedback { id: "e-1".into() });
    let long = format!(r#"{{"decision":"{}","verdict":"right"}}"#, "d".repeat(257));
    for (body, field) in [
        (r#"{"verdict":"right"}"#, "`decision`"),
        (r#"{"decision":"","verdict":"right"}"#, "`decision`"),
        (long.as_str(), "`decision`"),
        (r#"{"decision":"d","verdict":"maybe"}"#, "`verdict`"),
        (
            r#"{"decision":"d","verdict":"wrong","shouldBe":"A B"}"#,
            "`shouldBe`",
        ),
        (
            r#"{"decision":"d","verdict":"wrong","should_be":"b"}"#,
            "`should_be`",
        ),
        (
            r#"{"decision":"d","verdict":"wrong","agent":""}"#,
            "`agent`",
        ),
    ] {
        let (_, message, _) = refused(http("POST", "/v1/router/feedback", body));
        assert!(message.contains(field), "{body}: {message}");
    }
    for (method, path, allow) in [
        ("PUT", "/v1/router/feedback", "GET, POST"),
        ("GET", "/v1/router/feedback/e", "DELETE"),
    ] {
        let refusal = http(method, path, "").unwrap_err();
        assert_eq!(refusal.failure.kind, FailureKind::MethodNotAllowed);
        let hint = refusal.failure.hint.unwrap();
        assert!(hint.ends_with(allow), "{path}: {hint}");
    }
    for path in [
        "/v1/router",
        "/v1/router/feedback/a/b",
        "/v1/router/feedback/..",
    ] {
        let refusal = http("DELETE", path, "").unwrap_err();
        assert_eq!(refusal.failure.kind, FailureKind::UnknownMethod, "{path}");
    }
}

#[test]
fn rest_takes_what_it_documents_and_nothing_else() {
    let rest = |method: &str, path: &str, body: &str| {
        http(method, path, body).map(|arrived| (arrived.call.target, arrived.call.operation))
    };
    let (target, operation) = rest("POST", "/v1/route", r#"{"text":" who? "}"#).unwrap();
    assert_eq!(
        (target, operation),
        (
            Target::Mesh,
            Operation::Route(RouteCall {
                text: " who? ".into(),
                ..RouteCall::default()
            })
        )
    );
    let asked = r#"{"text":"and tomorrow?","contextId":"c-1","explain":true}"#;
    let (_, operation) = rest("POST", "/v1/route", asked).unwrap();
    let followed = RouteCall {
        text: "and tomorrow?".into(),
        context_id: Some("c-1".into()),
        explain: true,
    };
    assert_eq!(operation, Operation::Route(followed));
    let long = format!(r#"{{"text":"x","contextId":"{}"}}"#, "c".repeat(257));
    for (body, field) in [
        (long.as_str(), "`contextId`"),
        (r#"{"text":"x","explain":"yes"}"#, "`explain`"),
        (r#"{"text":"x","context_id":"c"}"#, "`context_id`"),
    ] {
        let (_, message, _) = refused(http("POST", "/v1/route", body));
        assert!(message.contains(field), "{message}");
    }
    let (target, operation) = rest("DELETE", "/v1/agents/a-b", "").unwrap();
    assert_eq!(
        (target, operation),
        (Target::Agent("a-b".into()), Operation::RemoveAgent)
    );
    let (_, operation) = rest("GET", "/v1/agents/a", "").unwrap();
    assert_eq!(operation, Operation::DescribeAgent);
    let card = r#"{"name": "x", "n": 1.50}"#;
    let (_, operation) = rest(
        "POST",
        "/v1/agents",
        &format!(r#"{{"name":"a","card": {card}}}"#),
    )
    .unwrap();
    let Operation::RegisterAgent(registration) = operation else {
        panic!()
    };
    assert_eq!(
        registration.card.unwrap().as_bytes().as_ref(),
        card.as_bytes()
    );
    let emit = r#"{"type":"WARNING","intensity":0.5,"halfLifeMinutes":1,"target":"a","ttlSeconds":9,"payload":[1.0]}"#;
    let (_, operation) = rest("POST", "/v1/pheromones", emit).unwrap();
    let Operation::Emit(draft) = operation else {
        panic!()
    };
    assert_eq!(
        (
            draft.kind.as_str(),
            draft.payload.unwrap().as_bytes().as_ref()
        ),
        ("WARNING", b"[1.0]".as_slice())
    );
    let (_, operation) = rest(
        "GET",
        "/v1/pheromones?type=WARNING&target=a&min_intensity=0.5&limit=7",
        "",
    )
    .unwrap();
    let Operation::Sense(filter) = operation else {
        panic!()
    };
    assert_eq!(
        (filter.kind.as_deref(), filter.target.as_deref()),
        (Some("WARNING"), Some("a"))
    );
    assert_eq!((filter.min_intensity, filter.limit), (0.5, Some(7)));

    let big = format!(r#"{{"type":"A","payload":"{}"}}"#, "x".repeat(70_000));
    for (method, path, body, expected) in [
        ("POST", "/v1/route", "{}", "missing field `text`"),
        ("POST", "/v1/route", r#"{"text":""}"#, "`text` is empty"),
        ("POST", "/v1/route", r#"{"text":7}"#, "`text` does not fit"),
        ("POST", "/v1/route", r#"{"text":"a","more":1}"#, "`more`"),
        (
            "POST",
            "/v1/route",
            r#"{"text":"a","text":"b"}"#,
            "duplicate field `text`",
        ),
        ("POST", "/v1/route", "[]", "does not fit"),
        ("POST", "/v1/agents", "{}", "either `url` or `card`"),
        (
            "POST",
            "/v1/agents",
            r#"{"url":"http://x","card":{}}"#,
            "either `url` or `card`",
        ),
        (
            "POST",
            "/v1/agents",
            r#"{"url":"http://x","name":"A b"}"#,
            "`name` is no RFC 1123 label",
        ),
        ("POST", "/v1/pheromones", "{}", "missing field `type`"),
        (
            "POST",
            "/v1/pheromones",
            r#"{"type":"A","half_life_minutes":1}"#,
            "`half_life_minutes`",
        ),
        ("POST", "/v1/pheromones", &big, "`payload` has"),
        (
            "GET",
            "/v1/pheromones?kind=A",
            "",
            "no such parameter: `kind`",
        ),
        ("GET", "/v1/pheromones?limit=0", "", "`limit` must be"),
        ("GET", "/v1/pheromones?limit=1001", "", "`limit` must be"),
        (
            "GET",
            "/v1/pheromones?min_intensity=NaN",
            "",
            "`min_intensity` must be",
        ),
        (
            "GET",
            "/v1/pheromones?min_intensity=1.1",
            "",
            "`min_intensity` must be",
        ),
        (
            "GET",
            "/v1/pheromones?type=A&type=B",
            "",
            "`type` is given twice",
        ),
        ("GET", "/v1/pheromones?type=%", "", "percent-escape"),
    ] {
        let (kind, message, _) = refused(http(method, path, body));
        assert_eq!(
            kind,
            FailureKind::InvalidParams,
            "{path} {body:.80}: {message}"
        );
        assert!(message.contains(expected), "{path} {body:.80}: {message}");
    }
    assert_eq!(
        refused(http("POST", "/v1/route", "{")).0,
        FailureKind::Malformed
    );
    assert_eq!(
        refused(http("POST", "/v1/route", r#"{"text":"a"} x"#)).0,
        FailureKind::Malformed
    );
}

#[test]
fn trace_and_extensions_come_with_the_call() {
    let headers = [
        HEADERS[0],
        HEADERS[1],
        (
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ),
        ("a2a-extensions", "https://a/x"),
        ("a2a-extensions", "https://b/y"),
    ];
    let body = call("GetTask", &json!({"id": "t"}));
    let call = send(&Request {
        method: "POST",
        path: "/",
        headers: &headers,
        body: body.as_bytes(),
    })
    .unwrap()
    .call;
    assert_eq!(call.traceparent.unwrap().len(), 55);
    assert_eq!(call.extensions.as_deref(), Some("https://a/x,https://b/y"));
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("x[a-zA-Z_ é\"]{0,8}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// JSON-like text around the names that matter, often broken.
fn near_json() -> impl Strategy<Value = String> {
    let pieces = vec![
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"",
        "\\",
        "null",
        "1",
        "-",
        "\"id\":",
        "\"method\":\"SendMessage\",",
        "\"params\":",
        "\"message\":",
        "\"parts\":[",
        "\"text\":\"a\"",
        "\"jsonrpc\":\"2.0\",",
        "\"taskId\"",
        "\"task_id\"",
        "\u{0}",
        "\u{17f}",
        "\"\\ud800\"",
        " ",
        "\"messageId\":\"m\",",
        "\"role\":\"r\",",
    ];
    prop::collection::vec(prop::sample::select(pieces), 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn nothing_that_comes_makes_the_codec_panic(
        method in prop::sample::select(vec!["GET", "POST", "DELETE", "PUT", "BREW"]),
        path in prop_oneof![".{0,40}", "(/(agents|v1|tasks|%2[eEfF]|message:send|a|:cancel|route|pheromones|%|)){0,5}"],
        query in prop::option::of(".{0,40}"),
        version in prop::option::of("[ -~]{0,6}"),
        body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            near_json().prop_map(String::into_bytes),
        ],
    ) {
        let method: Method = method.parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        headers.insert("a2a-version", HeaderValue::from_str(version.as_deref().unwrap_or("1.0")).unwrap());
        let head = RequestHead { method: &method, path: &path, query: query.as_deref(), headers: &headers };
        match decode(&head, Bytes::from(body)) {
            Ok(arrived) => {
                let note = serde_json::to_string(&arrived.reply).unwrap();
                prop_assert_eq!(serde_json::from_str::<kgents_gateway::ReplyShape>(&note).unwrap(), arrived.reply);
                // What one codec decodes, a gateway can carry to the mesh as JSON.
                let carried = serde_json::to_string(&arrived.call).unwrap();
                let call: kgents_gateway::call::Call = serde_json::from_str(&carried).unwrap();
                prop_assert_eq!(&call.target, &arrived.call.target);
                prop_assert_eq!(call.operation.name(), arrived.call.operation.name());
                prop_assert_eq!(serde_json::to_string(&call).unwrap(), carried);
            }
            // Whatever the refusal repeats of the input, it is still JSON.
            Err(refusal) => {
                serde_json::from_slice::<Value>(&refusal.encode().body).unwrap();
            }
        }
    }

    #[test]
    fn what_the_mesh_does_not_read_survives_byte_for_byte(
        extra in json_value(),
        text in ".{0,30}",
        data in json_value(),
        pretty in any::<bool>(),
    ) {
        let params = json!({
            "message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": text}, {"data": data}], "zExtra": extra},
            "metadata": extra,
        });
        let params = if pretty { serde_json::to_string_pretty(&params) } else { serde_json::to_string(&params) }.unwrap();
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{params}}}"#);
        for arrived in [rpc(&body).unwrap(), http("POST", "/message:send", &params).unwrap()] {
            let Operation::SendMessage(message) = arrived.call.operation else { panic!() };
            prop_assert_eq!(message.params.as_bytes().as_ref(), params.as_bytes());
            prop_assert_eq!(&message.text, &text);
            let found = message.data.map(|data| serde_json::from_slice::<Value>(data.as_bytes()).unwrap());
            prop_assert_eq!(found.is_none(), data.is_null());
        }
    }
}
