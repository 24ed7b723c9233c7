//! Where guests go on that compute for long.
//!
//! A guest that computes gives way at each tick, but to be given way to every
//! 10 ms is slow for a neighbour that needs 50 microseconds. So who did not wait
//! for anything for a while goes on in threads of its own, of low priority: the
//! operating system lets everybody else run first, at any moment.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinError, JoinHandle};

/// Computing without a wait for this long makes a guest one that computes for
/// long. A tenth would do for most; this is what little is seen of it at all, the
/// tick being 10 ms.
const LONG: Duration = Duration::from_millis(5);

/// How much its threads stand back, from 0 (not) to 19.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// The threads.
pub(crate) struct Lane {
    runtime: Option<Runtime>,
}

impl Lane {
    /// # Errors
    /// When there are no more threads to be had.
    pub(crate) fn new() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(available_parallelism().map_or(1, usize::from))
            .thread_name("kgents-compute")
            .on_thread_start(stand_back)
            // Guests go on waiting for time and sockets there.
            .enable_all()
            .build()?;
        Ok(Self {
            runtime: Some(runtime),
        })
    }

    fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<JoinHandle<T>> {
        Some(self.runtime.as_ref()?.spawn(work))
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        // It may be dropped where nothing may block, and even by one of its own
        // threads.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn stand_back() {
    // Of this thread alone, on Linux; elsewhere it would be the whole process.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::debug!(%error, "guests that compute for long have no lower priority");
    }
}

/// Work that goes to the lane once it computes for long. Dropping it stops it.
pub(crate) struct Paced<T> {
    lane: Arc<Lane>,
    place: Place<T>,
}

enum Place<T> {
    Here(Pin<Box<dyn Future<Output = T> + Send>>),
    There(JoinHandle<T>),
    /// It was finished.
    Nowhere,
}

impl<T: Send + 'static> Paced<T> {
    pub(crate) fn new(work: Pin<Box<dyn Future<Output = T> + Send>>, lane: &Arc<Lane>) -> Self {
        Self {
            lane: Arc::clone(lane),
            place: Place::Here(work),
        }
    }
}

impl<T: Send + 'static> Future for Paced<T> {
    /// An error when the work panicked or the lane was closed.
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Place::Here(work) = &mut this.place {
            let began = Instant::now();
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                this.place = Place::Nowhere;
                return Poll::Ready(Ok(done));
            }
            if began.elapsed() < LONG {
                return Poll::Pending;
            }
            if let Place::Here(work) = std::mem::replace(&mut this.place, Place::Nowhere)
                && let Some(handle) = this.lane.spawn(work)
            {
                this.place = Place::There(handle);
            }
        }
        match &mut this.place {
            Place::There(handle) => Pin::new(handle).poll(cx),
            Place::Here(_) | Place::Nowhere => Poll::Pending,
        }
    }
}

impl<T> Drop for Paced<T> {
    fn drop(&mut self) {
        if let Place::There(handle) = &self.place {
            handle.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;
    use tokio::sync::oneshot;

    fn name() -> String {
        thread::current().name().unwrap_or_default().to_owned()
    }

    /// Computes for so long without a wait.
    fn compute(time: Duration) {
        let began = Instant::now();
        while began.elapsed() < time {
            std::hint::spin_loop();
        }
    }

    #[tokio::test]
    async fn only_who_computes_for_long_goes_elsewhere() {
        let lane = Arc::new(Lane::new().unwrap());
        let work = |time: Duration| {
            Box::pin(async move {
                compute(time);
                tokio::task::yield_now().await;
                name()
            })
        };
        let short = Paced::new(work(Duration::ZERO), &lane).await.unwrap();
        assert_ne!(short, "kgents-compute");
        let long = Paced::new(work(LONG * 2), &lane).await.unwrap();
        assert_eq!(long, "kgents-compute");
    }

    #[tokio::test]
    async fn who_went_elsewhere_is_stopped_when_nobody_waits() {
        let lane = Arc::new(Lane::new().unwrap());
        let (held, gone) = oneshot::channel::<()>();
        let work = Box::pin(async move {
            let _held = held;
            compute(LONG * 2);
            std::future::pending::<()>().await;
        });
        let paced = Paced::new(work, &lane);
        assert!(tokio::time::timeout(Duration::ZERO, paced).await.is_err());
        // Its end is seen by what it held.
        assert!(gone.await.is_err());
    }
}
