//! A decision as it is remembered, and as it is served.

use super::changes::Size;
use super::key::Key;
use super::steps::Steps;
use super::texts::Words;
use kgents_engine::deciders::router::Alternative;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// Alternatives that are remembered; the router gives no more.
const ALTERNATIVES_MAX: usize = 5;

/// What a decision rests on. One that rests on its conversation is not remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// A name that several agents share, told apart.
    Exact,
    /// A decided text much like this one. Never itself what others are compared
    /// with: likeness of likeness would drift.
    Similar,
    /// The model.
    Classifier,
    /// The search.
    Search,
}

/// What was decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    /// The chosen agent, as it was chosen: before a successor took over from it.
    pub agent: String,
    /// Its cluster.
    pub cluster: String,
    /// Calibrated probability, 0.0 to 1.0.
    pub confidence: f32,
    /// What it rests on.
    pub basis: Basis,
    /// Best first; the first five count.
    pub alternatives: Vec<Alternative>,
    /// Probability that anybody here does this, 0.0 to 1.0.
    pub in_scope: f32,
    /// Whether nothing but shared words could have led there: no encoder and no
    /// model was asked. Then an agent without a word of the question cannot alter it.
    pub by_words_alone: bool,
}

/// A remembered decision, found and still good.
#[derive(Clone, Debug)]
pub struct Served {
    /// The agent to take: the decided one, or its successor.
    pub agent: String,
    /// That agent's cluster.
    pub cluster: String,
    /// The decided agent's name where it is deprecated and `agent` takes over from
    /// it. Whether the caller may be led to the successor was never asked.
    pub instead_of: Option<String>,
    /// What was decided.
    pub decided: Arc<Decided>,
    /// The text that was decided, normalised.
    pub text: Arc<str>,
}

impl Decided {
    /// Fit to be kept: probabilities are numbers from 0.0 to 1.0, and an agent is
    /// named.
    pub(super) fn checked(mut self) -> Option<Self> {
        let is_probability = |p: f32| (0.0..=1.0).contains(&p);
        self.alternatives.truncate(ALTERNATIVES_MAX);
        let fits = !self.agent.is_empty()
            && is_probability(self.confidence)
            && is_probability(self.in_scope)
            && self
                .alternatives
                .iter()
                .all(|a| is_probability(a.confidence));
        fits.then_some(self)
    }

    /// How far the chosen agent is ahead of the next one, 0.0 to 1.0.
    pub(super) fn margin(&self) -> f32 {
        let confidences = self.alternatives.iter().map(|next| next.confidence);
        (self.confidence - confidences.fold(0.0, f32::max)).max(0.0)
    }

    /// Whether an agent is the chosen one or an alternative.
    pub(super) fn names(&self, agent: &str) -> bool {
        self.agent == agent || self.alternatives.iter().any(|next| next.agent == agent)
    }

    /// Whether others may be compared with it.
    pub(super) fn is_firm(&self) -> bool {
        self.basis != Basis::Similar
    }
}

/// A decision in memory, with what is needed to tell whether it still holds.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) decided: Arc<Decided>,
    pub(super) text: Arc<str>,
    /// The question's words that tell something.
    pub(super) words: Words,
    /// The question's direction; `None` without an encoder or a known word.
    pub(super) vector: Option<Steps>,
    /// Cosine of the question and the nearest text of the decided agent, once
    /// somebody wanted to know.
    nearest: OnceLock<Option<f32>>,
    /// How large the fleet was when it was decided.
    pub(super) size: Size,
    /// The last step of the changes at which it was known to hold.
    step: AtomicU64,
}

impl Entry {
    pub(super) fn new(
        decided: Decided,
        key: &Key,
        vector: Option<Steps>,
        (step, size): (u64, Size),
    ) -> Self {
        Self {
            decided: Arc::new(decided),
            text: key.text().into(),
            words: Words::of_question(key.text()),
            vector,
            nearest: OnceLock::new(),
            size,
            step: AtomicU64::new(step),
        }
    }

    /// Cosine of the question and the nearest text of the decided agent; computed
    /// at most once.
    pub(super) fn nearest(&self, compute: impl FnOnce(&Steps) -> Option<f32>) -> Option<f32> {
        let compute = || self.vector.as_ref().and_then(compute);
        *self.nearest.get_or_init(compute)
    }

    pub(super) fn step(&self) -> u64 {
        self.step.load(Ordering::Relaxed)
    }

    /// It was found to hold at this step.
    pub(super) fn holds_at(&self, step: u64) {
        self.step.fetch_max(step, Ordering::Relaxed);
    }
}
