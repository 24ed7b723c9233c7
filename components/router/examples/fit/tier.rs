//! One tier: its ranking by grid search, its probabilities by regression.

use crate::lines::Line;
use crate::logistic::{self, Model, Row};
use crate::metrics::{Metrics, Outcome, measure};
use kgents_router::calibration::{Ranking, Tier, Weights};
use kgents_router::features::{COUNT, NAMES, features, rank};
use kgents_router::question::ALTERNATIVES_MAX;
use kgents_router::search::{best_probability, rest_probability};
use serde_json::{Map, Value, json};

/// With vectors, or words alone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Lines with an encoder.
    Encoder,
    /// Lines without.
    Lexical,
}

impl Which {
    /// The key in the calibration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Encoder => "encoder",
            Self::Lexical => "lexical",
        }
    }

    /// Whether the line belongs to this tier.
    pub fn is_of(self, line: &Line) -> bool {
        line.found.encoder.is_some() == (self == Self::Encoder)
    }

    /// The rankings to choose from, plainest first.
    fn rankings(self) -> Vec<Ranking> {
        let steps = |max: u8| (0..=max).map(|step| f32::from(step) / 20.0);
        match self {
            Self::Encoder => steps(12)
                .flat_map(|coverage| steps(8).map(move |lexical| (coverage, lexical)))
                .map(|(coverage, lexical)| Ranking {
                    cosine: 1.0,
                    coverage,
                    lexical,
                })
                .collect(),
            Self::Lexical => steps(40)
                .map(|coverage| Ranking {
                    cosine: 0.0,
                    coverage,
                    lexical: 1.0,
                })
                .collect(),
        }
    }
}

/// Meshes that a line is thinned to, as the parts of which one stays, so that the
/// probabilities hold in small meshes, and where the right agent is missing.
const THINNED: [u64; 3] = [2, 4, 8];

/// Fits the ranking on these lines, and the probabilities on them and on what they
/// are in smaller meshes.
pub fn fit(fitting: &[Line], which: Which) -> Tier {
    let mut ranking = Ranking {
        cosine: 1.0,
        coverage: 0.0,
        lexical: 0.0,
    };
    let mut first_most = None;
    for one in which.rankings() {
        let first = fitting.iter().filter(|line| is_first(line, &one)).count();
        // Only better ones replace: of equals the plainest stays.
        if first_most.is_none_or(|most| first > most) {
            (ranking, first_most) = (one, Some(first));
        }
    }
    let (mut best, mut rest) = (Vec::new(), Vec::new());
    let answered = fitting.iter().filter(|line| line.route.is_some()).count() as f64;
    let odds = answered / (fitting.len() as f64 - answered).max(1.0);
    for line in fitting {
        observe(line, &ranking, 1.0, &mut best, &mut rest);
    }
    for parts in THINNED {
        let smaller: Vec<Line> = fitting
            .iter()
            .map(|l| l.thinned(parts, which.name()))
            .collect();
        let right = smaller.iter().filter(|line| line.route.is_some()).count() as f64;
        // Agents went missing, but the share of questions with an answer is to stay
        // what it is in the data: those without count less.
        let without = right / (smaller.len() as f64 - right).max(1.0) / odds.max(f64::EPSILON);
        for line in &smaller {
            let weight = if line.route.is_some() { 1.0 } else { without };
            observe(
                line,
                &ranking,
                weight / THINNED.len() as f64,
                &mut best,
                &mut rest,
            );
        }
    }
    let best = weights(&logistic::fit(&best));
    let rest = weights(&logistic::fit(&rest));
    Tier {
        ranking,
        best,
        rest,
    }
}

fn is_first(line: &Line, ranking: &Ranking) -> bool {
    let ranked = rank(&line.found, ranking);
    line.route.is_some() && ranked.first().map(|r| &r.candidate.agent) == line.route.as_ref()
}

fn observe(line: &Line, ranking: &Ranking, weight: f64, best: &mut Vec<Row>, rest: &mut Vec<Row>) {
    let ranked = rank(&line.found, ranking);
    for (place, one) in ranked.iter().take(1 + ALTERNATIVES_MAX).enumerate() {
        let row = Row {
            values: features(one, &ranked).values(),
            is_right: line.route.as_ref() == Some(&one.candidate.agent),
            weight,
        };
        if place == 0 {
            best.push(row)
        } else {
            rest.push(row)
        }
    }
}

/// The model as the router knows it, with four digits.
fn weights(model: &Model) -> Weights {
    let digits = |value: f64| ((value * 1e4).round() / 1e4) as f32;
    let [
        cosine,
        cosine_margin,
        coverage,
        coverage_margin,
        lexical_margin,
    ] = model.weights.map(digits);
    Weights {
        intercept: digits(model.intercept),
        cosine,
        cosine_margin,
        coverage,
        coverage_margin,
        lexical_margin,
    }
}

/// The figures of the tier on these lines.
pub fn report(tier: &Tier, lines: &[Line]) -> Metrics {
    let (mut first, mut others) = (Vec::new(), Vec::new());
    for line in lines {
        let ranked = rank(&line.found, &tier.ranking);
        let confidence = ranked
            .first()
            .map_or(0.0, |best| best_probability(tier, best, &ranked));
        first.push(Outcome {
            confidence: f64::from(confidence),
            is_right: is_first(line, &tier.ranking),
            in_scope: line.route.is_some(),
        });
        for other in ranked.iter().skip(1).take(ALTERNATIVES_MAX) {
            others.push(Outcome {
                confidence: f64::from(rest_probability(tier, other, &ranked, confidence)),
                is_right: line.route.as_ref() == Some(&other.candidate.agent),
                in_scope: line.route.is_some(),
            });
        }
    }
    measure(&first, &others)
}

/// The tier as it stands in `calibration.json`.
pub fn to_json(tier: &Tier, metrics: &Metrics) -> Value {
    let Ranking {
        cosine,
        coverage,
        lexical,
    } = tier.ranking;
    json!({
        "ranking": {
            "cosine": digits(cosine),
            "coverage": digits(coverage),
            "lexical": digits(lexical),
        },
        "best": named(&tier.best),
        "rest": named(&tier.rest),
        "metrics": {
            "lines": metrics.lines,
            "top1": digits(metrics.top1),
            "auroc": digits(metrics.auroc),
            "ece": digits(metrics.ece),
            "ece_alternatives": digits(metrics.ece_alternatives),
            "brier": digits(metrics.brier),
            "precision_at_0.8": digits(metrics.precision),
            "recall_at_0.8": digits(metrics.recall),
        },
    })
}

fn named(weights: &Weights) -> Value {
    let values: [f32; COUNT] = weights.values();
    let intercept = ("intercept".to_owned(), digits(weights.intercept));
    let rest = NAMES
        .iter()
        .zip(values)
        .map(|(name, value)| ((*name).to_owned(), digits(value)));
    Value::Object(
        std::iter::once(intercept)
            .chain(rest)
            .collect::<Map<_, _>>(),
    )
}

/// Four digits, without the noise of the float behind them.
fn digits(value: impl Into<f64>) -> Value {
    json!((value.into() * 1e4).round() / 1e4)
}
