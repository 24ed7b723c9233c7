//! The answer on its way to the caller.
//!
//! What is whole is written and finished *before* the runtime is handed the
//! response, as far as the runtime has room (1 MiB): head and body then leave in
//! one piece. Spin does not set TCP_NODELAY, so a body that follows its head can
//! wait 40 ms for an acknowledgement.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use spin_sdk::http::{Fields, OutgoingResponse, ResponseOutparam};

use super::wait::{Closed, Writer};
use crate::call::ReplyHead;
use crate::door;
use crate::reply::{EVENT_STREAM, Encoded};

/// Headers as the runtime takes them.
pub fn fields(headers: &HeaderMap) -> Fields {
    let entries: Vec<(String, Vec<u8>)> = headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect();
    Fields::from_list(&entries).unwrap_or_else(|_| Fields::new())
}

/// A short answer in words.
pub async fn plain(out: ResponseOutparam, status: StatusCode, words: &str) {
    whole(out, &ReplyHead::default(), door::plain(status, words)).await;
}

/// An answer that is there.
pub async fn whole(out: ResponseOutparam, head: &ReplyHead, encoded: Encoded) {
    let mut headers = door::whole_headers(head, &encoded);
    let length = HeaderValue::from(encoded.body.len());
    headers.insert(header::CONTENT_LENGTH, length);
    write(out, encoded.status, &headers, &encoded.body).await;
}

/// A stream of one event.
pub async fn one_event(out: ResponseOutparam, head: &ReplyHead, event: &Bytes) {
    let headers = door::stream_headers(head, EVENT_STREAM);
    write(out, StatusCode::OK, &headers, event).await;
}

async fn write(out: ResponseOutparam, status: StatusCode, headers: &HeaderMap, body: &Bytes) {
    let response = response(status, headers);
    let Some(mut writer) = response.body().ok().and_then(Writer::new) else {
        return out.set(response);
    };
    let written = writer.begin(body).unwrap_or_default();
    let rest = body.get(written..).unwrap_or_default();
    if rest.is_empty() {
        writer.finish();
        return out.set(response);
    }
    out.set(response);
    // A caller that has gone is told nothing.
    if writer.write(rest).await.is_ok() {
        writer.finish();
    }
}

fn response(status: StatusCode, headers: &HeaderMap) -> OutgoingResponse {
    let response = OutgoingResponse::new(fields(headers));
    // Every status that is three digits is taken.
    let _ = response.set_status_code(status.as_u16());
    response
}

/// A stream of events on its way.
pub struct Events(Writer);

impl Events {
    /// Sends the head; `None` when the runtime takes no body.
    pub fn begin(out: ResponseOutparam, head: &ReplyHead) -> Option<Self> {
        let headers = door::stream_headers(head, EVENT_STREAM);
        let response = response(StatusCode::OK, &headers);
        let writer = response.body().ok().and_then(Writer::new);
        out.set(response);
        writer.map(Self)
    }

    /// Sends an event.
    pub async fn send(&mut self, event: &[u8]) -> Result<(), Closed> {
        self.0.write(event).await
    }

    /// Sends a last event, and ends.
    pub async fn fail(mut self, event: &[u8]) {
        if self.send(event).await.is_ok() {
            self.finish();
        }
    }

    /// Ends.
    pub fn finish(self) {
        self.0.finish();
    }
}
