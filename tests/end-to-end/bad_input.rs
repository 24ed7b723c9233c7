//! What callers get wrong: each gets its protocol's own error with a hint, and
//! the next request is served.

use kgents_tests::http::message;
use kgents_tests::{Agent, Mesh};

/// A request that is refused: path, body, version header, and what comes back.
struct Bad {
    what: &'static str,
    path: &'static str,
    body: String,
    version: Option<&'static str>,
    status: u16,
    code: i64,
    reason: &'static str,
}

fn bad(
    what: &'static str,
    path: &'static str,
    body: &str,
    expected: (u16, i64, &'static str),
) -> Bad {
    Bad {
        what,
        path,
        body: body.to_owned(),
        version: Some("1.0"),
        status: expected.0,
        code: expected.1,
        reason: expected.2,
    }
}

fn bad_requests() -> Vec<Bad> {
    let call = |method: &str, params: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#)
    };
    let good = call("SendMessage", &message("hi").to_string());
    let versionless = |version| Bad {
        version,
        ..bad(
            "a wrong version",
            "/agents/parrot",
            &good,
            (200, -32009, "VERSION_NOT_SUPPORTED"),
        )
    };
    let rest = "/agents/parrot/message:send";
    vec![
        bad(
            "malformed JSON",
            "/agents/parrot",
            r#"{"jsonrpc":"#,
            (200, -32700, "JSON_PARSE"),
        ),
        bad("malformed JSON", "/", "]", (200, -32700, "JSON_PARSE")),
        bad("malformed JSON", rest, "{]", (400, 400, "JSON_PARSE")),
        bad("no body", "/agents/parrot", "", (200, -32700, "JSON_PARSE")),
        bad(
            "not UTF-8 in spirit",
            "/",
            "\u{1}",
            (200, -32700, "JSON_PARSE"),
        ),
        bad(
            "no JSON-RPC",
            "/",
            r#"{"method":"SendMessage"}"#,
            (200, -32600, "INVALID_REQUEST"),
        ),
        bad(
            "JSON-RPC 1.0",
            "/",
            r#"{"jsonrpc":"1.0","id":1,"method":"SendMessage"}"#,
            (200, -32600, "INVALID_REQUEST"),
        ),
        bad("a batch", "/", "[]", (200, -32600, "INVALID_REQUEST")),
        bad(
            "an odd id",
            "/",
            r#"{"jsonrpc":"2.0","id":{},"method":"GetTask"}"#,
            (200, -32600, "INVALID_REQUEST"),
        ),
        bad(
            "an unknown method",
            "/",
            &call("Dance", "{}"),
            (200, -32601, "METHOD_NOT_FOUND"),
        ),
        bad(
            "a method of 0.3",
            "/",
            &call("message/send", "{}"),
            (200, -32601, "METHOD_NOT_FOUND"),
        ),
        bad(
            "no message",
            "/",
            &call("SendMessage", "{}"),
            (200, -32602, "INVALID_PARAMS"),
        ),
        bad(
            "no parts",
            rest,
            r#"{"message":{"messageId":"m","role":"ROLE_USER","parts":[]}}"#,
            (400, 400, "INVALID_PARAMS"),
        ),
        bad(
            "params twice",
            "/",
            r#"{"jsonrpc":"2.0","id":1,"method":"GetTask","params":{"id":"a","id":"b"}}"#,
            (200, -32602, "INVALID_PARAMS"),
        ),
        bad(
            "a method not offered",
            "/",
            &call("ListTasks", "{}"),
            (200, -32004, "UNSUPPORTED_OPERATION"),
        ),
        bad(
            "an unknown agent",
            "/agents/nobody",
            &good,
            (404, -32052, "UNKNOWN_AGENT"),
        ),
        bad(
            "an unknown agent",
            "/agents/nobody/message:send",
            &message("hi").to_string(),
            (404, 404, "UNKNOWN_AGENT"),
        ),
        bad(
            "an impossible name",
            "/agents/No%20Body",
            &good,
            (404, -32052, "UNKNOWN_AGENT"),
        ),
        bad(
            "an unknown path",
            "/agents/parrot/dance",
            "{}",
            (404, 404, "METHOD_NOT_FOUND"),
        ),
        bad(
            "somebody else's task",
            "/",
            &call("GetTask", r#"{"id":"t-1"}"#),
            (200, -32001, "TASK_NOT_FOUND"),
        ),
        bad(
            "an unknown member",
            "/v1/route",
            r#"{"txet":"hi"}"#,
            (400, 400, "INVALID_PARAMS"),
        ),
        bad(
            "no question",
            "/v1/route",
            r#"{"text":" "}"#,
            (400, 400, "INVALID_PARAMS"),
        ),
        versionless(None),
        versionless(Some("")),
        versionless(Some("0.3")),
        versionless(Some("2.0")),
        versionless(Some("one")),
        Bad {
            version: None,
            ..bad(
                "no version",
                rest,
                &message("hi").to_string(),
                (400, 400, "VERSION_NOT_SUPPORTED"),
            )
        },
    ]
}

#[test]
fn what_is_wrong_with_a_request_is_said_in_its_own_protocol() {
    let agent = Agent::start();
    let mesh = Mesh::start();
    mesh.add(&agent);
    let client = mesh.client();
    for bad in bad_requests() {
        let content_type = match bad.path.ends_with(":send") {
            true => "application/a2a+json",
            false => "application/json",
        };
        let mut request = client
            .request("POST", bad.path)
            .header("content-type", content_type)
            .body(bad.body.clone());
        if let Some(version) = bad.version {
            request = request.header("a2a-version", version);
        }
        let answer = request.send();
        let (got, what) = (
            answer.refusal(),
            format!("{} at {}: {}", bad.what, bad.path, answer.text()),
        );
        assert_eq!(
            (got.status, got.code, got.reason.as_str()),
            (bad.status, bad.code, bad.reason),
            "{what}"
        );
        assert!(!got.hint.is_empty(), "no hint for {what}");
        assert!(!got.message.is_empty(), "{what}");
        let next = client.say("/agents/parrot", "hello");
        assert_eq!(next.words(), "hello", "after {}", bad.what);
    }
    let wrong_method = client.request("DELETE", "/agents/parrot").send();
    assert_eq!(wrong_method.status, 405);
    assert_eq!(wrong_method.header("allow"), Some("POST"));
    mesh.verified();
}

#[test]
fn a_body_of_ten_megabytes_is_refused_in_the_callers_protocol() {
    let agent = Agent::start();
    let mesh = Mesh::start();
    mesh.add(&agent);
    let client = mesh.client();
    let params = message(&"x".repeat(10 * 1024 * 1024));
    let rpc = client.rpc("/agents/parrot", "SendMessage", &params);
    let rest = client.rest("POST", "/agents/parrot/message:send", Some(&params));
    for (answer, code) in [(rpc, -32600), (rest, 413)] {
        let refusal = answer.refusal();
        assert_eq!((refusal.status, refusal.code), (413, code), "{refusal:?}");
        assert_eq!(refusal.reason, "REQUEST_TOO_LARGE");
        assert!(refusal.hint.contains("limits.body"), "{refusal:?}");
    }
    assert!(agent.seen().is_empty());
    let large = "y".repeat(3 * 1024 * 1024);
    assert_eq!(
        client.say("/agents/parrot", &large).words(),
        large,
        "3 MB pass"
    );
}

#[test]
fn bytes_that_are_no_http_harm_nobody_else() {
    let mesh = Mesh::start();
    let address = mesh.url().trim_start_matches("http://").to_owned();
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"GET\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\xff\xff",
    ] {
        let mut connection = kgents_tests::Connection::open(&address).unwrap();
        let _ = connection.write_raw(bytes);
        drop(connection);
        assert_eq!(mesh.client().say("/agents/echo", "hello").status, 200);
    }
    let long = format!("/{}", "a".repeat(100_000));
    let answer = mesh.client().request("GET", &long).try_send();
    assert!(answer.is_ok_and(|answer| (400..500).contains(&answer.status)));
    assert_eq!(mesh.client().say("/agents/echo", "hello").status, 200);
}
