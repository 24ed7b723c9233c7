//! The manifests for SpinKube say what `spin.toml` says: image and version,
//! components, variables, routes; each overlay is whole; and the pods start (`pods`).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop where it stands"
)]

#[allow(dead_code, reason = "no account is needed here")]
#[path = "../../host/oci/tests/support/docker.rs"]
mod docker;
mod pods;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use kgents_tests::root;
use serde_json::Value;

/// The folders with an overlay, and what runs the pods there.
const OVERLAYS: [(&str, &str); 2] = [("shim", "containerd-shim-spin"), ("kgents", "kgents")];
/// What every runtime of Spin answers by itself.
const RUNTIME_HEALTH: &str = "/.well-known/spin/health";

/// `spin.toml` at the root.
fn spin() -> toml::Table {
    let path = root().join("spin.toml");
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("`{}`: {e}", path.display()));
    text.parse().unwrap()
}

/// A document in `spinkube/`.
fn document(path: &str) -> Value {
    let path = root().join("spinkube").join(path);
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("`{}`: {e}", path.display()));
    serde_saphyr::from_str(&text).unwrap_or_else(|e| panic!("`{}`: {e}", path.display()))
}

/// Texts in a list of a document; none when there is no list.
fn texts(list: &Value) -> Vec<&str> {
    let items = list.as_array().into_iter().flatten();
    items.map(|item| item.as_str().unwrap()).collect()
}

/// The SpinApps of the suite by their file.
fn apps() -> BTreeMap<String, Value> {
    let listed = document("suite/kustomization.yaml");
    let files = texts(&listed["resources"]).into_iter();
    files
        .map(|file| (file.to_owned(), document(&format!("suite/{file}"))))
        .filter(|(_, document)| document["kind"] == "SpinApp")
        .collect()
}

/// Names of variables that the component `id` sees, by itself or in the addresses
/// it may call.
fn seen(spin: &toml::Table, id: &str) -> BTreeSet<String> {
    let component = &spin["component"][id];
    let declared = spin["variables"].as_table().unwrap();
    let mut written = String::new();
    for part in ["variables", "allowed_outbound_hosts"] {
        if let Some(part) = component.get(part) {
            written.push_str(&format!("{part:?}"));
        }
    }
    let spaced = written.replace("{{", "{{ ").replace("}}", " }}");
    let words: BTreeSet<&str> = spaced.split_whitespace().collect();
    declared
        .keys()
        .filter(|name| words.contains(name.as_str()))
        .cloned()
        .collect()
}

fn is(table: &toml::Value, key: &str) -> bool {
    table
        .get(key)
        .and_then(toml::Value::as_bool)
        .unwrap_or_default()
}

#[test]
fn every_component_has_one_spinapp_of_the_image_of_this_version() {
    let spin = spin();
    let version = spin["application"]["version"].as_str().unwrap();
    assert_eq!(version, env!("CARGO_PKG_VERSION"));
    let mut components = Vec::new();
    for (file, app) in apps() {
        assert_eq!(
            app["spec"]["image"],
            format!("ghcr.io/kgents/suite:{version}"),
            "{file}"
        );
        assert_eq!(
            file,
            format!("spinapp-{}.yaml", app["metadata"]["name"].as_str().unwrap())
        );
        components.extend(
            texts(&app["spec"]["components"])
                .into_iter()
                .map(str::to_owned),
        );
    }
    components.sort();
    let expected: Vec<String> = spin["component"]
        .as_table()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    assert_eq!(components, expected);
}

#[test]
fn every_spinapp_sets_the_variables_that_are_required_and_no_others_than_there_are() {
    let spin = spin();
    let declared = spin["variables"].as_table().unwrap();
    for (file, app) in apps() {
        let set = app["spec"]["variables"].as_array().unwrap();
        let names: BTreeSet<&str> = set
            .iter()
            .map(|variable| variable["name"].as_str().unwrap())
            .collect();
        assert_eq!(names.len(), set.len(), "{file}: a variable is set twice");
        for name in &names {
            assert!(
                declared.contains_key(*name),
                "{file}: spin.toml has no variable `{name}`"
            );
        }
        for (name, variable) in declared {
            // Spin asks for them even where no component of the pod sees them.
            let missing = is(variable, "required") && !names.contains(name.as_str());
            assert!(!missing, "{file}: `{name}` is required and not set");
        }
    }
}

#[test]
fn a_secret_comes_from_a_secret_and_goes_only_to_who_sees_it() {
    let spin = spin();
    for (file, app) in apps() {
        let ids = texts(&app["spec"]["components"]);
        let seen: BTreeSet<String> = ids.iter().flat_map(|id| seen(&spin, id)).collect();
        for variable in app["spec"]["variables"].as_array().unwrap() {
            let name = variable["name"].as_str().unwrap();
            let secret = is(&spin["variables"][name], "secret") && seen.contains(name);
            let from = variable.pointer("/valueFrom/secretKeyRef");
            assert_eq!(from.is_some(), secret, "{file}: `{name}`");
            assert_eq!(variable.get("value").is_some(), !secret, "{file}: `{name}`");
        }
    }
}

/// The routes of the component `id`.
fn routes<'a>(spin: &'a toml::Table, id: &str) -> Vec<&'a str> {
    let triggers = spin["trigger"]["http"].as_array().unwrap().iter();
    triggers
        .filter(|trigger| trigger["component"].as_str() == Some(id))
        .filter_map(|trigger| trigger["route"].as_str())
        .collect()
}

fn leads_to(route: &str, path: &str) -> bool {
    match route.strip_suffix("/...") {
        Some(prefix) => path == prefix || path.starts_with(&format!("{prefix}/")),
        None => path == route,
    }
}

#[test]
fn checks_ask_for_what_the_components_of_the_pod_answer() {
    let spin = spin();
    for (file, app) in apps() {
        let ids = texts(&app["spec"]["components"]);
        for check in ["liveness", "readiness"] {
            let pointer = format!("/spec/checks/{check}/httpGet/path");
            let path = app.pointer(&pointer).and_then(Value::as_str);
            let path = path.unwrap_or_else(|| panic!("{file}: no {check}"));
            let routes = ids.iter().flat_map(|id| routes(&spin, id));
            let answered = routes.into_iter().any(|route| leads_to(route, path));
            assert!(
                answered || path == RUNTIME_HEALTH,
                "{file}: {check} asks for `{path}`"
            );
        }
    }
}

#[test]
fn every_overlay_is_whole_and_names_its_executor() {
    for (overlay, executor) in OVERLAYS {
        let kustomization = document(&format!("{overlay}/kustomization.yaml"));
        assert_eq!(kustomization["namespace"], "kgents");
        let resources = texts(&kustomization["resources"]);
        assert!(resources.contains(&"../suite"), "{overlay}");
        let own: BTreeMap<String, Value> = resources
            .into_iter()
            .filter(|resource| *resource != "../suite")
            .map(|file| document(&format!("{overlay}/{file}")))
            .map(|document| (document["kind"].as_str().unwrap().to_owned(), document))
            .collect();
        let of_executor = &own["SpinAppExecutor"];
        assert_eq!(of_executor["metadata"]["name"], executor);
        let deployment = &of_executor["spec"]["deploymentConfig"];
        match own.get("RuntimeClass") {
            Some(class) => {
                assert_eq!(deployment["runtimeClassName"], class["metadata"]["name"]);
                assert_eq!(deployment["spinImage"], Value::Null);
            }
            None => {
                let image = format!("ghcr.io/kgents/kgents:{}", env!("CARGO_PKG_VERSION"));
                assert_eq!(deployment["spinImage"], image);
                assert_eq!(deployment["runtimeClassName"], Value::Null);
            }
        }
        let patched = kustomization
            .pointer("/patches/0/patch")
            .and_then(Value::as_str);
        let patch: Option<Value> = patched.map(|patch| serde_saphyr::from_str(patch).unwrap());
        for (file, app) in apps() {
            let written = &app["spec"]["executor"];
            let said = patch.as_ref().map_or(written, |patch| &patch[0]["value"]);
            assert_eq!(said, executor, "{overlay}, {file}");
        }
    }
}

#[test]
fn every_file_is_listed_where_it_lies() {
    for folder in ["suite", "shim", "kgents"] {
        let kustomization = document(&format!("{folder}/kustomization.yaml"));
        let listed: BTreeSet<&str> = ["resources", "configurations"]
            .into_iter()
            .flat_map(|part| texts(&kustomization[part]))
            .chain(["kustomization.yaml"])
            .filter(|file| *file != "../suite")
            .collect();
        let there: BTreeSet<String> = names(&root().join("spinkube").join(folder));
        assert_eq!(
            there.iter().map(String::as_str).collect::<BTreeSet<_>>(),
            listed,
            "{folder}"
        );
    }
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}
