//! A policy decider that misbehaves: loading is all or nothing, and the set in
//! use keeps answering.

use kgents_engine::deciders::policy::{Kind, Query, Source, Subject, Verdict};
use kgents_engine::{Engine, Error, LoadError, Policy, PolicySet};

use super::{artifact, component, engine, hasty_engine};

fn hostile() -> Policy {
    hostile_in(&engine())
}

fn hostile_in(engine: &Engine) -> Policy {
    let wasm = component("policy", include_str!("policy.wat"));
    Policy::load_decider(engine, &artifact("policy", &wasm)).unwrap()
}

fn sources(count: usize) -> Vec<Source> {
    let source = Source {
        name: "a.cedar".into(),
        text: String::new(),
    };
    vec![source; count]
}

fn evaluate(set: &PolicySet, count: usize) -> Result<Vec<Verdict>, Error> {
    let subject = Subject {
        kind: Kind::User,
        id: "ada".into(),
        groups: Vec::new(),
        attributes: Vec::new(),
    };
    let query = Query {
        action: "invoke".into(),
        resource_kind: Kind::Agent,
        resource_id: "echo".into(),
        resource_groups: Vec::new(),
        resource_attributes: Vec::new(),
        context: Vec::new(),
    };
    set.evaluate(&subject, &vec![query; count])
}

#[test]
fn a_set_knows_its_ids_and_answers() {
    let set = hostile().load(&[]).unwrap();
    assert_eq!(set.ids(), ["the-only"]);
    assert_eq!(evaluate(&set, 0), Ok(Vec::new()));
}

#[test]
fn a_failed_load_leaves_the_set_in_use_untouched() {
    let policy = hostile_in(&hasty_engine());
    let set = policy.load(&[]).unwrap();
    let cases = [
        (1, "policy-problems"),
        (2, "decider-trapped"),
        (3, "decider-deadline"),
        (4, "decider-memory"),
    ];
    for (count, code) in cases {
        let Err(error) = policy.load(&sources(count)) else {
            panic!("{count} sources were loaded");
        };
        assert_eq!(error.code(), code, "{error}");
        assert_eq!(evaluate(&set, 0), Ok(Vec::new()));
    }
    let Err(LoadError::Problems(problems)) = policy.load(&sources(1)) else {
        panic!("one source was loaded");
    };
    assert_eq!(problems, []);
}

#[test]
fn a_trap_in_an_evaluation_costs_one_loaded_instance() {
    let set = hostile().load(&[]).unwrap();
    for _ in 0..5 {
        assert_eq!(evaluate(&set, 1).unwrap_err().code(), "decider-trapped");
        for _ in 0..3 {
            assert_eq!(evaluate(&set, 0), Ok(Vec::new()));
        }
    }
}

#[test]
fn the_schema_needs_no_policies() {
    assert_eq!(hostile().schema().unwrap(), "the-only");
}

#[test]
fn a_set_outlives_the_decider_that_made_it() {
    let set = hostile().load(&[]).unwrap();
    assert_eq!(evaluate(&set, 1).unwrap_err().code(), "decider-trapped");
    assert_eq!(evaluate(&set, 0), Ok(Vec::new()));
}
