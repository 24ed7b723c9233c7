//! The index: blocks of neighbouring agents, in the order of their keys. A snapshot
//! that never changes; a change makes another, which shares what it did not touch.

use crate::block::{self, Block, Old, Source};
use crate::document::{AgentDoc, AgentKey};
use crate::error::Error;
use crate::postings::Corpus;
use crate::search::{Filter, Hit, Searched};
use kgents_encoder::Embedding;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Agents' skills, searchable. A clone is another handle on the same snapshot.
///
/// What it answers depends on the agents in it alone, not on the changes that led
/// there: all counts are exact and every sum has one order.
#[derive(Clone, Debug, Default)]
pub struct Index {
    blocks: Arc<[Arc<Block>]>,
    skills: u64,
    words: u64,
}

/// How large an index is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Agents, with or without skills.
    pub agents: usize,
    /// Skills.
    pub skills: usize,
    /// Vectors.
    pub rows: usize,
    /// Blocks: the unit of sharing between snapshots.
    pub blocks: usize,
    /// Bytes on the heap, without what allocating costs.
    pub bytes: usize,
}

impl Index {
    /// An index of these agents; of two with one key the last counts.
    ///
    /// # Errors
    /// When an agent is too large; see [`Error`].
    pub fn build(agents: Vec<AgentDoc>) -> Result<Self, Error> {
        Self::default().change(&[], agents)
    }

    /// The index after a change: first agents are taken out, then others are put in,
    /// each in place of one of the same key. An agent to be taken out that is not in
    /// it is passed over; of two to be put in with one key the last counts.
    ///
    /// Takes time in proportion to the change: every agent in it costs at most the
    /// rebuilding of two blocks, some milliseconds.
    ///
    /// # Errors
    /// When an agent is too large; see [`Error`].
    pub fn change(&self, remove: &[AgentKey], add: Vec<AgentDoc>) -> Result<Self, Error> {
        let mut changes: Changes = remove.iter().map(|key| (Arc::clone(key), None)).collect();
        for agent in add {
            agent.check()?;
            changes.insert(Arc::clone(&agent.agent), Some(agent));
        }
        let mut runs: Vec<Run<'_>> = Vec::with_capacity(self.blocks.len());
        for run in self.runs(changes) {
            match runs.last_mut() {
                Some(last) if last.is_short() => last.join(run),
                _ => runs.push(run),
            }
        }
        if runs.last().is_some_and(Run::is_short)
            && let Some(short) = runs.pop()
        {
            match runs.last_mut() {
                Some(last) => last.join(short),
                None => runs.push(short),
            }
        }
        Ok(Self::of(runs.into_iter().flat_map(Run::rebuilt).collect()))
    }

    fn of(blocks: Arc<[Arc<Block>]>) -> Self {
        let skills = |block: &Arc<Block>| block.document_count() as u64;
        let words = |block: &Arc<Block>| block.postings.length_total();
        Self {
            skills: blocks.iter().map(skills).sum(),
            words: blocks.iter().map(words).sum(),
            blocks,
        }
    }

    /// Every block with the changes that fall into it.
    fn runs(&self, changes: Changes) -> Vec<Run<'_>> {
        let mut changes = changes.into_iter().peekable();
        if self.blocks.is_empty() {
            let new = changes.filter(|(_, agent)| agent.is_some());
            return vec![Run::new(None, new.collect())];
        }
        let ends = self.blocks.iter().skip(1).map(|block| block.first_key());
        let ends = ends.map(Some).chain([None]);
        let mut runs = Vec::with_capacity(self.blocks.len());
        for (block, end) in self.blocks.iter().zip(ends) {
            let mut here = Vec::new();
            let is_here = |(key, _): &Change| end.is_none_or(|end| &**key < end);
            while let Some((key, agent)) = changes.next_if(is_here) {
                if agent.is_some() || block.find(&key).is_some() {
                    here.push((key, agent));
                }
            }
            runs.push(Run::new(Some(block), here));
        }
        runs
    }

    /// The agents that a question resembles: the best `limit` by words and the best
    /// `limit` by their vectors, each agent once, in the order of their keys; among
    /// equal scores those whose keys come first. A vector is compared only when
    /// `query` is given. `filter` says who may be found at all; it is asked only
    /// about agents that would be among the best, and others take their place.
    ///
    /// Reads the first 16 KiB of the text and their first 512 distinct words.
    pub fn search(
        &self,
        text: &str,
        query: Option<&Embedding>,
        limit: usize,
        filter: Option<Filter<'_>>,
    ) -> Vec<Hit> {
        let searched = Searched {
            blocks: &self.blocks,
            corpus: Corpus::new(self.skills, self.words),
        };
        searched.search(text, query, limit, filter)
    }

    /// Whether an agent is in it.
    pub fn contains(&self, agent: &str) -> bool {
        let after = self
            .blocks
            .partition_point(|block| block.first_key() <= agent);
        let block = after.checked_sub(1).and_then(|at| self.blocks.get(at));
        block.is_some_and(|block| block.find(agent).is_some())
    }

    /// All agents, in order.
    pub fn agents(&self) -> impl Iterator<Item = &AgentKey> {
        let agents = self.blocks.iter().flat_map(|block| block.agents());
        agents.map(|agent| &agent.key)
    }

    /// Whether no agent is in it.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// How large it is. Walks all agents.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats {
            blocks: self.blocks.len(),
            bytes: self.blocks.len() * size_of::<Arc<Block>>(),
            ..Stats::default()
        };
        for block in self.blocks.iter() {
            stats.agents += block.agents().len();
            stats.skills += block.document_count();
            stats.rows += block.rows().len();
            stats.bytes += block.bytes();
        }
        stats
    }
}

/// An agent put in, or taken out.
type Change = (AgentKey, Option<AgentDoc>);
type Changes = BTreeMap<AgentKey, Option<AgentDoc>>;

/// Neighbouring blocks that are rebuilt together, or one that stays as it is.
struct Run<'a> {
    blocks: Vec<&'a Arc<Block>>,
    /// In the order of their keys.
    changes: Vec<Change>,
    /// What they will weigh.
    weight: usize,
}

impl<'a> Run<'a> {
    /// A removal has to be of an agent that is in the block.
    fn new(block: Option<&'a Arc<Block>>, changes: Vec<Change>) -> Self {
        let mut weight = block.map_or(0, |block| block.weight());
        for (key, agent) in &changes {
            let old = block.and_then(|block| Some(block.agent_weight(block.find(key)?)));
            weight = weight.saturating_sub(old.unwrap_or(0));
            if let Some(agent) = agent {
                weight += block::weight(agent.skills.len(), agent.vectors());
            }
        }
        Self {
            blocks: block.into_iter().collect(),
            changes,
            weight,
        }
    }

    fn is_changed(&self) -> bool {
        !self.changes.is_empty() || self.blocks.len() > 1
    }

    /// Whether it would leave a block behind that is too light: many such would
    /// make questions slow.
    fn is_short(&self) -> bool {
        self.is_changed() && self.weight < block::WEIGHT_MIN
    }

    /// Takes in the one that follows.
    fn join(&mut self, next: Self) {
        self.blocks.extend(next.blocks);
        self.changes.extend(next.changes);
        self.weight += next.weight;
    }

    fn rebuilt(self) -> Vec<Arc<Block>> {
        if !self.is_changed() {
            return self.blocks.into_iter().cloned().collect();
        }
        let opened: Vec<Old<'_>> = self.blocks.iter().map(|block| Old::new(block)).collect();
        let mut kept = opened.iter().flat_map(Old::agents).peekable();
        let mut sources = Vec::new();
        for (key, agent) in self.changes {
            while let Some((_, source)) = kept.next_if(|(known, _)| **known < key) {
                sources.push(source);
            }
            // The old one under this key goes in any case.
            kept.next_if(|(known, _)| **known == key);
            sources.extend(agent.map(Source::New));
        }
        sources.extend(kept.map(|(_, source)| source));
        block::build(sources)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SkillDoc;

    fn agent(number: usize) -> AgentDoc {
        let skill = |at| SkillDoc {
            name: format!("s{at}"),
            text: format!("agent {number} reports {at}"),
            vectors: Vec::new(),
        };
        AgentDoc {
            agent: format!("a{number:04}").into(),
            skills: (0..number % 4).map(skill).collect(),
        }
    }

    /// Blocks of the second that are not of the first.
    fn rebuilt(old: &Index, new: &Index) -> usize {
        let is_shared = |block: &&Arc<Block>| old.blocks.iter().any(|old| Arc::ptr_eq(old, block));
        new.blocks.len() - new.blocks.iter().filter(is_shared).count()
    }

    #[test]
    fn a_change_shares_what_it_does_not_touch_and_leaves_no_crumbs() {
        let mut index = Index::build((0..400).map(agent).collect()).unwrap();
        // In an order that empties block after block, then a scattered one.
        let order = (100..200).chain((0..400).map(|n| n * 7 % 400));
        for number in order.chain(0..400) {
            let next = if index.contains(&agent(number).agent) {
                index.change(&[agent(number).agent], Vec::new()).unwrap()
            } else {
                index.change(&[], vec![agent(number)]).unwrap()
            };
            assert!(rebuilt(&index, &next) <= 3);
            let weight: usize = next.blocks.iter().map(|block| block.weight()).sum();
            assert!(next.blocks.len() <= 1 + weight / (block::WEIGHT_MIN / 2));
            index = next;
        }
    }

    #[test]
    fn a_change_of_nothing_shares_everything() {
        let index = Index::build((0..100).map(agent).collect()).unwrap();
        let same = index.change(&["nobody".into()], Vec::new()).unwrap();
        assert_eq!(rebuilt(&index, &same), 0);
        let empty = Index::default().change(&["nobody".into()], Vec::new());
        assert!(empty.unwrap().is_empty());
    }

    #[test]
    fn of_two_under_one_key_the_last_counts_and_what_is_added_stays() {
        let (mut first, mut last) = (agent(2), agent(3));
        (first.agent, last.agent) = ("x".into(), "x".into());
        let index = Index::build(vec![first, last]).unwrap();
        assert_eq!((index.stats().agents, index.stats().skills), (1, 3));
        let mut again = agent(1);
        again.agent = "x".into();
        let index = index.change(&["x".into()], vec![again]).unwrap();
        assert_eq!((index.stats().agents, index.stats().skills), (1, 1));
    }
}
