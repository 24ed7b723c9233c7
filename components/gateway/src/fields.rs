//! The members of a card's objects, taken one by one with the field named in
//! every refusal.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::call::{Failure, FailureKind};
use crate::json::{self, Entries, clip};

/// Text without any control character.
pub(crate) const ONE_LINE: &[char] = &[];
/// Text that may hold line ends and tabs.
pub(crate) const LINES: &[char] = &['\n', '\r', '\t'];

/// An object's members, and where it is in the card.
pub(crate) struct Fields<'a> {
    at: String,
    entries: Vec<(Cow<'a, str>, &'a RawValue)>,
}

/// A card that is not taken, because of `field` (quoted by the caller).
pub(crate) fn refused(field: &str, what: &str) -> Failure {
    let plain = field.trim_matches('`').to_owned();
    Failure::new(FailureKind::Refused, format!("{field} {what}")).fact("field", plain)
}

impl<'a> Fields<'a> {
    pub(crate) fn read(at: &str, text: &'a str) -> Result<Self, Failure> {
        let entries: Entries<'a> = serde_json::from_str(text).map_err(|error| {
            let at = if at.is_empty() {
                "the card".to_owned()
            } else {
                format!("`{at}`")
            };
            if error.is_data() {
                refused(&at, "must be an object")
            } else {
                refused(
                    &at,
                    &format!("is not JSON: {}", clip(&error.to_string(), 200)),
                )
            }
        })?;
        Ok(Self {
            at: at.to_owned(),
            entries: entries.0,
        })
    }

    /// Refuses duplicates of these names, and names a lenient parser would take
    /// for them.
    pub(crate) fn strict(&self, names: &[&str]) -> Result<(), Failure> {
        for name in names {
            let mut given = self.entries.iter().filter(|(key, _)| key == name);
            if given.nth(1).is_some() {
                return Err(refused(&self.path(name), "is given twice"));
            }
            let alike = self
                .entries
                .iter()
                .find(|(key, _)| key != name && json::looks_like(key, name));
            if let Some((key, _)) = alike {
                let what = format!("can be taken for {}", self.path(name));
                return Err(refused(&self.path(&clip(key, 64)), &what));
            }
        }
        Ok(())
    }

    /// Refuses members of other names than these, and these given twice.
    pub(crate) fn only(&self, names: &[&str]) -> Result<(), Failure> {
        self.strict(names)?;
        let other = |(key, _): &&(Cow<'_, str>, &RawValue)| !names.contains(&key.as_ref());
        match self.entries.iter().find(other) {
            Some((key, _)) => Err(refused(&self.path(&clip(key, 64)), "is not known")
                .hint(format!("known are: {}", names.join(", ")))),
            None => Ok(()),
        }
    }

    /// A member; `null` is an absent one.
    pub(crate) fn get(&self, name: &str) -> Option<&'a RawValue> {
        let found = self.entries.iter().find(|(key, _)| key == name);
        found.map(|(_, raw)| *raw).filter(|raw| !json::is_null(raw))
    }

    /// A text, empty where it is absent.
    pub(crate) fn text(
        &self,
        name: &str,
        chars_max: usize,
        controls: &[char],
    ) -> Result<String, Failure> {
        match self.get(name) {
            None => Ok(String::new()),
            Some(raw) => checked(&self.path(name), raw, chars_max, controls),
        }
    }

    /// A text that is not blank.
    pub(crate) fn required(
        &self,
        name: &str,
        chars_max: usize,
        controls: &[char],
    ) -> Result<String, Failure> {
        let text = self.text(name, chars_max, controls)?;
        if text.trim().is_empty() {
            return Err(refused(&self.path(name), "is missing or empty"));
        }
        Ok(text)
    }

    /// The elements of an array, none where it is absent.
    pub(crate) fn array(&self, name: &str, max: usize) -> Result<Vec<&'a RawValue>, Failure> {
        let Some(raw) = self.get(name) else {
            return Ok(Vec::new());
        };
        let elements: Vec<&RawValue> = serde_json::from_str(raw.get())
            .map_err(|_| refused(&self.path(name), "must be an array"))?;
        if elements.len() > max {
            return Err(refused(
                &self.path(name),
                &format!("has more than {max} elements"),
            ));
        }
        Ok(elements)
    }

    /// An array of texts.
    pub(crate) fn texts(
        &self,
        name: &str,
        max: usize,
        chars_max: usize,
    ) -> Result<Vec<String>, Failure> {
        let elements = self.array(name, max)?;
        let path = self.path(name);
        elements
            .into_iter()
            .map(|raw| checked(&path, raw, chars_max, LINES))
            .collect()
    }

    /// The members as JSON text, but for these.
    pub(crate) fn members_without(&self, names: &[&str]) -> Vec<String> {
        let kept = self
            .entries
            .iter()
            .filter(|(key, _)| !names.contains(&key.as_ref()));
        kept.map(|(key, raw)| format!("{}:{}", serde_json::Value::from(key.as_ref()), raw.get()))
            .collect()
    }

    fn path(&self, name: &str) -> String {
        if self.at.is_empty() {
            format!("`{name}`")
        } else {
            format!("`{}.{name}`", self.at)
        }
    }
}

fn checked(
    path: &str,
    raw: &RawValue,
    chars_max: usize,
    controls: &[char],
) -> Result<String, Failure> {
    let text = json::string(raw).ok_or_else(|| refused(path, "must be text"))?;
    check_text(path, &text, chars_max, controls)?;
    Ok(text.into_owned())
}

/// Checks length and characters of a text in a card.
pub(crate) fn check_text(
    path: &str,
    text: &str,
    chars_max: usize,
    controls: &[char],
) -> Result<(), Failure> {
    if text.chars().nth(chars_max).is_some() {
        return Err(refused(
            path,
            &format!("is longer than {chars_max} characters"),
        ));
    }
    if text
        .chars()
        .any(|char| char.is_control() && !controls.contains(&char))
    {
        return Err(refused(path, "holds a control character"));
    }
    Ok(())
}
