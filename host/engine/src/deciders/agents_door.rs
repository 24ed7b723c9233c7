//! The agents decider: what does this message to one of the mesh's own agents ask for?

use super::Door;
use super::agents::{Message, Operation, Outcome, Reply, Unclear};
use super::bindings::agents::{Agents as World, AgentsPre as WorldPre};
use crate::artifact::{Artifact, Origin};
use crate::engine::Engine;
use crate::error::Error;

/// The agents decider, warm.
#[derive(Clone)]
pub struct Agents(Door<World>);

impl Agents {
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

    /// What the message asks the mesh to do, or why that is unclear.
    ///
    /// # Errors
    /// [`Error::Trapped`], [`Error::Deadline`], [`Error::Memory`] or
    /// [`Error::Busy`].
    pub fn plan(&self, message: &Message) -> Result<Result<Operation, Unclear>, Error> {
        self.0
            .pool
            .call(|store, guest| guest.kgents_agents_conversing().call_plan(store, message))
    }

    /// Word what the mesh did.
    ///
    /// # Errors
    /// As [`Self::plan`].
    pub fn phrase(&self, outcome: &Outcome) -> Result<Reply, Error> {
        self.0
            .pool
            .call(|store, guest| guest.kgents_agents_conversing().call_phrase(store, outcome))
    }
}
