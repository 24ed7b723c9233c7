//! From an application to one that runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use kgents_app::{AllowedHosts, App, Component, HttpTrigger, Router, Target, Variables};
use tempfile::TempDir;
use tokio::sync::{Semaphore, watch};
use wasmtime::component::Linker;
use wasmtime_wasi_http::p2::bindings::ProxyPre;

use crate::check;
use crate::component::Loaded;
use crate::engine::Engine;
use crate::error::RunError;
use crate::files;
use crate::lane::Pace;
use crate::link;
use crate::outbound::Client;
use crate::resting::Resting;
use crate::runner::{Answers, Inner};
use crate::settings::RunnerSettings;
use crate::speech::{Allowance, Speaker};
use crate::state::{Guest, Permits};
use crate::store::Stores;

/// Load everything, or say what would not work.
///
/// # Errors
/// See [`RunError`].
pub(crate) async fn load(app: App, settings: RunnerSettings) -> Result<Arc<Inner>, RunError> {
    let RunnerSettings {
        engine,
        runtime,
        environment,
        data,
        origin,
    } = settings;
    let variables = Variables::find(&app.variables, &runtime.variables_providers, |name| {
        environment(name)
    })?;
    let router = Router::new(&app.triggers)?;
    let mut permits = Permitting {
        app: app.name.as_str().into(),
        ids: app.components.iter().map(|one| one.id.clone()).collect(),
        variables,
        stores: Stores::new(&app.name, &runtime, data.as_deref()),
        files: Vec::new(),
    };
    let mut components = BTreeMap::new();
    let share = engine.share(app.components.len());
    for component in &app.components {
        // What is quickly found out comes before what takes seconds.
        let permitted = permits.of(component)?;
        let pre = compiled(&engine, component).await?;
        let loaded = Loaded {
            resting: Resting::new(permitted.limits.reuse.is_some()),
            permits: Arc::new(permitted),
            pre,
            pace: Arc::new(Pace::new(Arc::clone(engine.lane()))),
            engine: engine.clone(),
            share: Arc::new(Semaphore::new(share)),
        };
        components.insert(component.id.clone(), Arc::new(loaded));
    }
    let answers = app
        .triggers
        .iter()
        .map(|trigger| answers(trigger, &components))
        .collect::<Result<_, _>>()?;
    let files = permits.files;
    // Before that no component could send such a request.
    let tls = components
        .values()
        .any(|component| component.permits.hosts.allows_scheme("https"));
    let client = Client::new(tls)?;
    Ok(Arc::new_cyclic(|this| Inner {
        name: app.name,
        version: app.version,
        router,
        answers,
        components,
        client,
        origin,
        running: Inner::running(),
        stop: watch::Sender::new(false),
        _files: files,
        this: this.clone(),
    }))
}

fn answers(
    trigger: &HttpTrigger,
    components: &BTreeMap<String, Arc<Loaded>>,
) -> Result<Answers, RunError> {
    match &trigger.target {
        Target::Static(response) => Ok(Answers::Static(response.clone())),
        Target::Component(id) => components
            .get(id)
            .map(|component| Answers::Component(Arc::clone(component)))
            .ok_or_else(|| RunError::Target {
                trigger: trigger.id.clone(),
                component: id.clone(),
            }),
    }
}

/// What it takes to tell what components may do.
struct Permitting<'a> {
    app: Arc<str>,
    ids: Vec<String>,
    variables: Variables,
    stores: Stores<'a>,
    files: Vec<TempDir>,
}

impl Permitting<'_> {
    fn of(&mut self, component: &Component) -> Result<Permits, RunError> {
        let id = &component.id;
        let place = |key: &str| format!("component.{id}.{key}");
        let hosts = AllowedHosts::resolve(
            &component.allowed_outbound_hosts,
            &self.variables,
            &self.ids,
            &place("allowed_outbound_hosts"),
        )?;
        let mut variables = BTreeMap::new();
        for (name, template) in &component.variables {
            let value = self.variables.render(template);
            let value = value.map_err(|problem| problem.at(place(&format!("variables.{name}"))))?;
            variables.insert(name.clone(), value);
        }
        let mut stores = BTreeMap::new();
        for label in &component.key_value_stores {
            stores.insert(label.clone(), self.stores.get(id, label)?);
        }
        let folder = if component.files.is_empty() {
            None
        } else {
            let folder = files::lay_out(&component.files).map_err(|source| RunError::Files {
                component: id.clone(),
                source,
            })?;
            let path = folder.path().to_owned();
            self.files.push(folder);
            Some(path)
        };
        Ok(Permits {
            speaker: Speaker {
                app: Arc::clone(&self.app),
                component: id.as_str().into(),
                allowance: Arc::new(Allowance::new(Instant::now())),
            },
            environment: component
                .environment
                .iter()
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            files: folder,
            hosts,
            variables,
            stores,
            limits: component.limits,
        })
    }
}

/// Compile a component where blocking is allowed, check it and link it.
async fn compiled(engine: &Engine, component: &Component) -> Result<ProxyPre<Guest>, RunError> {
    let (id, wasm) = (component.id.clone(), component.wasm.clone());
    let engine = engine.clone();
    let compiling = tokio::task::spawn_blocking(move || {
        let broken = |error: wasmtime::Error| RunError::Wasm {
            component: id.clone(),
            detail: format!("{error:#}"),
        };
        let compiled = engine.compile(&id, &wasm).map_err(broken)?;
        check::component(&id, engine.wasmtime(), &compiled)?;
        let linker: Linker<Guest> = link::linker(engine.wasmtime()).map_err(broken)?;
        let pre = linker.instantiate_pre(&compiled).map_err(broken)?;
        ProxyPre::new(pre).map_err(broken)
    });
    compiling.await.map_err(|error| RunError::Wasm {
        component: component.id.clone(),
        detail: error.to_string(),
    })?
}
