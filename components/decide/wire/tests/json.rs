//! The rules of the JSON, on records like those that WIT's generators make.

#![expect(clippy::unwrap_used, reason = "a test's own functions may fail it")]

use kgents_decide_wire::{Error, from_json, to_json};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Probe {
    at_ms: u64,
    outcome: Outcome,
    share: f32,
    strength: f64,
    target: Option<String>,
    cached: Option<Option<String>>,
    groups: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Outcome {
    Answered(u16),
    TimedOut(i64),
    Unreachable,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Ask {
    Judge { probes: Vec<Probe>, now_ms: u64 },
    Schema {},
}

type Answer = Result<Option<u32>, Vec<String>>;

fn probe() -> Probe {
    Probe {
        at_ms: 7,
        outcome: Outcome::TimedOut(-3),
        share: 0.8,
        strength: 0.1 + 0.2,
        target: None,
        cached: Some(None),
        groups: vec!["a\"".to_owned()],
    }
}

const PROBE: &str = r#"{"atMs":7,"outcome":{"timedOut":-3},"share":0.8,"strength":0.30000000000000004,"cached":null,"groups":["a\""]}"#;

fn text<T: Serialize>(value: &T) -> String {
    String::from_utf8(to_json(value).unwrap()).unwrap()
}

fn wrong<T: for<'de> Deserialize<'de> + std::fmt::Debug>(json: &str) -> String {
    from_json::<T>(json.as_bytes()).unwrap_err().to_string()
}

#[test]
fn records_and_cases_are_written_and_read_by_the_rules() {
    let ask = Ask::Judge {
        probes: vec![probe()],
        now_ms: u64::MAX,
    };
    let json = format!(r#"{{"judge":{{"probes":[{PROBE}],"nowMs":18446744073709551615}}}}"#);
    assert_eq!(text(&ask), json);
    assert_eq!(from_json::<Ask>(json.as_bytes()), Ok(ask));
    assert_eq!(text(&Ask::Schema {}), r#"{"schema":{}}"#);
    assert_eq!(from_json(br#"{"schema":{}}"#), Ok(Ask::Schema {}));
    for (answer, json) in [
        (Ok(Some(3)), r#"{"ok":3}"#),
        (Ok(None), r#"{"ok":null}"#),
        (Err(vec!["x".to_owned()]), r#"{"err":["x"]}"#),
    ] {
        assert_eq!(text::<Answer>(&answer), json);
        assert_eq!(from_json::<Answer>(json.as_bytes()), Ok(answer));
    }
}

#[test]
fn an_option_that_is_none_is_left_out_and_null_is_the_inner_none() {
    let with = |cached: &str| PROBE.replace(r#""cached":null,"#, cached);
    for (cached, json) in [
        (None, with("")),
        (Some(None), PROBE.to_owned()),
        (Some(Some("x".to_owned())), with(r#""cached":"x","#)),
    ] {
        let value = Probe { cached, ..probe() };
        assert_eq!(text(&value), json);
        assert_eq!(from_json::<Probe>(json.as_bytes()), Ok(value));
    }
    assert_eq!(
        wrong::<Probe>(&with(r#""target":null,"#)),
        "`target` must be text, not null; what there is not is left out"
    );
}

#[test]
fn every_mistake_names_its_member() {
    let probe = |from: &str, to: &str| {
        let wrong = PROBE.replace(from, to);
        assert_ne!(wrong, PROBE);
        format!(r#"{{"judge":{{"probes":[{PROBE},{wrong}],"nowMs":1}}}}"#)
    };
    let cases = [
        (
            probe("atMs", "at_ms"),
            "`judge.probes[1]` holds `at_ms`, which is not known; known are `atMs`, `outcome`, `share`, `strength`, `target`, `cached`, `groups`",
        ),
        (
            probe(r#""atMs":7,"#, ""),
            "`judge.probes[1]` lacks the member `atMs`",
        ),
        (
            probe(":7", ":-7"),
            "`judge.probes[1].atMs` must be a whole number from 0 to 18446744073709551615, not the number -7",
        ),
        (
            probe(":7", ":7.5"),
            "`judge.probes[1].atMs` must be a whole number from 0 to 18446744073709551615, not the number 7.5",
        ),
        (
            probe("0.8", "1e39"),
            "`judge.probes[1].share` must be a number of 32 bits, at most 3.4e38, not the number 1e39",
        ),
        (
            probe("0.8", "\"0.8\""),
            "`judge.probes[1].share` must be a number, not text",
        ),
        (
            probe("timedOut", "TimedOut"),
            "`judge.probes[1].outcome` holds `TimedOut`, which is not known; known are `answered`, `timedOut`, `unreachable`",
        ),
        (
            probe(r#"{"timedOut":-3}"#, r#""timedOut""#),
            "`judge.probes[1].outcome` must have a value: {\"timedOut\": …}, not the bare word",
        ),
        (
            probe(r#"{"timedOut":-3}"#, r#"{"unreachable":1}"#),
            "`judge.probes[1].outcome` must be the bare word \"unreachable\", which takes no value",
        ),
        (
            probe(r#"{"timedOut":-3}"#, r#"{"answered":70000}"#),
            "`judge.probes[1].outcome.answered` must be a whole number from 0 to 65535, not the number 70000",
        ),
        (
            probe(r#"{"timedOut":-3}"#, "{}"),
            "`judge.probes[1].outcome` must have exactly one member, of `answered`, `timedOut`, `unreachable`",
        ),
        (
            probe(r#"["a\""]"#, r#"["a", 1]"#),
            "`judge.probes[1].groups[1]` must be text, not the number 1",
        ),
        (
            probe(r#"["a\""]"#, "{}"),
            "`judge.probes[1].groups` must be a list, not an object",
        ),
        (
            r#"{"schema":{"x":1}}"#.to_owned(),
            "`schema` must be empty; `x` is not known",
        ),
        (
            "[]".to_owned(),
            "the body must name one of `judge`, `schema`, and is a list",
        ),
        (
            r#"{"judge":1,"schema":{}}"#.to_owned(),
            "the body must have exactly one member, of `judge`, `schema`",
        ),
        (
            "{".to_owned(),
            "the body is not JSON: EOF while parsing an object at line 1 column 1",
        ),
        (
            r#"{"a":1,"a":2}"#.to_owned(),
            "the body is not JSON: the member `a` is given twice at line 1 column 10",
        ),
        (
            "1 2".to_owned(),
            "the body is not JSON: trailing characters at line 1 column 3",
        ),
        (
            "NaN".to_owned(),
            "the body is not JSON: expected value at line 1 column 1",
        ),
        (
            "1e999".to_owned(),
            "the body is not JSON: number out of range at line 1 column 5",
        ),
    ];
    for (json, message) in cases {
        assert_eq!(wrong::<Ask>(&json), message, "{json}");
    }
}

#[test]
fn a_number_that_is_not_finite_is_not_written() {
    for share in [f32::NAN, f32::INFINITY] {
        let value = Probe { share, ..probe() };
        assert!(matches!(to_json(&value), Err(Error::Unwritable(_))));
    }
    let strength = f64::NEG_INFINITY;
    let told = to_json(&Probe {
        strength,
        ..probe()
    })
    .unwrap_err();
    assert_eq!(
        told.to_string(),
        "the value cannot be written as JSON: -inf is no number of JSON"
    );
}

#[test]
fn a_document_nested_without_end_is_refused() {
    let deep = "[".repeat(100_000);
    assert!(wrong::<Ask>(&deep).contains("recursion limit exceeded"));
}

fn probes() -> impl Strategy<Value = Probe> {
    let outcome = prop_oneof![
        any::<u16>().prop_map(Outcome::Answered),
        any::<i64>().prop_map(Outcome::TimedOut),
        Just(Outcome::Unreachable),
    ];
    let finite = |number: &f32| number.is_finite();
    (
        any::<u64>(),
        outcome,
        any::<u32>()
            .prop_map(f32::from_bits)
            .prop_filter("finite", finite),
        any::<u64>()
            .prop_map(f64::from_bits)
            .prop_filter("finite", |n| n.is_finite()),
        any::<Option<String>>(),
        any::<Option<Option<String>>>(),
        any::<Vec<String>>(),
    )
        .prop_map(
            |(at_ms, outcome, share, strength, target, cached, groups)| Probe {
                at_ms,
                outcome,
                share,
                strength,
                target,
                cached,
                groups,
            },
        )
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_to_the_bit(probe in probes()) {
        let json = to_json(&probe).unwrap();
        let back: Probe = from_json(&json).unwrap();
        prop_assert_eq!(probe.share.to_bits(), back.share.to_bits());
        prop_assert_eq!(probe.strength.to_bits(), back.strength.to_bits());
        prop_assert_eq!(back, probe);
    }

    #[test]
    fn no_bytes_make_reading_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = from_json::<Ask>(&bytes);
    }

    #[test]
    fn no_document_makes_reading_panic(
        json in "(\\{\"(judge|schema|probes|nowMs|outcome|answered)\":|\\[|\\]|\\}|,|null|1|-2.5e3|\"unreachable\"){0,40}"
    ) {
        let _ = from_json::<Ask>(json.as_bytes());
    }
}
