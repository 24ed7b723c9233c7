//! The sentence encoder as learning asks for it: vectors are kept by content, so
//! that each text is encoded once, and a restart encodes none.

use crate::registry::Embedder;
use kgents_encoder::{DIMENSIONS, Quantized};
use kgents_learn::{Lesson, Sentences};
use std::sync::atomic::{AtomicBool, Ordering};

/// Texts that are encoded and kept in one step: between two of them a stop is
/// noticed.
const AT_ONCE: usize = 32;

/// The registry's encoder and what it has kept.
pub struct Stored<'a> {
    embedder: &'a Embedder,
    name: String,
    stop: &'a AtomicBool,
}

impl<'a> Stored<'a> {
    /// None where there is no encoder. Encodes nothing more once `stop` is set.
    pub fn of(embedder: &'a Embedder, stop: &'a AtomicBool) -> Option<Self> {
        let name = embedder.name()?.to_owned();
        Some(Self {
            embedder,
            name,
            stop,
        })
    }

    /// Encodes and keeps what is new in a lesson, many texts in one step. Gives
    /// the number of lines that have no vector by then, because the encoder fails.
    pub fn prepare(&self, lesson: &Lesson) -> usize {
        let mut missing = 0;
        for lines in lesson.lines.chunks(AT_ONCE) {
            if self.stop.load(Ordering::Relaxed) {
                return missing;
            }
            let texts: Vec<String> = lines.iter().map(|line| line.text.clone()).collect();
            let known = self.embedder.embed(&texts).len();
            missing += texts.len().saturating_sub(known);
        }
        missing
    }
}

impl Sentences for Stored<'_> {
    fn name(&self) -> &str {
        &self.name
    }

    fn dimensions(&self) -> usize {
        DIMENSIONS
    }

    fn encode(&self, text: &str) -> Option<Vec<f32>> {
        if self.stop.load(Ordering::Relaxed) {
            return None;
        }
        let vectors = self.embedder.embed(&[text.to_owned()]);
        vectors.first().map(numbers)
    }
}

/// A kept vector as numbers.
fn numbers(of: &Quantized) -> Vec<f32> {
    let values = of.values.iter();
    values.map(|value| f32::from(*value) * of.scale).collect()
}
