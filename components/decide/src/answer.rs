//! Statuses and errors, in the form and the words of the mesh's REST. Tests hold
//! them against the encoder of `components/gateway`, which is not linked here: it
//! is a component of its own.

use kgents_decide_wire::{BODY_BYTES_MAX, Error, PATH};

/// A whole answer: always `application/json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Value of the `Allow` header, with 405.
    pub allow: Option<&'static str>,
    /// JSON.
    pub body: Vec<u8>,
}

impl Answer {
    /// 200 with this JSON.
    pub(crate) fn ok(body: Vec<u8>) -> Self {
        Self {
            status: 200,
            allow: None,
            body,
        }
    }
}

/// Why a request is not answered with a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Nothing is there.
    Path,
    /// Something is there, for another method.
    Method { allowed: &'static str },
    /// A query, which nothing here takes.
    Query,
    /// The body is above the limit.
    TooLarge,
    /// The body broke off.
    Broken,
    /// The body is not what the decider takes.
    Body { wrong: Error, decider: &'static str },
    /// The decider returned what JSON cannot say: a bug.
    Unwritable(Error),
}

/// Name of one kind of error. Source: the table of reasons in docs/api.md.
struct Words {
    status: u16,
    name: &'static str,
    reason: &'static str,
    domain: &'static str,
}

const A2A: &str = "a2a-protocol.org";
const MESH: &str = "kgents.io";

const fn words(
    status: u16,
    name: &'static str,
    reason: &'static str,
    domain: &'static str,
) -> Words {
    Words {
        status,
        name,
        reason,
        domain,
    }
}

impl Refusal {
    fn words(&self) -> Words {
        match self {
            Self::Path => words(404, "NOT_FOUND", "METHOD_NOT_FOUND", A2A),
            Self::Method { .. } => words(405, "UNIMPLEMENTED", "METHOD_NOT_ALLOWED", MESH),
            Self::TooLarge => words(413, "RESOURCE_EXHAUSTED", "REQUEST_TOO_LARGE", MESH),
            Self::Broken
            | Self::Body {
                wrong: Error::Syntax(_),
                ..
            } => words(400, "INVALID_ARGUMENT", "JSON_PARSE", A2A),
            Self::Query | Self::Body { .. } => {
                words(400, "INVALID_ARGUMENT", "INVALID_PARAMS", A2A)
            }
            Self::Unwritable(_) => words(500, "INTERNAL", "INTERNAL_ERROR", A2A),
        }
    }

    fn message(&self) -> String {
        match self {
            Self::Path => "there is nothing under this path".to_owned(),
            Self::Method { allowed } => format!("this path takes {allowed} only"),
            Self::Query => "nothing here takes a query".to_owned(),
            Self::TooLarge => format!("the body is above {BODY_BYTES_MAX} bytes"),
            Self::Broken => "the body broke off".to_owned(),
            Self::Body { wrong, .. } | Self::Unwritable(wrong) => wrong.to_string(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Path => Some(format!("GET {PATH} lists what is there")),
            Self::Query => Some("all that is asked goes into the body".to_owned()),
            Self::TooLarge => Some("ask with less, for example in several requests".to_owned()),
            Self::Body { decider, .. } => {
                let path = kgents_decide_wire::path(decider);
                Some(format!("GET {path}/schema says what a body holds"))
            }
            Self::Broken => Some("send it again".to_owned()),
            Self::Method { .. } | Self::Unwritable(_) => None,
        }
    }

    /// The answer that says so.
    pub(crate) fn answer(&self) -> Answer {
        let Words {
            status,
            name,
            reason,
            domain,
        } = self.words();
        let allow = match self {
            Self::Method { allowed } => Some(*allowed),
            _ => None,
        };
        let message = quoted(&self.message());
        let hint = self.hint().map(|hint| ("hint", hint));
        let allowed = allow.map(|allow| ("allow", allow.to_owned()));
        let facts: Vec<String> = allowed
            .into_iter()
            .chain(hint)
            .map(|(name, value)| format!("{}:{}", quoted(name), quoted(&value)))
            .collect();
        let facts = facts.join(",");
        let body = format!(
            "{{\"error\":{{\"code\":{status},\"status\":\"{name}\",\"message\":{message},\
             \"details\":[{{\"@type\":\"type.googleapis.com/google.rpc.ErrorInfo\",\
             \"reason\":\"{reason}\",\"domain\":\"{domain}\",\"metadata\":{{{facts}}}}}]}}}}"
        );
        Answer {
            status,
            allow,
            body: body.into_bytes(),
        }
    }
}

/// A text of JSON.
fn quoted(text: &str) -> String {
    let json = kgents_decide_wire::to_json(text).unwrap_or_default();
    String::from_utf8(json).unwrap_or_default()
}
