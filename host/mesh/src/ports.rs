//! What the exchange needs from the nucleus, as traits: each a capability with
//! one purpose, so that the exchange can be read, and tested, without them.
//!
//! Six carry an interaction, in the order in which it meets them: [`Identity`]
//! (who), [`Evidence`] (where to), [`Policy`] (may they), [`Budget`] (who pays),
//! [`Audit`] (what the trail says) and [`Dial`] (do it). Who serves callers away
//! from the nucleus implements the same six over replicas. [`Random`], [`Probe`]
//! and [`crate::clock::Clock`] are the outside world.

use crate::ledger::Reservation;
use crate::principal::Principal;
use crate::registry::{Agent, Asked, Directory};
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

/// Where could it go? What the router asks for, rung by rung, and the agents
/// themselves. It gathers and decides nothing.
pub trait Evidence: Send + Sync {
    /// The agents at one revision: exact names, search, and the agents. One
    /// interaction looks at one of these from beginning to end.
    fn directory(&self) -> Arc<Directory>;

    /// The vector of a question; takes milliseconds of a core, or waits for an
    /// endpoint. None without an encoder, and when it fails: words alone decide by
    /// then.
    fn question(&self, text: &str) -> Asked;

    /// Whether there is an encoder, so that a question's vector takes its time.
    fn has_encoder(&self) -> bool;

    /// Name of the encoder, if there is one.
    fn encoder(&self) -> Option<&str>;

    /// Name of the agent that takes what nobody else takes, if one is set.
    fn fallback(&self) -> Option<&str>;

    /// The agents on which `caller` owns a task of this id.
    ///
    /// # Errors
    /// `Unavailable` when that cannot be read.
    fn owners(&self, caller: &str, task: &str) -> Result<Vec<String>, Failure>;

    /// Notes whose a task is, for follow-ups. True when that is news, which
    /// the trail still has to carry.
    fn own(&self, owner: &TaskOwner) -> bool;

    /// The agent that answered `caller` last in the conversation `context`, as far
    /// as it is remembered.
    fn holder(&self, caller: &str, context: &str) -> Option<String>;

    /// Notes that `agent` answered `caller` in the conversation `context`.
    fn answered(&self, caller: &str, context: &str, agent: &str);
}

/// Who pays for a call, and how much may it cost?
///
/// It quotes and changes nothing: what it quotes is set aside by
/// [`Audit::intend`] and settled by [`Audit::conclude`], so that the ledger and
/// the log cannot tell different stories, and no call waits for two commits.
pub trait Budget: Send + Sync {
    /// What has to be set aside before this caller may call that agent.
    fn quote(&self, who: &Principal, agent: &Agent) -> Reservation;
}

/// What someone wants to do, as policies name it. A closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// See that an agent exists.
    List,
    /// Be routed to an agent.
    Route,
    /// Ask the mesh a question without naming who answers.
    Ask,
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
    /// Say who should answer what, and read what others said.
    Teach,
}

impl Action {
    /// Its name in policies.
    pub const fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Route => "route",
            Self::Ask => "ask",
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
            Self::Teach => "teach",
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
    /// How strong a pheromone is meant to be, 0 to 100.
    pub intensity_percent: Option<u8>,
}

impl<'a> Ask<'a> {
    /// An action on a resource, without more.
    pub const fn new(action: Action, resource: Resource<'a>) -> Self {
        Self {
            action,
            resource,
            tokens: None,
            target: None,
            intensity_percent: None,
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

    /// Digest of the policies in force, for caches that outlive this process or
    /// meet those of others: of what they say.
    fn digest(&self) -> [u8; 32];
}

/// What an interaction changes beside the log; applied with its outcome, and
/// again when the log is replayed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Effects {
    /// Tokens that were used; settles what the intent had set aside.
    pub used: u64,
    /// A task that began.
    pub task: Option<TaskOwner>,
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
        reserve: Option<Reservation>,
    ) -> Result<Place, Failure>;

    /// Writes how it ended, settles what its intent had set aside, and applies
    /// its effects. More than was set aside is charged as far as it is covered.
    ///
    /// # Errors
    /// `Unavailable` when the log cannot take it; the effects hold nevertheless,
    /// since what is done is done.
    fn conclude(
        &self,
        event: kgents_audit::AgentAuditEvent,
        effects: Effects,
    ) -> Result<Place, Failure>;

    /// Resolves when the record cannot be lost any more.
    fn durable(&self, place: Place) -> BoxFuture<'_, Result<(), Failure>>;

    /// Whether the last records could not be written: then nothing is done any
    /// more whose intent is not durable first.
    fn is_failing(&self) -> bool;

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
    /// When the caller is told that it took too long: nobody waits for an
    /// answer after that. For a stream, for its first event.
    pub deadline: tokio::time::Instant,
}

/// Calls agents.
pub trait Dial: Send + Sync {
    /// Sends an operation to an agent's registered interface. Dropping what it
    /// returns, or the stream that comes, hangs up.
    ///
    /// # Errors
    /// What the agent answered, `Unreachable`, `TimedOut`,
    /// `InvalidAgentResponse`.
    fn dial<'a>(
        &'a self,
        agent: &'a Agent,
        operation: &'a Operation,
        about: &'a About<'a>,
    ) -> BoxFuture<'a, Result<Answer, Failure>>;

    /// Whether an interface may be called at all, as far as its URL tells: names
    /// are resolved, and judged, when they are called.
    ///
    /// # Errors
    /// `Refused`, naming the address.
    fn admits(&self, url: &str) -> Result<(), Failure>;

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
