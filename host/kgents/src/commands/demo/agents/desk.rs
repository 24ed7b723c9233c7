//! An agent's HTTP on loopback: its card, and JSON-RPC.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Either, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use serde_json::Value;
use std::convert::Infallible;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::protocol::{Memory, Reply, answer};
use super::{Trade, card};
use crate::clock;
use crate::up::serve;

/// Largest request that is read, in bytes.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Where A2A wants the card. Source: A2A 1.0, 8.2.
const CARD_PATH: &str = "/.well-known/agent-card.json";

type Body = Either<Full<Bytes>, StreamBody<BoxStream<'static, Result<Frame<Bytes>, Infallible>>>>;

/// An agent that can be called until it is closed or dropped.
pub struct Desk {
    url: String,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl Desk {
    /// Where its card is.
    pub fn card_url(&self) -> String {
        format!("{}{CARD_PATH}", self.url.trim_end_matches('/'))
    }

    /// Stops answering: what is under way finishes, connections close, and the
    /// port is free when this returns.
    pub async fn close(self) {
        let _ = self.stop.send(true);
        let _ = self.serving.await;
    }
}

/// Opens an agent on a free port of loopback.
///
/// # Errors
/// When the system has no port for it.
pub async fn open(trade: Arc<dyn Trade>) -> std::io::Result<Desk> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let (stop, stopping) = watch::channel(false);
    let memory = Arc::new(Memory::default());
    let card: Arc<Value> = Arc::new(card(&*trade, &url));
    let serving = tokio::spawn(serve(listener, stopping, move |request, _| {
        let (trade, memory, card) = (Arc::clone(&trade), Arc::clone(&memory), Arc::clone(&card));
        async move { respond(&*trade, &memory, &card, request).await }
    }));
    Ok(Desk { url, stop, serving })
}

async fn respond(
    trade: &dyn Trade,
    memory: &Memory,
    card: &Value,
    request: Request<Incoming>,
) -> Response<Body> {
    match (request.method(), request.uri().path()) {
        (&Method::GET, CARD_PATH) => json(StatusCode::OK, card),
        (&Method::POST, "/") => call(trade, memory, request).await,
        (_, "/") => empty(StatusCode::METHOD_NOT_ALLOWED, "POST"),
        (_, CARD_PATH) => empty(StatusCode::METHOD_NOT_ALLOWED, "GET"),
        _ => json(StatusCode::NOT_FOUND, &Value::Null),
    }
}

async fn call(trade: &dyn Trade, memory: &Memory, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let version = head
        .headers
        .get("a2a-version")
        .and_then(|value| value.to_str().ok());
    let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
        return json(StatusCode::PAYLOAD_TOO_LARGE, &Value::Null);
    };
    let now = kgents_audit::timestamp(clock::now_ms());
    match answer(trade, memory, version, &body.to_bytes(), &now) {
        Reply::Once(response) => json(StatusCode::OK, &response),
        Reply::Events(events) => streamed(events),
    }
}

fn json(status: StatusCode, value: &Value) -> Response<Body> {
    let body = Bytes::from(value.to_string());
    let mut response = Response::new(Either::Left(Full::new(body)));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn empty(status: StatusCode, allowed: &'static str) -> Response<Body> {
    let mut response = json(status, &Value::Null);
    let allowed = HeaderValue::from_static(allowed);
    response.headers_mut().insert(header::ALLOW, allowed);
    response
}

/// Server-sent events, each in a frame of its own.
fn streamed(events: Vec<Value>) -> Response<Body> {
    let frames = events.into_iter().map(|event| {
        let bytes = Bytes::from(format!("data: {event}\n\n"));
        Ok(Frame::data(bytes))
    });
    let body = StreamBody::new(stream::iter(frames).boxed());
    let mut response = Response::new(Either::Right(body));
    let kind = HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
