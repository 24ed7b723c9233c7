//! A stateless decider that misbehaves.

use kgents_engine::deciders::health::{Limits, Outcome, Probe, Status, Verdict};
use kgents_engine::{Engine, Error, Health};

use super::{HASTE_MS, artifact, component, engine, hasty_engine};

pub const TEXT: &str = include_str!("health.wat");

fn hostile() -> Health {
    hostile_in(&engine())
}

fn hostile_in(engine: &Engine) -> Health {
    let wasm = component("health", TEXT);
    Health::load(engine, &artifact("health", &wasm)).unwrap()
}

/// Ask for `fault`; 0 is good behaviour.
pub fn judge(health: &Health, fault: u32) -> Result<Verdict, Error> {
    let probes = [Probe {
        at_ms: 1,
        outcome: Outcome::Answered(2),
    }];
    let limits = Limits {
        slow_ms: fault,
        failures: 1,
        stale_ms: 1,
    };
    health.judge(&probes, limits, 3)
}

/// The fault gives the error, and every later call a fresh instance.
fn check(health: &Health, fault: u32, expected: &Error) {
    for _ in 0..3 {
        assert_eq!(judge(health, fault).as_ref(), Err(expected));
        for _ in 0..3 {
            assert_eq!(judge(health, 0).unwrap().status, Status::Healthy);
        }
    }
}

fn trapped(detail: &str) -> Error {
    Error::Trapped {
        decider: "health".into(),
        detail: detail.into(),
    }
}

#[test]
fn an_endless_loop_ends_at_its_deadline() {
    let deadline = Error::Deadline {
        decider: "health".into(),
        deadline_ms: HASTE_MS,
    };
    assert_eq!(deadline.code(), "decider-deadline");
    check(&hostile_in(&hasty_engine()), 1, &deadline);
}

#[test]
fn a_memory_storm_ends_at_its_bound() {
    let memory = Error::Memory {
        decider: "health".into(),
        memory_bytes_max: 64 * 1024 * 1024,
    };
    assert_eq!(memory.code(), "decider-memory");
    check(&hostile(), 2, &memory);
}

#[test]
fn a_failed_assertion_costs_one_instance() {
    let unreachable = trapped("wasm trap: wasm `unreachable` instruction executed");
    assert_eq!(unreachable.code(), "decider-trapped");
    check(&hostile(), 3, &unreachable);
}

#[test]
fn endless_recursion_traps() {
    check(&hostile(), 4, &trapped("wasm trap: call stack exhausted"));
}

#[test]
fn an_answer_that_is_none_costs_one_instance() {
    for fault in [5, 6] {
        let health = hostile();
        let error = judge(&health, fault).unwrap_err();
        assert_eq!(error.code(), "decider-trapped", "{error}");
        assert_eq!(error.decider(), Some("health"));
        assert_eq!(judge(&health, 0).unwrap().status, Status::Healthy);
    }
}

#[test]
fn an_instance_that_outgrew_what_is_kept_answers_once() {
    let health = hostile();
    for _ in 0..20 {
        assert_eq!(judge(&health, 7).unwrap().status, Status::Healthy);
    }
}

#[test]
fn an_instance_that_did_well_is_used_again() {
    let health = hostile();
    let faultless = 8;
    assert_eq!(judge(&health, faultless).unwrap().status, Status::Healthy);
    assert_eq!(judge(&health, 0).unwrap().status, Status::Failed);
}

#[test]
fn callers_beside_a_fault_are_served() {
    let health = hostile();
    std::thread::scope(|scope| {
        for caller in 0..8 {
            let health = &health;
            scope.spawn(move || {
                for call in 0..40 {
                    let fault = if caller == 0 { 3 } else { 0 };
                    let answer = judge(health, fault);
                    assert_eq!(answer.is_err(), caller == 0, "{call}: {answer:?}");
                    if let Ok(verdict) = answer {
                        assert_eq!(verdict.status, Status::Healthy);
                    }
                }
            });
        }
    });
}
