//! A JSON document in which every member of an object is given once.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use crate::error::Error;

/// What of a wrong name is repeated in a message.
const NAME_CHARS_MAX: usize = 64;

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tree {
    Null,
    Truth(bool),
    Number(Number),
    Text(String),
    List(Vec<Tree>),
    Object(Vec<(String, Tree)>),
}

/// A number; always finite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Unsigned(u64),
    /// Below zero.
    Negative(i64),
    Real(f64),
}

impl Tree {
    /// What it is, with its article, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Truth(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsigned(number) => number.fmt(to),
            Self::Negative(number) => number.fmt(to),
            // Not all the digits of 1e300.
            Self::Real(number) => write!(to, "{number:?}"),
        }
    }
}

/// Reads a whole document. serde_json bounds how deep it may be nested.
pub(crate) fn parse(json: &[u8]) -> Result<Tree, Error> {
    let mut source = serde_json::Deserializer::from_slice(json);
    let tree = Tree::deserialize(&mut source).and_then(|tree| source.end().map(|()| tree));
    tree.map_err(|error| Error::Syntax(error.to_string()))
}

/// Foreign text that can stand in a message: short, without control characters.
pub(crate) fn clip(text: &str) -> String {
    let shown = |char: char| if char.is_control() { '\u{fffd}' } else { char };
    let mut clipped: String = text.chars().take(NAME_CHARS_MAX).map(shown).collect();
    if text.chars().nth(NAME_CHARS_MAX).is_some() {
        clipped.push('…');
    }
    clipped
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Tree, E> {
        Ok(Tree::Truth(truth))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Tree, E> {
        Ok(Tree::Number(Number::Unsigned(number)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Tree, E> {
        Ok(Tree::Number(match u64::try_from(number) {
            Ok(number) => Number::Unsigned(number),
            Err(_) => Number::Negative(number),
        }))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Tree, E> {
        Ok(Tree::Number(Number::Real(number)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Tree, E> {
        Ok(Tree::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Tree, A::Error> {
        let mut object: Vec<(String, Tree)> = Vec::new();
        while let Some(name) = members.next_key::<String>()? {
            // No record has more than a dozen members, and an object with more is
            // refused by its first unknown one: counting beyond would only cost.
            if object.len() < MEMBERS_COMPARED && object.iter().any(|(known, _)| *known == name) {
                let message = format!("the member `{}` is given twice", clip(&name));
                return Err(A::Error::custom(message));
            }
            object.push((name, members.next_value()?));
        }
        Ok(Tree::Object(object))
    }
}

/// Members of one object that are compared with each other.
const MEMBERS_COMPARED: usize = 64;
