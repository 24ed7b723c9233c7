//! The one thread that writes, and what it shares with those who append.
//!
//! Appends gather in a group. The writer takes the whole group, brings it to
//! the disk, and wakes those who wait for it; meanwhile the next gathers.
//! Groups are numbered from 1 and resolve in order. At most two are
//! unresolved, the one being written and the one that gathers, so two
//! `Notify`s, used in turn, wake exactly those whose group is done.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::note::Head;
use crate::record::Glance;
use crate::store::{Group, Store};
use crate::{Error, Failure};

/// Failures remembered, each a run of groups without a success between.
/// Whoever asks about an older one after so many is told that it failed.
const EPISODES: usize = 1_024;

/// The least time, in milliseconds, between two tries to sign a head when
/// nothing else is to be done: a disk that fails is not tried all the time.
const IDLE_MS: u64 = 100;

/// How long records that nobody waits for (intents) wait for company, so that
/// an intent and its outcome mostly share one sync. Most agents answer within;
/// what waits here is lost if the process dies, so it is short.
const LINGER: Duration = Duration::from_millis(2);

/// What the writer shares with those who append.
pub(crate) struct Shared {
    queue: Mutex<Queue>,
    /// Wakes the writer.
    work: Condvar,
    buffer_bytes: usize,
    /// Groups up to this number are done, well or not.
    done_groups: AtomicU64,
    /// Durable records.
    records: AtomicU64,
    turns: [Notify; 2],
    ended: Notify,
}

struct Queue {
    /// Index of the next record.
    next: u64,
    /// Number of the group that gathers.
    group: u64,
    gathering: Group,
    /// Bytes of the group that is being written.
    writing_bytes: usize,
    writer: State,
    /// Whether anyone waits for the group that gathers.
    wanted: bool,
    closing: bool,
    failures: Vec<Episode>,
    /// Groups up to this number may have failed and been forgotten.
    forgotten: u64,
    head: Option<Head>,
    ended: Option<Result<(), Error>>,
}

/// What the writer does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// It works, and looks into the queue before it sleeps.
    Busy,
    /// It sleeps until someone waits for what gathers, or [`LINGER`] is over.
    Lingering,
    /// It sleeps until something gathers.
    Idle,
}

/// Groups that failed, one after another.
struct Episode {
    first: u64,
    last: u64,
    error: Error,
}

impl Shared {
    pub(crate) fn new(store: &Store, buffer_bytes: usize) -> Self {
        Self {
            queue: Mutex::new(Queue {
                next: store.count(),
                group: 1,
                gathering: Group::default(),
                writing_bytes: 0,
                writer: State::Busy,
                wanted: false,
                closing: false,
                failures: Vec::new(),
                forgotten: 0,
                head: store.head().cloned(),
                ended: None,
            }),
            work: Condvar::new(),
            buffer_bytes,
            done_groups: AtomicU64::new(0),
            records: AtomicU64::new(store.count()),
            turns: [Notify::new(), Notify::new()],
            ended: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a framed record to the group that gathers: its index and group.
    pub(crate) fn append(&self, framed: &[u8], glance: Glance) -> Result<(u64, u64), Error> {
        let mut queue = self.lock();
        if queue.closing {
            return Err(Error::Closed);
        }
        let waiting = queue
            .gathering
            .byte_count()
            .saturating_add(queue.writing_bytes);
        // Whatever its size, a record fits if nothing waits.
        if waiting > 0 && waiting.saturating_add(framed.len()) > self.buffer_bytes {
            return Err(Error::Full {
                buffered_bytes: waiting,
                limit_bytes: self.buffer_bytes,
            });
        }
        // Whoever appends an outcome waits for it next.
        queue.wanted |= matches!(glance, Glance::Outcome(_));
        queue.gathering.push(framed, glance);
        let at = (queue.next, queue.group);
        queue.next = queue.next.saturating_add(1);
        let wake = queue.rouse();
        drop(queue);
        if wake {
            self.work.notify_one();
        }
        Ok(at)
    }

    /// Says that someone waits for a group, so that it does not linger.
    pub(crate) fn want(&self, group: u64) {
        if self.done_groups.load(Ordering::Acquire) >= group {
            return;
        }
        let mut queue = self.lock();
        if queue.group != group || queue.wanted {
            return;
        }
        queue.wanted = true;
        let wake = queue.rouse();
        drop(queue);
        if wake {
            self.work.notify_one();
        }
    }

    /// What became of a group; `None` while nobody knows.
    pub(crate) fn outcome(&self, group: u64) -> Option<Result<(), Error>> {
        if self.done_groups.load(Ordering::Acquire) < group {
            return None;
        }
        if group == 0 {
            return Some(Ok(()));
        }
        let queue = self.lock();
        let at = queue
            .failures
            .partition_point(|episode| episode.last < group);
        let episode = queue
            .failures
            .get(at)
            .filter(|episode| episode.first <= group);
        Some(match episode {
            Some(episode) => Err(episode.error.clone()),
            None if group <= queue.forgotten => Err(Error::Closed),
            None => Ok(()),
        })
    }

    /// Resolves when the group may have been done.
    pub(crate) fn resolved(&self, group: u64) -> Notified<'_> {
        self.turn(group).notified()
    }

    pub(crate) fn records(&self) -> u64 {
        self.records.load(Ordering::Acquire)
    }

    pub(crate) fn head(&self) -> Option<Head> {
        self.lock().head.clone()
    }

    pub(crate) fn close(&self) {
        self.lock().closing = true;
        self.work.notify_one();
    }

    pub(crate) fn ended(&self) -> Option<Result<(), Error>> {
        self.lock().ended.clone()
    }

    /// Resolves when the writer has ended.
    pub(crate) fn done(&self) -> Notified<'_> {
        self.ended.notified()
    }

    /// The group `group` is durable, `records` in all.
    fn succeed(&self, group: u64, records: u64) {
        self.lock().writing_bytes = 0;
        self.records.store(records, Ordering::Release);
        self.done_groups.store(group, Ordering::Release);
        // One only: it wakes the others. Waking each from this thread, outside
        // their runtime, would cost a system call each.
        self.turn(group).notify_one();
    }

    /// Wakes all others who wait for a group that is done.
    pub(crate) fn wake_the_others(&self, group: u64) {
        self.turn(group).notify_waiters();
    }

    /// The group `group` is not, nor the one that has gathered since: a record
    /// must not stand in the log when one before it does not.
    fn fail(&self, group: u64, records: u64, error: Error) {
        let mut queue = self.lock();
        queue.writing_bytes = 0;
        queue.gathering.clear();
        queue.wanted = false;
        queue.next = records;
        let last = group.saturating_add(1);
        queue.group = last.saturating_add(1);
        queue.remember(group, last, error);
        drop(queue);
        self.resolve_all(last);
    }

    /// All groups there are, up to `group`, are done.
    fn resolve_all(&self, group: u64) {
        self.done_groups.store(group, Ordering::Release);
        for turn in &self.turns {
            turn.notify_waiters();
        }
    }

    fn turn(&self, group: u64) -> &Notify {
        let [even, odd] = &self.turns;
        if group.is_multiple_of(2) { even } else { odd }
    }

    /// Called when the writer ends, however it does: nobody waits forever.
    fn end(&self, ended: Result<(), Error>) {
        let mut queue = self.lock();
        queue.closing = true;
        let first = self.done_groups.load(Ordering::Acquire).saturating_add(1);
        queue.remember(first, u64::MAX, Error::Closed);
        queue.ended.get_or_insert(ended);
        drop(queue);
        self.resolve_all(u64::MAX);
        self.ended.notify_waiters();
    }
}

impl Queue {
    /// Whether the writer has to be woken for what is there now; if so, it
    /// counts as busy from here on.
    fn rouse(&mut self) -> bool {
        let wake = match self.writer {
            State::Busy => false,
            State::Lingering => self.wanted,
            State::Idle => !self.gathering.is_empty(),
        };
        if wake {
            self.writer = State::Busy;
        }
        wake
    }

    fn remember(&mut self, first: u64, last: u64, error: Error) {
        match self.failures.last_mut() {
            // No group succeeded in between: one episode, so that a disk that
            // stays full does not fill the memory.
            Some(episode) if episode.last.saturating_add(1) == first && last != u64::MAX => {
                episode.last = last;
                episode.error = error;
            }
            _ => self.failures.push(Episode { first, last, error }),
        }
        if self.failures.len() > EPISODES {
            self.forgotten = self.failures.remove(0).last;
        }
    }
}

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
