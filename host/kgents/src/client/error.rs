//! What can go wrong between a command and the mesh, and what the mesh itself
//! refused, in its words.

use std::path::PathBuf;

use http::StatusCode;
use kgents_gateway::call::FailureKind;
use serde_json::Value;

use crate::exit::{Exit, Failure};

/// A command could not get its answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No mesh runs on this data folder.
    #[error("no mesh is running on `{}`", .0.display())]
    NotRunning(PathBuf),
    /// One ran, and was killed.
    #[error("the mesh that ran on `{}` (process {pid}) is gone", data_dir.display())]
    Gone {
        /// The data folder.
        data_dir: PathBuf,
        /// The process it was.
        pid: u32,
    },
    /// It serves gateways only.
    #[error("the mesh at {url} has no public listener: it was started with --gateway-only")]
    GatewayOnly {
        /// Its address.
        url: String,
    },
    /// run.json cannot be read.
    #[error("`{}` cannot be read: {why}", path.display())]
    RunFile {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The data folder cannot be made.
    #[error("the data folder `{}` cannot be made", path.display())]
    DataDir {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The mesh's key cannot be used to make a token.
    #[error("no token can be made")]
    Token(#[source] kgents_mesh::identity::Error),
    /// The connection could not be made, or broke.
    #[error("the mesh at {url} does not answer")]
    Unreachable {
        /// Its address.
        url: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The mesh took longer than a command waits.
    #[error("the mesh at {url} has not answered within {seconds} s")]
    Late {
        /// Its address.
        url: String,
        /// How long was waited.
        seconds: u64,
    },
    /// What came back is not what this version understands.
    #[error("the mesh answered something else than expected: {0}")]
    Malformed(String),
    /// The mesh, or the agent, said no.
    #[error("{}", .0.message)]
    Refused(Refusal),
}

/// A refusal of the mesh or an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The ErrorInfo's reason, for example `DENIED`; else the HTTP status or the
    /// JSON-RPC code.
    pub reason: String,
    /// In the mesh's words.
    pub message: String,
    /// What to do about it, if the mesh says.
    pub hint: Option<String>,
    /// How the command ends.
    pub exit: Exit,
    /// The HTTP status it came with.
    pub status: u16,
}

impl Refusal {
    /// Reads a JSON-RPC error or a google.rpc.Status, whichever `body` is.
    pub fn read(status: StatusCode, body: &[u8]) -> Option<Self> {
        let answer: Value = serde_json::from_slice(body).ok()?;
        let error = answer.get("error")?;
        let details = error.get("data").or_else(|| error.get("details"));
        let info = details
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .find(|detail| {
                let kind = detail.get("@type").and_then(Value::as_str);
                kind == Some("type.googleapis.com/google.rpc.ErrorInfo")
            });
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let reason = text(info.and_then(|info| info.get("reason")));
        let exit = match reason.as_deref().and_then(kind_of) {
            Some(kind) => exit_of_kind(kind),
            None => exit_of_status(status),
        };
        let code = || {
            error
                .get("code")
                .map_or_else(|| status.as_u16().to_string(), Value::to_string)
        };
        Some(Self {
            message: text(error.get("message"))
                .unwrap_or_else(|| format!("it failed with {status}")),
            hint: text(info.and_then(|info| info.pointer("/metadata/hint"))),
            reason: reason.unwrap_or_else(code),
            exit,
            status: status.as_u16(),
        })
    }

    /// For an answer whose body says nothing that is understood.
    pub fn bare(status: StatusCode) -> Self {
        Self {
            reason: status.as_u16().to_string(),
            message: format!("the mesh answered {status}"),
            hint: None,
            exit: exit_of_status(status),
            status: status.as_u16(),
        }
    }
}

/// The kind whose stable code this is.
fn kind_of(reason: &str) -> Option<FailureKind> {
    FailureKind::ALL
        .into_iter()
        .find(|kind| kind.code() == reason)
}

/// How a command ends by what the mesh said; exhaustive, so that a new kind
/// needs a decision here.
const fn exit_of_kind(kind: FailureKind) -> Exit {
    use FailureKind as K;
    match kind {
        K::Unauthenticated | K::Denied => Exit::Denied,
        K::NobodyFound => Exit::NobodyFound,
        K::Unreachable | K::TimedOut | K::Unavailable => Exit::Unavailable,
        K::Malformed
        | K::InvalidRequest
        | K::UnknownMethod
        | K::InvalidParams
        | K::TooLarge
        | K::MethodNotAllowed
        | K::TaskNotFound
        | K::TaskNotCancelable
        | K::PushNotSupported
        | K::Unsupported
        | K::ContentType
        | K::InvalidAgentResponse
        | K::NoExtendedCard
        | K::ExtensionRequired
        | K::VersionNotSupported
        | K::Agent
        | K::UnknownAgent
        | K::BudgetExhausted
        | K::Refused
        | K::Internal => Exit::Failed,
    }
}

fn exit_of_status(status: StatusCode) -> Exit {
    match status.as_u16() {
        401 | 403 => Exit::Denied,
        502..=504 => Exit::Unavailable,
        _ => Exit::Failed,
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let message = chain(&error);
        let check = "run `kgents check`";
        match error {
            Error::NotRunning(_) => Self::new(Exit::Unavailable, "NOT_RUNNING", message)
                .hint("start one with `kgents up`, or name its data folder with --data"),
            Error::Gone { .. } => Self::new(Exit::Unavailable, "NOT_RUNNING", message)
                .hint("start it again with `kgents up`"),
            Error::GatewayOnly { .. } => Self::new(Exit::Unavailable, "GATEWAY_ONLY", message)
                .hint(
                    "ask its gateway: curl GATEWAY/v1/agents -H \"Authorization: Bearer $(kgents token)\"",
                ),
            Error::RunFile { .. } => Self::new(Exit::Unavailable, "RUN_FILE", message).hint(check),
            Error::DataDir { .. } => Self::new(Exit::Failed, "DATA_DIR", message)
                .hint("name another folder with --data or KGENTS_DATA"),
            Error::Token(_) => Self::new(Exit::Failed, "TOKEN", message).hint(check),
            Error::Unreachable { .. } => {
                Self::new(Exit::Unavailable, "MESH_UNREACHABLE", message).hint(check)
            }
            Error::Late { .. } => Self::new(Exit::Unavailable, "MESH_LATE", message).hint(check),
            Error::Malformed(_) => Self::new(Exit::Failed, "MALFORMED_ANSWER", message).hint(
                "is the mesh of another version? compare `kgents --version` with `kgents check`",
            ),
            Error::Refused(refusal) => Self {
                code: refusal.reason,
                message: refusal.message,
                hint: refusal.hint,
                exit: refusal.exit,
            },
        }
    }
}

/// An error and its causes on one line, each only once.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn info(reason: &str) -> Value {
        json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason,
                "domain": "kgents.io", "metadata": {"hint": "do this"}}])
    }

    #[test]
    fn both_bindings_say_the_same_and_end_the_same() {
        for (reason, status, exit) in [
            ("UNAUTHENTICATED", 401, Exit::Denied),
            ("DENIED", 403, Exit::Denied),
            ("UNKNOWN_AGENT", 404, Exit::Failed),
            ("NOBODY_FOUND", 200, Exit::NobodyFound),
            ("BUDGET_EXHAUSTED", 429, Exit::Failed),
            ("UNREACHABLE", 200, Exit::Unavailable),
            ("TIMED_OUT", 504, Exit::Unavailable),
            ("UNAVAILABLE", 503, Exit::Unavailable),
            ("SOMETHING_NEW", 503, Exit::Unavailable),
            ("SOMETHING_NEW", 200, Exit::Failed),
        ] {
            let rpc = json!({"jsonrpc": "2.0", "id": 1,
                "error": {"code": -32051, "message": "no", "data": info(reason)}});
            let rest = json!({"error": {"code": 403, "status": "X", "message": "no", "details": info(reason)}});
            for body in [rpc, rest] {
                let status = StatusCode::from_u16(status).unwrap();
                assert_eq!(
                    Refusal::read(status, body.to_string().as_bytes()),
                    Some(Refusal {
                        reason: reason.into(),
                        message: "no".into(),
                        hint: Some("do this".into()),
                        exit,
                        status: status.as_u16(),
                    })
                );
            }
        }
    }

    #[test]
    fn an_error_without_details_keeps_its_number() {
        let refusal = Refusal::read(
            StatusCode::OK,
            br#"{"error":{"code":-32601,"message":"?"}}"#,
        );
        assert_eq!(refusal.unwrap().reason, "-32601");
        assert_eq!(Refusal::read(StatusCode::OK, b"<html>"), None);
        assert_eq!(Refusal::bare(StatusCode::FORBIDDEN).exit, Exit::Denied);
    }

    proptest! {
        #[test]
        fn no_body_makes_the_reader_panic(body in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Refusal::read(StatusCode::OK, &body);
        }

        #[test]
        fn no_error_object_makes_the_reader_panic(value in "[\\[\\]{}\",:a-z0-9@]{0,30}") {
            let _ = Refusal::read(StatusCode::OK, format!("{{\"error\":{value}}}").as_bytes());
        }
    }
}
