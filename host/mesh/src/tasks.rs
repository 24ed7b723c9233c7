//! Who owns which task: the agent that runs it and the caller it belongs to.
//! Owners ride in outcome records, live in memory until they are brought into
//! the store, and are looked up there afterwards.

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;

/// How many owners that are in the store already are kept at hand.
const AT_HAND: usize = 16_384;

/// A task and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskOwner {
    /// The agent that runs it.
    pub agent: String,
    /// The task's id, as the agent gave it.
    pub task: String,
    /// The caller it belongs to, as policies know it.
    pub caller: String,
}

/// Finds owners that are no longer in memory.
pub trait TaskStore: Send + Sync {
    /// Owners of tasks with this id, for this caller, on any agent.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn owners(&self, caller: &str, task: &str) -> Result<Vec<TaskOwner>, crate::store::Error>;
}

/// Task owners, in memory and beyond. What is fresh grows until the store takes
/// it: the interactions of a few seconds, or of as long as the store fails.
///
/// INVARIANT: `at_hand` changes only under the lock of `fresh`, and what is put
/// there was read from the store after it was last emptied of that key.
///
/// A task id is only ever looked up
/// together with the caller who asks: another caller's task does not exist.
pub struct Tasks {
    fresh: Mutex<Fresh>,
    at_hand: quick_cache::sync::Cache<Key, Arc<Vec<TaskOwner>>>,
    store: Arc<dyn TaskStore>,
}

/// What is not in the store yet.
#[derive(Default)]
struct Fresh {
    owners: HashMap<Key, Vec<TaskOwner>>,
    /// Grows each time owners reach the store.
    stored: u64,
}

/// Caller and task id.
type Key = (String, String);

impl Tasks {
    /// Owners on top of a store.
    pub fn new(store: Arc<dyn TaskStore>) -> Self {
        Self {
            fresh: Mutex::new(Fresh::default()),
            at_hand: quick_cache::sync::Cache::new(AT_HAND),
            store,
        }
    }

    /// Remembers an owner. True when it was not known before.
    pub fn remember(&self, owner: &TaskOwner) -> bool {
        let key = (owner.caller.clone(), owner.task.clone());
        if self
            .at_hand
            .get(&key)
            .is_some_and(|owners| owners.contains(owner))
        {
            return false;
        }
        let mut fresh = self.fresh.lock();
        let owners = fresh.owners.entry(key).or_default();
        if owners.contains(owner) {
            return false;
        }
        owners.push(owner.clone());
        true
    }

    /// Agents on which `caller` owns a task of this id.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn agents(&self, caller: &str, task: &str) -> Result<Vec<String>, crate::store::Error> {
        let key = (caller.to_owned(), task.to_owned());
        let (mut agents, before): (Vec<String>, u64) = {
            let fresh = self.fresh.lock();
            let owners = fresh.owners.get(&key).into_iter().flatten();
            (
                owners.map(|owner| owner.agent.clone()).collect(),
                fresh.stored,
            )
        };
        let stored = match self.at_hand.get(&key) {
            Some(owners) => owners,
            None => {
                let owners = Arc::new(self.store.owners(caller, task)?);
                let fresh = self.fresh.lock();
                if !owners.is_empty() && fresh.stored == before {
                    self.at_hand.insert(key, Arc::clone(&owners));
                }
                owners
            }
        };
        agents.extend(stored.iter().map(|owner| owner.agent.clone()));
        agents.sort_unstable();
        agents.dedup();
        Ok(agents)
    }

    /// A copy of what is not in the store yet.
    pub fn fresh(&self) -> Vec<TaskOwner> {
        self.fresh
            .lock()
            .owners
            .values()
            .flatten()
            .cloned()
            .collect()
    }

    /// Forgets owners that have reached the store.
    pub fn stored(&self, owners: &[TaskOwner]) {
        let mut fresh = self.fresh.lock();
        fresh.stored = fresh.stored.wrapping_add(1);
        for owner in owners {
            let key = (owner.caller.clone(), owner.task.clone());
            if let Some(left) = fresh.owners.get_mut(&key) {
                left.retain(|other| other != owner);
                if left.is_empty() {
                    fresh.owners.remove(&key);
                }
            }
            // What was looked up before is not whole any more.
            self.at_hand.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Stored(Mutex<Vec<TaskOwner>>);

    impl TaskStore for Stored {
        fn owners(&self, caller: &str, task: &str) -> Result<Vec<TaskOwner>, crate::store::Error> {
            let all = self.0.lock();
            Ok(all
                .iter()
                .filter(|o| o.caller == caller && o.task == task)
                .cloned()
                .collect())
        }
    }

    fn owner(agent: &str, task: &str, caller: &str) -> TaskOwner {
        TaskOwner {
            agent: agent.into(),
            task: task.into(),
            caller: caller.into(),
        }
    }

    #[test]
    fn a_task_exists_only_for_the_caller_that_owns_it() {
        let tasks = Tasks::new(Arc::new(Stored::default()));
        assert!(tasks.remember(&owner("echo", "t1", "ada")));
        assert!(!tasks.remember(&owner("echo", "t1", "ada")));
        assert_eq!(tasks.agents("ada", "t1").unwrap(), ["echo"]);
        assert!(tasks.agents("eve", "t1").unwrap().is_empty());
    }

    #[test]
    fn two_agents_may_use_the_same_id() {
        let tasks = Tasks::new(Arc::new(Stored::default()));
        tasks.remember(&owner("a", "t1", "ada"));
        tasks.remember(&owner("b", "t1", "ada"));
        assert_eq!(tasks.agents("ada", "t1").unwrap(), ["a", "b"]);
    }

    #[test]
    fn what_reached_the_store_is_found_there() {
        let store = Arc::new(Stored::default());
        let tasks = Tasks::new(store.clone());
        tasks.remember(&owner("a", "t1", "ada"));
        let fresh = tasks.fresh();
        store.0.lock().extend(fresh.clone());
        tasks.stored(&fresh);
        assert!(tasks.fresh().is_empty());
        assert_eq!(tasks.agents("ada", "t1").unwrap(), ["a"]);
        assert!(
            !tasks.remember(&owner("a", "t1", "ada")),
            "it is at hand by now"
        );
    }
}
