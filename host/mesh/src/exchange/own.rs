//! Messages to the mesh's own agents: planned, judged as the operation they ask
//! for, done, worded.

use super::interaction::Interaction;
use super::permit::denied;
use super::{Done, Exchange};
use crate::own::{Address, Performed, ask, subject};
use crate::principal::Principal;
use crate::routing::Asking;
use kgents_audit::DecisionOutcome;
use kgents_engine::deciders::agents::Operation;
use kgents_gateway::call::{Failure, Message};

impl Exchange {
    pub(super) async fn own(
        &self,
        it: &mut Interaction,
        who: &Principal,
        agent: &str,
        message: &Message,
    ) -> Result<Done, Failure> {
        let event = it.event.clone();
        let to = Address {
            event: &event,
            message,
        };
        let asked = self.own.plan(agent, message)?;
        let Some(operation) = asked.operation() else {
            return Ok(Done::Once(asked.unclear(to)));
        };
        if let Some(ask) = ask(operation) {
            let action = ask.action;
            it.operation = Some(format!("{} {}", action.name(), subject(operation)));
            if !self.judge(it, who, ask)? {
                return Err(denied(who, action, subject(operation)));
            }
        }
        if let Operation::Find(text) = operation {
            let asking = Asking {
                text,
                ..Asking::default()
            };
            let routed = self.route(who, &asking).await?;
            let found = self.own.found(&routed);
            return Ok(Done::Once(self.own.phrase(&found, to)?));
        }
        let outcome = || it.outcome(&self.cluster, DecisionOutcome::Allowed, None);
        let now_ms = self.clock.now_ms();
        match self.own.perform(who, operation, now_ms, outcome)? {
            Performed::Told(told) => Ok(Done::Once(self.own.phrase(&told, to)?)),
            Performed::Changed(told, changed) => {
                it.recorded();
                self.own.keep(changed).await?;
                let said = self.own.phrase(&told, to).map_err(|failure| {
                    failure.hint("it is done and recorded; do not ask for it again")
                })?;
                Ok(Done::Recorded(said))
            }
        }
    }
}
