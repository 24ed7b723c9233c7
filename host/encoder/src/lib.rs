//! Sentence embeddings: texts of like meaning get vectors of like direction.
//!
//! all-MiniLM-L6-v2 with its published weights, rounded to int8, computed with 13-bit activations.
//! Invariant: a text's vector is the same to the bit on every processor, alone or in a batch, so
//! a decision that rests on it can be replayed anywhere.
//!
//! In reading order: [`Encoder`] is the door; `wordpiece` turns text into token ids, `forward`
//! ids into a vector by `arithmetic` (floats) and `kernel` (integers, the only `unsafe`); `vector`
//! stores and compares; `pack` makes the model's file from the published weights (`safetensors`),
//! `model` reads it.

mod arithmetic;
mod encoder;
mod error;
mod forward;
mod kernel;
mod model;
mod pack;
mod safetensors;
mod vector;
mod wordpiece;

pub use encoder::{Encoder, default_path};
pub use error::Error;
pub use kernel::Kernel;
pub use pack::{PACKED_SHA256, VOCABULARY_SHA256, WEIGHTS_SHA256, pack, pack_pinned};
pub use vector::{Embedding, Quantized, Query, quantize, scores, scores_with};
pub use wordpiece::WordPiece;

/// Name of the encoder whose vectors these are. Vectors of different names cannot be compared,
/// so an index or cache is keyed by it.
pub const NAME: &str = "all-minilm-l6-v2/int8";

/// Numbers in a vector.
pub const DIMENSIONS: usize = 384;

/// Dimensions that one attention head sees. The weights do not tell; it is the model's.
pub(crate) const HEAD_WIDTH: usize = 32;
