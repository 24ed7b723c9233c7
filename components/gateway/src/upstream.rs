//! Towards an agent: an operation to a request of its binding, its answer back
//! to a payload. Answers are checked before anyone relies on them.

use std::collections::VecDeque;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde::de::MapAccess;
use serde_json::value::RawValue;

use crate::agent_error::{by_status, invalid, rpc_failure, status_failure};
use crate::call::{Failure, FailureKind, Operation, Payload};
use crate::facts::{self, Shape};
use crate::head::{A2A_VERSION, VERSION_HEADER};
use crate::interface::Binding;
use crate::json::{self, Broken};
use crate::members::{Fault, Members};
use crate::query;
use crate::reply::{A2A_JSON, JSON};
use crate::sse::Decoder;

/// Headers that every request to an agent carries.
pub const HEADERS: [(&str, &str); 1] = [(VERSION_HEADER, A2A_VERSION)];
/// Bytes of one event of an agent's stream, at most. An artifact chunk is rarely
/// above 1 MiB; more than this would be a way to exhaust the mesh.
pub const EVENT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A request to an agent, without credentials and hop headers.
#[derive(Clone, Debug, PartialEq)]
pub struct UpstreamRequest {
    /// The method.
    pub method: Method,
    /// The absolute URL.
    pub url: String,
    /// Of the body; `None` without one.
    pub content_type: Option<&'static str>,
    /// The `Accept` header.
    pub accept: &'static str,
    /// The body, empty for GET.
    pub body: Bytes,
    /// What to expect, for [`answer`] and [`Events`].
    pub expect: Expect,
}

/// What kind of answer belongs to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expect {
    binding: Binding,
    shape: Shape,
    rpc_id: u64,
}

/// Writes an operation as a request to an agent's interface at `url`; `rpc_id`
/// tells its JSON-RPC answer from others.
///
/// # Errors
/// `InvalidParams` for a task id that cannot stand in a path, `Internal` for an
/// operation that no agent is asked.
pub fn request(
    binding: Binding,
    url: &str,
    operation: &Operation,
    rpc_id: u64,
) -> Result<UpstreamRequest, Failure> {
    let (shape, params) = match operation {
        Operation::SendMessage(message) => (Shape::Message, &message.params),
        Operation::StreamMessage(message) => (Shape::Stream, &message.params),
        Operation::GetTask(task) | Operation::CancelTask(task) => (Shape::Task, &task.params),
        other => {
            let message = format!("`{}` is not an agent's to answer", other.name());
            return Err(Failure::new(FailureKind::Internal, message));
        }
    };
    let (method, url, body) = match binding {
        Binding::JsonRpc => (
            Method::POST,
            url.to_owned(),
            rpc_body(operation.name(), params, rpc_id),
        ),
        Binding::HttpJson => http_json(url, operation, params)?,
    };
    Ok(UpstreamRequest {
        content_type: (method == Method::POST).then_some(match binding {
            Binding::JsonRpc => JSON,
            Binding::HttpJson => A2A_JSON,
        }),
        accept: match (shape, binding) {
            (Shape::Stream, Binding::JsonRpc) => "text/event-stream, application/json",
            (Shape::Stream, Binding::HttpJson) => "text/event-stream, application/a2a+json",
            (_, Binding::JsonRpc) => JSON,
            (_, Binding::HttpJson) => "application/a2a+json, application/json",
        },
        method,
        url,
        body,
        expect: Expect {
            binding,
            shape,
            rpc_id,
        },
    })
}

fn rpc_body(method: &str, params: &Payload, rpc_id: u64) -> Bytes {
    let head = format!(r#"{{"jsonrpc":"2.0","id":{rpc_id},"method":"{method}","params":"#);
    Bytes::from([head.as_bytes(), params.as_bytes().as_ref(), b"}"].concat())
}

fn http_json(
    url: &str,
    operation: &Operation,
    params: &Payload,
) -> Result<(Method, String, Bytes), Failure> {
    let mut url = url.trim_end_matches('/').to_owned();
    let post = |url: String| Ok((Method::POST, url, params.as_bytes().clone()));
    match operation {
        Operation::StreamMessage(_) => post(url + "/message:stream"),
        Operation::CancelTask(task) => {
            push_task(&mut url, &task.task_id)?;
            post(url + ":cancel")
        }
        Operation::GetTask(task) => {
            push_task(&mut url, &task.task_id)?;
            push_query(&mut url, params);
            Ok((Method::GET, url, Bytes::new()))
        }
        _ => post(url + "/message:send"),
    }
}

/// Servers differ in whether they decode a path before they split it.
fn push_task(url: &mut String, task_id: &str) -> Result<(), Failure> {
    if task_id.contains(['/', '\\']) || matches!(task_id, "" | "." | "..") {
        return Err(Failure::new(
            FailureKind::InvalidParams,
            "`id` cannot stand in a path, and this agent takes ids there",
        ));
    }
    url.push_str("/tasks/");
    query::encode_into(url, task_id);
    Ok(())
}

/// The request object's members as query parameters. Objects have no form there
/// (A2A 1.0.1 §11.5) and GetTask has none; they are left out.
fn push_query(url: &mut String, params: &Payload) {
    let entries: json::Entries<'_> =
        serde_json::from_slice(params.as_bytes()).unwrap_or_else(|_| json::Entries(Vec::new()));
    let mut separator = '?';
    for (name, value) in &entries.0 {
        let scalar = match value.get().as_bytes().first() {
            Some(b'{' | b'[' | b'n') | None => continue,
            Some(b'"') => json::string(value),
            Some(_) => Some(value.get().into()),
        };
        if let Some(scalar) = scalar.filter(|_| !matches!(name.as_ref(), "id" | "tenant")) {
            url.push(separator);
            query::encode_into(url, name);
            url.push('=');
            query::encode_into(url, &scalar);
            separator = '&';
        }
    }
}

/// Reads a whole answer; also what a stream's request gets when the answer is
/// not an event stream.
///
/// # Errors
/// `Agent` for the agent's own error, `InvalidAgentResponse` for what is no
/// answer, `Unreachable`, `TimedOut` or `TooLarge` for what the HTTP status tells.
pub fn answer(
    expect: Expect,
    status: StatusCode,
    content_type: Option<&str>,
    body: Bytes,
) -> Result<Payload, Failure> {
    // Whatever the body says: the caller is not who was refused.
    if matches!(status.as_u16(), 401 | 403 | 407) {
        return Err(by_status(status));
    }
    let text = match json::text(&body) {
        Ok(text) => text.trim_ascii(),
        Err(_) if !status.is_success() => return Err(by_status(status)),
        Err(Broken::Syntax(detail)) => return Err(not_json(content_type, &detail)),
        Err(Broken::Fault(_)) => return Err(not_json(content_type, "ambiguous")),
    };
    match expect.binding {
        Binding::JsonRpc => match rpc_answer(expect, &body, text) {
            Err(failure) if failure.kind != FailureKind::Agent && !status.is_success() => {
                Err(by_status(status))
            }
            Err(_) if !looks_like_json(text) => Err(not_json(content_type, "it is no object")),
            other => other,
        },
        Binding::HttpJson if status.is_success() => {
            if !looks_like_json(text) {
                return Err(not_json(content_type, "it is no object"));
            }
            checked(expect.shape, &body, text)
        }
        Binding::HttpJson => Err(status_failure(&body, text, status)),
    }
}

fn looks_like_json(text: &str) -> bool {
    text.starts_with('{')
}

fn not_json(content_type: Option<&str>, detail: &str) -> Failure {
    let kind = json::clip(content_type.unwrap_or("no content type"), 64);
    invalid(format!("the agent's answer ({kind}) is not JSON: {detail}"))
}

fn checked(shape: Shape, body: &Bytes, text: &str) -> Result<Payload, Failure> {
    facts::check(text, shape).map_err(invalid)?;
    Ok(Payload::trusted(body.slice_ref(text.as_bytes())))
}

/// A JSON-RPC response object.
fn rpc_answer(expect: Expect, body: &Bytes, text: &str) -> Result<Payload, Failure> {
    let mut envelope = Response::default();
    json::read(text, &mut envelope).map_err(|broken| match broken {
        Broken::Syntax(detail) => invalid(format!("the agent's answer is not JSON: {detail}")),
        Broken::Fault(fault) => invalid(format!(
            "in the agent's answer, {}",
            crate::message::sentence(&fault)
        )),
    })?;
    if envelope.jsonrpc.and_then(json::string).as_deref() != Some("2.0") {
        return Err(invalid("the agent's answer is no JSON-RPC 2.0 response"));
    }
    let error = envelope.error.filter(|raw| !json::is_null(raw));
    let is_ours = envelope.id.is_some_and(|raw| is_id(raw, expect.rpc_id));
    // An agent that could not read the request cannot tell its id.
    let is_nameless = envelope.id.is_none_or(json::is_null) && error.is_some();
    if !is_ours && !is_nameless {
        return Err(invalid("the agent answered another request: `id` differs"));
    }
    match (envelope.result, error) {
        (Some(result), None) => checked(expect.shape, body, result.get()),
        (None, Some(error)) => Err(rpc_failure(body, error)),
        (None, None) => Err(invalid(
            "the agent's answer has neither `result` nor `error`",
        )),
        (Some(result), Some(error)) if json::is_null(result) => Err(rpc_failure(body, error)),
        (Some(_), Some(_)) => Err(invalid("the agent's answer has both `result` and `error`")),
    }
}

/// Agents that keep ids in a protobuf Value answer 7.0 for 7.
fn is_id(raw: &RawValue, rpc_id: u64) -> bool {
    let text = raw.get();
    text.strip_suffix(".0").unwrap_or(text).parse() == Ok(rpc_id)
}

#[derive(Default)]
struct Response<'de> {
    jsonrpc: Option<&'de RawValue>,
    id: Option<&'de RawValue>,
    result: Option<&'de RawValue>,
    error: Option<&'de RawValue>,
}

impl<'de> Members<'de> for Response<'de> {
    const AT: &'static str = "";
    const NAMES: &'static [&'static str] = &["jsonrpc", "id", "result", "error"];

    fn take<A: MapAccess<'de>>(
        &mut self,
        index: usize,
        map: &mut A,
        _fault: &mut Option<Fault>,
    ) -> Result<(), A::Error> {
        let raw = Some(map.next_value()?);
        match index {
            0 => self.jsonrpc = raw,
            1 => self.id = raw,
            2 => self.result = raw,
            _ => self.error = raw,
        }
        Ok(())
    }
}

/// The events of an agent's stream. `next` gives `None` while more bytes are
/// needed. The first failure is the last thing it gives.
#[derive(Debug)]
pub struct Events {
    expect: Expect,
    decoder: Decoder,
    ready: VecDeque<Result<Payload, Failure>>,
    failed: bool,
}

impl Events {
    /// For the answer to a request.
    #[must_use]
    pub fn new(expect: Expect) -> Self {
        Self {
            expect,
            decoder: Decoder::new(EVENT_BYTES_MAX),
            ready: VecDeque::new(),
            failed: false,
        }
    }

    /// Takes bytes as they come, cut anywhere.
    pub fn feed(&mut self, chunk: &[u8]) {
        if self.failed {
            return;
        }
        let (expect, ready, failed) = (self.expect, &mut self.ready, &mut self.failed);
        let fed = self.decoder.feed(chunk, |event| {
            if !*failed {
                let result = read_event(expect, event.is_error, &event.data);
                *failed = result.is_err();
                ready.push_back(result);
            }
        });
        if fed.is_err() {
            self.fail(invalid(format!(
                "an event of the agent is above {EVENT_BYTES_MAX} bytes"
            )));
        }
    }

    /// To be called when the stream ends; an event cut off by it is a failure.
    pub fn finish(&mut self) {
        if self.decoder.is_inside_event() {
            self.fail(invalid(
                "the agent's stream ended in the middle of an event",
            ));
        }
    }

    fn fail(&mut self, failure: Failure) {
        if !std::mem::replace(&mut self.failed, true) {
            self.ready.push_back(Err(failure));
        }
    }
}

impl Iterator for Events {
    type Item = Result<Payload, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        self.ready.pop_front()
    }
}

fn read_event(expect: Expect, is_error: bool, data: &Bytes) -> Result<Payload, Failure> {
    let text = json::text(data).map_err(|_| invalid("an event of the agent is not JSON"))?;
    match expect.binding {
        Binding::JsonRpc => rpc_answer(expect, data, text),
        // Servers that name no event put a bare error object into the stream.
        Binding::HttpJson if is_error || has_error(text) => Err(status_failure(
            data,
            text,
            StatusCode::INTERNAL_SERVER_ERROR,
        )),
        Binding::HttpJson => checked(expect.shape, data, text),
    }
}

fn has_error(text: &str) -> bool {
    serde_json::from_str::<json::Entries<'_>>(text)
        .is_ok_and(|entries| entries.0.iter().any(|(name, _)| name == "error"))
}
