//! `kgents up -f APP`: a Spin application instead of a mesh, as `spin up` runs
//! it and as spin-operator starts an executor.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use kgents_app::{App, Packed, Route, RuntimeConfig};
use kgents_oci::Reference;
use kgents_runner::{Engine, EngineSettings, RunError, Runner, RunnerSettings};
use serde::Serialize;
use sha2::Digest as _;
use tokio::sync::watch as signal;

use super::{bind, logs, serve, told_to_stop};
use crate::cli::{SpinArgs, UpArgs};
use crate::commands::{Context, app};
use crate::config::place;
use crate::exit::{Exit, Failure};
use crate::output::{Output, safe};

/// Where an application listens when nobody says: as under Spin.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 3000);
/// Where spin-operator says where to listen, beside the argument.
const LISTEN_VARIABLE: &str = "SPIN_HTTP_LISTEN_ADDR";
/// Folder of applications below the data folder.
const APPS_DIR: &str = "apps";
/// Folder of compiled components in it.
const COMPILED_DIR: &str = "compiled";
/// Folder of what applications store in it, one folder each.
const STORES_DIR: &str = "stores";
/// Longest name that is a folder's as it stands, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// The listener gave requests under way their time; so long components have to
/// notice that theirs are gone.
const GRACE: Duration = Duration::from_millis(500);

/// An application that serves.
#[derive(Serialize)]
struct Serving {
    /// Its name.
    app: String,
    /// Where callers connect.
    listen: String,
    /// Its routes, in the order of the manifest.
    routes: Vec<Served>,
}

/// A route and what answers.
#[derive(Serialize)]
struct Served {
    route: String,
    component: Option<String>,
}

/// Runs the application `from` until it is told to stop.
///
/// # Errors
/// When it cannot start: no such application, something in it that is not
/// supported, an address in use.
pub fn run(
    args: &UpArgs,
    from: &str,
    context: &Context,
    verbosity: u8,
) -> anyhow::Result<ExitCode> {
    let coloured = context.output.error_style.is_coloured();
    logs::start(args.log, verbosity, coloured);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(live(args, from, context));
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended.map(|()| ExitCode::SUCCESS)
}

async fn live(args: &UpArgs, from: &str, context: &Context) -> anyhow::Result<()> {
    let packed = packed(from, &args.spin, context).await?;
    let app = App::open(&packed, &args.spin.component_ids)
        .map_err(|error| app::failure_of_app(&error))?;
    drop(packed);
    let listener = bind(listen(args)?, "listen").await?;
    let address = listener.local_addr()?;
    let serving = serving(&app, address);
    let runner = start(app, &args.spin, context, address).await?;
    let (stop, stopping) = signal::channel(false);
    let answering = runner.clone();
    let accepting = tokio::spawn(serve::serve(listener, stopping, move |request, client| {
        let runner = answering.clone();
        async move { runner.answer(request, client).await }
    }));
    announce(&serving, context.output);
    told_to_stop().await;
    tracing::info!("stopping");
    let _ = stop.send(true);
    tokio::select! {
        _ = accepting => {}
        () = told_to_stop() => tracing::warn!("told twice: requests under way are cut off"),
    }
    runner.close(GRACE).await;
    Ok(())
}

/// The application: of this machine if there is such a file, else from a registry.
async fn packed(from: &str, spin: &SpinArgs, context: &Context) -> Result<Packed, Failure> {
    if Path::new(from).exists() {
        return app::pack(Path::new(from));
    }
    if !Reference::is_likely(from) {
        let message = format!("there is no application `{}`", safe(from));
        return Err(Failure::new(Exit::Failed, "NO_APP", message)
            .hint("name its folder, its spin.toml, or REGISTRY/NAME:TAG"));
    }
    let reference = app::reference(from)?;
    let pulled = app::fetch(&reference, spin.insecure, context).await?;
    tracing::info!(%reference, digest = %pulled.digest, "pulled");
    Ok(pulled.packed)
}

fn listen(args: &UpArgs) -> Result<SocketAddr, Failure> {
    if let Some(listen) = args.listen {
        return Ok(listen.get());
    }
    let Ok(text) = std::env::var(LISTEN_VARIABLE) else {
        return Ok(LISTEN);
    };
    SocketAddr::from_str(&text).map_err(|_| {
        let message = format!("{LISTEN_VARIABLE}: `{}` is no address", safe(&text));
        Failure::new(Exit::Usage, "ADDRESS", message).hint("write it as 127.0.0.1:3000")
    })
}

async fn start(
    app: App,
    spin: &SpinArgs,
    context: &Context,
    address: SocketAddr,
) -> Result<Runner, Failure> {
    let runtime = match &spin.runtime_config_file {
        Some(path) => RuntimeConfig::read(path).map_err(|error| app::failure_of_app(&error))?,
        None => RuntimeConfig::default(),
    };
    let folder = context.data_dir.join(APPS_DIR);
    let data = folder.join(STORES_DIR).join(folder_name(&app.name));
    for folder in [&context.data_dir, &data] {
        place::make_data_dir(folder).map_err(|error| {
            let message = format!("cannot make `{}`: {error}", folder.display());
            Failure::new(Exit::Failed, "DATA_DIR", message)
                .hint("name a folder that can be written to: --data DIR")
        })?;
    }
    let engine = EngineSettings {
        cache: Some(folder.join(COMPILED_DIR)),
        ..EngineSettings::default()
    };
    let engine = Engine::new(&engine).map_err(|error| failure(&error))?;
    let settings = RunnerSettings {
        runtime,
        environment: Arc::new(|name| std::env::var(name).ok()),
        data: Some(data),
        origin: Some(address.to_string()),
        ..RunnerSettings::new(engine)
    };
    Runner::new(app, settings)
        .await
        .map_err(|error| failure(&error))
}

/// An application's own folder: its name where that is fit for one, else what is
/// fit of it and a digest, so that no two names share one.
fn folder_name(name: &str) -> String {
    let fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if name.len() <= NAME_BYTES_MAX && !name.is_empty() && name.chars().all(fit) {
        return name.to_owned();
    }
    let some: String = name
        .chars()
        .filter(|c| fit(*c))
        .take(NAME_BYTES_MAX / 2)
        .collect();
    let digest = sha2::Sha256::digest(name);
    let digest: String = digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{some}.{digest}")
}

fn failure(error: &RunError) -> Failure {
    let failure = Failure::new(Exit::Failed, "APP_RUN", app::in_full(error));
    match error {
        RunError::Cache { .. } => {
            failure.hint("name a data folder that can be written to: --data DIR")
        }
        RunError::Store { .. } => failure.hint(
            "a store is for one process at a time; its file is `path` in the runtime configuration, \
             or else below --data DIR",
        ),
        _ => failure,
    }
}

fn serving(app: &App, address: SocketAddr) -> Serving {
    let routes = app.triggers.iter().map(|trigger| Served {
        route: match &trigger.route {
            Route::Path(path) => path.clone(),
            Route::Private => "private".to_owned(),
        },
        component: match &trigger.target {
            kgents_app::Target::Component(id) => Some(id.clone()),
            kgents_app::Target::Static(_) => None,
        },
    });
    Serving {
        app: app.name.clone(),
        listen: format!("http://{address}"),
        routes: routes.collect(),
    }
}

fn announce(serving: &Serving, output: Output) {
    output.show_next(serving, |style| {
        let mut text = format!("Serving {}\n", style.bold(&serving.listen));
        for Served { route, component } in &serving.routes {
            let what = component.as_deref().unwrap_or("a static answer");
            text.push_str(&format!("  {}  {}\n", safe(route), safe(what)));
        }
        text.push_str("Ctrl-C stops it.");
        text
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_or_cache_that_cannot_be_opened_is_told_with_the_option_that_names_another() {
        let path = std::path::PathBuf::from("/data/key-value.redb");
        let store = RunError::Store {
            path: path.clone(),
            detail: "no".to_owned(),
        };
        let cache = RunError::Cache {
            folder: path,
            source: std::io::ErrorKind::ReadOnlyFilesystem.into(),
        };
        for error in [store, cache] {
            let failure = failure(&error);
            let hint = failure.hint.unwrap_or_default();
            assert!(hint.contains("--data DIR"), "{hint}");
        }
    }

    #[test]
    fn an_applications_folder_is_one_part_of_a_path_whatever_its_name() {
        assert_eq!(folder_name("mesh-1_a"), "mesh-1_a");
        let names = ["../a b/é", "a/b", "a b", "ab", "", ".", "..", "ä"];
        let folders: Vec<String> = names.iter().map(|name| folder_name(name)).collect();
        for (place, folder) in folders.iter().enumerate() {
            assert!(
                !folder.contains('/') && !folder.starts_with(".."),
                "{folder}"
            );
            assert!(!folders.iter().skip(place + 1).any(|other| other == folder));
        }
    }
}
