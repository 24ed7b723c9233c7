//! Metrics: counted where things happen, from real counts only. Labels are
//! closed enums. Served as OpenMetrics by the admin listener.

mod routing;

pub use routing::RoutingMetrics;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// One interaction.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Interaction {
    /// What was wanted: an operation's name.
    pub method: &'static str,
    /// ALLOWED, DENIED or FAILED.
    pub outcome: &'static str,
}

/// One routing decision.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Decision {
    /// The rung that decided.
    pub method: &'static str,
}

/// One request that never became an interaction.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Refused {
    /// The failure's code.
    pub code: &'static str,
}

/// One failure of the encoder.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct EncoderFailure {
    /// The failure's code.
    pub code: &'static str,
}

/// What is counted of the encoder; the registry has it before the rest is there.
#[derive(Clone, Debug, Default)]
pub struct EncoderMetrics {
    failures: Family<EncoderFailure, Counter>,
    waiting: Gauge,
}

impl EncoderMetrics {
    /// Registers them.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "kgents_encoder_failures",
            "Requests to the encoder that gave no vectors, by code",
            self.failures.clone(),
        );
        registry.register(
            "kgents_agents_without_vectors",
            "Agents that wait for the encoder and are found by words alone",
            self.waiting.clone(),
        );
    }

    /// Counts a failure.
    pub fn failed(&self, code: &'static str) {
        self.failures.get_or_create(&EncoderFailure { code }).inc();
    }

    /// Failures so far with this code.
    pub fn failures(&self, code: &'static str) -> u64 {
        self.failures.get_or_create(&EncoderFailure { code }).get()
    }

    /// Tells how many agents wait for vectors now.
    pub fn count_waiting(&self, count: usize) {
        self.waiting.set(i64::try_from(count).unwrap_or(i64::MAX));
    }
}

/// The mesh's metrics.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Interactions, each audited once.
    pub interactions: Family<Interaction, Counter>,
    /// From arrival to outcome.
    pub duration: Histogram,
    /// Routing decisions by rung.
    pub decisions: Family<Decision, Counter>,
    /// Requests that are not audited: those no codec understood, and what
    /// callers without identity send too often.
    pub refused: Family<Refused, Counter>,
    /// Tokens that agents reported.
    pub tokens: Counter,
    /// Interactions under way.
    pub active: Gauge,
    /// Registered agents, the mesh's own included.
    pub agents: Gauge,
}

impl Metrics {
    /// Makes and registers them.
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            interactions: Family::default(),
            duration: Histogram::new(exponential_buckets(0.000_1, 2.5, 14)),
            decisions: Family::default(),
            refused: Family::default(),
            tokens: Counter::default(),
            active: Gauge::default(),
            agents: Gauge::default(),
        };
        let m = &metrics;
        registry.register(
            "kgents_interactions",
            "Interactions by method and outcome",
            m.interactions.clone(),
        );
        registry.register(
            "kgents_interaction_duration_seconds",
            "From arrival to recorded outcome",
            m.duration.clone(),
        );
        registry.register(
            "kgents_routing_decisions",
            "Routing decisions by the rung that decided",
            m.decisions.clone(),
        );
        registry.register(
            "kgents_requests_refused",
            "Requests that are not audited one by one, by code",
            m.refused.clone(),
        );
        registry.register(
            "kgents_agent_tokens",
            "Tokens that agents reported",
            m.tokens.clone(),
        );
        registry.register(
            "kgents_interactions_active",
            "Interactions under way",
            m.active.clone(),
        );
        registry.register("kgents_agents", "Agents in the registry", m.agents.clone());
        metrics
    }

    /// Tells how many agents there are now.
    pub fn count_agents(&self, count: usize) {
        self.agents.set(i64::try_from(count).unwrap_or(i64::MAX));
    }
}
