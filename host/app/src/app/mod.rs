//! A packed application, checked: nothing in it surprises whoever runs it.

mod open;
mod trigger;

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::Digest;
use crate::limits::Limits;
use crate::template::Template;

pub(crate) use open::no_such_component;
pub(crate) use trigger::{trigger_of, trigger_place};

/// An application of which everything is there and everything is supported.
#[derive(Debug, Clone)]
pub struct App {
    /// Its name.
    pub name: String,
    /// Its version, or nothing.
    pub version: String,
    /// The variables an operator sets, by name.
    pub variables: BTreeMap<String, Variable>,
    /// Which requests go where; at least one.
    pub triggers: Vec<HttpTrigger>,
    /// The components that a trigger names, each once, by name.
    pub components: Vec<Component>,
}

/// A variable an operator sets.
#[derive(Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its value when nobody sets it; without one it has to be set.
    pub default: Option<String>,
    /// Whether its value must not be shown.
    pub secret: bool,
}

/// Which requests go where.
#[derive(Debug, Clone)]
pub struct HttpTrigger {
    /// Its name, once in an application.
    pub id: String,
    /// The paths it is for.
    pub route: Route,
    /// What answers.
    pub target: Target,
}

/// The paths a trigger is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// `/exact`, `/with/:name`, `/below/...`
    Path(String),
    /// None from outside; only from within the application, as `NAME.spin.internal`.
    Private,
}

/// What answers.
#[derive(Debug, Clone)]
pub enum Target {
    /// The component of this name.
    Component(String),
    /// Always the same.
    Static(StaticResponse),
}

/// An answer without a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticResponse {
    /// 200 to 599.
    pub status: u16,
    /// Valid names and values, by name.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

/// A component and what it may have.
#[derive(Debug, Clone)]
pub struct Component {
    /// Its name, once in an application.
    pub id: String,
    /// A WebAssembly component that exports `wasi:http/incoming-handler@0.2`, composed.
    pub wasm: Bytes,
    /// The digest of `wasm`.
    pub digest: Digest,
    /// The environment it sees.
    pub environment: BTreeMap<String, String>,
    /// The variables it sees; each names only variables of the application.
    pub variables: BTreeMap<String, Template>,
    /// The files it sees, read only, each path once.
    pub files: Vec<GuestFile>,
    /// For [`AllowedHosts`](crate::AllowedHosts).
    pub allowed_outbound_hosts: Vec<Template>,
    /// The labels of the stores it may open.
    pub key_value_stores: Vec<String>,
    /// What it may use.
    pub limits: Limits,
}

/// A file that a component sees.
#[derive(Debug, Clone)]
pub struct GuestFile {
    /// Absolute, with `/` between its parts, and none of them `.` or `..`.
    pub path: String,
    /// What is in it.
    pub bytes: Bytes,
}

impl std::fmt::Debug for Variable {
    /// The default of a secret is not shown either.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let default = match (&self.default, self.secret) {
            (Some(_), true) => Some("…"),
            (default, _) => default.as_deref(),
        };
        f.debug_struct("Variable")
            .field("default", &default)
            .field("secret", &self.secret)
            .finish()
    }
}
