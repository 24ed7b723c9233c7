//! `text-stats`: counts what a text is made of.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{Trade, Work};

/// Words that are named as the most frequent ones.
const FREQUENT: usize = 3;

/// Counts lines, words and characters, and finds the most frequent words.
pub struct TextStats;

impl Trade for TextStats {
    fn name(&self) -> &'static str {
        "text-stats"
    }

    fn description(&self) -> &'static str {
        "Counts the lines, words and characters of a text and finds its most frequent words."
    }

    fn skills(&self) -> Value {
        json!([{
            "id": "count-words",
            "name": "Count words",
            "description": "Counts lines, words and characters of a text, and tells which words occur most often",
            "tags": ["text", "statistics", "word count", "frequency"],
            "examples": [
                "How many words are in this text: the cat sat on the mat",
                "Which word occurs most often in \"to be or not to be\"?",
                "Count the characters and lines of the following text: one two three",
            ],
        }])
    }

    fn work(&self, text: &str) -> Result<Work, String> {
        let Some(text) = text_in(text) else {
            return Err("there is no text to count: put it after a colon, or in quotes".to_owned());
        };
        let lines = text.lines().count();
        let words: Vec<String> = words(text);
        let characters = text.chars().count();
        let frequent = frequent(&words);
        let listed: Vec<String> = frequent
            .iter()
            .map(|(word, count)| format!("{word} ({count})"))
            .collect();
        let steps = vec![
            counted(lines, "line"),
            counted(words.len(), "word"),
            counted(characters, "character"),
            format!("most frequent: {}", listed.join(", ")),
        ];
        Ok(Work {
            answer: format!(
                "{}, {}, {}; most frequent: {}",
                counted(words.len(), "word"),
                counted(lines, "line"),
                counted(characters, "character"),
                listed.join(", ")
            ),
            data: json!({
                "lines": lines,
                "words": words.len(),
                "characters": characters,
                "frequent": frequent.iter().map(|(word, count)| json!({"word": word, "count": count})).collect::<Vec<_>>(),
            }),
            steps,
        })
    }
}

/// The text that a request is about: what follows the first colon or line end,
/// or stands in quotes, whichever begins first. None when it holds no word.
fn text_in(request: &str) -> Option<&str> {
    let begins = request.find(|c| matches!(c, ':' | '\n') || closing(c).is_some())?;
    let rest = request.get(begins..)?;
    let mark = rest.chars().next()?;
    let text = match closing(mark) {
        Some(_) => rest,
        None => rest.get(mark.len_utf8()..)?,
    };
    let text = unquoted(text.trim());
    text.contains(char::is_alphanumeric).then_some(text)
}

/// What ends a quotation that begins with `open`.
fn closing(open: char) -> Option<char> {
    match open {
        '"' => Some('"'),
        '“' => Some('”'),
        '«' => Some('»'),
        _ => None,
    }
}

/// The inside of a quotation, and what comes after it left out; a text that
/// does not begin with one, or has no end of it, is left as it is.
fn unquoted(text: &str) -> &str {
    let inside = text.chars().next().and_then(|open| {
        let (inside, _) = text.get(open.len_utf8()..)?.rsplit_once(closing(open)?)?;
        Some(inside.trim())
    });
    inside.unwrap_or(text)
}

/// Words in lower case: runs of letters and digits, with apostrophes and
/// hyphens inside them.
fn words(text: &str) -> Vec<String> {
    let joins = |c: char| matches!(c, '\'' | '’' | '-');
    text.split(|c: char| !c.is_alphanumeric() && !joins(c))
        .map(|word| word.trim_matches(joins).to_lowercase())
        .filter(|word| !word.is_empty())
        .collect()
}

/// The most frequent words, those that came first before others as frequent.
fn frequent(words: &[String]) -> Vec<(&str, usize)> {
    let mut counts: HashMap<&str, (usize, usize)> = HashMap::new();
    for (place, word) in words.iter().enumerate() {
        counts.entry(word).or_insert((0, place)).0 += 1;
    }
    let mut sorted: Vec<_> = counts.into_iter().collect();
    sorted.sort_by_key(|(_, (count, place))| (usize::MAX - count, *place));
    sorted
        .into_iter()
        .take(FREQUENT)
        .map(|(word, (count, _))| (word, count))
        .collect()
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_text_is_counted_wherever_it_stands_in_the_request() {
        for (request, answer) in [
            (
                "Which word is most frequent in \"To be, or not to be\"?",
                "6 words, 1 line, 19 characters; most frequent: to (2), be (2), or (1)",
            ),
            (
                "Count this: he said \"hi: you\" to me",
                "6 words, 1 line, 23 characters; most frequent: he (1), said (1), hi (1)",
            ),
            (
                "Count: «one two»",
                "2 words, 1 line, 7 characters; most frequent: one (1), two (1)",
            ),
            (
                "count: a",
                "1 word, 1 line, 1 character; most frequent: a (1)",
            ),
            (
                "count this\nDon't panic\nwell-known",
                "3 words, 2 lines, 22 characters; most frequent: don't (1), panic (1), well-known (1)",
            ),
        ] {
            assert_eq!(TextStats.work(request).unwrap().answer, answer, "{request}");
        }
    }

    #[test]
    fn a_request_without_text_is_refused_with_what_is_needed() {
        for request in ["", "count the words", "count: ", "count \"…\""] {
            assert!(
                TextStats.work(request).unwrap_err().contains("colon"),
                "{request}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd_and_no_word_is_counted_twice(text in "(\\PC|[\"“”«»:\n]){0,60}") {
            if let Ok(work) = TextStats.work(&text) {
                let frequent = work.data["frequent"].as_array().unwrap();
                let counted: u64 = frequent.iter().map(|one| one["count"].as_u64().unwrap()).sum();
                prop_assert!(counted <= work.data["words"].as_u64().unwrap());
            }
        }
    }
}
