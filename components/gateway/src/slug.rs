//! Names of agents as they stand in paths and SPIFFE ids.
//! Source: RFC 1123 §2.1 as Kubernetes reads it (a label).

/// Bytes of a label, at most.
pub const LABEL_BYTES_MAX: usize = 63;

/// Whether this is an RFC 1123 label: 1 to 63 lower-case letters, digits and
/// `-`, beginning and ending with a letter or digit.
#[must_use]
pub fn is_label(name: &str) -> bool {
    name.len() <= LABEL_BYTES_MAX
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.is_empty()
}

/// The label for a name: letters lower-cased, every run of anything else one
/// `-`, cut at 63. `None` when nothing is left.
#[must_use]
pub fn slug(name: &str) -> Option<String> {
    let mut out = String::with_capacity(name.len().min(LABEL_BYTES_MAX));
    for char in name.chars() {
        if out.len() == LABEL_BYTES_MAX {
            break;
        }
        if char.is_ascii_alphanumeric() {
            out.push(char.to_ascii_lowercase());
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
    }
    out.truncate(out.trim_end_matches('-').len());
    (!out.is_empty()).then_some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_becomes_a_label() {
        let cases = [
            ("b-gent", Some("b-gent")),
            ("Hello World Agent", Some("hello-world-agent")),
            ("  --GPT_4o (beta)! ", Some("gpt-4o-beta")),
            ("Übersetzer", Some("bersetzer")),
            ("翻译", None),
            ("---", None),
            ("", None),
        ];
        for (name, expected) in cases {
            assert_eq!(slug(name).as_deref(), expected, "{name}");
        }
    }

    proptest! {
        #[test]
        fn a_slug_is_a_label_and_its_own_slug(name in ".*") {
            if let Some(label) = slug(&name) {
                prop_assert!(is_label(&label), "{}", label);
                prop_assert_eq!(slug(&label), Some(label));
            }
        }

        #[test]
        fn a_label_is_its_own_slug(name in "[a-z0-9]([a-z0-9]|-[a-z0-9]){0,30}") {
            prop_assert!(is_label(&name));
            prop_assert_eq!(slug(&name), Some(name));
        }
    }
}
