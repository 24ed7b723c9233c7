//! A packed model in memory: its bytes checked, its tensors ready for the kernels.

use sha2::{Digest, Sha256};

use crate::DIMENSIONS;
use crate::error::Error;
use crate::pack::{MAGIC, PANEL, VERSION, hex};
use crate::wordpiece::WordPiece;

/// Bytes of a SHA-256 digest.
const DIGEST_BYTES: usize = 32;

/// Layers a file may state. Far above any sentence encoder of this width.
const LAYERS_MAX: usize = 48;

/// Most inputs of a dense layer: 2048 × 128 × 8191 is the largest sum of int8 × 13-bit products
/// that an i32 holds.
const INPUTS_MAX: usize = 2048;

/// What the sizes of a model's tensors follow from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dimensions {
    /// Transformer layers, 1 to 48.
    pub(crate) layers: usize,
    /// Width of the feed-forward layers, a multiple of 16 up to 2048.
    pub(crate) intermediate: usize,
    /// Most tokens of a text, 2 to 4096.
    pub(crate) positions: usize,
    /// Tokens of the vocabulary, 3 to 2²⁰.
    pub(crate) words: usize,
    /// Bytes of the vocabulary's text, up to 2²⁶.
    pub(crate) vocabulary_bytes: usize,
}

impl Dimensions {
    /// Refuses what the forward pass cannot compute or would take absurd memory.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let refuse = |field, found: usize, allowed| {
            Err(Error::Dimension {
                field,
                found: found as u64,
                allowed,
            })
        };
        if !(1..=LAYERS_MAX).contains(&self.layers) {
            return refuse("layers", self.layers, "1 to 48");
        }
        if !(PANEL..=INPUTS_MAX).contains(&self.intermediate)
            || !self.intermediate.is_multiple_of(PANEL)
        {
            return refuse(
                "intermediate",
                self.intermediate,
                "a multiple of 16 up to 2048",
            );
        }
        if !(2..=4096).contains(&self.positions) {
            return refuse("positions", self.positions, "2 to 4096");
        }
        if !(3..=1 << 20).contains(&self.words) {
            return refuse("words", self.words, "3 to 1048576");
        }
        if self.vocabulary_bytes > 1 << 26 {
            return refuse("vocabulary bytes", self.vocabulary_bytes, "up to 67108864");
        }
        Ok(())
    }

    /// The header's numbers behind the version, in the file's order. Checked dimensions fit.
    pub(crate) fn header(&self) -> [u32; 6] {
        let numbers = [
            DIMENSIONS,
            self.layers,
            self.intermediate,
            self.positions,
            self.words,
            self.vocabulary_bytes,
        ];
        numbers.map(|number| number as u32)
    }
}

/// A dense layer: int8 weights in panels, and what turns its integer sums into floats.
#[derive(Debug)]
pub(crate) struct Dense {
    /// Values a row has on its way in. Even.
    pub(crate) inputs: usize,
    /// What each input is multiplied by before it is quantised; see packing.
    pub(crate) factors: Box<[f32]>,
    /// Size of one weight step, for each output.
    pub(crate) scales: Box<[f32]>,
    /// Added to each output.
    pub(crate) biases: Box<[f32]>,
    /// Two's complement bytes, `inputs × outputs` of them, in the packed file's order.
    pub(crate) weights: Box<[u8]>,
}

/// A layer normalisation's learnt weights and biases.
#[derive(Debug)]
pub(crate) struct Norm {
    pub(crate) weights: Box<[f32; DIMENSIONS]>,
    pub(crate) biases: Box<[f32; DIMENSIONS]>,
}

/// One transformer layer.
#[derive(Debug)]
pub(crate) struct Layer {
    /// Query (already divided by the root of the head's width), key and value, side by side.
    pub(crate) attention: Dense,
    pub(crate) attention_output: Dense,
    pub(crate) attention_norm: Norm,
    pub(crate) up: Dense,
    pub(crate) down: Dense,
    pub(crate) norm: Norm,
}

/// A whole model. Immutable, so shared by all threads.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) tokenizer: WordPiece,
    pub(crate) word_scales: Box<[f32]>,
    /// int8 rows, as two's complement bytes; as many as `word_scales`.
    pub(crate) words: Box<[u8]>,
    pub(crate) positions: Box<[f32]>,
    pub(crate) norm: Norm,
    pub(crate) layers: Vec<Layer>,
    pub(crate) dimensions: Dimensions,
}

impl Model {
    /// Reads a packed model. Its digest is checked before anything else of it is believed.
    ///
    /// # Errors
    /// [`Error::NotAModel`], [`Error::Version`], [`Error::Truncated`], [`Error::Corrupt`],
    /// [`Error::Dimension`] or [`Error::Vocabulary`].
    pub(crate) fn parse(bytes: &[u8]) -> Result<Model, Error> {
        let mut reader = Reader::open(bytes)?;
        let dimensions = reader.dimensions()?;
        let vocabulary = reader.take(dimensions.vocabulary_bytes, "vocabulary")?;
        let vocabulary = str::from_utf8(vocabulary).map_err(|error| Error::Vocabulary {
            problem: format!("is not UTF-8: {error}"),
        })?;
        let tokenizer = WordPiece::parse(vocabulary)?;
        if tokenizer.len() != dimensions.words {
            return Err(Error::Vocabulary {
                problem: format!(
                    "has {} tokens, the weights are for {}",
                    tokenizer.len(),
                    dimensions.words
                ),
            });
        }
        let model = Model {
            tokenizer,
            word_scales: reader.floats(dimensions.words, "word scales")?,
            words: reader.take(dimensions.words * DIMENSIONS, "words")?.into(),
            positions: reader.floats(dimensions.positions * DIMENSIONS, "positions")?,
            norm: reader.norm()?,
            layers: (0..dimensions.layers)
                .map(|_| reader.layer(dimensions.intermediate))
                .collect::<Result<_, _>>()?,
            dimensions,
        };
        reader.end()?;
        Ok(model)
    }
}

/// What of the file is still to be read, its trailer excluded.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Checks magic, version and digest.
    fn open(bytes: &'a [u8]) -> Result<Reader<'a>, Error> {
        if !bytes.starts_with(MAGIC) {
            return Err(Error::NotAModel);
        }
        let body_end = bytes.len().saturating_sub(DIGEST_BYTES).max(MAGIC.len());
        let (body, trailer) = bytes
            .split_at_checked(body_end)
            .ok_or(Error::Truncated { section: "header" })?;
        let mut reader = Reader { rest: body };
        reader.take(MAGIC.len(), "header")?;
        let found = reader.number()?;
        if found != VERSION {
            return Err(Error::Version {
                found,
                known: VERSION,
            });
        }
        let digest = Sha256::digest(body);
        if digest.as_slice() != trailer {
            return Err(Error::Corrupt {
                found: hex(&digest),
                stated: hex(trailer),
            });
        }
        Ok(reader)
    }

    fn dimensions(&mut self) -> Result<Dimensions, Error> {
        let hidden = self.number()?;
        if hidden as usize != DIMENSIONS {
            return Err(Error::Dimension {
                field: "hidden",
                found: u64::from(hidden),
                allowed: "384",
            });
        }
        let mut next = || self.number().map(|number| number as usize);
        let dimensions = Dimensions {
            layers: next()?,
            intermediate: next()?,
            positions: next()?,
            words: next()?,
            vocabulary_bytes: next()?,
        };
        dimensions.check()?;
        Ok(dimensions)
    }

    fn take(&mut self, bytes: usize, section: &'static str) -> Result<&'a [u8], Error> {
        let (taken, rest) = self
            .rest
            .split_at_checked(bytes)
            .ok_or(Error::Truncated { section })?;
        self.rest = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u32, Error> {
        let (number, rest) = self
            .rest
            .split_first_chunk()
            .ok_or(Error::Truncated { section: "header" })?;
        self.rest = rest;
        Ok(u32::from_le_bytes(*number))
    }

    fn floats(&mut self, count: usize, section: &'static str) -> Result<Box<[f32]>, Error> {
        let (values, _) = self.take(count * 4, section)?.as_chunks::<4>();
        Ok(values
            .iter()
            .map(|value| f32::from_le_bytes(*value))
            .collect())
    }

    fn norm(&mut self) -> Result<Norm, Error> {
        let section = "normalisation";
        let mut row = || {
            let row: Result<Box<[f32; DIMENSIONS]>, _> =
                self.floats(DIMENSIONS, section)?.try_into();
            row.map_err(|_| Error::Truncated { section })
        };
        Ok(Norm {
            weights: row()?,
            biases: row()?,
        })
    }

    fn dense(&mut self, inputs: usize, outputs: usize) -> Result<Dense, Error> {
        Ok(Dense {
            inputs,
            factors: self.floats(inputs, "factors")?,
            scales: self.floats(outputs, "scales")?,
            biases: self.floats(outputs, "biases")?,
            weights: self.take(inputs * outputs, "weights")?.into(),
        })
    }

    fn layer(&mut self, intermediate: usize) -> Result<Layer, Error> {
        Ok(Layer {
            attention: self.dense(DIMENSIONS, 3 * DIMENSIONS)?,
            attention_output: self.dense(DIMENSIONS, DIMENSIONS)?,
            attention_norm: self.norm()?,
            up: self.dense(DIMENSIONS, intermediate)?,
            down: self.dense(intermediate, DIMENSIONS)?,
            norm: self.norm()?,
        })
    }

    fn end(&self) -> Result<(), Error> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(Error::Dimension {
            field: "length",
            found: self.rest.len() as u64,
            allowed: "0 bytes more than its header says",
        })
    }
}
