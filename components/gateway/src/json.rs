//! Reading JSON so that a field has exactly one meaning.
//!
//! The mesh judges a request by a few of its fields and sends the bytes on as
//! they came. An agent whose parser reads those bytes another way (the last of
//! two duplicates, `task_id` for `taskId`, Go's case-insensitive names) would do
//! something that was never judged. So wherever a field matters, a duplicate or
//! a name that a lenient parser would take for it is a fault.
//! Source: our decision; RFC 8259 §4 leaves duplicates undefined, ProtoJSON
//! accepts the proto's own snake_case names, Go's encoding/json folds case.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::members::{Fault, Members, Object};

/// Containers within containers, at most. serde_json's own recursion limit,
/// enforced here too because skipping values does not count depth there.
pub const DEPTH_MAX: usize = 128;

/// Why a document was not read.
#[derive(Debug)]
pub(crate) enum Broken {
    /// Not JSON, or too deep.
    Syntax(String),
    /// JSON, but ambiguous or of another shape.
    Fault(Fault),
}

/// Reads one document into `members`; anything else in it is skipped unread.
pub(crate) fn read<'de, T: Members<'de>>(text: &'de str, members: &mut T) -> Result<(), Broken> {
    let mut fault = None;
    let mut source = serde_json::Deserializer::from_str(text);
    Object {
        members,
        fault: &mut fault,
        at: T::AT,
        name: "",
    }
    .deserialize(&mut source)
    .and_then(|_| source.end())
    .map_err(|error| Broken::Syntax(clip(&error.to_string(), 200)))?;
    fault.map_or(Ok(()), |fault| Err(Broken::Fault(fault)))
}

/// Checks that bytes are UTF-8 and nested no deeper than [`DEPTH_MAX`].
pub(crate) fn text(body: &[u8]) -> Result<&str, Broken> {
    let text = std::str::from_utf8(body)
        .map_err(|error| Broken::Syntax(format!("not UTF-8 after byte {}", error.valid_up_to())))?;
    if depth_fits(text) {
        Ok(text)
    } else {
        Err(Broken::Syntax(format!("nested deeper than {DEPTH_MAX}")))
    }
}

/// Counts brackets outside of strings; right for every valid document.
fn depth_fits(text: &str) -> bool {
    let mut depth = 0_usize;
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => loop {
                match bytes.next() {
                    Some(b'\\') => {
                        bytes.next();
                    }
                    Some(b'"') | None => break,
                    Some(_) => {}
                }
            },
            b'{' | b'[' => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return false;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    true
}

/// The string that a raw value is, borrowed where it holds no escape; `None`
/// when it is no string, or holds a lone surrogate.
pub(crate) fn string(raw: &RawValue) -> Option<Cow<'_, str>> {
    let text = raw.get();
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        serde_json::from_str::<String>(text).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}

/// True for the literal `null`, which ProtoJSON reads as an absent member.
pub(crate) fn is_null(raw: &RawValue) -> bool {
    raw.get() == "null"
}

/// At most `chars_max` characters of foreign text, control characters replaced,
/// so that it can stand in a message.
pub(crate) fn clip(text: &str, chars_max: usize) -> String {
    let mut out: String = text
        .chars()
        .take(chars_max)
        .map(|char| if char.is_control() { '\u{fffd}' } else { char })
        .collect();
    if text.chars().nth(chars_max).is_some() {
        out.push('…');
    }
    out
}

/// Whether some lenient parser reads `key` as `name` (ASCII camelCase): case
/// folded as Unicode does it (Go takes U+017F for `s` and U+212A for `k`),
/// without `_` and `-`, and cut at a NUL as C strings are.
pub(crate) fn looks_like(key: &str, name: &str) -> bool {
    // Folding and dropping never make a key longer.
    if key.len() < name.len() {
        return false;
    }
    let folded = key
        .chars()
        .take_while(|char| *char != '\0')
        .filter(|char| !matches!(char, '_' | '-'))
        .map(fold);
    folded.eq(name.chars().map(|char| char.to_ascii_lowercase()))
}

fn fold(char: char) -> char {
    if char.is_ascii() {
        return char.to_ascii_lowercase();
    }
    let upper = char.to_uppercase().next().unwrap_or(char);
    upper.to_lowercase().next().unwrap_or(upper)
}

/// Every member of an object, in order, names unescaped, values raw.
pub(crate) struct Entries<'de>(pub Vec<(Cow<'de, str>, &'de RawValue)>);

impl<'de> serde::Deserialize<'de> for Entries<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_map(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries<'de>;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<'de>, A::Error> {
        let mut entries = Vec::new();
        while let Some(raw) = map.next_key::<&RawValue>()? {
            let name = string(raw).ok_or_else(|| A::Error::custom("a name is not text"))?;
            entries.push((name, map.next_value()?));
        }
        Ok(Entries(entries))
    }
}
