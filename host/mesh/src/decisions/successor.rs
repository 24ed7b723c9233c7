//! Who takes over from a deprecated agent.

use crate::registry::{Agent, Directory, Status};
use std::sync::Arc;

/// Successors of successors that are followed; a longer chain is nobody's plan.
const CHAIN_MAX: usize = 4;

/// Whom a deprecated agent's questions go to: the first agent of the chain of
/// successors that is not deprecated itself. `None` when the agent is not
/// deprecated, when a successor does not exist, when the last one fails its probes,
/// and when the chain is a circle or above four agents.
///
/// Whether a caller may be led there is for the policies.
pub fn successor<'a>(directory: &'a Directory, agent: &Agent) -> Option<&'a Arc<Agent>> {
    let mut successor = directory.agent(&agent.card.deprecated()?.successor)?;
    for _ in 1..CHAIN_MAX {
        match successor.card.deprecated() {
            None => break,
            Some(deprecation) => successor = directory.agent(&deprecation.successor)?,
        }
    }
    let is_last = successor.card.deprecated().is_none();
    (is_last && successor.status() != Status::Failed).then_some(successor)
}
