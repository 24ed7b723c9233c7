//! The health decider: is this agent healthy?

use super::Door;
use super::bindings::health::{Health as World, HealthPre as WorldPre};
use super::health::{Limits, Probe, Verdict};
use crate::artifact::{Artifact, Origin};
use crate::engine::Engine;
use crate::error::Error;

/// The health decider, warm.
#[derive(Clone)]
pub struct Health(Door<World>);

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
        .map(Self)
    }

    /// Where its machine code came from.
    pub fn origin(&self) -> Origin {
        self.0.origin
    }

    /// Make an instance and drop it, as a replacement is made: for measuring.
    ///
    /// # Errors
    /// [`Error::Instance`].
    pub fn instantiate(&self) -> Result<(), Error> {
        self.0.pool.make_one()
    }

    /// Judge by the probes, oldest first, at `now_ms` since the Unix epoch.
    ///
    /// # Errors
    /// [`Error::Trapped`], [`Error::Deadline`], [`Error::Memory`] or
    /// [`Error::Busy`].
    pub fn judge(&self, probes: &[Probe], limits: Limits, now_ms: u64) -> Result<Verdict, Error> {
        self.0.pool.call(|store, guest| {
            guest
                .kgents_health_judging()
                .call_judge(store, probes, limits, now_ms)
        })
    }
}
