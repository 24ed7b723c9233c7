//! What is known of an agent, as the index takes it in.

use crate::error::Error;
use kgents_encoder::Quantized;
use std::sync::Arc;

/// An agent's name, unique in an index. Its byte order decides among equals.
pub type AgentKey = Arc<str>;

/// Most skills of one agent. A block numbers its skills with 16 bits.
pub const SKILLS_MAX: usize = u16::MAX as usize;

/// Most vectors of one agent, over all of its skills: 50 MB, and minutes of an
/// encoder. Far beyond what a card may hold; it keeps row numbers within 32 bits.
pub const VECTORS_MAX: usize = 1 << 17;

/// One agent.
#[derive(Clone, Debug)]
pub struct AgentDoc {
    /// Its name.
    pub agent: AgentKey,
    /// Its skills in the order of its card; none is allowed, it is never found then.
    pub skills: Vec<SkillDoc>,
}

/// One skill of an agent.
#[derive(Clone, Debug)]
pub struct SkillDoc {
    /// The skill's name.
    pub name: String,
    /// Everything that is said of it, for the words. Read up to
    /// [`crate::words::QUESTION_BYTES_MAX`].
    pub text: String,
    /// The vector of the text, then one for each example; empty without an encoder.
    pub vectors: Vec<Quantized>,
}

impl AgentDoc {
    /// Number of vectors over all skills.
    pub fn vectors(&self) -> usize {
        self.skills.iter().map(|skill| skill.vectors.len()).sum()
    }

    /// Whether an index can number everything in it.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let agent = || self.agent.to_string();
        let (skills, vectors) = (self.skills.len(), self.vectors());
        if skills > SKILLS_MAX {
            return Err(Error::Skills {
                agent: agent(),
                skills,
            });
        }
        if vectors > VECTORS_MAX {
            return Err(Error::Vectors {
                agent: agent(),
                vectors,
            });
        }
        Ok(())
    }
}
