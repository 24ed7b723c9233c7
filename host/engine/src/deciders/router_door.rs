//! The router decider: where does this go?

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::bindings::router::Router as World;
use super::remote::{Asked, Remote};
use super::router::{Evidence, Question, Step, Tables};
use super::router_model::{LoadModelError, Maker, RouterModel};
use super::{Backing, Door};
use crate::artifact::{Artifact, Origin};
use crate::engine::Engine;
use crate::error::Error;

/// The router decider, warm or elsewhere.
#[derive(Clone)]
pub struct Router {
    decides: Backing<World>,
    models: Arc<Maker>,
}

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
        let models = Arc::new(Maker::load(engine, artifact)?);
        let instantiate = {
            let models = Arc::clone(&models);
            move |store: &mut _| models.instantiate(store)
        };
        let door = Door::warm(engine, models.decider(), models.origin(), instantiate)?;
        Ok(Self {
            decides: Backing::Warm(door),
            models,
        })
    }

    /// Ask it elsewhere where questions go. Models are judged here all the same,
    /// by an instance of `artifact`, the same component: what a question to a
    /// model takes along would be the model, megabytes each time, since a decider
    /// elsewhere keeps nothing. What it says of a question is evidence, and that
    /// travels.
    ///
    /// # Errors
    /// [`Error::Artifact`], [`Error::Imports`] or [`Error::World`]. Nothing is
    /// asked yet.
    pub fn remote(
        engine: &Engine,
        artifact: &Artifact<'_>,
        remote: Arc<dyn Remote>,
    ) -> Result<Self, Error> {
        Ok(Self {
            decides: Backing::Remote(Asked::new("router", remote)),
            models: Arc::new(Maker::load(engine, artifact)?),
        })
    }

    /// Where the machine code that decides came from.
    pub fn origin(&self) -> Origin {
        self.decides.origin()
    }

    /// Make an instance and drop it, as a replacement is made: for measuring.
    ///
    /// # Errors
    /// [`Error::Instance`].
    pub fn instantiate(&self) -> Result<(), Error> {
        self.decides.instantiate()
    }

    /// Decide, or say which evidence is missing.
    ///
    /// # Errors
    /// [`Error::Trapped`], [`Error::Deadline`], [`Error::Memory`] or
    /// [`Error::Busy`]; [`Error::Remote`] where it is asked elsewhere.
    pub fn decide(&self, question: &Question, evidence: &Evidence) -> Result<Step, Error> {
        match &self.decides {
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

    /// Take what was learnt into instances of its own. Returns when all of them are
    /// warm; whoever holds another model keeps it until they let it go.
    ///
    /// # Errors
    /// [`LoadModelError::Tables`] when the tables do not fit each other, or the
    /// failure of the decider.
    pub fn model(&self, tables: &Tables) -> Result<RouterModel, LoadModelError> {
        self.models.model(tables)
    }
}
