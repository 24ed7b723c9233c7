//! What gathers to be written, and who waits for it: shared by the writer and
//! those who append.
//!
//! Groups are numbered from 1 and resolve in order. At most two are
//! unresolved, the one being written and the one that gathers, so two
//! `Notify`s, used in turn, wake exactly those whose group is done.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::Error;
use crate::note::Head;
use crate::record::Glance;
use crate::store::{Group, Store};

/// Failures remembered, each a run of groups without a success between.
/// Whoever asks about an older one after so many is told that it failed.
const EPISODES: usize = 1_024;

/// What the writer shares with those who append.
pub(crate) struct Shared {
    queue: Mutex<Queue>,
    /// Wakes the writer.
    pub(crate) work: Condvar,
    buffer_bytes: usize,
    /// Groups up to this number are done, well or not.
    done_groups: AtomicU64,
    /// Durable records.
    records: AtomicU64,
    turns: [Notify; 2],
    ended: Notify,
    /// Whether the last group failed, or the next is known to.
    failing: AtomicBool,
}

/// Behind one lock.
pub(crate) struct Queue {
    /// Index of the next record.
    next: u64,
    /// Number of the group that gathers.
    pub(crate) group: u64,
    pub(crate) gathering: Group,
    /// Bytes of the group that is being written.
    pub(crate) writing_bytes: usize,
    pub(crate) writer: State,
    /// Whether anyone waits for the group that gathers.
    pub(crate) wanted: bool,
    pub(crate) closing: bool,
    failures: Vec<Episode>,
    /// Groups up to this number may have failed and been forgotten.
    forgotten: u64,
    pub(crate) head: Option<Head>,
    ended: Option<Result<(), Error>>,
}

/// What the writer does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It works, and looks into the queue before it sleeps.
    Busy,
    /// It sleeps until someone waits for what gathers, or it has lingered long enough.
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
            failing: AtomicBool::new(false),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Queue> {
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

    pub(crate) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Acquire)
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
    pub(crate) fn succeed(&self, group: u64, records: u64) {
        self.lock().writing_bytes = 0;
        self.failing.store(false, Ordering::Release);
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
    pub(crate) fn fail(&self, group: u64, records: u64, error: Error) {
        let mut queue = self.lock();
        self.failing.store(true, Ordering::Release);
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

    /// Notes that what is appended next cannot be kept. True when that is news.
    pub(crate) fn mark_failing(&self) -> bool {
        !self.failing.swap(true, Ordering::AcqRel)
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
    pub(crate) fn end(&self, ended: Result<(), Error>) {
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
