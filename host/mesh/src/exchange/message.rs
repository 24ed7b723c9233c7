//! Messages: to a named agent, or to whoever the router finds.

use super::case::Case;
use super::{Done, Exchange, settle};
use crate::ledger::Reservation;
use crate::ports::{About, Action, Answer};
use crate::principal::Principal;
use crate::registry::Agent;
use crate::routing::{Routed, method_name};
use crate::tasks::TaskOwner;
use crate::telemetry::Decision;
use futures_util::StreamExt;
use futures_util::stream;
use kgents_gateway::call::{Call, Failure, FailureKind, Message, Target};
use kgents_gateway::facts::ResultFacts;
use std::sync::Arc;
use tracing::Instrument;

/// Tokens set aside for a call whose agent does not say how many it may use.
/// Small, since most agents report their usage and the rest use none we know.
const RESERVE_TOKENS: u64 = 100;
/// Label with which a card says how many tokens a call may use at most.
const RESERVE_LABEL: &str = "kgents.io/reserve-tokens";

impl Exchange {
    pub(super) async fn message(
        &self,
        case: &mut Case,
        who: &Principal,
        call: &Call,
        message: &Message,
    ) -> Result<Done, Failure> {
        let agent = self.find(case, who, call, message).await?;
        case.target.clone_from(&agent.name);
        self.permit(case, who, &agent, Action::Invoke)?;
        case.agent = Some(agent.name.clone());
        for task in message.task_id.iter().chain(&message.reference_task_ids) {
            self.check_owner(who, &agent, task)?;
        }
        if agent.is_own() {
            let asked = super::operation::own(self, case, who, &agent.name, message)?;
            return Ok(asked);
        }
        self.reserve(case, who, &agent).await?;
        self.forward(case, who, call, &agent).await
    }

    /// Where to: the agent that was named, the one that has the task, or the
    /// one the router finds.
    async fn find(
        &self,
        case: &mut Case,
        who: &Principal,
        call: &Call,
        message: &Message,
    ) -> Result<Arc<Agent>, Failure> {
        if let Target::Agent(name) = &call.target {
            let (agent, decision) = self.routing.named(name)?;
            case.routed(method_name(&decision), decision.confidence, false);
            return Ok(agent);
        }
        if let Some(task) = &message.task_id {
            let agent = self.owner_of(who, task)?;
            case.routed("exact", 1.0, false);
            return Ok(agent);
        }
        let routed = self.route(who, &message.text).await?;
        let method = method_name(&routed.decision);
        case.routed(method, routed.decision.confidence, routed.decision.fallback);
        match routed.agent {
            Some(agent) => Ok(agent),
            None => Err(nobody(&routed)),
        }
    }

    /// Decides a question where it may take its time.
    pub(super) async fn route(&self, who: &Principal, text: &str) -> Result<Routed, Failure> {
        let routed = if self.routing.is_quick(who, text) {
            self.routing.question(who, text)?
        } else {
            let (routing, who, text) = (Arc::clone(&self.routing), who.clone(), text.to_owned());
            let span = tracing::debug_span!("router.resolve");
            tokio::task::spawn_blocking(move || span.in_scope(|| routing.question(&who, &text)))
                .await
                .map_err(|error| {
                    tracing::error!(%error, "routing was cut off");
                    Failure::new(FailureKind::Unavailable, "the mesh is shutting down")
                })??
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
    pub(super) async fn reserve(
        &self,
        case: &mut Case,
        who: &Principal,
        agent: &Agent,
    ) -> Result<(), Failure> {
        let tokens = agent
            .card
            .labels
            .get(RESERVE_LABEL)
            .and_then(|text| text.parse().ok())
            .unwrap_or(RESERVE_TOKENS);
        let consumer = who.name().to_owned();
        let account = (self.payer)(&consumer);
        let reservation = Reservation {
            account,
            consumer,
            tokens,
        };
        self.intend(case, Some(reservation)).await
    }

    pub(super) async fn intend(
        &self,
        case: &mut Case,
        reservation: Option<Reservation>,
    ) -> Result<(), Failure> {
        let intent = case.intent(self.clock.now_ms());
        let place = self.audit.intend(intent, reservation.as_ref())?;
        case.reservation = reservation;
        if self.strict {
            self.audit.durable(place).await?;
        }
        Ok(())
    }

    /// Do: send it on and take the answer back.
    pub(super) async fn forward(
        &self,
        case: &Case,
        who: &Principal,
        call: &Call,
        agent: &Arc<Agent>,
    ) -> Result<Done, Failure> {
        let routing = case.routing.as_ref();
        let span = tracing::debug_span!(
            "agent.invoke",
            agent.source = who.name(),
            agent.target = agent.name,
            routing.method = routing.map(|routing| routing.method.as_str()),
            routing.score = routing.map(|routing| routing.confidence),
            trace_id = case.trace.trace_id,
            result.success = tracing::field::Empty,
            result.tokens = tracing::field::Empty,
        );
        let about = About {
            trace: &case.trace,
            extensions: call.extensions.as_deref(),
        };
        let answer = self
            .dial
            .dial(agent, &call.operation, &about)
            .instrument(span.clone())
            .await
            .inspect_err(|_| {
                span.record("result.success", false);
            })?;
        span.record("result.success", true);
        match answer {
            Answer::Once(payload) => {
                let facts = ResultFacts::of(&payload);
                if let Some(tokens) = facts.tokens {
                    span.record("result.tokens", tokens);
                }
                let effects = self.effects(case, who, &agent.name, &facts);
                Ok(Done::Once(payload, effects))
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

    /// What an answer changes: the reservation is settled on what the agent
    /// says it used, and a task that began has an owner.
    fn effects(
        &self,
        case: &Case,
        who: &Principal,
        agent: &str,
        facts: &ResultFacts,
    ) -> crate::ports::Effects {
        let used = facts.tokens.unwrap_or(0);
        self.metrics.tokens.inc_by(used);
        let mut effects = settle(case, used);
        effects.task = facts
            .task_id
            .as_ref()
            .and_then(|task| self.new_owner(who, agent, task));
        effects
    }

    /// Remembers a task's owner at once, so that a follow-up finds it, and
    /// tells whether the trail still has to carry it.
    pub(super) fn new_owner(&self, who: &Principal, agent: &str, task: &str) -> Option<TaskOwner> {
        let owner = TaskOwner {
            agent: agent.to_owned(),
            task: task.to_owned(),
            caller: super::task::caller(who),
        };
        self.tasks.remember(&owner).then_some(owner)
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
