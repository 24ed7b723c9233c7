//! How answers are written.

use wasi::http::types::{Fields, OutgoingBody, OutgoingResponse, ResponseOutparam};
use wasi::io::streams::OutputStream;

/// Answer with a text, all of it at once.
pub fn text(out: ResponseOutparam, text: &str) {
    with(out, Fields::new(), text);
}

/// Answer with headers and a text, the text after the head: it may be long.
pub fn with(out: ResponseOutparam, headers: Fields, text: &str) {
    let response = OutgoingResponse::new(headers);
    let body = response.body().unwrap();
    ResponseOutparam::set(out, Ok(response));
    {
        let stream = body.write().unwrap();
        for piece in text.as_bytes().chunks(4096) {
            if stream.blocking_write_and_flush(piece).is_err() {
                return;
            }
        }
    }
    let _ = OutgoingBody::finish(body, None);
}

/// An answer that is written piece by piece.
pub struct Streamed {
    body: OutgoingBody,
    stream: OutputStream,
}

impl Streamed {
    /// Send the head.
    pub fn start(out: ResponseOutparam) -> Self {
        let response = OutgoingResponse::new(Fields::new());
        let body = response.body().unwrap();
        let stream = body.write().unwrap();
        ResponseOutparam::set(out, Ok(response));
        Self { body, stream }
    }

    /// Send a piece; tells whether anybody takes it.
    pub fn write(&mut self, bytes: &[u8]) -> bool {
        bytes
            .chunks(4096)
            .all(|piece| self.stream.blocking_write_and_flush(piece).is_ok())
    }

    /// Send the end.
    pub fn finish(self) {
        let Self { body, stream } = self;
        drop(stream);
        let _ = OutgoingBody::finish(body, None);
    }
}
