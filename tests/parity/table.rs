//! The requests, one a row.

use kgents_tests::http::message;

/// Name, who asks, method and path, the native door's status, body. `$send TEXT`
/// is a SendMessage call, `$message TEXT` its params, `$call METHOD PARAMS` any
/// call; headers follow a path in braces.
pub const REQUESTS: &str = r#"
the mesh's card                | nobody   | GET /.well-known/agent-card.json                | 200 |
an own agent's card            | operator | GET /agents/b-gent/.well-known/agent-card.json  | 200 |
an agent's card                | user     | GET /agents/parrot/.well-known/agent-card.json  | 200 |
a card without identity        | nobody   | GET /agents/parrot/.well-known/agent-card.json  | 401 |
a card that is not there       | operator | GET /agents/nobody/.well-known/agent-card.json  | 404 |
alive                          | nobody   | GET /healthz                                    | 200 |
the head of the mesh's card    | nobody   | HEAD /.well-known/agent-card.json               | 200 |
the head of an agent's card    | user     | HEAD /agents/parrot/.well-known/agent-card.json | 200 |
the head of a hidden card      | nobody   | HEAD /agents/parrot/.well-known/agent-card.json | 401 |
the head of the agents         | operator | HEAD /v1/agents                                 | 200 |
the head of a task of nobody   | operator | HEAD /tasks/t-1                                 | 404 |
the head of what is posted     | operator | HEAD /agents/parrot                             | 405 |
alive by its head              | nobody   | HEAD /healthz                                   | 200 |
a message                      | user     | POST /agents/parrot                             | 200 | $send hello
a message with a slash         | user     | POST /agents/parrot/                            | 200 | $send hello
a message over HTTP+JSON       | user     | POST /agents/parrot/message:send                | 200 | $message hello
ünïcode 🦜                     | user     | POST /agents/parrot                             | 200 | $send ünïcode 🦜 \u0000
a question to the mesh         | operator | POST /                                          | 200 | $send repeat after me: parrot
a question over HTTP+JSON      | operator | POST /message:send                              | 200 | $message repeat after me: parrot
a question of REST             | operator | POST /v1/route                                  | 200 | {"text":"how many tokens are left?"}
an own agent                   | operator | POST /agents/b-gent                             | 200 | $send how many tokens are left?
the agents                     | operator | GET /v1/agents                                  | 200 |
one agent                      | operator | GET /v1/agents/parrot                           | 200 |
pheromones                     | operator | GET /v1/pheromones                              | 200 |
a stream at its end            | user     | POST /agents/parrot                             | 200 | $call SendStreamingMessage $message hello
a stream over HTTP+JSON        | user     | POST /agents/parrot/message:stream              | 200 | $message hello
a stream that is refused       | user     | POST /agents/parrot                             | 200 | $call SendStreamingMessage {}
a stream of nobody             | operator | POST /agents/nobody                             | 404 | $call SendStreamingMessage $message hello
denied                         | user     | POST /agents/b-gent                             | 404 | $send allocate 5 tokens to a
denied over HTTP+JSON          | user     | POST /agents/b-gent/message:send                | 404 | $message allocate 5 tokens to a
denied by REST                 | user     | DELETE /v1/agents/parrot                        | 403 |
without identity               | nobody   | POST /agents/parrot                             | 401 | $send hello
without identity over REST     | nobody   | GET /v1/agents                                  | 401 |
with a forged token            | forged   | POST /agents/parrot                             | 401 | $send hello
with a forged token, HTTP+JSON | forged   | POST /agents/parrot/message:send                | 401 | $message hello
malformed without identity     | nobody   | POST /                                          | 401 | {"jsonrpc":
malformed                      | operator | POST /                                          | 200 | {"jsonrpc":
malformed over HTTP+JSON       | operator | POST /message:send                              | 400 | {]
no body                        | operator | POST /                                          | 200 |
no JSON-RPC                    | operator | POST /                                          | 200 | {"method":"SendMessage"}
an odd id                      | operator | POST /                                          | 200 | {"jsonrpc":"2.0","id":{},"method":"GetTask"}
a batch                        | operator | POST /                                          | 200 | []
an unknown method              | operator | POST /                                          | 200 | $call Dance {}
no message                     | operator | POST /                                          | 200 | $call SendMessage {}
an id twice                    | operator | POST /                                          | 200 | $call GetTask {"id":"a","id":"b"}
an unknown agent               | operator | POST /agents/nobody                             | 404 | $send hello
an impossible name             | operator | POST /agents/No%20Body                          | 404 | $send hello
an unknown path                | operator | POST /agents/parrot/dance                       | 404 | {}
a path of dots                 | operator | GET /agents/../v1/agents                        | 404 |
nobody's task                  | operator | POST /                                          | 200 | $call GetTask {"id":"t-1"}
nobody's task over HTTP+JSON   | operator | GET /tasks/t-1                                  | 404 |
a wrong HTTP method            | operator | DELETE /agents/parrot                           | 405 |
an unknown HTTP method         | operator | BREW /agents/parrot                             | 405 |
a version not spoken           | operator | POST /agents/parrot {a2a-version: 0.3}          | 200 | $send hello
a content type not spoken      | operator | POST /message:send {content-type: text/plain}   | 400 | hello
an agent that fails            | user     | POST /agents/parrot                             | 200 | $send fail
an agent that talks nonsense   | user     | POST /agents/parrot                             | 200 | $send garbage
an agent that breaks off       | user     | POST /agents/parrot                             | 200 | $send break
an empty question              | operator | POST /v1/route                                  | 400 | {"text":" "}
an unknown member              | operator | POST /v1/route                                  | 400 | {"txet":"hi"}
our headers from a caller      | user     | POST /agents/parrot {kgents-agent: me}          | 200 | $send hello
a deep document                | operator | POST /                                          | 200 | [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[
"#;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Who may do everything.
    Operator,
    /// Who may use `parrot`.
    User,
    /// Who shows a token that does not verify.
    Forger,
    /// Who shows none.
    Nobody,
}

/// A row, read.
pub struct Request {
    pub name: String,
    pub who: Who,
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub status: u16,
    pub body: String,
}

/// Reads a row.
#[track_caller]
pub fn read(row: &str) -> Request {
    let cells: Vec<&str> = row.splitn(5, '|').map(str::trim).collect();
    let [name, who, target, status, rest @ ..] = cells.as_slice() else {
        panic!("no row: {row}");
    };
    let (target, header) = target.split_once(" {").unwrap_or((target, ""));
    let (method, path) = target.split_once(' ').unwrap();
    let body = body(rest.first().copied().unwrap_or_default());
    let mut headers = vec![
        ("a2a-version".to_owned(), "1.0".to_owned()),
        ("content-type".to_owned(), content_type(path).to_owned()),
    ];
    if let Some((name, value)) = header.trim_end_matches('}').split_once(": ") {
        headers.retain(|(other, _)| other != name);
        headers.push((name.to_owned(), value.to_owned()));
    }
    Request {
        name: (*name).to_owned(),
        who: match *who {
            "operator" => Who::Operator,
            "user" => Who::User,
            "forged" => Who::Forger,
            _ => Who::Nobody,
        },
        method: method.to_owned(),
        path: path.to_owned(),
        headers,
        status: status.parse().unwrap(),
        body,
    }
}

/// A message of so many bytes and some.
pub fn large(who: Who, bytes: usize) -> Request {
    let mut request = read("large | nobody | POST /agents/parrot | 413 |");
    request.who = who;
    request.body = call("SendMessage", &message(&"x".repeat(bytes)).to_string());
    request
}

fn content_type(path: &str) -> &'static str {
    match path.contains("message:") {
        true => "application/a2a+json",
        false => "application/json",
    }
}

fn call(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#)
}

/// A body, from the way the table writes it.
fn body(written: &str) -> String {
    let (word, rest) = written.split_once(' ').unwrap_or((written, ""));
    match word {
        "$send" => call("SendMessage", &message(rest).to_string()),
        "$message" => message(rest).to_string(),
        "$call" => {
            let (method, params) = rest.split_once(' ').unwrap();
            call(method, &body(params))
        }
        _ => written.to_owned(),
    }
}
