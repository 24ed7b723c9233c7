//! The rungs that learnt: similar, classifier, conversation.

#![expect(clippy::panic, reason = "a test's own functions may fail it")]

use kgents_router::classify::{Classed, Classified, Features, Tier};
use kgents_router::decide;
use kgents_router::question::{
    Candidate, Decision, Evidence, Found, Holder, Method, Named, Question, Remembered, Rung,
    Similar, Step,
};

fn ask(text: &str) -> Question {
    Question {
        text: text.into(),
        target: None,
        accept: 0.8,
    }
}

/// Every rung asked, in vain.
fn nothing() -> Evidence {
    Evidence {
        exact: Some(vec![]),
        conversation: Some(None),
        cache: Some(None),
        similar: Some(None),
        classifier: Some(None),
        search: Some(Found {
            candidates: vec![],
            encoder: None,
        }),
        fallback: Some(None),
    }
}

fn holder(agent: &str) -> Option<Option<Holder>> {
    Some(Some(Holder {
        agent: agent.into(),
        cluster: "home".into(),
    }))
}

fn remembered(agent: &str, confidence: f32) -> Option<Option<Remembered>> {
    Some(Some(Remembered {
        agent: agent.into(),
        cluster: "home".into(),
        confidence,
        alternatives: vec![],
        instead_of: None,
    }))
}

fn alike() -> Similar {
    Similar {
        agent: "books".into(),
        cluster: "home".into(),
        confidence: 0.97,
        cosine: 0.88,
        probability: 0.85,
        probability_min: 0.7,
        cosine_min: 0.7,
    }
}

fn classed(agent: &str, confidence: f32) -> Classed {
    Classed {
        agent: agent.into(),
        cluster: "home".into(),
        skill: "do it".into(),
        confidence,
        is_taught: true,
    }
}

fn classified(in_scope: f32, agents: Vec<Classed>) -> Option<Option<Classified>> {
    Some(Some(Classified {
        tier: Tier::Words,
        in_scope,
        features: Features::default(),
        agents,
    }))
}

/// Words alone, fitting well (`coverage` near 1.0) or badly.
fn found(candidates: &[(&str, f32)]) -> Option<Found> {
    let candidate = |(agent, coverage): &(&str, f32)| Candidate {
        agent: (*agent).into(),
        cluster: "home".into(),
        skill: "search skill".into(),
        lexical: coverage * 10.0,
        coverage: *coverage,
        vector: None,
        is_taught: false,
    };
    Some(Found {
        candidates: candidates.iter().map(candidate).collect(),
        encoder: None,
    })
}

#[track_caller]
fn check(evidence: &Evidence, agent: Option<&str>, method: Method) -> Decision {
    let decision = match decide(&ask("find me a book"), evidence) {
        Step::Decided(decision) => decision,
        Step::Need(rung) => panic!("still needs {rung:?}"),
    };
    let told = (decision.agent.as_deref(), decision.method);
    assert_eq!(told, (agent, method), "{decision:?}");
    assert_eq!(decision.fallback, method == Method::Fallback);
    decision
}

#[test]
fn a_safe_likeness_decides_and_is_as_sure_as_the_less_sure_of_both() {
    let evidence = Evidence {
        similar: Some(Some(alike())),
        classifier: None,
        search: None,
        ..nothing()
    };
    let decision = check(&evidence, Some("books"), Method::Similar);
    assert_eq!((decision.confidence, decision.in_scope), (0.85, 0.85));
    let expected = "a question much like this one (cosine 0.88) went to `books` before; \
                    so does this one at 0.85";
    assert_eq!(decision.reason, expected);
}

#[test]
fn a_likeness_that_does_not_count_is_classified() {
    let cases = [
        (
            Similar {
                probability_min: 0.86,
                ..alike()
            },
            "probability",
        ),
        (
            Similar {
                probability_min: 1.1,
                probability: 1.0,
                ..alike()
            },
            "never safe",
        ),
        (
            Similar {
                cosine_min: 0.89,
                ..alike()
            },
            "cosine",
        ),
        (
            Similar {
                confidence: 0.79,
                ..alike()
            },
            "confidence of then",
        ),
        (
            Similar {
                probability: 0.75,
                ..alike()
            },
            "confidence of now",
        ),
        (
            Similar {
                cosine: f32::NAN,
                ..alike()
            },
            "no number",
        ),
        (
            Similar {
                probability: f32::NAN,
                ..alike()
            },
            "no number",
        ),
        (
            Similar {
                cosine_min: f32::NAN,
                ..alike()
            },
            "no bound",
        ),
        (
            Similar {
                agent: String::new(),
                ..alike()
            },
            "nobody",
        ),
    ];
    for (similar, why) in cases {
        let evidence = Evidence {
            similar: Some(Some(similar)),
            classifier: None,
            ..nothing()
        };
        let step = decide(&ask("x"), &evidence);
        assert_eq!(step, Step::Need(Rung::Classifier), "{why}");
    }
}

#[test]
fn a_taught_agent_at_the_threshold_is_accepted_with_its_reason() {
    let evidence = Evidence {
        classifier: classified(0.97, vec![classed("books", 0.93), classed("music", 0.04)]),
        search: None,
        ..nothing()
    };
    let decision = check(&evidence, Some("books"), Method::Classifier);
    assert_eq!((decision.confidence, decision.in_scope), (0.93, 0.97));
    assert_eq!(decision.alternatives.len(), 1);
    let expected = "`books` fits by its skill `do it` at 0.93 (learnt from examples, by words \
                    alone; somebody here does this at 0.97)";
    assert_eq!(decision.reason, expected);
}

#[test]
fn an_agent_below_the_threshold_or_not_taught_is_searched_for() {
    let untaught = Classed {
        is_taught: false,
        ..classed("books", 0.99)
    };
    let cases = [
        vec![],
        vec![classed("books", 0.79)],
        vec![classed("books", f32::NAN)],
        vec![classed("", 0.99)],
        vec![untaught, classed("music", 0.9)],
    ];
    for agents in cases {
        let evidence = Evidence {
            classifier: classified(0.9, agents.clone()),
            search: None,
            ..nothing()
        };
        let step = decide(&ask("x"), &evidence);
        assert_eq!(step, Step::Need(Rung::Search), "{agents:?}");
    }
}

#[test]
fn the_search_may_find_whom_the_model_was_not_taught() {
    let evidence = Evidence {
        classifier: classified(0.02, vec![classed("music", 0.01)]),
        search: found(&[("books", 1.0), ("music", 0.1)]),
        ..nothing()
    };
    let decision = check(&evidence, Some("books"), Method::Search);
    assert_eq!(decision.in_scope, decision.confidence, "the larger of both");
}

#[test]
fn on_whom_the_model_was_taught_the_search_does_not_overrule_it() {
    let taught = |names: &[&str]| {
        let mut found = found(&[("films", 0.98), ("games", 0.2)]);
        for one in found.iter_mut().flat_map(|found| &mut found.candidates) {
            one.is_taught = names.contains(&one.agent.as_str());
        }
        found
    };
    let unsure = classified(0.6, vec![classed("books", 0.5), classed("films", 0.1)]);
    let evidence = |search| Evidence {
        classifier: unsure.clone(),
        search,
        ..nothing()
    };
    let decision = check(&evidence(taught(&["films"])), None, Method::Fallback);
    let near: Vec<&str> = decision.alternatives.iter().map(|a| &*a.agent).collect();
    assert_eq!(near, ["books", "films", "games"]);
    assert!((decision.alternatives[1].confidence - 0.1).abs() < 1e-6);
    check(&evidence(taught(&["games"])), Some("films"), Method::Search);
    // Where the model has no word on it, the search has.
    let mut evidence = evidence(taught(&["films"]));
    evidence.classifier = Some(None);
    check(&evidence, Some("films"), Method::Search);
}

#[test]
fn of_agents_that_share_a_name_the_model_chooses_among_these_alone() {
    let named = |agent: &str| Named {
        agent: agent.into(),
        cluster: "home".into(),
        via: "skill".into(),
    };
    let mut evidence = Evidence {
        exact: Some(vec![named("books"), named("music")]),
        classifier: classified(0.97, vec![classed("weather", 0.99), classed("music", 0.9)]),
        ..nothing()
    };
    let decision = check(&evidence, Some("music"), Method::Classifier);
    assert!(decision.alternatives.is_empty(), "only those meant");
    evidence.similar = Some(Some(Similar {
        agent: "weather".into(),
        ..alike()
    }));
    check(&evidence, Some("music"), Method::Classifier);
    evidence.classifier = classified(0.97, vec![classed("weather", 0.99)]);
    evidence.search = None;
    let step = decide(&ask("x"), &evidence);
    assert_eq!(step, Step::Need(Rung::Search));
}

#[test]
fn the_nearest_misses_are_those_of_classifier_and_search_each_agent_once() {
    let evidence = Evidence {
        classifier: classified(0.3, vec![classed("music", 0.7), classed("books", 0.01)]),
        search: found(&[("books", 0.3), ("weather", 0.1)]),
        ..nothing()
    };
    let decision = check(&evidence, None, Method::Fallback);
    let names: Vec<_> = decision.alternatives.iter().map(|a| &a.agent).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    assert_eq!(decision.alternatives[0].agent, "music");
    let books = decision.alternatives.iter().find(|a| a.agent == "books");
    assert!(books.is_some_and(|books| books.confidence > 0.01));
    assert_eq!(decision.in_scope, 0.3, "the model's word");
    let expected = "nobody here does this; nearest is `music` at 0.70, below 0.80";
    assert_eq!(decision.reason, expected);
}

#[test]
fn who_was_not_taught_is_no_near_miss_of_the_model() {
    let untaught = Classed {
        is_taught: false,
        ..classed("books", 0.99)
    };
    let evidence = Evidence {
        classifier: classified(0.9, vec![untaught]),
        ..nothing()
    };
    let decision = check(&evidence, None, Method::Fallback);
    assert!(decision.alternatives.is_empty(), "{decision:?}");
}

#[test]
fn the_fallback_agents_cluster_is_told_by_the_classifier_too() {
    let evidence = Evidence {
        classifier: classified(0.1, vec![classed("desk", 0.01)]),
        fallback: Some(Some("desk".into())),
        ..nothing()
    };
    let decision = check(&evidence, Some("desk"), Method::Fallback);
    assert_eq!(decision.cluster.as_deref(), Some("home"));
    assert_eq!(decision.in_scope, 0.1);
}

#[test]
fn a_follow_up_that_says_nothing_stays_in_its_conversation() {
    let evidence = Evidence {
        conversation: holder("books"),
        fallback: None,
        ..nothing()
    };
    let decision = check(&evidence, Some("books"), Method::Conversation);
    assert_eq!(decision.confidence, 0.999);
    let expected = "`books` has this conversation, and nothing points to anybody else";
    assert_eq!(decision.reason, expected);
}

#[test]
fn a_question_without_words_stays_in_its_conversation() {
    let evidence = Evidence {
        conversation: holder("books"),
        ..Evidence::default()
    };
    let Step::Decided(decision) = decide(&ask(" "), &evidence) else {
        panic!("it needs nothing more")
    };
    assert_eq!(decision.agent.as_deref(), Some("books"));
}

#[test]
fn a_conversation_asks_for_every_rung_but_the_fallback() {
    let question = ask("and tomorrow?");
    let mut evidence = Evidence {
        exact: Some(vec![]),
        conversation: holder("books"),
        ..Evidence::default()
    };
    assert_eq!(decide(&question, &evidence), Step::Need(Rung::Cache));
    evidence.cache = Some(None);
    assert_eq!(decide(&question, &evidence), Step::Need(Rung::Similar));
    evidence.similar = Some(None);
    assert_eq!(decide(&question, &evidence), Step::Need(Rung::Classifier));
    evidence.classifier = Some(None);
    assert_eq!(decide(&question, &evidence), Step::Need(Rung::Search));
    evidence.search = nothing().search;
    assert!(matches!(decide(&question, &evidence), Step::Decided(_)));
}

#[test]
fn a_conversation_keeps_what_fits_its_holder() {
    let evidence = Evidence {
        conversation: holder("books"),
        classifier: classified(0.95, vec![classed("books", 0.86), classed("music", 0.05)]),
        ..nothing()
    };
    let decision = check(&evidence, Some("books"), Method::Conversation);
    assert_eq!(decision.confidence, 0.95, "as likely as nobody else is");
    assert_eq!(decision.alternatives.len(), 1);
    let expected = "`books` has this conversation, and the question fits it at 0.95";
    assert_eq!(decision.reason, expected);
}

#[test]
fn another_agent_that_is_not_sure_enough_does_not_end_a_conversation() {
    let evidence = Evidence {
        conversation: holder("books"),
        cache: remembered("music", 0.85),
        ..nothing()
    };
    let decision = check(&evidence, Some("books"), Method::Conversation);
    assert!((decision.confidence - 0.15).abs() < 1e-6);
    assert_eq!(decision.alternatives[0].agent, "music");
    let expected =
        "`books` has this conversation; `music` fits at 0.85, below the 0.90 that would leave it";
    assert_eq!(decision.reason, expected);
}

#[test]
fn a_question_that_is_clearly_anothers_leaves_the_conversation_and_says_so() {
    let evidence = Evidence {
        conversation: holder("books"),
        classifier: classified(0.99, vec![classed("music", 0.95)]),
        ..nothing()
    };
    let decision = check(&evidence, Some("music"), Method::Classifier);
    let ends = decision
        .reason
        .ends_with("; this leaves the conversation with `books`");
    assert!(ends, "{}", decision.reason);
}

#[test]
fn a_strict_threshold_holds_for_leaving_a_conversation_too() {
    let question = Question {
        accept: 0.97,
        ..ask("x")
    };
    let evidence = Evidence {
        conversation: holder("books"),
        classifier: classified(0.99, vec![classed("music", 0.95)]),
        ..nothing()
    };
    let Step::Decided(decision) = decide(&question, &evidence) else {
        panic!("it needs nothing more")
    };
    assert_eq!(decision.agent.as_deref(), Some("books"));
    let near = "nobody is sure enough to take it; nearest is `music` at 0.95";
    assert!(decision.reason.contains(near), "{}", decision.reason);
}

#[test]
fn who_names_others_leaves_the_conversation() {
    let named = |agent: &str| Named {
        agent: agent.into(),
        cluster: "home".into(),
        via: "skill".into(),
    };
    let mut evidence = Evidence {
        exact: Some(vec![named("music"), named("weather")]),
        conversation: holder("books"),
        classifier: classified(0.97, vec![classed("music", 0.85)]),
        ..nothing()
    };
    let decision = check(&evidence, Some("music"), Method::Classifier);
    assert!(!decision.reason.contains("books"));
    evidence.conversation = holder("weather");
    check(&evidence, Some("weather"), Method::Conversation);
    evidence.exact = Some(vec![named("music")]);
    check(&evidence, Some("music"), Method::Exact);
}
