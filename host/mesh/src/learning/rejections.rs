//! What must not be led to whom: words that somebody refuted for an agent. They
//! hold to the letter, but for case, spaces and the punctuation at the ends; what
//! is only like them is the model's to tell.

use super::feedback::Given;
use super::taught::Taught;
use kgents_gateway::call::Verdict;
use kgents_search::words::normalise;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Words for which an agent is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejections(HashMap<Box<str>, Vec<Box<str>>>);

impl Rejections {
    /// Whether `agent` is left out for a question; `text` as
    /// [`kgents_search::words::normalise`] has it.
    pub fn rejects(&self, text: &str, agent: &str) -> bool {
        let agents = self.0.get(text);
        agents.is_some_and(|agents| agents.iter().any(|name| **name == *agent))
    }

    /// Whether some agent is left out for a question.
    pub fn has(&self, text: &str) -> bool {
        self.0.contains_key(text)
    }

    /// Number of questions for which some agent is left out.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn add(&mut self, text: &str, agent: &str) {
        let agents = self.0.entry(text.into()).or_default();
        if !agents.iter().any(|name| **name == *agent) {
            agents.push(agent.into());
        }
    }
}

/// What must not be led to whom. Of statements about the same words and the same
/// agent the latest holds, and what stands in an operator's file holds over all
/// feedback.
pub fn rejections(taught: &[Taught], given: &[Given]) -> Rejections {
    let mut latest: BTreeMap<(String, &str), (u64, &str, bool)> = BTreeMap::new();
    for given in given {
        let text = normalise(&given.text);
        let wrong = (given.agent.as_deref(), given.verdict == Verdict::Wrong);
        let right = (given.should_be.as_deref(), false);
        for (agent, is_wrong) in [wrong, right] {
            let Some(agent) = agent else { continue };
            let this = (given.when_ms, given.id.as_str(), is_wrong);
            let known = latest.entry((text.clone(), agent)).or_insert(this);
            if (known.0, known.1) <= (this.0, this.1) {
                *known = this;
            }
        }
    }
    let mut rejections = Rejections::default();
    let mut settled: HashSet<(String, &str)> = HashSet::new();
    for file in taught {
        let of = |text: &String| (normalise(text), file.agent.as_str());
        settled.extend(file.examples.iter().chain(&file.counter_examples).map(of));
    }
    for ((text, agent), (_, _, is_wrong)) in latest {
        let key = (text, agent);
        if is_wrong && !settled.contains(&key) {
            rejections.add(&key.0, agent);
        }
    }
    for file in taught {
        for text in &file.counter_examples {
            rejections.add(&normalise(text), &file.agent);
        }
    }
    rejections
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(when_ms: u64, verdict: Verdict, agent: &str, should_be: Option<&str>) -> Given {
        Given {
            id: format!("e{when_ms}"),
            decision: "d".into(),
            who: "ada".into(),
            when_ms,
            verdict,
            agent: Some(agent.into()),
            should_be: should_be.map(str::to_owned),
            skill: None,
            text: "Fold a boat!".into(),
        }
    }

    #[test]
    fn who_was_wrong_is_left_out_for_these_words_and_nobody_else() {
        let made = rejections(&[], &[given(1, Verdict::Wrong, "a", Some("b"))]);
        assert!(made.rejects("fold a boat", "a") && made.has("fold a boat"));
        assert!(!made.rejects("fold a boat", "b"));
        assert!(!made.rejects("fold a hat", "a"));
        assert_eq!(made.len(), 1);
    }

    #[test]
    fn the_latest_word_holds_whatever_the_order_they_are_read_in() {
        let mut all = [
            given(1, Verdict::Wrong, "a", Some("b")),
            given(2, Verdict::Wrong, "b", Some("a")),
            given(3, Verdict::Right, "a", None),
        ];
        for _ in 0..2 {
            let made = rejections(&[], &all);
            assert!(!made.rejects("fold a boat", "a"));
            assert!(made.rejects("fold a boat", "b"));
            all.reverse();
        }
    }

    #[test]
    fn what_an_operators_file_says_holds_over_feedback() {
        let file = |examples: &[&str], counter: &[&str]| Taught {
            file: "routing/a.yaml".into(),
            agent: "a".into(),
            skill: None,
            examples: examples.iter().map(ToString::to_string).collect(),
            counter_examples: counter.iter().map(ToString::to_string).collect(),
        };
        let wrong = [given(9, Verdict::Wrong, "a", None)];
        let made = rejections(&[file(&["fold a boat"], &[])], &wrong);
        assert!(made.is_empty());
        let right = [given(9, Verdict::Right, "a", None)];
        let made = rejections(&[file(&[], &["fold a boat"])], &right);
        assert!(made.rejects("fold a boat", "a"));
    }
}
