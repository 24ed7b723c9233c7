//! The policy decider from outside: texts in, verdicts and problems out.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod documented;
mod problems;
mod soundness;
mod verdicts;

use kgents_policy::{Attribute, Kind, PolicySet, Problem, Query, Source, Subject, Value};

/// What `kgents init` writes for the operator `ada`.
const OPERATOR: &str = "@id(\"operator\")\npermit(principal == User::\"ada\", action, resource);\n";

/// What `kgents agents add --allow everyone` writes for `translator`.
const ALLOW_TRANSLATOR: &str = r#"@id("allow-translator")
permit(
  principal in Group::"everyone",
  action in [Action::"list", Action::"route", Action::"invoke", Action::"read-task", Action::"cancel-task"],
  resource == Agent::"translator"
);
"#;

fn source(name: &str, text: &str) -> Source {
    Source {
        name: name.to_owned(),
        text: text.to_owned(),
    }
}

fn load(files: &[(&str, &str)]) -> PolicySet {
    let sources: Vec<Source> = files
        .iter()
        .map(|(name, text)| source(name, text))
        .collect();
    PolicySet::load(&sources).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn refused(files: &[(&str, &str)]) -> Vec<Problem> {
    let sources: Vec<Source> = files
        .iter()
        .map(|(name, text)| source(name, text))
        .collect();
    match PolicySet::load(&sources) {
        Ok(set) => panic!("loaded: {:?}", set.ids()),
        Err(problems) => problems,
    }
}

fn text(name: &str, value: &str) -> Attribute {
    Attribute {
        name: name.to_owned(),
        value: Value::Text(value.to_owned()),
    }
}

fn texts(name: &str, values: &[&str]) -> Attribute {
    Attribute {
        name: name.to_owned(),
        value: Value::Texts(values.iter().map(ToString::to_string).collect()),
    }
}

fn number(name: &str, value: i64) -> Attribute {
    Attribute {
        name: name.to_owned(),
        value: Value::Number(value),
    }
}

fn subject(kind: Kind, id: &str, groups: &[&str]) -> Subject {
    Subject {
        kind,
        id: id.to_owned(),
        groups: groups.iter().map(ToString::to_string).collect(),
        attributes: Vec::new(),
    }
}

fn query(action: &str, kind: Kind, id: &str) -> Query {
    Query {
        action: action.to_owned(),
        resource_kind: kind,
        resource_id: id.to_owned(),
        resource_groups: Vec::new(),
        resource_attributes: Vec::new(),
        context: Vec::new(),
    }
}
