//! Every decider, as built: imports nothing and exports exactly its WIT world.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should stop where it stands"
)]

use std::fs;

use kgents_tests::{DECIDERS, components, root};
use wit_component::{DecodedWasm, decode, targets};
use wit_parser::{Resolve, WorldId};

/// The built component.
fn built(name: &str) -> Vec<u8> {
    let path = components().join(name).with_extension("wasm");
    fs::read(&path)
        .unwrap_or_else(|error| panic!("`{}`: {error}; run `cargo xtask build`", path.display()))
}

/// The world a component says it has.
fn decoded(name: &str) -> (Resolve, WorldId) {
    match decode(&built(name)).unwrap() {
        DecodedWasm::Component(resolve, world) => (resolve, world),
        DecodedWasm::WitPackage(..) => panic!("`{name}` is a WIT package, not a component"),
    }
}

/// The world it should have.
fn written(name: &str) -> (Resolve, WorldId) {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(root().join("wit").join(name)).unwrap();
    let world = resolve.select_world(&[package], Some(name)).unwrap();
    (resolve, world)
}

/// Names of what a world imports and exports.
fn names((resolve, world): &(Resolve, WorldId)) -> (Vec<String>, Vec<String>) {
    let world = resolve.worlds.get(*world).unwrap();
    let name = |key| resolve.name_world_key(key);
    let mut exports: Vec<_> = world.exports.keys().map(name).collect();
    exports.sort();
    (world.imports.keys().map(name).collect(), exports)
}

#[test]
fn a_decider_imports_nothing() {
    for decider in DECIDERS {
        let (imports, _) = names(&decoded(decider));
        assert_eq!(imports, [""; 0], "{decider}");
    }
}

#[test]
fn a_decider_exports_its_world_and_nothing_else() {
    for decider in DECIDERS {
        let (_, exports) = names(&decoded(decider));
        let (_, expected) = names(&written(decider));
        assert_eq!(exports, expected, "{decider}");
    }
}

#[test]
fn a_decider_has_the_types_of_its_world() {
    for decider in DECIDERS {
        let (resolve, world) = written(decider);
        if let Err(error) = targets(&resolve, world, &built(decider), false) {
            panic!("`{decider}` does not fit wit/{decider}: {error:#}");
        }
    }
}

/// Spin's composer gives a dependency named by its package to every import of
/// that package, so each decider has to be one package and one import.
#[test]
fn decide_imports_its_four_deciders_by_package_and_else_only_the_system() {
    let (imports, exports) = names(&decoded("decide"));
    let (system, mut deciders): (Vec<_>, Vec<_>) = imports
        .into_iter()
        .partition(|name| name.starts_with("wasi:"));
    deciders.sort();
    assert_eq!(
        deciders,
        [
            "kgents:health/judging@0.1.0",
            "kgents:pheromone/sensing@0.1.0",
            "kgents:policy/authorization@0.1.0",
            "kgents:router/routing@0.1.0",
        ]
    );
    assert_eq!(exports, ["wasi:http/incoming-handler@0.2.0"]);
    // It reaches nothing: no way out, no files, no sockets.
    for reach in ["outgoing-handler", "filesystem", "sockets"] {
        let found: Vec<_> = system.iter().filter(|name| name.contains(reach)).collect();
        assert!(found.is_empty(), "{found:?}");
    }
}

#[test]
fn a_component_of_another_world_would_be_noticed() {
    let (resolve, world) = written("health");
    assert!(targets(&resolve, world, &built("pheromone"), false).is_err());
}

#[test]
fn every_world_is_written_without_imports() {
    for decider in DECIDERS {
        let (imports, exports) = names(&written(decider));
        assert_eq!(imports, [""; 0], "{decider}");
        assert_eq!(exports.len(), 1, "{decider}: {exports:?}");
    }
}
