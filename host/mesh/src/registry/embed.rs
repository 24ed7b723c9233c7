//! Texts to vectors, remembered by content so that a restart does not embed
//! them again.

use crate::store::Store;
use kgents_encoder::{Embedding, Encoder, Quantized};
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;

type Encode = dyn Fn(&str) -> Embedding + Send + Sync;

/// The encoder, if one is installed, and where its work is kept.
#[derive(Clone)]
pub struct Embedder {
    encode: Option<Arc<Encode>>,
    store: Arc<Store>,
    /// Held for one text of a card: however many are registered at once, they
    /// take turns on one core and leave the others to questions.
    turn: Arc<Mutex<()>>,
}

impl Embedder {
    /// Without an encoder nothing is embedded, and words alone decide.
    pub fn new(encoder: Option<Arc<Encoder>>, store: Arc<Store>) -> Self {
        let encode = encoder
            .map(|encoder| -> Arc<Encode> { Arc::new(move |text: &str| encoder.encode(text)) });
        Self::of(encode, store)
    }

    pub(super) fn of(encode: Option<Arc<Encode>>, store: Arc<Store>) -> Self {
        Self {
            encode,
            store,
            turn: Arc::default(),
        }
    }

    /// Name of the encoder; `None` when words alone decide.
    pub fn name(&self) -> Option<&'static str> {
        self.encode.as_ref().map(|_| kgents_encoder::NAME)
    }

    /// The vector of a question; takes milliseconds of a core.
    pub fn question(&self, text: &str) -> Option<Embedding> {
        self.encode.as_ref().map(|encode| encode(text))
    }

    /// Vectors of texts, from the store where they are known. One that is not
    /// takes milliseconds of a core.
    pub fn embed(&self, texts: &[String]) -> Vec<Quantized> {
        let Some(encode) = &self.encode else {
            return Vec::new();
        };
        let mut fresh = Vec::new();
        let vectors = texts
            .iter()
            .map(|text| {
                let digest = digest(text);
                let known = self.store.vector(&digest).ok().flatten();
                known
                    .and_then(|bytes| Quantized::from_bytes(&bytes).ok())
                    .unwrap_or_else(|| {
                        let turn = self.turn.lock();
                        let vector = encode(text).quantised();
                        MutexGuard::unlock_fair(turn);
                        fresh.push((digest, vector.to_bytes().to_vec()));
                        vector
                    })
            })
            .collect();
        if let Err(error) = self.store.put_vectors(&fresh) {
            tracing::warn!(
                code = error.code(),
                "embeddings are not kept for the next start"
            );
        }
        vectors
    }
}

/// Digest of a text under this encoder.
fn digest(text: &str) -> [u8; 32] {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    context.update(kgents_encoder::NAME.as_bytes());
    context.update(&[0]);
    context.update(text.as_bytes());
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}
