//! A question's words, looked up in every block.

use crate::block::Block;
use crate::dictionary::{Dictionary, Hash};
use crate::postings::{Corpus, Span};
use crate::words::words;
use std::ops::Range;
use std::sync::Arc;

/// Distinct words of a question that are looked up: the first so many. An encoder
/// reads no more of a text either, and it bounds what a question can cost.
pub const QUESTION_WORDS_MAX: usize = 512;

/// A question, as far as words go.
pub(crate) struct Question {
    /// In order, each once; so all sums are in one order.
    words: Vec<Asked>,
    /// Where each word's postings are: for one block after the other, a span a word.
    spans: Vec<Span>,
    corpus: Corpus,
    /// Of all words together, so also of those that nobody has.
    rarity_total: f32,
    /// Positions of the words that many texts have, the commonest first.
    common: Vec<usize>,
    /// How many of those are left out of the scoring of blocks.
    left_out: usize,
    /// What the words left out add to a score at most.
    left_out_most: f32,
}

struct Asked {
    rarity: f32,
    is_left_out: bool,
}

/// A word is common that one text in so many has. Leaving out what is rarer saves
/// less than it costs.
const COMMON_SHARE: u64 = 4;

/// The share of the threshold that words left out may make up. Measured: with more of
/// it, so many texts have to be looked at again that nothing is saved.
const LEFT_OUT_SHARE: f32 = 0.125;

/// Sums of up to 512 numbers differ by less than this share when they are added in
/// another order: 512 roundings of 2^-24, three times over, are 0.0001.
const ROUNDING: f32 = 0.001;

impl Question {
    /// Looks a text's words up. `spans` is space that was used before.
    pub(crate) fn new(
        text: &str,
        blocks: &[Arc<Block>],
        corpus: Corpus,
        mut spans: Vec<Span>,
    ) -> Self {
        let mut asked = distinct(text);
        asked.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        spans.clear();
        let mut containing = vec![0u64; asked.len()];
        for block in blocks {
            for ((word, hash), containing) in asked.iter().zip(&mut containing) {
                let span = block.postings.find(word, *hash);
                *containing += u64::from(span.len());
                spans.push(span);
            }
        }
        let texts: usize = blocks.iter().map(|block| block.document_count()).sum();
        let is_common = |at: &usize| {
            let containing = containing.get(*at).copied().unwrap_or(0);
            containing * COMMON_SHARE >= texts as u64 && containing > 0
        };
        let mut common: Vec<usize> = (0..asked.len()).filter(is_common).collect();
        common.sort_by_key(|at| containing.get(*at).map(|containing| u64::MAX - containing));
        let words: Vec<Asked> = containing
            .into_iter()
            .map(|containing| Asked {
                rarity: corpus.rarity(containing),
                is_left_out: false,
            })
            .collect();
        Self {
            spans,
            corpus,
            rarity_total: words.iter().map(|asked| asked.rarity).sum(),
            words,
            common,
            left_out: 0,
            left_out_most: 0.0,
        }
    }

    /// Leaves common words out of the scoring of further blocks, as many as cannot
    /// bring a text anywhere near the threshold: it is then other words that decide who
    /// gets there, and the long postings of the common ones are not read. Thresholds
    /// have to rise. Source: Turtle and Flood, "Query evaluation: strategies and
    /// optimizations", 1995 (MaxScore).
    pub(crate) fn leave_out(&mut self, threshold: f32) {
        while let Some(at) = self.common.get(self.left_out) {
            let Some(asked) = self.words.get_mut(*at) else {
                return;
            };
            let most = self.left_out_most + asked.rarity * Corpus::WEIGHT_MAX;
            if most > threshold * LEFT_OUT_SHARE {
                return;
            }
            asked.is_left_out = true;
            self.left_out += 1;
            self.left_out_most = most;
        }
    }

    /// Whether what [`Question::score`] gives lacks words, so that it tells who may
    /// be above a threshold, but not by how much.
    pub(crate) fn is_partial(&self) -> bool {
        self.left_out > 0
    }

    /// What a score of [`Question::score`] is above when the full one is above `threshold`.
    pub(crate) fn partial(&self, threshold: f32) -> f32 {
        if self.is_partial() {
            threshold * (1.0 - ROUNDING) - self.left_out_most * (1.0 + ROUNDING)
        } else {
            threshold
        }
    }

    /// Scores all texts of a block, without the words left out. Leaves `scores` empty
    /// when none of them has a word.
    pub(crate) fn score(&self, number: usize, block: &Block, scores: &mut Vec<f32>) {
        let both = self.words.iter().zip(self.spans(number));
        let read = both.filter(|(asked, span)| span.len() > 0 && !asked.is_left_out);
        let mut read = read.peekable();
        scores.clear();
        if read.peek().is_some() {
            scores.resize(block.document_count(), 0.0);
        }
        for (asked, span) in read {
            let postings = &block.postings;
            postings.add_scores(*span, asked.rarity, &self.corpus, scores);
        }
    }

    /// Scores some texts of a block by all words, the first of them first.
    pub(crate) fn score_within(
        &self,
        number: usize,
        block: &Block,
        texts: Range<usize>,
        scores: &mut Vec<f32>,
    ) {
        scores.clear();
        scores.resize(texts.len(), 0.0);
        for (asked, span) in self.words.iter().zip(self.spans(number)) {
            let word = (*span, asked.rarity);
            let postings = &block.postings;
            postings.add_scores_within(word, texts.clone(), &self.corpus, scores);
        }
    }

    /// The rarity-weighted share of the words that one text of a block has, 0.0 to 1.0.
    pub(crate) fn coverage(&self, number: usize, block: &Block, text: usize) -> f32 {
        let both = self.words.iter().zip(self.spans(number));
        let shared = both.filter(|(_, span)| block.postings.has(**span, text));
        let rarity: f32 = shared.map(|(asked, _)| asked.rarity).sum();
        if self.rarity_total > 0.0 {
            (rarity / self.rarity_total).min(1.0)
        } else {
            0.0
        }
    }

    /// The space it used.
    pub(crate) fn into_spans(self) -> Vec<Span> {
        self.spans
    }

    fn spans(&self, number: usize) -> &[Span] {
        let start = number * self.words.len();
        let spans = self.spans.get(start..start + self.words.len());
        spans.unwrap_or_default()
    }
}

/// The first distinct words of a text.
fn distinct(text: &str) -> Vec<(String, Hash)> {
    let mut seen = Dictionary::default();
    let mut distinct = Vec::new();
    for word in words(text) {
        let hash = Hash::of(&word);
        if seen.intern(&word, hash) as usize == distinct.len() {
            distinct.push((word.into_owned(), hash));
            if distinct.len() == QUESTION_WORDS_MAX {
                break;
            }
        }
    }
    distinct
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::{Source, build};
    use crate::document::{AgentDoc, SkillDoc};

    #[test]
    fn a_word_counts_once_and_only_so_many_count() {
        let words = |text: &str| {
            let words = distinct(text).into_iter().map(|(word, _)| word);
            words.collect::<Vec<_>>()
        };
        assert_eq!(words("b a B, c a"), ["b", "a", "c"]);
        let many: String = (0..2000).map(|n| format!("w{n} ")).collect();
        assert_eq!(words(&many).len(), QUESTION_WORDS_MAX);
        assert!(words("?! ...").is_empty());
    }

    #[test]
    fn a_word_that_all_have_is_left_out_and_still_counts() {
        let agent = |(at, text): (usize, &&str)| AgentDoc {
            agent: format!("{at}").into(),
            skills: vec![SkillDoc {
                name: String::new(),
                text: (*text).to_owned(),
                vectors: Vec::new(),
            }],
        };
        let texts = ["the zebra", "the horse", "the cow", "the pig"];
        let agents = texts.iter().enumerate().map(agent).map(Source::New);
        let blocks = build(agents.collect());
        let corpus = Corpus::new(4, 8);
        let mut question = Question::new("the zebra", &blocks, corpus, Vec::new());
        let (mut whole, mut partial, mut again) = (Vec::new(), Vec::new(), Vec::new());
        question.score(0, &blocks[0], &mut whole);
        question.leave_out(0.0);
        assert!(!question.is_partial());
        question.leave_out(4.0);
        assert!(question.is_partial());
        question.score(0, &blocks[0], &mut partial);
        question.score_within(0, &blocks[0], 0..4, &mut again);
        assert_eq!(whole, again);
        assert!(partial[1] == 0.0 && whole[1] > 0.0);
        assert!(partial[0] < whole[0] && partial[0] > question.partial(whole[0]));
        question.score_within(0, &blocks[0], 2..3, &mut again);
        assert_eq!(again, whole[2..3]);
    }
}
