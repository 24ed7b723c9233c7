//! The gateway as a Spin HTTP component (WASI 0.2): bytes in, at most one call
//! to the nucleus, bytes out. What it decides is the codecs' and `door`'s; here
//! is only what moves bytes.
//!
//! In reading order: this file, `incoming` (the request), `nucleus` (the call),
//! `outgoing` (the answer), `wait` (for bytes, for room, for time).
//!
//! Nothing here panics: a panic would be a trap, and the caller's answer an
//! empty 500. `/healthz` tells that the component runs; `/readyz` asks the
//! nucleus for the mesh's own card, which proves address, network and token.

mod incoming;
mod nucleus;
mod outgoing;
mod wait;

use std::io::Write as _;

use http::StatusCode;
use spin_sdk::http::{IncomingRequest, ResponseOutparam};

use self::incoming::Head;
use self::nucleus::Answer;
use self::outgoing::Events;
use crate::call::{Call, Failure, Operation, Payload, ReplyHead, Target};
use crate::carry::{Broken, Carried};
use crate::door::{self, Fault, Once};
use crate::path::accepts;
use crate::reading::Step;
use crate::reply::ReplyShape;
use crate::setup::Setup;

/// How callers reach a gateway that is told no host; only cards tell it on.
const NOWHERE: &str = "http://localhost";

#[spin_sdk::http_component]
async fn handle(request: IncomingRequest, out: ResponseOutparam) {
    let head = Head::of(&request);
    if head.path() == door::HEALTH_PATH {
        return outgoing::plain(out, StatusCode::OK, "ok\n").await;
    }
    match Setup::read(variable) {
        Ok(setup) if head.path() == door::READY_PATH => ready(&setup, &head, out).await,
        Ok(setup) => serve(&setup, &head, request, out).await,
        Err(fault) => {
            log(&fault);
            let failure = fault.failure(0);
            let shape = match accepts(&head.method, head.path()) {
                Ok(route) => route.reply(),
                Err(refusal) => refusal.reply,
            };
            outgoing::whole(out, &ReplyHead::default(), shape.unary(Err(&failure))).await;
        }
    }
}

fn variable(name: &'static str) -> Result<Option<String>, String> {
    use spin_sdk::variables::{Error, get};
    match get(name) {
        Ok(value) => Ok(Some(value)),
        Err(Error::Undefined(_)) => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

/// Tells whether the nucleus takes what this gateway sends.
async fn ready(setup: &Setup, head: &Head, out: ResponseOutparam) {
    let call = Call {
        target: Target::Mesh,
        operation: Operation::Card,
        traceparent: None,
        extensions: None,
    };
    let asked = Carried::new(None, head.base_url(setup, NOWHERE), call);
    match card(setup, asked).await {
        Ok(_) => outgoing::plain(out, StatusCode::OK, "ready\n").await,
        Err(failure) => {
            let hint = failure.hint.unwrap_or_default();
            let words = format!("{}\n{hint}\n", failure.message);
            outgoing::plain(out, StatusCode::SERVICE_UNAVAILABLE, &words).await;
        }
    }
}

async fn card(setup: &Setup, asked: Carried) -> Result<Payload, Failure> {
    match nucleus::ask(setup, asked).await {
        Ok((_, Step::Answer(_, result))) => result,
        Ok(_) => Err(told(setup, &Fault::Broken(Broken::OutOfOrder))),
        Err(fault) => Err(told(setup, &fault)),
    }
}

/// Answers one request.
async fn serve(setup: &Setup, head: &Head, request: IncomingRequest, out: ResponseOutparam) {
    let token = door::bearer(&head.headers);
    let max = door::body_bytes(setup.body_max, token.is_some());
    let arriving = door::arrive(head.borrow(), || incoming::body(request, max));
    let (call, shape) = arriving.await;
    let call = match call {
        Ok(call) => call,
        Err(failure) => {
            // Who is nobody here learns nothing of what was wrong.
            let failure = match token {
                Some(_) => failure,
                None => door::no_identity(),
            };
            return once(out, &ReplyHead::default(), &shape, Err(failure)).await;
        }
    };
    let carried = Carried::new(token, head.base_url(setup, NOWHERE), call);
    match nucleus::ask(setup, carried).await {
        Ok((_, Step::Answer(head, result))) => once(out, &head, &shape, result).await,
        Ok((answer, Step::Begin(head))) => pass(setup, out, &head, &shape, answer).await,
        Ok(_) => {
            let failure = told(setup, &Fault::Broken(Broken::OutOfOrder));
            once(out, &ReplyHead::default(), &shape, Err(failure)).await;
        }
        Err(fault) => {
            let failure = told(setup, &fault);
            once(out, &ReplyHead::default(), &shape, Err(failure)).await;
        }
    }
}

async fn once(
    out: ResponseOutparam,
    head: &ReplyHead,
    shape: &ReplyShape,
    result: Result<Payload, Failure>,
) {
    match shape.once(result.as_ref()) {
        Once::Whole(encoded) => outgoing::whole(out, head, encoded).await,
        Once::Event(event) => outgoing::one_event(out, head, &event).await,
    }
}

/// Passes events on as they come, until the last or until the caller has gone.
async fn pass(
    setup: &Setup,
    out: ResponseOutparam,
    head: &ReplyHead,
    shape: &ReplyShape,
    mut answer: Answer,
) {
    let Some(mut events) = Events::begin(out, head) else {
        return;
    };
    loop {
        let sent = match answer.step().await {
            Ok(Step::Event(event)) => events.send(&shape.event(event.as_ref())).await,
            Ok(Step::Heartbeat) => events.send(&shape.heartbeat()).await,
            Ok(Step::End) => return events.finish(),
            Ok(Step::Begin(_) | Step::Answer(..)) => {
                let failure = told(setup, &Fault::Broken(Broken::OutOfOrder));
                return events.fail(&shape.event(Err(&failure))).await;
            }
            Err(fault) => {
                let failure = told(setup, &fault);
                return events.fail(&shape.event(Err(&failure))).await;
            }
        };
        // Dropping the nucleus's answer tells it that nobody listens any more.
        if sent.is_err() {
            return;
        }
    }
}

/// Logs a fault, and gives what the caller is told of it.
fn told(setup: &Setup, fault: &Fault) -> Failure {
    log(fault);
    fault.failure(setup.body_max)
}

/// One line for the operator. Unlike `eprintln!` it cannot panic.
fn log(fault: &Fault) {
    let _ = writeln!(std::io::stderr(), "gateway: {fault}");
}
