//! One interaction and everything the trail will say of it.

use crate::ledger::Reservation;
use crate::ports::{Judgement, Random};
use crate::principal::Principal;
use crate::trace::TraceContext;
use kgents_audit::{
    Action, Agent, AgentAuditEvent, Decision, DecisionOutcome, Intent, Routing, Trace, event_name,
    timestamp,
};
use kgents_gateway::call::{Call, Operation, ReplyHead, Target};

/// Name of the caller nobody could identify, in audit events.
const UNKNOWN: &str = "unknown";

pub(super) struct Case {
    pub event: String,
    pub who: Option<Principal>,
    pub started_ms: u64,
    pub kind: &'static str,
    pub target: String,
    pub method: &'static str,
    pub input_hash: String,
    pub trace: TraceContext,
    pub routing: Option<Routing>,
    pub judgement: Option<Judgement>,
    pub reservation: Option<Reservation>,
    pub cluster: String,
    /// The agent that answers, once known.
    pub agent: Option<String>,
}

impl Case {
    pub fn open(
        call: &Call,
        who: Option<Principal>,
        input_hash: String,
        started_ms: u64,
        cluster: &str,
        random: &dyn Random,
    ) -> Self {
        let mut trace_random = [0; 24];
        random.fill(&mut trace_random);
        let mut name_random = [0; 5];
        random.fill(&mut name_random);
        Self {
            event: event_name(started_ms, name_random),
            who,
            started_ms,
            kind: kind(&call.operation),
            target: match &call.target {
                Target::Mesh => "mesh".to_owned(),
                Target::Agent(name) => name.clone(),
            },
            method: call.operation.name(),
            input_hash,
            trace: TraceContext::new(call.traceparent.as_deref(), trace_random),
            routing: None,
            judgement: None,
            reservation: None,
            cluster: cluster.to_owned(),
            agent: None,
        }
    }

    pub fn intent(&self, now_ms: u64) -> Intent {
        Intent {
            event: self.event.clone(),
            timestamp_ms: now_ms,
            svid: self.svid().to_owned(),
            action: self.kind.to_owned(),
            target: self.target.clone(),
            carried: None,
        }
    }

    pub fn outcome(
        &self,
        outcome: DecisionOutcome,
        reason: Option<&str>,
        now_ms: u64,
    ) -> AgentAuditEvent {
        let name = self.who.as_ref().map_or(UNKNOWN, Principal::name);
        let judgement = self.judgement.as_ref();
        AgentAuditEvent::new(
            self.event.clone(),
            kgents_audit::event::Spec {
                timestamp: timestamp(now_ms),
                agent: Agent {
                    name: name.to_owned(),
                    svid: self.svid().to_owned(),
                    cluster: self.cluster.clone(),
                },
                action: Action {
                    kind: self.kind.to_owned(),
                    target: self.target.clone(),
                    method: self.method.to_owned(),
                    input_hash: self.input_hash.clone(),
                },
                decision: Decision {
                    outcome,
                    policy: judgement
                        .map_or_else(|| "default-deny".to_owned(), |j| j.policy.to_string()),
                    policies_checked: judgement
                        .map(|j| j.checked.iter().map(ToString::to_string).collect())
                        .unwrap_or_default(),
                    latency_ms: now_ms.saturating_sub(self.started_ms),
                    reason: reason.map(str::to_owned),
                },
                routing: self.routing.clone(),
                trace: Trace {
                    trace_id: self.trace.trace_id.clone(),
                    span_id: self.trace.span_id.clone(),
                },
            },
        )
    }

    pub fn head(&self) -> ReplyHead {
        ReplyHead {
            event: self.event.clone(),
            agent: self.agent.clone(),
            cluster: self.agent.as_ref().map(|_| self.cluster.clone()),
            method: self.routing.as_ref().map(|routing| routing.method.clone()),
            confidence: self
                .routing
                .as_ref()
                .map(|routing| routing.confidence as f32),
            fallback: self
                .routing
                .as_ref()
                .is_some_and(|routing| routing.fallback),
        }
    }

    /// Notes how the target was found.
    pub fn routed(&mut self, method: &str, confidence: f32, fallback: bool) {
        self.routing = Some(Routing {
            method: method.to_owned(),
            confidence: f64::from(confidence),
            fallback,
        });
    }

    fn svid(&self) -> &str {
        self.who.as_ref().map_or("", Principal::svid)
    }
}

/// The closed list of what audit events are about.
fn kind(operation: &Operation) -> &'static str {
    match operation {
        Operation::SendMessage(_) | Operation::StreamMessage(_) => "INVOKE",
        Operation::GetTask(_) => "GET_TASK",
        Operation::CancelTask(_) => "CANCEL_TASK",
        Operation::Card => "CARD",
        Operation::Route { .. } => "ROUTE",
        Operation::ListAgents => "LIST",
        Operation::DescribeAgent => "DESCRIBE",
        Operation::RegisterAgent(_) => "REGISTER",
        Operation::RemoveAgent => "REMOVE",
        Operation::Emit(_) => "EMIT",
        Operation::Sense(_) => "SENSE",
    }
}
