//! `POST /v1/exchange`, version 1: the door for gateways, front doors of this
//! mesh that run elsewhere and decode requests there. Internal: only a
//! principal `spiffe://<trust domain>/gateways/<name>` may call it. The token
//! of the caller it speaks for travels inside and is verified here.
//!
//! Request: one JSON object, [`Carried`]. Answer: lines of JSON,
//! `application/x-ndjson`: `{"head": …}` first, then `{"answer": …}`,
//! `{"event": …}` or `{"failure": …}`, and `{"end": true}` last.

use super::front::{Body, Front, bearer, streamed, text};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{Either, Full};
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
    let body = match front.read(request.into_body()).await {
        Ok(body) => body,
        Err(failure) => return refused(&failure),
    };
    let carried = match serde_json::from_slice::<Carried>(&body) {
        Ok(carried) if carried.version == VERSION => carried,
        Ok(carried) => {
            let message = format!("`version`: {} is not spoken here", carried.version);
            return refused(&Failure::new(FailureKind::InvalidParams, message).hint("send 1"));
        }
        Err(error) => {
            return refused(&Failure::new(FailureKind::InvalidParams, error.to_string()));
        }
    };
    let arrival = Arrival {
        call: Ok(carried.call),
        token: carried.token,
        base_url: carried.base_url,
    };
    respond(front.exchange.run(arrival).await)
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
    let encoded = shape.unary(Err(failure));
    let mut response = Response::new(Either::Left(Full::new(encoded.body)));
    *response.status_mut() = encoded.status;
    response
}
