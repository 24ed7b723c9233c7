//! The published schemas, made of the records: schemars names members as Rust
//! does, and knows nothing of the rules of the JSON, so both are put right here.

use kgents_decide::ask::{
    HealthAnswer, HealthAsk, PheromoneAnswer, PheromoneAsk, PolicyAnswer, PolicyAsk, RouterAnswer,
    RouterAsk,
};
use kgents_decide_wire::json_name;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::table::Good;

/// Members that are options of options: only there `null` means something.
const DOUBLE_OPTIONS: [&str; 5] = ["conversation", "cache", "similar", "classifier", "fallback"];
/// The record whose members those are.
const EVIDENCE: &str = "Evidence";

/// The schema of one decider's body.
pub fn published(decider: &str, good: &[Good]) -> Value {
    let (ask, answer) = match decider {
        "router" => pair::<RouterAsk, RouterAnswer>(),
        "policy" => pair::<PolicyAsk, PolicyAnswer>(),
        "pheromone" => pair::<PheromoneAsk, PheromoneAnswer>(),
        _ => pair::<HealthAsk, HealthAnswer>(),
    };
    let (mut schema, mut answer) = (object(ask), object(answer));
    let mut definitions = object(schema.remove("$defs").unwrap_or_default());
    definitions.extend(object(answer.remove("$defs").unwrap_or_default()));
    answer.remove("$schema");
    definitions.insert("answer".to_owned(), Value::Object(answer));
    schema.insert("$defs".to_owned(), Value::Object(definitions));
    let examples: Vec<&Value> = good
        .iter()
        .filter(|good| good.example)
        .map(|good| &good.request)
        .collect();
    let title = format!("POST {}", kgents_decide_wire::path(decider));
    schema.insert("title".to_owned(), json!(title));
    schema.insert("examples".to_owned(), json!(examples));
    Value::Object(schema)
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

fn pair<Ask: JsonSchema, Answer: JsonSchema>() -> (Value, Value) {
    (schema_of::<Ask>(), schema_of::<Answer>())
}

fn schema_of<T: JsonSchema>() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<T>().to_value();
    rename(&mut schema, "");
    schema
}

/// Names as in JSON; nothing unknown; `null` only where it means something.
fn rename(schema: &mut Value, within: &str) {
    let Value::Object(object) = schema else {
        if let Value::Array(all) = schema {
            all.iter_mut().for_each(|one| rename(one, within));
        }
        return;
    };
    if let Some(Value::Object(definitions)) = object.get_mut("$defs") {
        for (name, definition) in definitions {
            rename(definition, &name.clone());
        }
    }
    if let Some(Value::Object(properties)) = object.remove("properties") {
        let mut renamed = Map::new();
        for (name, mut property) in properties {
            if !(within == EVIDENCE && DOUBLE_OPTIONS.contains(&name.as_str())) {
                without_null(&mut property);
            }
            rename(&mut property, "");
            renamed.insert(json_name(&name), property);
        }
        object.insert("properties".to_owned(), Value::Object(renamed));
    }
    if object.get("type").is_some_and(|kind| kind == "object") {
        object.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    for word in ["required", "enum"] {
        if let Some(Value::Array(names)) = object.get_mut(word) {
            names.iter_mut().for_each(rename_text);
        }
    }
    if let Some(name) = object.get_mut("const") {
        rename_text(name);
    }
    for word in ["items", "oneOf", "anyOf", "allOf"] {
        if let Some(below) = object.get_mut(word) {
            rename(below, "");
        }
    }
}

fn rename_text(text: &mut Value) {
    if let Value::String(name) = text {
        *name = json_name(name);
    }
}

/// An option that is none is left out, so `null` is no value of it.
fn without_null(property: &mut Value) {
    let Value::Object(property) = property else {
        return;
    };
    if let Some(Value::Array(types)) = property.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            property.insert("type".to_owned(), one);
        }
    }
    let Some(Value::Array(mut branches)) = property.remove("anyOf") else {
        return;
    };
    branches.retain(|branch| branch.get("type").is_none_or(|kind| kind != "null"));
    match branches.as_slice() {
        [Value::Object(one)] => property.extend(one.clone()),
        _ => {
            property.insert("anyOf".to_owned(), Value::Array(branches));
        }
    }
}
