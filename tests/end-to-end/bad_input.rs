//! What callers get wrong: each gets its protocol's own error with a hint, and
//! the next request is served.

use kgents_tests::http::message;
use kgents_tests::{Agent, Client, Mesh};

/// Requests that are refused: what is wrong with them, where they go, what comes
/// back (HTTP status, `error.code`, reason), and their body. `$send` is a good
/// SendMessage call, `$message` its params, `$call METHOD PARAMS` any other.
const REFUSED: &str = r#"
malformed JSON       | /agents/parrot              | 200 -32700 JSON_PARSE            | {"jsonrpc":
malformed JSON       | /                           | 200 -32700 JSON_PARSE            | ]
malformed JSON       | /agents/parrot/message:send | 400 400 JSON_PARSE               | {]
no body              | /agents/parrot              | 200 -32700 JSON_PARSE            |
no JSON-RPC          | /                           | 200 -32600 INVALID_REQUEST       | {"method":"SendMessage"}
JSON-RPC 1.0         | /                           | 200 -32600 INVALID_REQUEST       | {"jsonrpc":"1.0","id":1,"method":"GetTask"}
a batch              | /                           | 200 -32600 INVALID_REQUEST       | []
an odd id            | /                           | 200 -32600 INVALID_REQUEST       | {"jsonrpc":"2.0","id":{},"method":"GetTask"}
an unknown method    | /                           | 200 -32601 METHOD_NOT_FOUND      | $call Dance {}
a method of A2A 0.3  | /                           | 200 -32601 METHOD_NOT_FOUND      | $call message/send {}
no message           | /                           | 200 -32602 INVALID_PARAMS        | $call SendMessage {}
no parts             | /agents/parrot/message:send | 400 400 INVALID_PARAMS           | {"message":{"messageId":"m","role":"ROLE_USER","parts":[]}}
an id twice          | /                           | 200 -32602 INVALID_PARAMS        | $call GetTask {"id":"a","id":"b"}
what is not offered  | /                           | 200 -32004 UNSUPPORTED_OPERATION | $call ListTasks {}
an unknown agent     | /agents/nobody              | 404 -32052 UNKNOWN_AGENT         | $send
an unknown agent     | /agents/nobody/message:send | 404 404 UNKNOWN_AGENT            | $message
an impossible name   | /agents/No%20Body           | 404 -32052 UNKNOWN_AGENT         | $send
an unknown path      | /agents/parrot/dance        | 404 404 METHOD_NOT_FOUND         | {}
nobody's task        | /                           | 200 -32001 TASK_NOT_FOUND        | $call GetTask {"id":"t-1"}
an unknown member    | /v1/route                   | 400 400 INVALID_PARAMS           | {"txet":"hi"}
no question          | /v1/route                   | 400 400 INVALID_PARAMS           | {"text":" "}
"#;

/// A call's body, from the way the table writes it.
fn body(written: &str) -> String {
    let call = |method: &str, params: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#)
    };
    let good = message("hi").to_string();
    match written {
        "$send" => call("SendMessage", &good),
        "$message" => good,
        _ => match written
            .strip_prefix("$call ")
            .and_then(|rest| rest.split_once(' '))
        {
            Some((method, params)) => call(method, params),
            None => written.to_owned(),
        },
    }
}

/// A request that is refused.
struct Bad<'a> {
    what: &'a str,
    path: &'a str,
    expected: &'a str,
    body: String,
    version: Option<&'a str>,
}

/// Posts it and makes sure that it is refused as expected.
fn refused(client: &Client, bad: &Bad<'_>) {
    let Bad {
        what,
        path,
        expected,
        body,
        version,
    } = bad;
    let kind = match path.contains("message:") {
        true => "application/a2a+json",
        false => "application/json",
    };
    let request = client
        .request("POST", path)
        .header("content-type", kind)
        .body(body.as_str());
    let answer = match version {
        Some(version) => request.header("a2a-version", version).send(),
        None => request.send(),
    };
    let got = answer.refusal();
    let told = format!("{} {} {}", got.status, got.code, got.reason);
    let what = format!("{what} at {path}: {}", answer.text());
    assert_eq!(told, *expected, "{what}");
    assert!(!got.message.is_empty(), "{what}");
    assert!(!got.hint.is_empty(), "no hint for {what}");
    let next = client.say("/agents/parrot", "hello");
    assert_eq!(next.words(), "hello", "after {what}");
}

#[test]
fn what_is_wrong_with_a_request_is_said_in_its_own_protocol() {
    let agent = Agent::start();
    let mesh = Mesh::start();
    mesh.add(&agent);
    let client = mesh.client();
    for row in REFUSED.lines().skip(1) {
        let cells: Vec<&str> = row.splitn(4, '|').map(str::trim).collect();
        let bad = Bad {
            what: cells[0],
            path: cells[1],
            expected: cells[2],
            body: body(cells[3]),
            version: Some("1.0"),
        };
        refused(&client, &bad);
    }
    let wrong_method = client.request("DELETE", "/agents/parrot").send();
    assert_eq!(wrong_method.status, 405);
    assert_eq!(wrong_method.header("allow"), Some("POST"));
    mesh.verified();
}

#[test]
fn a_version_that_is_not_spoken_is_refused_and_an_absent_one_is_0_3() {
    let agent = Agent::start();
    let mesh = Mesh::start();
    mesh.add(&agent);
    let client = mesh.client();
    for version in [None, Some(""), Some("0.3"), Some("2.0"), Some("one")] {
        for (path, written, expected) in [
            (
                "/agents/parrot",
                "$send",
                "200 -32009 VERSION_NOT_SUPPORTED",
            ),
            (
                "/agents/parrot/message:send",
                "$message",
                "400 400 VERSION_NOT_SUPPORTED",
            ),
        ] {
            let bad = Bad {
                what: "a wrong version",
                path,
                expected,
                body: body(written),
                version,
            };
            refused(&client, &bad);
        }
    }
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
