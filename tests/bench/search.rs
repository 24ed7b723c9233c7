//! The search for candidates among the cards: by words, by meaning, and the
//! two together as the router asks for them.

use std::hint::black_box;

use anyhow::Result;
use kgents_encoder::{DIMENSIONS, Embedding, Quantized};
use kgents_mesh::search::{Index, SkillText};

use crate::table::{Cell, Table};
use crate::timing::{Times, microseconds};
use crate::{Settings, encoder};

/// Vectors of one skill: of its description and of two examples.
const VECTORS: usize = 3;
/// Candidates the router is given at first.
const CANDIDATES: usize = 32;
const QUESTION: &str = "who can translate the quarterly sales report into German by tomorrow?";

const DEEDS: [&str; 12] = [
    "translate",
    "summarise",
    "review",
    "book",
    "plan",
    "forecast",
    "monitor",
    "classify",
    "extract",
    "schedule",
    "approve",
    "compare",
];
const THINGS: [&str; 16] = [
    "contracts",
    "invoices",
    "flights",
    "reports",
    "tickets",
    "budgets",
    "servers",
    "shipments",
    "emails",
    "recipes",
    "portfolios",
    "patents",
    "interviews",
    "meetings",
    "pipelines",
    "claims",
];
const FIELDS: [&str; 10] = [
    "legal",
    "sales",
    "medical",
    "quarterly",
    "public",
    "German",
    "marine",
    "urgent",
    "regional",
    "archived",
];

/// Measures with a thousand and with ten thousand cards.
///
/// # Errors
/// Never; it is fallible like the others.
pub fn run(settings: &Settings) -> Result<Vec<Table>> {
    let mut table = Table::new(
        "Search for candidates, one thread",
        &["", "vectors", "median µs", "p99 µs"],
    );
    let times = if settings.quick { 50 } else { 1_000 };
    let encoder = encoder::open().ok();
    let query = match &encoder {
        Some(encoder) => encoder.encode(QUESTION),
        None => direction(0)?,
    };
    for cards in [1_000, 10_000] {
        let vectors: Vec<Quantized> = (0..cards * VECTORS)
            .map(|number| direction(number).map(|direction| direction.quantised()))
            .collect::<Result<_>>()?;
        let skills = (0..).zip(vectors.chunks(VECTORS)).map(|(agent, vectors)| {
            let text = text(agent as usize);
            SkillText {
                agent,
                name: text.clone(),
                text,
                vectors: vectors.to_vec(),
            }
        });
        let index = Index::build(skills.collect());
        let mut row = |name: &str, vectors: usize, times: Times| {
            table.row([
                Cell::text(format!("{cards} cards: {name}")),
                Cell::Number(vectors as f64, 0),
                microseconds(times.median(), 0),
                microseconds(times.quantile(0.99), 0),
            ]);
        };
        row(
            "limit: reading the vectors once",
            vectors.len(),
            Times::measure(times, || read(black_box(&vectors))),
        );
        let mut scores = Vec::new();
        let scan = Times::measure(times, || {
            kgents_encoder::scores(&query, &vectors, &mut scores);
            black_box(scores.len())
        });
        row("the scan by meaning", vectors.len(), scan);
        let words = Times::measure(times, || {
            black_box(index.search(QUESTION, None, CANDIDATES))
        });
        row("by words alone", 0, words);
        let both = Times::measure(times, || {
            black_box(index.search(QUESTION, Some(&query), CANDIDATES))
        });
        row("by both, the best 32", vectors.len(), both);
    }
    table.note(format!(
        "Each card has one skill with {VECTORS} vectors. Encoding the question comes on top (see the encoder). \
         Cards are generated; their vectors {}.",
        "are random directions, which a scan takes as long for"
    ));
    Ok(vec![table])
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

/// What the card of so many says of its skill: few say the same.
fn text(number: usize) -> String {
    let pick = |words: &[&'static str], place: usize| {
        words.get(place % words.len()).copied().unwrap_or_default()
    };
    let (deed, thing, field) = (
        pick(&DEEDS, number),
        pick(&THINGS, number / DEEDS.len()),
        pick(&FIELDS, number / (DEEDS.len() * THINGS.len())),
    );
    format!(
        "{deed} {field} {thing}. Team {number} helps to {deed} {thing} for {field} matters. \
         Please {deed} these {field} {thing} by tomorrow."
    )
}

/// A direction that looks random and is the same in every run.
fn direction(number: usize) -> Result<Embedding> {
    // Source: Steele, Lea and Flood, "Fast splittable pseudorandom number
    // generators", 2014 (SplitMix64).
    let mut state = number as u64;
    let mut values = [0.0; DIMENSIONS];
    for value in &mut values {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        *value = ((mixed ^ (mixed >> 31)) >> 40) as f32 / (1_u64 << 24) as f32 - 0.5;
    }
    Ok(Embedding::normalised(&values)?)
}
