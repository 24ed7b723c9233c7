//! The doors to deciders that are asked elsewhere: what they send, what they make
//! of the answer, and what they say when there is none.

#![expect(clippy::unwrap_used, reason = "a test's own functions may fail it")]

#[path = "hostile/wrapped.rs"]
mod wrapped;

use std::sync::{Arc, LazyLock, Mutex};

use kgents_engine::deciders::{health, pheromone, policy, router};
use kgents_engine::{
    Engine, EngineConfig, Error, Health, LoadError, Origin, Pheromones, Policy, Remote, Router,
};
use wrapped::{artifact, component};

const URL: &str = "http://decide.example";

type Answer = dyn Fn(&str) -> Result<String, String> + Send + Sync;

/// Answers as it is told, and remembers what it was asked.
struct Elsewhere {
    answer: Box<Answer>,
    asked: Mutex<Vec<(String, String)>>,
}

impl Remote for Elsewhere {
    fn url(&self) -> &str {
        URL
    }

    fn ask(&self, decider: &str, body: Vec<u8>) -> Result<Vec<u8>, String> {
        let body = String::from_utf8(body).unwrap();
        let answer = (self.answer)(&body);
        let mut asked = self.asked.lock().unwrap();
        asked.push((decider.to_owned(), body));
        answer.map(String::into_bytes)
    }
}

fn elsewhere(
    answer: impl Fn(&str) -> Result<String, String> + Send + Sync + 'static,
) -> Arc<Elsewhere> {
    Arc::new(Elsewhere {
        answer: Box::new(answer),
        asked: Mutex::default(),
    })
}

fn always(answer: &str) -> Arc<Elsewhere> {
    let answer = answer.to_owned();
    elsewhere(move |_| Ok(answer.clone()))
}

impl Elsewhere {
    fn last(&self) -> (String, String) {
        self.asked.lock().unwrap().last().unwrap().clone()
    }
}

static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new(EngineConfig::default()).unwrap());

/// A router that is asked elsewhere where questions go.
fn router_at(remote: Arc<Elsewhere>) -> Router {
    let wasm = component("router", include_str!("hostile/router.wat"));
    Router::remote(&ENGINE, &artifact("router", &wasm), remote).unwrap()
}

fn question() -> router::Question {
    router::Question {
        text: "hello".into(),
        target: None,
        accept: 0.8,
    }
}

const NOTHING: router::Evidence = router::Evidence {
    exact: None,
    conversation: None,
    cache: None,
    similar: None,
    classifier: None,
    search: None,
    fallback: None,
};

fn signal() -> pheromone::Pheromone {
    pheromone::Pheromone {
        kind: "WARNING".into(),
        source: "ada".into(),
        emitted_at_ms: 1,
        initial_intensity: 0.5,
        half_life_ms: 2,
        target: None,
        ttl_ms: Some(3),
    }
}

fn source(text: impl Into<String>) -> policy::Source {
    policy::Source {
        name: "a.cedar".into(),
        text: text.into(),
    }
}

fn subject() -> policy::Subject {
    policy::Subject {
        kind: policy::Kind::User,
        id: "ada".into(),
        groups: vec!["everyone".into()],
        attributes: vec![policy::Attribute {
            name: "cluster".into(),
            value: policy::Value::Text("eu".into()),
        }],
    }
}

fn query(agent: impl Into<String>) -> policy::Query {
    policy::Query {
        action: "invoke".into(),
        resource_kind: policy::Kind::Agent,
        resource_id: agent.into(),
        resource_groups: Vec::new(),
        resource_attributes: Vec::new(),
        context: Vec::new(),
    }
}

#[test]
fn the_router_is_asked_with_all_its_evidence() {
    let remote = always(r#"{"decide":{"need":"search"}}"#);
    let decider = router_at(remote.clone());
    let evidence = router::Evidence {
        exact: Some(Vec::new()),
        cache: Some(None),
        ..NOTHING
    };
    let step = decider.decide(&question(), &evidence).unwrap();
    assert_eq!(step, router::Step::Need(router::Rung::Search));
    assert_eq!(
        remote.last(),
        (
            "router".to_owned(),
            r#"{"decide":{"question":{"text":"hello","accept":0.8},"evidence":{"exact":[],"cache":null}}}"#.to_owned()
        )
    );
    assert_eq!(decider.origin(), Origin::Remote);
    assert_eq!(decider.instantiate(), Ok(()));
}

#[test]
fn what_a_model_said_goes_along_with_the_question() {
    let remote = always(r#"{"decide":{"need":"search"}}"#);
    let classified = router::Classified {
        tier: router::Tier::Words,
        in_scope: 0.5,
        features: router::Features {
            energy: 1.0,
            words_mean: 0.0,
            words_best: 0.0,
            plain_mean: 0.0,
            plain_best: 0.0,
            sentence_mean: 0.0,
            share: 0.25,
        },
        agents: Vec::new(),
    };
    let evidence = router::Evidence {
        classifier: Some(Some(classified)),
        ..NOTHING
    };
    router_at(remote.clone())
        .decide(&question(), &evidence)
        .unwrap();
    let told = r#""classifier":{"tier":"words","inScope":0.5,"features":{"energy":1.0,"#;
    assert!(remote.last().1.contains(told), "{}", remote.last().1);
}

#[test]
fn a_model_is_judged_here_and_nobody_elsewhere_is_asked() {
    let remote = elsewhere(|_| Err("it is not there".to_owned()));
    let table = || router::Examples {
        steps: Vec::new(),
        scales: Vec::new(),
    };
    let logistic = || router::Logistic {
        intercept: 0.0,
        weights: Vec::new(),
    };
    let tables = router::Tables {
        routes: Vec::new(),
        words: router::Head {
            dimensions: 0,
            weights: Vec::new(),
            biases: Vec::new(),
        },
        words_examples: table(),
        plain_examples: table(),
        words_calibration: router::Calibration {
            in_scope: logistic(),
            right: logistic(),
        },
        sentences: None,
    };
    let model = router_at(remote.clone()).model(&tables).unwrap();
    let vectors = router::Vectors {
        words: Vec::new(),
        plain: Vec::new(),
        sentence: None,
    };
    assert_eq!(model.rank(&vectors, 0), Ok(Vec::new()));
    assert_eq!(model.judge(&vectors, &[]), Ok(None));
    assert!(remote.asked.lock().unwrap().is_empty());
}

#[test]
fn a_decision_comes_back_with_the_bits_it_was_made_with() {
    let decided = r#"{"decide":{"decided":{"agent":"a","cluster":"c","method":"search","confidence":0.91234565,"inScope":0.96,"fallback":false,"reason":"it fits","alternatives":[{"agent":"b","cluster":"c","confidence":1e-10}]}}}"#;
    let step = router_at(always(decided))
        .decide(&question(), &NOTHING)
        .unwrap();
    let router::Step::Decided(decision) = step else {
        panic!("{step:?}")
    };
    assert_eq!(decision.confidence, 0.912_345_65_f32);
    assert_eq!(decision.method, router::Method::Search);
    assert_eq!(decision.alternatives.first().unwrap().confidence, 1e-10);
}

#[test]
fn every_function_of_the_pheromone_decider_is_asked_for() {
    let told = r#"{"kind":"WARNING","source":"ada","emittedAtMs":1,"initialIntensity":0.5,"halfLifeMs":2,"ttlMs":3}"#;
    let draft = pheromone::Draft {
        kind: "WARNING".into(),
        source: "ada".into(),
        initial_intensity: Some(0.5),
        half_life_minutes: None,
        target: None,
        ttl_seconds: None,
    };
    let remote = always(&format!(r#"{{"accept":{{"ok":{told}}}}}"#));
    let accepted = Pheromones::remote(remote.clone()).accept(&draft, &["MINE".into()], 9);
    assert_eq!(accepted, Ok(Ok(signal())));
    assert_eq!(
        remote.last().1,
        r#"{"accept":{"draft":{"kind":"WARNING","source":"ada","initialIntensity":0.5},"ownKinds":["MINE"],"nowMs":9}}"#
    );

    let refused = r#"{"accept":{"err":[{"field":"intensity","message":"is wrong"}]}}"#;
    let refused = Pheromones::remote(always(refused)).accept(&draft, &[], 9);
    assert_eq!(refused.unwrap().unwrap_err().len(), 1);

    let remote = always(r#"{"intensity":0.30000000000000004}"#);
    let intensity = Pheromones::remote(remote.clone()).intensity(&signal(), 9);
    assert_eq!(intensity, Ok(0.1 + 0.2));
    let asked = format!(r#"{{"intensity":{{"pheromone":{told},"nowMs":9}}}}"#);
    assert_eq!(remote.last(), ("pheromone".to_owned(), asked));

    let filter = pheromone::Filter {
        kind: None,
        target: Some("b".into()),
        min_intensity: 0.0,
        limit: 2,
    };
    let remote = always(r#"{"sense":[{"index":0,"intensity":0.25}]}"#);
    let sensed = Pheromones::remote(remote.clone()).sense(&[signal()], &filter, 9);
    let expected = pheromone::Sensed {
        index: 0,
        intensity: 0.25,
    };
    assert_eq!(sensed, Ok(vec![expected]));
    let asked = format!(
        r#"{{"sense":{{"pheromones":[{told}],"filter":{{"target":"b","minIntensity":0.0,"limit":2}},"nowMs":9}}}}"#
    );
    assert_eq!(remote.last().1, asked);
}

#[test]
fn health_is_judged_elsewhere_by_the_same_probes() {
    let remote = always(r#"{"judge":{"status":"degraded","reason":"slow"}}"#);
    let probe = |outcome| health::Probe { at_ms: 5, outcome };
    let probes = [
        probe(health::Outcome::TimedOut(6)),
        probe(health::Outcome::Unreachable),
    ];
    let limits = health::Limits {
        slow_ms: 1,
        failures: 2,
        stale_ms: 3,
    };
    let verdict = Health::remote(remote.clone())
        .judge(&probes, limits, 7)
        .unwrap();
    assert_eq!(verdict.status, health::Status::Degraded);
    assert_eq!(
        remote.last().1,
        r#"{"judge":{"probes":[{"atMs":5,"outcome":{"timedOut":6}},{"atMs":5,"outcome":"unreachable"}],"limits":{"slowMs":1,"failures":2,"staleMs":3},"nowMs":7}}"#
    );
}

/// A policy decider that knows one policy and allows what ends in `0`.
fn judge(body: &str) -> Result<String, String> {
    if body.starts_with(r#"{"schema""#) {
        return Ok(r#"{"schema":"entity User;"}"#.to_owned());
    }
    if body.starts_with(r#"{"load""#) {
        return Ok(r#"{"load":{"ok":{"ids":["p"]}}}"#.to_owned());
    }
    let verdicts: Vec<String> = body
        .split(r#""resourceId":""#)
        .skip(1)
        .map(|rest| {
            let allowed = rest.split('"').next().unwrap().ends_with('0');
            format!(r#"{{"allowed":{allowed},"policy":"p","checked":[0],"errors":[]}}"#)
        })
        .collect();
    let verdicts = verdicts.join(",");
    Ok(format!(
        r#"{{"evaluate":{{"ok":{{"ids":["p"],"verdicts":[{verdicts}]}}}}}}"#
    ))
}

#[test]
fn the_policies_go_along_with_every_question() {
    let remote = elsewhere(judge);
    let decider = Policy::remote(remote.clone());
    assert_eq!(decider.schema().as_deref(), Ok("entity User;"));
    let set = decider.load(&[source("permit(…);")]).unwrap();
    assert_eq!(set.ids(), ["p"]);
    let verdicts = set
        .evaluate(&subject(), &[query("a0"), query("b1")])
        .unwrap();
    let allowed: Vec<bool> = verdicts.iter().map(|verdict| verdict.allowed).collect();
    assert_eq!(allowed, [true, false]);
    assert_eq!(
        remote.last().1,
        "{\"evaluate\":{\"sources\":[{\"name\":\"a.cedar\",\"text\":\"permit(…);\"}],\
         \"subject\":{\"kind\":\"user\",\"id\":\"ada\",\"groups\":[\"everyone\"],\
         \"attributes\":[{\"name\":\"cluster\",\"value\":{\"text\":\"eu\"}}]},\
         \"queries\":[{\"action\":\"invoke\",\"resourceKind\":\"agent\",\"resourceId\":\"a0\",\
         \"resourceGroups\":[],\"resourceAttributes\":[],\"context\":[]},\
         {\"action\":\"invoke\",\"resourceKind\":\"agent\",\"resourceId\":\"b1\",\
         \"resourceGroups\":[],\"resourceAttributes\":[],\"context\":[]}]}}"
    );
    assert_eq!(set.evaluate(&subject(), &[]), Ok(Vec::new()));
}

#[test]
fn wrong_policies_are_the_problems_of_their_files() {
    let problems = r#"{"load":{"err":[{"source":"a.cedar","line":3,"message":"no"}]}}"#;
    let loaded = Policy::remote(always(problems)).load(&[source("x")]);
    let Err(LoadError::Problems(problems)) = loaded else {
        panic!("wrong policies were loaded")
    };
    assert_eq!(problems.first().unwrap().line, Some(3));
    assert_eq!(problems.first().unwrap().policy, None);
}

#[test]
fn policies_that_cannot_go_along_are_refused_with_their_size() {
    let decider = Policy::remote(elsewhere(judge));
    let loaded = decider.load(&[source("x".repeat(1_000_000))]);
    let Err(LoadError::Engine(error)) = loaded else {
        panic!("they were loaded")
    };
    assert_eq!(error.code(), "decider-remote");
    assert_eq!(
        error.to_string(),
        "decider `policy` at http://decide.example gave no answer: the policies take 1000051 bytes, \
         and at most 917504 can go along with a question; use fewer, or the mesh's own deciders \
         (no `deciders` in mesh.yaml)"
    );
}

#[test]
fn more_questions_than_fit_are_asked_in_several_requests() {
    let remote = elsewhere(judge);
    let set = Policy::remote(remote.clone())
        .load(&[source("x".repeat(900_000))])
        .unwrap();
    let queries: Vec<_> = (0..2_000).map(|number| query(number.to_string())).collect();
    let verdicts = set.evaluate(&subject(), &queries).unwrap();
    let allowed = verdicts.iter().filter(|verdict| verdict.allowed).count();
    assert_eq!((verdicts.len(), allowed), (2_000, 200));
    assert!(verdicts.iter().step_by(10).all(|verdict| verdict.allowed));
    let asked = remote.asked.lock().unwrap();
    assert!(asked.len() > 2);
    assert!(asked.iter().all(|(_, body)| body.len() <= 1024 * 1024));

    let error = set
        .evaluate(&subject(), &[query("y".repeat(500_000))])
        .unwrap_err();
    assert!(
        error.to_string().contains("at most 1048576 can be sent"),
        "{error}"
    );
}

#[test]
fn an_answer_that_is_none_fails_by_the_name_of_the_decider_and_its_address() {
    let decide = |remote| {
        let answer = router_at(remote).decide(&question(), &NOTHING);
        answer.unwrap_err()
    };
    let error = decide(elsewhere(|_| Err("connection refused".to_owned())));
    assert_eq!(error.decider(), Some("router"));
    let told = "decider `router` at http://decide.example gave no answer: ";
    assert_eq!(error.to_string(), format!("{told}connection refused"));
    for (answer, why) in [
        (
            "<html>",
            "what came back is no answer: the body is not JSON: expected value at line 1 column 1",
        ),
        (
            r#"{"judge":1}"#,
            "what came back is no answer: the body holds `judge`, which is not known; known are `decide`",
        ),
        (
            r#"{"decide":{"need":"luck"}}"#,
            "what came back is no answer: `decide.need` holds `luck`, which is not known; known are `exact`, `conversation`, `cache`, `similar`, `classifier`, `search`, `fallback`",
        ),
    ] {
        assert_eq!(decide(always(answer)).to_string(), format!("{told}{why}"));
    }
}

#[test]
fn verdicts_that_do_not_fit_the_question_allow_nothing() {
    for (answer, why) in [
        (
            r#"{"evaluate":{"ok":{"ids":["q"],"verdicts":[{"allowed":true,"policy":"q","checked":[],"errors":[]}]}}}"#,
            "other policies",
        ),
        (
            r#"{"evaluate":{"ok":{"ids":["p"],"verdicts":[]}}}"#,
            "one verdict per query",
        ),
        (r#"{"evaluate":{"err":[]}}"#, "refuses policies"),
    ] {
        let remote = elsewhere(move |body| match body.starts_with(r#"{"load""#) {
            true => judge(body),
            false => Ok(answer.to_owned()),
        });
        let set = Policy::remote(remote).load(&[]).unwrap();
        let error = set.evaluate(&subject(), &[query("a0")]).unwrap_err();
        assert!(
            matches!(&error, Error::Remote { detail, .. } if detail.contains(why)),
            "{error}"
        );
    }
}
