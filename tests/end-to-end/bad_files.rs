//! What operators get wrong: cards, policies, the mesh folder. Each mistake is
//! told where it stands, and what was in force stays.

use std::fs;

use kgents_tests::{Agent, Mesh, Setup, until};
use serde_json::json;

#[test]
fn a_card_that_cannot_be_used_is_refused_with_the_field_named() {
    let agent = Agent::start();
    let mesh = Mesh::start();
    let with_url = |url: &str| {
        let mut card = agent.card();
        card["supportedInterfaces"] =
            json!([{"url": url, "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}]);
        card
    };
    let mut without = agent.card();
    without
        .as_object_mut()
        .unwrap()
        .remove("supportedInterfaces");
    let mut nameless = agent.card();
    nameless["name"] = json!("???");
    let cases = [
        (
            "no interface",
            json!({ "card": without }),
            "supportedInterfaces",
        ),
        ("no URL", json!({ "card": with_url("") }), "url"),
        (
            "a file",
            json!({ "card": with_url("file:///etc/passwd") }),
            "url",
        ),
        (
            "a private address",
            json!({ "card": with_url("http://192.168.1.7/") }),
            "192.168.1.7",
        ),
        (
            "cloud metadata",
            json!({ "card": with_url("http://169.254.169.254/") }),
            "169.254.169.254",
        ),
        ("a name that is none", json!({ "card": nameless }), "name"),
        (
            "a card from a private range",
            json!({"url": "http://10.1.2.3/card"}),
            "url",
        ),
        (
            "a card that is not there",
            json!({"url": format!("http://{}/nothing", agent.address())}),
            "url",
        ),
        (
            "both",
            json!({"url": "http://127.0.0.1/", "card": agent.card()}),
            "url",
        ),
        ("no object", json!({"card": 7}), "card"),
    ];
    for (what, body, field) in cases {
        let answer = mesh.client().post("/v1/agents", &body);
        assert_ne!(answer.status, 200, "{what}: {}", answer.text());
        let refusal = answer.refusal();
        let expected = [(400, "INVALID_PARAMS"), (422, "REFUSED")];
        assert!(
            expected.contains(&(refusal.status, &*refusal.reason)),
            "{what}: {}",
            answer.text()
        );
        assert!(refusal.message.contains(field), "{what}: {refusal:?}");
    }
    let file = mesh.scratch().join("private.json");
    fs::write(&file, with_url("http://192.168.1.7/").to_string()).unwrap();
    let failed = mesh
        .cli(&["agents", "add", file.to_str().unwrap(), "-o", "json"])
        .ended(1);
    let failed = failed.json();
    assert!(
        failed["error"]["hint"]
            .as_str()
            .unwrap()
            .contains("upstreams.allow"),
        "{failed}"
    );
    let listed = mesh.json(&["agents", "list"]);
    assert_eq!(listed["agents"].as_array().unwrap().len(), 3, "{listed}");
}

#[test]
fn private_ranges_are_reached_where_the_operator_allows_them() {
    let agent = Agent::start();
    let mut card = agent.card();
    card["supportedInterfaces"][0]["url"] = json!("http://192.168.1.7/");
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
    let page = mesh.page("/readyz").text();
    assert!(page.contains("broken.cedar"), "{page}");
    let denied = mesh.client().say("/agents/echo", "hello");
    assert_eq!(denied.status, 404, "{}", denied.text());
    assert!(mesh.log().contains("broken.cedar"), "{}", mesh.log());
    let check = mesh.cli(&["check"]).ended(1);
    assert!(check.stdout.contains("broken.cedar"), "{check:?}");
    fs::remove_file(mesh.dir().join("policies/broken.cedar")).unwrap();
    until("the good policies to come into force", || {
        let answer = mesh.client().say("/agents/echo", "hello");
        (answer.status == 200).then_some(())
    });
}
