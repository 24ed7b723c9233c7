//! The mesh itself, as a process: state opened, listeners bound, the folder
//! watched, and everything brought home at the end.
//!
//! Reading order: this file, `serve` (sockets), `front` (requests), `gateways`
//! (`/v1/exchange`), `heartbeat`, `beside` (a mesh beside Spin), `watch` (the mesh
//! folder), `deciders`, `encoder`, `logs`.

pub mod app;
mod beside;
mod deciders;
mod encoder;
mod front;
mod gateways;
mod heartbeat;
mod logs;
mod serve;
mod watch;

pub use deciders::{OverHttp, router, validate_policies};
pub use encoder::open_endpoint;
pub use serve::serve;

use crate::cli::UpArgs;
use crate::config::run::{LOCK_FILE, RUN_FILE, Run};
use crate::config::{Config, MeshFile, mesh_file::Anonymous, place};
use crate::exit::{Exit, Failure};
use crate::output::Output;
use anyhow::Context as _;
use beside::Beside;
use bytes::Bytes;
use front::{Body, Front};
use http::{Response, StatusCode};
use http_body_util::{Either, Full};
use kgents_mesh::dial::{Allow, Timeouts};
use kgents_mesh::nucleus::{Nucleus, Settings};
use kgents_mesh::policy::PolicyStore;
use prometheus_client::registry::Registry as Metrics;
use std::fs::{File, TryLockError};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch as signal;

/// Other commands look at the lock for a moment; so long a mesh keeps trying.
const LOCK_TRIES: u32 = 40;
/// Between two tries.
const LOCK_WAIT: Duration = Duration::from_millis(10);

/// Runs a mesh until it is told to stop.
///
/// # Errors
/// When it cannot start: another mesh on the data folder, an address in use,
/// state that cannot be opened.
pub fn run(args: &UpArgs, config: Config, output: Output) -> anyhow::Result<ExitCode> {
    logs::start(args.log, config.verbosity, output.error_style.is_coloured());
    place::make_data_dir(&config.data_dir)
        .with_context(|| format!("cannot make `{}`", config.data_dir.display()))?;
    let lock = lock(&config.data_dir)?;
    if let Err(error) = place::close_to_others(&config.data_dir) {
        tracing::warn!(%error, "others may look into the data folder: kgents check");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(live(config, args.gateway_only, output));
    runtime.shutdown_timeout(Duration::from_secs(1));
    drop(lock);
    ended.map(|()| ExitCode::SUCCESS)
}

fn lock(data_dir: &Path) -> anyhow::Result<File> {
    let path = data_dir.join(LOCK_FILE);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .read(true)
        .open(&path)
        .with_context(|| format!("cannot open `{}`", path.display()))?;
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_WAIT),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
    }
    let message = format!("a mesh runs on `{}` already", data_dir.display());
    Err(Failure::new(Exit::Failed, "ALREADY_RUNNING", message)
        .hint("stop it, or give this one a folder of its own: --data DIR")
        .into())
}

async fn live(config: Config, gateway_only: bool, output: Output) -> anyhow::Result<()> {
    let data_dir = config.data_dir.clone();
    let invocation = config.invocation.clone();
    let listener = bind(config.mesh.listen.get(), "listen").await?;
    let admin = bind(config.mesh.admin.get(), "admin").await?;
    let mut metrics = Metrics::default();
    let own = vec![listener.local_addr()?, admin.local_addr()?];
    let settings = settings(&config, own)?;
    let opened = tokio::task::block_in_place(|| -> anyhow::Result<Nucleus> {
        let elsewhere = config.mesh.deciders.as_ref();
        let deciders = deciders::load(elsewhere.map(|url| url.get()))?;
        Ok(Nucleus::open(settings, &deciders, &mut metrics)?)
    })?;
    let nucleus = Arc::new(opened);
    for problem in nucleus.policies.status().problems {
        tracing::error!(
            problem,
            "no policy is in force, so everybody is denied: kgents check"
        );
    }
    tokio::task::block_in_place(|| watch::register(&nucleus, &config.cards));
    nucleus.teacher.teach(config.taught.clone());
    nucleus.teacher.begin();
    let listen = listener.local_addr()?;
    let run = describe(&config, listen, admin.local_addr()?, gateway_only);
    let beside = if gateway_only {
        let now_ms = nucleus.exchange.clock.now_ms();
        Some(Beside::new(&config, listen, &nucleus.authority, now_ms)?)
    } else {
        None
    };
    let front = Arc::new(front(&config, &run, &nucleus));
    let _watcher = match &config.mesh_dir {
        Some(dir) => Some(watch::start(dir, Arc::clone(&nucleus))?),
        None => None,
    };
    let (stop, stopping) = signal::channel(false);
    let (metrics, policies) = (Arc::new(metrics), Arc::clone(&nucleus.policies));
    tokio::spawn(serve::serve(admin, stopping.clone(), move |request, _| {
        let (metrics, policies) = (Arc::clone(&metrics), Arc::clone(&policies));
        async move { administer(request.uri().path(), &metrics, &policies) }
    }));
    let tending = Arc::clone(&nucleus);
    let tend = tokio::spawn(async move { tending.tend().await });
    let fetch = tokio::spawn(watch::fetch(Arc::clone(&nucleus), config.cards));
    run.write(&data_dir)
        .with_context(|| format!("cannot write `{RUN_FILE}`"))?;
    let routing = encoder::described(nucleus.registry.embedder());
    match &beside {
        Some(beside) => beside.announce(&run, output, &invocation),
        None => announce(&run, output, &invocation, routing),
    }
    let serving = tokio::spawn(serve::serve(listener, stopping, move |request, _| {
        let front = Arc::clone(&front);
        async move { front.answer(request).await }
    }));
    told_to_stop().await;
    tracing::info!("stopping");
    let _ = std::fs::remove_file(data_dir.join(RUN_FILE));
    let _ = stop.send(true);
    tokio::select! {
        _ = serving => {}
        () = told_to_stop() => tracing::warn!("told twice: calls under way are cut off"),
    }
    tend.abort();
    fetch.abort();
    nucleus.close().await;
    Ok(())
}

/// What other commands are told.
fn describe(config: &Config, listen: SocketAddr, admin: SocketAddr, gateway_only: bool) -> Run {
    Run {
        listen: format!("http://{listen}"),
        admin: format!("http://{admin}"),
        pid: std::process::id(),
        mesh_dir: config.mesh_dir.clone(),
        trust_domain: config.mesh.trust_domain.get().to_owned(),
        cluster: config.mesh.cluster.get().to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        gateway_only,
    }
}

fn front(config: &Config, run: &Run, nucleus: &Nucleus) -> Front {
    let public_url = config.mesh.public_url.as_ref();
    Front {
        exchange: nucleus.exchange.clone(),
        policies: Arc::clone(&nucleus.policies),
        body_max: usize::try_from(config.mesh.limits.body).unwrap_or(usize::MAX),
        public_url: public_url.map(|url| url.get().to_owned()),
        listen_url: run.listen.clone(),
        gateway_only: run.gateway_only,
    }
}

async fn bind(address: SocketAddr, which: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let message = format!("`{which}`: cannot listen on {address}: {error}");
        Failure::new(Exit::Failed, "ADDRESS", message)
            .hint(format!("free it, or take another: --{which} 127.0.0.1:0"))
            .into()
    })
}

fn decisions(config: &Config) -> kgents_mesh::decisions::Settings {
    let decisions = &config.mesh.decisions;
    kgents_mesh::decisions::Settings {
        entries: usize::try_from(decisions.entries).unwrap_or(usize::MAX),
        shared: decisions.shared.as_ref().map(|server| server.get().clone()),
    }
}

fn settings(config: &Config, own: Vec<SocketAddr>) -> anyhow::Result<Settings> {
    let MeshFile {
        upstreams,
        thresholds,
        ..
    } = &config.mesh;
    Ok(Settings {
        data_dir: config.data_dir.clone(),
        trust_domain: config.mesh.trust_domain.get().to_owned(),
        cluster: config.mesh.cluster.get().to_owned(),
        anonymous: config.mesh.anonymous == Anonymous::Allow,
        allow: Allow::new(upstreams.allow.iter().map(|range| range.rule()).collect()).except(own),
        timeouts: Timeouts {
            connect: upstreams.connect_timeout.get(),
            answer: upstreams.timeout.get(),
            probe: config.mesh.health.timeout.get(),
        },
        accept: thresholds.accept as f32,
        fallback: config
            .mesh
            .fallback
            .as_ref()
            .map(|name| name.get().to_owned()),
        strict: config.mesh.audit.strict,
        probe_every: config.mesh.health.every.get(),
        policies: deciders::sources(&config.policies),
        budgets: watch::budgets(&config.budgets),
        encoder: encoder::open(config)?,
        decisions: decisions(config),
    })
}

/// Says where the mesh listens, and how to talk to it.
fn announce(run: &Run, output: Output, invocation: &str, routing: &str) {
    output.show_next(run, |style| {
        let mut text = format!(
            "kgents {} listens on {}\n  metrics   {}/metrics\n",
            run.version,
            style.bold(&run.listen),
            run.admin
        );
        if let Some(dir) = &run.mesh_dir {
            text.push_str(&format!("  folder    {} (watched)\n", dir.display()));
        }
        text.push_str(&format!("  routing   {routing}\ntry:\n"));
        text.push_str(&format!(
            "  curl -s {}/v1/route -H \"Authorization: Bearer $({invocation} token)\" \
             -H 'Content-Type: application/json' -d '{{\"text\": \"how many tokens are left?\"}}'\n",
            run.listen
        ));
        text.push_str("Ctrl-C stops it.");
        text
    });
}

fn administer(path: &str, metrics: &Metrics, policies: &PolicyStore) -> Response<Body> {
    match path {
        "/policies" => {
            let ids: Vec<String> = policies.ids().iter().map(ToString::to_string).collect();
            let problems = policies.status().problems;
            front::json(&serde_json::json!({ "ids": ids, "problems": problems }))
        }
        "/metrics" => {
            let mut text = String::new();
            if prometheus_client::encoding::text::encode(&mut text, metrics).is_err() {
                return front::text(StatusCode::INTERNAL_SERVER_ERROR, "metrics\n");
            }
            let mut response = Response::new(Either::Left(Full::new(Bytes::from(text))));
            response.headers_mut().insert(
                http::header::CONTENT_TYPE,
                http::HeaderValue::from_static(
                    "application/openmetrics-text; version=1.0.0; charset=utf-8",
                ),
            );
            response
        }
        "/healthz" => front::text(StatusCode::OK, "ok\n"),
        _ => front::text(
            StatusCode::NOT_FOUND,
            "only /metrics, /policies and /healthz are here\n",
        ),
    }
}

/// Resolves when the process is told to stop: Ctrl-C, or SIGTERM.
pub async fn told_to_stop() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut terminate) = signal(SignalKind::terminate()) else {
            let _ = tokio::signal::ctrl_c().await;
            return;
        };
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    let _ = tokio::signal::ctrl_c().await;
}
