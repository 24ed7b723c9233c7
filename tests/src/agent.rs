//! A little agent that speaks A2A 1.0 in both bindings. The first word of what
//! it is told says how it behaves:
//!
//! | word      | what it does                                                |
//! |-----------|-------------------------------------------------------------|
//! | `begin`   | begins a task that works until it is canceled               |
//! | `stream`  | streams a task; each event after the first waits for [`Agent::release`] |
//! | `hang`    | never answers                                               |
//! | `linger`  | streams one event and then nothing                          |
//! | `hold`    | answers once it is released                                 |
//! | `break`   | breaks off in the middle                                    |
//! | `garbage` | answers what is no JSON                                     |
//! | `use N`   | tells that it used N tokens                                 |
//! | `fail`    | answers an error of its own                                 |
//! | `raw`     | answers what [`Agent::answer_raw`] was given                |
//!
//! Everything else it says back.

mod speech;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// What an agent is like.
#[derive(Clone, Debug)]
pub struct AgentOptions {
    /// Name on its card.
    pub name: &'static str,
    /// What it says it is for.
    pub description: &'static str,
    /// Interfaces on its card, in its order of preference.
    pub bindings: &'static [&'static str],
}

impl Default for AgentOptions {
    fn default() -> Self {
        Self {
            name: "parrot",
            description: "Says back what it is told.",
            bindings: &["JSONRPC", "HTTP+JSON"],
        }
    }
}

/// A request that the agent got.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Method and path, for example `POST /rpc`.
    pub line: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Seen {
    /// A header's value; empty when it is absent.
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A running agent. Dropping it stops it.
#[derive(Debug)]
pub struct Agent {
    state: Arc<State>,
    runtime: Option<Runtime>,
}

/// What the agent knows.
#[derive(Debug)]
struct State {
    options: AgentOptions,
    address: SocketAddr,
    seen: Mutex<Vec<Seen>>,
    /// State of each task, by its id.
    tasks: Mutex<Vec<(String, &'static str)>>,
    gate: tokio::sync::Semaphore,
    raw: Mutex<String>,
    /// Requests whose caller went away before the answer.
    abandoned: AtomicUsize,
}

impl Agent {
    /// Starts the usual one.
    pub fn start() -> Self {
        Self::with(AgentOptions::default())
    }

    /// Starts one under that name.
    pub fn named(name: &'static str) -> Self {
        Self::with(AgentOptions {
            name,
            ..AgentOptions::default()
        })
    }

    /// Starts one on a free port.
    ///
    /// # Panics
    /// When the machine has none.
    pub fn with(options: AgentOptions) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let state = Arc::new(State {
            options,
            address: listener.local_addr().unwrap(),
            seen: Mutex::default(),
            tasks: Mutex::default(),
            gate: tokio::sync::Semaphore::new(0),
            raw: Mutex::default(),
            abandoned: AtomicUsize::new(0),
        });
        runtime.spawn(serve(listener, Arc::clone(&state)));
        Self {
            state,
            runtime: Some(runtime),
        }
    }

    /// Where its card is.
    pub fn card_url(&self) -> String {
        format!("http://{}/.well-known/agent-card.json", self.state.address)
    }

    /// Where it listens, `host:port`.
    pub fn address(&self) -> String {
        self.state.address.to_string()
    }

    /// Its card.
    pub fn card(&self) -> Value {
        self.state.card()
    }

    /// The requests it got so far, without probes and visits to its card.
    ///
    /// # Panics
    /// When a request made it panic.
    pub fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }

    /// The last of them.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn last_seen(&self) -> Seen {
        self.seen().pop().unwrap()
    }

    /// Lets one thing go on that waits.
    pub fn release(&self) {
        self.state.gate.add_permits(1);
    }

    /// What it answers to `raw`: the result, byte for byte.
    ///
    /// # Panics
    /// When a request made it panic.
    pub fn answer_raw(&self, result: &str) {
        result.clone_into(&mut self.state.raw.lock().unwrap());
    }

    /// How many callers went away before they had their answer.
    pub fn abandoned(&self) -> usize {
        self.state.abandoned.load(Ordering::SeqCst)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl State {
    fn card(&self) -> Value {
        let address = self.address;
        let url = |binding: &str| match binding {
            "JSONRPC" => format!("http://{address}/rpc"),
            _ => format!("http://{address}/rest"),
        };
        let interface = |binding: &&str| json!({"url": url(binding), "protocolBinding": binding, "protocolVersion": "1.0"});
        let interfaces: Vec<Value> = self.options.bindings.iter().map(interface).collect();
        json!({
            "name": self.options.name,
            "description": self.options.description,
            "version": "1.2.3",
            "supportedInterfaces": interfaces,
            "capabilities": {"streaming": true},
            "defaultInputModes": ["text/plain"],
            "defaultOutputModes": ["text/plain"],
            "skills": [{"id": "repeat", "name": "Repeat", "description": self.options.description,
                        "tags": ["parrot"], "examples": ["repeat after me: hello"]}],
            "x-vendor": {"kept": [1, 2.50, "ü"]},
        })
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    while let Ok((socket, _)) = listener.accept().await {
        let _ = socket.set_nodelay(true);
        let state = Arc::clone(&state);
        let service = service_fn(move |request| answer(Arc::clone(&state), request));
        tokio::spawn(async move {
            let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            // What breaks a connection is the test's business.
            let _ = server.serve_connection(TokioIo::new(socket), service).await;
        });
    }
}

async fn answer(
    state: Arc<State>,
    request: Request<Incoming>,
) -> Result<Response<speech::Body>, Infallible> {
    let (parts, body) = request.into_parts();
    let line = format!("{} {}", parts.method, parts.uri);
    let Ok(body) = body.collect().await else {
        return Ok(speech::plain(400, "the request broke off"));
    };
    if line == "GET /.well-known/agent-card.json" {
        return Ok(speech::json(&state.card().to_string()));
    }
    if matches!(line.as_str(), "GET /rpc" | "GET /rest") {
        return Ok(speech::plain(405, "POST is the method here"));
    }
    let seen = Seen {
        line,
        headers: parts.headers,
        body: body.to_bytes(),
    };
    state.seen.lock().unwrap().push(seen.clone());
    Ok(speech::speak(&state, &seen).await)
}
