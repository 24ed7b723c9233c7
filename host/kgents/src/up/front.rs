//! The public listener's handler: an HTTP request through codec and exchange
//! and back. It knows no protocol rule and makes no decision.

use super::gateways;
use Unread::{Broken, TooLong};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Either, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use kgents_gateway::call::{Failure, FailureKind, ReplyHead};
use kgents_gateway::reply::EVENT_STREAM;
use kgents_gateway::{Encoded, ReplyShape, RequestHead, accepts, decode};
use kgents_mesh::exchange::{Arrival, EventStream, Exchange, Reply, ReplyBody};
use kgents_mesh::policy::{PolicyStatus, PolicyStore};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// How long a caller may take to send a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Largest body, in bytes, that is read for a caller nobody knows: room for the
/// question it is refused, and not for filling the memory.
const STRANGER_BYTES_MAX: usize = 64 * 1024;
/// Of a body that is too large so many bytes are thrown away at most,
const DRAIN_BYTES_MAX: usize = 64 * 1024 * 1024;
/// and for so long, before the connection is closed on the rest.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// The body of an answer: whole, or streamed.
pub type Body =
    Either<Full<Bytes>, StreamBody<BoxStream<'static, Result<Frame<Bytes>, Infallible>>>>;

/// What the handler works with.
pub struct Front {
    /// The path of every interaction.
    pub exchange: Exchange,
    /// For `/readyz`.
    pub policies: Arc<PolicyStore>,
    /// Largest request body, in bytes.
    pub body_max: usize,
    /// How callers reach us, when the operator says; else from `Host`.
    pub public_url: Option<String>,
    /// Where we listen, for callers that send no `Host`.
    pub listen_url: String,
}

impl Front {
    /// Answers one request.
    pub async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        match request.uri().path() {
            "/healthz" => return text(StatusCode::OK, "ok\n"),
            "/readyz" => return self.ready(),
            gateways::PATH => return gateways::answer(self, request).await,
            _ => {}
        }
        let token = bearer(request.headers());
        let base_url = self.base_url(&request);
        let (call, shape) = self.arrive(request, token.as_deref()).await;
        let reply = self
            .exchange
            .run(Arrival {
                call,
                token,
                base_url,
            })
            .await;
        respond(reply, shape)
    }

    /// Reads and decodes a request.
    async fn arrive(
        &self,
        request: Request<Incoming>,
        token: Option<&str>,
    ) -> (Result<kgents_gateway::call::Call, Failure>, ReplyShape) {
        let (parts, body) = request.into_parts();
        let head = RequestHead {
            method: &parts.method,
            path: parts.uri.path(),
            query: parts.uri.query(),
            headers: &parts.headers,
        };
        let body = match accepts(head.method, head.path) {
            Err(refusal) => return (Err(*refusal.failure), refusal.reply),
            Ok(route) if route.needs_body() => {
                match self.read(body, self.body_bytes(token)).await {
                    Ok(body) => body,
                    Err(failure) => return (Err(failure), route.reply()),
                }
            }
            Ok(_) => Bytes::new(),
        };
        match decode(&head, body) {
            Ok(arrived) => (Ok(arrived.call), arrived.reply),
            Err(refusal) => (Err(*refusal.failure), refusal.reply),
        }
    }

    /// How large a body may be for who shows this token.
    fn body_bytes(&self, token: Option<&str>) -> usize {
        let now = self.exchange.clock.now_ms();
        match self.exchange.identity.identify(token, now) {
            Ok(_) => self.body_max,
            Err(_) => self.body_max.min(STRANGER_BYTES_MAX),
        }
    }

    /// Reads a whole body of at most `max` bytes. What is beyond is read too and
    /// thrown away, within bounds, before that is said: a connection that is
    /// closed on unread bytes is reset, and the answer with it.
    pub(super) async fn read(&self, mut body: Incoming, max: usize) -> Result<Bytes, Failure> {
        match tokio::time::timeout(BODY_TIMEOUT, within(&mut body, max)).await {
            Ok(Ok(whole)) => Ok(whole),
            Ok(Err(TooLong)) => {
                let _ = tokio::time::timeout(DRAIN_TIMEOUT, drain(&mut body)).await;
                let message = format!("the body is above {max} bytes");
                Err(Failure::new(FailureKind::TooLarge, message)
                    .hint("send less, or raise `limits.body` in mesh.yaml"))
            }
            Ok(Err(Broken)) => Err(Failure::new(FailureKind::Malformed, "the body broke off")),
            Err(_) => Err(Failure::new(
                FailureKind::Malformed,
                "the body took too long to come",
            )),
        }
    }

    /// How this caller reaches us, for the URLs in cards.
    fn base_url(&self, request: &Request<Incoming>) -> String {
        if let Some(url) = &self.public_url {
            return url.trim_end_matches('/').to_owned();
        }
        let host = request
            .headers()
            .get(header::HOST)
            .and_then(|value| value.to_str().ok());
        let authority = host.or_else(|| request.uri().authority().map(|a| a.as_str()));
        match authority.map(str::parse::<http::uri::Authority>) {
            Some(Ok(authority)) if !authority.as_str().contains('@') => {
                format!("http://{authority}")
            }
            _ => self.listen_url.clone(),
        }
    }

    fn ready(&self) -> Response<Body> {
        let (status, words) = readiness(&self.policies.status());
        text(status, &words)
    }
}

/// What `/readyz` says: a mesh that denies everybody because its policies are
/// broken is not ready.
fn readiness(policies: &PolicyStatus) -> (StatusCode, String) {
    let (status, mut words) = match (policies.problems.is_empty(), policies.in_force) {
        (true, _) => (StatusCode::OK, "ready\n".to_owned()),
        (false, 0) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "no policy is in force, so everybody is denied:\n".to_owned(),
        ),
        (false, _) => (
            StatusCode::OK,
            "ready, but the newest policies are not in force:\n".to_owned(),
        ),
    };
    for problem in &policies.problems {
        words.push_str(problem);
        words.push('\n');
    }
    (status, words)
}

/// The bearer token of a request; an Authorization of another kind is a token
/// that does not verify.
pub(super) fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .unwrap_or_default();
    let (scheme, token) = value.split_once(' ').unwrap_or_default();
    let is_bearer = scheme.eq_ignore_ascii_case("bearer");
    Some(if is_bearer {
        token.trim().to_owned()
    } else {
        String::new()
    })
}

/// Why a body was not read.
enum Unread {
    TooLong,
    Broken,
}

/// The whole body, if it has at most `max` bytes. A body of one frame is not
/// copied.
async fn within(body: &mut Incoming, max: usize) -> Result<Bytes, Unread> {
    let mut first = Bytes::new();
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Broken)?.into_data() else {
            continue;
        };
        if first.len() + whole.len() + data.len() > max {
            return Err(TooLong);
        }
        if first.is_empty() && whole.is_empty() {
            first = data;
        } else {
            whole.extend_from_slice(&std::mem::take(&mut first));
            whole.extend_from_slice(&data);
        }
    }
    Ok(if whole.is_empty() {
        first
    } else {
        whole.freeze()
    })
}

/// Reads on and throws away.
async fn drain(body: &mut Incoming) {
    let mut left = DRAIN_BYTES_MAX;
    while let Some(Ok(frame)) = body.frame().await {
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        left = match left.checked_sub(bytes) {
            Some(left) => left,
            None => return,
        };
    }
}

/// Puts an answer into the words of the binding that asked.
fn respond(reply: Reply, shape: ReplyShape) -> Response<Body> {
    let head = reply.head;
    match reply.body {
        ReplyBody::Once(result) if shape.stream && result.is_ok() => {
            let event = shape.event(result.as_ref());
            let frames = stream::iter([Ok(Frame::data(event))]).boxed();
            streamed(&head, EVENT_STREAM, frames)
        }
        ReplyBody::Once(result) => whole(&head, shape.unary(result.as_ref())),
        ReplyBody::Events(events) => streamed(&head, EVENT_STREAM, frames(events, shape)),
    }
}

/// A response whose body is there.
pub(super) fn whole(head: &ReplyHead, encoded: Encoded) -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::new(encoded.body)));
    *response.status_mut() = encoded.status;
    put(&mut response, head, encoded.content_type);
    response.headers_mut().extend(encoded.headers);
    response
}

fn frames(
    events: EventStream,
    shape: ReplyShape,
) -> BoxStream<'static, Result<Frame<Bytes>, Infallible>> {
    stream::unfold((events, shape), |(mut events, shape)| async move {
        let event = events.next().await?;
        let bytes = shape.event(event.as_ref());
        Some((Ok(Frame::data(bytes)), (events, shape)))
    })
    .boxed()
}

/// A response whose body comes frame by frame.
pub(super) fn streamed(
    head: &ReplyHead,
    content_type: &'static str,
    frames: BoxStream<'static, Result<Frame<Bytes>, Infallible>>,
) -> Response<Body> {
    let mut response = Response::new(Either::Right(StreamBody::new(frames)));
    put(&mut response, head, content_type);
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    let buffering = HeaderName::from_static("x-accel-buffering");
    response
        .headers_mut()
        .insert(buffering, HeaderValue::from_static("no"));
    response
}

fn put(response: &mut Response<Body>, head: &ReplyHead, content_type: &'static str) {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if !head.event.is_empty() {
        headers.extend(head.headers());
    }
}

/// A JSON document.
pub(super) fn json(value: &serde_json::Value) -> Response<Body> {
    let mut response = text(StatusCode::OK, &format!("{value}\n"));
    let content_type = HeaderValue::from_static("application/json");
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    response
}

/// A short answer in words.
pub(super) fn text(status: StatusCode, words: &str) -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::new(Bytes::from(words.to_owned()))));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn token(value: &[u8]) -> Option<String> {
        let mut headers = HeaderMap::new();
        let value = HeaderValue::from_bytes(value).unwrap();
        headers.insert(header::AUTHORIZATION, value);
        bearer(&headers)
    }

    #[test]
    fn a_mesh_whose_broken_policies_leave_none_in_force_is_not_ready() {
        let say = |in_force, problems: &[&str]| {
            let problems = problems.iter().map(ToString::to_string).collect();
            readiness(&PolicyStatus { in_force, problems })
        };
        assert_eq!(say(0, &[]), (StatusCode::OK, "ready\n".to_owned()));
        let (status, words) = say(0, &["a.cedar:1: no"]);
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(
            words,
            "no policy is in force, so everybody is denied:\na.cedar:1: no\n"
        );
        let (status, words) = say(1, &["a.cedar:1: no"]);
        assert_eq!(status, StatusCode::OK);
        assert!(words.starts_with("ready, but"), "{words}");
    }

    #[test]
    fn only_a_bearer_token_is_one() {
        assert_eq!(bearer(&HeaderMap::new()), None);
        for (value, expected) in [
            ("Bearer abc", "abc"),
            ("bearer  abc ", "abc"),
            ("Basic abc", ""),
            ("abc", ""),
            ("", ""),
        ] {
            assert_eq!(
                token(value.as_bytes()).as_deref(),
                Some(expected),
                "{value}"
            );
        }
    }

    proptest! {
        /// Who shows something is never taken for somebody who shows nothing.
        #[test]
        fn no_authorization_makes_the_reader_panic_or_counts_as_none(
            value in prop::collection::vec(any::<u8>().prop_filter("fit for a header", |b| *b == b'\t' || (*b >= 32 && *b != 127)), 0..60),
        ) {
            prop_assert!(token(&value).is_some());
        }
    }
}
