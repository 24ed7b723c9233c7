//! Which request a method and path are, before any byte of the body is read.

use std::borrow::Cow;

use bytes::Bytes;
use http::Method;

use crate::call::{Failure, FailureKind, Payload, Target};
use crate::json::clip;
use crate::query;
use crate::reply::{ALLOW_FACT, Encoded, ReplyBinding, ReplyShape};
use crate::slug::is_label;

/// A request by its method and path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route<'a> {
    /// Whom it is addressed to.
    pub target: Target,
    /// What it asks for.
    pub what: What<'a>,
}

/// What a path asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What<'a> {
    /// `GET /.well-known/agent-card.json`.
    Card,
    /// JSON-RPC: `POST /`.
    JsonRpc,
    /// `POST /message:send`.
    Send,
    /// `POST /message:stream`.
    Stream,
    /// `GET /tasks/{id}`.
    GetTask(Cow<'a, str>),
    /// `POST /tasks/{id}:cancel`.
    CancelTask(Cow<'a, str>),
    /// A path of A2A for what this mesh does not offer.
    NotOffered(FailureKind),
    /// `POST /v1/route`.
    Ask,
    /// `GET /v1/agents`.
    ListAgents,
    /// `POST /v1/agents`.
    RegisterAgent,
    /// `GET /v1/agents/{name}`.
    DescribeAgent,
    /// `DELETE /v1/agents/{name}`.
    RemoveAgent,
    /// `GET /v1/pheromones`.
    Sense,
    /// `POST /v1/pheromones`.
    Emit,
    /// `GET /v1/router/feedback`.
    ListFeedback,
    /// `POST /v1/router/feedback`.
    GiveFeedback,
    /// `DELETE /v1/router/feedback/{id}`.
    UndoFeedback(Cow<'a, str>),
}

/// A request that was not decoded, and how to say so.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// Why.
    pub failure: Box<Failure>,
    /// In whose words.
    pub reply: ReplyShape,
}

impl Route<'_> {
    /// Whether the body matters to this request.
    #[must_use]
    pub fn needs_body(&self) -> bool {
        matches!(
            self.what,
            What::JsonRpc
                | What::Send
                | What::Stream
                | What::CancelTask(_)
                | What::Ask
                | What::RegisterAgent
                | What::Emit
                | What::GiveFeedback
        )
    }

    /// How a failure before decoding (no identity, too large a body) is answered.
    #[must_use]
    pub fn reply(&self) -> ReplyShape {
        match self.what {
            What::Card => ReplyShape::new(ReplyBinding::Card),
            What::JsonRpc => ReplyShape::rpc_without_id(),
            What::Stream => ReplyShape {
                binding: ReplyBinding::HttpJson,
                stream: true,
            },
            What::Send | What::GetTask(_) | What::CancelTask(_) | What::NotOffered(_) => {
                ReplyShape::new(ReplyBinding::HttpJson)
            }
            What::Ask
            | What::ListAgents
            | What::RegisterAgent
            | What::DescribeAgent
            | What::RemoveAgent
            | What::Sense
            | What::Emit
            | What::ListFeedback
            | What::GiveFeedback
            | What::UndoFeedback(_) => ReplyShape::new(ReplyBinding::Rest),
        }
    }
}

/// Finds the request by method and path. One trailing slash is ignored. HEAD is
/// GET whose answer leaves without its body, which is the server's business.
///
/// # Errors
/// `UnknownMethod` (404) for a path that does not exist, `MethodNotAllowed`
/// (405) with `Allow`, `UnknownAgent` for a name no agent can have.
pub fn accepts<'a>(method: &Method, path: &'a str) -> Result<Route<'a>, Refusal> {
    let inner = path.strip_prefix('/').unwrap_or(path);
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    if let Some(rest) = inner.strip_prefix("v1/") {
        return own(method, path, rest);
    }
    let Some(rest) = inner.strip_prefix("agents/") else {
        return a2a(method, path, inner).map(|what| Route {
            target: Target::Mesh,
            what,
        });
    };
    let (name, rest) = rest.split_once('/').unwrap_or((rest, ""));
    let what = a2a(method, path, rest)?;
    match agent(name) {
        Ok(target) => Ok(Route { target, what }),
        Err(failure) => {
            let reply = Route {
                target: Target::Mesh,
                what,
            }
            .reply();
            Err(Refusal::new(failure, reply))
        }
    }
}

/// Whether the body of this request has to be read; false for what is refused.
#[must_use]
pub fn needs_body(method: &Method, path: &str) -> bool {
    accepts(method, path).is_ok_and(|route| route.needs_body())
}

/// A2A's paths, below the mesh's root or an agent's; `path` is the whole.
fn a2a<'a>(method: &Method, path: &str, rest: &'a str) -> Result<What<'a>, Refusal> {
    let http = || ReplyShape::new(ReplyBinding::HttpJson);
    match rest {
        "" => only(
            &Method::POST,
            method,
            What::JsonRpc,
            ReplyShape::rpc_without_id,
        ),
        ".well-known/agent-card.json" => only(&Method::GET, method, What::Card, || {
            ReplyShape::new(ReplyBinding::Card)
        }),
        "message:send" => only(&Method::POST, method, What::Send, http),
        "message:stream" => only(&Method::POST, method, What::Stream, http),
        "extendedAgentCard" | "tasks" => only(
            &Method::GET,
            method,
            What::NotOffered(FailureKind::Unsupported),
            http,
        ),
        _ => match rest.strip_prefix("tasks/") {
            Some(task) => tasks(method, path, task),
            None => Err(unknown(path, rest, http())),
        },
    }
}

fn tasks<'a>(method: &Method, path: &str, rest: &'a str) -> Result<What<'a>, Refusal> {
    let http = || ReplyShape::new(ReplyBinding::HttpJson);
    let mut segments = rest.split('/');
    let first = segments.next().unwrap_or_default();
    match (segments.next(), segments.next(), segments.next()) {
        (None, ..) => {}
        (Some("pushNotificationConfigs"), id, None) => {
            let fits = match id {
                None => [Method::GET, Method::POST].contains(as_get(method)),
                Some(_) => [Method::GET, Method::DELETE].contains(as_get(method)),
            };
            let allow = if id.is_none() {
                "GET, POST"
            } else {
                "GET, DELETE"
            };
            if !fits {
                return Err(not_allowed(method, allow, http()));
            }
            return Ok(What::NotOffered(FailureKind::PushNotSupported));
        }
        _ => return Err(unknown(path, rest, http())),
    }
    // The verb is looked for in the raw segment: an escaped colon is the id's.
    let (id, verb) = match first.rsplit_once(':') {
        Some((id, verb @ ("cancel" | "subscribe"))) => (id, verb),
        _ => (first, ""),
    };
    let Some(id) = query::segment(id) else {
        let failure = Failure::new(
            FailureKind::TaskNotFound,
            "the path holds no usable task id",
        )
        .hint("percent-encode the id; `/`, `\\`, `.` and `..` cannot be part of a path");
        return Err(Refusal::new(failure, http()));
    };
    match verb {
        "cancel" => only(&Method::POST, method, What::CancelTask(id), http),
        // The proto says GET, the prose says POST.
        "subscribe" if [Method::GET, Method::POST].contains(as_get(method)) => {
            Ok(What::NotOffered(FailureKind::Unsupported))
        }
        "subscribe" => Err(not_allowed(method, "GET, POST", http())),
        _ => only(&Method::GET, method, What::GetTask(id), http),
    }
}

/// The mesh's own REST, below `/v1/`.
fn own<'a>(method: &Method, path: &str, rest: &'a str) -> Result<Route<'a>, Refusal> {
    let rest_shape = || ReplyShape::new(ReplyBinding::Rest);
    let route = |what| {
        Ok(Route {
            target: Target::Mesh,
            what,
        })
    };
    match (rest, as_get(method)) {
        ("route", &Method::POST) => route(What::Ask),
        ("route", _) => Err(not_allowed(method, "POST", rest_shape())),
        ("agents", &Method::GET) => route(What::ListAgents),
        ("agents", &Method::POST) => route(What::RegisterAgent),
        ("pheromones", &Method::GET) => route(What::Sense),
        ("pheromones", &Method::POST) => route(What::Emit),
        ("router/feedback", &Method::GET) => route(What::ListFeedback),
        ("router/feedback", &Method::POST) => route(What::GiveFeedback),
        ("agents" | "pheromones" | "router/feedback", _) => {
            Err(not_allowed(method, "GET, POST", rest_shape()))
        }
        _ => {
            if let Some(id) = rest.strip_prefix("router/feedback/") {
                let id = query::segment(id).ok_or_else(|| unknown(path, rest, rest_shape()))?;
                return match *method {
                    Method::DELETE => route(What::UndoFeedback(id)),
                    _ => Err(not_allowed(method, "DELETE", rest_shape())),
                };
            }
            let Some(name) = rest
                .strip_prefix("agents/")
                .filter(|name| !name.contains('/'))
            else {
                return Err(unknown(path, rest, rest_shape()));
            };
            let what = match *as_get(method) {
                Method::GET => What::DescribeAgent,
                Method::DELETE => What::RemoveAgent,
                _ => return Err(not_allowed(method, "GET, DELETE", rest_shape())),
            };
            let target = agent(name).map_err(|failure| Refusal::new(failure, rest_shape()))?;
            Ok(Route { target, what })
        }
    }
}

fn agent(raw: &str) -> Result<Target, Failure> {
    match query::segment(raw) {
        Some(name) if is_label(&name) => Ok(Target::Agent(name.into_owned())),
        _ => Err(Failure::new(
            FailureKind::UnknownAgent,
            format!("no agent is named `{}`", clip(raw, 64)),
        )
        .hint("names are lower-case letters, digits and `-`, at most 63")),
    }
}

/// The method that decides what is asked for.
fn as_get(method: &Method) -> &Method {
    if method == Method::HEAD {
        &Method::GET
    } else {
        method
    }
}

fn only<'a>(
    wanted: &Method,
    method: &Method,
    what: What<'a>,
    reply: impl FnOnce() -> ReplyShape,
) -> Result<What<'a>, Refusal> {
    if as_get(method) == wanted {
        Ok(what)
    } else {
        Err(not_allowed(method, wanted.as_str(), reply()))
    }
}

fn not_allowed(method: &Method, allow: &str, reply: ReplyShape) -> Refusal {
    let message = format!("this path does not take `{}`", clip(method.as_str(), 16));
    let failure = Failure::new(FailureKind::MethodNotAllowed, message)
        .hint(format!("use {allow}"))
        .fact(ALLOW_FACT, allow);
    Refusal::new(failure, reply)
}

/// `rest` is what is left of `path` where it was not known further.
fn unknown(path: &str, rest: &str, reply: ReplyShape) -> Refusal {
    let failure = Failure::new(
        FailureKind::UnknownMethod,
        format!("no such path: `{}`", clip(path, 128)),
    );
    let failure = if has_tenant(rest) {
        failure.hint("this mesh has no tenants; leave the tenant out of the path")
    } else {
        failure.hint("see the agent card for the paths of A2A, and /v1/agents for the mesh's own")
    };
    Refusal::new(failure, reply)
}

/// Whether the path would be one of A2A's without its first segment.
fn has_tenant(rest: &str) -> bool {
    let Some((_, inner)) = rest.split_once('/') else {
        return false;
    };
    matches!(
        inner,
        "message:send" | "message:stream" | "tasks" | "extendedAgentCard"
    ) || inner.starts_with("tasks/")
}

impl Refusal {
    pub(crate) fn new(failure: Failure, reply: ReplyShape) -> Self {
        Self {
            failure: Box::new(failure),
            reply,
        }
    }

    /// The whole answer.
    #[must_use]
    pub fn encode(&self) -> Encoded {
        self.reply.unary(Err(&self.failure))
    }

    /// A refusal of a JSON-RPC request whose id is known.
    pub(crate) fn rpc(failure: Failure, id: Option<Bytes>) -> Self {
        let id = id.unwrap_or_else(|| Bytes::from_static(b"null"));
        let binding = ReplyBinding::JsonRpc {
            id: Payload::trusted(id),
        };
        Self::new(failure, ReplyShape::new(binding))
    }
}
