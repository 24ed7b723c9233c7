//! The ladder, case by case.

#![expect(clippy::panic, reason = "a test's own functions may fail it")]

use kgents_router::decide;
use kgents_router::question::{
    Alternative, Candidate, Decision, Evidence, Found, Method, Named, Question, Remembered, Rung,
    Step,
};

fn ask(text: &str) -> Question {
    Question {
        text: text.into(),
        target: None,
        accept: 0.8,
    }
}

fn ask_for(target: &str) -> Question {
    Question {
        target: Some(target.into()),
        ..ask("do the thing")
    }
}

fn named(agent: &str, cluster: &str, via: &str) -> Named {
    Named {
        agent: agent.into(),
        cluster: cluster.into(),
        via: via.into(),
    }
}

fn candidate(agent: &str, lexical: f32, coverage: f32, vector: Option<f32>) -> Candidate {
    Candidate {
        agent: agent.into(),
        cluster: "home".into(),
        skill: format!("{agent}-skill"),
        lexical,
        coverage,
        vector,
        is_taught: false,
    }
}

fn found(candidates: Vec<Candidate>) -> Found {
    let encoder = candidates
        .iter()
        .any(|c| c.vector.is_some())
        .then(|| "minilm".to_owned());
    Found {
        candidates,
        encoder,
    }
}

fn remembered(agent: &str, confidence: f32) -> Remembered {
    let alternatives = vec![
        Alternative {
            agent: agent.into(),
            cluster: "home".into(),
            confidence: 0.9,
        },
        Alternative {
            agent: "other".into(),
            cluster: "home".into(),
            confidence: 0.1,
        },
    ];
    Remembered {
        agent: agent.into(),
        cluster: "home".into(),
        confidence,
        alternatives,
        instead_of: None,
    }
}

/// Evidence in which every rung was asked; those before the search in vain.
fn searched(candidates: Vec<Candidate>, fallback: Option<&str>) -> Evidence {
    Evidence {
        exact: Some(vec![]),
        conversation: Some(None),
        cache: Some(None),
        similar: Some(None),
        classifier: Some(None),
        search: Some(found(candidates)),
        fallback: Some(fallback.map(Into::into)),
    }
}

fn clear_winner() -> Vec<Candidate> {
    vec![
        candidate("books", 1.0, 0.1, Some(0.2)),
        candidate("translator", 9.0, 0.9, Some(0.75)),
        candidate("weather", 0.5, 0.1, Some(0.1)),
    ]
}

fn no_winner() -> Vec<Candidate> {
    vec![
        candidate("books", 1.0, 0.1, Some(0.2)),
        candidate("weather", 0.9, 0.1, Some(0.19)),
    ]
}

fn decided(question: &Question, evidence: &Evidence) -> Decision {
    match decide(question, evidence) {
        Step::Decided(decision) => decision,
        Step::Need(rung) => panic!("still needs {rung:?}"),
    }
}

#[track_caller]
fn check(
    question: &Question,
    evidence: &Evidence,
    agent: Option<&str>,
    method: Method,
) -> Decision {
    let decision = decided(question, evidence);
    assert_eq!(
        (decision.agent.as_deref(), decision.method),
        (agent, method),
        "{decision:?}"
    );
    assert_eq!(decision.fallback, method == Method::Fallback);
    assert!(!decision.reason.is_empty() && !decision.reason.ends_with('.'));
    decision
}

#[test]
fn rungs_are_asked_for_in_order_each_once_and_eight_calls_decide() {
    let question = ask("translate this");
    let mut evidence = Evidence::default();
    let mut asked = Vec::new();
    for _ in 0..7 {
        let Step::Need(rung) = decide(&question, &evidence) else {
            panic!("decided early")
        };
        asked.push(rung);
        match rung {
            Rung::Exact => evidence.exact = Some(vec![]),
            Rung::Conversation => evidence.conversation = Some(None),
            Rung::Cache => evidence.cache = Some(None),
            Rung::Similar => evidence.similar = Some(None),
            Rung::Classifier => evidence.classifier = Some(None),
            Rung::Search => evidence.search = Some(found(vec![])),
            Rung::Fallback => evidence.fallback = Some(None),
        }
    }
    let order = [
        Rung::Exact,
        Rung::Conversation,
        Rung::Cache,
        Rung::Similar,
        Rung::Classifier,
        Rung::Search,
        Rung::Fallback,
    ];
    assert_eq!(asked, order);
    check(&question, &evidence, None, Method::Fallback);
}

#[test]
fn one_exact_match_decides_at_once() {
    for via in ["name", "alias", "skill", "something new"] {
        let exact = Some(vec![named("translator", "home", via)]);
        let evidence = Evidence {
            exact,
            ..Evidence::default()
        };
        let decision = check(
            &ask("translator"),
            &evidence,
            Some("translator"),
            Method::Exact,
        );
        assert_eq!(
            (decision.confidence, decision.cluster.as_deref()),
            (1.0, Some("home"))
        );
        assert_eq!(decision.in_scope, 1.0);
        assert!(decision.alternatives.is_empty());
    }
}

#[test]
fn a_name_beats_an_alias_beats_a_skill() {
    let cases = [
        (vec![("a", "skill"), ("b", "name"), ("c", "alias")], "b"),
        (vec![("a", "skill"), ("b", "alias"), ("c", "skill")], "b"),
        (vec![("a", "rumour"), ("b", "rumour"), ("c", "skill")], "c"),
    ];
    for (matches, expected) in cases {
        let exact = matches
            .iter()
            .map(|(agent, via)| named(agent, "home", via))
            .collect();
        let evidence = Evidence {
            exact: Some(exact),
            ..Evidence::default()
        };
        let decision = check(&ask_for("x"), &evidence, Some(expected), Method::Exact);
        assert_eq!(decision.alternatives.len(), 2);
        assert!(decision.alternatives.iter().all(|a| a.confidence == 0.0));
    }
}

#[test]
fn one_agent_in_two_clusters_is_not_ambiguous() {
    let exact = Some(vec![named("a", "west", "name"), named("a", "east", "name")]);
    let decision = check(
        &ask_for("a"),
        &Evidence {
            exact,
            ..Evidence::default()
        },
        Some("a"),
        Method::Exact,
    );
    assert_eq!(decision.cluster.as_deref(), Some("east"));
    let west = Alternative {
        agent: "a".into(),
        cluster: "west".into(),
        confidence: 1.0,
    };
    assert_eq!(decision.alternatives, [west]);
}

#[test]
fn an_unknown_target_is_nobodys_and_no_further_rung_is_asked() {
    let evidence = Evidence {
        exact: Some(vec![]),
        ..Evidence::default()
    };
    let decision = check(&ask_for("z-gent"), &evidence, None, Method::Fallback);
    assert_eq!(decision.reason, "no agent named `z-gent`");
    assert_eq!(decision.confidence, 0.0);
}

#[test]
fn a_long_target_is_shortened_in_the_reason() {
    let evidence = Evidence {
        exact: Some(vec![]),
        ..Evidence::default()
    };
    let target = format!("`new\nline{}", "x".repeat(500));
    let reason = decided(&ask_for(&target), &evidence).reason;
    assert!(
        reason.chars().count() < 100 && reason.contains('…'),
        "{reason}"
    );
    assert!(
        !reason.contains('\n') && reason.matches('`').count() == 2,
        "{reason}"
    );
}

#[test]
fn a_shared_skill_is_told_apart_by_search() {
    let shared = vec![
        named("books", "home", "skill"),
        named("translator", "home", "skill"),
    ];
    for target in [None, Some("translate".to_owned())] {
        let question = Question {
            target,
            ..ask("translate")
        };
        let mut evidence = Evidence {
            exact: Some(shared.clone()),
            conversation: Some(None),
            similar: Some(None),
            classifier: Some(None),
            ..Evidence::default()
        };
        assert_eq!(decide(&question, &evidence), Step::Need(Rung::Cache));
        evidence.cache = Some(None);
        assert_eq!(decide(&question, &evidence), Step::Need(Rung::Search));
        evidence.search = Some(found(clear_winner()));
        let decision = check(&question, &evidence, Some("translator"), Method::Search);
        assert!(
            decision.reason.starts_with("2 agents share `translate`"),
            "{}",
            decision.reason
        );
        assert!(
            decision.alternatives.iter().all(|a| a.agent == "books"),
            "only those meant"
        );
    }
}

#[test]
fn a_shared_skill_that_nothing_tells_apart_is_nobodys() {
    let exact = Some(vec![
        named("b", "home", "skill"),
        named("a", "home", "skill"),
    ]);
    let evidence = Evidence {
        exact,
        ..searched(no_winner(), None)
    };
    let decision = check(&ask("translate"), &evidence, None, Method::Fallback);
    let expected = "2 agents share `translate` and none reaches 0.80; nearest is `a` at 0.50";
    assert_eq!(decision.reason, expected);
    let shares: Vec<_> = decision
        .alternatives
        .iter()
        .map(|a| (a.agent.as_str(), a.confidence))
        .collect();
    assert_eq!(shares, [("a", 0.5), ("b", 0.5)]);
}

#[test]
fn an_ambiguous_target_never_goes_to_the_fallback_agent() {
    let exact = Some(vec![
        named("b", "home", "skill"),
        named("a", "home", "skill"),
    ]);
    let evidence = Evidence {
        exact,
        ..searched(no_winner(), Some("desk"))
    };
    check(&ask_for("translate"), &evidence, None, Method::Fallback);
    check(&ask("translate"), &evidence, Some("desk"), Method::Fallback);
}

#[test]
fn a_remembered_decision_decides() {
    let cache = Some(Some(remembered("translator", 0.91)));
    let evidence = Evidence {
        exact: Some(vec![]),
        conversation: Some(None),
        cache,
        ..Evidence::default()
    };
    let decision = check(
        &ask("translate this"),
        &evidence,
        Some("translator"),
        Method::Cache,
    );
    assert_eq!((decision.confidence, decision.in_scope), (0.91, 0.91));
    assert_eq!(decision.alternatives.len(), 1, "without the chosen one");
    assert!(decision.reason.contains("0.91"), "{}", decision.reason);
}

#[test]
fn a_deprecated_agent_is_followed_by_its_successor_and_the_reason_says_so() {
    let found = Remembered {
        instead_of: Some("dragoman".into()),
        ..remembered("translator", 0.91)
    };
    let evidence = Evidence {
        exact: Some(vec![]),
        conversation: Some(None),
        cache: Some(Some(found)),
        ..Evidence::default()
    };
    let question = ask("translate this");
    let decision = check(&question, &evidence, Some("translator"), Method::Cache);
    let expected = "the same question went to `dragoman` before, at 0.91; `dragoman` is \
                    deprecated, and its successor is `translator`";
    assert_eq!(decision.reason, expected);
}

#[test]
fn a_remembered_decision_that_does_not_count_is_searched_again() {
    let several = vec![named("a", "home", "skill"), named("b", "home", "skill")];
    let cases = [
        (
            vec![],
            remembered("translator", 0.79),
            "below the threshold",
        ),
        (vec![], remembered("translator", f32::NAN), "no number"),
        (vec![], remembered("", 0.9), "nobody"),
        (
            several,
            remembered("translator", 0.9),
            "not one of those named",
        ),
    ];
    for (exact, found, why) in cases {
        let evidence = Evidence {
            exact: Some(exact),
            conversation: Some(None),
            cache: Some(Some(found)),
            ..Evidence::default()
        };
        assert_eq!(
            decide(&ask("translate"), &evidence),
            Step::Need(Rung::Similar),
            "{why}"
        );
    }
}

#[test]
fn a_clear_winner_of_the_search_is_accepted_with_its_numbers() {
    let mut evidence = searched(clear_winner(), None);
    evidence.fallback = None;
    let decision = check(
        &ask("translate this"),
        &evidence,
        Some("translator"),
        Method::Search,
    );
    assert!(decision.confidence >= 0.8 && decision.confidence < 1.0);
    let others: Vec<_> = decision
        .alternatives
        .iter()
        .map(|a| a.agent.as_str())
        .collect();
    assert_eq!(others, ["books", "weather"]);
    for number in [
        "translator-skill",
        "cosine 0.75",
        "ahead by 0.30",
        "coverage 0.90",
    ] {
        assert!(
            decision.reason.contains(number),
            "{number}: {}",
            decision.reason
        );
    }
}

#[test]
fn words_alone_can_decide_and_the_reason_says_so() {
    let candidates = vec![
        candidate("translator", 9.0, 0.95, None),
        candidate("books", 1.0, 0.1, None),
    ];
    let evidence = searched(candidates, None);
    let decision = check(
        &ask("translate this"),
        &evidence,
        Some("translator"),
        Method::Search,
    );
    assert!(
        decision.reason.contains("no encoder"),
        "{}",
        decision.reason
    );
}

#[test]
fn vectors_count_only_beside_a_named_encoder() {
    let mut evidence = searched(clear_winner(), None);
    let with = decided(&ask("x"), &evidence).confidence;
    if let Some(found) = &mut evidence.search {
        found.encoder = None;
    }
    let without = decided(&ask("x"), &evidence);
    assert_ne!(with, without.confidence);
    assert!(without.reason.contains("no encoder"), "{}", without.reason);
}

#[test]
fn the_same_agent_elsewhere_is_no_rival_and_as_likely() {
    let mut twice = clear_winner();
    let mut copy = twice[1].clone();
    copy.cluster = "away".into();
    twice.push(copy);
    let once = decided(&ask("x"), &searched(clear_winner(), None));
    let decision = decided(&ask("x"), &searched(twice, None));
    assert_eq!(decision.confidence, once.confidence);
    assert_eq!(
        decision.cluster.as_deref(),
        Some("away"),
        "ties by cluster name"
    );
    let first = &decision.alternatives[0];
    assert_eq!(
        (first.agent.as_str(), first.cluster.as_str()),
        ("translator", "home")
    );
    assert_eq!(first.confidence, decision.confidence);
}

#[test]
fn what_nobody_does_goes_to_the_configured_fallback() {
    let decision = check(
        &ask("sing"),
        &searched(no_winner(), Some("desk")),
        Some("desk"),
        Method::Fallback,
    );
    assert_eq!((decision.confidence, decision.cluster), (0.0, None));
    assert!(
        decision.reason.contains("`desk` takes"),
        "{}",
        decision.reason
    );
    assert_eq!(decision.alternatives[0].agent, "books");
}

#[test]
fn a_fallback_agent_that_search_knows_has_its_cluster_and_is_no_alternative() {
    let evidence = searched(no_winner(), Some("weather"));
    let decision = check(&ask("sing"), &evidence, Some("weather"), Method::Fallback);
    assert_eq!(decision.cluster.as_deref(), Some("home"));
    assert!(decision.alternatives.iter().all(|a| a.agent != "weather"));
}

#[test]
fn what_nobody_does_and_nobody_takes_names_the_nearest() {
    for fallback in [None, Some("")] {
        let decision = check(
            &ask("sing"),
            &searched(no_winner(), fallback),
            None,
            Method::Fallback,
        );
        let nearest = &decision.alternatives[0];
        assert_eq!(decision.in_scope, nearest.confidence);
        assert_eq!((nearest.agent.as_str(), decision.cluster), ("books", None));
        assert!(
            decision
                .reason
                .starts_with("nobody here does this; nearest is `books` at 0.")
        );
    }
    let decision = check(
        &ask("sing"),
        &searched(vec![], None),
        None,
        Method::Fallback,
    );
    assert_eq!(
        decision.reason,
        "nobody here does this, and nobody comes near"
    );
}

#[test]
fn a_question_without_words_only_asks_for_the_conversation_and_the_fallback() {
    let mut evidence = Evidence::default();
    let needed = |evidence: &_| decide(&ask(" \n"), evidence);
    assert_eq!(needed(&evidence), Step::Need(Rung::Conversation));
    evidence.conversation = Some(None);
    assert_eq!(needed(&evidence), Step::Need(Rung::Fallback));
    evidence.fallback = Some(None);
    let decision = check(&ask(""), &evidence, None, Method::Fallback);
    assert_eq!(decision.reason, "the request holds no words to go by");
}

#[test]
fn a_threshold_that_is_no_number_accepts_no_search() {
    for accept in [f32::NAN, 1.0, f32::INFINITY] {
        let question = Question {
            accept,
            ..ask("translate this")
        };
        check(
            &question,
            &searched(clear_winner(), None),
            None,
            Method::Fallback,
        );
    }
    for accept in [-3.0, 0.0, f32::NEG_INFINITY] {
        let question = Question {
            accept,
            ..ask("translate this")
        };
        check(
            &question,
            &searched(no_winner(), None),
            Some("books"),
            Method::Search,
        );
    }
}

#[test]
fn nonsense_scores_are_no_evidence() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -1.0] {
        let candidates = vec![candidate("liar", bad, bad, Some(bad))];
        let decision = check(
            &ask("sing"),
            &searched(candidates, None),
            None,
            Method::Fallback,
        );
        assert!(decision.alternatives.is_empty(), "{bad}: {decision:?}");
        let mut mixed = clear_winner();
        mixed.push(candidate("liar", bad, bad, Some(bad)));
        check(
            &ask("x"),
            &searched(mixed, None),
            Some("translator"),
            Method::Search,
        );
    }
}

#[test]
fn ties_break_by_name() {
    let tied = |names: [&str; 2]| {
        let candidates = names
            .map(|name| candidate(name, 2.0, 0.3, Some(0.4)))
            .to_vec();
        decided(&ask("x"), &searched(candidates, None)).alternatives[0]
            .agent
            .clone()
    };
    assert_eq!(
        (tied(["a", "b"]), tied(["b", "a"])),
        ("a".to_owned(), "a".to_owned())
    );
}

#[test]
fn a_number_below_the_threshold_never_reads_as_having_reached_it() {
    // A ramp of cosines passes the threshold somewhere; just below it the reason
    // must not show the threshold as reached.
    for step in 0..2_000_u16 {
        let cosine = f32::from(step) / 2_000.0;
        let candidates = vec![candidate("a", 3.0, 0.4, Some(cosine))];
        let decision = decided(&ask("x"), &searched(candidates, None));
        let refused = decision.agent.is_none();
        assert!(
            !(refused && decision.reason.contains("at 0.80")),
            "{}",
            decision.reason
        );
    }
}
