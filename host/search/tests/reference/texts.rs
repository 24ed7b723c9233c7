//! Agents to test with: few words and few vectors, so that there are many ties.

use super::{AgentDoc, SkillDoc};
use kgents_encoder::{DIMENSIONS, Embedding};
use std::sync::LazyLock;

/// Words, the first more often than the last.
pub const WORDS: [&str; 16] = [
    "the",
    "a",
    "for",
    "report",
    "translate",
    "invoice",
    "contract",
    "flight",
    "Köln",
    "übersetze",
    "مرحبا",
    "日本",
    "gdpr",
    "2024",
    "refund",
    "zebra",
];

/// Numbers that follow from a seed, for the same agents every time.
pub struct Numbers(pub u64);

impl Numbers {
    /// A number below `end`, which has to be above 0.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % end as u64) as usize
    }

    /// A text of up to `length` words.
    pub fn text(&mut self, length: usize) -> String {
        let words = (0..self.below(length + 1)).map(|_| {
            let least = self.below(WORDS.len()).min(self.below(WORDS.len()));
            WORDS[least]
        });
        let words = words.collect::<Vec<_>>().join(" ");
        // A word that nearly all have, as in life.
        let common = if self.below(12) == 0 { "" } else { "of " };
        format!("{common}{words}")
    }

    /// An agent with up to `skills` skills.
    pub fn agent(&mut self, name: &str, skills: usize) -> AgentDoc {
        let skills = (0..self.below(skills + 1)).map(|number| SkillDoc {
            name: format!("skill {number}"),
            text: self.text(12),
            vectors: (0..self.below(4))
                .map(|_| VECTORS[self.below(VECTORS.len())].quantised())
                .collect(),
        });
        AgentDoc {
            agent: name.into(),
            skills: skills.collect(),
        }
    }
}

/// A few vectors.
pub static VECTORS: LazyLock<Vec<Embedding>> = LazyLock::new(|| {
    let mut numbers = Numbers(7);
    let mut vector = || {
        let values: [f32; DIMENSIONS] =
            std::array::from_fn(|_| numbers.below(2001) as f32 - 1000.0);
        Embedding::normalised(&values).unwrap()
    };
    (0..12).map(|_| vector()).collect()
});
