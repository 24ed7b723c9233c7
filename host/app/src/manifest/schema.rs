//! The keys of a manifest, exactly: an unknown one is an error.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use toml::Table;

use crate::limits::LimitsTable;

/// The whole of `spin.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Document {
    /// Checked before anything else is read.
    #[serde(rename = "spin_manifest_version")]
    _version: IgnoredAny,
    pub application: Application,
    #[serde(default)]
    pub variables: BTreeMap<String, VariableTable>,
    pub trigger: Triggers,
    #[serde(default)]
    pub component: BTreeMap<String, ComponentTable>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Application {
    pub name: String,
    #[serde(default)]
    pub version: String,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub authors: Vec<String>,
    /// Where it is meant to run; for tools.
    #[serde(default, rename = "targets")]
    _targets: Vec<TextOr<TargetTable>>,
    #[serde(default)]
    pub trigger: BTreeMap<String, Table>,
    /// Other tools' tables.
    #[serde(default, rename = "tool")]
    _tool: BTreeMap<String, Table>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TargetTable {
    #[serde(default, rename = "url")]
    _url: Option<String>,
    #[serde(default, rename = "path")]
    _path: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VariableTable {
    pub description: Option<String>,
    #[serde(default)]
    pub required: bool,
    pub default: Option<String>,
    #[serde(default)]
    pub secret: bool,
}

/// `[[trigger.http]]`, and the names of kinds that are not supported.
#[derive(Debug, Clone, Default)]
pub(crate) struct Triggers {
    pub http: Vec<HttpTable>,
    pub others: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpTable {
    #[serde(default)]
    pub id: String,
    pub component: Option<TextOr<Box<ComponentTable>>>,
    pub static_response: Option<StaticTable>,
    pub route: TextOr<PrivateTable>,
    pub executor: Option<ExecutorTable>,
    /// Middleware and the like, refused by name.
    pub components: Option<IgnoredAny>,
    pub dependencies: Option<IgnoredAny>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PrivateTable {
    pub private: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StaticTable {
    pub status_code: Option<u16>,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    pub body: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ExecutorTable {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(flatten)]
    pub rest: Table,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ComponentTable {
    /// Required; asked for where the component's name is known.
    pub source: Option<TextOr<SourceTable>>,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    #[serde(default)]
    pub files: Vec<TextOr<PlacedTable>>,
    #[serde(default)]
    pub exclude_files: Vec<String>,
    #[serde(default)]
    pub allowed_http_hosts: Vec<String>,
    #[serde(default)]
    pub allowed_outbound_hosts: Vec<String>,
    #[serde(default)]
    pub key_value_stores: Vec<String>,
    #[serde(default)]
    pub sqlite_databases: Vec<String>,
    #[serde(default)]
    pub ai_models: Vec<String>,
    #[serde(default, rename = "targets")]
    _targets: Option<Vec<TextOr<TargetTable>>>,
    /// For `spin build`; read for its form only.
    #[serde(rename = "build")]
    _build: Option<BuildTable>,
    #[serde(default)]
    pub tool: ToolTable,
    pub dependencies_inherit_configuration: Option<bool>,
    #[serde(default)]
    pub dependencies: BTreeMap<String, TextOr<DependencyTable>>,
    #[serde(default)]
    pub profile: BTreeMap<String, ProfileTable>,
}

/// Other tools' tables are theirs; ours is strict.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct ToolTable {
    pub kgents: Option<LimitsTable>,
    #[serde(flatten)]
    _others: BTreeMap<String, Table>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BuildTable {
    #[serde(rename = "command")]
    _command: Command,
    #[serde(rename = "workdir")]
    _workdir: Option<String>,
    #[serde(default, rename = "watch")]
    _watch: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProfileTable {
    pub source: Option<TextOr<SourceTable>>,
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    #[serde(default)]
    pub dependencies: BTreeMap<String, TextOr<DependencyTable>>,
    #[serde(rename = "build")]
    _build: Option<ProfileBuildTable>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProfileBuildTable {
    #[serde(rename = "command")]
    _command: Command,
}

/// `{ url, digest }` or `{ registry, package, version }`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SourceTable {
    pub url: Option<String>,
    pub digest: Option<String>,
    #[serde(rename = "registry")]
    _registry: Option<String>,
    pub package: Option<String>,
    pub version: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlacedTable {
    pub source: String,
    pub destination: String,
}

/// `{ path }`, `{ component }`, `{ url, digest }` or `{ version, registry, package }`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DependencyTable {
    pub path: Option<String>,
    pub component: Option<String>,
    pub url: Option<String>,
    pub digest: Option<String>,
    pub version: Option<String>,
    pub registry: Option<String>,
    pub package: Option<String>,
    pub export: Option<String>,
    pub inherit_configuration: Option<InheritValue>,
}

/// A text, or a table instead of it.
#[derive(Debug, Clone)]
pub(crate) enum TextOr<T> {
    Text(String),
    Table(T),
}

/// One command, or several after one another.
#[derive(Debug, Clone)]
pub(crate) struct Command;

/// `true`, `false`, or the names of what is inherited.
#[derive(Debug, Clone)]
pub(crate) enum InheritValue {
    All(bool),
    Named(Vec<String>),
}

// These are read by hand: a derived "one of several forms" says of a mistyped key only that
// nothing fits, and neither the key nor the line.

impl<'de, T: Deserialize<'de>> Deserialize<'de> for TextOr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Read<T> {
            type Value = TextOr<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a table")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<TextOr<T>, E> {
                Ok(TextOr::Text(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TextOr<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(TextOr::Table)
            }
        }
        deserializer.deserialize_any(Read(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Command {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Command;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a command or a list of commands")
            }

            fn visit_str<E: Error>(self, _: &str) -> Result<Command, E> {
                Ok(Command)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Command, A::Error> {
                texts(list).map(|_| Command)
            }
        }
        deserializer.deserialize_any(Read)
    }
}

impl<'de> Deserialize<'de> for InheritValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = InheritValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`true`, `false`, or a list of what is inherited")
            }

            fn visit_bool<E: Error>(self, all: bool) -> Result<InheritValue, E> {
                Ok(InheritValue::All(all))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<InheritValue, A::Error> {
                texts(list).map(InheritValue::Named)
            }
        }
        deserializer.deserialize_any(Read)
    }
}

fn texts<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Vec<String>, A::Error> {
    let mut texts = Vec::new();
    while let Some(text) = list.next_element()? {
        texts.push(text);
    }
    Ok(texts)
}

impl<'de> Deserialize<'de> for Triggers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Triggers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table: write `[[trigger.http]]`")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Triggers, A::Error> {
                let mut triggers = Triggers::default();
                while let Some(kind) = map.next_key::<String>()? {
                    if kind == "http" {
                        triggers.http = map.next_value()?;
                    } else {
                        map.next_value::<IgnoredAny>()?;
                        triggers.others.push(kind);
                    }
                }
                Ok(triggers)
            }
        }
        deserializer.deserialize_map(Read)
    }
}
