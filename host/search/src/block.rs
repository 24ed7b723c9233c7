//! A block: neighbouring agents with everything that is searched, immutable.
//! A change replaces the block it falls into and shares all others.

use crate::document::{AgentDoc, AgentKey};
use crate::postings::{Builder, Postings, Renumbered, Unfolded};
use kgents_encoder::Quantized;
use std::ops::Range;
use std::sync::Arc;

/// Most a block weighs, unless it is one heavy agent. Measured: smaller ones make
/// questions slower (a word is looked up in every block), larger ones changes.
#[cfg(not(test))]
pub(crate) const WEIGHT_MAX: usize = 4096;
/// Small in unit tests, so that a few agents are cut and joined all the time.
#[cfg(test)]
pub(crate) const WEIGHT_MAX: usize = 64;

/// Where blocks are cut when one has become too heavy, so that there is room for
/// further changes.
const WEIGHT_AIM: usize = WEIGHT_MAX * 3 / 4;

/// Below this a changed block is joined with its neighbour.
pub(crate) const WEIGHT_MIN: usize = WEIGHT_MAX / 4;

/// What an agent adds to the cost of rebuilding a block: itself, its texts, its vectors.
pub(crate) fn weight(skills: usize, vectors: usize) -> usize {
    1 + skills + vectors
}

/// An agent as a block holds it; shared by all blocks that it is rebuilt into.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) key: AgentKey,
    /// Names of its skills, in the order of its card.
    pub(crate) skills: Vec<String>,
}

/// Neighbouring agents, at least one.
#[derive(Debug)]
pub(crate) struct Block {
    /// In the order of their keys.
    agents: Vec<Arc<Agent>>,
    /// Where each agent's texts begin, and where the last ones end.
    first_documents: Vec<u32>,
    /// Where each text's rows begin, and where the last ones end.
    first_rows: Vec<u32>,
    rows: Vec<Quantized>,
    pub(crate) postings: Postings,
}

/// What a block is made of: an agent of an old block or a new one.
pub(crate) enum Source<'a> {
    Kept { old: &'a Old<'a>, agent: usize },
    New(AgentDoc),
}

/// An old block, opened to be rebuilt.
pub(crate) struct Old<'a> {
    block: &'a Block,
    words: Unfolded<'a>,
}

impl<'a> Old<'a> {
    pub(crate) fn new(block: &'a Block) -> Self {
        Self {
            block,
            words: block.postings.unfolded(),
        }
    }

    /// Its agents, with their keys.
    pub(crate) fn agents(&'a self) -> impl Iterator<Item = (&'a AgentKey, Source<'a>)> {
        let kept = move |(agent, known): (usize, &'a Arc<Agent>)| {
            (&known.key, Source::Kept { old: self, agent })
        };
        self.block.agents.iter().enumerate().map(kept)
    }
}

impl Source<'_> {
    fn weight(&self) -> usize {
        match self {
            Source::Kept { old, agent } => old.block.agent_weight(*agent),
            Source::New(doc) => weight(doc.skills.len(), doc.vectors()),
        }
    }
}

/// Builds the blocks for agents in the order of their keys, none for none.
pub(crate) fn build(sources: Vec<Source<'_>>) -> Vec<Arc<Block>> {
    let total: usize = sources.iter().map(Source::weight).sum();
    let share = if total <= WEIGHT_MAX {
        WEIGHT_MAX
    } else {
        total.div_ceil(total.div_ceil(WEIGHT_AIM))
    };
    let mut blocks = Vec::new();
    let mut making = Making::default();
    let mut so_far = 0;
    for source in sources {
        let more = source.weight();
        if so_far > 0 && so_far + more > share {
            blocks.push(std::mem::take(&mut making).finish());
            so_far = 0;
        }
        so_far += more;
        making.add(source);
    }
    if so_far > 0 {
        blocks.push(making.finish());
    }
    blocks
}

/// A block in the making.
#[derive(Default)]
struct Making<'a> {
    agents: Vec<Arc<Agent>>,
    first_documents: Vec<u32>,
    first_rows: Vec<u32>,
    rows: Vec<Quantized>,
    words: Builder,
    /// Per old block: which of its words have which number here.
    renumbered: Vec<(&'a Block, Renumbered)>,
}

impl<'a> Making<'a> {
    fn add(&mut self, source: Source<'a>) {
        self.first_documents.push(self.first_rows.len() as u32);
        match source {
            Source::Kept { old, agent } => self.keep(old, agent),
            Source::New(doc) => self.add_new(doc),
        }
    }

    fn add_new(&mut self, doc: AgentDoc) {
        let mut names = Vec::with_capacity(doc.skills.len());
        for skill in doc.skills {
            self.first_rows.push(self.rows.len() as u32);
            self.words.add(&skill.text);
            self.rows.extend(skill.vectors);
            names.push(skill.name);
        }
        self.agents.push(Arc::new(Agent {
            key: doc.agent,
            skills: names,
        }));
    }

    fn keep(&mut self, old: &'a Old<'a>, agent: usize) {
        let Some(known) = old.block.agents.get(agent) else {
            return;
        };
        self.agents.push(Arc::clone(known));
        let same = |(block, _): &(&Block, _)| std::ptr::eq(*block, old.block);
        if !self.renumbered.iter().any(same) {
            self.renumbered.push((old.block, old.words.renumbered()));
        }
        let Some((_, renumbered)) = self.renumbered.iter_mut().find(|known| same(known)) else {
            return;
        };
        for document in old.block.documents(agent) {
            self.first_rows.push(self.rows.len() as u32);
            self.words.keep(&old.words, document, renumbered);
            let rows = old.block.document_rows(document);
            let rows = old.block.rows.get(rows).unwrap_or_default();
            self.rows.extend_from_slice(rows);
        }
    }

    fn finish(mut self) -> Arc<Block> {
        self.first_documents.push(self.first_rows.len() as u32);
        self.first_rows.push(self.rows.len() as u32);
        self.agents.shrink_to_fit();
        self.first_documents.shrink_to_fit();
        self.first_rows.shrink_to_fit();
        self.rows.shrink_to_fit();
        Arc::new(Block {
            agents: self.agents,
            first_documents: self.first_documents,
            first_rows: self.first_rows,
            rows: self.rows,
            postings: self.words.finish(),
        })
    }
}

impl Block {
    /// The first agent's key: where the block begins.
    pub(crate) fn first_key(&self) -> &str {
        self.agents.first().map_or("", |agent| &agent.key)
    }

    /// Its agents, in the order of their keys.
    pub(crate) fn agents(&self) -> &[Arc<Agent>] {
        &self.agents
    }

    /// An agent by its key.
    pub(crate) fn find(&self, key: &str) -> Option<usize> {
        let found = self.agents.binary_search_by(|agent| (*agent.key).cmp(key));
        found.ok()
    }

    /// Number of texts, one for each skill.
    pub(crate) fn document_count(&self) -> usize {
        self.first_rows.len().saturating_sub(1)
    }

    /// All vectors.
    pub(crate) fn rows(&self) -> &[Quantized] {
        &self.rows
    }

    /// What it costs to rebuild.
    pub(crate) fn weight(&self) -> usize {
        self.agents.len() + self.document_count() + self.rows.len()
    }

    /// What one agent adds to that.
    pub(crate) fn agent_weight(&self, agent: usize) -> usize {
        weight(self.documents(agent).len(), self.agent_rows(agent).len())
    }

    /// An agent's texts.
    pub(crate) fn documents(&self, agent: usize) -> Range<usize> {
        range(&self.first_documents, agent)
    }

    /// A text's rows.
    pub(crate) fn document_rows(&self, document: usize) -> Range<usize> {
        range(&self.first_rows, document)
    }

    /// An agent's rows.
    pub(crate) fn agent_rows(&self, agent: usize) -> Range<usize> {
        let documents = self.documents(agent);
        let at = |document| self.first_rows.get(document).map_or(0, |row| *row as usize);
        at(documents.start)..at(documents.end)
    }

    /// Whose text it is.
    pub(crate) fn agent_of(&self, document: usize) -> usize {
        owner(&self.first_documents, document)
    }

    /// Which text the row is of.
    pub(crate) fn document_of(&self, row: usize) -> usize {
        owner(&self.first_rows, row)
    }

    /// The number of a text among its agent's skills.
    pub(crate) fn skill_of(&self, agent: usize, document: usize) -> usize {
        document.saturating_sub(self.documents(agent).start)
    }

    /// Bytes on the heap, names included.
    pub(crate) fn bytes(&self) -> usize {
        let named = |agent: &Arc<Agent>| {
            let names: usize = agent.skills.iter().map(String::capacity).sum();
            // Two reference counts go with each shared part.
            let shared = size_of::<Agent>() + agent.key.len() + 4 * size_of::<usize>();
            shared + names + agent.skills.capacity() * size_of::<String>()
        };
        self.agents.iter().map(named).sum::<usize>()
            + self.agents.capacity() * size_of::<Arc<Agent>>()
            + (self.first_documents.capacity() + self.first_rows.capacity()) * size_of::<u32>()
            + self.rows.capacity() * size_of::<Quantized>()
            + self.postings.bytes()
            + size_of::<Self>()
    }
}

/// Where the parts of `at` lie.
fn range(firsts: &[u32], at: usize) -> Range<usize> {
    match (firsts.get(at), firsts.get(at + 1)) {
        (Some(start), Some(end)) => *start as usize..*end as usize,
        _ => 0..0,
    }
}

/// Whose part it is: the last one that begins at or before it. One without parts
/// begins where the next one does, and is not meant.
fn owner(firsts: &[u32], part: usize) -> usize {
    firsts
        .partition_point(|first| *first as usize <= part)
        .saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::SkillDoc;

    fn agent(key: &str, skills: usize) -> AgentDoc {
        let skill = |number| SkillDoc {
            name: format!("s{number}"),
            text: format!("{key} does {number}"),
            vectors: Vec::new(),
        };
        AgentDoc {
            agent: key.into(),
            skills: (0..skills).map(skill).collect(),
        }
    }

    #[test]
    fn an_agent_without_skills_owns_no_text() {
        let docs = [agent("a", 0), agent("b", 2), agent("c", 0), agent("d", 1)];
        let blocks = build(docs.into_iter().map(Source::New).collect());
        let block = &blocks[0];
        assert_eq!((blocks.len(), block.document_count()), (1, 3));
        let owners: Vec<usize> = (0..3).map(|document| block.agent_of(document)).collect();
        assert_eq!(owners, [1, 1, 3]);
        assert_eq!((block.find("c"), block.documents(2)), (Some(2), 2..2));
    }

    #[test]
    fn a_heavy_agent_has_a_block_of_its_own() {
        let docs = [
            agent("a", 1),
            agent("b", WEIGHT_MAX * 2),
            agent("c", 1),
            agent("d", 1),
        ];
        let blocks = build(docs.into_iter().map(Source::New).collect());
        let keys: Vec<&str> = blocks.iter().map(|block| block.first_key()).collect();
        assert_eq!(keys, ["a", "b", "c"]);
    }

    #[test]
    fn blocks_are_cut_evenly_with_room_for_more() {
        let docs = (0..5000).map(|number| agent(&format!("{number:05}"), 1));
        let blocks = build(docs.map(Source::New).collect());
        for block in &blocks {
            assert!((WEIGHT_MIN..=WEIGHT_MAX).contains(&block.weight()));
        }
        let agents: usize = blocks.iter().map(|block| block.agents().len()).sum();
        assert_eq!(agents, 5000);
    }
}
