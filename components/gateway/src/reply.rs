//! Answers in the words of the binding that asked.

use bytes::Bytes;
use http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize, Serializer};

use crate::call::{Failure, FailureKind, Payload};
use crate::table::Words;

/// Content type of JSON-RPC and REST.
pub const JSON: &str = "application/json";
/// Content type of the HTTP+JSON binding. Source: A2A 1.0.1 §11.1.
pub const A2A_JSON: &str = "application/a2a+json";
/// Content type of streams in both A2A bindings.
pub const EVENT_STREAM: &str = "text/event-stream";
/// Name of the fact that becomes a `Retry-After` header; whole seconds.
pub const RETRY_AFTER_FACT: &str = "retryAfterSeconds";
/// Name of the fact that becomes an `Allow` header.
pub(crate) const ALLOW_FACT: &str = "allow";

/// Type URL of google.rpc.ErrorInfo.
pub(crate) const ERROR_INFO: &str = "type.googleapis.com/google.rpc.ErrorInfo";

/// How to answer one request; the codec's note to itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReplyShape {
    /// The binding that asked.
    pub binding: ReplyBinding,
    /// Whether success is a stream of events.
    #[serde(default)]
    pub stream: bool,
}

/// Whose words an answer uses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplyBinding {
    /// A2A over JSON-RPC.
    JsonRpc {
        /// The request's id, raw; `null` where it could not be read.
        id: Payload,
    },
    /// A2A over HTTP+JSON.
    HttpJson,
    /// The mesh's own `/v1`.
    Rest,
    /// An agent card.
    Card,
}

/// One answer, ready for the wire.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoded {
    /// HTTP status.
    pub status: StatusCode,
    /// Of the body.
    pub content_type: &'static str,
    /// `WWW-Authenticate` with 401, `Allow` with 405, `Retry-After` where it is
    /// known; empty otherwise.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The whole body.
    pub body: Bytes,
}

impl ReplyShape {
    /// One answer in that binding.
    pub(crate) fn new(binding: ReplyBinding) -> Self {
        Self {
            binding,
            stream: false,
        }
    }

    /// JSON-RPC before an id is known.
    pub(crate) fn rpc_without_id() -> Self {
        Self::new(ReplyBinding::JsonRpc {
            id: Payload::trusted(Bytes::from_static(b"null")),
        })
    }

    /// A whole answer. Also how a stream that fails before its first event is
    /// answered.
    #[must_use]
    pub fn unary(&self, result: Result<&Payload, &Failure>) -> Encoded {
        match result {
            Ok(payload) => Encoded {
                status: StatusCode::OK,
                content_type: self.content_type(),
                headers: Vec::new(),
                body: match &self.binding {
                    ReplyBinding::JsonRpc { id } => Bytes::from(rpc_success(b"", id, payload, b"")),
                    _ => payload.as_bytes().clone(),
                },
            },
            Err(failure) => self.failed(failure),
        }
    }

    /// One Server-Sent Event.
    #[must_use]
    pub fn event(&self, result: Result<&Payload, &Failure>) -> Bytes {
        let mut frame = match (result, &self.binding) {
            (Ok(payload), ReplyBinding::JsonRpc { id }) => {
                rpc_success(b"data: ", id, payload, b"\n\n")
            }
            (Ok(payload), _) => [b"data: ", payload.as_bytes().as_ref(), b"\n\n"].concat(),
            (Err(failure), ReplyBinding::JsonRpc { id }) => {
                [b"data: ", rpc_error(id, failure).as_slice(), b"\n\n"].concat()
            }
            // A bare event that is no StreamResponse needs a name of its own:
            // clients that skip unknown members would read it as an empty one.
            (Err(failure), _) => [
                b"event: error\ndata: ",
                status_error(failure).as_slice(),
                b"\n\n",
            ]
            .concat(),
        };
        keep_on_one_line(&mut frame);
        Bytes::from(frame)
    }

    /// A comment that keeps an idle stream open; clients skip it.
    #[must_use]
    pub fn heartbeat(&self) -> Bytes {
        Bytes::from_static(b":\n\n")
    }

    /// Content type of a whole answer; a stream's is [`EVENT_STREAM`].
    #[must_use]
    pub fn content_type(&self) -> &'static str {
        match self.binding {
            ReplyBinding::HttpJson => A2A_JSON,
            _ => JSON,
        }
    }

    fn failed(&self, failure: &Failure) -> Encoded {
        let words = failure.words();
        let (status, body) = match &self.binding {
            ReplyBinding::JsonRpc { id } => (words.rpc_status, rpc_error(id, failure)),
            _ => (words.status, status_error(failure)),
        };
        Encoded {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            content_type: self.content_type(),
            headers: failure_headers(failure),
            body: Bytes::from(body),
        }
    }
}

fn failure_headers(failure: &Failure) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = Vec::new();
    if failure.kind == FailureKind::Unauthenticated {
        // RFC 6750 §3.
        headers.push((
            WWW_AUTHENTICATE,
            HeaderValue::from_static("Bearer realm=\"kgents\""),
        ));
    }
    for (name, value) in &failure.metadata {
        let header = match name.as_str() {
            RETRY_AFTER_FACT if value.parse::<u32>().is_ok() => RETRY_AFTER,
            ALLOW_FACT if failure.kind == FailureKind::MethodNotAllowed => ALLOW,
            _ => continue,
        };
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.push((header, value));
        }
    }
    headers
}

fn rpc_success(before: &[u8], id: &Payload, result: &Payload, after: &[u8]) -> Vec<u8> {
    [
        before,
        br#"{"jsonrpc":"2.0","id":"#,
        id.as_bytes(),
        br#","result":"#,
        result.as_bytes(),
        b"}",
        after,
    ]
    .concat()
}

/// Pretty-printed JSON may hold raw line ends, always as mere whitespace; in a
/// `data:` line they would end it. The frame's own two stay.
fn keep_on_one_line(frame: &mut [u8]) {
    let start = if frame.starts_with(b"event: error\n") {
        b"event: error\n".len()
    } else {
        0
    };
    let end = frame.len().saturating_sub(2);
    for byte in frame.get_mut(start..end).unwrap_or_default() {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
}

fn rpc_error(id: &Payload, failure: &Failure) -> Vec<u8> {
    let words = failure.words();
    to_vec(&RpcAnswer {
        jsonrpc: "2.0",
        id,
        error: RpcError {
            code: words.rpc_code,
            message: &failure.message,
            data: Details { words, failure },
        },
    })
}

fn status_error(failure: &Failure) -> Vec<u8> {
    let words = failure.words();
    to_vec(&StatusAnswer {
        error: Status {
            code: words.status,
            status: words.rpc_name,
            message: &failure.message,
            details: Details { words, failure },
        },
    })
}

fn to_vec<T: Serialize>(value: &T) -> Vec<u8> {
    Payload::of(value).as_bytes().to_vec()
}

#[derive(Serialize)]
struct RpcAnswer<'a> {
    jsonrpc: &'static str,
    id: &'a Payload,
    error: RpcError<'a>,
}

#[derive(Serialize)]
struct RpcError<'a> {
    code: i64,
    message: &'a str,
    data: Details<'a>,
}

#[derive(Serialize)]
struct StatusAnswer<'a> {
    error: Status<'a>,
}

#[derive(Serialize)]
struct Status<'a> {
    code: u16,
    status: &'static str,
    message: &'a str,
    details: Details<'a>,
}

/// The array of typed details: the agent's own, and our ErrorInfo unless the
/// agent gave one.
struct Details<'a> {
    words: Words,
    failure: &'a Failure,
}

impl Serialize for Details<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let agent = self
            .failure
            .agent_error
            .as_ref()
            .and_then(|error| error.data.as_ref());
        let theirs: Vec<&serde_json::value::RawValue> = agent
            .and_then(|data| serde_json::from_slice(data.as_bytes()).ok())
            .unwrap_or_default();
        let has_info = theirs.iter().any(|detail| {
            serde_json::from_str::<TypeOnly>(detail.get())
                .is_ok_and(|detail| detail.kind == ERROR_INFO)
        });
        let info = (!has_info).then_some(ErrorInfo {
            kind: ERROR_INFO,
            reason: self.words.reason,
            domain: self.words.domain,
            metadata: Facts(self.failure),
        });
        serializer.collect_seq(
            info.iter()
                .map(Detail::Ours)
                .chain(theirs.iter().copied().map(Detail::Theirs)),
        )
    }
}

#[derive(Deserialize)]
struct TypeOnly {
    #[serde(rename = "@type")]
    kind: String,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Detail<'a> {
    Ours(&'a ErrorInfo<'a>),
    Theirs(&'a serde_json::value::RawValue),
}

#[derive(Serialize)]
struct ErrorInfo<'a> {
    #[serde(rename = "@type")]
    kind: &'static str,
    reason: &'static str,
    domain: &'static str,
    metadata: Facts<'a>,
}

/// Facts and hint as the ErrorInfo's map of strings; the last of one name wins.
struct Facts<'a>(&'a Failure);

impl Serialize for Facts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let facts = &self.0.metadata;
        let hint = self.0.hint.as_deref().or_else(|| self.0.kind.hint());
        let hint = hint.map(|hint| ("hint", hint));
        let pairs = facts
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .chain(hint);
        let unique: std::collections::BTreeMap<&str, &str> = pairs.collect();
        unique.serialize(serializer)
    }
}
