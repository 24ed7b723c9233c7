//! The smallest Spin HTTP component: every request is answered `hello`. What a
//! request costs that does nothing is measured with it.

#![cfg(target_family = "wasm")]

use wasi::exports::http::incoming_handler::Guest;
use wasi::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};

/// What every request gets.
const ANSWER: &[u8] = b"hello\n";

struct Hello;

wasi::http::proxy::export!(Hello);

impl Guest for Hello {
    fn handle(_: IncomingRequest, out: ResponseOutparam) {
        let headers = Fields::new();
        // Neither can fail: the names are good and the value is short.
        let _ = headers.set(&"content-type".to_owned(), &[b"text/plain".to_vec()]);
        let response = OutgoingResponse::new(headers);
        if let Ok(body) = response.body() {
            if let Ok(stream) = body.write()
                && stream.check_write().is_ok()
            {
                let _ = stream.write(ANSWER);
            }
            // Finished before the head leaves, so that all leaves at once.
            let _ = OutgoingBody::finish(body, None);
        }
        ResponseOutparam::set(out, Ok(response));
    }
}
