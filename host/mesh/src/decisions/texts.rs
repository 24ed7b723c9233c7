//! What of a text, and of an agent's texts, can lead a question to the agent: the
//! words that tell something, and directions.

use super::steps::{Encode, Steps};
use crate::registry::Agent;
use kgents_search::words::words;
use std::hash::{Hash, Hasher};

/// Texts of a decided agent that its question is compared with, once, in some
/// microseconds each. One that is left out can only make the decision anew too early.
const COMPARED_MAX: usize = 128;

/// Words that tell nothing of what is wanted, as [`kgents_search::words::word_form`]
/// has them. Short on purpose: a word missing here makes a decision anew for nothing,
/// a word too many would keep one that has changed. (`doe` is the form of `does`.)
const SILENT: [&str; 65] = [
    "a", "about", "all", "an", "and", "any", "are", "as", "at", "be", "been", "but", "by", "can",
    "could", "did", "do", "doe", "for", "from", "had", "has", "have", "how", "i", "if", "in",
    "into", "is", "it", "its", "let", "me", "my", "of", "on", "or", "our", "please", "shall",
    "should", "so", "some", "than", "that", "the", "their", "them", "then", "these", "they",
    "this", "to", "us", "was", "we", "were", "what", "which", "who", "will", "with", "would",
    "you", "your",
];

/// Words, as numbers in order. Two words may share a number, which at worst makes a
/// decision anew for nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Words(Box<[u64]>);

impl Words {
    /// The words of a question that tell something; all of them where none does.
    pub(super) fn of_question(text: &str) -> Self {
        let telling = Self::of(words(text).filter(|word| !is_silent(word)));
        if telling.0.is_empty() {
            Self::of(words(text))
        } else {
            telling
        }
    }

    fn of(words: impl Iterator<Item = impl AsRef<str>>) -> Self {
        let mut numbers: Vec<u64> = words.map(|word| number(word.as_ref())).collect();
        numbers.sort_unstable();
        numbers.dedup();
        Self(numbers.into())
    }

    /// Whether a word is in both.
    pub(super) fn meet(&self, others: &Self) -> bool {
        let is_known = |word: &u64| others.0.binary_search(word).is_ok();
        self.0.iter().any(is_known)
    }
}

fn is_silent(word: &str) -> bool {
    SILENT.binary_search(&word).is_ok()
}

fn number(word: &str) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    word.hash(&mut hasher);
    hasher.finish()
}

/// What an agent is found by.
#[derive(Clone, Debug, Default)]
pub(super) struct Texts {
    /// All words, the silent ones too: a question of nothing else is led by them.
    words: Words,
    /// One direction for each text that has one; `None` without an encoder.
    vectors: Option<Vec<Steps>>,
}

impl Texts {
    /// The texts of an agent as it was and as it is.
    pub(super) fn of(states: &[&Agent], encode: Option<&Encode>) -> Self {
        let texts = || states.iter().flat_map(|agent| texts(agent));
        let vectors = encode.map(|encode| {
            let mut lines: Vec<&str> = texts().collect();
            // A card's next version says most of the same.
            lines.sort_unstable();
            lines.dedup();
            lines.into_iter().filter_map(encode).collect()
        });
        Self {
            words: Words::of(texts().flat_map(words)),
            vectors,
        }
    }

    /// Whether a direction is as near as the given cosine. What cannot be compared is.
    pub(super) fn are_near(&self, to: Option<(&Steps, f32)>) -> bool {
        match (to, &self.vectors) {
            (Some((to, cosine_min)), Some(vectors)) => {
                vectors.iter().any(|known| known.cosine(to) >= cosine_min)
            }
            _ => true,
        }
    }

    /// Whether a question shares a word with them.
    pub(super) fn share_a_word(&self, words: &Words) -> bool {
        words.meet(&self.words)
    }
}

/// Every text of a card that the search or the model may have learnt from. Names
/// too: a question that is one names the agent.
fn texts(agent: &Agent) -> impl Iterator<Item = &str> {
    let card = &agent.card;
    let skills = card.skills.iter().flat_map(|skill| {
        let said = [&skill.id, &skill.name, &skill.description];
        said.into_iter().chain(&skill.tags).chain(&skill.examples)
    });
    let own = [&agent.name, &card.name, &card.description];
    own.into_iter().chain(skills).map(String::as_str)
}

/// The cosine of a question and the nearest of an agent's first texts.
pub(super) fn nearest(agent: &Agent, to: &Steps, encode: &Encode) -> f32 {
    let directions = texts(agent).take(COMPARED_MAX).filter_map(encode);
    directions.map(|it| it.cosine(to)).fold(-1.0, f32::max)
}

/// Number of texts an agent is found by.
pub(super) fn count(agent: &Agent) -> usize {
    texts(agent).count()
}

/// Bytes of these texts.
pub(super) fn bytes(agent: &Agent) -> usize {
    texts(agent).map(str::len).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silent_words_are_found_and_are_the_forms_that_are_looked_up() {
        assert!(SILENT.is_sorted());
        for word in SILENT {
            assert_eq!(words(word).collect::<Vec<_>>(), [word]);
        }
        assert!(is_silent("your") && !is_silent("invoice"));
    }

    #[test]
    fn a_question_is_met_by_what_it_tells_alone() {
        let question = Words::of_question("Can you pay the invoices?");
        let texts = |text| Words::of(words(text));
        assert!(question.meet(&texts("an invoice")));
        assert!(!question.meet(&texts("the translator for you")));
        assert!(Words::of_question("who? what! the").meet(&texts("what")));
        assert!(!Words::of_question("").meet(&texts("what")));
    }
}
