//! Percent-encoding of path segments and query strings, both ways.
//! Source: RFC 3986 §2.1; the query form is that of HTML forms (`+` is a space).

use std::borrow::Cow;

/// Decodes `%XX`, and `+` as a space when `plus`. `None` when an escape is cut
/// off or not hexadecimal, or the outcome is not UTF-8.
pub(crate) fn decode(text: &str, plus: bool) -> Option<Cow<'_, str>> {
    if !text
        .bytes()
        .any(|byte| byte == b'%' || (plus && byte == b'+'))
    {
        return Some(Cow::Borrowed(text));
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => hex(bytes.next()?)? << 4 | hex(bytes.next()?)?,
            b'+' if plus => b' ',
            other => other,
        });
    }
    String::from_utf8(out).ok().map(Cow::Owned)
}

/// Appends `text` to a path or query, everything but RFC 3986's unreserved
/// characters escaped.
pub(crate) fn encode_into(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(hex_digit(byte >> 4));
            out.push(hex_digit(byte & 15));
        }
    }
}

/// One path segment, decoded; `None` when it could mean another path to someone
/// behind us: a separator, a dot segment, a control character, or empty.
pub(crate) fn segment(raw: &str) -> Option<Cow<'_, str>> {
    let text = decode(raw, false)?;
    let odd = text.is_empty()
        || text == "."
        || text == ".."
        || text
            .chars()
            .any(|char| matches!(char, '/' | '\\') || char.is_control());
    (!odd).then_some(text)
}

/// The names and values of a query, in order; an element is `None` where an
/// escape is broken.
pub(crate) fn pairs(query: &str) -> impl Iterator<Item = Option<(Cow<'_, str>, Cow<'_, str>)>> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(name, true)?, decode(value, true)?))
        })
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

fn hex_digit(nibble: u8) -> char {
    char::from_digit(u32::from(nibble), 16)
        .unwrap_or('0')
        .to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_segment_that_could_be_another_path_is_refused() {
        for raw in [
            "", ".", "%2e%2E", "a%2Fb", "a%5Cb", "a%00", "a%0d", "%ff", "%4", "%zz", "a\u{7f}",
        ] {
            assert_eq!(segment(raw), None, "{raw}");
        }
        assert_eq!(segment("a%20b+c").as_deref(), Some("a b+c"));
        assert_eq!(segment("caf%C3%A9").as_deref(), Some("café"));
    }

    #[test]
    fn a_query_decodes_plus_as_space() {
        let read: Option<Vec<_>> = pairs("a=1+2&&b&c=%3D").collect();
        let expected = [("a", "1 2"), ("b", ""), ("c", "=")].map(|(n, v)| (n.into(), v.into()));
        assert_eq!(read, Some(expected.to_vec()));
        assert!(pairs("a=%").any(|pair| pair.is_none()));
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_itself(text in ".*") {
            let mut encoded = String::new();
            encode_into(&mut encoded, &text);
            prop_assert!(encoded.is_ascii());
            for plus in [true, false] {
                let decoded = decode(&encoded, plus);
                prop_assert_eq!(decoded.as_deref(), Some(text.as_str()));
            }
        }
    }
}
