//! One HTTP/1.1 connection. It has no task of its own: whoever waits for an
//! answer drives it, so an answer wakes one task, once. A connection that
//! nobody waits on is left alone by everybody but the peer.

use super::connect::Socket;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::http1::{Connection, SendRequest, handshake};
use parking_lot::Mutex;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

/// What the mesh sends: whole, since it is there whole.
pub(super) type Asked = Request<Full<Bytes>>;

/// A request without an answer.
pub(super) struct Lost {
    /// The request, if nothing of it was sent.
    pub unsent: Option<Box<Asked>>,
    /// What broke.
    pub error: hyper::Error,
}

/// A connection and who drives it.
pub(super) struct Line {
    sender: SendRequest<Full<Bytes>>,
    /// `None` once it has ended.
    connection: Option<Connection<Socket, Full<Bytes>>>,
    relay: Arc<Relay>,
    /// Wakes the relay.
    waker: Waker,
}

impl Line {
    /// HTTP on a new socket.
    ///
    /// # Errors
    /// When hyper cannot begin.
    pub async fn open(socket: Socket) -> hyper::Result<Self> {
        let (sender, connection) = handshake(socket).await?;
        let relay = Arc::new(Relay::default());
        Ok(Self {
            sender,
            connection: Some(connection),
            waker: Waker::from(Arc::clone(&relay)),
            relay,
        })
    }

    /// Sends a request and waits for the head of its answer. Dropping the
    /// future leaves a line that is not idle.
    ///
    /// # Errors
    /// When the connection breaks before.
    pub async fn send(&mut self, request: Asked) -> Result<Response<Incoming>, Lost> {
        let mut answering = pin!(self.sender.try_send_request(request));
        let (connection, relay, waker) = (&mut self.connection, &self.relay, &self.waker);
        poll_fn(|cx| relay.step(waker, cx, connection, |cx| answering.as_mut().poll(cx)))
            .await
            .map_err(|mut lost| Lost {
                unsent: lost.take_message().map(Box::new),
                error: lost.into_error(),
            })
    }

    /// The next frame of an answer's body; `None` at its end.
    pub async fn frame(
        &mut self,
        body: &mut Incoming,
    ) -> Option<Result<Frame<Bytes>, hyper::Error>> {
        let (connection, relay, waker) = (&mut self.connection, &self.relay, &self.waker);
        poll_fn(|cx| {
            relay.step(waker, cx, connection, |cx| {
                Pin::new(&mut *body).poll_frame(cx)
            })
        })
        .await
    }

    /// Whether it can take another request, as far as one can tell from here.
    /// After a whole answer it may have an end of it still to read.
    pub fn is_idle(&mut self) -> bool {
        if !self.sender.is_ready() {
            self.drive();
        }
        self.sender.is_ready()
    }

    /// Whether the peer has ended it while nobody used it.
    pub fn is_over(&mut self) -> bool {
        self.drive();
        self.connection.is_none()
    }

    /// Ends it in good order: TLS says goodbye.
    pub fn end(self) {
        let Self {
            sender,
            mut connection,
            waker,
            ..
        } = self;
        drop(sender);
        drive(&mut connection, &mut Context::from_waker(&waker));
    }

    fn drive(&mut self) {
        drive(&mut self.connection, &mut Context::from_waker(&self.waker));
    }
}

type Driven = Option<Connection<Socket, Full<Bytes>>>;

fn drive(connection: &mut Driven, cx: &mut Context<'_>) {
    let Some(driven) = connection else { return };
    if let Poll::Ready(ended) = Pin::new(driven).poll(cx) {
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection to an agent ended badly");
        }
        // What still waits for it is told so by that.
        *connection = None;
    }
}

/// Takes the wake-ups of a connection and passes them to the task that waits
/// for it. While that task is at work on the connection they are only noted:
/// the parts of hyper wake each other at every step, and each of those would
/// have the task run once more for nothing.
#[derive(Default)]
struct Relay(Mutex<Wakes>);

#[derive(Default)]
struct Wakes {
    noted: bool,
    waiting: Option<Waker>,
}

impl Relay {
    /// Looks whether something is there, and drives the connection for it if
    /// not. `waker` is this relay's.
    fn step<T>(
        &self,
        waker: &Waker,
        cx: &Context<'_>,
        connection: &mut Driven,
        mut look: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.begin();
        let mut relayed = Context::from_waker(waker);
        if let Poll::Ready(there) = look(&mut relayed) {
            return Poll::Ready(there);
        }
        drive(connection, &mut relayed);
        let looked = look(&mut relayed);
        if looked.is_pending() {
            self.wait(cx.waker());
        }
        looked
    }

    /// What was noted until now is seen by the work that begins.
    fn begin(&self) {
        let mut wakes = self.0.lock();
        wakes.noted = false;
        let former = wakes.waiting.take();
        drop(wakes);
        drop(former);
    }

    fn wait(&self, task: &Waker) {
        let mut wakes = self.0.lock();
        if wakes.noted {
            drop(wakes);
            task.wake_by_ref();
        } else {
            wakes.waiting = Some(task.clone());
        }
    }
}

impl Wake for Relay {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut wakes = self.0.lock();
        wakes.noted = true;
        let waiting = wakes.waiting.take();
        drop(wakes);
        if let Some(task) = waiting {
            task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn relay() -> (Arc<Relay>, Waker, Arc<Task>, Waker) {
        let relay = Arc::new(Relay::default());
        let task = Arc::new(Task::default());
        let (inner, outer) = (Arc::clone(&relay).into(), Arc::clone(&task).into());
        (relay, inner, task, outer)
    }

    #[test]
    fn who_waits_is_woken_once_by_many_wakes() {
        let (relay, inner, task, outer) = relay();
        relay.begin();
        relay.wait(&outer);
        for _ in 0..3 {
            inner.wake_by_ref();
        }
        assert_eq!(task.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_wake_during_work_is_lost_only_if_the_work_found_something() {
        let (relay, inner, task, outer) = relay();
        relay.begin();
        inner.wake_by_ref();
        relay.wait(&outer);
        assert_eq!(task.0.load(Ordering::Relaxed), 1);

        relay.begin();
        inner.wake_by_ref();
        // Something was there: the next work looks again, before it waits.
        relay.begin();
        assert_eq!(task.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_connection_that_nobody_waits_on_wakes_nobody() {
        let (relay, inner, task, outer) = relay();
        let cx = Context::from_waker(&outer);
        let mut nothing = None;
        assert!(
            relay
                .step(&inner, &cx, &mut nothing, |_| Poll::<()>::Pending)
                .is_pending()
        );
        assert!(
            relay
                .step(&inner, &cx, &mut nothing, |_| Poll::Ready(()))
                .is_ready()
        );
        inner.wake();
        assert_eq!(task.0.load(Ordering::Relaxed), 0);
        assert_eq!(Arc::strong_count(&task), 2);
    }
}
