//! The listener's handler: an HTTP request through codec and exchange and back.
//! It knows no protocol rule and makes no decision; what it does as every front
//! door does stands in `kgents_gateway::door`.

use super::gateways;
use super::heartbeat::beating;
use Unread::{Broken, TooLong};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Either, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use kgents_gateway::call::{Failure, FailureKind, ReplyHead};
use kgents_gateway::door::{self, Once};
use kgents_gateway::reply::EVENT_STREAM;
use kgents_gateway::{Encoded, ReplyBinding, ReplyShape, RequestHead, carry};
use kgents_mesh::exchange::{Arrival, EventStream, Exchange, Reply, ReplyBody};
use kgents_mesh::policy::{PolicyStatus, PolicyStore};
use std::convert::Infallible;
use std::sync::Arc;

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
    /// Whether only gateways are served: callers have another front door.
    pub gateway_only: bool,
}

impl Front {
    /// Answers one request.
    pub async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        match request.uri().path() {
            door::HEALTH_PATH => return text(StatusCode::OK, "ok\n"),
            door::READY_PATH => return self.ready(),
            carry::PATH => return gateways::answer(self, request).await,
            _ if self.gateway_only => return refused(&elsewhere()),
            _ => {}
        }
        let token = door::bearer(request.headers());
        let base_url = self.base_url(&request);
        let (parts, body) = request.into_parts();
        let head = RequestHead {
            method: &parts.method,
            path: parts.uri.path(),
            query: parts.uri.query(),
            headers: &parts.headers,
        };
        let read = || self.read(body, self.body_bytes(token.as_deref()));
        let (call, shape) = door::arrive(head, read).await;
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

    /// How large a body may be for who shows this token.
    fn body_bytes(&self, token: Option<&str>) -> usize {
        let now = self.exchange.clock.now_ms();
        let known = self.exchange.identity.identify(token, now).is_ok();
        door::body_bytes(self.body_max, known)
    }

    /// Reads a whole body of at most `max` bytes. What is beyond is read too and
    /// thrown away, within bounds, before that is said: a connection that is
    /// closed on unread bytes is reset, and the answer with it.
    pub(super) async fn read(&self, mut body: Incoming, max: usize) -> Result<Bytes, Failure> {
        match tokio::time::timeout(door::BODY_TIMEOUT, within(&mut body, max)).await {
            Ok(Ok(whole)) => Ok(whole),
            Ok(Err(TooLong)) => {
                let _ = tokio::time::timeout(door::DRAIN_TIMEOUT, drain(&mut body)).await;
                Err(door::too_large(max))
            }
            Ok(Err(Broken)) => Err(door::broke_off()),
            Err(_) => Err(door::too_slow()),
        }
    }

    /// How this caller reaches us, for the URLs in cards.
    fn base_url(&self, request: &Request<Incoming>) -> String {
        let host = request.headers().get(header::HOST);
        let host = host.and_then(|value| value.to_str().ok());
        let host = host.or_else(|| request.uri().authority().map(|a| a.as_str()));
        door::base_url(self.public_url.as_deref(), host, &self.listen_url)
    }

    fn ready(&self) -> Response<Body> {
        if self.exchange.audit.is_failing() {
            let words =
                "the audit trail cannot be written, so nothing is done: kgents audit verify\n";
            return text(StatusCode::SERVICE_UNAVAILABLE, words);
        }
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

/// What is said to callers of a mesh that serves gateways only.
fn elsewhere() -> Failure {
    let message = "this mesh has no public listener: only /v1/exchange is here, for gateways";
    Failure::new(FailureKind::UnknownMethod, message).hint(
        "call the gateway that was set up for it; `kgents up --gateway-only` started this one",
    )
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
    let mut left = door::DRAIN_BYTES_MAX;
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
        ReplyBody::Once(result) => match shape.once(result.as_ref()) {
            Once::Whole(encoded) => whole(&head, encoded),
            Once::Event(event) => streamed(&head, EVENT_STREAM, stream::iter([event]).boxed()),
        },
        ReplyBody::Events(events) => {
            let beat = shape.heartbeat();
            let pieces = beating(framed(events, shape), beat, door::HEARTBEAT_AFTER);
            streamed(&head, EVENT_STREAM, pieces)
        }
    }
}

/// A response whose body is there.
pub(super) fn whole(head: &ReplyHead, encoded: Encoded) -> Response<Body> {
    let headers = door::whole_headers(head, &encoded);
    let mut response = Response::new(Either::Left(Full::new(encoded.body)));
    *response.status_mut() = encoded.status;
    *response.headers_mut() = headers;
    response
}

/// A refusal in the words of REST.
pub(super) fn refused(failure: &Failure) -> Response<Body> {
    let shape = ReplyShape {
        binding: ReplyBinding::Rest,
        stream: false,
    };
    whole(&ReplyHead::default(), shape.unary(Err(failure)))
}

fn framed(events: EventStream, shape: ReplyShape) -> BoxStream<'static, Bytes> {
    stream::unfold((events, shape), |(mut events, shape)| async move {
        let event = events.next().await?;
        let bytes = shape.event(event.as_ref());
        Some((bytes, (events, shape)))
    })
    .boxed()
}

/// A response whose body comes piece by piece.
pub(super) fn streamed(
    head: &ReplyHead,
    content_type: &'static str,
    pieces: BoxStream<'static, Bytes>,
) -> Response<Body> {
    let frames = pieces.map(|piece| Ok(Frame::data(piece))).boxed();
    let mut response = Response::new(Either::Right(StreamBody::new(frames)));
    *response.headers_mut() = door::stream_headers(head, content_type);
    response
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
    whole(&ReplyHead::default(), door::plain(status, words))
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
