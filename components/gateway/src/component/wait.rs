//! Waiting for bytes, for room and for time: streams of WASI as futures.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use spin_executor::{CancelOnDropToken, push_waker_and_get_token};
use spin_sdk::http::OutgoingBody;
use spin_sdk::wit::wasi::http0_2_0::types::IncomingBody;
use wasi::clocks::monotonic_clock;
use wasi::io::poll::Pollable;
use wasi::io::streams::{InputStream, OutputStream, StreamError};

/// Bytes asked for at once.
const READ_BYTES: u64 = 64 * 1024;

/// Has the executor wake this task when `pollable` is ready. What is waited for
/// may be closed only when the token is gone.
pub fn wake(pollable: Pollable, context: &Context<'_>) -> CancelOnDropToken {
    push_waker_and_get_token(pollable, context.waker().clone()).into()
}

/// The outcome of `work`, if there is one within `limit`.
pub async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut deadline = None;
    let mut _token = None;
    poll_fn(|context| {
        if let Poll::Ready(outcome) = work.as_mut().poll(context) {
            return Poll::Ready(Some(outcome));
        }
        let now = monotonic_clock::now();
        let nanoseconds = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        let deadline = *deadline.get_or_insert(now.saturating_add(nanoseconds));
        if now >= deadline {
            return Poll::Ready(None);
        }
        _token = Some(wake(monotonic_clock::subscribe_instant(deadline), context));
        Poll::Pending
    })
    .await
}

/// A body that comes. Fields go in this order: a stream before its body.
pub struct Reader {
    stream: InputStream,
    _body: IncomingBody,
}

/// The body broke off.
pub struct Broke;

impl Reader {
    /// The bytes of a body; `None` when it is being read already.
    pub fn new(body: IncomingBody) -> Option<Self> {
        let stream = body.stream().ok()?;
        Some(Self {
            stream,
            _body: body,
        })
    }

    /// The next bytes, never none; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, Broke> {
        let mut _token = None;
        poll_fn(|context| match self.stream.read(READ_BYTES) {
            Ok(bytes) if bytes.is_empty() => {
                _token = Some(wake(self.stream.subscribe(), context));
                Poll::Pending
            }
            Ok(bytes) => Poll::Ready(Ok(Some(bytes))),
            Err(StreamError::Closed) => Poll::Ready(Ok(None)),
            Err(StreamError::LastOperationFailed(_)) => Poll::Ready(Err(Broke)),
        })
        .await
    }
}

/// A body that goes. Fields go in this order: a stream before its body. One
/// that is dropped unfinished is told to be cut off.
pub struct Writer {
    stream: OutputStream,
    body: OutgoingBody,
}

/// Nobody takes the bytes any more.
pub struct Closed;

impl Writer {
    /// A body to be written; `None` when it is being written already.
    pub fn new(body: OutgoingBody) -> Option<Self> {
        let stream = body.write().ok()?;
        Some(Self { stream, body })
    }

    /// Writes what there is room for at once, and tells how much that was.
    pub fn begin(&mut self, bytes: &[u8]) -> Result<usize, Closed> {
        let room = self.stream.check_write().map_err(|_| Closed)?;
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let first = bytes.get(..room).unwrap_or(bytes);
        if !first.is_empty() {
            self.stream.write(first).map_err(|_| Closed)?;
        }
        Ok(first.len())
    }

    /// Writes it all, waiting for room.
    pub async fn write(&mut self, mut bytes: &[u8]) -> Result<(), Closed> {
        let mut _token = None;
        poll_fn(|context| {
            while !bytes.is_empty() {
                let Ok(written) = self.begin(bytes) else {
                    return Poll::Ready(Err(Closed));
                };
                bytes = bytes.get(written..).unwrap_or_default();
                if written == 0 {
                    _token = Some(wake(self.stream.subscribe(), context));
                    return Poll::Pending;
                }
            }
            Poll::Ready(self.stream.flush().map_err(|_| Closed))
        })
        .await
    }

    /// Says that this was all.
    pub fn finish(self) {
        let Self { stream, body } = self;
        drop(stream);
        // An error tells that the declared length was another, or that the other
        // side is gone: then there is nobody to tell.
        let _ = OutgoingBody::finish(body, None);
    }
}
