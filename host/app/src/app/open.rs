//! From a lock and its content to an application that can be run.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{App, Component, HttpTrigger, Target, Variable};
use crate::component::{self, check_http_handler, interfaces};
use crate::compose::{Dependency, compose};
use crate::files::{FILE_BYTES_MAX, FileTree, guest_path};
use crate::hosts::{AllowedHosts, ChainedTo};
use crate::limits::{Limits, LimitsTable};
use crate::lock::{ContentRef, LockedApp, LockedComponent, LockedSource};
use crate::names::{component_id, quoted, store_label, variable_name};
use crate::routes::Router;
use crate::template::Template;
use crate::{AppError, Digest, Packed, Problem};

use super::trigger::{trigger_of, trigger_place};

impl App {
    /// Checks a packed application, with only the components of `component_ids` and the triggers
    /// for them, or with all when it is empty.
    ///
    /// Fails for whatever is missing, damaged, does not fit together or is not supported, naming
    /// it. Components that no trigger names are not in the result: nothing can reach them.
    pub fn open(packed: &Packed, component_ids: &[String]) -> Result<App, AppError> {
        let lock = &packed.lock;
        lock.check()?;
        for id in component_ids {
            if lock.component(id).is_none() {
                return Err(no_such_component(
                    id,
                    lock.components.iter().map(|c| c.id.as_str()),
                ));
            }
        }
        let variables = variables(lock)?;
        let triggers = triggers(lock, component_ids)?;
        Router::new(&triggers)?;
        let named: BTreeSet<&str> = triggers.iter().filter_map(component_of).collect();
        let mut components = Vec::with_capacity(named.len());
        for id in &named {
            let Some(locked) = lock.component(id) else {
                return Err(no_such_component(
                    id,
                    lock.components.iter().map(|c| c.id.as_str()),
                ));
            };
            let component = Opening {
                packed,
                variables: &variables,
            }
            .component(locked)?;
            if !component_ids.is_empty() {
                check_chaining(&component, &named)?;
            }
            components.push(component);
        }
        let text = |key: &str| lock.metadata.get(key).and_then(Value::as_str);
        let name = text("name")
            .filter(|name| !name.is_empty())
            .ok_or_else(|| {
                AppError::invalid("metadata.name", "is not there; an application has a name")
            })?;
        Ok(App {
            name: name.to_owned(),
            version: text("version").unwrap_or_default().to_owned(),
            variables,
            triggers,
            components,
        })
    }
}

/// The complaint about the name of a component that is not there, with those that are.
pub(crate) fn no_such_component<'a>(id: &str, all: impl Iterator<Item = &'a str>) -> AppError {
    let all: Vec<String> = all.take(20).map(quoted).collect();
    AppError::invalid(
        "component",
        format!(
            "there is no component {}; there are {}",
            quoted(id),
            all.join(", ")
        ),
    )
}

fn component_of(trigger: &HttpTrigger) -> Option<&str> {
    match &trigger.target {
        Target::Component(id) => Some(id),
        Target::Static(_) => None,
    }
}

fn variables(lock: &LockedApp) -> Result<BTreeMap<String, Variable>, AppError> {
    let mut variables = BTreeMap::new();
    for (name, locked) in &lock.variables {
        variable_name(name).map_err(|problem| problem.at("variables"))?;
        let variable = Variable {
            default: locked.default.clone(),
            secret: locked.secret,
        };
        variables.insert(name.clone(), variable);
    }
    Ok(variables)
}

fn triggers(lock: &LockedApp, component_ids: &[String]) -> Result<Vec<HttpTrigger>, AppError> {
    let mut triggers = Vec::with_capacity(lock.triggers.len());
    for locked in &lock.triggers {
        let place = trigger_place(&locked.id, &locked.trigger_config);
        if locked.trigger_type != "http" {
            return Err(AppError::unsupported(
                place,
                format!("the trigger {}", quoted(&locked.trigger_type)),
                "`http` is; run the others with Spin",
            ));
        }
        let trigger = trigger_of(&locked.id, &locked.trigger_config)?;
        // As in Spin, choosing components leaves out triggers without one.
        let is_chosen = component_ids.is_empty()
            || component_of(&trigger).is_some_and(|id| component_ids.iter().any(|c| c == id));
        if !is_chosen {
            continue;
        }
        if !locked.trigger_dependencies.is_empty() {
            return Err(middleware(&place));
        }
        triggers.push(trigger);
    }
    if triggers.is_empty() {
        return Err(AppError::invalid(
            "triggers",
            "there is none, so nothing would ever be run; add `[[trigger.http]]`",
        ));
    }
    Ok(triggers)
}

pub(super) fn middleware(place: &str) -> AppError {
    AppError::unsupported(
        place,
        "a component around a component (middleware)",
        "compose them beforehand",
    )
}

/// With some components chosen, those that are left out cannot be reached from the others.
fn check_chaining(component: &Component, chosen: &BTreeSet<&str>) -> Result<(), AppError> {
    let place = format!("component.{}.allowed_outbound_hosts", component.id);
    for template in &component.allowed_outbound_hosts {
        match AllowedHosts::chained_to(template) {
            Some(ChainedTo::All) => {
                return Err(AppError::invalid(
                    place,
                    "`*.spin.internal` means all components, and only some are chosen; choose \
                     none to run all",
                ));
            }
            Some(ChainedTo::Component(other)) if !chosen.contains(other.as_str()) => {
                return Err(AppError::invalid(
                    place,
                    format!(
                        "component {} is not among the chosen ones; choose it as well",
                        quoted(&other)
                    ),
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

/// What a component is checked against.
struct Opening<'a> {
    packed: &'a Packed,
    variables: &'a BTreeMap<String, Variable>,
}

impl Opening<'_> {
    fn component(&self, locked: &LockedComponent) -> Result<Component, AppError> {
        let place = format!("component.{}", locked.id);
        component_id(&locked.id).map_err(|problem| problem.at("component"))?;
        if !locked.trigger_dependencies.is_empty() {
            return Err(middleware(&place));
        }
        let wasm = self.wasm(locked, &place)?;
        let mut variables = BTreeMap::new();
        for (name, text) in &locked.config {
            variable_name(name).map_err(|problem| problem.at(format!("{place}.variables")))?;
            let template = self.template(text, &format!("{place}.variables.{name}"))?;
            variables.insert(name.clone(), template);
        }
        let (allowed_outbound_hosts, key_value_stores) = self.permissions(locked, &place)?;
        Ok(Component {
            id: locked.id.clone(),
            digest: Digest::of(&wasm),
            wasm,
            environment: environment(locked, &place)?,
            variables,
            files: self.files(locked, &place)?,
            allowed_outbound_hosts,
            key_value_stores,
            limits: limits(locked, &place)?,
        })
    }

    /// The component, composed: artefacts that were pushed as they were written are composed now.
    fn wasm(&self, locked: &LockedComponent, place: &str) -> Result<Bytes, AppError> {
        let at = format!("{place}.source");
        let mut wasm = self.source(&locked.source, &at)?;
        if !locked.dependencies.is_empty() {
            let mut dependencies = Vec::with_capacity(locked.dependencies.len());
            for (name, dependency) in &locked.dependencies {
                let at = format!("{place}.dependencies.{}", quoted(&name.to_string()));
                dependencies.push(Dependency {
                    name: name.clone(),
                    wasm: self.source(&dependency.source, &at)?,
                    export: dependency.export.clone(),
                    inherit: dependency.inherit.clone(),
                });
            }
            wasm = compose(&locked.id, &wasm, &dependencies)?;
        }
        let outside = interfaces(&wasm).map_err(|problem| problem.at(&at))?;
        check_http_handler(&outside, &at)?;
        Ok(wasm)
    }

    fn source(&self, source: &LockedSource, at: &str) -> Result<Bytes, AppError> {
        if source.content_type != "application/wasm" {
            return Err(AppError::unsupported(
                at,
                format!("content of type {}", quoted(&source.content_type)),
                "`application/wasm` is",
            ));
        }
        self.content(&source.content, at, component::BYTES_MAX)
    }

    /// Content, with the digest that it says it has.
    fn content(&self, content: &ContentRef, at: &str, bytes_max: u64) -> Result<Bytes, AppError> {
        let expected: Option<Digest> = match &content.digest {
            Some(digest) => Some(digest.parse().map_err(|problem: Problem| problem.at(at))?),
            None => None,
        };
        let bytes = match (&content.inline, expected) {
            (Some(inline), _) => Bytes::copy_from_slice(inline),
            (None, Some(digest)) => {
                self.packed
                    .blobs
                    .get(&digest)
                    .cloned()
                    .ok_or_else(|| AppError::Missing {
                        at: at.to_owned(),
                        digest,
                    })?
            }
            (None, None) => {
                return Err(AppError::invalid(
                    at,
                    "has neither content nor a digest; pack the application again",
                ));
            }
        };
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if size > bytes_max {
            return Err(AppError::TooLarge {
                at: at.to_owned(),
                bytes: size,
                bytes_max,
            });
        }
        if let Some(expected) = expected {
            let found = Digest::of(&bytes);
            if found != expected {
                return Err(AppError::Digest {
                    at: at.to_owned(),
                    expected,
                    found,
                });
            }
        }
        Ok(bytes)
    }

    fn template(&self, text: &str, at: &str) -> Result<Template, AppError> {
        Template::over(text, |name| self.variables.contains_key(name))
            .map_err(|problem| problem.at(at))
    }

    fn files(
        &self,
        locked: &LockedComponent,
        place: &str,
    ) -> Result<Vec<super::GuestFile>, AppError> {
        let at = format!("{place}.files");
        let mut tree = FileTree::default();
        for file in &locked.files {
            let path = guest_path(&file.path).map_err(|problem| problem.at(&at))?;
            if tree.contains(&path) {
                return Err(AppError::invalid(
                    at,
                    format!("two files are at {}; a path stands for one", quoted(&path)),
                ));
            }
            let bytes = self.content(
                &file.content,
                &format!("{at} {}", quoted(&path)),
                FILE_BYTES_MAX,
            )?;
            tree.add(path, bytes, &at)?;
        }
        tree.into_files(&at)
    }

    fn permissions(
        &self,
        locked: &LockedComponent,
        place: &str,
    ) -> Result<(Vec<Template>, Vec<String>), AppError> {
        for (key, field, what) in [
            ("databases", "sqlite_databases", "an SQLite database"),
            ("ai_models", "ai_models", "a model beside the component"),
        ] {
            let at = format!("{place}.{field}");
            let asked: Vec<String> = metadata(locked, key, &at)?.unwrap_or_default();
            if !asked.is_empty() {
                return Err(AppError::unsupported(
                    at,
                    what,
                    "run the application with Spin",
                ));
            }
        }
        let at = format!("{place}.allowed_outbound_hosts");
        let texts: Vec<String> =
            metadata(locked, "allowed_outbound_hosts", &at)?.unwrap_or_default();
        let mut hosts = Vec::with_capacity(texts.len());
        for text in texts {
            let template = self.template(&text, &at)?;
            AllowedHosts::check(&template).map_err(|problem| problem.at(&at))?;
            hosts.push(template);
        }
        let at = format!("{place}.key_value_stores");
        let stores: Vec<String> = metadata(locked, "key_value_stores", &at)?.unwrap_or_default();
        for label in &stores {
            store_label(label).map_err(|problem| problem.at(&at))?;
        }
        Ok((hosts, stores))
    }
}

fn environment(
    locked: &LockedComponent,
    place: &str,
) -> Result<BTreeMap<String, String>, AppError> {
    for (name, value) in &locked.env {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(AppError::invalid(
                format!("{place}.environment"),
                format!(
                    "{} cannot be the name of an environment variable",
                    quoted(name)
                ),
            ));
        }
    }
    Ok(locked.env.clone())
}

fn limits(locked: &LockedComponent, place: &str) -> Result<Limits, AppError> {
    let at = format!("{place}.tool.kgents");
    match metadata::<LimitsTable>(locked, "kgents", &at)? {
        Some(table) => table.limits(&at),
        None => Ok(Limits::default()),
    }
}

fn metadata<T: DeserializeOwned>(
    locked: &LockedComponent,
    key: &str,
    at: &str,
) -> Result<Option<T>, AppError> {
    locked
        .metadata
        .get(key)
        .map(|value| {
            T::deserialize(value).map_err(|error| AppError::invalid(at, error.to_string()))
        })
        .transpose()
}

#[cfg(test)]
#[path = "open_tests.rs"]
mod tests;
