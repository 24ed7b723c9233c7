//! A store in a file of this machine (redb), or in memory.
//!
//! A `set` that returned is on disk: it survives kill -9 and power loss. Writes
//! that come at the same time share one commit, so many callers wait for one
//! flush of the disk instead of one after the other.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use redb::backends::InMemoryBackend;
use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition, TableError};
use tokio::sync::oneshot;

use super::Keys;
use crate::error::RunError;
use crate::link::spin::fermyon::spin::key_value::Error;

/// Memory for pages of the file, in bytes.
const CACHE_BYTES: usize = 32 << 20;

/// Writes that share a commit at most.
const GROUP_MAX: usize = 1024;

/// Bytes of values that share a commit at most.
const GROUP_BYTES_MAX: usize = 64 << 20;

/// A database and the thread that writes to it.
pub(super) struct File {
    database: Arc<Database>,
    writes: Sender<Write>,
}

/// One change and who waits for it.
struct Write {
    table: Arc<str>,
    key: String,
    /// `None` removes the key.
    value: Option<Vec<u8>>,
    done: oneshot::Sender<Result<(), String>>,
}

impl File {
    /// Open the file, made where it is absent; in memory where there is none.
    ///
    /// # Errors
    /// [`RunError::Store`], in particular when another process has it open.
    pub(super) fn open(path: Option<&Path>) -> Result<Self, RunError> {
        let failed = |detail: String| RunError::Store {
            path: path.unwrap_or(Path::new("memory")).to_owned(),
            detail,
        };
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE_BYTES);
        let database = match path {
            Some(path) => {
                if let Some(folder) = path.parent() {
                    std::fs::create_dir_all(folder).map_err(|error| failed(error.to_string()))?;
                }
                builder.create(path)
            }
            None => builder.create_with_backend(InMemoryBackend::new()),
        };
        let database = database.map_err(|error| {
            failed(match error {
                DatabaseError::DatabaseAlreadyOpen => {
                    "another process has it open, and a store is for one at a time".to_owned()
                }
                error => error.to_string(),
            })
        })?;
        let database = Arc::new(database);
        let (writes, queue) = channel();
        let written = Arc::clone(&database);
        thread::Builder::new()
            .name("kgents-key-value".to_owned())
            .spawn(move || write_all(&written, &queue))
            .map_err(|error| failed(error.to_string()))?;
        Ok(Self { database, writes })
    }
}

/// Write until nobody is left who could ask for it.
fn write_all(database: &Database, queue: &Receiver<Write>) {
    while let Ok(first) = queue.recv() {
        let mut bytes = first.value.as_ref().map_or(0, Vec::len);
        let mut group = vec![first];
        while group.len() < GROUP_MAX && bytes < GROUP_BYTES_MAX {
            let Ok(next) = queue.try_recv() else { break };
            bytes += next.value.as_ref().map_or(0, Vec::len);
            group.push(next);
        }
        let result = commit(database, &group).map_err(|error| {
            tracing::error!(%error, "a key-value store cannot be written");
            error.to_string()
        });
        for write in group {
            // Whoever went away does not want to know.
            let _ = write.done.send(result.clone());
        }
    }
}

fn commit(database: &Database, group: &[Write]) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    for write in group {
        let mut table = transaction.open_table(definition(&write.table))?;
        match &write.value {
            Some(value) => drop(table.insert(write.key.as_str(), value.as_slice())?),
            None => drop(table.remove(write.key.as_str())?),
        }
    }
    // Immediate durability is redb's default: on disk when `commit` returns.
    transaction.commit()?;
    Ok(())
}

fn definition(table: &str) -> TableDefinition<'_, &'static str, &'static [u8]> {
    TableDefinition::new(table)
}

/// One application's space for one label, in a file.
#[derive(Clone)]
pub(crate) struct Local {
    file: Arc<File>,
    table: Arc<str>,
}

impl Local {
    pub(super) fn new(file: Arc<File>, app: &str, label: &str) -> Self {
        // The length keeps `a` + `b/c` from `a/b` + `c`.
        let table = format!("{}/{app}/{label}", app.len());
        Self {
            file,
            table: table.into(),
        }
    }

    pub(super) async fn get(&self, key: String) -> Result<Option<Vec<u8>>, Error> {
        self.read(move |table| {
            let value = table.get(key.as_str())?;
            Ok(Ok(value.map(|value| value.value().to_vec())))
        })
        .await
        .map(Option::flatten)
    }

    pub(super) async fn exists(&self, key: String) -> Result<bool, Error> {
        self.read(move |table| Ok(Ok(table.get(key.as_str())?.is_some())))
            .await
            .map(|exists| exists.unwrap_or(false))
    }

    pub(super) async fn keys(&self) -> Result<Vec<String>, Error> {
        self.read(|table| {
            let mut keys = Keys::default();
            for row in table.iter()? {
                let (key, _) = row?;
                if let Err(full) = keys.push(key.value().to_owned()) {
                    return Ok(Err(full));
                }
            }
            Ok(Ok(keys.keys))
        })
        .await
        .map(Option::unwrap_or_default)
    }

    /// Put a value under a key, or remove the key.
    pub(super) async fn set(&self, key: String, value: Option<Vec<u8>>) -> Result<(), Error> {
        let (done, result) = oneshot::channel();
        let write = Write {
            table: Arc::clone(&self.table),
            key,
            value,
            done,
        };
        let stopped = || Error::Other("the store is closed".to_owned());
        self.file.writes.send(write).map_err(|_| stopped())?;
        result.await.map_err(|_| stopped())?.map_err(Error::Other)
    }

    /// Read from the table where blocking is allowed; `None` when nothing was ever
    /// written to it.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(
            &redb::ReadOnlyTable<&'static str, &'static [u8]>,
        ) -> Result<Result<T, Error>, redb::Error>
        + Send
        + 'static,
    ) -> Result<Option<T>, Error> {
        let Self { file, table } = self.clone();
        let reading = move || -> Result<Option<Result<T, Error>>, redb::Error> {
            let transaction = file.database.begin_read()?;
            match transaction.open_table(definition(&table)) {
                Ok(table) => read(&table).map(Some),
                Err(TableError::TableDoesNotExist(_)) => Ok(None),
                Err(error) => Err(error.into()),
            }
        };
        let failed = |error: &dyn std::fmt::Display| {
            tracing::error!(%error, "a key-value store cannot be read");
            Error::Other(error.to_string())
        };
        match tokio::task::spawn_blocking(reading).await {
            Ok(Ok(found)) => found.transpose(),
            Ok(Err(error)) => Err(failed(&error)),
            Err(error) => Err(failed(&error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(file: &Arc<File>, app: &str, label: &str) -> Local {
        Local::new(Arc::clone(file), app, label)
    }

    async fn put(store: &Local, key: &str, value: &[u8]) {
        store
            .set(key.to_owned(), Some(value.to_vec()))
            .await
            .unwrap();
    }

    async fn got(store: &Local, key: &str) -> Option<Vec<u8>> {
        store.get(key.to_owned()).await.unwrap()
    }

    #[tokio::test]
    async fn what_was_set_is_got_until_it_is_deleted() {
        let file = Arc::new(File::open(None).unwrap());
        let store = space(&file, "app", "default");
        assert_eq!(got(&store, "k").await, None);
        assert!(store.keys().await.unwrap().is_empty());
        put(&store, "k", b"one").await;
        put(&store, "k", b"two").await;
        assert_eq!(got(&store, "k").await.as_deref(), Some(&b"two"[..]));
        assert!(store.exists("k".to_owned()).await.unwrap());
        assert_eq!(store.keys().await.unwrap(), ["k"]);
        store.set("k".to_owned(), None).await.unwrap();
        store.set("k".to_owned(), None).await.unwrap();
        assert!(!store.exists("k".to_owned()).await.unwrap());
    }

    #[tokio::test]
    async fn applications_and_labels_do_not_see_each_other() {
        let file = Arc::new(File::open(None).unwrap());
        let spaces = [("a", "b/c"), ("a/b", "c"), ("a", "c"), ("b", "c")];
        for (index, (app, label)) in spaces.iter().enumerate() {
            let value = [u8::try_from(index).unwrap()];
            put(&space(&file, app, label), "k", &value).await;
        }
        for (index, (app, label)) in spaces.iter().enumerate() {
            let value = got(&space(&file, app, label), "k").await.unwrap();
            assert_eq!(value, [u8::try_from(index).unwrap()]);
        }
    }

    #[tokio::test]
    async fn what_was_set_is_there_after_the_process_ended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new").join("store.redb");
        let file = Arc::new(File::open(Some(&path)).unwrap());
        put(&space(&file, "app", "default"), "k", b"v").await;
        let second = File::open(Some(&path)).map(|_| ()).unwrap_err();
        assert!(matches!(second, RunError::Store { .. }));
        let told = second.to_string();
        assert!(told.contains("another process has it open"), "{told}");
        drop(file);
        // The writer lets go of the file a moment after the last store.
        let again = loop {
            if let Ok(file) = File::open(Some(&path)) {
                break Arc::new(file);
            }
            tokio::task::yield_now().await;
        };
        let value = got(&space(&again, "app", "default"), "k").await;
        assert_eq!(value.as_deref(), Some(&b"v"[..]));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn many_writers_at_once_are_all_heard() {
        let file = Arc::new(File::open(None).unwrap());
        let store = space(&file, "app", "default");
        let writers: Vec<_> = (0..200)
            .map(|index| {
                let store = store.clone();
                tokio::spawn(async move { put(&store, &format!("k{index}"), b"v").await })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
        assert_eq!(store.keys().await.unwrap().len(), 200);
    }
}
