//! The dialler: the only place from which the mesh calls out, and only to
//! interfaces that are registered and addresses that are allowed.
//!
//! Reading order: `allow` (where to), `connect` (how), `credentials` (as whom),
//! this file (what).

mod allow;
mod connect;
mod credentials;

pub use allow::{Allow, Rule};

use crate::identity::Authority;
use crate::ports::{About, Answer, Dial, Probe};
use crate::registry::Agent;
use bytes::{Bytes, BytesMut};
use connect::Client;
use credentials::Secrets;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt};
use http::{Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use kgents_engine::deciders::health::Outcome;
use kgents_gateway::call::{Failure, FailureKind, Operation, Payload};
use kgents_gateway::head;
use kgents_gateway::interface::Interface;
use kgents_gateway::upstream::{self, Events, UpstreamRequest};
use std::sync::Arc;
use std::time::Duration;

/// Largest whole answer that is read.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Largest card that is fetched.
const CARD_BYTES_MAX: usize = 1024 * 1024;
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
    client: Client,
    allow: Arc<Allow>,
    timeouts: Timeouts,
    credentials: Secrets,
    clock: Arc<dyn crate::clock::Clock>,
}

impl Dialler {
    /// A dialler that reaches what `allow` says.
    ///
    /// # Errors
    /// When the system's certificate roots cannot be read.
    pub fn new(
        allow: Allow,
        timeouts: Timeouts,
        authority: Arc<Authority>,
        clock: Arc<dyn crate::clock::Clock>,
    ) -> std::io::Result<Self> {
        let allow = Arc::new(allow);
        let client = connect::client(Arc::clone(&allow), timeouts.connect)?;
        Ok(Self {
            client,
            allow,
            timeouts,
            credentials: Secrets::new(authority),
            clock,
        })
    }

    async fn send(
        &self,
        agent: &Agent,
        interface: &Interface,
        request: UpstreamRequest,
        about: &About<'_>,
    ) -> Result<Response<Incoming>, Failure> {
        self.allow.check_url(&interface.url).map_err(|reason| {
            Failure::new(
                FailureKind::Unreachable,
                format!("agent `{}`: {reason}", agent.name),
            )
            .hint(reason.hint())
        })?;
        let mut builder = Request::builder()
            .method(request.method)
            .uri(&request.url)
            .header(header::ACCEPT, request.accept)
            .header("traceparent", about.trace.traceparent());
        if let Some(extensions) = about.extensions {
            builder = builder.header(head::EXTENSIONS_HEADER, extensions);
        }
        for (name, value) in upstream::HEADERS {
            builder = builder.header(name, value);
        }
        if let Some(content_type) = request.content_type {
            builder = builder.header(header::CONTENT_TYPE, content_type);
        }
        if let Some((name, value)) = self.credentials.header(agent, self.clock.now_ms())? {
            builder = builder.header(name, value);
        }
        let request = builder.body(Full::new(request.body)).map_err(|error| {
            tracing::error!(%error, agent = agent.name, "the upstream request cannot be built");
            Failure::new(
                FailureKind::Unreachable,
                format!("agent `{}` has an odd URL", agent.name),
            )
        })?;
        self.client
            .request(request)
            .await
            .map_err(|error| unreachable(&agent.name, &error))
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
            let response = self.send(agent, interface, request, about).await?;
            let content_type = content_type(&response);
            let status = response.status();
            let is_stream = content_type
                .as_deref()
                .is_some_and(|kind| kind.starts_with("text/event-stream"));
            if streaming && is_stream && status.is_success() {
                return Ok(Answer::Events(events(
                    agent.name.clone(),
                    response.into_body(),
                    Events::new(expect),
                )));
            }
            let body = read_body(response.into_body(), ANSWER_BYTES_MAX)
                .await
                .map_err(|what| broken(&agent.name, &what))?;
            upstream::answer(expect, status, content_type.as_deref(), body).map(Answer::Once)
        };
        tokio::time::timeout_at(about.deadline, answering)
            .await
            .map_err(|_| timed_out(&agent.name))?
    }

    async fn card(&self, url: &str) -> Result<Payload, Failure> {
        self.admits(url)?;
        let request = Request::get(url)
            .header(header::ACCEPT, "application/json")
            .body(Full::default())
            .map_err(|_| Failure::new(FailureKind::Refused, format!("`url`: `{url}` is no URL")))?;
        let get = async {
            let response = self.client.request(request).await.map_err(|e| {
                unreachable(url, &e).hint("is the agent running, and is that where its card is?")
            })?;
            if !response.status().is_success() {
                let message = format!("`url`: `{url}` answered {}", response.status().as_u16());
                return Err(Failure::new(FailureKind::Refused, message)
                    .hint("give the address of the card, for example http://HOST/.well-known/agent-card.json"));
            }
            read_body(response.into_body(), CARD_BYTES_MAX)
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
            if self.allow.check_url(&interface.url).is_err() {
                return Outcome::Unreachable;
            }
            let Ok(request) = Request::get(&interface.url)
                .header(header::ACCEPT, "application/json")
                .body(Full::default())
            else {
                return Outcome::Unreachable;
            };
            let budget = self.timeouts.probe;
            let asked = tokio::time::Instant::now();
            match tokio::time::timeout(budget, self.client.request(request)).await {
                Err(_) => Outcome::TimedOut(millis(budget)),
                Ok(Err(_)) => Outcome::Unreachable,
                Ok(Ok(response)) if response.status().is_server_error() => {
                    Outcome::Status(response.status().as_u16())
                }
                Ok(Ok(_)) => Outcome::Answered(millis(asked.elapsed())),
            }
        })
    }
}

/// The events of an agent's stream. Who reads them decides how long to wait.
fn events(
    agent: String,
    body: Incoming,
    events: Events,
) -> BoxStream<'static, Result<Payload, Failure>> {
    let state = (body, events, agent, false);
    stream::unfold(state, |(mut body, mut events, agent, done)| async move {
        if done {
            return None;
        }
        loop {
            if let Some(event) = events.next() {
                let done = event.is_err();
                return Some((event, (body, events, agent, done)));
            }
            match body.frame().await {
                None => {
                    events.finish();
                    let event = events.next()?;
                    let done = event.is_err();
                    return Some((event, (body, events, agent, done)));
                }
                Some(Err(error)) => {
                    tracing::debug!(%error, agent, "the agent's stream broke");
                    let failure = broken(&agent, "a stream that broke off");
                    return Some((Err(failure), (body, events, agent, true)));
                }
                Some(Ok(frame)) => events.feed(&frame.into_data().unwrap_or_default()),
            }
        }
    })
    .boxed()
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

async fn read_body(mut body: Incoming, max: usize) -> Result<Bytes, String> {
    let mut whole: Option<Bytes> = None;
    let mut more = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| "an answer that broke off".to_owned())?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
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

fn content_type(response: &Response<Incoming>) -> Option<String> {
    let value = response.headers().get(header::CONTENT_TYPE)?;
    value.to_str().ok().map(str::to_ascii_lowercase)
}

fn unreachable(agent: &str, error: &hyper_util::client::legacy::Error) -> Failure {
    tracing::debug!(agent, ?error, "unreachable");
    let why = if error.is_connect() {
        "cannot be reached"
    } else {
        "broke the connection"
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
