//! Texts to vectors, by whatever encoder there is, remembered by content so that a
//! restart does not embed them again.

use super::encode::{Encode, EncodeError, Remote};
use crate::store::Store;
use crate::telemetry::EncoderMetrics;
use kgents_encoder::{Embedding, Quantized};
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Texts after which vectors are stored: one flush of the disk for as many as a
/// core computes in less than a second, so that little is lost when it is cut off.
const KEPT_TOGETHER: usize = 64;
/// How long one request to an endpoint may take that nobody waits for: many texts on
/// a small processor.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// What a question is told before an endpoint's first answer.
const NOT_YET: &str = "the encoder has not answered yet";

/// The encoder, if there is one, and where its work is kept.
#[derive(Clone)]
pub struct Embedder {
    encoder: Option<Arc<dyn Encode>>,
    store: Arc<Store>,
    /// Held for one text of a card: however many are registered at once, they
    /// take turns on one core and leave the others to questions.
    turn: Arc<Mutex<()>>,
    state: Arc<State>,
}

/// How it goes with the encoder.
#[derive(Default)]
struct State {
    /// Whether its last answer was a failure, which is said once.
    is_down: AtomicBool,
    /// Texts that it refuses for good, by digest; they stay without a vector.
    refused: Mutex<HashSet<Digest>>,
    metrics: EncoderMetrics,
}

type Digest = [u8; 32];

/// What came of a question's text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Asked {
    /// Its vector; `None` without an encoder, and when the encoder failed.
    pub vector: Option<Embedding>,
    /// Why words alone have to decide although there is an encoder, as a sentence
    /// for whoever asked. An answer that was decided so is not to be remembered.
    pub degraded: Option<&'static str>,
}

impl Embedder {
    /// Without an encoder nothing is embedded, and words alone decide.
    pub fn new(encoder: Option<Arc<dyn Encode>>, store: Arc<Store>) -> Self {
        Self {
            encoder,
            store,
            turn: Arc::default(),
            state: Arc::default(),
        }
    }

    /// Name of the encoder; `None` when words alone decide, which they do as well
    /// as long as an endpoint has never answered.
    pub fn name(&self) -> Option<&str> {
        self.encoder.as_ref()?.name()
    }

    /// Whether there is an encoder, be it that it has not answered yet.
    pub fn is_there(&self) -> bool {
        self.encoder.is_some()
    }

    /// What is counted of the encoder.
    pub fn metrics(&self) -> &EncoderMetrics {
        &self.state.metrics
    }

    /// The vector of a question; takes milliseconds of a core, or waits for an
    /// endpoint as long as is configured. One that has never answered is not asked:
    /// no card has vectors of it, and the background asks until it does.
    pub fn question(&self, text: &str) -> Asked {
        let Some(encoder) = &self.encoder else {
            return Asked::default();
        };
        if encoder.name().is_none() {
            return Asked {
                vector: None,
                degraded: Some(NOT_YET),
            };
        }
        match self.noted(encoder.encode(&[text])) {
            Ok(mut vectors) => Asked {
                vector: vectors.pop(),
                degraded: None,
            },
            Err(error) => Asked {
                vector: None,
                degraded: Some(error.note()),
            },
        }
    }

    /// Vectors of texts, from the store where they are known: as many as there are
    /// texts, or none where there is no encoder or it fails; a text that an endpoint
    /// refuses has none either. One that is not known takes milliseconds of a core,
    /// or a request to the endpoint together with others: for who is in no hurry.
    pub fn embed(&self, texts: &[String]) -> Vec<Quantized> {
        self.prepare(texts, Duration::MAX);
        self.at_hand(texts).unwrap_or_default()
    }

    /// Makes vectors of texts known, unless the encoder is remote and fails or needs
    /// more than `limit` for all together.
    pub(super) fn prepare(&self, texts: &[String], limit: Duration) {
        let begun = Instant::now();
        if self.has_name(limit.min(PATIENCE)).is_err() {
            return;
        }
        let remote = self.remote();
        let size = remote.map_or(KEPT_TOGETHER, |remote| remote.batch.max(1));
        for texts in self.unknown(texts).chunks(size) {
            let left = limit.saturating_sub(begun.elapsed());
            let is_late = remote.is_some() && left.is_zero();
            if is_late || self.make(texts, left.min(PATIENCE)).is_err() {
                return;
            }
        }
    }

    /// Vectors that need no remote encoder any more: known ones, and what is
    /// computed in this process. `None` when one is missing.
    pub(super) fn at_hand(&self, texts: &[String]) -> Option<Vec<Quantized>> {
        let Some(encoder) = self.encoder.as_deref() else {
            return Some(Vec::new());
        };
        if texts.is_empty() {
            return Some(Vec::new());
        }
        let name = encoder.name()?;
        let is_remote = encoder.remote().is_some();
        let mut vectors = Vec::with_capacity(texts.len());
        let (mut fresh, mut made) = (Vec::new(), Vec::new());
        for text in texts {
            let digest = digest(name, text);
            if let Some(vector) = self.known(&digest) {
                vectors.push(vector);
            } else if is_remote {
                if !self.state.refused.lock().contains(&digest) {
                    return None;
                }
            } else if let Ok(vector) = self.computed(encoder, text) {
                fresh.push(text.as_str());
                made.push(vector.clone());
                vectors.push(vector);
            }
        }
        // What cannot be kept is computed again at the next start, which is said.
        let _ = self.keep(&fresh, &made);
        Some(vectors)
    }

    /// Sees to it that the encoder's name is known, which takes an answer of an
    /// endpoint that has not given one yet.
    ///
    /// # Errors
    /// When it does not answer.
    pub(super) fn has_name(&self, limit: Duration) -> Result<(), EncodeError> {
        match &self.encoder {
            Some(encoder) if encoder.name().is_none() => self
                .noted(encoder.encode_within(&["name"], limit))
                .map(drop),
            _ => Ok(()),
        }
    }

    /// How the encoder is to be treated, if it is remote.
    pub(super) fn remote(&self) -> Option<Remote> {
        self.encoder.as_ref()?.remote()
    }

    /// Those texts, each once, whose vectors are neither known nor refused.
    pub(super) fn unknown<'a>(&self, texts: &'a [String]) -> Vec<&'a str> {
        let Some(name) = self.name() else {
            return Vec::new();
        };
        let mut seen = HashSet::new();
        let is_unknown = |text: &&String| {
            let digest = digest(name, text);
            seen.insert(digest)
                && self.known(&digest).is_none()
                && !self.state.refused.lock().contains(&digest)
        };
        let unknown = texts.iter().filter(is_unknown);
        unknown.map(String::as_str).collect()
    }

    /// Makes and keeps the vectors of these texts; a remote encoder gets so long.
    ///
    /// # Errors
    /// When the encoder fails, or the store.
    pub(super) fn make(&self, texts: &[&str], limit: Duration) -> Result<(), EncodeError> {
        let Some(encoder) = self.encoder.as_deref() else {
            return Ok(());
        };
        let vectors: Vec<Quantized> = if encoder.remote().is_some() {
            let vectors = self.noted(encoder.encode_within(texts, limit))?;
            vectors.iter().map(Embedding::quantised).collect()
        } else {
            let each = texts.iter().map(|text| self.computed(encoder, text));
            each.collect::<Result<_, _>>()?
        };
        self.keep(texts, &vectors)
    }

    /// Notes that a text will not be asked for again.
    pub(super) fn give_up(&self, text: &str) {
        if let Some(name) = self.name() {
            self.state.refused.lock().insert(digest(name, text));
        }
    }

    /// One text of a card, in turn with others.
    fn computed(&self, encoder: &dyn Encode, text: &str) -> Result<Quantized, EncodeError> {
        let turn = self.turn.lock();
        let vectors = encoder.encode(&[text]);
        MutexGuard::unlock_fair(turn);
        let missing = EncodeError::Answer("no vector");
        vectors?.first().map(Embedding::quantised).ok_or(missing)
    }

    fn known(&self, digest: &Digest) -> Option<Quantized> {
        let bytes = self.store.vector(digest).ok().flatten()?;
        Quantized::from_bytes(&bytes).ok()
    }

    fn keep(&self, texts: &[&str], vectors: &[Quantized]) -> Result<(), EncodeError> {
        let name = self.name().unwrap_or_default();
        let rows: Vec<_> = texts
            .iter()
            .zip(vectors)
            .map(|(text, vector)| (digest(name, text), vector.to_bytes().to_vec()))
            .collect();
        self.store.put_vectors(&rows).map_err(|error| {
            tracing::warn!(
                code = error.code(),
                "embeddings are not kept for the next start"
            );
            EncodeError::NotKept
        })
    }

    /// Counts a failure, and says once that the encoder fails and once that it
    /// works again.
    fn noted<T>(&self, outcome: Result<T, EncodeError>) -> Result<T, EncodeError> {
        match &outcome {
            Ok(_) => {
                if self.state.is_down.swap(false, Ordering::Relaxed) {
                    tracing::info!("the encoder works again");
                }
            }
            Err(error) => {
                self.state.metrics.failed(error.code());
                // A text that is refused says nothing of the encoder.
                let is_down = !matches!(error, EncodeError::Input(_));
                if is_down && !self.state.is_down.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        code = error.code(),
                        %error,
                        "questions are routed by words alone until the encoder works again"
                    );
                }
            }
        }
        outcome
    }
}

/// Digest of a text under the encoder of this name.
fn digest(name: &str, text: &str) -> Digest {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    context.update(name.as_bytes());
    context.update(&[0]);
    context.update(text.as_bytes());
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}
