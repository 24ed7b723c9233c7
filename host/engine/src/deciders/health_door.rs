//! The health decider: is this agent healthy?

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::bindings::health::{Health as World, HealthPre as WorldPre};
use super::health::{Limits, Probe, Verdict};
use super::remote::{Asked, Remote};
use super::{Backing, Door};
use crate::artifact::{Artifact, Origin};
use crate::engine::Engine;
use crate::error::Error;

/// The health decider, warm or elsewhere.
#[derive(Clone)]
pub struct Health(Backing<World>);

/// The question and its answer, as they travel.
#[derive(Serialize)]
enum Ask<'a> {
    Judge {
        probes: &'a [Probe],
        limits: Limits,
        now_ms: u64,
    },
}

#[derive(Deserialize)]
enum Said {
    Judge(Verdict),
}

impl Health {
    /// Load it.
    ///
    /// # Errors
    /// [`Error::Artifact`], [`Error::Imports`], [`Error::World`] or
    /// [`Error::Instance`].
    pub fn load(engine: &Engine, artifact: &Artifact<'_>) -> Result<Self, Error> {
        Door::open(engine, artifact, WorldPre::new, |world, store| {
            world.instantiate(store)
        })
        .map(|door| Self(Backing::Warm(door)))
    }

    /// Ask it elsewhere.
    pub fn remote(remote: Arc<dyn Remote>) -> Self {
        Self(Backing::Remote(Asked::new("health", remote)))
    }

    /// Where its machine code came from.
    pub fn origin(&self) -> Origin {
        self.0.origin()
    }

    /// Make an instance and drop it, as a replacement is made: for measuring.
    ///
    /// # Errors
    /// [`Error::Instance`].
    pub fn instantiate(&self) -> Result<(), Error> {
        self.0.instantiate()
    }

    /// Judge by the probes, oldest first, at `now_ms` since the Unix epoch.
    ///
    /// # Errors
    /// [`Error::Trapped`], [`Error::Deadline`], [`Error::Memory`] or
    /// [`Error::Busy`]; [`Error::Remote`] where it is asked elsewhere.
    pub fn judge(&self, probes: &[Probe], limits: Limits, now_ms: u64) -> Result<Verdict, Error> {
        match &self.0 {
            Backing::Warm(door) => door.pool.call(|store, guest| {
                guest
                    .kgents_health_judging()
                    .call_judge(store, probes, limits, now_ms)
            }),
            Backing::Remote(asked) => {
                let Said::Judge(verdict) = asked.ask(&Ask::Judge {
                    probes,
                    limits,
                    now_ms,
                })?;
                Ok(verdict)
            }
        }
    }
}
