//! The table of requests, answered by the deciders natively; and what is published
//! about them.

#![expect(clippy::unwrap_used, reason = "a test's own functions may fail it")]

mod native;

use std::path::Path;

use kgents_decide::{Answer, Body, handle, has_body, schemas};
use kgents_decide_wire::BODY_BYTES_MAX;
use kgents_gateway::call::{Failure, FailureKind};
use kgents_gateway::reply::{ReplyBinding, ReplyShape};
use native::table::{Bad, DECIDERS, Good, read};
use native::{Native, schema};
use serde_json::Value;

fn ask(method: &str, target: &str, body: &[u8]) -> Answer {
    handle(method, target, Body::Whole(body), &Native)
}

fn json(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

fn good(decider: &str) -> Vec<Good> {
    read(decider).unwrap()
}

#[test]
fn every_good_request_has_the_answer_of_the_table() {
    for decider in DECIDERS {
        for good in good(decider) {
            let body = serde_json::to_vec(&good.request).unwrap();
            let answer = ask("POST", &kgents_decide_wire::path(decider), &body);
            assert_eq!(
                (answer.status, json(&answer)),
                (200, good.answer),
                "{decider}: {}",
                good.name
            );
        }
    }
}

#[test]
fn every_bad_request_has_the_error_of_the_table() {
    for bad in read::<Bad>("bad").unwrap() {
        let answer = ask(&bad.method, &bad.path, &bad.body());
        let told = json(&answer);
        assert_eq!(answer.status, bad.status, "{}: {told}", bad.name);
        let text = |at: &str| told.pointer(at).and_then(Value::as_str).map(str::to_owned);
        assert_eq!(
            text("/error/details/0/reason"),
            Some(bad.reason),
            "{}",
            bad.name
        );
        assert_eq!(text("/error/message"), bad.message, "{}", bad.name);
        assert_eq!(answer.allow.is_some(), answer.status == 405, "{}", bad.name);
    }
}

#[test]
fn head_is_answered_as_get_is() {
    for path in ["/v1/decide", "/v1/decide/health/schema"] {
        assert_eq!(ask("HEAD", path, b""), ask("GET", path, b""), "{path}");
    }
    assert_eq!(ask("HEAD", "/v1/decide/health", b"").status, 405);
}

#[test]
fn every_function_is_in_the_table_and_in_the_list() {
    let list = json(&ask("GET", "/v1/decide", b""));
    let listed = list.get("deciders").and_then(Value::as_array).unwrap();
    let names: Vec<_> = listed
        .iter()
        .map(|decider| decider["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, DECIDERS);
    for decider in listed {
        let name = decider["name"].as_str().unwrap();
        let good = good(name);
        for function in decider["functions"].as_array().unwrap() {
            let function = function.as_str().unwrap();
            let asked = good.iter().any(|good| good.request.get(function).is_some());
            let shown = good
                .iter()
                .any(|good| good.example && good.request.get(function).is_some());
            assert!(asked && shown, "{name}: {function}");
        }
        let schema = ask("GET", decider["schema"].as_str().unwrap(), b"");
        assert_eq!(schema.status, 200);
        assert_eq!(decider["url"], format!("/v1/decide/{name}"));
        assert!(json(&schema)["title"].as_str().unwrap().ends_with(name));
    }
    assert_eq!(ask("GET", "/v1/decide/", b"").status, 200);
}

#[test]
fn the_published_schemas_are_those_of_the_records() {
    let published = [
        schemas::ROUTER,
        schemas::POLICY,
        schemas::PHEROMONE,
        schemas::HEALTH,
    ];
    for (decider, text) in DECIDERS.into_iter().zip(published) {
        // As values: the order of keys depends on what else is built along.
        let published: Value = serde_json::from_str(text).unwrap();
        assert!(
            published == schema::published(decider, &good(decider)),
            "schemas/{decider}.json is out of date: cargo run -p kgents-decide --example publish"
        );
    }
}

#[test]
fn the_schema_says_what_the_wit_says() {
    let health: Value = serde_json::from_str(schemas::HEALTH).unwrap();
    let slow = &health["$defs"]["Limits"]["properties"]["slowMs"]["description"];
    let wit = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit/health/health.wit"),
    );
    assert!(wit.unwrap().contains(slow.as_str().unwrap()), "{slow}");
}

#[test]
fn a_body_of_the_largest_size_is_read_and_one_byte_more_is_not() {
    let mut body = serde_json::to_vec(&good("health").remove(0).request).unwrap();
    body.resize(BODY_BYTES_MAX, b' ');
    assert_eq!(ask("POST", "/v1/decide/health", &body).status, 200);
    body.push(b' ');
    let answer = ask("POST", "/v1/decide/health", &body);
    assert_eq!(answer.status, 413);
    let cut = handle("POST", "/v1/decide/health", Body::TooLarge, &Native);
    assert_eq!(cut, answer);
    let broken = handle("POST", "/v1/decide/health", Body::Broken, &Native);
    assert_eq!(broken.status, 400);
}

#[test]
fn a_body_is_read_only_where_it_is_judged() {
    assert!(has_body("POST", "/v1/decide/router"));
    for (method, target) in [
        ("GET", "/v1/decide/router"),
        ("POST", "/v1/decide/router/schema"),
        ("POST", "/v1/decide"),
        ("POST", "/elsewhere"),
        ("POST", "/v1/decide/router?x=1"),
    ] {
        assert!(!has_body(method, target), "{method} {target}");
    }
}

/// The mesh's own encoder of the same error.
fn by_the_mesh(kind: FailureKind, told: &Value) -> (u16, Value) {
    let text = |at: &str| told.pointer(at).and_then(Value::as_str);
    let mut failure = Failure::new(kind, text("/error/message").unwrap());
    let fact = |name: &str| text(&format!("/error/details/0/metadata/{name}"));
    if let Some(allow) = fact("allow") {
        failure = failure.fact("allow", allow);
    }
    if let Some(hint) = fact("hint") {
        failure = failure.hint(hint);
    }
    let shape = ReplyShape {
        binding: ReplyBinding::Rest,
        stream: false,
    };
    let encoded = shape.unary(Err(&failure));
    let body = serde_json::from_slice(&encoded.body).unwrap();
    (encoded.status.as_u16(), body)
}

#[test]
fn errors_have_the_form_and_the_words_of_the_meshs_rest() {
    let mut kinds = Vec::new();
    for bad in read::<Bad>("bad").unwrap() {
        let answer = ask(&bad.method, &bad.path, &bad.body());
        let told = json(&answer);
        let mut all = FailureKind::ALL.into_iter();
        let kind = all.find(|kind| kind.code() == bad.reason).unwrap();
        assert_eq!(
            (answer.status, told.clone()),
            by_the_mesh(kind, &told),
            "{}",
            bad.name
        );
        kinds.push(kind);
    }
    for kind in [
        FailureKind::Malformed,
        FailureKind::InvalidParams,
        FailureKind::UnknownMethod,
        FailureKind::TooLarge,
        FailureKind::MethodNotAllowed,
    ] {
        assert!(kinds.contains(&kind), "{kind:?}");
    }
}

mod hostile {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_request_makes_it_panic(
            method in "GET|POST|PUT|[A-Z]{0,8}",
            target in "(/v1/decide)?(/(router|policy|pheromone|health|schema))?[/a-z?%.]{0,12}",
            body in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            let answer = ask(&method, &target, &body);
            prop_assert!(matches!(answer.status, 200 | 400 | 404 | 405), "{}", answer.status);
            prop_assert!(json(&answer).is_object());
        }

        /// Each request of the table, with one of its bytes changed.
        #[test]
        fn no_damaged_question_makes_it_panic(which in 0..1000_usize, at: prop::sample::Index, byte: u8) {
            let (decider, table) = match which % 3 {
                0 => ("router", good("router")),
                1 => ("pheromone", good("pheromone")),
                _ => ("health", good("health")),
            };
            let request = &table[which % table.len()].request;
            let mut body = serde_json::to_vec(request).unwrap();
            let at = at.index(body.len());
            body[at] = byte;
            let answer = ask("POST", &kgents_decide_wire::path(decider), &body);
            prop_assert!(matches!(answer.status, 200 | 400), "{}", answer.status);
        }
    }
}

#[test]
fn the_same_question_has_the_same_bytes_as_its_answer() {
    for decider in DECIDERS {
        for good in good(decider) {
            let body = serde_json::to_vec(&good.request).unwrap();
            let path = kgents_decide_wire::path(decider);
            let answer = ask("POST", &path, &body);
            assert_eq!(ask("POST", &path, &body), answer, "{}", good.name);
        }
    }
}
