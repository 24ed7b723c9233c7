//! Instances that served a request and may serve another, where the manifest
//! asks for that (`reuse`): one request after the other, never two at once, never
//! after a trap or a time-out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::component::Live;

/// How long an instance is kept for a next request.
pub(crate) const REST_MAX: Duration = Duration::from_secs(30);

/// The instances of one component that rest; the one that came last goes first,
/// so that the others grow old and are dropped.
pub(crate) struct Resting {
    wanted: bool,
    instances: Mutex<Vec<(Live, Instant)>>,
}

impl Resting {
    /// For a component whose instances may serve several requests, if `wanted`.
    pub(crate) fn new(wanted: bool) -> Self {
        Self {
            wanted,
            instances: Mutex::new(Vec::new()),
        }
    }

    /// Whether instances are kept at all.
    pub(crate) fn wanted(&self) -> bool {
        self.wanted
    }

    pub(crate) fn take(&self) -> Option<Live> {
        if !self.wanted {
            return None;
        }
        self.instances.lock().pop().map(|(live, _)| live)
    }

    /// Keep an instance, if there is room for one more among all that rest.
    pub(crate) fn put(&self, mut live: Live, room: &Arc<Semaphore>) {
        if let Ok(place) = Arc::clone(room).try_acquire_owned() {
            live.place = place;
            self.instances.lock().push((live, Instant::now()));
        }
    }

    /// Drop what has rested for longer than `age`.
    pub(crate) fn prune(&self, age: Duration) {
        let now = Instant::now();
        let old: Vec<_> = {
            let mut instances = self.instances.lock();
            let young = instances
                .partition_point(|(_, since)| now.saturating_duration_since(*since) >= age);
            instances.drain(..young).collect()
        };
        // Outside of the lock: giving memory back takes its time.
        drop(old);
    }
}
