//! One interaction and everything the trail will say of it.

use crate::ports::{Judgement, Random};
use crate::principal::Principal;
use crate::trace::TraceContext;
use kgents_audit::{
    Action, Agent, AgentAuditEvent, Decision, DecisionOutcome, Intent, Routing, Trace, event_name,
    timestamp,
};
use kgents_gateway::call::{Call, Operation, ReplyHead, Target};
use tokio::time::Instant;

/// Name of the caller nobody could identify, in audit events.
const UNKNOWN: &str = "unknown";
/// What stands in the trail for a target that no agent can be called.
const NO_NAME: &str = "(not a name)";

pub(super) struct Case {
    pub event: String,
    pub who: Option<Principal>,
    /// When it began, in milliseconds since the epoch; a clock may be set back,
    /// so how long it took is measured from `started`.
    pub began_ms: u64,
    pub started: Instant,
    pub kind: &'static str,
    pub target: String,
    pub method: &'static str,
    /// What one of the mesh's own agents was asked to do, once understood.
    pub operation: Option<String>,
    pub input_hash: String,
    pub trace: TraceContext,
    pub routing: Option<Routing>,
    pub judgement: Option<Judgement>,
    /// Tokens set aside, once they are.
    pub reserved: Option<u64>,
    /// The agent that answers, once known.
    pub agent: Option<String>,
    /// Whether the caller may not know that the target exists.
    pub hidden: bool,
    /// How many like this were left out of the trail before it.
    pub left_out: u64,
    /// Whether it is a message: only then an answer may begin a task and cost
    /// tokens. Reading a task tells again what a message has cost.
    pub is_message: bool,
}

impl Case {
    pub fn open(
        call: &Call,
        who: Option<Principal>,
        input_hash: String,
        now_ms: u64,
        random: &dyn Random,
    ) -> Self {
        let mut trace_random = [0; 24];
        random.fill(&mut trace_random);
        let mut name_random = [0; 5];
        random.fill(&mut name_random);
        let target = match &call.target {
            Target::Mesh => "mesh",
            // What callers make up stays out of the trail.
            Target::Agent(name) if !kgents_gateway::is_label(name) => NO_NAME,
            Target::Agent(name) => name,
        };
        Self {
            event: event_name(now_ms, name_random),
            who,
            began_ms: now_ms,
            started: Instant::now(),
            kind: kind(&call.operation),
            target: target.to_owned(),
            method: call.operation.name(),
            operation: None,
            input_hash,
            trace: TraceContext::new(call.traceparent.as_deref(), trace_random),
            routing: None,
            judgement: None,
            reserved: None,
            agent: None,
            hidden: false,
            left_out: 0,
            is_message: matches!(
                call.operation,
                Operation::SendMessage(_) | Operation::StreamMessage(_)
            ),
        }
    }

    pub fn intent(&self) -> Intent {
        Intent {
            event: self.event.clone(),
            timestamp_ms: self.began_ms,
            svid: self.svid().to_owned(),
            action: self.kind.to_owned(),
            target: self.target.clone(),
            carried: None,
        }
    }

    pub fn outcome(
        &self,
        cluster: &str,
        outcome: DecisionOutcome,
        reason: Option<&str>,
    ) -> AgentAuditEvent {
        let name = self.who.as_ref().map_or(UNKNOWN, Principal::name);
        let judgement = self.judgement.as_ref();
        AgentAuditEvent::new(
            self.event.clone(),
            kgents_audit::event::Spec {
                timestamp: timestamp(self.began_ms),
                agent: Agent {
                    name: name.to_owned(),
                    svid: self.svid().to_owned(),
                    cluster: cluster.to_owned(),
                },
                action: Action {
                    kind: self.kind.to_owned(),
                    target: self.target.clone(),
                    method: self.method.to_owned(),
                    operation: self.operation.clone(),
                    input_hash: self.input_hash.clone(),
                },
                decision: Decision {
                    outcome,
                    policy: judgement
                        .map_or_else(|| "default-deny".to_owned(), |j| j.policy.to_string()),
                    policies_checked: judgement
                        .map(|j| j.checked.iter().map(ToString::to_string).collect())
                        .unwrap_or_default(),
                    latency_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(0),
                    reason: reason.map(|reason| self.reason(reason)),
                },
                routing: self.routing.clone(),
                trace: Trace {
                    trace_id: self.trace.trace_id.clone(),
                    span_id: self.trace.span_id.clone(),
                },
            },
        )
    }

    /// What the caller is told of it, which is nothing of what is hidden.
    pub fn head(&self, cluster: &str) -> ReplyHead {
        let routing = self.routing.as_ref().filter(|_| !self.hidden);
        ReplyHead {
            event: self.event.clone(),
            agent: self.agent.clone(),
            cluster: self.agent.as_ref().map(|_| cluster.to_owned()),
            method: routing.map(|routing| routing.method.clone()),
            confidence: routing.map(|routing| routing.confidence as f32),
            fallback: routing.is_some_and(|routing| routing.fallback),
        }
    }

    /// Notes how the target was found.
    pub fn routed(&mut self, method: &str, confidence: f32, fallback: bool) {
        self.routing = Some(Routing {
            method: method.to_owned(),
            confidence: crate::routing::rounded(confidence),
            fallback,
        });
    }

    fn reason(&self, reason: &str) -> String {
        match self.left_out {
            0 => reason.to_owned(),
            count => format!("{reason} (and {count} more, not recorded one by one)"),
        }
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
        Operation::Route(_) => "ROUTE",
        Operation::ListAgents => "LIST",
        Operation::DescribeAgent => "DESCRIBE",
        Operation::RegisterAgent(_) => "REGISTER",
        Operation::RemoveAgent => "REMOVE",
        Operation::Emit(_) => "EMIT",
        Operation::Sense(_) => "SENSE",
        Operation::GiveFeedback(_) | Operation::ListFeedback | Operation::UndoFeedback { .. } => {
            "TEACH"
        }
    }
}
