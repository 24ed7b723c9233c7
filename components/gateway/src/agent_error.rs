//! What an agent's failure means: its own error, in either binding's form, or
//! what an HTTP status tells about the way to it.

use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::call::{AgentError, Failure, FailureKind, Payload};
use crate::json::{clip, is_null};
use crate::reply::ERROR_INFO;
use crate::table::{DOMAIN_A2A, code_of_rpc_name, kind_of_reason};

/// Characters of an agent's error message passed on, at most.
const MESSAGE_CHARS_MAX: usize = 2000;

/// An answer that is none.
pub(crate) fn invalid(message: impl Into<String>) -> Failure {
    Failure::new(FailureKind::InvalidAgentResponse, message)
}

/// An HTTP status without an A2A error behind it.
pub(crate) fn by_status(status: StatusCode) -> Failure {
    let code = status.as_u16();
    let (kind, message, hint) = match code {
        401 | 403 | 407 => (
            FailureKind::Unreachable,
            "the agent refuses the mesh's credentials",
            "set `credentials` of the agent's card",
        ),
        404 | 405 | 410 => (
            FailureKind::Unreachable,
            "nothing speaks A2A at the agent's URL",
            "check the interface's URL and binding in the agent's card",
        ),
        408 | 504 => (
            FailureKind::TimedOut,
            "something before the agent waited too long for it",
            "try again later",
        ),
        413 => (
            FailureKind::TooLarge,
            "the agent takes no message this large",
            "send less at once",
        ),
        429 | 502 | 503 => (
            FailureKind::Unreachable,
            "the agent is overloaded or down",
            "try again later",
        ),
        300..=399 => (
            FailureKind::Unreachable,
            "the agent's URL redirects, and redirects are not followed",
            "register the URL that it redirects to",
        ),
        _ => (
            FailureKind::InvalidAgentResponse,
            "the agent answered with a bare HTTP error",
            "look into the agent's log",
        ),
    };
    Failure::new(kind, format!("{message} (HTTP {code})"))
        .hint(hint)
        .fact("agentStatus", code.to_string())
}

/// A JSON-RPC error object.
pub(crate) fn rpc_failure(body: &Bytes, error: &RawValue) -> Failure {
    #[derive(Deserialize)]
    struct RpcError<'a> {
        code: i64,
        #[serde(default)]
        message: String,
        #[serde(borrow, default)]
        data: Option<&'a RawValue>,
    }
    let Ok(error) = serde_json::from_str::<RpcError<'_>>(error.get()) else {
        return invalid("the agent's `error` is no JSON-RPC error object");
    };
    let data = error
        .data
        .filter(|raw| !is_null(raw))
        .map(|raw| details(body, raw));
    own(error.code, &error.message, data)
}

/// A google.rpc.Status object, or RFC 9457 problem details as the official Rust
/// server sends.
pub(crate) fn status_failure(body: &Bytes, text: &str, status: StatusCode) -> Failure {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        error: Status<'a>,
    }
    #[derive(Deserialize)]
    struct Status<'a> {
        #[serde(default)]
        status: String,
        #[serde(default)]
        message: String,
        #[serde(borrow, default)]
        details: Option<&'a RawValue>,
    }
    let Ok(Answer { error }) = serde_json::from_str::<Answer<'_>>(text) else {
        return problem(text).unwrap_or_else(|| by_status(status));
    };
    let details_raw = error.details.filter(|raw| raw.get().starts_with('['));
    let code = details_raw
        .and_then(code_of_details)
        .unwrap_or_else(|| code_of_rpc_name(&error.status));
    own(
        code,
        &error.message,
        details_raw.map(|raw| details(body, raw)),
    )
}

fn problem(text: &str) -> Option<Failure> {
    #[derive(Deserialize)]
    struct Problem {
        #[serde(rename = "type")]
        kind: String,
        title: Option<String>,
        detail: Option<String>,
    }
    let problem: Problem = serde_json::from_str(text).ok()?;
    let name = problem
        .kind
        .rsplit('/')
        .next()?
        .replace('-', "_")
        .to_ascii_uppercase();
    let kind = kind_of_reason(&name)?;
    let message = problem.detail.or(problem.title).unwrap_or_default();
    Some(own(kind.words().rpc_code, &message, None))
}

fn own(code: i64, message: &str, data: Option<Payload>) -> Failure {
    let message = if message.is_empty() {
        format!("the agent answered error {code} and no message")
    } else {
        clip(message, MESSAGE_CHARS_MAX)
    };
    let mut failure = Failure::new(FailureKind::Agent, message);
    failure.agent_error = Some(Box::new(AgentError { code, data }));
    failure
}

/// Details as A2A wants them, an array of typed objects. Source: ProtoJSON, `Any`
/// of a well-known type.
fn details(body: &Bytes, raw: &RawValue) -> Payload {
    if raw.get().starts_with('[') {
        return Payload::trusted(body.slice_ref(raw.get().as_bytes()));
    }
    let text = format!(
        r#"[{{"@type":"type.googleapis.com/google.protobuf.Value","value":{}}}]"#,
        raw.get()
    );
    Payload::trusted(Bytes::from(text))
}

fn code_of_details(raw: &RawValue) -> Option<i64> {
    #[derive(Deserialize)]
    struct Info {
        #[serde(rename = "@type")]
        kind: String,
        reason: String,
        domain: String,
    }
    let details: Vec<&RawValue> = serde_json::from_str(raw.get()).ok()?;
    let infos = details
        .iter()
        .filter_map(|raw| serde_json::from_str::<Info>(raw.get()).ok());
    let ours = infos.filter(|info| info.kind == ERROR_INFO && info.domain == DOMAIN_A2A);
    ours.filter_map(|info| kind_of_reason(&info.reason))
        .map(|kind| kind.words().rpc_code)
        .next()
}
