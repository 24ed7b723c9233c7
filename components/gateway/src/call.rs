//! The types that cross from codecs to the exchange and back: what a caller
//! wants (`Call`), what comes back (`Payload`, `Failure`). Protocol-neutral,
//! serialisable, free of I/O. Source: ARCHITECTURE.md, "The exchange".

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use crate::feedback::{FeedbackDraft, Verdict};

/// A JSON value kept as the bytes it arrived in, so that unknown members
/// survive. Always valid UTF-8 JSON; made only by the codecs after parsing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload(Bytes);

/// What a codec made of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Whom it is addressed to.
    pub target: Target,
    /// What is wanted.
    pub operation: Operation,
    /// The `traceparent` header as received, unverified; the exchange continues
    /// it when it is well formed. Source: W3C Trace Context.
    pub traceparent: Option<String>,
    /// The `A2A-Extensions` header as received: comma-separated URIs of the
    /// extensions the caller wants. The dialler sends it on. Source: A2A 1.0.1 §3.2.6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extensions: Option<String>,
}

/// Whom a call is addressed to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The mesh's own agent, which routes.
    Mesh,
    /// One agent by its name in this mesh.
    Agent(String),
}

/// What a call wants done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// A2A SendMessage; answered once.
    SendMessage(Message),
    /// A2A SendStreamingMessage; answered by events.
    StreamMessage(Message),
    /// A2A GetTask.
    GetTask(TaskCall),
    /// A2A CancelTask.
    CancelTask(TaskCall),
    /// The agent card, rewritten to this mesh.
    Card,
    /// Decide who would answer, without calling anyone (`/v1/route`).
    Route(RouteCall),
    /// What is registered and visible to the caller (`GET /v1/agents`).
    ListAgents,
    /// One agent (`GET /v1/agents/{name}`).
    DescribeAgent,
    /// Register or replace an agent (`POST /v1/agents`).
    RegisterAgent(Registration),
    /// Take an agent out (`DELETE /v1/agents/{name}`).
    RemoveAgent,
    /// Emit a pheromone (`POST /v1/pheromones`); the body as received.
    Emit(PheromoneDraft),
    /// Sense pheromones (`GET /v1/pheromones`).
    Sense(SenseFilter),
    /// Say whether a routing decision was right (`POST /v1/router/feedback`).
    GiveFeedback(FeedbackDraft),
    /// What was said of decisions (`GET /v1/router/feedback`).
    ListFeedback,
    /// Take back what was said (`DELETE /v1/router/feedback/{id}`).
    UndoFeedback {
        /// The id under which it is kept.
        id: String,
    },
}

/// A question about who would answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RouteCall {
    /// The caller's words.
    pub text: String,
    /// The conversation it belongs to, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_id: Option<String>,
    /// Whether the answer tells every rung's evidence.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub explain: bool,
}

/// A message on its way to an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// The A2A `SendMessageRequest` exactly as received.
    pub params: Payload,
    /// Text parts joined by newlines; what routing reads. Never stored.
    pub text: String,
    /// First data part as JSON, if any; what the mesh's own agents read.
    pub data: Option<Payload>,
    /// The task it continues, if any.
    pub task_id: Option<String>,
    /// The conversation it belongs to, if any.
    pub context_id: Option<String>,
    /// The message's own id.
    pub message_id: String,
    /// Tasks it refers to. The agent may read them, so the caller must own each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reference_task_ids: Vec<String>,
}

/// A call about an existing task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskCall {
    /// The task's id.
    pub task_id: String,
    /// The A2A request object exactly as received (JSON-RPC), or built from the
    /// path and query (HTTP+JSON).
    pub params: Payload,
}

/// An agent to be registered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// Overrides the name derived from the card; an RFC 1123 label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where to fetch the card from; exclusive with `card`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The card itself (an A2A card or AgentCard resource as JSON); exclusive
    /// with `url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<Payload>,
}

/// A pheromone someone wants to emit; the decider checks and completes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PheromoneDraft {
    /// METAPHOR, WARNING, … or a registered own type.
    #[serde(rename = "type")]
    pub kind: String,
    /// 0.0 to 1.0; default 1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intensity: Option<f64>,
    /// Minutes, above 0; default 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub half_life_minutes: Option<f64>,
    /// Absent is a broadcast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Seconds, above 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<f64>,
    /// Anything JSON, at most 64 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Payload>,
}

/// Which pheromones to sense.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SenseFilter {
    /// Only this type.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Only what is meant for this agent, and broadcasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// 0.0 to 1.0; default 0.0.
    #[serde(default)]
    pub min_intensity: f64,
    /// Default 100, at most 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// What the exchange tells about an answer, sent as `kgents-*` headers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReplyHead {
    /// Name of the audit event of this interaction.
    pub event: String,
    /// The agent that answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Its cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// How it was found: a method of the router, for example `cache`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Calibrated probability, 0.0 to 1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f32>,
    /// True when nobody fitted and the configured fallback answered.
    #[serde(default)]
    pub fallback: bool,
}

/// Why a call did not succeed, before any binding's words for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The closed kind; decides every code and status.
    pub kind: FailureKind,
    /// One sentence, no stop, no secrets, user input in backticks.
    pub message: String,
    /// What the caller can do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Facts as name and value, sent as the ErrorInfo's metadata.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metadata: Vec<(String, String)>,
    /// The agent's own error when `kind` is `Agent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_error: Option<Box<AgentError>>,
}

/// An error that the agent itself answered, passed through.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentError {
    /// JSON-RPC code; mapped from the HTTP status and reason where the agent
    /// speaks HTTP+JSON.
    pub code: i64,
    /// `error.data` or `details` as received: a JSON array, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Payload>,
}

/// Every way a call can fail; exhaustive, so that a new one needs an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    // What the bytes were.
    /// Not JSON.
    Malformed,
    /// JSON, but not a JSON-RPC 2.0 request.
    InvalidRequest,
    /// A method or path that does not exist.
    UnknownMethod,
    /// A known method with arguments that do not fit; the message names the field.
    InvalidParams,
    /// Larger than the listener takes.
    TooLarge,
    /// A path that exists, with another HTTP method.
    MethodNotAllowed,
    // A2A's own.
    /// A2A TaskNotFoundError.
    TaskNotFound,
    /// A2A TaskNotCancelableError.
    TaskNotCancelable,
    /// A2A PushNotificationNotSupportedError.
    PushNotSupported,
    /// A2A UnsupportedOperationError.
    Unsupported,
    /// A2A ContentTypeNotSupportedError.
    ContentType,
    /// A2A InvalidAgentResponseError.
    InvalidAgentResponse,
    /// A2A ExtendedAgentCardNotConfiguredError.
    NoExtendedCard,
    /// A2A ExtensionSupportRequiredError.
    ExtensionRequired,
    /// A2A VersionNotSupportedError.
    VersionNotSupported,
    /// The agent answered an error of its own; see `agent_error`.
    Agent,
    // The mesh's.
    /// No identity, or one that does not verify: 401.
    Unauthenticated,
    /// Policy says no: 403.
    Denied,
    /// No such agent, or none the caller may see: 404.
    UnknownAgent,
    /// No agent fits the question and no fallback is configured.
    NobodyFound,
    /// The budget does not cover it: 429.
    BudgetExhausted,
    /// The agent cannot be reached: 502.
    Unreachable,
    /// The agent did not answer in time: 504.
    TimedOut,
    /// The mesh cannot do it now (audit disk full, shutting down): 503.
    Unavailable,
    /// A card or resource that is refused (its field is named): 422.
    Refused,
    /// A bug; the log has the detail: 500.
    Internal,
}

impl Payload {
    /// Takes bytes that are known to be one JSON value.
    ///
    /// # Errors
    /// When they are not JSON.
    pub fn parse(bytes: Bytes) -> Result<Self, serde_json::Error> {
        serde_json::from_slice::<&serde_json::value::RawValue>(&bytes)?;
        Ok(Self(bytes))
    }

    /// Serialises a value. Falls back to `null` for what JSON cannot hold,
    /// which none of this project's types can produce.
    pub fn of<T: Serialize>(value: &T) -> Self {
        Self(serde_json::to_vec(value).map_or_else(|_| Bytes::from_static(b"null"), Bytes::from))
    }

    /// The JSON text.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// For a slice of an already parsed document; the caller guarantees that it
    /// is one JSON value.
    pub(crate) fn trusted(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

impl Serialize for Payload {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &serde_json::value::RawValue =
            serde_json::from_slice(&self.0).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<serde_json::value::RawValue>::deserialize(deserializer)?;
        let text: Box<str> = raw.into();
        Ok(Self(Bytes::from(text.into_string().into_bytes())))
    }
}

impl Operation {
    /// The closed name for spans, metrics and audit: the A2A method, or our own
    /// word in the same case.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::SendMessage(_) => "SendMessage",
            Self::StreamMessage(_) => "SendStreamingMessage",
            Self::GetTask(_) => "GetTask",
            Self::CancelTask(_) => "CancelTask",
            Self::Card => "GetAgentCard",
            Self::Route(_) => "Route",
            Self::ListAgents => "ListAgents",
            Self::DescribeAgent => "DescribeAgent",
            Self::RegisterAgent(_) => "RegisterAgent",
            Self::RemoveAgent => "RemoveAgent",
            Self::Emit(_) => "EmitPheromone",
            Self::Sense(_) => "SensePheromones",
            Self::GiveFeedback(_) => "GiveFeedback",
            Self::ListFeedback => "ListFeedback",
            Self::UndoFeedback { .. } => "UndoFeedback",
        }
    }
}

impl Failure {
    /// A failure with a message only.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: None,
            metadata: Vec::new(),
            agent_error: None,
        }
    }

    /// Adds what the caller can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds one fact.
    #[must_use]
    pub fn fact(mut self, name: &str, value: impl Into<String>) -> Self {
        self.metadata.push((name.to_owned(), value.into()));
        self
    }
}
