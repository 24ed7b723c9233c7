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

/// The least time, in milliseconds, between two tries to sign a head when
/// nothing else is to be done: a disk that fails is not tried all the time.
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
    /// Starts it. It signs a head when nothing was appended for `head_ms`.
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
        match next(shared, &mut group, &store, head_ms) {
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
    Sign,
    End,
}

/// Waits for something to do. Swaps the gathered group with the empty `spare`.
fn next(shared: &Shared, spare: &mut Group, store: &Store, head_ms: u64) -> Work {
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
        if store.is_unsigned() {
            let wait = Duration::from_millis(head_ms.max(IDLE_MS));
            let waited = shared.work.wait_timeout(queue, wait);
            let (woken, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            queue = woken;
            if timeout.timed_out() && queue.gathering.is_empty() && !queue.closing {
                queue.writer = State::Busy;
                return Work::Sign;
            }
        } else {
            queue = shared
                .work
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
        queue.writer = State::Busy;
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
            tracing::error!(code = error.code(), %error, "audit records were not kept");
            shared.fail(number, before, error);
        }
    }
}

/// A head that cannot be written holds nothing up; it is tried again.
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
            tracing::warn!(code = error.code(), %error, "the audit head could not be written");
        }
    }
}
