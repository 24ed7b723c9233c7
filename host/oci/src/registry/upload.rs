//! A request's body that says how far it has been sent, so that a slow upload
//! can be told from one that hangs.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// How much is handed over at once, bytes.
const CHUNK_BYTES: usize = 64 * 1024;

/// Bytes to send.
pub(super) struct Upload {
    rest: Bytes,
    sent: Arc<AtomicU64>,
}

impl Upload {
    /// Sends `bytes` and counts in `sent` what has left.
    pub(super) fn new(bytes: Bytes, sent: Arc<AtomicU64>) -> Self {
        Self { rest: bytes, sent }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let size = self.rest.len().min(CHUNK_BYTES);
        let chunk = self.rest.split_to(size);
        self.sent.fetch_add(size as u64, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
