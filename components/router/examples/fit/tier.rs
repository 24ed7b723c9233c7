//! One tier: its ranking by grid search, its probabilities by regression.

use crate::lines::{Line, WHOLE, meshes};
use crate::logistic::{self, Model, Row};
use crate::metrics::{Metrics, Outcome, measure};
use kgents_router::calibration::{ENCODER, LEXICAL, Ranking, Tier, Weights};
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

    /// What is in force: the calibration that this program was built with.
    pub fn in_force(self) -> Tier {
        match self {
            Self::Encoder => ENCODER,
            Self::Lexical => LEXICAL,
        }
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

/// Fits the ranking and the probabilities on these lines, so that they hold in small
/// meshes too, and where the right agent is missing. The smaller meshes together count
/// as much as the whole one.
pub fn fit(fitting: &[Line], which: Which) -> Tier {
    let smaller = meshes(fitting).into_iter().filter(|m| *m != WHOLE).count();
    let weight = |line: &Line| match line.one_in {
        WHOLE => line.weight,
        _ => line.weight / smaller as f64,
    };
    let mut ranking = Ranking {
        cosine: 1.0,
        coverage: 0.0,
        lexical: 0.0,
    };
    let mut first_most = None;
    for one in which.rankings() {
        let right = fitting.iter().filter(|line| is_first(line, &one));
        let first = right.map(weight).sum::<f64>();
        // Only better ones replace: of equals the plainest stays.
        if first_most.is_none_or(|most| first > most) {
            (ranking, first_most) = (one, Some(first));
        }
    }
    let (mut best, mut rest) = (Vec::new(), Vec::new());
    for line in fitting {
        observe(line, &ranking, weight(line), &mut best, &mut rest);
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
            weight: line.weight,
        });
        for other in ranked.iter().skip(1).take(ALTERNATIVES_MAX) {
            others.push(Outcome {
                confidence: f64::from(rest_probability(tier, other, &ranked, confidence)),
                is_right: line.route.as_ref() == Some(&other.candidate.agent),
                in_scope: line.route.is_some(),
                weight: line.weight,
            });
        }
    }
    measure(&first, &others)
}

/// The share of questions with a right agent where it comes first by the cosine alone:
/// what the words and the fit have to better.
pub fn cosine_alone(lines: &[Line]) -> f64 {
    let tier = Tier {
        ranking: Ranking {
            cosine: 1.0,
            coverage: 0.0,
            lexical: 0.0,
        },
        ..ENCODER
    };
    report(&tier, lines).top1
}

/// The tier as it stands in `calibration.json`, with its figures in the mesh of all
/// agents and in smaller ones.
pub fn to_json(tier: &Tier, which: Which, whole: &[Line], smaller: &[Line]) -> Value {
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
        "metrics": figures(tier, which, whole),
        "metrics_smaller_meshes": figures(tier, which, smaller),
    })
}

fn figures(tier: &Tier, which: Which, lines: &[Line]) -> Value {
    let metrics = report(tier, lines);
    let mut figures = json!({
        "lines": metrics.lines,
        "top1": digits(metrics.top1),
        "auroc": digits(metrics.auroc),
        "ece": digits(metrics.ece),
        "ece_alternatives": digits(metrics.ece_alternatives),
        "brier": digits(metrics.brier),
        "precision_at_0.8": digits(metrics.precision),
        "recall_at_0.8": digits(metrics.recall),
    });
    if let (Which::Encoder, Some(figures)) = (which, figures.as_object_mut()) {
        let alone = digits(cosine_alone(lines));
        figures.insert("top1_by_cosine_alone".to_owned(), alone);
    }
    figures
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
