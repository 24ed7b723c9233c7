//! The evidence of this nucleus: its registry, the decisions it remembers and
//! the owners of its tasks.

use crate::ports::{Evidence, Inquiry};
use crate::registry::{Directory, Registry};
use crate::tasks::{TaskOwner, Tasks};
use kgents_encoder::Embedding;
use kgents_engine::deciders::router::Remembered;
use kgents_gateway::call::{Failure, FailureKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Decisions that are remembered; each a few hundred bytes, or as much as the
/// question has.
const DECISIONS: usize = 16_384;

/// What this nucleus knows of agents, decisions and tasks.
pub struct LocalEvidence {
    registry: Arc<Registry>,
    tasks: Arc<Tasks>,
    fallback: Option<String>,
    decisions: quick_cache::sync::Cache<Inquiry, Remembered>,
    health: AtomicU64,
}

impl LocalEvidence {
    /// `fallback` is the agent for what nobody else takes.
    pub fn new(registry: Arc<Registry>, tasks: Arc<Tasks>, fallback: Option<String>) -> Self {
        Self {
            registry,
            tasks,
            fallback,
            decisions: quick_cache::sync::Cache::new(DECISIONS),
            health: AtomicU64::new(0),
        }
    }

    /// Forgets decisions made while agents were in another state of health.
    pub fn health_changed(&self) {
        self.health.fetch_add(1, Ordering::Relaxed);
    }
}

impl Evidence for LocalEvidence {
    fn directory(&self) -> Arc<Directory> {
        self.registry.directory()
    }

    fn vector(&self, text: &str) -> Option<Embedding> {
        self.registry.embedder().question(text)
    }

    fn encoder(&self) -> Option<&'static str> {
        self.registry.embedder().name()
    }

    fn health(&self) -> u64 {
        self.health.load(Ordering::Relaxed)
    }

    fn remembered(&self, inquiry: &Inquiry) -> Option<Remembered> {
        self.decisions.get(inquiry)
    }

    fn remember(&self, inquiry: Inquiry, decision: Remembered) {
        self.decisions.insert(inquiry, decision);
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
}
