//! The values that go in and come out, as in `wit/router/router.wit`.

use crate::classify::Classified;
use crate::order::ordered;
use std::cmp::Ordering;

/// Most alternatives in one decision. Source: the WIT of [`Decision`].
pub const ALTERNATIVES_MAX: usize = 5;

/// What is to be routed.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// The caller's words; may be empty when `target` is given.
    pub text: String,
    /// The agent named by the caller, if any.
    pub target: Option<String>,
    /// Smallest calibrated probability, 0.0 to 1.0, that is accepted.
    pub accept: f32,
}

/// One kind of evidence the host can gather.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rung {
    /// Agents whose name, alias or skill id is exactly the target or text.
    Exact,
    /// The agent that has the conversation this is part of.
    Conversation,
    /// An earlier decision on the same text for the same caller.
    Cache,
    /// An earlier decision on a text much like this one for the same caller.
    Similar,
    /// What the model learnt from the cards makes of it.
    Classifier,
    /// Lexical and vector scores of the agents' skills.
    Search,
    /// The agent configured to take what nobody else takes.
    Fallback,
}

/// An agent found by exact name, alias or skill id.
#[derive(Debug, Clone, PartialEq)]
pub struct Named {
    /// The agent's name.
    pub agent: String,
    /// The cluster it lives in.
    pub cluster: String,
    /// `name`, `alias` or `skill`; anything else ranks below these.
    pub via: String,
}

/// The agent that answered this conversation before.
#[derive(Debug, Clone, PartialEq)]
pub struct Holder {
    /// The agent's name.
    pub agent: String,
    /// The cluster it lives in.
    pub cluster: String,
}

/// A decision remembered by the host.
#[derive(Debug, Clone, PartialEq)]
pub struct Remembered {
    /// The agent chosen then.
    pub agent: String,
    /// Its cluster.
    pub cluster: String,
    /// Calibrated probability, 0.0 to 1.0.
    pub confidence: f32,
    /// The alternatives of then.
    pub alternatives: Vec<Alternative>,
    /// The deprecated agent that was chosen then, when `agent` is its successor.
    pub instead_of: Option<String>,
}

/// The nearest text that was decided before, with what was decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Similar {
    /// The agent chosen then.
    pub agent: String,
    /// Its cluster.
    pub cluster: String,
    /// Calibrated probability of the decision of then, 0.0 to 1.0.
    pub confidence: f32,
    /// Cosine of both texts in the static encoder, -1.0 to 1.0.
    pub cosine: f32,
    /// The model's probability that this question goes there too, 0.0 to 1.0.
    pub probability: f32,
    /// Smallest `probability` that counts; above 1.0 when none does.
    pub probability_min: f32,
    /// Smallest `cosine` that counts.
    pub cosine_min: f32,
}

/// One agent with the scores of its best skill.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The agent's name.
    pub agent: String,
    /// The cluster it lives in.
    pub cluster: String,
    /// Name of the skill that scored best.
    pub skill: String,
    /// BM25, 0.0 or more, unbounded.
    pub lexical: f32,
    /// Share of the query's terms the skill contains, by rarity, 0.0 to 1.0.
    pub coverage: f32,
    /// Cosine of the embeddings, -1.0 to 1.0; `None` without an encoder.
    pub vector: Option<f32>,
    /// Whether the model was taught this agent by examples.
    pub is_taught: bool,
}

/// What the search rung found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// In any order.
    pub candidates: Vec<Candidate>,
    /// Name of the encoder behind `vector`; `None` means lexical only.
    pub encoder: Option<String>,
}

/// Everything gathered so far: a rung not asked is `None`, a rung asked in vain
/// is an empty list or an inner `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evidence {
    /// The exact rung.
    pub exact: Option<Vec<Named>>,
    /// The conversation rung.
    pub conversation: Option<Option<Holder>>,
    /// The cache rung.
    pub cache: Option<Option<Remembered>>,
    /// The similar rung.
    pub similar: Option<Option<Similar>>,
    /// The classifier rung.
    pub classifier: Option<Option<Classified>>,
    /// The search rung.
    pub search: Option<Found>,
    /// The fallback rung.
    pub fallback: Option<Option<String>>,
}

/// How a decision came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// By exact name, alias or skill id.
    Exact,
    /// The agent that has the conversation keeps it.
    Conversation,
    /// Remembered.
    Cache,
    /// A question much like this one is remembered.
    Similar,
    /// By what the model learnt from the cards.
    Classifier,
    /// By calibrated search.
    Search,
    /// Nothing reached the threshold.
    Fallback,
}

/// An agent that was considered and came after the chosen one.
#[derive(Debug, Clone, PartialEq)]
pub struct Alternative {
    /// The agent's name.
    pub agent: String,
    /// Its cluster.
    pub cluster: String,
    /// Calibrated probability, 0.0 to 1.0.
    pub confidence: f32,
}

/// The answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// The chosen agent; `None` when nobody here does this.
    pub agent: Option<String>,
    /// Its cluster; `None` when nobody was chosen, or for a fallback agent whose
    /// cluster no evidence told.
    pub cluster: Option<String>,
    /// How it came about.
    pub method: Method,
    /// Calibrated probability, 0.0 to 1.0; 0.0 for a fallback.
    pub confidence: f32,
    /// Probability, 0.0 to 1.0, that anybody here does this, as far as the
    /// evidence tells.
    pub in_scope: f32,
    /// True when no evidence reached the threshold.
    pub fallback: bool,
    /// One sentence for a person.
    pub reason: String,
    /// Best first, at most [`ALTERNATIVES_MAX`], without the chosen agent.
    pub alternatives: Vec<Alternative>,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Gather this rung and ask again.
    Need(Rung),
    /// Done.
    Decided(Decision),
}

/// A probability from anything: 0.0 to 1.0, and 0.0 for what is not a number.
#[must_use]
pub fn probability(value: f32) -> f32 {
    if value.is_nan() {
        0.0
    } else {
        value.clamp(0.0, 1.0)
    }
}

/// Puts alternatives in order: best first, ties by name, then cluster; each agent
/// once per cluster, never the chosen one, at most [`ALTERNATIVES_MAX`].
#[must_use]
pub fn alternatives(all: Vec<Alternative>, chosen: Option<(&str, &str)>) -> Vec<Alternative> {
    let others = all
        .into_iter()
        .filter(|one| chosen != Some((one.agent.as_str(), one.cluster.as_str())))
        .map(|one| Alternative {
            confidence: probability(one.confidence),
            ..one
        });
    let mut kept: Vec<Alternative> = Vec::with_capacity(ALTERNATIVES_MAX);
    for one in ordered(others, by_confidence) {
        let is_new = kept
            .iter()
            .all(|k| k.agent != one.agent || k.cluster != one.cluster);
        if is_new && kept.len() < ALTERNATIVES_MAX {
            kept.push(one);
        }
    }
    kept
}

fn by_confidence(a: &Alternative, b: &Alternative) -> Ordering {
    let by_name = || (&a.agent, &a.cluster).cmp(&(&b.agent, &b.cluster));
    b.confidence.total_cmp(&a.confidence).then_with(by_name)
}
