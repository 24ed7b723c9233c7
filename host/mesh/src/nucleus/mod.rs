//! The nucleus put together: state opened (`state`), deciders warm, the exchange ready.

mod state;

use crate::clock::{Clock, SystemClock};
use crate::decisions::{self, Decisions};
use crate::dial::{Allow, Dialler, Timeouts};
use crate::exchange::{Exchange, Limits, Parts};
use crate::health::Health;
use crate::identity::{self, Authority};
use crate::journal::{self, Journal};
use crate::learning::Teacher;
use crate::ledger::Budget;
use crate::policy::PolicyStore;
use crate::ports::{self, Audit, Evidence, Identity, Policy, Random};
use crate::principal::Principal;
use crate::registry::{Encode, Entry, Registry};
use crate::routing::{self, Routing};
use crate::store;
use crate::telemetry::{Metrics, RoutingMetrics};
use kgents_audit::Log;
use kgents_engine::deciders::policy::Source;
use kgents_engine::{Deciders, LoadError};
use kgents_gateway::call::Failure;
use state::State;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How often derived state is brought into the store.
const BRING_UP_EVERY: Duration = Duration::from_secs(2);

/// What the nucleus is started with.
pub struct Settings {
    /// Where state is kept; there, and only ours.
    pub data_dir: PathBuf,
    /// The trust domain.
    pub trust_domain: String,
    /// This cluster's name.
    pub cluster: String,
    /// Whether callers without identity are let in as `anonymous`.
    pub anonymous: bool,
    /// Addresses that may be called.
    pub allow: Allow,
    /// How long to wait for agents.
    pub timeouts: Timeouts,
    /// Smallest probability at which a searched agent is accepted.
    pub accept: f32,
    /// The agent for what nobody else takes.
    pub fallback: Option<String>,
    /// Whether intents must be durable before anything is done.
    pub strict: bool,
    /// How often agents are probed.
    pub probe_every: Duration,
    /// Policies.
    pub policies: Vec<Source>,
    /// Budgets.
    pub budgets: Vec<Budget>,
    /// How decisions are remembered.
    pub decisions: decisions::Settings,
    /// The encoder, if there is one: the installed model, or an endpoint.
    pub encoder: Option<Arc<dyn Encode>>,
}

/// The nucleus cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The audit log.
    #[error("the audit log cannot be opened")]
    Audit(#[from] kgents_audit::Error),
    /// What rides on the log.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// The authority.
    #[error(transparent)]
    Identity(#[from] identity::Error),
    /// The policy decider.
    #[error(transparent)]
    Policy(#[from] LoadError),
    /// A card of our own.
    #[error(transparent)]
    Card(#[from] Failure),
    /// TLS for calls to agents.
    #[error("TLS cannot be set up")]
    Tls(#[source] std::io::Error),
    /// Where decisions are shared.
    #[error("`decisions.shared` in mesh.yaml cannot be used")]
    Decisions(#[source] decisions::Error),
    /// The thread that learns.
    #[error("the system gives no thread to learn from the cards")]
    Teacher(#[source] std::io::Error),
}

impl Error {
    /// Stable name of the failure.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::Audit(error) => error.code(),
            Self::Journal(error) => error.code(),
            Self::Identity(error) => error.code(),
            Self::Policy(error) => error.code(),
            Self::Card(failure) => failure.kind.code(),
            Self::Tls(_) => "tls",
            Self::Decisions(_) => "decisions",
            Self::Teacher(_) => "teacher",
        }
    }
}

/// The nucleus, running.
pub struct Nucleus {
    /// The path of every interaction.
    pub exchange: Exchange,
    /// Issues and verifies tokens.
    pub authority: Arc<Authority>,
    /// The policies in force.
    pub policies: Arc<PolicyStore>,
    /// The agents.
    pub registry: Arc<Registry>,
    /// Audit and ledger.
    pub journal: Arc<Journal>,
    /// What the probes say.
    pub health: Arc<Health>,
    /// What cards and people teach.
    pub teacher: Arc<Teacher>,
    decisions: Arc<Decisions>,
    log: Log,
}

impl Nucleus {
    /// Opens the state and puts everything together. Blocks while texts are
    /// embedded.
    ///
    /// # Errors
    /// When any part of the state cannot be opened.
    pub fn open(
        settings: Settings,
        deciders: &Deciders,
        metrics: &mut prometheus_client::registry::Registry,
    ) -> Result<Self, Error> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let (settings, state) = State::open(settings, deciders, &clock)?;
        let teacher = Arc::new(state.teacher(deciders)?);
        let decisions = state.decisions(&settings.decisions)?;
        let routing = Arc::new(Routing::new(routing::Parts {
            router: deciders.router.clone(),
            evidence: Arc::clone(&state.evidence) as Arc<dyn Evidence>,
            policy: Arc::clone(&state.policies) as Arc<dyn Policy>,
            teacher: Arc::clone(&teacher),
            decisions: Arc::clone(&decisions),
            trust_domain: settings.trust_domain,
            cluster: settings.cluster.clone(),
            accept: settings.accept,
        }));
        let dialler = Arc::new(
            Dialler::new(
                settings.allow,
                settings.timeouts,
                Arc::clone(&state.authority),
                Arc::clone(&clock),
            )
            .map_err(Error::Tls)?,
        );
        let health = Arc::new(Health::new(
            deciders.health.clone(),
            Arc::clone(&dialler) as Arc<dyn ports::Probe>,
            Arc::clone(&state.registry),
            Arc::clone(&clock),
            settings.probe_every,
        ));
        state.registry.embedder().metrics().register(metrics);
        RoutingMetrics::register(&decisions, &teacher, metrics);
        let metrics = Metrics::new(metrics);
        metrics.count_agents(state.registry.directory().len());
        let exchange = Exchange::new(Parts {
            identity: Arc::new(Door {
                authority: Arc::clone(&state.authority),
                anonymous: settings.anonymous,
            }),
            evidence: Arc::clone(&state.evidence) as Arc<dyn Evidence>,
            policy: Arc::clone(&state.policies) as Arc<dyn Policy>,
            budget: Arc::clone(&state.journal) as Arc<dyn ports::Budget>,
            audit: Arc::clone(&state.journal) as Arc<dyn Audit>,
            dial: dialler,
            clock,
            random: Arc::new(FastRandom),
            routing,
            registry: Arc::clone(&state.registry),
            teacher: Arc::clone(&teacher),
            own: state.own(deciders),
            pheromones: state.pheromones(deciders)?,
            health: Arc::clone(&health),
            metrics,
            limits: Limits {
                answer: settings.timeouts.answer,
                idle: settings.timeouts.answer,
            },
            cluster: settings.cluster,
            strict: settings.strict,
        });
        Ok(Self {
            exchange,
            authority: state.authority,
            policies: state.policies,
            registry: state.registry,
            journal: state.journal,
            health,
            teacher,
            decisions,
            log: state.log,
        })
    }

    /// Registers cards from the mesh folder; those unchanged are left alone.
    /// Blocks while texts are embedded.
    ///
    /// # Errors
    /// When one is refused; nothing is changed then.
    pub fn register(&self, entries: Vec<Entry>) -> Result<(), Failure> {
        let directory = self.registry.directory();
        let changed: Vec<Entry> = entries
            .into_iter()
            .filter(|entry| {
                directory
                    .agent(&entry.name)
                    .is_none_or(|a| a.card.raw() != entry.card.raw())
            })
            .collect();
        if !changed.is_empty() {
            self.registry.put(changed)?;
        }
        Ok(())
    }

    /// What goes on in the background for as long as the mesh runs: probes,
    /// bringing state into the store, and vectors that an encoder did not give at
    /// once. May be dropped at any moment.
    pub async fn tend(&self) {
        // Side by side: agents that do not answer hold nothing up.
        tokio::join!(self.probe(), self.keep_up(), self.registry.catch_up());
    }

    async fn probe(&self) {
        let mut rounds = interval(self.health.every());
        loop {
            rounds.tick().await;
            if self.health.round().await {
                self.decisions.fleet_changed(&self.registry.directory());
            }
        }
    }

    async fn keep_up(&self) {
        let mut batches = interval(BRING_UP_EVERY);
        loop {
            batches.tick().await;
            self.bring_up().await;
            let agents = self.registry.directory().len();
            self.exchange.metrics.count_agents(agents);
        }
    }

    async fn bring_up(&self) {
        if let Err(error) = self.journal.bring_up().await {
            tracing::warn!(code = error.code(), %error, "state is not brought into the store yet");
        }
    }

    /// Brings everything home: call when no request is under way any more.
    pub async fn close(&self) {
        self.bring_up().await;
        if let Err(error) = self.log.close().await {
            tracing::error!(code = error.code(), %error, "the audit log did not close well");
        }
    }
}

/// Ticks that are not made up for when one comes late.
fn interval(every: Duration) -> tokio::time::Interval {
    // A period of nothing is not one.
    let mut interval = tokio::time::interval(every.max(Duration::from_millis(100)));
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    interval
}

/// Identity as the operator wants it: strict, or with the anonymous let in.
struct Door {
    authority: Arc<Authority>,
    anonymous: bool,
}

impl Identity for Door {
    fn identify(&self, token: Option<&str>, now_ms: u64) -> Result<Principal, Failure> {
        match token {
            Some(token) => self.authority.verify(token, now_ms),
            None if self.anonymous => Ok(Principal::anonymous(self.authority.trust_domain())),
            None => Err(kgents_gateway::door::no_identity()),
        }
    }
}

struct FastRandom;

impl Random for FastRandom {
    fn fill(&self, buffer: &mut [u8]) {
        fastrand::fill(buffer);
    }
}
