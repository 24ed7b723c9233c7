//! How long an encoder was asked, so that it can be told from the rest.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kgents_encoder::Embedding;
use kgents_mesh::registry::{Encode, EncodeError, Remote};

/// An encoder that is timed.
pub struct Timed {
    encoder: Arc<dyn Encode>,
    nanoseconds: AtomicU64,
}

impl Timed {
    /// Nothing was asked so far.
    pub fn new(encoder: Arc<dyn Encode>) -> Self {
        Self {
            encoder,
            nanoseconds: AtomicU64::new(0),
        }
    }

    /// What all its answers together took.
    pub fn spent(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed))
    }

    fn timed<T>(&self, answer: impl FnOnce(&dyn Encode) -> T) -> T {
        let began = Instant::now();
        let answered = answer(&*self.encoder);
        let took = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(took, Ordering::Relaxed);
        answered
    }
}

impl Encode for Timed {
    fn name(&self) -> Option<&str> {
        self.encoder.name()
    }

    fn encode(&self, texts: &[&str]) -> Result<Vec<Embedding>, EncodeError> {
        self.timed(|encoder| encoder.encode(texts))
    }

    fn remote(&self) -> Option<Remote> {
        self.encoder.remote()
    }

    fn encode_within(
        &self,
        texts: &[&str],
        limit: Duration,
    ) -> Result<Vec<Embedding>, EncodeError> {
        self.timed(|encoder| encoder.encode_within(texts, limit))
    }
}
