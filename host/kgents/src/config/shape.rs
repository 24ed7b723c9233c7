//! Checks a document against the JSON Schema that its Rust type publishes, and
//! reports every mistake at once with its line. So the schema an editor uses,
//! the check and the type can never disagree.
//!
//! It knows the part of JSON Schema that our types give rise to: `type`,
//! `properties`, `required`, `additionalProperties`, `items`, `enum`, `const`,
//! `anyOf`, `oneOf`, `minimum`, `maximum`, `exclusiveMinimum`, `minItems`,
//! `minLength`, `maxLength`, and our own `format`s.

use serde_json::Value as Json;

use super::document::{Mistake, Node, Value};
use super::values::check_format;

/// Every mistake of `node` under `schema`, in the order of the file.
pub fn check(node: &Node, schema: &Json) -> Vec<Mistake> {
    let mut found = Vec::new();
    visit(node, schema, "", &mut found);
    found.sort_by_key(|mistake| mistake.line);
    found
}

fn visit(node: &Node, schema: &Json, path: &str, found: &mut Vec<Mistake>) {
    if let Some(branches) = list(schema, "anyOf").or_else(|| list(schema, "oneOf")) {
        return branch(node, branches, path, found);
    }
    let mut say = |message: String| {
        found.push(Mistake {
            line: node.line,
            path: path.to_owned(),
            message,
        });
    };
    if let Some(types) = types(schema)
        && !types.iter().any(|kind| is(node, kind))
    {
        return say(wrong_type(node, &types));
    }
    let allowed = choices(schema);
    if !allowed.is_empty() && !allowed.iter().any(|choice| node.text() == Some(choice)) {
        let given = node.text().unwrap_or(node.kind());
        return say(format!("`{given}` is none of {}", listed(&allowed)));
    }
    match &node.value {
        Value::Text(text) => {
            if let Some(message) = text_mistake(text, schema) {
                say(message);
            }
        }
        Value::Whole(_) | Value::Negative(_) | Value::Real(_) => {
            if let Some(message) = number_mistake(node, schema) {
                say(message);
            }
        }
        Value::List(items) => {
            if items.is_empty() && schema.get("minItems").and_then(Json::as_u64) > Some(0) {
                say("must have at least one entry".to_owned());
            }
            if let Some(item_schema) = schema.get("items") {
                for (index, item) in items.iter().enumerate() {
                    visit(item, item_schema, &format!("{path}[{index}]"), found);
                }
            }
        }
        Value::Map(_) => visit_map(node, schema, path, found),
        Value::Null | Value::Truth(_) => {}
    }
}

fn visit_map(node: &Node, schema: &Json, path: &str, found: &mut Vec<Mistake>) {
    let Value::Map(entries) = &node.value else {
        return;
    };
    let properties = schema.get("properties").and_then(Json::as_object);
    let others = schema.get("additionalProperties");
    for (key, child) in entries {
        let below = join(path, &key.name);
        let known = properties.and_then(|known| known.get(&key.name));
        match (known, others) {
            (Some(child_schema), _) => visit(child, child_schema, &below, found),
            (None, Some(Json::Bool(false))) => found.push(Mistake {
                line: key.line,
                path: path.to_owned(),
                message: unknown(&key.name, properties.into_iter().flat_map(|map| map.keys())),
            }),
            (None, Some(child_schema)) => visit(child, child_schema, &below, found),
            (None, None) => {}
        }
    }
    for name in list(schema, "required")
        .into_iter()
        .flatten()
        .filter_map(Json::as_str)
    {
        if node.get(name).is_none() {
            found.push(Mistake {
                line: node.line,
                path: path.to_owned(),
                message: format!("`{name}` is missing"),
            });
        }
    }
}

/// Takes the first branch that fits. When none does: a word is held against the
/// closed words; anything else gets the mistakes of the branch that has fewest
/// among those of its own type.
fn branch(node: &Node, branches: &[Json], path: &str, found: &mut Vec<Mistake>) {
    let mut closest: Option<Vec<Mistake>> = None;
    for schema in branches {
        let mut mistakes = Vec::new();
        visit(node, schema, path, &mut mistakes);
        if mistakes.is_empty() {
            return;
        }
        let fits_type = types(schema).is_none_or(|types| types.iter().any(|kind| is(node, kind)));
        let fewer = closest
            .as_ref()
            .is_none_or(|known| mistakes.len() < known.len());
        if fits_type && fewer {
            closest = Some(mistakes);
        }
    }
    let words: Vec<&str> = branches.iter().flat_map(choices).collect();
    let only_words = branches.iter().all(|schema| !choices(schema).is_empty());
    match closest {
        Some(mistakes) if node.text().is_none() || words.is_empty() => found.extend(mistakes),
        _ if !words.is_empty() && (only_words || node.text().is_some()) => {
            let given = node.text().unwrap_or(node.kind());
            let message = format!("`{given}` is none of {}", listed(&words));
            found.push(Mistake {
                line: node.line,
                path: path.to_owned(),
                message,
            });
        }
        _ => {
            let wanted: Vec<&str> = branches.iter().filter_map(types).flatten().collect();
            let message = wrong_type(node, &wanted);
            found.push(Mistake {
                line: node.line,
                path: path.to_owned(),
                message,
            });
        }
    }
}

fn types(schema: &Json) -> Option<Vec<&str>> {
    match schema.get("type")? {
        Json::String(one) => Some(vec![one]),
        Json::Array(many) => Some(many.iter().filter_map(Json::as_str).collect()),
        _ => None,
    }
}

fn is(node: &Node, kind: &str) -> bool {
    matches!(
        (&node.value, kind),
        (Value::Null, "null")
            | (Value::Truth(_), "boolean")
            | (Value::Whole(_) | Value::Negative(_), "integer" | "number")
            | (Value::Real(_), "number")
            | (Value::Text(_), "string")
            | (Value::List(_), "array")
            | (Value::Map(_), "object")
    )
}

fn wrong_type(node: &Node, types: &[&str]) -> String {
    let wanted = types
        .iter()
        .find(|kind| **kind != "null")
        .copied()
        .unwrap_or("null");
    let wanted = match wanted {
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a mapping",
        _ => "nothing",
    };
    let tip = if wanted == "text"
        && !matches!(node.value, Value::List(_) | Value::Map(_) | Value::Null)
    {
        "; put it in quotes"
    } else {
        ""
    };
    format!("must be {wanted}, not {}{tip}", node.kind())
}

fn choices(schema: &Json) -> Vec<&str> {
    let mut words: Vec<&str> = list(schema, "enum")
        .into_iter()
        .flatten()
        .filter_map(Json::as_str)
        .collect();
    words.extend(schema.get("const").and_then(Json::as_str));
    words
}

fn text_mistake(text: &str, schema: &Json) -> Option<String> {
    let length = text.chars().count() as u64;
    if length < schema.get("minLength").and_then(Json::as_u64).unwrap_or(0) {
        return Some("must not be empty".to_owned());
    }
    if let Some(most) = schema.get("maxLength").and_then(Json::as_u64)
        && length > most
    {
        return Some(format!("has {length} characters, at most {most} may be"));
    }
    let format = schema.get("format").and_then(Json::as_str)?;
    check_format(format, text).err()
}

fn number_mistake(node: &Node, schema: &Json) -> Option<String> {
    let given = match node.value {
        Value::Whole(number) => number as f64,
        Value::Negative(number) => number as f64,
        Value::Real(number) => number,
        _ => return None,
    };
    let bound = |name: &str| schema.get(name).and_then(Json::as_f64);
    match (
        bound("minimum"),
        bound("exclusiveMinimum"),
        bound("maximum"),
    ) {
        (Some(least), _, _) if given < least => {
            Some(format!("is {given}, must be at least {least}"))
        }
        (_, Some(least), _) if given <= least => Some(format!("is {given}, must be above {least}")),
        (_, _, Some(most)) if given > most => Some(format!("is {given}, must be at most {most}")),
        _ => None,
    }
}

fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a String>) -> String {
    let known: Vec<&str> = known.map(String::as_str).collect();
    let near = known
        .iter()
        .min_by_key(|candidate| distance(name, candidate));
    match near {
        Some(near) if distance(name, near) <= 2 => {
            format!("`{name}` is not known; did you mean `{near}`?")
        }
        _ => format!("`{name}` is not known; known are {}", listed(&known)),
    }
}

fn listed(words: &[&str]) -> String {
    words
        .iter()
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

fn list<'a>(schema: &'a Json, name: &str) -> Option<&'a [Json]> {
    schema.get(name).and_then(Json::as_array).map(Vec::as_slice)
}

/// Edits between two words: insertions, deletions, replacements. Source:
/// Wagner and Fischer, 1974, with one row kept.
pub fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (above, letter) in left.chars().enumerate() {
        let mut diagonal = above;
        let mut before = above + 1;
        for (cell, other) in row.iter_mut().skip(1).zip(&right) {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = *cell;
            *cell = replaced.min(before + 1).min(diagonal + 1);
            before = *cell;
        }
        if let Some(first) = row.first_mut() {
            *first = above + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn mistakes(yaml: &str, schema: Json) -> Vec<String> {
        let node = Node::parse(yaml).unwrap();
        check(&node, &schema)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn all_mistakes_come_together_in_the_order_of_the_file() {
        let schema = json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["name"],
            "properties": {
                "name": {"type": "string", "minLength": 1},
                "share": {"type": "number", "minimum": 0, "maximum": 1},
                "mode": {"oneOf": [{"const": "deny"}, {"const": "allow"}]},
                "hosts": {"type": "array", "items": {"type": "string", "format": "kgents-range"}},
                "region": {"type": ["string", "null"]},
            }
        });
        assert_eq!(
            mistakes(
                "shore: 2\nshare: 2\nmode: maybe\nhosts:\n  - private\n  - 1.2\nregion: 3\n",
                schema
            ),
            [
                "line 1: `shore` is not known; did you mean `share`?",
                "line 1: `name` is missing",
                "line 2: share: is 2, must be at most 1",
                "line 3: mode: `maybe` is none of `deny`, `allow`",
                "line 6: hosts[1]: must be text, not a number; put it in quotes",
                "line 7: region: must be text, not a whole number; put it in quotes",
            ]
        );
    }

    proptest! {
        #[test]
        fn the_distance_of_two_words_is_a_metric(a in "[a-c]{0,6}", b in "[a-c]{0,6}") {
            prop_assert_eq!(distance(&a, &b), distance(&b, &a));
            prop_assert_eq!(distance(&a, &b) == 0, a == b);
            prop_assert!(distance(&a, &b) <= a.len().max(b.len()));
        }
    }
}
