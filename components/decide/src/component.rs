//! The door of Spin: a request in, an answer out, and the four imports.

use std::pin::pin;

use futures_util::StreamExt as _;
use kgents_decide_wire::BODY_BYTES_MAX;
use spin_sdk::http::{
    Headers, IncomingRequest, Method, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use spin_sdk::http_component;

use crate::answer::Answer;
use crate::ask::{Judged, Loaded};
use crate::bindings::kgents::health::judging;
use crate::bindings::kgents::pheromone::sensing;
use crate::bindings::kgents::policy::authorization::{self, PolicySet};
use crate::bindings::kgents::router::routing;
use crate::deciders::Deciders;
use crate::handle::{Body, handle, has_body};

#[http_component]
async fn answer(request: IncomingRequest, out: ResponseOutparam) {
    let method = request.method();
    let method = name(&method).to_owned();
    let target = request.path_with_query().unwrap_or_default();
    let mut bytes = Vec::new();
    let read = if has_body(&method, &target) {
        read(request, &mut bytes).await
    } else {
        Ok(())
    };
    let body = match read {
        Ok(()) => Body::Whole(&bytes),
        Err(body) => body,
    };
    send(&handle(&method, &target, body, &Composed), out);
}

fn name(method: &Method) -> &str {
    match method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
        Method::Patch => "PATCH",
        Method::Head => "HEAD",
        Method::Options => "OPTIONS",
        Method::Connect => "CONNECT",
        Method::Trace => "TRACE",
        Method::Other(other) => other,
    }
}

/// Reads a body as far as it is taken.
async fn read(request: IncomingRequest, bytes: &mut Vec<u8>) -> Result<(), Body<'static>> {
    let mut pieces = pin!(request.into_body_stream());
    while let Some(piece) = pieces.next().await {
        bytes.extend(piece.map_err(|_| Body::Broken)?);
        if bytes.len() > BODY_BYTES_MAX {
            return Err(Body::TooLarge);
        }
    }
    Ok(())
}

/// Sends an answer. Spin writes a head at once and never sets TCP_NODELAY, so a
/// body that comes after it waits 40 ms for the caller's acknowledgement: the body
/// is written and finished first wherever it fits into what the host takes.
fn send(answer: &Answer, out: ResponseOutparam) {
    let mut headers = vec![
        ("content-type".to_owned(), b"application/json".to_vec()),
        (
            "content-length".to_owned(),
            answer.body.len().to_string().into_bytes(),
        ),
    ];
    if let Some(allow) = answer.allow {
        headers.push(("allow".to_owned(), allow.as_bytes().to_vec()));
    }
    let headers = Headers::from_list(&headers).unwrap_or_else(|_| Headers::new());
    let response = OutgoingResponse::new(headers);
    // Every status of ours is one.
    let _ = response.set_status_code(answer.status);
    let Ok(body) = response.body() else {
        return;
    };
    let Ok(stream) = body.write() else {
        return;
    };
    let room = stream.check_write().unwrap_or(0);
    if answer.body.len() as u64 <= room {
        let written = stream.write(&answer.body);
        drop(stream);
        if written.is_ok() {
            let _ = OutgoingBody::finish(body, None);
        }
        out.set(response);
        return;
    }
    out.set(response);
    let mut rest = answer.body.as_slice();
    while !rest.is_empty() {
        let Ok(room) = stream.check_write() else {
            return; // the caller has gone
        };
        let (now, later) = rest.split_at(rest.len().min(usize::try_from(room).unwrap_or(0)));
        if now.is_empty() {
            stream.subscribe().block();
        } else if stream.write(now).is_err() {
            return;
        }
        rest = later;
    }
    drop(stream);
    let _ = OutgoingBody::finish(body, None);
}

/// The deciders that Spin's composer put behind the imports.
struct Composed;

impl Deciders for Composed {
    fn decide(&self, question: &routing::Question, evidence: &routing::Evidence) -> routing::Step {
        routing::decide(question, evidence)
    }

    fn load(
        &self,
        sources: &[authorization::Source],
    ) -> Result<Loaded, Vec<authorization::Problem>> {
        let set = PolicySet::load(sources)?;
        Ok(Loaded { ids: set.ids() })
    }

    fn evaluate(
        &self,
        sources: &[authorization::Source],
        subject: &authorization::Subject,
        queries: &[authorization::Query],
    ) -> Result<Judged, Vec<authorization::Problem>> {
        let set = PolicySet::load(sources)?;
        Ok(Judged {
            ids: set.ids(),
            verdicts: set.evaluate(subject, queries),
        })
    }

    fn schema(&self) -> String {
        authorization::schema()
    }

    fn accept(
        &self,
        draft: &sensing::Draft,
        own_kinds: &[String],
        now_ms: u64,
    ) -> Result<sensing::Pheromone, Vec<sensing::Problem>> {
        sensing::accept(draft, own_kinds, now_ms)
    }

    fn intensity(&self, pheromone: &sensing::Pheromone, now_ms: u64) -> f64 {
        sensing::intensity(pheromone, now_ms)
    }

    fn sense(
        &self,
        pheromones: &[sensing::Pheromone],
        filter: &sensing::Filter,
        now_ms: u64,
    ) -> Vec<sensing::Sensed> {
        sensing::sense(pheromones, filter, now_ms)
    }

    fn judge(
        &self,
        probes: &[judging::Probe],
        limits: judging::Limits,
        now_ms: u64,
    ) -> judging::Verdict {
        judging::judge(probes, limits, now_ms)
    }
}
