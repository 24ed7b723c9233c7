//! The router decider: where does this go?

use super::Door;
use super::bindings::router::{Router as World, RouterPre as WorldPre};
use super::router::{Evidence, Question, Step};
use crate::artifact::{Artifact, Origin};
use crate::engine::Engine;
use crate::error::Error;

/// The router decider, warm.
#[derive(Clone)]
pub struct Router(Door<World>);

impl Router {
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

    /// Decide, or say which evidence is missing.
    ///
    /// # Errors
    /// [`Error::Trapped`], [`Error::Deadline`], [`Error::Memory`] or
    /// [`Error::Busy`].
    pub fn decide(&self, question: &Question, evidence: &Evidence) -> Result<Step, Error> {
        self.0.pool.call(|store, guest| {
            guest
                .kgents_router_routing()
                .call_decide(store, question, evidence)
        })
    }
}
