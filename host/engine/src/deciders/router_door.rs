//! The router decider: where does this go?

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::bindings::router::{Router as World, RouterPre as WorldPre};
use super::remote::{Asked, Remote};
use super::router::{Evidence, Question, Step};
use super::{Backing, Door};
use crate::artifact::{Artifact, Origin};
use crate::engine::Engine;
use crate::error::Error;

/// The router decider, warm or elsewhere.
#[derive(Clone)]
pub struct Router(Backing<World>);

/// The question and its answer, as they travel.
#[derive(Serialize)]
enum Ask<'a> {
    Decide {
        question: &'a Question,
        evidence: &'a Evidence,
    },
}

#[derive(Deserialize)]
enum Said {
    Decide(Step),
}

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
        .map(|door| Self(Backing::Warm(door)))
    }

    /// Ask it elsewhere.
    pub fn remote(remote: Arc<dyn Remote>) -> Self {
        Self(Backing::Remote(Asked::new("router", remote)))
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

    /// Decide, or say which evidence is missing.
    ///
    /// # Errors
    /// [`Error::Trapped`], [`Error::Deadline`], [`Error::Memory`] or
    /// [`Error::Busy`]; [`Error::Remote`] where it is asked elsewhere.
    pub fn decide(&self, question: &Question, evidence: &Evidence) -> Result<Step, Error> {
        match &self.0 {
            Backing::Warm(door) => door.pool.call(|store, guest| {
                guest
                    .kgents_router_routing()
                    .call_decide(store, question, evidence)
            }),
            Backing::Remote(asked) => {
                let Said::Decide(step) = asked.ask(&Ask::Decide { question, evidence })?;
                Ok(step)
            }
        }
    }
}
