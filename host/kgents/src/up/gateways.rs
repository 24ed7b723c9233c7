//! `POST /v1/exchange`, version 1: the door for gateways, front doors of this
//! mesh that run elsewhere and decode requests there. Internal: only a
//! principal `spiffe://<trust domain>/gateways/<name>` may call it. The token
//! of the caller it speaks for travels inside and is verified here.
//!
//! Request: one JSON object, [`Carried`]. Answer: lines of JSON,
//! `application/x-ndjson`: `{"head": …}` first, then `{"answer": …}`,
//! `{"event": …}` or `{"failure": …}`, and `{"end": true}` last.

use super::front::{Body, Front, bearer, streamed, text, whole};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use http::{Method, Request, Response, StatusCode};
use hyper::body::{Frame, Incoming};
use kgents_gateway::call::{Call, Failure, FailureKind, Payload, ReplyHead};
use kgents_gateway::{ReplyBinding, ReplyShape};
use kgents_mesh::exchange::{Arrival, Reply, ReplyBody};
use kgents_mesh::principal::PrincipalKind;
use serde::Deserialize;
use std::convert::Infallible;

/// Where it is.
pub const PATH: &str = "/v1/exchange";
/// The version spoken here.
const VERSION: u32 = 1;

/// A decoded call, carried by a gateway.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Carried {
    /// Version of this format: 1.
    version: u32,
    /// The caller's own bearer token, if one came.
    #[serde(default)]
    token: Option<String>,
    /// How the caller reaches the gateway, for the URLs in cards.
    base_url: String,
    /// What the codec made of the request.
    call: Call,
}

/// A request of any version, as far as every version is alike.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// Answers a gateway.
pub async fn answer(front: &Front, request: Request<Incoming>) -> Response<Body> {
    if request.method() != Method::POST {
        return text(
            StatusCode::METHOD_NOT_ALLOWED,
            "POST is the method of /v1/exchange\n",
        );
    }
    if let Err(failure) = admit(front, &request) {
        return refused(&failure);
    }
    let body = match front.read(request.into_body(), front.body_max).await {
        Ok(body) => body,
        Err(failure) => return refused(&failure),
    };
    let carried = match carried(&body) {
        Ok(carried) => carried,
        Err(failure) => return refused(&failure),
    };
    let arrival = Arrival {
        call: Ok(carried.call),
        token: carried.token,
        base_url: carried.base_url,
    };
    respond(front.exchange.run(arrival).await)
}

/// Reads a gateway's request. Another version may have other members, so what
/// does not fit is first looked through for the version it claims.
fn carried(body: &[u8]) -> Result<Carried, Failure> {
    let other = |version: u32| {
        let message = format!("`version`: {version} is not spoken here");
        Failure::new(FailureKind::InvalidParams, message).hint("send 1")
    };
    match serde_json::from_slice::<Carried>(body) {
        Ok(carried) if carried.version == VERSION => Ok(carried),
        Ok(carried) => Err(other(carried.version)),
        Err(error) => match serde_json::from_slice::<Versioned>(body) {
            Ok(claim) if claim.version != VERSION => Err(other(claim.version)),
            _ => Err(Failure::new(FailureKind::InvalidParams, error.to_string())),
        },
    }
}

fn admit(front: &Front, request: &Request<Incoming>) -> Result<(), Failure> {
    let token = bearer(request.headers());
    let now = front.exchange.clock.now_ms();
    let who = front.exchange.identity.identify(token.as_deref(), now)?;
    if who.kind() == PrincipalKind::Gateway {
        return Ok(());
    }
    Err(Failure::new(
        FailureKind::Denied,
        format!("`{}` is no gateway", who.name()),
    )
    .hint("only gateways call /v1/exchange: kgents token --gateway NAME"))
}

fn respond(reply: Reply) -> Response<Body> {
    let head = line(&serde_json::json!({ "head": reply.head }));
    let rest: BoxStream<'static, Bytes> = match reply.body {
        ReplyBody::Once(result) => stream::iter([outcome("answer", result)]).boxed(),
        ReplyBody::Events(events) => stream::unfold(events, |mut events| async move {
            let event = events.next().await?;
            Some((outcome("event", event), events))
        })
        .boxed(),
    };
    let end = stream::iter([line(&serde_json::json!({ "end": true }))]);
    let lines = stream::iter([head]).chain(rest).chain(end);
    let frames = lines
        .map(|line| Ok::<_, Infallible>(Frame::data(line)))
        .boxed();
    streamed(&ReplyHead::default(), "application/x-ndjson", frames)
}

fn outcome(name: &str, result: Result<Payload, Failure>) -> Bytes {
    match result {
        Ok(payload) => line(&serde_json::json!({ name: payload })),
        Err(failure) => line(&serde_json::json!({ "failure": failure })),
    }
}

fn line(value: &serde_json::Value) -> Bytes {
    Bytes::from(format!("{value}\n"))
}

fn refused(failure: &Failure) -> Response<Body> {
    let shape = ReplyShape {
        binding: ReplyBinding::Rest,
        stream: false,
    };
    whole(&ReplyHead::default(), shape.unary(Err(failure)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The request of docs/api.md.
    const DOCUMENTED: &str = r#"{"version":1,"token":"eyJ…","base_url":"https://mesh.example",
        "call":{"target":{"agent":"echo"},"operation":{"send_message":{
        "params":{"message":{"messageId":"m1","role":"ROLE_USER","parts":[{"text":"hello"}]}},
        "text":"hello","data":null,"task_id":null,"context_id":null,"message_id":"m1"}},
        "traceparent":null}}"#;

    #[test]
    fn the_documented_request_is_read() {
        let carried: Carried = serde_json::from_str(DOCUMENTED).unwrap();
        assert_eq!(carried.version, VERSION);
        assert_eq!(carried.call.operation.name(), "SendMessage");
    }

    #[test]
    fn a_member_that_nobody_knows_is_refused() {
        let more = DOCUMENTED.replacen("\"version\"", "\"sudo\":true,\"version\"", 1);
        let failure = carried(more.as_bytes()).err().unwrap();
        assert!(failure.message.contains("`sudo`"), "{}", failure.message);
    }

    #[test]
    fn another_version_is_told_to_be_that_whatever_else_it_holds() {
        let later = DOCUMENTED.replacen("\"version\":1", "\"version\":2", 1);
        for body in [r#"{"version":2}"#, r#"{"version":2,"calls":[]}"#, &later] {
            let failure = carried(body.as_bytes()).err().unwrap();
            assert_eq!(failure.message, "`version`: 2 is not spoken here", "{body}");
        }
        let failure = carried(br#"{"version":1}"#).err().unwrap();
        assert!(
            failure.message.contains("`base_url`"),
            "{}",
            failure.message
        );
        assert!(carried(DOCUMENTED.as_bytes()).is_ok());
    }

    proptest! {
        #[test]
        fn no_body_of_a_gateway_makes_the_reader_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            at in any::<prop::sample::Index>(),
            with in "[\\PC]{0,6}",
        ) {
            let _ = serde_json::from_slice::<Carried>(&bytes);
            let at = at.index(DOCUMENTED.len());
            if let (Some(before), Some(after)) = (DOCUMENTED.get(..at), DOCUMENTED.get(at..)) {
                let _ = serde_json::from_str::<Carried>(before);
                let _ = serde_json::from_str::<Carried>(&format!("{before}{with}{after}"));
            }
        }
    }
}
