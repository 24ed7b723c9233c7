//! From a file's text to its type: the document, every mistake in it, the value.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::document::{Mistake, Node, Value};
use super::shape;

/// The JSON Schema that `T` publishes, without references, so that it can be
/// read from the top.
pub fn schema_of<T: JsonSchema>() -> Json {
    let settings = schemars::generate::SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true);
    settings
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
}

/// Reads a document as a `T`. An empty document is an empty mapping.
///
/// # Errors
/// Every mistake, in the order of the file.
pub fn parse<T: JsonSchema + DeserializeOwned>(text: &str) -> Result<T, Vec<Mistake>> {
    parse_node(Node::parse(text).map_err(|mistake| vec![mistake])?)
}

/// As [`parse`], from a document already read.
///
/// # Errors
/// Every mistake, in the order of the file.
pub fn parse_node<T: JsonSchema + DeserializeOwned>(mut node: Node) -> Result<T, Vec<Mistake>> {
    if node.value == Value::Null {
        node = Node {
            value: Value::Map(Vec::new()),
            line: node.line,
        };
    }
    let mistakes = shape::check(&node, &schema_of::<T>());
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    // The check covers all that the type refuses; what it might miss still
    // ends as a mistake rather than as a wrong value.
    serde_json::from_str(&node.to_json()).map_err(|error| {
        vec![Mistake {
            line: 0,
            path: String::new(),
            message: error.to_string(),
        }]
    })
}
