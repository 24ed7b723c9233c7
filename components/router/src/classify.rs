//! The classifier rung's judgement: which routes fit a question, whether anybody
//! does this at all, and how sure that makes of each agent.

use crate::calibration::logistic;
use crate::model::{Calibration, Head, Logistic, Model, Sentences};
use crate::neighbours::Nearest;
use crate::order::ordered;
use crate::softmax;
use crate::steps::{Rows, Steps};
use std::ops::Range;

/// What a head's logits are multiplied with, so that unit vectors can make sharp
/// ones. Source: the WIT of `head`.
const HEAD_SCALE: f32 = 10.0;

/// Routes whose examples are compared with the question. All of 15,000 examples
/// took longer than everything else together, and told no more; nor did those of
/// eight routes (AUROC on CLINC150's validation lines .981 by either).
const ROUTES_COMPARED: usize = 4;

/// Most neighbours that a mean is over.
const NEIGHBOURS_MAX: u32 = 10;

/// Most agents in one judgement.
pub const AGENTS_MAX: usize = 6;

/// Log-odds of 0.999999. Beyond it a share says nothing more, and what is made of
/// it stays a number.
const LOG_ODDS_MAX: f32 = 13.815_51;

/// Logits beyond this tell nothing more, and their sums stay numbers.
const LOGIT_MAX: f32 = 1e6;

/// One question in the model's encoders: unit vectors, or all zeros for a text
/// without a known word.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Vectors {
    /// In the static encoder, tuned to the routes.
    pub words: Vec<f32>,
    /// In the static encoder as it is shipped.
    pub plain: Vec<f32>,
    /// In the sentence encoder; `None`: judged by words alone.
    pub sentence: Option<Vec<f32>>,
}

/// A route with how well it fits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranked {
    /// Place in the tables' routes.
    pub route: u32,
    /// Unbounded in theory; here within a million.
    pub logit: f32,
    /// Softmax of the logits over all routes, 0.0 to 1.0.
    pub probability: f32,
}

/// What a probability was made of; all finite.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Features {
    /// log Σ exp(logit) over the ranked routes.
    pub energy: f32,
    /// Mean of the best cosines in the tuned static encoder.
    pub words_mean: f32,
    /// The best of them.
    pub words_best: f32,
    /// Mean of the best cosines in the static encoder as shipped.
    pub plain_mean: f32,
    /// The best of them.
    pub plain_best: f32,
    /// Mean of the best cosines in the sentence encoder; 0.0 in the tier `Words`.
    pub sentence_mean: f32,
    /// Log-odds of the best route's share among the ranked.
    pub share: f32,
}

/// Which encoders judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// The static encoder alone.
    Words,
    /// The sentence encoder, with the static one.
    Sentences,
}

/// An agent as the model judges it.
#[derive(Debug, Clone, PartialEq)]
pub struct Classed {
    /// The agent's name.
    pub agent: String,
    /// The cluster of its best route.
    pub cluster: String,
    /// The skill of its best route.
    pub skill: String,
    /// Calibrated probability that it is the right one, 0.0 to 1.0.
    pub confidence: f32,
    /// Whether its best route has examples that were learnt from.
    pub is_taught: bool,
}

/// What the classifier rung says.
#[derive(Debug, Clone, PartialEq)]
pub struct Classified {
    /// Which encoders judged.
    pub tier: Tier,
    /// P(anybody here does this), 0.0 to 1.0.
    pub in_scope: f32,
    /// What that was made of.
    pub features: Features,
    /// Best first, each agent once, at most [`AGENTS_MAX`].
    pub agents: Vec<Classed>,
}

/// A question whose vectors fit a model.
struct Fitting<'a> {
    words: Steps,
    plain: Steps,
    sentence: Option<(&'a Sentences, Steps)>,
}

impl Model {
    /// The best routes for a question, best first, ties by place; at most `limit`.
    /// Empty when a vector is not of the head's dimensions or not of finite numbers.
    #[must_use]
    pub fn rank(&self, vectors: &Vectors, limit: u32) -> Vec<Ranked> {
        let Some(question) = self.fitting(vectors) else {
            return Vec::new();
        };
        let logits = self.logits(&question);
        let most = logits.iter().copied().fold(-LOGIT_MAX, f32::max);
        let total: f32 = softmax::weights(&logits, most).iter().sum();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut best: Vec<Ranked> = Vec::with_capacity(limit.min(logits.len()));
        for (route, logit) in (0..).zip(logits) {
            if best.len() >= limit {
                // A tie goes to who is there: places grow.
                if best.last().is_none_or(|worst| logit <= worst.logit) {
                    continue;
                }
                best.pop();
            }
            let place = best.partition_point(|kept| kept.logit >= logit);
            let probability = 0.0;
            best.insert(
                place,
                Ranked {
                    route,
                    logit,
                    probability,
                },
            );
        }
        let kept: Vec<f32> = best.iter().map(|one| one.logit).collect();
        for (one, weight) in best.iter_mut().zip(softmax::weights(&kept, most)) {
            one.probability = weight / total;
        }
        best
    }

    /// Judges among these routes alone, as if there were no others. `None` when
    /// there is none, or the vectors do not fit the model.
    #[must_use]
    pub fn judge(&self, vectors: &Vectors, among: &[Ranked]) -> Option<Classified> {
        let question = self.fitting(vectors)?;
        let ranked = self.known(among);
        let (energy, shares) = shares(&ranked);
        let share = log_odds(*shares.first()?);
        let features = Features {
            energy,
            share,
            ..self.resemblance(&question, &ranked)?
        };
        let f = &features;
        let (tier, calibration, scope) = match &question.sentence {
            Some((Sentences { calibration, .. }, _)) => {
                let values = [f.energy, f.sentence_mean, f.words_mean];
                (
                    Tier::Sentences,
                    calibration,
                    calibration.in_scope.log_odds(&values),
                )
            }
            None => {
                let calibration = &self.tables.words_calibration;
                let values = [f.words_mean, f.words_best, f.plain_mean, f.plain_best];
                (
                    Tier::Words,
                    calibration,
                    calibration.in_scope.log_odds(&values),
                )
            }
        };
        Some(Classified {
            tier,
            in_scope: logistic(scope),
            features,
            agents: self.agents(&ranked, &shares, scope, calibration),
        })
    }

    /// The vectors, if they are this model's.
    fn fitting(&self, vectors: &Vectors) -> Option<Fitting<'_>> {
        let words = fits(&self.tables.words, &vectors.words)?;
        let plain = fits(&self.tables.words, &vectors.plain)?;
        let sentence = match (&self.tables.sentences, &vectors.sentence) {
            (Some(sentences), Some(vector)) => Some((sentences, fits(&sentences.head, vector)?)),
            _ => None,
        };
        Some(Fitting {
            words,
            plain,
            sentence,
        })
    }

    fn logits(&self, question: &Fitting<'_>) -> Vec<f32> {
        let mut logits = logits(&self.tables.words, &self.words, &question.words);
        if let (Some((sentences, vector)), Some(rows)) = (&question.sentence, &self.sentences) {
            let full = self::logits(&sentences.head, rows, vector);
            for (logit, full) in logits.iter_mut().zip(full) {
                *logit = bounded(full + sentences.mix * *logit, LOGIT_MAX);
            }
        }
        logits
    }

    /// The routes of the list that there are, each once, with their logits: best
    /// first, ties by place.
    fn known(&self, among: &[Ranked]) -> Vec<(usize, f32)> {
        let mut given = vec![None; self.tables.routes.len()];
        for one in among {
            let place = usize::try_from(one.route).ok();
            if let Some(given) = place.and_then(|place| given.get_mut(place)) {
                let logit = bounded(one.logit, LOGIT_MAX);
                *given = Some(given.map_or(logit, |known: f32| known.max(logit)));
            }
        }
        let routes = given.into_iter().enumerate();
        let known = routes.filter_map(|(route, logit)| Some((route, logit?)));
        ordered(known, |a, b| b.1.total_cmp(&a.1))
    }

    /// How the question resembles the examples of the best routes.
    fn resemblance(&self, question: &Fitting<'_>, ranked: &[(usize, f32)]) -> Option<Features> {
        let best = self.tables.routes.get(ranked.first()?.0)?;
        let count = (best.examples / 2).clamp(1, NEIGHBOURS_MAX) as usize;
        let routes = ranked.iter().take(ROUTES_COMPARED);
        let ranges: Vec<_> = routes.map(|(route, _)| self.examples_of(*route)).collect();
        let near = |examples, question| Nearest::among(examples, &ranges, question, count);
        let words = near(&self.tables.words_examples, &question.words);
        let plain = near(&self.tables.plain_examples, &question.plain);
        let sentence = question
            .sentence
            .as_ref()
            .map(|(sentences, vector)| near(&sentences.examples, vector).mean());
        Some(Features {
            words_mean: words.mean(),
            words_best: words.best(),
            plain_mean: plain.mean(),
            plain_best: plain.best(),
            sentence_mean: sentence.unwrap_or(0.0),
            ..Features::default()
        })
    }

    fn examples_of(&self, route: usize) -> Range<usize> {
        match self.begins.get(route..).unwrap_or_default() {
            [begin, end, ..] => *begin..*end,
            _ => 0..0,
        }
    }

    /// The agents behind the routes: the shares of all its routes are an agent's.
    fn agents(
        &self,
        ranked: &[(usize, f32)],
        shares: &[f32],
        scope: f32,
        calibration: &Calibration,
    ) -> Vec<Classed> {
        // Per agent, the place of its best route among the ranked, and its share.
        let mut found: Vec<Option<(usize, f32)>> = vec![None; self.agents_count];
        for (place, ((route, _), share)) in ranked.iter().zip(shares).enumerate() {
            let agent = self.agents.get(*route);
            if let Some(one) = agent.and_then(|agent| found.get_mut(*agent)) {
                let (first, sum) = one.unwrap_or((place, 0.0));
                *one = Some((first, sum + share));
            }
        }
        let found = found.into_iter().flatten();
        let best = ordered(found, |a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        // Only one agent is the right one.
        let mut left = 1.0_f32;
        let classed = best
            .into_iter()
            .take(AGENTS_MAX)
            .filter_map(|(place, share)| {
                let route = self.tables.routes.get(ranked.get(place)?.0)?;
                let right = calibration.right.log_odds(&[scope, log_odds(share)]);
                let confidence = logistic(right).min(left);
                left -= confidence;
                Some(Classed {
                    agent: route.agent.clone(),
                    cluster: route.cluster.clone(),
                    skill: route.skill.clone(),
                    confidence,
                    is_taught: route.is_taught,
                })
            });
        classed.collect()
    }
}

/// One logit per route, within [`LOGIT_MAX`].
fn logits(head: &Head, rows: &Rows, question: &Steps) -> Vec<f32> {
    let products = rows.products(question).into_iter().zip(&head.biases);
    products
        .map(|(product, bias)| bounded(HEAD_SCALE * product + bias, LOGIT_MAX))
        .collect()
}

impl Logistic {
    /// Log-odds of features, at most those of 0.999999 either way.
    fn log_odds(&self, features: &[f32]) -> f32 {
        let terms = self.weights.iter().zip(features);
        let sum = terms.fold(self.intercept, |sum, (weight, value)| sum + weight * value);
        bounded(sum, LOG_ODDS_MAX)
    }
}

/// log Σ exp(logit), and each one's share of that sum; the first is the largest.
fn shares(ranked: &[(usize, f32)]) -> (f32, Vec<f32>) {
    let logits: Vec<f32> = ranked.iter().map(|(_, logit)| *logit).collect();
    let most = logits.first().copied().unwrap_or(0.0);
    let mut parts = softmax::weights(&logits, most);
    let total: f32 = parts.iter().sum();
    for part in &mut parts {
        *part /= total;
    }
    (most + libm::logf(total), parts)
}

/// Log-odds of a probability, at most those of 0.999999 either way.
fn log_odds(probability: f32) -> f32 {
    // A sum of shares may be a little more than all.
    let odds = probability / (1.0 - probability.min(1.0));
    bounded(libm::logf(odds), LOG_ODDS_MAX)
}

/// Within the limit; what is not a number is as bad as can be.
fn bounded(value: f32, limit: f32) -> f32 {
    if value.is_nan() {
        -limit
    } else {
        value.clamp(-limit, limit)
    }
}

/// The vector in whole steps, if it is the head's and of finite numbers.
fn fits(head: &Head, vector: &[f32]) -> Option<Steps> {
    let fits = vector.len() == head.dimensions as usize && vector.iter().all(|x| x.is_finite());
    fits.then(|| Steps::of(vector))
}
