//! The exact form of an operation: a JSON object in the message's data part,
//! `{"operation":"allocate","account":"translation","tokens":2000}`.

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::name::is_label;
use crate::operation::{Amount, CONSUMERS_DEFAULT, CONSUMERS_MAX, Operation, Unclear};
use crate::plan::unclear;

/// One operation's name and the keys it may have besides `operation`.
struct Form {
    name: &'static str,
    agent: &'static str,
    keys: &'static [&'static str],
    example: &'static str,
}

const FORMS: [Form; 7] = [
    Form {
        name: "balance",
        agent: "b-gent",
        keys: &["account"],
        example: r#"{"operation":"balance","account":"translation"}"#,
    },
    Form {
        name: "allocate",
        agent: "b-gent",
        keys: &["account", "tokens"],
        example: r#"{"operation":"allocate","account":"translation","tokens":2000}"#,
    },
    Form {
        name: "settle",
        agent: "b-gent",
        keys: &["account", "tokens"],
        example: r#"{"operation":"settle","account":"translation","tokens":300}"#,
    },
    Form {
        name: "top-consumers",
        agent: "b-gent",
        keys: &["limit"],
        example: r#"{"operation":"top-consumers","limit":5}"#,
    },
    Form {
        name: "find",
        agent: "l-gent",
        keys: &["query"],
        example: r#"{"operation":"find","query":"translate legal documents"}"#,
    },
    Form {
        name: "list-agents",
        agent: "l-gent",
        keys: &[],
        example: r#"{"operation":"list-agents"}"#,
    },
    Form {
        name: "describe",
        agent: "l-gent",
        keys: &["agent"],
        example: r#"{"operation":"describe","agent":"b-gent"}"#,
    },
];

/// The operation that `data`, a JSON text, asks of `agent`.
///
/// # Errors
/// [`Unclear`] with what is wrong: no JSON object, an unknown or repeated key,
/// an operation that `agent` does not have, a missing or wrong value.
pub fn operation(agent: &str, data: &str) -> Result<Operation, Unclear> {
    let examples: Vec<&str> = FORMS
        .iter()
        .filter(|form| form.agent == agent)
        .map(|form| form.example)
        .collect();
    read(agent, data).map_err(|message| unclear(["the data part: ", &message].concat(), &examples))
}

fn read(agent: &str, data: &str) -> Result<Operation, String> {
    let fields = match serde_json::from_str::<Value>(data) {
        Ok(Value::Object(fields)) => fields,
        Ok(_) => return Err(String::from("must be a JSON object with `operation`")),
        Err(error) => return Err(["is not JSON: ", &error.to_string()].concat()),
    };
    for (place, (key, _)) in fields.iter().enumerate() {
        if fields.iter().take(place).any(|(earlier, _)| earlier == key) {
            return Err(["`", key, "` is there twice"].concat());
        }
    }
    let name = match field(&fields, "operation") {
        Some(Value::Text(name)) => name.replace('_', "-"),
        _ => return Err(["must name its `operation`: ", &names(agent)].concat()),
    };
    let Some(form) = FORMS.iter().find(|form| form.name == name) else {
        return Err([
            "`",
            &name,
            "` is not an operation; there are ",
            &names(agent),
        ]
        .concat());
    };
    if form.agent != agent {
        return Err([
            "`",
            form.name,
            "` is an operation of ",
            form.agent,
            ", not of ",
            agent,
        ]
        .concat());
    }
    for (key, _) in &fields {
        if key != "operation" && !form.keys.contains(&key.as_str()) {
            let known = form.keys.join("`, `");
            let known = if known.is_empty() {
                String::from("no other key")
            } else {
                ["`", &known, "`"].concat()
            };
            return Err(["unknown key `", key, "`; `", form.name, "` takes ", &known].concat());
        }
    }
    Ok(match form.name {
        "balance" => Operation::Balance(match field(&fields, "account") {
            None | Some(Value::Null) => None,
            Some(_) => Some(label(&fields, "account")?),
        }),
        "allocate" => Operation::Allocate(amount(&fields)?),
        "settle" => Operation::Settle(amount(&fields)?),
        "top-consumers" => Operation::TopConsumers(limit(&fields)?),
        "find" => match field(&fields, "query") {
            Some(Value::Text(query)) if !query.trim().is_empty() => {
                Operation::Find(query.trim().to_owned())
            }
            _ => {
                return Err(String::from(
                    "`query` must say in words what an agent should do",
                ));
            }
        },
        "list-agents" => Operation::ListAgents,
        _ => Operation::Describe(label(&fields, "agent")?),
    })
}

fn names(agent: &str) -> String {
    let names: Vec<&str> = FORMS
        .iter()
        .filter(|form| form.agent == agent)
        .map(|form| form.name)
        .collect();
    names.join(", ")
}

fn field<'a>(fields: &'a [(String, Value)], key: &str) -> Option<&'a Value> {
    fields
        .iter()
        .find(|(name, _)| name == key)
        .map(|(_, value)| value)
}

fn amount(fields: &[(String, Value)]) -> Result<Amount, String> {
    let tokens = match field(fields, "tokens") {
        Some(Value::Whole(0)) => "`tokens` is 0; it must be at least 1",
        Some(Value::Whole(tokens)) => {
            return Ok(Amount {
                account: label(fields, "account")?,
                tokens: *tokens,
            });
        }
        Some(Value::Negative) => "`tokens` is below zero; it must be at least 1",
        Some(Value::Fraction) => "`tokens` must be a whole number",
        Some(Value::TooLarge) => "`tokens` is too large; at most 18,446,744,073,709,551,615",
        Some(_) => "`tokens` must be a JSON number, for example 2000",
        None => "`tokens` is missing; say how many, for example 2000",
    };
    Err(tokens.to_owned())
}

fn limit(fields: &[(String, Value)]) -> Result<u32, String> {
    match field(fields, "limit") {
        None | Some(Value::Null) => Ok(CONSUMERS_DEFAULT),
        Some(Value::Whole(limit)) => u32::try_from(*limit)
            .ok()
            .filter(|limit| (1..=CONSUMERS_MAX).contains(limit))
            .ok_or_else(|| String::from("`limit` must be from 1 to 100")),
        Some(_) => Err(String::from("`limit` must be a whole number from 1 to 100")),
    }
}

fn label(fields: &[(String, Value)], key: &str) -> Result<String, String> {
    match field(fields, key) {
        Some(Value::Text(name)) if is_label(name) => Ok(name.clone()),
        Some(Value::Text(name)) => Err([
            "`",
            key,
            "` is `",
            name,
            "`; it must be a-z, 0-9 and inner `-`, at most 63 characters",
        ]
        .concat()),
        Some(_) => Err(["`", key, "` must be a text"].concat()),
        None => Err(["`", key, "` is missing"].concat()),
    }
}

/// What a key can hold, as far as an operation cares.
enum Value {
    Null,
    Text(String),
    /// 0 to 2^64 - 1.
    Whole(u64),
    Negative,
    Fraction,
    TooLarge,
    /// The keys in their order, repeated ones kept so that they can be refused.
    Object(Vec<(String, Value)>),
    /// A truth value or a list.
    Other,
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Whole(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(u64::try_from(value).map_or(Value::Negative, Value::Whole))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        const BEYOND_U64: f64 = 18_446_744_073_709_551_616.0;
        Ok(match value {
            _ if value < 0.0 => Value::Negative,
            _ if value >= BEYOND_U64 => Value::TooLarge,
            _ => Value::Fraction,
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(entry) = map.next_entry::<String, Value>()? {
            fields.push(entry);
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(agent: &str, data: &str, expected: Operation) {
        assert_eq!(operation(agent, data), Ok(expected), "{data}");
    }

    fn refuse(agent: &str, data: &str, message: &str) {
        let got = operation(agent, data).unwrap_err();
        assert!(got.message.contains(message), "{data}: {}", got.message);
        assert!(!got.examples.is_empty());
        for example in got.examples {
            assert!(operation(agent, &example).is_ok(), "{example}");
        }
    }

    fn amount(account: &str, tokens: u64) -> Amount {
        Amount {
            account: account.into(),
            tokens,
        }
    }

    #[test]
    fn every_operation_has_an_exact_form() {
        check(
            "b-gent",
            r#"{"operation":"balance"}"#,
            Operation::Balance(None),
        );
        check(
            "b-gent",
            r#"{"operation":"balance","account":null}"#,
            Operation::Balance(None),
        );
        check(
            "b-gent",
            r#"{"account":"x","operation":"balance"}"#,
            Operation::Balance(Some("x".into())),
        );
        check(
            "b-gent",
            r#"{"operation":"allocate","account":"a-1","tokens":2000}"#,
            Operation::Allocate(amount("a-1", 2_000)),
        );
        check(
            "b-gent",
            r#"{"operation":"settle","account":"a","tokens":18446744073709551615}"#,
            Operation::Settle(amount("a", u64::MAX)),
        );
        check(
            "b-gent",
            r#"{"operation":"top-consumers"}"#,
            Operation::TopConsumers(5),
        );
        check(
            "b-gent",
            r#"{"operation":"top_consumers","limit":100}"#,
            Operation::TopConsumers(100),
        );
        check(
            "l-gent",
            r#"{"operation":"find","query":" \u00e9t\u00e9 "}"#,
            Operation::Find("été".into()),
        );
        check(
            "l-gent",
            r#"{"operation":"list-agents"}"#,
            Operation::ListAgents,
        );
        check(
            "l-gent",
            r#"{"operation":"describe","agent":"b-gent"}"#,
            Operation::Describe("b-gent".into()),
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (data, message) in [
            ("", "is not JSON"),
            ("nonsense", "is not JSON"),
            (r#"{"operation":"balance"} x"#, "is not JSON"),
            ("[]", "must be a JSON object"),
            ("7", "must be a JSON object"),
            (
                "{}",
                "must name its `operation`: balance, allocate, settle, top-consumers",
            ),
            (r#"{"operation":7}"#, "must name its `operation`"),
            (r#"{"operation":"mint"}"#, "`mint` is not an operation"),
            (
                r#"{"operation":"find","query":"x"}"#,
                "`find` is an operation of l-gent, not of b-gent",
            ),
            (
                r#"{"operation":"balance","acount":"x"}"#,
                "unknown key `acount`; `balance` takes `account`",
            ),
            (
                r#"{"operation":"allocate","account":"x","tokens":1,"tokens":9}"#,
                "`tokens` is there twice",
            ),
            (
                r#"{"operation":"balance","operation":"balance"}"#,
                "`operation` is there twice",
            ),
            (
                r#"{"operation":"allocate","tokens":1}"#,
                "`account` is missing",
            ),
            (
                r#"{"operation":"allocate","account":"x"}"#,
                "`tokens` is missing",
            ),
            (
                r#"{"operation":"allocate","account":"x","tokens":0}"#,
                "is 0",
            ),
            (
                r#"{"operation":"allocate","account":"x","tokens":-1}"#,
                "below zero",
            ),
            (
                r#"{"operation":"allocate","account":"x","tokens":-1.5}"#,
                "below zero",
            ),
            (
                r#"{"operation":"allocate","account":"x","tokens":1.5}"#,
                "whole number",
            ),
            (
                r#"{"operation":"allocate","account":"x","tokens":1.0}"#,
                "whole number",
            ),
            (
                r#"{"operation":"allocate","account":"x","tokens":18446744073709551616}"#,
                "too large",
            ),
            (
                r#"{"operation":"allocate","account":"x","tokens":1e300}"#,
                "too large",
            ),
            (
                r#"{"operation":"allocate","account":"x","tokens":"2000"}"#,
                "must be a JSON number",
            ),
            (
                r#"{"operation":"allocate","account":"x","tokens":[1]}"#,
                "must be a JSON number",
            ),
            (
                r#"{"operation":"allocate","account":"X","tokens":1}"#,
                "`account` is `X`; it must be a-z",
            ),
            (
                r#"{"operation":"settle","account":"","tokens":1}"#,
                "must be a-z",
            ),
            (
                r#"{"operation":"settle","account":{"a":1},"tokens":1}"#,
                "`account` must be a text",
            ),
            (
                r#"{"operation":"top-consumers","limit":0}"#,
                "from 1 to 100",
            ),
            (
                r#"{"operation":"top-consumers","limit":101}"#,
                "from 1 to 100",
            ),
            (
                r#"{"operation":"top-consumers","limit":true}"#,
                "from 1 to 100",
            ),
        ] {
            refuse("b-gent", data, message);
        }
        refuse(
            "l-gent",
            r#"{"operation":"list-agents","x":1}"#,
            "takes no other key",
        );
        refuse(
            "l-gent",
            r#"{"operation":"find","query":"  "}"#,
            "`query` must say",
        );
        refuse(
            "l-gent",
            r#"{"operation":"describe"}"#,
            "`agent` is missing",
        );
        refuse(
            "l-gent",
            r#"{"operation":"allocate","account":"x","tokens":1}"#,
            "an operation of b-gent",
        );
    }

    proptest! {
        #[test]
        fn any_data_is_read_or_refused(data in "\\PC*|[\\[\\]{}\",:0-9a-z.eE+-]{0,60}") {
            let _ = operation("b-gent", &data);
        }

        #[test]
        fn deep_nesting_is_refused_and_not_a_trap(depth in 0..5_000_usize) {
            let lists = ["[".repeat(depth), "]".repeat(depth)].concat();
            let objects = [r#"{"a":"#.repeat(depth), "1".into(), "}".repeat(depth)].concat();
            let is_refused = operation("b-gent", &lists).is_err() && operation("b-gent", &objects).is_err();
            prop_assert!(is_refused);
        }

        #[test]
        fn every_whole_amount_survives(tokens in 1..=u64::MAX, account in "[a-z0-9]([a-z0-9-]{0,9}[a-z0-9])?") {
            let data = serde_json::json!({"operation": "allocate", "account": account, "tokens": tokens}).to_string();
            prop_assert_eq!(operation("b-gent", &data), Ok(Operation::Allocate(Amount { account, tokens })));
        }
    }
}
