//! Who calls, what the policies say and what agents do: as a test wants it.

use super::world::{NOW_MS, card};
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt};
use kgents_engine::deciders::health::Outcome;
use kgents_gateway::call::{AgentError, Failure, FailureKind, Operation, Payload};
use kgents_mesh::clock::Clock;
use kgents_mesh::ports::{
    About, Action, Answer, Ask, Dial, Identity, Judgement, Policy, Probe, Random, Resource,
};
use kgents_mesh::principal::Principal;
use kgents_mesh::registry::Agent;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;

/// A clock that stands still.
pub struct Still;

impl Clock for Still {
    fn now_ms(&self) -> u64 {
        NOW_MS
    }
}

/// Numbers for what would be random.
#[derive(Default)]
pub struct Counter(AtomicU64);

impl Random for Counter {
    fn fill(&self, buffer: &mut [u8]) {
        let number = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        for (byte, part) in buffer.iter_mut().rev().zip(number.to_le_bytes()) {
            *byte = part;
        }
    }
}

/// A token is the name of a user; `forged` is not.
pub struct FakeIdentity;

impl Identity for FakeIdentity {
    fn identify(&self, token: Option<&str>, _: u64) -> Result<Principal, Failure> {
        match token {
            Some(name) if name != "forged" => Ok(Principal::parse(
                &format!("spiffe://mesh.local/users/{name}"),
                "mesh.local",
            )
            .unwrap()),
            _ => Err(Failure::new(FailureKind::Unauthenticated, "who is it?")),
        }
    }
}

/// Everything is allowed but what a test forbids.
#[derive(Default)]
pub struct FakePolicy {
    forbidden: Mutex<Vec<(String, Action, String)>>,
}

impl FakePolicy {
    pub fn forbid(&self, who: &str, action: Action, what: &str) {
        let rule = (who.to_owned(), action, what.to_owned());
        self.forbidden.lock().unwrap().push(rule);
    }
}

impl Policy for FakePolicy {
    fn judge(&self, who: &Principal, asks: &[Ask<'_>]) -> Result<Vec<Judgement>, Failure> {
        let forbidden = self.forbidden.lock().unwrap();
        let judge = |ask: &Ask<'_>| {
            let what = match &ask.resource {
                Resource::Agent(agent) => &agent.name,
                Resource::AgentName(name) | Resource::Account(name) | Resource::Pheromone(name) => {
                    *name
                }
                Resource::Mesh => "mesh",
            };
            let rule = (who.name().to_owned(), ask.action, what.to_owned());
            let allowed = !forbidden.contains(&rule);
            let policy: Arc<str> = if allowed { "all" } else { "forbidden" }.into();
            Judgement {
                allowed,
                checked: [policy.clone()].into(),
                policy,
            }
        };
        Ok(asks.iter().map(judge).collect())
    }

    fn generation(&self) -> u64 {
        self.forbidden.lock().unwrap().len() as u64
    }

    fn digest(&self) -> [u8; 32] {
        [self.forbidden.lock().unwrap().len() as u8; 32]
    }
}

/// What an agent does when it is called.
pub enum Act {
    Answer(Payload),
    Fail(FailureKind),
    /// An error of its own, of this JSON-RPC code.
    Refuse(i64),
    Hang,
    Panic,
    Stream(Vec<Event>),
}

/// What comes next in a stream.
pub enum Event {
    Say(Payload),
    Fail(FailureKind),
    Hang,
}

/// All agents behind the dialler; they act out their script one by one.
#[derive(Default)]
pub struct FakeAgent {
    pub script: Mutex<VecDeque<Act>>,
    pub calls: AtomicUsize,
    /// How many calls and streams were hung up on.
    pub hung_up: Arc<AtomicUsize>,
    /// Lets a card that is fetched come.
    pub card_ready: Notify,
    pub cards_wanted: AtomicUsize,
}

struct HangUp(Arc<AtomicUsize>);

impl Drop for HangUp {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl FakeAgent {
    pub fn will(&self, act: Act) {
        self.script.lock().unwrap().push_back(act);
    }

    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    pub fn hung_up(&self) -> usize {
        self.hung_up.load(Ordering::SeqCst)
    }
}

fn fail(kind: FailureKind) -> Failure {
    Failure::new(kind, "as the test says")
}

fn refusal(code: i64) -> Failure {
    let error = AgentError { code, data: None };
    Failure {
        agent_error: Some(Box::new(error)),
        ..fail(FailureKind::Agent)
    }
}

impl Dial for FakeAgent {
    fn dial<'a>(
        &'a self,
        _: &'a Agent,
        _: &'a Operation,
        _: &'a About<'a>,
    ) -> BoxFuture<'a, Result<Answer, Failure>> {
        Box::pin(async move {
            let hang_up = HangUp(self.hung_up.clone());
            self.calls.fetch_add(1, Ordering::SeqCst);
            let act = self.script.lock().unwrap().pop_front();
            match act.expect("a call nobody foresaw") {
                Act::Answer(payload) => Ok(Answer::Once(payload)),
                Act::Fail(kind) => Err(fail(kind)),
                Act::Refuse(code) => Err(refusal(code)),
                Act::Hang => std::future::pending().await,
                Act::Panic => panic!("an agent's port has a bug; this is a test"),
                Act::Stream(events) => {
                    let events = stream::iter(events).then(move |event| {
                        let _ = &hang_up;
                        async {
                            match event {
                                Event::Say(payload) => Ok(payload),
                                Event::Fail(kind) => Err(fail(kind)),
                                Event::Hang => std::future::pending().await,
                            }
                        }
                    });
                    Ok(Answer::Events(events.boxed()))
                }
            }
        })
    }

    fn admits(&self, _: &str) -> Result<(), Failure> {
        Ok(())
    }

    fn fetch_card<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Payload, Failure>> {
        Box::pin(async move {
            self.cards_wanted.fetch_add(1, Ordering::SeqCst);
            self.card_ready.notified().await;
            Ok(card("fetched").raw().clone())
        })
    }
}

impl Probe for FakeAgent {
    fn probe<'a>(&'a self, _: &'a Agent) -> BoxFuture<'a, Outcome> {
        Box::pin(async { Outcome::Answered(1) })
    }
}
