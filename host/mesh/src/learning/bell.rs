//! Rung when something has changed; whoever waits hears several changes in a row
//! as one.

use parking_lot::{Condvar, Mutex};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Silence after which a change counts as whole: a folder of cards comes one by
/// one.
const SETTLE: Duration = Duration::from_millis(50);
/// Changes without a pause are taken up after so long all the same.
const SETTLE_MAX: Duration = Duration::from_millis(500);

/// A count of changes that can be waited for.
#[derive(Default)]
pub struct Bell {
    changes: Mutex<u64>,
    rung: Condvar,
    stopped: AtomicBool,
}

impl Bell {
    /// Says that something has changed.
    pub fn ring(&self) {
        *self.changes.lock() += 1;
        self.rung.notify_all();
    }

    /// Nobody waits any more.
    pub fn stop(&self) {
        // Under the lock, so that nobody goes to sleep between looking and waiting.
        let _changes = self.changes.lock();
        self.stopped.store(true, Ordering::Relaxed);
        self.rung.notify_all();
    }

    /// Set once [`Self::stop`] was called.
    pub const fn stopped(&self) -> &AtomicBool {
        &self.stopped
    }

    /// Number of changes so far.
    pub fn changes(&self) -> u64 {
        *self.changes.lock()
    }

    /// Waits for a change beyond `seen` and until it is quiet for a moment; gives
    /// the number of changes by then, none when it was stopped.
    pub fn wait(&self, seen: u64) -> Option<u64> {
        let is_stopped = || self.stopped.load(Ordering::Relaxed);
        let mut changes = self.changes.lock();
        while *changes == seen && !is_stopped() {
            self.rung.wait(&mut changes);
        }
        let patience = Instant::now() + SETTLE_MAX;
        loop {
            if is_stopped() {
                return None;
            }
            let heard = *changes;
            let quiet = self.rung.wait_for(&mut changes, SETTLE).timed_out();
            if !is_stopped() && (quiet || *changes == heard || Instant::now() >= patience) {
                return Some(*changes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn several_changes_in_a_row_are_heard_as_one() {
        let bell = Bell::default();
        bell.ring();
        bell.ring();
        assert_eq!(bell.wait(0), Some(2));
        bell.ring();
        assert_eq!(bell.wait(2), Some(3));
    }

    #[test]
    fn changes_without_a_pause_are_heard_all_the_same() {
        let bell = Arc::new(Bell::default());
        let ringing = Arc::clone(&bell);
        let ringer = std::thread::spawn(move || {
            while !ringing.stopped().load(Ordering::Relaxed) {
                ringing.ring();
                std::thread::yield_now();
            }
        });
        assert!(bell.wait(0).is_some());
        bell.stop();
        ringer.join().unwrap();
    }

    #[test]
    fn whoever_waits_is_sent_home() {
        let bell = Arc::new(Bell::default());
        let waiting = Arc::clone(&bell);
        let waiter = std::thread::spawn(move || waiting.wait(0));
        bell.stop();
        assert_eq!(waiter.join().unwrap(), None);
        bell.ring();
        assert_eq!(bell.wait(0), None);
    }
}
