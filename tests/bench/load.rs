//! The load: connections that are kept, each sending its next request when the
//! answer to the last is there (a closed loop). It speaks just enough HTTP/1.1
//! to be cheap, since it shares the processor with what it measures, and checks
//! every answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::timing::nanoseconds;

/// What a body in chunks ends with.
const LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";
/// Room for one answer.
const ANSWER_BYTES: usize = 16 * 1024;

/// One request, ready to be sent again and again.
#[derive(Clone)]
pub struct Target {
    /// Whom to connect to, `127.0.0.1:PORT`.
    pub authority: String,
    /// The whole request, head and body.
    request: Arc<[u8]>,
    /// What the body of every answer must contain.
    answer: &'static str,
}

/// A JSON-RPC message in words, and what is in every right answer to it.
pub const MESSAGE: &str = r#"{"jsonrpc":"2.0","id":"5d3a","method":"SendMessage","params":{"message":{"messageId":"0b6f6b1e-3c1e-4b0e-8f43-9d8a3f8d2a11","role":"ROLE_USER","parts":[{"text":"how many tokens does the translation team have left?"}]}}}"#;
const ANSWERED: &str = r#""result":"#;

impl Target {
    /// [`MESSAGE`], posted to a path, with a bearer token where one is asked for.
    pub fn message(authority: &str, path: &str, token: Option<&str>) -> Self {
        let authorization = token.map_or_else(String::new, |token| {
            format!("Authorization: Bearer {token}\r\n")
        });
        let length = MESSAGE.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {authority}\r\n{authorization}\
             Content-Type: application/json\r\nA2A-Version: 1.0\r\n\
             Content-Length: {length}\r\n\r\n{MESSAGE}"
        );
        Self {
            authority: authority.to_owned(),
            request: request.into_bytes().into(),
            answer: ANSWERED,
        }
    }

    /// A plain GET, and what is in every right answer to it.
    pub fn get(authority: &str, path: &str, answer: &'static str) -> Self {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
        Self {
            authority: authority.to_owned(),
            request: request.into_bytes().into(),
            answer,
        }
    }
}

/// When a round of load ends.
#[derive(Clone, Copy)]
pub enum Until {
    /// After so long.
    Time(Duration),
    /// After so many requests.
    Requests(u64),
}

/// What a round came to.
#[derive(Default)]
pub struct Round {
    /// How long it took.
    pub took: Duration,
    /// How long each answer took, in nanoseconds.
    pub nanoseconds: Vec<u32>,
}

/// Open connections to one target.
pub struct Load {
    target: Target,
    connections: Vec<Connection>,
}

impl Load {
    /// Opens the connections.
    ///
    /// # Errors
    /// When the target cannot be connected to.
    pub async fn open(target: &Target, connections: usize) -> Result<Self> {
        let mut open = Vec::with_capacity(connections);
        for _ in 0..connections {
            open.push(Connection::open(&target.authority).await?);
        }
        Ok(Self {
            target: target.clone(),
            connections: open,
        })
    }

    /// Sends requests on all connections.
    ///
    /// # Errors
    /// The first wrong answer or broken connection.
    pub async fn run(&mut self, until: Until) -> Result<Round> {
        let began = Instant::now();
        let left = Arc::new(AtomicU64::new(match until {
            Until::Time(_) => u64::MAX,
            Until::Requests(requests) => requests,
        }));
        let end = match until {
            Until::Time(time) => began.checked_add(time),
            Until::Requests(_) => None,
        };
        let mut running = JoinSet::new();
        for connection in self.connections.drain(..) {
            let (target, left) = (self.target.clone(), Arc::clone(&left));
            running.spawn(connection.work(target, left, end));
        }
        let mut round = Round::default();
        while let Some(ended) = running.join_next().await {
            let (connection, spent) = ended??;
            self.connections.push(connection);
            round.nanoseconds.extend(spent);
        }
        round.took = began.elapsed();
        Ok(round)
    }
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(authority: &str) -> Result<Self> {
        let stream = TcpStream::connect(authority)
            .await
            .with_context(|| format!("cannot connect to {authority}"))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(ANSWER_BYTES),
        })
    }

    async fn work(
        mut self,
        target: Target,
        left: Arc<AtomicU64>,
        end: Option<Instant>,
    ) -> Result<(Self, Vec<u32>)> {
        let mut spent = Vec::new();
        loop {
            let began = Instant::now();
            if end.is_some_and(|end| began >= end) || !take_one(&left) {
                return Ok((self, spent));
            }
            self.stream.write_all(&target.request).await?;
            let body = self.answer().await?;
            let contained = body
                .windows(target.answer.len())
                .any(|part| part == target.answer.as_bytes());
            ensure!(
                contained,
                "a wrong answer: {}",
                String::from_utf8_lossy(body)
            );
            spent.push(nanoseconds(began.elapsed()));
        }
    }

    /// Reads one whole answer: its body.
    async fn answer(&mut self) -> Result<&[u8]> {
        self.buffer.clear();
        let (start, end) = loop {
            let read = self.stream.read_buf(&mut self.buffer).await?;
            ensure!(read > 0, "the connection was closed before an answer");
            let Some((start, length)) = head(&self.buffer)? else {
                continue;
            };
            let end = match length {
                Some(length) => start.saturating_add(length),
                // Chunks stay as they came: what is looked for is short.
                None if self.buffer.ends_with(LAST_CHUNK) => self.buffer.len(),
                None => continue,
            };
            if self.buffer.len() >= end {
                break (start, end);
            }
        };
        self.buffer
            .get(start..end)
            .context("an answer that ends early")
    }
}

/// One less to do, if there is one.
fn take_one(left: &AtomicU64) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
        left.checked_sub(1)
    })
    .is_ok()
}

/// Where the body begins, and how long it is if that is said instead of sending
/// it in chunks, once the whole head is there.
fn head(bytes: &[u8]) -> Result<Option<(usize, Option<usize>)>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned();
    if !head.starts_with("HTTP/1.1 200 ") {
        let rest = String::from_utf8_lossy(bytes.get(end..).unwrap_or_default()).into_owned();
        bail!("a wrong answer: {head}{rest}");
    }
    let value = |wanted: &str| {
        head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case(wanted).then(|| value.trim())
        })
    };
    let length = match (value("content-length"), value("transfer-encoding")) {
        (Some(length), _) => Some(length.parse()?),
        (None, Some("chunked")) => None,
        (None, _) => bail!("an answer without a length: {head}"),
    };
    Ok(Some((end.saturating_add(4), length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_when_its_length_is_there() {
        assert_eq!(head(b"HTTP/1.1 200 OK\r\nContent-").unwrap(), None);
        let whole = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        assert_eq!(head(whole).unwrap(), Some((38, Some(2))));
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
        assert_eq!(head(chunked).unwrap(), Some((47, None)));
    }

    #[test]
    fn an_answer_that_is_no_success_is_shown() {
        let error = head(b"HTTP/1.1 401 Unauthorized\r\n\r\nno").unwrap_err();
        assert!(error.to_string().contains("401"), "{error}");
        assert!(head(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
