//! What is asked of the mesh itself: cards, routing without calling, the
//! registry, pheromones, and the messages to its own agents.

use super::case::Case;
use super::{Done, Exchange, denied};
use crate::own::Spoken;
use crate::ports::{Action, Ask, Effects, Judgement, Resource};
use crate::principal::Principal;
use crate::registry::{Agent, Entry, unknown};
use kgents_audit::DecisionOutcome;
use kgents_gateway::call::{
    Call, Failure, FailureKind, Message, Operation, Payload, Registration, Target,
};
use kgents_gateway::card::Card;
use std::sync::Arc;

/// What the mesh's own card says of it.
const MESH_DESCRIPTION: &str =
    "An agent mesh: ask in plain language, and the agent that fits answers.";

/// The mesh's own card; public.
pub(super) fn mesh_card(base_url: &str) -> Payload {
    let version = env!("CARGO_PKG_VERSION");
    kgents_gateway::mesh_card(base_url, "kgents", MESH_DESCRIPTION, version)
}

impl Exchange {
    pub(super) async fn operation(
        &self,
        case: &mut Case,
        who: &Principal,
        call: &Call,
        base_url: &str,
    ) -> Result<Done, Failure> {
        let payload = match &call.operation {
            Operation::Card => self.card(case, who, &call.target, base_url)?,
            Operation::Route { text } => self.decide(case, who, text).await?,
            Operation::ListAgents => self.list(case, who)?,
            Operation::DescribeAgent => self.describe(case, who, &call.target)?,
            Operation::RegisterAgent(registration) => {
                self.register(case, who, registration).await?
            }
            Operation::RemoveAgent => self.remove(case, who, &call.target).await?,
            Operation::Emit(draft) => {
                let mut ask = Ask::new(Action::Emit, Resource::Pheromone(&draft.kind));
                ask.target = draft.target.as_deref();
                self.allow(case, who, ask, &draft.kind)?;
                let (signals, draft) = (Arc::clone(&self.pheromones), draft.clone());
                let (source, now) = (who.name().to_owned(), self.clock.now_ms());
                blocking(move || signals.emit(&source, &draft, now)).await?
            }
            Operation::Sense(filter) => {
                let kind = filter.kind.as_deref().unwrap_or("*");
                self.allow(
                    case,
                    who,
                    Ask::new(Action::Sense, Resource::Pheromone(kind)),
                    kind,
                )?;
                self.pheromones.sense(filter, self.clock.now_ms())?
            }
            Operation::SendMessage(_)
            | Operation::StreamMessage(_)
            | Operation::GetTask(_)
            | Operation::CancelTask(_) => {
                return Err(Failure::new(FailureKind::Internal, "a message got lost"));
            }
        };
        Ok(Done::Once(payload, Effects::default()))
    }

    fn allow(
        &self,
        case: &mut Case,
        who: &Principal,
        ask: Ask<'_>,
        what: &str,
    ) -> Result<(), Failure> {
        let action = ask.action;
        if self.judge(case, who, ask)?.allowed {
            Ok(())
        } else {
            Err(denied(who, action, what))
        }
    }

    /// The agent a path names, if the caller may see it.
    fn visible(
        &self,
        case: &mut Case,
        who: &Principal,
        target: &Target,
    ) -> Result<Arc<Agent>, Failure> {
        let Target::Agent(name) = target else {
            return Err(Failure::new(
                FailureKind::Internal,
                "an agent's name got lost",
            ));
        };
        let directory = self.registry.directory();
        let agent = directory.agent(name).ok_or_else(|| unknown(name))?;
        let ask = Ask::new(Action::List, Resource::Agent(agent));
        if self.judge(case, who, ask)?.allowed {
            Ok(Arc::clone(agent))
        } else {
            Err(unknown(name))
        }
    }

    fn card(
        &self,
        case: &mut Case,
        who: &Principal,
        target: &Target,
        base_url: &str,
    ) -> Result<Payload, Failure> {
        let agent = self.visible(case, who, target)?;
        let base_url = base_url.trim_end_matches('/');
        Ok(agent
            .card
            .rewrite(&format!("{base_url}/agents/{}", agent.name)))
    }

    async fn decide(
        &self,
        case: &mut Case,
        who: &Principal,
        text: &str,
    ) -> Result<Payload, Failure> {
        let routed = self.route(who, text).await?;
        let decision = &routed.decision;
        case.routed(
            crate::routing::method_name(decision),
            decision.confidence,
            decision.fallback,
        );
        case.judgement = Some(routed.judgement.clone());
        if let Some(agent) = &decision.agent {
            case.target.clone_from(agent);
        }
        Ok(Payload::of(&routed.to_json(&case.event)))
    }

    fn list(&self, case: &mut Case, who: &Principal) -> Result<Payload, Failure> {
        let directory = self.registry.directory();
        let agents: Vec<&Arc<Agent>> = directory.agents().collect();
        let asks: Vec<Ask<'_>> = agents
            .iter()
            .map(|agent| Ask::new(Action::List, Resource::Agent(agent)))
            .collect();
        let judged = self.policy.judge(who, &asks)?;
        // The trail names a policy that let something be seen, if any did.
        case.judgement = judged
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
        case: &mut Case,
        who: &Principal,
        target: &Target,
    ) -> Result<Payload, Failure> {
        let agent = self.visible(case, who, target)?;
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
        case: &mut Case,
        who: &Principal,
        registration: &Registration,
    ) -> Result<Payload, Failure> {
        // May they at all? Asked before anything is fetched for them.
        let wanted = registration.name.as_deref().unwrap_or("*").to_owned();
        let ask = Ask::new(Action::Register, Resource::AgentName(&wanted));
        self.allow(case, who, ask, &wanted)?;
        let entry = self.entry(registration).await?;
        if entry.name != wanted {
            let ask = Ask::new(Action::Register, Resource::AgentName(&entry.name));
            self.allow(case, who, ask, &entry.name)?;
        }
        case.target.clone_from(&entry.name);
        let (registry, name) = (Arc::clone(&self.registry), entry.name.clone());
        let (revision, created) = blocking(move || registry.put(vec![entry])).await?;
        self.metrics
            .agents
            .set(i64::try_from(self.registry.directory().len()).unwrap_or(0));
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
        case: &mut Case,
        who: &Principal,
        target: &Target,
    ) -> Result<Payload, Failure> {
        let agent = self.visible(case, who, target)?;
        let name = agent.name.clone();
        self.allow(
            case,
            who,
            Ask::new(Action::Remove, Resource::Agent(&agent)),
            &name,
        )?;
        case.target.clone_from(&name);
        let registry = Arc::clone(&self.registry);
        let gone = name.clone();
        let revision = blocking(move || registry.remove(&gone)).await?;
        self.metrics
            .agents
            .set(i64::try_from(self.registry.directory().len()).unwrap_or(0));
        Ok(Payload::of(
            &serde_json::json!({ "name": name, "revision": revision }),
        ))
    }
}

/// A message to one of the mesh's own agents: planned, judged as the operation
/// it asks for, done, worded.
pub(super) fn own(
    exchange: &Exchange,
    case: &mut Case,
    who: &Principal,
    agent: &str,
    message: &Message,
) -> Result<Done, Failure> {
    let asked = exchange.own.plan(agent, message)?;
    let Some(operation) = asked.operation() else {
        return Ok(Done::Once(
            asked.unclear(&case.event, message),
            Effects::default(),
        ));
    };
    if let Some(ask) = crate::own::ask(operation) {
        let (action, what) = (ask.action, crate::own::subject(operation).to_owned());
        if !exchange.judge(case, who, ask)?.allowed {
            return Err(denied(who, action, &what));
        }
    }
    let now = exchange.clock.now_ms();
    match exchange
        .own
        .perform(who, operation, &case.event, message, now)?
    {
        Spoken::Said(payload) => Ok(Done::Once(payload, Effects::default())),
        Spoken::Changed(payload, applied) => {
            let entry = applied.entry().clone();
            let event = case.outcome(DecisionOutcome::Allowed, None, now);
            let place = applied.conclude(event)?;
            Ok(Done::Recorded(payload, place, Some(entry)))
        }
    }
}

/// Runs what blocks off the async threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "blocking work was cut off");
        Failure::new(FailureKind::Unavailable, "the mesh is shutting down")
    })?
}
