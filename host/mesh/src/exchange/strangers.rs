//! How much room in the trail callers get whom nobody knows.
//!
//! Their refusals are recorded like any others, but they cost them nothing and
//! us a record and a sync each: enough of them would fill the disk, after which
//! nobody is served. So they are recorded one by one up to a rate; what is above
//! it is counted, and the next one that is recorded tells how many were not.

use parking_lot::Mutex;
use std::time::Duration;
use tokio::time::Instant;

/// So many are recorded at once: more than anybody mistypes in a row.
const AT_ONCE: u32 = 100;
/// After that one in this time: 86,400 a day, some 60 MB.
const ONE_IN: Duration = Duration::from_secs(1);

/// Counts refusals of the unknown. A leaky bucket (GCRA).
pub(super) struct Strangers(Mutex<State>);

struct State {
    /// When the bucket will be empty again.
    empty_at: Instant,
    left_out: u64,
}

impl Strangers {
    pub fn new(now: Instant) -> Self {
        Self(Mutex::new(State {
            empty_at: now,
            left_out: 0,
        }))
    }

    /// Whether to record this one: then how many were left out before it.
    pub fn record(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock();
        let empty_at = state.empty_at.max(now) + ONE_IN;
        if empty_at > now + ONE_IN * AT_ONCE {
            state.left_out = state.left_out.saturating_add(1);
            return None;
        }
        state.empty_at = empty_at;
        Some(std::mem::take(&mut state.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_the_next_record_tells_of_it() {
        let start = Instant::now();
        let strangers = Strangers::new(start);
        let recorded = (0..1_000)
            .filter(|_| strangers.record(start).is_some())
            .count();
        assert_eq!(recorded, 100);
        assert_eq!(strangers.record(start + ONE_IN), Some(900));
        assert_eq!(strangers.record(start + ONE_IN), None);
        assert_eq!(strangers.record(start + ONE_IN * 2), Some(1));
    }
}
