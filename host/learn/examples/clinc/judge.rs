//! Judges as the `router` component does, in the plainest way there is: for development
//! and for tests. The product's judge is the component.

use std::cmp::Ordering;

use kgents_learn::tables::{Calibration, Examples, Head, Logistic};
use kgents_learn::{Features, Judge, Judged, RANKED_MAX, Tables, Vectors};

/// Compares with everything.
pub struct BruteForce;

impl Judge for BruteForce {
    fn judge(&self, tables: &Tables, questions: &[Vectors]) -> Result<Vec<Option<Judged>>, String> {
        let places = places(tables);
        Ok(questions
            .iter()
            .map(|question| one(tables, &places, question))
            .collect())
    }
}

/// A ranked route: its place, logit and share.
type Ranked = (usize, f32, f32);

/// Where each route's examples begin and end.
fn places(tables: &Tables) -> Vec<(usize, usize)> {
    let mut at = 0;
    let place = |route: &kgents_learn::tables::Route| {
        let from = at;
        at += route.examples as usize;
        (from, at)
    };
    tables.routes.iter().map(place).collect()
}

fn one(tables: &Tables, places: &[(usize, usize)], question: &Vectors) -> Option<Judged> {
    let sentences = tables.sentences.as_ref().zip(question.sentence.as_ref());
    let mut logits = logits(&tables.words, &question.words);
    if let Some((sentences, vector)) = sentences {
        let of_words = std::mem::replace(&mut logits, self::logits(&sentences.head, vector));
        for (logit, words) in logits.iter_mut().zip(of_words) {
            *logit += sentences.mix * words;
        }
    }
    let ranked = ranked(&logits);
    let (first, best, _) = *ranked.first()?;
    let near: Vec<usize> = ranked.iter().take(4).map(|(route, ..)| *route).collect();
    let (from, to) = *places.get(first)?;
    let count = ((to - from) / 2).clamp(1, 10);
    let alike = |examples: &Examples, vector: &[f32]| {
        let spans = near.iter().filter_map(|route| places.get(*route));
        let places: Vec<usize> = spans.flat_map(|(from, to)| *from..*to).collect();
        nearest(examples, &places, vector, count)
    };
    let (words_mean, words_best) = alike(&tables.words_examples, &question.words);
    let (plain_mean, plain_best) = alike(&tables.plain_examples, &question.plain);
    let sentence = sentences.map(|(sentences, vector)| alike(&sentences.examples, vector));
    let total: f32 = ranked.iter().map(|(.., share)| share).sum();
    let features = Features {
        energy: best
            + ranked
                .iter()
                .map(|(_, logit, _)| (logit - best).exp())
                .sum::<f32>()
                .ln(),
        words_mean,
        words_best,
        plain_mean,
        plain_best,
        sentence_mean: sentence.map_or(0.0, |(mean, _)| mean),
        share: log_odds(ranked.first()?.2 / total),
    };
    let (calibration, of_scope) = match &tables.sentences {
        Some(sentences) if sentence.is_some() => (
            &sentences.calibration,
            vec![features.energy, features.sentence_mean, features.words_mean],
        ),
        _ => (
            &tables.words_calibration,
            vec![words_mean, words_best, plain_mean, plain_best],
        ),
    };
    let (route, share) = best_agent(tables, &ranked)?;
    let (in_scope, confidence) = probabilities(calibration, &of_scope, share / total);
    Some(Judged {
        route: route as u32,
        in_scope,
        confidence,
        features,
    })
}

fn logits(head: &Head, vector: &[f32]) -> Vec<f32> {
    let rows = head.weights.chunks_exact(head.dimensions as usize);
    let rows = rows.zip(&head.biases);
    rows.map(|(row, bias)| 10.0 * dot(row, vector.iter().copied()) + bias)
        .collect()
}

fn dot(row: &[f32], vector: impl Iterator<Item = f32>) -> f32 {
    let mut lanes = [0.0f32; 8];
    let mut products = row.iter().zip(vector).map(|(x, y)| x * y);
    while let Some(product) = products.next() {
        lanes[0] += product;
        for (lane, product) in lanes[1..].iter_mut().zip(products.by_ref()) {
            *lane += product;
        }
    }
    lanes.iter().sum()
}

fn ranked(logits: &[f32]) -> Vec<Ranked> {
    let best = logits.iter().copied().fold(f32::MIN, f32::max);
    let sum: f32 = logits.iter().map(|logit| (logit - best).exp()).sum();
    let mut ranked: Vec<Ranked> = logits
        .iter()
        .enumerate()
        .map(|(at, logit)| (at, *logit, (logit - best).exp() / sum))
        .collect();
    let better = |one: &Ranked, other: &Ranked| -> Ordering {
        other.1.total_cmp(&one.1).then(one.0.cmp(&other.0))
    };
    ranked.sort_by(better);
    ranked.truncate(RANKED_MAX);
    ranked
}

/// Mean of the `count` best cosines, and the best.
fn nearest(examples: &Examples, places: &[usize], vector: &[f32], count: usize) -> (f32, f32) {
    let width = vector.len();
    let cosine = |at: &usize| {
        let steps = examples.steps.get(at * width..(at + 1) * width)?;
        let products = dot(vector, steps.iter().map(|step| f32::from(*step)));
        Some(products * examples.scales.get(*at)?)
    };
    let mut cosines: Vec<f32> = places.iter().filter_map(cosine).collect();
    cosines.sort_by(|one, other| other.total_cmp(one));
    cosines.truncate(count);
    let mean = cosines.iter().sum::<f32>() / cosines.len().max(1) as f32;
    (mean, cosines.first().copied().unwrap_or(0.0))
}

/// The agent with the largest sum of shares: its best route, and the sum.
fn best_agent(tables: &Tables, ranked: &[Ranked]) -> Option<(usize, f32)> {
    let agent = |at: usize| tables.routes.get(at).map(|route| &route.agent);
    let mut best: Option<(usize, f32)> = None;
    for (route, ..) in ranked {
        let own = ranked
            .iter()
            .filter(|(other, ..)| agent(*other) == agent(*route));
        let share: f32 = own.map(|(.., share)| share).sum();
        if best.is_none_or(|(_, most)| share > most) {
            best = Some((*route, share));
        }
    }
    best
}

fn probabilities(calibration: &Calibration, of_scope: &[f32], share: f32) -> (f32, f32) {
    let logistic = |model: &Logistic, features: &[f32]| {
        let sum = model.weights.iter().zip(features);
        let sum = sum.fold(model.intercept, |sum, (weight, x)| sum + weight * x);
        1.0 / (1.0 + (-sum).exp())
    };
    let in_scope = logistic(&calibration.in_scope, of_scope);
    let right = [log_odds(in_scope), log_odds(share)];
    (in_scope, logistic(&calibration.right, &right))
}

fn log_odds(probability: f32) -> f32 {
    let p = probability.clamp(1e-6, 1.0 - 1e-6);
    (p / (1.0 - p)).ln()
}
