//! What an operator decides about an application.

use std::path::PathBuf;
use std::sync::Arc;

use kgents_app::RuntimeConfig;

use crate::engine::Engine;

/// Gives the value of an environment variable.
pub type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// How a [`crate::Runner`] runs its application.
#[derive(Clone)]
pub struct RunnerSettings {
    /// What its components run in.
    pub engine: Engine,
    /// Where its stores are and its variables come from.
    pub runtime: RuntimeConfig,
    /// The environment that variables are looked up in, as `SPIN_VARIABLE_NAME`;
    /// components do not see it.
    pub environment: Environment,
    /// Folder of the default key-value store (`key-value.redb`, one process at a
    /// time). `None` keeps it in memory, and it is lost at the end.
    pub data: Option<PathBuf>,
    /// Host and port under which the application is reached: what its components
    /// see when they call it as `http://self`. Default: `localhost`.
    pub origin: Option<String>,
}

impl RunnerSettings {
    /// No configuration, no variables, nothing kept.
    pub fn new(engine: Engine) -> Self {
        Self {
            engine,
            runtime: RuntimeConfig::default(),
            environment: Arc::new(|_| None),
            data: None,
            origin: None,
        }
    }
}
