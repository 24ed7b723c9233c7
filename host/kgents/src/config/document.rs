//! A YAML or JSON document as a tree that remembers its lines, so that every
//! mistake can be shown where it is. Order of keys is kept.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_saphyr::Spanned;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What stands there.
    pub value: Value,
    /// 1-based; 0 when the parser does not know.
    pub line: u64,
}

/// Any YAML value that JSON has too.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing, or `null`.
    Null,
    /// `true` or `false`.
    Truth(bool),
    /// A number without a fraction, below zero.
    Negative(i64),
    /// A number without a fraction.
    Whole(u64),
    /// A number with a fraction.
    Real(f64),
    /// Text.
    Text(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the file; keys are unique.
    Map(Vec<(Key, Node)>),
}

/// The key of an entry and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// As written.
    pub name: String,
    /// 1-based; 0 when the parser does not know.
    pub line: u64,
}

/// A mistake in a file, with what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// 1-based; 0 when it concerns the whole file.
    pub line: u64,
    /// Where in the document, dotted, for example `upstreams.allow[1]`; empty
    /// for the whole file.
    pub path: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl Node {
    /// Reads one YAML (or JSON, which YAML contains) document.
    ///
    /// # Errors
    /// The one mistake at which the parser had to stop.
    pub fn parse(text: &str) -> Result<Self, Mistake> {
        // Snippets are for terminals that show the file; ours names the line.
        let options = serde_saphyr::options! { with_snippet: false };
        match serde_saphyr::from_str_with_options::<Self>(text, options) {
            Ok(node) => Ok(node),
            Err(error) => Err(Mistake {
                line: error.location().map_or(0, |location| location.line()),
                path: String::new(),
                message: plain(&error.to_string()),
            }),
        }
    }

    /// The entry called `name`, if this is a mapping that has it.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match &self.value {
            Value::Map(entries) => entries
                .iter()
                .find(|(key, _)| key.name == name)
                .map(|(_, node)| node),
            _ => None,
        }
    }

    /// The text, if it is text.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// What it is, in words for a mistake.
    pub const fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Truth(_) => "true or false",
            Value::Negative(_) | Value::Whole(_) => "a whole number",
            Value::Real(_) => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// The same as JSON text, keys in the order of the file.
    pub fn to_json(&self) -> String {
        // Every value here has a JSON form: the parser refuses NaN and infinity.
        serde_json::to_string(self).unwrap_or_else(|_| "null".to_owned())
    }
}

/// The first line of a parser's message, without its own position, which the
/// mistake carries.
fn plain(message: &str) -> String {
    // The library tells which of its limits by a name of its own code.
    if message.contains("budget breached") {
        return "the file is too large or nested too deep".to_owned();
    }
    let line = message.lines().next().unwrap_or_default();
    let end = line.find(" at line ").unwrap_or(line.len());
    line.get(..end)
        .unwrap_or(line)
        .trim_end_matches([':', ' '])
        .to_owned()
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self {
            value: spanned.value,
            line: spanned.referenced.line(),
        })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Truth(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(u64::try_from(value).map_or(Value::Negative(value), Value::Whole))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Whole(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Real(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Node>()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = entries.next_key::<Spanned<String>>()? {
            let line = key.referenced.line();
            map.push((
                Key {
                    name: key.value,
                    line,
                },
                entries.next_value::<Node>()?,
            ));
        }
        Ok(Value::Map(map))
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.value {
            Value::Null => serializer.serialize_unit(),
            Value::Truth(value) => serializer.serialize_bool(*value),
            Value::Negative(value) => serializer.serialize_i64(*value),
            Value::Whole(value) => serializer.serialize_u64(*value),
            Value::Real(value) => serializer.serialize_f64(*value),
            Value::Text(value) => serializer.serialize_str(value),
            Value::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(item)?;
                }
                list.end()
            }
            Value::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, node) in entries {
                    map.serialize_entry(&key.name, node)?;
                }
                map.end()
            }
        }
    }
}

impl std::fmt::Display for Mistake {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.line > 0 {
            write!(formatter, "line {}: ", self.line)?;
        }
        if !self.path.is_empty() {
            write!(formatter, "{}: ", self.path)?;
        }
        formatter.write_str(&self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_node_knows_its_line_and_every_key_its_order() {
        let node = Node::parse("b: 1\na:\n  - x\n  - -2\n").unwrap();
        assert_eq!(node.to_json(), r#"{"b":1,"a":["x",-2]}"#);
        let Some(Node {
            value: Value::List(items),
            ..
        }) = node.get("a")
        else {
            panic!()
        };
        assert_eq!(
            items.iter().map(|item| item.line).collect::<Vec<_>>(),
            [3, 4]
        );
    }

    #[test]
    fn broken_yaml_names_the_line_where_the_parser_stopped() {
        let mistake = Node::parse("a: 1\nb: [1, 2\nc: 3\n").unwrap_err();
        assert!(mistake.line >= 2, "{mistake}");
        assert!(!mistake.message.contains(" at line "), "{mistake}");
    }

    #[test]
    fn a_document_without_measure_is_a_mistake_in_plain_words() {
        let mistake = Node::parse(&"- a\n".repeat(300_000)).unwrap_err();
        assert_eq!(mistake.message, "the file is too large or nested too deep");
    }

    #[test]
    fn a_key_twice_is_a_mistake() {
        let mistake = Node::parse("a: 1\na: 2\n").unwrap_err();
        assert_eq!(mistake.line, 2, "{mistake}");
    }

    #[test]
    fn a_number_that_json_does_not_have_is_a_mistake() {
        for number in [".nan", ".inf", "-.inf"] {
            assert!(Node::parse(&format!("a: {number}\n")).is_err());
        }
    }

    #[test]
    fn json_is_read_as_it_is() {
        let text = r#"{"name":"x","n":1.5,"deep":{"z":[true,null],"a":""}}"#;
        assert_eq!(Node::parse(text).unwrap().to_json(), text);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,200}") {
            let _ = Node::parse(&text);
        }

        #[test]
        fn no_yaml_like_text_makes_the_parser_panic(text in "[a-c:\\-\\[\\]{}&*!|>'\"#%@ \n,?0-9~<.]{0,120}") {
            if let Ok(node) = Node::parse(&text) {
                let _ = node.to_json();
            }
        }
    }
}
