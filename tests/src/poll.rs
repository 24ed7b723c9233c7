//! Waiting for something that another process does.

use std::thread;
use std::time::{Duration, Instant};

/// A machine that builds beside the tests may be this slow; nothing here is
/// measured by it.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Looks until there is something to see, and gives that.
///
/// # Panics
/// When a minute has passed without it; `what` says what was waited for.
#[track_caller]
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(began.elapsed() < PATIENCE, "waited in vain for {what}");
        thread::sleep(PAUSE);
    }
}
