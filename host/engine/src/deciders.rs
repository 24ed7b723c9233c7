//! The five doors: one typed handle per decider, cheap to clone and safe to
//! call from any thread. Records are generated from `wit/` and documented there.
//!
//! Calls block for microseconds and never longer than their deadline, so they
//! may be made from async code. Four of the doors may instead lead to deciders
//! that are deployed elsewhere ([`Remote`]): the same records and answers, at the
//! price of an HTTP request each.

mod agents_door;
mod bindings;
mod health_door;
mod pheromone_door;
mod policy_door;
mod policy_remote;
mod remote;
mod router_door;
mod router_model;

pub use agents_door::Agents;
pub use health_door::Health;
pub use pheromone_door::Pheromones;
pub use policy_door::{LoadError, Policy, PolicySet};
pub use remote::Remote;
pub use router_door::Router;
pub use router_model::{LoadModelError, RouterModel};

use std::sync::Arc;

use remote::Asked;
use wasmtime::Store;
use wasmtime::component::InstancePre;

use crate::artifact::{Artifact, Origin, Prepared, prepare};
use crate::bound::Bound;
use crate::engine::Engine;
use crate::error::Error;
use crate::pool::{Pool, Warm};

/// Records of the router decider (`wit/router`).
pub mod router {
    pub use super::bindings::router::exports::kgents::router::routing::{
        Alternative, Calibration, Candidate, Classed, Classified, Decision, Evidence, Examples,
        Features, Found, Head, Holder, Logistic, Method, Named, Question, Ranked, Remembered,
        Route, Rung, Sentences, Similar, Step, Tables, Tier, Vectors,
    };
}

/// Records of the policy decider (`wit/policy`).
pub mod policy {
    pub use super::bindings::policy::exports::kgents::policy::authorization::{
        Attribute, Kind, Problem, Query, Source, Subject, Value, Verdict,
    };
}

/// Records of the pheromone decider (`wit/pheromone`).
pub mod pheromone {
    pub use super::bindings::pheromone::exports::kgents::pheromone::sensing::{
        Draft, Filter, Pheromone, Problem, Sensed,
    };
}

/// Records of the health decider (`wit/health`).
pub mod health {
    pub use super::bindings::health::exports::kgents::health::judging::{
        Limits, Outcome, Probe, Status, Verdict,
    };
}

/// Records of the decider behind the mesh's own agents (`wit/agents`).
pub mod agents {
    pub use super::bindings::agents::exports::kgents::agents::conversing::{
        Account, Amount, Consumer, Listing, Message, Operation, Outcome, Reply, Unclear,
    };
}

/// The bytes of all five deciders.
#[derive(Clone, Copy, Debug)]
pub struct Artifacts<'a> {
    /// Where does this go?
    pub router: Artifact<'a>,
    /// May this caller do that?
    pub policy: Artifact<'a>,
    /// How strong is this signal now?
    pub pheromone: Artifact<'a>,
    /// Is this agent healthy?
    pub health: Artifact<'a>,
    /// What does this message to one of the mesh's own agents ask for?
    pub agents: Artifact<'a>,
}

/// All five deciders, loaded and warm.
#[derive(Clone)]
pub struct Deciders {
    /// Where does this go?
    pub router: Router,
    /// Makes sets of policies, which then say who may do what.
    pub policy: Policy,
    /// How strong is this signal now?
    pub pheromone: Pheromones,
    /// Is this agent healthy?
    pub health: Health,
    /// What does this message to one of the mesh's own agents ask for?
    pub agents: Agents,
}

impl Deciders {
    /// Load all five.
    ///
    /// # Errors
    /// The first decider that cannot be loaded, by name.
    pub fn load(engine: &Engine, artifacts: &Artifacts<'_>) -> Result<Self, Error> {
        Ok(Self {
            router: Router::load(engine, &artifacts.router)?,
            policy: Policy::load_decider(engine, &artifacts.policy)?,
            pheromone: Pheromones::load(engine, &artifacts.pheromone)?,
            health: Health::load(engine, &artifacts.health)?,
            agents: Agents::load(engine, &artifacts.agents)?,
        })
    }

    /// Ask four of them elsewhere, and load the one behind the mesh's own agents,
    /// which is nobody else's; and the router, which judges its models here
    /// ([`Router::remote`]).
    ///
    /// # Errors
    /// When one of these cannot be loaded. Nothing is asked yet.
    pub fn remote(
        engine: &Engine,
        router: &Artifact<'_>,
        agents: &Artifact<'_>,
        remote: Arc<dyn Remote>,
    ) -> Result<Self, Error> {
        Ok(Self {
            router: Router::remote(engine, router, Arc::clone(&remote))?,
            policy: Policy::remote(Arc::clone(&remote)),
            pheromone: Pheromones::remote(Arc::clone(&remote)),
            health: Health::remote(remote),
            agents: Agents::load(engine, agents)?,
        })
    }
}

/// What is behind the door of a stateless decider that may be elsewhere.
enum Backing<T: Send + 'static> {
    Warm(Door<T>),
    Remote(Asked),
}

impl<T: Send + 'static> Clone for Backing<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Warm(door) => Self::Warm(door.clone()),
            Self::Remote(asked) => Self::Remote(asked.clone()),
        }
    }
}

impl<T: Send + 'static> Backing<T> {
    fn origin(&self) -> Origin {
        match self {
            Self::Warm(door) => door.origin,
            Self::Remote(_) => Origin::Remote,
        }
    }

    /// Make an instance and drop it; of a decider elsewhere there is none to make.
    fn instantiate(&self) -> Result<(), Error> {
        match self {
            Self::Warm(door) => door.pool.make_one(),
            Self::Remote(_) => Ok(()),
        }
    }
}

/// A stateless decider: its warm instances and where its code came from.
struct Door<T: Send + 'static> {
    pool: Pool<T>,
    origin: Origin,
}

impl<T: Send + 'static> Clone for Door<T> {
    fn clone(&self) -> Self {
        Self {
            pool: self.pool.clone(),
            origin: self.origin,
        }
    }
}

impl<T: Send + 'static> Door<T> {
    /// Load a component, check it against its world with `fit`, and warm up.
    fn open<P: Send + Sync + 'static>(
        engine: &Engine,
        artifact: &Artifact<'_>,
        fit: impl FnOnce(InstancePre<Bound>) -> wasmtime::Result<P>,
        instantiate: impl Fn(&P, &mut Store<Bound>) -> wasmtime::Result<T> + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let prepared = prepare(engine, artifact)?;
        let origin = prepared.origin;
        let (decider, world) = fitted(prepared, fit)?;
        Self::warm(engine, decider, origin, move |store| {
            instantiate(&world, store)
        })
    }

    /// Warm up a component that fits.
    fn warm(
        engine: &Engine,
        decider: String,
        origin: Origin,
        instantiate: impl Fn(&mut Store<Bound>) -> wasmtime::Result<T> + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let limits = engine.config().small;
        let make = {
            let (engine, decider) = (engine.clone(), decider.clone());
            move || {
                Warm::load(&engine, &limits, &instantiate)
                    .map_err(|error| no_instance(&decider, &error))
            }
        };
        let pool = Pool::new(engine, &decider, limits, None, Box::new(make))?;
        Ok(Self { pool, origin })
    }
}

/// Check a component's exports against its world.
fn fitted<P>(
    prepared: Prepared,
    fit: impl FnOnce(InstancePre<Bound>) -> wasmtime::Result<P>,
) -> Result<(String, P), Error> {
    let Prepared {
        name, component, ..
    } = prepared;
    match fit(component) {
        Ok(world) => Ok((name, world)),
        Err(error) => Err(Error::World {
            decider: name,
            detail: format!("{error:#}"),
        }),
    }
}

fn no_instance(decider: &str, error: &wasmtime::Error) -> Error {
    Error::Instance {
        decider: decider.to_owned(),
        detail: format!("{error:#}"),
    }
}
