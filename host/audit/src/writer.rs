//! The one thread that writes.
//!
//! Appends gather in a group. The writer takes the whole group, brings it to
//! the disk, and wakes those who wait for it; meanwhile the next gathers.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::queue::{Shared, State};
use crate::store::{Group, Store};
use crate::{Error, Failure};

/// The least time, in milliseconds, between two looks at the log when nothing
/// else is to be done: a disk that fails is not tried all the time.
const IDLE_MS: u64 = 100;

/// How long records that nobody waits for (intents) wait for company, so that
/// an intent and its outcome mostly share one sync. Most agents answer within;
/// what waits here is lost if the process dies, so it is short.
const LINGER: Duration = Duration::from_millis(2);

/// The writer's thread.
pub(crate) struct Writer {
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts it. When nothing was appended for `head_ms` it looks that the log
    /// is in its place, and signs a head over what none covers.
    pub(crate) fn start(shared: Arc<Shared>, store: Store, head_ms: u64) -> Result<Self, Error> {
        let body = move || run(&shared, store, head_ms);
        let thread = std::thread::Builder::new().name("audit-writer".to_owned());
        let thread = thread.spawn(body);
        let thread = thread.map_err(|error| Failure::new("start a thread for", "audit", error))?;
        Ok(Self {
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Returns when it has ended.
    pub(crate) fn join(&self) {
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the audit writer ended unexpectedly");
        }
    }
}

/// Ends for all when the writer does, even by a panic.
struct Ending<'a>(&'a Shared);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.end(Err(Error::Closed));
    }
}

fn run(shared: &Shared, mut store: Store, head_ms: u64) {
    let _ending = Ending(shared);
    let mut group = Group::default();
    let ended = loop {
        match next(shared, &mut group, head_ms) {
            Work::Write(number) => write(shared, &mut store, number, &mut group),
            Work::Sign => report(shared, store.sign(), &store),
            Work::End => break store.sign(),
        }
    };
    report(shared, ended.clone(), &store);
    // The disk is let go before anyone hears of the end, and may open it anew.
    drop(store);
    shared.end(ended.map_err(Error::from));
}

enum Work {
    Write(u64),
    /// Look that the log is there, and sign what is not.
    Sign,
    End,
}

/// Waits for something to do. Swaps the gathered group with the empty `spare`.
fn next(shared: &Shared, spare: &mut Group, head_ms: u64) -> Work {
    let mut queue = shared.lock();
    let mut lingered = false;
    loop {
        let gathered = !queue.gathering.is_empty();
        if gathered && (queue.wanted || lingered || queue.closing) {
            queue.wanted = false;
            std::mem::swap(&mut queue.gathering, spare);
            queue.writing_bytes = spare.byte_count();
            let number = queue.group;
            queue.group = number.saturating_add(1);
            return Work::Write(number);
        }
        if queue.closing {
            return Work::End;
        }
        if gathered {
            queue.writer = State::Lingering;
            let waited = shared.work.wait_timeout(queue, LINGER);
            let (woken, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            queue = woken;
            queue.writer = State::Busy;
            lingered = timeout.timed_out();
            continue;
        }
        queue.writer = State::Idle;
        // Also when all is signed: a log that was taken away has to be noticed
        // before the next call is let out, which nobody could record then.
        let wait = Duration::from_millis(head_ms.max(IDLE_MS));
        let waited = shared.work.wait_timeout(queue, wait);
        let (woken, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        queue = woken;
        queue.writer = State::Busy;
        if timeout.timed_out() && queue.gathering.is_empty() && !queue.closing {
            return Work::Sign;
        }
    }
}

fn write(shared: &Shared, store: &mut Store, number: u64, group: &mut Group) {
    let before = store.count();
    if before > 0 {
        let signed = store.sign_if_late();
        report(shared, signed, store);
    }
    match store.commit(group) {
        Ok(()) => {
            shared.succeed(number, before.saturating_add(group.count()));
            // Those who waited go on and append while this hashes and signs,
            // so the next group is a full one.
            store.absorb(group);
            let signed = store.sign_if_due();
            report(shared, signed, store);
        }
        Err(failure) => {
            group.clear();
            let error = Error::from(failure);
            let cause = &error as &dyn std::error::Error;
            tracing::error!(
                code = error.code(),
                error = cause,
                "audit records were not kept"
            );
            shared.fail(number, before, error);
        }
    }
}

/// A head that cannot be written holds nothing up; it is tried again. But where
/// the log itself is gone, records cannot be kept either.
fn report(shared: &Shared, signed: Result<(), Failure>, store: &Store) {
    match signed {
        Ok(()) => {
            let head = store.head();
            let mut queue = shared.lock();
            if queue.head.as_ref() != head {
                queue.head = head.cloned();
            }
        }
        Err(failure) => {
            let error = Error::from(failure);
            let (code, cause) = (error.code(), &error as &dyn std::error::Error);
            if matches!(error, Error::Displaced(_)) {
                if shared.mark_failing() {
                    tracing::error!(code, error = cause, "the audit log is not where it was");
                }
            } else {
                tracing::warn!(code, error = cause, "the audit head could not be written");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::{Part, file_name};
    use crate::simulation::SimDisk;
    use crate::{Config, Disk as _, Keys};

    #[test]
    fn a_head_that_finds_the_log_gone_says_that_the_log_fails() {
        let disk = SimDisk::new(1);
        let arc: Arc<dyn crate::Disk> = Arc::new(disk.clone());
        let config = Config::new("eu-1", Arc::new(|| 1_765_463_452_123));
        let keys = Keys::from_secrets([1; 32], &[2; 32]);
        let (mut store, _) = crate::recovery::recover(&arc, config, &keys).unwrap();
        let shared = Shared::new(&store, 1_000);
        report(&shared, store.sign(), &store);
        assert!(!shared.is_failing());
        disk.remove(&file_name(0, Part::Log)).unwrap();
        report(&shared, store.sign(), &store);
        assert!(shared.is_failing());
    }
}
