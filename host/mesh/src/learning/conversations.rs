//! Who has which conversation: the agent that answered last in a context of a
//! caller, so that the next question in it is led there.
//!
//! In memory alone: a conversation lasts minutes, and after a restart its next
//! question is decided like a first one. An id of a context is only looked up
//! together with the caller who asks, so that nobody steers, or learns of,
//! another caller's conversations.

use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Conversations that are kept: the latest. Each takes some three hundred bytes.
pub const CONVERSATIONS_MAX: usize = 65_536;
/// Bytes of an id of a context: longer ones, which agents seldom make, are not
/// kept, so that nobody fills the memory with a few of them.
pub const CONTEXT_BYTES_MAX: usize = 256;

/// Caller and context.
type Key = (Box<str>, Box<str>);

/// Who has which conversation.
#[derive(Default)]
pub struct Conversations(Mutex<Held>);

/// INVARIANT: both maps have the same conversations, each with the turn at which
/// it was last answered.
#[derive(Default)]
struct Held {
    holders: HashMap<Arc<Key>, (Box<str>, u64)>,
    /// Oldest first.
    turns: BTreeMap<u64, Arc<Key>>,
    next: u64,
}

impl Conversations {
    /// Notes that `agent` answered `caller` in a context. The oldest
    /// conversation goes when there are too many.
    pub fn answered(&self, caller: &str, context: &str, agent: &str) {
        if context.is_empty() || context.len() > CONTEXT_BYTES_MAX {
            return;
        }
        let key = Arc::new((Box::from(caller), Box::from(context)));
        let mut held = self.0.lock();
        let turn = held.next;
        held.next = turn.wrapping_add(1);
        let before = held.holders.insert(Arc::clone(&key), (agent.into(), turn));
        if let Some((_, old)) = before {
            held.turns.remove(&old);
        }
        held.turns.insert(turn, key);
        if held.holders.len() > CONVERSATIONS_MAX
            && let Some((_, oldest)) = held.turns.pop_first()
        {
            held.holders.remove(&oldest);
        }
    }

    /// The agent that answered `caller` last in a context; it may be gone by now.
    pub fn holder(&self, caller: &str, context: &str) -> Option<String> {
        let key: Key = (caller.into(), context.into());
        let held = self.0.lock();
        let (agent, _) = held.holders.get(&key)?;
        Some(agent.to_string())
    }

    /// Number of conversations that are kept.
    pub fn len(&self) -> usize {
        self.0.lock().holders.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_is_found_by_the_caller_that_has_it_alone() {
        let conversations = Conversations::default();
        conversations.answered("user/ada", "c1", "planner");
        let holder = |caller, context| conversations.holder(caller, context);
        assert_eq!(holder("user/ada", "c1").as_deref(), Some("planner"));
        assert_eq!(holder("user/eve", "c1"), None);
        assert_eq!(holder("user/ada", "c2"), None);
    }

    #[test]
    fn whoever_answered_last_has_it() {
        let conversations = Conversations::default();
        conversations.answered("user/ada", "c1", "planner");
        conversations.answered("user/ada", "c1", "booking");
        let holder = conversations.holder("user/ada", "c1");
        assert_eq!(holder.as_deref(), Some("booking"));
        assert_eq!(conversations.len(), 1);
    }

    #[test]
    fn the_one_that_was_silent_longest_goes_first() {
        let conversations = Conversations::default();
        for context in 0..CONVERSATIONS_MAX {
            conversations.answered("user/ada", &context.to_string(), "planner");
        }
        conversations.answered("user/ada", "0", "planner");
        conversations.answered("user/ada", "one more", "planner");
        assert_eq!(conversations.len(), CONVERSATIONS_MAX);
        assert!(conversations.holder("user/ada", "0").is_some());
        assert!(conversations.holder("user/ada", "1").is_none());
        assert!(conversations.holder("user/ada", "2").is_some());
        let held = conversations.0.lock();
        assert_eq!(held.turns.len(), held.holders.len());
    }

    #[test]
    fn an_id_without_measure_is_not_kept() {
        let conversations = Conversations::default();
        conversations.answered("user/ada", &"c".repeat(CONTEXT_BYTES_MAX + 1), "planner");
        conversations.answered("user/ada", "", "planner");
        assert!(conversations.is_empty());
    }
}
