//! One interaction under way: whatever becomes of it, also when whoever waits
//! for it goes away or something panics, it is recorded once how it ended and
//! what was set aside for it is settled.

use super::Exchange;
use super::case::Case;
use crate::ports::{Effects, Place};
use crate::tasks::TaskOwner;
use crate::telemetry::Interaction as Labels;
use kgents_audit::DecisionOutcome;
use kgents_gateway::call::{Failure, FailureKind};
use kgents_gateway::facts::ResultFacts;
use std::ops::{Deref, DerefMut};
use tracing::Span;

/// Why a call has no other outcome: nobody waits for it any more.
const CANCELLED: &str = "CANCELLED";

/// A case with its outcome still to come. Dropping it is an outcome too.
pub(super) struct Interaction {
    exchange: Exchange,
    case: Case,
    /// Tokens used in all, once the agent has told.
    tokens: Option<u64>,
    /// Tokens that count as used although nobody told of them.
    untold: u64,
    /// A task that began, and that the trail has to carry.
    task: Option<TaskOwner>,
    /// Whether the task of this interaction was looked at.
    has_task: bool,
    /// Whether its conversation was.
    has_context: bool,
    /// Whether an agent may be at work for it.
    dialled: bool,
    /// The span of the call, open until it is known how that went.
    invoke: Span,
    open: bool,
}

impl Interaction {
    pub fn begin(exchange: &Exchange, case: Case) -> Self {
        exchange.metrics.active.inc();
        Self {
            exchange: exchange.clone(),
            case,
            tokens: None,
            untold: 0,
            task: None,
            has_task: false,
            has_context: false,
            dialled: false,
            invoke: Span::none(),
            open: true,
        }
    }

    /// An agent is called from here on.
    pub fn dial(&mut self, span: Span) {
        self.dialled = true;
        self.invoke = span;
    }

    /// Takes in what an answer, or one event of it, tells: tokens used, and a
    /// task that has an owner from now on.
    pub fn note(&mut self, facts: &ResultFacts) {
        if !self.case.is_message {
            return;
        }
        // An agent may tell its usage more than once; the last is the total.
        self.tokens = facts.tokens.or(self.tokens);
        self.converse(facts);
        if self.has_task {
            return;
        }
        if let (Some(task), Some(who), Some(agent)) =
            (&facts.task_id, &self.case.who, &self.case.agent)
        {
            self.has_task = true;
            let owner = TaskOwner {
                agent: agent.clone(),
                task: task.clone(),
                caller: super::task::caller(who),
            };
            self.task = self.exchange.evidence.own(&owner).then_some(owner);
        }
    }

    /// Remembers who answers in a conversation, for its next question.
    pub fn converse(&mut self, facts: &ResultFacts) {
        if self.has_context {
            return;
        }
        if let (Some(context), Some(who), Some(agent)) =
            (&facts.context_id, &self.case.who, &self.case.agent)
        {
            self.has_context = true;
            let (evidence, caller) = (&self.exchange.evidence, super::task::caller(who));
            evidence.answered(&caller, context, agent);
        }
    }

    /// It ended well: recorded when this returns, durable at the place.
    pub fn succeed(&mut self) -> Result<Place, Failure> {
        self.close(DecisionOutcome::Allowed, None)
    }

    /// It ended with this failure.
    pub fn fail(&mut self, failure: &Failure) -> Result<Place, Failure> {
        // After that nobody listens to what the agent may still tell.
        let unheard = matches!(failure.kind, FailureKind::TimedOut | FailureKind::Internal);
        if unheard {
            self.count_as_used();
        }
        let outcome = outcome_of(&self.case, failure);
        self.close(outcome, Some(failure.words().reason))
    }

    /// It ended well, and the record of that is appended already.
    pub fn recorded(&mut self) {
        self.open = false;
        self.count(DecisionOutcome::Allowed);
    }

    /// Resolves when the record cannot be lost any more.
    pub async fn kept(&self, place: Place) -> Result<(), Failure> {
        self.exchange.audit.durable(place).await
    }

    /// Whether its outcome is still to come.
    pub const fn is_open(&self) -> bool {
        self.open
    }

    /// What an agent does not report counts as used, or hanging up early would
    /// be a way not to pay.
    fn count_as_used(&mut self) {
        if self.dialled && self.tokens.is_none() {
            self.untold = self.case.reserved.unwrap_or(0);
        }
    }

    fn close(&mut self, outcome: DecisionOutcome, reason: Option<&str>) -> Result<Place, Failure> {
        self.open = false;
        self.invoke
            .record("result.success", outcome == DecisionOutcome::Allowed);
        if let Some(tokens) = self.tokens {
            self.exchange.metrics.tokens.inc_by(tokens);
            self.invoke.record("result.tokens", tokens);
        }
        self.invoke = Span::none();
        self.count(outcome);
        let event = self.case.outcome(&self.exchange.cluster, outcome, reason);
        let effects = Effects {
            used: self.tokens.unwrap_or(self.untold),
            task: self.task.take(),
        };
        self.exchange.audit.conclude(event, effects)
    }

    fn count(&self, outcome: DecisionOutcome) {
        let metrics = &self.exchange.metrics;
        metrics.active.dec();
        let outcome = match outcome {
            DecisionOutcome::Allowed => "ALLOWED",
            DecisionOutcome::Denied => "DENIED",
            DecisionOutcome::Failed => "FAILED",
        };
        let labels = Labels {
            method: self.case.method,
            outcome,
        };
        metrics.interactions.get_or_create(&labels).inc();
        let elapsed = self.case.started.elapsed();
        metrics.duration.observe(elapsed.as_secs_f64());
    }
}

impl Drop for Interaction {
    fn drop(&mut self) {
        if !self.open {
            return;
        }
        self.count_as_used();
        let reason = if std::thread::panicking() {
            FailureKind::Internal.code()
        } else {
            CANCELLED
        };
        // Nobody waits for this to be durable. The next group takes it along.
        let _ = self.close(DecisionOutcome::Failed, Some(reason));
    }
}

impl Deref for Interaction {
    type Target = Case;

    fn deref(&self) -> &Case {
        &self.case
    }
}

impl DerefMut for Interaction {
    fn deref_mut(&mut self) -> &mut Case {
        &mut self.case
    }
}

fn outcome_of(case: &Case, failure: &Failure) -> DecisionOutcome {
    match failure.kind {
        FailureKind::Unauthenticated | FailureKind::Denied | FailureKind::BudgetExhausted => {
            DecisionOutcome::Denied
        }
        // Refused to see it, which the caller is told as "there is none".
        FailureKind::UnknownAgent if case.hidden => DecisionOutcome::Denied,
        _ => DecisionOutcome::Failed,
    }
}
