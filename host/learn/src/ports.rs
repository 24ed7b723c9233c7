//! What training asks of others: sentence vectors, the router's judgement, and an ear.

use crate::tables::{Features, Tables, Vectors};

/// A sentence encoder: the quality tier.
pub trait Sentences: Send + Sync {
    /// Name of the encoder. Vectors of encoders with different names cannot be compared.
    fn name(&self) -> &str;
    /// Numbers in a vector, 1 to 4,096.
    fn dimensions(&self) -> usize;
    /// The text's vector of any length but zero, `dimensions` long; none when it cannot
    /// be had now (an endpoint that does not answer): such a line is learnt by words alone.
    fn encode(&self, text: &str) -> Option<Vec<f32>>;
}

/// How the router judged a question.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    /// The best route of the best agent.
    pub route: u32,
    /// P(anybody here does this), 0.0 to 1.0.
    pub in_scope: f32,
    /// P(the best agent is right), 0.0 to 1.0.
    pub confidence: f32,
    /// What both were made of.
    pub features: Features,
}

/// The router, so that what calibration is fitted on and what is calibrated later are
/// one implementation.
pub trait Judge {
    /// Loads the tables and judges every question, in order: ranks at most
    /// [`RANKED_MAX`](crate::RANKED_MAX) routes, then judges among them all. None for a
    /// question that is not judged, as when there are no routes. In the tier `sentences`
    /// iff the tables have it and the question has its vector.
    ///
    /// # Errors
    /// What the router said, when it did not take the tables or did not answer.
    fn judge(&self, tables: &Tables, questions: &[Vectors]) -> Result<Vec<Option<Judged>>, String>;
}

/// Hears how far training is.
pub trait Progress {
    /// `done` of `of` parts of about the same length are done.
    fn at(&self, done: usize, of: usize);
}

/// Nobody listens.
impl Progress for () {
    fn at(&self, _done: usize, _of: usize) {}
}
