//! Calls about a task go to the agent that runs it, and only for the caller
//! that owns it: another caller's task does not exist.

use super::interaction::Interaction;
use super::{Done, Exchange};
use crate::ports::Action;
use crate::principal::Principal;
use crate::registry::Agent;
use kgents_gateway::call::{Call, Failure, FailureKind, Target};
use std::sync::Arc;

impl Exchange {
    pub(super) async fn task(
        &self,
        it: &mut Interaction,
        who: &Principal,
        call: &Call,
        (task, action): (&str, Action),
    ) -> Result<Done, Failure> {
        let agent = match &call.target {
            Target::Agent(name) => self.routing.named(name)?.0,
            Target::Mesh => self.owner_of(who, task)?,
        };
        it.target.clone_from(&agent.name);
        self.permit(it, who, &agent, action)?;
        it.agent = Some(agent.name.clone());
        self.check_owner(who, &agent, task)?;
        self.intend(it).await?;
        self.forward(it, who, call, &agent).await
    }

    /// The one agent on which the caller owns this task.
    pub(super) fn owner_of(&self, who: &Principal, task: &str) -> Result<Arc<Agent>, Failure> {
        let agents = self.evidence.owners(&caller(who), task)?;
        let directory = self.evidence.directory();
        match agents.as_slice() {
            [one] => directory.agent(one).cloned().ok_or_else(|| not_found(task)),
            [] => Err(not_found(task)),
            _ => Err(Failure::new(
                FailureKind::InvalidParams,
                format!("`id`: two of your agents have a task `{task}`"),
            )
            .hint("ask at the agent's own address, /agents/NAME")),
        }
    }

    /// Fails as if the task did not exist when it is not the caller's.
    pub(super) fn check_owner(
        &self,
        who: &Principal,
        agent: &Agent,
        task: &str,
    ) -> Result<(), Failure> {
        let owners = self.evidence.owners(&caller(who), task)?;
        if owners.contains(&agent.name) {
            Ok(())
        } else {
            Err(not_found(task))
        }
    }
}

/// The caller as task owners are kept: kind and entity, so that a user and an
/// agent of one name are two. Where the operator lets anonymous callers in,
/// they are one caller, since nobody can tell them apart.
pub(crate) fn caller(who: &Principal) -> String {
    format!("{}/{}", who.kind().name(), who.entity())
}

fn not_found(task: &str) -> Failure {
    Failure::new(
        FailureKind::TaskNotFound,
        format!("you have no task `{task}` here"),
    )
    .hint("a task is found by the caller that began it, at the agent that runs it")
}
