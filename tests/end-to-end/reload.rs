//! The mesh folder is watched: what is saved comes into force.

use std::fs;

use kgents_tests::{Agent, Mesh, Setup, until};
use serde_json::Value;

const EVERYONE: &str = "@id(\"open\") permit (principal in Group::\"everyone\", action in [Action::\"use\"], resource == Agent::\"echo\");";

#[test]
fn a_policy_that_is_saved_comes_into_force_and_goes_with_its_file() {
    let mesh = Mesh::start();
    let eve = mesh.client_of("eve");
    let status = || eve.say("/agents/echo", "hello").status;
    assert_eq!(status(), 404);
    mesh.write("policies/open.cedar", EVERYONE);
    until("the policy to come into force", || {
        (status() == 200).then_some(())
    });
    mesh.write(
        "policies/closed.cedar",
        "@id(\"closed\") forbid (principal == User::\"eve\", action, resource);",
    );
    until("the forbid to win", || (status() != 200).then_some(()));
    fs::remove_file(mesh.dir().join("policies/closed.cedar")).unwrap();
    until("the forbid to be gone", || (status() == 200).then_some(()));
    fs::remove_file(mesh.dir().join("policies/open.cedar")).unwrap();
    until("the permission to be gone", || {
        (status() == 404).then_some(())
    });
}

#[test]
fn a_card_file_is_registered_when_it_appears_and_taken_out_when_it_goes() {
    let agent = Agent::start();
    let mesh = Mesh::start();
    let listed = |name: &str| {
        let listing = mesh.json(&["agents", "list"]);
        let agents = listing["agents"].as_array().unwrap().clone();
        agents.into_iter().find(|agent| agent["name"] == name)
    };
    mesh.write(
        "agents/parrot.yaml",
        &card(&agent, "planner", "Plans trips."),
    );
    let shown = until("the card's agent", || listed("planner"));
    assert_eq!(shown["description"], "Plans trips.", "{shown}");
    assert_eq!(
        mesh.client().say("/agents/planner", "hello").words(),
        "hello"
    );
    mesh.write(
        "agents/parrot.yaml",
        &card(&agent, "planner", "Plans journeys."),
    );
    until("the changed card", || {
        listed("planner").filter(|shown| shown["description"] == "Plans journeys.")
    });
    mesh.write("agents/parrot.yaml", "kind: nonsense\n");
    mesh.write("agents/other.json", &agent.card().to_string());
    until("the mistake to be told", || {
        mesh.log().contains("parrot.yaml").then_some(())
    });
    assert_eq!(
        mesh.client().say("/agents/planner", "hello").words(),
        "hello",
        "the last good card stays"
    );
    fs::remove_file(mesh.dir().join("agents/parrot.yaml")).unwrap();
    until("the agent to be taken out", || {
        listed("planner").is_none().then_some(())
    });
    assert!(until("the other card", || listed("parrot"))["name"] == "parrot");
    assert_eq!(mesh.client().say("/agents/planner", "hello").status, 404);
}

#[test]
fn a_budget_that_is_saved_comes_into_force() {
    let mesh = Mesh::start();
    let total = || -> Value {
        let answer = mesh.json(&["call", "b-gent", "balance of mesh"]);
        answer
            .pointer("/result/message/parts/1/data/allocated")
            .unwrap()
            .clone()
    };
    assert_eq!(total(), 1_000_000);
    let budget = |tokens: u32| {
        format!(
            "apiVersion: policy.kgents.io/v1\nkind: Budget\nmetadata: {{name: mesh}}\nspec: {{account: mesh, tokens: {tokens}, window: day}}\n"
        )
    };
    mesh.write("budgets/mesh.yaml", &budget(5_000));
    until("the smaller budget", || (total() == 5_000).then_some(()));
    let over = mesh.json(&["call", "b-gent", "allocate 6000 tokens to translation"]);
    let data = over.pointer("/result/message/parts/1/data").unwrap();
    assert_eq!(data["error"], "insufficient", "{over}");
    assert_eq!(data["available"], 5_000, "{over}");
}

#[test]
fn cards_that_mesh_yaml_names_are_fetched_at_start() {
    let agent = Agent::start();
    let mesh = Mesh::with(Setup {
        yaml: format!("agents: ['{}']\n", agent.card_url()),
        ..Setup::default()
    });
    until("the agent of mesh.yaml", || {
        let answer = mesh.client().say("/agents/parrot", "hello");
        (answer.status == 200).then_some(())
    });
}

fn card(agent: &Agent, name: &str, description: &str) -> String {
    format!(
        "apiVersion: a2a.kgents.io/v1\nkind: AgentCard\nmetadata: {{name: {name}}}\nspec:\n  description: {description}\n  \
         interfaces: [{{url: 'http://{}/rpc', binding: JSONRPC, version: '1.0'}}]\n  \
         skills: [{{id: plan, name: Plan, description: {description}, tags: [train]}}]\n",
        agent.address()
    )
}
