//! `routing/*.yaml`: what operators teach the router beside what the cards say.
//! The doc comments are what editors show, by way of the schema.

use kgents_mesh::learning::Taught;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

use super::document::{Mistake, Node, Value};
use super::read::parse_node;
use super::resources::Metadata;
use super::values::{Example, Label};

/// What people say who want one agent, and what others say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "RoutingExamples")]
pub struct RoutingExamples {
    /// `routing.kgents.io/v1`
    pub api_version: ExamplesVersion,
    /// `RoutingExamples`
    pub kind: ExamplesKind,
    /// What the examples are called.
    pub metadata: Metadata,
    /// For whom they are, and what they say.
    pub spec: ExamplesSpec,
}

/// The version of the RoutingExamples resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ExamplesVersion {
    /// The only one.
    #[serde(rename = "routing.kgents.io/v1")]
    V1,
}

/// The kind of the RoutingExamples resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ExamplesKind {
    /// The only one.
    RoutingExamples,
}

/// For whom the examples are, and what they say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExamplesSpec {
    /// The agent, by its name in the mesh; it may come later.
    pub agent: Label,
    /// The id of its skill; without it the skill whose words each example shares
    /// most.
    #[serde(default)]
    #[schemars(length(min = 1, max = 128))]
    pub skill: Option<String>,
    /// What people say who want this; the last 200 count.
    #[serde(default)]
    pub examples: Vec<Example>,
    /// What people say who want something else: the agent is left out for these
    /// words.
    #[serde(default)]
    pub counter_examples: Vec<Example>,
}

/// Reads one file; `file` is its name in the mesh folder.
///
/// # Errors
/// Every mistake, in the order of the file.
pub fn taught(file: &str, text: &str) -> Result<Taught, Vec<Mistake>> {
    let node = Node::parse(text).map_err(|mistake| vec![mistake])?;
    let lines = node.clone();
    let read = parse_node::<RoutingExamples>(node)?;
    let mistakes = mistakes(&lines);
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let spec = read.spec;
    let texts = |examples: Vec<Example>| examples.into_iter().map(String::from).collect();
    Ok(Taught {
        file: file.to_owned(),
        agent: spec.agent.into(),
        skill: spec.skill,
        examples: texts(spec.examples),
        counter_examples: texts(spec.counter_examples),
    })
}

/// What a schema cannot say: that there is an example at all, and that none is a
/// counter-example as well.
fn mistakes(node: &Node) -> Vec<Mistake> {
    let Some(spec) = node.get("spec") else {
        return Vec::new();
    };
    let (examples, counter) = (items(spec, "examples"), items(spec, "counterExamples"));
    if examples.is_empty() && counter.is_empty() {
        return vec![Mistake {
            line: spec.line,
            path: "spec".to_owned(),
            message: "has neither `examples` nor `counterExamples`; give at least one".to_owned(),
        }];
    }
    let first: HashMap<String, u64> = examples
        .iter()
        .rev()
        .map(|(text, line)| (kgents_mesh::learning::taught::as_learnt(text), *line))
        .collect();
    let both = |(place, (text, line)): (usize, &(&str, u64))| {
        let first = first.get(&kgents_mesh::learning::taught::as_learnt(text))?;
        Some(Mistake {
            line: *line,
            path: format!("spec.counterExamples[{place}]"),
            message: format!("is an example as well, in line {first}; it can be one of both"),
        })
    };
    counter.iter().enumerate().filter_map(both).collect()
}

fn items<'a>(spec: &'a Node, name: &str) -> Vec<(&'a str, u64)> {
    match spec.get(name).map(|node| &node.value) {
        Some(Value::List(items)) => items
            .iter()
            .filter_map(|item| Some((item.text()?, item.line)))
            .collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = "apiVersion: routing.kgents.io/v1\nkind: RoutingExamples\n\
        metadata: {name: planner}\nspec:\n  agent: planner\n  skill: plan-trip\n\
        \x20 examples:\n    - take me to Lisbon\n    - how do I get to Rome?\n\
        \x20 counterExamples:\n    - what did my last trip cost?\n";

    fn told(yaml: &str) -> Vec<String> {
        let mistakes = taught("routing/a.yaml", yaml).unwrap_err();
        mistakes.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn examples_are_read_as_they_are_written() {
        let read = taught("routing/a.yaml", GOOD).unwrap();
        assert_eq!(read.file, "routing/a.yaml");
        assert_eq!(
            (&*read.agent, read.skill.as_deref()),
            ("planner", Some("plan-trip"))
        );
        assert_eq!(
            read.examples,
            ["take me to Lisbon", "how do I get to Rome?"]
        );
        assert_eq!(read.counter_examples, ["what did my last trip cost?"]);
        let short = GOOD.replace("  skill: plan-trip\n", "");
        assert_eq!(taught("a", &short).unwrap().skill, None);
    }

    #[test]
    fn mistakes_name_line_and_field() {
        for (from, to, expected) in [
            (
                "agent: planner",
                "agent: Planner",
                "line 5: spec.agent: `Planner` is not a name; use 1 to 63 of a-z, 0-9 and `-`, not at the ends (RFC 1123)",
            ),
            (
                "counterExamples",
                "counterexamples",
                "line 10: spec: `counterexamples` is not known; did you mean `counterExamples`?",
            ),
            (
                "- take me to Lisbon",
                "- 3",
                "line 8: spec.examples[0]: must be text, not a whole number; put it in quotes",
            ),
            (
                "- take me to Lisbon",
                "- \"?!\"",
                "line 8: spec.examples[0]: has no word; write what somebody would ask",
            ),
            (
                "- what did my last trip cost?",
                "- TAKE me  to Lisbon!",
                "line 11: spec.counterExamples[0]: is an example as well, in line 8; it can be one of both",
            ),
            (
                "kind: RoutingExamples",
                "kind: Examples",
                "line 2: kind: `Examples` is none of `RoutingExamples`",
            ),
        ] {
            assert_eq!(told(&GOOD.replace(from, to))[0], expected);
        }
        let long = GOOD.replace("take me to Lisbon", &"word ".repeat(500));
        assert_eq!(
            told(&long)[0],
            "line 8: spec.examples[0]: has 2499 bytes, at most 2048 may be"
        );
        let empty = "apiVersion: routing.kgents.io/v1\nkind: RoutingExamples\n\
                     metadata: {name: a}\nspec:\n  agent: a\n";
        assert!(told(empty)[0].contains("has neither `examples` nor `counterExamples`"));
    }

    proptest! {
        #[test]
        fn no_mangled_file_makes_the_reader_panic(cut in 0usize..240, with in "[\\PC\n]{0,8}") {
            let at = GOOD.char_indices().nth(cut).map_or(GOOD.len(), |(at, _)| at);
            let _ = taught("a", &format!("{}{with}{}", &GOOD[..at], &GOOD[at..]));
        }
    }
}
