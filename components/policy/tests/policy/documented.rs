//! The policies of the documentation load, and say what it says of them.

use super::*;

const DOCUMENTATION: &str = include_str!("../../../../docs/policies.md");

/// The Cedar blocks of the documentation, in its order.
fn blocks() -> Vec<&'static str> {
    let parts = DOCUMENTATION.split("```cedar\n").skip(1);
    parts
        .map(|part| part.split("```").next().unwrap())
        .collect()
}

/// The block that holds the policy `id`, loaded, with the operator's beside it.
fn with(id: &str) -> PolicySet {
    let wanted = format!("@id(\"{id}\")");
    let mut texts = blocks().into_iter();
    let found = texts.find(|text| text.contains(&wanted)).unwrap();
    match id {
        "operator" => load(&[("documented.cedar", found)]),
        _ => load(&[("operator.cedar", OPERATOR), ("documented.cedar", found)]),
    }
}

fn labelled(action: &str, label: &str) -> Query {
    Query {
        resource_attributes: vec![texts("labels", &[label])],
        ..query(action, Kind::Agent, "planner")
    }
}

fn transfer(tokens: i64) -> Query {
    Query {
        context: vec![number("tokens", tokens)],
        ..query("allocate", Kind::Account, "translation")
    }
}

fn check(id: &str, subject: &Subject, query: Query, allowed: bool) {
    let asked = format!(
        "{id}: {} {} {}",
        subject.id, query.action, query.resource_id
    );
    let verdicts = with(id).evaluate(subject, &[query]);
    assert_eq!(verdicts[0].allowed, allowed, "{asked}: {verdicts:?}");
}

#[test]
fn every_policy_of_the_documentation_loads() {
    let blocks = blocks();
    assert!(blocks.len() >= 8, "{}", blocks.len());
    for text in blocks {
        assert!(!load(&[("documented.cedar", text)]).ids().is_empty());
    }
}

#[test]
fn the_documented_policies_say_what_is_said_of_them() {
    let ada = subject(Kind::User, "ada", &["everyone"]);
    let eve = subject(Kind::User, "eve", &["everyone"]);
    let nobody = subject(Kind::User, "anonymous", &[]);
    let planner = subject(Kind::Agent, "planner", &["everyone"]);
    let agent = |action, name| query(action, Kind::Agent, name);

    check("free-for-all", &eve, labelled("invoke", "tier=free"), true);
    check("free-for-all", &eve, labelled("invoke", "tier=gold"), false);
    check(
        "free-for-all",
        &eve,
        labelled("register", "tier=free"),
        false,
    );
    check(
        "free-for-all",
        &nobody,
        labelled("invoke", "tier=free"),
        false,
    );

    check("operator", &ada, agent("remove", "planner"), true);
    check("operator", &eve, agent("list", "planner"), false);

    check("allow-planner", &eve, agent("read-task", "planner"), true);
    check("allow-planner", &eve, agent("list", "booking"), false);

    check("own-agents", &eve, agent("invoke", "b-gent"), true);
    check("own-agents", &eve, agent("invoke", "planner"), false);
    check(
        "own-agents",
        &eve,
        query("balance", Kind::Account, "mesh"),
        true,
    );
    check("own-agents", &eve, transfer(1), false);

    check(
        "planner-calls-booking",
        &planner,
        agent("invoke", "booking"),
        true,
    );
    check(
        "planner-calls-booking",
        &planner,
        agent("invoke", "b-gent"),
        false,
    );
    check(
        "planner-calls-booking",
        &eve,
        agent("invoke", "booking"),
        false,
    );

    check("no-large-transfers", &ada, transfer(10_000), true);
    check("no-large-transfers", &ada, transfer(10_001), false);

    let mut local = ada.clone();
    local.attributes = vec![text("cluster", "eu-1")];
    check(
        "eu-residency",
        &ada,
        labelled("invoke", "residency=eu"),
        false,
    );
    check(
        "eu-residency",
        &local,
        labelled("invoke", "residency=eu"),
        true,
    );
    check(
        "eu-residency",
        &ada,
        labelled("invoke", "residency=us"),
        true,
    );

    let emit = |kind| query("emit", Kind::Pheromone, kind);
    check("agents-signal", &planner, emit("WARNING"), true);
    let loud = Query {
        context: vec![number("intensity_percent", 51)],
        ..emit("WARNING")
    };
    check("agents-signal", &planner, loud.clone(), false);
    check("agents-signal", &ada, loud, true);
    check("agents-signal", &planner, emit("CHAOS"), false);
    check("agents-signal", &eve, emit("WARNING"), false);
}
