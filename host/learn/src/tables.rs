//! What a model is made of, as the `router` component takes it in: the records of the
//! same names in `kgents:router/routing`, in plain Rust. Their documentation is there;
//! here is what a maker of tables has to keep to.

/// Numbers in a vector of the static encoder.
pub const WORDS_DIMENSIONS: usize = 64;

/// Routes that are judged of any question: as many as the router is to rank.
pub const RANKED_MAX: usize = 32;

/// Logits are this many times the cosine-like products, so that weights have a size
/// that the learning rates suit. Part of the contract with the router.
pub(crate) const LOGIT_SCALE: f32 = 10.0;

/// A route the model tells apart: one skill of one agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Name of the agent.
    pub agent: String,
    /// Its cluster.
    pub cluster: String,
    /// Name of the skill, for the reason.
    pub skill: String,
    /// Number of its examples in every [`Examples`].
    pub examples: u32,
    /// False when nothing but its description was learnt from.
    pub is_taught: bool,
}

/// Unit vectors in whole steps: a vector is its scale times its steps. A text without
/// a known word has steps of zero.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Examples {
    /// −127 to 127, one vector after the other.
    pub steps: Vec<i8>,
    /// One per vector, above 0.0.
    pub scales: Vec<f32>,
}

/// A linear head: logit of route j is 10.0 · `weights[j]` · vector + `biases[j]`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Head {
    /// Numbers in one vector.
    pub dimensions: u32,
    /// One row of `dimensions` numbers per route.
    pub weights: Vec<f32>,
    /// One per route.
    pub biases: Vec<f32>,
}

/// A logistic model in log-odds: intercept + weights · features.
#[derive(Debug, Clone, PartialEq)]
pub struct Logistic {
    /// Log-odds where every feature is 0.0.
    pub intercept: f32,
    /// One per feature.
    pub weights: Vec<f32>,
}

/// How one tier's features become probabilities.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// P(anybody here does this). Features of the tier `words`: `words_mean`,
    /// `words_best`, `plain_mean`, `plain_best`; of the tier `sentences`: `energy`,
    /// `sentence_mean`, `words_mean`.
    pub in_scope: Logistic,
    /// P(this route is right), from log-odds of `in_scope` and of the route's share.
    pub right: Logistic,
}

/// The part of a model over the sentence encoder.
#[derive(Debug, Clone, PartialEq)]
pub struct Sentences {
    /// Over the sentence encoder's vectors.
    pub head: Head,
    /// The examples in the sentence encoder.
    pub examples: Examples,
    /// Of the tier `sentences`.
    pub calibration: Calibration,
    /// Logits are those of this head and `mix` times those of `words`.
    pub mix: f32,
}

/// What a model is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Tables {
    /// In the order of all that is one per route.
    pub routes: Vec<Route>,
    /// Over the static encoder's vectors, tuned to these routes.
    pub words: Head,
    /// The examples in the static encoder, tuned to these routes.
    pub words_examples: Examples,
    /// The same examples in the static encoder as it is shipped.
    pub plain_examples: Examples,
    /// Of the tier `words`.
    pub words_calibration: Calibration,
    /// None without a sentence encoder.
    pub sentences: Option<Sentences>,
}

/// One question in the model's encoders: unit vectors, or all zeros for a text without
/// a known word.
#[derive(Debug, Clone, PartialEq)]
pub struct Vectors {
    /// In the static encoder, tuned to the routes.
    pub words: Vec<f32>,
    /// In the static encoder as it is shipped.
    pub plain: Vec<f32>,
    /// In the sentence encoder; none: judged by words alone.
    pub sentence: Option<Vec<f32>>,
}

/// What a probability was made of, as the router found it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Features {
    /// log Σ exp(logit) over the ranked routes.
    pub energy: f32,
    /// Mean of the best cosines among the tuned examples.
    pub words_mean: f32,
    /// The best of them.
    pub words_best: f32,
    /// Mean of the best cosines among the examples as shipped.
    pub plain_mean: f32,
    /// The best of them.
    pub plain_best: f32,
    /// Mean of the best cosines among the sentence vectors; 0.0 in the tier `words`.
    pub sentence_mean: f32,
    /// Log-odds of the best route's share among the ranked.
    pub share: f32,
}
