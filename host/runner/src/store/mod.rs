//! Key-value stores: Spin's `key-value` for guests, over a file of this machine
//! (`local`) or a Redis server (`remote`).
//!
//! Each application and label has a space of its own, in one file or on one
//! server too. Real Spin puts all labels and applications of one Redis URL into
//! one keyspace; what it wrote there is therefore not seen here.

mod local;
mod remote;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kgents_app::{KeyValueStore, RuntimeConfig};
use wasmtime::component::Resource;

use crate::error::RunError;
use crate::link::spin::fermyon::spin::key_value::{Error, Host, HostStore};
use crate::state::Guest;

use local::Local;
use remote::Remote;

/// The store that every application has, configured or not.
const DEFAULT_LABEL: &str = "default";

/// The default store's file, in the data folder.
const FILE: &str = "key-value.redb";

/// Longest key, in bytes.
const KEY_BYTES_MAX: usize = 1024;

/// Longest value, in bytes; it is held in memory a few times over.
const VALUE_BYTES_MAX: usize = 8 << 20;

/// What `get-keys` gives at most, in bytes of keys.
const KEYS_BYTES_MAX: usize = 8 << 20;

/// Stores that an instance may have open at once; Spin's number.
const OPEN_MAX: usize = 256;

/// One application's space for one label.
#[derive(Clone)]
pub(crate) enum Store {
    Local(Local),
    Remote(Box<Remote>),
}

/// A store that a guest opened.
pub struct Open(Store);

/// The stores of one application, made as its components ask for them.
pub(crate) struct Stores<'a> {
    app: &'a str,
    config: &'a RuntimeConfig,
    data: Option<&'a Path>,
    files: BTreeMap<Option<PathBuf>, Arc<local::File>>,
}

impl<'a> Stores<'a> {
    /// `data`: the folder of the default store and of relative paths; `None` keeps
    /// it in memory.
    pub(crate) fn new(app: &'a str, config: &'a RuntimeConfig, data: Option<&'a Path>) -> Self {
        Self {
            app,
            config,
            data,
            files: BTreeMap::new(),
        }
    }

    /// The store that `component` calls `label`.
    ///
    /// # Errors
    /// When nobody configured it, or its file cannot be opened.
    pub(crate) fn get(&mut self, component: &str, label: &str) -> Result<Store, RunError> {
        let path = match self.config.key_value_stores.get(label) {
            Some(KeyValueStore::Redis { url }) => {
                return Remote::new(self.app, label, url)
                    .map(|store| Store::Remote(Box::new(store)));
            }
            Some(KeyValueStore::Spin { path }) => path.as_deref(),
            None if label == DEFAULT_LABEL => None,
            None => {
                return Err(RunError::StoreLabel {
                    component: component.to_owned(),
                    label: label.to_owned(),
                });
            }
        };
        let file = match (path, self.data) {
            (Some(path), Some(data)) => Some(data.join(path)),
            (Some(path), None) if path.is_absolute() => Some(path.to_owned()),
            (Some(path), None) => {
                return Err(RunError::StoreConfig {
                    label: label.to_owned(),
                    detail: format!(
                        "`path` is `{}`, and there is no data folder that it could be in: \
                         write an absolute path",
                        path.display()
                    ),
                });
            }
            (None, data) => data.map(|data| data.join(FILE)),
        };
        let opened = match self.files.get(&file) {
            Some(opened) => Arc::clone(opened),
            None => {
                let opened = Arc::new(local::File::open(file.as_deref())?);
                self.files.insert(file, Arc::clone(&opened));
                opened
            }
        };
        Ok(Store::Local(Local::new(opened, self.app, label)))
    }
}

impl Store {
    async fn get(&self, key: String) -> Result<Option<Vec<u8>>, Error> {
        match self {
            Self::Local(store) => store.get(key).await,
            Self::Remote(store) => store.get(key).await,
        }
    }

    async fn set(&self, key: String, value: Vec<u8>) -> Result<(), Error> {
        match self {
            Self::Local(store) => store.set(key, Some(value)).await,
            Self::Remote(store) => store.set(key, value).await,
        }
    }

    async fn delete(&self, key: String) -> Result<(), Error> {
        match self {
            Self::Local(store) => store.set(key, None).await,
            Self::Remote(store) => store.delete(key).await,
        }
    }

    async fn exists(&self, key: String) -> Result<bool, Error> {
        match self {
            Self::Local(store) => store.exists(key).await,
            Self::Remote(store) => store.exists(key).await,
        }
    }

    async fn keys(&self) -> Result<Vec<String>, Error> {
        match self {
            Self::Local(store) => store.keys().await,
            Self::Remote(store) => store.keys().await,
        }
    }
}

/// Keys as they are gathered, within the bound.
#[derive(Debug, Default)]
struct Keys {
    keys: Vec<String>,
    bytes: usize,
}

impl Keys {
    fn push(&mut self, key: String) -> Result<(), Error> {
        // A key costs its own length and what a guest needs to hold it.
        self.bytes = self.bytes.saturating_add(key.len()).saturating_add(8);
        if self.bytes > KEYS_BYTES_MAX {
            return Err(Error::Other(format!(
                "the store has more keys than can be listed ({KEYS_BYTES_MAX} bytes of them)"
            )));
        }
        self.keys.push(key);
        Ok(())
    }
}

/// Whether a key may be used; the error is for the guest.
fn check_key(key: &str) -> Result<(), Error> {
    if key.is_empty() {
        return Err(Error::Other("the key is empty".to_owned()));
    }
    if key.len() > KEY_BYTES_MAX {
        return Err(Error::Other(format!(
            "the key has {} bytes, {KEY_BYTES_MAX} are allowed",
            key.len()
        )));
    }
    Ok(())
}

fn check_value(value: &[u8]) -> Result<(), Error> {
    if value.len() > VALUE_BYTES_MAX {
        return Err(Error::Other(format!(
            "the value has {} bytes, {VALUE_BYTES_MAX} are allowed",
            value.len()
        )));
    }
    Ok(())
}

impl Guest {
    fn opened(&self, store: &Resource<Open>) -> wasmtime::Result<Store> {
        let Open(store) = self.table.get(store)?;
        Ok(store.clone())
    }
}

impl Host for Guest {}

impl HostStore for Guest {
    async fn open(&mut self, label: String) -> wasmtime::Result<Result<Resource<Open>, Error>> {
        let Some(store) = self.permits.stores.get(&label) else {
            return Ok(Err(Error::AccessDenied));
        };
        if self.stores_open >= OPEN_MAX {
            return Ok(Err(Error::StoreTableFull));
        }
        let store = Open(store.clone());
        let handle = self.table.push(store)?;
        self.stores_open += 1;
        Ok(Ok(handle))
    }

    async fn get(
        &mut self,
        store: Resource<Open>,
        key: String,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, Error>> {
        let store = self.opened(&store)?;
        Ok(match check_key(&key) {
            Ok(()) => store.get(key).await,
            Err(error) => Err(error),
        })
    }

    async fn set(
        &mut self,
        store: Resource<Open>,
        key: String,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), Error>> {
        let store = self.opened(&store)?;
        Ok(match check_key(&key).and_then(|()| check_value(&value)) {
            Ok(()) => store.set(key, value).await,
            Err(error) => Err(error),
        })
    }

    async fn delete(
        &mut self,
        store: Resource<Open>,
        key: String,
    ) -> wasmtime::Result<Result<(), Error>> {
        let store = self.opened(&store)?;
        Ok(match check_key(&key) {
            Ok(()) => store.delete(key).await,
            Err(error) => Err(error),
        })
    }

    async fn exists(
        &mut self,
        store: Resource<Open>,
        key: String,
    ) -> wasmtime::Result<Result<bool, Error>> {
        let store = self.opened(&store)?;
        Ok(match check_key(&key) {
            Ok(()) => store.exists(key).await,
            Err(error) => Err(error),
        })
    }

    async fn get_keys(
        &mut self,
        store: Resource<Open>,
    ) -> wasmtime::Result<Result<Vec<String>, Error>> {
        let store = self.opened(&store)?;
        Ok(store.keys().await)
    }

    async fn drop(&mut self, store: Resource<Open>) -> wasmtime::Result<()> {
        self.table.delete(store)?;
        self.stores_open = self.stores_open.saturating_sub(1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_default_store_needs_no_configuration() {
        let config = RuntimeConfig::default();
        let mut stores = Stores::new("app", &config, None);
        assert!(matches!(stores.get("web", "default"), Ok(Store::Local(_))));
        let error = stores.get("web", "cache").map(|_| ()).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("`web`") && text.contains("[key_value_store.cache]"),
            "{text}"
        );
    }

    #[test]
    fn keys_and_values_are_bounded_and_the_bound_is_told() {
        assert!(check_key(&"k".repeat(KEY_BYTES_MAX)).is_ok());
        for key in [String::new(), "k".repeat(KEY_BYTES_MAX + 1)] {
            assert!(matches!(check_key(&key), Err(Error::Other(_))));
        }
        assert!(check_value(&vec![0; VALUE_BYTES_MAX]).is_ok());
        assert!(check_value(&vec![0; VALUE_BYTES_MAX + 1]).is_err());
        let mut keys = Keys::default();
        let pushed = (0..100_000).try_for_each(|_| keys.push("k".repeat(1000)));
        assert!(pushed.is_err());
    }
}
