//! What operators get wrong: cards, policies, the mesh folder. Each mistake is
//! told where it stands, and what was in force stays.

use std::fs;

use kgents_tests::{Agent, Mesh, Setup, until};
use serde_json::{Value, json};

/// The agent's card, but with an interface at `url`.
fn card_at(agent: &Agent, url: &str) -> Value {
    let mut card = agent.card();
    card["supportedInterfaces"] =
        json!([{"url": url, "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}]);
    card
}

/// Registrations that are refused, and what the refusal has to name.
fn refused_registrations(agent: &Agent) -> Vec<(Value, &'static str)> {
    let card = |url| json!({ "card": card_at(agent, url) });
    let (mut without, mut nameless) = (agent.card(), agent.card());
    without["supportedInterfaces"] = json!([]);
    nameless["name"] = json!("???");
    let absent = format!("http://{}/nothing", agent.address());
    vec![
        (json!({ "card": without }), "supportedInterfaces"),
        (json!({ "card": nameless }), "name"),
        (json!({ "card": 7 }), "card"),
        (card(""), "url"),
        (card("file:///etc/passwd"), "url"),
        (card("http://192.168.1.7/"), "192.168.1.7"),
        (card("http://169.254.169.254/"), "169.254.169.254"),
        (json!({"url": "http://10.1.2.3/card"}), "url"),
        (json!({ "url": absent }), "url"),
        (json!({"url": absent, "card": agent.card()}), "url"),
    ]
}

#[test]
fn a_card_that_cannot_be_used_is_refused_with_the_field_named() {
    let agent = Agent::start();
    let mesh = Mesh::start();
    for (body, named) in refused_registrations(&agent) {
        let answer = mesh.client().post("/v1/agents", &body);
        assert_ne!(answer.status, 200, "{body}: {}", answer.text());
        let refusal = answer.refusal();
        let got = (refusal.status, &*refusal.reason);
        let expected = [(400, "INVALID_PARAMS"), (422, "REFUSED")];
        assert!(expected.contains(&got), "{body}: {}", answer.text());
        assert!(refusal.message.contains(named), "{body}: {refusal:?}");
    }
    let file = mesh.scratch().join("private.json");
    fs::write(&file, card_at(&agent, "http://192.168.1.7/").to_string()).unwrap();
    let failed = mesh.cli(&["agents", "add", file.to_str().unwrap(), "-o", "json"]);
    let failed = failed.ended(1).json();
    let hint = failed["error"]["hint"].as_str().unwrap();
    assert!(hint.contains("upstreams.allow"), "{failed}");
    let listed = mesh.json(&["agents", "list"]);
    assert_eq!(listed["agents"].as_array().unwrap().len(), 3, "{listed}");
}

#[test]
fn private_ranges_are_reached_where_the_operator_allows_them() {
    let agent = Agent::start();
    let mut card = agent.card();
    for interface in card["supportedInterfaces"].as_array_mut().unwrap() {
        interface["url"] = json!("http://192.168.1.7/");
    }
    let mesh = Mesh::with(Setup {
        yaml: "upstreams: {allow: [private], connect_timeout: 100ms}\n".into(),
        ..Setup::default()
    });
    let answer = mesh.client().post("/v1/agents", &json!({ "card": card }));
    assert_eq!(answer.status, 200, "{}", answer.text());
    // What was not allowed any more is not fetched either.
    let answer = mesh
        .client()
        .post("/v1/agents", &json!({"url": agent.card_url()}));
    assert_eq!(
        answer.refusal().reason,
        "REFUSED",
        "loopback is not on the list"
    );
}

#[test]
fn mistakes_in_the_mesh_folder_are_all_told_with_file_and_line() {
    let mesh = Mesh::folders(Setup {
        yaml: "trust_domian: x\nlisten: here\n".into(),
        files: vec![
            ("budgets/mesh.yaml".into(), "apiVersion: policy.kgents.io/v1\nkind: Budget\nmetadata: {name: mesh}\nspec: {account: mesh, tokens: many, window: day}\n".into()),
            ("agents/a.yaml".into(), "apiVersion: a2a.kgents.io/v1\nkind: AgentCard\nmetadata: {name: a}\nspec: {interfacs: []}\n".into()),
        ],
        ..Setup::default()
    });
    let text = mesh.refuses_to_start().ended(1).stdout;
    for expected in [
        "trust_domain",
        "line 1",
        "listen",
        "line 2",
        "tokens",
        "interfaces",
        "mesh.yaml",
    ] {
        assert!(text.contains(expected), "`{expected}` is not told: {text}");
    }
    let check = mesh.cli(&["check", mesh.dir().to_str().unwrap()]).ended(1);
    for expected in ["trust_domain", "tokens", "interfaces"] {
        assert!(check.stdout.contains(expected), "{check:?}");
    }
}

#[test]
fn a_broken_policy_leaves_the_last_good_ones_in_force_and_is_shown() {
    let mesh = Mesh::start();
    mesh.write(
        "policies/broken.cedar",
        "permit (principal, action == Action::\"dance\", resource);",
    );
    let page = until("the broken policy to be noticed", || {
        let page = mesh.page("/readyz").text();
        page.contains("broken.cedar").then_some(page)
    });
    assert!(page.contains("dance"), "{page}");
    assert_eq!(
        mesh.client().say("/agents/echo", "hello").status,
        200,
        "the old ones hold"
    );
    assert_eq!(
        mesh.client_of("eve").say("/agents/echo", "hello").status,
        404
    );
    let check = mesh.cli(&["check"]).ended(1);
    assert!(check.stdout.contains("broken.cedar"), "{check:?}");
    fs::remove_file(mesh.dir().join("policies/broken.cedar")).unwrap();
    until("the mended policies", || {
        let page = mesh.page("/readyz").text();
        (!page.contains("broken.cedar")).then_some(())
    });
    mesh.cli(&["check"]).ended(0);
    assert_eq!(mesh.page("/readyz").status, 200);
}

#[test]
fn a_mesh_that_starts_with_policies_that_do_not_load_denies_everything_and_says_so() {
    let mesh = Mesh::with(Setup {
        files: vec![("policies/broken.cedar".into(), "permit (everyone);".into())],
        ..Setup::default()
    });
    let ready = mesh.page("/readyz");
    let page = ready.text();
    assert_eq!(ready.status, 503, "{page}");
    assert!(page.contains("everybody is denied"), "{page}");
    assert!(page.contains("broken.cedar"), "{page}");
    let denied = mesh.client().say("/agents/echo", "hello");
    assert_eq!(denied.status, 404, "{}", denied.text());
    assert!(mesh.log().contains("broken.cedar"), "{}", mesh.log());
    let check = mesh.cli(&["check"]).ended(1);
    assert!(check.stdout.contains("broken.cedar"), "{check:?}");
    assert!(check.stdout.contains("everybody is denied"), "{check:?}");
    assert!(!check.stdout.contains("stay"), "{check:?}");
    fs::remove_file(mesh.dir().join("policies/broken.cedar")).unwrap();
    until("the good policies to come into force", || {
        let answer = mesh.client().say("/agents/echo", "hello");
        (answer.status == 200).then_some(())
    });
}
