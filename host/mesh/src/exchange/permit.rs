//! May they? What the exchange asks the policies, and what callers are told.

use super::Exchange;
use super::case::Case;
use crate::ports::{Action, Ask, Judgement, Resource};
use crate::principal::Principal;
use crate::registry::Agent;
use kgents_gateway::call::{Failure, FailureKind};

impl Exchange {
    /// Asks the policies one thing, and notes their answer for the trail.
    pub(super) fn judge(
        &self,
        case: &mut Case,
        who: &Principal,
        ask: Ask<'_>,
    ) -> Result<bool, Failure> {
        let mut judged = self.judge_all(who, &[ask])?;
        let judgement = judged.pop().unwrap_or_else(Judgement::none);
        let allowed = judgement.allowed;
        case.judgement = Some(judgement);
        Ok(allowed)
    }

    pub(super) fn judge_all(
        &self,
        who: &Principal,
        asks: &[Ask<'_>],
    ) -> Result<Vec<Judgement>, Failure> {
        let _span = tracing::debug_span!("policy.evaluate", asks = asks.len()).entered();
        self.policy.judge(who, asks)
    }

    /// Fails unless the caller may do this; `what` is what they are told of it.
    pub(super) fn allow(
        &self,
        case: &mut Case,
        who: &Principal,
        ask: Ask<'_>,
        what: &str,
    ) -> Result<(), Failure> {
        let action = ask.action;
        if self.judge(case, who, ask)? {
            Ok(())
        } else {
            Err(denied(who, action, what))
        }
    }

    /// Whether the caller may do this to that agent. Who may not even see it
    /// is told there is none.
    pub(super) fn permit(
        &self,
        case: &mut Case,
        who: &Principal,
        agent: &Agent,
        action: Action,
    ) -> Result<(), Failure> {
        let asks = [
            Ask::new(Action::List, Resource::Agent(agent)),
            Ask::new(action, Resource::Agent(agent)),
        ];
        let mut answers = self.judge_all(who, &asks)?.into_iter();
        let list = answers.next().unwrap_or_else(Judgement::none);
        let wanted = answers.next().unwrap_or_else(Judgement::none);
        if !list.allowed {
            case.judgement = Some(list);
            case.hidden = true;
            return Err(crate::registry::unknown(&agent.name));
        }
        let allowed = wanted.allowed;
        case.judgement = Some(wanted);
        if allowed {
            Ok(())
        } else {
            Err(denied(who, action, &agent.name))
        }
    }
}

/// The answer to who may not.
pub(super) fn denied(who: &Principal, action: Action, what: &str) -> Failure {
    let message = format!("`{}` may not {} `{what}`", who.name(), action.name());
    let failure = Failure::new(FailureKind::Denied, message);
    match action {
        Action::List | Action::Route | Action::Invoke => failure
            .hint("a policy in policies/ has to permit it; kgents agents add --allow writes one"),
        _ => failure.hint("a policy in policies/ has to permit it"),
    }
}
