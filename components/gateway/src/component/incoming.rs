//! The caller's request: its head as the codecs take it, its body within bounds.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use spin_sdk::http::IncomingRequest;

use super::wait::{Broke, Reader, within};
use crate::call::Failure;
use crate::door;
use crate::head::RequestHead;
use crate::setup::Setup;

/// Everything of a request but its body.
pub struct Head {
    pub method: Method,
    pub headers: HeaderMap,
    /// Path and query as received.
    target: String,
    /// Host and port that the caller used.
    host: Option<String>,
}

impl Head {
    pub fn of(request: &IncomingRequest) -> Self {
        let method = request.method().to_string();
        let mut headers = HeaderMap::new();
        for (name, value) in request.headers().entries() {
            let name = HeaderName::from_bytes(name.as_bytes());
            let value = HeaderValue::from_bytes(&value);
            // The runtime has parsed them once; what is no header is none.
            if let (Ok(name), Ok(value)) = (name, value) {
                headers.append(name, value);
            }
        }
        Self {
            // What is no method is one that no path takes.
            method: method.parse().unwrap_or(Method::TRACE),
            headers,
            target: request.path_with_query().unwrap_or_default(),
            host: request.authority(),
        }
    }

    pub fn path(&self) -> &str {
        let path = self.target.split('?').next().unwrap_or_default();
        if path.is_empty() { "/" } else { path }
    }

    pub fn borrow(&self) -> RequestHead<'_> {
        RequestHead {
            method: &self.method,
            path: self.path(),
            query: self.target.split_once('?').map(|(_, query)| query),
            headers: &self.headers,
        }
    }

    pub fn base_url(&self, setup: &Setup, otherwise: &str) -> String {
        door::base_url(setup.public_url.as_deref(), self.host.as_deref(), otherwise)
    }
}

/// Reads a whole body of at most `max` bytes. What is beyond is read too and
/// thrown away, within bounds, before that is said.
pub async fn body(request: IncomingRequest, max: usize) -> Result<Bytes, Failure> {
    let reader = request.consume().ok().and_then(Reader::new);
    let Some(mut reader) = reader else {
        return Err(door::broke_off());
    };
    match within(door::BODY_TIMEOUT, whole(&mut reader, max)).await {
        Some(Ok(body)) => Ok(Bytes::from(body)),
        Some(Err(Unread::TooLong)) => {
            within(door::DRAIN_TIMEOUT, drain(&mut reader)).await;
            Err(door::too_large(max))
        }
        Some(Err(Unread::Broken)) => Err(door::broke_off()),
        None => Err(door::too_slow()),
    }
}

/// Why a body was not read.
enum Unread {
    TooLong,
    Broken,
}

async fn whole(reader: &mut Reader, max: usize) -> Result<Vec<u8>, Unread> {
    let mut body = Vec::new();
    while let Some(bytes) = reader.next().await.map_err(|Broke| Unread::Broken)? {
        if body.len() + bytes.len() > max {
            return Err(Unread::TooLong);
        }
        if body.is_empty() {
            body = bytes;
        } else {
            body.extend_from_slice(&bytes);
        }
    }
    Ok(body)
}

/// Reads on and throws away.
async fn drain(reader: &mut Reader) {
    let mut left = door::DRAIN_BYTES_MAX;
    while let Ok(Some(bytes)) = reader.next().await {
        left = match left.checked_sub(bytes.len()) {
            Some(left) => left,
            None => return,
        };
    }
}
