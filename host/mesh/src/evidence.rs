//! The evidence of this nucleus: its registry, who has which conversation, and the
//! owners of its tasks.

use crate::learning::Conversations;
use crate::ports::Evidence;
use crate::registry::{Asked, Directory, Registry};
use crate::tasks::{TaskOwner, Tasks};
use kgents_gateway::call::{Failure, FailureKind};
use std::sync::Arc;

/// What this nucleus knows of agents, conversations and tasks.
pub struct LocalEvidence {
    registry: Arc<Registry>,
    tasks: Arc<Tasks>,
    fallback: Option<String>,
    conversations: Conversations,
}

impl LocalEvidence {
    /// `fallback` is the agent for what nobody else takes.
    pub fn new(registry: Arc<Registry>, tasks: Arc<Tasks>, fallback: Option<String>) -> Self {
        Self {
            registry,
            tasks,
            fallback,
            conversations: Conversations::default(),
        }
    }
}

impl Evidence for LocalEvidence {
    fn directory(&self) -> Arc<Directory> {
        self.registry.directory()
    }

    fn question(&self, text: &str) -> Asked {
        self.registry.embedder().question(text)
    }

    fn has_encoder(&self) -> bool {
        self.registry.embedder().is_there()
    }

    fn encoder(&self) -> Option<&str> {
        self.registry.embedder().name()
    }

    fn fallback(&self) -> Option<&str> {
        self.fallback.as_deref()
    }

    fn owners(&self, caller: &str, task: &str) -> Result<Vec<String>, Failure> {
        self.tasks.agents(caller, task).map_err(|error| {
            tracing::error!(code = error.code(), %error, "task owners cannot be read");
            Failure::new(FailureKind::Unavailable, "task owners cannot be read now")
                .hint("check the disk of the data folder: kgents check")
        })
    }

    fn own(&self, owner: &TaskOwner) -> bool {
        self.tasks.remember(owner)
    }

    fn holder(&self, caller: &str, context: &str) -> Option<String> {
        self.conversations.holder(caller, context)
    }

    fn answered(&self, caller: &str, context: &str, agent: &str) {
        self.conversations.answered(caller, context, agent);
    }
}
