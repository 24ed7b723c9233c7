//! A component and its dependencies made one, as Spin makes them one.
//!
//! It is done with the crate Spin uses, and each dependency is registered as Spin registers it:
//! under the name of its package, without interface and version. So two dependencies of one
//! package collide, as they do there.
//!
//! **What a dependency may use.** In Spin a dependency has the permissions of its component only
//! as far as it inherits them (`inherit_configuration`); every other import that is a permission
//! is plugged with an adapter that traps. There is no such adapter here: a dependency that
//! imports only what it inherits, or nothing that is a permission, is composed as it is, which is
//! what Spin does with it too. One that imports more is refused by name.
//!
//! Composition is one level deep. A dependency that needs another dependency is refused.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use wac_graph::types::Package;
use wac_graph::{CompositionGraph, EncodeOptions, NodeId};

use crate::AppError;
use crate::component::{Interfaces, interfaces};
use crate::lock::Inherit;
use crate::names::{DependencyName, ImportName, quoted};

/// What imports of a component are satisfied with.
#[derive(Debug, Clone)]
pub struct Dependency {
    /// Which imports.
    pub name: DependencyName,
    /// A component.
    pub wasm: Bytes,
    /// Its export to use, where that has not the name of the import.
    pub export: Option<String>,
    /// What of the component's permissions it may use.
    pub inherit: Inherit,
}

/// Composes the component `id` with its dependencies; without any it stays as it is.
///
/// Fails for what is no component, for a dependency that the component does not import or that
/// does not export what is imported, that needs permissions it does not inherit, or that needs
/// another dependency, and for two dependencies of one import or one package.
pub fn compose(id: &str, wasm: &Bytes, dependencies: &[Dependency]) -> Result<Bytes, AppError> {
    let place = format!("component.{id}");
    let outside = interfaces(wasm).map_err(|problem| problem.at(format!("{place}.source")))?;
    if dependencies.is_empty() {
        return Ok(wasm.clone());
    }
    let place = format!("{place}.dependencies");
    let wanted = imports_by_dependency(&outside, dependencies, &place)?;
    for dependency in dependencies {
        check_dependency(dependency, &place)?;
    }
    // The crate asserts what it expects of a component, and these come from strangers.
    let plugged = catch_unwind(AssertUnwindSafe(|| plug(id, wasm, dependencies, &wanted)));
    plugged
        .unwrap_or_else(|_| Err("a component has a form that cannot be composed".to_owned()))
        .map(Bytes::from)
        .map_err(|problem| AppError::invalid(place, problem))
}

/// The imports that each dependency is for, by its place in the list; no import twice.
fn imports_by_dependency(
    outside: &Interfaces,
    dependencies: &[Dependency],
    place: &str,
) -> Result<Vec<Vec<String>>, AppError> {
    let mut taken: BTreeMap<&str, &DependencyName> = BTreeMap::new();
    let mut packages: BTreeMap<String, &DependencyName> = BTreeMap::new();
    let mut wanted = Vec::with_capacity(dependencies.len());
    for Dependency { name, .. } in dependencies {
        let imports: Vec<String> = outside
            .imports
            .iter()
            .filter(|import| name.means(import))
            .cloned()
            .collect();
        if imports.is_empty() {
            return Err(AppError::invalid(
                place,
                format!(
                    "the component imports nothing that {} names; it imports {}",
                    quoted(&name.to_string()),
                    shown(&outside.imports)
                ),
            ));
        }
        for import in outside.imports.iter().filter(|import| name.means(import)) {
            if let Some(other) = taken.insert(import, name) {
                return Err(AppError::invalid(
                    place,
                    format!(
                        "{} and {} both name the import {}; an import has one source",
                        quoted(&other.to_string()),
                        quoted(&name.to_string()),
                        quoted(import)
                    ),
                ));
            }
        }
        if let Some(other) = packages.insert(registered_name(name), name) {
            return Err(AppError::invalid(
                place,
                format!(
                    "{} and {} are of one package, and Spin takes one dependency of a package; \
                     compose the two beforehand",
                    quoted(&other.to_string()),
                    quoted(&name.to_string())
                ),
            ));
        }
        wanted.push(imports);
    }
    Ok(wanted)
}

fn registered_name(name: &DependencyName) -> String {
    match name {
        DependencyName::Plain(name) => name.clone(),
        DependencyName::Package { package, .. } => package.clone(),
    }
}

fn shown(names: &[String]) -> String {
    const SHOWN: usize = 20;
    match names {
        [] => "nothing".to_owned(),
        names => names
            .iter()
            .take(SHOWN)
            .map(|name| quoted(name))
            .collect::<Vec<_>>()
            .join(", "),
    }
}

/// Checks what a dependency needs itself.
fn check_dependency(dependency: &Dependency, place: &str) -> Result<(), AppError> {
    let place = format!("{place}.{}", quoted(&dependency.name.to_string()));
    let outside = interfaces(&dependency.wasm).map_err(|problem| problem.at(&place))?;
    for import in &outside.imports {
        let need = need_of(import);
        let inherited = match (&need, &dependency.inherit) {
            (Need::Nothing, _) => true,
            (Need::Dependency, _) => {
                return Err(AppError::unsupported(
                    place,
                    format!("a dependency that needs another one, {}", quoted(import)),
                    "composition is one level deep: compose the two beforehand, with `wac plug`",
                ));
            }
            (_, Inherit::All) => true,
            (Need::Permission(name), Inherit::Some(named)) => named.iter().any(|n| n == name),
            (Need::Unknown, Inherit::Some(_)) => false,
        };
        if !inherited {
            return Err(AppError::unsupported(
                place,
                format!(
                    "a dependency that imports {} and does not inherit it",
                    quoted(import)
                ),
                match need {
                    Need::Permission(name) => format!(
                        "add `inherit_configuration = [\"{name}\"]` to share the component's own, \
                         or build the dependency without it"
                    ),
                    _ => "add `inherit_configuration = true` to share what the component may do, \
                          or build the dependency without it"
                        .to_owned(),
                },
            ));
        }
    }
    Ok(())
}

/// What an import of a dependency needs of the component it is composed with.
#[derive(Debug, PartialEq, Eq)]
enum Need {
    /// No permission: time, randomness, its own output.
    Nothing,
    /// The permission of this name, as it can be inherited.
    Permission(&'static str),
    /// Something of the host of which it is not known what it permits.
    Unknown,
    /// Something that is no host's.
    Dependency,
}

/// Sorts the import of a host by what it permits, as Spin's adapter does; whatever its version.
fn need_of(import: &str) -> Need {
    let Some(ImportName {
        package, interface, ..
    }) = ImportName::of(import)
    else {
        return Need::Dependency;
    };
    match (package, interface) {
        ("wasi:io" | "wasi:clocks" | "wasi:random", _) => Need::Nothing,
        ("wasi:cli", "environment") => Need::Permission("environment"),
        ("wasi:cli", _) => Need::Nothing,
        ("wasi:http" | "wasi:filesystem", "types") => Need::Nothing,
        ("wasi:http", "outgoing-handler" | "client") => Need::Permission("allowed_outbound_hosts"),
        ("wasi:sockets", "network" | "instance-network" | "types") => Need::Nothing,
        ("wasi:sockets", _) => Need::Permission("allowed_outbound_hosts"),
        ("wasi:filesystem", "preopens") => Need::Permission("files"),
        ("wasi:keyvalue", _) => Need::Permission("key_value_stores"),
        ("wasi:config", _) => Need::Permission("variables"),
        ("fermyon:spin", "http" | "mysql" | "postgres" | "redis" | "mqtt")
        | ("spin:mqtt" | "spin:mysql" | "spin:postgres" | "spin:redis", _) => {
            Need::Permission("allowed_outbound_hosts")
        }
        ("fermyon:spin", "key-value") | ("spin:key-value", _) => {
            Need::Permission("key_value_stores")
        }
        ("fermyon:spin", "variables" | "config") | ("spin:variables", _) => {
            Need::Permission("variables")
        }
        ("fermyon:spin", "sqlite") | ("spin:sqlite", _) => Need::Permission("sqlite_databases"),
        ("fermyon:spin", "llm") => Need::Permission("ai_models"),
        (package, _)
            if ["wasi:", "spin:", "fermyon:"]
                .iter()
                .any(|host| package.starts_with(host)) =>
        {
            Need::Unknown
        }
        _ => Need::Dependency,
    }
}

/// Registers, connects and encodes, in the order in which Spin does it.
fn plug(
    id: &str,
    wasm: &Bytes,
    dependencies: &[Dependency],
    wanted: &[Vec<String>],
) -> Result<Vec<u8>, String> {
    let mut graph = CompositionGraph::new();
    let (root, exports) = register(&mut graph, id, wasm)?;
    for (dependency, imports) in dependencies.iter().zip(wanted) {
        let name = registered_name(&dependency.name);
        let (instance, offered) = register(&mut graph, &name, &dependency.wasm)?;
        for import in imports {
            let export = dependency.export.as_ref().unwrap_or(import);
            if !offered.contains(export) {
                return Err(format!(
                    "{} does not export {} for the import {}; it exports {}",
                    quoted(&dependency.name.to_string()),
                    quoted(export),
                    quoted(import),
                    shown(&offered)
                ));
            }
            let argument = graph
                .alias_instance_export(instance, export)
                .map_err(|error| chain(&error))?;
            graph.set_instantiation_argument(root, import, argument).map_err(|error| {
                format!(
                    "{} exports {} in another form than the component imports it ({}); build both \
                     from the same WIT",
                    quoted(&dependency.name.to_string()),
                    quoted(export),
                    chain(&error)
                )
            })?;
        }
    }
    for export in exports {
        let alias = graph
            .alias_instance_export(root, &export)
            .map_err(|error| chain(&error))?;
        graph
            .export(alias, &export)
            .map_err(|error| chain(&error))?;
    }
    graph
        .encode(EncodeOptions::default())
        .map_err(|error| chain(&error))
}

/// An instance of a component in the graph, and the names of its exports.
fn register(
    graph: &mut CompositionGraph,
    name: &str,
    wasm: &Bytes,
) -> Result<(NodeId, Vec<String>), String> {
    let in_component = |problem: String| format!("{}: {problem}", quoted(name));
    let package = Package::from_bytes(name, None, wasm.to_vec(), graph.types_mut())
        .map_err(|error| in_component(format!("{error:#}")))?;
    let world = package.ty();
    let package = graph
        .register_package(package)
        .map_err(|error| in_component(chain(&error)))?;
    let exports = graph.types()[world].exports.keys().cloned().collect();
    Ok((graph.instantiate(package), exports))
}

/// An error with what caused it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push_str(": ");
        words.push_str(&error.to_string());
        cause = error.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{decider, front, with_imports};

    fn dependency(name: &str, wasm: Bytes) -> Dependency {
        Dependency {
            name: name.parse().unwrap(),
            wasm,
            export: None,
            inherit: Inherit::default(),
        }
    }

    fn refusal(wasm: &Bytes, dependencies: &[Dependency]) -> String {
        compose("decide", wasm, dependencies)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_dependency_named_by_its_package_satisfies_all_imports_of_it() {
        let front = front(&["kgents:router/route@0.1.0", "kgents:policy/judge@0.1.0"]);
        let composed = compose(
            "decide",
            &front,
            &[
                dependency("kgents:router", decider(&["kgents:router/route@0.1.0"])),
                dependency("kgents:policy", decider(&["kgents:policy/judge@0.1.0"])),
            ],
        )
        .unwrap();
        let outside = interfaces(&composed).unwrap();
        assert!(outside.imports.is_empty(), "{outside:?}");
        assert_eq!(outside.exports, ["wasi:http/incoming-handler@0.2.0"]);
    }

    #[test]
    fn imports_that_no_dependency_names_stay() {
        let front = front(&["kgents:router/route@0.1.0", "wasi:clocks/wall-clock@0.2.0"]);
        let router = dependency("kgents:router", decider(&["kgents:router/route@0.1.0"]));
        let composed = compose("decide", &front, &[router]).unwrap();
        assert_eq!(
            interfaces(&composed).unwrap().imports,
            ["wasi:clocks/wall-clock@0.2.0"]
        );
    }

    #[test]
    fn without_dependencies_a_component_stays_as_it_is() {
        let front = front(&["kgents:router/route@0.1.0"]);
        assert_eq!(compose("decide", &front, &[]).unwrap(), front);
    }

    #[test]
    fn an_export_of_another_name_is_used_where_it_is_named() {
        let front = front(&["kgents:router/route@0.1.0"]);
        let mut other = dependency(
            "kgents:router/route@0.1.0",
            decider(&["other:router/route@2.0.0"]),
        );
        assert!(refusal(&front, std::slice::from_ref(&other)).contains("does not export"));
        other.export = Some("other:router/route@2.0.0".to_owned());
        let composed = compose("decide", &front, &[other]).unwrap();
        assert!(interfaces(&composed).unwrap().imports.is_empty());
    }

    #[test]
    fn two_dependencies_of_one_package_collide() {
        let front = front(&["kgents:router/route@0.1.0", "kgents:router/ladder@0.1.0"]);
        let error = refusal(
            &front,
            &[
                dependency(
                    "kgents:router/route",
                    decider(&["kgents:router/route@0.1.0"]),
                ),
                dependency(
                    "kgents:router/ladder",
                    decider(&["kgents:router/ladder@0.1.0"]),
                ),
            ],
        );
        assert!(error.contains("one dependency of a package"), "{error}");
    }

    #[test]
    fn two_dependencies_of_one_import_are_refused() {
        let front = front(&["kgents:router/route@0.1.0"]);
        let router = decider(&["kgents:router/route@0.1.0"]);
        let error = refusal(
            &front,
            &[
                dependency("kgents:router", router.clone()),
                dependency("kgents:router/route", router),
            ],
        );
        assert!(error.contains("an import has one source"), "{error}");
    }

    #[test]
    fn a_dependency_that_is_not_imported_is_refused_with_what_is() {
        let front = front(&["kgents:router/route@0.1.0"]);
        let health = dependency("kgents:health", decider(&["kgents:health/judge@0.1.0"]));
        let error = refusal(&front, &[health]);
        assert!(error.contains("`kgents:router/route@0.1.0`"), "{error}");
    }

    #[test]
    fn a_dependency_of_another_type_is_refused() {
        let front = front(&["kgents:router/route@0.1.0"]);
        let other = Bytes::from(
            wat::parse_str(
                r#"(component
                     (core module $m (func (export "ask") (result i32) i32.const 1))
                     (core instance $i (instantiate $m))
                     (func $ask (result u32) (canon lift (core func $i "ask")))
                     (instance $out (export "ask" (func $ask)))
                     (export "kgents:router/route@0.1.0" (instance $out)))"#,
            )
            .unwrap(),
        );
        let error = refusal(&front, &[dependency("kgents:router", other)]);
        assert!(error.contains("build both from the same WIT"), "{error}");
    }

    #[test]
    fn a_dependency_that_needs_another_is_refused_even_when_it_inherits_everything() {
        let front = front(&["kgents:router/route@0.1.0"]);
        let mut router = dependency(
            "kgents:router",
            with_imports(&["kgents:policy/judge@0.1.0"], "kgents:router/route@0.1.0"),
        );
        router.inherit = Inherit::All;
        let error = refusal(&front, &[router]);
        assert!(
            error.contains("one level deep") && error.contains("kgents:policy"),
            "{error}"
        );
    }

    #[test]
    fn a_dependency_has_the_permissions_it_inherits_and_is_refused_otherwise() {
        let front = front(&["kgents:router/route@0.1.0"]);
        let check = |import: &str, inherit: Inherit| {
            let wasm = with_imports(&[import], "kgents:router/route@0.1.0");
            let mut router = dependency("kgents:router", wasm);
            router.inherit = inherit;
            compose("decide", &front, &[router])
        };
        let named = |name: &str| Inherit::Some(vec![name.to_owned()]);
        let clock = "wasi:clocks/wall-clock@0.2.0";
        assert!(check(clock, Inherit::default()).is_ok());
        for (import, permission) in [
            ("wasi:http/outgoing-handler@0.2.0", "allowed_outbound_hosts"),
            ("wasi:cli/environment@0.2.6", "environment"),
            ("fermyon:spin/key-value@2.0.0", "key_value_stores"),
        ] {
            let error = check(import, Inherit::default()).unwrap_err().to_string();
            assert!(
                error.contains(import) && error.contains(permission),
                "{error}"
            );
            assert!(check(import, named("files")).is_err());
            let composed = check(import, named(permission)).unwrap();
            assert_eq!(interfaces(&composed).unwrap().imports, [import]);
            assert!(check(import, Inherit::All).is_ok());
        }
        assert!(check("wasi:nn/graph@0.2.0", named("files")).is_err());
        assert!(check("wasi:nn/graph@0.2.0", Inherit::All).is_ok());
    }

    #[test]
    fn a_dependency_that_is_a_core_module_is_refused() {
        let front = front(&["kgents:router/route@0.1.0"]);
        let module = Bytes::from(wat::parse_str("(module)").unwrap());
        let error = refusal(&front, &[dependency("kgents:router", module.clone())]);
        assert!(error.contains("core module"), "{error}");
        assert!(refusal(&module, &[]).contains("core module"));
    }
}
