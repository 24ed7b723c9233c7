//! Answers in the words of each binding.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use bytes::Bytes;
use kgents_gateway::call::{AgentError, Failure, FailureKind, Payload};
use kgents_gateway::{ReplyBinding, ReplyShape};
use serde_json::{Value, json};

fn payload(text: &str) -> Payload {
    Payload::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap()
}

fn rpc(id: &str) -> ReplyShape {
    ReplyShape {
        binding: ReplyBinding::JsonRpc { id: payload(id) },
        stream: true,
    }
}

fn shape(binding: ReplyBinding) -> ReplyShape {
    ReplyShape {
        binding,
        stream: false,
    }
}

fn body(shape: &ReplyShape, failure: &Failure) -> (u16, Value) {
    let encoded = shape.unary(Err(failure));
    (
        encoded.status.as_u16(),
        serde_json::from_slice(&encoded.body).unwrap(),
    )
}

#[test]
fn a_result_is_wrapped_as_its_binding_wants() {
    let result = payload(r#"{"task": {"id":"t","n":1.0}}"#);
    let encoded = rpc(r#""a\u0062""#).unary(Ok(&result));
    assert_eq!(
        (encoded.status.as_u16(), encoded.content_type),
        (200, "application/json")
    );
    assert_eq!(
        encoded.body.as_ref(),
        br#"{"jsonrpc":"2.0","id":"a\u0062","result":{"task": {"id":"t","n":1.0}}}"#
    );
    for (binding, content_type) in [
        (ReplyBinding::HttpJson, "application/a2a+json"),
        (ReplyBinding::Rest, "application/json"),
        (ReplyBinding::Card, "application/json"),
    ] {
        let encoded = shape(binding).unary(Ok(&result));
        assert_eq!(&encoded.body, result.as_bytes());
        assert_eq!(
            (encoded.content_type, encoded.headers.len()),
            (content_type, 0)
        );
    }
}

#[test]
fn an_event_is_one_line_whatever_its_layout() {
    let pretty = payload("{\r\n  \"task\": {\n\"id\":\"a\\nb\"}\n}");
    let frame = rpc("1").event(Ok(&pretty));
    let text = std::str::from_utf8(&frame).unwrap();
    let data = text
        .strip_prefix("data: ")
        .unwrap()
        .strip_suffix("\n\n")
        .unwrap();
    assert!(!data.contains(['\n', '\r']));
    let value: Value = serde_json::from_str(data).unwrap();
    assert_eq!(
        value,
        json!({"jsonrpc": "2.0", "id": 1, "result": {"task": {"id": "a\nb"}}})
    );

    let bare = shape(ReplyBinding::HttpJson).event(Ok(&payload(r#"{"task":{}}"#)));
    assert_eq!(bare.as_ref(), b"data: {\"task\":{}}\n\n");

    let failure = Failure::new(FailureKind::TimedOut, "the agent was silent for `30` s");
    let frame = rpc("1").event(Err(&failure));
    let data = std::str::from_utf8(&frame)
        .unwrap()
        .strip_prefix("data: ")
        .unwrap();
    let value: Value = serde_json::from_str(data).unwrap();
    assert_eq!(value["error"]["code"], -32056);
    let frame = shape(ReplyBinding::HttpJson).event(Err(&failure));
    let data = std::str::from_utf8(&frame)
        .unwrap()
        .strip_prefix("event: error\ndata: ")
        .unwrap();
    let value: Value = serde_json::from_str(data).unwrap();
    assert_eq!(value["error"]["code"], 504);
    assert_eq!(rpc("1").heartbeat().as_ref(), b":\n\n");
}

#[test]
fn every_failure_is_said_in_every_binding() {
    let own = [
        (FailureKind::Unauthenticated, -32050, 401, 401),
        (FailureKind::Denied, -32051, 403, 403),
        (FailureKind::UnknownAgent, -32052, 404, 404),
        (FailureKind::NobodyFound, -32053, 200, 404),
        (FailureKind::BudgetExhausted, -32054, 429, 429),
        (FailureKind::Unreachable, -32055, 200, 502),
        (FailureKind::TimedOut, -32056, 200, 504),
        (FailureKind::Unavailable, -32057, 503, 503),
        (FailureKind::Refused, -32058, 200, 422),
        (FailureKind::TooLarge, -32600, 413, 413),
        (FailureKind::MethodNotAllowed, -32601, 405, 405),
        (FailureKind::Agent, -32603, 200, 500),
    ];
    let standard = [
        (FailureKind::Malformed, -32700, 200, 400),
        (FailureKind::InvalidRequest, -32600, 200, 400),
        (FailureKind::UnknownMethod, -32601, 200, 404),
        (FailureKind::InvalidParams, -32602, 200, 400),
        (FailureKind::Internal, -32603, 200, 500),
        (FailureKind::TaskNotFound, -32001, 200, 404),
        (FailureKind::TaskNotCancelable, -32002, 200, 400),
        (FailureKind::PushNotSupported, -32003, 200, 400),
        (FailureKind::Unsupported, -32004, 200, 400),
        (FailureKind::ContentType, -32005, 200, 400),
        (FailureKind::InvalidAgentResponse, -32006, 200, 500),
        (FailureKind::NoExtendedCard, -32007, 200, 400),
        (FailureKind::ExtensionRequired, -32008, 200, 400),
        (FailureKind::VersionNotSupported, -32009, 200, 400),
    ];
    assert_eq!(own.len() + standard.len(), FailureKind::ALL.len());
    let cases = own.map(|case| (case, "kgents.io")).into_iter();
    for ((kind, code, rpc_status, status), domain) in
        cases.chain(standard.map(|case| (case, "a2a-protocol.org")))
    {
        let failure = Failure::new(kind, "it `\"failed\"`")
            .hint("mend it")
            .fact("field", "a\nb");
        let info = json!([{
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": kind.code(),
            "domain": domain,
            "metadata": {"field": "a\nb", "hint": "mend it"},
        }]);
        let expected = json!({"jsonrpc": "2.0", "id": "x", "error":
            {"code": code, "message": "it `\"failed\"`", "data": info}});
        assert_eq!(body(&rpc("\"x\""), &failure), (rpc_status, expected));
        for binding in [
            ReplyBinding::HttpJson,
            ReplyBinding::Rest,
            ReplyBinding::Card,
        ] {
            let (found, value) = body(&shape(binding), &failure);
            assert_eq!(
                (found, value["error"]["code"].as_u64()),
                (status, Some(u64::from(status)))
            );
            assert_eq!(value["error"]["details"], info);
            assert!(
                value["error"]["status"]
                    .as_str()
                    .unwrap()
                    .chars()
                    .all(|c| c == '_' || c.is_ascii_uppercase())
            );
        }
    }
}

#[test]
fn an_answer_carries_the_headers_that_its_status_asks_for() {
    let headers = |failure: &Failure| -> Vec<String> {
        let encoded = shape(ReplyBinding::Rest).unary(Err(failure));
        encoded
            .headers
            .iter()
            .map(|(n, v)| format!("{n}: {}", v.to_str().unwrap()))
            .collect()
    };
    let bare = |kind| Failure::new(kind, "no");
    assert_eq!(
        headers(&bare(FailureKind::Unauthenticated)),
        ["www-authenticate: Bearer realm=\"kgents\""]
    );
    let wait = bare(FailureKind::BudgetExhausted).fact("retryAfterSeconds", "30");
    assert_eq!(headers(&wait), ["retry-after: 30"]);
    let odd = bare(FailureKind::BudgetExhausted).fact("retryAfterSeconds", "soon\r\nx: y");
    assert!(headers(&odd).is_empty());
    let refusal = kgents_gateway::accepts(&http::Method::PUT, "/v1/agents").unwrap_err();
    assert_eq!(headers(&refusal.failure), ["allow: GET, POST"]);
    assert!(headers(&bare(FailureKind::Denied)).is_empty());
}

#[test]
fn an_agents_own_error_keeps_code_and_details() {
    let agent = |code, data: Option<&str>| {
        let mut failure = Failure::new(FailureKind::Agent, "theirs");
        failure.agent_error = Some(Box::new(AgentError {
            code,
            data: data.map(payload),
        }));
        failure
    };
    let info = r#"{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"TASK_NOT_CANCELABLE","domain":"a2a-protocol.org","metadata":{"n":1.0}}"#;
    let (status, value) = body(
        &shape(ReplyBinding::HttpJson),
        &agent(-32002, Some(&format!("[{info}]"))),
    );
    assert_eq!(
        (status, &value["error"]["status"]),
        (400, &json!("FAILED_PRECONDITION"))
    );
    assert_eq!(
        value["error"]["details"],
        json!([serde_json::from_str::<Value>(info).unwrap()])
    );

    // Without their own ErrorInfo, ours stands in front of what they sent.
    let (status, value) = body(
        &shape(ReplyBinding::HttpJson),
        &agent(-32001, Some(r#"[{"@type":"x"}]"#)),
    );
    assert_eq!(status, 404);
    assert_eq!(value["error"]["details"][0]["reason"], "TASK_NOT_FOUND");
    assert_eq!(value["error"]["details"][1], json!({"@type": "x"}));

    let (status, value) = body(&rpc("1"), &agent(-31999, None));
    assert_eq!((status, &value["error"]["code"]), (200, &json!(-31999)));
    assert_eq!(value["error"]["data"][0]["reason"], "AGENT_ERROR");
    assert_eq!(value["error"]["message"], "theirs");
    // The mesh's own codes say nothing when an agent uses them.
    let (status, value) = body(&rpc("1"), &agent(-32050, None));
    assert_eq!(
        (status, &value["error"]["data"][0]["domain"]),
        (200, &json!("kgents.io"))
    );
    assert_eq!(value["error"]["data"][0]["reason"], "AGENT_ERROR");
    assert_eq!(
        body(&shape(ReplyBinding::Rest), &agent(-32050, None)).0,
        500
    );
}
