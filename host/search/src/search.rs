//! From a question to hits: block by block the words' and the vectors' scores, the
//! best agents of either kept.

use crate::best::{Best, first_above, greatest};
use crate::block::Block;
use crate::document::AgentKey;
use crate::postings::{Corpus, Span};
use crate::question::Question;
use kgents_encoder::{Embedding, Query};
use std::cell::Cell;
use std::sync::Arc;

/// The scores of one agent's best skills.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// The agent.
    pub agent: AgentKey,
    /// Name of the skill that fits best: by its vectors where there are any, else
    /// by its words.
    pub skill: String,
    /// BM25, 0.0 or more: the best of the agent's skills.
    pub lexical: f32,
    /// Rarity-weighted share of the question's words that this skill has, 0.0 to 1.0.
    pub coverage: f32,
    /// Best cosine, -1.0 to 1.0; `None` without a query vector, 0.0 for an agent
    /// without vectors.
    pub vector: Option<f32>,
}

/// Whom a question may find; asked only for agents that are about to be kept.
pub type Filter<'a> = &'a dyn Fn(&str) -> bool;

/// Space for scores, kept by each thread from one question to the next.
#[derive(Default)]
struct Space {
    spans: Vec<Span>,
    lexical: Vec<f32>,
    cosines: Vec<f32>,
}

thread_local! {
    // Taken out while in use: a filter that searches itself gets space of its own.
    static SPACE: Cell<Space> = const { Cell::new(Space::new()) };
}

impl Space {
    const fn new() -> Self {
        Self {
            spans: Vec::new(),
            lexical: Vec::new(),
            cosines: Vec::new(),
        }
    }
}

/// What is searched.
pub(crate) struct Searched<'a> {
    pub(crate) blocks: &'a [Arc<Block>],
    pub(crate) corpus: Corpus,
}

impl Searched<'_> {
    /// The best `limit` agents by words and the best `limit` by their vectors, each
    /// once, in the order of their keys.
    pub(crate) fn search(
        &self,
        text: &str,
        query: Option<&Embedding>,
        limit: usize,
        filter: Option<Filter<'_>>,
    ) -> Vec<Hit> {
        if limit == 0 {
            return Vec::new();
        }
        let mut space = SPACE.take();
        let spans = std::mem::take(&mut space.spans);
        let mut question = Question::new(text, self.blocks, self.corpus, spans);
        let query = query.map(Query::new);
        let mut found = Found::new(limit, filter);
        for (number, block) in self.blocks.iter().enumerate() {
            question.leave_out(found.by_words.threshold());
            question.score(number, block, &mut space.lexical);
            match &query {
                Some(query) => query.scores(block.rows(), &mut space.cosines),
                None => space.cosines.clear(),
            }
            found.take(&Scores {
                number,
                block,
                question: &question,
                lexical: &space.lexical,
                cosines: &space.cosines,
            });
        }
        let hit = |candidate: &Candidate| self.hit(candidate, &question, query.is_some());
        let hits = found.best().iter().filter_map(hit).collect();
        space.spans = question.into_spans();
        SPACE.set(space);
        hits
    }

    fn hit(&self, found: &Candidate, question: &Question, encoded: bool) -> Option<Hit> {
        let block = self.blocks.get(found.block)?;
        let agent = block.agents().get(found.agent)?;
        let by_words = found.by_words.map(|(document, _)| document);
        let by_meaning = found.by_meaning.map(|(row, _)| block.document_of(row));
        let skill = block.skill_of(found.agent, by_meaning.or(by_words)?);
        let coverage = |document| question.coverage(found.block, block, document);
        let cosine = found.by_meaning.map_or(0.0, |(_, cosine)| cosine);
        Some(Hit {
            agent: Arc::clone(&agent.key),
            skill: agent.skills.get(skill)?.clone(),
            lexical: found.by_words.map_or(0.0, |(_, score)| score),
            coverage: by_words.map_or(0.0, coverage),
            vector: encoded.then_some(cosine),
        })
    }
}

/// The best of what was seen so far.
struct Found<'a> {
    filter: Option<Filter<'a>>,
    /// All that were ever among the best, in the order of the agents' keys.
    candidates: Vec<Candidate>,
    by_words: Best,
    by_meaning: Best,
    /// One agent's scores by all words.
    full: Vec<f32>,
}

/// What a question scores in one block.
struct Scores<'a> {
    /// The block's number.
    number: usize,
    block: &'a Block,
    question: &'a Question,
    /// BM25 of each text, see [`Question::score`]; empty where none has a word.
    lexical: &'a [f32],
    /// Of each row; empty without a query vector.
    cosines: &'a [f32],
}

/// One agent's best, each as a number within its block and the score.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    block: usize,
    agent: usize,
    /// A text, and BM25.
    by_words: Option<(usize, f32)>,
    /// A row, and its cosine.
    by_meaning: Option<(usize, f32)>,
}

impl<'a> Found<'a> {
    fn new(limit: usize, filter: Option<Filter<'a>>) -> Self {
        Self {
            filter,
            candidates: Vec::new(),
            by_words: Best::new(limit, 0.0),
            by_meaning: Best::new(limit, f32::NEG_INFINITY),
            full: Vec::new(),
        }
    }

    /// Looks through a block's scores. Either kind may be absent. Only agents with
    /// a score that is among the best are looked at; the others are passed over a
    /// stride of scores at a time.
    fn take(&mut self, scores: &Scores<'_>) {
        let block = scores.block;
        let by_words = |from: usize, best: &Best| {
            let from = block.documents(from).start;
            let threshold = scores.question.partial(best.threshold());
            let document = first_above(scores.lexical, from, threshold)?;
            Some(block.agent_of(document))
        };
        let by_meaning = |from: usize, best: &Best| {
            let from = block.agent_rows(from).start;
            let row = first_above(scores.cosines, from, best.threshold())?;
            Some(block.agent_of(block.document_of(row)))
        };
        let mut word = by_words(0, &self.by_words);
        let mut meaning = by_meaning(0, &self.by_meaning);
        while let Some(agent) = least(word, meaning) {
            self.consider(scores, agent);
            let next = agent + 1;
            if next >= block.agents().len() {
                break;
            }
            if word.is_some_and(|word| word < next) {
                word = by_words(next, &self.by_words);
            }
            if meaning.is_some_and(|meaning| meaning < next) {
                meaning = by_meaning(next, &self.by_meaning);
            }
        }
    }

    fn consider(&mut self, scores: &Scores<'_>, agent: usize) {
        let block = scores.block;
        let (documents, rows) = (block.documents(agent), block.agent_rows(agent));
        let (first_document, first_row) = (documents.start, rows.start);
        let texts = if scores.question.is_partial() {
            let full = &mut self.full;
            scores
                .question
                .score_within(scores.number, block, documents, full);
            full
        } else {
            scores.lexical.get(documents).unwrap_or_default()
        };
        let by_words = greatest(texts, 0.0).map(|(at, score)| (first_document + at, score));
        let rows = scores.cosines.get(rows).unwrap_or_default();
        let by_meaning =
            greatest(rows, f32::NEG_INFINITY).map(|(at, score)| (first_row + at, score));
        let is_among = |score: Option<(usize, f32)>, best: &Best| {
            score.is_some_and(|(_, score)| score > best.threshold())
        };
        if !is_among(by_words, &self.by_words) && !is_among(by_meaning, &self.by_meaning) {
            return;
        }
        let key = block.agents().get(agent).map(|agent| &agent.key);
        if !key.is_some_and(|key| self.filter.is_none_or(|filter| filter(key))) {
            return;
        }
        let at = self.candidates.len();
        if let Some((_, score)) = by_words {
            self.by_words.offer(score, at);
        }
        if let Some((_, score)) = by_meaning {
            self.by_meaning.offer(score, at);
        }
        self.candidates.push(Candidate {
            block: scores.number,
            agent,
            by_words,
            by_meaning,
        });
    }

    /// Those that stayed among the best, in the order of their keys.
    fn best(&self) -> Vec<Candidate> {
        let both = self.by_words.numbers().chain(self.by_meaning.numbers());
        let mut numbers: Vec<usize> = both.collect();
        numbers.sort_unstable();
        numbers.dedup();
        let candidate = |number: usize| self.candidates.get(number).copied();
        numbers.into_iter().filter_map(candidate).collect()
    }
}

/// The lesser of what there is.
fn least(one: Option<usize>, other: Option<usize>) -> Option<usize> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
