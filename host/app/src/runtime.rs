//! What an operator adds to an application: `runtime-config.toml`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::AppError;
use crate::files::read_document;
use crate::names::{quoted, store_label, variable_name};

/// A configuration over this is a mistake.
const BYTES_MAX: u64 = 1 << 20;

const DOCUMENT: &str = "runtime configuration";

/// What an operator adds to an application.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuntimeConfig {
    /// Where each key-value store is, by label. A store that is not here is the runner's own.
    pub key_value_stores: BTreeMap<String, KeyValueStore>,
    /// Where values of variables come from, the first first.
    pub variables_providers: Vec<VariablesProvider>,
}

/// Where a key-value store is.
#[derive(Clone, PartialEq, Eq)]
pub enum KeyValueStore {
    /// On this machine; `path` as it was written, for the runner to place.
    Spin {
        /// A file, absolute or below the runner's folder for data.
        path: Option<PathBuf>,
    },
    /// On a Redis server.
    Redis {
        /// `redis://…`, possibly with a password.
        url: String,
    },
}

/// Where values of variables come from.
#[derive(Clone, PartialEq, Eq)]
pub enum VariablesProvider {
    /// The environment: `<prefix>_<NAME>`, `SPIN_VARIABLE_<NAME>` without a prefix.
    Env {
        /// What stands before the name.
        prefix: Option<String>,
    },
    /// Written in the configuration.
    Static {
        /// By name.
        values: BTreeMap<String, String>,
    },
}

/// Keys of Spin's that are refused by name, with what to do instead.
const NOT_SUPPORTED: [(&str, &str); 9] = [
    (
        "sqlite_database",
        "components with SQLite databases are not run here: remove it",
    ),
    (
        "llm_compute",
        "components with models are not run here: remove it",
    ),
    (
        "outbound_http",
        "connections are pooled without it: remove it",
    ),
    (
        "outbound_networking",
        "`allowed_outbound_hosts` says where requests may go: remove it",
    ),
    (
        "client_tls",
        "the system's certificates are used: remove it",
    ),
    (
        "state_dir",
        "the data folder is given on the command line: remove it",
    ),
    (
        "log_dir",
        "what components print is part of the runner's log: remove it",
    ),
    (
        "max_instance_memory",
        "give each component its own limit: `memory` in `[component.NAME.tool.kgents]`",
    ),
    (
        "tls",
        "put a proxy with the certificate in front: remove it",
    ),
];

impl RuntimeConfig {
    /// Reads the file; a file that is not there is an empty configuration, because SpinKube
    /// names one whether or not there is anything to configure.
    pub fn read(path: &Path) -> Result<RuntimeConfig, AppError> {
        let read = read_document(path, DOCUMENT, BYTES_MAX);
        match read.and_then(|text| RuntimeConfig::parse(&text)) {
            Err(AppError::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                Ok(RuntimeConfig::default())
            }
            read => read.map_err(|error| error.in_file(path, DOCUMENT)),
        }
    }

    /// Reads the text of the file.
    ///
    /// Fails for a key that is unknown, or that is Spin's and not supported. No value from the
    /// text is in the error: passwords and tokens stand there.
    pub fn parse(text: &str) -> Result<RuntimeConfig, AppError> {
        let table: Table = toml::from_str(text)
            .map_err(|error| crate::manifest::document_error(DOCUMENT, text, &error))?;
        let mut config = RuntimeConfig::default();
        let mut has_providers = false;
        for (key, value) in table {
            match key.as_str() {
                "key_value_store" => config.key_value_stores = stores(value)?,
                "variables_provider" | "config_provider" => {
                    if has_providers {
                        return Err(AppError::invalid(
                            key,
                            "`config_provider` is the old name of `variables_provider`; write \
                             one of them",
                        ));
                    }
                    has_providers = true;
                    config.variables_providers = providers(value, &key)?;
                }
                other => {
                    return Err(
                        match NOT_SUPPORTED.iter().find(|(name, _)| *name == other) {
                            Some((name, hint)) => {
                                AppError::unsupported(DOCUMENT, quoted(name), *hint)
                            }
                            None => unknown(
                                DOCUMENT,
                                other,
                                "`key_value_store` and `variables_provider`",
                            ),
                        },
                    );
                }
            }
        }
        Ok(config)
    }
}

fn stores(value: Value) -> Result<BTreeMap<String, KeyValueStore>, AppError> {
    let mut stores = BTreeMap::new();
    for (label, store) in table(value, "key_value_store")? {
        store_label(&label).map_err(|problem| problem.at("key_value_store"))?;
        let place = format!("key_value_store.{label}");
        let mut fields = Fields::of(store, &place)?;
        let store = match fields.text("type")?.as_deref() {
            Some("spin") => KeyValueStore::Spin {
                path: fields.text("path")?.map(PathBuf::from),
            },
            Some("redis") => {
                let url = fields
                    .text("url")?
                    .filter(|url| url.starts_with("redis://") || url.starts_with("rediss://"));
                let url = url.ok_or_else(|| {
                    AppError::invalid(
                        format!("{place}.url"),
                        "write the address of the server: `redis://host:port`",
                    )
                })?;
                KeyValueStore::Redis { url }
            }
            other => return Err(kind(other, &place, "`spin` or `redis`")),
        };
        fields.end("`type`, and `path` or `url`")?;
        stores.insert(label, store);
    }
    Ok(stores)
}

fn providers(value: Value, key: &str) -> Result<Vec<VariablesProvider>, AppError> {
    let Value::Array(entries) = value else {
        return Err(AppError::invalid(
            key,
            format!("is not a list; write `[[{key}]]`"),
        ));
    };
    let mut providers = Vec::new();
    for (index, entry) in entries.into_iter().enumerate() {
        let place = format!("{key}[{index}]");
        let mut fields = Fields::of(entry, &place)?;
        let provider = match fields.text("type")?.as_deref() {
            Some("env") => {
                if fields.rest.contains_key("dotenv_path") {
                    return Err(AppError::unsupported(
                        place,
                        "`dotenv_path`",
                        "load the file into the environment before the start",
                    ));
                }
                VariablesProvider::Env {
                    prefix: fields.text("prefix")?,
                }
            }
            Some("static") => VariablesProvider::Static {
                values: values(&mut fields)?,
            },
            other => return Err(kind(other, &place, "`env` or `static`")),
        };
        fields.end("`type`, and `prefix` or `values`")?;
        providers.push(provider);
    }
    Ok(providers)
}

fn values(fields: &mut Fields) -> Result<BTreeMap<String, String>, AppError> {
    let place = format!("{}.values", fields.place);
    let value = fields.rest.remove("values").ok_or_else(|| {
        AppError::invalid(
            &place,
            "is not there; write `values = { name = \"value\" }`",
        )
    })?;
    let mut values = BTreeMap::new();
    for (name, value) in table(value, &place)? {
        variable_name(&name).map_err(|problem| problem.at(&place))?;
        let Value::String(value) = value else {
            return Err(AppError::invalid(
                format!("{place}.{name}"),
                "is not a text; put the value in quotation marks",
            ));
        };
        values.insert(name, value);
    }
    Ok(values)
}

/// The fields of one table, taken one by one; what is left is unknown.
struct Fields {
    place: String,
    rest: Table,
}

impl Fields {
    fn of(value: Value, place: &str) -> Result<Fields, AppError> {
        Ok(Fields {
            place: place.to_owned(),
            rest: table(value, place)?,
        })
    }

    fn text(&mut self, key: &str) -> Result<Option<String>, AppError> {
        match self.rest.remove(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(AppError::invalid(
                format!("{}.{key}", self.place),
                "is not a text; put the value in quotation marks",
            )),
        }
    }

    fn end(self, known: &str) -> Result<(), AppError> {
        match self.rest.keys().next() {
            None => Ok(()),
            Some(key) => Err(unknown(&self.place, key, known)),
        }
    }
}

fn table(value: Value, place: &str) -> Result<Table, AppError> {
    match value {
        Value::Table(table) => Ok(table),
        _ => Err(AppError::invalid(place, "is not a table")),
    }
}

fn unknown(place: &str, key: &str, known: &str) -> AppError {
    AppError::invalid(
        place,
        format!("unknown key {}; known here: {known}", quoted(key)),
    )
}

fn kind(found: Option<&str>, place: &str, known: &str) -> AppError {
    match found {
        None => AppError::invalid(
            format!("{place}.type"),
            format!("is not there; write {known}"),
        ),
        Some(found) => AppError::unsupported(
            format!("{place}.type"),
            quoted(found),
            format!("write {known}"),
        ),
    }
}

impl fmt::Debug for KeyValueStore {
    /// Without the address: a password may be in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyValueStore::Spin { path } => f.debug_struct("Spin").field("path", path).finish(),
            KeyValueStore::Redis { .. } => f.write_str("Redis"),
        }
    }
}

impl fmt::Debug for VariablesProvider {
    /// Names without values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            VariablesProvider::Env { prefix } => {
                f.debug_struct("Env").field("prefix", prefix).finish()
            }
            VariablesProvider::Static { values } => f.debug_set().entries(values.keys()).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn stores_and_providers_are_read() {
        let config = RuntimeConfig::parse(
            r#"
            [key_value_store.default]
            type = "redis"
            url = "redis://user:hush@host:6379/1"
            [key_value_store.notes]
            type = "spin"
            path = "notes.db"
            [[variables_provider]]
            type = "env"
            prefix = "MINE"
            [[variables_provider]]
            type = "static"
            values = { token = "hush" }
            "#,
        )
        .unwrap();
        assert_eq!(
            config.key_value_stores.get("notes"),
            Some(&KeyValueStore::Spin {
                path: Some("notes.db".into())
            })
        );
        assert_eq!(config.variables_providers.len(), 2);
        let shown = format!("{config:?}");
        assert!(shown.contains("Redis") && shown.contains("token") && !shown.contains("hush"));
    }

    #[test]
    fn what_is_unknown_or_not_supported_is_refused_by_name_and_without_values() {
        for (text, word) in [
            ("x = 1", "`x`"),
            ("state_dir = 'hush'", "`state_dir`"),
            (
                "[sqlite_database.default]\ntype = 'spin'",
                "`sqlite_database`",
            ),
            ("[key_value_store.a]\ntype = 'aws_dynamo'", "`aws_dynamo`"),
            (
                "[key_value_store.a]\nurl = 'hush'",
                "key_value_store.a.type",
            ),
            (
                "[key_value_store.a]\ntype = 'redis'\nurl = 'hush'",
                "key_value_store.a.url",
            ),
            ("[key_value_store.a]\ntype = 'spin'\nurl = 'hush'", "`url`"),
            ("[key_value_store.'a b']\ntype = 'spin'", "`a b`"),
            (
                "[[variables_provider]]\ntype = 'vault'\ntoken = 'hush'",
                "`vault`",
            ),
            (
                "[[variables_provider]]\ntype = 'env'\ndotenv_path = 'hush'",
                "`dotenv_path`",
            ),
            (
                "[[variables_provider]]\ntype = 'static'\nvalues = { a = 1 }",
                "values.a",
            ),
            (
                "[[variables_provider]]\ntype = 'static'\nvalues = 'hush'",
                "values",
            ),
            ("[variables_provider]\ntype = 'hush'", "variables_provider"),
            ("token = 'hush", DOCUMENT),
        ] {
            let error = RuntimeConfig::parse(text).unwrap_err().to_string();
            assert!(
                error.contains(word) && !error.contains("hush"),
                "{text}: {error}"
            );
        }
        let both = "variables_provider = []\nconfig_provider = []";
        assert!(RuntimeConfig::parse(both).is_err());
    }

    #[test]
    fn a_file_that_is_not_there_configures_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let config = RuntimeConfig::read(&folder.path().join("runtime-config.toml")).unwrap();
        assert_eq!(config, RuntimeConfig::default());
    }

    #[test]
    fn what_is_wrong_with_the_file_is_told_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.toml");
        for (text, place) in [
            ("x = ", "mine.toml: line 1: "),
            ("x = 1", "mine.toml: unknown key `x`"),
            (
                "[key_value_store.a]\ntype = 'x'",
                "mine.toml: key_value_store.a.type: ",
            ),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = RuntimeConfig::read(&path).unwrap_err().to_string();
            assert!(error.contains(place), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
            let _ = RuntimeConfig::parse(&text);
        }
    }
}
