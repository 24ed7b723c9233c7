//! The dialler: the only place from which the mesh calls out, and only to
//! interfaces that are registered and addresses that are allowed.
//!
//! Reading order: `allow` (where to), `connect`, `line` and `pool` (how),
//! `credentials` (as whom), this file (what); `post` calls what is no agent.

mod allow;
mod connect;
mod credentials;
mod line;
mod pool;
mod post;

pub use allow::{Allow, Rule};
pub(crate) use post::{PostError, Poster};

use crate::identity::Authority;
use crate::ports::{About, Answer, Dial, Probe};
use crate::registry::Agent;
use bytes::{Bytes, BytesMut};
use credentials::Secrets;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use kgents_engine::deciders::health::Outcome;
use kgents_gateway::call::{Failure, FailureKind, Operation, Payload};
use kgents_gateway::head;
use kgents_gateway::upstream::{self, Events, UpstreamRequest};
use pool::{Error, Keep, Outgoing, Pool, Reply};
use std::sync::Arc;
use std::time::Duration;

/// Largest whole answer that is read.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Largest card that is fetched.
const CARD_BYTES_MAX: usize = 1024 * 1024;
/// Room for the headers of a request, so that they need one allocation.
const HEADERS_ROOM: usize = 8;
/// What an answer of events is said to be.
const EVENT_STREAM: &str = "text/event-stream";

static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
static EXTENSIONS: HeaderName = HeaderName::from_static(head::EXTENSIONS_HEADER);

/// How long the dialler waits.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For a connection.
    pub connect: Duration,
    /// For a whole answer, for the next event of a stream, for a card.
    pub answer: Duration,
    /// For the answer to a health probe.
    pub probe: Duration,
}

/// Calls agents over HTTP.
pub struct Dialler {
    pool: Pool,
    allow: Arc<Allow>,
    timeouts: Timeouts,
    /// Headers of every request.
    always: HeaderMap,
    credentials: Secrets,
    clock: Arc<dyn crate::clock::Clock>,
}

impl Dialler {
    /// A dialler that reaches what `allow` says.
    ///
    /// # Errors
    /// When TLS cannot be set up at all.
    pub fn new(
        allow: Allow,
        timeouts: Timeouts,
        authority: Arc<Authority>,
        clock: Arc<dyn crate::clock::Clock>,
    ) -> std::io::Result<Self> {
        let allow = Arc::new(allow);
        let connector = connect::connector(Arc::clone(&allow), timeouts.connect)?;
        Ok(Self {
            pool: Pool::new(connector, Arc::clone(&allow), Keep::default()),
            allow,
            timeouts,
            always: always(),
            credentials: Secrets::new(authority),
            clock,
        })
    }

    async fn send(
        &self,
        agent: &Agent,
        request: UpstreamRequest,
        about: &About<'_>,
    ) -> Result<Reply, Failure> {
        let odd = |error: http::Error| {
            tracing::error!(%error, agent = agent.name, "the upstream request cannot be built");
            let message = format!("agent `{}` cannot be asked that", agent.name);
            Failure::new(FailureKind::Unreachable, message)
        };
        let mut headers = self.headers(&request, about).map_err(odd)?;
        if let Some((name, value)) = self.credentials.header(agent, self.clock.now_ms())? {
            headers.append(name, value);
        }
        let outgoing = Outgoing {
            method: request.method,
            headers,
            body: request.body,
        };
        self.pool
            .ask(request.url, outgoing)
            .await
            .map_err(|error| match error {
                Error::Unfit(reason) => {
                    let message = format!("agent `{}`: {reason}", agent.name);
                    Failure::new(FailureKind::Unreachable, message).hint(reason.hint())
                }
                error => unreachable(&agent.name, &error),
            })
    }

    /// All but the credentials.
    fn headers(
        &self,
        request: &UpstreamRequest,
        about: &About<'_>,
    ) -> Result<HeaderMap, http::Error> {
        let mut headers = HeaderMap::with_capacity(HEADERS_ROOM);
        headers.insert(header::ACCEPT, HeaderValue::from_static(request.accept));
        let trace = HeaderValue::try_from(about.trace.traceparent())?;
        headers.insert(&TRACEPARENT, trace);
        if let Some(extensions) = about.extensions {
            headers.insert(&EXTENSIONS, HeaderValue::try_from(extensions)?);
        }
        for (name, value) in &self.always {
            headers.insert(name, value.clone());
        }
        if let Some(content_type) = request.content_type {
            let content_type = HeaderValue::from_static(content_type);
            headers.insert(header::CONTENT_TYPE, content_type);
        }
        Ok(headers)
    }

    async fn call(
        &self,
        agent: &Agent,
        operation: &Operation,
        about: &About<'_>,
    ) -> Result<Answer, Failure> {
        let Some(interface) = agent.card.interface() else {
            let message = format!("agent `{}` has no interface", agent.name);
            return Err(Failure::new(FailureKind::Unreachable, message));
        };
        let request = upstream::request(interface.binding, &interface.url, operation, 1)?;
        let expect = request.expect;
        let streaming = matches!(operation, Operation::StreamMessage(_));
        let answering = async {
            let mut reply = self.send(agent, request, about).await?;
            let content_type = reply.headers.remove(header::CONTENT_TYPE);
            let content_type = content_type.as_ref().and_then(|kind| kind.to_str().ok());
            let status = reply.status;
            if streaming && status.is_success() && content_type.is_some_and(is_stream) {
                let (agent, reader) = (agent.name.clone(), Events::new(expect));
                return Ok(Answer::Events(events(agent, reply, reader)));
            }
            let body = read_body(reply, ANSWER_BYTES_MAX)
                .await
                .map_err(|what| broken(&agent.name, &what))?;
            upstream::answer(expect, status, content_type, body).map(Answer::Once)
        };
        tokio::time::timeout_at(about.deadline, answering)
            .await
            .map_err(|_| timed_out(&agent.name))?
    }

    async fn card(&self, url: &str) -> Result<Payload, Failure> {
        self.admits(url)?;
        let get = async {
            let reply = self.pool.ask(url.to_owned(), get()).await.map_err(|e| {
                unreachable(url, &e).hint("is the agent running, and is that where its card is?")
            })?;
            if !reply.status.is_success() {
                let message = format!("`url`: `{url}` answered {}", reply.status.as_u16());
                return Err(Failure::new(FailureKind::Refused, message)
                    .hint("give the address of the card, for example http://HOST/.well-known/agent-card.json"));
            }
            read_body(reply, CARD_BYTES_MAX)
                .await
                .map_err(|w| broken(url, &w))
        };
        let body = tokio::time::timeout(self.timeouts.answer, get)
            .await
            .map_err(|_| timed_out(url))??;
        Payload::parse(body).map_err(|_| {
            Failure::new(
                FailureKind::Refused,
                format!("`url`: `{url}` did not answer JSON"),
            )
        })
    }
}

impl Dial for Dialler {
    fn dial<'a>(
        &'a self,
        agent: &'a Agent,
        operation: &'a Operation,
        about: &'a About<'a>,
    ) -> BoxFuture<'a, Result<Answer, Failure>> {
        Box::pin(self.call(agent, operation, about))
    }

    fn admits(&self, url: &str) -> Result<(), Failure> {
        // Cards and their sources are shown to whoever may see the agent.
        if names_user(url) {
            let message = "`url`: it holds a user or password, which would be shown";
            return Err(Failure::new(FailureKind::Refused, message).hint(
                "leave it out; name the secret under `credentials` in a card file in agents/",
            ));
        }
        self.allow.check_url(url).map_err(|reason| {
            Failure::new(FailureKind::Refused, format!("`url`: {reason}")).hint(reason.hint())
        })
    }

    fn fetch_card<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<Payload, Failure>> {
        Box::pin(self.card(url))
    }
}

/// Whether a URL has something before an `@` in its authority.
fn names_user(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.contains('@')
}

impl Probe for Dialler {
    fn probe<'a>(&'a self, agent: &'a Agent) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let Some(interface) = agent.card.interface() else {
                return Outcome::Unreachable;
            };
            let budget = self.timeouts.probe;
            let asked = tokio::time::Instant::now();
            let asking = self.pool.ask(interface.url.clone(), get());
            match tokio::time::timeout(budget, asking).await {
                Err(_) => Outcome::TimedOut(millis(budget)),
                Ok(Err(_)) => Outcome::Unreachable,
                Ok(Ok(reply)) => {
                    let (status, elapsed) = (reply.status, asked.elapsed());
                    reply.let_go();
                    if status.is_server_error() {
                        Outcome::Status(status.as_u16())
                    } else {
                        Outcome::Answered(millis(elapsed))
                    }
                }
            }
        })
    }
}

/// The events of an agent's stream. Who reads them decides how long to wait.
fn events(
    agent: String,
    reply: Reply,
    events: Events,
) -> BoxStream<'static, Result<Payload, Failure>> {
    let state = (reply, events, agent, false);
    stream::unfold(state, |(mut reply, mut events, agent, done)| async move {
        if done {
            return None;
        }
        loop {
            if let Some(event) = events.next() {
                let done = event.is_err();
                return Some((event, (reply, events, agent, done)));
            }
            match reply.data().await {
                None => {
                    events.finish();
                    let event = events.next()?;
                    let done = event.is_err();
                    return Some((event, (reply, events, agent, done)));
                }
                Some(Err(error)) => {
                    tracing::debug!(%error, agent, "the agent's stream broke");
                    let failure = broken(&agent, "a stream that broke off");
                    return Some((Err(failure), (reply, events, agent, true)));
                }
                Some(Ok(data)) => events.feed(&data),
            }
        }
    })
    .boxed()
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

async fn read_body(mut reply: Reply, max: usize) -> Result<Bytes, String> {
    let mut whole: Option<Bytes> = None;
    let mut more = BytesMut::new();
    while let Some(data) = reply.data().await {
        let data = data.map_err(|_| "an answer that broke off".to_owned())?;
        if whole.as_ref().map_or(0, Bytes::len) + more.len() + data.len() > max {
            return Err(format!("more than {max} bytes"));
        }
        // Most answers are one frame: that one is not copied.
        match (&whole, more.is_empty()) {
            (None, true) => whole = Some(data),
            (Some(first), true) => {
                more.extend_from_slice(first);
                more.extend_from_slice(&data);
                whole = None;
            }
            _ => more.extend_from_slice(&data),
        }
    }
    Ok(whole.unwrap_or_else(|| more.freeze()))
}

fn is_stream(content_type: &str) -> bool {
    content_type
        .get(..EVENT_STREAM.len())
        .is_some_and(|kind| kind.eq_ignore_ascii_case(EVENT_STREAM))
}

fn always() -> HeaderMap {
    upstream::HEADERS
        .into_iter()
        .map(|(name, value)| {
            let name = HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        })
        .collect()
}

/// A plain question for JSON.
fn get() -> Outgoing {
    let json = HeaderValue::from_static("application/json");
    Outgoing {
        headers: HeaderMap::from_iter([(header::ACCEPT, json)]),
        ..Outgoing::default()
    }
}

fn unreachable(agent: &str, error: &Error) -> Failure {
    tracing::debug!(agent, ?error, "unreachable");
    let why = match error {
        Error::Broken(_) => "broke the connection",
        _ => "cannot be reached",
    };
    Failure::new(FailureKind::Unreachable, format!("`{agent}` {why}"))
        .hint("is it running where its card says? kgents agents show NAME")
}

fn timed_out(agent: &str) -> Failure {
    Failure::new(
        FailureKind::TimedOut,
        format!("`{agent}` did not answer in time"),
    )
    .hint("raise `upstreams.timeout` in mesh.yaml if it needs longer")
}

fn broken(agent: &str, what: &str) -> Failure {
    Failure::new(
        FailureKind::InvalidAgentResponse,
        format!("`{agent}` answered {what}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_with_a_user_is_known_by_its_authority() {
        for url in [
            "http://u:p@agent.example/",
            "https://u@agent.example",
            "http://u:p@[::1]:80?x",
        ] {
            assert!(names_user(url), "{url}");
        }
        for url in [
            "http://agent.example/@u",
            "http://agent.example?mail=u@x",
            "https://[::1]:8/.well-known/agent-card.json",
            "/x@y",
        ] {
            assert!(!names_user(url), "{url}");
        }
    }
}
