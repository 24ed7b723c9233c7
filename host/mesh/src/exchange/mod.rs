//! The exchange: the one path that every interaction takes, whoever calls and
//! wherever it entered.
//!
//! 1. arrive · 2. who · 3. where to, and may they · 4. reserve · 5. intend ·
//! 6. do · 7. remember. One audit event per interaction: allowed, denied or
//! failed; recorded durably before the last byte of the answer leaves.
//!
//! Reading order: this file, `case`, `message`, `task`, `operation`, `stream`.

mod case;
mod message;
mod operation;
mod stream;
mod task;

pub use stream::EventStream;

use crate::clock::Clock;
use crate::health::Health;
use crate::ledger::{Entry, Reservation};
use crate::own::Own;
use crate::pheromones::Pheromones;
use crate::ports::{
    Action, Ask, Audit, Dial, Effects, Identity, Judgement, Place, Policy, Random, Resource,
};
use crate::principal::Principal;
use crate::registry::{Agent, Registry};
use crate::routing::Routing;
use crate::tasks::Tasks;
use crate::telemetry::{Interaction, Metrics, Refused};
use case::Case;
use futures_util::stream::BoxStream;
use kgents_audit::DecisionOutcome;
use kgents_gateway::call::{Call, Failure, FailureKind, Operation, Payload, ReplyHead, Target};
use std::sync::Arc;

/// A request as a listener hands it over.
pub struct Arrival {
    /// What the codec made of it, or why it refused.
    pub call: Result<Call, Failure>,
    /// The caller's bearer token, if one came.
    pub token: Option<String>,
    /// How callers reach this mesh, `http://host:port`, for cards.
    pub base_url: String,
}

/// What goes back.
pub struct Reply {
    /// For the `kgents-*` headers.
    pub head: ReplyHead,
    /// The answer.
    pub body: ReplyBody,
}

/// An answer at once, or event by event.
pub enum ReplyBody {
    /// At once.
    Once(Result<Payload, Failure>),
    /// Event by event.
    Events(EventStream),
}

/// Everything the exchange works with.
pub struct Parts {
    /// Who is calling?
    pub identity: Arc<dyn Identity>,
    /// May they?
    pub policy: Arc<dyn Policy>,
    /// The trail, and what rides on it.
    pub audit: Arc<dyn Audit>,
    /// Calls agents.
    pub dial: Arc<dyn Dial>,
    /// What time is it?
    pub clock: Arc<dyn Clock>,
    /// Ids of spans and events.
    pub random: Arc<dyn Random>,
    /// Which agents there are.
    pub registry: Arc<Registry>,
    /// Where to?
    pub routing: Arc<Routing>,
    /// Whose task is it?
    pub tasks: Arc<Tasks>,
    /// The mesh's own agents.
    pub own: Own,
    /// Signals between agents.
    pub pheromones: Arc<Pheromones>,
    /// What the probes say.
    pub health: Arc<Health>,
    /// What is counted.
    pub metrics: Metrics,
    /// Who pays for a caller.
    pub payer: Arc<dyn Fn(&str) -> String + Send + Sync>,
    /// This cluster's name.
    pub cluster: String,
    /// Whether an intent must be durable before anything is done.
    pub strict: bool,
}

/// The exchange. Cheap to clone.
#[derive(Clone)]
pub struct Exchange(Arc<Parts>);

/// How an interaction went well.
enum Done {
    /// Answered; these effects are to be recorded with the outcome.
    Once(Payload, Effects),
    /// Answered and recorded already; undone if the record is lost.
    Recorded(Payload, Place, Option<Entry>),
    /// Answers come.
    Events(BoxStream<'static, Result<Payload, Failure>>),
}

impl std::ops::Deref for Exchange {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Exchange {
    /// An exchange over its ports.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Takes one request through the path.
    pub async fn run(&self, arrival: Arrival) -> Reply {
        let Arrival {
            call,
            token,
            base_url,
        } = arrival;
        if let Ok(Call {
            target: Target::Mesh,
            operation: Operation::Card,
            ..
        }) = &call
        {
            return Reply::plain(Ok(operation::mesh_card(&base_url)));
        }
        let now = self.clock.now_ms();
        let identified = self.identity.identify(token.as_deref(), now);
        let call = match (call, &identified) {
            (Ok(call), _) => call,
            // Who is nobody here learns nothing of what was wrong.
            (Err(_), Err(failure)) => return self.refuse(failure.clone()),
            (Err(failure), Ok(_)) => return self.refuse(failure),
        };
        let input_hash = self.audit.input_hash(input(&call.operation));
        let who = identified.as_ref().ok().cloned();
        let mut case = Case::open(
            &call,
            who,
            input_hash,
            now,
            &self.cluster,
            self.random.as_ref(),
        );
        self.metrics.active.inc();
        let done = match identified {
            Ok(who) => self.perform(&mut case, &who, &call, &base_url).await,
            Err(failure) => Err(failure),
        };
        match done {
            Ok(Done::Events(events)) => {
                let head = case.head();
                let body = ReplyBody::Events(EventStream::new(self.clone(), case, events));
                return Reply { head, body };
            }
            Ok(Done::Once(payload, effects)) => self.succeed(case, payload, effects).await,
            Ok(Done::Recorded(payload, place, entry)) => {
                self.recorded(case, payload, place, entry).await
            }
            Err(failure) => self.fail(case, failure).await,
        }
    }

    /// A request that is no interaction: answered, counted, not audited.
    fn refuse(&self, failure: Failure) -> Reply {
        let code = failure.kind.code();
        self.metrics.refused.get_or_create(&Refused { code }).inc();
        Reply::plain(Err(failure))
    }

    async fn perform(
        &self,
        case: &mut Case,
        who: &Principal,
        call: &Call,
        base_url: &str,
    ) -> Result<Done, Failure> {
        match &call.operation {
            Operation::SendMessage(message) | Operation::StreamMessage(message) => {
                self.message(case, who, call, message).await
            }
            Operation::GetTask(task) => {
                self.task(case, who, call, &task.task_id, Action::ReadTask)
                    .await
            }
            Operation::CancelTask(task) => {
                self.task(case, who, call, &task.task_id, Action::CancelTask)
                    .await
            }
            _ => self.operation(case, who, call, base_url).await,
        }
    }

    async fn succeed(&self, case: Case, payload: Payload, effects: Effects) -> Reply {
        let head = case.head();
        let recorded = self
            .conclude(case, DecisionOutcome::Allowed, None, effects)
            .await;
        Reply {
            head,
            body: ReplyBody::Once(recorded.map(|()| payload)),
        }
    }

    async fn recorded(
        &self,
        case: Case,
        payload: Payload,
        place: Place,
        entry: Option<Entry>,
    ) -> Reply {
        let head = case.head();
        let durable = self.audit.durable(place).await;
        if let (Err(_), Some(entry)) = (&durable, &entry) {
            self.own.undo(entry);
        }
        self.count(&case, DecisionOutcome::Allowed);
        Reply {
            head,
            body: ReplyBody::Once(durable.map(|()| payload)),
        }
    }

    async fn fail(&self, case: Case, failure: Failure) -> Reply {
        let head = case.head();
        let outcome = outcome_of(&case, &failure);
        let reason = failure.kind.code();
        // Nothing was answered, so nothing is known to be used.
        let effects = settle(&case, 0);
        let body = match self.conclude(case, outcome, Some(reason), effects).await {
            Ok(()) => Err(failure),
            Err(lost) => Err(lost),
        };
        Reply {
            head,
            body: ReplyBody::Once(body),
        }
    }

    /// Records how it ended and waits until that cannot be lost.
    async fn conclude(
        &self,
        case: Case,
        outcome: DecisionOutcome,
        reason: Option<&str>,
        effects: Effects,
    ) -> Result<(), Failure> {
        let place = self.append_outcome(&case, outcome, reason, effects)?;
        self.audit.durable(place).await
    }

    fn append_outcome(
        &self,
        case: &Case,
        outcome: DecisionOutcome,
        reason: Option<&str>,
        effects: Effects,
    ) -> Result<Place, Failure> {
        self.count(case, outcome);
        self.audit
            .conclude(case.outcome(outcome, reason, self.clock.now_ms()), effects)
    }

    fn count(&self, case: &Case, outcome: DecisionOutcome) {
        self.metrics.active.dec();
        let outcome = match outcome {
            DecisionOutcome::Allowed => "ALLOWED",
            DecisionOutcome::Denied => "DENIED",
            DecisionOutcome::Failed => "FAILED",
        };
        let labels = Interaction {
            method: case.method,
            outcome,
        };
        self.metrics.interactions.get_or_create(&labels).inc();
        let elapsed = self.clock.now_ms().saturating_sub(case.started_ms);
        self.metrics.duration.observe(elapsed as f64 / 1000.0);
    }

    /// Asks the policies one thing, and notes their answer for the trail.
    fn judge(&self, case: &mut Case, who: &Principal, ask: Ask<'_>) -> Result<Judgement, Failure> {
        let judgement = self
            .policy
            .judge(who, &[ask])?
            .pop()
            .unwrap_or_else(Judgement::none);
        case.judgement = Some(judgement.clone());
        Ok(judgement)
    }

    /// Whether the caller may do this to that agent. Who may not even see it
    /// is told there is none.
    fn permit(
        &self,
        case: &mut Case,
        who: &Principal,
        agent: &Agent,
        action: Action,
    ) -> Result<(), Failure> {
        let asks = [
            Ask::new(Action::List, Resource::Agent(agent)),
            Ask::new(action, Resource::Agent(agent)),
        ];
        let mut answers = self.policy.judge(who, &asks)?.into_iter();
        let list = answers.next().unwrap_or_else(Judgement::none);
        let wanted = answers.next().unwrap_or_else(Judgement::none);
        if !list.allowed {
            case.judgement = Some(list);
            return Err(crate::registry::unknown(&agent.name));
        }
        let allowed = wanted.allowed;
        case.judgement = Some(wanted);
        if allowed {
            Ok(())
        } else {
            Err(denied(who, action, &agent.name))
        }
    }
}

impl Reply {
    fn plain(result: Result<Payload, Failure>) -> Self {
        Self {
            head: ReplyHead::default(),
            body: ReplyBody::Once(result),
        }
    }
}

/// What of an operation is hashed into the trail.
fn input(operation: &Operation) -> &[u8] {
    match operation {
        Operation::SendMessage(message) | Operation::StreamMessage(message) => {
            message.params.as_bytes()
        }
        Operation::GetTask(task) | Operation::CancelTask(task) => task.params.as_bytes(),
        Operation::Route { text } => text.as_bytes(),
        Operation::RegisterAgent(registration) => match &registration.card {
            Some(card) => card.as_bytes(),
            None => registration.url.as_deref().unwrap_or_default().as_bytes(),
        },
        Operation::Emit(draft) => draft.payload.as_ref().map_or(&[][..], |p| p.as_bytes()),
        Operation::Card
        | Operation::ListAgents
        | Operation::DescribeAgent
        | Operation::RemoveAgent
        | Operation::Sense(_) => &[],
    }
}

fn outcome_of(case: &Case, failure: &Failure) -> DecisionOutcome {
    let judged_no = case
        .judgement
        .as_ref()
        .is_some_and(|judgement| !judgement.allowed);
    match failure.kind {
        FailureKind::Unauthenticated | FailureKind::Denied | FailureKind::BudgetExhausted => {
            DecisionOutcome::Denied
        }
        // Refused to see it, which the caller is told as "there is none".
        FailureKind::UnknownAgent if judged_no => DecisionOutcome::Denied,
        _ => DecisionOutcome::Failed,
    }
}

fn settle(case: &Case, used: u64) -> Effects {
    let ledger = case
        .reservation
        .iter()
        .map(|reserved: &Reservation| Entry::Settle {
            reserved: reserved.clone(),
            used,
        })
        .collect();
    Effects { ledger, task: None }
}

/// The answer to who may not.
pub(crate) fn denied(who: &Principal, action: Action, what: &str) -> Failure {
    let message = format!("`{}` may not {} `{what}`", who.name(), action.name());
    Failure::new(FailureKind::Denied, message)
        .hint("a policy in policies/ has to permit it; kgents agents add --allow writes one")
}
