//! Why an application does not run.

use std::io;
use std::path::PathBuf;

use kgents_app::AppError;

/// An application cannot be run. Each variant says what to change.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The machine cannot run the engine as it is set up.
    #[error("the engine cannot be set up: {detail}")]
    Engine {
        /// What the machine said.
        detail: String,
    },
    /// The folder for compiled components cannot be used.
    #[error("the cache folder `{folder}` cannot be made, or not closed to others", folder = folder.display())]
    Cache {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The default key-value store cannot be opened.
    #[error("the key-value store `{path}` cannot be opened: {detail}", path = path.display())]
    Store {
        /// Its file.
        path: PathBuf,
        /// What the database said.
        detail: String,
    },
    /// A component's static files cannot be laid out for it.
    #[error("component `{component}`: its static files cannot be laid out")]
    Files {
        /// Its id.
        component: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A component is not one that can be compiled.
    #[error("component `{component}` cannot be compiled: {detail}")]
    Wasm {
        /// Its id.
        component: String,
        /// What the compiler said.
        detail: String,
    },
    /// A component imports what this runner does not have.
    #[error("component `{component}` imports `{import}`, which this runner does not have: {hint}")]
    Import {
        /// Its id.
        component: String,
        /// Name of the import.
        import: String,
        /// What to do.
        hint: String,
    },
    /// A component does not answer HTTP requests in a way that this runner knows.
    #[error("component `{component}` {found}, not `wasi:http/incoming-handler@0.2`: {hint}")]
    Export {
        /// Its id.
        component: String,
        /// What it exports instead.
        found: String,
        /// What to do.
        hint: String,
    },
    /// A component uses a key-value store that nobody configured.
    #[error(
        "component `{component}`: `key_value_stores` names `{label}`, which is not configured: \
         add `[key_value_store.{label}]` to the runtime configuration"
    )]
    StoreLabel {
        /// Its id.
        component: String,
        /// The label.
        label: String,
    },
    /// A key-value store's configuration makes no sense.
    #[error("`key_value_store.{label}`: {detail}")]
    StoreConfig {
        /// The label.
        label: String,
        /// What is wrong.
        detail: String,
    },
    /// A trigger names a component that is not there.
    #[error("trigger `{trigger}` names component `{component}`, which the application has not")]
    Target {
        /// The trigger's id.
        trigger: String,
        /// The component's id.
        component: String,
    },
    /// The system's certificate roots cannot be read, and a component may need them.
    #[error(
        "the system's certificate roots cannot be read, and `allowed_outbound_hosts` allows \
         `https`: install them (package `ca-certificates`)"
    )]
    Roots(#[source] io::Error),
    /// Variables, allowed hosts or routes of the application make no sense.
    #[error(transparent)]
    App(#[from] AppError),
}

impl RunError {
    /// Stable name for logs and tests.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Engine { .. } => "run-engine",
            Self::Cache { .. } => "run-cache",
            Self::Store { .. } => "run-store",
            Self::Files { .. } => "run-files",
            Self::Wasm { .. } => "run-wasm",
            Self::Import { .. } => "run-import",
            Self::Export { .. } => "run-export",
            Self::StoreLabel { .. } => "run-store-label",
            Self::StoreConfig { .. } => "run-store-config",
            Self::Target { .. } => "run-target",
            Self::Roots(_) => "run-roots",
            Self::App(error) => error.code(),
        }
    }
}
