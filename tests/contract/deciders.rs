//! The deciders as built, called the way the nucleus calls them: what their WIT
//! promises holds in WebAssembly too.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop where it stands"
)]

use std::sync::LazyLock;

use kgents_engine::deciders::{agents, health, pheromone, policy, router};
use kgents_engine::{
    AllFiles, Deciders, Engine, EngineConfig, LoadError, LoadModelError, Origin, PolicySet,
};
use kgents_tests::components;

/// 2026-11-24, in milliseconds.
const NOW_MS: u64 = 1_795_500_000_000;

static DECIDERS: LazyLock<Deciders> = LazyLock::new(|| {
    let files = AllFiles::read(&components())
        .unwrap_or_else(|error| panic!("{error}; run `cargo xtask build`"));
    let engine = Engine::new(EngineConfig::default()).unwrap();
    Deciders::load(&engine, &files.artifacts()).unwrap()
});

#[test]
fn the_machine_code_of_the_build_is_what_runs() {
    let origins = [
        DECIDERS.router.origin(),
        DECIDERS.policy.origin(),
        DECIDERS.pheromone.origin(),
        DECIDERS.health.origin(),
        DECIDERS.agents.origin(),
    ];
    assert_eq!(origins, [Origin::Precompiled; 5]);
}

#[test]
fn the_router_asks_for_exact_names_first_and_takes_the_one() {
    let question = router::Question {
        text: "echo".into(),
        target: None,
        accept: 0.8,
    };
    let mut evidence = router::Evidence {
        exact: None,
        conversation: None,
        cache: None,
        similar: None,
        classifier: None,
        search: None,
        fallback: None,
    };
    let decide = |evidence: &_| DECIDERS.router.decide(&question, evidence).unwrap();
    assert_eq!(decide(&evidence), router::Step::Need(router::Rung::Exact));
    evidence.exact = Some(vec![router::Named {
        agent: "echo".into(),
        cluster: "local".into(),
        via: "name".into(),
    }]);
    let router::Step::Decided(decision) = decide(&evidence) else {
        panic!("an exact name is not decided");
    };
    assert_eq!(decision.agent.as_deref(), Some("echo"));
    assert_eq!(decision.method, router::Method::Exact);
    assert!(!decision.fallback);
}

#[test]
fn a_question_that_nothing_answers_ends_in_a_visible_fallback() {
    let question = router::Question {
        text: "x".into(),
        target: None,
        accept: 0.8,
    };
    let evidence = router::Evidence {
        exact: Some(Vec::new()),
        conversation: Some(None),
        cache: Some(None),
        similar: Some(None),
        classifier: Some(None),
        search: Some(router::Found {
            candidates: Vec::new(),
            encoder: None,
        }),
        fallback: Some(None),
    };
    let step = DECIDERS.router.decide(&question, &evidence).unwrap();
    let router::Step::Decided(decision) = step else {
        panic!("{step:?}");
    };
    assert_eq!((decision.agent, decision.fallback), (None, true));
}

/// Two agents on axes of their own, so many examples of each on its axis.
fn learnt(examples: u32) -> router::Tables {
    const DIMENSIONS: usize = 64;
    let axis = |place: usize| (0..DIMENSIONS).map(move |d| u8::from(d == place));
    let steps = [0, 1].map(|place| {
        let example = move |_| axis(place).map(|one| 127 * i8::try_from(one).unwrap());
        (0..examples).flat_map(example)
    });
    let table = router::Examples {
        steps: steps.into_iter().flatten().collect(),
        scales: vec![1.0 / 127.0; examples as usize * 2],
    };
    let route = |agent: &str| router::Route {
        agent: agent.into(),
        cluster: "local".into(),
        skill: format!("{agent}-skill"),
        examples,
        is_taught: true,
    };
    router::Tables {
        routes: vec![route("books"), route("music")],
        words: router::Head {
            dimensions: DIMENSIONS as u32,
            weights: [0, 1].into_iter().flat_map(axis).map(f32::from).collect(),
            biases: vec![0.0; 2],
        },
        words_examples: table.clone(),
        plain_examples: table,
        words_calibration: router::Calibration {
            in_scope: router::Logistic {
                intercept: -4.0,
                weights: vec![4.0, 2.0, 1.0, 1.0],
            },
            right: router::Logistic {
                intercept: 0.0,
                weights: vec![1.0, 1.0],
            },
        },
        sentences: None,
    }
}

fn at(place: usize) -> router::Vectors {
    let words: Vec<f32> = (0..64).map(|d| f32::from(u8::from(d == place))).collect();
    router::Vectors {
        plain: words.clone(),
        words,
        sentence: None,
    }
}

#[test]
fn a_model_ranks_judges_and_is_the_evidence_of_a_decision() {
    let model = DECIDERS.router.model(&learnt(100)).unwrap();
    let ranked = model.rank(&at(1), 32).unwrap();
    assert_eq!(ranked.len(), 2);
    assert_eq!(ranked[0].route, 1);
    assert!((ranked[0].logit - 10.0).abs() < 0.01, "{ranked:?}");
    let classified = model.judge(&at(1), &ranked).unwrap().unwrap();
    let best = &classified.agents[0];
    assert_eq!((best.agent.as_str(), best.is_taught), ("music", true));
    assert!(best.confidence > 0.99 && classified.in_scope > 0.95);
    assert!((classified.features.words_mean - 1.0).abs() < 1e-3);

    let question = router::Question {
        text: "play me something".into(),
        target: None,
        accept: 0.8,
    };
    let evidence = router::Evidence {
        exact: Some(Vec::new()),
        conversation: Some(None),
        cache: Some(None),
        similar: Some(None),
        classifier: Some(Some(classified)),
        search: None,
        fallback: None,
    };
    let step = DECIDERS.router.decide(&question, &evidence).unwrap();
    let router::Step::Decided(decision) = step else {
        panic!("{step:?}");
    };
    assert_eq!(decision.agent.as_deref(), Some("music"));
    assert_eq!(decision.method, router::Method::Classifier);
    assert!(decision.in_scope >= decision.confidence);
}

#[test]
fn a_question_that_resembles_nothing_is_in_nobodys_scope() {
    let model = DECIDERS.router.model(&learnt(3)).unwrap();
    let ranked = model.rank(&at(9), 32).unwrap();
    let classified = model.judge(&at(9), &ranked).unwrap().unwrap();
    assert!(classified.in_scope < 0.05, "{classified:?}");
    assert_eq!(model.judge(&at(9), &[]).unwrap(), None);
    let short = router::Vectors {
        words: vec![1.0],
        ..at(0)
    };
    assert_eq!(model.rank(&short, 32).unwrap(), []);
}

#[test]
fn tables_that_do_not_fit_are_refused_by_name_and_the_model_in_use_stays() {
    let model = DECIDERS.router.model(&learnt(3)).unwrap();
    let mut tables = learnt(3);
    tables.words.biases.pop();
    let Err(LoadModelError::Tables(problem)) = DECIDERS.router.model(&tables) else {
        panic!("they were loaded");
    };
    assert!(problem.starts_with("`words.biases`"), "{problem}");
    assert_eq!(model.rank(&at(0), 1).unwrap()[0].route, 0);
}

#[test]
fn a_pheromone_halves_and_is_sensed_strongest_first() {
    let draft = pheromone::Draft {
        kind: "WARNING".into(),
        source: "b-gent".into(),
        initial_intensity: Some(0.8),
        half_life_minutes: Some(1.0),
        target: None,
        ttl_seconds: None,
    };
    let sensing = &DECIDERS.pheromone;
    let early = sensing.accept(&draft, &[], NOW_MS).unwrap().unwrap();
    let late = sensing
        .accept(&draft, &[], NOW_MS + 60_000)
        .unwrap()
        .unwrap();
    let now_ms = NOW_MS + 60_000;
    let intensity = sensing.intensity(&early, now_ms).unwrap();
    assert!((intensity - 0.4).abs() < 1e-9, "{intensity}");
    let filter = pheromone::Filter {
        kind: None,
        target: None,
        min_intensity: 0.0,
        limit: 0,
    };
    let sensed = sensing.sense(&[early, late], &filter, now_ms).unwrap();
    let order: Vec<_> = sensed.iter().map(|sensed| sensed.index).collect();
    assert_eq!(order, [1, 0]);

    let wrong = pheromone::Draft {
        half_life_minutes: Some(-1.0),
        ..draft
    };
    let problems = sensing.accept(&wrong, &[], NOW_MS).unwrap().unwrap_err();
    assert_eq!(problems[0].field, "halfLifeMinutes");
}

#[test]
fn health_is_judged_by_the_probes() {
    let limits = health::Limits {
        slow_ms: 5_000,
        failures: 1,
        stale_ms: 60_000,
    };
    let judge = |probes: &[_]| DECIDERS.health.judge(probes, limits, NOW_MS).unwrap();
    let probe = |outcome| health::Probe {
        at_ms: NOW_MS,
        outcome,
    };
    assert_eq!(judge(&[]).status, health::Status::Unknown);
    let cases = [
        (health::Outcome::Answered(10), health::Status::Healthy),
        (health::Outcome::Answered(9_000), health::Status::Degraded),
        (health::Outcome::Unreachable, health::Status::Failed),
        (health::Outcome::Status(503), health::Status::Failed),
    ];
    for (outcome, status) in cases {
        let verdict = judge(&[probe(outcome)]);
        assert_eq!(verdict.status, status, "{outcome:?}");
        assert!(!verdict.reason.is_empty());
    }
}

#[test]
fn the_meshs_own_agents_understand_and_answer() {
    let message = |agent: &str, text: &str| agents::Message {
        agent: agent.into(),
        text: text.into(),
        data: None,
    };
    let plan = |message: &_| DECIDERS.agents.plan(message).unwrap();
    let echo = plan(&message("echo", "hello there"));
    assert_eq!(echo, Ok(agents::Operation::Echo("hello there".into())));
    let unclear = plan(&message("b-gent", "zzz zzz zzz")).unwrap_err();
    assert!(!unclear.examples.is_empty());
    let outcome = agents::Outcome::Insufficient(("translation".into(), 900, 100));
    let reply = DECIDERS.agents.phrase(&outcome).unwrap();
    assert!(reply.text.contains("900"), "{}", reply.text);
    let data: serde_json::Value = serde_json::from_str(&reply.data).unwrap();
    assert!(data.is_object(), "{data}");
}

fn source(text: &str) -> policy::Source {
    policy::Source {
        name: "test.cedar".into(),
        text: text.into(),
    }
}

fn loaded(text: &str) -> PolicySet {
    DECIDERS.policy.load(&[source(text)]).unwrap()
}

fn invoke(set: &PolicySet, agent: &str) -> policy::Verdict {
    let subject = policy::Subject {
        kind: policy::Kind::User,
        id: "ada".into(),
        groups: vec!["everyone".into()],
        attributes: Vec::new(),
    };
    let query = policy::Query {
        action: "invoke".into(),
        resource_kind: policy::Kind::Agent,
        resource_id: agent.into(),
        resource_groups: Vec::new(),
        resource_attributes: Vec::new(),
        context: Vec::new(),
    };
    let mut verdicts = set.evaluate(&subject, &[query]).unwrap();
    assert_eq!(verdicts.len(), 1);
    verdicts.remove(0)
}

const PERMIT: &str = r#"@id("all") permit(principal, action == Action::"invoke", resource);"#;
const FORBID: &str = r#"@id("not-b") forbid(principal, action, resource == Agent::"b-gent");"#;

#[test]
fn nothing_is_allowed_by_itself_and_a_forbid_wins() {
    let nothing = loaded("");
    assert!(!invoke(&nothing, "echo").allowed);
    let set = loaded(&format!("{PERMIT}\n{FORBID}"));
    assert_eq!(set.ids(), ["all", "not-b"]);
    let echo = invoke(&set, "echo");
    assert!(echo.allowed, "{echo:?}");
    assert_eq!(echo.policy, "all");
    let budget = invoke(&set, "b-gent");
    assert!(!budget.allowed);
    assert_eq!(budget.policy, "not-b");
}

#[test]
fn a_wrong_policy_is_named_and_the_set_in_use_stays() {
    let set = loaded(PERMIT);
    let wrong = r#"permit(principal, action == Action::"invoek", resource);"#;
    let Err(LoadError::Problems(problems)) = DECIDERS.policy.load(&[source(wrong)]) else {
        panic!("a misspelt action was loaded");
    };
    assert_eq!(problems[0].source, "test.cedar");
    assert!(invoke(&set, "echo").allowed);
}

#[test]
fn two_sets_of_policies_do_not_disturb_each_other() {
    let (open, closed) = (loaded(PERMIT), loaded(FORBID));
    assert!(invoke(&open, "b-gent").allowed);
    assert!(!invoke(&closed, "echo").allowed);
}

#[test]
fn deeply_nested_policies_end_in_a_set_or_in_problems_never_in_a_trap() {
    for depth in [10, 50, 100, 500, 5_000] {
        let text = format!(
            r#"permit(principal, action == Action::"invoke", resource) when {{ {}true{} }};"#,
            "(".repeat(depth),
            ")".repeat(depth),
        );
        match DECIDERS.policy.load(&[source(&text)]) {
            Ok(_) | Err(LoadError::Problems(_)) => {}
            Err(error) => panic!("{depth}: {error}"),
        }
    }
}

#[test]
fn the_schema_tells_what_policies_can_speak_about() {
    let schema = DECIDERS.policy.schema().unwrap();
    assert!(schema.contains("invoke"), "{schema}");
}
