//! A streamed answer: events pass one by one as they come. It ends with the
//! event that ends the task's turn (A2A closes a stream when the task reaches a
//! terminal or an interrupted state, or with a message), or with a failure. A
//! stream that the agent ends before is such a failure: over HTTP its end may
//! look the same when the agent died, and the caller must not take half an
//! answer for a whole one. The outcome is durable before the last event leaves.

use super::interaction::Interaction;
use crate::ports::Place;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use kgents_gateway::call::{Failure, FailureKind, Payload};
use kgents_gateway::facts::{ResultFacts, TaskState};
use std::time::Duration;

/// Events on their way to the caller. Dropping it cancels the call, which is
/// recorded as failed.
pub struct EventStream {
    /// Boxed, since an answer at once should not be as large as this.
    interaction: Box<Interaction>,
    events: BoxStream<'static, Result<Payload, Failure>>,
    idle: Duration,
    /// What is still to be waited for before the last event leaves.
    last: Option<(Place, Result<Payload, Failure>)>,
    ended: bool,
}

impl EventStream {
    pub(super) fn new(
        interaction: Interaction,
        events: BoxStream<'static, Result<Payload, Failure>>,
        idle: Duration,
    ) -> Self {
        Self {
            interaction: Box::new(interaction),
            events,
            idle,
            last: None,
            ended: false,
        }
    }

    /// The next event; `None` when all is said. A failure is the last event.
    /// Losing the future before it resolves loses no event.
    pub async fn next(&mut self) -> Option<Result<Payload, Failure>> {
        if let Some((place, _)) = &self.last {
            let place = *place;
            return self.leave(place).await;
        }
        if self.ended {
            return None;
        }
        let event = match tokio::time::timeout(self.idle, self.events.next()).await {
            Ok(Some(event)) => event,
            Ok(None) => Err(self.unfinished()),
            Err(_) => Err(self.silent()),
        };
        match event {
            Ok(payload) => {
                let facts = ResultFacts::of(&payload);
                self.interaction.note(&facts);
                if !ends_stream(&facts) {
                    return Some(Ok(payload));
                }
                let recorded = self.interaction.succeed();
                self.end(recorded, Ok(payload)).await
            }
            Err(failure) => {
                let recorded = self.interaction.fail(&failure);
                self.end(recorded, Err(failure)).await
            }
        }
    }

    async fn end(
        &mut self,
        recorded: Result<Place, Failure>,
        event: Result<Payload, Failure>,
    ) -> Option<Result<Payload, Failure>> {
        self.ended = true;
        // The agent has nothing more to say to this caller: hang up.
        self.events = stream::empty().boxed();
        match recorded {
            Ok(place) => {
                self.last = Some((place, event));
                self.leave(place).await
            }
            Err(lost) => Some(Err(lost)),
        }
    }

    /// Lets the last event go, once its outcome cannot be lost.
    async fn leave(&mut self, place: Place) -> Option<Result<Payload, Failure>> {
        let kept = self.interaction.kept(place).await;
        let (_, event) = self.last.take()?;
        Some(kept.and(event))
    }

    fn agent(&self) -> &str {
        self.interaction.agent.as_deref().unwrap_or("the agent")
    }

    fn unfinished(&self) -> Failure {
        let message = format!("`{}` ended the stream before its task", self.agent());
        Failure::new(FailureKind::InvalidAgentResponse, message)
            .hint("the task may go on: ask for it with GetTask")
    }

    fn silent(&self) -> Failure {
        let agent = self.agent();
        let seconds = self.idle.as_secs_f32();
        let message = format!("`{agent}` sent nothing for {seconds} s");
        Failure::new(FailureKind::TimedOut, message)
            .hint("raise `upstreams.timeout` in mesh.yaml if it needs longer")
    }
}

fn ends_stream(facts: &ResultFacts) -> bool {
    facts.terminal || facts.state.is_some_and(TaskState::is_interrupted)
}
