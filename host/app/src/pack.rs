//! From a folder to an application with everything it needs, by digest.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::app::{App, no_such_component};
use crate::compose::{Dependency, compose};
use crate::files::{collect, read, read_document};
use crate::hosts::AllowedHosts;
use crate::lock::{
    ContentRef, LockedApp, LockedComponent, LockedFile, LockedSource, LockedTrigger, REQUIRED,
    SERVICE_CHAINING,
};
use crate::manifest::{self, Manifest, ManifestComponent, Source};
use crate::names::quoted;
use crate::template::Template;
use crate::{AppError, Digest, component};

/// The name of a manifest in a folder.
const MANIFEST: &str = "spin.toml";
/// What a file is that is given instead, whatever its name.
const KIND: &str = "manifest";

/// How to pack an application.
#[derive(Debug, Clone, Default)]
pub struct PackOptions {
    /// The components to pack, with their triggers; all when it is empty.
    pub component_ids: Vec<String>,
    /// The profile whose overrides apply.
    pub profile: Option<String>,
}

/// An application with everything it needs: what is pushed to a registry and pulled from it.
#[derive(Debug, Clone, PartialEq)]
pub struct Packed {
    /// The application; every source in it is a digest, and components are composed.
    pub lock: LockedApp,
    /// The content by its digest.
    pub blobs: BTreeMap<Digest, Bytes>,
}

impl Packed {
    /// Packs the application of a folder with a `spin.toml`, or of a manifest of any name.
    ///
    /// Reads the manifest, the WebAssembly and the files it names, from this machine only. The
    /// same content packs to the same result. Components that no trigger names are left out:
    /// nothing can reach them, and as dependencies they are composed into others.
    ///
    /// Fails for whatever [`App::open`] would not run, so that what is packed can be run.
    pub fn from_folder_or_manifest(path: &Path, options: &PackOptions) -> Result<Packed, AppError> {
        let file = if path.is_dir() {
            path.join(MANIFEST)
        } else {
            path.to_owned()
        };
        let profile = options.profile.as_deref();
        let manifest = read_document(&file, KIND, manifest::BYTES_MAX)
            .and_then(|text| manifest::parse_with_profile(&text, profile))
            .map_err(|error| error.in_file(&file, KIND))?;
        let folder = match file.parent() {
            Some(folder) if folder != Path::new("") => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        let packed = Packing {
            folder,
            blobs: BTreeMap::new(),
        }
        .pack(manifest, options)?;
        App::open(&packed, &[])?;
        Ok(packed)
    }
}

/// An application on its way into blobs.
struct Packing {
    folder: PathBuf,
    blobs: BTreeMap<Digest, Bytes>,
}

impl Packing {
    fn pack(mut self, manifest: Manifest, options: &PackOptions) -> Result<Packed, AppError> {
        let chosen = &options.component_ids;
        for id in chosen {
            if !manifest.components.contains_key(id) {
                return Err(no_such_component(id, manifest.component_ids()));
            }
        }
        let mut lock = LockedApp::new();
        lock.metadata = metadata(&manifest);
        lock.variables = manifest.variables;
        let mut named = BTreeSet::new();
        for trigger in manifest.triggers {
            let component = trigger.config.get("component").and_then(Value::as_str);
            let is_chosen = chosen.is_empty()
                || component.is_some_and(|component| chosen.iter().any(|id| id == component));
            if !is_chosen {
                continue;
            }
            named.extend(component.map(str::to_owned));
            lock.triggers.push(LockedTrigger {
                id: trigger.id,
                trigger_type: "http".to_owned(),
                trigger_config: trigger.config,
                trigger_dependencies: BTreeMap::new(),
            });
        }
        for (id, component) in &manifest.components {
            if named.contains(id) {
                lock.components.push(self.component(id, component)?);
            }
        }
        lock.settle();
        Ok(Packed {
            lock,
            blobs: self.blobs,
        })
    }

    fn component(
        &mut self,
        id: &str,
        component: &ManifestComponent,
    ) -> Result<LockedComponent, AppError> {
        let place = format!("component.{id}");
        let wasm = self.wasm(&component.source, &format!("{place}.source"))?;
        let mut dependencies = Vec::with_capacity(component.dependencies.len());
        for (name, dependency) in &component.dependencies {
            let at = format!("{place}.dependencies.{}", quoted(&name.to_string()));
            dependencies.push(Dependency {
                name: name.clone(),
                wasm: self.wasm(&dependency.source, &at)?,
                export: dependency.export.clone(),
                inherit: dependency.inherit.clone(),
            });
        }
        let wasm = compose(id, &wasm, &dependencies)?;
        let files = collect(
            &self.folder,
            &component.files,
            &component.exclude_files,
            &place,
        )?;
        let source = LockedSource {
            content_type: "application/wasm".to_owned(),
            content: self.keep(wasm),
        };
        let files = files
            .into_iter()
            .map(|file| LockedFile {
                // Spin writes them without the slash.
                path: file.path.trim_start_matches('/').to_owned(),
                content: self.keep(file.bytes),
            })
            .collect();
        Ok(LockedComponent {
            id: id.to_owned(),
            metadata: component_metadata(component, &place)?,
            source,
            env: component.environment.clone(),
            files,
            config: component.variables.clone(),
            dependencies: BTreeMap::new(),
            trigger_dependencies: BTreeMap::new(),
            host_requirements: host_requirements(component),
        })
    }

    fn wasm(&self, source: &Source, at: &str) -> Result<Bytes, AppError> {
        read(&self.folder.join(&source.0), at, component::BYTES_MAX)
    }

    fn keep(&mut self, bytes: Bytes) -> ContentRef {
        let digest = Digest::of(&bytes);
        self.blobs.insert(digest, bytes);
        ContentRef {
            source: None,
            inline: None,
            digest: Some(digest.to_string()),
        }
    }
}

fn metadata(manifest: &Manifest) -> Map<String, Value> {
    let mut metadata = Map::new();
    let mut texts = |key: &str, value: &str| {
        if !value.is_empty() {
            metadata.insert(key.to_owned(), value.into());
        }
    };
    texts("name", &manifest.name);
    texts("version", &manifest.version);
    texts("description", &manifest.description);
    if !manifest.authors.is_empty() {
        metadata.insert("authors".to_owned(), json!(manifest.authors));
    }
    metadata.insert("triggers".to_owned(), json!({}));
    metadata.insert("trigger".to_owned(), json!({ "type": "http" }));
    metadata
}

fn component_metadata(
    component: &ManifestComponent,
    place: &str,
) -> Result<Map<String, Value>, AppError> {
    let mut metadata = Map::new();
    if !component.description.is_empty() {
        metadata.insert(
            "description".to_owned(),
            component.description.as_str().into(),
        );
    }
    for (key, texts) in [
        ("allowed_outbound_hosts", &component.allowed_outbound_hosts),
        ("key_value_stores", &component.key_value_stores),
    ] {
        if !texts.is_empty() {
            metadata.insert(key.to_owned(), json!(texts));
        }
    }
    if let Some(limits) = &component.limits {
        let limits = serde_json::to_value(limits).map_err(|error| {
            AppError::invalid(format!("{place}.tool.kgents"), error.to_string())
        })?;
        metadata.insert("kgents".to_owned(), limits);
    }
    Ok(metadata)
}

/// Components that call others of the application by `NAME.spin.internal` need a host that has
/// that; as in Spin, only entries without variables tell.
fn host_requirements(component: &ManifestComponent) -> Map<String, Value> {
    let chains = component.allowed_outbound_hosts.iter().any(|text| {
        text.parse::<Template>()
            .is_ok_and(|template| AllowedHosts::chained_to(&template).is_some())
    });
    let mut requirements = Map::new();
    if chains {
        requirements.insert(SERVICE_CHAINING.to_owned(), REQUIRED.into());
    }
    requirements
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::component::interfaces;
    use crate::fixtures::{decider, front};

    const SUITE: &str = r#"
        spin_manifest_version = 2
        [application]
        name = "suite"
        version = "0.1.0"
        authors = ["a"]
        [variables]
        url = { default = "http://localhost" }
        [[trigger.http]]
        route = "/..."
        component = "gateway"
        [[trigger.http]]
        route = "/v1/decide/..."
        component = "decide"
        [component.gateway]
        source = "target/gateway.wasm"
        description = "the front door"
        allowed_outbound_hosts = ["{{ url }}", "http://decide.spin.internal"]
        key_value_stores = ["default"]
        variables = { url = "{{ url }}" }
        environment = { A = "b" }
        files = [{ source = "www", destination = "/" }]
        tool.kgents = { memory = "64MiB", timeout = "1h", reuse = 1000 }
        [component.decide]
        source = "target/decide.wasm"
        [component.decide.dependencies]
        "kgents:router" = { path = "target/router.wasm" }
        "kgents:policy" = { component = "policy" }
        [component.policy]
        source = "target/policy.wasm"
    "#;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, bytes: &[u8]| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        };
        write("spin.toml", SUITE.as_bytes());
        write("www/index.html", b"<p>");
        write("target/gateway.wasm", &front(&["wasi:io/poll@0.2.0"]));
        write(
            "target/decide.wasm",
            &front(&["kgents:router/route@0.1.0", "kgents:policy/judge@0.1.0"]),
        );
        write(
            "target/router.wasm",
            &decider(&["kgents:router/route@0.1.0"]),
        );
        write(
            "target/policy.wasm",
            &decider(&["kgents:policy/judge@0.1.0"]),
        );
        folder
    }

    fn pack(folder: &tempfile::TempDir) -> Result<Packed, AppError> {
        Packed::from_folder_or_manifest(folder.path(), &PackOptions::default())
    }

    #[test]
    fn a_folder_becomes_a_lock_as_spin_writes_it() {
        let packed = pack(&folder()).unwrap();
        let lock: Value = serde_json::from_slice(&packed.lock.to_json().unwrap()).unwrap();
        let [decide, gateway] = packed.lock.components.as_slice() else {
            panic!("not two")
        };
        let digest = |component: &LockedComponent| component.source.content.digest.clone();
        let expected = json!({
            "spin_lock_version": 1,
            "must_understand": ["component_host_requirements"],
            "metadata": {
                "name": "suite", "version": "0.1.0", "authors": ["a"],
                "triggers": {}, "trigger": {"type": "http"},
            },
            "variables": {"url": {"default": "http://localhost"}},
            "triggers": [
                {"id": "gateway-http-trigger", "trigger_type": "http",
                 "trigger_config": {"component": "gateway", "route": "/..."}},
                {"id": "decide-http-trigger", "trigger_type": "http",
                 "trigger_config": {"component": "decide", "route": "/v1/decide/..."}},
            ],
            "components": [
                {"id": "decide",
                 "source": {"content_type": "application/wasm", "digest": digest(decide)}},
                {"id": "gateway",
                 "metadata": {
                    "description": "the front door",
                    "allowed_outbound_hosts": ["{{ url }}", "http://decide.spin.internal"],
                    "key_value_stores": ["default"],
                    "kgents": {"memory": "64MiB", "timeout": "1h", "reuse": 1000},
                 },
                 "source": {"content_type": "application/wasm", "digest": digest(gateway)},
                 "env": {"A": "b"},
                 "files": [{"path": "index.html", "digest": Digest::of(b"<p>")}],
                 "config": {"url": "{{ url }}"},
                 "host_requirements": {"local_service_chaining": "required"}},
            ],
        });
        assert_eq!(lock, expected);
        assert_eq!(packed.blobs.len(), 3);
        assert!(
            packed
                .blobs
                .iter()
                .all(|(digest, blob)| *digest == Digest::of(blob))
        );
    }

    #[test]
    fn dependencies_are_composed_in() {
        let app = App::open(&pack(&folder()).unwrap(), &[]).unwrap();
        let decide = app
            .components
            .iter()
            .find(|component| component.id == "decide")
            .unwrap();
        assert!(interfaces(&decide.wasm).unwrap().imports.is_empty());
    }

    #[test]
    fn the_same_folder_packs_to_the_same_thing_by_any_name() {
        let folder = folder();
        let packed = pack(&folder).unwrap();
        assert_eq!(pack(&folder).unwrap(), packed);
        let manifest = folder.path().join("other.toml");
        fs::rename(folder.path().join("spin.toml"), &manifest).unwrap();
        let by_file = Packed::from_folder_or_manifest(&manifest, &PackOptions::default()).unwrap();
        assert_eq!(by_file, packed);
        assert_eq!(
            LockedApp::from_json(&packed.lock.to_json().unwrap()).unwrap(),
            packed.lock
        );
    }

    #[test]
    fn only_the_components_that_are_chosen_are_packed() {
        let folder = folder();
        let choose = |id: &str| {
            let component_ids = vec![id.to_owned()];
            let options = PackOptions {
                component_ids,
                profile: None,
            };
            Packed::from_folder_or_manifest(folder.path(), &options)
        };
        let packed = choose("decide").unwrap();
        assert_eq!(packed.lock.components.len(), 1);
        assert_eq!(packed.lock.triggers.len(), 1);
        assert!(packed.lock.must_understand.is_empty());
        let error = choose("nobody").unwrap_err().to_string();
        assert!(
            error.contains("`nobody`") && error.contains("`gateway`"),
            "{error}"
        );
    }

    #[test]
    fn what_a_manifest_names_and_is_not_there_is_refused_with_its_place() {
        for (path, place) in [
            ("target/gateway.wasm", "component.gateway.source"),
            (
                "target/router.wasm",
                "component.decide.dependencies.`kgents:router`",
            ),
            ("www", "component.gateway.files"),
            ("spin.toml", "spin.toml"),
        ] {
            let folder = folder();
            let path = folder.path().join(path);
            if path.is_dir() {
                fs::remove_dir_all(path).unwrap();
            } else {
                fs::remove_file(path).unwrap();
            }
            let error = pack(&folder).unwrap_err().to_string();
            assert!(error.contains(place), "{error}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_manifest_is_told_by_the_name_that_its_file_has() {
        let folder = folder();
        let manifest = folder.path().join("other.toml");
        for (text, place) in [
            ("name = ", "other.toml: line 1: "),
            ("name = 1", "other.toml: spin_manifest_version: "),
            ("\u{0}", "other.toml: "),
        ] {
            fs::write(&manifest, text).unwrap();
            let error = Packed::from_folder_or_manifest(&manifest, &PackOptions::default())
                .unwrap_err()
                .to_string();
            assert!(error.contains(place), "{error}");
            assert!(!error.contains("spin.toml"), "{error}");
        }
    }

    #[test]
    fn a_source_that_is_not_there_is_told_with_its_component_and_the_path_looked_for() {
        let folder = folder();
        let path = folder.path().join("target/gateway.wasm");
        fs::remove_file(&path).unwrap();
        let error = pack(&folder).unwrap_err().to_string();
        let expected = format!("component.gateway.source: cannot read `{}`", path.display());
        assert_eq!(error, expected);
    }

    #[test]
    fn a_module_in_the_place_of_a_component_is_refused_with_a_hint() {
        for path in ["target/gateway.wasm", "target/policy.wasm"] {
            let folder = folder();
            fs::write(
                folder.path().join(path),
                wat::parse_str("(module)").unwrap(),
            )
            .unwrap();
            let error = pack(&folder).unwrap_err().to_string();
            assert!(error.contains("core module"), "{error}");
        }
    }
}
