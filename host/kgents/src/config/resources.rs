//! The Kubernetes-shaped resources of a mesh folder: AgentCards and Budgets.
//! The doc comments below are what editors show, by way of the schemas.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::document::{Mistake, Node, Value};
use super::read::parse_node;
use super::values::{HttpUrl, Label};

/// An agent that this mesh knows, and how to reach it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "AgentCard")]
pub struct AgentCard {
    /// `a2a.kgents.io/v1`
    pub api_version: AgentCardVersion,
    /// `AgentCard`
    pub kind: AgentCardKind,
    /// What the card is called.
    pub metadata: Metadata,
    /// What the agent is and does.
    pub spec: AgentCardSpec,
}

/// The version of the AgentCard resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AgentCardVersion {
    /// The only one.
    #[serde(rename = "a2a.kgents.io/v1")]
    V1,
}

/// The kind of the AgentCard resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AgentCardKind {
    /// The only one.
    AgentCard,
}

/// What a resource is called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// Unique among resources of its kind.
    pub name: Label,
}

/// What an agent is and does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentCardSpec {
    /// One or two sentences: what people and the router read.
    #[schemars(length(min = 1))]
    pub description: String,
    /// Where it is reached; the first that the mesh speaks is used.
    #[schemars(length(min = 1))]
    pub interfaces: Vec<Interface>,
    /// What it can do; the router searches these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skills: Vec<Skill>,
    /// Free facts that policies may ask for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What the mesh shows the agent; nothing by default. Never the caller's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
}

/// One way to reach an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Interface {
    /// Where requests go.
    pub url: HttpUrl,
    /// What it speaks there.
    #[serde(default)]
    pub binding: Binding,
    /// The A2A version it speaks.
    #[serde(default)]
    pub version: ProtocolVersion,
}

/// A binding of A2A.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Binding {
    /// JSON-RPC 2.0 over HTTP.
    #[default]
    #[serde(rename = "JSONRPC")]
    JsonRpc,
    /// HTTP+JSON (REST).
    #[serde(rename = "HTTP+JSON")]
    HttpJson,
}

/// A version of A2A.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ProtocolVersion {
    /// A2A 1.0.
    #[default]
    #[serde(rename = "1.0")]
    V1_0,
}

/// Something an agent can do. Source: A2A 1.0, AgentSkill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Skill {
    /// Short and stable, for example `translate`.
    #[schemars(length(min = 1))]
    pub id: String,
    /// For people.
    #[schemars(length(min = 1))]
    pub name: String,
    /// What it does, in the words people ask for it.
    #[serde(default)]
    pub description: String,
    /// Keywords.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Messages it understands; the router learns from them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<String>,
    /// Media types it takes, where they differ from the agent's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub input_modes: Vec<String>,
    /// Media types it gives, where they differ from the agent's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub output_modes: Vec<String>,
}

/// What the mesh shows an agent to prove who is calling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Credentials {
    /// A JWT-SVID of the mesh, made for this agent (audience: its URL).
    Svid,
    /// `Authorization: Bearer` and a secret.
    Bearer(Secret),
    /// A header of its own and a secret.
    Header(SecretHeader),
}

/// A header that carries a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretHeader {
    /// The header's name, for example `X-API-Key`.
    #[schemars(length(min = 1))]
    pub name: String,
    /// Where its value is kept.
    pub value: Secret,
}

/// Where a secret is kept; never the secret itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Secret {
    /// In an environment variable of the mesh.
    Env(String),
    /// In a file; a relative path is relative to the mesh folder.
    File(String),
}

/// Tokens that an account may use in a window of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Budget")]
pub struct Budget {
    /// `policy.kgents.io/v1`
    pub api_version: BudgetVersion,
    /// `Budget`
    pub kind: BudgetKind,
    /// What the budget is called.
    pub metadata: Metadata,
    /// Whose it is and how much.
    pub spec: BudgetSpec,
}

/// The version of the Budget resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BudgetVersion {
    /// The only one.
    #[serde(rename = "policy.kgents.io/v1")]
    V1,
}

/// The kind of the Budget resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BudgetKind {
    /// The only one.
    Budget,
}

/// Whose budget it is and how much.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetSpec {
    /// The account; `mesh` is the free pool that others are allocated from.
    pub account: Label,
    /// Tokens per window: 1 to 10^15.
    #[schemars(range(min = 1, max = 1_000_000_000_000_000_u64))]
    pub tokens: u64,
    /// When it starts anew.
    #[serde(default)]
    pub window: Window,
}

/// When a budget starts anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Window {
    /// At midnight, UTC.
    #[default]
    Day,
    /// At each full hour.
    Hour,
    /// Never: it is all there is.
    Total,
}

/// Reads a card, which is an AgentCard resource or a raw A2A card, and gives it
/// as JSON text. A raw card passes as it is; the mesh judges it.
///
/// # Errors
/// Every mistake, in the order of the file.
pub fn card_json(text: &str) -> Result<String, Vec<Mistake>> {
    let node = Node::parse(text).map_err(|mistake| vec![mistake])?;
    let whole = |message: &str| {
        vec![Mistake {
            line: node.line,
            path: String::new(),
            message: message.to_owned(),
        }]
    };
    if !matches!(node.value, Value::Map(_)) {
        return Err(whole(
            "a card is a mapping: an A2A card, or an a2a.kgents.io/v1 AgentCard",
        ));
    }
    if node.get("apiVersion").is_some() || node.get("kind").is_some() {
        let json = node.to_json();
        return parse_node::<AgentCard>(node).map(|_| json);
    }
    if node
        .get("name")
        .and_then(Node::text)
        .is_none_or(str::is_empty)
    {
        return Err(whole(
            "no card: it has neither `name` (an A2A card) nor `apiVersion` (an AgentCard)",
        ));
    }
    Ok(node.to_json())
}

#[cfg(test)]
mod tests {
    use super::super::read::parse;
    use super::*;
    use proptest::prelude::*;

    const CARD: &str = "apiVersion: a2a.kgents.io/v1\nkind: AgentCard\nmetadata: {name: planner}\n\
        spec:\n  description: Plans things.\n  interfaces:\n    - url: http://127.0.0.1:9999/\n\
        \x20 skills:\n    - {id: plan, name: Plan, tags: [plans]}\n  labels: {tier: gold}\n";

    fn check(yaml: &str, expected: &[&str]) {
        let found: Vec<String> = match card_json(yaml) {
            Ok(_) => Vec::new(),
            Err(mistakes) => mistakes.iter().map(ToString::to_string).collect(),
        };
        assert_eq!(found, expected, "{yaml}");
    }

    #[test]
    fn a_card_resource_is_read_with_its_defaults() {
        let card = parse::<AgentCard>(CARD).unwrap();
        assert_eq!(card.spec.interfaces[0].binding, Binding::JsonRpc);
        assert_eq!(card.spec.credentials, None);
        check(CARD, &[]);
    }

    #[test]
    fn credentials_name_where_the_secret_is() {
        for (text, expected) in [
            ("svid", Credentials::Svid),
            (
                "{bearer: {env: TOKEN}}",
                Credentials::Bearer(Secret::Env("TOKEN".into())),
            ),
            (
                "{header: {name: X-API-Key, value: {file: secrets/key}}}",
                Credentials::Header(SecretHeader {
                    name: "X-API-Key".into(),
                    value: Secret::File("secrets/key".into()),
                }),
            ),
        ] {
            let card = parse::<AgentCard>(&format!("{CARD}  credentials: {text}\n")).unwrap();
            assert_eq!(card.spec.credentials, Some(expected));
        }
    }

    #[test]
    fn mistakes_in_a_card_name_the_field() {
        check(
            &CARD.replace("description", "descripton"),
            &[
                "line 5: spec: `descripton` is not known; did you mean `description`?",
                "line 5: spec: `description` is missing",
            ],
        );
        check(
            &CARD.replace("http://127", "gopher://127"),
            &[
                "line 7: spec.interfaces[0].url: `gopher://127.0.0.1:9999/` is not a URL; write one like `https://mesh.example.com`",
            ],
        );
        check(
            &format!("{CARD}  credentials: password\n"),
            &["line 11: spec.credentials: `password` is none of `svid`"],
        );
        check(
            &format!("{CARD}  credentials: {{bearer: secret}}\n"),
            &["line 11: spec.credentials.bearer: must be a mapping, not text"],
        );
        check(
            "[]",
            &["line 1: a card is a mapping: an A2A card, or an a2a.kgents.io/v1 AgentCard"],
        );
        check(
            "description: x\n",
            &[
                "line 1: no card: it has neither `name` (an A2A card) nor `apiVersion` (an AgentCard)",
            ],
        );
    }

    #[test]
    fn a_raw_card_passes_with_everything_it_has() {
        let text = r#"{"name":"x","vendorField":{"a":[1]}}"#;
        assert_eq!(card_json(text).unwrap(), text);
    }

    #[test]
    fn a_budget_is_read_and_refused_by_field() {
        let good = "apiVersion: policy.kgents.io/v1\nkind: Budget\nmetadata: {name: mesh}\n\
                    spec: {account: mesh, tokens: 1000}\n";
        assert_eq!(parse::<Budget>(good).unwrap().spec.window, Window::Day);
        for (from, to, expected) in [
            (
                "tokens: 1000",
                "tokens: 0",
                "line 4: spec.tokens: is 0, must be at least 1",
            ),
            (
                "tokens: 1000",
                "tokens: 5, window: week",
                "line 4: spec.window: `week` is none of `day`, `hour`, `total`",
            ),
            (
                "kind: Budget",
                "kind: Purse",
                "line 2: kind: `Purse` is none of `Budget`",
            ),
            (
                "tokens: 1000",
                "tokens: many",
                "line 4: spec.tokens: must be a whole number, not text",
            ),
        ] {
            let mistakes = parse::<Budget>(&good.replace(from, to)).unwrap_err();
            assert_eq!(mistakes[0].to_string(), expected);
        }
    }

    proptest! {
        #[test]
        fn no_card_makes_the_reader_panic(text in "(apiVersion|kind|spec|name|[a-z:{}\\[\\], \n\"-]){0,60}") {
            let _ = card_json(&text);
        }

        #[test]
        fn no_mangled_card_makes_the_reader_panic(cut in 0usize..200, with in "[\\PC\n]{0,8}") {
            let at = CARD.char_indices().nth(cut).map_or(CARD.len(), |(at, _)| at);
            let _ = card_json(&format!("{}{with}{}", &CARD[..at], &CARD[at..]));
        }
    }
}
