//! What comes from outside: empty, long, odd, and all alike.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

use kgents_encoder::{DIMENSIONS, Embedding};
use kgents_search::{AgentDoc, Error, Index, SKILLS_MAX, SkillDoc};

fn skill(name: &str, text: &str) -> SkillDoc {
    SkillDoc {
        name: name.into(),
        text: text.into(),
        vectors: Vec::new(),
    }
}

fn agent(name: &str, skills: Vec<SkillDoc>) -> AgentDoc {
    AgentDoc {
        agent: name.into(),
        skills,
    }
}

/// A vector along one axis, with a little of the next.
fn vector(axis: usize) -> Embedding {
    let mut values = [0.0; DIMENSIONS];
    values[axis] = 1.0;
    values[axis + 1] = 0.1;
    Embedding::normalised(&values).unwrap()
}

fn names(index: &Index, text: &str, limit: usize) -> Vec<String> {
    let hits = index.search(text, None, limit, None);
    hits.into_iter().map(|hit| hit.agent.to_string()).collect()
}

#[test]
fn an_empty_index_or_question_finds_nothing() {
    let empty = Index::build(Vec::new()).unwrap();
    assert!(
        empty.is_empty()
            && empty
                .search("anything", Some(&vector(0)), 5, None)
                .is_empty()
    );
    let index = Index::build(vec![agent("a", vec![skill("s", "something")])]).unwrap();
    for text in ["", " \t\n", "?!", "\u{0}\u{7}\u{1b}[2J", "🙂🙃"] {
        assert!(index.search(text, None, 5, None).is_empty(), "{text:?}");
    }
    assert!(index.search("something", None, 0, None).is_empty());
}

#[test]
fn of_a_long_question_the_beginning_is_read() {
    let index = Index::build(vec![
        agent("first", vec![skill("s", "alpha")]),
        agent("last", vec![skill("s", "omega")]),
    ])
    .unwrap();
    let text = format!("alpha {} omega", "x".repeat(1 << 20));
    assert_eq!(names(&index, &text, 5), ["first"]);
    let many: String = (0..100_000).map(|n| format!("w{n} ")).collect();
    assert_eq!(names(&index, &format!("alpha {many} omega"), 5), ["first"]);
}

#[test]
fn words_of_any_script_are_found() {
    let texts = [
        "مرحبا بالعالم",
        "Übersetzung für Köln",
        "日本 語",
        "a\u{0}b\u{202e}c",
    ];
    let agents = texts.iter().enumerate();
    let agents = agents.map(|(n, text)| agent(&format!("{n}"), vec![skill("s", text)]));
    let index = Index::build(agents.collect()).unwrap();
    for (text, wanted) in [
        ("مرحبا 🙂", "0"),
        ("\u{202b}بالعالم\u{202c}", "0"),
        ("KÖLN", "1"),
        ("日本", "2"),
        ("b", "3"),
    ] {
        assert_eq!(names(&index, text, 5), [wanted], "{text:?}");
    }
}

#[test]
fn among_cards_that_say_the_same_the_first_names_are_found() {
    let mut one = skill("s", "translate the report");
    one.vectors = vec![vector(3).quantised()];
    let agents = (0..100).rev();
    let agents = agents.map(|n| agent(&format!("twin-{n:03}"), vec![one.clone(), one.clone()]));
    let index = Index::build(agents.collect()).unwrap();
    let hits = index.search("translate", Some(&vector(3)), 5, None);
    let found: Vec<String> = hits.iter().map(|hit| hit.agent.to_string()).collect();
    assert_eq!(
        found,
        ["twin-000", "twin-001", "twin-002", "twin-003", "twin-004"]
    );
}

#[test]
fn an_agent_without_skills_is_held_and_never_found() {
    let index = Index::build(vec![
        agent("none", Vec::new()),
        agent("some", vec![skill("s", "")]),
    ])
    .unwrap();
    assert!(index.contains("none") && !index.contains("nobody"));
    assert!(
        index
            .search("none some", Some(&vector(0)), 5, None)
            .is_empty()
    );
    assert_eq!((index.stats().agents, index.stats().skills), (2, 1));
}

#[test]
fn a_hit_names_the_skill_that_fits_best_by_meaning_else_by_words() {
    let mut greet = skill("Greet", "say hello to the new customers");
    greet.vectors = vec![vector(0).quantised()];
    let mut book = skill("Book", "book a flight to the customers");
    book.vectors = [10, 20, 30].map(|axis| vector(axis).quantised()).to_vec();
    let other = skill("Other", "hello to the zebra");
    let index = Index::build(vec![
        agent("desk", vec![greet, book]),
        agent("zoo", vec![other]),
    ])
    .unwrap();
    let question = "hello new zebra to";
    let hits = index.search(question, Some(&vector(30)), 5, None);
    let [desk, zoo] = &hits[..] else {
        panic!("{hits:?}");
    };
    assert_eq!((desk.skill.as_str(), zoo.skill.as_str()), ("Book", "Other"));
    assert!(desk.vector.unwrap() > 0.99 && desk.coverage > 0.0 && desk.coverage < 1.0);
    assert_eq!(zoo.vector, Some(0.0));
    let by_words = index.search(question, None, 5, None);
    let (skill, vector) = (by_words[0].skill.as_str(), by_words[0].vector);
    assert_eq!((skill, vector), ("Greet", None));
}

#[test]
fn whom_the_filter_hides_does_not_take_a_place() {
    let agents = (0..50).map(|n| agent(&format!("a{n:02}"), vec![skill("s", "report")]));
    let index = Index::build(agents.collect()).unwrap();
    let only_late = |name: &str| name > "a40";
    let hits = index.search("report", None, 3, Some(&only_late));
    let found: Vec<&str> = hits.iter().map(|hit| &*hit.agent).collect();
    assert_eq!(found, ["a41", "a42", "a43"]);
}

#[test]
fn a_filter_may_search_itself() {
    let index = Index::build(vec![agent("a", vec![skill("s", "report")])]).unwrap();
    let filter = |_: &str| index.search("report", Some(&vector(1)), 3, None).len() == 1;
    assert_eq!(index.search("report", None, 3, Some(&filter)).len(), 1);
}

#[test]
fn an_agent_that_is_too_large_is_refused_by_name_and_nothing_changes() {
    let index = Index::build(vec![agent("a", vec![skill("s", "report")])]).unwrap();
    let most = agent("big", vec![skill("s", "report"); SKILLS_MAX]);
    let full = index.change(&[], vec![most.clone()]).unwrap();
    assert_eq!(full.stats().skills, SKILLS_MAX + 1);
    assert_eq!(names(&full, "report", 5), ["a", "big"]);
    let mut beyond = most;
    beyond.skills.push(skill("s", "report"));
    let error = full.change(&["a".into()], vec![beyond]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "agent `big` has 65536 skills, and may have 65535: split its card"
    );
    assert_eq!(error.code(), "search-skills-too-many");
    assert!(matches!(error, Error::Skills { .. }) && full.contains("a"));
}

#[test]
fn an_agent_with_too_many_vectors_is_refused() {
    let mut many = skill("s", "report");
    many.vectors = vec![vector(0).quantised(); 1 << 10];
    let twin = agent("big", vec![many; (1 << 7) + 1]);
    let error = Index::build(vec![twin]).unwrap_err();
    assert_eq!(error.code(), "search-vectors-too-many");
    assert!(error.to_string().contains("`big`") && error.to_string().contains("131072"));
}
