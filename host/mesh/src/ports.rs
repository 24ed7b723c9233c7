//! What the exchange needs from the nucleus, as traits: each a capability with
//! one purpose, so that the exchange can be read, and tested, without them.

use crate::ledger::{Entry, Reservation};
use crate::principal::Principal;
use crate::registry::Agent;
use crate::tasks::TaskOwner;
use crate::trace::TraceContext;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use kgents_gateway::call::{Failure, Operation, Payload};
use std::sync::Arc;

/// Who is calling?
pub trait Identity: Send + Sync {
    /// The principal behind a token, or the anonymous one where the operator
    /// allows it.
    ///
    /// # Errors
    /// `Unauthenticated`.
    fn identify(&self, token: Option<&str>, now_ms: u64) -> Result<Principal, Failure>;
}

/// What someone wants to do, as policies name it. A closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// See that an agent exists.
    List,
    /// Be routed to an agent.
    Route,
    /// Send an agent messages.
    Invoke,
    /// Read an own task.
    ReadTask,
    /// Cancel an own task.
    CancelTask,
    /// Add or replace an agent.
    Register,
    /// Take an agent out.
    Remove,
    /// Read an account.
    Balance,
    /// Move tokens to an account.
    Allocate,
    /// Charge an account.
    Settle,
    /// Read who used most.
    TopConsumers,
    /// Emit a pheromone.
    Emit,
    /// Sense pheromones.
    Sense,
    /// Carry somebody else's request.
    Exchange,
}

impl Action {
    /// Its name in policies.
    pub const fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Route => "route",
            Self::Invoke => "invoke",
            Self::ReadTask => "read-task",
            Self::CancelTask => "cancel-task",
            Self::Register => "register",
            Self::Remove => "remove",
            Self::Balance => "balance",
            Self::Allocate => "allocate",
            Self::Settle => "settle",
            Self::TopConsumers => "top-consumers",
            Self::Emit => "emit",
            Self::Sense => "sense",
            Self::Exchange => "exchange",
        }
    }
}

/// What an action is done to.
#[derive(Clone, Debug)]
pub enum Resource<'a> {
    /// A registered agent.
    Agent(&'a Agent),
    /// A name that is not (yet) an agent.
    AgentName(&'a str),
    /// A budget account.
    Account(&'a str),
    /// A type of pheromone.
    Pheromone(&'a str),
    /// The mesh itself.
    Mesh,
}

/// One question to the policies.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    /// What.
    pub action: Action,
    /// To what.
    pub resource: Resource<'a>,
    /// How many tokens, for actions on accounts.
    pub tokens: Option<u64>,
    /// Whom a pheromone is meant for.
    pub target: Option<&'a str>,
}

impl<'a> Ask<'a> {
    /// An action on a resource, without more.
    pub const fn new(action: Action, resource: Resource<'a>) -> Self {
        Self {
            action,
            resource,
            tokens: None,
            target: None,
        }
    }
}

/// The policies' answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// Whether it may be.
    pub allowed: bool,
    /// The deciding policy, or `default-deny`.
    pub policy: Arc<str>,
    /// All policies considered.
    pub checked: Arc<[Arc<str>]>,
}

impl Judgement {
    /// The answer where no policy was asked: nothing is allowed by that.
    pub fn none() -> Self {
        Self {
            allowed: false,
            policy: "default-deny".into(),
            checked: Arc::new([]),
        }
    }
}

/// May they?
pub trait Policy: Send + Sync {
    /// One answer per question, in order.
    ///
    /// # Errors
    /// `Unavailable` when the decider failed; that allows nothing.
    fn judge(&self, who: &Principal, asks: &[Ask<'_>]) -> Result<Vec<Judgement>, Failure>;

    /// Number of the policies in force, for caches.
    fn generation(&self) -> u64;
}

/// What an interaction changes beside the log; applied when its record is
/// written, and again when the log is replayed.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Effects {
    /// Changes to the ledger, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ledger: Vec<Entry>,
    /// A task that began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskOwner>,
}

impl Effects {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.ledger.is_empty() && self.task.is_none()
    }
}

/// Place of a record in the log.
pub type Place = kgents_audit::Position;

/// Leaves the trail, and applies what rides on it.
pub trait Audit: Send + Sync {
    /// Writes that something is about to be done, with what it reserves.
    ///
    /// # Errors
    /// `BudgetExhausted` when the reservation is not covered, `Unavailable`
    /// when the log cannot take it. Nothing is reserved then.
    fn intend(
        &self,
        intent: kgents_audit::Intent,
        reserve: Option<&Reservation>,
    ) -> Result<Place, Failure>;

    /// Writes how it ended and applies its effects. Effects that are not
    /// covered are left out, so charge first and conclude after.
    ///
    /// # Errors
    /// `Unavailable` when the log cannot take it.
    fn conclude(
        &self,
        event: kgents_audit::AgentAuditEvent,
        effects: Effects,
    ) -> Result<Place, Failure>;

    /// Resolves when the record cannot be lost any more.
    fn durable(&self, place: Place) -> BoxFuture<'_, Result<(), Failure>>;

    /// The keyed hash of what was sent, `hmac-sha256:` and hexadecimal digits.
    fn input_hash(&self, input: &[u8]) -> String;
}

/// What an agent answers.
pub enum Answer {
    /// Once.
    Once(Payload),
    /// Event by event.
    Events(BoxStream<'static, Result<Payload, Failure>>),
}

/// What travels with an operation.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The trace it belongs to.
    pub trace: &'a TraceContext,
    /// The `A2A-Extensions` the caller wants.
    pub extensions: Option<&'a str>,
}

/// Calls agents.
pub trait Dial: Send + Sync {
    /// Sends an operation to an agent's registered interface.
    fn dial<'a>(
        &'a self,
        agent: &'a Agent,
        operation: &'a Operation,
        about: &'a About<'a>,
    ) -> BoxFuture<'a, Result<Answer, Failure>>;

    /// Fetches an agent card.
    fn fetch_card<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<Payload, Failure>>;
}

/// Random bytes that need not be secret: span and event ids.
pub trait Random: Send + Sync {
    /// Fills the buffer.
    fn fill(&self, buffer: &mut [u8]);
}

/// Asks whether an agent answers.
pub trait Probe: Send + Sync {
    /// One probe of its interface, within the probe's own budget.
    fn probe<'a>(
        &'a self,
        agent: &'a Agent,
    ) -> BoxFuture<'a, kgents_engine::deciders::health::Outcome>;
}
