//! The calibration is data; this is what must hold of it whatever was fitted.

#![expect(clippy::unwrap_used, reason = "a test's own functions may fail it")]

use kgents_router::calibration::{ENCODER, LEXICAL, Tier, Weights, logistic};
use kgents_router::features::{Features, NAMES};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const CALIBRATION: &str = include_str!("../calibration.json");
const CARDS: &str = include_str!("../calibration/cards.jsonl");
const QUERIES: &str = include_str!("../calibration/queries.jsonl");
const MARKS: &str = include_str!("../calibration/marks.jsonl");

fn calibration() -> Value {
    serde_json::from_str(CALIBRATION).unwrap()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn tiers() -> [(&'static str, Tier); 2] {
    [("encoder", ENCODER), ("lexical", LEXICAL)]
}

#[test]
fn the_built_constants_are_the_files_numbers() {
    let file = calibration();
    for (name, tier) in tiers() {
        for (model, weights) in [("best", tier.best), ("rest", tier.rest)] {
            let numbers = &file[name][model];
            assert_eq!(
                numbers["intercept"].as_f64().unwrap() as f32,
                weights.intercept
            );
            for (feature, value) in NAMES.iter().zip(weights.values()) {
                assert_eq!(
                    numbers[feature].as_f64().unwrap() as f32,
                    value,
                    "{name}.{feature}"
                );
            }
            assert_eq!(numbers.as_object().unwrap().len(), 1 + NAMES.len());
        }
    }
}

#[test]
fn no_evidence_lowers_a_probability() {
    for (name, tier) in tiers() {
        for (model, weights) in [("best", tier.best), ("rest", tier.rest)] {
            for (feature, weight) in NAMES.iter().zip(weights.values()) {
                assert!(weight >= 0.0, "{name}.{model}.{feature} is {weight}");
            }
            assert!(
                weights.intercept < 0.0,
                "{name}.{model}: no evidence must be unlikely"
            );
        }
        let fused = [
            tier.ranking.cosine,
            tier.ranking.coverage,
            tier.ranking.lexical,
        ];
        assert!(fused.iter().all(|w| *w >= 0.0) && fused.iter().sum::<f32>() > 0.0);
    }
    const { assert!(ENCODER.best.cosine > 0.0 && LEXICAL.best.coverage > 0.0) };
}

#[test]
fn words_alone_are_never_judged_by_vectors() {
    for weights in [LEXICAL.best, LEXICAL.rest] {
        assert_eq!((weights.cosine, weights.cosine_margin), (0.0, 0.0));
    }
    assert_eq!(LEXICAL.ranking.cosine, 0.0);
}

#[test]
fn strong_evidence_is_near_certain_and_weak_is_not() {
    let strong = Features {
        cosine: 0.8,
        cosine_margin: 0.3,
        coverage: 0.9,
        coverage_margin: 0.5,
        lexical_margin: 0.8,
    };
    let weak = Features {
        cosine: 0.15,
        coverage: 0.1,
        ..Features::default()
    };
    let probability = |weights: Weights, f: &Features| logistic(weights.log_odds(f));
    for (name, tier) in tiers() {
        assert!(probability(tier.best, &strong) > 0.95, "{name}");
        assert!(probability(tier.best, &weak) < 0.2, "{name}");
        assert!(probability(tier.best, &Features::default()) < 0.1, "{name}");
    }
}

#[test]
fn the_metrics_are_those_of_a_useful_calibration() {
    let file = calibration();
    // Of the mesh of all agents. Among 243, many of them near neighbours, with questions
    // that avoid a card's words or use those of a wrong one.
    for (name, top1_min) in [("encoder", 0.55), ("lexical", 0.43)] {
        for meshes in ["metrics", "metrics_smaller_meshes"] {
            let metrics = &file[name][meshes];
            let figure = |key: &str| metrics[key].as_f64().unwrap();
            let told = format!("{name}.{meshes}: {metrics}");
            assert!(figure("top1") > top1_min && figure("auroc") > 0.8, "{told}");
            assert!(figure("ece") < 0.1, "{told}");
            assert!(figure("ece_alternatives") < 0.05, "{told}");
            assert!(
                figure("precision_at_0.8") >= 0.8,
                "0.8 must mean 0.8 or more: {told}"
            );
        }
    }
}

#[test]
fn words_and_meaning_together_find_more_than_meaning_alone() {
    let figure = |key: &str| calibration()["encoder"]["metrics"][key].as_f64().unwrap();
    let (both, alone) = (figure("top1"), figure("top1_by_cosine_alone"));
    assert!(both >= alone + 0.05, "{both} with words, {alone} without");
}

#[test]
fn the_provenance_is_that_of_the_shipped_set() {
    let provenance = &calibration()["provenance"];
    let queries = lines(QUERIES);
    let nobody = queries.iter().filter(|q| q["route"].is_null()).count();
    assert_eq!(
        provenance["lines"].as_u64().unwrap() as usize,
        queries.len()
    );
    assert_eq!(
        provenance["lines_out_of_scope"].as_u64().unwrap() as usize,
        nobody
    );
    assert_eq!(
        provenance["agents"].as_u64().unwrap() as usize,
        lines(CARDS).len()
    );
    for key in ["data", "date", "encoder", "split", "note"] {
        assert!(!provenance[key].as_str().unwrap().is_empty(), "{key}");
    }
}

#[test]
fn the_labelled_set_is_whole() {
    let cards = lines(CARDS);
    let names: BTreeSet<&str> = cards.iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), cards.len(), "names are unique");
    assert!(names.len() >= 80);
    let mut examples = BTreeSet::new();
    for skill in cards
        .iter()
        .flat_map(|card| card["skills"].as_array().unwrap())
    {
        assert!(!skill["id"].as_str().unwrap().is_empty());
        for example in skill["examples"].as_array().unwrap() {
            examples.insert(example.as_str().unwrap());
        }
    }
    let queries = lines(QUERIES);
    let mut seen = BTreeSet::new();
    let mut per_agent: BTreeMap<&str, usize> = BTreeMap::new();
    let mut nobody = 0;
    for query in &queries {
        let text = query["query"].as_str().unwrap();
        assert!(seen.insert(text), "`{text}` occurs twice");
        assert!(!examples.contains(text), "`{text}` is an example on a card");
        match query["route"].as_str() {
            Some(route) => {
                assert!(names.contains(route), "`{route}` is no card");
                *per_agent.entry(route).or_default() += 1;
            }
            None => nobody += 1,
        }
    }
    assert!(queries.len() >= 900 && nobody >= 250);
    assert!(
        names
            .iter()
            .all(|name| per_agent.get(name).is_some_and(|n| *n >= 5))
    );
}

#[test]
fn every_mark_is_of_a_question_and_agrees_with_its_route() {
    let cards = lines(CARDS);
    let names: BTreeSet<&str> = cards.iter().map(|c| c["name"].as_str().unwrap()).collect();
    let queries = lines(QUERIES);
    let routes: BTreeMap<&str, Option<&str>> = queries
        .iter()
        .map(|q| (q["query"].as_str().unwrap(), q["route"].as_str()))
        .collect();
    let mut nobody: BTreeSet<&str> = routes
        .iter()
        .filter_map(|(query, route)| route.is_none().then_some(*query))
        .collect();
    for mark in &lines(MARKS) {
        let route = routes[mark["query"].as_str().unwrap()];
        assert_eq!(mark["out"].is_string(), route.is_none(), "{mark}");
        for other in ["trap", "beside"] {
            if let Some(agent) = mark[other].as_str() {
                assert!(names.contains(agent) && route != Some(agent), "{mark}");
            }
        }
        nobody.remove(mark["query"].as_str().unwrap());
    }
    assert!(nobody.is_empty(), "why does nobody do {nobody:?}");
}
