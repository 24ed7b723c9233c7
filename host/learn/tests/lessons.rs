//! What is learnt from a lesson, as seen from outside: with a plain judge in place of the
//! router component.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests, which are not test functions themselves"
)]

#[path = "../examples/clinc/judge.rs"]
mod judge;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use judge::BruteForce;
use kgents_learn::{
    Calibrated, Error, Judge, Judged, Lesson, Line, Model, Progress, Route, Sentences, Table,
    Tables, Vectors,
};

/// Topics, each with words that only it has.
const TOPICS: [(&str, [&str; 6]); 6] = [
    (
        "travel",
        [
            "flight",
            "hotel",
            "airport",
            "passport",
            "luggage",
            "train ticket",
        ],
    ),
    (
        "bank",
        [
            "balance",
            "account",
            "loan",
            "credit card",
            "deposit",
            "interest rate",
        ],
    ),
    (
        "kitchen",
        ["recipe", "oven", "soup", "flour", "dinner", "spices"],
    ),
    (
        "garden",
        ["roses", "soil", "lawn", "seeds", "hedge", "compost"],
    ),
    (
        "music",
        ["song", "guitar", "playlist", "album", "concert", "piano"],
    ),
    (
        "health",
        [
            "doctor",
            "fever",
            "medicine",
            "headache",
            "vaccine",
            "blood pressure",
        ],
    ),
];

const FRAMES: [&str; 3] = [
    "what about my {}",
    "i need help with the {} now",
    "{} please",
];

fn route(agent: &str) -> Route {
    Route {
        agent: agent.to_owned(),
        cluster: "here".to_owned(),
        skill: "all".to_owned(),
        skill_name: "All".to_owned(),
        is_taught: true,
    }
}

/// The first so many topics, 18 lines each.
fn lesson(topics: usize) -> Lesson {
    let mut lesson = Lesson::default();
    for (at, (agent, words)) in TOPICS.iter().take(topics).enumerate() {
        lesson.routes.push(route(agent));
        for (frame, word) in FRAMES
            .iter()
            .flat_map(|frame| words.map(|word| (frame, word)))
        {
            lesson.lines.push(Line {
                route: at as u32,
                text: frame.replace("{}", word),
                weight: 1.0,
            });
        }
    }
    lesson
}

fn trained(lesson: Lesson) -> Model {
    Model::train(lesson, Table::shipped().unwrap(), None, &BruteForce, &()).unwrap()
}

fn judged(model: &Model, text: &str) -> Judged {
    let question = model.vectors(text, None);
    let answers = BruteForce.judge(model.tables(), &[question]).unwrap();
    answers[0].unwrap()
}

/// The agent that comes first, and how sure.
fn first<'a>(model: &'a Model, text: &str) -> (&'a str, f32) {
    let judged = judged(model, text);
    let agent = &model.tables().routes[judged.route as usize].agent;
    (agent, judged.confidence)
}

/// Sentence vectors of 16 numbers: how often letters of 16 kinds occur.
struct Letters;

impl Sentences for Letters {
    fn name(&self) -> &str {
        "letters"
    }
    fn dimensions(&self) -> usize {
        16
    }
    fn encode(&self, text: &str) -> Option<Vec<f32>> {
        let mut vector = vec![0.0; 16];
        text.bytes()
            .for_each(|byte| vector[byte as usize % 16] += 1.0);
        (!text.is_empty()).then_some(vector)
    }
}

#[test]
fn what_was_taught_is_recognised_and_what_was_not_is_doubted() {
    let model = trained(lesson(6));
    for (text, wanted) in [
        ("where is my passport", "travel"),
        ("put the soup in the oven", "kitchen"),
        ("play a song on the piano", "music"),
    ] {
        let (agent, confidence) = first(&model, text);
        assert_eq!(agent, wanted, "{text}");
        assert!(confidence > 0.4, "{text}: {confidence}");
    }
    let strange = judged(&model, "prove the theorem of pythagoras in the plane").in_scope;
    assert!(strange < 0.3, "{strange}");
    assert_eq!(model.report().calibrated, Calibrated::Folds);
    assert!(model.report().words.accuracy.unwrap() > 0.6);
}

#[test]
fn the_same_lesson_gives_the_same_bits_whatever_the_order_of_its_routes_lines() {
    let one = trained(lesson(6));
    let mut turned = lesson(6);
    // Other routes' lines between them; each route's own stay in order.
    turned
        .lines
        .sort_by_key(|line| std::cmp::Reverse(line.route));
    let other = trained(turned);
    assert_eq!(one.tables(), other.tables());
    assert_eq!(one.report(), other.report());
    assert_eq!(
        one.vectors("my flight", None),
        other.vectors("my flight", None)
    );
    assert_ne!(one.report().version, trained(lesson(5)).report().version);
}

#[test]
fn every_number_of_a_model_fits_and_is_finite() {
    let model = Model::train(
        lesson(6),
        Table::shipped().unwrap(),
        Some(&Letters),
        &BruteForce,
        &(),
    );
    let model = model.unwrap();
    let tables = model.tables();
    let lines: u32 = tables.routes.iter().map(|route| route.examples).sum();
    let lines = lines as usize;
    assert_eq!(lines, 108);
    for (examples, width) in [(&tables.words_examples, 64), (&tables.plain_examples, 64)] {
        assert_eq!(
            (examples.scales.len(), examples.steps.len()),
            (lines, lines * width)
        );
        assert!(examples.scales.iter().all(|scale| *scale > 0.0));
    }
    let sentences = tables.sentences.as_ref().unwrap();
    assert_eq!(sentences.head.weights.len(), 6 * 16);
    assert_eq!(sentences.examples.steps.len(), lines * 16);
    let heads = [&tables.words, &sentences.head];
    let numbers = heads
        .iter()
        .flat_map(|head| head.weights.iter().chain(&head.biases));
    assert!(numbers.copied().all(f32::is_finite));
    assert_eq!(sentences.calibration.in_scope.weights.len(), 3);
    assert_eq!(tables.words_calibration.in_scope.weights.len(), 4);
    assert_eq!(model.report().encoder.as_deref(), Some("letters"));
    assert!(model.report().sentences.is_some());
}

#[test]
fn a_change_is_nearly_what_training_in_full_gives() {
    let full = trained(lesson(6));
    let changed = trained(lesson(5))
        .change(lesson(6), None, &BruteForce)
        .unwrap();
    assert_eq!(changed.report().changes, 1);
    assert_eq!(changed.report().routes, 6);
    for (agent, words) in TOPICS {
        for word in words {
            let text = format!("tell me about the {word}");
            assert_eq!(first(&changed, &text).0, agent, "{text}");
            let (one, other) = (first(&full, &text), first(&changed, &text));
            assert!((one.1 - other.1).abs() < 0.35, "{text}: {one:?} {other:?}");
        }
    }
}

#[test]
fn what_did_not_change_hardly_moves() {
    let before = trained(lesson(6));
    let mut next = lesson(6);
    next.lines.push(Line {
        route: 0,
        text: "book me a rental car".to_owned(),
        weight: 1.0,
    });
    let after = before.change(next, None, &BruteForce).unwrap();
    assert_eq!(first(&after, "book me a rental car").0, "travel");
    for (_, words) in &TOPICS[1..] {
        for word in words {
            let text = format!("tell me about the {word}");
            let (was, is) = (first(&before, &text), first(&after, &text));
            assert_eq!(was.0, is.0, "{text}");
            assert!((was.1 - is.1).abs() < 0.1, "{text}: {was:?} {is:?}");
        }
    }
    // A lesson that is the same learns nothing.
    let same = before.change(lesson(6), None, &BruteForce).unwrap();
    assert_eq!(same.tables(), before.tables());
    assert_ne!(same.report().version, before.report().version);
}

#[test]
fn a_removed_route_is_gone_and_others_keep_their_places_in_the_tables() {
    let before = trained(lesson(6));
    let mut next = lesson(6);
    next.routes.remove(2);
    next.lines.retain(|line| line.route != 2);
    for line in &mut next.lines {
        line.route -= u32::from(line.route > 2);
    }
    let after = before.change(next, None, &BruteForce).unwrap();
    let agents: Vec<&str> = after
        .tables()
        .routes
        .iter()
        .map(|route| route.agent.as_str())
        .collect();
    assert_eq!(agents, ["travel", "bank", "garden", "music", "health"]);
    assert_eq!(first(&after, "my lawn and my roses").0, "garden");
    let reports: Vec<&str> = after
        .report()
        .by_route
        .iter()
        .map(|route| route.agent.as_str())
        .collect();
    assert_eq!(reports, agents);
}

#[test]
fn lines_of_little_weight_cannot_take_others_questions() {
    let plain = trained(lesson(6));
    // One author floods its route with the words of another.
    let mut poisoned = lesson(6);
    for at in 0..100 {
        poisoned.lines.push(Line {
            route: 1,
            text: format!("{} {at}", FRAMES[at % 3].replace("{}", TOPICS[0].1[at % 6])),
            weight: 0.02,
        });
    }
    let poisoned = trained(poisoned);
    let (mut kept, mut all) = (0, 0);
    for word in TOPICS[0].1 {
        let text = format!("what about my {word}");
        assert_eq!(first(&plain, &text).0, "travel");
        all += 1;
        kept += usize::from(first(&poisoned, &text).0 == "travel");
    }
    assert!(kept + 1 >= all, "{kept} of {all}");
}

#[test]
fn odd_lessons_have_models_and_low_probabilities() {
    let line = |route, text: &str| Line {
        route,
        text: text.to_owned(),
        weight: 1.0,
    };
    let with = |routes: &[&str], lines: Vec<Line>| Lesson {
        routes: routes.iter().map(|agent| route(agent)).collect(),
        lines,
    };
    let same = (0..120).map(|at| line(at % 3, "do the thing")).collect();
    let empty = (0..12).map(|at| line(at % 3, " \u{0}")).collect();
    let single = (0..20)
        .map(|at| line(0, &format!("water the plants {at}")))
        .collect();
    for (name, lesson) in [
        ("nothing", Lesson::default()),
        ("no lines", with(&["a", "b"], Vec::new())),
        ("one line", with(&["a"], vec![line(0, "hello there")])),
        ("identical", with(&["a", "b", "c"], same)),
        ("without words", with(&["a", "b", "c"], empty)),
        ("one route", with(&["a"], single)),
        (
            "same key twice",
            with(&["a", "a"], vec![line(0, "x"), line(1, "y")]),
        ),
    ] {
        let model = trained(lesson.clone());
        let calibration = &model.tables().words_calibration;
        assert!(calibration.in_scope.intercept.is_finite(), "{name}");
        let questions = [model.vectors("do the thing", None), model.vectors("", None)];
        for answer in BruteForce.judge(model.tables(), &questions).unwrap() {
            let Some(answer) = answer else { continue };
            assert!(
                (0.0..=1.0).contains(&answer.confidence),
                "{name}: {answer:?}"
            );
            if name == "identical" {
                assert!(answer.confidence < 0.75, "{name}: {answer:?}");
            }
        }
        model.change(lesson, None, &BruteForce).unwrap();
    }
}

#[test]
fn with_too_few_lines_the_shipped_constants_stand() {
    let mut few = lesson(3);
    few.lines.retain(|line| line.text.ends_with("please"));
    few.lines.truncate(3);
    let model = trained(few);
    assert_eq!(model.report().calibrated, Calibrated::Shipped);
    assert!(model.report().words.accuracy.is_none());
    let (known, strange) = (
        judged(&model, "flight please").in_scope,
        judged(&model, "prove the theorem of pythagoras").in_scope,
    );
    assert!(known > 0.5 && strange < 0.5, "{known} {strange}");
}

#[test]
fn operators_lines_calibrate_a_model_and_change_nothing_else() {
    let model = trained(lesson(6));
    let mut lines: Vec<(String, Option<u32>)> = Vec::new();
    for (route, (_, words)) in (0..).zip(TOPICS) {
        lines.extend(words.map(|word| (format!("question about {word}"), Some(route))));
    }
    lines.extend((0..9).map(|at| (format!("the theorem number {at}"), None)));
    let calibrated = model.calibrate(&lines, None, &BruteForce).unwrap();
    assert_eq!(calibrated.report().calibrated, Calibrated::Lines);
    assert_eq!(calibrated.tables().words, model.tables().words);
    assert_ne!(
        calibrated.tables().words_calibration,
        model.tables().words_calibration
    );
    assert_eq!(calibrated.report().words.out_of_scope, 9);
    let refused = |lines: &[(String, Option<u32>)]| {
        let error = model.calibrate(lines, None, &BruteForce).unwrap_err();
        (error.to_string(), error.code())
    };
    assert_eq!(
        refused(&[("x".to_owned(), None)]),
        (
            "of the 1 lines to calibrate on none has a route; add some that do".to_owned(),
            "learn-calibration"
        )
    );
    assert_eq!(
        refused(&[("x".to_owned(), Some(6))]).0,
        "line 0 belongs to route 6, the lesson has 6 routes"
    );
}

/// Answers fewer questions than it was asked, or none.
struct Broken(Option<usize>);

impl Judge for Broken {
    fn judge(&self, _: &Tables, _: &[Vectors]) -> Result<Vec<Option<Judged>>, String> {
        match self.0 {
            Some(answers) => Ok(vec![None; answers]),
            None => Err("tables.words: too large".to_owned()),
        }
    }
}

/// Vectors of a wrong length, or none at all.
struct Odd(Option<usize>);

impl Sentences for Odd {
    fn name(&self) -> &str {
        "odd"
    }
    fn dimensions(&self) -> usize {
        16
    }
    fn encode(&self, _: &str) -> Option<Vec<f32>> {
        self.0.map(|width| vec![1.0; width])
    }
}

#[test]
fn a_judge_or_encoder_that_fails_is_named() {
    let table = Table::shipped().unwrap();
    let train = |sentences: Option<&dyn Sentences>, judge: &dyn Judge| {
        Model::train(lesson(2), Arc::clone(&table), sentences, judge, &())
    };
    let error = train(None, &Broken(None)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the router did not judge the model's own examples: tables.words: too large"
    );
    let error = train(None, &Broken(Some(1))).unwrap_err();
    assert!(error.to_string().contains("1 answers to "), "{error}");
    assert_eq!(error.code(), "learn-judge");
    let error = train(Some(&Odd(Some(3))), &BruteForce).unwrap_err();
    assert_eq!(
        error,
        Error::Sentences {
            encoder: "odd".to_owned(),
            problem: "gave a vector of 3 numbers instead of 16".to_owned()
        }
    );
    // An encoder that is away: words alone.
    let model = train(Some(&Odd(None)), &BruteForce).unwrap();
    assert!(model.tables().sentences.is_none());
    assert_eq!(model.report().encoder, None);
}

#[test]
fn progress_is_told_from_none_to_all() {
    #[derive(Default)]
    struct Told(AtomicUsize);
    impl Progress for Told {
        fn at(&self, done: usize, of: usize) {
            assert!(done <= of && of == 6);
            assert_eq!(self.0.fetch_add(1, Ordering::Relaxed), done);
        }
    }
    let told = Told::default();
    Model::train(
        lesson(2),
        Table::shipped().unwrap(),
        None,
        &BruteForce,
        &told,
    )
    .unwrap();
    assert_eq!(told.0.load(Ordering::Relaxed), 7);
}
