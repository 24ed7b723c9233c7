//! A store on a Redis server. Keys there are `kgents:APP:LABEL:KEY`, so that two
//! applications on one server do not share a keyspace.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, Cmd, FromRedisValue, cmd};

use super::Keys;
use crate::error::RunError;
use crate::link::spin::fermyon::spin::key_value::Error;

/// How long to wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// How long to wait for an answer.
const ANSWER: Duration = Duration::from_secs(10);

/// Keys the server looks at in one step of a listing.
const SCAN_STEP: usize = 1000;

/// One application's space for one label, on a server.
#[derive(Clone)]
pub(crate) struct Remote {
    client: Client,
    /// Made at the first use, when there is a runtime; mends itself afterwards.
    connection: Arc<Mutex<Option<ConnectionManager>>>,
    prefix: Arc<str>,
}

impl Remote {
    /// # Errors
    /// [`RunError::StoreConfig`] when the address is none or asks for TLS. Nothing
    /// is connected yet. The address is not repeated: a password may be in it.
    pub(super) fn new(app: &str, label: &str, url: &str) -> Result<Self, RunError> {
        let wrong = |detail: &str| RunError::StoreConfig {
            label: label.to_owned(),
            detail: detail.to_owned(),
        };
        if url.starts_with("rediss://") {
            return Err(wrong(
                "TLS to Redis is not supported: use `redis://` within the cluster, or a local \
                 proxy that speaks TLS",
            ));
        }
        let client = Client::open(url)
            .map_err(|_| wrong("`url` is not `redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]`"))?;
        Ok(Self {
            client,
            connection: Arc::default(),
            prefix: prefix(app, label).into(),
        })
    }

    pub(super) async fn get(&self, key: String) -> Result<Option<Vec<u8>>, Error> {
        self.ask(cmd("GET").arg(self.name(&key))).await
    }

    pub(super) async fn set(&self, key: String, value: Vec<u8>) -> Result<(), Error> {
        self.ask(cmd("SET").arg(self.name(&key)).arg(value)).await
    }

    pub(super) async fn delete(&self, key: String) -> Result<(), Error> {
        self.ask(cmd("DEL").arg(self.name(&key))).await
    }

    pub(super) async fn exists(&self, key: String) -> Result<bool, Error> {
        self.ask(cmd("EXISTS").arg(self.name(&key))).await
    }

    pub(super) async fn keys(&self) -> Result<Vec<String>, Error> {
        let pattern = format!("{}*", literal(&self.prefix));
        let mut keys = Keys::default();
        let mut cursor: u64 = 0;
        loop {
            let mut scan = cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(&pattern);
            scan.arg("COUNT").arg(SCAN_STEP);
            let (next, found): (u64, Vec<String>) = self.ask(&scan).await?;
            for name in found {
                if let Some(key) = name.strip_prefix(&*self.prefix) {
                    keys.push(key.to_owned())?;
                }
            }
            if next == 0 {
                break;
            }
            cursor = next;
        }
        // The server may give a key twice while others come and go.
        keys.keys.sort_unstable();
        keys.keys.dedup();
        Ok(keys.keys)
    }

    fn name(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Error> {
        let mut connection = self.connection().map_err(failed)?;
        command.query_async(&mut connection).await.map_err(failed)
    }

    fn connection(&self) -> redis::RedisResult<ConnectionManager> {
        let mut held = self.connection.lock();
        if let Some(connection) = &*held {
            return Ok(connection.clone());
        }
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(ANSWER))
            .set_number_of_retries(1);
        let made = ConnectionManager::new_lazy_with_config(self.client.clone(), config)?;
        *held = Some(made.clone());
        Ok(made)
    }
}

/// What a guest is told; the log has the rest.
fn failed(error: redis::RedisError) -> Error {
    tracing::warn!(%error, "a key-value store on Redis failed");
    Error::Other(
        if error.is_timeout() {
            "the store did not answer in time"
        } else if error.is_io_error() {
            "the store cannot be reached"
        } else {
            "the store refused the request"
        }
        .to_owned(),
    )
}

fn prefix(app: &str, label: &str) -> String {
    // The lengths keep `a:b` + `c` from `a` + `b:c`; most names have no colon.
    if app.contains(':') || label.contains(':') {
        return format!("kgents:{}:{app}:{label}:", app.len());
    }
    format!("kgents:{app}:{label}:")
}

/// A text as a pattern that only it matches.
fn literal(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\' | '^') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn applications_and_labels_have_prefixes_of_their_own() {
        assert_eq!(prefix("app", "default"), "kgents:app:default:");
        assert_ne!(prefix("a:b", "c"), prefix("a", "b:c"));
    }

    #[test]
    fn a_prefix_lists_only_itself() {
        assert_eq!(literal("kgents:a*b[c]?\\"), "kgents:a\\*b\\[c\\]\\?\\\\");
    }

    #[test]
    fn an_address_that_is_none_is_refused_without_being_shown() {
        for url in [
            "http://secret@host",
            "redis//secret",
            "rediss://:secret@host",
        ] {
            let error = Remote::new("app", "cache", url).map(|_| ()).unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(text.contains("cache") && !text.contains("secret"), "{text}");
        }
    }
}
