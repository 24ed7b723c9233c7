//! A request's bytes to a [`Call`], or to a refusal in the binding's own words.

use std::borrow::Cow;

use bytes::Bytes;

use crate::call::{Call, Failure, FailureKind, Operation, Payload, Target, TaskCall};
use crate::head::RequestHead;
use crate::json;
use crate::message;
use crate::path::{Refusal, Route, What, accepts};
use crate::query;
use crate::reply::ReplyShape;
use crate::{jsonrpc, rest};

/// A request that was understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrived {
    /// What it wants.
    pub call: Call,
    /// How to answer it.
    pub reply: ReplyShape,
}

/// Reads a whole request.
///
/// A refusal says nothing about whether the caller may ask; the listener
/// verifies identity before it sends one.
///
/// # Errors
/// Any kind from `Malformed` to `VersionNotSupported`, and `UnknownAgent` for a
/// name no agent can have, in the words of the binding.
pub fn decode(head: &RequestHead<'_>, body: Bytes) -> Result<Arrived, Refusal> {
    let route = accepts(head.method, head.path)?;
    if matches!(route.what, What::JsonRpc) {
        let (operation, reply) = jsonrpc::decode(head, &body)?;
        return Ok(arrived(head, route.target, operation, reply));
    }
    let reply = route.reply();
    match operation(head, &route, &body) {
        Ok(operation) => Ok(arrived(head, route.target, operation, reply)),
        Err(failure) => Err(Refusal::new(failure, reply)),
    }
}

fn arrived(
    head: &RequestHead<'_>,
    target: Target,
    operation: Operation,
    reply: ReplyShape,
) -> Arrived {
    let (traceparent, extensions) = (head.traceparent(), head.extensions());
    Arrived {
        call: Call {
            target,
            operation,
            traceparent,
            extensions,
        },
        reply,
    }
}

fn operation(
    head: &RequestHead<'_>,
    route: &Route<'_>,
    body: &Bytes,
) -> Result<Operation, Failure> {
    match &route.what {
        What::Card => Ok(Operation::Card),
        What::Send => http_json_message(head, body).map(Operation::SendMessage),
        What::Stream => http_json_message(head, body).map(Operation::StreamMessage),
        What::GetTask(id) => {
            head.check_version()?;
            message::check_id("id", id)?;
            let params = params_of_query(id, head.query.unwrap_or_default())?;
            let task_id = id.clone().into_owned();
            Ok(Operation::GetTask(TaskCall { task_id, params }))
        }
        What::CancelTask(id) => {
            head.check_version()?;
            cancel(head, id, body).map(Operation::CancelTask)
        }
        What::NotOffered(kind) => {
            head.check_version()?;
            Err(not_offered(*kind))
        }
        What::JsonRpc => Err(Failure::new(
            FailureKind::Internal,
            "a JSON-RPC request got lost",
        )),
        _ => rest::operation(head, route, body),
    }
}

/// The proper answer of A2A to an operation the mesh's card does not advertise.
pub(crate) fn not_offered(kind: FailureKind) -> Failure {
    match kind {
        FailureKind::PushNotSupported => {
            Failure::new(kind, "push notifications are not offered by this mesh")
                .hint("stream the task or poll it with GetTask")
        }
        _ => Failure::new(kind, "this operation is not offered by this mesh")
            .hint("SendMessage, SendStreamingMessage, GetTask and CancelTask are"),
    }
}

fn http_json_message(
    head: &RequestHead<'_>,
    body: &Bytes,
) -> Result<crate::call::Message, Failure> {
    head.check_version()?;
    head.check_content_type()?;
    let text = json::text(body).map_err(message::failure)?;
    message::message(body, text)
}

/// The body may be empty, or repeat the id, but not name another.
fn cancel(head: &RequestHead<'_>, id: &str, body: &Bytes) -> Result<TaskCall, Failure> {
    message::check_id("id", id)?;
    let text = json::text(body).map_err(message::failure)?.trim_ascii();
    if text.is_empty() {
        return Ok(TaskCall {
            task_id: id.to_owned(),
            params: with_id(id, "{}"),
        });
    }
    head.check_content_type()?;
    match message::task_id(text)? {
        None => Ok(TaskCall {
            task_id: id.to_owned(),
            params: with_id(id, text),
        }),
        Some(other) if other == id => {
            let params = Payload::trusted(body.slice_ref(text.as_bytes()));
            Ok(TaskCall {
                task_id: other,
                params,
            })
        }
        Some(_) => Err(
            message::invalid("`id` in the body is not the one in the path")
                .hint("leave `id` out of the body"),
        ),
    }
}

/// A request object with `id` in front of the members it has; `object` was
/// parsed, and has no `id` that says anything.
fn with_id(id: &str, object: &str) -> Payload {
    let rest: Vec<_> = serde_json::from_str::<json::Entries<'_>>(object)
        .map(|entries| entries.0)
        .unwrap_or_default()
        .into_iter()
        .filter(|(name, _)| name != "id")
        .collect();
    let mut members = vec![member("id", &quoted(id))];
    members.extend(rest.iter().map(|(name, value)| member(name, value.get())));
    object_of(&members)
}

/// `GetTaskRequest` from path and query. Everything but the numbers A2A names is
/// a string, as ProtoJSON allows.
fn params_of_query(id: &str, query: &str) -> Result<Payload, Failure> {
    let mut members = vec![member("id", &quoted(id))];
    let mut seen: Vec<Cow<'_, str>> = Vec::new();
    for pair in query::pairs(query) {
        let (name, value) =
            pair.ok_or_else(|| message::invalid("the query holds a broken percent-escape"))?;
        if name.eq_ignore_ascii_case(crate::head::VERSION_HEADER) {
            continue;
        }
        let twice = seen.contains(&name);
        for known in ["id", "tenant", "historyLength"] {
            if (known != name && json::looks_like(&name, known)) || (known == name && twice) {
                let found = json::clip(&name, 64);
                return Err(
                    message::invalid(format!("`{found}` in the query is ambiguous"))
                        .hint(format!("give `{known}` once, by that name")),
                );
            }
        }
        match name.as_ref() {
            "id" => return Err(message::invalid("`id` belongs in the path, not the query")),
            "tenant" if value.is_empty() => continue,
            "tenant" => {
                return Err(message::invalid("`tenant` is not offered by this mesh"));
            }
            "historyLength" => {
                let length: i32 = value.parse().map_err(|_| {
                    message::invalid("`historyLength` must be a 32-bit whole number")
                })?;
                members.push(member(&name, &length.to_string()));
            }
            _ => members.push(member(&name, &quoted(&value))),
        }
        seen.push(name);
    }
    Ok(object_of(&members))
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn member(name: &str, value: &str) -> String {
    format!("{}:{value}", quoted(name))
}

fn object_of(members: &[String]) -> Payload {
    Payload::trusted(Bytes::from(format!("{{{}}}", members.join(","))))
}
