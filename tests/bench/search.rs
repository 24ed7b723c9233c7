//! The search for candidates among the cards: by words, by meaning, and the two
//! together as the router asks for them; and what it costs that a card changes.

mod cards;

use std::hint::black_box;

use anyhow::Result;
use kgents_encoder::{Embedding, Encoder, Quantized, Query};
use kgents_search::{AgentDoc, AgentKey, Index};

use crate::Settings;
use crate::encoder;
use crate::table::{Cell, Table};
use crate::timing::{Times, microseconds};
use cards::Cards;

/// Candidates the router is given at first.
const CANDIDATES: usize = 32;
/// Skills of all cards together.
const SKILLS: [usize; 3] = [1_000, 10_000, 100_000];

/// Measures with some hundred, some thousand and, unless a rough figure will do, some
/// ten thousand cards.
///
/// # Errors
/// Never with the cards that it makes.
pub fn run(settings: &Settings) -> Result<Vec<Table>> {
    let mut table = Table::new(
        "Search for candidates, one thread",
        &["", "vectors", "median µs", "p99 µs"],
    );
    let (sizes, times) = if settings.quick { (2, 50) } else { (3, 1_000) };
    for skills in SKILLS.into_iter().take(sizes) {
        Measured::new(skills, times)?.measure(&mut table)?;
    }
    table.note(
        "A card has one to five skills, with a vector each. Questions have up to a dozen words. \
         Cards and questions are generated; their \
         vectors are random directions, which a scan takes as long for.",
    );
    Ok(vec![table])
}

/// An index and what it is asked.
struct Measured {
    skills: usize,
    times: usize,
    index: Index,
    /// In the order of no index.
    vectors: Vec<Quantized>,
    questions: Vec<(String, Embedding)>,
    cards: Cards,
}

impl Measured {
    fn new(skills: usize, times: usize) -> Result<Self> {
        let mut cards = Cards::new(skills as u64);
        let agents = cards.agents(skills);
        let of_agent = |agent: &AgentDoc| agent.skills.clone();
        let vectors = agents.iter().flat_map(of_agent);
        Ok(Self {
            skills,
            times,
            vectors: vectors.flat_map(|skill| skill.vectors).collect(),
            index: Index::build(agents)?,
            questions: (0..times)
                .map(|_| (cards.question(), cards.vector()))
                .collect(),
            cards,
        })
    }

    fn measure(mut self, table: &mut Table) -> Result<()> {
        let (skills, vectors) = (self.skills, self.vectors.len());
        let mut row = |name: &str, vectors: usize, times: Times| {
            table.row([
                Cell::text(format!("{skills} skills: {name}")),
                Cell::Number(vectors as f64, 0),
                microseconds(times.median(), 0),
                microseconds(times.quantile(0.99), 0),
            ]);
        };
        row(
            "limit: reading the vectors once",
            vectors,
            Times::measure(self.times, || read(black_box(&self.vectors))),
        );
        row("the scan by meaning", vectors, self.scan());
        row("by words alone", 0, self.search(false));
        row("by both, the best 32", vectors, self.search(true));
        if let Ok(encoder) = encoder::open() {
            let whole = self.encoded(&encoder);
            row("encoding the question, then by both", vectors, whole);
        }
        row("a card changed", 0, self.change()?);
        Ok(())
    }

    /// What comparing takes where the vectors lie in one piece.
    fn scan(&self) -> Times {
        let mut scores = Vec::new();
        let mut questions = self.questions.iter().cycle();
        Times::measure(self.times, || {
            if let Some((_, vector)) = questions.next() {
                Query::new(vector).scores(&self.vectors, &mut scores);
            }
            black_box(scores.len())
        })
    }

    /// What the best candidates take, by words and perhaps by meaning.
    fn search(&self, by_meaning: bool) -> Times {
        let mut questions = self.questions.iter().cycle();
        Times::measure(self.times, || {
            let (text, vector) = questions.next()?;
            let vector = by_meaning.then_some(vector);
            Some(self.index.search(text, vector, CANDIDATES, None))
        })
    }

    /// What the best candidates take by both, from the question's words on.
    fn encoded(&self, encoder: &Encoder) -> Times {
        let mut questions = self.questions.iter().cycle();
        Times::measure(self.times, || {
            let (text, _) = questions.next()?;
            let vector = encoder.encode(text);
            Some(self.index.search(text, Some(&vector), CANDIDATES, None))
        })
    }

    /// What it takes to make the index after another card of one agent.
    fn change(&mut self) -> Result<Times> {
        let keys: Vec<AgentKey> = self.index.agents().cloned().collect();
        let picked = |cards: &mut Cards| {
            let key = keys.get(cards.below(keys.len()));
            key.map(|key| cards.agent(key)).into_iter().collect()
        };
        let mut next: Vec<Vec<AgentDoc>> =
            (0..=self.times).map(|_| picked(&mut self.cards)).collect();
        Ok(Times::try_measure(self.times, || {
            let add = next.pop().unwrap_or_default();
            let changed = self.index.change(&[], add)?;
            Ok::<_, kgents_search::Error>(std::mem::replace(&mut self.index, changed))
        })?)
    }
}

/// A sum over all bytes: what memory gives, without arithmetic to speak of.
fn read(vectors: &[Quantized]) -> u64 {
    let sum = |vector: &Quantized| {
        let (words, _) = vector.values.as_chunks::<8>();
        words
            .iter()
            .map(|word| u64::from_ne_bytes(word.map(i8::cast_unsigned)))
            .fold(0, u64::wrapping_add)
    };
    vectors.iter().map(sum).fold(0, u64::wrapping_add)
}
