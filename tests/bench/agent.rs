//! The agent that is called: as fast as an honest one can be. It reads the
//! JSON-RPC request, checks the method, and answers the words it was sent, as a
//! message or as a finished task. It runs in a process of its own, on one
//! thread, so that its processor time is not the mesh's.

use std::convert::Infallible;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::net::TcpListener;

/// The word on the command line that makes this program the agent.
pub const COMMAND: &str = "agent";
/// The agent's name on its card.
pub const NAME: &str = "fast";
/// Path of the interface that answers messages.
pub const MESSAGES: &str = "/messages";
/// Path of the interface that answers finished tasks, each new.
pub const TASKS: &str = "/tasks";

/// The agent, running; stopped when dropped.
pub struct Agent {
    child: Child,
    /// Held open: the agent ends when it closes, also should this process die.
    _alive: ChildStdin,
    /// Where it listens, `127.0.0.1:PORT`.
    pub authority: String,
}

impl Agent {
    /// Starts it.
    ///
    /// # Errors
    /// When the process cannot be started or says nothing.
    pub fn start() -> Result<Self> {
        let program = std::env::current_exe()?;
        let mut command = Command::new(program);
        command.arg(COMMAND);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the agent")?;
        let alive = child.stdin.take().context("the agent has no stdin")?;
        let stdout = child.stdout.take().context("the agent has no stdout")?;
        let mut authority = String::new();
        BufReader::new(stdout).read_line(&mut authority)?;
        let authority = authority.trim().to_owned();
        Ok(Self {
            child,
            _alive: alive,
            authority,
        })
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Is the agent, until stdin closes.
///
/// # Errors
/// When it cannot listen.
pub fn serve() -> Result<()> {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let authority = listener.local_addr()?.to_string();
        println!("{authority}");
        loop {
            let (socket, _) = listener.accept().await?;
            socket.set_nodelay(true)?;
            let authority = authority.clone();
            let service = service_fn(move |request| answer(request, authority.clone()));
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service);
            tokio::spawn(connection);
        }
    })
}

#[derive(Deserialize)]
struct Rpc<'a> {
    #[serde(borrow)]
    id: &'a RawValue,
    method: &'a str,
    #[serde(borrow)]
    params: Params<'a>,
}

#[derive(Deserialize)]
struct Params<'a> {
    #[serde(borrow)]
    message: Message<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    #[serde(borrow)]
    message_id: &'a RawValue,
    #[serde(borrow)]
    parts: &'a RawValue,
}

async fn answer(
    request: Request<Incoming>,
    authority: String,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let tasks = request.uri().path() == TASKS;
    if request.method() != Method::POST {
        return Ok(reply(StatusCode::OK, card(&authority)));
    }
    let body = match request.into_body().collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return Ok(reply(StatusCode::BAD_REQUEST, String::new())),
    };
    Ok(match serde_json::from_slice::<Rpc<'_>>(&body) {
        Ok(rpc) if rpc.method == "SendMessage" => reply(StatusCode::OK, result(&rpc, tasks)),
        _ => reply(StatusCode::BAD_REQUEST, String::new()),
    })
}

fn result(rpc: &Rpc<'_>, tasks: bool) -> String {
    let Message { message_id, parts } = &rpc.params.message;
    let result = if tasks {
        static TASK: AtomicU64 = AtomicU64::new(0);
        let task = TASK.fetch_add(1, Ordering::Relaxed);
        format!(
            r#"{{"task":{{"id":"task-{task}","contextId":"context-{task}","status":{{"state":"TASK_STATE_COMPLETED"}},"artifacts":[{{"artifactId":"answer","parts":{parts}}}]}}}}"#
        )
    } else {
        format!(r#"{{"message":{{"messageId":{message_id},"role":"ROLE_AGENT","parts":{parts}}}}}"#)
    };
    format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, rpc.id)
}

fn card(authority: &str) -> String {
    card_of(NAME, authority, MESSAGES)
}

/// The card of an agent of this name behind one of the paths.
pub fn card_of(name: &str, authority: &str, path: &str) -> String {
    serde_json::json!({
        "name": name,
        "description": "Answers the words it was sent.",
        "version": "1.0.0",
        "supportedInterfaces": [{
            "url": format!("http://{authority}{path}"),
            "protocolBinding": "JSONRPC",
            "protocolVersion": "1.0",
        }],
        "capabilities": {},
        "defaultInputModes": ["text/plain"],
        "defaultOutputModes": ["text/plain"],
        "skills": [{
            "id": "repeat",
            "name": "Repeat",
            "description": "Repeats what it is told",
            "tags": ["measurement"],
        }],
    })
    .to_string()
}

fn reply(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let json = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
