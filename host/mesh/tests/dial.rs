//! The dialler against real sockets: what an agent gets to see, and what
//! becomes of what it answers.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop where it stands"
)]

use futures_util::StreamExt;
use kgents_engine::deciders::health::Outcome;
use kgents_gateway::Card;
use kgents_gateway::call::{FailureKind, Message, Operation, Payload};
use kgents_mesh::clock::{Clock, SystemClock};
use kgents_mesh::dial::{Allow, Dialler, Rule, Timeouts};
use kgents_mesh::identity::Authority;
use kgents_mesh::ports::{About, Answer, Dial, Probe};
use kgents_mesh::registry::{Agent, Embedder, Entry, Registry};
use kgents_mesh::store::Store;
use kgents_mesh::trace::TraceContext;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

const PATIENCE: Duration = Duration::from_secs(60);
const HASTE: Duration = Duration::from_millis(40);

/// A server that says the same to everybody, and what it was asked.
struct Server {
    url: String,
    seen: Arc<Mutex<Vec<String>>>,
    /// Connections that were opened.
    opened: Arc<AtomicUsize>,
}

/// After `says`, the connection is closed, or stays open for the next request.
async fn server(says: &'static str, close: bool) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let opened = Arc::new(AtomicUsize::new(0));
    let (requests, connections) = (Arc::clone(&seen), Arc::clone(&opened));
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            connections.fetch_add(1, Ordering::SeqCst);
            let requests = Arc::clone(&requests);
            tokio::spawn(async move {
                while let Some(request) = request(&mut socket).await {
                    requests.lock().unwrap().push(request);
                    let _ = socket.write_all(says.as_bytes()).await;
                    if close {
                        return;
                    }
                }
            });
        }
    });
    Server { url, seen, opened }
}

/// The next request; `None` when the other side has hung up.
async fn request(socket: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    while !is_whole(&request) {
        if socket.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return None;
        }
    }
    Some(String::from_utf8_lossy(&request).into_owned())
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.map_or(0, |length| length.parse().unwrap())
}

impl Server {
    fn request(&self) -> String {
        self.seen.lock().unwrap().last().unwrap().clone()
    }
}

struct World {
    dialler: Dialler,
    authority: Arc<Authority>,
    agent: Arc<Agent>,
    dir: tempfile::TempDir,
}

fn world(url: &str, credentials: serde_json::Value, rules: &[Rule]) -> World {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::open(&dir.path().join("identity"), "mesh.local").unwrap();
    let authority = Arc::new(authority);
    let timeouts = Timeouts {
        connect: PATIENCE,
        answer: HASTE,
        probe: HASTE,
    };
    let dialler = Dialler::new(
        Allow::new(rules.to_vec()),
        timeouts,
        Arc::clone(&authority),
        Arc::new(SystemClock),
    );
    let mut resource = serde_json::json!({
        "apiVersion": "a2a.kgents.io/v1", "kind": "AgentCard",
        "metadata": { "name": "helper" },
        "spec": { "description": "Helps", "streaming": true, "interfaces": [{ "url": url }],
                  "skills": [{ "id": "help" }] },
    });
    if !credentials.is_null() {
        resource["spec"]["credentials"] = credentials;
    }
    let store = Arc::new(Store::open(&dir.path().join("state.redb")).unwrap());
    let embedder = Embedder::new(None, Arc::clone(&store));
    let registry = Registry::open(store, embedder, "local", Vec::new()).unwrap();
    let entry = Entry {
        name: "helper".into(),
        card: Card::parse(Payload::of(&resource)).unwrap(),
        source: "file:helper.yaml".into(),
    };
    registry.put(vec![entry]).unwrap();
    let agent = Arc::clone(registry.directory().agent("helper").unwrap());
    World {
        dialler: dialler.unwrap(),
        authority,
        agent,
        dir,
    }
}

fn open(url: &str) -> World {
    world(url, serde_json::Value::Null, &[Rule::Loopback])
}

impl World {
    async fn dial(
        &self,
        operation: &Operation,
        within: Duration,
    ) -> Result<Answer, kgents_gateway::call::Failure> {
        let trace = TraceContext::new(
            Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
            [7; 24],
        );
        let about = About {
            trace: &trace,
            extensions: Some("https://example.com/ext"),
            deadline: Instant::now() + within,
        };
        self.dialler.dial(&self.agent, operation, &about).await
    }

    async fn fails(&self, operation: &Operation, within: Duration) -> FailureKind {
        match self.dial(operation, within).await {
            Err(failure) => failure.kind,
            Ok(_) => panic!("a failure is expected"),
        }
    }
}

fn message() -> Message {
    let params = serde_json::json!({ "message": { "messageId": "m", "parts": [{ "text": "hi" }] },
                                     "unknown": [1, 2] });
    Message {
        params: Payload::of(&params),
        text: "hi".into(),
        data: None,
        task_id: None,
        context_id: None,
        message_id: "m".into(),
        reference_task_ids: Vec::new(),
    }
}

fn send() -> Operation {
    Operation::SendMessage(message())
}

const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 94\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"message\":{\"messageId\":\"a\",\"role\":\"ROLE_AGENT\",\"parts\":[]}}}";

#[tokio::test]
async fn an_agent_sees_the_message_as_it_came_and_the_trace_continued() {
    let server = server(ANSWER, true).await;
    let answer = open(&server.url).dial(&send(), PATIENCE).await;
    assert!(matches!(answer.unwrap(), Answer::Once(_)));
    let request = server.request();
    let lower = request.to_ascii_lowercase();
    for part in [
        "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-0707070707070707-01\r\n",
        "a2a-version: 1.0\r\n",
        "a2a-extensions: https://example.com/ext\r\n",
        "\"unknown\":[1,2]",
    ] {
        assert!(lower.contains(part), "{request}");
    }
    assert!(!lower.contains("authorization"), "{request}");
}

#[tokio::test]
async fn calls_one_after_another_share_a_connection_and_nothing_else() {
    let server = server(ANSWER, false).await;
    let world = open(&server.url);
    for _ in 0..3 {
        let answer = world.dial(&send(), PATIENCE).await;
        assert!(matches!(answer.unwrap(), Answer::Once(_)));
    }
    assert_eq!(server.opened.load(Ordering::SeqCst), 1);
    let seen = server.seen.lock().unwrap();
    assert_eq!(seen.len(), 3);
    let host = server
        .url
        .trim_start_matches("http://")
        .trim_end_matches('/');
    for request in seen.iter() {
        assert!(request.starts_with("POST / HTTP/1.1\r\n"), "{request}");
        for name in ["host", "traceparent", "accept", "content-length"] {
            let lines = request.lines().filter(|line| line.starts_with(name));
            assert_eq!(lines.count(), 1, "{name}: {request}");
        }
        assert!(request.contains(&format!("host: {host}\r\n")), "{request}");
    }
}

#[tokio::test]
async fn an_agent_sees_what_is_configured_for_it() {
    let server = server(ANSWER, true).await;
    let secrets = tempfile::tempdir().unwrap();
    let file = secrets.path().join("token");
    std::fs::write(&file, "s3cret\n").unwrap();
    for (credentials, header) in [
        (
            serde_json::json!({ "bearerFile": file }),
            "authorization: Bearer s3cret\r\n",
        ),
        (
            serde_json::json!({ "header": { "name": "X-Api-Key", "file": file } }),
            "x-api-key: s3cret\r\n",
        ),
    ] {
        let world = world(&server.url, credentials, &[Rule::Loopback]);
        world.dial(&send(), PATIENCE).await.unwrap();
        assert!(server.request().contains(header), "{}", server.request());
    }
    // Renewed in place, and taken up at the next call.
    let credentials = serde_json::json!({ "bearerFile": file });
    let world = world(&server.url, credentials, &[Rule::Loopback]);
    std::fs::write(&file, "renewed").unwrap();
    world.dial(&send(), PATIENCE).await.unwrap();
    assert!(server.request().contains("Bearer renewed"));
    std::fs::remove_file(&file).unwrap();
    let Err(failure) = world.dial(&send(), PATIENCE).await else {
        panic!("there is no secret");
    };
    assert_eq!(failure.kind, FailureKind::Unreachable);
    let path = file.display().to_string();
    assert!(!failure.message.contains(&path), "{failure:?}");
}

#[tokio::test]
async fn an_svid_is_made_for_the_agent_and_used_again() {
    let server = server(ANSWER, true).await;
    let world = world(&server.url, serde_json::json!("svid"), &[Rule::Loopback]);
    let mut tokens = Vec::new();
    for _ in 0..2 {
        world.dial(&send(), PATIENCE).await.unwrap();
        let request = server.request();
        let (_, rest) = request.split_once("authorization: Bearer ").unwrap();
        tokens.push(rest.lines().next().unwrap().to_owned());
    }
    assert_eq!(tokens[0], tokens[1]);
    // It is not good for the mesh itself.
    let failed = world.authority.verify(&tokens[0], SystemClock.now_ms());
    assert_eq!(
        failed.unwrap_err().message,
        "the token is meant for another audience"
    );
    assert!(world.dir.path().join("identity/authority.p8").exists());
}

#[tokio::test]
async fn addresses_that_are_not_allowed_are_not_called() {
    let server = server(ANSWER, true).await;
    let port = server.url.rsplit(':').next().unwrap().to_owned();
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433"] {
        let url = format!("http://{host}:{port}");
        let world = world(&url, serde_json::Value::Null, &[]);
        let kind = world.fails(&send(), PATIENCE).await;
        assert_eq!(kind, FailureKind::Unreachable, "{host}");
        assert!(world.dialler.fetch_card(&url).await.is_err(), "{host}");
        let probed = world.dialler.probe(&world.agent).await;
        assert_eq!(probed, Outcome::Unreachable, "{host}");
    }
    assert!(server.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = server(ANSWER, true).await;
    let says: String = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n",
        elsewhere.url
    );
    let server = server(says.leak(), true).await;
    let world = open(&server.url);
    world.fails(&send(), PATIENCE).await;
    assert!(world.dialler.fetch_card(&server.url).await.is_err());
    assert!(elsewhere.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_agent_that_does_not_answer_in_time_is_late_wherever_it_stops() {
    for says in [
        "",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 94\r\n\r\n{\"json",
    ] {
        let server = server(says, false).await;
        let kind = open(&server.url).fails(&send(), HASTE).await;
        assert_eq!(kind, FailureKind::TimedOut, "{says:?}");
    }
}

#[tokio::test]
async fn an_agent_that_answers_nonsense_is_told_so() {
    for says in [
        "nonsense\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 4\r\n\r\n<p/>",
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 94\r\n\r\n{\"json",
    ] {
        let server = server(says, true).await;
        let kind = open(&server.url).fails(&send(), PATIENCE).await;
        let expected = [FailureKind::InvalidAgentResponse, FailureKind::Unreachable];
        assert!(expected.contains(&kind), "{says:?}: {kind:?}");
    }
}

#[tokio::test]
async fn events_pass_one_by_one_and_a_broken_stream_says_so() {
    const EVENT: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n7b\r\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"statusUpdate\":{\"taskId\":\"t\",\"status\":{\"state\":\"TASK_STATE_WORKING\"}}}}          \n\n\r\n";
    let server = server(EVENT, true).await;
    let answer = open(&server.url)
        .dial(&Operation::StreamMessage(message()), PATIENCE)
        .await;
    let Ok(Answer::Events(mut events)) = answer else {
        panic!("a stream is expected");
    };
    events.next().await.unwrap().unwrap();
    let failed = events.next().await.unwrap().unwrap_err();
    assert_eq!(failed.kind, FailureKind::InvalidAgentResponse);
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn a_probe_tells_what_it_met() {
    for (says, expected) in [
        (
            "HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\n\r\n",
            None,
        ),
        (
            "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n",
            Some(Outcome::Status(503)),
        ),
        ("", Some(Outcome::TimedOut(40))),
    ] {
        let server = server(says, !says.is_empty()).await;
        let world = open(&server.url);
        // It may answer, but not within the haste of a busy machine.
        match (world.dialler.probe(&world.agent).await, expected) {
            (Outcome::Answered(_), None) | (Outcome::TimedOut(_), _) => {}
            (outcome, expected) => assert_eq!(Some(outcome), expected),
        }
    }
}
