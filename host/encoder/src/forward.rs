//! The forward pass: token ids in, one vector a text out.
//!
//! Texts of one pass lie one behind the other, without padding; rows only meet within their own
//! text's attention. A text's vector therefore does not depend on what shares its pass.

use crate::arithmetic::{add_and_normalise, gelu, normalise, quantise, softmax, to_unit};
use crate::kernel::{Kernel, Work};
use crate::model::{Dense, Layer, Model, Norm};
use crate::pack::PANEL;
use crate::vector::Embedding;
use crate::{DIMENSIONS, HEAD_WIDTH};

/// Attention heads, each of which sees 32 of the 384 dimensions.
const HEADS: usize = DIMENSIONS / HEAD_WIDTH;

/// Scores computed at once, so that their sums stay in registers.
const SCORES: usize = 16;

/// Memory of a pass, kept from one to the next. Grows to the largest pass.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    hidden: Vec<f32>,
    wide: Vec<f32>,
    narrow: Vec<f32>,
    quantised: Quantised,
    attention: Attention,
}

impl Model {
    /// The vectors of `texts`, each the token ids of one text: not empty, every id one of this
    /// model's, no more of them than it has positions.
    pub(crate) fn forward(
        &self,
        kernel: Kernel,
        texts: &[Vec<u32>],
        scratch: &mut Scratch,
    ) -> Vec<Embedding> {
        kernel.run(Pass {
            model: self,
            kernel,
            texts,
            scratch,
        })
    }
}

/// One pass over some texts.
struct Pass<'a> {
    model: &'a Model,
    kernel: Kernel,
    texts: &'a [Vec<u32>],
    scratch: &'a mut Scratch,
}

impl Work for Pass<'_> {
    type Output = Vec<Embedding>;

    #[inline(always)]
    fn done(mut self) -> Vec<Embedding> {
        let rows: usize = self.texts.iter().map(Vec::len).sum();
        resize(&mut self.scratch.hidden, rows * DIMENSIONS);
        resize(&mut self.scratch.narrow, rows * DIMENSIONS);
        self.embed();
        for layer in &self.model.layers {
            self.layer(layer);
        }
        pool(self.texts, &self.scratch.hidden)
    }
}

impl Pass<'_> {
    /// The first hidden rows: word, position and type, normalised.
    #[inline(always)]
    fn embed(&mut self) {
        let model = self.model;
        let (words, _) = model.words.as_chunks::<DIMENSIONS>();
        let (positions, _) = model.positions.as_chunks::<DIMENSIONS>();
        let (hidden, _) = self.scratch.hidden.as_chunks_mut::<DIMENSIONS>();
        let tokens = self.texts.iter().flat_map(|ids| ids.iter().zip(positions));
        for (row, (id, position)) in hidden.iter_mut().zip(tokens) {
            let id = *id as usize;
            let (Some(word), Some(scale)) = (words.get(id), model.word_scales.get(id)) else {
                continue;
            };
            for ((value, word), position) in row.iter_mut().zip(word).zip(position) {
                *value = f32::from(word.cast_signed()) * scale + position;
            }
            normalise(row, &model.norm);
        }
    }

    #[inline(always)]
    fn layer(&mut self, layer: &Layer) {
        let Scratch {
            hidden,
            wide,
            narrow,
            quantised,
            attention,
        } = &mut *self.scratch;
        quantised.product(self.kernel, &layer.attention, hidden, wide);
        attention.mix(self.texts, wide, narrow);
        quantised.product(self.kernel, &layer.attention_output, narrow, wide);
        add(hidden, wide, &layer.attention_norm);
        quantised.product(self.kernel, &layer.up, hidden, wide);
        for value in wide.iter_mut() {
            *value = gelu(*value);
        }
        quantised.product(self.kernel, &layer.down, wide, narrow);
        add(hidden, narrow, &layer.norm);
    }
}

/// Adds `other` to `hidden` and normalises each row.
#[inline(always)]
fn add(hidden: &mut [f32], other: &[f32], norm: &Norm) {
    let (hidden, _) = hidden.as_chunks_mut::<DIMENSIONS>();
    let (other, _) = other.as_chunks::<DIMENSIONS>();
    for (row, other) in hidden.iter_mut().zip(other) {
        add_and_normalise(row, other, norm);
    }
}

/// Gives `values` exactly `length` places, whatever is in them.
#[inline(always)]
fn resize(values: &mut Vec<f32>, length: usize) {
    values.resize(length, 0.0);
}

/// The mean of each text's rows, of length 1.
#[inline(always)]
fn pool(texts: &[Vec<u32>], hidden: &[f32]) -> Vec<Embedding> {
    let (mut rest, _) = hidden.as_chunks::<DIMENSIONS>();
    let mut embeddings = Vec::with_capacity(texts.len());
    for ids in texts {
        let (rows, behind) = rest.split_at_checked(ids.len()).unwrap_or((rest, &[]));
        rest = behind;
        // The mean's division is left out: the length is made 1 anyway.
        let mut total = [0.0f32; DIMENSIONS];
        for row in rows {
            for (total, value) in total.iter_mut().zip(row) {
                *total += value;
            }
        }
        to_unit(&mut total);
        embeddings.push(Embedding::from_unit(total));
    }
    embeddings
}

/// Quantised activations and the integer sums made of them.
#[derive(Debug, Default)]
struct Quantised {
    pairs: Vec<i32>,
    steps: Vec<f32>,
    sums: Vec<[i32; PANEL]>,
}

impl Quantised {
    /// `output` becomes `input` times the layer's weights, plus its biases.
    #[inline(always)]
    fn product(&mut self, kernel: Kernel, dense: &Dense, input: &[f32], output: &mut Vec<f32>) {
        let pairs = dense.inputs / 2;
        let rows = input.len() / dense.inputs;
        let outputs = dense.biases.len();
        resize(output, rows * outputs);
        self.pairs.resize(rows * pairs, 0);
        self.steps.resize(rows, 0.0);
        self.sums.resize(rows, [0; PANEL]);
        let packed = self.pairs.chunks_exact_mut(pairs).zip(&mut self.steps);
        for (row, (pairs, step)) in input.chunks_exact(dense.inputs).zip(packed) {
            *step = quantise(row, &dense.factors, pairs);
        }
        let (scales, _) = dense.scales.as_chunks::<PANEL>();
        let (biases, _) = dense.biases.as_chunks::<PANEL>();
        let (blocks, _) = output.as_chunks_mut::<PANEL>();
        let panels = dense.weights.chunks_exact(dense.inputs * PANEL);
        for (at, (panel, (scales, biases))) in panels.zip(scales.iter().zip(biases)).enumerate() {
            kernel.panel(&self.pairs, panel, &mut self.sums);
            let blocks = blocks.iter_mut().skip(at).step_by(outputs / PANEL);
            for (block, (sums, step)) in blocks.zip(self.sums.iter().zip(&self.steps)) {
                let values = sums.iter().zip(scales.iter().zip(biases));
                for (value, (sum, (scale, bias))) in block.iter_mut().zip(values) {
                    *value = *sum as f32 * (step * scale) + bias;
                }
            }
        }
    }
}

/// Memory of one head's attention.
#[derive(Debug, Default)]
struct Attention {
    /// The head's keys by dimension: 16 tokens' values of one dimension side by side.
    keys: Vec<[[f32; SCORES]; HEAD_WIDTH]>,
    scores: Vec<[f32; SCORES]>,
}

impl Attention {
    /// Mixes each text's values by its attention. `rows` are query, key and value side by side;
    /// `mixed` receives as many rows of 384.
    #[inline(always)]
    fn mix(&mut self, texts: &[Vec<u32>], rows: &[f32], mixed: &mut [f32]) {
        let (mut rows, _) = rows.as_chunks::<HEAD_WIDTH>();
        let (mut mixed, _) = mixed.as_chunks_mut::<HEAD_WIDTH>();
        for ids in texts {
            let tokens = ids.len();
            let Some((text, behind)) = rows.split_at_checked(tokens * 3 * HEADS) else {
                return;
            };
            let Some((out, out_behind)) = mixed.split_at_mut_checked(tokens * HEADS) else {
                return;
            };
            for head in 0..HEADS {
                self.head(text, out, head, tokens);
            }
            (rows, mixed) = (behind, out_behind);
        }
    }

    #[inline(always)]
    fn head(
        &mut self,
        text: &[[f32; HEAD_WIDTH]],
        out: &mut [[f32; HEAD_WIDTH]],
        head: usize,
        tokens: usize,
    ) {
        let part = |at: usize| text.iter().skip(at * HEADS + head).step_by(3 * HEADS);
        self.gather_keys(part(1), tokens);
        self.scores.resize(self.keys.len(), [0.0; SCORES]);
        for (query, out) in part(0).zip(out.iter_mut().skip(head).step_by(HEADS)) {
            for (scores, keys) in self.scores.iter_mut().zip(&self.keys) {
                let mut totals = [0.0f32; SCORES];
                for (value, keys) in query.iter().zip(keys) {
                    for (total, key) in totals.iter_mut().zip(keys) {
                        *total += value * key;
                    }
                }
                *scores = totals;
            }
            let scores = self.scores.as_flattened_mut();
            let (scores, _) = scores.split_at_mut_checked(tokens).unwrap_or_default();
            softmax(scores);
            let mut totals = [0.0f32; HEAD_WIDTH];
            for (share, value) in scores.iter().zip(part(2)) {
                for (total, value) in totals.iter_mut().zip(value) {
                    *total += share * value;
                }
            }
            *out = totals;
        }
    }

    #[inline(always)]
    fn gather_keys<'a>(
        &mut self,
        mut keys: impl Iterator<Item = &'a [f32; HEAD_WIDTH]>,
        tokens: usize,
    ) {
        self.keys.clear();
        self.keys
            .resize(tokens.div_ceil(SCORES), [[0.0; SCORES]; HEAD_WIDTH]);
        for block in &mut self.keys {
            for (at, key) in keys.by_ref().take(SCORES).enumerate() {
                for (column, value) in block.iter_mut().zip(key) {
                    if let Some(place) = column.get_mut(at) {
                        *place = *value;
                    }
                }
            }
        }
    }
}
