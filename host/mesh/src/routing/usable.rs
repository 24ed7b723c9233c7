//! Whom may a caller be led to? Asked for every candidate before the router hears
//! of it, so that no decision, alternative or reason tells of a hidden agent.

use super::{Asked, Routing};
use crate::decisions::successor;
use crate::learning::Rejections;
use crate::ports::{Action, Ask, Resource};
use crate::registry::{Agent, Status};
use kgents_gateway::call::Failure;
use std::sync::Arc;

/// What a caller must be allowed of an agent that it is led to.
const NEEDED: [Action; 3] = [Action::List, Action::Route, Action::Invoke];

impl Routing {
    /// Which of these the caller may see, be routed to and call, and that do not fail
    /// their probes.
    pub(super) fn usable(
        &self,
        asked: &Asked,
        agents: &[&Arc<Agent>],
    ) -> Result<Vec<bool>, Failure> {
        let asks: Vec<Ask<'_>> = agents
            .iter()
            .flat_map(|agent| NEEDED.map(|action| Ask::new(action, Resource::Agent(agent))))
            .collect();
        let judged = self.parts.policy.judge(&asked.who, &asks)?;
        Ok(agents
            .iter()
            .zip(judged.chunks(NEEDED.len()))
            .map(|(agent, answers)| {
                answers.iter().all(|answer| answer.allowed) && agent.status() != Status::Failed
            })
            .collect())
    }

    /// Which of these a question may be led to that does not name them: usable, not
    /// refuted for these words, and not deprecated, unless a successor is there that
    /// is usable as well.
    pub(super) fn eligible(
        &self,
        asked: &Asked,
        rejections: &Rejections,
        agents: &[&Arc<Agent>],
    ) -> Result<Vec<bool>, Failure> {
        let mut eligible = self.usable(asked, agents)?;
        for (is_eligible, agent) in eligible.iter_mut().zip(agents) {
            *is_eligible = *is_eligible
                && !rejections.rejects(&asked.normal, &agent.name)
                && self.has_heir(asked, agent)?;
        }
        Ok(eligible)
    }

    /// Whether an agent is not deprecated, or has a successor that is usable.
    fn has_heir(&self, asked: &Asked, agent: &Agent) -> Result<bool, Failure> {
        if agent.card.deprecated().is_none() {
            return Ok(true);
        }
        match successor(&asked.directory, agent) {
            Some(heir) => Ok(self.usable(asked, &[heir])?.contains(&true)),
            None => Ok(false),
        }
    }
}
