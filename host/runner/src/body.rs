//! Bodies of answers: what a component wrote, whole or still coming.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

/// The body of an answer of a [`crate::Runner`]. Dropping it before its end tells
/// the component that wrote it to stop: its instance goes with it.
pub struct RunnerBody(Kind);

enum Kind {
    /// All of it is here.
    Whole(Whole),
    /// A component is still writing it.
    Written(Written),
}

/// An answer could not be given whole, after its head had left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The component gave up, trapped, ran out of time, or was stopped.
    #[error("the component broke its answer off")]
    BrokenOff,
}

/// Frames in hand.
struct Whole {
    frames: VecDeque<Result<Frame<Bytes>, BodyError>>,
    /// Bytes in them; `None` when trailers or an error follow, which a length
    /// given in advance would forbid.
    bytes: Option<u64>,
}

/// What the body and whoever runs its component tell each other.
pub(crate) struct Flow {
    started: Instant,
    /// When a piece was last taken, in milliseconds since `started`.
    moved_ms: AtomicU64,
    broken: AtomicBool,
    /// Told when the end was taken, or the body dropped.
    done: Notify,
}

impl Flow {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            started: Instant::now(),
            moved_ms: AtomicU64::new(0),
            broken: AtomicBool::new(false),
            done: Notify::new(),
        })
    }

    fn moved(&self) {
        let ms = self.started.elapsed().as_millis();
        let ms = u64::try_from(ms).unwrap_or(u64::MAX);
        self.moved_ms.store(ms, Ordering::Relaxed);
    }

    /// The body cannot be finished. Said before the instance goes, whose end the
    /// body would otherwise take for its own.
    pub(crate) fn break_off(&self) {
        self.broken.store(true, Ordering::Release);
    }

    /// Wait until no piece was taken for `patience`.
    pub(crate) async fn stalled(&self, patience: Duration) {
        loop {
            let moved = Duration::from_millis(self.moved_ms.load(Ordering::Relaxed));
            let Some(until) = (self.started + moved).checked_add(patience) else {
                return std::future::pending().await;
            };
            if until <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(until).await;
        }
    }

    /// Wait until the body was taken to its end or dropped.
    pub(crate) async fn done(&self) {
        self.done.notified().await;
    }
}

/// A body that a component still writes.
struct Written {
    body: HyperOutgoingBody,
    flow: Arc<Flow>,
    /// Whoever runs the component.
    task: Option<AbortHandle>,
    /// Bytes still to come, where the head told how many: a server that has them
    /// all does not ask whether there are more.
    left: Option<u64>,
}

impl Written {
    fn end(&mut self) {
        self.task = None;
        self.flow.done.notify_one();
    }

    /// Note whether this was the last frame.
    fn passed(&mut self, frame: &Frame<Bytes>) {
        if let (Some(left), Some(data)) = (&mut self.left, frame.data_ref()) {
            *left = left.saturating_sub(length(data));
        }
        if frame.is_trailers() || self.left == Some(0) {
            self.end();
        }
    }

    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(frame) => frame,
            Poll::Pending => return Poll::Pending,
        };
        self.flow.moved();
        Poll::Ready(match frame {
            Some(Ok(frame)) => {
                self.passed(&frame);
                Some(Ok(frame))
            }
            Some(Err(error)) => {
                tracing::debug!(%error, "a component broke its answer off");
                self.end();
                Some(Err(BodyError::BrokenOff))
            }
            None if self.flow.broken.load(Ordering::Acquire) => {
                self.end();
                Some(Err(BodyError::BrokenOff))
            }
            None => {
                self.end();
                None
            }
        })
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            self.flow.done.notify_one();
        }
    }
}

impl RunnerBody {
    /// A body without a byte.
    pub fn empty() -> Self {
        Self::whole(Bytes::new())
    }

    /// A body of these bytes.
    pub fn whole(bytes: Bytes) -> Self {
        let count = length(&bytes);
        let frames = if bytes.is_empty() {
            VecDeque::new()
        } else {
            VecDeque::from([Ok(Frame::data(bytes))])
        };
        Self(Kind::Whole(Whole {
            frames,
            bytes: Some(count),
        }))
    }

    /// What a component wrote that has finished: all that is in hand. Tells
    /// whether the component finished the body, too.
    pub(crate) fn taken(body: &mut HyperOutgoingBody) -> (Self, bool) {
        let mut cx = Context::from_waker(Waker::noop());
        let mut whole = Whole {
            frames: VecDeque::new(),
            bytes: Some(0),
        };
        let ended = loop {
            match Pin::new(&mut *body).poll_frame(&mut cx) {
                Poll::Pending => break false,
                Poll::Ready(None) => break true,
                Poll::Ready(Some(Ok(frame))) => whole.push(frame),
                Poll::Ready(Some(Err(error))) => {
                    tracing::debug!(%error, "a component broke its answer off");
                    whole.bytes = None;
                    whole.frames.push_back(Err(BodyError::BrokenOff));
                    break true;
                }
            }
        };
        (Self(Kind::Whole(whole)), ended)
    }

    /// Put what another body holds behind this one. Both are whole.
    pub(crate) fn append(&mut self, more: Self) {
        if let (Kind::Whole(whole), Kind::Whole(more)) = (&mut self.0, more.0) {
            whole.bytes = whole
                .bytes
                .zip(more.bytes)
                .and_then(|(have, more)| have.checked_add(more));
            whole.frames.extend(more.frames);
        }
    }

    /// What a component is still writing, run by `task`; `left` bytes of it, where
    /// the head says how many.
    pub(crate) fn written(
        body: HyperOutgoingBody,
        left: Option<u64>,
        flow: Arc<Flow>,
        task: AbortHandle,
    ) -> Self {
        let mut written = Written {
            body,
            flow,
            task: Some(task),
            left,
        };
        if left == Some(0) {
            // Nobody will ask for what is not to come.
            written.end();
        }
        Self(Kind::Written(written))
    }
}

impl Whole {
    fn push(&mut self, frame: Frame<Bytes>) {
        let count = frame.data_ref().map(length);
        self.bytes = self
            .bytes
            .zip(count)
            .and_then(|(bytes, count)| bytes.checked_add(count));
        if count != Some(0) {
            self.frames.push_back(Ok(frame));
        }
    }
}

fn length(bytes: &Bytes) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

impl Body for RunnerBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.0 {
            Kind::Whole(whole) => {
                let frame = whole.frames.pop_front();
                if let Some(bytes) = &mut whole.bytes
                    && let Some(Ok(frame)) = &frame
                    && let Some(data) = frame.data_ref()
                {
                    *bytes = bytes.saturating_sub(length(data));
                }
                Poll::Ready(frame)
            }
            Kind::Written(written) => written.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(whole) => whole.frames.is_empty(),
            Kind::Written(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(Whole {
                bytes: Some(bytes), ..
            }) => SizeHint::with_exact(*bytes),
            _ => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;
    use http_body_util::{BodyExt as _, Full, StreamBody};
    use wasmtime_wasi_http::Error;

    fn hyper(bytes: &'static str) -> HyperOutgoingBody {
        Full::new(Bytes::from_static(bytes.as_bytes()))
            .map_err(|never| match never {})
            .boxed_unsync()
    }

    #[tokio::test]
    async fn a_body_in_hand_tells_its_length() {
        let (body, ended) = RunnerBody::taken(&mut hyper("hello"));
        assert!(ended);
        assert_eq!(body.size_hint().exact(), Some(5));
        assert!(!body.is_end_stream());
        assert_eq!(body.collect().await.unwrap().to_bytes(), "hello");
        let empty = RunnerBody::empty();
        assert_eq!(empty.size_hint().exact(), Some(0));
        assert!(empty.is_end_stream());
    }

    #[tokio::test]
    async fn trailers_come_through_and_forbid_a_length() {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", "0".parse().unwrap());
        let mut body = hyper("x")
            .with_trailers(std::future::ready(Some(Ok(trailers))))
            .boxed_unsync();
        let (body, ended) = RunnerBody::taken(&mut body);
        assert!(ended);
        assert_eq!(body.size_hint().exact(), None);
        let collected = body.collect().await.unwrap();
        assert!(collected.trailers().unwrap().contains_key("grpc-status"));
    }

    #[tokio::test]
    async fn the_end_of_an_instance_is_not_taken_for_the_end_of_its_answer() {
        let flow = Flow::new();
        let task = tokio::spawn(std::future::pending::<()>());
        let body = RunnerBody::written(hyper("half"), None, Arc::clone(&flow), task.abort_handle());
        flow.break_off();
        let error = body.collect().await.map(|_| ()).unwrap_err();
        assert_eq!(error, BodyError::BrokenOff);
        flow.done().await;
        task.abort();
    }

    #[tokio::test]
    async fn a_caller_who_goes_away_stops_the_component() {
        let flow = Flow::new();
        let task = tokio::spawn(std::future::pending::<()>());
        let body = RunnerBody::written(hyper("x"), None, Arc::clone(&flow), task.abort_handle());
        drop(body);
        flow.done().await;
        assert!(task.await.unwrap_err().is_cancelled());
    }

    #[tokio::test]
    async fn a_component_may_go_on_after_its_answer_was_taken() {
        let flow = Flow::new();
        let task = tokio::spawn(async { 7 });
        let body = RunnerBody::written(hyper("x"), None, Arc::clone(&flow), task.abort_handle());
        body.collect().await.unwrap();
        flow.done().await;
        assert_eq!(task.await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_body_of_a_told_length_ends_with_its_last_byte() {
        let flow = Flow::new();
        let task = tokio::spawn(async { 7 });
        let mut body = RunnerBody::written(
            hyper("five!"),
            Some(5),
            Arc::clone(&flow),
            task.abort_handle(),
        );
        assert!(body.frame().await.unwrap().is_ok());
        drop(body);
        flow.done().await;
        assert_eq!(task.await.unwrap(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_stalled_when_nobody_took_a_piece_for_long() {
        let flow = Flow::new();
        let began = Instant::now();
        tokio::time::sleep(Duration::from_secs(8)).await;
        flow.moved();
        flow.stalled(Duration::from_secs(10)).await;
        assert_eq!(began.elapsed().as_secs(), 18);
    }

    #[test]
    fn an_error_in_hand_is_passed_on_behind_what_came_before() {
        let pieces = [
            Ok(Frame::data(Bytes::from_static(b"x"))),
            Err(Error::HttpProtocolError),
        ];
        let stream = StreamBody::new(futures_util::stream::iter(pieces));
        let (mut body, ended) = RunnerBody::taken(&mut stream.boxed_unsync());
        assert!(ended);
        assert_eq!(body.size_hint().exact(), None);
        let mut cx = Context::from_waker(Waker::noop());
        let mut next = || Pin::new(&mut body).poll_frame(&mut cx);
        assert!(matches!(next(), Poll::Ready(Some(Ok(_)))));
        assert!(matches!(next(), Poll::Ready(Some(Err(_)))));
    }
}
