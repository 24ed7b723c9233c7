//! What is asked of the mesh itself: cards, routing without calling, the
//! registry, pheromones.

use super::interaction::Interaction;
use super::{Done, Exchange, bug, stopping};
use crate::ports::{Action, Ask, Judgement, Resource};
use crate::principal::Principal;
use crate::registry::{Agent, Entry, unknown};
use crate::routing::Asking;
use kgents_gateway::call::{
    Call, Failure, FailureKind, Operation, Payload, PheromoneDraft, Registration, RouteCall,
    SenseFilter, Target,
};
use kgents_gateway::card::Card;
use std::sync::Arc;

/// What the mesh's own card says of it.
const MESH_DESCRIPTION: &str =
    "An agent mesh: ask in plain language, and the agent that fits answers.";

/// The resource of policies that stands for every type of pheromone.
const EVERY_KIND: &str = "*";

/// The mesh's own card; public.
pub(super) fn mesh_card(base_url: &str) -> Payload {
    let version = env!("CARGO_PKG_VERSION");
    kgents_gateway::mesh_card(base_url, "kgents", MESH_DESCRIPTION, version)
}

impl Exchange {
    pub(super) async fn operation(
        &self,
        it: &mut Interaction,
        who: &Principal,
        call: &Call,
        base_url: &str,
    ) -> Result<Done, Failure> {
        let payload = match &call.operation {
            Operation::Card => self.card(it, who, &call.target, base_url)?,
            Operation::Route(asked) => self.decide(it, who, asked).await?,
            Operation::ListAgents => self.list(it, who)?,
            Operation::DescribeAgent => self.describe(it, who, &call.target)?,
            Operation::RegisterAgent(registration) => self.register(it, who, registration).await?,
            Operation::RemoveAgent => self.remove(it, who, &call.target).await?,
            Operation::Emit(draft) => self.emit(it, who, draft).await?,
            Operation::Sense(filter) => self.sense(it, who, filter)?,
            Operation::GiveFeedback(draft) => self.give_feedback(it, who, draft).await?,
            Operation::ListFeedback => self.list_feedback(it, who)?,
            Operation::UndoFeedback { id } => self.undo_feedback(it, who, id).await?,
            Operation::SendMessage(_)
            | Operation::StreamMessage(_)
            | Operation::GetTask(_)
            | Operation::CancelTask(_) => return Err(bug()),
        };
        Ok(Done::Once(payload))
    }

    async fn emit(
        &self,
        it: &mut Interaction,
        who: &Principal,
        draft: &PheromoneDraft,
    ) -> Result<Payload, Failure> {
        let mut ask = Ask::new(Action::Emit, Resource::Pheromone(&draft.kind));
        ask.target = draft.target.as_deref();
        // What is not a number from 0 to 1 is refused by the decider.
        let percent = draft.intensity.unwrap_or(1.0).clamp(0.0, 1.0) * 100.0;
        ask.intensity_percent = Some(percent.round() as u8);
        self.allow(it, who, ask, &draft.kind)?;
        self.intend(it).await?;
        let (signals, draft) = (Arc::clone(&self.pheromones), draft.clone());
        let (source, now) = (who.name().to_owned(), self.clock.now_ms());
        blocking(move || signals.emit(&source, &draft, now)).await
    }

    /// Of one type, if the caller may sense it; else of all types, those that
    /// the caller may.
    fn sense(
        &self,
        it: &mut Interaction,
        who: &Principal,
        filter: &SenseFilter,
    ) -> Result<Payload, Failure> {
        let now = self.clock.now_ms();
        if let Some(kind) = &filter.kind {
            let ask = Ask::new(Action::Sense, Resource::Pheromone(kind));
            self.allow(it, who, ask, kind)?;
            return self.pheromones.sense(filter, &[], now);
        }
        let kinds = self.pheromones.kinds();
        let asks: Vec<Ask<'_>> = kinds
            .iter()
            .map(|kind| Ask::new(Action::Sense, Resource::Pheromone(kind)))
            .collect();
        let judged = self.judge_all(who, &asks)?;
        let forbidden: Vec<&str> = kinds
            .iter()
            .zip(&judged)
            .filter(|(_, judgement)| !judgement.allowed)
            .map(|(kind, _)| kind.as_str())
            .collect();
        if forbidden.len() == kinds.len() {
            // Nothing is in the air that they may sense: may they at all?
            let ask = Ask::new(Action::Sense, Resource::Pheromone(EVERY_KIND));
            self.allow(it, who, ask, EVERY_KIND)?;
        } else {
            it.judgement = judged.iter().find(|judgement| judgement.allowed).cloned();
        }
        self.pheromones.sense(filter, &forbidden, now)
    }

    /// The agent a path names, if the caller may see it.
    fn visible(
        &self,
        it: &mut Interaction,
        who: &Principal,
        target: &Target,
    ) -> Result<Arc<Agent>, Failure> {
        let Target::Agent(name) = target else {
            return Err(bug());
        };
        let directory = self.evidence.directory();
        let agent = directory.agent(name).ok_or_else(|| unknown(name))?;
        let ask = Ask::new(Action::List, Resource::Agent(agent));
        if self.judge(it, who, ask)? {
            Ok(Arc::clone(agent))
        } else {
            it.hidden = true;
            Err(unknown(name))
        }
    }

    fn card(
        &self,
        it: &mut Interaction,
        who: &Principal,
        target: &Target,
        base_url: &str,
    ) -> Result<Payload, Failure> {
        let agent = self.visible(it, who, target)?;
        let base_url = base_url.trim_end_matches('/');
        Ok(agent
            .card
            .rewrite(&format!("{base_url}/agents/{}", agent.name)))
    }

    async fn decide(
        &self,
        it: &mut Interaction,
        who: &Principal,
        asked: &RouteCall,
    ) -> Result<Payload, Failure> {
        self.allow(it, who, Ask::new(Action::Ask, Resource::Mesh), "the mesh")?;
        let asking = Asking {
            text: &asked.text,
            context: asked.context_id.as_deref(),
            explain: asked.explain,
        };
        let routed = self.route(who, &asking).await?;
        self.at_hand(it, who, &asked.text, &routed);
        let decision = &routed.decision;
        it.routed(
            crate::routing::method_name(decision),
            decision.confidence,
            decision.fallback,
        );
        // Where nobody was found, what let the caller ask is what decided.
        if let Some(agent) = &decision.agent {
            it.judgement = Some(routed.judgement.clone());
            it.target.clone_from(agent);
        }
        Ok(Payload::of(&routed.to_json(&it.event)))
    }

    fn list(&self, it: &mut Interaction, who: &Principal) -> Result<Payload, Failure> {
        let directory = self.evidence.directory();
        let agents: Vec<&Arc<Agent>> = directory.agents().collect();
        let asks: Vec<Ask<'_>> = agents
            .iter()
            .map(|agent| Ask::new(Action::List, Resource::Agent(agent)))
            .collect();
        let judged = self.judge_all(who, &asks)?;
        // The trail names a policy that let something be seen, if any did.
        it.judgement = judged
            .iter()
            .find(|judgement| judgement.allowed)
            .or_else(|| judged.first())
            .cloned()
            .or_else(|| Some(Judgement::none()));
        let shown: Vec<_> = agents
            .iter()
            .zip(&judged)
            .filter(|(_, judgement)| judgement.allowed)
            .map(|(agent, _)| self.shown(agent))
            .collect();
        Ok(Payload::of(
            &serde_json::json!({ "revision": directory.revision, "agents": shown }),
        ))
    }

    fn describe(
        &self,
        it: &mut Interaction,
        who: &Principal,
        target: &Target,
    ) -> Result<Payload, Failure> {
        let agent = self.visible(it, who, target)?;
        Ok(Payload::of(&self.shown(&agent)))
    }

    fn shown(&self, agent: &Agent) -> serde_json::Value {
        let skills: Vec<_> = agent
            .card
            .skills
            .iter()
            .map(
                |s| serde_json::json!({ "id": s.id, "name": s.name, "description": s.description }),
            )
            .collect();
        let interfaces: Vec<_> = if agent.is_own() {
            Vec::new()
        } else {
            let shown = |i: &kgents_gateway::Interface| serde_json::json!({ "binding": i.binding.name(), "url": i.url });
            agent.card.interfaces.iter().map(shown).collect()
        };
        let source = match &agent.origin {
            crate::registry::Origin::Own => "own",
            crate::registry::Origin::Registered { source } => source,
        };
        serde_json::json!({
            "name": agent.name,
            "description": agent.card.description,
            "version": agent.card.version,
            "cluster": &*agent.cluster,
            "health": agent.status().name(),
            "health_reason": self.health.reason(agent),
            "skills": skills,
            "interfaces": interfaces,
            "source": source,
            "revision": agent.revision,
            "labels": agent.card.labels,
        })
    }

    async fn register(
        &self,
        it: &mut Interaction,
        who: &Principal,
        registration: &Registration,
    ) -> Result<Payload, Failure> {
        // May they at all? Asked before anything is fetched for them.
        let wanted = registration.name.as_deref().unwrap_or("*").to_owned();
        let ask = Ask::new(Action::Register, Resource::AgentName(&wanted));
        self.allow(it, who, ask, &wanted)?;
        self.intend(it).await?;
        let entry = self.entry(registration).await?;
        if entry.name != wanted {
            let ask = Ask::new(Action::Register, Resource::AgentName(&entry.name));
            self.allow(it, who, ask, &entry.name)?;
        }
        it.target.clone_from(&entry.name);
        let (registry, name) = (Arc::clone(&self.registry), entry.name.clone());
        let (revision, created) = blocking(move || registry.put(vec![entry])).await?;
        self.metrics.count_agents(self.registry.directory().len());
        let created = created.first().copied().unwrap_or(false);
        let answer = serde_json::json!({ "name": name, "revision": revision, "created": created });
        Ok(Payload::of(&answer))
    }

    async fn entry(&self, registration: &Registration) -> Result<Entry, Failure> {
        let refused = |text: &str| Failure::new(FailureKind::Refused, text);
        let (raw, source) = match (&registration.url, &registration.card) {
            (Some(url), None) => (self.dial.fetch_card(url).await?, url.clone()),
            (None, Some(card)) => (card.clone(), "api".to_owned()),
            _ => return Err(refused("give either `url` or `card`")),
        };
        let card = Card::parse(raw)?;
        for interface in &card.interfaces {
            self.dial.admits(&interface.url)?;
        }
        if card.credentials.is_some() {
            return Err(refused("`credentials` name secrets of the mesh's machine")
                .hint("put such a card into agents/ of the mesh folder"));
        }
        let name = match &registration.name {
            Some(name) => name.clone(),
            None => card.label().ok_or_else(|| {
                refused("`name`: the card's name gives no RFC 1123 label")
                    .hint("give one: --name NAME")
            })?,
        };
        if !kgents_gateway::is_label(&name) {
            return Err(
                refused(&format!("`name`: `{name}` is not an RFC 1123 label"))
                    .hint("lower-case letters, digits and `-`, at most 63, for example `my-agent`"),
            );
        }
        Ok(Entry { name, card, source })
    }

    async fn remove(
        &self,
        it: &mut Interaction,
        who: &Principal,
        target: &Target,
    ) -> Result<Payload, Failure> {
        let agent = self.visible(it, who, target)?;
        let name = agent.name.clone();
        self.allow(
            it,
            who,
            Ask::new(Action::Remove, Resource::Agent(&agent)),
            &name,
        )?;
        it.target.clone_from(&name);
        self.intend(it).await?;
        let registry = Arc::clone(&self.registry);
        let gone = name.clone();
        let revision = blocking(move || registry.remove(&gone)).await?;
        self.metrics.count_agents(self.registry.directory().len());
        Ok(Payload::of(
            &serde_json::json!({ "name": name, "revision": revision }),
        ))
    }
}

/// Runs what blocks off the async threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "blocking work was cut off");
        stopping()
    })?
}
