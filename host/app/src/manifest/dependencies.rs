//! What the imports of a component are satisfied with.

use std::collections::BTreeMap;

use super::checks::{elsewhere, source};
use super::schema::{ComponentTable, DependencyTable, InheritValue, TextOr};
use super::{ManifestDependency, Source};
use crate::lock::Inherit;
use crate::names::{DependencyName, quoted};
use crate::{AppError, Problem};

/// What a dependency can inherit, by Spin's names.
const INHERITABLE: [&str; 7] = [
    "ai_models",
    "allowed_outbound_hosts",
    "environment",
    "files",
    "key_value_stores",
    "sqlite_databases",
    "variables",
];

/// The dependencies of a component, each from one file.
pub(super) fn dependencies(
    id: &str,
    table: &ComponentTable,
    all: &BTreeMap<String, ComponentTable>,
) -> Result<BTreeMap<DependencyName, ManifestDependency>, AppError> {
    let mut dependencies: BTreeMap<DependencyName, ManifestDependency> = BTreeMap::new();
    for (text, dependency) in &table.dependencies {
        let place = format!("component.{id}.dependencies.{}", quoted(text));
        let name: DependencyName = text
            .parse()
            .map_err(|problem: Problem| problem.at(format!("component.{id}.dependencies")))?;
        if let Some(other) = dependencies.keys().find(|other| other.overlaps(&name)) {
            return Err(AppError::invalid(
                place,
                format!(
                    "{} names the same imports; an import has one source",
                    quoted(&other.to_string())
                ),
            ));
        }
        let dependency = match dependency {
            TextOr::Text(_) => {
                return Err(elsewhere(
                    &place,
                    "a dependency from a registry of packages",
                ));
            }
            TextOr::Table(dependency) => dependency,
        };
        if dependency.inherit_configuration.is_some()
            && table.dependencies_inherit_configuration.is_some()
        {
            return Err(AppError::invalid(
                place,
                "`inherit_configuration` and `dependencies_inherit_configuration` say the same \
                 thing; write one of them",
            ));
        }
        let is_whole_package = matches!(
            &name,
            DependencyName::Package {
                interface: None,
                ..
            }
        );
        if is_whole_package && dependency.export.is_some() {
            return Err(AppError::invalid(
                format!("{place}.export"),
                "a package stands for all its interfaces; name one (`namespace:name/interface`) \
                 to choose what satisfies it",
            ));
        }
        let inherit = inherit(dependency, table.dependencies_inherit_configuration, &place)?;
        let source = dependency_source(id, dependency, all, &place)?;
        let export = dependency.export.clone();
        dependencies.insert(
            name,
            ManifestDependency {
                source,
                export,
                inherit,
            },
        );
    }
    Ok(dependencies)
}

fn inherit(
    dependency: &DependencyTable,
    of_component: Option<bool>,
    place: &str,
) -> Result<Inherit, AppError> {
    match (&dependency.inherit_configuration, of_component) {
        (Some(InheritValue::All(true)), _) | (None, Some(true)) => Ok(Inherit::All),
        (Some(InheritValue::Named(named)), _) => {
            match named
                .iter()
                .find(|name| !INHERITABLE.contains(&name.as_str()))
            {
                None => Ok(Inherit::Some(named.clone())),
                Some(name) => Err(AppError::invalid(
                    format!("{place}.inherit_configuration"),
                    format!(
                        "{} cannot be inherited; these can: {}",
                        quoted(name),
                        INHERITABLE.join(", ")
                    ),
                )),
            }
        }
        _ => Ok(Inherit::default()),
    }
}

fn dependency_source(
    id: &str,
    dependency: &DependencyTable,
    all: &BTreeMap<String, ComponentTable>,
    place: &str,
) -> Result<Source, AppError> {
    let DependencyTable {
        path,
        component,
        url,
        digest,
        version,
        registry,
        package,
        ..
    } = dependency;
    let mut forms = 0usize;
    forms += usize::from(path.is_some());
    forms += usize::from(component.is_some());
    forms += usize::from(url.is_some() || digest.is_some());
    forms += usize::from(version.is_some() || registry.is_some() || package.is_some());
    if forms != 1 {
        return Err(AppError::invalid(
            place,
            "write exactly one of `path`, `component`, `url` with `digest`, `version`",
        ));
    }
    match (path, component) {
        (Some(path), _) if path.is_empty() => Err(AppError::invalid(
            format!("{place}.path"),
            "is empty; write the path of a file",
        )),
        (Some(path), _) => Ok(Source(path.clone())),
        (None, Some(component)) => component_as_dependency(id, component, all, place),
        (None, None) if url.is_some() || digest.is_some() => {
            Err(elsewhere(place, "a dependency from an address"))
        }
        (None, None) => Err(elsewhere(place, "a dependency from a registry of packages")),
    }
}

/// A dependency has no permissions of its own, and no dependencies: composition is one level
/// deep, which excludes circles as well.
fn component_as_dependency(
    id: &str,
    dependency: &str,
    all: &BTreeMap<String, ComponentTable>,
    place: &str,
) -> Result<Source, AppError> {
    let place = format!("{place}.component");
    if dependency == id {
        return Err(AppError::invalid(
            place,
            "is the component itself; name another",
        ));
    }
    let Some(table) = all.get(dependency) else {
        return Err(AppError::invalid(
            place,
            format!(
                "there is no component {}; add it as `[component.NAME]`",
                quoted(dependency)
            ),
        ));
    };
    if let Some(deeper) = table.dependencies.values().find_map(|deeper| match deeper {
        TextOr::Table(table) if table.component.as_deref() == Some(id) => Some(dependency),
        _ => None,
    }) {
        return Err(AppError::invalid(
            place,
            format!("{} and {} depend on each other", quoted(id), quoted(deeper)),
        ));
    }
    let own = [
        ("dependencies", table.dependencies.is_empty()),
        ("variables", table.variables.is_empty()),
        ("environment", table.environment.is_empty()),
        ("files", table.files.is_empty()),
        ("allowed_http_hosts", table.allowed_http_hosts.is_empty()),
        (
            "allowed_outbound_hosts",
            table.allowed_outbound_hosts.is_empty(),
        ),
        ("key_value_stores", table.key_value_stores.is_empty()),
        ("sqlite_databases", table.sqlite_databases.is_empty()),
        ("ai_models", table.ai_models.is_empty()),
    ];
    let own: Vec<&str> = own
        .into_iter()
        .filter(|(_, is_empty)| !is_empty)
        .map(|(key, _)| key)
        .collect();
    if own.is_empty() {
        return source(
            table.source.as_ref(),
            &format!("component.{dependency}.source"),
        );
    }
    Err(AppError::invalid(
        place,
        format!(
            "component {} cannot be a dependency, because it has its own {}; compose deeper \
             trees beforehand, and give permissions to {}",
            quoted(dependency),
            own.join(", "),
            quoted(id)
        ),
    ))
}
