//! `POST /v1/exchange`: the door for gateways, front doors of this mesh that run
//! elsewhere and decode requests there. Internal: only a principal
//! `spiffe://<trust domain>/gateways/<name>` may call it. The token of the caller
//! it speaks for travels inside and is verified here. The format is
//! `kgents_gateway::carry`'s.

use super::front::{Body, Front, refused, streamed, text, whole};
use super::heartbeat::beating;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use kgents_gateway::Encoded;
use kgents_gateway::call::{Failure, FailureKind, Payload, ReplyHead};
use kgents_gateway::carry::{Carried, LINES, Line};
use kgents_gateway::door::{HEARTBEAT_AFTER, bearer};
use kgents_mesh::exchange::{Arrival, Reply, ReplyBody};
use kgents_mesh::principal::PrincipalKind;
use std::time::Duration;

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
    let max = Carried::bytes_max(front.body_max);
    let body = match front.read(request.into_body(), max).await {
        Ok(body) => body,
        Err(failure) => return refused(&failure),
    };
    let carried = match Carried::read(&body) {
        Ok(carried) => carried,
        Err(failure) => return refused(&failure),
    };
    let arrival = Arrival {
        call: Ok(carried.call),
        token: carried.token,
        base_url: carried.base_url,
    };
    let exchange = front.exchange.clone();
    respond(async move { exchange.run(arrival).await }, HEARTBEAT_AFTER).await
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

/// Answers with what `running` comes to. What is there soon leaves in one piece;
/// whoever waits longer than `after` is told by heartbeats that it is worked on.
async fn respond(
    running: impl Future<Output = Reply> + Send + 'static,
    after: Duration,
) -> Response<Body> {
    let mut running = Box::pin(running);
    let beat = || Line::Heartbeat.encode();
    let none = ReplyHead::default();
    match tokio::time::timeout(after, &mut running).await {
        Ok(Reply {
            head,
            body: ReplyBody::Once(result),
        }) => {
            let encoded = Encoded {
                status: StatusCode::OK,
                content_type: LINES,
                headers: Vec::new(),
                body: once(head, result),
            };
            whole(&none, encoded)
        }
        Ok(reply) => streamed(&none, LINES, beating(lines(reply), beat(), after)),
        Err(_) => {
            let rest = stream::once(running).flat_map(lines).boxed();
            let first = stream::iter([beat()]);
            let pieces = first.chain(beating(rest, beat(), after)).boxed();
            streamed(&none, LINES, pieces)
        }
    }
}

fn lines(reply: Reply) -> BoxStream<'static, Bytes> {
    let Reply { head, body } = reply;
    let events = match body {
        ReplyBody::Once(result) => return stream::iter([once(head, result)]).boxed(),
        ReplyBody::Events(events) => events,
    };
    let stream = true;
    let head = stream::iter([Line::Head { head, stream }.encode()]);
    let events = stream::unfold(events, |mut events| async move {
        let line = match events.next().await? {
            Ok(payload) => Line::Event(payload),
            Err(failure) => Line::Failure(failure),
        };
        Some((line.encode(), events))
    });
    let end = stream::iter([Line::End.encode()]);
    head.chain(events).chain(end).boxed()
}

/// All lines of an answer at once.
fn once(head: ReplyHead, result: Result<Payload, Failure>) -> Bytes {
    let stream = false;
    let outcome = match result {
        Ok(payload) => Line::Answer(payload),
        Err(failure) => Line::Failure(failure),
    };
    let lines = [Line::Head { head, stream }, outcome, Line::End];
    let mut bytes = BytesMut::new();
    for line in lines {
        bytes.extend_from_slice(&line.encode());
    }
    bytes.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use kgents_gateway::reading::{Reading, Step};
    use std::future::pending;
    use tokio::sync::oneshot;

    const NEVER: Duration = Duration::from_secs(3600);
    const SOON: Duration = Duration::from_millis(1);

    fn reply() -> Reply {
        let head = ReplyHead {
            event: "evt-1".into(),
            ..ReplyHead::default()
        };
        let payload = Payload::parse(Bytes::from_static(b"{\n\"a\":1.0}")).unwrap();
        Reply {
            head,
            body: ReplyBody::Once(Ok(payload)),
        }
    }

    #[tokio::test]
    async fn what_is_there_soon_leaves_in_one_piece_and_reads_back() {
        let mut response = respond(async { reply() }, NEVER).await;
        let whole = response.body_mut().frame().await.unwrap().unwrap();
        let mut reading = Reading::new(1000);
        reading.feed(whole.data_ref().unwrap());
        let expected = match reply().body {
            ReplyBody::Once(result) => Step::Answer(reply().head, result),
            ReplyBody::Events(_) => panic!("it is one answer"),
        };
        assert_eq!(reading.step(), Ok(Some(expected)));
        assert!(response.body_mut().frame().await.is_none());
        assert_eq!(response.headers().get("content-type").unwrap(), LINES);
    }

    #[tokio::test]
    async fn whoever_waits_long_is_told_that_it_is_worked_on() {
        let (finish, finished) = oneshot::channel();
        let late = async move {
            let _ = finished.await;
            reply()
        };
        let mut response = respond(late, SOON).await;
        let mut next = async || {
            let frame = response.body_mut().frame().await?;
            Some(frame.unwrap().into_data().unwrap())
        };
        for _ in 0..3 {
            assert_eq!(next().await.unwrap(), Line::Heartbeat.encode());
        }
        finish.send(()).unwrap();
        let last = loop {
            let piece = next().await.unwrap();
            if piece != Line::Heartbeat.encode() {
                break piece;
            }
        };
        assert!(last.ends_with(b"\n{\"end\":true}\n"), "{last:?}");
        assert_eq!(next().await, None);
    }

    #[tokio::test]
    async fn a_gateway_that_goes_away_takes_its_call_with_it() {
        struct Gone(Option<oneshot::Sender<()>>);
        impl Drop for Gone {
            fn drop(&mut self) {
                let _ = self.0.take().unwrap().send(());
            }
        }
        let (sender, gone) = oneshot::channel();
        let guard = Gone(Some(sender));
        let never = async move {
            let _guard = guard;
            pending::<Reply>().await
        };
        let response = respond(never, SOON).await;
        drop(response);
        assert_eq!(gone.await, Ok(()));
    }
}
