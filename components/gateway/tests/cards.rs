//! Agent cards in both forms, and as callers get them.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use bytes::Bytes;
use kgents_gateway::call::{FailureKind, Payload};
use kgents_gateway::resource::{AgentCard, HeaderCredential};
use kgents_gateway::{Binding, Card, Credentials, OwnAgent, Skill, mesh_card, own_card};
use proptest::prelude::*;
use serde_json::{Value, json};

fn parse(card: &Value) -> Result<Card, (String, Option<String>)> {
    read(&card.to_string())
}

fn read(text: &str) -> Result<Card, (String, Option<String>)> {
    Card::try_from(Bytes::copy_from_slice(text.as_bytes())).map_err(|failure| {
        assert_eq!(failure.kind, FailureKind::Refused);
        (failure.message, failure.hint)
    })
}

fn value(payload: &Payload) -> Value {
    serde_json::from_slice(payload.as_bytes()).unwrap()
}

fn card() -> Value {
    json!({
        "name": "Hello World Agent",
        "description": "Says\nhello",
        "version": "1.2.3",
        "supportedInterfaces": [
            {"url": "grpc.example:443", "protocolBinding": "GRPC", "protocolVersion": "1.0"},
            {"url": "http://127.0.0.1:9999/a2a/jsonrpc", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"},
            {"url": "http://127.0.0.1:9999/a2a/rest", "protocolBinding": "HTTP+JSON", "protocolVersion": "1.0"},
            {"url": "http://127.0.0.1:9999/a2a/jsonrpc", "protocolBinding": "JSONRPC", "protocolVersion": "0.3"},
        ],
        "capabilities": {"streaming": true, "pushNotifications": true, "extendedAgentCard": true,
            "extensions": [{"uri": "https://x/y", "required": false}], "future": 1},
        "defaultInputModes": ["text/plain"],
        "defaultOutputModes": ["text/plain"],
        "skills": [{"id": "hello", "name": "Hello", "description": "Says it", "tags": ["greet"], "examples": ["hi"],
            "securityRequirements": [{"schemes": {"k": {"list": []}}}], "vendor": {"a": 1}}],
        "securitySchemes": {"k": {"apiKeySecurityScheme": {"location": "header", "name": "x"}}},
        "securityRequirements": [{"schemes": {"k": {"list": []}}}],
        "signatures": [{"protected": "a", "signature": "b"}],
        "url": "http://127.0.0.1:9999/old",
        "preferredTransport": "JSONRPC",
        "protocolVersion": "0.3.0",
        "additionalInterfaces": [{"url": "http://127.0.0.1:9999/old", "transport": "JSONRPC"}],
        "supportsAuthenticatedExtendedCard": true,
        "iconUrl": "http://x/icon.png",
        "vendor": {"keep": [1.5, null]},
    })
}

fn resource() -> Value {
    json!({
        "apiVersion": "a2a.kgents.io/v1",
        "kind": "AgentCard",
        "metadata": {"name": "translator"},
        "spec": {
            "description": "Translates",
            "interfaces": [{"url": "http://127.0.0.1:7000/"}, {"url": "http://127.0.0.1:7000/", "binding": "HTTP+JSON", "version": "1.0"}],
            "skills": [{"id": "translate", "tags": ["language"], "examples": ["translate this"]}],
            "labels": {"region": "eu"},
            "credentials": "svid",
        },
    })
}

#[test]
fn a_card_is_read_for_what_the_mesh_needs() {
    let card = parse(&card()).unwrap();
    assert_eq!(
        (card.name.as_str(), card.label().as_deref()),
        ("Hello World Agent", Some("hello-world-agent"))
    );
    assert_eq!((card.version.as_str(), card.streaming), ("1.2.3", true));
    let interfaces: Vec<_> = card
        .interfaces
        .iter()
        .map(|i| (i.binding, i.url.as_str()))
        .collect();
    assert_eq!(
        interfaces,
        [
            (Binding::JsonRpc, "http://127.0.0.1:9999/a2a/jsonrpc"),
            (Binding::HttpJson, "http://127.0.0.1:9999/a2a/rest")
        ]
    );
    assert_eq!(card.skills[0].examples, ["hi"]);
    assert_eq!(card.credentials, None);
    assert_eq!(value(card.raw()), self::card());
}

/// The card with these extensions.
fn extended(extensions: &Value) -> Value {
    let mut card = card();
    let capabilities = card.get_mut("capabilities").and_then(Value::as_object_mut);
    capabilities
        .unwrap()
        .insert("extensions".to_owned(), extensions.clone());
    card
}

#[test]
fn a_card_says_who_takes_over_from_its_agent() {
    assert_eq!(parse(&card()).unwrap().deprecated(), None);
    let uri = "https://kgents.dev/ext/deprecated/v1";
    for (params, reason) in [
        (json!({"successor": "new-one"}), None),
        (
            json!({"successor": "new-one", "reason": "too slow"}),
            Some("too slow"),
        ),
        (json!({"successor": "new-one", "reason": ""}), None),
    ] {
        let others = json!([{"uri": "https://x/y"}, {"uri": 1}, {"uri": uri, "params": params}]);
        let card = parse(&extended(&others)).unwrap();
        let deprecated = card.deprecated().unwrap();
        assert_eq!(deprecated.successor, "new-one");
        assert_eq!(deprecated.reason.as_deref(), reason);
        let rewritten = value(&card.rewrite("http://mesh:8080/agents/old"));
        assert_eq!(rewritten["capabilities"]["extensions"], others);
    }
}

#[test]
fn a_deprecation_that_is_wrong_is_refused_by_its_field() {
    let one =
        |params: Value| json!({"uri": "https://kgents.dev/ext/deprecated/v1", "params": params});
    let good = one(json!({"successor": "a"}));
    for (extensions, said) in [
        (json!({}), "`capabilities.extensions` must be an array"),
        (json!([1]), "`capabilities.extensions[0]` must be an object"),
        (
            json!([good, good]),
            "`capabilities.extensions[1]` says again",
        ),
        (
            json!([one(Value::Null)]),
            "`capabilities.extensions[0].params` is missing",
        ),
        (
            json!([one(json!({}))]),
            "`capabilities.extensions[0].params.successor` is missing",
        ),
        (
            json!([one(json!({"successor": "Not A Label"}))]),
            "`capabilities.extensions[0].params.successor` is no name of an agent: `Not A Label`",
        ),
        (
            json!([one(json!({"successor": "a", "until": 1}))]),
            "`capabilities.extensions[0].params.until` is not known",
        ),
        (
            json!([one(json!({"successor": "a", "reason": 1}))]),
            "`capabilities.extensions[0].params.reason` must be text",
        ),
    ] {
        let (message, _) = parse(&extended(&extensions)).unwrap_err();
        assert!(message.starts_with(said), "{message}");
    }
}

#[test]
fn a_rewritten_card_leads_through_the_mesh_and_nowhere_else() {
    let rewritten = value(
        &parse(&card())
            .unwrap()
            .rewrite("http://mesh:8080/agents/hello/"),
    );
    let mut expected = card();
    let members = expected.as_object_mut().unwrap();
    for gone in [
        "signatures",
        "url",
        "preferredTransport",
        "protocolVersion",
        "additionalInterfaces",
        "supportsAuthenticatedExtendedCard",
    ] {
        members.remove(gone);
    }
    let url = "http://mesh:8080/agents/hello";
    members.insert(
        "supportedInterfaces".into(),
        json!([
            {"url": url, "protocolBinding": "JSONRPC", "protocolVersion": "1.0"},
            {"url": url, "protocolBinding": "HTTP+JSON", "protocolVersion": "1.0"},
        ]),
    );
    members.insert("securitySchemes".into(), json!({"mesh": {"httpAuthSecurityScheme": {
        "scheme": "Bearer", "bearerFormat": "JWT", "description": "A JWT-SVID of this mesh's trust domain"}}}));
    members.insert(
        "securityRequirements".into(),
        json!([{"schemes": {"mesh": {"list": []}}}]),
    );
    expected["capabilities"]["pushNotifications"] = json!(false);
    expected["capabilities"]["extendedAgentCard"] = json!(false);
    expected["skills"][0]
        .as_object_mut()
        .unwrap()
        .remove("securityRequirements");
    assert_eq!(rewritten, expected);
    assert!(!rewritten.to_string().contains("127.0.0.1"));

    let mut only_rpc = card();
    only_rpc["supportedInterfaces"]
        .as_array_mut()
        .unwrap()
        .remove(2);
    let rewritten = value(&parse(&only_rpc).unwrap().rewrite(url));
    assert_eq!(
        rewritten["supportedInterfaces"].as_array().unwrap().len(),
        1
    );
}

#[test]
fn unknown_numbers_of_a_card_survive_exactly() {
    let text = r#"{"name":"a","big":123456789012345678901234567890,"f":1.0e400,"supportedInterfaces":[{"url":"http://a/","protocolBinding":"JSONRPC","protocolVersion":"1.0"}]}"#;
    let rewritten = read(text).unwrap().rewrite("http://m");
    let rewritten = std::str::from_utf8(rewritten.as_bytes()).unwrap();
    assert!(
        rewritten.contains(r#""big":123456789012345678901234567890,"f":1.0e400"#),
        "{rewritten}"
    );
}

#[test]
fn a_card_that_does_not_fit_is_refused_by_field() {
    let interface = |name: &str, with: Value| {
        let mut card = card();
        let mut one =
            json!({"url": "http://a/", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"});
        one[name] = with;
        card["supportedInterfaces"] = json!([one]);
        card
    };
    let member = |name: &str, with: Value| {
        let mut card = card();
        card[name] = with;
        card
    };
    let many = |count: usize| json!(vec![json!({"id": "a"}); count]);
    for (card, expected) in [
        (json!([]), "the card must be an object"),
        (member("name", json!("")), "`name` is missing or empty"),
        (member("name", json!(null)), "`name` is missing or empty"),
        (member("name", json!(7)), "`name` must be text"),
        (
            member("name", json!("a\nb")),
            "`name` holds a control character",
        ),
        (
            member("name", json!("a\u{1b}[31m")),
            "`name` holds a control character",
        ),
        (
            member("name", json!("a".repeat(129))),
            "`name` is longer than 128",
        ),
        (
            member("description", json!("a\u{0}")),
            "`description` holds a control character",
        ),
        (
            member("description", json!("a".repeat(9000))),
            "`description` is longer than 8192",
        ),
        (member("version", json!([])), "`version` must be text"),
        (
            member("capabilities", json!([])),
            "`capabilities` must be an object",
        ),
        (
            member("capabilities", json!({"streaming": "yes"})),
            "`capabilities.streaming` must be true or false",
        ),
        (
            member("capabilities", json!({"push_notifications": true})),
            "`capabilities.push_notifications` can be taken for `capabilities.pushNotifications`",
        ),
        (member("skills", json!({})), "`skills` must be an array"),
        (member("skills", many(257)), "`skills` has more than 256"),
        (
            member("skills", json!([7])),
            "`skills[0]` must be an object",
        ),
        (
            member("skills", json!([{"id": "a"}, {"name": "b"}])),
            "`skills[1].id` is missing",
        ),
        (
            member("skills", json!([{"id": "a"}, {"id": "b"}, {"id": "a"}])),
            "`skills[2].id` is `a`, which an earlier skill has",
        ),
        (
            member("skills", json!([{"id": "a", "tags": "x"}])),
            "`skills[0].tags` must be an array",
        ),
        (
            member("skills", json!([{"id": "a", "examples": [1]}])),
            "`skills[0].examples` must be text",
        ),
        (
            member("supportedInterfaces", json!([])),
            "`supportedInterfaces` is missing or empty",
        ),
        (
            member("supportedInterfaces", json!(null)),
            "`supportedInterfaces` is missing or empty",
        ),
        (
            member("supportedInterfaces", json!("x")),
            "`supportedInterfaces` must be an array",
        ),
        (
            member("supportedInterfaces", many(17)),
            "`supportedInterfaces` has more than 16",
        ),
        (
            member("supported_interfaces", json!([])),
            "`supported_interfaces` can be taken for `supportedInterfaces`",
        ),
        (
            member("URL", json!("http://x/")),
            "`URL` can be taken for `url`",
        ),
        (
            interface("url", json!(null)),
            "`supportedInterfaces[0].url` is missing",
        ),
        (
            interface("url", json!("http://u:p@a/")),
            "`supportedInterfaces[0].url` names a user",
        ),
        (
            interface("url", json!("file:///etc/passwd")),
            "`supportedInterfaces[0].url`",
        ),
        (
            interface("url", json!("http://a/#x")),
            "`supportedInterfaces[0].url` has a fragment",
        ),
        (
            interface("protocolBinding", json!("")),
            "`supportedInterfaces[0].protocolBinding` is missing",
        ),
        (
            interface("protocolVersion", json!("")),
            "`supportedInterfaces[0].protocolVersion` is missing",
        ),
        (
            interface("protocolBinding", json!("GRPC")),
            "none that the mesh speaks: supportedInterfaces[0] is GRPC",
        ),
        (
            interface("protocolVersion", json!("0.3")),
            "supportedInterfaces[0] is of version 0.3",
        ),
        (
            interface("protocolVersion", json!("10.0")),
            "is of version 10.0",
        ),
        (
            interface("tenant", json!("acme")),
            "supportedInterfaces[0] asks for a tenant",
        ),
        (
            interface("Url", json!("http://b/")),
            "`supportedInterfaces[0].Url` can be taken",
        ),
        (
            member("x", json!("x".repeat(300_000))),
            "the card is above 262144 bytes",
        ),
    ] {
        let (message, _) = parse(&card).unwrap_err();
        assert!(message.contains(expected), "{expected}: {message}");
    }
    let old = json!({"name": "a", "url": "http://a/", "protocolVersion": "0.3.0"});
    assert!(parse(&old).unwrap_err().1.unwrap().contains("A2A 0.3"));
    assert!(
        read(r#"{"name":"a","name":"b"}"#)
            .unwrap_err()
            .0
            .contains("`name` is given twice")
    );
    assert!(read("{").unwrap_err().0.contains("not JSON"));
    assert!(
        read(&format!("{}{}", "[".repeat(999), "]".repeat(999)))
            .unwrap_err()
            .0
            .contains("deeper than 128")
    );
}

#[test]
fn a_resource_is_the_same_card_with_labels_and_credentials() {
    let card = parse(&resource()).unwrap();
    assert_eq!(
        (card.name.as_str(), card.version.as_str(), card.streaming),
        ("translator", "1.0.0", false)
    );
    let found: Vec<_> = card
        .interfaces
        .iter()
        .map(|i| (i.binding, i.version.as_str()))
        .collect();
    assert_eq!(
        found,
        [(Binding::JsonRpc, "1.0"), (Binding::HttpJson, "1.0")]
    );
    assert_eq!(
        (card.skills[0].name.as_str(), card.labels["region"].as_str()),
        ("translate", "eu")
    );
    assert_eq!(card.credentials, Some(Credentials::Svid));
    assert_eq!(value(card.raw()), resource());
    let rewritten = value(&card.rewrite("http://mesh/agents/translator"));
    assert_eq!(rewritten["description"], "Translates");
    assert_eq!(
        rewritten["supportedInterfaces"][1]["protocolBinding"],
        "HTTP+JSON"
    );
    let again = Card::parse(card.rewrite("http://mesh/agents/translator")).unwrap();
    assert_eq!((again.credentials, again.labels.len()), (None, 0));
    assert!(!rewritten.to_string().contains("svid\""));
}

#[test]
fn credentials_are_written_in_four_ways() {
    for (given, expected) in [
        (json!("svid"), Credentials::Svid),
        (
            json!({"bearerFile": "/run/token"}),
            Credentials::BearerFile("/run/token".into()),
        ),
        (
            json!({"bearerEnv": "TOKEN"}),
            Credentials::BearerEnv("TOKEN".into()),
        ),
        (
            json!({"header": {"name": "x-api-key", "env": "KEY"}}),
            Credentials::Header(HeaderCredential {
                name: "x-api-key".into(),
                file: None,
                env: Some("KEY".into()),
            }),
        ),
    ] {
        let mut resource = resource();
        resource["spec"]["credentials"] = given.clone();
        assert_eq!(
            parse(&resource).unwrap().credentials,
            Some(expected.clone())
        );
        assert_eq!(serde_json::to_value(expected).unwrap(), given);
    }
}

#[test]
fn a_resource_that_does_not_fit_is_refused_by_field() {
    let with = |pointer: &str, name: &str, with: Value| {
        let mut resource = resource();
        resource.pointer_mut(pointer).unwrap()[name] = with;
        resource
    };
    for (resource, expected) in [
        (
            with("", "more", json!(1)),
            "`more` does not fit: unknown field `more`",
        ),
        (with("", "kind", json!("Agent")), "`kind` does not fit"),
        (
            with("", "apiVersion", json!("v2")),
            "`apiVersion` does not fit",
        ),
        (
            with("/metadata", "name", json!("A b")),
            "`metadata.name` is no RFC 1123 label",
        ),
        (
            with("/spec", "interface", json!([])),
            "`spec.interface` does not fit: unknown field",
        ),
        (
            with("/spec", "interfaces", json!([])),
            "`spec.interfaces` is missing or empty",
        ),
        (
            with("/spec/interfaces/0", "url", json!("ftp://a")),
            "`spec.interfaces[0].url` must begin with http",
        ),
        (
            with("/spec/interfaces/0", "url", json!(7)),
            "`spec.interfaces[0].url` does not fit",
        ),
        (
            with("/spec/interfaces/1", "binding", json!("GRPC")),
            "`spec.interfaces[1].binding` does not fit",
        ),
        (
            with("/spec/skills/0", "id", json!("")),
            "`spec.skills[0].id` is missing",
        ),
        (
            with("/spec", "skills", json!([{"id": "a"}, {"id": "a"}])),
            "`spec.skills[1].id` is `a`, which an earlier skill has",
        ),
        (
            with("/spec/skills/0", "tag", json!("")),
            "unknown field `tag`",
        ),
        (
            with("/spec", "description", json!("a\u{7}")),
            "`spec.description` holds a control character",
        ),
        (
            with("/spec", "version", json!("a\n")),
            "`spec.version` holds a control character",
        ),
        (
            with("/spec", "labels", json!({"a": 7})),
            "`spec.labels.a` does not fit",
        ),
        (
            with("/spec", "labels", json!({"a": "x\n"})),
            "`spec.labels.a` holds a control character",
        ),
        (
            with("/spec", "labels", json!({"": "x"})),
            "a label without a name",
        ),
        (
            with("/spec", "credentials", json!("password")),
            "`spec.credentials",
        ),
        (
            with("/spec", "credentials", json!({"bearerFile": ""})),
            "`spec.credentials.bearerFile` is empty",
        ),
        (
            with("/spec", "credentials", json!({"bearerEnv": "A-B"})),
            "`spec.credentials.bearerEnv` is no name",
        ),
        (
            with(
                "/spec",
                "credentials",
                json!({"header": {"name": "host", "env": "A"}}),
            ),
            "`spec.credentials.header.name` cannot carry",
        ),
        (
            with(
                "/spec",
                "credentials",
                json!({"header": {"name": "a b", "env": "A"}}),
            ),
            "`spec.credentials.header.name` cannot carry",
        ),
        (
            with("/spec", "credentials", json!({"header": {"name": "x-k"}})),
            "`spec.credentials.header` needs either",
        ),
        (
            with(
                "/spec",
                "credentials",
                json!({"header": {"name": "x-k", "env": "A", "file": "b"}}),
            ),
            "`spec.credentials.header` needs either",
        ),
    ] {
        let (message, _) = parse(&resource).unwrap_err();
        assert!(message.contains(expected), "{expected}: {message}");
    }
    let mut old = resource();
    old["spec"]["interfaces"] = json!([{"url": "http://a/", "version": "0.3"}]);
    assert!(
        parse(&old)
            .unwrap_err()
            .0
            .contains("`spec.interfaces` has none that the mesh speaks")
    );
}

#[test]
fn the_resource_has_a_schema_that_names_its_keys() {
    let schema = serde_json::to_value(schemars::schema_for!(AgentCard)).unwrap();
    assert_eq!(schema["additionalProperties"], json!(false));
    assert!(schema["properties"]["apiVersion"].is_object());
    assert!(schema.to_string().contains("bearerFile"));
}

#[test]
fn the_meshs_own_cards_are_cards_like_any_other() {
    let skills = [Skill {
        id: "balance".into(),
        name: "Balance".into(),
        description: "Tells it".into(),
        tags: vec!["budget".into()],
        examples: vec![],
    }];
    let agent = OwnAgent {
        name: "b-gent",
        description: "Keeps budgets",
        version: "0.1.0",
        skills: &skills,
    };
    let own = Card::parse(own_card("http://mesh:1/agents/b-gent/", &agent)).unwrap();
    assert_eq!(
        (own.label().as_deref(), own.streaming, own.interfaces.len()),
        (Some("b-gent"), true, 2)
    );
    assert_eq!(own.skills, skills);
    assert_eq!(own.interfaces[0].url, "http://mesh:1/agents/b-gent");

    let mesh = mesh_card("http://mesh:1/", "kgents", "Routes", "0.1.0");
    let parsed = Card::parse(mesh.clone()).unwrap();
    assert_eq!(
        (
            parsed.skills[0].id.as_str(),
            parsed.interfaces[0].url.as_str()
        ),
        ("route", "http://mesh:1")
    );
    let told = value(&mesh);
    assert_eq!(
        told["capabilities"],
        json!({"streaming": true, "pushNotifications": false, "extendedAgentCard": false})
    );
    assert_eq!(
        told["securityRequirements"],
        json!([{"schemes": {"mesh": {"list": []}}}])
    );
    for required in [
        "name",
        "description",
        "version",
        "skills",
        "defaultInputModes",
        "defaultOutputModes",
    ] {
        assert!(!told[required].is_null(), "{required}");
    }
}

proptest! {
    #[test]
    fn no_card_makes_the_reader_panic_and_what_is_read_rewrites_to_a_card(
        name in ".{0,20}",
        url in prop_oneof![".{0,20}", "https?://[a-z@#:\\[\\]]{0,12}/?"],
        extra in ".{0,10}",
        cut in 0_usize..400,
    ) {
        let mut card = card();
        card["name"] = json!(name);
        card["supportedInterfaces"][1]["url"] = json!(url);
        card[format!("x{extra}")] = json!({"deep": [extra]});
        let text = card.to_string();
        if let Ok(parsed) = read(&text) {
            let rewritten = Card::parse(parsed.rewrite("http://mesh/agents/a")).unwrap();
            prop_assert_eq!(&rewritten.name, &parsed.name);
            prop_assert_eq!(&rewritten.skills, &parsed.skills);
            prop_assert!(rewritten.interfaces.iter().all(|i| i.url == "http://mesh/agents/a"));
            let kept = value(&rewritten.rewrite("http://mesh/agents/a"));
            prop_assert_eq!(&kept[format!("x{extra}")], &card[format!("x{extra}")]);
        }
        let broken: String = text.chars().take(cut).collect();
        prop_assert!(read(&broken).is_err());
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Err(failure) = Card::try_from(Bytes::from(bytes)) {
            prop_assert_eq!(failure.kind, FailureKind::Refused);
        }
    }
}
