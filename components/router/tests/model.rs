//! The model: what it refuses to take in, how it ranks and how it judges.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's own functions may fail it"
)]

use kgents_router::classify::{AGENTS_MAX, Classified, Ranked, Tier, Vectors};
use kgents_router::model::{
    Calibration, Examples, Head, Logistic, Model, Route, Sentences, Tables,
};
use proptest::prelude::*;
use std::cell::RefCell;

const DIMENSIONS: usize = 4;

/// Agents, with a number of examples each; every route lies on an axis of its own.
fn tables(routes: &[(&str, u32)]) -> Tables {
    let route = |(agent, examples): &(&str, u32)| Route {
        agent: (*agent).into(),
        cluster: "home".into(),
        skill: format!("{agent}-skill"),
        examples: *examples,
        is_taught: *examples > 0,
    };
    let axis = |place: usize| (0..DIMENSIONS).map(move |d| f32::from(u8::from(d == place)));
    let mut steps = Vec::new();
    for (place, (_, examples)) in routes.iter().enumerate() {
        for _ in 0..*examples {
            steps.extend(axis(place).map(|x| (x * 127.0) as i8));
        }
    }
    let count = steps.len() / DIMENSIONS;
    let examples = Examples {
        steps,
        scales: vec![1.0 / 127.0; count],
    };
    let right = logistic(0.0, &[1.0, 1.0]);
    Tables {
        routes: routes.iter().map(route).collect(),
        words: Head {
            dimensions: DIMENSIONS as u32,
            weights: (0..routes.len()).flat_map(axis).collect(),
            biases: vec![0.0; routes.len()],
        },
        words_examples: examples.clone(),
        plain_examples: examples,
        words_calibration: Calibration {
            in_scope: logistic(-4.0, &[4.0, 2.0, 1.0, 1.0]),
            right,
        },
        sentences: None,
    }
}

fn logistic(intercept: f32, weights: &[f32]) -> Logistic {
    Logistic {
        intercept,
        weights: weights.to_vec(),
    }
}

/// The same with a sentence encoder of two dimensions, that sees the first route
/// on its first axis and all others on its second.
fn with_sentences(mut tables: Tables) -> Tables {
    let axis = |place: usize| if place == 0 { [1_u8, 0] } else { [0, 1] };
    let mut steps = Vec::new();
    for (place, route) in tables.routes.iter().enumerate() {
        for _ in 0..route.examples {
            steps.extend(axis(place).map(|x| 127 * x as i8));
        }
    }
    let routes = 0..tables.routes.len();
    tables.sentences = Some(Sentences {
        head: Head {
            dimensions: 2,
            weights: routes.flat_map(axis).map(f32::from).collect(),
            biases: vec![0.0; tables.routes.len()],
        },
        examples: Examples {
            scales: vec![1.0 / 127.0; steps.len() / 2],
            steps,
        },
        calibration: Calibration {
            in_scope: logistic(-6.0, &[0.1, 4.0, 2.0]),
            right: logistic(0.0, &[1.0, 1.0]),
        },
        mix: 0.5,
    });
    tables
}

fn vectors(words: [f32; DIMENSIONS]) -> Vectors {
    Vectors {
        words: words.to_vec(),
        plain: words.to_vec(),
        sentence: None,
    }
}

const FIRST: [f32; DIMENSIONS] = [1.0, 0.0, 0.0, 0.0];

fn model(routes: &[(&str, u32)]) -> Model {
    Model::load(tables(routes)).unwrap()
}

fn judged(model: &Model, vectors: &Vectors) -> Classified {
    model.judge(vectors, &model.rank(vectors, 32)).unwrap()
}

/// How a table is broken, and what is said of it.
type Broken = (fn(&mut Tables), &'static str);

const BROKEN: [Broken; 18] = [
    (|t| t.routes[1].agent.clear(), "`routes[1].agent` is empty"),
    (
        |t| t.routes[0].examples = 3,
        "`words-examples.steps` has 16 numbers, and must have 4 for each of 5 examples",
    ),
    (
        |t| t.words.dimensions = 0,
        "`words.dimensions` is 0, and must be from 1 to 4096",
    ),
    (
        |t| t.words.dimensions = u32::MAX,
        "`words.dimensions` is 4294967295, and must be from 1 to 4096",
    ),
    (
        |t| t.words.weights.truncate(7),
        "`words.weights` has 7 numbers, and must have 4 for each of 2 routes",
    ),
    (
        |t| t.words.biases.push(0.0),
        "`words.biases` has 3 numbers, and must have 1 for each of 2 routes",
    ),
    (
        |t| t.words.weights[3] = f32::NAN,
        "`words.weights[3]` is not a finite number",
    ),
    (
        |t| t.words.biases[1] = f32::NEG_INFINITY,
        "`words.biases[1]` is not a finite number",
    ),
    (
        |t| t.words_examples.scales.truncate(3),
        "`words-examples.scales` has 3 numbers, and must have 1 for each of 4 examples",
    ),
    (
        |t| t.plain_examples.scales[2] = 0.0,
        "`plain-examples.scales[2]` is not above 0",
    ),
    (
        |t| t.plain_examples.scales[2] = f32::INFINITY,
        "`plain-examples.scales[2]` is not a finite number",
    ),
    (
        |t| t.plain_examples.steps[9] = -128,
        "`plain-examples.steps[9]` is -128, and must be from -127 to 127",
    ),
    (
        |t| t.words_calibration.in_scope.weights.truncate(3),
        "`words-calibration.in-scope.weights` has 3 numbers, and must have 1 for each of 4 features",
    ),
    (
        |t| t.words_calibration.right.intercept = f32::NAN,
        "`words-calibration.right.intercept` is not a finite number",
    ),
    (
        |t| t.words_calibration.right.weights.push(1.0),
        "`words-calibration.right.weights` has 3 numbers, and must have 1 for each of 2 features",
    ),
    (
        |t| sentences(t).mix = f32::NAN,
        "`sentences.mix` is not a finite number",
    ),
    (
        |t| sentences(t).head.dimensions = 3,
        "`sentences.head.weights` has 4 numbers, and must have 3 for each of 2 routes",
    ),
    (
        |t| sentences(t).calibration.in_scope.weights.push(1.0),
        "`sentences.calibration.in-scope.weights` has 4 numbers, and must have 1 for each of 3 features",
    ),
];

fn sentences(tables: &mut Tables) -> &mut Sentences {
    tables.sentences.as_mut().unwrap()
}

#[test]
fn tables_that_do_not_fit_are_refused_by_the_name_of_the_field() {
    for (spoil, expected) in BROKEN {
        let mut tables = with_sentences(tables(&[("books", 2), ("music", 2)]));
        assert!(Model::load(tables.clone()).is_ok());
        spoil(&mut tables);
        assert_eq!(Model::load(tables).unwrap_err(), expected);
    }
}

#[test]
fn more_examples_than_can_be_counted_are_refused() {
    let mut tables = tables(&[("books", 0), ("music", 0)]);
    for route in &mut tables.routes {
        route.examples = u32::MAX;
    }
    let problem = Model::load(tables).unwrap_err();
    assert!(problem.starts_with("`words-examples."), "{problem}");
}

#[test]
fn a_model_without_routes_ranks_and_judges_nobody() {
    let model = model(&[]);
    assert_eq!(model.rank(&vectors(FIRST), 32), []);
    assert_eq!(model.judge(&vectors(FIRST), &[]), None);
}

#[test]
fn the_best_routes_come_first_with_their_share_of_all() {
    let model = model(&[("books", 1), ("music", 1), ("weather", 1)]);
    let ranked = model.rank(&vectors([0.6, 0.8, 0.0, 0.0]), 2);
    let routes: Vec<u32> = ranked.iter().map(|one| one.route).collect();
    assert_eq!(routes, [1, 0]);
    assert!((ranked[0].logit - 8.0).abs() < 5e-3 && (ranked[1].logit - 6.0).abs() < 5e-3);
    let total = 8.0_f64.exp() + 6.0_f64.exp() + 1.0;
    assert!((f64::from(ranked[0].probability) - 8.0_f64.exp() / total).abs() < 1e-3);
}

#[test]
fn ties_go_by_place_and_a_limit_of_none_gives_none() {
    let model = model(&[("books", 1), ("music", 1), ("weather", 1)]);
    let zeros = vectors([0.0; DIMENSIONS]);
    let routes = |limit| -> Vec<u32> {
        let ranked = model.rank(&zeros, limit);
        ranked.iter().map(|one| one.route).collect()
    };
    assert_eq!(routes(2), [0, 1]);
    assert_eq!(routes(u32::MAX), [0, 1, 2]);
    assert!(routes(0).is_empty());
}

#[test]
fn vectors_of_other_dimensions_or_without_numbers_rank_nobody() {
    let model = Model::load(with_sentences(tables(&[("books", 2)]))).unwrap();
    let right = vectors(FIRST);
    let cases = [
        Vectors {
            words: vec![1.0; 3],
            ..right.clone()
        },
        Vectors {
            plain: vec![],
            ..right.clone()
        },
        Vectors {
            sentence: Some(vec![1.0; 3]),
            ..right.clone()
        },
        Vectors {
            words: vec![f32::NAN; 4],
            ..right.clone()
        },
        Vectors {
            plain: vec![f32::INFINITY; 4],
            ..right.clone()
        },
    ];
    let ranked = model.rank(&right, 1);
    assert_eq!(ranked.len(), 1);
    for wrong in cases {
        assert_eq!(model.rank(&wrong, 32), [], "{wrong:?}");
        assert_eq!(model.judge(&wrong, &ranked), None, "{wrong:?}");
    }
}

#[test]
fn what_lies_on_an_agents_examples_is_sure_and_what_lies_nowhere_is_not() {
    let model = model(&[("books", 4), ("music", 4)]);
    let sure = judged(&model, &vectors(FIRST));
    assert_eq!(
        (sure.tier, sure.agents[0].agent.as_str()),
        (Tier::Words, "books")
    );
    assert!(
        sure.in_scope > 0.95 && sure.agents[0].confidence > 0.99,
        "{sure:?}"
    );
    assert!((sure.features.words_mean - 1.0).abs() < 1e-3);
    assert!((sure.features.plain_best - 1.0).abs() < 1e-3);
    assert_eq!(sure.features.sentence_mean, 0.0);
    let nowhere = judged(&model, &vectors([0.0, 0.0, 0.0, 1.0]));
    assert!(
        nowhere.in_scope < 0.05 && nowhere.agents[0].confidence < 0.05,
        "{nowhere:?}"
    );
    assert_eq!(nowhere.features.words_best, 0.0);
}

#[test]
fn a_question_with_a_sentence_is_judged_by_both_encoders() {
    let model = Model::load(with_sentences(tables(&[("books", 4), ("music", 4)]))).unwrap();
    let both = Vectors {
        sentence: Some(vec![1.0, 0.0]),
        ..vectors(FIRST)
    };
    let logit = model.rank(&both, 1)[0].logit;
    assert!((logit - 15.0).abs() < 1e-4, "ten, and half of ten: {logit}");
    let told = judged(&model, &both);
    assert_eq!(told.tier, Tier::Sentences);
    assert!((told.features.sentence_mean - 1.0).abs() < 1e-3);
    assert_eq!(judged(&model, &vectors(FIRST)).tier, Tier::Words);
}

#[test]
fn a_sentence_that_the_model_has_no_head_for_is_left_out() {
    let model = model(&[("books", 2)]);
    let both = Vectors {
        sentence: Some(vec![1.0; 384]),
        ..vectors(FIRST)
    };
    assert_eq!(judged(&model, &both), judged(&model, &vectors(FIRST)));
}

#[test]
fn only_the_routes_given_are_judged_as_if_there_were_no_others() {
    let all = model(&[("books", 4), ("music", 4), ("weather", 4)]);
    let question = vectors([0.8, 0.6, 0.0, 0.0]);
    let mut ranked = all.rank(&question, 32);
    ranked.retain(|one| one.route != 0);
    let judged = all.judge(&question, &ranked).unwrap();
    let names: Vec<_> = judged.agents.iter().map(|one| one.agent.as_str()).collect();
    assert_eq!(names, ["music", "weather"]);
    assert!(
        (judged.features.words_best - 0.6).abs() < 0.01,
        "of its own examples"
    );
    let share = 6.0_f32.exp() / (6.0_f32.exp() + 1.0);
    assert!((judged.features.share - (share / (1.0 - share)).ln()).abs() < 1e-2);
    assert_eq!(all.judge(&question, &[]), None);
}

#[test]
fn the_order_of_the_routes_given_does_not_matter_nor_what_is_no_route() {
    let model = model(&[("books", 4), ("music", 4), ("weather", 4)]);
    let question = vectors([0.8, 0.6, 0.0, 0.0]);
    let ranked = model.rank(&question, 32);
    let expected = model.judge(&question, &ranked);
    let mut turned: Vec<Ranked> = ranked.iter().rev().copied().collect();
    turned.push(ranked[0]);
    turned.push(Ranked {
        route: u32::MAX,
        logit: 99.0,
        probability: 1.0,
    });
    assert_eq!(model.judge(&question, &turned), expected);
}

#[test]
fn the_shares_of_all_its_routes_are_an_agents() {
    let question = vectors([0.5, 0.5, 0.5, 0.5]);
    let together = judged(&model(&[("a", 2), ("b", 2), ("b", 2), ("b", 2)]), &question);
    assert_eq!(together.agents.len(), 2, "each agent once");
    assert_eq!(together.agents[0].agent, "b");
    let apart = judged(&model(&[("a", 2), ("b", 2), ("c", 2), ("d", 2)]), &question);
    assert!(together.agents[0].confidence > apart.agents[0].confidence);
    assert!(
        (together.features.share - apart.features.share).abs() < 1e-6,
        "a route's"
    );
}

#[test]
fn an_agents_best_route_says_its_skill_and_whether_it_was_taught() {
    let mut tables = tables(&[("a", 2), ("a", 2), ("b", 2)]);
    tables.routes[1].is_taught = false;
    tables.routes[1].skill = "only described".into();
    let model = Model::load(tables).unwrap();
    let first = judged(&model, &vectors(FIRST)).agents;
    assert!(first[0].is_taught);
    let second = judged(&model, &vectors([0.0, 1.0, 0.0, 0.0])).agents;
    assert_eq!(
        (second[0].skill.as_str(), second[0].is_taught),
        ("only described", false)
    );
}

#[test]
fn no_more_agents_are_told_than_the_interface_promises() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
    let routes: Vec<(&str, u32)> = names.iter().map(|name| (*name, 1)).collect();
    let agents = judged(&model(&routes), &vectors([0.5; DIMENSIONS])).agents;
    assert_eq!(agents.len(), AGENTS_MAX);
    assert!(agents.is_sorted_by(|a, b| a.confidence >= b.confidence));
}

#[test]
fn a_route_without_examples_is_judged_by_the_others_examples() {
    let model = model(&[("described", 0), ("taught", 6)]);
    let judged = judged(&model, &vectors(FIRST));
    assert_eq!(judged.agents[0].agent, "described");
    assert!(!judged.agents[0].is_taught);
    assert_eq!(judged.features.words_best, 0.0);
}

fn number() -> impl Strategy<Value = f32> {
    prop_oneof![6 => -1.0_f32..1.0, 1 => any::<f32>(), 1 => Just(f32::MAX), 1 => Just(-f32::MAX)]
}

prop_compose! {
    fn wild_tables()(
        examples in prop::collection::vec(0_u32..4, 0..6),
        dimensions in 0_u32..4,
        numbers in prop::collection::vec(number(), 200),
        steps in prop::collection::vec(any::<i8>(), 200),
        with_sentences in any::<bool>(),
    ) -> Tables {
        let count: usize = examples.iter().sum::<u32>() as usize;
        let (routes, each) = (examples.len(), dimensions as usize);
        let numbers = RefCell::new(numbers.into_iter().cycle());
        let take = |count: usize| numbers.borrow_mut().by_ref().take(count).collect::<Vec<f32>>();
        let table = || Examples {
            steps: steps.iter().copied().cycle().take(count * each).collect(),
            scales: take(count).into_iter().map(f32::abs).collect(),
        };
        let (words_examples, plain_examples, of_sentences) = (table(), table(), table());
        let head = || Head { dimensions, weights: take(routes * each), biases: take(routes) };
        let (words, other) = (head(), head());
        let calibration = |features| Calibration {
            in_scope: logistic(take(1)[0], &take(features)),
            right: logistic(take(1)[0], &take(2)),
        };
        let words_calibration = calibration(4);
        let sentences = with_sentences.then(|| Sentences {
            head: other,
            examples: of_sentences,
            calibration: calibration(3),
            mix: take(1)[0],
        });
        let route = |(place, examples): (usize, u32)| Route {
            agent: ["a", "b", "c"][place % 3].into(),
            cluster: String::new(),
            skill: String::new(),
            examples,
            is_taught: true,
        };
        Tables {
            routes: examples.into_iter().enumerate().map(route).collect(),
            words, words_examples, plain_examples, words_calibration, sentences,
        }
    }
}

proptest! {
    #[test]
    fn whatever_is_taken_in_judges_by_numbers(
        tables in wild_tables(), words in prop::collection::vec(number(), 0..4),
        sentence in prop::option::of(prop::collection::vec(number(), 0..4)),
        among in prop::collection::vec((0_u32..8, any::<f32>()), 0..8), limit in 0_u32..8,
    ) {
        let Ok(model) = Model::load(tables) else { return Ok(()) };
        let vectors = Vectors { plain: words.clone(), words, sentence };
        let ranked = model.rank(&vectors, limit);
        prop_assert!(ranked.len() <= limit as usize);
        for one in &ranked {
            prop_assert!(one.logit.is_finite() && (0.0..=1.0).contains(&one.probability));
        }
        let given = among.into_iter();
        let given: Vec<Ranked> =
            given.map(|(route, logit)| Ranked { route, logit, probability: logit }).collect();
        for among in [&ranked, &given] {
            let Some(judged) = model.judge(&vectors, among) else { continue };
            let f = judged.features;
            let cosines =
                [f.words_mean, f.words_best, f.plain_mean, f.plain_best, f.sentence_mean];
            prop_assert!(cosines.iter().all(|cosine| (-1.0..=1.0).contains(cosine)));
            prop_assert!(f.energy.is_finite() && f.share.is_finite());
            prop_assert!((0.0..=1.0).contains(&judged.in_scope));
            prop_assert!(!judged.agents.is_empty() && judged.agents.len() <= 3);
            prop_assert!(judged.agents.iter().all(|one| (0.0..=1.0).contains(&one.confidence)));
        }
    }
}
