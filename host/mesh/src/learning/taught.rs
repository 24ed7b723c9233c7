//! What operators teach in files: questions that belong to an agent, and
//! questions that do not.

/// One file of examples, checked by whoever read it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taught {
    /// The file, relative to the mesh folder; its author in the lesson.
    pub file: String,
    /// The agent that the examples are for; it may come later.
    pub agent: String,
    /// The id of its skill; none: the skill whose words each example shares most.
    pub skill: Option<String>,
    /// What people say who want this.
    pub examples: Vec<String>,
    /// What people say who do not.
    pub counter_examples: Vec<String>,
}

/// A text as the lesson compares it: what is alike here is one and the same line.
/// Empty when it has no word, and nothing can be learnt from it.
pub fn as_learnt(text: &str) -> String {
    kgents_search::words::normalise(text)
}

/// A file that names what is not registered, as a sentence for the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Unknown {
    /// There is no such agent, yet.
    Agent {
        /// The file.
        file: String,
        /// The name.
        agent: String,
    },
    /// The agent has no such skill.
    Skill {
        /// The file.
        file: String,
        /// The agent.
        agent: String,
        /// The id.
        skill: String,
    },
}

impl std::fmt::Display for Unknown {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Agent { file, agent } => write!(
                formatter,
                "{file}: spec.agent: there is no agent `{agent}` yet; its examples count once it is registered"
            ),
            Self::Skill { file, agent, skill } => write!(
                formatter,
                "{file}: spec.skill: `{agent}` has no skill `{skill}`; give the id of one of its skills, or none"
            ),
        }
    }
}
