//! Who gets in, and who may do what: identities, policies, the gateways' door.

use kgents_tests::http::message;
use kgents_tests::{Agent, Answer, Client, Mesh, Setup};
use serde_json::{Value, json};

/// The same message on every binding, to an agent and to the mesh.
fn everywhere(client: &Client) -> Vec<(&'static str, Answer)> {
    let params = message("hello");
    let rpc = |path| client.rpc(path, "SendMessage", &params);
    let stream = |path| client.rpc(path, "SendStreamingMessage", &params);
    let rest = |path| client.rest("POST", path, Some(&params));
    vec![
        ("rpc", rpc("/agents/parrot")),
        ("rpc/", rpc("/agents/parrot/")),
        ("rpc stream", stream("/agents/parrot")),
        ("rest", rest("/agents/parrot/message:send")),
        ("rest stream", rest("/agents/parrot/message:stream")),
        (
            "rest task",
            client.rest("GET", "/agents/parrot/tasks/t-1", None),
        ),
        (
            "card",
            client.get("/agents/parrot/.well-known/agent-card.json"),
        ),
        ("root rpc", rpc("/")),
        ("root rest", rest("/message:send")),
        ("route", client.post("/v1/route", &json!({"text": "hello"}))),
        ("agents", client.get("/v1/agents")),
        ("pheromones", client.get("/v1/pheromones")),
    ]
}

#[test]
fn without_a_good_identity_every_binding_answers_401() {
    let agent = Agent::start();
    let mesh = Mesh::start();
    mesh.add(&agent);
    let good = mesh.token(&[]);
    let elsewhere = Mesh::start();
    let short = mesh.token(&["--ttl", "1s"]);
    let (head, _) = good.rsplit_once('.').unwrap();
    let bad = [
        ("none", mesh.stranger()),
        ("garbage", Client::new(mesh.url(), Some("garbage"))),
        ("empty", Client::new(mesh.url(), Some(""))),
        (
            "unsigned",
            Client::new(mesh.url(), Some(&format!("{head}."))),
        ),
        (
            "of another mesh",
            Client::new(mesh.url(), Some(&elsewhere.token(&[]))),
        ),
        (
            "for another audience",
            Client::new(
                mesh.url(),
                Some(&mesh.token(&["--audience", "somebody-else"])),
            ),
        ),
        (
            "of another scheme",
            mesh.stranger().with("authorization", "Basic dTpw"),
        ),
    ];
    for (what, client) in bad {
        for (binding, answer) in everywhere(&client) {
            let refusal = answer.refusal();
            assert_eq!(refusal.status, 401, "{what}, {binding}: {}", answer.text());
            assert_eq!(refusal.reason, "UNAUTHENTICATED", "{what}, {binding}");
            assert!(!refusal.hint.is_empty(), "{what}, {binding}: {refusal:?}");
            let challenge = answer.header("www-authenticate");
            assert!(
                challenge.is_some_and(|text| text.starts_with("Bearer")),
                "{what}, {binding}"
            );
        }
    }
    let short = Client::new(mesh.url(), Some(&short));
    let expired = kgents_tests::until("a token of a second to expire", || {
        let answer = short.get("/v1/agents");
        (answer.status == 401).then_some(answer)
    });
    assert_eq!(expired.refusal().reason, "UNAUTHENTICATED");
    assert!(agent.seen().is_empty(), "nobody got through");
    for page in ["/healthz", "/readyz", "/.well-known/agent-card.json"] {
        assert_eq!(mesh.page(page).status, 200, "{page} is public");
    }
    for page in ["/metrics", "/v1/audit", "/identity"] {
        assert_ne!(mesh.page(page).status, 200, "{page}");
    }
    let denied = mesh.trail().into_iter().filter(|event| {
        event["spec"]["decision"]["reason"] == "UNAUTHENTICATED"
            && event["spec"]["decision"]["outcome"] == "DENIED"
    });
    assert!(denied.count() >= 60, "refusals are in the trail");
    mesh.verified();
}

#[test]
fn an_agent_one_may_see_but_not_use_answers_403_on_every_binding() {
    let agent = Agent::start();
    let mesh = Mesh::with(Setup {
        files: vec![(
            "policies/see.cedar".into(),
            "@id(\"see\") permit (principal in Group::\"everyone\", action == Action::\"list\", resource);".into(),
        )],
        ..Setup::default()
    });
    mesh.json(&["agents", "add", &agent.card_url()]);
    let allowed = ["card", "agents"];
    for (binding, answer) in everywhere(&mesh.client_of("eve")) {
        if allowed.contains(&binding) {
            assert_eq!(answer.status, 200, "{binding}: {}", answer.text());
            continue;
        }
        let refusal = answer.refusal();
        // Who may ask nobody is led to nobody, whoever might have answered.
        assert_eq!(refusal.status, 403, "{binding}: {}", answer.text());
        assert_eq!(refusal.reason, "DENIED", "{binding}");
        assert!(!refusal.hint.is_empty(), "{binding}: {refusal:?}");
        let event = mesh.event(answer.header("kgents-event").unwrap());
        assert_eq!(event["spec"]["decision"]["outcome"], "DENIED", "{event}");
        assert_eq!(
            event["spec"]["decision"]["policy"], "default-deny",
            "{event}"
        );
    }
    assert!(agent.seen().is_empty());
}

#[test]
fn an_agent_one_may_not_see_looks_like_none_and_is_audited_as_denied() {
    let agent = Agent::start();
    let mesh = Mesh::start();
    mesh.json(&["agents", "add", &agent.card_url()]);
    let eve = mesh.client_of("eve");
    let hidden = eve.say("/agents/parrot", "hello");
    let absent = eve.say("/agents/nobody", "hello");
    let text = |answer: &Answer, name: &str| answer.text().replace(name, "NAME");
    assert_eq!(text(&hidden, "parrot"), text(&absent, "nobody"));
    assert_eq!(hidden.refusal().status, 404);
    assert_eq!(hidden.refusal().reason, "UNKNOWN_AGENT");
    let outcome = |answer: &Answer| {
        let event = mesh.event(answer.header("kgents-event").unwrap());
        event["spec"]["decision"]["outcome"].clone()
    };
    assert_eq!(outcome(&hidden), "DENIED");
    assert_eq!(outcome(&absent), "FAILED");
    let visible = eve.get("/v1/agents").json();
    assert_eq!(visible["agents"], json!([]), "{visible}");
    assert!(agent.seen().is_empty());
}

#[test]
fn a_caller_is_only_led_to_what_it_may_call() {
    let (agent, other) = (Agent::start(), Agent::named("second-parrot"));
    let mesh = Mesh::start();
    mesh.json(&["agents", "add", &agent.card_url()]);
    mesh.add(&other);
    let eve = mesh.client_of("eve");
    for _ in 0..2 {
        let route = eve
            .post("/v1/route", &json!({"text": "repeat after me: hello"}))
            .json();
        assert!(
            route["agent"].is_null() || route["agent"] == "second-parrot",
            "{route}"
        );
        assert!(!route.to_string().contains("\"parrot\""), "{route}");
    }
    assert!(agent.seen().is_empty());
}

#[test]
fn only_gateways_may_bring_requests_of_others() {
    let agent = Agent::start();
    let mesh = Mesh::start();
    mesh.add(&agent);
    let ada = mesh.token(&["--user", "ada"]);
    let carried = |token: Option<&str>, agent: &str| {
        json!({
            "version": 1, "token": token, "base_url": "https://front.example",
            "call": {"target": {"agent": agent}, "operation": "card", "traceparent": null},
        })
    };
    let send = |client: &Client, body: &Value| client.post("/v1/exchange", body);
    for (client, status) in [
        (mesh.stranger(), 401),
        (mesh.client(), 403),
        (
            Client::new(mesh.url(), Some(&mesh.token(&["--agent", "spin"]))),
            403,
        ),
    ] {
        let answer = send(&client, &carried(Some(&ada), "parrot"));
        assert_eq!(answer.refusal().status, status, "{}", answer.text());
    }
    let spin = Client::new(mesh.url(), Some(&mesh.token(&["--gateway", "spin"])));
    let lines = |answer: Answer| -> Vec<Value> {
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
        let text = answer.text();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let got = lines(send(&spin, &carried(Some(&ada), "parrot")));
    assert_eq!(got.len(), 3, "{got:?}");
    let url = &got[1]["answer"]["supportedInterfaces"][0]["url"];
    assert_eq!(url, "https://front.example/agents/parrot", "{got:?}");
    assert_eq!(got[2], json!({"end": true}));
    let event = mesh.event(got[0]["head"]["event"].as_str().unwrap());
    assert_eq!(
        event["spec"]["agent"]["name"], "ada",
        "the caller it speaks for"
    );
    // A gateway is nobody without its caller, and no caller by itself.
    for token in [None, Some("garbage")] {
        let got = lines(send(&spin, &carried(token, "parrot")));
        assert_eq!(got[1]["failure"]["kind"], "unauthenticated", "{got:?}");
    }
    assert_eq!(spin.say("/agents/parrot", "hello").status, 404);
    for broken in [json!({}), json!({"version": 2}), json!([1])] {
        let answer = send(&spin, &broken);
        assert_eq!(
            answer.refusal().reason,
            "INVALID_PARAMS",
            "{}",
            answer.text()
        );
    }
    mesh.verified();
}

#[test]
fn a_mesh_for_gateways_only_has_nothing_for_anybody_else() {
    let mesh = Mesh::with(Setup {
        args: vec!["--gateway-only".into()],
        ..Setup::default()
    });
    assert_eq!(mesh.page("/healthz").status, 200);
    assert_eq!(mesh.page("/readyz").status, 200);
    for path in ["/v1/agents", "/.well-known/agent-card.json"] {
        let refusal = mesh.client().get(path).refusal();
        assert_eq!(refusal.status, 404, "{path}: {refusal:?}");
        assert!(refusal.message.contains("/v1/exchange"), "{refusal:?}");
    }
    let carried = json!({
        "version": 1, "token": mesh.token(&[]), "base_url": "https://front.example",
        "call": {"target": "mesh", "operation": "list_agents", "traceparent": null},
    });
    let spin = Client::new(mesh.url(), Some(&mesh.token(&["--gateway", "spin"])));
    let answer = spin.post("/v1/exchange", &carried);
    assert!(answer.text().contains("\"answer\":{"), "{}", answer.text());
    let ran = mesh.cli(&["ask", "who can translate?"]).ended(5);
    assert!(ran.stderr.contains("--gateway-only"), "{ran:?}");
    mesh.verified();
}

#[test]
fn without_any_policy_everything_is_denied_by_default() {
    let mesh = Mesh::start();
    assert_eq!(mesh.client().say("/agents/echo", "hello").status, 200);
    std::fs::remove_file(mesh.dir().join("policies/operator.cedar")).unwrap();
    let answer = kgents_tests::until("the last policy to be gone", || {
        let answer = mesh.client().say("/agents/echo", "hello");
        (answer.status != 200).then_some(answer)
    });
    assert_eq!(answer.refusal().reason, "UNKNOWN_AGENT");
    let event = mesh.event(answer.header("kgents-event").unwrap());
    let decision = &event["spec"]["decision"];
    assert_eq!(decision["outcome"], "DENIED", "{event}");
    assert_eq!(decision["policy"], "default-deny", "{event}");
    assert_eq!(mesh.page("/readyz").status, 200);
}

#[test]
fn anonymous_callers_are_a_principal_where_the_operator_says_so() {
    let agent = Agent::start();
    let mesh = Mesh::with(Setup {
        yaml: "anonymous: allow\n".into(),
        files: vec![(
            "policies/guests.cedar".into(),
            "@id(\"guests\") permit (principal == User::\"anonymous\", action in [Action::\"use\"], resource == Agent::\"parrot\");".into(),
        )],
        ..Setup::default()
    });
    mesh.json(&["agents", "add", &agent.card_url()]);
    let answer = mesh.stranger().say("/agents/parrot", "hello");
    assert_eq!(answer.words(), "hello");
    let event = mesh.event(answer.header("kgents-event").unwrap());
    assert_eq!(event["spec"]["agent"]["name"], "anonymous", "{event}");
    let forged = Client::new(mesh.url(), Some("garbage")).say("/agents/parrot", "hello");
    assert_eq!(forged.status, 401, "a bad token is not no token");
    assert_eq!(mesh.stranger().say("/agents/echo", "hello").status, 404);
}
