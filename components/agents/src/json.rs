//! JSON out: an object written key by key. Smaller in the guest than a
//! serialiser, and numbers are written without floating-point formatting.

/// An object under construction.
#[derive(Debug)]
pub struct Object {
    text: String,
}

impl Default for Object {
    fn default() -> Self {
        Self::new()
    }
}

impl Object {
    /// `{}`
    pub fn new() -> Self {
        Self {
            text: String::from("{"),
        }
    }

    /// Add a text.
    #[must_use]
    #[inline(never)]
    pub fn text(self, key: &str, value: &str) -> Self {
        let mut object = self.key(key);
        quote(&mut object.text, value);
        object
    }

    /// Add a whole number.
    #[must_use]
    #[inline(never)]
    pub fn number(self, key: &str, value: u64) -> Self {
        self.raw(key, &value.to_string())
    }

    /// Add JSON that is already written.
    #[must_use]
    pub fn raw(self, key: &str, json: &str) -> Self {
        let mut object = self.key(key);
        object.text.push_str(json);
        object
    }

    /// The object's JSON.
    pub fn finish(mut self) -> String {
        self.text.push('}');
        self.text
    }

    #[inline(never)]
    fn key(mut self, key: &str) -> Self {
        if self.text.len() > 1 {
            self.text.push(',');
        }
        quote(&mut self.text, key);
        self.text.push(':');
        self
    }
}

/// A list of values that are already JSON.
pub fn list(values: impl IntoIterator<Item = String>) -> String {
    let values: Vec<String> = values.into_iter().collect();
    ["[", &values.join(","), "]"].concat()
}

/// A JSON string.
pub fn string(value: &str) -> String {
    let mut text = String::new();
    quote(&mut text, value);
    text
}

/// Quoted and escaped as RFC 8259 section 7 requires: quotation mark,
/// backslash and everything below U+0020.
#[inline(never)]
fn quote(text: &mut String, value: &str) {
    text.push('"');
    for char in value.chars() {
        match char {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\0'..='\u{1f}' => {
                let code = u32::from(char);
                text.push_str("\\u00");
                text.push(if code >= 16 { '1' } else { '0' });
                text.extend(char::from_digit(code % 16, 16));
            }
            _ => text.push(char),
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_object_is_written_in_order() {
        let json = Object::new()
            .text("a", "x\"\\\n\u{1}\u{1f}")
            .number("b", u64::MAX)
            .raw("c", &list([string("é")]))
            .finish();
        assert_eq!(
            json,
            r#"{"a":"x\"\\\n\u0001\u001f","b":18446744073709551615,"c":["é"]}"#
        );
        assert_eq!(Object::new().finish(), "{}");
        assert_eq!(list([]), "[]");
    }

    proptest! {
        #[test]
        fn any_text_reads_back(value: String, key: String) {
            let json = Object::new().text(&key, &value).finish();
            let parsed: serde_json::Value = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(&parsed[&key], &serde_json::Value::String(value));
        }
    }
}
