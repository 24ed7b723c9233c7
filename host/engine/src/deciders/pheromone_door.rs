//! The pheromone decider: how strong is this signal now?

use super::Door;
use super::bindings::pheromone::{Pheromone as World, PheromonePre as WorldPre};
use super::pheromone::{Draft, Filter, Pheromone, Problem, Sensed};
use crate::artifact::{Artifact, Origin};
use crate::engine::Engine;
use crate::error::Error;

/// The pheromone decider, warm.
#[derive(Clone)]
pub struct Pheromones(Door<World>);

impl Pheromones {
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

    /// Turn a draft into a pheromone, or say which of its fields are wrong.
    /// `own_kinds` are the registered types besides the built-in twelve;
    /// `now_ms` counts from the Unix epoch.
    ///
    /// # Errors
    /// [`Error::Trapped`], [`Error::Deadline`], [`Error::Memory`] or
    /// [`Error::Busy`].
    pub fn accept(
        &self,
        draft: &Draft,
        own_kinds: &[String],
        now_ms: u64,
    ) -> Result<Result<Pheromone, Vec<Problem>>, Error> {
        self.0.pool.call(|store, guest| {
            guest
                .kgents_pheromone_sensing()
                .call_accept(store, draft, own_kinds, now_ms)
        })
    }

    /// Strength at `now_ms` since the Unix epoch, 0.0 to 1.0.
    ///
    /// # Errors
    /// As [`Self::accept`].
    pub fn intensity(&self, pheromone: &Pheromone, now_ms: u64) -> Result<f64, Error> {
        self.0.pool.call(|store, guest| {
            guest
                .kgents_pheromone_sensing()
                .call_intensity(store, pheromone, now_ms)
        })
    }

    /// What passes the filter at `now_ms`, strongest first, as indices into
    /// `pheromones`.
    ///
    /// # Errors
    /// As [`Self::accept`].
    pub fn sense(
        &self,
        pheromones: &[Pheromone],
        filter: &Filter,
        now_ms: u64,
    ) -> Result<Vec<Sensed>, Error> {
        self.0.pool.call(|store, guest| {
            guest
                .kgents_pheromone_sensing()
                .call_sense(store, pheromones, filter, now_ms)
        })
    }
}
