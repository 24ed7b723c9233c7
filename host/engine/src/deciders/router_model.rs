//! What the router learnt from the cards. Its tables are large, so a model is
//! loaded into its own generation of instances, as policies are, and asked from
//! there; whoever holds the old model keeps it until they let it go.

use std::sync::Arc;

use wasmtime::component::ResourceAny;
use wasmtime::{Result as Outcome, Store};

use super::bindings::router::{Router as World, RouterPre as WorldPre};
use super::router::{Classified, Ranked, Tables, Vectors};
use super::{fitted, no_instance};
use crate::artifact::{Artifact, Origin, prepare};
use crate::bound::Bound;
use crate::config::CallLimits;
use crate::engine::Engine;
use crate::error::Error;
use crate::pool::{Pool, Warm, failure};

/// Why a model was not loaded. The model in use is untouched.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LoadModelError {
    /// The tables do not fit each other; the field, and what is wrong with it.
    #[error("the model's tables cannot be used: {0}")]
    Tables(String),
    /// The decider failed.
    #[error(transparent)]
    Engine(#[from] Error),
}

impl LoadModelError {
    /// Stable name for the wire, metrics and audit.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Tables(_) => "router-tables",
            Self::Engine(error) => error.code(),
        }
    }
}

/// Makes instances of the router, with a model inside or without.
pub(super) struct Maker {
    engine: Engine,
    decider: String,
    origin: Origin,
    world: WorldPre<Bound>,
}

/// One instance with its model inside.
struct Loaded {
    guest: World,
    model: ResourceAny,
}

impl Maker {
    /// Load the component, with no instance yet.
    pub(super) fn load(engine: &Engine, artifact: &Artifact<'_>) -> Result<Self, Error> {
        let prepared = prepare(engine, artifact)?;
        let origin = prepared.origin;
        let (decider, world) = fitted(prepared, WorldPre::new)?;
        Ok(Self {
            engine: engine.clone(),
            decider,
            origin,
            world,
        })
    }

    pub(super) fn decider(&self) -> String {
        self.decider.clone()
    }

    pub(super) fn origin(&self) -> Origin {
        self.origin
    }

    /// An instance without a model.
    pub(super) fn instantiate(&self, store: &mut Store<Bound>) -> Outcome<World> {
        self.world.instantiate(store)
    }

    /// Tries the tables in one instance, then takes them into all instances of a new
    /// generation.
    pub(super) fn model(self: &Arc<Self>, tables: &Tables) -> Result<RouterModel, LoadModelError> {
        let first = self.first(tables)?;
        let make = {
            let (maker, tables) = (Arc::clone(self), tables.clone());
            move || maker.another(&tables)
        };
        let config = self.engine.config();
        let instances = config.instances.min(config.router_model_instances);
        let pool = Pool::of(
            instances,
            &self.engine,
            &self.decider,
            config.router_model,
            Some(first),
            Box::new(make),
        )?;
        Ok(RouterModel(pool))
    }

    fn limits(&self) -> CallLimits {
        self.engine.config().router_model_load
    }

    fn bring_in(
        &self,
        store: &mut Store<Bound>,
        tables: &Tables,
    ) -> Outcome<Result<Loaded, String>> {
        let guest = self.world.instantiate(&mut *store)?;
        let models = guest.kgents_router_routing().model();
        let loaded = models.call_load(store, tables)?;
        Ok(loaded.map(|model| Loaded { guest, model }))
    }

    /// The instance that checks the tables.
    fn first(&self, tables: &Tables) -> Result<Warm<Loaded>, LoadModelError> {
        let limits = self.limits();
        let mut problem = String::new();
        let warm = Warm::load(&self.engine, &limits, |store| {
            let loaded = self.bring_in(store, tables)?;
            Ok(loaded.inspect_err(|found| problem.clone_from(found)).ok())
        })
        .map_err(|error| failure(&self.decider, &limits, &error))?;
        warm.filter().ok_or(LoadModelError::Tables(problem))
    }

    /// Another instance with tables that were found to fit.
    fn another(&self, tables: &Tables) -> Result<Warm<Loaded>, Error> {
        let limits = self.limits();
        Warm::load(&self.engine, &limits, |store| {
            self.bring_in(store, tables)?.map_err(|problem| {
                wasmtime::Error::msg(format!(
                    "tables that fitted in one instance do not fit in another: {problem}"
                ))
            })
        })
        .map_err(|error| match failure(&self.decider, &limits, &error) {
            Error::Trapped { .. } => no_instance(&self.decider, &error),
            other => other,
        })
    }
}

/// What was learnt, in warm instances; cheap to clone. Its records are documented in
/// `wit/router`.
#[derive(Clone)]
pub struct RouterModel(Pool<Loaded>);

impl RouterModel {
    /// The best routes for a question, best first; at most `limit`. Empty when a
    /// vector is not of the model's dimensions.
    ///
    /// # Errors
    /// [`Error::Trapped`], [`Error::Deadline`], [`Error::Memory`] or
    /// [`Error::Busy`].
    pub fn rank(&self, vectors: &Vectors, limit: u32) -> Result<Vec<Ranked>, Error> {
        self.0.call(|store, loaded| {
            let models = loaded.guest.kgents_router_routing().model();
            models.call_rank(store, loaded.model, vectors, limit)
        })
    }

    /// Judges among these routes alone, as if there were no others: pass those of
    /// [`rank`](Self::rank) that the caller may be led to. None when there is none.
    ///
    /// # Errors
    /// [`Error::Trapped`], [`Error::Deadline`], [`Error::Memory`] or
    /// [`Error::Busy`].
    pub fn judge(&self, vectors: &Vectors, among: &[Ranked]) -> Result<Option<Classified>, Error> {
        self.0.call(|store, loaded| {
            let models = loaded.guest.kgents_router_routing().model();
            models.call_judge(store, loaded.model, vectors, among)
        })
    }

    /// Make an instance, take the tables in and drop it, as a replacement is made:
    /// for measuring.
    ///
    /// # Errors
    /// [`Error::Instance`], [`Error::Deadline`] or [`Error::Memory`].
    pub fn instantiate(&self) -> Result<(), Error> {
        self.0.make_one()
    }
}
