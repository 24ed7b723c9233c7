//! Texts to vectors, remembered by content so that a restart does not embed
//! them again.

use crate::store::Store;
use kgents_encoder::{Embedding, Encoder, Quantized};
use std::sync::Arc;

/// The encoder, if one is installed, and where its work is kept.
#[derive(Clone)]
pub struct Embedder {
    encoder: Option<Arc<Encoder>>,
    store: Arc<Store>,
}

impl Embedder {
    /// Without an encoder nothing is embedded, and words alone decide.
    pub fn new(encoder: Option<Arc<Encoder>>, store: Arc<Store>) -> Self {
        Self { encoder, store }
    }

    /// Name of the encoder; `None` when words alone decide.
    pub fn name(&self) -> Option<&'static str> {
        self.encoder.as_ref().map(|_| kgents_encoder::NAME)
    }

    /// The vector of a question; takes milliseconds of a core.
    pub fn question(&self, text: &str) -> Option<Embedding> {
        self.encoder.as_ref().map(|encoder| encoder.encode(text))
    }

    /// Vectors of texts, from the store where they are known.
    pub fn embed(&self, texts: &[&str]) -> Vec<Quantized> {
        let Some(encoder) = &self.encoder else {
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
                        let vector = encoder.encode(text).quantised();
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
