//! The A2A request objects: what the mesh reads of them, and nothing more. The
//! rest passes raw. Source: A2A 1.0.1, SendMessageRequest, GetTaskRequest,
//! CancelTaskRequest.

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::call::{Failure, FailureKind, Message, Payload, TaskCall};
use crate::json::{self, Broken};
use crate::members::Fault;
use crate::params::{SendParams, TaskParams};

/// Bytes of a task, context or message id, at most. Ids are keys of our stores
/// and stand in audit events; a UUID has 36.
pub const ID_BYTES_MAX: usize = 256;

/// Reads a `SendMessageRequest`. `text` is a slice of `body` or all of it.
pub(crate) fn message(body: &Bytes, text: &str) -> Result<Message, Failure> {
    let mut params = SendParams::default();
    json::read(text, &mut params).map_err(failure)?;
    refuse_tenant(params.tenant)?;
    if params
        .configuration
        .push
        .is_some_and(|raw| !json::is_null(raw))
    {
        return Err(Failure::new(
            FailureKind::PushNotSupported,
            "`configuration.taskPushNotificationConfig` is not offered by this mesh",
        )
        .hint("leave it out, and stream or poll the task"));
    }
    let message = params.message;
    if !params.has_message {
        return Err(missing("message"));
    }
    let message_id = required_id("message.messageId", message.message_id)?;
    role(message.role)?;
    if message.parts.count == 0 {
        return Err(missing("message.parts").hint("give at least one part"));
    }
    if let Some(at) = message.parts.crowded {
        return Err(invalid(format!(
            "`message.parts[{at}]` holds more than one of text, raw, url and data"
        )));
    }
    Ok(Message {
        params: Payload::trusted(body.slice_ref(text.as_bytes())),
        text: message.parts.text,
        data: message
            .parts
            .data
            .map(|raw| Payload::trusted(body.slice_ref(raw.get().as_bytes()))),
        task_id: optional_id("message.taskId", message.task_id)?,
        context_id: optional_id("message.contextId", message.context_id)?,
        message_id,
        reference_task_ids: reference_ids(message.references)?,
    })
}

/// Reads a `GetTaskRequest` or `CancelTaskRequest`.
pub(crate) fn task_call(body: &Bytes, text: &str) -> Result<TaskCall, Failure> {
    let task_id = task_id(text)?.ok_or_else(|| missing("id"))?;
    Ok(TaskCall {
        task_id,
        params: Payload::trusted(body.slice_ref(text.as_bytes())),
    })
}

/// The `id` in a task request, if it has one.
pub(crate) fn task_id(text: &str) -> Result<Option<String>, Failure> {
    let mut params = TaskParams::default();
    json::read(text, &mut params).map_err(failure)?;
    refuse_tenant(params.tenant)?;
    optional_id("id", params.id)
}

/// A document that was not read, as the failure of the request.
pub(crate) fn failure(broken: Broken) -> Failure {
    match broken {
        Broken::Syntax(detail) => malformed(&detail),
        Broken::Fault(fault) => {
            let failure = Failure::new(FailureKind::InvalidParams, sentence(&fault));
            match fault {
                Fault::Kind {
                    at: "", name: "", ..
                } => failure.hint("send one JSON object"),
                Fault::Kind { .. } => failure,
                Fault::Duplicate { .. } | Fault::Lookalike { .. } => {
                    failure.hint("every member that matters may have exactly one meaning")
                }
            }
        }
    }
}

/// Bytes that are not JSON.
pub(crate) fn malformed(detail: &str) -> Failure {
    Failure::new(
        FailureKind::Malformed,
        format!("the body is not JSON: {detail}"),
    )
    .hint("send one UTF-8 JSON value")
}

/// A fault as a sentence that names the field.
pub(crate) fn sentence(fault: &Fault) -> String {
    let path = |at: &str, name: &str| match (at, name) {
        ("", "") => "the body".to_owned(),
        ("", only) | (only, "") => format!("`{only}`"),
        (at, name) => format!("`{at}.{name}`"),
    };
    match fault {
        Fault::Duplicate { at, name } => format!("{} is given twice", path(at, name)),
        Fault::Lookalike { at, name, found } => {
            format!("{} can be taken for {}", path(at, found), path(at, name))
        }
        Fault::Kind { at, name, wanted } => format!("{} must be {wanted}", path(at, name)),
    }
}

/// A field that does not fit.
pub(crate) fn invalid(message: impl Into<String>) -> Failure {
    Failure::new(FailureKind::InvalidParams, message)
}

fn missing(field: &str) -> Failure {
    invalid(format!("`{field}` is missing or empty")).fact("field", field)
}

/// An agent behind the mesh may keep tenants apart by this field, and would
/// trust the mesh with it; until the mesh has tenants nobody may choose one.
fn refuse_tenant(tenant: Option<&RawValue>) -> Result<(), Failure> {
    match tenant {
        Some(raw) if !json::is_null(raw) && raw.get() != "\"\"" => {
            Err(invalid("`tenant` is not offered by this mesh").hint("leave `tenant` out"))
        }
        _ => Ok(()),
    }
}

fn role(raw: Option<&RawValue>) -> Result<(), Failure> {
    let Some(raw) = raw.filter(|raw| !json::is_null(raw)) else {
        return Err(missing("message.role").hint("a caller's role is `ROLE_USER`"));
    };
    match json::string(raw).as_deref() {
        Some("") => Err(missing("message.role").hint("a caller's role is `ROLE_USER`")),
        Some(_) => Ok(()),
        None => Err(invalid("`message.role` must be a string")),
    }
}

fn required_id(field: &'static str, raw: Option<&RawValue>) -> Result<String, Failure> {
    optional_id(field, raw)?.ok_or_else(|| missing(field))
}

/// ProtoJSON does not tell an empty string from an absent one; nor do we.
fn optional_id(field: &'static str, raw: Option<&RawValue>) -> Result<Option<String>, Failure> {
    let Some(raw) = raw.filter(|raw| !json::is_null(raw)) else {
        return Ok(None);
    };
    let id = json::string(raw)
        .ok_or_else(|| invalid(format!("`{field}` must be a string")).fact("field", field))?;
    check_id(field, &id)?;
    Ok((!id.is_empty()).then(|| id.into_owned()))
}

/// An id that can stand in a log, a key and a path.
pub(crate) fn check_id(field: &str, id: &str) -> Result<(), Failure> {
    if id.len() > ID_BYTES_MAX {
        return Err(invalid(format!(
            "`{field}` is longer than {ID_BYTES_MAX} bytes"
        )));
    }
    if id.chars().any(char::is_control) {
        return Err(invalid(format!("`{field}` holds a control character")));
    }
    Ok(())
}

fn reference_ids(raw: Option<&RawValue>) -> Result<Vec<String>, Failure> {
    const FIELD: &str = "message.referenceTaskIds";
    let Some(raw) = raw.filter(|raw| !json::is_null(raw)) else {
        return Ok(Vec::new());
    };
    let ids: Vec<String> = serde_json::from_str(raw.get())
        .map_err(|_| invalid(format!("`{FIELD}` must be an array of strings")))?;
    for id in &ids {
        check_id(FIELD, id)?;
    }
    Ok(ids)
}
