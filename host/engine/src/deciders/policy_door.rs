//! The policy decider: may this caller do that? Loading policies is costly, so
//! a set of them is loaded into its own generation of instances and asked from
//! there; whoever holds the old set keeps it until they let it go. Elsewhere
//! (`policy_remote`) nothing is kept, and the policies go along with each question.

use std::sync::Arc;

use wasmtime::component::ResourceAny;
use wasmtime::{Result as Outcome, Store};

use super::bindings::policy::{Policy as World, PolicyPre as WorldPre};
use super::policy::{Problem, Query, Source, Subject, Verdict};
use super::policy_remote::{self, RemoteSet};
use super::remote::{Asked, Remote};
use super::{fitted, no_instance};
use crate::artifact::{Artifact, Origin, prepare};
use crate::bound::Bound;
use crate::config::CallLimits;
use crate::engine::Engine;
use crate::error::Error;
use crate::pool::{Pool, Warm, failure};

/// Why a set of policies was not loaded. The set in use is untouched.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LoadError {
    /// The policies are wrong; all problems at once.
    #[error("the policies have {} problem(s)", .0.len())]
    Problems(Vec<Problem>),
    /// The decider failed.
    #[error(transparent)]
    Engine(#[from] Error),
}

impl LoadError {
    /// Stable name for the wire, metrics and audit.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Problems(_) => "policy-problems",
            Self::Engine(error) => error.code(),
        }
    }
}

/// The policy decider: makes sets of policies.
#[derive(Clone)]
pub struct Policy(Backing);

#[derive(Clone)]
enum Backing {
    Warm(Arc<Maker>),
    Remote(Asked),
}

struct Maker {
    engine: Engine,
    decider: String,
    origin: Origin,
    world: WorldPre<Bound>,
}

/// One instance with its policies inside.
struct Loaded {
    guest: World,
    set: ResourceAny,
}

/// What became of the policies in one instance.
type Loading = Result<Loaded, Vec<Problem>>;

impl Policy {
    /// Load the decider, with no policies yet.
    ///
    /// # Errors
    /// [`Error::Artifact`], [`Error::Imports`] or [`Error::World`].
    pub fn load_decider(engine: &Engine, artifact: &Artifact<'_>) -> Result<Self, Error> {
        let prepared = prepare(engine, artifact)?;
        let origin = prepared.origin;
        let (decider, world) = fitted(prepared, WorldPre::new)?;
        Ok(Self(Backing::Warm(Arc::new(Maker {
            engine: engine.clone(),
            decider,
            origin,
            world,
        }))))
    }

    /// Ask it elsewhere.
    pub fn remote(remote: Arc<dyn Remote>) -> Self {
        Self(Backing::Remote(Asked::new("policy", remote)))
    }

    /// Where its machine code came from.
    pub fn origin(&self) -> Origin {
        match &self.0 {
            Backing::Warm(maker) => maker.origin,
            Backing::Remote(_) => Origin::Remote,
        }
    }

    /// Parse and validate policies in one instance, then bring them into all
    /// instances of a new generation. Returns when all of them are warm.
    ///
    /// # Errors
    /// [`LoadError::Problems`] with everything that is wrong, or the failure of
    /// the decider.
    pub fn load(&self, sources: &[Source]) -> Result<PolicySet, LoadError> {
        let maker = match &self.0 {
            Backing::Warm(maker) => maker,
            Backing::Remote(asked) => {
                let set = policy_remote::load(asked, sources)?;
                return Ok(PolicySet(Set::Remote(set)));
            }
        };
        let (first, ids) = maker.first(sources)?;
        let make = {
            let (maker, sources) = (Arc::clone(maker), sources.to_vec());
            move || maker.another(&sources)
        };
        let limits = maker.engine.config().policy;
        let pool = Pool::new(
            &maker.engine,
            &maker.decider,
            limits,
            Some(first),
            Box::new(make),
        )?;
        Ok(PolicySet(Set::Warm { pool, ids }))
    }

    /// The Cedar schema that policies are validated against, as text.
    ///
    /// # Errors
    /// [`Error::Trapped`], [`Error::Deadline`] or [`Error::Memory`];
    /// [`Error::Remote`] where it is asked elsewhere.
    pub fn schema(&self) -> Result<String, Error> {
        let maker = match &self.0 {
            Backing::Warm(maker) => maker,
            Backing::Remote(asked) => return policy_remote::schema(asked),
        };
        let limits = maker.limits();
        let mut text = String::new();
        Warm::load(&maker.engine, &limits, |store| {
            let guest = maker.world.instantiate(&mut *store)?;
            let authorization = guest.kgents_policy_authorization();
            text = authorization.call_schema(store)?;
            Ok(())
        })
        .map_err(|error| failure(&maker.decider, &limits, &error))?;
        Ok(text)
    }
}

impl Maker {
    fn limits(&self) -> CallLimits {
        self.engine.config().policy_load
    }

    fn bring_in(&self, store: &mut Store<Bound>, sources: &[Source]) -> Outcome<Loading> {
        let guest = self.world.instantiate(&mut *store)?;
        let sets = guest.kgents_policy_authorization().policy_set();
        let loaded = sets.call_load(store, sources)?;
        Ok(loaded.map(|set| Loaded { guest, set }))
    }

    /// The instance that validates; also reads the ids, which are the same in
    /// every other.
    fn first(&self, sources: &[Source]) -> Result<(Warm<Loaded>, Arc<[String]>), LoadError> {
        let limits = self.limits();
        let mut ids = Vec::new();
        let mut problems = Vec::new();
        let warm = Warm::load(&self.engine, &limits, |store| {
            match self.bring_in(store, sources)? {
                Ok(loaded) => {
                    let sets = loaded.guest.kgents_policy_authorization().policy_set();
                    ids = sets.call_ids(store, loaded.set)?;
                    Ok(Some(loaded))
                }
                Err(found) => {
                    problems = found;
                    Ok(None)
                }
            }
        })
        .map_err(|error| failure(&self.decider, &limits, &error))?;
        match warm.filter() {
            Some(warm) => Ok((warm, ids.into())),
            None => Err(LoadError::Problems(problems)),
        }
    }

    /// Another instance with policies that were found valid.
    fn another(&self, sources: &[Source]) -> Result<Warm<Loaded>, Error> {
        let limits = self.limits();
        Warm::load(&self.engine, &limits, |store| {
            self.bring_in(store, sources)?.map_err(|problems| {
                let count = problems.len();
                wasmtime::Error::msg(format!(
                    "policies that were valid in one instance have {count} problems in another"
                ))
            })
        })
        .map_err(|error| match failure(&self.decider, &limits, &error) {
            Error::Trapped { .. } => no_instance(&self.decider, &error),
            other => other,
        })
    }
}

/// A validated set of policies, in warm instances or asked about elsewhere; cheap
/// to clone.
#[derive(Clone)]
pub struct PolicySet(Set);

#[derive(Clone)]
enum Set {
    Warm {
        pool: Pool<Loaded>,
        ids: Arc<[String]>,
    },
    Remote(RemoteSet),
}

impl PolicySet {
    /// Ids of all policies, sorted; a verdict's `checked` counts into them.
    pub fn ids(&self) -> &[String] {
        match &self.0 {
            Set::Warm { ids, .. } => ids,
            Set::Remote(set) => set.ids(),
        }
    }

    /// Make an instance, bring the policies in and drop it, as a replacement is
    /// made: for measuring.
    ///
    /// # Errors
    /// [`Error::Instance`], [`Error::Deadline`] or [`Error::Memory`].
    pub fn instantiate(&self) -> Result<(), Error> {
        match &self.0 {
            Set::Warm { pool, .. } => pool.make_one(),
            Set::Remote(_) => Ok(()),
        }
    }

    /// One verdict per query, in order.
    ///
    /// # Errors
    /// [`Error::Trapped`], [`Error::Deadline`], [`Error::Memory`] or
    /// [`Error::Busy`]; [`Error::Remote`] where it is asked elsewhere; none of them
    /// allows anything.
    pub fn evaluate(&self, subject: &Subject, queries: &[Query]) -> Result<Vec<Verdict>, Error> {
        let pool = match &self.0 {
            Set::Warm { pool, .. } => pool,
            Set::Remote(set) => return set.evaluate(subject, queries),
        };
        pool.call(|store, loaded| {
            loaded
                .guest
                .kgents_policy_authorization()
                .policy_set()
                .call_evaluate(store, loaded.set, subject, queries)
        })
    }
}
