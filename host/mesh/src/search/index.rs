//! The index over all agents' skills: lexical scores, and vector scores where
//! an encoder is loaded, brought together per agent.

use super::lexical::Lexical;
use kgents_encoder::{Embedding, Quantized};
use std::collections::HashMap;

/// What is known of one skill.
#[derive(Clone, Debug)]
pub struct SkillText {
    /// Number of the agent it belongs to, as the caller counts them.
    pub agent: u32,
    /// The skill's name.
    pub name: String,
    /// Everything that is said of it, for the lexical half.
    pub text: String,
    /// Embeddings of the text and of each example; empty without an encoder.
    pub vectors: Vec<Quantized>,
}

/// The scores of one agent's best skill.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// The agent's number.
    pub agent: u32,
    /// Name of the skill that fits best.
    pub skill: String,
    /// BM25, 0.0 or more: the best of the agent's skills.
    pub lexical: f32,
    /// Rarity-weighted share of the query's words, 0.0 to 1.0.
    pub coverage: f32,
    /// Best cosine, -1.0 to 1.0; `None` without an encoder.
    pub vector: Option<f32>,
}

/// Skills, searchable.
#[derive(Default)]
pub struct Index {
    lexical: Lexical,
    skills: Vec<Skill>,
    rows: Vec<Quantized>,
    /// Skill of each row.
    owners: Vec<u32>,
}

struct Skill {
    agent: u32,
    name: String,
}

impl Index {
    /// Builds the index.
    pub fn build(skills: Vec<SkillText>) -> Self {
        let mut index = Self::default();
        for skill in skills {
            let number = index.lexical.add(&skill.text);
            index.skills.push(Skill {
                agent: skill.agent,
                name: skill.name,
            });
            for vector in skill.vectors {
                index.rows.push(vector);
                index.owners.push(number);
            }
        }
        index
    }

    /// Number of skills.
    pub fn len(&self) -> usize {
        self.skills.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.skills.is_empty()
    }

    /// The best `limit` agents by either half, in no particular order. An agent
    /// is in when its lexical or its vector score is among the best `limit`.
    pub fn search(&self, text: &str, query: Option<&Embedding>, limit: usize) -> Vec<Hit> {
        let lexical = self.lexical.scores(text);
        let mut agents: HashMap<u32, Best> = HashMap::new();
        for (number, score) in &lexical {
            let Some(skill) = self.skills.get(*number as usize) else {
                continue;
            };
            let best = agents.entry(skill.agent).or_default();
            // Of two skills that fit alike the first on the card is named, so
            // that the same question always has the same reason.
            let first = best.lexical_skill.is_none_or(|other| *number < other);
            if score.bm25 > best.lexical || (score.bm25 == best.lexical && first) {
                best.lexical = score.bm25;
                best.coverage = score.coverage;
                best.lexical_skill = Some(*number);
            }
        }
        if let Some(query) = query {
            self.add_vectors(query, &mut agents);
        }
        let mut hits: Vec<(u32, Best)> = agents.into_iter().collect();
        keep_best(&mut hits, limit);
        hits.into_iter()
            .map(|(agent, best)| self.hit(agent, &best, query.is_some()))
            .collect()
    }

    fn add_vectors(&self, query: &Embedding, agents: &mut HashMap<u32, Best>) {
        let mut cosines = Vec::with_capacity(self.rows.len());
        kgents_encoder::scores(query, &self.rows, &mut cosines);
        for (cosine, owner) in cosines.iter().zip(&self.owners) {
            let Some(skill) = self.skills.get(*owner as usize) else {
                continue;
            };
            let best = agents.entry(skill.agent).or_default();
            if best.vector.is_none_or(|old| *cosine > old) {
                best.vector = Some(*cosine);
                best.vector_skill = Some(*owner);
            }
        }
    }

    fn hit(&self, agent: u32, best: &Best, encoded: bool) -> Hit {
        let skill = best.vector_skill.or(best.lexical_skill);
        Hit {
            agent,
            skill: skill
                .and_then(|number| self.skills.get(number as usize))
                .map(|skill| skill.name.clone())
                .unwrap_or_default(),
            lexical: best.lexical,
            coverage: best.coverage,
            vector: encoded.then(|| best.vector.unwrap_or(0.0)),
        }
    }
}

#[derive(Clone, Copy, Default)]
struct Best {
    lexical: f32,
    coverage: f32,
    lexical_skill: Option<u32>,
    vector: Option<f32>,
    vector_skill: Option<u32>,
}

/// Keeps the union of the best `limit` by vector and the best `limit` by words.
fn keep_best(hits: &mut Vec<(u32, Best)>, limit: usize) {
    if hits.len() <= limit {
        return;
    }
    let cut = |mut scores: Vec<f32>| {
        let index = limit.saturating_sub(1).min(scores.len().saturating_sub(1));
        *scores
            .select_nth_unstable_by(index, |a, b| b.total_cmp(a))
            .1
    };
    let lexical = cut(hits.iter().map(|(_, b)| b.lexical).collect());
    let vector = cut(hits
        .iter()
        .map(|(_, b)| b.vector.unwrap_or(f32::MIN))
        .collect());
    hits.retain(|(_, b)| {
        (b.lexical >= lexical && b.lexical > 0.0) || b.vector.is_some_and(|v| v >= vector)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skill(agent: u32, name: &str, text: &str) -> SkillText {
        SkillText {
            agent,
            name: name.into(),
            text: text.into(),
            vectors: Vec::new(),
        }
    }

    #[test]
    fn an_agent_is_scored_by_its_best_skill() {
        let index = Index::build(vec![
            skill(7, "greet", "say hello"),
            skill(7, "translate", "translate legal documents"),
            skill(8, "book", "book flights"),
        ]);
        let hits = index.search("translate documents", None, 5);
        assert_eq!(hits.len(), 1);
        assert_eq!((hits[0].agent, hits[0].skill.as_str()), (7, "translate"));
        assert_eq!(hits[0].vector, None);
    }

    #[test]
    fn no_more_than_the_best_are_returned() {
        let skills = (0..50).map(|n| skill(n, "s", &format!("report {}", "x ".repeat(n as usize))));
        let hits = Index::build(skills.collect()).search("report", None, 5);
        assert!(hits.len() <= 10 && hits.iter().any(|hit| hit.agent == 0));
    }
}
