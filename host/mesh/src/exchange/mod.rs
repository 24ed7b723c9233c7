//! The exchange: the one path that every interaction takes, whoever calls and
//! wherever it entered.
//!
//! 1. arrive · 2. who · 3. where to, and may they · 4. reserve · 5. intend ·
//! 6. do · 7. remember.
//!
//! One audit event per interaction: allowed, denied or failed; recorded durably before the last byte of the answer leaves.
//!
//! An interaction is a call that a codec understood. What no codec understood
//! asks nothing of anybody: it is answered in its protocol's words and counted
//! (`kgents_requests_refused`), not audited. Refusals of callers whom nobody
//! knows are audited up to a rate; see `strangers`.
//!
//! Deadlines and cancellation: an interaction has one deadline, from arrival to
//! its answer or to the first event of its stream; between two events of a
//! stream no more than the idle limit may pass. A caller that goes away drops
//! the future, and with it what was asked of the agent; that is recorded as
//! failed, `CANCELLED`. What changes the mesh itself (registering, removing,
//! emitting) is finished once it is begun.
//!
//! A conversation (`contextId`) is the agent's affair: it is passed on as it
//! comes. The mesh remembers who answered last in it, for its caller alone, so
//! that the next question goes there. Tasks belong to their callers.
//!
//! Reading order: this file, `case`, `interaction`, `strangers`, `permit`,
//! `message`, `task`, `operation`, `teach`, `own`, `stream`.

mod case;
mod interaction;
mod message;
mod operation;
mod own;
mod permit;
mod strangers;
mod stream;
mod task;
mod teach;

pub use stream::EventStream;
pub(crate) use task::caller;

use crate::clock::Clock;
use crate::health::Health;
use crate::learning::Teacher;
use crate::own::Own;
use crate::pheromones::Pheromones;
use crate::ports::{Action, Audit, Budget, Dial, Evidence, Identity, Policy, Random};
use crate::registry::Registry;
use crate::routing::Routing;
use crate::telemetry::{Metrics, Refused};
use case::Case;
use futures_util::FutureExt;
use futures_util::stream::BoxStream;
use interaction::Interaction;
use kgents_gateway::call::{Call, Failure, FailureKind, Operation, Payload, ReplyHead, Target};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use strangers::Strangers;
use tokio::time::Instant;
use tracing::Instrument;

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

/// How long an interaction may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From arrival to the answer, or to the first event of a stream.
    pub answer: Duration,
    /// Between two events of a stream.
    pub idle: Duration,
}

/// Everything the exchange works with: its ports, and the rooms of the mesh
/// that answer what is asked of the mesh itself.
pub struct Parts {
    /// Who is calling?
    pub identity: Arc<dyn Identity>,
    /// Where could it go?
    pub evidence: Arc<dyn Evidence>,
    /// May they?
    pub policy: Arc<dyn Policy>,
    /// Who pays?
    pub budget: Arc<dyn Budget>,
    /// The trail, and what rides on it.
    pub audit: Arc<dyn Audit>,
    /// Calls agents.
    pub dial: Arc<dyn Dial>,
    /// What time is it?
    pub clock: Arc<dyn Clock>,
    /// Ids of spans and events.
    pub random: Arc<dyn Random>,
    /// Where to?
    pub routing: Arc<Routing>,
    /// Registers agents and takes them out.
    pub registry: Arc<Registry>,
    /// Learns from the cards, and from what callers say of decisions.
    pub teacher: Arc<Teacher>,
    /// The mesh's own agents.
    pub own: Own,
    /// Signals between agents.
    pub pheromones: Arc<Pheromones>,
    /// What the probes say.
    pub health: Arc<Health>,
    /// What is counted.
    pub metrics: Metrics,
    /// How long an interaction may take.
    pub limits: Limits,
    /// This cluster's name.
    pub cluster: String,
    /// Whether an intent must be durable before anything is done.
    pub strict: bool,
}

/// The exchange. Cheap to clone.
#[derive(Clone)]
pub struct Exchange(Arc<Inner>);

/// The ports, and what the exchange keeps for itself.
struct Inner {
    parts: Parts,
    strangers: Strangers,
}

/// How an interaction went well.
enum Done {
    /// Answered; the outcome is still to be recorded.
    Once(Payload),
    /// Answered, and recorded already.
    Recorded(Payload),
    /// Answers come.
    Events(BoxStream<'static, Result<Payload, Failure>>),
}

impl std::ops::Deref for Exchange {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0.parts
    }
}

impl Exchange {
    /// An exchange over its ports.
    pub fn new(parts: Parts) -> Self {
        let strangers = Strangers::new(Instant::now());
        Self(Arc::new(Inner { parts, strangers }))
    }

    /// Takes one request through the path. Dropping the future cancels it,
    /// unless it changes the mesh itself.
    pub async fn run(&self, arrival: Arrival) -> Reply {
        if !arrival.call.as_ref().is_ok_and(changes_the_mesh) {
            return self.take(arrival).await;
        }
        let exchange = self.clone();
        let finishing = tokio::spawn(async move { exchange.take(arrival).await });
        finishing.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a change was cut off");
            Reply::plain(Err(stopping()))
        })
    }

    async fn take(&self, arrival: Arrival) -> Reply {
        let Arrival {
            call,
            token,
            base_url,
        } = arrival;
        if call.as_ref().is_ok_and(is_public) {
            return Reply::plain(Ok(operation::mesh_card(&base_url)));
        }
        let now_ms = self.clock.now_ms();
        let identified = {
            let _span = tracing::debug_span!("identity.verify").entered();
            self.identity.identify(token.as_deref(), now_ms)
        };
        match (call, identified) {
            (Ok(call), Ok(who)) => {
                let input_hash = self.audit.input_hash(input(&call.operation));
                let who = Some(who);
                let case = Case::open(&call, who, input_hash, now_ms, self.random.as_ref());
                let span = tracing::debug_span!(
                    "exchange.run",
                    event = case.event,
                    method = case.method,
                    trace_id = case.trace.trace_id,
                    parent_id = case.trace.parent_id,
                );
                let interaction = Interaction::begin(self, case);
                self.interact(interaction, &call, &base_url)
                    .instrument(span)
                    .await
            }
            (Ok(call), Err(failure)) => self.turn_away(&call, failure, now_ms).await,
            // Who is nobody here learns nothing of what was wrong.
            (Err(_), Err(failure)) | (Err(failure), Ok(_)) => self.refuse(failure),
        }
    }

    /// A request that is not audited: answered and counted.
    fn refuse(&self, failure: Failure) -> Reply {
        let code = failure.kind.code();
        self.metrics.refused.get_or_create(&Refused { code }).inc();
        Reply::plain(Err(failure))
    }

    /// A call of someone whom nobody knows.
    async fn turn_away(&self, call: &Call, failure: Failure, now_ms: u64) -> Reply {
        let Some(left_out) = self.0.strangers.record(Instant::now()) else {
            return self.refuse(failure);
        };
        let input_hash = self.audit.input_hash(input(&call.operation));
        let case = Case::open(call, None, input_hash, now_ms, self.random.as_ref());
        let mut interaction = Interaction::begin(self, case);
        interaction.left_out = left_out;
        let recorded = interaction.fail(&failure);
        self.answered(&interaction, recorded, Err(failure)).await
    }

    async fn interact(&self, mut it: Interaction, call: &Call, base_url: &str) -> Reply {
        let deadline = self.deadline(&it);
        let performing = AssertUnwindSafe(self.perform(&mut it, call, base_url)).catch_unwind();
        let performed = if changes_the_mesh(call) {
            performing.await
        } else {
            tokio::time::timeout_at(deadline, performing)
                .await
                .unwrap_or_else(|_| Ok(Err(self.too_late())))
        };
        match performed.unwrap_or_else(|_| Err(bug())) {
            Ok(Done::Events(events)) => {
                let head = it.head(&self.cluster);
                let body = ReplyBody::Events(EventStream::new(it, events, self.limits.idle));
                Reply { head, body }
            }
            Ok(Done::Once(payload)) => {
                let recorded = it.succeed();
                self.answered(&it, recorded, Ok(payload)).await
            }
            Ok(Done::Recorded(payload)) => Reply {
                head: it.head(&self.cluster),
                body: ReplyBody::Once(Ok(payload)),
            },
            // A change whose record was lost has been taken back.
            Err(failure) if !it.is_open() => Reply {
                head: it.head(&self.cluster),
                body: ReplyBody::Once(Err(failure)),
            },
            Err(failure) => {
                let recorded = it.fail(&failure);
                self.answered(&it, recorded, Err(failure)).await
            }
        }
    }

    /// Lets an answer go once its outcome cannot be lost.
    async fn answered(
        &self,
        interaction: &Interaction,
        recorded: Result<crate::ports::Place, Failure>,
        answer: Result<Payload, Failure>,
    ) -> Reply {
        let head = interaction.head(&self.cluster);
        let kept = match recorded {
            Ok(place) => self.audit.durable(place).await,
            Err(lost) => Err(lost),
        };
        let body = ReplyBody::Once(kept.and(answer));
        Reply { head, body }
    }

    async fn perform(
        &self,
        it: &mut Interaction,
        call: &Call,
        base_url: &str,
    ) -> Result<Done, Failure> {
        let Some(who) = it.who.clone() else {
            return Err(bug());
        };
        match &call.operation {
            Operation::SendMessage(message) | Operation::StreamMessage(message) => {
                self.message(it, &who, call, message).await
            }
            Operation::GetTask(task) => {
                let asked = (task.task_id.as_str(), Action::ReadTask);
                self.task(it, &who, call, asked).await
            }
            Operation::CancelTask(task) => {
                let asked = (task.task_id.as_str(), Action::CancelTask);
                self.task(it, &who, call, asked).await
            }
            _ => self.operation(it, &who, call, base_url).await,
        }
    }

    /// When the caller is told that it took too long.
    fn deadline(&self, case: &Case) -> Instant {
        case.started + self.limits.answer
    }

    fn too_late(&self) -> Failure {
        let seconds = self.limits.answer.as_secs_f32();
        let message = format!("no answer came within {seconds} s");
        Failure::new(FailureKind::TimedOut, message)
            .hint("raise `upstreams.timeout` in mesh.yaml if it needs longer")
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

/// The mesh's own card: public, and no interaction.
fn is_public(call: &Call) -> bool {
    matches!(
        (&call.target, &call.operation),
        (Target::Mesh, Operation::Card)
    )
}

/// What is finished once it is begun, whoever goes away: half a registration
/// with the outcome "cancelled" would be a trail that lies.
const fn changes_the_mesh(call: &Call) -> bool {
    matches!(
        call.operation,
        Operation::RegisterAgent(_)
            | Operation::RemoveAgent
            | Operation::Emit(_)
            | Operation::GiveFeedback(_)
            | Operation::UndoFeedback { .. }
    )
}

/// What of an operation is hashed into the trail.
fn input(operation: &Operation) -> &[u8] {
    match operation {
        Operation::SendMessage(message) | Operation::StreamMessage(message) => {
            message.params.as_bytes()
        }
        Operation::GetTask(task) | Operation::CancelTask(task) => task.params.as_bytes(),
        Operation::Route(call) => call.text.as_bytes(),
        Operation::RegisterAgent(registration) => match &registration.card {
            Some(card) => card.as_bytes(),
            None => registration.url.as_deref().unwrap_or_default().as_bytes(),
        },
        Operation::Emit(draft) => draft.payload.as_ref().map_or(&[][..], |p| p.as_bytes()),
        Operation::GiveFeedback(draft) => draft.text.as_ref().unwrap_or(&draft.decision).as_bytes(),
        Operation::UndoFeedback { id } => id.as_bytes(),
        Operation::Card
        | Operation::ListFeedback
        | Operation::ListAgents
        | Operation::DescribeAgent
        | Operation::RemoveAgent
        | Operation::Sense(_) => &[],
    }
}

fn bug() -> Failure {
    Failure::new(
        FailureKind::Internal,
        "the mesh made a mistake; its log has the detail",
    )
}

fn stopping() -> Failure {
    Failure::new(FailureKind::Unavailable, "the mesh is shutting down")
}
