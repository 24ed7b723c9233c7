//! What callers say of routing decisions: given, read and taken back by whoever
//! may teach. Nobody learns of an agent that they may not see.

use super::Exchange;
use super::interaction::Interaction;
use super::operation::blocking;
use crate::learning::{Decided, Given, Saying};
use crate::ports::{Action, Ask, Resource};
use crate::principal::Principal;
use crate::registry::{Agent, unknown};
use crate::routing::Routed;
use kgents_gateway::call::{Failure, FeedbackDraft, Payload};
use std::sync::Arc;

impl Exchange {
    /// Keeps a decision at hand, for feedback of whoever asked.
    pub(super) fn at_hand(&self, it: &Interaction, who: &Principal, text: &str, routed: &Routed) {
        let decided = Decided {
            text: text.to_owned(),
            agent: routed.decision.agent.clone(),
            caller: who.svid().to_owned(),
        };
        self.teacher.decided(&it.event, decided);
    }

    pub(super) async fn give_feedback(
        &self,
        it: &mut Interaction,
        who: &Principal,
        draft: &FeedbackDraft,
    ) -> Result<Payload, Failure> {
        self.may_teach(it, who)?;
        let named: Vec<&str> = [&draft.agent, &draft.should_be]
            .into_iter()
            .filter_map(Option::as_deref)
            .collect();
        for (name, is_visible) in named.iter().zip(self.are_visible(who, &named)?) {
            if !is_visible {
                it.hidden = self.evidence.directory().agent(name).is_some();
                return Err(unknown(name));
            }
        }
        // What the trail calls its target is whom it is about.
        if let Some(name) = named.last() {
            (*name).clone_into(&mut it.target);
        }
        self.intend(it).await?;
        let (teacher, draft) = (Arc::clone(&self.teacher), draft.clone());
        let (event, who) = (it.event.clone(), who.svid().to_owned());
        let now_ms = self.clock.now_ms();
        let given = blocking(move || {
            let saying = Saying {
                id: &event,
                who: &who,
                now_ms,
            };
            teacher.give(&saying, draft)
        });
        Ok(Payload::of(&given.await?))
    }

    pub(super) fn list_feedback(
        &self,
        it: &mut Interaction,
        who: &Principal,
    ) -> Result<Payload, Failure> {
        self.may_teach(it, who)?;
        let mut all = self.teacher.feedback();
        let mut visible = self.are_known(who, &all)?.into_iter();
        all.retain(|_| visible.next().unwrap_or(false));
        Ok(Payload::of(&serde_json::json!({ "feedback": all })))
    }

    pub(super) async fn undo_feedback(
        &self,
        it: &mut Interaction,
        who: &Principal,
        id: &str,
    ) -> Result<Payload, Failure> {
        self.may_teach(it, who)?;
        let mut known = self.teacher.feedback();
        known.retain(|given| given.id == id);
        if self.are_known(who, &known)?.contains(&false) {
            return Err(crate::learning::feedback::none(id));
        }
        self.intend(it).await?;
        let (teacher, id) = (Arc::clone(&self.teacher), id.to_owned());
        let gone = blocking(move || teacher.undo(&id)).await?;
        Ok(Payload::of(&gone))
    }

    fn may_teach(&self, it: &mut Interaction, who: &Principal) -> Result<(), Failure> {
        self.allow(it, who, Ask::new(Action::Teach, Resource::Mesh), "the mesh")
    }

    /// Which of these names are agents that the caller may see.
    fn are_visible(&self, who: &Principal, names: &[&str]) -> Result<Vec<bool>, Failure> {
        let directory = self.evidence.directory();
        let agents: Vec<Option<&Arc<Agent>>> =
            names.iter().map(|name| directory.agent(name)).collect();
        let asks: Vec<Ask<'_>> = agents
            .iter()
            .flatten()
            .map(|agent| Ask::new(Action::List, Resource::Agent(agent)))
            .collect();
        let mut judged = self.judge_all(who, &asks)?.into_iter();
        let is_visible = |agent: &Option<&Arc<Agent>>| {
            agent.is_some() && judged.next().is_some_and(|judgement| judgement.allowed)
        };
        Ok(agents.iter().map(is_visible).collect())
    }

    /// Which feedback is about agents that the caller may see, or that are gone:
    /// then it is the caller's own or nobody's to hide.
    fn are_known(&self, who: &Principal, given: &[Given]) -> Result<Vec<bool>, Failure> {
        let directory = self.evidence.directory();
        let mut names: Vec<&str> = given
            .iter()
            .flat_map(|given| [&given.agent, &given.should_be])
            .filter_map(Option::as_deref)
            .filter(|name| directory.agent(name).is_some())
            .collect();
        names.sort_unstable();
        names.dedup();
        let visible = self.are_visible(who, &names)?;
        let hidden = |name: &str| {
            let place = names.binary_search(&name).ok();
            place.and_then(|place| visible.get(place)) == Some(&false)
        };
        let is_known = |given: &Given| {
            let named = [&given.agent, &given.should_be];
            !named.into_iter().filter_map(Option::as_deref).any(hidden)
        };
        Ok(given.iter().map(is_known).collect())
    }
}
