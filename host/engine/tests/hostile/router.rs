//! A router that misbehaves: loading a model is all or nothing, and the model in
//! use keeps answering.

use kgents_engine::deciders::router::{
    Calibration, Examples, Head, Logistic, Ranked, Tables, Vectors,
};
use kgents_engine::{Engine, Error, LoadModelError, Router, RouterModel};

use super::{artifact, component, engine, hasty_engine};

fn hostile_in(engine: &Engine) -> Router {
    let wasm = component("router", include_str!("router.wat"));
    Router::load(engine, &artifact("router", &wasm)).unwrap()
}

/// Nothing but what tells the router how to behave.
fn tables(how: u32) -> Tables {
    let logistic = || Logistic {
        intercept: 0.0,
        weights: Vec::new(),
    };
    let examples = || Examples {
        steps: Vec::new(),
        scales: Vec::new(),
    };
    Tables {
        routes: Vec::new(),
        words: Head {
            dimensions: how,
            weights: Vec::new(),
            biases: Vec::new(),
        },
        words_examples: examples(),
        plain_examples: examples(),
        words_calibration: Calibration {
            in_scope: logistic(),
            right: logistic(),
        },
        sentences: None,
    }
}

fn vectors() -> Vectors {
    Vectors {
        words: vec![1.0],
        plain: vec![1.0],
        sentence: None,
    }
}

fn rank(model: &RouterModel, limit: u32) -> Result<Vec<Ranked>, Error> {
    model.rank(&vectors(), limit)
}

#[test]
fn a_model_answers() {
    let model = hostile_in(&engine()).model(&tables(0)).unwrap();
    assert_eq!(rank(&model, 0), Ok(Vec::new()));
    assert_eq!(model.judge(&vectors(), &[]), Ok(None));
    assert_eq!(model.instantiate(), Ok(()));
}

#[test]
fn a_failed_load_leaves_the_model_in_use_untouched() {
    let router = hostile_in(&hasty_engine());
    let model = router.model(&tables(0)).unwrap();
    let cases = [
        (1, "router-tables"),
        (2, "decider-trapped"),
        (3, "decider-deadline"),
        (4, "decider-memory"),
    ];
    for (how, code) in cases {
        let Err(error) = router.model(&tables(how)) else {
            panic!("{how}: it was loaded");
        };
        assert_eq!(error.code(), code, "{error}");
        assert_eq!(rank(&model, 0), Ok(Vec::new()));
    }
    let Err(LoadModelError::Tables(problem)) = router.model(&tables(1)) else {
        panic!("it was loaded");
    };
    assert_eq!(problem, "`words.biases` is wrong");
}

#[test]
fn a_trap_in_a_question_costs_one_loaded_instance() {
    let model = hostile_in(&engine()).model(&tables(0)).unwrap();
    for _ in 0..5 {
        assert_eq!(rank(&model, 1).unwrap_err().code(), "decider-trapped");
        for _ in 0..3 {
            assert_eq!(rank(&model, 0), Ok(Vec::new()));
        }
    }
}

#[test]
fn a_question_without_end_is_ended() {
    let model = hostile_in(&hasty_engine()).model(&tables(0)).unwrap();
    assert_eq!(rank(&model, 2).unwrap_err().code(), "decider-deadline");
    assert_eq!(rank(&model, 0), Ok(Vec::new()));
}

#[test]
fn a_model_outlives_the_router_that_made_it() {
    let model = hostile_in(&engine()).model(&tables(0)).unwrap();
    assert_eq!(rank(&model, 1).unwrap_err().code(), "decider-trapped");
    assert_eq!(rank(&model, 0), Ok(Vec::new()));
}
