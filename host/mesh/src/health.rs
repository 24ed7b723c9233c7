//! The health prober: asks each agent's interface whether it answers, and lets
//! the decider say what that means. An answer of any kind below 500 shows that
//! something there speaks HTTP; what it says is not judged here.

use crate::clock::Clock;
use crate::ports::Probe;
use crate::registry::{Agent, Registry, Status};
use futures_util::StreamExt;
use kgents_engine::deciders::health::{Limits, Probe as Judged, Status as Verdict};
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Probes remembered for each agent.
const REMEMBERED: usize = 16;
/// Agents probed at the same time.
const AT_ONCE: usize = 32;
/// Slower than this is degraded. Source: the earlier system.
const SLOW_MS: u32 = 5_000;
/// So many failures in a row are a failed agent.
const FAILURES: u32 = 3;
/// Probes older than this many intervals say nothing.
const STALE_INTERVALS: u32 = 6;

/// What the mesh knows of the agents' health.
pub struct Health {
    decider: kgents_engine::Health,
    probe: Arc<dyn Probe>,
    registry: Arc<Registry>,
    clock: Arc<dyn Clock>,
    every: Duration,
    known: Mutex<HashMap<String, Known>>,
}

#[derive(Default)]
struct Known {
    /// Of the card that was probed; another one starts anew.
    revision: u64,
    probes: VecDeque<Judged>,
    reason: String,
}

impl Health {
    /// Probes all agents of the registry, each once in `every`.
    pub fn new(
        decider: kgents_engine::Health,
        probe: Arc<dyn Probe>,
        registry: Arc<Registry>,
        clock: Arc<dyn Clock>,
        every: Duration,
    ) -> Self {
        Self {
            decider,
            probe,
            registry,
            clock,
            every,
            known: Mutex::new(HashMap::new()),
        }
    }

    /// How often each agent is probed.
    pub fn every(&self) -> Duration {
        self.every
    }

    /// The decider's last sentence about an agent.
    pub fn reason(&self, agent: &Agent) -> String {
        if agent.is_own() {
            return "part of the mesh".to_owned();
        }
        self.known
            .lock()
            .get(&agent.name)
            .map_or_else(|| "not probed yet".to_owned(), |known| known.reason.clone())
    }

    /// Probes all agents once. True when the state of any changed.
    pub async fn round(&self) -> bool {
        let directory = self.registry.directory();
        self.known
            .lock()
            .retain(|name, _| directory.agent(name).is_some());
        let agents: Vec<Arc<Agent>> = directory
            .agents()
            .filter(|agent| !agent.is_own())
            .cloned()
            .collect();
        futures_util::stream::iter(agents)
            .map(|agent| async move {
                let outcome = self.probe.probe(&agent).await;
                self.note(&agent, outcome)
            })
            .buffer_unordered(AT_ONCE)
            .fold(false, |changed, this| async move { changed || this })
            .await
    }

    fn note(&self, agent: &Agent, outcome: kgents_engine::deciders::health::Outcome) -> bool {
        let now = self.clock.now_ms();
        let mut known = self.known.lock();
        let known = known.entry(agent.name.clone()).or_default();
        if known.revision != agent.revision {
            *known = Known {
                revision: agent.revision,
                ..Known::default()
            };
        }
        known.probes.push_back(Judged {
            at_ms: now,
            outcome,
        });
        while known.probes.len() > REMEMBERED {
            known.probes.pop_front();
        }
        let stale = (self.every * STALE_INTERVALS).as_millis();
        let limits = Limits {
            slow_ms: SLOW_MS,
            failures: FAILURES,
            stale_ms: u64::try_from(stale).unwrap_or(u64::MAX),
        };
        let verdict = match self
            .decider
            .judge(known.probes.make_contiguous(), limits, now)
        {
            Ok(verdict) => verdict,
            Err(error) => {
                tracing::error!(code = error.code(), %error, "the health decider failed");
                return false;
            }
        };
        known.reason = verdict.reason;
        let status = match verdict.status {
            Verdict::Unknown => Status::Unknown,
            Verdict::Healthy => Status::Healthy,
            Verdict::Degraded => Status::Degraded,
            Verdict::Failed => Status::Failed,
        };
        let changed = agent.set_status(status);
        if changed {
            tracing::info!(
                agent = agent.name,
                status = status.name(),
                known.reason,
                "health"
            );
        }
        changed
    }
}
