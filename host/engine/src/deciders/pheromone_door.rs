//! The pheromone decider: how strong is this signal now?

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::bindings::pheromone::{Pheromone as World, PheromonePre as WorldPre};
use super::pheromone::{Draft, Filter, Pheromone, Problem, Sensed};
use super::remote::{Asked, Remote};
use super::{Backing, Door};
use crate::artifact::{Artifact, Origin};
use crate::engine::Engine;
use crate::error::Error;

/// The pheromone decider, warm or elsewhere.
#[derive(Clone)]
pub struct Pheromones(Backing<World>);

/// The questions as they travel, and an answer to each.
#[derive(Serialize)]
enum Ask<'a> {
    Accept {
        draft: &'a Draft,
        own_kinds: &'a [String],
        now_ms: u64,
    },
    Intensity {
        pheromone: &'a Pheromone,
        now_ms: u64,
    },
    Sense {
        pheromones: &'a [Pheromone],
        filter: &'a Filter,
        now_ms: u64,
    },
}

#[derive(Deserialize)]
enum Accepted {
    Accept(Result<Pheromone, Vec<Problem>>),
}

#[derive(Deserialize)]
enum Strength {
    Intensity(f64),
}

#[derive(Deserialize)]
enum Heard {
    Sense(Vec<Sensed>),
}

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
        .map(|door| Self(Backing::Warm(door)))
    }

    /// Ask it elsewhere.
    pub fn remote(remote: Arc<dyn Remote>) -> Self {
        Self(Backing::Remote(Asked::new("pheromone", remote)))
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

    /// Turn a draft into a pheromone, or say which of its fields are wrong.
    /// `own_kinds` are the registered types besides the built-in twelve;
    /// `now_ms` counts from the Unix epoch.
    ///
    /// # Errors
    /// [`Error::Trapped`], [`Error::Deadline`], [`Error::Memory`] or
    /// [`Error::Busy`]; [`Error::Remote`] where it is asked elsewhere.
    pub fn accept(
        &self,
        draft: &Draft,
        own_kinds: &[String],
        now_ms: u64,
    ) -> Result<Result<Pheromone, Vec<Problem>>, Error> {
        match &self.0 {
            Backing::Warm(door) => door.pool.call(|store, guest| {
                guest
                    .kgents_pheromone_sensing()
                    .call_accept(store, draft, own_kinds, now_ms)
            }),
            Backing::Remote(asked) => {
                let Accepted::Accept(accepted) = asked.ask(&Ask::Accept {
                    draft,
                    own_kinds,
                    now_ms,
                })?;
                Ok(accepted)
            }
        }
    }

    /// Strength at `now_ms` since the Unix epoch, 0.0 to 1.0.
    ///
    /// # Errors
    /// As [`Self::accept`].
    pub fn intensity(&self, pheromone: &Pheromone, now_ms: u64) -> Result<f64, Error> {
        match &self.0 {
            Backing::Warm(door) => door.pool.call(|store, guest| {
                guest
                    .kgents_pheromone_sensing()
                    .call_intensity(store, pheromone, now_ms)
            }),
            Backing::Remote(asked) => {
                let Strength::Intensity(intensity) =
                    asked.ask(&Ask::Intensity { pheromone, now_ms })?;
                Ok(intensity)
            }
        }
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
        match &self.0 {
            Backing::Warm(door) => door.pool.call(|store, guest| {
                guest
                    .kgents_pheromone_sensing()
                    .call_sense(store, pheromones, filter, now_ms)
            }),
            Backing::Remote(asked) => {
                let Heard::Sense(sensed) = asked.ask(&Ask::Sense {
                    pheromones,
                    filter,
                    now_ms,
                })?;
                Ok(sensed)
            }
        }
    }
}
