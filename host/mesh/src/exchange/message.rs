//! Messages: to a named agent, or to whoever the router finds.

use super::interaction::Interaction;
use super::{Done, Exchange, stopping};
use crate::ports::{About, Action, Answer, Ask, Resource};
use crate::principal::Principal;
use crate::registry::Agent;
use crate::routing::{Asking, Routed, method_name};
use crate::telemetry::Decision;
use futures_util::StreamExt;
use futures_util::stream;
use kgents_gateway::call::{Call, Failure, FailureKind, Message, Target};
use kgents_gateway::facts::ResultFacts;
use std::sync::Arc;
use tracing::Instrument;

impl Exchange {
    pub(super) async fn message(
        &self,
        it: &mut Interaction,
        who: &Principal,
        call: &Call,
        message: &Message,
    ) -> Result<Done, Failure> {
        let agent = self.find(it, who, call, message).await?;
        it.target.clone_from(&agent.name);
        self.permit(it, who, &agent, Action::Invoke)?;
        it.agent = Some(agent.name.clone());
        for task in message.task_id.iter().chain(&message.reference_task_ids) {
            self.check_owner(who, &agent, task)?;
        }
        if agent.is_own() {
            let done = self.own(it, who, &agent.name, message).await?;
            if let Done::Once(payload) = &done {
                it.converse(&ResultFacts::of(payload));
            }
            return Ok(done);
        }
        self.reserve(it, who, &agent).await?;
        self.forward(it, who, call, &agent).await
    }

    /// Where to: the agent that was named, the one that has the task, or the
    /// one the router finds.
    async fn find(
        &self,
        it: &mut Interaction,
        who: &Principal,
        call: &Call,
        message: &Message,
    ) -> Result<Arc<Agent>, Failure> {
        if let Target::Agent(name) = &call.target {
            let (agent, decision) = self.routing.named(name)?;
            it.routed(method_name(&decision), decision.confidence, false);
            return Ok(agent);
        }
        if let Some(task) = &message.task_id {
            let agent = self.owner_of(who, task)?;
            it.routed("exact", 1.0, false);
            return Ok(agent);
        }
        self.allow(it, who, Ask::new(Action::Ask, Resource::Mesh), "the mesh")?;
        let asking = Asking {
            text: &message.text,
            context: message.context_id.as_deref(),
            explain: false,
        };
        let routed = self.route(who, &asking).await?;
        self.at_hand(it, who, &message.text, &routed);
        let method = method_name(&routed.decision);
        it.routed(method, routed.decision.confidence, routed.decision.fallback);
        match routed.agent {
            Some(agent) => Ok(agent),
            None => Err(nobody(&routed)),
        }
    }

    /// Decides a question: here if that takes microseconds, else where it may take
    /// its time.
    pub(super) async fn route(
        &self,
        who: &Principal,
        asking: &Asking<'_>,
    ) -> Result<Routed, Failure> {
        let span = tracing::debug_span!("router.resolve");
        let mut climb = self.routing.ask(who, asking);
        let at_once = span.in_scope(|| self.routing.at_once(&mut climb))?;
        let routed = match at_once {
            Some(routed) => routed,
            None => {
                let routing = Arc::clone(&self.routing);
                tokio::task::spawn_blocking(move || span.in_scope(|| routing.decide(climb)))
                    .await
                    .map_err(|error| {
                        tracing::error!(%error, "routing was cut off");
                        stopping()
                    })??
            }
        };
        let method = method_name(&routed.decision);
        self.metrics
            .decisions
            .get_or_create(&Decision { method })
            .inc();
        Ok(routed)
    }

    /// Reserve and intend: what may be spent is set aside, and the trail says
    /// what is about to happen, before it does.
    async fn reserve(
        &self,
        it: &mut Interaction,
        who: &Principal,
        agent: &Agent,
    ) -> Result<(), Failure> {
        let place = {
            let span = tracing::debug_span!("budget.reserve", tokens = tracing::field::Empty);
            let _entered = span.enter();
            let reservation = self.budget.quote(who, agent);
            let tokens = reservation.tokens;
            span.record("tokens", tokens);
            let place = self.audit.intend(it.intent(), Some(reservation))?;
            it.reserved = Some(tokens);
            place
        };
        self.intended(place).await
    }

    /// Says in the trail what is about to be done, when nothing is spent on it.
    pub(super) async fn intend(&self, it: &Interaction) -> Result<(), Failure> {
        let place = self.audit.intend(it.intent(), None)?;
        self.intended(place).await
    }

    async fn intended(&self, place: crate::ports::Place) -> Result<(), Failure> {
        // A log that has just failed would leave calls without a trace.
        if self.strict || self.audit.is_failing() {
            self.audit.durable(place).await?;
        }
        Ok(())
    }

    /// Do: send it on and take the answer back.
    pub(super) async fn forward(
        &self,
        it: &mut Interaction,
        who: &Principal,
        call: &Call,
        agent: &Arc<Agent>,
    ) -> Result<Done, Failure> {
        let routing = it.routing.as_ref();
        let span = tracing::debug_span!(
            "agent.invoke",
            agent.source = who.name(),
            agent.target = agent.name,
            routing.method = routing.map(|routing| routing.method.as_str()),
            routing.score = routing.map(|routing| routing.confidence),
            span_id = it.trace.span_id,
            result.success = tracing::field::Empty,
            result.tokens = tracing::field::Empty,
        );
        it.dial(span.clone());
        let about = About {
            trace: &it.trace,
            extensions: call.extensions.as_deref(),
            deadline: self.deadline(it),
        };
        let dialling = self.dial.dial(agent, &call.operation, &about);
        match dialling.instrument(span).await? {
            Answer::Once(payload) => {
                it.note(&ResultFacts::of(&payload));
                Ok(Done::Once(payload))
            }
            Answer::Events(mut events) => match events.next().await {
                // What fails before its first event is answered like a call.
                Some(Err(failure)) => Err(failure),
                Some(Ok(first)) => Ok(Done::Events(
                    stream::iter([Ok(first)]).chain(events).boxed(),
                )),
                None => Err(empty_stream(&agent.name)),
            },
        }
    }
}

fn empty_stream(agent: &str) -> Failure {
    Failure::new(
        FailureKind::InvalidAgentResponse,
        format!("`{agent}` answered an empty stream"),
    )
}

fn nobody(routed: &Routed) -> Failure {
    let near: Vec<String> = routed
        .decision
        .alternatives
        .iter()
        .map(|a| format!("{} {:.2}", a.agent, a.confidence))
        .collect();
    let mut failure = Failure::new(FailureKind::NobodyFound, routed.decision.reason.clone())
        .hint("say it with other words, name an agent, or configure `fallback` in mesh.yaml");
    if !near.is_empty() {
        failure = failure.fact("nearest", near.join(", "));
    }
    failure
}
