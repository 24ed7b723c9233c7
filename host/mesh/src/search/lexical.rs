//! BM25 over the skills' words, with an inverted index: the work of a query is
//! proportional to the postings of its words, not to the number of skills.
//! Source: Robertson and Zaragoza, "The Probabilistic Relevance Framework:
//! BM25 and Beyond", 2009.

use super::words::words;
use std::collections::HashMap;

/// Term saturation, the usual value.
const K1: f32 = 1.2;
/// Length normalisation, the usual value.
const B: f32 = 0.75;

/// Scores of one document.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Score {
    /// BM25, 0.0 or more.
    pub bm25: f32,
    /// Share of the query's words that occur, weighted by rarity, 0.0 to 1.0.
    pub coverage: f32,
}

/// The index. Documents are numbered in the order they are added.
#[derive(Debug, Default)]
pub struct Lexical {
    terms: HashMap<String, Vec<Posting>>,
    lengths: Vec<f32>,
    length_total: f64,
}

#[derive(Clone, Copy, Debug)]
struct Posting {
    document: u32,
    count: f32,
}

impl Lexical {
    /// Adds a document and returns its number.
    pub fn add(&mut self, text: &str) -> u32 {
        let document = u32::try_from(self.lengths.len()).unwrap_or(u32::MAX);
        let mut counts: HashMap<String, f32> = HashMap::new();
        let mut length = 0.0;
        for word in words(text) {
            *counts.entry(word).or_default() += 1.0;
            length += 1.0;
        }
        for (word, count) in counts {
            self.terms
                .entry(word)
                .or_default()
                .push(Posting { document, count });
        }
        self.lengths.push(length);
        self.length_total += f64::from(length);
        document
    }

    /// Number of documents.
    pub fn len(&self) -> usize {
        self.lengths.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// Scores of the documents that share a word with the query, by number.
    pub fn scores(&self, query: &str) -> HashMap<u32, Score> {
        let mut scores: HashMap<u32, Score> = HashMap::new();
        if self.is_empty() {
            return scores;
        }
        let count = self.lengths.len() as f32;
        let mean = (self.length_total / self.lengths.len() as f64).max(1.0) as f32;
        let mut rarity_total = 0.0;
        let mut asked: Vec<String> = words(query).collect();
        asked.sort_unstable();
        asked.dedup();
        for word in &asked {
            let postings = self.terms.get(word).map_or(&[][..], Vec::as_slice);
            let rarity = idf(count, postings.len() as f32);
            rarity_total += rarity;
            for posting in postings {
                let length = self
                    .lengths
                    .get(posting.document as usize)
                    .copied()
                    .unwrap_or(mean);
                let weight = posting.count * (K1 + 1.0)
                    / (posting.count + K1 * (1.0 - B + B * length / mean));
                let score = scores.entry(posting.document).or_default();
                score.bm25 += rarity * weight;
                score.coverage += rarity;
            }
        }
        if rarity_total > 0.0 {
            for score in scores.values_mut() {
                score.coverage = (score.coverage / rarity_total).min(1.0);
            }
        }
        scores
    }
}

/// Inverse document frequency, above 0 also for words that are everywhere.
fn idf(documents: f32, containing: f32) -> f32 {
    (1.0 + (documents - containing + 0.5) / (containing + 0.5)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(texts: &[&str]) -> Lexical {
        let mut lexical = Lexical::default();
        for text in texts {
            lexical.add(text);
        }
        lexical
    }

    #[test]
    fn the_rarer_shared_word_weighs_more() {
        let lexical = index(&[
            "translate the report",
            "summarise the report",
            "book a flight",
        ]);
        let scores = lexical.scores("translate report");
        assert!(scores[&0].bm25 > scores[&1].bm25);
        assert!(!scores.contains_key(&2));
        assert!((scores[&0].coverage - 1.0).abs() < 1e-6);
        assert!(scores[&1].coverage < 0.5);
    }

    #[test]
    fn words_nobody_knows_lower_the_coverage() {
        let lexical = index(&["translate text"]);
        assert!(lexical.scores("translate zebra")[&0].coverage < 1.0);
    }

    #[test]
    fn an_empty_index_or_question_finds_nothing() {
        assert!(index(&[]).scores("anything").is_empty());
        assert!(index(&["something"]).scores("").is_empty());
    }
}
