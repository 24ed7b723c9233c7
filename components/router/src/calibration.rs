//! The weights that turn scores into a ranking and into a probability. They are
//! data: `calibration.json` holds them with their provenance and metrics, and
//! `build.rs` makes the constants of this file from it.

/// How scores are fused into one score to rank by: a weighted sum of the cosine,
/// the coverage, and the BM25 score as a share of the best BM25 score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranking {
    /// Weight of the cosine (0.0 to 1.0).
    pub cosine: f32,
    /// Weight of the coverage (0.0 to 1.0).
    pub coverage: f32,
    /// Weight of BM25 over the best BM25 among the candidates (0.0 to 1.0).
    pub lexical: f32,
}

/// A logistic model over [`Features`](crate::features::Features), in log-odds.
/// Every weight but the intercept is zero or more, so that better evidence never
/// lowers the probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    /// Log-odds without evidence.
    pub intercept: f32,
    /// Per unit of `Features::cosine`.
    pub cosine: f32,
    /// Per unit of `Features::cosine_margin`.
    pub cosine_margin: f32,
    /// Per unit of `Features::coverage`.
    pub coverage: f32,
    /// Per unit of `Features::coverage_margin`.
    pub coverage_margin: f32,
    /// Per unit of `Features::lexical_margin`.
    pub lexical_margin: f32,
}

/// One tier of evidence: with an encoder, or words alone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tier {
    /// How candidates are ranked.
    pub ranking: Ranking,
    /// Probability that the first of the ranking is right.
    pub best: Weights,
    /// Probability that a later one is right.
    pub rest: Weights,
}

include!(concat!(env!("OUT_DIR"), "/calibration.rs"));

/// The logistic function: log-odds to a probability, 0.0 to 1.0.
#[must_use]
pub fn logistic(log_odds: f32) -> f32 {
    1.0 / (1.0 + libm::expf(-log_odds))
}
