//! What lies in the data folder, opened, and what stands on it.

use super::{Error, Settings};
use crate::clock::Clock;
use crate::decisions::{self, Decisions, Redis, Shared, Steps};
use crate::evidence::LocalEvidence;
use crate::identity::Authority;
use crate::journal::Journal;
use crate::learning::{Feedback, Teacher};
use crate::own::{self, Own};
use crate::pheromones::Pheromones;
use crate::policy::PolicyStore;
use crate::ports::{Evidence, Policy};
use crate::registry::{Embedder, Registry};
use crate::store::Store;
use crate::tasks::{TaskStore, Tasks};
use kgents_audit::{FsDisk, Keys, Log};
use kgents_engine::Deciders;
use kgents_learn::Table;
use std::sync::Arc;

/// What lies in the data folder, opened.
pub(super) struct State {
    store: Arc<Store>,
    pub(super) authority: Arc<Authority>,
    pub(super) policies: Arc<PolicyStore>,
    pub(super) registry: Arc<Registry>,
    pub(super) journal: Arc<Journal>,
    pub(super) evidence: Arc<LocalEvidence>,
    pub(super) log: Log,
}

impl State {
    /// Opens it; gives back what of the settings is still to be used.
    pub(super) fn open(
        mut settings: Settings,
        deciders: &Deciders,
        clock: &Arc<dyn Clock>,
    ) -> Result<(Settings, Self), Error> {
        let data = &settings.data_dir;
        let store = Arc::new(Store::open(&data.join("state.redb"))?);
        let authority = Authority::open(&data.join("identity"), &settings.trust_domain)?;
        let policies = PolicyStore::open(
            deciders.policy.clone(),
            &settings.policies,
            &settings.cluster,
            &settings.trust_domain,
        )?;
        let embedder = Embedder::new(settings.encoder.take(), Arc::clone(&store));
        let registry = Arc::new(Registry::open(
            Arc::clone(&store),
            embedder,
            &settings.cluster,
            own::cards()?,
        )?);
        let tasks = Arc::new(Tasks::new(Arc::clone(&store) as Arc<dyn TaskStore>));
        let log = open_log(data, &settings.cluster, clock)?;
        let journal = Arc::new(Journal::open(
            log.clone(),
            Arc::clone(&store),
            Arc::clone(&tasks),
            &settings.budgets,
            Arc::clone(clock),
        )?);
        let evidence = Arc::new(LocalEvidence::new(
            Arc::clone(&registry),
            tasks,
            settings.fallback.take(),
        ));
        let state = Self {
            store,
            authority: Arc::new(authority),
            policies: Arc::new(policies),
            registry,
            journal,
            evidence,
            log,
        };
        Ok((settings, state))
    }

    pub(super) fn own(&self, deciders: &Deciders) -> Own {
        Own {
            agents: deciders.agents.clone(),
            journal: Arc::clone(&self.journal),
            evidence: Arc::clone(&self.evidence) as Arc<dyn Evidence>,
            policy: Arc::clone(&self.policies) as Arc<dyn Policy>,
        }
    }

    pub(super) fn teacher(&self, deciders: &Deciders) -> Result<Teacher, Error> {
        let feedback = Feedback::open(Arc::clone(&self.store))?;
        let (registry, router) = (Arc::clone(&self.registry), deciders.router.clone());
        Teacher::start(registry, feedback, router).map_err(Error::Teacher)
    }

    /// The memory of decisions, which hears of every change of the cards.
    pub(super) fn decisions(
        &self,
        settings: &decisions::Settings,
    ) -> Result<Arc<Decisions>, Error> {
        let encode = match Table::shipped() {
            Ok(table) => {
                let encode = move |text: &str| Steps::of(&table.encode(text));
                Some(Arc::new(encode) as Arc<decisions::Encode>)
            }
            Err(error) => {
                tracing::error!(code = error.code(), %error, "no static encoder");
                None
            }
        };
        let shared = settings.shared.as_ref().map(|url| {
            let redis = Redis::new(url).map_err(Error::Decisions)?;
            Ok::<_, Error>(Arc::new(redis) as Arc<dyn Shared>)
        });
        let directory = self.registry.directory();
        let decisions = Decisions::new(settings.entries, &directory, encode, shared.transpose()?);
        let decisions = Arc::new(decisions);
        let (hears, registry) = (Arc::clone(&decisions), Arc::downgrade(&self.registry));
        self.registry.on_change(Box::new(move || {
            if let Some(registry) = registry.upgrade() {
                hears.fleet_changed(&registry.directory());
            }
        }));
        Ok(decisions)
    }

    pub(super) fn pheromones(&self, deciders: &Deciders) -> Result<Arc<Pheromones>, Error> {
        let (decider, store) = (deciders.pheromone.clone(), Arc::clone(&self.store));
        Ok(Arc::new(Pheromones::open(decider, store)?))
    }
}

fn open_log(
    data: &std::path::Path,
    cluster: &str,
    clock: &Arc<dyn Clock>,
) -> Result<Log, kgents_audit::Error> {
    let dir = data.join("audit");
    let keys = Keys::load_or_create(&data.join("identity"))?;
    let now = Arc::clone(clock);
    let config = kgents_audit::Config::new(cluster, Arc::new(move || now.now_ms()));
    let (log, recovery) = Log::open(Arc::new(FsDisk::open(&dir)?), config, keys)?;
    if recovery.repaired_bytes > 0 {
        tracing::warn!(
            bytes = recovery.repaired_bytes,
            "a half-written end of the audit log was cut; no acknowledged record was in it"
        );
    }
    if !recovery.open_intents.is_empty() {
        let count = recovery.open_intents.len();
        tracing::warn!(
            count,
            "interactions were interrupted; the trail shows them as unknown"
        );
    }
    Ok(log)
}
