//! From the keys of a manifest to a manifest that fits together.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::dependencies::dependencies;
use super::schema::{
    Application, ComponentTable, Document, HttpTable, SourceTable, TextOr, VariableTable,
};
use super::{Manifest, ManifestComponent, ManifestTrigger, Source};
use crate::AppError;
use crate::app::{trigger_of, trigger_place};
use crate::files::Mount;
use crate::hosts::AllowedHosts;
use crate::lock::LockedVariable;
use crate::names::{component_id, quoted, store_label, variable_name};
use crate::template::Template;

/// An application of more than this is a mistake, or an attack.
const TRIGGERS_MAX: usize = 1000;

/// A manifest that fits together, or the first thing that does not.
pub(super) fn manifest(document: Document, profile: Option<&str>) -> Result<Manifest, AppError> {
    let Document {
        application,
        variables,
        trigger,
        component: mut components,
        ..
    } = document;
    check_application(&application)?;
    let variables = variables
        .into_iter()
        .map(|(name, table)| variable(&name, table).map(|variable| (name, variable)))
        .collect::<Result<BTreeMap<_, _>, _>>()?;
    if let Some(kind) = trigger.others.first() {
        return Err(AppError::unsupported(
            format!("trigger.{kind}"),
            format!("the trigger {}", quoted(kind)),
            "`[[trigger.http]]` is; run the others with Spin",
        ));
    }
    if trigger.http.is_empty() || trigger.http.len() > TRIGGERS_MAX {
        return Err(AppError::invalid(
            "trigger.http",
            format!(
                "{} triggers; an application has 1 to {TRIGGERS_MAX}, each `[[trigger.http]]`",
                trigger.http.len()
            ),
        ));
    }
    let triggers = triggers(trigger.http, &mut components)?;
    for id in components.keys() {
        component_id(id).map_err(|problem| problem.at("component"))?;
    }
    apply_profile(&mut components, profile)?;
    let checked = components
        .iter()
        .map(|(id, table)| component(id, table, &components, &variables).map(|c| (id.clone(), c)))
        .collect::<Result<BTreeMap<_, _>, _>>()?;
    Ok(Manifest {
        name: application.name,
        version: application.version,
        description: application.description,
        authors: application.authors,
        variables,
        triggers,
        components: checked,
    })
}

fn check_application(application: &Application) -> Result<(), AppError> {
    if application.name.trim().is_empty() {
        return Err(AppError::invalid(
            "application.name",
            "is empty; give the application a name",
        ));
    }
    for (kind, settings) in &application.trigger {
        let place = format!("application.trigger.{kind}");
        if kind != "http" {
            return Err(AppError::unsupported(
                place,
                format!("the trigger {}", quoted(kind)),
                "remove its settings",
            ));
        }
        for (key, value) in settings {
            if key != "base" {
                return Err(AppError::invalid(
                    place,
                    format!("unknown key {}", quoted(key)),
                ));
            }
            if value.as_str() != Some("/") {
                return Err(AppError::unsupported(
                    format!("{place}.base"),
                    "a base of all routes",
                    "write it at the beginning of each `route`, as Spin wants it too",
                ));
            }
        }
    }
    Ok(())
}

fn variable(name: &str, table: VariableTable) -> Result<LockedVariable, AppError> {
    let place = format!("variables.{name}");
    variable_name(name).map_err(|problem| problem.at("variables"))?;
    if table.required == table.default.is_some() {
        return Err(AppError::invalid(
            place,
            "write either `required = true`, or a `default`",
        ));
    }
    Ok(LockedVariable {
        description: table.description,
        default: table.default,
        secret: table.secret,
    })
}

/// Gives each trigger a name as Spin does, and moves components that are written inside of a
/// trigger to the others.
fn triggers(
    tables: Vec<HttpTable>,
    components: &mut BTreeMap<String, ComponentTable>,
) -> Result<Vec<ManifestTrigger>, AppError> {
    let mut taken: BTreeSet<String> = BTreeSet::new();
    for table in &tables {
        if !table.id.is_empty() && !taken.insert(table.id.clone()) {
            return Err(AppError::invalid(
                "trigger.http",
                format!(
                    "two have the id {}; an id stands for one",
                    quoted(&table.id)
                ),
            ));
        }
    }
    let mut triggers = Vec::with_capacity(tables.len());
    for mut table in tables {
        let named = match &table.component {
            Some(TextOr::Text(component)) => Some(format!("{component}-http-trigger")),
            _ => None,
        };
        let id = if table.id.is_empty() {
            free_name(named, "http-trigger", |name| taken.contains(name))
        } else {
            table.id.clone()
        };
        taken.insert(id.clone());
        let component = match table.component.take() {
            None => None,
            Some(TextOr::Text(component)) => Some(component),
            Some(TextOr::Table(inline)) => {
                let named = Some(format!("{id}-component")).filter(|n| component_id(n).is_ok());
                let name = free_name(named, "inline-component", |name| {
                    components.contains_key(name)
                });
                components.insert(name.clone(), *inline);
                Some(name)
            }
        };
        triggers.push(trigger(id, component, table)?);
    }
    for ManifestTrigger { id, config } in &triggers {
        let component = config.get("component").and_then(Value::as_str);
        if let Some(component) = component.filter(|name| !components.contains_key(*name)) {
            return Err(AppError::invalid(
                format!("{}: component", trigger_place(id, config)),
                format!(
                    "there is no component {}; add it as `[component.NAME]`",
                    quoted(component)
                ),
            ));
        }
    }
    Ok(triggers)
}

/// The wanted name, or the first of `word1`, `word2` and so on that is free.
fn free_name(wanted: Option<String>, word: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let numbered = (1u64..).map(|number| format!("{word}{number}"));
    wanted
        .into_iter()
        .chain(numbered)
        .find(|name| !is_taken(name))
        .unwrap_or_default()
}

fn trigger(
    id: String,
    component: Option<String>,
    table: HttpTable,
) -> Result<ManifestTrigger, AppError> {
    let mut config = Map::new();
    if let Some(component) = component {
        config.insert("component".to_owned(), component.into());
    }
    if let Some(response) = table.static_response {
        config.insert(
            "static_response".to_owned(),
            without_nulls(json!({
                "status_code": response.status_code,
                "headers": response.headers,
                "body": response.body,
            })),
        );
    }
    let route = match table.route {
        TextOr::Text(route) => Value::String(route),
        TextOr::Table(private) => json!({ "private": private.private }),
    };
    config.insert("route".to_owned(), route);
    if let Some(executor) = table.executor {
        // What is in it beside the type is refused with it, whatever its value.
        let rest = executor.rest.into_iter().map(|(key, _)| (key, Value::Null));
        let kind = ("type".to_owned(), Value::String(executor.kind));
        let written = rest.chain([kind]).collect();
        config.insert("executor".to_owned(), Value::Object(written));
    }
    let config = Value::Object(config);
    for (key, value) in [
        ("components", &table.components),
        ("dependencies", &table.dependencies),
    ] {
        if value.is_some() {
            return Err(AppError::unsupported(
                format!("{}: {key}", trigger_place(&id, &config)),
                "components around a component (middleware)",
                "compose them beforehand",
            ));
        }
    }
    // What is said of a trigger in a lock holds for one in a manifest.
    trigger_of(&id, &config)?;
    Ok(ManifestTrigger { id, config })
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .collect(),
        other => other,
    }
}

fn apply_profile(
    components: &mut BTreeMap<String, ComponentTable>,
    profile: Option<&str>,
) -> Result<(), AppError> {
    let Some(profile) = profile else {
        return Ok(());
    };
    let mut found = false;
    for component in components.values_mut() {
        let Some(overrides) = component.profile.remove(profile) else {
            continue;
        };
        found = true;
        if overrides.source.is_some() {
            component.source = overrides.source;
        }
        component.environment.extend(overrides.environment);
        component.dependencies.extend(overrides.dependencies);
    }
    if found {
        return Ok(());
    }
    Err(AppError::invalid(
        "profile",
        format!(
            "no component has the profile {}; check its name",
            quoted(profile)
        ),
    ))
}

fn component(
    id: &str,
    table: &ComponentTable,
    all: &BTreeMap<String, ComponentTable>,
    variables: &BTreeMap<String, LockedVariable>,
) -> Result<ManifestComponent, AppError> {
    let place = format!("component.{id}");
    refuse_unsupported(table, &place)?;
    let template = |text: &str, at: &str| -> Result<Template, AppError> {
        Template::over(text, |name| variables.contains_key(name)).map_err(|problem| problem.at(at))
    };
    for (name, value) in &table.variables {
        variable_name(name).map_err(|problem| problem.at(format!("{place}.variables")))?;
        template(value, &format!("{place}.variables.{name}"))?;
    }
    let hosts_place = format!("{place}.allowed_outbound_hosts");
    for host in &table.allowed_outbound_hosts {
        let template = template(host, &hosts_place)?;
        AllowedHosts::check(&template).map_err(|problem| problem.at(&hosts_place))?;
    }
    for label in &table.key_value_stores {
        store_label(label).map_err(|problem| problem.at(format!("{place}.key_value_stores")))?;
    }
    if let Some(limits) = &table.tool.kgents {
        limits.limits(&format!("{place}.tool.kgents"))?;
    }
    let files = table.files.iter().map(|mount| match mount {
        TextOr::Text(pattern) => Mount::Pattern(pattern.clone()),
        TextOr::Table(placed) => Mount::Placed {
            source: placed.source.clone(),
            destination: placed.destination.clone(),
        },
    });
    Ok(ManifestComponent {
        source: source(table.source.as_ref(), &format!("{place}.source"))?,
        description: table.description.clone(),
        variables: table.variables.clone(),
        environment: table.environment.clone(),
        files: files.collect(),
        exclude_files: table.exclude_files.clone(),
        allowed_outbound_hosts: table.allowed_outbound_hosts.clone(),
        key_value_stores: table.key_value_stores.clone(),
        dependencies: dependencies(id, table, all)?,
        limits: table.tool.kgents.clone(),
    })
}

fn refuse_unsupported(table: &ComponentTable, place: &str) -> Result<(), AppError> {
    let refused = [
        (
            "sqlite_databases",
            table.sqlite_databases.is_empty(),
            "an SQLite database",
            "keep the data in a key-value store",
        ),
        (
            "ai_models",
            table.ai_models.is_empty(),
            "a model beside the component",
            "call one over HTTP, with its host in `allowed_outbound_hosts`",
        ),
        (
            "allowed_http_hosts",
            table.allowed_http_hosts.is_empty(),
            "the old list of hosts",
            "write `allowed_outbound_hosts = [\"https://example.com\"]`",
        ),
    ];
    match refused.into_iter().find(|(_, is_empty, _, _)| !is_empty) {
        None => Ok(()),
        Some((key, _, what, hint)) => {
            Err(AppError::unsupported(format!("{place}.{key}"), what, hint))
        }
    }
}

pub(super) fn source(
    source: Option<&TextOr<SourceTable>>,
    place: &str,
) -> Result<Source, AppError> {
    let Some(source) = source else {
        return Err(AppError::invalid(
            place,
            "is not there; write the path of a WebAssembly file",
        ));
    };
    match source {
        TextOr::Text(path) if path.is_empty() => Err(AppError::invalid(
            place,
            "is empty; write the path of a WebAssembly file",
        )),
        TextOr::Text(path) => Ok(Source(path.clone())),
        TextOr::Table(SourceTable {
            url: Some(_),
            digest: Some(_),
            ..
        }) => Err(elsewhere(place, "WebAssembly from an address")),
        TextOr::Table(SourceTable {
            package: Some(_),
            version: Some(_),
            ..
        }) => Err(elsewhere(place, "WebAssembly from a registry of packages")),
        TextOr::Table(_) => Err(AppError::invalid(
            place,
            "is no source; write the path of a WebAssembly file",
        )),
    }
}

/// Packing reads from this machine only, so that the same folder always packs to the same thing.
pub(super) fn elsewhere(place: &str, what: &str) -> AppError {
    AppError::unsupported(
        place,
        what,
        "get it first (`wkg get`, or any download), and write the path of the file",
    )
}
