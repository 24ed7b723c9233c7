//! What a model says of itself, from lines that its folds did not learn from.

use serde::{Deserialize, Serialize};

/// How good a model is, by its own cross-validation: five trainings, each without a
/// fifth of the lines and a fifth of the routes. Whoever trains measures the time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Digest of lesson, table and encoder, and of a changed model also of the version
    /// it was changed from: 16 hexadecimal digits.
    pub version: String,
    /// Routes in the lesson.
    pub routes: usize,
    /// Lines in the lesson.
    pub lines: usize,
    /// Routes that are taught by examples.
    pub taught: usize,
    /// Name of the sentence encoder; none: words alone.
    pub encoder: Option<String>,
    /// What the calibration was fitted on.
    pub calibrated: Calibrated,
    /// Changes since the last training in full, which is what the figures are of.
    pub changes: usize,
    /// Share of the lines learnt that the heads themselves lead to their own agent, at
    /// most 1,000 of them looked at; measured after each change. Always higher than
    /// `accuracy`; one that falls from change to change asks for training in full.
    pub fit: Option<f64>,
    /// Figures of the tier `words`.
    pub words: TierReport,
    /// Figures of the tier `sentences`; none without an encoder.
    pub sentences: Option<TierReport>,
    /// Each route's held-out lines, in the order of the routes.
    pub by_route: Vec<RouteReport>,
    /// Smallest probability at which a paraphrase goes where its like went; above 1.0
    /// when never.
    pub similar_probability_min: f32,
    /// Smallest cosine of the two.
    pub similar_cosine_min: f32,
}

/// What a calibration was fitted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Calibrated {
    /// Nothing of this lesson: too few lines to hold any out. The constants shipped.
    Shipped,
    /// Lines that the folds held out, and the shipped background of other requests.
    Folds,
    /// Labelled lines of the operator's.
    Lines,
}

/// Figures of one tier. A figure is none when there was nothing to measure it on. Out of
/// scope are requests of nobody in particular that are shipped with the static encoder (or
/// those that the operator labelled so), counted as a fifth of all.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TierReport {
    /// Lines measured that were in scope.
    pub in_scope: usize,
    /// Lines measured that were out of scope.
    pub out_of_scope: usize,
    /// Share of those in scope whose best route is right, before any threshold.
    pub accuracy: Option<f64>,
    /// Mean of the routes' F1.
    pub macro_f1: Option<f64>,
    /// P(a line in scope scores higher than one that is not).
    pub oos_auroc: Option<f64>,
    /// F1 of what is out of scope, at `in_scope_min`.
    pub oos_f1: Option<f64>,
    /// Share out of scope that is accepted where 95 % of those in scope are.
    pub fpr95: Option<f64>,
    /// Mean distance of confidence and truth.
    pub ece: Option<f64>,
    /// The probability of being in scope from which on a question is best taken for
    /// one, when a fifth of all are not.
    pub in_scope_min: f32,
}

/// A route's own lines, judged by models that had not seen them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RouteReport {
    /// Name of the agent.
    pub agent: String,
    /// Its cluster.
    pub cluster: String,
    /// Id of the skill.
    pub skill: String,
    /// Lines held out; 0 for a route with too few lines, or new since.
    pub held_out: usize,
    /// Those of them led to the route's agent.
    pub right: usize,
    /// The route that took most of the others, and how many.
    pub taken_by: Option<TakenBy>,
}

/// Who takes a route's lines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TakenBy {
    /// Name of the agent.
    pub agent: String,
    /// Its cluster.
    pub cluster: String,
    /// Id of the skill.
    pub skill: String,
    /// How many lines.
    pub lines: usize,
}
