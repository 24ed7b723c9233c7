//! One pass over a JSON object that takes the members that matter, notes what is
//! ambiguous, and skips the rest. A fault does not stop the pass, so that what is
//! not JSON at all is still found to be that.

use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::json::{clip, looks_like};

/// What makes a JSON object ambiguous or unfit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A member that matters, given twice.
    Duplicate {
        at: &'static str,
        name: &'static str,
    },
    /// A name that a lenient parser would take for one that matters.
    Lookalike {
        at: &'static str,
        name: &'static str,
        found: String,
    },
    /// Another kind of JSON value than is needed.
    Kind {
        at: &'static str,
        name: &'static str,
        wanted: &'static str,
    },
}

/// The members of one JSON object that matter.
pub(crate) trait Members<'de> {
    /// Where the object is, for messages; empty at the top.
    const AT: &'static str;
    /// Their exact names, at most 32.
    const NAMES: &'static [&'static str];

    /// Takes the value of the member at `index` of `NAMES`.
    fn take<A: MapAccess<'de>>(
        &mut self,
        index: usize,
        map: &mut A,
        fault: &mut Option<Fault>,
    ) -> Result<(), A::Error>;
}

/// Answers every scalar kind with `wrong_kind`.
macro_rules! scalars_are_wrong {
    ($value:ty) => {
        fn visit_bool<E>(self, _: bool) -> Result<$value, E> {
            Ok(self.wrong_kind())
        }

        fn visit_i64<E>(self, _: i64) -> Result<$value, E> {
            Ok(self.wrong_kind())
        }

        fn visit_u64<E>(self, _: u64) -> Result<$value, E> {
            Ok(self.wrong_kind())
        }

        fn visit_f64<E>(self, _: f64) -> Result<$value, E> {
            Ok(self.wrong_kind())
        }

        fn visit_str<E>(self, _: &str) -> Result<$value, E> {
            Ok(self.wrong_kind())
        }
    };
}

/// A member that is itself an object which matters.
pub(crate) struct Object<'m, T> {
    /// Filled while reading.
    pub members: &'m mut T,
    /// The first fault met stays.
    pub fault: &'m mut Option<Fault>,
    /// The object that it is a member of, for messages.
    pub at: &'static str,
    /// The member's name, for messages; empty for a whole document.
    pub name: &'static str,
}

impl<T> Object<'_, T> {
    fn wrong_kind(self) -> bool {
        let (at, name) = (self.at, self.name);
        self.fault.get_or_insert(Fault::Kind {
            at,
            name,
            wanted: "an object",
        });
        false
    }
}

impl<'de, T: Members<'de>> DeserializeSeed<'de> for Object<'_, T> {
    /// Whether the object was there (`null` is not).
    type Value = bool;

    fn deserialize<D: serde::Deserializer<'de>>(self, source: D) -> Result<bool, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de, T: Members<'de>> Visitor<'de> for Object<'_, T> {
    type Value = bool;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let mut seen = 0_u32;
        while let Some(key) = map.next_key_seed(Key { names: T::NAMES })? {
            match key {
                Found::Member(index) => {
                    let bit = 1_u32.checked_shl(index as u32).unwrap_or(0);
                    if seen & bit != 0 {
                        let name = T::NAMES.get(index).copied().unwrap_or_default();
                        self.fault
                            .get_or_insert(Fault::Duplicate { at: T::AT, name });
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    }
                    seen |= bit;
                    self.members.take(index, &mut map, self.fault)?;
                }
                Found::Lookalike { name, found } => {
                    self.fault.get_or_insert(Fault::Lookalike {
                        at: T::AT,
                        name,
                        found,
                    });
                    map.next_value::<IgnoredAny>()?;
                }
                Found::Foreign => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(true)
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        if self.name.is_empty() {
            Ok(self.wrong_kind())
        } else {
            Ok(false)
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<bool, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(self.wrong_kind())
    }

    scalars_are_wrong!(bool);
}

/// What a member's name is to us.
enum Found {
    Member(usize),
    Lookalike { name: &'static str, found: String },
    Foreign,
}

struct Key {
    names: &'static [&'static str],
}

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Found;

    fn deserialize<D: serde::Deserializer<'de>>(self, source: D) -> Result<Found, D::Error> {
        source.deserialize_str(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Found;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a member's name")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<Found, E> {
        if let Some(index) = self.names.iter().position(|name| *name == key) {
            return Ok(Found::Member(index));
        }
        let alike = self.names.iter().find(|name| looks_like(key, name));
        Ok(alike.map_or(Found::Foreign, |name| Found::Lookalike {
            name,
            found: clip(key, 64),
        }))
    }

    fn visit_bytes<E: serde::de::Error>(self, _: &[u8]) -> Result<Found, E> {
        Err(E::custom("a member's name is not text"))
    }
}

/// A member that is an array whose elements matter.
pub(crate) struct Array<'m, F> {
    /// Reads one element with `next_element_seed`; returns whether there was one.
    pub each: F,
    /// The first fault met stays.
    pub fault: &'m mut Option<Fault>,
    /// Where the array is, for messages.
    pub at: &'static str,
    /// The member's name, for messages.
    pub name: &'static str,
}

/// One step of reading an array: takes the next element, if any.
pub(crate) trait Step<'de> {
    /// Reads the next element; false at the end.
    fn step<A: SeqAccess<'de>>(
        &mut self,
        seq: &mut A,
        fault: &mut Option<Fault>,
    ) -> Result<bool, A::Error>;
}

impl<'de, F: Step<'de>> DeserializeSeed<'de> for Array<'_, F> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, source: D) -> Result<(), D::Error> {
        source.deserialize_any(self)
    }
}

impl<F> Array<'_, F> {
    fn wrong_kind(self) {
        let (at, name) = (self.at, self.name);
        self.fault.get_or_insert(Fault::Kind {
            at,
            name,
            wanted: "an array",
        });
    }
}

impl<'de, F: Step<'de>> Visitor<'de> for Array<'_, F> {
    type Value = ();

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a JSON value")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        while self.each.step(&mut seq, self.fault)? {}
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        self.wrong_kind();
        Ok(())
    }

    scalars_are_wrong!(());
}
