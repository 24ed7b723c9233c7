//! A streamed answer: events pass one by one as they come. The outcome is
//! recorded before the event that ends the stream, or before its end.

use super::case::Case;
use super::{Exchange, outcome_of, settle};
use crate::tasks::TaskOwner;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use kgents_audit::DecisionOutcome;
use kgents_gateway::call::{Failure, Payload};
use kgents_gateway::facts::ResultFacts;

/// Events on their way to the caller. Dropping it cancels the call, which is
/// recorded as failed.
pub struct EventStream {
    exchange: Exchange,
    /// Until the outcome is recorded.
    open: Option<Case>,
    events: BoxStream<'static, Result<Payload, Failure>>,
    task: Option<TaskOwner>,
    tokens: u64,
    ended: bool,
}

impl EventStream {
    pub(super) fn new(
        exchange: Exchange,
        case: Case,
        events: BoxStream<'static, Result<Payload, Failure>>,
    ) -> Self {
        Self {
            exchange,
            open: Some(case),
            events,
            task: None,
            tokens: 0,
            ended: false,
        }
    }

    /// The next event; `None` when all is said. A failure is the last event.
    pub async fn next(&mut self) -> Option<Result<Payload, Failure>> {
        if self.ended {
            return None;
        }
        match self.events.next().await {
            Some(Ok(payload)) => {
                let facts = ResultFacts::of(&payload);
                self.note(&facts);
                if facts.terminal
                    && let Err(lost) = self.conclude(None).await
                {
                    self.ended = true;
                    return Some(Err(lost));
                }
                Some(Ok(payload))
            }
            Some(Err(failure)) => {
                self.ended = true;
                let lost = self.conclude(Some(&failure)).await.err();
                Some(Err(lost.unwrap_or(failure)))
            }
            None => {
                self.ended = true;
                self.conclude(None).await.err().map(Err)
            }
        }
    }

    fn note(&mut self, facts: &ResultFacts) {
        // An agent may tell its usage more than once; the last is the total.
        self.tokens = facts.tokens.unwrap_or(self.tokens);
        let Some(case) = &self.open else { return };
        if let (None, Some(task), Some(who), Some(agent)) =
            (&self.task, &facts.task_id, &case.who, &case.agent)
        {
            self.task = self.exchange.new_owner(who, agent, task);
        }
    }

    async fn conclude(&mut self, failure: Option<&Failure>) -> Result<(), Failure> {
        match self.record(failure) {
            Some(place) => self.exchange.audit.durable(place?).await,
            None => Ok(()),
        }
    }

    fn record(
        &mut self,
        failure: Option<&Failure>,
    ) -> Option<Result<crate::ports::Place, Failure>> {
        let case = self.open.take()?;
        let mut effects = settle(&case, self.tokens);
        effects.task = self.task.take();
        self.exchange.metrics.tokens.inc_by(self.tokens);
        let (outcome, reason) = match failure {
            None => (DecisionOutcome::Allowed, None),
            Some(failure) => (outcome_of(&case, failure), Some(failure.kind.code())),
        };
        Some(
            self.exchange
                .append_outcome(&case, outcome, reason, effects),
        )
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        if let Some(case) = self.open.take() {
            let mut effects = settle(&case, self.tokens);
            effects.task = self.task.take();
            let outcome = DecisionOutcome::Failed;
            // The caller is gone: nobody waits for this to be durable.
            let _ = self
                .exchange
                .append_outcome(&case, outcome, Some("CANCELLED"), effects);
        }
    }
}
