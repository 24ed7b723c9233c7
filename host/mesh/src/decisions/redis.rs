//! The store on a Redis or Valkey server. Reading waits for milliseconds; a thread of
//! its own connects (which may have to look a name up) and writes; a server that does
//! not answer is left alone for some seconds.

use super::shared::{Shared, SharedCounts};
use parking_lot::Mutex;
use redis::{Client, Connection, FromRedisValue, IntoConnectionInfo, RedisError, cmd};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// How long connecting may take, and each answer to what follows it (the password).
const CONNECT: Duration = Duration::from_millis(50);
/// How long an answer may take; deciding anew takes a few milliseconds.
const ANSWER: Duration = Duration::from_millis(20);
/// How long a server is left alone that did not answer.
const REST: Duration = Duration::from_secs(5);
/// How long a decision is kept by the server.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// Decisions that wait to be written; some kilobytes each.
const WAITING_MAX: usize = 1_024;
/// Connections that are kept for the next reader.
const IDLE_MAX: usize = 8;

/// `redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]`, or `rediss://` over TLS. Shown
/// without user and password.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl(String);

impl RedisUrl {
    /// The address with its password. Not to be logged.
    pub fn secret(&self) -> &str {
        &self.0
    }
}

impl FromStr for RedisUrl {
    type Err = String;

    /// Says what is right, and nothing of the text: a password may be in it.
    fn from_str(text: &str) -> Result<Self, String> {
        let right = "write `redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]`";
        let has_scheme = text.starts_with("redis://") || text.starts_with("rediss://");
        if !has_scheme {
            return Err(format!("is not the address of a Redis server; {right}"));
        }
        let info = text.into_connection_info();
        // What is written for one place must not be taken for another.
        if info.is_err() || text.contains(['#', '?']) || text.chars().any(char::is_whitespace) {
            return Err(format!("is not the address of a Redis server; {right}"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl std::fmt::Display for RedisUrl {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("redis", ""));
        let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
        write!(formatter, "{scheme}://{place}")
    }
}

impl std::fmt::Debug for RedisUrl {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "RedisUrl({self})")
    }
}

/// A server cannot be used as it is written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address; it is not repeated.
    #[error("the address of the Redis server cannot be used")]
    Address,
    /// No thread for writing.
    #[error("a thread to write decisions with cannot be started")]
    Thread(#[source] std::io::Error),
}

impl Error {
    /// Stable name of the failure.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Address => "decisions-address",
            Self::Thread(_) => "decisions-thread",
        }
    }
}

/// A server.
pub struct Redis {
    server: Arc<Server>,
    jobs: SyncSender<Job>,
}

/// What the thread of its own does.
enum Job {
    /// Have a connection ready for the next reader.
    Connect,
    /// Keep a value under a name.
    Write(String, Vec<u8>),
}

struct Server {
    client: Client,
    idle: Mutex<Vec<Connection>>,
    /// Whether a connection is asked for already.
    is_connecting: AtomicBool,
    breaker: Mutex<Breaker>,
    failures: AtomicU64,
    dropped: AtomicU64,
}

impl Redis {
    /// Nothing is connected yet, so a server may come later.
    ///
    /// # Errors
    /// When the address is none or no thread can be started.
    pub fn new(url: &RedisUrl) -> Result<Self, Error> {
        Self::resting(url, REST)
    }

    /// With another time of rest, for tests.
    pub(super) fn resting(url: &RedisUrl, rest: Duration) -> Result<Self, Error> {
        let client = Client::open(url.secret()).map_err(|_| Error::Address)?;
        let server = Arc::new(Server {
            client,
            idle: Mutex::default(),
            is_connecting: AtomicBool::new(false),
            breaker: Mutex::new(Breaker::new(rest)),
            failures: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        });
        let (jobs, waiting) = sync_channel(WAITING_MAX);
        let worker = Arc::clone(&server);
        std::thread::Builder::new()
            .name("kgents-decided".to_owned())
            .spawn(move || worker.work(&waiting))
            .map_err(Error::Thread)?;
        let redis = Self { server, jobs };
        redis.want_connection();
        Ok(redis)
    }

    fn want_connection(&self) {
        let is_asked_for = self.server.is_connecting.swap(true, Ordering::AcqRel);
        if !is_asked_for && self.jobs.try_send(Job::Connect).is_err() {
            self.server.is_connecting.store(false, Ordering::Release);
        }
    }
}

impl Shared for Redis {
    fn get(&self, name: &str) -> Option<Vec<u8>> {
        if !self.server.may_be_asked() {
            return None;
        }
        let idle = self.server.idle.lock().pop();
        let Some(connection) = idle else {
            self.want_connection();
            return None;
        };
        self.server.ask(connection, cmd("GET").arg(name)).flatten()
    }

    fn put(&self, name: String, value: Vec<u8>) {
        if self.jobs.try_send(Job::Write(name, value)).is_err() {
            self.server.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn counts(&self) -> SharedCounts {
        SharedCounts {
            failures: self.server.failures.load(Ordering::Relaxed),
            dropped: self.server.dropped.load(Ordering::Relaxed),
        }
    }
}

impl Server {
    /// Until nobody can send any more.
    fn work(&self, waiting: &Receiver<Job>) {
        while let Ok(job) = waiting.recv() {
            match job {
                Job::Connect => {
                    if let Some(connection) = self.connection() {
                        self.keep(connection);
                    }
                    self.is_connecting.store(false, Ordering::Release);
                }
                Job::Write(name, value) => {
                    let mut set = cmd("SET");
                    set.arg(name).arg(value).arg("EX").arg(KEPT.as_secs());
                    // Not in one expression: connecting takes this lock as well.
                    let idle = self.idle.lock().pop();
                    let connection = idle.or_else(|| self.connection());
                    let written = connection.and_then(|it| self.ask::<()>(it, &set));
                    if written.is_none() {
                        self.dropped.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        }
    }

    fn may_be_asked(&self) -> bool {
        self.breaker.lock().is_closed(Instant::now())
    }

    /// A new connection; `None` also while the server is left alone.
    fn connection(&self) -> Option<Connection> {
        if !self.may_be_asked() {
            return None;
        }
        self.connect().map_err(|error| self.failed(&error)).ok()
    }

    /// One question; `None` for no answer. A connection that failed is not kept: an
    /// answer may still be on its way.
    fn ask<T: FromRedisValue>(
        &self,
        mut connection: Connection,
        command: &redis::Cmd,
    ) -> Option<T> {
        if !self.may_be_asked() {
            return None;
        }
        match command.query(&mut connection) {
            Ok(answer) => {
                self.breaker.lock().answered(Instant::now());
                self.keep(connection);
                Some(answer)
            }
            Err(error) => {
                self.failed(&error);
                None
            }
        }
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock();
        if idle.len() < IDLE_MAX {
            idle.push(connection);
        }
    }

    fn connect(&self) -> Result<Connection, RedisError> {
        let connection = self.client.get_connection_with_timeout(CONNECT)?;
        connection.set_read_timeout(Some(ANSWER))?;
        connection.set_write_timeout(Some(ANSWER))?;
        Ok(connection)
    }

    fn failed(&self, error: &RedisError) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        // The others lead to the same server.
        self.idle.lock().clear();
        let is_news = self.breaker.lock().failed(Instant::now());
        if is_news {
            // Not the error's own text: it may repeat what the server was sent.
            let kind = match error {
                error if error.is_timeout() => "it did not answer in time",
                error if error.is_io_error() => "it cannot be reached",
                _ => "it refused the request",
            };
            tracing::warn!(kind, "decisions are not shared now: the Redis server fails");
        }
    }
}

/// Leaves a server alone for a while after a failure.
struct Breaker {
    rest: Duration,
    until: Option<Instant>,
    /// Whether it has not answered since it failed.
    is_known: bool,
}

impl Breaker {
    const fn new(rest: Duration) -> Self {
        Self {
            rest,
            until: None,
            is_known: false,
        }
    }

    fn is_closed(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now >= until)
    }

    /// True when it is news.
    fn failed(&mut self, now: Instant) -> bool {
        self.until = now.checked_add(self.rest);
        !std::mem::replace(&mut self.is_known, true)
    }

    /// What was under way when another call failed does not count.
    fn answered(&mut self, now: Instant) {
        if self.is_closed(now) && std::mem::take(&mut self.is_known) {
            self.until = None;
            tracing::info!("decisions are shared again: the Redis server answers");
        }
    }
}

#[cfg(test)]
#[path = "redis_tests.rs"]
mod tests;
