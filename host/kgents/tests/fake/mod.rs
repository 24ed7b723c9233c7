//! A mesh that answers as it is told, for testing the command line against.

use std::convert::Infallible;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};

/// A request that the mesh was sent.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Method and path, for example `POST /v1/route`.
    pub line: String,
    /// SPIFFE ID of the caller, from its token.
    pub subject: String,
    /// The `A2A-Version` header.
    pub a2a_version: String,
    /// The body, if it is JSON.
    pub body: Value,
}

/// An answer to give.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// HTTP status; 0 is 200.
    pub status: u16,
    /// Headers, besides the content type.
    pub headers: Vec<(&'static str, &'static str)>,
    /// The body, in the pieces it is sent in.
    pub pieces: Vec<String>,
    /// Whether it is an event stream.
    pub streams: bool,
}

impl Reply {
    /// JSON with status 200.
    pub fn json(body: Value) -> Self {
        Self {
            pieces: vec![body.to_string()],
            ..Self::default()
        }
    }

    /// A JSON-RPC result.
    pub fn result(result: Value) -> Self {
        Self::json(json!({"jsonrpc": "2.0", "id": 1, "result": result}))
    }

    /// A refusal of JSON-RPC with its reason and a hint.
    pub fn rpc_error(status: u16, code: i64, reason: &str, message: &str) -> Self {
        let data = json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason,
                           "domain": "kgents.io", "metadata": {"hint": "mend it"}}]);
        let error = json!({"code": code, "message": message, "data": data});
        Self {
            status,
            ..Self::json(json!({"jsonrpc": "2.0", "id": 1, "error": error}))
        }
    }

    /// The same with these headers.
    pub fn with(mut self, headers: &[(&'static str, &'static str)]) -> Self {
        self.headers.extend_from_slice(headers);
        self
    }
}

type Answer = dyn Fn(&Seen) -> Reply + Send + Sync;

/// A running fake mesh and its data folder.
pub struct FakeMesh {
    /// The data folder.
    pub data: tempfile::TempDir,
    /// The mesh folder.
    pub mesh_dir: tempfile::TempDir,
    seen: Arc<Mutex<Vec<Seen>>>,
    _runtime: tokio::runtime::Runtime,
    _lock: File,
}

impl FakeMesh {
    /// Starts one on a free port; `answer` decides.
    pub fn start(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let data = tempfile::tempdir().unwrap();
        let mesh_dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        runtime.spawn(serve(listener, Arc::new(answer), Arc::clone(&seen)));
        let lock = claim(data.path(), port, mesh_dir.path());
        Self {
            data,
            mesh_dir,
            seen,
            _runtime: runtime,
            _lock: lock,
        }
    }

    /// Runs the binary against it.
    pub fn run(&self, arguments: &[&str]) -> Output {
        kgents(self.data.path(), arguments)
    }

    /// What it was sent so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

/// Makes a data folder look like that of a mesh on `port`.
pub fn claim(data: &Path, port: u16, mesh_dir: &Path) -> File {
    let run = json!({
        "listen": format!("http://127.0.0.1:{port}"), "admin": format!("http://127.0.0.1:{port}"), "pid": 1,
        "mesh_dir": mesh_dir, "trust_domain": "mesh.test", "cluster": "local",
        "version": env!("CARGO_PKG_VERSION"),
    });
    std::fs::write(data.join("run.json"), run.to_string()).unwrap();
    let lock = File::create(data.join("lock")).unwrap();
    lock.try_lock().unwrap();
    lock
}

/// Runs the binary on a data folder as the user `ada`.
pub fn kgents(data: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kgents"))
        .args(arguments)
        .env("KGENTS_DATA", data)
        .env("USER", "ada")
        .env("XDG_CACHE_HOME", data.join("cache"))
        .current_dir(data)
        .output()
        .unwrap()
}

async fn serve(
    listener: tokio::net::TcpListener,
    answer: Arc<Answer>,
    seen: Arc<Mutex<Vec<Seen>>>,
) {
    while let Ok((socket, _)) = listener.accept().await {
        let (answer, seen) = (Arc::clone(&answer), Arc::clone(&seen));
        let service = service_fn(move |request| {
            let (answer, seen) = (Arc::clone(&answer), Arc::clone(&seen));
            async move { Ok::<_, Infallible>(reply(request, &*answer, &seen).await) }
        });
        tokio::spawn(async move {
            let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            let _ = server.serve_connection(TokioIo::new(socket), service).await;
        });
    }
}

async fn reply(
    request: Request<Incoming>,
    answer: &Answer,
    seen: &Mutex<Vec<Seen>>,
) -> Response<BoxBody<Bytes, Infallible>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let header = |name: &str| {
        head.headers
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
            .unwrap_or_default()
    };
    let one = Seen {
        line: format!("{} {}", head.method, head.uri),
        subject: subject(&header("authorization")),
        a2a_version: header("a2a-version"),
        body: serde_json::from_slice(&body).unwrap_or_default(),
    };
    let reply = answer(&one);
    seen.lock().unwrap().push(one);
    let kind = if reply.streams {
        "text/event-stream"
    } else {
        "application/json"
    };
    let status = if reply.status == 0 { 200 } else { reply.status };
    let mut response = Response::builder()
        .status(status)
        .header("content-type", kind);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    let body = if reply.streams {
        let frames = reply
            .pieces
            .into_iter()
            .map(|piece| Ok(Frame::data(Bytes::from(piece))));
        StreamBody::new(stream::iter(frames)).boxed()
    } else {
        Full::new(Bytes::from(reply.pieces.concat())).boxed()
    };
    response.body(body).unwrap()
}

/// The `sub` of a bearer token, unverified: this mesh believes everyone.
fn subject(authorization: &str) -> String {
    let claims = authorization
        .strip_prefix("Bearer ")
        .and_then(|token| token.split('.').nth(1));
    let Some(claims) = claims else {
        return String::new();
    };
    let json = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(claims)
        .unwrap();
    let claims: Value = serde_json::from_slice(&json).unwrap();
    claims["sub"].as_str().unwrap().to_owned()
}
