//! A2A over JSON-RPC 2.0. Source: A2A 1.0.1 §9, JSON-RPC 2.0 §4.

use std::borrow::Cow;

use bytes::Bytes;
use serde::de::MapAccess;
use serde_json::value::RawValue;

use crate::call::{Failure, FailureKind, Operation, Payload};
use crate::decode::not_offered;
use crate::head::RequestHead;
use crate::json::{self, Broken};
use crate::members::{Fault, Members};
use crate::message;
use crate::path::Refusal;
use crate::reply::{ReplyBinding, ReplyShape};

/// Bytes of a request id, at most: it is repeated in every event of a stream.
pub const REQUEST_ID_BYTES_MAX: usize = 512;

/// Reads a request object.
pub(crate) fn decode(
    head: &RequestHead<'_>,
    body: &Bytes,
) -> Result<(Operation, ReplyShape), Refusal> {
    let refuse = |failure| Refusal::rpc(failure, None);
    head.check_content_type().map_err(refuse)?;
    let text = json::text(body).map_err(message::failure).map_err(refuse)?;
    let mut envelope = Envelope::default();
    let read = json::read(text, &mut envelope);
    if matches!(read, Err(Broken::Fault(_))) && text.trim_ascii_start().starts_with('[') {
        return Err(refuse(
            invalid("batches are not taken by A2A").hint("send each request by itself"),
        ));
    }
    read.map_err(envelope_failure).map_err(refuse)?;
    let id = request_id(envelope.id).map_err(refuse)?;
    match operation(head, &envelope, body) {
        Ok(operation) => {
            let stream = matches!(operation, Operation::StreamMessage(_));
            let binding = ReplyBinding::JsonRpc {
                id: Payload::trusted(id),
            };
            Ok((operation, ReplyShape { binding, stream }))
        }
        Err(failure) => Err(Refusal::rpc(failure, Some(id))),
    }
}

fn operation(
    head: &RequestHead<'_>,
    envelope: &Envelope<'_>,
    body: &Bytes,
) -> Result<Operation, Failure> {
    let version = envelope.jsonrpc.and_then(json::string);
    if version.as_deref() != Some("2.0") {
        return Err(invalid("`jsonrpc` must be the string `2.0`"));
    }
    let method: Cow<'_, str> = envelope
        .method
        .and_then(json::string)
        .filter(|method| !method.is_empty())
        .ok_or_else(|| invalid("`method` must be a string, and not empty"))?;
    head.check_version()?;
    let params = envelope.params.map(RawValue::get);
    let required = || match params {
        None => Err(message::invalid("`params` is missing")),
        Some(params) if params.starts_with('{') => Ok(params),
        Some(_) => Err(message::invalid("`params` must be an object")
            .hint("A2A takes its parameters by name: {\"message\": …} or {\"id\": …}")),
    };
    match method.as_ref() {
        "SendMessage" => message::message(body, required()?).map(Operation::SendMessage),
        "SendStreamingMessage" => message::message(body, required()?).map(Operation::StreamMessage),
        "GetTask" => message::task_call(body, required()?).map(Operation::GetTask),
        "CancelTask" => message::task_call(body, required()?).map(Operation::CancelTask),
        "ListTasks" | "SubscribeToTask" | "GetExtendedAgentCard" => {
            Err(not_offered(FailureKind::Unsupported))
        }
        "CreateTaskPushNotificationConfig"
        | "GetTaskPushNotificationConfig"
        | "ListTaskPushNotificationConfigs"
        | "DeleteTaskPushNotificationConfig" => Err(not_offered(FailureKind::PushNotSupported)),
        other => {
            let message = format!("no such method: `{}`", json::clip(other, 64));
            let failure = Failure::new(FailureKind::UnknownMethod, message);
            Err(match current_name(other) {
                Some(name) => failure.hint(format!("in A2A 1.0 this is `{name}`")),
                None => failure.hint("SendMessage, SendStreamingMessage, GetTask, CancelTask"),
            })
        }
    }
}

/// A2A 0.3's name of a method, as 1.0 calls it.
fn current_name(old: &str) -> Option<&'static str> {
    match old {
        "message/send" => Some("SendMessage"),
        "message/stream" => Some("SendStreamingMessage"),
        "tasks/get" => Some("GetTask"),
        "tasks/cancel" => Some("CancelTask"),
        _ => None,
    }
}

/// The id as it came, copied so that a long stream does not hold the body.
fn request_id(raw: Option<&RawValue>) -> Result<Bytes, Failure> {
    let Some(raw) = raw else {
        return Err(
            invalid("`id` is missing").hint("A2A has no notifications; give every request an id")
        );
    };
    let text = raw.get();
    let fits = match text.as_bytes().first() {
        Some(b'"' | b'-' | b'0'..=b'9') => true,
        _ => json::is_null(raw),
    };
    if !fits {
        return Err(invalid("`id` must be a string, a number or null"));
    }
    if text.len() > REQUEST_ID_BYTES_MAX {
        return Err(invalid(format!(
            "`id` is longer than {REQUEST_ID_BYTES_MAX} bytes"
        )));
    }
    Ok(Bytes::copy_from_slice(text.as_bytes()))
}

fn envelope_failure(broken: Broken) -> Failure {
    match broken {
        Broken::Syntax(detail) => message::malformed(&detail),
        Broken::Fault(fault) => invalid(message::sentence(&fault)),
    }
}

fn invalid(message: impl Into<String>) -> Failure {
    Failure::new(FailureKind::InvalidRequest, message)
}

#[derive(Default)]
struct Envelope<'de> {
    jsonrpc: Option<&'de RawValue>,
    id: Option<&'de RawValue>,
    method: Option<&'de RawValue>,
    params: Option<&'de RawValue>,
}

impl<'de> Members<'de> for Envelope<'de> {
    const AT: &'static str = "";
    const NAMES: &'static [&'static str] = &["jsonrpc", "id", "method", "params"];

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
            2 => self.method = raw,
            _ => self.params = raw,
        }
        Ok(())
    }
}
