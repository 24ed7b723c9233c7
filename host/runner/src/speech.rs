//! What guests write to stdout and stderr goes to the log, line by line, with the
//! component's name, stderr as a warning; so much per request and per second, and
//! no more.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// Longest line, in bytes; a longer one is told in pieces.
const LINE_BYTES_MAX: usize = 4 * 1024;

/// What one request may write to each of stdout and stderr, in bytes: enough for
/// a backtrace or a request dumped for debugging.
const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// What one component may write in a second, in bytes, of all its requests
/// together.
const SECOND_BYTES_MAX: usize = 256 * 1024;

/// What a guest may write at once, in bytes.
const WRITE_BYTES_MAX: usize = 64 * 1024;

/// What a component may still write in this second.
#[derive(Debug)]
pub(crate) struct Allowance {
    state: Mutex<Second>,
}

#[derive(Debug)]
struct Second {
    began: Instant,
    bytes: usize,
    told: bool,
}

/// What is to become of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Write it.
    Write,
    /// Write that from here on something is missing.
    WriteThatDropped,
    /// Drop it.
    Drop,
}

impl Allowance {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            state: Mutex::new(Second {
                began: now,
                bytes: 0,
                told: false,
            }),
        }
    }

    /// Take `bytes` from what is left of the second that `now` is in.
    pub(crate) fn take(&self, bytes: usize, now: Instant) -> Verdict {
        let mut state = self.state.lock();
        if now.saturating_duration_since(state.began) >= Duration::from_secs(1) {
            *state = Second {
                began: now,
                bytes: 0,
                told: false,
            };
        }
        let sum = state.bytes.saturating_add(bytes);
        if sum <= SECOND_BYTES_MAX {
            state.bytes = sum;
            return Verdict::Write;
        }
        if state.told {
            return Verdict::Drop;
        }
        state.told = true;
        Verdict::WriteThatDropped
    }
}

/// Which of the two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Channel {
    fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// Who speaks, for the log.
#[derive(Clone, Debug)]
pub(crate) struct Speaker {
    /// Name of the application.
    pub(crate) app: Arc<str>,
    /// Id of the component.
    pub(crate) component: Arc<str>,
    /// What the component may still write.
    pub(crate) allowance: Arc<Allowance>,
}

impl Speaker {
    fn say(&self, channel: Channel, line: &str, now: Instant) {
        let (app, component) = (&*self.app, &*self.component);
        let stream = channel.name();
        match self.allowance.take(line.len(), now) {
            Verdict::Write if channel == Channel::Stderr => {
                tracing::warn!(target: "kgents::guest", app, component, stream, "{line}");
            }
            Verdict::Write => {
                tracing::info!(target: "kgents::guest", app, component, stream, "{line}");
            }
            Verdict::WriteThatDropped => tracing::warn!(
                target: "kgents::guest", app, component, stream,
                "too much output: what follows in this second is dropped",
            ),
            Verdict::Drop => {}
        }
    }
}

/// One of the two streams of one request.
#[derive(Clone)]
pub(crate) struct Speech {
    speaker: Speaker,
    channel: Channel,
    // A guest may hold several handles of the one stream.
    lines: Arc<Mutex<Lines>>,
}

/// Bytes on their way to being lines.
#[derive(Debug, Default)]
struct Lines {
    begun: Vec<u8>,
    bytes: usize,
}

impl Lines {
    /// Take what was written and hand on what has become whole lines.
    fn write(&mut self, bytes: &[u8], mut line: impl FnMut(&str)) {
        let left = REQUEST_BYTES_MAX.saturating_sub(self.bytes);
        let (taken, dropped) = bytes.split_at(left.min(bytes.len()));
        self.bytes = self.bytes.saturating_add(bytes.len());
        for piece in taken.split_inclusive(|byte| *byte == b'\n') {
            for piece in piece.chunks(LINE_BYTES_MAX) {
                if self.begun.len() + piece.len() > LINE_BYTES_MAX {
                    self.finish(&mut line);
                }
                self.begun.extend_from_slice(piece);
            }
            if self.begun.ends_with(b"\n") {
                self.finish(&mut line);
            }
        }
        if left > 0 && !dropped.is_empty() {
            self.finish(&mut line);
            line("too much output for one request: the rest of it is dropped");
        }
    }

    /// Hand on the line that was begun.
    fn finish(&mut self, mut line: impl FnMut(&str)) {
        let text = readable(&self.begun);
        self.begun.clear();
        if !text.is_empty() {
            line(&text);
        }
    }
}

/// A line without its end, and without what could be taken for something else in
/// a terminal or a log.
fn readable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_end_matches(['\r', '\n']);
    let strange = |c: char| c.is_control() && c != '\t';
    if !text.contains(strange) {
        return text.to_owned();
    }
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if strange(c) {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    safe
}

impl Speech {
    pub(crate) fn new(speaker: &Speaker, channel: Channel) -> Self {
        Self {
            speaker: speaker.clone(),
            channel,
            lines: Arc::default(),
        }
    }

    fn hear(&self, bytes: &[u8]) {
        let now = Instant::now();
        let say = |line: &str| self.speaker.say(self.channel, line, now);
        self.lines.lock().write(bytes, say);
    }
}

impl Drop for Speech {
    fn drop(&mut self) {
        // The last handle: what was begun is all there will be.
        if Arc::strong_count(&self.lines) == 1 {
            let now = Instant::now();
            let say = |line: &str| self.speaker.say(self.channel, line, now);
            self.lines.lock().finish(say);
        }
    }
}

impl IsTerminal for Speech {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Speech {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl AsyncWrite for Speech {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.hear(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl OutputStream for Speech {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.hear(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES_MAX)
    }
}

impl Pollable for Speech {
    // Written out as the trait's macro would: it is always ready.
    fn ready<'a, 'b>(&'a mut self) -> Pin<Box<dyn Future<Output = ()> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(std::future::ready(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn said(writes: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::default();
        let mut said = Vec::new();
        for write in writes {
            lines.write(write, |line| said.push(line.to_owned()));
        }
        lines.finish(|line| said.push(line.to_owned()));
        said
    }

    #[test]
    fn lines_are_told_whole_however_they_are_written() {
        assert_eq!(
            said(&[b"one\ntw", b"o\r\n", b"\n", b"three"]),
            ["one", "two", "three"]
        );
    }

    #[test]
    fn what_a_terminal_would_obey_is_told_in_letters() {
        assert_eq!(
            said(&[b"a\x1b[2Jb\tc\n"]),
            [String::from("a\\u{1b}[2Jb\tc")]
        );
    }

    #[test]
    fn a_request_is_told_once_that_it_wrote_too_much() {
        let line = [b'x'; 1000];
        let flood: Vec<&[u8]> = (0..1000).map(|_| &line[..]).collect();
        let said = said(&flood);
        let bytes: usize = said.iter().map(String::len).sum();
        assert!(bytes < REQUEST_BYTES_MAX + 100, "{bytes}");
        let told = said.iter().filter(|line| line.starts_with("too much"));
        assert_eq!(told.count(), 1);
    }

    #[test]
    fn a_component_that_floods_is_heard_again_in_the_next_second() {
        let now = Instant::now();
        let allowance = Allowance::new(now);
        assert_eq!(allowance.take(SECOND_BYTES_MAX, now), Verdict::Write);
        assert_eq!(allowance.take(1, now), Verdict::WriteThatDropped);
        assert_eq!(allowance.take(1, now), Verdict::Drop);
        let later = now + Duration::from_secs(1);
        assert_eq!(allowance.take(1, later), Verdict::Write);
    }

    proptest! {
        #[test]
        fn no_line_is_longer_than_the_bound_and_nothing_is_lost_below_it(
            writes in prop::collection::vec("[a-z\n]{0,6000}", 0..8),
        ) {
            let bytes: Vec<&[u8]> = writes.iter().map(String::as_bytes).collect();
            let said = said(&bytes);
            let written: String = writes.concat().replace('\n', "");
            prop_assert!(said.iter().all(|line| line.len() <= LINE_BYTES_MAX));
            prop_assert_eq!(said.concat(), written);
        }
    }
}
