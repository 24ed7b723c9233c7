//! What changed in the fleet, step by step, and which decisions that could alter.
//!
//! A decision holds on while nothing it could have been otherwise for has changed:
//! neither its agent nor an alternative changed, no changed agent shares a telling
//! word with the question or says anything like it, before or after; and the fleet
//! has not grown or shrunk so much that counts over all texts, by which rare words
//! weigh more, could turn the order of the agents that stayed the same.

use super::entry::Entry;
use super::fleet::Fleet;
use super::steps::Encode;
use super::texts::{self, Texts};
use crate::registry::{Agent, Directory, Status};
use std::cmp::Ordering;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// Steps that are known; a decision that has not been asked for during more of them
/// is made anew.
pub(super) const STEPS_MAX: usize = 256;
/// Texts of the agents that changed at once; when there are more, nothing is kept.
/// Their directions take some microseconds each.
const TEXTS_MAX: usize = 8_192;
/// An agent may matter for a question when one of its texts is nearer to it than the
/// decided agent's nearest, or farther by no more than this. Measured on the validation
/// lines of CLINC150 with the static encoder, without regard to words: of agents that
/// are put in and would take a line over, .2 % are farther (2 % when each has five
/// examples); of all others 15 to 20 % are not. A bound on the cosine alone that misses
/// so few lets more than half of the others through: requests are all a little alike.
const SLACK: f32 = 0.25;
/// How much the fleet may change in size, as the logarithm of the ratio, by how far
/// the decided agent was ahead. The weight of a word is the logarithm of the number
/// of texts over that of those with the word, so it moves by no more than this.
const SIZE_BY_MARGIN: f32 = 0.5;

/// How large a fleet is: what counts over all texts are made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    skills: u64,
    bytes: u64,
}

/// An agent before and after; `None` where there was none, or is none.
pub(super) type Pair = (Option<Arc<Agent>>, Option<Arc<Agent>>);

/// One agent that changed.
struct Step {
    agent: Box<str>,
    texts: Texts,
}

/// The fleet as it was last looked at, and the steps that led there.
pub(super) struct Changes {
    directory: Arc<Directory>,
    size: Size,
    fleet: Option<Fleet>,
    failed: BTreeSet<String>,
    /// Number of the last step.
    last: u64,
    /// Everything up to this one is forgotten.
    forgotten: u64,
    /// The steps after that, oldest first.
    steps: VecDeque<Step>,
}

/// Changes that were found, ready to be taken in.
pub(super) struct Found {
    from: Arc<Directory>,
    to: Arc<Directory>,
    pairs: Vec<Pair>,
    /// `None`: too much changed to tell.
    steps: Option<Vec<Step>>,
}

impl Found {
    /// What changed from one directory to another.
    pub(super) fn between(
        from: &Arc<Directory>,
        to: &Arc<Directory>,
        encode: Option<&Encode>,
    ) -> Self {
        let pairs = pairs(from, to);
        let mattering: Vec<&Pair> = pairs.iter().filter(|pair| matters(pair)).collect();
        let is_told = tell_all(&pairs, from.revision, to.revision);
        Self {
            steps: is_told.then(|| steps(&mattering, encode)).flatten(),
            from: Arc::clone(from),
            to: Arc::clone(to),
            pairs,
        }
    }
}

impl Changes {
    /// Begins here. `is_shared`: whether the fleet's digest is needed.
    pub(super) fn new(directory: &Arc<Directory>, is_shared: bool) -> Self {
        let mut size = Size::default();
        directory.agents().for_each(|agent| size.add(agent));
        let failed = failed(directory);
        let fleet = is_shared.then(|| {
            let mut fleet = Fleet::default();
            directory.agents().for_each(|agent| fleet.add(agent));
            failed.iter().for_each(|name| fleet.fails(name));
            fleet
        });
        Self {
            directory: Arc::clone(directory),
            size,
            fleet,
            failed,
            last: 0,
            forgotten: 0,
            steps: VecDeque::new(),
        }
    }

    /// The directory that was last looked at.
    pub(super) fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    /// Where a decision made now stands.
    pub(super) fn now(&self) -> (u64, Size) {
        (self.last, self.size)
    }

    /// Digest of the fleet, where it is needed.
    pub(super) fn fleet(&self) -> Option<String> {
        self.fleet.as_ref().map(Fleet::digest)
    }

    /// Takes in what changed; false when something else was taken in meanwhile.
    pub(super) fn take(&mut self, found: Found) -> bool {
        if !Arc::ptr_eq(&found.from, &self.directory) {
            return false;
        }
        for (old, new) in &found.pairs {
            if let Some(old) = old {
                self.size.remove(old);
                if let Some(fleet) = &mut self.fleet {
                    fleet.remove(old);
                }
            }
            if let Some(new) = new {
                self.size.add(new);
                if let Some(fleet) = &mut self.fleet {
                    fleet.add(new);
                }
            }
        }
        self.directory = found.to;
        self.append(found.steps);
        true
    }

    /// Takes in which agents fail their probes now.
    pub(super) fn take_health(&mut self, encode: Option<&Encode>) {
        let now = failed(&self.directory);
        let changed: Vec<String> = self.failed.symmetric_difference(&now).cloned().collect();
        let mut pairs: Vec<Pair> = Vec::new();
        for name in &changed {
            match &mut self.fleet {
                Some(fleet) if now.contains(name) => fleet.fails(name),
                Some(fleet) => fleet.recovers(name),
                None => {}
            }
            // One that is gone was a step of its own.
            if let Some(agent) = self.directory.agent(name) {
                pairs.push((None, Some(Arc::clone(agent))));
            }
        }
        self.failed = now;
        self.append(steps(&pairs.iter().collect::<Vec<_>>(), encode));
    }

    fn append(&mut self, steps: Option<Vec<Step>>) {
        let Some(steps) = steps else {
            self.last += 1;
            self.forgotten = self.last;
            self.steps.clear();
            return;
        };
        for step in steps {
            self.last += 1;
            self.steps.push_back(step);
            if self.steps.len() > STEPS_MAX {
                self.steps.pop_front();
                self.forgotten += 1;
            }
        }
    }

    /// The cosine of a question and the nearest text of the agent that it was led to.
    fn nearest(&self, entry: &Entry, encode: Option<&Encode>) -> Option<f32> {
        let agent = self.directory.agent(&entry.decided.agent)?;
        entry.nearest(|vector| Some(texts::nearest(agent, vector, encode?)))
    }

    /// Whether a decision still holds; notes it when it does.
    pub(super) fn hold(&self, entry: &Entry, encode: Option<&Encode>) -> bool {
        let known = entry.step();
        // Most have been asked for since the last change.
        if known == self.last && entry.size == self.size {
            return true;
        }
        let Some(seen) = known.checked_sub(self.forgotten) else {
            return false;
        };
        let seen = usize::try_from(seen).unwrap_or(usize::MAX);
        let unseen = || self.steps.iter().skip(seen);
        // The agent first: when it did not change, its texts are those of then.
        let holds = self.size.is_near(&entry.size, entry.decided.margin())
            && !unseen().any(|step| entry.decided.names(&step.agent))
            && !unseen().any(|step| step.could_lead(entry, || self.nearest(entry, encode)));
        if holds {
            entry.holds_at(self.last);
        }
        holds
    }
}

impl Step {
    /// Whether a question could be led to the agent that changed.
    fn could_lead(&self, entry: &Entry, nearest: impl FnOnce() -> Option<f32>) -> bool {
        let shares_a_word = self.texts.share_a_word(&entry.words);
        if shares_a_word || entry.decided.by_words_alone {
            return shares_a_word;
        }
        let direction = entry.vector.as_ref().zip(nearest());
        let direction = direction.map(|(vector, nearest)| (vector, nearest - SLACK));
        self.texts.are_near(direction)
    }
}

impl Size {
    fn add(&mut self, agent: &Agent) {
        self.skills = self.skills.saturating_add(agent.card.skills.len() as u64);
        self.bytes = self.bytes.saturating_add(texts::bytes(agent) as u64);
    }

    fn remove(&mut self, agent: &Agent) {
        self.skills = self.skills.saturating_sub(agent.card.skills.len() as u64);
        self.bytes = self.bytes.saturating_sub(texts::bytes(agent) as u64);
    }

    /// Whether a decision with this margin stands, made when the fleet was of
    /// another size.
    fn is_near(&self, other: &Self, margin: f32) -> bool {
        let apart = |now: u64, then: u64| ((now + 1) as f32 / (then + 1) as f32).ln().abs();
        let limit = margin * SIZE_BY_MARGIN;
        // Both the number of texts and their mean length are counts over all.
        self == other
            || (apart(self.skills, other.skills) <= limit
                && apart(self.bytes, other.bytes) <= limit)
    }
}

/// Those that differ, in the order of their names. Agents that did not change are
/// the same objects in both directories, so this takes a nanosecond or two for each.
fn pairs(from: &Directory, to: &Directory) -> Vec<Pair> {
    let (mut old, mut new) = (from.agents().peekable(), to.agents().peekable());
    let mut pairs = Vec::new();
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return pairs,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) if Arc::ptr_eq(old, new) => Ordering::Equal,
            (Some(old), Some(new)) => old.name.cmp(&new.name),
        };
        let before = (order != Ordering::Greater).then(|| old.next()).flatten();
        let after = (order != Ordering::Less).then(|| new.next()).flatten();
        match (before, after) {
            (Some(before), Some(after)) if Arc::ptr_eq(before, after) => {}
            (before, after) => pairs.push((before.cloned(), after.cloned())),
        }
    }
}

/// Whether these pairs are all that happened: every revision put agents in, which say
/// so, or took one out. One that did neither gave the index vectors that it had not
/// had, of agents that cannot be told any more; and what came and went between two
/// looks is not seen.
fn tell_all(pairs: &[Pair], from: u64, to: u64) -> bool {
    let put_in: BTreeSet<u64> = pairs
        .iter()
        .filter_map(|(_, new)| new.as_ref())
        .map(|new| new.revision)
        .filter(|revision| *revision > from)
        .collect();
    let taken_out = pairs.iter().filter(|(_, new)| new.is_none()).count();
    (put_in.len() + taken_out) as u64 >= to.saturating_sub(from)
}

/// Whether a change is one that a decision could rest on. Another address or version
/// leads nobody elsewhere, and neither does a deprecation that is new: whoever was
/// led there goes on to the successor.
fn matters((old, new): &Pair) -> bool {
    let (Some(old), Some(new)) = (old, new) else {
        return true;
    };
    let said = |agent: &Agent| (agent.name.clone(), agent.card.name.clone());
    let same = said(old) == said(new)
        && old.cluster == new.cluster
        && old.card.description == new.card.description
        && old.card.skills == new.card.skills
        // Policies may ask about labels.
        && old.card.labels == new.card.labels
        && (old.card.deprecated() == new.card.deprecated() || old.card.deprecated().is_none());
    !same
}

fn steps(pairs: &[&Pair], encode: Option<&Encode>) -> Option<Vec<Step>> {
    let agents = pairs.iter().flat_map(|(old, new)| old.iter().chain(new));
    let texts: usize = agents.map(|agent| texts::count(agent)).sum();
    if pairs.len() > STEPS_MAX || texts > TEXTS_MAX {
        return None;
    }
    let step = |(old, new): &&Pair| {
        let states: Vec<&Agent> = old.iter().chain(new).map(|agent| &**agent).collect();
        Some(Step {
            agent: states.first()?.name.as_str().into(),
            texts: Texts::of(&states, encode),
        })
    };
    Some(pairs.iter().filter_map(step).collect())
}

fn failed(directory: &Directory) -> BTreeSet<String> {
    let failed = |agent: &&Arc<Agent>| agent.status() == Status::Failed;
    let failed = directory.agents().filter(failed);
    failed.map(|agent| agent.name.clone()).collect()
}
