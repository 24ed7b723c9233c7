//! Names of accounts and agents: RFC 1123 labels.

/// Longest label in bytes. Source: RFC 1123 2.1.
pub const LABEL_BYTES_MAX: usize = 63;

/// Is `name` an RFC 1123 label: a-z, 0-9 and inner `-`, 1 to 63 bytes?
pub fn is_label(name: &str) -> bool {
    (1..=LABEL_BYTES_MAX).contains(&name.len())
        && name
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// The label that people mean by `Data Science`: `data-science`. `None` when
/// what is left is not a label.
pub fn label(words: &str) -> Option<String> {
    let parts: Vec<&str> = words.split_ascii_whitespace().collect();
    let name = parts.join("-").to_ascii_lowercase();
    is_label(&name).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_a_label_or_nothing() {
        for (words, expected) in [
            ("translation", Some("translation")),
            ("Data  Science", Some("data-science")),
            ("team-7", Some("team-7")),
            ("7", Some("7")),
            ("", None),
            ("data_science", None),
            ("-x", None),
            ("x-", None),
            ("größe", None),
            ("a.b", None),
        ] {
            assert_eq!(label(words).as_deref(), expected, "{words:?}");
        }
        assert!(is_label(&"x".repeat(63)) && !is_label(&"x".repeat(64)));
    }
}
