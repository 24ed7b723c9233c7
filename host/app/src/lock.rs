//! Spin's locked-app JSON: an application with everything it needs, by digest.
//!
//! The names and the shape are Spin's (`spin.json`, the last layer of its artefacts). As Spin
//! does, a reader skips fields it does not know, and refuses what is marked as not to be skipped:
//! `must_understand`, and requirements of the host that are `required`.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::error::AppError;
use crate::names::{DependencyName, quoted};

/// The media type of the JSON where it is a layer of an artefact.
pub const MEDIA_TYPE: &str = "application/vnd.fermyon.spin.application.v1+config";

/// A lock larger than this is refused unread: small files are inside, large ones are not.
pub const BYTES_MAX: u64 = 16 << 20;

/// The newest version of the form that is read.
const VERSION_MAX: u64 = 1;

/// What the host must have for `*.spin.internal`, in `host_requirements`.
pub(crate) const SERVICE_CHAINING: &str = "local_service_chaining";
/// Said of such a requirement.
pub(crate) const REQUIRED: &str = "required";
const OPTIONAL: &str = "optional";

const HOST_REQUIREMENTS: &str = "host_requirements";
const COMPONENT_HOST_REQUIREMENTS: &str = "component_host_requirements";

const DOCUMENT: &str = "locked application";

/// An application with everything it needs, by digest.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct LockedApp {
    spin_lock_version: u64,
    /// Parts that a host must act on, or refuse the application.
    #[serde(default)]
    pub must_understand: Vec<String>,
    /// `name`, `version`, `description`, `authors`, `triggers`, `trigger`.
    #[serde(default)]
    pub metadata: Map<String, Value>,
    /// What the host must have for the whole application.
    #[serde(default)]
    pub host_requirements: Map<String, Value>,
    /// The variables that an operator sets.
    #[serde(default)]
    pub variables: BTreeMap<String, LockedVariable>,
    /// What starts which component.
    pub triggers: Vec<LockedTrigger>,
    /// The components.
    pub components: Vec<LockedComponent>,
}

/// A variable that an operator sets.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LockedVariable {
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its value when nobody sets it; without one it has to be set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// Whether its value must not be shown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secret: bool,
}

/// What starts a component.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LockedTrigger {
    /// Its name, once in an application.
    pub id: String,
    /// `http`, or a kind that is not supported here.
    pub trigger_type: String,
    /// What the kind wants to know: component, route.
    pub trigger_config: Value,
    /// Components around the component (middleware); not supported here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub trigger_dependencies: BTreeMap<String, Vec<LockedDependency>>,
}

/// A component.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LockedComponent {
    /// Its name, once in an application.
    pub id: String,
    /// `allowed_outbound_hosts`, `key_value_stores`, `description` and more.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
    /// Its WebAssembly.
    pub source: LockedSource,
    /// The environment it sees.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// The files it sees.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<LockedFile>,
    /// The variables it sees, as templates over the application's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, String>,
    /// What its imports are to be satisfied with; empty once it is composed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dependencies: BTreeMap<DependencyName, LockedDependency>,
    /// Components around it (middleware); not supported here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub trigger_dependencies: BTreeMap<String, Vec<LockedDependency>>,
    /// What the host must have for this component.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub host_requirements: Map<String, Value>,
}

/// What an import is to be satisfied with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LockedDependency {
    /// Its WebAssembly.
    pub source: LockedSource,
    /// The export to use instead of the one of the import's name.
    pub export: Option<String>,
    /// What of the component's permissions it may use as well.
    #[serde(default, skip_serializing_if = "Inherit::is_nothing")]
    pub inherit: Inherit,
}

/// What of a component's permissions its dependency may use as well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Inherit {
    /// All of them.
    All,
    /// Those named, such as `allowed_outbound_hosts`.
    Some(Vec<String>),
}

impl Default for Inherit {
    fn default() -> Inherit {
        Inherit::Some(Vec::new())
    }
}

impl Inherit {
    fn is_nothing(&self) -> bool {
        matches!(self, Inherit::Some(named) if named.is_empty())
    }
}

/// WebAssembly, by digest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LockedSource {
    /// `application/wasm`.
    pub content_type: String,
    /// Where it is.
    #[serde(flatten)]
    pub content: ContentRef,
}

/// A file and the path at which a component sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LockedFile {
    /// Where its bytes are.
    #[serde(flatten)]
    pub content: ContentRef,
    /// The path; `/` goes before it where it does not begin with one.
    pub path: String,
}

/// Where content is: inside, or beside the lock under its digest.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ContentRef {
    /// An address on the machine that made the lock. Never followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The bytes themselves. Spin puts files of up to 128 bytes here.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "inline")]
    pub inline: Option<Vec<u8>>,
    /// The digest that the bytes must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

impl LockedApp {
    /// An application without anything.
    pub fn new() -> LockedApp {
        LockedApp {
            spin_lock_version: 0,
            must_understand: Vec::new(),
            metadata: Map::new(),
            host_requirements: Map::new(),
            variables: BTreeMap::new(),
            triggers: Vec::new(),
            components: Vec::new(),
        }
    }

    /// Reads the JSON.
    ///
    /// Fails for anything over [`BYTES_MAX`] bytes, that is not JSON of this form, that two
    /// triggers or components of one name are in, or that requires of a host what this one does
    /// not have.
    pub fn from_json(json: &[u8]) -> Result<LockedApp, AppError> {
        let bytes = u64::try_from(json.len()).unwrap_or(u64::MAX);
        if bytes > BYTES_MAX {
            return Err(AppError::TooLarge {
                at: DOCUMENT.to_owned(),
                bytes,
                bytes_max: BYTES_MAX,
            });
        }
        let mut reader = serde_json::Deserializer::from_slice(json);
        let told = |error: &dyn std::fmt::Display| AppError::document(DOCUMENT, &error.to_string());
        let mut lock: LockedApp =
            serde_path_to_error::deserialize(&mut reader).map_err(|error| told(&error))?;
        reader.end().map_err(|error| told(&error))?;
        lock.check()?;
        lock.settle();
        Ok(lock)
    }

    /// Writes the JSON; what was written reads as the same application.
    pub fn to_json(&self) -> Result<Vec<u8>, AppError> {
        serde_json::to_vec_pretty(self)
            .map_err(|error| AppError::document(DOCUMENT, &error.to_string()))
    }

    /// The component of that name.
    pub fn component(&self, id: &str) -> Option<&LockedComponent> {
        self.components.iter().find(|component| component.id == id)
    }

    /// Fails when it requires what this host does not have, or a name is there twice.
    pub(crate) fn check(&self) -> Result<(), AppError> {
        if self.spin_lock_version > VERSION_MAX {
            return Err(AppError::unsupported(
                "spin_lock_version",
                format!("version {}", self.spin_lock_version),
                format!("versions up to {VERSION_MAX} are read: pack the application again"),
            ));
        }
        for part in &self.must_understand {
            if part != HOST_REQUIREMENTS && part != COMPONENT_HOST_REQUIREMENTS {
                return Err(AppError::unsupported(
                    "must_understand",
                    quoted(part),
                    "the application needs a host that knows it",
                ));
            }
        }
        meets(&self.host_requirements, HOST_REQUIREMENTS)?;
        for component in &self.components {
            let place = format!("component {}: {HOST_REQUIREMENTS}", quoted(&component.id));
            meets(&component.host_requirements, &place)?;
        }
        once(
            "components",
            self.components
                .iter()
                .map(|component| component.id.as_str()),
        )?;
        once(
            "triggers",
            self.triggers.iter().map(|trigger| trigger.id.as_str()),
        )
    }

    /// Leaves out requirements that are optional, and marks what is not to be skipped, so that
    /// what is written says the same as what was read.
    pub(crate) fn settle(&mut self) {
        let is_required = |_: &String, value: &mut Value| value.as_str() != Some(OPTIONAL);
        self.host_requirements.retain(is_required);
        for component in &mut self.components {
            component.host_requirements.retain(is_required);
        }
        self.must_understand.clear();
        if !self.host_requirements.is_empty() {
            self.must_understand.push(HOST_REQUIREMENTS.to_owned());
        }
        if self
            .components
            .iter()
            .any(|component| !component.host_requirements.is_empty())
        {
            self.must_understand
                .push(COMPONENT_HOST_REQUIREMENTS.to_owned());
        }
        self.spin_lock_version = self.version();
    }

    /// The version is 0 as long as nothing is in it that a reader of version 0 must not skip.
    fn version(&self) -> u64 {
        u64::from(!self.must_understand.is_empty() || !self.host_requirements.is_empty())
    }
}

impl Default for LockedApp {
    fn default() -> LockedApp {
        LockedApp::new()
    }
}

/// Fails for what is required and not there.
fn meets(requirements: &Map<String, Value>, place: &str) -> Result<(), AppError> {
    let missing = requirements.iter().find(|(name, value)| {
        name.as_str() != SERVICE_CHAINING && value.as_str() != Some(OPTIONAL)
    });
    match missing {
        None => Ok(()),
        Some((name, _)) => Err(AppError::unsupported(
            place,
            quoted(name),
            "the application needs a host that has it",
        )),
    }
}

fn once<'a>(what: &str, ids: impl Iterator<Item = &'a str>) -> Result<(), AppError> {
    let mut seen = BTreeSet::new();
    for id in ids {
        if !seen.insert(id) {
            return Err(AppError::invalid(
                what,
                format!("two have the name {}; a name stands for one", quoted(id)),
            ));
        }
    }
    Ok(())
}

impl Serialize for LockedApp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        /// The written form: the version follows from the rest.
        #[derive(Serialize)]
        struct Written<'a> {
            spin_lock_version: u64,
            #[serde(skip_serializing_if = "<[String]>::is_empty")]
            must_understand: &'a [String],
            #[serde(skip_serializing_if = "Map::is_empty")]
            metadata: &'a Map<String, Value>,
            #[serde(skip_serializing_if = "Map::is_empty")]
            host_requirements: &'a Map<String, Value>,
            #[serde(skip_serializing_if = "BTreeMap::is_empty")]
            variables: &'a BTreeMap<String, LockedVariable>,
            triggers: &'a [LockedTrigger],
            components: &'a [LockedComponent],
        }
        Written {
            spin_lock_version: self.version(),
            must_understand: &self.must_understand,
            metadata: &self.metadata,
            host_requirements: &self.host_requirements,
            variables: &self.variables,
            triggers: &self.triggers,
            components: &self.components,
        }
        .serialize(serializer)
    }
}

/// Base64 as Spin writes it, without padding; padding is read as well.
mod inline {
    use super::*;

    const BASE64: GeneralPurpose = GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        GeneralPurposeConfig::new()
            .with_encode_padding(false)
            .with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );

    pub fn serialize<S: Serializer>(
        bytes: &Option<Vec<u8>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        bytes
            .as_ref()
            .map(|bytes| BASE64.encode(bytes))
            .serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Vec<u8>>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| BASE64.decode(text).map_err(serde::de::Error::custom))
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(lock: &Value) -> Result<LockedApp, AppError> {
        LockedApp::from_json(lock.to_string().as_bytes())
    }

    /// What Spin itself wrote for an application of one component with a file.
    fn spins() -> Value {
        json!({
            "spin_lock_version": 1,
            "must_understand": ["component_host_requirements"],
            "metadata": {"name": "a", "origin": "file:///a/spin.toml", "triggers": {}},
            "variables": {"x": {"default": "1"}, "y": {"secret": true, "description": "d"}},
            "triggers": [{"id": "t", "trigger_type": "http",
                          "trigger_config": {"component": "c", "route": "/..."}}],
            "components": [{
                "id": "c",
                "metadata": {"allowed_outbound_hosts": ["http://b.spin.internal"]},
                "source": {"content_type": "application/wasm", "digest": "sha256:00"},
                "files": [{"inline": "aGk", "digest": "sha256:01", "path": "a.txt"}],
                "config": {"v": "{{ x }}"},
                "dependencies": {"a:b/c@0.1.0": {
                    "source": {"content_type": "application/wasm", "digest": "sha256:02"},
                    "export": null, "inherit": "All",
                }},
                "host_requirements": {"local_service_chaining": "required"},
            }],
        })
    }

    #[test]
    fn what_spin_wrote_is_written_the_same_again() {
        let lock = read(&spins()).unwrap();
        assert_eq!(
            lock.components[0].files[0].content.inline.as_deref(),
            Some(&b"hi"[..])
        );
        let written: Value = serde_json::from_slice(&lock.to_json().unwrap()).unwrap();
        assert_eq!(written, spins());
    }

    #[test]
    fn fields_from_the_future_are_skipped_and_optional_needs_dropped() {
        let mut lock = spins();
        lock["future"] = json!(1);
        lock["components"][0]["future"] = json!({"a": []});
        lock["host_requirements"] = json!({"telepathy": "optional"});
        lock["must_understand"] = json!(["host_requirements", "component_host_requirements"]);
        let written: Value =
            serde_json::from_slice(&read(&lock).unwrap().to_json().unwrap()).unwrap();
        assert_eq!(written, spins());
    }

    #[test]
    fn what_must_be_understood_and_is_not_is_refused_by_name() {
        let check = |spoil: &dyn Fn(&mut Value), words: &[&str]| {
            let mut lock = spins();
            spoil(&mut lock);
            let error = read(&lock).unwrap_err().to_string();
            for word in words {
                assert!(error.contains(word), "no {word:?} in {error:?}");
            }
        };
        check(&|lock| lock["spin_lock_version"] = json!(2), &["version 2"]);
        check(
            &|lock| lock["must_understand"] = json!(["x"]),
            &["must_understand", "`x`"],
        );
        check(
            &|lock| lock["host_requirements"] = json!({"x": "required"}),
            &["`x`"],
        );
        check(
            &|lock| lock["host_requirements"] = json!({"x": {}}),
            &["`x`"],
        );
        check(
            &|lock| lock["components"][0]["host_requirements"] = json!({"x": "required"}),
            &["`c`", "`x`"],
        );
        check(
            &|lock| {
                let again = lock["components"][0].clone();
                lock["components"].as_array_mut().unwrap().push(again);
            },
            &["components", "`c`"],
        );
        check(
            &|lock| lock["triggers"] = json!(1),
            &["locked application", "triggers"],
        );
        check(
            &|lock| lock["components"][0]["files"][0]["inline"] = json!("a"),
            &["locked"],
        );
        check(
            &|lock| lock["components"][0]["dependencies"] = json!({"a b": 1}),
            &["`a b`"],
        );
    }

    #[test]
    fn a_lock_over_its_bound_is_refused_unread() {
        let large = vec![b' '; usize::try_from(BYTES_MAX).unwrap() + 1];
        assert!(matches!(
            LockedApp::from_json(&large),
            Err(AppError::TooLarge { .. })
        ));
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(LockedApp::from_json(deep.as_bytes()).is_err());
    }

    prop_compose! {
        fn any_lock()(
            name in "\\PC{0,8}",
            ids in proptest::collection::btree_set("[a-z]{1,8}", 0..4),
            inline in proptest::collection::vec(any::<u8>(), 0..40),
            secret in any::<bool>(),
            default in proptest::option::of("\\PC{0,8}"),
            chains in any::<bool>(),
            named in proptest::collection::vec("[a-z_]{1,8}", 0..3),
        ) -> LockedApp {
            let mut lock = LockedApp::new();
            lock.metadata.insert("name".to_owned(), name.clone().into());
            lock.variables.insert(name, LockedVariable { description: None, default, secret });
            for id in ids {
                let content = ContentRef { inline: Some(inline.clone()), ..ContentRef::default() };
                let source = LockedSource {
                    content_type: "application/wasm".to_owned(),
                    content: content.clone(),
                };
                let dependency = LockedDependency {
                    source: source.clone(),
                    export: None,
                    inherit: Inherit::Some(named.clone()),
                };
                let requirement = (SERVICE_CHAINING.to_owned(), Value::from(REQUIRED));
                lock.components.push(LockedComponent {
                    id: id.clone(),
                    metadata: Map::new(),
                    source,
                    env: BTreeMap::new(),
                    files: vec![LockedFile { content, path: id }],
                    config: BTreeMap::new(),
                    dependencies: BTreeMap::from([("a:b".parse().unwrap(), dependency)]),
                    trigger_dependencies: BTreeMap::new(),
                    host_requirements: Some(requirement).filter(|_| chains).into_iter().collect(),
                });
            }
            lock.settle();
            lock
        }
    }

    proptest! {
        #[test]
        fn a_lock_reads_what_it_writes(lock in any_lock()) {
            let read = LockedApp::from_json(&lock.to_json().unwrap());
            prop_assert_eq!(read.unwrap(), lock);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = LockedApp::from_json(&bytes);
        }

        #[test]
        fn a_lock_with_a_piece_gone_is_read_or_refused(from in 0usize..1200, length in 0usize..30) {
            let mut text = spins().to_string();
            let end = (from + length).min(text.len());
            text.drain(from.min(end)..end);
            let _ = LockedApp::from_json(text.as_bytes());
        }
    }
}
