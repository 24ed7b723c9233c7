//! The files that the documentation shows are files that the mesh reads.

use super::examples::taught;
use super::read::parse;
use super::resources::{Budget, card_json};
use super::{MeshFile, document::Mistake};

const DOCUMENTATION: &str = include_str!("../../../../docs/mesh-folder.md");

/// The YAML blocks that begin like this.
fn blocks(beginning: &str) -> Vec<&'static str> {
    let parts = DOCUMENTATION.split("```yaml\n").skip(1);
    let blocks = parts.map(|part| part.split("```").next().unwrap());
    let found: Vec<_> = blocks.filter(|text| text.starts_with(beginning)).collect();
    assert!(!found.is_empty(), "no example begins with {beginning}");
    found
}

fn check<T>(text: &str, read: Result<T, Vec<Mistake>>) -> T {
    read.unwrap_or_else(|mistakes| panic!("{text}\n{mistakes:?}"))
}

#[test]
fn the_documented_files_are_read() {
    for text in blocks("trust_domain:") {
        assert_ne!(check(text, parse::<MeshFile>(text)), MeshFile::default());
    }
    for text in blocks("apiVersion: a2a.kgents.io/v1") {
        check(text, card_json(text));
        for line in blocks("credentials:").join("").lines() {
            check(line, card_json(&format!("{text}  {line}\n")));
        }
    }
    for text in blocks("apiVersion: policy.kgents.io/v1") {
        check(text, parse::<Budget>(text));
    }
    for text in blocks("apiVersion: routing.kgents.io/v1") {
        check(text, taught("documented", text));
    }
}

/// A duration, however it is written.
fn span(text: &str) -> Option<std::time::Duration> {
    humantime::parse_duration(text).ok()
}

#[test]
fn every_key_of_mesh_yaml_is_documented_with_its_default() {
    let defaults = serde_json::to_value(MeshFile::default()).unwrap();
    for (key, value) in defaults.as_object().unwrap() {
        let nested = value.as_object().into_iter().flatten();
        let mut keys: Vec<_> = nested
            .map(|(inner, value)| (format!("{key}.{inner}"), value))
            .collect();
        if keys.is_empty() {
            keys.push((key.clone(), value));
        }
        for (key, value) in keys {
            let row = format!("| `{key}` | ");
            let line = DOCUMENTATION.lines().find(|line| line.starts_with(&row));
            let line = line.unwrap_or_else(|| panic!("`{key}` is not documented"));
            if let Some(text) = value.as_str().filter(|text| !text.contains(' ')) {
                let told = line.split('`').nth(3).unwrap_or_default();
                let same = told == text || span(told).is_some_and(|told| span(text) == Some(told));
                assert!(same, "{key} is {text}: {line}");
            }
        }
    }
}
