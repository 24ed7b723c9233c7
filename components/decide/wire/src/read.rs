//! From a document to records, by the rules in `lib.rs`.

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess,
    SeqAccess, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use crate::error::Error;
use crate::fault::{Fault, Step};
use crate::name::json_name;
use crate::tree::{Number, Tree, clip};

/// Reads a value from a document.
pub(crate) fn read<T: DeserializeOwned>(tree: Tree) -> Result<T, Error> {
    T::deserialize(Node::new(tree)).map_err(Fault::told)
}

/// One value that is about to be read.
struct Node {
    tree: Tree,
    /// Whether it is a member of a record, where an option that is none is left
    /// out and `null` means something.
    member: bool,
}

impl Node {
    fn new(tree: Tree) -> Self {
        Self {
            tree,
            member: false,
        }
    }

    fn must(&self, be: &str) -> Fault {
        let told = match &self.tree {
            Tree::Null => "null; what there is not is left out".to_owned(),
            Tree::Number(number) => format!("the number {number}"),
            other => other.kind().to_owned(),
        };
        Fault::new(format!("must be {be}, not {told}"))
    }

    fn whole<'de, V: Visitor<'de>>(
        self,
        least: i64,
        most: u64,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.tree {
            Tree::Number(Number::Unsigned(number)) if number <= most => visitor.visit_u64(number),
            Tree::Number(Number::Negative(number)) if number >= least => visitor.visit_i64(number),
            _ => Err(self.must(&format!("a whole number from {least} to {most}"))),
        }
    }

    fn real(&self) -> Result<f64, Fault> {
        match self.tree {
            Tree::Number(Number::Unsigned(number)) => Ok(number as f64),
            Tree::Number(Number::Negative(number)) => Ok(number as f64),
            Tree::Number(Number::Real(number)) => Ok(number),
            _ => Err(self.must("a number")),
        }
    }
}

impl<'de> Deserializer<'de> for Node {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.tree {
            Tree::Null => visitor.visit_unit(),
            Tree::Truth(truth) => visitor.visit_bool(truth),
            Tree::Number(Number::Unsigned(number)) => visitor.visit_u64(number),
            Tree::Number(Number::Negative(number)) => visitor.visit_i64(number),
            Tree::Number(Number::Real(number)) => visitor.visit_f64(number),
            Tree::Text(text) => visitor.visit_string(text),
            Tree::List(list) => items(list, visitor),
            Tree::Object(_) => Err(self.must("something else")),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.tree {
            Tree::Truth(truth) => visitor.visit_bool(truth),
            _ => Err(self.must("true or false")),
        }
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.whole(0, u8::MAX.into(), visitor)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.whole(0, u16::MAX.into(), visitor)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.whole(0, u32::MAX.into(), visitor)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.whole(0, u64::MAX, visitor)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.whole(i64::MIN, i64::MAX.unsigned_abs(), visitor)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let short = self.real()? as f32;
        if short.is_finite() {
            return visitor.visit_f32(short);
        }
        Err(self.must("a number of 32 bits, at most 3.4e38"))
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_f64(self.real()?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.tree {
            Tree::Text(text) => visitor.visit_string(text),
            _ => Err(self.must("text")),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.tree {
            Tree::Null if !self.member => visitor.visit_none(),
            tree => visitor.visit_some(Self::new(tree)),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.tree {
            Tree::List(list) => items(list, visitor),
            _ => Err(self.must("a list")),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let Tree::Object(object) = self.tree else {
            return Err(self.must("an object"));
        };
        let mut members = Vec::with_capacity(fields.len());
        for (name, value) in object {
            match fields.iter().find(|field| json_name(field) == name) {
                Some(field) => members.push((*field, value)),
                None => return Err(unknown(&name, fields)),
            }
        }
        visitor.visit_map(Members {
            members: members.into_iter(),
            value: None,
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let (name, value) = match self.tree {
            Tree::Text(name) => (name, None),
            Tree::Object(mut object) if object.len() == 1 => match object.pop() {
                Some((name, value)) => (name, Some(value)),
                None => return Err(none_of(variants)),
            },
            Tree::Object(_) => return Err(none_of(variants)),
            other => {
                let (listed, is) = (listed(variants), other.kind());
                return Err(Fault::new(format!(
                    "must name one of {listed}, and is {is}"
                )));
            }
        };
        match variants.iter().find(|variant| json_name(variant) == name) {
            Some(variant) => visitor.visit_enum(Case { variant, value }),
            None => Err(unknown(&name, variants)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i8 i16 i32 char bytes byte_buf unit unit_struct tuple tuple_struct map identifier
    }
}

fn unknown(name: &str, known: &[&str]) -> Fault {
    let name = clip(name);
    if known.is_empty() {
        return Fault::new(format!("must be empty; `{name}` is not known"));
    }
    let known = listed(known);
    Fault::new(format!(
        "holds `{name}`, which is not known; known are {known}"
    ))
}

fn none_of(variants: &[&str]) -> Fault {
    let listed = listed(variants);
    Fault::new(format!("must have exactly one member, of {listed}"))
}

fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names
        .iter()
        .map(|n| format!("`{}`", json_name(n)))
        .collect();
    quoted.join(", ")
}

fn items<'de, V: Visitor<'de>>(list: Vec<Tree>, visitor: V) -> Result<V::Value, Fault> {
    visitor.visit_seq(Items(list.into_iter().enumerate()))
}

struct Items(std::iter::Enumerate<std::vec::IntoIter<Tree>>);

impl<'de> SeqAccess<'de> for Items {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        let Some((index, item)) = self.0.next() else {
            return Ok(None);
        };
        let read = seed.deserialize(Node::new(item));
        read.map(Some)
            .map_err(|fault| fault.inside(Step::Item(index)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

/// The members of a record, under their names in Rust.
struct Members {
    members: std::vec::IntoIter<(&'static str, Tree)>,
    value: Option<(&'static str, Tree)>,
}

impl<'de> MapAccess<'de> for Members {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        let Some((field, tree)) = self.members.next() else {
            return Ok(None);
        };
        self.value = Some((field, tree));
        let name: StrDeserializer<'_, Fault> = field.into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let Some((field, tree)) = self.value.take() else {
            return Err(Fault::new("has a value without a name"));
        };
        seed.deserialize(Node { tree, member: true })
            .map_err(|fault| fault.inside(Step::Member(json_name(field))))
    }
}

/// A case of a variant, with its value if it has one.
struct Case {
    variant: &'static str,
    value: Option<Tree>,
}

impl Case {
    fn value(self) -> Result<(Node, Step), Fault> {
        let name = json_name(self.variant);
        match self.value {
            Some(value) => Ok((Node::new(value), Step::Member(name))),
            None => Err(Fault::new(format!(
                "must have a value: {{\"{name}\": …}}, not the bare word"
            ))),
        }
    }
}

impl<'de> EnumAccess<'de> for Case {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Fault> {
        let name: StrDeserializer<'_, Fault> = self.variant.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for Case {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        match self.value {
            None => Ok(()),
            Some(_) => Err(Fault::new(format!(
                "must be the bare word \"{}\", which takes no value",
                json_name(self.variant)
            ))),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        let (node, step) = self.value()?;
        seed.deserialize(node).map_err(|fault| fault.inside(step))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Fault> {
        let (node, step) = self.value()?;
        node.deserialize_seq(visitor)
            .map_err(|fault| fault.inside(step))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let (node, step) = self.value()?;
        node.deserialize_struct("", fields, visitor)
            .map_err(|fault| fault.inside(step))
    }
}
