//! The mesh's own agents: b-gent (the token budget), l-gent (the library of
//! agents) and echo. The decider says what a message asks for and words the
//! result; here it is done.

mod cards;

pub use cards::cards;

use crate::journal::{Changed, Journal, Unchanged};
use crate::ledger::{self, Entry, MESH_ACCOUNT};
use crate::ports::{Action, Ask, Evidence, Policy, Resource};
use crate::principal::Principal;
use crate::registry::Agent;
use crate::routing::Routed;
use kgents_audit::AgentAuditEvent;
use kgents_engine::deciders::agents::{
    Account, Amount, Consumer, Listing, Message as Words, Operation, Outcome, Unclear,
};
use kgents_gateway::call::{Failure, FailureKind, Message, Payload};
use std::sync::Arc;

/// Agents that l-gent names at most when it is asked who can do something.
const FOUND_MAX: usize = 5;

/// The mesh's own agents.
pub struct Own {
    /// The decider.
    pub agents: kgents_engine::Agents,
    /// The ledger, for b-gent.
    pub journal: Arc<Journal>,
    /// The agents, for l-gent.
    pub evidence: Arc<dyn Evidence>,
    /// What the asker may see.
    pub policy: Arc<dyn Policy>,
}

/// Which message an answer belongs to.
#[derive(Clone, Copy)]
pub struct Address<'a> {
    /// The audit event; also the answer's id.
    pub event: &'a str,
    /// What was asked.
    pub message: &'a Message,
}

/// What a message asks for, or why that is unclear.
pub enum Asked {
    /// This.
    Clear(Operation),
    /// Nothing that was understood.
    Unclear(Unclear),
}

/// What came of it.
pub enum Performed {
    /// Something to tell.
    Told(Outcome),
    /// Something to tell, and a change of the ledger that is recorded and to be
    /// kept.
    Changed(Outcome, Changed),
}

impl Asked {
    /// The operation, if there is one.
    pub const fn operation(&self) -> Option<&Operation> {
        match self {
            Self::Clear(operation) => Some(operation),
            Self::Unclear(_) => None,
        }
    }

    /// The answer to what was not understood: that, and what would be.
    pub fn unclear(&self, to: Address<'_>) -> Payload {
        let (text, examples) = match self {
            Self::Unclear(unclear) => (unclear.message.as_str(), unclear.examples.as_slice()),
            Self::Clear(_) => ("", &[][..]),
        };
        let mut words = text.to_owned();
        if !examples.is_empty() {
            words.push_str("\nFor example:");
            for example in examples {
                words.push_str("\n- ");
                words.push_str(example);
            }
        }
        let data = serde_json::json!({ "error": "unclear", "message": text, "examples": examples });
        say(to, &words, data)
    }
}

/// The question to the policies behind an operation; `None` for what shows
/// only what the asker may see anyway.
pub fn ask(operation: &Operation) -> Option<Ask<'_>> {
    let account = |action, account, tokens| Ask {
        tokens,
        ..Ask::new(action, Resource::Account(account))
    };
    match operation {
        Operation::Balance(name) => Some(account(
            Action::Balance,
            name.as_deref().unwrap_or(MESH_ACCOUNT),
            None,
        )),
        Operation::Allocate(amount) => Some(account(
            Action::Allocate,
            &amount.account,
            Some(amount.tokens),
        )),
        Operation::Settle(amount) => Some(account(
            Action::Settle,
            &amount.account,
            Some(amount.tokens),
        )),
        Operation::TopConsumers(_) => Some(account(Action::TopConsumers, MESH_ACCOUNT, None)),
        Operation::Find(_)
        | Operation::ListAgents
        | Operation::Describe(_)
        | Operation::Echo(_) => None,
    }
}

/// What an operation is about, for messages.
pub fn subject(operation: &Operation) -> &str {
    match operation {
        Operation::Balance(Some(name)) => name,
        Operation::Allocate(amount) | Operation::Settle(amount) => &amount.account,
        _ => MESH_ACCOUNT,
    }
}

impl Own {
    /// What a message asks for.
    ///
    /// # Errors
    /// `Unavailable` when the decider failed.
    pub fn plan(&self, agent: &str, message: &Message) -> Result<Asked, Failure> {
        let data = message
            .data
            .as_ref()
            .map(|data| String::from_utf8_lossy(data.as_bytes()).into_owned());
        let words = Words {
            agent: agent.to_owned(),
            text: message.text.clone(),
            data,
        };
        let planned = self.agents.plan(&words).map_err(|error| failed(&error))?;
        Ok(match planned {
            Ok(operation) => Asked::Clear(operation),
            Err(unclear) => Asked::Unclear(unclear),
        })
    }

    /// Does an operation that the policies allow, all but `Find`, which is
    /// [`Self::found`]. `outcome` makes the record that a change rides on.
    ///
    /// # Errors
    /// `Unavailable` when the log or a decider fails, `Refused` for what the
    /// ledger cannot do.
    pub fn perform(
        &self,
        who: &Principal,
        operation: &Operation,
        now_ms: u64,
        outcome: impl FnOnce() -> AgentAuditEvent,
    ) -> Result<Performed, Failure> {
        Ok(Performed::Told(match operation {
            Operation::Balance(name) => {
                self.balance(name.as_deref().unwrap_or(MESH_ACCOUNT), now_ms)
            }
            Operation::Allocate(amount) => {
                let entry = Entry::Allocate {
                    account: amount.account.clone(),
                    tokens: amount.tokens,
                };
                return self.change(entry, amount, outcome(), Outcome::Allocated);
            }
            Operation::Settle(amount) => {
                let entry = Entry::Charge {
                    account: amount.account.clone(),
                    consumer: who.entity().to_owned(),
                    tokens: amount.tokens,
                };
                return self.change(entry, amount, outcome(), Outcome::Settled);
            }
            Operation::TopConsumers(limit) => {
                let limit = usize::try_from(*limit).unwrap_or(usize::MAX);
                let top = self.journal.ledger(|l| l.top_consumers(limit, now_ms));
                let named = |(name, tokens)| Consumer { name, tokens };
                Outcome::TopConsumers(top.into_iter().map(named).collect())
            }
            Operation::Find(_) => {
                return Err(Failure::new(FailureKind::Internal, "a question got lost"));
            }
            Operation::ListAgents => Outcome::Agents(self.visible(who)?),
            Operation::Describe(name) => self.describe(who, name)?,
            Operation::Echo(text) => Outcome::Echoed(text.clone()),
        }))
    }

    /// Who can do something, as the router found it.
    pub fn found(&self, routed: &Routed) -> Outcome {
        let directory = self.evidence.directory();
        let chosen = routed
            .agent
            .iter()
            .map(|agent| (agent, routed.decision.confidence));
        let others = routed
            .decision
            .alternatives
            .iter()
            .filter_map(|a| Some((directory.agent(&a.agent)?, a.confidence)));
        let found = chosen
            .chain(others)
            .take(FOUND_MAX)
            .map(|(agent, confidence)| listing(agent, Some(confidence)))
            .collect();
        Outcome::Found(found)
    }

    /// Words what was done as an A2A message.
    ///
    /// # Errors
    /// `Unavailable` when the decider failed.
    pub fn phrase(&self, outcome: &Outcome, to: Address<'_>) -> Result<Payload, Failure> {
        let reply = self
            .agents
            .phrase(outcome)
            .map_err(|error| failed(&error))?;
        let data = serde_json::from_str(&reply.data).unwrap_or_default();
        Ok(say(to, &reply.text, data))
    }

    /// Waits until a change cannot be lost any more; takes it back if it is.
    ///
    /// # Errors
    /// `Unavailable` when it is lost.
    pub async fn keep(&self, changed: Changed) -> Result<(), Failure> {
        self.journal.keep(changed).await
    }

    fn balance(&self, name: &str, now_ms: u64) -> Outcome {
        match self.journal.ledger(|ledger| ledger.account(name, now_ms)) {
            Some(account) => Outcome::Balance(figures(name, &account)),
            None => Outcome::NoAccount(name.to_owned()),
        }
    }

    fn change(
        &self,
        entry: Entry,
        amount: &Amount,
        event: AgentAuditEvent,
        done: impl FnOnce((Account, u64)) -> Outcome,
    ) -> Result<Performed, Failure> {
        let refused = match self.journal.change(entry, event) {
            Ok(changed) => {
                let outcome = match &changed.account {
                    Some(account) => done((figures(&amount.account, account), amount.tokens)),
                    None => Outcome::NoAccount(amount.account.clone()),
                };
                return Ok(Performed::Changed(outcome, changed));
            }
            Err(Unchanged::Lost(failure)) => return Err(failure),
            Err(Unchanged::Refused(refused)) => refused,
        };
        Ok(Performed::Told(match refused {
            ledger::Error::NoAccount { account } => Outcome::NoAccount(account),
            ledger::Error::Insufficient {
                account,
                asked,
                available,
            } => Outcome::Insufficient((account, asked, available)),
            ledger::Error::OtherWindow { .. } => {
                return Err(Failure::new(FailureKind::Refused, refused.to_string())
                    .hint("give both the same `window` in budgets/"));
            }
        }))
    }

    fn describe(&self, who: &Principal, name: &str) -> Result<Outcome, Failure> {
        let directory = self.evidence.directory();
        let hidden = || Outcome::NoAgent(name.to_owned());
        let Some(agent) = directory.agent(name) else {
            return Ok(hidden());
        };
        let ask = Ask::new(Action::List, Resource::Agent(agent));
        let judged = self.policy.judge(who, &[ask])?;
        let shown = judged.iter().any(|judgement| judgement.allowed);
        Ok(if shown {
            Outcome::Described(listing(agent, None))
        } else {
            hidden()
        })
    }

    fn visible(&self, who: &Principal) -> Result<Vec<Listing>, Failure> {
        let directory = self.evidence.directory();
        let agents: Vec<&Arc<Agent>> = directory.agents().collect();
        let asks: Vec<Ask<'_>> = agents
            .iter()
            .map(|agent| Ask::new(Action::List, Resource::Agent(agent)))
            .collect();
        let judged = self.policy.judge(who, &asks)?;
        let seen = agents
            .iter()
            .zip(judged)
            .filter(|(_, judgement)| judgement.allowed);
        Ok(seen.map(|(agent, _)| listing(agent, None)).collect())
    }
}

fn listing(agent: &Agent, confidence: Option<f32>) -> Listing {
    Listing {
        name: agent.name.clone(),
        description: agent.card.description.clone(),
        skills: agent
            .card
            .skills
            .iter()
            .map(|skill| skill.name.clone())
            .collect(),
        health: agent.status().name().to_owned(),
        confidence,
    }
}

fn figures(name: &str, account: &ledger::Account) -> Account {
    Account {
        name: name.to_owned(),
        allocated: account.allocated(),
        spent: account.spent,
        reserved: account.reserved,
        free: account.free(),
        window: account.window.name().to_owned(),
    }
}

/// An A2A message of one of the mesh's own agents, as a SendMessageResponse
/// and as the one event of a stream.
fn say(to: Address<'_>, text: &str, data: serde_json::Value) -> Payload {
    let mut message = serde_json::json!({
        "messageId": to.event,
        "role": "ROLE_AGENT",
        "parts": [{ "text": text }, { "data": data }],
    });
    if let (Some(object), Some(context)) = (message.as_object_mut(), &to.message.context_id) {
        object.insert("contextId".to_owned(), context.as_str().into());
    }
    Payload::of(&serde_json::json!({ "message": message }))
}

fn failed(error: &kgents_engine::Error) -> Failure {
    tracing::error!(code = error.code(), %error, "the agents decider failed");
    Failure::new(FailureKind::Unavailable, "this agent cannot answer now").hint("try again")
}
