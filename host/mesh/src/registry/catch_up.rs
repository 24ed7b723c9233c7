//! Vectors that an encoder did not give when a card was registered: asked for in
//! the background until they are there, batch by batch, while the agents are found
//! by words alone.

use super::embed::PATIENCE;
use super::{Agent, Registry, directory};
use kgents_search::AgentKey;
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashSet};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Agents whose texts are looked at for one batch.
const AGENTS_AT_ONCE: usize = 64;
/// How long to wait after the first failure; each further one doubles it.
const WAIT_FIRST: Duration = Duration::from_secs(1);
/// How long to wait at most: nobody starts an endpoint anew and waits for longer.
const WAIT_MOST: Duration = Duration::from_secs(60);

/// Agents without vectors.
#[derive(Default)]
pub(super) struct Waiting {
    queue: Mutex<Queue>,
    news: Notify,
}

#[derive(Default)]
struct Queue {
    agents: BTreeSet<AgentKey>,
    /// The agent whose texts failed last. It is that one's turn again once the others
    /// had theirs, so that one text nobody takes holds no others up.
    last: Option<AgentKey>,
    /// Texts in the next batch; none: as many as the encoder takes.
    size: Option<usize>,
}

/// How far a step has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Every agent has its vectors.
    Done,
    /// Some have been made; there may be more.
    More,
    /// The encoder failed: wait before the next step.
    Failed,
}

impl Waiting {
    /// Notes the outcome of a change: who of those changed still waits.
    pub fn changed<'a>(&self, changed: impl Iterator<Item = &'a str>, waiting: Vec<AgentKey>) {
        let mut queue = self.queue.lock();
        for name in changed {
            queue.agents.remove(name);
        }
        if waiting.is_empty() {
            return;
        }
        queue.agents.extend(waiting);
        drop(queue);
        self.news.notify_one();
    }

    fn len(&self) -> usize {
        self.queue.lock().agents.len()
    }

    /// Some of them, beginning after the one that failed last.
    fn some(&self) -> Vec<AgentKey> {
        let queue = self.queue.lock();
        let Some(last) = &queue.last else {
            return queue.agents.iter().take(AGENTS_AT_ONCE).cloned().collect();
        };
        let after = (Bound::Excluded(last.clone()), Bound::Unbounded);
        let until = (Bound::Unbounded, Bound::Included(last.clone()));
        let all = queue.agents.range(after).chain(queue.agents.range(until));
        all.take(AGENTS_AT_ONCE).cloned().collect()
    }
}

impl Registry {
    /// Number of agents that wait for vectors.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Has vectors made that are missing, for as long as the mesh runs. May be
    /// dropped at any moment.
    pub async fn catch_up(self: &Arc<Self>) {
        loop {
            self.waiting.news.notified().await;
            let mut wait = WAIT_FIRST;
            loop {
                let registry = Arc::clone(self);
                let step = tokio::task::spawn_blocking(move || registry.step()).await;
                match step.unwrap_or(Step::Failed) {
                    Step::Done => break,
                    Step::More => wait = WAIT_FIRST,
                    Step::Failed => {
                        tokio::time::sleep(wait).await;
                        wait = (wait * 2).min(WAIT_MOST);
                    }
                }
            }
        }
    }

    /// One step: a batch of texts, and the agents that have all vectors by then.
    /// Blocks while the encoder is at it.
    pub fn step(&self) -> Step {
        let names = self.waiting.some();
        if names.is_empty() {
            return Step::Done;
        }
        if self.embedder.has_name(PATIENCE).is_err() {
            return Step::Failed;
        }
        let directory = self.directory();
        let agents = names.iter().filter_map(|name| directory.agent(name));
        let agents: Vec<Arc<Agent>> = agents.cloned().collect();
        let is_well = self.make_some(&agents);
        let texts = |agent: &Agent| directory::all_texts(&agent.card).collect::<Vec<_>>();
        let is_ready = |agent: &&Arc<Agent>| self.embedder.at_hand(&texts(agent)).is_some();
        let ready: Vec<&str> = agents
            .iter()
            .filter(is_ready)
            .map(|agent| agent.name.as_str())
            .collect();
        if self.derive_again(&ready) && is_well {
            Step::More
        } else {
            Step::Failed
        }
    }

    /// Makes one batch of what these agents miss. False when it did not work.
    fn make_some(&self, agents: &[Arc<Agent>]) -> bool {
        let most = self.embedder.remote().map_or(1, |remote| remote.batch);
        let size = self.waiting.queue.lock().size.unwrap_or(most).min(most);
        let mut batch: Vec<String> = Vec::new();
        let mut whose: Option<&Arc<Agent>> = None;
        for agent in agents {
            let texts: Vec<String> = directory::all_texts(&agent.card).collect();
            let unknown = self.embedder.unknown(&texts);
            if !unknown.is_empty() {
                whose.get_or_insert(agent);
            }
            batch.extend(unknown.into_iter().map(str::to_owned));
            if batch.len() >= size {
                break;
            }
        }
        // Cards have texts in common.
        let mut seen = HashSet::new();
        batch.retain(|text| seen.insert(text.clone()));
        batch.truncate(size.max(1));
        let (Some(whose), Some(first)) = (whose, batch.first()) else {
            return true;
        };
        let texts: Vec<&str> = batch.iter().map(String::as_str).collect();
        let made = self.embedder.make(&texts, PATIENCE);
        let mut queue = self.waiting.queue.lock();
        let Err(error) = made else {
            queue.size = Some(size.saturating_mul(2).min(most));
            return true;
        };
        let is_refused = matches!(error, super::EncodeError::Input(_));
        if batch.len() > 1 && error.may_be_size() {
            queue.size = Some(batch.len() / 2);
            // The others are not to wait for it, nor it for the others.
            return is_refused;
        }
        queue.last = Some(whose.name.as_str().into());
        drop(queue);
        if is_refused {
            tracing::warn!(
                agent = whose.name,
                "the encoder refuses a text of its card, which is then found by its words alone"
            );
            self.embedder.give_up(first);
        }
        is_refused
    }

    /// Derives the directory again for agents whose vectors are there by now, under
    /// a new revision, since questions find something else from here on. False when
    /// the store failed; all is as before then.
    fn derive_again(&self, names: &[&str]) -> bool {
        if names.is_empty() {
            return true;
        }
        let _one_at_a_time = self.changing.lock();
        let old = self.directory();
        // As they are now: one may have been replaced or taken out meanwhile.
        let agents: Vec<Arc<Agent>> = names
            .iter()
            .filter_map(|name| old.agent(name))
            .cloned()
            .collect();
        if agents.is_empty() {
            return true;
        }
        let revision = old.revision + 1;
        let changed = match old.changed(revision, &[], agents, &self.embedder) {
            Ok(changed) => changed,
            Err(error) => {
                tracing::error!(%error, "vectors cannot be taken into the index");
                return false;
            }
        };
        if let Err(error) = self.store.change_cards(revision, &[]) {
            tracing::error!(
                code = error.code(),
                "vectors cannot be used yet: the store failed"
            );
            return false;
        }
        self.waiting.changed(names.iter().copied(), changed.waiting);
        self.embedder.metrics().count_waiting(self.waiting());
        self.replace(changed.directory);
        true
    }
}
