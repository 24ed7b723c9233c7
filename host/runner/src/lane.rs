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
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinError, JoinHandle};

/// Computing without a wait for this long, twice in a row, makes a guest one that
/// computes for long: half of the tick that makes it give way.
const LONG: Duration = Duration::from_millis(5);

/// How long a component is remembered for it, after the last time it did: its
/// requests begin in the lane. So a flood of requests that compute costs its
/// neighbours nothing either.
const REMEMBERED: Duration = Duration::from_secs(10);

/// How much its threads stand back, from 0 (not) to 19. Not all the way: they share
/// locks with the others (memory, the pool), and who is put aside for long while
/// it holds one holds everybody up.
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

/// How one component computes.
pub(crate) struct Pace {
    lane: Arc<Lane>,
    began: Instant,
    /// When it last computed for long, in milliseconds since `began`, and one more;
    /// 0: never.
    long_ms: AtomicU64,
}

impl Pace {
    pub(crate) fn new(lane: Arc<Lane>) -> Self {
        Self {
            lane,
            began: Instant::now(),
            long_ms: AtomicU64::new(0),
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn remember(&self) {
        let now = self.now_ms().saturating_add(1);
        self.long_ms.store(now, Ordering::Relaxed);
    }

    fn remembered(&self) -> bool {
        let long = self.long_ms.load(Ordering::Relaxed);
        // No clock is read for those who never computed for long.
        long != 0 && {
            let since = self.now_ms().saturating_add(1).saturating_sub(long);
            u128::from(since) < REMEMBERED.as_millis()
        }
    }
}

/// Work that goes to the lane once it computes for long. Dropping it stops it.
pub(crate) struct Paced<T> {
    pace: Arc<Pace>,
    place: Place<T>,
    /// It was long at work without a wait; whether it computed or the machine had
    /// other things to do is measured the next time.
    suspect: bool,
}

enum Place<T> {
    Here(Pin<Box<dyn Future<Output = T> + Send>>),
    There(JoinHandle<T>),
    /// It was finished.
    Nowhere,
}

impl<T: Send + 'static> Paced<T> {
    pub(crate) fn new(work: Pin<Box<dyn Future<Output = T> + Send>>, pace: &Arc<Pace>) -> Self {
        let mut paced = Self {
            pace: Arc::clone(pace),
            place: Place::Here(work),
            suspect: false,
        };
        if pace.remembered() {
            paced.depart();
        }
        paced
    }

    fn depart(&mut self) {
        if let Place::Here(work) = std::mem::replace(&mut self.place, Place::Nowhere) {
            let pace = Arc::clone(&self.pace);
            let work = Watched { pace, work };
            if let Some(handle) = self.pace.lane.spawn(work) {
                self.place = Place::There(handle);
            }
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
            let before = this.suspect.then(computed);
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                this.place = Place::Nowhere;
                return Poll::Ready(Ok(done));
            }
            if began.elapsed() < LONG {
                this.suspect = false;
                return Poll::Pending;
            }
            let long = before.is_some_and(|before| computed().saturating_sub(before) >= LONG);
            this.suspect = true;
            if !long {
                return Poll::Pending;
            }
            this.pace.remember();
            this.depart();
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

/// Work in the lane: while it goes on computing for long, its component is
/// remembered for it.
struct Watched<T> {
    pace: Arc<Pace>,
    work: Pin<Box<dyn Future<Output = T> + Send>>,
}

impl<T> Future for Watched<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let before = computed();
        let polled = self.work.as_mut().poll(cx);
        if computed().saturating_sub(before) >= LONG {
            self.pace.remember();
        }
        polled
    }
}

/// Processor time of this thread.
fn computed() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
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
        let began = computed();
        while computed().saturating_sub(began) < time {
            std::hint::spin_loop();
        }
    }

    fn pace() -> Arc<Pace> {
        Arc::new(Pace::new(Arc::new(Lane::new().unwrap())))
    }

    fn work(time: Duration) -> Pin<Box<dyn Future<Output = String> + Send>> {
        Box::pin(async move {
            for _ in 0..3 {
                compute(time);
                tokio::task::yield_now().await;
            }
            name()
        })
    }

    #[tokio::test]
    async fn only_who_computes_for_long_goes_elsewhere() {
        let pace = pace();
        let short = Paced::new(work(Duration::ZERO), &pace).await.unwrap();
        assert_ne!(short, "kgents-compute");
        assert!(!pace.remembered());
        let long = Paced::new(work(LONG * 2), &pace).await.unwrap();
        assert_eq!(long, "kgents-compute");
    }

    #[tokio::test]
    async fn a_component_that_computed_for_long_is_remembered_for_a_while() {
        let pace = pace();
        pace.remember();
        assert!(pace.remembered());
        let next = Paced::new(work(Duration::ZERO), &pace).await.unwrap();
        assert_eq!(next, "kgents-compute");
        // What is short there does not keep the memory alive.
        let at = pace.long_ms.load(Ordering::Relaxed);
        let next = Paced::new(work(Duration::ZERO), &pace).await.unwrap();
        assert_eq!(next, "kgents-compute");
        assert_eq!(pace.long_ms.load(Ordering::Relaxed), at);
        let later = Pace {
            began: pace.began.checked_sub(REMEMBERED).unwrap(),
            lane: Arc::clone(&pace.lane),
            long_ms: AtomicU64::new(1),
        };
        assert!(!later.remembered());
    }

    #[tokio::test]
    async fn who_went_elsewhere_is_stopped_when_nobody_waits() {
        let (held, gone) = oneshot::channel::<()>();
        let (told, there) = oneshot::channel();
        let work = Box::pin(async move {
            let _held = held;
            for _ in 0..3 {
                compute(LONG * 2);
                tokio::task::yield_now().await;
            }
            let _ = told.send(name());
            std::future::pending::<()>().await;
        });
        let paced = Paced::new(work, &pace());
        tokio::select! {
            _ = paced => panic!("it never ends"),
            there = there => assert_eq!(there.unwrap(), "kgents-compute"),
        }
        // Its end is seen by what it held.
        assert!(gone.await.is_err());
    }
}
