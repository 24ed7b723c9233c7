//! The Kubernetes-shaped resources of a mesh folder: AgentCards, whose type the
//! codecs own, and Budgets. The doc comments are what editors show, by way of
//! the schemas.

use kgents_gateway::call::Payload;
use kgents_gateway::card::Card;
pub use kgents_gateway::resource::AgentCard;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::document::{Mistake, Node, Value};
use super::read::parse_node;
use super::values::Label;

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

/// What a resource is called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// Unique among resources of its kind.
    pub name: Label,
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
/// as JSON text, unknown members of a raw card and all. The codecs judge it, as
/// they do when the mesh is sent one; only the network rules are left to it.
///
/// # Errors
/// Every mistake against the schema, in the order of the file; else the first
/// that the codecs find.
pub fn card_json(text: &str) -> Result<String, Vec<Mistake>> {
    let node = Node::parse(text).map_err(|mistake| vec![mistake])?;
    let line = node.line;
    let whole = |message: String| {
        vec![Mistake {
            line,
            path: String::new(),
            message,
        }]
    };
    if !matches!(node.value, Value::Map(_)) {
        return Err(whole(
            "a card is a mapping: an A2A card, or an a2a.kgents.io/v1 AgentCard".to_owned(),
        ));
    }
    let json = node.to_json();
    if node.get("apiVersion").is_some() || node.get("kind").is_some() {
        parse_node::<AgentCard>(node)?;
    }
    let payload = Payload::parse(json.clone().into()).map_err(|error| whole(error.to_string()))?;
    Card::parse(payload).map_err(|failure| whole(failure.message))?;
    Ok(json)
}

/// A raw A2A card with a member that nobody here knows.
#[cfg(test)]
pub fn raw_card(name: &str) -> String {
    format!(
        r#"{{"name":"{name}","vendorField":{{"a":[1]}},"description":"d","version":"1","supportedInterfaces":[{{"url":"http://a.example/","protocolBinding":"JSONRPC","protocolVersion":"1.0"}}],"capabilities":{{}},"defaultInputModes":["text/plain"],"defaultOutputModes":["text/plain"],"skills":[]}}"#
    )
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
        assert_eq!(card.spec.interfaces[0].version, "1.0");
        assert_eq!(card.spec.credentials, None);
        check(CARD, &[]);
    }

    #[test]
    fn credentials_name_where_the_secret_is() {
        for text in [
            "svid",
            "{bearerEnv: TOKEN}",
            "{bearerFile: secrets/token}",
            "{header: {name: x-api-key, file: secrets/key}}",
        ] {
            let yaml = format!("{CARD}  credentials: {text}\n");
            assert!(
                parse::<AgentCard>(&yaml)
                    .unwrap()
                    .spec
                    .credentials
                    .is_some(),
                "{text}"
            );
            check(&yaml, &[]);
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
            &format!("{CARD}  credentials: password\n"),
            &["line 11: spec.credentials: `password` is none of `svid`"],
        );
        check(
            &format!("{CARD}  credentials: {{bearerEnv: 3}}\n"),
            &[
                "line 11: spec.credentials.bearerEnv: must be text, not a whole number; put it in quotes",
            ],
        );
        check(
            "[]",
            &["line 1: a card is a mapping: an A2A card, or an a2a.kgents.io/v1 AgentCard"],
        );
    }

    #[test]
    fn what_only_the_codecs_can_tell_is_told_in_their_words() {
        let refused = |yaml: &str, word: &str| {
            let mistakes = card_json(yaml).unwrap_err();
            assert!(mistakes[0].message.contains(word), "{mistakes:?}");
        };
        refused(
            &CARD.replace("http://127", "gopher://127"),
            "spec.interfaces",
        );
        refused("name: x\n", "`");
    }

    #[test]
    fn a_raw_card_passes_with_everything_it_has() {
        let raw = raw_card("x");
        assert!(raw.contains("vendorField"));
        assert_eq!(card_json(&raw).unwrap(), raw);
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
