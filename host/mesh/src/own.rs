//! The mesh's own agents: b-gent (the token budget), l-gent (the library of
//! agents) and echo. The decider says what a message asks for and words the
//! result; here it is done.

use crate::journal::{Applied, Journal};
use crate::ledger::{self, Entry, MESH_ACCOUNT};
use crate::ports::{Action, Ask, Policy, Resource};
use crate::principal::Principal;
use crate::registry::{Agent, Registry};
use crate::routing::Routing;
use kgents_engine::deciders::agents::{
    Account, Consumer, Listing, Message as Words, Operation, Outcome, Unclear,
};
use kgents_gateway::call::{Failure, FailureKind, Message, Payload};
use kgents_gateway::card::{Card, Skill};
use kgents_gateway::{OwnAgent, own_card};
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
    pub registry: Arc<Registry>,
    /// What the asker may see.
    pub policy: Arc<dyn Policy>,
    /// Who can do it?
    pub routing: Arc<Routing>,
}

/// What a message asks for, or why that is unclear.
pub enum Asked {
    /// This.
    Clear(Operation),
    /// Nothing that was understood.
    Unclear(Unclear),
}

/// What came of it.
pub enum Spoken<'a> {
    /// An answer.
    Said(Payload),
    /// An answer, and a change of the ledger that is to be recorded.
    Changed(Payload, Applied<'a>),
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
    pub fn unclear(&self, event: &str, message: &Message) -> Payload {
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
        say(event, message, &words, data)
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

    /// Does an operation that the policies allow, and words the result.
    ///
    /// # Errors
    /// `Unavailable` when a decider failed.
    pub fn perform(
        &self,
        who: &Principal,
        operation: &Operation,
        event: &str,
        message: &Message,
        now_ms: u64,
    ) -> Result<Spoken<'_>, Failure> {
        let (outcome, applied) = match operation {
            Operation::Balance(name) => (
                self.balance(name.as_deref().unwrap_or(MESH_ACCOUNT), now_ms),
                None,
            ),
            Operation::Allocate(amount) => {
                let (account, tokens) = (amount.account.clone(), amount.tokens);
                let entry = Entry::Allocate {
                    account: account.clone(),
                    tokens,
                };
                self.change(&entry, &account, now_ms, |account| {
                    Outcome::Allocated((account, tokens))
                })
            }
            Operation::Settle(amount) => {
                let (account, tokens) = (amount.account.clone(), amount.tokens);
                let consumer = who.name().to_owned();
                let entry = Entry::Charge {
                    account: account.clone(),
                    consumer,
                    tokens,
                };
                self.change(&entry, &account, now_ms, |account| {
                    Outcome::Settled((account, tokens))
                })
            }
            Operation::TopConsumers(limit) => {
                let top = self
                    .journal
                    .ledger(|l| l.top_consumers(*limit as usize, now_ms));
                let named = |(name, tokens)| Consumer { name, tokens };
                (
                    Outcome::TopConsumers(top.into_iter().map(named).collect()),
                    None,
                )
            }
            Operation::Find(text) => (self.find(who, text)?, None),
            Operation::ListAgents => (Outcome::Agents(self.visible(who)?), None),
            Operation::Describe(name) => {
                let mut visible = self.visible(who)?;
                visible.retain(|listing| listing.name == *name);
                let described = visible
                    .pop()
                    .map_or_else(|| Outcome::NoAgent(name.clone()), Outcome::Described);
                (described, None)
            }
            Operation::Echo(text) => (Outcome::Echoed(text.clone()), None),
        };
        let reply = self
            .agents
            .phrase(&outcome)
            .map_err(|error| failed(&error))?;
        let data = serde_json::from_str(&reply.data).unwrap_or_default();
        let payload = say(event, message, &reply.text, data);
        Ok(match applied {
            Some(applied) => Spoken::Changed(payload, applied),
            None => Spoken::Said(payload),
        })
    }

    /// Takes back a change whose record was lost.
    pub fn undo(&self, entry: &Entry) {
        self.journal.undo(entry);
    }

    fn balance(&self, name: &str, now_ms: u64) -> Outcome {
        match self.account(name, now_ms) {
            Some(account) => Outcome::Balance(account),
            None => Outcome::NoAccount(name.to_owned()),
        }
    }

    fn account(&self, name: &str, now_ms: u64) -> Option<Account> {
        let account = self.journal.ledger(|ledger| ledger.account(name, now_ms))?;
        Some(Account {
            name: name.to_owned(),
            allocated: account.allocated(),
            spent: account.spent,
            reserved: account.reserved,
            free: account.free(),
            window: account.window.name().to_owned(),
        })
    }

    fn change(
        &self,
        entry: &Entry,
        account: &str,
        now_ms: u64,
        done: impl FnOnce(Account) -> Outcome,
    ) -> (Outcome, Option<Applied<'_>>) {
        match self.journal.try_entry(entry) {
            Ok(applied) => match self.account(account, now_ms) {
                Some(account) => (done(account), Some(applied)),
                None => (Outcome::NoAccount(account.to_owned()), Some(applied)),
            },
            Err(ledger::Error::NoAccount { account }) => (Outcome::NoAccount(account), None),
            Err(ledger::Error::Insufficient {
                account,
                asked,
                available,
            }) => (Outcome::Insufficient((account, asked, available)), None),
        }
    }

    fn find(&self, who: &Principal, text: &str) -> Result<Outcome, Failure> {
        let routed = self.routing.question(who, text)?;
        let directory = self.registry.directory();
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
        Ok(Outcome::Found(found))
    }

    fn visible(&self, who: &Principal) -> Result<Vec<Listing>, Failure> {
        let directory = self.registry.directory();
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

/// An A2A message of one of the mesh's own agents, as a SendMessageResponse
/// and as the one event of a stream.
fn say(event: &str, to: &Message, text: &str, data: serde_json::Value) -> Payload {
    let mut message = serde_json::json!({
        "messageId": event,
        "role": "ROLE_AGENT",
        "parts": [{ "text": text }, { "data": data }],
    });
    if let (Some(object), Some(context)) = (message.as_object_mut(), &to.context_id) {
        object.insert("contextId".to_owned(), context.as_str().into());
    }
    Payload::of(&serde_json::json!({ "message": message }))
}

fn failed(error: &kgents_engine::Error) -> Failure {
    tracing::error!(code = error.code(), %error, "the agents decider failed");
    Failure::new(FailureKind::Unavailable, "this agent cannot answer now").hint("try again")
}

/// Cards of the mesh's own agents, by name.
///
/// # Errors
/// Never for these; the parser's failure is passed on.
pub fn cards() -> Result<Vec<(String, Card)>, Failure> {
    let skill = |id: &str, name: &str, description: &str, tags: &[&str], examples: &[&str]| Skill {
        id: id.to_owned(),
        name: name.to_owned(),
        description: description.to_owned(),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        examples: examples
            .iter()
            .map(|example| (*example).to_owned())
            .collect(),
    };
    let b_gent = [
        skill(
            "balance",
            "Token balance",
            "Tells how many tokens an account or the whole mesh has left, has spent and has reserved",
            &["budget", "tokens", "balance"],
            &[
                "how many tokens does the research team have left?",
                "what is the balance of support?",
            ],
        ),
        skill(
            "allocate",
            "Allocate tokens",
            "Moves tokens from the free pool to a team's account",
            &["budget", "tokens", "allocation"],
            &[
                "allocate 5000 tokens to research",
                "give the support team 2k tokens",
            ],
        ),
        skill(
            "settle",
            "Settle usage",
            "Charges tokens that were used outside the mesh to an account",
            &["budget", "tokens"],
            &["charge 300 tokens to research"],
        ),
        skill(
            "top-consumers",
            "Top consumers",
            "Tells who used the most tokens",
            &["budget", "tokens", "usage"],
            &["who spends the most tokens?", "top 5 consumers"],
        ),
    ];
    let l_gent = [
        skill(
            "find",
            "Find an agent",
            "Tells which agent can do something",
            &["discovery", "registry", "agents"],
            &[
                "which agent can review contracts?",
                "who can do data analysis here?",
            ],
        ),
        skill(
            "list-agents",
            "List agents",
            "Lists the registered agents with their skills and health",
            &["discovery", "registry"],
            &["list all agents", "what agents are there?"],
        ),
        skill(
            "describe",
            "Describe an agent",
            "Tells what is known of one agent",
            &["discovery", "registry"],
            &["describe the agent b-gent"],
        ),
    ];
    let echo = [skill(
        "echo",
        "Echo",
        "Says back what it is told; for testing a connection",
        &["test", "connectivity"],
        &["echo hello"],
    )];
    let described = [
        (
            "b-gent",
            "Budget agent: token economics and resource allocation",
            &b_gent[..],
        ),
        (
            "l-gent",
            "Library agent: knows every registered agent and what it can do",
            &l_gent[..],
        ),
        ("echo", "Echo agent: says back what it is told", &echo[..]),
    ];
    described
        .into_iter()
        .map(|(name, description, skills)| {
            let version = env!("CARGO_PKG_VERSION");
            // Where it listens is written into each served card; this is a stand-in.
            let payload = own_card(
                &format!("http://mesh.invalid/agents/{name}"),
                &OwnAgent {
                    name,
                    description,
                    version,
                    skills,
                },
            );
            Ok((name.to_owned(), Card::parse(payload)?))
        })
        .collect()
}
