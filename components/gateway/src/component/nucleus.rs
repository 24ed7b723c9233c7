//! The one call: to the nucleus's exchange, its answer read as it comes.

use std::future::poll_fn;
use std::task::Poll;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use spin_sdk::http::{ErrorCode, IncomingResponse, Method, OutgoingRequest, Scheme};
use spin_sdk::wit::wasi::http0_2_0::outgoing_handler;
use spin_sdk::wit::wasi::http0_2_0::types::{FutureIncomingResponse, RequestOptions};

use super::outgoing::fields;
use super::wait::{Broke, Reader, Writer, wake};
use crate::carry::{self, Broken, Carried};
use crate::door::{Fault, HEARTBEAT_AFTER};
use crate::reading::{Reading, Step};
use crate::reply::JSON;
use crate::setup::{AUTHORIZATION, Setup};

/// How long a connection to the nucleus may take, in nanoseconds; it is near.
const CONNECT_NS: u64 = 5_000_000_000;
/// How long the nucleus may be silent, in nanoseconds: so long that two
/// heartbeats were missed.
const SILENT_NS: u64 = 3 * HEARTBEAT_AFTER.as_secs() * 1_000_000_000;

/// A nucleus's answer. Fields go in this order: a body before its response.
pub struct Answer {
    reader: Reader,
    _response: IncomingResponse,
    reading: Reading,
}

impl Answer {
    /// The next step; after `Answer`, `End` or a fault there is none.
    pub async fn step(&mut self) -> Result<Step, Fault> {
        loop {
            if let Some(step) = self.reading.step().map_err(Fault::Broken)? {
                return Ok(step);
            }
            if self.reading.is_over() {
                return Err(Fault::Broken(Broken::OutOfOrder));
            }
            match self.reader.next().await {
                Ok(Some(bytes)) => self.reading.feed(&bytes),
                Ok(None) | Err(Broke) => self.reading.close(),
            }
        }
    }
}

/// Asks the nucleus, and waits for the first step of its answer.
pub async fn ask(setup: &Setup, carried: Carried) -> Result<(Answer, Step), Fault> {
    let mut answer = call(setup, &carried).await?;
    drop(carried);
    let step = answer.step().await?;
    Ok((answer, step))
}

async fn call(setup: &Setup, carried: &Carried) -> Result<Answer, Fault> {
    let body = carried.to_bytes();
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    headers.insert(AUTHORIZATION, setup.authorization.clone());
    let request = OutgoingRequest::new(fields(&headers));
    let scheme = if setup.scheme == http::uri::Scheme::HTTPS {
        Scheme::Https
    } else {
        Scheme::Http
    };
    let set = [
        request.set_method(&Method::Post),
        request.set_scheme(Some(&scheme)),
        request.set_authority(Some(setup.nucleus.as_str())),
        request.set_path_with_query(Some(carry::PATH)),
    ];
    let writer = request.body().ok().and_then(Writer::new);
    let (Some(mut writer), true) = (writer, set.iter().all(Result::is_ok)) else {
        return Err(unreachable("the runtime does not take its address"));
    };
    // What fits is there before the call goes out, and leaves in one piece.
    let written = writer.begin(&body).unwrap_or_default();
    let rest = body.get(written..).unwrap_or_default();
    let pending = if rest.is_empty() {
        writer.finish();
        send(request)?
    } else {
        let pending = send(request)?;
        // A nucleus that refuses need not have read it all.
        if writer.write(rest).await.is_ok() {
            writer.finish();
        }
        pending
    };
    let response = answered(pending).await?;
    let status = response.status();
    if status != StatusCode::OK.as_u16() {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
        return Err(Fault::Refused(status));
    }
    let reader = response.consume().ok().and_then(Reader::new);
    Ok(Answer {
        reader: reader.ok_or_else(|| unreachable("its answer has no body"))?,
        _response: response,
        reading: Reading::new(carry::LINE_BYTES_MAX),
    })
}

fn send(request: OutgoingRequest) -> Result<FutureIncomingResponse, Fault> {
    let options = RequestOptions::new();
    // A runtime that does not know them has limits of its own.
    let _ = options.set_connect_timeout(Some(CONNECT_NS));
    let _ = options.set_first_byte_timeout(Some(SILENT_NS));
    let _ = options.set_between_bytes_timeout(Some(SILENT_NS));
    outgoing_handler::handle(request, Some(options))
        .map_err(|code| unreachable(&format!("{code:?}")))
}

async fn answered(pending: FutureIncomingResponse) -> Result<IncomingResponse, Fault> {
    let mut _token = None;
    poll_fn(|context| match pending.get() {
        Some(Ok(answered)) => Poll::Ready(answered.map_err(|code| failed(&code))),
        Some(Err(())) => Poll::Ready(Err(unreachable("its answer was taken twice"))),
        None => {
            _token = Some(wake(pending.subscribe(), context));
            Poll::Pending
        }
    })
    .await
}

/// Which errors tell that nothing was asked; after any other it may have been.
fn failed(code: &ErrorCode) -> Fault {
    let why = format!("{code:?}");
    match code {
        ErrorCode::ConnectionRefused
        | ErrorCode::ConnectionTimeout
        | ErrorCode::DnsTimeout
        | ErrorCode::DnsError(_)
        | ErrorCode::DestinationNotFound
        | ErrorCode::DestinationUnavailable
        | ErrorCode::DestinationIpProhibited
        | ErrorCode::DestinationIpUnroutable
        | ErrorCode::HttpRequestDenied
        | ErrorCode::HttpRequestUriInvalid => Fault::Unreachable(why),
        _ => Fault::Lost(why),
    }
}

fn unreachable(why: &str) -> Fault {
    Fault::Unreachable(why.to_owned())
}
