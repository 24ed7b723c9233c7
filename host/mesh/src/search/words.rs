//! Text to words, the same way for cards and for questions.

/// Longest question that is read, in bytes; what is beyond is not looked at.
pub const QUESTION_BYTES_MAX: usize = 16 * 1024;

/// The lower-cased words of a text: runs of letters and digits.
pub fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    clip(text)
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

/// The form under which decisions are remembered: lower case, single spaces,
/// without the punctuation at either end.
pub fn normalise(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(QUESTION_BYTES_MAX));
    for word in clip(text).split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.extend(word.chars().flat_map(char::to_lowercase));
    }
    let keep = |c: char| !c.is_alphanumeric();
    out.trim_matches(keep).to_owned()
}

/// At most [`QUESTION_BYTES_MAX`] bytes, cut at a character.
pub fn clip(text: &str) -> &str {
    let mut end = text.len().min(QUESTION_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_same_question_in_another_dress_is_the_same() {
        for text in [
            "Who can translate?",
            "  who   can TRANSLATE ",
            "who can translate!!",
        ] {
            assert_eq!(normalise(text), "who can translate");
        }
    }

    #[test]
    fn words_are_runs_of_letters_and_digits() {
        let found: Vec<_> = words("GDPR-requests, 2 für Köln").collect();
        assert_eq!(found, ["gdpr", "requests", "2", "für", "köln"]);
    }

    proptest! {
        #[test]
        fn normalising_twice_changes_nothing(text in "[ -~äß]{0,200}") {
            let once = normalise(&text);
            prop_assert_eq!(normalise(&once), once);
        }

        #[test]
        fn any_text_has_words_without_a_panic(text in ".{0,300}") {
            prop_assert!(words(&text).all(|w| !w.is_empty()));
        }
    }
}
