//! The one table of what every failure is called: JSON-RPC code, HTTP status,
//! google.rpc status and ErrorInfo reason.
//! Source: A2A 1.0.1 §5.4 for its own errors; JSON-RPC 2.0 §5.1; for the mesh's
//! kinds our decision, in the range JSON-RPC leaves to servers.

use crate::call::{Failure, FailureKind};

/// Names of one kind of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words {
    /// JSON-RPC `error.code`.
    pub rpc_code: i64,
    /// HTTP status of the JSON-RPC binding; 200 unless infrastructure between
    /// caller and mesh has to see it.
    pub rpc_status: u16,
    /// HTTP status of the HTTP+JSON binding and REST.
    pub status: u16,
    /// `error.status` of google.rpc.Status.
    pub rpc_name: &'static str,
    /// `reason` of the ErrorInfo, and the failure's stable code.
    pub reason: &'static str,
    /// `domain` of the ErrorInfo.
    pub domain: &'static str,
}

/// Domain of A2A's own reasons. Source: A2A 1.0.1 §11.6.
pub const DOMAIN_A2A: &str = "a2a-protocol.org";
/// Domain of the mesh's reasons.
pub const DOMAIN_MESH: &str = "kgents.io";

/// The google.rpc name of most of A2A's own errors.
const PRECONDITION: &str = "FAILED_PRECONDITION";

const fn words(
    rpc_code: i64,
    rpc_status: u16,
    status: u16,
    rpc_name: &'static str,
    reason: &'static str,
) -> Words {
    Words {
        rpc_code,
        rpc_status,
        status,
        rpc_name,
        reason,
        domain: DOMAIN_A2A,
    }
}

const fn own(mut words: Words) -> Words {
    words.domain = DOMAIN_MESH;
    words
}

impl FailureKind {
    /// Every kind, in the order of the enum.
    pub const ALL: [Self; 26] = [
        Self::Malformed,
        Self::InvalidRequest,
        Self::UnknownMethod,
        Self::InvalidParams,
        Self::TooLarge,
        Self::MethodNotAllowed,
        Self::TaskNotFound,
        Self::TaskNotCancelable,
        Self::PushNotSupported,
        Self::Unsupported,
        Self::ContentType,
        Self::InvalidAgentResponse,
        Self::NoExtendedCard,
        Self::ExtensionRequired,
        Self::VersionNotSupported,
        Self::Agent,
        Self::Unauthenticated,
        Self::Denied,
        Self::UnknownAgent,
        Self::NobodyFound,
        Self::BudgetExhausted,
        Self::Unreachable,
        Self::TimedOut,
        Self::Unavailable,
        Self::Refused,
        Self::Internal,
    ];

    /// What this kind is called in every binding.
    #[must_use]
    #[rustfmt::skip] // one row a kind
    pub const fn words(self) -> Words {
        match self {
            Self::Malformed => words(-32700, 200, 400, "INVALID_ARGUMENT", "JSON_PARSE"),
            Self::InvalidRequest => words(-32600, 200, 400, "INVALID_ARGUMENT", "INVALID_REQUEST"),
            Self::UnknownMethod => words(-32601, 200, 404, "NOT_FOUND", "METHOD_NOT_FOUND"),
            Self::InvalidParams => words(-32602, 200, 400, "INVALID_ARGUMENT", "INVALID_PARAMS"),
            Self::TooLarge => own(words(-32600, 413, 413, "RESOURCE_EXHAUSTED", "REQUEST_TOO_LARGE")),
            Self::MethodNotAllowed => own(words(-32601, 405, 405, "UNIMPLEMENTED", "METHOD_NOT_ALLOWED")),
            Self::TaskNotFound => words(-32001, 200, 404, "NOT_FOUND", "TASK_NOT_FOUND"),
            Self::TaskNotCancelable => words(-32002, 200, 400, PRECONDITION, "TASK_NOT_CANCELABLE"),
            Self::PushNotSupported => words(-32003, 200, 400, PRECONDITION, "PUSH_NOTIFICATION_NOT_SUPPORTED"),
            Self::Unsupported => words(-32004, 200, 400, PRECONDITION, "UNSUPPORTED_OPERATION"),
            Self::ContentType => words(-32005, 200, 400, "INVALID_ARGUMENT", "CONTENT_TYPE_NOT_SUPPORTED"),
            Self::InvalidAgentResponse => words(-32006, 200, 500, "INTERNAL", "INVALID_AGENT_RESPONSE"),
            Self::NoExtendedCard => words(-32007, 200, 400, PRECONDITION, "EXTENDED_AGENT_CARD_NOT_CONFIGURED"),
            Self::ExtensionRequired => words(-32008, 200, 400, PRECONDITION, "EXTENSION_SUPPORT_REQUIRED"),
            Self::VersionNotSupported => words(-32009, 200, 400, PRECONDITION, "VERSION_NOT_SUPPORTED"),
            Self::Agent => own(words(-32603, 200, 500, "UNKNOWN", "AGENT_ERROR")),
            Self::Unauthenticated => own(words(-32050, 401, 401, "UNAUTHENTICATED", "UNAUTHENTICATED")),
            Self::Denied => own(words(-32051, 403, 403, "PERMISSION_DENIED", "DENIED")),
            Self::UnknownAgent => own(words(-32052, 404, 404, "NOT_FOUND", "UNKNOWN_AGENT")),
            Self::NobodyFound => own(words(-32053, 200, 404, "NOT_FOUND", "NOBODY_FOUND")),
            Self::BudgetExhausted => own(words(-32054, 429, 429, "RESOURCE_EXHAUSTED", "BUDGET_EXHAUSTED")),
            Self::Unreachable => own(words(-32055, 200, 502, "UNAVAILABLE", "UNREACHABLE")),
            Self::TimedOut => own(words(-32056, 200, 504, "DEADLINE_EXCEEDED", "TIMED_OUT")),
            Self::Unavailable => own(words(-32057, 503, 503, "UNAVAILABLE", "UNAVAILABLE")),
            Self::Refused => own(words(-32058, 200, 422, "INVALID_ARGUMENT", "REFUSED")),
            Self::Internal => words(-32603, 200, 500, "INTERNAL", "INTERNAL_ERROR"),
        }
    }

    /// What a caller can do about it where the failure itself does not say.
    #[must_use]
    pub const fn hint(self) -> Option<&'static str> {
        match self {
            Self::Malformed => Some("the body has to be one JSON object in UTF-8"),
            Self::InvalidRequest => {
                Some("a request is an object with `jsonrpc`, `id`, `method` and `params`")
            }
            Self::InvalidParams => Some(
                "the names and types of all fields are in A2A 1.0.1, section 4, and in docs/api.md",
            ),
            _ => None,
        }
    }

    /// The stable code, for metrics and audit.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.words().reason
    }
}

/// The standard kind that an agent's own JSON-RPC code means; `None` for codes
/// of its own, and for the mesh's, which an agent cannot speak.
#[must_use]
pub fn kind_of_code(code: i64) -> Option<FailureKind> {
    standard().find(|kind| kind.words().rpc_code == code)
}

/// The standard kind that an ErrorInfo reason of A2A's domain means.
#[must_use]
pub fn kind_of_reason(reason: &str) -> Option<FailureKind> {
    standard().find(|kind| kind.words().reason == reason)
}

fn standard() -> impl Iterator<Item = FailureKind> {
    FailureKind::ALL
        .into_iter()
        .filter(|kind| kind.words().domain == DOMAIN_A2A)
}

/// The JSON-RPC code for a google.rpc.Status name that carries no A2A reason.
/// Source: the codes of JSON-RPC 2.0 §5.1 that come nearest.
#[must_use]
pub fn code_of_rpc_name(name: &str) -> i64 {
    let kind = match name {
        "INVALID_ARGUMENT" | "OUT_OF_RANGE" => FailureKind::InvalidParams,
        "NOT_FOUND" | "UNIMPLEMENTED" => FailureKind::UnknownMethod,
        "FAILED_PRECONDITION" => FailureKind::InvalidRequest,
        _ => FailureKind::Internal,
    };
    kind.words().rpc_code
}

impl Failure {
    /// What this failure is called: its kind's words, or for an agent's own
    /// error the words of its code, its number kept.
    #[must_use]
    pub fn words(&self) -> Words {
        let Some(error) = self
            .agent_error
            .as_ref()
            .filter(|_| self.kind == FailureKind::Agent)
        else {
            return self.kind.words();
        };
        let mut words = kind_of_code(error.code)
            .unwrap_or(FailureKind::Agent)
            .words();
        words.rpc_code = error.code;
        words
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_kind_is_listed_once_and_has_its_own_reason() {
        let kinds: HashSet<_> = FailureKind::ALL.into_iter().collect();
        let reasons: HashSet<_> = FailureKind::ALL
            .into_iter()
            .map(FailureKind::code)
            .collect();
        assert_eq!(kinds.len(), FailureKind::ALL.len());
        assert_eq!(reasons.len(), FailureKind::ALL.len());
    }

    #[test]
    fn the_error_codes_of_a2a_are_those_of_its_table() {
        let expected = [
            (FailureKind::TaskNotFound, -32001, 404, "TASK_NOT_FOUND"),
            (
                FailureKind::TaskNotCancelable,
                -32002,
                400,
                "TASK_NOT_CANCELABLE",
            ),
            (
                FailureKind::PushNotSupported,
                -32003,
                400,
                "PUSH_NOTIFICATION_NOT_SUPPORTED",
            ),
            (
                FailureKind::Unsupported,
                -32004,
                400,
                "UNSUPPORTED_OPERATION",
            ),
            (
                FailureKind::ContentType,
                -32005,
                400,
                "CONTENT_TYPE_NOT_SUPPORTED",
            ),
            (
                FailureKind::InvalidAgentResponse,
                -32006,
                500,
                "INVALID_AGENT_RESPONSE",
            ),
            (
                FailureKind::NoExtendedCard,
                -32007,
                400,
                "EXTENDED_AGENT_CARD_NOT_CONFIGURED",
            ),
            (
                FailureKind::ExtensionRequired,
                -32008,
                400,
                "EXTENSION_SUPPORT_REQUIRED",
            ),
            (
                FailureKind::VersionNotSupported,
                -32009,
                400,
                "VERSION_NOT_SUPPORTED",
            ),
        ];
        for (kind, code, status, reason) in expected {
            let words = kind.words();
            assert_eq!(
                (words.rpc_code, words.status, words.reason),
                (code, status, reason)
            );
            assert_eq!((words.rpc_status, words.domain), (200, DOMAIN_A2A));
            assert_eq!(kind_of_code(code), Some(kind));
            assert_eq!(kind_of_reason(reason), Some(kind));
        }
    }

    #[test]
    fn an_agent_cannot_speak_with_the_codes_of_the_mesh() {
        assert_eq!(kind_of_code(-32050), None);
        assert_eq!(kind_of_reason("DENIED"), None);
    }
}
