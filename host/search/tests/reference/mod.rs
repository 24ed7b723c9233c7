//! What a search is by its definition, agent by agent, with nothing kept between
//! questions. Written apart from the index, for its tests.

use super::{AgentDoc, Hit, SkillDoc, words};
use kgents_encoder::{Embedding, Quantized};
use std::collections::{BTreeMap, BTreeSet};

/// The agents by name.
pub type Agents = BTreeMap<String, AgentDoc>;

/// The hits that the index has to give, to the bit.
pub fn search(
    agents: &Agents,
    text: &str,
    query: Option<&Embedding>,
    limit: usize,
    filter: &dyn Fn(&str) -> bool,
) -> Vec<Hit> {
    let counted: Vec<(&AgentDoc, Vec<Words>)> = agents
        .values()
        .map(|agent| (agent, agent.skills.iter().map(Words::of).collect()))
        .collect();
    let question = Question::of(text, counted.iter().flat_map(|(_, skills)| skills));
    let allowed = counted.iter().filter(|(agent, _)| filter(&agent.agent));
    let scored: Vec<Scored> = allowed
        .map(|(agent, skills)| scored(agent, skills, &question, query))
        .collect();
    let mut chosen = BTreeSet::new();
    chosen.extend(best(&scored, limit, |one| {
        Some(one.hit.lexical).filter(|score| *score > 0.0)
    }));
    chosen.extend(best(&scored, limit, |one| one.cosine));
    chosen
        .into_iter()
        .map(|at| scored[at].hit.clone())
        .collect()
}

/// An agent's hit, and the best cosine where it has any vector.
struct Scored {
    hit: Hit,
    cosine: Option<f32>,
}

fn best(all: &[Scored], limit: usize, score: impl Fn(&Scored) -> Option<f32>) -> Vec<usize> {
    let scored = all.iter().enumerate();
    let mut scored: Vec<(usize, f32)> = scored
        .filter_map(|(at, one)| Some((at, score(one)?)))
        .collect();
    // Stable, so equal scores stay in the order of the names.
    scored.sort_by(|a, b| b.1.total_cmp(&a.1));
    scored.into_iter().take(limit).map(|(at, _)| at).collect()
}

struct Words {
    counts: BTreeMap<String, u16>,
    length: u16,
}

impl Words {
    fn of(skill: &SkillDoc) -> Self {
        let mut counts = BTreeMap::new();
        let mut length = 0;
        for word in words::words(&skill.text) {
            *counts.entry(word.into_owned()).or_default() += 1;
            length += 1;
        }
        Self { counts, length }
    }
}

struct Question {
    /// In order, with their rarity.
    words: Vec<(String, f32)>,
    mean: f32,
}

impl Question {
    fn of<'a>(text: &str, texts: impl Iterator<Item = &'a Words>) -> Self {
        let texts: Vec<&Words> = texts.collect();
        let length: u64 = texts.iter().map(|text| u64::from(text.length)).sum();
        let asked: BTreeSet<String> = words::words(text).map(|word| word.into_owned()).collect();
        let count = texts.len() as f32;
        let rarity = |word: &String| {
            let with = texts
                .iter()
                .filter(|text| text.counts.contains_key(word))
                .count() as f32;
            ((count - with + 0.5) / (with + 0.5)).ln_1p()
        };
        Self {
            words: asked
                .into_iter()
                .map(|word| (word.clone(), rarity(&word)))
                .collect(),
            mean: (length as f64 / (texts.len() as f64).max(1.0)).max(1.0) as f32,
        }
    }

    /// BM25 and coverage.
    fn score(&self, text: &Words) -> (f32, f32) {
        let (mut bm25, mut covered, mut total) = (0.0, 0.0, 0.0);
        for (word, rarity) in &self.words {
            total += rarity;
            if let Some(count) = text.counts.get(word) {
                let count = f32::from(*count);
                let norm = 1.2f32 * (1.0 - 0.75) + 1.2 * 0.75 / self.mean * f32::from(text.length);
                bm25 += rarity * (count * (1.2 + 1.0) / (count + norm));
                covered += rarity;
            }
        }
        let coverage = if total > 0.0 {
            (covered / total).min(1.0)
        } else {
            0.0
        };
        (bm25, coverage)
    }
}

fn scored(
    agent: &AgentDoc,
    texts: &[Words],
    question: &Question,
    query: Option<&Embedding>,
) -> Scored {
    let (mut lexical, mut coverage, mut by_words) = (0.0, 0.0, None);
    for (skill, text) in agent.skills.iter().zip(texts) {
        let (bm25, share) = question.score(text);
        if bm25 > lexical {
            (lexical, coverage, by_words) = (bm25, share, Some(&skill.name));
        }
    }
    let (mut most, mut by_meaning) = (None, None);
    for skill in &agent.skills {
        for vector in &skill.vectors {
            let cosine = query.map(|query| cosine(query, vector));
            if cosine.is_some() && (most.is_none() || cosine > most) {
                (most, by_meaning) = (cosine, Some(&skill.name));
            }
        }
    }
    let hit = Hit {
        agent: agent.agent.clone(),
        skill: by_meaning.or(by_words).cloned().unwrap_or_default(),
        lexical,
        coverage,
        vector: query.map(|_| most.unwrap_or(0.0)),
    };
    Scored { hit, cosine: most }
}

fn cosine(query: &Embedding, vector: &Quantized) -> f32 {
    let mut out = Vec::new();
    kgents_encoder::scores(query, std::slice::from_ref(vector), &mut out);
    out[0]
}
